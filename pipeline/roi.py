"""Money: cost, benefit, ROI, payback, NPV and IRR, from the same draws as the effect, so that the parts add up.

`roi = (benefit - cost) / cost`. Benefit is incremental gross profit plus saved cash hours; a line that was not filled
in is "not counted", which is not 0, and without any cost there is no net, ROI or payback. Definitions are printed with the
figures; a month is 30.4375 days.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import erfc, isfinite, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

from pipeline.cashflow import (
    DISCOUNT_RATE,
    HORIZON_MONTHS,
    Payback,
    irr,
    monthly_flows,
    npv,
    payback_of_draws,
    payback_over,
    ramp,
)
from pipeline.cashflow import payback_months as payback_months  # part of this module's calculators
from pipeline.costs import Costs as Costs  # part of this module's calculators
from pipeline.effects import LEVELS, Interval, ProcessEffect, interval_of
from pipeline.ladder import probability
from pipeline.weekly import FloatArray

MONTH_DAYS = 365.25 / 12
# A one-off cost is judged over a year: against a few post weeks no launch with a one-off cost would ever pay.
BREAK_EVEN_MONTHS = HORIZON_MONTHS


def roi(benefit: float, cost: float) -> float | None:
    """(benefit - cost) / cost as a share; None ("n/a") at cost 0."""
    return (benefit - cost) / cost if cost else None


def projected_roi(monthly_benefit: float, one_off: float, monthly_cost: float, months: float) -> float | None:
    """ROI over `months` at a steady monthly benefit; the one-off cost counts once."""
    return roi(monthly_benefit * months, one_off + monthly_cost * months)


def annual_roi(window_roi: float, months: float) -> float | None:
    """Linear: ROI over the window x 12 / months; None at 0 months."""
    return window_roi * 12 / months if months else None


def compound_annual_roi(window_roi: float, months: float) -> float | None:
    """(1 + ROI) ^ (12 / months) - 1; None at 0 months or when more than the cost was lost."""
    return float((1 + window_roi) ** (12 / months)) - 1 if months and window_roi >= -1 else None


def break_even_margin(cost: float, incremental_revenue: float) -> float | None:
    """The gross margin at which the cost is just earned back; None without additional revenue."""
    return cost / incremental_revenue if incremental_revenue > 0 else None


def effective_months(months: int, ramp_months: int) -> float:
    """Months at full effect that `months` come to when month t of a linear ramp earns t / ramp of it."""
    return float(ramp(months, ramp_months)[-1])


def two_proportion_p(reached_1: float, n_1: float, reached_2: float, n_2: float) -> float | None:
    """Two-sided p-value of the pooled two-proportion z test; None where it is not defined.

    What A/B calculators do. For a launch it sees the sampling error only and calls drift an effect.
    """
    if not n_1 or not n_2:
        return None
    pooled = (reached_1 + reached_2) / (n_1 + n_2)
    error = sqrt(pooled * (1 - pooled) * (1 / n_1 + 1 / n_2))
    return erfc(abs(reached_2 / n_2 - reached_1 / n_1) / error / sqrt(2)) if error else None


def sample_size_two_proportions(rate_1: float, rate_2: float, *, power: float = 0.8, level: float = 0.05,
                                ratio: float = 1.0) -> float:
    """Leads needed in group 1 to tell two rates apart (normal approximation, two-sided, pooled under no difference).

    `ratio`: leads in group 2 for each one in group 1. Raises ValueError for equal rates or a ratio that is not positive.
    Source: Fleiss, Levin, Paik (2003), sections 4.2 and 4.3, without continuity correction.
    """
    if rate_1 == rate_2:
        raise ValueError("two equal rates cannot be told apart: give the rate you hope for")
    if not (isfinite(ratio) and ratio > 0):
        raise ValueError(f"ratio is {ratio:g}: both groups need leads")
    middle = (rate_1 + ratio * rate_2) / (1 + ratio)
    null = NormalDist().inv_cdf(1 - level / 2) * sqrt((1 + 1 / ratio) * middle * (1 - middle))
    other = NormalDist().inv_cdf(power) * sqrt(rate_1 * (1 - rate_1) + rate_2 * (1 - rate_2) / ratio)
    return ((null + other) / (rate_1 - rate_2)) ** 2


def count_difference(before: float, after: float) -> Interval:
    """Difference of two Poisson counts over equal periods with its normal 95 % interval."""
    half = NormalDist().inv_cdf(0.975) * sqrt(before + after)
    return Interval(after - before, after - before - half, after - before + half)


@dataclass(frozen=True, slots=True)
class SavedHours:
    """Hours a month that staff no longer spend; money only when `is_cash`: nobody is paid for them any more."""

    monthly: float | None = None
    hour_rate: float | None = None
    is_cash: bool = False

    @property
    def value(self) -> float | None:
        """Worth a month, None when hours or rate were not given."""
        return None if self.monthly is None or self.hour_rate is None else self.monthly * self.hour_rate


@dataclass(frozen=True, slots=True)
class Contribution:
    """One factor's part of the benefit. The estimates of all parts sum to the benefit's estimate."""

    factor: str
    amount: Interval


@dataclass(frozen=True, slots=True)
class Money:
    """What a claim comes to over `window_days`, and a month of it.

    `is_revenue_based`: no margin was given, so benefit is revenue and ROI flatters. `saved` is the window's worth of
    saved hours, part of benefit only if `is_saved_cash`. `break_even_monthly` is the benefit a month that pays all
    costs within a year, `break_even_effect` the same relative to the profit without the launch; both None while cost
    or margin is unknown. When no cost was given, cost and all that needs it are None. Probabilities are None where the data
    are too coarse for one.

    `npv` and `irr` are those of the first twelve months, the one-off cost paid at their start; `discount_rate` and `irr` a
    year's, as shares. A draw that loses money every month has no rate of return: it ranks below all others, at -100 %, and
    `p_irr_undefined` is how often that is so; leaving such draws out would flatter the rest. `irr` is None where nothing was
    paid at the start, or when half of the draws have none.
    """

    claim: Literal["process", "total"]
    window_days: float
    margin: float | None
    is_revenue_based: bool
    incremental_revenue: Interval | None
    incremental_profit: Interval | None
    saved: float | None
    is_saved_cash: bool
    benefit: Interval | None
    cost: float | None
    net: Interval | None
    roi: Interval | None
    monthly_benefit: Interval | None
    monthly_cost: float | None
    one_off_cost: float | None
    payback: Payback | None
    break_even_margin: float | None
    break_even_monthly: float | None
    break_even_effect: float | None
    p_roi_positive: float | None
    p_payback_within_year: float | None
    contributions: tuple[Contribution, ...]
    not_counted: tuple[str, ...]
    npv: Interval | None
    irr: Interval | None
    p_irr_undefined: float | None
    discount_rate: float
    costs: Costs = field(default_factory=Costs)


def compute_money(effect: ProcessEffect, costs: Costs, *, window_days: float, n_leads: float,
                  saved: SavedHours | None = None, discount_rate: float = DISCOUNT_RATE) -> Money:
    """Benefit, cost, net, ROI and payback of one claim.

    `window_days`: the days of the post weeks that the effect was measured on; `n_leads`: the leads of those weeks.
    The one-off cost enters the window whole.
    """
    if not window_days > 0:
        raise ValueError(f"window_days is {window_days:g}: the post period needs at least one day")
    saved = saved or SavedHours()
    months = window_days / MONTH_DAYS
    monthly_cost = costs.a_month(n_leads / months)
    cost = costs.once + monthly_cost * months if costs.is_known else None
    parts = _benefit_parts(effect, saved, months)
    benefit = np.sum(list(parts.values()), axis=0) if parts else None
    net = None if benefit is None or cost is None else benefit - cost
    payback = None if benefit is None or cost is None else payback_of_draws(costs.once, benefit / months, monthly_cost)
    break_even, break_even_effect = _break_even(effect, costs, saved, monthly_cost, months)
    year = None if benefit is None or cost is None else _Year.of(benefit / months, costs.once, monthly_cost, discount_rate)
    return Money(
        claim=effect.claim, window_days=window_days, margin=effect.margin, is_revenue_based=effect.margin is None,
        incremental_revenue=effect.revenue.interval if effect.revenue else None,
        incremental_profit=effect.profit.interval if effect.profit else None,
        saved=None if saved.value is None else saved.value * months, is_saved_cash=saved.is_cash,
        benefit=None if benefit is None else interval_of(benefit),
        cost=cost,
        net=None if net is None else interval_of(net),
        roi=interval_of(net / cost) if net is not None and cost else None,
        monthly_benefit=None if benefit is None else interval_of(benefit / months),
        monthly_cost=monthly_cost if costs.is_known else None, one_off_cost=costs.once if costs.is_known else None,
        payback=None if payback is None else payback_over(payback, LEVELS),
        break_even_margin=None if cost is None or not effect.revenue else break_even_margin(cost, effect.revenue.estimate),
        break_even_monthly=break_even, break_even_effect=break_even_effect,
        p_roi_positive=_probability(effect, net > 0 if net is not None and cost else None),
        p_payback_within_year=_probability(effect, None if payback is None else payback <= BREAK_EVEN_MONTHS),
        contributions=_contributions(parts, benefit),
        not_counted=(*costs.not_counted, *_benefits_not_counted(effect, saved)),
        npv=year and year.npv, irr=year and year.irr, p_irr_undefined=year and year.p_irr_undefined, discount_rate=discount_rate,
        costs=costs,
    )


class _Year(NamedTuple):
    """The launch's first twelve months as an investment."""

    npv: Interval
    irr: Interval | None
    p_irr_undefined: float

    @classmethod
    def of(cls, monthly_benefit: FloatArray, once: float, monthly_cost: float, discount_rate: float) -> _Year:
        """Both figures rise with the benefit, so their quantiles over the draws are those of the benefit, carried over."""
        ends = interval_of(monthly_benefit)
        flows = [monthly_flows(once, benefit, monthly_cost) for benefit in (ends.estimate, ends.low, ends.high)]
        if not once:
            return cls(Interval(*(npv(cash, discount_rate) for cash in flows)), None, 1.0)
        rates = [irr(cash) for cash in flows]
        middle, low, high = (-1.0 if rate is None else rate for rate in rates)
        return cls(Interval(*(npv(cash, discount_rate) for cash in flows)),
                   None if rates[0] is None else Interval(middle, low, high),
                   float(np.mean(monthly_benefit <= monthly_cost)))


