"""The warehouse: an append-only history of what the sources said and when we heard it.

DuckDB in a file by default, PostgreSQL by URL. Nothing is updated and nothing deleted: a changed row is one more version,
a deletion in the CRM is one more version with is_deleted, and "as of" is `seen_at <= :seen_until` with the newest
version of each key. The exceptions are commands of their own: `pipeline.erasure`, `pipeline.retention`.
What differs between databases is in `on_duckdb` and `on_postgresql`.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import URL, Connection, Row, make_url, text
from sqlalchemy.exc import ArgumentError

from connectors.contract import Landing, Stream
from connectors.records import Record
from pipeline import migrations
from pipeline.database import Database, Parameters
from pipeline.errors import NoWarehouse, WarehouseError
from pipeline.queries import Query
from pipeline.sink import WarehouseSink, later
from pipeline.tables import METADATA

if TYPE_CHECKING:
    import pandas as pd

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# A run is written when it begins and again when it ends: what counts is the end, where there is one.
_NEWEST_RUN = (
    "(ended_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM runs AS e WHERE e.run_id = r.run_id AND e.ended_at IS NOT NULL))"
)


# How the run ids begin of fetches that an event of the portal asked for; sql/coverage.sql knows it too.
EVENTS_RUN = "events-"


_behind = timedelta(0)


def utc_now() -> datetime:
    """The time now, UTC without zone."""
    return datetime.now(UTC).replace(tzinfo=None) - _behind


@contextmanager
def clock_behind(by: timedelta) -> Iterator[None]:
    """The whole process lives that much earlier, until the end: for the demo, which cannot wait a week."""
    global _behind
    _behind = by
    try:
        yield
    finally:
        _behind = timedelta(0)


class Warehouse:
    """One warehouse at an SQLAlchemy URL. Cheap to make: nothing is opened before it is used, nothing stays open after.

    Every method raises WarehouseError when the warehouse is locked (for `lock_timeout` seconds), read-only, full, damaged,
    unreachable or of another version.
    """

    def __init__(self, url: str, *, lock_timeout: float = 30.0) -> None:
        self._database = open_database(url, lock_timeout)

    @property
    def dialect(self) -> str:
        """`duckdb` or `postgresql`."""
        return self._database.name

    @property
    def place(self) -> str:
        """Where the warehouse is, for messages: a path or a URL without its password."""
        return self._database.place

    def migrate(self, versions: Path = migrations.VERSIONS) -> None:
        """Make the tables, or bring them up to this program's version. Does nothing, and writes nothing, when they are."""
        known = migrations.known(versions)
        try:
            with self._database.reading() as connection:
                number = migrations.current(connection)
        except NoWarehouse:
            number = None
        self._refuse_newer(number, known)
        if number == known[-1]:
            return
        with self._database.writing() as connection:
            self._refuse_newer(migrations.current(connection), known)
            migrations.upgrade(connection, versions)

    def check_schema(self) -> None:
        """Raises WarehouseError unless the tables are there and of this program's version."""
        with self._database.reading() as connection:
            number = migrations.current(connection)
        known = migrations.known()
        self._refuse_newer(number, known)
        if number is None:
            raise WarehouseError(f"the warehouse {self.place} is empty", hint="run `payback sync` first")
        if number != known[-1]:
            raise WarehouseError(
                f"the tables of the warehouse {self.place} are of version {number}, this program needs {known[-1]}",
                hint="run `payback sync`: it brings them up to date",
            )

    def sink(self, source: str, run_id: str) -> WarehouseSink:
        """Where the connectors' engine puts the rows of one source in one run."""
        return WarehouseSink(self._database, source, run_id, lambda: utc_now())

    def append(self, records: Sequence[Record], source: str, run_id: str) -> int:
        """Store records without a walk's state; the number of new versions."""
        kinds: dict[type[Record], list[Record]] = {}
        for record in records:
            kinds.setdefault(type(record), []).append(record)
        landings = [Landing(Stream(kind.TABLE, kind), rows) for kind, rows in kinds.items()]
        return sum(self.sink(source, run_id).commit(landings))

    @contextmanager
    def reading(self, seen_until: datetime | None = None) -> Iterator["Reading"]:
        """One consistent view for several queries, with temporary tables; `seen_until` (UTC): knowledge up to then,
        by default up to the newest commit."""
        with self._database.reading() as connection:
            if seen_until is None:
                seen_until = connection.execute(text("SELECT MAX(seen_at) FROM commits")).scalar() or utc_now()
            yield Reading(self._database, connection, seen_until)

    def save_snapshot(self, launch: str, as_of: str, document: bytes, run_id: str = "") -> bool:
        """Store a measurement's document (UTF-8) unless it equals the newest one of that launch and `as_of`."""
        digest = hashlib.sha256(document).hexdigest()
        with self._database.writing() as connection:
            if _newest_snapshot(connection, "document_hash", launch, as_of) == digest:
                return False
            values = {
                "launch": launch,
                "as_of": as_of,
                "document": document.decode("utf-8"),
                "document_hash": digest,
                "seen_at": later(connection, utc_now(), "snapshots"),
                "run_id": run_id,
            }
            self._add(connection, "snapshots", values)
        return True

    def snapshot(self, launch: str, as_of: str, document_hash: str = "") -> bytes | None:
        """The newest document of a launch as of that time, or the one of that SHA-256, also when a later one was stored since."""
        with self._database.reading() as connection:
            document = _newest_snapshot(connection, "document", launch, as_of, document_hash)
        return None if document is None else document.encode("utf-8")

    def snapshot_hash(self, launch: str, as_of: str) -> str | None:
        """The SHA-256 of the newest document of a launch as of that time."""
        with self._database.reading() as connection:
            return _newest_snapshot(connection, "document_hash", launch, as_of)

    def record_run(
        self, run_id: str, kind: str, started_at: datetime, ended_at: datetime | None, outcome: str, detail: Mapping[str, Any]
    ) -> None:
        """Append what a run did; `detail` is JSON-able."""
        values = {"run_id": run_id, "kind": kind, "started_at": started_at, "ended_at": ended_at, "outcome": outcome}
        with self._database.writing() as connection:
            self._add(connection, "runs", {**values, "detail": json.dumps(detail, sort_keys=True, ensure_ascii=False)})

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The last runs, newest first, `detail` decoded; a run that has not ended, or never will, has no `ended_at`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                text(
                    f"SELECT run_id, kind, started_at, ended_at, outcome, detail FROM runs AS r WHERE {_NEWEST_RUN} "
                    "ORDER BY started_at DESC, ended_at DESC NULLS LAST LIMIT :n"
                ),
                {"n": limit},
            ).mappings()
            return [{**row, "detail": json.loads(row["detail"])} for row in rows]

    def record_hop(self, facts: Mapping[str, Any]) -> None:
        """Append what is known of a hop: `facts` has all columns of the table, `detail` JSON-able."""
        with self._database.writing() as connection:
            self._add(connection, "hops", {**facts, "detail": json.dumps(facts["detail"], sort_keys=True, ensure_ascii=False)})

    def hops(self, since: datetime) -> list[dict[str, Any]]:
        """The hops that began at or after that moment (UTC), in their order, `detail` decoded; each once, as last written."""
        with self._database.reading() as connection:
            rows = connection.execute(
                text("SELECT * FROM hops WHERE started_at >= :since ORDER BY started_at, run_id, number, ended_at NULLS FIRST"),
                {"since": since},
            ).mappings()
            newest = {(row["run_id"], row["number"]): {**row, "detail": json.loads(row["detail"])} for row in rows}
        return list(newest.values())

    def n_quarantined(self, source: str) -> int:
        """How many rows of a source are put aside because they could not be read, and were not read since."""
        order = "ROW_NUMBER() OVER (PARTITION BY stream, COALESCE(record_key, location) ORDER BY seen_at DESC)"
        versions = f"SELECT is_resolved, {order} AS age FROM quarantine WHERE source = :source"
        with self._database.reading() as connection:
            counted = text(f"SELECT COUNT(*) FROM ({versions}) AS v WHERE age = 1 AND NOT is_resolved")
            return int(connection.execute(counted, {"source": source}).scalar_one())

    def runs_since(self, kind: str, moment: datetime) -> list[dict[str, Any]]:
        """When the runs of a kind that began at or after that moment (UTC) began and ended, and their `detail`; none when the
        warehouse does not exist yet."""
        try:
            with self._database.reading() as connection:
                if migrations.current(connection) is None:
                    return []
                rows = connection.execute(
                    text(
                        "SELECT started_at, ended_at, detail FROM runs AS r "
                        f"WHERE kind = :kind AND started_at >= :moment AND {_NEWEST_RUN}"
                    ),
                    {"kind": kind, "moment": moment},
                ).mappings()
                return [{**row, "detail": json.loads(row["detail"])} for row in rows]
        except NoWarehouse:
            return []

    def last_seen(self, source: str) -> datetime | None:
        """When a sync last heard the source (UTC), with or without news; rows that its events asked for do not count."""
        with self._database.reading() as connection:
            seen_at: datetime | None = connection.execute(
                text("SELECT MAX(seen_at) FROM commits WHERE source = :source AND run_id NOT LIKE :events"),
                {"source": source, "events": f"{EVENTS_RUN}%"},
            ).scalar()
        return seen_at

    def n_versions(self, table: str) -> int:
        """How many rows a table of the warehouse has."""
        with self._database.reading() as connection:
            return int(connection.execute(text(f"SELECT COUNT(*) FROM {METADATA.tables[table].name}")).scalar_one())

    def _add(self, connection: Connection, table: str, values: Mapping[str, Any]) -> None:
        self._database.append(connection, table, pa.table({name: [value] for name, value in values.items()}))

    def _refuse_newer(self, number: str | None, known: Sequence[str]) -> None:
        if number is not None and number not in known:
            raise WarehouseError(
                f"the tables of the warehouse {self.place} are of version {number}, newer than this program ({known[-1]})",
                hint="update payback (pip install -U payback), or name another warehouse in warehouse.url",
            )


