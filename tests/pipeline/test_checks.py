"""Checks become findings with shares, and findings a trust score. The rows each check finds: tests/sql/checks."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.contract import Finding, Landing, Reject, Stream
from connectors.records import Lead, Stage
from pipeline import queries
from pipeline.checks import WEIGHTS, Window, names, run_checks, trust_score, wrong_rows
from pipeline.journeys import build_journeys
from pipeline.launches import Scope
from tests.pipeline.salon_made import CHANNELS, STAGES, lead_with

MORNING = datetime(2026, 1, 5, 10, 0)
EVERYTHING = datetime(2200, 1, 1)  # rows are stamped with the clock of the machine
WINDOW = Window(date(2026, 1, 1), date(2026, 3, 1), date(2026, 2, 1), EVERYTHING, "RUB")
GOOD = {"utm_source": "google", "amount": None}


def found(warehouse, records, scope=None):
    warehouse.append(records, "crm", "r1")
    with warehouse.reading() as reading:
        build_journeys(reading, stages=STAGES, channels=CHANNELS, seen_until=EVERYTHING, currency="RUB", scope=scope)
        return run_checks(reading, WINDOW)


def test_clean_data_have_no_findings_and_full_trust(warehouse):
    records = [row for n in range(20) for row in lead_with(n, MORNING + timedelta(hours=n), [("NEW", 0)], **GOOD)]
    findings = found(warehouse, records)
    assert findings == ()
    assert trust_score(findings) == 100


def test_findings_say_how_many_how_much_and_which_worst_first(warehouse):
    records = [row for n in range(8) for row in lead_with(n, MORNING + timedelta(hours=n), [("NEW", 0)], **GOOD)]
    records += lead_with(8, MORNING, [("MYSTERY", 1)], **GOOD)
    records += lead_with(9, MORNING, [("BOOKED", 1)], utm_source=None, crm_source=None, amount=None)
    findings = found(warehouse, records)
    assert [finding.code for finding in findings] == ["unmapped_stages", "visits_never_closed", "leads_without_source"]
    unmapped = findings[0]
    assert (unmapped.severity, unmapped.n) == ("error", 1)
    assert unmapped.detail["share"] == 0.1
    assert unmapped.detail["examples"] == "8"
    assert unmapped.detail["stages"] == "crm lead/0 MYSTERY: 1"  # the history and the lead itself name it: one record
    # 200 x 0.1 + 100 x 0.1 + 50 x 0.1
    assert trust_score(findings) == 65


def test_what_lies_outside_the_launch_s_scope_or_window_costs_no_trust(warehouse):
    old = datetime(2025, 3, 3)
    wrong = [("MYSTERY", 1)]
    records = [row for n in range(10) for row in lead_with(n, MORNING, [("NEW", 0)], **GOOD)]
    records += [row for n in range(10, 50) for row in lead_with(n, old, wrong, **GOOD)]  # before the window
    records += [row for n in range(50, 90) for row in lead_with(n, MORNING, wrong, utm_source="vk", crm_source=None)]
    dollars = {"amount": Decimal(5), "currency": "USD"}
    records += lead_with(90, old, [("NEW", 0)], utm_source="google", **dollars)
    records += lead_with(91, MORNING, [("NEW", 0)], utm_source="vk", **dollars)
    assert found(warehouse, records, Scope(channels=("Search",))) == ()


def test_a_stage_is_named_as_people_know_it(warehouse):
    warehouse.append([Stage("lead", "0", "UC_7QK2ZD", "Катя разбирается", "open", None)], "crm", "r0")
    records = [row for n in range(3) for row in lead_with(n, MORNING, [("UC_7QK2ZD", 1)], **GOOD)]
    (finding,) = found(warehouse, records)
    assert finding.detail["stages"] == "«Катя разбирается» (crm lead/0 UC_7QK2ZD): 3"


def test_rows_put_aside_stand_against_all_rows_of_their_source(warehouse):
    reject = Reject("9", "no date", "DATE_CREATE", "leads.csv:9")
    warehouse.sink("crm", "r0").commit([Landing(Stream("leads", Lead), rejects=[reject])])
    warehouse.sink("shop", "r0").commit([Landing(Stream("leads", Lead), rejects=[reject])])
    records = [row for n in range(3) for row in lead_with(n, MORNING, [("NEW", 0)], **GOOD)]
    (finding,) = found(warehouse, records, Scope(sources=("crm",)))
    assert (finding.code, finding.n, finding.detail["share"]) == ("quarantined_rows", 1, 0.25)


def test_a_finding_that_touches_a_fifth_of_the_leads_is_an_error(warehouse):
    records = [row for n in range(4) for row in lead_with(n, MORNING, [("NEW", 0)], **GOOD)]
    records += lead_with(4, MORNING, [("NEW", 0)], utm_source=None, crm_source=None, amount=None)
    (finding,) = found(warehouse, records)
    assert (finding.code, finding.severity, finding.detail["share"]) == ("leads_without_source", "error", 0.2)


def test_wrong_rows_can_be_listed_for_the_people_who_have_to_close_them(warehouse):
    warehouse.append(
        [
            row
            for n, owner in ((1, "anna"), (2, "boris"), (3, None))
            for row in lead_with(n, MORNING, [("BOOKED", 1)], owner_id=owner, **GOOD)
        ],
        "crm",
        "r1",
    )
    with warehouse.reading() as reading:
        build_journeys(reading, stages=STAGES, channels=CHANNELS, seen_until=EVERYTHING, currency="RUB")
        rows = wrong_rows(reading, "visits_never_closed", WINDOW)
    assert rows == [("crm", "lead", "1", "anna"), ("crm", "lead", "2", "boris"), ("crm", "lead", "3", None)]


@pytest.mark.parametrize(("share", "score"), [(0.0, 100), (0.11, 89), (0.104, 90), (0.105, 89), (1.0, 0), (2.0, 0)])
def test_trust_score_goes_down_with_the_share_of_leads_touched_and_never_below_zero(share, score):
    finding = Finding("visits_never_closed", "warning", "journeys", 1, {"share": share})
    assert trust_score([finding]) == score


def test_every_check_has_a_weight_and_every_weight_a_check():
    assert set(WEIGHTS) == set(names())


def test_every_check_names_the_record_and_who_answers_for_it(warehouse):
    with warehouse.reading() as reading:
        build_journeys(reading, stages=STAGES, channels=CHANNELS, seen_until=EVERYTHING, currency="RUB")
        for name in names():
            query = queries.load(f"checks/{name}")
            columns = reading.columns(query, {key: getattr(WINDOW, key) for key in query.parameters}).column_names
            assert columns == ["source", "entity", "record_id", "owner_id"], name
