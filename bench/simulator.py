"""Simulated businesses with launches whose true effect is known.

Demand is made day by day: weekday profile, growth, a yearly wave, holidays, slow autocorrelated noise, a random walk,
gamma-Poisson counts. Booking, show, paid rates and the mean check drift slowly; checks are heavy-tailed (lognormal);
visits come days after the lead (`Late`), so that an early `as_of` sees part of them. An untreated control shares growth,
season, holidays and slow noise, and has noise of its own. A launch multiplies volume, booking, show or check from its first
day on; its week is the washout. Everything is vectorised over launches and seeded by the generator that is handed in.

Arrays are launches x weeks unless said otherwise; the first week starts on a Monday at a random day of the year.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.effects import Funnel
from pipeline.weekly import FloatArray, Weeks

CountArray = npt.NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)
MONTH_DAYS = 365.25 / 12
YEAR_DAYS = 365
N_WASHOUT = 1
# First day of the year (0 = 1 January), days, factor on demand. Nobody tells the estimator of these.
HOLIDAYS = (
    (53, 1, 0.6), (58, 8, 1.25), (66, 1, 0.6), (120, 3, 0.75), (128, 2, 0.75), (162, 1, 0.7), (307, 2, 0.75), (351, 12, 1.2),
)  # fmt: skip
# The business is closed and says so: its weeks are left out on both sides.
CLOSED = (0, 4, 0.2)
# Payments drawn at a time: 16 MB of checks.
CHECKS_AT_ONCE = 2_000_000
MAX_DELAY_DAYS = 90


@dataclass(frozen=True, slots=True)
class Channel:
    """A source of leads: its share at the launch date, its booking rate relative to the whole, and how its share moves."""

    share: float
    booking: float = 1.0
    share_growth: float = 0.0
    """Relative change of the share a week (before all shares are brought back to 1)."""


@dataclass(frozen=True, slots=True)
class Business:
    """A salon-like business; the defaults are the plain case of docs/validation.md."""

    leads_a_month: float = 1500.0
    """Mean demand at the launch date."""
    growth: float = 0.0
    """Relative growth of demand a week."""
    season: float = 0.0
    """Amplitude of the yearly wave (the half-yearly one has a quarter of it); its phase is random."""
    wander: float = 0.0
    """Standard deviation a week of a random walk in log demand."""
    slow: float = 0.05
    """Standard deviation of the slow noise of demand; autocorrelation `memory` from week to week."""
    memory: float = 0.8
    overdispersion: float = 0.07
    """Coefficient of variation of the gamma that multiplies a week's Poisson mean (independent from day to day)."""
    weekdays: tuple[float, ...] = (0.9, 1.0, 1.0, 1.05, 1.25, 1.1, 0.7)
    has_holidays: bool = True
    booking: tuple[float, float] = (0.35, 0.45)
    """A business's booking rate is drawn from this range."""
    show: float = 0.75
    paid: float = 0.95
    check: float = 3000.0
    check_sigma: float = 0.9
    """Of the log of a payment: at .9 the standard deviation is 112 % of the mean."""
    booking_drift: float = 0.03
    """Standard deviation of the slow log noise of the booking rate; likewise for the next three."""
    show_drift: float = 0.02
    paid_drift: float = 0.005
    check_drift: float = 0.02
    channels: tuple[Channel, ...] = (Channel(1.0),)
    control: float | None = None
    """Leads of the untreated control relative to the treated; None: there is none."""
    control_noise: float = 0.04
    """Standard deviation of the control's own slow noise."""
    delay_days: float = 5.0
    """Median of the days from lead to visit (lognormal, `delay_sigma`), cut at 90."""
    delay_sigma: float = 1.0


