"""The connector: which streams a portal has, how a page is asked for and what its answer says. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from connectors.bitrix24 import rows, wire
from connectors.bitrix24.columns import ColumnError
from connectors.bitrix24.options import Options, endpoint
from connectors.bitrix24.portal import PROBES, Portal, learn
from connectors.bitrix24.rows import Plan, Reading, Row
from connectors.contract import (
    Answer,
    Call,
    Connector,
    Deletes,
    Fate,
    Finding,
    Json,
    Limits,
    Meter,
    Page,
    Reject,
    Ruling,
    Slice,
    Stream,
    Surroundings,
    Walk,
)
from connectors.errors import PayloadError
from connectors.records import Contact, CrmSource, Deal, Lead, Owner, Pipeline, Record, Stage, StageChange
from connectors.values import key

# Only multifields are left out of a row when they are empty (reference 3.1).
_LEFT_OUT = frozenset({"PHONE", "EMAIL"})
# Every plan but Enterprise (reference 2.1); the budget is the documented example (2.3); a request is cut off after 60 s (2.2).
LIMITS = Limits(rate=2, burst=50, page=50, pack=50, parallel=32, timeout=75.0, budget_s=480.0, budget_window=600.0)


@dataclass(frozen=True, slots=True)
class Listing:
    """How one stream is asked for: method, columns, fixed parameters, where the rows are, which method tells a row's fate."""

    stream: Stream
    method: str
    read: Callable[[Sequence[Row], Reading], Sequence[Record]]
    select: tuple[str, ...] = ()
    params: Mapping[str, Json] = field(default_factory=dict)
    box: str = ""  # `result` is the list itself, or holds it under this name
    id: str = "ID"
    get: str = ""


def _columns(plan: Plan) -> tuple[str, ...]:
    return tuple(column for column, _ in plan)


def _entity(name: str, record: type[Record]) -> Stream:
    return Stream(name, record, is_incremental=True, deletes=Deletes.COUNT)


def _history(name: str, entity: str) -> Stream:
    return Stream(name, StageChange, is_append_only=True, only={"entity": entity}, of=f"{entity}s")


# Dictionaries come first: they are small, and a stage is known before the first lead that stands in it.
_DICTIONARIES = (
    Listing(Stream("stages", Stage, Walk.WHOLE, deletes=Deletes.SWEEP), "crm.status.list", rows.stages),
    Listing(
        Stream("crm_sources", CrmSource, Walk.WHOLE, deletes=Deletes.SWEEP),
        "crm.status.list",
        rows.crm_sources,
        params={"filter": {"ENTITY_ID": "SOURCE"}},
    ),
    Listing(
        Stream("pipelines", Pipeline, Walk.WHOLE, deletes=Deletes.SWEEP),
        "crm.category.list",
        rows.pipelines,
        params={"entityTypeId": 2},
        box="categories",
        id="id",
    ),
)
# Dismissed employees stay owners of old leads: no filter by ACTIVE, and nobody is deleted for being absent.
_OWNERS = Listing(
    Stream("owners", Owner, Walk.WHOLE), "user.get", rows.owners, _columns(rows.OWNER), params={"sort": "ID", "order": "ASC"}
)
_ENTITIES = {
    "leads": (
        Listing(_entity("leads", Lead), "crm.lead.list", rows.leads, _columns(rows.LEAD), get="crm.lead.get"),
        Listing(
            _history("lead_history", "lead"),
            "crm.stagehistory.list",
            rows.lead_moves,
            _columns(rows.LEAD_MOVE),
            params={"entityTypeId": 1},
            box="items",
        ),
    ),
    "deals": (
        Listing(_entity("deals", Deal), "crm.deal.list", rows.deals, _columns(rows.DEAL), get="crm.deal.get"),
        Listing(
            _history("deal_history", "deal"),
            "crm.stagehistory.list",
            rows.deal_moves,
            _columns(rows.DEAL_MOVE),
            params={"entityTypeId": 2},
            box="items",
        ),
    ),
}
_CONTACTS = Listing(
    _entity("contacts", Contact), "crm.contact.list", rows.contacts, _columns(rows.CONTACT), get="crm.contact.get"
)


