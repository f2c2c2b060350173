"""The REST methods of the demo portal: parameters in, JSON text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from .columns import Dialect, Mask, iso, json_text, php_int
from .errors import RestError
from .faults import Fault
from .filters import PAGE, Query, find, read_filter, read_order
from .schema import CONTACT, DEAL, LEAD
from .store import Store
from .table import Field, Table

Params: TypeAlias = Mapping[str, Any]
_USER_SCOPES = ("user", "user_basic", "user_brief")
_UNIVERSAL_TYPES = {1: "lead", 2: "deal", 3: "contact"}
_KNOWN_TYPES = (*_UNIVERSAL_TYPES, 4, 5, 7, 31)
_HASH = 2654435761


@dataclass(frozen=True, slots=True)
class Answer:
    """`text`: JSON of `result`; `look`: text of a `$result[...]` path inside it, "" when there is none."""

    text: str
    look: Callable[[list[str]], str]
    total: int | None = None
    next: int | None = None
    n_rows: int = 0
    is_page: bool = False
    is_counted: bool = False


class Rest:
    """Methods over a store. `call` holds the store's lock, so an answer is one consistent state."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        scopes: tuple[str, ...],
        history_types: Literal["string", "integer"],
    ) -> None:
        self._store, self._now, self._scopes = store, now, scopes
        self._history_dialect: Dialect = "list" if history_types == "string" else "universal"
        self._n_unordered = 0
        self._methods: dict[str, Callable[[Params, Fault | None], Answer]] = {
            "profile": self._profile,
            "scope": lambda params, lie: plain(list(self._scopes)),
            "server.time": lambda params, lie: plain(iso(self._now())),
            "method.get": self._method_get,
            "crm.settings.mode.get": lambda params, lie: plain(1 if store.mode == "classic" else 2),
            "crm.stagehistory.list": self._history,
            "crm.status.list": self._statuses,
            "crm.category.list": self._categories,
            "user.get": self._users,
            "crm.item.list": self._items,
        }
        for entity, fields in (("lead", LEAD), ("deal", DEAL), ("contact", CONTACT)):
            self._methods |= self._classic_methods(entity, fields)

    def _classic_methods(self, entity: str, fields: Mapping[str, Field]) -> dict[str, Any]:
        table = self._store.table(entity)
        return {
            f"crm.{entity}.list": lambda params, lie: self._list(table, params, lie, "list"),
            f"crm.{entity}.get": lambda params, lie: self._get(table, params, lie),
            f"crm.{entity}.fields": lambda params, lie: plain(describe(fields)),
            f"crm.{entity}.userfield.list": lambda params, lie: custom_fields(entity, fields, params),
        }

    def call(self, method: str, params: Params, lie: Fault | None = None) -> Answer:
        """Answer of a method (its name in lower case). Raises RestError."""
        found = self._methods.get(method)
        if found is None:
            raise RestError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        wanted = ("crm",) if method.startswith("crm.") else _USER_SCOPES if method.startswith("user.") else ()
        if wanted and not set(wanted) & set(self._scopes):
            text = "The request requires higher privileges than provided by the webhook token"
            raise RestError(401, "insufficient_scope", text)
        with self._store.lock:
            return found({key.lower(): value for key, value in params.items()}, lie)

    def _profile(self, params: Params, lie: Fault | None) -> Answer:
        user = self._store.users[0]
        return plain(
            {"ID": user["ID"], "ADMIN": True, "NAME": user["NAME"], "LAST_NAME": user["LAST_NAME"],
             "PERSONAL_GENDER": "", "TIME_ZONE": ""}
        )  # fmt: skip

    def _method_get(self, params: Params, lie: Fault | None) -> Answer:
        is_known = required(params, "name").lower() in {*self._methods, "batch"}
        return plain({"isExisting": is_known, "isAvailable": is_known})

    def _statuses(self, params: Params, lie: Fault | None) -> Answer:
        given = params.get("filter") or {}
        if not isinstance(given, Mapping):
            raise RestError(400, "", "Parameter 'filter' must be array.")
        rows = [row for row in self._store.statuses if all(row.get(k.lstrip("=")) == v for k, v in given.items())]
        order = params.get("order")
        for name, direction in reversed(list(order.items()) if isinstance(order, Mapping) else []):
            is_number = name in ("SORT", "ID")
            rows.sort(key=lambda row: int(row[name]) if is_number else str(row.get(name)), reverse=direction == "DESC")
        return plain(rows, total=len(rows))

    def _categories(self, params: Params, lie: Fault | None) -> Answer:
        if php_int(required(params, "entitytypeid")) != 2:
            raise RestError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported")
        return plain({"categories": self._store.categories}, total=len(self._store.categories))

    def _users(self, params: Params, lie: Fault | None) -> Answer:
        given = params.get("filter") or {}
        rows = [user for user in self._store.users if user_matches(user, given)]
        if not {"user", "user_basic"} & set(self._scopes):
            rows = [{k: v for k, v in row.items() if k != "EMAIL"} for row in rows]
        start = max(0, php_int(params.get("start", 0)))
        following = start + PAGE if start + PAGE < len(rows) else None
        return plain(rows[start : start + PAGE], total=len(rows), following=following)

    def _items(self, params: Params, lie: Fault | None) -> Answer:
        type_id = php_int(required(params, "entitytypeid"))
        if type_id in _UNIVERSAL_TYPES:
            return self._list(self._store.table(_UNIVERSAL_TYPES[type_id]), params, lie, "universal", is_wrapped=True)
        if type_id in _KNOWN_TYPES:
            raise RestError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported")
        raise RestError(400, "NOT_FOUND", "Smart process not found")

    def _history(self, params: Params, lie: Fault | None) -> Answer:
        type_id = php_int(required(params, "entitytypeid"))
        if type_id not in _KNOWN_TYPES:
            raise RestError(400, 0, f"Entity type {type_id} is not supported")
        history = {1: self._store.lead_history, 2: self._store.deal_history}.get(type_id)
        if history is None:
            return plain({"items": []}, total=0)
        return self._list(history, params, lie, self._history_dialect, is_wrapped=True)

    def _list(
        self, table: Table, params: Params, lie: Fault | None, dialect: Dialect, is_wrapped: bool = False
    ) -> Answer:
        is_universal = table is not self._store.lead_history and dialect == "universal"
        is_universal = is_universal and table is not self._store.deal_history
        action = lie.action if lie else ""
        where = read_filter(table, params.get("filter"), is_universal)
        order = read_order(table, params.get("order"), is_universal)
        start = php_int(params.get("start", 0))
        query = Query(where, order, start)
        if action == "ignore_filter":
            query = Query(order=order, start=start)
        elif action == "ignore_order":
            query = Query(where, (), start)
        self._n_unordered += not query.order
        is_hidden = hidden(table, lie) if lie and action == "hide" else None
        found = find(table, query, is_hidden, (self._store.seed, self._n_unordered))
        rows = found.rows[:0] if action == "empty_page" else found.rows
        select = params.get("select")
        chosen = [str(name) for name in select] if isinstance(select, list) and select else ["*", "UF_*"]
        names = table.wanted(chosen, is_universal)
        printed = table.print_rows(rows, names, dialect) if len(rows) else []
        listed = "[" + ",".join(printed) + "]"

        def look(path: list[str]) -> str:
            path = path[1:] if is_wrapped and path[:1] == ["items"] else [] if is_wrapped else path
            if len(path) != 2 or not path[0].isdigit() or int(path[0]) >= len(rows):
                return ""
            name = table.classic_names.get(path[1], "") if is_universal else path[1]
            return as_text(table.value(name, int(rows[int(path[0])]), dialect)) if name in names else ""

        text = '{"items":' + listed + "}" if is_wrapped else listed
        return Answer(text, look, found.total, found.next, len(rows), is_page=True, is_counted=start >= 0)

    def _get(self, table: Table, params: Params, lie: Fault | None) -> Answer:
        id_ = php_int(params.get("id", 0))
        if id_ <= 0:
            raise RestError(400, "", "ID is not defined or invalid.")
        row = table.find(id_)
        if row is None:
            raise RestError(400, "", "Not found")
        if lie and lie.action == "hide" and hidden(table, lie)[row]:
            raise RestError(400, "", "Access denied.")
        names = table.wanted(["*", "UF_*", *table.fields], False)
        text = table.print_rows(np.array([row]), names, "get")[0]

        def look(path: list[str]) -> str:
            return as_text(table.value(path[0], row, "get")) if path and path[0] in names else ""

        return Answer(text, look)


