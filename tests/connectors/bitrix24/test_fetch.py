"""Rows fetched by key against the demo portal over real HTTP: what is stored is what the portal has, and no walk notices."""

import json
from datetime import date

import pytest

from connectors.bitrix24 import Bitrix24, Options
from connectors.demo import ALWAYS, DemoPortal, Fault, PortalOptions, salon
from connectors.engine import fetch, pull
from connectors.errors import AccessError, PayloadError
from connectors.memory import MemorySink
from connectors.records import Deal, Lead, StageChange
from connectors.secrets import Secret


@pytest.fixture
def portal():
    store = salon.build(seed=5, today=date(2026, 11, 16), weeks=12, weeks_after=4, leads_per_week=40.0)
    with DemoPortal(store, PortalOptions(has_limits=False)) as portal:
        yield portal


@pytest.fixture
def connector(portal, surroundings):
    return Bitrix24.open(Options(webhook=Secret(portal.webhook_url)), surroundings)


@pytest.fixture
def synced(connector):
    sink = MemorySink()
    pull(connector, sink)
    return sink


def ids(portal, entity):
    table = portal.store.table(entity)
    return [int(key) for key in table.ids[table.alive[: table.n]]]


def known(sink):
    """Leads, deals and moves by key, less the time of the last change, which alone makes no new version."""
    rows = [row for kind in (Lead, Deal, StageChange) for row in sink.live(kind)]
    return {
        (type(row).__name__, *(getattr(row, name) for name in row.KEY)): {
            name: getattr(row, name) for name in row.__dataclass_fields__ if name not in row.IGNORED
        }
        for row in rows
    }


def fresh(connector):
    sink = MemorySink()
    pull(connector, sink)
    return sink


def states(sink, connector):
    return {stream.name: json.dumps(sink.state(stream)) for stream in connector.streams()}


def test_changed_new_and_deleted_rows_come_with_their_moves_and_no_walk_notices(portal, connector, synced):
    leads = [int(lead.lead_id) for lead in synced.live(Lead) if lead.stage_id != "JUNK"]
    deals = [int(deal.deal_id) for deal in synced.live(Deal) if deal.stage_id != "WON"]
    before = states(synced, connector)
    n_moves = len(synced.live(StageChange))
    portal.update_lead(leads[3], STATUS_ID="JUNK")
    portal.update_deal(deals[4], STAGE_ID="WON")
    portal.delete_lead(leads[5])
    new = portal.insert_lead(SOURCE_ID="CALL")
    portal.update_lead(new, STATUS_ID="IN_PROCESS")
    report = fetch(connector, synced, {"leads": [leads[3], leads[5], new, new], "deals": [deals[4]]})
    found = {int(lead.lead_id): lead for lead in synced.live(Lead)}
    assert found[leads[3]].stage_id == "JUNK"
    assert found[new].stage_id == "IN_PROCESS"
    assert leads[5] not in found
    assert len(synced.live(StageChange)) == n_moves + 4  # JUNK, WON, and both of the new lead; moves of deleted leads stay
    assert states(synced, connector) == before
    assert report.streams["leads"].deleted == 1
    assert report.n_requests == 3  # probes, rows with moves, one fate
    n_versions = synced.n_versions
    pull(connector, synced)
    assert synced.n_versions == n_versions  # the night finds nothing that was not known


def test_a_row_said_to_be_deleted_that_is_alive_or_hidden_is_not_deleted(portal, connector, synced):
    leads = ids(portal, "lead")
    key = leads[7]
    fetch(connector, synced, {"leads": [key]})  # as after a false DELETE event, or one overtaken by a restore
    assert any(lead.lead_id == str(key) for lead in synced.live(Lead))
    portal.fail(Fault("crm.lead.*", "hide", times=ALWAYS, value=1.0))
    report = fetch(connector, synced, {"leads": [key]})
    assert any(lead.lead_id == str(key) for lead in synced.live(Lead))
    assert [(one.code, one.n) for one in report.findings] == [("rights_shrunk", 1)]


def test_a_row_the_list_does_not_show_yet_is_read_again(portal, connector, synced):
    key = ids(portal, "lead")[9]
    portal.update_lead(key, STATUS_ID="JUNK")
    portal.fail(Fault("crm.lead.list", "empty_page"))
    fetch(connector, synced, {"leads": [key]})
    assert next(lead for lead in synced.live(Lead) if lead.lead_id == str(key)).stage_id == "JUNK"


