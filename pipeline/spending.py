"""What a launch costs over its weeks: its own lines, its part of shared costs, the ad spend of its channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from pipeline.ad_spend import Spend
from pipeline.costs import CostLine, Costs, made_of
from pipeline.shared_costs import SharedCost, split
from pipeline.weekly import IndexArray

MONTH_DAYS = 365.25 / 12


@dataclass(frozen=True, slots=True)
class LaunchMoney:
    """The costs of a launch, and by week what its ads cost; `spans` are the days of which the spend is known.

    `weekly`: one amount a week of the series, None where the spend of that week is not known; empty for a launch that
    counts no ad spend.
    """

    costs: Costs
    channels: tuple[str, ...] = ()
    weekly: tuple[Decimal | None, ...] = ()
    spans: Mapping[str, tuple[tuple[date, date], ...]] = field(default_factory=dict)

    def over(self, post: IndexArray) -> Costs:
        """The costs with the ad spend of the weeks at these positions, as so much a month."""
        if not self.channels:
            return self.costs
        paid = [self.weekly[n] for n in post if n < len(self.weekly)]
        facts: dict[str, object] = {"channels": list(self.channels)}
        if not paid or None in paid:
            told = {channel: [list(span) for span in spans] for channel, spans in self.spans.items()}
            line = CostLine("ad_spend", kind="ad_spend", facts={**facts, "known": told})
        else:
            total = sum((cost for cost in paid if cost is not None), Decimal(0))
            a_month = float(total) / (7 * len(paid) / MONTH_DAYS)
            line = made_of("ad_spend", {"monthly": (a_month, a_month)}, "ad_spend", {**facts, "total": float(total)})
        return replace(self.costs, lines=(*self.costs.lines, line))


def shared_line(cost: SharedCost, launch: str, measured: Mapping[str, int | Decimal]) -> CostLine:
    """A launch's part of a shared cost, to the kopeck. `measured`: leads or revenue by launch, for those keys."""
    weights = cost.weights(measured)
    n = cost.launches.index(launch)
    parts = {}
    for part, whole in (("once", cost.once), ("monthly", cost.monthly)):
        if whole is not None:
            mine = float(split(whole, weights)[n])
            parts[part] = (mine, mine)
    together = sum(weights) or len(weights)
    facts: dict[str, object] = {
        "title": cost.title, "key": cost.key if any(weights) else "equal_for_now", "stated_key": cost.key,
        "launches": list(cost.launches), "share": float((weights[n] if any(weights) else 1) / Decimal(together)),
        "whole": {name: float(whole) for name, whole in (("once", cost.once), ("monthly", cost.monthly)) if whole is not None},
    }  # fmt: skip
    return made_of(cost.name, parts, "shared", facts)


def with_ads(costs: Costs, channels: Sequence[str], spend: Spend | None, weeks: Sequence[date]) -> LaunchMoney:
    """The costs of a launch that counts the spend of these channels in the weeks of the series (their Mondays)."""
    if not channels:
        return LaunchMoney(costs)
    weekly = []
    for monday in weeks:
        found = [None if spend is None else spend.of(channel, (monday,)) for channel in channels]
        weekly.append(None if None in found else sum((cost for cost in found if cost is not None), Decimal(0)))
    spans = {channel: () if spend is None else spend.spans(channel) for channel in channels}
    return LaunchMoney(costs, tuple(channels), tuple(weekly), spans)


def shared_from(cost: SharedCost, starts: Mapping[str, date], known_on: date) -> tuple[date, tuple[str, ...]]:
    """From which day leads or revenue split a shared cost: since the last of its launches that run has started; and which run."""
    running = tuple(name for name in cost.launches if starts[name] < known_on)
    return max((starts[name] for name in running), default=known_on - timedelta(days=1)), running
