"""The page on paper: the same HTML, A4, as PDF by WeasyPrint, an optional extra. Nothing is fetched while it is drawn."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import ConfigError
from pipeline.reports.html import render_html

FOLDER = Path(__file__).parent
_TOKEN = re.compile(r"--([a-z-]+):\s*(#[0-9a-f]{3,6});")
_DRAWING = re.compile(r"<svg .*?</svg>", re.DOTALL)
_FONTS = re.compile(r"--fonts: ([^;]+);")
_DRAWN_FONT = "font-family: 'DejaVu Sans', sans-serif"


def render_pdf(document: Mapping[str, Any], language: str) -> bytes:
    """The document as PDF: the same document and the same fonts, the same bytes.

    Raises ConfigError when WeasyPrint or one of its libraries is missing.
    """
    weasyprint = _weasyprint()
    page = _drawn(render_html(document, language))
    facts = f'<meta name="dcterms.created" content="{document["as_of"][:10]}"><meta name="author" content="Payback">'
    page = page.replace("<head>", f"<head>{facts}", 1)
    # Behind the page's own rules: a style sheet handed over would stand before them and lose.
    paper = (FOLDER / "paper.css").read_text(encoding="utf-8").replace("FONTS", _fonts(page))
    page = page.replace("</style>", f"{paper}</style>", 1)
    drawn = weasyprint.HTML(string=page, url_fetcher=_refuse)
    found: bytes = drawn.write_pdf(pdf_tags=True)  # tagged: a screen reader finds its way
    return found


def _weasyprint() -> Any:
    """The engine; imported late, because it is optional and loads Pango."""
    try:
        import weasyprint
    except ImportError:
        raise ConfigError(
            "the PDF needs WeasyPrint, which is not installed",
            hint="pip install 'payback[pdf]', or use --format html and print it",
        ) from None
    except OSError:
        raise ConfigError(
            "the PDF needs the library Pango, which is not installed",
            hint="apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0, or use --format html and print it",
        ) from None
    # A thousand lines a page about rules for screens; they could quote an address out of a CRM too.
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    return weasyprint


def _refuse(url: str, *rest: Any, **more: Any) -> NoReturn:
    """The page holds everything it needs; whatever else asks for an address came with a text."""
    raise ValueError("a report fetches nothing")


def _fonts(page: str) -> str:
    """The fonts of the page's text, as its style names them, in single quotes: the second list is the one for Chinese."""
    latin, chinese = _FONTS.findall(page[: page.index("@media")])
    return (chinese if '<html lang="zh' in page[:100] else latin).replace('"', "'")  # type: ignore[no-any-return]


def _drawn(page: str) -> str:
    """The page with its drawings for paper: the wide ones, in the light colours and the page's fonts.

    Inside a drawing WeasyPrint knows neither variables nor what the page around it inherits.
    """
    fonts = f"font-family: {_fonts(page)}"
    colours = dict(_TOKEN.findall(page[: page.index("@media")]))

    def for_paper(drawing: re.Match[str]) -> str:
        if drawing[0].startswith('<svg class="chart narrow"'):
            return ""
        lettered = drawing[0].replace(_DRAWN_FONT, fonts)
        return re.sub(r"var\(--([a-z-]+)\)", lambda token: colours.get(token[1], "#000"), lettered)

    return _DRAWING.sub(for_paper, page)
