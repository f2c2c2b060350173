"""The ladder: which claim the data can carry, and the verdict. The rule is printed in every report.

| rung | when | claim |
|---|---|---|
| R0 | under 4 whole weeks or under 30 visits on a side | none, "about N more weeks" |
| R1 | otherwise, unless lead recording changed | process claim |
| R3 | no control, at least 52 pre weeks | total, season prior .10, from 104 weeks .25 |
| R4 | 26 to 51 | total, .15, indicative |
| R5 | under 26 | total, .10, at most 8 post weeks, indicative |

R2, the total claim against an untreated control, is the next step: it goes into `total_rule`, before R3.

A rule gives its reason as a code with figures; the words are the reports' business, in each language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

import numpy as np

from pipeline.effects import Effect, Interval, rate_effect, total_effect
from pipeline.llq import RATE, llq
from pipeline.weekly import FloatArray, WeeklyCounts, WeeklyRate, Weeks, checked

MIN_WEEKS = 4
MIN_VISITS = 30
TRUST_THRESHOLD = 50
# P(ROI > 0) from coarse data misleads: small shops were told 98 % where 82 % was true.
MAX_DETECTABLE_FOR_PROBABILITY = 0.30
SCEPTICAL_SD = 0.35
# A source below this share of the leads on both sides cannot fake an effect worth reporting.
MIN_SOURCE_SHARE = 0.05
# A source that appears or vanishes withholds the claim: it must be far beyond chance.
SOURCE_CHANCE = 0.001

VerdictCode = Literal["pays", "works_payback_unproven", "does_not_pay", "harms", "not_enough_data"]
RungCode = Literal["R0", "R1", "R3", "R4", "R5"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule fired: a code for the sentence and the figures that go into it."""

    code: str
    figures: Mapping[str, float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ladder looks at.

    Weeks are whole, mature and not left out; `recording` is the answer of `recording_changed`. `days_to_maturity`: until the
    last lead that may count so far is mature, i.e. the rest of the launch week, the washout and the horizon while no week
    counts yet; not above zero from then on.
    """

    n_pre_weeks: int
    n_post_weeks: int
    n_pre_visits: float
    n_post_visits: float
    recording: Reason | None = None
    days_to_maturity: int = 0


@dataclass(frozen=True, slots=True)
class TotalRule:
    """How the total claim is made: season prior, post weeks it may use, and whether it may lead the report."""

    code: RungCode
    season: float
    is_indicative: bool
    max_post_weeks: int | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """What may be said. `code` is the strongest rung reached, `headline` the claim the report leads with."""

    code: RungCode
    headline: Literal["process", "total", "none"]
    total: TotalRule | None
    reasons: tuple[Reason, ...]

    @property
    def is_refused(self) -> bool:
        """Too little data for any effect."""
        return self.code == "R0"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of five words, with the figures that decided."""

    code: VerdictCode
    reason: Reason


def total_rule(n_pre_weeks: int) -> TotalRule:
    """How the total claim is made with this much history and no control."""
    if n_pre_weeks >= 104:
        return TotalRule("R3", season=0.25, is_indicative=False)
    if n_pre_weeks >= 52:
        return TotalRule("R3", season=0.10, is_indicative=False)
    if n_pre_weeks >= 26:
        return TotalRule("R4", season=0.15, is_indicative=True)
    return TotalRule("R5", season=0.10, is_indicative=True, max_post_weeks=8)


def climb(facts: Facts) -> Rung:
    """The strongest rung these data can carry, with a reason for every rule that fired."""
    shortage = _shortage(facts)
    if shortage:
        return Rung("R0", "none", None, shortage)
    total = total_rule(facts.n_pre_weeks)
    weeks: dict[str, float | str | None] = {"n_pre_weeks": facts.n_pre_weeks, "season": total.season}
    total_reason = Reason("total_indicative" if total.is_indicative else "total_without_control", weeks)
    if facts.recording is None:
        return Rung("R1", "process", total, (Reason("process_claim"), total_reason))
    reasons = (Reason("process_withheld"), facts.recording, total_reason)
    return Rung(total.code, "none" if total.is_indicative else "total", total, reasons)


def verdict(effect: Interval | None, break_even: float | None, trust_score: float) -> Verdict:
    """The printed rule. `effect` and `break_even` in the same unit; `effect` None when no claim may lead the report.

    `break_even` None: the cost is not known, so payback cannot be proven either way.
    """
    if trust_score < TRUST_THRESHOLD:
        return Verdict("not_enough_data", Reason("low_trust", {"score": trust_score, "threshold": TRUST_THRESHOLD}))
    if effect is None:
        return Verdict("not_enough_data", Reason("no_claim"))
    figures: dict[str, float | str | None] = {"low": effect.low, "high": effect.high, "break_even": break_even}
    if effect.high < 0:
        return Verdict("harms", Reason("below_zero", figures))
    if break_even is not None and effect.low > max(break_even, 0.0):
        return Verdict("pays", Reason("above_break_even", figures))
    if break_even is not None and effect.high < break_even:
        return Verdict("does_not_pay", Reason("below_break_even", figures))
    if effect.low > 0:
        code = "break_even_unknown" if break_even is None else "break_even_inside"
        return Verdict("works_payback_unproven", Reason(code, figures))
    return Verdict("not_enough_data", Reason("zero_inside", figures))


def recording_changed(leads: WeeklyCounts, weeks: Weeks, *, season: float, sources: Mapping[str, FloatArray],
                      duplicates: FloatArray | None = None) -> Reason | None:
    """Whether what counts as a lead changed at the launch, which would void the process claim.

    A source that appears or vanishes is enough. Otherwise the number of leads must reject no change, and the share of a
    source or of duplicates must have moved beyond its own drift. `sources` and `duplicates`: leads a week.
    """
    pre, post = weeks.split(leads.n_weeks)
    by_source = {name: checked(f"source {name}", series, is_signed=False, like=leads.total)
                 for name, series in sorted(sources.items())}
    n_pre, n_post = leads.total[pre].sum(), leads.total[post].sum()
    if not n_pre or not n_post:
        return None
    seen = {name: (float(series[pre].sum() / n_pre), float(series[post].sum() / n_post))
            for name, series in by_source.items()}
    for name, (before, after) in seen.items():
        if _came_from_nothing(before, after, n_pre):
            return Reason("source_appeared", {"source": name, "share": after})
        if _came_from_nothing(after, before, n_post):
            return Reason("source_vanished", {"source": name, "share": before})
    count = total_effect(leads, weeks, season=season)
    if not count.excludes_zero:
        return None
    change = count.relative.estimate if count.relative else None
    figures: dict[str, float | str | None] = {"leads_change": change}
    tested = [name for name, shares in seen.items() if max(shares) >= MIN_SOURCE_SHARE and len(seen) > 1]
    for name in tested:
        # Bonferroni: many sources must not make a false alarm likely.
        if _share_moved(WeeklyRate(by_source[name], leads.total), weeks, 0.05 / len(tested)):
            before, after = seen[name]
            return Reason("source_mix_changed", {**figures, "source": name, "before": before, "after": after})
    if duplicates is not None and rate_effect(WeeklyRate(duplicates, leads.total), weeks).excludes_zero:
        return Reason("duplicate_share_changed", figures)
    return None


def sceptical_weights(observed: float, counterfactual: FloatArray) -> FloatArray | None:
    """Weights of draws under the prior log(observed / counterfactual) ~ N(0, .35); None where no draw has a logarithm.

    For probabilities only: intervals stay as measured.
    """
    if observed <= 0 or not (counterfactual > 0).any():
        return None
    log_effect = np.log(observed / np.where(counterfactual > 0, counterfactual, 1.0))
    weights = np.where(counterfactual > 0, np.exp(-0.5 * (log_effect / SCEPTICAL_SD) ** 2), 0.0)
    total = float(weights.sum())
    return np.asarray(weights / total) if total > 0 else None


def probability(is_true: np.typing.NDArray[np.bool_], effect: Effect, expected: FloatArray) -> float | None:
    """Share of draws in which a statement holds, sceptically weighted; None where the data are too coarse for one."""
    if effect.detectable is None or effect.detectable >= MAX_DETECTABLE_FOR_PROBABILITY:
        return None
    weights = sceptical_weights(effect.observed, expected)
    return None if weights is None else float(weights @ is_true)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values adjusted for looking at several factors at once. Source: Holm (1979)."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, p_values[name] * (len(p_values) - rank)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def _shortage(facts: Facts) -> tuple[Reason, ...]:
    """Why an effect is refused. A short pre period does not grow by waiting: it asks for history instead."""
    reasons = []
    limits = {"min_weeks": MIN_WEEKS, "min_visits": MIN_VISITS}
    pre: dict[str, float | str | None] = {"n_weeks": facts.n_pre_weeks, "n_visits": facts.n_pre_visits, **limits}
    if facts.n_pre_weeks < MIN_WEEKS or facts.n_pre_visits < MIN_VISITS:
        reasons.append(Reason("too_little_pre", pre))
    if facts.n_post_weeks < MIN_WEEKS or facts.n_post_visits < MIN_VISITS:
        pace = _visits_a_week(facts)
        wanted = max(MIN_WEEKS, ceil(MIN_VISITS / pace)) if pace else None
        more = None if wanted is None else max(ceil(wanted - facts.n_post_weeks + facts.days_to_maturity / 7), 1)
        figures: dict[str, float | str | None] = {
            "n_weeks": facts.n_post_weeks, "n_visits": facts.n_post_visits,
            "more_weeks": more, **limits,
        }
        reasons.append(Reason("too_little_post", figures))
    return tuple(reasons)


def _visits_a_week(facts: Facts) -> float:
    """The pace since the launch, or the pre pace while nothing is mature yet."""
    if facts.n_post_weeks and facts.n_post_visits:
        return facts.n_post_visits / facts.n_post_weeks
    return facts.n_pre_visits / facts.n_pre_weeks if facts.n_pre_weeks else 0.0


def _came_from_nothing(before: float, after: float, n_before: float) -> bool:
    """Absent on one side, and on the other too common for that to be chance: (1 - share)^n."""
    return before == 0 and after >= MIN_SOURCE_SHARE and n_before * np.log1p(-min(after, 0.999)) < np.log(SOURCE_CHANCE)


def _share_moved(share: WeeklyRate, weeks: Weeks, level: float) -> bool:
    prediction = llq(share, weeks, RATE)
    low, high = prediction.quantile([level / 2, 1 - level / 2])
    return bool(prediction.observed < low or prediction.observed > high)
