"""The hops of a run, in order, and nothing else: sync, check, measure, report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from connectors.contract import Connector, Progress, Reader, SyncReport
from connectors.errors import OptionError
from connectors.secrets import mask_values
from pipeline import alerts, deliver
from pipeline.accounting import measure_programme
from pipeline.accounting_document import programme_document
from pipeline.changes import changes_since
from pipeline.document import document, document_bytes, plain_json
from pipeline.erasure import keep_erased
from pipeline.errors import Busy, ConfigError, Exit, Interrupted, NothingToMeasure, exit_code
from pipeline.launches import Launch
from pipeline.logbook import Hop, Logbook, written_run
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.programmes import Programme
from pipeline.pull import Outcome, attempt
from pipeline.reports import render, write
from pipeline.settings import Settings, SourceSettings, open_source
from pipeline.state import State
from pipeline.strict import nearest
from pipeline.warehouse import Reading, Warehouse, utc_now

Subject = Launch | Programme


@dataclass(slots=True)
class NightReport:
    """What a run did: the outcome of each source, the verdict of each launch, the figure of each programme, the files written."""

    run_id: str
    sources: list[Outcome] = field(default_factory=list)
    launches: dict[str, dict[str, Any]] = field(default_factory=dict)
    programmes: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)  # reports for the terminal
    deliveries: list[deliver.Outcome] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """ok, partial (something failed, something did not) or failed."""
        failed = [source for source in self.sources if source.error]
        problems = len(failed) + sum("error" in facts for facts in self._measured)
        if self.is_interrupted:
            return "failed"
        if not problems:
            return "partial" if self._is_incomplete else "ok"
        return "failed" if problems == len(self.sources) + len(self._measured) else "partial"

    @property
    def is_interrupted(self) -> bool:
        """Whether the program was told to stop before the end: what was stored stays, the next run goes on."""
        kinds = [source.error for source in self.sources]
        codes = [facts.get("exit_code") for facts in self._measured]
        return any(isinstance(kind, Interrupted) for kind in kinds) or Exit.TEMPORARY in codes

    @property
    def _measured(self) -> list[dict[str, Any]]:
        """What each launch and each programme came to."""
        return [*self.launches.values(), *self.programmes.values()]

    @property
    def _is_incomplete(self) -> bool:
        """A sync that ended well and still knows that something is missing, such as rows that shrunken rights hide."""
        reports = [source.report for source in self.sources if source.report]
        return any(finding.severity == "error" for report in reports for finding in report.findings)

    @property
    def exit_code(self) -> int:
        """0; the class's own code when everything failed for one reason or nothing can be measured yet; else 7 (partial)."""
        if self.outcome == "ok":
            return Exit.OK
        codes = {exit_code(source.error) for source in self.sources if source.error}
        codes |= {Exit(facts["exit_code"]) for facts in self._measured if "error" in facts}
        is_plain = self.outcome == "failed" or codes == {Exit.NOTHING} or not self.launches
        return codes.pop() if len(codes) == 1 and is_plain and len(self.sources) <= 1 else Exit.PARTIAL

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        sources = [_source_facts(source) for source in self.sources]
        return {
            "schema_version": 1,
            "run_id": self.run_id,
            "outcome": self.outcome,
            "is_interrupted": self.is_interrupted,
            "sources": sources,
            "launches": self.launches,
            "programmes": self.programmes,
            "deliveries": [asdict(one) for one in self.deliveries],
        }

    def lines(self) -> list[str]:
        """For people: one line a source, one a launch or programme."""
        lines = []
        for facts in self.as_dict()["sources"]:
            if facts["error"]:
                lines.append(f"{facts['source']}: failed: {facts['error']}" + _arrow(facts["hint"]))
            if facts["received"] or not facts["error"]:
                lines.append(
                    f"{facts['source']}: {facts['received']} rows received, {facts['appended']} new versions,"
                    f" {facts['rejected']} quarantined, {facts['deleted']} deleted, {facts['requests']} requests"
                )
            lines += [f"  {finding}" for finding in facts["findings"]]
        for name, facts in (*self.launches.items(), *self.programmes.items()):
            if "error" in facts:
                lines.append(f"{name}: {facts['error']}" + _arrow(facts["hint"]))
            else:
                kept = "new snapshot" if facts["is_new"] else "same as the stored snapshot"
                told = facts["verdict"] if "verdict" in facts else f"a programme of {facts['n_modules']} modules"
                lines.append(f"{name}: {told} ({kept})")
                lines += [f"  wrote {path}" for path in facts["files"]]
        return [*lines, *(one.line() for one in self.deliveries)]


