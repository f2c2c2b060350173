"""The page in a terminal: the same order, short, 100 columns: in 80 the figures of wide tables would break."""

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from pipeline.reports.numbers import NBSP
from pipeline.reports.page import Page, page_of
from pipeline.reports.tables import Line, Table

WIDTH = 100
N_ROWS = 8
N_FINDINGS = 6
N_VARIATIONS = 4
VERDICT_STYLES = {
    "pays": "bold green",
    "works_payback_unproven": "bold cyan",
    "does_not_pay": "bold yellow",
    "harms": "bold red",
    "not_enough_data": "bold",
}
# rich breaks lines at no-break spaces too: they travel as a letter of the private use area.
GLUE = "\ue000"
# It breaks them nowhere inside Chinese, which has no spaces, and would cut a figure: a control character without width is
# white space to it, and stands wherever a line may end.
GAP = "\x1f"
_ENDS = re.compile(r"(?<=[\u4e00-\u9fff，。；：、）”？])(?![，。；：、）”？\s]|$)")
GUARD_STYLES = {"withhold": "red", "indicative": "yellow", "widen": "yellow", "note": "dim"}
TONES = {"good": "green", "bad": "red", "open": ""}


def render_terminal(document: Mapping[str, Any], language: str) -> str:
    """The document as text with ANSI styles (none where NO_COLOR is set)."""
    page = page_of(document, language)
    buffer = StringIO()
    looks: dict[str, Any] = {"force_terminal": True, "color_system": "standard", "legacy_windows": False}
    console = Console(file=buffer, width=WIDTH, highlight=False, markup=False, **looks)
    _head(console, page)
    _tiles(console, page)
    _contributions(console, page)
    _money(console, page)
    _since(console, page)
    _forecast(console, page)
    for table in page.breakdowns:
        _breakdown(console, page, table)
    _ads(console, page)
    if page.funnel is not None:
        _breakdown(console, page, page.funnel, n_rows=len(page.funnel.rows))
    _beside(console, page)
    _claims(console, page)
    _waiting(console, page)
    _holdout(console, page)
    _evidence(console, page)
    _trust(console, page)
    _method(console, page)
    text = buffer.getvalue().replace(GLUE, NBSP).replace(GAP, "")
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _head(console: Console, page: Page) -> None:
    overline, beside = page.numbers.words.say("overline", week=page.overline), page.numbers.words.beside
    console.print(_text(page.title, style="bold"), _text(overline, style="dim"))
    console.print(_text(" · ".join(page.facts), style="dim"))
    console.print()
    console.print(_text(page.verdict.word.upper(), style=VERDICT_STYLES[page.verdict.code]))
    for sentence in (page.verdict.reason, *page.verdict.details):
        console.print(_text(sentence))
    for guard in page.guards:
        console.print(Padding(_text(beside(guard.text, guard.consequence), style=GUARD_STYLES[guard.action]), (0, 0, 0, 2)))
    if page.caution:
        console.print(_text(page.caution, style="yellow"))


def _tiles(console: Console, page: Page) -> None:
    say = page.numbers.words.say
    grid = _grid(*(say(f"column.{name}") for name in ("metric", "before", "without_launch", "now", "change", "interval")))
    for tile in (*page.tiles, *page.own):
        what = tile.interval or " · ".join(tile.notes)
        title = f"{tile.title} {tile.period}" if tile.period else tile.title
        grid.add_row(
            _text(title), _text(tile.before or ""), _text(tile.expected or ""), _text(tile.value, style="bold"),
            _text(tile.change or "", style=TONES[tile.tone]), _text(what, style="dim"),
        )  # fmt: skip
    console.print()
    console.print(grid)
    console.print(_text(say("tiles.note"), style="dim"))


def _contributions(console: Console, page: Page) -> None:
    if not page.parts:
        return
    _title(console, page.parts_title)
    grid = Grid.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column()
    for part in page.parts:
        style = "bold" if part.is_total else ""
        grid.add_row(_text(part.title), _text(part.text, style=style), _text(part.interval or "", style="dim"))
    console.print(Padding(grid, (0, 0, 0, 2)))


def _money(console: Console, page: Page) -> None:
    _title(console, page.numbers.words.say("section.money"))
    _lines(console, page.money, indent=2)
    for line in page.elsewhere:
        console.print(Padding(_text(line, style="dim"), (0, 0, 0, 2)))


def _since(console: Console, page: Page) -> None:
    """The figures then, the steps, the figures now, and the verdict; what happened in the CRM is told on the page."""
    if page.since is None:
        return
    if page.since.rows.rows:
        _breakdown(console, page, page.since.rows, least=1)
    else:
        _title(console, page.since.rows.title)
    for sentence in page.since.told[:1]:
        console.print(Padding(_text(sentence), (0, 0, 0, 2)))


def _forecast(console: Console, page: Page) -> None:
    """Net by month 6 and 12, ROI, payback; the other sentences and the tables stand on the page."""
    if page.foretold is None:
        return
    _title(console, page.numbers.words.say("section.forecast"))
    if not page.foretold.lines or not page.foretold.is_proven:
        console.print(Padding(_text(page.foretold.told[0]), (0, 0, 0, 2)))
    _lines(console, page.foretold.lines, indent=2)


def _ads(console: Console, page: Page) -> None:
    if page.ads is None:
        return
    _breakdown(console, page, page.ads.rows, least=1)
    for sentence in page.ads.told:
        console.print(Padding(_text(sentence, style="dim"), (0, 0, 0, 2)))


