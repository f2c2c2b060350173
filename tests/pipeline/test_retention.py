"""Pruning: dates after the cut measure as before, dates before it are refused, nothing goes without being asked for."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from connectors.secrets import Secret
from pipeline.errors import ConfigError, Exit
from pipeline.retention import prune
from pipeline.settings import Retention
from pipeline.tables import METADATA
from pipeline.warehouse import Warehouse, open_database, utc_now
from tests.pipeline.conftest import Office, build_salon
from tests.pipeline.records_made import lead, move
from tests.pipeline.salon_made import settings
from tests.pipeline.test_backups import rows_of

FIGURES = ("metrics", "weekly", "claims", "money", "verdict", "funnel", "by", "trust")


def age(url: str, days: int) -> None:
    """Everything known so far was heard that much earlier."""
    with open_database(url).writing() as connection:
        for name, table in METADATA.tables.items():
            if "seen_at" in table.columns:
                connection.execute(text(f"UPDATE {name} SET seen_at = seen_at - INTERVAL '{days} days'"))


@pytest.fixture
def aged(open_office: Callable[..., Office], warehouse_url: str) -> Office:
    """An office whose leads were heard 20 days ago, changed 10 days ago, and again today."""
    office = open_office(warehouse_url, build_salon(weeks=12, weeks_after=5, leads_per_week=8.0))
    for n in range(3):
        if n:
            age(warehouse_url, 10)
            for one in list(office.portal.store.table("lead").ids[:30]):
                office.portal.update_lead(int(one), UTM_SOURCE=f"vk{n}")
        assert office.payback("sync") == 0
    return office


def measured(office: Office, capsys: pytest.CaptureFixture[str], as_of: datetime) -> dict:  # type: ignore[type-arg]  # a JSON document
    capsys.readouterr()
    assert office.payback("measure", "assistant", "--json", "--as-of", as_of.isoformat()) == 0
    found: dict = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]  # as above
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_dates_after_the_cut_measure_as_before_and_earlier_ones_are_refused(
    aged: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    now = utc_now()
    times = [now - timedelta(days=days) for days in (15, 4, 0.001)]
    before = [measured(aged, capsys, at) for at in times]
    full = rows_of(aged.warehouse_url)
    assert aged.payback("prune") == Exit.CONFIG  # nothing is configured: everything is kept
    assert "versions are kept" in capsys.readouterr().err
    aged.edit("payback.toml", "[sources.portal]", "[retention]\nversions_days = 5\n\n[sources.portal]")
    assert aged.payback("prune") == 0  # says only what would go
    printed = capsys.readouterr().out
    assert "30 of leads" in printed
    assert "assistant: 1 stored snapshots" in printed
    assert rows_of(aged.warehouse_url) == full

    assert aged.payback("prune", "--yes", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["versions"]["leads"] == 30  # of three versions of 30 leads the first goes: the second was known at the cut
    assert [one["n"] for one in told["lapsed"]] == [1]
    left = rows_of(aged.warehouse_url)
    assert len(left["leads"]) == len(full["leads"]) - 30
    assert left["snapshots"] == full["snapshots"]
    after = [measured(aged, capsys, at) for at in times[1:]]
    capsys.readouterr()
    assert aged.payback("prune") == 0  # nothing is left to prune: nothing changes for any date
    assert capsys.readouterr().out == "would go: nothing\n"
    for old, new in zip(before[1:], after, strict=True):
        assert {name: new[name] for name in FIGURES} == {name: old[name] for name in FIGURES}
    assert aged.payback("measure", "assistant", "--as-of", times[0].isoformat()) == Exit.NOTHING
    assert "was pruned up to" in capsys.readouterr().err
    assert aged.payback("plan", "holdout", "assistant", "--as-of", times[0].isoformat()) == Exit.NOTHING
    assert "was pruned up to" in capsys.readouterr().err
    assert aged.payback("prune", "--yes") == 0
    assert "pruned: nothing" in capsys.readouterr().out
    assert aged.payback("sync") == 0  # and the next sync takes nothing pruned for news
    assert len(rows_of(aged.warehouse_url)["leads"]) == len(left["leads"])


def test_a_version_goes_when_a_newer_one_was_known_at_the_cut(warehouse_url: str, tmp_path: Path) -> None:
    """And the space it took is given back, on either database."""
    warehouse = Warehouse(warehouse_url)
    for stage in ("A", "B"):
        warehouse.append([lead(n, stage_id=stage, extra=f"{stage}{n}" * 60) for n in range(4000)], "crm", "r")
    warehouse.append([move("lead", 1, 1)], "crm", "r")
    age(warehouse_url, 30)
    warehouse.append([lead(n, stage_id="C") for n in range(10)], "crm", "r")
    size = space(warehouse_url)
    done = prune(replace(settings(), warehouse_url=Secret(warehouse_url), retention=Retention(7)))
    assert done.versions == {"leads": 4000}
    assert space(warehouse_url) < 0.8 * size
    with open_database(warehouse_url).reading() as connection:
        left = connection.execute(text("SELECT stage_id, COUNT(*) FROM leads GROUP BY stage_id ORDER BY stage_id")).fetchall()
    assert [tuple(row) for row in left] == [("B", 4000), ("C", 10)]


def space(url: str) -> int:
    """Bytes the leads take."""
    if url.startswith("duckdb"):
        return Path(url.removeprefix("duckdb:///")).stat().st_size
    with open_database(url).reading() as connection:
        return int(connection.execute(text("SELECT pg_total_relation_size('leads')")).scalar_one())


@pytest.mark.parametrize("days", [0, -3, 100_000])
def test_days_that_are_none(days: int) -> None:
    with pytest.raises(ConfigError, match="from 1 to 36500"):
        prune(replace(settings(), retention=Retention(days)))
