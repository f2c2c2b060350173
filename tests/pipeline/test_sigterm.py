"""SIGTERM (systemctl stop, a shutdown) ends a command as Ctrl-C does: stopped, which is no trouble, and never half."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from connectors.demo import ALWAYS, Costs, DemoPortal, Fault, PortalOptions
from pipeline import alerts
from pipeline.cli import main
from pipeline.errors import Exit
from pipeline.settings import load_settings
from pipeline.warehouse import Warehouse
from tests.pipeline.conftest import build_salon
from tests.pipeline.shop_made import Shop
from tests.pipeline.test_serve import configure, content
from tests.variants import first

ROOT = Path(__file__).parents[2]


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[DemoPortal]:
    """A slow portal, and a configuration for it in `tmp_path`."""
    slow = PortalOptions(has_limits=False, costs=Costs(page_ms=30.0))
    with DemoPortal(build_salon(weeks=8, weeks_after=3, leads_per_week=20.0), slow) as portal:
        configure(tmp_path, portal)
        yield portal


def start(
    folder: Path, *arguments: str, program: str = "from pipeline.cli import run; run()", **more: str
) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, "--config", str(folder / "config"), *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAYBACK_")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env={**environ, "PYTHONPATH": str(ROOT), **more}, text=True, encoding="utf-8", **pipes)


def stopped(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str, float]:
    """Exit code, what it said on stderr, and the seconds it took to end after the signal."""
    began = time.monotonic()
    process.send_signal(number)
    try:
        said = process.communicate(timeout=40)[1]
    except subprocess.TimeoutExpired:
        process.kill()  # a query without end would hold the processors long after the test
        said = process.communicate()[1]
    return process.returncode, said, time.monotonic() - began


def test_a_run_is_stored_as_stopped_and_nobody_is_alarmed(portal: DemoPortal, tmp_path: Path) -> None:
    hit = threading.Event()
    portal.after(8, hit.set, unit="pages")
    process = start(tmp_path, "run")
    assert hit.wait(40)
    code, said, took = stopped(process)
    assert (code, took < 20) == (Exit.TEMPORARY, True), said
    assert "stopped; everything stored so far stays" in said
    warehouse = Warehouse(f"duckdb:///{tmp_path / 'payback.duckdb'}")
    (run,) = warehouse.runs()
    assert (run["outcome"], run["detail"]["error_kind"], run["detail"]["is_interrupted"]) == ("failed", "interrupted", True)
    assert alerts.look(load_settings(tmp_path / "config", {})) == []
    for url in ("duckdb:///payback.duckdb", "duckdb:///undisturbed.duckdb"):  # the next one goes on
        assert main(["--config", str(tmp_path / "config"), "sync"], {"PAYBACK_WAREHOUSE": url}) == Exit.OK
    assert content(warehouse) == content(Warehouse(f"duckdb:///{tmp_path / 'undisturbed.duckdb'}"))


def test_a_request_without_an_answer_does_not_hold_it_up(portal: DemoPortal, tmp_path: Path) -> None:
    portal.fail(Fault("*", "slow", ALWAYS, value=60.0))
    process = start(tmp_path, "sync")
    lines = iter(process.stderr.readline, "")  # type: ignore[union-attr]  # it is a pipe
    assert any("run_started" in line for line in lines)
    code, said, took = stopped(process)
    assert (code, took < 20) == (Exit.TEMPORARY, True), said


IN_A_QUERY = """
import sys
from pipeline import cli, run
from pipeline.run import open_warehouse
def measure_named(settings, name, as_of):
    print("under way", file=sys.stderr, flush=True)
    with open_warehouse(settings).reading() as reading:
        reading.rows("select sum(range % 7) from range(1000000000000)")
run.measure_named = measure_named
cli.run()
"""


@pytest.mark.parametrize("number", first(1, [signal.SIGTERM, signal.SIGINT]))
def test_a_measurement_ends_in_the_middle_of_a_query(tmp_path: Path, migrated_file: Path, number: signal.Signals) -> None:
    """DuckDB alone hears the signal, and then may wait for its threads to end the query."""
    shop = Shop.made(tmp_path / "shop")
    shutil.copy(migrated_file, shop.home / "payback.duckdb")
    launch = '[bot]\ntitle = "Bot"\nstarted_on = 2026-10-05\n'
    (shop.home / "config" / "launches.toml").write_text(launch, encoding="utf-8")
    process = start(shop.home, "measure", "bot", program=IN_A_QUERY, **shop.environ)
    lines = iter(process.stderr.readline, "")  # type: ignore[union-attr]  # it is a pipe
    assert any("under way" in line for line in lines)
    busy = psutil.Process(process.pid)
    used = sum(busy.cpu_times()[:2])
    while sum(busy.cpu_times()[:2]) < used + 1.0:  # nothing but the query takes a second of the processor
        time.sleep(0.05)
    code, said, took = stopped(process, number)
    assert (code, took < 5) == (Exit.TEMPORARY, True), said
