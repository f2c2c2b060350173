"""Records in columns: what one commit hands to the database, with a hash of every row's content.

The hash covers all fields but the record's IGNORED ones and is the same on every engine; money is hashed as it is stored
(two decimals), so that 100, 100.0 and 100.00 are one content.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from connectors.contract import Reject
from connectors.records import RECORDS, Record
from pipeline.tables import fields

ARROW_TYPES: dict[type, pa.DataType] = {
    str: pa.string(),
    datetime: pa.timestamp("us"),
    date: pa.date32(),
    Decimal: pa.decimal128(18, 2),
    bool: pa.bool_(),
    int: pa.int64(),
}

_CENT = Decimal("0.01")
_NUL = b"\\u0000"  # how JSON writes the one character that PostgreSQL cannot store in a text
_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


class _NotStorable(ValueError):
    """A value that the warehouse's column cannot hold."""


_FAULTS = (_NotStorable, pa.ArrowException, InvalidOperation, AttributeError, OverflowError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a record becomes columns; `money` and `hashed` are positions of fields."""

    getter: Callable[[Any], tuple[Any, ...]]
    schema: pa.Schema
    money: tuple[int, ...]
    hashed: tuple[int, ...]


def _layout(record: type[Record]) -> _Layout:
    types = fields(record)
    return _Layout(
        attrgetter(*types),
        pa.schema([pa.field(name, ARROW_TYPES[kind], nullable=optional) for name, (kind, optional) in types.items()]),
        tuple(at for at, (kind, _) in enumerate(types.values()) if kind is Decimal),
        tuple(at for at, name in enumerate(types) if name not in record.IGNORED),
    )


_LAYOUTS = {record: _layout(record) for record in RECORDS}


def _columns(record: type[Record], rows: Sequence[Record]) -> pa.Table:
    layout = _LAYOUTS[record]
    values: list[Sequence[Any]] = list(zip(*map(layout.getter, rows), strict=True))
    for at in layout.money:
        values[at] = [None if amount is None else amount.quantize(_CENT) for amount in values[at]]
    contents = [_encode(row) for row in zip(*(values[at] for at in layout.hashed), strict=True)]
    if any(_NUL in content for content in contents):
        _refuse_nul(values)
    hashes = [blake2b(content, digest_size=16).hexdigest() for content in contents]
    arrays = [pa.array(column, type=field.type) for column, field in zip(values, layout.schema, strict=True)]
    for array, field in zip(arrays, layout.schema, strict=True):
        if array.null_count and not field.nullable:
            raise _NotStorable(f"{field.name} is empty")
    return pa.table([*arrays, pa.array(hashes, type=pa.string())], names=[*layout.schema.names, "content_hash"])


def _refuse_nul(values: Sequence[Sequence[Any]]) -> None:
    if any(isinstance(value, str) and "\0" in value for column in values for value in column):
        raise _NotStorable("a NUL character")


def columns(record: type[Record], rows: Sequence[Record]) -> tuple[pa.Table, list[Reject]]:
    """The rows as columns (the record's fields and `content_hash`), and a reject for each row that no column can hold."""
    try:
        return _columns(record, rows), []
    except _FAULTS:
        good, rejects = [], []
        for row in rows:
            try:
                _columns(record, [row])
            except _FAULTS:
                rejects.append(_reject(record, row))
            else:
                good.append(row)
        return (_columns(record, good) if good else empty(record)), rejects


def empty(record: type[Record]) -> pa.Table:
    """No rows of a record, with its columns."""
    return pa.schema([*_LAYOUTS[record].schema, pa.field("content_hash", pa.string())]).empty_table()


def _reject(record: type[Record], row: Record) -> Reject:
    """Names the row and the first column that cannot be stored."""
    for name, (kind, is_optional) in fields(record).items():
        value = getattr(row, name)
        try:
            if isinstance(value, Decimal):
                value = value.quantize(_CENT)
            array = pa.array([value], type=ARROW_TYPES[kind])
            if (array.null_count and not is_optional) or (isinstance(value, str) and "\0" in value):
                break
        except _FAULTS:
            break
    key = getattr(row, record.KEY[-1])
    return Reject(clean(key) if isinstance(key, str) else None, "the value cannot be stored", name)


def clean(text: str) -> str:
    """`text` without what a database cannot store: NUL and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def last_of_each_key(record: type[Record], rows: pa.Table) -> pa.Table:
    """One row a key: the last one wins."""
    keys = list(zip(*(rows.column(name).to_pylist() for name in record.KEY), strict=True))
    last = {key: at for at, key in enumerate(keys)}
    return rows if len(last) == len(keys) else rows.take(pa.array(sorted(last.values()), type=pa.int64()))
