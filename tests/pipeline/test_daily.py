"""The days of a document: they sum to its weeks and funnel, on both engines, and those too young are there and marked."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from connectors.records import Lead
from pipeline.document import document
from pipeline.measurement import measure
from pipeline.periods import AsOf
from tests.pipeline.salon_made import FIRST, launch, salon, settings

SEEN = datetime(2200, 1, 1)  # after every commit of the tests: they are stamped with today's clock
RECORDS = salon(n_weeks=26, per_week=30, lift=0.4)
END = FIRST + timedelta(weeks=26)
# Column of a day -> metric and column of a week.
WEEKLY = {
    "leads": ("leads", "n"), "qualified": ("qualified", "numerator"), "booked": ("booking_conversion", "numerator"),
    "visited": ("visit_conversion", "numerator"), "no_show": ("no_show_rate", "numerator"),
    "ended": ("no_show_rate", "denominator"), "paid": ("paid_conversion", "numerator"), "payers": ("average_check", "n"),
    "revenue": ("revenue", "total"),
}  # fmt: skip


def measured(warehouse, on=END, launched=None, *, is_brief=False, **configured):
    as_of = AsOf(on, SEEN, on.isoformat())
    with warehouse.reading(SEEN) as reading:
        return document(measure(reading, launched or launch(), settings(**configured), as_of, is_brief=is_brief))


@pytest.fixture
def filled(warehouse):
    warehouse.append(RECORDS, "crm", "r1")
    return warehouse


def test_days_sum_to_weeks_and_the_counted_ones_to_the_funnel(filled):
    found = measured(filled, closures=(date(2026, 3, 4),))
    days = found["daily"]
    start, columns = date.fromisoformat(days["start"]), days["columns"]
    assert set(columns) == set(WEEKLY)
    for n, week in enumerate(found["weekly"]):
        first = (date.fromisoformat(week["week"]) - start).days
        for column, (metric, field) in WEEKLY.items():
            in_week = found["metrics"][metric]["per_week"][field][n]
            assert sum(columns[column][first : first + 7]) == pytest.approx(in_week, rel=1e-9)
    sides = {week["week"]: week["side"] for week in found["weekly"]}
    assert "left_out" in sides.values()
    for row in found["funnel"]:
        for side in ("pre", "post"):
            ours = [value for n, value in enumerate(columns[row["step"]])
                    if sides.get(str(start + timedelta(weeks=n // 7))) == side]  # days start on a Monday
            assert sum(ours) == pytest.approx(row[side], rel=1e-9), (row["step"], side)


def test_days_too_young_are_there_with_what_is_known_of_them(filled):
    """Counted by hand from the records: leads of each day, the last ones too."""
    found = measured(filled)
    days, created = found["daily"], [record.created_on for record in RECORDS if isinstance(record, Lead)]
    assert days["start"] == found["periods"]["pre"]["start"]
    assert days["columns"]["leads"] == [created.count(FIRST + timedelta(days=n)) for n in range(26 * 7)]
    # Leads of the day before have had fourteen whole days when the last of them is heard.
    assert days["mature_until"] == (date.fromisoformat(found["known_on"]) - timedelta(days=14)).isoformat()
    young = (date.fromisoformat(days["mature_until"]) - FIRST).days
    assert 0 < sum(days["columns"]["booked"][young:]) < sum(days["columns"]["leads"][young:])
    assert {type(value) for name, values in days["columns"].items() if name != "revenue" for value in values} == {int}


def test_a_launch_of_this_week_has_no_days_of_the_future(filled):
    on = date(2026, 5, 6)
    found = measured(filled, on)
    assert len(found["daily"]["columns"]["leads"]) == (on - FIRST).days + 1
    assert found["weekly"][-1]["week"] == "2026-05-04"


def test_what_is_measured_for_a_comparison_only_has_no_days(filled):
    whole, brief = measured(filled), measured(filled, is_brief=True)
    assert brief["daily"] is None
    assert brief["metrics"] == whole["metrics"]


def test_the_scope_of_the_launch_is_that_of_the_days(filled):
    scoped = launch(scope=replace(launch().scope, channels=("Search",)))
    days = measured(filled, launched=scoped)["daily"]
    searched = sum(isinstance(record, Lead) and record.utm_source == "google" for record in RECORDS)
    assert sum(days["columns"]["leads"]) == searched
