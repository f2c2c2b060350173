"""Ad spend by day and channel: out of CSV files and out of costs.toml.

[ad_spend]
files = ["spend/*.csv"]                          # date; channel; amount (дата; канал; расход), one row a day and channel

[ad_spend.months."ВКонтакте"]
2026-08 = 45000                                  # spread evenly over the days of the month
2026-09 = "52 000,50"
"""

import csv
import re
from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.values import ru_time
from pipeline.errors import ConfigError
from pipeline.prices import amount
from pipeline.strict import Place, build

LARGEST = 32 * 1024 * 1024  # bytes of a file
HEADINGS = {
    "date": ("date", "day", "дата", "день", "日期"),
    "channel": ("channel", "source", "канал", "источник", "рекламный канал", "渠道"),
    "amount": ("amount", "cost", "spend", "расход", "расходы", "сумма", "затраты", "стоимость", "金额", "花费"),
    "currency": ("currency", "валюта", "货币"),
}
_FORM = "the first line names the columns: date;channel;amount (or дата;канал;расход)"
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_SUM = ("total", "итого", "всего", "合计", "总计")


@dataclass(frozen=True, slots=True)
class AdSpend:
    """Where the spend is told: CSV files (patterns below the folder that holds config/), and months by channel."""

    files: tuple[str, ...] = ()
    months: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spend:
    """Money by channel and day, and the days that are known: a day without a row inside them costs nothing."""

    amounts: Mapping[tuple[str, date], Decimal]
    known: Mapping[str, tuple[tuple[date, date], ...]]  # channel -> first and last days

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(sorted(self.known))

    def is_known(self, channel: str, weeks: Collection[date]) -> bool:
        """Whether the spend of all days of these weeks is known."""
        days = (monday + timedelta(days=n) for monday in weeks for n in range(7))
        return all(any(first <= day <= last for first, last in self.known.get(channel, ())) for day in days)

    def of(self, channel: str, weeks: Collection[date]) -> Decimal | None:
        """What a channel cost in these weeks (their Mondays); None where some of it is not known."""
        if not self.is_known(channel, weeks):
            return None
        days = (monday + timedelta(days=n) for monday in weeks for n in range(7))
        return sum((self.amounts.get((channel, day), Decimal(0)) for day in days), Decimal(0))

    def spans(self, channel: str) -> tuple[tuple[date, date], ...]:
        """First and last days that are known, in order, neighbours joined."""
        found: list[tuple[date, date]] = []
        for first, last in sorted(self.known.get(channel, ())):
            if found and first <= found[-1][1] + timedelta(days=1):
                found[-1] = (found[-1][0], max(last, found[-1][1]))
            else:
                found.append((first, last))
        return tuple(found)


def check_ad_spend(table: object, place: Place, currency: str) -> AdSpend:
    """[ad_spend] of costs.toml; files are read later, by `read_spend`. Raises ConfigError."""
    found = build(AdSpend, table, place, {})
    for channel, months in found.months.items():
        for month, value in months.items():
            where = place.of("months").of(channel).of(month)
            if not _MONTH.fullmatch(month):
                raise ConfigError(f"{where}: {month!r} is no month", hint="for example 2026-08 = 45000")
            amount(value, where, currency)
    return found


def read_spend(given: AdSpend, home: Path, place: Place, currency: str) -> Spend:
    """All spend there is. Raises ConfigError with file, line and what to do; a day told twice is refused, never added up."""
    told: dict[tuple[str, date], tuple[Decimal, str]] = {}
    known: dict[str, list[tuple[date, date]]] = {}
    for path in _files(given.files, home, place):
        rows = list(_rows(path, currency))
        if not rows:
            raise ConfigError(f"{path.name}: no line of spend", hint=_FORM)
        days = [day for _, day, _, _ in rows]
        for channel in sorted({channel for channel, _, _, _ in rows}):
            known.setdefault(channel, []).append((min(days), max(days)))
        for channel, day, cost, where in rows:
            _tell(told, channel, day, cost, where)
    for channel, months in given.months.items():
        for month, value in months.items():
            cell = place.of("months").of(channel).of(month)
            first = date(int(month[:4]), int(month[5:]), 1)
            n_days = monthrange(first.year, first.month)[1]
            known.setdefault(channel, []).append((first, first + timedelta(days=n_days - 1)))
            for n, cost in enumerate(_evenly(amount(value, cell, currency), n_days)):
                _tell(told, channel, first + timedelta(days=n), cost, str(cell))
    return Spend({key: cost for key, (cost, _) in told.items()}, {channel: tuple(spans) for channel, spans in known.items()})


