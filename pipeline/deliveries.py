"""Which report was sent to whom, in the state file: each launch and week once to each recipient, whatever dies in between.

A delivery is planned, then written down as begun before it is sent, and its outcome afterwards. One that stands as begun
belongs to a process that died in between: whether it arrived nobody knows. Where a repeat can be recognised it is sent again;
elsewhere it stays in doubt, is not repeated, and a person is told.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
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

    `as_of` and `document_hash` (SHA-256) name the snapshot that is sent, also when it is sent days later; the hash is empty until
    somebody could look. `state` is waiting, begun, delivered, in doubt or given up; a waiting one with tries behind it is being
    retried. `was_begun`: it may have been sent before. `address`: what it was last tried at, as a keyed hash. `reason` is `error`
    as a code with its figures.
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
    document_hash: str
    address: str
    was_begun: bool
    reason: Mapping[str, str]


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

    def plan(
        self, launch: str, week: date, recipient: str, name: str, as_of: str, now: datetime, document_hash: str = ""
    ) -> bool:  # fmt: skip
        """Plan a delivery; False when there is one for that launch, recipient and week, or a later one, whatever became of it."""
        with self._state.writing() as connection:
            key = (launch, recipient)
            # What a clock that was wrong once planned for the future must not keep the weeks until then from being planned.
            later = "select 1 from deliveries where launch = ? and recipient = ? and week > ? and week <= ?"
            if connection.execute(later, (*key, week.isoformat(), (now + timedelta(days=1)).isoformat())).fetchone():
                return False
            connection.execute(  # an older week's report is no news any more
                "update deliveries set state = 'given up', settled_at = ? where launch = ? and recipient = ? and week < ? "
                "and state = 'waiting'", (now.isoformat(), *key, week.isoformat())
            )  # fmt: skip
            connection.execute("delete from deliveries where planned_at < ?", ((now - KEPT).isoformat(),))
            connection.execute(f"delete from delivery_notes where ({_KEYS}) not in (select {_KEYS} from deliveries)")
            columns = "launch, week, recipient, name, as_of, planned_at, n_tries, not_before, state, error"
            values = (launch, week.isoformat(), recipient, name, as_of, now.isoformat(), now.isoformat())
            cursor = connection.execute(
                f"insert or ignore into deliveries ({columns}) values (?, ?, ?, ?, ?, ?, 0, ?, 'waiting', '')", values
            )
            if cursor.rowcount == 1:
                connection.execute(
                    f"insert or replace into delivery_notes ({_KEYS}, document_hash) values (?, ?, ?, ?)",
                    (launch, week.isoformat(), recipient, document_hash),
                )
            return cursor.rowcount == 1

    def pin(self, one: Delivery, document_hash: str) -> None:
        """From now on it stands for that document."""
        with self._state.writing() as connection:
            _note(connection, _key(one), document_hash=document_hash)

    def follow(self, wanted: Callable[[Delivery], tuple[str, str] | None], now: datetime) -> list[Delivery]:
        """What failed and whose recipient has a new address is tried there anew. `wanted` says of a delivery which recipient and
        name it goes to now, or None where nothing has changed. Those that were put back."""
        with self._state.writing() as connection:
            found = [(one, wanted(one)) for one in _failed(connection, now)]
            moved = []
            for one, to in found:
                if to is None:
                    continue
                recipient, name = to
                if recipient != one.recipient:
                    taken = (one.launch, recipient, one.week.isoformat())
                    later = "select 1 from deliveries where launch = ? and recipient = ? and week >= ?"
                    if connection.execute(later, taken).fetchone():
                        continue
                    _rename(connection, _key(one), recipient)
                key = (one.launch, one.week.isoformat(), recipient)
                change = "state = 'waiting', n_tries = 0, not_before = ?, error = '', name = ?"
                begun = one.was_begun and recipient == one.recipient
                _note(connection, key, address="", is_begun=int(begun), reason="")
                connection.execute(f"update deliveries set {change} where {_KEY}", (now.isoformat(), name, *key))
                moved.append(one)
            return moved

    def failed_lately(self, now: datetime) -> list[Delivery]:
        """What has not arrived and is still news."""
        with self._state.reading() as connection:
            return _failed(connection, now)

    def adopt(self, written: str, recipient: str) -> None:
        """What is kept of a recipient by an earlier key belongs to it by this one."""
        with self._state.writing() as connection:
            for one in _select(connection, "recipient = ?", written):
                here = (one.launch, one.week.isoformat(), recipient)
                if not connection.execute(f"select 1 from deliveries where {_KEY}", here).fetchone():
                    _rename(connection, _key(one), recipient)

    def recover(self, repeatable: Collection[str], now: datetime) -> list[Delivery]:
        """What a process that died was sending: put back where a repeat can be recognised, in doubt elsewhere."""
        with self._state.writing() as connection:
            found = _select(connection, "state = 'begun'")
            for one in found:
                state = "waiting" if one.recipient in repeatable else "in doubt"
                self._set(connection, one, state, now, "the program ended while it was sending", {"code": "died"})
        return found

    def due(self, now: datetime) -> list[Delivery]:
        """What has to be sent by now, the oldest first."""
        with self._state.reading() as connection:
            return _select(connection, "state = 'waiting' and not_before <= ?", now.isoformat())

    def open_ones(self) -> list[Delivery]:
        """What has to be sent now or later, or is being sent, the oldest first."""
        with self._state.reading() as connection:
            return _select(connection, "state in ('waiting', 'begun')")

    def begin(self, one: Delivery, now: datetime) -> bool:
        """It is about to be sent; False when it no longer waits for that: a later week's has taken its place."""
        with self._state.writing() as connection:
            change = f"update deliveries set state = 'begun', n_tries = n_tries + 1 where {_KEY} and state = 'waiting'"
            if connection.execute(change, _key(one)).rowcount != 1:
                return False
            self._set(connection, one, "begun", now, "")
            _note(connection, _key(one), is_begun=1)
            return True

    def delivered(self, one: Delivery, now: datetime) -> None:
        """It was taken."""
        with self._state.writing() as connection:
            self._set(connection, one, "delivered", now, "")

    def doubt(self, one: Delivery, error: str, now: datetime, reason: Mapping[str, str]) -> None:
        """It may have been taken: there was no answer."""
        with self._state.writing() as connection:
            self._set(connection, one, "in doubt", now, error, reason)

    def failed(
        self, one: Delivery, error: str, now: datetime, reason: Mapping[str, str], *, address: str, pause: float | None = None,
        is_final: bool = False,
    ) -> bool:  # fmt: skip
        """It was not taken; whether that was the last try. `address`: a keyed hash of where it was tried; `pause`: seconds asked
        for; `is_final`: no use to repeat."""
        n_tries = one.n_tries + 1
        is_last = is_final or n_tries >= MOST_TRIES
        wait = max(min(LONGEST_PAUSE, timedelta(minutes=4 ** (n_tries - 1))), timedelta(seconds=pause or 0.0))
        with self._state.writing() as connection:
            self._set(connection, one, "given up" if is_last else "waiting", now, error, reason)
            _note(connection, _key(one), address=address)
            change = f"update deliveries set not_before = ?, n_tries = ? where {_KEY}"
            connection.execute(change, ((now + wait).isoformat(), n_tries, *_key(one)))
        return is_last

    def again(self, launch: str, week: date, recipient: str, as_of: str, now: datetime, document_hash: str = "") -> None:
        """A person wants what failed or is in doubt to be sent once more, as known by `as_of`; what was delivered stays so."""
        key = (launch, week.isoformat(), recipient)
        with self._state.writing() as connection:
            _note(connection, key)  # keeps that it was begun
            cursor = connection.execute(
                "update deliveries set state = 'waiting', n_tries = 0, not_before = ?, as_of = ? "
                f"where {_KEY} and state in ('given up', 'in doubt', 'waiting')", (now.isoformat(), as_of, *key)
            )  # fmt: skip
            if cursor.rowcount == 1:
                _note(connection, key, document_hash=document_hash)

    def sent_since(self, recipient: str, moment: datetime) -> list[datetime]:
        """When this recipient was sent something since then, ascending."""
        with self._state.reading() as connection:
            found = _select(connection, "recipient = ? and settled_at > ? and n_tries > 0", recipient, moment.isoformat())
        return sorted(one.settled_at for one in found if one.settled_at is not None)

    def newest(self) -> list[Delivery]:
        """The newest week of each launch and recipient, the newest first."""
        with self._state.reading() as connection:
            return sorted(_newest(connection, "true"), key=lambda one: (one.week, one.launch, one.name), reverse=True)

    @staticmethod
    def _set(
        connection: Connection, one: Delivery, state: str, now: datetime, error: str, reason: Mapping[str, str] | None = None
    ) -> None:  # fmt: skip
        change = "state = ?, settled_at = ?, error = ?"
        connection.execute(f"update deliveries set {change} where {_KEY}", (state, now.isoformat(), error, *_key(one)))
        _note(connection, _key(one), reason=json.dumps(reason, ensure_ascii=False, sort_keys=True) if reason else "")


