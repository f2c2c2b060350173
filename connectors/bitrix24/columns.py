"""Single values of Bitrix24's columns. Every parser raises ValueError with our own words, never the value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from connectors.people import impersonal
from connectors.records import Semantics
from connectors.text import NAME_LIMIT, clean_name, fold
from connectors.values import key, optional_flag, utc, word

MOST_VALUES = 100  # of a multiple field


class ColumnError(ValueError):
    """A value of `column` that cannot be read, and why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


@dataclass(frozen=True, slots=True)
class CustomField:
    """A field of the portal's own: code, declared type, labels of its options by id."""

    code: str
    kind: str = "string"
    labels: Mapping[str, str] = field(default_factory=dict)


def own_id(value: object) -> str:
    if isinstance(value, str) and value.isdigit() and value[0] != "0" and len(value) <= 18 and value.isascii():
        return value
    return str(key(value))


def number(value: object) -> str:
    """An id that may be 0: the default pipeline."""
    return "0" if value in (0, "0") and value is not False else str(key(value))


def code(value: object) -> str:
    """A required code, as it is: stage ids are compared with config letter by letter."""
    text = word(value)
    name = text if text is not None and text.isascii() and text.isprintable() else clean_name(text)
    if not name:
        raise ValueError("empty")
    if len(name) > NAME_LIMIT:
        raise ValueError(f"a code of more than {NAME_LIMIT} characters")
    return name


def _public(text: str | None) -> str | None:
    return impersonal(fold(text))


_public_again = lru_cache(maxsize=4096)(_public)


def folded(value: object) -> str | None:
    """Text that rules compare, without persons. A CRM repeats a few hundred of them over a million rows."""
    if value is None:
        return None
    text = value if isinstance(value, str) else word(value)
    return _public_again(text) if text is None or len(text) <= 100 else _public(text)


def required_fold(value: object) -> str:
    text = folded(value)
    if text is None:
        raise ValueError("empty")
    return text


def name(value: object) -> str:
    return clean_name(word(value))


def short(value: object) -> str | None:
    """A currency code."""
    if isinstance(value, str) and len(value) == 3 and value.isalnum():
        return value
    return clean_name(word(value))[:16] or None


_SEMANTICS: Mapping[str, Semantics] = {"P": "open", "S": "won", "F": "lost"}


def semantics(value: object) -> Semantics | None:
    """P (in work), S (success), F (failure)."""
    if value is None or value == "":
        return None
    meaning = _SEMANTICS.get(value) if isinstance(value, str) else None
    if meaning is None:
        raise ValueError("none of P, S, F")
    return meaning


def stage_semantics(value: object) -> Semantics:
    """In the stage dictionary nothing means in work."""
    return semantics(value) or "open"


def sort(value: object) -> int | None:
    text = word(value)
    if text is None:
        return None
    if not text.removeprefix("-").isdecimal() or len(text) > 9:
        raise ValueError("not a whole number")
    return int(text)


def contacts_of(value: object) -> list[str]:
    """The VALUEs of a multifield (phones, e-mails); absent, empty and false are none."""
    if not value:
        return []
    rows = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise ValueError("not a list of values")
    texts = []
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError("not a list of values")
        text = word(row.get("VALUE"))
        if text is not None:
            texts.append(text)
    return texts


def custom_value(value: object, what: CustomField) -> Any:
    """A custom field's value as JSON: text, boolean, list of them, or None. Raises ColumnError."""
    try:
        if isinstance(value, (list, dict)):
            if len(value) > MOST_VALUES:
                raise ValueError(f"more than {MOST_VALUES} values")
            items = value.values() if isinstance(value, dict) else value
            return [one for item in items if (one := _custom_single(item, what)) is not None] or None
        return _custom_single(value, what)
    except ValueError as error:
        raise ColumnError(what.code, str(error)) from None


def _custom_single(value: object, what: CustomField) -> str | bool | None:
    if what.kind == "boolean":
        return optional_flag(value)
    if value is None or value is False or value == "":  # an empty multiple field may be false
        return None
    if what.kind == "date":
        # Midnight UTC written in the server's offset: the calendar day is the UTC one (3.1).
        return utc(value).date().isoformat()
    if what.kind == "datetime":
        return utc(value).isoformat()
    text = clean_name(word(value))
    return what.labels.get(text, text) or None
