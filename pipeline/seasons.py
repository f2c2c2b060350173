"""The season of coming back, taken out by a clock: a day of the high season counts as more than a day, one of the low as less.

Under that clock both models of `returning` see customers without a season, and a forecast over the coming months is one over as
many days of that clock as they hold. One yearly wave, from visits by age and calendar month; below a year of history there is
none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pipeline.repeats import MONTH, History
from pipeline.weekly import FloatArray

YEAR = 365.25
MIN_MONTHS = 12
# Standard deviation of the wave's two parts before the data are seen.
PRIOR = 0.2
LARGEST = 0.6


@dataclass(frozen=True, slots=True)
class Clock:
    """Rates at day t are 1 + cosine x cos(2 pi t / year) + sine x sin(2 pi t / year) of the year's mean.

    `covariance` of the two; `past`: mean cosine and sine of the turns at which the history's visits were to come.
    """

    cosine: float = 0.0
    sine: float = 0.0
    covariance: FloatArray = field(default_factory=lambda: np.zeros((2, 2)), compare=False)
    past: FloatArray = field(default_factory=lambda: np.zeros(2), compare=False)

    @property
    def amplitude(self) -> float:
        """Of the wave, relative to the mean."""
        return float(np.hypot(self.cosine, self.sine))

    def reading(self, day: npt.ArrayLike) -> FloatArray:
        """The clock at the start of a day: the integral of the rate."""
        turn = 2 * np.pi / YEAR
        t = np.asarray(day, dtype=np.float64)
        return np.asarray(t + (self.cosine * np.sin(turn * t) - self.sine * np.cos(turn * t)) / turn, dtype=np.float64)

    def set(self, history: History) -> History:
        """The history with its days read off the clock, to whole days."""
        first, visits, known = (np.rint(self.reading(days)).astype(np.int64)
                                for days in (history.first, history.visit_day, np.array([history.known_day])))  # fmt: skip
        return replace(history, first=first, visit_day=np.minimum(visits, int(known[0]) - 1), known_day=int(known[0]))

    def months(self, start: int, months: float) -> float:
        """Months of this clock in so many real ones from a day on."""
        return float(self.reading(start + months * MONTH) - self.reading(float(start))) / MONTH

    def doubt(self, start: int, months: float) -> float:
        """Relative standard deviation of a forecast for so many months because the wave is not known for certain.

        A higher wave ahead is also a higher one in some of the past: only their difference moves the forecast.
        """
        turn = 2 * np.pi / YEAR * (start + np.linspace(0.0, months * MONTH, 49))
        beyond = np.array([np.cos(turn).mean(), np.sin(turn).mean()]) - self.past
        return float(np.sqrt(max(float(beyond @ self.covariance @ beyond), 0.0)))


def clock_of(history: History) -> Clock:
    """The season of a history; still where it is shorter than a year or nobody came back."""
    if history.months < MIN_MONTHS or not history.n_visits:
        return Clock()
    visits, exposure = _tables(history)
    middle = history.known_day - (np.arange(visits.shape[1]) + 0.5) * MONTH
    wave = np.stack([np.cos(2 * np.pi * middle / YEAR), np.sin(2 * np.pi * middle / YEAR)])
    counts = np.bincount(history.customer[history.is_visit]).astype(np.float64)
    # Visits of one customer come together: they tell less than those of as many customers.
    spread = float((counts**2).sum() / counts.sum())
    found = np.zeros(2)
    for _ in range(15):
        season = 1 + found @ wave
        rate = visits.sum(axis=1) / np.maximum((exposure * season).sum(axis=1), 1e-9)
        hoped = rate @ exposure  # by calendar month, without the season
        slope = wave @ (visits.sum(axis=0) / season - hoped)
        inner = (wave * (hoped / season)) @ wave.T
        by_age = (exposure * season) / np.maximum((exposure * season).sum(axis=1, keepdims=True), 1e-9)
        mean = by_age @ (wave / season).T
        inner = inner - (mean * visits.sum(axis=1)[:, None]).T @ mean + np.eye(2) * spread / PRIOR**2
        found = found + np.linalg.solve(inner, slope - found * spread / PRIOR**2)
        found = found * min(1.0, LARGEST / max(float(np.hypot(*found)), 1e-9))
    season = 1 + found @ wave
    rate = visits.sum(axis=1) / np.maximum((exposure * season).sum(axis=1), 1e-9)
    share = rate @ exposure * season
    return Clock(float(found[0]), float(found[1]), spread * np.linalg.inv(inner), wave @ share / max(float(share.sum()), 1e-9))


def _tables(history: History) -> tuple[FloatArray, FloatArray]:
    """Visits and customer-months by month of age and month of the calendar, the latest first."""
    n = int(history.months) + 1
    age = ((history.visit_day - history.first[history.customer]) / MONTH).astype(np.int64)
    back = ((history.known_day - 0.5 - history.visit_day) / MONTH).astype(np.int64)
    cell = (age * n + back)[history.is_visit]
    visits = np.bincount(cell, minlength=n * n).reshape(n, n).astype(np.float64)
    days, count = np.unique(history.first, return_counts=True)
    # An age month ends `ends` calendar months before what is known: it lies in two of them.
    ends = (history.known_day - days)[:, None] / MONTH - np.arange(1, n + 1)
    later = np.floor(ends).astype(np.int64)
    part = ends - later
    exposure = np.zeros(n * n)
    for at, share in ((later, 1 - part), (later + 1, part)):
        kept = (at >= 0) & (at < n)
        ages = np.broadcast_to(np.arange(n), at.shape)
        exposure += np.bincount((ages * n + at)[kept], weights=(share * count[:, None])[kept], minlength=n * n)
    return visits, exposure.reshape(n, n)
