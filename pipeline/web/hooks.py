"""The receiver of Bitrix24's outgoing webhooks, mounted by `pipeline.web.app`: checks an event, stores it, answers.

Open to the world, so everything is bounded: the body, the time it may take, wrong tokens. Nothing of an event is kept but
which row it names. Facts: reference 5.2 (form-encoded, ids only, no retries, no signature but the application token).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.bitrix24.events import is_genuine, read_event
from pipeline.errors import WarehouseError
from pipeline.fetch import inbox_of, listens
from pipeline.inbox import Heard
from pipeline.logs import log
from pipeline.settings import Settings
from pipeline.web.scribe import Scribe

if TYPE_CHECKING:
    from connectors.bitrix24 import Options

PREFIX = "/hooks/"  # everything below is open to the world: its requests prove themselves by their token
MOST_BYTES = 64 * 1024  # an event has about 600
BODY_SECONDS = 5.0
FORM = "application/x-www-form-urlencoded"
# The rest of a body that we do not want to read must not be taken for the next request.
_CLOSE = {"Connection": "close"}


@dataclass(slots=True)
class Patience:
    """How many wrong tokens a source bears: `burst` at once, `rate` a second after that."""

    rate: float = 1.0
    burst: float = 30.0
    _left: float = field(default=30.0)
    _at: float = field(default_factory=time.monotonic)

    def bears(self) -> bool:
        """One more wrong token: whether it is still borne."""
        now = time.monotonic()
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def routes(current: Callable[[], Settings], registry: CollectorRegistry) -> Sequence[BaseRoute]:
    """The routes, all below `PREFIX`; counters of events go into `registry`, which `/metrics` prints. `current` gives the
    configuration as it is now."""
    receiver = Receiver(current, registry)
    return [Route(f"{PREFIX}bitrix24/{{source}}", receiver.receive, methods=["POST"])]


class Receiver:
    """Answers events of all Bitrix24 sources."""

    def __init__(self, current: Callable[[], Settings], registry: CollectorRegistry) -> None:
        self._current = current
        self._patience: dict[str, Patience] = {}
        self._inbox = inbox_of(current())
        self._scribe = Scribe(self._inbox)
        said = "Events of outgoing webhooks, by what became of them."
        self._n_events = Counter("payback_webhook_events", said, ["source", "outcome"], registry=registry)
        waiting = Gauge("payback_webhook_rows_waiting", "Rows that events named and that are not fetched yet.", registry=registry)
        waiting.set_function(self._n_waiting)

    async def receive(self, request: Request) -> Response:
        """POST /hooks/bitrix24/SOURCE."""
        name: str = request.path_params["source"]
        listening = (one for one in self._current().sources if one.kind == "bitrix24" and listens(one))
        options: Options | None = next((one.options for one in listening if one.name == name), None)
        known = "" if options is None else name
        outcome, answer = await self._answered(request, known, options)
        self._n_events.labels(known, outcome).inc()
        return answer

    async def _answered(self, request: Request, source: str, options: "Options | None") -> tuple[str, Response]:
        """What became of it, and the answer. An unknown source (empty) goes the same way as a known one, to its very end."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return "slow", PlainTextResponse("the body took too long\n", 408, _CLOSE)
        except ClientDisconnect:
            return "gone", Response(status_code=400)
        if body is None:
            return "large", PlainTextResponse("too large\n", 413, _CLOSE)
        # Refused once the body is read: who hangs up on unread bytes resets the connection, and the answer may be lost.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return "unreadable", PlainTextResponse(f"send {FORM}\n", 415, _CLOSE)
        event = read_event(body)
        if not is_genuine(event, options):
            return self._refused(source)
        if not event.stream:
            return "ignored", PlainTextResponse("not of interest\n")
        if not event.key:
            return "unreadable", PlainTextResponse("no id\n", 400)
        try:
            is_stored = await self._scribe.store(Heard(source, event.stream, event.key))
        except WarehouseError as error:
            log.error("event_not_stored", source=source, error=str(error), hint=error.hint)
            is_stored = False
        if not is_stored:
            return "not_stored", PlainTextResponse("cannot be stored now\n", 503)
        return "stored", PlainTextResponse("ok\n")

    def _n_waiting(self) -> float:
        try:
            return float(sum(standing.n_waiting for standing in self._inbox.standings()))
        except WarehouseError:  # the other metrics still tell
            return float("nan")

    def _refused(self, source: str) -> tuple[str, Response]:
        """A wrong token. It never keeps a right one out: the limit is on refusals, not on the source."""
        if not self._patience.setdefault(source, Patience()).bears():
            return "limited", PlainTextResponse("too many refusals\n", 429, {"Retry-After": "60", **_CLOSE})
        log.warning("event_refused", source=source or "unknown")
        if not source:
            return "refused", PlainTextResponse("not found\n", 404)
        return "refused", PlainTextResponse("forbidden\n", 403)


async def _body(request: Request) -> bytes | None:
    """The body, None when it is too large. What a header promises is believed only if it is too much."""
    promised = request.headers.get("content-length", "0")
    if promised.isascii() and promised.isdigit() and int(promised[:18]) > MOST_BYTES:
        return None
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > MOST_BYTES:
            return None
    return bytes(read)
