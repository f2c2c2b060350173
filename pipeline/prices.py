"""Costs and shares as people write them into a configuration or a list of expenses: `amounts`, in a cost's bounds."""

from decimal import Decimal

from pipeline.amounts import Kind, Quantity, read
from pipeline.errors import ConfigError

MOST = 10**12  # the largest cost there is


def amount(value: object, where: object, currency: str) -> Decimal:
    """`1 234,50 ₽`, 1234.5 or "1234.50" as at least 0. Raises ConfigError.

    `where` is named in messages. Another currency than `currency` (ISO code) is refused, never converted.
    """
    return _exact(value, "money", where, currency)


def ends(value: object, where: object, currency: str) -> tuple[float, float]:
    """An amount as (amount, amount), a range `50000..150000` as its two ends. Raises ConfigError."""
    found = _read(value, "money", where, currency)
    if found.shape not in ("point", "range"):
        raise ConfigError(f"{where}: a cost is an amount or two ends", hint='for example 5000 or "50000..150000"')
    return found.low, found.high


def share(value: object, where: object) -> Decimal:
    """`20 %`, "0,2" or 0.2 as a share from 0 to 1; a bare 20 or 1 has two readings and is refused. Raises ConfigError."""
    return _exact(value, "share", where)


def _exact(value: object, kind: Kind, where: object, currency: str = "") -> Decimal:
    found = _read(value, kind, where, currency)
    if not found.is_certain:
        raise ConfigError(f"{where}: one figure is wanted here, no range", hint='for example 5000 or "20 %"')
    return Decimal(f"{found.middle:.12f}").normalize()  # what was written: a float has 15 digits of it


def _read(value: object, kind: Kind, where: object, currency: str) -> Quantity:
    return read(value, kind, str(where), currency=currency, most=MOST if kind == "money" else None)
