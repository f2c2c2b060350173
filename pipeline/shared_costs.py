"""Costs that several launches share, `[shared.NAME]` in costs.toml, split by a stated key so that the parts sum to the whole.

[shared.crm]
title = "CRM"
monthly = "9 990"
key = "equal"                                    # or "leads", "revenue": by those of each launch's scope
launches = ["assistant", "advertising"]

[shared.analyst]
once = 60000
shares = { assistant = "70 %", advertising = "30 %" }    # instead of key and launches
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any, Literal

from pipeline.errors import ConfigError
from pipeline.prices import amount, share
from pipeline.strict import Place, build, check_name, nearest

KEYS = ("equal", "leads", "revenue")
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class SharedCost:
    """A cost of several launches: money of the business once and a month, and the key it is split by.

    `shares`: the part of each launch, summing to 1, only where the key is "shares".
    """

    name: str
    title: str
    once: Decimal | None
    monthly: Decimal | None
    key: Literal["equal", "leads", "revenue", "shares"]
    launches: tuple[str, ...]
    shares: tuple[Decimal, ...] = ()

    def weights(self, measured: Mapping[str, int | Decimal]) -> tuple[int | Decimal, ...]:
        """What each launch weighs; `measured`: its leads or revenue, looked at only where the key is one of them."""
        if self.key == "shares":
            return self.shares
        return tuple(1 if self.key == "equal" else measured[name] for name in self.launches)


def split(whole: Decimal, weights: Sequence[int | Decimal]) -> tuple[Decimal, ...]:
    """Parts of an amount (to the hundredth) in proportion to the weights: they sum to it exactly, by largest remainders.

    Weights that are all 0 count as equal. Raises ValueError for a negative weight, or none.
    """
    if not weights or min(weights) < 0:
        raise ValueError("a cost is split over at least one launch, by weights of at least 0")
    fractions = [Fraction(weight) for weight in weights] if any(weights) else [Fraction(1)] * len(weights)
    cents = int(whole / _CENT)
    exact = [cents * weight / sum(fractions) for weight in fractions]
    found = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda n: (found[n] - exact[n], n))
    for n in by_remainder[: cents - sum(found)]:
        found[n] += 1
    return tuple(part * _CENT for part in found)


@dataclass(frozen=True, slots=True)
class _Table:
    """[shared.NAME] as it stands in the file."""

    title: str = ""
    once: Any = None
    monthly: Any = None
    key: str = ""
    launches: tuple[str, ...] = ()
    shares: Mapping[str, Any] = field(default_factory=dict)


def read_shared(tables: object, place: Place, launches: Sequence[str], currency: str) -> tuple[SharedCost, ...]:
    """The shared costs of a configuration. Raises ConfigError for an unknown launch, or shares that do not sum to 1."""
    if not isinstance(tables, Mapping):
        raise ConfigError(f"{place}: expected tables", hint='for example [shared.crm] with monthly, key and launches')
    return tuple(_read(name, table, place.of(str(name)), launches, currency) for name, table in tables.items())


def _read(name: str, given: object, place: Place, launches: Sequence[str], currency: str) -> SharedCost:
    check_name(name, place)
    table = build(_Table, given, place, {})
    once, monthly = (None if value is None else _to_the_cent(value, place.of(key), currency)
                     for key, value in (("once", table.once), ("monthly", table.monthly)))  # fmt: skip
    if once is None and monthly is None:
        raise ConfigError(f"{place}: no amount", hint="give once, monthly, or both")
    if table.shares and (table.key not in ("", "shares") or table.launches):
        raise ConfigError(f"{place}: shares, and beside them another key or a list of launches", hint="shares name the launches")
    shares = tuple(share(value, place.of("shares").of(one)) for one, value in table.shares.items())
    members = tuple(table.shares) if shares else table.launches
    for one in members:
        if one not in launches:
            where, hint = place.of("shares" if shares else "launches"), f"launches are {', '.join(launches) or 'none'}"
            raise ConfigError(f"{where}: no launch {one!r}{nearest(one, launches)}", hint=hint)
    if len(set(members)) != len(members) or not members:
        what = "a launch stands there twice" if members else "no launch shares this cost"
        raise ConfigError(f"{place}: {what}", hint='for example launches = ["assistant", "advertising"]')
    together = sum(shares, Decimal(0))
    if shares and together != 1:
        hint = 'for thirds and the like use key = "equal"' if abs(together - 1) < Decimal("0.02") else "nothing may be left over"
        raise ConfigError(f"{place.of('shares')}: they sum to {(together * 100).normalize():f} %, not to 100 %", hint=hint)
    if not shares and table.key not in KEYS:
        hint = f"key is one of {', '.join(KEYS)}; or give shares"
        raise ConfigError(f"{place.of('key')}: {table.key!r} is no key to split by{nearest(table.key, KEYS)}", hint=hint)
    return SharedCost(name, table.title or name, once, monthly, "shares" if shares else table.key, members, shares)  # type: ignore[arg-type]  # one of KEYS


def _to_the_cent(value: object, place: Place, currency: str) -> Decimal:
    found = amount(value, place, currency)
    if found != found.quantize(_CENT, ROUND_FLOOR):
        raise ConfigError(f"{place}: more than two digits after the point", hint="a shared cost is split to the kopeck")
    return found.quantize(_CENT)
