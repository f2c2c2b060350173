"""Writes events into the inbox in groups: those that arrive while a transaction is on its way to the disk share the next one."""

import asyncio
import sqlite3
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pipeline.inbox import Heard, Inbox


class Scribe:
    """Belongs to one event loop. `store` returns when the event is on disk."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._waiting: list[tuple[Heard, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None
        # A thread of its own: the pages of the dashboard must not make an event wait.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="payback-inbox")
        self._open: sqlite3.Connection | None = None

    async def store(self, event: Heard) -> bool:
        """Whether there was room for it. Raises WarehouseError when it cannot be stored."""
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, stored))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await stored

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                kept: Sequence[bool | Exception] = await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._hear, [event for event, _ in group]
                )
            except Exception as error:
                kept = [error] * len(group)
            for (_, stored), outcome in zip(group, kept, strict=True):
                if stored.done():  # whoever sent it did not wait for the answer
                    continue
                if isinstance(outcome, Exception):
                    stored.set_exception(outcome)
                else:
                    stored.set_result(outcome)

    def _hear(self, events: list[Heard]) -> list[bool]:
        if self._open is None:
            self._open = self._inbox.keep_open()
            weakref.finalize(self, self._open.close)
        return self._inbox.hear(events)
