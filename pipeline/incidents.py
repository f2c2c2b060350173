"""What is wrong since when, and who was told what of it, in the state file: each recipient once, and once when it is over.

A telling is written down as begun before it is sent and as told afterwards. One that stands as begun belongs to a process that
died in between: whether it arrived nobody knows. Where a repeat replaces the first message it is sent again at once; elsewhere
only if the incident is still open a day later, so that nobody is told twice in a row and nothing is lost for good.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection, Row
from typing import Any

from pipeline.state import State
from pipeline.troubles import Trouble

OPENED, OVER = "opened", "over"
DOUBT = timedelta(days=1)
MOST_TRIES = 8
LONGEST_PAUSE = timedelta(hours=6)
KEPT = timedelta(days=90)  # after it is over


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble from when it was noticed until it was over. Times are UTC."""

    incident_id: int
    kind: str
    subject: str
    opened_at: datetime
    closed_at: datetime | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Telling:
    """That one recipient (by its key) is to be told one part of an incident."""

    incident: Incident
    recipient: str
    part: str
    n_tries: int
    is_unsure: bool


class Incidents:
    """The incidents in the state file. Whoever changes them holds the lock `lease.ALERTS`. Raises WarehouseError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def open_ones(self) -> list[Incident]:
        """What is wrong now, the oldest first."""
        with self._state.reading() as connection:
            return _open(connection)

    def settle(
        self, troubles: Sequence[Trouble], recipients: Collection[str], now: datetime, may_close: Callable[[Incident], bool]
    ) -> tuple[list[Incident], list[Incident]]:
        """Open what is new and close what is over, with what has to be told of it; both lists. `may_close` says whether whoever
        found the troubles would have found this one, too."""
        with self._state.writing() as connection:
            before = _open(connection)
            known = {(one.kind, one.subject) for one in before}
            wrong = {(one.kind, one.subject) for one in troubles}
            for trouble in troubles:
                if (trouble.kind, trouble.subject) not in known:
                    self._open(connection, trouble, recipients, now)
            gone = [one for one in before if (one.kind, one.subject) not in wrong and may_close(one)]
            for incident in gone:
                self._close(connection, incident, recipients, now)
            self._forget(connection, now)
            known_ids = {one.incident_id for one in before}
            opened = [one for one in _open(connection) if one.incident_id not in known_ids]
        return opened, gone

    def recover(self, repeatable: Collection[str], now: datetime) -> list[Telling]:
        """What a process that died was telling: put back, now or for a day, see the head of this module."""
        with self._state.writing() as connection:
            begun = "began_at is not null and told_at is null and given_up_at is null"
            doubtful = _tellings(connection, begun, ())
            for one in doubtful:
                later = now if one.recipient in repeatable else now + DOUBT
                self._update(connection, one, "began_at = null, is_unsure = 1, not_before = ?", later.isoformat())
        return doubtful

    def due(self, now: datetime) -> list[Telling]:
        """What has to be told by now, the oldest first."""
        with self._state.reading() as connection:
            waiting = "told_at is null and given_up_at is null and began_at is null and not_before <= ?"
            return _tellings(connection, waiting, (now.isoformat(),))

    def begin(self, telling: Telling, now: datetime) -> None:
        """It is about to be sent."""
        with self._state.writing() as connection:
            self._update(connection, telling, "began_at = ?, n_tries = n_tries + 1", now.isoformat())

    def told(self, telling: Telling, now: datetime) -> None:
        """It was sent."""
        with self._state.writing() as connection:
            self._update(connection, telling, "told_at = ?", now.isoformat())

    def failed(self, telling: Telling, now: datetime) -> bool:
        """It could not be sent; whether that was the last try."""
        n_tries = telling.n_tries + 1
        with self._state.writing() as connection:
            if n_tries >= MOST_TRIES:
                self._update(connection, telling, "began_at = null, given_up_at = ?", now.isoformat())
                return True
            pause = min(LONGEST_PAUSE, timedelta(minutes=4 ** (n_tries - 1)))
            self._update(connection, telling, "began_at = null, not_before = ?", (now + pause).isoformat())
        return False

    def untold(self) -> list[tuple[Telling, str]]:
        """Tellings of which a person reading the status must know: `given up`, `failing` or `in doubt`."""
        with self._state.reading() as connection:
            lost = _tellings(connection, "given_up_at is not null", ())
            failing = _tellings(connection, "told_at is null and given_up_at is null and is_unsure = 0 and n_tries > 0", ())
            doubtful = _tellings(connection, "told_at is null and given_up_at is null and is_unsure = 1", ())
        told = [(one, "given up") for one in lost if one.incident.closed_at is None]
        return told + [(one, "failing") for one in failing] + [(one, "in doubt") for one in doubtful]

    def _open(self, connection: Connection, trouble: Trouble, recipients: Collection[str], now: datetime) -> None:
        facts = json.dumps({**trouble.facts, "since": trouble.since.isoformat()}, ensure_ascii=False)
        values = (trouble.kind, trouble.subject, now.isoformat(), facts)
        cursor = connection.execute("insert into incidents (kind, subject, opened_at, facts) values (?, ?, ?, ?)", values)
        for recipient in recipients:
            self._plan(connection, int(cursor.lastrowid or 0), recipient, OPENED, now)

    def _close(self, connection: Connection, incident: Incident, recipients: Collection[str], now: datetime) -> None:
        connection.execute("update incidents set closed_at = ? where incident_id = ?", (now.isoformat(), incident.incident_id))
        # Who never heard of it need not hear that it is over.
        heard = connection.execute(
            "select recipient from tellings where incident_id = ? and (told_at is not null or is_unsure = 1)",
            (incident.incident_id,),
        ).fetchall()
        connection.execute("delete from tellings where incident_id = ? and told_at is null", (incident.incident_id,))
        for row in heard:
            if row["recipient"] in recipients:
                self._plan(connection, incident.incident_id, row["recipient"], OVER, now)

    @staticmethod
    def _plan(connection: Connection, incident_id: int, recipient: str, part: str, now: datetime) -> None:
        values = (incident_id, recipient, part, now.isoformat())
        columns = "incident_id, recipient, part, n_tries, is_unsure, not_before"
        connection.execute(f"insert into tellings ({columns}) values (?, ?, ?, 0, 0, ?)", values)

    @staticmethod
    def _update(connection: Connection, telling: Telling, change: str, value: str) -> None:
        key = (telling.incident.incident_id, telling.recipient, telling.part)
        connection.execute(f"update tellings set {change} where incident_id = ? and recipient = ? and part = ?", (value, *key))

    @staticmethod
    def _forget(connection: Connection, now: datetime) -> None:
        connection.execute("delete from incidents where closed_at < ?", ((now - KEPT).isoformat(),))
        connection.execute("delete from tellings where incident_id not in (select incident_id from incidents)")


def _open(connection: Connection) -> list[Incident]:
    rows = connection.execute("select * from incidents where closed_at is null order by opened_at, incident_id")
    return [_incident(row) for row in rows]


def _tellings(connection: Connection, condition: str, values: tuple[str, ...]) -> list[Telling]:
    joined = "select * from tellings join incidents using (incident_id)"
    rows = connection.execute(f"{joined} where {condition} order by not_before, incident_id, recipient", values)
    return [Telling(_incident(row), row["recipient"], row["part"], row["n_tries"], bool(row["is_unsure"])) for row in rows]


def _incident(row: Row) -> Incident:
    closed_at = None if row["closed_at"] is None else datetime.fromisoformat(row["closed_at"])
    opened_at = datetime.fromisoformat(row["opened_at"])
    return Incident(row["incident_id"], row["kind"], row["subject"], opened_at, closed_at, json.loads(row["facts"]))
