"""The promises a sync must keep, as questions to a stand. Each raises Violation with a check's name and no values."""

import re
from collections.abc import Iterable, Sequence
from math import ceil, sqrt
from typing import Protocol

from connectors.conformance.crm import FakeCrm, Row
from connectors.conformance.facts import MAIL_MARK, PHONE_MARK, Facts, field_names, honest_record
from connectors.conformance.fake import Violation
from connectors.conformance.stand import CANARY, MortalSink, Stand
from connectors.contract import Deletes, Stream, Surroundings, SyncReport, Walk
from connectors.records import Record

Key = tuple[str, ...]
_PHONE = rf"\D{PHONE_MARK[:3]}\D{{0,3}}{PHONE_MARK[3:]}|7{PHONE_MARK}|8{PHONE_MARK}"
_SECRETS = re.compile(rf"{CANARY}|canary0hash0key|canary0rub|{MAIL_MARK}|{_PHONE}", re.IGNORECASE)


class Teller(Protocol):
    """The part of a fake that knows what its dialect cannot tell."""

    def truth(self, stream: Stream, record: Record) -> Record: ...


class Apparatus(Protocol):
    """What the promises are checked on: a stand for connectors or one for readers."""

    crm: FakeCrm
    sink: MortalSink
    surroundings: Surroundings
    said: list[str]

    @property
    def streams(self) -> Sequence[Stream]: ...

    @property
    def fake(self) -> Teller: ...

    @property
    def shown(self) -> list[str]: ...


class Truth:
    """The truth beside what was stored. Records of facts are made once: facts never change, they are replaced."""

    def __init__(self, stand: Apparatus) -> None:
        self.stand = stand
        self._records: dict[int, tuple[Facts, Record]] = {}

    def record(self, stream: Stream, row: Row, facts: Facts) -> Record:
        known = self._records.get(id(facts))
        if known is None:
            honest = honest_record(stream, facts, row.modified, self.stand.surroundings)
            known = self._records[id(facts)] = (facts, self.stand.fake.truth(stream, honest))  # facts kept: their id stays theirs
        return known[1]

    def key(self, stream: Stream, row: Row) -> Key:
        record = self.record(stream, row, row.facts)
        return tuple(str(getattr(record, name)) for name in record.KEY)

    def differing(self, stream: Stream, row: Row, facts: Facts, stored: Record) -> list[str]:
        """Names of the fields in which the stored record is not the truth."""
        honest, ignored = self.record(stream, row, facts), stream.record.IGNORED
        return [
            name for name in field_names(stream.record) if name not in ignored and getattr(honest, name) != getattr(stored, name)
        ]

    def content(self, *, moved_since: int | None = None) -> None:
        """Every live row is stored in its newest version, deleted ones are gone, nothing else is there.

        `moved_since`: rows changed after this change may be in any of their versions, or missing, until the next sync; so may
        rows deleted before: while rows come and go, counts can agree by chance.
        """
        for stream in self.stand.streams:
            stored = self.stand.sink.rows(stream)
            for row in self.stand.crm.tables[stream.name].rows.values():
                record = stored.pop(self.key(stream, row), None)
                is_moving = moved_since is not None and (row.touched > moved_since or row.is_deleted)
                self._row(stream, row, record, is_moving)
            if stored:
                raise Violation("truth", f"{stream.name}: {len(stored)} stored rows are not in the CRM")

    def _row(self, stream: Stream, row: Row, record: Record | None, is_moving: bool) -> None:
        where = f"{stream.name} {row.key}"
        if record is not None and (row.is_deleted or row.is_hidden or row.is_broken or is_moving):
            if row.is_deleted and not is_moving and stream.deletes is not Deletes.NONE:
                raise Violation("deletes", f"{where} was deleted and is still there")
            if all(self.differing(stream, row, facts, record) for facts in [row.facts, *row.past]):
                raise Violation("values", f"{where} is stored as it never was")
        elif not (row.is_deleted or row.is_hidden or row.is_broken or is_moving):
            if record is None:
                raise Violation("complete", f"{where} is missing")
            names = self.differing(stream, row, row.facts, record)
            if names and any(not self.differing(stream, row, facts, record) for facts in row.past):
                raise Violation("newest", f"{where} is stored in an old version")
            if names:
                raise Violation("values", f"{where} differs in {', '.join(names)}")

    def quarantine(self) -> None:
        """Rows that cannot be read are among the rejects, and no others; reasons hold no values."""
        for stream in self.stand.streams:
            rejected = {reject.key for reject in self.stand.sink.rejects(stream)}
            broken = {str(row.key) for row in self.stand.crm.live(stream.name) if row.is_broken}
            if broken - rejected:
                raise Violation("rejects", f"{stream.name}: {len(broken - rejected)} unreadable rows left no trace")
            if rejected - {str(row.key) for row in self.stand.crm.tables[stream.name].rows.values() if row.is_broken}:
                raise Violation("rejects", f"{stream.name}: readable rows were rejected")


