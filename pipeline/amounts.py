"""What a person types for a figure: `15%`, `12,5`, `1 000 ₽`, `12..18%`, `38 of 250`, as a number or a distribution.

Nothing is guessed: a bare 15 for a share, `1,500`, or `13%` for percentage points has two readings, and both are named. Raises
ConfigError everywhere; `Ambiguous`, a kind of it, carries the readings, so that a terminal may ask.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, isfinite, sqrt
from typing import TYPE_CHECKING, Literal, get_args

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.weekly import FloatArray

Kind = Literal["count", "share", "points", "relative", "money", "months", "hours", "minutes", "number", "p_value"]
Shape = Literal["point", "range", "pert", "normal", "observed"]
KINDS: tuple[str, ...] = get_args(Kind)
LARGEST = 1e15
# Signs and words of money, folded -> ISO codes they may stand for.
CURRENCIES = {
    "₽": ("RUB",), "руб": ("RUB",), "руб.": ("RUB",), "рублей": ("RUB",), "р": ("RUB",), "р.": ("RUB",), "rub": ("RUB",),
    "$": ("USD",), "usd": ("USD",), "€": ("EUR",), "eur": ("EUR",), "¥": ("CNY", "JPY"), "元": ("CNY",), "cny": ("CNY",),
    "₸": ("KZT",), "kzt": ("KZT",), "byn": ("BYN",), "£": ("GBP",), "gbp": ("GBP",),
}  # fmt: skip
_POINTS = ("pp", "p.p.", "п.п.", "пп", "п. п.", "个百分点", "百分点")
_TIMES = {
    "months": re.compile(r"мес(?:\.|яц\w*)?|months?|mo|个月"),
    "hours": re.compile(r"ч(?:\.|ас\w*)?|hours?|h|小时"),
    "minutes": re.compile(r"мин(?:\.|ут\w*)?|min(?:utes?)?|分钟"),
}
_SPACES = re.compile("[\\s\u00a0\u2007\u2009\u202f']+")
_NUMBER = re.compile(r"[+\-−]?(?:\d[\d .,]*|[.,]\d+)")
_OBSERVED = re.compile(r"(.+?)\s*(?:/|\bof\b|\bиз\b|中)\s*(.+)")
_NORMAL = re.compile(r"(?:normal|норм)\((.+?);(.+)\)")


class Ambiguous(ConfigError):
    """Two readings fit: `readings` says how each is written."""

    def __init__(self, message: str, readings: Sequence[str]) -> None:
        super().__init__(message, hint=f"write {' or '.join(readings)}")
        self.readings = tuple(readings)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure or what is known of it.

    `low`, `middle`, `high` by shape. point: all the same. range: any value between the ends is as likely as any other. pert:
    the middle is the most likely one (PERT, weight 4). normal: mean and 2.5 and 97.5 % points. observed: `n_reached` of `n`
    counted, the Jeffreys posterior of the rate.
    """

    shape: Shape
    low: float
    middle: float
    high: float
    n_reached: float = 0.0
    n: float = 0.0

    @classmethod
    def point(cls, value: float) -> "Quantity":
        return cls("point", value, value, value)

    @property
    def is_certain(self) -> bool:
        """Whether there is nothing to draw."""
        return self.shape == "point"

    def draws(self, random: "np.random.Generator", size: int, least: float, most: float) -> "FloatArray":
        """`size` values, none beyond what the input may be."""
        import numpy as np  # a configuration is read without it

        if self.shape == "point":
            return np.full(size, self.middle)
        if self.shape == "range":
            return random.uniform(self.low, self.high, size)
        if self.shape == "pert":
            width = self.high - self.low
            a = 1 + 4 * (self.middle - self.low) / width
            b = 1 + 4 * (self.high - self.middle) / width
            return self.low + width * random.beta(a, b, size)
        if self.shape == "observed":
            return random.beta(self.n_reached + 0.5, self.n - self.n_reached + 0.5, size)
        return np.clip(random.normal(self.middle, (self.high - self.middle) / 1.959964, size), least, most)


def number(text: str, where: str) -> float:
    """A plain number: decimal point or comma, thousands parted by spaces (thin and no-break ones too) or apostrophes."""
    digits = _SPACES.sub(" ", text.strip()).replace("−", "-")
    if _NUMBER.fullmatch(digits) is None:
        raise ConfigError(f"{where}: {shown(text)} is no number", hint="for example 1500, 1 500 or 12,5")
    groups = re.split(r" ", digits.lstrip("+-"))
    if len(groups) > 1 and not all(re.fullmatch(r"\d{3}(?:[.,]\d+)?", group) for group in groups[1:]):
        raise ConfigError(f"{where}: {shown(text)} has a space inside", hint="spaces part thousands only, as in 1 500 000")
    digits = digits.replace(" ", "")
    digits = _without_thousands(digits, text, where)
    try:
        value = float(digits)
    except ValueError:
        raise ConfigError(f"{where}: {shown(text)} is no number", hint="for example 1500, 1 500 or 12,5") from None
    if not isfinite(value) or abs(value) > LARGEST:
        raise ConfigError(f"{where}: {shown(text)} is beyond all bounds", hint="give a number below 1 000 000 000 000 000")
    return value


