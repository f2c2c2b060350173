"""Who was erased: finding all rows of a person, taking them out, and keeping them out when a source tells of them again.

A person is a keyed hash. To it belong the contacts, leads and deals that carry the hash in any version, the contact such a row
names (unless that contact, or another row that names it, carries the hash of somebody else), the deals of its leads and the lead
of its deals, the stage changes of all of them, and the requests to support that carry the hash or name one of them. What is
taken out leaves a tombstone: its key and the hash, nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
from sqlalchemy import Connection, text

from pipeline.database import Database
from pipeline.tables import ERASURES, TOMBSTONES

PERSON = "person"
_KEYS = {"contacts": "contact_id", "leads": "lead_id", "deals": "deal_id", "stage_changes": "change_id",
         "support_requests": "request_id"}
_MONTHS = {"contacts": None, "leads": "created_on", "deals": "created_on", "stage_changes": "moved_on",
           "support_requests": "created_on"}
TABLES = tuple(_KEYS)

_FOUND = {
    "contacts": """
        SELECT DISTINCT source, '' AS entity, contact_id AS record_key, '' AS owner_key FROM contacts
        WHERE customer_hash IN (SELECT hash FROM sought_people)
        UNION
        SELECT named.source, '', named.contact_id, '' FROM (
            SELECT l.source, l.contact_id FROM leads AS l
            JOIN sought_rows AS s ON s.source = l.source AND s.table_name = 'leads' AND s.record_key = l.lead_id
            UNION
            SELECT d.source, d.contact_id FROM deals AS d
            JOIN sought_rows AS s ON s.source = d.source AND s.table_name = 'deals' AND s.record_key = d.deal_id
        ) AS named
        WHERE named.contact_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM (
                SELECT source, contact_id, customer_hash FROM contacts
                UNION ALL SELECT source, contact_id, customer_hash FROM leads
                UNION ALL SELECT source, contact_id, customer_hash FROM deals
            ) AS others
            WHERE others.source = named.source AND others.contact_id = named.contact_id AND others.customer_hash IS NOT NULL
                AND others.customer_hash NOT IN (SELECT hash FROM sought_people)
        )""",
    "leads": """
        SELECT DISTINCT source, '' AS entity, lead_id AS record_key, '' AS owner_key FROM leads
        WHERE customer_hash IN (SELECT hash FROM sought_people)
            OR (source, contact_id) IN (SELECT source, record_key FROM sought_rows WHERE table_name = 'contacts')
            OR (source, lead_id) IN (
                SELECT d.source, d.lead_id FROM deals AS d
                JOIN sought_rows AS s ON s.source = d.source AND s.table_name = 'deals' AND s.record_key = d.deal_id
                WHERE d.lead_id IS NOT NULL)""",
    "deals": """
        SELECT DISTINCT source, '' AS entity, deal_id AS record_key, '' AS owner_key FROM deals
        WHERE customer_hash IN (SELECT hash FROM sought_people)
            OR (source, contact_id) IN (SELECT source, record_key FROM sought_rows WHERE table_name = 'contacts')
            OR (source, lead_id) IN (SELECT source, record_key FROM sought_rows WHERE table_name = 'leads')""",
    "stage_changes": """
        SELECT DISTINCT c.source, c.entity, c.change_id AS record_key, c.entity_id AS owner_key FROM stage_changes AS c
        JOIN sought_rows AS s ON s.source = c.source AND s.record_key = c.entity_id
            AND ((s.table_name = 'leads' AND c.entity = 'lead') OR (s.table_name = 'deals' AND c.entity = 'deal'))""",
    "support_requests": """
        SELECT DISTINCT source, '' AS entity, request_id AS record_key, '' AS owner_key FROM support_requests
        WHERE customer_hash IN (SELECT hash FROM sought_people)
            OR (COALESCE(crm, source), contact_id) IN (SELECT source, record_key FROM sought_rows WHERE table_name = 'contacts')
            OR (COALESCE(crm, source), lead_id) IN (SELECT source, record_key FROM sought_rows WHERE table_name = 'leads')
            OR (COALESCE(crm, source), deal_id) IN (SELECT source, record_key FROM sought_rows WHERE table_name = 'deals')""",
}
# What a support request may name: column -> the table of what it names.
NAMED = {"contact_id": "contacts", "lead_id": "leads", "deal_id": "deals"}


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A row of a source. Of a stage change `entity` says lead or deal and `owner` which one; both are empty elsewhere.
    A person: table "person", source "", the hash as key."""

    source: str
    table: str
    entity: str
    key: str
    owner: str = field(default="", compare=False)


