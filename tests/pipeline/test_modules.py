"""Modules of a programme: parts sum to the whole in every draw, names and order mean nothing, nothing is split by guess."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.effects import Funnel
from pipeline.modules import Start, Zone, account_for

N_WEEKS = 40
STARTS = {"a": 12, "b": 20, "c": 28}
NOTHING_LEFT_OUT = np.zeros(N_WEEKS, dtype=np.bool_)


def zone(names: str, *, starts=None, leads=120.0, seed=1, **lifts: float) -> Zone:
    """Leads whose booking rate is multiplied from each module's week on."""
    rng, starts = np.random.default_rng(seed), starts or STARTS
    rate = np.full(N_WEEKS, 0.3)
    for name in names:
        rate = rate * np.where(np.arange(N_WEEKS) >= starts[name], lifts.get(name, 1.0), 1.0)
    came = rng.poisson(leads, N_WEEKS)
    booked = rng.binomial(came, rate)
    visited = rng.binomial(booked, 0.75)
    paid = [1500 * rng.lognormal(-0.18, 0.6, n) for n in visited]
    sums = np.array([one.sum() for one in paid]), np.array([(one**2).sum() for one in paid])
    return Zone(frozenset(names), Funnel(came, visited, booked, visited, *sums))


def account(zones, starts=None, *, margin=0.6, settled=1):
    chosen = [Start(name, at, at + settled) for name, at in (starts or STARTS).items()]
    return account_for(chosen, zones, NOTHING_LEFT_OUT, margin)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(["a ab ac", "abc", "a b c", "ab c", "ab", "a abc"]), st.integers(0, 99), st.sampled_from([None, 0.4]),
       st.dictionaries(st.sampled_from("abc"), st.sampled_from([12, 13, 20, 28, 38]), min_size=3))
def test_parts_sum_to_the_whole_in_every_draw(touched, seed, margin, starts):
    zones = [zone(names, seed=seed + n, starts=starts, a=1.3, b=1.2) for n, names in enumerate(touched.split())]
    used = {name: at for name, at in starts.items() if any(name in one.modules for one in zones)}
    found = account(zones, used, margin=margin)
    parts = np.sum([*found.draws.values(), found.rest], axis=0)
    assert np.allclose(parts, found.whole, rtol=0, atol=1e-6 * np.abs(found.whole).max())
    estimates = sum(one.estimate for one in found.amounts.values()) + found.rest_amount.estimate
    assert estimates == pytest.approx(found.whole_amount.estimate, rel=1e-9, abs=1e-4)
    for one in (*found.amounts.values(), found.rest_amount, found.whole_amount):
        assert one.low <= one.estimate <= one.high


def test_renaming_and_reordering_change_nothing():
    zones = [zone("a", seed=1, a=1.3), zone("ab", seed=2, a=1.3, b=1.2), zone("abc", seed=3, a=1.3)]
    plain = account(zones)
    names = {"a": "z", "b": "y", "c": "x"}
    renamed = [Zone(frozenset(names[name] for name in one.modules), one.funnel) for one in reversed(zones)]
    other = account(renamed, {names[name]: at for name, at in reversed(STARTS.items())})
    for mine, theirs in (("a", "z"), ("b", "y"), ("c", "x")):
        one, two = plain.amounts[(mine,)], other.amounts[(theirs,)]
        assert (one.estimate, one.low, one.high) == pytest.approx((two.estimate, two.low, two.high), rel=1e-9)
    assert plain.rest_amount.estimate == pytest.approx(other.rest_amount.estimate, rel=1e-6, abs=1e-3)


