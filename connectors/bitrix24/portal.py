"""What one portal is like, out of the probes: its offset, CRM mode, scopes, custom fields, pipelines."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.bitrix24.columns import CustomField, name, number
from connectors.bitrix24.options import ENTITIES, Options
from connectors.bitrix24.wire import REPORT, SCOPES
from connectors.contract import Call, Finding, Json
from connectors.errors import AccessError, OptionError, PayloadError
from connectors.text import clean_name, fold

PROBES: Mapping[str, Call] = {
    "profile": Call("profile"),
    "scope": Call("scope"),
    "mode": Call("crm.settings.mode.get"),
    "time": Call("server.time"),
    "lead_fields": Call("crm.lead.fields"),
    "deal_fields": Call("crm.deal.fields"),
    "pipelines": Call("crm.category.list", {"entityTypeId": 2}),
}
SIMPLE_MODE = "2"
_USER_SCOPES = {"user", "user_basic", "user_brief"}
_OFFSET = re.compile(r"(?:Z|[+-]\d{2}:\d{2})\Z")


@dataclass(frozen=True)
class Portal:
    """What was learnt. `custom` and `branch` are by entity ("leads", "deals")."""

    offset: str = "+00:00"
    entities: tuple[str, ...] = ENTITIES
    has_owners: bool = True
    custom: Mapping[str, Mapping[str, CustomField]] = field(default_factory=dict)
    branch: Mapping[str, CustomField] = field(default_factory=dict)
    pipelines: Mapping[str, str] | None = None
    findings: tuple[Finding, ...] = ()


def learn(options: Options, answers: Mapping[str, Json]) -> Portal:
    """Reads the probes' bodies. Raises AccessError (no crm scope), OptionError (unknown or doubtful field), PayloadError."""
    scopes = {str(scope).lower() for scope in _result(answers, "scope", list)}
    if "crm" not in scopes:
        raise AccessError(
            "the webhook may not read the CRM: scope crm is missing",
            hint=SCOPES,
        )
    entities = options.entities
    if entities is None:
        entities = ("deals",) if str(_result(answers, "mode", (int, str))) == SIMPLE_MODE else ENTITIES
    fields = {"leads": _result(answers, "lead_fields", dict), "deals": _result(answers, "deal_fields", dict)}
    read = {entity: fields[entity] for entity in entities}
    custom: dict[str, dict[str, CustomField]] = {entity: {} for entity in entities}
    for ours, wanted in options.custom_fields.items():
        for entity, found in resolve(f"custom_fields.{ours}", wanted, read).items():
            custom[entity][ours] = found
    by_pipeline = options.branch == "pipeline"
    is_field = options.branch is not None and not by_pipeline
    return Portal(
        offset=_offset(answers),
        entities=tuple(entities),
        has_owners=bool(scopes & _USER_SCOPES),
        custom=custom,
        branch=resolve("branch", str(options.branch), read) if is_field else {},
        pipelines=_pipelines(answers) if by_pipeline else None,
        findings=tuple(_findings(answers, scopes)),
    )


def _result(answers: Mapping[str, Json], probe: str, kinds: type | tuple[type, ...]) -> Any:
    body = answers.get(probe)
    result = body.get("result") if isinstance(body, dict) else None
    if kinds is dict and result == []:  # PHP's empty map
        return {}
    if not isinstance(result, kinds):
        raise PayloadError(f"{PROBES[probe].method}: the answer is not what the documentation says", hint=REPORT)
    return result


def _offset(answers: Mapping[str, Json]) -> str:
    """The portal's own offset: values and filters of time are read by it."""
    match = _OFFSET.search(str(_result(answers, "time", str)))
    if match is None:
        raise PayloadError("server.time: a time without offset", hint=REPORT)
    return match[0].replace("Z", "+00:00")


def _pipelines(answers: Mapping[str, Json]) -> dict[str, str]:
    result = _result(answers, "pipelines", dict)
    try:
        return {number(row["id"]): name(row.get("name")) or number(row["id"]) for row in result.get("categories", [])}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PayloadError("crm.category.list: a pipeline that cannot be read", hint=REPORT) from None


def _findings(answers: Mapping[str, Json], scopes: set[str]) -> list[Finding]:
    findings = []
    if not scopes & _USER_SCOPES:
        findings.append(Finding("scope_missing", "warning", "owners", detail={"scope": "user_basic"}))
    if _result(answers, "profile", dict).get("ADMIN") is False:
        # Lists leave out what the webhook's owner may not read, without any error (reference 1.2).
        findings.append(Finding("webhook_not_admin", "warning", "leads"))
    return findings


# --- custom fields ----------------------------------------------------------------------------------------------------


def resolve(option: str, wanted: str, fields: Mapping[str, Mapping[str, Any]]) -> dict[str, CustomField]:
    """The field called `wanted` (code or title) of each entity that has it. Raises OptionError: none, or two of one title."""
    found: dict[str, CustomField] = {}
    titles: dict[str, str] = {}  # folded -> as written
    for entity, declared in fields.items():
        ours = {code: about for code, about in declared.items() if _is_custom(code, about)}
        matches = [code for code in ours if code.casefold() == wanted.strip().casefold()]
        if not matches:
            matches = [code for code, about in ours.items() if fold(wanted) in {fold(title) for title in _titles(about)}]
        if len(matches) > 1:
            raise OptionError(
                f"{option}: {len(matches)} fields of {entity} have this title: {', '.join(sorted(matches))}",
                hint="write the code of the one you mean",
            )
        if matches:
            found[entity] = _field(matches[0], ours[matches[0]])
        titles.update({fold(title) or "": title for about in ours.values() for title in _titles(about)})
    if not found:
        close = difflib.get_close_matches(fold(wanted) or "", titles, n=1, cutoff=0.5)
        known = ", ".join(sorted(titles.values())[:10]) or "none"
        hint = f"did you mean '{titles[close[0]]}'?" if close else f"the portal's custom fields: {known}"
        raise OptionError(f"{option}: the portal has no custom field '{clean_name(wanted)}'", hint=hint)
    return found


def _is_custom(code: str, about: object) -> bool:
    """Fields of the portal's own. Standard ones are not offered: names, comments and addresses of people are among them."""
    return isinstance(about, dict) and (code.startswith(("UF_", "PARENT_ID_")) or about.get("isDynamic") is True)


def _titles(about: Mapping[str, Any]) -> Sequence[str]:
    """What people see; `title` alone often repeats the code."""
    labels = (about.get(label) for label in ("formLabel", "listLabel", "filterLabel", "title"))
    return [title for label in labels if isinstance(label, str) and (title := clean_name(label))]


def _field(code: str, about: Mapping[str, Any]) -> CustomField:
    items = about.get("items")
    labels = {
        str(item["ID"]): clean_name(str(item.get("VALUE", "")))
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and "ID" in item
    }
    return CustomField(code, str(about.get("type", "string")), labels)
