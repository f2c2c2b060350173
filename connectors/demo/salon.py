"""A beauty salon's years of leads with a launch of known effect, as one portal's store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import schema
from .columns import MISSING
from .directory import DEAL_STAGES, LEAD_STAGES, SIMPLE_BOOKED, SIMPLE_DEAL_STAGES, SIMPLE_JUNK, semantics
from .funnel import DAY, HOUR, OFFSET, Floats, Ints, Life, Step, draw_chances, live, track
from .people import CHANNELS, draw_people
from .salon_tables import Contacts, Inquiries, contact_columns, deal_columns, draw_inquiries, history_columns, lead_columns
from .store import Mode, Store, contact_table, deal_table, history_table, lead_table, n_rows
from .truth import NEVER, Truth, World

_WEEKDAYS = np.array([1.1, 1.1, 1.05, 1.05, 1.1, 0.9, 0.7])
_HOURS = np.array([1, 1, 0.5, 0.5, 0.5, 0.5, 1, 2, 4, 7, 9, 9, 9, 8, 8, 8, 8, 8, 8, 8, 7, 6, 4, 2])
_DAYS_AHEAD = 35
_SIMPLE_STAGES = {
    "IN_PROCESS": "PREPARATION",
    "PROCESSED": "PREPAYMENT_INVOICE",
    "JUNK": SIMPLE_JUNK,
    "BOOKED": SIMPLE_BOOKED,
}


@dataclass(frozen=True)
class Plan:
    """Parameters of a salon. Lifts are relative changes the launch makes, on all channels, to leads created after it.

    weeks        whole weeks of leads up to `end_on`; weeks_after of them follow the launch
    season       amplitude of the yearly wave of lead volume; trend: its growth a year
    slow_noise   standard deviation of the slow weekly drift of volume (of the rates: two thirds of it)
    """

    weeks: int = 116
    weeks_after: int = 12
    leads_per_week: float = 320.0
    booking_lift: float = 0.25
    no_show_lift: float = -0.25
    volume_lift: float = 0.0
    season: float = 0.20
    trend: float = 0.08
    slow_noise: float = 0.05
    mode: Mode = "classic"


def build(
    seed: int = 7, today: date | None = None, end_on: date | None = None, now: int | None = None, **settings: Any
) -> Store:
    """A salon as its portal shows it at `now` (UTC seconds; default: the first moment of `today`, Moscow time).

    `end_on`: the Sunday that ends the last whole week, by default the last one before `today`. Leads go on to `now`;
    outcomes later than `now` have not happened yet, and up to five weeks after `end_on` a later `now` only adds to
    the same past. `settings` are fields of `Plan`. The result depends on the arguments alone.
    """
    plan = Plan(**settings)
    today = today or date.today()
    end_on = end_on or today - timedelta(days=today.isoweekday() if today.isoweekday() < 7 else 7)
    if end_on.isoweekday() != 7 or not 0 < plan.weeks_after < plan.weeks:
        raise ValueError(f"end_on {end_on} must be a Sunday, and weeks_after between 1 and weeks - 1")
    now = now if now is not None else _midnight(today)
    launch_on = end_on + timedelta(days=1 - 7 * plan.weeks_after)
    drawn = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
    created, rates, noise = _arrivals(drawn[0], plan, end_on, launch_on, now)
    is_post = created >= _midnight(launch_on)
    channel = drawn[1].choice(len(CHANNELS), len(created), p=[each.share for each in CHANNELS])
    booking_rate = np.array([each.booking_rate for each in CHANNELS])[channel] * rates
    no_show_rate = 0.20 * np.exp(noise)
    chances = draw_chances(drawn[2], created, is_post, booking_rate, no_show_rate)
    larger = max(1.0, 1 + plan.volume_lift)
    u_volume = drawn[0].random(len(created))
    is_with = ~is_post | (u_volume < (1 + plan.volume_lift) / larger)
    is_without = ~is_post | (u_volume < 1 / larger)
    is_past = created < now
    with_launch = live(chances, plan.booking_lift, plan.no_show_lift)
    truth = Truth(
        launch_on,
        end_on,
        asdict(plan) | {"seed": seed, "now": now},
        _world(with_launch, created, chances.amount, is_with & is_past),
        _world(live(chances, 0.0, 0.0), created, chances.amount, is_without & is_past),
    )
    ours = np.flatnonzero(is_with)
    person = draw_people(drawn[3], len(ours), plan.leads_per_week / 7)
    dismissed_at = _midnight(end_on) - int(0.4 * plan.weeks * 7 * DAY)
    inquiries = draw_inquiries(drawn[3], created[ours], channel[ours], person, chances.amount[ours], dismissed_at)
    n_served = int(is_past[ours].sum())
    return _store(inquiries.first(n_served), _only(with_launch, ours[:n_served]), now, plan.mode, seed, truth)


def _arrivals(
    rng: np.random.Generator, plan: Plan, end_on: date, launch_on: date, now: int
) -> tuple[Ints, Floats, Floats]:
    """Moments of creation to `now` and beyond, and by lead the booking-rate factor and the drift of the no-show rate."""
    first_on = end_on + timedelta(days=1 - 7 * plan.weeks)
    n_days = max(7 * plan.weeks + _DAYS_AHEAD, -(-(now - _midnight(first_on)) // DAY))
    day = np.arange(n_days)
    n_weeks = -(-n_days // 7)
    drift, booking_drift, no_show_drift = (_drift(rng, n_weeks, plan.slow_noise * share) for share in (1, 2 / 3, 2 / 3))
    year_day = (first_on.timetuple().tm_yday + day) % 365.25
    volume = plan.leads_per_week / 7 * np.exp(drift[day // 7]) * (1 + plan.trend * (day / 7 - plan.weeks) / 52)
    volume *= 1 + plan.season * np.cos(2 * np.pi * (year_day - 344) / 365.25)  # December is the peak of a salon
    volume *= (_WEEKDAYS / _WEEKDAYS.mean())[day % 7]
    is_post = day >= (launch_on - first_on).days
    volume[is_post] *= max(1.0, 1 + plan.volume_lift)
    lead_day = np.repeat(day, rng.poisson(volume))
    hour = rng.choice(24, len(lead_day), p=_HOURS / _HOURS.sum())
    created = _midnight(first_on) + lead_day * DAY + hour * HOUR + rng.integers(0, HOUR, len(lead_day))
    order = np.argsort(created, kind="stable")
    week = lead_day[order] // 7
    return created[order].astype(np.int64), np.exp(booking_drift[week]), no_show_drift[week]


def _drift(rng: np.random.Generator, n_weeks: int, sd: float) -> Floats:
    """A slow first-order autoregression with this standard deviation."""
    steps = rng.normal(0, sd * np.sqrt(1 - 0.7**2), n_weeks)
    drift = np.empty(n_weeks)
    level = rng.normal(0, sd)
    for week, step in enumerate(steps):
        level = drift[week] = 0.7 * level + step
    return drift


def _world(life: Life, created: Ints, amount: Floats, is_in: NDArray[np.bool_]) -> World:
    def after(at: Ints) -> Ints:
        return np.where(at == MISSING, NEVER, at - created)[is_in]

    day = (created[is_in] + OFFSET) // DAY
    return World(day, after(life.booked), after(life.visited), after(life.no_show), after(life.paid), amount[is_in])


def _only(life: Life, rows: NDArray[np.intp]) -> Life:
    def cut(steps: list[Step]) -> list[Step]:
        return [Step(step.stage, step.at[rows]) for step in steps]

    booked, visited, no_show, paid = (at[rows] for at in (life.booked, life.visited, life.no_show, life.paid))
    return Life(booked, visited, no_show, paid, cut(life.inquiry), cut(life.visit))


def _store(inquiries: Inquiries, life: Life, now: int, mode: Mode, seed: int, truth: Truth) -> Store:
    """Tables of the portal as of `now`."""
    has_booked = (life.booked != MISSING) & (life.booked <= now)
    people = Contacts.of(inquiries, np.where(has_booked, life.booked, MISSING))
    is_classic = mode == "classic"
    if is_classic:
        lead_steps = [*life.inquiry, Step("CONVERTED", life.booked)]
        dealt = np.flatnonzero(has_booked)
        dealt = dealt[np.argsort(life.booked[dealt], kind="stable")]
        deal_steps = [Step("NEW" if step.stage == "BOOKED" else step.stage, step.at[dealt]) for step in life.visit]
    else:
        lead_steps = [Step("NEW", inquiries.created), Step("CONVERTED", inquiries.created + 1)]
        dealt = np.arange(len(inquiries.created))
        steps = [*life.inquiry, *life.visit]
        deal_steps = [Step(_SIMPLE_STAGES.get(step.stage, step.stage), step.at) for step in steps]
    lead_track, deal_track = track(lead_steps, now), track(deal_steps, now)
    lead_semantics = semantics(LEAD_STAGES)
    deal_semantics = semantics(DEAL_STAGES if is_classic else SIMPLE_DEAL_STAGES)
    # Rows nobody can read are put where they do not move money: on leads that never book, deals that never pay.
    leads = lead_columns(inquiries, lead_track, lead_semantics, people, life.booked == MISSING, now)
    has_lead_id = mode != "simple"
    never_paid = (life.paid == MISSING)[dealt]
    deals = deal_columns(inquiries, dealt, deal_track, deal_semantics, people, never_paid, has_lead_id, now)
    lead_history = history_columns(lead_track, inquiries.ids, lead_semantics, "STATUS")
    deal_history = history_columns(deal_track, deals.ids, deal_semantics, "STAGE")
    if not has_lead_id:
        leads, lead_history = {}, {}
    contacts = contact_columns(inquiries, people)
    return Store(
        leads=lead_table(leads, len(inquiries.ids) if has_lead_id else 0),
        deals=deal_table(deals.columns, len(deals.ids)),
        contacts=contact_table(contacts, n_rows(contacts)),
        lead_history=history_table(schema.LEAD_HISTORY, lead_history),
        deal_history=history_table(schema.DEAL_HISTORY, deal_history),
        now=now,
        mode=mode,
        seed=seed,
        truth=truth,
    )


def _midnight(on: date) -> int:
    """First UTC second of a local day."""
    return (on - date(1970, 1, 1)).days * DAY - OFFSET
