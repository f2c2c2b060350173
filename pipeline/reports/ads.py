"""Ads by channel before and after the launch: spend, CPL, CAC, ROMI, ROAS, DRR, and why a figure is not there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.ad_returns import RETURNS
from pipeline.reports.costing import known_days
from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Table

Json = Any
SIDES = ("pre", "post")


@dataclass(frozen=True, slots=True)
class Ads:
    """The table, and a sentence for each figure that is missing in it."""

    rows: Table
    told: tuple[str, ...]


def ads(numbers: Numbers, document: Mapping[str, Json]) -> Ads | None:
    """None where no ad spend is configured."""
    found = document.get("ad_spend")
    if not found:
        return None
    say = numbers.words.say
    n_weeks = {side: document["periods"][side]["n_weeks"] for side in SIDES}
    rows: list[tuple[str, ...]] = []
    for row in found["channels"]:
        spend = [None if (paid := a_week(row[side])) is None else numbers.money(paid) for side in SIDES]
        cells = [_both(numbers, *spend)]
        cells += [_both(numbers, *(written(numbers, name, row[side][name]) for side in SIDES)) for name in RETURNS]
        rows.append((numbers.words.name("channel", row["channel"]), *cells))
    columns = (say("column.channel"), say("ads.spend"), *(say(f"ads.{name}") for name in RETURNS))
    table = Table("ads", say("section.ads"), say("ads.note"), columns, tuple(rows))
    return Ads(table, tuple(_missing(numbers, found["channels"], n_weeks)))


def a_week(side: Mapping[str, Json]) -> float | None:
    """A channel's spend of a mean week; None where no week's is known."""
    return side["spend"] / side["n_weeks"] if side["spend"] is not None and side["n_weeks"] else None


def written(numbers: Numbers, name: str, value: float | None) -> str | None:
    """A figure as it is printed: money, a percentage, or ROAS as a ratio."""
    if value is None:
        return None
    if name in ("cpl", "cac"):
        return numbers.money(value)
    return numbers.decimal(value, digits=2) if name == "roas" else numbers.ratio(value)


def _both(numbers: Numbers, before: str | None, after: str | None) -> str:
    none = numbers.words.say("none")
    return f"{before or none} → {after or none}"


def _missing(numbers: Numbers, rows: list[Mapping[str, Json]], n_weeks: Mapping[str, int]) -> Iterator[str]:
    """What is not there and why; and which figures are of some weeks only."""
    say = numbers.words.say
    for row in rows:
        for side in SIDES:
            if 0 < row[side]["n_weeks"] < n_weeks[side] and "scope" not in row[side]["missing"].values():
                part = {"channel": numbers.words.name("channel", row["channel"]), "side": say(f"side.{side}")}
                yield numbers.count("ads.part", row[side]["n_weeks"], weeks=numbers.whole(n_weeks[side]), **part)
            reasons: dict[str, list[str]] = {}
            for name, reason in row[side]["missing"].items():
                reasons.setdefault(reason, []).append(say(f"ads.{name}"))
            for reason, figures in reasons.items():
                told = {"channel": numbers.words.name("channel", row["channel"]), "side": say(f"side.{side}"),
                        "figures": numbers.words.listed(figures)}  # fmt: skip
                if reason == "spend_unknown":
                    told["days"] = known_days(numbers, {row["channel"]: row["known"]})
                yield say(f"ads.missing.{reason}", **told)
