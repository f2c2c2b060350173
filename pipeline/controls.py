"""Controls: what could stand for the treated leads had there been no launch, with the reasons for and against.

A candidate is a channel, branch, pipeline or owner with its leads by week. It is proposed from what it did before the
launch; only the check for a jump looks at the weeks after it. The words are the reports' business: a reason is a code
with figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.llq import llq
from pipeline.modes import TOTAL
from pipeline.weekly import FloatArray, IndexArray, WeeklyCounts, Weeks, checked

MIN_PRE_WEEKS = 8
MIN_LEADS_A_MONTH = 100
MAX_WEEKLY_DRIFT = 0.03
# A control with 12 % of own noise makes 13 % of empty launches look like an effect.
WEAK_NOISE = 0.08
# Own noise below this is calm whatever the treated leads do: the priors of a ratio allow for as much.
CALM_NOISE = 0.02
# Of 26 pre weeks: a fall by 35 % at once is seen in 98 % of cases with 4 weeks and in 85 with 8, one that builds up over six
# weeks (leads that the launch draws away) in 29 and 40; with 52 pre weeks 100 and 99, 42 and 79.
SHOCK_WEEKS = 8
WEEKS_A_MONTH = 365.25 / 12 / 7
# Fewer weeks tell nothing about movement: a line alone takes two.
MIN_WEEKS_TO_COMPARE = 4

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ReasonFor:
    """One reason for (`is_for`) or against a control: a code for the sentence and the figures that go into it."""

    code: str
    is_for: bool
    figures: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible control.

    `is_fit`: it may be used. `score` in (0, 1], 0 when unfit: one half when the weekly log-ratio scatters by 8 %, counting
    noise included, or drifts by 3 % a week; a quarter of that after a jump.
    `own_noise`: what the weekly log-ratio treated / control scatters beyond counting noise, without its line;
    `weekly_drift`: that line's slope, positive when the treated grow faster; `correlation`: of the two log series without
    their lines. All three from the pre weeks, None with fewer than four.
    """

    dimension: str
    key: str
    is_fit: bool
    score: float
    reasons: tuple[ReasonFor, ...]
    own_noise: float | None
    correlation: float | None
    weekly_drift: float | None
    leads_a_month: float

    @property
    def has_jumped(self) -> bool:
        """Whether it jumped at the launch."""
        return any(reason.code == "jumped_at_launch" for reason in self.reasons)

    @property
    def is_weak(self) -> bool:
        """Usable, but the claim must be labelled and widened."""
        return _is_weak(self.own_noise, self.weekly_drift)


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """What to measure against: the sum of `keys`, all of one dimension, in `leads` by week."""

    dimension: str
    keys: tuple[str, ...]
    leads: FloatArray
    own_noise: float
    weekly_drift: float
    leads_a_month: float
    n_pre_weeks: int

    @property
    def is_weak(self) -> bool:
        """Usable, but the claim must be labelled and widened."""
        return _is_weak(self.own_noise, self.weekly_drift)


@dataclass(frozen=True, slots=True)
class Shock:
    """What a control did at the launch: relative `change` against its own forecast, None when that could be zero."""

    change: float | None
    is_shock: bool


@dataclass(frozen=True, slots=True)
class _Movement:
    """How a control moved with the treated leads over the pre weeks."""

    own_noise: float
    treated_noise: float
    correlation: float
    weekly_drift: float
    scatter: float
    """Robust standard deviation of the weekly log-ratio around its line, counting noise included."""


def propose(candidates: Mapping[Key, FloatArray], treated: FloatArray, weeks: Weeks, touched: Collection[Key], *,
            season: float) -> tuple[Candidate, ...]:
    """Every candidate with its reasons, fit ones first, best first.

    `candidates`: leads a week by (dimension, key), `treated` the treated leads, all over the same weeks; `touched`: what the
    launch was exposed to; `season`: prior of the annual wave (`ladder.total_rule`). Raises ValueError naming a series whose
    weeks are not finite counts.
    """
    target = checked("treated leads", treated, is_signed=False)
    series = {key: _checked(key, candidates[key], target) for key in sorted(candidates)}
    pre, _ = weeks.split(target.size)
    found = []
    for key, leads in series.items():
        candidate = _candidate(key, leads, target, pre, key in touched)
        found.append(_jumped(candidate, shock_at_launch(leads, weeks, season=season)) if candidate.is_fit else candidate)
    return tuple(sorted(found, key=lambda one: (-one.score, one.dimension, one.key)))


