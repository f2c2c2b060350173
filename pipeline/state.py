"""Facts about running that must survive when the warehouse cannot be reached: what was told to whom, what waits in the inbox.

One SQLite file beside the configuration (`payback-state.sqlite3`), in WAL mode with full synchronisation: a committed row is on
disk. Nothing in it is a figure of a report: without the file nothing measured changes. So a damaged one is set aside and a new
one begun, rather than keep every command and every alert from working.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import WarehouseError
from pipeline.logs import log

FILE = "payback-state.sqlite3"
LOCK_SECONDS = 30.0
ASIDE = ".damaged"  # added to the name of a damaged file
# Every module that keeps something adds its table here: `create table if not exists`, never altered in place.
# Times are ISO texts in UTC.
SCHEMA: tuple[str, ...] = (
    # pipeline.lease: who holds the lease on running, for messages
    "create table if not exists holders (run_id text not null, kind text not null, pid integer not null, since text not null)",
    # pipeline.logbook: the last runs and their hops, also those that the warehouse never heard of
    """create table if not exists runs (run_id text primary key, kind text not null, started_at text not null, ended_at text,
       outcome text not null, detail text not null)""",
    """create table if not exists hops (run_id text not null, number integer not null, facts text not null,
       primary key (run_id, number))""",
    # pipeline.logbook: the night that is owed and could not even begin
    "create table if not exists not_begun (kind text primary key, since text not null, facts text not null) without rowid",
    # pipeline.incidents: what is wrong since when, and who was told what of it
    """create table if not exists incidents (incident_id integer primary key, kind text not null, subject text not null,
       opened_at text not null, closed_at text, facts text not null)""",
    "create unique index if not exists incidents_open on incidents (kind, subject) where closed_at is null",
    """create table if not exists tellings (incident_id integer not null, recipient text not null, part text not null,
       n_tries integer not null, is_unsure integer not null,
       not_before text not null, began_at text, told_at text, given_up_at text,
       primary key (incident_id, recipient, part))""",
    # pipeline.inbox: rows that are said to have changed, and what was heard of each source so far
    """create table if not exists inbox (source text not null, stream text not null, key integer not null,
       serial integer not null, heard_at text not null, primary key (source, stream, key)) without rowid""",
    """create table if not exists inbox_sources (source text primary key, n_waiting integer not null default 0,
       n_events integer not null default 0, heard_at text not null default '', n_failures integer not null default 0,
       not_before text not null default '') without rowid""",
    # pipeline.deliveries: which report was sent to whom, and since when each recipient is configured
    """create table if not exists deliveries (launch text not null, week text not null, recipient text not null,
       name text not null, as_of text not null, planned_at text not null, n_tries integer not null, not_before text not null,
       state text not null, settled_at text, error text not null, primary key (launch, week, recipient)) without rowid""",
    "create table if not exists subscribers (recipient text primary key, since text not null) without rowid",
    # ... what a delivery stands for (the document's SHA-256), the keyed hash of the address it was last tried at, whether it was
    # ever begun, why it failed (JSON)
    """create table if not exists delivery_notes (launch text not null, week text not null, recipient text not null,
       document_hash text not null default '', address text not null default '', is_begun integer not null default 0,
       reason text not null default '', primary key (launch, week, recipient)) without rowid""",
    # pipeline.addressees: by which key the recipient at a place (keyed hash) is known here
    "create table if not exists recipients (place text primary key, recipient text not null) without rowid",
    # pipeline.web.sessions: who is signed in to the dashboard; the digest of the session's id, never the id
    """create table if not exists sessions (digest text primary key, user text not null, credential text not null,
       began_at text not null, seen_at text not null) without rowid""",
    # pipeline.erasure: who was erased, for the restore of a backup that was made before: keyed hashes and row keys, nothing else
    """create table if not exists erased (source text not null, table_name text not null, entity text not null,
       record_key text not null, erased_at text not null, primary key (source, table_name, entity, record_key)) without rowid""",
)


class State:
    """The state file in the folder that holds `config/`. Nothing is opened before it is used, nothing stays open after."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end, rolled back on any error. Raises WarehouseError when it cannot be written."""
        try:
            connection = self._begun()
        except sqlite3.DatabaseError as error:
            if not set_aside(self.path, error):
                raise self._unusable(error) from error
            connection = self._begun_anew()
        try:
            yield connection
            connection.execute("commit")
        except sqlite3.Error as error:
            connection.close()
            if set_aside(self.path, error):
                raise self._unusable(error, hint="it was set aside, the next command begins a new one") from error
            raise self._unusable(error) from error
        finally:
            connection.close()  # rolls back what was not committed

    def _begun(self) -> sqlite3.Connection:
        """A connection with its transaction begun and all tables there. Raises sqlite3.Error."""
        connection = sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            connection.execute("begin immediate")
            for statement in SCHEMA:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begun_anew(self) -> sqlite3.Connection:
        try:
            return self._begun()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """What is kept, all tables there; nothing is created where nothing was ever kept. Raises WarehouseError."""
        if self.path.exists():
            with self.writing() as connection:
                yield connection
            return
        empty = sqlite3.connect(":memory:")
        try:
            empty.row_factory = sqlite3.Row
            for statement in SCHEMA:
                empty.execute(statement)
            yield empty
        finally:
            empty.close()

    def keep_open(self) -> sqlite3.Connection:
        """A connection to hold while many small transactions follow each other: otherwise every one of them, being the last to
        leave, writes the whole log back into the file. Raises WarehouseError."""
        with self.writing():
            pass  # the file and its tables are there now
        try:
            connection = sqlite3.connect(self.path, timeout=LOCK_SECONDS, check_same_thread=False)
            connection.execute("select count(*) from inbox_sources").fetchone()  # opens the log, too
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return connection

    def _unusable(self, error: sqlite3.Error, hint: str = "") -> WarehouseError:
        known = "check the disk, the rights of the folder and that no other program holds the file"
        return WarehouseError(f"the state file {self.path} cannot be used: {error}", hint=hint or known)


def set_aside(path: Path, error: sqlite3.Error) -> bool:
    """Rename a SQLite file, with its log, that `error` says is damaged; whether a new one may be begun in its place. One that
    another process has replaced meanwhile stays."""
    if not _is_damage(error):
        return False
    with suppress(OSError):
        if _is_readable(path):
            return True
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)  # of no use without its file, and harmful beside another one
        aside = path.with_name(path.name + ASIDE)
        path.replace(aside)
        os.utime(aside)
        log.error("file_damaged", file=path.name, set_aside_as=aside.name, error=str(error))
        return True
    return False


def damaged(home: Path) -> dict[str, datetime]:
    """The files of Payback's own that were found damaged, by name, and when (UTC); until somebody deletes what was set aside."""
    found = {}
    for path in sorted(home.glob(f"payback-*.sqlite3{ASIDE}")):
        with suppress(OSError):
            found[path.name.removesuffix(ASIDE)] = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
    return found


def _is_damage(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _is_readable(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with any page of the file."""
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS)
    try:
        return bool(connection.execute("pragma quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error as error:
        return not _is_damage(error)
    finally:
        connection.close()
