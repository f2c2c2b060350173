"""Money: the salon example, its edges, and the laws of ROI and payback under uncertainty."""

from dataclasses import replace

import numpy as np
import pytest
import pyxirr

from pipeline import roi as money
from pipeline.effects import Funnel, process_effect
from pipeline.roi import Costs, SavedHours, compute_money
from pipeline.shapley import split_product
from pipeline.weekly import Weeks

# The published salon: 20 clients a month of 200 leads become 38 (37.5, 37) of 250, check 1 500; 30 000 once, 5 000 a month.
CHECK, ONE_OFF, MONTHLY = 1500, 30_000, 5_000


def test_salon_income_and_month_one():
    assert 250 * 0.15 == 37.5  # G01
    income = {n: n * CHECK for n in (20, 37, 37.5, 38)}
    assert [income[n] for n in (20, 38, 37.5, 37)] == [30_000, 57_000, 56_250, 55_500]  # G02, G03
    extra = {n: income[n] - income[20] for n in (38, 37.5, 37)}
    assert list(extra.values()) == [27_000, 26_250, 25_500]  # G04
    assert money.roi(extra[38], ONE_OFF + MONTHLY) == pytest.approx(-8_000 / 35_000)  # G05, G08: -22.857 %


@pytest.mark.parametrize(("extra", "net"), [(27_000, 22_000), (26_250, 21_250), (25_500, 20_500)])
def test_salon_payback(extra, net):
    assert extra - MONTHLY == net  # G06
    assert money.payback_months(ONE_OFF, extra, MONTHLY) == pytest.approx(30_000 / net)  # G07


def test_salon_roi_over_half_a_year_and_a_year():
    assert money.projected_roi(27_000, ONE_OFF, MONTHLY, 6) == pytest.approx((162_000 - 60_000) / 60_000)  # G09: 170 %
    assert money.projected_roi(27_000, ONE_OFF, MONTHLY, 12) == pytest.approx((324_000 - 90_000) / 90_000)  # G10: 260 %
    assert money.break_even_margin(90_000, 324_000) == pytest.approx(90 / 324)  # G11: 27.8 %


def test_salon_significance_and_sample_size():
    z = (38 / 250 - 20 / 200) / np.sqrt(58 / 450 * (1 - 58 / 450) * (1 / 200 + 1 / 250))
    assert z == pytest.approx(1.636, abs=5e-4)
    assert money.two_proportion_p(20, 200, 38, 250) == pytest.approx(0.1019, abs=5e-5)  # G12
    extra = money.count_difference(20, 38)  # G13
    assert (extra.low, extra.high) == pytest.approx((18 - 1.96 * 58**0.5, 18 + 1.96 * 58**0.5), abs=1e-3)
    assert extra.scaled(CHECK).low - MONTHLY == pytest.approx(-390, abs=1)
    assert extra.scaled(CHECK).high - MONTHLY == pytest.approx(44_390, abs=1)
    assert np.ceil(money.sample_size_two_proportions(0.10, 0.15)) == 686  # G15


def test_salon_waterfall_sums_to_the_total():
    shares = split_product([200, 0.10, CHECK], [250, 0.15, CHECK])  # G14
    joint = 50 * 0.05 * CHECK
    assert shares == pytest.approx([7_500 + joint / 2, 15_000 + joint / 2, 0])
    assert shares.sum() == pytest.approx(26_250)


def test_roi_and_margin_where_they_are_not_defined():
    assert money.roi(5000, 0) is None
    assert money.roi(0, 5000) == -1
    assert money.break_even_margin(1000, 0) is None
    assert money.break_even_margin(1000, -500) is None
    assert money.two_proportion_p(0, 100, 0, 100) is None
    assert money.two_proportion_p(0, 0, 5, 100) is None
    with pytest.raises(ValueError, match="cannot be told apart"):
        money.sample_size_two_proportions(0.1, 0.1)


def test_annual_forms():
    assert money.annual_roi(1.0, 60) == pytest.approx(0.20)
    assert money.compound_annual_roi(1.0, 60) == pytest.approx(2 ** (1 / 5) - 1)
    assert money.annual_roi(1.0, 0) is None
    assert money.compound_annual_roi(-1.5, 6) is None
    assert money.effective_months(12, 7) == pytest.approx(sum(range(1, 8)) / 7 + 5)  # a seven-month ramp: 9 of 12 months


