"""A small invented CRM that takes several calls in one request, its connector, a virtual clock and a virtual wire with limits."""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from connectors.contract import (
    Answer,
    Call,
    Connector,
    Deletes,
    Endpoint,
    Fate,
    Json,
    Landing,
    Limits,
    Meter,
    Page,
    Reject,
    Ruling,
    Slice,
    Stream,
    Verdict,
    Walk,
)
from connectors.errors import PayloadError, TemporaryError
from connectors.memory import MemorySink
from connectors.records import Record
from connectors.secrets import Secret

START = datetime(2026, 11, 16, 3, 0)


@dataclass(slots=True)
class Ticket(Record):
    TABLE: ClassVar[str] = "tickets"
    KEY: ClassVar[tuple[str, ...]] = ("ticket_id",)

    ticket_id: str
    modified_at: datetime
    stage: str


@dataclass(slots=True)
class Move(Record):
    TABLE: ClassVar[str] = "moves"
    KEY: ClassVar[tuple[str, ...]] = ("move_id",)

    move_id: str
    stage: str


@dataclass(slots=True)
class Label(Record):
    TABLE: ClassVar[str] = "labels"
    KEY: ClassVar[tuple[str, ...]] = ("kind", "label_id")

    kind: str
    label_id: str
    stage: str


TICKETS = Stream("tickets", Ticket, is_incremental=True, deletes=Deletes.COUNT)
NOTES = Stream("notes", Ticket, is_incremental=True, deletes=Deletes.COUNT)
MOVES = Stream("moves", Move, is_append_only=True)
LABELS = Stream("labels", Label, walk=Walk.WHOLE, deletes=Deletes.SWEEP)

BITRIX_LIKE = Limits(rate=2.0, burst=50, page=50, pack=50, parallel=1)
SMALL = Limits(rate=2.0, burst=50, page=4, pack=6, parallel=1)


