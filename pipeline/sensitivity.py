"""How much the figures depend on what somebody chose: the same claim with one choice changed at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pipeline.account import without
from pipeline.effects import Funnel, Interval, ProcessEffect
from pipeline.roi import Money
from pipeline.weekly import Weeks

WASHOUT_WEEKS = 2
MARGIN_STEP = 0.10
MOST_PARTS = 4
# A channel with less than this share of the leads moves nothing when it is left out.
MIN_PART_SHARE = 0.05

Remeasure = Callable[[Funnel, Weeks, float | None, float], tuple[ProcessEffect, Money] | None]
"""(funnel, weeks, margin, factor on the season prior) -> the claim and its money; None where it cannot be made."""


@dataclass(frozen=True, slots=True)
class Variation:
    """One choice changed: `code` says which, `figures` to what; the claim's relative effect, profit and ROI then."""

    code: str
    figures: Mapping[str, float | str]
    relative: Interval | None
    profit: Interval | None
    roi: Interval | None


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """What was chosen: the funnel and its parts by dimension, margin, whether the claim has a season prior, and the same funnel
    under another horizon (days -> funnel and weeks)."""

    funnel: Funnel
    weeks: Weeks
    margin: float | None
    has_season: bool
    parts: Mapping[str, Mapping[str, Funnel]] = field(default_factory=dict)
    horizons: Mapping[int, tuple[Funnel, Weeks]] = field(default_factory=dict)


def sensitivity(choices: Choices, measured: tuple[ProcessEffect, Money], again: Remeasure) -> tuple[Variation, ...]:
    """The claim as measured, then with one choice changed at a time; what cannot be measured is left out."""
    found = [_variation("as_measured", {}, *measured)]
    for code, figures, funnel, weeks, margin, factor in _variations(choices):
        try:
            changed = again(funnel, weeks, margin, factor)
        except ValueError:  # a part without leads, a washout that leaves no week
            continue
        if changed is not None:
            found.append(_variation(code, figures, *changed))
    return tuple(found)


def _variations(choices: Choices) -> Iterator[tuple[str, Mapping[str, float | str], Funnel, Weeks, float | None, float]]:
    funnel, weeks, margin = choices.funnel, choices.weeks, choices.margin
    if choices.has_season:
        yield "season_half", {}, funnel, weeks, margin, 0.5
        yield "season_double", {}, funnel, weeks, margin, 2.0
    for days, (other, other_weeks) in sorted(choices.horizons.items()):
        yield "horizon", {"days": float(days)}, other, other_weeks, margin, 1.0
    later = replace(weeks, n_washout=weeks.n_washout + WASHOUT_WEEKS)
    yield "washout", {"weeks": float(later.n_washout)}, funnel, later, margin, 1.0
    if margin is not None:
        for other_margin in (margin - MARGIN_STEP, margin + MARGIN_STEP):
            if 0 < other_margin <= 1:
                yield "margin", {"margin": round(other_margin, 6)}, funnel, weeks, other_margin, 1.0
    for dimension, parts in choices.parts.items():
        n_all = float(funnel.leads.sum())
        sizes = {key: float(part.leads.sum()) for key, part in parts.items()}
        large = [key for key in sizes if MIN_PART_SHARE * n_all <= sizes[key] < n_all]
        for key in sorted(large, key=lambda key: (-sizes[key], key))[:MOST_PARTS]:
            yield f"without_{dimension}", {dimension: key}, without(funnel, parts[key]), weeks, margin, 1.0


def _variation(code: str, figures: Mapping[str, float | str], effect: ProcessEffect, money: Money) -> Variation:
    whole = effect.money_or_visits
    has_margin = effect.margin is not None
    return Variation(code, figures, whole.relative, money.incremental_profit if has_margin else None,
                     money.roi if has_margin else None)
