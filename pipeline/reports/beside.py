"""What stands beside the money: support and the efficiency pool, as sentences, lines and a table each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Line, Table
from pipeline.reports.words import plain

Json = Any
VALUES = ("value", "median", "p90")


@dataclass(frozen=True, slots=True)
class Beside:
    """One section. `lines` are money of its own, never part of the launch's."""

    name: str
    title: str
    told: tuple[str, ...]
    lines: tuple[Line, ...]
    rows: Table
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a figure: of a duration there are two. The numbers are in the figure's unit, of a count a week's."""

    key: str
    title: str
    unit: str
    pre: float | None
    post: float | None
    is_never: tuple[bool, bool]  # before, after: so many durations have not ended
    change: Mapping[str, float] | None
    owner: str = ""
    group: str = ""
    baseline: float | None = None


def support(numbers: Numbers, document: Mapping[str, Json]) -> Beside | None:
    """None when no request to support is known."""
    found = document.get("support")
    if not found:
        return None
    say = numbers.words.say
    columns = tuple(map(say, ("column.metric", "column.before", "column.after", "column.change", "column.interval")))
    rows = tuple((row.title, *_cells(numbers, row)) for row in figure_rows(numbers, found))
    told = tuple(_support_told(numbers, found))
    notes = (say("support.note.beside"), say("support.note.observed"))
    table = Table("support", say("section.support"), "", columns, rows, len(rows))
    return Beside("support", say("section.support"), told, tuple(support_lines(numbers, found)), table, notes)


def efficiency(numbers: Numbers, document: Mapping[str, Json]) -> Beside | None:
    """None when the launch has no pool."""
    found = document.get("efficiency")
    if not found:
        return None
    say = numbers.words.say
    names = ("metric", "figure_group", "answers", "baseline", "before", "after", "change", "interval")
    columns = tuple(say(f"column.{name}") for name in names)
    rows = tuple(
        (row.title, row.group, row.owner, value(numbers, row.unit, row.baseline), *_cells(numbers, row))
        for row in figure_rows(numbers, found)
    )
    title, told = say("section.efficiency"), [say("efficiency.told")]
    if not found.get("has_history", True):
        told.append(say("efficiency.no_history"))
    table = Table("efficiency", title, "", columns, rows, len(rows))
    return Beside("efficiency", title, tuple(told), (), table, (say("efficiency.note"),))


def figure_rows(numbers: Numbers, found: Mapping[str, Json]) -> Iterator[Row]:
    """The rows of a section's table."""
    say, weeks = numbers.words.say, found["weeks"]
    for key, figure in found["metrics"].items():
        title = title_of(numbers, found, key)
        per = {side: weeks[side]["n"] if figure["unit"] == "requests" else 1 for side in ("pre", "post")}
        names = [name for name in VALUES if name in figure["pre"]]
        for name in names:
            pre, post = (figure[side][name] for side in ("pre", "post"))
            is_never = tuple(figure[side][name] is None and bool(figure[side].get("n_open")) for side in ("pre", "post"))
            given = figure.get("baseline") or {"value": None, "from": "config"}
            baseline = pre if given["from"] == "pre" else given["value"] if name != "p90" else None
            yield Row(
                key=key if len(names) == 1 else f"{key}.{name}",
                title=title if len(names) == 1 else say(f"beside.{name}", metric=title),
                unit=figure["unit"],
                pre=None if pre is None or not per["pre"] else pre / per["pre"],
                post=None if post is None or not per["post"] else post / per["post"],
                is_never=(is_never[0], is_never[1]),
                change=figure["changes"].get(name),
                owner=numbers.words.english(plain(figure["owner"])) if figure.get("owner") else "",
                group=say(f"efficiency.group.{figure['group']}") if figure.get("group") else "",
                baseline=baseline,
            )  # fmt: skip