def delivery_troubles(
    found: Sequence[Delivery], titles: Mapping[str, str], is_configured: Callable[[Delivery], bool], now: datetime
) -> list[Trouble]:
    """What of the newest deliveries needs a person; `titles` are those of the launches."""
    kinds = {"given up": DELIVERY, "in doubt": DELIVERY_DOUBT}
    return [
        Trouble(
            kinds[one.state], subject_of(titles[one.launch], one.name), one.settled_at or one.planned_at,
            {"error": one.error, "reason": dict(one.reason)} if one.error else {},
        )
        for one in found
        if one.state in kinds and one.launch in titles and is_configured(one) and now - one.planned_at < TOLD_OF
    ]  # fmt: skip


def subject_of(title: str, name: str) -> str:
    """What a trouble with the deliveries of a launch (by its title) to somebody is about."""
    return f"{title} → {name}"


_KEYS = "launch, week, recipient"
_KEY = "launch = ? and week = ? and recipient = ?"
_NEWEST = "week = (select max(d.week) from deliveries as d where d.launch = one.launch and d.recipient = one.recipient)"


def _key(one: Delivery) -> tuple[str, str, str]:
    return one.launch, one.week.isoformat(), one.recipient


def _note(connection: Connection, key: tuple[str, str, str], **columns: str | int) -> None:
    """Change what is noted of a delivery. One that an older program planned has no note yet."""
    known = f"select {_KEYS}, n_tries > 0 from deliveries where {_KEY}"
    connection.execute(f"insert or ignore into delivery_notes ({_KEYS}, is_begun) {known}", key)
    if columns:
        change = ", ".join(f"{column} = ?" for column in columns)
        connection.execute(f"update delivery_notes set {change} where {_KEY}", (*columns.values(), *key))


