"""From the sources into the warehouse: one source, or all of them, each failing alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from connectors.contract import Connector, Progress, Reader, SyncReport
from connectors.engine import pull
from connectors.errors import SourceError
from pipeline.errors import PipelineError
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
) -> SyncReport:
    """Bring one source up to date, resuming where the last sync stopped; `full` reads everything anew.

    Raises SourceError and WarehouseError; what was committed before stays.
    """
    return pull(connector, warehouse.sink(source, run_id), progress=progress, full=full)


def pull_all(
    sources: Iterable[tuple[str, Connector | Reader]],
    warehouse: Warehouse,
    run_id: str,
    *,
    progress: Callable[[str], Progress] | None = None,
    full: bool = False,
) -> list[Outcome]:
    """Bring all sources up to date, in order. The fault of one source does not stop the others; one of the warehouse does.

    `progress` gives the progress of a source by its name. Raises WarehouseError.
    """
    warehouse.migrate()
    outcomes = []
    for source, connector in sources:
        shown = progress(source) if progress else None
        try:
            report = pull_source(source, connector, warehouse, run_id, progress=shown, full=full)
            outcomes.append(Outcome(source, report))
        except PipelineError:
            raise
        except Exception as error:  # a bug in one connector, ours or another package's, must not starve the other sources
            done = error.report if isinstance(error, SourceError) else None
            outcomes.append(Outcome(source, done, error))
    return outcomes
