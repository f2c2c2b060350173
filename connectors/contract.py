"""What a connector declares and answers. A connector is pure: no socket, no sleep, no clock, no state of its own.

The engine (`connectors.engine`) does the work: it asks the connector for a `Call`, sends it, and asks the connector
what the answer means. `Connector` is for CRMs behind an API; `Reader` is for sources that are read locally (files).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from typing import Any, ClassVar, Protocol, runtime_checkable

from connectors.records import Record
from connectors.secrets import Secret

Json = Any  # a decoded JSON value


# --- declarations -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What the CRM allows one client.

    `rate` requests a second drain from a bucket of `burst`; a page holds `page` rows; one request can carry `pack` calls;
    `parallel` requests may be in flight; one request may take `timeout` seconds; a method may spend `budget_s` seconds of
    server time in any `budget_window` seconds (None: no such budget).
    """

    rate: float
    burst: int
    page: int
    pack: int = 1
    parallel: int = 1
    timeout: float = 75.0
    budget_s: float | None = None
    budget_window: float = 600.0


class Walk(Enum):
    """How a stream is read."""

    KEYSET = "keyset"  # rows ascend by a unique integer key; the engine cuts the key span into shards
    WHOLE = "whole"  # a small dictionary, read completely each time, pages by row offset


class Deletes(Enum):
    """How deletions are found."""

    NONE = "none"  # rows are never deleted, or their deletion does not matter (counts still prove completeness)
    COUNT = "count"  # counts of disjoint key ranges lead to the vanished keys, each confirmed by `confirm`
    SWEEP = "sweep"  # the whole stream is read each time: what is not there is gone


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of rows a source offers."""

    name: str
    record: type[Record]
    walk: Walk = Walk.KEYSET
    is_incremental: bool = False  # `Slice.since` selects rows changed since a time
    is_append_only: bool = False  # rows never change: the next sync starts after the last key
    lag: timedelta = timedelta(hours=1)  # windows of changes start this much before the previous walk began
    deletes: Deletes = Deletes.NONE
    only: Mapping[str, str] = field(default_factory=dict)  # fixed key fields where streams share a table: entity=lead
    of: str = ""  # the stream that `entity_id` of these rows points to, if `Slice.of` can ask for them by it: moves of leads


@dataclass(frozen=True, slots=True)
class Slice:
    """What to ask of a stream: keys in (after, upto], changed at or after `since` (UTC), or exactly these `keys`.

    `after` is a string when it is a reference to the last key of an earlier call of the same pack (see `Connector.chain`).
    `start` is the row offset of the next page of a WHOLE stream. `of`: only rows that belong to these keys of the stream that
    `Stream.of` names.
    """

    after: int | str = 0
    upto: int | None = None
    since: datetime | None = None
    keys: tuple[int, ...] | None = None
    start: int = 0
    of: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request in the CRM's words: POST `params` as JSON to `method` below the endpoint (GET: as query)."""

    method: str
    params: Mapping[str, Json] = field(default_factory=dict)
    verb: str = "POST"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go: `base` ends with a slash and may itself be the password; headers may hold secrets too.

    private_network: the CRM stands in the company's own network; without it no private address is connected to.
    """

    base: Secret
    headers: Mapping[str, Secret] = field(default_factory=dict)
    suffix: str = ""
    private_network: bool = False


# --- answers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is decoded JSON, or None with `is_json` False (then only type and length are known)."""

    status: int
    body: Json = None
    is_json: bool = True
    content_type: str = "application/json"
    length: int = 0
    location_host: str | None = None  # where a redirect pointed to: host only, the path holds the secret
    retry_after: float | None = None

    def opened(self) -> "Answer":
        """Itself: what a wire brings may still be sealed, an answer is not."""
        return self


