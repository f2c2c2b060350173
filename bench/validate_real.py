"""Placebo launches on real weekly series: nothing happened at them, so every effect found is a false alarm.

The hotel data set (docs/real-data.md) is not part of the project: without it these tables are left out, with the reason. Any
other series can be judged by the same command: `--panel FILE.csv` with the columns week (a date), unit, n and, for a
rate, reached (out of n).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import product
from bench.peers import two_proportions_p
from bench.portal import ROOT
from bench.simulator import N_WASHOUT
from bench.validate_claims import Results
from bench.validate_tables import Section, at_most, shown
from pipeline.weekly import FloatArray, WeeklyCounts, WeeklyRate, Weeks

if TYPE_CHECKING:
    import pandas as pd

HOTEL = ROOT.parent / "shared" / "data" / "hotel" / "hotel_bookings_city.csv"
WINDOWS = ((26, 8), (52, 12))
EVERY_WEEKS = 3
MOST_ALARMS = 0.06
# Bookings made further ahead are not all in the file when it ends: by booking week only the others count.
BOOKED_AHEAD_DAYS = 90
Series = WeeklyRate | WeeklyCounts


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure by unit (channel, segment, shop), over the same weeks."""

    name: str
    units: Mapping[str, Series]


def keys(files: tuple[str, ...] = ()) -> list[str]:
    """One a panel and window; none where the hotel data set is absent."""
    names = [panel.name for panel in hotel()] if HOTEL.exists() else []
    return [f"{name}|{n_pre}+{n_post}" for name in (*names, *files) for n_pre, n_post in WINDOWS]


