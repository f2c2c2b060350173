"""How customers come back: a history of purchases, and the cohort curve drawn from it.

The curve is the simple model: visits a customer makes in each month after the first payment, pooled over all customers who have
been watched through that month, and beyond what was watched a tail that falls by a stated factor a month. Its doubt comes from
resampling customers. Ages are months of 30.44 days since the customer's own first payment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.weekly import FloatArray

IntArray = npt.NDArray[np.int64]
MONTH = 365.25 / 12
# Resampled curves; percentiles of a forecast come from 20 times as many draws.
N_CURVES = 200
SEED = 6_021_023
# A month of age counts as watched when so many customer-months of it were.
MIN_EXPOSURE = 20.0
MIN_AGES = 3
# More customers than that are resampled in blocks of them: a block is as good as a customer there.
MAX_BLOCKS = 1_000
# A tail may halve within a month, and never grow.
LEAST_DECAY = 0.5
# Season and the like, before the history has shown any: the ladder's prior for less than a year.
SHOCK = 0.10
# Months in a row that share a shock: half a yearly wave.
SHARED_MONTHS = 6.0
# The history's first customers may be old ones whom nobody wrote down before: those first seen this early are left out.
WARM_UP_DAYS = 91


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Customers by the day of their first payment, and their later visits; days are counted since 1970, `known_day` exclusive.

    `first`, `amount`: one a customer. `customer`, `visit_day`, `visit_amount`: one a later day with a payment; where all that
    came that day was given back (`is_visit` False) the money counts, the visit does not. `is_of_lead`: it was paid for within the
    horizon of a lead of its own, not long after an old one. `n_unknown`: payments of nobody known.
    """

    first: IntArray
    amount: FloatArray
    customer: IntArray
    visit_day: IntArray
    visit_amount: FloatArray
    is_visit: npt.NDArray[np.bool_]
    is_of_lead: npt.NDArray[np.bool_]
    known_day: int
    n_unknown: int = 0

    @classmethod
    def of(cls, code: IntArray, day: IntArray, amount: FloatArray, known_day: int, n_unknown: int = 0, *,
           is_of_lead: npt.NDArray[np.bool_] | None = None) -> History:  # fmt: skip
        """From payments: customer's code, day, amount (below 0: given back). The order of the payments does not matter.

        `is_of_lead`: all of them unless given.
        """
        if not code.size:
            none = np.zeros(0, dtype=np.int64)
            no = np.zeros(0, dtype=np.bool_)
            return cls(none, np.zeros(0), none, none, np.zeros(0), no, no, known_day, n_unknown)
        order = np.lexsort((amount, day, code))
        of_lead = np.ones(code.size, dtype=np.bool_) if is_of_lead is None else is_of_lead[order]
        code, day, amount = code[order], day[order], amount[order]
        is_new = np.r_[True, (code[1:] != code[:-1]) | (day[1:] != day[:-1])]
        at = np.flatnonzero(is_new)
        code, day, total = code[at], day[at], np.add.reduceat(amount, at)
        is_visit = np.maximum.reduceat(amount, at) >= 0  # a day of refunds alone is no visit
        of_lead = np.logical_or.reduceat(of_lead, at)
        is_first = np.r_[True, code[1:] != code[:-1]]
        number = np.cumsum(is_first) - 1
        later = ~is_first
        return cls(day[is_first], total[is_first], number[later], day[later], total[later], is_visit[later], of_lead[later],
                   known_day, n_unknown)  # fmt: skip

    @property
    def n(self) -> int:
        """Customers."""
        return self.first.size

    @property
    def n_visits(self) -> int:
        """Later visits of all of them."""
        return int(self.is_visit.sum())

    @property
    def months(self) -> float:
        """From the first payment of all to what is known."""
        return float(self.known_day - self.first.min()) / MONTH if self.n else 0.0

    def until(self, day: int) -> History:
        """What was known at the start of an earlier day."""
        return self._of(self.first < day, day)

    def after_warm_up(self) -> History:
        """Without those first seen in the first three months (a quarter of a shorter history)."""
        if not self.n:
            return self
        start = int(self.first.min())
        return self._of(self.first >= start + min(WARM_UP_DAYS, (self.known_day - start) // 4), self.known_day)

    def visits_between(self, start: int, end: int) -> tuple[float, float]:
        """Later visits on days in [start, end), and their money."""
        within = (self.visit_day >= start) & (self.visit_day < end)
        return float((within & self.is_visit).sum()), float(self.visit_amount[within].sum())

    def _of(self, kept: npt.NDArray[np.bool_], day: int) -> History:
        number = np.cumsum(kept) - 1
        seen = kept[self.customer] & (self.visit_day < day) if self.customer.size else np.zeros(0, dtype=np.bool_)
        return History(self.first[kept], self.amount[kept], number[self.customer[seen]], self.visit_day[seen],
                       self.visit_amount[seen], self.is_visit[seen], self.is_of_lead[seen], day, self.n_unknown)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Later visits of one new customer by age: `visits` (months,) and `draws` (N_CURVES, months); money of one visit likewise.

    `watched`: months of age that were seen; beyond, the last seen level times `decay` a month. `spread_visits`,
    `spread_money`: variance over mean of one customer's visits and money. `shock`: relative standard deviation of a calendar
    month beyond chance (season, holidays, a new price), which neighbouring months share.
    """

    model: str
    visits: FloatArray
    draws: FloatArray
    check: float
    check_draws: FloatArray
    watched: int
    decay: float
    spread_visits: float
    spread_money: float
    shock: float

    def shock_over(self, months: float) -> float:
        """Relative standard deviation of the visits of so many months in a row, beyond chance."""
        return self.shock * float(np.sqrt(min(1.0, SHARED_MONTHS / max(months, 1e-9))))

    def cumulative(self, draws: bool = False) -> FloatArray:
        """Visits by the end of age 0, 1, ...: (months + 1,), or of each draw."""
        rates = self.draws if draws else self.visits
        nought = np.zeros((*rates.shape[:-1], 1))
        return np.concatenate([nought, np.cumsum(rates, axis=-1)], axis=-1)


def cohort_curve(history: History, months: int) -> Curve | None:
    """The curve to `months` of age; None where fewer than three months of age were watched or nobody ever came back."""
    exposure, visits, money = _by_age(history)
    watched = int((exposure.sum(axis=0) >= MIN_EXPOSURE).cumprod().sum())
    if watched < MIN_AGES or not visits[:, :watched].any():
        return None
    rng = np.random.default_rng(SEED)
    weights = np.vstack([np.ones(exposure.shape[0]), rng.poisson(1.0, (N_CURVES, exposure.shape[0]))])
    seen, times, paid = weights @ exposure[:, :watched], weights @ visits[:, :watched], weights @ money
    # Half a visit more or less tells nothing: a month without any is not a rate of zero for ever.
    rates = times / np.maximum(seen, 1.0)
    decay = _decay(times, seen)
    level = _tail_level(times, seen, decay)
    ages = np.arange(watched, max(months, watched))
    tail = level[:, None] * decay[:, None] ** (ages - watched + 1)
    every = np.concatenate([rates, tail], axis=1)[:, : max(months, 1)]
    n_visits = (weights @ visits).sum(axis=1)
    check = np.where(n_visits > 0, paid / np.maximum(n_visits, 1.0), paid[0] / max(n_visits[0], 1.0))
    full = np.concatenate([rates[0], tail[0]])
    spreads = _spreads(history, np.concatenate([[0.0], np.cumsum(full)]), float(check[0]))
    return Curve("cohort_curve", every[0], every[1:], float(check[0]), check[1:], watched, float(decay[0]), *spreads)


def expected_visits(cumulative: FloatArray, history: History, start: int, end: int) -> FloatArray:
    """Visits of the history's customers between two days by a cumulative curve (..., months + 1); flat beyond its end."""
    days, count = np.unique(history.first, return_counts=True)
    ages = np.clip(np.array([start, end])[:, None] - days, 0, None) / MONTH
    low = np.minimum(ages.astype(np.int64), cumulative.shape[-1] - 2)
    part = np.minimum(ages - low, 1.0)
    at = cumulative[..., low] * (1 - part) + cumulative[..., low + 1] * part
    return np.asarray((at[..., 1, :] - at[..., 0, :]) @ count, dtype=np.float64)


def month_shock(history: History, cumulative: FloatArray, spread: float) -> float:
    """Relative standard deviation of a calendar month's visits beyond chance, shrunk to SHOCK at the weight of six months."""
    first = int(history.first.min())
    n = int((history.known_day - first) / MONTH)
    ends = [history.known_day - round(MONTH * k) for k in range(n + 1)]
    pairs = list(zip(ends[1:], ends[:-1], strict=True))
    seen = np.array([history.visits_between(start, end)[0] for start, end in pairs])
    hoped = np.array([expected_visits(cumulative, history, start, end) for start, end in pairs])
    beyond = float((((seen - hoped) ** 2 - spread * hoped).sum()) / max((hoped**2).sum(), 1.0))
    return float(np.sqrt((max(beyond, 0.0) * n + 6 * SHOCK**2) / (n + 6)))


def _by_age(history: History) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Customer-months and visits by block of customers and month of age, and the money of each block."""
    n_ages = max(int((history.known_day - history.first.min()) / MONTH) + 1, 1) if history.n else 1
    n_blocks = max(min(history.n, MAX_BLOCKS), 1)
    block = np.arange(history.n) % n_blocks
    ages = np.clip((history.known_day - history.first)[:, None] / MONTH - np.arange(n_ages), 0.0, 1.0)
    every = block[:, None] * n_ages + np.arange(n_ages)
    exposure = _sums(every.ravel(), ages.ravel(), n_blocks * n_ages)
    at = ((history.visit_day - history.first[history.customer]) / MONTH).astype(np.int64)
    cell = block[history.customer] * n_ages + at
    came = history.is_visit.astype(np.float64)
    visits = _sums(cell, came, n_blocks * n_ages).reshape(n_blocks, n_ages)
    money = _sums(block[history.customer], history.visit_amount, n_blocks)
    return exposure.reshape(n_blocks, n_ages), visits, money


def _sums(cell: IntArray, values: FloatArray, n: int) -> FloatArray:
    return np.asarray(np.bincount(cell, weights=values, minlength=n), dtype=np.float64)


def _decay(visits: FloatArray, exposure: FloatArray) -> FloatArray:
    """Factor a month by which the later half of what was watched falls: Poisson regression on age, one a row."""
    n = visits.shape[1]
    later = slice(min(n // 2, n - MIN_AGES), n)
    y, seen = visits[:, later], np.maximum(exposure[:, later], 1e-9)
    age = np.arange(y.shape[1]) - (y.shape[1] - 1) / 2
    slope = np.zeros(len(y))
    for _ in range(12):  # Newton; the level is profiled out
        hoped = seen * np.exp(slope[:, None] * age)
        share = hoped / hoped.sum(axis=1, keepdims=True)
        mean = share @ age
        variance = np.maximum(share @ age**2 - mean**2, 1e-9)
        total = y.sum(axis=1)
        # A normal prior of .25 a month on the slope: few visits say little about it.
        slope = slope + (y @ age - total * mean - slope / 0.0625) / (total * variance + 1 / 0.0625)
    return np.asarray(np.clip(np.exp(slope), LEAST_DECAY, 1.0), dtype=np.float64)


def _tail_level(visits: FloatArray, exposure: FloatArray, decay: FloatArray) -> FloatArray:
    """The rate at the last month watched, out of the later half at the tail's own decay."""
    n = visits.shape[1]
    later = slice(min(n // 2, n - MIN_AGES), n)
    back = decay[:, None] ** (np.arange(n)[later] - (n - 1))
    return np.asarray(visits[:, later].sum(axis=1) / np.maximum((exposure[:, later] * back).sum(axis=1), 1.0), dtype=np.float64)


def _spreads(history: History, cumulative: FloatArray, check: float) -> tuple[float, float, float]:
    """Variance over mean of one customer's visits and of their money, and the shock of a calendar month."""
    age = (history.known_day - history.first) / MONTH
    hoped = np.interp(age, np.arange(cumulative.size), cumulative)
    visits = np.bincount(history.customer[history.is_visit], minlength=history.n)
    money = np.bincount(history.customer, weights=history.visit_amount, minlength=history.n)
    total = max(float(hoped.sum()), 1e-9)
    spread = max(float(((visits - hoped) ** 2).sum()) / total, 1.0)
    paid = float(((money - hoped * check) ** 2).sum()) / (total * abs(check)) if check else 0.0
    return spread, max(paid, spread * abs(check)), month_shock(history, cumulative, spread)
