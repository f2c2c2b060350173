"""A real browser for tests: what it logs, what it asks for, and what axe-core finds. Skips, with a reason, where there is none.

    with opened() as browser:
        seen = visit(browser, url)          # or page.set_content(...)
        assert seen.problems == []
        assert serious(seen.page) == []
"""

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@dataclass
class Watched:
    """A page, and everything that must not happen on it: what the console said, requests to other hosts, failed requests."""

    page: Any
    origin: str
    problems: list[str] = field(default_factory=list)


@contextmanager
def opened() -> Iterator[Any]:
    """A headless Chromium of this machine, driven by Playwright."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the driver's own pipes
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            yield browser
            browser.close()


@contextmanager
def watching(browser: Any, origin: str, **options: Any) -> Iterator[Watched]:
    """A page of a context of its own (cookies too); `options` are Playwright's: viewport, color_scheme, has_touch ..."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    watched = Watched(context.new_page(), origin)

    def asked(request: Any) -> None:
        if not request.url.startswith(("data:", "about:", "blob:")) and not request.url.startswith(watched.origin):
            watched.problems.append(f"request to {urlsplit(request.url).netloc or request.url}")

    def said(message: Any) -> None:
        # A page that answers 403 or 404 on purpose is logged by the browser itself; tests look at the status.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            watched.problems.append(f"console: {message.text}")

    watched.page.on("request", asked)
    watched.page.on("console", said)
    watched.page.on("pageerror", lambda error: watched.problems.append(f"script: {error}"))
    watched.page.on("dialog", lambda dialog: (watched.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    try:
        yield watched
    finally:
        context.close()


def serious(page: Any) -> list[str]:
    """What axe-core calls serious or critical on the page as it is now: rule, and where."""
    page.evaluate(axe() + "\n;0")  # by the debugger's door: the page's own policy forbids foreign scripts
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def sideways(page: Any) -> int:
    """By how many pixels the page is wider than its window."""
    wide: int = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


@cache
def axe() -> str:
    """axe-core's script, out of a package that carries it."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python, which carries axe-core, is not installed")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
