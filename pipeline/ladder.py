"""The ladder: which claim the data can carry, and the verdict. The rule is printed in every report.

| rung | when | claim |
|---|---|---|
| R0 | under 4 whole weeks or under 30 visits on a side | none, "about N more weeks" |
| R1 | otherwise, unless a guard withholds it (`guards`) | process claim |
| R2 | an untreated control that is fit for it (`controls`) | total, leads predicted from the control's |
| R3 | no control, at least 52 pre weeks | total, season prior .15 or hardly any (`modes.FAINT_SHARE`); from 104 weeks .25 |
| R4 | 26 to 51 | total, .20 or hardly any (`modes.FAINT_SHARE`), indicative |
| R5 | under 26 | total, .10, at most 8 post weeks, indicative |

A guard withholds a claim, keeps it out of the headline (indicative), lowers the verdict by one step, or widens the interval.

A rule gives its reason as a code with figures; the words are the reports' business, in each language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

import numpy as np

from pipeline.effects import Effect, Interval
from pipeline.recording import Guard
from pipeline.weekly import FloatArray

MIN_WEEKS = 4
MIN_VISITS = 30
TRUST_THRESHOLD = 50
# P(ROI > 0) from coarse data misleads: small shops were told 98 % where 82 % was true.
MAX_DETECTABLE_FOR_PROBABILITY = 0.30
SCEPTICAL_SD = 0.35

VerdictCode = Literal["pays", "works_payback_unproven", "does_not_pay", "harms", "not_enough_data"]
RungCode = Literal["R0", "R1", "R2", "R3", "R4", "R5"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule fired: a code for the sentence and the figures that go into it."""

    code: str
    figures: Mapping[str, float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ladder looks at.

    Weeks are whole, mature and not left out; `guards` are those that fired. `days_to_maturity`: until the last lead that may
    count so far is mature, i.e. the rest of the launch week, the washout and the horizon while no week counts yet; not
    above zero from then on.
    """

    n_pre_weeks: int
    n_post_weeks: int
    n_pre_visits: float
    n_post_visits: float
    guards: tuple[Guard, ...] = ()
    has_control: bool = False
    is_weak_control: bool = False
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


def total_rule(n_pre_weeks: int, *, has_control: bool = False, is_weak_control: bool = False) -> TotalRule:
    """How the total claim is made with this much history; against a control history matters less."""
    if has_control:
        return TotalRule("R2", season=0.0, is_indicative=is_weak_control)
    if n_pre_weeks >= 104:
        return TotalRule("R3", season=0.25, is_indicative=False)
    if n_pre_weeks >= 52:
        return TotalRule("R3", season=0.15, is_indicative=False)
    if n_pre_weeks >= 26:
        return TotalRule("R4", season=0.20, is_indicative=True)
    return TotalRule("R5", season=0.10, is_indicative=True, max_post_weeks=8)


def climb(facts: Facts) -> Rung:
    """The strongest rung these data can carry, with a reason for every rule that fired."""
    shortage = _shortage(facts)
    if shortage:
        return Rung("R0", "none", None, shortage)
    total: TotalRule | None = total_rule(
        facts.n_pre_weeks, has_control=facts.has_control, is_weak_control=facts.is_weak_control)
    weeks: dict[str, float | str | None] = {"n_pre_weeks": facts.n_pre_weeks, "season": total.season if total else None}
    against = {claim: [guard for guard in facts.guards if guard.claim in (claim, "both")] for claim in ("process", "total")}
    withheld = {claim: next((one for one in found if one.action == "withhold"), None) for claim, found in against.items()}
    reasons: list[Reason] = []
    if withheld["process"] is None:
        reasons.append(Reason("process_claim"))
    else:
        reasons += [Reason("process_withheld"), Reason(withheld["process"].code, withheld["process"].figures)]
    if withheld["total"] is not None or total is None:
        guard = withheld["total"]
        reasons += [Reason("total_withheld")] + ([Reason(guard.code, guard.figures)] if guard else [])
        total = None
    else:
        if any(guard.action == "indicative" for guard in against["total"]):
            total = replace(total, is_indicative=True)
        alone = "total_indicative" if total.is_indicative else "total_without_control"
        reasons.append(Reason("total_with_control" if total.code == "R2" else alone, weeks))
    if withheld["process"] is None:
        return Rung("R1", "process", total, tuple(reasons))
    if total is None:
        return Rung("R0", "none", None, tuple(reasons))
    return Rung(total.code, "none" if total.is_indicative else "total", total, tuple(reasons))


def lowered(reached: Verdict, guards: Sequence[Guard], claim: str) -> Verdict:
    """The verdict one step lower where a guard makes the claim it rests on indicative; what is not a success stays."""
    guard = next((one for one in guards if one.action == "indicative" and one.claim in (claim, "both")), None)
    steps: dict[VerdictCode, VerdictCode] = {"pays": "works_payback_unproven", "works_payback_unproven": "not_enough_data"}
    if guard is None or reached.code not in steps:
        return reached
    return Verdict(steps[reached.code], Reason("lowered_by_guard", {**reached.reason.figures, "guard": guard.code}))


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
