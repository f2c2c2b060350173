"""A plan as a workbook: the inputs in yellow cells, every line and result as a live formula, a table of months behind them.

The formulas are the expressions of the scenario, written as Excel writes them; beside each stands the value computed here, for
readers that do not compute. A test recalculates and compares. Ranges and chances come from draws and stay as they are.
"""

import re
from collections.abc import Mapping
from typing import cast

from pipeline.amounts import bounds
from pipeline.calculator import COSTS, Outcome
from pipeline.cashflow import PAYBACK_HORIZON_MONTHS
from pipeline.reports import figures
from pipeline.reports.calculation import chances, is_there, result_label
from pipeline.reports.cells import Book, Kind, Sheet, Value
from pipeline.reports.numbers import Numbers
from pipeline.scenarios import PARTS, RESULTS, Scenario, text_in

KINDS: dict[str, Kind] = {
    "count": "decimal", "share": "share", "points": "points", "relative": "share", "money": "money", "months": "months",
    "hours": "hours", "minutes": "minutes", "number": "precise", "p_value": "precise",
}  # fmt: skip
FIRST = 3  # the row of month 0 in the table of months
LAST = FIRST + PAYBACK_HORIZON_MONTHS
_SEASON = f"$I${FIRST}:$I${FIRST + 11}"


def render_plan(outcome: Outcome, numbers: Numbers) -> bytes:
    """The plan as XLSX: the same plan, the same bytes."""
    book = Book(numbers, outcome.scenario.on)
    plan, months = book.sheet("calc_plan"), book.sheet("calc_months", is_wide=True)
    cells = _plan(plan, outcome, f"'{months.name}'!")
    _months(months, outcome, {name: f"'{plan.name}'!{cell}" for name, cell in cells.items()})
    if outcome.draws or outcome.tornado:
        _ranges(book.sheet("calc_ranges", is_wide=True), outcome)
    return book.to_bytes()


def _plan(sheet: Sheet, outcome: Outcome, table: str) -> dict[str, str]:
    """Inputs, lines, results; where each of them stands."""
    numbers, say = sheet.book.numbers, sheet.book.numbers.words.say
    scenario, language = outcome.scenario, numbers.words.language
    sheet.line(text_in(scenario.title, language), "title")
    sheet.line(text_in(scenario.about, language), "note", columns=4)
    sheet.line(say("calc.sheet.lead"), "note", columns=4)
    sheet.row += 1
    sheet.line(say("calc.inputs"), "section")
    cells: dict[str, str] = {}
    for name in scenario.inputs:
        cells[name] = _input(sheet, outcome, name)
    sheet.row += 1
    sheet.line(say("calc.lines"), "section")
    optional = {name for name, asked in scenario.inputs.items() if asked.is_optional}
    for name, line in scenario.lines.items():
        title = re.sub(r"[{}]", "", text_in(line.label, language))  # an input by its name: its figure may be changed here
        cells[name] = _live(
            sheet, title, line.expression.excel(cells, optional), outcome.points[name].point, line.kind, line.expression.text
        )
    for part in PARTS:
        if part in scenario.parts:
            expression = scenario.parts[part]
            value = expression.value(outcome.points).point
            cells[part] = _live(
                sheet, say(f"calc.part.{part}"), expression.excel(cells, optional), value, "money", expression.text
            )
    sheet.row += 1
    sheet.line(say("calc.sheet.results"), "section")
    never, has_revenue = say("payback.never"), "revenue_a_month" in scenario.parts
    for name, formula in _formulas(cells, table, never, scenario).items():
        if name in RESULTS and name not in outcome.points:
            continue
        title, value = say(f"calc.{name}") if name not in RESULTS else "", _cost_part(outcome, name)
        how, is_never = "", False
        if name in RESULTS:
            title, value, how = say(f"calc.result.{name}"), outcome.points[name].point, say(f"calc.how.{name}")
            is_never = value is None and outcome.points[name].reason == "never"
        shown: Value = never if is_never else value
        is_total = name in ("net", "roi", "payback")
        if name == "benefit" and has_revenue:
            _choice(sheet, outcome, cells, say("calc.result.benefit"), say("calc.result.benefit_on_revenue"), "name")
            title = ""
        cells[name] = _live(sheet, title, formula.format(**cells), shown, RESULTS.get(name, "money"), how, is_total=is_total)
    sheet.row += 1
    if has_revenue:
        _choice(sheet, outcome, cells, "", say("calc.note.revenue_only"), "note")
        sheet.row += 1
    sheet.line(say("calc.note.plan"), "note", columns=4)
    sheet.page.protect("", {"format_columns": True, "format_rows": True, "select_locked_cells": True})
    sheet.finish(least=14, widths={0: 58, 2: 24, 3: 70})
    return cells


