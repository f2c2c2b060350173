"""Money: cost, benefit, ROI, payback, from the same draws as the effect, so that the parts add up.

`roi = (benefit - cost) / cost`. Benefit is incremental gross profit plus saved cash hours; a line that was not filled
in is "not counted", which is not 0, and without any cost there is no net, ROI or payback. Definitions are printed with the
figures; a month is 30.4375 days.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import erfc, isfinite, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from pipeline.effects import LEVELS, Interval, ProcessEffect, interval_of
from pipeline.ladder import probability
from pipeline.weekly import FloatArray

MONTH_DAYS = 365.25 / 12
# Beyond five years no launch is the same launch: a payback later than that is "does not pay back".
PAYBACK_HORIZON_MONTHS = 60
# A one-off cost is judged over a year: against a few post weeks no launch with a one-off cost would ever pay.
BREAK_EVEN_MONTHS = 12


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
    return float(_ramp(months, ramp_months)[-1])


def payback_months(one_off: float, monthly_benefit: float, monthly_cost: float = 0.0, *,
                   ramp_months: int = 0) -> float | None:
    """First moment, in months, when cumulative net reaches 0; None when it does not within five years."""
    months = float(_payback(one_off, np.array([monthly_benefit]), monthly_cost, ramp_months)[0])
    return months if isfinite(months) else None


def two_proportion_p(reached_1: float, n_1: float, reached_2: float, n_2: float) -> float | None:
    """Two-sided p-value of the pooled two-proportion z test; None where it is not defined.

    What A/B calculators do. For a launch it sees the sampling error only and calls drift an effect.
    """
    if not n_1 or not n_2:
        return None
    pooled = (reached_1 + reached_2) / (n_1 + n_2)
    error = sqrt(pooled * (1 - pooled) * (1 / n_1 + 1 / n_2))
    return erfc(abs(reached_2 / n_2 - reached_1 / n_1) / error / sqrt(2)) if error else None


def sample_size_two_proportions(rate_1: float, rate_2: float, *, power: float = 0.8, level: float = 0.05) -> float:
    """Leads a period needed to tell two rates apart (normal approximation, two-sided, pooled under no difference).

    Raises ValueError for equal rates. Source: Fleiss, Levin, Paik (2003), section 4.2, without continuity correction.
    """
    if rate_1 == rate_2:
        raise ValueError("two equal rates cannot be told apart: give the rate you hope for")
    middle = (rate_1 + rate_2) / 2
    null = NormalDist().inv_cdf(1 - level / 2) * sqrt(2 * middle * (1 - middle))
    other = NormalDist().inv_cdf(power) * sqrt(rate_1 * (1 - rate_1) + rate_2 * (1 - rate_2))
    return ((null + other) / (rate_1 - rate_2)) ** 2


def count_difference(before: float, after: float) -> Interval:
    """Difference of two Poisson counts over equal periods with its normal 95 % interval."""
    half = NormalDist().inv_cdf(0.975) * sqrt(before + after)
    return Interval(after - before, after - before - half, after - before + half)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a launch costs, in the business's currency; None is "not counted"."""

    one_off: float | None = None
    monthly: float | None = None
    usage_per_lead: float | None = None
    staff_hours_one_off: float | None = None
    staff_hours_monthly: float | None = None
    hour_rate: float | None = None

    def __post_init__(self) -> None:
        for line in fields(self):
            value = getattr(self, line.name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise ValueError(f"cost {line.name} is {value:g}: give a number of at least 0, or leave it out")

    @property
    def not_counted(self) -> tuple[str, ...]:
        """Lines that were not filled in; the hour rate only where hours wait for it."""
        hours = (self.staff_hours_one_off, self.staff_hours_monthly)
        missing = [line.name for line in fields(self) if line.name != "hour_rate" and getattr(self, line.name) is None]
        return (*missing, *(["hour_rate"] if self.hour_rate is None and any(hours) else []))

    @property
    def is_known(self) -> bool:
        """Whether at least one line of money was filled in."""
        money = (self.one_off, self.monthly, self.usage_per_lead)
        hours = (self.staff_hours_one_off, self.staff_hours_monthly)
        return any(line is not None for line in money) or (
            self.hour_rate is not None and any(line is not None for line in hours))

    @property
    def once(self) -> float:
        """Paid once: the one-off cost and the hours of the roll-out."""
        return (self.one_off or 0.0) + (self.staff_hours_one_off or 0.0) * (self.hour_rate or 0.0)

    def a_month(self, leads_a_month: float) -> float:
        """Paid every month, usage included."""
        return ((self.monthly or 0.0) + (self.usage_per_lead or 0.0) * leads_a_month
                + (self.staff_hours_monthly or 0.0) * (self.hour_rate or 0.0))


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
class Payback:
    """Months until cumulative net reaches 0, over the draws; None is "does not pay back", `p_never` how often.

    A median and a share, never a mean: the mean of a payback is infinite as soon as one draw never pays.
    """

    median: float | None
    low: float | None
    high: float | None
    p_never: float


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


def compute_money(effect: ProcessEffect, costs: Costs, *, window_days: float, n_leads: float,
                  saved: SavedHours | None = None) -> Money:
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
    payback = None if benefit is None or cost is None else _payback(costs.once, benefit / months, monthly_cost, 0)
    break_even, break_even_effect = _break_even(effect, costs, saved, monthly_cost, months)
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
        payback=None if payback is None else _payback_of(payback),
        break_even_margin=None if cost is None or not effect.revenue else break_even_margin(cost, effect.revenue.estimate),
        break_even_monthly=break_even, break_even_effect=break_even_effect,
        p_roi_positive=_probability(effect, net > 0 if net is not None and cost else None),
        p_payback_within_year=_probability(effect, None if payback is None else payback <= BREAK_EVEN_MONTHS),
        contributions=_contributions(parts, benefit),
        not_counted=(*costs.not_counted, *_benefits_not_counted(effect, saved)),
    )


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


