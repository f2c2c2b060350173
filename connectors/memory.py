"""A sink in memory: what connectors need to be usable alone, and the yardstick of tests for every other sink."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

from connectors.contract import Json, Landing, Reject, Stream
from connectors.records import Record

Key = tuple[str, ...]
Row = TypeVar("Row", bound=Record)


@dataclass(slots=True)
class _Shelf:
    """What is known of one stream."""

    live: dict[Key, Record] = field(default_factory=dict)
    quarantined: dict[str, Reject] = field(default_factory=dict)  # by last key field, until a good version arrives
    nameless: list[Reject] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)  # last key fields of rows that are gone
    numbers: list[int] | None = None  # all known walking keys, ascending; rebuilt when asked for


class MemorySink:
    """Keeps the newest version of every row. `n_versions` counts what an append-only history would hold."""

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}
        self._states: dict[str, str] = {}
        self.n_versions = 0
        self.n_commits = 0

    def state(self, stream: Stream) -> Mapping[str, Json] | None:
        """The state stored last for the stream."""
        text = self._states.get(stream.name)
        return None if text is None else dict(json.loads(text))

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        """Store all landings and their states; the number of new versions of each landing."""
        # Whatever can fail comes first: all or nothing.
        states = {one.stream.name: json.dumps(one.state) for one in landings if one.state is not None}
        appended = [self._land(landing) for landing in landings]
        self._states.update(states)
        self.n_versions += sum(appended)
        self.n_commits += 1
        return appended

    def counts(self, stream: Stream, ranges: Sequence[tuple[int, int]]) -> list[int]:
        """How many live keys, quarantined ones included, lie in each (after, upto]."""
        numbers = self._numbers(stream)
        return [bisect_right(numbers, upto) - bisect_right(numbers, after) for after, upto in ranges]

    def keys(self, stream: Stream, after: int, upto: int) -> list[int]:
        """Live keys, quarantined ones included, in (after, upto], ascending."""
        numbers = self._numbers(stream)
        return numbers[bisect_right(numbers, after) : bisect_right(numbers, upto)]

    def names(self, stream: Stream) -> set[Key]:
        """Live full keys."""
        return set(self._shelf(stream).live)

    def rejected(self, stream: Stream) -> list[int]:
        """Quarantined keys, ascending."""
        return sorted(int(key) for key in self._shelf(stream).quarantined if key.isdigit())

    def orphans(self, stream: Stream) -> list[int]:
        """Live keys of stage changes whose lead or deal was here and is not any more, ascending."""
        owners = self._shelves.get(stream.of)
        gone = owners.deleted if owners else set()
        return sorted(int(key[-1]) for key, row in self._shelf(stream).live.items() if getattr(row, "entity_id", None) in gone)

    def rows(self, stream: Stream) -> dict[Key, Record]:
        """The newest version of every live row by full key."""
        return dict(self._shelf(stream).live)

    def rejects(self, stream: Stream) -> list[Reject]:
        """What is quarantined and has not been read well since."""
        shelf = self._shelf(stream)
        return [*shelf.quarantined.values(), *shelf.nameless]

    def live(self, kind: type[Row]) -> list[Row]:
        """Live rows of one record type, whatever the stream."""
        return [row for shelf in self._shelves.values() for row in shelf.live.values() if isinstance(row, kind)]

    def _shelf(self, stream: Stream) -> _Shelf:
        return self._shelves.setdefault(stream.name, _Shelf())

    def _land(self, landing: Landing) -> int:
        shelf = self._shelf(landing.stream)
        shelf.numbers = None
        key_of, content_of = _readers(landing.stream.record)
        appended = 0
        for record in landing.records:
            key = key_of(record)
            known = shelf.live.get(key)
            shelf.quarantined.pop(key[-1], None)
            shelf.deleted.discard(key[-1])
            if known is None or content_of(known) != content_of(record):
                shelf.live[key] = record
                appended += 1
        if landing.reread:
            shelf.nameless = [one for one in shelf.nameless if not one.where.startswith(landing.reread)]
        for reject in landing.rejects:
            if reject.key is not None:
                shelf.quarantined[reject.key] = reject
            elif reject not in shelf.nameless:
                shelf.nameless.append(reject)
        return appended + self._remove(shelf, landing)

    def _remove(self, shelf: _Shelf, landing: Landing) -> int:
        removed = 0
        for name in landing.deleted:
            last = name[-1] if isinstance(name, tuple) else str(name)
            gone = [name] if isinstance(name, tuple) else [(*landing.stream.only.values(), last), (last,)]
            was_known = last in shelf.quarantined
            for key in gone:
                was_known |= shelf.live.pop(key, None) is not None
            removed += was_known
            shelf.quarantined.pop(last, None)
            shelf.deleted.add(last)
        return removed

    def _numbers(self, stream: Stream) -> list[int]:
        shelf = self._shelf(stream)
        if shelf.numbers is None:
            shelf.numbers = sorted({int(key[-1]) for key in shelf.live} | {int(key) for key in shelf.quarantined})
        return shelf.numbers


def _readers(record: type[Record]) -> tuple[Any, Any]:
    """Functions that give a record's key (texts) and its content (all fields but IGNORED)."""
    fields = [name for name in record.__dataclass_fields__ if name not in record.IGNORED]  # type: ignore[attr-defined]  # Record itself is no dataclass
    content = attrgetter(*fields) if len(fields) > 1 else attrgetter(fields[0], fields[0])
    names = record.KEY

    def key_of(row: Record) -> Key:
        return tuple([str(getattr(row, name)) for name in names])

    return key_of, content
