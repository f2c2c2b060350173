"""From simulated lives to the columns a portal serves, with the untidiness of a real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import MISSING, Choices, Column, Moments, Money, Multifield, Numbers, Texts
from .directory import DISMISSED_ID, OWNER_IDS
from .funnel import DAY, OFFSET, Flags, Floats, Ints, Track
from .people import (
    CALLS,
    CAMPAIGNS,
    CHANNELS,
    draw_tags,
    first_name,
    last_name,
    phone,
)
from .schema import BRANCH, SERVICE, SERVICES

BRANCHES = ("Тверская", "Сокол", "Митино")
_SPOILT_SHARE = 0.0008  # of the rows that may be spoilt: about 0.05 % of all
_NO_PHONE_SHARE = 0.03
_TITLES = ("Заявка с сайта #{}", "Лид #{}", "Входящий звонок #{}", "WhatsApp: новая заявка {}", "Запись через бота {}")


@dataclass(frozen=True, slots=True)
class Inquiries:
    """Who asked, when, where from and about what; arrays by lead in order of creation."""

    ids: Ints
    created: Ints
    channel: NDArray[np.int64]
    person: NDArray[np.int64]
    amount: Floats
    owner: NDArray[np.int32]
    branch: NDArray[np.int16]
    service: NDArray[np.int16]
    has_phone: Flags
    tag: NDArray[np.int16]
    campaign: NDArray[np.int16]
    tag_labels: list[str | None]

    def first(self, n: int) -> Inquiries:
        """The first n of them."""
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "tag_labels"}
        return Inquiries(**{name: array[:n] for name, array in arrays.items()}, tag_labels=self.tag_labels)


@dataclass(frozen=True, slots=True)
class Deals:
    ids: Ints
    columns: dict[str, Column]


def draw_inquiries(
    rng: np.random.Generator,
    created: Ints,
    channel: NDArray[np.int64],
    person: NDArray[np.int64],
    amount: Floats,
    dismissed_at: int,
) -> Inquiries:
    n = len(created)
    owners = np.array(OWNER_IDS, np.int32)
    owner = owners[rng.integers(0, len(owners), n)]
    owner[(created > dismissed_at) & (owner == DISMISSED_ID)] = owners[0]
    tags, labels = draw_tags(rng, channel)
    return Inquiries(
        ids=np.cumsum(rng.integers(1, 4, n)).astype(np.int64) + 100,
        created=created,
        channel=channel,
        person=person,
        amount=amount,
        owner=owner,
        branch=rng.choice(len(BRANCHES) + 1, n, p=[0.48, 0.3, 0.19, 0.03]).astype(np.int16),
        service=rng.integers(0, len(SERVICES) + 1, n).astype(np.int16),
        has_phone=(rng.random(n) >= _NO_PHONE_SHARE) | (channel == CALLS),
        tag=tags,
        campaign=np.where(tags > 1, rng.integers(1, len(CAMPAIGNS) + 1, n), 0).astype(np.int16),
        tag_labels=labels,
    )


@dataclass(frozen=True, slots=True)
class Contacts:
    """A contact for every person who has booked, in order of the first booking.

    `lead`, `person`, `created` by contact; `of_lead`: the contact id of each lead, 0 while there is none.
    """

    lead: NDArray[np.intp]
    person: NDArray[np.int64]
    created: Ints
    of_lead: Ints

    @classmethod
    def of(cls, given: Inquiries, booked: Ints) -> Contacts:
        """`booked`: when each lead booked, MISSING for those that have not."""
        rows = np.flatnonzero(booked != MISSING)
        rows = rows[np.argsort(booked[rows], kind="stable")]
        lead = rows[np.sort(np.unique(given.person[rows], return_index=True)[1])]
        person, created = given.person[lead], booked[lead]
        place = np.full(int(given.person.max(initial=0)) + 1, -1)
        place[person] = np.arange(len(lead))
        contact = place[given.person]
        has_contact = contact >= 0
        # A lead that came before the contact and did not book itself was never linked to it.
        knows = given.created >= created[contact] if len(lead) else has_contact
        is_linked = has_contact & ((booked != MISSING) | knows)
        return cls(lead, person, created, np.where(is_linked, 2 * contact + 5, 0).astype(np.int64))

    @property
    def ids(self) -> Ints:
        return 2 * np.arange(len(self.lead), dtype=np.int64) + 5


def lead_columns(
    given: Inquiries, track: Track, semantic: dict[str, str], contacts: Contacts, may_spoil: Flags, now: int
) -> dict[str, Column]:
    n = len(given.ids)
    person, ids, has_phone = given.person.tolist(), given.ids.tolist(), given.has_phone.tolist()
    semantics = _semantics(track, semantic)
    columns = _shared_columns(given, np.arange(n), given.ids, track, given.created, now) | {
        "ID": Numbers(given.ids.copy()),
        "TITLE": Texts(lambda rows: [_TITLES[ids[row] % len(_TITLES)].format(ids[row]) for row in rows], n),
        "NAME": Texts(lambda rows: [_name(person[row], ids[row]) for row in rows], n),
        "LAST_NAME": Texts(lambda rows: [last_name(person[row]) if ids[row] % 3 else None for row in rows], n),
        "CONTACT_ID": Numbers(contacts.of_lead.copy(), "null"),
        "IS_RETURN_CUSTOMER": Choices(_returned(given).astype(np.int16), ["N", "Y"]),
        "STATUS_ID": Choices(track.stage.copy(), track.stages),
        "STATUS_SEMANTIC_ID": Choices(semantics, ["P", "S", "F"]),
        "OPPORTUNITY": Money(np.where(semantics == 1, given.amount, 0.0)),
        "HAS_PHONE": Choices(given.has_phone.astype(np.int16), ["N", "Y"]),
        "DATE_CLOSED": Moments(np.where(semantics > 0, track.moved, MISSING)),
        "PHONE": Multifield(phones := _phones(person, has_phone), n),
        "FM": Multifield(phones, n, is_fm=True),
    }
    _spoil(columns, given.ids, may_spoil)
    return columns


def deal_columns(
    given: Inquiries,
    dealt: NDArray[np.intp],
    track: Track,
    semantic: dict[str, str],
    contacts: Contacts,
    may_spoil: Flags,
    has_lead_id: bool,
    now: int,
) -> Deals:
    """`dealt`: the lead of each deal, in order of the deals' creation."""
    n = len(dealt)
    created = track.history_at[track.is_first]
    ids = _numbered(n, 10)
    semantics = _semantics(track, semantic)
    began = (created + OFFSET) // DAY * DAY
    columns = _shared_columns(given, dealt, ids, track, created, now) | {
        "ID": Numbers(ids.copy()),
        "TITLE": Texts(lambda rows: [f"Сделка #{ids[row]}" for row in rows], n),
        "TYPE_ID": Choices(np.zeros(n, np.int16), ["SALE"]),
        "STAGE_ID": Choices(track.stage.copy(), track.stages),
        "STAGE_SEMANTIC_ID": Choices(semantics, ["P", "S", "F"]),
        "OPPORTUNITY": Money(given.amount[dealt]),
        "LEAD_ID": Numbers(given.ids[dealt] if has_lead_id else np.zeros(n, np.int64), "null"),
        "CONTACT_ID": Numbers(contacts.of_lead[dealt], "null"),
        "IS_RETURN_CUSTOMER": Choices(_returned(given)[dealt].astype(np.int16), ["N", "Y"]),
        "BEGINDATE": Moments(began),
        "CLOSEDATE": Moments(began + 7 * DAY),
        "CLOSED": Choices((semantics > 0).astype(np.int16), ["N", "Y"]),
    }
    _spoil(columns, ids, may_spoil)
    return Deals(ids, columns)


