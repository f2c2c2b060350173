"""Awkward businesses through the whole measurement and the report: a clear answer or a clear refusal, never a crash or a NaN."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from connectors.records import Lead
from pipeline.document import document, document_bytes
from pipeline.effects import Funnel, process_effect, total_claim
from pipeline.errors import NothingToMeasure
from pipeline.ladder import total_rule
from pipeline.launches import Scope
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.reports.html import render_html
from pipeline.warehouse import Warehouse
from pipeline.weekly import Weeks
from tests.pipeline.salon_made import FIRST, LAUNCHED, launch, lead_with, salon, settings

LATER = AsOf.instant(datetime(2200, 1, 1), ZoneInfo("UTC"))


def measured(folder, records, launched=None, configured=None):
    warehouse = Warehouse(f"duckdb:///{folder / 'salon.duckdb'}")
    warehouse.migrate()
    warehouse.append(records, "crm", "r1")
    with warehouse.reading() as reading:
        return document(measure(reading, launched or launch(), configured or settings(), LATER))


def weeks_from(record):
    """Whole weeks from the first Monday to the record's lead; None for a history row."""
    return (record.created_on - FIRST).days // 7 if isinstance(record, Lead) else None


def nobody_came(records, week):
    """Leads of one week stay new."""
    silent = {record.lead_id for record in records if weeks_from(record) == week}
    for record in records:
        if isinstance(record, Lead) and record.lead_id in silent:
            yield replace(record, stage_id="NEW", amount=Decimal(0))
        elif isinstance(record, Lead) or record.entity_id not in silent or record.stage_id == "NEW":
            yield record


def without_weeks(records, gone):
    """No lead at all in some weeks."""
    dropped = {record.lead_id for record in records if weeks_from(record) in gone}
    for record in records:
        if (record.lead_id if isinstance(record, Lead) else record.entity_id) not in dropped:
            yield record


def paying(records, amounts):
    """Other amounts for the first leads that paid."""
    left = list(amounts)
    for record in records:
        is_paid = isinstance(record, Lead) and record.stage_id == "PAID"
        yield replace(record, amount=Decimal(left.pop())) if is_paid and left else record


def everyone(n_weeks, steps):
    """Sixty leads a week, all alike."""
    for number in range(60 * n_weeks):
        created_at = datetime.combine(FIRST, datetime.min.time()) + timedelta(minutes=168 * number)
        yield from lead_with(number, created_at, steps, amount=Decimal(1500), utm_source="google", crm_source=None)


