"""The warehouse on every engine: versions, as-of, readings, snapshots, runs."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection

from connectors.contract import Landing
from connectors.records import CrmSource, Owner
from pipeline import warehouse as module
from pipeline.errors import WarehouseError
from pipeline.queries import Query
from pipeline.tables import METADATA, RECORD_TABLES
from pipeline.warehouse import Warehouse
from tests.pipeline.records_made import LEADS, lead, move

EARLY = datetime(2026, 2, 1, 12, 0)


def at(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock shows `moment`."""
    monkeypatch.setattr(module, "utc_now", lambda: moment)


def test_only_changed_content_makes_a_version(warehouse: Warehouse) -> None:
    assert warehouse.append([lead(1), lead(2)], "crm", "r1") == 2
    touched = lead(2, modified_at=datetime(2026, 3, 1))  # a touched row is not a changed row
    same_money = lead(1, amount=Decimal("1500.5"))
    assert warehouse.append([same_money, touched, lead(3)], "crm", "r2") == 1
    assert warehouse.append([lead(2, stage_id="BOOKED")], "crm", "r3") == 1
    assert warehouse.append([lead(2)], "crm", "r4") == 1  # going back is news too
    assert warehouse.n_versions("leads") == 5


def test_sources_do_not_meet(warehouse: Warehouse) -> None:
    warehouse.append([lead(1)], "north", "r1")
    assert warehouse.append([lead(1)], "south", "r2") == 1


def test_the_last_of_a_key_wins_within_a_batch(warehouse: Warehouse) -> None:
    assert warehouse.append([lead(1, stage_id="A"), lead(2), lead(1, stage_id="B")], "crm", "r1") == 2
    with warehouse.reading() as reading:
        assert [tuple(row) for row in reading.rows("select lead_id, stage_id from leads order by lead_id")] == [
            ("1", "B"),
            ("2", "NEW"),
        ]


def test_keys_of_several_fields(warehouse: Warehouse) -> None:
    assert warehouse.append([move("lead", 5, 1), move("deal", 5, 1)], "crm", "r1") == 2
    assert warehouse.append([move("lead", 5, 1), move("deal", 5, 1, "WON")], "crm", "r2") == 1


def test_what_goes_in_comes_out(warehouse: Warehouse) -> None:
    odd = lead(1, utm_campaign='a;"b"\n,\\N', branch="", extra='{"Ё": "\U0001f600"}', amount=Decimal("-0.01"), is_repeat=None)
    warehouse.append([odd], "crm", "r1")
    names = list(RECORD_TABLES[type(odd)].columns.keys())[1:-4]
    with warehouse.reading() as reading:
        (row,) = reading.rows(f"select {', '.join(names)} from leads")
    assert tuple(row) == tuple(getattr(odd, name) for name in names)