@pytest.mark.parametrize(("one_off", "benefit", "cost", "months"), [
    (30_000, 5_000, 5_000, None),  # breaks even every month, never earns the start back
    (30_000, 4_000, 5_000, None),
    (0, 4_000, 5_000, None),  # starts at zero and only falls
    (0, 6_000, 5_000, 0),
    (600_000, 10_000, 0, 60),
    (600_001, 10_000, 0, None),  # beyond five years
])
def test_payback_edges(one_off, benefit, cost, months):
    assert money.payback_months(one_off, benefit, cost) == (None if months is None else pytest.approx(months))


def test_payback_with_a_ramp_by_hand():
    # Months earn 1/4, 2/4, 3/4, 4/4 of 40 000, costs 5 000: net 5, 15, 25, 35 thousand; 45 in three months, then 35 a month.
    assert money.payback_months(60_000, 40_000, 5_000, ramp_months=4) == pytest.approx(3 + 15 / 35)
    assert money.payback_months(60_000, 40_000, 5_000) == pytest.approx(60 / 35)


@pytest.fixture(scope="module")
def effect():
    return process_effect(salon_weeks(), Weeks(12), margin=0.6)


def salon_weeks():
    """20 weeks of a salon whose booking rate rises by half: 35 % to 52 %, exact in every week but for the checks' spread."""
    post = np.arange(20) >= 12
    leads, booked = np.full(20, 200.0), np.where(post, 105.0, 70.0)
    visited = booked * 0.8
    return Funnel(leads, visited, booked, visited, visited * CHECK, visited * CHECK**2 * 1.2)


def compute(effect, costs, **more):
    return compute_money(effect, costs, window_days=56, n_leads=1600, **more)


MONTHS = 56 / 30.4375


def test_roi_is_made_of_the_printed_figures(effect):
    found = compute(effect, Costs(one_off=ONE_OFF, monthly=MONTHLY))
    assert found.cost == pytest.approx(ONE_OFF + MONTHLY * MONTHS)
    for end in ("estimate", "low", "high"):
        benefit = getattr(found.benefit, end)
        assert benefit == pytest.approx(0.6 * getattr(found.incremental_revenue, end))
        assert getattr(found.net, end) == pytest.approx(benefit - found.cost)
        assert getattr(found.roi, end) == pytest.approx((benefit - found.cost) / found.cost)
        assert getattr(found.monthly_benefit, end) == pytest.approx(benefit / MONTHS)
    # 8 weeks x (84 - 56) visits x 1 500 x .6, known without any model
    assert found.benefit.estimate == pytest.approx(8 * 28 * CHECK * 0.6, rel=0.03)
    assert found.break_even_margin == pytest.approx(found.cost / found.incremental_revenue.estimate)
    assert not found.is_revenue_based


def test_payback_comes_from_the_same_draws(effect):
    found = compute(effect, Costs(one_off=ONE_OFF, monthly=MONTHLY))
    net = found.monthly_benefit.estimate - MONTHLY
    assert found.payback.median == pytest.approx(ONE_OFF / net, rel=0.01)
    assert found.payback.low == pytest.approx(ONE_OFF / (found.monthly_benefit.high - MONTHLY), rel=0.01)
    assert found.payback.p_never == 0


def test_some_draws_never_pay_back(effect):
    tight = compute(effect, Costs(one_off=ONE_OFF, monthly=0.0))
    middle = tight.monthly_benefit.estimate
    found = compute(effect, Costs(one_off=ONE_OFF, monthly=middle))
    assert found.payback.p_never == pytest.approx(0.5, abs=0.06)  # half of the draws earn less than they cost
    assert found.payback.high is None
    hopeless = compute(effect, Costs(one_off=ONE_OFF, monthly=10 * middle))
    assert (hopeless.payback.median, hopeless.payback.low, hopeless.payback.p_never) == (None, None, 1.0)
    assert hopeless.p_payback_within_year == 0


