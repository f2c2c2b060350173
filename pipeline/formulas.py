"""The formulas of the field by name, for expressions: over arrays of draws, and as Excel writes them.

A figure that does not exist is not-a-number with a reason (`cost_zero`, `never` ...), never infinity. The definitions are those
of `roi` and `cashflow`; tests hold every formula here to its scalar twin there.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyxirr
from scipy.special import gammaincinv, ndtr, ndtri

from pipeline.cashflow import PAYBACK_HORIZON_MONTHS, irr, monthly_flows
from pipeline.weekly import FloatArray

WEEKS_A_MONTH = 52 / 12
Array = FloatArray


class Formula(NamedTuple):
    """`compute` takes and gives arrays of one length; what is not finite has `reason`. `excel`: {0}, {1} ... are arguments."""

    arguments: tuple[str, ...]
    compute: Callable[..., FloatArray]
    excel: str
    reason: str = "undefined"
    unit: str = "number"


def _ratio(part: Array, whole: Array) -> Array:
    return part / np.where(whole == 0, np.nan, whole)


def _roi(benefit: Array, cost: Array) -> Array:
    return _ratio(benefit - cost, cost)


def _compound(roi: Array, months: Array) -> Array:
    grown = np.where(roi >= -1, 1 + roi, np.nan)
    return np.asarray(grown ** _ratio(np.full_like(months, 12.0), months) - 1)


def _effective(months: Array, ramp: Array) -> Array:
    """Whole months; sum of t / ramp while it grows, then 1 a month."""
    ramp = np.maximum(ramp, 1.0)
    full = np.floor(np.minimum(months, ramp))
    return np.asarray(full * (full + 1) / 2 / ramp + np.maximum(months - full, 0))


def _payback(once: Array, net_a_month: Array) -> Array:
    months = once / np.where(net_a_month > 0, net_a_month, np.nan)
    return np.where(months <= PAYBACK_HORIZON_MONTHS, months, np.nan)


def _npv(once: Array, net_a_month: Array, months: Array, rate: Array) -> Array:
    monthly = (1 + rate) ** (1 / 12) - 1
    return np.asarray(pyxirr.pv(monthly, months, -net_a_month, 0.0)) - once


def _irr(once: Array, net_a_month: Array, months: Array) -> Array:
    flows = zip(once, net_a_month, months, strict=True)
    found = [
        irr(monthly_flows(first, net, months=int(n))) if n >= 1 and first > 0 and net > 0 else None for first, net, n in flows
    ]
    return np.array([np.nan if rate is None else rate for rate in found])


def _ltv(check: Array, visits_a_month: Array, margin: Array, months: Array, kept: Array) -> Array:
    """Month t keeps `kept` ** t of the customers; month 0 is the first."""
    safe = np.where(kept == 1, 0.5, kept)
    lasting = np.where(kept == 1, months, (1 - safe**months) / (1 - safe))
    return np.asarray(check * visits_a_month * margin * lasting)


def _p_value(reached_1: Array, n_1: Array, reached_2: Array, n_2: Array) -> Array:
    pooled = _ratio(reached_1 + reached_2, n_1 + n_2)
    error = np.sqrt(pooled * (1 - pooled) * (_ratio(np.ones_like(n_1), n_1) + _ratio(np.ones_like(n_2), n_2)))
    found = 2 * ndtr(-np.abs(_ratio(_ratio(reached_2, n_2) - _ratio(reached_1, n_1), error)))
    return np.where((reached_1 <= n_1) & (reached_2 <= n_2), found, np.nan)  # more than all of them is no share


def _sample_size(rate_1: Array, rate_2: Array) -> Array:
    """A group, 80 % power, 5 % two-sided (`roi.sample_size_two_proportions`); a case is a whole one."""
    middle = (rate_1 + rate_2) / 2
    null = ndtri(0.975) * np.sqrt(2 * middle * (1 - middle))
    other = ndtri(0.8) * np.sqrt(rate_1 * (1 - rate_1) + rate_2 * (1 - rate_2))
    return np.ceil(_ratio(null + other, rate_1 - rate_2) ** 2)


def _poisson_low(count: Array) -> Array:
    """Garwood's exact 95 % interval of a count."""
    return np.where(count > 0, gammaincinv(np.where(count > 0, count, 1.0), 0.025), 0.0)


def _poisson_high(count: Array) -> Array:
    return np.asarray(gammaincinv(count + 1, 0.975))


def _half(before: Array, after: Array) -> Array:
    """Half of the normal 95 % interval of a difference of two counts (`roi.count_difference`)."""
    return np.asarray(ndtri(0.975) * np.sqrt(before + after))


