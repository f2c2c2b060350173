"""LLQ against an independent dense computation, and on series that break naive estimators."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from pipeline.llq import learn, llq, placebos
from pipeline.modes import CHECK, CONTROL, KAPPA_NODES, OMEGA_NODES, RATE, TOTAL, Mode
from pipeline.prediction import Prediction
from pipeline.weekly import WeeklyCheck, WeeklyCounts, WeeklyRate, Weeks


def node_masses(nodes):
    edges = np.concatenate([[0.0], (nodes[1:] + nodes[:-1]) / 2, [np.inf]])
    return np.diff(2 * stats.t(3).cdf(edges) - 1)


def dense_mixture(z, pre, post, variances, row, mode, season):
    """The model of llq written as one covariance matrix a grid cell: slow, and free of the filter's algebra."""
    week = np.arange(z.size, dtype=float)
    t = week - week[pre].mean()
    weights, means, sds_out = [], [], []
    # The walk may start anywhere: the level absorbs its first value, so it starts at the first pre week.
    walk = np.minimum.outer(week - pre[0], week - pre[0])
    kappas, omegas = KAPPA_NODES * mode.kappa, OMEGA_NODES * mode.omega
    for temper, prior in zip(mode.tempers(season, pre.size), mode.prior(pre.size), strict=True):
        columns, sds = [np.ones(z.size), t], [2.0, temper.slope]
        for k in (1, 2) if temper.season else ():
            columns += [np.cos(2 * np.pi * k * t / (365.25 / 7)), np.sin(2 * np.pi * k * t / (365.25 / 7))]
            sds += [temper.season / k] * 2
        x = np.column_stack(columns)
        for kappa, p_kappa in zip(kappas, node_masses(kappas / temper.kappa), strict=True):
            for omega, p_omega in zip(omegas, node_masses(omegas / temper.omega), strict=True):
                cov = x @ np.diag(np.square(sds)) @ x.T + kappa**2 * walk + np.diag(variances + omega**2)
                inside = cov[np.ix_(pre, pre)]
                gain = np.linalg.solve(inside, cov[np.ix_(pre, post)] @ row)
                means.append(row.sum() + gain @ (z[pre] - 1))
                sds_out.append(np.sqrt(row @ cov[np.ix_(post, post)] @ row - gain @ cov[np.ix_(pre, post)] @ row))
                likelihood = stats.multivariate_normal(np.ones(pre.size), inside).logpdf(z[pre])
                weights.append(np.log(max(prior * p_kappa * p_omega, 1e-300)) + likelihood)
    weights = np.exp(np.array(weights) - max(weights))
    return weights / weights.sum(), np.array(means), np.array(sds_out)


def widened(mixture, factor):
    """All of it spread out around its mean."""
    weights, means, sds = mixture
    centre = weights @ means
    return weights, centre + factor * (means - centre), factor * sds


def dense_quantile(mixture, p):
    weights, means, sds = mixture
    return brentq(lambda x: weights @ stats.norm.cdf((x - means) / sds) - p, (means - 12 * sds).min(), (means + 12 * sds).max())


@pytest.mark.parametrize(("mode", "season"), [(TOTAL, 0.0), (TOTAL, 0.25), (CONTROL, 0.0), (RATE, 0.1)])
def test_filter_equals_dense_gaussian_conditioning(mode, season):
    rng = np.random.default_rng(5)
    counts = rng.poisson(60 * np.exp(np.cumsum(rng.normal(0, 0.05, 45)))).astype(float)
    left_out = np.zeros(45, dtype=bool)
    left_out[[7, 20, 40]] = True
    weeks = Weeks(32, n_washout=2, left_out=left_out)
    pre = np.array([w for w in range(32) if w not in (7, 20)])
    post = np.array([w for w in range(34, 45) if w != 40])

    found = llq(WeeklyCounts(counts), weeks, mode, season)

    scale = (counts[pre].sum() + 0.5) / pre.size
    variances = np.full(45, 1 / scale)
    variances[post] = (counts[post].sum() + 0.5) / post.size / scale**2
    dense = widened(
        dense_mixture(counts / scale, pre, post, variances, np.full(post.size, scale), mode, season), found.widening
    )
    spread = dense_quantile(dense, 0.84) - dense_quantile(dense, 0.16)
    for p in (0.001, 0.025, 0.5, 0.975, 0.999):
        assert float(found.quantile(p)) == pytest.approx(max(dense_quantile(dense, p), 0.0), abs=2e-3 * spread)
    assert found.observed == counts[post].sum()
    first = dense_mixture(counts / scale, pre, post, variances, np.eye(post.size)[0] * scale, mode, season)
    assert found.weekly_mean[0] == pytest.approx(first[0] @ first[1], rel=1e-6)


