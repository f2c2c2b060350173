"""What known and new customers will do next: two models of coming back, tried on the business's own past, the better one kept.

The back-test goes back six months (three in a short history), fits on what was known then, and predicts the visits that followed
of the customers known then; and again half that span earlier, and once more. The cohort curve is kept unless BG/NBD is clearly
nearer. What the kept model missed by widens its own ranges; it never narrows them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from pipeline.bgnbd import BgNbd, GammaGamma, expected_next, expected_repeats, fit_bgnbd, fit_gamma_gamma
from pipeline.effects import Interval, interval_of
from pipeline.repeats import (
    MONTH,
    N_CURVES,
    SEED,
    Curve,
    History,
    cohort_curve,
    expected_visits,
    month_shock,
)
from pipeline.seasons import Clock, clock_of
from pipeline.weekly import FloatArray

ModelName = Literal["cohort_curve", "bg_nbd"]
MODELS: tuple[ModelName, ...] = ("cohort_curve", "bg_nbd")
# Draws of a forecast for each resampled curve.
TIMES = 20
# Fewer say nothing of the next ones.
MIN_CUSTOMERS = 50
MIN_VISITS = 20
# BG/NBD must miss by a fifth less, and by two points at least: the simple model wins ties.
BETTER, BETTER_BY = 0.8, 0.02
ORIGINS = 3
# A model is trusted as after three surprises of ordinary size, before it was tried.
PRIOR_SURPRISES = 3.0
LARGEST_SURPRISE = 4.0
SHORTEST_TEST, LONGEST_TEST = 3, 6
# Nothing is tried over more than six months: every doubling beyond them widens a range by a fifth. Held against
# docs/forecast.md, where ranges of 12 months without it hold too seldom.
WIDER_PER_DOUBLING = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A curve, with the parameters it came from where it is BG/NBD; `widening` of its ranges by what it missed before."""

    curve: Curve
    clock: Clock
    bgnbd: BgNbd | None = None
    gamma_gamma: GammaGamma | None = None
    widening: float = 1.0

    def widening_over(self, months: float) -> float:
        """Of ranges so many months ahead: what was missed before, and more beyond the months that were tried."""
        return self.widening * (1 + WIDER_PER_DOUBLING * max(float(np.log2(months / LONGEST_TEST)), 0.0))


class Ahead(NamedTuple):
    """Draws of the visits of known customers over some months, and of their money."""

    visits: FloatArray
    money: FloatArray


@dataclass(frozen=True, slots=True)
class Tried:
    """One model on one earlier day: what it said of the next `months`, what came. `surprise`: in its own standard deviations."""

    model: str
    origin_day: int
    months: int
    n_customers: int
    observed: float
    predicted: Interval
    observed_money: float
    predicted_money: Interval
    naive: float
    surprise: float

    @property
    def miss(self) -> float:
        """Distance of the logarithms; half a visit more keeps nought finite."""
        return abs(float(np.log((self.predicted.estimate + 0.5) / (self.observed + 0.5))))


@dataclass(frozen=True, slots=True, eq=False)
class Returning:
    """The model kept, or why there is none (`missing`), and how both did in the back-test."""

    history: History
    fitted: Fitted | None
    missing: str | None
    tried: tuple[Tried, ...] = ()

    @property
    def reach(self) -> int:
        """Months of age that a forecast may go to: twice what was watched."""
        return 0 if self.fitted is None else 2 * self.fitted.curve.watched


def returning(history: History, months: int) -> Returning:
    """The model of coming back that serves this business, for forecasts up to `months` ahead."""
    settled = history.after_warm_up()
    missing = _missing(history, settled)
    if missing is not None:
        return Returning(settled, None, missing)
    curve = fit("cohort_curve", settled, months)
    if curve is None:
        return Returning(settled, None, "short_history")
    tried = back_test(settled)
    kept = choose(tried)
    found = curve if kept == "cohort_curve" else fit(kept, settled, months, curve) or curve
    return Returning(settled, replace(found, widening=_widening(tried, found.curve.model)), None, tried)