_RATE = "((1+{3})^(1/12)-1)"
FORMULAS: dict[str, Formula] = {
    "roi": Formula(("benefit", "cost"), _roi, "(({0})-({1}))/({1})", "cost_zero", "ratio"),
    "romi": Formula(("income", "spend"), _roi, "(({0})-({1}))/({1})", "spend_zero", "ratio"),
    "roas": Formula(("revenue", "spend"), _ratio, "({0})/({1})", "spend_zero", "number"),
    "drr": Formula(("spend", "revenue"), _ratio, "({0})/({1})", "revenue_zero", "ratio"),
    "annual_roi": Formula(("window_roi", "months"), lambda r, m: _ratio(r * 12, m), "({0})*12/({1})", "months_zero", "ratio"),
    "projected_roi": Formula(("benefit_a_month", "once", "cost_a_month", "months"),
                             lambda b, o, c, m: _roi(b * m, o + c * m),
                             "({0})*({3})/(({1})+({2})*({3}))-1", "cost_zero", "ratio"),
    "compound_roi": Formula(("window_roi", "months"), _compound, "(1+({0}))^(12/({1}))-1", "no_compound", "ratio"),
    "payback": Formula(("once", "net_a_month"), _payback,
                       f"IF(({{1}})>0,IF(({{0}})/({{1}})<={PAYBACK_HORIZON_MONTHS},({{0}})/({{1}}),NA()),NA())",
                       "never", "months"),
    "break_even_margin": Formula(("cost", "revenue"), lambda c, r: _ratio(c, np.where(r > 0, r, 0.0)),
                                 "IF(({1})>0,({0})/({1}),NA())", "revenue_zero", "ratio"),
    "npv": Formula(("once", "net_a_month", "months", "rate"), _npv, f"-({{0}})-PV({_RATE},{{2}},{{1}})", "undefined", "money"),
    "irr": Formula(("once", "net_a_month", "months"), _irr, "(1+RATE({2},{1},-({0})))^12-1", "no_irr", "ratio"),
    "cpl": Formula(("spend", "leads"), _ratio, "({0})/({1})", "leads_zero", "money"),
    "cac": Formula(("spend", "customers"), _ratio, "({0})/({1})", "customers_zero", "money"),
    "ltv": Formula(("check", "visits_a_month", "margin", "months", "kept_a_month"), _ltv,
                   "({0})*({1})*({2})*IF(({4})=1,{3},(1-({4})^({3}))/(1-({4})))", "undefined", "money"),
    "saved_hours": Formula(("volume", "handled", "minutes_each"), lambda v, s, m: v * s * m / 60,
                           "({0})*({1})*({2})/60", unit="hours"),
    "monthly": Formula(("a_week",), lambda w: w * WEEKS_A_MONTH, "({0})*52/12"),
    "effective_months": Formula(("months", "ramp"), _effective,
                                "IF(({1})<=1,{0},IF(({0})>=({1}),({0})-(({1})-1)/2,({0})*(({0})+1)/2/({1})))", unit="months"),
    "p_value": Formula(("reached_1", "n_1", "reached_2", "n_2"), _p_value,
                       "IF(AND({0}<={1},{2}<={3}),2*NORMSDIST(-ABS((({2})/({3})-({0})/({1}))/SQRT((({0})+({2}))/(({1})+({3}))"
                       "*(1-(({0})+({2}))/(({1})+({3})))*(1/({1})+1/({3}))))),NA())", "no_test"),
    "sample_size": Formula(("rate_1", "rate_2"), _sample_size,
                           "ROUNDUP(((NORMSINV(0.975)*SQRT((({0})+({1}))*(1-(({0})+({1}))/2))+NORMSINV(0.8)*SQRT(({0})*(1-({0}))"
                           "+({1})*(1-({1}))))/(({0})-({1})))^2,0)", "equal_rates", "count"),
    "poisson_low": Formula(("n",), _poisson_low, "IF(({0})>0,CHIINV(0.975,2*({0}))/2,0)"),
    "poisson_high": Formula(("n",), _poisson_high, "CHIINV(0.025,2*(({0})+1))/2"),
    "difference_half": Formula(("n_before", "n_after"), _half, "NORMSINV(0.975)*SQRT(({0})+({1}))"),
    "relative_change": Formula(("before", "after"), lambda b, a: _ratio(a, b) - 1, "({1})/({0})-1", "before_zero", "ratio"),
    "min": Formula(("a", "b"), np.minimum, "MIN(({0})+0,({1})+0)"),
    "max": Formula(("a", "b"), np.maximum, "MAX(({0})+0,({1})+0)"),
}  # fmt: skip
