"""Pieces of work that share requests: a `Chain` walks a key range page by page, `Questions` are calls of their own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from operator import lt

from connectors.contract import Answer, Call, Connector, Page, Ruling, Slice, Stream, Verdict
from connectors.errors import PayloadError

_IGNORES = "the server ignores the filter or the order; nothing of this answer was stored: report it with the method's name"


@dataclass(frozen=True, slots=True)
class Reply:
    """What one call of a turn got: the answer (None when none came) and what to do about it."""

    answer: Answer | None
    ruling: Ruling

    @property
    def is_ok(self) -> bool:
        return self.ruling.verdict is Verdict.OK


@dataclass(slots=True)
class Settled:
    """What a turn made of its replies: failures that count, whether it got anywhere, and the turns to do next."""

    missed: list[Ruling] = field(default_factory=list)
    has_moved: bool = False
    turns: list["Turn"] = field(default_factory=list)


class Turn(ABC):
    """Some calls of one method that travel in one request. A turn is in at most one request at a time."""

    method: str
    subject: str  # the stream's name, for messages
    n_failures = 0  # in a row, without progress
    not_before = float("-inf")  # monotonic time

    @abstractmethod
    def size(self, room: int) -> int:
        """How many calls it makes when `room` are free (at least 1)."""

    @abstractmethod
    def calls(self, names: Sequence[str]) -> list[Call]:
        """The calls for these names, in order."""

    @abstractmethod
    def settle(self, replies: Sequence[Reply]) -> Settled:
        """Take the replies in the order of the calls. Raises PayloadError."""


class Chain(Turn):
    """A walk through the keys in (after, upto], ascending; pages of one request are chained by references.

    `landed(page)` gets every page that counts. `onward(chain)` is asked what to do next after a settled request, finished or not.
    """

    def __init__(
        self,
        connector: Connector,
        stream: Stream,
        after: int,
        upto: int | None,
        *,
        pages: int,
        since: datetime | None = None,
        of: tuple[int, ...] | None = None,
        landed: Callable[[Page], None],
        onward: Callable[["Chain"], list[Turn]],
    ) -> None:
        self._connector = connector
        self.stream = stream
        self.subject = stream.name
        self.after = after
        self.upto = upto
        self.since = since
        self.of = of
        self.pages = pages
        self.is_finished = False
        self.n_rows = 0  # received by the last request
        self._began_after = after
        self._landed = landed
        self._onward = onward
        self.method = connector.call(stream, Slice(after=after, upto=upto, since=since, of=of)).method

    def size(self, room: int) -> int:
        return max(1, min(self.pages, room))

    def calls(self, names: Sequence[str]) -> list[Call]:
        calls = []
        after: int | str = self.after
        for i, name in enumerate(names):
            calls.append(self._connector.call(self.stream, Slice(after=after, upto=self.upto, since=self.since, of=self.of)))
            if i + 1 < len(names):
                after = self._connector.chain(self.stream, name)
        return calls

    def settle(self, replies: Sequence[Reply]) -> Settled:
        settled = Settled()
        self.n_rows, self._began_after = 0, self.after
        for reply in replies:
            if not reply.is_ok or reply.answer is None:
                settled.missed.append(reply.ruling)
                settled.turns.append(self)
                return settled
            page = self._connector.page(self.stream, reply.answer.body)
            check_ascending(self.method, self.subject, page.keys, self.after, self.upto)
            self._landed(page)
            settled.has_moved = True
            if page.keys:
                self.after = page.keys[-1]
                self.n_rows += len(page.keys)
            # What follows a short page in the same chain refers to a row that is not there: garbage, dropped unseen.
            if len(page.keys) < self._connector.limits.page or self.after == self.upto:
                self.is_finished = True
                break
        settled.turns = self._onward(self)
        return settled

    def gap(self) -> float:
        """Keys per row in what the last request read."""
        return (self.after - self._began_after) / max(1, self.n_rows)


class Questions(Turn):
    """Calls that do not depend on each other; `answered(answers by name)` is asked what to do next once all have been answered.

    `is_answer` recognises errors of the CRM that are the answer themselves (what became of a row).
    """

    def __init__(
        self,
        subject: str,
        calls: Mapping[str, Call],
        answered: Callable[[Mapping[str, Answer]], list[Turn]],
        *,
        is_answer: Callable[[Answer], bool] | None = None,
    ) -> None:
        self.subject = subject
        self.method = next(iter(calls.values())).method
        self._open = dict(calls)
        self._asked: list[str] = []
        self._answers: dict[str, Answer] = {}
        self._answered = answered
        self._is_answer = is_answer

    def size(self, room: int) -> int:
        return max(1, min(len(self._open), room))

    def calls(self, names: Sequence[str]) -> list[Call]:
        self._asked = list(islice(self._open, len(names)))
        return [self._open[name] for name in self._asked]

    def settle(self, replies: Sequence[Reply]) -> Settled:
        settled = Settled()
        for name, reply in zip(self._asked, replies, strict=True):
            if reply.answer is not None and (reply.is_ok or self._is_final(reply)):
                self._answers[name] = reply.answer
                del self._open[name]
                settled.has_moved = True
            else:
                settled.missed.append(reply.ruling)
        settled.turns = [self] if self._open else self._answered(self._answers)
        return settled

    def _is_final(self, reply: Reply) -> bool:
        if self._is_answer is None or reply.answer is None or reply.ruling.verdict not in (Verdict.FATAL, Verdict.REAUTH):
            return False
        return self._is_answer(reply.answer)


def check_ascending(method: str, subject: str, keys: Sequence[int], after: int, upto: int | None) -> None:
    """Raises PayloadError unless the keys ascend strictly within (after, upto]."""
    if not keys:
        return
    is_ascending = keys[0] > after and all(map(lt, keys, islice(keys, 1, None)))
    if not is_ascending or (upto is not None and keys[-1] > upto):
        what = "keys lie beyond the range asked for" if is_ascending else "keys do not ascend from the last one seen"
        raise PayloadError(f"{method} ({subject}): {what}", hint=_IGNORES)
