"""What ads brought, channel by channel, before and after the launch: CPL, CAC, ROMI, ROAS, DRR, or why there is none.

Leads, customers and revenue are those of the report (mature leads of the counted weeks, outcomes within the horizon), spend that
of the same weeks. ROMI is on revenue here, as the field reckons it: ROMI = (ROAS - 1); a launch's own ROI is on profit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pipeline.ad_spend import Spend

RETURNS = ("cpl", "cac", "romi", "roas", "drr")


@dataclass(frozen=True, slots=True)
class Counted:
    """What one channel brought on one side; customers and revenue None where no stage stands for a payment."""

    leads: float
    customers: float | None
    revenue: float | None


@dataclass(frozen=True, slots=True)
class AdReturns:
    """One channel on one side; `missing`: figure -> why it is None."""

    spend: Decimal | None
    counted: Counted
    cpl: float | None
    cac: float | None
    romi: float | None
    roas: float | None
    drr: float | None
    missing: Mapping[str, str]


def ad_returns(spend: Decimal | None, counted: Counted, *, is_part: bool = False, has_weeks: bool = True) -> AdReturns:
    """The figures of a channel on a side. `is_part`: the launch's scope holds only some of its leads, the spend is whole."""
    whole = float(spend) if spend is not None else None
    reasons = dict.fromkeys(RETURNS, "")
    general = "no_weeks" if not has_weeks else "scope" if is_part else "spend_unknown" if whole is None else ""
    if general or whole is None:
        return AdReturns(spend, counted, None, None, None, None, None, dict.fromkeys(RETURNS, general))
    cpl, reasons["cpl"] = _ratio(whole, counted.leads, "no_leads")
    cac, reasons["cac"] = _ratio(whole, counted.customers, "no_customers")
    roas, reasons["roas"] = _ratio(counted.revenue, whole, "spend_zero")
    drr, reasons["drr"] = _ratio(whole, counted.revenue, "no_revenue")
    reasons["romi"] = reasons["roas"]
    missing = {name: reason for name, reason in reasons.items() if reason}
    return AdReturns(spend, counted, cpl, cac, None if roas is None else roas - 1, roas, drr, missing)


def _ratio(above: float | None, below: float | None, at_zero: str) -> tuple[float | None, str]:
    if above is None or below is None:
        return None, "no_payments"
    return (above / below, "") if below > 0 else (None, at_zero)


def spend_of(spend: Spend, channel: str, weeks: tuple[date, ...]) -> Decimal | None:
    """A channel's spend of a side; None where it has no weeks, or some day is not known."""
    return spend.of(channel, weeks) if weeks else None
