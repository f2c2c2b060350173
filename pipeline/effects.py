"""Effects: observed minus what would have happened, each with its interval.

Two claims, never mixed. The process claim asks what the leads that really came would have brought at the old booking
rate, show rate, paid rate and check: season and unrelated demand cannot fake it. The total claim predicts the number of
leads as well, and is only as good as the history behind it (`ladder`). Money comes from the same draws as the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from pipeline.llq import Past, llq
from pipeline.modes import CHECK, CONTROL, RATE, TOTAL
from pipeline.prediction import Prediction
from pipeline.shapley import split_product
from pipeline.weekly import FloatArray, IndexArray, WeeklyCheck, WeeklyCounts, WeeklyRate, WeeklyRatio, Weeks, checked

N_DRAWS = 4000
# A constant, not a setting: the same figures in must give the same bytes out.
DRAW_SEED = 2_953_211
LEVELS = np.array([0.025, 0.5, 0.975])
# Detectable effect at 80 % power, in half-widths of the null interval: (1.96 + 0.84) / 1.96 = 1.43 for a fixed normal,
# 1.55 measured here because the mixture's tails are wider.
DETECTABLE_HALF_WIDTHS = 1.55


@dataclass(frozen=True, slots=True)
class Interval:
    """A median with its 95 % interval."""

    estimate: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """The same in another unit; a negative factor turns it round."""
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(self.estimate * factor, ends[0], ends[1])


@dataclass(frozen=True, slots=True)
class Effect:
    """Observed minus counterfactual.

    `relative` is observed / counterfactual - 1, None when the counterfactual could be zero. `null` is the relative
    range that a launch without any effect would have shown 95 % of the time; `detectable` the relative effect seen with
    80 % power. `p_value` is two-sided. `season` is the prior of the annual wave, 0 where the method has none.
    """

    observed: float
    counterfactual: float
    estimate: float
    low: float
    high: float
    relative: Interval | None
    null: Interval | None
    detectable: float | None
    p_value: float
    method: str
    season: float
    n_pre_weeks: int
    n_post_weeks: int
    widening: float = 1.0  # how much the account's own placebo surprises widened it

    @property
    def interval(self) -> Interval:
        """The absolute effect."""
        return Interval(self.estimate, self.low, self.high)

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of no effect."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, eq=False)
class Funnel:
    """Weekly counts by the week the lead was created in, mature leads only, outcomes inside the horizon.

    A step the business does not record is None: without `booked` there is one visit rate on the leads, without `paid`
    the check is revenue per visit. `revenue_sq` is the sum of squared payments of a paid (or visited) lead.
    """

    leads: FloatArray
    visited: FloatArray
    booked: FloatArray | None = None
    paid: FloatArray | None = None
    revenue: FloatArray | None = None
    revenue_sq: FloatArray | None = None

    def __post_init__(self) -> None:
        if (self.revenue is None) != (self.revenue_sq is None):
            raise ValueError("revenue needs its sum of squares beside it: give both or neither")
        leads = checked("leads", self.leads, is_signed=False)
        object.__setattr__(self, "leads", leads)
        for name in ("booked", "visited", "paid", "revenue", "revenue_sq"):
            series = getattr(self, name)
            if series is not None:
                object.__setattr__(self, name, checked(name, series, is_signed=name == "revenue", like=leads))

    def factors(self) -> dict[str, WeeklyRate | WeeklyCheck]:
        """The factors after the leads, in funnel order."""
        came = "visit_rate" if self.booked is None else "show_rate"
        steps = (("booking_rate", self.booked), (came, self.visited), ("paid_rate", self.paid))
        found: dict[str, WeeklyRate | WeeklyCheck] = {}
        reached = self.leads
        for name, step in steps:
            if step is not None:
                found[name] = WeeklyRate(step, reached)
                reached = step
        if self.revenue is not None and self.revenue_sq is not None:
            found["average_check"] = WeeklyCheck(reached, self.revenue, self.revenue_sq)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class ProcessEffect:
    """One claim over the post period: its factors, and what they come to.

    `factors` holds None for a factor that nobody reached in the post period. `revenue` and its draws are None without
    payments in the pre period, `profit` without a margin. `contributions` splits the revenue draws by factor, exactly.
    The total claim has "leads" among its factors; `is_indicative` keeps it out of the headline.
    """

    claim: Literal["process", "total"]
    is_indicative: bool
    factors: dict[str, Effect | None]
    visits: Effect
    revenue: Effect | None
    profit: Effect | None
    margin: float | None
    visit_draws: FloatArray
    revenue_draws: FloatArray | None
    contributions: dict[str, FloatArray]
    expected: dict[str, FloatArray]
    """Draws of each factor without the launch, "leads" first; the leads that came for a process claim."""

    @property
    def money_or_visits(self) -> Effect:
        """What the claim is about: its revenue, else its visits."""
        return self.revenue or self.visits


def rate_effect(rate: WeeklyRate, weeks: Weeks, past: Past | None = None) -> Effect:
    """Effect on a rate, in shares (0.05 is 5 points); `past` is what its sister series taught."""
    return effect_of(llq(rate, weeks, RATE, past=past))


def check_effect(check: WeeklyCheck, weeks: Weeks, past: Past | None = None) -> Effect:
    """Effect on the mean payment, in money."""
    return effect_of(llq(check, weeks, CHECK, past=past))


def total_effect(counts: WeeklyCounts, weeks: Weeks, *, season: float, past: Past | None = None) -> Effect:
    """Effect on a number over the whole post period; `season` comes from the ladder."""
    return effect_of(llq(counts, weeks, TOTAL, season, past))


def control_effect(counts: WeeklyRatio, weeks: Weeks, past: Past | None = None) -> Effect:
    """Effect on a number over the whole post period, against an untreated control."""
    return effect_of(llq(counts, weeks, CONTROL, past=past))


def process_effect(funnel: Funnel, weeks: Weeks, *, margin: float | None = None,
                   pasts: Mapping[str, Past | None] | None = None, is_indicative: bool = False,
                   rates: Mapping[str, WeeklyRate] | None = None) -> ProcessEffect:
    """What the leads really received brought beyond the old rates and check; `pasts`: by factor, what sisters taught;
    `rates`: a factor's own series where it is not the funnel's (brought to an equal mix)."""
    return _claim(funnel, weeks, margin, None, is_indicative, pasts or {}, rates or {})


def total_claim(funnel: Funnel, weeks: Weeks, *, season: float, is_indicative: bool, margin: float | None = None,
                control: FloatArray | None = None, pasts: Mapping[str, Past | None] | None = None,
                rates: Mapping[str, WeeklyRate] | None = None) -> ProcessEffect:
    """The same with the number of leads predicted as well: from the leads of an untreated `control` (rung R2), else from
    their own history (R3 to R5)."""
    leads = WeeklyCounts(funnel.leads) if control is None else WeeklyRatio(funnel.leads, control)
    return _claim(funnel, weeks, margin, (leads, season), is_indicative, pasts or {}, rates or {})


def at_margin(effect: ProcessEffect, margin: float) -> ProcessEffect:
    """The same claim at another margin: only the profit changes."""
    if effect.revenue is None or effect.margin is None:
        return replace(effect, margin=margin)
    revenue = effect.revenue
    scaled = {name: getattr(revenue, name) * margin for name in ("observed", "counterfactual", "estimate", "low", "high")}
    return replace(effect, margin=margin, profit=replace(revenue, **scaled))


def effect_of(prediction: Prediction) -> Effect:
    """Effect from one prediction."""
    if np.isnan(prediction.observed):
        raise ValueError("nobody in the post period: there is nothing to compare; wait for mature leads")
    below = prediction.cdf(prediction.observed)
    effect = _effect(prediction.observed, prediction.quantile(LEVELS), 2 * min(below, 1 - below), prediction.method,
                     prediction.season, prediction.n_pre_weeks, prediction.n_post_weeks)
    return replace(effect, widening=prediction.widening)


def interval_of(draws: FloatArray) -> Interval:
    """Median and 95 % interval of draws."""
    low, middle, high = np.quantile(draws, LEVELS)
    return Interval(float(middle), float(low), float(high))


TO_VISIT = ("booking_rate", "show_rate", "visit_rate")


class _Draws(NamedTuple):
    """Draws by factor, in funnel order: what would have been, what was; and each factor's own effect."""

    expected: dict[str, FloatArray]
    observed: dict[str, FloatArray]
    effects: dict[str, Effect | None]


