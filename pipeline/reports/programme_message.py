"""The report of a programme as a message and as a mail: the whole, whose it is, and what cannot be told apart.

Pure functions of the document and the language. A message that is too long leaves out whole lines, as that of a launch does.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from pipeline.ladder import TRUST_THRESHOLD
from pipeline.reports.mail import WIDTH, MailPage, mail_template
from pipeline.reports.message import SCREEN, SHORT_TITLE, Limit, report_week, shortened, untied
from pipeline.reports.programme import ProgrammePage, programme_page
from pipeline.reports.words import plain

Json = Any
# What is left out first stands first. Never left out: the week, the programme, the whole, how far to trust it.
LEAVE_OUT = ("pair", "told", "known", "caution", "part")


def message_of(document: Mapping[str, Json], language: str, limit: Limit = SCREEN, *, note: str = "") -> str:
    """The message; `note` is a last line that always stays. Raises KeyError for a language without a catalogue."""
    page = programme_page(document, language)
    text, left_out = "", set[str]()
    for name in ("", *LEAVE_OUT):
        left_out.add(name)
        lines = [line for of, line in _lines(page, document) if of not in left_out]
        text = untied("\n".join([*lines, *([note] if note else [])]))
        if limit.size(text) <= limit.most:
            break
    return text


def subject_of(document: Mapping[str, Json], language: str) -> str:
    """The subject of a mail: programme, week, the whole."""
    numbers = programme_page(document, language).numbers
    title = shortened(plain(document["programme"]["title"]), SHORT_TITLE)
    week, amount = report_week(document).isocalendar().week, document["money"]["amount"]["estimate"]
    told = {"programme": title, "number": str(week), "amount": numbers.money(amount, is_signed=True)}
    return numbers.words.say("message.programme.subject", **told)


def mail_of(document: Mapping[str, Json], language: str, *, note: str = "", has_files: bool = True) -> MailPage:
    """The mail; `note` stands at the top."""
    page = programme_page(document, language)
    html: str = mail_template("programme_mail.html.j2").render(
        page=page, say=page.numbers.words.say, note=note, has_files=has_files, width=WIDTH,
        caution=_caution(page, document),
    )  # fmt: skip
    return MailPage(html, {})


def _lines(page: ProgrammePage, document: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """(when it is left out, the line)."""
    numbers, say = page.numbers, page.numbers.words.say
    monday = report_week(document)
    span = numbers.span(monday, monday + timedelta(days=7))
    week, moment = str(monday.isocalendar().week), numbers.moment(document["as_of"])
    yield "week", say("message.week", number=week, span=span, moment=moment)
    if document["known_on"] != document["as_of"][:10]:
        yield "known", say("message.known_on", day=numbers.day(date.fromisoformat(document["known_on"])))
    yield "programme", say("message.programme", programme=shortened(page.title, SHORT_TITLE))
    if caution := _caution(page, document):
        yield "caution", caution
    yield "whole", page.told[0]
    yield from (("told", sentence) for sentence in page.told[1:])
    for part in page.parts:
        told = {"title": part.title, "amount": part.text, "range": part.interval or ""}
        yield "part", say("message.part", **told)
    yield from (("pair", pair) for pair in page.pairs)
    yield "trust", say("trust.score", score=numbers.whole(document["trust"]["score"]))


def _caution(page: ProgrammePage, document: Mapping[str, Json]) -> str:
    return page.numbers.words.say("caution") if document["trust"]["score"] < TRUST_THRESHOLD else ""