def test_modules_in_turn_are_told_apart():
    found = account([zone("abc", leads=600.0, a=1.3, b=1.5)])
    worth = 600 * 0.3 * 0.75 * 1500 * 0.6
    weeks_a, weeks_b = 27 - 2, 19 - 1  # the weeks of the later starts count for nothing
    assert found.amounts[("a",)].low < 0.3 * worth * weeks_a < found.amounts[("a",)].high
    assert found.amounts[("b",)].low < 1.3 * 0.5 * worth * weeks_b < found.amounts[("b",)].high
    assert found.amounts[("b",)].low > 0
    assert found.amounts[("c",)].low < 0 < found.amounts[("c",)].high
    assert [step.rule for step in found.steps] == ["own"] * 3


def test_same_leads_in_the_same_week_are_never_split():
    starts = {"a": 12, "b": 12}
    found = account([zone("ab", starts=starts, a=1.5, b=1.2)], starts)
    assert set(found.amounts) == {("a", "b")}
    assert [step.rule for step in found.steps] == ["joint"]
    assert found.told_share("a") == found.told_share("b") == 0


@pytest.mark.parametrize("gap", [1, 3, 4])
def test_starts_with_too_few_weeks_between_are_joint(gap):
    starts = {"a": 12, "b": 12 + gap}
    found = account([zone("ab", starts=starts, a=1.5)], starts)
    assert set(found.amounts) == {("a", "b")}


def test_five_weeks_between_are_enough():
    starts = {"a": 12, "b": 17}
    found = account([zone("ab", starts=starts, a=1.5)], starts)
    assert set(found.amounts) == {("a",), ("b",)}


def test_what_a_module_did_alone_elsewhere_tells_the_other():
    starts = {"a": 12, "b": 12}
    zones = [zone("a", starts=starts, leads=600.0, a=1.5), zone("ab", starts=starts, leads=600.0, seed=2, a=1.5, b=1.0)]
    found = account(zones, starts)
    assert {step.rule for step in found.steps} == {"own", "elsewhere"}
    assert found.told_share("b") == 1
    assert found.amounts[("b",)].low < 0 < found.amounts[("b",)].high
    # Without it, b would have had all of it: the two leads' joint figure is far above nothing.
    together = found.amounts[("a",)].estimate
    assert together > 0.5 * 600 * 0.3 * 0.75 * 1500 * 0.6 * 27 * 1.5


def test_both_known_alone_leave_their_interaction_to_the_rest():
    starts = {"a": 12, "b": 12}
    zones = [zone(names, starts=starts, leads=600.0, seed=n, a=1.3, b=1.3) for n, names in enumerate(("a", "b", "ab"))]
    found = account(zones, starts)
    assert set(found.amounts) == {("a",), ("b",)}
    assert next(step for step in found.steps if step.zone == {"a", "b"}).known_from == ("a", "b")


def test_a_module_that_began_just_now_has_no_figure_and_keeps_the_others():
    starts = {"a": 12, "b": 37}
    found = account([zone("ab", starts=starts, a=1.5)], starts)
    assert set(found.amounts) == {("a",)}
    assert [step.rule for step in found.steps] == ["own", "too_few"]


def test_a_zone_that_is_too_small_stays_in_the_rest():
    found = account([zone("a", a=1.5), zone("ab", leads=1.0, seed=3)])
    assert set(found.amounts) == {("a",)}
    assert found.told_share("b") == 0


def test_nobody_paid_before_is_said():
    one = zone("a")
    unpaid = Funnel(one.funnel.leads, one.funnel.visited, one.funnel.booked)
    with pytest.raises(ValueError, match="nobody paid"):
        account([Zone(frozenset("a"), unpaid)], {"a": 12})


def test_modules_that_began_together_leave_no_rest_though_next_to_nothing_was_expected():
    """Where a draw says that nothing would have come, all that came is theirs."""
    found = account([zone("ab", starts=dict.fromkeys("ab", 30), leads=14.0, seed=4, a=1.5)], dict.fromkeys("ab", 30))
    assert list(found.draws) == [("a", "b")]
    assert min(step.effect.expected["booking_rate"].min() for step in found.steps) == 0
    assert not found.rest.any()
    assert (found.rest_amount.estimate, found.rest_amount.low, found.rest_amount.high) == (0, 0, 0)
