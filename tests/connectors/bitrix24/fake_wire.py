"""Bitrix24's REST as the conformance kit needs it: written from the documentation, sharing no code with the connector."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import unquote_plus

from connectors.bitrix24 import Bitrix24, Options
from connectors.conformance.crm import FakeCrm, Found, Row
from connectors.conformance.fake import FakeWire
from connectors.conformance.faults import Fault
from connectors.contract import Answer, Call, Connector, Stream, Surroundings
from connectors.records import Deal, Lead, Pipeline, Record, Stage
from connectors.secrets import Secret

SEMANTICS = {"open": "P", "won": "S", "lost": "F"}
REFERENCE = re.compile(r"\$result((?:\[[^\]]+\])+)")
Params = Mapping[str, Any]


class BitrixWire(FakeWire):
    """A portal in classic mode with two funnels. `pages` shrinks the page, so that a small CRM has many."""

    connector_type: type[Bitrix24] = Bitrix24
    page: int | None = 7

    def connector(self, surroundings: Surroundings, canary: str) -> Connector:
        options = Options(webhook=Secret(f"https://portal.example/rest/1/{canary}/"))
        if self.page is None:
            return self.connector_type.open(options, surroundings)
        size = self.page

        class SmallPages(self.connector_type):  # type: ignore[name-defined,misc]  # the class under proof varies
            def __init__(self, *given: Any) -> None:
                super().__init__(*given)
                self.limits = replace(self.limits, page=size)

        return SmallPages.open(options, surroundings)

    def truth(self, stream: Stream, record: Record) -> Record:
        match record:
            case Lead():
                return replace(record, pipeline_id="0", branch=None, extra=None)
            case Deal():
                return replace(record, customer_hash=None, branch=None, extra=None)
            case Stage():
                is_lead = record.entity == "lead"
                return replace(record, pipeline_id="0") if is_lead else record
            case Pipeline():
                return replace(record, entity="deal", pipeline_id=record.pipeline_id.removeprefix("C"))
        if stream.name == "lead_history":
            return replace(record, pipeline_id="0")  # type: ignore[call-arg]  # a StageChange
        return record

    def refuse(self, fault: Fault, crm: FakeCrm) -> Answer:
        status, code = {
            Fault.SLOW: (503, "QUERY_LIMIT_EXCEEDED"),
            Fault.BUDGET: (429, "OPERATION_TIME_LIMIT"),
            Fault.BROKEN: (500, "INTERNAL_SERVER_ERROR"),
            Fault.EXPIRED: (401, "INVALID_CREDENTIALS"),
        }[fault]
        return Answer(status=status, body={"error": code, "error_description": fault.value})

    def answer(self, call: Call, crm: FakeCrm) -> Answer:
        if call.method == "batch":
            return self._batch(call.params, crm)
        method = _METHODS.get(call.method)
        if method is None:
            return Answer(status=404, body={"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"})
        answer = method(call.params, crm)
        if answer.status == 200:
            meter = crm.meter(call.method)
            time: dict[str, Any] = {"date_start": crm.local(crm.now), "operating": meter.spent_s or 0}
            if meter.reset_at is not None:
                time["operating_reset_at"] = int(meter.reset_at.replace(tzinfo=UTC).timestamp())
            answer.body["time"] = time
        return answer

    def _batch(self, params: Params, crm: FakeCrm) -> Answer:
        members: dict[str, dict[str, Any]] = {
            name: {} for name in ("result", "result_error", "result_total", "result_next", "result_time")
        }
        for place, (name, command) in enumerate(params["cmd"].items()):
            method, _, query = command.partition("?")
            if place >= 50:
                members["result_error"][name] = {"error": "ERROR_BATCH_LENGTH_EXCEEDED", "error_description": ""}
                continue
            answer = self.reply(Call(method, php_query(query, members["result"])), crm)
            if answer is None:
                continue
            if "error" in answer.body:
                members["result_error"][name] = answer.body
                continue
            for key, value in answer.body.items():
                members["result" if key == "result" else f"result_{key}"][name] = value
        # PHP writes an empty map as a list.
        return Answer(
            200, {"result": {key: value or [] for key, value in members.items()}, "time": {"date_start": crm.local(crm.now)}}
        )


def php_query(query: str, results: Mapping[str, Any]) -> dict[str, Any]:
    """`filter[>ID]=5&select[]=ID` as nested maps; references to earlier results are resolved after decoding."""
    params: dict[str, Any] = {}
    for path, text in _pairs(query):
        value = REFERENCE.sub(lambda found: _resolve(found[1], results), text) if "$" in text else text
        place: Any = params
        for step, following in pairwise(path):
            place = place.setdefault(step, [] if following == "" else {})
        if isinstance(place, list):
            place.append(value)
        else:
            place[path[-1]] = value
    return params


@lru_cache(maxsize=20_000)
def _pairs(query: str) -> list[tuple[list[str], str]]:
    """Names as paths, decoded, and values."""
    split = [pair.partition("=") for pair in query.split("&") if pair]
    return [([part.rstrip("]") for part in unquote_plus(name).split("[")], unquote_plus(text)) for name, _, text in split]


def _resolve(path: str, results: Any) -> str:
    """What an unresolvable reference gives is undocumented; an empty text is the worst: `>ID` of it selects from the start."""
    value = results
    for step in path[1:-1].split("]["):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            return ""
    return str(value)


# --- lists ------------------------------------------------------------------------------------------------------------


def _number(value: Any) -> int:
    return int(value) if str(value).lstrip("-").isdigit() else 0


def _moment(text: str) -> datetime:
    """A filter's time. Without offset it is read in the portal's zone by some, refused by others: here it selects nothing."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.max
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else datetime.max


