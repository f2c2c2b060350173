"""Faults planted into the Bitrix24 connector: each is a mistake that somebody made once, in some client."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from connectors.bitrix24 import Bitrix24, rows
from connectors.contract import Answer, Call, Fate, Json, Meter, Page, Ruling, Slice, Stream, Verdict
from connectors.people import customer_hash
from connectors.values import utc

Plant = Callable[[pytest.MonkeyPatch], None]

def _edited(call: Call, **changes: Any) -> Call:
    return replace(call, params={**call.params, **changes})


class SinceWithoutOffset(Bitrix24):
    """The start of the window is sent as wall time without an offset."""

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        call = super().call(stream, part, count=count, last=last)
        asked = dict(call.params.get("filter", {}))
        if ">=DATE_MODIFY" in asked:
            asked[">=DATE_MODIFY"] = asked[">=DATE_MODIFY"][:19]
        return _edited(call, filter=asked) if asked else call


class NoUpperBound(Bitrix24):
    """Shards do not end."""

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        return super().call(stream, replace(part, upto=None), count=count, last=last)


class CursorTooFar(Bitrix24):
    """The next page starts one key too late."""

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        if isinstance(part.after, int) and part.after and not count:
            part = replace(part, after=part.after + 1)
        return super().call(stream, part, count=count, last=last)


class CursorTooNear(Bitrix24):
    """The next page starts with the last row of this one."""

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        if isinstance(part.after, int) and part.after:
            part = replace(part, after=part.after - 1)
        return super().call(stream, part, count=count, last=last)


class WrongReference(Bitrix24):
    """A chained page starts after the last row but one."""

    def chain(self, stream: Stream, name: str) -> str:
        return super().chain(stream, name).replace(f"[{self.limits.page - 1}]", f"[{self.limits.page - 2}]")


class NoOrder(Bitrix24):
    """The order is left to the portal."""

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        call = super().call(stream, part, count=count, last=last)
        return replace(call, params={name: value for name, value in call.params.items() if name != "order"})


class UncountedCount(Bitrix24):
    """Counts are asked with start=-1, which gives total 0, and 0 is believed."""

    def call(self, stream: Stream, part: Slice, *, count: bool = False, last: bool = False) -> Call:
        call = super().call(stream, part, count=count, last=last)
        return _edited(call, start=-1) if count else call


class FailedMeansEmpty(Bitrix24):
    """A command that failed inside a batch is taken for an empty page."""

    def unpack(self, body: Json, names: Sequence[str]) -> dict[str, Answer]:
        answers = super().unpack(body, names)
        return {
            name: Answer(200, {"result": []}) if answer.status == 400 and answer.body.get("error") else answer
            for name, answer in answers.items()
        }


class AbsentMeansEmpty(Bitrix24):
    """A command without any answer is taken for an empty page."""

    def unpack(self, body: Json, names: Sequence[str]) -> dict[str, Answer]:
        return dict.fromkeys(names, Answer(200, {"result": []})) | super().unpack(body, names)


class ListsAreDropped(Bitrix24):
    """Members of a batch answer that PHP wrote as a list are thrown away, with them every answer beside an empty member."""

    def unpack(self, body: Json, names: Sequence[str]) -> dict[str, Answer]:
        inner = body["result"]
        return {} if isinstance(inner.get("result_error"), list) else super().unpack(body, names)


class PlusUnescaped(Bitrix24):
    """The + of an offset arrives as a space."""

    def pack(self, calls: Mapping[str, Call]) -> Call:
        call = super().pack(calls)
        return _edited(call, cmd={name: text.replace("%2B", "+") for name, text in call.params["cmd"].items()})


class SkipsRejects(Bitrix24):
    """Rows that cannot be read vanish without a trace."""

    def page(self, stream: Stream, body: Json) -> Page:
        page = super().page(stream, body)
        page.rejects.clear()
        return page


class BlindToDrift(Bitrix24):
    """New columns are not reported."""

    def page(self, stream: Stream, body: Json) -> Page:
        page = super().page(stream, body)
        page.unknown = frozenset()
        return page


class ClipsTheFuture(Bitrix24):
    """Rows dated ahead of the clock are left for later."""

    def page(self, stream: Stream, body: Json) -> Page:
        page = super().page(stream, body)
        now = self.meter(body).now
        page.records = [row for row in page.records if not (now and (stamp := getattr(row, "modified_at", None)) and stamp > now)]
        return page


class OnePageOfOwners(Bitrix24):
    """Only the first page of a list paged by offset is read."""

    def page(self, stream: Stream, body: Json) -> Page:
        page = super().page(stream, body)
        page.more = False
        return page


class HiddenIsGone(Bitrix24):
    """A row we may no longer see counts as deleted."""

    def fate(self, stream: Stream, answer: Answer) -> Fate:
        fate = super().fate(stream, answer)
        return Fate.GONE if fate is Fate.HIDDEN else fate


class NothingIsGone(Bitrix24):
    """A row that does not exist counts as hidden."""

    def fate(self, stream: Stream, answer: Answer) -> Fate:
        fate = super().fate(stream, answer)
        return Fate.HIDDEN if fate is Fate.GONE else fate


class RetriesAuth(Bitrix24):
    """A dead webhook is tried again, and again."""

    def verdict(self, answer: Answer) -> Ruling:
        ruling = super().verdict(answer)
        return Ruling(Verdict.RETRY, ruling.reason) if ruling.verdict is Verdict.REAUTH else ruling


class GivesUpOnHtml(Bitrix24):
    """A gateway's error page ends the sync."""

    def verdict(self, answer: Answer) -> Ruling:
        return super().verdict(answer) if answer.is_json else Ruling(Verdict.FATAL, "no JSON")