def definitions(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[tuple[str, str, str]]:
    """Title, definition and SQL name of every figure of the pools, each once."""
    told = set()
    for pool in ("support", "efficiency"):
        for found in (document.get(pool) or {"definitions": {}})["definitions"].values():
            if found["sql"] not in told:
                told.add(found["sql"])
                english = numbers.words.english
                yield english(found["title"]), english(found["definition"]), found["sql"].removesuffix(".sql")


def support_lines(numbers: Numbers, found: Mapping[str, Json]) -> Iterator[Line]:
    """Benefit by part, cost, net and ROI of support."""
    say, retained, automation, money = numbers.words.say, found["retained"], found["automation"], found["money"]
    note = numbers.count("support.note.revenue", retained["n_dialogues"])
    yield Line(say("support.line.revenue"), numbers.money(retained["revenue"]), note=note)
    name = "profit" if retained["profit"] else "incremental_revenue"
    title = say("support.line.retained" if name == "profit" or not retained[name] else "support.line.incremental")
    if retained[name] is None:
        yield Line(title, say("not_counted"), note=say(f"support.missing.{retained['missing']}"), is_absent=True)
    else:
        amount = numbers.money(retained[name]["estimate"], is_signed=True)
        note = numbers.count("support.note.retained", found["return_days"])
        yield Line(title, amount, numbers.money_interval(retained[name]), note)
    yield _automation(numbers, automation)
    results = {"benefit": "money.benefit", "cost": "support.line.cost", "net": "money.net", "roi": "support.line.roi"}
    for name, key in results.items():
        yield _result(numbers, name, say(key), money)


def _automation(numbers: Numbers, found: Mapping[str, Json]) -> Line:
    say = numbers.words.say
    title = say("support.line.automation")
    if found["hours"] is None:
        return Line(title, say("not_counted"), note=say(f"support.missing.{found['missing']}"), is_absent=True)
    hours = say("unit.hours", n=numbers.decimal(found["hours"]))
    key = "support.note.automation" if found["has_baseline"] else "support.note.no_baseline"
    note = numbers.count(key, found["n_beyond"], hours=hours)
    if found["saving"] is None:
        return Line(title, hours, note=say(f"support.missing.{found['missing']}"))
    if not found["is_cash"]:
        note = numbers.words.say("format.semicolon").join((note, say("support.note.capacity")))
    return Line(title, numbers.money(found["saving"], is_signed=True), note=note)


def _result(numbers: Numbers, name: str, title: str, money: Mapping[str, Json]) -> Line:
    say, amount = numbers.words.say, money[name]
    if amount is None:
        reason = say(f"support.missing.{money['missing']}") if money["missing"] else None
        return Line(title, say("none"), note=reason, is_total=True, is_absent=True)
    if name == "cost":
        return Line(title, numbers.money(amount), is_total=True)
    if name == "roi":
        text = numbers.ratio(amount["estimate"])
        ends = numbers.interval(numbers.ratio(amount["low"]), numbers.ratio(amount["high"]))
    else:
        text, ends = numbers.money(amount["estimate"], is_signed=True), numbers.money_interval(amount)
    return Line(title, text, ends if amount["low"] < amount["high"] else None, is_total=True)


def _support_told(numbers: Numbers, found: Mapping[str, Json]) -> Iterator[str]:
    say, weeks, money = numbers.words.say, found["weeks"], found["money"]
    first, last = (pick(source[end] for source in found["sources"]) for pick, end in ((min, "first_on"), (max, "last_on")))
    days = say("format.span", first=numbers.day(first), last=numbers.day(last))
    yield numbers.count("support.told", found["n_requests"], span=days)
    yield say("support.weeks", **{side: numbers.whole(weeks[side]["n"]) for side in ("pre", "post")})
    roi = money["roi"]
    if roi is None:
        yield say("support.no_roi", reason=say(f"support.missing.{money['missing']}"))
    elif roi["low"] < roi["high"]:
        ends = numbers.interval(numbers.ratio(roi["low"]), numbers.ratio(roi["high"]))
        yield say("support.roi", roi=numbers.ratio(roi["estimate"]), interval=ends)
    else:
        yield say("support.roi_point", roi=numbers.ratio(roi["estimate"]))
    if money["not_counted"]:
        yield say("support.left_out", parts=numbers.words.listed(say(f"support.part.{part}") for part in money["not_counted"]))
    if found["n_unpromised"]:
        yield numbers.count("support.unpromised", found["n_unpromised"])


def title_of(numbers: Numbers, found: Mapping[str, Json], key: str) -> str:
    """What a figure of a section is called: by its SQL file, or by the action it follows."""
    figure = found["metrics"][key]
    if figure.get("action"):
        return numbers.words.say("efficiency.action", action=plain(figure["action"]), days=numbers.whole(figure["days"]))
    title = numbers.words.english(found["definitions"][key]["title"])
    return numbers.words.say("a_week", n=title) if figure["unit"] == "requests" else title


def _cells(numbers: Numbers, row: Row) -> tuple[str, str, str, str]:
    """Before, after, what changed, and its interval; without one it is an observation."""
    say = numbers.words.say
    sides = []
    for amount, is_never in zip((row.pre, row.post), row.is_never, strict=True):
        sides.append(say("beside.never") if is_never else value(numbers, row.unit, amount))
    if row.change is None:
        apart = None if row.pre is None or row.post is None else row.post - row.pre
        return sides[0], sides[1], say("none") if apart is None else _changed(numbers, row.unit, apart), say("beside.observed")
    low, high = (_changed(numbers, row.unit, row.change[end]) for end in ("low", "high"))
    return sides[0], sides[1], _changed(numbers, row.unit, row.change["estimate"]), numbers.interval(low, high)


def value(numbers: Numbers, unit: str, amount: float | None) -> str:
    """A figure in its unit."""
    if amount is None:
        return numbers.words.say("none")
    match unit:
        case "minutes":
            return numbers.duration(amount)
        case "nps_each":
            return numbers.decimal(amount * 100)
        case "times_each":
            return numbers.decimal(amount, digits=2)
    return numbers.value(unit, amount)


def _changed(numbers: Numbers, unit: str, amount: float) -> str:
    match unit:
        case "minutes":
            return numbers.duration(amount, is_signed=True)
        case "nps_each":
            return numbers.decimal(amount * 100, is_signed=True)
        case "times_each":
            return numbers.decimal(amount, digits=2, is_signed=True)
    return numbers.change(unit, amount)
