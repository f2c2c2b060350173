"""The envelope of Bitrix24's REST: batch packing, verdicts on errors, the server's meters.

Facts: reference sections 1.4-1.8 (envelopes, error codes, redirects), 2.1-2.3 (limits), 2.7-2.8 (batch).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from connectors.contract import Answer, Call, Json, Meter, Ruling, Verdict
from connectors.errors import PayloadError
from connectors.values import utc

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

# --- batch ------------------------------------------------------------------------------------------------------------


def pack(calls: Mapping[str, Call]) -> Call:
    """One `batch` of the calls, in order. `halt` 0: a failing command must not hide the ones after it."""
    for name in calls:
        # All-numeric names make PHP answer with lists and lose the link between errors and commands.
        if _NAME.fullmatch(name) is None:
            raise ValueError("names in a batch begin with a letter and hold letters, digits and _ only")
    return Call("batch", {"halt": 0, "cmd": {name: command(call) for name, call in calls.items()}})


def command(call: Call) -> str:
    """`method?query` in PHP's bracket style; the query is URL-encoded even inside a JSON body."""
    pairs: list[str] = []
    _flatten("", call.params, pairs)
    return f"{call.method}?{'&'.join(pairs)}" if pairs else call.method


def _flatten(path: str, value: Json, pairs: list[str]) -> None:
    if isinstance(value, str):
        pairs.append(_pair(path, value))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(f"{path}[{key}]" if path else str(key), inner, pairs)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _flatten(f"{path}[]", inner, pairs)
    else:
        pairs.append(_pair(path, str(value)))


@lru_cache(maxsize=1024)  # every page asks for the same columns
def _pair(path: str, text: str) -> str:
    # `$result[name][49][ID]` stays readable for the server; `+` of an offset must be %2B or it arrives as a space.
    return f"{quote(path, safe='[]')}={quote(text, safe='$[]' if text.startswith('$result[') else '')}"


def unpack(body: Json, names: Sequence[str]) -> dict[str, Answer]:
    """Answers by name. A command without result and without error is absent, so is one whose result is null.

    PHP writes an empty map as `[]` and a map keyed 0..n-1 as a list: positions then stand for names, where that is certain.
    Raises PayloadError when the body is no batch answer.
    """
    inner = body.get("result") if isinstance(body, dict) else None
    if not isinstance(inner, dict) or "result" not in inner:
        raise PayloadError("batch: the answer holds no results", hint=REPORT)
    results = _member(inner["result"], names)
    missing = [name for name in names if name not in results]
    errors = _member(inner.get("result_error"), missing)
    members = {key: _member(inner.get(f"result_{key}"), names) for key in ("total", "next", "time")}
    answers: dict[str, Answer] = {}
    for name in names:
        if name in errors:
            error = errors[name]
            answers[name] = Answer(status=400, body=error if isinstance(error, dict) and error else {"error": ""})
        elif results.get(name) is not None:
            whole = {"result": results[name]}
            whole.update({key: member[name] for key, member in members.items() if name in member})
            answers[name] = Answer(status=200, body=whole)
    return answers


