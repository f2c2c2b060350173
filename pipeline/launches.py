"""What is measured, and what it costs: config/launches.toml."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeGuard

from pipeline.checklist import read_checklist
from pipeline.costs import CHECKLIST, SUMS, CostLine, Costs
from pipeline.errors import ConfigError
from pipeline.stages import MILESTONES
from pipeline.strict import Place, build, check_name, nearest, read_toml

# The table that holds the programmes (`programmes`); a launch may still be called so.
PROGRAMME = "programme"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which leads a launch touches; an empty tuple means all."""

    channels: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchCosts:
    """What the launch costs as somebody wrote it, in the business's currency; None is "not counted", which is not 0.

    The sums stand in `Costs` too, checked and priced: a negative one in this file must not keep other launches from being read.
    """

    one_off: float | None = None
    monthly: float | None = None
    usage_per_lead: float | None = None
    staff_hours_one_off: float | None = None
    staff_hours_monthly: float | None = None
    hour_rate: float | None = None
    saved_hours_monthly: float | None = None
    is_saved_cash: bool = False  # saved hours count as money only when somebody is really not paid for them
    ad_spend: tuple[str, ...] = ()  # channels whose ad spend (costs.toml) is a cost of this launch
    lines: tuple[CostLine, ...] = ()  # the checklist, in its order and complete, or nothing of it: checklist.py

    def counted(self) -> Costs:
        """The costs to reckon with. Raises ConfigError for a negative one."""
        try:
            return Costs(**{name: getattr(self, name) for name in SUMS}, lines=self.lines)
        except ValueError as error:
            raise ConfigError(f"launches.toml: {error}") from None

    def facts(self) -> dict[str, Any]:
        """JSON-able; what came later than the sums only where somebody uses it, so that old documents keep their bytes."""
        found = asdict(self)
        return {name: value for name, value in found.items() if value or name not in ("ad_spend", "lines")}


@dataclass(frozen=True, slots=True)
class Holdout:
    """A running hold-out: from `started_on` the hash of a lead's id keeps `share` of the leads with the old process."""

    started_on: date
    salt: str
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class ControlChoice:
    """What the launch is measured against, when the owner knows better than the proposal: values of one dimension."""

    dimension: str
    keys: tuple[str, ...]


ANY_PRIORITY = "*"  # stands in `sla_minutes` for every priority that has no line of its own


