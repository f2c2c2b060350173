"""The product's own measurement as the validation calls it: the one file to change when a signature changes.

Nothing is estimated here. Each function makes the calls that `payback measure` makes, on weekly statistics instead of a
warehouse, and hands back what a reader would be told: an effect, or why there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from bench.simulator import Launches
from pipeline import ladder
from pipeline.effects import Effect, Funnel, ProcessEffect, effect_of, process_effect, rate_effect, total_claim, total_effect
from pipeline.guards import control_shock, strong_growth
from pipeline.ladder import Facts, Rung
from pipeline.llq import learn, llq
from pipeline.looks import LOOKS_LEVEL
from pipeline.modes import CONTROL, RATE, TOTAL
from pipeline.periods import Periods, choose_horizon, split_periods
from pipeline.prediction import table_of
from pipeline.recording import Guard, Recorded, recording_guards, standardised
from pipeline.roi import Costs, Money, compute_money
from pipeline.weekly import FloatArray, WeeklyCounts, WeeklyRate, WeeklyRatio, Weeks

# The calm temperament alone, as the notes had it.
SKETCH_TOTAL, SKETCH_CONTROL = (replace(mode, restless=(), can_be_faint=False) for mode in (TOTAL, CONTROL))
SKETCH_SEASON = 0.15
# Leads and booked leads a week, by source.
Sources = Mapping[str, tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class Told:
    """One claim as a reader is told it; `effect` None: refused or withheld, `why` is the code of the rule."""

    effect: ProcessEffect | None
    why: str = ""


def process(funnel: Funnel, weeks: Weeks, sources: Sources, *, margin: float | None = None) -> Told:
    """The process claim."""
    rung = _rung(funnel.visited, weeks)
    if rung.is_refused:
        return Told(None, rung.reasons[0].code)
    if len(sources) > 1:  # with one source there is no mix to change
        leads, booked = ({name: pair[side] for name, pair in sources.items()} for side in (0, 1))
        found = _withholding(recording_guards(Recorded(WeeklyCounts(funnel.leads), leads, booked), weeks))
        if found is not None:
            return Told(None, found.code)
        return Told(process_effect(funnel, weeks, margin=margin, rates={"booking_rate": standardised(booked, leads, weeks)}))
    return Told(process_effect(funnel, weeks, margin=margin))


def total(funnel: Funnel, weeks: Weeks, *, control: FloatArray | None = None, margin: float | None = None) -> Told:
    """The total claim, against `control` (leads a week of an untreated series) where there is one."""
    rung = _rung(funnel.visited, weeks)
    if rung.total is None:
        return Told(None, rung.reasons[0].code)
    leads, season, is_indicative = WeeklyCounts(funnel.leads), rung.total.season, rung.total.is_indicative
    if control is not None:
        found = _withholding([control_shock(WeeklyCounts(control), leads, weeks)])
        season, is_indicative = 0.0, False
    else:
        weeks = replace(weeks, max_post=rung.total.max_post_weeks)
        found = _withholding([strong_growth(leads, weeks, season, WeeklyRate(funnel.visited, funnel.leads))])
    if found is not None:
        return Told(None, found.code)
    return Told(total_claim(funnel, weeks, season=season, is_indicative=is_indicative, margin=margin, control=control))


def sketch(launches: Launches, at: int) -> Effect | None:
    """The total claim on visits as the notes the project started from had it: one temperament, no widening, season .15 below
    a year. What the product must be compared with on the same launches."""
    weeks = launches.weeks(at)
    rung = _rung(launches.visited[at], weeks)
    if rung.total is None:
        return None
    visits = launches.visited[at]
    if launches.control is None:
        season = SKETCH_SEASON if rung.total.code == "R4" else rung.total.season
        weeks, mode = replace(weeks, max_post=rung.total.max_post_weeks), SKETCH_TOTAL
        found = llq(WeeklyCounts(visits), weeks, mode, season)
    else:
        found = llq(WeeklyRatio(visits, launches.control[at]), weeks, SKETCH_CONTROL)
    middle = found.mean  # the widening is taken back
    means, sds = middle + (found.means - middle) / found.widening, found.sds / found.widening
    return effect_of(replace(found, means=means, sds=sds, table=table_of(found.weights, means, sds)))


def rate_told(rate: WeeklyRate, weeks: Weeks, sisters: Iterable[WeeklyRate]) -> Effect | None:
    """The effect on one rate; `sisters`: the same rate of the account's other channels, known over the same weeks."""
    if _rung(rate.numerator, weeks).is_refused:
        return None
    return rate_effect(rate, weeks, learn(list(sisters), weeks, RATE))


def count_told(counts: WeeklyCounts, weeks: Weeks, sisters: Iterable[WeeklyCounts]) -> Effect | None:
    """The total claim on one count without a control; `sisters` as in `rate_told`."""
    rule = _rung(counts.total, weeks).total
    if rule is None:
        return None
    short = replace(weeks, max_post=rule.max_post_weeks)
    if _withholding([strong_growth(counts, short, rule.season)]) is not None:
        return None
    return total_effect(counts, short, season=rule.season, past=learn(list(sisters), short, TOTAL, rule.season))


def first_false_proof(readings: Iterable[Effect | None]) -> int | None:
    """The first of a launch's weekly looks (0 is the first) that is called proven, either way; None: never.

    `readings`: the effect as read on every Monday in turn, None where it was refused.
    """
    is_proven = (effect is not None and effect.p_value < LOOKS_LEVEL for effect in readings)
    return next((look for look, proven in enumerate(is_proven) if proven), None)


def money(effect: ProcessEffect, costs: Costs, funnel: Funnel, weeks: Weeks) -> Money:
    """What a claim comes to, as `pipeline.claims` asks for it."""
    post = weeks.split(funnel.leads.size)[1]
    return compute_money(effect, costs, window_days=7 * post.size, n_leads=float(funnel.leads[post].sum()))


def horizon_days(n_within: Mapping[int, float], n_outcomes: float) -> int:
    """The horizon the product would fix at the launch."""
    return choose_horizon("visited", {days: int(n) for days, n in n_within.items()}, int(n_outcomes)).days


def mature_weeks(n_pre: int, as_of_day: int, horizon: int) -> tuple[Weeks, Periods]:
    """The weeks that count when outcomes are known before day `as_of_day` of a series that starts on a Monday."""
    first = date(2025, 1, 6)
    launch = first + timedelta(weeks=n_pre)
    periods = split_periods(launch, first, first + timedelta(days=as_of_day), horizon)
    n_washout = (periods.post.start - periods.pre.end).days // 7
    return Weeks(n_pre, n_washout, max_post=len(periods.post_weeks)), periods


def _rung(visits: FloatArray, weeks: Weeks) -> Rung:
    """The rung that so many weeks and visits reach."""
    pre, post = weeks.split(visits.size)
    return ladder.climb(Facts(pre.size, post.size, float(visits[pre].sum()), float(visits[post].sum())))


def _withholding(guards: Iterable[Guard | None]) -> Guard | None:
    """The first guard that withholds its claim."""
    return next((guard for guard in guards if guard is not None and guard.action == "withhold"), None)
