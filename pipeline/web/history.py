"""The drawing of a history: where each week's estimate and its interval stand, for an SVG that the template writes.

Pure geometry and words. One early interval can be a hundred times as wide as those that follow: the scale is that of the newer
half, and what goes beyond it is cut at the edge and marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from pipeline.reports.numbers import Numbers
from pipeline.web.figures import Range, range_text, value

NARROW, WIDE = (336, 240), (880, 300)
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 30
SPARK = (160, 44)


@dataclass(frozen=True, slots=True)
class Week:
    """One week of a history: what it is called, what was estimated, the verdict in words, the page of the snapshot."""

    label: str
    short: str
    found: Range | None
    verdict: str
    trust: str
    address: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A week in the drawing; the band around it is what answers to a pointer or the keyboard."""

    x: float
    y: float
    left: float
    width: float
    top: float | None
    bottom: float | None
    is_cut: bool
    label: str  # the week
    value: str
    interval: str
    verdict: str
    trust: str
    address: str

    @property
    def spoken(self) -> str:
        return "; ".join(text for text in (self.label, self.value, self.interval, self.verdict, self.trust) if text)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything the template needs; coordinates in pixels, one decimal."""

    name: str
    width: int
    height: int
    line: str  # points of a polyline
    band: str  # points of a polygon; empty without intervals
    zero: float | None
    marks: tuple[Mark, ...]
    levels: tuple[tuple[float, str], ...]  # y, words
    ticks: tuple[tuple[float, str], ...]  # x, words
    is_cut: bool


def draw(weeks: Sequence[Week], series: str, numbers: Numbers, *, size: tuple[int, int], name: str) -> Drawing | None:
    """The weeks that have an estimate, in their order; None when none has one."""
    shown = [week for week in weeks if week.found is not None and week.found.estimate is not None]
    if not shown:
        return None
    width, height = size
    low, high = _scale([week.found for week in shown if week.found], series)
    inner = width - LEFT - RIGHT
    step = inner / len(shown)

    def y(size_of: float) -> float:
        share = (min(max(size_of, low), high) - low) / (high - low)
        return round(TOP + (1 - share) * (height - TOP - BOTTOM), 1)

    marks = []
    for n, week in enumerate(shown):
        found = week.found
        assert found is not None
        assert found.estimate is not None
        has_band = found.low is not None and found.high is not None
        is_cut = not low <= found.estimate <= high or (has_band and ((found.low or 0) < low or (found.high or 0) > high))
        marks.append(
            Mark(
                x=round(LEFT + step * (n + 0.5), 1), y=y(found.estimate), left=round(LEFT + step * n, 1), width=round(step, 1),
                top=y(found.high) if has_band and found.high is not None else None,
                bottom=y(found.low) if has_band and found.low is not None else None,
                is_cut=bool(is_cut), label=week.label, value=value(numbers, series, found.estimate),
                interval=range_text(numbers, series, found), verdict=week.verdict, trust=week.trust, address=week.address,
            )
        )  # fmt: skip
    banded = [mark for mark in marks if mark.top is not None]
    over = [f"{mark.x},{mark.top}" for mark in banded]
    under = [f"{mark.x},{mark.bottom}" for mark in reversed(banded)]
    every = max(1, ceil(len(shown) / (inner / 64)))
    newest = len(shown) - 1  # always has its date
    ticks = tuple((mark.x, shown[n].short) for n, mark in enumerate(marks) if (newest - n) % every == 0)
    return Drawing(
        name=name, width=width, height=height, line=" ".join(f"{mark.x},{mark.y}" for mark in marks),
        band=" ".join(over + under) if len(banded) > 1 else "", zero=y(0.0) if low < 0 < high else None, marks=tuple(marks),
        levels=tuple((y(level), _level(numbers, series, level)) for level in _levels(low, high)), ticks=ticks,
        is_cut=any(mark.is_cut for mark in marks),
    )  # fmt: skip


def _level(numbers: Numbers, series: str, size: float) -> str:
    is_share = series in ("roi", "effect")
    return numbers.percent(0.0, digits=0) if is_share and abs(size) < 1e-9 else value(numbers, series, size)


def spark(found: Sequence[Range | None]) -> tuple[str, str, float | None]:
    """(points of the line, points of the band, y of zero or None) of a small picture without words; empty without two weeks."""
    shown = [one for one in found if one is not None and one.estimate is not None]
    if len(shown) < 2:
        return "", "", None
    width, height = SPARK
    low, high = _scale(shown, "")

    def place(n: int, size_of: float) -> str:
        share = (min(max(size_of, low), high) - low) / (high - low)
        return f"{2 + n * (width - 4) / (len(shown) - 1):.1f},{2 + (1 - share) * (height - 4):.1f}"

    line = " ".join(place(n, one.estimate or 0.0) for n, one in enumerate(shown))
    whole = [(n, one) for n, one in enumerate(shown) if one.is_whole]
    over = [place(n, one.high or 0.0) for n, one in whole]
    under = [place(n, one.low or 0.0) for n, one in reversed(whole)]
    zero = 2 + (1 - (0 - low) / (high - low)) * (height - 4) if low < 0 < high else None
    return line, " ".join(over + under) if len(whole) > 1 else "", None if zero is None else round(zero, 1)


def _scale(found: Sequence[Range], series: str) -> tuple[float, float]:
    if series == "trust":
        return 0.0, 100.0
    newer = found[len(found) // 2 :]
    ends = [one.estimate for one in found] + [end for one in newer for end in (one.low, one.high)]
    known = sorted(end for end in ends if end is not None)
    # An estimate of the first weeks may itself be far off: it does not stretch the scale beyond twice the newer half.
    core = [end for one in newer for end in (one.estimate, one.low, one.high) if end is not None]
    spread = (max(core) - min(core)) or abs(max(core)) or 1.0
    low = min(0.0, max(known[0], min(core) - spread / 2))
    high = max(0.0, min(known[-1], max(core) + spread / 2))
    if low == high:
        return low, low + 1.0
    room = (high - low) * 0.06
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0)


def _levels(low: float, high: float) -> list[float]:
    """Three to six round values between the ends."""
    raw = (high - low) / 4
    unit = 10.0 ** floor(log10(raw))
    step = next(size * unit for size in (1, 2, 2.5, 5, 10) if size * unit >= raw * 0.999)
    return [n * step for n in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