def test_contributions_sum_to_the_benefit(effect):
    hours = SavedHours(monthly=40, hour_rate=500, is_cash=True)
    found = compute(effect, Costs(one_off=ONE_OFF), saved=hours)
    parts = {part.factor: part.amount for part in found.contributions}
    assert list(parts) == ["booking_rate", "show_rate", "paid_rate", "average_check", "saved_hours"]
    assert sum(part.estimate for part in parts.values()) == pytest.approx(found.benefit.estimate, rel=1e-12)
    assert parts["saved_hours"].estimate == pytest.approx(40 * 500 * MONTHS)
    assert parts["booking_rate"].low > 0
    assert parts["show_rate"].low < 0 < parts["show_rate"].high


def test_only_cash_hours_are_benefit(effect):
    costs = Costs(one_off=ONE_OFF)
    plain = compute(effect, costs)
    freed = compute(effect, costs, saved=SavedHours(40, 500))
    hired_less = compute(effect, costs, saved=SavedHours(40, 500, is_cash=True))
    assert freed.benefit == plain.benefit
    assert freed.saved == hired_less.saved == pytest.approx(40 * 500 * MONTHS)
    assert hired_less.benefit.estimate == pytest.approx(plain.benefit.estimate + 40 * 500 * MONTHS)
    assert "saved_hours" in plain.not_counted
    assert "saved_hours" not in freed.not_counted


def test_staff_hours_and_usage_are_cost(effect):
    costs = Costs(one_off=10_000, monthly=1_000, usage_per_lead=2, staff_hours_one_off=20, staff_hours_monthly=3, hour_rate=500)
    found = compute(effect, costs)
    assert found.one_off_cost == 10_000 + 20 * 500
    assert found.cost == pytest.approx(10_000 + 20 * 500 + (1_000 + 3 * 500) * MONTHS + 2 * 1600)
    assert costs.not_counted == ()


def test_not_counted_is_not_zero(effect):
    unknown, free = compute(effect, Costs()), compute(effect, Costs(one_off=0, monthly=0))
    assert set(unknown.not_counted) >= {"one_off", "monthly", "usage_per_lead", "staff_hours_one_off", "staff_hours_monthly"}
    assert not {"one_off", "monthly"} & set(free.not_counted)
    assert unknown.benefit == free.benefit
    missing = ("cost", "net", "roi", "payback", "monthly_cost", "one_off_cost", "break_even_margin", "break_even_monthly",
               "p_roi_positive", "p_payback_within_year")  # fmt: skip
    assert {name: getattr(unknown, name) for name in missing} == dict.fromkeys(missing)
    unpriced = compute(effect, Costs(staff_hours_monthly=3))
    assert (unpriced.cost, unpriced.payback) == (None, None)
    assert (free.cost, free.net, free.payback.median) == (0, free.benefit, 0)
    assert free.roi is None  # n/a, never infinity
    assert unknown.break_even_monthly is None  # cost unknown: payback cannot be proven
    assert free.break_even_monthly == 0
    assert Costs(staff_hours_monthly=3).not_counted[-1] == "hour_rate"
    assert not Costs(staff_hours_monthly=3).is_known


def test_without_a_margin_the_figures_are_labelled_and_nothing_pays():
    bare = process_effect(salon_weeks(), Weeks(12))
    found = compute(bare, Costs(one_off=ONE_OFF))
    assert found.is_revenue_based
    assert found.incremental_profit is None
    assert found.benefit.estimate == pytest.approx(found.incremental_revenue.estimate)
    assert found.break_even_monthly is None


def test_break_even_is_what_pays_all_costs_in_a_year(effect):
    found = compute(effect, Costs(one_off=120_000, monthly=5_000))
    assert found.break_even_monthly == pytest.approx(15_000)
    # A monthly benefit of exactly that pays back at month 12.
    assert money.payback_months(120_000, found.break_even_monthly, 5_000) == pytest.approx(12)
    usual_profit = 200 * 8 * 0.28 * CHECK * 0.6 / MONTHS
    assert found.break_even_effect == pytest.approx(15_000 / usual_profit, rel=0.03)
    hours = SavedHours(monthly=10, hour_rate=500, is_cash=True)
    helped = compute(effect, Costs(one_off=120_000, monthly=5_000), saved=hours)
    assert helped.break_even_effect == pytest.approx(10_000 / usual_profit, rel=0.03)


