"""Processes of payback that die: an office with a portal, commands killed at random moments, a database server to kill."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from bench.kill import Office, content
from bench.portal import PAYBACK, ROOT
from connectors.demo import DemoPortal, PortalOptions, salon
from connectors.demo.exchange import Costs
from connectors.secrets import Secret
from pipeline.errors import WarehouseError
from pipeline.init import Answers, write_config
from pipeline.warehouse import Warehouse
from tests.embedded import patiently, server_in

LAUNCH = "assistant"


@contextmanager
def open_office(page_ms: float = 12.0, leads_per_week: float = 20.0) -> Iterator[Office]:
    """A configured office; its portal answers as slowly as a real one, so that kills land while rows arrive."""
    store = salon.build(seed=7, today=date(2026, 11, 16), weeks=24, weeks_after=8, leads_per_week=leads_per_week)
    assert store.truth is not None
    options = PortalOptions(has_limits=False, costs=Costs(page_ms=page_ms))
    with tempfile.TemporaryDirectory(prefix="payback-kills-") as name, DemoPortal(store, options) as portal:
        answers = Answers(
            name="Salon", profile="salon", timezone="Europe/Moscow", webhook=Secret(portal.webhook_url), branch="Филиал",
            started_on=store.truth.launch_on, margin=0.6, one_off=30_000.0, monthly=5_000.0,
        )  # fmt: skip
        write_config(Path(name) / "config", answers, {})
        yield Office(Path(name))


@contextmanager
def second_office(office: Office) -> Iterator[Office]:
    """Another installation with the same configuration: it knows nothing of the first one's runs."""
    with tempfile.TemporaryDirectory(prefix="payback-kills-") as name:
        folder = Path(name) / "office"
        shutil.copytree(office.folder, folder, ignore=shutil.ignore_patterns("*.duckdb*", "*.sqlite3*"))
        yield Office(folder)


@dataclass
class Ended:
    """How a command ended."""

    code: int
    said: str


def start(office: Office, url: str, *arguments: str) -> subprocess.Popen[str]:
    """A command whose words are read at its end with `end`."""
    command = [*PAYBACK, "--config", str(office.folder / "config"), *arguments]
    environ = {**os.environ, "PAYBACK_WAREHOUSE": url, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environ, cwd=office.folder, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen[str], timeout: float = 120.0) -> Ended:
    said, _ = process.communicate(timeout=timeout)
    return Ended(process.returncode, said)


def run(office: Office, url: str, *arguments: str) -> Ended:
    return end(start(office, url, *arguments))


def kill_when(process: subprocess.Popen[str], after_s: float) -> bool:
    """Kill the command after so many seconds; False when it had already ended well. Raises AssertionError when it failed."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, process.communicate()[0]
    process.communicate()
    return False


def n_commits(url: str) -> int:
    """Transactions that stored something so far; 0 when there is no warehouse yet."""
    try:
        return Warehouse(url).n_versions("commits")
    except WarehouseError:
        return 0
    except Exception as error:  # the tables are not there yet
        if "does not exist" not in str(error):
            raise
        return 0


def wait_for_commits(url: str, n: int, process: subprocess.Popen[str], timeout: float = 90.0) -> None:
    """Until the warehouse has so many commits, or the process has ended. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while n_commits(url) < n and process.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not {n} commits within {timeout:g} s")
        time.sleep(0.05)


def kill_syncs(office: Office, url: str, n_kills: int, seed: int) -> list[str]:
    """Kill `payback sync` again and again, each time somewhere after it has stored something more, then let one end."""
    rng = random.Random(seed)
    wrongs = []
    for _ in range(n_kills):
        before = n_commits(url)
        process = start(office, url, "sync")
        try:
            wait_for_commits(url, before + 1, process)
            time.sleep(rng.uniform(0.0, 0.3))
        finally:
            process.kill()
            process.communicate()
    if (last := run(office, url, "sync")).code:
        wrongs.append(f"the sync after {n_kills} kills ended with {last.code}: {last.said[-300:]}")
    return wrongs


