"""What a subscriber is sent: the text that fits the channel, the files, the mail, the figures for a webhook."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pipeline.couriers import Attachment, Courier, Parcel, bitrix24, telegram, webhook, wecom
from pipeline.document import document_bytes
from pipeline.errors import ConfigError
from pipeline.letters import mail
from pipeline.reports import programme_message, render
from pipeline.reports.mail import MailPage, mail_of
from pipeline.reports.message import CAPTION, ROBOT, SCREEN, message_of, report_week, subject_of
from pipeline.reports.words import words_of
from pipeline.settings import Settings
from pipeline.subscribers import Subscriber

LIMITS = {"telegram": CAPTION, "wecom": ROBOT}
MEDIA = {
    "html": "text/html", "json": "application/json", "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
SCHEMA_VERSION = 1
FIGURES = ("leads", "booking_conversion", "no_show_rate", "average_check")
MONEY = (
    "incremental_revenue", "incremental_profit", "monthly_benefit", "cost", "net", "roi", "payback_months", "one_off_cost",
    "monthly_cost", "margin",
)  # fmt: skip

Json = Any


def courier_of(one: Subscriber, settings: Settings) -> Courier:
    """The way to a subscriber; nothing is opened. Raises ConfigError, which never shows the address."""
    match one.way:
        case "bitrix24":
            return bitrix24(one, settings)
        case "telegram":
            return telegram(one)
        case "wecom":
            return wecom(one)
        case "mail":
            return mail(one, settings.business.name)
    return webhook(one)


def unusable(settings: Settings) -> list[ConfigError]:
    """What is wrong with the addresses in `[[deliveries]]`, as far as can be told without sending anything."""
    found = []
    for one in settings.deliveries:
        try:
            courier_of(one, settings)
        except ConfigError as error:
            found.append(error)
    return found


def text_of(one: Subscriber, settings: Settings, document: Mapping[str, Json], identity: str, *, is_test: bool = False) -> str:
    """The text as the subscriber's channel takes it."""
    say = words_of(language_of(one, settings)).say
    notes = [say("message.test")] if is_test else []
    if one.way == "bitrix24":  # by which a repeat after a crash finds the first one
        notes.append(say("message.identity", identity=identity))
    write = programme_message.message_of if "programme" in document else message_of
    return write(document, language_of(one, settings), LIMITS.get(one.way, SCREEN), note="\n".join(notes))


def parcel_of(
    one: Subscriber, settings: Settings, document: Mapping[str, Json], identity: str, *,
    is_test: bool = False, is_quiet: bool = False,
) -> Parcel:  # fmt: skip
    """Everything that is sent to a subscriber."""
    language = language_of(one, settings)
    say = words_of(language).say
    subject = (programme_message.subject_of if "programme" in document else subject_of)(document, language)
    html, images = "", {}
    if one.way == "mail":
        drawn = _mailed(document_bytes(document), language, say("message.test") if is_test else "", bool(one.kinds))
        html, images = drawn.html, dict(drawn.images)
    payload = payload_of(document, language, identity, is_test=is_test) if one.way == "webhook" else {}
    return Parcel(
        identity=identity,
        subject=say("message.test.subject", subject=subject) if is_test else subject,
        text=text_of(one, settings, document, identity, is_test=is_test),
        files=tuple(_file(document, kind, language) for kind in one.kinds),
        html=html,
        images=images,
        payload=payload,
        is_quiet=is_quiet,
    )


def payload_of(document: Mapping[str, Json], language: str, identity: str, *, is_test: bool) -> dict[str, Json]:
    """What a webhook gets beside the text: which report it is, its verdict and its main figures, as in the document."""
    if "programme" in document:
        return _programme_payload(document, language, identity, is_test=is_test)
    money = document["money"] or {}
    metrics = {name: document["metrics"][name] for name in FIGURES}
    return {
        "schema_version": SCHEMA_VERSION,
        "id": identity,
        "kind": "test" if is_test else "report",
        "language": language,
        "launch": {"name": document["launch"]["name"], "title": document["launch"]["title"]},
        "week": report_week(document).isoformat(),
        "as_of": document["as_of"],
        "currency": document["currency"],
        "verdict": document["verdict"],
        "trust": document["trust"]["score"],
        "figures": {
            name: {
                "pre": (found["pre"] or {}).get("value") if found["a_week"] is None else found["a_week"]["pre"],
                "post": (found["post"] or {}).get("value") if found["a_week"] is None else found["a_week"]["post"],
            }
            for name, found in metrics.items()
        },
        "money": {name: money.get(name) for name in MONEY},
        "document": {
            "schema_version": document["schema_version"],
            "sha256": hashlib.sha256(document_bytes(document)).hexdigest(),
        },
    }


def name_of(document: Mapping[str, Json]) -> str:
    """The name of the launch, or of the programme, that the document is of."""
    return str((document.get("programme") or document["launch"])["name"])


def _programme_payload(document: Mapping[str, Json], language: str, identity: str, *, is_test: bool) -> dict[str, Json]:
    """The whole and its parts: `modules`, `joint` and `rest` sum to `money.amount`."""
    kept = ("as_of", "currency", "is_revenue_based", "money", "rest", "joint")
    figures = ("name", "title", "state", "amount", "cost", "saved", "net", "roi")
    return {
        "schema_version": SCHEMA_VERSION,
        "id": identity,
        "kind": "test" if is_test else "programme",
        "language": language,
        "programme": document["programme"],
        "week": report_week(document).isoformat(),
        **{name: document[name] for name in kept},
        "modules": [{name: one[name] for name in figures} for one in document["modules"]],
        "trust": document["trust"]["score"],
        "document": {
            "schema_version": document["schema_version"],
            "sha256": hashlib.sha256(document_bytes(document)).hexdigest(),
        },
    }


def language_of(one: Subscriber, settings: Settings) -> str:
    """The subscriber's language, else that of the reports."""
    return one.language or settings.business.language


def _file(document: Mapping[str, Json], kind: str, language: str) -> Attachment:
    name = re.sub(r"[^\w.-]", "_", name_of(document)).lstrip(".")
    content = _rendered(document_bytes(document), kind, language)
    return Attachment(f"{name}-{document['as_of'][:10]}.{kind}", content, MEDIA[kind])


# One report goes to several people: a second or two of drawing for each would add up.
@lru_cache(maxsize=8)
def _rendered(content: bytes, kind: str, language: str) -> bytes:
    return render(json.loads(content), kind, language)


@lru_cache(maxsize=4)
def _mailed(content: bytes, language: str, note: str, has_files: bool) -> MailPage:
    document = json.loads(content)
    write = programme_message.mail_of if "programme" in document else mail_of
    return write(document, language, note=note, has_files=has_files)
