"""The ROI sheet: the money of the report as live formulas over a few yellow cells.

What is exact. Incremental revenue is a set of draws; a margin, the size of all payments and constant costs shift and stretch
every draw alike, so the ends of the interval move as the formulas say, and with the first inputs all results are the report's.
Held fixed: leads, rates, the relative change of the average check, the length of the period. Payback is an order statistic of
the draws, so it is read at the revenue of its own draw.

Lines of a scenario (lower end, estimate, upper end) have a formula and, for readers that do not compute, the value of it by
`pipeline.roi`. A test recalculates the formulas and compares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.cashflow import DISCOUNT_RATE, HORIZON_MONTHS, PAYBACK_HORIZON_MONTHS, monthly_flows, npv, payback_months
from pipeline.costs import costs_of
from pipeline.reports import sentences
from pipeline.reports.cells import Book, Kind, Sheet, Value
from pipeline.reports.named_inputs import Named, named_of, write_named
from pipeline.roi import Costs, break_even_margin, roi

Json = Any
ENDS = ("low", "estimate", "high")  # columns B, C, D
# The payback of the lower end is the late one.
_PAYBACK_END = {"low": "high", "estimate": "estimate", "high": "low"}


class Input(NamedTuple):
    """A cell the owner may change: its defined name, its message, its kind, and what it may hold at most."""

    name: str
    title: str
    kind: Kind
    most: float = 1e15


INPUTS = (
    Input("margin", "roi_sheet.margin", "share", 1.0),
    Input("average_check", "metric.average_check", "money_exact"),
    Input("one_off_cost", "cost.one_off", "money"),
    Input("monthly_cost", "cost.monthly", "money"),
    Input("cost_per_lead", "cost.usage_per_lead", "money_exact"),
    Input("rollout_hours", "cost.staff_hours_one_off", "hours"),
    Input("hours_a_month", "cost.staff_hours_monthly", "hours"),
    Input("hour_rate", "sheet.hour_rate", "money_exact"),
    Input("saved_hours", "sheet.saved_hours", "hours"),
    Input("discount_rate", "roi_sheet.discount_rate", "share", 5.0),
)
_IS_COST_KNOWN = (
    "OR(COUNT(one_off_cost)+COUNT(monthly_cost)+COUNT(cost_per_lead){count_money}>0,"
    "AND(COUNT(hour_rate)>0,COUNT(rollout_hours)+COUNT(hours_a_month){count_hours}>0))"
)
_SAVED = "saved_hours*hour_rate*window_months"
_NET_A_MONTH = "({at_payback}-{a_month})"


class Line(NamedTuple):
    """A result: formula over names and other lines in braces (any error in it gives "n/a"), message, kind."""

    name: str
    title: str
    kind: Kind
    formula: str
    note: str = ""
    is_total: bool = False


LINES = (
    Line("revenue", "money.incremental_revenue", "money", "{measured}*check_factor", "revenue"),
    Line("profit", "money.incremental_profit", "money", "IF(COUNT(margin)=0,{none},{revenue}*margin)", "profit"),
    Line("saved", "money.saved_hours", "money", f"IF(COUNT(saved_hours)*COUNT(hour_rate)=0,{{none}},{_SAVED})", "saved"),
    Line("benefit", "money.benefit", "money", "{benefit_formula}", "benefit", True),
    Line("once", "roi_sheet.once", "money", "IF({is_known},one_off_cost+rollout_hours*hour_rate{named_once},{none})", "once"),
    Line("a_month", "roi_sheet.a_month", "money",
         "IF({is_known},monthly_cost+cost_per_lead*leads/window_months+hours_a_month*hour_rate{named_a_month},{none})",
         "a_month"),
    Line("cost", "money.cost", "money", "{once}+{a_month}*window_months", "cost", True),
    Line("net", "money.net", "money", "{benefit}-{cost}", "net", True),
    Line("roi", "money.roi", "share", "({benefit}-{cost})/{cost}", "roi", True),
    Line("benefit_a_month", "roi_sheet.benefit_a_month", "money", "{benefit}/window_months", "benefit_a_month"),
    Line("at_payback", "roi_sheet.at_payback", "money", "{at_payback_formula}", "at_payback"),
    Line("payback", "money.payback", "months",
         f"IF({_NET_A_MONTH}>0,IF({{once}}/{_NET_A_MONTH}<={PAYBACK_HORIZON_MONTHS},{{once}}/{_NET_A_MONTH},{{never}}),{{never}})",
         "payback", True),
    Line("break_even_margin", "break_even.margin", "share", "IF({revenue}>0,{cost}/{revenue},{none})", "break_even_margin"),
    Line("break_even_monthly", "break_even.monthly", "money", f"{{once}}/{HORIZON_MONTHS}+{{a_month}}", "break_even_monthly"),
    Line("npv", "money.npv", "money",
         f"-{{once}}-PV((1+discount_rate)^(1/12)-1,{HORIZON_MONTHS},{{benefit_a_month}}-{{a_month}})", "npv"),
)  # fmt: skip
# A line beside the report's own figure of it.
_STATED = {
    "revenue": "incremental_revenue", "profit": "incremental_profit", "saved": "saved_hours", "benefit": "benefit",
    "once": "one_off_cost", "a_month": "monthly_cost", "cost": "cost", "net": "net", "roi": "roi",
    "benefit_a_month": "monthly_benefit", "payback": "payback_months", "break_even_margin": "break_even_margin",
    "break_even_monthly": "break_even_monthly", "npv": "npv",
}  # fmt: skip
_UNSIGNED = ("once", "a_month", "cost", "saved", "payback", "break_even_margin", "break_even_monthly", "roi")


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands in the sheet: the first inputs, and what is held fixed."""

    inputs: Mapping[str, float | None]
    costs: Costs
    named: Named
    measured: Mapping[str, float | None]  # incremental revenue at each end
    payback_benefit: Mapping[str, float | None]  # benefit a month of the draw that payback is read at
    is_saved_cash: bool
    months: float
    leads: float

    @property
    def saved(self) -> float | None:
        """Worth of the saved hours over the period."""
        hours, rate = self.inputs["saved_hours"], self.inputs["hour_rate"]
        return None if hours is None or rate is None else hours * rate * self.months

    def payback_revenue(self, end: str) -> float | None:
        """Incremental revenue of the draw that payback is read at; the end's own where no such draw is known."""
        benefit, margin, measured = self.payback_benefit[end], self.inputs["margin"], self.measured[end]
        if benefit is None or margin is None or measured is None:
            return measured
        return (benefit * self.months - (self.saved or 0.0) * self.is_saved_cash) / margin

    def values(self, end: str) -> dict[str, float | None]:
        """Each line by `pipeline.roi`; None where it cannot be computed."""
        margin, measured, saved = self.inputs["margin"], self.measured[end], self.saved
        profit = None if measured is None or margin is None else measured * margin
        benefit = _plus(profit, saved or 0.0) if measured is not None and self.is_saved_cash else profit
        if measured is None and self.is_saved_cash:
            benefit = saved
        is_known = self.costs.is_known
        once, a_month = self.costs.once, self.costs.a_month(self.leads / self.months)
        cost = once + a_month * self.months
        at_payback = benefit
        if profit is not None and margin is not None:
            at_payback = (self.payback_revenue(end) or 0.0) * margin + ((saved or 0.0) if self.is_saved_cash else 0.0)
        found: dict[str, float | None] = {
            "revenue": measured, "profit": profit, "saved": saved, "benefit": benefit,
            "benefit_a_month": None if benefit is None else benefit / self.months,
            "at_payback": None if at_payback is None else at_payback / self.months,
        }  # fmt: skip
        if not is_known:
            return found
        found |= {"once": once, "a_month": a_month, "cost": cost, "break_even_monthly": once / HORIZON_MONTHS + a_month}
        found["break_even_margin"] = None if measured is None else break_even_margin(cost, measured)
        if benefit is None or at_payback is None:
            return found
        flows = monthly_flows(once, benefit / self.months, a_month)
        found |= {"net": benefit - cost, "roi": roi(benefit, cost), "npv": npv(flows, self.inputs["discount_rate"] or 0.0)}
        found["payback"] = payback_months(once, at_payback / self.months, a_month)
        return found


