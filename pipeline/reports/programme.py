"""The report of a programme: which module earned what, what cannot be told apart, and why; HTML, PDF, terminal, workbook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.table import Table as Grid

from pipeline.reports.cells import Book
from pipeline.reports.html import template
from pipeline.reports.numbers import NBSP, Numbers, adding_up, numbers_of
from pipeline.reports.pdf import printed
from pipeline.reports.tables import Part, Table, metric_title
from pipeline.reports.terminal import GAP, GLUE, WIDTH, glued, gridded
from pipeline.reports.words import plain

Json = Any


@dataclass(frozen=True, slots=True)
class ProgrammePage:
    """What every kind of the report shows, in words of one language."""

    numbers: Numbers
    title: str
    overline: str
    facts: tuple[str, ...]
    told: tuple[str, ...]
    modules: Table
    parts: tuple[Part, ...]
    pairs: tuple[str, ...]
    steps: Table
    pool: Table
    notes: tuple[str, ...]


def programme_page(document: Mapping[str, Json], language: str) -> ProgrammePage:
    """The page of a document of `accounting_document`."""
    numbers = numbers_of(language, document["currency"], document["timezone"])
    say = numbers.words.say
    titles = {one["name"]: plain(one["title"]) for one in document["modules"]}
    facts = (
        numbers.count("modules.count", len(titles)), say("modules.as_of", day=numbers.moment(document["as_of"])),
        numbers.count("modules.horizon", document["horizon"]["days"]),
        say("modules.trust", score=numbers.whole(document["trust"]["score"])),
    )  # fmt: skip
    return ProgrammePage(
        numbers, plain(document["programme"]["title"]), say("modules.overline"), facts, _told(numbers, document),
        _modules(numbers, document), _parts(numbers, document, titles), _pairs(numbers, document, titles),
        _steps(numbers, document, titles), _pool(numbers, document, titles),
        tuple(say(f"modules.note.{name}") for name in ("sum", "own", "elsewhere", "rest", "leads", "looks", "washout")),
    )  # fmt: skip


def render_html(document: Mapping[str, Json], language: str) -> str:
    """The document as a page."""
    page = programme_page(document, language)
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    words = page.numbers.words
    text: str = template("programme.html.j2").render(
        page=page, say=words.say, plural=page.numbers.count, style=Markup(style)  # a file of the program  # nosec B704
    )
    return text


def render_pdf(document: Mapping[str, Json], language: str) -> bytes:
    """The document as PDF. Raises ConfigError when WeasyPrint or one of its libraries is missing."""
    return printed(render_html(document, language), document["as_of"])


def render_terminal(document: Mapping[str, Json], language: str) -> str:
    """The document as text with ANSI styles (none where NO_COLOR is set)."""
    page, buffer = programme_page(document, language), StringIO()
    looks: dict[str, Any] = {"force_terminal": True, "color_system": "standard", "legacy_windows": False}
    console = Console(file=buffer, width=WIDTH, highlight=False, markup=False, **looks)
    say = page.numbers.words.say
    console.print(glued(page.title, style="bold"), glued(page.overline, style="dim"))
    console.print(glued(" · ".join(page.facts), style="dim"))
    for sentence in page.told:
        console.print(glued(sentence))
    _print_table(console, page.modules)
    _print_title(console, say("modules.section.parts"))
    grid = Grid.grid(padding=(0, 2))
    for part in page.parts:
        style = "bold" if part.is_total else ""
        grid.add_row(glued(part.title), glued(part.text, style=style), glued(part.interval or "", style="dim"))
    console.print(grid)
    _print_title(console, say("modules.section.pairs"))
    for pair in page.pairs:
        console.print(glued(pair))
    _print_table(console, page.pool)
    _print_title(console, say("section.method"))
    for note in page.notes:
        console.print(glued(note, style="dim"))
    printed_text = buffer.getvalue().replace(GLUE, NBSP).replace(GAP, "")
    return "\n".join(line.rstrip() for line in printed_text.splitlines()) + "\n"


def render_workbook(document: Mapping[str, Json], language: str) -> bytes:
    """The document as XLSX: figures as numbers, the sum and ROI as formulas; the same document, the same bytes."""
    page = programme_page(document, language)
    book = Book(page.numbers, date.fromisoformat(document["as_of"][:10]))
    sheet, say = book.sheet("modules", is_wide=True), page.numbers.words.say
    sheet.line(page.title, "title")
    for sentence in (*page.facts, *page.told):
        sheet.line(sentence, "text", columns=8)
    sheet.row += 1
    names = ("module", "state", "amount", "low", "high", "cost", "saved", "roi")
    sheet.heads([say(f"modules.column.{name}") for name in names], texts=(1,))
    first = sheet.row
    for title, state, row in _figures(page, document):
        sheet.text(0, title, "name")
        sheet.text(1, state, "aside")
        for column, value in enumerate((row["amount"], row["low"], row["high"], row["cost"], row["saved"]), start=2):
            sheet.number(column, value, "money")
        if row["roi"] is not None:
            n = sheet.row + 1
            sheet.formula(7, f'IFERROR((C{n}+G{n}-F{n})/F{n},"")', row["roi"], "share")
        sheet.row += 1
    _whole_row(sheet, document, first)
    for sentence in (*page.pairs, *page.notes):
        sheet.line(sentence, "note", columns=8)
    sheet.finish(widths={0: 34, 1: 34}, least=13)
    for key, table in (("modules_steps", page.steps), ("modules_pool", page.pool)):
        sheet = book.sheet(key, is_wide=True)
        sheet.heads(table.columns, texts=range(len(table.columns)))
        for cells in table.rows:
            for column, cell in enumerate(cells):
                sheet.text(column, cell, "name")
            sheet.row += 1
        sheet.finish(frozen=(1, 1), repeated=0, least=16)
    return book.to_bytes()


def _figures(page: ProgrammePage, document: Mapping[str, Json]) -> list[tuple[str, str, dict[str, float | None]]]:
    """Rows of the workbook: modules, joint parts, the rest. A joint part has no costs: they stand with its modules."""
    say, titles = page.numbers.words.say, {one["name"]: plain(one["title"]) for one in document["modules"]}
    nothing = dict.fromkeys(("estimate", "low", "high"))
    rows: list[tuple[str, str, dict[str, float | None]]] = []
    for one in document["modules"]:
        amount = one["amount"] or nothing
        is_told = one["roi"] is not None
        roi = (amount["estimate"] + one["saved"] - one["cost"]) / one["cost"] if is_told else None
        figures = {**amount, "amount": amount["estimate"], "cost": one["cost"], "saved": one["saved"], "roi": roi}
        rows.append((titles[one["name"]], say(f"modules.state.{one['state']}"), figures))
    absent = {"cost": None, "saved": None, "roi": None}
    for one in document["joint"]:
        title = say("modules.part.joint", names=page.numbers.words.listed(titles[name] for name in one["modules"]))
        rows.append((title, say("modules.state.joint"), {**one["amount"], "amount": one["amount"]["estimate"], **absent}))
    rest = document["rest"]
    rows.append((say("modules.part.rest"), "", {**rest, "amount": rest["estimate"], **absent}))
    return rows


def _whole_row(sheet: Any, document: Mapping[str, Json], first: int) -> None:
    money, say = document["money"], sheet.book.numbers.words.say
    last, n = sheet.row, sheet.row + 1
    sheet.text(0, say("modules.part.whole"), "total")
    sheet.text(1, "", "total")
    sheet.formula(2, f"SUM(C{first + 1}:C{last})", money["amount"]["estimate"], "money", "total")
    sheet.number(3, money["amount"]["low"], "money", "total")
    sheet.number(4, money["amount"]["high"], "money", "total")
    sheet.formula(5, f"SUM(F{first + 1}:F{last})", money["cost"] or 0.0, "money", "total")
    sheet.formula(6, f"SUM(G{first + 1}:G{last})", money["saved"], "money", "total")
    if money["roi"] is not None:
        value = (money["amount"]["estimate"] + money["saved"] - money["cost"]) / money["cost"]
        sheet.formula(7, f'IFERROR((C{n}+G{n}-F{n})/F{n},"")', value, "share", "total")
    sheet.row += 2


def _told(numbers: Numbers, document: Mapping[str, Json]) -> tuple[str, ...]:
    say, money, periods = numbers.words.say, document["money"], document["periods"]
    kind = "revenue" if document["is_revenue_based"] else "profit"
    amount = money["amount"]
    found = [
        say(f"modules.whole.{kind}", amount=numbers.money(amount["estimate"], is_signed=True),
            interval=numbers.money_interval(amount)),
        say("modules.measured", before=numbers.span(periods["pre"]["start"], periods["pre"]["end"]),
            after=numbers.span(periods["post"]["start"], periods["post"]["end"])),
    ]  # fmt: skip
    if money["saved"]:
        found.append(say("modules.saved", amount=numbers.money(money["saved"])))
    if money["roi"] is not None:
        ends = numbers.interval(*(numbers.ratio(money["roi"][end]) for end in ("low", "high")))
        roi = numbers.ratio(money["roi"]["estimate"])
        found.append(say("modules.roi", cost=numbers.money(money["cost"]), roi=roi, interval=ends))
    else:
        found.append(say("modules.no_margin" if document["is_revenue_based"] else "modules.no_cost"))
    if any(one["not_counted"] for one in document["modules"]):
        found.append(say("modules.not_counted"))
    return tuple(found)


def _modules(numbers: Numbers, document: Mapping[str, Json]) -> Table:
    say = numbers.words.say
    rows = []
    for one in document["modules"]:
        amount, roi = one["amount"], one["roi"]
        rows.append((
            plain(one["title"]), numbers.day(one["started_on"]),
            say("none") if amount is None else numbers.words.beside(
                numbers.money(amount["estimate"], is_signed=True), numbers.money_interval(amount)),
            say("not_counted") if one["cost"] is None else numbers.money(one["cost"]),
            say("none") if roi is None else numbers.words.beside(
                numbers.ratio(roi["estimate"]), numbers.interval(numbers.ratio(roi["low"]), numbers.ratio(roi["high"]))),
            say(f"modules.state.{one['state']}"),
        ))  # fmt: skip
    names = ("module", "started", "revenue" if document["is_revenue_based"] else "profit", "cost", "roi", "state")
    return _table(numbers, "modules", names, rows)


def _parts(numbers: Numbers, document: Mapping[str, Json], titles: Mapping[str, str]) -> tuple[Part, ...]:
    """Modules, joint parts and the rest in whole units of the currency, and their exact sum."""
    say, listed = numbers.words.say, numbers.words.listed
    rows = [(titles[one["name"]], one["amount"]) for one in document["modules"] if one["amount"] is not None]
    rows += [(say("modules.part.joint", names=listed(titles[name] for name in one["modules"])), one["amount"])
             for one in document["joint"]]
    rows.append((say("modules.part.rest"), document["rest"]))
    return summed(numbers, rows, document["money"]["amount"])


def summed(numbers: Numbers, rows: Sequence[tuple[str, Mapping[str, float]]], whole: Mapping[str, float]) -> tuple[Part, ...]:
    """Titled intervals and, last, the whole: printed in whole units of the currency, so that what is printed sums exactly."""
    amounts = adding_up([row["estimate"] for _, row in rows], whole["estimate"])
    found = [Part(title, amount, numbers.full_money(amount, is_signed=True), numbers.money_interval(row))
             for (title, row), amount in zip(rows, amounts, strict=True)]
    end = sum(amounts)
    title, text = numbers.words.say("modules.part.whole"), numbers.full_money(end, is_signed=True)
    return (*found, Part(title, end, text, numbers.money_interval(whole), True))


def _pairs(numbers: Numbers, document: Mapping[str, Json], titles: Mapping[str, str]) -> tuple[str, ...]:
    told = []
    for pair in document["pairs"]:
        one, other = (titles[name] for name in pair["modules"])
        key = f"modules.pair.{pair['code']}"
        if pair["code"] in ("joint", "too_few"):
            told.append(numbers.count(key, pair["n_weeks_apart"], one=one, other=other))
        else:
            told.append(numbers.words.say(key, one=one, other=other))
    return tuple(told)


def _steps(numbers: Numbers, document: Mapping[str, Json], titles: Mapping[str, str]) -> Table:
    """On which leads and weeks each figure was measured."""
    listed, say = numbers.words.listed, numbers.words.say
    rows = []
    for step in document["steps"]:
        change = step["relative"]
        rows.append((
            listed(titles[name] for name in step["modules"]), listed(titles[name] for name in step["zone"]),
            numbers.span(step["before"]["start"], step["before"]["end"]),
            numbers.span(step["after"]["start"], step["after"]["end"]) if step["after"]["n_weeks"] else say("none"),
            say("none") if change is None else numbers.words.beside(
                numbers.relative(change["estimate"]),
                numbers.interval(numbers.relative(change["low"]), numbers.relative(change["high"]))),
            say(f"modules.rule.{step['rule']}"),
        ))  # fmt: skip
    return _table(numbers, "steps", ("began", "zone", "before", "after", "change", "rule"), rows)


def _pool(numbers: Numbers, document: Mapping[str, Json], titles: Mapping[str, str]) -> Table:
    """The metrics each module is judged by."""
    listed = numbers.words.listed
    rows = [
        (listed(titles[name] for name in one["modules"]), metric_title(numbers, document, one["metric"]),
         listed(titles[name] for name in step["zone"]),
         numbers.value(one["unit"], one["expected"]), numbers.value(one["unit"], one["observed"]),
         numbers.words.beside(numbers.change(one["unit"], one["estimate"]), numbers.change_interval(one["unit"], one)))
        for step in document["steps"] for one in step["pool"]
    ]  # fmt: skip
    return _table(numbers, "pool", ("module", "metric", "zone", "expected", "observed", "difference"), rows)


def _table(numbers: Numbers, name: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    say = numbers.words.say
    return Table(name, say(f"modules.section.{name}"), "", tuple(say(f"modules.column.{one}") for one in columns), tuple(rows))


def _print_table(console: Console, table: Table) -> None:
    _print_title(console, table.title)
    grid = gridded(*table.columns)
    for row in table.rows:
        grid.add_row(*(glued(cell) for cell in row))
    console.print(grid)


def _print_title(console: Console, title: str) -> None:
    console.print()
    console.print(glued(title, style="bold underline"))
