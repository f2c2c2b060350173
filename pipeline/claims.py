"""What the data can carry: the funnel, the rung of the ladder, the claims with their money, the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

import numpy as np

from pipeline import ladder
from pipeline.controls import Control
from pipeline.costs import End
from pipeline.effects import Effect, Funnel, Interval, ProcessEffect, process_effect, total_claim
from pipeline.guards import without_dip
from pipeline.journeys import StageUse
from pipeline.ladder import Reason, Rung, Verdict
from pipeline.launches import Launch
from pipeline.llq import Past, llq
from pipeline.looks import Looks, always_valid
from pipeline.metrics import Cells, Figure
from pipeline.modes import RATE
from pipeline.periods import Periods
from pipeline.recording import Guard, standardised
from pipeline.roi import Money, SavedHours, compute_money
from pipeline.segments import segment_contributions
from pipeline.spending import LaunchMoney
from pipeline.weekly import FloatArray, WeeklyRate, Weeks

ClaimName = Literal["process", "total"]


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
    """One claim with its money; `segments` splits the benefit by channel and branch: the estimates sum to it.

    `uncounted`: the money with every cost that is only a range at its low and at its high end; None without such costs.
    """

    effect: ProcessEffect
    money: Money
    looks: Looks
    segments: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    uncounted: tuple[Money, Money] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Visits of each post week at the visit conversion from before the launch, for drawing."""

    weeks: tuple[date, ...]
    mean: FloatArray
    low: FloatArray
    high: FloatArray


def funnel_of(measured: Mapping[str, MetricResult], stages: Sequence[StageUse]) -> Funnel:
    """Weekly funnel of what was measured."""
    return funnel_from({name: result.weekly for name, result in measured.items()}, stages)


def funnel_from(weekly: Mapping[str, Mapping[str, FloatArray]], stages: Sequence[StageUse]) -> Funnel:
    """Weekly funnel; a step that no stage stands for is left out, it would only repeat its neighbour."""
    mapped = {use.milestone for use in stages}
    booking, visit, revenue = weekly["booking_conversion"], weekly["visit_conversion"], weekly["revenue"]
    has_payments = "paid" in mapped
    return Funnel(
        leads=weekly["leads"]["n"],
        booked=booking["numerator"] if mapped & {"booked", "confirmed", "no_show"} else None,
        visited=visit["numerator"],
        paid=revenue["n"] if has_payments and "visited" in mapped else None,
        revenue=revenue["total"] if has_payments else None,
        revenue_sq=revenue["total_sq"] if has_payments else None,
    )


