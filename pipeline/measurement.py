"""One measurement of one launch: journeys, periods, metrics, the claim the data can carry, money, verdict.

`measure` is deterministic: the same warehouse, `as_of` and settings give the same `pipeline.document.document`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from connectors.contract import Finding
from pipeline import ladder, metrics
from pipeline.account import SPLITS, part_funnels
from pipeline.ad_spend import Spend
from pipeline.arms import observe_arms
from pipeline.checks import Window, WrongRow, run_checks, trust_score, wrong_rows
from pipeline.claims import (
    Claim,
    ClaimName,
    Expected,
    Ground,
    MetricResult,
    climb,
    expected_visits,
    funnel_from,
    funnel_of,
    make_claims,
    reach_verdict,
    turned_verdicts,
)
from pipeline.controls import Candidate, Control
from pipeline.costing import launch_money
from pipeline.coverage import (
    SourceCoverage,
    coverage_of,
    erased_from,
    find_horizon,
    leads_by_day,
    owner_names,
    told_of,
)
from pipeline.customers import read_history
from pipeline.daily import Days, observe_days
from pipeline.effects import Funnel, check_effect, rate_effect, total_effect
from pipeline.efficiency import Pool, observe_pool
from pipeline.forecast import Forecast, forecast
from pipeline.funnel import OwnFunnel
from pipeline.holdout import HoldoutEffect, TooFewLeads, analyse
from pipeline.hurdles import Hurdle
from pipeline.journeys import StageUse, build_journeys
from pipeline.judging import Judged, Outlook, judge, outlook
from pipeline.ladder import Rung, Verdict
from pipeline.launches import Launch
from pipeline.llq import Past
from pipeline.looks import PlaceboPanel
from pipeline.metrics import Cells, Figure
from pipeline.observed import sides_of
from pipeline.own_figures import StepCount, count_steps, observe_own
from pipeline.panel import Panel, measure_panel
from pipeline.periods import (
    HORIZONS,
    AsOf,
    Horizon,
    Periods,
    horizon_hours,
    known_until,
    last_gap,
    monday_of,
    split_periods,
)
from pipeline.power import Power
from pipeline.recording import Guard
from pipeline.sensitivity import Variation
from pipeline.settings import Settings
from pipeline.spending import LaunchMoney
from pipeline.support import Support, observe_support
from pipeline.unseen import unseen_names
from pipeline.weekly import WeeklyCheck, WeeklyCounts, WeeklyRate, Weeks

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """Everything `document` writes and reports show. `known_on`: outcomes are known up to the start of that day."""

    launch: Launch
    as_of: AsOf
    known_on: date
    currency: str
    timezone: str
    periods: Periods
    horizon: Horizon
    metrics: Mapping[str, MetricResult]
    days: Days | None
    rung: Rung
    claims: Mapping[ClaimName, Claim]
    expected: Expected | None
    verdict: Verdict
    turned: tuple[Verdict, Verdict] | None
    """The verdicts with the ranges of uncounted costs at their low and at their high ends; None without such costs."""
    costs: LaunchMoney
    spend: Spend | None
    guards: tuple[Guard, ...]
    control: Control | None
    candidates: tuple[Candidate, ...]
    pasts: Mapping[str, Past | None]
    placebo: PlaceboPanel | None
    power: Power | None
    sensitivity: tuple[Variation, ...]
    panel: Panel | None
    forecast: Forecast | None
    holdout: HoldoutEffect | TooFewLeads | None  # a text: why a running hold-out cannot be read yet
    findings: tuple[Finding, ...]
    unclosed: tuple[WrongRow, ...]
    """Visits that nobody closed, each with its manager."""
    trust_score: int
    hurdles: tuple[Hurdle, ...]
    stages: tuple[StageUse, ...]
    owner_names: Mapping[str, str]
    sources: tuple[SourceCoverage, ...]
    n_leads: int
    config_hash: str
    own: OwnFunnel
    """The business's own funnel; its metrics stand among `metrics`, nothing of money looks at them."""
    steps: tuple[StepCount, ...]
    support: Support | None = None
    efficiency: Pool | None = None

    @property
    def headline(self) -> Claim | None:
        """The claim the report leads with."""
        return None if self.rung.headline == "none" else self.claims.get(self.rung.headline)


