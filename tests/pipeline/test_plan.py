"""`payback plan holdout` as a user meets it, and the groups of a hold-out that ran, read back from the warehouse."""

import json
import shutil
import subprocess
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from connectors.demo import DemoPortal, PortalOptions
from connectors.records import Lead
from connectors.secrets import Secret
from pipeline.arms import observe_arms
from pipeline.errors import Exit
from pipeline.holdout import TooFewLeads, analyse, is_held_out, smallest_effect
from pipeline.init import Answers, write_config
from pipeline.journeys import build_journeys
from pipeline.launches import Holdout
from tests.pipeline.conftest import Office, build_salon
from tests.pipeline.salon_made import CHANNELS, FIRST, STAGES, lead_with, salon
from tests.variants import first

MONDAYS = [FIRST + timedelta(days=7 * n) for n in range(30)]
HORIZON = 24 * 14 + 1
HOLDOUT = Holdout(started_on=date(2026, 3, 2), salt="assistant", share=0.4)


@pytest.fixture(scope="module")
def once_synced(tmp_path_factory):
    """The demo salon in a warehouse, and its portal, which is not asked any more."""
    folder = tmp_path_factory.mktemp("salon")
    with DemoPortal(build_salon(), PortalOptions(has_limits=False)) as portal:
        answers = Answers(
            name="Salon", profile="salon", timezone="Europe/Moscow", webhook=Secret(portal.webhook_url), branch="Филиал",
            started_on=portal.store.truth.launch_on, margin=0.6, one_off=30_000.0, monthly=5_000.0,
        )  # fmt: skip
        write_config(folder / "config", answers, {})
        office = Office(portal, folder, f"duckdb:///{folder / 'payback.duckdb'}")
        assert office.payback("sync") == Exit.OK
    return office


@pytest.fixture
def synced(once_synced, tmp_path, capsys):
    """A copy of it to change."""
    folder = tmp_path / "copy"
    shutil.copytree(once_synced.folder, folder)
    capsys.readouterr()
    return Office(once_synced.portal, folder, f"duckdb:///{folder / 'payback.duckdb'}")


def test_plan_names_rule_weeks_and_check(synced, capsys):
    assert synced.payback("plan", "holdout", "assistant", "--effect", "60") == Exit.OK
    text = capsys.readouterr().out
    assert synced.payback("plan", "holdout", "assistant", "--effect", "60", "--json") == Exit.OK
    found = json.loads(capsys.readouterr().out)
    split = found["splits"][0]
    assert f"{split['n_held']} held out + {split['n_treated']} treated" in text
    assert f"{split['weeks']} weeks" in text
    assert split["weeks"] == -(-(split["n_held"] + split["n_treated"]) // found["leads_a_week"])
    assert found["is_practical"]
    # The figures are those of the report.
    assert synced.payback("measure", "assistant", "--json") == Exit.OK
    visits = json.loads(capsys.readouterr().out)["metrics"]["visit_conversion"]["pre"]
    assert found["baseline"]["rate"] == pytest.approx(visits["value"])
    assert smallest_effect(visits["value"], split["n_held"], split["n_treated"]) == pytest.approx(0.6, abs=0.01)


def test_the_printed_check_runs_and_agrees_with_the_rule(synced, capsys):
    synced.payback("plan", "holdout", "assistant", "--share", "30")
    lines = capsys.readouterr().out.splitlines()
    below = next(line for line in lines if line.startswith("who")).rpartition(" ")[2]
    command = next(line for line in lines if line.startswith("check")).removeprefix("check").strip()
    for lead_id in ("1", "2", "3", "4"):
        digits = subprocess.run(["sh", "-c", command.replace("LEAD_ID", lead_id)], capture_output=True, check=True, text=True)
        assert is_held_out(lead_id, "assistant", 0.3) == (digits.stdout.strip() < below)


def test_a_running_holdout_is_planned_as_configured_and_what_is_printed_can_be_pasted(synced, capsys):
    assert synced.payback("plan", "holdout", "assistant") == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    pasted = "\n".join(lines[lines.index("  [assistant.holdout]"):])
    launches = synced.config / "launches.toml"
    written = pasted.replace("0.5", "0.25").replace('"assistant"', '"second"')
    launches.write_text(launches.read_text(encoding="utf-8") + "\n" + written, encoding="utf-8")
    assert synced.payback("plan", "holdout", "assistant", "--json") == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["share"], found["salt"]) == (0.25, "second")
    assert found["starts_on"] in pasted


