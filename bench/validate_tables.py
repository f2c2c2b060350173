"""Judging measured shares against the targets, and writing them as markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan, sqrt
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

Status = Literal["ok", "near", "fail", "shown"]
MARKS: dict[Status, str] = {"ok": "", "near": " ~", "fail": " ✗", "shown": ""}
LEVEL = 0.05
COVERAGE = (0.93, 0.98)
BEGIN, END = "<!-- begin {} -->", "<!-- end {} -->"


@dataclass(frozen=True, slots=True)
class Cell:
    """One measured figure in percent with its Monte-Carlo standard error, judged. NaN: nothing could be measured."""

    value: float
    error: float
    status: Status = "shown"
    target: str = ""
    is_above: bool = False
    """Whether a coverage lies above its range: honest, but it costs power."""

    def text(self) -> str:
        """As it stands in a table."""
        if np.isnan(self.value):
            return "-"
        error = "" if np.isnan(self.error) else f" ± {self.error:.1f}"
        return f"{self.value:.1f}{error}{MARKS[self.status]}"


@dataclass(frozen=True, slots=True)
class Miss:
    """A figure that missed its target: where, what, and by how much."""

    where: str
    what: str
    cell: Cell


@dataclass
class Section:
    """One table of the report: markdown with the misses found while writing it. `n_judged` figures had a target."""

    name: str
    title: str
    note: str
    header: Sequence[str]
    rows: list[Sequence[str | Cell]] = field(default_factory=list)

    def misses(self) -> list[Miss]:
        """Every cell outside its target; near ones (inside two errors of it) too."""
        return [
            Miss(", ".join(str(label) for label in row[:2] if not isinstance(label, Cell)), column.strip(), cell)
            for row in self.rows
            for column, cell in zip(self.header, row, strict=True)
            if isinstance(cell, Cell) and cell.status in ("near", "fail")
        ]

    def n_judged(self) -> int:
        """How many cells were held to a target."""
        return sum(isinstance(cell, Cell) and cell.status != "shown" for row in self.rows for cell in row)

    def markdown(self) -> str:
        """Title, note and table."""
        lines = [f"## {self.title}", "", self.note, "", _line(self.header), _line("---" for _ in self.header)]
        lines += [_line(cell.text() if isinstance(cell, Cell) else cell for cell in row) for row in self.rows]
        return "\n".join(lines)


def shown(flags: npt.ArrayLike) -> Cell:
    """A share without a target; NaN flags do not count."""
    value, error, _ = _share(flags)
    return Cell(100 * value, 100 * error)


def alarms(flags: npt.ArrayLike, limit: float = LEVEL) -> Cell:
    """A share of false alarms: at most `limit` plus two standard errors of it."""
    value, error, n = _share(flags)
    if not n:
        return Cell(nan, nan)
    most = limit + 2 * sqrt(limit * (1 - limit) / n)
    return Cell(100 * value, 100 * error, "ok" if value <= most else "fail", f"at most {100 * limit:g} + 2 errors")


def at_most(flags: npt.ArrayLike, limit: float, error: float | None = None) -> Cell:
    """A share that must not exceed `limit` as measured; `error` where the binomial one would flatter."""
    value, binomial, n = _share(flags)
    if not n:
        return Cell(nan, nan)
    used = binomial if error is None else error
    return Cell(100 * value, 100 * used, "ok" if value <= limit else "fail", f"at most {100 * limit:g}")


def coverage(flags: npt.ArrayLike, low: float = COVERAGE[0], high: float = COVERAGE[1]) -> Cell:
    """A share of intervals that contain the truth."""
    value, error, n = _share(flags)
    if not n:
        return Cell(nan, nan)
    return Cell(100 * value, 100 * error, _status(value, max(error, sqrt(0.05 * 0.95 / n)), low, high),
                f"{100 * low:g} to {100 * high:g}", value > high)


def power(flags: npt.ArrayLike, wanted: float | None) -> Cell:
    """A share of real effects found; `wanted` in percent, None: shown only."""
    value, error, n = _share(flags)
    if not n or wanted is None:
        return Cell(100 * value, 100 * error)
    error = max(error, 0.5 / n)
    return Cell(100 * value, 100 * error, _status(value, error, wanted / 100, 1.0), f"at least {wanted:g}")


def within(value: float, error: float, most: float) -> Cell:
    """A bias in percent whose size must stay below `most`."""
    return Cell(value, error, _status(value, error, -most, most), f"between -{most:g} and {most:g}")


def replaced(path: Path, sections: Iterable[tuple[str, str]]) -> None:
    """Write each (name, markdown) between its markers in `path`; ValueError when a marker is missing."""
    text = path.read_text(encoding="utf-8")
    for name, markdown in sections:
        begin, end = BEGIN.format(name), END.format(name)
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{path} lacks the markers of '{name}': put {begin} and {end} where its table belongs")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{markdown}\n{end}{rest.split(end)[1]}"
    path.write_text(text, encoding="utf-8")


def _status(value: float, error: float, low: float, high: float) -> Status:
    if low <= value <= high:
        return "ok"
    return "near" if low - 2 * error <= value <= high + 2 * error else "fail"


def _share(flags: npt.ArrayLike) -> tuple[float, float, int]:
    known = np.asarray(flags, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        return nan, nan, 0
    value = float(known.mean())
    return value, sqrt(value * (1 - value) / known.size), known.size


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
