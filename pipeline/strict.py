"""Builds frozen dataclasses from TOML tables and refuses what does not fit, naming the file, the key and the nearest valid key.

Schema libraries reject unknown keys too, but none names the nearest one or keeps secrets in the environment.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, datetime
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from connectors.secrets import Secret
from connectors.text import is_acting
from pipeline.errors import ConfigError

LARGEST = 256 * 1024  # bytes of a configuration file
LONGEST = 4000  # characters of a name or a text in it
_DEEPEST_KEY = re.compile(r"(?:[^.,\n]{0,64}\.){50}")  # tomllib takes memory with the square of a.b.c...

T = TypeVar("T")


class MissableSecret(Secret):
    """A secret without which the rest goes on: empty when its variable `name` is not set."""

    __slots__ = ("name",)

    def __init__(self, value: str, name: str = "") -> None:
        super().__init__(value)
        self.name = name


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
        return next((number for number, text in enumerate(lines, 1) if pattern.match(text[:500])), None)


def stamps(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What tells whether a file of the configuration in `folder`, or the .env beside it, was changed: names, times, sizes."""
    found = []
    for path in (*sorted(folder.glob("*.toml")), *sorted(folder.glob("metrics/*.sql")), folder.resolve().parent / ".env"):
        with suppress(OSError):
            stat = path.stat()
            found.append((path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def read_toml(path: Path) -> dict[str, Any]:
    """A configuration file. Raises ConfigError for what is no TOML, is out of all proportion, or holds characters that act."""
    try:
        raw = path.read_bytes() if path.stat().st_size <= LARGEST else None
        text = raw.decode("utf-8-sig") if raw is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({type(error).__name__})", hint="it must be a UTF-8 text file you may read"
        ) from None
    if raw is None:
        raise ConfigError(f"{path}: larger than {LARGEST >> 10} KB", hint="a configuration is a short text: is it another file?")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#") and _DEEPEST_KEY.search(line):
            raise ConfigError(f"{path}, line {number}: a key of more than 50 parts", hint="keys look like name or table.name")
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not readable as TOML: {error}", hint="correct that place; texts stand in quotes") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets without end
        what = "tables or lists nested without end" if isinstance(error, RecursionError) else "a number or date beyond all bounds"
        raise ConfigError(f"{path}: {what}", hint="compare it with the example in the README") from None
    _check_texts(document, Place(path))
    return document


def _check_texts(document: Mapping[str, Any], root: Place) -> None:
    """Names and texts end up in messages, pages, file names and the warehouse."""
    left: list[tuple[Place, Any]] = [(root, document)]
    while left:
        place, value = left.pop()
        if isinstance(value, Mapping):
            for key, item in value.items():
                _check_text(key, place)
                left.append((place.of(key), item))
        elif isinstance(value, list):
            left += [(place, item) for item in value]
        elif isinstance(value, str):
            _check_text(value, place)


def _check_text(text: str, place: Place) -> None:
    if len(text) > LONGEST:
        raise ConfigError(f"{place}: a text of more than {LONGEST} characters", hint="shorten it")
    if is_acting(text):
        raise ConfigError(
            f"{place}: an invisible control or direction character in a name or a text", hint="type it anew instead of pasting it"
        )


def check_name(name: str, place: Place) -> None:
    """Names of sources and launches stand in the warehouse, in file names and in addresses. Raises ConfigError."""
    if re.fullmatch(r"[\w-](?:[\w .-]{0,62}[\w-])?", name) is None:
        hint = "a name is letters, digits, - and _, at most 64; the title of a launch takes any text"
        raise ConfigError(f"{place}: this cannot be a name", hint=hint)


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
    if hint in (Secret, MissableSecret):
        return _secret(hint, value, place, environ)
    if isinstance(value, int) and abs(value) >= 10**18:
        raise ConfigError(f"{place}: a number of more than 18 digits")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not isfinite(value):
        raise ConfigError(f"{place}: expected a number, neither infinite nor undefined")
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


def _secret(hint: Any, value: object, place: Place, environ: Mapping[str, str]) -> Secret:
    if not isinstance(value, str) or not value.startswith("env:"):
        name = "_".join(["PAYBACK", *re.findall("[A-Z0-9]+", place.path.upper().removeprefix("SOURCES."))])
        raise ConfigError(
            f"{place}: a secret must not stand in this file",
            hint=f'write "env:{name}" here and {name}=... into the .env beside the config folder',
        )
    name = value.removeprefix("env:")
    if hint is MissableSecret:
        return MissableSecret(environ.get(name, ""), name)
    if not environ.get(name):
        raise ConfigError(
            f"{place}: the variable {name} is not set", hint=f"put {name}=... into the .env beside the config folder"
        )
    return Secret(environ[name])
