"""Pages in a real browser: no console error, no request, nothing wider than a phone."""

import html
import re
import shutil
import subprocess

import pytest

from pipeline.reports.words import LANGUAGES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("reports"),  # the documents are made once: by one worker
]
A4_WIDTH = 703  # pixels of 186 mm
# A window cannot be as narrow as a phone, a frame can.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="f" width="{width}" height="2000" srcdoc="{page}"></iframe>
<script>document.getElementById("f").onload = event => {{
  const seen = event.target.contentDocument, root = seen.documentElement;
  for (const details of seen.querySelectorAll("details")) details.open = true;
  const wide = [...seen.querySelectorAll("body *")].filter(
    e => !e.closest("svg") && !e.classList.contains("hidden") && e.getBoundingClientRect().right > root.clientWidth + 1);
  const charts = [...seen.querySelectorAll("svg.chart")].filter(e => e.getBoundingClientRect().width > 0).length;
  const out = [...seen.querySelectorAll("svg.chart")].filter(e => e.getBoundingClientRect().width > 0).flatMap(svg => {{
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter(t => {{
      const r = t.getBoundingClientRect(); return r.left < box.left - 2 || r.right > box.right + 2; }}).map(t => t.textContent);
  }});
  const shown = [...seen.querySelectorAll("svg.chart")].filter(e => e.getBoundingClientRect().width > 0);
  for (const svg of shown) {{  // words of a drawing that run into each other are as good as cut
    const boxes = [...svg.querySelectorAll("text")].map(t => [t.getBoundingClientRect(), t.textContent]);
    boxes.forEach(([a, text], n) => boxes.slice(n + 1).forEach(([b, other]) => {{
      const isBeside = a.left > b.right - 1 || b.left > a.right - 1 || a.top > b.bottom - 3 || b.top > a.bottom - 3;
      if (!isBeside) out.push(text + "/" + other);
    }}));
  }}
  const cells = [...seen.querySelectorAll(".rows td, .parts .amount")].map(cell => {{
    const text = seen.createRange(); text.selectNodeContents(cell); return text.getBoundingClientRect(); }});
  const blank = cells.filter(r => r.width < 1 || r.height < 1 || r.left < 0 || r.right > root.clientWidth + 1).length;
  document.title = "width=" + root.scrollWidth + " wide=" + wide.map(e => e.tagName).join("+") + " charts=" + charts +
    " cut=" + out.length + " blank=" + (cells.length ? blank : "all");
}};</script>"""


def open_page(page, folder, width):
    """(title the measuring script left, what Chromium logged)."""
    wrapper = folder / "wrapper.html"
    wrapper.write_text(FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--no-first-run",
             f"--user-data-dir={folder / 'profile'}",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
             "--window-size=1400,2200", "--virtual-time-budget=3000"]  # fmt: skip
    done = subprocess.run([str(CHROMIUM), *flags, "--dump-dom", wrapper.as_uri()], capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    return title.group(1) if title else done.stderr, done.stderr


@pytest.mark.parametrize(
    ("name", "language"),
    [
        *((name, "ru") for name in ("paying", "hostile", "60 channels", "refused", "huge", "evidence", "guarded", "old")),
        *((name, language) for language in LANGUAGES if language != "ru" for name in ("evidence", "huge")),
    ],
)
def test_a_phone_shows_the_page_without_scrolling_sideways(rendered, name, language, tmp_path):
    title, log = open_page(rendered(name, "html", language), tmp_path, 360)
    n_charts = {"refused": 1, "old": 3}.get(name, 5)
    assert title == f"width=360 wide= charts={n_charts} cut=0 blank=0"
    assert "CONSOLE" not in log


@pytest.mark.parametrize(("name", "language"), [("evidence", "ru"), ("huge", "en"), ("huge", "zh")])
def test_a_sheet_of_paper_holds_the_page(rendered, name, language, tmp_path):
    """The print style as it is laid out on the 186 mm between the margins of A4."""
    page = rendered(name, "html", language).replace("@media print", "@media all")
    title, log = open_page(page, tmp_path, A4_WIDTH)
    assert title == f"width={A4_WIDTH} wide= charts=5 cut=0 blank=0"
    assert "CONSOLE" not in log


def test_a_desk_shows_the_wide_drawings(rendered, tmp_path):
    title, log = open_page(rendered("paying", "html", "ru"), tmp_path, 1280)
    assert title == "width=1280 wide= charts=5 cut=0 blank=0"
    assert "CONSOLE" not in log


def test_the_measuring_script_sees_what_is_too_wide_and_what_is_logged(rendered, tmp_path):
    harm = '<p style="width:900px">x</p><script>console.error("boom")</script></main>'
    broken = rendered("paying", "html", "ru").replace("</main>", harm)
    title, log = open_page(broken, tmp_path, 360)
    assert "wide=P" in title
    assert "boom" in log


def test_the_measuring_script_sees_words_of_a_drawing_that_overlap(rendered, tmp_path):
    broken = rendered("paying", "html", "zh").replace("</style>", ".chart text { font-size: 40px !important; }</style>")
    title, _ = open_page(broken, tmp_path, 360)
    assert int(re.search(r"cut=(\d+)", title)[1]) > 5


def test_the_measuring_script_sees_table_values_that_a_phone_hides(rendered, tmp_path):
    broken = rendered("paying", "html", "ru").replace("</style>", ".rows td { display: none !important; }</style>")
    title, _ = open_page(broken, tmp_path, 360)
    assert int(title.rpartition("blank=")[2]) > 10
