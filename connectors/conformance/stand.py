"""A test stand: one random CRM, one connector on a virtual line, one sink that may die at a commit, and all that was said."""

import json
import logging
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from zoneinfo import ZoneInfo

from connectors import engine
from connectors.conformance.crm import FakeCrm, Table
from connectors.conformance.fake import FakeWire, Violation
from connectors.conformance.faults import Crash
from connectors.conformance.line import VirtualClock, VirtualWire
from connectors.contract import Connector, Json, Landing, Limits, Stream, Surroundings, SyncReport, Walk
from connectors.errors import SourceError, TemporaryError
from connectors.memory import MemorySink
from connectors.secrets import Secret

CANARY = "canary0f5e1c"
NONSENSE = "12 000 canary0rub"
ZONES = ("Europe/Moscow", "Asia/Kathmandu", "America/New_York", "Europe/Berlin", "Asia/Vladivostok", "UTC")
START = datetime(2026, 11, 16, 3, 0)
_ASKED = ("probes", "streams", "call", "page", "count", "verdict", "meter", "pack", "unpack", "chain", "confirm", "fate")


class Narrowed(Connector):
    """The connector under proof with tighter limits, so that a small CRM needs many requests."""

    def __init__(self, inner: Connector, limits: Limits) -> None:
        self.inner = inner
        self.limits = limits
        self.endpoint = inner.endpoint
        for name in _ASKED:
            setattr(self, name, getattr(inner, name))

    def adapted(self, answers: Mapping[str, Json]) -> Connector:
        return Narrowed(self.inner.adapted(answers), self.limits)


class MortalSink(MemorySink):
    """A sink whose process dies before or after the commits named in `deaths`, counted from 0, and after `lifespan` of them."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths: dict[int, str] = {}
        self.lifespan: int | None = None
        self.n_tries = 0
        self.n_this_life = 0
        self.most_rows = 0  # of one commit
        self.states_seen: list[str] = []

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        number, self.n_tries = self.n_tries, self.n_tries + 1
        if self.deaths.get(number) == "before":
            raise Crash
        self.most_rows = max(self.most_rows, sum(len(landing.records) for landing in landings))
        appended = super().commit(landings)
        self.states_seen += [json.dumps(landing.state) for landing in landings if landing.state is not None]
        self.n_this_life += 1
        if self.deaths.get(number) == "after" or self.n_this_life == self.lifespan:
            raise Crash
        return appended


class Listener(logging.Handler):
    """Hears everything that is logged or raised while it is entered."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._said = said
        self._level = logging.NOTSET
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(self.format(record))

    def __enter__(self) -> "Listener":
        root = logging.getLogger()
        self._level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)
        if isinstance(error, SourceError):
            self._said += [*traceback.format_exception(error), error.hint]


class Stand:
    """One trial's apparatus. Everything random in it follows from `seed`."""

    def __init__(self, fake: FakeWire, seed: int | str, *, pack: int | None = None, parallel: int = 1) -> None:
        self.rng = random.Random(seed)
        self.fake = fake
        self.surroundings = Surroundings(ZoneInfo(self.rng.choice(ZONES)), Secret("canary0hash0key"))
        inner = fake.connector(self.surroundings, CANARY)
        natural = inner.limits
        limits = replace(natural, pack=min(natural.pack, pack or natural.pack), parallel=min(natural.parallel, parallel))
        self.connector = Narrowed(inner, limits)
        has_clock = type(inner).meter is not Connector.meter
        skew = timedelta(seconds=self.rng.randrange(-9000, 9000)) if has_clock else timedelta(0)
        self.clock = VirtualClock(START, skew)
        self.crm = FakeCrm(random.Random(self.rng.random()), START, ZoneInfo(self.rng.choice(ZONES)), natural.page, NONSENSE)
        self.crm.budget_s, self.crm.budget_window = natural.budget_s, natural.budget_window
        answers = {name: fake.answer(call, self.crm).body for name, call in inner.probes().items()}
        self.streams = inner.adapted(answers).streams()
        pack_method = inner.pack({}).method if natural.pack > 1 else None
        self.wire = VirtualWire(fake, self.crm, self.clock, natural, pack_method)
        self.sink = MortalSink()
        self.said: list[str] = []

    @property
    def shown(self) -> list[str]:
        """What the parts say of themselves."""
        return [repr(self.connector.inner), repr(self.connector.endpoint), repr(self.connector.probes())]

    @property
    def n_probe_requests(self) -> int:
        """Requests that ask the probes."""
        return -(-len(self.connector.probes()) // self.connector.limits.pack)

    @property
    def keyset(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.walk is Walk.KEYSET]

    @property
    def tables(self) -> list[Table]:
        return [self.crm.tables[stream.name] for stream in self.keyset]

    def fill(self, n: int | None = None, *, big: Stream | None = None) -> Table:
        """One big table (of `n` rows, else somewhere between none and six pages), the others small. Returns the big one."""
        page, choice = self.crm.page, self.rng.choice
        big = big or choice(self.keyset)
        if n is None:
            n = choice((0, 1, page - 1, page, page + 1, 2 * page, self.rng.randrange(6 * page)))
        for stream in self.streams:
            size = n if stream is big else choice((1, 4, 9, page + 3)) if stream.walk is Walk.WHOLE else self.rng.randrange(12)
            ties = page + 3 if size > 2 * page and self.rng.random() < 0.5 else 0
            self.crm.fill(stream, size, gap=choice((0.0, 0.1, 0.6)), ties=ties)
        return self.crm.tables[big.name]

    # --- pulling ----------------------------------------------------------------------------------------------------

    def pull(self, *, full: bool = False, stop: Callable[[], bool] | None = None) -> SyncReport:
        """One sync. Whatever is logged or raised is kept in `said`."""
        self.sink.n_this_life = 0
        with Listener(self.said):
            report = engine.pull(self.connector, self.sink, wire=self.wire, clock=self.clock, full=full, stop=stop)
        self.said.append(repr(report))
        return report

    def quiet_pull(self, *, hours: float = 5.0) -> SyncReport:
        """One sync later on, with nothing happening and nothing failing meanwhile."""
        self.crm.churn = 0.0
        self.crm.plan.outer, self.crm.plan.inner_at, self.crm.plan.lasting = {}, {}, None
        self.crm.cost_s = 0.0
        self.sink.deaths, self.sink.lifespan = {}, None
        self.clock.sleep(hours * 3600)
        return self.pull()

    def pull_until_done(self, *, most: int = 60) -> SyncReport:
        """Sync after sync, as a scheduler would, through deaths and faults that outlive the engine's patience."""
        for _ in range(most):
            try:
                return self.pull()
            except (Crash, TemporaryError):
                self.clock.sleep(600.0)
        raise Violation("progress", f"{most} syncs in a row did not come to an end")

    def later(self, hours: float) -> None:
        """Time passes without a sync."""
        self.clock.sleep(hours * 3600)
        self.crm.now = self.clock.server()


def small_stand(fake: FakeWire, seed: int, family: str) -> Stand:
    """Mostly with packs of a few calls, so that small tables need many requests; sometimes with the CRM's own."""
    return Stand(fake, f"{family}-{seed}", pack=(2, 3, 5, None)[seed % 4])
