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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.weekly import FloatArray, IndexArray, Standard, Weekly, Weeks

YEAR_WEEKS = 365.25 / 7
LEVEL_SD = 2.0
# A sampling variance of 1e-8 is an error of 0.01 % a week: far below any omega, and 10^9 leads a week
# stay invertible.
VARIANCE_FLOOR = 1e-8
NO_DATA = 1e12  # the variance of a week nobody came in: it says nothing
# Grid nodes in units of the calm prior's scale; the last ones sit where the wildest temperament still has mass.
OMEGA_NODES = np.array([0.0, 0.25, 0.5, 0.8, 1.2, 1.8, 2.8, 4.5, 8.0, 16.0])
KAPPA_NODES = np.array([0.0, 0.2, 0.4, 0.65, 1.0, 1.5, 2.2, 3.3, 5.0, 8.0, 14.0, 25.0])

# Prior weights of the temperaments. Under half a year of history nothing can speak for a wave, and a weight that is not
# earned would only blind small shops; from half a year on real rates were restless often enough to give them more.
LONG_WEEKS = 26
WEIGHTS = (0.985, 0.010, 0.005)
RATE_WEIGHTS = (0.80, 0.14, 0.06)
# Another branch goes its own way more often than a rate of one's own does, and eight weeks can show it.
CONTROL_WEIGHTS = (0.85, 0.10, 0.05)
# What sister series say counts half: they share customers, seasons and staff.
SISTER_SHARE = 0.5
# Widening: the mean square of the placebo surprises, with a prior of `n` surprises of size `size`.
SHORT_SURPRISE = (6.0, 1.0)
LONG_SURPRISE = (2.0, 1.1)
MOST_SURPRISE = 4.0  # a single freak week must not widen everything without bound
MOST_PLACEBOS = 4
MIN_PLACEBO_WEEKS = 10


class Temper(NamedTuple):
    """Prior scales relative to the pre level: `slope` is a week's, `season` the first harmonic's standard deviation."""

    omega: float
    kappa: float
    slope: float
    season: float


@dataclass(frozen=True, slots=True)
class Mode:
    """Prior scales of one kind of series: the calm ones, and those of restless series."""

    name: str
    omega: float
    kappa: float
    slope: float
    restless: tuple[Temper, ...] = ()
    long_weights: tuple[float, ...] = WEIGHTS
    short_weights: tuple[float, ...] = WEIGHTS

    def prior(self, n_pre_weeks: int) -> FloatArray:
        """Prior weights of the temperaments, calm first."""
        weights = np.array((self.long_weights if n_pre_weeks >= LONG_WEEKS else self.short_weights)[: 1 + len(self.restless)])
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def tempers(self, season: float) -> tuple[Temper, ...]:
        """All temperaments, calm first; each knows at least the season it is told of."""
        calm = Temper(self.omega, self.kappa, self.slope, season)
        return (calm, *(one._replace(season=max(one.season, season)) for one in self.restless))


