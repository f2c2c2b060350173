"""A demo portal whose answers can be bent on their way out, and whose clock can be wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from connectors.demo import DemoPortal, PortalOptions, Store
from connectors.demo.server import Wire
from connectors.demo.wire import read_address

ALWAYS = -1
Document = dict[str, Any]
Send = Callable[[Wire, int, bytes], None]


@dataclass(slots=True)
class Bend:
    """What becomes of the next `times` answers to `method` after `after` of them; `send` puts bytes on the wire."""

    method: str
    send: Send
    times: int = 1
    after: int = 0


class _BentWire:
    """Stands in for the wire of one request: the portal's own answer goes through a bend."""

    def __init__(self, wire: Wire, bend: Bend) -> None:
        self._wire, self._bend = wire, bend

    def send(self, status: int, body: bytes, *rest: Any) -> None:
        if status == 200:
            self._bend.send(self._wire, status, body)
        else:
            self._wire.send(status, body, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)


class BentPortal(DemoPortal):
    """`ahead_s`: how far the portal's clock is ahead of the true one, in seconds; days that pass are part of it."""

    def __init__(self, store: Store) -> None:
        self.ahead_s = 0.0
        self._bends: list[Bend] = []
        self._bending = threading.Lock()
        super().__init__(store, PortalOptions(has_limits=False))

    def now(self) -> float:
        return super().now() + self.ahead_s

    def bend(self, *bends: Bend) -> None:
        with self._bending:
            self._bends.extend(bends)

    def heal(self) -> None:
        """Forget all faults, bends and changes that were to come."""
        super().heal()
        with self._bending:
            self._bends.clear()
        with self._lock:
            self._hooks.clear()

    def serve(self, wire: Wire, path: str, params: Mapping[str, Any]) -> None:
        bend = self._taken(path)
        bent: Any = wire if bend is None else _BentWire(wire, bend)
        super().serve(bent, path, params)

    def _taken(self, path: str) -> Bend | None:
        address = read_address(path)
        method = address[2].lower() if address else ""
        with self._bending:
            for bend in self._bends:
                if bend.method not in (method, "*") or not bend.times:
                    continue
                if bend.after:
                    bend.after -= 1
                    continue
                bend.times -= bend.times > 0
                return bend
        return None


def edited(change: Callable[[Document], None]) -> Send:
    """A bend that changes the decoded answer."""

    def send(wire: Wire, status: int, body: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError):  # another fault was here before: that is what is sent then
            document = json.loads(body)
            change(document)
            body = json.dumps(document, ensure_ascii=False).encode()
        wire.send(status, body)

    return send


def raw(change: Callable[[bytes], bytes], headers: Mapping[str, str] | None = None) -> Send:
    """A bend that changes the bytes; `headers` go with them."""

    def send(wire: Wire, status: int, body: bytes) -> None:
        wire.send(status, change(body), "application/json", headers)

    return send


def commands(document: Document) -> Document:
    """The results of a batch's commands by name."""
    found = document["result"]["result"]
    return found if isinstance(found, dict) else {}


def pages(document: Document) -> Iterator[list[Document]]:
    """The lists of rows with an ID in a batch's answer."""
    for result in commands(document).values():
        rows = result.get("items") if isinstance(result, dict) else result
        if isinstance(rows, list) and rows and isinstance(rows[0], dict) and "ID" in rows[0]:
            yield rows


def records(document: Document) -> Iterator[list[Document]]:
    """Those of `pages` that list leads, deals or their history in full: not bare keys, dictionaries or people."""
    for rows in pages(document):
        if len(rows[0]) > 4 and ("OWNER_ID" in rows[0] or "DATE_CREATE" in rows[0]):
            yield rows
