"""Guards: what in the data should make a reader doubt a claim, and what is done about it.

Each guard looks at weekly arrays and answers with a `Guard` or None; `guards` runs all that have their inputs. They judge
the data, not the result: none of them can turn a claim into a stronger one.

Measured on simulated shops (`bench/guards_table.py`), % of launches that changed no number of leads:

| shop | false alarms of the total | strong_growth fires | left |
|---|---|---|---|
| 1 500 leads a month, 26+12: no growth / 1 % a week | 0 / 2 | 0 / 0 | 0 / 2 |
| growth / decline of 3 % a week | 37 / 0 | 96 / 95 | 0 / 0 |
| growth of 3 %, 400 a month: 8+8 / 13+8 | 23 / 24 | 40 / 62 | 7 / 1 |
| no growth / 1 %, 400 a month, 8+8 | 0 / 2 | 1 / 3 | 0 / 2 |
| season of 20 %, 26 weeks | 0 | 0 to 1 | 0 |

level_break: 3 % of quiet histories (up to 6 % under growth of 3 %), 59 % of steps of +40 %. after_dip: 0 to 3 % of quiet
histories (of a rate 0 to 5 %); 48 % of dips of 25 %, 97 % of dips of 40 %. The definition of a lead: see `recording`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np

from pipeline.effects import rate_effect, total_effect
from pipeline.periods import Periods
from pipeline.recording import Action, Guard, Recorded, recording_guards
from pipeline.steps import LEVEL_SD, SLOPE_SD, STEP_SD, Step, fit_steps, harmonics, jump, series_of
from pipeline.weekly import WeeklyCounts, WeeklyRate, Weeks

# Growth the total claim cannot carry: its slope prior (0.8 % a week) shrinks this much away and calls the rest an effect.
STRONG_GROWTH = 0.015
SURE_GROWTH = 0.88
# Less certainty is enough where the claim says "effect" in the very direction of the growth.
LIKELY_GROWTH = 0.4
GROWTH_PRE_WEEKS, RECENT_WEEKS, OLDER_SLOPE_SD = 104, 26, 0.01
YEAR = 52
# Weeks on both sides of a break, and the log evidence for one that 2 to 3 % of quiet histories reach (calibrated).
BREAK_SIDE, BREAK_EVIDENCE, BREAK_SLOPE = 4, 0.7, 0.01
DIP_WEEKS, DIP_PRE_WEEKS = 4, 4
SHOCK_LEVEL, TREATED_LEVEL = 0.01, 0.2
OVERLAP_WEEKS = 8

Scope = Literal["same", "part"]


@dataclass(frozen=True, slots=True)
class OtherLaunch:
    """Another launch of the same business; `scope`: whether it touches the same leads or some of them."""

    name: str
    title: str
    started_on: date
    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What the guards look at. What is None or empty is not looked at.

    `season`: prior of the annual wave from the ladder. `visits`: visit rate of the leads. `control`: leads of the untreated
    side. `periods`: the days behind the weeks; with them a break is told by its Monday, and `others` are looked at. `placebo`:
    number of pretended launches, and how many of them gave an alarm.
    """

    recorded: Recorded
    season: float
    visits: WeeklyRate | None = None
    control: WeeklyCounts | None = None
    periods: Periods | None = None
    others: Sequence[OtherLaunch] = ()
    placebo: tuple[int, int] | None = None


def guards(signals: Signals, weeks: Weeks) -> tuple[Guard, ...]:
    """Every guard that fired, the definition of a lead first."""
    leads, season = signals.recorded.leads, signals.season
    found = [
        *recording_guards(signals.recorded, weeks),
        # Against a control growth is common to both sides: it cancels.
        strong_growth(leads, weeks, season, signals.visits) if signals.control is None
        else control_shock(signals.control, leads, weeks),
        level_break(leads, weeks, season),
        after_dip(leads, weeks, season),
        None if signals.visits is None else after_dip(signals.visits, weeks, season),
        None if signals.placebo is None else placebo_alarms(*signals.placebo),
    ]
    if signals.periods is not None:
        found += overlapping_launches(signals.others, signals.periods)
    return tuple(_dated(guard, signals.periods) for guard in found if guard is not None)


