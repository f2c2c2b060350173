"""Six and twelve months of a measured launch: its profit a month, fading as stated, and the later visits of the customers it won.

Everything is drawn: the effect keeps the draws of its claim, the curve of coming back its resampled customers, months their
chance. No verdict reads any of it. Repeat visits are added to a process claim only: in a total claim those of the first weeks are
part of the measured leads already. Where something cannot be told it is left out and named, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pipeline.bgnbd import BgNbd
from pipeline.cashflow import Payback, payback_over
from pipeline.claims import Claim
from pipeline.effects import LEVELS, Interval, ProcessEffect, interval_of
from pipeline.repeats import MONTH, SEED, Curve, History
from pipeline.returning import Fitted, Returning, Tried, chance, known_ahead, returning
from pipeline.roi import at_median
from pipeline.weekly import FloatArray

HORIZONS = (6, 12)
MONTHS = max(HORIZONS)
# How fast an effect fades after it was measured, nobody knows yet: anything from "it stays" to "it halves in six months" is as
# likely, so that the middle halves in a year. A convention, printed beside the figures.
HALF_LIFE_MONTHS = 12.0
FASTEST_HALF_LIFE_MONTHS = HALF_LIFE_MONTHS / 2
# Ends of the 95, 80 and 50 % ranges around the median.
BANDS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


@dataclass(frozen=True, slots=True)
class At:
    """A launch by the end of a month: profit of the effect and of repeat visits (they and the cost sum to `net`)."""

    months: int
    effect: Interval
    repeats: Interval | None
    cost: float | None
    net: Interval | None
    roi: Interval | None


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One assumption of decay. `net`: cumulative, BANDS x month 0 ... 12; None while costs are unknown.

    With a half-life the middle fades by it, the ranges hold every fading from none to twice as fast: the forecast. Without one
    the effect stays for certain. `payback`: where the middle of `net` reaches 0; "never" is "not within 12 months".
    """

    half_life_months: float | None
    net: FloatArray | None
    at: tuple[At, ...]
    payback: Payback | None