@dataclass(slots=True)
class Belongings:
    """A person's hashes and rows."""

    people: set[str] = field(default_factory=set)
    rows: set[Key] = field(default_factory=set)

    def of(self, table: str) -> list[Key]:
        """The rows of one table, sorted."""
        return sorted(row for row in self.rows if row.table == table)

    def stones(self) -> list[Key]:
        """What tombstones are made of: people and rows, sorted."""
        return sorted({*(Key("", PERSON, "", one) for one in self.people), *self.rows})


def find(database: Database, connection: Connection, people: Iterable[str], rows: Iterable[Key] = ()) -> Belongings:
    """All that belongs to the people with these hashes and to these rows, whatever version says so."""
    found = Belongings(set(people), set(rows))
    while True:
        n_known = len(found.rows)
        for table, sql in _FOUND.items():
            _stage(database, connection, found)
            told = connection.execute(text(sql))
            found.rows |= {Key(row.source, table, row.entity, row.record_key, row.owner_key) for row in told}
        if len(found.rows) == n_known:
            return found


def hashes_of(connection: Connection, row: Key) -> set[str]:
    """The hashes a lead, deal or contact carries in any version; those of its contact when it has none of its own."""
    key = _KEYS[row.table]
    where = {"source": row.source, "key": row.key}
    own = f"SELECT DISTINCT customer_hash FROM {row.table} WHERE source = :source AND {key} = :key AND customer_hash IS NOT NULL"
    found = {str(one) for (one,) in connection.execute(text(own), where)}
    if found or row.table == "contacts":
        return found
    named = (
        "SELECT DISTINCT customer_hash FROM contacts WHERE customer_hash IS NOT NULL AND source = :source AND contact_id IN "
        f"(SELECT contact_id FROM {row.table} WHERE source = :source AND {key} = :key)"
    )
    return {str(one) for (one,) in connection.execute(text(named), where)}


def stored(database: Database, connection: Connection, found: Belongings) -> dict[str, int]:
    """How many versions of the rows are stored, by table; tables without any are left out."""
    _stage(database, connection, found)
    counts = {}
    for table in TABLES:
        counts[table] = int(connection.execute(text(f"SELECT COUNT(*) FROM {table} WHERE {_match(table)}")).scalar_one())
    return {table: n for table, n in counts.items() if n}


def take_out(database: Database, connection: Connection, found: Belongings, erasure_id: str, seen_at: datetime) -> dict[str, int]:
    """Remove all versions of the rows and what is quarantined of them; leave tombstones and a record of how many went, by
    month. Versions removed, by table."""
    removed = {}
    gone: set[Key] = set()
    for table in TABLES:
        rows = found.of(table)
        if not rows:
            continue
        _stage(database, connection, Belongings(rows=set(rows)))
        gone |= _record(database, connection, table, erasure_id, seen_at)
        n_versions = database.insert(connection, f"DELETE FROM {table} WHERE {_match(table)}", {})
        if n_versions:
            removed[table] = n_versions
    _release(database, connection, found)
    gone |= {key for key in found.rows if key.entity and Key(key.source, f"{key.entity}s", "", key.owner) in gone}
    bury(database, connection, [key for key in found.stones() if key not in gone], erasure_id, seen_at)
    bury(database, connection, sorted(gone), erasure_id, seen_at, is_gone=True)
    return removed


def bury(
    database: Database, connection: Connection, keys: Sequence[Key], erasure_id: str, seen_at: datetime, *, is_gone: bool = False
) -> None:
    """Append a tombstone for each key."""
    if not keys:
        return
    columns = {
        "source": [one.source for one in keys],
        "table_name": [one.table for one in keys],
        "entity": [one.entity for one in keys],
        "record_key": [one.key for one in keys],
        "owner_key": [one.owner for one in keys],
    }
    stamps = {"seen_at": [seen_at] * len(keys), "erasure_id": [erasure_id] * len(keys), "is_gone": [is_gone] * len(keys)}
    database.append(connection, TOMBSTONES.name, pa.table({**columns, **stamps}))