@dataclass(frozen=True, slots=True)
class Lift:
    """What a launch multiplies from its first day on. `delay` below 1: customers come sooner, not more of them."""

    volume: float = 1.0
    booking: float = 1.0
    show: float = 1.0
    check: float = 1.0
    delay: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Expected figure of each week without the launch, and what the launch added to it in expectation.

    Of the process claim: given the leads that came. Of the total claim: given the demand there was.
    """

    without: FloatArray
    added: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Launches:
    """Simulated launches of one kind. `daily_leads` and `daily_visits`: launches x days, by the day of the lead."""

    business: Business
    lift: Lift
    n_pre: int
    n_post: int
    leads: FloatArray
    booked: FloatArray
    visited: FloatArray
    paid: FloatArray
    revenue: FloatArray
    revenue_sq: FloatArray
    control: FloatArray | None
    by_channel: FloatArray
    """Leads, launches x weeks x channels; likewise the booked ones."""
    booked_by_channel: FloatArray
    left_out: npt.NDArray[np.bool_]
    daily_leads: CountArray
    daily_visits: CountArray
    truth: Mapping[tuple[str, str], Truth] = field(default_factory=dict)
    """By claim ("process", "total") and figure ("visits", "revenue")."""

    @property
    def n(self) -> int:
        """How many."""
        return len(self.leads)

    @property
    def launch_day(self) -> int:
        """Position of the launch in the daily series."""
        return 7 * self.n_pre

    def funnel(self, at: int, *, has_money: bool = True) -> Funnel:
        """Weekly statistics of one launch."""
        money = (self.paid[at], self.revenue[at], self.revenue_sq[at]) if has_money else (None, None, None)
        return Funnel(self.leads[at], self.visited[at], self.booked[at], *money)

    def weeks(self, at: int, *, max_post: int | None = None) -> Weeks:
        """Which weeks of one launch count."""
        return Weeks(self.n_pre, N_WASHOUT, self.left_out[at], max_post)

    def sources(self, at: int) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Leads and booked leads a week by channel."""
        n_channels = self.by_channel.shape[2]
        return {f"channel {k}": (self.by_channel[at, :, k], self.booked_by_channel[at, :, k]) for k in range(n_channels)}


