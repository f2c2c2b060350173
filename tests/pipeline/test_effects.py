"""Effects: error rates on simulated launches, laws that any honest difference obeys, and awkward funnels."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.effects import (
    Funnel,
    Interval,
    check_effect,
    interval_of,
    process_effect,
    rate_effect,
    total_claim,
    total_effect,
)
from pipeline.weekly import WeeklyCheck, WeeklyCounts, WeeklyRate, Weeks


def salon(rng, *, n_pre=12, n_post=8, leads=60.0, lift=0.0, check=1500.0, drift=0.03):
    """A funnel whose booking rate drifts slowly and is multiplied by 1 + lift in the post weeks; and its true visits."""
    n = n_pre + n_post
    booking = np.clip(0.35 * np.exp(drift * np.cumsum(rng.normal(0, 0.5, n))), 0.01, 0.6)
    came = rng.poisson(leads * np.exp(rng.normal(0, 0.05, n)))
    booked = rng.binomial(came, np.where(np.arange(n) < n_pre, booking, booking * (1 + lift)))
    visited = rng.binomial(booked, 0.75)
    paid = rng.binomial(visited, 0.95)
    payments = [check * rng.lognormal(-0.18, 0.6, k) for k in paid]
    funnel = Funnel(came, visited, booked, paid, np.array([p.sum() for p in payments]),
                    np.array([(p**2).sum() for p in payments]))
    return funnel, float((came * booking * 0.75 * lift)[n_pre:].sum())


@pytest.mark.thorough
def test_launches_that_changed_nothing_are_rarely_called_an_effect():
    rng = np.random.default_rng(11)
    alarms = [process_effect(replace_money(salon(rng)[0]), Weeks(12)).visits.excludes_zero for _ in range(200)]
    assert np.mean(alarms) <= 0.09


def test_a_lift_of_15_percent_is_covered_and_one_of_40_percent_is_found():
    rng = np.random.default_rng(12)
    covered, found = [], []
    for _ in range(200):
        funnel, truth = salon(rng, lift=0.15)
        visits = process_effect(replace_money(funnel), Weeks(12)).visits
        covered.append(visits.low <= truth <= visits.high)
    for _ in range(60):
        visits = process_effect(replace_money(salon(rng, lift=0.4)[0]), Weeks(12)).visits
        found.append(visits.low > 0)
    assert 0.90 <= np.mean(covered) < 1.0  # always covered would mean an interval that says nothing
    assert np.mean(found) >= 0.7


@pytest.mark.thorough
def test_revenue_and_total_keep_their_level():
    rng = np.random.default_rng(13)
    revenue, total = [], []
    for _ in range(120):
        funnel, _ = salon(rng)
        claim = process_effect(funnel, Weeks(12))
        assert claim.revenue is not None
        revenue.append(claim.revenue.excludes_zero)
        total.append(total_effect(WeeklyCounts(funnel.visited), Weeks(12), season=0.1).excludes_zero)
    assert np.mean(revenue) <= 0.09
    assert np.mean(total) <= 0.09


def replace_money(funnel):
    """Without payments: half the work where only visits are looked at."""
    return replace(funnel, paid=None, revenue=None, revenue_sq=None)


def test_the_detectable_effect_is_detected_four_times_in_five():
    rng = np.random.default_rng(14)
    null = [process_effect(replace_money(salon(rng, drift=0.0)[0]), Weeks(12)).visits for _ in range(40)]
    lift = float(np.median([effect.detectable for effect in null]))
    found = [process_effect(replace_money(salon(rng, lift=lift, drift=0.0)[0]), Weeks(12)).visits.low > 0 for _ in range(100)]
    assert 0.68 <= np.mean(found) <= 0.95


@pytest.fixture(scope="module")
def funnel():
    return salon(np.random.default_rng(15), lift=0.3)[0]


def test_scaling_money_scales_money_and_nothing_else(funnel):
    plain = process_effect(funnel, Weeks(12), margin=0.6)
    in_kopecks = replace(funnel, revenue=funnel.revenue * 100, revenue_sq=funnel.revenue_sq * 1e4)
    kopecks = process_effect(in_kopecks, Weeks(12), margin=0.6)
    assert kopecks.revenue_draws == pytest.approx(plain.revenue_draws * 100)
    assert kopecks.profit.low == pytest.approx(plain.profit.low * 100)
    assert kopecks.profit.relative.low == pytest.approx(plain.profit.relative.low)
    assert kopecks.visits == plain.visits


def test_profit_is_revenue_times_margin_and_missing_without_a_margin(funnel):
    claim = process_effect(funnel, Weeks(12), margin=0.4)
    for end in ("estimate", "low", "high"):
        assert getattr(claim.profit, end) == pytest.approx(0.4 * getattr(claim.revenue, end))
    assert process_effect(funnel, Weeks(12)).profit is None
    with pytest.raises(ValueError, match="margin is 40"):
        process_effect(funnel, Weeks(12), margin=40)


def test_swapping_pre_and_post_flips_the_sign():
    pre, post = np.full(10, 30.0), np.full(10, 42.0)
    asked = np.full(20, 100.0)
    there = rate_effect(WeeklyRate(np.concatenate([pre, post]), asked), Weeks(10))
    back = rate_effect(WeeklyRate(np.concatenate([post, pre]), asked), Weeks(10))
    assert there.low > 0 > back.high
    assert there.estimate == pytest.approx(0.12, abs=0.005)
    assert back.estimate == pytest.approx(-there.estimate, abs=0.01)
    assert there.p_value < 0.05
    assert back.p_value < 0.05


def test_p_value_agrees_with_the_interval():
    steady = rate_effect(WeeklyRate(np.full(20, 30.0), np.full(20, 100.0)), Weeks(10))
    assert steady.p_value > 0.9
    # Move the post weeks until the interval just touches zero: the p-value there is 5 %.
    for reached in np.arange(30, 45, 0.25):
        effect = rate_effect(WeeklyRate(np.repeat([30.0, reached], 10), np.full(20, 100.0)), Weeks(10))
        assert effect.excludes_zero == (effect.p_value < 0.05)
    assert effect.excludes_zero


def test_parts_add_up_in_every_draw(funnel):
    for claim in (process_effect(funnel, Weeks(12)), total_claim(funnel, Weeks(12), season=0.1, is_indicative=True)):
        parts = sum(claim.contributions.values())
        size = np.abs(claim.revenue_draws).max()
        assert np.abs(parts - claim.revenue_draws).max() <= 1e-12 * size


def test_the_process_claim_ignores_how_many_leads_came_and_the_total_does_not():
    rng = np.random.default_rng(16)
    quiet, _ = salon(rng, leads=300, drift=0.0)
    double = np.where(np.arange(20) < 12, 1, 2)  # twice the leads after the launch, at the same rates
    busy = Funnel(quiet.leads * double, quiet.visited * double, quiet.booked * double, quiet.paid * double,
                  quiet.revenue * double, quiet.revenue_sq * double)
    process = process_effect(busy, Weeks(12))
    total = total_claim(busy, Weeks(12), season=0.1, is_indicative=True)
    assert not process.visits.excludes_zero
    assert "leads" not in process.contributions
    assert total.visits.low > 0
    leads = interval_of(total.contributions["leads"])
    assert leads.low > 0
    assert leads.estimate > 0.8 * total.revenue.estimate
    assert total.is_indicative


def test_incremental_visits_match_the_factors_by_hand(funnel):
    claim = process_effect(funnel, Weeks(12))
    booking, show = claim.factors["booking_rate"], claim.factors["show_rate"]
    leads, visits = funnel.leads[12:].sum(), funnel.visited[12:].sum()
    assert booking.observed == pytest.approx(funnel.booked[12:].sum() / leads)
    by_hand = visits - leads * booking.counterfactual * show.counterfactual
    assert claim.visits.estimate == pytest.approx(by_hand, abs=0.03 * visits)
    assert claim.visits.low < claim.visits.estimate < claim.visits.high
    relative = claim.visits.relative
    assert relative.estimate == pytest.approx(visits / claim.visits.counterfactual - 1)
    assert relative.low == pytest.approx(visits / (visits - claim.visits.low) - 1)


def test_the_same_figures_come_out_every_time(funnel):
    first, second = process_effect(funnel, Weeks(12), margin=0.5), process_effect(funnel, Weeks(12), margin=0.5)
    assert first.profit == second.profit
    assert first.revenue_draws.tobytes() == second.revenue_draws.tobytes()


def test_left_out_and_washout_weeks_change_nothing(funnel):
    strange = funnel.leads.copy()
    left_out = np.zeros(20, dtype=bool)
    left_out[[4, 15]] = True
    strange[[4, 15, 12]] += 500  # a closed week on each side, and a washout week
    weeks = Weeks(12, n_washout=1, left_out=left_out)
    assert process_effect(replace(funnel, leads=strange), weeks).visits == process_effect(funnel, weeks).visits


def test_a_business_without_booking_and_payment_steps():
    rng = np.random.default_rng(17)
    funnel, _ = salon(rng)
    claim = process_effect(Funnel(funnel.leads, funnel.visited, revenue=funnel.revenue, revenue_sq=funnel.revenue_sq), Weeks(12))
    assert list(claim.factors) == ["visit_rate", "average_check"]
    assert claim.factors["average_check"].observed == pytest.approx(funnel.revenue[12:].sum() / funnel.visited[12:].sum())


def test_nobody_books_after_the_launch(funnel):
    post = np.arange(20) >= 12
    dead = Funnel(funnel.leads, *(np.where(post, 0, series) for series in (
        funnel.visited, funnel.booked, funnel.paid, funnel.revenue, funnel.revenue_sq)))
    claim = process_effect(dead, Weeks(12), margin=0.5)
    assert claim.visits.observed == 0
    assert claim.visits.high < 0
    assert claim.factors["show_rate"] is None
    assert np.isfinite(claim.revenue_draws).all()
    assert not claim.contributions["show_rate"].any()
    assert claim.contributions["booking_rate"] == pytest.approx(claim.revenue_draws)


def test_payments_recorded_only_since_the_launch_give_visits_but_no_money(funnel):
    pre = np.arange(20) < 12
    late = replace(funnel, paid=np.where(pre, 0, funnel.paid), revenue=np.where(pre, 0, funnel.revenue),
                   revenue_sq=np.where(pre, 0, funnel.revenue_sq))
    claim = process_effect(late, Weeks(12), margin=0.5)
    assert claim.visits == process_effect(funnel, Weeks(12)).visits
    assert (claim.revenue, claim.profit, claim.revenue_draws, claim.contributions) == (None, None, None, {})


def test_no_leads_at_all_after_the_launch(funnel):
    post = np.arange(20) >= 12
    empty = Funnel(*(np.where(post, 0, series) for series in (
        funnel.leads, funnel.visited, funnel.booked, funnel.paid, funnel.revenue, funnel.revenue_sq)))
    claim = process_effect(empty, Weeks(12))
    assert claim.visits.interval == Interval(0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="nobody in the post period"):
        rate_effect(WeeklyRate(empty.booked, empty.leads), Weeks(12))


def test_a_figure_without_history_is_named(funnel):
    pre = np.arange(20) < 12
    unbooked = Funnel(funnel.leads, *(np.where(pre, 0, series) for series in (funnel.visited, funnel.booked)))
    with pytest.raises(ValueError, match="show_rate: no pre week has data"):
        process_effect(unbooked, Weeks(12))


def test_a_broken_week_is_named(funnel):
    visited = funnel.visited.copy()
    visited[4] = np.nan
    with pytest.raises(ValueError, match="visited: week 5"):
        Funnel(funnel.leads, visited)
    with pytest.raises(ValueError, match="both or neither"):
        Funnel(funnel.leads, funnel.visited, revenue=funnel.revenue)


def test_negative_payments_lower_revenue_and_stay_finite(funnel):
    refunds = np.where(np.arange(20) == 14, -400_000.0, 0.0)
    refunded = replace(funnel, revenue=funnel.revenue + refunds, revenue_sq=funnel.revenue_sq + refunds**2)
    claim, plain = process_effect(refunded, Weeks(12)), process_effect(funnel, Weeks(12))
    assert claim.revenue.estimate == pytest.approx(plain.revenue.estimate - 400_000, rel=0.15)
    assert claim.revenue.low < plain.revenue.low
    assert np.isfinite(claim.revenue_draws).all()


def test_relative_is_withheld_where_the_counterfactual_could_be_zero():
    effect = total_effect(WeeklyCounts(np.array([0, 1, 0, 0, 2, 0, 0, 1, 3, 4, 2, 5])), Weeks(8), season=0.1)
    assert effect.relative is None
    assert effect.detectable is None
    assert np.isfinite([effect.low, effect.high]).all()


def test_check_effect_in_money():
    n = np.full(20, 50.0)
    mean = np.where(np.arange(20) < 12, 1500.0, 1800.0)
    effect = check_effect(WeeklyCheck(n, n * mean, n * mean**2 * 1.1), Weeks(12))
    assert effect.estimate == pytest.approx(300, abs=15)
    assert effect.low > 0
    assert effect.method == "check"


def test_interval_turns_round_with_the_sign():
    assert Interval(2, 1, 4).scaled(-10) == Interval(-20, -40, -10)
