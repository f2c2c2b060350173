"""Values that must never be printed, and the mask that keeps them out of every text that leaves the process."""

import base64
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

from connectors.text import shown

MASK = "***"
_SHORTEST = 4  # a shorter secret would tear holes into every text
_SHORTEST_PART = 8  # of an address
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
    for secret in secrets:
        for form in _forms(secret.reveal()):
            text = text.replace(form, MASK)
    return shown(_WEBHOOK.sub(rf"\1{MASK}", text))


@lru_cache(maxsize=256)  # a handful of secrets, a log line at a time
def _forms(value: str) -> tuple[str, ...]:
    """How a secret may be written, longest first: a shorter form may be part of a longer one."""
    parts = {value, unquote(value)}
    _, is_address, rest = value.partition("://")
    if is_address:
        words = re.split(r"[/?&=#]", rest.partition("/")[2])
        parts |= {word for word in words if len(word) >= _SHORTEST_PART and any(map(str.isdigit, word))}  # not "services"
        login = rest.partition("/")[0].rpartition("@")[0]
        parts |= {login, login.partition(":")[2], unquote(login.partition(":")[2])}
    forms = set()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        packed = {coded(raw).decode().rstrip("=") for coded in (base64.b64encode, base64.urlsafe_b64encode)}
        forms |= {part, quote(part, errors="replace"), quote(part, safe="", errors="replace"), *packed}
    return tuple(sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True))
