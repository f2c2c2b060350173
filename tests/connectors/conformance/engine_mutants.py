"""Faults planted into the engine, as mutants.py does into a connector."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from connectors import walk
from connectors.contract import Landing
from connectors.ledger import Ledger
from connectors.pacing import TokenBucket
from connectors.sweep import Sweep
from connectors.turns import Chain, Settled, Turn, check_ascending
from tests.connectors.conformance.mutants import Plant


def no_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window starts exactly where the previous walk began."""

    def changes(self: Any, since: Any) -> list[Turn]:
        self._window = since
        return [self._chain(0, None, 1)]

    monkeypatch.setattr(walk.KeysetWalk, "_changes", changes)


def window_from_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next window starts when this walk ended (here: two hours after it began), not when it began."""
    walked = walk.KeysetWalk._walked

    def late(self: Any) -> list[Turn]:
        self._began = (self._began or self._base()) + timedelta(hours=2)
        return walked(self)

    monkeypatch.setattr(walk.KeysetWalk, "_walked", late)


def state_before_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor is stored in a transaction of its own, before the rows it covers."""
    commit = Ledger.commit

    def early(self: Any) -> None:
        states = [Landing(one.stream, state=one.state) for one in self._waiting.values() if one.state is not None]
        if states:
            self.sink.commit(states)
        commit(self)

    monkeypatch.setattr(Ledger, "commit", early)


def garbage_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages after a short page are taken as well."""

    def settle(self: Any, replies: Any) -> Settled:
        settled = Settled(has_moved=True)
        for reply in replies:
            if not reply.is_ok:
                settled.missed.append(reply.ruling)
                settled.turns.append(self)
                return settled
            page = self._connector.page(self.stream, reply.answer.body)
            check_ascending(self.method, self.subject, page.keys, self.after, self.upto)
            self._landed(page)
            self.after = page.keys[-1] if page.keys else self.after
            self.is_finished = len(page.keys) < self._connector.limits.page
        settled.turns = self._onward(self)
        return settled

    monkeypatch.setattr(Chain, "settle", settle)


def order_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether the keys of a page ascend."""
    monkeypatch.setattr("connectors.turns.check_ascending", lambda *given: None)
    monkeypatch.setattr("connectors.walk.check_ascending", lambda *given: None)


def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody counts."""

    def start(self: Any) -> list[Turn]:
        done: list[Turn] = self._done()
        return done

    monkeypatch.setattr(Sweep, "start", start)


def nothing_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep ends at the greatest known key."""
    start = Sweep.start

    def bounded(self: Any) -> list[Turn]:
        turns = start(self)
        beyond = [turn for turn in turns if isinstance(turn, Chain)]
        self._n_open -= len(beyond)
        if len(turns) == len(beyond):
            return list(self._done())
        return [turn for turn in turns if turn not in beyond]

    monkeypatch.setattr(Sweep, "start", bounded)


def unconfirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a list does not show is deleted without asking."""

    def confirmed(self: Any, candidates: Sequence[int]) -> list[Turn]:
        self._ledger.delete(self._stream, candidates)
        self._finish()
        return []

    monkeypatch.setattr(Sweep, "_confirmed", confirmed)


def unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are sent as fast as they are made."""
    monkeypatch.setattr(TokenBucket, "take", lambda self: 0.0)


def failures_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain whose call failed is taken as finished."""
    settle = Chain.settle

    def lenient(self: Any, replies: Any) -> Settled:
        settled = settle(self, replies)
        if settled.missed:
            self.is_finished = True
            return Settled(turns=self._onward(self), has_moved=True)
        return settled

    monkeypatch.setattr(Chain, "settle", lenient)


def state_ahead_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state says a range is read a little farther than it is."""
    merged = walk._merged

    def ahead(ranges: Any) -> list[list[int | None]]:
        return [[after + 2 if after and upto is None else after, upto] for after, upto in merged(ranges)]

    monkeypatch.setattr(walk, "_merged", ahead)


ENGINE: dict[Plant, tuple[str, str]] = {
    no_overlap: ("stamps", "newest"),
    window_from_the_end: ("stamps", "newest"),
    state_before_rows: ("crashes", "recovered"),
    state_ahead_of_rows: ("crashes", "recovered"),
    garbage_kept: ("completeness", "error"),
    failures_dropped: ("faults", "complete"),
    order_unchecked: ("liar", "ends"),
    no_sweep: ("deletions", "deletes"),
    nothing_beyond: ("granted", "complete"),
    unconfirmed: ("rights", "rights"),
    unpaced: ("economy", "pace"),
}
