"""One run at a time on one installation, over threads and processes: whoever holds the lease runs, everybody else waits a while.

The lock is a write lock on an empty SQLite file, held for as long as the run: the operating system frees it when the process
ends, however it ends, on every platform Python runs on. Who holds it since when stands in the state file, for messages only.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import Busy, WarehouseError
from pipeline.logs import log
from pipeline.state import State, set_aside

RUNS = "payback-lease.sqlite3"
ALERTS = "payback-alerts.sqlite3"
DELIVERIES = "payback-deliveries.sqlite3"
# A webhook's events are fetched in seconds: worth waiting for. A night takes longer: whoever comes then is told and comes again.
WAIT_SECONDS = 120.0
_NAP = 0.2


@contextmanager
def one_run(home: Path, kind: str, run_id: str, *, wait_seconds: float | None = None) -> Iterator[None]:
    """Hold the lease on the installation in `home` for a run.

    Raises Busy when another run still holds it after `wait_seconds`.
    """
    state = State(home)
    with lock(home / RUNS, WAIT_SECONDS if wait_seconds is None else wait_seconds) as is_held:
        if not is_held:
            who = _holder(state)
            raise Busy(f"another run is under way: {who}", hint="wait until it has ended and try again, or stop that process")
        since = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        with state.writing() as connection:
            connection.execute("delete from holders")
            connection.execute("insert into holders values (?, ?, ?, ?)", (run_id, kind, os.getpid(), since))
        yield


def running(home: Path) -> str | None:
    """The id of the run that holds the lease now."""
    if not (home / RUNS).exists():
        return None
    with lock(home / RUNS, 0.0) as is_held:
        if is_held:
            return None
    with State(home).reading() as connection:
        row = connection.execute("select run_id from holders").fetchone()
    return None if row is None else str(row["run_id"])


@contextmanager
def lock(path: Path, wait_seconds: float) -> Iterator[bool]:
    """Whether the lock of that file could be had within the time; if so it is held until the end. Raises WarehouseError."""
    try:
        connection, is_held = _opened(path, wait_seconds)
    except sqlite3.Error as error:
        raise WarehouseError(
            f"the lock file {path} cannot be used: {error}", hint="check the disk and the rights of the folder"
        ) from error
    try:
        yield is_held
    finally:
        connection.close()


def _opened(path: Path, wait_seconds: float, *, is_new: bool = False) -> tuple[sqlite3.Connection, bool]:
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    try:
        return connection, _locked(connection, wait_seconds, path)
    except sqlite3.Error as error:
        connection.close()
        if is_new or not set_aside(path, error):  # it is empty: nothing is lost with it
            raise
        return _opened(path, wait_seconds, is_new=True)


def _locked(connection: sqlite3.Connection, wait_seconds: float, path: Path) -> bool:
    deadline = time.monotonic() + wait_seconds
    is_told = False
    while True:
        try:
            connection.execute("begin immediate")
            return True
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
        if time.monotonic() >= deadline:
            return False
        if not is_told:
            log.warning("waiting_for_lock", file=path.name, seconds=wait_seconds)
            is_told = True
        time.sleep(min(_NAP, max(0.0, deadline - time.monotonic())))


def _holder(state: State) -> str:
    with state.reading() as connection:
        row = connection.execute("select * from holders").fetchone()
    return "it began a moment ago" if row is None else f"{row['kind']}, process {row['pid']}, since {row['since']} UTC"
