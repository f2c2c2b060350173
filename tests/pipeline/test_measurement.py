"""The whole measurement over a small salon: what it finds, what it refuses, and that it is the same every time."""

import json
import shutil
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from connectors.records import Lead, StageChange
from pipeline.document import document, document_bytes
from pipeline.errors import ConfigError, NothingToMeasure
from pipeline.launches import LaunchCosts, Scope
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.stages import StageRule
from pipeline.warehouse import Warehouse
from tests.pipeline.salon_made import FIRST, LAUNCHED, deal, launch, lead_with, salon, settings

LATER = AsOf.instant(
    datetime(2200, 1, 1), ZoneInfo("UTC")
)  # after every commit of the tests: they are stamped with today's clock
FIGURES = ("periods", "horizon", "metrics", "by", "weekly", "funnel", "claims", "money", "contributions", "verdict", "trust")


def measured(warehouse, launched=None, configured=None, as_of=LATER, *, is_brief=True):
    with warehouse.reading() as reading:
        return document(measure(reading, launched or launch(), configured or settings(), as_of, is_brief=is_brief))


@pytest.fixture
def duckdb_salon(tmp_path, migrated_file):
    """Gives a DuckDB warehouse with the records given."""

    def make(records):
        path = tmp_path / "salon.duckdb"
        if not path.exists():
            shutil.copy(migrated_file, path)
        warehouse = Warehouse(f"duckdb:///{path}")
        warehouse.append(records, "crm", "r1")
        return warehouse

    return make


def test_a_true_effect_is_found_with_its_money(warehouse):
    records = salon(lift=0.6)
    warehouse.append(records, "crm", "r1")
    found = measured(warehouse)
    assert found["periods"]["pre"] == {"start": "2026-01-05", "end": "2026-05-04", "n_weeks": 17}
    assert found["periods"]["post"]["start"] == "2026-05-11"
    assert found["rung"]["code"] == "R1"
    assert found["claim"] == "process"
    # Counted by hand from the records: leads of the post weeks, and what a booking rate of 40 % instead of 64 % would have left.
    visits = found["claims"]["process"]["visits"]
    weeks = found["periods"]["post"]["n_weeks"]
    true_effect = weeks * 60 * 0.4 * 0.6 * 0.75
    assert visits["low"] <= true_effect <= visits["high"]
    assert visits["low"] > 0
    assert found["verdict"]["code"] == "pays"
    money = found["money"]
    assert money["incremental_profit"]["estimate"] == pytest.approx(money["incremental_revenue"]["estimate"] * 0.5)
    assert money["cost"] == pytest.approx(3000 + 500 * weeks * 7 / 30.4375)
    assert money["roi"]["estimate"] == pytest.approx(money["net"]["estimate"] / money["cost"], rel=1e-6)


def test_no_effect_is_not_called_one(duckdb_salon):
    found = measured(duckdb_salon(salon(lift=0.0, seed=8)))
    visits = found["claims"]["process"]["visits"]
    assert visits["low"] < 0 < visits["high"]
    assert found["verdict"]["code"] in ("not_enough_data", "does_not_pay")


def test_counts_agree_with_the_records(warehouse):
    records = salon()
    warehouse.append(records, "crm", "r1")
    found = measured(warehouse)
    end = date.fromisoformat(found["periods"]["pre"]["end"])
    leads = [record for record in records if isinstance(record, Lead) and FIRST <= record.created_on < end]
    created = {lead.lead_id: lead.created_at for lead in leads}
    came = {
        record.entity_id
        for record in records
        if isinstance(record, StageChange) and record.stage_id == "CAME" and record.entity_id in created
    }
    funnel = {row["step"]: row["pre"] for row in found["funnel"]}
    assert funnel["leads"] == len(leads)
    assert funnel["visited"] == len(came)  # everyone comes within ten days, the horizon is fourteen
    assert funnel["revenue"] == float(sum((lead.amount for lead in leads if lead.stage_id == "PAID"), Decimal(0)))
    assert found["metrics"]["visit_conversion"]["pre"]["value"] == pytest.approx(len(came) / len(leads))
    assert sum(row["leads"] for row in found["weekly"] if row["side"] == "pre") == len(leads)
    assert sum(row["metrics"]["leads"]["pre"]["value"] for row in found["by"]["channel"]) == len(leads)
    assert [row["key"] for row in found["by"]["channel"]] == ["Search", "Social", "unknown"]


