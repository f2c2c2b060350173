"""The sheets that only state: summary, weeks, channels, costs, cells, definitions. Figures are numbers, not texts."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from pipeline.reports import cost_sheets, costing, sentences, tables
from pipeline.reports.cells import Book, Kind, Sheet, Value
from pipeline.reports.own import own_metrics
from pipeline.reports.own_sheet import funnel_rows
from pipeline.reports.page import Page
from pipeline.reports.words import plain

Json = Any
Document = Mapping[str, Json]
TILE_METRICS = ("leads", "booking_conversion", "no_show_rate", "average_check")
MONEY_RESULTS = ("incremental_revenue", "incremental_profit", "net", "roi", "payback_months")
_KINDS: dict[str, Kind] = {
    "share": "share", "money": "money", "money_each": "money", "minutes_each": "minutes", "leads": "whole",
    "roi": "share", "payback_months": "months",
}  # fmt: skip
CHART_ROWS = 21  # of 20 pixels, above the weeks
# Colour of a week in the chart, by its side.
_SIDES = {"pre": "#8a94a3", "left_out": "#8a94a3", "washout": "#c9780a", "post": "#0b5cad"}


def summary(book: Book, document: Document, page: Page) -> None:
    """The verdict with its reason, the key figures on one scale each, and whether the data can be trusted."""
    sheet, say, columns = book.sheet("summary", is_wide=True), book.numbers.words.say, 5
    sheet.line(page.title, "title")
    sheet.line(page.overline)
    for fact in page.facts:
        sheet.line(fact, "note", columns=columns)
    sheet.row += 1
    sheet.line(page.verdict.word, "verdict")
    sheet.line(page.verdict.reason, columns=columns)
    for detail in (*page.verdict.details, *(guard.text for guard in page.guards), page.verdict.rule):
        sheet.line(detail, "note", columns=columns)
    if page.caution:
        sheet.line(page.caution, columns=columns)
    sheet.row += 1
    names = ("metric", "now", "before", "without_launch", "change")
    heads = [say(f"column.{name}") for name in names]
    sheet.heads([*heads, *(say(f"sheet.{name}") for name in ("relative", "low", "high", "note"))], texts=(8,))
    for name in (*TILE_METRICS, *own_metrics(document)):
        _metric_row(sheet, document, page, name)
    for name in MONEY_RESULTS:
        _money_row(sheet, document, name)
    sheet.row += 1
    sheet.line(say("sheet.summary.note"), "note", columns=columns)
    for line in page.elsewhere:
        sheet.line(line, "note", columns=columns)
    funnel_rows(sheet, document)
    sheet.row += 1
    sheet.line(page.trust, "section")
    for found in page.findings:
        sheet.line(" · ".join(part for part in (found.text, found.detail, found.points) if part), columns=columns)
    if not page.findings:
        sheet.line(say("trust.clean"), columns=columns)
    sheet.finish(least=12, widths={8: 60})


def _metric_row(sheet: Sheet, document: Document, page: Page, name: str) -> None:
    """A metric now, before, as expected, and its effect; counts and sums are those of a mean week."""
    metric = document["metrics"][name]
    effect, kind = metric["effect"], _KINDS.get(metric["unit"], "decimal")
    tile = next(tile for tile in (*page.tiles, *page.own) if tile.name == name)
    change_kind: Kind = "points" if kind == "share" else kind
    per = (1 if metric["a_week"] is None else effect["n_post_weeks"]) if effect else 1
    scale = (100 if kind == "share" else 1) / per
    none = sheet.book.numbers.words.say("none")
    sheet.text(0, tile.title, "name")
    for column, side in ((1, "post"), (2, "pre")):
        value = _side(metric, side)
        sheet.number(column, none if value is None else value, kind)
    if effect:
        sheet.number(3, effect["counterfactual"] / per, kind)
        sheet.number(4, effect["estimate"] * scale, change_kind, is_signed=True)
        if effect["relative"]:
            sheet.number(5, effect["relative"]["estimate"], "share", is_signed=True)
        for column, end in ((6, "low"), (7, "high")):
            sheet.number(column, effect[end] * scale, change_kind, is_signed=True)
    sheet.text(8, "; ".join(tile.notes), "aside")
    sheet.row += 1


def _money_row(sheet: Sheet, document: Document, name: str) -> None:
    """A result over the whole period with its interval; where it is absent, why."""
    numbers = sheet.book.numbers
    say, kind = numbers.words.say, _KINDS.get(name, "money")
    found = (document["money"] or {}).get(name)
    sheet.text(0, say("money.payback" if name == "payback_months" else f"money.{name}"), "name")
    if found is None:
        sheet.text(1, say("none"))
        sheet.text(8, sentences.missing(numbers, document, name), "aside")
    else:
        for column, end in ((1, "estimate"), (6, "low"), (7, "high")):
            sheet.number(column, say("payback.never") if found[end] is None else found[end], kind)
        sheet.text(8, sentences.window(numbers, document) if name != "payback_months" else "", "aside")
    sheet.row += 1


def _side(metric: Mapping[str, Json], side: str) -> float | None:
    found: float | None = (metric[side] or {"value": None})["value"] if metric["a_week"] is None else metric["a_week"][side]
    return found


def weekly(book: Book, document: Document, page: Page) -> None:
    """Every week with its visits, what was expected of them, and a chart that Excel draws."""
    sheet, say = book.sheet("weekly", is_wide=True), book.numbers.words.say
    rows, per_week = document["weekly"], {name: metric["per_week"] for name, metric in document["metrics"].items()}
    if rows:
        sheet.row = CHART_ROWS
    head = sheet.row
    heads = [say(f"column.{name}") for name in ("week", "side", "leads", "visits", "expected")]
    sheet.heads([*heads, say("sheet.band_low"), say("sheet.band_high"), say("metric.revenue")], texts=(1,))
    for n, row in enumerate(rows):
        sheet.day(0, row["week"])
        sheet.text(1, say(f"side.{row['side']}"), "label")
        sheet.number(2, row["leads"], "whole")
        sheet.number(3, row["visited"], "whole")
        for column, end in ((4, "estimate"), (5, "low"), (6, "high")):
            sheet.number(column, row["expected"][end] if row["expected"] else None, "decimal")
        sheet.number(7, per_week["revenue"]["total"][n], "money")
        sheet.row += 1
    if rows:
        sheet.page.insert_chart(0, 0, _weekly_chart(sheet, document, page), {"x_offset": 4, "y_offset": 4})
        sheet.page.autofilter(head, 0, head + len(rows), 7)
    sheet.finish(frozen=(0, 1), repeated=head, least=12)


def _weekly_chart(sheet: Sheet, document: Document, page: Page) -> Any:
    """Visits, coloured by side of the launch, and the expectation between its two ends."""
    book, rows = sheet.book, document["weekly"]
    say, first, end = book.numbers.words.say, CHART_ROWS + 1, CHART_ROWS + len(rows)
    chart = book.workbook.add_chart({"type": "line"})
    points = [{"line": {"color": _SIDES[row["side"]], "width": 2.25}} for row in rows]
    lines: list[tuple[int, str, dict[str, Any]]] = [(3, say("chart.fact"), {"line": {"color": _SIDES["post"], "width": 2.25},
                                                                             "points": points})]  # fmt: skip
    if any(row["expected"] for row in rows):
        thin = {"line": {"color": "#a35200", "width": 1, "dash_type": "round_dot"}}
        middle = {"line": {"color": "#a35200", "width": 2, "dash_type": "dash"}}
        lines += [(4, say("chart.expected"), middle), (5, say("sheet.band_low"), thin), (6, say("sheet.band_high"), thin)]
    for column, title, look in lines:
        cells = {"categories": [sheet.name, first, 0, end, 0], "values": [sheet.name, first, column, end, column]}
        chart.add_series({**cells, "name": title, **look})
    title = _chart_text(f"{say('section.weekly')} · {page.launch_label}")
    chart.set_title({"name": title, "name_font": {"size": 12}, "overlay": False})
    chart.set_x_axis({"date_axis": True, "num_format": book.day_format(), "major_unit": 3, "major_unit_type": "months"})
    chart.set_y_axis({"min": 0, "major_gridlines": {"visible": True, "line": {"color": "#e1e5ea"}}})
    chart.set_legend({"position": "bottom"})
    chart.show_blanks_as("gap")
    chart.set_size({"width": 860, "height": 20 * CHART_ROWS - 16})
    return chart


def channels(book: Book, document: Document) -> None:
    """Channels, branches and employees: leads, rates on both sides, and what each brought; the last column sums to the total."""
    sheet, say = book.sheet("channels", is_wide=True), book.numbers.words.say
    for dimension in ("channel", "branch", "owner"):
        sheet.line(say(f"table.{dimension}"), "section")
        _breakdown(sheet, document, dimension)
        sheet.row += 1
    cost_sheets.ad_rows(sheet, document)
    sheet.line(say("sheet.channels.note"), "note", columns=5)
    sheet.finish(frozen=(0, 1))


def _breakdown(sheet: Sheet, document: Document, dimension: str) -> None:
    numbers = sheet.book.numbers
    say, rows = numbers.words.say, {row["key"]: row for row in document["by"][dimension]}
    brought = {row["key"]: row for row in document["contributions"] if row["dimension"] == dimension}
    names = [name for name in tables.BREAKDOWN_METRICS if name in document["metrics"]]
    heads = [say(f"column.{dimension}"), say("column.leads")]
    heads += [say(f"sheet.{side}", metric=say(f"metric.{name}")) for name in names for side in ("side_before", "side_after")]
    if brought:
        is_profit = bool(document["money"] and document["money"]["incremental_profit"])
        heads += [say("column.profit" if is_profit else "column.revenue"), say("sheet.low"), say("sheet.high")]
    sheet.heads(heads)
    first, end = sheet.row, 2 + 2 * len(names)
    keys = sorted({*rows, *brought}, key=lambda key: (key == "", -_leads(rows.get(key)), key))
    for key in keys:
        row = rows.get(key)
        title = tables.part_name(numbers, dimension, key) if row is None else numbers.words.name(dimension, row["title"] or key)
        sheet.text(0, title, "name")
        sheet.number(1, _leads(row) if row else None, "whole")
        for n, name in enumerate(names):
            kind = _KINDS[document["metrics"][name]["unit"]]
            for side, column in (("pre", 2 + 2 * n), ("post", 3 + 2 * n)):
                found = row["metrics"].get(name, {}).get(side) if row else None
                sheet.number(column, found["value"] if found else None, kind)
        if key in brought:
            for column, bound in ((end, "estimate"), (end + 1, "low"), (end + 2, "high")):
                sheet.number(column, brought[key][bound], "money", is_signed=True)
        sheet.row += 1
    if not keys:
        sheet.line(say("table.empty"), "note")
    elif brought:
        letter = _letter(end)
        sheet.text(0, say("money.together"), "total")
        total = sum(row["estimate"] for row in brought.values())
        sheet.formula(end, f"SUM({letter}{first + 1}:{letter}{sheet.row})", total, "money", "total", is_signed=True)
        sheet.row += 1


def _leads(row: Mapping[str, Json] | None) -> float:
    side = row["metrics"]["leads"]["post"] if row else None
    return float(side["value"] or 0) if side else 0.0


def costs(book: Book, document: Document) -> None:
    """Every cost line as it was filled in; one that was not is named so. Then what they come to over the period."""
    sheet, say = book.sheet("costs"), book.numbers.words.say
    given, money = document["launch"]["costs"], document["money"]
    sheet.heads([say("sheet.line"), say("sheet.value"), say("sheet.note")], texts=(2,))
    lines: list[tuple[str, str, Kind]] = [
        ("cost.one_off", "one_off", "money"), ("cost.monthly", "monthly", "money"),
        ("cost.usage_per_lead", "usage_per_lead", "money_exact"), ("cost.staff_hours_one_off", "staff_hours_one_off", "hours"),
        ("cost.staff_hours_monthly", "staff_hours_monthly", "hours"), ("sheet.hour_rate", "hour_rate", "money_exact"),
    ]  # fmt: skip
    by_name = costing.has_checklist(document)
    for title, name, kind in lines:
        if by_name and given[name] is None:
            continue
        sheet.text(0, say(title), "name")
        sheet.number(1, say("not_counted") if given[name] is None else given[name], kind)
        if name.startswith("staff_hours") and given[name] is not None and given["hour_rate"] is None:
            sheet.text(2, say("cost.no_rate"), "aside")
        sheet.row += 1
    cost_sheets.cost_rows(sheet, document)
    sheet.text(0, say("money.cost"), "total")
    if money is None or money["cost"] is None:
        sheet.text(1, say("none"), "total")
        sheet.text(2, sentences.missing(book.numbers, document, "cost"), "aside")
    else:
        sheet.number(1, money["cost"], "money", "total")
        sheet.text(2, sentences.window(book.numbers, document), "aside")
    cost_sheets.uncounted_rows(sheet, document)
    sheet.row += 2
    sheet.text(0, say("sheet.saved_hours"), "name")
    saved = given["saved_hours_monthly"]
    sheet.number(1, say("not_counted") if saved is None else saved, "hours")
    if saved is not None:
        sheet.text(2, say("money.saved_cash" if given["is_saved_cash"] else "money.saved_capacity"), "aside")
    sheet.row += 2
    sheet.line(say("sheet.costs.note"), "note", columns=3)
    sheet.finish(frozen=(1, 0), repeated=0, least=16, widths={2: 44})


def data(book: Book, document: Document) -> None:
    """The cells everything was computed from: one row a week, then one row a channel, branch and employee before and after."""
    sheet, say = book.sheet("data", is_wide=True), book.numbers.words.say
    # Sorted: a document read back from the warehouse has its keys in another order, and must give the same bytes.
    fields = [(name, field) for name, metric in document["metrics"].items() for field in sorted(metric["per_week"])]
    heads = [say("sheet.group"), say("column.week"), say("sheet.name"), say("column.side")]
    titles = {name: tables.metric_title(book.numbers, document, name) for name in document["metrics"]}
    sheet.heads([*heads, *(say(f"sheet.field.{field}", metric=titles[name]) for name, field in fields)], texts=(1, 2, 3))
    for n, row in enumerate(document["weekly"]):
        sheet.text(0, say("column.week"))
        sheet.day(1, row["week"])
        sheet.text(3, say(f"side.{row['side']}"), "label")
        for column, (name, field) in enumerate(fields, start=4):
            sheet.number(column, document["metrics"][name]["per_week"][field][n], "whole")
        sheet.row += 1
    for dimension, key, side, found in _groups(book, document):
        sheet.text(0, say(f"column.{dimension}"))
        sheet.text(2, key, "label")
        sheet.text(3, say(f"side.{side}"), "label")
        for column, (name, field) in enumerate(fields, start=4):
            sheet.number(column, ((found.get(name) or {}).get(side) or {}).get(field), "whole")
        sheet.row += 1
    sheet.page.autofilter(0, 0, max(sheet.row - 1, 1), 3 + len(fields))
    sheet.finish(frozen=(1, 4), repeated=0, least=12)


def _groups(book: Book, document: Document) -> Iterator[tuple[str, str, str, Mapping[str, Json]]]:
    for dimension in ("channel", "branch", "owner"):
        for row in document["by"][dimension]:
            title = book.numbers.words.name(dimension, row["title"] or row["key"])
            for side in ("pre", "post"):
                yield dimension, title, side, row["metrics"]


def definitions(book: Book, document: Document, page: Page) -> None:
    """What each term means and which SQL file it comes from; periods, rules, and where the figures came from."""
    sheet, say = book.sheet("definitions"), book.numbers.words.say
    sheet.heads([say("sheet.term"), say("sheet.definition"), "SQL"], texts=(1, 2))
    for title, definition, sql in page.definitions:
        sheet.text(0, title, "name")
        sheet.text(1, definition, "text")
        sheet.text(2, f"{sql}.sql" if sql else "", "label")
        sheet.row += 1
    sheet.row += 1
    sheet.line(say("section.rules"), "section")
    for _, word, rule in page.rules:
        _pair(sheet, word, rule)
    sheet.row += 1
    sheet.line(say("section.method"), "section")
    for name in ("pre", "washout", "post"):
        found = document["periods"][name]
        if found["n_weeks"]:
            last = date.fromisoformat(found["end"]) - timedelta(days=1)
            for key, day in (("sheet.first_day", found["start"]), ("sheet.last_day", last.isoformat())):
                sheet.text(0, say(key, period=say(f"side.{name}")), "name")
                sheet.day(1, day, "label")
                sheet.row += 1
    for sentence in page.method:
        sheet.text(1, sentence, "text")
        sheet.row += 1
    sheet.row += 1
    sheet.line(say("section.provenance"), "section")
    for title, value in (*page.provenance, (say("sheet.seen_until"), document["seen_until"])):
        _pair(sheet, title, value)
    for source in document["provenance"]["sources"]:
        counts = {name: book.numbers.whole(source[name]) for name in ("n_leads", "n_deals", "n_stage_changes")}
        _pair(sheet, say("column.source"), say("sheet.source", source=plain(source["source"]), **counts))
    _pair(sheet, "", say("provenance.sql_hint"))
    sheet.finish(frozen=(1, 1), repeated=0, least=16, widths={1: 80})


def _pair(sheet: Sheet, title: str, value: Value) -> None:
    sheet.text(0, title, "name")
    sheet.text(1, str(value), "text")
    sheet.row += 1


def _chart_text(text: str) -> str:
    """A text that a chart shows as it is: `x!A1` in a name would be read as a reference to cells."""
    return text.replace("!", "!\u2060")


def _letter(column: int) -> str:
    """A column's letter; no sheet with formulas is wider than the alphabet."""
    return chr(ord("A") + column)
