"""Money, ranges of it and percent as people write them into a configuration or a list of expenses. Nothing is guessed."""

import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite

from connectors.values import ru_money
from pipeline.errors import ConfigError

MOST = 10**12  # the largest cost there is
# What stands beside an amount, folded -> ISO code.
_CURRENCIES: Mapping[str, tuple[str, ...]] = {
    "₽": ("RUB",), "руб": ("RUB",), "руб.": ("RUB",), "рублей": ("RUB",), "р": ("RUB",), "р.": ("RUB",), "rub": ("RUB",),
    "$": ("USD",), "usd": ("USD",), "€": ("EUR",), "eur": ("EUR",), "¥": ("CNY", "JPY"), "元": ("CNY",), "cny": ("CNY",),
    "₸": ("KZT",), "kzt": ("KZT",), "byn": ("BYN",), "£": ("GBP",), "gbp": ("GBP",),
}  # fmt: skip
_PARTS = re.compile(r"(?P<before>[^\d\s+\-−.,]*)\s*(?P<digits>[+\-−]?[\d.,](?:[\d\s.,]*[\d])?)\s*(?P<after>.*)", re.DOTALL)


def amount(value: object, where: object, currency: str) -> Decimal:
    """`1 234,50 ₽`, 1234.5 or "1234.50" as at least 0, text to the hundredth. Raises ConfigError.

    `where` is named in messages. Another currency than `currency` (ISO code) is refused, never converted.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ConfigError(f"{where}: expected an amount of money", hint='for example 5000 or "5 000,50"')
    if not isinstance(value, str):
        found = Decimal(str(value)) if isfinite(value) else Decimal(-1)
    else:
        found = _written(value, where, currency)
    if not 0 <= found <= MOST:
        hint = "costs have no minus; money that came back is no cost: leave it out, or lower the line" if found < 0 else ""
        raise ConfigError(f"{where}: a cost is a number from 0 to 10^12, not negative", hint=hint)
    return found


def ends(value: object, where: object, currency: str) -> tuple[float, float]:
    """An amount as (amount, amount), a range `50000..150000` as its two ends. Raises ConfigError."""
    texts = value.split("..") if isinstance(value, str) else [value]
    if len(texts) > 2 or "" in texts:
        raise ConfigError(f"{where}: this is no range", hint='a range has two ends, for example "50000..150000"')
    low, high = (float(amount(text, where, currency)) for text in (texts[0], texts[-1]))
    if low > high:
        raise ConfigError(f"{where}: the range stands upside down", hint=f'the smaller end comes first: "{high:g}..{low:g}"')
    return low, high


def share(value: object, where: object) -> Decimal:
    """`20 %`, "0,2" or 0.2 as a share from 0 to 1; a bare 20 or 1 has two readings and is refused. Raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{where}: expected a percentage", hint='for example "20 %" or 0.2')
    text = str(value).strip().replace("\u00a0", " ").replace(",", ".")
    is_percent = text.endswith(("%", "％"))
    digits = text.rstrip("%％").strip()
    if not re.fullmatch(r"\d{1,9}(\.\d{1,20})?", digits, re.ASCII):
        raise ConfigError(f"{where}: this is no percentage from 0 to 100 %", hint='for example "20 %" or 0.2')
    found = Decimal(digits)
    if not is_percent and found >= 1:
        both = f"{digits} % or {found * 100} %"
        raise ConfigError(f"{where}: {digits} may mean {both}", hint=f'write "{digits} %", or a share below 1')
    found = found / 100 if is_percent else found
    if found > 1:
        raise ConfigError(f"{where}: {digits} % is more than everything", hint="give a part, from 0 to 100 %")
    return found


def _written(text: str, where: object, currency: str) -> Decimal:
    parts = _PARTS.fullmatch(text.strip())
    if parts is None:
        raise ConfigError(f"{where}: this is no amount of money", hint='for example 5000 or "5 000,50"')
    for beside in (parts["before"], parts["after"]):
        codes = _CURRENCIES.get(beside.strip().casefold())
        if beside and codes is None:
            raise ConfigError(f"{where}: something that is no currency stands beside the amount", hint=f"give it in {currency}")
        if codes and currency not in codes:
            raise ConfigError(
                f"{where}: an amount in {codes[0]}, while the business counts in {currency}",
                hint=f"turn it into {currency}: rates change, so nothing is converted here",
            )
    try:
        found = ru_money(parts["digits"])
    except ValueError as error:
        raise ConfigError(f"{where}: {error}", hint='for example 5000 or "5 000,50"') from None
    assert found is not None  # it has digits
    return found
