"""What changed since last week's report and why: steps that sum, as printed, to the difference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.reports.numbers import Numbers, adding_up
from pipeline.reports.tables import Table

Json = Any
STEPS = ("settings", "data", "weeks")  # in the order of pipeline.changes: each is measured on top of the one before


@dataclass(frozen=True, slots=True)
class Since:
    """Sentences on what happened, and the figures then, the steps and the figures now."""

    told: tuple[str, ...]
    rows: Table


def since(numbers: Numbers, document: Mapping[str, Json]) -> Since | None:
    """None when there was no earlier report to compare with."""
    changes = document.get("changes")
    if not changes:
        return None
    say, figures = numbers.words.say, changes["figures"]
    rows = [printed(numbers, name, figures[name]) for name in _names(changes) if name in figures]
    columns = ("column.figure", "column.then", *(f"since.{step}" for step in STEPS), "column.now_figure")
    title = say("section.since", moment=numbers.moment(changes["since"]["as_of"]))
    table = Table("since", title, say("since.note"), tuple(map(say, columns)), tuple(rows), len(rows))
    return Since(tuple(_told(numbers, document, changes)), table)


def _names(changes: Mapping[str, Json]) -> tuple[str, ...]:
    """What is compared: profit, or revenue where profit was not known all the time."""
    is_revenue = "profit_a_month" not in changes["figures"] and "revenue_a_month" in changes["figures"]
    return "revenue_a_month" if is_revenue else "profit_a_month", "roi", "leads_a_week"


def _told(numbers: Numbers, document: Mapping[str, Json], changes: Mapping[str, Json]) -> list[str]:
    say, then = numbers.words.say, changes["since"]["verdict"]
    told = [say("since.verdict_same", verdict=say(f"verdict.{then}"))]
    if then != document["verdict"]["code"]:
        told = [say("since.verdict", then=say(f"verdict.{then}"), now=say(f"verdict.{document['verdict']['code']}"))]
    if changes["n_new_weeks"] > 0:
        told.append(numbers.count("since.new_weeks", changes["n_new_weeks"]))
    else:
        told.append(say("since.no_weeks"))
    counted = [numbers.count(f"since.{code}", n) for code, n in sorted(changes["rows"].items()) if n]
    told.append(say("since.rows", rows=say("format.semicolon").join(counted)) if counted else say("since.no_rows"))
    told.append(say("since.new_rules" if changes["has_new_rules"] else "since.same_rules"))
    absent = [say(f"since.{name}") for name in _names(changes) if name not in changes["figures"]]
    if absent:
        told.append(say("since.not_compared", figures=numbers.words.listed(absent)))
    return told


def printed(numbers: Numbers, name: str, found: Mapping[str, float]) -> tuple[str, ...]:
    """A figure's title, what it was, the steps and what it is, rounded so that what is printed adds up.

    Raises ValueError for steps that do not sum to the difference.
    """
    scale, text = FORMS[name]
    then, now = round(found["then"] * scale), round(found["now"] * scale)
    steps = adding_up([found[step] * scale for step in STEPS], now - then)
    say = numbers.words.say
    return (say(f"since.{name}"), text(numbers, then / scale, False), *(text(numbers, step / scale, True) for step in steps),
            text(numbers, now / scale, False))  # fmt: skip


FORMS: dict[str, tuple[float, Callable[[Numbers, float, bool], str]]] = {
    "profit_a_month": (1, lambda numbers, value, is_signed: numbers.full_money(value, is_signed=is_signed)),
    "revenue_a_month": (1, lambda numbers, value, is_signed: numbers.full_money(value, is_signed=is_signed)),
    "roi": (1000, lambda numbers, value, is_signed: numbers.points(value) if is_signed else numbers.percent(value)),
    "leads_a_week": (10, lambda numbers, value, is_signed: numbers.decimal(value, is_signed=is_signed)),
}