def contact_columns(given: Inquiries, contacts: Contacts) -> dict[str, Column]:
    person, n = contacts.person.tolist(), len(contacts.lead)
    return {
        "ID": Numbers(contacts.ids),
        "NAME": Texts(lambda rows: [first_name(person[row]) for row in rows], n),
        "LAST_NAME": Texts(lambda rows: [last_name(person[row]) for row in rows], n),
        "TYPE_ID": Choices(np.zeros(n, np.int16), ["CLIENT"]),
        "LEAD_ID": Numbers(given.ids[contacts.lead], "null"),
        "ASSIGNED_BY_ID": Numbers(given.owner[contacts.lead]),
        "DATE_CREATE": Moments(contacts.created.copy()),
        "DATE_MODIFY": Moments(contacts.created.copy()),
        "LAST_ACTIVITY_TIME": Moments(contacts.created.copy()),
        "PHONE": Multifield(phones := _phones(person, [True] * n), n),
        "FM": Multifield(phones, n, is_fm=True),
    }


def history_columns(track: Track, owner_ids: Ints, semantic: dict[str, str], prefix: str) -> dict[str, Column]:
    of_stage = np.array(["PSF".index(semantic[stage]) for stage in track.stages], np.int16)
    semantics = of_stage[track.history_stage]
    kind = np.where(track.is_first, 1, np.where(semantics > 0, 3, 2))
    return {
        "ID": Numbers(_numbered(len(track.owner), 50)),
        "TYPE_ID": Numbers(kind.astype(np.int32)),
        "OWNER_ID": Numbers(owner_ids[track.owner]),
        "CREATED_TIME": Moments(track.history_at.copy()),
        f"{prefix}_SEMANTIC_ID": Choices(semantics, ["P", "S", "F"]),
        f"{prefix}_ID": Choices(track.history_stage.copy(), track.stages),
    }