def _without_thousands(digits: str, text: str, where: str) -> str:
    """Commas and points in their roles: the last of two kinds is the decimal sign, one repeated parts thousands."""
    body = digits.lstrip("+-")
    if "," in body and "." in body:
        last = max(body.rfind(","), body.rfind("."))
        other = "." if body[last] == "," else ","
        if body.count(body[last]) > 1 or not re.fullmatch(rf"\d{{1,3}}(?:\{other}\d{{3}})+", body[:last]):
            raise ConfigError(f"{where}: {shown(text)} is no number", hint="for example 1 500,50")
        return digits.replace(other, "").replace(",", ".")
    for sign in ",.":
        if body.count(sign) > 1:
            if not re.fullmatch(rf"\d{{1,3}}(?:\{sign}\d{{3}})+", body):
                raise ConfigError(f"{where}: {shown(text)} is no number", hint="for example 1 500 000")
            return digits.replace(sign, "")
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", body):
        whole, _, rest = body.partition(",")
        raise Ambiguous(f"{where}: {shown(text)} may be {whole} {rest} or {whole}.{rest}", (f"{whole}{rest}", f"{whole}.{rest}"))
    return digits.replace(",", ".")


def read(
    text: object, kind: Kind, where: str, *, currency: str = "RUB", least: float | None = None, most: float | None = None
) -> Quantity:
    """A quantity of a kind out of a text or a TOML number. `where` names the input in messages."""
    least, most = bounds(kind, least, most)
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ConfigError(f"{where}: expected a number or a text", hint="for example 1500, '12..18%' or '38 of 250'")
    found = _read(text, kind, where, currency) if isinstance(text, str) else Quantity.point(_plain(text, kind, where))
    for value in (found.low, found.high) if found.shape != "normal" else (found.middle,):
        _check(value, kind, where, least, most)
    return found


def _plain(value: float, kind: Kind, where: str) -> float:
    """A number of a file: it has no unit, and a share of 15 still has two readings."""
    if not isfinite(value) or abs(value) > LARGEST:
        raise ConfigError(f"{where}: {value:g} is no number to compute with", hint=_EXAMPLES[kind])
    return _rate(float(value), "", kind, f"{value:g}", where) if kind in ("share", "points", "relative") else float(value)


def bounds(kind: Kind, least: float | None, most: float | None) -> tuple[float, float]:
    """Within what a figure of the kind may lie, unless the input says otherwise."""
    by_kind = {"share": (0.0, 1.0), "points": (-1.0, 1.0), "relative": (-1.0, 1000.0), "number": (-LARGEST, LARGEST),
               "p_value": (0.0, 1.0)}  # fmt: skip
    low, high = by_kind.get(kind, (0.0, LARGEST))
    return low if least is None else least, high if most is None else most


def _read(text: str, kind: Kind, where: str, currency: str) -> Quantity:
    text = text.strip()
    if not text:
        raise ConfigError(f"{where}: nothing was given", hint=_EXAMPLES[kind])
    if len(text) > 100:
        raise ConfigError(f"{where}: a text of more than 100 characters", hint="give a number, a range or counts")
    if kind == "share" and (counts := _OBSERVED.fullmatch(text)):
        return _observed(counts, where)
    if given := _NORMAL.fullmatch(text):
        middle, spread = (_one(part, kind, where, currency) for part in _shared_unit(given.groups()))
        if spread <= 0:
            raise ConfigError(f"{where}: a spread of {spread:g}", hint="normal(mean; spread) needs a spread above 0")
        return Quantity("normal", middle - 1.959964 * spread, middle, middle + 1.959964 * spread)
    parts = re.split(r"\s*(?:\.\.+|…|(?<=[\d%])\s*–\s*(?=\d))\s*", text)
    if len(parts) > 3 or not all(parts):
        raise ConfigError(f"{where}: {shown(text)} is no range", hint="write low..high or low..likely..high, as in 12..18%")
    units = _shared_unit(parts)
    ends = [_one(part, kind, where, currency) for part in units]
    if ends != sorted(ends):
        turned = "..".join(part for _, part in sorted(zip(ends, units, strict=True)))
        raise ConfigError(f"{where}: the range {shown(text)} stands upside down", hint=f"the smaller end comes first: {turned}")
    if len(ends) == 1 or isclose(ends[0], ends[-1], rel_tol=1e-12, abs_tol=1e-300):
        return Quantity.point(ends[0])
    if len(ends) == 2:
        return Quantity("range", ends[0], (ends[0] + ends[1]) / 2, ends[1])
    return Quantity("pert", *ends)