def measure(reading: "Reading", launch: Launch, settings: Settings, as_of: AsOf, *, known_on: date | None = None,
            is_brief: bool = False) -> Measurement:
    """Measure a launch as of a time.

    `known_on`: count outcomes as if no later day were known, though corrections made since then are. `is_brief` leaves out
    what no figure needs: days, how long until more is known, other choices, owners' panel, forecast, hold-out.
    Raises NothingToMeasure (a launch in the future, no leads, no pre period), ConfigError (a negative cost), WarehouseError.
    """
    business = settings.business
    stages = build_journeys(
        reading,
        stages=settings.stages,
        channels=settings.channels,
        seen_until=as_of.seen_until,
        currency=business.currency,
        scope=launch.scope,
        funnel=settings.funnel,
    )
    sources = coverage_of(reading, as_of, launch, business.zone)
    ends = [(source.last_on, source.heard_on) for source in sources if source.last_on]
    known_on = min(known_until(as_of.on, launch.started_on, ends), known_on or date.max)
    horizon = find_horizon(reading, launch, settings, as_of, known_on)
    n_leads, lead_days = leads_by_day(reading, as_of)
    gap = last_gap(lead_days, launch.started_on, business.closures)
    first_on = gap.first_on if gap else min(lead_days, default=None)
    periods = split_periods(launch.started_on, first_on, known_on, horizon.days, launch.washout_days, business.closures)
    weeks = _weeks(periods)
    measured = _observe_all(reading, periods, horizon, launch.margin)
    own_cells, wrong = observe_own(reading, settings.funnel, periods, horizon_hours(horizon.days))
    own = {name: _result(cells, periods) for name, cells in own_cells.items()}
    weekly = {name: result.cells for name, result in measured.items()}
    days = None if is_brief else observe_days(reading, weekly, periods, known_on, as_of.on)
    window = Window(periods.pre.start, known_on, known_on - timedelta(days=horizon.days), as_of.seen_until, business.currency)
    unseen = unseen_names(reading, launch, as_of.seen_until)
    told = (*told_of(gap, sources, as_of, settings), *erased_from(reading, window, launch, settings), *wrong, *unseen)
    findings = (*run_checks(reading, window), *told)
    score = trust_score(findings)

    spend = settings.spend()
    costs = launch_money(reading, launch, settings, spend, periods, known_on, as_of.seen_until)
    funnel = funnel_of(measured, stages)
    rung = climb(measured, periods, known_on)
    if rung.is_refused or rung.total is None:
        found = Judged(rung)
    else:
        found = judge(reading, launch, settings.launches, funnel, weeks, periods, known_on, measured, rung.total.season)
    rung, season = found.rung, found.season
    claims: dict[ClaimName, Claim] = {}
    more = Outlook()
    if not rung.is_refused:
        measured = {name: _with_effect(result, weeks, season) for name, result in measured.items()}
        own = {name: _with_effect(result, weeks, season) for name, result in own.items()}
        cells = {name: result.cells for name, result in measured.items()}
        parts = {split: part_funnels(cells, funnel, split, periods.weeks) for split in SPLITS}
        ground = Ground(launch, funnel, weeks, rung, found.pasts, found.control, found.guards, parts["channel"], costs)
        claims = make_claims(ground, parts)
    if claims and not is_brief:
        again = _other_horizon(reading, settings, launch, as_of, periods, horizon, stages)
        more = outlook(ground, claims, parts, again, bool(found.candidates))
    verdict = reach_verdict(launch, rung, claims, score, found.guards)
    support, efficiency = (None, None) if is_brief else _beside(reading, launch, periods, known_on, as_of)
    turned = turned_verdicts(launch, rung, claims, score, found.guards)
    return Measurement(
        launch=launch, as_of=as_of, known_on=known_on, currency=business.currency,
        timezone=business.timezone, periods=periods, horizon=horizon,
        metrics=dict(sorted({**measured, **own}.items())), days=days, rung=rung, claims=claims,
        expected=None if rung.is_refused else expected_visits(funnel, weeks, periods, found.pasts.get("visit_rate")),
        verdict=verdict, turned=turned, costs=costs, spend=spend,
        guards=found.guards, control=found.control, candidates=found.candidates,
        pasts=found.pasts, placebo=found.placebo,
        power=more.power, sensitivity=more.sensitivity,
        panel=None if is_brief else measure_panel(reading, launch.scope, launch.started_on, periods, known_on),
        forecast=None if is_brief else _ahead(reading, settings, periods, horizon, known_on, rung, claims),
        holdout=None if is_brief else _held_out(reading, launch, periods, horizon),
        unclosed=() if is_brief else tuple(wrong_rows(reading, "visits_never_closed", window)),
        findings=findings, trust_score=score, stages=stages,
        hurdles=tuple(hurdle for hurdle in settings.hurdles if hurdle.currency == business.currency),
        owner_names=owner_names(reading, as_of), sources=sources, n_leads=n_leads, config_hash=settings.fingerprint(launch),
        own=settings.funnel,
        steps=count_steps(reading, settings.funnel, settings.stages, periods, horizon_hours(horizon.days)),
        support=support, efficiency=efficiency,
    )  # fmt: skip