def _member(value: Json, names: Sequence[str]) -> dict[str, Json]:
    """A member of a batch answer by command name."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    return {}


# --- meters -------------------------------------------------------------------------------------------------------------


def meter(body: Json) -> Meter:
    """Server clock, seconds the method has used and when they free, as far as `time` says (every member may be missing)."""
    time = body.get("time") if isinstance(body, dict) else None
    if not isinstance(time, dict):
        return Meter()
    spent = time.get("operating")
    return Meter(
        now=_instant(time.get("date_start")),
        spent_s=float(spent) if isinstance(spent, (int, float)) else None,
        reset_at=_instant(time.get("operating_reset_at")),
    )


def _instant(value: Json) -> datetime | None:
    """ISO text or unix seconds -> naive UTC, anything else None (one documented page writes ISO, the others a number)."""
    try:
        if isinstance(value, str):
            return utc(value)
        if isinstance(value, (int, float)) and value > 0:
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None, microsecond=0)
    except (ValueError, OverflowError, OSError):
        pass
    return None


# --- verdicts -----------------------------------------------------------------------------------------------------------

_NEW_WEBHOOK = "make a new incoming webhook as an administrator (scopes crm and user_basic) and put its address into .env"
SCOPES = (
    "edit the webhook in the portal, tick the scopes crm and user_basic (user or user_brief also work), and put its new address "
    "into .env"
)
_PLAN = "check that the portal's plan includes REST and that the webhook's owner is an administrator"
_WEB_PAGE = "check that the webhook's address in .env is the one the portal shows; if it is, run again later: it resumes"
REPORT = "this is a fault of the connector or a method the portal lacks: report it with the code"

# By code in lower case (codes occur in both cases). The code decides, the HTTP status only hints: the published ones disagree.
_CODES: Mapping[str, tuple[Verdict, str, str]] = {
    "query_limit_exceeded": (Verdict.SLOW, "too many requests", ""),
    "operation_time_limit": (Verdict.WAIT, "the method used up its server time", ""),
    "internal_server_error": (Verdict.RETRY, "the portal failed", ""),
    "error_unexpected_answer": (Verdict.RETRY, "the portal failed", ""),
    "overload_limit": (
        Verdict.REAUTH,
        "Bitrix24 blocked this portal's REST by hand because of overload",
        "write to Bitrix24 support; do not repeat requests",
    ),
    "no_auth_found": (Verdict.REAUTH, "the webhook is not accepted", _NEW_WEBHOOK),
    "invalid_credentials": (Verdict.REAUTH, "the webhook was deleted, blocked, has expired or its code changed", _NEW_WEBHOOK),
    "authorization_error": (Verdict.REAUTH, "the webhook's owner cannot be authorised (dismissed?)", _NEW_WEBHOOK),
    "expired_token": (Verdict.REAUTH, "the access has expired", _NEW_WEBHOOK),
    "invalid_token": (Verdict.REAUTH, "the access is not valid", _NEW_WEBHOOK),
    "application_not_found": (Verdict.REAUTH, "the application was removed", _NEW_WEBHOOK),
    "error_oauth": (Verdict.REAUTH, "the application is not installed", _NEW_WEBHOOK),
    "not_installed": (Verdict.REAUTH, "the application is not installed", _NEW_WEBHOOK),
    "wrong_client": (Verdict.REAUTH, "the access is not valid", _NEW_WEBHOOK),
    "wrong_auth_type": (Verdict.REAUTH, "the portal wants another kind of access", _NEW_WEBHOOK),
    "invalid_request": (Verdict.REAUTH, "the portal wants https", "put the webhook's https:// address into .env"),
    "insufficient_scope": (Verdict.REAUTH, "the webhook lacks a scope", SCOPES),
    "access_denied": (Verdict.REAUTH, "REST is not in the plan, or the webhook's owner lacks rights", _PLAN),
    "access_error": (Verdict.REAUTH, "the webhook's owner lacks rights", _PLAN),
    "user_access_error": (Verdict.REAUTH, "the webhook's owner lacks rights", _PLAN),
    "allowed_only_intranet_user": (Verdict.REAUTH, "the webhook's owner is not an employee", _NEW_WEBHOOK),
    "payment_required": (Verdict.REAUTH, "the portal's subscription has ended", _PLAN),
    "portal_deleted": (Verdict.REAUTH, "the portal is closed or deleted", "ask the portal's owner; nothing stored is lost"),
    "method_confirm_waiting": (Verdict.REAUTH, "an administrator has to allow the method", "confirm the request in the portal"),
    "method_confirm_denied": (Verdict.REAUTH, "an administrator refused the method", "allow the method in the portal"),
    "error_method_not_found": (Verdict.FATAL, "the portal does not know the method", REPORT),
    "error_batch_length_exceeded": (Verdict.FATAL, "too many commands in a batch", REPORT),
    "error_batch_method_not_allowed": (Verdict.FATAL, "the method is not allowed in a batch", REPORT),
    "error_manifest_is_not_available": (Verdict.FATAL, "the manifest is not available", REPORT),
    "not_found": (Verdict.FATAL, "no such row or entity", REPORT),
    "invalid_arg_value": (Verdict.FATAL, "a filter, order or value is refused", REPORT),
    "entity_type_not_supported": (Verdict.FATAL, "the entity is not supported", REPORT),
    "100": (Verdict.FATAL, "a parameter is missing", REPORT),
}
# Old CRM methods answer with an empty code and a fixed English text; the text is compared, never printed.
_TEXTS: Sequence[tuple[str, Verdict, str, str]] = (
    ("not found", Verdict.FATAL, "not found", REPORT),
    ("access denied", Verdict.REAUTH, "access denied", _PLAN),
    ("general error", Verdict.RETRY, "the portal failed", ""),
    ("internal error", Verdict.RETRY, "the portal failed", ""),
    ("not defined or invalid", Verdict.FATAL, "a parameter got lost or is refused", REPORT),
    ("must be array", Verdict.FATAL, "a parameter is refused", REPORT),
)
_PRINTABLE = re.compile(r"[A-Z][A-Z_]{2,59}|-?\d{1,6}")


def verdict(answer: Answer) -> Ruling:
    """What to do about an answer. A body with `error` is an error whatever the HTTP status, code first (reference 1.5, 1.6)."""
    if 300 <= answer.status < 400:
        place = answer.location_host or "an unknown address"
        # Never followed: the path holds the password, and a redirected POST loses its body (reference 1.8).
        return Ruling(Verdict.REAUTH, f"the portal moved to {place}", "put the new webhook address into .env")
    body = answer.body if answer.is_json else None
    if isinstance(body, dict) and "error" in body:
        return _error_ruling(answer.status, body)
    if answer.status >= 400 or not isinstance(body, dict):
        return _status_ruling(answer)
    if "result" in body:
        return Ruling(Verdict.OK)
    return Ruling(Verdict.FATAL, "the answer holds neither a result nor an error", REPORT)


def error_of(body: Json) -> tuple[str, str]:
    """Code and text of an error body in lower case, for comparing; ("", "") when it has none."""
    if not isinstance(body, dict):
        return "", ""
    return _code(body).lower(), str(body.get("error_description", "")).lower()


def _code(body: Mapping[str, Json]) -> str:
    code = body.get("error", "")
    if isinstance(code, dict):  # REST v3 wraps it
        code = code.get("code", "")
    return str(code).strip() if isinstance(code, (str, int, float)) else ""


def _error_ruling(status: int, body: Mapping[str, Json]) -> Ruling:
    code, text = error_of(body)
    known = _CODES.get(code)
    if known is not None:
        until = meter(body).reset_at if known[0] is Verdict.WAIT else None
        return Ruling(known[0], f"{code.upper()}: {known[1]}", known[2], until)
    if code in ("", "0"):
        for mark, outcome, reason, hint in _TEXTS:
            if mark in text:
                return Ruling(outcome, reason, hint)
    if status >= 500 or code == "":
        return Ruling(Verdict.RETRY, f"an error without a known code (HTTP {status})")
    original = _code(body)
    named = f"error {original}" if _PRINTABLE.fullmatch(original) else "an unknown error code"
    return Ruling(Verdict.FATAL, f"{named} (HTTP {status})", REPORT)


def _status_ruling(answer: Answer) -> Ruling:
    """An answer that is no error body of the portal: HTML of a gateway, cut JSON, a foreign server."""
    what = f"HTTP {answer.status}, " + ("not the portal's JSON" if answer.is_json else f"no JSON ({answer.length} bytes)")
    if answer.status == 429:
        return Ruling(Verdict.SLOW, what)
    if answer.status in (413, 502, 504):  # a gateway gave up on a request that took too long or is too big
        return Ruling(Verdict.SPLIT, what)
    if answer.status < 300 and not answer.is_json and answer.content_type == "text/html":
        return Ruling(Verdict.RETRY, f"HTTP {answer.status}, a web page instead of JSON ({answer.length} bytes)", _WEB_PAGE)
    if answer.status >= 500 or answer.status == 408 or answer.status < 300:
        return Ruling(Verdict.RETRY, what)
    return Ruling(Verdict.FATAL, what, "check that the webhook's address in .env belongs to a Bitrix24 portal")
