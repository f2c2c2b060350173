"""The tables below the picture: money, what brought it, channels, branches and owners, every metric."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from pipeline.reports import costing, sentences, tiles
from pipeline.reports.numbers import LARGEST_RATE, Numbers, adding_up

Json = Any
# Rows of a breakdown that are shown at once; the others are folded away.
N_OPEN_ROWS = 12
BREAKDOWN_METRICS = ("booking_conversion", "no_show_rate", "average_check")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the money table. `is_total`: a sum or a result; `is_absent`: not counted, or no data."""

    title: str
    value: str
    interval: str | None = None
    note: str | None = None
    is_total: bool = False
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the benefit; `amount` is whole and all parts add up to the total exactly."""

    title: str
    amount: int
    text: str
    interval: str | None
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings; the first column names the row. `total` closes a column that sums to a stated figure."""

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_open: int = N_OPEN_ROWS
    total: str | None = None


def money_lines(numbers: Numbers, document: Mapping[str, Json]) -> tuple[Line, ...]:
    """Benefit, every cost line, net, ROI, payback, break-even; a line nobody filled in is "not counted", never 0."""
    return (*_benefit_lines(numbers, document), *_cost_lines(numbers, document), *_result_lines(numbers, document))


def parts(numbers: Numbers, document: Mapping[str, Json], dimension: str) -> tuple[Part, ...]:
    """What each factor, channel or branch brought, and their total; empty when nothing could be split."""
    rows = _split(document, dimension)
    if not rows:
        return ()
    found = [
        Part(
            part_name(numbers, dimension, row["key"]),
            amount,
            numbers.full_money(amount, is_signed=True),
            None if row["low"] is None else numbers.money_interval(row),
        )
        for row, amount in rows
    ]
    end = sum(amount for _, amount in rows)
    return (*found, Part(numbers.words.say("money.together"), end, numbers.full_money(end, is_signed=True), None, True))


def breakdowns(numbers: Numbers, document: Mapping[str, Json]) -> tuple[Table, ...]:
    """Channels, branches and owners: leads after the launch, three rates before and after, the benefit of each."""
    return tuple(_breakdown(numbers, document, dimension) for dimension in ("channel", "branch", "owner"))


def every_metric(numbers: Numbers, document: Mapping[str, Json]) -> Table:
    """All metrics on both sides with effect and interval."""
    say = numbers.words.say
    rows = []
    for name, metric in sorted(document["metrics"].items(), key=lambda item: _metric_order(item[0])):
        effect, title = metric["effect"], metric_title(numbers, document, name)
        rows.append(
            (
                title if metric["a_week"] is None else say("a_week", n=title),
                tiles.value(numbers, metric, "pre") or say("none"),
                tiles.expected(numbers, metric) if effect else say("none"),
                tiles.value(numbers, metric, "post") or say("none"),
                tiles.change(numbers, metric) if effect else say("none"),
                tiles.change_interval(numbers, metric) if effect else say("none"),
            )
        )
    columns = ("column.metric", "column.before", "column.without_launch", "column.after", "column.change", "column.interval")
    return Table("metrics", say("table.metrics"), say("table.metrics.note"), tuple(map(say, columns)), tuple(rows), len(rows))


def metric_title(numbers: Numbers, document: Mapping[str, Json], name: str) -> str:
    """A metric's name in reports, or the title its SQL file gives."""
    if numbers.words.has(f"metric.{name}"):
        return numbers.words.say(f"metric.{name}")
    return numbers.words.english(document["definitions"][name]["title"])


