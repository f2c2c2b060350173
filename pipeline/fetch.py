"""Fetches what the inbox holds: the rows that a source said have changed, from its portal into the warehouse."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors import engine
from connectors.contract import Connector, SyncReport
from connectors.errors import PayloadError
from pipeline.erasure import keep_erased
from pipeline.errors import Busy
from pipeline.inbox import Entry, Inbox
from pipeline.lease import one_run
from pipeline.logs import log
from pipeline.settings import Settings, SourceSettings, open_source
from pipeline.state import State
from pipeline.warehouse import EVENTS_RUN, Warehouse, utc_now

_MOST_ROWS = 2_500  # at once: what one batch of Bitrix24 can ask for
# A portal that answers so often what our reader does not understand will not do better for these rows now. The nightly sync
# reads them, too, and tells a person if it cannot.
_GIVE_UP_AFTER = 3


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of the waiting rows of one source: how many were asked for, the report, the error that ended it."""

    source: str
    n_rows: int
    report: SyncReport | None = None
    error: Exception | None = None


def listens(source: SourceSettings) -> bool:
    """Whether events are accepted for the source: it knows the token that proves them."""
    return bool(getattr(source.options, "application_token", None))


def inbox_of(settings: Settings) -> Inbox:
    """The inbox of this installation."""
    return Inbox(State(settings.home))


def fetch_pending(settings: Settings, *, stop: Callable[[], bool] | None = None) -> list[Fetched]:
    """Fetch the rows that wait, up to 2 500 a source; to be called every few seconds. Cheap when nothing waits.

    While a run is under way nothing is fetched: it reads the same portal within the same limits, and the rows keep waiting.
    A source that fails rests for a while, longer each time, and its rows wait. Raises WarehouseError when the state file
    cannot be used.
    """
    inbox = inbox_of(settings)
    listening = {source.name: source for source in settings.sources if listens(source)}
    due = inbox.due(listening)
    if not due:
        return []
    run_id = f"{EVENTS_RUN}{utc_now():%Y%m%dT%H%M%S.%f}"
    try:
        with one_run(settings.home, "events", run_id, wait_seconds=0.0):
            return [_fetched(listening[name], settings, inbox, run_id, stop) for name in due]
    except Busy:
        return []


def _fetched(
    source: SourceSettings, settings: Settings, inbox: Inbox, run_id: str, stop: Callable[[], bool] | None
) -> Fetched:
    entries = inbox.entries(source.name, _MOST_ROWS)
    try:
        connector = open_source(source, settings)
        assert isinstance(connector, Connector), "only a connector behind an API sends events"
        warehouse = Warehouse(settings.warehouse_url.reveal())
        warehouse.migrate()
        keep_erased(settings.warehouse_url.reveal(), State(settings.home))
        wanted: dict[str, list[int]] = {}
        for entry in entries:
            wanted.setdefault(entry.stream, []).append(entry.key)
        report = engine.fetch(connector, warehouse.sink(source.name, run_id), wanted, stop=stop)
    except Exception as error:  # also a bug in a connector: it must not starve the other sources
        _rest(source.name, entries, inbox, error)
        return Fetched(source.name, len(entries), getattr(error, "report", None), error)
    if any(finding.code == "stopped" for finding in report.findings):
        return Fetched(source.name, len(entries), report)
    inbox.done(source.name, entries)  # only now: everything is committed
    lines = report.streams.values()
    log.info(
        "events_fetched",
        source=source.name,
        rows=len(entries),
        appended=sum(line.appended for line in lines),
        deleted=sum(line.deleted for line in lines),
        quarantined=sum(line.rejected for line in lines),
        requests=report.n_requests,
    )
    return Fetched(source.name, len(entries), report)


def _rest(source: str, entries: list[Entry], inbox: Inbox, error: Exception) -> None:
    n_failures = inbox.failed(source)
    log.warning("events_not_fetched", source=source, rows=len(entries), failures=n_failures, error=str(error))
    if isinstance(error, PayloadError) and n_failures >= _GIVE_UP_AFTER:
        inbox.done(source, entries)
        log.error("events_left_to_the_night", source=source, rows=len(entries), error=str(error))
