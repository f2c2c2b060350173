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
    """One figure: its value now, as it was, as it was to be expected without the launch, the change against that expectation
    and the interval of that change. A count or a sum, its change included, is that of a mean week, because the sides differ in
    length; what is counted over the whole period says so in `period`.

    `is_range`: the interval goes from one figure to another; otherwise it is words that stand for themselves.
    `tone`: the whole interval is on the good or bad side of no effect, or not. `notes` say why something is absent, or what
    the figure holds.
    """

    name: str
    title: str
    value: str
    period: str | None = None
    before: str | None = None
    expected: str | None = None
    change: str | None = None
    interval: str | None = None
    is_range: bool = True
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
    pre, post = (value(numbers, metric, side) for side in ("pre", "post"))
    title = say("tile.leads" if name == "leads" else f"metric.{name}")
    # Over no data at all one "no data" is enough.
    tile = Tile(name, title, post or say("none"), before=pre or (say("none") if post else None))
    if post is None or metric["effect"] is None:
        return replace(tile, notes=(_no_effect(numbers, document),))
    return replace(
        tile,
        expected=expected(numbers, metric),
        change=change(numbers, metric),
        interval=change_interval(numbers, metric),
        tone=tone(metric["effect"], metric["better"]),
    )


def value(numbers: Numbers, metric: Mapping[str, Json], side: str) -> str | None:
    """A metric's value on one side, of a count or a sum that of a mean week; None when nothing was observed."""
    found = (metric[side] or {"value": None})["value"] if metric["a_week"] is None else metric["a_week"][side]
    return None if found is None else numbers.value(metric["unit"], found)


def expected(numbers: Numbers, metric: Mapping[str, Json]) -> str:
    """What the side after the launch was to be without it, in the unit of `value`."""
    return numbers.value(metric["unit"], metric["effect"]["counterfactual"] / _n_weeks(metric))


def change(numbers: Numbers, metric: Mapping[str, Json]) -> str:
    """The effect in the unit of `value` (of shares in points), and relative where that is defined."""
    effect = metric["effect"]
    absolute = numbers.change(metric["unit"], effect["estimate"] / _n_weeks(metric))
    if effect["relative"] is None:
        return absolute
    return numbers.words.say("both_ways", absolute=absolute, relative=numbers.relative(effect["relative"]["estimate"]))


def change_interval(numbers: Numbers, metric: Mapping[str, Json]) -> str:
    """The interval of the effect in the unit of `value`."""
    ends = {end: metric["effect"][end] / _n_weeks(metric) for end in ("low", "high")}
    return numbers.change_interval(metric["unit"], ends)


def tone(effect: Mapping[str, float], better: str) -> Tone:
    """Whether the interval says better, worse, or neither."""
    if effect["low"] <= 0 <= effect["high"]:
        return "open"
    return "good" if (effect["low"] > 0) == (better == "higher") else "bad"


def _n_weeks(metric: Mapping[str, Json]) -> int:
    """An effect on a count or a sum is that of all weeks together, one on a rate or a mean is not."""
    return 1 if metric["a_week"] is None else metric["effect"]["n_post_weeks"]


def _no_effect(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """Why a figure stands without a change."""
    code = "refused" if sentences.is_refused(document) else "nothing_to_compare"
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
    notes = []
    if metric["effect"]:
        sides = {side: value(numbers, metric, key) or say("none") for side, key in (("before", "pre"), ("after", "post"))}
        notes.append(say(f"tile.{name}", **sides, expected=expected(numbers, metric)))
    if name == "incremental_revenue":
        notes.append(say("money.no_margin"))
    elif money["monthly_benefit"] is not None:
        notes.append(say("money.benefit_a_month", amount=numbers.money(money["monthly_benefit"]["estimate"])))
    return Tile(
        name,
        title,
        numbers.money(amount["estimate"], is_signed=True),
        period=sentences.window(numbers, document),
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
        period=sentences.window(numbers, document),
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
        is_range=sentences.is_payback_range(document),
        notes=(say("payback.p_never", p=numbers.probability(p_never)),),
        tone="bad" if document["money"]["payback_months"]["low"] is None else "open",
    )