def run(key: str, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """A row a placebo launch: its unit, whether Payback and the usual test alarm (NaN: refused). Nothing is random here."""
    name, window = key.rsplit("|", 1)
    n_pre, n_post = (int(part) for part in window.split("+"))
    panel = next((panel for panel in (hotel() if HOTEL.exists() else ()) if panel.name == name), None) or from_table(Path(name))
    rows = [
        [float(number), *placebo(panel, unit, start, n_pre, n_post)]
        for number, (unit, series) in enumerate(panel.units.items())
        for start in range(0, series.n_weeks - n_pre - N_WASHOUT - n_post + 1, EVERY_WEEKS)
    ]
    return {"placebos": np.array(rows).reshape(-1, 3)}


def placebo(panel: Panel, unit: str, start: int, n_pre: int, n_post: int) -> tuple[float, float]:
    """Whether a launch on one unit `n_pre` weeks after `start` is called an effect, by Payback and by the usual test."""
    window = slice(start, start + n_pre + N_WASHOUT + n_post)
    weeks = Weeks(n_pre, N_WASHOUT)
    cut = {name: _cut(series, window) for name, series in panel.units.items()}
    own = cut[unit]
    if isinstance(own, WeeklyRate):
        rates = [series for name, series in cut.items() if name != unit and isinstance(series, WeeklyRate)]
        effect = product.rate_told(own, weeks, rates)
        usual = two_proportions_p(own.numerator, own.denominator, n_pre, N_WASHOUT)
    else:
        counts = [series for name, series in cut.items() if name != unit and isinstance(series, WeeklyCounts)]
        effect = product.count_told(own, weeks, counts)
        usual = _welch(own.total[:n_pre], own.total[n_pre + N_WASHOUT :])
    return (np.nan, np.nan) if effect is None else (float(effect.excludes_zero), float(usual))


def tables(results: Mapping[str, Results]) -> list[Section]:
    """The table of this group."""
    why = "" if HOTEL.exists() else f" Left out: ../shared/data/hotel/{HOTEL.name} was not found."
    section = Section(
        "real", "Placebo launches on real series",
        "False alarms (%) when every third week is taken for a launch; target at most 6 %. Windows overlap and units differ, so "
        "the error is computed between units. The usual test is the two-proportion test on the totals for a rate, Welch on weeks "
        "for a count. Refused: too little data, or withheld." + why,
        ["series", "weeks", "units", "launches", "refused", "Payback", "the usual test"])
    for key, found in results.items():
        rows = found["placebos"]
        if not rows.size:
            continue
        told = rows[~np.isnan(rows[:, 1])]
        name, window = key.rsplit("|", 1)
        error = _error_between_units(told[:, 0], told[:, 1])
        section.rows.append([Path(name).name, window, str(len(set(told[:, 0]))), str(len(told)), str(len(rows) - len(told)),
                             at_most(told[:, 1], MOST_ALARMS, error), shown(told[:, 2])])
    return [section]


@cache
def hotel() -> tuple[Panel, ...]:
    """Show rate (1 - cancelled or not come) and bookings of the hotel, by arrival and by booking week."""
    import pandas as pd

    raw = pd.read_csv(HOTEL, na_values=["NULL", "NA"])
    month = pd.to_datetime(raw["arrival_date_month"], format="%B").dt.month
    raw["arrived"] = pd.to_datetime({"year": raw["arrival_date_year"], "month": month, "day": raw["arrival_date_day_of_month"]})
    raw["booked"] = raw["arrived"] - pd.to_timedelta(raw["lead_time"], unit="D")
    raw["came"] = (raw["is_canceled"] == 0).astype(float)
    first, last = raw["arrived"].min(), raw["arrived"].max()
    ahead = raw[(raw["lead_time"] <= BOOKED_AHEAD_DAYS) & (raw["booked"] >= first)]
    spans = (("arrival", "arrived", raw, last),
             ("booking", "booked", ahead, last - pd.Timedelta(days=BOOKED_AHEAD_DAYS)))
    return tuple(
        Panel(f"hotel, {figure} by {unit.replace('_', ' ')}, {label} week",
              by_week(rows, day, unit, first, until, "came" if figure == "show rate" else None))
        for figure in ("show rate", "bookings")
        for label, day, rows, until in spans
        for unit in ("market_segment", "distribution_channel")
    )


def by_week(rows: pd.DataFrame, day: str, unit: str, first: pd.Timestamp, last: pd.Timestamp,
            reached: str | None = None) -> dict[str, Series]:
    """Rows (one a lead) counted by unit over the whole weeks between two days; a rate when `reached` names a 0/1 column."""
    import pandas as pd

    mondays = pd.date_range(first + pd.Timedelta(days=(7 - first.weekday()) % 7), last - pd.Timedelta(days=6), freq="W-MON")
    week = rows[day] - pd.to_timedelta(rows[day].dt.weekday, unit="D")
    grouped = rows.assign(week=week, n=1.0).groupby([unit, "week"])[["n", *([reached] if reached else [])]].sum()
    return _series(grouped, mondays, reached)


def from_table(path: Path) -> Panel:
    """A panel from a CSV file with the columns week, unit, n and perhaps reached."""
    import pandas as pd

    rows = pd.read_csv(path, parse_dates=["week"])
    rows["week"] -= pd.to_timedelta(rows["week"].dt.weekday, unit="D")
    reached = "reached" if "reached" in rows else None
    grouped = rows.groupby(["unit", "week"])[["n", *([reached] if reached else [])]].sum()
    return Panel(str(path), _series(grouped, pd.date_range(rows["week"].min(), rows["week"].max(), freq="W-MON"), reached))


def _series(grouped: pd.DataFrame, mondays: pd.DatetimeIndex, reached: str | None) -> dict[str, Series]:
    found: dict[str, Series] = {}
    for unit in grouped.index.unique(level=0):
        weekly = grouped.loc[unit].reindex(mondays, fill_value=0.0)
        n = weekly["n"].to_numpy(dtype=np.float64)
        found[str(unit)] = WeeklyCounts(n) if reached is None else WeeklyRate(weekly[reached].to_numpy(dtype=np.float64), n)
    return found


def _cut(series: Series, window: slice) -> Series:
    if isinstance(series, WeeklyRate):
        return WeeklyRate(series.numerator[window], series.denominator[window])
    return WeeklyCounts(series.total[window])


def _welch(before: FloatArray, after: FloatArray) -> bool:
    from scipy.stats import ttest_ind

    return bool(ttest_ind(before, after, equal_var=False).pvalue < 0.05)


def _error_between_units(unit: FloatArray, alarm: FloatArray) -> float:
    """Standard error of a share whose rows are alike within a unit (linearised ratio of sums)."""
    share = alarm.mean() if alarm.size else 0.0
    sums = [float((alarm[unit == one] - share).sum()) for one in np.unique(unit)]
    return float(np.sqrt(np.sum(np.square(sums))) / max(alarm.size, 1))


