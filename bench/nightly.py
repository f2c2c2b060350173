"""What a night costs: a full sync into DuckDB, then nights on which 0 %, 1 % and 10 % of the leads changed.

    python -m bench.nightly [--rows 20000 --rows 200000]        (about 4 minutes)

On each night with changes 30 leads are deleted and 50 are new besides. Real limits; the half minute of sleep between syncs lets
the portal's bucket run empty, as a day does. expected: versions of leads that a night must append, by what was changed.
"""

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from bench.clients import connector
from bench.portal import Portal, running, table
from connectors.contract import SyncReport
from connectors.engine import pull
from pipeline.warehouse import Warehouse

N_DELETED, N_NEW = 30, 50
CHANGED = (0.0, 0.01, 0.1)  # shares of the leads
PAUSE_S = 26.0  # 50 requests drain at 2 a second
PER_REQUEST = 2500
HEADINGS = ("leads", "sync", "requests", "rejected", "seconds", "leads received", "appended", "expected", "moves appended")


def change(portal: Portal, n_leads: int, share: float, rng: random.Random) -> int:
    """Change a share of the leads, delete 30, add 50; the versions this must append."""
    if not share:
        return 0
    # Among the leads that every night of this benchmark still has: deletions come from the last thousand.
    changed = rng.sample(range(1, n_leads - 1000), round(n_leads * share))
    night = round(share * 1000)
    fields = {"STATUS_ID": "UC_7QK2ZD" if share < 0.05 else "IN_PROCESS", "OPPORTUNITY": 100_000 + night}
    changes: list[dict[str, object]] = [{"do": "update", "entity": "lead", "id": key, "fields": fields} for key in changed]
    changes += [{"do": "delete", "entity": "lead", "id": n_leads - night * 10 % 1000 - at} for at in range(N_DELETED)]
    changes += [{"do": "insert", "entity": "lead", "fields": {"TITLE": "new", "OPPORTUNITY": 500}} for _ in range(N_NEW)]
    portal.mutate(changes)
    return len(changed) + N_DELETED + N_NEW


def sync(portal: Portal, warehouse: Warehouse, title: str) -> tuple[SyncReport, float]:
    started = time.perf_counter()
    report = pull(connector(portal.webhook), warehouse.sink("crm", title))
    seconds = time.perf_counter() - started
    for finding in report.findings:
        if finding.severity != "info":
            print(f"{title}: {finding.code} {finding.subject} {finding.n}", file=sys.stderr)
    return report, seconds


def nights(n_leads: int) -> Iterator[Sequence[object]]:
    """The rows of the table for one size."""
    rng = random.Random(7)
    with running("--bulk", str(n_leads)) as portal, tempfile.TemporaryDirectory(prefix="payback-bench-") as folder:
        warehouse = Warehouse(f"duckdb:///{folder}/bench.duckdb")
        warehouse.migrate()
        for title, share in (("full", None), *((f"{share:.0%} changed", share) for share in CHANGED)):
            expected = n_leads if share is None else change(portal, n_leads, share, rng)
            report, seconds = sync(portal, warehouse, title)
            leads, moves = report.streams["leads"], report.streams["lead_history"]
            if share is None:
                n_rows = leads.received + moves.received
                print(f"{n_leads} leads, {n_rows} rows: floor {math.ceil(n_rows / PER_REQUEST)} requests", file=sys.stderr)
            figures = (f"{seconds:.1f}", f"{leads.received:,}", f"{leads.appended:,}", f"{expected:,}", f"{moves.appended:,}")
            yield (f"{n_leads:,}", title, report.n_requests, report.n_slowed, *figures)
            time.sleep(PAUSE_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="how many leads (repeatable)")
    given = parser.parse_args()
    rows = []
    for n_leads in given.rows or [20_000, 200_000]:
        for row in nights(n_leads):
            rows.append(row)
            print("  ".join(map(str, row)), file=sys.stderr, flush=True)
    print(table(HEADINGS, rows))


if __name__ == "__main__":
    main()
