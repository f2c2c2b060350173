"""Which report was sent to whom, in the state file: each launch and week once to each recipient, whatever dies in between.

A delivery is planned, then written down as begun before it is sent, and its outcome afterwards. One that stands as begun
belongs to a process that died in between: whether it arrived nobody knows. Where a repeat can be recognised it is sent again;
elsewhere it stays in doubt, is not repeated, and a person is told.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from sqlite3 import Connection, Row

from pipeline.state import State
from pipeline.troubles import DELIVERY, DELIVERY_DOUBT, Trouble

MOST_TRIES = 8
LONGEST_PAUSE = timedelta(hours=6)
KEPT = timedelta(days=400)
TOLD_OF = timedelta(days=8)  # how long a failed one is a trouble: by then the next week's is due


@dataclass(frozen=True, slots=True)
class Delivery:
    """The report of a launch for one recipient in one week (named by its Monday). Times are UTC.

    `as_of` names the snapshot that is sent, also when it is sent days later. `state` is waiting, begun, delivered, in doubt or
    given up; a waiting one with tries behind it is being retried.
    """

    launch: str
    week: date
    recipient: str
    name: str
    as_of: str
    planned_at: datetime
    n_tries: int
    not_before: datetime
    state: str
    settled_at: datetime | None
    error: str


class Deliveries:
    """The deliveries in the state file. Whoever changes them holds the lock `lease.DELIVERIES`. Raises WarehouseError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def since(self, recipients: Collection[str], today: date) -> Mapping[str, date]:
        """The day each recipient was first seen in the configuration; new ones are remembered as of today."""
        with self._state.writing() as connection:
            new = [(key, today.isoformat()) for key in recipients]
            connection.executemany("insert or ignore into subscribers (recipient, since) values (?, ?)", new)
            rows = connection.execute("select recipient, since from subscribers").fetchall()
        return {row["recipient"]: date.fromisoformat(row["since"]) for row in rows}

    def plan(self, launch: str, week: date, recipient: str, name: str, as_of: str, now: datetime) -> bool:
        """Plan a delivery; False when there is one for that launch, week and recipient, whatever became of it."""
        with self._state.writing() as connection:
            key = (launch, recipient)
            connection.execute(  # an older week's report is no news any more
                "update deliveries set state = 'given up', settled_at = ? where launch = ? and recipient = ? and week < ? "
                "and state = 'waiting'", (now.isoformat(), *key, week.isoformat())
            )  # fmt: skip
            connection.execute("delete from deliveries where planned_at < ?", ((now - KEPT).isoformat(),))
            columns = "launch, week, recipient, name, as_of, planned_at, n_tries, not_before, state, error"
            values = (launch, week.isoformat(), recipient, name, as_of, now.isoformat(), now.isoformat())
            cursor = connection.execute(
                f"insert or ignore into deliveries ({columns}) values (?, ?, ?, ?, ?, ?, 0, ?, 'waiting', '')", values
            )
            return cursor.rowcount == 1

    def recover(self, repeatable: Collection[str], now: datetime) -> list[Delivery]:
        """What a process that died was sending: put back where a repeat can be recognised, in doubt elsewhere."""
        with self._state.writing() as connection:
            found = _select(connection, "state = 'begun'")
            for one in found:
                state = "waiting" if one.recipient in repeatable else "in doubt"
                self._set(connection, one, state, now, "the program ended while it was sending")
        return found

    def due(self, now: datetime) -> list[Delivery]:
        """What has to be sent by now, the oldest first."""
        with self._state.reading() as connection:
            return _select(connection, "state = 'waiting' and not_before <= ?", now.isoformat())

    def open_ones(self) -> list[Delivery]:
        """What has to be sent now or later, or is being sent, the oldest first."""
        with self._state.reading() as connection:
            return _select(connection, "state in ('waiting', 'begun')")

    def begin(self, one: Delivery, now: datetime) -> None:
        """It is about to be sent."""
        with self._state.writing() as connection:
            self._set(connection, one, "begun", now, "", "n_tries = n_tries + 1")

    def delivered(self, one: Delivery, now: datetime) -> None:
        """It was taken."""
        with self._state.writing() as connection:
            self._set(connection, one, "delivered", now, "")

    def doubt(self, one: Delivery, error: str, now: datetime) -> None:
        """It may have been taken: there was no answer."""
        with self._state.writing() as connection:
            self._set(connection, one, "in doubt", now, error)

    def failed(self, one: Delivery, error: str, now: datetime, *, pause: float | None = None, is_final: bool = False) -> bool:
        """It was not taken; whether that was the last try. `pause`: seconds asked for; `is_final`: no use to repeat."""
        n_tries = one.n_tries + 1
        is_last = is_final or n_tries >= MOST_TRIES
        wait = max(min(LONGEST_PAUSE, timedelta(minutes=4 ** (n_tries - 1))), timedelta(seconds=pause or 0.0))
        with self._state.writing() as connection:
            self._set(connection, one, "given up" if is_last else "waiting", now, error)
            change = f"update deliveries set not_before = ?, n_tries = ? where {_KEY}"
            connection.execute(change, ((now + wait).isoformat(), n_tries, *_key(one)))
        return is_last

    def again(self, launch: str, week: date, recipients: Collection[str], as_of: str, now: datetime) -> None:
        """A person wants what failed or is in doubt to be sent once more, as known by `as_of`; what was delivered stays so."""
        with self._state.writing() as connection:
            for recipient in recipients:
                connection.execute(
                    "update deliveries set state = 'waiting', n_tries = 0, not_before = ?, as_of = ? "
                    "where launch = ? and week = ? and recipient = ? and state in ('given up', 'in doubt', 'waiting')",
                    (now.isoformat(), as_of, launch, week.isoformat(), recipient),
                )

    def sent_since(self, recipient: str, moment: datetime) -> list[datetime]:
        """When this recipient was sent something since then, ascending."""
        with self._state.reading() as connection:
            found = _select(connection, "recipient = ? and settled_at > ? and n_tries > 0", recipient, moment.isoformat())
        return sorted(one.settled_at for one in found if one.settled_at is not None)

    def newest(self) -> list[Delivery]:
        """The newest week of each launch and recipient, the newest first."""
        same = "d.launch = deliveries.launch and d.recipient = deliveries.recipient"
        newest = f"week = (select max(week) from deliveries as d where {same})"
        with self._state.reading() as connection:
            return sorted(_select(connection, newest), key=lambda one: (one.week, one.launch, one.name), reverse=True)

    @staticmethod
    def _set(connection: Connection, one: Delivery, state: str, now: datetime, error: str, more: str = "") -> None:
        change = "state = ?, settled_at = ?, error = ?" + (f", {more}" if more else "")
        connection.execute(f"update deliveries set {change} where {_KEY}", (state, now.isoformat(), error, *_key(one)))


