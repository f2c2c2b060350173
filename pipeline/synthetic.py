"""Panel estimators: a launch in some branches, measured against others that did without it.

Difference-in-differences, synthetic control and synthetic difference-in-differences on an array of units x periods. The
treated units are taken as one, their mean; every other unit is a donor. The inference is a placebo in space: each donor
plays the treated one, against the other donors.

Placebo errors are compared in units of each series' own pre-period scatter, because branches differ in size. On simulated
branches (sizes spread by a factor of 2 to 3, slow drifts, 25 donors, 26 + 8 weeks, n = 400, nominal 5 %) empty launches are
called an effect in 3-5 % of cases with one treated unit and in 5-7 % with two or three. The largest branch of all, which is
like no donor, has 7-11 %; with errors in leads instead of scatter it had 29-43 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.effects import Interval
from pipeline.weekly import FloatArray, IndexArray

# Below this synthetic control brings nothing over a plain ratio and has no valid standard error.
MIN_DONORS = 5
# As for any control: shorter and the weights follow the noise.
MIN_PRE = 8
# One in twenty: with fewer placebos than 19 a permutation cannot reach 5 %.
ODDS = 20
# Relative to the level of a series.
ROUNDING = 1e-12

Method = Literal["did", "synthetic_control", "synthetic_did"]


@dataclass(frozen=True, slots=True)
class Inference:
    """Where p-value and interval come from.

    "placebo_in_space": rank among the donors' placebo effects. "placebo_variance": their variance and a t quantile, or that
    rank where it is more cautious; with under 19 donors the interval rests on errors of a normal shape. "none": under five
    donors or eight pre periods. No p-value is ever below `smallest_p` = 1 / (donors + 1); while that is above 5 % (under 19
    donors) `can_prove` is False, whatever was measured.
    """

    code: Literal["placebo_in_space", "placebo_variance", "none"]
    n_placebos: int
    smallest_p: float

    @property
    def can_prove(self) -> bool:
        """Whether a result can be called proven at 5 %."""
        return self.code != "none" and self.smallest_p <= 1 / ODDS


@dataclass(frozen=True, slots=True, eq=False)
class PanelEffect:
    """Mean effect on the treated.

    `att`, its 95 % `interval` and the counterfactual `expected` are per treated unit and period, `total` over all of both.
    `weights`: one number a unit of the panel, 0 for the treated, sum 1. `observed` and `counterfactual`: the mean treated
    unit by period, pre periods too. Without inference `interval` and `p_value` are None; with ranks of fewer than 19
    placebos there is a p-value but no 95 % interval.
    """

    method: Method
    att: float
    expected: float
    total: float
    interval: Interval | None
    p_value: float | None
    weights: FloatArray
    observed: FloatArray
    counterfactual: FloatArray
    n_donors: int
    inference: Inference

    @property
    def relative(self) -> float | None:
        """`att` as a share of the counterfactual, None when that is not positive."""
        return self.att / self.expected if self.expected > 0 else None

    @property
    def relative_interval(self) -> Interval | None:
        """`interval` as a share of the counterfactual, None when that is not positive."""
        return self.interval.scaled(1 / self.expected) if self.interval is not None and self.expected > 0 else None


class _Fit(NamedTuple):
    """Donor weights, and by period observed minus counterfactual of the target."""

    weights: FloatArray
    gap: FloatArray


_Fitter = Callable[[FloatArray, FloatArray, int], _Fit]


def difference_in_differences(panel: npt.ArrayLike, treated: Sequence[int], n_pre: int, *,
                              is_ratio: bool = False) -> PanelEffect:
    """Change of the treated minus change of the donors.

    `is_ratio`: the treated would have changed by the same share as the sum of the donors, instead of by the same amount as
    their mean. With one to four donors an estimate without inference. Raises ValueError for a panel that cannot be used.
    """
    data = _Panel.of(panel, treated, n_pre)
    if is_ratio and not (data.target[:n_pre].sum() > 0 and data.donors[:n_pre].sum() > 0):
        raise ValueError("panel: a ratio needs a pre period above zero on both sides; use is_ratio=False")
    return data.measured("did", _fit_ratio if is_ratio else _fit_did)


def synthetic_control(panel: npt.ArrayLike, treated: Sequence[int], n_pre: int, *, is_demeaned: bool = True) -> PanelEffect:
    """The convex combination of donors that followed the treated before the launch.

    Demeaned, the combination follows its movements and may run at another level; plain, it must meet the level too.
    Raises ValueError for a panel that cannot be used, with fewer than five donors or eight pre periods.
    Source: Abadie, Diamond, Hainmueller (2010); demeaned: Doudchenko and Imbens (2016), Ferman and Pinto (2021).
    """
    data = _Panel.of(panel, treated, n_pre)
    data.refuse_small("synthetic control")
    return data.measured("synthetic_control", _fit_demeaned if is_demeaned else _fit_plain)


def synthetic_did(panel: npt.ArrayLike, treated: Sequence[int], n_pre: int) -> PanelEffect:
    """Difference-in-differences with weights on donors and on pre periods.

    Unit weights are pulled towards equal ones by the donors' own noise, time weights pick the pre periods that predict the
    post period of the donors. Raises as `synthetic_control`. Source: Arkhangelsky, Athey, Hirshberg, Imbens, Wager (2021).
    """
    data = _Panel.of(panel, treated, n_pre)
    data.refuse_small("synthetic difference-in-differences")
    n_cells = data.treated.size * (data.target.size - n_pre)
    noise = float(np.diff(data.donors[:n_pre], axis=0).std(ddof=1))

    def fit(target: FloatArray, donors: FloatArray, n_pre: int) -> _Fit:
        return _fit_synthetic_did(target, donors, n_pre, n_cells**0.25 * noise, 1e-6 * noise)

    return data.measured("synthetic_did", fit)


def simplex_least_squares(columns: FloatArray, target: FloatArray, ridge: float = 0.0) -> FloatArray:
    """Weights w >= 0 with sum 1 that minimise |columns w - target|^2 + ridge |w|^2; exact up to rounding, deterministic.

    The sum is no penalty: with P = columns - target, non-negative u that minimise |P u|^2 + (sum u - 1)^2 are a multiple of
    w for any scale of P, since for u = s w the best s leaves |P w|^2 / (1 + |P w|^2). So one non-negative least squares
    solves it. Where many weights fit equally well (equal columns, more columns than rows and no ridge) it returns one.
    """
    from scipy.optimize import nnls  # slow to import: only when something is measured

    misfits = columns - target[:, None]
    if ridge > 0:
        misfits = np.vstack([misfits, np.sqrt(ridge) * np.eye(columns.shape[1])])
    size = np.sqrt((misfits**2).sum(axis=0).max())
    if not size > 0:
        return np.full(columns.shape[1], 1 / columns.shape[1])
    rows = np.vstack([np.ones(columns.shape[1]), misfits / size])
    found, _ = nnls(rows, np.eye(1, rows.shape[0])[0])
    return np.asarray(found / found.sum(), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    """A checked panel: the mean treated series, and the donors as periods x units."""

    treated: IndexArray
    target: FloatArray
    donors: FloatArray
    donor_at: IndexArray
    n_pre: int

    @classmethod
    def of(cls, panel: npt.ArrayLike, treated: Sequence[int], n_pre: int) -> _Panel:
        values = np.asarray(panel, dtype=np.float64)
        if values.ndim != 2:
            raise ValueError(f"panel: {values.ndim} dimensions; give an array of units x periods")
        n_units, n_periods = values.shape
        bad = np.argwhere(~np.isfinite(values))
        if bad.size:
            raise ValueError(f"panel: unit {bad[0][0] + 1}, period {bad[0][1] + 1} is not a finite number; check the source of "
                             "that period or leave the unit out")
        at = np.unique(np.asarray(treated, dtype=np.intp))
        if at.size == 0 or at.size != len(treated) or at[0] < 0 or at[-1] >= n_units:
            raise ValueError(f"panel: treated must be different positions from 0 to {n_units - 1}, at least one")
        if at.size == n_units:
            raise ValueError("panel: every unit is treated; leave at least one without the launch as a donor")
        if not 1 <= n_pre < n_periods:
            raise ValueError(f"panel: {n_pre} pre periods of {n_periods}; leave at least one on each side of the launch")
        donor_at = np.setdiff1d(np.arange(n_units), at)
        return cls(at, values[at].mean(axis=0), values[donor_at].T, donor_at, n_pre)

    def refuse_small(self, what: str) -> None:
        n_donors = self.donor_at.size
        if n_donors < MIN_DONORS:
            raise ValueError(f"{what}: {n_donors} donors; with fewer than {MIN_DONORS} it brings nothing over a plain ratio and "
                             "has no valid standard error: measure the ratio to their sum instead")
        if self.n_pre < MIN_PRE:
            raise ValueError(f"{what}: {self.n_pre} pre periods; weights need at least {MIN_PRE}: load more history")

    def measured(self, method: Method, fit: _Fitter) -> PanelEffect:
        found = _rounded(fit, self.target, self.donors, self.n_pre)
        att = float(found.gap[self.n_pre:].mean())
        n_post = self.target.size - self.n_pre
        interval, p_value, inference = self._inferred(method, fit, found, att)
        counterfactual = self.target - found.gap
        expected = float(counterfactual[self.n_pre:].mean())
        weights = np.zeros(self.donor_at.size + self.treated.size)
        weights[self.donor_at] = found.weights
        return PanelEffect(method, att, expected, att * n_post * self.treated.size, interval, p_value, weights, self.target,
                           counterfactual, self.donor_at.size, inference)

    def _inferred(self, method: Method, fit: _Fitter, found: _Fit,
                  att: float) -> tuple[Interval | None, float | None, Inference]:
        n_donors, n_pre = self.donor_at.size, self.n_pre
        smallest_p = 1 / (n_donors + 1)
        if n_donors < MIN_DONORS or n_pre < MIN_PRE:
            return None, None, Inference("none", 0, smallest_p)
        placebos = np.empty(n_donors)
        for donor in range(n_donors):
            target, others = self.donors[:, donor], np.delete(self.donors, donor, axis=1)
            gap = _rounded(fit, target, others, n_pre).gap
            placebos[donor] = gap[n_pre:].mean() / _scatter(gap, target, others, n_pre)
        own_scatter = _scatter(found.gap, self.target, self.donors, n_pre)
        half_width, p_value = _from_ranks(placebos, att / own_scatter)
        inference = Inference("placebo_in_space", n_donors, smallest_p)
        if method == "synthetic_did":
            width, p = _from_variance(placebos, att / own_scatter)
            # The wider of both: the variance alone has 7-10 % false alarms where the placebos' tails are heavy.
            half_width = max(width, half_width) if np.isfinite(half_width) else width
            p_value, inference = max(p, p_value), Inference("placebo_variance", n_donors, smallest_p)
        reach = half_width * own_scatter
        return Interval(att, att - reach, att + reach) if np.isfinite(reach) else None, p_value, inference


def _rounded(fit: _Fitter, target: FloatArray, donors: FloatArray, n_pre: int) -> _Fit:
    """A fit whose gap holds no dust of rounding: units that are equal must not differ significantly."""
    weights, gap = fit(target, donors, n_pre)
    return _Fit(weights, np.where(np.abs(gap) > ROUNDING * np.abs(target).max(), gap, 0.0))


def _from_ranks(placebos: FloatArray, effect: float) -> tuple[float, float]:
    """Half-width of the effects that a permutation at 5 % does not reject, and its p-value for no effect."""
    sizes = np.sort(np.abs(placebos))[::-1]
    n_beyond = (sizes.size + 1) // ODDS
    half_width = float(sizes[n_beyond - 1]) if n_beyond else float("inf")
    return half_width, float((1 + np.count_nonzero(sizes >= abs(effect))) / (sizes.size + 1))


def _from_variance(placebos: FloatArray, effect: float) -> tuple[float, float]:
    from scipy.special import stdtr, stdtrit  # slow to import: only when something is measured

    n = placebos.size
    # Around zero, not around their mean: placebos whose errors share a sign are a warning, not a correction.
    error = max(float(np.sqrt((placebos**2).mean())), 1e-12)
    return float(stdtrit(n, 0.975)) * error, float(2 * stdtr(n, -abs(effect) / error))


def _scatter(gap: FloatArray, target: FloatArray, donors: FloatArray, n_pre: int) -> float:
    """The pre-period scatter an effect is compared to: of the fit, but at least half that of a line on the donors' mean.

    Many donors fit a short pre period perfectly: without the floor 8 pre weeks and 40 donors find 10 % of the launches worth
    +40 % instead of 63 %, and call 12 % of empty launches in three branches an effect instead of 5 %.
    """
    mean = donors[:n_pre].mean(axis=1)
    centred, series = mean - mean.mean(), target[:n_pre] - target[:n_pre].mean()
    square = float(centred @ centred)
    slope = float(centred @ series) / square if square > 0 else 0.0
    line = np.sqrt(((series - slope * centred) ** 2).sum() / (n_pre - 2))
    fitted = np.sqrt((gap[:n_pre] ** 2).mean())
    return float(max(fitted, line / 2, ROUNDING * np.abs(target).max(), np.finfo(np.float64).tiny))


def _fit_did(target: FloatArray, donors: FloatArray, n_pre: int) -> _Fit:
    n_donors = donors.shape[1]
    return _Fit(np.full(n_donors, 1 / n_donors), _demeaned(target, n_pre) - _demeaned(donors.mean(axis=1), n_pre))


def _fit_ratio(target: FloatArray, donors: FloatArray, n_pre: int) -> _Fit:
    pooled, pre = donors.sum(axis=1), donors[:n_pre].sum(axis=0)
    # A placebo donor may have no pre level to scale from: then nothing is expected of it.
    ratio = target[:n_pre].sum() / pre.sum() if pre.sum() > 0 else 0.0
    return _Fit(pre / (pre.sum() or 1.0), target - ratio * pooled)


def _fit_plain(target: FloatArray, donors: FloatArray, n_pre: int) -> _Fit:
    weights = simplex_least_squares(donors[:n_pre], target[:n_pre])
    return _Fit(weights, target - donors @ weights)


def _fit_demeaned(target: FloatArray, donors: FloatArray, n_pre: int) -> _Fit:
    return _fit_plain(_demeaned(target, n_pre), _demeaned(donors, n_pre), n_pre)


def _fit_synthetic_did(target: FloatArray, donors: FloatArray, n_pre: int, unit_ridge: float, time_ridge: float) -> _Fit:
    n_donors = donors.shape[1]
    centred = _demeaned(donors, n_pre)[:n_pre]
    units = simplex_least_squares(centred, _demeaned(target, n_pre)[:n_pre], unit_ridge**2 * n_pre)
    pre, post = donors[:n_pre].T, donors[n_pre:].mean(axis=0)
    times = simplex_least_squares(pre - pre.mean(axis=0), post - post.mean(), time_ridge**2 * n_donors)
    gap = target - donors @ units
    return _Fit(units, gap - times @ gap[:n_pre])


def _demeaned(series: FloatArray, n_pre: int) -> FloatArray:
    return np.asarray(series - series[:n_pre].mean(axis=0))
