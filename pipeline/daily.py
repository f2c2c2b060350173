"""The days behind the weeks: what was counted of the leads of each day, for those who check. No figure is made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipeline import metrics
from pipeline.metrics import Cells
from pipeline.periods import WEEK, Periods, horizon_hours
from pipeline.weekly import FloatArray

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

# Column -> metric and the column of its cells. Rates of the report are quotients of these, its sums are their sums.
COLUMNS = {
    "leads": ("leads", "n"),
    "qualified": ("qualified", "numerator"),
    "booked": ("booking_conversion", "numerator"),
    "visited": ("visit_conversion", "numerator"),
    "no_show": ("no_show_rate", "numerator"),
    "ended": ("no_show_rate", "denominator"),
    "paid": ("paid_conversion", "numerator"),
    "payers": ("revenue", "n"),
    "revenue": ("revenue", "total"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """One value a day in each column, from `start` on; leads of the days before `mature_until` have had their whole horizon."""

    start: date
    mature_until: date
    columns: Mapping[str, FloatArray]


def observe_days(reading: "Reading", weekly: Mapping[str, Cells], periods: Periods, known_on: date, as_of_on: date) -> Days:
    """The days of every week of the periods, out of the cells the weeks were summed from, and those since, whose leads are too
    young to count; none later than `as_of_on`. Needs the temporary table `journeys`. Raises WarehouseError.
    """
    start, end_of_weeks = periods.weeks[0], periods.weeks[-1] + WEEK
    end = min(max(end_of_weeks, known_on), as_of_on + timedelta(days=1))
    n_days, columns = (end - start).days, {}
    young: dict[str, Cells | None] = {}
    for column, (name, field) in COLUMNS.items():
        columns[column] = weekly[name].daily(start, n_days)[field]
        if end > end_of_weeks:
            if name not in young:
                young[name] = metrics.observe(reading, name, end_of_weeks, end, horizon_hours(periods.horizon_days))
            since = young[name]
            assert since is not None  # none of these needs a margin
            columns[column] = columns[column] + since.daily(start, n_days)[field]
    return Days(start, known_on - timedelta(days=periods.horizon_days), columns)