def plain(value: Any, total: int | None = None, following: int | None = None) -> Answer:
    """An answer that is small enough to build as a Python value."""

    def look(path: list[str]) -> str:
        node = value
        for step in path:
            if isinstance(node, Mapping):
                node = node.get(step)
            elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
                node = node[int(step)]
            else:
                return ""
        return as_text(node)

    return Answer(json_text(value), look, total, following)


def as_text(value: Any) -> str:
    """A referenced value as PHP casts it to text."""
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def required(params: Params, name: str) -> str:
    value = params.get(name)
    if value in (None, ""):
        shown = {"entitytypeid": "entityTypeId"}.get(name, name)
        raise RestError(400, 100, f"Could not find value for parameter {{{shown}}}")
    return str(value)


def hidden(table: Table, lie: Fault) -> Mask:
    """Rows that shrunken rights hide: the same share of ids on every call."""
    share = 0.3 if lie.value is None else float(lie.value)
    mask = np.zeros(len(table.alive), dtype=bool)
    mask[: table.n] = (table.ids.astype(np.uint64) * _HASH) % 2**32 < share * 2**32
    return mask


def user_matches(user: Mapping[str, Any], given: Any) -> bool:
    for key, wanted in given.items() if isinstance(given, Mapping) else ():
        name = key.lstrip("=@!")
        if name not in user:
            continue  # unknown names are ignored
        if name == "ACTIVE":
            is_wanted = str(wanted).lower() in ("true", "1", "y")
            if user["ACTIVE"] != is_wanted:
                return False
        elif str(user[name]) not in [str(item) for item in (wanted if isinstance(wanted, list) else [wanted])]:
            return False
    return True