def simulate(business: Business, n: int, n_pre: int, n_post: int, lift: Lift, rng: np.random.Generator,
             later: Sequence[tuple[int, Lift]] = ()) -> Launches:
    """`n` launches after `n_pre` weeks; the launch week is the washout, `n_post` weeks follow it. `later`: what multiplies the
    same leads from another week of the series on."""
    n_weeks = n_pre + N_WASHOUT + n_post
    is_launched = np.arange(n_weeks) >= n_pre
    shared, closed = _shared_demand(business, n, n_pre, n_weeks, rng)
    daily_mean = business.leads_a_month / MONTH_DAYS * np.exp(shared) * _gamma(business, shared.shape, rng)
    shares = _shares(business, n_pre, n_weeks)
    volume = np.where(is_launched, lift.volume, 1.0)
    lifts = np.where(is_launched[:, None], _row(lift), 1.0)
    for week, more in later:
        is_later = np.arange(n_weeks) >= week
        volume = np.where(is_later, more.volume, 1.0) * volume
        lifts = np.where(is_later[:, None], _row(more), 1.0) * lifts
    expected = daily_mean[:, :, None] * np.repeat(shares, 7, axis=0)  # launches x days x channels, without the launch
    leads = rng.poisson(expected * np.repeat(volume, 7)[:, None])

    before, after = _rates(business, n, n_weeks, lifts, rng)
    booked = rng.binomial(leads, np.repeat(after.booking, 7, axis=1))
    visited = rng.binomial(booked, np.repeat(after.show, 7, axis=1)[:, :, None])
    paid = rng.binomial(_weekly(visited.sum(axis=2)), after.paid)
    revenue, revenue_sq = _payments(business, paid, after.check, rng)
    control = None
    if business.control is not None:
        own = np.repeat(_slow(n, n_weeks, business.control_noise, business.memory, rng), 7, axis=1)
        size = business.control * business.leads_a_month / MONTH_DAYS
        control = _weekly(rng.poisson(size * np.exp(shared + own) * _gamma(business, shared.shape, rng))).astype(np.float64)

    by_channel, weekly_mean = _weekly(leads).astype(np.float64), _weekly(expected)
    truth = {
        ("process", figure): _truth(by_channel, by_channel, before.worth(figure), after.worth(figure))
        for figure in ("visits", "revenue")
    } | {
        ("total", figure): _truth(weekly_mean, weekly_mean * volume[:, None], before.worth(figure), after.worth(figure))
        for figure in ("visits", "revenue")
    }
    booked_by_channel = _weekly(booked).astype(np.float64)
    return Launches(
        business, lift, n_pre, n_post, by_channel.sum(axis=2), booked_by_channel.sum(axis=2),
        _weekly(visited.sum(axis=2)).astype(np.float64), paid.astype(np.float64), revenue, revenue_sq, control,
        by_channel, booked_by_channel, closed, leads.sum(axis=2), visited.sum(axis=2), truth,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """The visits of launches by the days they came after the lead: launches x days x delays."""

    launches: Launches
    visits: CountArray

    def within(self, horizon_days: int) -> FloatArray:
        """Visits a week that came within the horizon, however late they were heard of."""
        return _weekly(self.visits[:, :, : horizon_days + 1].sum(axis=2)).astype(np.float64)

    def seen(self, as_of_day: int) -> FloatArray:
        """Visits a week that had happened before day `as_of_day` of the series."""
        day, delay = np.ogrid[: self.visits.shape[1], : self.visits.shape[2]]
        return _weekly((self.visits * (day + delay < as_of_day)).sum(axis=2)).astype(np.float64)


def watched(launches: Launches, rng: np.random.Generator) -> Late:
    """The same launches with the day of every visit."""
    is_post = np.arange(launches.daily_visits.shape[1]) >= launches.launch_day
    plain, lifted = (_delays(launches.business, factor) for factor in (1.0, launches.lift.delay))
    return Late(launches, rng.multinomial(launches.daily_visits, np.where(is_post[:, None], lifted, plain)))


def _delays(business: Business, factor: float) -> FloatArray:
    """Probability of each delay in days, 0 to 90; who would come later comes on day 90."""
    from scipy.special import ndtr  # slow to import: only when delays are wanted

    edges = np.log(np.arange(1, MAX_DELAY_DAYS + 1) / (business.delay_days * factor)) / business.delay_sigma
    return np.diff(np.concatenate([[0.0], ndtr(edges), [1.0]]))


def _shared_demand(business: Business, n: int, n_pre: int, n_weeks: int,
                   rng: np.random.Generator) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Log demand relative to its mean, launches x days, that treated and control have in common; and the closed weeks."""
    day = np.arange(7 * n_weeks)
    year_day = (rng.integers(0, YEAR_DAYS, n)[:, None] + day) % YEAR_DAYS
    angle, phase = 2 * np.pi * year_day / YEAR_DAYS, rng.uniform(0, 2 * np.pi, (2, n, 1))
    wave = business.season * (np.sin(angle + phase[0]) + np.sin(2 * angle + phase[1]) / 4)
    walk = np.cumsum(rng.normal(0, business.wander, (n, n_weeks)), axis=1) if business.wander else np.zeros((n, n_weeks))
    weekly = walk - walk[:, n_pre : n_pre + 1] + _slow(n, n_weeks, business.slow, business.memory, rng)
    weekdays = np.array(business.weekdays) / np.mean(business.weekdays)
    shared = np.log1p(wave) + np.log1p(business.growth) * (day / 7 - n_pre) + np.repeat(weekly, 7, axis=1)
    shared += np.log(np.tile(weekdays, n_weeks))
    closed = np.zeros((n, n_weeks), dtype=np.bool_)
    if business.has_holidays:
        for first, n_days, factor in (*HOLIDAYS, CLOSED):
            shared += np.log(factor) * ((year_day - first) % YEAR_DAYS < n_days)
        is_closed = np.less((year_day - CLOSED[0]) % YEAR_DAYS, CLOSED[1])
        closed = is_closed.reshape(n, n_weeks, 7).any(axis=2)
    return shared, closed


def _slow(n: int, n_weeks: int, spread: float, memory: float, rng: np.random.Generator) -> FloatArray:
    """Stationary autocorrelated noise with the standard deviation `spread`."""
    noise = rng.normal(0, spread, (n, n_weeks))
    for week in range(1, n_weeks):
        noise[:, week] = memory * noise[:, week - 1] + np.sqrt(1 - memory**2) * noise[:, week]
    return noise


def _gamma(business: Business, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Daily factors with mean 1 whose week has the coefficient of variation `overdispersion`."""
    order = 1 / (7 * business.overdispersion**2)
    return rng.gamma(order, 1 / order, shape)


def _shares(business: Business, n_pre: int, n_weeks: int) -> FloatArray:
    """Share of each channel, weeks x channels."""
    week = np.arange(n_weeks)[:, None] - n_pre
    raw = np.array([channel.share for channel in business.channels])
    raw = raw * (1 + np.array([channel.share_growth for channel in business.channels])) ** week
    return np.asarray(raw / raw.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Rates:
    """Booking is launches x weeks x channels, the others launches x weeks."""

    booking: FloatArray
    show: FloatArray
    paid: FloatArray
    check: FloatArray

    def worth(self, figure: str) -> FloatArray:
        """What one lead brings in expectation."""
        visits = self.booking * self.show[:, :, None]
        return visits if figure == "visits" else visits * (self.paid * self.check)[:, :, None]


def _row(lift: Lift) -> FloatArray:
    return np.array([lift.booking, lift.show, lift.check])


def _rates(business: Business, n: int, n_weeks: int, lifts: FloatArray,
           rng: np.random.Generator) -> tuple[_Rates, _Rates]:
    """Rates without and with the launch; `lifts`: weeks x (booking, show, check)."""
    def drifting(spread: float) -> FloatArray:
        return np.exp(_slow(n, n_weeks, spread, business.memory, rng))

    own = rng.uniform(*business.booking, (n, 1)) * drifting(business.booking_drift)
    booking = own[:, :, None] * np.array([channel.booking for channel in business.channels])
    show = business.show * drifting(business.show_drift)
    paid = np.minimum(business.paid * drifting(business.paid_drift), 0.99)
    check = business.check * drifting(business.check_drift)
    plain = _Rates(np.minimum(booking, 0.98), np.minimum(show, 0.98), paid, check)
    with_launch = np.minimum(booking * lifts[:, 0, None], 0.98), np.minimum(show * lifts[:, 1], 0.98)
    return plain, _Rates(*with_launch, paid, check * lifts[:, 2])


def _payments(business: Business, paid: CountArray, check: FloatArray,
              rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Sum and sum of squares of lognormal payments with the mean `check`, for `paid` payments a week."""
    sums, squares = np.zeros(paid.size), np.zeros(paid.size)
    n, mean = paid.ravel(), check.ravel()
    ends = np.cumsum(n)
    first = 0
    while first < n.size:
        start = ends[first] - n[first]
        last = max(int(np.searchsorted(ends, start + CHECKS_AT_ONCE, side="right")), first + 1)
        drawn = rng.lognormal(-(business.check_sigma**2) / 2, business.check_sigma, int(ends[last - 1] - start))
        cells = first + np.flatnonzero(n[first:last])
        if cells.size:
            at = (ends - n)[cells] - start
            sums[cells], squares[cells] = np.add.reduceat(drawn, at), np.add.reduceat(drawn**2, at)
        first = last
    return (sums * mean).reshape(paid.shape), (squares * mean**2).reshape(paid.shape)


def _truth(without: FloatArray, with_launch: FloatArray, worth: FloatArray, worth_launched: FloatArray) -> Truth:
    base = (without * worth).sum(axis=2)
    return Truth(base, (with_launch * worth_launched).sum(axis=2) - base)


def _weekly(daily: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Sums of seven days along the second axis."""
    n, n_days, *rest = daily.shape
    return np.asarray(daily.reshape(n, n_days // 7, 7, *rest).sum(axis=2), dtype=daily.dtype)
