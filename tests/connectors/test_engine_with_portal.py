"""The engine, the wire and the Bitrix24 connector against the demo portal over HTTP: nothing is lost, whatever goes wrong."""

from collections.abc import Iterator
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from connectors import engine
from connectors.bitrix24 import Bitrix24, Options
from connectors.contract import Stream, Surroundings, SyncReport
from connectors.demo import DemoPortal, Fault, PortalOptions, bulk
from connectors.errors import AccessError, PayloadError, SourceError
from connectors.memory import MemorySink
from connectors.pacing import SystemClock
from connectors.records import Lead
from connectors.secrets import Secret

N = 4_000
MOSCOW = Surroundings(ZoneInfo("Europe/Moscow"), Secret("a key of this house"))


class HastyClock(SystemClock):
    """Waits a thousandth of what it is asked to, and believes it."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        self._skipped += seconds
        super().sleep(seconds / 1000)


@pytest.fixture
def portal() -> Iterator[DemoPortal]:
    store = bulk.build(n=N, seed=3, gap_share=0.1)
    with DemoPortal(store, PortalOptions(has_limits=False)) as portal:
        yield portal


def leads_only(stream: Stream) -> bool:
    return stream.name == "leads"


def pull(portal: DemoPortal, sink: MemorySink) -> SyncReport:
    connector = Bitrix24.open(Options(webhook=Secret(portal.webhook_url), entities=("leads",), contacts=False), MOSCOW)
    return engine.pull(connector, sink, clock=HastyClock(), only=leads_only)


def ids(sink: MemorySink) -> list[int]:
    return sorted(int(key[-1]) for key in sink.rows(Stream("leads", Lead)))


def has_all(portal: DemoPortal, sink: MemorySink) -> bool:
    table = portal.store.table("lead")
    return ids(sink) == table.ids[table.alive[: table.n]].tolist()


LIST = "crm.lead.list"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("batch", "html502", times=2, after=1),
        Fault("batch", "html200", after=2),
        Fault("batch", "truncated", after=1),
        Fault("batch", "close", times=2, after=1),
        Fault("batch", "limit", times=3, after=1),
        Fault("batch", "error500", times=3, after=2),
        Fault("batch", "operating", times=2, after=2),
        Fault(LIST, "operating", times=3, after=20),
        Fault(LIST, "error500", times=2, after=30),
        Fault(LIST, "limit", times=1, after=11),
        Fault(LIST, "error", after=40),
        Fault(LIST, "general", times=2, after=70),
    ],
    ids=lambda fault: f"{fault.match}-{fault.action}",
)
def test_passing_faults_lose_nothing(portal: DemoPortal, fault: Fault) -> None:
    portal.fail(fault)
    sink = MemorySink()
    report = pull(portal, sink)
    assert has_all(portal, sink)
    assert report.streams["leads"].appended == N
    assert report.findings == []
    assert report.n_slowed + report.n_retries > 0


def test_a_page_that_is_wrongly_empty_is_made_up_for_and_told(portal: DemoPortal) -> None:
    portal.fail(Fault(LIST, "empty_page", after=5))  # one of the first pages of a shard, whichever request comes first
    sink = MemorySink()
    report = pull(portal, sink)
    assert has_all(portal, sink)
    assert {one.code for one in report.findings} == {"rows_recovered"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("batch", "credentials", after=1), AccessError),
        (Fault("batch", "redirect", after=1, value="https://renamed.example"), AccessError),
        (Fault("batch", "overload", after=1), AccessError),
        (Fault(LIST, "scope", times=-1), AccessError),
        (Fault(LIST, "ignore_filter", times=-1), PayloadError),
        (Fault(LIST, "ignore_order", times=-1), PayloadError),
    ],
    ids=lambda one: getattr(one, "action", ""),
)
def test_what_a_person_must_mend_is_raised_and_the_next_pull_goes_on(
    portal: DemoPortal, fault: Fault, error: type[SourceError]
) -> None:
    portal.fail(fault)
    sink = MemorySink()
    with pytest.raises(error) as caught:
        pull(portal, sink)
    assert caught.value.hint
    assert "demo0secret0" not in f"{caught.value} {caught.value.hint}"
    portal.heal()
    pull(portal, sink)
    assert has_all(portal, sink)


def test_a_living_portal_ends_up_the_same(portal: DemoPortal) -> None:
    sink = MemorySink()
    every = [int(one) for one in portal.store.table("lead").ids]
    for i in range(12):
        portal.after(2, partial(portal.delete_lead, every[i * 300 + 7]))
        portal.after(3 + i % 3, partial(portal.insert_lead, STATUS_ID="NEW"))
        portal.after(2, partial(portal.update_lead, every[i * 200 + 50], STATUS_ID="JUNK"))
    pull(portal, sink)
    for i in range(9):
        portal.delete_lead(every[i * 400 + 11])
    report = pull(portal, sink)
    assert has_all(portal, sink)
    assert report.streams["leads"].deleted == 9
    assert report.n_requests <= 6
    quiet = pull(portal, sink)
    assert quiet.n_requests == 3  # probes, what changed, the closing count
    assert quiet.streams["leads"].appended == quiet.streams["leads"].deleted == 0


def test_hidden_leads_are_not_deleted(portal: DemoPortal) -> None:
    sink = MemorySink()
    pull(portal, sink)
    portal.fail(Fault(LIST, "hide", times=-1, value=0.3))
    report = pull(portal, sink)
    assert len(ids(sink)) == N
    assert [(one.code, one.severity) for one in report.findings] == [("rights_shrunk", "error")]
