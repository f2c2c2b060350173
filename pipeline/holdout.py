"""A randomised hold-out: chance alone decides which leads keep the old process, so nothing else can explain a difference.

`is_held_out` is the rule, `plan_holdout` how many leads it takes, `analyse` what came out. Both groups live through the same
weeks: no model, no season, no control is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import ceil, erfc, isfinite, sqrt
from statistics import NormalDist

import numpy as np

from pipeline.effects import Interval
from pipeline.roi import sample_size_two_proportions
from pipeline.weekly import FloatArray, WeeklyCheck, WeeklyRate

POWER = 0.8
LEVEL = 0.05
Z = NormalDist().inv_cdf(1 - LEVEL / 2)
HEX_DIGITS = 16
SHARES = (0.5, 0.3, 0.2, 0.1)
WEEKS_SHOWN = (4, 8, 12, 26)
# Nobody keeps half of the customers with the old process for longer.
MAX_WEEKS = 52
# A true split strays this far once in a thousand hold-outs: closer to chance than any mistake in the assignment is.
MISMATCH_P = 0.001
SMALLEST_EFFECT = 0.001
# Two groups of fewer leads than this say nothing worth a verdict.
MIN_ARM_LEADS = 30


def threshold(share: float) -> int:
    """The first 64 bits of the hash below which a lead is held out. Raises ValueError unless 0 < share < 1."""
    if not 0 < share < 1:
        raise ValueError(f"the share held out is {share:g}: give a share above 0 and below 1, such as 0.5")
    return int(share * 2**64)


def threshold_hex(share: float) -> str:
    """The same as 16 hexadecimal digits, to compare with by eye; as text it sorts as the number does."""
    return f"{threshold(share):0{HEX_DIGITS}x}"


def is_held_out(lead_id: str, salt: str, share: float) -> bool:
    """Whether chance leaves a lead with the old process: the first 8 bytes of sha256("SALT:LEAD_ID") are below the share.

    The same answer on every machine and day. Not secret: whoever knows the salt can tell the group of any id.
    """
    return int.from_bytes(sha256(f"{salt}:{lead_id}".encode()).digest()[:8], "big") < threshold(share)


@dataclass(frozen=True, slots=True)
class Split:
    """What a share held out costs: leads of each group and weeks for the planned effect, and the smallest relative rise
    seen with 80 % power after each of `WEEKS_SHOWN` (None: not even to 100 %)."""

    share: float
    n_held: int
    n_treated: int
    weeks: int
    smallest: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the instruction: a code for the sentence and the figures that go into it."""

    code: str
    figures: dict[str, str | float]


@dataclass(frozen=True, slots=True)
class HoldoutPlan:
    """A planned hold-out. `baseline` is the rate without the launch, `effect` relative, `splits` begins with the chosen one.

    `horizon_days`: wait after the last lead until its outcome counts.
    """

    salt: str
    share: float
    below: str
    baseline: float
    effect: float
    leads_a_week: float
    horizon_days: int
    splits: tuple[Split, ...]
    steps: tuple[Step, ...]

    @property
    def chosen(self) -> Split:
        """The split asked for."""
        return self.splits[0]

    @property
    def is_practical(self) -> bool:
        """Whether the chosen split is done within `MAX_WEEKS`."""
        return self.chosen.weeks <= MAX_WEEKS


def plan_holdout(*, baseline: float, effect: float, leads_a_week: float, horizon_days: int, salt: str,
                 share: float = 0.5) -> HoldoutPlan:
    """How many leads and weeks a hold-out of `share` needs to see a relative `effect` on a rate of `baseline`.

    Two proportions, 80 % power, two-sided 5 %. Raises ValueError naming the figure that cannot be.
    """
    below = threshold_hex(share)
    if not 0 < baseline < 1:
        raise ValueError(f"the rate without the launch is {baseline:.0%}: a hold-out compares rates between 0 and 100 %")
    if not (isfinite(effect) and effect >= -1 and abs(effect) >= SMALLEST_EFFECT):
        raise ValueError(f"the effect to see is {effect:+.2%}: give a relative change of at least {SMALLEST_EFFECT:.1%}, "
                         "up or down")
    if baseline * (1 + effect) > 1:
        raise ValueError(f"a rate of {baseline:.1%} cannot rise by {effect:.0%}: the largest possible is {1 / baseline - 1:.0%}")
    if not (isfinite(leads_a_week) and leads_a_week > 0):
        raise ValueError(f"there are {leads_a_week:g} leads a week: a hold-out needs leads to split")
    if not salt:
        raise ValueError("the salt is empty: give any text that no other hold-out has used")
    shares = (share, *(other for other in SHARES if other != share))
    splits = tuple(_split(other, baseline, effect, leads_a_week) for other in shares)
    steps = (
        Step("assign", {"salt": salt, "below": below, "share": share}),
        Step("old_process", {"share": share}),
        Step("never_switch", {}),
        Step("same_person", {}),
        Step("decide_once", {"weeks": splits[0].weeks, "horizon_days": horizon_days}),
        Step("check_split", {"share": share, "p_value": MISMATCH_P}),
    )
    return HoldoutPlan(salt, share, below, baseline, effect, leads_a_week, horizon_days, splits, steps)


