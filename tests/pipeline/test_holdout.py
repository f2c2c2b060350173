"""A randomised hold-out: the rule that chance follows, the plan, and what may be read from it."""

import subprocess
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.holdout import (
    WEEKS_SHOWN,
    Arm,
    TooFewLeads,
    analyse,
    is_held_out,
    plan_holdout,
    sample_ratio,
    smallest_effect,
    threshold_hex,
)

# --- who is held out ------------------------------------------------------------------------------------------------


def test_anybody_can_check_the_rule_with_a_shell():
    for lead_id in ("1", "4711", "сделка-7"):
        text = f"salon:{lead_id}"
        printed = subprocess.run(["sha256sum"], input=text.encode(), capture_output=True, check=True).stdout.decode()[:16]
        assert is_held_out(lead_id, "salon", 0.3) == (printed < threshold_hex(0.3))
    assert threshold_hex(0.5) == "8" + "0" * 15


def test_chance_is_even_independent_of_the_id_and_of_another_salt():
    ids = [str(number) for number in range(20_000)]
    first = np.array([is_held_out(lead_id, "a", 0.3) for lead_id in ids])
    other = np.array([is_held_out(lead_id, "b", 0.3) for lead_id in ids])
    error = np.sqrt(0.3 * 0.7 / len(ids))
    assert first.mean() == pytest.approx(0.3, abs=4 * error)
    assert (first & other).mean() == pytest.approx(0.09, abs=4 * np.sqrt(0.09 * 0.91 / len(ids)))
    assert np.corrcoef(first[:-1], first[1:])[0, 1] == pytest.approx(0, abs=4 / np.sqrt(len(ids)))


@given(lead_id=st.text(max_size=20), small=st.floats(0.01, 0.98), more=st.floats(0.001, 0.5))
def test_a_larger_share_keeps_everybody_who_was_held_out(lead_id, small, more):
    if is_held_out(lead_id, "s", small):
        assert is_held_out(lead_id, "s", min(small + more, 0.99))


@pytest.mark.parametrize("share", [0, 1, -0.5, 50, float("nan")])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match=r"such as 0\.5"):
        is_held_out("1", "s", share)


# --- the plan -------------------------------------------------------------------------------------------------------


def plan(**changed):
    return plan_holdout(**{"baseline": 0.10, "effect": 0.5, "leads_a_week": 50.0, "horizon_days": 14, "salt": "s", **changed})


def test_plan_counts_leads_and_weeks():
    found = plan()
    assert (found.chosen.n_held, found.chosen.n_treated) == (686, 686)  # 10 % against 15 %, a published sample size
    assert found.chosen.weeks == ceil(1372 / 50)
    assert found.is_practical
    assert [split.share for split in found.splits] == [0.5, 0.3, 0.2, 0.1]
    assert [split.share for split in plan(share=0.25).splits] == [0.25, 0.5, 0.3, 0.2, 0.1]
    all_leads = [split.n_held + split.n_treated for split in found.splits]
    assert all_leads == sorted(all_leads)  # half is the fastest
    assert found.splits[2].n_treated == pytest.approx(4 * found.splits[2].n_held, abs=4)
    assert {step.code for step in found.steps} >= {"assign", "old_process", "decide_once", "check_split"}


def test_smallest_effect_is_what_the_planned_leads_see():
    split = plan().chosen
    assert smallest_effect(0.10, split.n_held, split.n_treated) == pytest.approx(0.5, abs=0.002)
    seen = plan().chosen.smallest
    assert len(seen) == len(WEEKS_SHOWN)
    assert list(seen) == sorted(seen, reverse=True)
    assert smallest_effect(0.9, 5, 5) is None
    assert smallest_effect(0.9, 0, 100) is None
    assert smallest_effect(0.3, 1e9, 1e9) < 1e-3


