"""The business's own funnel in the workbook, below the key figures."""

from collections.abc import Mapping
from typing import Any

from pipeline.reports.cells import Sheet
from pipeline.reports.own import step_rows

Json = Any


def funnel_rows(sheet: Sheet, document: Mapping[str, Json]) -> None:
    """Each step with its leads and their share before and after; nothing without a funnel of one's own."""
    numbers = sheet.book.numbers
    say, rows = numbers.words.say, list(step_rows(numbers, document))
    if not rows:
        return
    sheet.row += 1
    sheet.line(say("section.funnel"), "section")
    sides = [say("column.before"), say("column.share_of_leads"), say("column.after"), say("column.share_of_leads")]
    sheet.heads([say("column.step"), *sides, say("column.role")], texts=(5,))
    for row in rows:
        sheet.text(0, row.title, "name")
        for side, (n, share) in enumerate(row.sides):
            sheet.number(1 + 2 * side, n, "whole")
            sheet.number(2 + 2 * side, share, "share")
        sheet.text(5, row.role, "label")
        sheet.row += 1
    sheet.line(say("funnel.note"), "note", columns=5)