def _contributions(parts: dict[str, FloatArray], benefit: FloatArray | None) -> tuple[Contribution, ...]:
    """Parts with intervals, each estimated at the draws whose benefit is the median.

    Medians of parts do not add up. The expected part given the total does, so its regression line is read at the
    benefit's median: the slopes of all parts sum to 1.
    """
    if benefit is None:
        return ()
    spread = benefit - benefit.mean()
    variance = float(spread @ spread)
    shift = float(np.median(benefit) - benefit.mean())
    found = []
    for name, draws in parts.items():
        slope = float(spread @ draws) / variance if variance else 0.0
        ends = interval_of(draws)
        found.append(Contribution(name, Interval(float(draws.mean()) + slope * shift, ends.low, ends.high)))
    return tuple(found)


def _probability(effect: ProcessEffect, is_true: np.typing.NDArray[np.bool_] | None) -> float | None:
    if is_true is None or effect.revenue is None or effect.revenue_draws is None:
        return None
    return probability(is_true, effect.revenue, effect.revenue.observed - effect.revenue_draws)


def _payback_of(months: FloatArray) -> Payback:
    # An order statistic, not an interpolated quantile: between a finite draw and "never" there is nothing.
    ends = np.quantile(months, LEVELS, method="inverted_cdf")
    low, median, high = (float(m) if isfinite(m) else None for m in ends)
    return Payback(median, low, high, float(np.mean(np.isinf(months))))


def _payback(one_off: float, monthly_benefit: FloatArray, monthly_cost: float, ramp_months: int) -> FloatArray:
    """Months to payback of each draw, infinite where it does not come within the horizon."""
    month = np.arange(PAYBACK_HORIZON_MONTHS + 1)[:, None]
    net = monthly_benefit * _ramp(PAYBACK_HORIZON_MONTHS, ramp_months)[:, None] - monthly_cost * month - one_off
    is_back = net >= 0
    first = is_back.argmax(axis=0)
    draw = np.arange(monthly_benefit.size)
    before, reached = net[np.maximum(first - 1, 0), draw], net[first, draw]
    within = np.where(reached > before, -before / np.where(reached > before, reached - before, 1.0), 0.0)
    months = np.where(first == 0, 0.0, first - 1 + within)
    # Without a one-off cost the start is at 0 already: what loses every month still never pays back.
    return np.where(is_back.any(axis=0) & (monthly_benefit > monthly_cost), months, np.inf)


def _ramp(months: int, ramp_months: int) -> FloatArray:
    """Cumulative share of the full effect at the end of month 0, 1 ... `months`."""
    shares = np.minimum(np.arange(1, months + 1) / max(ramp_months, 1), 1.0)
    return np.concatenate([[0.0], np.cumsum(shares)])