def test_the_same_data_give_the_same_bytes_on_every_engine(tmp_path, postgresql_server):
    records = salon(lift=0.3, n_weeks=28, per_week=40)
    documents = []
    for url in (f"duckdb:///{tmp_path / 'one.duckdb'}", postgresql_server.new_database()):
        warehouse = Warehouse(url)
        warehouse.migrate()
        warehouse.append(records, "crm", "r1")
        first, second = (measured(warehouse) for _ in range(2))
        assert document_bytes(first) == document_bytes(second)
        for source in first["provenance"]["sources"]:
            source["last_seen_at"] = None  # the two were loaded a moment apart
        documents.append(document_bytes(first))
    assert documents[0] == documents[1]


def test_an_old_report_stays_as_it_was_when_the_crm_changes_later(warehouse):
    warehouse.append(salon(), "crm", "r1")
    with warehouse.reading() as reading:
        known = AsOf.instant(reading.seen_until, ZoneInfo("UTC"))
    launched = launch()
    before = document_bytes(measured(warehouse, launched, as_of=known))
    late = [
        row
        for n in range(0, 600)
        for row in lead_with(n, datetime(2026, 1, 6), [("BOOKED", 1), ("CAME", 30), ("PAID", 31)], amount=Decimal(9999))
    ]
    assert warehouse.append(late, "crm", "r2") > 0
    assert document_bytes(measured(warehouse, launched, as_of=known)) == before
    assert document_bytes(measured(warehouse, launched)) != before


def test_without_a_margin_revenue_is_shown_and_profit_is_not(duckdb_salon):
    found = measured(duckdb_salon(salon(lift=0.6)), launch(margin=None))
    money = found["money"]
    assert money["incremental_revenue"]["low"] > 0
    assert [money[name] for name in ("incremental_profit", "benefit", "net", "roi", "payback_months")] == [None] * 5
    assert money["missing"]["incremental_profit"] == "margin_missing"
    assert found["probability"] == {"roi_positive": None, "payback_within_12_months": None}
    assert found["verdict"] == {"code": "not_enough_data", "reason": {"code": "margin_missing", "figures": {}}}
    assert "gross_profit" not in found["metrics"]


@pytest.mark.parametrize(
    ("costs", "reason"), [(LaunchCosts(one_off=0.0, monthly=0.0), "cost_zero"), (LaunchCosts(), "cost_not_given")]
)
def test_no_cost_means_no_roi_never_infinity(duckdb_salon, costs, reason):
    found = measured(duckdb_salon(salon(lift=0.6)), launch(costs=costs))
    assert found["money"]["roi"] is None
    assert found["money"]["missing"]["roi"] == reason
    assert found["verdict"]["code"] == ("pays" if reason == "cost_zero" else "works_payback_unproven")
    assert b"Infinity" not in document_bytes(found)


def test_a_negative_cost_is_a_config_error(duckdb_salon):
    with pytest.raises(ConfigError, match="monthly"):
        measured(duckdb_salon(salon()), launch(costs=LaunchCosts(monthly=-5.0)))


def test_too_little_data_gives_a_table_and_no_effect(duckdb_salon):
    found = measured(duckdb_salon(salon(n_weeks=20)))  # the launch week and two more: one mature week
    assert found["rung"]["code"] == "R0"
    assert found["verdict"]["code"] == "not_enough_data"
    assert found["verdict"]["reason"]["code"] == "too_little_post"
    assert found["verdict"]["reason"]["figures"]["more_weeks"] >= 2
    assert found["money"] is None
    assert all(metric["effect"] is None for metric in found["metrics"].values())
    assert found["metrics"]["booking_conversion"]["pre"]["value"] == pytest.approx(0.4, abs=0.05)


