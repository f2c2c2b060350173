"""Whether what counts as a lead changed at the launch, which would void the process claim.

A bot that logs chats which used to be lost adds leads that rarely book: the booking rate falls though nothing got worse.
A spam filter does the opposite. Demand does neither: it brings more leads of the same kind. So the sign of a changed
definition is that a part of the leads jumps at the launch *and* its rate moves the other way; a mix that only drifts, or
jumps with its rates unchanged, is told and compared at equal mix (`standardised`).

Process claims withheld on simulated shops of 1 500 leads a month, 26+12 weeks (`bench/guards_table.py`), %: nothing happens
0; booking rate +15 or +40 % 0; that and half as many chats again 4; twice the chats of the same kind 6; a bot that logs 30 %
more leads with a third of the booking rate 100 (96 at 400 a month), whatever else the launch does to the rates; duplicates
from 6 to 12 % 100; a mix that drifts by 2 or 4 % a week 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pipeline.steps import Step, jump
from pipeline.weekly import FloatArray, WeeklyCounts, WeeklyRate, Weeks, checked

Action = Literal["note", "widen", "indicative", "withhold"]
Figures = Mapping[str, float | str | None]

# A source below this share of the leads on both sides cannot fake an effect worth reporting.
MIN_SOURCE_SHARE = 0.05
# A source that appears or vanishes withholds the claim: it must be far beyond chance.
SOURCE_CHANCE = 0.001
# Two-sided level of the tests that start a guard; among sources it is divided by their number (Bonferroni).
LEVEL = 0.01
# Certainty that a part's rate moved against its number.
SURE = 0.95
# Smaller moves of these shares cannot move the booking rate by more than the interval's own doubt.
MIN_DUPLICATE_CHANGE, MIN_PHONE_CHANGE = 0.03, 0.05
# A source with fewer leads than this before the launch has no rate of its own: it is taken together with its like.
MIN_SEGMENT_LEADS = 30


@dataclass(frozen=True, slots=True)
class Guard:
    """What is wrong, which claim it touches, what is done; `figures` go into the sentence."""

    code: str
    claim: Literal["process", "total", "both"]
    action: Action
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Leads a week and what is known of them, all counted by the week the lead was created in.

    `sources`: leads by source; `reached`: of those, how many booked (or visited), by the same names; `duplicates` and
    `with_phone`: leads that repeat an earlier one, leads with a phone number.
    """

    leads: WeeklyCounts
    sources: Mapping[str, FloatArray] = field(default_factory=dict)
    reached: Mapping[str, FloatArray] = field(default_factory=dict)
    duplicates: FloatArray | None = None
    with_phone: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("sources", "reached"):
            parts = {key: checked(f"{name} {key}", part, is_signed=False, like=self.leads.total)
                     for key, part in sorted(getattr(self, name).items())}
            object.__setattr__(self, name, parts)


def recording_guards(recorded: Recorded, weeks: Weeks) -> tuple[Guard, ...]:
    """All guards of the definition of a lead; none without leads on a side, which is for another rule."""
    pre, post = weeks.split(recorded.leads.n_weeks)
    if not recorded.leads.total[pre].sum() or not recorded.leads.total[post].sum():
        return ()
    came_or_went = source_came_or_went(recorded, weeks)
    tried = (came_or_went, None if came_or_went else source_mix_changed(recorded, weeks), lead_count_changed(recorded, weeks),
             duplicate_share_changed(recorded, weeks), phone_share_changed(recorded, weeks))
    return tuple(guard for guard in tried if guard is not None)


def source_came_or_went(recorded: Recorded, weeks: Weeks) -> Guard | None:
    """A source with no lead on one side, and on the other too many for that to be chance."""
    pre, post = weeks.split(recorded.leads.n_weeks)
    n_pre, n_post = recorded.leads.total[pre].sum(), recorded.leads.total[post].sum()
    for name, part in recorded.sources.items():
        before, after = float(part[pre].sum() / n_pre), float(part[post].sum() / n_post)
        figures: Figures = {"source": name, "before": before, "after": after}
        if _came_from_nothing(before, after, n_pre):
            return Guard("source_appeared", "process", "withhold", figures)
        if _came_from_nothing(after, before, n_post):
            return Guard("source_vanished", "process", "withhold", figures)
    return None


