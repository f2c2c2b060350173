"""A sync that dies at any moment loses nothing, doubles nothing, and goes on where it stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipeline.warehouse import Warehouse
from tests.pipeline.loader import PAGE, load
from tests.pipeline.records_made import LEAD_MOVES, LEADS

ROOT = Path(__file__).parents[2]
N_KILLS = 12
CONTENT = {
    "leads": "select lead_id, content_hash, is_deleted from leads order by lead_id, seen_at",
    "moves": "select entity, change_id, content_hash, is_deleted from stage_changes order by entity, change_id, seen_at",
    "quarantine": "select stream, record_key, column_name, reason, is_resolved from quarantine order by stream, record_key, seen_at",
    "cursors": "select stream, state from cursors order by stream, seen_at",
}


def content(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the history, without the times and runs of their arrival."""
    with warehouse.reading() as reading:
        return {name: [tuple(row) for row in reading.rows(sql)] for name, sql in CONTENT.items()}


def test_a_sync_killed_again_and_again_ends_as_an_undisturbed_one(warehouse: Warehouse, warehouse_url: str) -> None:
    warehouse = Warehouse(warehouse_url)
    warehouse.migrate()
    rng = random.Random(7)
    page = 0
    command = [sys.executable, str(Path(__file__).with_name("loader.py")), warehouse_url]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        for _ in range(N_KILLS):
            print(page + 10_000, file=parent.stdin, flush=True)
            child = int(parent.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.5))
            os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == f"-{int(signal.SIGKILL)}\n"
            sink = warehouse.sink("test", "r")
            crm = warehouse.sink("crm", "r")
            stored = crm.state(LEADS) or {"page": 0}
            assert stored["page"] >= page
            page = stored["page"]
            assert crm.state(LEAD_MOVES) == ({"after": page * PAGE} if page else None)
            assert crm.counts(LEAD_MOVES, [(0, page * PAGE), (page * PAGE, 10**9)]) == [page * PAGE, 0]
            assert sink.state(LEADS) is None
        parent.stdin.close()
    assert page > 0  # it got somewhere between the deaths
    load(warehouse_url, page + 2)
    undisturbed = Warehouse(warehouse_url.replace(".duckdb", "_undisturbed.duckdb"))
    if undisturbed.place == warehouse.place:
        killed = content(warehouse)
        with warehouse._database.writing() as connection:
            for table in ("leads", "stage_changes", "quarantine", "cursors", "commits"):
                connection.exec_driver_sql(f"TRUNCATE {table}")
        load(warehouse_url, page + 2)
        assert killed == content(warehouse)
    else:
        undisturbed.migrate()
        load(warehouse_url.replace(".duckdb", "_undisturbed.duckdb"), page + 2)
        assert content(warehouse) == content(undisturbed)