def pooled(proposed: Sequence[Candidate], candidates: Mapping[Key, FloatArray], treated: FloatArray,
           weeks: Weeks) -> Control | None:
    """The best control: the sum of all fit candidates of one dimension that are not weak, of all when every one is weak.

    Not the calmest sum and not the best candidate alone: a short pre period flatters whatever is picked from it. Error of the
    treated / control ratio over 8 post weeks, %, 400 simulated launches a row, five channels with own noise of 2-12 %:

    | pre weeks, leads a week of a channel | no control | best alone | calmer of best and sum | sum of all | this rule |
    |---|---|---|---|---|---|
    | 8, about 300 | 12.1 | 8.4 | 7.6 | 5.9 | 6.7 |
    | 12, about 300 | 14.6 | 8.0 | 7.4 | 5.9 | 6.6 |
    | 26, about 300 | 19.5 | 8.4 | 7.8 | 6.6 | 7.1 |
    | 12, about 60 | 16.1 | 13.3 | 12.7 | 10.9 | 11.8 |
    | 26, about 300, one big channel goes its own way | 19.0 | 7.1 | 9.8 | 18.4 | 7.1 |

    Of several dimensions the calmest sum is taken. Candidates that jumped at the launch are used only when every fit one did:
    then the market jumped, and a control is what is needed. None when nothing is fit.
    """
    target = checked("treated leads", treated, is_signed=False)
    pre, _ = weeks.split(target.size)
    fit = [one for one in proposed if one.is_fit]
    fit = [one for one in fit if not one.has_jumped] or fit
    fit = [one for one in fit if not one.is_weak] or fit
    sums: list[tuple[float, Control]] = []
    for dimension in dict.fromkeys(one.dimension for one in fit):
        keys = tuple(one.key for one in fit if one.dimension == dimension)
        leads = np.sum([_checked((dimension, key), candidates[dimension, key], target) for key in keys], axis=0)
        moves = _movement(target, leads, pre)
        if moves is not None:
            sums.append((moves.scatter, Control(dimension, keys, leads, moves.own_noise, moves.weekly_drift,
                                                _leads_a_month(leads, pre), pre.size)))
    return min(sums, key=lambda one: one[0])[1] if sums else None


def shock_at_launch(control: FloatArray, weeks: Weeks, *, season: float) -> Shock:
    """Whether a control left its own forecast in the first post weeks: a shock hit it, or the launch itself did.

    5 % of undisturbed controls are flagged at most. Raises ValueError for weeks that are not finite counts.
    """
    first = replace(weeks, max_post=min(SHOCK_WEEKS, weeks.max_post or SHOCK_WEEKS))
    prediction = llq(WeeklyCounts(control), first, TOTAL, season)
    low, middle, high = prediction.quantile([0.025, 0.5, 0.975])
    change = float(prediction.observed / middle - 1) if middle > 0 else None
    return Shock(change, bool(prediction.observed < low or prediction.observed > high))


