"""A sync to be killed: run as `python loader.py URL`, it forks a child for each line it reads.

The child loads leads page after page from where the stored state says, one page back (at-least-once delivery), with
a deletion and a reject in between, until page N (the number on the line) is stored. The parent only forks: its imports
are paid once.
"""

import os
import sys

import alembic  # noqa: F401  # imported here so that the children need not
import pandas  # noqa: F401  # as above

import pipeline.on_duckdb
import pipeline.on_postgresql  # noqa: F401  # as above
from connectors.contract import Landing, Reject
from pipeline.warehouse import Warehouse
from tests.pipeline.records_made import LEAD_MOVES, LEADS, lead, move

PAGE = 40


def load(url: str, n_pages: int, *, show: bool = False) -> None:
    """Store pages until page `n_pages`. Page p holds leads (p-1)*PAGE+1 ... p*PAGE; its first is deleted with page p+1."""
    sink = Warehouse(url, lock_timeout=20.0).sink("crm", f"run-{os.getpid()}")
    state = sink.state(LEADS) or {"page": 1}
    for page in range(state["page"], n_pages + 1):
        numbers = range((page - 1) * PAGE + 1, page * PAGE + 1)
        bad = Reject(str(page * PAGE), "unreadable", "AMOUNT")
        gone = [numbers[0] - PAGE] if page > 1 else []
        moves = [move("lead", number, number) for number in numbers]
        sink.commit(
            [
                Landing(LEADS, [lead(number) for number in numbers[:-1]], [bad], gone, {"page": page}),
                Landing(LEAD_MOVES, moves, state={"after": numbers[-1]}),
            ]
        )
        if show:
            print("page", flush=True)


if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(os.getpid(), flush=True)
            load(sys.argv[1], int(line), show=True)
            os._exit(0)
        os.waitpid(child, 0)
        print("ended", flush=True)
