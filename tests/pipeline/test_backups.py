"""Backups: whole, consistent while others write, restored on either database, and refused when anything is wrong with them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import text

from connectors.contract import Landing, Reject
from connectors.records import Contact
from pipeline.backups import back_up, restore, verified
from pipeline.errors import ConfigError, WarehouseError
from pipeline.state import State
from pipeline.tables import METADATA
from pipeline.warehouse import Warehouse, open_database
from tests.pipeline.loader import PAGE
from tests.pipeline.records_made import LEAD_MOVES, LEADS, lead, move
from tests.variants import first

ROOT = Path(__file__).parents[2]


def rows_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, sorted."""
    with open_database(url).reading() as connection:
        found = {}
        for name, table in METADATA.tables.items():
            columns = ", ".join(column.name for column in table.columns)
            rows = [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {name}"))]
            found[name] = sorted(rows, key=repr)
        return found


def fill(url: str) -> None:
    """Versions, a deletion, quarantine, cursors, a run, a snapshot, and values that are hard to carry."""
    warehouse = Warehouse(url)
    warehouse.migrate()
    sink = warehouse.sink("crm", "r1")
    odd = lead(1, utm_campaign='a;"b"\n,\\N\t', utm_term="", branch=None, amount=Decimal("-0.01"), extra='{"Ё": "\U0001f600"}')
    sink.commit([Landing(LEADS, [odd, lead(2, amount=None)], [Reject("9", "unreadable", "AMOUNT")], state={"page": 1})])
    won = Landing(LEADS, [lead(2, stage_id="WON")], deleted=[1], state={"page": 2})
    sink.commit([won, Landing(LEAD_MOVES, [move("lead", 5, 2)])])
    warehouse.append([Contact("31", None, datetime(2026, 1, 1, 0, 0, 0, 123), None)], "crm", "r1")
    warehouse.record_run("r1", "sync", datetime(2026, 1, 1), None, "ok", {"a": "ё"})
    warehouse.save_snapshot("bot", "2026-01-01", '{"x": "ё"}'.encode())


@pytest.fixture(params=["duckdb", "postgresql"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a backup is restored: a place without tables, on each database."""
    if request.param == "duckdb":
        yield f"duckdb:///{tmp_path / 'target.duckdb'}"
        return
    server = request.getfixturevalue("postgresql_server")
    url = server.new_database()
    yield url
    server.drop(url)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def test_a_backup_of_either_database_restores_into_either(
    warehouse_url: str, target_url: str, state: State, tmp_path: Path
) -> None:
    fill(warehouse_url)
    made = back_up(warehouse_url, state, tmp_path / "backups" / "b.duckdb")
    assert made.rows["leads"] == 4
    assert verified(made.file).rows == made.rows
    assert made.file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in made.file.parent.iterdir()] == ["b.duckdb"]
    done = restore(made.file, target_url, state, replace=False)
    assert (done.n_erased, done.is_state_restored) == (0, False)
    assert rows_of(target_url) == rows_of(warehouse_url)
    assert Warehouse(target_url).append([lead(2, stage_id="WON"), lead(3)], "crm", "r2") == 1  # it goes on


def test_a_warehouse_with_rows_is_replaced_only_when_asked(warehouse_url: str, state: State, tmp_path: Path) -> None:
    fill(warehouse_url)
    before = rows_of(warehouse_url)
    file = back_up(warehouse_url, state, tmp_path / "b.duckdb").file
    Warehouse(warehouse_url).append([lead(n) for n in range(10, 20)], "crm", "r2")
    grown = rows_of(warehouse_url)
    with pytest.raises(ConfigError, match="has rows") as caught:
        restore(file, warehouse_url, state, replace=False)
    assert "--replace" in caught.value.hint
    assert rows_of(warehouse_url) == grown
    restore(file, warehouse_url, state, replace=True)
    assert rows_of(warehouse_url) == before
    with pytest.raises(ConfigError, match="exists already"):
        back_up(warehouse_url, state, file)


@pytest.mark.parametrize(
    "harm",
    first(3, [
        "DELETE FROM leads WHERE lead_id = '1'",
        "UPDATE leads SET amount = 1 WHERE lead_id = '2'",
        "UPDATE leads SET utm_term = NULL WHERE utm_term = ''",
        "DROP TABLE backup_tables",
        "DROP TABLE runs",
        "DELETE FROM backup_tables WHERE table_name = 'leads'",
        "DELETE FROM backup_facts WHERE name = 'schema'",
        "ALTER TABLE backup_facts DROP COLUMN value",
    ]),
)
def test_a_backup_that_is_not_what_was_written_is_refused(harm: str, tmp_path: Path, state: State) -> None:
    url = f"duckdb:///{tmp_path / 'w.duckdb'}"
    fill(url)
    before = rows_of(url)
    file = back_up(url, state, tmp_path / "b.duckdb").file
    with duckdb.connect(str(file)) as connection:
        connection.execute(harm)
    with pytest.raises(WarehouseError, match="damaged, or no backup"):
        restore(file, url, state, replace=True)
    assert rows_of(url) == before


def test_a_truncated_backup_and_other_files_are_refused(tmp_path: Path, state: State) -> None:
    url = f"duckdb:///{tmp_path / 'w.duckdb'}"
    fill(url)
    before = rows_of(url)
    file = back_up(url, state, tmp_path / "b.duckdb").file
    os.truncate(file, file.stat().st_size // 2)
    text_file = tmp_path / "notes.txt"
    text_file.write_text("not a backup" * 1000)
    for bad in (file, text_file, tmp_path / "w.duckdb"):
        with pytest.raises(WarehouseError, match="damaged, or no backup"):
            restore(bad, url, state, replace=True)
    with pytest.raises(ConfigError, match="there is no file"):
        restore(tmp_path / "none.duckdb", url, state, replace=True)
    assert rows_of(url) == before


def test_a_byte_that_changed_anywhere_in_a_large_backup_is_found(tmp_path: Path, state: State) -> None:
    """Some of it is read by DuckDB before the first row comes out, the rest while Arrow takes the rows."""
    url = f"duckdb:///{tmp_path / 'w.duckdb'}"
    fill(url)
    with open_database(url).writing() as connection:
        many = "SELECT * REPLACE (n::TEXT AS lead_id, md5(n::TEXT) AS utm_campaign) FROM leads, range(20000) AS r(n)"
        connection.execute(text(f"INSERT INTO leads BY NAME SELECT * EXCLUDE (n) FROM ({many} WHERE lead_id = '2' LIMIT 20000)"))
    file = back_up(url, state, tmp_path / "b.duckdb").file
    refused = []
    for at in range(2**18, file.stat().st_size - 2**18, 2**18):  # in every block of DuckDB
        with file.open("rb+") as changed:
            byte = os.pread(changed.fileno(), 1, at + 20_000)
            os.pwrite(changed.fileno(), bytes([byte[0] ^ 4]), at + 20_000)
            try:
                assert verified(file).rows["leads"] > 20_000  # a block that is not used
            except WarehouseError as error:
                refused.append(str(error))
            os.pwrite(changed.fileno(), byte, at + 20_000)
    assert len(refused) >= 4
    assert set(refused) == {f"{file} is damaged, or no backup of Payback"}


def test_a_damaged_warehouse_is_set_aside_for_the_backup(tmp_path: Path, state: State) -> None:
    path = tmp_path / "w.duckdb"
    url = f"duckdb:///{path}"
    fill(url)
    before = rows_of(url)
    file = back_up(url, state, tmp_path / "b.duckdb").file
    path.write_bytes(b"\0" * 20_000)
    restore(file, url, state, replace=True)
    assert rows_of(url) == before
    assert (tmp_path / "w.duckdb.damaged").read_bytes() == b"\0" * 20_000


def test_what_a_killed_backup_left_is_cleared_away_a_day_later(tmp_path: Path, state: State) -> None:
    url = f"duckdb:///{tmp_path / 'w.duckdb'}"
    fill(url)
    left, under_way = tmp_path / ".payback-old", tmp_path / ".payback-new"
    for folder in (left, under_way):
        folder.mkdir()
        (folder / "backup.duckdb").write_bytes(b"half")
    os.utime(left, (time.time() - 25 * 3600,) * 2)
    back_up(url, state, tmp_path / "b.duckdb")
    assert not left.exists()
    assert under_way.exists()


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_the_state_file_comes_along_and_a_newer_one_stays(warehouse_url: str, state: State, tmp_path: Path) -> None:
    fill(warehouse_url)
    with state.writing() as connection:
        connection.execute("insert into inbox_sources (source, n_events) values ('crm', 7)")
    file = back_up(warehouse_url, state, tmp_path / "b.duckdb").file
    elsewhere = State(tmp_path / "new")
    elsewhere.path.parent.mkdir()
    assert restore(file, warehouse_url, elsewhere, replace=True).is_state_restored
    with elsewhere.writing() as connection:
        assert connection.execute("select n_events from inbox_sources").fetchone()[0] == 7
        connection.execute("update inbox_sources set n_events = 8")
    assert not restore(file, warehouse_url, elsewhere, replace=True).is_state_restored
    with elsewhere.writing() as connection:
        assert connection.execute("select n_events from inbox_sources").fetchone()[0] == 8


@contextmanager
def loading(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that stores page after page until it is stopped."""
    command = [sys.executable, str(Path(__file__).with_name("loader.py")), url]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        print(1_000_000, file=process.stdin, flush=True)
        child = int(process.stdout.readline())
        try:
            for _ in range(3):
                assert process.stdout.readline() == "page\n"
            yield process
        finally:
            os.kill(child, 9)
            process.communicate()


def test_a_backup_taken_while_another_process_writes_is_whole(warehouse_url: str, state: State, tmp_path: Path) -> None:
    """It ends with a commit: the rows are those of the pages its cursor tells of, and none of the next."""
    with loading(warehouse_url):
        file = back_up(warehouse_url, state, tmp_path / "b.duckdb").file
    in_backup, in_warehouse = (Warehouse(url).sink("crm", "r") for url in (f"duckdb:///{file}", warehouse_url))
    stored, now = in_backup.state(LEADS), in_warehouse.state(LEADS)
    assert stored is not None
    assert now is not None
    page = stored["page"]
    assert 3 <= page <= now["page"]
    assert in_backup.counts(LEADS, [(0, page * PAGE), (page * PAGE, 10**9)]) == [page * PAGE - (page - 1), 0]
    assert in_backup.counts(LEAD_MOVES, [(0, page * PAGE), (page * PAGE, 10**9)]) == [page * PAGE, 0]


LIMITED = """
import resource, sys
from pathlib import Path
import pipeline.on_duckdb, pipeline.on_postgresql, pandas
from pipeline.backups import back_up, restore
from pipeline.errors import WarehouseError
from pipeline.state import State
url, new, good = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
for attempt in (lambda: back_up(url, State(new.parent), new), lambda: restore(good, url, State(new.parent), replace=True)):
    try:
        attempt()
    except WarehouseError as error:
        print(error, "|", error.hint)
"""


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_full_disk_leaves_no_half_file_and_the_warehouse_as_it_was(warehouse_url: str, state: State, tmp_path: Path) -> None:
    Warehouse(warehouse_url).append([lead(n, extra=os.urandom(400).hex()) for n in range(3000)], "crm", "r")
    good, new = back_up(warehouse_url, state, tmp_path / "good.duckdb").file, tmp_path / "new.duckdb"
    before, names = rows_of(warehouse_url), sorted(path.name for path in tmp_path.iterdir())
    command = [sys.executable, "-c", LIMITED, warehouse_url, str(new), str(good)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    backed_up, restored = done.stdout.splitlines()
    assert f"no room for {new}" in backed_up
    assert f"no room for {good}" in restored
    assert "no half file is left" in backed_up
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert rows_of(warehouse_url) == before


def test_a_backup_of_nothing_says_so(new_warehouse_url: Callable[[], str], state: State, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"no warehouse|is empty"):
        back_up(new_warehouse_url(), state, tmp_path / "b.duckdb")
    assert list(tmp_path.glob("*b.duckdb*")) == []
