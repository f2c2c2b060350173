"""The sheet of days: what was counted of the leads of each day, and what that comes to in each period by live formulas."""

from collections.abc import Mapping
from datetime import date, timedelta
from math import fsum
from typing import Any, NamedTuple

from pipeline.reports.cells import Book, Kind, Sheet

Json = Any
COLUMNS = ("leads", "qualified", "booked", "visited", "no_show", "ended", "paid", "payers", "revenue")
TEXTS = 4  # date, week, period, whether outcomes are known: columns before the figures
# Periods in the order of time; a label that two of them share is summed once.
SIDES = ("pre", "washout", "left_out", "post", "young")


class Day(NamedTuple):
    """A day of leads: its Monday, the period it counts in, and whether its leads have had their whole horizon."""

    on: date
    week: date
    side: str
    is_mature: bool


def days_of(document: Mapping[str, Json]) -> list[Day]:
    """The days of a document, in order; what is younger than its weeks counts in no period yet."""
    found = document["daily"]
    first, mature_until = (date.fromisoformat(found[name]) for name in ("start", "mature_until"))
    sides = {row["week"]: row["side"] for row in document["weekly"]}
    days = []
    for n in range(len(found["columns"]["leads"])):
        on = first + timedelta(days=n)
        monday = on - timedelta(days=on.weekday())
        days.append(Day(on, monday, sides.get(monday.isoformat(), "young"), on < mature_until))
    return days


def days_sheet(book: Book, document: Mapping[str, Json]) -> None:
    """A row a day, then the sums of each period. Nothing is written for a document that was made before there were days."""
    if not document.get("daily"):
        return
    sheet, say = book.sheet("days", is_wide=True), book.numbers.words.say
    days, found = days_of(document), document["daily"]["columns"]
    columns = {name: found[name] for name in COLUMNS if name in found}  # whatever order the document was read back in
    heads = [say("column.day"), say("column.week"), say("column.side"), say("sheet.days.outcomes")]
    sheet.heads([*heads, *(say(f"sheet.days.{name}") for name in columns)], texts=range(TEXTS))
    for n, day in enumerate(days):
        sheet.day(0, day.on.isoformat())
        sheet.day(1, day.week.isoformat())
        sheet.text(2, say(f"side.{day.side}"), "label")
        sheet.text(3, say("sheet.days.known" if day.is_mature else "sheet.days.open"), "label" if day.is_mature else "young")
        for column, (name, values) in enumerate(columns.items(), start=TEXTS):
            sheet.number(column, values[n], _kind(name), "cell" if day.is_mature else "young_figure")
        sheet.row += 1
    sheet.page.autofilter(0, 0, max(len(days), 1), TEXTS + len(columns) - 1)
    sheet.row += 1
    _sums(sheet, days, columns)
    sheet.row += 1
    sheet.line(book.numbers.count("sheet.days.note", document["periods"]["horizon_days"]), "note", columns=9)
    sheet.finish(frozen=(1, 1), repeated=0, least=12)


def _sums(sheet: Sheet, days: list[Day], columns: Mapping[str, Json]) -> None:
    """A row a period, in the order of time; its sums follow the days when somebody corrects one."""
    say, last = sheet.book.numbers.words.say, len(days) + 1
    labels = [say(f"side.{day.side}") for day in days]
    for label in dict.fromkeys(say(f"side.{side}") for side in SIDES):
        inside = [n for n, of_day in enumerate(labels) if of_day == label]
        if not inside:
            continue
        sheet.text(0, say("sheet.days.sum"), "sum")
        sheet.text(2, label, "label")
        for column, (name, values) in enumerate(columns.items(), start=TEXTS):
            letter = chr(ord("A") + column)
            formula = f"SUMIFS({letter}$2:{letter}${last},$C$2:$C${last},$C{sheet.row + 1})"
            sheet.formula(column, formula, fsum(values[n] for n in inside), _kind(name), "sum")
        sheet.row += 1


def _kind(name: str) -> Kind:
    return "money" if name == "revenue" else "whole"