def test_rate_prediction_equals_dense_with_weeks_nobody_came():
    denominator = np.array([20, 0, 31, 25, 18, 22, 0, 27, 30, 24, 0, 26], dtype=float)
    numerator = np.array([5, 0, 9, 4, 6, 5, 0, 8, 12, 10, 0, 9], dtype=float)
    pre, post = np.array([0, 2, 3, 4, 5, 7]), np.array([8, 9, 11])

    found = llq(WeeklyRate(numerator, denominator), Weeks(8), RATE)

    rate = (numerator[pre].sum() + 0.5) / (denominator[pre].sum() + 1)
    post_rate = (numerator[post].sum() + 0.5) / (denominator[post].sum() + 1)
    safe = np.maximum(denominator, 1)
    variances = rate * (1 - rate) / safe / rate**2
    variances[post] = post_rate * (1 - post_rate) / safe[post] / rate**2
    row = denominator[post] / denominator[post].sum() * rate
    dense = widened(dense_mixture(numerator / safe / rate, pre, post, variances, row, RATE, 0.0), found.widening)
    assert float(found.quantile(0.5)) == pytest.approx(dense_quantile(dense, 0.5), rel=2e-3)
    assert float(found.quantile(0.9)) == pytest.approx(dense_quantile(dense, 0.9), rel=2e-3)


def test_a_placebo_is_the_measurement_of_a_shorter_series():
    """A launch pretended after 18 weeks: the same surprise as measuring the first 24 weeks with a launch there."""
    rng = np.random.default_rng(8)
    total = np.full(34, 400.0)
    reached = rng.binomial(400, 0.3 + 0.04 * np.sin(np.arange(34) / 4)).astype(float)
    plain = Mode("plain", 0.03, 0.01, 0.004)
    found = {one.week: one for one in placebos(WeeklyRate(reached, total), Weeks(26), plain)}
    assert sorted(found) == list(range(10, 19))

    scale = (reached[:26].sum() + 0.5) / (total[:26].sum() + 1)
    pre, post, row = np.arange(18), np.arange(18, 26), np.full(8, 1 / 8)
    # On the scale of the whole pre period; its rate is also the sampling variance of every pretended post week.
    z, variances = reached / total / scale, np.full(34, (1 - scale) / scale / 400)
    weights, means, sds = dense_mixture(z, pre, post, variances, row, plain, 0.0)
    below = weights @ stats.norm.cdf((row @ z[post] - means) / sds)
    assert found[18].z == pytest.approx(stats.norm.ppf(below), abs=2e-3)
    assert found[18].observed == pytest.approx(reached[18:26].sum() / total[18:26].sum(), rel=1e-9)


def test_a_quiet_past_widens_nothing_and_a_surprising_one_does():
    rng = np.random.default_rng(9)
    total = np.full(34, 2000.0)
    quiet = rng.binomial(2000, 0.3, 34).astype(float)
    waves = rng.binomial(2000, 0.3 + 0.09 * np.sign(np.sin(np.arange(34) / 3))).astype(float)
    calm, restless = (llq(WeeklyRate(series, total), Weeks(26), RATE) for series in (quiet, waves))
    assert calm.widening < 1.1
    assert calm.restless < 0.1
    assert width(restless) > 3 * width(calm)


