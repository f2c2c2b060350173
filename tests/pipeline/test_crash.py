"""A sync that dies at any moment loses nothing, doubles nothing, and goes on where it stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.warehouse import Warehouse
from tests.pipeline.loader import PAGE, load
from tests.pipeline.records_made import LEAD_MOVES, LEADS

ROOT = Path(__file__).parents[2]
N_KILLS = 12
CONTENT = {
    "leads": "select lead_id, content_hash, is_deleted from leads order by lead_id, seen_at",
    "moves": "select entity, change_id, content_hash, is_deleted from stage_changes order by entity, change_id, seen_at",
    "quarantine": "select stream, record_key, reason, is_resolved from quarantine order by stream, record_key, seen_at",
    "cursors": "select stream, state from cursors order by stream, seen_at",
}


def content(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the history, without the times and runs of their arrival."""
    with warehouse.reading() as reading:
        return {name: [tuple(row) for row in reading.rows(sql)] for name, sql in CONTENT.items()}


@pytest.fixture
def loader(warehouse_url: str) -> Iterator[subprocess.Popen[str]]:
    """The process that forks a loading child for each line it is given."""
    command = [sys.executable, str(Path(__file__).with_name("loader.py")), warehouse_url]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert next_line(process) == "ready"
        yield process
        process.communicate()


def next_line(process: subprocess.Popen[str]) -> str:
    """What the process says next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill_a_child(loader: subprocess.Popen[str], rng: random.Random) -> int:
    """Lets a child store two or three pages and kills it somewhere within the next; how many it told of."""
    print(1_000_000, file=loader.stdin, flush=True)
    child = int(next_line(loader))
    took = 0.0
    n_told = rng.randint(2, 3)
    for _ in range(n_told):
        began = time.monotonic()
        assert next_line(loader) == "page"
        took = time.monotonic() - began
    time.sleep(rng.uniform(0.0, took))
    os.kill(child, signal.SIGKILL)
    while next_line(loader) != "ended":
        n_told += 1
    return n_told


def test_a_sync_killed_again_and_again_ends_as_an_undisturbed_one(
    warehouse_url: str, new_warehouse_url: Callable[[], str], loader: subprocess.Popen[str]
) -> None:
    rng = random.Random(7)
    warehouse = Warehouse(warehouse_url)
    page = 0
    for _ in range(N_KILLS):
        n_told = kill_a_child(loader, rng)
        sink = warehouse.sink("crm", "r")
        stored = sink.state(LEADS)
        assert stored is not None
        assert stored["page"] >= page + n_told - 1  # what it told of is stored; the first page is one it repeats
        page = stored["page"]
        assert sink.state(LEAD_MOVES) == {"after": page * PAGE}
        assert sink.counts(LEAD_MOVES, [(0, page * PAGE), (page * PAGE, 10**9)]) == [page * PAGE, 0]
    load(warehouse_url, page + 2)
    undisturbed_url = new_warehouse_url()
    Warehouse(undisturbed_url).migrate()
    load(undisturbed_url, page + 2)
    assert content(warehouse) == content(Warehouse(undisturbed_url))