class Bitrix24(Connector):
    """One portal. Before `adapted` it knows the documentation only, afterwards the portal's own fields, mode and offset."""

    OPTIONS: ClassVar[type] = Options

    def __init__(self, options: Options, surroundings: Surroundings, portal: Portal | None = None) -> None:
        self.limits = LIMITS
        self.endpoint = endpoint(options.webhook, private_network=options.private_network)
        self._options = options
        self._surroundings = surroundings
        self._portal = portal or Portal()
        self._listings = {listing.stream.name: listing for listing in _listings(options, self._portal)}
        self._readings = {name: self._reading(name) for name in self._listings}
        self._selects = {name: self._select(listing) for name, listing in self._listings.items()}
        # A dictionary answers with every column it has, whatever is asked for: only walked streams can show drift.
        self._known = {
            name: frozenset(select) for name, select in self._selects.items() if self._listings[name].stream.walk is Walk.KEYSET
        }

    @classmethod
    def open(cls, options: Options, surroundings: Surroundings) -> "Bitrix24":
        return cls(options, surroundings)

    def probes(self) -> Mapping[str, Call]:
        return PROBES

    def adapted(self, answers: Mapping[str, Json]) -> "Bitrix24":
        return type(self)(self._options, self._surroundings, learn(self._options, answers))

    def findings(self) -> Sequence[Finding]:
        """What the probes showed that a person should know."""
        return self._portal.findings

    def streams(self) -> Sequence[Stream]:
        return [listing.stream for listing in self._listings.values()]

    def _reading(self, name: str) -> Reading:
        portal = self._portal
        return Reading(
            self._surroundings.timezone,
            self._surroundings.hash_key,
            self._options.country,
            portal.custom.get(name, {}),
            portal.branch.get(name),
            portal.pipelines if name == "deals" else None,
        )

    def _select(self, listing: Listing) -> tuple[str, ...]:
        reading = self._readings[listing.stream.name]
        custom = [what.code for what in reading.custom.values()]
        if reading.branch is not None:
            custom.append(reading.branch.code)
        return tuple(dict.fromkeys([*listing.select, *custom]))

    # --- asking ---------------------------------------------------------------------------------------------------------

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        listing = self._listings[stream.name]
        params = dict(listing.params)
        select = self._selects[stream.name]
        if stream.walk is Walk.WHOLE:
            if select:
                params["select"] = list(select)
            if part.start:
                params["start"] = part.start
            return Call(listing.method, params)
        # Counting costs the portal more than the page itself: only a count asks for it (start=-1 leaves it out, reference 2.5).
        params["order"] = {"ID": "DESC" if last else "ASC"}
        params["filter"] = self._filter(part)
        params["select"] = ["ID"] if count or last else list(select)
        params["start"] = 0 if count else -1
        return Call(listing.method, params)

    def _filter(self, part: Slice) -> dict[str, Json]:
        conditions: dict[str, Json] = {}
        if part.keys is not None:
            conditions["@ID"] = list(part.keys)
        else:
            conditions[">ID"] = part.after
            if part.upto is not None:
                conditions["<=ID"] = part.upto
        if part.of is not None:
            conditions["@OWNER_ID"] = list(part.of)
        if part.since is not None:
            offset = self._portal.offset
            size = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
            local = part.since - size if offset.startswith("-") else part.since + size
            # With the offset written out: how a value without one is read is undocumented (reference 3.3).
            conditions[">=DATE_MODIFY"] = local.replace(microsecond=0).isoformat() + offset
        return conditions

    # --- reading --------------------------------------------------------------------------------------------------------

    def page(self, stream: Stream, body: Json) -> Page:
        listing = self._listings[stream.name]
        reading, known = self._readings[stream.name], self._known.get(stream.name)
        found = self._rows(listing, body)
        more = "next" in body if isinstance(body, dict) else False
        page = Page(records=[], keys=[_row_key(listing, row) for row in found], more=more, total=_total(body))
        try:
            page.records.extend(listing.read(found, reading))
        except ColumnError:  # again row by row, to keep the good ones
            for row_key, row in zip(page.keys, found, strict=True):
                try:
                    page.records.extend(listing.read([row], reading))
                except ColumnError as error:
                    page.rejects.append(Reject(str(row_key), str(error), error.column))
        if known is not None:
            shown = frozenset(set().union(*found))
            page.unknown = shown - known
            if stream.is_incremental:
                _refuse_gaps(page, found, (shown & known) - _LEFT_OUT)
        return page

    def count(self, stream: Stream, body: Json) -> tuple[int, list[int]]:
        listing = self._listings[stream.name]
        keys = [_row_key(listing, row) for row in self._rows(listing, body)]
        return _total(body) or 0, keys

    def _rows(self, listing: Listing, body: Json) -> list[Row]:
        result = body.get("result") if isinstance(body, dict) else None
        if listing.box and isinstance(result, dict):
            result = result.get(listing.box)
        if not isinstance(result, list) or not all(isinstance(row, dict) for row in result):
            raise PayloadError(f"{listing.method}: the answer is no list of rows", hint=wire.REPORT)
        return result

    # --- the envelope -----------------------------------------------------------------------------------------------------

    def verdict(self, answer: Answer) -> Ruling:
        return wire.verdict(answer)

    def meter(self, body: Json) -> Meter:
        return wire.meter(body)

    def pack(self, calls: Mapping[str, Call]) -> Call:
        return wire.pack(calls)

    def unpack(self, body: Json, names: Sequence[str]) -> dict[str, Answer]:
        return wire.unpack(body, names)

    def chain(self, stream: Stream, name: str) -> str:
        box = self._listings[stream.name].box
        return f"$result[{name}]{f'[{box}]' if box else ''}[{self.limits.page - 1}][ID]"

    # --- deletions --------------------------------------------------------------------------------------------------------

    def confirm(self, stream: Stream, key: int) -> Call:
        return Call(self._listings[stream.name].get, {"id": key})

    def fate(self, stream: Stream, answer: Answer) -> Fate:
        body = answer.body if answer.is_json else None
        code, text = wire.error_of(body)
        if code == "not_found" or (not code and "not found" in text):
            return Fate.GONE
        if code == "access_denied" or (not code and "access denied" in text):
            return Fate.HIDDEN
        result = body.get("result") if isinstance(body, dict) and "error" not in body else None
        if isinstance(result, dict) and result.get("ID"):
            return Fate.ALIVE
        method = self._listings[stream.name].get
        raise PayloadError(f"{method}: the answer tells neither a row nor its absence", hint="run the sync again")


