"""The report as one whole: its contents, what stands in every kind of it, and the moment of its data."""

import copy
import re
from io import BytesIO

import pytest
from lxml import html as parser
from openpyxl import load_workbook

from pipeline.reports import render
from pipeline.reports.message import message_of
from pipeline.reports.words import LANGUAGES, words_of

ANSI = re.compile(r"\x1b\[[0-9;]*m")
pytestmark = pytest.mark.xdist_group("reports")


def plain(text: str) -> str:
    """The text without styles, without what keeps lines together, with single spaces."""
    return " ".join(ANSI.sub("", text).replace("\u2060", "").replace("\u00a0", " ").split())


def kinds(document, language):
    """Everything a reader sees, by kind."""
    book = load_workbook(BytesIO(render(document, "xlsx", language)))
    cells = (str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None)
    page = parser.document_fromstring(render(document, "html", language).decode())
    terminal = render(document, "terminal", language).decode()
    return {"html": plain(page.text_content()), "xlsx": plain(" ".join(cells)), "terminal": plain(terminal)}


def test_the_contents_name_every_section_in_its_order(rendered):
    tree = parser.document_fromstring(rendered("monday", "html", "en"))
    headings = [(f"#{found.get('id')}", found.text_content()) for found in tree.xpath("//h2")]
    assert [(link.get("href"), link.text_content()) for link in tree.xpath("//nav//a")] == headings[1:]  # all but the verdict
    assert len(set(headings)) == len(headings) > 15


@pytest.mark.parametrize("language", ["ru", *(pytest.param(one, marks=pytest.mark.thorough) for one in LANGUAGES if one != "ru")])
def test_no_rate_for_the_currency_is_said(paying, language):
    """In one line of every kind; a document from before there were rates says nothing."""
    sentence = plain(words_of(language).say("elsewhere.none", currency="RUB"))
    without = {**paying, "hurdles": []}
    # Chinese lines end anywhere.
    for kind, text in kinds(without, language).items():
        assert sentence.replace(" ", "") in text.replace(" ", ""), kind


def test_rates_stand_in_every_kind(documents, paying):
    line = "Deposit, 15% a year: "
    found = kinds(documents["monday"], "en")
    assert line in found["xlsx"]
    assert line in found["terminal"]
    assert "Deposit" in found["html"]
    old = {name: value for name, value in paying.items() if name != "hurdles"}
    assert "benchmarks.toml" not in render(old, "terminal", "en").decode()


def test_the_terminal_has_the_changes_and_the_visits_nobody_closed(rendered):
    text = plain(rendered("monday", "terminal", "en"))
    assert "What changed since the last report" in text
    assert "₽35,120 +₽1,200 −₽610 +₽2,987 ₽38,697" in text
    assert "Visits nobody closed, by employee: Борис Константинопольский-Задунайский (12), Анна Петрова (5)" in text


def test_the_data_carry_the_time_of_the_newest_of_them(paying):
    """Of a report for a day: the time where they came on that day, else the day alone."""
    document = copy.deepcopy(paying) | {"timezone": "Europe/Moscow"}
    source = document["provenance"]["sources"][0]
    for seen, told in (("2026-08-03T00:00:09", "03.08.2026, 03:00"), ("2026-08-02T20:59:00", "03.08.2026")):
        source["last_seen_at"] = seen
        page = plain(parser.document_fromstring(render(document, "html", "ru").decode()).xpath("//header")[0].text_content())
        assert re.search(r"[Дд]анные на ([\d.]+(?:, \d\d:\d\d)?)", page)[1] == told
        assert f"данные на {told} " in plain(message_of(document, "ru")) + " "
