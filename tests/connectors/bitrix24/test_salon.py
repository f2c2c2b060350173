"""The connector and the engine against the demo portal over real HTTP: all the portal has is stored as the portal has it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import requests

from connectors.bitrix24 import Bitrix24, Options
from connectors.demo import DemoPortal, Fault, PortalOptions, salon
from connectors.engine import pull
from connectors.errors import AccessError
from connectors.memory import MemorySink
from connectors.secrets import Secret

MOSCOW = ZoneInfo("Europe/Moscow")
PLAN = {"weeks": 20, "weeks_after": 4, "leads_per_week": 60.0}


@pytest.fixture
def portal():
    store = salon.build(seed=11, today=date(2026, 11, 16), **PLAN)
    with DemoPortal(store, PortalOptions(has_limits=False)) as portal:
        yield portal


@pytest.fixture
def sync(surroundings):
    """One sync of a portal into a sink."""

    def sync(portal, sink, **options):
        return pull(Bitrix24.open(Options(webhook=Secret(portal.webhook_url), **options), surroundings), sink)

    return sync


def rows_of(portal, method, box=None, **params):
    """All rows of a list, page by page, by plain requests."""
    rows = []
    while True:
        conditions = {">ID": rows[-1]["ID"] if rows else 0}
        body = {"order": {"ID": "ASC"}, "filter": conditions, "start": -1, "select": ["*", "UF_*", "PHONE", "EMAIL"]} | params
        answer = requests.post(portal.webhook_url + method, json=body, timeout=30).json()["result"]
        page = answer[box] if box else answer
        rows += page
        if len(page) < 50:
            return rows


def stored(sink, record_key, name, streams):
    return {getattr(record, record_key): record for record in sink.rows(streams[name]).values()}


@pytest.fixture
def streams(surroundings):
    connector = Bitrix24.open(Options(webhook=Secret("https://p.bitrix24.ru/rest/1/x/")), surroundings)
    return {stream.name: stream for stream in connector.streams()}


def instant(text):
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) if text else None


def is_readable(row):
    return row["OPPORTUNITY"] != "12 000 руб" and not row["DATE_CREATE"].startswith("0000")


def test_every_lead_is_stored_as_the_portal_has_it(portal, sync, streams):
    portal.update_lead(int(rows_of(portal, "crm.lead.list")[100]["ID"]), OPPORTUNITY="12 000 руб")
    sink = MemorySink()
    report = sync(portal, sink, branch="Филиал", custom_fields={"service": "Услуга"})
    portal_rows = rows_of(portal, "crm.lead.list")
    good = {row["ID"]: row for row in portal_rows if is_readable(row)}
    bad = {row["ID"] for row in portal_rows} - good.keys()
    assert len(good) > 1000
    assert bad
    leads = stored(sink, "lead_id", "leads", streams)
    assert leads.keys() == good.keys()
    assert {reject.key for reject in sink.rejects(streams["leads"])} == bad
    assert report.streams["leads"].rejected == len(bad)
    services = {item["ID"]: item["VALUE"] for item in field_named(portal, "Услуга")["items"]}
    for key, row in good.items():
        lead = leads[key]
        assert lead.created_at == instant(row["DATE_CREATE"])
        assert lead.created_on == datetime.fromisoformat(row["DATE_CREATE"]).astimezone(MOSCOW).date()
        assert lead.modified_at == instant(row["DATE_MODIFY"])
        assert lead.moved_at == instant(row["MOVED_TIME"])
        assert (lead.stage_id, lead.semantics) == (
            row["STATUS_ID"],
            {"P": "open", "S": "won", "F": "lost"}[row["STATUS_SEMANTIC_ID"]],
        )
        assert lead.owner_id == row["ASSIGNED_BY_ID"]
        assert lead.amount == Decimal(row["OPPORTUNITY"])
        assert lead.contact_id == (row["CONTACT_ID"] if row["CONTACT_ID"] not in (None, "", "0") else None)
        assert lead.branch == row["UF_CRM_1700000001"]
        service = services.get(row["UF_CRM_1700000002"])
        assert lead.extra == (f'{{"service":"{service}"}}' if service else None)
        for part in ("source", "medium", "campaign", "content", "term"):
            value = getattr(lead, f"utm_{part}")
            raw = row[f"UTM_{part.upper()}"]
            assert (value is None) == (not (raw or "").strip())
            assert value is None or (value == value.casefold().strip() and "  " not in value and len(value) <= 600)
    assert {finding.code for finding in report.findings} == {"rows_quarantined"}


def field_named(portal, title):
    fields = requests.post(portal.webhook_url + "crm.lead.fields", timeout=30).json()["result"]
    return next(about for about in fields.values() if title in (about.get("formLabel"), about.get("listLabel")))


def test_one_person_has_one_hash_whatever_the_spelling(portal, sync, streams):
    sink = MemorySink()
    sync(portal, sink)
    by_digits = {}
    leads = stored(sink, "lead_id", "leads", streams)
    for row in rows_of(portal, "crm.lead.list"):
        if row.get("PHONE") and row["ID"] in leads:
            digits = "".join(filter(str.isdigit, row["PHONE"][0]["VALUE"]))[-10:]
            by_digits.setdefault(digits, set()).add(leads[row["ID"]].customer_hash)
    assert len(by_digits) > 500
    assert all(len(hashes) == 1 and None not in hashes for hashes in by_digits.values())
    assert len(set().union(*by_digits.values())) == len(by_digits)


def test_deals_history_and_dictionaries_are_complete(portal, sync, streams):
    sink = MemorySink()
    sync(portal, sink)
    deals = {row["ID"]: row for row in rows_of(portal, "crm.deal.list") if is_readable(row)}
    found = stored(sink, "deal_id", "deals", streams)
    assert found.keys() == deals.keys()
    assert all(found[key].lead_id == row["LEAD_ID"] and found[key].stage_id == row["STAGE_ID"] for key, row in deals.items())
    for name, entity, column in (("lead_history", 1, "STATUS_ID"), ("deal_history", 2, "STAGE_ID")):
        rows = rows_of(portal, "crm.stagehistory.list", "items", entityTypeId=entity)
        moves = stored(sink, "change_id", name, streams)
        assert {(key, move.entity_id, move.stage_id, move.moved_at) for key, move in moves.items()} == {
            (row["ID"], row["OWNER_ID"], row[column], instant(row["CREATED_TIME"])) for row in rows
        }
    stages = {(stage.entity, stage.stage_id): stage.name for stage in sink.rows(streams["stages"]).values()}
    assert stages["deal", "APOLOGY"] == "Не пришёл"
    assert {move.stage_id for move in stored(sink, "change_id", "lead_history", streams).values()} <= {key for _, key in stages}
    owners = stored(sink, "owner_id", "owners", streams)
    assert {row["ASSIGNED_BY_ID"] for row in deals.values()} <= owners.keys()
    assert [owner for owner in owners.values() if not owner.is_active]  # the dismissed one is among them
    sources = {row.crm_source for row in sink.rows(streams["crm_sources"]).values()}
    assert {lead.crm_source for lead in sink.rows(streams["leads"]).values()} - {None} <= sources


def test_changes_arrive_the_next_night_and_nothing_else(portal, sync, streams):
    sink = MemorySink()
    sync(portal, sink)
    before = sink.n_versions
    report = sync(portal, sink)
    assert sink.n_versions == before
    assert sum(line.appended for line in report.streams.values()) == 0
    ids = [int(row["ID"]) for row in rows_of(portal, "crm.lead.list") if is_readable(row)]
    portal.update_lead(ids[3], STATUS_ID="JUNK")
    portal.delete_lead(ids[5])
    new = portal.insert_lead(SOURCE_ID="CALL", UTM_SOURCE="VK")
    sync(portal, sink)
    leads = stored(sink, "lead_id", "leads", streams)
    assert leads[str(ids[3])].stage_id == "JUNK"
    assert str(ids[5]) not in leads
    assert leads[str(new)].utm_source == "vk"


def test_faults_inside_a_batch_lose_nothing(portal, sync, streams):
    portal.fail(
        Fault("crm.lead.list", "operating", times=2, after=3),
        Fault("crm.deal.list", "error500", times=2, after=2),
        Fault("crm.stagehistory.list", "error", times=1, after=5),
        Fault("batch", "html502", times=1, after=1),
    )
    sink = MemorySink()
    report = sync(portal, sink)
    assert report.n_retries > 0
    assert stored(sink, "lead_id", "leads", streams).keys() == {
        row["ID"] for row in rows_of(portal, "crm.lead.list") if is_readable(row)
    }


def test_a_simple_mode_portal_gives_deals_only(sync, streams):
    store = salon.build(seed=11, today=date(2026, 11, 16), mode="simple", **PLAN)
    with DemoPortal(store, PortalOptions(has_limits=False, scopes=("crm",), history_types="integer")) as portal:
        sink = MemorySink()
        report = sync(portal, sink)
        assert not {"leads", "lead_history", "owners"} & report.streams.keys()
        deals = stored(sink, "deal_id", "deals", streams)
        assert deals.keys() == {row["ID"] for row in rows_of(portal, "crm.deal.list") if is_readable(row)}
        assert any(deal.owner_id for deal in deals.values())
        assert ("scope_missing", "owners") in {(finding.code, finding.subject) for finding in report.findings}


@pytest.mark.parametrize(
    ("action", "words"),
    [("credentials", "INVALID_CREDENTIALS"), ("scope", "INSUFFICIENT_SCOPE"), ("plan", "ACCESS_DENIED"), ("redirect", "moved")],
)
def test_what_a_person_must_mend_is_said_without_the_password(portal, sync, action, words):
    portal.fail(Fault("*", action, times=-1, value="https://new.bitrix24.ru" if action == "redirect" else None))
    with pytest.raises(AccessError) as caught:
        sync(portal, MemorySink())
    said = f"{caught.value} {caught.value.hint}"
    assert words in said
    assert portal.options.secret not in said
    assert caught.value.hint
