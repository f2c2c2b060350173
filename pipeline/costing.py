"""The costs of a launch as a measurement reckons with them: checklist with typical ranges, parts of shared costs, ad spend."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pipeline.account import weigh_launches
from pipeline.ad_spend import Spend
from pipeline.checklist import with_typical
from pipeline.costs import CostLine
from pipeline.errors import ConfigError
from pipeline.launches import Launch
from pipeline.periods import Periods
from pipeline.settings import COSTS_FILE, Settings
from pipeline.shared_costs import SharedCost
from pipeline.spending import LaunchMoney, shared_from, shared_line, with_ads
from pipeline.strict import nearest

if TYPE_CHECKING:
    from pipeline.warehouse import Reading


def launch_money(
    reading: "Reading", launch: Launch, settings: Settings, spend: Spend | None, periods: Periods, known_on: date,
    seen_until: datetime,
) -> LaunchMoney:  # fmt: skip
    """Every cost of the launch. Needs its journeys. Raises ConfigError (a negative cost, a channel whose spend nobody told)."""
    costs = launch.costs.counted()
    lines = with_typical(costs.lines, settings.typical_costs, settings.business.currency)
    shared = _shared(reading, launch, settings, known_on, seen_until)
    costs = replace(costs, lines=(*lines, *shared))
    for channel in launch.costs.ad_spend:
        known = spend.channels if spend else ()
        if channel not in known:
            file = settings.folder / "launches.toml"
            where = f"{file}: [{launch.name}.costs.ad_spend]: no spend of channel {channel!r} is told"
            hint = f"{COSTS_FILE} tells it ([ad_spend], docs/costs.md); channels with spend: {', '.join(known) or 'none'}"
            raise ConfigError(f"{where}{nearest(channel, known)}", hint=hint)
    return with_ads(costs, launch.costs.ad_spend, spend, periods.weeks)


def _shared(
    reading: "Reading", launch: Launch, settings: Settings, known_on: date, seen_until: datetime
) -> Iterator[CostLine]:
    for cost in settings.shared_costs:
        if launch.name in cost.launches:
            yield shared_line(cost, launch.name, _measured(reading, launch, settings, cost, known_on, seen_until))


def _measured(
    reading: "Reading", launch: Launch, settings: Settings, cost: SharedCost, known_on: date, seen_until: datetime
) -> dict[str, int | Decimal]:
    """Leads or revenue by launch since all of those that run were running; a launch that has not started has none."""
    if cost.key not in ("leads", "revenue"):
        return {}
    members = [settings.launch(name) for name in cost.launches]
    start, running = shared_from(cost, {one.name: one.started_on for one in members}, known_on)
    found = weigh_launches(reading, launch, [one for one in members if one.name in running], start, known_on, seen_until)
    n = 0 if cost.key == "leads" else 1
    return {name: found[name][n] if name in found else 0 for name in cost.launches}