def source_mix_changed(recorded: Recorded, weeks: Weeks) -> Guard | None:
    """A source whose number and share both jumped at the launch; withheld when its rate moved against them.

    A drifting mix, or a share that moved because *another* source did, is no jump of this source.
    """
    leads = recorded.leads.total
    pre, post = weeks.split(leads.size)
    shares = {name: (float(part[pre].sum() / leads[pre].sum()), float(part[post].sum() / leads[post].sum()))
              for name, part in recorded.sources.items()}
    tested = [name for name, share in shares.items() if len(shares) > 1 and max(share) >= MIN_SOURCE_SHARE]
    found = None
    for name in tested:
        part = recorded.sources[name]
        share, count = jump(WeeklyRate(np.minimum(part, leads), leads), weeks), jump(WeeklyCounts(part), weeks)
        if share is None or count is None or share.p_value >= LEVEL / len(tested) or count.p_value >= 0.05:
            continue
        if share.mean * count.mean <= 0:
            continue
        before, after = shares[name]
        figures: Figures = {"source": name, "before": before, "after": after, "leads_change": _change(part, weeks)}
        if not recorded.reached or _is_diluted(recorded, name, count, weeks):
            return Guard("source_mix_changed", "process", "withhold", figures)
        found = found or Guard("source_mix_changed", "process", "note", figures)
    return found


def lead_count_changed(recorded: Recorded, weeks: Weeks) -> Guard | None:
    """The number of all leads jumped at the launch; indicative when the rate of all moved against it."""
    count = jump(recorded.leads, weeks)
    if count is None or count.p_value >= LEVEL:
        return None
    reached = sum(recorded.reached.values(), np.zeros(recorded.leads.n_weeks))
    rate = jump(WeeklyRate(np.minimum(reached, recorded.leads.total), recorded.leads.total), weeks) if recorded.reached else None
    action: Action = "indicative" if rate is not None and _against(count, rate.mean, rate.sd) else "note"
    return Guard("lead_count_changed", "process", action, {"leads_change": _change(recorded.leads.total, weeks)})


def duplicate_share_changed(recorded: Recorded, weeks: Weeks) -> Guard | None:
    """The share of repeated inquiries jumped: the same people are counted more (or less) often."""
    return _share_guard("duplicate_share_changed", recorded.duplicates, recorded, weeks, MIN_DUPLICATE_CHANGE)


def phone_share_changed(recorded: Recorded, weeks: Weeks) -> Guard | None:
    """The share of leads with a phone jumped; withheld when the number of leads moved against it.

    An assistant that asks for phone numbers raises the share by good work; a log of nameless chats lowers it and adds leads.
    """
    guard = _share_guard("phone_share_changed", recorded.with_phone, recorded, weeks, MIN_PHONE_CHANGE)
    count = jump(recorded.leads, weeks) if guard else None
    if guard is None or count is None:
        return guard
    way = float(guard.figures["after"]) - float(guard.figures["before"])  # type: ignore[arg-type]  # shares, never words
    is_against = (count.above(0.0) if way < 0 else 1 - count.above(0.0)) > 0.9
    return guard if is_against else Guard(guard.code, guard.claim, "note", guard.figures)


