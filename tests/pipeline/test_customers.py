"""Who paid, when, how much: read from the warehouse on each engine."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipeline.customers import local_days, read_history
from pipeline.erasure import Request, erase
from pipeline.journeys import build_journeys
from pipeline.launches import Scope
from pipeline.state import State
from tests.pipeline.salon_made import CHANNELS, STAGES, lead_with

FROM = datetime(2026, 1, 5, 10)
FAR = datetime(2200, 1, 1)
EPOCH = date(1970, 1, 1)


def paid(number, days, amount, *, customer="anna", hours=24.0, **fields):
    steps = [("NEW", 0.0), ("PAID", hours)]
    return lead_with(number, FROM + timedelta(days=days), steps, amount=amount, customer_hash=customer, **fields)


def history_of(warehouse, records=(), *, known_on=date(2026, 12, 1), zone="UTC", scope=None, stages=STAGES):
    if records:
        warehouse.append(list(records), "crm", "r1")
    with warehouse.reading(FAR) as reading:
        build_journeys(reading, stages=stages, channels=CHANNELS, seen_until=FAR, currency="RUB", scope=scope)
        return read_history(reading, known_on, ZoneInfo(zone), 14 * 24.0)


def test_customers_and_their_later_visits(warehouse):
    records = [*paid(1, 0, Decimal("100")), *paid(2, 30, Decimal("40")), *paid(3, 30, Decimal("2")),
               *paid(4, 60, Decimal("-40")), *paid(5, 10, Decimal("7"), customer="boris"),
               *paid(6, 11, Decimal("9"), customer=None)]  # fmt: skip
    found = history_of(warehouse, records)
    assert (found.n, found.n_visits, found.n_unknown) == (2, 1, 1)
    assert found.first.tolist() == [(date(2026, 1, 6) - EPOCH).days, (date(2026, 1, 16) - EPOCH).days]
    assert found.amount.tolist() == [100.0, 7.0]
    assert found.visit_amount.tolist() == [42.0, -40.0]
    assert found.months == pytest.approx((date(2026, 12, 1) - date(2026, 1, 6)).days / 30.4375)


def test_only_days_before_the_known_one_count_and_days_are_local(warehouse):
    records = [*paid(1, 0, Decimal("1"), hours=13.5), *paid(2, 1, Decimal("2"), hours=13.5)]  # 23:30 UTC on the 5th and the 6th
    assert history_of(warehouse, records, known_on=date(2026, 1, 6)).n == 1
    assert history_of(warehouse, known_on=date(2026, 1, 6), zone="Europe/Moscow").n == 0  # the 6th there
    later = history_of(warehouse, known_on=date(2026, 1, 8), zone="Europe/Moscow")
    assert (later.n, later.n_visits) == (1, 1)
    assert later.first.tolist() == [(date(2026, 1, 6) - EPOCH).days]


def test_a_scope_holds_its_own_payments_only(warehouse):
    records = [*paid(1, 0, Decimal("1"), utm_source="google"), *paid(2, 40, Decimal("2"), utm_source="vk")]
    assert history_of(warehouse, records).n_visits == 1
    assert history_of(warehouse, scope=Scope(channels=("Search",))).n_visits == 0


def test_an_empty_warehouse_has_no_customers(warehouse):
    found = history_of(warehouse)
    assert (found.n, found.n_visits, found.n_unknown, found.months) == (0, 0, 0, 0.0)


def test_one_contact_number_is_two_people_in_two_sources(warehouse):
    nameless = {"customer": None, "contact_id": "17"}
    warehouse.append([*paid(1, 0, Decimal("1"), **nameless), *paid(2, 40, Decimal("2"), **nameless)], "crm", "r1")
    warehouse.append(paid(1, 50, Decimal("3"), **nameless), "other", "r1")
    stages = tuple(replace(rule, source=source) for source in ("crm", "other") for rule in STAGES)
    found = history_of(warehouse, stages=stages)
    assert (found.n, found.n_visits) == (2, 1)


def test_whoever_was_erased_is_not_in_it(warehouse, warehouse_url, tmp_path):
    history_of(warehouse, [*paid(1, 0, Decimal("1")), *paid(2, 40, Decimal("2")), *paid(3, 9, Decimal("4"), customer="boris")])
    erase(warehouse_url, State(tmp_path), Request(frozenset({"anna"}), frozenset()))
    found = history_of(warehouse)
    assert (found.n, found.n_visits, found.n_unknown) == (1, 0, 0)
    assert found.amount.tolist() == [4.0]


def test_the_local_day_of_a_payment_is_right_on_days_when_clocks_change():
    zone = ZoneInfo("Europe/Berlin")
    days = ((2026, 3, 28), (2026, 3, 29), (2026, 10, 24), (2026, 10, 25))
    moments = [datetime(*day, hour, 30, tzinfo=UTC) for day in days for hour in range(24)]
    hours = np.array([moment.timestamp() / 3600 for moment in moments])
    wanted = [moment.astimezone(zone).date().toordinal() - EPOCH.toordinal() for moment in moments]
    assert local_days(hours, zone).tolist() == wanted