def _input(sheet: Sheet, outcome: Outcome, name: str) -> str:
    """A yellow cell with what it may hold; its reference."""
    numbers, say = sheet.book.numbers, sheet.book.numbers.words.say
    asked, known = outcome.scenario.inputs[name], outcome.quantities.get(name)
    sheet.text(0, figures.label(numbers, outcome, asked.label), "name")
    kind = "whole" if asked.is_whole and asked.kind == "number" else _kind(asked.kind)
    sheet.number(1, None if known is None else known.middle, kind, "input")
    sheet.text(2, name, "aside")
    reading = say("calc.not_given") if known is None else "" if known.is_certain else figures.quantity(numbers, asked.kind, known)
    sheet.text(3, reading, "aside")
    least, most = bounds(asked.kind, asked.least, asked.most)
    rule = {"validate": "integer" if asked.is_whole else "decimal", "criteria": "between", "minimum": least, "maximum": most,
            "error_title": say("roi_sheet.wrong")[:32], "error_message": say("roi_sheet.wrong.text")[:255]}  # fmt: skip
    sheet.page.data_validation(sheet.row, 1, sheet.row, 1, rule)
    sheet.row += 1
    return f"$B${sheet.row}"


def _live(sheet: Sheet, title: str, formula: str, value: Value, kind: str, how: str, *, is_total: bool = False) -> str:
    """A formula with its value; what cannot be computed says so. Its reference."""
    none = sheet.book.numbers.words.say("none")
    shown: Value = none if value is None else value
    if title:
        sheet.text(0, title, "total" if is_total else "name")
    quoted = none.replace('"', '""')
    sheet.formula(1, f'IFERROR({formula},"{quoted}")', shown, _kind(kind), "total" if is_total else "cell")
    sheet.text(3, how, "aside")
    sheet.row += 1
    return f"$B${sheet.row}"


def _choice(sheet: Sheet, outcome: Outcome, cells: Mapping[str, str], with_it: str, without: str, style: str) -> None:
    """A text that follows from whether the margin's cell is filled; where there is no revenue none is needed."""
    given, lacking = (text.replace('"', '""') for text in (with_it, without))
    has_none = f"AND(NOT(ISNUMBER({cells['margin']})),N({cells['revenue']})<>0)"
    is_lacking = "margin" not in outcome.quantities and outcome.points["revenue"].point not in (None, 0)
    sheet.formula(0, f'IFERROR(IF({has_none},"{lacking}","{given}"),"")', without if is_lacking else with_it, "whole", style)


def _kind(kind: str) -> Kind:
    return KINDS[kind]


def _cost_part(outcome: Outcome, name: str) -> float | None:
    """What is paid once, and a month; out of the flows and the cost of the horizon."""
    once, cost = float(-outcome.flows[0]), outcome.points["cost"].point
    if cost is None:
        return None
    return once if name == "once" else (cost - once) / outcome.quantities["months"].middle


