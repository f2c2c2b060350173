"""The report as the HTML of an e-mail: tables and inline styles only, as mail programs show them, charts as images by cid.

A pure function of the document: the same document gives the same bytes. No script, no style sheet, no address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.reports.charts import png_of, waterfall, weekly_chart
from pipeline.reports.html import FOLDER
from pipeline.reports.message import untied
from pipeline.reports.page import Page, page_of

Json = Any
WIDTH = 560  # pixels of the widest thing: what every mail program has room for
HEIGHT = 260
N_FINDINGS = 5
TONES = {"good": "#0f766e", "bad": "#b3261e", "open": "#1b2330"}


@dataclass(frozen=True, slots=True)
class MailPage:
    """The HTML, and its images (PNG) by the cid it calls them by."""

    html: str
    images: Mapping[str, bytes]


def mail_of(document: Mapping[str, Json], language: str, *, note: str = "", has_files: bool = True) -> MailPage:
    """The mail of a document; `note` stands at the top. Raises KeyError for a language without a catalogue."""
    page = page_of(document, language)
    drawn = {
        "weekly": png_of(lambda: weekly_chart(page.weeks, page.launch_label, width=WIDTH, height=HEIGHT, name="mail")),
        "parts": png_of(lambda: waterfall(page.parts, width=WIDTH, name="mail")) if page.parts else None,
    }
    images = {f"{name}@payback": image for name, image in drawn.items() if image is not None}
    html: str = mail_template("mail.html.j2").render(
        page=page, say=page.numbers.words.say, note=note, has_files=has_files, images=images, width=WIDTH, tones=TONES,
        n_findings=N_FINDINGS, parts_label=_label(page),
    )  # fmt: skip
    return MailPage(html, images)


def _label(page: Page) -> str:
    return "; ".join(f"{part.title}: {part.text}" for part in page.parts)


@cache
def mail_template(name: str) -> Any:
    """A mail's template. Every value is escaped; names that a mail program would make a link are untied."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: untied(value) if type(value) is str else value,
    )  # fmt: skip
    return environment.get_template(name)
