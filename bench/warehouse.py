"""How fast the warehouse takes leads in, and whether it slows down: `python -m bench.warehouse [--url URL] [--leads N]`.

Leads arrive in commits of 2 500, as from a Bitrix24 batch; the time of a commit includes hashing, the look-up of known versions
and everything until the data is on disk. Making the leads is not counted.
"""

import argparse
import hashlib
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from connectors.contract import Deletes, Landing, Stream
from connectors.records import Lead
from pipeline.warehouse import Warehouse

COMMIT = 2_500
LEADS = Stream("leads", Lead, deletes=Deletes.COUNT)
FIRST_AT = datetime(2024, 1, 1)


def lead(number: int, stage: str = "NEW") -> Lead:
    """Lead `number`, as full as a real one."""
    created_at = FIRST_AT + timedelta(minutes=number)
    person = hashlib.sha256(str(number // 2).encode()).hexdigest()
    return Lead(
        str(number), created_at, created_at.date(), created_at, created_at, stage, "open", "0", str(number % 20),
        "web", "google", "cpc", f"brand-{number % 9}", None, None, Decimal(number % 5000), "RUB", str(number // 2), person,
        True, False, "center", None,
    )  # fmt: skip


def rss_mb() -> int:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20


def cpu_seconds() -> float:
    """Processor time of this process (PostgreSQL's own is not in it)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(url: str, n_leads: int) -> None:
    """Prints a line a tenth of the way, then what a night does."""
    warehouse = Warehouse(url)
    warehouse.migrate()
    sink = warehouse.sink("bench", "r1")
    sink.commit([Landing(LEADS, [lead(0)])])
    start_mb, took, used = rss_mb(), [], []
    print(f"{'leads':>9} {'rows/s':>8} {'ms a commit':>12} {'CPU ms':>7} {'memory, MB above start':>23}")
    for first in range(1, n_leads + 1, COMMIT):
        rows = [lead(number) for number in range(first, first + COMMIT)]
        began, began_cpu = time.perf_counter(), cpu_seconds()
        assert sink.commit([Landing(LEADS, rows, state={"after": first + COMMIT - 1})]) == [COMMIT]
        took.append(time.perf_counter() - began)
        used.append(cpu_seconds() - began_cpu)
        if len(took) % max(1, n_leads // COMMIT // 10) == 0:
            part = slice(-max(1, n_leads // COMMIT // 10), None)
            print(
                f"{first + COMMIT - 1:>9} {COMMIT / mean(took[part]):>8.0f} {1000 * mean(took[part]):>12.0f} "
                f"{1000 * mean(used[part]):>7.0f} {rss_mb() - start_mb:>23}",
                flush=True,
            )
    print(f"all: {n_leads / sum(took):.0f} rows/s")
    night(warehouse, n_leads)


def night(warehouse: Warehouse, n_leads: int) -> None:
    """What a nightly sync asks of a warehouse that size."""
    rng = random.Random(1)
    sink = warehouse.sink("bench", "r2")
    changed = [lead(number, "BOOKED") for number in sorted(rng.sample(range(1, n_leads), COMMIT))]
    known = [lead(number) for number in range(n_leads // 2, n_leads // 2 + COMMIT)]
    steps: dict[str, Callable[[], list[int]]] = {
        "counting all keys": lambda: sink.counts(LEADS, [(0, n_leads)]),
        f"{COMMIT} known rows again": lambda: warehouse.sink("bench", "r2").commit([Landing(LEADS, known)]),
        f"{COMMIT} scattered rows changed": lambda: sink.commit([Landing(LEADS, changed)]),
        "30 deletions": lambda: sink.commit([Landing(LEADS, deleted=rng.sample(range(1, n_leads), 30))]),
    }
    for name, step in steps.items():
        began = time.perf_counter()
        result = step()
        print(f"{name}: {1000 * (time.perf_counter() - began):.0f} ms ({result[0]})")


def mean(values: Sequence[float]) -> float:
    """Their mean."""
    return sum(values) / len(values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="an empty warehouse; default: a new DuckDB file, removed afterwards")
    parser.add_argument("--leads", type=int, default=500_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options.url or f"duckdb:///{folder}/bench.duckdb", options.leads)
