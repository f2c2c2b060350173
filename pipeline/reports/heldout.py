"""Comparisons with others at the same time: a randomised hold-out that ran, and units that the launch did not touch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Line
from pipeline.reports.words import plain

Json = Any


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What the split was and what came out; without lines: why it cannot be read yet."""

    told: tuple[str, ...]
    lines: tuple[Line, ...]


def holdout(numbers: Numbers, document: Mapping[str, Json]) -> HeldOut | None:
    """The hold-out of a document; None where none runs."""
    found, say = document.get("holdout"), numbers.words.say
    if not found:
        return None
    if "too_few_leads" in found:
        figures = {name: numbers.whole(value) for name, value in found["too_few_leads"].items()}
        return HeldOut((say("holdout.unread", **figures),), ())
    groups = {name: numbers.whole(found[name]) for name in ("n_treated", "n_held")}
    told = [numbers.count("holdout.told", found["n_weeks"], **groups)]
    if found["sample_ratio"]["is_mismatch"]:
        told.append(say("holdout.mismatch"))
    return HeldOut(tuple(told), tuple(_lines(numbers, found)))


def _lines(numbers: Numbers, found: Mapping[str, Json]) -> Iterator[Line]:
    say = numbers.words.say
    for name in ("treated_rate", "held_rate"):
        if found[name] is not None:
            yield Line(say(f"holdout.{name}"), numbers.percent(found[name]))
    difference, relative = found["difference"], found["relative"]
    if difference:
        value = numbers.points(difference["estimate"])
        if relative:
            value = say("both_ways", absolute=value, relative=numbers.relative(relative["estimate"]))
        yield Line(say("holdout.difference"), value, numbers.change_interval("share", difference), is_total=True)
    if found["extra_reached"]:
        ends = (numbers.whole(found["extra_reached"][end], is_signed=True) for end in ("low", "high"))
        value = numbers.whole(found["extra_reached"]["estimate"], is_signed=True)
        yield Line(say("holdout.extra_reached"), value, numbers.interval(*ends))
    if found["extra_revenue"]:
        value = numbers.money(found["extra_revenue"]["estimate"], is_signed=True)
        yield Line(say("holdout.extra_revenue"), value, numbers.money_interval(found["extra_revenue"]))


def panel(numbers: Numbers, document: Mapping[str, Json]) -> HeldOut | None:
    """Leads a day of the scope's own units against untouched ones, by each method; None where there are not enough of them."""
    found, say = document.get("panel"), numbers.words.say
    if not found:
        return None
    dimension = say(f"dimension.{found['dimension']}")
    told = [say("panel.told", dimension=dimension, n_donors=numbers.whole(found["n_donors"]),
                treated=numbers.words.listed(plain(one) for one in found["treated"]))]
    if not all(effect["can_prove"] for effect in found["effects"]):
        told.append(say("panel.cannot_prove", n_donors=numbers.whole(found["n_donors"])))
    return HeldOut(tuple(told), tuple(_panel_line(numbers, effect) for effect in found["effects"]))


def _panel_line(numbers: Numbers, effect: Mapping[str, Json]) -> Line:
    say, within = numbers.words.say, effect["relative_interval"]
    ends = None if within is None else numbers.interval(numbers.relative(within["low"]), numbers.relative(within["high"]))
    value = numbers.decimal(effect["att"], is_signed=True) if effect["relative"] is None else numbers.relative(effect["relative"])
    chance = None if effect["p_value"] is None else say("panel.p", p=numbers.decimal(effect["p_value"], digits=2))
    return Line(say(f"control.method.{effect['method']}"), value, ends, chance)
