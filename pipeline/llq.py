"""LLQ: local level with shrunk slope, integrated by quadrature.

What would the weeks after a launch have looked like without it? Whole weeks, scaled by the pre level:

    z_t = level + slope * t + [annual harmonics 1 and 2] + random walk + noise

The noise of a week is its known sampling variance plus an unknown extra `omega`^2; the random walk moves by an unknown
`kappa` a week. Both unknowns have half-t(3) priors and are integrated on a grid, everything Gaussian is integrated
exactly, so the prediction is a mixture of normals. Averaging over the level variance (maximum likelihood piles up at
zero) and taking the sampling variance as a known floor is what keeps the false alarms down on short series.

The data are weekly sufficient statistics, never rows (`weekly`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.weekly import FloatArray, IndexArray, Weekly, Weeks

YEAR_WEEKS = 365.25 / 7
LEVEL_SD = 2.0
# A sampling variance of 1e-8 is an error of 0.01 % a week: far below any omega, and 10^9 leads a week
# stay invertible.
VARIANCE_FLOOR = 1e-8
# Grid nodes in units of the prior's scale. The last ones sit far out: real series are jumpier than the simulated ones
# the scales were chosen on, and a grid that ends early would call such jumps effects.
OMEGA_NODES = np.array([0.0, 0.25, 0.5, 0.8, 1.2, 1.8, 2.8, 4.5, 8.0, 16.0])
KAPPA_NODES = np.array([0.0, 0.2, 0.4, 0.65, 1.0, 1.5, 2.2, 3.3, 5.0, 8.0, 14.0])


@dataclass(frozen=True, slots=True)
class Mode:
    """Prior scales of one kind of series, all relative to the pre level: `slope` is a week's standard deviation."""

    name: str
    omega: float
    kappa: float
    slope: float


TOTAL = Mode("total", omega=0.06, kappa=0.02, slope=0.008)
CONTROL = Mode("control", omega=0.06, kappa=0.016, slope=0.003)
RATE = Mode("rate", omega=0.03, kappa=0.01, slope=0.004)
CHECK = Mode("check", omega=0.03, kappa=0.01, slope=0.004)


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


def llq(data: Weekly, weeks: Weeks, mode: Mode, season: float = 0.0) -> Prediction:
    """Predict the post figure of `data` from its pre weeks.

    `season` is the prior standard deviation of the first annual harmonic, relative to the level (the second has half).
    Raises ValueError when no pre week carries data.
    """
    pre, post = weeks.split(data.n_weeks)
    series = data.standard(pre, post)
    known = pre[series.has_data[pre]]
    if known.size == 0:
        raise ValueError("no pre week has data for this figure: load more history or leave the figure out")
    columns, column_sds = _columns(data.n_weeks, float(known.mean()), mode, season)
    omega, kappa = (nodes.ravel() for nodes in np.meshgrid(mode.omega * OMEGA_NODES, mode.kappa * KAPPA_NODES))
    prior = np.outer(_half_t_mass(KAPPA_NODES), _half_t_mass(OMEGA_NODES)).ravel()
    variances = np.maximum(series.variances, VARIANCE_FLOOR)

    fitted = _fit(np.column_stack([series.values[known] - 1.0, columns[known]]), variances[known], known,
                  column_sds, kappa**2, omega**2)
    # Row 0 is the post figure, the others single weeks.
    rows = np.vstack([series.post_weights, np.eye(post.size) * series.scale])
    means, post_variances = _predict(fitted, rows, columns[post], variances[post] * series.has_data[post],
                                     (post - known[-1]).astype(np.float64), kappa**2, omega**2)
    weights = prior * np.exp(fitted.log_likelihood - fitted.log_likelihood.max())
    weights /= weights.sum()
    kept = weights > 1e-7
    weights, means, post_variances = weights[kept] / weights[kept].sum(), means[kept], post_variances[kept]
    sds = np.sqrt(post_variances)
    weekly_mean = weights @ means[:, 1:]
    weekly_sd = np.sqrt(weights @ (post_variances[:, 1:] + (means[:, 1:] - weekly_mean) ** 2))
    return Prediction(series.observed, weights, means[:, 0], sds[:, 0], weekly_mean, weekly_sd,
                      _table(weights, means[:, 0], sds[:, 0]), series.low, series.high, mode, season,
                      pre.size, post.size)


def _table(weights: FloatArray, means: FloatArray, sds: FloatArray) -> FloatArray:
    centre, narrowest = weights @ means, sds.min()
    reach = (np.abs(means - centre) + 9 * sds).max() / narrowest
    # Dense where the narrow normals are, sparse in the tails of the wide ones.
    x = centre + narrowest * np.sinh(np.linspace(-1, 1, 1001) * np.arcsinh(reach))
    return np.stack([x, _mixture_cdf(weights, means, sds, x)])


