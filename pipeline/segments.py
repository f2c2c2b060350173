"""Which channel, branch or owner earned what: a claim's draws split by factor and segment, with no remainder.

Every segment is measured against itself. Without the launch it would have kept its own rates and check and its own share
of the leads, all moved as this very draw of the claim says the whole business would have moved. The change of each
segment's product is then split by Shapley, and the parts sum to the claim in every draw.

* A change of the mix (a channel with a low booking rate grows) lands in "leads", not in the rates.
* A segment that did as it did before, its share of leads included, contributes nothing; leaving it out or adding it leaves
  the estimates of all others as they are, for the same movement of the whole.
* The interval of a segment carries what the whole claim is in doubt about, and the chance of its own few leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt

import numpy as np

from pipeline.effects import DRAW_SEED, Funnel, Interval, interval_of
from pipeline.roi import at_median
from pipeline.shapley import split_product
from pipeline.weekly import FloatArray, IndexArray, WeeklyCheck, WeeklyRate, Weeks

# "Before" is how the launch found a segment: two years back is another business.
RECENT_WEEKS = 26
# A segment wanders by itself, apart from the whole: relative walk a week, as the prior of a rate in `llq`.
OWN_WALK = 0.01
# Fewer weeks do not tell how much a segment jumps from week to week.
MIN_WEEKS_OF_SPREAD = 4


@dataclass(frozen=True, slots=True, eq=False)
class SegmentSplit:
    """A claim by factor and segment. `parts`: factors x segments x draws, summing to the claim in every draw.

    `cells` (factors x segments), `by_segment` and `by_factor` are estimates at the claim's median: each sums to it.
    """

    factors: tuple[str, ...]
    segments: tuple[str, ...]
    parts: FloatArray
    cells: FloatArray
    by_segment: dict[str, Interval]
    by_factor: dict[str, Interval]


def segment_contributions(segments: Mapping[str, Funnel], weeks: Weeks, expected: Mapping[str, FloatArray], *,
                          margin: float | None = None) -> SegmentSplit:
    """Split a claim's revenue (profit with a margin) by factor and segment.

    `segments`: the funnel of each, all with the steps of the whole and together all of it. `expected`: the claim's draws of
    each factor without the launch, in funnel order, "leads" first (the leads that came, for a process claim).
    Raises ValueError when steps differ, or no segment had leads before the launch.
    """
    if not segments:
        raise ValueError("no segment to split by: give at least one funnel")
    sums = _sums(segments, weeks, tuple(expected))
    draws = np.stack([np.broadcast_to(factor, np.shape(expected["leads"])) for factor in expected.values()])
    own = sums.before[:, :, None]
    before = _moved(own, draws)
    seen = np.where(sums.is_reached[:, :, None], sums.after[:, :, None], before)
    parts = split_product(before, seen) * (margin or 1.0)
    total = parts.sum(axis=(0, 1))
    cells = at_median(parts, total)
    noisy = own + sums.spread[:, :, None] * _noise(tuple(segments), len(expected), total.size)
    rates = [n for n, name in enumerate(expected) if name != "average_check"]
    noisy[rates] = np.maximum(noisy[rates], own[rates] / 100)  # a share is never negative, and never gone by chance
    would_be = _moved(noisy, draws).prod(axis=0) if len(segments) > 1 else before.prod(axis=0)
    each = (sums.after.prod(axis=0)[:, None] - would_be) * (margin or 1.0)
    return SegmentSplit(
        factors=tuple(expected), segments=tuple(segments), parts=parts, cells=cells,
        by_segment={name: _around(float(cells[:, n].sum()), each[n]) for n, name in enumerate(segments)},
        by_factor={name: _around(float(cells[n].sum()), parts[n].sum(axis=0)) for n, name in enumerate(expected)},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Factors x segments. Leads come as a share before and a number after; `spread`: sd of what chance alone does to a
    segment between the two periods, in the unit of `before`."""

    before: FloatArray
    after: FloatArray
    is_reached: np.typing.NDArray[np.bool_]
    spread: FloatArray