def sync_sources(
    settings: Settings, *, only: str | None = None, is_full: bool = False, progress: Callable[[str], Progress] | None = None
) -> NightReport:
    """Pull all sources, or one, into the warehouse."""
    return _run("sync", settings, only=only, is_full=is_full, progress=progress)


def run_nightly(
    settings: Settings,
    *,
    as_of: date | datetime | None = None,
    kinds: Sequence[str] = ("html",),
    language: str | None = None,
    out: Path = Path("out"),
    progress: Callable[[str], Progress] | None = None,
    stop: Callable[[], bool] | None = None,
) -> NightReport:
    """One nightly run. A source that fails does not stop the others; a launch or programme that cannot be measured yet neither.

    Once `stop` says so, the run ends with the page or the measurement in hand, and is stored as failed and interrupted. Then
    the weekly reports that are owed by now are delivered; none of a date in the past.
    """

    texts: list[str] = []
    known: dict[str, str] = {}

    def report(subject: Subject) -> dict[str, Any]:
        if stop is not None and stop():
            raise Interrupted("interrupted, because the program was told to stop", hint="the next run measures it")
        figures, is_new = _measure_and_save(settings, subject, as_of)
        known[subject.name] = figures["as_of"]
        spoken = language or settings.business.language
        files = [write(figures, kind, spoken, out) for kind in kinds if kind != "terminal"]
        texts.extend(render(figures, kind, spoken).decode() for kind in kinds if kind == "terminal")
        paths = [str(path) for path in files]
        facts = {"trust": figures["trust"]["score"], "is_new": is_new, "files": paths}
        if isinstance(subject, Programme):  # no verdict: its range is for one look, not for a weekly one
            return {"n_modules": len(figures["modules"]), "amount": figures["money"]["amount"], **facts}
        return {"verdict": figures["verdict"]["code"], **facts}

    night = _run("night", settings, progress=progress, each=report, stop=stop)
    night.texts = texts
    if settings.deliveries and as_of is None and not night.is_interrupted:
        # In `payback serve` its timer tries again; a run that nobody follows waits a moment itself.
        night.deliveries = deliver.deliver_measured(settings, known, linger=deliver.LINGER if stop is None else 0.0)
        alerts.look_after_run(settings)
    return night


def measure_named(settings: Settings, name: str, as_of: date | datetime | None = None) -> dict[str, Any]:
    """Measure a launch or a programme, store the snapshot if it says something new, and return its document.

    Raises ConfigError naming the nearest name, NothingToMeasure.
    """
    return _measure_and_save(settings, _named(settings, name), as_of)[0]


def measured(settings: Settings, name: str) -> dict[str, Any]:
    """What `measure_named` returns as of today, with nothing stored: to be looked at."""
    return _measured(settings, _named(settings, name), None)[0]


def _named(settings: Settings, name: str) -> Subject:
    return settings.programme(name) or settings.launch(name)


def open_warehouse(settings: Settings) -> Warehouse:
    """The configured warehouse; nothing is opened yet."""
    return Warehouse(settings.warehouse_url.reveal())


