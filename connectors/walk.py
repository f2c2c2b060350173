"""How a stream with ascending keys is read: which ranges are left, what to remember, and what follows once they are walked."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice, pairwise
from math import ceil, sqrt
from operator import gt

from connectors.contract import Answer, Connector, Deletes, Json, Page, Slice, Stream
from connectors.errors import PayloadError
from connectors.ledger import Ledger
from connectors.sweep import Evidence, Sweep
from connectors.turns import Chain, Questions, Turn, check_ascending

_GROWTH = 10  # pages of the second turn where nobody knows how many rows there are
_SPREADS = 1.5  # standard deviations of slack in a shard whose ids have gaps


class KeysetWalk:
    """One stream's walk by key: a full export in shards, a window of changes, or what came after the last key.

    State while walking: `began` (server time), `left` (ranges still to read), `window` (changed since), `read` (rows of
    the window so far), `goal` and `gap` (greatest key and keys per row when the export began), `sweep` (a closing count is owed).
    State at rest: `since` (when the last complete walk began), `skew` (seconds that the server's clock was ahead of ours then),
    `after` (the greatest key known), `doubt` (since when the source may have hidden changes: read once it hides nothing),
    `hidden` (how many known rows it hid) and `forgets` (it forgets the moves of what is deleted).
    """

    def __init__(
        self,
        connector: Connector,
        stream: Stream,
        ledger: Ledger,
        base: Callable[[], datetime],
        *,
        full: bool,
        skew: Callable[[], int] = lambda: 0,
    ) -> None:
        self.stream = stream
        self.has_changed = False  # since the state was last asked for
        self._connector = connector
        self._ledger = ledger
        self._base = base
        self._live: set[Chain] = set()
        self._is_open = True  # until the walk (not its sweep) is complete
        known = ledger.sink.state(stream) or {}
        self._stored: Mapping[str, Json] = {} if full else known
        self._doubt = _moment(known.get("doubt"))
        self._asked_since = _moment(known.get("window")) or _moment(known.get("since"))  # by the changes this sync began with
        self._evidence = Evidence(n_hidden_before=int(known.get("hidden", 0)), forgets=bool(known.get("forgets")))
        self._n_hidden = self._evidence.n_hidden_before
        self._is_second_look = False  # at what happened since `doubt`
        self._is_unchecked = False  # the changes are read and nobody has counted yet: if this sync ends now, they are in doubt
        self._skew_now = skew
        self._top = int(self._stored.get("after", 0))
        self._began = _moment(self._stored.get("began"))
        self._since = _moment(self._stored.get("since"))
        self._skew: int | None = self._stored.get("skew")
        self._window = _moment(self._stored.get("window"))
        self._n_read: int | None = self._stored.get("read")  # rows of the window so far
        self._goal = int(self._stored.get("goal", 0))
        self._gap = float(self._stored.get("gap", 1.0))
        self._owes_sweep = bool(self._stored.get("sweep", False))
        self._is_resumed = "left" in self._stored
        limits = connector.limits
        self._most_pages = max(1, limits.pack // 2)  # of one shard: two fill a pack

    # --- what to do ---------------------------------------------------------------------------------------------------

    def start(self) -> list[Turn]:
        """The first turns of this sync."""
        if self._is_resumed:
            return [turn for after, upto in self._stored["left"] for turn in self._planned(after, upto)]
        if self._since is not None and self.stream.is_append_only:
            return [self._chain(self._top, None, 1)]
        if self._since is not None and self.stream.is_incremental:
            turns = self._changes(self._since)
            self._asked_since = self._window
            return turns
        self._owes_sweep = True
        if self._connector.limits.pack <= 1 and self._connector.limits.parallel <= 1:
            return [self._chain(0, None, 1)]  # nothing to cut into shards for
        call = self._connector.call
        questions = {
            "first": call(self.stream, Slice()),
            "last": call(self.stream, Slice(), last=True),
            "count": call(self.stream, Slice(), count=True),
        }
        return [Questions(self.stream.name, questions, self._opened)]

    def state(self) -> dict[str, Json]:
        """What to store: exactly what remains to be done."""
        self.has_changed = False
        if self._began is None:
            self._began, self._skew = self._base(), self._skew_now()
        state: dict[str, Json] = {"after": self._top, "skew": self._skew or 0}
        doubt = self._doubt or (self._asked_since if self._is_unchecked else None)
        if doubt is not None:
            state["doubt"] = doubt.isoformat()
        if self._n_hidden:
            state["hidden"] = self._n_hidden
        if self._evidence.forgets:
            state["forgets"] = True
        if self._owes_sweep:
            state["sweep"] = True
        if self._since is not None:
            state["since"] = self._since.isoformat()
        if self._is_open:
            state["began"] = self._began.isoformat()
            state["left"] = _merged((chain.after, chain.upto) for chain in self._live)
            state["goal"], state["gap"] = self._goal, round(self._gap, 6)
            if self._window is not None:
                state["window"], state["read"] = self._window.isoformat(), self._n_read
        return state

    # --- the full export ----------------------------------------------------------------------------------------------

    def _opened(self, answers: Mapping[str, Answer]) -> list[Turn]:
        """First page, greatest key and count are known: cut the rest into shards."""
        stream, connector = self.stream, self._connector
        page = connector.page(stream, answers["first"].body)
        check_ascending(connector.call(stream, Slice()).method, stream.name, page.keys, 0, None)
        self._landed(page)
        if len(page.keys) < connector.limits.page:
            return self._walked()
        _, down = connector.count(stream, answers["last"].body)
        if not all(map(gt, down, islice(down, 1, None))):
            raise PayloadError(f"{stream.name}: the last keys do not descend: the server ignores the order")
        total, _ = connector.count(stream, answers["count"].body)
        last = page.keys[-1]
        self._goal = max(down[0] if down else last, last)
        self._gap = max(1.0, (self._goal - last) / max(1, total - len(page.keys)))
        self._ledger.expected[stream.name] = total
        return self._planned(last, None)

    def _planned(self, after: int, upto: int | None) -> list[Turn]:
        """Chains for the range: shards of equal size up to the goal, the last one open-ended when the range is."""
        if self._window is not None or (upto is None and after >= self._goal):
            return [self._chain(after, upto, 1)]
        edge = self._goal if upto is None else upto
        cuts = [*range(after, edge, self._step(after, edge)), upto]
        chains: list[Turn] = [self._chain(low, high, self._pages(low, high)) for low, high in pairwise(cuts) if high is not None]
        if upto is None:  # one page more: only a short page ends it
            low = cuts[-2] or 0
            chains.append(self._chain(low, None, min(self._pages(low, edge) + 1, self._most_pages)))
        return chains

    def _step(self, after: int, edge: int) -> int:
        """Keys a shard spans."""
        limits = self._connector.limits
        if limits.pack <= 1:  # a shard may end with a short page: no more of them than can be walked at once
            return max(limits.page, ceil((edge - after) / limits.parallel))
        rows = self._most_pages * limits.page
        slack = _SPREADS * sqrt(rows * (1.0 - 1.0 / self._gap))
        return max(1, int((rows - slack) * self._gap))

    def _pages(self, after: int, edge: int) -> int:
        """Pages to ask for so that (after, edge] is very likely read in one turn."""
        size = self._connector.limits.page
        rows = (edge - after) / self._gap
        likely = rows + _SPREADS * sqrt(max(0.0, rows * (1.0 - 1.0 / self._gap)))
        return max(1, min(ceil(likely / size), ceil((edge - after) / size), self._most_pages))

    def _onward(self, chain: Chain) -> list[Turn]:
        """A turn of a chain is done: what next."""
        self.has_changed = True
        if chain.is_finished:
            self._live.discard(chain)
            return [] if self._live else self._walked()
        edge = self._goal if chain.upto is None else chain.upto
        if self._window is not None or chain.after >= edge:
            chain.pages = _GROWTH if chain.pages < _GROWTH else self._connector.limits.pack
            return [chain]
        if self._connector.limits.pack <= 1:
            return [chain]
        # Ids may lie denser here than on average: then the rest is worth more than one shard.
        self._gap, average = max(1.0, min(self._gap, chain.gap())), self._gap
        self._live.discard(chain)
        turns = self._planned(chain.after, chain.upto)
        self._gap = average
        return turns

    # --- changes ------------------------------------------------------------------------------------------------------

    def _changes(self, since: datetime) -> list[Turn]:
        """The walk through what changed since. No upper bound: rows may be dated ahead of any clock.

        When one of the clocks was set meanwhile, nobody knows which and when: times of then and now may differ by as much.
        """
        jump = 0 if self._skew is None else abs(self._skew_now() - self._skew)
        self._window, self._n_read = since - self.stream.lag - timedelta(seconds=jump), 0
        return [self._chain(0, None, 1)]

    # --- after the walk -----------------------------------------------------------------------------------------------

    def _walked(self) -> list[Turn]:
        """All ranges are read: close the state, and see whether anything was missed."""
        self.has_changed = True
        since = self._began or self._base()
        if self._window is not None and self._n_read is not None and self.stream.deletes is Deletes.COUNT:
            self._evidence.windows.append((self._window, self._n_read))
        self._window = None
        if self._is_resumed and self.stream.is_incremental:
            # The interrupted walk may have begun days ago: what changed since is part of this sync.
            self._is_resumed = False
            turns = self._changes(since)
            self._since, self._began = since, None
            return turns
        self._since, self._began = since, None
        self._is_open = False
        if self._is_second_look:
            self._doubt, self._is_second_look = None, False
            return []
        if not (self._owes_sweep or self.stream.deletes is Deletes.COUNT or self.stream.is_append_only):
            return []
        self._is_unchecked = self.stream.deletes is Deletes.COUNT
        return Sweep(self._connector, self.stream, self._ledger, self._top, self._swept, self._evidence).start()

    def recount(self) -> list[Turn]:
        """Once all streams are done: a second closing count, if rows that these belong to were deleted meanwhile."""
        owner = self._ledger.report.streams.get(self.stream.of)
        if owner is None or not owner.deleted or self._is_open:
            return []
        return Sweep(self._connector, self.stream, self._ledger, self._top, self._swept, self._evidence).start()

    def _swept(self) -> list[Turn]:
        """Everything is counted. What the source hid tonight may have changed before this walk: no later one asks for it."""
        evidence = self._evidence
        self.has_changed = True
        self._owes_sweep = self._is_unchecked = False
        self._n_hidden = evidence.n_hidden
        if evidence.is_doubtful:
            self._doubt = self._doubt or self._asked_since
        elif self._doubt is not None and self.stream.is_incremental:
            self._is_second_look = self._is_open = True
            self._began = self._since
            return self._changes(self._doubt)
        return []

    def _chain(self, after: int, upto: int | None, pages: int) -> Chain:
        chain = Chain(
            self._connector, self.stream, after, upto, pages=pages, since=self._window, landed=self._landed, onward=self._onward
        )
        self._live.add(chain)
        return chain

    def _landed(self, page: Page) -> None:
        self.has_changed = True
        self._ledger.land(self.stream, page)
        if page.keys:
            self._top = max(self._top, page.keys[-1])
        if self._n_read is not None:
            self._n_read += len(page.keys)


def _moment(text: Json) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _merged(ranges: Iterable[tuple[int, int | None]]) -> list[list[int | None]]:
    """Ranges with touching neighbours joined: shards not yet begun become one."""
    merged: list[list[int | None]] = []
    for after, upto in sorted(ranges, key=lambda one: one[0]):
        if merged and merged[-1][1] == after:
            merged[-1][1] = upto
        else:
            merged.append([after, upto])
    return merged
