"""Rows of Bitrix24 as records. Strict: a value that cannot be read rejects its row, by column and reason, never by value.

How values arrive: reference section 3.1 (strings or numbers, "" or null or "0" for nothing), 3.4-3.6, 3.8, 3.9, 3.13.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
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


def parsed(row: Row, plan: Plan) -> list[Any]:
    """The values of the plan's columns. Raises ColumnError."""
    get = row.get
    try:
        return [parse(get(column)) for column, parse in plan]
    except ValueError:
        return [_parsed(column, parse, get(column)) for column, parse in plan]  # again, to name the column


def _parsed(column: str, parse: Parse, value: object) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise ColumnError(column, str(error)) from None


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


def branch_of(row: Row, reading: Reading) -> str | None:
    if reading.branch is None:
        return None
    value = custom_value(row.get(reading.branch.code), reading.branch)
    if isinstance(value, list):
        return ", ".join(sorted(str(one) for one in value))
    return None if value is None else str(value)


def extra_of(row: Row, reading: Reading) -> str | None:
    """The configured custom fields as canonical JSON; None when all are empty."""
    if not reading.custom:
        return None
    values = {ours: custom_value(row.get(what.code), what) for ours, what in reading.custom.items()}
    filled = {ours: value for ours, value in values.items() if value is not None}
    return json.dumps(filled, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if filled else None


# --- records ------------------------------------------------------------------------------------------------------------

_UTM: Plan = tuple((f"UTM_{part}", folded) for part in ("SOURCE", "MEDIUM", "CAMPAIGN", "CONTENT", "TERM"))
_SHARED: Plan = (
    ("ID", own_id),
    ("DATE_CREATE", utc),
    ("DATE_MODIFY", optional_utc),
    ("MOVED_TIME", optional_utc),
    ("ASSIGNED_BY_ID", optional_id),
    ("SOURCE_ID", folded),
    *_UTM,
    ("OPPORTUNITY", money),
    ("CURRENCY_ID", short),
    ("CONTACT_ID", optional_id),
    ("IS_RETURN_CUSTOMER", optional_flag),
)
LEAD: Plan = (
    *_SHARED,
    ("STATUS_ID", code),
    ("STATUS_SEMANTIC_ID", semantics),
    ("HAS_PHONE", optional_flag),
    ("PHONE", contacts_of),
    ("EMAIL", contacts_of),
)
DEAL: Plan = (
    *_SHARED,
    ("STAGE_ID", code),
    ("STAGE_SEMANTIC_ID", semantics),
    ("CATEGORY_ID", number),
    ("LEAD_ID", optional_id),
    ("IS_RECURRING", optional_flag),
)
CONTACT: Plan = (
    ("ID", own_id),
    ("DATE_CREATE", optional_utc),
    ("DATE_MODIFY", optional_utc),
    ("PHONE", contacts_of),
    ("EMAIL", contacts_of),
)
_MOVE: Plan = (("ID", own_id), ("OWNER_ID", own_id), ("CREATED_TIME", utc))
LEAD_MOVE: Plan = (*_MOVE, ("STATUS_ID", code), ("STATUS_SEMANTIC_ID", semantics))
DEAL_MOVE: Plan = (*_MOVE, ("STAGE_ID", code), ("STAGE_SEMANTIC_ID", semantics), ("CATEGORY_ID", number))
STAGE: Plan = (("STATUS_ID", code), ("NAME", name), ("SEMANTICS", stage_semantics), ("SORT", sort))
CRM_SOURCE: Plan = (("STATUS_ID", required_fold), ("NAME", name))
PIPELINE: Plan = (("id", number), ("name", name), ("isDefault", optional_flag))
OWNER: Plan = (("ID", own_id), ("NAME", name), ("LAST_NAME", name), ("ACTIVE", flag))


def lead(row: Row, reading: Reading) -> Lead:
    *shared, stage_id, meaning, has_phone, phones, emails = parsed(row, LEAD)
    lead_id, created_at, modified_at, moved_at, owner_id, source, *words, amount, currency, contact_id, is_repeat = shared
    utm_source, utm_medium, utm_campaign, utm_content, utm_term = words
    return Lead(
        lead_id,
        created_at,
        local_day(created_at, reading.timezone),
        modified_at,
        moved_at,
        stage_id,
        meaning,
        LEAD_PIPELINE,
        owner_id,
        source,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        amount,
        currency,
        contact_id,
        person(phones, emails, reading),
        bool(phones) or bool(has_phone),  # the flag lags behind numbers that arrive through chats
        is_repeat,
        branch_of(row, reading),
        extra_of(row, reading),
    )


def deal(row: Row, reading: Reading) -> Deal:
    *shared, stage_id, meaning, pipeline_id, lead_id, is_template = parsed(row, DEAL)
    deal_id, created_at, modified_at, moved_at, owner_id, source, *words, amount, currency, contact_id, is_repeat = shared
    utm_source, utm_medium, utm_campaign, utm_content, utm_term = words
    pipelines = reading.pipelines
    return Deal(
        deal_id,
        lead_id,
        created_at,
        local_day(created_at, reading.timezone),
        modified_at,
        moved_at,
        stage_id,
        meaning,
        pipeline_id,
        owner_id,
        source,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        amount,
        currency,
        contact_id,
        None,  # phones are not on deals: the contact or the lead tells the customer
        is_repeat,
        bool(is_template),
        branch_of(row, reading) if pipelines is None else pipelines.get(pipeline_id, pipeline_id),
        extra_of(row, reading),
    )


def contact(row: Row, reading: Reading) -> Contact:
    contact_id, created_at, modified_at, phones, emails = parsed(row, CONTACT)
    return Contact(contact_id, created_at, modified_at, person(phones, emails, reading))


def _move(entity: Entity, values: list[Any], pipeline_id: str, reading: Reading) -> StageChange:
    change_id, entity_id, moved_at, stage_id, meaning = values
    moved: datetime = moved_at
    return StageChange(entity, change_id, entity_id, stage_id, pipeline_id, meaning, moved, local_day(moved, reading.timezone))


def lead_move(row: Row, reading: Reading) -> StageChange:
    return _move("lead", parsed(row, LEAD_MOVE), LEAD_PIPELINE, reading)


def deal_move(row: Row, reading: Reading) -> StageChange:
    *values, pipeline_id = parsed(row, DEAL_MOVE)
    return _move("deal", values, pipeline_id, reading)


def stage(row: Row, reading: Reading) -> Stage | None:
    """An entry of the stage directories; None for an entry of any other directory."""
    directory = row.get("ENTITY_ID")
    entity: Entity = "deal"
    if directory == "STATUS":
        entity, pipeline_id = "lead", LEAD_PIPELINE
    elif directory == "DEAL_STAGE":
        pipeline_id = "0"
    elif isinstance(directory, str) and directory.startswith("DEAL_STAGE_"):
        pipeline_id = directory.removeprefix("DEAL_STAGE_")
    else:
        return None
    stage_id, label, meaning, order = parsed(row, STAGE)
    return Stage(entity, pipeline_id, stage_id, label or stage_id, meaning, order)


def crm_source(row: Row, reading: Reading) -> CrmSource | None:
    if row.get("ENTITY_ID") != "SOURCE":
        return None
    source, label = parsed(row, CRM_SOURCE)
    return CrmSource(source, source if source == PERSONAL else label or source)


def pipeline(row: Row, reading: Reading) -> Pipeline:
    pipeline_id, label, is_default = parsed(row, PIPELINE)
    return Pipeline("deal", pipeline_id, label or pipeline_id, bool(is_default))


def owner(row: Row, reading: Reading) -> Owner:
    owner_id, first, last, is_active = parsed(row, OWNER)
    return Owner(owner_id, clean_name(f"{first} {last}") or f"#{owner_id}", is_active)
