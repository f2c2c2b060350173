"""What a portal holds and what a warehouse says it holds, row by row. Nothing of the connector under test is used here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from operator import attrgetter
from typing import Any

import numpy as np

from connectors.contract import Sink
from connectors.demo import Store
from connectors.demo.table import Table
from connectors.memory import MemorySink
from connectors.records import RECORDS, Deal, Lead, Record, StageChange
from pipeline.warehouse import Warehouse

_FIELDS = ("created_at", "created_on", "moved_at", "stage_id", "semantics", "amount", "owner_id", "utm_source")
Rows = dict[str, tuple[Any, ...]]


@dataclass
class Difference:
    """Rows of one table: the portal has them and the warehouse not, the other way round, or both with different content."""

    missing: set[str] = field(default_factory=set)
    surplus: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus or self.stale)

    def __str__(self) -> str:
        sets = {"missing": self.missing, "surplus": self.surplus, "stale": self.stale}
        return ", ".join(f"{len(keys)} {name} ({', '.join(sorted(keys)[:4])})" for name, keys in sets.items() if keys)


class Ground:
    """Where stories store what they pull: a warehouse, or memory, the yardstick of every sink, at a tenth of the work."""

    def __init__(self, warehouse: Warehouse | None = None) -> None:
        self._warehouse = warehouse
        self._memory = MemorySink()

    def sink(self, run_id: str, now: Callable[[], datetime]) -> Sink:
        if self._warehouse is None:
            return self._memory
        sink = self._warehouse.sink("crm", run_id)
        sink._clock = now
        return sink

    def rows(self, entity: str) -> Rows:
        """Live rows by id."""
        record = {"lead": Lead, "deal": Deal}[entity]
        return {row[0]: tuple(row[1:]) for row in self._live(record, (f"{entity}_id", *_FIELDS), "")}

    def moves(self, entity: str) -> Rows:
        """Stage changes by id."""
        names = ("change_id", "entity_id", "stage_id", "moved_at", "entity")
        return {row[0]: tuple(row[1:4]) for row in self._live(StageChange, names, "entity, ") if row[4] == entity}

    def n_doubled(self) -> int:
        """Versions that say what the version before them said, and keys that have two versions of one time."""
        if self._warehouse is None:
            return 0
        n = 0
        with self._warehouse.reading() as reading:
            for record in RECORDS:
                window = f"over (partition by source, {', '.join(record.KEY)} order by seen_at)"
                before = f"lag(content_hash) {window} as h, lag(is_deleted) {window} as d, lag(seen_at) {window} as s"
                columns = f"content_hash, is_deleted, seen_at, {before}"
                twice = "(v.h = v.content_hash and v.d = v.is_deleted) or v.s = v.seen_at"
                n += reading.rows(f"select count(*) as n from (select {columns} from {record.TABLE}) as v where {twice}")[0].n
        return n

    def _live(self, record: type[Record], names: tuple[str, ...], more_key: str) -> list[Any]:
        if self._warehouse is None:
            return [attrgetter(*names)(row) for row in self._memory.live(record)]
        columns = ", ".join(names)
        age = f"row_number() over (partition by source, {more_key}{names[0]} order by seen_at desc)"
        versions = f"select {columns}, is_deleted, {age} as age from {record.TABLE}"
        with self._warehouse.reading() as reading:
            return reading.rows(f"select {columns} from ({versions}) as v where age = 1 and not is_deleted")


def differences(store: Store, ground: Ground, zone: tzinfo) -> dict[str, Difference]:
    """By table, only where there are some."""
    found: dict[str, Difference] = {}
    for entity, word in (("lead", "STATUS"), ("deal", "STAGE")):
        alive = _living(store, entity, word, zone)
        found[f"{entity}s"] = _compared(alive, ground.rows(entity))
        stored = ground.moves(entity)
        difference = _compared(_moves(store, entity, word), stored)
        # A portal forgets the history of what is deleted, also when it comes back; the warehouse keeps it.
        difference.surplus = {key for key in difference.surplus if _is_made_up(store, entity, stored[key], key)}
        found[f"{entity} history"] = difference
    return {name: one for name, one in found.items() if one}


def living_ids(store: Store, entity: str) -> set[str]:
    """Ids of the rows the portal has."""
    table = store.table(entity)  # type: ignore[arg-type]
    return {str(one) for one in table.ids[table.alive[: table.n]]}


def _is_made_up(store: Store, entity: str, move: tuple[Any, ...], key: str) -> bool:
    """Whether the portal never had this stage change."""
    table = {"lead": store.lead_history, "deal": store.deal_history}[entity]
    return int(key) not in table.ids.tolist()


def _compared(portal: Rows, known: Rows) -> Difference:
    stale = {key for key in portal.keys() & known.keys() if portal[key] != known[key]}
    return Difference(portal.keys() - known.keys(), known.keys() - portal.keys(), stale)


def _wire_rows(table: Table, names: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = np.flatnonzero(table.alive[: table.n])
    return [json.loads(text) for text in table.print_rows(rows, names, "list")] if len(rows) else []


def _living(store: Store, entity: str, word: str, zone: tzinfo) -> Rows:
    names = ("ID", "DATE_CREATE", "MOVED_TIME", f"{word}_ID", f"{word}_SEMANTIC_ID", "OPPORTUNITY", "ASSIGNED_BY_ID")
    found: Rows = {}
    for row in _wire_rows(store.table(entity), (*names, "UTM_SOURCE")):  # type: ignore[arg-type]
        created = _utc(row["DATE_CREATE"])
        assert created is not None
        found[str(row["ID"])] = (
            created,
            created.replace(tzinfo=UTC).astimezone(zone).date(),
            _utc(row["MOVED_TIME"]),
            row[f"{word}_ID"],
            {"P": "open", "S": "won", "F": "lost"}[row[f"{word}_SEMANTIC_ID"]],
            Decimal(row["OPPORTUNITY"]).quantize(Decimal("0.01")),
            str(row["ASSIGNED_BY_ID"]),
            row["UTM_SOURCE"].strip().lower() if row["UTM_SOURCE"] else None,
        )
    return found


def _moves(store: Store, entity: str, word: str) -> Rows:
    table = {"lead": store.lead_history, "deal": store.deal_history}[entity]
    rows = _wire_rows(table, ("ID", "OWNER_ID", f"{word}_ID", "CREATED_TIME"))
    return {str(row["ID"]): (str(row["OWNER_ID"]), row[f"{word}_ID"], _utc(row["CREATED_TIME"])) for row in rows}


def _utc(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) if text else None
