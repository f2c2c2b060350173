"""What a business's own funnel shows in the data: leads at each step, and the metrics of one's own."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from connectors.contract import Finding
from pipeline import metrics
from pipeline.funnel import LEAD, OwnFunnel
from pipeline.metrics import RATE, Cells
from pipeline.own_metrics import OwnMetric, column
from pipeline.periods import Periods, monday_of
from pipeline.stages import StageRule

if TYPE_CHECKING:
    from pipeline.warehouse import Reading


@dataclass(frozen=True, slots=True)
class StepCount:
    """Leads of each side that reached the step within the horizon; `post` is None when that side has no week. A step that is not
    `is_mapped` only repeats a neighbour: no stage leads to it."""

    key: str
    pre: int
    post: int | None
    is_mapped: bool


def count_steps(
    reading: "Reading", funnel: OwnFunnel, stages: Iterable[StageRule], periods: Periods, horizon_hours: int
) -> tuple[StepCount, ...]:
    """Leads at each step on both sides, mature ones only. Raises WarehouseError."""
    if not funnel.steps:
        return ()
    mapped = funnel.mapped(rule.milestone for rule in stages)
    counted = []
    for n, step in enumerate(funnel.steps):
        reached = f"{column(step.key)} <= :horizon_hours"
        if step.role == "no_show":  # as in sql/metrics/no_show_rate.sql: who came after all visited
            reached += " and not coalesce(visited_hours <= :horizon_hours, false)"
        counted.append(f"count(case when {reached} then 1 end) as step_{n}" if step.role != LEAD else f"count(*) as step_{n}")
    rows = reading.rows(
        f"select created_on, {', '.join(counted)} from funnel where created_on >= :start and created_on < :end group by 1",
        {"start": periods.weeks[0], "end": periods.weeks[-1] + timedelta(days=7), "horizon_hours": horizon_hours},
    )
    has_post = bool(periods.post_weeks)

    def total(n: int, weeks: Collection[date]) -> int:
        return sum(int(row[n + 1]) for row in rows if monday_of(row[0]) in weeks)

    return tuple(
        StepCount(step.key, total(n, periods.pre_weeks), total(n, periods.post_weeks) if has_post else None, step.key in mapped)
        for n, step in enumerate(funnel.steps)
    )


def observe_own(
    reading: "Reading", funnel: OwnFunnel, periods: Periods, horizon_hours: int
) -> tuple[Mapping[str, Cells], tuple[Finding, ...]]:
    """The cells of each metric of one's own, and a finding for each that counts what cannot be: it is left out."""
    start, end = periods.weeks[0], periods.weeks[-1] + timedelta(days=7)
    found, wrong = {}, []
    for one in funnel.metrics:
        cells = metrics.observe_query(reading, one.query, start, end, horizon_hours)
        assert cells is not None  # these take no margin
        problem = next(_problems(one, cells, start, end), None)
        if problem is None:
            found[one.name] = cells
        else:
            wrong.append(Finding("own_metric_wrong", "warning", one.name, 1, {"problem": problem}))
    return found, tuple(wrong)


def _problems(one: OwnMetric, cells: Cells, start: date, end: date) -> Iterator[str]:
    """What the figures of a metric show that it counts wrongly, as codes."""
    values = np.stack([cells.values[name] for name in cells.columns])
    if not np.isfinite(values).all():
        yield "not_finite"
    elif any((cells.values[name] < 0).any() for name in cells.columns if name != "total"):
        yield "negative"
    elif cells.columns == RATE and (cells.values["numerator"] > cells.values["denominator"]).any():
        yield "above_one"
    if cells.day.size and not _inside(cells, start, end):
        yield "other_days"


def _inside(cells: Cells, start: date, end: date) -> bool:
    first, last = (int(np.datetime64(day, "D").astype(np.int64)) for day in (start, end))
    return bool((cells.day >= first).all() and (cells.day < last).all())
