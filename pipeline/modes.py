"""Modes: what is assumed about a kind of series before its own weeks speak, and the grid it is integrated on (`llq`).

docs/method.md, section 3, has the scales and where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pipeline.weekly import FloatArray

LEVEL_SD = 2.0
# Grid nodes in units of the calm prior's scale; the last ones sit where the wildest temperament still has mass.
OMEGA_NODES = np.array([0.0, 0.25, 0.5, 0.8, 1.2, 1.8, 2.8, 4.5, 8.0, 16.0])
KAPPA_NODES = np.array([0.0, 0.2, 0.4, 0.65, 1.0, 1.5, 2.2, 3.3, 5.0, 8.0, 14.0, 25.0])

# Prior weights of the temperaments. Under half a year of history nothing can speak for a wave, and a weight that is not
# earned would only blind small shops; from half a year on real rates were restless often enough to give them more.
LONG_WEEKS = 26
WEIGHTS = (0.985, 0.010, 0.005)
RATE_WEIGHTS = (0.80, 0.14, 0.06)
# Another branch goes its own way more often than a total does, and eight weeks can show it.
CONTROL_WEIGHTS = (0.93, 0.05, 0.02)
# From half a year on the weeks begin to say whether there is a season at all: this share of the prior says "hardly any",
# a tenth of the one told.
FAINT_SHARE, FAINT_SEASON = 0.3, 0.1


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
    can_be_faint: bool = False
    """Whether the season told of may be hardly there: from half a year of history on the weeks can tell."""

    def tempers(self, season: float, n_pre_weeks: int) -> tuple[Temper, ...]:
        """All temperaments, calm first; each knows at least the season it is told of."""
        calm = Temper(self.omega, self.kappa, self.slope, season)
        faint = (calm._replace(season=FAINT_SEASON * season),) if self._is_faint(n_pre_weeks) else ()
        return (calm, *faint, *(one._replace(season=max(one.season, season)) for one in self.restless))

    def prior(self, n_pre_weeks: int) -> FloatArray:
        """Prior weights of the temperaments."""
        calm, *restless = (self.long_weights if n_pre_weeks >= LONG_WEEKS else self.short_weights)[: 1 + len(self.restless)]
        shares = (1 - FAINT_SHARE, FAINT_SHARE) if self._is_faint(n_pre_weeks) else (1.0,)
        weights = np.array([*(calm * share for share in shares), *restless])
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def _is_faint(self, n_pre_weeks: int) -> bool:
        return self.can_be_faint and n_pre_weeks >= LONG_WEEKS


_RESTLESS = (Temper(0.06, 0.025, 0.004, 0.15), Temper(0.10, 0.06, 0.004, 0.30))
TOTAL = Mode("total", 0.06, 0.02, 0.008, (Temper(0.10, 0.05, 0.010, 0.30), Temper(0.20, 0.12, 0.020, 0.60)), can_be_faint=True)
_OWN_WAY = (Temper(0.10, 0.04, 0.004, 0.10), Temper(0.15, 0.08, 0.008, 0.20))
CONTROL = Mode("control", 0.06, 0.016, 0.003, _OWN_WAY, CONTROL_WEIGHTS, CONTROL_WEIGHTS)
RATE = Mode("rate", 0.03, 0.01, 0.004, _RESTLESS, RATE_WEIGHTS)
CHECK = Mode("check", 0.03, 0.01, 0.004, _RESTLESS, RATE_WEIGHTS)


class Grid(NamedTuple):
    """The quadrature of one mode: variances by cell, log prior mass (temperaments x cells), prior sd of each coefficient
    (temperaments x columns)."""

    omega_sq: FloatArray
    kappa_sq: FloatArray
    log_mass: FloatArray
    sds: FloatArray


@lru_cache(maxsize=256)
def grid(mode: Mode, season: float, n_pre_weeks: int) -> Grid:
    """The nodes where the two unknown variances are integrated, with the prior of each temperament."""
    tempers = mode.tempers(season, n_pre_weeks)
    n_columns = 6 if any(one.season > 0 for one in tempers) else 2
    omega, kappa = (nodes.ravel() for nodes in np.meshgrid(mode.omega * OMEGA_NODES, mode.kappa * KAPPA_NODES))
    masses = [np.outer(_half_t_mass(KAPPA_NODES * mode.kappa / one.kappa), _half_t_mass(OMEGA_NODES * mode.omega / one.omega))
              for one in tempers]
    log_mass = np.log(np.maximum(np.stack([mass.ravel() for mass in masses]), 1e-300))
    return Grid(omega**2, kappa**2, log_mass, np.stack([_coefficient_sds(one, n_columns) for one in tempers]))


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