def smallest_effect(baseline: float, n_held: float, n_treated: float) -> float | None:
    """The smallest relative rise of a rate seen with 80 % power; None when not even 100 % would be."""
    if not 0 < baseline < 1 or n_held <= 0 or n_treated <= 0:
        return None

    def is_seen(rate: float) -> bool:
        return sample_size_two_proportions(baseline, rate, power=POWER, level=LEVEL, ratio=n_treated / n_held) <= n_held

    if not is_seen(1.0):
        return None
    low, high = baseline, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if middle > baseline and is_seen(middle) else (middle, high)
    return high / baseline - 1


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One group by week of lead creation, mature leads only: leads, those that reached the milestone, and what they paid.

    `revenue` is the sum over the leads, `revenue_sq` the sum of the squares of each lead's revenue (0 for most).
    """

    leads: FloatArray
    reached: FloatArray
    revenue: FloatArray | None = None
    revenue_sq: FloatArray | None = None

    def __post_init__(self) -> None:
        rate = WeeklyRate(self.reached, self.leads)  # checks both
        object.__setattr__(self, "leads", rate.denominator)
        object.__setattr__(self, "reached", rate.numerator)
        if (self.revenue is None) != (self.revenue_sq is None):
            raise ValueError("revenue needs its sum of squares beside it: give both or neither")
        if self.revenue is not None and self.revenue_sq is not None:
            paid = WeeklyCheck(rate.denominator, self.revenue, self.revenue_sq)
            object.__setattr__(self, "revenue", paid.total)
            object.__setattr__(self, "revenue_sq", paid.total_sq)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether the groups are as large as planned. A mismatch means that the assignment was not followed: read nothing else."""

    planned: float
    observed: float
    p_value: float

    @property
    def is_mismatch(self) -> bool:
        """Beyond chance."""
        return self.p_value < MISMATCH_P


@dataclass(frozen=True, slots=True)
class TooFewLeads:
    """Why a hold-out cannot be read yet: leads of the weeks in which both groups had some."""

    n_treated: float
    n_held: float
    n_needed: float = MIN_ARM_LEADS


@dataclass(frozen=True, slots=True)
class HoldoutEffect:
    """Treated minus held out, with 95 % intervals.

    `difference` in shares, `relative` to the held-out rate (None when that could be 0). `extra_reached` and
    `extra_revenue` are what the launch brought, over the treated leads; money is None without payments. `p_value` is
    two-sided, of the rates.
    """

    n_treated: float
    n_held: float
    n_weeks: int
    treated_rate: float
    held_rate: float
    difference: Interval
    relative: Interval | None
    extra_reached: Interval
    p_value: float
    revenue_per_lead: Interval | None
    extra_revenue: Interval | None
    ratio: SampleRatio


def analyse(treated: Arm, held: Arm, *, share: float) -> HoldoutEffect | TooFewLeads:
    """Compare the groups week by week; `share` is the one planned to be held out.

    Rates: differences within weeks, weighted as Mantel and Haenszel do, Newcombe's interval on the standardised rates.
    Revenue: Welch. Weeks in which a group had no lead compare nothing and are left out.
    Raises ValueError when the groups differ in weeks.
    """
    threshold(share)
    if treated.leads.shape != held.leads.shape:
        raise ValueError("the groups differ in weeks: give both the same ones")
    ratio = sample_ratio(float(treated.leads.sum()), float(held.leads.sum()), share)
    both = (treated.leads > 0) & (held.leads > 0)
    n_treated, n_held = float(treated.leads[both].sum()), float(held.leads[both].sum())
    if min(n_treated, n_held) < MIN_ARM_LEADS:
        return TooFewLeads(n_treated, n_held)
    weights = treated.leads[both] * held.leads[both] / (treated.leads[both] + held.leads[both])
    seen = [StandardRate.of(arm.reached[both], arm.leads[both], weights) for arm in (treated, held)]
    difference = newcombe(*seen)
    money = _welch(treated, held, both)
    return HoldoutEffect(
        n_treated=n_treated, n_held=n_held, n_weeks=int(both.sum()), treated_rate=seen[0].rate, held_rate=seen[1].rate,
        difference=difference, relative=_relative(*seen), extra_reached=difference.scaled(n_treated),
        p_value=_mantel_haenszel_p(treated, held, both), revenue_per_lead=money,
        extra_revenue=None if money is None else money.scaled(n_treated), ratio=ratio,
    )