def test_scaling_money_scales_benefit_and_leaves_roi(effect):
    weeks = salon_weeks()
    in_kopecks = replace(weeks, revenue=weeks.revenue * 100, revenue_sq=weeks.revenue_sq * 1e4)
    kopecks = process_effect(in_kopecks, Weeks(12), margin=0.6)
    plain = compute(effect, Costs(one_off=ONE_OFF, monthly=MONTHLY))
    scaled = compute(kopecks, Costs(one_off=ONE_OFF * 100, monthly=MONTHLY * 100))
    assert scaled.benefit.low == pytest.approx(plain.benefit.low * 100)
    assert scaled.roi.low == pytest.approx(plain.roi.low)
    assert scaled.payback.median == pytest.approx(plain.payback.median)


def test_probability_of_a_clear_gain_and_silence_on_coarse_data(effect):
    clear = compute(effect, Costs(one_off=ONE_OFF))
    assert clear.p_roi_positive > 0.95
    assert clear.p_payback_within_year > 0.95
    few = salon_weeks()
    small = Funnel(*(series / 20 for series in (few.leads, few.visited, few.booked, few.paid, few.revenue, few.revenue_sq)))
    coarse = process_effect(small, Weeks(12), margin=0.6)
    assert coarse.revenue.detectable > 0.30
    assert compute_money(coarse, Costs(one_off=1000), window_days=56, n_leads=80).p_roi_positive is None


def test_visits_without_money_give_costs_only():
    weeks = salon_weeks()
    claim = process_effect(Funnel(weeks.leads, weeks.visited, weeks.booked), Weeks(12), margin=0.6)
    found = compute(claim, Costs(one_off=ONE_OFF))
    assert (found.benefit, found.net, found.roi, found.payback, found.contributions) == (None, None, None, None, ())
    assert found.cost == ONE_OFF
    assert "incremental_profit" in found.not_counted


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_an_impossible_cost_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match="cost monthly"):
        Costs(monthly=wrong)


def test_an_empty_window_is_refused(effect):
    with pytest.raises(ValueError, match="window_days is 0"):
        compute_money(effect, Costs(), window_days=0, n_leads=0)


def year_by_draw(claim, once, monthly):
    """NPV and IRR of every single draw, by another implementation; a draw that only loses has no rate."""
    benefit = claim.revenue_draws * claim.margin / MONTHS
    flows = [[-once, *[b - monthly] * 12] for b in benefit]
    rates = [pyxirr.irr(flow) if flow[1] > 0 else None for flow in flows]
    return ([pyxirr.npv(1.2 ** (1 / 12) - 1, flow) for flow in flows],
            [-1.0 if r is None else (1 + r) ** 12 - 1 for r in rates], np.mean([r is None for r in rates]))


def test_year_as_an_investment_agrees_with_every_draw(effect):
    monthly = compute(effect, Costs(one_off=1.0)).monthly_benefit.low * 1.02  # a few draws lose money every month
    once = 60_000
    found = compute(effect, Costs(one_off=once, monthly=monthly))
    values, rates, undefined = year_by_draw(effect, once, monthly)
    for figure, draws in ((found.npv, values), (found.irr, rates)):
        assert [figure.low, figure.estimate, figure.high] == pytest.approx(np.quantile(draws, [0.025, 0.5, 0.975]), rel=2e-3)
    assert found.p_irr_undefined == pytest.approx(undefined)
    assert 0.025 < found.p_irr_undefined < 0.1
    assert found.irr.low == -1  # nothing flattering: what has no rate ranks last
    assert found.discount_rate == 0.2


def test_dearer_capital_lowers_the_value_and_not_the_rate_of_return(effect):
    costs = Costs(one_off=ONE_OFF, monthly=MONTHLY)
    cheap, dear = compute(effect, costs, discount_rate=0.0), compute(effect, costs, discount_rate=0.5)
    assert cheap.npv.estimate == pytest.approx(12 * (cheap.monthly_benefit.estimate - MONTHLY) - ONE_OFF)
    assert dear.npv.high < cheap.npv.high
    assert dear.irr == cheap.irr
    assert dear.discount_rate == 0.5
    with pytest.raises(ValueError, match="discount rate"):
        compute(effect, costs, discount_rate=20)


