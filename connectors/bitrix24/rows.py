"""Rows of Bitrix24 as records. Strict: a value that cannot be read rejects its row, by column and reason, never by value.

How values arrive: reference section 3.1 (strings or numbers, "" or null or "0" for nothing), 3.4-3.6, 3.8, 3.9, 3.13.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from functools import lru_cache
from itertools import repeat
from typing import Any

from connectors.bitrix24.columns import (
    ColumnError,
    CustomField,
    code,
    contacts_of,
    custom_value,
    folded,
    name,
    number,
    own_id,
    required_fold,
    semantics,
    short,
    sort,
    stage_semantics,
)
from connectors.people import PERSONAL, customer_hash
from connectors.records import Contact, CrmSource, Deal, Entity, Lead, Owner, Pipeline, Stage, StageChange
from connectors.secrets import Secret
from connectors.text import clean_name
from connectors.values import flag, local_day, money, optional_flag, optional_id, optional_utc, utc

Row = Mapping[str, Any]
Parse = Callable[[object], Any]
Plan = Sequence[tuple[str, Parse]]

LEAD_PIPELINE = "0"  # leads have one funnel


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading rows of one entity needs to know."""

    timezone: tzinfo
    hash_key: Secret
    country: str = "7"
    custom: Mapping[str, CustomField] = field(default_factory=dict)  # our name -> field
    branch: CustomField | None = None
    pipelines: Mapping[str, str] | None = None  # id -> name, when the pipeline is the branch


def parsed(rows: Sequence[Row], plan: Plan) -> list[list[Any]]:
    """The values of the plan's columns, column by column: there are few columns and a million rows. Raises ColumnError."""
    values = []
    for column, parse in plan:
        try:
            values.append([parse(row.get(column)) for row in rows])
        except (ValueError, TypeError) as error:  # a list where one value belongs has no hash to be remembered by
            raise ColumnError(column, str(error) if isinstance(error, ValueError) else "not a single value") from None
    return values


def person(phones: list[str], emails: list[str], reading: Reading) -> str | None:
    """The hash of the first usable phone, else of the first usable e-mail."""
    for phone in phones:
        found = customer_hash(reading.hash_key, phone=phone, country=reading.country)
        if found is not None:
            return found
    for email in emails:
        found = customer_hash(reading.hash_key, email=email)
        if found is not None:
            return found
    return None


def _persons(phones: Sequence[list[str]], emails: Sequence[list[str]], reading: Reading) -> list[str | None]:
    return [person(numbers, addresses, reading) for numbers, addresses in zip(phones, emails, strict=True)]


def _days(moments: Sequence[datetime], reading: Reading) -> list[date]:
    zone = reading.timezone
    return [local_day(moment, zone) for moment in moments]


def branches(rows: Sequence[Row], reading: Reading) -> Iterable[str | None]:
    """The branch each row belongs to, endless Nones when no field tells it."""
    what = reading.branch
    return repeat(None) if what is None else [_branch(row, what) for row in rows]


def _branch(row: Row, what: CustomField) -> str | None:
    value = custom_value(row.get(what.code), what)
    if isinstance(value, list):
        return clean_name(", ".join(sorted(str(one) for one in value)))
    return None if value is None else str(value)


def extras(rows: Sequence[Row], reading: Reading) -> Iterable[str | None]:
    """The configured custom fields of each row, endless Nones when there are none."""
    return [_extra(row, reading) for row in rows] if reading.custom else repeat(None)


