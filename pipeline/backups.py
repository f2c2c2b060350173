"""Backups: the warehouse and the state file in one DuckDB file, whatever database the warehouse is in.

Made from one consistent view while syncs and readers go on, written in a folder of its own and renamed when it is whole. Each
table stands in it with its number of rows and a digest that depends neither on their order nor on the database; a restore
compares both before anything is replaced. Not in it: configuration and `.env`.
"""

import hashlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, make_url, text

from pipeline import migrations
from pipeline.database import Database
from pipeline.erasure import erase_again
from pipeline.errors import ConfigError, NoWarehouse, WarehouseError
from pipeline.state import State
from pipeline.tables import METADATA
from pipeline.warehouse import Warehouse, open_database, utc_now

_FORMAT = "1"
_OWN_TABLES = ("backup_facts", "backup_tables", "backup_state")
_PREFIX = ".payback-"
_LEFT_S = 24 * 3600  # nobody copies for longer than a day
_SEPARATOR = "\x1f"
_NULL = "\x00"  # no text of the warehouse holds it


@dataclass(frozen=True, slots=True)
class Backup:
    """What stands in a backup: when it was made (UTC, as text), the version of its tables, rows by table, bytes of the file."""

    file: Path
    made_at: str
    schema: str
    rows: dict[str, int]
    n_bytes: int
    has_state: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    backup: Backup
    place: str
    n_erased: int  # rows of people who were erased after the backup was made
    is_state_restored: bool


def default_file(home: Path) -> Path:
    """`backups/payback-TIME.duckdb` beside the configuration."""
    return home / "backups" / f"payback-{utc_now():%Y%m%dT%H%M%S}Z.duckdb"


def newest(home: Path) -> datetime | None:
    """When the newest backup in the default folder was made (UTC), by the names of the files; None when there is none."""
    times = []
    for file in (home / "backups").glob("payback-*.duckdb"):
        with suppress(ValueError):  # a name of somebody's own
            times.append(datetime.strptime(file.stem, "payback-%Y%m%dT%H%M%SZ"))
    return max(times, default=None)


def back_up(url: str, state: State, file: Path) -> Backup:
    """Write a backup of the warehouse at `url` and of the state file.

    Raises ConfigError when `file` exists; WarehouseError when the warehouse cannot be read or the disk is full: nothing is left.
    """
    if file.exists():
        raise ConfigError(f"{file} exists already", hint="name another file, or none: the default name holds the time")
    database = open_database(url)
    with _folder_beside(file) as folder:
        part = folder / "backup.duckdb"
        if database.name == "duckdb":
            from pipeline.on_duckdb import OnDuckDB

            assert isinstance(database, OnDuckDB)
            with database.reading():  # whether there is one at all
                pass
            with _for_backup(file):
                database.copy_to(part)
        else:
            _copy_into_duckdb(database, Warehouse(url), file, part)
        with _for_backup(file):
            made = _sealed(part, state)
        part.chmod(0o600)
        part.replace(file)
    return Backup(file, *made, file.stat().st_size, state.path.exists())


def restore(file: Path, url: str, state: State, *, replace: bool) -> Restored:
    """Put a backup in the place of the warehouse at `url`, which may be on another database than the one the backup was made of.

    Raises WarehouseError when the backup is damaged or newer than this program, and ConfigError when the warehouse has rows and
    `replace` is not given; the warehouse is untouched then.
    """
    known = verified(file)
    target = Warehouse(url)
    is_filled = _has_rows(url)
    if is_filled and not replace:
        raise ConfigError(
            f"the warehouse {target.place} has rows: restoring would replace them",
            hint="make a backup of it first (`payback backup`), then restore with --replace; or name another warehouse.url",
        )
    parsed = make_url(url)
    beside = Path(parsed.database or "").expanduser().resolve() if target.dialect == "duckdb" else state.path
    with _folder_beside(beside) as folder:
        part = folder / "restored.duckdb"
        with _for_backup(file):
            shutil.copyfile(file, part)
            n_erased = _prepared(part, state, _standing_tombstones(url))
        if target.dialect == "duckdb":
            from pipeline.on_duckdb import OnDuckDB

            place = open_database(url)
            assert isinstance(place, OnDuckDB)
            place.take(part)
        else:
            target.migrate()
            _fill(open_database(url), part)
    return Restored(known, target.place, n_erased, _restore_state(file, state))


