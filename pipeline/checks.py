"""Data checks: each file in sql/checks returns the rows that are wrong; here they become findings and a trust score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from connectors.contract import Finding
from pipeline import queries
from pipeline.journeys import UNMAPPED, StageUse

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


def run_checks(reading: "Reading", window: Window, stages: Iterable[StageUse] = ()) -> tuple[Finding, ...]:
    """Findings of all checks that found something, worst first; `n_leads` and `share` are in `detail`.

    Needs the temporary tables `journeys` and `stage_map`. Raises WarehouseError.
    """
    counted = "select count(*) as n from journeys where created_on >= :start and created_on < :end"
    n_leads = int(reading.rows(counted, {"start": window.start, "end": window.end})[0].n)
    found = [finding for name in names() if (finding := _finding(reading, name, window, n_leads, stages)) is not None]
    return tuple(sorted(found, key=lambda finding: (-penalty(finding), finding.code)))


def wrong_rows(
    reading: "Reading", name: str, window: Window, limit: int | None = None
) -> list[tuple[str, str, str | None, str | None]]:
    """The rows a check found: source, entity (or stream), record id, owner id; sorted."""
    body, values = _ready(reading, name, window)
    # Byte order on every engine: PostgreSQL would sort by the rules of its own language.
    order = "order by " + ", ".join(f'{column} collate "C"' for column in ("source", "entity", "record_id", "owner_id"))
    order += f" limit {limit:d}" if limit is not None else ""
    rows = reading.rows(f"select source, entity, record_id, owner_id from (\n{body}\n) as wrong {order}", values)
    return [(row.source, row.entity, row.record_id, row.owner_id) for row in rows]


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


def _finding(reading: "Reading", name: str, window: Window, n_leads: int, stages: Iterable[StageUse]) -> Finding | None:
    body, values = _ready(reading, name, window)
    n = int(reading.rows(f"select count(*) as n from (\n{body}\n) as wrong", values)[0].n)
    if not n:
        return None
    share = min(n / n_leads, 1.0) if n_leads else 1.0
    weight = WEIGHTS.get(name, DEFAULT_WEIGHT)
    examples = [record_id for _, _, record_id, _ in wrong_rows(reading, name, window, N_EXAMPLES) if record_id]
    detail: dict[str, str | int | float] = {"share": share, "n_leads": n_leads, "examples": ", ".join(examples)}
    if name == "unmapped_stages":
        detail["stages"] = ", ".join(_unmapped(stages))
    is_error = weight.severity == "error" or (weight.severity == "warning" and share >= ERROR_SHARE)
    return Finding(name, "error" if is_error else weight.severity, "journeys", n, detail)


def _unmapped(stages: Iterable[StageUse]) -> list[str]:
    unmapped = sorted(
        (use for use in stages if use.milestone == UNMAPPED), key=lambda use: (-use.n, use.source, use.entity, use.stage_id)
    )
    return [
        f"{use.source}.{use.entity}{'/' + use.pipeline_id if use.pipeline_id else ''} {use.stage_id}: {use.n}" for use in unmapped
    ]
