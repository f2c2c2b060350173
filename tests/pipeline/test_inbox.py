"""The inbox: what was heard is kept until it was fetched, whoever writes and whatever ends in between."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import time_machine

from pipeline import inbox as inbox_module
from pipeline.inbox import Heard, Inbox
from pipeline.state import FILE, State

ROOT = Path(__file__).parents[2]


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(State(tmp_path))


def lead(key: int, source: str = "salon") -> Heard:
    return Heard(source, "leads", key)


def waiting(inbox: Inbox, source: str = "salon") -> list[tuple[str, int]]:
    return [(entry.stream, entry.key) for entry in inbox.entries(source, 1000)]


def test_events_about_one_row_are_one_entry_and_the_longest_waiting_comes_first(inbox: Inbox) -> None:
    inbox.hear([lead(5)])
    inbox.hear([lead(3), Heard("salon", "deals", 5), lead(5, "clinic")])
    inbox.hear([lead(5), lead(5)])
    assert waiting(inbox) == [("leads", 5), ("leads", 3), ("deals", 5)]
    assert [(one.source, one.n_waiting, one.n_events) for one in inbox.standings()] == [("clinic", 1, 1), ("salon", 3, 5)]
    assert set(inbox.due({"salon", "clinic"})) == {"salon", "clinic"}
    assert len(inbox.entries("salon", 2)) == 2


def test_an_event_that_comes_during_the_fetch_is_fetched_again(inbox: Inbox) -> None:
    inbox.hear([lead(1), lead(2)])
    taken = inbox.entries("salon", 10)
    inbox.hear([lead(2), lead(3)])
    inbox.done("salon", taken)
    assert waiting(inbox) == [("leads", 2), ("leads", 3)]
    inbox.done("salon", taken)  # whoever says it twice, as after a crash, changes nothing
    assert waiting(inbox) == [("leads", 2), ("leads", 3)]
    inbox.done("salon", inbox.entries("salon", 10))
    inbox.hear([lead(2)])
    inbox.done("salon", taken)  # a late one: the number of an event never comes back
    assert waiting(inbox) == [("leads", 2)]
    assert inbox.standings()[0].n_waiting == 1


def test_a_source_that_fails_rests_longer_each_time_and_its_rows_wait(inbox: Inbox) -> None:
    with time_machine.travel("2026-11-16T03:00:00Z", tick=False) as clock:
        inbox.hear([lead(1), lead(1, "clinic")])
        assert inbox.failed("salon") == 1
        assert inbox.due({"salon", "clinic"}) == ["clinic"]
        clock.shift(16)
        assert "salon" in inbox.due({"salon", "clinic"})
        assert [inbox.failed("salon") for _ in range(20)] == list(range(2, 22))
        clock.shift(899)
        assert inbox.due({"salon", "clinic"}) == ["clinic"]
        clock.shift(2)
        assert "salon" in inbox.due({"salon", "clinic"})
        inbox.failed("salon")
        clock.move_to("2025-01-01T00:00:00Z")  # a clock set back must not make the pause a year long
        assert "salon" in inbox.due({"salon", "clinic"})
        inbox.done("salon", inbox.entries("salon", 10))
        inbox.hear([lead(2)])
        assert inbox.failed("salon") == 1


def test_rows_of_a_source_that_is_no_longer_configured_are_thrown_away(inbox: Inbox) -> None:
    inbox.hear([lead(1), lead(2, "closed")])
    assert inbox.due({"salon"}) == ["salon"]
    assert waiting(inbox, "closed") == []
    assert {one.source: one.n_waiting for one in inbox.standings()} == {"salon": 1, "closed": 0}


def test_a_full_inbox_takes_no_new_row_but_every_event_about_a_known_one(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MOST_WAITING", 3)
    assert inbox.hear([lead(1), lead(2), lead(1), lead(3), lead(4)]) == [True, True, True, True, False]
    assert inbox.hear([lead(2), lead(5), lead(1, "clinic")]) == [True, False, True]
    inbox.done("salon", inbox.entries("salon", 1))
    assert inbox.hear([lead(6)]) == [True]


def test_any_mixture_of_hearing_and_fetching_leaves_exactly_what_was_heard_after_its_last_fetch(inbox: Inbox) -> None:
    rng = random.Random(4)
    owed: set[int] = set()
    for _ in range(60):
        taken = inbox.entries("salon", rng.randint(1, 8))
        heard = [rng.randint(1, 12) for _ in range(rng.randint(0, 4))]
        inbox.hear([lead(key) for key in heard])
        owed |= set(heard)
        if rng.random() < 0.6:
            inbox.done("salon", taken)
            owed -= {entry.key for entry in taken} - set(heard)
        assert {key for _, key in waiting(inbox)} == owed
        standings = inbox.standings()
        assert not standings or standings[0].n_waiting == len(owed)


WRITER = """
import sys
from pathlib import Path
from pipeline.inbox import Heard, Inbox
from pipeline.state import State
inbox, base = Inbox(State(Path(sys.argv[1]))), int(sys.argv[2])
for i in range(1_000_000):
    inbox.hear([Heard("salon", "leads", base + 2 * i), Heard("salon", "leads", base + 2 * i + 1)])
    print(i, flush=True)
"""


def test_what_a_killed_process_had_stored_is_there_and_two_writers_do_not_lose_anything(tmp_path: Path) -> None:
    bases = (1, 1_000_001)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen([*command, str(base)], env=environ, stdout=subprocess.PIPE, text=True) for base in bases]
    told = []
    for writer in writers:
        assert writer.stdout is not None
        for _ in range(20):
            assert writer.stdout.readline()
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate()[0].splitlines()
        told.append(20 + len([line for line in rest if line]))
    inbox = Inbox(State(tmp_path))
    keys = {entry.key for entry in inbox.entries("salon", 1_000_000)}
    for base, n in zip(bases, told, strict=True):
        assert {base + i for i in range(2 * n - 2)} <= keys  # the last line may have been half written
        stored = sum(base <= key < base + 1_000_000 for key in keys)
        assert stored % 2 == 0  # a transaction is stored whole or not at all
    assert inbox.standings()[0].n_waiting == len(keys)
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()