def _evenly(whole: Decimal, n_days: int) -> Iterator[Decimal]:
    """The month's spend by day, to the kopeck: the days sum to it exactly."""
    paid = Decimal(0)
    for n in range(1, n_days + 1):
        upto = (whole * n / n_days).quantize(Decimal("0.01")) if n < n_days else whole
        yield upto - paid
        paid = upto


def _tell(told: dict[tuple[str, date], tuple[Decimal, str]], channel: str, day: date, cost: Decimal, where: str) -> None:
    if (channel, day) in told:
        raise ConfigError(
            f"{where}: the spend of {day} in this channel was told already: {told[channel, day][1]}",
            hint="one row a day and channel: take out the copy, or add the two up if both were paid",
        )
    told[channel, day] = cost, where


def _files(patterns: Sequence[str], home: Path, place: Place) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        matches = sorted(path.parent.glob(path.name)) if path.is_absolute() else sorted(home.glob(pattern))
        if not matches:
            hint = "relative paths mean the folder that holds config/; put the file there, or take the line out"
            raise ConfigError(f"{place.of('files')}: no file fits {pattern!r}", hint=hint)
        found += matches
    return list(dict.fromkeys(found))


def _rows(path: Path, currency: str) -> Iterator[tuple[str, date, Decimal, str]]:
    """Channel, day, amount and place of every line. A last line of sums is left out."""
    lines = _text(path).splitlines()
    head = lines[0] if lines else ""
    delimiter = max(";\t,", key=head.count)
    table = csv.reader(lines, delimiter=delimiter)
    columns = _columns(next(table, []), path)
    for cells in table:
        where = f"{path.name}, line {table.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if cells[0].strip().casefold().rstrip(":") in _SUM:
            continue
        if len(cells) <= max(columns.values()):
            hint = f"expected as many cells as the first line names, parted by {delimiter!r}; texts with it stand in quotes"
            raise ConfigError(f"{where}: {len(cells)} cells, too few", hint=hint)
        channel = cells[columns["channel"]].strip()
        if not channel:
            raise ConfigError(f"{where}: no channel", hint="name the channel as in [[channels]] of payback.toml")
        if "currency" in columns:
            _check_currency(cells[columns["currency"]], where, currency)
        yield channel, _day(cells[columns["date"]], where), _paid(cells[columns["amount"]], where, currency), where


def _paid(cell: str, where: str, currency: str) -> Decimal:
    """The amount of a line. What stands in somebody's file stays out of messages."""
    try:
        return amount(cell, where, currency)
    except ConfigError:
        hint = f"a number of at least 0 such as 5 000,50, without thousands points, in {currency}: nothing is converted"
        raise ConfigError(f"{where}: this is no amount of money in {currency}", hint=hint) from None


def _check_currency(cell: str, where: str, currency: str) -> None:
    if cell.strip() and cell.strip().upper() not in (currency, *(["RUR"] if currency == "RUB" else [])):
        hint = f"turn it into {currency}: rates change, so nothing is converted here"
        raise ConfigError(f"{where}: another currency than {currency}, which the business counts in", hint=hint)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes() if path.stat().st_size <= LARGEST else None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})", hint="it must be a file you may read") from None
    if raw is None or b"\0" in raw:
        raise ConfigError(f"{path.name}: no CSV file of at most {LARGEST >> 20} MB", hint="save the sheet as CSV, UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1251", errors="replace")  # what Excel in Russian writes


def _columns(head: Sequence[str], path: Path) -> dict[str, int]:
    titles = [cell.strip().casefold() for cell in head]
    found = {name: titles.index(title) for name, words in HEADINGS.items() for title in words[::-1] if title in titles}
    missing = [name for name in ("date", "channel", "amount") if name not in found]
    if missing:
        raise ConfigError(f"{path.name}, line 1: no column for {' and '.join(missing)}", hint=_FORM)
    return found


def _day(cell: str, where: str) -> date:
    try:
        return ru_time(cell.strip(), UTC).date()
    except ValueError:
        raise ConfigError(f"{where}: no date", hint="for example 01.09.2026 or 2026-09-01") from None
