"""What there is to tell about the nights: read out of the warehouse, at most every few seconds however often somebody asks."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from pipeline import alerts
from pipeline.backups import newest
from pipeline.errors import NoWarehouse, PipelineError, in_words
from pipeline.logbook import Run, error_kind, last_runs
from pipeline.schedule import Nights
from pipeline.settings import Settings
from pipeline.troubles import Lack, unready
from pipeline.warehouse import Warehouse, utc_now

FRESH_SECONDS = 3.0
LOCK_SECONDS = 5.0  # a page must not wait as long as a run may
N_RUNS = 20

_TALLY = """
SELECT kind, outcome, COUNT(*) AS n_runs, MAX(ended_at) AS ended_at
FROM runs WHERE ended_at IS NOT NULL GROUP BY kind, outcome ORDER BY kind, outcome
"""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """When a source was last heard (UTC), whether it had news or not."""

    source: str
    kind: str
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs of a kind ended that way, and when the last one did (UTC)."""

    kind: str
    outcome: str
    n_runs: int
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand at a moment. `reasons` says why the service is not ready; empty when it is."""

    at: datetime  # UTC without zone
    reasons: tuple[Lack, ...]
    has_warehouse: bool
    is_running: bool
    next_runs: tuple[datetime, ...]  # aware, UTC
    sources: tuple[SourceLine, ...] = ()
    runs: Sequence[Run] = ()  # newest first
    tallies: tuple[Tally, ...] = ()
    backed_up_at: datetime | None = None  # the newest backup in the default folder


class Board:
    """Asks the warehouse how things stand. Any thread may ask; one at a time does the reading."""

    def __init__(self, current: Callable[[], Settings], nights: Nights) -> None:
        """`current` gives the configuration as it is now."""
        self._current = current
        self._nights = nights
        self._lock = threading.Lock()
        self._known: Standing | None = None
        self._known_at = float("-inf")

    def standing(self) -> Standing:
        """How things stand, a few seconds old at most. Never raises for a warehouse that is away: that is a reason."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known_at > FRESH_SECONDS:
                self._known = self._read()
                self._known_at = time.monotonic()
            return self._known

    def _read(self) -> Standing:
        now = utc_now()
        next_runs = tuple(self._nights.table.after(now.replace(tzinfo=UTC), 3))
        is_running, nights = self._nights.is_running, self._nights
        problem = [Lack("not_begun", nights.problem, error_kinds=(nights.problem_kind,))] if nights.problem else []
        settings = self._current()
        warehouse = Warehouse(settings.warehouse_url.reveal(), lock_timeout=LOCK_SECONDS)
        try:
            runs, fault = last_runs(settings, warehouse, N_RUNS)
            if fault is not None:
                return Standing(now, _told(_fault(fault), *problem), False, is_running, next_runs, runs=runs)
            heard = alerts.heard(settings, warehouse, runs, fault)
            sources = tuple(SourceLine(source.name, source.kind, heard[source.name]) for source in settings.sources)
            tallies = _tallies(warehouse)
        except (PipelineError, SQLAlchemyError, OSError) as error:
            return Standing(now, _told(_fault(error), *problem), False, is_running, next_runs)
        told = _told(*unready(runs, heard), *problem)
        return Standing(now, told, True, is_running, next_runs, sources, runs, tallies, newest(settings.home))


def _tallies(warehouse: Warehouse) -> tuple[Tally, ...]:
    try:
        with warehouse.reading() as reading:
            return tuple(Tally(row.kind, row.outcome, row.n_runs, row.ended_at) for row in reading.rows(_TALLY))
    except NoWarehouse:  # before the first run
        return ()


def ended_last(runs: Sequence[Run]) -> Run | None:
    """The newest run that is not under way."""
    return next((run for run in runs if run.outcome != "running"), None)


def _fault(error: Exception) -> Lack:
    return Lack("fault", in_words(error), error_kinds=("warehouse" if isinstance(error, SQLAlchemyError) else error_kind(error),))


def _told(*reasons: Lack) -> tuple[Lack, ...]:
    """Each once."""
    return tuple({reason.text: reason for reason in reversed(reasons)}.values())[::-1]
