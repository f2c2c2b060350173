"""A story of nights: a portal that lives, faults that come and go, and what the warehouse says in the end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors import engine
from connectors.bitrix24 import Bitrix24, Options
from connectors.bitrix24.connector import LIMITS
from connectors.contract import Surroundings, SyncReport
from connectors.demo import Store, salon
from connectors.errors import SourceError
from connectors.pacing import SystemClock
from connectors.secrets import Secret
from pipeline.warehouse import utc_now
from tests.faults.kinds import KINDS, Kind
from tests.faults.portal import BentPortal
from tests.faults.stage import Stage
from tests.faults.truth import Ground, differences, living_ids

ZONE = ZoneInfo("Europe/Berlin")  # has DST days, which the portal's own clock (+03:00) has not
_MOST_NIGHTS = 4  # after the faults have ended
_TIMEOUT = 0.4


class HastyClock(SystemClock):
    """Waits a thousandth of what it is asked to, and believes it. `ahead_s`: how far its calendar is ahead of the true one."""

    def __init__(self) -> None:
        self._skipped = 0.0
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        self._skipped += seconds
        super().sleep(min(seconds, 30.0) / 1000)


@dataclass
class Story:
    """What happened. `wrongs` is empty when the promise was kept."""

    kinds: tuple[str, ...]
    seed: int
    is_export: bool = False  # the faults hit a first full export, not a nightly sync
    outcomes: list[str] = field(default_factory=list)  # of each night with faults: ok, or the error's class
    findings: set[str] = field(default_factory=set)  # of the nights with faults
    message: str = ""  # of the last error
    during: str = ""  # how the warehouse differed after the nights with faults
    n_nights: int = 0  # that recovery took
    wrongs: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        mode = "export" if self.is_export else "nightly"
        return f"seed {self.seed}: {' + '.join(self.kinds)} ({mode}): {'; '.join(self.wrongs) or 'kept'}"


def build_store(seed: int) -> Store:
    """About 150 leads, 40 deals and 600 stage changes, all readable."""
    store = salon.build(seed=seed, today=date(2026, 11, 16), weeks=5, weeks_after=2, leads_per_week=26)
    for table in (store.leads, store.deals):
        for column in table.columns.values():
            column.odd.clear()
    return store


def play(kinds: Sequence[Kind], seed: int, ground: Ground, *, is_export: bool, n_nights: int = 1) -> Story:
    """One story: a portal, `n_nights` nights with the faults, then nights without until the warehouse equals the portal."""
    story = Story(tuple(kind.name for kind in kinds), seed, is_export)
    with BentPortal(build_store(seed % 5)) as portal:
        _Teller(story, portal, ground, random.Random(f"{seed} {' '.join(story.kinds)}")).tell(kinds, n_nights)
        if portal.counters()["failures"]:
            story.wrongs.append("the demo portal itself failed (see stderr)")
    return story


def combined(seed: int, ground: Ground) -> Story:
    """The story of a seed: two to four kinds at once, in one or two nights, an export or a nightly sync."""
    rng = random.Random(seed)
    kinds = rng.sample(KINDS, rng.choice((2, 2, 3, 4)))
    if {"portal_clock_behind", "our_clock_behind"} <= {kind.name for kind in kinds}:  # then nobody could know
        kinds = [kind for kind in kinds if kind.name != "our_clock_behind"]
    return play(kinds, seed, ground, is_export=rng.random() < 0.3, n_nights=rng.choice((1, 1, 2)))


class _Teller:
    def __init__(self, story: Story, portal: BentPortal, ground: Ground, rng: random.Random) -> None:
        self._story, self._portal, self._ground, self._rng = story, portal, ground, rng
        self._clock = HastyClock()
        self._limits = replace(LIMITS, timeout=_TIMEOUT, parallel=rng.choice((1, 1, 4)))
        self._n_runs = 0
        self._stage = Stage(portal, self._clock, rng)

    def tell(self, kinds: Sequence[Kind], n_nights: int) -> None:
        story, stage = self._story, self._stage
        if not story.is_export:
            self._pull()
            self._pass(24)
        for _ in range(n_nights):
            stage.live(75)
            self._pass(6)
            for kind in kinds:
                kind.begin(stage)
            stage.live(75)
            self._pass(6)
            self._faulty_night(kinds)
            self._check("in the night of the faults", is_final=False)
            stage.live(6)
            stage.end()
            if story.outcomes[-1] == "ok":  # clocks that are right again before any night ended well leave no trace
                stage.set_clocks_right()
            stage.live(6)
            self._pass(12)
        while story.n_nights < _MOST_NIGHTS and not story.wrongs:
            if story.n_nights:
                stage.come_and_go()
                self._pass(24)
            story.n_nights += 1
            try:
                self._pull()
            except SourceError as error:
                story.wrongs.append(f"a night without faults failed: {type(error).__name__}: {error}")
                return
            if not differences(self._portal.store, self._ground, ZONE) and stage.are_clocks_right:
                break
            stage.set_clocks_right()
        self._check("after recovery", is_final=True)
        if not story.wrongs:
            self._pass(24)
            report = self._pull()
            if any(line.appended or line.deleted for line in report.streams.values()):
                story.wrongs.append("a quiet night brought new versions")

    def _faulty_night(self, kinds: Sequence[Kind]) -> None:
        story = self._story
        try:
            report = self._pull()
        except SourceError as error:
            story.outcomes.append(type(error).__name__)
            story.message = f"{error} -> {error.hint}"
            report = error.report or SyncReport()
            if not error.hint:
                story.wrongs.append(f"no advice in: {error}")
            if self._portal.options.secret in story.message:
                story.wrongs.append("the webhook's secret is in a message")
        else:
            story.outcomes.append("ok")
        story.findings |= {one.code for one in report.findings}

    def _check(self, when: str, *, is_final: bool) -> None:
        story, store = self._story, self._portal.store
        found = differences(store, self._ground, ZONE)
        if is_final:
            story.wrongs += [f"{when}: {name}: {one}" for name, one in found.items()]
        else:
            story.during = "; ".join(f"{name}: {one}" for name, one in found.items())
        if n := self._ground.n_doubled():
            story.wrongs.append(f"{when}: {n} versions twice")
        for entity in ("lead", "deal"):
            lost = (self._known[entity] - self._ground.rows(entity).keys()) & living_ids(store, entity)
            if lost:
                story.wrongs.append(f"{when}: {len(lost)} {entity}s called deleted that the portal has")

    def _pass(self, hours: float) -> None:
        self._portal.ahead_s += 3600.0 * hours
        self._clock.ahead_s += 3600.0 * hours

    def _pull(self) -> SyncReport:
        self._n_runs += 1
        options = Options(webhook=Secret(self._portal.webhook_url), contacts=False)
        connector = Bitrix24.open(options, Surroundings(ZONE, Secret("a key of this house")))
        connector.limits = self._limits
        self._known = {entity: set(self._ground.rows(entity)) for entity in ("lead", "deal")}
        sink = self._ground.sink(f"run-{self._n_runs}", lambda: utc_now() + timedelta(seconds=self._clock.ahead_s))
        return engine.pull(connector, sink, clock=self._clock)
