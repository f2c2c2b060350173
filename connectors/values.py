"""Strict parsing of what CRMs and their exports write. Everything raises ValueError with our own words, never the value.

`utc`, `money`, `key` run for every row: they take the usual form by the fast way and look closer only at the rest.
"""

import re
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Literal

FIRST_YEAR, LAST_YEAR = 1990, 2100
_OFFSET = re.compile(r"(?:\.\d{1,9})?(?:(?P<zulu>Z)|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3]):?(?P<minutes>[0-5]\d))", re.ASCII)
_CENTS = Decimal("0.01")
_MONEY = re.compile(r"[+-]?(\d{1,15})(\.\d{1,20})?", re.ASCII)


# --- times --------------------------------------------------------------------------------------------------------


def utc(value: object) -> datetime:
    """ISO 8601 date and time with offset -> naive UTC. Refused: no offset, no time of day, years outside 1990-2100."""
    if not isinstance(value, str):
        raise ValueError("not a time")
    # fromisoformat also reads week dates and basic forms, which no CRM writes on purpose: the marks must stand where they belong.
    if value[4:17:3] != "--T::" or len(value) < 19:
        raise ValueError("not an ISO date and time")
    try:
        moment, offset = datetime.fromisoformat(value[:19]), _offset(value[19:])
    except ValueError as error:
        raise ValueError("a time without offset" if "offset" in str(error) else "not an ISO date and time") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError("a year outside 1990-2100")
    return moment - offset


@lru_cache(maxsize=64)  # a portal writes one or two of them, a million times
def _offset(text: str) -> timedelta:
    """What follows the seconds: an optional fraction, which is dropped, and the offset."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError("no offset")
    if match["zulu"]:
        return timedelta(0)
    size = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return -size if match["sign"] == "-" else size


def optional_utc(value: object) -> datetime | None:
    """`utc`, with "" and null as None."""
    return None if value is None or value == "" else utc(value)


def local_day(at: datetime, tz: tzinfo) -> date:
    """The business date of a naive UTC time."""
    offset = _offset_of_day(at.date(), tz)
    return tz.fromutc(at.replace(tzinfo=tz)).date() if offset is None else (at + offset).date()


@lru_cache(maxsize=4096)
def _offset_of_day(day: date, tz: tzinfo) -> timedelta | None:
    """The zone's offset on a UTC day; None when the clocks change on it. Rows of one page lie within a few days."""
    start, end = (tz.fromutc(datetime.combine(day, clock, tz)).utcoffset() for clock in (time.min, time.max))
    return start if start == end else None


# --- money ---------------------------------------------------------------------------------------------------------


def money(value: object) -> Decimal | None:
    """A number or a plain decimal text -> two decimals, half-even; "" and null are None.

    Refused: units, separators of thousands, exponents, NaN, infinities, more than 15 digits before the point.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return _amount(value)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _amount(str(value))  # str(999.9) is exact to the digit shown, Decimal(999.9) is not
    raise ValueError("not an amount of money")


@lru_cache(maxsize=4096)  # prices repeat
def _amount(text: str) -> Decimal:
    match = _MONEY.fullmatch(text)
    if match is None:
        raise ValueError("not a plain amount of money")
    amount = Decimal(text)
    if match[2] is None or len(match[2]) != 3:
        amount = amount.quantize(_CENTS, ROUND_HALF_EVEN)
    return amount if amount else Decimal("0.00")  # also turns -0.00 into 0.00


# --- ids, flags, words -----------------------------------------------------------------------------------------------


def key(value: object) -> int:
    """A positive whole number written as number or text; at most 18 digits."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()) or len(value) > 18:
            raise ValueError("not a whole number")
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise ValueError("not a whole number")
    if not 0 < number < 10**18:
        raise ValueError("not a positive number")
    return number


def optional_id(value: object) -> str | None:
    """An id as text; null, "", 0 and "0" mean no linked object."""
    if isinstance(value, str) and value.isdigit() and value[0] != "0" and len(value) <= 18 and value.isascii():
        return value
    if value is None or value == "" or value == "0" or (value == 0 and value is not False):
        return None
    return str(key(value))


_FLAGS = {"Y": True, "N": False, "y": True, "1": True, "true": True, "n": False, "0": False, "false": False}


def flag(value: object) -> bool:
    """Y/N, 1/0, true/false, as text in either case, number or boolean."""
    if isinstance(value, bool):
        return value
    answer = None
    if isinstance(value, (str, int)):
        text = str(value)
        answer = _FLAGS[text] if text in _FLAGS else _FLAGS.get(text.lower())
    if answer is None:
        raise ValueError("neither yes nor no")
    return answer


