"""What the data can carry: the funnel, the rung of the ladder, the claims with their money, the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

import numpy as np

from pipeline import ladder
from pipeline.effects import Effect, Funnel, ProcessEffect, process_effect, total_claim
from pipeline.errors import ConfigError
from pipeline.journeys import StageUse
from pipeline.ladder import Reason, Rung, Verdict
from pipeline.llq import RATE, llq
from pipeline.metrics import Cells, Figure
from pipeline.periods import Periods
from pipeline.roi import Costs, Money, SavedHours, compute_money
from pipeline.settings import Launch, LaunchCosts
from pipeline.weekly import FloatArray, WeeklyCounts, WeeklyRate, Weeks

ClaimName = Literal["process", "total"]
# A segment with fewer leads than this before the launch has no rate of its own: it is compared with everybody's.
MIN_SEGMENT_LEADS = 30


@dataclass(frozen=True, slots=True, eq=False)
class MetricResult:
    """One metric on both sides, week by week, by channel, branch and owner, and its effect where one can be told."""

    cells: Cells
    pre: Figure
    post: Figure
    weekly: Mapping[str, FloatArray]
    by: Mapping[str, Mapping[str, tuple[Figure | None, Figure | None]]]  # dimension -> value -> (pre, post)
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One claim with its money; `segments` splits the benefit by channel and branch, the rest being trend and chance."""

    effect: ProcessEffect
    money: Money
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Visits of each post week at the visit conversion from before the launch, for drawing."""

    weeks: tuple[date, ...]
    mean: FloatArray
    low: FloatArray
    high: FloatArray


def funnel_of(measured: Mapping[str, MetricResult], stages: Sequence[StageUse]) -> Funnel:
    """Weekly funnel; a step that no stage stands for is left out, it would only repeat its neighbour."""
    mapped = {use.milestone for use in stages}
    booking, visit = measured["booking_conversion"].weekly, measured["visit_conversion"].weekly
    revenue = measured["revenue"].weekly
    has_payments = "paid" in mapped
    return Funnel(
        leads=measured["leads"].weekly["n"],
        booked=booking["numerator"] if mapped & {"booked", "confirmed", "no_show"} else None,
        visited=visit["numerator"],
        paid=revenue["n"] if has_payments and "visited" in mapped else None,
        revenue=revenue["total"] if has_payments else None,
        revenue_sq=revenue["total_sq"] if has_payments else None,
    )


def climb(
    measured: Mapping[str, MetricResult], periods: Periods, weeks: Weeks, known_on: date, duplicates: FloatArray
) -> Rung:
    """The rung these data reach; `duplicates`: leads of each week that repeat an earlier one."""
    visits = measured["visit_conversion"]
    facts = ladder.Facts(
        n_pre_weeks=len(periods.pre_weeks),
        n_post_weeks=len(periods.post_weeks),
        n_pre_visits=visits.pre.sums["numerator"],
        n_post_visits=visits.post.sums["numerator"],
        days_to_maturity=(periods.post.end - known_on).days + periods.horizon_days,
    )
    rung = ladder.climb(facts)
    if rung.is_refused or rung.total is None:
        return rung
    leads = measured["leads"]
    recording = ladder.recording_changed(
        WeeklyCounts(leads.weekly["n"]),
        weeks,
        season=rung.total.season,
        sources=leads.cells.weekly_by("channel", "n", periods.weeks),
        duplicates=duplicates,
    )
    return ladder.climb(replace(facts, recording=recording))


def make_claims(
    launch: Launch, funnel: Funnel, weeks: Weeks, rung: Rung, measured: Mapping[str, MetricResult], periods: Periods
) -> dict[ClaimName, Claim]:
    """The claims these data may make. The process claim is not even computed when it is withheld."""
    claims: dict[ClaimName, Claim] = {}
    if rung.headline == "process":
        effect = process_effect(funnel, weeks, margin=launch.margin)
        segments = {dimension: _segments(dimension, measured, effect) for dimension in ("channel", "branch")}
        claims["process"] = Claim(effect, _money(launch.costs, effect, funnel, weeks), segments)
    if rung.total is not None:
        short = Weeks(weeks.n_pre, weeks.n_washout, weeks.left_out, rung.total.max_post_weeks)
        effect = total_claim(
            funnel, short, season=rung.total.season, is_indicative=rung.total.is_indicative, margin=launch.margin
        )
        claims["total"] = Claim(effect, _money(launch.costs, effect, funnel, short))
    return claims


def _money(lines: LaunchCosts, effect: ProcessEffect, funnel: Funnel, weeks: Weeks) -> Money:
    post = weeks.split(funnel.leads.size)[1]
    names = ("one_off", "monthly", "usage_per_lead", "staff_hours_one_off", "staff_hours_monthly", "hour_rate")
    try:
        costs = Costs(**{name: getattr(lines, name) for name in names})
    except ValueError as error:
        raise ConfigError(f"launches.toml: {error}") from None
    saved = SavedHours(lines.saved_hours_monthly, lines.hour_rate, lines.is_saved_cash)
    return compute_money(effect, costs, window_days=7 * post.size, n_leads=float(funnel.leads[post].sum()), saved=saved)


def _segments(dimension: str, measured: Mapping[str, MetricResult], effect: ProcessEffect) -> dict[str, float]:
    """Revenue (profit with a margin) that each value of a dimension brought beyond its own revenue a lead before.

    What trend and chance explain belongs to no segment: it is the entry "", so that the parts sum to the claim.
    """
    if effect.revenue is None:
        return {}
    leads, revenue = measured["leads"], measured["revenue"]
    overall = revenue.pre.sums["total"] / leads.pre.sums["n"]
    found = {}
    for key, (before, after) in leads.by[dimension].items():
        paid_before, paid_after = revenue.by[dimension].get(key, (None, None))
        own = before.sums["n"] if before else 0.0
        rate = (paid_before.sums["total"] if paid_before else 0.0) / own if own >= MIN_SEGMENT_LEADS else overall
        earned = paid_after.sums["total"] if paid_after else 0.0
        found[key] = (earned - (after.sums["n"] if after else 0.0) * rate) * (effect.margin or 1.0)
    whole = effect.profit or effect.revenue
    return {**found, "": whole.estimate - sum(found.values())}


def expected_visits(funnel: Funnel, weeks: Weeks, periods: Periods) -> Expected:
    prediction = llq(WeeklyRate(funnel.visited, funnel.leads), weeks, RATE)
    leads = funnel.leads[weeks.split(funnel.leads.size)[1]]
    half = 1.96 * prediction.weekly_sd
    low, high = (np.clip(prediction.weekly_mean + side * half, 0.0, 1.0) * leads for side in (-1, 1))
    return Expected(periods.post_weeks, prediction.weekly_mean * leads, low, high)


def reach_verdict(launch: Launch, rung: Rung, claims: Mapping[ClaimName, Claim], score: int) -> Verdict:
    claim = None if rung.headline == "none" else claims.get(rung.headline)
    benefit = claim.money.monthly_benefit if claim else None
    reached = ladder.verdict(benefit, claim.money.break_even_monthly if claim else None, score)
    if reached.reason.code == "low_trust":
        return reached
    if rung.is_refused:
        return Verdict("not_enough_data", rung.reasons[-1])
    if launch.margin is None:
        return Verdict("not_enough_data", Reason("margin_missing"))
    if claim is not None and claim.effect.revenue is None:
        return Verdict("not_enough_data", Reason("no_payments"))
    return reached