def test_sisters_that_surprised_widen_the_interval_and_calm_ones_do_not():
    rng = np.random.default_rng(10)
    total = np.full(34, 300.0)
    own = WeeklyRate(rng.binomial(300, 0.3, 34).astype(float), total)
    calm = [WeeklyRate(rng.binomial(300, 0.3, 34).astype(float), total) for _ in range(4)]
    steps = [0.3 + 0.12 * (np.arange(34) // 6 % 2) for _ in range(4)]
    restless = [WeeklyRate(rng.binomial(300, one).astype(float), total) for one in steps]
    alone, with_calm, with_restless = (
        llq(own, Weeks(26), RATE, past=past) for past in (None, learn(calm, Weeks(26), RATE), learn(restless, Weeks(26), RATE))
    )
    assert width(with_calm) <= width(alone) * 1.001
    assert width(with_restless) > 1.3 * width(alone)


def test_what_happens_after_the_launch_teaches_nothing():
    rng = np.random.default_rng(11)
    total = np.full(34, 300.0)
    reached = rng.binomial(300, 0.3, 34).astype(float)
    lifted = np.where(np.arange(34) >= 26, np.minimum(reached * 1.5, 300), reached)
    before, after = (learn([WeeklyRate(series, total)] * 2, Weeks(26), RATE) for series in (reached, lifted))
    assert before is not None
    assert after is not None
    assert np.allclose(before.evidence, after.evidence)
    assert before.squares == pytest.approx(after.squares)


def test_cdf_inverts_quantile():
    prediction = llq(WeeklyCounts(np.random.default_rng(1).poisson(12, 20)), Weeks(12), TOTAL, 0.1)
    for p in (0.01, 0.3, 0.5, 0.9, 0.99):
        assert prediction.cdf(float(prediction.quantile(p))) == pytest.approx(p, abs=1e-4)


def test_draws_have_the_mixtures_own_quantiles_and_repeat():
    prediction = llq(WeeklyCounts(np.random.default_rng(2).poisson(40, 20)), Weeks(12), TOTAL)
    draws = prediction.sample(4000, np.random.default_rng(3))
    assert np.quantile(draws, [0.025, 0.5, 0.975]) == pytest.approx(prediction.quantile([0.025, 0.5, 0.975]), rel=2e-3)
    assert draws.mean() == pytest.approx(prediction.mean, rel=2e-3)
    assert np.array_equal(draws, prediction.sample(4000, np.random.default_rng(3)))
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.05  # in random order, not sorted


def width(prediction: Prediction) -> float:
    low, middle, high = prediction.quantile([0.025, 0.5, 0.975])
    return float((high - low) / middle)


def test_unknown_season_widens_and_a_long_history_narrows():
    rng = np.random.default_rng(4)
    counts = rng.poisson(300, 120).astype(float)
    short, long = WeeklyCounts(counts[-34:]), WeeklyCounts(counts)
    widths = [width(llq(short, Weeks(24), TOTAL, season)) for season in (0.0, 0.1, 0.2)]
    assert widths == sorted(widths)
    assert widths[2] > 1.2 * widths[0]
    assert width(llq(long, Weeks(112), TOTAL, 0.1)) < width(llq(short, Weeks(24), TOTAL, 0.1))


def test_half_a_year_that_shows_no_wave_narrows_and_one_that_does_widens():
    t = np.arange(38)
    flat, wave = np.full(38, 1000.0), 1000 * (1 + 0.25 * np.sin(2 * np.pi * (t + 10) / 52.18))
    always = replace(TOTAL, can_be_faint=False)
    told = {name: [width(llq(WeeklyCounts(one), Weeks(26), mode, 0.2)) for mode in (TOTAL, always)]
            for name, one in (("flat", flat), ("wave", wave))}  # fmt: skip
    assert told["flat"][0] < 0.95 * told["flat"][1]
    assert told["wave"][0] == pytest.approx(told["wave"][1], rel=0.05)


def test_a_season_seen_twice_is_followed():
    t = np.arange(116)
    counts = 1000 * (1 + 0.3 * np.sin(2 * np.pi * t / 52.18))
    prediction = llq(WeeklyCounts(counts), Weeks(104), TOTAL, 0.25)
    assert prediction.mean == pytest.approx(prediction.observed, rel=0.04)
    assert abs(counts[:104].mean() * 12 / prediction.observed - 1) > 0.12  # the plain pre mean is far off there


@pytest.mark.parametrize("reached", [0.0, 30.0])
def test_rates_of_0_and_100_percent_stay_possible_and_uncertain(reached):
    rate = WeeklyRate(np.full(16, reached), np.full(16, 30.0))
    low, high = llq(rate, Weeks(8), RATE).quantile([0.025, 0.975])
    assert 0 <= low < high <= 1
    assert (low if reached == 0 else high) == pytest.approx(reached / 30, abs=0.005)


def test_constant_zero_predicts_next_to_nothing():
    low, high = llq(WeeklyCounts(np.zeros(16)), Weeks(8), TOTAL).quantile([0.025, 0.975])
    assert 0 <= low <= 1
    assert 0 < high < 10


def test_a_thousand_million_leads_a_week():
    prediction = llq(WeeklyCounts(np.full(38, 1e9)), Weeks(26), TOTAL)
    assert prediction.mean == pytest.approx(12e9, rel=0.01)
    assert 0 < width(prediction) < 0.2


def test_a_jumpy_history_is_believed():
    jumpy = np.array([100, 20, 180, 60, 140, 30, 190, 80, 120, 10, 170, 90] * 3, dtype=float)
    calm = np.full(36, jumpy.mean())
    assert width(llq(WeeklyCounts(jumpy), Weeks(28), TOTAL)) > 2 * width(llq(WeeklyCounts(calm), Weeks(28), TOTAL))


def test_one_huge_check_widens_both_sides():
    n, ordinary = np.full(16, 20.0), np.full(16, 20 * 3000.0)
    squares = np.full(16, 20 * 3000.0**2 * 1.3)
    plain = llq(WeeklyCheck(n, ordinary, squares), Weeks(8), CHECK)
    for week in (3, 12):
        total, total_sq = ordinary.copy(), squares.copy()
        total[week] += 1e6
        total_sq[week] += 1e12
        assert width(llq(WeeklyCheck(n, total, total_sq), Weeks(8), CHECK)) > 3 * width(plain)


def test_refunds_larger_than_sales_keep_a_finite_interval():
    n = np.full(16, 10.0)
    total = np.array([-900.0, 400, -300, 200, -800, 100, 500, -600] * 2)
    low, high = llq(WeeklyCheck(n, total, total**2 + 1e5), Weeks(8), CHECK).quantile([0.025, 0.975])
    assert np.isfinite([low, high]).all()
    assert low < -17.5 < high


def test_a_mean_near_zero_is_as_uncertain_as_its_payments():
    n = np.full(20, 10.0)
    total = np.tile([1005.0, -995.0], 10)  # mean 0.5 a payment, payments of about 300
    low, high = llq(WeeklyCheck(n, total, np.full(20, 10 * 300.0**2)), Weeks(10), CHECK).quantile([0.025, 0.975])
    within = np.sqrt(300**2 - 100**2)
    assert high - low > 0.9 * 2 * 1.96 * np.sqrt(2) * within / np.sqrt(100)


def test_one_payment_a_week_still_has_a_spread():
    n, total = np.ones(16), np.full(16, 1500.0)
    assert width(llq(WeeklyCheck(n, total, total**2), Weeks(8), CHECK)) > 0.5


def test_no_data_in_the_pre_period_is_refused():
    with pytest.raises(ValueError, match="no pre week has data"):
        llq(WeeklyRate(np.zeros(16), np.array([0.0] * 8 + [5.0] * 8)), Weeks(8), RATE)
