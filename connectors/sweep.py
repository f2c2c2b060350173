"""The closing count: ranges whose number of rows differs from what we know lead to missed rows and to deleted ones."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from math import ceil

from connectors.contract import Answer, Connector, Deletes, Fate, Page, Slice, Stream
from connectors.fates import ask_fates, ask_rows, is_shrunk
from connectors.ledger import Ledger
from connectors.turns import Chain, Questions, Turn

_GREATEST = 2**63 - 1
# A range is listed rather than split when it fits so many pages: splitting to single pages takes as many calls and more rounds.
_LISTED_PAGES = 4
_TRIED_PAGES = 20  # of quarantined rows a night: more of them are no accident, and a person has been told


@dataclass(slots=True)
class Evidence:
    """What a closing count goes by, and what it found of the source's candour."""

    windows: list[tuple[datetime, int]] = field(default_factory=list)  # changes listed: since when, how many rows
    n_hidden_before: int = 0  # known rows that were there and not shown the last time
    forgets: bool = False  # the source forgets the moves of what is deleted
    n_hidden: int = 0  # found tonight
    is_short: bool = False  # found tonight: a list had fewer rows than are counted

    @property
    def is_doubtful(self) -> bool:
        return self.n_hidden > 0 or self.is_short


class Sweep:
    """Compares one stream with the sink up to the greatest known key; `done` is called when all differences are resolved.

    Rows above that key are only read, and quarantined ones are tried again. A night without deletions costs three calls.
    """

    def __init__(
        self,
        connector: Connector,
        stream: Stream,
        ledger: Ledger,
        top: int,
        done: Callable[[], list[Turn]],
        evidence: Evidence,
    ) -> None:
        self._connector = connector
        self._stream = stream
        self._ledger = ledger
        self._top = top
        self._done = done
        self._evidence = evidence
        self._orphans: list[int] | None = None
        self._is_thorough = False
        self._n_open = 0  # turns under way
        self._n_known = -1
        self._n_hidden = 0
        self._n_uncounted = 0
        self._candidates: list[int] = []
        self._is_confirmed = stream.deletes is not Deletes.COUNT  # then there is nothing to confirm

    def start(self) -> list[Turn]:
        """The first turns."""
        beyond = self._ledger.sink.keys(self._stream, self._top, _GREATEST)  # known from before the state was lost
        self._top = beyond[-1] if beyond else self._top
        turns = [self._beyond()] if self._stream.is_incremental else []
        turns += [self._ask_window(*window) for window in self._evidence.windows]
        turns += self._tried_again(self._ledger.sink.rejected(self._stream))
        if self._top > 0:
            turns += self._counted([(0, self._top)])
        return turns or self._done()

    def _beyond(self) -> Turn:
        """Rows above the greatest known key: old ones that we may see only now are in no window of changes."""

        def onward(chain: Chain) -> list[Turn]:
            if chain.is_finished:
                return self._closed([])
            chain.pages = self._connector.limits.pack
            return [chain]

        def landed(page: Page) -> None:
            self._ledger.land(self._stream, page)

        self._n_open += 1
        return Chain(self._connector, self._stream, self._top, None, pages=1, landed=landed, onward=onward)

    def _ask_window(self, since: datetime, n_received: int) -> Turn:
        """Whether the list of changes showed as many rows as are counted: an empty page in it would look like a quiet night."""

        def answered(answers: Mapping[str, Answer]) -> list[Turn]:
            self._evidence.is_short |= self._connector.count(self._stream, answers["count"].body)[0] > n_received
            return self._closed([])

        self._n_open += 1
        call = self._connector.call(self._stream, Slice(since=since), count=True)
        return Questions(self._stream.name, {"count": call}, answered)

    def _tried_again(self, rejected: Sequence[int]) -> list[Turn]:
        """Quarantined rows are asked for anew: if only the answer was wrong, no change will ever bring them."""

        def came(page: Page) -> list[Turn]:
            if page.records:  # those that cannot be read still are in quarantine already, and were told when they came
                self._ledger.land(self._stream, Page(page.records, [], unknown=page.unknown))
            return self._closed([])

        size = self._connector.limits.page
        parts = [rejected[i : i + size] for i in range(0, min(len(rejected), _TRIED_PAGES * size), size)]
        self._n_open += len(parts)
        return [ask_rows(self._connector, self._stream, part, came) for part in parts]

    # --- counting -----------------------------------------------------------------------------------------------------

    def _counted(self, ranges: Sequence[tuple[int, int]]) -> list[Turn]:
        """Turns that ask how many rows lie in each range."""
        pack = max(1, self._connector.limits.pack)
        return [self._ask_counts(ranges[i : i + pack]) for i in range(0, len(ranges), pack)]

    def _ask_counts(self, ranges: Sequence[tuple[int, int]]) -> Turn:
        call = self._connector.call
        calls = {str(i): call(self._stream, Slice(after, upto), count=True) for i, (after, upto) in enumerate(ranges)}

        def answered(answers: Mapping[str, Answer]) -> list[Turn]:
            shown = [self._connector.count(self._stream, answers[str(i)].body)[0] for i in range(len(ranges))]
            return self._closed(self._compared(ranges, shown))

        self._n_open += 1
        return Questions(self._stream.name, calls, answered)

    def _compared(self, ranges: Sequence[tuple[int, int]], shown: Sequence[int]) -> list[Turn]:
        """Equal ranges are done; others are listed when they are small, else split."""
        known = self._ledger.sink.counts(self._stream, ranges)
        if self._n_known < 0:
            self._n_known = known[0]
            if self._is_shrunk(known[0] - shown[0]):
                return []
            # Rows are shown again: those that came meanwhile may be as many as were deleted, and only listing them all tells.
            self._is_thorough = known[0] - shown[0] < self._evidence.n_hidden_before
        different = [
            (after, upto, n_known, n_shown)
            for (after, upto), n_known, n_shown in zip(ranges, known, shown, strict=True)
            if self._is_different(after, upto, n_known, n_shown)
        ]
        few = _LISTED_PAGES * self._connector.limits.page
        turns: list[Turn] = []
        halves: list[tuple[int, int]] = []
        fan = max(2, self._connector.limits.pack // max(1, len(different)))
        for after, upto, n_known, n_shown in different:
            if n_known <= few or upto - after <= few:
                turns.append(self._listed(after, upto, n_shown))
            else:
                halves += _split(after, upto, min(fan, ceil(n_known / few) * 2))
        return turns + self._counted(halves)

    def _is_different(self, after: int, upto: int, n_known: int, n_shown: int) -> bool:
        if self._is_thorough:
            return True
        if not self._stream.of:
            return n_shown > n_known or (n_shown < n_known and not self._is_confirmed)
        # A source may forget the moves of what is deleted, we do not: uncorrected they would make up for rows that are missing.
        if n_shown == n_known and not self._evidence.forgets:
            return False
        if self._orphans is None:
            self._orphans = self._ledger.sink.orphans(self._stream)
        n_orphans = bisect_right(self._orphans, upto) - bisect_right(self._orphans, after)
        self._evidence.forgets |= n_shown < n_known and n_orphans > 0
        return n_shown > n_known - n_orphans

    # --- listing ------------------------------------------------------------------------------------------------------

    def _listed(self, after: int, upto: int, n_shown: int) -> Turn:
        """A chain that lists a range: what we lack is stored, what we know and do not see becomes a candidate."""
        known = set(self._ledger.sink.keys(self._stream, after, upto))
        listed: set[int] = set()
        key_field = self._stream.record.KEY[-1]
        limits = self._connector.limits

        def landed(page: Page) -> None:
            missing = set(page.keys) - known
            listed.update(page.keys)
            if missing:
                records = [row for row in page.records if int(getattr(row, key_field)) in missing]
                known_names = {str(key) for key in known}
                rejects = [one for one in page.rejects if one.key not in known_names]
                self._ledger.land(self._stream, Page(records, [], rejects, unknown=page.unknown))
                self._ledger.line(self._stream).recovered += len(missing)

        def onward(chain: Chain) -> list[Turn]:
            if not chain.is_finished:
                chain.pages = limits.pack
                return [chain]
            self._n_uncounted += max(0, n_shown - len(listed))
            if not self._is_confirmed:
                self._candidates += known - listed
            return self._closed([])

        self._n_open += 1
        pages = ceil((n_shown + 1) / limits.page)
        return Chain(self._connector, self._stream, after, upto, pages=pages, landed=landed, onward=onward)

    # --- confirming ---------------------------------------------------------------------------------------------------

    def _closed(self, following: list[Turn]) -> list[Turn]:
        """One turn is done and others follow; when none is left, the candidates are confirmed, then the sweep ends."""
        self._n_open -= 1
        if following or self._n_open:
            return following
        if not self._is_confirmed:
            self._is_confirmed = True
            if self._candidates and not self._is_shrunk(len(self._candidates)):
                return self._confirmed(sorted(self._candidates))
        return self._finish()

    def _confirmed(self, candidates: Sequence[int]) -> list[Turn]:
        pack = max(1, self._connector.limits.pack)
        return [self._ask_fates(candidates[i : i + pack]) for i in range(0, len(candidates), pack)]

    def _ask_fates(self, keys: Sequence[int]) -> Turn:
        def told(fates: Mapping[int, Fate]) -> list[Turn]:
            gone = [key for key, fate in fates.items() if fate is Fate.GONE]
            if gone:
                self._ledger.delete(self._stream, gone)
            self._n_hidden += sum(fate is Fate.HIDDEN for fate in fates.values())
            return self._closed(self._read_again([key for key, fate in fates.items() if fate is Fate.ALIVE]))

        self._n_open += 1
        return ask_fates(self._connector, self._stream, keys, told)

    def _read_again(self, alive: Sequence[int]) -> list[Turn]:
        """Rows that a list did not show and that are there all the same."""
        size = self._connector.limits.page
        return [self._ask_rows(alive[i : i + size]) for i in range(0, len(alive), size)]

    def _ask_rows(self, keys: Sequence[int]) -> Turn:
        def came(page: Page) -> list[Turn]:
            self._ledger.land(self._stream, page)
            return self._closed([])

        self._n_open += 1
        return ask_rows(self._connector, self._stream, keys, came)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _is_shrunk(self, n_vanished: int) -> bool:
        """Whether so many rows vanished at once that we rather lost the right to see them; tells it as a finding."""
        if not is_shrunk(n_vanished, self._n_known) or self._stream.deletes is not Deletes.COUNT:
            return False
        shown = self._n_known - n_vanished
        self._ledger.find("rights_shrunk", "error", self._stream.name, n_vanished, known=self._n_known, shown=shown)
        self._is_confirmed = True
        self._evidence.n_hidden = n_vanished
        return True

    def _finish(self) -> list[Turn]:
        if self._n_hidden:
            self._ledger.find("rights_shrunk", "warning", self._stream.name, self._n_hidden)
        if self._n_uncounted:
            self._ledger.find("rows_uncounted", "warning", self._stream.name, self._n_uncounted)
        self._evidence.n_hidden += self._n_hidden
        self._evidence.is_short |= self._n_uncounted > 0
        return self._done()


def _split(after: int, upto: int, n: int) -> list[tuple[int, int]]:
    """(after, upto] in at most `n` ranges of equal span."""
    step = max(1, ceil((upto - after) / n))
    cuts = [*range(after, upto, step), upto]
    return list(pairwise(cuts))
