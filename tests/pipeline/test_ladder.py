"""The ladder's rules, one by one, and what guards do to a claim."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.effects import Effect, Interval
from pipeline.ladder import (
    Facts,
    Reason,
    Verdict,
    climb,
    holm,
    lowered,
    probability,
    sceptical_weights,
    total_rule,
    verdict,
)
from pipeline.recording import Guard

ENOUGH = Facts(n_pre_weeks=26, n_post_weeks=8, n_pre_visits=400, n_post_visits=150)


def codes(rung):
    return [reason.code for reason in rung.reasons]


@pytest.mark.parametrize(("weeks", "visits", "more"), [
    (3, 45, 1),  # weeks are short
    (4, 20, 2),  # visits are short: 5 a week need 6 weeks
    (2, 4, 13),  # 2 a week need 15 weeks
    (0, 0, 4),  # nothing mature yet: 100 visits in 10 pre weeks set the pace
])
def test_too_little_after_the_launch_says_how_many_weeks_more(weeks, visits, more):
    rung = climb(Facts(n_pre_weeks=10, n_post_weeks=weeks, n_pre_visits=100, n_post_visits=visits))
    assert (rung.code, rung.headline, rung.is_refused) == ("R0", "none", True)
    assert rung.reasons[0].code == "too_little_post"
    assert rung.reasons[0].figures["more_weeks"] == more


def test_a_short_pre_period_is_not_cured_by_waiting():
    rung = climb(Facts(n_pre_weeks=3, n_post_weeks=8, n_pre_visits=100, n_post_visits=100))
    assert codes(rung) == ["too_little_pre"]
    assert "more_weeks" not in rung.reasons[0].figures
    assert climb(Facts(8, 8, 29, 100)).code == "R0"
    assert climb(Facts(4, 4, 30, 30)).code == "R1"


def test_nothing_at_all_gives_no_number_of_weeks():
    rung = climb(Facts(0, 0, 0, 0))
    assert codes(rung) == ["too_little_pre", "too_little_post"]
    assert rung.reasons[1].figures["more_weeks"] is None


@pytest.mark.parametrize(("n_pre", "code", "season", "is_indicative", "max_post"), [
    (8, "R5", 0.10, True, 8), (25, "R5", 0.10, True, 8), (26, "R4", 0.20, True, None), (51, "R4", 0.20, True, None),
    (52, "R3", 0.15, False, None), (103, "R3", 0.15, False, None), (104, "R3", 0.25, False, None),
])
def test_history_decides_how_the_total_is_made(n_pre, code, season, is_indicative, max_post):
    rule = total_rule(n_pre)
    assert (rule.code, rule.season, rule.is_indicative, rule.max_post_weeks) == (code, season, is_indicative, max_post)


def test_the_process_claim_leads_and_shows_the_total_beside_it():
    rung = climb(ENOUGH)
    assert (rung.code, rung.headline) == ("R1", "process")
    assert rung.total == total_rule(26)
    assert codes(rung) == ["process_claim", "total_indicative"]


@pytest.mark.parametrize(("n_pre", "code", "headline"), [(60, "R3", "total"), (30, "R4", "none"), (10, "R5", "none")])
def test_changed_recording_withholds_the_process_claim(n_pre, code, headline):
    why = Guard("source_appeared", "process", "withhold", {"source": "Чат", "share": 0.3})
    rung = climb(Facts(n_pre, 8, 400, 150, guards=(why,)))
    assert (rung.code, rung.headline) == (code, headline)
    assert [reason.code for reason in rung.reasons][:2] == ["process_withheld", "source_appeared"]
    assert rung.reasons[1].figures["source"] == "Чат"


def test_a_fit_control_carries_the_total_whatever_the_history():
    rung = climb(Facts(10, 8, 400, 150, has_control=True))
    assert rung.total is not None
    assert (rung.total.code, rung.total.is_indicative, rung.total.max_post_weeks) == ("R2", False, None)
    assert rung.reasons[-1].code == "total_with_control"
    weak = climb(Facts(10, 8, 400, 150, has_control=True, is_weak_control=True))
    assert weak.total is not None
    assert weak.total.is_indicative


def test_strong_growth_takes_the_total_away_and_leaves_the_process_claim():
    growth = Guard("strong_growth", "total", "withhold", {"weekly_growth": 0.03})
    rung = climb(Facts(60, 12, 400, 150, guards=(growth,)))
    assert (rung.code, rung.headline, rung.total) == ("R1", "process", None)
    assert [reason.code for reason in rung.reasons] == ["process_claim", "total_withheld", "strong_growth"]


def test_nothing_is_claimed_when_everything_is_withheld():
    other = Guard("overlapping_launch", "both", "withhold", {"launch": "x"})
    rung = climb(Facts(60, 12, 400, 150, guards=(other,)))
    assert (rung.headline, rung.total, rung.is_refused) == ("none", None, True)
    assert rung.reasons[-1].code == "overlapping_launch"


@pytest.mark.parametrize(("code", "expected"), [
    ("pays", "works_payback_unproven"), ("works_payback_unproven", "not_enough_data"), ("harms", "harms"),
    ("does_not_pay", "does_not_pay"),
])
def test_an_indicative_claim_lowers_a_success_by_one_step(code, expected):
    guard = Guard("lead_count_changed", "process", "indicative", {})
    reached = Verdict(code, Reason("x", {"low": 1.0}))
    assert lowered(reached, [guard], "process").code == expected
    assert lowered(reached, [guard], "total").code == code
    assert lowered(reached, [replace(guard, action="note")], "process").code == code


def test_the_wait_counts_the_launch_week_the_washout_and_the_horizon():
    # Launched yesterday: six days to the first whole week, fourteen of horizon, four weeks that count.
    figures = climb(Facts(10, 0, 100, 0, days_to_maturity=6 + 14)).reasons[0].figures
    assert figures["more_weeks"] == 7
    assert (figures["min_weeks"], figures["min_visits"]) == (4, 30)
    # Two weeks count, the next one will in a day: less than two whole weeks are a wait of about two.
    assert climb(Facts(10, 2, 100, 20, days_to_maturity=-6)).reasons[0].figures["more_weeks"] == 2


@pytest.mark.parametrize(("low", "high", "break_even", "code"), [
    (12, 30, 10, "pays"),
    (5, 30, 10, "works_payback_unproven"),
    (5, 30, None, "works_payback_unproven"),
    (-5, 30, 10, "not_enough_data"),
    (-5, 8, 10, "does_not_pay"),
    (2, 8, 10, "does_not_pay"),
    (-20, -5, 10, "harms"),
    (-20, -5, None, "harms"),
    (-5, 8, None, "not_enough_data"),
    (2, 8, 0, "pays"),  # nothing to earn back
    (-5, 8, -10, "not_enough_data"),  # cheaper than free is still not proven to work
])
def test_verdict_from_interval_and_break_even(low, high, break_even, code):
    found = verdict(Interval((low + high) / 2, low, high), break_even, trust_score=82)
    assert found.code == code
    assert found.reason.figures["low"] == low


def test_low_trust_caps_every_verdict():
    assert verdict(Interval(20, 12, 30), 10, trust_score=49.9).reason.code == "low_trust"
    assert verdict(Interval(20, 12, 30), 10, trust_score=49.9).code == "not_enough_data"
    assert verdict(Interval(20, 12, 30), 10, trust_score=50).code == "pays"
    assert verdict(None, 10, trust_score=90).reason.code == "no_claim"


def history(rng, ads, chat, n_pre=26, n_post=8):
    """Weekly leads by source: (pre mean, post mean) each."""
    def series(pair):
        return np.concatenate([rng.poisson(pair[0], n_pre), rng.poisson(pair[1], n_post)]).astype(float)

    return {"ads": series(ads), "chat": series(chat)}


def test_the_sceptical_prior_pulls_towards_no_effect():
    counterfactual = np.random.default_rng(26).lognormal(np.log(100), 0.3, 4000)
    weights = sceptical_weights(150, counterfactual)
    # Normal times normal: precision adds, so the mean log effect log 1.5 shrinks by .35^2 / (.35^2 + .3^2).
    mean = weights @ np.log(150 / counterfactual)
    assert mean == pytest.approx(np.log(1.5) * 0.35**2 / (0.35**2 + 0.3**2), abs=0.02)
    assert weights.sum() == pytest.approx(1)
    assert sceptical_weights(0, counterfactual) is None
    assert sceptical_weights(10, np.full(5, -1.0)) is None


def measured(detectable):
    return Effect(150, 100, 50, 10, 90, None, None, detectable, 0.01, "process", 0.0, 26, 8)


def test_a_probability_only_from_data_that_can_tell():
    counterfactual = np.linspace(60, 140, 4000)
    won = 150 - counterfactual > 40
    told = probability(won, measured(0.25), counterfactual)
    assert 0 < told < np.mean(won)
    assert probability(won, measured(0.30), counterfactual) is None
    assert probability(won, measured(None), counterfactual) is None


def test_holm_by_hand():
    assert holm({"leads": 0.04, "booking": 0.01, "show": 0.03, "check": 0.5}) == pytest.approx(
        {"leads": 0.09, "booking": 0.04, "show": 0.09, "check": 0.5})
    assert holm({}) == {}
