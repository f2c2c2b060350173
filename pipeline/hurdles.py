"""Dated figures of others from config/benchmarks.toml, shown beside a launch, in none of its figures.

What the same money earns elsewhere (hurdles), and what costs that nobody filled in typically come to.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.costs import CHECKLIST, PARTS, Ends, Part
from pipeline.errors import ConfigError
from pipeline.prices import ends
from pipeline.strict import Place, build, nearest, read_toml

FILE = "benchmarks.toml"
CODES = ("deposit", "bonds", "inflation")
MAX_RATE = 5.0  # 500 % a year: beyond that somebody wrote percent


@dataclass(frozen=True, slots=True)
class Hurdle:
    """A yearly rate (a share) or a range of them, for money of one currency, as of a day, and where it is from."""

    currency: str
    rate: float | tuple[float, ...]
    on: date
    source: str
    code: str = ""
    title: str = ""

    def facts(self) -> dict[str, Any]:
        """As it stands in documents: the rate as its two ends."""
        return {**asdict(self), "rate": [self.low, self.high]}

    @property
    def low(self) -> float:
        """The low end of the range."""
        return min(self.rate) if isinstance(self.rate, tuple) else self.rate

    @property
    def high(self) -> float:
        """The high end of the range."""
        return max(self.rate) if isinstance(self.rate, tuple) else self.rate


@dataclass(frozen=True, slots=True)
class TypicalCost:
    """What a line of the checklist typically costs (hours for its hours), once, a month, for each lead: `"50000..150000"`."""

    line: str
    currency: str
    on: date
    source: str
    once: str | float | None = None
    monthly: str | float | None = None
    per_lead: str | float | None = None

    def ends(self, part: Part) -> Ends | None:
        """Both ends of a part; None where nothing was said. Raises ConfigError."""
        given = getattr(self, part)
        return None if given is None else ends(given, f"{FILE}, costs: {part} of {self.line}", self.currency)


@dataclass(frozen=True, slots=True)
class _File:
    hurdles: tuple[Hurdle, ...] = field(default=())
    costs: tuple[TypicalCost, ...] = field(default=())


def read_hurdles(folder: Path, environ: Mapping[str, str]) -> tuple[Hurdle, ...]:
    """The hurdles of a config folder, or those that come with the program. Raises ConfigError."""
    path = _path(folder)
    found = build(_File, read_toml(path), Place(path), environ).hurdles
    for number, hurdle in enumerate(found, 1):
        _check(hurdle, Place(path, f"hurdles[{number}]"))
    return found


def read_typical_costs(folder: Path, environ: Mapping[str, str]) -> tuple[TypicalCost, ...]:
    """The typical costs of a config folder; the file that comes with the program has none. Raises ConfigError."""
    path = _path(folder)
    found = build(_File, read_toml(path), Place(path), environ).costs
    for number, cost in enumerate(found, 1):
        place = Place(path, f"costs[{number}]")
        if cost.line not in CHECKLIST:
            where = f"{place.of('line')}: no line {cost.line!r}{nearest(cost.line, CHECKLIST)}"
            raise ConfigError(where, hint=f"one of {', '.join(CHECKLIST)}")
        given = [ends(value, place.of(part), cost.currency) for part in PARTS if (value := getattr(cost, part)) is not None]
        if not given:
            raise ConfigError(f"{place}: no amount", hint='for example once = "50000..150000"')
        if all(low == high for low, high in given):
            raise ConfigError(f"{place}: a typical cost is a range, not one figure", hint='for example once = "50000..150000"')
    lines = [(cost.line, cost.currency) for cost in found]
    for number, line in enumerate(lines, 1):
        if line in lines[: number - 1]:
            raise ConfigError(f"{Place(path, f'costs[{number}]')}: {line[0]!r} stands there twice", hint="keep one of the two")
    return found


def _path(folder: Path) -> Path:
    path = folder / FILE
    return path if path.exists() else _shipped()


def _check(hurdle: Hurdle, place: Place) -> None:
    if hurdle.code not in CODES and not hurdle.title:
        raise ConfigError(f"{place}: neither a code ({', '.join(CODES)}) nor a title", hint='for example title = "Leasing"')
    if isinstance(hurdle.rate, tuple) and len(hurdle.rate) != 2:
        raise ConfigError(f"{place.of('rate')}: one rate a year, or its two ends", hint="for example rate = [0.12, 0.18]")
    if not 0 <= hurdle.low <= hurdle.high <= MAX_RATE:
        raise ConfigError(f"{place.of('rate')}: a year's rate as a share from 0 to {MAX_RATE:g}", hint="15 % is 0.15")


def _shipped() -> Path:
    """In the data of the installed package, or in config/ of the checkout."""
    package = Path(__file__).parent
    packaged = package / "data" / "config" / FILE
    return packaged if packaged.is_file() else package.parent / "config" / FILE
