"""Full exports: what is stored, and how many requests it took."""

import random
import threading
from dataclasses import replace
from math import ceil

import pytest

from connectors import engine
from connectors.contract import Answer, Call, Limits
from tests.connectors.engine_bench import ALL, Bench, bare
from tests.connectors.packed_crm import (
    BITRIX_LIKE,
    SMALL,
    TICKETS,
    VirtualWire,
    unpacked,
)
from tests.variants import first


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


@pytest.mark.parametrize("n", first(1, [100_000, 500_000]))
@pytest.mark.parametrize("gap", first(2, [1, 10, 3]))
@pytest.mark.parametrize("parallel", [1, 8])
def test_requests_stay_near_the_floor_and_none_is_rejected(n: int, gap: int, parallel: int) -> None:
    bench, sink = bare(replace(BITRIX_LIKE, parallel=parallel), range(1000, 1000 + n * gap, gap))
    report = engine.pull(bench.connector, sink, wire=bench.wire, clock=bench.clock)
    assert sorted(sink.numbers) == bench.crm.tables["tickets"].order
    assert report.n_requests <= 1.1 * n / 2500 + 2
    assert (bench.wire.n_rejected, report.n_slowed) == (0, 0)


def test_unevenly_gapped_ids_are_still_read_with_full_requests() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", [*range(1, 1001), *range(10_000_000, 10_050_000)])
    report = bench.pull()
    bench.check()
    assert report.n_requests <= 3 * 51_000 / 2500


def test_a_dense_export_takes_the_floor_and_two_more() -> None:
    bench, sink = bare(BITRIX_LIKE, range(1, 100_001))
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