class VirtualClock:
    """Moves only when somebody waits."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.elapsed += seconds


@dataclass
class Row:
    key: int
    modified_at: datetime
    stage: str = "new"
    is_hidden: bool = False


class Table:
    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.order: list[int] = []

    def put(self, row: Row) -> None:
        if row.key not in self.rows:
            insort(self.order, row.key)
        self.rows[row.key] = row

    def drop(self, key: int) -> None:
        del self.rows[key]
        del self.order[bisect_left(self.order, key)]

    def select(self, after: int, upto: int | None, since: datetime | None) -> list[Row]:
        rows = [self.rows[self.order[i]] for i in self.span(after, upto)]
        return [row for row in rows if not row.is_hidden and (since is None or row.modified_at >= since)]

    def span(self, after: int, upto: int | None) -> range:
        """Positions of the keys in (after, upto]."""
        return range(bisect_right(self.order, after), len(self.order) if upto is None else bisect_right(self.order, upto))


class Crm:
    """The CRM's side: tables, pages, packs with references, errors by name."""

    def __init__(self, limits: Limits, clock: VirtualClock) -> None:
        self.limits = limits
        self.clock = clock
        self.tables = {name: Table() for name in ("tickets", "notes", "moves", "labels")}
        self.ignores: set[str] = set()  # "after", "order", "upto", "offset"
        self.inner_fault: Callable[[str, Mapping[str, Json]], str | None] = lambda name, params: None
        self.spent: dict[str, float] = {}
        self.cost_s = 0.0
        self.n_pages = 0
        self.has_clock = True
        self.is_still = False  # nothing hidden or ignored: answers come quickly

    def fill(self, name: str, keys: Sequence[int], *, age: timedelta = timedelta(days=9)) -> None:
        table = self.tables[name]
        table.order = sorted(keys)
        table.rows = {key: Row(key, START - age) for key in keys}
        self.is_still = len(keys) > 20_000

    def fill_bare(self, name: str, keys: Sequence[int]) -> None:
        """Rows that are keys and nothing else, for counting requests of big exports."""
        self.tables[name].order = list(keys)
        self.is_still = True

    def edit(self, name: str, key: int, stage: str) -> None:
        row = self.tables[name].rows[key]
        row.stage, row.modified_at = stage, self.clock.now()

    def add(self, name: str, key: int, *, modified_at: datetime | None = None) -> None:
        self.tables[name].put(Row(key, modified_at or self.clock.now()))

    def answer(self, call: Call) -> Answer:
        if call.method != "pack":
            return self.alone(call.method, call.params, {})
        results: dict[str, Json] = {}
        for name, (method, params) in call.params["calls"].items():
            fault = self.inner_fault(name, params)
            if fault == "absent":
                continue
            results[name] = {"error": fault} if fault else self.alone(method, params, results).body
        return Answer(200, {"results": results, **self._time("pack")})

    def alone(self, method: str, params: Mapping[str, Json], earlier: Mapping[str, Json]) -> Answer:
        if method == "hello":
            return Answer(200, {"rows": [], **self._time(method)})
        table = self.tables[params["of"]]
        if method == "get":
            row = table.rows.get(params["key"])
            code = "not found" if row is None else "denied" if row.is_hidden else ""
            return Answer(400, {"error": code}) if code else Answer(200, {"rows": [1]})
        self.n_pages += 1
        after = params.get("after", 0)
        if isinstance(after, str):  # the trap: a reference to a row that is not there reads as 0
            rows = earlier.get(after[1:], {}).get("rows", [])
            after = rows[self.limits.page - 1][0] if len(rows) >= self.limits.page else 0
        return Answer(200, self._list(params, table, after))

    def _list(self, params: Mapping[str, Json], table: Table, after: int) -> dict[str, Json]:
        since = datetime.fromisoformat(params["since"]) if params.get("since") else None
        after = 0 if "after" in self.ignores else after
        upto = None if "upto" in self.ignores else params.get("upto")
        if self.is_still and since is None:
            return self._quickly(params, table.span(after, upto), table)
        rows = table.select(after, upto, since)
        if params.get("keys"):
            rows = [row for row in rows if row.key in params["keys"]]
        body: dict[str, Json] = {"total": len(rows)} if params.get("count") else {}
        if params.get("last"):
            rows = rows[::-1]
        if "order" in self.ignores:
            rows = sorted(rows, key=lambda row: row.key * 7919 % 101)
        start = 0 if "offset" in self.ignores else params.get("start", 0)
        page = rows[start : start + self.limits.page]
        body["more"] = len(rows) > start + self.limits.page
        body["rows"] = [[row.key, row.modified_at.isoformat(), row.stage] for row in page]
        return {**body, **self._time("list")}

    def _quickly(self, params: Mapping[str, Json], span: range, table: Table) -> dict[str, Json]:
        """The same for big tables where nothing is hidden."""
        page = [table.order[i] for i in (span[: -self.limits.page - 1 : -1] if params.get("last") else span[: self.limits.page])]
        if table.rows:
            rows = [[key, table.rows[key].modified_at.isoformat(), table.rows[key].stage] for key in page]
        else:
            rows = [[key] for key in page]
        return {"total": len(span), "rows": rows, **self._time("list")}

    def _time(self, method: str) -> dict[str, Json]:
        self.spent[method] = self.spent.get(method, 0.0) + self.cost_s
        now = self.clock.now()
        times: dict[str, Json] = {"now": now.isoformat()} if self.has_clock else {}
        return {**times, "spent": self.spent[method], "reset": (now + timedelta(seconds=100)).isoformat()}


class VirtualWire:
    """Carries calls to the CRM under its limits; `faults` by number of the request, `before` is called with that number."""

    def __init__(self, crm: Crm, clock: VirtualClock, *, latency: float = 0.1) -> None:
        self.crm = crm
        self.clock = clock
        self.latency = latency
        self.faults: dict[int, Answer | TemporaryError] = {}
        self.before: Callable[[int], None] = lambda n: None
        self.n = 0
        self.n_rejected = 0
        self.sizes: list[int] = []
        self.sent_at: list[float] = []
        self.calls: list[Call] = []
        self.counter = 0.0
        self._ticked = 0
        self._lock = threading.Lock()

    def send(self, call: Call, timeout: float) -> Answer:
        with self._lock:
            number, self.n = self.n, self.n + 1
            assert self.n < 3_000, "the walk does not end"
            self.clock.sleep(self.latency)
            self.sizes.append(len(call.params.get("calls", [1])))
            self.sent_at.append(self.clock.monotonic())
            self.calls.append(call)
            self.before(number)
            fault = self.faults.get(number)
            if isinstance(fault, TemporaryError):
                raise fault
            if fault is not None:
                return fault
            if self._overflows():
                self.n_rejected += 1
                return Answer(503, {"error": "slow"})
            return self.crm.answer(call)

    def _overflows(self) -> bool:
        """The documented bucket: minus `rate` once a second, rejected beyond `burst`."""
        ticks = int(self.clock.monotonic())
        self.counter = max(0.0, self.counter - (ticks - self._ticked) * self.crm.limits.rate)
        self._ticked = ticks
        self.counter += 1
        return self.counter > self.crm.limits.burst


