"""The seven figures an owner looks at first: leads, booking, no-show, average check, profit, ROI, payback."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipeline.reports import sentences
from pipeline.reports.numbers import Numbers

Json = Any
Tone = Literal["good", "bad", "open"]


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: its value now, as it was, the change against what was to be expected, the interval of that change.

    `tone`: the whole interval is on the good or bad side of no effect, or not. `notes` say why something is absent, or what
    the figure holds.
    """

    name: str
    title: str
    value: str
    before: str | None = None
    change: str | None = None
    interval: str | None = None
    notes: tuple[str, ...] = ()
    tone: Tone = "open"


def tiles(numbers: Numbers, document: Mapping[str, Json]) -> tuple[Tile, ...]:
    """The tiles in the order of the page. Without a margin the profit tile shows revenue and is labelled so."""
    rates = [metric_tile(numbers, document, name) for name in ("leads", "booking_conversion", "no_show_rate", "average_check")]
    return (*rates, _profit(numbers, document), _roi(numbers, document), _payback(numbers, document))


def metric_tile(numbers: Numbers, document: Mapping[str, Json], name: str) -> Tile:
    """One metric, before and after, with its effect."""
    say = numbers.words.say
    metric = document["metrics"][name]
    pre, post = (_value(numbers, metric, side) for side in ("pre", "post"))
    effect = metric["effect"]
    title = say("tile.leads" if name == "leads" else f"metric.{name}")
    tile = Tile(name, title, post or say("none"), before=pre or say("none"))
    if effect is None:
        return replace(tile, notes=(_no_effect(numbers, document),))
    return replace(
        tile,
        change=change(numbers, metric),
        interval=numbers.change_interval(metric["unit"], effect),
        notes=window_of(numbers, metric),
        tone=tone(effect, metric["better"]),
    )


def shown(numbers: Numbers, metric: Mapping[str, Json], side: str) -> str | None:
    """A metric's value on one side; a sum as a mean week, because the sides differ in length."""
    text = _value(numbers, metric, side)
    return numbers.words.say("a_week", n=text) if text and metric["a_week"] is not None else text


def change(numbers: Numbers, metric: Mapping[str, Json]) -> str:
    """The effect in points or units, and relative where that is defined."""
    effect = metric["effect"]
    absolute = numbers.change(metric["unit"], effect["estimate"])
    if effect["relative"] is None:
        return absolute
    return numbers.words.say("both_ways", absolute=absolute, relative=numbers.relative(effect["relative"]["estimate"]))


def window_of(numbers: Numbers, metric: Mapping[str, Json]) -> tuple[str, ...]:
    """Over how many weeks the change of a sum was counted; nothing for a rate or a mean."""
    return () if metric["a_week"] is None else (numbers.count("window.change", metric["effect"]["n_post_weeks"]),)


def tone(effect: Mapping[str, float], better: str) -> Tone:
    """Whether the interval says better, worse, or neither."""
    if effect["low"] <= 0 <= effect["high"]:
        return "open"
    return "good" if (effect["low"] > 0) == (better == "higher") else "bad"


def _value(numbers: Numbers, metric: Mapping[str, Json], side: str) -> str | None:
    value = metric[side]["value"] if metric["a_week"] is None else metric["a_week"][side]
    return None if value is None else numbers.value(metric["unit"], value)


def _no_effect(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """Why a figure stands without a change."""
    code = "refused" if document["rung"]["code"] == "R0" else "nothing_to_compare"
    return numbers.words.say("no_change", reason=numbers.words.say(f"missing.{code}"))


def _profit(numbers: Numbers, document: Mapping[str, Json]) -> Tile:
    """Incremental profit, or revenue and said so."""
    say = numbers.words.say
    money = document["money"] or {}
    is_revenue = money.get("incremental_profit") is None and money.get("incremental_revenue") is not None
    name = "incremental_revenue" if is_revenue else "incremental_profit"
    title = say(f"money.{name}")
    amount = money.get(name)
    if amount is None:
        return Tile(name, title, say("none"), notes=(sentences.missing(numbers, document, name),))
    metric = document["metrics"]["gross_profit" if name == "incremental_profit" else "revenue"]
    relative = metric["effect"]["relative"] if metric["effect"] else None
    notes = [sentences.window(numbers, document)]
    sides = {side: numbers.money(metric["a_week"][key]) for side, key in (("before", "pre"), ("after", "post"))}
    notes.append(say(f"tile.{name}", **sides))
    if name == "incremental_revenue":
        notes.append(say("money.no_margin"))
    elif money["monthly_benefit"] is not None:
        notes.append(say("money.benefit_a_month", amount=numbers.money(money["monthly_benefit"]["estimate"])))
    return Tile(
        name,
        title,
        numbers.money(amount["estimate"], is_signed=True),
        change=numbers.relative(relative["estimate"]) if relative else None,
        interval=numbers.money_interval(amount),
        notes=tuple(notes),
        tone=tone(amount, "higher"),
    )


def _roi(numbers: Numbers, document: Mapping[str, Json]) -> Tile:
    say = numbers.words.say
    roi = (document["money"] or {}).get("roi")
    if roi is None:
        return Tile("roi", say("money.roi"), say("none"), notes=(sentences.missing(numbers, document, "roi"),))
    p_positive = document["probability"]["roi_positive"]
    return Tile(
        "roi",
        say("money.roi"),
        numbers.ratio(roi["estimate"]),
        interval=numbers.interval(numbers.ratio(roi["low"]), numbers.ratio(roi["high"])),
        notes=() if p_positive is None else (say("probability.roi_positive", p=numbers.probability(p_positive)),),
        tone=tone(roi, "higher"),
    )


def _payback(numbers: Numbers, document: Mapping[str, Json]) -> Tile:
    say = numbers.words.say
    value = sentences.payback(numbers, document)
    if value is None:
        absent = sentences.missing(numbers, document, "payback_months")
        return Tile("payback", say("money.payback"), say("none"), notes=(absent,))
    p_never = document["money"]["p_never_pays_back"]
    return Tile(
        "payback",
        say("money.payback"),
        value,
        interval=sentences.payback_interval(numbers, document),
        notes=(say("payback.p_never", p=numbers.probability(p_never)),),
        tone="bad" if document["money"]["payback_months"]["low"] is None else "open",
    )