def _claim(funnel: Funnel, weeks: Weeks, margin: float | None, volume: tuple[WeeklyCounts | WeeklyRatio, float] | None,
           is_indicative: bool, pasts: Mapping[str, Past | None], rates: Mapping[str, WeeklyRate]) -> ProcessEffect:
    if margin is not None and not 0 < margin <= 1:
        raise ValueError(f"margin is {margin:g}: give the gross margin as a share above 0 and at most 1, such as 0.6")
    claim: Literal["process", "total"] = "process" if volume is None else "total"
    pre, post = weeks.split(funnel.leads.size)
    draws = _factor_draws(funnel, weeks, pre, post, volume, pasts, rates)
    season = volume[1] if volume is not None and isinstance(volume[0], WeeklyCounts) else 0.0

    def effect(seen: float, expected: FloatArray) -> Effect:
        tail = min(np.count_nonzero(expected <= seen), np.count_nonzero(expected >= seen))
        return _effect(seen, np.quantile(expected, LEVELS), 2 * (tail + 1) / (expected.size + 1), claim, season,
                       pre.size, post.size)

    up_to_visit = [drawn for name, drawn in draws.expected.items() if name not in ("paid_rate", "average_check")]
    visits = float(funnel.visited[post].sum())
    visits_expected: FloatArray = np.prod(up_to_visit, axis=0)
    revenue = profit = revenue_draws = None
    contributions: dict[str, FloatArray] = {}
    if "average_check" in draws.expected and funnel.revenue is not None:
        before, after = np.stack(list(draws.expected.values())), np.stack(list(draws.observed.values()))
        contributions = dict(zip(draws.expected, split_product(before, after), strict=True))
        if volume is None:
            del contributions["leads"]  # the same on both sides: exactly zero
        earned, earned_expected = float(funnel.revenue[post].sum()), np.prod(before, axis=0)
        revenue, revenue_draws = effect(earned, earned_expected), earned - earned_expected
        profit = None if margin is None else effect(earned * margin, earned_expected * margin)
    return ProcessEffect(claim, is_indicative, draws.effects, effect(visits, visits_expected), revenue, profit, margin,
                         visits - visits_expected, revenue_draws, contributions, draws.expected)


