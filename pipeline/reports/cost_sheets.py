"""Costs by name and ads by channel in the workbook: rows of the sheets of costs and channels."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.ad_returns import RETURNS
from pipeline.costs import HOURS, PARTS
from pipeline.reports import ads, costing
from pipeline.reports.cells import Kind, Sheet
from pipeline.reports.numbers import Numbers

Json = Any
Document = Mapping[str, Json]
_AD_KINDS: dict[str, Kind] = {"cpl": "money", "cac": "money", "romi": "share", "roas": "decimal", "drr": "share"}


def cost_rows(sheet: Sheet, document: Document) -> None:
    """One row for each part of every line by name; what is a range or was not counted says so."""
    numbers = sheet.book.numbers
    say, notes = numbers.words.say, _notes(numbers, document)
    for line in costing.lines_of(document):
        parts = [part for part in PARTS if line[part] is not None]
        if not parts or line["state"] == "zero":
            sheet.text(0, costing.title(numbers, line), "name")
            sheet.number(1, 0.0 if parts else say("not_counted"), "money")
            sheet.text(2, notes.get(costing.title(numbers, line), ""), "aside")
            sheet.row += 1
            continue
        for part in parts:
            low, high = line[part]
            sheet.text(0, say(f"costs.row.{part}", line=costing.title(numbers, line)), "name")
            sheet.number(1, say("not_counted") if low != high else low, kind_of(line, part))
            sheet.text(2, notes.get(costing.title(numbers, line), ""), "aside")
            sheet.row += 1


def uncounted_rows(sheet: Sheet, document: Document) -> None:
    """Cost, ROI and payback with the ranges of what was not counted, at both of their ends."""
    found = document.get("uncounted")
    if not found:
        return
    say = sheet.book.numbers.words.say
    sheet.row += 1
    for end in ("low", "high"):
        sheet.text(0, say("costs.row.end", line=say("costs.uncounted.cost"), end=say(f"costs.sheet.{end}")), "name")
        sheet.number(1, found[end]["cost"], "money")
        sheet.row += 1
        for key, name, kind in (("roi", "roi", "share"), ("payback", "payback_months", "months")):
            sheet.text(0, say("costs.row.end", line=say(f"costs.uncounted.{key}"), end=say(f"costs.sheet.{end}")), "name")
            value = found[end][name]
            never = say("payback.never") if name == "payback_months" else say("none")
            shown = say("none") if value is None else never if value["estimate"] is None else value["estimate"]
            sheet.number(1, shown, "share" if kind == "share" else "months")
            sheet.row += 1


def ad_rows(sheet: Sheet, document: Document) -> None:
    """A section of the sheet of channels; nothing where no ad spend is configured."""
    found, numbers = document.get("ad_spend"), sheet.book.numbers
    if not found:
        return
    say = numbers.words.say
    sheet.line(say("section.ads"), "section")
    titles = [say("ads.spend"), *(say(f"ads.{name}") for name in RETURNS)]
    heads = [say(f"sheet.{side}", metric=title) for title in titles for side in ("side_before", "side_after")]
    sheet.heads([say("column.channel"), *heads])
    for row in found["channels"]:
        sheet.text(0, numbers.words.name("channel", row["channel"]), "name")
        for n, side in enumerate(ads.SIDES):
            spend = ads.a_week(row[side])
            sheet.number(1 + n, say("none") if spend is None else spend, "money")
            for m, name in enumerate(RETURNS):
                value = row[side][name]
                sheet.number(3 + 2 * m + n, say("none") if value is None else value, _AD_KINDS[name])
        sheet.row += 1
    told = ads.ads(numbers, document)
    for sentence in (*(told.told if told else ()), say("ads.note")):
        sheet.line(sentence, "note", columns=5)
    sheet.row += 1


def kind_of(line: Mapping[str, Json], part: str) -> Kind:
    """How a cell of this part is written."""
    if line["kind"] == "checklist" and line["code"] in HOURS:
        return "hours"
    return "money_exact" if part == "per_lead" or line["kind"] == "shared" else "money"


def _notes(numbers: Numbers, document: Document) -> dict[str, str]:
    """What the report says beside each line."""
    return dict(_said(numbers, document))


def _said(numbers: Numbers, document: Document) -> Iterator[tuple[str, str]]:
    for said in costing.cost_lines(numbers, document):
        is_range = said.is_absent and said.value != numbers.words.say("not_counted")
        parts = [numbers.words.say("costs.sheet.range", range=said.value) if is_range else None, said.note]
        yield said.title, numbers.words.listed(part for part in parts if part)