def climb(
    measured: Mapping[str, MetricResult], periods: Periods, known_on: date, guards: Sequence[Guard] = (),
    control: Control | None = None,
) -> Rung:
    """The rung these data reach."""
    visits = measured["visit_conversion"]
    return ladder.climb(
        ladder.Facts(
            n_pre_weeks=len(periods.pre_weeks),
            n_post_weeks=len(periods.post_weeks),
            n_pre_visits=visits.pre.sums["numerator"],
            n_post_visits=visits.post.sums["numerator"],
            guards=tuple(guards),
            has_control=control is not None,
            is_weak_control=control is not None and control.is_weak,
            days_to_maturity=(periods.post.end - known_on).days + periods.horizon_days,
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What claims are made from: the funnel and its weeks, the rung, what the account taught, the control, the guards, the costs
    (None: those of the launch's own table)."""

    launch: Launch
    funnel: Funnel
    weeks: Weeks
    rung: Rung
    pasts: Mapping[str, Past | None] = field(default_factory=dict)
    control: Control | None = None
    guards: tuple[Guard, ...] = ()
    channels: Mapping[str, Funnel] = field(default_factory=dict)
    costs: LaunchMoney | None = None

    def claim(
        self, name: ClaimName, funnel: Funnel, weeks: Weeks, margin: float | None, season_factor: float = 1.0
    ) -> tuple[ProcessEffect, Money]:
        """One claim on these weeks. Raises ValueError where a side is empty, ConfigError for a negative cost."""
        mine = [guard for guard in self.guards if guard.claim in (name, "both")]
        if any(guard.code == "after_dip" for guard in mine):
            weeks = without_dip(weeks, funnel.leads.size)
        rates = self._at_equal_mix(funnel, weeks)
        if name == "process":
            is_indicative = any(guard.action == "indicative" for guard in mine)
            effect = process_effect(funnel, weeks, margin=margin, pasts=self.pasts, is_indicative=is_indicative, rates=rates)
        else:
            rule = self.rung.total
            assert rule is not None
            weeks = replace(weeks, max_post=rule.max_post_weeks)
            effect = total_claim(
                funnel, weeks, season=rule.season * season_factor, is_indicative=rule.is_indicative, margin=margin,
                control=None if self.control is None else self.control.leads, pasts=self.pasts, rates=rates,
            )  # fmt: skip
        return effect, self._money(effect, funnel, weeks)

    def _at_equal_mix(self, funnel: Funnel, weeks: Weeks) -> dict[str, WeeklyRate]:
        """The first rate with every pre week brought to the channels' mix of the post period: a mix that moved is no effect."""
        for gone in ("", *self.channels):  # a funnel that leaves a channel out is compared without it
            kept = [part for key, part in self.channels.items() if key != gone]
            if len(kept) > 1 and np.array_equal(np.sum([part.leads for part in kept], axis=0), funnel.leads):
                step = "visited" if funnel.booked is None else "booked"
                reached = {str(n): np.minimum(getattr(part, step), part.leads) for n, part in enumerate(kept)}
                name = "visit_rate" if funnel.booked is None else "booking_rate"
                return {name: standardised(reached, {str(n): part.leads for n, part in enumerate(kept)}, weeks)}
        return {}

    def money(self, name: ClaimName, effect: ProcessEffect) -> tuple[ProcessEffect, Money]:
        """The money of an effect measured on this ground."""
        longest = self.rung.total.max_post_weeks if name == "total" and self.rung.total is not None else None
        weeks = self.weeks if name == "process" else replace(self.weeks, max_post=longest)
        return effect, self._money(effect, self.funnel, weeks)

    def uncounted(self, effect: ProcessEffect, weeks: Weeks) -> tuple[Money, Money] | None:
        """The money with the ranges of the costs at their low and their high ends; None without ranges."""
        if not self._spending.costs.has_ranges:
            return None
        return self._money(effect, self.funnel, weeks, "low"), self._money(effect, self.funnel, weeks, "high")

    @property
    def _spending(self) -> LaunchMoney:
        return LaunchMoney(self.launch.costs.counted()) if self.costs is None else self.costs

    def _money(self, effect: ProcessEffect, funnel: Funnel, weeks: Weeks, end: End | None = None) -> Money:
        post, given = weeks.split(funnel.leads.size)[1], self.launch.costs
        costs = self._spending.over(post)
        saved = SavedHours(given.saved_hours_monthly, given.hour_rate, given.is_saved_cash)
        return compute_money(effect, costs if end is None else costs.at(end), window_days=7 * post.size,
                             n_leads=float(funnel.leads[post].sum()), saved=saved)  # fmt: skip


def make_claims(ground: Ground, parts: Mapping[str, Mapping[str, Funnel]]) -> dict[ClaimName, Claim]:
    """The claims these data may make; one that is withheld is not even computed. `parts`: funnels by dimension and value."""
    claims: dict[ClaimName, Claim] = {}
    names: list[ClaimName] = ["process"] if ground.rung.headline == "process" else []
    if ground.rung.total is not None:
        names.append("total")
    for name in names:
        effect, money = ground.claim(name, ground.funnel, ground.weeks, ground.launch.margin)
        weeks = ground.weeks if name == "process" else replace(ground.weeks, max_post=ground.rung.total.max_post_weeks)  # type: ignore[union-attr]  # a total claim has a rule
        looks, segments = always_valid(effect, money), _segments(effect, weeks, parts)
        claims[name] = Claim(effect, money, looks, segments, ground.uncounted(effect, weeks))
    return claims


def _segments(
    effect: ProcessEffect, weeks: Weeks, parts: Mapping[str, Mapping[str, Funnel]]
) -> dict[str, dict[str, Interval]]:
    """Revenue (profit with a margin) that each value of a dimension brought; the estimates sum to the claim."""
    if effect.revenue is None or "average_check" not in effect.expected:
        return {}
    found = {}
    for dimension, funnels in parts.items():
        try:
            found[dimension] = segment_contributions(funnels, weeks, effect.expected, margin=effect.margin).by_segment
        except ValueError:  # no part had leads before the launch: nothing to compare each with
            continue
    return found


def expected_visits(funnel: Funnel, weeks: Weeks, periods: Periods, past: Past | None = None) -> Expected:
    prediction = llq(WeeklyRate(funnel.visited, funnel.leads), weeks, RATE, past=past)
    leads = funnel.leads[weeks.split(funnel.leads.size)[1]]
    half = 1.96 * prediction.weekly_sd
    low, high = (np.clip(prediction.weekly_mean + side * half, 0.0, 1.0) * leads for side in (-1, 1))
    return Expected(periods.post_weeks, prediction.weekly_mean * leads, low, high)


def reach_verdict(
    launch: Launch, rung: Rung, claims: Mapping[ClaimName, Claim], score: int, guards: Sequence[Guard] = ()
) -> Verdict:
    """The verdict, read from the always-valid interval: "proven" holds however often somebody looks."""
    claim = None if rung.headline == "none" else claims.get(rung.headline)
    benefit = claim.looks.benefit_month if claim else None
    plain = claim.money.monthly_benefit if claim else None
    break_even = claim.money.break_even_monthly if claim else None
    reached = ladder.verdict(benefit, break_even, score)
    if reached.reason.code == "low_trust":
        return reached
    if rung.is_refused:
        return Verdict("not_enough_data", rung.reasons[-1])
    if launch.margin is None:
        return Verdict("not_enough_data", Reason("margin_missing"))
    if claim is not None and claim.effect.revenue is None:
        return Verdict("not_enough_data", Reason("no_payments"))
    if reached.reason.code == "zero_inside" and plain is not None and not plain.low <= 0 <= plain.high:
        # The 95 % interval says yes, the one for weekly readers not yet.
        figures = {**reached.reason.figures, "plain_low": plain.low, "plain_high": plain.high}
        reached = Verdict("not_enough_data", Reason("interim", figures))
    return ladder.lowered(reached, guards, rung.headline)


def turned_verdicts(
    launch: Launch, rung: Rung, claims: Mapping[ClaimName, Claim], score: int, guards: Sequence[Guard] = ()
) -> tuple[Verdict, Verdict] | None:
    """What the verdict would be with the uncounted costs at both ends of their ranges; None where there are none."""
    claim = None if rung.headline == "none" else claims.get(rung.headline)
    if claim is None or claim.uncounted is None or rung.headline == "none":
        return None
    low, high = (reach_verdict(launch, rung, {**claims, rung.headline: replace(claim, money=money)}, score, guards)
                 for money in claim.uncounted)  # fmt: skip
    return low, high
