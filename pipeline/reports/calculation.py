"""A plan in a terminal: inputs, lines, results with their ranges, chances, what matters most, what to mind."""

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid

from pipeline.calculator import COSTS, FLAT, N_DRAWS, Outcome
from pipeline.reports import figures
from pipeline.reports.elsewhere import rates
from pipeline.reports.numbers import NBSP, Numbers
from pipeline.reports.terminal import GAP, GLUE, WIDTH, glued
from pipeline.scenarios import RESULTS, text_in

BAR = 16  # columns of the longest bar
N_SWINGS = 8
OUTSTANDING = 10.0
_END = re.compile(r"(?: |\x1b\[[0-9;]*m)+$")  # blanks and styles behind the last letter
NO_COST = "no_cost"  # no cost was given at all: one sentence says what does not exist without it
ON_REVENUE = ("full_benefit", "benefit")
HIDDEN = ("full_benefit",)  # the figure behind others, shown where it is explained


def render_calculation(outcome: Outcome, numbers: Numbers, *, hurdles: Sequence[Mapping[str, Any]] = (),
                       is_explained: bool = False) -> str:
    """The plan as text with ANSI styles (none where NO_COLOR is set). `hurdles`: as in a document, of the plan's currency."""
    console, buffer = open_console()
    language = numbers.words.language
    console.print(glued(text_in(outcome.scenario.title, language), style="bold"))
    console.print(glued(text_in(outcome.scenario.about, language), style="dim"))
    _inputs(console, outcome, numbers)
    _lines(console, outcome, numbers)
    _results(console, outcome, numbers)
    _chances(console, outcome, numbers)
    _tornado(console, outcome, numbers)
    if is_explained:
        _definitions(console, outcome, numbers)
        _published(console, outcome, numbers)
    heading(console, numbers.words.say("calc.notes"))
    for note in notes(outcome, numbers, hurdles):
        console.print(Padding(glued(note), (0, 0, 0, 2)))
    return finished(buffer)


def open_console() -> tuple[Console, StringIO]:
    """A page of the width of all terminal pages, and where its text goes."""
    buffer = StringIO()
    looks: dict[str, Any] = {"force_terminal": True, "color_system": "standard", "legacy_windows": False}
    return Console(file=buffer, width=WIDTH, highlight=False, markup=False, **looks), buffer


def finished(buffer: StringIO) -> str:
    """The text of the page."""
    text = buffer.getvalue().replace(GLUE, NBSP).replace(GAP, "")
    return "\n".join(_END.sub(lambda end: end[0].replace(" ", ""), line) for line in text.splitlines()) + "\n"


def heading(console: Console, text: str) -> None:
    """The title of a section."""
    console.print()
    console.print(glued(text, style="bold underline"))


