"""The fault harness by hand.

    python -m tests.faults --soak 500           so many random stories and 90 kills, on DuckDB and PostgreSQL (`make soak`)
    python -m tests.faults --seed 123           one story again: what was wrong, and how the nights ended
    python -m tests.faults --kind empty_page    one kind of fault, in an export and in a nightly sync
    python -m tests.faults --table              every kind alone on DuckDB, written into docs/reliability.md (about 6 minutes)
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.kill import Office, warehouses
from bench.portal import table
from pipeline.warehouse import Warehouse
from tests.faults import kills
from tests.faults.kinds import BY_NAME, KINDS
from tests.faults.nights import Story, combined, play
from tests.faults.truth import Ground

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: written by `python -m tests.faults --table` -->", "<!-- end of faults -->"
HEADINGS = ("fault", "what the portal does", "the night with it", "what the report says", "nights until equal", "lost or doubled")
N_SYNC_KILLS, N_MEASURE_KILLS, N_SERVE_KILLS, N_SERVER_KILLS = 20, 10, 10, 10  # on each engine; servers: PostgreSQL
NewGround = Callable[[str], Ground]


@contextmanager
def grounds(engines: Sequence[str]) -> Iterator[NewGround]:
    """new("memory" | "duckdb" | "postgresql") -> an empty one, already with its tables."""
    with tempfile.TemporaryDirectory(prefix="payback-faults-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        Warehouse(f"duckdb:///{folder / 'empty.duckdb'}").migrate()

        def new_duckdb() -> Ground:
            shutil.copy(folder / "empty.duckdb", folder / "story.duckdb")
            return Ground(Warehouse(f"duckdb:///{folder / 'story.duckdb'}"))

        if "postgresql" not in engines:
            yield lambda engine: Ground() if engine == "memory" else new_duckdb()
            return
        with warehouses(folder, True) as new_database:

            def new_postgresql() -> Ground:
                warehouse = Warehouse(new_database())
                warehouse.migrate()
                return Ground(warehouse)

            yield lambda engine: {"memory": Ground, "duckdb": new_duckdb, "postgresql": new_postgresql}[engine]()


def soak(n: int, first: int) -> int:
    """Seeds first ... first + n - 1, DuckDB and PostgreSQL in turn, then the kills. The number of failures."""
    started, failed = time.monotonic(), 0
    with grounds(("postgresql",)) as new:
        for seed in range(first, first + n):
            engine = ("duckdb", "postgresql")[seed % 2]
            story = combined(seed, new(engine))
            if story.wrongs:
                failed += 1
                again = f"python -m tests.faults --seed {seed} --engine {engine}"
                print(f"FAILED on {engine}: {story}\n   again: {again}", flush=True)
            elif (seed - first + 1) % 10 == 0:
                took = time.monotonic() - started
                print(f"{seed - first + 1} of {n} stories, {failed} failed, {took:.0f} s", flush=True)
    return failed + soak_kills(first)


def soak_kills(seed: int) -> int:
    """Many kills of everything; the number of failures."""
    failed = 0

    def tell(what: str, wrongs: Sequence[str]) -> None:
        nonlocal failed
        failed += bool(wrongs)
        print(f"{what}: {'; '.join(wrongs) or 'nothing lost, nothing doubled'}", flush=True)

    with kills.open_office(page_ms=25.0, leads_per_week=60.0) as office, kills.private_postgres() as server:
        undisturbed = f"duckdb:///{office.folder / 'undisturbed.duckdb'}"
        if (ended := kills.run(office, undisturbed, "sync")).code:
            raise SystemExit(f"payback sync ended with {ended.code}: {ended.said}")
        for engine in ("duckdb", "postgresql"):
            new = _new_urls(office, server, engine)
            for number in range(N_SYNC_KILLS // 4):
                url = new()
                wrongs = kills.kill_syncs(office, url, 4, seed + number) + kills.compared(url, undisturbed)
                tell(f"{engine}: 4 kills of sync, seed {seed + number}", wrongs)
            tell(f"{engine}: {N_MEASURE_KILLS} kills of measure", kills.kill_measures(office, url, N_MEASURE_KILLS, seed))
            for number in range(N_SERVE_KILLS):
                wrongs = kills.kill_serve(office, new(), undisturbed, seed + number)
                tell(f"{engine}: kill of serve, seed {seed + number}", wrongs)
        for number in range(N_SERVER_KILLS):
            wrongs = kills.kill_server_mid_sync(office, server, undisturbed, seed + number)
            tell(f"kill of the PostgreSQL server, seed {seed + number}", wrongs)
    return failed


def _new_urls(office: Office, server: kills.PrivatePostgres, engine: str) -> Callable[[], str]:
    if engine == "postgresql":
        return server.new_url
    numbers = iter(range(10_000))
    return lambda: f"duckdb:///{office.folder / f'killed_{next(numbers)}.duckdb'}"


# --- the table ------------------------------------------------------------------------------------------------------------


def row(stories: Sequence[Story], name: str) -> list[object]:
    """One fault's line: an export and a nightly sync were hit by it."""
    outcomes = {outcome for story in stories for outcome in story.outcomes}
    ended = " or ".join("ends well" if outcome == "ok" else f"fails ({outcome})" for outcome in sorted(outcomes))
    findings = ", ".join(sorted({f"`{code}`" for story in stories for code in story.findings} - {"`stopped`"}))
    nights = max(story.n_nights for story in stories)
    wrongs = "; ".join(wrong for story in stories for wrong in story.wrongs)
    return [f"`{name}`", BY_NAME[name].what, ended, findings or "-", nights, wrongs or "none"]


def write_table() -> int:
    """Play every kind alone and write the table; the number of kinds that broke the promise."""
    rows, n_failed = [], 0
    with grounds(("duckdb",)) as new:
        for number, kind in enumerate(KINDS, 1):
            stories = [play([kind], number, new("duckdb"), is_export=is_export) for is_export in (False, True)]
            rows.append(row(stories, kind.name))
            n_failed += any(story.wrongs for story in stories)
            print(f"{number} of {len(KINDS)}: {kind.name}: {rows[-1][2]}", file=sys.stderr, flush=True)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(HEADINGS, rows)}\n\n{END}{after}", encoding="utf-8")
    return n_failed


def main() -> int:
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__, formatter_class=as_it_is)
    parser.add_argument("--soak", type=int, metavar="N")
    parser.add_argument("--first", type=int, default=1, help="first seed of the soak")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--kind", choices=sorted(BY_NAME))
    parser.add_argument("--engine", choices=("memory", "duckdb", "postgresql"), default="memory")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.soak:
        return min(1, soak(given.soak, given.first))
    if given.table:
        return min(1, write_table())
    if given.seed is None and given.kind is None:
        parser.error("say what: --soak, --seed, --kind or --table")
    with grounds((given.engine,)) as new:
        if given.kind is None:
            stories = [combined(given.seed, new(given.engine))]
        else:
            kinds, seed = [BY_NAME[given.kind]], given.seed or 1
            stories = [play(kinds, seed, new(given.engine), is_export=way) for way in (True, False)]
    for story in stories:
        findings = ", ".join(sorted(story.findings)) or "none"
        print(f"{story}\n   nights with faults: {', '.join(story.outcomes)}; findings: {findings}")
        differs = story.during or "nothing differs"
        print(f"   right after the faults: {differs}; nights until equal: {story.n_nights}; {story.message}")
    return int(any(story.wrongs for story in stories))


if __name__ == "__main__":
    sys.exit(main())
