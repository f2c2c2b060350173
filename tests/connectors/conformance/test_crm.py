"""The kit's own parts: a CRM that forgets a row or a limit that never bites would make every proof worthless."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.conformance.crm import FakeCrm
from connectors.conformance.fake import FakeWire
from connectors.conformance.faults import Fault, scattered
from connectors.conformance.line import VirtualClock, VirtualWire
from connectors.contract import Answer, Call, Connector, Limits, Stream, Surroundings
from connectors.records import Lead

LEADS = Stream("leads", Lead, is_incremental=True)
NOW = datetime(2026, 11, 16, 3, 0)


@pytest.fixture
def crm() -> FakeCrm:
    crm = FakeCrm(random.Random(5), NOW, ZoneInfo("America/New_York"), 10, "n/a")
    crm.fill(LEADS, 40, gap=0.3, ties=13)
    return crm


def test_pages_by_key_and_by_offset_hold_every_row_once(crm: FakeCrm) -> None:
    keys = crm.tables["leads"].keys
    assert len(set(keys)) == 40
    assert keys[-1] > 40  # gaps
    by_key: list[int] = []
    while page := crm.select("leads", after=by_key[-1] if by_key else 0, limit=10).rows:
        by_key += [row.key for row in page]
    by_offset = [row.key for start in range(0, 40, 10) for row in crm.select("leads", start=start, limit=10).rows]
    assert by_key == by_offset == keys
    assert [crm.select("leads", start=start, limit=10).more for start in (0, 29, 30)] == [True, True, False]
    assert crm.select("leads", is_descending=True, limit=1).rows[0].key == keys[-1]


def test_a_window_of_changes_holds_ties_and_edits(crm: FakeCrm) -> None:
    table = crm.tables["leads"]
    stamps = [row.modified for row in table.rows.values()]
    tied = max(set(stamps), key=stamps.count)
    assert stamps.count(tied) == 13  # more than a page of them
    assert crm.select("leads", since=tied).total == sum(stamp >= tied for stamp in stamps)
    crm.edit(table, modified=NOW + timedelta(days=2))
    assert crm.select("leads", since=NOW).total == 1


def test_deleted_and_hidden_rows_are_not_shown_but_told_apart(crm: FakeCrm) -> None:
    gone, hidden = crm.delete(crm.tables["leads"]), crm.hide(crm.tables["leads"])
    assert gone is not None
    assert hidden is not None
    assert {gone.key, hidden.key}.isdisjoint(row.key for row in crm.select("leads").rows)
    assert crm.select("leads", keys=[gone.key, hidden.key]).total == 0
    assert crm.find("leads", gone.key) is gone
    assert gone.is_deleted
    assert not hidden.is_deleted


@pytest.mark.parametrize("ignored", ["filter", "order", "start"])
def test_a_lying_server_lies(crm: FakeCrm, ignored: str) -> None:
    honest = [row.key for row in crm.select("leads", after=5, start=3, limit=10).rows]
    crm.ignores = frozenset({ignored})
    assert [row.key for row in crm.select("leads", after=5, start=3, limit=10).rows] != honest


@pytest.mark.parametrize("month", [1, 7])
def test_times_are_written_with_the_offset_of_their_season(crm: FakeCrm, month: int) -> None:
    at = datetime(2026, month, 16, 3, 0, 5)
    text = crm.local(at)
    assert datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) == at
    assert text.endswith("-05:00" if month == 1 else "-04:00")


def test_a_spent_budget_frees_when_its_window_has_passed(crm: FakeCrm) -> None:
    crm.budget_s, crm.cost_s = 100.0, 40.0
    assert [crm.spend("list") for _ in range(4)] == [None, None, None, Fault.BUDGET]
    assert crm.spend("other") is None
    reset_at = crm.meter("list").reset_at
    assert reset_at == NOW + timedelta(minutes=10)
    crm.now = reset_at
    assert crm.spend("list") is None


def test_the_bucket_rejects_what_overflows_and_drains(crm: FakeCrm) -> None:
    class Echo(FakeWire):
        def connector(self, surroundings: Surroundings, canary: str) -> Connector:
            raise AssertionError("no connector is made here")

        def answer(self, call: Call, crm: FakeCrm) -> Answer:
            return Answer(200, {})

    clock = VirtualClock(NOW, timedelta(hours=2))
    wire = VirtualWire(Echo(), crm, clock, Limits(rate=2, burst=5, page=10), None)
    wire.latency = (0.0, 0.0)
    assert [wire.send(Call("x"), 1.0).status for _ in range(7)] == [200] * 5 + [429] * 2
    clock.sleep(1.0)
    assert [wire.send(Call("x"), 1.0).status for _ in range(3)] == [200, 200, 429]
    assert wire.n_rejected == 3
    assert clock.now() - clock.server() == timedelta(hours=2)


def test_scattered_faults_never_outlast_four_tries() -> None:
    plan = scattered(random.Random(1), (Fault.BROKEN,), share=0.9, span=500)
    assert len(plan) > 300
    assert all(not {number, number + 1, number + 2, number + 3} <= plan.keys() for number in range(500))
