"""Controls: which candidates are proposed and why, what their sum is worth, and whether one jumped at the launch."""

import numpy as np
import pytest

from pipeline.controls import pooled, propose, shock_at_launch
from pipeline.weekly import Weeks

N_PRE, N_POST = 26, 8
WEEKS = Weeks(N_PRE)
SEASON = 0.15


def market(rng, n_weeks=N_PRE + N_POST):
    """What all sides share: a season, a trend and a slow wander."""
    week = np.arange(n_weeks)
    season = 0.2 * np.sin(2 * np.pi * week / 52 + rng.uniform(0, 6))
    return np.exp(season + 0.004 * week * rng.normal() + np.cumsum(rng.normal(0, 0.02, n_weeks)))


def leads(rng, mean, own=0.0):
    return rng.poisson(mean * np.exp(rng.normal(0, own, np.size(mean)))).astype(float)


def codes(candidate):
    return [reason.code for reason in candidate.reasons]


def reason(candidate, code):
    return next(one for one in candidate.reasons if one.code == code)


def only(series, treated, weeks=WEEKS, touched=()):
    (found,) = propose({("channel", "vk"): series}, treated, weeks, touched, season=SEASON)
    return found


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def test_a_good_control_with_its_reasons(rng):
    shared = market(rng)
    found = only(leads(rng, 4000 * shared), leads(rng, 3000 * shared))
    assert (found.dimension, found.key, found.is_fit) == ("channel", "vk", True)
    assert codes(found) == ["untouched", "enough_weeks", "enough_leads", "moves_together"]
    assert all(one.is_for for one in found.reasons)
    assert reason(found, "enough_weeks").figures == {"n_weeks": 26, "needed": 8}
    assert reason(found, "enough_leads").figures["leads_a_month"] == pytest.approx(found.leads_a_month)
    assert found.correlation > 0.5
    assert found.own_noise < 0.05
    assert abs(found.weekly_drift) < 0.005
    assert not found.is_weak
    assert not found.has_jumped


def test_leads_a_month_are_those_of_the_pre_weeks(rng):
    series = np.concatenate([np.full(N_PRE, 23.0), np.full(N_POST, 900.0)])
    found = only(series, leads(rng, 300 * market(rng)))
    assert found.leads_a_month == pytest.approx(23 * 365.25 / 12 / 7)
    assert "enough_leads" in codes(found)
    assert "too_few_leads" in codes(only(series * 22 / 23, leads(rng, 300 * market(rng))))


@pytest.mark.parametrize(("make", "code"), [
    (lambda good: good * 0.02, "too_few_leads"),
    (lambda good: np.where(np.arange(34) == 9, 0, good), "has_gaps"),
    (lambda good: good * 0, "has_gaps"),
])
def test_what_makes_a_candidate_unfit(rng, make, code):
    shared = market(rng)
    treated = leads(rng, 300 * shared)
    found = only(make(leads(rng, 400 * shared)), treated)
    assert not found.is_fit
    assert found.score == 0
    assert not reason(found, code).is_for
    assert np.isfinite([found.own_noise, found.correlation, found.weekly_drift]).all()


def test_an_empty_week_that_is_left_out_is_no_gap(rng):
    shared = market(rng)
    treated, series = leads(rng, 300 * shared), leads(rng, 400 * shared)
    series[9] = 0
    closed = np.arange(34) == 9
    found = only(series, treated, Weeks(N_PRE, left_out=closed))
    assert found.is_fit
    assert reason(found, "enough_weeks").figures["n_weeks"] == 25


@pytest.mark.parametrize("n_pre", [1, 2, 3, 4, 7])
def test_a_short_pre_period_is_refused_whatever_its_length(rng, n_pre):
    shared = market(rng, n_pre + 6)
    found = only(leads(rng, 400 * shared), leads(rng, 300 * shared), Weeks(n_pre))
    assert not found.is_fit
    assert reason(found, "too_few_weeks").figures == {"n_weeks": n_pre, "needed": 8}
    assert (found.own_noise is None) == (n_pre < 4)


