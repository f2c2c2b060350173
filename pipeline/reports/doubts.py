"""What limits the figures, in words: guards, weekly looks, what these data can see and how long until they see enough.

Every key read here is optional: a document written before it existed simply has fewer doubts to show.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.reports.guarding import guard_text
from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Line

Json = Any
ACTIONS = ("withhold", "indicative", "widen", "note")  # worst first
SETTLED = ("pays", "does_not_pay", "harms")


@dataclass(frozen=True, slots=True)
class GuardLine:
    """What a guard saw, as one sentence, and what follows for the claims."""

    code: str
    action: str
    text: str
    consequence: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long until we know: what the data see now and would see later, and sentences that say what to make of it."""

    lines: tuple[Line, ...]
    told: tuple[str, ...]


def guards(numbers: Numbers, document: Mapping[str, Json]) -> tuple[GuardLine, ...]:
    """The guards that fired, those that cost most first."""
    found = sorted(map(_dated(document), document.get("guards") or ()), key=lambda guard: ACTIONS.index(guard["action"]))
    return tuple(
        GuardLine(guard["code"], guard["action"], guard_text(numbers, guard), _consequence(numbers, guard)) for guard in found
    )


def _dated(document: Mapping[str, Json]) -> Callable[[Mapping[str, Json]], Mapping[str, Json]]:
    """Names a week that a guard gives by its position in the weekly series by its Monday."""

    def dated(guard: Mapping[str, Json]) -> Mapping[str, Json]:
        week = guard["figures"].get("week")
        if week is None or isinstance(week, str):
            return guard
        return {**guard, "figures": {**guard["figures"], "week": document["weekly"][int(week)]["week"]}}

    return dated


def _consequence(numbers: Numbers, guard: Mapping[str, Json]) -> str:
    action = guard["action"]
    return numbers.words.say(f"consequence.{action}.{guard['claim']}" if action == "withhold" else f"consequence.{action}")


def concerning(document: Mapping[str, Json], claim: str, action: str) -> list[Mapping[str, Json]]:
    """The guards that do this to a claim."""
    return [found for found in document.get("guards") or () if found["action"] == action and found["claim"] in (claim, "both")]


def looks(numbers: Numbers, document: Mapping[str, Json]) -> str | None:
    """Why the report may be read every week."""
    found = document.get("looks")
    if not found:
        return None
    if found.get("benefit_month"):
        return numbers.words.say("looks.money", range=numbers.money_interval(found["benefit_month"], is_signed=False))
    if found.get("relative"):
        return numbers.words.say("looks.relative", range=_relative_range(numbers, found["relative"]))
    return numbers.words.say("looks.plain")


def waiting(numbers: Numbers, document: Mapping[str, Json]) -> Waiting | None:
    """Detectable effect now and later, the break-even effect, and how many weeks lie between. None without the key."""
    found, look = document.get("power"), looks(numbers, document)
    if not found:
        return Waiting((), (look,)) if look else None
    say, lines = numbers.words.say, []
    if found["detectable"] is not None:
        lines.append(Line(say("waiting.now"), _from(numbers, found["detectable"]), is_total=True))
    if found["break_even_relative"] is not None:
        lines.append(Line(say("waiting.break_even"), numbers.relative(found["break_even_relative"]), is_total=True))
    later = [point for point in found["curve"] if point["n_post_weeks"] > document["periods"]["post"]["n_weeks"]]
    now = found["detectable"]
    is_flat = bool(later) and now is not None and min(point["detectable"] for point in later) >= now
    if not is_flat:
        for point in later:
            lines.append(Line(numbers.count("waiting.later", point["n_post_weeks"]), _from(numbers, point["detectable"])))
    told = (_how_long(numbers, document), say("waiting.flat") if is_flat else None, look)
    return Waiting(tuple(lines), tuple(sentence for sentence in told if sentence))


def _how_long(numbers: Numbers, document: Mapping[str, Json]) -> str | None:
    found, say = document["power"], numbers.words.say
    if document["verdict"]["code"] in SETTLED:
        return say("waiting.settled")
    if found["break_even_relative"] is None:
        return say("waiting.no_break_even")
    if found["more_weeks"] is None:
        return say("waiting.never")
    if found["more_weeks"] <= 0:
        return say("waiting.enough")
    return numbers.count("waiting.more", found["more_weeks"])


def side_of_zero(bounds: Mapping[str, float]) -> int:
    """1: the whole interval lies above zero, -1: below, 0: zero is inside."""
    return 1 if bounds["low"] > 0 else -1 if bounds["high"] < 0 else 0


def _from(numbers: Numbers, share: float) -> str:
    return numbers.words.say("waiting.from", effect=numbers.percent(share, digits=0 if share >= 0.0995 else 1))


def _relative_range(numbers: Numbers, bounds: Mapping[str, float]) -> str:
    return numbers.interval(numbers.relative(bounds["low"]), numbers.relative(bounds["high"]))
