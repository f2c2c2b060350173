"""From the sources into the warehouse: one source, or all of them, each failing alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from connectors.contract import Connector, Finding, Progress, Reader, SyncReport
from connectors.engine import pull
from connectors.errors import SourceError
from pipeline.errors import Interrupted, PipelineError
from pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one source: a report; after an error that ended its sync, of what was stored before it, if anything was."""

    source: str
    report: SyncReport | None
    error: Exception | None = None


def pull_source(
    source: str,
    connector: Connector | Reader,
    warehouse: Warehouse,
    run_id: str,
    *,
    progress: Progress | None = None,
    full: bool = False,
    stop: Callable[[], bool] | None = None,
) -> SyncReport:
    """Bring one source up to date, resuming where the last sync stopped; `full` reads everything anew.

    Raises SourceError and WarehouseError; what was committed before stays.
    """
    sink = warehouse.sink(source, run_id)
    report = pull(connector, sink, progress=progress, full=full, stop=stop)
    if sink.n_turned_away:
        report.findings.append(Finding("erased_turned_away", "info", source, sink.n_turned_away))
    return report


def pull_all(
    sources: Iterable[tuple[str, Connector | Reader]],
    warehouse: Warehouse,
    run_id: str,
    *,
    progress: Callable[[str], Progress] | None = None,
    full: bool = False,
    stop: Callable[[], bool] | None = None,
) -> list[Outcome]:
    """Bring all sources up to date, in order. The fault of one source does not stop the others; one of the warehouse does.

    `progress` gives the progress of a source by its name. Once `stop` says so, the page in flight is the last one: the outcome of
    this source and of those after it is `Interrupted`. Raises WarehouseError.
    """
    warehouse.migrate()
    return [
        attempt(source, connector, warehouse, run_id, progress=progress(source) if progress else None, full=full, stop=stop)
        for source, connector in sources
    ]


def attempt(
    source: str,
    connector: Connector | Reader,
    warehouse: Warehouse,
    run_id: str,
    *,
    progress: Progress | None = None,
    full: bool = False,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Bring one source up to date; its fault is an outcome. Raises WarehouseError."""
    if stop is not None and stop():
        return Outcome(source, None, _interrupted(source))
    try:
        report = pull_source(source, connector, warehouse, run_id, progress=progress, full=full, stop=stop)
    except PipelineError:
        raise
    except Exception as error:  # a bug in one connector, ours or another package's, must not starve the other sources
        return Outcome(source, error.report if isinstance(error, SourceError) else None, error)
    is_cut = any(finding.code == "stopped" for finding in report.findings)
    return Outcome(source, report, _interrupted(source) if is_cut else None)


def _interrupted(source: str) -> Interrupted:
    said = f"{source}: interrupted, because the program was told to stop"
    return Interrupted(said, hint="the next run goes on where it stopped")
