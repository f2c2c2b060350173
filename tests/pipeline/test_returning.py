"""Coming back: histories, the cohort curve, the choice between two models, and what is not said."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.effects import Interval
from pipeline.repeats import MONTH, History, cohort_curve, expected_visits
from pipeline.returning import Tried, back_test, choose, fit, known_ahead, returning
from pipeline.seasons import Clock, clock_of
from tests.pipeline.customers_made import history, payments


@pytest.fixture(scope="module")
def regulars():
    return history()


@pytest.fixture(scope="module")
def told(regulars):
    return returning(regulars, 12)


def made(*rows, known=400):
    code, day, amount = zip(*rows, strict=True)
    return History.of(np.array(code), np.array(day), np.array(amount, dtype=float), known)


def test_payments_of_one_day_are_one_visit_and_a_refund_is_none():
    found = made((1, 10, 100.0), (1, 10, 50.0), (1, 40, 30.0), (1, 40, -10.0), (1, 90, -60.0), (2, 5, 0.0), (2, 70, 0.0))
    assert found.first.tolist() == [10, 5]
    assert found.amount.tolist() == [150.0, 0.0]
    assert found.visit_day.tolist() == [40, 90, 70]
    assert found.is_visit.tolist() == [True, False, True]
    assert found.visits_between(0, 400) == (2.0, -40.0)


def test_the_order_of_the_payments_does_not_matter(regulars):
    code, day, amount = payments(80, 12)
    order = np.random.default_rng(0).permutation(code.size)
    known = 12 * 30
    one, other = (History.of(code[o], day[o], amount[o], known) for o in (np.arange(code.size), order))
    assert (one.first == other.first).all()
    assert (one.visit_day == other.visit_day).all()
    assert one.visit_amount == pytest.approx(other.visit_amount)


def test_an_earlier_day_knows_nothing_of_what_came_later(regulars):
    day = 300
    known = regulars.until(day)
    assert known.first.max() < day
    assert known.visit_day.max() < day
    code, days, amount = payments()
    kept = days < day
    fresh = History.of(code[kept], days[kept], amount[kept], day)
    assert known.n == fresh.n
    assert known.n_visits == fresh.n_visits
    assert cohort_curve(known, 12).draws.tolist() == cohort_curve(fresh, 12).draws.tolist()


def test_the_curve_is_what_customers_did(regulars):
    curve = cohort_curve(regulars, 30)
    assert curve.cumulative()[6] == pytest.approx(1.5, rel=0.2)  # many lives of this kind: 1.45
    assert (np.diff(curve.cumulative(draws=True), axis=1) >= 0).all()  # more months never lower the number of visits
    assert 0.5 <= curve.decay <= 1
    start, end = 0, regulars.known_day
    assert expected_visits(curve.cumulative(), regulars, start, end) == pytest.approx(regulars.n_visits, rel=0.02)


def test_longer_spans_hold_more_visits_and_money_scales(regulars, told):
    visits = [np.median(known_ahead(told.fitted, told.history, months).visits) for months in (1, 3, 6, 12)]
    assert visits == sorted(visits)
    dearer = replace(regulars, amount=regulars.amount * 90, visit_amount=regulars.visit_amount * 90)
    again = returning(dearer, 12)
    assert again.fitted.curve.model == told.fitted.curve.model
    one, other = known_ahead(told.fitted, told.history, 6), known_ahead(again.fitted, again.history, 6)
    assert other.visits == pytest.approx(one.visits)
    assert other.money == pytest.approx(one.money * 90, rel=1e-6)


@pytest.mark.parametrize("model", ["cohort_curve", "bg_nbd"])
def test_known_customers_come_as_forecast(model):
    code, day, amount = payments(1500, 18, seed=11)
    known = int(18 * MONTH)
    kept = day < known
    found = fit(model, History.of(code[kept], day[kept], amount[kept], known), 12)
    everything = History.of(code[kept], day[kept], amount[kept], known)
    ahead = known_ahead(found, everything, 6)
    later = (day >= known) & (day < known + round(6 * MONTH)) & np.isin(code, code[kept])
    low, high = np.quantile(ahead.visits, (0.025, 0.975))
    assert low < later.sum() < high
    assert high / low < 2


def test_the_back_test_is_of_both_models_on_the_same_days(told):
    days = {one.origin_day for one in told.tried}
    assert len(days) == 3
    every = {(day, model) for day in days for model in ("cohort_curve", "bg_nbd")}
    assert {(one.origin_day, one.model) for one in told.tried} == every
    assert told.fitted.widening >= 1
    assert back_test(told.history) == told.tried


def tried(model, day, predicted, observed=100.0):
    interval = Interval(predicted, predicted * 0.8, predicted * 1.2)
    return Tried(model, day, 6, 100, observed, interval, 0.0, interval, 0.0, 0.0)


def test_the_simple_model_wins_ties():
    close = [tried("cohort_curve", d, 110.0) for d in (1, 2, 3)] + [tried("bg_nbd", d, 109.5) for d in (1, 2, 3)]
    assert choose(tuple(close)) == "cohort_curve"
    clear = [tried("cohort_curve", d, 130.0) for d in (1, 2)] + [tried("bg_nbd", d, 103.0) for d in (1, 2)]
    assert choose(tuple(clear)) == "bg_nbd"
    assert choose(tuple(clear[:1] + clear[2:3])) == "cohort_curve"  # one day is luck
    assert choose(()) == "cohort_curve"


def test_a_season_is_seen_and_forecast():
    rng = np.random.default_rng(4)
    n, months = 4000, 30
    first = rng.uniform(0, months * MONTH, n)
    clock = Clock(0.0, 0.4)
    moments = np.arange(months * 31) + 0.5
    rate = 1 + clock.cosine * np.cos(2 * np.pi * moments / 365.25) + clock.sine * np.sin(2 * np.pi * moments / 365.25)
    comes = rng.random((n, moments.size)) < 0.02 * rate
    who, when = np.nonzero(comes & (moments > first[:, None] + 1))
    known = int(months * MONTH)
    code, day = np.r_[np.arange(n), who], np.r_[first.astype(int), when]
    kept = day < known
    found = clock_of(History.of(code[kept], day[kept], np.ones(kept.sum()), known))
    assert (found.cosine, found.sine) == pytest.approx((0.0, 0.4), abs=0.06)
    whole = found.months(0, 365.25 / MONTH)
    assert whole == pytest.approx(365.25 / MONTH)
    assert found.months(0, 3) > 3.5  # the high season
    assert clock_of(history(300, 8)) == Clock()


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (made((1, 10, 100.0)), "few_customers"),
        (History.of(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 400), "no_payments"),
        (History.of(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 400, 900), "customers_unknown"),
        (replace(history(), n_unknown=5000), "customers_unknown"),
        (made(*((n, n, 100.0) for n in range(300))), "no_repeats"),
        (made(*((n, n, 100.0) for n in range(300)), (200, 250, 5.0)), "few_repeats"),
        (history(400, 2.2, later=0.0, rate=3.0), "short_history"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_named(found, missing):
    told = returning(found, 12)
    assert told.missing == missing
    assert told.fitted is None
    assert told.reach == 0


def test_a_gap_one_huge_payment_and_refunds_leave_finite_figures():
    code, day, amount = payments(400, 14)
    kept = (day < int(14 * MONTH)) & ~((day > 150) & (day < 240))
    amount = amount[kept]
    amount[7] = 1e9
    amount[::9] *= -1
    told = returning(History.of(code[kept], day[kept], amount, int(14 * MONTH)), 12)
    assert told.missing is None
    ahead = known_ahead(told.fitted, told.history, 6)
    assert np.isfinite(ahead.visits).all()
    assert np.isfinite(ahead.money).all()
    assert (ahead.visits >= 0).all()
