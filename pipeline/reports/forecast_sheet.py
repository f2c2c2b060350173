"""The forecast as a sheet: every figure of its tables as a number, the fan month by month."""

from collections.abc import Mapping
from typing import Any

from pipeline.reports.cells import Book, Kind, Sheet
from pipeline.reports.forecast import BANDS, expected, line_title, unweakened
from pipeline.reports.page import Page

Json = Any
RANGES = (0.95, 0.8, 0.5)  # as BANDS


def forecast_sheet(book: Book, document: Mapping[str, Json], page: Page) -> None:
    """Nothing for a document without a forecast."""
    found = document.get("forecast")
    if not found or page.foretold is None:
        return
    sheet, say = book.sheet("forecast", is_wide=True), book.numbers.words.say
    sheet.line(say("section.forecast"), "section")
    for sentence in (*page.foretold.told, *page.foretold.notes):
        sheet.line(sentence, "note", columns=6)
    sheet.row += 1
    if found["launch"] is not None:
        _launch(sheet, found["launch"])
        if expected(found["launch"])["net"] is not None:
            _months(sheet, found["launch"])
    if found["repeats"]["value"]:
        _value(sheet, found["repeats"])
    if found["repeats"]["tried"]:
        _tried(sheet, found["repeats"]["tried"])
    sheet.finish(least=12)


def _launch(sheet: Sheet, launch: Mapping[str, Json]) -> None:
    numbers = sheet.book.numbers
    say = numbers.words.say
    sheet.line(say("table.forecast"), "section")
    names = ("by_month", "effect_profit", "repeat_profit", "cost_by_then", "net_by_then")
    sheet.heads([*(say(f"column.{name}") for name in names), say("sheet.low"), say("sheet.high"), say("column.roi_by_then")])
    for n in range(len(expected(launch)["at"])):
        for line in (expected(launch), unweakened(launch)):
            at = line["at"][n]
            months = say("unit.months", n=numbers.whole(at["months"]))
            sheet.text(0, numbers.words.beside(months, line_title(numbers, line)), "name")
            for column, name in ((1, "effect"), (2, "repeats"), (4, "net")):
                sheet.number(column, at[name]["estimate"] if at[name] else None, "money", is_signed=True)
            sheet.number(3, at["cost"], "money")
            for column, end in ((5, "low"), (6, "high")):
                sheet.number(column, at["net"][end] if at["net"] else None, "money", is_signed=True)
            sheet.number(7, at["roi"]["estimate"] if at["roi"] else None, "share")
            sheet.row += 1
    sheet.row += 1


def _months(sheet: Sheet, launch: Mapping[str, Json]) -> None:
    """The fan: months, the middle of the forecast and of an effect that stays, the ends of the forecast's ranges."""
    numbers = sheet.book.numbers
    say, lines = numbers.words.say, (expected(launch), unweakened(launch))
    found, steady = (line["net"] for line in lines)
    shares = [numbers.percent(share, digits=0) for share in RANGES]
    ends = [numbers.words.beside(say(f"sheet.{end}"), share) for share in shares for end in ("low", "high")]
    sheet.heads([say("sheet.month"), *(line_title(numbers, line) for line in lines), *ends])
    for month in range(len(found["0.5"])):
        sheet.number(0, month, "whole")
        columns = [found["0.5"], steady["0.5"], *(found[end] for band in BANDS for end in band)]
        for column, path in enumerate(columns, 1):
            sheet.number(column, path[month], "money", is_signed=True)
        sheet.row += 1
    sheet.row += 1


def _value(sheet: Sheet, repeats: Mapping[str, Json]) -> None:
    say, low, high = sheet.book.numbers.words.say, "sheet.low", "sheet.high"
    sheet.line(say("table.value"), "section")
    titles = ("column.visits_again", "column.customer_value", "column.known_visits")
    sheet.heads([say("sheet.months"), *(say(head) for title in titles for head in (title, low, high))])
    for one, known in zip(repeats["value"], repeats["known"], strict=True):
        sheet.number(0, one["months"], "whole")
        groups: list[tuple[int, Json, Kind]] = [
            (1, one["visits"], "decimal"), (4, one["money"], "money"), (7, known["visits"], "whole"),
        ]  # fmt: skip
        for start, bounds, kind in groups:
            for n, end in enumerate(("estimate", "low", "high")):
                sheet.number(start + n, bounds[end], kind)
        sheet.row += 1
    sheet.line(say("table.value.note"), "note", columns=6)
    sheet.row += 1


def _tried(sheet: Sheet, tried: Json) -> None:
    say = sheet.book.numbers.words.say
    sheet.line(say("table.tried"), "section")
    names = ("said_on", "model", "came_again", "predicted")
    sheet.heads([*(say(f"column.{name}") for name in names), say("sheet.low"), say("sheet.high"), say("column.naive"),
                 say("sheet.months")], texts=(1,))  # fmt: skip
    for one in tried:
        sheet.day(0, one["on"])
        sheet.text(1, say(f"forecast.name.{one['model']}"), "label")
        values = (one["visits"], *(one["predicted"][end] for end in ("estimate", "low", "high")), one["naive"], one["months"])
        for column, value in enumerate(values, 2):
            sheet.number(column, value, "whole")
        sheet.row += 1
    sheet.line(say("table.tried.note"), "note", columns=6)
