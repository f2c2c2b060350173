"""The page as one HTML file that needs nothing else: no script, no font, no request; phone, A4, light and dark."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline.reports.charts import fan_chart, forecast_chart, on_page, placebo_chart, waterfall, weekly_chart
from pipeline.reports.numbers import MINUS, NBSP
from pipeline.reports.page import Page, page_of
from pipeline.reports.words import Words

FOLDER = Path(__file__).parent
# Chinese may end a line between a figure and its measure word; a figure stays with the character after it.
_JOINTS = re.compile(rf"([+{MINUS}](?=[^\s\d])|[\d%](?=[\u4e00-\u9fff]))")
# Nor does a line end after a Russian word of one letter, or between a small number and what it counts: `с 19`, `10 недель`.
_GLUED = re.compile(r"(?:(?<![^\s(«„])[вксуоиаВКСУОИА]|(?<![\w.,:–-])\d{1,3}) (?=[\d«+−]|[a-zа-яё])")
# What a cell says beside its figure: `+71 % (от +33 до +126 %)`.
_BESIDE = re.compile(r"(.*\S)( ?)([(（][^()（）]*[)）])")
NARROW, WIDE = 328, 880  # pixels; a page shows the one that fits
# A heading of a section; those that are linked from elsewhere have a name already.
_HEADING = re.compile(r'<h2(?: id="([a-z]+)")?>(.*?)</h2>', re.DOTALL)
_CONTENTS = Markup("<!-- contents -->")
N_GUARDS = 3  # beside the verdict, the worst; all of them stand with the claims


def render_html(document: Mapping[str, Any], language: str) -> str:
    """The document as a page."""
    page = page_of(document, language)
    text: str = template("page.html.j2").render(
        page=page,
        say=page.numbers.words.say,
        plural=page.numbers.count,
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),  # a file of the program  # nosec B704
        has_expected=any(week.expected for week in page.weeks),
        weekly=_weekly(page),
        waterfall=_waterfall(page),
        placebo=_placebo(page),
        fan=_fan(page),
        forecast=_forecast(page),
        contents=_CONTENTS,
        n_guards=N_GUARDS if page.claims else len(page.guards),
    )
    return with_contents(text, page.numbers.words)


def with_contents(text: str, words: Words) -> str:
    """A page with a folded list of its sections in the place kept for it, all but the verdict, which stands right above."""
    sections: list[str] = []

    def name(heading: re.Match[str]) -> str:
        known, title = heading.groups()
        key = known or f"section-{len(sections)}"
        sections.append(f'<li><a href="#{key}">{title}</a></li>')
        return f'<h2 id="{key}">{title}</h2>'

    named = _HEADING.sub(name, text)
    summary = f"<summary>{escape(words.say('contents.title'))}</summary>"
    return named.replace(_CONTENTS, f'<nav><details>{summary}<ol>{"".join(sections[1:])}</ol></details></nav>', 1)


@cache
def template(name: str) -> Any:
    """A template of this folder. Every value is escaped; an undefined name is an error, not an empty place."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, finalize=_whole,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["cell"] = _cell
    return environment.get_template(name)


def _whole(value: Any) -> Any:
    """A sign stays with its amount, an amount with its unit: browsers may break a line between `+` and a currency symbol."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _GLUED.sub(lambda found: f"{found[0][:-1]}{NBSP}", _JOINTS.sub("\\1\u2060", value))


def _cell(text: str) -> Markup:
    """A cell of figures, escaped; its range or share in brackets goes to the next line as a whole before it is broken."""
    whole = _whole(text)
    found = _BESIDE.fullmatch(whole)
    if found is None:
        return escape(whole)
    return Markup('{}{}<span class="beside">{}</span>').format(*found.groups())


def _weekly(page: Page) -> Markup:
    label = page.numbers.words.say("chart.weekly.label")
    drawn = (
        (weekly_chart(page.weeks, page.launch_label, width=NARROW, height=230, name="weeks-narrow"), "chart narrow"),
        (weekly_chart(page.weeks, page.launch_label, width=WIDE, height=300, name="weeks-wide"), "chart wide"),
    )
    # The drawings hold figures and our own words only, both escaped by the SVG writer, and the label is escaped by `on_page`.
    return Markup("".join(on_page(svg, label, css_class) for svg, css_class in drawn))  # see above  # nosec B704


def _waterfall(page: Page) -> Markup | None:
    if not page.parts:
        return None
    label = page.numbers.words.say("format.semicolon").join(f"{part.title}: {part.text}" for part in page.parts)
    drawn = (
        (waterfall(page.parts, width=NARROW, name="parts-narrow"), "chart narrow"),
        (waterfall(page.parts, width=WIDE, name="parts-wide"), "chart wide"),
    )
    return Markup("".join(on_page(svg, label, css_class) for svg, css_class in drawn))  # as in `_weekly`  # nosec B704


def _placebo(page: Page) -> Markup | None:
    found, numbers = page.placebo, page.numbers
    if found is None:
        return None
    label = numbers.words.say("chart.placebo.label", figure=found.figure)
    drawn = []
    for width, height, size in ((NARROW, 230, "narrow"), (WIDE, 280, "wide")):
        svg = placebo_chart(
            found.points, found.today, page.launch_label, lambda share: numbers.percent(share, digits=0, is_signed=True),
            width=width, height=height, name=f"placebo-{size}",
        )  # fmt: skip
        drawn.append(on_page(svg, label, f"chart {size}"))
    return Markup("".join(drawn))  # as in `_weekly`  # nosec B704


def _fan(page: Page) -> Markup | None:
    found, numbers = page.fan, page.numbers
    if found is None:
        return None
    drawn = []
    for width, height, size in ((NARROW, 230, "narrow"), (WIDE, 280, "wide")):
        svg = fan_chart(found, numbers.words.say("chart.fan.measured"), numbers.money, numbers.whole, width=width, height=height,
                        name=f"fan-{size}")  # fmt: skip
        drawn.append(on_page(svg, numbers.words.say("chart.fan.label", told=found.told), f"chart {size}"))
    return Markup("".join(drawn))  # as in `_weekly`  # nosec B704


def _forecast(page: Page) -> Markup | None:
    found, numbers = page.foretold.fan if page.foretold else None, page.numbers
    if found is None or page.foretold is None:
        return None
    label = numbers.words.say("chart.forecast.label", told=" ".join(page.foretold.told))
    drawn = []
    for width, height, size in ((NARROW, 230, "narrow"), (WIDE, 280, "wide")):
        svg = forecast_chart(found, numbers.words.say("chart.fan.measured"), numbers.money, numbers.whole, width=width,
                             height=height, name=f"forecast-{size}")  # fmt: skip
        drawn.append(on_page(svg, label, f"chart {size}"))
    return Markup("".join(drawn))  # as in `_weekly`  # nosec B704