def optional_flag(value: object) -> bool | None:
    """`flag`, with "" and null as None."""
    return None if value is None or value == "" else flag(value)


def word(value: object) -> str | None:
    """Text, or a number as text (ids arrive either way); null and "" are None. Lists and objects are refused."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError("not a text")


# --- what people and exports write -------------------------------------------------------------------------------------

_SPACES = re.compile(r"\s+")
_CURRENCY = re.compile(r"(?:₽|руб(?:лей|ля|ль|\.)?|р\.?|rub|rur|\$|usd|€|eur|₸|kzt|тг\.?|byn|br)", re.IGNORECASE)
_GROUPED = re.compile(r"\d{1,3}(?: \d{3})+|\d+")


def ru_money(value: object) -> Decimal | None:
    """`1 234 567,50 ₽` as people and exports write it; numbers as in `money`; empty is None.

    A comma is the decimal sign; 1.234,50 and 1,234.50 are read too. Refused as unclear: a single separator followed by exactly
    three digits (1,234), and groups that are not threes.
    """
    if not isinstance(value, str):
        return money(value)
    text = _SPACES.sub(" ", value.replace("\u2212", "-")).strip()
    text = _CURRENCY.sub("", text, count=1).strip()
    if not text:
        if value.strip():
            raise ValueError("not an amount of money")
        return None
    sign = "-" if text.startswith("-") else ""
    whole, decimals = _split_decimals(text.lstrip("+-").strip())
    if not _GROUPED.fullmatch(whole):
        raise ValueError("not an amount of money")
    return money(f"{sign}{whole.replace(' ', '')}{'.' + decimals if decimals else ''}")


def _split_decimals(text: str) -> tuple[str, str]:
    """Whole part with spaces as thousands separators, and decimals."""
    comma, point = text.rfind(","), text.rfind(".")
    cut = max(comma, point)
    if cut < 0:
        return text, ""
    whole, decimals = text[:cut], text[cut + 1 :]
    if comma >= 0 and point >= 0:  # both: the last one is the decimal sign, the other one groups
        whole = whole.replace(text[min(comma, point)], " ")
    elif len(decimals) == 3 and whole not in ("0", "") and " " not in whole:
        raise ValueError("unclear whether the separator marks thousands or decimals")
    if not (decimals.isascii() and decimals.isdigit()):
        raise ValueError("not an amount of money")
    return whole, decimals


_CLOCK = r"(?:[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?(?: ?(?P<half>[ap]m))?)?"
_DAY_FIRST = re.compile(r"(?P<one>\d{1,2})[./-](?P<two>\d{1,2})[./-](?P<year>\d{4}),?" + _CLOCK, re.ASCII | re.IGNORECASE)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-./](?P<one>\d{1,2})[-./](?P<two>\d{1,2})" + _CLOCK, re.ASCII | re.IGNORECASE)


def ru_time(text: str, tz: tzinfo, order: Literal["dmy", "mdy"] = "dmy") -> datetime:
    """`01.10.2026 12:30:00`, `2026-10-01 12:30`, time of day optional, wall time of `tz` unless an offset is given -> naive UTC.

    A wall time that the clock change skips is read with the offset before the change (02:30 becomes 03:30); one that happens
    twice is the first. Refused: two-digit years, impossible dates, years outside 1990-2100.
    """
    value = _SPACES.sub(" ", text).strip()
    match = _YEAR_FIRST.fullmatch(value)
    if match is not None:
        month, day = int(match["one"]), int(match["two"])
    else:
        match = _DAY_FIRST.fullmatch(value)
        if match is None:
            return utc(value.replace(" ", "T", 1))
        one, two = int(match["one"]), int(match["two"])
        day, month = (one, two) if order == "dmy" else (two, one)
    year = int(match["year"])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError("a year outside 1990-2100")
    hour = int(match["hour"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("not a time of day")
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    try:
        wall = datetime(year, month, day, hour, int(match["minute"] or 0), int(match["second"] or 0))
    except ValueError:
        raise ValueError("not a date") from None
    return wall_utc(wall, tz)


def wall_utc(wall: datetime, tz: tzinfo) -> datetime:
    """Naive wall time of `tz` -> naive UTC; skipped and doubled hours as in `ru_time`."""
    offset = wall.replace(tzinfo=tz, fold=0).utcoffset() or timedelta(0)
    return wall - offset
