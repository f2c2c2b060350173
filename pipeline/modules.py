"""Which module of a programme earned what: launches that overlap in time and scope, told apart where they can be. Pure.

The leads of a programme fall into zones: in one zone every lead is touched by the same modules. Inside a zone modules start
one after another, and each is measured between its own start and the next one against the state just before it, as a process
claim (the leads that came, at the rates and the check of before). Four rules, and no fifth:

* `own`: the module started here alone. What it did is the ratio of what a lead brought between its start and the next one to
  what the weeks before lead to expect. After the next start the ratio is carried forward as it was.
* `elsewhere`: it started here together with others, but all the others were measured alone in other zones. They are taken to
  have done here what they did there, as a ratio; what remains is this module's. The shares are Shapley's (`shapley`).
* `joint`: it started together with others and nothing tells them apart: one figure for all of them, never split by guess.
* `too_few`: too few weeks or visits on a side, or no payments: no figure; what it did stays in the rest.

The whole is measured once, over all zones, against the weeks before the first module; whole = modules + joint + rest in every
draw, and the draws of the whole take the order of the parts that rest on the same weeks. The rest is what the parts do not
explain: modules that change each other's effect, effects that fade or grow after the next start, zones too small, chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pipeline.effects import DRAW_SEED, N_DRAWS, Effect, Funnel, Interval, ProcessEffect, interval_of, process_effect
from pipeline.ladder import MIN_VISITS, MIN_WEEKS
from pipeline.recording import standardised
from pipeline.roi import at_median
from pipeline.shapley import split_product
from pipeline.weekly import FloatArray, IndexArray, WeeklyRate, Weeks

Rule = Literal["own", "elsewhere", "joint", "too_few"]
Names = tuple[str, ...]
NOISE = 1e-6  # units of money: what adding floats leaves, which differs from processor to processor
COLUMNS = ("leads", "visited", "booked", "paid", "revenue", "revenue_sq")


@dataclass(frozen=True, slots=True)
class Start:
    """A module: it began in week `at` of the series; from week `settled` on its leads count (the weeks between do not)."""

    name: str
    at: int
    settled: int


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """Leads that are touched by the same modules, week by week."""

    modules: frozenset[str]
    funnel: Funnel


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What a step brought in the weeks [start, end): its own, or those of a later step that its ratio is carried to.

    `base`: draws of what each of `n_leads` would have brought without it; `amounts` as in `Step`, which are their sums.
    """

    start: int
    end: int
    n_leads: float
    base: FloatArray
    amounts: Mapping[Names, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What began in a zone at one time: the modules, the rule they fall under, what a lead brought without and with them.

    `start` and `end`: the weeks [settled, end) it is measured on, against [pre_start, pre_end). `effect` is None where a side is
    too small; then nothing is counted. `amounts`: draws of the benefit by module, or by all of them under "joint".
    `n_leads`: of its own weeks. `known_from`: modules whose ratio came from other zones.
    """

    zone: frozenset[str]
    modules: Names
    rule: Rule
    pre_start: int
    pre_end: int
    settled: int
    end: int
    n_pre_weeks: int
    n_post_weeks: int
    n_leads: float
    effect: ProcessEffect | None = None
    known_from: Names = ()
    amounts: Mapping[Names, FloatArray] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()

    @property
    def factors(self) -> Mapping[str, Effect | None]:
        """Effects on the rates and the check in its own weeks."""
        return {} if self.effect is None else self.effect.factors


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """A programme's benefit (profit with a margin, else revenue) over the counted weeks, and whose it is.

    `draws`: by module, or by modules that cannot be told apart; with `rest` they sum to `whole` in every draw. `amounts` and
    `rest_amount` are estimates that sum to `whole_amount`. A module may stand alone and in a joint part too.
    """

    whole: FloatArray
    draws: Mapping[Names, FloatArray]
    rest: FloatArray
    whole_amount: Interval
    amounts: Mapping[Names, Interval]
    rest_amount: Interval
    steps: tuple[Step, ...]
    effect: ProcessEffect

    def told_share(self, module: str) -> float:
        """Share of a module's leads, in the weeks each of its steps is measured on, for which it has a figure of its own."""
        mine = [step for step in self.steps if module in step.modules]
        n_leads = sum(step.n_leads for step in mine)
        return sum(step.n_leads for step in mine if (module,) in step.amounts) / n_leads if n_leads else 0.0


def account_for(starts: Sequence[Start], zones: Sequence[Zone], left_out: np.typing.NDArray[np.bool_],
                margin: float | None = None) -> Account:
    """Share out what the programme brought. `zones` are disjoint and over the same weeks, `left_out` flags weeks that count for
    nothing. Raises ValueError where the whole has no week, no lead or no payment on a side."""
    by_name = {start.name: start for start in starts}
    skipped = np.array(left_out, dtype=np.bool_)
    for start in starts:
        skipped[start.at : start.settled] = True
    zones = sorted(zones, key=lambda zone: sorted((by_name[name].at, name) for name in zone.modules))
    whole = _whole(starts, zones, skipped, margin)
    steps = [step for zone in zones for step in _steps(zone, by_name, skipped)]
    ratios = _ratios(steps)
    found = [step for zone in zones for step in _shared([one for one in steps if one.zone == zone.modules], zone, skipped, ratios,
                                                        margin or 1.0)]
    draws: dict[Names, FloatArray] = {}
    for step in found:
        for names, amount in step.amounts.items():
            draws[names] = draws.get(names, np.zeros(N_DRAWS)) + amount
    draws = dict(sorted(draws.items(), key=lambda item: (len(item[0]), [(by_name[name].at, name) for name in item[0]])))
    told = np.sum(list(draws.values()), axis=0) if draws else np.zeros(N_DRAWS)
    assert whole.revenue_draws is not None
    benefit = whole.revenue_draws * (margin or 1.0)
    benefit = _in_order(benefit, steps)
    rest = benefit - told
    rest = np.where(np.abs(rest) < NOISE, 0.0, rest)
    estimates = at_median(np.stack([*draws.values(), rest]), benefit)
    amounts = {names: around(float(estimates[n]), one) for n, (names, one) in enumerate(draws.items())}
    return Account(benefit, draws, rest, interval_of(benefit), amounts, around(float(estimates[-1]), rest), tuple(found), whole)


def _whole(starts: Sequence[Start], zones: Sequence[Zone], skipped: np.typing.NDArray[np.bool_],
           margin: float | None) -> ProcessEffect:
    """All zones as one, against the weeks before the first module, at equal shares of the zones."""
    funnel = added([zone.funnel for zone in zones])
    first = min(starts, key=lambda start: (start.at, start.settled))
    weeks = Weeks(first.at, first.settled - first.at, skipped)
    rates: dict[str, WeeklyRate] = {}
    if len(zones) > 1:
        step, name = ("visited", "visit_rate") if funnel.booked is None else ("booked", "booking_rate")
        reached = {str(n): np.minimum(getattr(zone.funnel, step), zone.funnel.leads) for n, zone in enumerate(zones)}
        rates[name] = standardised(reached, {str(n): zone.funnel.leads for n, zone in enumerate(zones)}, weeks)
    effect = process_effect(funnel, weeks, margin=margin, rates=rates)
    if effect.revenue_draws is None:
        raise ValueError("nobody paid before the first module: what the programme brought cannot be told in money")
    return effect


def _in_order(benefit: FloatArray, steps: Sequence[Step]) -> FloatArray:
    """The draws of the whole in the order of the parts that rest on the same prediction: that from before the first module.

    Later steps rest on predictions of their own; were the whole put in the order of all parts, the rest would look surer than
    it is (measured: 20 to 60 % of its intervals held the truth).
    """
    measured = [step for step in steps if step.effect is not None]
    first = min((step.pre_end for step in measured), default=0)
    shared = [_worth(step)[1] * step.effect.expected["leads"] for step in measured if step.pre_end == first and step.effect]
    if not shared:
        return benefit
    ordered = np.empty(N_DRAWS)
    ordered[np.argsort(-np.sum(shared, axis=0), kind="stable")] = np.sort(benefit)
    return ordered


def added(funnels: Sequence[Funnel]) -> Funnel:
    """Funnels of disjoint leads as one."""
    def total(name: str) -> FloatArray | None:
        columns = [getattr(funnel, name) for funnel in funnels]
        return None if any(column is None for column in columns) else np.sum(columns, axis=0)

    return Funnel(*(total(name) for name in COLUMNS))  # type: ignore[arg-type]  # leads and visited are never None


def _steps(zone: Zone, by_name: Mapping[str, Start], skipped: np.typing.NDArray[np.bool_]) -> Iterator[Step]:
    """The starts of a zone, those together that have too little between them; each measured against the weeks just before."""
    groups: list[list[Start]] = []
    for start in sorted((by_name[name] for name in zone.modules), key=lambda one: (one.at, one.settled, one.name)):
        since = max((one.settled for one in groups[-1]), default=0) if groups else 0
        if groups and not _has_enough(zone.funnel, _counted(since, start.at, skipped)):
            groups[-1].append(start)
        else:
            groups.append([start])
    pre_start = 0
    for n, group in enumerate(groups):
        pre_end, settled = group[0].at, max(start.settled for start in group)
        end = groups[n + 1][0].at if n + 1 < len(groups) else skipped.size
        pre, post = _counted(pre_start, pre_end, skipped), _counted(settled, end, skipped)
        names = tuple(start.name for start in group)
        effect = None
        if _has_enough(zone.funnel, pre) and _has_enough(zone.funnel, post):
            effect = _measured(zone.funnel, pre_start, pre_end, settled, end, skipped)
        rule: Rule = "too_few" if effect is None else "own" if len(names) == 1 else "joint"
        yield Step(zone.modules, names, rule, pre_start, pre_end, settled, end, pre.size, post.size,
                   float(zone.funnel.leads[post].sum()), effect)
        pre_start = settled


def _counted(start: int, end: int, skipped: np.typing.NDArray[np.bool_]) -> IndexArray:
    weeks = np.arange(start, max(start, end))
    return weeks[~skipped[weeks]]


def _has_enough(funnel: Funnel, weeks: IndexArray) -> bool:
    return weeks.size >= MIN_WEEKS and float(funnel.visited[weeks].sum()) >= MIN_VISITS


def _measured(funnel: Funnel, pre_start: int, pre_end: int, settled: int, end: int,
              skipped: np.typing.NDArray[np.bool_]) -> ProcessEffect | None:
    """The process claim on these weeks; None where nobody paid before or after."""
    columns = [getattr(funnel, name) for name in COLUMNS]
    cut = Funnel(*(None if column is None else column[pre_start:end] for column in columns))  # type: ignore[arg-type]  # as in `added`
    weeks = Weeks(pre_end - pre_start, settled - pre_end, skipped[pre_start:end])
    effect = process_effect(cut, weeks)
    return effect if effect.revenue is not None and effect.revenue.observed > 0 else None


def _worth(step: Step) -> tuple[float, FloatArray]:
    """What a lead brought in the step's own weeks, and draws of what it would have brought without the step.

    The draws of one week are in one order in all zones (they share its noise), those of different weeks in different ones.
    """
    assert step.effect is not None
    assert step.effect.revenue is not None
    expected = dict(step.effect.expected)
    leads = float(expected.pop("leads")[0])
    order = np.random.default_rng([DRAW_SEED, step.pre_end, step.settled]).permutation(N_DRAWS)
    return step.effect.revenue.observed / leads, np.prod(list(expected.values()), axis=0)[order]


def _ratios(steps: Sequence[Step]) -> dict[str, FloatArray]:
    """By module that was measured alone anywhere: draws of what it multiplies, over all such zones."""
    seen: dict[str, float] = {}
    expected: dict[str, FloatArray] = {}
    for step in steps:
        if step.rule == "own":
            assert step.effect is not None
            name, leads = step.modules[0], float(step.effect.expected["leads"][0])
            observed, worth = _worth(step)
            seen[name] = seen.get(name, 0.0) + observed * leads
            expected[name] = expected.get(name, np.zeros(N_DRAWS)) + worth * leads
    # Measured on other leads: its doubt is not that of the zone it is carried to.
    return {name: np.random.default_rng([DRAW_SEED, 1 + n]).permutation(_over(seen[name], expected[name]))
            for n, name in enumerate(sorted(seen, key=lambda one: (seen[one], one)))}


def _over(observed: float | FloatArray, expected: FloatArray) -> FloatArray:
    """A ratio of two worths; where the draw says nothing would have come, a bound."""
    return np.asarray(observed / _above_zero(expected), dtype=np.float64)


def _above_zero(expected: FloatArray) -> FloatArray:
    return np.maximum(expected, max(float(np.median(expected)), 1e-9) / 100)


def _shared(steps: Sequence[Step], zone: Zone, skipped: np.typing.NDArray[np.bool_], ratios: Mapping[str, FloatArray],
            scale: float) -> Iterator[Step]:
    """The steps of a zone with their amounts. State n is the zone after n steps; a step that could not be measured changes
    nothing, and neither do the weeks after it carry on what stood before."""
    done = [step for step in steps if step.effect is not None]
    lost = next((step.pre_end for step in steps if step.effect is None), skipped.size)
    factors = {step: _factors(step, ratios) for step in done}
    for step in steps:
        if step.effect is None or step.pre_end >= lost:
            yield Step(step.zone, step.modules, "too_few", step.pre_start, step.pre_end, step.settled, step.end,
                       step.n_pre_weeks, step.n_post_weeks, step.n_leads)
            continue
        names, known = factors[step]
        before, after = np.ones((len(names), N_DRAWS)), np.stack(list(names.values()))
        pieces: list[Piece] = []
        for later in done:
            if later.pre_end < step.pre_end or later.pre_end >= lost:
                continue
            assert later.effect is not None
            leads = float(later.effect.expected["leads"][0])
            base = _base(step, later, done)
            gained = split_product(before, after) * base
            if later is step:  # in its own weeks the sum is what was seen less what was expected, where that is nothing too
                base, floored = _worth(step)[1], base
                gained += (floored - base) / len(names)
            found = dict(zip(names, gained * leads * scale, strict=True))
            found.pop((), None)  # modules that were measured alone elsewhere and do something else together: the rest
            pieces.append(Piece(later.settled, later.end, leads, base, found))
        amounts = {name: np.sum([piece.amounts[name] for piece in pieces], axis=0) for name in names if name}
        rule: Rule = step.rule if step.rule != "joint" else "elsewhere" if all(len(one) == 1 for one in amounts) else "joint"
        yield Step(step.zone, step.modules, rule, step.pre_start, step.pre_end, step.settled, step.end, step.n_pre_weeks,
                   step.n_post_weeks, step.n_leads, step.effect, known, amounts, tuple(pieces))


def _base(step: Step, later: Step, done: Sequence[Step]) -> FloatArray:
    """What a lead of the weeks of `later` would have brought in the state before `step`: its own state before, with the ratios
    of the steps in between, and this one, taken out again."""
    base = _above_zero(_worth(later)[1])
    for between in done:
        if step.pre_end <= between.pre_end < later.pre_end:
            observed, expected = _worth(between)
            base = base / _over(observed, expected)
    return np.asarray(base, dtype=np.float64)


def _factors(step: Step, ratios: Mapping[str, FloatArray]) -> tuple[dict[Names, FloatArray], Names]:
    """What the modules of a step multiply: each by itself where it is known, the others together; () is what they do beyond."""
    observed, expected = _worth(step)
    together = _over(observed, expected)
    if len(step.modules) == 1:
        return {step.modules: together}, ()
    known = tuple(name for name in step.modules if name in ratios)
    unknown = tuple(name for name in step.modules if name not in ratios)
    if not known:
        return {step.modules: together}, ()
    found: dict[Names, FloatArray] = {(name,): ratios[name] for name in known}
    found[unknown] = together / np.maximum(np.prod([ratios[name] for name in known], axis=0), 1e-3)
    return found, known


def around(estimate: float, draws: FloatArray) -> Interval:
    """The draws' interval, never beside the estimate."""
    ends = interval_of(draws)
    return Interval(estimate, min(ends.low, estimate), max(ends.high, estimate))