def _beside(
    reading: "Reading", launch: Launch, periods: Periods, known_on: date, as_of: AsOf
) -> tuple[Support | None, Pool | None]:
    """What stands beside the money: support and the efficiency pool."""
    sides, seen_until = sides_of(periods), as_of.seen_until
    days = periods.horizon_days
    support = observe_support(reading, launch, sides, horizon_days=days, known_on=known_on, seen_until=seen_until)
    replies = support.metrics.get("first_reply") if support else None
    pool = observe_pool(reading, launch, sides, replies, horizon_days=days, known_on=known_on, seen_until=seen_until)
    return support, pool


def _other_horizon(
    reading: "Reading", settings: Settings, launch: Launch, as_of: AsOf, periods: Periods, horizon: Horizon,
    stages: Sequence[StageUse],
) -> dict[int, tuple[Funnel, Weeks]]:  # fmt: skip
    """The funnel under the next longer horizon of the list, or the next shorter one where that leaves no mature week."""
    longer = [days for days in HORIZONS if days > horizon.days][:1]
    shorter = [days for days in reversed(HORIZONS) if days < horizon.days][:1]
    for days in longer + shorter:
        late = days - horizon.days
        mature = monday_of(periods.post.end - timedelta(days=max(late, 0)))
        n_weeks = (mature - periods.weeks[0]).days // 7
        if mature - periods.post.start < timedelta(weeks=ladder.MIN_WEEKS):
            continue
        weeks = _weeks(periods)
        cut = replace(weeks, left_out=None if weeks.left_out is None else weeks.left_out[:n_weeks])
        start, end = periods.weeks[0], mature
        columns = {}
        for name in ("leads", "booking_conversion", "visit_conversion", "revenue"):
            cells = metrics.observe(reading, name, start, end, horizon_hours(days), launch.margin)
            assert cells is not None
            columns[name] = cells.weekly(periods.weeks[:n_weeks])
        return {days: (funnel_from(columns, stages), cut)}
    return {}


def _held_out(reading: "Reading", launch: Launch, periods: Periods, horizon: Horizon) -> HoldoutEffect | TooFewLeads | None:
    """The running hold-out, analysed."""
    if launch.holdout is None:
        return None
    treated, held = observe_arms(reading, launch.holdout, periods.post_weeks, horizon_hours(horizon.days))
    return analyse(treated, held, share=launch.holdout.share)


def _ahead(
    reading: "Reading", settings: Settings, periods: Periods, horizon: Horizon, known_on: date, rung: Rung,
    claims: Mapping[ClaimName, Claim],
) -> Forecast:  # fmt: skip
    """The next months of the launch, out of its leading claim and of how customers come back."""
    history = read_history(reading, known_on, settings.business.zone, horizon_hours(horizon.days))
    leading = None if rung.headline == "none" else claims.get(rung.headline)
    return forecast(leading, history, (periods.post.start - date(1970, 1, 1)).days)


def _weeks(periods: Periods) -> Weeks:
    left_out = {week.week for week in periods.left_out}
    return Weeks(
        n_pre=len(periods.pre.mondays),
        n_washout=(periods.post.start - periods.pre.end).days // 7,
        left_out=np.array([monday in left_out for monday in periods.weeks], dtype=np.bool_),
    )


def _observe_all(reading: "Reading", periods: Periods, horizon: Horizon, margin: float | None) -> dict[str, MetricResult]:
    start, end = periods.weeks[0], periods.weeks[-1] + timedelta(days=7)
    found = {}
    for name in metrics.names():
        cells = metrics.observe(reading, name, start, end, horizon_hours(horizon.days), margin)
        if cells is not None:
            found[name] = _result(cells, periods)
    return found


def _result(cells: Cells, periods: Periods) -> MetricResult:
    by = {dimension: _sides(cells, dimension, periods) for dimension in metrics.DIMENSIONS}
    weekly = cells.weekly(periods.weeks)
    return MetricResult(cells, cells.figure(periods.pre_weeks), cells.figure(periods.post_weeks), weekly, by)


def _sides(cells: Cells, dimension: str, periods: Periods) -> dict[str, tuple[Figure | None, Figure | None]]:
    pre, post = (cells.figures_by(dimension, weeks) for weeks in (periods.pre_weeks, periods.post_weeks))
    return {key: (pre.get(key), post.get(key)) for key in sorted({*pre, *post})}


def _with_effect(result: MetricResult, weeks: Weeks, season: float) -> MetricResult:
    """The result with its effect; sums of money get theirs from a claim, and what nobody reached has none."""
    data, cells = result.weekly, result.cells
    effect = None
    if cells.columns == metrics.COUNT:
        effect = total_effect(WeeklyCounts(data["n"]), weeks, season=season)
    elif cells.columns == metrics.RATE and result.pre.value is not None and result.post.value is not None:
        effect = rate_effect(WeeklyRate(data["numerator"], data["denominator"]), weeks)
    elif cells.is_mean and result.pre.value is not None and result.post.value is not None:
        effect = check_effect(WeeklyCheck(data["n"], data["total"], data["total_sq"]), weeks)
    return replace(result, effect=effect)
