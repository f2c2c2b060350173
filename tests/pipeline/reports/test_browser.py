"""Pages in a real browser: no console error, no request, nothing wider than a phone."""

import pytest

from tests.browser import watching
from tests.variants import first

pytestmark = pytest.mark.xdist_group("reports")  # the documents are made once: by one worker
A4_WIDTH = 703  # pixels of 186 mm
# Everything unfolded: what is wider than the page, words of a drawing cut off or run into each other, values out of sight.
MEASURED = """() => {
  const root = document.documentElement;
  for (const details of document.querySelectorAll("details")) details.open = true;
  const wide = [...document.querySelectorAll("body *")].filter(
    e => !e.closest("svg") && !e.classList.contains("hidden") && e.getBoundingClientRect().right > root.clientWidth + 1);
  const shown = [...document.querySelectorAll("svg.chart")].filter(e => e.getBoundingClientRect().width > 0);
  const cut = [];
  for (const svg of shown) {
    const box = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("text")].map(t => [t.getBoundingClientRect(), t.textContent]);
    boxes.forEach(([a, text], n) => {
      if (a.left < box.left - 2 || a.right > box.right + 2) cut.push(text);
      boxes.slice(n + 1).forEach(([b, other]) => {
        const isBeside = a.left > b.right - 1 || b.left > a.right - 1 || a.top > b.bottom - 3 || b.top > a.bottom - 3;
        if (!isBeside) cut.push(text + "/" + other);
      });
    });
  }
  const cells = [...document.querySelectorAll(".rows td, .parts .amount")].map(cell => {
    const text = document.createRange(); text.selectNodeContents(cell); return text.getBoundingClientRect(); });
  const blank = cells.filter(r => r.width < 1 || r.height < 1 || r.left < 0 || r.right > root.clientWidth + 1).length;
  return {width: root.scrollWidth, wide: wide.map(e => e.tagName), charts: shown.length, cut: cut,
          blank: cells.length ? blank : "all"};
}"""


def measured(browser, page, width):
    """(what the script measured, what the browser minded)."""
    with watching(browser, "about:", viewport={"width": width, "height": 900}) as seen:
        seen.page.set_content(page)
        return seen.page.evaluate(MEASURED), seen.problems


def sound(width, charts):
    return {"width": width, "wide": [], "charts": charts, "cut": [], "blank": 0}, []


@pytest.mark.parametrize(
    ("name", "language"),
    first(7, [
        *((name, "ru") for name in ("paying", "hostile", "60 channels", "refused", "evidence")),
        ("evidence", "en"), ("huge", "zh"),
        *((name, "ru") for name in ("huge", "guarded", "old")), ("evidence", "zh"), ("huge", "en"),
    ]),
)
def test_a_phone_shows_the_page_without_scrolling_sideways(rendered, browser, name, language):
    n_charts = {"refused": 1, "old": 3}.get(name, 4)
    assert measured(browser, rendered(name, "html", language), 360) == sound(360, n_charts)


@pytest.mark.parametrize(("name", "language"), first(1, [("evidence", "ru"), ("huge", "en"), ("huge", "zh")]))
def test_a_sheet_of_paper_holds_the_page(rendered, browser, name, language):
    """The print style as it is laid out on the 186 mm between the margins of A4."""
    page = rendered(name, "html", language).replace("@media print", "@media all")
    assert measured(browser, page, A4_WIDTH) == sound(A4_WIDTH, 4)


def test_a_desk_shows_the_wide_drawings(rendered, browser):
    assert measured(browser, rendered("paying", "html", "ru"), 1280) == sound(1280, 4)


def test_the_measuring_script_sees_what_is_too_wide_and_what_is_logged(rendered, browser):
    harm = '<p style="width:900px">x</p><script>console.error("boom")</script></main>'
    found, problems = measured(browser, rendered("paying", "html", "ru").replace("</main>", harm), 360)
    assert found["wide"] == ["P"]
    assert problems == ["console: boom"]


def test_the_measuring_script_sees_words_of_a_drawing_that_overlap(rendered, browser):
    broken = rendered("paying", "html", "zh").replace("</style>", ".chart text { font-size: 40px !important; }</style>")
    found, _ = measured(browser, broken, 360)
    assert len(found["cut"]) > 5


def test_the_measuring_script_sees_table_values_that_a_phone_hides(rendered, browser):
    broken = rendered("paying", "html", "ru").replace("</style>", ".rows td { display: none !important; }</style>")
    found, _ = measured(browser, broken, 360)
    assert found["blank"] > 10
