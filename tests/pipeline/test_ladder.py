"""The ladder's rules, one by one, and the guard against a changed definition of a lead."""

import numpy as np
import pytest

from pipeline.effects import Effect, Interval
from pipeline.ladder import (
    Facts,
    Reason,
    climb,
    holm,
    probability,
    recording_changed,
    sceptical_weights,
    total_rule,
    verdict,
)
from pipeline.weekly import WeeklyCounts, Weeks

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
    (8, "R5", 0.10, True, 8), (25, "R5", 0.10, True, 8), (26, "R4", 0.15, True, None), (51, "R4", 0.15, True, None),
    (52, "R3", 0.10, False, None), (103, "R3", 0.10, False, None), (104, "R3", 0.25, False, None),
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
    why = Reason("source_appeared", {"source": "chat", "share": 0.4})
    rung = climb(Facts(n_pre, 8, 400, 150, recording=why))
    assert (rung.code, rung.headline) == (code, headline)
    assert rung.reasons[:2] == (Reason("process_withheld"), why)


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


def guard(sources, duplicates=None):
    return recording_changed(WeeklyCounts(sum(sources.values())), Weeks(26), season=0.15, sources=sources, duplicates=duplicates)


def test_a_source_that_appears_or_vanishes_is_told_by_name():
    rng = np.random.default_rng(21)
    appeared = guard(history(rng, ads=(60, 60), chat=(0, 15)))
    assert (appeared.code, appeared.figures["source"]) == ("source_appeared", "chat")
    assert appeared.figures["share"] == pytest.approx(0.2, abs=0.05)
    vanished = guard(history(rng, ads=(60, 60), chat=(15, 0)))
    assert (vanished.code, vanished.figures["source"]) == ("source_vanished", "chat")


def test_a_rare_source_may_come_and_go():
    assert guard(history(np.random.default_rng(22), ads=(60, 60), chat=(0, 1))) is None
    assert guard({"ads": np.full(34, 1.0), "chat": np.r_[np.zeros(33), 1.0]}) is None


def test_chats_that_used_to_be_lost_change_count_and_mix():
    reason = guard(history(np.random.default_rng(23), ads=(60, 60), chat=(20, 90)))
    assert reason.code == "source_mix_changed"
    assert reason.figures["leads_change"] > 0.4


def test_duplicates_that_swell_the_count():
    sources = history(np.random.default_rng(24), ads=(60, 100), chat=(20, 33))
    total = sum(sources.values())
    clean = total * 0.05
    assert guard(sources, clean) is None  # more leads of the same kind: demand, not recording
    assert guard(sources, np.where(np.arange(34) < 26, clean, total * 0.3)).code == "duplicate_share_changed"


def test_ordinary_histories_raise_no_guard():
    rng = np.random.default_rng(25)
    assert sum(guard(history(rng, ads=(60, 60), chat=(20, 20))) is not None for _ in range(60)) <= 1


def test_many_sources_growing_alike_are_demand_and_not_recording():
    rng = np.random.default_rng(27)
    alarms = 0
    for _ in range(25):
        sources = {name: rng.poisson(np.repeat([30.0, 60.0], [26, 8])).astype(float) for name in "abcdefghij"}
        alarms += guard(sources) is not None
    assert alarms <= 3


def test_no_leads_on_a_side_is_for_another_rule():
    assert guard({"ads": np.r_[np.full(26, 5.0), np.zeros(8)]}) is None


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
