"""Full export of leads from a demo portal under the real limits: payback beside the packages people use.

    python -m bench.export                     100 000 and 500 000 leads on all portals, 1 000 000 for payback (35 minutes)
    python -m bench.export --rows 100000       one size
    python -m bench.export --quick             100 000 leads on the quick portal only (1 minute)

Each run has a fresh portal in a process of its own (2 requests a second, bucket of 50, operating budget) and a client in another.
requests, rejected: as the portal counted them.  lost: ids of the portal that the client did not hand over.
CPU s: of the client's process.  above start: peak memory of the client's process over what it had when its modules were loaded.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.clients import CLIENTS, METHOD, PEERS
from bench.portal import ROOT, Portal, running, table

LIMIT = 600  # seconds a client may take
PAGE, BATCH = 50, 2500
ONE_AT_A_TIME = ("b24pysdk fast list", "b24pysdk list")
HEADINGS = ("leads", "portal", "client", "requests", "rejected", "seconds", "CPU s", "peak MB", "above start", "lost", "outcome")


@dataclass(frozen=True)
class Site:
    """A portal to export from."""

    title: str
    options: tuple[str, ...] = ()
    page_s: float = 0.0
    gap_share: float = 0.0
    fault: Mapping[str, Any] = field(default_factory=dict)


# One command of the fourth batch that has a command number 20 is refused, once.
ONE_429 = {"match": METHOD, "action": "operating", "command": 20, "after": 3, "times": 1}
SITES = {
    "quick": Site("quick"),
    "60 ms": Site("60 ms a page", ("--page-ms", "60"), page_s=0.06),
    "429": Site("one 429 inside a batch", fault=ONE_429),
    "gaps": Site("quick, a fifth of the ids missing", ("--gap-share", "0.2"), gap_share=0.2),
}


def ids_of(n_leads: int, site: Site) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The ids the portal holds."""
    if not site.gap_share:
        return np.arange(1, n_leads + 1)
    from connectors.demo import bulk

    return bulk.build(n_leads, gap_share=site.gap_share).leads.ids


def one_run(client: str, n_leads: int, site: Site) -> Sequence[object]:
    """A row of the table."""
    if client in ONE_AT_A_TIME and n_leads / PAGE * site.page_s > LIMIT:
        least = n_leads / PAGE * site.page_s
        return (f"{n_leads:,}", site.title, client, *[""] * 7, f"not run: one page at a time is {least:.0f} s at least")
    with running("--bulk", str(n_leads), *site.options) as portal, tempfile.TemporaryDirectory() as folder:
        if site.fault:
            portal.fail(**site.fault)
        ids_file = Path(folder) / "ids.npy"
        found = _export(client, portal, ids_file)
        counters = portal.counters()
        ids = np.load(ids_file) if ids_file.exists() else np.empty(0, np.int64)
    if found.get("is_missing"):
        return (f"{n_leads:,}", site.title, client, *[""] * 7, found["error"])
    expected = ids_of(n_leads, site)
    n_lost = len(np.setdiff1d(expected, ids))
    n_strange = len(np.setdiff1d(ids, expected)) + len(ids) - len(np.unique(ids))
    outcome = found["error"] or ("ok" if not n_lost else "ends WITHOUT any error")
    if site.fault and not counters["faults"]:
        outcome += " (the fault was never met)"
    if n_strange:
        outcome += f" ({n_strange} rows twice or unknown)"
    figures = [f"{found[name]:.{digits}f}" if name in found else "" for name, digits in _FIGURES]
    above = f"{found['peak_mb'] - found['start_mb']:.0f}" if "peak_mb" in found else ""
    n_requests, n_rejected = counters["requests"], counters["rejected"]
    return (f"{n_leads:,}", site.title, client, n_requests, n_rejected, *figures, above, f"{n_lost:,}", outcome)


_FIGURES = (("seconds", 1), ("cpu_seconds", 1), ("peak_mb", 0))


def _export(client: str, portal: Portal, ids_file: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.clients", client, portal.webhook, str(ids_file)]
    try:
        ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"over {LIMIT} s: stopped"}
    lines = ended.stdout.splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {"error": f"the process ended with code {ended.returncode}"}
    return found


def show(n_leads: int, site: Site, clients: Sequence[str], rows: list[Sequence[object]]) -> None:
    for client in clients:
        row = one_run(client, n_leads, site)
        rows.append(row)
        print("  ".join(str(cell) for cell in row), file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="how many leads (repeatable)")
    parser.add_argument("--site", action="append", choices=SITES, help="which portal (repeatable; default: all)")
    parser.add_argument("--client", action="append", choices=CLIENTS, help="which client (repeatable; default: all)")
    parser.add_argument("--quick", action="store_true", help="100 000 leads, quick portal")
    given = parser.parse_args()
    sizes = given.rows or ([100_000] if given.quick else [100_000, 500_000])
    sites = given.site or (["quick"] if given.quick else list(SITES))
    clients = given.client or list(CLIENTS)
    rows: list[Sequence[object]] = []
    for n_leads in sizes:
        for name in sites:
            show(n_leads, SITES[name], clients, rows)
    if not (given.rows or given.site or given.quick):
        show(1_000_000, SITES["quick"], [client for client in clients if client not in PEERS], rows)
    print(table(HEADINGS, rows))
    for n_leads in dict.fromkeys(str(row[0]) for row in rows):
        print(f"floor for {n_leads} leads: {math.ceil(int(n_leads.replace(',', '')) / BATCH)} requests")


if __name__ == "__main__":
    main()
