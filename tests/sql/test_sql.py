"""Every query of sql/ on every engine, against small tables with an expected result that was worked out by hand.

A case is a folder tests/sql/<query>/<case>/: one CSV a table (columns that do not matter are left out), parameters.toml, and
expect.csv with the columns to compare. What a case proves stands in its parameters.toml. Adding one needs no Python.
"""

import csv
import datetime
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from pipeline import queries
from pipeline.tables import METADATA
from pipeline.warehouse import Reading

HERE = Path(__file__).parent
CASES = sorted(path.parent.relative_to(HERE).as_posix() for path in HERE.rglob("expect.csv"))

DEFAULTS = {
    "source": "crm", "entity": "lead", "journey_entity": "lead", "seen_at": "2026-01-01 00:00:00", "is_deleted": "false",
    "is_template": "false",
}  # fmt: skip
# For columns that must be filled and that a case leaves out.
FILLED: dict[type, object] = {
    str: "",
    bool: False,
    datetime.datetime: datetime.datetime(2026, 1, 1),
    datetime.date: datetime.date(2026, 1, 1),
}
TEXT, HOURS = pa.string(), pa.float64()
TEMPORARY: dict[str, dict[str, pa.DataType]] = {
    "stage_map": dict.fromkeys(("source", "entity", "pipeline_id", "stage_id", "milestone"), TEXT),
    "channel_map": dict.fromkeys(("crm_source", "utm_source", "utm_medium", "utm_campaign", "channel"), TEXT),
    "journeys": {
        **dict.fromkeys(("source", "journey_id", "entity"), TEXT),
        "created_at": pa.timestamp("us"),
        "created_on": pa.date32(),
        **dict.fromkeys(("channel", "branch", "owner_id", "pipeline_id", "customer", "customer_source"), TEXT),
        **dict.fromkeys(("is_duplicate", "is_repeat"), pa.bool_()),
        "n_visits_before": pa.int64(),
        **{
            f"{milestone}_hours": HOURS
            for milestone in ("qualified", "booked", "confirmed", "visited", "no_show", "cancelled", "paid", "lost", "next_visit")
        },
        "amount": pa.decimal128(18, 2),
        "own_paid_hours": HOURS,
        "own_amount": pa.decimal128(18, 2),
    },
    "parts": {
        **dict.fromkeys(("source", "entity", "record_id", "journey_entity", "journey_id"), TEXT),
        "created_on": pa.date32(),
        "amount": pa.decimal128(18, 2),
    },
    "payments": {
        **dict.fromkeys(("source", "entity", "journey_id"), TEXT),
        "created_on": pa.date32(),
        **dict.fromkeys(("channel", "branch", "owner_id"), TEXT),
        "paid_hours": HOURS,
        "replaced_hours": HOURS,
        "amount": pa.decimal128(18, 2),
    },
    "scope_sources": {"source": TEXT},
    "support_channels": {"channel": TEXT},
    "sla_map": {"priority": TEXT, "minutes": HOURS},
    "support": {
        **dict.fromkeys(("source", "request_id"), TEXT),
        "created_at": pa.timestamp("us"),
        "created_on": pa.date32(),
        **dict.fromkeys(("channel", "closed_by"), TEXT),
        "csat": pa.decimal128(18, 2),
        **dict.fromkeys(("csat_max", "nps"), pa.int64()),
        **dict.fromkeys(("crm", "lead_id", "deal_id", "contact_id", "customer_hash"), TEXT),
        **dict.fromkeys(("reply_minutes", "close_minutes", "age_minutes", "sla_minutes"), HOURS),
    },
    "dialogues": {
        "created_on": pa.date32(),
        **dict.fromkeys(("channel", "source", "request_id"), TEXT),
        **dict.fromkeys(("had_bought", "n_bought"), pa.int64()),
        "revenue": pa.decimal128(18, 2),
    },
    "moves": {
        **dict.fromkeys(("source", "journey_entity", "journey_id"), TEXT),
        "created_on": pa.date32(),
        **dict.fromkeys(("entity", "entity_id", "change_id", "stage_id", "milestone"), TEXT),
        "moved_at": pa.timestamp("us"),
        "moved_on": pa.date32(),
        "hours": HOURS,
        "previous_stage_id": TEXT,
    },
    "action_stages": {"stage_id": TEXT},
    "action_outcomes": {"milestone": TEXT},
    "step_map": dict.fromkeys(("source", "entity", "pipeline_id", "stage_id", "step"), TEXT),
}
# An empty cell of these is an empty text; elsewhere nothing is known.
MAPS = ("stage_map", "channel_map", "support_channels", "sla_map", "step_map")
POOLS = [name for folder in ("support", "efficiency", "funnel") for name in queries.names(folder)]
OF_POOLS = ("support_requests", "support_seen", "dialogues", "moves")