def _sums(segments: Mapping[str, Funnel], weeks: Weeks, names: tuple[str, ...]) -> _Sums:
    funnels = list(segments.values())
    pre, post = weeks.split(funnels[0].leads.size)
    recent = pre[-RECENT_WEEKS:]
    all_leads = np.sum([funnel.leads for funnel in funnels], axis=0)
    if not all_leads[recent].any():
        raise ValueError(f"no segment has a lead in the last {recent.size} weeks before the launch: there is nothing to "
                         "compare with")
    rows = []
    for key, funnel in segments.items():
        factors = {"leads": WeeklyRate(funnel.leads, all_leads), **funnel.factors()}
        if tuple(factors) != names:
            raise ValueError(f"segment {key!r} has the factors {', '.join(factors)}, the claim {', '.join(names)}: "
                             "build both from the same steps")
        rows.append([_Side.of(series, recent, post) for series in factors.values()])
    table = np.array(rows, dtype=np.float64).transpose(2, 1, 0)  # field x factor x segment
    up, down, up_post, down_post, one, dispersion = table
    pooled = _ratio(up.sum(axis=1), down.sum(axis=1), np.zeros(len(names)))
    before = _ratio(up, down, np.broadcast_to(pooled[:, None], up.shape))
    after = _ratio(up_post, down_post, before)
    after[0] = up_post[0]
    is_reached = down_post > 0
    is_reached[0] = True
    # A step nobody came to has no chance of its own: as many as came before are taken.
    n_post = np.where(down_post > 0, down_post, down * post.size / recent.size)
    chance = dispersion * one * (1 / np.maximum(down, 1.0) + 1 / np.maximum(n_post, 1.0))
    walk = OWN_WALK * sqrt((recent.size + post.size) / 3) * before
    return _Sums(before, after, is_reached, np.sqrt(chance + walk**2))


class _Side:
    """One factor of one segment as numbers: sums before and after, variance of one lead's (payment's) value, dispersion."""

    @staticmethod
    def of(series: WeeklyRate | WeeklyCheck, pre: IndexArray, post: IndexArray) -> tuple[float, ...]:
        if isinstance(series, WeeklyCheck):
            n, total, squares = (column[pre].sum() for column in (series.n, series.total, series.total_sq))
            # One pseudo-payment with a spread of 100 %, as in `weekly`.
            spread = (max(squares - total**2 / n, 0.0) + (total / n) ** 2) / max(n, 1.0) if n else 0.0
            return float(total), float(n), float(series.total[post].sum()), float(series.n[post].sum()), float(spread), 1.0
        up, down = series.numerator[pre], series.denominator[pre]
        rate = float((up.sum() + 0.5) / (down.sum() + 1.0))
        return (float(up.sum()), float(down.sum()), float(series.numerator[post].sum()),
                float(series.denominator[post].sum()), rate * (1 - rate), _dispersion(up, down, rate))


def _dispersion(up: FloatArray, down: FloatArray, rate: float) -> float:
    """How much more the weeks differ than single leads by chance (Pearson's chi-square over its degrees), at least 1."""
    seen = down > 0
    if np.count_nonzero(seen) < MIN_WEEKS_OF_SPREAD:
        return 1.0
    misfit = (up[seen] - rate * down[seen]) ** 2 / (down[seen] * rate * (1 - rate))
    return max(1.0, float(misfit.sum()) / (np.count_nonzero(seen) - 1))


def _moved(own: FloatArray, draws: FloatArray) -> FloatArray:
    """Each segment's factors without the launch, factors x segments x draws: their own, moved until the whole is the draw.

    By one ratio for all segments, or by one amount where the whole has nothing that a ratio could stretch (no visit
    before the launch, refunds that eat up the payments).
    """
    n_factors, n_segments, _ = own.shape
    moved = np.empty((n_factors, n_segments, draws.shape[1]))
    flow = np.full((n_segments, 1), 1.0)
    for n, draw in enumerate(draws):
        if n == 0:
            moved[0] = own[0] / own[0].sum(axis=0) * draw
            flow = own[0] / own[0].sum(axis=0)
            continue
        whole = flow.sum(axis=0)
        weights = flow / np.where(whole > 0, whole, 1.0)
        pooled, size = (weights * own[n]).sum(axis=0), (weights * np.abs(own[n])).sum(axis=0)
        is_stretched = pooled > size / 10
        ratio = np.where(is_stretched, draw / np.where(is_stretched, pooled, 1.0), 1.0)
        moved[n] = own[n] * ratio + np.where(is_stretched, 0.0, draw - pooled)
        flow = flow * moved[n]
    return moved


def _ratio(up: FloatArray, down: FloatArray, otherwise: FloatArray) -> FloatArray:
    return np.where(down > 0, up / np.where(down > 0, down, 1.0), otherwise)


def _noise(names: tuple[str, ...], n_factors: int, n_draws: int) -> FloatArray:
    """Standard normal draws, factors x segments x draws; a segment's own do not depend on the others."""
    from scipy.special import ndtri  # slow to import: only when something is measured

    even = ndtri((np.arange(n_draws) + 0.5) / n_draws)
    noise = np.empty((n_factors, len(names), n_draws))
    for n, name in enumerate(names):
        seed = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
        rng = np.random.default_rng([DRAW_SEED, seed])
        for factor in range(n_factors):
            noise[factor, n] = even[rng.permutation(n_draws)]
    return noise


def _around(estimate: float, draws: FloatArray) -> Interval:
    """The draws' interval, never beside the estimate."""
    ends = interval_of(draws)
    return Interval(estimate, min(ends.low, estimate), max(ends.high, estimate))
