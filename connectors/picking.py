"""Rows picked by key, because somebody said that they changed: the rows, what belongs to them, and what is gone.

The walks know nothing of it: their states stay, and the next sync reads the same rows again and finds nothing new.
"""

from collections.abc import Iterable, Mapping, Sequence

from connectors.contract import Connector, Deletes, Fate, Page, Stream
from connectors.errors import PayloadError
from connectors.fates import ask_fates, ask_rows, is_shrunk
from connectors.ledger import Ledger
from connectors.turns import Chain, Turn

_GREATEST = 2**63 - 1
_BELONGING_PAGES = 3  # asked for at first: a page of leads has two or three pages of moves


class Picking:
    """Brings given keys of one stream up to date, with all rows of the streams that are `of` it.

    A row that no list shows is gone only if the source confirms it by key, and not when many vanished at once: the closing count
    of the next sync decides about those, with all known rows before its eyes.
    """

    def __init__(
        self, connector: Connector, stream: Stream, belonging: Sequence[Stream], ledger: Ledger, keys: Iterable[int]
    ) -> None:
        self._connector = connector
        self._stream = stream
        self._belonging = belonging
        self._ledger = ledger
        self._keys = sorted(set(keys))
        self._n_open = 0  # lists of rows under way
        self._unseen: list[int] = []
        self._n_hidden = 0

    def start(self) -> list[Turn]:
        """The first turns: rows and what belongs to them, a page of keys each."""
        turns: list[Turn] = []
        for keys in self._pages(self._keys):
            turns.append(self._rows(keys))
            turns += [self._belongings(stream, keys) for stream in self._belonging]
        return turns

    def _rows(self, keys: tuple[int, ...]) -> Turn:
        self._n_open += 1
        return ask_rows(self._connector, self._stream, keys, lambda page: self._came(page, keys))

    def _pages(self, keys: Sequence[int]) -> list[tuple[int, ...]]:
        size = self._connector.limits.page
        return [tuple(keys[i : i + size]) for i in range(0, len(keys), size)]

    def _belongings(self, stream: Stream, keys: tuple[int, ...]) -> Chain:
        """A walk through the rows of `stream` that belong to the keys."""
        names = {str(key) for key in keys}

        def landed(page: Page) -> None:
            if any(getattr(row, "entity_id", None) not in names for row in page.records):
                raise PayloadError(
                    f"{chain.method} ({stream.name}): rows came that belong to others than asked for",
                    hint="the server ignores the filter; nothing of this answer was stored: report it with the method's name",
                )
            self._ledger.land(stream, page)

        def onward(chain: Chain) -> list[Turn]:
            chain.pages *= 2
            return [] if chain.is_finished else [chain]

        chain = Chain(self._connector, stream, 0, None, pages=_BELONGING_PAGES, of=keys, landed=landed, onward=onward)
        return chain

    def _came(self, page: Page, keys: tuple[int, ...]) -> list[Turn]:
        """A page of rows is here; when all are, those not shown are asked for one by one."""
        self._ledger.land(self._stream, page)
        self._unseen += set(keys).difference(page.keys)
        self._n_open -= 1
        if self._n_open or not self._unseen or self._stream.deletes is not Deletes.COUNT:
            return []
        unseen = sorted(self._unseen)
        if self._is_shrunk(unseen):
            return []
        pack = max(1, self._connector.limits.pack)
        return [ask_fates(self._connector, self._stream, unseen[i : i + pack], self._told) for i in range(0, len(unseen), pack)]

    def _is_shrunk(self, unseen: Sequence[int]) -> bool:
        """Whether this looks like lost rights rather than like deletions; tells it as a finding."""
        if not is_shrunk(len(unseen), 0):  # few: not worth counting what is known
            return False
        known = self._ledger.sink.keys(self._stream, 0, _GREATEST)
        n_vanished = len(set(known).intersection(unseen))
        if not is_shrunk(n_vanished, len(known)):
            return False
        self._ledger.find(
            "rights_shrunk", "error", self._stream.name, n_vanished, known=len(known), shown=len(known) - n_vanished
        )
        return True

    def _told(self, fates: Mapping[int, Fate]) -> list[Turn]:
        gone = [key for key, fate in fates.items() if fate is Fate.GONE]
        if gone:
            self._ledger.delete(self._stream, gone)
        n_hidden = sum(fate is Fate.HIDDEN for fate in fates.values())
        if n_hidden:
            self._ledger.find("rights_shrunk", "warning", self._stream.name, n_hidden)
        alive = [key for key, fate in fates.items() if fate is Fate.ALIVE]
        return [ask_rows(self._connector, self._stream, keys, self._back) for keys in self._pages(alive)]

    def _back(self, page: Page) -> list[Turn]:
        """Rows that a list did not show and that are there all the same: made, or restored, a moment ago."""
        self._ledger.land(self._stream, page)
        return []
