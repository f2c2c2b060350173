"""NPV and IRR against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cashflow import irr, monthly_flows, npv

MONEY = st.floats(0.01, 1e9)


def test_flows_of_a_year_with_and_without_a_ramp():
    assert monthly_flows(600, 100, 30, months=3).tolist() == [-600, 70, 70, 70]
    assert monthly_flows(600, 100, 30, months=4, ramp_months=2).tolist() == [-600, 20, 70, 70, 70]


def test_present_value_by_hand():
    # 44 % a year is 1.44: a payment after six months is worth 1 / 1.2 of itself.
    assert npv([-100, 0, 0, 0, 0, 0, 240], 0.44) == pytest.approx(-100 + 240 / 1.2)
    assert npv(monthly_flows(600, 100), 0.0) == pytest.approx(600)


def test_rate_of_return_by_hand():
    assert irr([-100, 110]) == pytest.approx(1.1**12 - 1)
    assert irr([-1200, *[100] * 12]) == pytest.approx(0, abs=1e-12)  # the money comes back, and no more
    assert irr([-1200, *[50] * 12]) < -0.5


@pytest.mark.parametrize("flows", [
    [-100, -5, -5],  # nothing ever comes back
    [0, 10, 10],  # nothing was put in
    [100, -10, -10],  # a loan, not an investment
    [-100, 230, -132],  # 10 % and 20 % a month both fit
    [],
    [0, 0],
])
def test_no_rate_where_there_is_none_or_more_than_one(flows):
    assert irr(flows) is None


@given(once=MONEY, benefit=MONEY, cost=MONEY, rate=st.floats(0, 3))
def test_both_fit_their_definitions(once, benefit, cost, rate):
    flows = monthly_flows(once, benefit, cost)
    years, scale = np.arange(13) / 12, np.abs(flows).sum()
    assert npv(flows, rate) == pytest.approx((flows / (1 + rate) ** years).sum(), rel=1e-9, abs=1e-9 * scale)
    found = irr(flows)
    if benefit <= cost:
        assert found is None
    elif 1e-3 < once / (benefit - cost) < 1e3:  # beyond, a yearly rate has no digits left to be checked by
        assert (flows / (1 + found) ** years).sum() == pytest.approx(0, abs=1e-6 * scale)


@given(once=st.floats(1, 1e9), factor=st.floats(1e-6, 1e6), share=st.floats(0.05, 20), ramp=st.integers(0, 12))
def test_scaling_money_scales_value_and_leaves_the_rate(once, factor, share, ramp):
    flows = monthly_flows(once, once * share, once * share / 30, ramp_months=ramp)
    assert npv(flows * factor) == pytest.approx(npv(flows) * factor, rel=1e-9, abs=1e-9 * once * factor)
    assert irr(flows * factor) == pytest.approx(irr(flows), rel=1e-9)


@given(once=st.floats(1, 1e12), share=st.floats(0.01, 1e6))
def test_the_rate_of_return_makes_the_value_zero(once, share):
    flows = monthly_flows(once, once * share)
    rate = irr(flows)
    value = float(flows @ (1 + rate) ** (-np.arange(13) / 12))
    assert rate > -1
    assert value == pytest.approx(0, abs=1e-6 * once)


@pytest.mark.parametrize("wrong", [-0.1, 20, float("nan")])
def test_an_impossible_discount_rate_is_refused(wrong):
    with pytest.raises(ValueError, match="as a share"):
        npv([-1, 2], wrong)