def ground_of(document: Mapping[str, Json]) -> Ground:
    """The first inputs of a document that has money."""
    money, given = document["money"], document["launch"]["costs"]
    check, leads = (document["metrics"][name]["post"] or {} for name in ("average_check", "leads"))
    inputs = {
        "margin": money["margin"], "average_check": check.get("value"), "one_off_cost": given["one_off"],
        "monthly_cost": given["monthly"], "cost_per_lead": given["usage_per_lead"], "rollout_hours": given["staff_hours_one_off"],
        "hours_a_month": given["staff_hours_monthly"], "hour_rate": given["hour_rate"],
        "saved_hours": given["saved_hours_monthly"], "discount_rate": money.get("discount_rate", DISCOUNT_RATE),
    }  # fmt: skip
    costs = costs_of(given)
    revenue, months = money["incremental_revenue"], money["window_days"] / (365.25 / 12)
    n_leads = float(leads.get("value") or 0.0)
    once, a_month = costs.once, costs.a_month(n_leads / months)
    return Ground(
        inputs=inputs, costs=costs, named=named_of(document), measured={end: revenue[end] if revenue else None for end in ENDS},
        payback_benefit={end: _payback_benefit(money, end, once, a_month) for end in ENDS},
        is_saved_cash=money["is_saved_cash"], months=months, leads=n_leads,
    )  # fmt: skip


