"""Tideline, an invented CRM with a plain list API: GET /v1/inquiries?after=0&limit=100 with a token in a header."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from connectors.contract import (
    Answer,
    Call,
    Connector,
    Deletes,
    Endpoint,
    Fate,
    Json,
    Limits,
    Page,
    Reject,
    Ruling,
    Slice,
    Stream,
    Surroundings,
    Verdict,
    Walk,
)
from connectors.errors import OptionError, PayloadError
from connectors.people import customer_hash, impersonal
from connectors.records import Lead, Record, Stage, StageChange
from connectors.secrets import Secret
from connectors.text import clean_name, fold
from connectors.values import key, local_day, money, optional_id, utc, word

INQUIRIES = Stream("inquiries", Lead, is_incremental=True, deletes=Deletes.COUNT)
MOVES = Stream("moves", StageChange, is_append_only=True, only={"entity": "lead"})
STAGES = Stream("stages", Stage, Walk.WHOLE, deletes=Deletes.SWEEP)
A_PERSON_MUST_ACT = {301, 302, 307, 308, 401, 402, 403}


@dataclass(frozen=True)
class TidelineOptions:
    """address: https://NAME.tideline.example; token: from Settings > API."""

    address: str
    token: Secret


class Tideline(Connector):
    OPTIONS: ClassVar[type] = TidelineOptions

    def __init__(self, options: TidelineOptions, surroundings: Surroundings) -> None:
        url = urlsplit(options.address)
        if url.scheme != "https" or not url.hostname:
            raise OptionError("address: must look like https://NAME.tideline.example", hint="copy it from the browser")
        self.limits = Limits(rate=5, burst=20, page=100, parallel=4)
        token = Secret(f"Bearer {options.token.reveal()}")
        self.endpoint = Endpoint(Secret(f"https://{url.hostname}/v1/"), {"Authorization": token})
        self._house = surroundings

    @classmethod
    def open(cls, options: TidelineOptions, surroundings: Surroundings) -> "Tideline":
        return cls(options, surroundings)

    def streams(self) -> Sequence[Stream]:
        return [STAGES, INQUIRIES, MOVES]

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        asked: dict[str, Json] = {"limit": self.limits.page, "sort": "-id" if last else "id"}
        if stream.walk is Walk.WHOLE:
            asked["offset"] = part.start
        elif part.keys is not None:
            asked["ids"] = ",".join(map(str, part.keys))
        else:
            asked["after"] = part.after
        if part.upto is not None:
            asked["upto"] = part.upto
        if part.since is not None:
            asked["changed_since"] = part.since.isoformat(timespec="seconds") + "Z"
        return Call(stream.name, asked, verb="GET")

    def page(self, stream: Stream, body: Json) -> Page:
        page = Page([], [], total=body["total"], more=body["more"]) if is_page(body) else refuse(stream)
        for row in body["rows"]:
            page.keys.append(row["id"])
            page.unknown |= row.keys() - COLUMNS[stream.name]
            try:
                page.records.append(READ[stream.name](row, self._house))
            except ValueError as error:
                page.rejects.append(Reject(str(row["id"]), str(error)))
            except KeyError as error:
                page.rejects.append(Reject(str(row["id"]), "missing", str(error)))
        return page

    def count(self, stream: Stream, body: Json) -> tuple[int, list[int]]:
        return (body["total"], [row["id"] for row in body["rows"]]) if is_page(body) else refuse(stream)

    def verdict(self, answer: Answer) -> Ruling:
        if answer.status == 200 and answer.is_json:
            return Ruling(Verdict.OK)
        reason = f"HTTP {answer.status}"
        if answer.status in A_PERSON_MUST_ACT:
            return Ruling(Verdict.REAUTH, reason, "check the address, and make a new token in Settings > API")
        if answer.status == 429:
            return Ruling(Verdict.SLOW, reason)
        return Ruling(Verdict.FATAL if 400 <= answer.status < 500 else Verdict.RETRY, reason)

    def confirm(self, stream: Stream, key: int) -> Call:
        return Call(f"{stream.name}/{key}", verb="GET")

    def fate(self, stream: Stream, answer: Answer) -> Fate:
        fates = {200: Fate.ALIVE, 403: Fate.HIDDEN, 404: Fate.GONE}
        return fates[answer.status] if answer.status in fates and answer.is_json else refuse(stream)


def is_page(body: Json) -> bool:
    if not (isinstance(body, dict) and isinstance(body.get("rows"), list) and {"total", "more"} <= body.keys()):
        return False
    return all(isinstance(row, dict) and isinstance(row.get("id"), int) for row in body["rows"])


def refuse(stream: Stream) -> Any:
    raise PayloadError(f"{stream.name}: the answer is not what Tideline documents", hint="run the sync again")


UNKNOWN: Any = dict.fromkeys(  # what Tideline does not record
    ["moved_at", "semantics", "contact_id", "is_repeat", "branch", "extra"]
    + [f"utm_{part}" for part in ("source", "medium", "campaign", "content", "term")]
)


def lead(row: Mapping[str, Any], house: Surroundings) -> Record:
    made_at, phone = utc(row["created"]), word(row["phone"])
    return Lead(
        lead_id=str(row["id"]),
        created_at=made_at,
        created_on=local_day(made_at, house.timezone),
        modified_at=utc(row["changed"]),
        stage_id=clean_name(row["stage"]),
        pipeline_id="0",
        owner_id=optional_id(row["manager"]),
        crm_source=impersonal(fold(word(row["source"]))),
        amount=money(row["amount"]),
        currency="RUB",
        customer_hash=customer_hash(house.hash_key, phone=phone),
        has_phone=phone is not None,
        **UNKNOWN,
    )


def move(row: Mapping[str, Any], house: Surroundings) -> Record:
    moved_at = utc(row["moved"])
    inquiry, stage = str(key(row["inquiry"])), clean_name(row["stage"])
    return StageChange("lead", str(row["id"]), inquiry, stage, "0", None, moved_at, local_day(moved_at, house.timezone))


def stage(row: Mapping[str, Any], house: Surroundings) -> Record:
    if row["outcome"] not in ("open", "won", "lost"):
        raise ValueError("unknown outcome")
    return Stage("lead", "0", clean_name(row["stage"]), clean_name(row["title"]), row["outcome"], None)


READ = {"inquiries": lead, "moves": move, "stages": stage}
COLUMNS = {
    "inquiries": {"id", "created", "changed", "stage", "manager", "source", "amount", "phone"},
    "moves": {"id", "inquiry", "stage", "moved"},
    "stages": {"id", "stage", "title", "outcome"},
}
