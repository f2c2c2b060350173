"""The sheets of support and of the efficiency pool: figures as numbers, with their range, owner and baseline."""

from collections.abc import Mapping
from typing import Any

from pipeline.reports.beside import Beside, Row, figure_rows
from pipeline.reports.cells import Book, Kind, Sheet
from pipeline.reports.page import Page

Json = Any
_KINDS: dict[str, tuple[Kind, float]] = {
    "share": ("share", 1.0), "money_each": ("money", 1.0), "minutes": ("minutes", 1.0), "nps_each": ("decimal", 100.0),
    "requests": ("decimal", 1.0),
}  # fmt: skip


def beside_sheets(book: Book, document: Mapping[str, Json], page: Page) -> None:
    """A sheet each, where the document has them."""
    for found in (page.support, page.efficiency):
        if found is not None:
            _sheet(book, found, document[found.name])


def _sheet(book: Book, found: Beside, document: Mapping[str, Json]) -> None:
    sheet, say = book.sheet(found.name, is_wide=True), book.numbers.words.say
    sheet.line(found.title, "section")
    for sentence in found.told:
        sheet.line(sentence, "note", columns=6)
    for line in found.lines:
        sheet.text(0, line.title, "name")
        sheet.text(1, line.value, "total" if line.is_total else "label")
        sheet.text(2, say("format.semicolon").join(part for part in (line.interval, line.note) if part), "aside")
        sheet.row += 1
    sheet.row += 1
    names = ("metric", "unit", "baseline", "before", "after", "change")
    texts = [say("column.figure_group"), say("column.answers")] if found.name == "efficiency" else []
    heads = [*(say(f"column.{name}") for name in names), say("sheet.low"), say("sheet.high"), *texts]
    sheet.heads(heads, texts=(1, 8, 9)[: 1 + len(texts)])
    for row in figure_rows(book.numbers, document):
        _figure(sheet, row, len(texts) > 0)
    sheet.row += 1
    for note in found.notes:
        sheet.line(note, "note", columns=6)
    sheet.finish(least=12, widths={2: 24})


def _figure(sheet: Sheet, row: Row, has_owner: bool) -> None:
    say = sheet.book.numbers.words.say
    kind, scale = _KINDS.get(row.unit, ("decimal", 1.0))
    sheet.text(0, row.title, "name")
    sheet.text(1, say(f"beside.unit.{row.unit}"), "label")
    if row.baseline is not None:
        sheet.number(2, row.baseline * scale, kind)
    for column, amount, is_never in ((3, row.pre, row.is_never[0]), (4, row.post, row.is_never[1])):
        sheet.number(column, say("beside.never") if is_never else say("none") if amount is None else amount * scale, kind)
    if row.change is None:
        sheet.text(5, say("beside.observed"), "aside")
    else:
        change_kind: Kind = "points" if kind == "share" else kind
        times = 100.0 if kind == "share" else scale
        for column, end in ((5, "estimate"), (6, "low"), (7, "high")):
            sheet.number(column, row.change[end] * times, change_kind, is_signed=True)
    if has_owner:
        sheet.text(8, row.group, "label")
        sheet.text(9, row.owner, "label")
    sheet.row += 1