def test_a_clock_that_steps_back_does_not_reorder_versions(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    at(EARLY, monkeypatch)
    warehouse.append([lead(1, stage_id="A")], "crm", "r1")
    at(EARLY - timedelta(days=1), monkeypatch)
    warehouse.append([lead(1, stage_id="B")], "crm", "r2")
    with warehouse.reading() as reading:
        newest = reading.rows("select stage_id, seen_at from leads order by seen_at desc")
    assert [row.stage_id for row in newest] == ["B", "A"]
    assert newest[0].seen_at > newest[1].seen_at >= EARLY


def test_an_early_as_of_still_sees_what_was_known_then(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    known = "select stage_id from leads where seen_at <= :seen_until order by seen_at desc"
    at(EARLY, monkeypatch)
    warehouse.append([lead(1, stage_id="A")], "crm", "r1")
    at(EARLY + timedelta(days=1), monkeypatch)
    warehouse.append([lead(1, stage_id="B")], "crm", "r2")
    with warehouse.reading(EARLY + timedelta(hours=1)) as reading:
        assert [row.stage_id for row in reading.rows(known, {"seen_until": reading.seen_until})] == ["A"]
    with warehouse.reading() as reading:
        assert reading.seen_until >= EARLY + timedelta(days=1)
        assert [row.stage_id for row in reading.rows(known, {"seen_until": reading.seen_until})] == ["B", "A"]


def test_a_frame_has_the_same_types_on_every_engine(warehouse: Warehouse) -> None:
    warehouse.append([lead(1), lead(2, amount=None, branch=None, is_repeat=True)], "crm", "r1")
    with warehouse.reading() as reading:
        frame = reading.frame(
            "select lead_id, created_on, created_at, amount, has_phone, branch, cast(1 as smallint) as n_small "
            "from leads order by lead_id"
        )
        sums = reading.frame("select count(*) as n, sum(amount) as total, sum(amount * amount) as total_sq from leads")
        nothing = reading.frame("select lead_id, amount, created_on from leads where lead_id = 'none'")
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "lead_id": "str",
        "created_on": "datetime64[us]",
        "created_at": "datetime64[us]",
        "amount": "float64",
        "has_phone": "bool",
        "branch": "str",
        "n_small": "int64",
    }
    assert frame["amount"].tolist()[0] == 1500.5
    assert pd.isna(frame["amount"].tolist()[1])
    assert sums.to_dict("records") == [{"n": 2, "total": 1500.5, "total_sq": 2251500.25}]
    assert [str(kind) for kind in nothing.dtypes] == ["str", "float64", "datetime64[us]"]


def test_sums_of_money_are_exact_before_they_become_floats(warehouse: Warehouse) -> None:
    warehouse.append([lead(n, amount=Decimal("0.10")) for n in range(1, 1001)], "crm", "r1")
    warehouse.append([lead(2000, amount=Decimal("9007199254740.99"))], "crm", "r1")
    with warehouse.reading() as reading:
        assert reading.frame("select sum(amount) as total from leads where lead_id <> '2000'")["total"].tolist() == [100.0]
        assert reading.frame("select amount from leads where lead_id = '2000'")["amount"].tolist() == [9007199254740.99]


def test_text_is_compared_by_its_bytes(warehouse: Warehouse) -> None:
    names = ["b", "B", "a", "Я", "ё", "А", "_", "10", "9"]
    warehouse.append([CrmSource(name, name) for name in names], "crm", "r1")
    with warehouse.reading() as reading:
        found = [row.crm_source for row in reading.rows("select crm_source from crm_sources order by crm_source")]
    assert found == sorted(names, key=str.encode)


def test_temporary_tables_of_a_reading(warehouse: Warehouse) -> None:
    warehouse.append([lead(1), lead(2, stage_id="BOOKED")], "crm", "r1")
    stage_map = pd.DataFrame({"stage_id": ["NEW", "BOOKED"], "milestone": [None, "booked"], "weight": [1, 2]})
    query = Query("x", "select lead_id from leads where stage_id = :stage", "", "", "", "", frozenset({"stage"}), {})
    with warehouse.reading() as reading:
        reading.load("stage_map", stage_map)
        reading.create("found", "select lead_id, milestone from leads join stage_map on stage_map.stage_id = leads.stage_id")
        assert [tuple(row) for row in reading.rows("select lead_id, milestone from found order by lead_id")] == [
            ("1", None),
            ("2", "booked"),
        ]
        reading.create("found", query, {"stage": "BOOKED"})  # once more, in place of the first
        assert [tuple(row) for row in reading.rows("select * from found")] == [("2",)]
        reading.load("stage_map", pa.table({"stage_id": pa.array([], pa.string())}))
        assert reading.rows("select * from stage_map") == []
        with pytest.raises(ValueError, match="missing \\['stage'\\]"):
            reading.rows(query, {})
        with pytest.raises(ValueError, match="temporary table"):
            reading.create("leads", "select 1 as x")
    with warehouse.reading() as reading:
        assert (
            len(reading.rows("select table_name from information_schema.tables where table_name in ('found', 'stage_map')")) == 0
        )


def test_a_reading_sees_one_state_while_others_write(warehouse: Warehouse, engine: str) -> None:
    if engine == "duckdb":
        pytest.skip("a DuckDB file is not written while it is read: test_locks proves that writers wait")
    warehouse.append([lead(1)], "crm", "r1")
    count = "select count(*) as n from leads"
    with warehouse.reading() as reading:
        assert reading.rows(count)[0].n == 1
        warehouse.append([lead(2)], "crm", "r2")
        assert reading.rows(count)[0].n == 1
    assert warehouse.n_versions("leads") == 2


def test_a_failed_transaction_leaves_nothing(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(LEADS, [lead(1)], state={"after": 1})])

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(sink, "_save_states", fail)  # the last step before the commit
        with pytest.raises(MemoryError):
            sink.commit([Landing(LEADS, [lead(2)], deleted=[1], state={"after": 2})])
    assert warehouse.n_versions("leads") == 1
    assert sink.keys(LEADS, 0, 10) == [1]
    assert sink.commit([Landing(LEADS, [lead(2)], state={"after": 2})]) == [1]
    assert warehouse.sink("crm", "r2").state(LEADS) == {"after": 2}


