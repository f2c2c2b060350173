"""What the warehouse asks of a database. One module a database (`on_duckdb`, `on_postgresql`) answers it; everything
else about the warehouse is written once, in SQL that runs on all of them."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection

Parameters = Mapping[str, Any]


class Database(Protocol):
    """One database at one place. All faults a user can do something about leave it as WarehouseError."""

    name: str  # the dialect, as in NAME.<dialect>.sql
    place: str  # for messages: a path or a masked URL

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection in one transaction that sees one state of the data and changes nothing but temporary tables."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A connection in one transaction, committed at the end; the only one that writes at this time."""
        ...

    def append(self, connection: Connection, table: str, rows: pa.Table) -> None:
        """Bulk append; `rows` has all columns of the table by name."""
        ...

    def stage(self, connection: Connection, name: str, rows: pa.Table) -> None:
        """Rows as a temporary table `name` for the rest of the transaction, in place of one of that name."""
        ...

    def create(self, connection: Connection, name: str, sql: str, parameters: Parameters) -> None:
        """The rows of a query as a temporary table `name`, in place of one of that name."""
        ...

    def insert(self, connection: Connection, sql: str, parameters: Parameters) -> int:
        """Run an INSERT or a DELETE; the number of rows it added or took out."""
        ...

    def columns(self, connection: Connection, sql: str, parameters: Parameters) -> pa.Table:
        """The rows of a query by column; see `plain` for the types."""
        ...

    def blocks(self, connection: Connection, sql: str) -> Iterator[pa.Table]:
        """The rows of a query without parameters, some thousand at a time, with their exact types: decimals, dates."""
        ...

    def compact(self, tables: Iterable[str]) -> None:
        """Give back the space of the rows that were taken out of the tables, so that their bytes go too."""
        ...

    def numbers(self, connection: Connection, sql: str, parameters: Parameters) -> "array[int]":
        """The integers of a query of one column, 8 bytes each, however many."""
        ...


def plain(rows: pa.Table) -> pa.Table:
    """The same types from every database: int64, float64 (decimals too), bool, string, timestamp[us] (dates too)."""
    return pa.table([_plain(column) for column in rows.columns], names=rows.column_names)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_decimal(kind):
        return pa.chunked_array([_floats(chunk) for chunk in column.chunks], type=pa.float64())
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return column
    return column.cast(pa.string())


def _floats(decimals: pa.Array) -> pa.Array:
    """Decimals as the nearest floats. Arrow's own cast may be one unit off in the last place, and then two engines would
    print different figures; whole numbers below 2^53 over a power of ten are rounded correctly by one division."""
    kind = decimals.type
    if pa.types.is_decimal128(kind) and 0 <= kind.scale <= 22 and len(decimals):
        words = np.frombuffer(decimals.buffers()[1], dtype=np.int64).reshape(-1, 2)[decimals.offset :][: len(decimals)]
        is_null = np.asarray(decimals.is_null())
        low = np.where(is_null, 0, words[:, 0])
        if bool(np.all(is_null | (words[:, 1] == low >> 63))) and bool(np.all(np.abs(low) < 2**53)):
            return pa.array(low / 10.0**kind.scale, mask=is_null)
    return pa.array([None if value is None else float(value) for value in decimals.to_pylist()], type=pa.float64())
