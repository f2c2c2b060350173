"""Whatever a portal does for a night: when it is well again, the warehouse equals it row by row, and nothing is there twice."""

from collections.abc import Callable

import pytest

from connectors.walk import KeysetWalk
from tests.faults.kinds import BY_NAME, KINDS, Kind
from tests.faults.nights import Story, combined, play
from tests.faults.truth import Ground
from tests.variants import first

N_COMBINED = 50


def engine_of(seed: int) -> str:
    """Most stories in memory, which is quick; `make soak` plays them all on both databases."""
    return {5: "duckdb", 20: "postgresql"}.get(seed % 25, "memory")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_fault_alone(kind: Kind, new_ground: Callable[[str], Ground]) -> None:
    story = play([kind], 1 + KINDS.index(kind), new_ground("memory"), is_export=False)
    assert story.wrongs == [], str(story)
    if kind.ends:
        assert {one == "ok" for one in story.outcomes} == {kind.ends == "ok"}, story.message


@pytest.mark.parametrize("seed", first(10, range(1, N_COMBINED + 1)))
def test_faults_combined(seed: int, new_ground: Callable[[str], Ground]) -> None:
    story = combined(seed, new_ground(engine_of(seed)))
    assert story.wrongs == [], f"{story}\nagain: python -m tests.faults --seed {seed}"


@pytest.mark.parametrize("engine", first(1, ["duckdb", "postgresql"]))
@pytest.mark.parametrize("name", first(1, ["a_few_hidden", "wrong_types"]))
def test_faults_that_leave_traces_in_a_real_warehouse(name: str, engine: str, new_ground: Callable[[str], Ground]) -> None:
    """Orphaned moves and quarantined keys are the warehouse's own queries; memory answers them otherwise."""
    story = play([BY_NAME[name]], 3, new_ground(engine), is_export=False)
    assert story.wrongs == [], str(story)


def no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sweep.Evidence.is_doubtful", False)


def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.memory.MemorySink.rejected", lambda self, stream: [])


def no_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.memory.MemorySink.orphans", lambda self, stream: [])


def deaf_to_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeysetWalk, "_skew_now", property(lambda self: lambda: 0, lambda self, value: None), raising=False)


@pytest.mark.parametrize(
    ("plant", "name", "seed"),
    first(2, [
        (no_doubt, "empty_page", 1),
        (no_orphans, "a_few_hidden", 1),
        (no_second_try, "wrong_types", 1),
        (no_doubt, "rights_shrink", 1),
        (deaf_to_clocks, "portal_clock_behind", 1),
    ]),
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_the_harness_finds_what_it_is_there_for(
    plant: Callable[[pytest.MonkeyPatch], None], name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    stories: list[Story] = [play([BY_NAME[name]], seed + n, Ground(), is_export=False) for n in range(3)]
    assert any(story.wrongs for story in stories)
