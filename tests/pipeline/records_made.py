"""Records with plain values, for tests that care about few of their fields."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.contract import Deletes, Stream, Walk
from connectors.records import Lead, Stage, StageChange

LEADS = Stream("leads", Lead, is_incremental=True, deletes=Deletes.COUNT)
LEAD_MOVES = Stream("lead_moves", StageChange, is_append_only=True, only={"entity": "lead"})
DEAL_MOVES = Stream("deal_moves", StageChange, is_append_only=True, only={"entity": "deal"})
STAGES = Stream("stages", Stage, walk=Walk.WHOLE, deletes=Deletes.SWEEP)

_DAY = datetime(2026, 1, 5, 9, 0)
_LEAD = Lead(
    lead_id="1",
    created_at=_DAY,
    created_on=_DAY.date(),
    modified_at=_DAY,
    moved_at=_DAY,
    stage_id="NEW",
    semantics="open",
    pipeline_id="0",
    owner_id="7",
    crm_source="web",
    utm_source="google",
    utm_medium="cpc",
    utm_campaign=None,
    utm_content=None,
    utm_term=None,
    amount=Decimal("1500.50"),
    currency="RUB",
    contact_id="31",
    customer_hash="d41d8cd98f00b204e9800998ecf8427e",
    has_phone=True,
    is_repeat=False,
    branch="Центр",
    extra=None,
)


def lead(number: int, **changed: Any) -> Lead:
    """Lead `number`, created so many minutes after the first."""
    created_at = _DAY + timedelta(minutes=number)
    return replace(_LEAD, **{"lead_id": str(number), "created_at": created_at, "created_on": created_at.date(), **changed})


def move(entity: str, number: int, of: int, stage: str = "NEW") -> StageChange:
    """Change `number` of lead or deal `of` into `stage`."""
    moved_at = _DAY + timedelta(minutes=number)
    return StageChange(entity, str(number), str(of), stage, "0", None, moved_at, moved_at.date())  # type: ignore[arg-type]  # "lead" or "deal"


def stage(entity: str, pipeline: str, name: str) -> Stage:
    """A stage of a dictionary, called as its code."""
    return Stage(entity, pipeline, name, name.title(), "open", None)  # type: ignore[arg-type]  # "lead" or "deal"
