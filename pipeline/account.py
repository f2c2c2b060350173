"""What else the account tells about a launch: sister series that teach, funnels of its parts, what could be a control."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from pipeline.controls import Candidate, Control, pooled, propose
from pipeline.effects import Funnel
from pipeline.journeys import UNKNOWN, within
from pipeline.launches import Launch, Scope
from pipeline.llq import Past, learn
from pipeline.metrics import Cells
from pipeline.modes import CHECK, RATE, TOTAL, Mode
from pipeline.periods import Periods
from pipeline.queries import load
from pipeline.recording import Recorded
from pipeline.weekly import FloatArray, Weekly, WeeklyCheck, WeeklyCounts, WeeklyRate, Weeks

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

SPLITS = ("channel", "branch")
# More sisters teach little more; fewer than so many leads a week only teach chance.
MOST_SISTERS, MIN_SISTER_LEADS = 6, 5.0
# A part that is nearly everything is the series itself.
MOST_OF_ALL = 0.95
DIMENSIONS = {"channel": "channel", "branch": "branch", "owner": "owner_id", "pipeline": "pipeline_id"}  # as reported -> column


def weigh_launches(
    reading: "Reading", mine: Launch, launches: Sequence[Launch], start: date, end: date, seen_until: datetime
) -> dict[str, tuple[int, Decimal]]:
    """Leads created in [start, end) and what was paid for them, in the scope of each launch: what shared costs are split by.

    Needs the journeys of the launch `mine`. Raises WarehouseError.
    """
    every = "every_journey" if within(mine.scope)[0] else "journeys"
    found = {}
    for launch in launches:
        conditions, parameters = within(launch.scope)
        scope = "".join(f" and {condition}" for condition in conditions)
        row = reading.rows(
            "select count(*) as n_leads, coalesce(sum(case when paid_hours is not null then amount end), 0) as revenue"
            f" from {every} where created_on >= :start and created_on < :end and created_at <= :seen_until{scope}",
            {"start": start, "end": end, "seen_until": seen_until, **parameters},
        )[0]
        found[launch.name] = int(row.n_leads), Decimal(str(row.revenue))
    return found


def learn_pasts(cells: Mapping[str, Cells], funnel: Funnel, mondays: Sequence[date], weeks: Weeks,
                season: float) -> dict[str, Past | None]:
    """What the same figure in other parts of the business teaches, by factor of the funnel."""
    rates = {"booking_rate": "booking_conversion", "show_rate": "show_rate", "visit_rate": "visit_conversion"}
    found: dict[str, Past | None] = {"leads": _learned([WeeklyCounts(one) for one in _parts(cells["leads"], ("n",), mondays)[0]],
                                                        weeks, TOTAL, season)}
    for factor in funnel.factors():
        if factor in rates:
            above, below = _parts(cells[rates[factor]], ("denominator", "numerator"), mondays)[::-1]
            sisters: list[Weekly] = [WeeklyRate(np.minimum(one, other), other) for one, other in zip(above, below, strict=True)]
            found[factor] = _learned(sisters, weeks, RATE)
        elif factor == "average_check":
            columns = _parts(cells["average_check"], ("n", "total", "total_sq"), mondays)
            found[factor] = _learned([WeeklyCheck(*one) for one in zip(*columns, strict=True)], weeks, CHECK)
    return found


def _learned(sisters: Sequence[Weekly], weeks: Weeks, mode: Mode, season: float = 0.0) -> Past | None:
    return learn(sisters, weeks, mode, season) if len(sisters) > 1 else None


def _parts(cells: Cells, columns: tuple[str, ...], mondays: Sequence[date]) -> list[list[FloatArray]]:
    """Weekly sums of the largest channels and branches, one list a column; the first column says how large."""
    sizes = {}
    for split in SPLITS:
        by_key = cells.weekly_by(split, columns[0], mondays)
        whole = sum(float(one.sum()) for one in by_key.values())
        for key, one in by_key.items():
            if float(one.mean()) >= MIN_SISTER_LEADS and float(one.sum()) < MOST_OF_ALL * whole:
                sizes[split, key] = float(one.sum())
    chosen = sorted(sizes, key=lambda part: (-sizes[part], part))[:MOST_SISTERS]
    series = {(split, column): cells.weekly_by(split, column, mondays) for split in SPLITS for column in columns}
    return [[series[split, column][key] for split, key in chosen] for column in columns]


def part_funnels(cells: Mapping[str, Cells], funnel: Funnel, dimension: str, mondays: Sequence[date]) -> dict[str, Funnel]:
    """The funnel of each channel (branch, owner), with the steps of the whole one; together they are all of it."""
    n = cells["leads"].weekly_by(dimension, "n", mondays)
    nothing = np.zeros(len(mondays))

    def column(metric: str, name: str) -> Mapping[str, FloatArray]:
        return cells[metric].weekly_by(dimension, name, mondays)

    booked, visited = column("booking_conversion", "numerator"), column("visit_conversion", "numerator")
    paid, total, squares = (column("revenue", name) for name in ("n", "total", "total_sq"))
    return {
        key: Funnel(
            leads=leads,
            visited=visited.get(key, nothing),
            booked=None if funnel.booked is None else booked.get(key, nothing),
            paid=None if funnel.paid is None else paid.get(key, nothing),
            revenue=None if funnel.revenue is None else total.get(key, nothing),
            revenue_sq=None if funnel.revenue_sq is None else squares.get(key, nothing),
        )
        for key, leads in n.items()
    }


def without(funnel: Funnel, part: Funnel) -> Funnel:
    """The funnel less one part of it."""
    def rest(one: FloatArray | None, other: FloatArray | None, *, is_signed: bool = False) -> FloatArray | None:
        if one is None or other is None:
            return None
        return one - other if is_signed else np.maximum(one - other, 0.0)

    left = [rest(getattr(funnel, name), getattr(part, name), is_signed=name == "revenue")
            for name in ("leads", "visited", "booked", "paid", "revenue", "revenue_sq")]
    return Funnel(*left)  # type: ignore[arg-type]  # leads and visited are never None


def recorded(reading: "Reading", cells: Mapping[str, Cells], mondays: Sequence[date]) -> Recorded:
    """What the guards of a lead's definition look at: leads by channel, what they reached, repeats, leads of a known person."""
    rows = reading.columns(
        "select created_on, count(*) as n, sum(case when is_duplicate then 1 else 0 end) as n_duplicates, "
        "sum(case when customer is not null then 1 else 0 end) as n_known from journeys "
        "where created_on >= :start and created_on < :end group by created_on",
        {"start": mondays[0], "end": mondays[-1] + timedelta(days=7)},
    )
    week = _weeks_of(rows.column("created_on").to_numpy(), mondays)
    n, duplicates, known = (
        _by_week(week, rows.column(name).to_numpy().astype(np.float64), len(mondays)) for name in ("n", "n_duplicates", "n_known")
    )
    step = "booking_conversion" if cells["booking_conversion"].values["numerator"].any() else "visit_conversion"
    return Recorded(
        WeeklyCounts(n),
        cells["leads"].weekly_by("channel", "n", mondays),
        cells[step].weekly_by("channel", "numerator", mondays),
        duplicates,
        known if known.any() else None,
    )