class Reading:
    """One view of the warehouse. Temporary tables live as long as it does."""

    def __init__(self, database: Database, connection: Connection, seen_until: datetime) -> None:
        self._database = database
        self._connection = connection
        self.seen_until = seen_until

    @property
    def dialect(self) -> str:
        """`duckdb` or `postgresql`."""
        return self._database.name

    def columns(self, query: str | Query, parameters: Parameters | None = None) -> pa.Table:
        """The rows of a query by column, of the same types on every database: int64, float64 (decimals too), bool, string,
        timestamp[us] (dates too)."""
        sql, values = self._prepared(query, parameters)
        return self._database.columns(self._connection, sql, values)

    def frame(self, query: str | Query, parameters: Parameters | None = None) -> "pd.DataFrame":
        """`columns` as a pandas DataFrame."""
        found: pd.DataFrame = self.columns(query, parameters).to_pandas()
        return found

    def rows(self, query: str | Query, parameters: Parameters | None = None) -> list[Row[Any]]:
        """The rows of a query as the database's driver gives them: named tuples."""
        sql, values = self._prepared(query, parameters)
        return list(self._connection.execute(text(sql), values).fetchall())

    def load(self, name: str, rows: "pd.DataFrame | pa.Table") -> None:
        """Rows as a temporary table, in place of an earlier one of that name."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        self._database.stage(self._connection, _temporary(name), table)

    def create(self, name: str, query: str | Query, parameters: Parameters | None = None) -> None:
        """The rows of a query as a temporary table, in place of an earlier one of that name."""
        sql, values = self._prepared(query, parameters)
        self._database.create(self._connection, _temporary(name), sql, values)

    def _prepared(self, query: str | Query, parameters: Parameters | None) -> tuple[str, Parameters]:
        values = dict(parameters or {})
        if isinstance(query, str):
            return query, values
        query.check(values)
        return query.sql(self.dialect), values


def _newest_snapshot(connection: Connection, column: str, launch: str, as_of: str, document_hash: str = "") -> str | None:
    known = {"launch": launch, "as_of": as_of, **({"hash": document_hash} if document_hash else {})}
    chosen = "launch = :launch AND as_of = :as_of" + (" AND document_hash = :hash" if document_hash else "")
    newest = text(f"SELECT {column} FROM snapshots WHERE {chosen} ORDER BY seen_at DESC LIMIT 1")
    found: str | None = connection.execute(newest, known).scalar()
    return found


def _temporary(name: str) -> str:
    if not _NAME.fullmatch(name) or name in METADATA.tables:
        raise ValueError(f"{name!r} cannot name a temporary table")
    return name


def open_database(url: str, lock_timeout: float = 30.0) -> Database:
    """The database a URL names. Drivers are imported here: they are optional, and slow to import."""
    try:
        parsed: URL = make_url(url)
    except ArgumentError:
        raise WarehouseError("warehouse.url is no database URL", hint="e.g. duckdb:///payback.duckdb") from None
    kind = parsed.get_backend_name()
    try:
        if kind == "duckdb":
            from pipeline.on_duckdb import OnDuckDB

            return OnDuckDB(parsed, lock_timeout)
        if kind in ("postgresql", "postgres"):
            from pipeline.on_postgresql import OnPostgreSQL

            return OnPostgreSQL(parsed, lock_timeout)
    except ImportError as error:
        package = {"duckdb": "duckdb duckdb-engine"}.get(kind, "psycopg[binary]")
        raise WarehouseError(f"the driver for {kind} is not installed ({error.name})", hint=f"pip install {package}") from None
    raise WarehouseError(
        f"warehouse.url names {kind!r}: that database is not supported",
        hint="use duckdb:///file or postgresql://user:password@host:5432/name",
    )
