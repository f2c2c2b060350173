"""The files of sql/: one file, one named, documented query with parameters.

The first comment block of a file says what it is, one `-- key: text` a line (title, unit, better, definition; an
indented line goes on with the one before). `NAME.<dialect>.sql` beside NAME.sql is used instead on that database.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

_KEYS = ("title", "unit", "better", "definition")
_HEADER = re.compile(r"--\s*(?:(?P<key>[a-z]+):)?\s*(?P<text>.*)")
_NOT_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.S)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")

# What engines do differently, and what to do instead. Overrides (NAME.<dialect>.sql) are free to use it.
_FORBIDDEN = {
    r"/(?!\s*\d+\.\d)": "division (but by a decimal constant): return numerator and denominator, Python divides",
    r"::": "the vendor's cast: write CAST(x AS type)",
    r"\b(date_trunc|date_part|datediff|date_diff|strftime|to_char)\b": "calendar functions: Python does calendar logic",
    r"\binterval\b": "interval arithmetic: pass the bounds as parameters",
    r"\b(lag|lead)\s*\(": "lag and lead: make it a column of journeys",
    r"\b(lower|upper|trim|substr\w*|replace|concat|regexp_\w+|split_part|left|right)\s*\(": "text functions: Python does text",
    r"\|\|": "text concatenation: Python does text",
    r"\b(ilike|similar\s+to|qualify|pivot|unpivot|asof|arg_max|arg_min|max_by|min_by|any_value|median)\b": "a word of one vendor",
    r"\b(stddev\w*|var_\w+|variance|avg)\s*\(": "statistics: return count, sum and sum of squares",
    r"\b(now|current_date|current_timestamp|today|random)\b": "not reproducible: pass it as a parameter",
    r"\b(insert|update|delete|drop|create|alter)\b": "queries only read",
}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of sql/, by its path without suffix: `metrics/show_rate`."""

    name: str
    text: str
    title: str
    unit: str
    better: str
    definition: str
    parameters: frozenset[str]
    overrides: Mapping[str, str]  # other texts by dialect

    def sql(self, dialect: str) -> str:
        """The text that runs on a database."""
        return self.overrides.get(dialect, self.text)

    def check(self, given: Iterable[str]) -> None:
        """Raises ValueError unless exactly the query's parameters are given."""
        given = set(given)
        if given != self.parameters:
            lacking, extra = sorted(self.parameters - given), sorted(given - self.parameters)
            raise ValueError(f"sql/{self.name}.sql: parameters missing {lacking}, unknown {extra}")


def folder() -> Path:
    """Where the files are: data of the installed package, or sql/ of the checkout."""
    package = Path(__file__).parent
    packaged = package / "data" / "sql"
    return packaged if packaged.is_dir() else package.parent / "sql"


def names(under: str = "") -> list[str]:
    """Names of all queries in a folder of sql/ ("metrics", "checks"; "": the top), sorted."""
    place = folder() / under
    found = (path.name.removesuffix(".sql") for path in place.glob("*.sql"))
    return sorted(f"{under}/{name}" if under else name for name in found if "." not in name)


@cache
def load(name: str) -> Query:
    """The query of a name. Raises LookupError when there is none, ValueError when a file contradicts itself."""
    path = folder() / f"{name}.sql"
    if not path.is_file():
        raise LookupError(f"there is no sql/{name}.sql")
    return read(path, name)


def read(path: Path, name: str) -> Query:
    """The query in a file, with the overrides beside it."""
    overrides = {
        other.name.removesuffix(".sql").rpartition(".")[2]: other.read_text(encoding="utf-8")
        for other in sorted(path.parent.glob(f"{path.stem}.*.sql"))
    }
    return parsed(path.read_text(encoding="utf-8"), name, overrides)


def parsed(body: str, name: str, overrides: Mapping[str, str] = MappingProxyType({})) -> Query:
    """The query in a text."""
    found = parameters(body)
    for dialect, text in overrides.items():
        if parameters(text) != found:
            raise ValueError(f"sql/{name}.{dialect}.sql takes other parameters than sql/{name}.sql")
    header = _header(body)
    return Query(
        name, body, header["title"], header["unit"], header["better"], header["definition"], parameters=found, overrides=overrides
    )


def parameters(text: str) -> frozenset[str]:
    """Names of the :parameters in a query, comments and quoted text aside."""
    return frozenset(_PARAMETER.findall(_NOT_CODE.sub(" ", text)))


def violations(text: str) -> list[str]:
    """What in a query leaves the portable subset; empty: it runs on every engine as it is."""
    code = _NOT_CODE.sub(" ", text)
    found = []
    for pattern, advice in _FORBIDDEN.items():
        if match := re.search(pattern, code, re.I):
            line = code.count("\n", 0, match.start()) + 1
            found.append(f"line {line}: {match[0].strip()} - {advice}")
    return found


def _header(text: str) -> dict[str, str]:
    """The texts of `_KEYS` from the first comment block."""
    found: dict[str, list[str]] = {key: [] for key in _KEYS}
    key = None
    for line in text.splitlines():
        match = _HEADER.match(line.strip())
        if match is None:
            break
        if match["key"] in found:
            key = match["key"]
            found[key].append(match["text"])
        elif key is not None and line.startswith("--  "):
            found[key].append(match["text"])
        else:
            key = None
    return {key: " ".join(part for part in parts if part) for key, parts in found.items()}


def every_name() -> list[str]:
    """All queries: those of the top, then metrics and checks."""
    return [*names(), *names("metrics"), *names("checks")]