def describe(fields: Mapping[str, Field]) -> dict[str, Any]:
    """Answer of `*.fields`. The title of a custom field is its code; people's words are in the labels."""
    described: dict[str, Any] = {}
    for name, known in fields.items():
        if known.is_universal_only:
            continue
        is_custom = name.startswith("UF_")
        entry = {
            "type": known.type, "isRequired": False, "isReadOnly": known.is_read_only, "isImmutable": False,
            "isMultiple": known.type == "crm_multifield", "isDynamic": is_custom,
            "title": name if is_custom else known.title,
        }  # fmt: skip
        if known.type == "crm_status":
            directory = {"STATUS_ID": "STATUS", "STAGE_ID": "DEAL_STAGE", "SOURCE_ID": "SOURCE"}
            entry["statusType"] = directory.get(name, "DEAL_TYPE" if name == "TYPE_ID" else name)
        if known.options:
            entry["items"] = [{"ID": id_, "VALUE": value} for id_, value in known.options.items()]
        if is_custom:
            entry |= dict.fromkeys(("listLabel", "formLabel", "filterLabel"), known.title)
        described[name] = entry
    return described


def custom_fields(entity: str, fields: Mapping[str, Field], params: Params) -> Answer:
    """Answer of `crm.*.userfield.list`."""
    rows: list[dict[str, Any]] = []
    for name, known in fields.items():
        if name.startswith("UF_"):
            row: dict[str, Any] = {
                "ID": str(11 + 2 * len(rows)), "ENTITY_ID": f"CRM_{entity.upper()}", "FIELD_NAME": name,
                "USER_TYPE_ID": known.type, "XML_ID": None, "SORT": "100", "MULTIPLE": "N", "MANDATORY": "N",
                "SHOW_FILTER": "E", "SHOW_IN_LIST": "Y", "EDIT_IN_LIST": "Y", "IS_SEARCHABLE": "N", "SETTINGS": [],
                "EDIT_FORM_LABEL": known.title, "LIST_COLUMN_LABEL": known.title, "LIST_FILTER_LABEL": known.title,
            }  # fmt: skip
            if known.options:
                row["LIST"] = [
                    {"ID": id_, "SORT": "500", "VALUE": value, "DEF": "N", "XML_ID": ""}
                    for id_, value in known.options.items()
                ]
            rows.append(row)
    return plain(rows, total=len(rows))
