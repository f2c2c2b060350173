"""Weekly sufficient statistics: all an estimator ever sees of the leads.

`Weeks` says which weeks are pre and which are post; `WeeklyCounts`, `WeeklyRate` and `WeeklyCheck` hold one value a
whole Monday week, in order, and bring themselves to the scale of the model in `llq`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Weeks:
    """Which weeks of a series are pre and which are post.

    The series starts with `n_pre` weeks, then `n_washout` dropped ones, then post; `left_out` flags weeks (a closure, a
    holiday week) that count on neither side; `max_post` keeps only the first post weeks.
    """

    n_pre: int
    n_washout: int = 0
    left_out: npt.NDArray[np.bool_] | None = None
    max_post: int | None = None

    def split(self, n_weeks: int) -> tuple[IndexArray, IndexArray]:
        """Positions of the pre and the post weeks of a series of `n_weeks`; ValueError when a side is empty."""
        kept = np.ones(n_weeks, dtype=np.bool_) if self.left_out is None else ~np.asarray(self.left_out, dtype=np.bool_)
        if kept.shape != (n_weeks,):
            raise ValueError(f"left_out has {kept.size} weeks, the series has {n_weeks}: give one flag a week")
        positions = np.arange(n_weeks)
        pre = positions[kept & (positions < self.n_pre)]
        post = positions[kept & (positions >= self.n_pre + self.n_washout)][: self.max_post]
        for side, weeks in (("pre", pre), ("post", post)):
            if weeks.size == 0:
                raise ValueError(f"the {side} period has no week left: {n_weeks} weeks with {self.n_pre} pre and "
                                 f"{self.n_washout} washout weeks; move the launch date or load more history")
        return pre, post


class Standard(NamedTuple):
    """A series scaled by its pre level, as the model sees it (arrays over all weeks)."""

    values: FloatArray
    variances: FloatArray
    has_data: npt.NDArray[np.bool_]
    post_weights: FloatArray
    """Over the post weeks, in the series' own unit: the post figure is the sum of weight x value."""
    scale: float
    observed: float
    low: float
    high: float


class Weekly(Protocol):
    """Weekly sufficient statistics that can be brought to the model's scale."""

    @property
    def n_weeks(self) -> int:
        """Weeks in the series."""

    def standard(self, pre: IndexArray, post: IndexArray) -> Standard:
        """The series on the model's scale."""