def fit(
    model: ModelName, history: History, months: int, simple: Fitted | None = None, *, has_worth: bool = True
) -> Fitted | None:
    """A model of this history, its curve reaching `months` beyond the oldest customer; None where it cannot be fitted.

    `simple`: the cohort curve of the same history where it is known already. `has_worth`: what a visit is worth by Gamma-Gamma,
    else by the mean.
    """
    length = int(history.months) + months + 2
    clock = clock_of(history) if simple is None else simple.clock
    history = clock.set(history)
    base = cohort_curve(history, length) if simple is None else simple.curve
    if base is None or model == "cohort_curve":
        return None if base is None else Fitted(base, clock)
    x, t_x, age, n = _summary(history)
    parameters = fit_bgnbd(x, t_x, age, n)
    if parameters is None:
        return None
    worth = _fit_worth(history) if has_worth else None
    ages = np.arange(length + 1, dtype=np.float64)
    rng = np.random.default_rng(SEED)
    every = np.vstack([np.exp(parameters.logs), parameters.draws(N_CURVES, rng)])
    rates = np.diff(expected_repeats(every, ages), axis=1)
    good = np.asarray((np.isfinite(rates) & (rates >= 0)).all(axis=1))
    if not good[0] or good.sum() < N_CURVES / 2:
        return None
    rates[~good] = rates[0]
    factor = 1.0 if worth is None or worth.mean is None or base.check <= 0 else worth.mean / base.check
    last = rates[0, base.watched - 1 : base.watched + 1]
    spread = max(base.spread_visits, 1.0)
    shock = month_shock(history, np.concatenate([[0.0], np.cumsum(rates[0])]), spread)
    curve = replace(
        base, model="bg_nbd", visits=rates[0], draws=rates[1:], check=base.check * factor, check_draws=base.check_draws * factor,
        decay=float(last[1] / last[0]) if last[0] > 0 else 1.0, shock=shock,
    )  # fmt: skip
    return Fitted(curve, clock, parameters, worth)


def known_ahead(fitted: Fitted, history: History, months: float) -> Ahead:
    """Later visits of the history's customers in the next `months`, and their money."""
    curve, over = fitted.curve, fitted.clock.months(history.known_day, months)
    doubt = fitted.clock.doubt(history.known_day, months)
    history = fitted.clock.set(history)
    end = history.known_day + round(over * MONTH)
    rng = np.random.default_rng(SEED)
    if fitted.bgnbd is None:
        mean = expected_visits(curve.cumulative(draws=True), history, history.known_day, end)
    else:
        estimate, sd = _bgnbd_total(fitted.bgnbd, history, over)
        mean = estimate * np.exp(sd * rng.standard_normal(N_CURVES))
    level = float(np.hypot(curve.shock_over(months), doubt))
    moved = np.tile(mean, TIMES) * np.exp(level * rng.standard_normal(mean.size * TIMES))
    money = moved * np.tile(curve.check_draws, TIMES)
    factor = fitted.widening_over(months)
    return Ahead(widened(chance(moved, curve.spread_visits, rng), factor),
                 widened(chance(money, curve.spread_money, rng), factor))  # fmt: skip


def chance(mean: FloatArray, spread: float, rng: np.random.Generator) -> FloatArray:
    """Draws around a mean of either sign, their variance `spread` times its size: a gamma, so that sums of parts stay alike."""
    size = np.abs(mean)
    if not spread:
        return mean
    return np.asarray(np.sign(mean) * rng.standard_gamma(size / spread) * spread, dtype=np.float64)


def widened(draws: FloatArray, factor: float) -> FloatArray:
    """Draws moved away from their median by a factor of their logarithm."""
    middle = float(np.median(draws))
    if factor == 1.0 or middle <= 0:
        return draws
    return np.asarray(middle * (np.maximum(draws, 0.0) / middle) ** factor, dtype=np.float64)


def back_test(history: History) -> tuple[Tried, ...]:
    """Both models on up to three earlier days; empty where the history is too short for one."""
    months = LONGEST_TEST if history.months >= 2 * LONGEST_TEST + SHORTEST_TEST else SHORTEST_TEST
    found = []
    for n in range(ORIGINS):
        day = history.known_day - round(months * (1 + n / 2) * MONTH)
        known = history.until(day)
        if known.n < MIN_CUSTOMERS or known.n_visits < MIN_VISITS or known.months < max(months, SHORTEST_TEST + 1):
            break
        end = day + round(months * MONTH)
        of_known = _customers_until(history, day)
        visits, money = of_known.visits_between(day, end)
        naive = known.visits_between(day - round(MONTH), day)[0] * months
        simple = fit("cohort_curve", known, months)
        for model in MODELS:
            fitted = simple if model == "cohort_curve" else fit(model, known, months, simple, has_worth=False)
            if fitted is None:
                continue
            ahead = known_ahead(fitted, known, months)
            said = interval_of(ahead.visits)
            logs = np.log(ahead.visits + 0.5)
            surprise = (np.log(visits + 0.5) - float(np.median(logs))) / max(float(logs.std()), 1e-9)
            found.append(Tried(model, day, months, known.n, visits, said, money, interval_of(ahead.money), naive, surprise))
    return tuple(found)


