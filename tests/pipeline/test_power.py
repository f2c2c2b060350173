"""What a launch can tell now and later, and what would help."""

import numpy as np
import pytest

from pipeline.effects import Funnel, process_effect, total_claim
from pipeline.power import MORE_WEEKS, Longer, Power, claim_detectable, power
from pipeline.weekly import Weeks

SEASON = 0.1


def funnel(leads=80.0, n_weeks=20, seed=1, booking=0.4):
    """A salon to which nothing happened."""
    rng = np.random.default_rng(seed)
    came = rng.poisson(leads, n_weeks).astype(float)
    booked = rng.binomial(came.astype(int), booking).astype(float)
    visited = rng.binomial(booked.astype(int), 0.75).astype(float)
    checks = [rng.lognormal(7, 0.6, int(n)) for n in visited]
    return Funnel(came, visited, booked, visited, np.array([c.sum() for c in checks]), np.array([(c**2).sum() for c in checks]))


def told(curve, **changed) -> Power:
    """Power from a made-up curve: detectable effect by weeks added."""
    known = {"claim": "process", "now": curve[0], "break_even": 0.2, **changed}
    return power(lambda longer: curve.get(longer.n_more), Weeks(12), 20, **known)


FALLING = {0: 0.40, 4: 0.30, 8: 0.20, 12: 0.16, 26: 0.12}
RISING = {0: 0.40, 4: 0.42, 8: 0.45, 12: 0.47, 26: 0.50}


@pytest.mark.parametrize("season", [None, SEASON])
@pytest.mark.parametrize(("leads", "n_pre"), [(25.0, 8), (80.0, 26), (2000.0, 26)])
def test_the_curve_runs_as_that_of_the_claim_itself(leads, n_pre, season):
    weekly, weeks, n_weeks = funnel(leads, n_pre + 12), Weeks(n_pre), n_pre + 12

    def printed(n_more):
        longer = Longer(weeks, n_weeks, n_more)
        long = longer.funnel(weekly)
        claim = (process_effect(long, longer.weeks) if season is None
                 else total_claim(long, longer.weeks, season=season, is_indicative=False))
        return claim.revenue.detectable

    found = power(claim_detectable(weekly, season=season), weeks, n_weeks, claim="process", now=printed(0), break_even=None)
    for point in found.curve[1::2]:
        assert point.detectable == pytest.approx(printed(point.n_post_weeks - 12), rel=0.2)


def test_more_leads_tell_more():
    few, many = (claim_detectable(funnel(leads))(Longer(Weeks(12), 20, 0)) for leads in (25.0, 2500.0))
    assert many < few / 1.5


def test_longer_weeks_are_the_mean_post_week():
    weeks = Weeks(3, 1, np.array([False, True, False, False, False, False]))
    longer = Longer(weeks, 6, 2)
    assert longer.series(np.array([1.0, 99, 1, 7, 4, 6])).tolist() == [1, 99, 1, 7, 4, 6, 5, 5]
    assert longer.weeks.left_out.tolist() == [False, True, *[False] * 6]
    assert longer.weeks.split(8)[1].tolist() == [4, 5, 6, 7]
    assert longer.n_post_weeks == 2


def test_a_claim_that_may_use_the_first_weeks_only_gains_nothing_by_waiting():
    weekly, weeks = funnel(n_weeks=24), Weeks(12, max_post=6)
    longer = Longer(weeks, 24, 4)
    assert longer.n_post_weeks == 6
    assert longer.series(np.arange(24.0))[-1] == pytest.approx(np.arange(12, 18).mean())
    found = power(claim_detectable(weekly), weeks, 24, claim="process", now=0.3, break_even=0.2)
    assert [point.detectable for point in found.curve] == pytest.approx([0.3] * 5)
    assert found.more_weeks is None


def test_a_control_helps_a_total_claim():
    weekly, weeks = funnel(2000.0, 38), Weeks(26)
    control = np.random.default_rng(3).poisson(2000, 38).astype(float)
    alone, beside = (claim_detectable(weekly, season=SEASON, control=other)(Longer(weeks, 38, 4)) for other in (None, control))
    assert beside < alone


