"""Plans: their laws (scale, sign, sums, swap), ramp and season by hand, ranges, chances, tornado, discounting."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.amounts import Quantity
from pipeline.calculator import FLAT, compute
from pipeline.errors import ConfigError
from pipeline.scenarios import load

CONFIG = Path(__file__).parents[2] / "config"
SALON = load("salon-assistant", CONFIG)
MONEY = ("check", "one_off_cost", "monthly_cost")
SUMMER = (0.7, 0.7, 0.9, 1.0, 1.1, 1.2, 1.3, 1.3, 1.1, 1.0, 0.9, 0.8)


def plan(scenario=SALON, season=FLAT, seed=7, **given):
    return compute(scenario, scenario.read_inputs({**scenario.example, **given}, {}, "RUB"), season=season, seed=seed)


def result(found, name):
    return found.points[name].point


CERTAIN = st.fixed_dictionaries({
    "leads_before": st.integers(1, 500), "leads_after": st.integers(1, 900), "conversion_before": st.floats(0.01, 0.5),
    "conversion_after": st.floats(0.01, 0.9), "check": st.floats(10, 1e5), "one_off_cost": st.floats(1, 1e7),
    "monthly_cost": st.floats(0, 1e5), "months": st.integers(6, 36), "ramp_months": st.integers(0, 6),
    "margin": st.floats(0.05, 0.95),
})  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(given=CERTAIN, factor=st.sampled_from([0.01, 3.0, 1000.0]))
def test_scaling_money_scales_net_and_leaves_the_rates(given, factor):
    small, large = plan(**given), plan(**{name: value * factor if name in MONEY else value for name, value in given.items()})
    cost = result(small, "cost")
    for name in ("net", "npv", "benefit"):
        assert result(large, name) == pytest.approx(factor * result(small, name), rel=1e-9, abs=1e-9 * cost * factor)
    for name in ("roi", "payback", "break_even_margin"):
        small_one, large_one = result(small, name), result(large, name)
        assert (small_one is None) == (large_one is None)
        assert small_one is None or large_one == pytest.approx(small_one, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(given=CERTAIN)
def test_roi_net_and_payback_agree(given):
    found = plan(**given)
    net, roi, back, margin = (result(found, name) for name in ("net", "roi", "payback", "break_even_margin"))
    assert np.sign(net) == np.sign(roi) or abs(net) < 1e-6 * result(found, "cost")
    months = given["months"]
    if net > 1e-6 * result(found, "cost"):
        assert back is not None
        assert back <= months * (1 + 1e-9)
        assert margin < given["margin"] * (1 + 1e-9)
    elif net < -1e-6 * result(found, "cost"):
        assert back is None or back > months
        assert margin is None or margin > given["margin"]


@settings(deadline=None, max_examples=60)
@given(given=CERTAIN)
def test_parts_sum_to_totals_and_swapping_pre_and_post_flips_the_sign(given):
    found = plan(**given)
    parts = sum(result(found, name) for name in ("by_leads", "by_conversion", "by_both"))
    total = result(found, "extra_revenue")
    assert parts == pytest.approx(total, rel=1e-9, abs=1e-9 * given["check"] * 1000)
    assert result(found, "net") == pytest.approx(result(found, "benefit") - result(found, "cost"))
    assert found.flows.sum() == pytest.approx(result(found, "net"), rel=1e-9, abs=1e-6)
    swapped = {**given, "leads_before": given["leads_after"], "leads_after": given["leads_before"],
               "conversion_before": given["conversion_after"], "conversion_after": given["conversion_before"]}  # fmt: skip
    assert result(plan(**swapped), "benefit") == pytest.approx(-result(found, "benefit"), rel=1e-9, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(given=CERTAIN, rate=st.floats(0, 3))
def test_value_and_rate_of_return_fit_their_definitions(given, rate):
    found = plan(**given, discount_rate=f"{rate * 100:.6f}%", season=SUMMER)
    months, scale = np.arange(found.flows.size) / 12, np.abs(found.flows).sum()
    by_hand = (found.flows / (1 + round(rate * 100, 6) / 100) ** months).sum()
    assert result(found, "npv") == pytest.approx(by_hand, rel=1e-9, abs=1e-9 * scale)
    irr = result(found, "irr")
    if irr is not None and -0.9 < irr < 20:
        assert (found.flows / (1 + irr) ** months).sum() == pytest.approx(0, abs=1e-6 * scale)


def test_the_rate_of_return_has_a_range_and_draws_that_bring_nothing_back_count_as_lost():
    likely = plan(conversion_after="14..18%")
    low, middle, high = likely.interval("irr", 0.8)
    assert low < middle < high
    ends = [result(plan(conversion_after=text), "irr") for text in ("14%", "18%")]
    assert ends[0] < low < high < ends[1]
    doubtful = plan(conversion_after="7..16%")  # below 9.3 % a month brings less than it costs
    lost = (doubtful.draws["full_benefit"].numbers <= 5000).mean()
    assert 0.1 < lost < 0.5
    assert doubtful.interval("irr", 0.8)[0] == -1
    assert plan(conversion_after="5..9%").interval("irr", 0.8) is None  # most draws have none


def test_ramp_by_hand():
    found = plan(ramp_months=2, months=3, conversion_after="16%")
    full = result(found, "full_benefit")
    assert full == pytest.approx(30_000)
    assert result(found, "benefit") == pytest.approx(full * 2.5)
    assert found.flows.tolist() == pytest.approx([-30_000, 10_000, 25_000, 25_000])
    assert result(found, "payback") == pytest.approx(1 + 20_000 / 25_000)


def test_margin_hours_and_months_by_hand():
    found = plan(margin="50%", rollout_hours=10, hours_a_month=4, hour_rate=500, months=6)
    assert result(found, "benefit") == pytest.approx(26_250 / 2 * 6)
    assert result(found, "cost") == pytest.approx(30_000 + 10 * 500 + 6 * (5_000 + 4 * 500))
    assert result(found, "net") == pytest.approx(78_750 - 77_000)
    assert result(found, "year_roi") == pytest.approx(26_250 / 2 * 12 / (35_000 + 12 * 7_000) - 1)
    assert found.flows.tolist() == pytest.approx([-35_000, *[26_250 / 2 - 7_000] * 6])


def test_savings_lower_the_margin_that_is_needed():
    found = plan(load("equipment", CONFIG), extra_units=10, unit_price=1_000, saved_a_month=20_000)
    assert result(found, "break_even_margin") == pytest.approx((500_000 - 12 * 20_000) / (12 * 10_000))


def test_season_and_start_month_by_hand():
    found = plan(season=SUMMER, start_month=6, months=2)
    assert found.flows.tolist() == pytest.approx([-30_000, 26_250 * 1.2 - 5_000, 26_250 * 1.3 - 5_000])
    assert result(plan(season=SUMMER), "benefit") == pytest.approx(result(plan(), "benefit"))  # a whole year


def test_cannibalisation_takes_its_share_of_the_benefit():
    assert result(plan(cannibalisation="40%"), "benefit") == pytest.approx(0.6 * result(plan(), "benefit"))


def test_time_freed_is_beside_the_benefit_and_never_in_it():
    crm = load("crm", CONFIG)
    freed = plan(crm, cash_share="0%")
    assert (result(freed, "benefit"), result(freed, "capacity")) == (0, pytest.approx(1_300_000))
    assert result(freed, "roi") == -1
    assert result(freed, "roi_with_capacity") == pytest.approx(9.8333333)


@pytest.mark.parametrize(("given", "name", "reason"), [
    ({"one_off_cost": 0, "monthly_cost": 0}, "roi", "cost_zero"),
    ({"conversion_after": "5%"}, "payback", "never"),
    ({"conversion_after": "5%"}, "break_even_margin", "revenue_zero"),
    ({"one_off_cost": 0}, "irr", "no_irr"),
])  # fmt: skip
def test_what_does_not_exist_has_a_reason(given, name, reason):
    value = plan(**given).points[name]
    assert (value.point, value.reason) == (None, reason)


def test_without_any_cost_there_is_no_roi():
    found = compute(SALON, SALON.read_inputs({n: v for n, v in SALON.example.items() if "cost" not in n}, {}, "RUB"))
    assert {found.points[name].reason for name in ("cost", "net", "roi", "payback", "npv", "irr")} == {"no_cost"}


@pytest.mark.parametrize(("given", "season", "words"), [
    ({"months": 3, "ramp_months": 7}, FLAT, "shorter than ramp_months of 7"),
    ({"months": 5, "ramp_months": "3..7"}, FLAT, "shorter than ramp_months of 7"),
    ({}, (1.0,) * 11, "twelve factors"),
    ({}, (2.0,) * 12, "average of 2 instead of 1"),
    ({}, (-1.0, 3.0, *(1.0,) * 10), "twelve factors"),
    ({"months": "6..12"}, FLAT, "not a range"),
    ({"months": "6,5"}, FLAT, "no whole number"),
])  # fmt: skip
def test_plans_that_cannot_be_are_refused(given, season, words):
    with pytest.raises(ConfigError) as caught:
        plan(season=season, **given)
    assert words in str(caught.value)
    assert caught.value.hint


RANGES = {"conversion_after": "12..18%", "check": "1200..1500..2000", "conversion_before": "20 of 200", "margin": "60%"}


def test_the_same_seed_gives_the_same_figures_and_another_one_nearly_the_same():
    first, again, other = plan(**RANGES), plan(**RANGES), plan(**RANGES, seed=8)
    assert np.array_equal(first.draws["net"].numbers, again.draws["net"].numbers)
    assert first.p_net_positive == again.p_net_positive
    assert first.p_net_positive != other.p_net_positive
    assert first.p_net_positive == pytest.approx(other.p_net_positive, abs=0.02)


def test_another_uncertain_input_leaves_the_draws_of_the_others():
    few, more = plan(**RANGES), plan(**{**RANGES, "leads_after": "200..300"})
    assert np.array_equal(few.draws["check"].numbers, more.draws["check"].numbers)


def test_chances_are_those_of_the_range():
    # 26 250 at 15 %: every point of conversion is 3 750 a month; net of a year is 0 at 32 of 250.
    found = plan(conversion_after="10..20%")
    even = (90_000 / 12 / 1500 + 20) / 250
    assert found.p_net_positive == pytest.approx((0.20 - even) / 0.10, abs=0.015)
    assert found.p_payback_within == pytest.approx(found.p_net_positive, abs=1e-9)
    low, median, high = found.interval("net", 0.8)
    assert (low, median, high) == pytest.approx((45_000, 225_000, 405_000), rel=0.1)
    assert plan(conversion_after="10..20%", payback_within=3).p_payback_within < found.p_payback_within


def test_a_payback_that_may_never_come_has_an_open_end():
    low, median, high = plan(conversion_after="5..20%").interval("payback", 0.95)
    assert low < median
    assert high is None


def test_the_tornado_begins_with_what_matters_most():
    swings = plan(conversion_after="12..18%", monthly_cost="4000..6000", leads_before="199..201").tornado
    assert [swing.name for swing in swings] == ["conversion_after", "monthly_cost", "leads_before"]
    assert swings[0].net_at_low < swings[0].net_at_high
    assert swings[1].net_at_low > swings[1].net_at_high
    tenths = {swing.name: swing for swing in plan().tornado}
    assert tenths["one_off_cost"].net_at_low - tenths["one_off_cost"].net_at_high == pytest.approx(6_000)
    assert not {"months", "discount_rate", "start_month"} & tenths.keys()


def test_a_certain_plan_has_no_ranges():
    found = plan()
    assert found.draws == {}
    assert found.p_net_positive is None
    assert found.interval("net", 0.8) is None
    assert found.quantities["check"] == Quantity.point(1500)


def test_hours_that_were_not_given_are_not_counted_and_never_zero():
    chat = load("support-chat", CONFIG)
    found = plan(chat, one_off_cost=100_000)
    assert (found.points["hours_saved"].point, found.points["hours_saved"].reason) == (None, "not_given")
    assert {found.points[name].reason for name in ("saving", "capacity")} == {"not_given"}
    assert result(found, "benefit") == 1_800_000
    hours = plan(chat, requests=600, typical_share="50%", minutes_each=12, hour_rate=300, cash_share="50%", one_off_cost=1)
    assert result(hours, "hours_saved") == pytest.approx(30)
    assert result(hours, "saving") == pytest.approx(30 * 300 * 0.5 * 12)
    assert result(hours, "capacity") == pytest.approx(30 * 300 * 0.5 * 12)


def test_without_costs_a_range_of_the_payback_is_not_never():
    assert plan(load("support-chat", CONFIG)).interval("payback", 0.8) is None
