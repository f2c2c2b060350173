"""The typed rows a connector yields: one dataclass is one table of the warehouse.

Times are UTC without zone, `_on` is the local business date, money is Decimal in the row's currency. Text that rules
compare (UTM, source codes) is normalised by `connectors.text.fold`; names meant for people are kept as they are.
No field holds a phone, an e-mail, a title or a comment: a person appears only as `customer_hash` (keyed HMAC).
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, Literal

Entity = Literal["lead", "deal"]
Semantics = Literal["open", "won", "lost"]
Closer = Literal["bot", "person"]


class Record:
    """Base of all records. `TABLE` names the warehouse table, `KEY` the fields that identify a row within its source.

    `IGNORED` fields do not make a new version when they alone change (a touched row is not a changed row).
    """

    __slots__ = ()
    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    IGNORED: ClassVar[frozenset[str]] = frozenset({"modified_at"})


@dataclass(slots=True)
class Lead(Record):
    """One inquiry of a customer, as the CRM's lead object."""

    TABLE: ClassVar[str] = "leads"
    KEY: ClassVar[tuple[str, ...]] = ("lead_id",)

    lead_id: str
    created_at: datetime
    created_on: date
    modified_at: datetime | None
    moved_at: datetime | None  # when it entered its present stage
    stage_id: str
    semantics: Semantics | None
    pipeline_id: str
    owner_id: str | None
    crm_source: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_content: str | None
    utm_term: str | None
    amount: Decimal | None
    currency: str | None
    contact_id: str | None
    customer_hash: str | None
    has_phone: bool | None
    is_repeat: bool | None
    branch: str | None
    extra: str | None  # configured custom fields, canonical JSON


@dataclass(slots=True)
class Deal(Record):
    """One deal; `lead_id` points to the lead it grew from, None when it was created without one."""

    TABLE: ClassVar[str] = "deals"
    KEY: ClassVar[tuple[str, ...]] = ("deal_id",)

    deal_id: str
    lead_id: str | None
    created_at: datetime
    created_on: date
    modified_at: datetime | None
    moved_at: datetime | None
    stage_id: str
    semantics: Semantics | None
    pipeline_id: str
    owner_id: str | None
    crm_source: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_content: str | None
    utm_term: str | None
    amount: Decimal | None
    currency: str | None
    contact_id: str | None
    customer_hash: str | None
    is_repeat: bool | None
    is_template: bool  # a recurring deal's template: never counted
    branch: str | None
    extra: str | None


@dataclass(slots=True)
class StageChange(Record):
    """One move of a lead or deal into a stage; the truth about milestones."""

    TABLE: ClassVar[str] = "stage_changes"
    KEY: ClassVar[tuple[str, ...]] = ("entity", "change_id")

    entity: Entity
    change_id: str
    entity_id: str
    stage_id: str
    pipeline_id: str
    semantics: Semantics | None
    moved_at: datetime
    moved_on: date


@dataclass(slots=True)
class Stage(Record):
    """One entry of a stage dictionary: what a stage is called today."""

    TABLE: ClassVar[str] = "stages"
    KEY: ClassVar[tuple[str, ...]] = ("entity", "pipeline_id", "stage_id")

    entity: Entity
    pipeline_id: str
    stage_id: str
    name: str
    semantics: Semantics | None
    sort: int | None


@dataclass(slots=True)
class Pipeline(Record):
    """One sales funnel of the CRM."""

    TABLE: ClassVar[str] = "pipelines"
    KEY: ClassVar[tuple[str, ...]] = ("entity", "pipeline_id")

    entity: Entity
    pipeline_id: str
    name: str
    is_default: bool


@dataclass(slots=True)
class CrmSource(Record):
    """One entry of the CRM's directory of lead sources."""

    TABLE: ClassVar[str] = "crm_sources"
    KEY: ClassVar[tuple[str, ...]] = ("crm_source",)

    crm_source: str
    name: str


@dataclass(slots=True)
class Owner(Record):
    """An employee who is responsible for leads."""

    TABLE: ClassVar[str] = "owners"
    KEY: ClassVar[tuple[str, ...]] = ("owner_id",)

    owner_id: str
    name: str
    is_active: bool


@dataclass(slots=True)
class Contact(Record):
    """A person, as far as a keyed hash tells two leads of one customer."""

    TABLE: ClassVar[str] = "contacts"
    KEY: ClassVar[tuple[str, ...]] = ("contact_id",)

    contact_id: str
    created_at: datetime | None
    modified_at: datetime | None
    customer_hash: str | None


@dataclass(slots=True)
class SupportRequest(Record):
    """One request of a customer to support: when, how fast, who closed it, how satisfied. No texts.

    `crm` is the source that `lead_id`, `deal_id` and `contact_id` are numbers of; None: the request's own. `csat` is the score as
    given on a scale that ends at `csat_max` (5: 1 to 5, 10: 0 to 10, 100: percent); both are filled or neither. `nps` is the
    answer from 0 to 10. `tags` is a canonical JSON list of folded words.
    """

    TABLE: ClassVar[str] = "support_requests"
    KEY: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    created_at: datetime
    created_on: date
    modified_at: datetime | None
    channel: str | None
    tags: str | None
    priority: str | None
    first_reply_at: datetime | None
    closed_at: datetime | None
    closed_by: Closer | None
    csat: Decimal | None
    csat_max: int | None
    nps: int | None
    crm: str | None
    lead_id: str | None
    deal_id: str | None
    contact_id: str | None
    customer_hash: str | None


RECORDS: tuple[type[Record], ...] = (Lead, Deal, StageChange, Stage, Pipeline, CrmSource, Owner, Contact, SupportRequest)
