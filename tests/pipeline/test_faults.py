"""A warehouse that cannot be used says what, where and what to do, and loses nothing."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from connectors.contract import Landing
from pipeline.errors import Exit, WarehouseError, exit_code
from pipeline.warehouse import Warehouse, utc_now
from tests.conftest import PostgresTestServer
from tests.pipeline.records_made import LEADS, lead

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    return path


def run(script: str, *arguments: str) -> str:
    """What a script prints in a process of its own."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("no/such/folder/w.duckdb", None, "folder does not exist"),
        ("w.duckdb", b"", "damaged"),
        ("w.duckdb", b"ID;Title\n1;Anna\n" * 1000, "damaged"),
    ],
)
def test_a_place_that_cannot_be_a_warehouse(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WarehouseError, match=words) as caught:
        Warehouse(f"duckdb:///{path}").migrate()
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert exit_code(caught.value) is Exit.WAREHOUSE
    if content is not None:
        assert path.read_bytes() == content


def test_a_folder_is_no_warehouse(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="damaged or no DuckDB file"):
        Warehouse(f"duckdb:///{tmp_path}").migrate()


def test_a_damaged_file_is_found_when_it_is_read(file: Path) -> None:
    warehouse = Warehouse(f"duckdb:///{file}")
    warehouse.append([lead(n, utm_term=os.urandom(99).hex()) for n in range(3000)], "crm", "r")
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[12288:middle] = os.urandom(middle - 12288)  # the three headers stay
    file.write_bytes(content)
    with pytest.raises(WarehouseError, match="damaged"), warehouse.reading() as reading:
        reading.rows("select max(utm_term), max(content_hash), max(customer_hash) from leads")


def test_reading_before_there_is_anything(tmp_path: Path) -> None:
    warehouse = Warehouse(f"duckdb:///{tmp_path / 'w.duckdb'}")
    with pytest.raises(WarehouseError, match="no warehouse") as caught:
        warehouse.n_versions("leads")
    assert "payback sync" in caught.value.hint
    assert list(tmp_path.iterdir()) == []  # asking makes no file


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def test_without_rights_to_write_reading_still_works(migrated_file: Path, open_folder: Path) -> None:
    """A file and folder that only root may write: everything but writing works, without a trace beside the file."""
    path = open_folder / "w.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    Warehouse(f"duckdb:///{path}").append([lead(1)], "crm", "r")
    path.chmod(0o444)
    open_folder.chmod(0o555)
    script = """
import os, sys
from pipeline.errors import WarehouseError
from pipeline.warehouse import Warehouse
import pandas, pipeline.on_duckdb
from tests.pipeline.records_made import lead
if os.geteuid() == 0:
    os.setuid(65534)
warehouse = Warehouse("duckdb:///" + sys.argv[1])
warehouse.migrate()  # nothing to do, so nothing to write
warehouse.check_schema()
with warehouse.reading() as reading:
    reading.load("wanted", pandas.DataFrame({"lead_id": ["1"]}))
    reading.create("found", "select l.lead_id from leads as l join wanted on wanted.lead_id = l.lead_id")
    print([tuple(row) for row in reading.rows("select * from found")])
try:
    warehouse.append([lead(2)], "crm", "r")
except WarehouseError as error:
    print(error)
"""
    printed = run(script, str(path)).splitlines()
    assert printed[0] == "[('1',)]"
    assert "may not be written" in printed[1]
    assert [entry.name for entry in open_folder.iterdir()] == ["w.duckdb"]


def test_a_full_disk_loses_nothing(file: Path) -> None:
    script = """
import resource, sys
from connectors.contract import Landing
from pipeline.errors import WarehouseError
from pipeline.warehouse import Warehouse
from tests.pipeline.records_made import LEADS, lead
import os
sink = Warehouse("duckdb:///" + sys.argv[1]).sink("crm", "r")
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
n = 0
try:
    while n < 100_000:
        page = [lead(k, extra=os.urandom(300).hex()) for k in range(n + 1, n + 301)]
        sink.commit([Landing(LEADS, page, state={"after": n + 300})])
        n += 300
except WarehouseError as error:
    print(n)
    print(error, "|", error.hint)
    print(sink.keys(LEADS, 0, 10**9)[-1])  # the process goes on and can read
"""
    committed, words, last = run(script, str(file)).splitlines()
    assert "the disk is full" in words
    assert "nothing already stored is lost" in words
    n = int(committed)
    assert n >= 300
    assert int(last) == n
    warehouse = Warehouse(f"duckdb:///{file}")  # the disk has room again
    sink = warehouse.sink("crm", "r2")
    assert sink.state(LEADS) == {"after": n}
    assert sink.keys(LEADS, 0, 10**9) == list(range(1, n + 1))
    assert sink.commit([Landing(LEADS, [lead(n + 1)], state={"after": n + 1})]) == [1]


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_postgresql_that_is_not_there() -> None:
    with pytest.raises(WarehouseError, match="does not answer") as caught:
        Warehouse("postgresql://payback:hunter2@127.0.0.1:1/payback?sslpassword=hunter2").migrate()
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert "127.0.0.1:1" in str(caught.value)


