"""Reading a report every Monday: the wider interval that a verdict is read from, and pretended launches beside the real one.

Whoever looks every week and stops at the first "proven" gives chance 49 tries a year. The verdict is therefore read from an
interval of 98 % instead of 95, so that over a year of Mondays on launches that changed nothing about 5 % at most ever show a
false "proven" (docs/validation.md, table "A year of weekly looks"). The looks of a year are nearly the same data again and again,
which is why one constant is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from pipeline.effects import Interval, ProcessEffect
from pipeline.ladder import MIN_WEEKS
from pipeline.llq import Past, llq, placebos
from pipeline.modes import RATE
from pipeline.roi import MONTH_DAYS, Money
from pipeline.weekly import WeeklyRate, Weeks

# Two-sided level of the always-valid interval.
LOOKS_LEVEL = 0.02


@dataclass(frozen=True, slots=True)
class Looks:
    """What a weekly reader may conclude: `n_looks` so far, and the always-valid intervals at `level`.

    `benefit_month`: benefit a month, None without payments; `relative`: of revenue (visits without payments), None when the
    counterfactual could be zero.
    """

    n_looks: int
    level: float
    benefit_month: Interval | None
    relative: Interval | None


@dataclass(frozen=True, slots=True)
class PlaceboPoint:
    """A launch pretended on `week`: observed / expected - 1, the range that no effect gives 95 % of the time, and whether it
    lies outside."""

    week: date
    relative: float
    low: float
    high: float
    is_alarm: bool


@dataclass(frozen=True, slots=True)
class PlaceboPanel:
    """The same measurement of the visit conversion on every possible earlier launch date, over `n_post_weeks` each."""

    n_post_weeks: int
    points: tuple[PlaceboPoint, ...]

    @property
    def n_alarms(self) -> int:
        """Pretended launches that looked like an effect."""
        return sum(point.is_alarm for point in self.points)


def always_valid(effect: ProcessEffect, money: Money) -> Looks:
    """The intervals a verdict is read from, at any look."""
    ends = [LOOKS_LEVEL / 2, 0.5, 1 - LOOKS_LEVEL / 2]
    whole = effect.money_or_visits
    draws = effect.visit_draws if effect.revenue_draws is None else effect.revenue_draws
    low, middle, high = (float(end) for end in np.quantile(draws, ends))
    relative = None
    if whole.observed - high > 0:
        relative = Interval(*(whole.observed / (whole.observed - end) - 1 for end in (middle, low, high)))
    benefit = None
    if money.monthly_benefit is not None and effect.revenue_draws is not None:
        factor = (effect.margin or 1.0) * MONTH_DAYS / money.window_days
        at = money.monthly_benefit.estimate
        benefit = Interval(at, at + (low - middle) * factor, at + (high - middle) * factor)
    return Looks(max(whole.n_post_weeks - MIN_WEEKS + 1, 1), LOOKS_LEVEL, benefit, relative)


def placebo_panel(visits: WeeklyRate, weeks: Weeks, mondays: Sequence[date], past: Past | None) -> PlaceboPanel | None:
    """Pretended launches on every pre week that leaves enough weeks before and after; None when there is none.

    Each is measured as the real one is, with the same widening.
    """
    found = placebos(visits, weeks, RATE)
    if not found:
        return None
    widening = llq(visits, weeks, RATE, past=past).widening
    n_after = min(weeks.split(visits.n_weeks)[1].size, max(4, weeks.split(visits.n_weeks)[0].size // 3))
    points = []
    for one in found:
        if one.expected <= 0:
            continue
        half = 1.96 * widening * one.sd / one.expected
        # Alarms by the model's own probability; the drawn band is its normal approximation.
        is_alarm = abs(one.z) > 1.96 * widening
        points.append(PlaceboPoint(mondays[one.week], one.observed / one.expected - 1, -half, half, is_alarm))
    return PlaceboPanel(n_after, tuple(points)) if points else None
