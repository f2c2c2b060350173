"""Medians and slow tails of durations by week: how many took how long, and what changed between two sides.

A duration that has not ended (no reply, still open) ranks as the longest, so that leaving requests alone never looks fast.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from pipeline.effects import Interval
from pipeline.weekly import FloatArray

LEVELS = {"median": 0.5, "p90": 0.9}
N_RESAMPLES = 1000
# A constant, not a setting: the same figures in must give the same bytes out.
SEED = 4_211_777
MIN_WEEKS = 4  # fewer whole weeks on a side say nothing of how weeks differ
ENDED_SHARE = 0.975  # of the resamples: otherwise an end of the interval would be a duration without end
LARGEST_GRID = 2000  # distinct values the resamples tell apart; the finest are pooled beyond that


@dataclass(frozen=True, slots=True, eq=False)
class Durations:
    """How many (`n`) took how long (`value`; infinite: not ended) by day (`day`, days since 1970-01-01)."""

    day: npt.NDArray[np.int64]
    value: FloatArray
    n: FloatArray

    def side(self, weeks: Collection[date]) -> "Side":
        """Those of the weeks of these Mondays."""
        mondays = np.array(sorted((week - _EPOCH).days for week in weeks), dtype=np.int64)
        at = np.searchsorted(mondays, self.day, side="right") - 1
        inside = (at >= 0) & (self.day - mondays[np.maximum(at, 0)] < 7) if mondays.size else np.zeros(self.day.size, np.bool_)
        return Side(at[inside], self.value[inside], self.n[inside], len(mondays))


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The durations of one side; `week` counts its weeks from 0."""

    week: npt.NDArray[np.int64]
    value: FloatArray
    n: FloatArray
    n_weeks: int

    @property
    def count(self) -> int:
        return int(self.n.sum())

    @property
    def n_open(self) -> int:
        """How many have not ended."""
        return int(self.n[np.isinf(self.value)].sum())

    def quantile(self, level: float) -> float | None:
        """The smallest duration that at least a share `level` did not exceed; infinite: fewer have ended. None of nothing."""
        if not self.count:
            return None
        order = np.argsort(self.value, kind="stable")
        reached = np.cumsum(self.n[order]) >= level * self.n.sum() - 1e-9
        return float(self.value[order][np.argmax(reached)])


_EPOCH = date(1970, 1, 1)


def change(pre: Side, post: Side, level: float) -> Interval | None:
    """Post less pre with its 95 % interval, weeks of each side drawn anew (a cluster bootstrap).

    What changed, not why: a season is not taken out. None where a side has fewer than `MIN_WEEKS` weeks with data, or where
    one end of the interval is a duration that has not ended.
    """
    sides = (pre, post)
    if any(np.unique(side.week).size < MIN_WEEKS for side in sides):
        return None
    before, after = (side.quantile(level) for side in sides)
    draws = np.stack([_resampled(side, level, stream) for stream, side in enumerate(sides)])
    has_ended = np.isfinite(draws).all(axis=0)
    if before is None or after is None or not np.isfinite([before, after]).all() or has_ended.mean() < ENDED_SHARE:
        return None
    low, high = np.quantile(draws[1][has_ended] - draws[0][has_ended], (0.025, 0.975))
    estimate = after - before
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate))


def _resampled(side: Side, level: float, stream: int) -> FloatArray:
    """The quantile of each resample of the side's weeks."""
    values, place = np.unique(side.value, return_inverse=True)
    if values.size > LARGEST_GRID:  # pooled by rank, each to the largest of its pool
        step = -(-values.size // LARGEST_GRID)
        ends = np.minimum(np.arange(1, -(-values.size // step) + 1) * step, values.size) - 1
        values, place = values[ends], place // step
    counts = np.zeros((side.n_weeks, values.size))
    np.add.at(counts, (side.week, place), side.n)
    rng = np.random.default_rng((SEED, stream))
    times = rng.multinomial(side.n_weeks, np.full(side.n_weeks, 1 / side.n_weeks), size=N_RESAMPLES)
    reached = np.cumsum(times @ counts, axis=1)
    enough = reached >= level * reached[:, -1:] - 1e-9
    found: FloatArray = values[np.argmax(enough, axis=1)]
    found[reached[:, -1] == 0] = np.inf
    return found