def test_what_the_launch_touched_or_is_made_of_cannot_be_a_control(rng):
    shared = market(rng)
    treated, series = leads(rng, 300 * shared), leads(rng, 400 * shared)
    assert only(series, treated, touched={("branch", "vk")}).is_fit  # a branch of that name, not the channel
    for found in (only(series, treated, touched={("channel", "vk")}), only(treated, treated), only(treated * 3, treated)):
        assert not found.is_fit
        assert not reason(found, "touched_by_launch").is_for


def test_a_control_that_drifts_away_is_usable_but_weak(rng):
    shared = market(rng)
    week = np.arange(34)
    found = only(leads(rng, 400 * shared * np.exp(-0.05 * week)), leads(rng, 300 * shared))
    assert found.is_fit
    assert found.is_weak
    assert reason(found, "drifts_away").figures["weekly_drift"] == pytest.approx(0.05, abs=0.01)
    assert found.weekly_drift == pytest.approx(0.05, abs=0.01)
    outgrown = only(leads(rng, 400 * shared * np.exp(0.05 * week)), leads(rng, 300 * shared))
    assert reason(outgrown, "drifts_away").figures["weekly_drift"] == pytest.approx(-0.05, abs=0.01)
    assert outgrown.is_weak
    slower = only(leads(rng, 400 * shared * np.exp(0.02 * week)), leads(rng, 300 * shared))
    assert "drifts_away" not in codes(slower)


def test_own_noise_is_measured_without_counting_noise():
    rng = np.random.default_rng(22)
    noise = {(mean, own): np.mean([only(leads(rng, mean * shared, own), leads(rng, mean * shared), Weeks(52)).own_noise
                                   for shared in (market(rng, 60) for _ in range(12))])
             for mean in (60, 3000) for own in (0.0, 0.12)}
    for mean in (60, 3000):
        assert noise[mean, 0.0] < 0.06
        assert noise[mean, 0.12] == pytest.approx(0.12, abs=0.04)
    assert noise[3000, 0.0] < 0.01
    # A small control is allowed its own counting noise, not that of the treated; and the other way round.
    for treated_mean, control_mean in ((3000, 60), (60, 3000)):
        one_small = [only(leads(rng, control_mean * shared), leads(rng, treated_mean * shared), Weeks(52)).own_noise
                     for shared in (market(rng, 60) for _ in range(12))]
        assert np.mean(one_small) < 0.05


def test_a_control_of_12_percent_own_noise_is_called_weak_and_a_calm_one_is_not():
    rng = np.random.default_rng(23)
    weak, calm = [], []
    for _ in range(30):
        shared = market(rng, 60)
        treated = leads(rng, 2000 * shared)
        weak.append(only(leads(rng, 2000 * shared, 0.12), treated, Weeks(52)).is_weak)
        calm.append(only(leads(rng, 2000 * shared, 0.03), treated, Weeks(52)).is_weak)
    assert np.mean(weak) >= 0.9
    assert np.mean(calm) == 0


def test_moving_together_means_that_the_ratio_is_calmer(rng):
    week = np.arange(34)
    wave = np.exp(0.1 * np.sin(week))  # shared, and too fast for a line
    treated = leads(rng, 3000 * wave)
    together, apart = only(leads(rng, 3000 * wave), treated), only(leads(rng, 3000 / wave), treated)
    assert reason(together, "moves_together").figures["correlation"] > 0.9
    assert reason(apart, "moves_apart").figures["correlation"] < -0.9
    assert together.own_noise < 0.05 < apart.own_noise
    assert together.score > apart.score
    # Nothing but counting noise on both sides: nothing to move with, and nothing to hold against it.
    assert "moves_together" in codes(only(leads(rng, np.full(34, 1e4)), leads(rng, np.full(34, 1e4))))
    # A steady treated series and a control within 2 % of it: calmer than the treated alone it cannot be, calm it is.
    zigzag = np.where(week % 2, 1.01, 0.99)
    assert "moves_together" in codes(only(1e7 * zigzag, np.full(34, 1e7)))