def verified(file: Path) -> Backup:
    """What stands in a backup, every row of it read. Raises WarehouseError when it is damaged, incomplete or none."""
    from pipeline.on_duckdb import UNREADABLE

    if not file.is_file():
        raise ConfigError(f"there is no file {file}", hint="`payback backup` writes one")
    database = open_database(f"duckdb:///{file.resolve()}")
    bad = WarehouseError(f"{file} is damaged, or no backup of Payback", hint="take another backup; the warehouse was not touched")
    try:
        with database.reading() as connection:
            if not _tables(connection) >= set(_OWN_TABLES):
                raise bad
            facts = {row.name: row.value for row in connection.execute(text("SELECT name, value FROM backup_facts"))}
            told = connection.execute(text("SELECT table_name, n_rows, digest FROM backup_tables"))
            expected = {row.table_name: (row.n_rows, row.digest) for row in told}
            if not {"made_at", "schema", "payback"} <= set(facts) or set(expected) != _tables(connection) - set(_OWN_TABLES):
                raise bad
            if not all(map(str.isidentifier, expected)):  # a name out of a file must not become SQL
                raise bad
            for table, sums in expected.items():
                if _sums(database.blocks(connection, f"SELECT * FROM {table}")) != sums:
                    raise bad
            has_state = bool(connection.execute(text("SELECT COUNT(*) FROM backup_state")).scalar_one())
    except UNREADABLE as error:  # a column is missing, a byte was changed
        raise bad from error
    except WarehouseError as error:
        if "damaged" in str(error):
            raise bad from error
        raise
    if facts["schema"] > migrations.known()[-1]:
        raise WarehouseError(
            f"{file} was made by a newer version of Payback ({facts['payback']})", hint="update payback (pip install -U payback)"
        )
    rows = {table: n for table, (n, _) in expected.items()}
    return Backup(file, facts["made_at"], facts["schema"], rows, file.stat().st_size, has_state)


