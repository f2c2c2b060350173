"""A minute of `make validate`: a few cells with fewer launches, held to the same targets plus three Monte-Carlo errors.

Most cells are large businesses with restless series: where sampling noise is wide, or the placebo widening has much to learn
from, a broken prior hides behind them and no alarm rate would show it.
"""

from math import sqrt

import numpy as np
import pytest

from bench import product, validate_claims, validate_late
from bench.peers import two_proportions
from bench.simulator import Business, Lift, simulate, watched
from bench.validate_claims import TRUTH, contains_truth, excludes_zero, is_found, row, told
from pipeline.weekly import WeeklyRate

pytestmark = pytest.mark.thorough

ERRORS = 3
LARGE = 100_000


def rates(claim, business, n, n_pre, n_post, lift, seed, figure="visits"):
    """Interval, truth and base of `n` launches, a row each."""
    launches = simulate(business, n, n_pre, n_post, lift, np.random.default_rng(seed))
    found = [told(claim, launches, at, has_money=figure == "revenue").effect for at in range(n)]
    return np.array([row(None if one is None else getattr(one, figure), claim, figure, launches, at)
                     for at, one in enumerate(found)])


def assert_few_alarms(flags, limit=0.05):
    most = limit + ERRORS * sqrt(limit * (1 - limit) / len(flags))
    assert np.nanmean(flags) <= most, f"{100 * np.nanmean(flags):.1f} % false alarms of {len(flags)}, at most {100 * most:.1f}"


def assert_covers(rows, least=0.93):
    flags = contains_truth(rows)
    lowest = least - ERRORS * sqrt(least * (1 - least) / len(flags))
    assert np.nanmean(flags) >= lowest, f"the truth is inside {100 * np.nanmean(flags):.1f} % of the intervals"


def test_the_ruler_catches_a_method_that_sees_only_the_sampling_error():
    launches = simulate(Business(leads_a_month=LARGE), 60, 26, 12, Lift(), np.random.default_rng(1))
    with pytest.raises(AssertionError, match="false alarms"):
        assert_few_alarms([two_proportions(launches, at) for at in range(launches.n)])


@pytest.mark.parametrize(("leads_a_month", "n_pre", "n_post"), [(200, 8, 8), (LARGE, 26, 12)])
def test_the_process_claim_rarely_calls_nothing_an_effect(leads_a_month, n_pre, n_post):
    business = Business(leads_a_month=leads_a_month)
    assert_few_alarms(excludes_zero(rates("process", business, 120, n_pre, n_post, Lift(), 2)))


def test_the_process_claim_contains_and_finds_a_real_effect():
    some = rates("process", Business(), 100, 26, 12, Lift(booking=1.15), 3)
    assert_covers(some)
    assert np.mean(some[:, TRUTH] > 0) == 1
    assert np.mean(is_found(rates("process", Business(), 25, 26, 12, Lift(booking=1.4), 4))) >= 0.9


def test_more_leads_of_the_same_kind_are_no_change_of_the_process():
    assert_few_alarms(excludes_zero(rates("process", Business(), 80, 26, 12, Lift(volume=1.4), 5)))


def test_the_total_claim_keeps_its_level_and_contains_more_leads():
    assert_few_alarms(excludes_zero(rates("total", Business(leads_a_month=LARGE), 60, 26, 12, Lift(), 6)))
    assert_covers(rates("total", Business(season=0.2), 50, 52, 12, Lift(volume=1.15), 7))


def test_the_control_takes_season_and_trend_out():
    weak = Business(leads_a_month=LARGE, control=1.0, control_noise=0.12)
    assert_few_alarms(excludes_zero(rates("control", weak, 100, 8, 8, Lift(), 8)))
    shared = Business(season=0.2, growth=0.01, control=1.0)
    assert np.mean(is_found(rates("control", shared, 25, 26, 12, Lift(volume=1.4), 9))) >= 0.5


def test_revenue_and_money_are_covered_as_visits_are():
    assert_covers(rates("process", Business(), 50, 26, 12, Lift(booking=1.1, check=1.1), 10, "revenue"))


def test_a_check_that_drifts_is_no_effect_on_the_check():
    launches = simulate(Business(leads_a_month=20_000, check_drift=0.05), 80, 12, 8, Lift(), np.random.default_rng(16))
    checks = [told("process", launches, at).effect.factors["average_check"] for at in range(launches.n)]
    assert_few_alarms([check.excludes_zero for check in checks])


def test_late_outcomes_do_not_bias_the_effect():
    found = validate_late.run("nothing, H chosen", 40, np.random.default_rng(11))
    apart = 100 * (found["mature"][:, validate_late.ESTIMATE] - found["known"][:, validate_late.ESTIMATE])
    assert abs(apart.mean()) <= 0.5 + ERRORS * apart.std() / sqrt(apart.size)
    # What the rule is there for: counting everything seen so far loses visits that have not happened yet.
    assert found["seen"][:, validate_late.ESTIMATE].mean() < -0.04


def test_the_simulator_brings_what_it_says_it_brings():
    launches = simulate(Business(growth=0.01, season=0.2), 200, 26, 12, Lift(volume=1.2, booking=1.1, check=1.05),
                        np.random.default_rng(12))
    post = slice(27, None)
    for (claim, figure), truth in launches.truth.items():
        wanted = 1.1 * (1.05 if figure == "revenue" else 1) * (1.2 if claim == "total" else 1)
        assert 1 + truth.added[:, post].sum() / truth.without[:, post].sum() == pytest.approx(wanted, rel=0.001)
        seen = (launches.visited if figure == "visits" else launches.revenue)[:, post].sum()
        assert seen == pytest.approx((truth.added + truth.without)[:, post].sum(), rel=0.02)
        assert not truth.added[:, :26].any()
    late = watched(launches, np.random.default_rng(13))
    assert np.array_equal(late.within(90), launches.visited)
    assert np.array_equal(late.seen(10**6), launches.visited)
    assert (late.within(14) < launches.visited).any()


def test_launches_come_out_the_same_for_the_same_seed():
    first, second = (validate_claims.run("100 a month, 8+8|0", 3, np.random.default_rng(14)) for _ in range(2))
    assert np.array_equal(first["process visits"], second["process visits"])


def test_a_placebo_is_measured_with_its_sisters():
    rng = np.random.default_rng(15)
    n = np.full(35, 200.0)
    units = [WeeklyRate(rng.binomial(200, 0.4, 35).astype(float), n) for _ in range(3)]
    effect = product.rate_told(units[0], product.Weeks(26, 1), units[1:])
    assert effect is not None
    assert effect.low < 0 < effect.high
