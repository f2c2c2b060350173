"""Ranges, shards and cursors: whatever the numbers, every key is read once, and a death leaves what was not read."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import Landing, Page, Reject, Stream
from connectors.ledger import Ledger
from connectors.memory import MemorySink
from connectors.sweep import _split
from connectors.walk import _merged
from tests.connectors.engine_bench import Bench, Death
from tests.connectors.packed_crm import BITRIX_LIKE, SMALL, TICKETS
from tests.pipeline.records_made import LEADS, lead

ranges = st.lists(st.integers(0, 60), min_size=2, max_size=14, unique=True).map(sorted)


@given(ranges, st.sets(st.integers(0, 12)), st.booleans(), st.randoms(use_true_random=False))
@settings(derandomize=True)
def test_merged_ranges_hold_the_same_keys(cuts: list[int], dropped: set[int], is_open: bool, rng: random.Random) -> None:
    parts: list[tuple[int, int | None]] = [pair for i, pair in enumerate(pairwise(cuts)) if i not in dropped]
    if is_open:
        parts.append((cuts[-1], None))
    shuffled = rng.sample(parts, len(parts))
    merged = _merged(shuffled)

    def keys(pairs: list[tuple[int, int | None]]) -> list[int]:
        return sorted(key for after, upto in pairs for key in range(after + 1, (99 if upto is None else upto) + 1))

    assert keys([(after, upto) for after, upto in merged]) == keys(parts)  # type: ignore[misc]
    assert all(one[1] is not None and one[1] < two[0] for one, two in pairwise(merged))  # and none touch


@given(st.integers(0, 10**12), st.integers(1, 10**6), st.integers(1, 60))
@settings(derandomize=True)
def test_a_split_range_is_covered_once(after: int, span: int, n: int) -> None:
    parts = _split(after, after + span, n)
    assert parts[0][0] == after
    assert parts[-1][1] == after + span
    assert all(one[1] == two[0] for one, two in pairwise(parts))
    assert all(low < high for low, high in parts)
    assert len(parts) <= n


@given(st.lists(st.lists(st.integers(1, 30), max_size=8), max_size=8))
@settings(derandomize=True, max_examples=60)
def test_what_a_ledger_counts_is_what_it_stored(pages: list[list[int]]) -> None:
    """Pages of any rows, some of them again and again: received adds up, appended is what is new, nothing waits at the end."""
    sink = MemorySink()
    ledger = Ledger(sink)
    for numbers in pages:
        ledger.land(LEADS, Page([lead(number) for number in numbers], numbers))
        ledger.commit()
    line = ledger.line(LEADS)
    assert line.received == sum(map(len, pages))
    assert line.appended == len({number for numbers in pages for number in numbers}) == sink.n_versions
    n_commits = sink.n_commits
    ledger.commit()
    assert sink.n_commits == n_commits


@pytest.mark.parametrize("seed", range(12))
def test_deaths_at_any_commit_of_any_kind_of_walk(seed: int) -> None:
    """An export, and nights with changes and deletions, each with deaths somewhere: what follows is as if there were none."""
    rng = random.Random(seed)
    limits = rng.choice((SMALL, BITRIX_LIKE))
    bench = Bench(limits)
    table = bench.crm.tables["tickets"]
    bench.crm.fill("tickets", rng.sample(range(1, 900), 300))
    for _ in range(4):
        for _ in range(rng.randrange(3)):
            bench.sink.deadly = (bench.sink.n_commits + rng.randrange(4), rng.choice(("before", "after")))
            try:
                bench.pull()
            except Death:
                bench.later()
        bench.sink.deadly = None
        bench.pull()
        bench.check()
        bench.later()
        for key in rng.sample(table.order, 20):
            bench.crm.edit("tickets", key, rng.choice(("won", "lost")))
        for key in rng.sample(table.order, rng.randrange(6)):
            table.drop(key)
    assert bench.sink.state(TICKETS) is not None
    assert "left" not in (bench.sink.state(TICKETS) or {})


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), max_size=30))
@settings(derandomize=True, max_examples=60)
def test_quarantine_is_what_was_last_read_badly(steps: list[tuple[int, bool]]) -> None:
    sink = MemorySink()
    stream = Stream("leads", type(lead(1)))
    last: dict[int, bool] = {}
    for number, is_good in steps:
        last[number] = is_good
        records, rejects = ([lead(number)], []) if is_good else ([], [Reject(str(number), "unreadable")])
        sink.commit([Landing(stream, records, rejects)])
    assert sink.rejected(stream) == sorted(number for number, is_good in last.items() if not is_good)
    assert sink.keys(stream, 0, 10**9) == sorted(last)
