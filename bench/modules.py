"""Modules of a programme with true effects that are known: `python -m bench.modules` (about two minutes), for docs/modules.md.

Each case is a salon whose leads fall into zones; modules multiply the booking rate of their zones from their week on. A module's
true profit is what it adds to the state before it, given the leads that came, as `pipeline.modules` shares it out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.simulator import Business, Launches, Lift, simulate
from pipeline.modules import Account, Start, Zone, account_for
from pipeline.weekly import FloatArray

MARGIN = 0.6
SEED = 20_261_122
FIRST, N_WEEKS = 26, 58
NOTHING = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """`zones`: modules and leads a month; `starts`: week of each module; `lifts`: what each multiplies bookings by."""

    name: str
    zones: tuple[tuple[str, float], ...]  # modules by letter
    starts: Mapping[str, int]
    lifts: Mapping[str, float]


OWNER = (("A", 500.0), ("AC", 500.0), ("AT", 500.0))
IN_TURN = {"A": 26, "C": 36, "T": 47}
CASES = (
    Case("A everywhere, C in one branch, T with some managers", OWNER, IN_TURN, {"A": 1.25, "C": 1.3, "T": 1.2}),
    Case("the same, C and T do nothing", OWNER, IN_TURN, {"A": 1.25, "C": NOTHING, "T": NOTHING}),
    Case("the same, nothing does anything", OWNER, IN_TURN, {"A": NOTHING, "C": NOTHING, "T": NOTHING}),
    Case("same leads, ten weeks apart", (("ACT", 1500.0),), IN_TURN, {"A": 1.25, "C": 1.3, "T": 1.2}),
    Case("same leads, ten weeks apart, C does nothing", (("ACT", 1500.0),), IN_TURN, {"A": 1.25, "C": NOTHING, "T": 1.2}),
    Case("three branches, same week", (("A", 500.0), ("C", 500.0), ("T", 500.0)), {"A": 26, "C": 26, "T": 26},
         {"A": 1.25, "C": 1.3, "T": NOTHING}),
    Case("same week, one branch has A alone", (("A", 750.0), ("AC", 750.0)), {"A": 26, "C": 26}, {"A": 1.25, "C": NOTHING}),
    Case("same leads, same week", (("AC", 1500.0),), {"A": 26, "C": 26}, {"A": 1.25, "C": 1.2}),
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.modules", description=__doc__)
    parser.add_argument("n", nargs="?", type=int, default=60, help="simulated businesses a case")
    n = parser.parse_args(arguments).n
    print(f"{n} businesses a case; bias and half-width in % of what the leads would have brought without any module.\n")
    print("| case | figure | true, % | bias | half-width | covered, % | called an effect, % |")
    print("|---|---|---|---|---|---|---|")
    for number, case in enumerate(CASES):
        for row in rows(case, n, np.random.default_rng([SEED, number])):
            print(f"| {' | '.join(row)} |", flush=True)
    return 0


def rows(case: Case, n: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """A row a figure: module, joint part, the whole."""
    zones = [(frozenset(names), _simulated(case, names, leads, n, rng)) for names, leads in case.zones]
    starts = [Start(name, at, at + 1) for name, at in case.starts.items()]
    seen: dict[str, list[tuple[float, ...]]] = {}
    for at in range(n):
        left_out = np.zeros(N_WEEKS, dtype=np.bool_)
        found = account_for(starts, [Zone(names, made.funnel(at)) for names, made in zones], left_out, MARGIN)
        truth, base = _truth(case, zones, at, found)
        for names, interval in [*found.amounts.items(), (("whole",), found.whole_amount), (("rest",), found.rest_amount)]:
            key = "+".join(names)
            true = truth.get(key, sum(truth[name] for name in names) if set(names) <= truth.keys() else 0.0)
            is_covered, is_called = interval.low <= true <= interval.high, interval.low > 0 or interval.high < 0
            half = (interval.high - interval.low) / 2
            seen.setdefault(key, []).append((true / base, (interval.estimate - true) / base, half / base, is_covered, is_called))
    told: list[tuple[str, ...]] = []
    for key, figures in sorted(seen.items(), key=lambda item: (item[0] == "rest", item[0] == "whole", item[0])):
        true, bias, half, covered, called = np.mean(figures, axis=0)
        told.append((case.name, key, f"{100 * true:.1f}", f"{100 * bias:+.1f}", f"{100 * half:.1f}", f"{100 * covered:.0f}",
                     f"{100 * called:.0f}"))
    return told


def _simulated(case: Case, names: str, leads: float, n: int, rng: np.random.Generator) -> Launches:
    business = Business(leads_a_month=leads, has_holidays=False)
    later = [(case.starts[name], Lift(booking=case.lifts[name])) for name in names]
    return simulate(business, n, FIRST, N_WEEKS - FIRST - 1, Lift(), rng, later)


def _truth(case: Case, zones: list[tuple[frozenset[str], Launches]], at: int, found: Account) -> tuple[dict[str, float], float]:
    """True profit of each module and of the whole over the counted weeks, and the profit without any module."""
    counted = np.arange(N_WEEKS) > min(case.starts.values())
    for start in case.starts.values():
        counted[start] = False
    truth = dict.fromkeys(case.starts, 0.0)
    base = 0.0
    for names, made in zones:
        state: FloatArray = made.truth["process", "revenue"].without[at] * MARGIN * counted
        base += float(state.sum())
        for name in sorted(names, key=lambda one: (case.starts[one], one)):
            lift = np.where(np.arange(N_WEEKS) >= case.starts[name], case.lifts[name], 1.0)
            truth[name] += float((state * (lift - 1)).sum())
            state = state * lift
    return {**truth, "whole": sum(truth.values()), "rest": 0.0}, base


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
