"""What the launch of a simulated business really did: the same leads with and without it (common random numbers)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEVER = -1
_SECONDS = ("created_day", "booked_after", "visited_after", "no_show_after", "paid_after")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts and revenue (rubles) of the leads of a window, outcomes within the horizon."""

    leads: int
    booked: int
    visited: int
    no_show: int
    paid: int
    revenue: float


@dataclass(frozen=True, slots=True)
class World:
    """Potential outcomes of every lead in one world, seconds after its creation (`NEVER` = does not happen).

    `created_day`: days since 1970-01-01 of the local creation day. A lead absent from this world is not listed.
    """

    created_day: NDArray[np.int64]
    booked_after: NDArray[np.int64]
    visited_after: NDArray[np.int64]
    no_show_after: NDArray[np.int64]
    paid_after: NDArray[np.int64]
    amount: NDArray[np.float64]

    def outcome(self, start: date, end: date, horizon_days: int) -> Outcome:
        chosen = (self.created_day >= _day(start)) & (self.created_day < _day(end))

        def within(after: NDArray[np.int64]) -> NDArray[np.bool_]:
            return np.asarray(chosen & (after != NEVER) & (after <= horizon_days * 86400))

        paid = within(self.paid_after)
        return Outcome(
            leads=int(chosen.sum()),
            booked=int(within(self.booked_after).sum()),
            visited=int(within(self.visited_after).sum()),
            no_show=int(within(self.no_show_after).sum()),
            paid=int(paid.sum()),
            revenue=float(self.amount[paid].sum()),
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """`launch_on`: first day of the launch; `end_on`: last day of the last whole week; `params`: the generator's."""

    launch_on: date
    end_on: date
    params: Mapping[str, Any]
    with_launch: World
    without_launch: World

    def window(self, start: date, end: date, horizon_days: int) -> tuple[Outcome, Outcome]:
        """(with, without the launch) for leads created on local days [start, end).

        Outcomes count when they come within `horizon_days` x 24 h of creation, also those the portal has not seen
        yet; nobody's visit that was never closed in the CRM counts in either world.
        """
        return self.with_launch.outcome(start, end, horizon_days), self.without_launch.outcome(start, end, horizon_days)

    def incremental_revenue(self, start: date, end: date, horizon_days: int) -> float:
        """Revenue the launch added on leads created on [start, end), rubles."""
        observed, counterfactual = self.window(start, end, horizon_days)
        return observed.revenue - counterfactual.revenue

    def to_json(self) -> dict[str, Any]:
        """A document that `from_json` reads back; about 3 MB for two years of a salon."""
        def columns(world: World) -> dict[str, list[float]]:
            return {name: getattr(world, name).tolist() for name in (*_SECONDS, "amount")}

        return {
            "launch_on": self.launch_on.isoformat(),
            "end_on": self.end_on.isoformat(),
            "params": dict(self.params),
            "with_launch": columns(self.with_launch),
            "without_launch": columns(self.without_launch),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Truth:
        def world(columns: Mapping[str, list[float]]) -> World:
            day, booked, visited, no_show, paid = (np.array(columns[name], np.int64) for name in _SECONDS)
            return World(day, booked, visited, no_show, paid, np.array(columns["amount"], np.float64))

        return cls(
            date.fromisoformat(document["launch_on"]),
            date.fromisoformat(document["end_on"]),
            document["params"],
            world(document["with_launch"]),
            world(document["without_launch"]),
        )


def _day(on: date) -> int:
    return (datetime(on.year, on.month, on.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