def _observed(counts: re.Match[str], where: str) -> Quantity:
    reached, n = (number(part, where) for part in counts.groups())
    if n <= 0 or not 0 <= reached <= n:
        raise ConfigError(f"{where}: {reached:g} of {n:g} is no share", hint="first those who did, then all, as in 38 of 250")
    if n != int(n) or reached != int(reached):
        raise ConfigError(f"{where}: {reached:g} of {n:g} are no counts", hint="give whole numbers, or a percentage")
    share = reached / n
    half = 1.959964 * sqrt(max(share * (1 - share), 0.25 / n) / n)
    return Quantity("observed", max(share - half, 0.0), share, min(share + half, 1.0), reached, n)


def _shared_unit(parts: Sequence[str]) -> list[str]:
    """`12..18%` means `12%..18%`: a unit behind the last end is that of all of them."""
    unit = re.search(r"[^\d\s.,]+[^\d]*$", parts[-1].strip())
    if unit is None:
        return list(parts)
    return [part if re.search(r"[^\d\s.,+\-−\u00a0\u2009\u202f']", part) else part.strip() + unit[0] for part in parts]


def _one(text: str, kind: Kind, where: str, currency: str) -> float:
    """A single figure with its unit."""
    text = text.strip()
    digits = re.search(r"[+\-−]?[\d.,](?:[\d\s.,'\u00a0\u2007\u2009\u202f]*\d)?", text)
    if digits is None:
        raise ConfigError(f"{where}: {shown(text)} is no number", hint=_EXAMPLES[kind])
    unit = (text[: digits.start()] + text[digits.end() :]).strip().casefold()
    if kind == "money" and re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits[0]):  # some write thousands like that
        whole, _, rest = digits[0].partition(".")
        raise Ambiguous(f"{where}: {shown(text)} may be {whole} {rest} or {digits[0]}0", (f"{whole}{rest}", f"{digits[0]}0"))
    value = number(digits[0], where)
    if kind in ("share", "points", "relative"):
        return _rate(value, unit, kind, text, where)
    if kind == "money":
        _check_currency(unit, currency, text, where)
    elif unit and not (kind in _TIMES and _TIMES[kind].fullmatch(unit)):
        raise ConfigError(f"{where}: {shown(text)} has a unit that does not belong here", hint=_EXAMPLES[kind])
    return value


def _rate(value: float, unit: str, kind: Kind, text: str, where: str) -> float:
    if unit in _POINTS:
        if kind == "points":
            return value / 100
        hint = "give the rate itself, before and after" if kind == "share" else "give the change in percent"
        raise ConfigError(f"{where}: {shown(text)} are percentage points", hint=hint)
    if unit in ("%", "％"):
        if kind == "points":
            after = (f"from 20 % to {20 + value:g} %", f"from 20 % to {20 * (1 + value / 100):g} %")
            readings = (f"{value:g}pp ({after[0]})", f"the rate after it ({after[1]})")
            raise Ambiguous(f"{where}: {shown(text)} may mean points or percent of the rate", readings)
        return value / 100
    if unit:
        raise ConfigError(f"{where}: {shown(text)} has a unit that does not belong here", hint=_EXAMPLES[kind])
    if abs(value) >= 1:
        many = f"{value * 100:g}%"
        raise Ambiguous(f"{where}: {shown(text)} may be {value:g} % or {value * 100:g} %", (f"{value:g}%", many))
    return value


def _check_currency(unit: str, currency: str, text: str, where: str) -> None:
    if not unit:
        return
    if unit not in CURRENCIES:
        hint = f"give the amount in {currency}"
        raise ConfigError(f"{where}: {shown(text)} has a unit that is no currency known here", hint=hint)
    if currency not in CURRENCIES[unit]:
        found = CURRENCIES[unit][0]
        raise ConfigError(
            f"{where}: {shown(text)} is in {found}, the rest in {currency}",
            hint=f"turn it into {currency}: nothing is converted; payback calc takes all in {found} with --currency {found}",
        )


def _check(value: float, kind: Kind, where: str, least: float, most: float) -> None:
    if least <= value <= most:
        return
    if kind == "share" and value > most:
        hint = "a part cannot be larger than the whole"
        raise ConfigError(f"{where}: {value * 100:g} % is more than {most * 100:g} %", hint=hint)
    size = 100 if kind in ("share", "points", "relative") else 1
    sign = " %" if size == 100 else ""
    bound = f"at least {least * size:g}{sign}" if value < least else f"at most {most * size:g}{sign}"
    hint = "a cost is written without a minus" if kind == "money" and value < 0 else f"give {bound}"
    raise ConfigError(f"{where}: {value * size:g}{sign} is not possible, {bound} is", hint=hint)


def shown(text: str) -> str:
    """What was typed, for messages: short, on one line, in quotes."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text.strip())
    return f"{clean[:40]!r}" if len(clean) <= 40 else f"{clean[:39] + '…'!r}"


_EXAMPLES = {
    "count": "for example 250 or 200..300", "share": "for example 15%, 0.15, 12..18% or 38 of 250",
    "points": "for example 13pp", "relative": "for example 10% or -5%", "money": "for example 50 000 or 40000..60000",
    "months": "for example 6 or 3..9", "hours": "for example 5", "minutes": "for example 12", "number": "for example 4,33",
    "p_value": "for example 0,05",
}  # fmt: skip
