"""Late outcomes: the maturity rule against counting every outcome seen so far, on launches whose visits come days later.

The yardstick is the same measurement with every outcome known: paired, so that only the outcomes that are still missing (or
that came late) make the difference. Bias is in % of what was expected without the launch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench import product
from bench.simulator import N_WASHOUT, Business, Late, Lift, simulate, watched
from bench.validate_claims import Results
from bench.validate_tables import Cell, Section, alarms, coverage, shown, within
from pipeline.effects import Effect, Funnel
from pipeline.periods import HORIZONS
from pipeline.weekly import FloatArray, Weeks

N_PRE, N_POST = 26, 12
MOST_BIAS = 0.5
ESTIMATE, LOW, HIGH = range(3)
NOTHING = [float("nan")] * 3


@dataclass(frozen=True, slots=True)
class Kind:
    """What the launch did, and the horizon when it is not the product's own choice."""

    name: str
    lift: Lift
    horizon: int | None = None
    has_target: bool = True

    @property
    def true_lift(self) -> float:
        """Relative effect on visits."""
        return self.lift.booking - 1


KINDS = (
    Kind("nothing, H chosen", Lift()),
    Kind("nothing, H = 14", Lift(), 14),
    Kind("nothing, H = 30", Lift(), 30),
    Kind("+15 % bookings, H chosen", Lift(booking=1.15)),
    Kind("customers come 20 % sooner, H chosen", Lift(delay=0.8), has_target=False),
)


def keys() -> list[str]:
    """One a kind of launch."""
    return [kind.name for kind in KINDS]


def run(key: str, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Relative effect on visits (estimate, low, high) by the maturity rule, by counting all seen, and with all known."""
    kind = next(kind for kind in KINDS if kind.name == key)
    launches = simulate(Business(), n, N_PRE, N_POST, kind.lift, rng)
    late = watched(launches, rng)
    as_of_day = 7 * (N_PRE + N_WASHOUT + N_POST)
    within_days = {days: late.within(days)[:, :N_PRE].sum(axis=1) for days in HORIZONS}
    found: dict[str, list[list[float]]] = {"mature": [], "seen": [], "known": [], "horizon": []}
    seen, known = late.seen(as_of_day), launches.visited
    for at in range(n):
        horizon = kind.horizon or product.horizon_days({days: float(counts[at]) for days, counts in within_days.items()},
                                                       float(known[at, :N_PRE].sum()))
        mature, _ = product.mature_weeks(N_PRE, as_of_day, horizon)
        weeks = Weeks(N_PRE, mature.n_washout, launches.left_out[at], mature.max_post)
        found["mature"].append(_relative(late, at, late.within(horizon)[at], weeks))
        found["known"].append(_relative(late, at, known[at], weeks))
        found["seen"].append(_relative(late, at, seen[at], launches.weeks(at)))
        found["horizon"].append([float(horizon)])
    return {name: np.array(rows) for name, rows in found.items()}


def tables(results: Mapping[str, Results]) -> list[Section]:
    """The table of this group."""
    section = Section(
        "late", "Late outcomes",
        "Visits come a median of 5 days after the lead, one in 14 after more than three weeks; `as_of` is the end of the last "
        f"post week. Bias of the measured effect in % of what was expected, target within ±{MOST_BIAS} (paired with the same "
        "leads watched to the end). The last kind of launch has no target: it fills the same horizon with visits that would "
        "have come anyway, only later.",
        ["launch", "horizon, days", "maturity rule: bias", "false alarms", "coverage", "all seen so far: bias", "false alarms "])
    for kind in KINDS:
        if kind.name in results:
            found = results[kind.name]
            mature, seen, known = (found[name] for name in ("mature", "seen", "known"))
            apart = _bias(100 * (mature[:, ESTIMATE] - known[:, ESTIMATE]))
            plain = _bias(100 * (seen[:, ESTIMATE] - kind.true_lift))
            is_null = kind.true_lift == 0 and kind.has_target
            empty = Cell(float("nan"), float("nan"))
            section.rows.append([
                kind.name, f"{np.nanmedian(found['horizon']):.0f}",
                within(*apart, MOST_BIAS) if kind.has_target else Cell(*apart),
                alarms(_alarms(mature)) if is_null else empty,
                coverage(_covers(mature, kind.true_lift)) if kind.has_target else empty,
                Cell(*plain), shown(_alarms(seen)) if is_null else empty,
            ])  # fmt: skip
    return [section]


def _relative(late: Late, at: int, visited: FloatArray, weeks: Weeks) -> list[float]:
    launches = late.launches
    funnel = Funnel(launches.leads[at], visited, launches.booked[at])
    effect: Effect | None = getattr(product.process(funnel, weeks, {}).effect, "visits", None)
    return NOTHING if effect is None or effect.relative is None else [
        effect.relative.estimate, effect.relative.low, effect.relative.high]  # fmt: skip


def _bias(differences: FloatArray) -> tuple[float, float]:
    known = differences[~np.isnan(differences)]
    return float(known.mean()), float(known.std() / np.sqrt(known.size))


def _alarms(rows: FloatArray) -> FloatArray:
    return np.where(np.isnan(rows[:, LOW]), np.nan, (rows[:, LOW] > 0) | (rows[:, HIGH] < 0))


def _covers(rows: FloatArray, truth: float) -> FloatArray:
    return np.where(np.isnan(rows[:, LOW]), np.nan, (rows[:, LOW] <= truth) & (truth <= rows[:, HIGH]))
