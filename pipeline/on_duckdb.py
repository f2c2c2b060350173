"""The warehouse in a DuckDB file. All use of duckdb and duckdb-engine is here and in attachments.py.

DuckDB lets one process write a file, or several read it. So a file is attached for one transaction and released after
it, and whoever finds it taken tries again until a deadline.
"""

import os
import re
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from duckdb_engine import ConnectionWrapper
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from pipeline.attachments import ATTACHMENTS, Taken
from pipeline.database import Parameters, plain
from pipeline.errors import NoWarehouse, WarehouseError

_KEPT = "nothing already stored is lost"
_BLOCK = 50_000  # rows
# Somebody may have opened the old file and not yet asked for its lock when the new one takes its place: it must find it taken.
_LINGER = 0.2


class _Wire(ConnectionWrapper):
    """duckdb-engine's connection that gives the file back when SQLAlchemy closes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, release: Callable[[], None]) -> None:
        super().__init__(connection)
        self.raw = connection
        self._release = release

    def close(self) -> None:
        super().close()
        self._release()


class OnDuckDB:
    """`pipeline.database.Database` for `duckdb:///file`."""

    name = "duckdb"

    def __init__(self, url: URL, lock_timeout: float) -> None:
        if not url.database or url.database == ":memory:":
            raise WarehouseError("a warehouse in memory is forgotten at once", hint="give a file: duckdb:///payback.duckdb")
        self._path = Path(url.database).expanduser().resolve()
        self._lock_timeout = lock_timeout
        self.place = str(self._path)
        self._reader = self._engine(write=False)
        self._writer = self._engine(write=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        if not self._path.exists():
            raise NoWarehouse(f"there is no warehouse at {self.place} yet", hint="run `payback sync` first")
        with self._faults(), self._reader.connect() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._faults(), self._writer.connect() as connection, connection.begin():
            yield connection

    def append(self, connection: Connection, table: str, rows: pa.Table) -> None:
        raw = _raw(connection)
        raw.register("appended", rows)
        raw.execute(f"INSERT INTO {table} BY NAME SELECT * FROM appended")
        raw.unregister("appended")

    def stage(self, connection: Connection, name: str, rows: pa.Table) -> None:
        _raw(connection).register(name, rows)

    def create(self, connection: Connection, name: str, sql: str, parameters: Parameters) -> None:
        connection.execute(text(f"CREATE OR REPLACE TEMP TABLE {name} AS\n{sql}"), parameters)

    def insert(self, connection: Connection, sql: str, parameters: Parameters) -> int:
        return int(connection.execute(text(sql), parameters).scalar_one())

    def columns(self, connection: Connection, sql: str, parameters: Parameters) -> pa.Table:
        return plain(_fetched(connection, sql, parameters))

    def numbers(self, connection: Connection, sql: str, parameters: Parameters) -> "array[int]":
        found = array("q")
        for block in _fetched(connection, sql, parameters).column(0).chunks:
            found.frombytes(block.cast(pa.int64()).to_numpy().tobytes())
        return found

    def blocks(self, connection: Connection, sql: str) -> Iterator[pa.Table]:
        with _read_by_arrow():
            for block in _raw(connection).sql(sql).to_arrow_reader(_BLOCK):
                yield pa.table([_text(column) for column in block.columns], names=block.schema.names)

    def compact(self, tables: Iterable[str]) -> None:
        """DuckDB overwrites nothing: a file keeps the bytes of deleted rows until their blocks are used again. So the tables are
        written into a new file, which takes the old one's place."""
        fresh = self._path.with_name(f"{self._path.name}.compact")
        forget(fresh)
        try:
            with self._faults(), self._held(is_folded=True) as raw:
                _copy_all(raw, fresh)
                self._swap(fresh)
        finally:
            forget(fresh)

    def copy_to(self, file: Path) -> None:
        """All tables, in one view, as a new DuckDB file. Readers go on, writers of other processes wait."""
        with self._faults(), self._held(is_folded=False) as raw:
            _copy_all(raw, file)

    def take(self, fresh: Path) -> None:
        """Put a DuckDB file of the same disk in the place of this one, once nobody writes it. A damaged one is set aside."""
        if not self._path.exists():
            fresh.replace(self._path)
            sync_folder(self._path.parent)
            return
        try:
            with self._faults(), self._held(is_folded=True):
                self._swap(fresh)
        except WarehouseError:
            if not self.is_damaged():
                raise
            for path in (self._path, _log(self._path)):
                if path.exists():
                    path.replace(f"{path}.damaged")
            fresh.replace(self._path)

    def is_damaged(self) -> bool:
        """Whether the file is there and cannot be opened as what it should be."""
        try:
            with self._faults(), self.reading():
                return False
        except WarehouseError as error:
            return not isinstance(error, NoWarehouse) and "is damaged" in str(error)

    @contextmanager
    def _held(self, *, is_folded: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file open for reading, so that nobody writes it; `is_folded`: with all that was committed in it, none in a log."""
        deadline = time.monotonic() + self._lock_timeout
        while True:
            wire = self._open(write=False)
            try:
                if not is_folded or (not _log(self._path).exists() and ATTACHMENTS.is_quiet(self._path)):
                    yield wire.raw
                    return
            finally:
                wire.close()
            if time.monotonic() > deadline:
                raise WarehouseError(
                    f"the warehouse {self.place} is being written all the time, or its log cannot be folded into it",
                    hint="wait until the sync is over, free some space, then run again",
                )
            with self.writing():  # the last writer was killed: whoever writes next folds its log into the file
                pass
            time.sleep(0.01)

    def _swap(self, fresh: Path) -> None:
        old = self._path.stat()
        fresh.chmod(old.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(fresh, old.st_uid, old.st_gid)
        fresh.replace(self._path)
        sync_folder(self._path.parent)
        time.sleep(_LINGER)

    def _engine(self, *, write: bool) -> Engine:
        return create_engine("duckdb://", creator=lambda: self._open(write), poolclass=NullPool, hide_parameters=True)

    def _open(self, write: bool) -> _Wire:
        """A connection to the file, once nobody else has it."""
        thread = threading.get_ident()
        deadline = time.monotonic() + self._lock_timeout
        pause = 0.005
        while True:
            try:
                connection = ATTACHMENTS.open(self._path, write)
                return _Wire(connection, partial(ATTACHMENTS.close, connection, self._path, write, thread))
            except (Taken, duckdb.Error) as error:
                holder = _holder(error)
                if holder is None:
                    raise
                if time.monotonic() > deadline:
                    raise WarehouseError(
                        f"the warehouse {self.place} is locked by {holder} (waited {self._lock_timeout:g} s)",
                        hint="another `payback` command or a DuckDB shell has it open: wait for it or close it, then run again",
                    ) from None
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, DBAPIError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(cause, duckdb.InterruptException):
                raise KeyboardInterrupt from error
            found = self._fault(cause)
            if found is None:
                raise
            raise found from error
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # so DuckDB says that a signal came in the middle of a query
                raise KeyboardInterrupt from error
            raise

    def _fault(self, error: BaseException | None) -> WarehouseError | None:
        """Our words for a fault of DuckDB, None when no user could do anything about it."""
        message = "" if isinstance(error, _OURS) else str(error)
        for pattern, words, hint in _FAULTS:
            if re.search(pattern, message):
                return WarehouseError(words.format(place=self.place), hint=hint)
        return None


UNREADABLE = (duckdb.Error, DBAPIError, pa.ArrowException, ValueError)  # what reading rows of a strange file can end in

# Faults of a query or of our code: their messages quote SQL and values, and must not be searched for words.
_OURS = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.DataError, duckdb.IntegrityError)

_FAULTS = (
    (
        r"No space left|Disk quota|File too large|Could not write|out of disk",
        "the disk is full: the warehouse {place} could not be written",
        f"free some space and run again; {_KEPT}",
    ),
    (
        r"Permission denied|Read-only file system|read-only mode!",
        "the warehouse {place} may not be written: file or folder is read-only",
        "allow this user to write the file and its folder, or name another file in warehouse.url",
    ),
    (
        r"version number|newer version of DuckDB|storage version",
        "the warehouse {place} was written by another version of DuckDB",
        "update payback (pip install -U payback duckdb)",
    ),
    (
        r"not a valid DuckDB|[Cc]orrupt|checksum|[Ss]erialization|Could not read|invalidated|WAL file",
        "the warehouse {place} is damaged or no DuckDB file",
        "restore the file from a backup, or move it away and run `payback sync --full`",
    ),
    (
        r"Cannot open file",
        "the warehouse {place} cannot be opened: its folder does not exist",
        "create the folder, or name another file in warehouse.url",
    ),
)


def _holder(error: Exception) -> str | None:
    """Who has the file, None when the error is about something else."""
    if isinstance(error, Taken):
        return error.holder
    message = str(error)
    if "Could not set lock" in message:
        process = re.search(r"\(PID (\d+)\)", message)
        return f"process {process[1]}" if process else "another process"
    return "another thread of this process" if "file handle conflict" in message else None


def forget(file: Path) -> None:
    """Remove a DuckDB file with its log, if they are there."""
    for path in (file, _log(file)):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """What was renamed in the folder stays renamed when the power fails."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")