@pytest.fixture
def guarded(postgresql_server: PostgresTestServer) -> str:
    """URL of a database that asks user `guest` for a password."""
    hba = postgresql_server.folder / "pg_hba.conf"
    before = hba.read_text()
    url = postgresql_server.new_database()
    with psycopg.connect(postgresql_server.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
        hba.write_text("local all guest scram-sha-256\n" + before)
        connection.execute("SELECT pg_reload_conf()")
    return make_url(url).set(username="guest", password="hunter2").render_as_string(hide_password=False)


def test_postgresql_with_the_wrong_password(guarded: str) -> None:
    with pytest.raises(WarehouseError, match="refuses user guest") as caught:
        Warehouse(guarded).migrate()
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {Warehouse(guarded).place}"
    assert "password" in caught.value.hint


def test_postgresql_without_rights(guarded: str) -> None:
    with pytest.raises(WarehouseError, match="too few rights"):
        Warehouse(guarded.replace("hunter2", "right")).migrate()


def test_postgresql_without_the_database(postgresql_server: PostgresTestServer) -> None:
    url = make_url(postgresql_server.url).set(database="missing").render_as_string(hide_password=False)
    with pytest.raises(WarehouseError, match="does not exist") as caught:
        Warehouse(url).migrate()
    assert "createdb" in caught.value.hint


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_standby_is_read_only(warehouse_url: str, postgresql_server: PostgresTestServer) -> None:
    with psycopg.connect(postgresql_server.url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {make_url(warehouse_url).database} SET default_transaction_read_only = on")
    with pytest.raises(WarehouseError, match="read-only"):
        Warehouse(warehouse_url).append([lead(1)], "crm", "r")


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_two_writers_of_postgresql_take_turns(warehouse_url: str) -> None:
    one = Warehouse(warehouse_url)
    impatient = Warehouse(warehouse_url, lock_timeout=0.05)
    with one._database.writing():
        assert impatient.n_versions("leads") == 0  # readers need no turn
        with pytest.raises(WarehouseError, match="locked by another writer"):
            impatient.append([lead(1)], "crm", "r")
    assert impatient.append([lead(1)], "crm", "r") == 1


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_in_a_transaction_loses_nothing(
    warehouse_url: str, postgresql_server: PostgresTestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(warehouse_url)
    sink = warehouse.sink("crm", "r")
    sink.commit([Landing(LEADS, [lead(1)], state={"after": 1})])

    def stop_all() -> None:
        with psycopg.connect(postgresql_server.url, autocommit=True) as connection:
            database = make_url(warehouse_url).database
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])

    monkeypatch.setattr(sink, "_clock", lambda: stop_all() or utc_now())  # asked for in the middle of a transaction
    with pytest.raises(WarehouseError, match="does not answer"):
        sink.commit([Landing(LEADS, [lead(2)], state={"after": 2})])
    monkeypatch.undo()
    assert warehouse.n_versions("leads") == 1
    assert sink.commit([Landing(LEADS, [lead(2)], state={"after": 2})]) == [1]


@pytest.mark.parametrize(
    ("url", "driver", "module", "advice"),
    [
        ("postgresql://u:hunter2@host/db", "psycopg", "pipeline.on_postgresql", "pip install psycopg"),
        ("duckdb:///w.duckdb", "duckdb_engine", "pipeline.on_duckdb", "pip install duckdb"),
    ],
)
def test_a_driver_that_is_not_installed(url: str, driver: str, module: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(WarehouseError, match=f"not installed \\({driver}\\)") as caught:
        Warehouse(url)
    assert advice in caught.value.hint


def test_a_fault_of_a_query_is_not_taken_for_one_of_the_warehouse(warehouse: Warehouse) -> None:
    """The message quotes the value, and a value may say anything."""
    with pytest.raises(DBAPIError), warehouse.reading() as reading:
        reading.rows("select cast('No space left, Corrupt, Permission denied' as integer)")
    assert warehouse.n_versions("leads") == 0
