"""`python -m connectors.demo`: a portal in a process of its own, until SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from datetime import date

from . import Costs, DemoPortal, PortalOptions, bulk, salon


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m connectors.demo", description=__doc__)
    content = parser.add_mutually_exclusive_group()
    content.add_argument("--salon", action="store_true", help="two years of a salon (default)")
    content.add_argument("--bulk", type=int, metavar="N", help="N leads for benchmarks")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--today", type=date.fromisoformat, help="the salon's today, YYYY-MM-DD")
    parser.add_argument("--mode", choices=("classic", "simple", "simple_converted"), default="classic")
    parser.add_argument("--leads-per-week", type=float, default=salon.Plan.leads_per_week)
    parser.add_argument("--gap-share", type=float, default=0.0, help="share of missing ids (with --bulk)")
    parser.add_argument("--page-ms", type=float, default=0.0, help="what a list page takes")
    parser.add_argument("--count-ms", type=float, default=0.0, help="what counting takes on top")
    parser.add_argument("--operating", type=float, help="seconds billed per page instead of the real ones")
    parser.add_argument("--billing", choices=("nested", "outer"), default="nested")
    parser.add_argument("--no-limits", action="store_true", help="neither request nor operating limit")
    given = parser.parse_args(arguments)
    if given.bulk is not None:
        store = bulk.build(given.bulk, given.seed, given.gap_share)
    else:
        store = salon.build(given.seed, given.today, mode=given.mode, leads_per_week=given.leads_per_week)
    costs = Costs(given.page_ms, given.count_ms, given.operating, given.billing)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with DemoPortal(store, PortalOptions(has_limits=not given.no_limits, costs=costs), given.port) as portal:
        print(json.dumps({"webhook_url": portal.webhook_url, "pid": os.getpid()}), flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
