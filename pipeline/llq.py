"""LLQ: local level with shrunk slope, integrated by quadrature, that learns from the account's own past.

What would the weeks after a launch have looked like without it? Whole weeks, scaled by the pre level:

    z_t = level + slope * t + [annual harmonics 1 and 2] + random walk + noise

The noise of a week is its known sampling variance plus an unknown extra `omega`^2; the random walk moves by an unknown
`kappa` a week. Both unknowns have half-t(3) priors and are integrated on a grid, everything Gaussian is integrated
exactly, so the prediction is a mixture of normals. Averaging over the level variance (maximum likelihood piles up at
zero) and taking the sampling variance as a known floor is what keeps the false alarms down on short series.

Real series are restless: they have waves, jumps and shifts that no simulation showed. Two things let an interval widen where
the account's own history asks for it, and only there (docs/method.md has the measurements):

* temperaments: beside the calm prior stand two restless ones, with little weight until the pre weeks speak for them;
* placebo widening: launches are pretended inside the pre period, and where the model was surprised by what followed more
  often than it should be, everything it says is widened by that factor.

Both may also be learned from sister series (`learn`): the same figure by channel and by branch. The data are weekly
sufficient statistics, never rows (`weekly`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pipeline.modes import LONG_WEEKS, Mode, grid
from pipeline.prediction import Prediction, table_of
from pipeline.weekly import FloatArray, IndexArray, Standard, Weekly, Weeks

YEAR_WEEKS = 365.25 / 7
# A sampling variance of 1e-8 is an error of 0.01 % a week: far below any omega, and 10^9 leads a week
# stay invertible.
VARIANCE_FLOOR = 1e-8
NO_DATA = 1e12  # the variance of a week nobody came in: it says nothing
# What sister series say counts half: they share customers, seasons and staff.
SISTER_SHARE = 0.5
# Widening: the mean square of the placebo surprises, with a prior of `n` surprises of size `size`.
SHORT_SURPRISE = (6.0, 1.0)
LONG_SURPRISE = (2.0, 1.1)
MOST_SURPRISE = 4.0  # a single freak week must not widen everything without bound
MOST_PLACEBOS = 4
MIN_PLACEBO_WEEKS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What sister series taught: log evidence for the calm and each restless temperament, and their placebo surprises (sum of
    squares, number)."""

    evidence: FloatArray
    squares: float
    n: float


def llq(data: Weekly, weeks: Weeks, mode: Mode, season: float = 0.0, past: Past | None = None) -> Prediction:
    """Predict the post figure of `data` from its pre weeks, and from what sister series taught.

    `season` is the prior standard deviation of the first annual harmonic, relative to the level (the second has half).
    Raises ValueError when no pre week carries data.
    """
    pre, post = weeks.split(data.n_weeks)
    model = _Model([data], pre, post, mode, season)
    if not model.has_data[0, : pre.size].any():
        raise ValueError("no pre week has data for this figure: load more history or leave the figure out")
    series = model.standards[0]
    fits = model.fits([*model.stops, pre.size])
    log_prior = np.log(model.prior)
    if past is not None:
        # Sisters say nothing on whether there is a season: the faint temperament counts as the calm one.
        log_prior = log_prior + past.evidence[[0] * (log_prior.size - past.evidence.size) + list(range(past.evidence.size))]
    squares, n = model.surprises(fits, log_prior)
    widening = _widening(float(squares[0]), float(n[0]), past, pre.size)

    # Row 0 is the post figure, the others single weeks.
    rows = np.vstack([series.post_weights, np.eye(post.size) * series.scale])
    known = fits.places(slice(-1, None))
    means, variances = model.predict(known, [pre.size], rows[None, None], post[None])
    weights = _normal_weights(known.log_evidence[0, 0] + log_prior[:, None])
    shares = weights.sum(axis=1)
    flat, means, variances = weights.ravel(), means.reshape(-1, rows.shape[0]), variances.reshape(-1, rows.shape[0])
    kept = flat > 1e-7
    flat, means, variances = flat[kept] / flat[kept].sum(), means[kept], variances[kept]
    centre = flat @ means
    means, sds = centre + widening * (means - centre), widening * np.sqrt(variances)
    weekly_sd = np.sqrt(flat @ (sds[:, 1:] ** 2 + (means[:, 1:] - centre[1:]) ** 2))
    return Prediction(
        series.observed, flat, means[:, 0], sds[:, 0], centre[1:], weekly_sd, table_of(flat, means[:, 0], sds[:, 0]),
        series.low, series.high, mode.name, season, pre.size, post.size, widening, float(shares[-len(mode.restless) :].sum()),
    )  # fmt: skip


