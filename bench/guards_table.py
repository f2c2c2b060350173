"""How often each guard fires where it should, and where it should not, on simulated shops with three sources of leads.

    python -m bench.guards_table [shops a cell, default 200]

Seeded: the same table every time. About 10 minutes on one core. Monte-Carlo error about 1.5 points at 5 % and 200 shops.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: threads only get in each other's way

import numpy as np

from pipeline.effects import rate_effect, total_effect
from pipeline.guards import Signals, guards
from pipeline.ladder import total_rule
from pipeline.recording import Guard, Recorded, standardised
from pipeline.weekly import FloatArray, WeeklyCounts, WeeklyRate, Weeks

MONTH_WEEKS = 365.25 / 12 / 7

MIX = {"ads": 0.45, "chat": 0.25, "site": 0.30}
BOOKING = {"ads": 0.25, "chat": 0.35, "site": 0.40}
PHONE = {"ads": 0.95, "chat": 0.80, "site": 0.98}
DUPLICATES = 0.06


def slow_noise(n: int, spread: float, rng: np.random.Generator) -> FloatArray:
    """Autocorrelated (0.8 a week) log noise with the stationary standard deviation `spread`."""
    noise = np.empty(n)
    noise[0] = rng.normal(0, spread)
    for week in range(1, n):
        noise[week] = 0.8 * noise[week - 1] + rng.normal(0, spread * 0.6)
    return noise


@dataclass(frozen=True, slots=True)
class Shop:
    """One kind of business and what happens to it. Shares: 0.3 is 30 %.

    `lift`: on every booking rate from the launch. `bot`: chats logged from the launch that used to be lost, as a share of
    all leads, with a third of the booking rate and of the phones. `demand`: on the chats, from the launch. `ads_drift`: a
    week, of the ads. `level_break`: on all leads from half of the pre period. `dip`: on the last four pre weeks.
    """

    name: str
    leads_a_month: float = 1500
    n_pre: int = 26
    n_post: int = 12
    trend: float = 0.0
    season: float = 0.0
    lift: float = 0.0
    bot: float = 0.0
    demand: float = 0.0
    ads_drift: float = 0.0
    duplicates: float = DUPLICATES
    level_break: float = 0.0
    dip: float = 0.0

    @property
    def weeks(self) -> Weeks:
        return Weeks(self.n_pre)


def history(shop: Shop, rng: np.random.Generator) -> Recorded:
    """One simulated history of a shop."""
    n = shop.n_pre + shop.n_post
    t = np.arange(n)
    is_post = t >= shop.n_pre
    wave = shop.season * np.sin(2 * np.pi * (t / 52.18 + rng.random()))
    level = shop.leads_a_month / MONTH_WEEKS * (1 + shop.trend) ** t * (1 + wave)
    level *= np.exp(slow_noise(n, 0.05, rng)) * np.where(rng.random(n) < 0.03, 0.7, 1.0) * rng.gamma(200, 1 / 200, n)
    level *= np.where(t >= shop.n_pre // 2, 1 + shop.level_break, 1.0)
    level *= np.where((t >= shop.n_pre - 4) & ~is_post, 1 - shop.dip, 1.0)
    mix = {name: np.full(n, share) for name, share in MIX.items()}
    mix["ads"] = mix["ads"] * np.exp(shop.ads_drift * (t - n / 2))
    booking = np.exp(slow_noise(n, 0.03, rng)) * np.where(is_post, 1 + shop.lift, 1.0)
    sources, booked, with_phone = {}, {}, np.zeros(n)
    for name, share in mix.items():
        own = level * share / np.sum(list(mix.values()), axis=0) * np.exp(slow_noise(n, 0.03, rng))
        leads = rng.poisson(own * np.where(is_post & (name == "chat"), 1 + shop.demand, 1.0))
        rate = np.clip(BOOKING[name] * booking * np.exp(slow_noise(n, 0.02, rng)), 0, 0.99)
        found = rng.poisson(np.where(is_post & (name == "chat"), level * shop.bot, 0.0))
        sources[name] = (leads + found).astype(np.float64)
        booked[name] = (rng.binomial(leads, rate) + rng.binomial(found, rate / 3)).astype(np.float64)
        with_phone += rng.binomial(leads, PHONE[name]) + rng.binomial(found, PHONE[name] / 3)
    leads = np.sum(list(sources.values()), axis=0)
    duplicates = rng.binomial(leads.astype(int), np.where(is_post, shop.duplicates, DUPLICATES)).astype(np.float64)
    return Recorded(WeeklyCounts(leads), sources, booked, duplicates, with_phone)


QUIET = Shop("nothing happens, 26+12")
SHOPS = (
    QUIET,
    Shop("nothing, 100 a month, 26+12", leads_a_month=100),
    Shop("nothing, 400 a month, 8+8", leads_a_month=400, n_pre=8, n_post=8),
    Shop("nothing, 100 000 a month", leads_a_month=100_000),
    Shop("nothing, 52+12, season 20 %", n_pre=52, season=0.2),
    Shop("nothing, 104+12, season 20 %", n_pre=104, season=0.2),
    Shop("season 20 %, 26+12", season=0.2),
    Shop("growth 1 % a week", trend=0.01),
    Shop("growth 1 % a week, 400 a month, 8+8", leads_a_month=400, n_pre=8, n_post=8, trend=0.01),
    Shop("growth 3 % a week", trend=0.03),
    Shop("decline 3 % a week", trend=-0.03),
    Shop("growth 3 %, 52+12, season 20 %", n_pre=52, trend=0.03, season=0.2),
    Shop("growth 3 %, 400 a month, 8+8", leads_a_month=400, n_pre=8, n_post=8, trend=0.03),
    Shop("booking rate +15 %", lift=0.15),
    Shop("booking rate +40 %", lift=0.40),
    Shop("booking rate +40 %, 400 a month, 8+8", leads_a_month=400, n_pre=8, n_post=8, lift=0.4),
    Shop("booking rate +40 %, chats +50 %", lift=0.40, demand=0.5),
    Shop("bot logs 30 % more, as chats", bot=0.3),
    Shop("the same and booking rate +15 %", bot=0.3, lift=0.15),
    Shop("the same and booking rate +40 %", bot=0.3, lift=0.40),
    Shop("bot, 400 a month, 26+12", leads_a_month=400, bot=0.3),
    Shop("bot, 400 a month, 8+8", leads_a_month=400, n_pre=8, n_post=8, bot=0.3),
    Shop("chats twice as many, same kind", demand=1.0),
    Shop("ads fall 2 % a week", ads_drift=-0.02),
    Shop("ads fall 4 % a week", ads_drift=-0.04),
    Shop("duplicates 6 -> 12 %", duplicates=0.12),
    Shop("level +40 % inside pre", level_break=0.4),
    Shop("level -30 % inside pre", level_break=-0.3),
    Shop("last 4 pre weeks -25 %", dip=0.25),
)


def fired(shop: Shop, rng: np.random.Generator) -> dict[str, str]:
    """Guards of one history, code (and claim of a dip) -> action; and what the claims would have said without them."""
    recorded = history(shop, rng)
    leads, season = recorded.leads, total_rule(shop.n_pre).season
    booked = np.sum(list(recorded.reached.values()), axis=0)
    rate = WeeklyRate(booked, leads.total)
    found: dict[str, str] = {name(guard): guard.action for guard in guards(Signals(recorded, season, rate), shop.weeks)}
    at_post_mix = standardised(recorded.reached, recorded.sources, shop.weeks)
    alarms = {
        "TOTAL": total_effect(leads, shop.weeks, season=season).excludes_zero,
        "RATE": rate_effect(rate, shop.weeks).excludes_zero,
        "RATE_AT_MIX": rate_effect(at_post_mix, shop.weeks).excludes_zero,
    }
    return found | {code: "alarm" for code, is_alarm in alarms.items() if is_alarm}


def name(guard: Guard) -> str:
    return f"{guard.code} ({guard.claim})" if guard.code == "after_dip" else guard.code


def main(n_shops: int) -> None:
    """Print one line a shop: what the claims said without guards, what was withheld, which guards fired."""
    started = time.perf_counter()
    print("| shop | total alarms, and left by strong_growth | rate alarms, at equal mix, left by withholding | process withheld "
          "/ indicative | guards that fired, % |\n|---|---|---|---|---|")
    for shop in SHOPS:
        rng = np.random.default_rng(11)
        runs = [fired(shop, rng) for _ in range(n_shops)]
        print(row(shop, runs), flush=True)
    print(f"\n{n_shops} shops a cell, {time.perf_counter() - started:.0f} s")


def row(shop: Shop, runs: list[dict[str, str]]) -> str:
    def share(flags: list[bool]) -> str:
        return f"{100 * np.mean(flags):.1f}"

    process = ("source_appeared", "source_vanished", "source_mix_changed", "lead_count_changed", "duplicate_share_changed",
               "phone_share_changed")
    withheld = [any(run.get(code) == "withhold" for code in process) for run in runs]
    indicative = [any(run.get(code) == "indicative" for code in process) for run in runs]
    codes = sorted({code for run in runs for code in run if code.islower()})
    return " | ".join((
        f"| {shop.name}",
        f"{share(['TOTAL' in run for run in runs])}, {share(['TOTAL' in run and 'strong_growth' not in run for run in runs])}",
        f"{share(['RATE' in run for run in runs])}, {share(['RATE_AT_MIX' in run for run in runs])}, "
        f"{share(['RATE_AT_MIX' in run and not off for run, off in zip(runs, withheld, strict=True)])}",
        f"{share(withheld)} / {share(indicative)}",
        ", ".join(f"{code} {share([code in run for run in runs])}" for code in codes) + " |",
    ))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
