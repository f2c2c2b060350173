"""The first year: what the same money earns elsewhere, and, where there is no forecast, cumulative net month by month.

A page shows one picture of what lies ahead: the forecast's (`forecast.py`) where the document has one with a net.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from pipeline.cashflow import HORIZON_MONTHS, PAYBACK_HORIZON_MONTHS
from pipeline.reports.forecast import expected
from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Table
from pipeline.reports.words import plain

Json = Any
# A cost paid at the end of each month of a year earns 11/12 + 10/12 + ... + 0/12 of a year's rate.
MONTHS_OF_INTEREST = 5.5


@dataclass(frozen=True, slots=True)
class Fan:
    """Cumulative net at month 0, 1 ...: the estimate and both ends of the interval; `measured` months lie behind."""

    months: int
    estimate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    measured: float
    payback: float | None
    told: str


@dataclass(frozen=True, slots=True)
class Hurdles:
    """What else the money could earn over a year, line by line, and what to make of it."""

    rows: Table
    told: str


def fan(numbers: Numbers, document: Mapping[str, Json]) -> Fan | None:
    """None while benefit or cost is unknown, and where the forecast says it."""
    cash = _cash(document)
    if cash is None or _forecast_net(document) is not None:
        return None
    benefit, once, monthly = cash
    money = document["money"]
    ends = money["payback_months"] or {}
    # The late end of the payback if it comes within three years, else the estimate: what is later would hide what is near.
    known = [month for name in ("estimate", "high") if (month := ends.get(name)) is not None and month <= 36]
    last = min(max([float(HORIZON_MONTHS), money["window_months"], *(month * 1.15 for month in known)]), PAYBACK_HORIZON_MONTHS)
    months = ceil(last)

    def path(a_month: float) -> tuple[float, ...]:
        return tuple((a_month - monthly) * month - once for month in range(months + 1))

    net = _first_year(document, cash)
    figures = {"net": numbers.money(net["estimate"], is_signed=True), "interval": numbers.money_interval(net)}
    told = numbers.words.say("ahead.told", months=numbers.whole(HORIZON_MONTHS), **figures)
    return Fan(months, path(benefit["estimate"]), path(benefit["low"]), path(benefit["high"]), money["window_months"],
               ends.get("estimate"), told)  # fmt: skip


def hurdles(numbers: Numbers, document: Mapping[str, Json]) -> Hurdles | None:
    """The launch's first year beside what its cost would have earned at each rate; None without rates, margin or cost."""
    found, cash = document.get("hurdles"), _cash(document)
    if not found or cash is None or not (cash.once or cash.monthly):
        return None
    say, once, monthly, net = numbers.words.say, cash.once, cash.monthly, _first_year(document, cash)
    rows = []
    for line in found:
        low, high = (rate * (once + monthly * MONTHS_OF_INTEREST) for rate in line["rate"])
        rows.append((title_of(numbers, line), rate_of(numbers, line), _span(numbers, low, high),
                     _compared(numbers, net, low, high), numbers.day(line["on"])))  # fmt: skip
    columns = ("column.hurdle", "column.rate", "column.earned", "column.launch_against", "column.on")
    table = Table("hurdles", say("section.hurdles"), say("hurdles.note"), tuple(map(say, columns)), tuple(rows), len(rows))
    told = say("hurdles.told", spent=numbers.money(once + monthly * HORIZON_MONTHS),
               net=numbers.money(net["estimate"], is_signed=True), interval=numbers.money_interval(net))  # fmt: skip
    return Hurdles(table, told)


class _Cash(NamedTuple):
    """Benefit a month with its ends, what is paid once, what is paid a month."""

    benefit: Mapping[str, float]
    once: float
    monthly: float


def _cash(document: Mapping[str, Json]) -> _Cash | None:
    money = document["money"] or {}
    benefit, once, monthly = (money.get(name) for name in ("monthly_benefit", "one_off_cost", "monthly_cost"))
    return None if benefit is None or once is None or monthly is None else _Cash(benefit, once, monthly)


def _forecast_net(document: Mapping[str, Json]) -> Json:
    """The forecast's net by the end of the first year; None in older documents and where it has none."""
    launch = (document.get("forecast") or {}).get("launch")
    return None if launch is None else expected(launch)["at"][-1]["net"]


def _first_year(document: Mapping[str, Json], cash: _Cash) -> Mapping[str, float]:
    """That of the forecast, so that one report has one figure; else what was measured, going on for a year."""
    found: Mapping[str, float] | None = _forecast_net(document)
    if found is not None:
        return found
    return {end: (cash.benefit[end] - cash.monthly) * HORIZON_MONTHS - cash.once for end in ("estimate", "low", "high")}


def title_of(numbers: Numbers, line: Mapping[str, Json]) -> str:
    """The name of a rate, such as deposit."""
    key = f"hurdle.{line['code']}"
    return numbers.words.say(key) if line["code"] and numbers.words.has(key) else plain(line["title"])


def rate_of(numbers: Numbers, line: Mapping[str, Json]) -> str:
    """A rate or its two ends, a year."""
    low, high = (numbers.percent(rate, digits=0 if round(rate * 100, 6).is_integer() else 1) for rate in line["rate"])
    return low if low == high else numbers.interval(low, high)


def _span(numbers: Numbers, low: float, high: float) -> str:
    return numbers.money(high, is_signed=True) if low == high else numbers.money_interval({"low": low, "high": high})


def _compared(numbers: Numbers, net: Mapping[str, float], low: float, high: float) -> str:
    """Only an interval that lies wholly on one side decides."""
    if net["low"] > high:
        return numbers.words.say("hurdle.more")
    return numbers.words.say("hurdle.less" if net["high"] < low else "hurdle.open")
