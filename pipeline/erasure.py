"""Erasing a person on request: all versions of all rows that belong to a keyed hash, for good.

What stays is a record without anything personal (when, how many rows of which table and month) that later measurements mention,
and tombstones (the hash, the row keys), by which `pipeline.door` turns the person's rows away and a restored backup forgets them
again. The tombstones stand in the state file too: a backup made before the erasure knows nothing of it, nor does a new warehouse.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from connectors.people import customer_hash, normal_email, normal_phone
from pipeline.database import Database
from pipeline.errors import ConfigError
from pipeline.settings import Settings
from pipeline.sink import later
from pipeline.state import State
from pipeline.strict import nearest
from pipeline.tombstones import PERSON, TABLES, Belongings, Key, find, hashes_of, stored, take_out
from pipeline.warehouse import Warehouse, open_database, utc_now

_STANDS = "SELECT COUNT(*) FROM tombstones WHERE source = :source AND table_name = :table AND record_key = :key"


@dataclass(frozen=True, slots=True)
class Request:
    """Who is to be erased: keyed hashes, and rows by key."""

    people: frozenset[str]
    rows: frozenset[Key]


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure found, and removed if it was not only asked: rows and versions by table."""

    rows: dict[str, int]
    versions: dict[str, int]
    was_erased_before: bool

    @property
    def n_rows(self) -> int:
        return sum(self.rows.values())


def request_of(settings: Settings, phones: Sequence[str], emails: Sequence[str], leads: Sequence[str]) -> Request:
    """The people with these numbers and addresses, and those of the leads `SOURCE:ID`. Raises ConfigError; its message repeats
    neither number nor address."""
    countries = sorted({getattr(source.options, "country", "7") for source in settings.sources} or {"7"})
    people: set[str | None] = set()
    for phone in phones:
        if normal_phone(phone, countries[0]) is None:
            raise ConfigError("--phone: that is no phone number", hint="write it with its country, for example +79001234567")
        people |= {customer_hash(settings.hash_key, phone=phone, country=country) for country in countries}
    for email in emails:
        if normal_email(email) is None:
            raise ConfigError("--email: that is no e-mail address")
        people.add(customer_hash(settings.hash_key, email=email))
    rows = set()
    names = [source.name for source in settings.sources]
    for lead in leads:
        source, colon, key = lead.partition(":")
        if not colon or not key:
            raise ConfigError("--lead: write SOURCE:ID", hint=f"for example {names[0] if names else 'portal'}:1045")
        if source not in names:
            raise ConfigError(f"--lead: no source {source!r}{nearest(source, names)}", hint=f"known: {', '.join(names)}")
        rows.add(Key(source, "leads", "", key))
    return Request(frozenset(one for one in people if one), frozenset(rows))


def look_up(url: str, request: Request) -> Erasure:
    """What an erasure would remove; changes nothing."""
    Warehouse(url).check_schema()
    database = open_database(url)
    with database.reading() as connection:
        found, versions = _found(database, connection, request)
        return Erasure(_counts(found, versions), versions, _is_known(connection, request))


def erase(url: str, state: State, request: Request) -> Erasure:
    """Remove the people and rows for good, their bytes included. Asked again it removes what was left, if anything.

    Raises WarehouseError; what was removed before stays removed.
    """
    Warehouse(url).check_schema()
    database = open_database(url)
    now = utc_now()
    erasure_id = f"erasure-{now:%Y%m%dT%H%M%S.%f}"
    with database.writing() as connection:
        was_known = _is_known(connection, request)
        found, versions = _found(database, connection, request)
        rows = _counts(found, versions)
        if versions:
            remember(state, found.stones(), now)  # before the commit: who is not gone yet is not remembered too early
            take_out(database, connection, found, erasure_id, later(connection, now))
    if versions or was_known:
        database.compact([*TABLES, "quarantine"])
    return Erasure(rows, versions, was_known)


def keep_erased(url: str, state: State) -> int:
    """Before a sync: warehouse and state file remember the same people, also when one of them was lost and began anew. Rows
    removed, for whoever came back meanwhile. Raises WarehouseError."""
    database = open_database(url)
    known = set(remembered(state))
    with database.reading() as connection:
        planted = _planted(connection)
    if planted - known:
        remember(state, planted - known, utc_now())
    return erase_again(database, state, ()) if known - planted else 0


def erase_again(database: Database, state: State, standing: Iterable[tuple[str, str, str, str]]) -> int:
    """Take everybody out of a warehouse that was restored or made anew who was erased before; rows removed."""
    keys = {Key(*stone) for stone in standing} | set(remembered(state))
    with database.writing() as connection:
        new = keys - _planted(connection)
        if not new:
            return 0
        people = {key.key for key in new if key.table == PERSON}
        found = find(database, connection, people, {key for key in new if key.table != PERSON})
        now = utc_now()
        removed = take_out(database, connection, found, f"restore-{now:%Y%m%dT%H%M%S.%f}", later(connection, now))
    if removed:
        database.compact([*TABLES, "quarantine"])
    return sum(removed.values())


def remember(state: State, keys: Iterable[Key], erased_at: datetime) -> None:
    """Write to the state file who was erased."""
    rows = [(one.source, one.table, one.entity, one.key, f"{erased_at.isoformat(timespec='seconds')}Z") for one in keys]
    with state.writing() as connection:
        connection.executemany("insert into erased values (?, ?, ?, ?, ?) on conflict do nothing", rows)


def remembered(state: State) -> list[Key]:
    """Who was erased, as the state file knows it."""
    with state.reading() as connection:
        return [Key(*row) for row in connection.execute("select source, table_name, entity, record_key from erased")]


def _planted(connection: Connection) -> set[Key]:
    """Who was erased, as the warehouse knows it."""
    rows = connection.execute(text("SELECT DISTINCT source, table_name, entity, record_key FROM tombstones"))
    return {Key(*row) for row in rows}


def _found(database: Database, connection: Connection, request: Request) -> tuple[Belongings, dict[str, int]]:
    """The person's rows, and how many versions of them are stored, by table."""
    people = set(request.people)
    for row in request.rows:
        people |= hashes_of(connection, row)
    found = find(database, connection, people, request.rows)
    return found, stored(database, connection, found)


def _counts(found: Belongings, versions: dict[str, int]) -> dict[str, int]:
    return {table: len(found.of(table)) for table in versions}


def _is_known(connection: Connection, request: Request) -> bool:
    """Whether somebody of the request was erased before."""
    keys = [Key("", PERSON, "", one) for one in request.people] + list(request.rows)
    return any(
        connection.execute(text(_STANDS), {"source": one.source, "table": one.table, "key": one.key}).scalar_one() for one in keys
    )