def test_when_half_of_the_rows_vanish_at_once_nothing_is_deleted(portal, connector, synced):
    leads, n_before = ids(portal, "lead"), len(synced.live(Lead))
    gone = leads[: len(leads) // 2]
    for key in gone:
        portal.delete_lead(key)
    report = fetch(connector, synced, {"leads": gone})
    assert len(synced.live(Lead)) == n_before
    assert [(one.code, one.severity) for one in report.findings] == [("rights_shrunk", "error")]


def test_many_rows_are_asked_for_in_pages_that_share_requests(portal, connector, synced):
    leads, deals = ids(portal, "lead"), ids(portal, "deal")
    for key in leads[::2]:
        portal.update_lead(key, STATUS_ID="JUNK")
    for key in deals[::3]:
        portal.update_deal(key, STAGE_ID="LOSE")
    report = fetch(connector, synced, {"leads": leads[::2], "deals": deals[::3]})
    assert len(leads[::2]) > 200
    assert report.n_requests <= 5
    assert known(synced) == known(fresh(connector))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("crm.stagehistory.list", "error500", times=2),
        Fault("crm.lead.list", "limit"),
        Fault("batch", "html502", after=1),
        Fault("batch", "close", after=1),
        Fault("crm.lead.get", "general"),
    ],
    ids=lambda fault: f"{fault.match}-{fault.action}",
)
def test_a_passing_fault_is_asked_again(portal, connector, synced, fault):
    leads = ids(portal, "lead")
    portal.update_lead(leads[0], STATUS_ID="JUNK")
    portal.delete_lead(leads[1])
    portal.fail(fault)
    fetch(connector, synced, {"leads": leads[:2]})
    assert portal.counters()["faults"] >= 1
    found = {lead.lead_id: lead.stage_id for lead in synced.live(Lead)}
    assert found[str(leads[0])] == "JUNK"
    assert str(leads[1]) not in found


@pytest.mark.parametrize("method", ["crm.lead.list", "crm.stagehistory.list"])
def test_a_server_that_ignores_the_filter_is_refused_before_anything_is_stored(portal, connector, synced, method):
    n_versions = synced.n_versions
    portal.fail(Fault(method, "ignore_filter", times=ALWAYS))
    with pytest.raises(PayloadError):
        fetch(connector, synced, {"leads": ids(portal, "lead")[100:110]})
    assert synced.n_versions == n_versions


def test_a_dead_webhook_is_said_and_nothing_changes(portal, connector, synced):
    portal.fail(Fault("*", "credentials", times=ALWAYS))
    n_versions = synced.n_versions
    with pytest.raises(AccessError) as caught:
        fetch(connector, synced, {"leads": ids(portal, "lead")[:3]})
    assert portal.options.secret not in f"{caught.value} {caught.value.hint}"
    assert synced.n_versions == n_versions


def test_an_unreadable_row_is_quarantined_and_recovers(portal, connector, synced, stream):
    key = ids(portal, "lead")[11]
    portal.update_lead(key, OPPORTUNITY="12 000 руб")
    assert fetch(connector, synced, {"leads": [key]}).streams["leads"].rejected == 1
    assert str(key) in {reject.key for reject in synced.rejects(stream(connector, "leads"))}
    portal.update_lead(key, OPPORTUNITY="12000.00")
    fetch(connector, synced, {"leads": [key]})
    assert str(key) not in {reject.key for reject in synced.rejects(stream(connector, "leads"))}
    assert known(synced) == known(fresh(connector))


def test_a_stream_the_portal_does_not_offer_is_passed_over(portal, surroundings, synced):
    deals_only = Bitrix24.open(Options(webhook=Secret(portal.webhook_url), entities=("deals",)), surroundings)
    n_versions = synced.n_versions
    fetch(deals_only, synced, {"leads": ids(portal, "lead")[:2], "nonsense": [1]})
    assert synced.n_versions == n_versions


def test_told_to_stop_it_ends_between_two_requests_and_says_so(portal, connector, synced):
    leads = ids(portal, "lead")
    portal.update_lead(leads[0], STATUS_ID="JUNK")
    report = fetch(connector, synced, {"leads": leads[:1]}, stop=lambda: True)
    assert [one.code for one in report.findings] == ["stopped"]