def _break_even(effect: ProcessEffect, costs: Costs, saved: SavedHours, monthly_cost: float,
                months: float) -> tuple[float | None, float | None]:
    """Benefit a month that pays all costs within a year, in money and relative to the profit without the launch."""
    if not costs.is_known or effect.margin is None:
        return None, None
    needed = costs.once / BREAK_EVEN_MONTHS + monthly_cost
    saved_cash = (saved.value or 0.0) if saved.is_cash else 0.0
    expected = effect.profit.counterfactual / months if effect.profit else 0.0
    return needed, (needed - saved_cash) / expected if expected > 0 else None


def _benefit_parts(effect: ProcessEffect, saved: SavedHours, months: float) -> dict[str, FloatArray]:
    """Draws of the benefit by factor; empty when nothing of it could be measured."""
    parts = {name: draws * (effect.margin or 1.0) for name, draws in effect.contributions.items()}
    if saved.is_cash and saved.value is not None:
        parts["saved_hours"] = np.full(effect.visit_draws.size, saved.value * months)
    return parts


def _benefits_not_counted(effect: ProcessEffect, saved: SavedHours) -> tuple[str, ...]:
    profit = () if effect.revenue is not None else ("incremental_profit",)
    hours = () if saved.value is not None else ("saved_hours",)
    return (*profit, *hours)


