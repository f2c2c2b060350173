"""Did a weekly series jump, or grow, by more than its own noise explains?

The guards' microscope. Same model as `llq` (level, slope, annual harmonics, random walk, extra noise; both unknown
scales averaged over a grid), but it is fitted to the weeks on both sides and asks for the coefficient of one more column:
a step, or a slope. A step is told from growth and from a slow drift because those stay in the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.llq import YEAR_WEEKS
from pipeline.modes import RATE, TOTAL, Mode
from pipeline.weekly import FloatArray, IndexArray, WeeklyCounts, WeeklyRate, Weeks

OMEGA_NODES = np.array([0.15, 0.6, 1.2, 2.2, 4.0, 9.0])
KAPPA_NODES = np.array([0.0, 0.4, 0.9, 1.6, 2.8, 5.0, 10.0])
VARIANCE_FLOOR = 1e-8
LEVEL_SD = 2.0
# Flat enough to let 3 % a week show itself; the priors of `llq` shrink it away, which is why a guard is needed.
SLOPE_SD = 0.03
RATE_SLOPE_SD = 0.008
STEP_SD = 0.5
# A week further than this many robust deviations from its neighbours (a holiday, an outage) is pulled in to there.
OUTLIER = 3.5
NEIGHBOURS = 7
# Older weeks say nothing about a jump at the launch.
JUMP_PRE_WEEKS, JUMP_POST_WEEKS = 52, 26


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Coefficient of one column: a mixture of normals over the grid. `log_evidence`: log Bayes factor against no column."""

    weights: FloatArray
    means: FloatArray
    sds: FloatArray
    log_evidence: float

    @property
    def mean(self) -> float:
        return float(self.weights @ self.means)

    @property
    def sd(self) -> float:
        return float(np.sqrt(self.weights @ (self.sds**2 + (self.means - self.mean) ** 2)))

    def above(self, x: float) -> float:
        """Probability that the coefficient is above `x`."""
        from scipy.special import ndtr  # slow to import: only when something is measured

        return float(self.weights @ ndtr((self.means - x) / self.sds))

    @property
    def p_value(self) -> float:
        """Two-sided."""
        above = self.above(0.0)
        return 2 * min(above, 1 - above)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A series as the model sees it: relative to its level, with known sampling variances, at week positions `at`."""

    values: FloatArray
    variances: FloatArray
    at: FloatArray
    mode: Mode


def series_of(data: WeeklyCounts | WeeklyRate, pre: IndexArray, post: IndexArray) -> Series:
    """The pre and post weeks of `data`, each side with its own sampling variance.

    Counts as logarithms, so that growth is a straight line and a step a percentage; rates over their overall mean, so that
    a share which was next to nothing on one side stays a finite step. Weeks without data are left out.
    """
    at = np.concatenate([pre, post])
    if isinstance(data, WeeklyCounts):
        counts = data.total[at] + 0.5
        variances = np.concatenate([np.full(side.size, 1 / (data.total[side].mean() + 0.5)) for side in (pre, post) if side.size])
        return _calmed(Series(np.log(counts / counts.mean()), variances, at.astype(np.float64), TOTAL))
    rates = [(data.numerator[side].sum() + 0.5) / (data.denominator[side].sum() + 1.0) for side in (pre, post)]
    spread = np.repeat([rate * (1 - rate) for rate in rates], [pre.size, post.size])
    has_data = data.denominator[at] > 0
    at, spread = at[has_data], spread[has_data]
    overall = (data.numerator[at].sum() + 0.5) / (data.denominator[at].sum() + 1.0)
    values = data.numerator[at] / data.denominator[at] / overall - 1.0
    return _calmed(Series(values, spread / data.denominator[at] / overall**2, at.astype(np.float64), RATE))


def jump(data: WeeklyCounts | WeeklyRate, weeks: Weeks) -> Step | None:
    """The step of `data` at the launch: of the logarithm of a count, of a rate over its mean.

    None when a side has fewer than two weeks with data, or nothing ever moved.
    """
    pre, post = weeks.split(data.n_weeks)
    pre, post = pre[-JUMP_PRE_WEEKS:], post[:JUMP_POST_WEEKS]
    series = series_of(data, pre, post)
    is_post = series.at >= post[0]
    if min(is_post.sum(), (~is_post).sum()) < 2 or not np.ptp(series.values):
        return None
    base = np.column_stack([np.ones(series.at.size), series.at - series.at.mean()])
    slope = SLOPE_SD if isinstance(data, WeeklyCounts) else RATE_SLOPE_SD
    return fit_steps(series, base, np.array([LEVEL_SD, slope]), is_post.astype(np.float64)[:, None], STEP_SD)[0]


def harmonics(at: FloatArray, season: float) -> tuple[FloatArray, FloatArray]:
    """Columns of the annual wave and their prior standard deviations."""
    angles = 2 * np.pi * np.outer(at, (1, 2)) / YEAR_WEEKS
    return np.hstack([np.cos(angles), np.sin(angles)]), np.tile([season, season / 2], 2)


def fit_steps(series: Series, base: FloatArray, base_sds: FloatArray, tried: FloatArray, tried_sd: float) -> list[Step]:
    """Each column of `tried` (weeks x columns) added alone to the `base` columns: its coefficient and its evidence."""
    omega, kappa = (grid.ravel() for grid in np.meshgrid(series.mode.omega * OMEGA_NODES, series.mode.kappa * KAPPA_NODES))
    prior = np.outer(_half_t(KAPPA_NODES), _half_t(OMEGA_NODES)).ravel()
    white, spreads = _whitened(np.column_stack([series.values, base, tried]), series, kappa**2, omega**2)
    n_base = base.shape[1]
    y, x, s = white[:, :, :1], white[:, :, 1:1 + n_base], white[:, :, 1 + n_base:]
    transposed = x.transpose(0, 2, 1)
    precision = transposed @ x + np.diag(base_sds**-2.0)
    # The part of the series and of each tried column that the base columns leave.
    of_series, of_tried = transposed @ y, transposed @ s
    solved = np.linalg.solve(precision, np.concatenate([of_series, of_tried], axis=2))
    fit = np.einsum("gpk,gp->gk", solved, of_series[:, :, 0])
    own = (y**2).sum(axis=(1, 2)) - fit[:, 0]
    pull = np.einsum("gwk,gw->gk", s, y[:, :, 0]) - fit[:, 1:]
    size = (s**2).sum(axis=1) - (of_tried * solved[:, :, 1:]).sum(axis=1) + tried_sd**-2.0
    log_det = np.log(spreads).sum(axis=0) + np.linalg.slogdet(precision).logabsdet
    plain = np.log(prior) - 0.5 * (log_det + own)
    gain = 0.5 * pull**2 / size - 0.5 * np.log(size * tried_sd**2)
    return [_step(plain, gain[:, k], pull[:, k] / size[:, k], size[:, k] ** -0.5) for k in range(tried.shape[1])]


def _whitened(known: FloatArray, series: Series, kappa_sq: FloatArray, omega_sq: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Innovations of every column over their standard deviations (cells x weeks x columns), and the variances (weeks x cells).

    One scalar Kalman filter for all columns: linear in the weeks, where a dense covariance is cubic.
    """
    state, state_variance = np.zeros((kappa_sq.size, known.shape[1])), np.zeros(kappa_sq.size)
    white = np.empty((known.shape[0], *state.shape))
    spreads = np.empty((known.shape[0], kappa_sq.size))
    variances = np.maximum(series.variances, VARIANCE_FLOOR)
    for week, gap in enumerate(np.diff(series.at, prepend=series.at[0])):
        state_variance = state_variance + kappa_sq * gap
        spreads[week] = state_variance + variances[week] + omega_sq
        innovation = known[week] - state
        white[week] = innovation / np.sqrt(spreads[week])[:, None]
        gain = state_variance / spreads[week]
        state = state + gain[:, None] * innovation
        state_variance = state_variance * (1 - gain)
    return white.transpose(1, 0, 2), spreads


def _step(plain: FloatArray, gain: FloatArray, means: FloatArray, sds: FloatArray) -> Step:
    both = plain + gain
    weights = np.exp(both - both.max())
    evidence = _log_sum(both) - _log_sum(plain)
    return Step(weights / weights.sum(), means, sds, evidence)


def _log_sum(logs: FloatArray) -> float:
    return float(logs.max() + np.log(np.exp(logs - logs.max()).sum()))


def _half_t(nodes: FloatArray) -> FloatArray:
    """Half-t with 3 degrees of freedom: density times the width of each node's cell."""
    density: FloatArray = (1 + nodes**2 / 3) ** -2.0 * np.gradient(nodes)
    return density


def _calmed(series: Series) -> Series:
    """The series with lone weeks pulled towards the median of their neighbours: a level keeps, a holiday week does not."""
    values = series.values
    if values.size < NEIGHBOURS:
        return series
    padded = np.pad(values, NEIGHBOURS // 2, mode="reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS), axis=1)
    off = values - middle
    spread = np.maximum(1.4826 * np.median(np.abs(off)), np.sqrt(series.variances))
    return Series(middle + np.clip(off, -OUTLIER * spread, OUTLIER * spread), series.variances, series.at, series.mode)
