"""The warehouse as the engine of the connectors sees it: rows, deletions, quarantine and cursors in one transaction."""

import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text

from connectors.contract import Json, Landing, Reject, Stream
from connectors.records import Deal, Lead, Record
from pipeline.batches import clean, columns, empty, last_of_each_key
from pipeline.database import Database
from pipeline.door import Door
from pipeline.tables import COMMITS, CURSORS, QUARANTINE, fields

Clock = Callable[[], datetime]  # UTC without zone
_Reject = tuple[str | None, str, str, str]  # key, column, reason, location
_Rejects = dict[_Reject, None]  # a set that keeps its order
_TICK = timedelta(microseconds=1)
_STAMP = "CAST(:seen_at AS TIMESTAMP), CAST(:run_id AS TEXT)"


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Who wrote a version and when it was heard."""

    source: str
    run_id: str
    seen_at: datetime

    def next(self) -> "_Stamp":
        return _Stamp(self.source, self.run_id, self.seen_at + _TICK)


class WarehouseSink:
    """`connectors.contract.Sink` for one source in one run."""

    def __init__(self, database: Database, source: str, run_id: str, clock: Clock) -> None:
        self._database = database
        self._source = source
        self._run_id = run_id
        self._clock = clock
        self._states: dict[str, str | None] = {}  # the stored state by stream, as JSON
        self._quarantined: dict[str, _Rejects] = {}  # open rows by stream
        self._filled: set[str] = set()  # tables known to have rows of the source
        self._live: dict[str, array[int]] = {}  # sorted live keys by stream, until the next commit
        self._door = Door(database, source)
        self.n_turned_away = 0  # rows of people who were erased

    def state(self, stream: Stream) -> Mapping[str, Json] | None:
        """The state stored last for the stream."""
        if stream.name not in self._states:
            with self._database.reading() as connection:
                self._learn(connection, stream)
        stored = self._states[stream.name]
        return None if stored is None else json.loads(stored)

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        """Store all landings and their states in one transaction; the number of new versions (deletions are some) of each."""
        prepared = [_Prepared(landing) for landing in landings]  # outside of the transaction: it is the slow half
        with self._database.writing() as connection:
            for landing in landings:
                self._learn(connection, landing.stream)
            stamp = _Stamp(self._source, self._run_id, later(connection, self._clock()))
            n_turned_away = self._door.check(connection, prepared, self._run_id, stamp.seen_at)
            appended = []
            for part in prepared:
                n_versions = self._append(connection, part, stamp)
                stamp = stamp.next()  # a deletion follows the row it ends, and a landing the one before
                appended.append(n_versions + self._delete(connection, part.landing, stamp))
                stamp = stamp.next()
            quarantined = self._quarantine(connection, prepared, stamp)
            states = self._save_states(connection, landings, stamp)
            self._database.append(connection, COMMITS.name, _stamped(pa.table({"n_versions": [sum(appended)]}), stamp))
        # Only now is it true.
        self.n_turned_away += n_turned_away
        self._quarantined |= quarantined
        self._states |= states
        self._filled |= {part.landing.stream.record.TABLE for part in prepared if part.rows.num_rows}
        for landing in landings:
            self._live.pop(landing.stream.name, None)
        if self._door.has_written:
            self._live.clear()
        return appended

    def counts(self, stream: Stream, ranges: Sequence[tuple[int, int]]) -> list[int]:
        """How many live keys, quarantined ones included, lie in each (after, upto]."""
        live = self._live_keys(stream)
        return [bisect_right(live, upto) - bisect_right(live, after) for after, upto in ranges]

    def keys(self, stream: Stream, after: int, upto: int) -> list[int]:
        """Live keys, quarantined ones included, in (after, upto], ascending."""
        live = self._live_keys(stream)
        return list(live[bisect_right(live, after) : bisect_right(live, upto)])

    def names(self, stream: Stream) -> set[tuple[str, ...]]:
        """Live full keys (tuples of KEY fields as text) of a WHOLE stream."""
        key = ", ".join(stream.record.KEY)
        condition, parameters = _of(self._source, stream.only)
        newest = _newest(stream.record, key, condition)
        with self._database.reading() as connection:
            rows = connection.execute(text(f"SELECT {key} FROM ({newest}) AS n WHERE NOT is_deleted"), parameters).fetchall()
        return {tuple(str(value) for value in row) for row in rows}

    def rejected(self, stream: Stream) -> list[int]:
        """Quarantined keys of a KEYSET stream, ascending."""
        if stream.name not in self._quarantined:
            self.state(stream)
        return sorted({int(row[0]) for row in self._quarantined[stream.name] if row[0] and row[0].isdigit()})

    def orphans(self, stream: Stream) -> list[int]:
        """Live keys of a stream of stage changes whose lead or deal is deleted, ascending."""
        owner: type[Record] = Lead if stream.only["entity"] == "lead" else Deal
        condition, parameters = _of(self._source, stream.only)
        key, owner_key = stream.record.KEY[-1], owner.KEY[-1]
        ended = "MAX(CASE WHEN is_deleted THEN seen_at END)"
        gone = f"SELECT {owner_key} FROM {owner.TABLE} WHERE source = :source GROUP BY {owner_key} HAVING {ended} = MAX(seen_at)"
        keys = (
            f"SELECT DISTINCT CAST({key} AS BIGINT) AS number FROM {stream.record.TABLE} "
            f"WHERE {condition} AND entity_id IN ({gone}) ORDER BY number"
        )
        with self._database.reading() as connection:
            return list(self._database.numbers(connection, keys, parameters))

    # --- inside the transaction ---------------------------------------------------------------------------------

    def _learn(self, connection: Connection, stream: Stream) -> None:
        """Remember the stream's state and open quarantine; nobody else writes them while this run goes on."""
        if stream.name in self._states:
            return
        parameters = {"source": self._source, "stream": stream.name}
        states = "SELECT state FROM cursors WHERE source = :source AND stream = :stream ORDER BY seen_at DESC LIMIT 1"
        self._states[stream.name] = connection.execute(text(states), parameters).scalar()
        rows = connection.execute(
            text(
                "SELECT record_key, column_name, reason, location, is_resolved FROM quarantine "
                "WHERE source = :source AND stream = :stream ORDER BY seen_at, is_resolved DESC"
            ),
            parameters,
        )
        open_rows: _Rejects = {}
        for key, column, reason, location, is_resolved in rows:
            if is_resolved and key is None:
                open_rows = {row: None for row in open_rows if row[0] is not None or row[3] != location}
            elif is_resolved:
                open_rows = {row: None for row in open_rows if row[0] != key}
            else:
                open_rows[key, column, reason, location] = None
        self._quarantined[stream.name] = open_rows

    def _append(self, connection: Connection, part: "_Prepared", stamp: _Stamp) -> int:
        """Append the rows whose content differs from the newest version known; how many."""
        record, rows = part.landing.stream.record, part.rows
        if not rows.num_rows:
            return 0
        self._database.stage(connection, "batch", rows)
        names = list(fields(record))
        target = ", ".join(["source", *names, "seen_at", "run_id", "content_hash", "is_deleted"])
        values = ", ".join(["CAST(:source AS TEXT)", *(f"b.{name}" for name in names), _STAMP, "b.content_hash", "FALSE"])
        insert = f"INSERT INTO {record.TABLE} ({target}) SELECT {values} FROM batch AS b"
        parameters: dict[str, Any] = {"source": stamp.source, "seen_at": stamp.seen_at, "run_id": stamp.run_id}
        if self._is_filled(connection, record.TABLE):
            last = record.KEY[-1]
            keys = rows.column(last).to_pylist()
            parameters |= {"lowest": min(keys), "highest": max(keys)}
            # The bounds let DuckDB skip the blocks of other keys; the subquery alone does not.
            condition = f"source = :source AND {last} BETWEEN :lowest AND :highest AND {last} IN (SELECT {last} FROM batch)"
            newest = _newest(record, ", ".join([*record.KEY, "content_hash"]), condition)
            match = " AND ".join(f"n.{name} = b.{name}" for name in record.KEY)
            insert += f" LEFT JOIN ({newest}) AS n ON {match}"
            insert += f" WHERE n.{last} IS NULL OR n.content_hash <> b.content_hash OR n.is_deleted"
        return self._database.insert(connection, insert, parameters)

    def _is_filled(self, connection: Connection, table: str) -> bool:
        """Whether the table has rows of the source; the first load of a source needs no look-up."""
        if table not in self._filled:
            any_row = text(f"SELECT 1 FROM {table} WHERE source = :source LIMIT 1")
            return connection.execute(any_row, {"source": self._source}).scalar() is not None
        return True

    def _delete(self, connection: Connection, landing: Landing, stamp: _Stamp) -> int:
        """Append a deleted copy of the newest version of each key that is not deleted yet; how many."""
        if not landing.deleted or not self._is_filled(connection, landing.stream.record.TABLE):
            return 0
        record, only = landing.stream.record, landing.stream.only
        keys = [key if isinstance(key, tuple) else (str(key),) for key in landing.deleted]  # full keys, or the last field
        columns_given = record.KEY[-len(keys[0]) :]
        gone = dict(zip(columns_given, map(list, zip(*keys, strict=True)), strict=True))
        self._database.stage(connection, "gone", pa.table(gone))
        condition, parameters = _of(stamp.source, only)
        given = ", ".join(columns_given)
        condition += f" AND ({given}) IN (SELECT {given} FROM gone)"
        names = ", ".join(["source", *fields(record)])
        newest = _newest(record, f"{names}, content_hash", condition)
        return self._database.insert(
            connection,
            f"INSERT INTO {record.TABLE} ({names}, seen_at, run_id, content_hash, is_deleted) "
            f"SELECT {names}, {_STAMP}, content_hash, TRUE FROM ({newest}) AS n WHERE NOT is_deleted",
            {**parameters, "seen_at": stamp.seen_at, "run_id": stamp.run_id},
        )

    def _quarantine(self, connection: Connection, prepared: Sequence["_Prepared"], stamp: _Stamp) -> dict[str, _Rejects]:
        """Append new rejects, and a resolving row for each key that is readable now, or gone, and for each place without a key
        that was read anew and is good now; what is open then."""
        opened = {part.landing.stream.name: dict(self._quarantined[part.landing.stream.name]) for part in prepared}
        for part in prepared:
            rows = opened[part.landing.stream.name]
            for row in [row for row in rows if part.settles(row)]:
                del rows[row]
            for reject in part.rejects:
                key = None if reject.key is None else clean(reject.key)
                rows[key, clean(reject.column), clean(reject.reason), clean(reject.where)] = None
        added: list[tuple[str, str | None, str, str, str, bool]] = []
        for stream, rows in opened.items():
            before = self._quarantined[stream]
            settled = {row[0]: None for row in before if row not in rows and row[0] is not None}
            added += [(stream, key, "", "", "", True) for key in settled]
            bad_places = {row[3] for row in rows if row[0] is None}
            good_places = {row[3]: None for row in before if row[0] is None and row[3] not in bad_places}
            added += [(stream, None, "", "", place, True) for place in good_places]
            added += [(stream, *row, False) for row in rows if row not in before or row[0] in settled]
        if added:
            names = ("stream", "record_key", "column_name", "reason", "location", "is_resolved")
            kinds = (pa.string(),) * 5 + (pa.bool_(),)
            arrays = [pa.array(column, type=kind) for column, kind in zip(zip(*added, strict=True), kinds, strict=True)]
            self._database.append(connection, QUARANTINE.name, _stamped(pa.table(arrays, names=list(names)), stamp))
        return opened

    def _save_states(self, connection: Connection, landings: Sequence[Landing], stamp: _Stamp) -> dict[str, str | None]:
        """Append the states that changed."""
        states: dict[str, str | None] = {
            landing.stream.name: json.dumps(landing.state, sort_keys=True, ensure_ascii=False)
            for landing in landings
            if landing.state is not None
        }
        changed = {stream: state for stream, state in states.items() if state != self._states[stream]}
        if changed:
            table = pa.table({"stream": list(changed), "state": list(changed.values())})
            self._database.append(connection, CURSORS.name, _stamped(table, stamp))
        return changed

    def _live_keys(self, stream: Stream) -> "array[int]":
        """All live keys of a KEYSET stream, 8 bytes each, read once between two commits."""
        if stream.name not in self._live:
            condition, parameters = _of(self._source, stream.only)
            key, table = stream.record.KEY[-1], stream.record.TABLE
            # No join: PostgreSQL has no statistics of a table that was filled a moment ago, and would loop over it for each row.
            ended = "MAX(CASE WHEN is_deleted THEN seen_at END)"
            keys = (
                f"SELECT CAST({key} AS BIGINT) AS number FROM {table} WHERE {condition} GROUP BY {key} "
                f"HAVING {ended} IS NULL OR MAX(seen_at) > {ended} ORDER BY number"
            )
            with self._database.reading() as connection:
                self._learn(connection, stream)
                self._door.look(connection)
                live = self._database.numbers(connection, keys, parameters)
            unread = set(self.rejected(stream))
            unread |= self._door.numbers(stream)  # the source has them, and they are not missing
            if unread:
                live = array("q", (number for number, _ in groupby(merge(live, sorted(unread)))))
            self._live[stream.name] = live
        return self._live[stream.name]


