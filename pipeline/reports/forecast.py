"""The forecast in words, tables and a fan: what the launch comes to in 6 and 12 months, and how its customers come back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.reports import sentences
from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Line, Table

Json = Any
BANDS = (("0.025", "0.975"), ("0.1", "0.9"), ("0.25", "0.75"))  # 95, 80, 50 %, the widest first


@dataclass(frozen=True, slots=True)
class ForecastFan:
    """Cumulative net at month 0, 1 ...: the forecast's middle and ranges, and the middle of an effect that does not weaken."""

    middle: tuple[float, ...]
    bands: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    steady: tuple[float, ...]
    measured: float
    payback: float | None


@dataclass(frozen=True, slots=True)
class Foretold:
    """The section: sentences, the figures in short (none without a net), the fan, and the tables that have rows."""

    is_proven: bool
    told: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    fan: ForecastFan | None
    tables: tuple[Table, ...]


def foretold(numbers: Numbers, document: Mapping[str, Json]) -> Foretold | None:
    """None in a document without a forecast: an older one, or one that measured the rest only."""
    found = document.get("forecast")
    if not found:
        return None
    made = (_launch(numbers, found), _value(numbers, found), _tried(numbers, found))
    shown = tuple(table for table in made if table is not None)
    told, lines, notes = tuple(_told(numbers, document)), tuple(_lines(numbers, found)), tuple(_notes(numbers, found))
    return Foretold(bool(found["launch"] and found["launch"]["is_proven"]), told, lines, notes, _fan(found), shown)


def expected(launch: Mapping[str, Json]) -> Json:
    """The line that is the forecast: the one that fades."""
    return next(line for line in launch["lines"] if line["half_life_months"] is not None)


def unweakened(launch: Mapping[str, Json]) -> Json:
    """The line on which the effect stays as it was measured."""
    return next(line for line in launch["lines"] if line["half_life_months"] is None)


def line_title(numbers: Numbers, line: Mapping[str, Json]) -> str:
    """`эффект не ослабеет`, `прогноз`"""
    return numbers.words.say("forecast.line.steady" if line["half_life_months"] is None else "forecast.line.fading")


