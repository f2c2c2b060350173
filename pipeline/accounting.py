"""The accounting of a programme: one measurement of all its modules, and what of it can be told apart."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipeline import metrics
from pipeline.checks import Window, run_checks, trust_score
from pipeline.claims import funnel_from
from pipeline.costing import launch_money
from pipeline.costs import Costs
from pipeline.coverage import coverage_of, find_horizon, leads_by_day
from pipeline.effects import Effect, Interval, check_effect, rate_effect
from pipeline.errors import ConfigError, NothingToMeasure
from pipeline.journeys import StageUse, build_journeys, build_zones, keep_zones
from pipeline.ladder import MIN_VISITS, MIN_WEEKS
from pipeline.launches import Launch
from pipeline.metrics import Cells
from pipeline.modules import Account, Start, Step, Zone, account_for, around
from pipeline.periods import AsOf, Horizon, Periods, horizon_hours, known_until, last_gap, monday_after, monday_of, split_periods
from pipeline.programmes import Programme
from pipeline.roi import MONTH_DAYS, SavedHours
from pipeline.settings import Settings
from pipeline.spending import LaunchMoney
from pipeline.strict import nearest
from pipeline.weekly import FloatArray, WeeklyCheck, WeeklyRate, Weeks

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

FUNNEL = ("leads", "booking_conversion", "visit_conversion", "revenue")
DEFAULT_POOL = ("booking_conversion", "show_rate", "average_check")
WEEK = timedelta(days=7)
# A module that has its own figure for so many of its leads has an ROI: costs cannot be parted like leads.
MOST_LEADS = 0.9

State = Literal["told", "partly", "joint", "too_few", "no_leads", "not_begun"]


@dataclass(frozen=True, slots=True)
class ModuleMoney:
    """What a module cost and, where it can be told apart, earned; `saved`: cash hours, part of the benefit, not of `amount`."""

    launch: Launch
    state: State
    n_weeks: int
    n_leads: float
    amount: Interval | None
    saved: float
    cost: float | None
    not_counted: tuple[str, ...]
    net: Interval | None = None
    roi: Interval | None = None


@dataclass(frozen=True, slots=True)
class PoolEffect:
    """What the modules of a step did together to a metric of their pools, in one zone and its weeks."""

    modules: tuple[str, ...]
    metric: str
    unit: str
    better: str
    effect: Effect


@dataclass(frozen=True, slots=True, eq=False)
class ProgrammeMeasurement:
    """Everything `programme_document` writes."""

    programme: Programme
    as_of: AsOf
    known_on: date
    currency: str
    timezone: str
    periods: Periods
    horizon: Horizon
    margin: float | None
    account: Account
    modules: tuple[ModuleMoney, ...]
    pool: Mapping[tuple[frozenset[str], tuple[str, ...]], tuple[PoolEffect, ...]]
    zones: tuple[Zone, ...]
    trust_score: int
    config_hash: str
    metric_titles: Mapping[str, str] = field(default_factory=dict)


def measure_programme(reading: "Reading", programme: Programme, settings: Settings, as_of: AsOf) -> ProgrammeMeasurement:
    """Measure a programme as of a time: the whole once, and each module where it can be told apart.

    Raises NothingToMeasure (nothing has begun, no leads, too few weeks or visits), ConfigError (a pool of unknown metrics).
    """
    business, launches = settings.business, programme.launches(settings.launches)
    _check_pool(programme)
    stages = build_journeys(reading, stages=settings.stages, channels=settings.channels, seen_until=as_of.seen_until,
                            currency=business.currency, funnel=settings.funnel)  # fmt: skip
    found = build_zones(reading, [launch.scope for launch in launches])
    touched = [zone for zone in found if zone]
    first = launches[0].started_on
    keep_zones(reading, touched or [-1], seen_until=as_of.seen_until, currency=business.currency)
    whole = Launch(programme.name, programme.title, first,
                   horizon_days=max((one.horizon_days for one in launches if one.horizon_days), default=None))  # fmt: skip
    ends = [(one.last_on, one.heard_on) for one in coverage_of(reading, as_of, whole, business.zone) if one.last_on]
    known_on = known_until(as_of.on, first, ends)
    horizon = find_horizon(reading, whole, settings, as_of, known_on)
    _, days = leads_by_day(reading, as_of)
    gap = last_gap(days, first, business.closures)
    periods = split_periods(first, gap.first_on if gap else min(days, default=None), known_on, horizon.days, 0, business.closures)
    window = Window(periods.pre.start, known_on, known_on - timedelta(days=horizon.days), as_of.seen_until, business.currency)
    score = trust_score(run_checks(reading, window))

    spend = settings.spend()
    costs = [launch_money(reading, launch, settings, spend, periods, known_on, as_of.seen_until) for launch in launches]

    starts = [_start(launch, periods) for launch in launches]
    begun = [start for start in starts if start.at < len(periods.weeks)]
    zones, cells = _zones(reading, touched, launches, begun, periods, horizon, stages, programme, as_of, business.currency)
    left_out = _left_out(periods)
    margin = next((launch.margin for launch in launches if launch.margin is not None), None)
    account = _account(begun, zones, left_out, margin, periods, horizon)
    return ProgrammeMeasurement(
        programme=programme, as_of=as_of, known_on=known_on, currency=business.currency, timezone=business.timezone,
        periods=periods, horizon=horizon, margin=margin, account=account,
        modules=_modules(launches, costs, starts, zones, account, left_out, known_on, margin),
        pool=_pool_effects(account, programme, cells, left_out, starts, periods), zones=tuple(zones), trust_score=score,
        config_hash=_fingerprint(programme, launches, settings),
        metric_titles={name: one.query.title for of_zone in cells.values() for name, one in of_zone.items()},
    )  # fmt: skip


def _check_pool(programme: Programme) -> None:
    known = metrics.names()
    for module, names in programme.pool.items():
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"launches.toml: [programme.{programme.name}.pool] {module}: no metric {name!r}{nearest(name, known)}",
                    hint=f"known: {', '.join(known)}",
                )


def _fingerprint(programme: Programme, launches: Sequence[Launch], settings: Settings) -> str:
    facts = [asdict(programme), [settings.fingerprint(launch) for launch in launches]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _start(launch: Launch, periods: Periods) -> Start:
    week = monday_of(launch.started_on)
    settled = max(week + WEEK, monday_after(launch.started_on + timedelta(days=launch.washout_days)))
    return Start(launch.name, (week - periods.pre.start) // WEEK, (settled - periods.pre.start) // WEEK)


def _left_out(periods: Periods) -> np.typing.NDArray[np.bool_]:
    closed = {week.week for week in periods.left_out}
    return np.array([monday in closed for monday in periods.weeks], dtype=np.bool_)


def _zones(
    reading: "Reading", touched: Sequence[int], launches: Sequence[Launch], begun: Sequence[Start], periods: Periods,
    horizon: Horizon, stages: Sequence[StageUse], programme: Programme, as_of: AsOf, currency: str,
) -> tuple[list[Zone], dict[frozenset[str], dict[str, Cells]]]:  # fmt: skip
    """Leads by the modules that have begun and touch them, and the cells of every metric needed there."""
    names = {start.name for start in begun}
    numbers: dict[frozenset[str], list[int]] = {}
    for zone in touched:
        inside = frozenset(one.name for n, one in enumerate(launches) if zone >> n & 1 and one.name in names)
        if inside:
            numbers.setdefault(inside, []).append(zone)
    wanted = sorted({*FUNNEL, *DEFAULT_POOL, *(name for pool in programme.pool.values() for name in pool)})
    weeks, cells, zones = periods.weeks, {}, []
    for inside in sorted(numbers, key=sorted):
        keep_zones(reading, numbers[inside], seen_until=as_of.seen_until, currency=currency)
        found = {
            name: metrics.observe(reading, name, weeks[0], weeks[-1] + WEEK, horizon_hours(horizon.days)) for name in wanted
        }
        cells[inside] = {name: one for name, one in found.items() if one is not None}
        weekly = {name: cells[inside][name].weekly(weeks) for name in FUNNEL}
        zones.append(Zone(inside, funnel_from(weekly, stages)))
    return zones, cells


def _account(starts: Sequence[Start], zones: Sequence[Zone], left_out: np.typing.NDArray[np.bool_], margin: float | None,
             periods: Periods, horizon: Horizon) -> Account:  # fmt: skip
    visits: FloatArray = np.sum([zone.funnel.visited for zone in zones], axis=0) if zones else np.zeros(len(periods.weeks))
    counted = np.flatnonzero(~left_out)
    n_pre = len(periods.pre.mondays)
    sides = {"before": counted[counted < n_pre], "after": counted[counted > n_pre]}
    for side, weeks in sides.items():
        if weeks.size < MIN_WEEKS or visits[weeks].sum() < MIN_VISITS:
            raise NothingToMeasure(
                f"the programme has {weeks.size} whole weeks and {visits[weeks].sum():.0f} visits {side} its first module; it "
                f"needs {MIN_WEEKS} weeks and {MIN_VISITS} visits, {horizon.days} days after the leads came",
                hint="load older leads" if side == "before" else "measure it again in some weeks",
            )
    try:
        return account_for(starts, zones, left_out, margin)
    except ValueError as error:
        raise NothingToMeasure(f"the programme cannot be measured: {error}", hint="`payback check` looks at stages") from None


def _modules(
    launches: Sequence[Launch], costs: Sequence[LaunchMoney], starts: Sequence[Start], zones: Sequence[Zone], account: Account,
    left_out: np.typing.NDArray[np.bool_], known_on: date, margin: float | None,
) -> tuple[ModuleMoney, ...]:  # fmt: skip
    """Costs of the weeks each module ran and counts for, and its net where it has a figure of its own."""
    skipped = left_out.copy()
    for start in starts:
        skipped[start.at : start.settled] = True
    found = []
    for launch, money, start in zip(launches, costs, starts, strict=True):
        weeks = np.flatnonzero(~skipped)
        weeks = weeks[weeks >= start.settled]
        n_leads = float(sum(zone.funnel.leads[weeks].sum() for zone in zones if launch.name in zone.modules))
        state = _state(launch.name, account, zones, is_begun=launch.started_on <= known_on)
        months, is_begun = 7 * weeks.size / MONTH_DAYS, state != "not_begun"
        cost, saved, missing = _cost(launch, money.over(weeks), months, n_leads, is_begun=is_begun)
        amount, net, roi = account.amounts.get((launch.name,)), None, None
        if state == "told" and margin is not None and cost is not None and amount is not None:
            net, roi = net_and_roi(amount, account.draws[(launch.name,)], saved, cost)
        found.append(ModuleMoney(launch, state, weeks.size, n_leads, amount, saved, cost, missing, net, roi))
    return tuple(found)


def net_and_roi(amount: Interval, draws: FloatArray, saved: float, cost: float) -> tuple[Interval, Interval | None]:
    """Of a part: their estimates follow from its amount and cost, as anybody reckons them; ROI None where it cost nothing."""
    net, nets = amount.estimate + saved - cost, draws + saved - cost
    return around(net, nets), around(net / cost, nets / cost) if cost else None


def _cost(
    launch: Launch, costs: Costs, months: float, n_leads: float, *, is_begun: bool
) -> tuple[float | None, float, tuple[str, ...]]:
    """Cost over the months, worth of cash hours, and the lines not counted; cost None when no line was filled in."""
    lines = launch.costs
    if not is_begun:
        return 0.0, 0.0, ()
    saved = SavedHours(lines.saved_hours_monthly, lines.hour_rate, lines.is_saved_cash)
    cash = (saved.value or 0.0) * months if saved.is_cash else 0.0
    running = costs.a_month(n_leads / months) * months if months else 0.0
    return (costs.once + running if costs.is_known else None), cash, costs.not_counted


def _state(name: str, account: Account, zones: Sequence[Zone], *, is_begun: bool) -> State:
    if not is_begun:
        return "not_begun"
    if account.told_share(name) >= MOST_LEADS:
        return "told"
    if any((name,) == names for names in account.draws):
        return "partly"
    if any(name in names for names in account.draws):
        return "joint"
    return "too_few" if any(name in zone.modules for zone in zones) or not zones else "no_leads"


def _pool_effects(account: Account, programme: Programme, cells: Mapping[frozenset[str], Mapping[str, Cells]],
                  left_out: np.typing.NDArray[np.bool_], starts: Sequence[Start], periods: Periods,
                  ) -> dict[tuple[frozenset[str], tuple[str, ...]], tuple[PoolEffect, ...]]:  # fmt: skip
    """Effects on the metrics a module is judged by, in the weeks it is measured on; rates and means only."""
    skipped = left_out.copy()
    for start in starts:
        skipped[start.at : start.settled] = True
    found = {}
    for step in account.steps:
        effects = []
        pools = (programme.pool.get(module) or DEFAULT_POOL for module in step.modules if step.effect is not None)
        for name in dict.fromkeys(name for pool in pools for name in pool):
            one = cells[step.zone].get(name)
            effect = None if one is None else _effect(one, step, skipped, periods.weeks)
            if one is not None and effect is not None:
                effects.append(PoolEffect(step.modules, name, one.query.unit, one.query.better, effect))
        found[step.zone, step.modules] = tuple(effects)
    return found


def _effect(cells: Cells, step: Step, skipped: np.typing.NDArray[np.bool_], mondays: Sequence[date]) -> Effect | None:
    if cells.columns != metrics.RATE and not cells.is_mean:
        return None
    data = {name: column[step.pre_start : step.end] for name, column in cells.weekly(mondays).items()}
    weeks = Weeks(step.pre_end - step.pre_start, step.settled - step.pre_end, skipped[step.pre_start : step.end])
    try:
        if cells.columns == metrics.RATE:
            return rate_effect(WeeklyRate(data["numerator"], data["denominator"]), weeks)
        return check_effect(WeeklyCheck(data["n"], data["total"], data["total_sq"]), weeks)
    except ValueError:  # nobody on a side
        return None
