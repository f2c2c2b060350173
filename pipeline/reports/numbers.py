"""Percent, points, money, intervals, dates and weeks, written once for every output.

No-break spaces inside a number and before its unit, a true minus, the language's own separators (CLDR through Babel).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import localcontext
from math import floor, isclose
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import Locale
from babel.dates import format_date
from babel.numbers import format_compact_decimal, format_decimal, get_currency_symbol

from pipeline.reports.words import Words, words_of

NBSP = "\u00a0"
MINUS = "−"
LARGEST_RATE = 10.0  # a rate of return above 1 000 % a year tells no more than that
_NUMBER = re.compile(rf"[+{MINUS}]?[\d{NBSP},.]+")
# A unit in Chinese characters follows its number without a space: `9.7个月`.
_MEASURED = re.compile(rf"([+{MINUS}]?[\d,.]+)([\u4e00-\u9fff]{{2,}})")
# CLDR calls the rouble by its code outside Russian.
SYMBOLS = {"RUB": "₽"}

Bounds = Mapping[str, Any]  # {"estimate", "low", "high"} of the document


@dataclass(frozen=True, slots=True)
class Numbers:
    """Figures of one document in one language."""

    words: Words
    currency: str
    timezone: str = "UTC"  # the business's, IANA

    def whole(self, value: float, *, is_signed: bool = False) -> str:
        """`1 234`"""
        return self._signed(value, self._decimal(abs(value), "#,##0"), is_signed)

    def decimal(self, value: float, *, digits: int = 1, is_signed: bool = False) -> str:
        """`0,5`"""
        return self._signed(value, self._decimal(abs(value), f"#,##0.{'0' * digits}" if digits else "#,##0"), is_signed)

    def percent(self, share: float, *, digits: int = 1, is_signed: bool = False) -> str:
        """`15,2 %` of a share of 0.152."""
        number = self._decimal(abs(share) * 100, f"#,##0.{'0' * digits}" if digits else "#,##0")
        return self._signed(share, self.words.say("unit.percent", n=number), is_signed)

    def small_share(self, share: float) -> str:
        """`2,1 %` of something that is there: what rounds to nothing is `меньше 0,1 %`, never `0,0 %`."""
        if share < 0.0005:
            return self.words.say("probability.below", bound=self.percent(0.001))
        return self.percent(share)

    def relative(self, share: float) -> str:
        """A relative change: `+33 %`, below a tenth with a decimal."""
        return self.percent(share, digits=0 if abs(share) >= 0.0995 else 1, is_signed=True)

    def ratio(self, share: float) -> str:
        """ROI: `224 %`, negative with a true minus."""
        return self.percent(share, digits=0 if abs(share) >= 0.0995 else 1)

    def annual_rate(self, share: float) -> str:
        """IRR: `34 %`; above 1 000 % a bound, a figure would say no more."""
        if share > LARGEST_RATE:
            return self.words.say("probability.above", bound=self.percent(LARGEST_RATE, digits=0))
        return self.ratio(share)

    def points(self, share: float) -> str:
        """`+10,1 п.п.` of a difference of 0.101."""
        number = self._decimal(abs(share) * 100, "#,##0.0")
        return self._signed(share, self.words.say("unit.points", n=number), True)

    def money(self, amount: float, *, is_signed: bool = False) -> str:
        """`57 000 ₽`, from a million `1,2 млн ₽`; where the language counts by ten thousands, from there: `¥5.7万`."""
        if round(abs(amount)) < int(self.words.say("format.short_from")):
            return self.full_money(amount, is_signed=is_signed)
        return self._signed(amount, self._with_symbol(self._compact(abs(amount))), is_signed)

    def full_money(self, amount: float, *, digits: int = 0, is_signed: bool = False) -> str:
        """`1 234 567 ₽`, every digit; with `digits` decimals."""
        number = self._decimal(abs(amount), f"#,##0.{'0' * digits}" if digits else "#,##0")
        return self._signed(amount, self._with_symbol(number), is_signed)

    def months(self, months: float) -> str:
        """`9,7 мес.`"""
        return self.words.say("unit.months", n=self.decimal(months))

    def duration(self, minutes: float, *, is_signed: bool = False) -> str:
        """Minutes below two hours, hours below three days, days beyond."""
        size = abs(minutes)
        if size < 120:
            text = self.words.say("unit.minutes", n=self.whole(size))
        elif size < 72 * 60:
            text = self.words.say("unit.hours", n=self.decimal(size / 60))
        else:
            text = self.words.say("unit.days", n=self.decimal(size / 1440))
        return self._signed(minutes, text, is_signed)

    def probability(self, share: float) -> str:
        """`82 %`; beyond what 4 000 draws can tell, a bound."""
        if share < 0.01:
            return self.words.say("probability.below", bound=self.percent(0.01, digits=0))
        if share > 0.99:
            return self.words.say("probability.above", bound=self.percent(0.99, digits=0))
        return self.percent(share, digits=0)

    def value(self, unit: str, value: float) -> str:
        """A metric's value by the unit its SQL file names."""
        match unit:
            case "share":
                return self.percent(value)
            case "money" | "money_each":
                return self.money(value)
            case "minutes_each":
                return self.duration(value)
            case "leads":
                return self.whole(value)
        return self.decimal(value)

    def change(self, unit: str, value: float) -> str:
        """A difference of two values of a metric; that of two shares in points."""
        match unit:
            case "share":
                return self.points(value)
            case "money" | "money_each":
                return self.money(value, is_signed=True)
            case "minutes_each":
                return self.duration(value, is_signed=True)
            case "leads":
                return self.whole(value, is_signed=True)
        return self.decimal(value, is_signed=True)

    def interval(self, low: str, high: str) -> str:
        """Two formatted ends: `от 1 до 2 ₽`; a unit that both share stands once, unless one of them is in millions."""
        (size, _, unit), (other, _, same) = low.rpartition(NBSP), high.rpartition(NBSP)
        if unit == same and not unit.isdecimal() and _NUMBER.fullmatch(size) and _NUMBER.fullmatch(other):
            low = size
        measured, as_well = _MEASURED.fullmatch(low), _MEASURED.fullmatch(high)
        if measured and as_well and measured[2] == as_well[2]:
            low = measured[1]
        return self.words.say("interval", low=low, high=high)

    def change_interval(self, unit: str, bounds: Bounds) -> str:
        """The interval of a difference."""
        return self.interval(self.change(unit, bounds["low"]), self.change(unit, bounds["high"]))

    def money_interval(self, bounds: Bounds, *, is_signed: bool = True) -> str:
        """The interval of an amount."""
        return self.interval(*(self.money(bounds[end], is_signed=is_signed) for end in ("low", "high")))

    def count(self, key: str, n: float, /, **figures: str) -> str:
        """A message with a number of things in it, in the right plural form: `5 лидов`."""
        return self.words.plural(key, abs(round(n)), n=self.whole(n), **figures)

    def day(self, day: date | str) -> str:
        """`01.10.2026`, for tables."""
        return self._date(day, "format.day")

    def day_in_text(self, day: date | str) -> str:
        """`1 октября 2026 г.`"""
        return self._date(day, "format.day_in_text")

    def short_day(self, day: date | str) -> str:
        """`01.10`"""
        return self._date(day, "format.short_day")

    def span(self, start: date | str, end: date | str) -> str:
        """Days from `start` to the day before `end`: `09.11–15.11.2026`."""
        first, last = _as_date(start), _as_date(end) - timedelta(days=1)
        opening, closing = self.day(first), self.day(last)
        if first.year == last.year and self.words.say("format.span_year") == "last":
            opening = self.short_day(first)
        elif first.year == last.year:
            closing = self.short_day(last)
        return self.words.say("format.span", first=opening, last=closing)

    def week(self, monday: date | str) -> str:
        """`Неделя 46 (09.11–15.11.2026)`, ISO weeks."""
        first = _as_date(monday)
        return self.words.say("week", number=str(first.isocalendar().week), span=self.span(first, first + timedelta(days=7)))

    def moment(self, at: str) -> str:
        """A UTC time stamp to the minute, on the business's clock; a date as a date."""
        if len(at) == 10:
            return self.day(at)
        stamp = self._local(at)
        return self.words.say("format.moment", day=self.day(stamp.date()), time=f"{stamp:%H:%M}")

    def local_day(self, at: str) -> date:
        """The day of a UTC time stamp on the business's clock."""
        return self._local(at).date()

    def _local(self, at: str) -> datetime:
        stamp = datetime.fromisoformat(at)
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).astimezone(ZoneInfo(self.timezone))

    def _date(self, day: date | str, key: str) -> str:
        return format_date(_as_date(day), self.words.say(key), locale=self.words.language)

    def _decimal(self, value: float, pattern: str) -> str:
        with localcontext(prec=330):  # a product of figures somebody mistyped is long, and no fault of the program
            return format_decimal(value, pattern, locale=self.words.language)

    def _compact(self, size: float) -> str:
        """`1,2 млн`; rounded first, or 999 950 000 would become 1000 millions."""
        units = Locale.parse(self.words.language).compact_decimal_formats["short"]["other"]
        # A pattern such as `00 млн` begins with a nought for each digit before its word: the rest of the power is the word.
        power, pattern = max((int(power), str(found.pattern)) for power, found in units.items() if int(power) <= size)
        n_digits = len(pattern) - len(pattern.lstrip("0"))
        unit, digits = power / 10 ** (n_digits - 1), int(self.words.say("format.short_digits"))
        return format_compact_decimal(round(size / unit, digits) * unit, locale=self.words.language, fraction_digits=digits)

    def _with_symbol(self, number: str) -> str:
        symbol = SYMBOLS.get(self.currency) or get_currency_symbol(self.currency, locale=self.words.language)
        if Locale.parse(self.words.language).currency_formats["standard"].pattern.startswith("¤"):
            return f"{symbol}{NBSP}{number}" if symbol[-1].isalpha() else f"{symbol}{number}"
        return f"{number}{NBSP}{symbol}"

    @staticmethod
    def _signed(value: float, text_of_size: str, is_signed: bool) -> str:
        """The sign before a formatted size; what rounds to nothing has none."""
        if not any(digit in "123456789" for digit in text_of_size) or not value:
            return text_of_size
        return (MINUS if value < 0 else "+" if is_signed else "") + text_of_size


def numbers_of(language: str, currency: str, timezone: str = "UTC") -> Numbers:
    """Figures in a language, currency and time zone. Raises KeyError for a language without a catalogue."""
    return Numbers(words_of(language), currency, timezone)


def adding_up(parts: list[float], total: float) -> list[int]:
    """Whole parts that sum to the rounded total (largest remainders), so that a printed sum is right.

    Raises ValueError when the parts do not sum to the total: rounding must not hide that.
    """
    if not isclose(sum(parts), total, rel_tol=1e-6, abs_tol=1.0):
        raise ValueError(f"the parts sum to {sum(parts):g}, not to {total:g}")
    whole = [floor(part) for part in parts]
    missing = round(total) - sum(whole)
    step = 1 if missing > 0 else -1
    by_remainder = sorted(range(len(parts)), key=lambda n: (step * (whole[n] - parts[n]), n))
    for n in range(abs(missing)):
        whole[by_remainder[n % len(parts)]] += step
    return whole


def _as_date(day: date | str) -> date:
    return day if isinstance(day, date) else date.fromisoformat(day)
