"""Costs by name as yellow cells of the ROI sheet, and their terms in its formulas. What is a range is an empty cell to try."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.costs import HOURS, PARTS
from pipeline.reports import costing
from pipeline.reports.cells import Kind, Sheet
from pipeline.reports.cost_sheets import kind_of
from pipeline.reports.numbers import Numbers

Json = Any
_SUM_NAMES = {("one_off", "once"): "one_off_cost", ("monthly", "monthly"): "monthly_cost",
              ("usage_per_lead", "per_lead"): "cost_per_lead"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedInput:
    """A cell: its defined name, what it is (line and part, or the rate of a tax), its first value."""

    name: str
    line: Mapping[str, Json]
    part: str
    kind: Kind
    value: float | None


@dataclass(frozen=True, slots=True)
class Named:
    """The cells, and what they add to the formulas: terms of once and a month, counts of the cells in money and in hours."""

    inputs: tuple[NamedInput, ...] = ()
    once: str = ""
    a_month: str = ""
    count_money: str = ""
    count_hours: str = ""


def named_of(document: Mapping[str, Json]) -> Named:
    """The cells of a document; without costs by name none, and the formulas are as they always were."""
    inputs: list[NamedInput] = []
    terms: dict[str, str] = {"once": "", "monthly": "", "per_lead": ""}
    counts = {True: "", False: ""}  # is it hours
    names = dict(_SUM_NAMES)
    lines = costing.lines_of(document)
    for n, line in enumerate(lines):
        for part in PARTS:
            if line[part] is not None and "rate" not in line["facts"]:
                names[line["code"], part] = f"{line['kind']}_{n}_{part}"
    for n, line in enumerate(lines):
        if "rate" in line["facts"]:
            rate = f"{line['kind']}_{n}_rate"
            inputs.append(NamedInput(rate, line, "rate", "share", line["facts"]["rate"]))
            counts[False] += f"+COUNT({rate})"
            for part in PARTS:
                on = [names[one, part] for one in line["facts"]["on"] if (one, part) in names]
                terms[part] += f"+{rate}*({'+'.join(on)})" if on else ""
            continue
        for part in PARTS:
            if line[part] is None:
                continue
            name, (low, high) = names[line["code"], part], line[part]
            inputs.append(NamedInput(name, line, part, kind_of(line, part), low if low == high else None))
            is_hours = line["kind"] == "checklist" and line["code"] in HOURS
            terms[part] += f"+{name}*hour_rate" if is_hours else f"+{name}"
            counts[is_hours] += f"+COUNT({name})"
    per_lead = f"+({terms['per_lead'][1:]})*leads/window_months" if terms["per_lead"] else ""
    return Named(tuple(inputs), terms["once"], terms["monthly"] + per_lead, counts[False], counts[True])


def write_named(sheet: Sheet, named: Named) -> None:
    """One row a cell, below the other inputs."""
    numbers = sheet.book.numbers
    say = numbers.words.say
    for found in named.inputs:
        sheet.text(0, say(f"costs.row.{found.part}", line=costing.title(numbers, found.line)), "name")
        sheet.number(1, found.value, found.kind, "input")
        for aside in _aside(numbers, found):
            sheet.text(2, aside, "aside")
        sheet.book.workbook.define_name(found.name, f"='{sheet.name}'!$B${sheet.row + 1}")
        rule = {"validate": "decimal", "criteria": "between", "minimum": 0, "maximum": 1 if found.part == "rate" else 1e15,
                "error_title": say("roi_sheet.wrong")[:32], "error_message": say("roi_sheet.wrong.text")[:255]}  # fmt: skip
        sheet.page.data_validation(sheet.row, 1, sheet.row, 1, rule)
        sheet.row += 1


def _aside(numbers: Numbers, found: NamedInput) -> Iterator[str]:
    if found.value is None:
        low, high = found.line[found.part]
        if found.kind == "hours":
            ends = [costing.hours(numbers, end) for end in (low, high)]
        else:
            ends = [numbers.full_money(end) for end in (low, high)]
        yield numbers.words.say("costs.sheet.range", range=numbers.interval(*ends))