def growth(leads: WeeklyCounts, weeks: Weeks, season: float) -> Step | None:
    """Growth a week around the launch, as a logarithm, with its doubt; a step at the launch is allowed for.

    From the pre weeks and as many post weeks. With a year of history the wave of the year and an older, different growth
    are taken out. None with fewer than six weeks or no leads.
    """
    pre, post = weeks.split(leads.n_weeks)
    pre = pre[-GROWTH_PRE_WEEKS:]
    post = post[:pre.size]
    if pre.size + post.size < 6 or not leads.total[pre].any():
        return None
    series = series_of(leads, pre, post)
    t = series.at - post[0]
    base, sds = [np.ones(t.size), t >= 0], [LEVEL_SD, STEP_SD]
    if pre.size >= YEAR and season > 0:
        waves, wave_sds = harmonics(t, season)
        base, sds = [*base, *waves.T, np.minimum(t + RECENT_WEEKS, 0)], [*sds, *wave_sds, OLDER_SLOPE_SD]
    return fit_steps(series, np.column_stack(base), np.array(sds), t[:, None], SLOPE_SD)[0]


def strong_growth(leads: WeeklyCounts, weeks: Weeks, season: float, visits: WeeklyRate | None = None) -> Guard | None:
    """Growth (or decline) so strong that without a control it cannot be told from an effect on the number of leads.

    Growth that is only likely is enough where the leads, or the visits of the claim, moved in its direction.
    """
    slope = growth(leads, weeks, season)
    if slope is None:
        return None
    up, down = slope.above(STRONG_GROWTH), 1 - slope.above(-STRONG_GROWTH)
    if max(up, down) <= LIKELY_GROWTH:
        return None
    if max(up, down) <= SURE_GROWTH:
        counts = [leads] if visits is None else [leads, WeeklyCounts(visits.numerator)]
        effects = (total_effect(one, weeks, season=season) for one in counts)
        if max(up if one.low > 0 else down if one.high < 0 else 0.0 for one in effects) <= LIKELY_GROWTH:
            return None
    middle, low, high = (float(np.expm1(slope.mean + side * slope.sd)) for side in (0.0, -1.96, 1.96))
    return Guard("strong_growth", "total", "withhold", {"weekly_growth": middle, "low": low, "high": high})


def level_break(leads: WeeklyCounts, weeks: Weeks, season: float) -> Guard | None:
    """A step inside the pre period that slow drift does not explain. `week`: position of its first week in the series."""
    pre, post = weeks.split(leads.n_weeks)
    pre = pre[-GROWTH_PRE_WEEKS:]
    if pre.size < 2 * BREAK_SIDE + 2 or not leads.total[pre].any():
        return None
    series = series_of(leads, pre, post[:0])
    t = series.at - series.at.mean()
    base, sds = [np.ones(t.size), t], [LEVEL_SD, BREAK_SLOPE]
    if season > 0 and pre.size >= RECENT_WEEKS:
        waves, wave_sds = harmonics(t, season)
        base, sds = [*base, *waves.T], [*sds, *wave_sds]
    starts = pre[BREAK_SIDE:-BREAK_SIDE + 1][::2 if pre.size > YEAR else 1]
    steps = fit_steps(series, np.column_stack(base), np.array(sds), (series.at[:, None] >= starts).astype(np.float64), STEP_SD)
    evidence = np.array([step.log_evidence for step in steps])
    if np.log(np.exp(evidence).mean()) < BREAK_EVIDENCE:
        return None
    best = int(evidence.argmax())
    figures = {"week": float(starts[best]), "change": float(np.expm1(steps[best].mean))}
    return Guard("level_break", "total", "indicative", figures)


