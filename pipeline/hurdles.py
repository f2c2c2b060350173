"""What the same money earns elsewhere: dated rates from config/benchmarks.toml, shown beside a launch, in none of its figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.strict import Place, build, read_toml

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

    @property
    def low(self) -> float:
        """The low end of the range."""
        return min(self.rate) if isinstance(self.rate, tuple) else self.rate

    @property
    def high(self) -> float:
        """The high end of the range."""
        return max(self.rate) if isinstance(self.rate, tuple) else self.rate


@dataclass(frozen=True, slots=True)
class _File:
    hurdles: tuple[Hurdle, ...] = field(default=())


def read_hurdles(folder: Path, environ: Mapping[str, str]) -> tuple[Hurdle, ...]:
    """The hurdles of a config folder, or those that come with the program. Raises ConfigError."""
    path = folder / FILE
    if not path.exists():
        path = _shipped()
    found = build(_File, read_toml(path), Place(path), environ).hurdles
    for number, hurdle in enumerate(found, 1):
        _check(hurdle, Place(path, f"hurdles[{number}]"))
    return found


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
