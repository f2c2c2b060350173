"""BG/NBD and Gamma-Gamma by maximum likelihood: how often a customer with this past comes back, and what a visit is worth.

BG/NBD: Fader, Hardie, Lee (2005), "Counting Your Customers the Easy Way", Marketing Science 24(2), equations 6, 9 and 10. A
customer buys at a gamma(r, alpha) rate while alive and leaves after any purchase with a beta(a, b) chance. Gamma-Gamma: Fader,
Hardie (2013), "The Gamma-Gamma Model of Monetary Value": checks of a customer vary around a mean that is itself gamma. Both are
held to the published figures of the CDNOW customers in tests/pipeline/test_bgnbd.py. Times may have any unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.weekly import FloatArray

Loss = Callable[[FloatArray], tuple[float, FloatArray]]
# Logarithms of parameters stay within these: beyond, the likelihood is flat and the model says nothing.
_WIDEST = 8.0
# A weak normal prior on log parameters (standard deviation 10): CDNOW's figures do not move by it in the third digit.
_PRIOR_SD = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class BgNbd:
    """Fitted parameters r, alpha, a, b; `covariance` of their logarithms."""

    r: float
    alpha: float
    a: float
    b: float
    covariance: FloatArray

    @property
    def logs(self) -> FloatArray:
        """log r, log alpha, log a, log b."""
        return np.log([self.r, self.alpha, self.a, self.b])

    def draws(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Parameters (n, 4) in their normal approximation on the log scale."""
        found = rng.multivariate_normal(self.logs, self.covariance, n, method="eigh", check_valid="ignore")
        return np.exp(np.clip(found, -_WIDEST, _WIDEST))


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """Fitted parameters p, q, v of a visit's worth."""

    p: float
    q: float
    v: float

    @property
    def mean(self) -> float | None:
        """Mean worth of a visit of a new customer; None where the fitted tail is too heavy to have one."""
        return self.p * self.v / (self.q - 1) if self.q > 1 else None


def fit_bgnbd(x: FloatArray, t_x: FloatArray, age: FloatArray, n: FloatArray | None = None) -> BgNbd | None:
    """Maximum likelihood. `x`: repeat visits, `t_x`: age at the last (0 without), `age`: watched for, `n`: customers of each row.

    None where the likelihood has no inner maximum: these customers do not tell the parameters.
    """
    weights = np.ones_like(x) if n is None else n
    scale = 1.0 / max(float(age.max()), 1e-9)  # alpha of order 1 whatever the unit
    found = _minimum(_bgnbd_loss(x, t_x * scale, age * scale, weights), np.log([0.5, 0.3, 0.8, 2.5]))
    if found is None:
        return None
    logs, covariance = found
    r, alpha, a, b = (float(value) for value in np.exp(logs))
    return BgNbd(r, alpha / scale, a, b, covariance)


def expected_repeats(parameters: FloatArray, t: FloatArray) -> FloatArray:
    """Visits of a new customer by time t after the first: (..., times) for parameters (..., 4); equation 9."""
    from scipy.special import hyp2f1

    r, alpha, a, b = (column[..., None] for column in np.moveaxis(parameters, -1, 0))
    a = np.where(np.abs(a - 1) < 1e-6, 1 + 1e-6, a)
    shrunk = (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t))
    return np.asarray((a + b - 1) / (a - 1) * (1 - shrunk), dtype=np.float64)


def expected_next(parameters: FloatArray, x: FloatArray, t_x: FloatArray, age: FloatArray, t: float) -> FloatArray:
    """Visits in the next `t` of customers with this past; equation 10. `parameters`: (4,)."""
    from scipy.special import hyp2f1

    r, alpha, a, b = parameters
    a = a if abs(a - 1) >= 1e-6 else 1 + 1e-6
    shrunk = ((alpha + age) / (alpha + age + t)) ** (r + x) * hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
    gone = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x), 0.0)
    return np.asarray((a + b + x - 1) / (a - 1) * (1 - shrunk) / (1 + gone), dtype=np.float64)


def fit_gamma_gamma(x: FloatArray, mean_worth: FloatArray) -> GammaGamma | None:
    """From customers with x > 0 repeat visits of a positive mean worth; None where they do not tell the parameters."""
    if x.size < 10 or (mean_worth <= 0).any():
        return None
    unit = float(mean_worth.mean())
    found = _minimum(_worth_loss(x, mean_worth / unit), np.log([5.0, 4.0, 0.5]))
    if found is None:
        return None
    p, q, v = (float(value) for value in np.exp(found[0]))
    return GammaGamma(p, q, v * unit)


