"""Nightly syncs: windows of changes, what is told, and syncs that die and resume."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors import engine
from connectors.contract import Deletes, Limits
from tests.connectors.engine_bench import ALL, Bench, Death, bare, codes, small_world
from tests.connectors.packed_crm import (
    BITRIX_LIKE,
    MOVES,
    SMALL,
    START,
    TICKETS,
    Row,
    VirtualClock,
    unpacked,
)
from tests.variants import first

# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_quiet_night_takes_two_requests_and_appends_nothing() -> None:
    bench = Bench(BITRIX_LIKE, ALL)
    for name in ("tickets", "notes", "moves"):
        bench.crm.fill(name, range(1, 3000))
    bench.crm.fill("labels", range(1, 9))
    bench.pull()
    bench.later()
    report = bench.pull()
    assert report.n_requests == 2
    # What changed; then three counts of all and two of what changed, and what two streams hold beyond their last key.
    assert bench.wire.sizes == [4, 7]
    assert sum(line.appended for line in report.streams.values()) == 0


def test_changes_cost_in_proportion() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 100_001))
    bench.pull()
    bench.later()
    for key in range(50, 100_001, 100):
        bench.crm.edit("tickets", key, "won")
    report = bench.pull()
    bench.check()
    assert report.streams["tickets"].appended == 1000
    assert report.n_requests <= 4  # one page, ten pages, the rest, the closing count


def test_edits_ties_and_stamps_ahead_of_the_clock_are_found() -> None:
    bench = Bench(SMALL, (TICKETS, MOVES))
    bench.crm.fill("tickets", range(1, 60))
    bench.crm.fill("moves", range(1, 60))
    bench.pull()
    bench.later()
    for key in range(5, 45):  # many rows of one second: wider than a page, wider than a request
        bench.crm.edit("tickets", key, "won")
    bench.crm.add("tickets", 77, modified_at=START + timedelta(days=400))
    bench.crm.add("moves", 61)
    report = bench.pull()
    bench.check()
    assert report.streams["moves"].received == 1


def test_a_window_starts_before_the_previous_walk_began_by_the_servers_clock() -> None:
    bench = Bench(SMALL, with_probe=True)
    bench.crm.fill("tickets", range(1, 60))
    ours = VirtualClock()
    ours.elapsed = 5 * 86400.0  # our clock is five days ahead of the server's
    engine.pull(bench.connector, bench.sink, wire=bench.wire, clock=ours)
    bench.clock.sleep(60)
    bench.crm.edit("tickets", 30, "won")
    bench.clock.sleep(3600)
    engine.pull(bench.connector, bench.sink, wire=bench.wire, clock=ours)
    bench.check()


def test_an_edit_that_was_stamped_earlier_than_it_could_be_seen_is_found() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.pull()
    bench.crm.tables["tickets"].rows[30] = Row(30, START - timedelta(minutes=50), "won")
    bench.later()
    bench.pull()
    bench.check()


def test_an_edit_during_the_walk_is_found_by_the_next_one() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 100))
    bench.wire.before = lambda n: bench.crm.edit("tickets", 2 + n, f"at {n}")
    bench.pull()
    bench.wire.before = lambda n: None
    bench.later()
    bench.pull()
    bench.check()


def test_a_row_of_a_low_key_that_appears_late_is_recovered_and_told() -> None:
    bench = Bench(SMALL, (MOVES,))
    bench.crm.fill("moves", [*range(1, 50), *range(51, 90)])
    bench.pull()
    bench.later()
    bench.crm.add("moves", 50)  # committed late: below the last key
    report = bench.pull()
    bench.check()
    assert report.streams["moves"].recovered == 1
    assert codes(report) == {"rows_recovered"}


# --- dying and resuming ----------------------------------------------------------------------------------------------


def _a_day_passes(bench: Bench) -> None:
    bench.later()
    order = bench.crm.tables["tickets"].order
    for key in order[3:60:2]:
        bench.crm.edit("tickets", key, "won")
    for key in order[10:100:20]:
        bench.crm.tables["tickets"].drop(key)
    for key in range(500, 540):
        bench.crm.add("moves", key)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("limits", first(1, [replace(SMALL, parallel=3), SMALL, unpacked(SMALL)]))
@pytest.mark.parametrize("night", [False, True])
def test_a_pull_killed_at_any_commit_resumes_to_the_same_content(moment: str, limits: Limits, night: bool) -> None:
    number = 0
    while True:
        bench = Bench(limits, ALL)
        small_world(bench)
        if night:
            bench.pull()
            _a_day_passes(bench)
        bench.sink.deadly = (bench.sink.n_commits + number, moment)
        try:
            bench.pull()
        except Death:
            pass
        else:
            break
        bench.sink.deadly = None
        bench.later(1.0)
        bench.pull()
        bench.check()
        bench.later(1.0)
        assert sum(line.appended for line in bench.pull().streams.values()) == 0
        number += 1
    assert number >= (3 if night else 8)


def test_resuming_repeats_at_most_what_was_in_flight() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 50_001))
    bench.sink.deadly = (10, "before")
    with pytest.raises(Death):
        bench.pull()
    n_before = bench.wire.n
    bench.sink.deadly = None
    bench.pull()
    bench.check()
    assert bench.wire.n - n_before <= 22 - 11 + 3  # the rest, the request that was lost, one window and the closing count


def test_the_state_stays_small() -> None:
    bench, sink = bare(BITRIX_LIKE, range(1, 900_000, 3))
    longest = 0

    def measure(n: int) -> None:
        nonlocal longest
        longest = max(longest, len(str(sink.state(TICKETS))))

    bench.wire.before = measure
    engine.pull(bench.connector, sink, wire=bench.wire, clock=bench.clock)
    assert 20 < longest < 1000


def test_a_resumed_export_also_finds_what_changed_since_it_began() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 300))
    bench.sink.deadly = (4, "after")
    with pytest.raises(Death):
        bench.pull()
    bench.sink.deadly = None
    bench.later(72)
    for key in range(1, 300, 7):
        bench.crm.edit("tickets", key, "won")
    bench.later(72)
    report = bench.pull()
    bench.check()
    assert report.streams["tickets"].received < 299


def test_a_closing_count_that_was_cut_off_is_made_up_for() -> None:
    forever = replace(TICKETS, deletes=Deletes.NONE)
    bench = Bench(SMALL, (forever,))
    bench.crm.fill("tickets", range(1, 200, 2))
    number = 0

    def late(n: int) -> None:
        nonlocal number
        number = n
        if n == 3:
            bench.crm.add("tickets", 2, modified_at=START - timedelta(days=5))  # in a range that is already read
        if any(params.get("count") for _, params in bench.wire.calls[-1].params["calls"].values()) and n > 3:
            raise Death

    bench.wire.before = late
    with pytest.raises(Death):
        bench.pull()
    assert len(bench.sink.rows(forever)) == 100
    bench.wire.before = lambda n: None
    report = bench.pull()
    bench.check()
    assert report.streams["tickets"].recovered == 1
    assert bench.pull().n_requests == 1  # nothing can be deleted: no closing count at night


def test_stop_ends_early_and_the_next_pull_goes_on() -> None:
    bench = Bench(SMALL, with_probe=True)
    bench.crm.fill("tickets", range(1, 200))
    report = bench.pull(stop=lambda: bench.wire.n >= 4)
    assert "stopped" in codes(report)
    assert 0 < len(bench.sink.rows(TICKETS)) < 199
    assert "stopped" not in codes(bench.pull())
    bench.check()


# --- what is told ----------------------------------------------------------------------------------------------------


def test_unreadable_rows_and_new_columns_are_told() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    for key in (7, 31, 50):
        bench.crm.tables["tickets"].rows[key].stage = "unreadable"
    bench.crm.tables["tickets"].rows[40].stage = "strange"
    report = bench.pull()
    bench.check()
    told = {one.code: (one.n, dict(one.detail)) for one in report.findings}
    assert told == {"unknown_columns": (1, {"columns": "COLOUR"}), "rows_quarantined": (3, {"stage: not a stage": 3})}
    assert report.streams["tickets"].rejected == 3
    assert [one.key for one in bench.sink.rejects(TICKETS)] == ["7", "31", "50"]


def test_progress_is_told_with_what_is_expected() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    told: list[tuple[str, int, int | None]] = []
    engine.pull(bench.connector, bench.sink, wire=bench.wire, clock=bench.clock, progress=lambda *one: told.append(one))
    assert told[-1] == ("tickets", 59, 59)
    assert [n for _, n, _ in told] == sorted(n for _, n, _ in told)


def test_a_sink_error_is_not_swallowed() -> None:
    bench = Bench(replace(SMALL, parallel=4))
    bench.crm.fill("tickets", range(1, 60))
    bench.sink.deadly = (1, "before")
    with pytest.raises(Death):
        bench.pull()