_RESTLESS = (Temper(0.06, 0.025, 0.004, 0.15), Temper(0.10, 0.06, 0.004, 0.30))
TOTAL = Mode("total", 0.06, 0.02, 0.008, (Temper(0.10, 0.05, 0.010, 0.30), Temper(0.20, 0.12, 0.020, 0.60)))
_OWN_WAY = (Temper(0.10, 0.04, 0.004, 0.10), Temper(0.15, 0.08, 0.008, 0.20))
CONTROL = Mode("control", 0.06, 0.016, 0.003, _OWN_WAY, CONTROL_WEIGHTS, CONTROL_WEIGHTS)
RATE = Mode("rate", 0.03, 0.01, 0.004, _RESTLESS, RATE_WEIGHTS)
CHECK = Mode("check", 0.03, 0.01, 0.004, _RESTLESS, RATE_WEIGHTS)


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What sister series taught: log evidence for each temperament, and their placebo surprises (sum of squares, number)."""

    evidence: FloatArray
    squares: float
    n: float


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the post figure would have been: a mixture of normals (`weights`, `means`, `sds`), cut to what is possible.

    Includes the sampling noise of the observed side: observed minus prediction is the effect with all its doubt.
    `weekly_mean` and `weekly_sd` are the same by post week, for drawing.
    """

    observed: float
    weights: FloatArray
    means: FloatArray
    sds: FloatArray
    weekly_mean: FloatArray
    weekly_sd: FloatArray
    table: FloatArray
    """The mixture's distribution function: figures in row 0, probabilities in row 1."""
    low: float
    high: float
    mode: Mode
    season: float
    n_pre_weeks: int
    n_post_weeks: int
    widening: float = 1.0
    """How much wider the interval became because of placebo surprises."""
    restless: float = 0.0
    """Weight of the restless temperaments after the pre weeks."""

    @property
    def mean(self) -> float:
        """Mean of the mixture."""
        return float(self.weights @ self.means)

    def cdf(self, x: float) -> float:
        """Probability that the post figure would have been at most `x`, of the mixture before the cut."""
        return float(_mixture_cdf(self.weights, self.means, self.sds, np.array([x]))[0])

    def quantile(self, p: npt.ArrayLike) -> FloatArray:
        """Quantiles at `p` in (0, 1), to about 1e-4 of the standard deviation."""
        found = np.interp(np.asarray(p, dtype=np.float64), self.table[1], self.table[0])
        return np.asarray(np.clip(found, self.low, self.high), dtype=np.float64)

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` draws: the evenly spaced quantiles in random order, so that their own quantiles carry no luck."""
        return self.quantile((rng.permutation(n) + 0.5) / n)


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
    fits = model.fits([pre.size, *model.stops])
    log_prior = np.log(model.prior)
    if past is not None and len(mode.restless):
        log_prior = log_prior + past.evidence
    known = fits[pre.size]
    squares, n = model.surprises(fits, log_prior)
    widening = _widening(float(squares[0]), float(n[0]), past, pre.size)

    # Row 0 is the post figure, the others single weeks.
    rows = np.vstack([series.post_weights, np.eye(post.size) * series.scale])
    means, variances = model.predict(known, pre.size, rows[None], post)
    weights = _normal_weights(known.log_evidence[0] + log_prior[:, None])
    shares = weights.sum(axis=1)
    flat, means, variances = weights.ravel(), means[0].reshape(-1, rows.shape[0]), variances[0].reshape(-1, rows.shape[0])
    kept = flat > 1e-7
    flat, means, variances = flat[kept] / flat[kept].sum(), means[kept], variances[kept]
    centre = flat @ means
    means, sds = centre + widening * (means - centre), widening * np.sqrt(variances)
    weekly_sd = np.sqrt(flat @ (sds[:, 1:] ** 2 + (means[:, 1:] - centre[1:]) ** 2))
    return Prediction(
        series.observed, flat, means[:, 0], sds[:, 0], centre[1:], weekly_sd, _table(flat, means[:, 0], sds[:, 0]),
        series.low, series.high, mode, season, pre.size, post.size, widening, float(shares[1:].sum()),
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
    fits = model.fits([pre.size, *model.stops])
    own = np.logaddexp.reduce(fits[pre.size].log_evidence, axis=2)
    squares, n = model.surprises(fits, np.log(model.prior))
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
    found = []
    fits = model.fits(stops)
    for stop in stops:
        outcome = model.outcome(fits[stop], stop, n_after, np.log(model.prior))
        if not np.isfinite(outcome.z[0]):
            continue
        observed, expected, sd = (float(value[0]) * model.standards[0].scale for value in outcome[:3])
        found.append(Placebo(int(pre[stop]), observed, expected, sd, float(outcome.z[0])))
    return found


class Placebo(NamedTuple):
    """One pretended launch: its week, what came, what was expected and its standard deviation (per week), the surprise z."""

    week: int
    observed: float
    expected: float
    sd: float
    z: float


class _Outcome(NamedTuple):
    observed: FloatArray
    expected: FloatArray
    sd: FloatArray
    z: FloatArray


class _Fit(NamedTuple):
    """Some first weeks of every series (axis 0), for every temperament and grid cell."""

    log_evidence: FloatArray
    """series x temperaments x cells, the cell's prior mass included."""
    coefficients: FloatArray
    coefficient_cov: FloatArray
    state: FloatArray
    """series x cells x (series itself, then each column of the design): the walk's filtered value."""
    state_variance: FloatArray


class _Model:
    """Several series over the same weeks under one mode: everything but the data is shared, so they are done at once."""

    def __init__(self, series: Sequence[Weekly], pre: IndexArray, post: IndexArray, mode: Mode, season: float) -> None:
        self.tempers = mode.tempers(season)
        self.prior = mode.prior(pre.size)
        self.standards: list[Standard] = [one.standard(pre, post) for one in series]
        self.pre = pre
        values = np.stack([one.values for one in self.standards])
        self.has_data = np.stack([one.has_data for one in self.standards])[:, pre]
        self._variances = np.maximum(np.stack([one.variances for one in self.standards]), VARIANCE_FLOOR)
        self._sampling = self._variances * np.stack([one.has_data for one in self.standards])
        self._variances = np.where(np.stack([one.has_data for one in self.standards]), self._variances, NO_DATA)
        self._values = values
        n_weeks = values.shape[1]
        self._columns = _columns(n_weeks, float(pre.mean()), has_season=any(one.season > 0 for one in self.tempers))
        omega, kappa = (nodes.ravel() for nodes in np.meshgrid(mode.omega * OMEGA_NODES, mode.kappa * KAPPA_NODES))
        self._omega_sq, self._kappa_sq = omega**2, kappa**2
        masses = [np.outer(_half_t_mass(KAPPA_NODES * mode.kappa / one.kappa), _half_t_mass(OMEGA_NODES * mode.omega / one.omega))
                  for one in self.tempers]
        self._log_mass = np.log(np.maximum(np.stack([mass.ravel() for mass in masses]), 1e-300))
        self._sds = sds = np.stack([_coefficient_sds(one, self._columns.shape[1]) for one in self.tempers])
        self._precisions = np.zeros((*sds.shape, sds.shape[1]))
        self._precisions[:, np.arange(sds.shape[1]), np.arange(sds.shape[1])] = sds**-2.0
        n_after = min(post.size, max(4, pre.size // 3))
        first = MIN_PLACEBO_WEEKS if pre.size >= MIN_PLACEBO_WEEKS + n_after else max(4, pre.size - n_after)
        last = pre.size - n_after
        self.n_after = n_after
        n_stops = min(MOST_PLACEBOS, last - first + 1)
        self.stops = sorted({int(stop) for stop in np.linspace(first, last, n_stops)}) if n_stops > 0 else []
        # Overlapping placebos repeat each other: together they are worth the weeks they cover.
        self._worth = min(1.0, (last - first + n_after) / n_after / max(len(self.stops), 1)) if self.stops else 0.0

    def fits(self, stops: Sequence[int]) -> dict[int, _Fit]:
        """Exact Gaussian integration after each number of pre weeks, by an augmented Kalman filter: one scalar walk, run on the
        series and on each column. Linear in the number of weeks, where a dense covariance is cubic.

        Source: de Jong (1991), The diffuse Kalman filter, with proper priors on the coefficients.
        """
        n_series, n_cells, n_columns = self._values.shape[0], self._kappa_sq.size, self._columns.shape[1]
        at = self.pre
        seen = np.empty((at.size, n_series, 1, n_columns + 1))
        seen[:, :, 0, 0] = self._values[:, at].T - 1.0
        seen[:, :, 0, 1:] = self._columns[at][:, None, :]
        state, variance = np.zeros((n_series, n_cells, n_columns + 1)), np.zeros((n_series, n_cells))
        products, log_spread = np.zeros((n_series, n_cells, n_columns + 1, n_columns + 1)), np.zeros((n_series, n_cells))
        wanted, found = set(stops), {}
        for week, gap in enumerate(np.diff(at, prepend=at[0])):
            variance = variance + self._kappa_sq * gap
            spread = variance + self._variances[:, at[week], None] + self._omega_sq
            innovation = seen[week] - state
            gain = variance / spread
            state = state + gain[:, :, None] * innovation
            variance = variance * (1 - gain)
            scaled = innovation / np.sqrt(spread)[:, :, None]
            products += scaled[:, :, :, None] * scaled[:, :, None, :]
            log_spread += np.log(spread)
            if week + 1 in wanted:
                found[week + 1] = self._fit(products, log_spread, state, variance)
        return found

    def _fit(self, products: FloatArray, log_spread: FloatArray, state: FloatArray, variance: FloatArray) -> _Fit:
        precision = products[:, None, :, 1:, 1:] + self._precisions[None, :, None]
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        root = np.linalg.cholesky(precision)
        target = products[:, None, :, 1:, 0]
        coefficients = (covariance @ target[..., None])[..., 0]
        misfit = products[:, None, :, 0, 0] - (target * coefficients).sum(axis=-1)
        halves = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1) + np.log(self._sds).sum(axis=1)[None, :, None]
        log_det = log_spread[:, None] + 2 * halves
        return _Fit(-0.5 * (log_det + misfit) + self._log_mass, coefficients, covariance, state.copy(), variance.copy())

    def predict(self, fit: _Fit, n_known: int, rows: FloatArray, at: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (series x temperaments x cells x rows) of weighted sums over the weeks `at`, seen from the last of
        `n_known` pre weeks (`rows`: series x rows x weeks)."""
        sums = rows.sum(axis=2)
        exposure = (rows @ self._columns[at])[:, None] - sums[:, None, :, None] * fit.state[:, :, None, 1:]
        means = (sums[:, None] * (1.0 + fit.state[:, :, :1]))[:, None] + np.einsum("sgrp,shgp->shgr", exposure, fit.coefficients)
        ahead = (at - self.pre[n_known - 1]).astype(np.float64)
        walk = np.einsum("srm,mk,srk->sr", rows, np.minimum.outer(ahead, ahead), rows)
        squares = rows**2
        shared = (fit.state_variance[:, :, None] * (sums**2)[:, None] + self._kappa_sq[:, None] * walk[:, None]
                  + self._omega_sq[:, None] * squares.sum(axis=2)[:, None]
                  + (squares @ self._sampling[:, at, None])[:, None, :, 0])
        doubt = ((exposure[:, None] @ fit.coefficient_cov) * exposure[:, None]).sum(axis=-1)
        return means, doubt + shared[:, None]

    def outcome(self, fit: _Fit, stop: int, n_after: int, log_prior: FloatArray) -> _Outcome:
        """What came in the `n_after` pre weeks after the first `stop`, and what the model would have said."""
        at = self.pre[stop : stop + n_after]
        worth = np.where(self.has_data[:, stop : stop + n_after], 1.0 / self._variances[:, at], 0.0)
        total = worth.sum(axis=1, keepdims=True)
        share = worth / np.where(total > 0, total, 1.0)
        observed = np.where(total[:, 0] > 0, (share * self._values[:, at]).sum(axis=1), np.nan)
        means, variances = self.predict(fit, stop, share[:, None, :], at)
        weights = np.stack([_normal_weights(one + log_prior[:, None]) for one in fit.log_evidence])
        means, sds = means[..., 0], np.sqrt(variances[..., 0])
        expected = (weights * means).sum(axis=(1, 2))
        sd = np.sqrt((weights * (sds**2 + (means - expected[:, None, None]) ** 2)).sum(axis=(1, 2)))
        from scipy.special import ndtr, ndtri  # slow to import: only when something is measured

        below = (weights * ndtr((observed[:, None, None] - means) / sds)).sum(axis=(1, 2))
        return _Outcome(observed, expected, sd, ndtri(np.clip(below, 1e-9, 1 - 1e-9)))

    def surprises(self, fits: dict[int, _Fit], log_prior: FloatArray) -> tuple[FloatArray, FloatArray]:
        """By series: sum of squared placebo surprises, and how many they are worth."""
        squares, n = np.zeros(len(self.standards)), np.zeros(len(self.standards))
        for stop in self.stops:
            z = self.outcome(fits[stop], stop, self.n_after, log_prior).z
            is_seen = np.isfinite(z)
            squares += self._worth * np.where(is_seen, np.minimum(np.where(is_seen, z, 0.0) ** 2, MOST_SURPRISE**2), 0.0)
            n += self._worth * is_seen
        return squares, n


def _widening(squares: float, n: float, past: Past | None, n_pre_weeks: int) -> float:
    n_prior, size = LONG_SURPRISE if n_pre_weeks >= LONG_WEEKS else SHORT_SURPRISE
    if past is not None:
        squares, n = squares + past.squares, n + past.n
    return float(max(1.0, np.sqrt((n_prior * size**2 + squares) / (n_prior + n))))


def _normal_weights(log_weights: FloatArray) -> FloatArray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _table(weights: FloatArray, means: FloatArray, sds: FloatArray) -> FloatArray:
    from scipy.special import ndtr  # slow to import: only when something is measured

    centre, narrowest = weights @ means, sds.min()
    reach = (np.abs(means - centre) + 9 * sds).max() / narrowest
    # Dense where the narrow normals are, sparse in the tails of the wide ones; then once more where quantiles are asked for.
    coarse = centre + narrowest * np.sinh(np.linspace(-1, 1, 121) * np.arcsinh(reach))
    below = _mixture_cdf(weights, means, sds, coarse)
    fine = np.interp(ndtr(np.linspace(-3.5, 3.5, 180)), below, coarse)
    x = np.concatenate([coarse, fine])
    p = np.concatenate([below, _mixture_cdf(weights, means, sds, fine)])
    order = np.argsort(x, kind="stable")
    return np.stack([x[order], np.maximum.accumulate(p[order])])


def _mixture_cdf(weights: FloatArray, means: FloatArray, sds: FloatArray, x: FloatArray) -> FloatArray:
    from scipy.special import ndtr  # slow to import: only when something is measured

    result: FloatArray = weights @ ndtr((x - means[:, None]) / sds[:, None])
    return result


def _columns(n_weeks: int, centre: float, *, has_season: bool) -> FloatArray:
    """Design: weeks x (level, slope, annual harmonics)."""
    t = np.arange(n_weeks) - centre
    columns = [np.ones(n_weeks), t]
    for harmonic in (1, 2) if has_season else ():
        angle = 2 * np.pi * harmonic * t / YEAR_WEEKS
        columns += [np.cos(angle), np.sin(angle)]
    return np.column_stack(columns)


def _coefficient_sds(temper: Temper, n_columns: int) -> FloatArray:
    """Prior standard deviation of each coefficient; a season that is not there has next to none."""
    season = max(temper.season, 1e-5)
    return np.array([LEVEL_SD, temper.slope, season, season, season / 2, season / 2][:n_columns])


def _half_t_mass(nodes: FloatArray) -> FloatArray:
    """Prior mass of each node's cell under a half-t with 3 degrees of freedom and scale 1."""
    edges = (nodes[1:] + nodes[:-1]) / 2
    x = edges / np.sqrt(3.0)
    below = 2 / np.pi * (x / (1 + x**2) + np.arctan(x))
    return np.diff(np.concatenate([[0.0], below, [1.0]]))
