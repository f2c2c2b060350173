"""What changed since last week's report: each cause alone moves its own step, and the steps sum to the difference."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from sqlalchemy import text

from pipeline.changes import STEPS, changes_since
from pipeline.document import document, document_bytes
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from pipeline.reports.since import since
from pipeline.warehouse import Warehouse, open_database
from tests.pipeline.salon_made import launch, lead_with, salon, settings

LAST = AsOf.day(date(2026, 7, 13), settings().business.zone)  # a Monday
NOW = AsOf.day(date(2026, 7, 20), settings().business.zone)
RECORDS = salon(lift=0.5)


def known_by(moment):
    """What the CRM held at a time: leads created by then, moves made by then."""
    until = moment.seen_until
    return [one for one in RECORDS if (getattr(one, "moved_at", None) or one.created_at) <= until and
            getattr(one, "created_at", until) <= until]  # fmt: skip


def report(warehouse, moment, rules):
    with warehouse.reading(moment.seen_until) as reading:
        return document(measure(reading, launch(), rules, moment))


@pytest.fixture
def told_last_week(warehouse_url):
    """A warehouse as of last Monday, and the report of that day in it."""
    warehouse = Warehouse(warehouse_url)
    with time_machine.travel(LAST.seen_until - timedelta(hours=20), tick=True):
        warehouse.append(known_by(LAST), "crm", "r1")
        told = report(warehouse, LAST, settings())
        assert warehouse.save_snapshot("assistant", LAST.text, document_bytes(told))
    return warehouse, told


def changed(warehouse, rules=None, more=()):
    """This Monday's report on what changed, once `more` was heard too."""
    rules = rules or settings()
    with time_machine.travel(NOW.seen_until - timedelta(hours=20), tick=True):
        warehouse.append([*known_by(NOW), *more], "crm", "r2")
        now = report(warehouse, NOW, rules)
        found = changes_since(warehouse, launch(), rules, NOW, now)
    assert found is not None
    for figure in found["figures"].values():
        assert figure["now"] - figure["then"] == pytest.approx(sum(figure[step] for step in STEPS), abs=1e-6)
    return now, found


def test_a_week_that_came_of_age_is_the_only_cause_when_nothing_else_happened(told_last_week):
    warehouse, told = told_last_week
    now, found = changed(warehouse)
    assert found["since"] == {"as_of": "2026-07-13", "known_on": told["known_on"], "verdict": told["verdict"]["code"]}
    assert (found["n_new_weeks"], found["has_new_rules"]) == (1, False)
    profit = found["figures"]["profit_a_month"]
    assert profit["then"] == told["money"]["monthly_benefit"]["estimate"]
    assert profit["now"] == now["money"]["monthly_benefit"]["estimate"]
    assert (profit["settings"], profit["data"]) == (0, 0)
    assert profit["weeks"] != 0


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_visits_entered_late_and_deleted_leads_are_the_data_s_doing(told_last_week):
    warehouse, _ = told_last_week
    at = datetime(2026, 6, 2, 12)
    late = [one for n in range(40) for one in lead_with(
        50_000 + n, at + timedelta(minutes=n), [("NEW", 0.0), ("BOOKED", 1.0), ("CAME", 50.0), ("PAID", 51.0)],
        amount=Decimal(2000), utm_source="vk", crm_source=None, owner_id="1")]  # fmt: skip
    _, found = changed(warehouse, more=late)
    assert found["rows"]["leads_added"] == 40
    assert found["rows"]["moves_told_late"] >= 160
    assert found["figures"]["profit_a_month"]["data"] > 0
    assert found["figures"]["leads_a_week"]["data"] > 0
    assert found["figures"]["profit_a_month"]["settings"] == 0


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_another_configuration_is_told_apart_from_the_data(told_last_week):
    warehouse, _ = told_last_week
    stages = tuple(rule for rule in settings().stages if rule.stage_id != "MISSED")
    _, found = changed(warehouse, rules=replace(settings(), stages=stages, channels=()))
    assert found["has_new_rules"]
    assert found["figures"]["profit_a_month"]["data"] == pytest.approx(0, abs=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_the_same_moment_finds_the_same_report_later(told_last_week):
    """A report computed afterwards for an old day is not the one that was sent."""
    warehouse, told = told_last_week
    now, found = changed(warehouse)
    with time_machine.travel(NOW.seen_until + timedelta(days=30), tick=True):
        other = {**told, "money": None}
        assert warehouse.save_snapshot("assistant", "2026-07-14", document_bytes({**other, "as_of": "2026-07-14"}))
        assert warehouse.save_snapshot("assistant", LAST.text, document_bytes(other))
        assert changes_since(warehouse, launch(), settings(), NOW, now) == found


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_without_an_earlier_week_there_is_nothing_to_compare(told_last_week, warehouse_url):
    warehouse, told = told_last_week
    same_week = AsOf.day(date(2026, 7, 15), settings().business.zone)
    assert changes_since(warehouse, launch(), settings(), same_week, told) is None
    with open_database(warehouse_url).writing() as connection:
        connection.execute(text("DELETE FROM snapshots"))
    assert changes_since(warehouse, launch(), settings(), NOW, told) is None


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_printed_steps_add_up(told_last_week, language):
    warehouse, _ = told_last_week
    now, found = changed(warehouse, rules=replace(settings(), channels=()))
    page = page_of({**now, "changes": found}, language)
    assert page.since is not None
    numbers = numbers_of(language, "RUB")
    minus, group = numbers.whole(-1)[0], numbers.whole(1000)[1:-3]

    def amount(cell):
        digits = "".join(sign for sign in cell.replace(group, "").replace(minus, "-").replace(",", ".") if sign in "-.0123456789")
        return Decimal(digits.rstrip("."))

    assert len(page.since.rows.rows) == 3
    for _, then, *steps, after in page.since.rows.rows:
        assert amount(then) + sum(map(amount, steps)) == amount(after)


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_figure_that_one_week_lacks_is_named(told_last_week):
    """A margin or the costs were filled in since then."""
    now, found = changed(told_last_week[0])
    figures = {name: found["figures"][name] for name in ("revenue_a_month", "leads_a_week")}
    told = since(numbers_of("ru", "RUB"), {**now, "changes": {**found, "figures": figures}})
    assert [row[0] for row in told.rows.rows] == ["Выручка от запуска в месяц", "Заявки в неделю"]
    assert "Не с чем сравнить: ROI." in told.told[-1]
    told = since(numbers_of("ru", "RUB"), {**now, "changes": {**found, "figures": {}}})
    assert "Не с чем сравнить: Прибыль запуска в месяц, ROI, Заявки в неделю." in told.told[-1]
