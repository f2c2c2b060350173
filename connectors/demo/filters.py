"""Filter, order and paging of list methods (reference 2.4-2.6 and 3.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Mask, php_int
from .errors import RestError
from .table import Table

PAGE = 50
_OPERATOR = re.compile(r"(!=%|!%=|=%|%=|!%|!@|!=|>=|<=|!|=|>|<|@|%)?(.*)", re.DOTALL)
_CANONICAL = {None: "=", "!": "!=", "%": "has", "!%": "!has", "=%": "like", "%=": "like"} | dict.fromkeys(
    ("!=%", "!%="), "!like"
)
_NO_LIKE = ("crm_status", "crm_contact", "crm_company")


@dataclass(frozen=True, slots=True)
class Condition:
    name: str
    operator: str  # = != > >= < <= @ !@ has !has like !like
    operand: Any


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions under one logic; only universal methods nest them."""

    parts: tuple[Condition | Group, ...] = ()
    is_any: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What a list call asks of a table. `start` is -1 for "do not count"."""

    where: Group = field(default_factory=Group)
    order: tuple[tuple[str, bool], ...] = ()  # (field, is descending)
    start: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    rows: NDArray[np.intp]
    total: int
    next: int | None


def read_filter(table: Table, given: Any, is_universal: bool) -> Group:
    """A filter as a group of conditions. Unknown fields: ignored in classic methods, an error in universal ones.

    Raises RestError 400.
    """
    if given is None or given in ([], ""):
        return Group()
    if isinstance(given, list):
        given = {str(place): part for place, part in enumerate(given)}
    if not isinstance(given, Mapping):
        raise RestError(400, "", "Parameter 'filter' must be array.")
    parts: list[Condition | Group] = []
    is_any = False
    for key, operand in given.items():
        if is_universal and key == "logic":
            is_any = str(operand).upper() == "OR"
            continue
        if is_universal and key.isdigit() and isinstance(operand, (Mapping, list)):
            parts.append(read_filter(table, operand, is_universal))
            continue
        match = _OPERATOR.fullmatch(key)
        assert match is not None
        name = _known(table, match.group(2), is_universal)
        if name:
            parts.append(_condition(table, name, match.group(1), operand))
        elif is_universal:
            text = f"Invalid filter: field '{match.group(2)}' is not allowed in filter"
            raise RestError(400, "INVALID_ARG_VALUE", text)
    return Group(tuple(parts), is_any)


def read_order(table: Table, given: Any, is_universal: bool) -> tuple[tuple[str, bool], ...]:
    """Order as (field, is descending) pairs. Raises RestError 400 in universal methods for an unknown field."""
    if not isinstance(given, Mapping):
        return ()
    order = []
    for shown, direction in given.items():
        name = _known(table, shown, is_universal)
        if name:
            order.append((name, str(direction).upper().startswith("DESC")))
        elif is_universal:
            raise RestError(400, "INVALID_ARG_VALUE", f"Invalid order: field '{shown}' is not allowed in order")
    return tuple(order)


def find(table: Table, query: Query, is_hidden: Mask | None, shuffle_seed: Sequence[int]) -> Found:
    """One page. Without order the rows come in an order that changes from call to call (seeded)."""
    is_counted, skip = query.start >= 0, max(query.start, 0)
    low, high, where = _narrow(table, query.where)
    if query.order and query.order[0][0] == "ID" and not is_counted:
        is_descending = query.order[0][1]
        return Found(_first(table, where, low, high, is_descending, is_hidden), 0, None)
    rows = np.arange(low, high)[_mask(table, where, slice(low, high), is_hidden)]
    if not query.order:
        rows = np.random.default_rng(shuffle_seed).permutation(rows)
    elif query.order[0][0] == "ID":
        rows = rows[::-1] if query.order[0][1] else rows
    else:
        rows = _sorted(table, rows, query.order)
    page = rows[skip : skip + PAGE]
    if not is_counted:
        return Found(page, 0, None)
    return Found(page, len(rows), skip + PAGE if skip + PAGE < len(rows) else None)


def _known(table: Table, shown: str, is_universal: bool) -> str | None:
    if is_universal:
        return table.classic_names.get(shown)
    return shown if shown in table.fields and not table.fields[shown].is_universal_only else None


def _condition(table: Table, name: str, sign: str | None, operand: Any) -> Condition:
    operator = _CANONICAL.get(sign, sign or "=")
    if isinstance(operand, Mapping):
        operand = list(operand.values())
    if isinstance(operand, list):
        operator = {"=": "@", "!=": "!@"}.get(operator, operator)
        operand = operand if operator in ("@", "!@") else operand[0] if operand else ""
    elif operator in ("@", "!@"):
        operand = [operand]
    if operator.lstrip("!") in ("has", "like") and table.fields[name].type in _NO_LIKE:
        operator, operand = "@", []  # LIKE does not work on directory and link fields: nothing is found
    return Condition(name, operator, operand)


def _narrow(table: Table, where: Group) -> tuple[int, int, Group]:
    """The span of positions that conditions on ID leave, by bisection, and the other conditions."""
    low, high, rest = 0, table.n, []
    for part in where.parts:
        is_bound = isinstance(part, Condition) and part.name == "ID" and part.operator in (">", ">=", "<", "<=", "=")
        if where.is_any or not is_bound:
            rest.append(part)
            continue
        assert isinstance(part, Condition)
        id_ = php_int(part.operand)
        if part.operator in (">", ">=", "="):
            low = max(low, int(np.searchsorted(table.ids, id_, "right" if part.operator == ">" else "left")))
        if part.operator in ("<", "<=", "="):
            high = min(high, int(np.searchsorted(table.ids, id_, "left" if part.operator == "<" else "right")))
    return low, max(low, high), Group(tuple(rest), where.is_any)


def _first(
    table: Table, where: Group, low: int, high: int, is_descending: bool, is_hidden: Mask | None
) -> NDArray[np.intp]:
    """The first PAGE matching positions of a span, looking at as few rows as it takes."""
    found: list[NDArray[np.intp]] = []
    n_found, width = 0, 2 * PAGE
    while low < high and n_found < PAGE:
        span = slice(max(low, high - width), high) if is_descending else slice(low, min(high, low + width))
        rows = np.flatnonzero(_mask(table, where, span, is_hidden)) + span.start
        found.append(rows[::-1] if is_descending else rows)
        n_found += len(rows)
        low, high = (low, span.start) if is_descending else (span.stop, high)
        width = min(4 * width, 1 << 18)
    return np.concatenate(found)[:PAGE] if found else np.empty(0, np.intp)


def _mask(table: Table, where: Group, rows: slice, is_hidden: Mask | None) -> Mask:
    mask = _test(table, where, rows) & table.alive[rows]
    return mask if is_hidden is None else mask & ~is_hidden[rows]


def _test(table: Table, part: Condition | Group, rows: slice) -> Mask:
    if isinstance(part, Condition):
        return table.columns[part.name].test(part.operator, part.operand, rows)
    tests = [_test(table, inner, rows) for inner in part.parts]
    if not tests:
        return np.ones(rows.stop - rows.start, dtype=bool)
    return np.asarray(np.logical_or.reduce(tests) if part.is_any else np.logical_and.reduce(tests))


def _sorted(table: Table, rows: NDArray[np.intp], order: tuple[tuple[str, bool], ...]) -> NDArray[np.intp]:
    keys = []
    for name, is_descending in reversed(order):
        ranks = np.unique(table.columns[name].keys(rows), return_inverse=True)[1]
        keys.append(-ranks if is_descending else ranks)
    return rows[np.lexsort(keys)]
