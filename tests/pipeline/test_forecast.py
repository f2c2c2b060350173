"""The next months of a launch: parts sum, money scales, fading never helps a gain, and what cannot be carried is left out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.simulator import Business, Lift, simulate
from pipeline.claims import Claim
from pipeline.effects import process_effect, total_claim
from pipeline.forecast import HORIZONS, crossing, forecast, new_share, payers, remaining, repeat_visits
from pipeline.looks import always_valid
from pipeline.repeats import MONTH
from pipeline.roi import Costs, compute_money
from tests.pipeline.customers_made import history

MADE = simulate(Business(leads_a_month=2000.0), 1, 20, 10, Lift(booking=1.4), np.random.default_rng(2))
NOTHING = simulate(Business(leads_a_month=200.0), 1, 12, 8, Lift(), np.random.default_rng(3))
COSTS = Costs(one_off=100_000.0, monthly=20_000.0)


def claim_of(made=MADE, *, margin=0.5, costs=COSTS, money=1.0, is_total=False):
    funnel, weeks = made.funnel(0), made.weeks(0)
    if money != 1.0:
        funnel = replace(funnel, revenue=funnel.revenue * money, revenue_sq=funnel.revenue_sq * money**2)
    if is_total:
        effect = total_claim(funnel, weeks, season=0.1, is_indicative=False, margin=margin)
    else:
        effect = process_effect(funnel, weeks, margin=margin)
    post = weeks.split(funnel.leads.size)[1]
    found = compute_money(effect, costs, window_days=7 * post.size, n_leads=float(funnel.leads[post].sum()))
    return Claim(effect, found, always_valid(effect, found))


CUSTOMERS = history(700, 14.0)
POST = CUSTOMERS.known_day - 70


@pytest.fixture(scope="module")
def ahead():
    return forecast(claim_of(), CUSTOMERS, POST)


def test_the_launch_is_forecast_with_its_customers(ahead):
    assert ahead.missing is None
    assert ahead.launch.is_proven
    assert ahead.launch.no_repeats is None
    assert 0 < ahead.launch.new_share < 1
    assert [at.months for at in ahead.launch.lines[0].at] == list(HORIZONS)
    assert all(at.repeats.estimate > 0 for line in ahead.launch.lines for at in line.at)
    assert ahead.launch.lines[0].payback.median < 12


def test_the_parts_sum_to_the_net(ahead):
    for line in ahead.launch.lines:
        for at in line.at:
            assert at.effect.estimate + at.repeats.estimate - at.cost == pytest.approx(at.net.estimate, rel=1e-9)
            assert at.net.estimate == pytest.approx(line.net[3, at.months])
            assert (at.net.low, at.net.high) == pytest.approx((line.net[0, at.months], line.net[-1, at.months]))
            assert at.roi.estimate == pytest.approx(at.net.estimate / at.cost)
            assert at.cost == 100_000 + 20_000 * at.months


def test_the_fan_opens_in_order_from_what_was_paid(ahead):
    for line in ahead.launch.lines:
        assert (line.net[:, 0] == -100_000).all()
        assert (np.diff(line.net, axis=0) >= 0).all()
        assert (np.diff(line.net[-1] - line.net[0]) > 0).all()


def test_a_fading_effect_earns_less_after_what_was_measured(ahead):
    steady, fading = (line.net[3] for line in ahead.launch.lines)
    assert fading[1:3] == pytest.approx(steady[1:3], rel=0.01)  # ten weeks were measured; repeats are drawn anew
    assert (fading[4:] < steady[4:]).all()
    assert remaining(0.0, 2.0).tolist() == [1.0] * 12
    kept = remaining(1 / 12, 2.0, 26)
    assert (kept[:2] == 1).all()
    assert kept[-1] / kept[-13] == pytest.approx(0.5)
    assert kept[13] == pytest.approx(0.5 ** (11.5 / 12))


@settings(max_examples=5, deadline=None)
@given(st.sampled_from([0.01, 0.5, 90.0, 1e6]))
def test_scaling_money_scales_the_forecast(factor):
    costs = Costs(one_off=100_000.0 * factor, monthly=20_000.0 * factor)
    dearer = replace(CUSTOMERS, amount=CUSTOMERS.amount * factor, visit_amount=CUSTOMERS.visit_amount * factor)
    one, other = forecast(claim_of(), CUSTOMERS, POST), forecast(claim_of(money=factor, costs=costs), dearer, POST)
    for line, scaled in zip(one.launch.lines, other.launch.lines, strict=True):
        assert scaled.net == pytest.approx(line.net * factor, rel=1e-6)
        assert scaled.at[1].roi.estimate == pytest.approx(line.at[1].roi.estimate, rel=1e-6)
        assert scaled.payback.median == pytest.approx(line.payback.median, rel=1e-6)
    assert other.repeats.curve == pytest.approx(one.repeats.curve)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 3), min_size=2, max_size=20), st.integers(0, 24), st.floats(0.5, 1.0))
def test_visits_are_those_of_every_month_s_customers(rates, reach, fade):
    cumulative = np.concatenate([[0.0], np.cumsum(rates)])
    kept = fade ** np.arange(12)
    visits = repeat_visits(cumulative, kept, reach)
    assert (visits >= 0).all()  # more months never lower the number of visits
    ages = np.minimum(12 - np.arange(12) - 0.5, min(reach, len(rates)))
    by_hand = kept @ np.interp(ages, np.arange(cumulative.size), cumulative)
    assert visits.sum() == pytest.approx(by_hand)


def test_a_later_deal_of_an_old_lead_is_no_paying_lead_that_was_an_old_customer():
    own = np.zeros(CUSTOMERS.visit_day.size, dtype=bool)
    assert new_share(CUSTOMERS, POST) < 0.9
    assert new_share(replace(CUSTOMERS, is_of_lead=own), POST) == 1.0


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=14))
def test_payback_is_the_last_time_a_path_comes_up(steps):
    path = np.cumsum(steps).astype(float)
    found = float(crossing(path[None, :])[0])
    if path[-1] < 0:
        assert found == np.inf
    elif (path >= 0).all():
        assert found == 0
    else:
        assert path[int(np.ceil(found)) - 1] < 0
        assert (path[int(np.ceil(found)) :] >= 0).all()


def test_without_proof_there_are_no_repeats_no_roi_no_payback():
    found = forecast(claim_of(NOTHING), CUSTOMERS, POST)
    assert not found.launch.is_proven
    assert found.launch.no_repeats == "not_proven"
    for line in found.launch.lines:
        assert line.payback is None
        assert all(at.repeats is None and at.roi is None and at.net is not None for at in line.at)


def test_a_total_claim_has_its_repeats_among_the_leads():
    strong = simulate(Business(leads_a_month=3000.0), 1, 60, 12, Lift(booking=2.0), np.random.default_rng(5))
    found = forecast(claim_of(strong, is_total=True), CUSTOMERS, POST)
    assert found.launch.is_proven
    assert found.launch.no_repeats == "in_total"
    assert all(at.repeats is None and at.roi is not None for line in found.launch.lines for at in line.at)


@pytest.mark.parametrize(
    ("claim", "missing"),
    [(None, "no_claim"), (claim_of(margin=None), "margin_missing")],
)
def test_without_a_claim_or_a_margin_only_customers_are_told_of(claim, missing):
    found = forecast(claim, CUSTOMERS, POST)
    assert found.missing == missing
    assert found.launch is None
    assert [worth.months for worth in found.repeats.value] == [6, 12]


def test_without_costs_there_is_profit_and_no_net():
    found = forecast(claim_of(costs=Costs()), CUSTOMERS, POST)
    for line in found.launch.lines:
        assert line.net is None
        assert line.payback is None
        assert all(at.net is None and at.roi is None and at.effect.estimate > 0 for at in line.at)


def test_a_history_shorter_than_the_horizon_gives_what_it_can():
    young = history(500, 6.0, later=0.0)
    found = forecast(claim_of(), young, young.known_day - 70)
    assert found.repeats.missing is None
    assert found.repeats.reach < 12
    assert [worth.months for worth in found.repeats.value] == [6]
    assert found.launch.lines[0].at[1].repeats is not None  # up to the reach, none beyond


def test_nobody_known_and_nobody_new():
    nobody = replace(CUSTOMERS, n_unknown=10**6)
    assert forecast(claim_of(), nobody, POST).launch.no_repeats == "customers_unknown"
    assert new_share(CUSTOMERS, CUSTOMERS.known_day) is None
    half = replace(CUSTOMERS, n_unknown=CUSTOMERS.n + CUSTOMERS.n_visits)
    assert new_share(half, POST) == pytest.approx(new_share(CUSTOMERS, POST) / 2)


def test_payers_are_the_paying_leads_beyond_the_old_rates():
    funnel, weeks = MADE.funnel(0), MADE.weeks(0)
    effect = process_effect(funnel, weeks, margin=0.5)
    post = weeks.split(funnel.leads.size)[1]
    ratio = funnel.paid[post].sum() / funnel.visited[post].sum()
    assert np.median(payers(effect)) == pytest.approx(effect.visits.estimate * ratio, rel=0.1)


def test_later_visits_of_a_customer_are_in_its_worth(ahead):
    six, twelve = ahead.repeats.value
    assert twelve.visits.estimate > six.visits.estimate > 0
    expected = CUSTOMERS.amount.mean() + six.visits.estimate * ahead.repeats.check.estimate
    assert six.money.estimate == pytest.approx(expected, rel=0.05)
    assert ahead.repeats.months == pytest.approx((CUSTOMERS.known_day - CUSTOMERS.first.min()) / MONTH)


def test_the_same_data_give_the_same_figures(ahead):
    again = forecast(claim_of(), CUSTOMERS, POST)
    for one, other in zip(ahead.launch.lines, again.launch.lines, strict=True):
        assert (one.net == other.net).all()
    assert (ahead.repeats.curve == again.repeats.curve).all()