def at_median(parts: FloatArray, total: FloatArray) -> FloatArray:
    """Estimates of parts (..., draws) that sum to the median of their total.

    Medians of parts do not add up. The expected part given the total does, so its regression line is read at the
    total's median: the slopes of all parts sum to 1.
    """
    spread = total - total.mean()
    variance = float(spread @ spread)
    slopes = parts @ spread / variance if variance else np.zeros(parts.shape[:-1])
    shift = float(np.median(total) - total.mean())
    return np.asarray(parts.mean(axis=-1) + slopes * shift, dtype=np.float64)


def _contributions(parts: dict[str, FloatArray], benefit: FloatArray | None) -> tuple[Contribution, ...]:
    if benefit is None:
        return ()
    ends = {name: interval_of(draws) for name, draws in parts.items()}
    estimates = at_median(np.stack(list(parts.values())), benefit)
    return tuple(Contribution(name, Interval(float(estimate), ends[name].low, ends[name].high))
                 for name, estimate in zip(parts, estimates, strict=True))


def _probability(effect: ProcessEffect, is_true: np.typing.NDArray[np.bool_] | None) -> float | None:
    if is_true is None or effect.revenue is None or effect.revenue_draws is None:
        return None
    return probability(is_true, effect.revenue, effect.revenue.observed - effect.revenue_draws)
