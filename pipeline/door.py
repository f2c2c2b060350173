"""Rows of people who were erased are turned away when a source tells of them again, before they are stored."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from connectors.contract import Landing, Reject, Stream
from pipeline.database import Database
from pipeline.tombstones import NAMED, PERSON, Belongings, Key, buried, buried_elsewhere, bury, find, take_out

_ENTITIES = {"lead": "leads", "deal": "deals"}
_TICK = timedelta(microseconds=1)


class Part(Protocol):
    """One landing with its rows in columns, and the rows that could not be read."""

    landing: Landing
    rows: pa.Table
    rejects: list[Reject]


class Door:
    """The tombstones that concern one source, read again when there are more of them."""

    def __init__(self, database: Database, source: str) -> None:
        self._database = database
        self._source = source
        self._n_known = 0
        self._stones: dict[Key, bool] = {}  # key -> gone at the source too
        self._elsewhere: set[tuple[str, str, str]] = set()  # source, table, key of erased rows that support requests may name
        self.has_written = False  # tombstones, in the check made last

    def check(self, connection: Connection, parts: Sequence[Part], run_id: str, seen_at: datetime) -> int:
        """Take the rows of erased people out of the parts; how many. What else is stored of a row that turns out to be such a
        person's goes as well: the lead that had no number yet, its stage changes."""
        self.look(connection)
        self.has_written = False
        if not self._stones and not self._elsewhere:
            return 0
        self._n_known = -1  # another look next time: what is learned here is true only if this commits
        n_rows: int = sum(part.rows.num_rows for part in parts)
        back: set[Key] = set()
        while True:
            turned = set()
            # A deal is known by its lead, both by their contact; a support request by any of them.
            for table in ("contacts", "leads", "deals", "support_requests"):
                for part in _of(parts, table):
                    turned |= self._filter(part, table)
            back |= {key for key in turned if self._stones.get(key)}
            unknown = turned - self._stones.keys()
            if not unknown:
                break
            people = {stone.key for stone in self._stones if stone.table == PERSON}
            more = find(self._database, connection, people, unknown).rows - self._stones.keys()
            take_out(self._database, connection, Belongings(rows=more), run_id, seen_at)
            self.has_written = True
            self._stones |= dict.fromkeys(more, False)
        for part in _of(parts, "stage_changes"):
            back |= {key for key in self._filter(part, "stage_changes") if self._stones.get(key, True)}
        bury(self._database, connection, sorted(back), run_id, seen_at)
        gone = self._gone(parts)
        bury(self._database, connection, gone, run_id, seen_at + _TICK, is_gone=True)
        self.has_written |= bool(back or gone)
        return n_rows - sum(int(part.rows.num_rows) for part in parts)

    def look(self, connection: Connection) -> None:
        """Read the tombstones, unless nothing was added."""
        n = int(connection.execute(text("SELECT COUNT(*) FROM tombstones")).scalar_one())
        if n != self._n_known:
            self._stones = buried(connection, self._source)
            self._elsewhere = buried_elsewhere(connection, self._source)
            self._n_known = n

    def numbers(self, stream: Stream) -> set[int]:
        """Keys of the stream that the source has and we may not have: they are not missing."""
        entity = stream.only.get("entity", "")
        return {
            int(stone.key)
            for stone, is_gone in self._stones.items()
            if not is_gone and stone.table == stream.record.TABLE and stone.entity == entity and stone.key.isdigit()
        }

    def _filter(self, part: Part, table: str) -> set[Key]:
        """Take the rows that belong to erased people out of one part; their keys."""
        rows = part.rows
        is_turned = self._turned(rows, table)
        key = part.landing.stream.record.KEY[-1]
        turned = rows.filter(is_turned)
        part.rows = rows.filter(pc.invert(is_turned))
        nothing = [""] * turned.num_rows
        entities, owners = (
            turned.column(name).to_pylist() if table == "stage_changes" else nothing for name in ("entity", "entity_id")
        )
        keys = turned.column(key).to_pylist()
        only = part.landing.stream.only.get("entity", "")
        part.rejects = [one for one in part.rejects if Key(self._source, table, only, one.key or "") not in self._stones]
        return {Key(self._source, table, *one) for one in zip(entities, keys, owners, strict=True)}

    def _gone(self, parts: Iterable[Part]) -> list[Key]:
        """Erased rows that the landings say are gone at the source, and the stage changes that go with a lead or deal."""
        told = {key for key in _deleted(parts, self._source) if self._stones.get(key) is False}
        leads_and_deals = {(key.table, key.key) for key in told}
        return sorted(
            key
            for key, is_gone in self._stones.items()
            if not is_gone and (key in told or (_ENTITIES.get(key.entity), key.owner) in leads_and_deals)
        )

    def _turned(self, rows: pa.Table, table: str) -> pa.ChunkedArray:
        """Which rows belong to erased people."""
        if table == "stage_changes":
            found = pa.chunked_array([pa.array([False] * rows.num_rows, pa.bool_())])
            for entity, of in _ENTITIES.items():
                here = pc.equal(rows.column("entity"), entity)
                is_known = pc.or_(self._among(rows, "entity_id", of), self._among(rows, "change_id", table, entity))
                found = pc.or_(found, pc.and_(here, is_known))
            return found
        if table == "support_requests":
            return self._turned_requests(rows)
        found = pc.or_(self._among(rows, "customer_hash", PERSON), self._among(rows, f"{table[:-1]}_id", table))
        if table in ("leads", "deals"):
            found = pc.or_(found, self._among(rows, "contact_id", "contacts"))
        if table == "deals":
            found = pc.or_(found, self._among(rows, "lead_id", "leads"))
        return found

    def _turned_requests(self, rows: pa.Table) -> pa.ChunkedArray:
        """Which support requests are of erased people, by hash, or by a lead, deal or contact they name, here or in their CRM."""
        found = pc.or_(self._among(rows, "customer_hash", PERSON), self._among(rows, "request_id", "support_requests"))
        is_own = pc.equal(pc.fill_null(rows.column("crm"), self._source), self._source)
        for column, table in NAMED.items():
            found = pc.or_(found, pc.and_(is_own, self._among(rows, column, table)))
            if self._elsewhere:
                named = zip(rows.column("crm").to_pylist(), rows.column(column).to_pylist(), strict=True)
                there = [(crm, table, key) in self._elsewhere for crm, key in named]
                found = pc.or_(found, pa.chunked_array([pa.array(there, pa.bool_())]))
        return found

    def _among(self, rows: pa.Table, column: str, table: str, entity: str = "") -> pa.ChunkedArray:
        """Where a column names an erased row of the table; null names nobody."""
        keys = [stone.key for stone in self._stones if stone.table == table and stone.entity == entity]
        return pc.is_in(rows.column(column), value_set=pa.array(keys, pa.string()))


def _of(parts: Iterable[Part], table: str) -> list[Part]:
    return [part for part in parts if table == part.landing.stream.record.TABLE]


def _deleted(parts: Iterable[Part], source: str) -> list[Key]:
    """The keys the landings say are gone."""
    keys: dict[Key, None] = {}
    for part in parts:
        stream = part.landing.stream
        for key in part.landing.deleted:
            last = key[-1] if isinstance(key, tuple) else str(key)
            keys[Key(source, stream.record.TABLE, _entity(stream, key), last)] = None
    return list(keys)


def _entity(stream: Stream, key: int | str | tuple[str, ...]) -> str:
    """Of a stage change: lead or deal."""
    if stream.record.TABLE != "stage_changes":
        return ""
    return key[0] if isinstance(key, tuple) and len(key) > 1 else stream.only.get("entity", "")
