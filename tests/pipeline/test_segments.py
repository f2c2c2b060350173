"""A claim split by factor and segment: exact in every draw, blind to what did not change, honest about small segments."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.effects import Funnel
from pipeline.segments import segment_contributions
from pipeline.weekly import Weeks

N_PRE, N_WEEKS, N_DRAWS = 12, 20, 300
WEEKS = Weeks(N_PRE)
FACTORS = ("leads", "booking_rate", "show_rate", "paid_rate", "average_check")


def channel(leads=50.0, booking=0.4, check=1500.0, *, lift=1.0, growth=1.0, noise=None):
    """A channel whose every week is exactly its mean, or drawn when `noise` is a generator."""
    post = np.arange(N_WEEKS) >= N_PRE
    came = leads * np.where(post, growth, 1.0)
    rate = np.minimum(booking * np.where(post, lift, 1.0), 1.0)
    if noise is None:
        booked = came * rate
        visited = booked * 0.75
        return Funnel(came, visited, booked, visited, visited * check, visited * check**2 * 1.5)
    came = noise.poisson(came).astype(float)
    booked = noise.binomial(came.astype(int), rate).astype(float)
    visited = noise.binomial(booked.astype(int), 0.75).astype(float)
    paid = [check * noise.lognormal(-0.18, 0.6, int(n)) for n in visited]
    return Funnel(came, visited, booked, visited, np.array([p.sum() for p in paid]), np.array([(p**2).sum() for p in paid]))


def whole(channels):
    return Funnel(*(np.sum([getattr(one, column.name) for one in channels.values()], axis=0) for column in fields(Funnel)))


def drawn(channels, seed=1, sd=0.05, *, is_total=False):
    """Draws of the claim around the rates before the launch, as `effects` makes them."""
    rng = np.random.default_rng(seed)
    everything = whole(channels)
    found = {"leads": np.full(N_DRAWS, everything.leads[N_PRE:].sum())}
    if is_total:
        found["leads"] = everything.leads[:N_PRE].mean() * (N_WEEKS - N_PRE) * np.exp(sd * rng.standard_normal(N_DRAWS))
    for name, series in everything.factors().items():
        up, down = (series.total, series.n) if name == "average_check" else (series.numerator, series.denominator)
        found[name] = up[:N_PRE].sum() / down[:N_PRE].sum() * np.exp(sd * rng.standard_normal(N_DRAWS))
    return found


def revenue_draws(channels, expected):
    return whole(channels).revenue[N_PRE:].sum() - np.prod(list(expected.values()), axis=0)


TIMES = st.one_of(st.just(0.0), st.floats(0.01, 3))
CHANNEL = st.builds(channel, leads=st.floats(0.5, 1e9), booking=st.one_of(st.just(0.0), st.just(1.0), st.floats(0.001, 1)),
                    check=st.floats(1, 1e6), lift=TIMES, growth=TIMES)


@settings(max_examples=40, deadline=None)
@given(channels=st.lists(CHANNEL, min_size=1, max_size=5), is_total=st.booleans(), margin=st.sampled_from([None, 0.5]))
def test_parts_sum_to_the_claim_in_every_draw(channels, is_total, margin):
    named = {f"channel {n}": one for n, one in enumerate(channels)}
    if not whole(named).factors()["show_rate"].denominator[:N_PRE].any():
        return  # nobody came before the launch: there is no claim on money
    expected = drawn(named, is_total=is_total)
    found = segment_contributions(named, WEEKS, expected, margin=margin)
    claim = revenue_draws(named, expected) * (margin or 1)
    scale = np.abs(found.parts).max() + np.abs(claim).max()
    assert found.parts.shape == (5, len(named), N_DRAWS)
    assert found.parts.sum(axis=(0, 1)) == pytest.approx(claim, rel=1e-9, abs=1e-11 * scale)
    middle = pytest.approx(np.median(claim), rel=1e-9, abs=1e-11 * scale)
    assert sum(one.estimate for one in found.by_segment.values()) == middle
    assert sum(one.estimate for one in found.by_factor.values()) == middle
    for one in (*found.by_segment.values(), *found.by_factor.values()):
        assert one.low <= one.estimate <= one.high


def test_the_factor_and_the_channel_that_changed_get_the_effect():
    channels = {"search": channel(lift=1.5), "social": channel(80, 0.2), "none": channel(20, 0.5)}
    found = segment_contributions(channels, WEEKS, drawn(channels, sd=1e-6))
    gained = 8 * 50 * 0.4 * 0.5 * 0.75 * 1500
    assert found.by_segment["search"].estimate == pytest.approx(gained, rel=1e-3)
    assert found.by_factor["booking_rate"].estimate == pytest.approx(gained, rel=1e-3)
    others = [found.by_segment[name].estimate for name in ("social", "none")]
    assert others == pytest.approx([0, 0], abs=1e-3 * gained)
    assert found.factors == FACTORS


def test_a_changed_mix_lands_in_the_leads():
    # The channel with the low rate doubles, the other one halves: no rate of any channel moved.
    channels = {"good": channel(50, 0.6, growth=0.5), "poor": channel(50, 0.2, growth=1.5)}
    found = segment_contributions(channels, WEEKS, drawn(channels, sd=1e-9))
    loss = 8 * (25 * 0.2 - 25 * 0.6) * 0.75 * 1500
    assert found.by_factor["leads"].estimate == pytest.approx(loss, rel=1e-6)
    for name in FACTORS[1:]:
        assert found.by_factor[name].estimate == pytest.approx(0, abs=1e-3)
    assert found.by_segment["good"].estimate < 0 < found.by_segment["poor"].estimate


@settings(max_examples=20, deadline=None)
@given(leads=st.floats(1, 1e4), booking=st.floats(0.01, 1), check=st.floats(10, 1e5), seed=st.integers(0, 99))
def test_an_untouched_channel_changes_no_contribution(leads, booking, check, seed):
    touched = {"search": channel(lift=1.4, noise=np.random.default_rng(seed)), "social": channel(30, 0.3, lift=0.9)}
    rng = np.random.default_rng(seed)
    moved = np.exp(0.1 * rng.standard_normal((5, N_DRAWS)))  # what the draws say the whole business does without the launch
    growth = sum(one.leads[N_PRE:].sum() for one in touched.values()) / sum(one.leads[:N_PRE].sum() for one in touched.values())
    untouched = channel(leads, booking, check, growth=growth * N_PRE / (N_WEEKS - N_PRE))
    splits = []
    for channels in (touched, {**touched, "untouched": untouched}):
        still = drawn(channels, sd=0.0)
        splits.append(segment_contributions(channels, WEEKS, {name: still[name] * ratio
                                                              for name, ratio in zip(still, moved, strict=True)}))
    before, after = splits
    scale = np.abs(before.parts).max()
    assert after.parts[:, :2] == pytest.approx(before.parts, abs=1e-9 * scale)
    # Itself it has no part but what every draw does to the whole.
    of_its_own = segment_contributions({**touched, "untouched": untouched}, WEEKS, still)
    assert of_its_own.cells[:, 2] == pytest.approx(np.zeros(5), abs=1e-6 * float(untouched.revenue.sum()))


def test_a_single_segment_is_the_whole_claim():
    channels = {"all": channel(lift=1.2)}
    expected = drawn(channels)
    found = segment_contributions(channels, WEEKS, expected).by_segment["all"]
    claim = np.quantile(revenue_draws(channels, expected), [0.025, 0.5, 0.975])
    assert (found.low, found.estimate, found.high) == pytest.approx(claim)


def test_few_leads_make_a_wide_interval_and_it_holds_the_truth():
    # Twelve channels that nothing happened to; the whole moves by 1 % only, each channel by its own chance.
    n_inside = n_all = 0
    relative = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        channels = {f"c{n}": channel(10.0 if n < 6 else 120.0, 0.3 + 0.03 * n, noise=rng) for n in range(8)}
        found = segment_contributions(channels, WEEKS, drawn(channels, seed, sd=0.01))
        for name, one in found.by_segment.items():
            n_inside += one.low <= 0 <= one.high
            n_all += 1
            if seed == 0:
                relative.append((one.high - one.low) / float(channels[name].revenue.sum()))
    assert 0.92 <= n_inside / n_all <= 1.0
    assert min(relative[:6]) > 1.5 * max(relative[6:])


def test_channels_that_appear_vanish_or_take_everything_back():
    nothing = np.zeros(N_WEEKS)
    post = np.arange(N_WEEKS) >= N_PRE
    def only(side):
        one = channel()
        return Funnel(*(np.where(side, getattr(one, column.name), nothing) for column in fields(Funnel)))

    refunds = channel(5)
    refunds = Funnel(refunds.leads, refunds.visited, refunds.booked, refunds.paid, -refunds.revenue, refunds.revenue_sq)
    channels = {"new": only(post), "old": only(~post), "steady": channel(), "refunds": refunds, "empty": only(nothing > 0)}
    expected = drawn(channels)
    found = segment_contributions(channels, WEEKS, expected)
    assert found.parts.sum(axis=(0, 1)) == pytest.approx(revenue_draws(channels, expected), rel=1e-9)
    assert np.isfinite(found.parts).all()
    assert found.by_segment["new"].low > 0 > found.by_segment["old"].high
    assert found.by_segment["empty"].estimate == 0


def test_visits_that_nobody_had_before_the_launch_and_the_other_way_round():
    dead = np.where(np.arange(N_WEEKS) < N_PRE, 0.0, 1.0)
    one = channel()
    for alive in (dead, 1 - dead):
        visited, revenue = one.visited * alive, one.revenue * alive
        channels = {"a": Funnel(one.leads, visited, one.booked, visited, revenue, one.revenue_sq * alive), "b": one}
        expected = drawn(channels)
        found = segment_contributions(channels, WEEKS, expected)
        assert found.parts.sum(axis=(0, 1)) == pytest.approx(revenue_draws(channels, expected), rel=1e-9)


def test_segments_that_do_not_fit_the_claim_are_refused():
    channels = {"a": channel()}
    expected = drawn(channels)
    with pytest.raises(ValueError, match="segment 'b' has the factors"):
        segment_contributions({**channels, "b": Funnel(channels["a"].leads, channels["a"].visited)}, WEEKS, expected)
    empty = {"a": Funnel(*(getattr(channels["a"], column.name) * (np.arange(N_WEEKS) >= N_PRE) for column in fields(Funnel)))}
    with pytest.raises(ValueError, match="nothing to"):
        segment_contributions(empty, WEEKS, expected)
    with pytest.raises(ValueError, match="no segment"):
        segment_contributions({}, WEEKS, expected)
