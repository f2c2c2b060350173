"""The costs that are usually forgotten, by name, in `[NAME.costs]` of launches.toml: each filled, zero, a range or not counted.

licence = { monthly = 5000 }                     once, monthly, per_lead; numbers, or texts such as "5 000,50"
set_up = { once = 30000 }
integration = { once = "50000..150000" }         a range: stands beside the result, is not counted in it
training_hours = { once = 10 }                   hours of one's own people, priced by hour_rate
content = 0                                      said: it costs nothing
telephony = "not counted"                        the same as leaving it out
vat = { rate = "20 %", on = ["licence"] }        a stated rate on stated lines
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from pipeline.costs import CHECKLIST, HOURS, PARTS, CostLine, Ends, Part, made_of
from pipeline.errors import ConfigError
from pipeline.hurdles import TypicalCost
from pipeline.prices import amount, ends, share
from pipeline.strict import Place, nearest

NOT_COUNTED = ("not counted", "не учтено", "не учтён", "не учтена", "未计入")
RATES = ("tax", "vat")
# The sums without a name that a rate may be on -> what part of a line they are.
_SUMS: Mapping[str, Part] = {"one_off": "once", "monthly": "monthly", "usage_per_lead": "per_lead"}
_FORM = 'for example { monthly = 5000 }, { once = "50000..150000" }, 0 or "not counted"'


def read_checklist(table: Mapping[str, object], place: Place, currency: str) -> tuple[CostLine, ...]:
    """The named lines of a `costs` table, in the order of the checklist and complete; none where none is named.

    Lines nobody named are not counted. Raises ConfigError.
    """
    if not any(name in table for name in CHECKLIST):
        return ()
    found = {name: _line(name, table[name], place.of(name), currency) for name in CHECKLIST if name in table}
    for name in RATES:
        if isinstance(table.get(name), Mapping) and "rate" in table[name]:  # type: ignore[operator]  # a table
            found[name] = _on_others(name, table[name], found, table, place.of(name), currency)  # type: ignore[arg-type]  # a table
    return tuple(found.get(name, CostLine(name)) for name in CHECKLIST)


def with_typical(lines: Sequence[CostLine], typical: Sequence[TypicalCost], currency: str) -> tuple[CostLine, ...]:
    """Lines that nobody filled in with the dated ranges of the benchmarks; a line said to be anything stays as it is."""
    known = {one.line: one for one in typical if one.currency == currency}
    gaps = [line.state == "not_counted" and line.code in known for line in lines]
    return tuple(_typical(line, known[line.code]) if gap else line for line, gap in zip(lines, gaps, strict=True))


def _typical(line: CostLine, found: TypicalCost) -> CostLine:
    facts = {"from": "benchmarks", "on": found.on.isoformat(), "source": found.source}
    return replace(line, once=found.ends("once"), monthly=found.ends("monthly"), per_lead=found.ends("per_lead"), facts=facts)


def _line(name: str, value: object, place: Place, currency: str) -> CostLine:
    if isinstance(value, str) and value.strip().casefold() in NOT_COUNTED:
        return CostLine(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return CostLine(name, once=(0.0, 0.0), monthly=(0.0, 0.0))
        amount(value, place, currency)  # a negative one is told of as such
        raise ConfigError(f"{place}: paid once, a month or for each lead?", hint=_FORM)
    if name in RATES and isinstance(value, str):
        raise ConfigError(f"{place}: a rate without the lines it is on", hint=_rate_form(name))
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: expected what it costs", hint=_FORM)
    if name in RATES and "rate" in value:
        return CostLine(name)  # computed once the other lines are known
    for key in value:
        if key not in PARTS:
            valid = [*PARTS, "rate", "on"] if name in RATES else list(PARTS)
            where = f"{place.of(key)}: unknown key {key!r}{nearest(key, valid)}"
            raise ConfigError(where, hint=f"valid keys: {', '.join(valid)}")
    if not value:
        raise ConfigError(f"{place}: nothing was said", hint=_FORM)
    if name in HOURS and "per_lead" in value:
        where = f"{place.of('per_lead')}: hours are given once and a month"
        raise ConfigError(where, hint="for example { once = 10, monthly = 2 }")
    return made_of(name, {key: ends(given, place.of(key), currency) for key, given in value.items()})


def _rate_form(name: str) -> str:
    return f'say what it is on: {name} = {{ rate = "20 %", on = ["licence", "set_up"] }}, the lines whose amounts are without it'


def _on_others(
    name: str, table: Mapping[str, object], lines: Mapping[str, CostLine], sums: Mapping[str, object], place: Place, currency: str
) -> CostLine:
    """A tax as a stated rate on stated lines. Raises ConfigError for a line that is not filled in."""
    for key in table:
        if key not in ("rate", "on"):
            raise ConfigError(f"{place.of(key)}: unknown key {key!r}{nearest(key, ('rate', 'on'))}", hint=_rate_form(name))
    rate, on = share(table["rate"], place.of("rate")), table.get("on")
    names = [on] if isinstance(on, str) else on
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise ConfigError(f"{place}: a rate without the lines it is on", hint=_rate_form(name))
    parts: dict[str, Ends] = {}
    for one in dict.fromkeys(names):
        line = _taxed(one, lines, sums, place.of("on"), currency)
        for part in PARTS:
            given = getattr(line, part)
            if given is not None:
                low, high = parts.get(part, (0.0, 0.0))
                parts[part] = (low + _at(rate, given[0]), high + _at(rate, given[1]))
    return made_of(name, parts, facts={"rate": float(rate), "on": list(dict.fromkeys(names))})


def _at(rate: Decimal, value: float) -> float:
    return float(rate * Decimal(str(value)))


def _taxed(one: str, lines: Mapping[str, CostLine], sums: Mapping[str, object], place: Place, currency: str) -> CostLine:
    possible = [*(name for name in CHECKLIST if name not in (*HOURS, *RATES)), *_SUMS]
    if one not in possible:
        raise ConfigError(f"{place}: a rate cannot be on {one!r}{nearest(one, possible)}", hint=f"one of {', '.join(possible)}")
    if one in _SUMS and one in sums:
        paid = float(amount(sums[one], place, currency))
        return made_of(one, {_SUMS[one]: (paid, paid)})
    if one not in lines or lines[one].state == "not_counted":
        what = f"{place}: {one!r} is not filled in, so there is nothing to put a rate on"
        raise ConfigError(what, hint=f"fill in {one}, or take it off the list")
    return lines[one]
