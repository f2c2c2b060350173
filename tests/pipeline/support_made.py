"""A helpdesk's requests as records, beside the salon of `salon_made`."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.records import SupportRequest

_REQUEST = SupportRequest(
    request_id="1", created_at=datetime(2026, 1, 5, 10), created_on=datetime(2026, 1, 5).date(), modified_at=None,
    channel="telegram", tags=None, priority=None, first_reply_at=None, closed_at=None, closed_by=None, csat=None, csat_max=None, nps=None,
    crm=None, lead_id=None, deal_id=None, contact_id=None, customer_hash=None,
)  # fmt: skip


def request(number: int, at: datetime, *, reply: float | None = None, close: float | None = None, by: str | None = None,
            csat: tuple[float, int] | None = None, **fields: Any) -> SupportRequest:
    """Request `number` of `at` (UTC), answered and closed so many minutes later."""
    times = {"first_reply_at": reply, "closed_at": close}
    made = {name: None if minutes is None else at + timedelta(minutes=minutes) for name, minutes in times.items()}
    score = {} if csat is None else {"csat": Decimal(str(csat[0])), "csat_max": csat[1]}
    return replace(_REQUEST, request_id=str(number), created_at=at, created_on=at.date(), closed_by=by, **made, **score, **fields)
