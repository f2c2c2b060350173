"""Retention: superseded versions older than `[retention] versions_days` can be thrown away.

A version goes when a newer one of its row was known before the cut already. So every date after the cut measures as it did, from
the same newest versions; what goes is the way there: dates before the cut cannot be measured any more (the measurement says so),
and counts of versions in the provenance shrink. Stored snapshots stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text

from pipeline.database import Database
from pipeline.errors import ConfigError
from pipeline.periods import AsOf
from pipeline.settings import Settings
from pipeline.tables import CURSORS, PRUNINGS, RECORD_TABLES
from pipeline.warehouse import Warehouse, open_database, utc_now


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Stored snapshots of a launch that cannot be computed again: how many, the first and the last `as_of`."""

    launch: str
    n: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Pruning:
    """What goes: versions by table; everything known since `kept_since` (UTC) stays."""

    kept_since: datetime
    versions: dict[str, int]
    lapsed: tuple[Lapsed, ...]

    @property
    def n_versions(self) -> int:
        return sum(self.versions.values())


def look_ahead(settings: Settings) -> Pruning:
    """What `prune` would throw away; changes nothing. Raises ConfigError when nothing is configured, WarehouseError."""
    cut = _cut(settings)
    url = settings.warehouse_url.reveal()
    Warehouse(url).check_schema()
    with open_database(url).reading() as connection:
        versions = {
            table: int(connection.execute(text(f"SELECT COUNT(*) FROM ({_stale(keys, table)}) AS s"), {"cut": cut}).scalar_one())
            for table, keys in _KEYS.items()
        }
        going = {table: n for table, n in versions.items() if n}
        return Pruning(cut, going, _lapsed(connection, settings, cut) if going else ())


def prune(settings: Settings) -> Pruning:
    """Throw superseded versions away, record it, and give their space back. Raises ConfigError, WarehouseError."""
    cut = _cut(settings)
    url = settings.warehouse_url.reveal()
    Warehouse(url).check_schema()
    database = open_database(url)
    with database.writing() as connection:
        lapsed = _lapsed(connection, settings, cut)
        versions = {table: _throw_away(database, connection, table, keys, cut) for table, keys in _KEYS.items()}
        gone = {table: n for table, n in versions.items() if n}
        done = Pruning(cut, gone, lapsed if gone else ())
        if done.versions:
            row = {"pruned_at": [utc_now()], "kept_since": [cut], "n_versions": [done.n_versions]}
            database.append(connection, PRUNINGS.name, pa.table(row))
    if done.versions:
        database.compact(done.versions)
    return done


_KEYS: dict[str, tuple[str, ...]] = {
    **{table.name: ("source", *record.KEY) for record, table in RECORD_TABLES.items()},
    CURSORS.name: ("source", "stream"),
}


def _cut(settings: Settings) -> datetime:
    days = settings.retention.versions_days
    if days is None:
        raise ConfigError(
            f"{settings.folder / 'payback.toml'} says nothing of retention: all versions are kept",
            hint="write for example [retention] versions_days = 730",
        )
    if not 1 <= days <= 36_500:
        raise ConfigError(
            f"{settings.folder / 'payback.toml'}: retention.versions_days is a number of days from 1 to 36500",
            hint="leave it out to keep all versions",
        )
    return utc_now() - timedelta(days=days)


def _stale(keys: Sequence[str], table: str) -> str:
    """SQL of the keys and times of versions that a newer one had replaced by `cut`."""
    key = ", ".join(keys)
    age = f"ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY seen_at DESC)"
    versions = f"SELECT {key}, seen_at, {age} AS age FROM {table} WHERE seen_at <= :cut"
    return f"SELECT {key}, seen_at FROM ({versions}) AS v WHERE age > 1"


def _throw_away(database: Database, connection: Connection, table: str, keys: Sequence[str], cut: datetime) -> int:
    columns = ", ".join([*keys, "seen_at"])
    return database.insert(
        connection, f"DELETE FROM {table} WHERE ({columns}) IN ({_stale(keys, table)})", {"cut": cut}
    )


def _lapsed(connection: Connection, settings: Settings, cut: datetime) -> tuple[Lapsed, ...]:
    rows: Any = connection.execute(text("SELECT DISTINCT launch, as_of FROM snapshots"))
    early: dict[str, list[str]] = {}
    for launch, as_of in rows:
        if _seen_until(as_of, settings) < cut:
            early.setdefault(launch, []).append(as_of)
    return tuple(Lapsed(launch, len(times), min(times), max(times)) for launch, times in sorted(early.items()))


def _seen_until(as_of: str, settings: Settings) -> datetime:
    """What a snapshot knew: a date means the end of that local day."""
    if len(as_of) == 10:
        return AsOf.day(date.fromisoformat(as_of), settings.business.zone).seen_until
    return datetime.fromisoformat(as_of)
