"""What the warehouse holds of a launch before anything is computed: sources, days with leads, gaps, erasures, the horizon."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from typing import TYPE_CHECKING

from connectors.contract import Finding
from pipeline.checks import Window
from pipeline.launches import Launch
from pipeline.periods import HORIZONS, AsOf, Gap, Horizon, choose_horizon, horizon_hours, horizon_population
from pipeline.queries import load
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

# A source heard longer ago than this is told of: a nightly run has failed twice.
STALE_DAYS = 2


@dataclass(frozen=True, slots=True)
class SourceCoverage:
    """What one source holds, as known at `as_of`; `last_seen_at` is when it last said something new, `heard_on` the local day
    it was last heard at all. Days, unlike times, do not move when a source is read twice a day."""

    source: str
    n_leads: int
    n_deals: int
    n_stage_changes: int
    first_on: date | None
    last_on: date | None
    last_seen_at: str
    heard_on: date


def coverage_of(reading: "Reading", as_of: AsOf, launch: Launch, zone: tzinfo) -> tuple[SourceCoverage, ...]:
    """What each source in scope holds, in the order of their names."""
    found = []
    for row in reading.columns(load("coverage"), {"seen_until": as_of.seen_until}).to_pylist():
        if launch.scope.sources and row["source"] not in launch.scope.sources:
            continue
        first_on, last_on = (None if row[name] is None else row[name].date() for name in ("first_on", "last_on"))
        if row["last_moved_at"] is not None:
            moved_on = AsOf.instant(row["last_moved_at"], zone).on
            last_on = max(last_on, moved_on) if last_on else moved_on
        heard_on = AsOf.instant(row["synced_at"] or row["last_seen_at"], zone).on
        counts = (int(row["n_leads"]), int(row["n_deals"]), int(row["n_stage_changes"]))
        found.append(
            SourceCoverage(
                row["source"], *counts, first_on, last_on, row["last_seen_at"].isoformat(timespec="microseconds"), heard_on
            )
        )
    return tuple(sorted(found, key=lambda source: source.source))


def owner_names(reading: "Reading", as_of: AsOf) -> dict[str, str]:
    """Names of employees by id, as known at `as_of`; none where two sources call different people by the same id."""
    rows = reading.rows(
        "select source, owner_id, name from owners where seen_at <= :seen_until order by seen_at, source",
        {"seen_until": as_of.seen_until},
    )
    newest = {(row.source, row.owner_id): row.name for row in rows}
    names: dict[str, set[str]] = {}
    for (_, owner_id), name in newest.items():
        names.setdefault(owner_id, set()).add(name)
    return {owner_id: found.pop() for owner_id, found in sorted(names.items()) if len(found) == 1}


def leads_by_day(reading: "Reading", as_of: AsOf) -> tuple[int, list[date]]:
    """How many leads are in scope, and the days that have any; what is dated in the future does not count."""
    rows = reading.rows(
        "select created_on, count(*) as n from journeys where created_at <= :seen_until group by created_on",
        {"seen_until": as_of.seen_until},
    )
    return sum(int(row.n) for row in rows), [row.created_on for row in rows]


def told_of(gap: Gap | None, sources: Sequence[SourceCoverage], as_of: AsOf, settings: Settings) -> Iterator[Finding]:
    """What the reader has to know of the data as a whole; it takes nothing off the trust score."""
    if gap is not None:
        days: dict[str, str | int | float] = {"last_on": gap.last_on.isoformat(), "first_on": gap.first_on.isoformat()}
        yield Finding("history_gap", "info", "journeys", gap.n_weeks, days)
    files = {source.name for source in settings.sources if source.kind == "files"}
    for source in sources:
        n_days = (as_of.on - source.heard_on).days
        if n_days > STALE_DAYS:
            # An export is as old as it is; a portal should be read every night.
            severity = "info" if source.source in files else "warning"
            yield Finding("source_stale", severity, source.source, n_days, {"heard_on": source.heard_on.isoformat()})


def erased_from(reading: "Reading", window: Window, launch: Launch, settings: Settings) -> Iterator[Finding]:
    """That people were erased on request from the months looked at: what was computed before that cannot be computed again."""
    first, last = f"{window.start:%Y-%m}", f"{window.end:%Y-%m}"
    rows = [
        row
        for row in reading.rows(load("erased"))
        if row.month is not None and first <= row.month <= last and row.source in (launch.scope.sources or (row.source,))
    ]
    for kind in ("leads", "deals"):  # deals alone are counted only where there are no leads
        erased = [row for row in rows if row.table_name == kind]
        if erased:
            on = AsOf.instant(max(row.erased_at for row in erased), settings.business.zone).on
            yield Finding("erased_on_request", "info", kind, sum(int(row.n) for row in erased), {"last_on": on.isoformat()})
            return


def find_horizon(reading: "Reading", launch: Launch, settings: Settings, as_of: AsOf, known_on: date) -> Horizon:
    """Configured, or chosen from leads watched for the longest horizon before the launch; a short pre period is watched on
    after it, because outcomes late by weeks are cut off otherwise."""
    before = AsOf.day(launch.started_on - timedelta(days=1), settings.business.zone).seen_until
    populations = [
        (horizon_population(launch.started_on), before),
        (min(launch.started_on, known_on - timedelta(days=max(HORIZONS))), as_of.seen_until),
    ]
    chosen = Horizon(0, "default")
    for created_before, seen_before in populations:
        parameters = {"created_before": created_before, "seen_before": seen_before}
        rows = reading.columns(
            load("outcomes_by_age"), {**parameters, **{f"hours_{days}": horizon_hours(days) for days in HORIZONS}}
        ).to_pylist()
        found = {row["outcome"]: row for row in rows}
        outcome = "paid" if "paid" in found else "visited"
        counts = found.get(outcome, {})
        chosen = choose_horizon(outcome, {days: int(counts.get(f"n_{days}", 0)) for days in HORIZONS}, int(counts.get("n", 0)))
        if chosen.chosen_from == "data":
            break
    return (
        chosen if launch.horizon_days is None else Horizon(launch.horizon_days, "launch", chosen.outcome, None, chosen.n_outcomes)
    )
