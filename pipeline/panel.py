"""A launch in some branches (channels, employees, pipelines) and not in others: each method of the trade, by day.

Only for a launch whose scope names values of one dimension, with enough others left untouched. Leads are counted by the day
they came, so this needs no maturity and can speak weeks before the claims can; it says nothing of money.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from pipeline.account import DIMENSIONS
from pipeline.journeys import UNKNOWN
from pipeline.launches import Scope
from pipeline.periods import Periods
from pipeline.queries import load
from pipeline.synthetic import MIN_DONORS, PanelEffect, difference_in_differences, synthetic_control, synthetic_did

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

# A unit without a lead on so many of the pre days is no comparison.
MOST_EMPTY_DAYS = 0.2
MIN_DAYS_AFTER = 7
SCOPES = {"channel": "channels", "branch": "branches", "owner": "owners", "pipeline": "pipelines"}


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Leads a day of the treated units against the donors', from `start`; the launch was on `started_on`, `end` is the day
    after the last."""

    dimension: str
    treated: tuple[str, ...]
    donors: tuple[str, ...]
    start: date
    started_on: date
    end: date
    effects: tuple[PanelEffect, ...]


def measure_panel(reading: "Reading", scope: Scope, started_on: date, periods: Periods, known_on: date) -> Panel | None:
    """None where the scope is no choice of units, or fewer than five were left untouched. Raises WarehouseError."""
    named = {dimension: getattr(scope, field) for dimension, field in SCOPES.items() if getattr(scope, field)}
    if len(named) != 1 or scope.sources or (known_on - started_on).days < MIN_DAYS_AFTER:
        return None
    ((dimension, treated),) = named.items()
    # Days need no whole weeks: what came in the days before the first Monday counts too.
    rows = reading.columns(load("candidates"), {"start": periods.pre.start - timedelta(days=6), "end": known_on})
    if not rows.num_rows:
        return None
    days = rows.column("created_on").to_numpy().astype("datetime64[D]")
    start: date = days.min().item()
    keys = rows.column(DIMENSIONS[dimension]).fill_null(UNKNOWN).to_pylist()
    units = sorted(set(keys))
    at = {key: n for n, key in enumerate(units)}
    n_days, n_pre = (known_on - start).days, (started_on - start).days
    day = (days - np.datetime64(start, "D")).astype(np.int64)
    where = np.array([at[key] for key in keys], dtype=np.int64) * n_days + day
    counts = np.bincount(where, weights=rows.column("n").to_numpy().astype(np.float64), minlength=len(units) * n_days)
    panel = counts.reshape(len(units), n_days)
    is_steady = (panel[:, :n_pre] == 0).mean(axis=1) <= MOST_EMPTY_DAYS
    kept = [n for n, key in enumerate(units) if key in treated or (is_steady[n] and key != UNKNOWN)]
    own = [place for place, n in enumerate(kept) if units[n] in treated]
    if not own or len(kept) - len(own) < MIN_DONORS:
        return None
    chosen = panel[kept]
    effects = (
        difference_in_differences(chosen, own, n_pre),
        synthetic_control(chosen, own, n_pre),
        synthetic_did(chosen, own, n_pre),
    )
    names = tuple(units[n] for n in kept)
    donors = tuple(name for name in names if name not in treated)
    chosen_names = tuple(names[place] for place in own)
    return Panel(dimension, chosen_names, donors, start, started_on, start + timedelta(days=n_days), effects)
