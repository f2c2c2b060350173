"""An in-memory CRM with a clock of its own: rows with gaps and ties, edits between pages, late and future stamps, lost rights."""

import random
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache

from connectors.conformance.facts import Facts, created, invent
from connectors.conformance.faults import Fault, FaultPlan
from connectors.contract import Meter, Stream, Walk


@lru_cache(maxsize=50_000)  # rows are shown many times
def _local(timezone: tzinfo, at: datetime) -> str:
    offset = timezone.utcoffset(at)  # of the wall clock: near enough to a DST switch, and the offset is written along
    assert offset is not None
    sign, size = ("-", -offset) if offset < timedelta() else ("+", offset)
    hours, rest = divmod(size.seconds // 60, 60)
    return f"{(at + offset).isoformat()}{sign}{hours:02}:{rest:02}"


@dataclass(slots=True)
class Row:
    """One row of the CRM. `facts` are typed but raw (UTC times, text as people typed it); fakes render them.

    `is_broken`: render it so that it cannot be read (`FakeCrm.nonsense` where a number belongs); the connector must reject it.
    """

    key: int
    modified: datetime
    facts: Facts
    is_deleted: bool = False
    is_hidden: bool = False
    is_broken: bool = False
    past: list[Facts] = field(default_factory=list)  # what it said before, oldest first
    touched: int = 0  # number of the change that touched it last; 0: never


@dataclass(slots=True)
class Found:
    """One page of rows: `total` counts all that match, `more` says that rows follow the page."""

    rows: list[Row]
    total: int
    more: bool


@dataclass(slots=True)
class Table:
    """The rows of one stream, reachable by key and in key order."""

    stream: Stream
    rows: dict[int, Row] = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)

    def add(self, row: Row) -> Row:
        if row.key not in self.rows:
            insort(self.keys, row.key)
        self.rows[row.key] = row
        return row