def _listings(options: Options, portal: Portal) -> list[Listing]:
    listings = [*_DICTIONARIES]
    if portal.has_owners:
        listings.append(_OWNERS)
    listings += [_ENTITIES[entity][0] for entity in portal.entities]
    if options.contacts:
        listings.append(_CONTACTS)
    return listings + [_ENTITIES[entity][1] for entity in portal.entities]


def _refuse_gaps(page: Page, found: Sequence[Row], columns: frozenset[str]) -> None:
    """Quarantine rows without a column that other rows of the page have: read as empty, the gap would stay until they change."""
    rows = zip(page.keys, found, strict=True)
    lacking = {str(row_key): columns - row.keys() for row_key, row in rows if not columns <= row.keys()}
    if lacking:
        name = type(page.records[0]).KEY[-1] if page.records else ""
        page.records = [record for record in page.records if getattr(record, name) not in lacking]
        refused = {reject.key for reject in page.rejects}
        page.rejects += [Reject(one, "left out", min(gaps)) for one, gaps in lacking.items() if one not in refused]


def _row_key(listing: Listing, row: Row) -> int:
    """The walking key. A row without one has no place in the walk, so the whole answer is refused."""
    value = row.get(listing.id)
    try:
        return 0 if listing.stream.walk is Walk.WHOLE and value in (0, "0") else key(value)
    except ValueError:
        raise PayloadError(f"{listing.method}: a row without a readable {listing.id}", hint=wire.REPORT) from None


def _total(body: Json) -> int | None:
    """`total` of the envelope; None when the answer was not counted (start=-1 gives 0)."""
    total = body.get("total") if isinstance(body, dict) else None
    if total in (None, 0, "0", ""):
        return None
    try:
        return key(total)
    except ValueError:
        raise PayloadError("total: not a number", hint=wire.REPORT) from None