def test_planned_leads_have_the_promised_power():
    rng = np.random.default_rng(5)
    split = plan(share=0.3, baseline=0.3, effect=0.2).chosen
    found = [analyse(arm(split.n_treated, 0.36, rng), arm(split.n_held, 0.30, rng), share=0.3).difference.low > 0
             for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize(("changed", "words"), [
    ({"baseline": 0.0}, "between 0 and 100 %"),
    ({"baseline": 1.0}, "between 0 and 100 %"),
    ({"effect": 0.0}, "at least 0.1%"),
    ({"effect": float("nan")}, "at least 0.1%"),
    ({"effect": 1e-9}, "at least 0.1%"),
    ({"baseline": 0.6, "effect": 0.7}, "cannot rise"),
    ({"leads_a_week": 0.0}, "needs leads"),
    ({"salt": ""}, "salt is empty"),
    ({"share": 50}, "such as 0.5"),
])
def test_a_plan_that_cannot_be_says_why(changed, words):
    with pytest.raises(ValueError, match=words):
        plan(**changed)


# --- what came out --------------------------------------------------------------------------------------------------


def arm(n, rate, rng, n_weeks=6, shocks=None, **money):
    """About `n` leads over some weeks, whose rates all move by `shocks`."""
    leads = rng.multinomial(n, np.full(n_weeks, 1 / n_weeks)).astype(float)
    rates = np.clip(rate * (np.ones(n_weeks) if shocks is None else shocks), 0, 1)
    return Arm(leads, rng.binomial(leads.astype(int), rates).astype(float), **money)


def one_week(leads, reached):
    return Arm(np.array([float(leads)]), np.array([float(reached)]))


def test_one_week_is_newcombes_published_interval():
    found = analyse(one_week(70, 56), one_week(80, 48), share=80 / 150)
    assert found.difference.estimate == pytest.approx(0.2)
    assert (found.difference.low, found.difference.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)  # Newcombe 1998, table II a
    assert found.relative.estimate == pytest.approx(56 / 70 / 0.6 - 1)
    assert 0 < found.relative.low < found.relative.estimate < found.relative.high
    assert found.extra_reached.estimate == pytest.approx(14)


def test_weeks_are_compared_within_themselves():
    # In both weeks the groups do exactly alike; pooled, the treated would look better (more of them came in the good week).
    treated = Arm(np.array([100.0, 400.0]), np.array([10.0, 200.0]))
    held = Arm(np.array([400.0, 100.0]), np.array([40.0, 50.0]))
    found = analyse(treated, held, share=0.5)
    assert found.difference.estimate == pytest.approx(0)
    assert found.p_value == pytest.approx(1)
    assert found.treated_rate == pytest.approx(found.held_rate)


def test_mantel_haenszel_by_hand():
    treated, held = Arm([10.0, 20.0], [4.0, 6.0]), Arm([30.0, 20.0], [6.0, 3.0])
    weights = np.array([10 * 30 / 40, 20 * 20 / 40])
    assert analyse(treated, held, share=0.5).difference.estimate == pytest.approx(
        float(weights @ [0.4 - 0.2, 0.3 - 0.15]) / weights.sum())
    surplus = (4 - 10 * 10 / 40) + (6 - 20 * 9 / 40)
    variance = 10 * 30 * 10 * 30 / (40**2 * 39) + 20 * 20 * 9 * 31 / (40**2 * 39)
    assert analyse(treated, held, share=0.5).p_value == pytest.approx(stats.chi2.sf(surplus**2 / variance, 1))


def test_false_alarms_and_coverage_when_the_weeks_themselves_are_wild():
    """Shocks that hit everybody, as much as a threefold rate from week to week: a before/after would be lost."""
    rng = np.random.default_rng(11)
    false_alarms, inside, inside_relative = [], [], []
    for _ in range(600):
        shocks = rng.uniform(0.5, 1.5, 6)
        nothing = analyse(arm(260, 0.2, rng, shocks=shocks), arm(240, 0.2, rng, shocks=shocks), share=0.48)
        false_alarms.append(nothing.p_value < 0.05 or nothing.difference.low > 0 or nothing.difference.high < 0)
        better = analyse(arm(260, 0.3, rng, shocks=shocks), arm(240, 0.2, rng, shocks=shocks), share=0.48)
        true = 0.1 * float(shocks.mean())
        inside.append(better.difference.low <= true <= better.difference.high)
        inside_relative.append(better.relative.low <= 0.5 <= better.relative.high)
    assert np.mean(false_alarms) <= 0.05 + 3 * 0.009
    assert 0.92 <= np.mean(inside) <= 0.985
    assert 0.92 <= np.mean(inside_relative) <= 0.985


@pytest.mark.parametrize(("treated", "held"), [((100, 0), (100, 0)), ((100, 100), (100, 100)), ((40, 40), (40, 0)),
                                               ((1_000_000_000, 500_000_000), (1_000_000_000, 500_000_000))])
def test_extreme_rates_keep_a_width_and_never_leave_what_is_possible(treated, held):
    found = analyse(one_week(*treated), one_week(*held), share=0.5)
    assert -1 <= found.difference.low < found.difference.high <= 1
    assert found.difference.low <= found.difference.estimate <= found.difference.high
    assert (found.relative is None) == (held[1] == 0)
    assert 0 <= found.p_value <= 1


def test_swapping_the_groups_flips_the_sign():
    rng = np.random.default_rng(3)
    one, other = arm(300, 0.3, rng), arm(200, 0.2, rng)
    there, back = analyse(one, other, share=0.4).difference, analyse(other, one, share=0.6).difference
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low))