def _bgnbd_loss(x: FloatArray, t_x: FloatArray, age: FloatArray, n: FloatArray) -> Loss:
    """Minus the logarithm of equation 6 and its gradient in log parameters, over rows that stand for n customers each."""
    from scipy.special import betaln, digamma, gammaln  # slow to import: only when something is forecast

    counts, place = np.unique(x, return_inverse=True)
    n_counts = np.bincount(place, weights=n)
    came = x > 0
    before_last = np.where(came, x - 1, 0.0)

    def loss(logs: FloatArray) -> tuple[float, FloatArray]:
        r, alpha, a, b = np.exp(logs)
        of_count = gammaln(r + counts) - gammaln(r) + r * logs[1] + betaln(a, b + counts) - betaln(a, b)
        log_age, log_last = np.log(alpha + age), np.log(alpha + t_x)
        alive = -(r + x) * log_age
        gone = np.where(came, logs[2] - np.log(b + before_last) - (r + x) * log_last, -np.inf)
        either = np.logaddexp(alive, gone)
        p_gone = np.exp(gone - either) * n
        p_alive = n - p_gone
        both = digamma(a + b) - digamma(a + b + counts)
        gradient = np.array([
            n_counts @ (digamma(r + counts) - digamma(r) + logs[1]) - p_alive @ log_age - p_gone @ log_last,
            n.sum() * r / alpha - ((r + x) * (p_alive / (alpha + age) + p_gone / (alpha + t_x))).sum(),
            n_counts @ both + p_gone.sum() / a,
            n_counts @ (digamma(b + counts) - digamma(b) + both) - (p_gone / (b + before_last)).sum(),
        ])  # fmt: skip
        value = n_counts @ of_count + n @ either
        return float(-value + 0.5 * (logs**2).sum() / _PRIOR_SD**2), -gradient * np.exp(logs) + logs / _PRIOR_SD**2

    return loss


def _worth_loss(x: FloatArray, worth: FloatArray) -> Loss:
    """Minus the log likelihood of Gamma-Gamma (equation 1a of the note) and its gradient in log parameters."""
    from scipy.special import betaln, digamma  # slow to import: only when something is forecast

    counts, place = np.unique(x, return_inverse=True)
    total, log_total = x * worth, np.log(x * worth)

    def loss(logs: FloatArray) -> tuple[float, FloatArray]:
        p, q, v = np.exp(logs)
        log_sum = np.log(total + v)
        value = -betaln(p * counts, q)[place] + q * logs[2] + p * x * log_total - np.log(worth) - (p * x + q) * log_sum
        both = digamma(p * counts + q)
        gradient = np.array([
            (x * ((both - digamma(p * counts))[place] + log_total - log_sum)).sum(),
            (both[place] - digamma(q) + logs[2] - log_sum).sum(),
            (q / v - (p * x + q) / (total + v)).sum(),
        ])  # fmt: skip
        return float(-value.sum() + 0.5 * (logs**2).sum() / _PRIOR_SD**2), -gradient * np.exp(logs) + logs / _PRIOR_SD**2

    return loss


def _minimum(loss: Loss, start: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Where a loss is least, and the inverse of its curvature there; None at the edge or without a bottom.

    Newton with halved steps: a few parameters need no library, and the curvature is wanted anyway.
    """
    at, (value, gradient) = start, loss(start)
    for _ in range(60):
        sizes, axes = np.linalg.eigh(_curvature(loss, at, gradient))
        step = -axes @ ((axes.T @ gradient) / np.maximum(np.abs(sizes), 1e-6))
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        for _ in range(12):
            further = np.clip(at + step, -_WIDEST, _WIDEST)
            new_value, new_gradient = loss(further)
            if new_value <= value:
                break
            step = step / 2
        else:
            break
        gain, at, value, gradient = value - new_value, further, new_value, new_gradient
        if gain < 1e-9 * (1 + abs(value)):
            break
    sizes, axes = np.linalg.eigh(_curvature(loss, at, gradient))
    if not np.isfinite(value) or (np.abs(at) > _WIDEST - 0.01).any() or sizes.min() <= 0:
        return None
    return at, (axes / sizes) @ axes.T


def _curvature(loss: Loss, at: FloatArray, gradient: FloatArray, step: float = 1e-5) -> FloatArray:
    found = np.array([(loss(at + move)[1] - gradient) / step for move in np.eye(at.size) * step])
    return np.asarray((found + found.T) / 2, dtype=np.float64)