def table(console: Console, rows: Sequence[Sequence[str]], heads: Sequence[str] = ()) -> None:
    """Rows of texts, the first column to the left."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 1), header_style="dim", show_header=bool(heads))
    for n in range(max(map(len, rows), default=0)):
        grid.add_column(glued(heads[n]) if heads else "", justify="left" if n == 0 else "right", overflow="fold",
                        max_width=44 if n == 0 else 30)  # fmt: skip
    for row in rows:
        grid.add_row(*(glued(cell) for cell in row))
    console.print(Padding(grid, (0, 0, 0, 2)))


def result_label(outcome: Outcome, numbers: Numbers, name: str) -> str:
    """The name of a result; benefit is called revenue where no margin was given."""
    if name in ON_REVENUE and outcome.is_revenue_based:
        name = f"{name}_on_revenue"
    return numbers.words.say(f"calc.result.{name}")


def how(outcome: Outcome, numbers: Numbers, name: str) -> str:
    """How a result is computed, in words; without a margin there is none in them."""
    is_on_revenue = outcome.is_revenue_based and name in (*ON_REVENUE, "net", "roi")
    return numbers.words.say(f"calc.how.{name}_on_revenue" if is_on_revenue else f"calc.how.{name}")


def notes(outcome: Outcome, numbers: Numbers, hurdles: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """What somebody who only reads the figures would miss."""
    say, found = numbers.words.say, []
    if outcome.is_revenue_based:
        margin = outcome.points["break_even_margin"].point
        if margin is None or margin == 0:
            found.append(say("calc.note.revenue_only"))
        elif margin <= 1:
            found.append(say("calc.note.revenue", margin=numbers.percent(margin)))
        else:
            found.append(say("calc.note.revenue_never"))
    if outcome.points["cost"].reason == NO_COST:
        found.append(say("calc.note.no_cost"))
    if (lacking := _not_counted(outcome)):  # fmt: skip
        titles = (figures.label(numbers, outcome, outcome.scenario.inputs[name].label) for name in lacking)
        found.append(say("calc.note.not_counted", names=say("format.semicolon").join(titles)))
    roi = outcome.points["roi"].point
    if roi is not None and roi > OUTSTANDING:
        found.append(say("calc.note.outstanding"))
    if outcome.season != FLAT:
        factors = numbers.words.say("format.semicolon").join(numbers.decimal(factor, digits=2) for factor in outcome.season)
        found.append(say("calc.note.season", factors=factors))
    if outcome.draws:
        found.append(say("calc.note.draws", n=numbers.whole(N_DRAWS), seed=str(outcome.seed)))
    if hurdles and outcome.points["irr"].point is not None:
        found.append(say("calc.note.elsewhere", rates=rates(numbers, hurdles)))
    found.append(say("calc.note.plan"))
    return found


def _not_counted(outcome: Outcome) -> list[str]:
    """Inputs that were not given and that a cost or the benefit would take; what only other lines need is no part of them."""
    scenario = outcome.scenario
    used = {*COSTS}
    waiting = [name for expression in scenario.parts.values() for name in expression.names]
    while waiting:
        name = waiting.pop()
        used.add(name)
        waiting += scenario.lines[name].expression.names if name in scenario.lines else ()
    if {"rollout_hours", "hours_a_month"} & outcome.quantities.keys():
        used.add("hour_rate")  # asked for only where hours wait for it
    return [name for name in scenario.inputs if name in used and name not in outcome.quantities]


def _inputs(console: Console, outcome: Outcome, numbers: Numbers) -> None:
    heading(console, numbers.words.say("calc.inputs"))
    rows = []
    for name, asked in outcome.scenario.inputs.items():
        known = outcome.quantities.get(name)
        shown = numbers.words.say("calc.not_given") if known is None else figures.quantity(numbers, asked.kind, known)
        rows.append((figures.label(numbers, outcome, asked.label), shown, name))
    table(console, rows)


def _lines(console: Console, outcome: Outcome, numbers: Numbers) -> None:
    heading(console, numbers.words.say("calc.lines"))
    rows = []
    for name, line in outcome.scenario.lines.items():
        shown = figures.value_of(numbers, line.kind, outcome.points[name])
        rows.append((figures.label(numbers, outcome, line.label), shown, figures.span(numbers, outcome, name, line.kind, 0.8)))
    table(console, rows)


def _results(console: Console, outcome: Outcome, numbers: Numbers) -> None:
    say = numbers.words.say
    heading(console, say("calc.results", months=figures.written(numbers, "months", outcome.quantities["months"].middle)))
    rows, is_certain = [], not outcome.draws
    for name, kind in RESULTS.items():
        if name in HIDDEN or not is_there(outcome, name) or (name != "cost" and outcome.points[name].reason == NO_COST):
            continue
        row = [result_label(outcome, numbers, name), figures.value_of(numbers, kind, outcome.points[name], name=name)]
        if not is_certain:
            row += [figures.median(numbers, outcome, name, kind)]
            row += [figures.span(numbers, outcome, name, kind, share) for share in (0.8, 0.95)]
        rows.append(row)
    heads = ("", *(say(f"calc.column.{name}") for name in ("middle", "median", "80", "95")))
    table(console, rows, () if is_certain else heads)


def is_there(outcome: Outcome, name: str) -> bool:
    """Whether a plan has the result; a saving only where the scenario has one."""
    return name in outcome.points and (name != "saving" or "saving_a_month" in outcome.scenario.parts)


def _chances(console: Console, outcome: Outcome, numbers: Numbers) -> None:
    if (rows := chances(outcome, numbers)):  # fmt: skip
        heading(console, numbers.words.say("calc.chances"))
        table(console, rows)


def chances(outcome: Outcome, numbers: Numbers) -> list[tuple[str, str]]:
    """Chances of net and payback; none for a plan without ranges or costs."""
    earns, pays_back = outcome.p_net_positive, outcome.p_payback_within
    if earns is None or pays_back is None:
        return []
    months, within = (
        figures.written(numbers, "months", outcome.quantities[name].middle) for name in ("months", "payback_within")
    )
    say = numbers.words.say
    return [(say("calc.chance.net", months=months), numbers.probability(earns)),
            (say("calc.chance.payback", months=within), numbers.probability(pays_back))]  # fmt: skip


def _tornado(console: Console, outcome: Outcome, numbers: Numbers) -> None:
    if not outcome.tornado:
        return
    heading(console, numbers.words.say("calc.tornado"))
    console.print(
        Padding(glued(numbers.words.say(f"calc.tornado.{'ranges' if outcome.draws else 'tenth'}"), style="dim"), (0, 0, 0, 2))
    )
    widest = outcome.tornado[0].width
    rows = []
    for swing in outcome.tornado[:N_SWINGS]:
        kind = outcome.scenario.inputs[swing.name].kind
        bar = "█" * max(round(BAR * swing.width / widest), 1)
        ends = numbers.interval(figures.written(numbers, kind, swing.low), figures.written(numbers, kind, swing.high))
        net = f"{numbers.full_money(swing.net_at_low)} → {numbers.full_money(swing.net_at_high)}"
        rows.append((f"{bar:<{BAR}}", swing.name, ends, net))
    table(console, rows)


def _definitions(console: Console, outcome: Outcome, numbers: Numbers) -> None:
    heading(console, numbers.words.say("calc.definitions"))
    for name, line in outcome.scenario.lines.items():
        shown = figures.value_of(numbers, line.kind, outcome.points[name])
        console.print(Padding(glued(f"{name} = {line.expression.text} = {shown}"), (0, 0, 0, 2)))
    for part, expression in outcome.scenario.parts.items():
        console.print(Padding(glued(f"{part} = {expression.text}"), (0, 0, 0, 2)))
    for name in RESULTS:
        if is_there(outcome, name) and outcome.points[name].reason != NO_COST:
            shown = figures.value_of(numbers, RESULTS[name], outcome.points[name], name=name)
            text = f"{result_label(outcome, numbers, name)} = {how(outcome, numbers, name)} = {shown}"
            console.print(Padding(glued(text), (0, 0, 0, 2)))


def _published(console: Console, outcome: Outcome, numbers: Numbers) -> None:
    """Only beside the published inputs: with others the figures are not those."""
    scenario, say = outcome.scenario, numbers.words.say
    example = scenario.read_inputs(scenario.example, {}, "RUB")
    if dict(outcome.quantities) != example or outcome.season != FLAT or not scenario.published:
        return
    heading(console, say("calc.published"))
    for found in scenario.published:
        kind = scenario.lines[found.line].kind if found.line in scenario.lines else RESULTS[found.line]
        is_line = found.line in scenario.lines
        title = (
            figures.label(numbers, outcome, scenario.lines[found.line].label)
            if is_line
            else result_label(outcome, numbers, found.line)
        )
        exact = figures.span(numbers, outcome, found.line, kind, 1.0) or figures.value_of(
            numbers, kind, outcome.points[found.line]
        )
        key = "calc.published.line" if found.stated else "calc.published.unstated"
        texts = {"stated": found.stated} if found.stated else {}
        why = text_in(found.why, numbers.words.language)
        console.print(Padding(glued(say(key, item=found.item, label=title, exact=exact, why=why, **texts)), (0, 0, 0, 2)))