@dataclass(frozen=True, slots=True, eq=False)
class LaunchAhead:
    """The launch's lines, and the customers it wins a month (None where repeat visits are not added, `no_repeats` why)."""

    claim: str
    is_proven: bool
    window_months: float
    new_share: float | None
    new_customers: Interval | None
    no_repeats: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Worth:
    """One customer, or all known customers, over so many months: later visits; money, of one customer with the first sale."""

    months: int
    visits: Interval
    money: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """How customers come back. `curve`: visits by the end of month 0, 1 ... of age; rows estimate, low, high.

    `tried`: the back-test. `decay`: factor a month of the curve beyond the `watched` months.
    """

    missing: str | None
    n_customers: int
    n_visits: int
    n_unknown: int
    months: float
    model: str | None = None
    curve: FloatArray | None = None
    watched: int = 0
    reach: int = 0
    decay: float | None = None
    shock: float | None = None
    season: float | None = None
    widening: float | None = None
    check: Interval | None = None
    parameters: BgNbd | None = None
    value: tuple[Worth, ...] = ()
    known: tuple[Worth, ...] = ()
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What lies ahead, as far as these data can carry it; `missing`: why nothing is said of the launch itself."""

    missing: str | None
    launch: LaunchAhead | None
    repeats: Repeats


def forecast(claim: Claim | None, history: History, post_start: int) -> Forecast:
    """The next months of a launch with its leading claim; `post_start`: first day (since 1970) of the post period."""
    back = returning(history, MONTHS)
    missing = _missing(claim)
    launch = None if claim is None or missing is not None else launch_ahead(claim, back, history, post_start)
    return Forecast(missing, launch, _repeats(back, history))


def launch_ahead(claim: Claim, back: Returning, history: History, post_start: int) -> LaunchAhead:
    """The lines of a claim with draws of its profit."""
    effect, money = claim.effect, claim.money
    assert effect.revenue_draws is not None
    assert effect.margin is not None
    months = money.window_days / MONTH
    benefit = claim.looks.benefit_month
    is_proven = benefit is not None and not benefit.low <= 0 <= benefit.high
    profit = effect.revenue_draws * effect.margin / months
    saved = (money.saved or 0.0) / months if money.is_saved_cash else 0.0
    share = new_share(history, post_start)
    reason = _no_repeats(effect, is_proven, back, share)
    won = None if reason is not None or share is None else payers(effect) / months * share

    margin = effect.margin

    def earned(kept: FloatArray) -> _Earned:
        again = None
        if won is not None and back.fitted is not None:
            again = np.cumsum(repeat_money(back.fitted, won, kept, back.reach), axis=1) * margin
        return _Earned(np.cumsum(profit[:, None] * kept + saved, axis=1), again)

    steady = earned(remaining(0.0, months))
    fading = earned(remaining(1 / HALF_LIFE_MONTHS, months))
    either = earned(remaining(fadings(profit.size), months))
    costs = (money.one_off_cost, money.monthly_cost)
    lines = (_line(None, steady, steady, *costs, is_proven), _line(HALF_LIFE_MONTHS, fading, either, *costs, is_proven))
    return LaunchAhead(effect.claim, is_proven, months, None if won is None else share, None if won is None else interval_of(won),
                       reason, lines)  # fmt: skip


def remaining(halvings: FloatArray | float, measured: float, months: int = MONTHS) -> FloatArray:
    """Share of the effect left in the middle of month 1, 2 ... (..., months): all of it as long as it was measured.

    `halvings` a month after that: 0 where it stays, 1 / 12 where it halves in a year.
    """
    middle = np.arange(months) + 0.5
    return np.asarray(0.5 ** (np.maximum(middle - measured, 0.0) * np.asarray(halvings)[..., None]), dtype=np.float64)


def fadings(n: int) -> FloatArray:
    """Halvings a month of so many draws: evenly from none to those of the fastest, in an order that goes with nothing else."""
    even = (np.arange(n) + 0.5) / n / FASTEST_HALF_LIFE_MONTHS
    return np.asarray(np.random.default_rng(SEED + 1).permutation(even), dtype=np.float64)


def repeat_visits(cumulative: FloatArray, kept: FloatArray, reach: int) -> FloatArray:
    """Later visits in month 1, 2 ... of those won in each month up to then, one customer a month at full effect.

    `cumulative`: visits by age (..., ages + 1), counted up to the age `reach`; customers come in the middle of their month.
    `kept`: (..., months).
    """
    n = kept.shape[-1]
    ages = np.clip(np.arange(n + 1) - 0.5, 0.0, max(min(reach, cumulative.shape[-1] - 1), 0))
    low = np.minimum(ages.astype(np.int64), cumulative.shape[-1] - 2)
    part = ages - low
    by_age = np.diff(cumulative[..., low] * (1 - part) + cumulative[..., low + 1] * part, axis=-1)
    return np.stack([(by_age[..., : t + 1] * kept[..., t::-1]).sum(axis=-1) for t in range(n)], axis=-1)


def repeat_money(fitted: Fitted, won: FloatArray, kept: FloatArray, reach: int) -> FloatArray:
    """Draws (draws x months) of the money of later visits, of `won` customers a month (draws); `kept` of all draws or of each."""
    curve, n_months = fitted.curve, kept.shape[-1]
    rng = np.random.default_rng(SEED)
    cumulative = curve.cumulative(draws=True)
    every = np.arange(won.size) % len(cumulative)
    sums = repeat_visits(cumulative, np.ones(n_months), reach).sum(axis=1)
    level = _level(curve, fitted.widening_over(n_months), sums, n_months, rng, won.size)
    visits = repeat_visits(cumulative[every], kept, reach)
    mean = won[:, None] * visits * (curve.check_draws[every] * level)[:, None]
    return chance(mean, curve.spread_money, rng)


def payers(effect: ProcessEffect) -> FloatArray:
    """Draws of the paying leads beyond what the old rates would have brought, over the post period."""
    expected, observed = effect.expected["leads"].copy(), effect.expected["leads"].copy()
    for name, found in effect.factors.items():
        if name not in ("leads", "average_check"):
            expected = expected * effect.expected[name]
            observed = observed * (effect.expected[name] if found is None else found.observed)
    return np.asarray(observed - expected, dtype=np.float64)


def new_share(history: History, post_start: int) -> float | None:
    """Part of the post period's paying leads that were a known customer's first visit; None without any.

    A later visit that the CRM keeps as one more deal of an old lead is no paying lead: the claim has not counted it either.
    """
    first = int((history.first >= post_start).sum())
    later = int(((history.visit_day >= post_start) & history.is_visit & history.is_of_lead).sum())
    known = history.n + history.n_visits
    return first / (first + later) * known / (known + history.n_unknown) if first + later else None


def _level(curve: Curve, widening: float, sums: FloatArray, months: int, rng: np.random.Generator, n: int) -> FloatArray:
    """What each draw's repeat visits are multiplied by: shared shocks of months, and what the back-test asks to be added."""
    middle = max(float(np.median(sums)), 1e-12)
    ratio = np.maximum(sums / middle, 1e-6)[np.arange(n) % sums.size]
    shock = curve.shock_over(months) * rng.standard_normal(n)
    return np.asarray(ratio ** (widening - 1) * np.exp(widening * shock), dtype=np.float64)


class _Earned(NamedTuple):
    """Draws x months, cumulative: profit of the effect, and of later visits where they are counted."""

    effect: FloatArray
    again: FloatArray | None

    @property
    def total(self) -> FloatArray:
        return self.effect if self.again is None else self.effect + self.again


