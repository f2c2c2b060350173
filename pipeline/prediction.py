"""A prediction: a mixture of normals, with its distribution function, quantiles and draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.weekly import FloatArray


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
    method: str
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


def table_of(weights: FloatArray, means: FloatArray, sds: FloatArray) -> FloatArray:
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
