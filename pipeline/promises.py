"""A vendor's promise, recomputed: points or percent, revenue or profit, ramp, costs not mentioned, contradictions, chance.

A promise is a TOML file (docs/calc.md): the figures it names, what it says comes of them, which costs it mentions. Remarks are
codes with figures; `reports.promise` says them in words.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.amounts import Kind, Quantity, read
from pipeline.calculator import Outcome, compute
from pipeline.costs import CHECKLIST
from pipeline.errors import ConfigError
from pipeline.expressions import Value, call, parse
from pipeline.roi import sample_size_two_proportions
from pipeline.scenarios import RESULTS, Scenario, Texts, in_one_language, load, shipped
from pipeline.strict import Place, build, nearest, read_toml

FOLDER = "promises"
USUAL_RAMP = 3.0  # months, where a promise speaks of none: a convention, printed with the figure
LOOSE = 0.10  # a stated figure within a tenth of the exact one is loose, beyond it contradicts
OUTSTANDING = 1.0  # an ROI from here on: check the sums
SIGNIFICANT = 0.05
Tone = Literal["fine", "note", "doubt", "wrong"]
Code = Literal[
    "change", "change_of_rate", "change_unit_unclear", "change_from_zero", "chance_possible", "chance_unlikely", "chance_unknown",
    "agrees", "rounded", "loose", "contradicts", "states_several", "states_undefined", "recomputed", "no_money", "no_roi",
    "revenue_not_profit", "revenue_and_break_even", "revenue_never", "ramp_missing", "ramp_ignored", "outstanding",
    "costs_missing",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A rate or a time that is said to go from `before` to `after`; `n_*`: out of how many, where that is said."""

    label: Texts
    kind: Kind
    before: Any
    after: Any
    stated: str = ""
    n_before: float | None = None
    n_after: float | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """Another figure of the promise: a formula over named values, and what it says comes of it."""

    label: Texts
    kind: Kind
    formula: str
    values: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    stated: Any = None
    note: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Mentions:
    costs: tuple[str, ...] = ()
    ramp_months: float | None = None


