"""A warehouse of every released version of the tables is brought up to date with its rows in it, and measures as it did.

`released/NNNN/rows.sql` is what a program of that version had stored after two nights, with the measurement it had made of the
first one; `released/config` is what it was configured with. To release tables: dump such a warehouse and add the folder.
"""

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline import migrations
from pipeline.cli import main
from pipeline.warehouse import Warehouse, open_database
from tests.pipeline.records_made import LEADS
from tests.pipeline.support_made import request

RELEASED = Path(__file__).with_name("released")
VERSIONS = sorted(path.name for path in RELEASED.glob("[0-9]*"))
TABLES = ("leads", "deals", "stage_changes", "contacts", "owners", "quarantine", "cursors", "commits", "runs", "snapshots")


def statements(version: str) -> list[str]:
    """The INSERTs of a dump."""
    dump = (RELEASED / version / "rows.sql").read_text(encoding="utf-8")
    return [part for part in re.split(r";\n", dump) if "insert into" in part]


def store(url: str, version: str) -> None:
    """The dumped rows, into tables that are there."""
    with open_database(url).writing() as connection:
        for statement in statements(version):
            connection.exec_driver_sql(statement.replace("%", "%%") if url.startswith("postgresql") else statement)


@pytest.fixture(params=VERSIONS)
def upgraded(request: pytest.FixtureRequest, new_warehouse_url: Callable[[], str], tmp_path: Path) -> tuple[str, str]:
    """URL of a warehouse that was made by that version, filled, and then brought up to date; and the version."""
    version: str = request.param
    folder = tmp_path / "old" / "versions"
    folder.mkdir(parents=True)
    for step in migrations.VERSIONS.glob("[0-9]*.py"):
        if step.name[:4] <= version:
            shutil.copy(step, folder)
    url = new_warehouse_url()
    Warehouse(url).migrate(folder)
    store(url, version)
    Warehouse(url).migrate()
    Warehouse(url).check_schema()
    return url, version


def test_every_row_is_still_there_and_syncs_go_on(upgraded: tuple[str, str]) -> None:
    url, version = upgraded
    dumped = {re.search(r"insert into (\w+)", one)[1]: one.count("\n(") for one in statements(version)}  # type: ignore[index]  # None fails too
    assert {table: Warehouse(url).n_versions(table) for table in TABLES} == {table: dumped[table] for table in TABLES}
    new = request(1, datetime(2026, 1, 5), reply=4)  # tables that came later are there too
    assert Warehouse(url).append([new], "desk", "next") == 1
    sink = Warehouse(url).sink("portal", "next")
    state = sink.state(LEADS)
    assert state is not None
    assert state["after"] >= len(sink.keys(LEADS, 0, 10**9)) > 100


def test_it_measures_what_the_old_version_measured(
    upgraded: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, _ = upgraded
    shutil.copytree(RELEASED / "config", tmp_path / "config")
    environ = {
        "PAYBACK_WAREHOUSE": url,
        "PAYBACK_HASH_KEY": "k" * 16,
        "BITRIX24_WEBHOOK": "https://salon.bitrix24.ru/rest/1/code/",
    }
    with open_database(url).reading() as connection:
        old = json.loads(connection.execute(text("SELECT document FROM snapshots")).scalar_one())
        first_night = connection.execute(text("SELECT MIN(run_id) FROM commits")).scalar_one()
        known = text("SELECT MAX(seen_at) FROM commits WHERE run_id = :run_id")
        seen_until = connection.execute(known, {"run_id": first_night}).scalar_one()
    arguments = ["measure", "assistant", "--json", "--as-of", seen_until.isoformat()]
    code = main(["--config", str(tmp_path / "config"), *arguments], environ)
    assert code == 0, capsys.readouterr().err
    new = json.loads(capsys.readouterr().out)
    assert new["periods"] == old["periods"]
    assert new["provenance"]["n_leads"] == old["provenance"]["n_leads"] > 100
    sides = ("pre", "post", "per_week")
    assert {name: [found[side] for side in sides] for name, found in new["metrics"].items()} == {
        name: [found[side] for side in sides] for name, found in old["metrics"].items()
    }
    assert new["trust"] == old["trust"]
