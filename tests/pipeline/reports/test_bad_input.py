"""The launches that are hard to tell of, on every screen: what they say, that nothing overlaps or leaves the page, the size."""

import copy

import pytest
from lxml import html as parser

from pipeline.reports import render
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from pipeline.reports.words import LANGUAGES
from tests.browser import serious, sideways, watching
from tests.pipeline.reports import monday_made
from tests.pipeline.reports.test_reports import spaced, text_of
from tests.variants import first

pytestmark = pytest.mark.xdist_group("reports")  # the documents are made once: by one worker
WIDTHS = (360, 768, 1280)
LARGEST = 500_000  # bytes of a page
# What is wrong with a page as it is laid out: words of a drawing over each other or beyond it, values of a table out of sight,
# a figure parted from its unit, a word of a heading or label broken in the middle.
WRONG = """() => {
  const found = [], root = document.documentElement, shown = e => e.getBoundingClientRect().width > 0;
  for (const svg of [...document.querySelectorAll("svg.chart")].filter(shown)) {
    const edge = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("text")].map(t => [t.getBoundingClientRect(), t.textContent]);
    boxes.forEach(([a, text], n) => {
      if (a.left < edge.left - 2 || a.right > edge.right + 2) found.push("beyond: " + text);
      boxes.slice(n + 1).forEach(([b, other]) => {
        if (!(a.left > b.right - 1 || b.left > a.right - 1 || a.top > b.bottom - 3 || b.top > a.bottom - 3))
          found.push("over: " + text + " / " + other);
      });
    });
  }
  for (const cell of document.querySelectorAll(".rows td, .parts .amount, .tile .value, .tile .interval")) {
    if (cell.closest("details:not([open])")) continue;
    const text = document.createRange(); text.selectNodeContents(cell);
    const box = text.getBoundingClientRect();
    if (box.width < 1 || box.left < 0 || box.right > root.clientWidth + 1) found.push("hidden: " + cell.textContent);
  }
  // One line box a word: a word in two is broken in the middle. Names out of a CRM may be.
  for (const place of document.querySelectorAll(".tile :is(h3, p), .parts th, .rows td, thead th, .verdict p, h2, h3, dt")) {
    if (!shown(place)) continue;
    const walk = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const node = walk.currentNode, word = /[^ \\n\\u2013\\u2192\\u3000-\\u303f/-]{2,}/g;
      for (let match; (match = word.exec(node.data)) !== null;) {
        if (match[0].length > 24 || /[\\u4e00-\\u9fff]/.test(match[0])) continue;
        const range = document.createRange();
        range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
        const tops = new Set([...range.getClientRects()].filter(r => r.width > 1).map(r => Math.round(r.top)));
        if (tops.size > 1) found.push("broken: " + match[0]);
      }
    }
  }
  return found.slice(0, 8);
}"""


def letters(text):
    """Without white space, which stands elsewhere where a bracket is kept whole."""
    return "".join(text.split())