def test_where_the_year_has_no_value_or_no_rate(effect):
    unknown, free = compute(effect, Costs()), compute(effect, Costs(one_off=0, monthly=MONTHLY))
    assert (unknown.npv, unknown.irr, unknown.p_irr_undefined) == (None, None, None)
    assert free.npv.estimate > 0
    assert (free.irr, free.p_irr_undefined) == (None, 1.0)  # nothing was put in at the start
    hopeless = compute(effect, Costs(one_off=ONE_OFF, monthly=1e9))
    assert (hopeless.irr, hopeless.p_irr_undefined) == (None, 1.0)
    assert hopeless.npv.high < -ONE_OFF


@pytest.mark.parametrize("change", ["refunds", "no_visits", "everybody", "billion"])
def test_money_of_extreme_weeks_is_finite_and_ordered(change):
    weeks = salon_weeks()
    if change == "refunds":
        weeks = replace(weeks, revenue=-weeks.revenue)
    elif change == "no_visits":
        nothing = np.where(np.arange(20) >= 12, 0.0, weeks.visited)
        share = nothing / weeks.visited
        weeks = replace(weeks, visited=nothing, paid=nothing, revenue=weeks.revenue * share, revenue_sq=weeks.revenue_sq * share)
    elif change == "everybody":
        weeks = Funnel(weeks.leads, weeks.leads, weeks.leads, weeks.leads, weeks.leads * CHECK, weeks.leads * CHECK**2)
    else:
        weeks = Funnel(*(series * 5e6 for series in
                         (weeks.leads, weeks.visited, weeks.booked, weeks.paid, weeks.revenue, weeks.revenue_sq)))
    claim = process_effect(weeks, Weeks(12), margin=0.6)
    found = compute_money(claim, Costs(one_off=ONE_OFF, monthly=MONTHLY), window_days=56, n_leads=float(weeks.leads[12:].sum()))
    for figure in (found.benefit, found.net, found.roi, found.npv):
        assert np.isfinite([figure.estimate, figure.low, figure.high]).all()
        assert figure.low <= figure.estimate <= figure.high
    if found.irr is not None:
        assert -1 <= found.irr.low <= found.irr.estimate <= found.irr.high < np.inf
    if change == "everybody":
        assert found.benefit.low < 0 < found.benefit.high
    assert sum(part.amount.estimate for part in found.contributions) == pytest.approx(found.benefit.estimate, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("factor", [1e-3, 100, 1e6])
def test_scaling_money_scales_the_value_of_the_year(effect, factor):
    weeks = salon_weeks()
    scaled = process_effect(replace(weeks, revenue=weeks.revenue * factor, revenue_sq=weeks.revenue_sq * factor**2), Weeks(12),
                            margin=0.6)
    plain = compute(effect, Costs(one_off=ONE_OFF, monthly=MONTHLY))
    found = compute(scaled, Costs(one_off=ONE_OFF * factor, monthly=MONTHLY * factor))
    assert found.npv.low == pytest.approx(plain.npv.low * factor)
    assert found.irr.high == pytest.approx(plain.irr.high, rel=1e-6)


def test_unequal_groups_need_more_leads_in_all():
    half = money.sample_size_two_proportions(0.2, 0.25)
    assert money.sample_size_two_proportions(0.2, 0.25, ratio=1) == half
    few = money.sample_size_two_proportions(0.2, 0.25, ratio=9)
    middle = 0.1 * 0.2 + 0.9 * 0.25
    null, other = 1.959964 * np.sqrt(10 / 9 * middle * (1 - middle)), 0.841621 * np.sqrt(0.2 * 0.8 + 0.25 * 0.75 / 9)
    assert few == pytest.approx(((null + other) / 0.05) ** 2, rel=1e-5)
    assert half / 2 < few < half
    assert few * 10 > half * 2
    with pytest.raises(ValueError, match="both groups"):
        money.sample_size_two_proportions(0.2, 0.25, ratio=0)