def paid(values, week):
    """An arm of leads that all reached the milestone and paid `values`, each in its week."""
    sums = [np.bincount(week, weights=column, minlength=4) for column in (np.ones(len(values)), values, values**2)]
    return Arm(sums[0], sums[0], sums[1], sums[2])


@pytest.mark.parametrize("factor", [1.0, -1.0, 1e6])
def test_revenue_is_welchs_interval_with_refunds_and_in_any_unit(factor):
    rng = np.random.default_rng(8)
    treated = np.where(rng.random(300) < 0.3, rng.lognormal(8, 1, 300), 0.0)
    held = np.where(rng.random(200) < 0.2, rng.lognormal(8, 0.8, 200), 0.0)
    treated[:5] = -1500.0  # refunds
    groups = [paid(values * factor, rng.integers(0, 4, values.size)) for values in (treated, held)]
    found = analyse(*groups, share=0.4)
    expected = stats.ttest_ind(treated * factor, held * factor, equal_var=False)
    interval = expected.confidence_interval()
    assert found.revenue_per_lead.estimate == pytest.approx((treated.mean() - held.mean()) * factor)
    assert (found.revenue_per_lead.low, found.revenue_per_lead.high) == pytest.approx((interval.low, interval.high))
    assert found.extra_revenue.high == pytest.approx(found.revenue_per_lead.high * 300)


def test_nobody_paid_anything():
    nothing = Arm(np.array([50.0]), np.array([10.0]), np.zeros(1), np.zeros(1))
    found = analyse(nothing, nothing, share=0.5)
    assert (found.revenue_per_lead.low, found.revenue_per_lead.high) == (0, 0)
    assert analyse(one_week(50, 10), one_week(50, 10), share=0.5).extra_revenue is None


def test_groups_of_the_wrong_size_are_told():
    assert not sample_ratio(520, 480, 0.5).is_mismatch
    broken = analyse(one_week(700, 70), one_week(300, 30), share=0.5).ratio
    assert broken.is_mismatch
    assert (broken.planned, broken.observed) == (0.5, 0.3)
    assert sample_ratio(0, 0, 0.5).p_value == 1
    rng = np.random.default_rng(2)
    held = rng.binomial(1000, 0.3, 3000)
    assert np.mean([sample_ratio(1000 - n, n, 0.3).p_value < 0.05 for n in held]) <= 0.055


def test_weeks_without_one_of_the_groups_compare_nothing():
    treated, held = Arm([50.0, 60.0, 0.0], [10.0, 60.0, 0.0]), Arm([40.0, 0.0, 30.0], [8.0, 0.0, 30.0])
    found = analyse(treated, held, share=0.5)
    assert (found.n_weeks, found.n_treated, found.n_held) == (1, 50, 40)
    assert found.difference.estimate == pytest.approx(0)


@pytest.mark.parametrize(("n_treated", "n_held"), [(10, 500), (500, 29), (0, 0)])
def test_a_group_of_a_few_leads_is_not_read(n_treated, n_held):
    assert analyse(one_week(n_treated, 0), one_week(n_held, 0), share=0.5) == TooFewLeads(
        *((n_treated, n_held) if n_treated and n_held else (0, 0)))


@pytest.mark.parametrize(("make", "words"), [
    (lambda: analyse(Arm([50.0, 1.0], [1.0, 0.0]), one_week(50, 1), share=0.5), "the same ones"),
    (lambda: one_week(10, 11), "more reached"),
    (lambda: one_week(float("nan"), 1), "week 1"),
    (lambda: Arm([50.0], [1.0], [5.0]), "give both or neither"),
])
def test_groups_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