def _line(half_life: float | None, middle: _Earned, either: _Earned, once: float | None, monthly: float | None,
          is_proven: bool) -> Line:  # fmt: skip
    """Estimates of `middle`, ranges of `either`."""
    cost = None if once is None or monthly is None else once + monthly * np.arange(1, MONTHS + 1)
    at = tuple(_at(months, middle, either, None if cost is None else float(cost[months - 1]), is_proven) for months in HORIZONS)
    if cost is None or once is None:
        return Line(half_life, None, at, None)
    path = np.concatenate([np.full((len(either.effect), 1), -once), either.total - cost], axis=1)
    bands = np.quantile(path, BANDS, axis=0)
    bands[len(BANDS) // 2, 1:] = np.median(middle.total, axis=0) - cost
    if not is_proven:
        return Line(half_life, bands, at, None)
    months = float(crossing(bands[[len(BANDS) // 2]])[0])
    payback = replace(payback_over(crossing(path), LEVELS), median=months if np.isfinite(months) else None)
    return Line(half_life, bands, at, payback)


def _at(months: int, middle: _Earned, either: _Earned, spent: float | None, is_proven: bool) -> At:
    n = months - 1
    total = middle.total[:, n]
    parts = [middle.effect[:, n]] if middle.again is None else [middle.effect[:, n], middle.again[:, n]]
    ranges = [either.effect[:, n]] if either.again is None else [either.effect[:, n], either.again[:, n]]
    middles = at_median(np.stack(parts), total)
    shown = [Interval(float(value), *_ends(draws)) for value, draws in zip(middles, ranges, strict=True)]
    again = shown[1] if len(shown) > 1 else None
    if spent is None:
        return At(months, shown[0], again, None, None, None)
    low, high = _ends(either.total[:, n] - spent)
    net = Interval(float(np.median(total)) - spent, low, high)
    roi = Interval(*(end / spent for end in (net.estimate, net.low, net.high))) if spent and is_proven else None
    return At(months, shown[0], again, spent, net, roi)


def crossing(path: FloatArray) -> FloatArray:
    """Months until each cumulative path is at 0 or above and no longer below at its end; infinite where it ends below."""
    below = path < 0
    last = path.shape[1] - 1 - below[:, ::-1].argmax(axis=1)
    row = np.arange(len(path))
    after = np.minimum(last + 1, path.shape[1] - 1)
    step = path[row, after] - path[row, last]
    within = np.where(step > 0, -path[row, last] / np.where(step > 0, step, 1.0), 0.0)
    return np.where(~below.any(axis=1), 0.0, np.where(below[:, -1], np.inf, last + within))


def _ends(draws: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(draws, (LEVELS[0], LEVELS[2]))
    return float(low), float(high)


def _missing(claim: Claim | None) -> str | None:
    if claim is None:
        return "no_claim"
    if claim.effect.revenue_draws is None:
        return "no_payments"
    return "margin_missing" if claim.effect.margin is None else None


def _no_repeats(effect: ProcessEffect, is_proven: bool, back: Returning, share: float | None) -> str | None:
    """Why repeat visits are not added to the launch."""
    if not is_proven:
        return "not_proven"
    if effect.claim == "total":
        return "in_total"
    if back.missing is not None:
        return back.missing
    return None if share else "no_new_customers"


def _repeats(back: Returning, history: History) -> Repeats:
    counts = (history.n, history.n_visits, history.n_unknown, history.months)
    if back.fitted is None:
        return Repeats(back.missing, *counts)
    curve, fitted, settled = back.fitted.curve, back.fitted, back.history
    within = tuple(months for months in HORIZONS if months <= back.reach)
    shown = min(MONTHS, back.reach)
    ends = np.quantile(curve.cumulative(draws=True)[:, : shown + 1], (LEVELS[0], LEVELS[2]), axis=0)
    known = []
    for months in within:
        ahead = known_ahead(fitted, settled, months)
        known.append(Worth(months, interval_of(ahead.visits), interval_of(ahead.money)))
    return Repeats(
        None, *counts, model=curve.model, curve=np.vstack([curve.cumulative()[: shown + 1], ends]), watched=curve.watched,
        reach=back.reach, decay=curve.decay, shock=curve.shock, season=fitted.clock.amplitude, widening=fitted.widening,
        check=interval_of(curve.check_draws), parameters=fitted.bgnbd,
        value=tuple(_value(fitted, settled, within)), known=tuple(known), tried=back.tried,
    )  # fmt: skip


def _value(fitted: Fitted, history: History, within: Sequence[int]) -> list[Worth]:
    """What a new customer comes to: the first sale, and the visits after it."""
    curve, found = fitted.curve, []
    rng = np.random.default_rng(SEED)
    first = history.amount.mean() + history.amount.std() / np.sqrt(history.n) * rng.standard_normal(curve.check_draws.size)
    for months in within:
        visits = curve.cumulative(draws=True)[:, months]
        moved = visits * _level(curve, fitted.widening_over(months), visits, months, np.random.default_rng(SEED), visits.size)
        found.append(Worth(months, interval_of(moved), interval_of(first + moved * curve.check_draws)))
    return found