def test_the_best_candidate_comes_first_and_unfit_ones_last():
    rng = np.random.default_rng(24)
    right = []
    for _ in range(20):
        shared = market(rng)
        candidates = {
            ("channel", "noisy"): leads(rng, 500 * shared, 0.15), ("channel", "calm"): leads(rng, 500 * shared, 0.02),
            ("channel", "tiny"): leads(rng, 5 * shared), ("branch", "drifts"): leads(rng, 500 * shared * 0.93 ** np.arange(34)),
        }
        found = propose(candidates, leads(rng, 300 * shared), WEEKS, set(), season=SEASON)
        assert [one.is_fit for one in found] == [True, True, True, False]
        assert found[-1].key == "tiny"
        assert all(0 < one.score <= 1 for one in found[:3])
        right.append(found[0].key == "calm")
    assert np.mean(right) >= 0.9


def test_order_of_candidates_changes_nothing(rng):
    shared = market(rng)
    candidates = {("channel", str(n)): leads(rng, 100 * (n + 1) * shared, 0.02 * n) for n in range(5)}
    candidates["branch", "0"] = candidates["channel", "0"].copy()  # a tie
    backwards = dict(reversed(candidates.items()))
    treated = leads(rng, 300 * shared)
    first = propose(candidates, treated, WEEKS, set(), season=SEASON)
    assert first == propose(backwards, treated, WEEKS, set(), season=SEASON)
    one, other = (pooled(proposed, some, treated, WEEKS)
                  for proposed, some in ((first, candidates), (tuple(reversed(first)), backwards)))
    assert one.dimension == other.dimension
    assert sorted(one.keys) == sorted(other.keys)
    assert one.leads == pytest.approx(other.leads)


def test_shifting_the_launch_and_its_history_changes_nothing(rng):
    shared = market(rng)
    treated, series = leads(rng, 300 * shared), leads(rng, 400 * shared * np.exp(0.01 * np.arange(34)), 0.05)
    plain = only(series, treated)
    strange = np.array([7e4, 1, 0, 9e9, 3])  # weeks before the history starts: on neither side
    shifted = only(np.concatenate([strange, series]), np.concatenate([strange[::-1], treated]),
                   Weeks(N_PRE + 5, left_out=np.arange(39) < 5))
    assert codes(shifted) == codes(plain)
    for name in ("score", "own_noise", "correlation", "weekly_drift", "leads_a_month"):
        assert getattr(shifted, name) == pytest.approx(getattr(plain, name))


def test_scaling_a_control_changes_its_size_but_not_its_movement():
    rng = np.random.default_rng(25)
    shared = market(rng)
    treated, series = leads(rng, 1e6 * shared), leads(rng, 1e6 * shared, 0.05)
    plain, hundred = only(series, treated), only(series * 100, treated)
    assert hundred.leads_a_month == pytest.approx(100 * plain.leads_a_month)
    for name in ("score", "own_noise", "correlation", "weekly_drift"):
        assert getattr(hundred, name) == pytest.approx(getattr(plain, name), abs=1e-4)


def test_post_weeks_decide_nothing_but_the_jump(rng):
    shared = market(rng)
    treated, series = leads(rng, 300 * shared), leads(rng, 400 * shared)
    plain = only(series, treated)
    series[N_PRE:] *= 3
    jumped = only(series, treated)
    assert codes(jumped) == [*codes(plain), "jumped_at_launch"]
    assert reason(jumped, "jumped_at_launch").figures["change"] > 1
    assert jumped.is_fit
    assert jumped.has_jumped
    assert jumped.score == pytest.approx(plain.score / 4)
    assert (jumped.own_noise, jumped.weekly_drift) == (plain.own_noise, plain.weekly_drift)