def as_of_from(when: date | datetime | None, settings: Settings) -> AsOf:
    """A date means the end of that local day, nothing means today, a time stamp means exactly then (UTC)."""
    zone = settings.business.zone
    if isinstance(when, datetime):
        if when > utc_now():
            raise ConfigError(f"--as-of {when.isoformat()} lies in the future", hint="what will be known then is not known now")
        return AsOf.instant(when, zone)
    today = utc_now().replace(tzinfo=UTC).astimezone(zone).date()
    if when is not None and when > today:
        raise ConfigError(f"--as-of {when} lies in the future", hint="what will be known then is not known now")
    return AsOf.day(when or today, zone)


def _run(
    kind: str,
    settings: Settings,
    *,
    only: str | None = None,
    is_full: bool = False,
    progress: Callable[[str], Progress] | None = None,
    each: Callable[[Subject], dict[str, Any]] | None = None,
    stop: Callable[[], bool] | None = None,
) -> NightReport:
    sources = settings.sources
    if only is not None:
        sources = tuple(source for source in sources if source.name == only)
        if not sources:
            names = [source.name for source in settings.sources]
            raise ConfigError(f"no source {only!r}{nearest(only, names)}", hint=f"known: {', '.join(names) or 'none'}")
    if not sources:
        raise ConfigError(
            f"no source in {settings.folder / 'payback.toml'}", hint="add a [sources.NAME] table, or run `payback init`"
        )
    try:
        with written_run(settings, kind) as book:
            night = _hops(book, sources, settings, is_full=is_full, progress=progress, each=each, stop=stop)
    except Exception as error:
        if not isinstance(error, Busy):  # whoever is running looks at the end
            alerts.look_after_run(settings)
        raise
    if not night.is_interrupted:  # told to stop: nobody waits for a mail server now
        alerts.look_after_run(settings)
    return night


def _hops(
    book: Logbook,
    sources: Sequence[SourceSettings],
    settings: Settings,
    *,
    is_full: bool,
    progress: Callable[[str], Progress] | None,
    each: Callable[[Subject], dict[str, Any]] | None,
    stop: Callable[[], bool] | None,
) -> NightReport:
    warehouse = open_warehouse(settings)
    warehouse.migrate()
    keep_erased(settings.warehouse_url.reveal(), State(settings.home))
    book.attach(warehouse)
    night = NightReport(run_id=book.run_id)
    for source in sources:
        with book.hop("sync", source.name) as hop:
            opened = _opened(source, settings)
            if isinstance(opened, OptionError):
                outcome = Outcome(source.name, None, opened)
            else:
                shown = progress(source.name) if progress else None
                outcome = attempt(source.name, opened, warehouse, book.run_id, progress=shown, full=is_full, stop=stop)
            _note_sync(book, hop, outcome, warehouse)
        night.sources.append(outcome)
    subjects: tuple[Subject, ...] = (*settings.launches, *settings.programmes)
    for subject in subjects if each is not None else ():
        assert each is not None
        kept = night.programmes if isinstance(subject, Programme) else night.launches
        with book.hop("report", subject.name) as hop:
            kept[subject.name] = _attempt(each, subject, book, hop)
    book.outcome = night.outcome
    book.detail = mask_values(night.as_dict(), settings.secrets())
    return night


def _note_sync(book: Logbook, hop: Hop, outcome: Outcome, warehouse: Warehouse) -> None:
    """What the sync of a source did, for the logbook; how much of it is in quarantine now tells the alerts of a jump."""
    facts = _source_facts(outcome)
    hop.n_received, hop.n_appended, hop.n_deleted = facts["received"], facts["appended"], facts["deleted"]
    hop.n_quarantined, hop.n_requests = facts["rejected"], facts["requests"]
    hop.n_retries = facts["retries"] + facts["rejected_requests"]
    findings = outcome.report.findings if outcome.report else []
    hop.detail = {"findings": sorted({finding.code for finding in findings}), "n_open": warehouse.n_quarantined(outcome.source)}
    if outcome.error is not None:
        book.fail(hop, outcome.error)
    elif any(finding.severity == "error" for finding in findings):
        hop.outcome = "partial"


