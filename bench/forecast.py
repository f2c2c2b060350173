"""Does the forecast hold? Businesses whose future is known: `python -m bench.forecast` writes the tables of docs/forecast.md.

Two questions. Of the customers known today, how many visits come in the next 6 and 12 months: the cohort curve, BG/NBD, the one
kept by the back-test, and "last month times twelve". And of a measured launch, what it has earned by month 6 and 12, when its
effect stays, fades or fades fast. Seeded; two workers; a few minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple
from zlib import crc32

import numpy as np

from bench.portal import ROOT
from bench.simulator import Business, Lift, simulate
from bench.validate_tables import replaced
from pipeline.claims import Claim
from pipeline.effects import process_effect
from pipeline.forecast import launch_ahead
from pipeline.looks import always_valid
from pipeline.repeats import MONTH, History, IntArray
from pipeline.returning import MODELS, fit, known_ahead, returning
from pipeline.roi import MONTH_DAYS, Costs, compute_money
from pipeline.weekly import FloatArray

PAGE = ROOT / "docs" / "forecast.md"
N_BUSINESSES = 80
HORIZONS = (6, 12)
ESTIMATES = ("cohort curve", "BG/NBD", "kept", "last month times")
CHECK_SIGMA = 0.6


@dataclass(frozen=True, slots=True)
class Regulars:
    """Customers of a business. `churn` is the mean chance to leave after each visit, or, with `is_monthly`, a month."""

    customers: int = 600
    months: int = 18
    visits_a_month: float = 0.6
    variety: float = 1.0
    """Squared coefficient of variation of the rate between customers."""
    churn: float = 0.25
    is_monthly: bool = False
    """Leaving by the calendar and coming at regular intervals: not the world of BG/NBD."""
    season: float = 0.0
    drift: float = 0.0
    """Relative change a month of everybody's rate."""
    growth: float = 0.0
    """Of new customers, a month."""
    old: float = 0.0
    """Part of the customers that were there before the CRM was."""
    check_sigma: float = CHECK_SIGMA


WORLDS = {
    "600 customers, 18 months": Regulars(),
    "150 customers": Regulars(customers=150),
    "5 000 customers, 24 months": Regulars(customers=5000, months=24),
    "9 months of history": Regulars(customers=400, months=9),
    "season of 25 %": Regulars(season=0.25),
    "leave by the calendar, regular visits": Regulars(is_monthly=True, churn=0.12, variety=0.2),
    "a third older than the CRM": Regulars(old=0.33),
    "rates fall 3 % a month": Regulars(drift=-0.03),
    "new customers grow 6 % a month": Regulars(growth=0.06),
    "heavy checks": Regulars(check_sigma=1.5),
}
# What the effect does, and leads a month. A launch enters once it is proven: a small one only if it was lucky.
LAUNCHES: dict[str, tuple[float | None, float]] = {
    "stays": (None, 3000.0),
    "halves in 12 months": (12.0, 3000.0),
    "halves in 6 months": (6.0, 3000.0),
    "stays; a tenth of the leads": (None, 300.0),
}


class Work(NamedTuple):
    """One business of one row."""

    group: str
    key: str
    number: int