def _found(table: str, params: Params, crm: FakeCrm, **where: Any) -> Found:
    known = {">ID", "<=ID", "@ID", ">=DATE_MODIFY"}
    asked: Mapping[str, Any] = params.get("filter") or {}
    assert asked.keys() <= known, "the fake does not know this filter"
    start = _number(params.get("start", 0))
    upto, since, keys = asked.get("<=ID"), asked.get(">=DATE_MODIFY"), asked.get("@ID")
    order = params.get("order")
    found = crm.select(
        table,
        after=_number(asked.get(">ID", 0)),
        upto=None if upto is None else _number(upto),
        since=None if since is None else _moment(since),
        keys=None if keys is None else [_number(key) for key in keys],
        is_descending=bool(order) and order["ID"] == "DESC",
        start=max(0, start),
        limit=crm.page,
    )
    if not order:  # without an order Bitrix24 gives none
        crm.rng.shuffle(found.rows)
    return found


def _listing(table: str, draw: Callable[[Row, FakeCrm], dict[str, Any]], box: str = "") -> Callable[[Params, FakeCrm], Answer]:
    def method(params: Params, crm: FakeCrm) -> Answer:
        found = _found(table, params, crm)
        asked = set(params.get("select") or ["*"])
        rows = []
        for row in found.rows:
            whole = draw(row, crm)
            rows.append(
                (whole if "*" in asked else {name: value for name, value in whole.items() if name in asked}) | crm.surprise
            )
        return _paged({box: rows} if box else rows, found, params, crm)

    return method


def _paged(result: Any, found: Found, params: Params, crm: FakeCrm) -> Answer:
    start = _number(params.get("start", 0))
    body: dict[str, Any] = {"result": result, "total": 0 if start < 0 else found.total}
    if start >= 0 and found.more:
        body["next"] = start + crm.page
    return Answer(200, body)