def delivery_troubles(
    found: Sequence[Delivery], titles: Mapping[str, str], recipients: Collection[str], now: datetime
) -> list[Trouble]:
    """What of the newest deliveries needs a person; `titles` are those of the launches, `recipients` who is configured now."""
    kinds = {"given up": DELIVERY, "in doubt": DELIVERY_DOUBT}
    return [
        Trouble(
            kinds[one.state], f"{titles[one.launch]} → {one.name}", one.settled_at or one.planned_at,
            {"error": one.error} if one.error else {},
        )
        for one in found
        if one.state in kinds and one.recipient in recipients and one.launch in titles and now - one.planned_at < TOLD_OF
    ]  # fmt: skip


_KEY = "launch = ? and week = ? and recipient = ?"


def _key(one: Delivery) -> tuple[str, str, str]:
    return one.launch, one.week.isoformat(), one.recipient


def _select(connection: Connection, condition: str, *values: str) -> list[Delivery]:
    rows = connection.execute(f"select * from deliveries where {condition} order by not_before, week, launch, recipient", values)
    return [_delivery(row) for row in rows]


def _delivery(row: Row) -> Delivery:
    settled_at = None if row["settled_at"] is None else datetime.fromisoformat(row["settled_at"])
    return Delivery(
        row["launch"], date.fromisoformat(row["week"]), row["recipient"], row["name"], row["as_of"],
        datetime.fromisoformat(row["planned_at"]), row["n_tries"], datetime.fromisoformat(row["not_before"]), row["state"],
        settled_at, row["error"],
    )  # fmt: skip