@dataclass(frozen=True, slots=True)
class _File:
    title: Texts
    source: Texts = field(default_factory=dict)
    currency: str = "RUB"
    scenario: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    stated: Mapping[str, Any] = field(default_factory=dict)
    mentions: _Mentions = field(default_factory=_Mentions)
    changes: tuple[Change, ...] = ()
    sums: tuple[Sum, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a remark with its kind; `high` differs for a range."""

    kind: str
    low: float
    high: float

    @classmethod
    def of(cls, kind: str, value: float) -> "Figure":
        return cls(kind, value, value)


@dataclass(frozen=True, slots=True)
class Remark:
    """What the audit says: a code, how bad it is, of what (a label, or a line or result by name), with which figures."""

    code: Code
    tone: Tone
    subject: Texts | str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    note: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise as it was read."""

    title: Texts
    source: Texts
    currency: str
    scenario: Scenario | None
    quantities: Mapping[str, Quantity]
    stated: Mapping[str, tuple[tuple[str, Quantity], ...]]
    costs: tuple[str, ...]
    ramp_months: float | None
    changes: tuple[tuple[Change, Quantity, Quantity], ...]
    sums: tuple[tuple[Sum, Figure, Quantity | None], ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """The remarks, and the plan that the promise's own figures make; None where it names no money."""

    promise: Promise
    outcome: Outcome | None
    remarks: tuple[Remark, ...]


def find_promise(name: str) -> Path:
    """A file, or one of the published promises that come with the program. Raises ConfigError."""
    path = Path(name)
    if path.exists():
        return path
    known = sorted(found.stem for found in shipped(FOLDER).glob("*.toml"))
    if name in known:
        return shipped(FOLDER) / f"{name}.toml"
    raise ConfigError(
        f"there is no file {name!r}{nearest(name, known)}", hint=f"a file as in docs/calc.md, or one of {', '.join(known)}"
    )


def read_promise(path: Path, folder: Path) -> Promise:
    """A promise out of its file; `folder`: the configuration, which may have scenarios of its own. Raises ConfigError."""
    return promise_of(build(_File, in_one_language(read_toml(path)), Place(path), {}), path, folder)


def promise_of(found: _File, path: Path, folder: Path) -> Promise:
    """Every figure of a promise, read. Raises ConfigError."""
    if not re.fullmatch("[A-Z]{3}", found.currency):
        raise ConfigError(f"{Place(path, 'currency')}: expected an ISO code", hint="for example RUB, EUR or CNY")
    for code in found.mentions.costs:
        if code not in CHECKLIST:
            place = Place(path, "mentions.costs")
            raise ConfigError(
                f"{place}: unknown cost {code!r}{nearest(code, CHECKLIST)}", hint=f"possible: {', '.join(CHECKLIST)}"
            )
    scenario, quantities = None, {}
    if found.scenario:
        scenario = load(found.scenario, folder)
        where = {name: str(Place(path, f"inputs.{name}")) for name in found.inputs}
        quantities = scenario.read_inputs(found.inputs, where, found.currency)
    elif found.inputs or found.stated:
        raise ConfigError(f"{Place(path, 'inputs')}: inputs without a scenario", hint='name one, as in scenario = "crm"')
    changes = []
    for number, change in enumerate(found.changes, 1):
        place = Place(path, f"changes[{number}]")
        before = read(change.before, change.kind, str(place.of("before")), currency=found.currency)
        after = read(change.after, change.kind, str(place.of("after")), currency=found.currency)
        changes.append((change, before, after))
    return Promise(
        title=found.title, source=found.source, currency=found.currency, scenario=scenario, quantities=quantities,
        stated={name: _stated(name, value, scenario, path, found.currency) for name, value in found.stated.items()},
        costs=found.mentions.costs, ramp_months=found.mentions.ramp_months, changes=tuple(changes),
        sums=tuple(_sum(total, Place(path, f"sums[{number}]"), found.currency) for number, total in enumerate(found.sums, 1)),
    )  # fmt: skip


def _stated(name: str, value: Any, scenario: Scenario | None, path: Path, currency: str) -> tuple[tuple[str, Quantity], ...]:
    """Every figure the promise gives for a line or result of the scenario, as written and as read."""
    kinds = {**RESULTS, **{line: found.kind for line, found in (scenario.lines if scenario else {}).items()}}
    place = Place(path, f"stated.{name}")
    if name not in kinds:
        raise ConfigError(
            f"{place}: neither a line nor a result{nearest(name, list(kinds))}", hint=f"possible: {', '.join(kinds)}"
        )
    return tuple(
        (str(item), _as_stated(item, kinds[name], place, currency)) for item in (value if isinstance(value, list) else [value])
    )


def _as_stated(item: Any, kind: Any, place: Place, currency: str) -> Quantity:
    """What comes out may be negative or above 100 %, and that is not the reader's fault."""
    return read(item, kind, str(place), currency=currency, least=-1e15, most=1e15)


def _sum(total: Sum, place: Place, currency: str) -> tuple[Sum, Figure, Quantity | None]:
    """The formula at every combination of the ends of its values."""
    expression = parse(total.formula, list(total.values), str(place.of("formula")))
    if len(total.values) > 10:
        raise ConfigError(f"{place.of('values')}: more than ten values", hint="split the sum")
    ends = []
    for name, value in total.values.items():
        kind = total.kinds.get(name, "number")
        quantity = read(value, kind, str(place.of("values").of(name)), currency=currency)
        ends.append((quantity.low, quantity.high))
    corners = list(product(*ends))
    columns = {name: Value(np.array([corner[n] for corner in corners])) for n, name in enumerate(total.values)}
    found = expression.value(columns).numbers
    if not np.isfinite(found).all():
        raise ConfigError(f"{place.of('formula')}: gives no figure with these values", hint="is something divided by 0?")
    stated = None if total.stated is None else _as_stated(total.stated, total.kind, place.of("stated"), currency)
    return total, Figure(total.kind, float(found.min()), float(found.max())), stated


def audit(promise: Promise) -> Audit:
    """Everything that can be said of a promise from its own figures."""
    outcome = compute(promise.scenario, promise.quantities) if promise.scenario else None
    remarks = [*_changes(promise), *_statements(promise, outcome), *_sums(promise)]
    if outcome is None:
        remarks.append(Remark("no_money", "doubt"))
    else:
        remarks += [*_margin(outcome), *_ramp(promise, outcome), *_size(outcome)]
    lacking = tuple(code for code in CHECKLIST if code not in promise.costs)
    if lacking:
        remarks.append(Remark("costs_missing", "doubt", names=lacking))
    return Audit(promise, outcome, tuple(remarks))


def _changes(promise: Promise) -> list[Remark]:
    """A change of a rate both ways, whether its unit is clear, and whether chance alone gives it."""
    found = []
    for change, before, after in promise.changes:
        ends = {"before": Figure.of(change.kind, before.middle), "after": Figure.of(change.kind, after.middle)}
        if before.middle == 0:
            found.append(Remark("change_from_zero", "note", change.label, ends))
            continue
        ends["relative"] = Figure.of("relative", after.middle / before.middle - 1)
        ends["times"] = Figure.of(
            "number", max(after.middle, before.middle) / min(after.middle, before.middle) if after.middle else 0.0
        )
        if change.kind != "share":
            found.append(Remark("change", "note", change.label, ends))
            continue
        ends["points"] = Figure.of("points", after.middle - before.middle)
        is_unclear = bool(change.stated) and "%" in change.stated and not re.search(r"п\.?\s?п|pp|百分点", change.stated)
        texts = {"stated": change.stated} if is_unclear else {}
        found.append(Remark("change_unit_unclear" if is_unclear else "change_of_rate", "doubt" if is_unclear else "note",
                             change.label, ends, texts))  # fmt: skip
        if change.n_before and change.n_after:
            found.append(_chance(change, before.middle, after.middle))
    return found


def _chance(change: Change, before: float, after: float) -> Remark:
    n_before, n_after = change.n_before or 0.0, change.n_after or 0.0
    arguments = (before * n_before, n_before, after * n_after, n_after)
    p_value = call("p_value", *(Value(np.array([number])) for number in arguments)).point
    if p_value is None or before == after:
        return Remark("chance_unknown", "note", change.label)
    needed = sample_size_two_proportions(before, after)
    figures = {"p": Figure.of("p_value", p_value), "needed": Figure.of("count", np.ceil(needed))}
    is_proven = p_value < SIGNIFICANT
    return Remark("chance_unlikely" if is_proven else "chance_possible", "fine" if is_proven else "doubt", change.label, figures)


def _statements(promise: Promise, outcome: Outcome | None) -> list[Remark]:
    """Each stated line or result beside the exact one; several different ones for the same thing contradict each other."""
    found: list[Remark] = []
    if outcome is None or promise.scenario is None:
        return found
    for name, stated in promise.stated.items():
        kind = promise.scenario.lines[name].kind if name in promise.scenario.lines else RESULTS[name]
        if len(stated) > 1:
            values = [quantity.middle for _, quantity in stated]
            ends = {"low": Figure.of(kind, min(values)), "high": Figure.of(kind, max(values))}
            found.append(Remark("states_several", "wrong", name, ends))
        exact = outcome.points[name]
        span = outcome.interval(name, 1.0)
        for text, quantity in stated:
            if exact.point is None:
                found.append(Remark("states_undefined", "wrong", name, {"stated": Figure(kind, quantity.low, quantity.high)},
                                     {"reason": exact.reason}))  # fmt: skip
                continue
            low, high = (exact.point, exact.point) if span is None or span[0] is None or span[2] is None else (span[0], span[2])
            found.append(_compared(name, kind, text, quantity, Figure(kind, low, high), {}))
    return found


def _sums(promise: Promise) -> list[Remark]:
    found = []
    for total, exact, stated in promise.sums:
        if stated is None:
            found.append(Remark("recomputed", "note", total.label, {"exact": exact}, note=total.note))
        else:
            found.append(_compared(total.label, total.kind, str(total.stated), stated, exact, total.note))
    return found


def _compared(subject: Texts | str, kind: str, text: str, stated: Quantity, exact: Figure, note: Texts) -> Remark:
    """A stated figure agrees, is rounded, loose, or contradicts what its own inputs give."""
    figures = {"stated": Figure(kind, stated.low, stated.high), "exact": exact}
    unit = _unit(text, kind)
    gap = max(stated.low - exact.high, exact.low - stated.high, 0.0)
    size = max(abs(exact.low), abs(exact.high))
    # What rounds to the stated figure is no contradiction; a stated range that leaves part of the exact one open is.
    if gap <= 1e-9 * max(size, 1.0):
        return Remark("agrees", "fine", subject, figures, note=note)
    if gap <= unit / 2 * (1 + 1e-9):
        return Remark("rounded", "fine", subject, figures, note=note)
    figures["off"] = Figure.of("relative", (stated.middle - (exact.low + exact.high) / 2) / size if size else 0.0)
    is_loose = size > 0 and gap <= LOOSE * size and stated.middle * exact.low > 0
    return Remark("loose" if is_loose else "contradicts", "doubt" if is_loose else "wrong", subject, figures, note=note)


def _unit(text: str, kind: str) -> float:
    """The last digit that a stated figure shows."""
    digits = re.search(r"\d[\d\s\u00a0\u2009\u202f]*(?:[.,](\d+))?\D*$", text)
    decimals = len(digits[1]) if digits and digits[1] else 0
    return float(10.0**-decimals * (0.01 if kind in ("share", "points", "relative") and re.search("[%пp]", text) else 1))


def _margin(outcome: Outcome) -> list[Remark]:
    if not outcome.is_revenue_based:
        return []
    margin = outcome.points["break_even_margin"].point
    figures = {} if margin is None else {"margin": Figure.of("share", margin), "months": _months(outcome)}
    code: Code = "revenue_not_profit" if margin is None else "revenue_and_break_even" if margin <= 1 else "revenue_never"
    return [Remark(code, "wrong" if code == "revenue_never" else "doubt", figures=figures)]


def _ramp(promise: Promise, outcome: Outcome) -> list[Remark]:
    """What a ramp makes of the ROI: the promise's own, where it speaks of one and does not count it."""
    roi, scenario = outcome.points["roi"].point, promise.scenario
    if roi is None or scenario is None or outcome.quantities["ramp_months"].high > 0:
        return []
    months = outcome.quantities["months"].middle
    ramp = min(promise.ramp_months or USUAL_RAMP, months)
    slow = compute(scenario, {**outcome.quantities, "ramp_months": Quantity.point(ramp)})
    figures = {"ramp": Figure.of("months", ramp), "roi": Figure.of("share", roi),
               "roi_with_ramp": Figure.of("share", slow.points["roi"].point or 0.0)}  # fmt: skip
    return [Remark("ramp_ignored" if promise.ramp_months else "ramp_missing", "wrong" if promise.ramp_months else "doubt",
                    figures=figures)]  # fmt: skip


def _size(outcome: Outcome) -> list[Remark]:
    roi = outcome.points["roi"].point
    if roi is None:
        return [Remark("no_roi", "doubt", texts={"reason": outcome.points["roi"].reason})]
    return [Remark("outstanding", "doubt", figures={"roi": Figure.of("share", roi)})] if roi >= OUTSTANDING else []


def _months(outcome: Outcome) -> Figure:
    return Figure.of("months", outcome.quantities["months"].middle)


def asked_promise(
    scenario: Scenario, inputs: Mapping[str, object], stated: Mapping[str, str], costs: Sequence[str], currency: str, folder: Path
) -> Promise:
    """A promise out of answers. Raises ConfigError."""
    blank = _File(title=scenario.title, currency=currency, scenario=scenario.name)
    filled = replace(blank, inputs=dict(inputs), stated=dict(stated), mentions=_Mentions(tuple(costs)))
    return promise_of(filled, Path("answers"), folder)
