"""The efficiency pool of a launch: decision speed, task flow, accuracy, response loop, and what followed its actions.

Every figure has an owner, a unit, a baseline and one SQL file. The pool stands beside money and never enters it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline import queries
from pipeline.errors import ConfigError
from pipeline.launches import Action, Efficiency, Launch
from pipeline.observed import Observed, Sides, observe
from pipeline.periods import horizon_hours
from pipeline.strict import nearest

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

GROUPS: Mapping[str, tuple[str, ...]] = {
    "decision_speed": ("decision_time",),
    "task_flow": ("booking_step", "payment_step", "handoffs"),
    "accuracy": ("decisions_right", "rework"),
    "response_loop": ("first_reply", "first_contact"),
}
ACTIONS = "actions"
FROM_SUPPORT = "first_reply"
# What needs no stage history. The present stage alone would make rework always 0 % and every qualified lead rightly so.
WITHOUT_HISTORY = ("handoffs", FROM_SUPPORT)
# Milestones that imply another one, as in sql/journeys.sql.
_IMPLIED_BY: Mapping[str, tuple[str, ...]] = {
    "qualified": ("qualified", "booked", "confirmed", "no_show", "visited", "paid"),
    "booked": ("booked", "confirmed", "no_show", "visited", "paid"),
    "visited": ("visited", "paid"),
}


@dataclass(frozen=True, slots=True, eq=False)
class PoolFigure:
    """One figure of the pool. `baseline` is in the figure's unit (of a duration: its median), given or that of the pre side;
    `action` and `days` name the window where the figure follows an action."""

    key: str
    group: str
    observed: Observed
    owner: str
    baseline: float | None
    baseline_from: str  # "config" | "pre"
    action: str | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The figures of one launch that have anything to count, in the order of `GROUPS`. Without a stage history, when no record is
    known to have moved from one stage to another, only those that need none."""

    sides: Sides
    figures: tuple[PoolFigure, ...]
    has_history: bool = True


def observe_pool(
    reading: "Reading", launch: Launch, sides: Sides, replies: Observed | None, *,
    horizon_days: int, known_on: date, seen_until: datetime,
) -> Pool | None:  # fmt: skip
    """The pool of a launch; None when none is configured. `replies`: what support knows of first replies.

    Needs the temporary tables of `build_journeys`. Raises ConfigError (an owner or a baseline of an unknown figure),
    WarehouseError.
    """
    pool = launch.efficiency
    if pool is None:
        return None
    _check(launch.name, pool)
    reading.create("moves", queries.load("moves"), {"seen_until": seen_until})
    given = {"horizon_hours": horizon_hours(horizon_days), "seen_until": seen_until}
    has_history = bool(reading.rows("select 1 as n from moves where previous_stage_id is not null limit 1"))
    figures = []
    for group, names in GROUPS.items():
        for name in (name for name in names if has_history or name in WITHOUT_HISTORY):
            found = replies if name == FROM_SUPPORT else observe(reading, f"efficiency/{name}", sides, given)
            if found is not None and not found.is_empty:
                figures.append(_figure(name, group, found, pool))
    for name, action in sorted(pool.actions.items()) if has_history else ():
        found = _followed(reading, action, sides.within(until=known_on - timedelta(days=action.days)))
        figures.append(_figure(f"action_hit.{name}", ACTIONS, found, pool, name, action.days))
    return Pool(sides, tuple(figures), has_history)


def _followed(reading: "Reading", action: Action, sides: Sides) -> Observed:
    """Actions of the weeks whose window has passed, and how many had their outcome in it."""
    reading.load("action_stages", _texts("stage_id", set(action.stages)))
    reading.load("action_outcomes", _texts("milestone", _IMPLIED_BY.get(action.outcome, (action.outcome,))))
    return observe(reading, "efficiency/action_hit", sides, {"days": action.days})


def _figure(
    key: str, group: str, found: Observed, pool: Efficiency, action: str | None = None, days: int | None = None
) -> PoolFigure:
    name = "median" if found.is_duration else "value"
    given = pool.baselines.get(key)
    baseline = found.pre.get(name) if given is None else given
    owner = pool.owners.get(key, found.query.owner)
    return PoolFigure(key, group, found, owner, baseline, "pre" if given is None else "config", action, days)


def _check(launch: str, pool: Efficiency) -> None:
    known = [*(name for names in GROUPS.values() for name in names), *(f"action_hit.{name}" for name in pool.actions)]
    for table, given in (("owners", pool.owners), ("baselines", pool.baselines)):
        for name in given:
            if name not in known:
                raise ConfigError(
                    f"launches.toml: [{launch}.efficiency.{table}]: there is no figure {name!r}{nearest(name, known)}",
                    hint=f"figures: {', '.join(known)}",
                )


def _texts(column: str, values: Collection[str]) -> pa.Table:
    return pa.table({column: pa.array(sorted(values), pa.string())})