def find_control(reading: "Reading", launch: Launch, treated: FloatArray, periods: Periods, weeks: Weeks,
                 season: float) -> tuple[Control | None, tuple[Candidate, ...]]:
    """The control to measure against, and every candidate with its reasons. Without a scope everything is touched: none.

    `[NAME.control]` in launches.toml chooses instead of us. Raises WarehouseError, ValueError for a control nobody came in.
    """
    if launch.scope == Scope():
        return None, ()
    mondays = periods.weeks
    rows = reading.columns(load("candidates"), {"start": mondays[0], "end": mondays[-1] + timedelta(days=7)})
    week, n = _weeks_of(rows.column("created_on").to_numpy(), mondays), rows.column("n").to_numpy().astype(np.float64)
    series: dict[tuple[str, str], FloatArray] = {}
    is_touched = _touched(rows, launch.scope)
    touched = set()
    for dimension, column in DIMENSIONS.items():
        labels = rows.column(column).fill_null(UNKNOWN).to_pylist()
        for key in sorted(set(labels)):
            is_own = np.array([label == key for label in labels], dtype=np.bool_)
            series[dimension, key] = _by_week(week[is_own], n[is_own], len(mondays))
            if (is_own & is_touched).any():
                touched.add((dimension, key))
    candidates = propose(series, treated, weeks, touched, season=season)
    if launch.control is not None:
        chosen = [(launch.control.dimension, key) for key in launch.control.keys]
        named = [one for one in candidates if (one.dimension, one.key) in chosen]
        return pooled([replace(one, is_fit=True) for one in named], series, treated, weeks), candidates
    return pooled(candidates, series, treated, weeks), candidates


def _touched(rows: object, scope: Scope) -> "np.typing.NDArray[np.bool_]":
    """Rows that lie in the scope of the launch."""
    inside = np.ones(rows.num_rows, dtype=np.bool_)  # type: ignore[attr-defined]  # an Arrow table
    chosen = {"channel": scope.channels, "branch": scope.branches, "owner_id": scope.owners, "pipeline_id": scope.pipelines}
    for column, values in chosen.items():
        if values:
            inside &= np.isin(np.array(rows.column(column).fill_null(UNKNOWN).to_pylist(), dtype=object), list(values))  # type: ignore[attr-defined]  # as above
    return inside


def _by_week(week: "np.typing.NDArray[np.int64]", values: FloatArray, n_weeks: int) -> FloatArray:
    return np.asarray(np.bincount(week, weights=values, minlength=n_weeks), dtype=np.float64)


def _weeks_of(days: "np.typing.NDArray[np.generic]", mondays: Sequence[date]) -> "np.typing.NDArray[np.int64]":
    start = np.datetime64(mondays[0], "D")
    return np.asarray((days.astype("datetime64[D]") - start).astype(np.int64) // 7, dtype=np.int64)
