"""The closing count: ranges whose number of rows differs from what we know lead to missed rows and to deleted ones."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from math import ceil

from connectors.contract import Answer, Connector, Deletes, Fate, Page, Slice, Stream
from connectors.errors import PayloadError
from connectors.ledger import Ledger
from connectors.turns import Chain, Questions, Turn, check_ascending

_GREATEST = 2**63 - 1
# A range is listed rather than split when it fits so many pages: splitting to single pages takes as many calls and more rounds.
_LISTED_PAGES = 4
_MANY_VANISHED, _VANISHED_SHARE = 20, 0.2  # more than this at once are rights that shrank, not deletions


class Sweep:
    """Compares one stream with the sink up to the greatest known key; `done` is called when all differences are resolved.

    Rows above that key are only read. A night without deletions costs two calls.
    """

    def __init__(self, connector: Connector, stream: Stream, ledger: Ledger, top: int, done: Callable[[], None]) -> None:
        self._connector = connector
        self._stream = stream
        self._ledger = ledger
        self._top = top
        self._done = done
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
        if self._top > 0:
            turns += self._counted([(0, self._top)])
        if not turns:
            self._done()
        return turns

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
        different = [
            (after, upto, n_known, n_shown)
            for (after, upto), n_known, n_shown in zip(ranges, known, shown, strict=True)
            if n_shown > n_known or (n_shown < n_known and not self._is_confirmed)
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
        self._finish()
        return []

    def _confirmed(self, candidates: Sequence[int]) -> list[Turn]:
        pack = max(1, self._connector.limits.pack)
        return [self._ask_fates(candidates[i : i + pack]) for i in range(0, len(candidates), pack)]

    def _ask_fates(self, keys: Sequence[int]) -> Turn:
        def answered(answers: Mapping[str, Answer]) -> list[Turn]:
            fates = {key: self._connector.fate(self._stream, answers[str(key)]) for key in keys}
            gone = [key for key, fate in fates.items() if fate is Fate.GONE]
            if gone:
                self._ledger.delete(self._stream, gone)
            self._n_hidden += sum(fate is Fate.HIDDEN for fate in fates.values())
            return self._closed(self._read_again([key for key, fate in fates.items() if fate is Fate.ALIVE]))

        def is_fate(answer: Answer) -> bool:
            with suppress(PayloadError):  # an error that says nothing of the row is judged by its verdict instead
                self._connector.fate(self._stream, answer)
                return True
            return False

        self._n_open += 1
        calls = {str(key): self._connector.confirm(self._stream, key) for key in keys}
        return Questions(self._stream.name, calls, answered, is_answer=is_fate)

    def _read_again(self, alive: Sequence[int]) -> list[Turn]:
        """Rows that a list did not show and that are there all the same."""
        size = self._connector.limits.page
        return [self._ask_rows(alive[i : i + size]) for i in range(0, len(alive), size)]

    def _ask_rows(self, keys: Sequence[int]) -> Turn:
        call = self._connector.call(self._stream, Slice(keys=tuple(keys)))

        def answered(answers: Mapping[str, Answer]) -> list[Turn]:
            page = self._connector.page(self._stream, answers["rows"].body)
            check_ascending(call.method, self._stream.name, page.keys, keys[0] - 1, keys[-1])
            self._ledger.land(self._stream, page)
            return self._closed([])

        self._n_open += 1
        return Questions(self._stream.name, {"rows": call}, answered)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _is_shrunk(self, n_vanished: int) -> bool:
        """Whether so many rows vanished at once that we rather lost the right to see them; tells it as a finding."""
        is_usual = n_vanished < _MANY_VANISHED or n_vanished <= _VANISHED_SHARE * self._n_known
        if is_usual or self._stream.deletes is not Deletes.COUNT:
            return False
        shown = self._n_known - n_vanished
        self._ledger.find("rights_shrunk", "error", self._stream.name, n_vanished, known=self._n_known, shown=shown)
        self._is_confirmed = True
        return True

    def _finish(self) -> None:
        if self._n_hidden:
            self._ledger.find("rights_shrunk", "warning", self._stream.name, self._n_hidden)
        if self._n_uncounted:
            self._ledger.find("rows_uncounted", "warning", self._stream.name, self._n_uncounted)
        self._done()


def _split(after: int, upto: int, n: int) -> list[tuple[int, int]]:
    """(after, upto] in at most `n` ranges of equal span."""
    step = max(1, ceil((upto - after) / n))
    cuts = [*range(after, upto, step), upto]
    return list(pairwise(cuts))