def test_a_snapshot_is_stored_once(warehouse: Warehouse) -> None:
    document = '{"launch": "робот", "roi": 1.25}'.encode()
    assert warehouse.snapshot("bot", "2026-11-16") is None
    assert warehouse.save_snapshot("bot", "2026-11-16", document)
    assert not warehouse.save_snapshot("bot", "2026-11-16", document)
    assert warehouse.save_snapshot("bot", "2026-11-17", document)
    assert warehouse.save_snapshot("bot", "2026-11-16", b"{}")
    assert warehouse.snapshot("bot", "2026-11-16") == b"{}"
    assert warehouse.snapshot("bot", "2026-11-17") == document
    assert warehouse.n_versions("snapshots") == 3


def test_runs_come_back_newest_first(warehouse: Warehouse) -> None:
    warehouse.record_run("r1", "sync", EARLY, EARLY + timedelta(minutes=1), "ok", {"sources": {"crm": {"appended": 2}}})
    warehouse.record_run("r2", "measure", EARLY + timedelta(hours=1), None, "running", {})
    runs = warehouse.runs()
    assert [run["run_id"] for run in runs] == ["r2", "r1"]
    assert runs[1]["detail"] == {"sources": {"crm": {"appended": 2}}}
    assert [run["run_id"] for run in warehouse.runs(limit=1)] == ["r2"]


def test_freshness_moves_though_nothing_is_new(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert warehouse.last_seen("crm") is None
    for day in (0, 1):
        at(EARLY + timedelta(days=day), monkeypatch)
        warehouse.append([lead(1)], "crm", "r")
    seen = warehouse.last_seen("crm")
    assert seen is not None
    assert seen >= EARLY + timedelta(days=1)
    assert warehouse.n_versions("leads") == 1
    assert warehouse.last_seen("other") is None


def columns_of(connection: Connection) -> dict[str, list[Any]]:
    """What the database says about all our tables."""
    rows = connection.execute(
        text(
            "select table_name, column_name, data_type, is_nullable, numeric_scale, collation_name "
            "from information_schema.columns where table_schema = current_schema() and table_catalog = current_database() "
            "order by table_name, ordinal_position"
        )
    )
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(tuple(row[1:]))
    found.pop("alembic_version", None)
    return found


def indexes_of(connection: Connection) -> Sequence[str]:
    """The definitions of all our indexes."""
    indexes = "select indexdef from pg_indexes where tablename <> 'alembic_version' and schemaname = 'public' order by indexdef"
    return connection.execute(text(indexes)).scalars().all()


def test_the_migrations_build_the_tables_of_the_records(new_warehouse_url: Callable[[], str], engine: str) -> None:
    """Whoever changes a record must write a migration: both ways to build the tables give the same columns and indexes."""
    migrated, derived = new_warehouse_url(), new_warehouse_url()
    Warehouse(migrated).migrate()
    described: list[Any] = []
    for url in (migrated, derived):
        database = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with database.connect() as connection:
            if url == derived:
                METADATA.create_all(connection, checkfirst=False)
            described.append((columns_of(connection), indexes_of(connection) if engine == "postgresql" else None))
        database.dispose()
    assert described[0] == described[1]
    assert set(described[0][0]) == set(METADATA.tables)


def test_a_url_of_no_database_we_know() -> None:
    with pytest.raises(WarehouseError, match="'mysql'"):
        Warehouse("mysql://user:hunter2@host/db")
    with pytest.raises(WarehouseError, match="no database URL"):
        Warehouse("payback.duckdb")
    with pytest.raises(WarehouseError, match="forgotten"):
        Warehouse("duckdb:///:memory:")


def test_unknown_record_tables_stay_out_of_sql(warehouse: Warehouse) -> None:
    with pytest.raises(KeyError):
        warehouse.n_versions("leads; drop table leads")
    assert warehouse.append([Owner("1", "Анна", True)], "crm", "r") == 1