@dataclass(frozen=True, slots=True, eq=False)
class WeeklyCounts:
    """Counts a week (leads, visits); the post figure is their sum."""

    total: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", checked("count", self.total, is_signed=False))

    @property
    def n_weeks(self) -> int:
        return self.total.size

    def standard(self, pre: IndexArray, post: IndexArray) -> Standard:
        """Poisson variance: of the pre mean before the launch, of the observed post mean after it."""
        scale = (self.total[pre].sum() + 0.5) / pre.size
        variances = np.full(self.n_weeks, 1.0 / scale)
        variances[post] = (self.total[post].sum() + 0.5) / post.size / scale**2
        return Standard(self.total / scale, variances, np.ones(self.n_weeks, dtype=np.bool_), np.full(post.size, scale),
                        scale, float(self.total[post].sum()), 0.0, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class WeeklyRatio:
    """Counts a week beside an untreated control's; the post figure is the sum of the counts, given the control's post weeks."""

    total: FloatArray
    control: FloatArray

    def __post_init__(self) -> None:
        total = checked("count", self.total, is_signed=False)
        control = checked("control", self.control, is_signed=False, like=total)
        if total.size and np.array_equal(total, control):
            raise ValueError("the control is the treated series itself: name leads that the launch did not touch")
        object.__setattr__(self, "total", total)
        object.__setattr__(self, "control", control)

    @property
    def n_weeks(self) -> int:
        return self.total.size

    def standard(self, pre: IndexArray, post: IndexArray) -> Standard:
        """Poisson variance of both counts; a week in which the control had nobody says nothing."""
        has_data = self.control > 0
        if not has_data[post].any():
            raise ValueError("the control has no leads in the post period: choose another one")
        safe = np.where(has_data, self.control, 1.0)
        scale = (self.total[pre].sum() + 0.5) / (self.control[pre].sum() + 0.5)
        variances = (1.0 / scale + 1.0) / safe
        ratio = (self.total[post].sum() + 0.5) / (self.control[post].sum() + 0.5)
        variances[post] = (ratio / scale**2 + 1.0) / safe[post]
        # A post week without control leads is carried at the others' mean: its own leads count on the observed side.
        carried = np.where(has_data[post], self.control[post], self.control[post][has_data[post]].mean())
        return Standard(np.where(has_data, self.total / safe, 0.0) / scale, variances, has_data, carried * scale, scale,
                        float(self.total[post].sum()), 0.0, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class WeeklyRate:
    """Reached (`numerator`) of those who could (`denominator`) a week; the post figure is the pooled rate."""

    numerator: FloatArray
    denominator: FloatArray

    def __post_init__(self) -> None:
        numerator = checked("numerator", self.numerator, is_signed=False)
        denominator = checked("denominator", self.denominator, is_signed=False, like=numerator)
        above = np.flatnonzero(numerator > denominator)
        if above.size:
            raise ValueError(f"week {above[0] + 1} of the series: more reached a step than could reach it; "
                             "count both by the week the lead was created in")
        object.__setattr__(self, "numerator", numerator)
        object.__setattr__(self, "denominator", denominator)

    @property
    def n_weeks(self) -> int:
        return self.numerator.size

    def standard(self, pre: IndexArray, post: IndexArray) -> Standard:
        """Binomial variance with (a + .5) / (b + 1), so that 0 % and 100 % keep one; post weeks use the post rate."""
        scale = _shrunk_rate(self.numerator[pre], self.denominator[pre])
        spread = np.full(self.n_weeks, scale * (1 - scale))
        post_rate = _shrunk_rate(self.numerator[post], self.denominator[post])
        spread[post] = post_rate * (1 - post_rate)
        return _mean_standard(self.numerator, self.denominator, spread, scale, post, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class WeeklyCheck:
    """Payments a week as number, sum and sum of squares (refunds negative); the post figure is the mean payment."""

    n: FloatArray
    total: FloatArray
    total_sq: FloatArray

    def __post_init__(self) -> None:
        n = checked("number of payments", self.n, is_signed=False)
        total = checked("revenue", self.total, like=n)
        total_sq = checked("sum of squares", self.total_sq, is_signed=False, like=n)
        # Cauchy-Schwarz; an impossible sum of squares means that it was computed over other rows than the sum.
        wrong = np.flatnonzero(total**2 > n * total_sq * (1 + 1e-9))
        if wrong.size:
            raise ValueError(f"week {wrong[0] + 1} of the series: the sum of squares is too small for its revenue and "
                             "number of payments; take all three over the same payments")
        for name, column in (("n", n), ("total", total), ("total_sq", total_sq)):
            object.__setattr__(self, name, column)

    @property
    def n_weeks(self) -> int:
        return self.n.size

    def standard(self, pre: IndexArray, post: IndexArray) -> Standard:
        """Variance of a mean payment from the spread within weeks; nothing is winsorised."""
        pre_mean, pre_spread = self._mean_and_spread(pre)
        rms = float(np.sqrt(self.total_sq[pre].sum() / max(self.n[pre].sum(), 1.0)))
        # Refunds can bring the mean to zero or below, where relative priors would mean nothing.
        scale = max(pre_mean, rms / 10) or 1.0
        spread = np.full(self.n_weeks, pre_spread)
        spread[post] = self._mean_and_spread(post)[1]
        return _mean_standard(self.total, self.n, spread, scale, post, -np.inf, np.inf)

    def _mean_and_spread(self, side: IndexArray) -> tuple[float, float]:
        n, total, total_sq = self.n[side], self.total[side], self.total_sq[side]
        if not n.sum():
            return 0.0, 0.0
        mean = float(total.sum() / n.sum())
        seen = n > 0
        within = float(np.maximum(total_sq[seen] - total[seen] ** 2 / n[seen], 0.0).sum())
        # One pseudo-payment with a spread of 100 %: a side with a payment a week still has a variance.
        return mean, (within + mean**2) / (max(float(n.sum()) - seen.sum(), 0.0) + 1)


def _shrunk_rate(numerator: FloatArray, denominator: FloatArray) -> float:
    return float((numerator.sum() + 0.5) / (denominator.sum() + 1.0))


def _mean_standard(total: FloatArray, n: FloatArray, spread: FloatArray, scale: float, post: IndexArray,
                   low: float, high: float) -> Standard:
    """A series of weekly means total / n whose single values have the variance `spread`."""
    has_data = n > 0
    safe_n = np.where(has_data, n, 1.0)
    n_post = float(n[post].sum())
    # With nobody in the post period there is nothing to weigh by: the plain mean of its weeks, with no sampling noise.
    share = n[post] / n_post if n_post else np.full(post.size, 1.0 / post.size)
    observed = float(total[post].sum() / n_post) if n_post else float("nan")
    return Standard(np.where(has_data, total / safe_n, 0.0) / scale, spread / safe_n / scale**2, has_data,
                    share * scale, scale, observed, low, high)


def checked(name: str, values: npt.ArrayLike, *, is_signed: bool = True,
            like: FloatArray | None = None) -> FloatArray:
    """`values` as a float64 vector; ValueError naming the first week that is not a finite, possible number."""
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or (like is not None and series.shape != like.shape):
        raise ValueError(f"{name}: the weekly series differ in length; give every one the same weeks")
    bad = np.flatnonzero(~np.isfinite(series) | (series < (-np.inf if is_signed else 0.0)))
    if bad.size:
        wanted = "a finite number" if is_signed else "a finite number of at least 0"
        raise ValueError(f"{name}: week {bad[0] + 1} of the series is not {wanted}; check the source of that week")
    return series
