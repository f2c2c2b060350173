"""Figures of the pools beside money: one SQL file each, before and after the launch, with what changed and how sure that is.

Rates and means are compared by the model of the effects (`llq`), which knows that figures drift; medians and slow tails by
drawing weeks anew (`spread`), which does not: there the change is observed and nothing more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from pipeline import metrics, queries, spread
from pipeline.effects import Effect, Interval, check_effect, rate_effect
from pipeline.periods import Periods
from pipeline.queries import Query
from pipeline.spread import Durations
from pipeline.weekly import WeeklyCheck, WeeklyRate, Weeks

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.warehouse import Reading

MIN_WEEKS = spread.MIN_WEEKS
MODEL, WEEKS_DRAWN = "llq", "weeks_drawn"


@dataclass(frozen=True, slots=True)
class Sides:
    """The Mondays that count on each side, out of `weeks`: all from the start of pre to the end of post, in order."""

    weeks: tuple[date, ...]
    n_pre: int
    n_washout: int
    pre: tuple[date, ...]
    post: tuple[date, ...]

    def within(self, first: date | None = None, until: date | None = None) -> "Sides":
        """Only weeks that begin on or after `first` and end before or on `until`."""

        def kept(weeks: tuple[date, ...]) -> tuple[date, ...]:
            return tuple(
                week for week in weeks
                if (first is None or week >= first) and (until is None or week + timedelta(days=7) <= until)
            )  # fmt: skip

        return Sides(self.weeks, self.n_pre, self.n_washout, kept(self.pre), kept(self.post))

    @property
    def span(self) -> tuple[date, date]:
        """The first day, and the day after the last."""
        return self.weeks[0], self.weeks[-1] + timedelta(days=7)

    @property
    def post_days(self) -> int:
        return 7 * len(self.post)

    def split(self) -> Weeks:
        """As the estimators take it."""
        counted = {*self.pre, *self.post}
        return Weeks(self.n_pre, self.n_washout, np.array([week not in counted for week in self.weeks], dtype=np.bool_))


def sides_of(periods: Periods) -> Sides:
    """The sides of a launch."""
    n_washout = (periods.post.start - periods.pre.end).days // 7
    return Sides(periods.weeks, len(periods.pre.mondays), n_washout, periods.pre_weeks, periods.post_weeks)


Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One figure on both sides. `pre` and `post` hold its sums and `value`; a duration has `median` and `p90` instead, in its
    unit, None where so many have not ended.

    `expected` is what the model expected of the post side, `changes` what differs from that, by name of the value; empty where
    no honest interval can be given.
    """

    name: str
    query: Query
    pre: Figures
    post: Figures
    expected: Figures = field(default_factory=dict)
    changes: Mapping[str, Interval] = field(default_factory=dict)
    method: str | None = None

    @property
    def is_duration(self) -> bool:
        return "median" in self.pre

    @property
    def is_empty(self) -> bool:
        """Whether nothing was there to count on either side."""
        return not any(side.get(name) for side in (self.pre, self.post) for name in ("n", "denominator"))


def observe(reading: "Reading", name: str, sides: Sides, parameters: Mapping[str, object] | None = None) -> Observed:
    """The figure of sql/NAME.sql on both sides. Raises WarehouseError."""
    query = queries.load(name)
    start, end = sides.span
    offered = {"start": start, "end": end, **(parameters or {})}
    rows = reading.columns(query, {key: value for key, value in offered.items() if key in query.parameters})
    return observed(query, rows, sides)


def observed(query: Query, rows: "pa.Table", sides: Sides) -> Observed:
    """The figure out of the rows of its query."""
    name = query.name.rpartition("/")[2]
    if "value" in rows.column_names:
        return _durations(name, query, rows, sides)
    cells = metrics.cells(query, rows)
    pre, post = (_figures(cells.figure(weeks), len(weeks)) for weeks in (sides.pre, sides.post))
    found = Observed(name, query, pre, post)
    effect = _effect(cells, sides)
    if effect is None:
        return found
    return Observed(name, query, pre, post, {"value": effect.counterfactual - _raised(query)}, {"value": effect.interval}, MODEL)


def _figures(figure: metrics.Figure, n_weeks: int) -> Figures:
    """Sums and value; over no weeks nothing is known."""
    if not n_weeks:
        return dict.fromkeys(("value", *figure.sums))
    return {"value": figure.value, **figure.sums}


def _effect(cells: metrics.Cells, sides: Sides) -> Effect | None:
    """The model's answer; None for a count, and where a side has too few weeks with data."""
    if cells.columns == metrics.COUNT:
        return None
    data = cells.weekly(sides.weeks)
    base = data["denominator" if cells.columns == metrics.RATE else "n"]
    at = {week: n for n, week in enumerate(sides.weeks)}
    if any(sum(bool(base[at[week]]) for week in side) < MIN_WEEKS for side in (sides.pre, sides.post)):
        return None
    if cells.columns == metrics.RATE:
        return rate_effect(WeeklyRate(data["numerator"], data["denominator"]), sides.split())
    if not data["total_sq"].any():  # nothing but zeros says nothing of how zeros vary
        return None
    n, by = data["n"], _raised(cells.query)
    total, total_sq = data["total"] + by * n, data["total_sq"] + 2 * by * data["total"] + by**2 * n
    return check_effect(WeeklyCheck(n, total, total_sq), sides.split())


def _raised(query: Query) -> float:
    """What is added to a mean before the model sees it: its scale is the level before, and that of an NPS may be zero."""
    return 1.0 if query.unit == "nps_each" else 0.0


def _durations(name: str, query: Query, rows: "pa.Table", sides: Sides) -> Observed:
    values = rows.column("value").cast("float64").fill_null(float("inf")).to_numpy()
    day = rows.column("created_on").to_numpy().astype("datetime64[D]").astype(np.int64)
    order = np.lexsort([values, day])  # no engine promises an order
    found = Durations(day[order], values[order], rows.column("n").to_numpy().astype(np.float64)[order])
    before, after = found.side(sides.pre), found.side(sides.post)
    pre, post = (
        {level: _ended(side.quantile(share)) for level, share in spread.LEVELS.items()} | {"n": side.count, "n_open": side.n_open}
        for side in (before, after)
    )
    changed = {level: spread.change(before, after, share) for level, share in spread.LEVELS.items()}
    changes = {level: interval for level, interval in changed.items() if interval is not None}
    return Observed(name, query, pre, post, {level: pre[level] for level in changes}, changes, WEEKS_DRAWN if changes else None)


def _ended(value: float | None) -> float | None:
    return None if value is None or np.isinf(value) else value
