"""Builds frozen dataclasses from TOML tables and refuses what does not fit, naming the file, the key and the nearest valid key.

Schema libraries reject unknown keys too, but none names the nearest one or keeps secrets in the environment.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from connectors.secrets import Secret
from pipeline.errors import ConfigError

T = TypeVar("T")


def nearest(word: str, known: Sequence[str]) -> str:
    """`, did you mean 'x'?` or an empty text."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the configuration a value stands, for messages."""

    file: Path
    path: str = ""

    def of(self, key: str) -> "Place":
        return Place(self.file, f"{self.path}.{key}" if self.path else key)

    def __str__(self) -> str:
        line = self._line()
        return f"{self.file}{f', line {line}' if line else ''}: [{self.path}]" if self.path else str(self.file)

    def _line(self) -> int | None:
        """The first line that holds the last word of the path as a key or table name; good enough to jump to."""
        word = re.escape(self.path.rsplit(".", 1)[-1].split("[")[0])
        try:
            lines = self.file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return None
        pattern = re.compile(rf'^\s*(?:["\']?{word}["\']?\s*=|\[+[^\]]*\b{word}["\']?\s*\]+)')
        return next((number for number, text in enumerate(lines, 1) if pattern.match(text)), None)


def build(kind: type[T], table: object, place: Place, environ: Mapping[str, str]) -> T:
    """A `kind` (dataclass) out of a TOML table. Raises ConfigError."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{place}: expected a table of keys")
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]  # kind is a dataclass by contract
    hints = get_type_hints(kind)
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{place.of(key)}: unknown key {key!r}{nearest(key, list(known))}", hint=f"valid keys: {', '.join(known)}"
            )
    values = {key: _value(hints[key], value, place.of(key), environ) for key, value in table.items()}
    for name, item in known.items():
        if name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise ConfigError(f"{place}: the key {name!r} is missing")
    return kind(**values)


def _value(hint: Any, value: object, place: Place, environ: Mapping[str, str]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _first_fit([item for item in arguments if item is not NoneType], value, place, environ)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(
                f"{place}: {value!r} is not possible{nearest(str(value), arguments)}", hint=f"possible: {', '.join(arguments)}"
            )
        return value
    if origin is tuple:
        items = [value] if isinstance(value, str | int | date) else value
        if not isinstance(items, list):
            raise ConfigError(f"{place}: expected a list")
        return tuple(_value(arguments[0], item, place, environ) for item in items)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{place}: expected a table of keys")
        return {key: _value(arguments[1], item, place.of(str(key)), environ) for key, item in value.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, place, environ)
    return _scalar(hint, value, place, environ)


def _first_fit(hints: Sequence[Any], value: object, place: Place, environ: Mapping[str, str]) -> Any:
    for hint in hints[:-1]:
        try:
            return _value(hint, value, place, environ)
        except ConfigError:
            continue
    return _value(hints[-1], value, place, environ)


def _scalar(hint: Any, value: object, place: Place, environ: Mapping[str, str]) -> Any:
    if hint is Any:
        return value
    if hint is Secret:
        return _secret(value, place, environ)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is date and isinstance(value, datetime):
        raise ConfigError(f"{place}: expected a date like 2026-10-05, without a time")
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    words = {
        str: "text in quotes",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        date: "a date like 2026-10-05",
    }
    raise ConfigError(f"{place}: expected {words.get(hint, getattr(hint, '__name__', hint))}")


def _secret(value: object, place: Place, environ: Mapping[str, str]) -> Secret:
    if not isinstance(value, str) or not value.startswith("env:"):
        raise ConfigError(
            f"{place}: a secret must not stand in this file",
            hint='write "env:NAME" here and NAME=... into .env (see .env.example)',
        )
    name = value.removeprefix("env:")
    if not environ.get(name):
        raise ConfigError(
            f"{place}: the variable {name} is not set", hint=f"put {name}=... into the .env beside the config folder"
        )
    return Secret(environ[name])