def nothing_new(report: SyncReport) -> None:
    """A sync over an unchanged CRM adds no version and deletes nothing."""
    for part in report.streams.values():
        if part.appended or part.deleted or part.recovered:
            raise Violation("no-op", f"{part.stream}: a second sync appended {part.appended}, deleted {part.deleted}")
    if report.findings and any(finding.severity == "error" for finding in report.findings):
        raise Violation("no-op", "a second sync over an unchanged CRM reports an error")


def nothing_recovered(report: SyncReport) -> None:
    """While nothing moves, the walk itself brings every row: the closing count has nothing to mend."""
    for part in report.streams.values():
        if part.recovered:
            raise Violation("recovered", f"{part.stream}: {part.recovered} rows had to be recovered though nothing moved")


def paced(stand: Stand) -> None:
    """Alone on the CRM, no request is ever rejected."""
    if stand.wire.n_rejected:
        raise Violation("pace", f"{stand.wire.n_rejected} of {stand.wire.n_requests} requests came too fast")


def flat(stand: Stand) -> None:
    """Rows are handed over with each answer, and the state stays small: memory does not grow with the CRM."""
    # Dictionaries may come in one piece.
    longest = max(stand.crm.page, *(len(stand.crm.live(one.name)) for one in stand.streams if one.walk is Walk.WHOLE))
    most = stand.connector.limits.pack * longest
    if stand.sink.most_rows > most:
        raise Violation("memory", f"{stand.sink.most_rows} rows were kept for one commit, a request brings {most} at most")
    if max(map(len, stand.sink.states_seen), default=0) > 8_000:
        raise Violation("memory", "a stored state has more than 8 000 characters")


def few_requests(stand: Stand) -> None:
    """A full export needs at most 1.1 times the floor and two more, probes and the closing sweep beside.

    Where shards are tiny, more: their slack for unevenly spread ids is a matter of the square root of their rows.
    """
    page, pack = stand.crm.page, stand.connector.limits.pack
    pages = sum(max(1, ceil(len(stand.crm.live(stream.name)) / page)) for stream in stand.streams)
    n_sweeps = ceil(len(stand.keyset) / pack)
    if pack > 1:
        slack = max(1.1, 1 + 2 / sqrt(page * pack / 2))
        most = slack * ceil(pages / pack) + 2 + n_sweeps + ceil(3 * len(stand.streams) / pack)
    else:
        most = pages + 3 * len(stand.streams) + 3
    used = stand.wire.n_requests
    if used > most + stand.n_probe_requests:
        raise Violation("requests", f"{used} requests for {pages} pages of {page} rows, {pack} in a pack; at most {most:.0f}")


def rights_are_no_deletions(stand: Stand) -> None:
    """Rows we may no longer see are not marked deleted."""
    for stream in stand.streams:
        if stream.walk is Walk.WHOLE:
            continue
        live = {key[-1] for key in stand.sink.rows(stream)}
        for row in stand.crm.tables[stream.name].rows.values():
            if row.is_hidden and not row.is_broken and str(row.key) not in live:
                raise Violation("rights", f"{stream.name} {row.key} was only hidden and is counted as deleted")


def no_secrets(stand: Apparatus, *, is_deep: bool) -> None:
    """No credential, phone number, e-mail address or unreadable value in logs, errors, states, reports; `is_deep`: nor rows."""
    _silent("what was logged, raised or reported", stand.said)
    _silent("stored states", stand.sink.states_seen)
    _silent("rejects", (repr(stand.sink.rejects(stream)) for stream in stand.streams))
    _silent("what the connector shows of itself", stand.shown)
    if is_deep:
        _silent("stored rows", (repr(list(stand.sink.rows(stream).values())) for stream in stand.streams))


def _silent(where: str, texts: Iterable[str]) -> None:
    found = _SECRETS.search("\n".join(texts))
    if found:
        is_person = found[0].lower() == MAIL_MARK or PHONE_MARK[3:] in found[0]
        raise Violation("secrets", f"{'a phone or e-mail' if is_person else 'a planted secret'} shows in {where}")