class FakeCrm:
    """The CRM a fake wire speaks for. Tables bear the names of the connector's streams.

    `now` is the server's clock (UTC), `timezone` the one it writes times in, `surprise` columns it adds to every row
    without having announced them, `nonsense` what stands where a broken row should hold a number.
    """

    def __init__(self, rng: random.Random, now: datetime, timezone: tzinfo, page: int, nonsense: str) -> None:
        self.rng = rng
        self.now = now
        self.timezone = timezone
        self.page = page
        self.nonsense = nonsense
        self.surprise: dict[str, str] = {}
        self.ignores: frozenset[str] = frozenset()  # of "filter", "order", "start"
        self.tables: dict[str, Table] = {}
        self.plan = FaultPlan()
        self.churn = 0.0  # chance that something changes before a call is answered
        self.n_changes = 0
        self.cost_s = 0.0  # seconds of budget one call of a method takes
        self.budget_s: float | None = None
        self.budget_window = 600.0
        self._spent: dict[str, deque[tuple[datetime, float]]] = {}

    # --- what fakes ask ---------------------------------------------------------------------------------------------

    def select(
        self,
        table: str,
        *,
        after: int = 0,
        upto: int | None = None,
        since: datetime | None = None,
        keys: Iterable[int] | None = None,
        where: Facts | None = None,
        is_descending: bool = False,
        start: int = 0,
        limit: int | None = None,
    ) -> Found:
        """Visible rows with key in (after, upto], changed at or after `since`, of these `keys`, with facts equal to `where`."""
        source = self.tables.get(table)
        if source is None:  # while the streams are not known yet: probes
            return Found([], 0, False)
        if "filter" in self.ignores:
            after, upto, since, keys = 0, None, None, None
        end = len(source.keys) if upto is None else bisect_right(source.keys, upto)
        names: Iterable[int] = source.keys[bisect_right(source.keys, after) : end]
        if keys is not None:
            wanted = set(keys)
            names = [key for key in names if key in wanted]
        rows = [row for key in names if not ((row := source.rows[key]).is_deleted or row.is_hidden)]
        if since is not None:
            rows = [row for row in rows if row.modified >= since]
        if where:
            rows = [row for row in rows if all(row.facts.get(name) == value for name, value in where.items())]
        if "order" in self.ignores:
            self.rng.shuffle(rows)
        elif is_descending:
            rows.reverse()
        if "start" in self.ignores:
            return Found(rows[:limit], len(rows), bool(rows))
        stop = len(rows) if limit is None else start + limit
        return Found(rows[start:stop], len(rows), stop < len(rows))

    def find(self, table: str, key: int) -> Row | None:
        """The row of that key, also when it is deleted or hidden; None when there never was one."""
        source = self.tables.get(table)
        return source.rows.get(key) if source else None

    def trouble(self, method: str) -> Fault | None:
        """What befalls one call inside a pack: a planted fault, or the budget of its method being used up."""
        self.stir()
        return self.plan.inner() or self.spend(method)

    def spend(self, method: str) -> Fault | None:
        """Bill one call to its method; `Fault.BUDGET` when the budget was used up before."""
        if self.budget_s is None or not self.cost_s:
            return None
        if (self.meter(method).spent_s or 0.0) > self.budget_s:
            return Fault.BUDGET
        minute = self.now.replace(second=0, microsecond=0)
        self._spent.setdefault(method, deque()).append((minute, self.cost_s))
        return None

    def meter(self, method: str) -> Meter:
        """The server's clock, and what the method has spent within the window."""
        entries = self._spent.get(method)
        if not entries:
            return Meter(now=self.now, spent_s=0.0)
        window = timedelta(seconds=self.budget_window)
        while entries and entries[0][0] + window <= self.now:
            entries.popleft()
        reset_at = entries[0][0] + window if entries else None
        return Meter(now=self.now, spent_s=sum(cost for _, cost in entries), reset_at=reset_at)

    def local(self, at: datetime) -> str:
        """`at` as ISO text in the CRM's own time zone, offset included."""
        return _local(self.timezone, at)

    # --- what happens in the CRM ------------------------------------------------------------------------------------

    def stir(self) -> None:
        """Let something change, now and then: people work while we read."""
        if self.churn and self.rng.random() < self.churn:
            self.change()

    def change(self, kinds: str = "insert edit touch delete late future restore") -> None:
        """One random change in one random table of rows that change."""
        tables = [table for table in self.tables.values() if table.stream.walk is Walk.KEYSET]
        table = self.rng.choice(tables)
        kind = "insert" if table.stream.is_append_only else self.rng.choice(kinds.split())
        lag = table.stream.lag.total_seconds()
        match kind:
            case "insert":
                self.insert(table)
            case "edit":
                self.edit(table)
            case "touch":
                self.edit(table, is_touch=True)
            case "late":  # stamped a while before it becomes visible
                self.edit(table, modified=self.now - timedelta(seconds=int(self.rng.uniform(0, 0.8 * lag))))
            case "future":
                self.edit(table, modified=self.now + timedelta(seconds=self.rng.randrange(60, 172_800)))
            case "delete":
                self.delete(table)
            case "restore":
                self.restore(table)

    def insert(self, table: Table, *, key: int | None = None, modified: datetime | None = None) -> Row:
        if key is None:
            key = (table.keys[-1] if table.keys else 0) + self.rng.choice((1, 1, 1, 2, 9))
        stamp = modified or self.now
        self.n_changes += 1
        return table.add(Row(key, stamp, invent(self.rng, table.stream, key, stamp), touched=self.n_changes))

    def edit(self, table: Table, *, modified: datetime | None = None, is_touch: bool = False) -> None:
        """A new version of a random live row; a touch only moves its stamp."""
        row = self._pick(table)
        if row is None:
            return
        self.n_changes += 1
        row.touched = self.n_changes
        row.modified = modified or self.now
        if not is_touch:
            made_at = row.facts.get("created_at", row.modified)
            row.past.append(row.facts)
            row.facts = created(invent(self.rng, table.stream, row.key, row.modified), made_at)

    def delete(self, table: Table) -> Row | None:
        row = self._pick(table)
        if row is not None:
            self.n_changes += 1
            row.touched = self.n_changes
            row.is_deleted = True
        return row

    def restore(self, table: Table, *, is_stamped: bool = True) -> None:
        """Out of the recycle bin. Unstamped, only a count can find it, and not when an equal number vanished meanwhile."""
        gone = [row for row in table.rows.values() if row.is_deleted]
        if gone:
            row = self.rng.choice(gone)
            self.n_changes += 1
            row.touched = self.n_changes
            row.is_deleted = False
            if is_stamped:
                row.modified = self.now

    def hide(self, table: Table) -> Row | None:
        """The reader loses the right to see a row."""
        row = self._pick(table)
        if row is not None:
            row.is_hidden = True
        return row

    def spoil(self, table: Table) -> Row | None:
        """A row turns unreadable."""
        row = self._pick(table)
        if row is not None:
            self.n_changes += 1
            row.touched = self.n_changes
            row.is_broken = True
            row.modified = self.now
        return row

    def live(self, table: str) -> list[Row]:
        source = self.tables[table]
        return [row for key in source.keys if not ((row := source.rows[key]).is_deleted or row.is_hidden)]

    def _pick(self, table: Table) -> Row | None:
        rows = self.live(table.stream.name)
        return self.rng.choice(rows) if rows else None

    def fill(self, stream: Stream, n: int, *, gap: float = 0.0, ties: int = 0, until: datetime | None = None) -> Table:
        """A table of `n` rows of the past year: `gap` is the share of keys left out, `ties` rows share one `modified`."""
        table = self.tables[stream.name] = Table(stream)
        last = until or self.now - timedelta(minutes=5)
        key, tied_at = 0, last - timedelta(seconds=self.rng.randrange(0, 3600))
        first_tied = self.rng.randrange(0, max(1, n - ties + 1))
        for place in range(n):
            key += 1 if self.rng.random() >= gap else self.rng.randrange(2, 12)
            stamp = last - timedelta(seconds=self.rng.randrange(0, 31_536_000))
            if first_tied <= place < first_tied + ties:
                stamp = tied_at
            table.add(Row(key, stamp, invent(self.rng, stream, key, stamp)))
        return table
