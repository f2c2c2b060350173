"""The portal's outgoing webhook: tells an address which record changed, as Bitrix24 does (reference 5.1, 5.2)."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

Deed = Literal["ADD", "UPDATE", "DELETE"]
MEMBER_ID = "d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5"
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where events go and the token that proves them."""

    url: str
    token: str


class Outgoing:
    """Sends one event a change, from a thread of its own, in order and without a second try: what is not answered is lost."""

    def __init__(self, host: str, now: Callable[[], float]) -> None:
        self._host, self._now = host, now
        self._address: Address | None = None
        self._queue: queue.SimpleQueue[tuple[Address, bytes] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._n_waiting, self._changed = 0, threading.Condition()
        self.n_answered = 0  # with 200

    def turn_on(self, url: str, token: str) -> None:
        """From now on tell this address."""
        self._address = Address(url, token)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="demo-outgoing")
            self._thread.start()

    def turn_off(self) -> None:
        self._address = None

    def tell(self, entity: str, deed: Deed, id_: int) -> None:
        """A record changed."""
        if self._address is None:
            return
        with self._changed:
            self._n_waiting += 1
        self._queue.put((self._address, self.form(f"ONCRM{entity.upper()}{deed}", id_, self._address.token)))

    def form(self, event: str, id_: int, token: str) -> bytes:
        """The body of one event."""
        pairs = {
            "event": event,
            "event_handler_id": "975",
            "data[FIELDS][ID]": str(id_),
            "ts": str(int(self._now())),
            "auth[domain]": self._host,
            "auth[client_endpoint]": f"https://{self._host}/rest/",
            "auth[server_endpoint]": "https://oauth.bitrix.info/rest/",
            "auth[member_id]": MEMBER_ID,
            "auth[application_token]": token,
        }
        return urlencode(pairs).encode()

    def wait(self, seconds: float = 10.0) -> bool:
        """Whether everything told so far was sent within the time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            return self._changed.wait_for(lambda: not self._n_waiting, deadline - time.monotonic())

    def close(self) -> None:
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(_TIMEOUT)

    def _work(self) -> None:
        opener = build_opener(ProxyHandler({}))  # the receiver of a demo is on this machine
        while (letter := self._queue.get()) is not None:
            address, body = letter
            try:
                with opener.open(Request(address.url, body, method="POST"), timeout=_TIMEOUT) as answer:
                    self.n_answered += answer.status == 200
            except (URLError, OSError):
                pass  # lost, as in earnest
            with self._changed:
                self._n_waiting -= 1
                self._changed.notify_all()
