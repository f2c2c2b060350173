"""The engine against a small CRM on a virtual clock: what is stored, how many requests it took, and what survives faults."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from math import ceil

import pytest

from connectors import engine
from connectors.contract import Answer, Call, Deletes, Landing, Limits, Stream, SyncReport
from connectors.errors import AccessError, PayloadError, TemporaryError
from connectors.memory import MemorySink
from tests.connectors.packed_crm import (
    BITRIX_LIKE,
    LABELS,
    MOVES,
    NOTES,
    SMALL,
    START,
    TICKETS,
    BareCrm,
    BareSink,
    Crm,
    PackedCrm,
    Row,
    VirtualClock,
    VirtualWire,
    unpacked,
)


class Death(Exception):
    """The process dies here."""


class MortalSink(MemorySink):
    """Dies before or after the commit of that number."""

    deadly: tuple[int, str] | None = None

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        number = self.n_commits
        if self.deadly == (number, "before"):
            raise Death
        appended = super().commit(landings)
        if self.deadly == (number, "after"):
            raise Death
        return appended


@dataclass
class Bench:
    """One CRM, one connector, one sink."""

    limits: Limits = SMALL
    wanted: Sequence[Stream] = (TICKETS,)
    with_probe: bool = False
    sink: MortalSink = field(default_factory=MortalSink)
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.crm = Crm(self.limits, self.clock)
        self.wire = VirtualWire(self.crm, self.clock)
        self.connector = PackedCrm(self.limits, self.wanted, with_probe=self.with_probe)

    def pull(self, *, full: bool = False, stop: Callable[[], bool] | None = None) -> SyncReport:
        return engine.pull(self.connector, self.sink, wire=self.wire, clock=self.clock, full=full, stop=stop)

    def later(self, hours: float = 24.0) -> None:
        self.clock.sleep(hours * 3600)
        self.wire.n = 0
        self.wire.sizes, self.wire.calls, self.wire.sent_at = [], [], []

    def check(self) -> None:
        """Every visible row is stored in its present form, and nothing else."""
        for stream in self.wanted:
            table = self.crm.tables[stream.name]
            stored = {int(key[-1]): row.stage for key, row in self.sink.rows(stream).items()}  # type: ignore[attr-defined]  # every test record has a stage
            assert stored == {key: row.stage for key, row in table.rows.items() if row.stage != "unreadable"}


def codes(report: SyncReport) -> set[str]:
    return {finding.code for finding in report.findings}


ALL = (TICKETS, NOTES, MOVES, LABELS)


# --- full exports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [SMALL, unpacked(SMALL), replace(SMALL, parallel=3), replace(unpacked(SMALL), parallel=3)])
@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 8, 23, 24, 25, 97, 200])
def test_full_export_stores_every_row(limits: Limits, n: int) -> None:
    rng = random.Random(n)
    bench = Bench(limits, ALL)
    for name in ("tickets", "notes", "moves"):
        bench.crm.fill(name, rng.sample(range(1, 4 * n + 2), n))
    bench.crm.fill("labels", range(5, 5 + n % 13))
    report = bench.pull()
    bench.check()
    assert not report.findings
    assert report.streams["tickets"].received == n == report.streams["tickets"].appended


@pytest.mark.parametrize("n", [100_000, 500_000])
@pytest.mark.parametrize("gap", [1, 3, 10])
@pytest.mark.parametrize("parallel", [1, 8])
def test_requests_stay_near_the_floor_and_none_is_rejected(n: int, gap: int, parallel: int) -> None:
    bench, sink = _bare(replace(BITRIX_LIKE, parallel=parallel), range(1000, 1000 + n * gap, gap))
    report = engine.pull(bench.connector, sink, wire=bench.wire, clock=bench.clock)
    assert sorted(sink.numbers) == bench.crm.tables["tickets"].order
    assert report.n_requests <= 1.1 * n / 2500 + 2
    assert (bench.wire.n_rejected, report.n_slowed) == (0, 0)


def _bare(limits: Limits, keys: Sequence[int]) -> tuple[Bench, BareSink]:
    bench = Bench(limits)
    bench.connector = BareCrm(limits, (TICKETS,))
    bench.crm.fill_bare("tickets", keys)
    return bench, BareSink()


def test_unevenly_gapped_ids_are_still_read_with_full_requests() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", [*range(1, 1001), *range(10_000_000, 10_050_000)])
    report = bench.pull()
    bench.check()
    assert report.n_requests <= 3 * 51_000 / 2500


def test_a_dense_export_takes_the_floor_and_two_more() -> None:
    bench, sink = _bare(BITRIX_LIKE, range(1, 100_001))
    report = engine.pull(bench.connector, sink, wire=bench.wire, clock=bench.clock)
    assert report.n_requests == 100_000 // 2500 + 2  # the opening and the closing count


@pytest.mark.parametrize("parallel", [1, 4])
def test_requests_without_packing_stay_near_the_floor(parallel: int) -> None:
    bench = Bench(replace(unpacked(BITRIX_LIKE), parallel=parallel))
    bench.crm.fill("tickets", range(1, 20_000, 2))
    report = bench.pull()
    bench.check()
    assert report.n_requests <= ceil(10_000 / 50) + 3 + 3


def test_more_requests_go_in_flight_while_answers_take_long() -> None:
    bench = Bench(replace(SMALL, parallel=4))
    bench.crm.fill("tickets", range(1, 500))
    meeting = threading.Condition()
    inside: list[int] = [0]
    most: list[int] = [0]

    class CrowdedWire(VirtualWire):
        """Answers once three requests have met, or after a while."""

        def send(self, call: Call, timeout: float) -> Answer:
            with meeting:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                meeting.notify_all()
                meeting.wait_for(lambda: most[0] >= 3, 0.2)
                inside[0] -= 1
            return super().send(call, timeout)

    bench.wire = CrowdedWire(bench.crm, bench.clock)
    bench.pull()
    bench.check()
    assert 3 <= most[0] <= 4


def test_streams_share_their_first_request() -> None:
    bench = Bench(BITRIX_LIKE, ALL)
    for name in ("tickets", "notes", "moves", "labels"):
        bench.crm.fill(name, range(1, 30))
    bench.pull()
    assert bench.wire.sizes == [3 * 3 + 1, 5]  # first, last, count of three streams and one page; then the closing counts


def test_rows_created_while_pages_are_read_are_stored_too() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 101))
    bench.wire.before = lambda n: [bench.crm.add("tickets", 101 + 7 * n + i) for i in range(7)] if n < 9 else None  # type: ignore[assignment,func-returns-value]  # a list of Nones
    bench.pull()
    stored = len(bench.sink.rows(TICKETS))
    bench.later()
    bench.pull()
    bench.check()
    assert stored > 120  # the walk follows the growing end; what comes after it is the next sync's


def test_a_full_pull_reads_everything_anew_and_appends_nothing() -> None:
    bench = Bench(SMALL, ALL)
    for name in ("tickets", "moves"):
        bench.crm.fill(name, range(1, 90))
    bench.pull()
    bench.later()
    report = bench.pull(full=True)
    assert report.streams["tickets"].received == 89
    assert sum(line.appended for line in report.streams.values()) == 0


def test_a_full_pull_finds_that_the_newest_rows_were_deleted() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 90))
    bench.pull()
    for key in (87, 88, 89):
        bench.crm.tables["tickets"].drop(key)
    bench.pull(full=True)
    bench.check()


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_quiet_night_takes_two_requests_and_appends_nothing() -> None:
    bench = Bench(BITRIX_LIKE, ALL)
    for name in ("tickets", "notes", "moves"):
        bench.crm.fill(name, range(1, 3000))
    bench.crm.fill("labels", range(1, 9))
    bench.pull()
    bench.later()
    report = bench.pull()
    assert report.n_requests == 2
    assert bench.wire.sizes == [4, 5]  # what changed; then three counts and what two streams hold beyond their last key
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


# --- dying and resuming -----------------------------------------------------------------------------------------------


def _small_world(bench: Bench) -> None:
    rng = random.Random(5)
    for name, n in (("tickets", 130), ("notes", 40), ("moves", 75)):
        bench.crm.fill(name, rng.sample(range(1, 3 * n), n))
    bench.crm.fill("labels", range(1, 7))


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
@pytest.mark.parametrize("limits", [SMALL, unpacked(SMALL), replace(SMALL, parallel=3)])
@pytest.mark.parametrize("night", [False, True])
def test_a_pull_killed_at_any_commit_resumes_to_the_same_content(moment: str, limits: Limits, night: bool) -> None:
    number = 0
    while True:
        bench = Bench(limits, ALL)
        _small_world(bench)
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
    bench, sink = _bare(BITRIX_LIKE, range(1, 900_000, 3))
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


# --- faults -----------------------------------------------------------------------------------------------------------

_HTML_502 = Answer(502, is_json=False, content_type="text/html", length=99)
_HTML_200 = Answer(200, is_json=False, content_type="text/html", length=99)
_PASSING = {
    "503": Answer(503, {"error": "slow"}),
    "500": Answer(500, {"error": "broken"}),
    "429": Answer(429, {"error": "budget"}),
    "502": _HTML_502,
    "html": _HTML_200,
    "lost": TemporaryError("the connection was reset"),
}


@pytest.mark.parametrize("name", _PASSING)
@pytest.mark.parametrize("pack", [1, 6])
@pytest.mark.parametrize("number", range(6))
def test_a_passing_fault_of_a_request_loses_nothing(name: str, pack: int, number: int) -> None:
    bench = Bench(replace(SMALL, pack=pack, budget_s=480.0), ALL, with_probe=True)
    _small_world(bench)
    bench.wire.faults = {number: _PASSING[name], number + 1: _PASSING[name]}
    report = bench.pull()
    bench.check()
    assert not report.findings
    assert report.n_slowed == (2 if name == "503" else 0)


@pytest.mark.parametrize("fault", ["slow", "budget", "broken", "too much", "absent"])
def test_a_failed_call_inside_a_pack_is_asked_again(fault: str) -> None:
    rng = random.Random(3)
    bench = Bench(replace(SMALL, budget_s=480.0), ALL)
    _small_world(bench)
    bench.crm.inner_fault = lambda name, params: fault if rng.random() < 0.05 else None
    report = bench.pull()
    bench.check()
    assert report.findings == []  # the closing count had nothing to mend
    bench.later()
    assert sum(line.appended for line in bench.pull().streams.values()) == 0


@pytest.mark.parametrize(("fault", "error"), [("expired", AccessError), ("wrong", PayloadError)])
def test_a_refused_call_fails_loudly_and_the_rest_of_its_request_is_kept(fault: str, error: type[Exception]) -> None:
    bench = Bench(SMALL, (TICKETS, LABELS))
    bench.crm.fill("tickets", range(1, 60))
    bench.crm.fill("labels", range(1, 4))
    bench.crm.inner_fault = lambda name, params: fault if params["of"] == "tickets" else None
    with pytest.raises(error, match=r"list \(tickets\)") as caught:
        bench.pull()
    assert caught.value.hint == "ask the owner"  # type: ignore[attr-defined]  # both are SourceErrors
    assert len(bench.sink.rows(LABELS)) == 3


def test_a_fault_that_stays_ends_in_a_temporary_error_after_five_tries() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.wire.faults = {n: Answer(500, {"error": "broken"}) for n in range(2, 500)}
    with pytest.raises(TemporaryError, match="5 times"):
        bench.pull()
    assert bench.wire.n <= 2 + 2 * 5
    bench.wire.faults = {}
    bench.pull()
    bench.check()


def test_a_server_that_always_fails_somewhere_is_read_as_long_as_pages_come() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 120))
    bench.pull()
    bench.later()
    for key in range(1, 120):
        bench.crm.edit("tickets", key, "won")
    bench.crm.inner_fault = lambda name, params: "broken" if name == "c2" else None
    assert bench.pull().n_retries > 5
    bench.check()


def test_no_network_gives_up_soon() -> None:
    bench = Bench(SMALL, with_probe=True)
    bench.wire.faults = dict.fromkeys(range(500), TemporaryError("no network"))
    with pytest.raises(TemporaryError, match="no network"):
        bench.pull()
    assert bench.wire.n == 5
    assert bench.clock.elapsed < 60


def test_a_server_that_cannot_cope_with_much_is_asked_for_less() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 5001))

    def cope(number: int) -> None:
        bench.wire.faults = {number: _HTML_502} if bench.wire.sizes[-1] > 12 else {}

    bench.wire.before = cope
    bench.pull()
    bench.check()
    assert max(bench.wire.sizes[4:]) <= 25


@pytest.mark.parametrize(("pause", "most"), [(0.1, 50), (70.0, 25)])
def test_a_request_that_timed_out_is_asked_again_smaller(pause: float, most: int) -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 10_001))
    bench.wire.faults = {2: TemporaryError("the connection was reset")}
    bench.wire.before = lambda n: bench.clock.sleep(pause) if n == 2 else None
    bench.pull()
    bench.check()
    assert max(bench.wire.sizes[3:]) == most


def test_somebody_else_spends_the_same_limit() -> None:
    bench, sink = _bare(BITRIX_LIKE, range(1, 200_001))

    def spend(number: int) -> None:
        bench.wire.counter += 1.0  # every second request is theirs

    bench.wire.before = spend
    report = engine.pull(bench.connector, sink, wire=bench.wire, clock=bench.clock)
    assert len(sink.numbers) == 200_000
    assert 0 < report.n_slowed < 20


def test_rejections_without_end_are_given_up() -> None:
    bench = Bench(SMALL)
    bench.wire.faults = dict.fromkeys(range(2500), Answer(503, {"error": "slow"}))
    with pytest.raises(TemporaryError, match="too fast"):
        bench.pull()
    assert bench.clock.elapsed > 300


@pytest.mark.parametrize("ignored", ["after", "order", "upto"])
@pytest.mark.parametrize("pack", [1, 6])
def test_a_server_that_ignores_filter_or_order_fails(ignored: str, pack: int) -> None:
    bench = Bench(replace(SMALL, pack=pack, parallel=1 if pack > 1 else 2))
    bench.crm.fill("tickets", random.Random(4).sample(range(1, 1000), 100))
    bench.crm.ignores = {ignored}
    with pytest.raises(PayloadError, match="tickets"):
        bench.pull()
    assert bench.wire.n < 40


def test_an_endless_dictionary_fails() -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 30))
    bench.crm.ignores = {"offset"}
    with pytest.raises(PayloadError, match="does not end"):
        bench.pull()
    assert bench.wire.n < 10


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_an_exhausted_budget_waits_for_the_reset_and_goes_on() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 100))
    bench.crm.inner_fault = lambda name, params: "budget" if 20 < bench.clock.elapsed - 3 < 90 or bench.wire.n == 3 else None
    bench.pull()
    bench.check()


def test_refusals_with_answers_between_are_tried_again_soon() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 200))
    bench.crm.inner_fault = lambda name, params: "budget" if bench.wire.n in (3, 5, 7, 9) else None
    bench.pull()
    bench.check()
    assert bench.clock.elapsed < 20  # no rest until the reset, which is 100 s away


def test_a_method_out_of_budget_is_refused_a_few_times_at_most() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 100))
    bench.crm.inner_fault = lambda name, params: "budget" if 0.15 < bench.clock.elapsed < 95 else None
    bench.pull()
    bench.check()
    n_refused = sum(0.15 < at < 95 for at in bench.wire.sent_at)
    assert n_refused <= 4  # one refusal, two short tries, then it rests until the reset


def test_spending_slows_down_before_the_budget_is_used_up() -> None:
    bench = Bench(replace(SMALL, budget_s=100.0))
    bench.crm.fill("tickets", range(1, 200))
    bench.crm.cost_s = 1.8
    report = bench.pull()
    bench.check()
    gaps = [later - sooner for sooner, later in pairwise(bench.wire.sent_at)]
    assert max(gaps[:6]) < 1.0
    assert 2.0 < gaps[-2] < gaps[-1] < 8.0  # 86 %, then 97 % of the budget
    assert report.n_retries == 0


def test_a_budget_that_never_frees_is_given_up() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 100))
    bench.crm.inner_fault = lambda name, params: "budget"
    with pytest.raises(TemporaryError, match="refused for"):
        bench.pull()
    assert bench.wire.n < 60


# --- deletions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [SMALL, unpacked(SMALL), replace(SMALL, parallel=3)])
def test_deleted_rows_are_found_exactly(limits: Limits) -> None:
    bench = Bench(limits)
    bench.crm.fill("tickets", range(1, 400, 2))
    bench.pull()
    bench.later()
    rng = random.Random(1)
    for key in rng.sample(bench.crm.tables["tickets"].order, 19):
        bench.crm.tables["tickets"].drop(key)
    report = bench.pull()
    bench.check()
    assert report.streams["tickets"].deleted == 19
    bench.later()
    assert bench.pull().streams["tickets"].deleted == 0


def test_thirty_deletions_of_twenty_thousand_cost_a_few_requests() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 20_001))
    bench.pull()
    bench.later()
    for key in random.Random(2).sample(range(1, 20_001), 30):
        bench.crm.tables["tickets"].drop(key)
    report = bench.pull()
    bench.check()
    assert report.streams["tickets"].deleted == 30
    assert report.n_requests <= 9


def test_hidden_rows_are_told_and_not_deleted() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 200))
    bench.pull()
    bench.later()
    for key in (5, 50, 100):
        bench.crm.tables["tickets"].rows[key].is_hidden = True
    bench.crm.tables["tickets"].drop(7)
    report = bench.pull()
    bench.check()
    assert [(one.code, one.severity, one.n) for one in report.findings] == [("rights_shrunk", "warning", 3)]


def test_rights_that_shrank_much_stop_the_hunt() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 200))
    bench.pull()
    bench.later()
    for key in range(1, 100):
        bench.crm.tables["tickets"].rows[key].is_hidden = True
    report = bench.pull()
    bench.check()
    assert [(one.code, one.severity, one.n) for one in report.findings] == [("rights_shrunk", "error", 99)]
    assert report.n_requests <= 3


def test_rights_that_shrank_are_not_masked_by_rows_that_appear() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(2, 402, 2))
    bench.pull()
    bench.later()
    for key in range(2, 92, 2):
        bench.crm.tables["tickets"].rows[key].is_hidden = True
    for key in range(201, 261, 2):
        bench.crm.add("tickets", key, modified_at=START - timedelta(days=30))
    report = bench.pull()
    bench.check()
    told = {(one.code, one.severity, one.n) for one in report.findings}
    assert told == {("rights_shrunk", "error", 45), ("rows_recovered", "warning", 30)}


def test_an_old_row_above_all_keys_known_is_found_once_it_may_be_seen() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.crm.tables["tickets"].rows[59].is_hidden = True
    bench.pull()
    bench.later()
    bench.crm.tables["tickets"].rows[59].is_hidden = False
    bench.pull()
    bench.check()


def test_a_row_the_list_forgets_and_the_crm_still_has_is_kept() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.pull()
    bench.later()
    table = bench.crm.tables["tickets"]
    table.rows[20].is_hidden = True

    def back(number: int) -> None:
        if any(method == "get" for method, _ in bench.wire.calls[-1].params["calls"].values()):
            table.rows[20].is_hidden = False
            table.rows[20].stage = "restored"

    bench.wire.before = back
    report = bench.pull()
    bench.check()
    assert (report.streams["tickets"].deleted, report.findings) == (0, [])


def test_faults_while_deletions_are_hunted_delete_nothing_wrong() -> None:
    rng = random.Random(8)
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 400))
    bench.pull()
    bench.later()
    for key in rng.sample(range(1, 400), 12):
        bench.crm.tables["tickets"].drop(key)
    bench.crm.inner_fault = lambda name, params: rng.choice(["broken", "slow", "absent"]) if rng.random() < 0.1 else None
    bench.pull()
    bench.check()


def test_an_access_error_while_confirming_deletes_nothing() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.pull()
    bench.later()
    bench.crm.tables["tickets"].drop(20)
    bench.crm.inner_fault = lambda name, params: "expired" if "key" in params else None
    with pytest.raises(AccessError, match=r"get \(tickets\)"):
        bench.pull()
    assert len(bench.sink.rows(TICKETS)) == 59


def test_dictionary_rows_that_are_gone_are_deleted() -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 15))
    bench.pull()
    bench.crm.tables["labels"].drop(3)
    bench.crm.tables["labels"].drop(14)
    report = bench.pull()
    bench.check()
    assert report.streams["labels"].deleted == 2


@pytest.mark.parametrize("left", [0, 4])
def test_a_dictionary_that_lost_most_of_its_rows_is_not_believed(left: int) -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 15))
    bench.pull()
    for key in range(1, 15 - left):
        bench.crm.tables["labels"].drop(key)
    report = bench.pull()
    assert len(bench.sink.rows(LABELS)) == 14
    assert [(one.code, one.severity, one.n) for one in report.findings] == [("rights_shrunk", "error", 14 - left)]


def test_a_dictionary_row_that_slips_between_pages_is_not_deleted() -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 15))
    bench.pull()
    bench.later()
    bench.wire.before = lambda n: bench.crm.tables["labels"].drop(1) if n == 1 else None  # row 5 moves onto the first page
    bench.pull()
    stored = {int(key[-1]) for key in bench.sink.rows(LABELS)}
    assert stored == set(range(1, 15))  # row 1 was seen on the first page: it is kept until a read does not show it
    bench.pull()
    bench.check()


# --- what is told -----------------------------------------------------------------------------------------------------


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
