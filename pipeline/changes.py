"""What became of the figures since last week's report, in steps that sum to the difference.

The figure of the stored report, then the same computed with today's configuration and program on what was known then, then with
what is known today of the very weeks that counted then, then with the weeks that have come of age since. Each step is a
measurement of its own, so nothing is left unexplained.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from pipeline.document import document
from pipeline.errors import NothingToMeasure
from pipeline.launches import Launch
from pipeline.measurement import measure
from pipeline.periods import WEEK, AsOf, monday_of
from pipeline.queries import load
from pipeline.settings import Settings
from pipeline.warehouse import Reading, Warehouse

Json = Any
# Further back than this nobody remembers the figures any more.
MOST_DAYS = 35
STEPS = ("settings", "data", "weeks")
_RULES = ("config_hash", "sql_hash", "code_version")


def changes_since(warehouse: Warehouse, launch: Launch, settings: Settings, moment: AsOf, now: Mapping[str, Json]) -> Json | None:
    """The figures of an earlier week's report, those of `now`, and the steps between them; None without such a report.

    Only what was stored by `moment` counts, so the same `moment` finds the same report next year. Raises WarehouseError.
    """
    with warehouse.reading(moment.seen_until) as reading:
        found = _earlier(reading, launch, settings, moment)
        if found is None:
            return None
        then, stored_at = found
        old = _moment(then["as_of"], settings)
        heard_until = min(old.seen_until, stored_at)  # a report of a day is made in its morning
        known_on = date.fromisoformat(then["known_on"])
        counted = _brief(reading, launch, settings, moment, known_on)
        told = _told(reading, then, heard_until, moment)
    same_rules = all(then["provenance"].get(rule) == now["provenance"][rule] for rule in _RULES)
    ruled: Mapping[str, Json] | None = then
    if not same_rules:
        with warehouse.reading(heard_until) as reading:
            ruled = _brief(reading, launch, settings, old, known_on)
    stages = [_figures(found) for found in (then, ruled, counted, now)]
    figures = {}
    for name in stages[0]:
        values = [value for stage in stages if (value := stage[name]) is not None]
        if len(values) == len(stages):
            steps = {step: values[n + 1] - values[n] for n, step in enumerate(STEPS)}
            figures[name] = {"then": values[0], "now": values[-1], **steps}
    facts = {"as_of": then["as_of"], "known_on": then["known_on"], "verdict": then["verdict"]["code"]}
    weeks = now["periods"]["post"]["n_weeks"] - then["periods"]["post"]["n_weeks"]
    return {"since": facts, "figures": figures, "n_new_weeks": weeks, "has_new_rules": not same_rules, "rows": told}


def _earlier(reading: Reading, launch: Launch, settings: Settings, moment: AsOf) -> tuple[Mapping[str, Json], datetime] | None:
    """The first report of the newest earlier week that has one, as it was sent, and when it was stored (UTC)."""
    known = {"launch": launch.name, "seen_until": moment.seen_until}
    stored = "select as_of, seen_at from snapshots where launch = :launch and seen_at <= :seen_until"
    this_week = monday_of(moment.on)
    found = []
    for row in reading.rows(stored, known):
        on = _moment(row.as_of, settings).on
        if this_week - timedelta(days=MOST_DAYS) <= on < this_week and row.seen_at.date() <= on + WEEK:
            found.append((-monday_of(on).toordinal(), on, row.as_of, row.seen_at))
    if not found:
        return None
    _, _, as_of, seen_at = min(found)
    one = "select document from snapshots where launch = :launch and as_of = :as_of and seen_at = :seen_at"
    rows = reading.rows(one, {"launch": launch.name, "as_of": as_of, "seen_at": seen_at})
    then: Mapping[str, Json] = json.loads(rows[0].document)
    return (then, seen_at) if "launch" in then else None  # a programme had the name before


def _moment(as_of: str, settings: Settings) -> AsOf:
    zone = settings.business.zone
    return AsOf.day(date.fromisoformat(as_of), zone) if len(as_of) == 10 else AsOf.instant(datetime.fromisoformat(as_of), zone)


def _brief(reading: Reading, launch: Launch, settings: Settings, moment: AsOf, known_on: date) -> Mapping[str, Json] | None:
    """The document of a measurement of the weeks that were known on a day; None where today's rules find nothing to measure."""
    try:
        return document(measure(reading, launch, settings, moment, known_on=known_on, is_brief=True))
    except NothingToMeasure:
        return None


def _figures(found: Mapping[str, Json] | None) -> dict[str, float | None]:
    """The figures an owner compares from week to week: those that do not grow by themselves with every week."""
    if found is None:
        return dict.fromkeys(("profit_a_month", "revenue_a_month", "roi", "leads_a_week"))
    money = found["money"] or {}
    revenue, months = money.get("incremental_revenue"), money.get("window_months")
    return {
        "profit_a_month": _estimate(money.get("monthly_benefit")),
        "revenue_a_month": revenue["estimate"] / months if revenue and months else None,
        "roi": _estimate(money.get("roi")),
        "leads_a_week": (found["metrics"]["leads"].get("a_week") or {}).get("post"),
    }


def _estimate(interval: Mapping[str, float] | None) -> float | None:
    return None if interval is None else interval["estimate"]


def _told(reading: Reading, then: Mapping[str, Json], since: datetime, moment: AsOf) -> dict[str, int]:
    """How many rows the CRM added or changed since then (UTC), of the weeks that counted then."""
    periods = then["periods"]
    window = {"start": date.fromisoformat(periods["pre"]["start"]), "end": date.fromisoformat(periods["post"]["end"])}
    rows = reading.rows(load("changed_rows"), {**window, "since": since, "seen_until": moment.seen_until})
    return {row.code: int(row.n) for row in rows}
