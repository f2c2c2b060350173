"""Values that must never be printed, and the mask that keeps them out of every text that leaves the process."""

import re
from collections.abc import Iterable

MASK = "***"
# /rest/<user>/<code>/ is the password of an incoming webhook, wherever the URL came from.
_WEBHOOK = re.compile(r"(/rest/(?:api/)?\d+/)[^/\s\"']+")


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
    """`text` with the given secrets and anything that looks like a webhook code replaced by `***`."""
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= 4:
            text = text.replace(value, MASK)
    return _WEBHOOK.sub(rf"\1{MASK}", text)
