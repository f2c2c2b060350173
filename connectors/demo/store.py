"""Everything the demo portal knows, and the only place where it changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from . import directory, schema
from .columns import MISSING, Choices, Column, Moments, Money, Numbers
from .table import Field, Table
from .truth import Truth

Mode: TypeAlias = Literal["classic", "simple", "simple_converted"]
Entity: TypeAlias = Literal["lead", "deal", "contact"]

_CONSTANTS: dict[str, Any] = {
    "CURRENCY_ID": "RUB", "IS_RETURN_CUSTOMER": "N", "IS_MANUAL_OPPORTUNITY": "Y", "HAS_PHONE": "Y", "HAS_EMAIL": "N",
    "HAS_IMOL": "N", "OPENED": "Y", "CLOSED": "N", "IS_NEW": "N", "IS_RECURRING": "N", "IS_REPEATED_APPROACH": "N",
    "EXPORT": "Y", "CREATED_BY_ID": 1, "MODIFY_BY_ID": 1, "MOVED_BY_ID": 1, "LAST_ACTIVITY_BY": 1, "ASSIGNED_BY_ID": 1,
    "PROBABILITY": 50, "STATUS_ID": "NEW", "STAGE_ID": "NEW", "STATUS_SEMANTIC_ID": "P", "STAGE_SEMANTIC_ID": "P",
}  # fmt: skip
_STAGES = {"lead": "STATUS_ID", "deal": "STAGE_ID"}
_NUMBER_TYPES = ("integer", "user", "crm_company", "crm_contact", "crm_lead", "crm_quote", "crm_category")
_ZERO_AS_TEXT = ("CATEGORY_ID", "PROBABILITY", "ID", "OWNER_ID")


def make_table(
    fields: Mapping[str, Field], columns: Mapping[str, Column], n: int, rename: Mapping[str, str] | None = None
) -> Table:
    """A table of n rows; fields without a given column are constant, in the form their type has on the wire."""
    made: dict[str, Column] = {}
    for name, described in fields.items():
        constant = _CONSTANTS.get(name)
        if name in columns:
            made[name] = columns[name]
        elif described.type in _NUMBER_TYPES:
            zero = '"0"' if name in (*_ZERO_AS_TEXT, "COMPANY_ID") else "null"
            zero_in_get = '"0"' if name in _ZERO_AS_TEXT else "null"
            made[name] = Numbers(np.full(n, constant or 0, np.int32), zero, zero_in_get)
        elif described.type == "double":
            made[name] = Money(np.zeros(n, np.float64))
        elif described.type in ("datetime", "date"):
            made[name] = Moments(np.full(n, MISSING, np.int64))
        else:
            made[name] = Choices(np.zeros(n, np.int16), [constant])
    return Table(fields, made, rename or {})


@dataclass
class Store:
    """The state of one portal "as of" `now` (UTC seconds). `mode`: CRM with leads (classic) or without (simple)."""

    leads: Table
    deals: Table
    contacts: Table
    lead_history: Table
    deal_history: Table
    now: int
    mode: Mode = "classic"
    seed: int = 0
    truth: Truth | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        is_simple = self.mode != "classic"
        self.statuses = directory.statuses(is_simple)
        self.users = directory.users()
        self.categories = [dict(row) for row in directory.CATEGORIES]

    def table(self, entity: str) -> Table:
        tables = {"lead": self.leads, "deal": self.deals, "contact": self.contacts}
        if entity not in tables:
            raise ValueError(f"no entity {entity!r}; known: {', '.join(tables)}")
        return tables[entity]

    def insert(self, entity: Entity, at: int, fields: Mapping[str, Any]) -> int:
        """Add a record created at UTC second `at`; returns its id."""
        with self.lock:
            table = self.table(entity)
            id_ = int(table.ids[-1]) + 1 if table.n else 1
            moments = dict.fromkeys(("DATE_CREATE", "DATE_MODIFY", "MOVED_TIME", "LAST_ACTIVITY_TIME"), at)
            values = {name: _CONSTANTS[name] for name in table.fields if name in _CONSTANTS}
            values |= {name: moment for name, moment in moments.items() if name in table.fields}
            row = table.append(values | {"ID": id_} | dict(fields))
            stage = _STAGES.get(entity)
            if stage:
                self._enter_stage(entity, row, str(fields.get(stage, "NEW")), at, is_new=True)
            return id_

    def update(self, entity: Entity, id_: int, at: int, fields: Mapping[str, Any]) -> None:
        """Change a record at UTC second `at`: bumps DATE_MODIFY, and writes history when the stage changes."""
        with self.lock:
            table = self.table(entity)
            row = self._row(entity, id_)
            stage = _STAGES.get(entity)
            before = table.value(stage, row) if stage else None
            table.put(row, {"DATE_MODIFY": at} | dict(fields))
            if stage and stage in fields and fields[stage] != before:
                self._enter_stage(entity, row, str(fields[stage]), at, is_new=False)

    def delete(self, entity: Entity, id_: int) -> None:
        """Remove a record; its stage history goes with it."""
        with self.lock:
            self.table(entity).alive[self._row(entity, id_)] = False
            history = self._history(entity)
            if history:
                owners = history.columns["OWNER_ID"].keys(slice(0, history.n))
                history.alive[np.flatnonzero(owners == id_)] = False

    def restore(self, entity: Entity, id_: int, at: int) -> None:
        """Bring a deleted record back from the recycle bin under its old id."""
        with self.lock:
            table = self.table(entity)
            row = int(np.searchsorted(table.ids, id_))
            if row >= table.n or table.ids[row] != id_:
                raise ValueError(f"there was never a {entity} {id_}")
            table.alive[row] = True
            table.put(row, {"DATE_MODIFY": at})

    def _row(self, entity: Entity, id_: int) -> int:
        row = self.table(entity).find(id_)
        if row is None:
            raise ValueError(f"no {entity} {id_} on the portal")
        return row

    def _history(self, entity: str) -> Table | None:
        return {"lead": self.lead_history, "deal": self.deal_history}.get(entity)

    def _enter_stage(self, entity: str, row: int, stage: str, at: int, is_new: bool) -> None:
        table, history = self.table(entity), self._history(entity)
        assert history is not None
        directory_name = "STATUS" if entity == "lead" else "DEAL_STAGE"
        found = [s for s in self.statuses if s["ENTITY_ID"] == directory_name and s["STATUS_ID"] == stage]
        semantic = (found[0]["SEMANTICS"] if found else None) or "P"
        prefix = "STATUS" if entity == "lead" else "STAGE"
        values: dict[str, Any] = {f"{prefix}_SEMANTIC_ID": semantic, "MOVED_TIME": at}
        if entity == "lead":
            values["DATE_CLOSED"] = at if semantic != "P" else ""
        else:
            values["CLOSED"] = "N" if semantic == "P" else "Y"
        table.put(row, values)
        entry = {
            "ID": int(history.ids[-1]) + 1 if history.n else 1,
            "TYPE_ID": 1 if is_new else 2 if semantic == "P" else 3,
            "OWNER_ID": int(table.ids[row]),
            "CREATED_TIME": at,
            f"{prefix}_SEMANTIC_ID": semantic,
            f"{prefix}_ID": stage,
        }
        history.append(entry)


def contact_table(columns: Mapping[str, Column], n: int) -> Table:
    return make_table(schema.CONTACT, columns, n, schema.CONTACT_NAMES)


def lead_table(columns: Mapping[str, Column], n: int) -> Table:
    return make_table(schema.LEAD, columns, n, schema.LEAD_NAMES)


def deal_table(columns: Mapping[str, Column], n: int) -> Table:
    return make_table(schema.DEAL, columns, n, schema.DEAL_NAMES)


def history_table(fields: Mapping[str, Field], columns: Mapping[str, Column]) -> Table:
    """Stage history keeps its upper-case names in every dialect."""
    return make_table(fields, columns, n_rows(columns), {name: name for name in fields})


def n_rows(columns: Mapping[str, Column]) -> int:
    return len(columns["ID"].keys(slice(None))) if columns else 0