# --- writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def _folder_beside(file: Path) -> Iterator[Path]:
    """A folder on the disk of `file` that only this user may enter, removed in the end; so are those of killed commands."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for left in file.parent.glob(f"{_PREFIX}*"):
            if left.is_dir() and time.time() - left.stat().st_mtime > _LEFT_S:
                shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=file.parent, ignore_cleanup_errors=True)
    except OSError as error:
        hint = "name a folder this user may write"
        raise WarehouseError(f"{file.parent} cannot be written ({error.strerror})", hint=hint) from None
    with folder as name:
        yield Path(name)


@contextmanager
def _for_backup(file: Path) -> Iterator[None]:
    """A full disk is named by the file the user asked for."""
    try:
        yield
    except OSError as error:
        raise _full(file, str(error.strerror)) from error
    except WarehouseError as error:
        if "disk is full" in str(error):
            raise _full(file, "the disk is full") from error
        raise


def _full(file: Path, reason: str) -> WarehouseError:
    hint = "free some space, or name a file on another disk; the warehouse is as it was, and no half file is left"
    return WarehouseError(f"there is no room for {file} and what is made of it: {reason}", hint=hint)


def _copy_into_duckdb(database: Database, warehouse: Warehouse, file: Path, part: Path) -> None:
    """All tables out of one view of another database."""
    warehouse.check_schema()
    copy = Warehouse(f"duckdb:///{part}")
    copied = open_database(f"duckdb:///{part}")
    with _for_backup(file), database.reading() as connection:
        copy.migrate()
        with copied.writing() as into:
            for table in METADATA.tables:
                for block in database.blocks(connection, f"SELECT {_columns(table)} FROM {table}"):
                    copied.append(into, table, block)


def _sealed(part: Path, state: State) -> tuple[str, str, dict[str, int]]:
    """Add what a restore compares with, and the state file."""
    from importlib.metadata import version

    database = open_database(f"duckdb:///{part}")
    with database.reading() as connection:
        schema = migrations.current(connection) or ""
        sums = {table: _sums(database.blocks(connection, f"SELECT * FROM {table}")) for table in sorted(_tables(connection))}
    made_at = f"{utc_now():%Y-%m-%dT%H:%M:%S}Z"
    facts = {"format": _FORMAT, "made_at": made_at, "schema": schema, "payback": version("payback")}
    content = _state_bytes(state)
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE backup_facts (name TEXT, value TEXT)"))
        connection.execute(text("CREATE TABLE backup_tables (table_name TEXT, n_rows BIGINT, digest TEXT)"))
        connection.execute(text("CREATE TABLE backup_state (content BLOB)"))
        database.append(connection, "backup_facts", pa.table({"name": list(facts), "value": list(facts.values())}))
        numbers, digests = [n for n, _ in sums.values()], [digest for _, digest in sums.values()]
        told = pa.table({"table_name": list(sums), "n_rows": pa.array(numbers, pa.int64()), "digest": digests})
        database.append(connection, "backup_tables", told)
        if content:
            database.append(connection, "backup_state", pa.table({"content": pa.array([content], pa.binary())}))
    return made_at, schema, {table: n for table, (n, _) in sums.items()}


def _state_bytes(state: State) -> bytes:
    """The state file as it is now, consistent although others write it; empty when there is none."""
    if not state.path.exists():
        return b""
    with state.reading():
        pass  # a damaged one is set aside
    try:
        copy = sqlite3.connect(":memory:")
        with_file = sqlite3.connect(state.path, timeout=30.0)
        try:
            with_file.backup(copy)
            return copy.serialize()
        finally:
            with_file.close()
            copy.close()
    except sqlite3.Error as error:
        hint = "check its rights and the disk"
        raise WarehouseError(f"the state file {state.path} cannot be read: {error}", hint=hint) from error


# --- putting back -----------------------------------------------------------------------------------------------------


def _has_rows(url: str) -> bool:
    """Whether the warehouse holds anything a restore would destroy. A damaged file is nothing anybody could lose."""
    database = open_database(url)
    try:
        with database.reading() as connection:
            if migrations.current(connection) is None:
                return bool(_tables(connection))
            tables = _tables(connection) & set(METADATA.tables)
            return any(connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).scalar() for table in sorted(tables))
    except NoWarehouse:
        return False
    except WarehouseError as error:
        if "is damaged" in str(error):
            return True
        raise


def _standing_tombstones(url: str) -> list[tuple[str, str, str, str]]:
    """Who was erased from the warehouse that is about to be replaced; nothing when it cannot be read."""
    database = open_database(url)
    try:
        with database.reading() as connection:
            if "tombstones" not in _tables(connection):
                return []
            rows = connection.execute(text("SELECT DISTINCT source, table_name, entity, record_key FROM tombstones"))
            return [(row.source, row.table_name, row.entity, row.record_key) for row in rows]
    except WarehouseError:
        return []


def _prepared(part: Path, state: State, standing: Iterable[tuple[str, str, str, str]]) -> int:
    """A copy of the backup, brought up to date and without the people who were erased since; how many rows they had."""
    copy = Warehouse(f"duckdb:///{part}")
    database = open_database(f"duckdb:///{part}")
    with database.writing() as connection:
        for table in _OWN_TABLES:
            connection.execute(text(f"DROP TABLE {table}"))
    copy.migrate()
    return erase_again(database, state, standing)


def _fill(database: Database, part: Path) -> None:
    """Put all rows of a copy into a database with tables, in place of its own, in one transaction that fails if they differ."""
    copied = open_database(f"duckdb:///{part}")
    with copied.reading() as source, database.writing() as target:
        for table in METADATA.tables:
            columns = _columns(table)
            target.execute(text(f"DELETE FROM {table}"))
            for block in copied.blocks(source, f"SELECT {columns} FROM {table}"):
                database.append(target, table, block)
            wanted, found = (
                _sums(place.blocks(connection, f"SELECT {columns} FROM {table}"))
                for place, connection in ((copied, source), (database, target))
            )
            if wanted != found:
                raise WarehouseError(
                    f"{table}: {found[0]} rows arrived in {database.place} instead of {wanted[0]}, or others than were sent",
                    hint="nothing was changed; run the restore again, and report it if it fails again",
                )


def _restore_state(file: Path, state: State) -> bool:
    """Put the state file back if there is none; a newer one knows more: what was told to whom, who was erased."""
    if state.path.exists():
        return False
    with open_database(f"duckdb:///{file.resolve()}").reading() as connection:
        content = connection.execute(text("SELECT content FROM backup_state")).scalar()
    if content is None:
        return False
    state.path.touch(mode=0o600)
    state.path.write_bytes(content)
    return True


# --- counting ---------------------------------------------------------------------------------------------------------


def _columns(table: str) -> str:
    return ", ".join(column.name for column in METADATA.tables[table].columns)


def _tables(connection: Connection) -> set[str]:
    """The names of the tables that are there."""
    sql = (
        "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
        "AND table_schema = current_schema() AND table_catalog = current_database()"
    )
    return {row.table_name for row in connection.execute(text(sql))}


def _sums(blocks: Iterator[pa.Table]) -> tuple[int, str]:
    """Number of rows, and the sum of a hash of each modulo 2^64, as hex: equal for equal rows in any order."""
    n_rows = total = 0
    for block in blocks:
        columns = [_plain_text(column) for column in block.columns]
        lines = pc.binary_join_element_wise(*columns, _SEPARATOR, null_handling="replace", null_replacement=_NULL)
        for line in lines.to_pylist():
            total += int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "big")
        n_rows += block.num_rows
    return n_rows, f"{total % 2**64:016x}"


def _plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as texts that no version of a library writes in another way: times and dates as whole numbers."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.string())
    if pa.types.is_date(kind):
        return column.cast(pa.int32()).cast(pa.string())
    return column.cast(pa.string())

