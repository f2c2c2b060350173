"""A table of the demo portal: named columns, living rows, and JSON text of any rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, Dialect, Mask, Multifield, Numbers, Rows


@dataclass(frozen=True, slots=True)
class Field:
    """A field as `*.fields` describes it. `options`: choices of an enumeration, by option id."""

    type: str
    title: str
    is_read_only: bool = False
    options: Mapping[str, str] | None = None
    is_universal_only: bool = False


class Table:
    """Rows in ascending `ID`; a row keeps its position for ever, deletion only clears `alive`."""

    def __init__(self, fields: Mapping[str, Field], columns: Mapping[str, Column], rename: Mapping[str, str]) -> None:
        ids = columns["ID"]
        if not isinstance(ids, Numbers):
            raise TypeError("column ID must hold numbers")
        self.fields, self.columns = dict(fields), dict(columns)
        self._ids, self.n = ids, len(ids.values)
        self.alive: Mask = np.ones(self.n, dtype=bool)
        self.universal_names = {name: rename.get(name) or camel(name) for name in fields}
        self.classic_names = {shown: name for name, shown in self.universal_names.items()}
        self._templates: dict[tuple[tuple[str, ...], bool], tuple[str, list[str], bool]] = {}

        self._wanted: dict[tuple[tuple[str, ...], bool], tuple[str, ...]] = {}

    @property
    def ids(self) -> NDArray[np.int64]:
        return np.asarray(self._ids.values[: self.n])

    def find(self, id_: int) -> int | None:
        """Position of a living row."""
        row = int(np.searchsorted(self.ids, id_))
        return row if row < self.n and self.ids[row] == id_ and self.alive[row] else None

    def wanted(self, select: list[str], is_universal: bool) -> tuple[str, ...]:
        """Fields a `select` names, in table order; masks and multifields as in reference 3.3, unknown names ignored."""
        key = (tuple(select), is_universal)
        if key not in self._wanted:
            self._wanted[key] = self._resolve(select, is_universal)
        return self._wanted[key]

    def _resolve(self, select: list[str], is_universal: bool) -> tuple[str, ...]:
        named = {self.classic_names.get(name, "") for name in select} if is_universal else set(select)
        has_all, has_custom = "*" in select, "UF_*" in select or (is_universal and "*" in select)
        names = []
        for name, field in self.fields.items():
            is_custom, is_multifield = name.startswith("UF_"), isinstance(self.columns[name], Multifield)
            by_mask = has_custom if is_custom else has_all and (is_universal or not is_multifield)
            if (by_mask or name in named) and (is_universal or not field.is_universal_only):
                names.append(name)
        return tuple(names) or self.wanted(["*", "UF_*"], is_universal)

    def print_rows(self, rows: Rows, names: tuple[str, ...], dialect: Dialect) -> list[str]:
        """JSON objects of the rows."""
        template, ordered, is_bare = self._template(names, dialect == "universal")
        columns = [self.columns[name].render(rows, dialect) for name in ordered]
        if dialect != "universal":
            for place, name in enumerate(ordered):
                if self.columns[name].is_optional:
                    columns[place] = [f',"{name}":{text}' if text else "" for text in columns[place]]
        printed = [template % texts for texts in zip(*columns, strict=True)]
        return [text.replace("{,", "{", 1) for text in printed] if is_bare else printed

    def _template(self, names: tuple[str, ...], is_universal: bool) -> tuple[str, list[str], bool]:
        """A %-template of one row, its columns in order (optional ones last), and whether all are optional."""
        found = self._templates.get((names, is_universal))
        if found is None:
            always = [name for name in names if is_universal or not self.columns[name].is_optional]
            optional = [name for name in names if name not in always]
            shown = [self.universal_names[name] if is_universal else name for name in always]
            template = "{" + ",".join(f'"{name}":%s' for name in shown) + "%s" * len(optional) + "}"
            found = self._templates[(names, is_universal)] = (template, always + optional, not always)
        return found

    def value(self, name: str, row: int, dialect: Dialect = "list") -> Any:
        """What one field of one row is on the wire; None for a key that is left out."""
        text = self.columns[name].render(slice(row, row + 1), dialect)[0]
        return json.loads(text) if text else None

    def put(self, row: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name not in self.columns:
                raise ValueError(f"no field {name}; known fields: {', '.join(self.columns)}")
            self.columns[name].put(row, value)

    def append(self, values: Mapping[str, Any]) -> int:
        """Add a row (its `ID` above all others) and return its position."""
        row = self.n
        if row >= len(self._ids.values):
            capacity = row + max(1024, row // 8)
            for column in self.columns.values():
                column.grow(capacity)
            self.alive = np.concatenate([self.alive, np.zeros(capacity - row, dtype=bool)])
        self.put(row, values)
        self.alive[row] = True
        self.n = row + 1
        return row


def camel(name: str) -> str:
    """Universal spelling of a classic name (reference 3.2): UTM_SOURCE -> utmSource, UF_CRM_17 -> ufCrm_17."""
    first, *rest = name.lower().split("_")
    shown = first + "".join(part.capitalize() for part in rest)
    return f"ufCrm_{name.rsplit('_', 1)[1]}" if name.startswith("UF_CRM_") else shown
