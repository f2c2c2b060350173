"""A figure of a calculation in words: by its kind, its range, or why there is none."""

from pipeline.amounts import Quantity
from pipeline.calculator import Outcome
from pipeline.expressions import Value
from pipeline.reports.numbers import LARGEST_RATE, Numbers
from pipeline.scenarios import Texts, text_in

# Rates that grow beyond what a figure can tell.
RATES = ("irr", "compound_roi")
LEAST_P = 0.001  # of p-values: below it a bound is written


def written(numbers: Numbers, kind: str, value: float, *, name: str = "") -> str:
    """A figure by its kind; `name` of a result tells rates of return apart."""
    if name in RATES:
        return numbers.annual_rate(value)
    match kind:
        case "share":
            return numbers.percent(value, digits=_digits(value * 100, 1))
        case "points":
            return numbers.points(value)
        case "relative":
            return numbers.percent(value, digits=_digits(value * 100, 1), is_signed=True)
        case "money":
            return numbers.full_money(value, digits=0 if abs(value) >= 100 or value == int(value) else 2)
        case "p_value" if value < LEAST_P:
            return numbers.words.say("probability.below", bound=numbers.decimal(LEAST_P, digits=3))
        case "months":
            return numbers.words.say("unit.months", n=numbers.decimal(value, digits=_digits(value, 1)))
        case "hours":
            return numbers.words.say("unit.hours", n=numbers.decimal(value, digits=_digits(value, 1)))
        case "minutes":
            return numbers.words.say("unit.minutes", n=numbers.decimal(value, digits=_digits(value, 1)))
    return numbers.decimal(value, digits=_digits(value, 1 if kind == "count" else 3 if abs(value) < 1 else 2))


def _digits(value: float, most: int) -> int:
    """Decimals worth writing: as few as show the same figure."""
    return next(digits for digits in range(most + 1) if digits == most or round(value, digits) == round(value, most))


def quantity(numbers: Numbers, kind: str, found: Quantity) -> str:
    """An input: its figure, or its range and how it is meant."""
    say = numbers.words.say
    if found.is_certain:
        return written(numbers, kind, found.middle)
    span = numbers.interval(written(numbers, kind, found.low), written(numbers, kind, found.high))
    counts = {"reached": numbers.whole(found.n_reached), "n": numbers.whole(found.n)} if found.shape == "observed" else {}
    middle = {"middle": written(numbers, kind, found.middle)} if found.shape == "pert" else {}
    return numbers.words.beside(span, say(f"calc.shape.{found.shape}", **counts, **middle))


def value_of(numbers: Numbers, kind: str, value: Value, *, name: str = "") -> str:
    """A figure, or "n/a" with its reason."""
    point = value.point
    return none(numbers, value.reason) if point is None else written(numbers, kind, point, name=name)


def none(numbers: Numbers, reason: str) -> str:
    """`n/a: cost is 0`"""
    say = numbers.words.say
    return say("calc.none", reason=say(f"calc.reason.{reason or 'undefined'}"))


def span(numbers: Numbers, outcome: Outcome, name: str, kind: str, share: float) -> str:
    """The ends that hold `share` of the draws; empty for a figure that is certain."""
    found = outcome.interval(name, share)
    if found is None:
        return ""
    low, _, high = found
    if low == high and low is not None:
        return ""
    say = numbers.words.say
    if low is None:
        return say("calc.reason.never")
    shown = written(numbers, kind, low, name=name)
    if high is None:
        return say("calc.span.never", low=shown)
    if name in RATES and low <= LARGEST_RATE < high:
        return say("calc.span.above", low=shown, bound=numbers.percent(LARGEST_RATE, digits=0))
    upper = written(numbers, kind, high, name=name)
    return shown if shown == upper else numbers.interval(shown, upper)


def median(numbers: Numbers, outcome: Outcome, name: str, kind: str) -> str:
    """The median of the draws, or that there is none."""
    found = outcome.interval(name, 0.8)
    if found is None:
        return ""
    return numbers.words.say("calc.reason.never") if found[1] == float("inf") else written(numbers, kind, found[1], name=name)


def label(numbers: Numbers, outcome: Outcome, texts: Texts) -> str:
    """A label in the reader's language; `{input}` in it becomes that input's figure, so that a horizon is always printed."""
    text = text_in(texts, numbers.words.language)
    for name, found in outcome.quantities.items():
        mark = f"{{{name}}}"
        if mark in text:
            text = text.replace(mark, quantity(numbers, outcome.scenario.inputs[name].kind, found))
    return text