def _claims(console: Console, page: Page) -> None:
    """Both claims, one under the other: side by side they would not fit beside their ranges."""
    if not page.claims:
        return
    _title(console, page.numbers.words.say("section.claims"))
    for claim in page.claims:
        title = page.numbers.words.beside(claim.title, claim.mark) if claim.mark else claim.title
        console.print(_text(f"  {title}", style="bold"))
        _lines(console, claim.lines, indent=4)
        for sentence in claim.doubt:
            console.print(Padding(_text(sentence, style="dim"), (0, 0, 0, 4)))


def _waiting(console: Console, page: Page) -> None:
    if page.waiting is None:
        return
    _title(console, page.numbers.words.say("section.waiting"))
    for sentence in page.waiting.told:
        console.print(Padding(_text(sentence), (0, 0, 0, 2)))
    _lines(console, page.waiting.lines, indent=2)


def _holdout(console: Console, page: Page) -> None:
    for found, title in ((page.holdout, "section.holdout"), (page.panel, "section.panel")):
        if found is None:
            continue
        _title(console, page.numbers.words.say(title))
        for sentence in found.told:
            console.print(Padding(_text(sentence), (0, 0, 0, 2)))
        _lines(console, found.lines, indent=2)


def _beside(console: Console, page: Page) -> None:
    """Support and the efficiency pool; who answers for a figure stands in the other reports."""
    for found in (page.support, page.efficiency):
        if found is None:
            continue
        _title(console, found.title)
        for sentence in found.told:
            console.print(Padding(_text(sentence), (0, 0, 0, 2)))
        _lines(console, found.lines, indent=2)
        shown = [0, *range(len(found.rows.columns) - 4, len(found.rows.columns))]
        grid = _grid(*(found.rows.columns[n] for n in shown))
        for row in found.rows.rows:
            grid.add_row(*(_text(row[n]) for n in shown))
        console.print(grid)
        for note in found.notes:
            console.print(Padding(_text(note, style="dim"), (0, 0, 0, 2)))


def _evidence(console: Console, page: Page) -> None:
    """Placebo launches and the control in a sentence each, the other ways of computing as a table."""
    say = page.numbers.words.say
    if page.placebo is not None:
        _title(console, say("section.placebo"))
        console.print(Padding(_text(page.placebo.told), (0, 0, 0, 2)))
    if page.sensitivity is not None:
        _breakdown(console, page, page.sensitivity.rows, n_rows=N_VARIATIONS)
        if page.sensitivity.told:
            console.print(Padding(_text(page.sensitivity.told), (0, 0, 0, 2)))
    if page.control is not None:
        _title(console, say("section.control"))
        console.print(Padding(_text(page.control.told), (0, 0, 0, 2)))


def _lines(console: Console, lines: Sequence[Line], *, indent: int) -> None:
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(max_width=34)
    grid.add_column(justify="right", max_width=26)
    grid.add_column()
    for line in lines:
        style = "dim" if line.is_absent else "bold" if line.is_total else ""
        grid.add_row(_text(line.title), _text(line.value, style=style), _text(line.interval or line.note or "", style="dim"))
    console.print(Padding(grid, (0, 0, 0, indent)))


def _breakdown(console: Console, page: Page, table: Table, n_rows: int = N_ROWS, *, least: int = 2) -> None:
    """The biggest rows; a breakdown of one row says nothing and is left out."""
    if len(table.rows) < least:
        return
    _title(console, table.title)
    grid = _grid(*table.columns)
    for row in table.rows[:n_rows]:
        grid.add_row(*(_text(cell) for cell in row))
    console.print(grid)
    n_more = len(table.rows) - n_rows
    if n_more > 0:
        console.print(_text("  " + page.numbers.count("table.more", n_more), style="dim"))
    if table.total:
        console.print(_text("  " + table.total, style="dim"))


def _trust(console: Console, page: Page) -> None:
    _title(console, page.trust)
    for found in page.findings[:N_FINDINGS]:
        console.print(Padding(_text(page.numbers.words.beside(found.text, found.points)), (0, 0, 0, 2)))
    n_more = len(page.findings) - N_FINDINGS
    if n_more > 0:
        console.print(_text("  " + page.numbers.count("table.more", n_more), style="dim"))
    if page.unclosed:
        words = page.numbers.words
        people = words.listed(words.beside(who, n) for who, n, _ in page.unclosed.rows[:N_ROWS])
        told = words.say("unclosed.told", title=page.unclosed.title, people=people)
        console.print(Padding(_text(told), (0, 0, 0, 2)))


def _method(console: Console, page: Page) -> None:
    _title(console, page.numbers.words.say("section.method"))
    for sentence in (*page.method, page.verdict.rule):
        console.print(Padding(_text(sentence), (0, 0, 0, 2)))
    console.print(_text(" · ".join(f"{title}: {text}" for title, text in page.provenance), style="dim"))


def _text(text: str, style: str = "") -> Text:
    return Text(_ENDS.sub(GAP, text.replace(NBSP, GLUE)), style=style)


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(_text(text, style="bold underline"))


def _grid(*columns: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for n, column in enumerate(columns):
        grid.add_column(_text(column), overflow="fold", justify="left" if n == 0 else "right", max_width=24 if n == 0 else None)
    return grid


# For the other pages that are printed in a terminal.
glued = _text
gridded = _grid