ALL_CAME = [("NEW", 0.0), ("BOOKED", 1.0), ("CAME", 50.0), ("PAID", 51.0)]
ONE_DAY = datetime(2026, 3, 4, 10)
AWKWARD = {
    "a week nobody came": lambda: nobody_came(salon(), 9),
    "a week without leads": lambda: without_weeks(salon(), {5}),
    "a gap of three weeks before the launch": lambda: without_weeks(salon(), {4, 5, 6}),
    "a gap of six weeks before the launch": lambda: without_weeks(salon(), set(range(3, 9))),
    "everybody comes and pays": lambda: everyone(30, ALL_CAME),
    "one check of a thousand thousand million": lambda: paying(salon(), [10**12]),
    "refunds": lambda: paying(salon(), [-50_000] * 40),
    "more refunded than paid": lambda: paying(salon(n_weeks=28), [-20_000] * 400),
    "three whole weeks before the launch": lambda: without_weeks(salon(), set(range(14))),
    "three whole weeks after the launch": lambda: salon(n_weeks=22),
    "one source of leads": lambda: salon(channels=("google",)),
    "no lead in the last weeks": lambda: without_weeks(salon(), {27, 28, 29}),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_business_gets_finite_figures_and_a_report(tmp_path, name):
    found = measured(tmp_path, list(AWKWARD[name]()))
    text = document_bytes(found)
    assert json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in the document"))
    assert "nan" not in render_html(found, "ru").lower().replace("финан", "")
    if "three whole weeks" in name:
        assert found["rung"]["code"] == "R0"
        assert found["claims"] == {}


def test_all_leads_in_one_day_are_refused(tmp_path):
    rows = [row for number in range(500) for row in lead_with(number, ONE_DAY, ALL_CAME, amount=Decimal(1500), utm_source="vk")]
    found = measured(tmp_path, rows)
    assert found["rung"]["code"] == "R0"


def test_leads_only_since_the_launch_have_nothing_to_be_compared_with(tmp_path):
    with pytest.raises(NothingToMeasure, match="before"):
        measured(tmp_path, list(without_weeks(salon(), set(range(17)))))


def test_a_control_equal_to_the_treated_series_is_taken_for_the_same_leads(tmp_path):
    twins = []
    for record in salon(n_weeks=30, per_week=120, channels=("google",)):
        twins.append(record)
        if isinstance(record, Lead):
            name = f"twin-{record.lead_id}"
            twins.append(replace(record, lead_id=name, utm_source="vk", customer_hash=name))
        else:
            twins.append(replace(record, entity_id=f"twin-{record.entity_id}", change_id=f"twin-{record.change_id}"))
    found = measured(tmp_path, twins, launch(scope=Scope(channels=("Search",))))
    assert found["control"] is None
    social = next(one for one in found["control_candidates"] if one["key"] == "Social")
    assert "touched_by_launch" in {reason["code"] for reason in social["reasons"]}


def test_a_control_with_empty_weeks_is_not_used(tmp_path):
    holes = {(FIRST + timedelta(weeks=week)) for week in (3, 7, 11, 20)}
    rows = [record for record in salon(n_weeks=30, per_week=90, channels=("google", "vk"))
            if not (isinstance(record, Lead) and record.utm_source == "vk"
                    and record.created_on - timedelta(days=record.created_on.weekday()) in holes)]
    found = measured(tmp_path, rows, launch(scope=Scope(channels=("Search",))))
    assert found["control"] is None
    social = next(one for one in found["control_candidates"] if one["key"] == "Social")
    assert "has_gaps" in {reason["code"] for reason in social["reasons"]}


def shifted(records, by):
    """The same leads at another time."""
    for record in records:
        names = ("created_at", "created_on", "moved_at", "moved_on", "modified_at")
        yield replace(record, **{name: getattr(record, name) + by for name in names if getattr(record, name, None) is not None})


@pytest.mark.parametrize("started_on", [date(2025, 3, 30), date(2025, 10, 26)])
def test_a_launch_on_a_day_of_23_or_25_hours(tmp_path, started_on):
    berlin = settings()
    berlin = replace(berlin, business=replace(berlin.business, timezone="Europe/Berlin"))
    records = shifted(salon(n_weeks=66), timedelta(weeks=-65))
    found = measured(tmp_path, list(records), launch(started_on=started_on), berlin)
    assert found["periods"]["pre"]["n_weeks"] == (started_on - FIRST).days // 7 + 65
    starts = [date.fromisoformat(row["week"]) for row in found["weekly"]]
    assert {later - earlier for earlier, later in pairwise(starts)} == {timedelta(weeks=1)}
    assert found["claims"]["process"]["visits"]["n_pre_weeks"] == found["periods"]["pre"]["n_weeks"]


def test_shifting_all_dates_by_whole_weeks_changes_no_figure(tmp_path):
    by, here, figures = timedelta(weeks=-31), salon(lift=0.3), []
    for number, (records, started_on) in enumerate(((here, LAUNCHED), (list(shifted(here, by)), LAUNCHED + by))):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = measured(folder, records, launch(started_on=started_on))
        figures.append({name: found[name] for name in ("claims", "money", "contributions", "verdict", "funnel", "trust")})
    assert figures[0] == figures[1]


@pytest.mark.parametrize("claim", ["process", "total"])
def test_more_data_never_makes_the_null_interval_wider_by_more_than_noise(claim):
    def null(n_pre, leads_a_week, seed):
        rng = np.random.default_rng([seed, n_pre, leads_a_week])
        leads = rng.poisson(leads_a_week, n_pre + 8).astype(float)
        funnel = Funnel(leads, rng.binomial(leads.astype(int), 0.3).astype(float))
        made = (process_effect(funnel, Weeks(n_pre)) if claim == "process" else
                total_claim(funnel, Weeks(n_pre), season=total_rule(n_pre).season, is_indicative=False))
        return (made.visits.high - made.visits.low) / made.visits.counterfactual

    def typical(n_pre, leads_a_week):
        return float(np.median([null(n_pre, leads_a_week, seed) for seed in range(9)]))

    by_leads = [typical(12, leads_a_week) for leads_a_week in (25, 100, 400, 1600)]
    assert all(more <= 1.05 * fewer for fewer, more in pairwise(by_leads))
    by_weeks = [typical(n_pre, 200) for n_pre in (8, 14, 20, 26, 51, 52, 78, 104)]
    assert all(more <= 1.05 * fewer for fewer, more in pairwise(by_weeks))