def _payback_benefit(money: Mapping[str, Json], end: str, once: float, a_month: float) -> float | None:
    """The benefit a month that the stated payback came from; None where the end of the interval says the same."""
    found, benefit = money["payback_months"], money["monthly_benefit"]
    if found is None or benefit is None:
        return None
    stated = found[_PAYBACK_END[end]]
    if stated:
        return float(a_month + once / stated)
    if stated is None and payback_months(once, benefit[end], a_month) is not None:
        return (a_month + once / PAYBACK_HORIZON_MONTHS) * (1 - 1e-9)  # between this draw and the next
    return None


def roi_sheet(book: Book, document: Mapping[str, Json]) -> None:
    """Inputs, what is held fixed, results; or why there is no money to compute."""
    sheet, say = book.sheet("roi", is_wide=True), book.numbers.words.say
    sheet.line(say("roi_sheet.title"), "title")
    if document["money"] is None:
        sheet.line(sentences.missing(book.numbers, document, "roi"), columns=5)
        sheet.finish(least=16)
        return
    ground = ground_of(document)
    sheet.line(say("roi_sheet.lead"), columns=5)
    sheet.line(say("roi_sheet.edges"), "note", columns=5)
    sheet.row += 1
    sheet.line(say("roi_sheet.inputs"), "section")
    _inputs(sheet, ground)
    sheet.row += 1
    _results(sheet, document, ground, _fixed(sheet, ground))
    sheet.row += 1
    for key in ("roi_sheet.exact", "roi_sheet.never", "roi_sheet.not_live"):
        sheet.line(say(key), "note", columns=5)
    # Without a password: against a slip of the finger, not against the owner.
    sheet.page.protect("", {"format_columns": True, "format_rows": True, "select_locked_cells": True})
    sheet.finish(least=20, widths={0: 52, 5: 84})  # room for a million million, typed in


def _inputs(sheet: Sheet, ground: Ground) -> None:
    book, say = sheet.book, sheet.book.numbers.words.say
    for found in INPUTS:
        sheet.text(0, say(found.title), "name")
        sheet.number(1, ground.inputs[found.name], found.kind, "input")
        if ground.inputs[found.name] is None:
            sheet.text(2, say("not_counted"), "aside")
        book.workbook.define_name(found.name, f"='{sheet.name}'!$B${sheet.row + 1}")
        rule = {"validate": "decimal", "criteria": "between", "minimum": 0, "maximum": found.most,
                "error_title": say("roi_sheet.wrong")[:32], "error_message": say("roi_sheet.wrong.text")[:255]}  # fmt: skip
        sheet.page.data_validation(sheet.row, 1, sheet.row, 1, rule)
        sheet.row += 1
    write_named(sheet, ground.named)


