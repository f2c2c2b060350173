"""Checks become findings with shares, and findings a trust score. The rows each check finds: tests/sql/checks."""

from datetime import date, datetime, timedelta

import pytest

from connectors.contract import Finding
from pipeline import queries
from pipeline.checks import WEIGHTS, Window, names, run_checks, trust_score, wrong_rows
from pipeline.journeys import build_journeys
from tests.pipeline.salon_made import CHANNELS, STAGES, lead_with

MORNING = datetime(2026, 1, 5, 10, 0)
WINDOW = Window(date(2026, 1, 1), date(2026, 3, 1), date(2026, 2, 1), datetime(2027, 1, 1), "RUB")
GOOD = {"utm_source": "google", "amount": None}


def found(warehouse, records):
    warehouse.append(records, "crm", "r1")
    with warehouse.reading() as reading:
        stages = build_journeys(reading, stages=STAGES, channels=CHANNELS, seen_until=datetime(2027, 1, 1), currency="RUB")
        return run_checks(reading, WINDOW, stages)


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
    assert "MYSTERY: 2" in unmapped.detail["stages"]  # the history and the lead itself name it
    # 200 x 0.1 + 100 x 0.1 + 50 x 0.1
    assert trust_score(findings) == 65


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
        build_journeys(reading, stages=STAGES, channels=CHANNELS, seen_until=datetime(2027, 1, 1), currency="RUB")
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
        build_journeys(reading, stages=STAGES, channels=CHANNELS, seen_until=datetime(2027, 1, 1), currency="RUB")
        for name in names():
            query = queries.load(f"checks/{name}")
            columns = reading.columns(query, {key: getattr(WINDOW, key) for key in query.parameters}).column_names
            assert columns == ["source", "entity", "record_id", "owner_id"], name
