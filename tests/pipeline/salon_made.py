"""A small salon's leads as records, with a known effect; and settings to measure it with."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from connectors.records import Deal, Lead, Record, StageChange
from connectors.secrets import Secret
from pipeline.launches import Launch, LaunchCosts
from pipeline.settings import Business, ChannelRule, Settings
from pipeline.stages import StageRule
from tests.pipeline.records_made import lead as plain_lead

FIRST = date(2026, 1, 5)  # a Monday
LAUNCHED = date(2026, 5, 4)  # seventeen weeks later
MILESTONES = {"NEW": "none", "BOOKED": "booked", "CAME": "visited", "MISSED": "no_show", "PAID": "paid"}
STAGES = tuple(StageRule("crm", "lead", "*", stage, milestone) for stage, milestone in MILESTONES.items())
CHANNELS = (ChannelRule("Search", utm_source=("google*",)), ChannelRule("Social", utm_source=("vk", "insta*")))


def settings(*, stages=STAGES, channels=CHANNELS, closures=(), launches=()) -> Settings:
    """Settings as payback.toml would give them; times are UTC to keep the tests readable."""
    business = Business(timezone="UTC", closures=closures)
    return Settings(
        folder=Path(), business=business, warehouse_url=Secret("unused"), sources=(), channels=channels,
        stages=stages, launches=launches, hash_key=Secret("k" * 16),
    )  # fmt: skip


def launch(**changed) -> Launch:
    """The assistant of the tests."""
    costs = LaunchCosts(one_off=3000.0, monthly=500.0)
    return replace(Launch("assistant", "Assistant", LAUNCHED, margin=0.5, costs=costs, horizon_days=14), **changed)


def salon(*, n_weeks=30, per_week=60, booking=0.4, lift=0.0, seed=5, channels=("google", "vk", None)) -> list[Record]:
    """Leads of `n_weeks` weeks; from the launch on the booking rate is multiplied by 1 + `lift`.

    A booked lead comes (75 %) or not within ten days, and whoever comes pays about 1 500.
    """
    rng = np.random.default_rng(seed)
    records: list[Record] = []
    for number in range(n_weeks * per_week):
        created_at = datetime.combine(FIRST, datetime.min.time()) + timedelta(minutes=int(number * 7 * 24 * 60 / per_week) + 600)
        rate = booking * (1 + lift if created_at.date() >= LAUNCHED else 1)
        steps = [("NEW", 0.0)]
        if rng.random() < rate:
            steps.append(("BOOKED", float(rng.integers(1, 48))))
            came = rng.random() < 0.75
            steps.append(("CAME" if came else "MISSED", float(rng.integers(50, 230))))
            if came:
                steps.append(("PAID", steps[-1][1] + 1))
        amount = Decimal(int(rng.lognormal(7.2, 0.4) * 100)) / 100 if steps[-1][0] == "PAID" else Decimal("0.00")
        source = channels[int(rng.integers(len(channels)))]
        records += lead_with(
            number, created_at, steps, amount=amount, utm_source=source, crm_source=None, owner_id=str(number % 3)
        )
    return records


def lead_with(number, created_at, steps, **fields) -> list[Record]:
    """A lead in the last of its `steps` (stage, hours since creation), and its history."""
    moves: list[Record] = []
    for n, (stage_id, hours) in enumerate(steps):
        moved_at = created_at + timedelta(hours=hours)
        moves.append(StageChange("lead", f"{number}-{n}", str(number), stage_id, "0", None, moved_at, moved_at.date()))
    last = moves[-1]
    assert isinstance(last, StageChange)
    customer = {"contact_id": None, "customer_hash": f"hash-{number}", "utm_medium": None, **fields}
    made = plain_lead(
        number,
        created_at=created_at,
        created_on=created_at.date(),
        stage_id=last.stage_id,
        moved_at=last.moved_at,
        modified_at=None,
        **customer,
    )
    return [made, *moves]


def deal(number, of, created_at, stage_id, amount, **fields) -> Deal:
    """A deal that grew from lead `of` (None: from none)."""
    source = plain_lead(number)
    shared = {name: getattr(source, name) for name in Deal.__slots__ if name in Lead.__slots__ and name not in fields}
    own = {
        "deal_id": str(number),
        "lead_id": of,
        "created_at": created_at,
        "created_on": created_at.date(),
        "moved_at": created_at,
    }
    return Deal(**{**shared, **own, "stage_id": stage_id, "amount": amount, "is_template": False, **fields})
