"""False alarms, coverage and power of the effect estimators on simulated launches with a known truth.

    python -m bench.effects_table [launches a cell, default 200]

Prints one row a scenario, for the process claim (visits on the leads received), its revenue, and the total claim
(visits, lead volume included). False alarms: launches that changed nothing and were still called an effect (nominal
5 %, Monte-Carlo error about 1.5 points at 200). Seeded: the same table every time. About 2 minutes on one core.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: threads only get in each other's way

import numpy as np

from pipeline.effects import Effect, Funnel, process_effect, total_effect
from pipeline.ladder import total_rule
from pipeline.weekly import FloatArray, WeeklyCounts, Weeks

BOOKING, SHOW, PAID, CHECK = 0.35, 0.75, 0.95, 3000.0
MONTH_WEEKS = 365.25 / 12 / 7
LIFTS = (0.0, 0.15, 0.40)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of business and history."""

    name: str
    leads_a_month: float
    n_pre: int
    n_post: int
    trend: float = 0.0
    season: float = 0.0


SCENARIOS = (
    Scenario("100 a month, 8+8", 100, 8, 8),
    Scenario("200 a month, 8+8", 200, 8, 8),
    Scenario("1 500 a month, 26+12", 1500, 26, 12),
    Scenario("1 500, trend 1 % a week", 1500, 26, 12, trend=0.01),
    Scenario("1 500, season 20 %, 26+12", 1500, 26, 12, season=0.2),
    Scenario("1 500, season 20 %, 104+12", 1500, 104, 12, season=0.2),
    Scenario("100 000 a month, 26+12", 100_000, 26, 12),
)


def slow_noise(n: int, spread: float, rng: np.random.Generator) -> FloatArray:
    """Autocorrelated (0.8 a week) log noise with the stationary standard deviation `spread`."""
    noise = np.empty(n)
    noise[0] = rng.normal(0, spread)
    for week in range(1, n):
        noise[week] = 0.8 * noise[week - 1] + rng.normal(0, spread * 0.6)
    return noise


def launch(scenario: Scenario, lift: float, rng: np.random.Generator) -> tuple[Funnel, float, float]:
    """One simulated launch that multiplies the booking rate by 1 + `lift`.

    Returns the funnel and the visits and revenue its post leads would have been expected to bring without it.
    """
    n = scenario.n_pre + scenario.n_post
    t = np.arange(n)
    wave = scenario.season * np.sin(2 * np.pi * (t / 52.18 + rng.random()))
    mean = scenario.leads_a_month / MONTH_WEEKS * (1 + scenario.trend) ** t * (1 + wave)
    mean *= np.exp(slow_noise(n, 0.05, rng)) * np.where(rng.random(n) < 0.03, 0.7, 1.0)  # a holiday week now and then
    leads = rng.poisson(mean * rng.gamma(200, 1 / 200, n))
    booking = np.clip(BOOKING * np.exp(slow_noise(n, 0.03, rng)), 0, 0.99)
    show = np.clip(SHOW * np.exp(slow_noise(n, 0.02, rng)), 0, 0.99)
    lifted = np.where(t >= scenario.n_pre, booking * (1 + lift), booking)
    booked = rng.binomial(leads, lifted)
    visited = rng.binomial(booked, show)
    paid = rng.binomial(visited, PAID)
    revenue, revenue_sq = np.zeros(n), np.zeros(n)
    for week in range(n):
        checks = CHECK * rng.lognormal(-0.32, 0.8, paid[week])
        revenue[week], revenue_sq[week] = checks.sum(), (checks**2).sum()
    post = slice(scenario.n_pre, None)
    # What the leads that came owed to the launch in expectation: the effect's truth, free of the outcomes' own luck.
    visits_without = float((leads * booking * show)[post].sum())
    funnel = Funnel(leads.astype(float), visited.astype(float), booked.astype(float), paid.astype(float),
                    revenue, revenue_sq)
    return funnel, visits_without * lift, visits_without * lift * PAID * CHECK


def cell(scenario: Scenario, lift: float, n_launches: int) -> dict[str, list[tuple[Effect, float]]]:
    """Effects with their truths for `n_launches` launches."""
    rng = np.random.default_rng([SCENARIOS.index(scenario), LIFTS.index(lift)])
    season = total_rule(scenario.n_pre).season
    found: dict[str, list[tuple[Effect, float]]] = {"process": [], "revenue": [], "total": []}
    for _ in range(n_launches):
        funnel, visits, revenue = launch(scenario, lift, rng)
        weeks = Weeks(scenario.n_pre)
        process = process_effect(funnel, weeks)
        found["process"].append((process.visits, visits))
        if process.revenue is not None:
            found["revenue"].append((process.revenue, revenue))
        found["total"].append((total_effect(WeeklyCounts(funnel.visited), weeks, season=season), visits))
    return found


def share(flags: list[bool]) -> str:
    """A share in percent."""
    return f"{100 * np.mean(flags):5.1f}"


def main(n_launches: int) -> None:
    """Print the table."""
    started = time.perf_counter()
    print(f"{n_launches} launches a cell; false alarms / coverage at +15 % / power at +15 % / at +40 %, in %\n")
    print("| scenario | " + " | ".join(("process", "process, revenue", "total")) + " |\n|---|---|---|---|")
    for scenario in SCENARIOS:
        cells = {lift: cell(scenario, lift, n_launches) for lift in LIFTS}
        texts = []
        for claim in ("process", "revenue", "total"):
            none, some, much = (cells[lift][claim] for lift in LIFTS)
            texts.append(" / ".join((
                share([e.excludes_zero for e, _ in none]),
                share([e.low <= truth <= e.high for e, truth in some]),
                share([e.low > 0 for e, _ in some]),
                share([e.low > 0 for e, _ in much]),
            )))
        print(f"| {scenario.name} | " + " | ".join(texts) + " |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
