"""The words of a guard: what it saw in the data, as one sentence with its figures."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pipeline.reports.numbers import Numbers
from pipeline.reports.words import plain

Json = Any
# Messages whose words depend on a number of things: the figure that counts them.
_COUNTED = {"guard.after_dip.total": "n_weeks", "guard.after_dip.process": "n_weeks", "guard.placebo_alarms": "n"}
# How each figure of a guard is written.
_WRITTEN: dict[str, Callable[[Numbers, Any], str]] = {
    "weekly_growth": lambda numbers, value: numbers.relative(abs(value)).lstrip("+"),
    "change": lambda numbers, value: numbers.relative(value),
    "leads_change": lambda numbers, value: numbers.relative(value),
    "week": lambda numbers, value: numbers.day(value),  # a Monday
    "n_weeks": lambda numbers, value: numbers.whole(value),
    "own_noise": lambda numbers, value: numbers.percent(value, digits=0),
    "before": lambda numbers, value: numbers.percent(value),
    "after": lambda numbers, value: numbers.percent(value),
    "source": lambda numbers, value: numbers.words.name("channel", value),
    "title": lambda numbers, value: plain(value),
    "started_on": lambda numbers, value: numbers.day(value),
    "n": lambda numbers, value: numbers.whole(value),
    "n_alarms": lambda numbers, value: numbers.whole(value),
    "expected": lambda numbers, value: numbers.decimal(value),
    "factor": lambda numbers, value: numbers.decimal(value),
}


def guard_text(numbers: Numbers, guard: Mapping[str, Json]) -> str:
    """A guard as a sentence; without its figures a shorter one. What nobody has put into words yet stands by its code.

    `{"code", "figures"}`, and `claim` where the words depend on it.
    """
    raw = {name: value for name, value in guard["figures"].items() if value is not None}
    if "share" in raw:  # of the side on which the source is there
        raw = {"before": raw["share"], "after": raw["share"], **raw}
    key = f"guard.{guard['code']}"
    if guard["code"] == "strong_growth" and "weekly_growth" in raw:
        key += ".up" if raw["weekly_growth"] > 0 else ".down"
    if guard["code"] == "after_dip":  # of a rate, or of the number of leads
        key += ".process" if guard.get("claim") == "process" else ".total"
    figures = {name: _WRITTEN[name](numbers, value) for name, value in raw.items() if name in _WRITTEN}
    if "low" in raw and "high" in raw:
        figures["range"] = numbers.interval(numbers.relative(raw["low"]), numbers.relative(raw["high"]))
    counted = _COUNTED.get(key)
    if counted is not None and counted in raw:
        with suppress(KeyError):  # a figure is missing
            return numbers.count(key, raw[counted], **{name: text for name, text in figures.items() if name != "n"})
    for known in (key, f"{key}.bare"):
        with suppress(KeyError):
            return numbers.words.say(known, **figures)
    return numbers.words.say("guard.other", code=plain(guard["code"]))