def _benefit_lines(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[Line]:
    say, money = numbers.words.say, document["money"] or {}
    for name in ("incremental_revenue", "incremental_profit"):
        amount = money.get(name)
        if amount is None:
            yield _absent(numbers, document, name)
            continue
        note = None
        if name == "incremental_profit":
            note = say("money.at_margin", margin=numbers.percent(money["margin"], digits=0))
        elif money["margin"] is None:
            note = say("money.no_margin")
        yield Line(say(f"money.{name}"), numbers.money(amount["estimate"], is_signed=True), numbers.money_interval(amount), note)
    saved = money.get("saved_hours")
    if saved is None:
        yield Line(say("money.saved_hours"), say("not_counted"), is_absent=True)
    else:
        note = say("money.saved_cash" if money["is_saved_cash"] else "money.saved_capacity")
        yield Line(say("money.saved_hours"), numbers.money(saved), note=note)
    if money.get("benefit") is not None:
        text = numbers.money(money["benefit"]["estimate"], is_signed=True)
        note = sentences.window(numbers, document)
        yield Line(say("money.benefit"), text, numbers.money_interval(money["benefit"]), note, is_total=True)


def _cost_lines(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[Line]:
    """The lines of the configuration as they were filled in, then what they come to over the window."""
    say, costs, money = numbers.words.say, document["launch"]["costs"], document["money"]
    by_name = costing.has_checklist(document)  # then a sum that was left out is nothing that is missing
    for name in ("one_off", "monthly", "usage_per_lead"):
        if by_name and costs[name] is None:
            continue
        yield _cost_line(numbers, f"cost.{name}", None if costs[name] is None else numbers.money(costs[name]))
    rate = costs["hour_rate"]
    for name in ("staff_hours_one_off", "staff_hours_monthly"):
        if by_name and costs[name] is None:
            continue
        hours = None if costs[name] is None else costing.hours(numbers, costs[name])
        if hours is not None and rate is not None:
            hours = say("cost.hours_at", hours=hours, rate=numbers.money(rate))
        is_unpriced = hours is not None and rate is None
        yield _cost_line(numbers, f"cost.{name}", hours, say("cost.no_rate") if is_unpriced else None)
    yield from (_line_of(said) for said in costing.cost_lines(numbers, document))
    if money is not None and money["cost"] is None:
        yield _absent(numbers, document, "cost", is_total=True)
    elif money is not None:
        yield Line(say("money.cost"), numbers.money(money["cost"]), note=sentences.window(numbers, document), is_total=True)


def _line_of(said: costing.Said) -> Line:
    return Line(said.title, said.value, said.interval, said.note, is_absent=said.is_absent)


def _absent(numbers: Numbers, document: Mapping[str, Json], figure: str, *, is_total: bool = False) -> Line:
    """A figure of money that is not there, and why."""
    say = numbers.words.say
    title = say("money.payback" if figure == "payback_months" else f"money.{figure}")
    return Line(title, say("none"), note=sentences.missing(numbers, document, figure), is_total=is_total, is_absent=True)


def _cost_line(numbers: Numbers, key: str, text: str | None, note: str | None = None) -> Line:
    title = numbers.words.say(key)
    if text is None:
        return Line(title, numbers.words.say("not_counted"), is_absent=True)
    return Line(title, text, note=note)


def _result_lines(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[Line]:
    say, money = numbers.words.say, document["money"] or {}
    net, roi = money.get("net"), money.get("roi")
    if net is None:
        yield _absent(numbers, document, "net", is_total=True)
    else:
        yield Line(say("money.net"), numbers.money(net["estimate"], is_signed=True), numbers.money_interval(net), is_total=True)
    if roi is None:
        yield _absent(numbers, document, "roi", is_total=True)
    else:
        ends = numbers.interval(numbers.ratio(roi["low"]), numbers.ratio(roi["high"]))
        yield Line(say("money.roi"), numbers.ratio(roi["estimate"]), ends, is_total=True)
    payback = sentences.payback(numbers, document)
    if payback is None:
        yield _absent(numbers, document, "payback_months", is_total=True)
    else:
        note = say("payback.p_never", p=numbers.probability(money["p_never_pays_back"]))
        yield Line(say("money.payback"), payback, sentences.payback_interval(numbers, document), note, is_total=True)
    yield from (_line_of(said) for said in costing.uncounted_lines(numbers, document))
    yield from _discounted_lines(numbers, money)
    yield from _threshold_lines(numbers, document)


def _discounted_lines(numbers: Numbers, money: Mapping[str, Json]) -> Iterator[Line]:
    """NPV and IRR over a year; a document written before they existed has neither."""
    say, npv, irr = numbers.words.say, money.get("npv"), money.get("irr")
    if npv is None:
        return
    figures = {"rate": numbers.percent(money["discount_rate"], digits=0), "months": numbers.whole(money["horizon_months"])}
    yield Line(
        say("money.npv"), numbers.money(npv["estimate"], is_signed=True), numbers.money_interval(npv), say("npv.note", **figures)
    )
    if irr is None or irr["estimate"] is None:
        yield Line(say("money.irr"), say("none"), note=say("missing.irr"), is_absent=True)
    else:
        yield Line(say("money.irr"), numbers.annual_rate(irr["estimate"]), _irr_range(numbers, irr), say("irr.note"))


def _irr_range(numbers: Numbers, irr: Mapping[str, Json]) -> str | None:
    """The range of an IRR; beyond what a rate still tells it is open, and then from the low end on."""
    if irr["low"] is None or irr["low"] > LARGEST_RATE:
        return None
    low = numbers.annual_rate(irr["low"])
    if irr["high"] is None or irr["high"] > LARGEST_RATE:
        return numbers.words.say("waiting.from", effect=low)
    return numbers.interval(low, numbers.annual_rate(irr["high"]))


def _threshold_lines(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[Line]:
    """What the launch has to bring, and the projection; each only where the document has it."""
    say, money = numbers.words.say, document["money"] or {}
    if money.get("break_even_monthly") is not None:
        effect = money["break_even_effect"]
        note = None if effect is None else say("break_even.effect", effect=numbers.relative(effect))
        yield Line(say("break_even.monthly"), numbers.money(money["break_even_monthly"]), note=note)
    if money.get("break_even_margin") is not None and money["cost"]:
        yield Line(say("break_even.margin"), numbers.percent(money["break_even_margin"]))
    within_year = document["probability"]["payback_within_12_months"]
    if within_year is not None:
        yield Line(say("probability.payback_within_year"), numbers.probability(within_year), note=say("probability.projection"))


def _split(document: Mapping[str, Json], dimension: str) -> list[tuple[Mapping[str, Json], int]]:
    """The contributions of a dimension with whole amounts that sum to the stated total; by size, chance last."""
    rows = [row for row in document["contributions"] if row["dimension"] == dimension]
    if not rows:
        return []
    total = _stated_total(document["money"] or {}, sum(row["estimate"] for row in rows))
    if dimension != "factor":  # factors stand in funnel order
        rows.sort(key=lambda row: (row["key"] == "", -abs(row["estimate"]), row["key"]))
    return list(zip(rows, adding_up([row["estimate"] for row in rows], total), strict=True))


def _stated_total(money: Mapping[str, Json], found: float) -> float:
    """The benefit, profit or revenue of the document that the parts come to: the printed total must be the same to the digit."""
    stated = [money[name]["estimate"] for name in ("benefit", "incremental_profit", "incremental_revenue") if money.get(name)]
    return next((amount for amount in stated if isclose(amount, found, rel_tol=1e-6)), found)


def part_name(numbers: Numbers, dimension: str, key: str) -> str:
    """A factor, channel or branch in words; the part that belongs to none is trend and chance."""
    if dimension == "factor":
        return numbers.words.say(f"factor.{key}")
    return numbers.words.name(dimension, key) if key else numbers.words.say("factor.rest")


def _breakdown(numbers: Numbers, document: Mapping[str, Json], dimension: str) -> Table:
    say = numbers.words.say
    brought = {row["key"]: amount for row, amount in _split(document, dimension)}
    rows = sorted(document["by"][dimension], key=lambda row: (-_leads(row), row["key"]))
    metrics = [name for name in BREAKDOWN_METRICS if any(_pair(row, name) != (None, None) for row in rows)]
    columns = [say(f"column.{dimension}"), say("column.leads"), *(say(f"metric.{name}") for name in metrics)]
    if brought:
        is_profit = bool(document["money"] and document["money"]["incremental_profit"])
        columns.append(say("column.profit" if is_profit else "column.revenue"))
    has_post, body = bool(document["periods"]["post"]["n_weeks"]), []
    for row in rows:
        cells = [row["title"] or row["key"], numbers.whole(_leads(row)) if has_post else say("none")]
        cells[0] = numbers.words.name(dimension, cells[0])
        cells += [_before_after(numbers, document["metrics"][name]["unit"], *_pair(row, name)) for name in metrics]
        if brought:
            amount = brought.get(row["key"])
            cells.append(say("none") if amount is None else numbers.money(amount, is_signed=True))
        body.append(tuple(cells))
    total = None
    if brought:
        whole = {"column": columns[-1], "total": numbers.money(sum(brought.values()), is_signed=True)}
        if "" in brought:
            total = say("table.total", **whole, rest=numbers.money(brought[""], is_signed=True))
        else:
            total = say("table.total.whole", **whole)
    return Table(dimension, say(f"table.{dimension}"), say("table.note"), tuple(columns), tuple(body), total=total)


def _leads(row: Mapping[str, Json]) -> float:
    side = row["metrics"]["leads"]["post"]
    return float(side["value"] or 0) if side else 0.0


def _pair(row: Mapping[str, Json], name: str) -> tuple[float | None, float | None]:
    sides = row["metrics"].get(name, {"pre": None, "post": None})
    pre, post = (None if sides[side] is None else sides[side]["value"] for side in ("pre", "post"))
    return pre, post


def _before_after(numbers: Numbers, unit: str, pre: float | None, post: float | None) -> str:
    before, after = (numbers.words.say("none") if value is None else numbers.value(unit, value) for value in (pre, post))
    return f"{before} → {after}"


def _metric_order(name: str) -> tuple[int, str]:
    known: Sequence[str] = (
        "leads", "qualified", "booking_conversion", "show_rate", "no_show_rate", "visit_conversion", "paid_conversion",
        "average_check", "revenue", "gross_profit", "repeat_visits", "time_to_booking",
    )  # fmt: skip
    return (known.index(name) if name in known else len(known), name)