_VERDICTS = {
    "slow": Verdict.SLOW,
    "budget": Verdict.WAIT,
    "broken": Verdict.RETRY,
    "too much": Verdict.SPLIT,
    "expired": Verdict.REAUTH,
    "not found": Verdict.FATAL,
    "denied": Verdict.REAUTH,
    "wrong": Verdict.FATAL,
}


@dataclass
class PackedCrm(Connector):
    """The connector of `Crm`."""

    limits: Limits = BITRIX_LIKE
    wanted: Sequence[Stream] = (TICKETS, NOTES, MOVES, LABELS)
    endpoint: Endpoint = field(default_factory=lambda: Endpoint(Secret("https://crm.example/rest/1/canary/")))
    with_probe: bool = False

    def probes(self) -> Mapping[str, Call]:
        return {"hello": Call("hello")} if self.with_probe else {}

    def streams(self) -> Sequence[Stream]:
        return self.wanted

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        params: dict[str, Any] = {"of": stream.name, "after": part.after, "upto": part.upto, "start": part.start}
        params |= {"since": part.since.isoformat() if part.since else None, "keys": part.keys, "count": count, "last": last}
        return Call("list", params)

    def page(self, stream: Stream, body: Json) -> Page:
        if "rows" not in body:
            raise PayloadError("no rows")
        rows = body["rows"]
        page = Page([], [row[0] for row in rows], more=body.get("more", False))
        for key, modified_at, stage in rows:
            if stage == "unreadable":
                page.rejects.append(Reject(str(key), "not a stage", "stage"))
            elif stream.record is Ticket:
                page.records.append(Ticket(str(key), datetime.fromisoformat(modified_at), stage))
            elif stream.record is Move:
                page.records.append(Move(str(key), stage))
            else:
                page.records.append(Label("stage", str(key), stage))
        if any(row[2] == "strange" for row in rows):
            page.unknown = frozenset({"COLOUR"})
        return page

    def count(self, stream: Stream, body: Json) -> tuple[int, list[int]]:
        return body.get("total", 0), [row[0] for row in body["rows"]]

    def verdict(self, answer: Answer) -> Ruling:
        if not answer.is_json:
            return Ruling(Verdict.SPLIT if answer.status in (502, 504) else Verdict.RETRY, f"HTTP {answer.status}")
        code = answer.body.get("error") if isinstance(answer.body, dict) else "broken"
        return Ruling(_VERDICTS[code], code, "ask the owner") if code else Ruling(Verdict.OK)

    def meter(self, body: Json) -> Meter:
        if not isinstance(body, dict) or "reset" not in body:
            return Meter()
        now = datetime.fromisoformat(body["now"]) if "now" in body else None
        return Meter(now, body["spent"], datetime.fromisoformat(body["reset"]))

    def pack(self, calls: Mapping[str, Call]) -> Call:
        return Call("pack", {"calls": {name: (call.method, call.params) for name, call in calls.items()}})

    def unpack(self, body: Json, names: Sequence[str]) -> dict[str, Answer]:
        results = body["results"]
        return {name: Answer(400 if "error" in results[name] else 200, results[name]) for name in names if name in results}

    def chain(self, stream: Stream, name: str) -> str:
        return f"${name}"

    def confirm(self, stream: Stream, key: int) -> Call:
        return Call("get", {"of": stream.name, "key": key})

    def fate(self, stream: Stream, answer: Answer) -> Fate:
        code = answer.body.get("error")
        if code is None:
            return Fate.ALIVE
        if code not in ("not found", "denied"):
            raise PayloadError("neither gone nor hidden")
        return Fate.GONE if code == "not found" else Fate.HIDDEN


class BareCrm(PackedCrm):
    """Its records are bare keys."""

    def page(self, stream: Stream, body: Json) -> Page:
        keys = [row[0] for row in body["rows"]]
        return Page(list(keys), keys)  # type: ignore[arg-type]  # bare keys stand for records


class BareSink(MemorySink):
    """Keeps keys only."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        for landing in landings:
            self.numbers += landing.records  # type: ignore[arg-type]  # bare keys
        return super().commit([replace(landing, records=[]) for landing in landings])

    def counts(self, stream: Stream, ranges: Sequence[tuple[int, int]]) -> list[int]:
        self.numbers.sort()
        return [bisect_right(self.numbers, upto) - bisect_right(self.numbers, after) for after, upto in ranges]


def unpacked(limits: Limits) -> Limits:
    return replace(limits, pack=1)