def test_a_salon_where_nobody_ever_comes_is_refused_not_crashed(duckdb_salon):
    found = measured(duckdb_salon(salon(booking=0.0, n_weeks=40)))
    assert found["rung"]["code"] == "R0"
    assert found["metrics"]["average_check"]["pre"]["value"] is None


def test_one_channel_no_history_and_no_deals_still_measure(duckdb_salon):
    records = [record for record in salon(lift=0.6, channels=("google",)) if isinstance(record, Lead)]
    found = measured(duckdb_salon(records))
    assert [row["key"] for row in found["by"]["channel"]] == ["Search"]
    assert found["provenance"]["n_stage_changes"] == 0
    assert found["claims"]["process"]["visits"]["low"] > 0


def test_nothing_paid_gives_visits_and_says_that_money_is_missing(duckdb_salon):
    rules = tuple(rule for rule in settings().stages if rule.milestone != "paid")
    records = [record for record in salon(lift=0.6) if isinstance(record, Lead) or record.stage_id != "PAID"]
    for lead in records:
        if isinstance(lead, Lead) and lead.stage_id == "PAID":
            lead.stage_id = "CAME"
    found = measured(duckdb_salon(records), configured=settings(stages=rules))
    assert found["claims"]["process"]["visits"]["low"] > 0
    assert found["money"]["incremental_revenue"] is None
    assert found["verdict"]["reason"]["code"] == "no_payments"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"started_on": date(2201, 1, 1)}, "starts on 2201-01-01"),
        ({"started_on": FIRST}, "no whole week before"),
        ({"scope": Scope(branches=("Луна",))}, "no leads"),
    ],
)
def test_what_cannot_be_measured_says_why(duckdb_salon, changed, says):
    with pytest.raises(NothingToMeasure, match=says) as caught:
        measured(duckdb_salon(salon(n_weeks=20, per_week=10)), launch(**changed))
    assert caught.value.hint


def test_an_empty_warehouse_has_nothing_to_measure(warehouse):
    with pytest.raises(NothingToMeasure, match="no leads"):
        measured(warehouse)


def test_unmapped_stages_lower_trust_until_the_verdict_is_withheld(duckdb_salon):
    rules = tuple(rule for rule in settings().stages if rule.stage_id != "MISSED")
    found = measured(duckdb_salon(salon(lift=0.6)), configured=settings(stages=rules))
    codes = [finding["code"] for finding in found["trust"]["findings"]]
    assert "unmapped_stages" in codes
    assert found["trust"]["score"] < 100
    without_all = measured_again(duckdb_salon, rules)
    assert without_all["verdict"]["reason"]["code"] == "low_trust"


def measured_again(make, rules):
    kept = tuple(rule for rule in rules if rule.stage_id not in ("NEW", "BOOKED"))
    return measured(make([]), configured=settings(stages=kept))


def test_a_new_source_withholds_the_process_claim(duckdb_salon):
    records = salon(lift=0.2, n_weeks=30)
    for record in records:
        if isinstance(record, Lead) and record.created_on >= LAUNCHED and int(record.lead_id) % 3 == 0:
            record.utm_source = "chatbot"
    found = measured(duckdb_salon(records))
    assert found["rung"]["headline"] == "none"
    assert "process" not in found["claims"]
    assert [reason["code"] for reason in found["rung"]["reasons"]][:2] == ["process_withheld", "source_appeared"]


def test_a_second_payment_long_after_the_horizon_is_not_revenue(duckdb_salon):
    rules = (*settings().stages, StageRule("crm", "deal", "*", "WON", "paid"))
    lead = next(record for record in salon() if isinstance(record, Lead) and record.created_on < LAUNCHED)
    soon, late = (lead.created_at + timedelta(days=days) for days in (5, 100))
    deals = [deal(1, lead.lead_id, soon, "WON", Decimal(1000)), deal(2, lead.lead_id, late, "WON", Decimal(9000))]
    records = [record for record in salon() if getattr(record, "lead_id", getattr(record, "entity_id", "")) != lead.lead_id]
    without = measured(duckdb_salon(records), configured=settings(stages=rules))["metrics"]
    with_it = measured(duckdb_salon([lead, *deals]), configured=settings(stages=rules))["metrics"]
    for name, more in (("revenue", 1000), ("gross_profit", 500)):
        assert with_it[name]["pre"]["value"] - without[name]["pre"]["value"] == pytest.approx(more)
    assert with_it["average_check"]["pre"]["n"] == with_it["paid_conversion"]["pre"]["numerator"]


