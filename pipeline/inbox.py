"""The inbox: rows that a source says have changed, kept on disk until they were fetched.

An event is stored before it is answered, and forgotten only once what was fetched for it is in the warehouse. Events about one
row are one entry: its serial number tells whether another one came while it was being fetched. A row is fetched at least once;
fetching it twice changes nothing.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.state import State

MOST_WAITING = 200_000  # entries of one source; beyond that the nightly sync is the quicker way
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Heard:
    """A row of a source's stream that is said to have changed."""

    source: str
    stream: str
    key: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that waits to be fetched, and the newest event about it."""

    stream: str
    key: int
    serial: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the inbox of one source stands: entries waiting and since when the oldest one, events heard so far and when the last
    one (ISO texts, UTC), fetches that failed in a row."""

    source: str
    n_waiting: int
    waiting_since: str | None
    n_events: int
    heard_at: str
    n_failures: int


class Inbox:
    """The entries of all sources. Every call is one transaction on the state file and may be made by any process.

    Raises WarehouseError when the state file cannot be used.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def hear(self, events: Sequence[Heard]) -> list[bool]:
        """Store events; on disk when this returns. False for one that found the inbox of its source full."""
        with self._state.writing() as connection:
            kept: dict[int, bool] = {}
            for source in {event.source for event in events}:
                own = {place: event for place, event in enumerate(events) if event.source == source}
                kept.update(zip(own, self._hear(connection, source, list(own.values())), strict=True))
        return [kept[place] for place in range(len(events))]

    def _hear(self, connection: sqlite3.Connection, source: str, events: Sequence[Heard]) -> list[bool]:
        now = _text(_now())
        connection.execute("insert into inbox_sources (source) values (?) on conflict do nothing", (source,))
        counts = "select n_events, n_waiting from inbox_sources where source = ?"
        serial, n_waiting = connection.execute(counts, (source,)).fetchone()
        kept = []
        for event in events:
            serial += 1
            row = (source, event.stream, event.key)
            again = "update inbox set serial = ? where source = ? and stream = ? and key = ?"
            is_new = not connection.execute(again, (serial, *row)).rowcount
            kept.append(not is_new or n_waiting < MOST_WAITING)
            if is_new and kept[-1]:
                new = "insert into inbox (source, stream, key, serial, heard_at) values (?, ?, ?, ?, ?)"
                connection.execute(new, (*row, serial, now))
                n_waiting += 1
        counted = "update inbox_sources set n_events = ?, n_waiting = ?, heard_at = ? where source = ?"
        connection.execute(counted, (serial, n_waiting, now, source))
        return kept

    def keep_open(self) -> sqlite3.Connection:
        """See `State.keep_open`."""
        return self._state.keep_open()

    def due(self, sources: Collection[str]) -> list[str]:
        """Those of the sources that have entries and no pause, the longest waiting first. Entries of other sources, which nobody
        will ever fetch, are thrown away."""
        now = _now()
        with self._state.writing() as connection:
            rows = connection.execute("select source, not_before, n_waiting from inbox_sources").fetchall()
            for source, _, n_waiting in rows:
                if source not in sources and n_waiting:
                    connection.execute("delete from inbox where source = ?", (source,))
                    connection.execute("update inbox_sources set n_waiting = 0 where source = ?", (source,))
            waiting = connection.execute("select source from inbox group by source order by min(heard_at)").fetchall()
        # A pause that ends later than any pause can was made by another clock.
        resting = {source for source, not_before, _ in rows if _text(now) < not_before <= _text(now + _LONGEST_PAUSE)}
        return [source for (source,) in waiting if source not in resting]

    def entries(self, source: str, limit: int) -> list[Entry]:
        """The entries that wait longest."""
        longest = "select stream, key, serial from inbox where source = ? order by heard_at, serial limit ?"
        with self._state.writing() as connection:
            return [Entry(*row) for row in connection.execute(longest, (source, limit))]

    def done(self, source: str, entries: Sequence[Entry]) -> None:
        """Forget entries whose rows are in the warehouse, unless another event came since they were taken."""
        gone = "delete from inbox where source = ? and stream = ? and key = ? and serial = ?"
        with self._state.writing() as connection:
            n = sum(connection.execute(gone, (source, one.stream, one.key, one.serial)).rowcount for one in entries)
            settled = "update inbox_sources set n_waiting = n_waiting - ?, n_failures = 0, not_before = '' where source = ?"
            connection.execute(settled, (n, source))

    def failed(self, source: str) -> int:
        """A fetch failed: the source rests, longer each time. How many have failed in a row."""
        with self._state.writing() as connection:
            (n_before,) = connection.execute("select n_failures from inbox_sources where source = ?", (source,)).fetchone()
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(n_before, 10))
            connection.execute(
                "update inbox_sources set n_failures = n_failures + 1, not_before = ? where source = ?",
                (_text(_now() + pause), source),
            )
        return int(n_before) + 1

    def standings(self) -> list[Standing]:
        """How the inbox of every source stands that was ever heard, by name."""
        with self._state.reading() as connection:
            rows = connection.execute(
                "select source, n_waiting, (select min(heard_at) from inbox where inbox.source = inbox_sources.source), "
                "n_events, heard_at, n_failures from inbox_sources order by source"
            ).fetchall()
        return [Standing(*row) for row in rows]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
