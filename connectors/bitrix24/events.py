"""What an outgoing webhook of Bitrix24 says: which row of which stream changed, and that it is the portal that says so.

An event is a form with PHP's bracket keys. It carries an id and nothing of the row, is sent once, in no promised order, and is
lost when nobody answers (reference 5.1, 5.2): a hint that a row is worth fetching. Pure.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from connectors.bitrix24.options import Options

_EVENT = re.compile(r"ONCRM(LEAD|DEAL)(?:ADD|UPDATE|DELETE)")
_STREAMS = {"LEAD": "leads", "DEAL": "deals"}
_KEY = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_MOST_FIELDS = 100  # the documented event of an application has 13


@dataclass(frozen=True, slots=True)
class Event:
    """One form, as far as anybody needs it. What else it holds (an application's access token) is never looked at.

    `stream` is empty for an event that is of no interest, `key` is 0 where the id is missing or no id.
    """

    stream: str = ""
    key: int = 0
    token: str = ""
    member_id: str = ""
    domain: str = ""


def read_event(body: bytes) -> Event:
    """The event in a form. A body that is no such form is an event without a token: nobody sent it."""
    try:
        form = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:  # not UTF-8, or too many fields
        return Event()
    named = _EVENT.fullmatch(form.get("event", "").upper())
    key = form.get("data[FIELDS][ID]", "")
    return Event(
        stream=_STREAMS[named[1]] if named else "",
        key=int(key) if _KEY.fullmatch(key) else 0,
        token=form.get("auth[application_token]", ""),
        member_id=form.get("auth[member_id]", ""),
        domain=form.get("auth[domain]", ""),
    )


def is_genuine(event: Event, options: Options | None) -> bool:
    """Whether the portal of these options sent it: its application token, and its member id and domain where they are configured.

    Takes the same time whatever differs, and for no options at all.
    """
    token = options.application_token.reveal() if options and options.application_token else ""
    member_id = options.member_id if options else None
    domain = options.domain if options else None
    is_token = _is_same(event.token, token)
    is_member = _is_same(event.member_id, event.member_id if member_id is None else member_id)
    is_domain = _is_same(event.domain.lower(), event.domain.lower() if domain is None else domain.lower())
    return bool(token) & is_token & is_member & is_domain


def _is_same(given: str, known: str) -> bool:
    """Digests are compared, so that not even the length of the known text can be measured."""
    return hmac.compare_digest(*(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, known)))
