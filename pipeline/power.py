"""What this very launch can tell, now and after more weeks, and what would help if waiting does not.

Nothing is simulated: the weekly series are made longer by their own mean week, and the interval that a launch without any
effect would show is computed again. `detectable` is the effect seen with 80 % power.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, sqrt
from typing import Literal

import numpy as np

from pipeline.effects import DETECTABLE_HALF_WIDTHS, LEVELS, Funnel
from pipeline.llq import llq
from pipeline.modes import CHECK, CONTROL, RATE, TOTAL, Mode
from pipeline.prediction import Prediction
from pipeline.weekly import FloatArray, Weekly, WeeklyCheck, WeeklyCounts, WeeklyRate, WeeklyRatio, Weeks

# Half a year on, what a launch still does and what else has changed cannot be told apart: no advice reaches further.
MORE_WEEKS = (4, 8, 12, 26)
# Below this only chance itself, a randomised hold-out, tells an effect from drift.
SMALLEST_WITHOUT_CHANCE = 0.10
HISTORY_WEEKS = 52
# Waiting that narrows the interval by less than this is not worth the name.
WORTH_WAITING = 0.9

BestWay = Literal["wait", "control", "history", "holdout"]


@dataclass(frozen=True, slots=True)
class PowerPoint:
    """The relative effect seen with 80 % power after so many post weeks in all."""

    n_post_weeks: int
    detectable: float


@dataclass(frozen=True, slots=True)
class Power:
    """`detectable` now (None: too little to say), the `curve` from now on, `more_weeks` until an effect of
    `break_even_relative` can be seen (None: unknown, or never by waiting), and what helps most for the least."""

    detectable: float | None
    break_even_relative: float | None
    curve: tuple[PowerPoint, ...]
    more_weeks: int | None
    best_way: BestWay


@dataclass(frozen=True, slots=True, eq=False)
class Longer:
    """The launch with `n_more` weeks at its end, each of them the mean of its post weeks (of its pre weeks while there are
    none). `n_weeks`: length of the real series."""

    now: Weeks
    n_weeks: int
    n_more: int

    @property
    def n_post_weeks(self) -> int:
        """Post weeks that count now."""
        return int(self._sides()[1].size)

    @property
    def weeks(self) -> Weeks:
        """The periods of the longer series."""
        left_out = self.now.left_out
        if left_out is not None:
            left_out = np.concatenate([left_out, np.zeros(self._total - self.n_weeks, dtype=np.bool_)])
        return Weeks(self.now.n_pre, self.now.n_washout, left_out, self.now.max_post)

    def series(self, values: FloatArray) -> FloatArray:
        """A weekly series made longer."""
        pre, post = self._sides()
        mean = float(values[post if post.size else pre].mean())
        return np.concatenate([values, np.full(self._total - self.n_weeks, mean)])

    def funnel(self, funnel: Funnel) -> Funnel:
        """A funnel made longer."""
        columns = (funnel.leads, funnel.visited, funnel.booked, funnel.paid, funnel.revenue, funnel.revenue_sq)
        return Funnel(*(None if column is None else self.series(column) for column in columns))  # type: ignore[arg-type]  # the first two are never None

    @property
    def _total(self) -> int:
        """Weeks in the longer series; a washout that is still running comes first."""
        return max(self.n_weeks, self.now.n_pre + self.now.n_washout) + self.n_more

    def _sides(self) -> tuple[np.typing.NDArray[np.intp], np.typing.NDArray[np.intp]]:
        kept = np.ones(self.n_weeks, dtype=np.bool_) if self.now.left_out is None else ~self.now.left_out
        at = np.arange(self.n_weeks)
        return at[kept & (at < self.now.n_pre)], at[kept & (at >= self.now.n_pre + self.now.n_washout)][: self.now.max_post]


Detectable = Callable[[Longer], float | None]


def claim_detectable(funnel: Funnel, *, season: float | None = None, control: FloatArray | None = None) -> Detectable:
    """The detectable effect of a claim on its money (on visits without payments); for a total claim its `season`, or the
    weekly leads of its `control`.

    The rates and the check are taken as one series, revenue a lead, that wanders as much as all of them together (root of
    their number). A quarter of the time of doing each, and the curve falls and rises within a tenth as theirs does; its level
    is the claim's own (`power`).
    """
    def of(longer: Longer) -> float | None:
        long, weeks = longer.funnel(funnel), longer.weeks
        series: list[tuple[Weekly, Mode, float]] = [(*_process(long, weeks), 0.0)]
        if control is not None:
            series.append((WeeklyRatio(long.leads, longer.series(control)), CONTROL, 0.0))
        elif season is not None:
            series.append((WeeklyCounts(long.leads), TOTAL, season))
        # Relative errors of a product add up in quadrature: no draws needed.
        widths = [_half_width(llq(data, weeks, mode, prior)) for data, mode, prior in series]
        known = [width for width in widths if width is not None]
        return DETECTABLE_HALF_WIDTHS * sqrt(sum(width**2 for width in known)) if len(known) == len(widths) else None

    return of


def _process(funnel: Funnel, weeks: Weeks) -> tuple[Weekly, Mode]:
    """What a lead brings, as one series: its revenue, or whether it visits."""
    pre = weeks.split(funnel.leads.size)[0]
    n_factors = len(funnel.factors())
    if funnel.revenue is not None and funnel.revenue_sq is not None and funnel.revenue[pre].any():
        return WeeklyCheck(funnel.leads, funnel.revenue, funnel.revenue_sq), _together(CHECK, n_factors)
    n_rates = n_factors - (funnel.revenue is not None) - (funnel.paid is not None)
    return WeeklyRate(funnel.visited, funnel.leads), _together(RATE, n_rates)


def _together(mode: Mode, n_factors: int) -> Mode:
    """The mode of a product of so many series that wander independently."""
    more = sqrt(n_factors)
    return replace(mode, omega=mode.omega * more, kappa=mode.kappa * more, slope=mode.slope * more)


def power(detectable_of: Detectable, weeks: Weeks, n_weeks: int, *, claim: Literal["process", "total"],
          now: float | None, break_even: float | None, has_control: bool = False, can_have_control: bool = False) -> Power:
    """What a claim can tell, and what would help.

    `now`: the detectable effect that the report prints for the claim; the curve starts there (None while it makes none).
    `break_even`: the relative effect that pays all costs, None while cost or margin is unknown. `has_control`: the claim
    is made against a control; `can_have_control`: an untouched channel, branch ... would do as one.
    """
    here = Longer(weeks, n_weeks, 0)
    base = detectable_of(here) if here.n_post_weeks else None
    # What the claim knows beyond the series (the account's own past) widens now and later alike.
    factor = now / base if now and base else 1.0
    found = [(n, detectable_of(Longer(weeks, n_weeks, n))) for n in MORE_WEEKS]
    curve = [PowerPoint(here.n_post_weeks + n, value * factor) for n, value in found if value is not None]
    if now is not None:
        curve.insert(0, PowerPoint(here.n_post_weeks, now))
    more = None if break_even is None else _more_weeks(curve, here.n_post_weeks, break_even)
    n_pre = weeks.n_pre if weeks.left_out is None else weeks.n_pre - int(weeks.left_out[: weeks.n_pre].sum())
    way = _best_way(curve, more, break_even, is_uncontrolled=claim == "total" and not has_control,
                    can_have_control=can_have_control, n_pre_weeks=n_pre)
    return Power(now, break_even, tuple(curve), more, way)


def _half_width(prediction: Prediction) -> float | None:
    low, middle, high = prediction.quantile(LEVELS)
    return float((high - low) / 2 / middle) if low > 0 else None


def _more_weeks(curve: Sequence[PowerPoint], n_post_weeks: int, target: float) -> int | None:
    """Weeks until the curve falls to `target`, straight between its points; None when it does not."""
    if target <= 0 or (curve and curve[0].detectable <= target):
        return max(curve[0].n_post_weeks - n_post_weeks, 0) if curve and target > 0 else 0
    for left, right in pairwise(curve):
        if right.detectable <= target:
            share = (left.detectable - target) / (left.detectable - right.detectable)
            return ceil(left.n_post_weeks + share * (right.n_post_weeks - left.n_post_weeks)) - n_post_weeks
    return None


def _best_way(curve: Sequence[PowerPoint], more_weeks: int | None, break_even: float | None, *, is_uncontrolled: bool,
              can_have_control: bool, n_pre_weeks: int) -> BestWay:
    """The cheapest thing that helps; never "wait" for a total without a control, whose interval waiting does not narrow."""
    if more_weeks == 0:
        return "wait"
    if not is_uncontrolled:
        is_falling = len(curve) > 1 and curve[-1].detectable < WORTH_WAITING * curve[0].detectable
        return "wait" if more_weeks is not None or (break_even is None and is_falling) else "holdout"
    if break_even is not None and break_even < SMALLEST_WITHOUT_CHANCE:
        return "holdout"
    if can_have_control:
        return "control"
    return "history" if n_pre_weeks < HISTORY_WEEKS else "holdout"