def _getting(table: str, draw: Callable[[Row, FakeCrm], dict[str, Any]]) -> Callable[[Params, FakeCrm], Answer]:
    def method(params: Params, crm: FakeCrm) -> Answer:
        row = crm.find(table, _number(params.get("id", params.get("ID"))))
        if row is None or row.is_deleted:
            return Answer(400, {"error": "", "error_description": "Not found"})
        if row.is_hidden:
            return Answer(400, {"error": "", "error_description": "Access denied."})
        return Answer(200, {"result": draw(row, crm)})

    return method


# --- rows -------------------------------------------------------------------------------------------------------------


def _shared(row: Row, crm: FakeCrm) -> dict[str, Any]:
    facts = row.facts
    amount = facts["amount"]
    return {
        "ID": str(row.key),
        "TITLE": "x",
        "DATE_CREATE": crm.local(facts["created_at"]),
        "DATE_MODIFY": crm.local(row.modified),
        "MOVED_TIME": crm.local(facts["moved_at"]),
        "ASSIGNED_BY_ID": facts["owner_id"],
        "SOURCE_ID": facts["crm_source"],
        **{f"UTM_{part.upper()}": facts[f"utm_{part}"] for part in ("source", "medium", "campaign", "content", "term")},
        "OPPORTUNITY": crm.nonsense if row.is_broken else None if amount is None else f"{amount:.2f}",
        "CURRENCY_ID": facts["currency"],
        "CONTACT_ID": facts["contact_id"] or (None, "0", "")[row.key % 3],
        "IS_RETURN_CUSTOMER": "Y" if facts["is_repeat"] else "N",
    }


def _people(row: Row) -> dict[str, Any]:
    """Multifields: absent when empty."""
    fields: dict[str, Any] = {}
    for name in ("phone", "email"):
        if row.facts[name]:
            fields[name.upper()] = [{"ID": "1", "VALUE_TYPE": "WORK", "VALUE": row.facts[name], "TYPE_ID": name.upper()}]
    return fields


def _lead(row: Row, crm: FakeCrm) -> dict[str, Any]:
    facts = row.facts
    stage = {"STATUS_ID": facts["stage_id"], "STATUS_SEMANTIC_ID": SEMANTICS[facts["semantics"]]}
    return _shared(row, crm) | stage | {"HAS_PHONE": "Y" if facts["has_phone"] else "N"} | _people(row)


def _deal(row: Row, crm: FakeCrm) -> dict[str, Any]:
    facts = row.facts
    return _shared(row, crm) | {
        "STAGE_ID": facts["stage_id"],
        "STAGE_SEMANTIC_ID": SEMANTICS[facts["semantics"]],
        "CATEGORY_ID": facts["pipeline_id"],
        "LEAD_ID": facts["lead_id"],
        "IS_RECURRING": "Y" if facts["is_template"] else "N",
    }


def _contact(row: Row, crm: FakeCrm) -> dict[str, Any]:
    dates = {"DATE_CREATE": crm.local(row.facts["created_at"]), "DATE_MODIFY": crm.local(row.modified)}
    return {"ID": str(row.key)} | dates | _people(row)


def _move(row: Row, crm: FakeCrm) -> dict[str, Any]:
    facts = row.facts
    number: Callable[[Any], Any] = int if row.key % 2 else str  # docs show integers, captures strings
    move = {
        "ID": number(row.key),
        "TYPE_ID": 2,
        "OWNER_ID": number(facts["entity_id"]),
        "CREATED_TIME": crm.local(facts["moved_at"]),
    }
    if facts["entity"] == "lead":
        return move | {"STATUS_ID": facts["stage_id"], "STATUS_SEMANTIC_ID": SEMANTICS[facts["semantics"]]}
    stage = {
        "STAGE_ID": facts["stage_id"],
        "STAGE_SEMANTIC_ID": SEMANTICS[facts["semantics"]],
        "CATEGORY_ID": number(facts["pipeline_id"]),
    }
    return move | stage