def _factor_draws(funnel: Funnel, weeks: Weeks, pre: IndexArray, post: IndexArray,
                  volume: tuple[WeeklyCounts | WeeklyRatio, float] | None, pasts: Mapping[str, Past | None],
                  rates: Mapping[str, WeeklyRate]) -> _Draws:
    rng = np.random.default_rng(DRAW_SEED)
    leads = np.full(N_DRAWS, funnel.leads[post].sum())
    draws = _Draws({"leads": leads}, {"leads": leads}, {})
    if volume is not None:
        counts, season = volume
        prediction = (llq(counts, weeks, CONTROL) if isinstance(counts, WeeklyRatio)
                      else llq(counts, weeks, TOTAL, season, pasts.get("leads")))
        draws.expected["leads"], draws.effects["leads"] = prediction.sample(N_DRAWS, rng), effect_of(prediction)
    for name, series in funnel.factors().items():
        if isinstance(series, WeeklyCheck) and not series.n[pre].any():
            continue  # no payment before the launch: visits can be claimed, money cannot
        try:
            mode = CHECK if isinstance(series, WeeklyCheck) else RATE
            prediction = llq(rates.get(name, series), weeks, mode, past=pasts.get(name))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        is_reached = not np.isnan(prediction.observed)
        draws.expected[name] = prediction.sample(N_DRAWS, rng)
        # A step nobody came to cannot have changed: it is carried at its counterfactual and contributes nothing.
        draws.observed[name] = np.full(N_DRAWS, prediction.observed) if is_reached else draws.expected[name]
        draws.effects[name] = effect_of(prediction) if is_reached else None
    if volume is not None:
        _bind_visits(draws, funnel, weeks, volume, pasts)
    return draws


def _bind_visits(draws: _Draws, funnel: Funnel, weeks: Weeks, volume: tuple[WeeklyCounts | WeeklyRatio, float],
                 pasts: Mapping[str, Past | None]) -> None:
    """Make leads x rates draw the visits as their own series says they would have been.

    Visits are known better than the product of parts that are each in doubt. The product keeps its order and takes the
    quantiles of the visits' own prediction; the leads absorb the difference, so that parts still multiply and add up.
    """
    counts, season = volume
    if isinstance(counts, WeeklyRatio):
        prediction = llq(WeeklyRatio(funnel.visited, counts.control), weeks, CONTROL)
    else:
        prediction = llq(WeeklyCounts(funnel.visited), weeks, TOTAL, season, pasts.get("leads"))
    rates: FloatArray = np.prod([draws.expected[name] for name in TO_VISIT if name in draws.expected], axis=0)
    order = np.argsort(draws.expected["leads"] * rates, kind="stable")
    visits = np.empty(N_DRAWS)
    visits[order] = prediction.quantile((np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    draws.expected["leads"] = np.where(rates > 0, visits / np.where(rates > 0, rates, 1.0), draws.expected["leads"])


def _effect(observed: float, quantiles: FloatArray, p_value: float, method: str, season: float,
            n_pre_weeks: int, n_post_weeks: int) -> Effect:
    low, middle, high = (float(q) for q in quantiles)
    relative = null = detectable = None
    if low > 0:
        relative = Interval(observed / middle - 1, observed / high - 1, observed / low - 1)
        null = Interval(0.0, low / middle - 1, high / middle - 1)
        detectable = DETECTABLE_HALF_WIDTHS * (high - low) / 2 / middle
    return Effect(observed, middle, observed - middle, observed - high, observed - low, relative, null, detectable,
                  float(min(1.0, p_value)), method, season, n_pre_weeks, n_post_weeks)
