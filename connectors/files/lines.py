"""Product lines: an export with a product column spreads one lead over several rows, and its sum with it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from connectors.contract import Finding
from connectors.files.rows import RowFault, RowReader, Taken
from connectors.files.tables import Table

_MONEY = ("amount", "currency")


def repeated_ids(table: Table, reader: RowReader) -> dict[str, int]:
    """How many rows each id has that has more than one. Holds every id of the file once, nothing else."""
    seen: set[str] = set()
    repeated: dict[str, int] = {}
    for row in table.rows():
        if row.fault:
            continue
        try:
            key = reader.key(row.cells)
        except RowFault:
            continue
        if key in seen:
            repeated[key] = repeated.get(key, 1) + 1
        else:
            seen.add(key)
    return repeated


@dataclass(slots=True)
class _Lines:
    """The rows of one id so far."""

    cells: Sequence[str]  # of the first row
    amount: Decimal | None = None
    currency: str | None = None
    is_bad: bool = False
    rows: set[int] = field(default_factory=set)  # hashes of whole rows
    differing: set[int] = field(default_factory=set)  # columns in which a later row says something else


class LineSums:
    """Hands every row on as a record, rows of one id together once the last of them has come."""

    def __init__(self, reader: RowReader, repeated: dict[str, int]) -> None:
        self._reader = reader
        self._left = repeated
        self._open: dict[str, _Lines] = {}
        self._n_summed = self._n_differing = self._n_copies = 0
        self._differing: Counter[str] = Counter()
        columns = reader.columns
        self._compared = sorted(
            {place for name, places in columns.fields.items() if name not in _MONEY for place in places}
            | {place for places in columns.milestones.values() for place in places}
        )

    def take(self, key: str, cells: Sequence[str]) -> Taken | None:
        """The record this row completes; None while rows of its id are to come, or when one of them was bad. Raises RowFault."""
        if key not in self._left:
            return self._reader.record(key, cells, *self._reader.amount(cells))
        lines = self._open.setdefault(key, _Lines(cells))
        self._left[key] -= 1
        try:
            self._add(lines, cells)
        except RowFault:
            lines.is_bad = True
            raise
        finally:
            if not self._left[key]:
                del self._open[key]
        if self._left[key] or lines.is_bad:
            return None
        self._count(lines)
        return self._reader.record(key, lines.cells, lines.amount, lines.currency)

    def _add(self, lines: _Lines, cells: Sequence[str]) -> None:
        """Add one row to its lead. Without a product column a row that repeats another completely is a copy, not a product."""
        amount, currency = self._reader.amount(cells)
        whole = hash(tuple(cells))
        if whole in lines.rows and not self._reader.columns.has_products:
            self._n_copies += 1
            return
        lines.rows.add(whole)
        if amount is not None:
            if lines.currency not in (None, currency):
                raise RowFault(self._reader.columns.heading("currency"), "rows of one ID in different currencies")
            lines.amount, lines.currency = (lines.amount or Decimal(0)) + amount, currency
        lines.differing.update(place for place in self._compared if cells[place].strip() not in ("", lines.cells[place].strip()))

    def _count(self, lines: _Lines) -> None:
        self._n_summed += len(lines.rows) > 1
        self._n_differing += bool(lines.differing)
        self._differing.update(self._reader.columns.headings[place] for place in lines.differing)

    def findings(self, file: str, stream: str) -> list[Finding]:
        """What was strange about rows of one id."""
        found = []
        if not self._reader.adds_up:
            if self._n_differing:
                detail: dict[str, str | int | float] = {"file": file, **self._differing}
                found.append(Finding("requests_repeated", "warning", stream, self._n_differing, detail))
        elif self._n_summed:
            severity = "info" if self._reader.columns.has_products else "warning"
            found.append(Finding("rows_summed", severity, stream, self._n_summed, {"file": file}))
        if self._n_copies:
            found.append(Finding("rows_copied", "warning", stream, self._n_copies, {"file": file}))
        if self._n_differing and self._reader.adds_up:
            found.append(Finding("lines_disagree", "warning", stream, self._n_differing, {"file": file, **self._differing}))
        return found