def test_one_stray_lead_of_years_ago_is_no_history(duckdb_salon):
    records = salon()
    plain = measured(duckdb_salon(records))
    stray = measured(duckdb_salon(lead_with(99_999, datetime(2024, 6, 4), [("NEW", 0)], utm_source="google")))
    # 5 January is the Monday of the first lead after the gap; empty weeks: from 10 June 2024 to it, 82 of them.
    assert stray["periods"] == plain["periods"]
    (gap,) = (finding for finding in stray["trust"]["findings"] if finding["code"] == "history_gap")
    assert (gap["n"], gap["points"]) == (82, 0)
    assert gap["detail"] == {"last_on": "2024-06-04", "first_on": "2026-01-05"}
    assert stray["trust"]["score"] == plain["trust"]["score"]


def test_a_portal_not_read_for_weeks_is_not_a_portal_where_nothing_happened(duckdb_salon):
    warehouse = duckdb_salon(salon(n_weeks=40))
    heard_on = warehouse.last_seen("crm").date()
    last_on = max(record.created_on for record in salon(n_weeks=40) if isinstance(record, Lead))
    assert last_on < heard_on
    found = measured(warehouse, as_of=replace(LATER, on=heard_on + timedelta(days=9)))
    (stale,) = (finding for finding in found["trust"]["findings"] if finding["code"] == "source_stale")
    assert (stale["n"], stale["severity"], stale["detail"]["heard_on"]) == (9, "warning", heard_on.isoformat())
    assert found["known_on"] <= heard_on.isoformat()
    fresh = measured(warehouse, as_of=replace(LATER, on=heard_on + timedelta(days=2)))
    assert "source_stale" not in [finding["code"] for finding in fresh["trust"]["findings"]]


def test_reading_a_source_again_on_the_same_day_changes_nothing(duckdb_salon, monkeypatch):
    day = datetime(2100, 3, 1)
    monkeypatch.setattr("pipeline.warehouse.utc_now", lambda: day.replace(hour=3))
    warehouse = duckdb_salon(salon())
    first = document_bytes(measured(warehouse))
    monkeypatch.setattr("pipeline.warehouse.utc_now", lambda: day.replace(hour=21))
    warehouse.sink("crm", "r2").commit([])
    assert warehouse.last_seen("crm").hour == 21
    assert document_bytes(measured(warehouse)) == first


def test_without_a_week_since_the_launch_there_is_no_figure_not_zero(duckdb_salon):
    found = measured(duckdb_salon(salon(n_weeks=18)))  # the launch week only
    assert found["periods"]["post"]["n_weeks"] == 0
    assert found["metrics"]["leads"]["post"] == {"value": None, "n": None}
    assert found["metrics"]["revenue"]["a_week"]["post"] is None
    assert {row["post"] for row in found["funnel"]} == {None}
    # Post starts on 11 May: four weeks of it have had their fourteen days on 22 June.
    known_on, more = date.fromisoformat(found["known_on"]), found["rung"]["reasons"][0]["figures"]["more_weeks"]
    assert known_on + timedelta(weeks=more - 1) < date(2026, 6, 22) <= known_on + timedelta(weeks=more)


