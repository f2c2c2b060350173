"""How a small dictionary is read: completely each time, page by page; what is no longer there is gone."""

from collections.abc import Callable, Mapping
from datetime import datetime

from connectors.contract import Answer, Connector, Deletes, Json, Page, Slice, Stream
from connectors.errors import PayloadError
from connectors.ledger import Ledger
from connectors.turns import Questions, Turn

_MOST_PAGES = 1_000
_FEW = 10  # known rows below which any part of them may vanish at once


class WholeWalk:
    """One stream's walk by row offset. Offsets shift when rows are deleted: what seems gone after several pages is read again."""

    def __init__(self, connector: Connector, stream: Stream, ledger: Ledger, base: Callable[[], datetime]) -> None:
        self.stream = stream
        self.has_changed = False
        self._connector = connector
        self._ledger = ledger
        self._base = base
        self._seen: set[tuple[str, ...]] = set()
        self._unreadable: set[str | None] = set()  # last key fields of rejected rows
        self._keys: set[int] = set()
        self._n_pages = 0
        self._n_reads = 1
        self._total: int | None = None

    def start(self) -> list[Turn]:
        """The first turn of this sync."""
        return [self._ask(0)]

    def state(self) -> dict[str, Json]:
        """When the stream was last read completely."""
        self.has_changed = False
        return {"since": self._base().isoformat()}

    def recount(self) -> list[Turn]:
        """Nothing to do once all streams are done."""
        return []

    def _ask(self, start: int) -> Questions:
        def answered(answers: Mapping[str, Answer]) -> list[Turn]:
            return self._took(self._connector.page(self.stream, answers["page"].body), start)

        return Questions(self.stream.name, {"page": self._connector.call(self.stream, Slice(start=start))}, answered)

    def _took(self, page: Page, start: int) -> list[Turn]:
        names = self.stream.record.KEY
        n_known = len(self._seen) + len(self._unreadable) + len(self._keys)
        if start == 0:
            n_known = -1
        self._seen.update(tuple([str(getattr(row, name)) for name in names]) for row in page.records)
        self._unreadable.update(one.key for one in page.rejects)
        self._keys.update(page.keys)
        self._ledger.land(self.stream, page)
        self._n_pages += 1
        self._total = page.total if page.total is not None else self._total
        if not page.more:
            return self._ended(start)
        is_new = len(self._seen) + len(self._unreadable) + len(self._keys) > n_known
        n_rows = max(len(page.keys), len(page.records) + len(page.rejects))
        if not n_rows or not (is_new or self._n_reads > 1) or self._n_pages > _MOST_PAGES:
            raise PayloadError(
                f"{self.stream.name}: the list does not end: a page brought nothing new and promises another one",
                hint="the server ignores the offset: report it with the method's name",
            )
        return [self._ask(start + n_rows)]

    def _ended(self, start: int) -> list[Turn]:
        known = self._ledger.sink.names(self.stream) if self.stream.deletes is Deletes.SWEEP else set()
        gone = {name for name in known - self._seen if name[-1] not in self._unreadable}
        is_doubtful = bool(gone) or (self._total is not None and bool(self._keys) and len(self._keys) != self._total)
        if start > 0 and is_doubtful and self._n_reads < 2:
            self._n_reads += 1
            return [self._ask(0)]
        self.has_changed = True
        shown = len(known) - len(gone)
        if None in self._unreadable or not gone:
            return []  # a rejected row without key may be any of those that seem gone
        if not self._seen or (len(known) >= _FEW and shown * 2 < len(known)):
            self._ledger.find("rights_shrunk", "error", self.stream.name, len(gone), known=len(known), shown=shown)
            return []
        self._ledger.delete(self.stream, sorted(gone))
        return []