def buried(connection: Connection, source: str) -> dict[Key, bool]:
    """The tombstones that concern a source, people included, and whether the row is gone at the source too."""
    rows = connection.execute(
        text(
            "SELECT source, table_name, entity, record_key, owner_key, is_gone FROM tombstones "
            "WHERE source = :source OR table_name = :person ORDER BY seen_at"
        ),
        {"source": source, "person": PERSON},
    )
    return {Key(row.source, row.table_name, row.entity, row.record_key, row.owner_key): row.is_gone for row in rows}


def buried_elsewhere(connection: Connection, source: str) -> set[tuple[str, str, str]]:
    """Source, table and key of the erased leads, deals and contacts of other sources: requests to support may name them."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT source, table_name, record_key FROM tombstones "
            "WHERE source <> :source AND table_name IN ('contacts', 'leads', 'deals')"
        ),
        {"source": source},
    )
    return {(row.source, row.table_name, row.record_key) for row in rows}


def _stage(database: Database, connection: Connection, found: Belongings) -> None:
    rows = sorted(found.rows)
    texts = {"source": [one.source for one in rows], "table_name": [one.table for one in rows]}
    texts |= {"entity": [one.entity for one in rows], "record_key": [one.key for one in rows]}
    database.stage(connection, "sought_rows", pa.table({name: pa.array(column, pa.string()) for name, column in texts.items()}))
    database.stage(connection, "sought_people", pa.table({"hash": pa.array(sorted(found.people), pa.string())}))


def _match(table: str) -> str:
    """The condition that a row of the table is one of the staged ones."""
    names = f"source, {_KEYS[table]}" + (", entity" if table == "stage_changes" else "")
    staged = "source, record_key" + (", entity" if table == "stage_changes" else "")
    return f"({names}) IN (SELECT {staged} FROM sought_rows WHERE table_name = '{table}')"


def _record(database: Database, connection: Connection, table: str, erasure_id: str, erased_at: datetime) -> set[Key]:
    """How many rows and versions of the staged keys go, by source and month; nothing that tells who. The keys of those that
    their source has deleted already."""
    day = _MONTHS[table]
    entity = ", entity" if table == "stage_changes" else ""
    columns = f"source, {_KEYS[table]}{entity}"
    rows = connection.execute(
        text(f"SELECT {columns}, {f'MAX({day})' if day else 'NULL'} AS day, COUNT(*) AS n, MAX(seen_at) AS seen_at, "
             f"MAX(CASE WHEN is_deleted THEN seen_at END) AS ended_at FROM {table} WHERE {_match(table)} GROUP BY {columns}")
    )  # fmt: skip
    counts: dict[tuple[str, str | None], list[int]] = {}
    gone = set()
    for row in rows:
        if row.ended_at == row.seen_at:
            gone.add(Key(row.source, table, row.entity if entity else "", str(row[1])))
        count = counts.setdefault((row.source, f"{row.day:%Y-%m}" if row.day else None), [0, 0])
        count[0] += 1
        count[1] += row.n
    if not counts:
        return gone
    parts = sorted(counts.items(), key=lambda part: (part[0][0], part[0][1] or ""))
    n = len(parts)
    told = {
        "erasure_id": [erasure_id] * n,
        "erased_at": [erased_at] * n,
        "source": [source for (source, _), _ in parts],
        "table_name": [table] * n,
        "month": pa.array([month for (_, month), _ in parts], pa.string()),
        "n_rows": [one[0] for _, one in parts],
        "n_versions": [one[1] for _, one in parts],
    }
    database.append(connection, ERASURES.name, pa.table(told))
    return gone


def _release(database: Database, connection: Connection, found: Belongings) -> None:
    """Take out what is quarantined of the rows. Its stream is named after its table, or begins with the entity: lead_history."""
    streams = connection.execute(text("SELECT DISTINCT source, stream FROM quarantine")).fetchall()
    gone = [
        Key(source, stream, "", row.key)
        for row in found.rows
        for source, stream in streams
        if source == row.source and (stream.startswith(f"{row.entity}_") if row.entity else stream == row.table)
    ]
    if not gone:
        return
    _stage(database, connection, Belongings(rows=set(gone)))
    database.insert(
        connection,
        "DELETE FROM quarantine WHERE (source, stream, record_key) IN (SELECT source, table_name, record_key FROM sought_rows)",
        {},
    )