class _Prepared:
    """One landing with its rows in columns."""

    def __init__(self, landing: Landing) -> None:
        record = landing.stream.record
        self.landing = landing
        rows, unstorable = columns(record, landing.records) if landing.records else (empty(record), [])
        self.rows = last_of_each_key(record, rows)
        self.rejects: list[Reject] = [*landing.rejects, *unstorable]
        # Keys whose older quarantine rows are settled: read well, or gone.
        gone = (key[-1] if isinstance(key, tuple) else str(key) for key in landing.deleted)
        self._settled = {*self.rows.column(record.KEY[-1]).to_pylist(), *gone}
        self._reread = clean(landing.reread)

    def settles(self, row: _Reject) -> bool:
        """Whether an open quarantine row ends with this landing."""
        key, _, _, location = row
        if key is None:
            return bool(self._reread) and location.startswith(self._reread)
        return key in self._settled


def later(connection: Connection, now: datetime, table: str = "commits") -> datetime:
    """`now`, or just after the table's newest row if the clock stepped back: seen_at only grows."""
    newest: datetime | None = connection.execute(text(f"SELECT MAX(seen_at) FROM {table}")).scalar()
    return now if newest is None or now > newest else newest + _TICK


def _of(source: str, only: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The condition that selects a stream's rows of a source, with its parameters."""
    condition = " AND ".join(["source = :source", *(f"{name} = :only_{name}" for name in only)])
    return condition, {"source": source, **{f"only_{name}": value for name, value in only.items()}}


def _newest(record: type[Record], names: str, condition: str) -> str:
    """SQL of the newest version of each key among the rows of `condition`: `names` and is_deleted."""
    key = ", ".join(record.KEY)
    age = f"ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY seen_at DESC) AS age"
    versions = f"SELECT {names}, is_deleted, {age} FROM {record.TABLE} WHERE {condition}"
    return f"SELECT {names}, is_deleted FROM ({versions}) AS v WHERE age = 1"


def _stamped(rows: pa.Table, stamp: _Stamp) -> pa.Table:
    n = rows.num_rows
    stamps = {"source": [stamp.source] * n, "seen_at": [stamp.seen_at] * n, "run_id": [stamp.run_id] * n}
    return pa.table({**{name: rows.column(name) for name in rows.column_names}, **stamps})
