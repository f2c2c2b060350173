"""A demo portal in a process of its own, as the benchmarks need it: fresh limits, counters and changes by its side door."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MUTATIONS = 500  # changes sent at once
_SCRIPT = Path(sys.executable).with_name("payback")
# The installed command; in a checkout that is not installed, what the command would run.
PAYBACK = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-c", "from pipeline.cli import run; run()"]


@dataclass(frozen=True)
class Portal:
    """Where a running portal is."""

    webhook: str
    pid: int

    @property
    def base(self) -> str:
        return self.webhook.partition("/rest/")[0]

    def counters(self) -> dict[str, Any]:
        """Requests, rejected ones, pages, rows ... since it started."""
        return self._side("/_counters")

    def fail(self, **fault: Any) -> None:
        """Script a fault: see connectors/demo/faults.py."""
        self._side("/_faults", fault)

    def mutate(self, changes: Sequence[dict[str, Any]]) -> None:
        """Change rows: {"do", "entity", "id", "fields"} each."""
        for at in range(0, len(changes), MUTATIONS):
            self._side("/_mutate", list(changes[at : at + MUTATIONS]))

    def _side(self, path: str, given: Any = None) -> dict[str, Any]:
        body = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(self.base + path, data=body, headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as response:
            found: dict[str, Any] = json.load(response)
            return found


@contextmanager
def running(*options: str) -> Iterator[Portal]:
    """`python -m connectors.demo` with these options, until the block ends."""
    command = [sys.executable, "-m", "connectors.demo", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Portal(told["webhook_url"], told["pid"])
        finally:
            process.terminate()


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers are set to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    filled = [[row[at] for row in texts if row[at]] for at in range(len(headings))]
    rules = ["---:" if column and all(text[0].isdigit() for text in column) else "---" for column in filled]
    lines = [list(headings), rules, *texts]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