def kill_measures(office: Office, url: str, n_kills: int, seed: int) -> list[str]:
    """Kill `payback measure` at random moments; what is wrong afterwards. The warehouse must be synced."""
    rng = random.Random(seed)
    started = time.monotonic()
    took = 0.0
    wrongs: list[str] = []
    documents = set()
    n_before = Warehouse(url).n_versions("snapshots")
    for number in range(n_kills + 2):
        if number < n_kills:
            kill_when(start(office, url, "measure", LAUNCH), rng.uniform(0.5, 1.0) * (took or 4.0))
            continue
        started = time.monotonic()
        ended = run(office, url, "measure", LAUNCH, "--json")
        took = time.monotonic() - started
        documents.add(ended.said)
        if ended.code:
            wrongs.append(f"measure ended with {ended.code}: {ended.said[-300:]}")
    if len(documents) > 1:
        wrongs.append("two measurements of one warehouse differ")
    if (n := Warehouse(url).n_versions("snapshots")) != n_before + 1:
        wrongs.append(f"{n - n_before} snapshots stored instead of 1")
    return wrongs


def kill_serve(office: Office, url: str, undisturbed: str, seed: int) -> list[str]:
    """Kill `payback serve` in the middle of the night that it catches up on; what is wrong after the next sync."""
    process = start(office, url, "serve", "--port", "0")
    try:
        wait_for_commits(url, 1, process)
        time.sleep(random.Random(seed).uniform(0.0, 0.5))
    finally:
        process.kill()
        process.communicate()
    last = run(office, url, "sync")
    wrongs = [f"sync ended with {last.code}: {last.said[-300:]}"] if last.code else []
    return wrongs + compared(url, undisturbed)


def compared(url: str, undisturbed: str) -> list[str]:
    """What is wrong with a warehouse that should hold what another one does."""
    found, wanted = content(url), content(undisturbed)
    wrongs = [f"{found.n_twice} versions twice"] if found.n_twice else []
    if n := sum(len(found.newest[name] ^ wanted.newest[name]) for name in found.newest):
        wrongs.append(f"{n} rows differ from an undisturbed sync")
    return wrongs


# --- a database server of one's own ---------------------------------------------------------------------------------------


class PrivatePostgres:
    """A PostgreSQL that may be killed."""

    def __init__(self, folder: Path) -> None:
        self._server: Any = server_in(folder)
        self._numbers = iter(range(1_000))

    def new_url(self) -> str:
        import psycopg

        name = f"warehouse_{next(self._numbers)}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"create database {name}")  # type: ignore[arg-type]
        return str(self._server.get_uri(database=name))

    def kill(self) -> None:
        """kill -9 of the server and all its processes, as when the machine loses power."""
        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=10)

    def restart(self) -> None:
        patiently(self._server.ensure_postgres_running)

    def close(self) -> None:
        self._server.cleanup()


@contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    # Not in pytest's own folder, see tests/conftest.py.
    with tempfile.TemporaryDirectory(prefix="payback-postgresql-", ignore_cleanup_errors=True) as parent:
        server = PrivatePostgres(Path(parent) / "data")
        try:
            yield server
        finally:
            server.close()


def kill_server_mid_sync(office: Office, server: PrivatePostgres, undisturbed: str, seed: int) -> list[str]:
    """Kill PostgreSQL while a sync stores rows, restart it, sync again; what is wrong."""
    url = server.new_url()
    wrongs = []
    process = start(office, url, "sync")
    wait_for_commits(url, 1, process)
    time.sleep(random.Random(seed).uniform(0.0, 0.3))
    server.kill()
    ended = end(process)
    if ended.code and (ended.code != 6 or "does not answer" not in ended.said or "Traceback" in ended.said):
        wrongs.append(f"the sync whose server died ended with {ended.code}: {ended.said[-300:]}")
    server.restart()
    last = run(office, url, "sync")
    if last.code:
        wrongs.append(f"the next sync ended with {last.code}: {last.said[-300:]}")
    return wrongs + ([] if ended.code else ["the sync had ended before the server died"]) + compared(url, undisturbed)
