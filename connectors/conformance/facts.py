"""Raw facts of one CRM row, by field of its record, and the record an honest reader makes of them."""

import random
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.contract import Stream, Surroundings
from connectors.people import customer_hash
from connectors.records import RECORDS, Record
from connectors.text import fold

Facts = dict[str, Any]

PHONE_MARK = "900555"  # every invented phone holds these digits: none may be seen outside the CRM
MAIL_MARK = "canary.example"

_PHONES = ("+7 (900) 555-{:02}-{:02}", "8900555{:02}{:02}", "7 900 555 {:02} {:02}", "+7900555{:02}{:02}")
_UTM = ("yandex", " Yandex ", "VK", "Вконтакте", "сарафанное радио", "Ёлка", "a&b=c+d", "<script>x</script>", "=A1", "100%")
_NAMES = ("Новая", "Записан", "Подтверждён", "Пришёл", "Оплачено", "Отменил запись", "Недозвон", "Спам")


_FIELDS = {record: tuple(field.name for field in fields(record)) for record in RECORDS}  # type: ignore[arg-type]  # dataclasses all


def field_names(record: type[Record]) -> tuple[str, ...]:
    """The fields of a record, in order."""
    return _FIELDS[record]


def _amount(rng: random.Random) -> Decimal | None:
    return rng.choice((None, Decimal("0.00"), Decimal(rng.randrange(1, 10_000_000)) / 100, Decimal(rng.randrange(1, 99)) * 1000))


def _link(rng: random.Random) -> str | None:
    return rng.choice((None, str(rng.randrange(1, 500))))


def _utm(rng: random.Random) -> str | None:
    return rng.choice((None, "", *_UTM))


def _phone(rng: random.Random) -> str | None:
    return None if rng.random() < 0.3 else rng.choice(_PHONES).format(rng.randrange(100), rng.randrange(100))


_INVENT: dict[str, Callable[[random.Random], Any]] = {
    "stage_id": lambda rng: rng.choice(("NEW", "IN_PROCESS", "UC_1A2B3C", "CONVERTED", "JUNK")),
    "semantics": lambda rng: rng.choice(("open", "won", "lost")),
    "pipeline_id": lambda rng: rng.choice(("0", "3")),
    "owner_id": lambda rng: str(rng.randrange(1, 9)),
    "crm_source": lambda rng: rng.choice((None, "CALL", "WEB", "7", "UC_SRC")),
    "utm_source": _utm,
    "utm_medium": _utm,
    "utm_campaign": _utm,
    "utm_content": _utm,
    "utm_term": _utm,
    "amount": _amount,
    "currency": lambda rng: rng.choice(("RUB", "USD")),
    "contact_id": _link,
    "lead_id": _link,
    "is_repeat": lambda rng: rng.random() < 0.2,
    "is_template": lambda rng: rng.random() < 0.05,
    "branch": lambda rng: rng.choice((None, "Центр", "Север")),
    "extra": lambda rng: None,
    "entity": lambda rng: rng.choice(("lead", "deal")),
    "entity_id": lambda rng: str(rng.randrange(1, 500)),
    "name": lambda rng: rng.choice(_NAMES),
    "sort": lambda rng: rng.randrange(0, 1000, 10),
    "is_default": lambda rng: False,
    "is_active": lambda rng: rng.random() < 0.8,
    "has_phone": lambda rng: None,
    "customer_hash": lambda rng: None,
    "channel": lambda rng: rng.choice((None, "telegram", "Чат на сайте", "WhatsApp")),
    "tags": lambda rng: rng.choice((None, '["доставка"]', '["возврат","оплата"]')),
    "priority": lambda rng: rng.choice((None, "высокий", "low")),
    "closed_by": lambda rng: rng.choice((None, "bot", "person")),
    "csat": lambda rng: rng.choice((None, Decimal(rng.randrange(2, 11)) / 2)),
    "nps": lambda rng: rng.choice((None, rng.randrange(11))),
    "crm": lambda rng: None,
    "deal_id": _link,
}


def invent(rng: random.Random, stream: Stream, key: int, at: datetime) -> Facts:
    """Facts of a row last changed at `at`; `stream.only` fixes fields. Rows about people also get a `phone` and an `email`.

    Codes that identify a row of a dictionary (stages, sources, pipelines) are made of its key, so they are unique.
    """
    facts: Facts = {}
    record = stream.record
    for name in field_names(record):
        if name in stream.only:
            facts[name] = stream.only[name]
        elif name == record.KEY[-1]:
            facts[name] = str(key) if _is_number(name) else f"C{key}"
        elif name in ("created_at", "moved_at"):
            facts[name] = at - timedelta(seconds=rng.randrange(0, 5_000_000))
        elif name in ("first_reply_at", "closed_at"):
            facts[name] = rng.choice((None, facts["created_at"] + timedelta(seconds=rng.randrange(0, 500_000))))
        elif name == "csat_max":
            facts[name] = None if facts["csat"] is None else 5
        elif name in _INVENT:
            facts[name] = _INVENT[name](rng)
    if "customer_hash" in field_names(record):
        facts["phone"] = _phone(rng)
        facts["email"] = rng.choice((None, f"Anna{rng.randrange(100)}@{MAIL_MARK}"))
        facts["has_phone"] = facts["phone"] is not None
    return facts


def created(facts: Facts, at: datetime) -> Facts:
    """The facts of a row created at `at`; a reply and an end come as long after it as they did."""
    after = [name for name in ("first_reply_at", "closed_at") if facts.get(name)]
    return facts | {"created_at": at} | {name: at + (facts[name] - facts["created_at"]) for name in after}


def honest_record(stream: Stream, facts: Facts, modified: datetime, surroundings: Surroundings) -> Record:
    """What a reader must make of the facts: days in the business's time zone, folded text, a keyed hash for a person."""

    def day(at: datetime) -> Any:
        return at.replace(tzinfo=UTC).astimezone(surroundings.timezone).date()

    values: Facts = {}
    for name in field_names(stream.record):
        match name:
            case "created_on":
                values[name] = day(facts["created_at"])
            case "moved_on":
                values[name] = day(facts["moved_at"])
            case "modified_at":
                values[name] = modified
            case "customer_hash":
                values[name] = customer_hash(surroundings.hash_key, phone=facts["phone"], email=facts["email"])
            case "closed_by" if facts["closed_at"] is None:
                values[name] = None
            case "channel" | "priority":
                values[name] = fold(facts[name] or "")
            case "crm_source" | "utm_source" | "utm_medium" | "utm_campaign" | "utm_content" | "utm_term":
                values[name] = fold(facts[name] or "")
            case _:
                values[name] = facts[name]
    return stream.record(**values)


def _is_number(name: str) -> bool:
    return name.endswith("_id") and name not in ("stage_id", "crm_source")