def _formulas(cells: Mapping[str, str], table: str, never: str, scenario: Scenario) -> dict[str, str]:
    """The results as formulas over cells in braces and the table of months."""
    month, share, flow = (f"{table}${column}${FIRST}:${column}${LAST}" for column in "ABC")
    discounted, back = (f"{table}${column}${FIRST}:${column}${LAST}" for column in "EF")
    within = f'SUMIF({month},"<="&{{months}},{{column}})'
    revenue = "{revenue_a_month}" if "revenue_a_month" in cells else "0"
    saving = "{saving_a_month}" if "saving_a_month" in cells else "0"
    usage = "{usage_a_month}" if "usage_a_month" in cells else "0"
    counted = "+".join(f"COUNT({{{name}}})" for name in COSTS)
    is_known = f"OR({counted}>0,{usage}<>0)"
    kept = f"{revenue}*(1-{{cannibalisation}})"
    never = '"' + never.replace('"', '""') + '"'
    def counted_part(part: str, formula: str) -> str:
        """Not counted, and not 0, while something it needs is missing."""
        names = scenario.parts[part].names if part in scenario.parts else ()
        there = "+".join(f"COUNT({{{name}}})" for name in names)
        return f"IF({there}={len(names)},{formula},NA())" if names else formula

    last = f"INDEX({table}$C${FIRST}:$C${LAST},{{months}}+1)"
    return {
        "once": f"IF({is_known},N({{one_off_cost}})+N({{rollout_hours}})*N({{hour_rate}}),NA())",
        "monthly": f"IF({is_known},N({{monthly_cost}})+N({{hours_a_month}})*N({{hour_rate}})+{usage},NA())",
        "full_benefit": f"{kept}*IF(ISNUMBER({{margin}}),{{margin}},1)+{saving}",
        "effective_months": within.replace("{column}", share),
        "revenue": f"{kept}*{{effective_months}}",
        "saving": counted_part("saving_a_month", f"{saving}*{{effective_months}}"),
        "benefit": "{full_benefit}*{effective_months}",
        "cost": "{once}+{monthly}*{months}",
        "net": "{benefit}-{cost}",
        "roi": "({benefit}-{cost})/{cost}",
        "annual_roi": "{roi}*12/{months}",
        "year_roi": f'{{full_benefit}}*SUMIF({month},"<=12",{share})/({{once}}+{{monthly}}*12)-1',
        "compound_roi": "IF({roi}>=-1,(1+{roi})^(12/{months})-1,NA())",
        "payback": f"IF(ISNUMBER({{net}}),IF(AND({{full_benefit}}>{{monthly}},COUNT({back})>0),MIN({back}),{never}),NA())",
        "break_even_margin": f"IF({{revenue}}>0,MAX({{cost}}-{saving}*{{effective_months}},0)/{{revenue}},NA())",
        "npv": f"IF(ISNUMBER({{net}}),{within.replace('{column}', discounted)},NA())",
        "irr": f"IF({{once}}>0,(1+IRR({flow.partition(':')[0]}:{last}))^12-1,NA())",
        "capacity": counted_part("capacity_a_month", "{capacity_a_month}*{effective_months}"),
        "roi_with_capacity": "({benefit}+{capacity}-{cost})/{cost}",
    }  # fmt: skip


def _months(sheet: Sheet, outcome: Outcome, cells: Mapping[str, str]) -> None:
    """Five years month by month: share of the effect, cash, so far, discounted, the moment it is back. And the season."""
    say = sheet.book.numbers.words.say
    sheet.line(sheet.name, "section")
    heads = ["month", "share", "flow", "total", "discounted", "payback"]
    sheet.heads([*(say(f"calc.column.{name}") for name in heads), "", say("calc.column.month"), say("calc.sheet.season")])
    full, monthly, rate = (cells[name] for name in ("full_benefit", "monthly", "discount_rate"))
    shares, total = [0.0, *_shares(outcome)], 0.0
    flows = _all_flows(outcome, shares)
    for month in range(PAYBACK_HORIZON_MONTHS + 1):
        row, cash = sheet.row + 1, flows[month]
        before, total = total, total + (cash or 0.0)
        sheet.number(0, float(month), "whole")
        if month:
            factor = f"INDEX({_SEASON},MOD({cells['start_month']}+A{row}-2,12)+1)"
            sheet.formula(1, f"IFERROR(MIN(A{row}/MAX({cells['ramp_months']},1),1)*{factor},0)", shares[month], "precise")
        once_or_net = f"-{cells['once']}" if not month else f"{full}*B{row}-{monthly}"
        _cell(sheet, 2, once_or_net, cash)
        known = cash is not None
        _cell(sheet, 3, f"C{row}" if not month else f"D{row - 1}+C{row}", total if known else None)
        discount = outcome.quantities["discount_rate"].middle
        _cell(sheet, 4, f"C{row}/(1+{rate})^(A{row}/12)", None if cash is None else cash / (1 + discount) ** (month / 12))
        if not month:
            sheet.formula(5, f'IFERROR(IF(D{row}>=0,0,""),"")', 0.0 if known and total >= 0 else "", "precise")
        else:
            inside = month - 1 - before / (total - before) if known and before < 0 <= total else ""
            sheet.formula(
                5, f'IFERROR(IF(AND(D{row}>=0,D{row - 1}<0),A{row - 1}-D{row - 1}/(D{row}-D{row - 1}),""),"")', inside, "precise"
            )
        if month < 12:
            sheet.number(7, float(month + 1), "whole")
            sheet.number(8, outcome.season[month], "precise", "input")
        sheet.row += 1
    sheet.finish(frozen=(FIRST - 1, 1), repeated=FIRST - 2, least=14)