def crowded(document):
    """Sixty channels, branches and employees of the longest names, every letter of four bytes or an entity."""
    changed = copy.deepcopy(document)
    for dimension in ("channel", "branch", "owner"):
        row = changed["by"][dimension][0]
        names = [(f"{n}<&\"'𝔘𝔫𝔦" + "𝔎𝔞𝔫𝔞𝔩&" * 40)[:200] for n in range(60)]
        changed["by"][dimension] = [{**row, "key": name, "title": None} for name in names]
        part = next(row for row in changed["contributions"] if row["dimension"] == "channel")
        changed["contributions"] = [row for row in changed["contributions"] if row["dimension"] != dimension]
        share = {**part, "dimension": dimension, "estimate": changed["money"]["benefit"]["estimate"] / 60}
        changed["contributions"] += [{**share, "key": name} for name in names]
    changed["unclosed"] = [{"key": name, "title": name, "n": 9, "examples": ["1" * 10] * 5} for name in names]
    changed["control_candidates"] = changed["control_candidates"] * 15
    return changed


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_effect_no_visits_and_one_week_say_what_they_are(documents, rendered, language):
    numbers = numbers_of(language, "RUB")
    for name in ("no effect", "no visits", "one week"):
        page, seen = page_of(documents[name], language), text_of(rendered(name, "html", language))
        assert documents[name]["verdict"]["code"] == "not_enough_data"
        assert spaced(page.verdict.reason) in seen
    low, high = (documents["no effect"]["metrics"]["booking_conversion"]["effect"][end] for end in ("low", "high"))
    assert low < 0 < high
    tiles = {tile.name: tile for tile in page_of(documents["no visits"], language).tiles}
    nothing = numbers.words.say("none")
    assert (tiles["booking_conversion"].value, tiles["average_check"].value) == (numbers.percent(0.0), nothing)
    assert tiles["average_check"].before is None  # over no data at all it is said once
    assert {tiles[name].value for name in ("incremental_profit", "roi", "payback")} == {nothing}
    assert len(page_of(documents["no visits"], language).breakdowns[0].rows) == 1
    assert [week.side for week in page_of(documents["one week"], language).weeks] == ["pre", "washout", "post"]


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_a_full_monday_tells_every_part(documents, rendered, language):
    page, seen = page_of(documents["monday"], language), text_of(rendered("monday", "html", language))
    for told in (*page.foretold.told, page.hurdles.told, page.since.rows.title, page.unclosed.title, *page.since.told):
        assert spaced(told) in seen
    for table in (page.hurdles.rows, page.since.rows, page.unclosed, page.sensitivity.rows):
        assert [cell for row in table.rows for cell in row if letters(cell) not in letters(seen)] == []
    stale = numbers_of(language, "RUB").count("finding.source_stale", 21, subject="Портал",
                                              heard_on=numbers_of(language, "RUB").day("2026-07-13"))  # fmt: skip
    assert spaced(stale) in seen
    for name in monday_made.STAFF:
        assert name in seen


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worst_case_stays_small(documents, language):
    page = render(crowded(documents["monday"]), "html", language)
    assert len(page) < LARGEST
    assert len(parser.document_fromstring(page.decode()).xpath("//table[thead]/tbody/tr")) > 300


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "language", "scheme"),
    [
        ("monday", "ru", "dark"), ("monday", "zh", "light"), ("monday", "en", "dark"),
        ("no effect", "ru", "light"), ("no visits", "en", "dark"), ("one week", "zh", "dark"), ("huge", "ru", "light"),
        ("harming", "en", "dark"), ("crowded", "ru", "dark"),
    ],
)  # fmt: skip
def test_no_screen_breaks_a_figure_or_hides_it(documents, rendered, browser, name, language, scheme):
    is_known = name in documents
    page = rendered(name, "html", language) if is_known else render(crowded(documents["monday"]), "html", language).decode()
    with watching(browser, "about:", color_scheme=scheme) as seen:
        seen.page.set_content(page)
        for width in WIDTHS:
            seen.page.set_viewport_size({"width": width, "height": 900})
            assert sideways(seen.page) == 0, width
            assert seen.page.evaluate(WRONG) == [], width
        seen.page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
        seen.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        assert sideways(seen.page) == 0
        if scheme == "dark" and name != "crowded":
            assert serious(seen.page) == []
        assert seen.problems == []


def test_the_measuring_script_sees_broken_figures(rendered, browser):
    harm = ".tile .value { font-size: 60px !important; overflow-wrap: anywhere } td { overflow-wrap: anywhere; max-width: 20px }"
    with watching(browser, "about:") as seen:
        seen.page.set_content(rendered("monday", "html", "ru").replace("</style>", f"{harm}</style>"))
        assert any(found.startswith("broken") for found in seen.page.evaluate(WRONG))


def test_a_browser_prints_the_folded_rows_too(documents, rendered, browser):
    with watching(browser, "about:") as seen:
        seen.page.set_content(rendered("60 channels", "html", "ru"))
        seen.page.emulate_media(media="print")
        rows = seen.page.locator("table.rows + details tbody tr")
        assert rows.count() == 48
        assert rows.last.is_visible()
        assert rows.last.bounding_box()["height"] > 5
        assert not seen.page.locator("table.rows + details summary").first.is_visible()
