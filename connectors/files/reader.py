"""Export files as a source: every file is read once, whole, and again when its bytes or the options change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from connectors.contract import Chunk, Finding, Json, Stream, Surroundings, Walk
from connectors.errors import OptionError, PayloadError, SourceError
from connectors.files.folder import ExportFile, export_files
from connectors.files.headings import n_known, recognise
from connectors.files.importing import Batch, FileImport
from connectors.files.options import Options, as_list, check_options
from connectors.files.requests import RequestReader
from connectors.files.rows import RowReader
from connectors.files.tables import digest_of, open_table
from connectors.records import CrmSource, Deal, Lead, Owner, Pipeline, Record, Stage, StageChange, SupportRequest

_RECORDS: Mapping[str, type[Record]] = {"leads": Lead, "deals": Deal, "support_requests": SupportRequest}
READING = "2"  # raise it when the same file would be read differently: then every file is read again


@dataclass(slots=True)
class _Imported:
    """What a stream's state remembers: the digest of each file by name, and the files already reported as gone."""

    files: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)

    def state(self) -> dict[str, Json]:
        return {"files": dict(self.files), "gone": list(self.gone)} if self.gone else {"files": dict(self.files)}


class Files:
    """Reader of export files (CSV, XLSX, Bitrix24's HTML .xls)."""

    OPTIONS: ClassVar[type] = Options

    def __init__(self, options: Options, surroundings: Surroundings) -> None:
        check_options(options)
        if not surroundings.hash_key:
            raise OptionError("there is no key to hash phone numbers with", hint="let `payback init` write one into .env")
        self._options, self._surroundings = options, surroundings
        self._columns = {name: tuple(as_list(wanted)) for name, wanted in options.columns.items()}
        self._milestones = {stage: tuple(as_list(wanted)) for stage, wanted in options.milestones.items()}
        self._findings: list[Finding] = []
        entity = "deal" if options.record == "deals" else "lead"
        only = {"entity": entity}
        self._main = Stream(options.record, _RECORDS[options.record], Walk.WHOLE)
        self._history = Stream(f"{entity}_history", StageChange, Walk.WHOLE, only=only)
        self._directory = (
            Stream("stages", Stage, Walk.WHOLE, only=only),
            Stream("pipelines", Pipeline, Walk.WHOLE, only=only),
            Stream("crm_sources", CrmSource, Walk.WHOLE),
            Stream("owners", Owner, Walk.WHOLE),
        )

    @classmethod
    def open(cls, options: Any, surroundings: Surroundings) -> "Files":
        """The reader for one configured source. Raises OptionError."""
        return cls(options, surroundings)

    def streams(self) -> Sequence[Stream]:
        """Leads or deals, their stage changes, and the names that occur in them; or requests to support, which have neither."""
        if self._main.record is SupportRequest:
            return (self._main,)
        return (self._main, self._history, *self._directory)

    def findings(self) -> Sequence[Finding]:
        """What was noticed while reading."""
        return tuple(self._findings)

    def read(self, states: Mapping[str, Mapping[str, Json] | None]) -> Iterator[Chunk]:
        """Every file whose digest a stream's state does not hold. What cannot be read is raised at the end, after the others.

        Raises OptionError (no such path, a heading is missing) and PayloadError (no table, damaged).
        """
        self._findings = []
        files = export_files(self._options.path)
        known = {stream.name: _imported(states.get(stream.name)) for stream in self.streams()}
        if not files:
            self._findings.append(Finding("no_files", "warning", self._main.name))
        digests: set[str] = set()
        failures: list[SourceError] = []
        for file in files:
            try:
                digest = digest_of(file.path, self._fingerprint())
                digests.add(digest)
                wanted = [stream for stream in self.streams() if digest not in known[stream.name].files.values()]
                if wanted:
                    yield from self._import(file, digest, wanted, known)
            except OSError as error:
                failures.append(PayloadError(f"{file.name} cannot be read: {error.strerror or type(error).__name__}"))
            except SourceError as error:
                failures.append(error)
        yield from self._report_gone({file.name for file in files}, digests, known[self._main.name])
        if failures:
            raise _together(failures)

    def _fingerprint(self) -> str:
        """What besides the bytes of a file decides how it is read."""
        asked = self._options
        mapping = (asked.record, sorted(self._columns.items()), sorted(self._milestones.items()))
        defaults = (asked.encoding, asked.delimiter, asked.date_order, asked.branch, asked.currency, asked.country)
        of_requests = (asked.crm, asked.csat_scale, asked.bots) if asked.record == "support_requests" else ()
        return repr((READING, mapping, defaults, str(self._surroundings.timezone), *of_requests))

    def _import(self, file: ExportFile, digest: str, wanted: Sequence[Stream], known: Mapping[str, _Imported]) -> Iterator[Chunk]:
        """The rows of one file. Its digest goes with the last chunk of a stream, and only when nobody wrote to it meanwhile."""
        work = self._opened(file)
        held: Batch | None = None
        for batch in work.batches():
            if held is not None:
                chunks = self._chunks(held, wanted, known)
                yield from (chunk for chunk in chunks if chunk.records or chunk.rejects or chunk.deleted)
            held = batch
        self._findings += work.findings(self._main.name)
        is_whole = file.is_untouched()
        if is_whole:
            for stream in wanted:
                known[stream.name].files[file.name] = digest
        else:
            self._findings.append(Finding("file_changed_while_read", "warning", self._main.name, 1, {"file": file.name}))
        yield from self._chunks(held or Batch(), wanted, known, work.directory(), work.place if is_whole else "")

    def _opened(self, file: ExportFile) -> FileImport:
        """The file with its columns recognised and its repeated ids counted. Raises OptionError, PayloadError."""
        asked = self._options
        configured = [one for wanted in (*self._columns.values(), *self._milestones.values()) for one in wanted]
        table = open_table(
            file.path,
            file.name,
            encoding=asked.encoding,
            delimiter=asked.delimiter,
            score=lambda cells: n_known(cells, configured),
        )
        columns = recognise(file.name, table.headings, asked.record, self._columns, self._milestones)
        reader = RequestReader if self._main.record is SupportRequest else RowReader
        return FileImport(file.name, table, reader(asked, self._surroundings, columns, table.serial_origin))

    def _chunks(
        self,
        batch: Batch,
        wanted: Sequence[Stream],
        known: Mapping[str, _Imported],
        directory: Mapping[str, list[Record]] | None = None,
        reread: str = "",
    ) -> Iterator[Chunk]:
        """A batch, and the names that occurred when it is a file's last one, by stream."""
        for stream in wanted:
            state = known[stream.name].state()
            if stream is self._main:
                yield Chunk(stream, [*batch.records], batch.rejects, state, reread=reread)
            elif stream is self._history:
                yield Chunk(stream, [*batch.changes], [], state, batch.undone)
            else:
                yield Chunk(stream, (directory or {}).get(stream.name, []), [], state)

    def _report_gone(self, names: set[str], digests: set[str], imported: _Imported) -> Iterator[Chunk]:
        """Say once that files have gone (renamed ones have not). What they told stays: an export is only a window on the CRM."""
        back = [name for name in imported.gone if name in names]
        known = names.union(imported.gone)
        gone = [name for name, digest in imported.files.items() if name not in known and digest not in digests]
        if gone:
            self._findings.append(Finding("files_gone", "warning", self._main.name, len(gone), {"file": gone[0]}))
        if gone or back:
            imported.gone = [name for name in imported.gone if name not in back] + gone
            yield Chunk(self._main, [], [], imported.state())


def _imported(state: Mapping[str, Json] | None) -> _Imported:
    return _Imported(dict(state.get("files", {})), list(state.get("gone", []))) if state else _Imported()


def _together(failures: Sequence[SourceError]) -> SourceError:
    """One error for all files that could not be read, of the kind of the first."""
    first = failures[0]
    if len(failures) == 1:
        return first
    return type(first)(f"{len(failures)} files could not be read: " + "; ".join(map(str, failures)), hint=first.hint)
