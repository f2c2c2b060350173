"""Scenarios of `payback calc`: data files that say what is asked, how it adds up and what a plan is made of.

config/scenarios/<name>.toml; those of the program, and those in the config folder beside them or instead of them. What every
plan asks (margin, costs, months, ramp ...) stands once, in plan.toml. Adding a scenario needs no Python.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.amounts import Kind, Quantity, read
from pipeline.errors import ConfigError
from pipeline.expressions import Expression, parse
from pipeline.strict import Place, build, nearest, read_toml

FOLDER = "scenarios"
SHARED = "plan"  # plan.toml: the inputs of every plan
# Lines a plan is computed from; each an expression, empty where the scenario has nothing of the kind.
PARTS = ("revenue_a_month", "saving_a_month", "capacity_a_month", "usage_a_month")
# What every plan comes to, by kind; no input or line may be called so.
RESULTS = {
    "full_benefit": "money", "effective_months": "months", "revenue": "money", "saving": "money", "benefit": "money",
    "cost": "money", "net": "money", "roi": "share", "annual_roi": "share", "year_roi": "share", "compound_roi": "share",
    "payback": "months", "break_even_margin": "share", "npv": "money", "irr": "share", "capacity": "money",
    "roi_with_capacity": "share",
}  # fmt: skip
_TEXTS = ("title", "about", "label", "why", "note", "source")
LANGUAGE_OF_LABELS = "en"  # where a file has no text in the reader's language

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Input:
    """What is asked. `default`: taken when nothing is given; without one it is asked for, unless `is_optional`."""

    kind: Kind
    label: Texts
    default: Any = None
    is_optional: bool = False
    is_whole: bool = False
    is_fixed: bool = False  # one number, no range
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class LineOf:
    """A figure out of inputs and lines above it."""

    kind: Kind
    formula: str
    label: Texts


@dataclass(frozen=True, slots=True)
class Published:
    """A figure somebody published for the example, and what is loose about it."""

    item: str
    line: str
    stated: str
    why: Texts


@dataclass(frozen=True, slots=True)
class _Parts:
    revenue_a_month: str = ""
    saving_a_month: str = ""
    capacity_a_month: str = ""
    usage_a_month: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    title: Texts
    about: Texts
    on: date
    source: Texts = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    lines: Mapping[str, LineOf] = field(default_factory=dict)
    plan: _Parts = field(default_factory=_Parts)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)
    published: tuple[Published, ...] = ()


@dataclass(frozen=True, slots=True)
class _Shared:
    inputs: Mapping[str, Input]


class Line(NamedTuple):
    """A line with its formula read."""

    kind: Kind
    expression: Expression
    label: Texts


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, ready to compute. `own` are the names of its own inputs; the others are those of every plan."""

    name: str
    title: Texts
    about: Texts
    on: date
    source: Texts
    inputs: Mapping[str, Input]
    own: tuple[str, ...]
    lines: Mapping[str, Line]
    parts: Mapping[str, Expression]
    example: Mapping[str, Any]
    published: tuple[Published, ...]
    file: Path

    def read_inputs(self, given: Mapping[str, object], where: Mapping[str, str], currency: str) -> dict[str, Quantity]:
        """The quantities of all inputs, given or by default. Raises ConfigError for what is wrong or missing.

        `where`: how messages call the place an input was given at.
        """
        found = self.read_given(given, where, currency)
        missing = self.missing(found)
        if missing:
            raise ConfigError(
                f"{self.name}: not given: {', '.join(missing)}",
                hint="give each as --name value or in a file (--file), answer the questions at a terminal, or try --example",
            )
        return found

    def read_given(self, given: Mapping[str, object], where: Mapping[str, str], currency: str) -> dict[str, Quantity]:
        """As `read_inputs`, of those that are known so far."""
        for name in given:
            if name not in self.inputs:
                raise ConfigError(
                    f"{where.get(name, name)}: the scenario {self.name} has no input {name!r}{nearest(name, list(self.inputs))}",
                    hint=f"inputs: {', '.join(self.inputs)}",
                )
        found = {}
        for name, asked in self.inputs.items():
            value = given.get(name, asked.default)
            if value is not None:
                found[name] = read_one(name, asked, value, where.get(name, name), currency)
        return found

    def missing(self, known: Mapping[str, object]) -> list[str]:
        """Inputs without which nothing can be computed."""
        return [name for name, asked in self.inputs.items() if name not in known and not asked.is_optional]


