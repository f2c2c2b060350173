"""Metrics: one SQL file each, read as cells (day, channel, branch, owner) and rolled up here.

A file returns one of three shapes: `numerator, denominator` (a rate), `n, total, total_sq` (amounts), `n` (a count).
`unit` in its header says what the amounts are; ending in `_each` it means the mean of an amount, not the sum.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline import queries
from pipeline.journeys import UNKNOWN
from pipeline.queries import Query
from pipeline.weekly import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.warehouse import Reading

RATE = ("numerator", "denominator")
AMOUNTS = ("n", "total", "total_sq")
COUNT = ("n",)
DIMENSIONS = {"channel": "channel", "branch": "branch", "owner": "owner_id"}  # as reported -> column

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric over some weeks: its sums by column, and the value they come to (None: nothing to divide by)."""

    sums: Mapping[str, float]
    value: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of one metric. `labels[dimension]` are the names that `codes[dimension]` points into.

    Cells stand in the order of their values, so that sums do not depend on the order of the rows, which no engine promises.
    """

    query: Query
    columns: tuple[str, ...]
    day: IntArray  # days since 1970-01-01
    codes: Mapping[str, IntArray]
    labels: Mapping[str, tuple[str, ...]]
    values: Mapping[str, FloatArray]

    @property
    def name(self) -> str:
        """`show_rate`, as in sql/metrics/show_rate.sql."""
        return self.query.name.rpartition("/")[2]

    @property
    def is_mean(self) -> bool:
        """Whether the metric is a mean of amounts."""
        return self.columns == AMOUNTS and self.query.unit.endswith("_each")

    def weekly(self, weeks: Sequence[date]) -> dict[str, FloatArray]:
        """Sums by column, one value for each of the consecutive Mondays."""
        week, inside = self._week(weeks)
        return {column: _sums(week[inside], self.values[column][inside], len(weeks)) for column in self.columns}

    def daily(self, start: date, n_days: int) -> dict[str, FloatArray]:
        """Sums by column, one value for each of the consecutive days."""
        day = self.day - (start.toordinal() - _EPOCH)
        inside = (day >= 0) & (day < n_days)
        return {column: _sums(day[inside], self.values[column][inside], n_days) for column in self.columns}

    def weekly_by(self, dimension: str, column: str, weeks: Sequence[date]) -> dict[str, FloatArray]:
        """One column's weekly sums for each value of a dimension."""
        week, inside = self._week(weeks)
        labels, codes = self.labels[dimension], self.codes[dimension]
        flat = _sums(codes[inside] * len(weeks) + week[inside], self.values[column][inside], len(labels) * len(weeks))
        return dict(sorted(zip(labels, flat.reshape(len(labels), len(weeks)), strict=True)))

    def figure(self, weeks: Collection[date]) -> Figure:
        """The metric over the weeks of these Mondays."""
        inside = self._inside(weeks)
        nothing: IntArray = np.zeros(int(inside.sum()), dtype=np.int64)
        return self._figure({column: float(_sums(nothing, self.values[column][inside], 1)[0]) for column in self.columns})

    def figures_by(self, dimension: str, weeks: Collection[date]) -> dict[str, Figure]:
        """The metric for each value of a dimension that has any cell in the weeks."""
        inside = self._inside(weeks)
        codes, labels = self.codes[dimension][inside], self.labels[dimension]
        sums = {column: _sums(codes, self.values[column][inside], len(labels)) for column in self.columns}
        found = {
            labels[code]: self._figure({column: float(sums[column][code]) for column in self.columns})
            for code in np.flatnonzero(np.bincount(codes, minlength=len(labels)))
        }
        return dict(sorted(found.items()))

    def by_day(self) -> dict[date, Figure]:
        """The metric of each day that has leads."""
        days, codes = np.unique(self.day, return_inverse=True)
        sums = {column: _sums(codes.astype(np.int64), self.values[column], days.size) for column in self.columns}
        return {
            date.fromordinal(int(day) + _EPOCH): self._figure({column: float(sums[column][n]) for column in self.columns})
            for n, day in enumerate(days)
        }

    def _figure(self, sums: dict[str, float]) -> Figure:
        if self.columns == COUNT:
            return Figure(sums, sums["n"])
        if self.columns == RATE:
            return Figure(sums, sums["numerator"] / sums["denominator"] if sums["denominator"] else None)
        if not self.is_mean:
            return Figure(sums, sums["total"])
        return Figure(sums, sums["total"] / sums["n"] if sums["n"] else None)

    def _week(self, weeks: Sequence[date]) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        week = (self.day - (weeks[0].toordinal() - _EPOCH)) // 7
        return week, (week >= 0) & (week < len(weeks))

    def _inside(self, weeks: Collection[date]) -> npt.NDArray[np.bool_]:
        if not weeks:
            return np.zeros(self.day.size, dtype=np.bool_)
        first = min(weeks)
        is_one = np.zeros((max(weeks) - first).days // 7 + 3, dtype=np.bool_)  # the first and the last stand for all others
        is_one[[(monday - first).days // 7 + 1 for monday in weeks]] = True
        return is_one[np.clip((self.day - (first.toordinal() - _EPOCH)) // 7 + 1, 0, is_one.size - 1)]


_EPOCH = date(1970, 1, 1).toordinal()


def names() -> list[str]:
    """All metrics, sorted."""
    return [name.rpartition("/")[2] for name in queries.names("metrics")]


def observe(
    reading: "Reading", name: str, start: date, end: date, horizon_hours: int, margin: float | None = None
) -> Cells | None:
    """The cells of a metric for leads created in [start, end), outcomes within the horizon.

    None when the metric needs a margin and there is none. Needs the temporary table `journeys`. Raises WarehouseError.
    """
    return observe_query(reading, queries.load(f"metrics/{name}"), start, end, horizon_hours, margin)


def observe_query(
    reading: "Reading", query: Query, start: date, end: date, horizon_hours: int, margin: float | None = None
) -> Cells | None:
    """The same for a query that is at hand."""
    offered: dict[str, object] = {"start": start, "end": end, "horizon_hours": horizon_hours}
    if margin is not None:
        offered["margin"] = Decimal(str(margin))  # money stays exact
    elif "margin" in query.parameters:
        return None
    return cells(query, reading.columns(query, {key: value for key, value in offered.items() if key in query.parameters}))


def cells(query: Query, rows: "pa.Table") -> Cells:
    """Cells out of the rows of a metric's query. Raises ValueError when they have none of the three shapes."""
    found = next((shape for shape in (RATE, AMOUNTS, COUNT) if set(shape) <= set(rows.column_names)), None)
    if found is None:
        raise ValueError(f"sql/{query.name}.sql returns neither {RATE} nor {AMOUNTS} nor {COUNT}")
    values = {name: rows.column(name).to_numpy().astype(np.float64) for name in found}
    order = np.lexsort([values[name] for name in found])
    codes: dict[str, IntArray] = {}
    labels: dict[str, tuple[str, ...]] = {}
    for dimension, column in DIMENSIONS.items():
        unordered, labels[dimension] = _encoded(rows.column(column))
        codes[dimension] = unordered[order]
    day = rows.column("created_on").to_numpy().astype("datetime64[D]").astype(np.int64)
    return Cells(query, found, day[order], codes, labels, {name: column[order] for name, column in values.items()})


def _encoded(column: "pa.ChunkedArray") -> tuple[IntArray, tuple[str, ...]]:
    """Codes and their labels; what is not filled in is `unknown`."""
    encoded = column.fill_null(UNKNOWN).combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64), tuple(encoded.dictionary.to_pylist())


def _sums(groups: npt.NDArray[np.int64], values: FloatArray, n_groups: int) -> FloatArray:
    return np.asarray(np.bincount(groups, weights=values, minlength=n_groups), dtype=np.float64)