def _copy_all(raw: duckdb.DuckDBPyConnection, file: Path) -> None:
    """All tables of the connection's database into a new file, on disk when this returns; nothing is left after an error."""
    (source,) = raw.execute("SELECT current_database()").fetchall()[0]
    quoted = str(file).replace("'", "''")
    raw.execute(f"ATTACH '{quoted}' AS copied")
    try:
        raw.execute(f"COPY FROM DATABASE {source} TO copied")
        raw.execute("CHECKPOINT copied")
    except BaseException:
        with suppress(duckdb.Error):
            raw.execute("DETACH copied")
        forget(file)
        raise
    raw.execute("DETACH copied")
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_string_view(column.type) else column


def _fetched(connection: Connection, sql: str, parameters: Parameters) -> pa.Table:
    compiled = text(sql).compile(dialect=connection.dialect)
    values = [parameters[name] for name in getattr(compiled, "positiontup", None) or ()]
    with _read_by_arrow():
        return _raw(connection).sql(str(compiled), params=values).to_arrow_table()


@contextmanager
def _read_by_arrow() -> Iterator[None]:
    """What DuckDB meets half way through a result comes out of Arrow as an error of the operating system."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise duckdb.IOException(str(error)) from error


def _raw(connection: Connection) -> duckdb.DuckDBPyConnection:
    """DuckDB's own connection (duckdb-engine's wrapper forwards everything to it), with no half-read result on it."""
    raw: Any = connection.connection.dbapi_connection
    raw.complete()
    return raw  # type: ignore[no-any-return]  # the wrapper has no types