def _shared_columns(
    given: Inquiries, rows: NDArray[np.intp], ids: Ints, track: Track, created: Ints, now: int
) -> dict[str, Column]:
    """What leads and deals have alike."""
    # Some records are edited after their last move. Drawn from id and move, not from a sequence, so that a portal
    # served a day later shows the same edits.
    u_edit = _uniform(ids, track.moved)
    edited = track.moved + 60 + (u_edit * 10 * DAY).astype(np.int64)
    modified = np.where((u_edit < 0.2) & (edited <= now), edited, track.moved)
    tags, channel = given.tag[rows], given.channel[rows]
    mediums: list[str | None] = [None, *(each.utm_medium or None for each in CHANNELS)]
    return {
        "SOURCE_ID": Choices(channel.astype(np.int16), [each.source for each in CHANNELS]),
        "ASSIGNED_BY_ID": Numbers(given.owner[rows]),
        "DATE_CREATE": Moments(created.copy()),
        "DATE_MODIFY": Moments(modified),
        "MOVED_TIME": Moments(track.moved.copy()),
        "LAST_ACTIVITY_TIME": Moments(modified.copy()),
        "UTM_SOURCE": Choices(tags, given.tag_labels),
        "UTM_MEDIUM": Choices(np.where(tags > 1, channel + 1, 0).astype(np.int16), mediums),
        "UTM_CAMPAIGN": Choices(given.campaign[rows], [None, *CAMPAIGNS]),
        BRANCH: Choices(given.branch[rows], [*BRANCHES, None]),
        SERVICE: Choices(given.service[rows], [*SERVICES, None]),
    }


def _spoil(columns: dict[str, Column], ids: Ints, may_spoil: Flags) -> None:
    """Make a few of the permitted rows unreadable, as people and imports do."""
    for row in np.flatnonzero(may_spoil & (_uniform(ids, ids) < _SPOILT_SHARE)).tolist():
        if ids[row] % 2:
            columns["DATE_CREATE"].odd[row] = "0000-00-00T00:00:00+03:00"
        else:
            columns["OPPORTUNITY"].odd[row] = "12 000 руб"


def _uniform(ids: Ints, salt: Ints) -> Floats:
    """A number in [0, 1) for each id, the same whatever else there is (splitmix64)."""
    x = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + salt.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((x ^ (x >> np.uint64(31))) / 2.0**64)


def _numbered(n: int, first: int) -> Ints:
    """Ascending ids with gaps, as counters shared with deleted records leave them."""
    return np.asarray(first + np.cumsum(1 + np.arange(n) % 7 // 6), np.int64)


def _semantics(track: Track, semantic: dict[str, str]) -> NDArray[np.int16]:
    return np.array(["PSF".index(semantic[stage]) for stage in track.stages], np.int16)[track.stage]


def _returned(given: Inquiries) -> Flags:
    """Leads of people who had written before."""
    is_again = np.ones(len(given.person), bool)
    is_again[np.unique(given.person, return_index=True)[1]] = False
    return is_again


def _phones(person: list[int], has_phone: list[bool]) -> Any:
    return lambda rows: [phone(person[row], person[row] + row) if has_phone[row] else None for row in rows]


def _name(person: int, id_: int) -> str | None:
    return "" if id_ % 41 == 0 else None if id_ % 43 == 0 else first_name(person)