class LeaksWebhook(Bitrix24):
    """The webhook's address is part of an error text."""

    def verdict(self, answer: Answer) -> Ruling:
        ruling = super().verdict(answer)
        return replace(ruling, reason=f"{ruling.reason} at {self.endpoint.base.reveal()}")


class LogsRows(Bitrix24):
    """Rows are logged while debugging, phones and all."""

    def page(self, stream: Stream, body: Json) -> Page:
        logging.getLogger("connectors.bitrix24").debug("page of %s: %s", stream.name, body)
        return super().page(stream, body)


class ShowsValues(Bitrix24):
    """The reason of a reject holds the value."""

    def page(self, stream: Stream, body: Json) -> Page:
        page = super().page(stream, body)
        texts = {str(row.get("ID")): row.get("OPPORTUNITY") for row in body["result"]} if isinstance(body["result"], list) else {}
        page.rejects = [replace(one, reason=f"{one.reason}: {texts.get(one.key or '')}") for one in page.rejects]
        return page


class OurClock(Bitrix24):
    """The server's clock is ignored: windows follow ours, which may be hours ahead."""

    def meter(self, body: Json) -> Meter:
        return replace(super().meter(body), now=None)


def _parsing(record: str, column: str, parse: Callable[[Any], Any]) -> Plant:
    """One column of one record is parsed wrongly."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        plan = [(name, parse if name == column else known) for name, known in getattr(rows, record)]
        monkeypatch.setattr(rows, record, tuple(plan))

    return plant


def _raw_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phones are kept as they are instead of hashed."""
    monkeypatch.setattr(rows, "person", lambda phones, emails, reading: phones[0] if phones else None)


def _day_of_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The business day is taken from UTC."""
    monkeypatch.setattr(rows, "local_day", lambda at, tz: at.date())


def _first_phone_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """People without a phone are not told apart by their e-mail."""
    monkeypatch.setattr(
        rows, "person", lambda phones, emails, reading: customer_hash(reading.hash_key, phone=phones[0] if phones else None)
    )


# Mutant: the family of trials and the check that must catch it.
CONNECTORS: dict[type[Bitrix24], tuple[str, str]] = {
    SinceWithoutOffset: ("nightly", "newest"),
    NoUpperBound: ("completeness", "error"),
    CursorTooFar: ("completeness", "complete"),
    CursorTooNear: ("completeness", "error"),
    WrongReference: ("completeness", "error"),
    NoOrder: ("completeness", "error"),
    UncountedCount: ("deletions", "deletes"),
    FailedMeansEmpty: ("faults", "complete"),
    AbsentMeansEmpty: ("faults", "error"),
    ListsAreDropped: ("completeness", "error"),
    PlusUnescaped: ("nightly", "newest"),
    SkipsRejects: ("dirt", "rejects"),
    BlindToDrift: ("dirt", "drift"),
    ClipsTheFuture: ("stamps", "newest"),
    OnePageOfOwners: ("completeness", "complete"),
    HiddenIsGone: ("rights", "rights"),
    NothingIsGone: ("deletions", "deletes"),
    RetriesAuth: ("locked_out", "access"),
    GivesUpOnHtml: ("faults", "error"),
    LeaksWebhook: ("locked_out", "secrets"),
    LogsRows: ("completeness", "secrets"),
    ShowsValues: ("dirt", "secrets"),
    OurClock: ("stamps", "newest"),
}
PARSERS: dict[str, Plant] = {
    "local time as UTC": _parsing("LEAD", "DATE_CREATE", lambda text: utc(text[:19] + "Z")),
    "0 is a link": _parsing("LEAD", "CONTACT_ID", lambda value: value if value is None else str(value)),
    "money as float": _parsing("DEAL", "OPPORTUNITY", lambda value: value if value is None else float(value)),
    "UTM as typed": _parsing("LEAD", "UTM_SOURCE", lambda value: value),
    "phone kept": _raw_phone,
    "day of UTC": _day_of_utc,
    "phone only": _first_phone_only,
}