def visits_of(world: Regulars, n: int, first: FloatArray, until: float, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Customer and day of every visit, the first one included, up to a day."""
    rate = rng.gamma(1 / world.variety, world.variety * world.visits_a_month, n) / MONTH
    leaves = np.clip(rng.beta(2.0, 2.0 / world.churn - 2.0, n), 1e-3, 1.0)
    last = first + rng.exponential(MONTH / world.churn, n) if world.is_monthly else np.full(n, np.inf)
    phase = rng.uniform(0, 2 * np.pi)
    who, when = [np.arange(n)], [first]
    alive, at = np.arange(n), first.copy()
    top = 1 + world.season
    while alive.size:
        if not world.is_monthly:
            alive = alive[rng.random(alive.size) >= leaves[alive]]
        shape = 3.0 if world.is_monthly else 1.0
        wait = np.zeros(alive.size)
        is_open = np.ones(alive.size, dtype=bool)
        while is_open.any():  # thinning: a season and a drift on every rate
            here = alive[is_open]
            wait[is_open] += rng.gamma(shape, 1 / (shape * rate[here] * top))
            day = at[here] + wait[is_open]
            wave = 1 + world.season * np.sin(2 * np.pi * day / 365.25 + phase)
            wave = wave * np.exp(world.drift * np.maximum(day, 0) / MONTH)
            is_open[np.flatnonzero(is_open)[(rng.random(here.size) < wave / top) | (day > until)]] = False
        at[alive] += wait
        alive = alive[(at[alive] <= np.minimum(until, last[alive]))]
        who.append(alive)
        when.append(at[alive].copy())
    return np.concatenate(who).astype(np.int64), np.concatenate(when)


def business(world: Regulars, rng: np.random.Generator) -> tuple[History, History]:
    """What is known after the history's months, and a year later."""
    days, n = world.months * MONTH, world.customers
    place = rng.random(n)
    grown = world.growth * world.months
    first = days * (np.log1p(place * np.expm1(grown)) / grown if grown else place)
    is_old = rng.random(n) < world.old
    first = np.where(is_old, -rng.random(n) * 24 * MONTH, first)
    end = days + 12 * MONTH
    who, when = visits_of(world, n, first, end, rng)
    amount = rng.lognormal(7.5, world.check_sigma, who.size)
    code, day = who[when >= 0], when[when >= 0].astype(np.int64)
    return tuple(History.of(code[day < known], day[day < known], amount[when >= 0][day < known], known)  # type: ignore[return-value]  # two
                 for known in (int(days), int(end)))  # fmt: skip


def known_row(key: str, rng: np.random.Generator) -> Iterator[tuple[str, FloatArray]]:
    """(estimate and horizon, [log ratio, absolute share, inside 80, inside 95]) of one business; visits, then money."""
    now, later = business(WORLDS[key], rng)
    back = returning(now, max(HORIZONS))
    settled = back.history
    if back.fitted is None:
        yield "none", np.array([1.0])
        return
    yield "bgnbd kept", np.array([float(back.fitted.bgnbd is not None)])
    is_mine = (later.first >= settled.first.min()) & (later.first < now.known_day)
    simple = fit(MODELS[0], settled, 12)
    fitted = {"cohort curve": simple, "BG/NBD": fit(MODELS[1], settled, 12, simple), "kept": back.fitted}
    for months in HORIZONS:
        end = now.known_day + round(months * MONTH)
        seen = is_mine[later.customer] & (later.visit_day >= now.known_day) & (later.visit_day < end)
        truth = {"visits": float(seen.sum()), "money": float(later.visit_amount[seen].sum())}
        recent = settled.visits_between(now.known_day - round(MONTH), now.known_day)
        naive = dict(zip(("visits", "money"), (value * months for value in recent), strict=True))
        ahead = {name: known_ahead(model, settled, months) for name, model in fitted.items() if model is not None}
        for what, true in truth.items():
            for name, said in ahead.items():
                yield f"{name}/{months}/{what}", judged(getattr(said, what), true)
            yield f"last month times/{months}/{what}", judged(np.array([naive[what]]), true)


def launch_row(key: str, rng: np.random.Generator) -> Iterator[tuple[str, FloatArray]]:
    """The same of a launch's net by month 6 and 12: the forecast, an effect that stays, "a measured month times"."""
    half_life, leads = LAUNCHES[key]
    made = simulate(Business(leads_a_month=leads), 1, 26, 12, Lift(booking=1.4), rng)
    funnel, weeks = made.funnel(0), made.weeks(0)
    margin, costs = 0.5, Costs(one_off=40.0 * leads, monthly=10.0 * leads)
    effect = process_effect(funnel, weeks, margin=margin)
    post = weeks.split(funnel.leads.size)[1]
    measured = 7 * post.size / MONTH_DAYS
    money = compute_money(effect, costs, window_days=7 * post.size, n_leads=float(funnel.leads[post].sum()))
    claim = Claim(effect, money, always_valid(effect, money))
    world = Regulars(customers=1500, months=12)
    now, _ = business(world, rng)
    back = returning(now, 12)
    said = launch_ahead(claim, back, now, now.known_day - round(measured * MONTH))
    yield "proven", np.array([float(said.is_proven)])
    if not said.is_proven or said.new_share is None:
        return
    truth = made.truth["process", "revenue"]
    a_month = float(truth.added[0][post].sum()) / measured * margin
    paid_share = float(truth.added[0][post].sum()) / made.business.check  # paying leads won, in expectation
    won = paid_share / measured * said.new_share
    for n, months in enumerate(HORIZONS):
        middle = np.arange(months) + 0.5
        kept = np.ones(months) if half_life is None else 0.5 ** (np.maximum(middle - measured, 0) / half_life)
        repeats = _true_repeats(world, won * kept, months, rng) * margin
        cost = leads * (40.0 + 10.0 * months)
        net = a_month * kept.sum() + repeats - cost
        for line, name in zip(said.lines, ("stays", "forecast"), strict=True):
            at = line.at[n]
            assert line.net is not None
            assert at.net is not None
            path = line.net[:, months]
            yield f"{name}/{months}", _judged_bands(path, net, cost)
        assert money.monthly_benefit is not None
        plain = money.monthly_benefit.estimate * months - cost
        share = (plain - net) / (net + cost)
        yield f"a month times/{months}", np.array([share, abs(share), np.nan, np.nan])


def _true_repeats(world: Regulars, won: FloatArray, months: int, rng: np.random.Generator) -> float:
    """Money of the later visits of those won in each month, one life drawn for each of them."""
    n = rng.poisson(won)
    first = np.repeat(np.arange(months) + 0.5, n) * MONTH
    if not first.size:
        return 0.0
    who, _ = visits_of(world, first.size, first, months * MONTH, rng)
    return float(rng.lognormal(7.5, world.check_sigma, max(who.size - first.size, 0)).sum())


def judged(draws: FloatArray, true: float) -> FloatArray:
    """Log ratio of the median, its share missed, and whether the 80 and 95 % ranges hold the truth."""
    low, below, middle, above, high = np.quantile(draws, (0.025, 0.1, 0.5, 0.9, 0.975))
    inside = (np.nan, np.nan) if draws.size == 1 else (float(below <= true <= above), float(low <= true <= high))
    true = max(true, 0.5)
    return np.array([(middle - true) / true, abs(middle - true) / true, *inside])


def _judged_bands(path: FloatArray, net: float, cost: float) -> FloatArray:
    """Errors of a net, relative to what was earned: a net near nought has no percentage."""
    low, below, _, middle, _, above, high = path
    earned = net + cost
    share = (middle - net) / earned
    return np.array([share, abs(share), float(below <= net <= above), float(low <= net <= high)])


Row = Callable[[str, np.random.Generator], Iterator[tuple[str, FloatArray]]]
ROWS: dict[str, Row] = {"known": known_row, "launch": launch_row}


def run(work: Work) -> tuple[Work, list[tuple[str, FloatArray]]]:
    """One business, in a worker."""
    rng = np.random.default_rng([crc32(f"{work.group}/{work.key}".encode()), work.number])
    return work, list(ROWS[work.group](work.key, rng))


def tables(found: dict[tuple[str, str], dict[str, list[FloatArray]]]) -> dict[str, str]:
    """The page's tables by the name of their place."""
    texts = {}
    for what in ("visits", "money"):
        for months in HORIZONS:
            heads = ("business", *ESTIMATES, *(("BG/NBD kept in",) if what == "visits" and months == 6 else ()))
            rows = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
            for key in WORLDS:
                cell = found.get(("known", key), {})
                cells = [_cell(cell.get(f"{name}/{months}/{what}", [])) for name in ESTIMATES]
                if what == "visits" and months == 6:
                    cells.append(f"{100 * np.mean(cell.get('bgnbd kept', [[0.0]])):.0f} %")
                rows.append(f"| {key} | " + " | ".join(cells) + " |")
            texts[f"{what}-{months}"] = "\n".join(rows)
    heads = ("what the effect really does", "by month", "forecast", "were it to stay", "a measured month times", "proven")
    rows = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for key in LAUNCHES:
        cell = found.get(("launch", key), {})
        for months in HORIZONS:
            cells = [_cell(cell.get(f"{name}/{months}", [])) for name in ("forecast", "stays", "a month times")]
            cells.append(f"{100 * np.mean(cell.get('proven', [[0.0]])):.0f} %")
            rows.append(f"| {key} | {months} | " + " | ".join(cells) + " |")
    texts["launch"] = "\n".join(rows)
    return texts


def _cell(rows: Sequence[FloatArray]) -> str:
    if not rows:
        return "-"
    bias, error, within_80, within_95 = np.mean(np.stack(rows), axis=0)
    ranges = "" if np.isnan(within_80) else f", {100 * within_80:.0f} / {100 * within_95:.0f}"
    text = f"{100 * bias:+.0f}, {100 * error:.0f}{ranges}".replace("-", "−")
    return f"0{text[2:]}" if text[:3] in ("+0,", "−0,") else text


def main(arguments: Sequence[str]) -> int:
    """Run, print, and write the page unless a part was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.forecast", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--businesses", type=int, default=N_BUSINESSES, metavar="N", help="a row (default %(default)s)")
    parser.add_argument("--only", default="", metavar="WORD", help="rows whose name contains it; prints only")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    asked = parser.parse_args(arguments)
    keys = [("known", key) for key in WORLDS] + [("launch", key) for key in LAUNCHES]
    work = [Work(*key, number) for key in keys if asked.only in "/".join(key) for number in range(asked.businesses)]
    found: dict[tuple[str, str], dict[str, list[FloatArray]]] = {}
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # small matrices: threads only wait
    with get_context("spawn").Pool(asked.workers) as pool:
        for done, rows in pool.imap(run, work, chunksize=5):
            cell = found.setdefault((done.group, done.key), {})
            for name, row in rows:
                cell.setdefault(name, []).append(row)
    spent = os.times()
    minutes = (spent.children_user + spent.children_system) / 60
    texts = tables(found)
    texts["run"] = (f"`python -m bench.forecast --businesses {asked.businesses}`: {asked.businesses} businesses a row, "
                    f"{minutes:.1f} minutes of processor time over {asked.workers} workers. Standard error of an 80 % coverage: "
                    f"{100 * (0.16 / asked.businesses) ** 0.5:.0f} points.")  # fmt: skip
    print("\n\n".join(f"{name}\n{text}" for name, text in texts.items()))
    if not asked.only and asked.businesses >= N_BUSINESSES:
        replaced(PAGE, texts.items())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