def _rename(connection: Connection, key: tuple[str, str, str], recipient: str) -> None:
    _note(connection, key)
    for table in ("deliveries", "delivery_notes"):
        connection.execute(f"update or replace {table} set recipient = ? where {_KEY}", (recipient, *key))


def _failed(connection: Connection, now: datetime) -> list[Delivery]:
    return _newest(connection, "state in ('waiting', 'given up') and planned_at > ?", (now - TOLD_OF).isoformat())


def _newest(connection: Connection, condition: str, *values: str) -> list[Delivery]:
    """Of each launch and recipient the newest week, where the condition holds."""
    return _select(connection, f"{condition} and {_NEWEST}", *values)


def _select(connection: Connection, condition: str, *values: str) -> list[Delivery]:
    joined = f"select * from deliveries as one left join delivery_notes using ({_KEYS})"
    rows = connection.execute(f"{joined} where {condition} order by not_before, week, launch, recipient", values)
    return [_delivery(row) for row in rows]


def _delivery(row: Row) -> Delivery:
    settled_at = None if row["settled_at"] is None else datetime.fromisoformat(row["settled_at"])
    is_noted = row["is_begun"] is not None
    return Delivery(
        row["launch"], date.fromisoformat(row["week"]), row["recipient"], row["name"], row["as_of"],
        datetime.fromisoformat(row["planned_at"]), row["n_tries"], datetime.fromisoformat(row["not_before"]), row["state"],
        settled_at, row["error"], row["document_hash"] or "", row["address"] or "",
        bool(row["is_begun"] if is_noted else row["n_tries"]), json.loads(row["reason"] or "{}"),
    )  # fmt: skip
