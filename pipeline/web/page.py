"""Pages as text: templates, words, the assets they name, and the policy a browser must follow."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from connectors.secrets import mask
from pipeline import reports
from pipeline.languages import LANGUAGES
from pipeline.reports.numbers import Numbers, numbers_of
from pipeline.reports.words import plain
from pipeline.settings import Settings
from pipeline.web.signin import here

FOLDER = Path(__file__).parent
ASSETS = {"dashboard.css": "text/css", "dashboard.js": "text/javascript", "icon.svg": "image/svg+xml"}
# What the languages call themselves.
NAMES = {"ru": ("Русский", "RU"), "en": ("English", "EN"), "zh": ("中文", "中文")}  # and in short, for a phone
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_SIGNED = re.compile(r"([+−])(?=[^\d\s])")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page: the user's name (empty: nobody signed in), what he may see, his language."""

    name: str
    role: str  # owner | ops | guest
    language: str
    token: str  # what his forms carry

    @property
    def menu(self) -> tuple[tuple[str, str], ...]:
        known = {"owner": ("overview", "quality", "sync"), "ops": ("quality", "sync")}
        addresses = {"overview": "/", "quality": "/quality", "sync": "/sync"}
        return tuple((name, addresses[name]) for name in known.get(self.role, ()))


class Press:
    """Prints pages for one business."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secrets = settings.secrets()

    def numbers(self, language: str) -> Numbers:
        """Figures in a language, in the business's currency and time."""
        return numbers_of(language, self._settings.business.currency, self._settings.business.timezone)

    def page(self, template: str, viewer: Viewer, request: Request, *, title: str, section: str = "", is_stale: bool = False,
             **facts: Any) -> str:  # fmt: skip
        """The template as HTML, with links to the same page in other languages."""
        words = self.numbers(viewer.language).words
        languages, asked = [], [(key, text) for key, text in request.query_params.multi_items() if key != "lang"]
        for code in LANGUAGES:
            address = here(request, urlencode([*asked, ("lang", code)]))
            languages.append((code, NAMES.get(code, (code, code)), address, code == viewer.language))
        text: str = _templates().get_template(f"{template}.html.j2").render(
            say=words.say, plural=self.numbers(viewer.language).count, language=words.tag, languages=languages,
            business=plain(self._settings.business.name) if self._settings.business.name else "Payback", title=title,
            section=section, menu=viewer.menu, user=viewer.name, token=viewer.token, is_stale=is_stale, asset=asset_address,
            **facts,
        )  # fmt: skip
        return mask(text, self._secrets)

    def strip(self, viewer: Viewer, moment: str, address: str, back: str, snapshot: str) -> str:
        """What stands above a stored report: the way back (`address`, and what it is called), and what it is."""
        say = self.numbers(viewer.language).words.say
        found = {"moment": moment, "address": address, "back": back, "snapshot": snapshot}
        text: str = _templates().get_template("strip.html.j2").render(say=say, **found)
        return text.strip()


@cache
def _templates() -> Environment:
    """Every value is escaped; an undefined name is an error, not an empty place."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "pages"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["unbroken"] = unbroken
    return made


def unbroken(text: str) -> str:
    """No line may end between a sign and its currency."""
    return _SIGNED.sub("\\1\u2060", text)


@cache
def asset(name: str) -> bytes:
    """A file of the program. The stylesheet begins with the report's design tokens, so that both look alike."""
    content = (FOLDER / "assets" / name).read_bytes()
    return content if name != "dashboard.css" else tokens().encode() + content


@cache
def asset_address(name: str) -> str:
    """Where a page finds the asset; another content has another address."""
    return f"/assets/{name}?v={hashlib.sha256(asset(name)).hexdigest()[:12]}"


def tokens() -> str:
    """The custom properties at the head of the report's stylesheet, light and dark."""
    style = (Path(reports.__file__).parent / "page.css").read_text(encoding="utf-8")
    return style[: style.index("\n* {") + 1]


def report_policy(page: str) -> str:
    """What a browser may do with a report: its own style, which stands in the page, and nothing else. Drawings carry styles in
    attributes; those cannot be named by a hash."""
    found = _STYLE.search(page)
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode() if found else ""
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; style-src-elem 'sha256-{digest}'; style-src-attr 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def finding_line(words: tuple[str, str, str], severity: str, numbers: Numbers) -> Mapping[str, str]:
    """A finding for the templates."""
    known = severity if severity in ("error", "warning") else "info"
    text, detail, points = words
    severity_word = numbers.words.say(f"dash.quality.severity.{known}")
    return {"severity": known, "severity_word": severity_word, "text": text, "detail": detail, "points": points}
