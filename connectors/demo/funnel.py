"""How a lead of the demo salon lives: created, answered, booked, visited, paid, or lost on the way.

Every chance of a lead (will it book, will it come, how much will it spend) is one uniform number drawn once.
The same numbers lived through with and without the launch give the launch's true effect, free of sampling noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import directory
from .columns import MISSING

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_UNIFORMS = ("book", "come", "cancel", "confirm", "close", "pay", "fate", "delay")
DAY, HOUR, MINUTE = 86400, 3600, 60
OFFSET = 3 * HOUR
CANCEL_RATE, CONFIRM_SHARE = 0.10, 0.7
NEVER_CLOSED_SHARE, UNPAID_SHARE = 0.025, 0.05


@dataclass(frozen=True, slots=True)
class Chances:
    """What fate holds for each lead; `created` in UTC seconds, `booking_rate` and `no_show_rate` without the launch."""

    created: Ints
    is_post: Flags
    booking_rate: Floats
    no_show_rate: Floats
    amount: Floats
    uniforms: dict[str, Floats]
    booking_days: Floats
    visit_days: Floats
    visit_clock: Ints  # second of the local day
    payment_days: Floats


@dataclass(frozen=True, slots=True)
class Step:
    """A possible move of every lead to one stage: when, or MISSING."""

    stage: str
    at: Ints


@dataclass(frozen=True, slots=True)
class Life:
    """The milestones (UTC seconds or MISSING) and the moves of every lead; moves are in order of time."""

    booked: Ints
    visited: Ints
    no_show: Ints
    paid: Ints
    inquiry: list[Step]
    visit: list[Step]


def draw_chances(
    rng: np.random.Generator, created: Ints, is_post: Flags, booking_rate: Floats, no_show_rate: Floats
) -> Chances:
    n = len(created)
    return Chances(
        created,
        is_post,
        booking_rate,
        no_show_rate,
        amount=np.maximum(300.0, np.round(rng.lognormal(np.log(2000), 0.67, n), -1)),
        uniforms={name: rng.random(n) for name in _UNIFORMS},
        booking_days=np.clip(rng.exponential(0.8, n), 0.02, 8.0),
        visit_days=np.clip(rng.gamma(1.5, 2.7, n), 0.2, 15.0),
        visit_clock=(10 * HOUR + 15 * MINUTE * rng.integers(0, 40, n)).astype(np.int64),
        payment_days=np.where(rng.random(n) < 0.85, 0.04, rng.uniform(0.5, 4.0, n)),
    )


def live(chances: Chances, booking_lift: float, no_show_lift: float) -> Life:
    """What happens to the leads when the launch changes post-launch rates by these relative lifts."""
    u, created = chances.uniforms, chances.created
    booking_rate = np.where(chances.is_post, chances.booking_rate * (1 + booking_lift), chances.booking_rate)
    no_show_rate = np.where(chances.is_post, chances.no_show_rate * (1 + no_show_lift), chances.no_show_rate)
    is_booked = u["book"] < np.clip(booking_rate, 0, 0.97)
    delay = (chances.booking_days * DAY).astype(np.int64)
    booked = created + delay
    visit = _visit_at(chances, booked)
    is_open_for_ever = is_booked & (u["close"] < NEVER_CLOSED_SHARE)
    is_settled = is_booked & ~is_open_for_ever
    is_no_show = is_settled & (u["come"] < no_show_rate)
    is_cancelled = is_settled & (u["come"] > 1 - CANCEL_RATE)
    is_visited = is_settled & ~is_no_show & ~is_cancelled
    is_paid = is_visited & (u["pay"] > UNPAID_SHARE)
    cancelled = booked + ((visit - booked) * (0.05 + 0.85 * u["cancel"])).astype(np.int64)
    no_show = visit + HOUR + (2 * HOUR * u["cancel"]).astype(np.int64)
    visited = visit + 5 * MINUTE
    paid = visited + (chances.payment_days * DAY).astype(np.int64)

    is_confirmed = is_booked & (u["confirm"] < CONFIRM_SHARE)
    tomorrow, today = visit - 20 * HOUR, visit - HOUR - 30 * MINUTE
    last_moment = np.where(is_cancelled, cancelled, visit)
    is_tomorrow = is_confirmed & (tomorrow > booked) & (tomorrow < last_moment)
    is_today = is_confirmed & (today > booked) & (today < last_moment) & (u["confirm"] < 0.5)
    return Life(
        booked=_when(is_booked, booked),
        visited=_when(is_visited, visited),
        no_show=_when(is_no_show, no_show),
        paid=_when(is_paid, paid),
        inquiry=_inquiry(created, delay, is_booked, u["fate"], u["delay"]),
        visit=[
            Step("BOOKED", _when(is_booked, booked)),
            Step(directory.CONFIRMED_TOMORROW, _when(is_tomorrow, tomorrow)),
            Step(directory.CONFIRMED_TODAY, _when(is_today, today)),
            Step("LOSE", _when(is_cancelled, cancelled)),
            Step("APOLOGY", _when(is_no_show, no_show)),
            Step("EXECUTING", _when(is_visited, visited)),
            Step("WON", _when(is_paid, paid)),
        ],
    )


def _visit_at(chances: Chances, booked: Ints) -> Ints:
    """A working hour of a later local day, at least two hours after the booking."""
    day = (booked + (chances.visit_days * DAY).astype(np.int64) + OFFSET) // DAY
    visit = day * DAY + chances.visit_clock - OFFSET
    return np.where(visit < booked + 2 * HOUR, visit + DAY, visit)


def _inquiry(created: Ints, delay: Ints, is_booked: Flags, fate: Floats, u_delay: Floats) -> list[Step]:
    """The moves before a booking. A lead that is not booked ends as junk, unreached, forgotten, or with Katya."""
    is_lost = ~is_booked
    is_junk = is_lost & (fate < 0.28)
    is_unreached = (is_lost & (fate >= 0.28) & (fate < 0.5)) | (is_booked & (fate < 0.12))
    is_unmapped = is_lost & (fate >= 0.5) & (fate < 0.514)
    is_qualified = is_booked | (is_lost & (fate >= 0.72))
    is_taken = is_qualified | is_unreached | is_unmapped | (is_lost & (fate < 0.66))

    def part(share: float) -> Ints:
        return created + np.maximum(1, (share * delay).astype(np.int64))

    junked = part(0.6) + (u_delay * 2 * DAY).astype(np.int64)
    return [
        Step("NEW", created),
        Step("IN_PROCESS", _when(is_taken, part(0.15))),
        Step(directory.UNREACHED, _when(is_unreached, part(0.35))),
        Step(directory.UNMAPPED, _when(is_unmapped, part(0.5))),
        Step("PROCESSED", _when(is_qualified, part(0.7))),
        Step("JUNK", _when(is_junk, junked)),
    ]


def _when(is_true: Flags, at: Ints) -> Ints:
    return np.where(is_true, at, MISSING)


@dataclass(frozen=True, slots=True)
class Track:
    """Where each of n records stands at `now`, and the moves that led there, in order of time.

    `stage`: index into `stages`; `moved`: UTC seconds of the last move; history arrays are equally long.
    """

    stages: list[str]
    stage: NDArray[np.int16]
    moved: Ints
    owner: NDArray[np.int32]
    history_stage: NDArray[np.int16]
    history_at: Ints
    is_first: Flags


def track(steps: list[Step], now: int) -> Track:
    """Stages as of `now`; the first step must be present for every record."""
    stages = [step.stage for step in steps]
    n = len(steps[0].at)
    stage, moved = np.zeros(n, np.int16), steps[0].at.copy()
    owners, places, times = [], [], []
    for place, step in enumerate(steps):
        has_come = (step.at != MISSING) & (step.at <= now)
        stage[has_come], moved[has_come] = place, step.at[has_come]
        owner = np.flatnonzero(has_come)
        owners.append(owner)
        times.append(step.at[owner])
        places.append(np.full(len(owner), place, np.int16))
    owner, at, code = np.concatenate(owners), np.concatenate(times), np.concatenate(places)
    order = np.lexsort((code, owner, at))
    return Track(stages, stage, moved, owner[order].astype(np.int32), code[order], at[order], code[order] == 0)