def channels(rng, n, *, own=(0.02, 0.12), n_weeks=N_PRE + N_POST):
    """Treated leads and `n` channels of different size, each with noise and a slow wander of its own."""
    shared = market(rng, n_weeks)
    found = {}
    for i in range(n):
        scale = rng.uniform(*own)
        wander = np.cumsum(rng.normal(0, 0.3 * scale, n_weeks))
        found["channel", str(i)] = leads(rng, 300 * np.exp(rng.normal(0, 0.8)) * shared * np.exp(wander), scale)
    return leads(rng, 150 * shared, 0.03), found


def ratio_error(treated, control):
    ratio = np.log((treated + 0.5) / (control + 0.5))
    return ratio[N_PRE:].mean() - ratio[:N_PRE].mean()


@pytest.mark.thorough
def test_the_sum_of_a_dimension_predicts_better_than_its_best_channel():
    rng = np.random.default_rng(26)
    alone, together, none = [], [], []
    for _ in range(150):
        treated, candidates = channels(rng, 5)
        proposed = propose(candidates, treated, WEEKS, set(), season=SEASON)
        control = pooled(proposed, candidates, treated, WEEKS)
        best = next(one for one in proposed if not one.has_jumped)
        together.append(ratio_error(treated, control.leads))
        alone.append(ratio_error(treated, candidates[best.dimension, best.key]))
        none.append(np.log(treated[N_PRE:].mean() / treated[:N_PRE].mean()))
    error = {name: np.sqrt(np.mean(np.square(found))) for name, found in
             (("alone", alone), ("together", together), ("none", none))}
    assert error["together"] < 0.97 * error["alone"]
    assert error["alone"] < 0.7 * error["none"]


def test_a_pool_holds_the_calm_candidates_of_one_dimension(rng):
    shared = market(rng)
    week = np.arange(34)
    candidates = {
        ("channel", "a"): leads(rng, 900 * shared), ("channel", "b"): leads(rng, 700 * shared),
        ("channel", "own way"): leads(rng, 9000 * np.exp(0.2 * np.sin(week))), ("channel", "tiny"): leads(rng, 3 * shared),
        ("channel", "bot"): leads(rng, 800 * shared), ("branch", "north"): leads(rng, 60 * shared, 0.06),
    }
    treated = leads(rng, 300 * shared)
    proposed = propose(candidates, treated, WEEKS, {("channel", "bot")}, season=SEASON)
    own_way = next(one for one in proposed if one.key == "own way")
    assert own_way.is_fit
    assert not own_way.has_jumped
    control = pooled(proposed, candidates, treated, WEEKS)
    assert control.dimension == "channel"
    assert set(control.keys) == {"a", "b"}
    assert control.leads == pytest.approx(candidates["channel", "a"] + candidates["channel", "b"])
    assert control.n_pre_weeks == 26
    assert control.leads_a_month == pytest.approx(control.leads[:N_PRE].mean() * 365.25 / 12 / 7)
    assert not control.is_weak


def test_weak_candidates_are_used_only_when_there_are_no_others(rng):
    shared = market(rng)
    treated, drifting = leads(rng, 300 * shared), leads(rng, 500 * shared * np.exp(-0.05 * np.arange(34)))
    candidates = {("channel", "drifting"): drifting, ("channel", "bot"): treated}
    control = pooled(propose(candidates, treated, WEEKS, set(), season=SEASON), candidates, treated, WEEKS)
    assert control.keys == ("drifting",)
    assert control.is_weak
    nothing = {("channel", "bot"): treated}
    assert pooled(propose(nothing, treated, WEEKS, set(), season=SEASON), nothing, treated, WEEKS) is None
    assert propose({}, treated, WEEKS, set(), season=SEASON) == ()