@dataclass(frozen=True, slots=True)
class SupportTerms:
    """What it takes to reckon support: nothing is guessed, a line left out is "not counted".

    `minutes_per_request` is what a request takes a person, `sla_minutes` the promise of a first reply by priority ("*": any
    other). A customer who pays within `return_days` after writing has come back; by default the launch's horizon.
    """

    channels: tuple[str, ...] = ()  # of requests, as the export names them; empty: all
    return_days: int | None = None
    minutes_per_request: float | None = None
    hour_rate: float | None = None
    is_saved_cash: bool = False  # only when somebody is really not paid for the hours is the saving money
    one_off: float | None = None
    monthly: float | None = None
    per_request: float | None = None
    sla_minutes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """A move into one of `stages` (a reminder was sent), and the milestone it is to bring about within `days`, the last
    included."""

    stages: tuple[str, ...]
    outcome: str = "visited"
    days: int = 7


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The pool of figures beside money: whose they are, what they are measured against, and the actions that are followed."""

    owners: Mapping[str, str] = field(default_factory=dict)
    baselines: Mapping[str, float] = field(default_factory=dict)  # in the metric's unit; default: the launch's pre period
    actions: Mapping[str, Action] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Launch:
    """A thing that started on a date, in a scope, with costs."""

    name: str
    title: str
    started_on: date
    margin: float | None = None  # share of revenue that stays as gross profit, 0..1
    washout_days: int = 0
    horizon_days: int | None = None  # None: chosen from the pre period
    costs: LaunchCosts = field(default_factory=LaunchCosts)
    scope: Scope = field(default_factory=Scope)
    holdout: Holdout | None = None
    control: ControlChoice | None = None
    support: SupportTerms | None = None
    efficiency: Efficiency | None = None

    def facts(self) -> dict[str, Any]:
        """All of it as plain values; the pools only where they are configured."""
        found = asdict(self)
        return {name: value for name, value in found.items() if value is not None or name not in ("support", "efficiency")}


def read_launches(path: Path, sources: set[str], currency: str = "RUB") -> tuple[Launch, ...]:
    """The launches of launches.toml, in its order. Raises ConfigError naming file, key and the nearest valid key."""
    if not path.is_file():
        return ()
    launches = []
    for name, table in read_toml(path).items():
        if name == PROGRAMME and is_programmes(table):
            continue
        place = Place(path, name)
        check_name(name, place)
        table, lines = _without_lines(table, place, currency)
        launch = build(Launch, {"title": name, **table, "name": name} if isinstance(table, dict) else table, place, {})
        launch = replace(launch, costs=replace(launch.costs, lines=lines))
        if launch.margin is not None and not 0 < launch.margin <= 1:
            raise ConfigError(f"{place.of('margin')}: the margin is a share of revenue above 0 and at most 1, for example 0.6")
        _check_launch(launch, place)
        for source in launch.scope.sources:
            if source not in sources:
                raise ConfigError(f"{place.of('scope')}: no source {source!r}{nearest(source, sorted(sources))}")
        launches.append(launch)
    return tuple(launches)


def is_programmes(table: object) -> TypeGuard[dict[str, dict[str, object]]]:
    """Whether `[programme]` is a table of programmes and not a launch of that name."""
    return isinstance(table, dict) and bool(table) and all(isinstance(one, dict) for one in table.values())


def _without_lines(table: Any, place: Place, currency: str) -> tuple[Any, tuple[CostLine, ...]]:
    """The table of a launch without the lines of the checklist, and those lines."""
    costs = table.get("costs") if isinstance(table, Mapping) else None
    if not isinstance(costs, Mapping):
        return table, ()
    own = [item.name for item in fields(LaunchCosts) if item.name != "lines"]
    for key in costs:
        if key not in own and key not in CHECKLIST:
            known = [*own, *CHECKLIST]
            where = place.of("costs").of(key)
            raise ConfigError(f"{where}: unknown key {key!r}{nearest(key, known)}", hint=f"valid keys: {', '.join(known)}")
    lines = read_checklist(costs, place.of("costs"), currency)
    return {**table, "costs": {key: value for key, value in costs.items() if key in own}}, lines


def _check_launch(launch: Launch, place: Place) -> None:
    """Values no launch can have."""
    for cost, amount in asdict(launch.costs).items():
        if isinstance(amount, float) and not 0 <= amount <= 1e12:
            raise ConfigError(f"{place.of('costs').of(cost)}: a cost is a number from 0 to 10^12, not negative")
    if not 1990 <= launch.started_on.year <= 2200:
        raise ConfigError(f"{place.of('started_on')}: no launch started in the year {launch.started_on.year}")
    if not 0 <= launch.washout_days <= 366:
        raise ConfigError(f"{place.of('washout_days')}: days that count for neither side, from 0 to 366")
    if launch.horizon_days is not None and not 1 <= launch.horizon_days <= 366:
        raise ConfigError(f"{place.of('horizon_days')}: days an outcome may take, from 1 to 366; leave it out to have it chosen")
    if launch.control is not None:
        dimensions = ("channel", "branch", "owner", "pipeline")
        if launch.control.dimension not in dimensions:
            where = place.of("control").of("dimension")
            raise ConfigError(
                f"{where}: {launch.control.dimension!r} is no dimension{nearest(launch.control.dimension, dimensions)}",
                hint=f"one of {', '.join(dimensions)}",
            )
        if not launch.control.keys:
            raise ConfigError(f"{place.of('control').of('keys')}: name at least one {launch.control.dimension}")
    if launch.holdout is not None:
        _check_holdout(launch, launch.holdout, place.of("holdout"))
    if launch.support is not None:
        _check_support(launch.support, place.of("support"))
    if launch.efficiency is not None:
        for name, action in launch.efficiency.actions.items():
            _check_action(action, place.of("efficiency").of("actions").of(name))


def _check_support(terms: SupportTerms, place: Place) -> None:
    for name in ("minutes_per_request", "hour_rate", "one_off", "monthly", "per_request"):
        amount = getattr(terms, name)
        if amount is not None and not 0 <= amount <= 1e12:
            raise ConfigError(f"{place.of(name)}: a number from 0 to 10^12, not negative", hint="leave it out if it is not known")
    if terms.return_days is not None and not 1 <= terms.return_days <= 366:
        raise ConfigError(f"{place.of('return_days')}: days a customer may take to buy again, from 1 to 366")
    for priority, minutes in terms.sla_minutes.items():
        if not 0 < minutes <= 366 * 1440:
            where = place.of("sla_minutes").of(priority)
            raise ConfigError(f"{where}: minutes to the first reply, above 0 and at most a year")


def _check_action(action: Action, place: Place) -> None:
    if not action.stages:
        raise ConfigError(f"{place.of('stages')}: name at least one stage that the action moves a lead or deal into")
    if action.outcome not in MILESTONES:
        raise ConfigError(
            f"{place.of('outcome')}: {action.outcome!r} is no milestone{nearest(action.outcome, MILESTONES)}",
            hint=f"milestones: {', '.join(MILESTONES)}",
        )
    if not 0 <= action.days <= 366:
        raise ConfigError(f"{place.of('days')}: days within which the outcome counts, from 0 (the day itself) to 366")


def _check_holdout(launch: Launch, holdout: Holdout, place: Place) -> None:
    if not 0 < holdout.share < 1:
        raise ConfigError(f"{place.of('share')}: the part of the leads held out is above 0 and below 1, for example 0.5")
    if not holdout.salt.strip():
        raise ConfigError(f"{place.of('salt')}: the salt is empty", hint="`payback plan holdout` proposes one")
    if holdout.started_on < launch.started_on:
        raise ConfigError(
            f"{place.of('started_on')}: the hold-out starts before the launch of {launch.started_on}",
            hint="before the launch there is nothing to hold anybody out of",
        )