def standardised(numerators: Mapping[str, FloatArray], denominators: Mapping[str, FloatArray], weeks: Weeks) -> WeeklyRate:
    """The pooled rate with every pre week brought to the mix of the post period; shapes as in `WeeklyRate`, by source.

    A pre week's rate is the sum of post share x the source's own rate, its denominator the effective number that gives its
    true sampling variance. Post weeks stay as counted, so that money adds up. Sources with few leads before the launch are
    taken together. Source: direct standardisation.
    """
    top = {name: checked(f"numerator {name}", part, is_signed=False) for name, part in sorted(numerators.items())}
    bottom = {name: checked(f"denominator {name}", part, is_signed=False) for name, part in sorted(denominators.items())}
    if not bottom or top.keys() != bottom.keys():
        raise ValueError("standardised needs at least one source, and the same sources above and below the line")
    n_weeks = next(iter(bottom.values())).size
    pre, post = weeks.split(n_weeks)
    own = [name for name, part in bottom.items() if part[pre].sum() >= MIN_SEGMENT_LEADS]
    rest = [name for name in bottom if name not in own]
    if rest and sum(bottom[name][pre].sum() for name in rest) < MIN_SEGMENT_LEADS and own:
        rest.append(own.pop(int(np.argmin([bottom[name][pre].sum() for name in own]))))
    groups = [[name] for name in own] + ([rest] if rest else [])
    above = np.array([np.sum([top[name] for name in group], axis=0) for group in groups])
    below = np.array([np.sum([bottom[name] for name in group], axis=0) for group in groups])
    numerator, denominator = above.sum(axis=0), below.sum(axis=0)
    if not below[:, post].sum() or not below[:, pre].sum():
        return WeeklyRate(numerator, denominator)
    mix = below[:, post].sum(axis=1, keepdims=True) / below[:, post].sum()
    level = (above[:, pre].sum(axis=1, keepdims=True) + 0.5) / (below[:, pre].sum(axis=1, keepdims=True) + 1.0)
    n = below[:, pre]
    # A week without a lead of a source is taken at that source's level, with the doubt of half a lead.
    rates = np.where(n > 0, above[:, pre] / np.maximum(n, 1.0), level)
    rate = (mix * rates).sum(axis=0)
    variance = (mix**2 * level * (1 - level) / np.maximum(n, 0.5)).sum(axis=0)
    overall = float((mix * level).sum())
    effective = np.where(denominator[pre] > 0, overall * (1 - overall) / variance, 0.0)
    numerator[pre], denominator[pre] = rate * effective, effective
    return WeeklyRate(np.minimum(numerator, denominator), denominator)


def _is_diluted(recorded: Recorded, name: str, count: Step, weeks: Weeks) -> bool:
    """Whether the source's rate moved against its number, by itself or compared with all other sources."""
    part, reached = recorded.sources[name], recorded.reached.get(name, np.zeros(recorded.leads.n_weeks))
    all_reached = sum(recorded.reached.values(), np.zeros(recorded.leads.n_weeks))
    rate = jump(WeeklyRate(np.minimum(reached, part), part), weeks)
    if rate is None:
        return True  # nobody of them ever booked: nothing speaks for the same kind of lead
    # Fewer leads at a better rate is what a launch that works looks like when its source shrinks: only the
    # comparison with the others tells a filter from it.
    if count.mean > 0 and _against(count, rate.mean, rate.sd):
        return True
    others = np.maximum(recorded.leads.total - part, 0.0)
    other = jump(WeeklyRate(np.clip(all_reached - reached, 0.0, others), others), weeks)
    return other is not None and _against(count, rate.mean - other.mean, float(np.hypot(rate.sd, other.sd)))


def _against(count: Step, mean: float, sd: float) -> bool:
    """Whether a rate's step surely has the other sign than the step of the number."""
    from scipy.special import ndtr  # slow to import: only when something is measured

    return bool(ndtr(-np.sign(count.mean) * mean / sd) > SURE)


def _share_guard(code: str, part: FloatArray | None, recorded: Recorded, weeks: Weeks, least: float) -> Guard | None:
    if part is None:
        return None
    leads = recorded.leads.total
    pre, post = weeks.split(leads.size)
    step = jump(WeeklyRate(part, leads), weeks)
    before, after = (float(part[side].sum() / leads[side].sum()) for side in (pre, post))
    if step is None or step.p_value >= LEVEL or abs(after - before) < least:
        return None
    figures = {"before": before, "after": after, "leads_change": _change(leads, weeks)}
    return Guard(code, "process", "withhold", figures)


def _change(counts: FloatArray, weeks: Weeks) -> float | None:
    """Weekly mean of the post over the pre weeks, less 1; None from nothing."""
    pre, post = weeks.split(counts.size)
    return float(counts[post].mean() / counts[pre].mean() - 1) if counts[pre].any() else None


def _came_from_nothing(before: float, after: float, n_before: float) -> bool:
    """Absent on one side, and on the other too common for that to be chance: (1 - share)^n."""
    return before == 0 and after >= MIN_SOURCE_SHARE and bool(n_before * np.log1p(-min(after, 0.999)) < np.log(SOURCE_CHANCE))

