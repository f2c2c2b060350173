"""Support: how fast, how well, and what it earns: retained revenue, hours that a bot saves, and what it costs.

Support ROI = (retained revenue x margin + automation saving - support cost) / support cost, over the weeks that count after the
launch. Retained revenue is what customers who had paid before paid after writing, beyond what the same dialogues brought before
the launch. It stands beside the launch's money and is never added to it: the same payments are among the leads' revenue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.text import fold
from pipeline import queries
from pipeline.effects import Interval
from pipeline.launches import ANY_PRIORITY, Launch, SupportTerms
from pipeline.observed import Observed, Sides, observe
from pipeline.periods import horizon_hours, monday_after
from pipeline.roi import MONTH_DAYS, roi

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

MIN_RETURNS = 10  # dialogues that were followed by a payment, on each side: fewer say nothing of what a dialogue brings
QUIET_DAYS = 7  # a source silent for longer ends with its last request: an export is as old as it is
OF_REQUESTS = ("requests", "first_reply", "sla_share", "close_time", "bot_share", "csat", "nps")
OF_DIALOGUES = ("dialogue_conversion", "returned", "returned_revenue")


@dataclass(frozen=True, slots=True)
class RequestSource:
    """Live requests of one source, as known."""

    source: str
    n: int
    first_on: date
    last_on: date


@dataclass(frozen=True, slots=True)
class Retained:
    """What customers who had paid before paid again after a dialogue: `n_dialogues` and `revenue` as counted after the launch,
    `incremental` and `profit` beyond the dialogues' revenue before it; `missing` says why one of these is None."""

    n_dialogues: float
    revenue: float
    incremental: Interval | None
    profit: Interval | None
    missing: str | None


@dataclass(frozen=True, slots=True)
class Automation:
    """Requests a bot closed after the launch, those beyond the share it closed before, and what they save: hours, money."""

    n_closed: float
    n_beyond: float
    has_baseline: bool
    hours: float | None
    saving: float | None
    is_cash: bool
    missing: str | None


@dataclass(frozen=True, slots=True)
class SupportMoney:
    """Benefit is the sum of the parts that could be counted; what could not is in `not_counted`, never 0.

    ROI is None without a cost, at cost 0, and when nothing of the benefit was counted; `missing` says which.
    """

    benefit: Interval | None
    cost: float | None
    net: Interval | None
    roi: Interval | None
    not_counted: tuple[str, ...]
    missing: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """Everything the document says of support. `sides` are the weeks whose requests count, `return_sides` those whose
    customers have had `return_days` to come back. `n_unpromised`: requests of priorities without a promised reply."""

    sources: tuple[RequestSource, ...]
    n_requests: int
    n_unpromised: int
    sides: Sides
    return_sides: Sides
    return_days: int
    metrics: Mapping[str, Observed]
    retained: Retained
    automation: Automation
    money: SupportMoney


def observe_support(
    reading: "Reading", launch: Launch, sides: Sides, *, horizon_days: int, known_on: date, seen_until: datetime
) -> Support | None:
    """Support before and after the launch; None when no request of its channels is known.

    Needs the temporary tables of `build_journeys`. Raises WarehouseError.
    """
    terms = launch.support or SupportTerms()
    known: dict[str, object] = {"seen_until": seen_until}
    rows = reading.columns(queries.load("support_seen"), known).to_pylist()
    wanted = {fold(channel) or "" for channel in terms.channels}
    rows = [row for row in rows if not wanted or row["channel"] in wanted]
    if not rows:
        return None
    sources = _sources(rows)
    promised = _promises(terms, {row["priority"] for row in rows})
    reading.load("support_channels", _table({"channel": sorted({row["channel"] for row in rows})}))
    reading.load("sla_map", _table({"priority": list(promised)}, {"minutes": list(promised.values())}))
    reading.create("support", queries.load("support_requests"), known)
    return_days = terms.return_days or horizon_days
    first_s = (sides.span[0] - date(1970, 1, 1)).days * 86_400.0
    stretches = {"first_s": first_s, "stretches_a_second": 1 / (return_days * 86_400)}
    reading.create("dialogues", queries.load("dialogues"), {**known, **stretches, "return_hours": horizon_hours(return_days)})
    counted = sides.within(*_covered(sources, known_on))
    returns = counted.within(until=known_on - timedelta(days=return_days))
    found = {name: observe(reading, f"support/{name}", counted) for name in OF_REQUESTS}
    found |= {name: observe(reading, f"support/{name}", returns) for name in OF_DIALOGUES}
    retained = retained_revenue(found["returned_revenue"], found["returned"], launch.margin)
    automation = automation_saving(found["bot_share"], terms)
    return Support(
        sources=sources, n_requests=sum(source.n for source in sources),
        n_unpromised=sum(int(row["n"]) for row in rows if row["priority"] not in promised) if terms.sla_minutes else 0,
        sides=counted, return_sides=returns, return_days=return_days,
        metrics={name: one for name, one in found.items() if not one.is_empty}, retained=retained, automation=automation,
        money=support_money(retained, automation, support_cost(terms, counted.post_days, found["requests"].post["n"])),
    )  # fmt: skip