@pytest.mark.thorough
def test_a_launch_that_has_not_started_is_planned_from_all_leads(synced, capsys):
    assert synced.portal.store.truth is not None
    assert synced.payback("plan", "holdout", "assistant", "--json") == Exit.OK
    started = json.loads(capsys.readouterr().out)
    synced.edit("launches.toml", str(synced.portal.store.truth.launch_on), "2199-01-07")
    assert synced.payback("plan", "holdout", "assistant", "--json") == Exit.OK
    planned = json.loads(capsys.readouterr().out)
    assert planned["baseline"]["n_weeks"] > started["baseline"]["n_weeks"]
    assert planned["starts_on"] == "2199-01-07"  # a Monday


@pytest.mark.thorough
def test_too_long_a_plan_says_so(synced, capsys):
    assert synced.payback("plan", "holdout", "assistant", "--effect", "2") == Exit.OK
    assert "is no plan" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "words"), first(2, [
    (["--effect", "0"], "at least 0.1%"),
    (["--effect", "900"], "cannot rise"),
    (["--effect", "nan"], "at least 0.1%"),
    (["--share", "100"], "--share"),
]))
def test_what_cannot_be_planned_is_said(synced, arguments, words, capsys):
    assert synced.payback("plan", "holdout", "assistant", *arguments) == Exit.CONFIG
    assert words in capsys.readouterr().err


def test_nothing_to_plan_from(synced, capsys):
    assert synced.payback("plan", "holdout", "asistant") == Exit.CONFIG
    assert "did you mean 'assistant'?" in capsys.readouterr().err
    path = synced.config / "stages.toml"
    text = path.read_text(encoding="utf-8")
    for milestone in ("paid", "confirmed", "no_show", "visited", "booked"):
        text = text.replace(f'"{milestone}"', '"none"')
    path.write_text(text, encoding="utf-8")
    assert synced.payback("plan", "holdout", "assistant") == Exit.NOTHING
    assert "no rate to compare with" in capsys.readouterr().err


# --- the groups of a hold-out that ran ------------------------------------------------------------------------------


def arms(warehouse, records, weeks=MONDAYS, **more):
    warehouse.append(records, "crm", "r1")
    with warehouse.reading() as reading:
        build_journeys(reading, stages=STAGES, channels=CHANNELS, seen_until=datetime(2200, 1, 1), currency="RUB")
        return observe_arms(reading, HOLDOUT, weeks, HORIZON, **more)


def test_groups_are_the_leads_by_the_hash_of_their_id(warehouse):
    records = salon()
    weeks = [monday for monday in MONDAYS if monday != date(2026, 4, 6)]  # a week that does not count
    treated, held = arms(warehouse, records, weeks)
    counted = [lead for lead in records if isinstance(lead, Lead) and lead.created_on >= HOLDOUT.started_on
               and lead.created_on - timedelta(days=lead.created_on.weekday()) in weeks]
    mine = [lead for lead in counted if is_held_out(lead.lead_id, HOLDOUT.salt, HOLDOUT.share)]
    assert held.leads.sum() == len(mine)
    assert treated.leads.sum() == len(counted) - len(mine)
    paid = [float(lead.amount) for lead in mine if lead.stage_id == "PAID"]
    assert held.revenue.sum() == pytest.approx(sum(paid))
    assert held.revenue_sq.sum() == pytest.approx(sum(amount**2 for amount in paid))
    assert held.reached.sum() == sum(lead.stage_id in ("CAME", "PAID") for lead in mine)
    assert treated.leads.size == len([week for week in weeks if week >= HOLDOUT.started_on])


def test_a_true_effect_on_one_group_is_found_and_the_groups_are_even(warehouse):
    rng = np.random.default_rng(4)
    records = []
    for number in range(1500):
        created_at = datetime(2026, 3, 2, 10) + timedelta(hours=2 * number)
        rate = 0.3 if is_held_out(str(number), HOLDOUT.salt, HOLDOUT.share) else 0.45
        steps = [("NEW", 0.0)] + ([("BOOKED", 5.0), ("CAME", 50.0)] if rng.random() < rate else [])
        records += lead_with(number, created_at, steps)
    treated, held = arms(warehouse, records, milestone="booked")
    found = analyse(treated, held, share=HOLDOUT.share)
    assert found.difference.low > 0
    assert found.difference.low <= 0.15 <= found.difference.high
    assert not found.ratio.is_mismatch
    assert found.revenue_per_lead.estimate == 0


def test_before_the_holdout_started_there_are_no_groups(warehouse):
    treated, held = arms(warehouse, salon(n_weeks=6), MONDAYS[:6])
    assert (treated.leads.size, held.leads.size) == (0, 0)
    assert analyse(treated, held, share=HOLDOUT.share) == TooFewLeads(0, 0)
