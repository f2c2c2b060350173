"""Data checks: each file in sql/checks returns the rows that are wrong; here they become findings and a trust score."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from connectors.contract import Finding
from pipeline import queries

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

FULL_TRUST = 100
N_EXAMPLES = 5
# From this share of the leads on, a finding is an error: the figures it touches cannot be used.
ERROR_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Weight:
    """How much a check takes off the trust score: `points` times the share of leads it touches, `points` at most.

    Weights of 100 and more are for what falsifies the outcome itself (a stage nobody mapped, a visit nobody closed, a
    payment without an amount); of 50 for what blurs it; below that for what only hurts a breakdown.
    """

    points: float
    severity: str = "warning"


WEIGHTS = {
    "unmapped_stages": Weight(200, "error"),
    "quarantined_rows": Weight(150),
    "visits_never_closed": Weight(100),
    "paid_without_amount": Weight(100),
    "foreign_currency": Weight(100),
    "stage_without_history": Weight(100),
    "outcome_before_creation": Weight(100),
    "negative_amounts": Weight(50),
    "future_dates": Weight(50),
    "duplicate_leads": Weight(50),
    "leads_without_source": Weight(50),
    "owner_unknown": Weight(10, "info"),
}
DEFAULT_WEIGHT = Weight(50)  # a check that was added without saying how bad it is


@dataclass(frozen=True, slots=True)
class Window:
    """What the checks look at: leads created in [start, end), as known at `seen_until`; bookings older than
    `mature_before` should have an outcome."""

    start: date
    end: date
    mature_before: date
    seen_until: datetime
    currency: str


def names() -> list[str]:
    """All checks, sorted."""
    return [name.rpartition("/")[2] for name in queries.names("checks")]


def run_checks(reading: "Reading", window: Window) -> tuple[Finding, ...]:
    """Findings of all checks that found something, worst first; `n_leads` and `share` are in `detail`.

    Needs the temporary tables of `build_journeys`. Raises WarehouseError.
    """
    counted = "select count(*) as n from journeys where created_on >= :start and created_on < :end"
    n_leads = int(reading.rows(counted, {"start": window.start, "end": window.end})[0].n)
    found = [finding for name in names() if (finding := _finding(reading, name, window, n_leads)) is not None]
    return tuple(sorted(found, key=lambda finding: (-penalty(finding), finding.code)))


class WrongRow(NamedTuple):
    """A row a check found; `entity` is a stream where the row could not be read."""

    source: str
    entity: str
    record_id: str | None
    owner_id: str | None


def wrong_rows(reading: "Reading", name: str, window: Window, limit: int | None = None) -> list[WrongRow]:
    """The rows a check found, sorted."""
    body, values = _ready(reading, name, window)
    # Byte order on every engine: PostgreSQL would sort by the rules of its own language.
    order = "order by " + ", ".join(f'{column} collate "C"' for column in ("source", "entity", "record_id", "owner_id"))
    order += f" limit {limit:d}" if limit is not None else ""
    rows = reading.rows(f"select source, entity, record_id, owner_id from (\n{body}\n) as wrong {order}", values)
    return [WrongRow(row.source, row.entity, row.record_id, row.owner_id) for row in rows]


def penalty(finding: Finding) -> float:
    """Points a finding takes off the trust score."""
    return WEIGHTS.get(finding.code, DEFAULT_WEIGHT).points * float(finding.detail.get("share", 0.0))


def trust_score(findings: Sequence[Finding]) -> int:
    """100 minus the penalties, at least 0: how far the data can be believed. Half a point rounds down."""
    lost = sum(penalty(finding) for finding in findings)
    return max(0, FULL_TRUST - int(lost + 0.5 + 1e-9))


def _ready(reading: "Reading", name: str, window: Window) -> tuple[str, dict[str, object]]:
    query = queries.load(f"checks/{name}")
    values = {key: getattr(window, key) for key in query.parameters}
    query.check(values)
    return query.sql(reading.dialect), values


def _finding(reading: "Reading", name: str, window: Window, n_leads: int) -> Finding | None:
    body, values = _ready(reading, name, window)
    n = int(reading.rows(f"select count(*) as n from (\n{body}\n) as wrong", values)[0].n)
    if not n:
        return None
    n_all = n_leads
    if name == "quarantined_rows":  # what could not be read has neither a day nor a channel: all of its source stands against it
        n_all = n + int(reading.rows(queries.load("rows_seen"), {"seen_until": window.seen_until})[0].n)
    share = min(n / n_all, 1.0) if n_all else 1.0
    weight = WEIGHTS.get(name, DEFAULT_WEIGHT)
    examples = [record_id for _, _, record_id, _ in wrong_rows(reading, name, window, N_EXAMPLES) if record_id]
    detail: dict[str, str | int | float] = {"share": share, "n_leads": n_leads, "examples": ", ".join(examples)}
    if name == "unmapped_stages":
        detail["stages"] = ", ".join(_unmapped(reading, window))
    is_error = weight.severity == "error" or (weight.severity == "warning" and share >= ERROR_SHARE)
    return Finding(name, "error" if is_error else weight.severity, "journeys", n, detail)


def _unmapped(reading: "Reading", window: Window) -> list[str]:
    """«What people call the stage» (where it is): how many records; the most frequent first."""
    query = queries.load("unmapped_by_stage")
    rows = sorted(
        reading.rows(query, {key: getattr(window, key) for key in query.parameters}),
        key=lambda row: (-row.n, row.source, row.entity, row.pipeline_id, row.stage_id),
    )
    found = []
    for row in rows:
        place = f"{row.source} {row.entity}{'/' + row.pipeline_id if row.pipeline_id else ''} {row.stage_id}"
        found.append(f"«{row.name}» ({place}): {row.n}" if row.name else f"{place}: {row.n}")
    return found