def _extra(row: Row, reading: Reading) -> str | None:
    """Canonical JSON; None when all are empty."""
    values = {ours: custom_value(row.get(what.code), what) for ours, what in reading.custom.items()}
    filled = {ours: value for ours, value in values.items() if value is not None}
    return json.dumps(filled, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if filled else None


# --- records ------------------------------------------------------------------------------------------------------------

# What repeats over a million rows is read once. Only for parsers that refuse long texts: what is refused is not remembered.
_flag = lru_cache(maxsize=64, typed=True)(optional_flag)
_meaning = lru_cache(maxsize=64, typed=True)(semantics)
_owner_id = lru_cache(maxsize=4096, typed=True)(optional_id)

_UTM: Plan = tuple((f"UTM_{part}", folded) for part in ("SOURCE", "MEDIUM", "CAMPAIGN", "CONTENT", "TERM"))
_SHARED: Plan = (
    ("ID", own_id),
    ("DATE_CREATE", utc),
    ("DATE_MODIFY", optional_utc),
    ("MOVED_TIME", optional_utc),
    ("ASSIGNED_BY_ID", _owner_id),
    ("SOURCE_ID", folded),
    *_UTM,
    ("OPPORTUNITY", money),
    ("CURRENCY_ID", short),
    ("CONTACT_ID", optional_id),
    ("IS_RETURN_CUSTOMER", _flag),
)
LEAD: Plan = (
    *_SHARED,
    ("STATUS_ID", code),
    ("STATUS_SEMANTIC_ID", _meaning),
    ("HAS_PHONE", _flag),
    ("PHONE", contacts_of),
    ("EMAIL", contacts_of),
)
DEAL: Plan = (
    *_SHARED,
    ("STAGE_ID", code),
    ("STAGE_SEMANTIC_ID", _meaning),
    ("CATEGORY_ID", number),
    ("LEAD_ID", optional_id),
    ("IS_RECURRING", _flag),
)
CONTACT: Plan = (
    ("ID", own_id),
    ("DATE_CREATE", optional_utc),
    ("DATE_MODIFY", optional_utc),
    ("PHONE", contacts_of),
    ("EMAIL", contacts_of),
)
_MOVE: Plan = (("ID", own_id), ("OWNER_ID", own_id), ("CREATED_TIME", utc))
LEAD_MOVE: Plan = (*_MOVE, ("STATUS_ID", code), ("STATUS_SEMANTIC_ID", _meaning))
DEAL_MOVE: Plan = (*_MOVE, ("STAGE_ID", code), ("STAGE_SEMANTIC_ID", _meaning), ("CATEGORY_ID", number))
STAGE: Plan = (("STATUS_ID", code), ("NAME", name), ("SEMANTICS", stage_semantics), ("SORT", sort))
CRM_SOURCE: Plan = (("STATUS_ID", required_fold), ("NAME", name))
PIPELINE: Plan = (("id", number), ("name", name), ("isDefault", optional_flag))
OWNER: Plan = (("ID", own_id), ("NAME", name), ("LAST_NAME", name), ("ACTIVE", flag))


def leads(rows: Sequence[Row], reading: Reading) -> list[Lead]:
    *shared, stage_ids, meanings, flags, phones, emails = parsed(rows, LEAD)
    ids, created, modified, moved, owner_ids, sources, *words, amounts, currencies, contact_ids, repeats = shared
    return list(
        map(
            Lead,
            ids,
            created,
            _days(created, reading),
            modified,
            moved,
            stage_ids,
            meanings,
            repeat(LEAD_PIPELINE),
            owner_ids,
            sources,
            *words,
            amounts,
            currencies,
            contact_ids,
            _persons(phones, emails, reading),
            # The flag lags behind numbers that arrive through chats.
            [bool(numbers) or bool(has_phone) for numbers, has_phone in zip(phones, flags, strict=True)],
            repeats,
            branches(rows, reading),
            extras(rows, reading),
        )
    )


def deals(rows: Sequence[Row], reading: Reading) -> list[Deal]:
    *shared, stage_ids, meanings, pipeline_ids, lead_ids, templates = parsed(rows, DEAL)
    ids, created, modified, moved, owner_ids, sources, *words, amounts, currencies, contact_ids, repeats = shared
    names = reading.pipelines
    return list(
        map(
            Deal,
            ids,
            lead_ids,
            created,
            _days(created, reading),
            modified,
            moved,
            stage_ids,
            meanings,
            pipeline_ids,
            owner_ids,
            sources,
            *words,
            amounts,
            currencies,
            contact_ids,
            repeat(None),  # phones are not on deals: the contact or the lead tells the customer
            repeats,
            map(bool, templates),
            branches(rows, reading) if names is None else [names.get(one, one) for one in pipeline_ids],
            extras(rows, reading),
        )
    )


def contacts(rows: Sequence[Row], reading: Reading) -> list[Contact]:
    ids, created, modified, phones, emails = parsed(rows, CONTACT)
    return list(map(Contact, ids, created, modified, _persons(phones, emails, reading)))


def _moves(entity: Entity, columns: list[list[Any]], pipeline_ids: Iterable[str], reading: Reading) -> list[StageChange]:
    ids, entity_ids, moved, stage_ids, meanings = columns
    days = _days(moved, reading)
    return list(map(StageChange, repeat(entity), ids, entity_ids, stage_ids, pipeline_ids, meanings, moved, days))


def lead_moves(rows: Sequence[Row], reading: Reading) -> list[StageChange]:
    return _moves("lead", parsed(rows, LEAD_MOVE), repeat(LEAD_PIPELINE), reading)


def deal_moves(rows: Sequence[Row], reading: Reading) -> list[StageChange]:
    *columns, pipeline_ids = parsed(rows, DEAL_MOVE)
    return _moves("deal", columns, pipeline_ids, reading)


def stages(rows: Sequence[Row], reading: Reading) -> list[Stage]:
    """The entries of the stage directories; those of other directories are dropped."""
    return [entry for row in rows if (entry := _stage(row)) is not None]


def _stage(row: Row) -> Stage | None:
    directory = row.get("ENTITY_ID")
    entity: Entity = "deal"
    if directory == "STATUS":
        entity, pipeline_id = "lead", LEAD_PIPELINE
    elif directory == "DEAL_STAGE":
        pipeline_id = "0"
    elif isinstance(directory, str) and directory.startswith("DEAL_STAGE_"):
        pipeline_id = clean_name(directory.removeprefix("DEAL_STAGE_"))
    else:
        return None
    (stage_id,), (label,), (meaning,), (order,) = parsed([row], STAGE)
    return Stage(entity, pipeline_id, stage_id, label or stage_id, meaning, order)


def crm_sources(rows: Sequence[Row], reading: Reading) -> list[CrmSource]:
    sources, labels = parsed([row for row in rows if row.get("ENTITY_ID") == "SOURCE"], CRM_SOURCE)
    return [
        CrmSource(source, source if source == PERSONAL else label or source)
        for source, label in zip(sources, labels, strict=True)
    ]


def pipelines(rows: Sequence[Row], reading: Reading) -> list[Pipeline]:
    return [
        Pipeline("deal", pipeline_id, label or pipeline_id, bool(is_default))
        for pipeline_id, label, is_default in zip(*parsed(rows, PIPELINE), strict=True)
    ]


def owners(rows: Sequence[Row], reading: Reading) -> list[Owner]:
    return [
        Owner(owner_id, clean_name(f"{first} {last}") or f"#{owner_id}", is_active)
        for owner_id, first, last, is_active in zip(*parsed(rows, OWNER), strict=True)
    ]