def retained_revenue(revenue: Observed, returned: Observed, margin: float | None) -> Retained:
    """The change of what a dialogue with an earlier customer brings, times the dialogues after the launch."""
    n = revenue.post.get("n") or 0.0
    seen = revenue.post.get("total") or 0.0
    change = revenue.changes.get("value")
    missing = "no_post" if not n else "no_pre" if not revenue.pre.get("n") else None
    if missing is None and min(side.get("numerator") or 0.0 for side in (returned.pre, returned.post)) < MIN_RETURNS:
        missing = "too_few_returns"
    if change is None or missing is not None:
        return Retained(n, seen, None, None, missing or "too_few_weeks")
    incremental = change.scaled(n)
    if margin is None:
        return Retained(n, seen, incremental, None, "margin_missing")
    return Retained(n, seen, incremental, incremental.scaled(margin), None)


def automation_saving(closed: Observed, terms: SupportTerms) -> Automation:
    """Requests closed by a bot beyond its share before the launch x minutes of a person x rate.

    Without any closed request before, all of them are beyond; `has_baseline` says so.
    """
    n = closed.post.get("numerator") or 0.0
    before = closed.pre.get("value")
    beyond = n - (before or 0.0) * (closed.post.get("denominator") or 0.0)
    hours = saving = missing = None
    if not closed.post.get("denominator"):
        missing = "closers_missing"
    elif terms.minutes_per_request is None:
        missing = "minutes_missing"
    else:
        hours = beyond * terms.minutes_per_request / 60
        saving = None if terms.hour_rate is None else hours * terms.hour_rate
        missing = "rate_missing" if saving is None else None
    return Automation(n, beyond, before is not None, hours, saving, terms.is_saved_cash, missing)


def support_cost(terms: SupportTerms, days: float, n_requests: float | None) -> tuple[float | None, tuple[str, ...]]:
    """What support costs over so many days, None when no line is filled in; and the lines that are not."""
    lines = {"one_off": terms.one_off, "monthly": terms.monthly, "per_request": terms.per_request}
    times = {"one_off": 1.0, "monthly": days / MONTH_DAYS, "per_request": n_requests or 0.0}
    filled = {name: amount * times[name] for name, amount in lines.items() if amount is not None}
    return (sum(filled.values()) if filled and days else None), tuple(name for name in lines if name not in filled)


def support_money(retained: Retained, automation: Automation, cost_lines: tuple[float | None, tuple[str, ...]]) -> SupportMoney:
    """The parts together; only cash enters, freed capacity stands beside it."""
    cost, lines = cost_lines
    left_out = [f"cost_{name}" for name in lines]
    parts = []
    if retained.profit is None:
        left_out.insert(0, "retained")
    else:
        parts.append(retained.profit)
    if automation.saving is None or not automation.is_cash:
        left_out.insert(0, "automation" if automation.saving is None else "automation_capacity")
    else:
        parts.append(Interval(automation.saving, automation.saving, automation.saving))
    if not parts:
        return SupportMoney(None, cost, None, None, tuple(left_out), "nothing_counted")
    ends = ("estimate", "low", "high")
    benefit = Interval(*(sum(getattr(part, end) for part in parts) for end in ends))
    if cost is None:
        return SupportMoney(benefit, None, None, None, tuple(left_out), "cost_not_given")
    net = Interval(*(getattr(benefit, end) - cost for end in ends))
    if not cost:
        return SupportMoney(benefit, cost, net, None, tuple(left_out), "cost_zero")
    earned = Interval(*(roi(getattr(benefit, end), cost) or 0.0 for end in ends))
    return SupportMoney(benefit, cost, net, earned, tuple(left_out), None)


def _sources(rows: list[dict[str, object]]) -> tuple[RequestSource, ...]:
    found: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        found.setdefault(str(row["source"]), []).append(row)
    return tuple(
        RequestSource(
            source, sum(int(str(row["n"])) for row in of),
            min(_day(row["first_on"]) for row in of), max(_day(row["last_on"]) for row in of),
        )
        for source, of in sorted(found.items())
    )  # fmt: skip


def _day(at: object) -> date:
    assert isinstance(at, datetime)
    return at.date()


def _promises(terms: SupportTerms, priorities: set[str]) -> dict[str, float]:
    """Minutes to the first reply by priority as the warehouse writes it; priorities without a promise are not in it."""
    given = {fold(name) or "": float(minutes) for name, minutes in terms.sla_minutes.items() if name != ANY_PRIORITY}
    other = terms.sla_minutes.get(ANY_PRIORITY)
    found = {priority: given.get(priority, other) for priority in sorted(priorities)}
    return {priority: float(minutes) for priority, minutes in found.items() if minutes is not None}


def _covered(sources: tuple[RequestSource, ...], known_on: date) -> tuple[date, date]:
    """The first Monday whose week is whole, and the day up to which requests are known."""
    last_on = max(source.last_on for source in sources)
    until = known_on if (known_on - last_on).days <= QUIET_DAYS else last_on + timedelta(days=1)
    return monday_after(min(source.first_on for source in sources)), until


def _table(texts: Mapping[str, list[str]], numbers: Mapping[str, list[float]] | None = None) -> pa.Table:
    columns = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    return pa.table({**columns, **{name: pa.array(values, pa.float64()) for name, values in (numbers or {}).items()}})
