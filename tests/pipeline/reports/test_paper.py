"""Awkward launches on paper: words and figures are there, nothing leaves the sheet, no heading stands alone, no page is empty."""

import copy
import importlib.util
import re

import pytest
from lxml import html as parser

from pipeline.launches import LaunchCosts
from pipeline.reports import render
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from tests.pipeline.reports import monday_made
from tests.pipeline.reports.conftest import scaled

pdfium = pytest.importorskip("pypdfium2")
if importlib.util.find_spec("weasyprint") is None:
    pytest.skip("WeasyPrint is not installed", allow_module_level=True)
try:
    import weasyprint  # noqa: F401
except OSError as missing:
    pytest.skip(f"no Pango on this machine: {missing}", allow_module_level=True)

pytestmark = [pytest.mark.thorough, pytest.mark.xdist_group("reports")]  # the documents are made once: by one worker
EDGE = 24  # points; nothing may be written nearer to the sheet's edge
FOOT = 15 / 25.4 * 72  # points: the margin with the page's number
EMPTY = 150  # characters; a page with fewer has no reason to be there


def boundless(paying):
    """10^12 of a currency without a sign, never paid back, one channel with names of every script and of 200 characters."""
    document = scaled(monday_made.monday(paying), 1e12 / paying["money"]["benefit"]["estimate"])
    document |= {"currency": "KZT", "control": None, "by": copy.deepcopy(document["by"])}
    document["money"] |= {"payback_months": {"estimate": None, "low": None, "high": None}, "p_never_pays_back": 1.0}
    document["by"]["channel"] = document["by"]["channel"][:1]
    document["by"]["channel"][0] |= {"key": monday_made.LONG[:200], "title": None}
    document["by"]["owner"] = [
        {**document["by"]["owner"][0], "key": str(n), "title": name} for n, name in enumerate(monday_made.OTHER_SCRIPTS)
    ]
    document["launch"]["title"] = "🎉 קמפיין חדש " + "очень длинное название " * 12
    return document


@pytest.fixture(scope="module")
def papers(documents, paying, measured):
    """name -> (document, language, texts of its pages, boxes of what is written on them, their last lines)."""
    found = {
        "a full Monday": (documents["monday"], "ru"),
        "boundless": (boundless(paying), "zh"),
        "harm without costs": (measured(lift=-0.6, costs=LaunchCosts()), "ru"),
        "no margin": (documents["no margin"], "en"),
        "one week without visits": (documents["one week"], "en"),
    }
    return {name: (told, language, *written(render(told, "pdf", language))) for name, (told, language) in found.items()}


def written(content):
    """Of every page its text, the box around what is written on it (left, bottom, right, top; points), and its last line."""
    document, texts, boxes, last = pdfium.PdfDocument(content), [], [], []
    for page in document:
        text = page.get_textpage()
        texts.append(text.get_text_bounded())
        rects = [text.get_rect(n) for n in range(text.count_rects())]
        boxes.append((*(min(rect[n] for rect in rects) for n in (0, 1)), *(max(rect[n] for rect in rects) for n in (2, 3))))
        lowest = min((rect for rect in rects if rect[1] > FOOT), key=lambda rect: rect[1])
        last.append(text.get_text_bounded(0, lowest[1], 595, lowest[3]))
        text.close()
        page.close()
    document.close()
    return texts, boxes, last


def letters(text):
    """What is left when paper has broken its lines: no white space, joiners or hyphenation marks."""
    return re.sub(r"[\s\u2060\u00ad\ufffe\u0002]", "", text)


NAMES = ("a full Monday", "boundless", "harm without costs", "no margin", "one week without visits")


@pytest.mark.parametrize("name", NAMES)
def test_paper_says_the_verdict_and_the_key_figures(papers, name):
    document, language, texts, _, _ = papers[name]
    page, seen = page_of(document, language), letters("".join(texts))
    wanted = [page.verdict.word, page.verdict.reason, page.trust, *page.verdict.details]
    wanted += [text for tile in page.tiles for text in (tile.title, tile.value, tile.before, tile.change, tile.interval) if text]
    wanted += [line.title for line in page.money] + [line.value for line in page.money]
    wanted += [finding.text for finding in page.findings] + [row[0] for row in page.unclosed.rows] if page.unclosed else []
    assert [text for text in wanted if letters(text) not in seen] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_beyond_the_margins_and_no_page_is_empty(papers, name):
    _, _, texts, boxes, _ = papers[name]
    assert 3 < len(texts) <= 13
    for n, (text, (left, bottom, right, top)) in enumerate(zip(texts, boxes, strict=True), start=1):
        assert left > EDGE, n
        assert right < 595 - EDGE, n
        assert bottom > EDGE / 2, n
        assert top < 842 - EDGE, n
        assert len(letters(text)) > EMPTY, n
        assert letters(f"{n}/{len(texts)}") in letters(text)


@pytest.mark.parametrize("name", NAMES)
def test_no_heading_stands_alone_at_the_foot_of_a_page(papers, name):
    document, language, _, _, last = papers[name]
    tree = parser.document_fromstring(render(document, "html", language).decode())
    headings = {letters("".join(heading.itertext())) for heading in tree.xpath("//h1|//h2|//h3|//thead/tr|//summary")}
    assert [line for line in last if letters(line) in headings or not letters(line)] == []


def test_what_was_not_given_is_said_on_paper(papers):
    seen, other = (letters("".join(papers[name][2])) for name in ("harm without costs", "boundless"))
    for told in ("не учтено", "расходы не указаны", "Вредит"):
        assert letters(told) in seen
    assert letters(numbers_of("zh", "KZT").full_money(10**12, is_signed=True)) in other
    assert "₽" not in other
    assert all(name in other for name in ("emoji", "微信"))
    assert "عيادة" in other or "عيادة"[::-1] in other  # as it is read, or as it is drawn