def _candidate(key: Key, leads: FloatArray, target: FloatArray, pre: IndexArray, is_touched: bool) -> Candidate:
    """A candidate as its pre weeks show it."""
    n_empty = int(np.count_nonzero(leads[pre] == 0))
    a_month, moves = _leads_a_month(leads, pre), _movement(target, leads, pre)
    # The treated leads under another name, or a fixed share of them, would hide any effect.
    is_untouched = not (is_touched or _is_same(leads, target))
    has_weeks, has_leads = pre.size >= MIN_PRE_WEEKS, a_month >= MIN_LEADS_A_MONTH
    reasons = [
        ReasonFor("untouched" if is_untouched else "touched_by_launch", is_untouched),
        ReasonFor("enough_weeks" if has_weeks else "too_few_weeks", has_weeks, {"n_weeks": pre.size, "needed": MIN_PRE_WEEKS}),
        ReasonFor("enough_leads" if has_leads else "too_few_leads", has_leads,
                  {"leads_a_month": a_month, "needed": MIN_LEADS_A_MONTH}),
    ]
    if n_empty:
        reasons.append(ReasonFor("has_gaps", False, {"n_weeks": n_empty}))
    if moves is None:
        return Candidate(*key, False, 0.0, tuple(reasons), None, None, None, a_month)
    is_together = moves.own_noise <= max(moves.treated_noise, CALM_NOISE)
    reasons.append(ReasonFor("moves_together" if is_together else "moves_apart", is_together,
                             {"correlation": moves.correlation, "own_noise": moves.own_noise}))
    if abs(moves.weekly_drift) > MAX_WEEKLY_DRIFT:
        reasons.append(ReasonFor("drifts_away", False, {"weekly_drift": moves.weekly_drift}))
    is_fit = is_untouched and has_weeks and has_leads and not n_empty
    doubt = (moves.scatter / WEAK_NOISE) ** 2 + (moves.weekly_drift / MAX_WEEKLY_DRIFT) ** 2
    return Candidate(*key, is_fit, 1 / (1 + doubt) if is_fit else 0.0, tuple(reasons), moves.own_noise, moves.correlation,
                     moves.weekly_drift, a_month)


def _jumped(candidate: Candidate, shock: Shock) -> Candidate:
    """Still fit, for the whole market may have jumped; but behind its equals."""
    if not shock.is_shock:
        return candidate
    reasons = (*candidate.reasons, ReasonFor("jumped_at_launch", False, {"change": shock.change}))
    return replace(candidate, score=candidate.score / 4, reasons=reasons)


def _movement(target: FloatArray, leads: FloatArray, pre: IndexArray) -> _Movement | None:
    if pre.size < MIN_WEEKS_TO_COMPARE:
        return None
    # Half a lead more, so that an empty week has a logarithm.
    treated_log, control_log = np.log(target[pre] + 0.5), np.log(leads[pre] + 0.5)
    treated_counting = float((1 / (target[pre] + 0.5)).mean())
    counting = treated_counting + float((1 / (leads[pre] + 0.5)).mean())
    slope, left = _detrended(treated_log - control_log, pre)
    own, other = _detrended(treated_log, pre)[1], _detrended(control_log, pre)[1]
    scatter = _robust_sd(left)
    own, other = own - own.mean(), other - other.mean()
    size = float(np.sqrt((own @ own) * (other @ other)))
    return _Movement(_beyond(scatter, counting), _beyond(_robust_sd(own), treated_counting),
                     float(own @ other) / size if size > 1e-12 else 0.0, slope, scatter)


def _detrended(series: FloatArray, at: IndexArray) -> tuple[float, FloatArray]:
    """Slope a week and what is left around the line. Source: Theil (1950), Sen (1968): median of pairwise slopes."""
    i, j = np.triu_indices(at.size, 1)
    slope = float(np.median((series[j] - series[i]) / (at[j] - at[i])))
    left = series - slope * at
    return slope, np.asarray(left - np.median(left))


def _robust_sd(left: FloatArray) -> float:
    """From the median absolute deviation; two of n degrees of freedom went into the line."""
    return 1.4826 * float(np.median(np.abs(left))) * float(np.sqrt(left.size / (left.size - 2)))


def _beyond(sd: float, variance: float) -> float:
    return float(np.sqrt(max(sd**2 - variance, 0.0)))


def _is_weak(own_noise: float | None, weekly_drift: float | None) -> bool:
    return own_noise is None or weekly_drift is None or own_noise > WEAK_NOISE or abs(weekly_drift) > MAX_WEEKLY_DRIFT


def _is_same(leads: FloatArray, target: FloatArray) -> bool:
    if np.array_equal(leads, target):
        return True
    is_varied = target.size > 1 and np.ptp(target) > 0
    return bool(is_varied and leads.any() and np.allclose(leads * target.sum(), target * leads.sum(), rtol=1e-9, atol=0.0))


def _leads_a_month(leads: FloatArray, pre: IndexArray) -> float:
    return float(leads[pre].mean() * WEEKS_A_MONTH)


def _checked(key: Key, leads: FloatArray, target: FloatArray) -> FloatArray:
    return checked(f"control {key[0]} {key[1]}", leads, is_signed=False, like=target)
