"""The threads that send requests, and what they carry."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from connectors.contract import Answer, Call
from connectors.turns import Turn


class Letter(Protocol):
    """An answer on its way: only the one being settled is decoded, because decoded it takes six times the memory."""

    def opened(self) -> Answer: ...


@dataclass(slots=True)
class Parcel:
    """One request: the turns in it with the names of their calls."""

    parts: list[tuple[Turn, list[str]]]
    call: Call
    methods: dict[str, str]  # method by call name
    letter: Letter | None = None
    answer: Answer | None = None  # the letter's, once opened
    error: BaseException | None = None
    sent_at: float = 0.0
    took_s: float = 0.0
    waited_s: float = 0.0
    is_accepted: bool = False  # as a whole; calls inside may still have failed


@dataclass(slots=True)
class Crew:
    """Threads that send. With one in flight the caller's own thread sends, in order, and everything is deterministic."""

    send: Callable[[Parcel], None]
    n_threads: int
    answered: "queue.SimpleQueue[Parcel]" = field(default_factory=queue.SimpleQueue)
    _posted: "queue.SimpleQueue[Parcel | None]" = field(default_factory=queue.SimpleQueue)
    _threads: list[threading.Thread] = field(default_factory=list)

    def post(self, parcel: Parcel) -> None:
        if self.n_threads <= 1:
            self.send(parcel)
            self.answered.put(parcel)
            return
        self._posted.put(parcel)

    def man(self, n: int) -> None:
        """Have at least `n` threads."""
        while self.n_threads > 1 and len(self._threads) < min(n, self.n_threads):
            # Daemons: a person who presses Ctrl-C does not wait for a page that takes a minute.
            thread = threading.Thread(target=self._work, daemon=True, name=f"payback-wire-{len(self._threads)}")
            self._threads.append(thread)
            thread.start()

    def dismiss(self) -> None:
        for _ in self._threads:
            self._posted.put(None)

    def _work(self) -> None:
        while (parcel := self._posted.get()) is not None:
            self.send(parcel)
            self.answered.put(parcel)
            del parcel  # or an idle thread would keep a whole answer in memory