def _told(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[str]:
    found = document["forecast"]
    say, launch, repeats = numbers.words.say, found["launch"], found["repeats"]
    if launch is None:
        yield say(f"forecast.missing.{found['missing']}")
    else:
        if not launch["is_proven"]:
            yield say("forecast.not_proven")
        yield from _net(numbers, launch)
        yield from _payback(numbers, expected(launch))
        yield from beside(numbers, document)
        if launch["no_repeats"] in ("in_total", "no_new_customers"):
            yield say(f"forecast.without.{launch['no_repeats']}")
    if repeats["missing"] is not None:
        yield say(f"forecast.repeats.{repeats['missing']}", customers=numbers.whole(repeats["n_customers"]),
                  visits=numbers.whole(repeats["n_visits"]), unknown=numbers.whole(repeats["n_unknown"]))  # fmt: skip


def _net(numbers: Numbers, launch: Mapping[str, Json]) -> Iterator[str]:
    soon, at = expected(launch)["at"]
    if at["net"] is None:
        yield numbers.words.say("forecast.no_cost")
        return
    steady = unweakened(launch)["at"][-1]["net"]["estimate"]
    yield numbers.words.say(
        "forecast.told", sooner=numbers.whole(soon["months"]), soon=numbers.money(soon["net"]["estimate"], is_signed=True),
        soon_interval=numbers.money_interval(soon["net"]), months=numbers.whole(at["months"]),
        net=numbers.money(at["net"]["estimate"], is_signed=True), interval=numbers.money_interval(at["net"]),
        steady=numbers.money(steady, is_signed=True),
    )  # fmt: skip


def _lines(numbers: Numbers, found: Mapping[str, Json]) -> Iterator[Line]:
    """Net by month 6 and 12 with its range and ROI; payback."""
    say, launch = numbers.words.say, found["launch"]
    if launch is None or expected(launch)["net"] is None:
        return
    line = expected(launch)
    for at in line["at"]:
        title, said = say("forecast.line.net", months=numbers.whole(at["months"])), [numbers.money_interval(at["net"])]
        if at["roi"] is not None:
            said.append(f"{say('column.roi_by_then')} {numbers.ratio(at['roi']['estimate'])}")
        yield Line(title, numbers.money(at["net"]["estimate"], is_signed=True), " · ".join(said))
    months = numbers.whole(line["at"][-1]["months"])
    back = line["payback_months"]
    if back is not None:
        value = numbers.months(back["estimate"]) if back["estimate"] is not None else say("forecast.line.later", months=months)
        risk = say("forecast.line.risk", months=months, risk=numbers.probability(line["p_not_within"]))
        yield Line(say("money.payback"), value, note=risk)


def _payback(numbers: Numbers, line: Mapping[str, Json]) -> Iterator[str]:
    back, never = line["payback_months"], line["p_not_within"]
    if back is None:
        return
    figures = {"months": numbers.whole(len(line["net"]["0.5"]) - 1), "risk": numbers.probability(never)}
    if back["estimate"] is None:
        yield numbers.words.say("forecast.payback.late", **figures)
    else:
        yield numbers.words.say("forecast.payback", payback=numbers.decimal(back["estimate"]), **figures)


def beside(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[str]:
    """Why the payback of the verdict is another one; nothing unless both are known."""
    stated = sentences.payback(numbers, document)
    if stated is not None and expected(document["forecast"]["launch"])["payback_months"] is not None:
        yield numbers.words.say("forecast.beside", payback=stated)


def _notes(numbers: Numbers, found: Mapping[str, Json]) -> Iterator[str]:
    say, launch, repeats = numbers.words.say, found["launch"], found["repeats"]
    if launch is not None:
        fastest = found.get("fastest_half_life_months", found["half_life_months"] / 2)
        yield say("forecast.note", half_life=numbers.whole(found["half_life_months"]), fastest=numbers.whole(fastest))
        won = launch["new_customers_a_month"]
        if won is not None:
            yield say("forecast.won", share=numbers.percent(launch["new_share"], digits=0), won=numbers.decimal(won["estimate"]),
                      interval=numbers.interval(numbers.decimal(won["low"]), numbers.decimal(won["high"])))  # fmt: skip
    if repeats["missing"] is None:
        counts = {"customers": numbers.whole(repeats["n_customers"]), "visits": numbers.whole(repeats["n_visits"])}
        tail = {"watched": numbers.whole(repeats["watched_months"]), "reach": numbers.whole(repeats["reach_months"]),
                "fall": numbers.percent(1 - repeats["decay_a_month"])}  # fmt: skip
        yield say(f"forecast.model.{repeats['model']}", **counts, **tail)
        if repeats["reach_months"] < max(found["horizons"]):
            yield say("forecast.reach", reach=numbers.whole(repeats["reach_months"]))
        if repeats["n_unknown"]:
            yield say("forecast.unknown", unknown=numbers.whole(repeats["n_unknown"]))


def _launch(numbers: Numbers, found: Mapping[str, Json]) -> Table | None:
    launch, say = found["launch"], numbers.words.say
    if launch is None:
        return None
    rows = []
    for n in range(len(found["horizons"])):
        for line in (expected(launch), unweakened(launch)):
            at = line["at"][n]
            cells = [numbers.money(at["effect"]["estimate"], is_signed=True), _money(numbers, at["repeats"])]
            cells += ["—" if at["cost"] is None else numbers.money(at["cost"]), _money(numbers, at["net"])]
            cells += ["—" if at["net"] is None else numbers.money_interval(at["net"])]
            cells += ["—" if at["roi"] is None else numbers.ratio(at["roi"]["estimate"])]
            title = numbers.words.beside(say("unit.months", n=numbers.whole(at["months"])), line_title(numbers, line))
            rows.append((title, *cells))
    columns = ("column.by_month", "column.effect_profit", "column.repeat_profit", "column.cost_by_then", "column.net_by_then",
               "column.interval", "column.roi_by_then")  # fmt: skip
    return Table("forecast", say("table.forecast"), "", tuple(map(say, columns)), tuple(rows), len(rows))


def _value(numbers: Numbers, found: Mapping[str, Json]) -> Table | None:
    repeats, say = found["repeats"], numbers.words.say
    rows = []
    for one, known in zip(repeats["value"], repeats["known"], strict=True):
        visits, coming = one["visits"], known["visits"]
        ends = numbers.interval(*(numbers.decimal(visits[end], digits=2) for end in ("low", "high")))
        all_ends = numbers.interval(numbers.whole(coming["low"]), numbers.whole(coming["high"]))
        rows.append((say("unit.months", n=numbers.whole(one["months"])), numbers.decimal(visits["estimate"], digits=2), ends,
                     numbers.money(one["money"]["estimate"]), numbers.money_interval(one["money"], is_signed=False),
                     numbers.whole(coming["estimate"]), all_ends))  # fmt: skip
    if not rows:
        return None
    columns = ("column.by_month", "column.visits_again", "column.interval", "column.customer_value", "column.interval",
               "column.known_visits", "column.interval")  # fmt: skip
    return Table("value", say("table.value"), say("table.value.note"), tuple(map(say, columns)), tuple(rows), len(rows))


def _tried(numbers: Numbers, found: Mapping[str, Json]) -> Table | None:
    say = numbers.words.say
    rows = [
        (
            numbers.words.beside(numbers.day(one["on"]), say("unit.months", n=numbers.whole(one["months"]))),
            say(f"forecast.name.{one['model']}"),
            numbers.whole(one["visits"]),
            numbers.whole(one["predicted"]["estimate"]),
            numbers.interval(numbers.whole(one["predicted"]["low"]), numbers.whole(one["predicted"]["high"])),
            numbers.whole(one["naive"]),
        )
        for one in found["repeats"]["tried"]
    ]
    if not rows:
        return None
    columns = ("column.said_on", "column.model", "column.came_again", "column.predicted", "column.interval", "column.naive")
    return Table("tried", say("table.tried"), say("table.tried.note"), tuple(map(say, columns)), tuple(rows), len(rows))


def _fan(found: Mapping[str, Json]) -> ForecastFan | None:
    launch = found["launch"]
    if launch is None or expected(launch)["net"] is None:
        return None
    line = expected(launch)
    net, back = line["net"], line["payback_months"]
    bands = tuple((tuple(net[low]), tuple(net[high])) for low, high in BANDS)
    payback = None if back is None else back["estimate"]
    return ForecastFan(tuple(net["0.5"]), bands, tuple(unweakened(launch)["net"]["0.5"]), launch["window_months"], payback)


def _money(numbers: Numbers, bounds: Json) -> str:
    return "—" if bounds is None else numbers.money(bounds["estimate"], is_signed=True)