def _cell(sheet: Sheet, column: int, formula: str, value: float | None) -> None:
    none = sheet.book.numbers.words.say("none")
    sheet.formula(column, f'IFERROR({formula},"{none}")', none if value is None else value, "money")


def _shares(outcome: Outcome) -> list[float]:
    ramp, start = outcome.quantities["ramp_months"].middle, int(outcome.quantities["start_month"].middle)
    months = range(1, PAYBACK_HORIZON_MONTHS + 1)
    return [min(month / max(ramp, 1.0), 1.0) * outcome.season[(start + month - 2) % 12] for month in months]


def _all_flows(outcome: Outcome, shares: list[float]) -> list[float | None]:
    """Cash of five years at the middle of every input; None where it cannot be computed."""
    full, monthly = outcome.points["full_benefit"].point, _cost_part(outcome, "monthly")
    if full is None or monthly is None:
        return [None] * len(shares)
    return [float(outcome.flows[0]), *(full * share - monthly for share in shares[1:])]


def _ranges(sheet: Sheet, outcome: Outcome) -> None:
    """What the draws say: ranges of the results, chances, the tornado. Figures, no formulas."""
    numbers, say = sheet.book.numbers, sheet.book.numbers.words.say
    if outcome.draws:
        sheet.line(say("calc.sheet.fixed"), "note", columns=6)
        sheet.heads(
            [say("calc.column.what"), *(say(f"calc.column.{name}") for name in ("median", "low80", "high80", "low95", "high95"))]
        )
        for name, kind in RESULTS.items():
            found = {share: outcome.interval(name, share) for share in (0.8, 0.95)}
            narrow, wide = found[0.8], found[0.95]
            if narrow is None or wide is None or not is_there(outcome, name):
                continue
            sheet.text(0, result_label(outcome, numbers, name), "name")
            never = say("calc.reason.never")
            middle = never if narrow[1] == float("inf") else narrow[1]
            for column, end in enumerate((middle, narrow[0], narrow[2], wide[0], wide[2]), start=1):
                sheet.number(column, cast("Value", never if end is None else end), _kind(kind))
            sheet.row += 1
        sheet.row += 1
        for title, chance in chances(outcome, numbers):
            sheet.text(0, title, "name")
            sheet.text(1, chance, "cell")
            sheet.row += 1
        sheet.row += 1
    sheet.line(say("calc.tornado"), "section")
    sheet.line(say(f"calc.tornado.{'ranges' if outcome.draws else 'tenth'}"), "note", columns=6)
    sheet.heads([say(f"calc.column.{name}") for name in ("input", "low", "high", "net_low", "net_high")])
    for swing in outcome.tornado:
        asked = outcome.scenario.inputs[swing.name]
        sheet.text(0, figures.label(numbers, outcome, asked.label), "name")
        for column, end in enumerate((swing.low, swing.high), start=1):
            sheet.number(column, end, _kind(asked.kind))
        for column, net in enumerate((swing.net_at_low, swing.net_at_high), start=3):
            sheet.number(column, net, "money", is_signed=True)
        sheet.row += 1
    sheet.finish(least=14, widths={0: 58})