def test_a_launch_that_only_began_is_planned_from_its_pre_weeks():
    longer = Longer(Weeks(3, 2), 4, 2)  # the washout still has a week to go
    assert longer.series(np.array([2.0, 4, 6, 50])).tolist() == [2, 4, 6, 50, 4, 4, 4]
    assert longer.weeks.split(7)[1].size == 2
    weekly = funnel(80.0, 12)
    found = power(claim_detectable(weekly), Weeks(12), 12, claim="process", now=None, break_even=0.9)
    assert found.detectable is None
    assert [point.n_post_weeks for point in found.curve] == list(MORE_WEEKS)
    assert found.more_weeks == 4


def test_curve_starts_at_the_printed_figure_and_keeps_its_shape():
    weekly, weeks = funnel(), Weeks(12)
    plain = power(claim_detectable(weekly), weeks, 20, claim="process", now=0.3, break_even=None)
    widened = power(claim_detectable(weekly), weeks, 20, claim="process", now=0.6, break_even=None)
    assert [point.n_post_weeks for point in plain.curve] == [8, 12, 16, 20, 34]
    assert plain.curve[0].detectable == plain.detectable == 0.3
    assert [point.detectable * 2 for point in plain.curve] == pytest.approx([point.detectable for point in widened.curve])


def test_weeks_until_the_break_even_effect_shows():
    assert told(FALLING).more_weeks == 8
    assert told(FALLING, break_even=0.24).more_weeks == 7  # 6.4: between 30 % at 4 and 20 % at 8
    assert told(FALLING, break_even=0.5).more_weeks == 0  # it shows already
    assert told(FALLING, break_even=-0.1).more_weeks == 0  # saved hours pay everything: nothing has to show
    assert told(FALLING, break_even=0.05).more_weeks is None
    assert told(RISING).more_weeks is None
    assert told(FALLING, break_even=None).more_weeks is None


@pytest.mark.parametrize(("curve", "changed", "way"), [
    (FALLING, {}, "wait"),
    (FALLING, {"break_even": 0.05}, "holdout"),
    (FALLING, {"break_even": None}, "wait"),
    (RISING, {}, "holdout"),
    (RISING, {"break_even": None}, "holdout"),
    (FALLING, {"claim": "total"}, "history"),  # never "wait" without a control, whatever the curve promises
    (FALLING, {"claim": "total", "can_have_control": True}, "control"),
    (FALLING, {"claim": "total", "can_have_control": True, "break_even": 0.05}, "holdout"),
    (FALLING, {"claim": "total", "has_control": True}, "wait"),
    (RISING, {"claim": "total", "has_control": True}, "holdout"),
])
def test_the_cheapest_way_out(curve, changed, way):
    assert told(curve, **changed).best_way == way


def test_with_a_year_of_history_more_history_is_no_advice():
    found = power(lambda longer: 0.4, Weeks(60), 70, claim="total", now=0.4, break_even=0.2)
    assert found.best_way == "holdout"


@pytest.mark.parametrize("change", ["billion", "no visits", "everybody", "free", "no money"])
def test_extreme_weeks_give_a_figure_or_none(change):
    base = funnel()
    if change == "billion":
        columns = (base.leads, base.visited, base.booked, base.paid, base.revenue, base.revenue_sq)
        weekly = Funnel(*(column * 1e7 for column in columns))
    elif change == "no visits":
        weekly = Funnel(base.leads, base.visited * 0, base.booked)
    elif change == "everybody":
        weekly = Funnel(base.leads, base.leads, base.leads)
    elif change == "free":
        weekly = Funnel(base.leads, base.visited, base.booked, base.paid, base.revenue * 0, base.revenue_sq * 0)
    else:
        weekly = Funnel(base.leads, base.visited)
    found = power(claim_detectable(weekly), Weeks(12), 20, claim="process", now=None, break_even=0.2)
    assert all(np.isfinite(point.detectable) and point.detectable > 0 for point in found.curve)
    if change in ("billion", "everybody", "no money"):
        assert found.curve
