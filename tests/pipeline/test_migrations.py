"""The way of the tables from version to version, on every engine."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import migrations
from pipeline.errors import WarehouseError
from pipeline.warehouse import Warehouse
from tests.pipeline.records_made import lead

ROOT = Path(__file__).parents[2]
LAST = migrations.known()[-1]
NEXT = f"{int(LAST) + 1:04}"
FOLLOWING = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{LAST}"


def upgrade() -> None:
    op.add_column("leads", sa.Column("mood", sa.Text))
    op.create_table("visits", sa.Column("visit_id", sa.Text, nullable=False))
"""
BROKEN = FOLLOWING.replace('sa.Column("mood", sa.Text)', 'sa.Column("stage_id", sa.Text)')  # that column is there already


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """The folder of the real steps, to invent one more in."""
    folder = tmp_path / "migrations" / "versions"
    shutil.copytree(migrations.VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_warehouse_is_brought_to_the_next_version(new_warehouse_url: Callable[[], str], versions: Path) -> None:
    warehouse = Warehouse(new_warehouse_url())
    warehouse.migrate(versions)
    warehouse.append([lead(1)], "crm", "r")
    (versions / f"{NEXT}_mood.py").write_text(FOLLOWING)
    warehouse.migrate(versions)
    warehouse.migrate(versions)
    assert warehouse.append([lead(1), lead(2)], "crm", "r") == 1  # what was known is known
    with warehouse.reading() as reading:
        assert [tuple(row) for row in reading.rows("select lead_id, mood from leads order by lead_id")] == [
            ("1", None),
            ("2", None),
        ]
        assert reading.rows("select visit_id from visits") == []
        assert reading.rows("select version_num from alembic_version")[0].version_num == NEXT


def test_a_step_that_fails_changes_nothing(new_warehouse_url: Callable[[], str], versions: Path) -> None:
    warehouse = Warehouse(new_warehouse_url())
    warehouse.migrate(versions)
    (versions / f"{NEXT}_mood.py").write_text(
        BROKEN.replace("op.add_column", "op.create_table('half', sa.Column('a', sa.Text))\n    op.add_column")
    )
    with pytest.raises(Exception, match="stage_id"):
        warehouse.migrate(versions)
    with warehouse.reading() as reading:
        assert migrations.current(reading._connection) == LAST
        assert reading.rows("select table_name from information_schema.tables where table_name = 'half'") == []


def test_a_warehouse_newer_than_the_program_is_left_alone(new_warehouse_url: Callable[[], str], versions: Path) -> None:
    warehouse = Warehouse(new_warehouse_url())
    (versions / f"{NEXT}_mood.py").write_text(FOLLOWING)
    (versions / "9999_future.py").write_text(f'revision = "9999"\ndown_revision = "{NEXT}"\n\n\ndef upgrade() -> None: ...\n')
    warehouse.migrate(versions)
    for use in (warehouse.migrate, warehouse.check_schema):
        with pytest.raises(WarehouseError, match="version 9999, newer than this program") as caught:
            use()
        assert "update payback" in caught.value.hint


def test_a_warehouse_without_tables_is_told_from_an_old_one(
    new_warehouse_url: Callable[[], str], versions: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(new_warehouse_url())
    if engine == "duckdb":
        with warehouse._database.writing():
            pass
    with pytest.raises(WarehouseError, match="is empty"):
        warehouse.check_schema()
    warehouse.migrate(versions)
    (versions / f"{NEXT}_mood.py").write_text(FOLLOWING)
    known = migrations.known(versions)
    monkeypatch.setattr(migrations, "known", lambda *_: known)
    with pytest.raises(WarehouseError, match=f"are of version {LAST}, this program needs {NEXT}") as caught:
        warehouse.check_schema()
    assert "payback sync" in caught.value.hint


def test_the_steps_are_numbered_without_gaps_and_follow_each_other() -> None:
    numbers = migrations.known()
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    before = "None"
    for path in sorted(migrations.VERSIONS.glob("[0-9]*.py")):
        source = path.read_text(encoding="utf-8")
        assert re.search(r'^revision = "(\d+)"', source, re.M)[1] == path.name[:4]  # type: ignore[index]  # None fails the test as well
        assert re.search(r"^down_revision = (.+)", source, re.M)[1] == before  # type: ignore[index]  # as above
        before = f'"{path.name[:4]}"'


def test_alembic_is_not_loaded_when_there_is_nothing_to_do(migrated_file: Path) -> None:
    script = (
        "import sys; from pipeline.warehouse import Warehouse; w = Warehouse(sys.argv[1]); w.migrate(); w.check_schema(); "
        "print(sorted(name for name in ('alembic', 'pandas') if name in sys.modules))"
    )
    command = [sys.executable, "-c", script, f"duckdb:///{migrated_file}"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"
