"""What one sync has received so far: rows waiting for the next commit, counts for the report, findings for people."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.contract import Chunk, Finding, Json, Landing, Page, Progress, Reject, Sink, Stream, StreamReport, SyncReport
from connectors.records import Record
from connectors.text import clean_name

_REASONS_TOLD = 5
_COLUMNS_TOLD = 20


@dataclass(slots=True)
class _Waiting:
    """What one stream brings to the next commit."""

    stream: Stream
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    deleted: list[int | str | tuple[str, ...]] = field(default_factory=list)
    state: Mapping[str, Json] | None = None
    ended: list[tuple[str, ...]] = field(default_factory=list)  # deleted if known: only the sink can tell how many are
    reread: str = ""


class Ledger:
    """Gathers what one answered request brings and commits it in one transaction."""

    def __init__(self, sink: Sink, progress: Progress | None = None) -> None:
        self.sink = sink
        self.report = SyncReport()
        self.expected: dict[str, int] = {}  # rows a stream will bring, where a count told
        self._progress = progress
        self._waiting: dict[str, _Waiting] = {}
        self._unknown: dict[str, set[str]] = {}
        self._reasons: dict[str, Counter[str]] = {}

    def line(self, stream: Stream) -> StreamReport:
        """The stream's line in the report."""
        return self.report.streams.setdefault(stream.name, StreamReport(stream.name))

    def land(self, stream: Stream, page: Page) -> None:
        """Rows of one page wait for the commit."""
        self.rows(stream, page.records, page.rejects)
        if page.unknown:
            self._unknown.setdefault(stream.name, set()).update(page.unknown)

    def rows(self, stream: Stream, records: Sequence[Record], rejects: Sequence[Reject]) -> None:
        """Rows and rejected rows wait for the commit."""
        waiting = self._of(stream)
        waiting.records.extend(records)
        line = self.line(stream)
        line.received += len(records) + len(rejects)
        if rejects:
            waiting.rejects.extend(rejects)
            line.rejected += len(rejects)
            reasons = self._reasons.setdefault(stream.name, Counter())
            reasons.update(f"{one.column}: {one.reason}" if one.column else one.reason for one in rejects)

    def delete(self, stream: Stream, keys: Iterable[int | str | tuple[str, ...]]) -> None:
        """Rows confirmed gone wait for the commit."""
        gone = list(keys)
        self._of(stream).deleted.extend(gone)
        self.line(stream).deleted += len(gone)

    def take(self, chunk: Chunk) -> None:
        """What a reader hands over waits for the commit."""
        self.rows(chunk.stream, chunk.records, chunk.rejects)
        self.remember(chunk.stream, chunk.state)
        waiting = self._of(chunk.stream)
        waiting.ended.extend(chunk.deleted)
        waiting.reread = chunk.reread

    def remember(self, stream: Stream, state: Mapping[str, Json]) -> None:
        """The state to store with the next commit."""
        self._of(stream).state = state

    def find(self, code: str, severity: str, subject: str, n: int = 0, **detail: str | int | float) -> None:
        """Something worth telling a person."""
        self.report.findings.append(Finding(code, severity, subject, n, detail))

    def commit(self) -> None:
        """Store what waits, in one transaction; nothing happens when nothing waits."""
        waiting = list(self._waiting.values())
        if not waiting:
            return
        self._waiting = {}
        ending = [Landing(one.stream, deleted=one.ended) for one in waiting if one.ended]
        landings = [Landing(one.stream, one.records, one.rejects, one.deleted, one.state, one.reread) for one in waiting]
        appended = self.sink.commit([*landings, *ending])
        for landing, n in zip(ending, appended[len(landings) :], strict=True):
            line = self.line(landing.stream)
            line.appended += n
            line.deleted += n
        for landing, n in zip(landings, appended, strict=False):
            line = self.line(landing.stream)
            line.appended += n
            if self._progress is not None:
                self._progress(line.stream, line.received, self.expected.get(line.stream))

    def close(self) -> SyncReport:
        """The report, with the findings that sum up the whole sync."""
        for name, columns in sorted(self._unknown.items()):
            self.find("unknown_columns", "warning", name, len(columns), columns=_shown(columns))
        for name, reasons in sorted(self._reasons.items()):
            told = dict(reasons.most_common(_REASONS_TOLD))
            self.report.findings.append(Finding("rows_quarantined", "warning", name, reasons.total(), told))
        for line in self.report.streams.values():
            if line.recovered:
                self.find("rows_recovered", "warning", line.stream, line.recovered)
        return self.report

    def _of(self, stream: Stream) -> _Waiting:
        return self._waiting.setdefault(stream.name, _Waiting(stream))


def _shown(columns: Iterable[str]) -> str:
    """Names of columns for a finding: a portal may send any number of them, of any length."""
    names = sorted(columns)
    more = [f"and {len(names) - _COLUMNS_TOLD} more"] if len(names) > _COLUMNS_TOLD else []
    return ", ".join([clean_name(name) for name in names[:_COLUMNS_TOLD]] + more)