def learn(sisters: Sequence[Weekly], weeks: Weeks, mode: Mode, season: float = 0.0) -> Past | None:
    """What sister series (same figure, same weeks, another channel or branch) teach; None without any that has data.

    Uses pre weeks only: the launch cannot teach anything about itself.
    """
    usable = []
    for sister in sisters:
        pre, post = weeks.split(sister.n_weeks)
        if sister.standard(pre, post).has_data[pre].mean() > 0.5:
            usable.append(sister)
    if not usable:
        return None
    pre, post = weeks.split(usable[0].n_weeks)
    model = _Model(usable, pre, post, mode, season)
    fits = model.fits([*model.stops, pre.size])
    own = np.logaddexp.reduce(fits.log_evidence[-1], axis=2)
    squares, n = model.surprises(fits, np.log(model.prior))
    own = own[:, [0, *range(own.shape[1] - len(mode.restless), own.shape[1])]]
    evidence = SISTER_SHARE * (own - own[:, :1]).sum(axis=0)
    return Past(evidence, float(squares.sum()), float(n.sum()))


def placebos(data: Weekly, weeks: Weeks, mode: Mode, season: float = 0.0, n_post: int | None = None) -> list[Placebo]:
    """The same measurement for a launch pretended at every possible earlier pre week, each from the weeks before it alone."""
    pre, post = weeks.split(data.n_weeks)
    n_after = min(n_post or post.size, max(4, pre.size // 3))
    first = MIN_PLACEBO_WEEKS if pre.size >= MIN_PLACEBO_WEEKS + n_after else max(4, pre.size - n_after)
    stops = list(range(first, pre.size - n_after + 1))
    model = _Model([data], pre, post, mode, season)
    if not stops or not model.has_data[0, : pre.size].any():
        return []
    outcome = model.outcomes(model.fits(stops), stops, n_after, np.log(model.prior))
    scale = model.standards[0].scale
    return [
        Placebo(int(pre[stop]), float(observed) * scale, float(expected) * scale, float(sd) * scale, float(z))
        for stop, observed, expected, sd, z in zip(stops, *(column[:, 0] for column in outcome), strict=True)
        if np.isfinite(z)
    ]


class Placebo(NamedTuple):
    """One pretended launch: its week, what came, what was expected and its standard deviation (per week), the surprise z."""

    week: int
    observed: float
    expected: float
    sd: float
    z: float


class _Outcome(NamedTuple):
    """Stops x series."""

    observed: FloatArray
    expected: FloatArray
    sd: FloatArray
    z: FloatArray


class _Fit(NamedTuple):
    """Some first weeks of the series. The last four axes: stops (how many weeks), series, temperaments, grid cells."""

    log_evidence: FloatArray
    """The cell's prior mass included."""
    lower: FloatArray
    """Unit lower triangle of the coefficients' precision (first two axes); the last row: L^-1 of the right side over `pivots`."""
    pivots: FloatArray
    state: FloatArray
    """(each column of the design, then the series itself) x stops x series x cells: the walk's filtered value."""
    state_variance: FloatArray

    def places(self, some: slice) -> _Fit:
        """Some of the stops."""
        return _Fit(self.log_evidence[some], self.lower[:, :, some], self.pivots[:, some], self.state[:, some],
                    self.state_variance[some])


class _Model:
    """Several series over the same weeks under one mode: everything but the data is shared, so they are done at once."""

    def __init__(self, series: Sequence[Weekly], pre: IndexArray, post: IndexArray, mode: Mode, season: float) -> None:
        self._grid = grid(mode, season, pre.size)
        self.prior = mode.prior(pre.size)
        self.standards: list[Standard] = [one.standard(pre, post) for one in series]
        self.pre = pre
        has_data = np.stack([one.has_data for one in self.standards])
        self.has_data = has_data[:, pre]
        variances = np.maximum(np.stack([one.variances for one in self.standards]), VARIANCE_FLOOR)
        self._sampling = variances * has_data
        self._variances = np.where(has_data, variances, NO_DATA)
        self._values = np.stack([one.values for one in self.standards])
        self._columns = _columns(self._values.shape[1], float(pre.mean()), has_season=self._grid.sds.shape[1] > 2)
        n_after = min(post.size, max(4, pre.size // 3))
        first = MIN_PLACEBO_WEEKS if pre.size >= MIN_PLACEBO_WEEKS + n_after else max(4, pre.size - n_after)
        last = pre.size - n_after
        self.n_after = n_after
        n_stops = min(MOST_PLACEBOS, last - first + 1)
        self.stops = sorted({int(stop) for stop in np.linspace(first, last, n_stops)}) if n_stops > 0 else []
        # Overlapping placebos repeat each other: together they are worth the weeks they cover.
        self._worth = min(1.0, (last - first + n_after) / n_after / max(len(self.stops), 1)) if self.stops else 0.0

    def fits(self, stops: Sequence[int]) -> _Fit:
        """Exact Gaussian integration after each number of pre weeks, by an augmented Kalman filter: one scalar walk, run on the
        series and on each column. Linear in the number of weeks, where a dense covariance is cubic.

        Source: de Jong (1991), The diffuse Kalman filter, with proper priors on the coefficients.
        """
        n_series, n_cells, n_both = self._values.shape[0], self._grid.kappa_sq.size, self._columns.shape[1] + 1
        at = self.pre
        seen = np.empty((at.size, n_both, n_series, 1))
        seen[:, :-1, :, 0] = self._columns[at][:, :, None]
        seen[:, -1, :, 0] = self._values[:, at].T - 1.0
        state, variance = np.zeros((n_both, n_series, n_cells)), np.zeros((n_series, n_cells))
        innovations, spreads = np.empty((at.size, *state.shape)), np.empty((at.size, *variance.shape))
        noise = self._variances[:, at].T[:, :, None] + self._grid.omega_sq
        walks = []
        for week, gap in enumerate(np.diff(at, prepend=at[0])):
            variance = variance + self._grid.kappa_sq * gap
            spread = np.add(variance, noise[week], out=spreads[week])
            innovation = np.subtract(seen[week], state, out=innovations[week])
            gain = variance / spread
            state = state + gain * innovation
            variance = variance * (1 - gain)
            if week + 1 in stops:
                walks.append((state, variance))
        innovations /= np.sqrt(spreads)[:, None]
        scaled = np.ascontiguousarray(innovations.transpose(2, 3, 1, 0))
        parts = [scaled[..., start:stop] for start, stop in pairwise([0, *stops])]
        products = np.cumsum([part @ part.swapaxes(2, 3) for part in parts], axis=0)
        log_spread = np.cumsum(np.log(spreads), axis=0)[np.asarray(stops) - 1]
        return self._eliminated(products, log_spread, *(np.stack(each, axis=-3) for each in zip(*walks, strict=True)))

    def _eliminated(self, products: FloatArray, log_spread: FloatArray, state: FloatArray, variance: FloatArray) -> _Fit:
        """Evidence and coefficients by one LDL' elimination for all cells: thousands of matrices, each too small for LAPACK."""
        sds, n_columns = self._grid.sds, state.shape[0] - 1
        shape = (n_columns + 1, n_columns + 1, *products.shape[:2], len(sds), products.shape[2])
        left = np.ascontiguousarray(np.broadcast_to(np.moveaxis(products, (3, 4), (0, 1))[:, :, :, :, None], shape))
        for j, precision in enumerate((sds**-2.0).T):
            left[j, j] += precision[:, None]
        for j in range(n_columns):
            right = left[j + 1 :, j].copy()
            left[j + 1 :, j] /= left[j, j]
            for i in range(j + 1, n_columns + 1):
                left[i, j + 1 : i + 1] -= left[i, j] * right[: i - j]
                left[j + 1 : i + 1, i] = left[i, j + 1 : i + 1]
        pivots = left[range(n_columns), range(n_columns)]
        log_det = log_spread[:, :, None] + np.log(pivots).sum(axis=0) + 2 * np.log(sds).sum(axis=1)[:, None]
        return _Fit(-0.5 * (log_det + left[-1, -1]) + self._grid.log_mass, left, pivots, state, variance)

    def predict(self, fit: _Fit, stops: Sequence[int], rows: FloatArray, at: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (stops x series x temperaments x cells x rows) of weighted sums (`rows`: stops x series x rows x
        weeks) over the weeks `at` (stops x weeks), each seen from the last of its number of known pre weeks."""
        sums = rows.sum(axis=3)[:, :, None]
        exposure = np.moveaxis(rows @ self._columns[at][:, None], 3, 0)[:, :, :, None] - sums * fit.state[:-1, ..., None]
        ahead = (at - self.pre[np.asarray(stops) - 1][:, None]).astype(np.float64)
        walk = ((rows @ np.minimum(ahead[:, :, None], ahead[:, None])[:, None]) * rows).sum(axis=3)[:, :, None]
        squares = rows**2
        means = (sums * (1.0 + fit.state[-1, ..., None]))[:, :, None]
        variances = (sums**2 * fit.state_variance[..., None] + walk * self._grid.kappa_sq[:, None]
                     + squares.sum(axis=3)[:, :, None] * self._grid.omega_sq[:, None]
                     + (squares @ np.moveaxis(self._sampling[:, at], 0, 1)[..., None])[:, :, None, :, 0])[:, :, None]
        solved: list[FloatArray] = []  # L^-1 of the exposure
        for j, row in enumerate(exposure):
            known = row[:, :, None] - sum(fit.lower[j, k, ..., None] * one for k, one in enumerate(solved))
            means = means + known * fit.lower[-1, j, ..., None]
            variances = variances + known**2 / fit.pivots[j, ..., None]
            solved.append(known)
        return means, variances

    def outcomes(self, fit: _Fit, stops: Sequence[int], n_after: int, log_prior: FloatArray) -> _Outcome:
        """What came in the `n_after` pre weeks after each of the first `stops`, and what the model would have said."""
        weeks = np.add.outer(np.asarray(stops), np.arange(n_after))
        at = self.pre[weeks]
        worth = np.where(self.has_data[:, weeks], 1.0 / self._variances[:, at], 0.0)
        total = worth.sum(axis=2, keepdims=True)
        share = worth / np.where(total > 0, total, 1.0)
        observed = np.where(total[:, :, 0] > 0, (share * self._values[:, at]).sum(axis=2), np.nan).T
        means, variances = self.predict(fit, stops, np.moveaxis(share, 0, 1)[:, :, None], at)
        log_weights = fit.log_evidence + log_prior[:, None]
        weights = np.exp(log_weights - log_weights.max(axis=(2, 3), keepdims=True))
        weights /= weights.sum(axis=(2, 3), keepdims=True)
        means, sds = means[..., 0], np.sqrt(variances[..., 0])
        expected = (weights * means).sum(axis=(2, 3))
        sd = np.sqrt((weights * (sds**2 + (means - expected[:, :, None, None]) ** 2)).sum(axis=(2, 3)))
        from scipy.special import ndtr, ndtri  # slow to import: only when something is measured

        below = (weights * ndtr((observed[:, :, None, None] - means) / sds)).sum(axis=(2, 3))
        return _Outcome(observed, expected, sd, ndtri(np.clip(below, 1e-9, 1 - 1e-9)))

    def surprises(self, fit: _Fit, log_prior: FloatArray) -> tuple[FloatArray, FloatArray]:
        """By series: sum of squared placebo surprises, and how many they are worth. `fit`: at `stops` and then at all weeks."""
        if not self.stops:
            return np.zeros(len(self.standards)), np.zeros(len(self.standards))
        z = self.outcomes(fit.places(slice(0, -1)), self.stops, self.n_after, log_prior).z
        is_seen = np.isfinite(z)
        squares = np.minimum(np.where(is_seen, z, 0.0) ** 2, MOST_SURPRISE**2).sum(axis=0)
        return self._worth * squares, self._worth * is_seen.sum(axis=0)


def _widening(squares: float, n: float, past: Past | None, n_pre_weeks: int) -> float:
    n_prior, size = LONG_SURPRISE if n_pre_weeks >= LONG_WEEKS else SHORT_SURPRISE
    if past is not None:
        squares, n = squares + past.squares, n + past.n
    return float(max(1.0, np.sqrt((n_prior * size**2 + squares) / (n_prior + n))))


def _normal_weights(log_weights: FloatArray) -> FloatArray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _columns(n_weeks: int, centre: float, *, has_season: bool) -> FloatArray:
    """Design: weeks x (level, slope, annual harmonics)."""
    t = np.arange(n_weeks) - centre
    columns = [np.ones(n_weeks), t]
    for harmonic in (1, 2) if has_season else ():
        angle = 2 * np.pi * harmonic * t / YEAR_WEEKS
        columns += [np.cos(angle), np.sin(angle)]
    return np.column_stack(columns)