class Verdict(Enum):
    """What to do about an answer."""

    OK = "ok"
    SLOW = "slow"  # sent too fast: slow down and send again; costs no attempt
    WAIT = "wait"  # the method's budget is used up until `until`; other methods may go on
    RETRY = "retry"  # a passing fault: send again, a few times
    SPLIT = "split"  # too much asked at once: ask for less
    REAUTH = "reauth"  # a person must act
    FATAL = "fatal"  # our request is wrong or the source cannot do it: sending again changes nothing


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict with its reason: an error code and our own words, never text of the payload."""

    verdict: Verdict
    reason: str = ""
    hint: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """What the server says of itself: its clock (UTC), seconds spent by the method so far, when the budget frees (UTC)."""

    now: datetime | None = None
    spent_s: float | None = None
    reset_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be read: its key if known, where it stood (file line), the column and the reason. No value."""

    key: str | None
    reason: str
    column: str = ""
    where: str = ""


@dataclass(slots=True)
class Page:
    """What one answer holds. `keys` are the walking keys of all rows in the order received, rejected rows included."""

    records: list[Record]
    keys: list[int]
    rejects: list[Reject] = field(default_factory=list)
    more: bool = False  # WHOLE streams: another page follows
    total: int | None = None
    unknown: frozenset[str] = frozenset()  # columns nobody declared: names only


class Fate(Enum):
    """What became of a row that a list no longer shows."""

    GONE = "gone"
    HIDDEN = "hidden"  # we lost the right to see it: not a deletion
    ALIVE = "alive"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth telling a person: a code, how bad, which stream, how many, and figures for the sentence."""

    code: str
    severity: str  # "info" | "warning" | "error"
    subject: str
    n: int = 0
    detail: Mapping[str, str | int | float] = field(default_factory=dict)


# --- the two kinds of source ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a connector may know of the house it works in."""

    timezone: tzinfo
    hash_key: Secret


class Connector:
    """Base of API connectors: subclass it, set `OPTIONS`, and answer the questions below. Everything here is pure.

    A question without an answer raises NotImplementedError when it is asked. Which are asked follows from `limits` and the
    streams (packing, deletions): no class has to answer what nobody will ask it.
    """

    OPTIONS: ClassVar[type]  # a frozen dataclass: the keys allowed in [sources.NAME]; annotate secrets as Secret

    limits: Limits
    endpoint: Endpoint

    @classmethod
    def open(cls, options: Any, surroundings: Surroundings) -> "Connector":
        """The connector for one configured source. Raises OptionError."""
        raise NotImplementedError(cls.__name__)

    def probes(self) -> Mapping[str, Call]:
        """Calls to make before anything else (CRM mode, custom fields, scopes), by name."""
        return {}

    def adapted(self, answers: Mapping[str, Json]) -> "Connector":
        """This connector, knowing what the probes answered (bodies by name). Raises OptionError, AccessError."""
        return self

    def findings(self) -> Sequence[Finding]:
        """What the probes showed that a person should know, such as a stream left out for want of rights."""
        return ()

    def streams(self) -> Sequence[Stream]:
        """The streams to pull, in order."""
        raise NotImplementedError

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        """The request for one page of `part`, ascending by key. `count`: the answer shall carry `total` (rows may be bare keys).
        `last`: descending, so that the first row has the greatest key (rows may be bare keys)."""
        raise NotImplementedError

    def page(self, stream: Stream, body: Json) -> Page:
        """What the answer to `call` says. Raises PayloadError when it is no list of rows at all."""
        raise NotImplementedError

    def count(self, stream: Stream, body: Json) -> tuple[int, list[int]]:
        """Total and the keys shown by an answer to `call(count=True)` or `call(last=True)`; total 0 when not counted."""
        raise NotImplementedError

    def verdict(self, answer: Answer) -> Ruling:
        """What to do about an answer, alone or out of a pack."""
        raise NotImplementedError

    def meter(self, body: Json) -> Meter:
        """Server clock and budget out of an answer."""
        return Meter()

    # Packing: only for CRMs that take several calls in one request (limits.pack > 1).

    def pack(self, calls: Mapping[str, Call]) -> Call:
        """One request that carries `calls`; later calls may refer to earlier ones."""
        raise NotImplementedError

    def unpack(self, body: Json, names: Sequence[str]) -> dict[str, Answer]:
        """The answers of a pack by call name, each shaped as if it had come alone; names without any answer are absent."""
        raise NotImplementedError

    def chain(self, stream: Stream, name: str) -> str:
        """A reference to the last key of the full page that call `name` of the same pack returns."""
        raise NotImplementedError

    # Deletions: only for streams with Deletes.COUNT.

    def confirm(self, stream: Stream, key: int) -> Call:
        """The request that tells a deleted row from a hidden one."""
        raise NotImplementedError

    def fate(self, stream: Stream, answer: Answer) -> Fate:
        """What the answer to `confirm` says. Raises PayloadError when it says neither."""
        raise NotImplementedError


