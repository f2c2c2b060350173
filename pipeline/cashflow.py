"""A launch as monthly cash: what is paid once at the start, then benefit minus cost at the end of every month.

Payback, net present value, internal rate of return. Rates are a year's, as shares, compounded monthly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt
import pyxirr

from pipeline.weekly import FloatArray

# Beyond five years no launch is the same launch: a payback later than that is "does not pay back".
PAYBACK_HORIZON_MONTHS = 60
# A projection of a few measured weeks: a year is as far as NPV and IRR may look.
HORIZON_MONTHS = 12
# What capital costs a small firm in roubles, about: a convention, so it is printed beside the figure.
DISCOUNT_RATE = 0.20
MAX_DISCOUNT_RATE = 5.0


@dataclass(frozen=True, slots=True)
class Payback:
    """Months until cumulative net reaches 0, over the draws; None is "does not pay back", `p_never` how often.

    A median and a share, never a mean: the mean of a payback is infinite as soon as one draw never pays.
    """

    median: float | None
    low: float | None
    high: float | None
    p_never: float


def monthly_flows(one_off: float, monthly_benefit: float, monthly_cost: float = 0.0, *, months: int = HORIZON_MONTHS,
                  ramp_months: int = 0) -> FloatArray:
    """Cash at month 0, 1 ... `months`; in month t of a linear ramp t / ramp of the benefit comes."""
    shares = np.diff(ramp(months, ramp_months))
    return np.concatenate([[-one_off], monthly_benefit * shares - monthly_cost])


def npv(flows: npt.ArrayLike, discount_rate: float = DISCOUNT_RATE) -> float:
    """Present value of cash at month 0, 1 ...; `discount_rate` a year. Raises ValueError for an impossible rate."""
    if not 0 <= discount_rate <= MAX_DISCOUNT_RATE:
        raise ValueError(f"discount rate is {discount_rate:g}: give a year's rate as a share, such as 0.2 for 20 %")
    value = pyxirr.npv((1 + discount_rate) ** (1 / 12) - 1, np.asarray(flows, dtype=np.float64))
    return 0.0 if value is None else float(value)


def irr(flows: npt.ArrayLike) -> float | None:
    """The yearly rate at which `npv` is 0.

    None unless money goes out first and the sign changes once: otherwise there is no such rate, or more than one
    (Descartes' rule of signs).
    """
    cash = np.asarray(flows, dtype=np.float64)
    signs = np.sign(cash[cash != 0])
    if not signs.size or signs[0] > 0 or np.count_nonzero(np.diff(signs)) != 1:
        return None
    a_month = pyxirr.irr(cash * (1e6 / np.abs(cash).max()))  # its precision is one of money: the same for small and large sums
    return None if a_month is None or not isfinite(a_month) else float((1 + a_month) ** 12 - 1)


def payback_months(one_off: float, monthly_benefit: float, monthly_cost: float = 0.0, *,
                   ramp_months: int = 0) -> float | None:
    """First moment, in months, when cumulative net reaches 0; None when it does not within five years."""
    months = float(payback_of_draws(one_off, np.array([monthly_benefit]), monthly_cost, ramp_months)[0])
    return months if isfinite(months) else None


def payback_of_draws(one_off: float, monthly_benefit: FloatArray, monthly_cost: float, ramp_months: int = 0) -> FloatArray:
    """Months to payback of each draw, infinite where it does not come within the horizon."""
    month = np.arange(PAYBACK_HORIZON_MONTHS + 1)[:, None]
    net = monthly_benefit * ramp(PAYBACK_HORIZON_MONTHS, ramp_months)[:, None] - monthly_cost * month - one_off
    return payback_of_paths(net, monthly_benefit > monthly_cost)


def payback_of_paths(net: FloatArray, is_earning: npt.NDArray[np.bool_]) -> FloatArray:
    """Months until cumulative `net` (months 0, 1 ...; draws) reaches 0, infinite where it does not or `is_earning` is false."""
    is_back = net >= 0
    first = is_back.argmax(axis=0)
    draw = np.arange(net.shape[1])
    before, reached = net[np.maximum(first - 1, 0), draw], net[first, draw]
    within = np.where(reached > before, -before / np.where(reached > before, reached - before, 1.0), 0.0)
    months = np.where(first == 0, 0.0, first - 1 + within)
    # Without a one-off cost the start is at 0 already: what loses every month still never pays back.
    return np.where(is_back.any(axis=0) & is_earning, months, np.inf)


def payback_over(months: FloatArray, levels: Sequence[float] | FloatArray) -> Payback:
    """Median and interval (`levels`: low, middle, high) of months that may be infinite."""
    # An order statistic, not an interpolated quantile: between a finite draw and "never" there is nothing.
    ends = np.quantile(months, levels, method="inverted_cdf")
    low, median, high = (float(m) if isfinite(m) else None for m in ends)
    return Payback(median, low, high, float(np.mean(np.isinf(months))))


def ramp(months: int, ramp_months: int) -> FloatArray:
    """Cumulative share of the full effect at the end of month 0, 1 ... `months`."""
    shares = np.minimum(np.arange(1, months + 1) / max(ramp_months, 1), 1.0)
    return np.concatenate([[0.0], np.cumsum(shares)])
