"""The tables of the warehouse, derived from the records: one record class, one table of versions.

Every row of a record table is one version: what a source said (`source`, the record's fields), when we heard it
(`seen_at`, UTC), in which run, and a hash of the content. The newest version of a key is the one with the greatest
`seen_at`. Nothing is unique and nothing is updated: see `pipeline.warehouse`. A change of the record classes needs a new
file in `pipeline/migrations/versions`; a test compares the two.
"""

import dataclasses
import types
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Index, MetaData, Numeric, Table, Text
from sqlalchemy.types import TypeEngine

from connectors.records import RECORDS, Record

METADATA = MetaData()

# Binary order on every engine: PostgreSQL would otherwise sort and compare text by the locale of the server.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")

_TYPES: dict[type, TypeEngine[Any]] = {
    str: TEXT,
    datetime: DateTime(),
    date: Date(),
    Decimal: Numeric(18, 2),
    bool: Boolean(),
    int: BigInteger(),
}

VERSION_COLUMNS = ("seen_at", "run_id", "content_hash", "is_deleted")


def field_type(annotation: Any) -> tuple[type, bool]:
    """The plain type of a record's field and whether it may be None."""
    if get_origin(annotation) in (types.UnionType, Union):
        plain, *more = [part for part in get_args(annotation) if part is not type(None)]
        if more:
            raise TypeError(f"a record's field has one type, not {annotation}")
        return field_type(plain)[0], True
    if get_origin(annotation) is Literal:
        return str, False
    return annotation, False


def fields(record: type[Record]) -> dict[str, tuple[type, bool]]:
    """Name -> (plain type, may be None) of a record's fields, in their order."""
    hints = get_type_hints(record)
    return {field.name: field_type(hints[field.name]) for field in dataclasses.fields(cast(Any, record))}


def _record_table(record: type[Record]) -> Table:
    table = Table(
        record.TABLE,
        METADATA,
        Column("source", TEXT, nullable=False),
        *(Column(name, _TYPES[kind], nullable=optional) for name, (kind, optional) in fields(record).items()),
        Column("seen_at", DateTime, nullable=False),
        Column("run_id", TEXT, nullable=False),
        Column("content_hash", TEXT, nullable=False),
        Column("is_deleted", Boolean, nullable=False),
    )
    # DuckDB prunes by block statistics and pays for an index with every append; PostgreSQL needs one to find a key's versions.
    Index(f"{record.TABLE}_key", table.c.source, *(table.c[name] for name in record.KEY)).ddl_if(dialect="postgresql")
    return table


RECORD_TABLES: dict[type[Record], Table] = {record: _record_table(record) for record in RECORDS}

# One row for every commit of a sink: the warehouse's clock (seen_at only ever grows) and the freshness of a source.
COMMITS = Table(
    "commits",
    METADATA,
    Column("source", TEXT, nullable=False),
    Column("seen_at", DateTime, nullable=False),
    Column("run_id", TEXT, nullable=False),
    Column("n_versions", BigInteger, nullable=False),
)

CURSORS = Table(
    "cursors",
    METADATA,
    Column("source", TEXT, nullable=False),
    Column("stream", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),  # JSON
    Column("seen_at", DateTime, nullable=False),
    Column("run_id", TEXT, nullable=False),
)

# Rows that could not be read, without their values. A row with `is_resolved` closes all earlier ones of its key.
QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("source", TEXT, nullable=False),
    Column("stream", TEXT, nullable=False),
    Column("record_key", TEXT),
    Column("column_name", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("location", TEXT, nullable=False),
    Column("seen_at", DateTime, nullable=False),
    Column("run_id", TEXT, nullable=False),
    Column("is_resolved", Boolean, nullable=False),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("run_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("ended_at", DateTime),
    Column("outcome", TEXT, nullable=False),
    Column("detail", TEXT, nullable=False),  # JSON
)

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("launch", TEXT, nullable=False),
    Column("as_of", TEXT, nullable=False),
    Column("document", TEXT, nullable=False),
    Column("document_hash", TEXT, nullable=False),
    Column("seen_at", DateTime, nullable=False),
    Column("run_id", TEXT, nullable=False),
)

# One row when a hop (the sync of a source, the report of a launch) begins, and one more when it ends.
HOPS = Table(
    "hops",
    METADATA,
    Column("run_id", TEXT, nullable=False),
    Column("number", BigInteger, nullable=False),  # its place in the run, from 1
    Column("kind", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("ended_at", DateTime),
    Column("outcome", TEXT, nullable=False),  # running, ok, partial, failed
    Column("n_received", BigInteger, nullable=False),
    Column("n_appended", BigInteger, nullable=False),
    Column("n_quarantined", BigInteger, nullable=False),
    Column("n_deleted", BigInteger, nullable=False),
    Column("n_requests", BigInteger, nullable=False),
    Column("n_retries", BigInteger, nullable=False),
    Column("detail", TEXT, nullable=False),  # JSON
)

# What was erased on request, without anything about the person: how many rows and versions of which table and month.
ERASURES = Table(
    "erasures",
    METADATA,
    Column("erasure_id", TEXT, nullable=False),
    Column("erased_at", DateTime, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("table_name", TEXT, nullable=False),
    Column("month", TEXT),  # 2026-11, the business's month the row was created (or moved) in; null where it is not known
    Column("n_rows", BigInteger, nullable=False),
    Column("n_versions", BigInteger, nullable=False),
)

# Who must not come back: a person by keyed hash (table_name "person", source ""), and rows by key. The newest row of a key
# counts; is_gone: the source has deleted it too, so it is not missed when rows are counted.
TOMBSTONES = Table(
    "tombstones",
    METADATA,
    Column("source", TEXT, nullable=False),
    Column("table_name", TEXT, nullable=False),
    Column("entity", TEXT, nullable=False),  # of a stage change: lead or deal; else empty
    Column("record_key", TEXT, nullable=False),
    Column("owner_key", TEXT, nullable=False),  # of a stage change: the lead or deal that moved; else empty
    Column("seen_at", DateTime, nullable=False),
    Column("erasure_id", TEXT, nullable=False),
    Column("is_gone", Boolean, nullable=False),
)

# Superseded versions that were thrown away: what was known before `kept_since` can no longer be told.
PRUNINGS = Table(
    "prunings",
    METADATA,
    Column("pruned_at", DateTime, nullable=False),
    Column("kept_since", DateTime, nullable=False),
    Column("n_versions", BigInteger, nullable=False),
)
