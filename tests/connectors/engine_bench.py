"""One CRM, one connector and one sink that may die, put together for tests of the engine."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors import engine
from connectors.contract import Landing, Limits, Stream, SyncReport
from connectors.memory import MemorySink
from tests.connectors.packed_crm import (
    LABELS,
    MOVES,
    NOTES,
    SMALL,
    TICKETS,
    BareCrm,
    BareSink,
    Crm,
    PackedCrm,
    VirtualClock,
    VirtualWire,
)


class Death(Exception):
    """The process dies here."""


class MortalSink(MemorySink):
    """Dies before or after the commit of that number."""

    deadly: tuple[int, str] | None = None

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        number = self.n_commits
        if self.deadly == (number, "before"):
            raise Death
        appended = super().commit(landings)
        if self.deadly == (number, "after"):
            raise Death
        return appended


@dataclass
class Bench:
    """One CRM, one connector, one sink."""

    limits: Limits = SMALL
    wanted: Sequence[Stream] = (TICKETS,)
    with_probe: bool = False
    sink: MortalSink = field(default_factory=MortalSink)
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.crm = Crm(self.limits, self.clock)
        self.wire = VirtualWire(self.crm, self.clock)
        self.connector = PackedCrm(self.limits, self.wanted, with_probe=self.with_probe)

    def pull(self, *, full: bool = False, stop: Callable[[], bool] | None = None) -> SyncReport:
        return engine.pull(self.connector, self.sink, wire=self.wire, clock=self.clock, full=full, stop=stop)

    def later(self, hours: float = 24.0) -> None:
        self.clock.sleep(hours * 3600)
        self.wire.n = 0
        self.wire.sizes, self.wire.calls, self.wire.sent_at = [], [], []

    def check(self) -> None:
        """Every visible row is stored in its present form, and nothing else."""
        for stream in self.wanted:
            table = self.crm.tables[stream.name]
            stored = {int(key[-1]): row.stage for key, row in self.sink.rows(stream).items()}  # type: ignore[attr-defined]  # every test record has a stage
            assert stored == {key: row.stage for key, row in table.rows.items() if row.stage != "unreadable"}


def codes(report: SyncReport) -> set[str]:
    return {finding.code for finding in report.findings}


ALL = (TICKETS, NOTES, MOVES, LABELS)


def bare(limits: Limits, keys: Sequence[int]) -> tuple[Bench, BareSink]:
    bench = Bench(limits)
    bench.connector = BareCrm(limits, (TICKETS,))
    bench.crm.fill_bare("tickets", keys)
    return bench, BareSink()


def small_world(bench: Bench) -> None:
    """Four streams of a few requests each."""
    rng = random.Random(5)
    for name, n in (("tickets", 130), ("notes", 40), ("moves", 75)):
        bench.crm.fill(name, rng.sample(range(1, 3 * n), n))
    bench.crm.fill("labels", range(1, 7))
