"""Columns of the demo portal: numpy values that filter, sort and print themselves the way Bitrix24 does."""

from __future__ import annotations

import json
import operator as operators
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = slice | NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Dialect: TypeAlias = Literal["list", "get", "universal"]
Text: TypeAlias = str | None

MISSING = int(np.iinfo(np.int64).min)
PORTAL_ZONE = timezone(timedelta(hours=3))
_OFFSET_SECONDS = 3 * 3600
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operators.eq, "!=": operators.ne, ">": operators.gt, ">=": operators.ge, "<": operators.lt, "<=": operators.le,
}  # fmt: skip
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %H:%M:%S")


def json_text(value: object) -> str:
    """JSON as PHP prints it: no spaces, slashes escaped, Cyrillic left as it is."""
    return _ENCODE(value).replace("/", "\\/")


def php_int(value: object) -> int:
    """PHP's intval: leading digits, anything else is 0. An empty cursor therefore means "from the start"."""
    match = re.match(r"\s*([+-]?\d+)", str(value))
    return int(match.group(1)) if match else 0


def epoch(value: object) -> int | None:
    """UTC seconds of a moment as filters and updates write it; None when it cannot be read.

    A value without offset is read in the portal's zone (the documentation is silent).
    """
    if isinstance(value, datetime):
        return int(value.replace(tzinfo=value.tzinfo or UTC).timestamp())
    if isinstance(value, int):
        return value
    text = str(value).strip()
    for reader in (datetime.fromisoformat, *(lambda t, f=f: datetime.strptime(t, f) for f in _DATE_FORMATS)):
        try:
            moment = reader(text)
        except ValueError:
            continue
        return int((moment if moment.tzinfo else moment.replace(tzinfo=PORTAL_ZONE)).timestamp())
    return None


def iso(moment: float) -> str:
    """A UTC moment in seconds as the portal prints it."""
    return datetime.fromtimestamp(int(moment), PORTAL_ZONE).isoformat()


