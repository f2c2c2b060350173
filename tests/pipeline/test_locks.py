"""Who may use a DuckDB file at the same time, and what those who must wait are told."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import WarehouseError
from pipeline.warehouse import Warehouse
from tests.pipeline.records_made import lead

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pipeline.on_duckdb import OnDuckDB
from sqlalchemy import make_url
database = OnDuckDB(make_url(sys.argv[1]), 30.0)
with database.writing() if sys.argv[2] == "write" else database.reading():
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held_by_another_process(url: str, mode: str) -> Iterator[subprocess.Popen[str]]:
    """Another process has the warehouse open for `mode` until its input ends."""
    command = [sys.executable, "-c", HOLD, url, mode]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.communicate("\n")


@pytest.fixture
def url(migrated_file: Path, tmp_path: Path) -> str:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    return f"duckdb:///{path}"


def test_a_writer_elsewhere_locks_everyone_out_and_is_named(url: str) -> None:
    impatient = Warehouse(url, lock_timeout=0.05)
    with held_by_another_process(url, "write") as process:
        for use in (lambda: impatient.append([lead(1)], "crm", "r"), lambda: impatient.n_versions("leads")):
            with pytest.raises(WarehouseError, match=f"locked by process {process.pid}") as caught:
                use()
            assert "wait" in caught.value.hint
    assert impatient.append([lead(1)], "crm", "r") == 1


def test_readers_in_several_processes_share_the_file(url: str) -> None:
    Warehouse(url).append([lead(1)], "crm", "r")
    impatient = Warehouse(url, lock_timeout=0.05)
    with held_by_another_process(url, "read"):
        assert impatient.n_versions("leads") == 1
        with pytest.raises(WarehouseError, match="locked by process"):
            impatient.append([lead(2)], "crm", "r")


def test_a_writer_waits_for_a_reader_of_its_own_process(url: str) -> None:
    warehouse = Warehouse(url)
    warehouse.append([lead(1)], "crm", "r")
    is_reading, may_end = threading.Event(), threading.Event()

    def read() -> None:
        with Warehouse(url).reading() as reading:
            reading.rows("select 1")
            is_reading.set()
            may_end.wait(10)

    reader = threading.Thread(target=read)
    reader.start()
    assert is_reading.wait(10)
    with pytest.raises(WarehouseError, match="another thread of this process"):
        Warehouse(url, lock_timeout=0.05).append([lead(2)], "crm", "r")
    may_end.set()
    assert warehouse.append([lead(2)], "crm", "r") == 1
    reader.join()


def test_threads_that_write_take_turns(url: str) -> None:
    warehouse = Warehouse(url)
    errors: list[BaseException] = []

    def write(first: int) -> None:
        try:
            for number in range(first, first + 3):
                warehouse.append([lead(number), lead(1000)], "crm", f"r{first}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (1, 11, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert warehouse.n_versions("leads") == 10
    with warehouse.reading() as reading:
        times = [row.seen_at for row in reading.rows("select seen_at from commits order by seen_at")]
    assert len(set(times)) == 9


def test_writing_while_reading_in_one_thread_says_so_at_once(url: str) -> None:
    warehouse = Warehouse(url)
    with warehouse.reading(), pytest.raises(RuntimeError, match="end it before writing"):
        warehouse.append([lead(1)], "crm", "r")


def test_the_file_is_free_after_each_use(url: str) -> None:
    """Also after a failure: nobody has to restart a long-running process."""
    warehouse = Warehouse(url)
    with pytest.raises(KeyError), warehouse.reading():
        raise KeyError
    with pytest.raises(Exception, match=re.escape("no_such_table")), warehouse.reading() as reading:
        reading.rows("select * from no_such_table")
    warehouse.append([lead(1)], "crm", "r")
    with held_by_another_process(url, "write"):
        pass