def after_dip(data: WeeklyCounts | WeeklyRate, weeks: Weeks, season: float) -> Guard | None:
    """The last weeks before the launch lie far below what the earlier ones predict: some of what follows is only the return.

    On leads it touches the total claim, on a rate the process claim.
    """
    pre, _ = weeks.split(data.n_weeks)
    if pre.size < DIP_WEEKS + DIP_PRE_WEEKS:
        return None
    keep = np.ones(data.n_weeks, dtype=np.bool_)
    keep[pre] = False
    before = Weeks(int(pre[-DIP_WEEKS]), left_out=keep, max_post=DIP_WEEKS)
    is_count = isinstance(data, WeeklyCounts)
    if isinstance(data, WeeklyCounts):
        effect = total_effect(data, before, season=season)
    elif data.denominator[pre[:-DIP_WEEKS]].any() and data.denominator[pre[-DIP_WEEKS:]].any():
        effect = rate_effect(data, before)
    else:
        return None
    if effect.high >= 0 or effect.relative is None:
        return None
    figures = {"change": effect.relative.estimate, "n_weeks": float(DIP_WEEKS)}
    return Guard("after_dip", "total" if is_count else "process", "widen", figures)


def without_dip(weeks: Weeks, n_weeks: int) -> Weeks:
    """The weeks without the last four of pre: what a total claim after a dip is measured on.

    Measured after four weeks at -40 %: 57 % false alarms with them, none without; widening the interval does not reach that.
    """
    pre, _ = weeks.split(n_weeks)
    left_out = np.zeros(n_weeks, dtype=np.bool_) if weeks.left_out is None else np.array(weeks.left_out, dtype=np.bool_)
    left_out[pre[-DIP_WEEKS:]] = True
    return replace(weeks, left_out=left_out)


def control_shock(control: WeeklyCounts, leads: WeeklyCounts, weeks: Weeks) -> Guard | None:
    """The untreated side jumped at the launch, which it had no reason to.

    Against the treated side: leads moved over from the control, the comparison counts them twice (withhold). With it: a
    shock common to both, which the ratio takes out, or a spill-over, which it hides (indicative).
    """
    own, treated = jump(control, weeks), jump(leads, weeks)
    if own is None or own.p_value >= SHOCK_LEVEL:
        return None
    figures = {"change": float(np.expm1(own.mean))}
    if treated is not None and own.mean * treated.mean < 0 and treated.p_value < TREATED_LEVEL:
        return Guard("contaminated_control", "total", "withhold", figures)
    return Guard("control_shock", "total", "indicative", figures)


def overlapping_launches(others: Sequence[OtherLaunch], periods: Periods) -> list[Guard]:
    """Other launches whose start falls into the last weeks before this one, or after it."""
    launch_week, end = periods.washout.start, max(periods.washout.end, periods.post.end)
    found = []
    for other in sorted(others, key=lambda other: (other.started_on, other.name)):
        if not launch_week - timedelta(weeks=OVERLAP_WEEKS) <= other.started_on < end:
            continue
        action: Action = "note"
        if other.started_on >= launch_week:
            action = "withhold" if other.scope == "same" else "indicative"
        figures = {"launch": other.name, "title": other.title, "started_on": other.started_on.isoformat()}
        found.append(Guard("overlapping_launch", "both", action, figures))
    return found


def shared_scope(ours: Mapping[str, Collection[str]], theirs: Mapping[str, Collection[str]]) -> Scope | None:
    """How much of our leads another launch touches: values by dimension, none means all. None when it touches none of them."""
    both = [(set(own), set(theirs.get(dimension, ()))) for dimension, own in ours.items()]
    if any(own and other and not own & other for own, other in both):
        return None
    return "same" if all(not other or (own and own <= other) for own, other in both) else "part"


def placebo_alarms(n: int, n_alarms: int) -> Guard | None:
    """More alarms on pretended launches than chance gives. Few alarms are no licence: they return None, never a plus."""
    expected = 0.05 * n
    if n_alarms < 2 or n_alarms <= expected:
        return None
    return Guard("placebo_alarms", "both", "note", {"n": float(n), "n_alarms": float(n_alarms), "expected": expected})


def _dated(guard: Guard, periods: Periods | None) -> Guard:
    """The guard with its `week` as the Monday it stands for."""
    week = guard.figures.get("week")
    if periods is None or not isinstance(week, float):
        return guard
    return replace(guard, figures={**guard.figures, "week": (periods.pre.start + timedelta(weeks=week)).isoformat()})
