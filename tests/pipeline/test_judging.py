"""What surrounds a launch decides what may be claimed: controls, other launches, a running hold-out, what is varied."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipeline.document import document
from pipeline.launches import ControlChoice, Holdout, Scope
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.warehouse import Warehouse
from tests.pipeline.salon_made import LAUNCHED, launch, salon, settings

LATER = AsOf.instant(datetime(2200, 1, 1), ZoneInfo("UTC"))  # after every commit: they are stamped with today's clock
SEARCH = launch(scope=Scope(channels=("Search",)))


def measured(folder, records, launched, others=()):
    warehouse = Warehouse(f"duckdb:///{folder / 'salon.duckdb'}")
    warehouse.migrate()
    warehouse.append(records, "crm", "r1")
    configured = settings(launches=(launched, *others))
    with warehouse.reading() as reading:
        return document(measure(reading, launched, configured, LATER))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A launch in one of three channels."""
    return measured(tmp_path_factory.mktemp("search"), salon(n_weeks=30, per_week=150, lift=0.3), SEARCH)


def test_untouched_channels_are_proposed_with_reasons_and_carry_the_total(searched):
    used = [one for one in searched["control_candidates"] if one["is_used"]]
    assert searched["control"]["dimension"] == "channel"
    assert {one["key"] for one in used} == set(searched["control"]["keys"])
    assert "Search" not in searched["control"]["keys"]
    own = next(one for one in searched["control_candidates"] if (one["dimension"], one["key"]) == ("channel", "Search"))
    assert not own["is_fit"]
    assert "touched_by_launch" in {reason["code"] for reason in own["reasons"]}
    assert len(searched["control"]["per_week"]) == len(searched["weekly"])
    codes = [reason["code"] for reason in searched["rung"]["reasons"]]
    assert "total_with_control" in codes


def test_the_owner_chooses_the_control(tmp_path):
    chosen = replace(SEARCH, control=ControlChoice("channel", ("Social",)))
    found = measured(tmp_path, salon(n_weeks=30, per_week=150), chosen)
    assert found["control"]["keys"] == ["Social"]


def test_a_launch_everywhere_has_no_control(tmp_path):
    found = measured(tmp_path, salon(n_weeks=30), launch())
    assert (found["control"], found["control_candidates"]) == (None, [])


def test_another_launch_on_the_same_leads_withholds_everything(tmp_path):
    other = launch(name="training", title="Training", started_on=LAUNCHED + timedelta(days=21))
    found = measured(tmp_path, salon(n_weeks=30, lift=0.4), launch(), (other,))
    assert (found["rung"]["headline"], found["claims"]) == ("none", {})
    assert found["verdict"]["code"] == "not_enough_data"
    (guard,) = [guard for guard in found["guards"] if guard["code"] == "overlapping_launch"]
    assert (guard["action"], guard["figures"]["launch"]) == ("withhold", "training")


def test_a_hold_out_that_runs_is_analysed(tmp_path):
    records = salon(n_weeks=30, per_week=120, lift=0.0)
    holdout = Holdout(LAUNCHED, "salt", 0.5)
    found = measured(tmp_path, records, launch(holdout=holdout))["holdout"]
    assert found["n_treated"] + found["n_held"] > 1000
    assert not found["sample_ratio"]["is_mismatch"]
    assert found["difference"]["low"] < 0 < found["difference"]["high"]


def test_the_verdict_is_read_from_the_wider_interval(searched):
    looks, money = searched["looks"], searched["money"]
    assert looks["benefit_month"]["low"] < money["monthly_benefit"]["low"]
    assert looks["benefit_month"]["high"] > money["monthly_benefit"]["high"]
    assert looks["benefit_month"]["estimate"] == pytest.approx(money["monthly_benefit"]["estimate"])
    if searched["verdict"]["code"] == "pays":
        assert looks["benefit_month"]["low"] > money["break_even_monthly"]


def test_every_choice_is_varied_once(searched):
    rows = {(row["code"], *row["figures"].values()): row for row in searched["sensitivity"]}
    assert ("as_measured",) in rows
    margins = [row for row in searched["sensitivity"] if row["code"] == "margin"]
    assert [row["figures"]["margin"] for row in margins] == [0.4, 0.6]
    measured_profit = rows["as_measured",]["profit"]["estimate"]
    assert margins[0]["profit"]["estimate"] == pytest.approx(measured_profit * 0.4 / 0.5)
    assert any(row["code"] == "washout" for row in searched["sensitivity"])
    assert any(row["code"] == "horizon" for row in searched["sensitivity"])


def test_pretended_launches_stand_in_the_document(searched):
    placebo = searched["placebo"]
    assert placebo["n"] == len(placebo["points"]) >= 3
    assert placebo["n_alarms"] == sum(point["is_alarm"] for point in placebo["points"])
    assert all(point["week"] < LAUNCHED.isoformat() for point in placebo["points"])


def test_waiting_is_answered_with_weeks_or_another_way(searched):
    power = searched["power"]
    assert power["curve"][0]["detectable"] == pytest.approx(power["detectable"])
    assert power["best_way"] in ("wait", "control", "history", "holdout")