def _opened(source: SourceSettings, settings: Settings) -> Connector | Reader | OptionError:
    """A source that is configured wrongly fails alone, like one that cannot be reached."""
    try:
        return open_source(source, settings)
    except OptionError as error:
        return error


def _attempt(each: Callable[[Subject], dict[str, Any]], subject: Subject, book: Logbook, hop: Hop) -> dict[str, Any]:
    """What a launch or programme came to; that there is nothing to measure yet is an outcome, and so is a programme that is
    configured wrongly (its pool is looked at only now). Everything else stops the run."""
    try:
        told = each(subject)
    except (NothingToMeasure, Interrupted, ConfigError) as error:
        if isinstance(error, ConfigError) and not isinstance(subject, Programme):
            raise
        book.fail(hop, error)
        if isinstance(error, NothingToMeasure):
            hop.outcome = "partial"
        return {"error": str(error), "hint": error.hint, "exit_code": int(exit_code(error))}
    hop.detail = {key: told[key] for key in ("verdict", "trust") if key in told}
    return dict(told)


def _measure_and_save(settings: Settings, subject: Subject, as_of: date | datetime | None) -> tuple[dict[str, Any], bool]:
    figures, moment = _measured(settings, subject, as_of)
    return figures, open_warehouse(settings).save_snapshot(subject.name, moment.text, document_bytes(figures))


def _measured(settings: Settings, subject: Subject, as_of: date | datetime | None) -> tuple[dict[str, Any], AsOf]:
    warehouse = open_warehouse(settings)
    warehouse.check_schema()
    moment = as_of_from(as_of, settings)
    with warehouse.reading(moment.seen_until) as reading:
        refuse_before_memory(reading, moment)
        if isinstance(subject, Programme):
            return programme_document(measure_programme(reading, subject, settings, moment)), moment
        launch, measured = subject, measure(reading, subject, settings, moment)
    figures = document(measured)
    figures["changes"] = plain_json(changes_since(warehouse, launch, settings, moment, figures))
    return figures, moment


def refuse_before_memory(reading: Reading, moment: AsOf) -> None:
    """A date before the first sync is no date without leads: nothing was known then. Raises NothingToMeasure."""
    first = reading.rows("select min(seen_at) as seen_at from commits")[0].seen_at
    if first is not None and first > moment.seen_until:
        raise NothingToMeasure(
            f"nothing was known on {moment.text}: the first sync was on {first:%Y-%m-%d %H:%M} UTC",
            hint="choose a later --as-of; leads from before the first sync are measured as known since then",
        )
    kept = reading.rows("select max(kept_since) as kept_since from prunings")[0].kept_since
    if kept is not None and kept > moment.seen_until:
        raise NothingToMeasure(
            f"what was known on {moment.text} is not kept any more: it was pruned up to {kept:%Y-%m-%d %H:%M} UTC",
            hint="choose a later --as-of; snapshots stored earlier stay readable in the warehouse",
        )


def _source_facts(source: Outcome) -> dict[str, Any]:
    """What became of a source, JSON-able; a source that failed still tells what came in before."""
    report = source.report or SyncReport()
    streams = report.streams.values()
    error = source.error
    return {
        "source": source.source,
        "error": str(error) if error else None,
        "hint": getattr(error, "hint", ""),
        **{name: sum(getattr(stream, name) for stream in streams) for name in ("received", "appended", "rejected", "deleted")},
        "requests": report.n_requests,
        "rejected_requests": report.n_slowed,
        "retries": report.n_retries,
        "findings": [_finding_line(finding.code, finding.subject, finding.n, finding.detail) for finding in report.findings],
    }


def _finding_line(code: str, subject: str, n: int, detail: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{key}: {value}" for key, value in detail.items())
    return f"{code} in {subject}: {n}" + (f" ({figures})" if figures else "")


def _arrow(hint: str) -> str:
    return f"\n  -> {hint}" if hint else ""
