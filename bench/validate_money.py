"""ROI and payback: how often their intervals contain what the simulation knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from bench import product
from bench.simulator import Business, Lift, simulate
from bench.validate_claims import Results
from bench.validate_tables import Cell, Section, coverage
from pipeline.roi import MONTH_DAYS, Costs, Money, payback_months
from pipeline.weekly import FloatArray

MARGIN = 0.6
# Per lead of a month: at 1 500 leads 225 000 at once and 22 500 a month, about what a lift of 10 to 15 % earns back in a quarter.
ONCE_PER_LEAD, MONTHLY_PER_LEAD = 150.0, 15.0
ROI, PAYBACK, IS_NEVER, ROI_WIDTH = range(4)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of launch and the claim its money is read from."""

    name: str
    claim: str
    business: Business
    lift: Lift
    n_pre: int = 26
    n_post: int = 12


EVERYTHING = Lift(volume=1.1, booking=1.1, show=1.05, check=1.05)
CASES = (
    Case("process, nothing", "process", Business(), Lift()),
    Case("process, +15 % bookings", "process", Business(), Lift(booking=1.15)),
    Case("process, +40 % bookings", "process", Business(), Lift(booking=1.4)),
    Case("process, bookings, show and check +5 to 10 %", "process", Business(), Lift(booking=1.1, show=1.05, check=1.05)),
    Case("process, 100 a month, 8+8, +40 % bookings", "process", Business(leads_a_month=100), Lift(booking=1.4), 8, 8),
    Case("total, season 20 %, 104 weeks, every factor", "total", Business(season=0.2), EVERYTHING, 104),
)


def keys() -> list[str]:
    """One a case."""
    return [case.name for case in CASES]


def run(key: str, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Whether ROI and payback were covered, whether the truth never pays back, and how wide ROI was."""
    case = next(case for case in CASES if case.name == key)
    launches = simulate(case.business, n, case.n_pre, case.n_post, case.lift, rng)
    leads = case.business.leads_a_month
    costs = Costs(one_off=ONCE_PER_LEAD * leads, monthly=MONTHLY_PER_LEAD * leads)
    rows = []
    for at in range(n):
        funnel, weeks = launches.funnel(at), launches.weeks(at)
        told = (product.process(funnel, weeks, launches.sources(at), margin=MARGIN) if case.claim == "process"
                else product.total(funnel, weeks, margin=MARGIN))
        if told.effect is None or told.effect.revenue is None:
            rows.append([float("nan")] * 4)
            continue
        post = weeks.split(funnel.leads.size)[1][: told.effect.revenue.n_post_weeks]
        benefit = MARGIN * float(launches.truth[case.claim, "revenue"].added[at, post].sum())
        rows.append(_compared(product.money(told.effect, costs, funnel, weeks), benefit))
    return {"money": np.array(rows)}


def tables(results: Mapping[str, Results]) -> list[Section]:
    """The table of this group."""
    section = Section(
        "money", "ROI and payback",
        f"Share (%) of 95 % intervals that contain the truth; margin {100 * MARGIN:.0f} %, costs in proportion to the leads. "
        "Target 93 to 98; where the true payback is often never, its interval is one-sided and 93 to 100 is asked. Half-width: "
        "median, with ROI as a ratio (1 is 100 %).",
        ["claim and launch", "ROI", "payback", "true payback is never", "half-width of ROI"])
    for case in CASES:
        if case.name in results:
            rows = results[case.name]["money"]
            n_never = float(np.nanmean(rows[:, IS_NEVER]))
            section.rows.append([
                case.name, coverage(rows[:, ROI]), coverage(rows[:, PAYBACK], high=1.0 if n_never > 0.2 else 0.98),
                Cell(100 * n_never, float("nan")), Cell(float(np.nanmedian(rows[:, ROI_WIDTH])), float("nan")),
            ])  # fmt: skip
    return [section]


def _compared(money: Money, benefit: float) -> list[float]:
    """`benefit`: the true gross profit of the window."""
    if money.roi is None or money.payback is None or money.cost is None:
        return [float("nan")] * 4
    months = money.window_days / MONTH_DAYS
    truth = payback_months(money.one_off_cost or 0.0, benefit / months, money.monthly_cost or 0.0)
    true_roi = benefit / money.cost - 1
    low, high = (inf if end is None else end for end in (money.payback.low, money.payback.high))
    return [float(money.roi.low <= true_roi <= money.roi.high), float(low <= (inf if truth is None else truth) <= high),
            float(truth is None), (money.roi.high - money.roi.low) / 2]