def _fixed(sheet: Sheet, ground: Ground) -> dict[str, int]:
    """What is held fixed; the rows that hold a scenario each."""
    book, say, rows = sheet.book, sheet.book.numbers.words.say, {}
    sheet.line(say("roi_sheet.fixed"), "section")
    check = ground.inputs["average_check"]
    constants: tuple[tuple[str, Value, Kind], ...] = (
        ("window_months", ground.months, "decimal"), ("leads", ground.leads, "whole"), ("measured_check", check, "money_exact"),
    )  # fmt: skip
    for name, value, kind in constants:
        sheet.text(0, say(f"roi_sheet.{name}"), "name")
        sheet.number(1, say("none") if value is None else value, kind)
        book.workbook.define_name(name, f"='{sheet.name}'!$B${sheet.row + 1}")
        sheet.row += 1
    sheet.text(0, say("roi_sheet.check_factor"), "name")
    sheet.formula(1, "IFERROR(IF(COUNT(average_check)=0,1,average_check/measured_check),1)", 1.0, "decimal")
    book.workbook.define_name("check_factor", f"='{sheet.name}'!$B${sheet.row + 1}")
    sheet.row += 2
    _scenario_heads(sheet)
    sources: tuple[tuple[str, Callable[[str], float | None]], ...] = (
        ("measured", lambda end: ground.measured[end]), ("measured_at_payback", ground.payback_revenue),
    )  # fmt: skip
    for name, source in sources:
        sheet.text(0, say(f"roi_sheet.{name}"), "name")
        for column, end in enumerate(ENDS, start=1):
            value = source(end)
            sheet.number(column, say("none") if value is None else value, "money", is_signed=True)
        rows[name] = sheet.row
        sheet.row += 1
    return rows


def _scenario_heads(sheet: Sheet) -> None:
    say = sheet.book.numbers.words.say
    sheet.heads(["", *(say(f"roi_sheet.{end}") for end in ENDS), say("roi_sheet.stated"), say("roi_sheet.how")], texts=(5,))


def _results(sheet: Sheet, document: Mapping[str, Json], ground: Ground, fixed: Mapping[str, int]) -> None:
    say, money = sheet.book.numbers.words.say, document["money"]
    sheet.row += 1
    sheet.line(say("roi_sheet.results"), "section")
    _scenario_heads(sheet)
    rows = {**fixed, **{line.name: sheet.row + n for n, line in enumerate(LINES)}}
    values = {end: ground.values(end) for end in ENDS}
    for line in LINES:
        style, is_signed = "total" if line.is_total else "cell", line.name not in _UNSIGNED
        sheet.text(0, say(line.title), "total" if line.is_total else "name")
        for column, end in enumerate(ENDS, start=1):
            value: Value = values[end].get(line.name)
            if value is None:
                is_never = line.name == "payback" and values[end].get("net") is not None
                value = say("payback.never" if is_never else "none")
            sheet.formula(column, _formula(line, column, rows, ground, say), value, line.kind, style, is_signed=is_signed)
        stated = money.get(_STATED[line.name]) if line.name in _STATED else None
        if isinstance(stated, Mapping):
            stated = say("payback.never") if stated["estimate"] is None else stated["estimate"]
        if line.name in _STATED:
            sheet.number(4, say("none") if stated is None else stated, line.kind, "cell", is_signed=is_signed)
        sheet.text(5, say(f"roi_sheet.note.{line.note}"), "aside")
        sheet.row += 1


def _formula(line: Line, column: int, rows: Mapping[str, int], ground: Ground, say: Callable[..., str]) -> str:
    """The line's formula for the scenario in this column; names in braces become cells, texts become literals."""
    letter = "ABCD"[column]
    cells = {name: f"{letter}{row + 1}" for name, row in rows.items()}
    texts = {name: '"' + say(key).replace('"', '""') + '"' for name, key in (("none", "none"), ("never", "payback.never"))}
    saved = f"+{_SAVED}" if ground.is_saved_cash else ""
    if ground.measured["estimate"] is None:  # nothing but the saved hours could be counted
        benefit = "{saved}" if ground.is_saved_cash else "{profit}"
        at_payback = "{benefit_a_month}"
    else:
        benefit = "{profit}" + saved
        at_payback = f"IF(COUNT(margin)=0,{{none}},({{measured_at_payback}}*check_factor*margin{saved})/window_months)"
    named = ground.named
    is_known = _IS_COST_KNOWN.format(count_money=named.count_money, count_hours=named.count_hours)
    replaced = {"benefit_formula": benefit, "at_payback_formula": at_payback, "is_known": is_known, "named_once": named.once,
                "named_a_month": named.a_month}  # fmt: skip
    formula = line.formula
    for name, text in replaced.items():
        formula = formula.replace(f"{{{name}}}", text)
    return f"IFERROR({formula.format(**cells, **texts)},{texts['none']})"


def _plus(value: float | None, more: float) -> float | None:
    return None if value is None else value + more
