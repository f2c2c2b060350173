"""The stored snapshots, read for the pages: which there are, and their documents. Nothing is measured here."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import NoWarehouse, WarehouseError
from pipeline.settings import Settings
from pipeline.warehouse import Warehouse

FRESH_SECONDS = 3.0
LOCK_SECONDS = 5.0  # a page must not wait as long as a run may
KEY_LENGTH = 16
MOST_KEPT = 2_000  # digests of documents

T = TypeVar("T")
_LISTING = "SELECT launch, as_of, document_hash, seen_at FROM snapshots ORDER BY launch, seen_at"


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored snapshot. `key` is the beginning of its document's SHA-256; `seen_at` (UTC) when it was stored."""

    launch: str
    as_of: str
    key: str
    document_hash: str
    seen_at: datetime

    @property
    def week(self) -> date:
        """Orders and groups snapshots: the day they speak of (a time stamp is UTC, which is near enough for a week)."""
        return date.fromisoformat(self.as_of[:10])


class Archive:
    """Any thread may ask. Raises WarehouseError when the warehouse cannot be read and nothing is known yet."""

    def __init__(self, settings: Settings) -> None:
        self._warehouse = Warehouse(settings.warehouse_url.reveal(), lock_timeout=LOCK_SECONDS)
        self._lock = threading.Lock()
        self._listing: Mapping[str, Sequence[Entry]] | None = None
        self._stored: Mapping[tuple[str, str], Entry] = {}
        self._read_at = float("-inf")
        self._digests: OrderedDict[str, Any] = OrderedDict()
        self.is_stale = False  # the warehouse was away at the last look; what is shown was known before

    def snapshots(self, launch: str) -> Sequence[Entry]:
        """A launch's snapshots by the time they speak of, the newest last; of several of one `as_of` the last stored."""
        return self._all().get(launch, ())

    def launches(self) -> Sequence[str]:
        """Every launch that has a snapshot."""
        return tuple(self._all())

    def entry(self, launch: str, key: str) -> Entry | None:
        """The snapshot of that key, also one in whose place a later one of the same `as_of` stands now: somebody was sent it."""
        self._all()
        with self._lock:
            return self._stored.get((launch, key))

    def text(self, entry: Entry) -> str:
        """The document as it was stored."""
        return next(self._texts([entry]))

    def document(self, entry: Entry) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.text(entry))
        return found

    def digests(self, entries: Sequence[Entry], digest: Callable[[Mapping[str, Any]], T]) -> list[T]:
        """What `digest` (always the same function) makes of the documents; they never change, so each is read once."""
        with self._lock:
            unread = [entry for entry in entries if entry.document_hash not in self._digests]
        made = {entry.document_hash: digest(json.loads(text)) for entry, text in zip(unread, self._texts(unread), strict=True)}
        with self._lock:
            found = [made[one] if one in made else self._digests[one] for one in (entry.document_hash for entry in entries)]
            for entry in entries:
                self._digests.setdefault(entry.document_hash, made.get(entry.document_hash))
                self._digests.move_to_end(entry.document_hash)
            while len(self._digests) > MOST_KEPT:
                self._digests.popitem(last=False)
        return found

    def _texts(self, entries: Sequence[Entry]) -> Iterator[str]:
        """Over one connection."""
        if not entries:
            return
        sql = "SELECT document FROM snapshots WHERE launch = :launch AND document_hash = :hash LIMIT 1"
        try:
            with self._warehouse.reading() as reading:
                for entry in entries:
                    rows = reading.rows(sql, {"launch": entry.launch, "hash": entry.document_hash})
                    if not rows:
                        raise WarehouseError(
                            "a snapshot is gone from the warehouse", hint="was another warehouse restored? reload the page"
                        )
                    yield str(rows[0].document)
        except SQLAlchemyError as error:
            raise _unreadable(error) from error

    def _all(self) -> Mapping[str, Sequence[Entry]]:
        with self._lock:
            if self._listing is None or time.monotonic() - self._read_at > FRESH_SECONDS:
                try:
                    self._listing, self._stored = self._read()
                    self.is_stale = False
                except WarehouseError:
                    if self._listing is None:
                        raise
                    self.is_stale = True
                self._read_at = time.monotonic()
            return self._listing

    def _read(self) -> tuple[Mapping[str, Sequence[Entry]], Mapping[tuple[str, str], Entry]]:
        """Of each launch those that are listed, and every one by launch and key."""
        try:
            with self._warehouse.reading() as reading:
                rows = reading.rows(_LISTING)
        except NoWarehouse:  # before the first run
            return {}, {}
        except SQLAlchemyError as error:
            raise _unreadable(error) from error
        found: dict[str, dict[str, Entry]] = {}
        stored: dict[tuple[str, str], Entry] = {}
        for row in rows:
            entry = Entry(row.launch, row.as_of, row.document_hash[:KEY_LENGTH], row.document_hash, row.seen_at)
            found.setdefault(row.launch, {})[row.as_of] = entry
            stored[row.launch, entry.key] = entry
        return {launch: sorted(entries.values(), key=_order) for launch, entries in found.items()}, stored


def by_week(entries: Sequence[Entry]) -> list[Entry]:
    """The newest snapshot of each week (Monday to Sunday), the newest week last."""
    newest = {entry.week.isocalendar()[:2]: entry for entry in entries}
    return list(newest.values())


def _order(entry: Entry) -> tuple[datetime, datetime]:
    moment = datetime.fromisoformat(entry.as_of)
    if len(entry.as_of) == 10:  # a date means the end of its day
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)), entry.seen_at


def _unreadable(error: SQLAlchemyError) -> WarehouseError:
    return WarehouseError(
        f"the warehouse cannot be read just now ({type(error).__name__})",
        hint="reload the page in a minute; `payback status` says more",
    )