def _mixture_cdf(weights: FloatArray, means: FloatArray, sds: FloatArray, x: FloatArray) -> FloatArray:
    from scipy.special import ndtr  # slow to import: only when something is measured

    result: FloatArray = weights @ ndtr((x - means[:, None]) / sds[:, None])
    return result


class _Fit(NamedTuple):
    """The pre weeks given one grid cell, over all cells (first axis): coefficients and the random walk's last state."""

    log_likelihood: FloatArray
    coefficients: FloatArray
    coefficient_cov: FloatArray
    state: FloatArray
    """Per cell: the walk's filtered value for the series, then for each column of the design."""
    state_variance: FloatArray


def _fit(series: FloatArray, variances: FloatArray, at: IndexArray, column_sds: FloatArray,
         kappa_sq: FloatArray, omega_sq: FloatArray) -> _Fit:
    """Exact Gaussian integration by an augmented Kalman filter: one scalar walk, run on the series and on each column.

    Linear in the number of weeks, where a dense covariance is cubic (104 weeks: 2 ms against 20).
    Source: de Jong (1991), The diffuse Kalman filter, with proper priors on the coefficients.
    """
    n_cells, n_series = kappa_sq.size, series.shape[1]
    state, state_variance = np.zeros((n_cells, n_series)), np.zeros(n_cells)
    innovations = np.empty((at.size, n_cells, n_series))
    spreads = np.empty((at.size, n_cells))
    for week, gap in enumerate(np.diff(at, prepend=at[0])):
        state_variance = state_variance + kappa_sq * gap
        spreads[week] = state_variance + variances[week] + omega_sq
        innovations[week] = series[week] - state
        gain = state_variance / spreads[week]
        state = state + gain[:, None] * innovations[week]
        state_variance = state_variance * (1 - gain)
    scaled = (innovations / np.sqrt(spreads)[:, :, None]).transpose(1, 2, 0)
    products = scaled @ scaled.transpose(0, 2, 1)
    precision = products[:, 1:, 1:] + np.diag(column_sds**-2.0)
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    target = products[:, 1:, 0]
    coefficients = np.einsum("gij,gj->gi", covariance, target)
    misfit = products[:, 0, 0] - np.einsum("gi,gi->g", target, coefficients)
    log_det: FloatArray = np.log(spreads).sum(axis=0) + np.linalg.slogdet(precision).logabsdet
    log_likelihood = -0.5 * (log_det + misfit)
    return _Fit(log_likelihood, coefficients, covariance, state, state_variance)


def _predict(fitted: _Fit, rows: FloatArray, columns: FloatArray, variances: FloatArray, ahead: FloatArray,
             kappa_sq: FloatArray, omega_sq: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance, cells x rows, of weighted sums over the post weeks (`rows`: rows x weeks)."""
    row_sums = rows.sum(axis=1)
    exposure = rows @ columns - row_sums[:, None] * fitted.state[:, None, 1:]
    means = row_sums * (1.0 + fitted.state[:, :1]) + np.einsum("grp,gp->gr", exposure, fitted.coefficients)
    walk = np.einsum("rm,mk,rk->r", rows, np.minimum.outer(ahead, ahead), rows)
    spread = (np.einsum("grp,gpq,grq->gr", exposure, fitted.coefficient_cov, exposure, optimize=True)
              + np.outer(fitted.state_variance, row_sums**2) + np.outer(kappa_sq, walk)
              + np.outer(omega_sq, (rows**2).sum(axis=1)) + rows**2 @ variances)
    return means, spread


def _columns(n_weeks: int, centre: float, mode: Mode, season: float) -> tuple[FloatArray, FloatArray]:
    """Design (weeks x coefficients) and the prior standard deviation of each coefficient."""
    t = np.arange(n_weeks) - centre
    columns, sds = [np.ones(n_weeks), t], [LEVEL_SD, mode.slope]
    if season > 0:
        for harmonic in (1, 2):
            angle = 2 * np.pi * harmonic * t / YEAR_WEEKS
            columns += [np.cos(angle), np.sin(angle)]
            sds += [season / harmonic] * 2
    return np.column_stack(columns), np.array(sds)


def _half_t_mass(nodes: FloatArray) -> FloatArray:
    """Prior mass of each node's cell under a half-t with 3 degrees of freedom and scale 1."""
    edges = (nodes[1:] + nodes[:-1]) / 2
    x = edges / np.sqrt(3.0)
    below = 2 / np.pi * (x / (1 + x**2) + np.arctan(x))
    return np.diff(np.concatenate([[0.0], below, [1.0]]))