@dataclass(slots=True)
class Chunk:
    """What a Reader hands over at once: rows of one stream with the state to remember once they are stored.

    `deleted`: full keys, as in `Sink.names`, of rows that the source says do not exist; most of them nobody has ever heard of.
    `reread`: see `Landing`.
    """

    stream: Stream
    records: list[Record]
    rejects: list[Reject]
    state: Mapping[str, Json]
    deleted: Sequence[tuple[str, ...]] = ()
    reread: str = ""


@runtime_checkable
class Reader(Protocol):
    """A source that is read locally. It may touch files, nothing else."""

    OPTIONS: ClassVar[type]

    @classmethod
    def open(cls, options: Any, surroundings: Surroundings) -> "Reader": ...

    def streams(self) -> Sequence[Stream]: ...

    def read(self, states: Mapping[str, Mapping[str, Json] | None]) -> Iterator[Chunk]:
        """Everything not yet covered by `states` (state last stored, by stream name). Raises OptionError, PayloadError."""
        ...

    def findings(self) -> Sequence[Finding]:
        """What was noticed while reading, after `read` is exhausted."""
        ...


# --- where rows go ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Landing:
    """Rows of one stream to store together with the walk's new state, in one transaction."""

    stream: Stream
    records: Sequence[Record] = ()
    rejects: Sequence[Reject] = ()
    deleted: Sequence[int | str | tuple[str, ...]] = ()  # rows gone: walking key (KEYSET), or full key as in `Sink.names` (WHOLE)
    state: Mapping[str, Json] | None = None  # None: the state stays as it is
    reread: str = ""  # places that begin so were read anew: their open rejects without a key end, unless they are in `rejects`


class Sink(Protocol):
    """Where the engine puts rows: the warehouse, or memory. A version equal to the newest known one is dropped, and so is
    the deletion of a row that is not known or deleted already."""

    def state(self, stream: Stream) -> Mapping[str, Json] | None:
        """The state stored last for the stream."""
        ...

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        """Store all landings and their states in one transaction; the number of new versions of each landing."""
        ...

    def counts(self, stream: Stream, ranges: Sequence[tuple[int, int]]) -> list[int]:
        """How many live keys, quarantined ones included, lie in each (after, upto]."""
        ...

    def keys(self, stream: Stream, after: int, upto: int) -> list[int]:
        """Live keys, quarantined ones included, in (after, upto], ascending."""
        ...

    def names(self, stream: Stream) -> set[tuple[str, ...]]:
        """Live full keys (tuples of KEY fields as text) of a WHOLE stream."""
        ...

    def rejected(self, stream: Stream) -> list[int]: ...  # quarantined keys of a KEYSET stream, ascending

    def orphans(self, stream: Stream) -> list[int]: ...  # live keys of stage changes whose lead or deal is deleted, ascending


Progress = Callable[[str, int, int | None], None]  # stream name, rows so far, rows expected


@dataclass(slots=True)
class StreamReport:
    """What one sync did for one stream."""

    stream: str
    received: int = 0
    appended: int = 0
    rejected: int = 0
    deleted: int = 0
    recovered: int = 0  # rows that the closing count found missing and that were fetched again


@dataclass(slots=True)
class SyncReport:
    """What one sync of one source did."""

    streams: dict[str, StreamReport] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    n_requests: int = 0
    n_calls: int = 0
    n_slowed: int = 0  # requests the server rejected as too fast
    n_retries: int = 0
    waited_s: float = 0.0