def read_one(name: str, asked: Input, value: object, where: str, currency: str) -> Quantity:
    """One input. Raises ConfigError, Ambiguous where two readings fit."""
    found = read(value, asked.kind, where, currency=currency, least=asked.least, most=asked.most)
    if (asked.is_fixed or asked.is_whole) and not found.is_certain:
        raise ConfigError(f"{where}: one number is needed here, not a range", hint=f"for example {name} = {found.middle:g}")
    if asked.is_whole and found.middle != int(found.middle):
        raise ConfigError(f"{where}: {found.middle:g} is no whole number", hint="give a whole number")
    return found


def text_in(texts: Texts, language: str) -> str:
    """A label in the reader's language, else in English, else in any."""
    return texts.get(language) or texts.get(LANGUAGE_OF_LABELS) or next(iter(texts.values()), "")


def in_one_language(document: Any) -> Any:
    """A document in which a text without languages (`label = "Leads"`) stands for all of them."""
    if isinstance(document, list):
        return [in_one_language(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {key: {LANGUAGE_OF_LABELS: value} if key in _TEXTS and isinstance(value, str) else in_one_language(value)
            for key, value in document.items()}  # fmt: skip


def names(folder: Path) -> tuple[str, ...]:
    """Every scenario there is, by name."""
    found = {path.stem for place in (shipped(FOLDER), folder / FOLDER) for path in place.glob("*.toml")}
    return tuple(sorted(found - {SHARED}))


def load(name: str, folder: Path) -> Scenario:
    """A scenario by its name: of the config folder, or one that came with the program. Raises ConfigError."""
    known = names(folder)
    if name not in known:
        raise ConfigError(f"there is no scenario {name!r}{nearest(name, known)}", hint=f"there are {', '.join(known)}")
    own = folder / FOLDER / f"{name}.toml"
    return read_scenario(own if own.is_file() else shipped(FOLDER) / f"{name}.toml")


def read_scenario(path: Path) -> Scenario:
    """A scenario out of its file. Raises ConfigError naming file and key."""
    outline = build(_File, in_one_language(read_toml(path)), Place(path), {})
    shared = shipped(FOLDER) / f"{SHARED}.toml"
    common = build(_Shared, read_toml(shared), Place(shared), {}).inputs
    inputs = {**outline.inputs, **common}
    for name, value in outline.defaults.items():
        if name not in common:
            raise ConfigError(f"{Place(path, f'defaults.{name}')}: no input of every plan{nearest(name, list(common))}")
        inputs[name] = replace(inputs[name], default=value)
    for name in (*outline.inputs, *outline.lines):
        _check_name(name, {*common, *PARTS, *RESULTS}, Place(path, name))
    known = list(inputs)
    lines = {}
    for name, line in outline.lines.items():
        expression = parse(line.formula, known, str(Place(path, f"lines.{name}")))
        lines[name] = Line(line.kind, expression, line.label)
        known.append(name)
    parts = {
        part: parse(text, known, str(Place(path, f"plan.{part}"))) for part in PARTS if (text := getattr(outline.plan, part))
    }
    if not parts.keys() & {"revenue_a_month", "saving_a_month"}:
        raise ConfigError(f"{Place(path, 'plan')}: neither revenue_a_month nor saving_a_month", hint="say what a month brings")
    for place, table in (("example", outline.example), ("defaults", outline.defaults)):
        for name, value in table.items():
            where = str(Place(path, f"{place}.{name}"))
            if name not in inputs:
                raise ConfigError(f"{where}: no such input{nearest(name, list(inputs))}")
            read_one(name, inputs[name], value, where, "RUB")
    return Scenario(
        name=path.stem, title=outline.title, about=outline.about, on=outline.on, source=outline.source, inputs=inputs,
        own=tuple(outline.inputs), lines=lines, parts=parts, example=outline.example, published=outline.published, file=path,
    )  # fmt: skip


def _check_name(name: str, taken: set[str], place: Place) -> None:
    if not name.isidentifier() or not name.isascii() or len(name) > 40:
        raise ConfigError(f"{place}: this cannot be a name", hint="latin letters, digits and _, at most 40")
    if name in taken:
        raise ConfigError(f"{place}: this name is taken", hint="choose another one")


def every(folder: Path) -> Iterator[Scenario]:
    """All scenarios in the order of their names."""
    return (load(name, folder) for name in names(folder))


def shipped(name: str) -> Path:
    """A file or folder of config/ in the data of the installed package, or in the checkout."""
    package = Path(__file__).parent
    packaged = package / "data" / "config" / name
    return packaged if packaged.exists() else package.parent / "config" / name