def _history(params: Params, crm: FakeCrm) -> Answer:
    table = {1: "lead_history", 2: "deal_history"}[_number(params["entityTypeId"])]
    return _listing(table, _move, "items")(params, crm)


def _statuses(params: Params, crm: FakeCrm) -> Answer:
    """All directories in one list without pages, rows of no interest included."""
    directory = (params.get("filter") or {}).get("ENTITY_ID")
    rows: list[dict[str, Any]] = [{"ENTITY_ID": "INDUSTRY", "STATUS_ID": "IT", "NAME": "IT", "SORT": "10", "SEMANTICS": None}]
    for row in crm.select("stages").rows:
        facts = row.facts
        entity = (
            "STATUS"
            if facts["entity"] == "lead"
            else "DEAL_STAGE"
            if facts["pipeline_id"] == "0"
            else f"DEAL_STAGE_{facts['pipeline_id']}"
        )
        meaning = {"open": None, "won": "S", "lost": "F"}[facts["semantics"]]
        rows.append(
            {
                "ENTITY_ID": entity,
                "STATUS_ID": facts["stage_id"],
                "NAME": facts["name"],
                "SORT": str(facts["sort"]),
                "SEMANTICS": meaning,
            }
        )
    for row in crm.select("crm_sources").rows:
        rows.append(
            {
                "ENTITY_ID": "SOURCE",
                "STATUS_ID": row.facts["crm_source"],
                "NAME": row.facts["name"],
                "SORT": "10",
                "SEMANTICS": None,
            }
        )
    numbered = [{"ID": str(place + 1), **row} for place, row in enumerate(rows) if directory in (None, row["ENTITY_ID"])]
    return Answer(200, {"result": numbered, "total": len(numbered)})


def _pipelines(params: Params, crm: FakeCrm) -> Answer:
    rows = crm.select("pipelines").rows
    categories = [
        {
            "id": row.key,
            "name": row.facts["name"],
            "sort": 10,
            "entityTypeId": 2,
            "isDefault": "Y" if row.facts["is_default"] else "N",
        }
        for row in rows
    ]
    return Answer(200, {"result": {"categories": categories}, "total": len(categories)})


def _user(row: Row, crm: FakeCrm) -> dict[str, Any]:
    return {"ID": str(row.key), "ACTIVE": row.facts["is_active"], "NAME": row.facts["name"], "LAST_NAME": "", "IS_ONLINE": "N"}


def _users(params: Params, crm: FakeCrm) -> Answer:
    assert "order" not in params or params["order"] in ("ASC", "DESC"), "user.get takes sort and order as texts"
    return _listing("owners", _user)({**params, "order": {"ID": params.get("order", "ASC")}, "filter": {}}, crm)


def _plain(result: Any) -> Callable[[Params, FakeCrm], Answer]:
    return lambda params, crm: Answer(200, {"result": result})


_METHODS: dict[str, Callable[[Params, FakeCrm], Answer]] = {
    "profile": _plain({"ID": "1", "ADMIN": True, "NAME": "x", "LAST_NAME": "y"}),
    "scope": _plain(["crm", "user"]),
    "crm.settings.mode.get": _plain(1),
    "server.time": lambda params, crm: Answer(200, {"result": crm.local(crm.now)}),
    "crm.lead.fields": _plain({"ID": {"type": "integer", "title": "ID"}}),
    "crm.deal.fields": _plain({"ID": {"type": "integer", "title": "ID"}}),
    "crm.category.list": _pipelines,
    "crm.status.list": _statuses,
    "crm.stagehistory.list": _history,
    "crm.lead.list": _listing("leads", _lead),
    "crm.deal.list": _listing("deals", _deal),
    "crm.contact.list": _listing("contacts", _contact),
    "crm.lead.get": _getting("leads", _lead),
    "crm.deal.get": _getting("deals", _deal),
    "crm.contact.get": _getting("contacts", _contact),
    "user.get": _users,
}
