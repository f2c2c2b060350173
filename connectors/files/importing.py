"""One export file on its way in: rows become records, bad rows become rejects that say where they stand."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors.contract import Finding, Reject
from connectors.errors import PayloadError
from connectors.files.lines import LineSums, repeated_ids
from connectors.files.rows import RowFault, RowReader
from connectors.files.tables import Row, Table
from connectors.records import Deal, Lead, Record, StageChange, SupportRequest

BATCH = 5000  # rows between two commits
_BAD_LIMIT = 1000  # bad rows from which on a file that is bad by more than half is given up


@dataclass(slots=True)
class Batch:
    """What some thousand rows gave."""

    records: list[Lead | Deal | SupportRequest] = field(default_factory=list)
    changes: list[StageChange] = field(default_factory=list)
    undone: list[tuple[str, str]] = field(default_factory=list)  # full keys of changes that the rows say did not happen
    rejects: list[Reject] = field(default_factory=list)


class FileImport:
    """The rows of one file in batches; `directory` and `findings` are complete after the last one."""

    def __init__(self, name: str, table: Table, reader: RowReader) -> None:
        self._name, self._table, self._reader = name, table, reader
        self.place = f"{name}, "  # what the places of its rejects begin with
        self._sums = LineSums(reader, repeated_ids(table, reader))

    def batches(self) -> Iterator[Batch]:
        """At least one batch. Raises PayloadError when the file is damaged or most of it cannot be read."""
        batch = Batch()
        nameless: list[Reject] = []  # without an id only a whole reading can settle older ones: they wait for the last batch
        n_rows = n_bad = 0
        for row in self._table.rows():
            if n_rows and n_rows % BATCH == 0:
                yield batch
                batch = Batch()
            n_rows += 1
            reject = self._take(row, batch)
            if reject is None:
                continue
            (nameless if reject.key is None else batch.rejects).append(reject)
            n_bad += 1
            if n_bad >= _BAD_LIMIT and n_bad * 2 > n_rows:
                raise PayloadError(
                    f"{self._name}: {n_bad} of the first {n_rows} rows cannot be read, row {row.number} for: {reject.reason}",
                    hint="the file is damaged, or delimiter, encoding, date_order or columns are set wrongly",
                )
        batch.rejects += nameless
        yield batch

    def _take(self, row: Row, batch: Batch) -> Reject | None:
        if row.fault:
            return Reject(None, row.fault, where=self._where(row))
        key = None
        try:
            key = self._reader.key(row.cells)
            taken = self._sums.take(key, row.cells)
        except RowFault as fault:
            return Reject(key, fault.reason, fault.column, self._where(row))
        if taken is not None:
            batch.records.append(taken[0])
            batch.changes += taken[1]
            batch.undone += taken[2]
        return None

    def _where(self, row: Row) -> str:
        return f"{self.place}{self._table.unit} {row.number}"

    def directory(self) -> dict[str, list[Record]]:
        """The names that occurred in the rows, by stream."""
        return self._reader.directory()

    def findings(self, stream: str) -> list[Finding]:
        """What a person should know about this file besides its rejects."""
        reader = self._reader
        found = self._sums.findings(self._name, stream)
        for severity in ("warning", "info"):
            missing = [name for name, how in reader.expected.items() if how == severity and name not in reader.columns.fields]
            if missing:
                detail = {"file": self._name, "columns": ", ".join(missing)}
                found.append(Finding("columns_missing", severity, stream, len(missing), detail))
        return [*found, *reader.findings(self._name, stream)]