@pytest.mark.parametrize("case", CASES)
def test_query_returns_what_was_worked_out_by_hand(case, warehouse, warehouse_url):
    folder = HERE / case
    query = queries.load(case.rpartition("/")[0])
    tables = {path.stem: read_csv(path) for path in folder.glob("*.csv") if path.stem != "expect"}
    store({name: rows for name, rows in tables.items() if name not in TEMPORARY}, warehouse_url)
    with warehouse.reading() as reading:
        text = query.sql(reading.dialect)
        for name in (name for name in TEMPORARY if name in text):
            load(reading, name, tables.get(name, []))
        found = reading.columns(query, tomllib.loads((folder / "parameters.toml").read_text(encoding="utf-8")))
    header, *rows = list(csv.reader((folder / "expect.csv").read_text(encoding="utf-8").splitlines()))
    columns = [found.column(name).to_pylist() for name in header]
    assert sorted(tuple(map(plain, row)) for row in zip(*columns, strict=True)) == sorted(tuple(map(plain, row)) for row in rows)


@pytest.mark.parametrize("name", [*queries.names("metrics"), *queries.names("checks"), *POOLS, *OF_POOLS, "journeys"])
def test_every_query_that_makes_figures_has_a_case_and_says_what_it_is(name):
    assert any(case.startswith(f"{name}/") for case in CASES), f"add tests/sql/{name}/<case>/"
    query = queries.load(name)
    assert query.title
    assert query.definition
    assert query.unit
    if name.startswith("metrics/"):
        assert query.better in ("higher", "lower")


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def store(tables: dict[str, list[dict[str, str]]], url: str) -> None:
    """Rows into the warehouse's own tables."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for name, rows in tables.items():
            table = METADATA.tables[name]
            values = [{column.name: typed(column, row) for column in table.columns} for row in rows]
            connection.execute(table.insert(), values)


def typed(column: sa.Column[Any], row: dict[str, str]) -> object:
    """A cell as the column's type; what the case leaves out gets a default, a column that must be filled something."""
    value = row.get(column.name, DEFAULTS.get(column.name, ""))
    kind = column.type.python_type
    if value == "":
        return None if column.nullable else FILLED[kind]
    return parsed(value, kind)


def parsed(value: str, kind: type) -> object:
    if kind is bool:
        return value == "true"
    if kind is Decimal:
        return Decimal(value)
    if kind in (datetime.datetime, datetime.date):
        return kind.fromisoformat(value)
    return kind(value)


def load(reading: Reading, name: str, rows: list[dict[str, str]]) -> None:
    """Rows as one of the temporary tables that Python makes."""
    kinds = {
        "bool": bool,
        "decimal128(18, 2)": Decimal,
        "timestamp[us]": datetime.datetime,
        "date32[day]": datetime.date,
        "int64": int,
        "double": float,
    }
    columns = {}
    for column, kind in TEMPORARY[name].items():
        empty = "" if name in MAPS else None
        values = [row.get(column, DEFAULTS.get(column, "")) for row in rows]
        columns[column] = pa.array([parsed(value, kinds.get(str(kind), str)) if value else empty for value in values], type=kind)
    reading.load(name, pa.table(columns))


def plain(value: object) -> str:
    """A cell as text that does not depend on how a number or a day is written."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return format(float(str(value)), ".12g")
    except ValueError:
        return str(value)
