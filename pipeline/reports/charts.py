"""Pictures as SVG, drawn by matplotlib, the same bytes for the same figures; one style for every output.

Colours are tokens of `COLOURS`: a page replaces them by its own (`on_page`), so that one drawing serves light and dark.
Nothing is told by colour alone: lines differ in dash, bars carry their amounts. Text stays text.
"""

import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from pipeline.reports.ahead import Fan
from pipeline.reports.forecast import ForecastFan
from pipeline.reports.tables import Part

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Names are those of the page's custom properties; no two values may be equal.
COLOURS = {
    "ink": "#1b2330",
    "muted": "#5c6675",
    "grid": "#e1e5ea",
    "fact": "#0b5cad",
    "expected": "#a35200",
    "band": "#f3dcc4",
    "washout": "#eef0f3",
    "plus": "#0f766e",
    "minus": "#b3261e",
    "total": "#33404f",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "payback",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "text.parse_math": False,  # a dollar sign is money
    "axes.unicode_minus": True,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["muted"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
# Where `png_of` wants the next drawing written instead of as SVG.
_PNG: ContextVar[list[bytes] | None] = ContextVar("png", default=None)
# Placebo launches: quiet ones are small dots; alarms and the launch itself differ in shape and size too.
QUIET, ALARM, TODAY = ("o", 3.5, "muted"), ("D", 6.5, "minus"), ("s", 9.0, "fact")
# The style is set for the whole process while a drawing is made, and `payback serve` draws on several threads.
_ONE_AT_A_TIME = threading.Lock()
BAR_HEIGHT, BAR_HEIGHT_WIDE = 42, 36
MIN_WIDE = 600
NAME_WIDTH, AMOUNT_WIDTH = 190, 150  # pixels beside the bars of a wide drawing
BOLD_WIDTH = 8.4  # pixels of a bold figure


@dataclass(frozen=True, slots=True)
class Week:
    """One week of the series; `expected` is (mean, low, high), None where there was no launch to compare with."""

    label: str
    side: str  # pre | washout | post | left_out
    visited: float
    expected: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class PlaceboPoint:
    """A pretended launch: its effect (a share), and the range that no effect would show 95 % of the time."""

    label: str
    relative: float
    low: float
    high: float
    is_alarm: bool


def weekly_chart(weeks: Sequence[Week], launch_label: str, *, width: int, height: int, name: str) -> str:
    """Visits by week with the launch line, the washout, and what was to be expected with its band."""
    with _drawing(width, height) as (figure, axes):
        _shade(axes, weeks)
        expected = [(n, *week.expected) for n, week in enumerate(weeks) if week.expected is not None]
        if expected:
            at, mean, low, high = (list(column) for column in zip(*expected, strict=True))
            axes.fill_between(at, low, high, color=COLOURS["band"], linewidth=0, zorder=1)
            axes.plot(at, mean, color=COLOURS["expected"], linewidth=1.8, linestyle=(0, (4, 2.5)), zorder=3)
        axes.plot(range(len(weeks)), [week.visited for week in weeks], color=COLOURS["fact"], linewidth=2, zorder=4,
                  marker="o", markersize=3)  # fmt: skip
        started = next((n for n, week in enumerate(weeks) if week.side in ("washout", "post")), len(weeks)) - 0.5
        axes.axvline(started, color=COLOURS["ink"], linewidth=1.2, zorder=2)
        top = max([week.visited for week in weeks] + [row[3] for row in expected] + [1.0]) * 1.18
        axes.set_ylim(0, top)
        axes.set_xlim(-0.7, max(len(weeks) - 0.3, 1))
        is_right = started > len(weeks) / 2
        beside = (max(len(weeks) - 0.3, 1) + 0.7) * 6 / width  # six pixels, in weeks
        axes.text(started + (-beside if is_right else beside), top, launch_label, ha="right" if is_right else "left", va="top",
                  fontweight="bold")  # fmt: skip
        step = max(1, -(-len(weeks) // (width // 70)))
        ticks = list(range(step // 2, len(weeks), step))
        axes.set_xticks(ticks, [weeks[n].label for n in ticks])
        axes.locator_params(axis="y", nbins=4, integer=True)
        axes.grid(axis="y")
        return _svg(figure, name)


def placebo_chart(points: Sequence[PlaceboPoint], today: PlaceboPoint | None, launch_label: str,
                  percent: Callable[[float], str], *, width: int, height: int, name: str) -> str:  # fmt: skip
    """Every earlier date's effect on its band of no effect, then a gap and the launch itself at the right end."""
    with _drawing(width, height) as (figure, axes):
        figure.subplots_adjust(left=52 / width)
        at = list(range(len(points)))
        end = len(points) + max(1, round(len(points) * 0.04))
        axes.fill_between(at, [point.low for point in points], [point.high for point in points], color=COLOURS["band"],
                          linewidth=0, step="mid" if len(points) > 1 else None, zorder=1)  # fmt: skip
        axes.axhline(0, color=COLOURS["muted"], linewidth=0.8, zorder=2)
        for is_alarm, (marker, size, colour) in ((False, QUIET), (True, ALARM)):
            drawn = [(n, point.relative) for n, point in enumerate(points) if point.is_alarm is is_alarm]
            if drawn:
                axes.plot(*zip(*drawn, strict=True), linestyle="none", marker=marker, markersize=size, color=COLOURS[colour],
                          zorder=4)  # fmt: skip
        if today is not None:
            axes.fill_between([end - 0.5, end + 0.5], today.low, today.high, color=COLOURS["band"], linewidth=0, zorder=1)
            axes.plot([end], [today.relative], linestyle="none", marker=TODAY[0], markersize=TODAY[1], color=COLOURS[TODAY[2]],
                      zorder=5)  # fmt: skip
            axes.axvline((at[-1] + end) / 2, color=COLOURS["ink"], linewidth=1.2, zorder=3)
        shown = [*points, *([today] if today else [])]
        low, high = min(min(p.low, p.relative) for p in shown), max(max(p.high, p.relative) for p in shown)
        room = (high - low or 0.1) * 0.08
        axes.set_ylim(low - room, high + room * 3)
        axes.set_xlim(-0.8, end + 0.8)
        if today is not None:
            axes.text((at[-1] + end) / 2 - 0.2, high + room * 2.8, launch_label, ha="right", va="top", fontweight="bold")
        step = max(1, -(-len(points) // (width // 70)))
        ticks = list(range(step // 2, len(points), step))
        axes.set_xticks(ticks, [points[n].label for n in ticks])
        axes.locator_params(axis="y", nbins=5)
        axes.yaxis.set_major_formatter(lambda value, _: percent(value))
        axes.grid(axis="y")
        return _svg(figure, name)


def fan_chart(fan: Fan, today: str, money: Callable[[float], str], month: Callable[[int], str], *, width: int, height: int,
              name: str) -> str:  # fmt: skip
    """Cumulative net by month with its band, the zero line, and where the measured months end."""
    with _drawing(width, height) as (figure, axes):
        figure.subplots_adjust(left=(84 if width >= MIN_WIDE else 74) / width)
        at = range(fan.months + 1)
        axes.fill_between(at, fan.low, fan.high, color=COLOURS["band"], linewidth=0, zorder=1)
        axes.plot(at, fan.estimate, color=COLOURS["expected"], linewidth=2, linestyle=(0, (4, 2.5)), zorder=3)
        axes.axhline(0, color=COLOURS["ink"], linewidth=1.2, zorder=2)
        low, high = min(fan.low), max(*fan.high, 0.0)
        room = (high - low or 1.0) * 0.16
        axes.set_ylim(low - room / 3, high + room)
        axes.set_xlim(0, fan.months)
        axes.axvline(fan.measured, color=COLOURS["muted"], linewidth=1, linestyle=(0, (1.5, 2)), zorder=2)
        is_right = fan.measured > fan.months / 2
        axes.text(fan.measured + (-1 if is_right else 1) * fan.months * 0.012, high + room * 0.9, today,
                  ha="right" if is_right else "left", va="top", fontweight="bold")  # fmt: skip
        if fan.payback is not None and fan.payback <= fan.months:
            axes.plot([fan.payback], [0], linestyle="none", marker=TODAY[0], markersize=8, color=COLOURS["fact"], zorder=5)
        step = max(1, -(-fan.months // (width // 80)))
        ticks = list(range(0, fan.months + 1, step))
        axes.set_xticks(ticks, [month(n) for n in ticks])
        axes.locator_params(axis="y", nbins=5)
        axes.yaxis.set_major_formatter(lambda value, _: money(value))
        axes.grid(axis="y")
        return _svg(figure, name)


def forecast_chart(fan: ForecastFan, today: str, money: Callable[[float], str], month: Callable[[int], str], *, width: int,
                   height: int, name: str) -> str:  # fmt: skip
    """Cumulative net by month: ranges one inside the other, the middle, that of an effect that stays, where measuring ended."""
    with _drawing(width, height) as (figure, axes):
        figure.subplots_adjust(left=(84 if width >= MIN_WIDE else 74) / width)
        at = range(len(fan.middle))
        for n, (low, high) in enumerate(fan.bands):
            axes.fill_between(at, low, high, color=COLOURS["band"], alpha=(0.45, 0.6, 1.0)[n], linewidth=0, zorder=1 + n / 10)
        axes.plot(at, fan.middle, color=COLOURS["expected"], linewidth=2, linestyle=(0, (4, 2.5)), zorder=3)
        axes.plot(at, fan.steady, color=COLOURS["fact"], linewidth=1.6, zorder=2.5)
        axes.axhline(0, color=COLOURS["ink"], linewidth=1.2, zorder=2)
        bottom, top = min(0.0, *fan.bands[0][0], *fan.steady), max(0.0, *fan.bands[0][1], *fan.steady)
        room = (top - bottom or 1.0) * 0.16
        axes.set_ylim(bottom - room / 3, top + room)
        axes.set_xlim(0, len(fan.middle) - 1)
        if fan.measured < len(fan.middle) - 1:
            axes.axvline(fan.measured, color=COLOURS["muted"], linewidth=1, linestyle=(0, (1.5, 2)), zorder=2)
            is_right = fan.measured > len(fan.middle) / 2
            axes.text(fan.measured + (-0.15 if is_right else 0.15), top + room * 0.9, today,
                      ha="right" if is_right else "left", va="top", fontweight="bold")  # fmt: skip
        if fan.payback is not None:
            axes.plot([fan.payback], [0], linestyle="none", marker=TODAY[0], markersize=8, color=COLOURS["fact"], zorder=5)
        step = 3 if width < MIN_WIDE else 1
        ticks = list(range(0, len(fan.middle), step))
        axes.set_xticks(ticks, [month(n) for n in ticks])
        axes.locator_params(axis="y", nbins=5)
        axes.yaxis.set_major_formatter(lambda value, _: money(value))
        axes.grid(axis="y")
        return _svg(figure, name)


def waterfall(parts: Sequence[Part], *, width: int, name: str) -> str:
    """Parts one under the other, each bar starting where the one before ended, then their total.

    A wide drawing has names and amounts beside the bars, a narrow one above them.
    """
    is_wide = width >= MIN_WIDE
    with _drawing(width, (BAR_HEIGHT_WIDE if is_wide else BAR_HEIGHT) * len(parts) + 10) as (figure, axes):
        longest = 12 + BOLD_WIDTH * max(len(part.text) for part in parts)
        left, right = (NAME_WIDTH, max(AMOUNT_WIDTH, longest)) if is_wide else (2, 2)
        figure.subplots_adjust(left=left / width, right=1 - right / width, top=0.99, bottom=0.01)
        ends = _steps(parts)
        low, high = min(0, *(min(pair) for pair in ends)), max(0, *(max(pair) for pair in ends))
        across = axes.get_yaxis_transform()
        middle = 0.0 if is_wide else 0.24
        for n, (part, (start, end)) in enumerate(zip(parts, ends, strict=True)):
            colour = COLOURS["total"] if part.is_total else COLOURS["plus" if part.amount >= 0 else "minus"]
            axes.barh(n + middle, end - start, left=start, height=0.5 if is_wide else 0.32, color=colour, zorder=3)
            weight = "bold" if part.is_total else "normal"
            beside = (-12 / (width - left - right), 1 + 12 / (width - left - right)) if is_wide else (0, 1)
            sides = ("right", "left") if is_wide else ("left", "right")
            height = n if is_wide else n - 0.2
            axes.text(beside[0], height, part.title, ha=sides[0], va="center", fontweight=weight, transform=across)
            axes.text(beside[1], height, part.text, ha=sides[1], va="center", fontweight="bold", transform=across)
            axes.plot([0, 0], [n + middle - 0.32, n + middle + 0.32], color=COLOURS["muted"], linewidth=0.8, zorder=4)
            if is_wide and n + 1 < len(parts):
                axes.plot([end, end], [n, n + 1], color=COLOURS["muted"], linewidth=0.8, zorder=2)
        axes.set_xlim(low, high if high > low else low + 1.0)
        axes.set_ylim(len(parts) - 0.45, -0.55)
        axes.axis("off")
        return _svg(figure, name)


def png_of(draw: Callable[[], str]) -> bytes | None:
    """The drawing that `draw` makes, as PNG on white, twice as fine as a page's pixels: for mail programs, which show no SVG.

    None where the fonts at hand lack a letter of it: boxes in the place of words are no picture.
    """
    written: list[bytes] = []
    token = _PNG.set(written)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=r"Glyph .* missing", category=UserWarning)
            draw()
    except UserWarning:
        return None
    finally:
        _PNG.reset(token)
    return written[0]


def on_page(svg: str, label: str, css_class: str) -> str:
    """A drawing for a page: its colours as the page's custom properties, a label for those who cannot see it."""
    for token, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{token})")
    head = f'<svg class="{css_class}" role="img" aria-label="{escape(label)}"'
    return svg.replace("<svg", head, 1)


def _steps(parts: Sequence[Part]) -> list[tuple[float, float]]:
    found, reached = [], 0.0
    for part in parts:
        start = 0.0 if part.is_total else reached
        reached = start + part.amount
        found.append((start, reached))
    return found


def _shade(axes: "Axes", weeks: Sequence[Week]) -> None:
    """Weeks that count on neither side."""
    for n, week in enumerate(weeks):
        if week.side in ("washout", "left_out"):
            axes.axvspan(n - 0.5, n + 0.5, color=COLOURS["washout"], linewidth=0, zorder=0)


@contextmanager
def _drawing(width: int, height: int) -> Iterator[tuple["Figure", "Axes"]]:
    """An empty figure of so many pixels in the house style."""
    import matplotlib  # half a second that only a report with pictures needs
    from matplotlib.figure import Figure

    with _ONE_AT_A_TIME, matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        axes = figure.add_subplot()
        left = 40 / width
        figure.subplots_adjust(left=left, right=1 - 8 / width, top=1 - 6 / height, bottom=26 / height)
        yield figure, axes


def _svg(figure: "Figure", name: str) -> str:
    """The drawing as it can stand inside a page: no header, links, dates or fixed size, ids of its own."""
    if (written := _PNG.get()) is not None:
        picture = BytesIO()
        figure.savefig(picture, format="png", dpi=144, facecolor="white", metadata={"Software": None})
        written.append(picture.getvalue())
        return ""
    buffer = StringIO()
    with warnings.catch_warnings():
        # Words of many scripts are drawn by whoever shows the page, with their own fonts; here nothing depends on their width:
        # every text is anchored at its start or end, and the room beside the bars is fixed.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    opening, rest = text.split(">", 1)
    text = re.sub(r' (width|height)="[^"]*"', "", opening) + ">" + rest
    text = re.sub(r' (xlink:)?href="#', f' href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    return re.sub(r' id="', f' id="{name}-', text)
