"""What a launch costs, line by line: filled in, zero, a range, or not counted, which is not zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal

Ends = tuple[float, float]
End = Literal["low", "high"]
Kind = Literal["checklist", "shared", "ad_spend"]
Part = Literal["once", "monthly", "per_lead"]
State = Literal["filled", "zero", "range", "not_counted"]
PARTS: tuple[Part, ...] = ("once", "monthly", "per_lead")
# The costs that are usually forgotten, in the order of a report.
CHECKLIST = (
    "licence", "set_up", "integration", "training_hours", "manager_hours", "content", "telephony", "messages", "support", "tax",
    "vat", "switching",
)  # fmt: skip
HOURS = ("training_hours", "manager_hours")  # in hours, priced by the launch's hour_rate
SUMS = ("one_off", "monthly", "usage_per_lead", "staff_hours_one_off", "staff_hours_monthly", "hour_rate")


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line by name: what is paid once, a month and for each lead, each as (low, high), None where nothing was said.

    Ends that are equal are counted; a range is not, it stands beside the result. Money of the business's currency, hours for
    `HOURS`. `facts` is what a reader needs to check the line: rate and lines of a tax, key and part of a shared cost, day and
    source of a typical range, why an ad spend is not known.
    """

    code: str
    once: Ends | None = None
    monthly: Ends | None = None
    per_lead: Ends | None = None
    kind: Kind = "checklist"
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in PARTS:
            found = getattr(self, part)
            if found is not None and not (0 <= found[0] <= found[1] and isfinite(found[1])):
                raise ValueError(f"cost {self.code}, {part}: ends are numbers of at least 0, the smaller one first")

    @property
    def is_hours(self) -> bool:
        return self.code in HOURS

    @property
    def state(self) -> State:
        """Which of the sorts of the checklist this line is."""
        given = [found for part in PARTS if (found := getattr(self, part)) is not None]
        if not given:
            return "not_counted"
        if any(low != high for low, high in given):
            return "range"
        return "filled" if any(high for _, high in given) else "zero"

    def counted(self, part: Part) -> float:
        """What of this part is counted: nothing of a range."""
        found = getattr(self, part)
        return found[0] if found is not None and found[0] == found[1] else 0.0

    def is_counted(self, part: Part) -> bool:
        """Whether an amount, be it zero, was given for this part."""
        found = getattr(self, part)
        return found is not None and found[0] == found[1]

    def at(self, end: End) -> CostLine:
        """The line with its ranges at one end, and so counted."""
        n = 0 if end == "low" else 1
        parts = {part: (found[n], found[n]) for part in PARTS if (found := getattr(self, part)) is not None}
        return made_of(self.code, parts, self.kind, self.facts)


def made_of(code: str, parts: Mapping[Any, Ends], kind: Kind = "checklist",
            facts: Mapping[str, object] | None = None) -> CostLine:
    """A line out of its parts by name."""
    return CostLine(code, parts.get("once"), parts.get("monthly"), parts.get("per_lead"), kind, facts or {})


@dataclass(frozen=True, slots=True)
class Costs:
    """What a launch costs, in the business's currency; None is "not counted". `lines`: by name, beside the sums."""

    one_off: float | None = None
    monthly: float | None = None
    usage_per_lead: float | None = None
    staff_hours_one_off: float | None = None
    staff_hours_monthly: float | None = None
    hour_rate: float | None = None
    lines: tuple[CostLine, ...] = ()

    def __post_init__(self) -> None:
        for name in SUMS:
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise ValueError(f"cost {name} is {value:g}: give a number of at least 0, or leave it out")

    @property
    def has_checklist(self) -> bool:
        """Whether costs are given by name: then sums that were left out are nothing that is missing."""
        return any(line.kind == "checklist" for line in self.lines)

    @property
    def not_counted(self) -> tuple[str, ...]:
        """Lines that were not filled in; the hour rate only where hours wait for it."""
        sums = [name for name in SUMS if name != "hour_rate"]
        missing = [] if self.has_checklist else [name for name in sums if getattr(self, name) is None]
        missing += [line.code for line in self.lines if line.state in ("not_counted", "range")]
        hours = any((self.staff_hours_one_off, self.staff_hours_monthly, *(line.state != "not_counted" and line.state != "zero"
                     for line in self.lines if line.is_hours)))  # fmt: skip
        return (*missing, *(["hour_rate"] if self.hour_rate is None and hours else []))

    @property
    def is_known(self) -> bool:
        """Whether at least one line of money was filled in."""
        money = (self.one_off, self.monthly, self.usage_per_lead)
        hours = (self.staff_hours_one_off, self.staff_hours_monthly)
        named = (line.is_counted(part) for line in self._priced for part in PARTS)
        return any(line is not None for line in money) or any(named) or (
            self.hour_rate is not None and any(line is not None for line in hours))

    def is_counted(self, part: Part) -> bool:
        """Whether any line by name has a counted amount, be it zero, in this part."""
        return any(line.is_counted(part) for line in self._priced)

    @property
    def has_ranges(self) -> bool:
        """Whether any line that can be put into money is known only as a range."""
        return any(line.state == "range" for line in self._priced)

    @property
    def once(self) -> float:
        """Paid once: the one-off cost and the hours of the roll-out."""
        sums = (self.one_off or 0.0) + (self.staff_hours_one_off or 0.0) * (self.hour_rate or 0.0)
        return sums + self._named("once") if self.lines else sums

    def a_month(self, leads_a_month: float) -> float:
        """Paid every month, usage included."""
        sums = ((self.monthly or 0.0) + (self.usage_per_lead or 0.0) * leads_a_month
                + (self.staff_hours_monthly or 0.0) * (self.hour_rate or 0.0))
        return sums + self._named("monthly") + self._named("per_lead") * leads_a_month if self.lines else sums

    def at(self, end: End) -> Costs:
        """The costs with every range at one end."""
        return replace(self, lines=tuple(line.at(end) for line in self.lines))

    @property
    def _priced(self) -> tuple[CostLine, ...]:
        """Lines in money: hours only where an hour has a price."""
        return tuple(line for line in self.lines if not line.is_hours or self.hour_rate is not None)

    def _named(self, part: Part) -> float:
        return sum(line.counted(part) * ((self.hour_rate or 0.0) if line.is_hours else 1.0) for line in self.lines)


def line_of(found: Mapping[str, Any]) -> CostLine:
    """A line out of the document it was written into."""
    parts = {part: (found[part][0], found[part][1]) for part in PARTS if found[part] is not None}
    return made_of(found["code"], parts, found["kind"], found["facts"])


def costs_of(given: Mapping[str, Any]) -> Costs:
    """The costs out of the document (`launch.costs`) they were written into."""
    return Costs(**{name: given[name] for name in SUMS}, lines=tuple(map(line_of, given.get("lines") or ())))