def test_a_channel_that_jumped_alone_is_left_out_and_a_market_that_jumped_is_kept(rng):
    shared = market(rng)
    jump = np.where(np.arange(34) < N_PRE, 1, 3)
    treated = leads(rng, 300 * shared)
    alone = {("channel", "a"): leads(rng, 900 * shared), ("channel", "b"): leads(rng, 900 * shared * jump)}
    assert pooled(propose(alone, treated, WEEKS, set(), season=SEASON), alone, treated, WEEKS).keys == ("a",)
    market_jumped = {key: leads(rng, 900 * shared * jump) for key in alone}
    control = pooled(propose(market_jumped, treated * jump, WEEKS, set(), season=SEASON), market_jumped, treated * jump, WEEKS)
    assert set(control.keys) == {"a", "b"}


def test_a_jump_is_seen_and_quiet_controls_are_not_accused():
    rng = np.random.default_rng(27)
    false, seen = [], []
    for _ in range(60):
        mean = 300 * market(rng) * np.exp(rng.normal(0, 0.04, 34))
        false.append(shock_at_launch(leads(rng, mean), WEEKS, season=SEASON).is_shock)
        fallen = shock_at_launch(leads(rng, mean * np.where(np.arange(34) < N_PRE, 1, 0.5)), WEEKS, season=SEASON)
        seen.append(fallen.is_shock)
        assert -0.75 < fallen.change < -0.2
    assert np.mean(false) <= 0.075
    assert np.mean(seen) >= 0.9


def test_a_jump_long_after_the_launch_is_not_its_doing():
    series = np.concatenate([np.full(N_PRE + 8, 300.0), np.full(20, 3000.0)])
    quiet = shock_at_launch(series, WEEKS, season=SEASON)
    assert quiet.change == pytest.approx(0, abs=0.01)
    assert not quiet.is_shock
    sooner = np.concatenate([np.full(N_PRE + 3, 300.0), np.full(9, 3000.0)])
    assert shock_at_launch(sooner, WEEKS, season=SEASON).is_shock
    assert not shock_at_launch(sooner, Weeks(N_PRE, max_post=3), season=SEASON).is_shock
    assert shock_at_launch(series, Weeks(N_PRE, n_washout=8), season=SEASON).is_shock


def test_figures_that_cannot_be_used_are_named(rng):
    good = leads(rng, 300 * market(rng))
    broken = good.copy()
    broken[11] = np.nan
    with pytest.raises(ValueError, match="control channel vk: week 12 of the series is not a finite number"):
        only(broken, good)
    with pytest.raises(ValueError, match="treated leads: week 12"):
        only(good, broken)
    with pytest.raises(ValueError, match="control channel vk: week 1 "):
        only(-good, good)
    with pytest.raises(ValueError, match="control channel vk: the weekly series differ in length"):
        only(good[1:], good)
    with pytest.raises(ValueError, match="the post period has no week left"):
        only(good, good, Weeks(34))
    with pytest.raises(ValueError, match="week 12"):
        shock_at_launch(broken, WEEKS, season=SEASON)


@pytest.mark.parametrize("series", [np.zeros(34), np.full(34, 5.0), np.full(34, 1e9), np.eye(34)[33] * 1e9],
                         ids=["zeros", "flat", "10^9 a week", "all leads in one week"])
def test_awkward_series_give_finite_figures(rng, series):
    for control, treated in ((series, leads(rng, 300 * market(rng))), (leads(rng, 300 * market(rng)), series),
                             (series + 1, series)):
        found = only(control, treated)
        assert np.isfinite([found.score, found.own_noise, found.correlation, found.weekly_drift, found.leads_a_month]).all()
        for one in found.reasons:
            assert all(figure is None or np.isfinite(figure) for figure in one.figures.values())
        if found.is_fit:
            assert np.isfinite(pooled([found], {("channel", "vk"): control}, treated, WEEKS).own_noise)
