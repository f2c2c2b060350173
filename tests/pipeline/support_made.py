"""A help desk: its requests as records, and a shop whose exports were counted by hand."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.records import SupportRequest

_REQUEST = SupportRequest(
    request_id="1", created_at=datetime(2026, 1, 5, 10), created_on=datetime(2026, 1, 5).date(), modified_at=None,
    channel="telegram", tags=None, priority=None, first_reply_at=None, closed_at=None, closed_by=None, csat=None, csat_max=None,
    nps=None, crm=None, lead_id=None, deal_id=None, contact_id=None, customer_hash=None,
)  # fmt: skip


def request(number: int, at: datetime, *, reply: float | None = None, close: float | None = None, by: str | None = None,
            csat: tuple[float, int] | None = None, **fields: Any) -> SupportRequest:
    """Request `number` of `at` (UTC), answered and closed so many minutes later."""
    times = {"first_reply_at": reply, "closed_at": close}
    made = {name: None if minutes is None else at + timedelta(minutes=minutes) for name, minutes in times.items()}
    score = {} if csat is None else {"csat": Decimal(str(csat[0])), "csat_max": csat[1]}
    return replace(_REQUEST, request_id=str(number), created_at=at, created_on=at.date(), closed_by=by, **made, **score, **fields)


# --- A shop by hand: 24 weeks from the first Monday, the launch in the 13th, requests from the 3rd on. In every week eight people
# come, six pay 1 000. Two weeks later five of the payers and one of the others write; of the five two buy again before the launch
# and three after it, and the first writes twice. Two more requests name nobody, one of them is never answered.

FIRST = date(2025, 1, 6)
LAUNCH = date(2025, 3, 31)
N_WEEKS = 24
_LEADS = ("ID", "Дата создания", "Стадия", "Дата изменения стадии", "Сумма", "Мобильный телефон", "Источник")
_REQUESTS = ("Номер обращения", "Дата создания", "Канал", "Приоритет", "Первый ответ", "Закрыто", "Кем закрыто", "Оценка", "NPS",
             "Телефон")  # fmt: skip
CONFIG = """
[business]
name = "Лавка"
timezone = "Europe/Moscow"
language = "ru"
[sources.crm]
kind = "files"
path = "exports/leads.csv"
[sources.desk]
kind = "files"
path = "exports/requests.csv"
record = "support_requests"
csat_scale = "1-5"
"""
STAGES = """
[crm.lead]
"новая" = "none"
"оплачено" = "paid"
"""
LAUNCHES = """
[bot]
title = "Бот поддержки"
started_on = 2025-03-31
margin = 0.5
horizon_days = 7
[bot.support]
minutes_per_request = 6
hour_rate = 500
is_saved_cash = true
monthly = 1000
sla_minutes = { "Высокий" = 60, "*" = 15 }
"""


def write_shop(folder: Path, *, requests: bool = True, launches: str = LAUNCHES, weeks: range = range(2, N_WEEKS)) -> Path:
    """The shop's configuration and exports, with the requests of these weeks; the folder of the configuration."""
    config, exports = folder / "config", folder / "exports"
    config.mkdir(parents=True)
    exports.mkdir()
    (folder / ".env").write_text("PAYBACK_HASH_KEY=0123456789abcdef0123\n", encoding="utf-8")
    (config / "payback.toml").write_text(CONFIG if requests else CONFIG.partition("[sources.desk]")[0], encoding="utf-8")
    (config / "stages.toml").write_text(STAGES, encoding="utf-8")
    (config / "launches.toml").write_text(launches, encoding="utf-8")
    _write(exports / "leads.csv", _LEADS, _leads())
    if requests:
        _write(exports / "requests.csv", _REQUESTS, _requests(weeks))
    return config


def phone(week: int, person: int) -> str:
    return f"+7 900 {week:03} {person:02} 01"


def _write(path: Path, headings: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(headings)
        writer.writerows(rows)


def _at(week: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(FIRST, datetime.min.time()) + timedelta(weeks=week, days=day, hours=hour, minutes=minute)


def _text(at: datetime) -> str:
    return f"{at:%d.%m.%Y %H:%M:%S}"


def _leads() -> Iterator[tuple[object, ...]]:
    for week in range(N_WEEKS):
        for person in range(8):
            at, is_paid = _at(week, person % 7, 11, person), person < 6
            stage = "Оплачено" if is_paid else "Новая"
            moved = _text(at + timedelta(hours=2)) if is_paid else ""
            yield f"{week}-{person}", _text(at), stage, moved, "1000,00" if is_paid else "", phone(week, person), "сайт"
        for person in range(_n_returning(week)):
            at, number = _at(week, 2, 12, person), phone(week - 2, person)
            yield f"{week}-again-{person}", _text(at), "Оплачено", _text(at + timedelta(hours=1)), "1000,00", number, "сайт"


def _n_returning(week: int) -> int:
    return 0 if week < 2 else 2 if _at(week, 0, 0).date() < LAUNCH else 3


def _requests(weeks: range) -> Iterator[tuple[object, ...]]:
    """Nine a week, eight of them answered and closed; after the launch the bot answers twice as fast and closes four."""
    for week in weeks:
        is_after = _at(week, 0, 0).date() >= LAUNCH
        wait = 5 if is_after else 10
        writers = [phone(week - 2, person) for person in (0, 1, 2, 3, 4, 6)]
        for n, number in enumerate([*writers, writers[0]]):
            at = _at(week, 0 if n < 6 else 3, 10, n)
            closer = "Бот" if is_after and n < 4 else "Оператор"
            score, nps = {0: ("5", "10"), 1: ("3", "6")}.get(n, ("", ""))
            times = _text(at + timedelta(minutes=wait)), _text(at + timedelta(hours=1))
            yield f"{week}-{n}", _text(at), "Telegram", "", *times, closer, score, nps, number
        at = _at(week, 4, 9)
        answered = _text(at + timedelta(minutes=30))
        yield f"{week}-7", _text(at), "Чат", "Высокий", answered, answered, "Оператор", "", "", ""
        yield f"{week}-8", _text(at), "Чат", "", "", "", "", "", "", ""