def choose(tried: tuple[Tried, ...]) -> ModelName:
    """BG/NBD only where it was tried at least twice and clearly nearer on the same days."""
    days = {one.origin_day for one in tried if one.model == "bg_nbd"}
    if len(days) < 2:
        return "cohort_curve"
    misses = {model: np.mean([one.miss for one in tried if one.model == model and one.origin_day in days]) for model in MODELS}
    simple, other = misses["cohort_curve"], misses["bg_nbd"]
    return "bg_nbd" if other < BETTER * simple and simple - other > BETTER_BY else "cohort_curve"


def _missing(history: History, settled: History) -> str | None:
    """Why nothing can be said of coming back."""
    if not history.n:
        return "customers_unknown" if history.n_unknown else "no_payments"
    if history.n_unknown > history.n + history.n_visits:
        return "customers_unknown"
    if settled.n < MIN_CUSTOMERS:
        return "few_customers"
    if not settled.n_visits:
        return "no_repeats"
    return "few_repeats" if settled.n_visits < MIN_VISITS else None


def _widening(tried: tuple[Tried, ...], model: str) -> float:
    """Root of the mean square of the model's surprises, with three ordinary ones beside them; never below 1."""
    found = [min(abs(one.surprise), LARGEST_SURPRISE) ** 2 for one in tried if one.model == model]
    if not found:
        return 1.0
    weight = (len(found) + 1) / 2  # neighbouring tests share half of their months
    return max(1.0, float(np.sqrt((PRIOR_SURPRISES + np.mean(found) * weight) / (PRIOR_SURPRISES + weight))))


def _customers_until(history: History, day: int) -> History:
    """All that is known now of the customers known at an earlier day."""
    kept = history.first < day
    seen = kept[history.customer]
    number = np.cumsum(kept) - 1
    return replace(
        history, first=history.first[kept], amount=history.amount[kept], customer=number[history.customer[seen]],
        visit_day=history.visit_day[seen], visit_amount=history.visit_amount[seen], is_visit=history.is_visit[seen],
        is_of_lead=history.is_of_lead[seen],
    )  # fmt: skip


def _summary(history: History) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Distinct pasts and how many customers have each: later visits, age at the last of them and age now, in months rounded
    down to whole weeks."""
    visitor = history.customer[history.is_visit]
    last = history.first.copy()
    np.maximum.at(last, visitor, history.visit_day[history.is_visit])
    weeks_last, weeks = (last - history.first) // 7, (history.known_day - history.first) // 7
    base = int(weeks.max()) + 1
    key = (np.bincount(visitor, minlength=history.n) * base + weeks_last) * base + weeks
    past, n = np.unique(key, return_counts=True)
    x, t_x, age = past // base**2, past // base % base, past % base
    return x.astype(np.float64), t_x * 7 / MONTH, age * 7 / MONTH, n.astype(np.float64)


def _bgnbd_total(model: BgNbd, history: History, months: float) -> tuple[float, float]:
    """Expected visits of all known customers, and the standard deviation of its logarithm (delta method)."""
    x, t_x, age, n = _summary(history)

    def total(logs: FloatArray) -> float:
        return float(n @ np.nan_to_num(expected_next(np.exp(logs), x, t_x, age, months)))

    estimate = max(total(model.logs), 1e-9)
    step = np.eye(4) * 0.02
    slope = np.array([np.log(max(total(model.logs + one), 1e-9) / max(total(model.logs - one), 1e-9)) / 0.04 for one in step])
    return estimate, float(np.sqrt(max(slope @ model.covariance @ slope, 0.0)))


def _fit_worth(history: History) -> GammaGamma | None:
    """Gamma-Gamma over customers who came back and paid something each time on average."""
    x = np.bincount(history.customer[history.is_visit], minlength=history.n).astype(np.float64)
    paid = np.bincount(history.customer, weights=history.visit_amount, minlength=history.n)
    kept = (x > 0) & (paid > 0)
    return fit_gamma_gamma(x[kept], paid[kept] / x[kept])