def sample_ratio(n_treated: float, n_held: float, share: float) -> SampleRatio:
    """The share held out against the planned one (normal approximation with continuity correction)."""
    n = n_treated + n_held
    if not n:
        return SampleRatio(share, share, 1.0)
    error = sqrt(n * share * (1 - share))
    distance = max(abs(n_held - n * share) - 0.5, 0.0)
    return SampleRatio(share, n_held / n, erfc(distance / error / sqrt(2)))


@dataclass(frozen=True, slots=True)
class StandardRate:
    """A rate standardised to common weeks, with the Wilson interval of as many leads as would be as precise."""

    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, reached: FloatArray, leads: FloatArray, weights: FloatArray) -> StandardRate:
        rate = float(weights @ (reached / leads) / weights.sum())
        n = float(weights.sum() ** 2 / (weights**2 / leads).sum())
        middle, half = rate + Z**2 / (2 * n), Z * sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
        return cls(rate, max((middle - half) / (1 + Z**2 / n), 0.0), min((middle + half) / (1 + Z**2 / n), 1.0))


def newcombe(treated: StandardRate, held: StandardRate) -> Interval:
    """Difference of two rates; keeps a width at 0 and 100 %. Source: Newcombe (1998), method 10."""
    down = sqrt((treated.rate - treated.low) ** 2 + (held.high - held.rate) ** 2)
    up = sqrt((treated.high - treated.rate) ** 2 + (held.rate - held.low) ** 2)
    estimate = treated.rate - held.rate
    return Interval(estimate, max(estimate - down, -1.0), min(estimate + up, 1.0))


def _relative(treated: StandardRate, held: StandardRate) -> Interval | None:
    """treated / held - 1 from the same limits; None when the held-out rate could be 0. Source: Donner and Zou (2012)."""
    if held.rate <= 0 or held.low <= 0:
        return None
    product = treated.rate * held.rate

    def room(mine: float, other: float) -> tuple[float, float, float]:
        ours, theirs = mine * (2 * treated.rate - mine), other * (2 * held.rate - other)
        return ours, theirs, product + sqrt(max(product**2 - ours * theirs, 0.0))

    ours, _, root = room(treated.low, held.high)
    _, theirs, high_root = room(treated.high, held.low)
    return Interval(treated.rate / held.rate - 1, (ours / root if root else 0.0) - 1, high_root / theirs - 1)


def _mantel_haenszel_p(treated: Arm, held: Arm, both: np.typing.NDArray[np.bool_]) -> float:
    """Cochran-Mantel-Haenszel test without continuity correction; 1 where nothing varies."""
    n_1, n_0 = treated.leads[both], held.leads[both]
    n, reached = n_1 + n_0, treated.reached[both] + held.reached[both]
    surplus = float((treated.reached[both] - n_1 * reached / n).sum())
    variance = float((n_1 / n * (n_0 / n) * reached * ((n - reached) / np.maximum(n - 1, 1))).sum())
    return erfc(abs(surplus) / sqrt(2 * variance)) if variance > 0 else 1.0


def _welch(treated: Arm, held: Arm, both: np.typing.NDArray[np.bool_]) -> Interval | None:
    """Difference of mean revenue a lead. Nothing is winsorised: heavy checks are in the sums of squares."""
    from scipy.special import stdtrit  # slow to import: only when something is measured

    moments = []
    for arm in (treated, held):
        if arm.revenue is None or arm.revenue_sq is None:
            return None
        n, total = float(arm.leads[both].sum()), float(arm.revenue[both].sum())
        mean = total / n
        moments.append((mean, max(float(arm.revenue_sq[both].sum()) - total * mean, 0.0) / (n - 1) / n, n - 1))
    (mean_1, variance_1, free_1), (mean_0, variance_0, free_0) = moments
    variance, estimate = variance_1 + variance_0, mean_1 - mean_0
    if not variance:
        return Interval(estimate, estimate, estimate)
    freedom = variance**2 / (variance_1**2 / free_1 + variance_0**2 / free_0)
    half = float(stdtrit(freedom, 1 - LEVEL / 2)) * sqrt(variance)
    return Interval(estimate, estimate - half, estimate + half)


def _split(share: float, baseline: float, effect: float, leads_a_week: float) -> Split:
    n_held = ceil(sample_size_two_proportions(baseline, baseline * (1 + effect), power=POWER, level=LEVEL,
                                              ratio=(1 - share) / share))
    n_treated = ceil(n_held * (1 - share) / share)
    smallest = (smallest_effect(baseline, leads_a_week * n * share, leads_a_week * n * (1 - share)) for n in WEEKS_SHOWN)
    return Split(share, n_held, n_treated, ceil((n_held + n_treated) / leads_a_week), tuple(smallest))
