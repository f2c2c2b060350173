"""Values that must never be printed, and the mask that keeps them out of every text that leaves the process."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from connectors.text import shown

MASK = "***"
_SHORTEST = 4  # a shorter secret would tear holes into every text
_SHORTEST_PART = 8  # of an address
_PASSWORDS = ("pass", "password", "token", "apikey", "secret")  # whatever their value looks like
_PEOPLE = ("from", "to", "cc", "bcc", "reply", "replyto")  # whose addresses stand there: no secret, and part of ordinary texts
# /rest/<user>/<code>/ is the password of an incoming webhook, wherever the URL came from.
_WEBHOOK = re.compile(r"((?:/|%2F)rest(?:/|%2F)(?:api(?:/|%2F))?\d+(?:/|%2F))[^/\s\"'%]+", re.IGNORECASE)


class Secret:
    """A string that shows itself only through `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


def mask(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` with the given secrets and anything that looks like a webhook code replaced by `***`.

    A secret is found as it is, percent-encoded and in Base64; one that is an address also by the parts that make it secret.
    What would act on a terminal is written out (`connectors.text.shown`).
    """
    return shown(_hidden(text, secrets))


def mask_values(document: Any, secrets: Iterable[Secret] = ()) -> Any:
    """A JSON-able copy of a document whose texts are masked; its keys and numbers are our own words and stay. What JSON does not
    know becomes text."""
    hidden = tuple(secrets)
    if isinstance(document, Mapping):
        return {key: mask_values(value, hidden) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [mask_values(value, hidden) for value in document]
    if document is None or isinstance(document, bool | int | float):
        return document
    return _hidden(str(document), hidden)


def masked_json(document: Any, secrets: Iterable[Secret] = ()) -> str:
    """A document as JSON for people and programs; what would act on a terminal stands there as an escape."""
    return shown(json.dumps(mask_values(document, secrets), ensure_ascii=False, indent=2, sort_keys=True))


def _hidden(text: str, secrets: Iterable[Secret]) -> str:
    for secret in secrets:
        for form in _forms(secret.reveal()):
            text = text.replace(form, MASK)
    return _WEBHOOK.sub(rf"\1{MASK}", text)


@lru_cache(maxsize=256)  # a handful of secrets, a log line at a time
def _forms(value: str) -> tuple[str, ...]:
    """How a secret may be written, longest first: a shorter form may be part of a longer one."""
    parts = {value, unquote(value), *_secret_parts(value)}
    forms = set()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        packed = {coded(raw).decode().rstrip("=") for coded in (base64.b64encode, base64.urlsafe_b64encode)}
        forms |= {part, quote(part, errors="replace"), quote(part, safe="", errors="replace"), *packed}
    return tuple(sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True))


def _secret_parts(value: str) -> Iterator[str]:
    """What other texts may show of an address: its login, and the values in path and query that look like secrets."""
    scheme, is_address, rest = value.partition("://")
    if not is_address:
        return
    login = re.split(r"[/?#]", rest)[0].rpartition("@")[0]
    _, has_password, password = login.partition(":")
    if has_password or not scheme.startswith("mailto"):  # there it is the name of a mailbox
        yield from (login, password, unquote(password))
    for word in words_of(value):
        if len(word) >= _SHORTEST_PART and any(map(str.isdigit, word)):  # not "services"
            yield from (word, unquote(word))
    for key, secret in _query(rest):
        if key in _PASSWORDS:
            yield from (secret, unquote(secret))


def words_of(address: str) -> list[str]:
    """The words of an address among which a token may be: parts of its path, values of its query; neither its host nor names of
    parameters, nor the people a message is from and to."""
    path = re.split(r"[?#]", address.partition("://")[2])[0].split("/")[1:]
    return [*path, *(value for key, value in _query(address) if key not in _PEOPLE)]


def _query(address: str) -> list[tuple[str, str]]:
    """Parameters of an address, their names in lower case, both as they are written."""
    pairs = (pair.partition("=") for pair in re.split(r"[&#]", address.partition("?")[2]))
    return [(key.lower(), value) if sign else ("", key) for key, sign, value in pairs]