@cache
def _day_text(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


@cache
def _clock() -> list[str]:
    """The end of a printed moment, by second of the local day: a lookup is three times faster than formatting."""
    return [f'{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}+03:00"' for s in range(86400)]


class Column(ABC):
    """One field of a table. `odd` holds raw values of single rows that break the column's own form."""

    is_optional = False  # True: the key is left out of a row that has no value

    def __init__(self) -> None:
        self.odd: dict[int, Any] = {}

    @abstractmethod
    def texts(self, rows: Rows, dialect: Dialect) -> list[str]:
        """JSON text of each row, `odd` not yet applied."""

    @abstractmethod
    def test(self, operator: str, operand: Any, rows: Rows) -> Mask:
        """Which of the rows satisfy a filter condition."""

    @abstractmethod
    def keys(self, rows: Rows) -> NDArray[Any]:
        """Sort keys of the rows."""

    @abstractmethod
    def put(self, row: int, value: Any) -> None:
        """Store what an update or an insert sets."""

    @abstractmethod
    def grow(self, capacity: int) -> None:
        """Make room for rows up to `capacity`."""

    def render(self, rows: Rows, dialect: Dialect) -> list[str]:
        texts = self.texts(rows, dialect)
        if self.odd:
            positions = range(rows.start, rows.stop) if isinstance(rows, slice) else rows.tolist()
            for place, row in enumerate(positions):
                if row in self.odd:
                    texts[place] = json_text(self.odd[row])
        return texts


class _Numeric(Column):
    """Values in one numpy array, compared as numbers."""

    def __init__(self, values: NDArray[Any]) -> None:
        super().__init__()
        self.values = values

    def number(self, operand: Any) -> float | None:
        return php_int(operand)

    def test(self, operator: str, operand: Any, rows: Rows) -> Mask:
        values = self.values[rows]
        if operator in ("@", "!@"):
            found = np.isin(values, [number for number in map(self.number, operand) if number is not None])
            return ~found if operator == "!@" else found
        if operator in _COMPARE:
            number = self.number(operand)
            if number is None:
                return np.zeros(len(values), dtype=bool)
            return np.asarray(_COMPARE[operator](values, number))
        return text_test(operator, operand, [text.strip('"') for text in self.texts(rows, "list")])

    def keys(self, rows: Rows) -> NDArray[Any]:
        return np.asarray(self.values[rows])

    def put(self, row: int, value: Any) -> None:
        number = self.number(value)
        self.odd.pop(row, None)
        if number is None:
            self.odd[row] = value
        else:
            self.values[row] = number

    def grow(self, capacity: int) -> None:
        self.values = np.concatenate([self.values, np.zeros(capacity - len(self.values), self.values.dtype)])


class Numbers(_Numeric):
    """Ids, links and counters: strings in classic answers, numbers in universal ones.

    `zero`, `zero_in_get`: JSON text of "nothing" in lists and in `get` (reference 3.1: "0" and null for one field).
    """

    def __init__(self, values: NDArray[Any], zero: str = '"0"', zero_in_get: str = "null") -> None:
        super().__init__(values)
        self._zero = {"list": zero, "get": zero_in_get, "universal": "0"}

    def texts(self, rows: Rows, dialect: Dialect) -> list[str]:
        form, zero = "%d" if dialect == "universal" else '"%d"', self._zero[dialect]
        return [form % value if value else zero for value in self.values[rows].tolist()]


class Money(_Numeric):
    """Amounts: two decimals in a string, or a number."""

    def number(self, operand: Any) -> float | None:
        try:
            return float(operand) if operand not in ("", None) else 0.0
        except (TypeError, ValueError):
            return None

    def texts(self, rows: Rows, dialect: Dialect) -> list[str]:
        form = "%.12g" if dialect == "universal" else '"%.2f"'
        return [form % value for value in self.values[rows].tolist()]


class Moments(_Numeric):
    """UTC seconds, printed in the portal's zone. A date-only field is midnight UTC (reference 3.1)."""

    def number(self, operand: Any) -> float | None:
        return MISSING if operand in ("", None) else epoch(operand)

    def test(self, operator: str, operand: Any, rows: Rows) -> Mask:
        mask = super().test(operator, operand, rows)
        if operator in ("<", "<=") or (operator in (">", ">=") and operand in ("", None)):
            mask &= self.values[rows] != MISSING  # SQL: a comparison with nothing is not true
        return mask

    def texts(self, rows: Rows, dialect: Dialect) -> list[str]:
        values = self.values[rows]
        days, seconds = np.divmod(np.where(values == MISSING, 0, values) + _OFFSET_SECONDS, 86400)
        clock = _clock()
        places = zip(days.tolist(), seconds.tolist(), strict=True)
        texts = [f'"{_day_text(day)}T{clock[second]}' for day, second in places]
        for place in np.flatnonzero(values == MISSING).tolist():
            texts[place] = "null" if dialect == "universal" else '""'
        return texts

    def put(self, row: int, value: Any) -> None:
        super().put(row, value)
        if row in self.odd:
            self.values[row] = MISSING

    def grow(self, capacity: int) -> None:
        old = len(self.values)
        super().grow(capacity)
        self.values[old:] = MISSING


class Choices(Column):
    """Few distinct values: a code a row. Also the form of constants (one value, code 0)."""

    def __init__(self, codes: NDArray[Any], labels: Sequence[Any], blank: int = 0) -> None:
        super().__init__()
        self.codes, self.labels, self._blank = codes, list(labels), blank
        self._printed: dict[str, list[str]] = {}

    def texts(self, rows: Rows, dialect: Dialect) -> list[str]:
        printed = self._printed.get(dialect)
        if printed is None or len(printed) < len(self.labels):
            empty_as_null = dialect == "universal"
            printed = [json_text(None if empty_as_null and label == "" else label) for label in self.labels]
            self._printed[dialect] = printed
        return [printed[code] for code in self.codes[rows].tolist()]

    def test(self, operator: str, operand: Any, rows: Rows) -> Mask:
        shown = ["" if label is None else str(label) for label in self.labels]
        return np.asarray(text_test(operator, operand, shown)[self.codes[rows]])

    def keys(self, rows: Rows) -> NDArray[Any]:
        shown = ["" if label is None else str(label) for label in self.labels]
        return np.asarray(np.unique(np.array(shown), return_inverse=True)[1][self.codes[rows]])

    def put(self, row: int, value: Any) -> None:
        if value not in self.labels:
            self.labels.append(value)
            if len(self.labels) > np.iinfo(self.codes.dtype).max:
                self.codes = self.codes.astype(np.int32)
        self.odd.pop(row, None)
        self.codes[row] = self.labels.index(value)

    def grow(self, capacity: int) -> None:
        old = len(self.codes)
        self.codes = np.concatenate([self.codes, np.full(capacity - old, self._blank, self.codes.dtype)])


class Texts(Column):
    """Text computed when it is asked for, so that a million titles cost no memory. Updates are kept beside."""

    def __init__(self, write: Callable[[list[int]], list[Text]], n: int) -> None:
        super().__init__()
        self._write, self._n, self._put = write, n, dict[int, Text]()

    def plain(self, rows: Rows) -> list[Text]:
        positions = list(range(rows.start, rows.stop)) if isinstance(rows, slice) else rows.tolist()
        written = iter(self._write([row for row in positions if row < self._n and row not in self._put]))
        return [self._put[row] if row in self._put else next(written) if row < self._n else None for row in positions]

    def texts(self, rows: Rows, dialect: Dialect) -> list[str]:
        empty_as_null = dialect == "universal"
        return [json_text(None if empty_as_null and text == "" else text) for text in self.plain(rows)]

    def test(self, operator: str, operand: Any, rows: Rows) -> Mask:
        return text_test(operator, operand, [text or "" for text in self.plain(rows)])

    def keys(self, rows: Rows) -> NDArray[Any]:
        return np.array([text or "" for text in self.plain(rows)])

    def put(self, row: int, value: Any) -> None:
        self._put[row] = None if value is None else str(value)

    def grow(self, capacity: int) -> None:
        pass


_PHONE = '[{"ID":"%d","VALUE_TYPE":"WORK","VALUE":%s,"TYPE_ID":"PHONE"}]'
_FM = '[{"id":%d,"valueType":"WORK","value":%s,"typeId":"PHONE"}]'


class Multifield(Texts):
    """One telephone a row; filterable by exact value only (reference 3.3).

    Classic answers carry an array and no key at all when it is empty; universal ones a plain `phone`, and the
    array under `fm` (`is_fm`).
    """

    is_optional = True

    def __init__(self, write: Callable[[list[int]], list[Text]], n: int, is_fm: bool = False) -> None:
        super().__init__(write, n)
        self._is_fm = is_fm

    def texts(self, rows: Rows, dialect: Dialect) -> list[str]:
        values = self.plain(rows)
        if dialect == "universal" and not self._is_fm:
            return [json_text(value or "") for value in values]
        positions = range(rows.start, rows.stop) if isinstance(rows, slice) else rows.tolist()
        form, empty = (_FM, "[]") if self._is_fm else (_PHONE, "")
        pairs = zip(positions, values, strict=True)
        return [form % (2 * row + 101, json_text(value)) if value else empty for row, value in pairs]

    def test(self, operator: str, operand: Any, rows: Rows) -> Mask:
        if operator not in ("=", "!=", "@", "!@"):
            return np.zeros(len(self.plain(rows)), dtype=bool)
        return super().test(operator, operand, rows)


def text_test(operator: str, operand: Any, texts: Sequence[str]) -> Mask:
    """Filter operators on text; LIKE is case-insensitive as on a portal's MySQL."""
    if operator in ("@", "!@"):
        wanted = {"" if item is None else str(item) for item in operand}
        return np.array([(text in wanted) == (operator == "@") for text in texts], dtype=bool)
    sought = "" if operand is None else str(operand)
    if operator in _COMPARE:
        compare = _COMPARE[operator]
        return np.array([bool(compare(text, sought)) for text in texts], dtype=bool)
    pattern = sought if "like" in operator else f"%{sought}%"
    expression = re.compile(".*".join(re.escape(part) for part in pattern.split("%")), re.IGNORECASE | re.DOTALL)
    is_negated = operator.startswith("!")
    return np.array([(expression.fullmatch(text) is None) == is_negated for text in texts], dtype=bool)