def test_weeks_with_a_closure_count_nowhere(duckdb_salon):
    warehouse = duckdb_salon(salon())
    plain = measured(warehouse)
    closed = measured(warehouse, configured=settings(closures=(date(2026, 3, 11), date(2026, 6, 10))))
    assert closed["periods"]["left_out"] == [
        {"week": "2026-03-09", "reason": "closure"},
        {"week": "2026-06-08", "reason": "closure"},
    ]
    for side in ("pre", "post"):
        assert closed["periods"][side]["n_weeks"] == plain["periods"][side]["n_weeks"] - 1
        assert plain["metrics"]["leads"][side]["value"] - closed["metrics"]["leads"][side]["value"] == 60
    assert closed["claims"]["process"]["visits"]["n_pre_weeks"] == 16


def test_horizon_comes_from_the_data_and_does_not_move_after_the_launch(duckdb_salon):
    warehouse = duckdb_salon(salon(n_weeks=40))
    free = launch(horizon_days=None)
    horizons = [
        measured(warehouse, free, as_of=replace(LATER, on=LAUNCHED + timedelta(days=days)))["horizon"] for days in (90, 150)
    ]
    assert horizons[0] == horizons[1]
    assert horizons[0]["chosen_from"] == "data"
    assert horizons[0]["days"] == 14  # payments come within 231 hours, nine tenths of them after the first week
    assert horizons[0]["share"] >= 0.9


def test_payments_that_come_after_the_launch_do_not_change_the_horizon(duckdb_salon):
    records = salon(n_weeks=40)
    lost = [record.lead_id for record in records if isinstance(record, Lead) and record.stage_id == "NEW"][:150]
    paid_at = datetime(2026, 6, 1)  # leads of January, four weeks after the launch
    records += [StageChange("lead", f"late-{key}", key, "PAID", "0", None, paid_at, paid_at.date()) for key in lost]
    assert measured(duckdb_salon(records), launch(horizon_days=None))["horizon"]["days"] == 14


def test_contributions_add_up_to_the_profit(duckdb_salon):
    found = measured(duckdb_salon(salon(lift=0.6)))
    profit = found["money"]["incremental_profit"]["estimate"]
    for dimension in ("factor", "channel", "branch"):
        parts = [row["estimate"] for row in found["contributions"] if row["dimension"] == dimension]
        assert sum(parts) == pytest.approx(profit, rel=1e-6)


def test_what_the_channels_brought_sums_to_the_claim_and_has_its_own_doubt(duckdb_salon):
    found = measured(duckdb_salon(salon(lift=0.6)))
    profit = found["money"]["incremental_profit"]["estimate"]
    for dimension in ("channel", "branch"):
        rows = [row for row in found["contributions"] if row["dimension"] == dimension]
        assert sum(row["estimate"] for row in rows) == pytest.approx(profit, rel=1e-6)
        assert all(row["low"] <= row["estimate"] <= row["high"] for row in rows)


def test_money_in_another_scale_changes_only_money(duckdb_salon, tmp_path):
    def scaled(factor):
        warehouse = Warehouse(f"duckdb:///{tmp_path / f'{factor}.duckdb'}")
        warehouse.migrate()
        records = salon(lift=0.3)
        for record in records:
            if isinstance(record, Lead) and record.amount is not None:
                record.amount *= factor
        warehouse.append(records, "crm", "r1")
        return measured(warehouse)

    one, ten = scaled(1), scaled(10)
    assert ten["claims"]["process"]["visits"] == one["claims"]["process"]["visits"]
    for name in ("estimate", "low", "high"):
        assert ten["money"]["incremental_profit"][name] == pytest.approx(10 * one["money"]["incremental_profit"][name], rel=1e-6)


def test_the_document_is_plain_json_with_its_fields(duckdb_salon):
    found = measured(duckdb_salon(salon(n_weeks=26, per_week=30)))
    assert json.loads(document_bytes(found)) == found
    assert found["schema_version"] == 2
    assert set(FIGURES) <= set(found)
    assert {"config_hash", "code_version", "sql_hash", "n_leads", "sources"} <= set(found["provenance"])
    assert found["definitions"]["show_rate"]["sql"] == "metrics/show_rate.sql"
    assert found["launch"]["costs"]["usage_per_lead"] is None
    assert "usage_per_lead" in found["money"]["not_counted"]
