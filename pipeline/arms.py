"""The two groups of a running hold-out, read from the journeys: who was assigned where follows from the lead's id alone.

Everybody counts in the group that chance chose, whatever was done with the lead: leaving out those who were not treated as
planned would make two groups that differ in more than the launch.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from pipeline.holdout import Arm, is_held_out
from pipeline.launches import Holdout
from pipeline.queries import load

if TYPE_CHECKING:
    from pipeline.warehouse import Reading


def observe_arms(reading: "Reading", holdout: Holdout, weeks: Sequence[date], horizon_hours: int, *,
                 milestone: Literal["booked", "visited"] = "visited") -> tuple[Arm, Arm]:
    """The treated and the held-out group by week. Needs the temporary tables of `build_journeys`. Raises WarehouseError.

    `weeks`: the Mondays that count, mature; those before the hold-out started are dropped (no week left: empty groups).
    """
    mondays = [monday for monday in sorted(weeks) if monday >= holdout.started_on]
    if not mondays:
        return _arm(), _arm()
    rows = reading.columns(
        load("holdout"), {"start": mondays[0], "end": mondays[-1] + timedelta(days=7), "horizon_hours": horizon_hours}
    )
    days = np.array(rows.column("created_on").to_numpy(), dtype="datetime64[D]")
    starts = np.array(mondays, dtype="datetime64[D]")
    week = np.searchsorted(starts, days, side="right") - 1
    inside = days < starts[week] + np.timedelta64(7, "D")  # a week between two that count may be left out
    keys = rows.column("journey_id").to_pylist()
    is_held = np.array([is_held_out(key, holdout.salt, holdout.share) for key in keys], dtype=np.bool_)
    reached = rows.column(milestone).to_numpy().astype(np.float64)
    amount = rows.column("amount").fill_null(0).to_numpy().astype(np.float64)
    groups = []
    for is_mine in (inside & ~is_held, inside & is_held):
        sums = (np.ones(days.size), reached, amount, amount**2)
        groups.append(_arm(*(_by_week(week[is_mine], values[is_mine], starts.size) for values in sums)))
    return groups[0], groups[1]


def _arm(*columns: npt.NDArray[np.float64]) -> Arm:
    return Arm(*columns) if columns else Arm(*([np.zeros(0)] * 4))


def _by_week(week: npt.NDArray[np.intp], values: npt.NDArray[np.float64], n_weeks: int) -> npt.NDArray[np.float64]:
    """Sums that do not depend on the order of the rows, which no engine promises: smallest first."""
    order = np.argsort(values, kind="stable")
    return np.asarray(np.bincount(week[order], weights=values[order], minlength=n_weeks), dtype=np.float64)
