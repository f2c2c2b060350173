"""The dashboard in headless Chromium: opened, clicked through, with keys and fingers; nothing logged, no other host asked."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.run import sync_sources
from pipeline.warehouse import Warehouse
from tests.browser import Watched, serious, sideways, watching
from tests.pipeline.web.conftest import Site
from tests.pipeline.web.dashboard_made import PASSWORDS, configure, served

pytestmark = pytest.mark.xdist_group("dashboard")
LAUNCHES = ("assistant", "ai", "stable", "hostile", "none-yet")
PAGES = ("/", "/quality", "/sync", "/nowhere", *(f"/launches/{name}" for name in LAUNCHES))


def enter(seen: Watched) -> None:
    """Sign in by hand, as the owner."""
    seen.page.goto(f"{seen.origin}/sign-in")
    seen.page.locator("#name:focus").wait_for()
    seen.page.keyboard.type("anna")
    seen.page.keyboard.press("Tab")
    seen.page.keyboard.type(PASSWORDS["anna"])
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url(f"{seen.origin}/")


@pytest.mark.parametrize(("width", "language", "scheme"), [(360, "ru", "light"), (768, "en", "dark")])
def test_every_page_is_quiet_accessible_and_as_wide_as_the_window(
    site: Site, browser: Any, width: int, language: str, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with watching(browser, site.url, **options) as seen:
        seen.page.goto(f"{site.url}/sign-in?lang={language}")
        assert serious(seen.page) == []
        enter(seen)
        for path in PAGES if scheme == "light" else PAGES[:5]:  # one of each kind is enough for the other colours
            seen.page.goto(site.url + path)
            seen.page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
            assert sideways(seen.page) == 0, path
            if "stable" not in path and "hostile" not in path:  # of a kind with others, and large
                assert serious(seen.page) == [], path
        assert seen.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_opened_from_a_history_is_accessible_and_as_it_was_stored(site: Site, browser: Any, scheme: str) -> None:
    with watching(browser, site.url, viewport={"width": 360, "height": 800}, color_scheme=scheme) as seen:
        page = seen.page
        enter(seen)
        page.goto(f"{site.url}/launches/assistant")
        page.locator(".weeks .open a").nth(3).click()
        page.wait_for_url("**/snapshots/**")
        assert "13.07.2026" in page.locator("nav").first.inner_text()
        assert serious(page) == []
        assert sideways(page) == 0
        with page.expect_download() as kept:
            page.click("text=Скачать документ")
        stored = Warehouse(site.settings.warehouse_url.reveal()).snapshot("assistant", "2026-07-13")
        assert Path(kept.value.path()).read_bytes() == stored
        page.goto(f"{site.url}/launches/assistant")
        page.click(".choose button")
        page.wait_for_url("**/compare**")
        assert serious(page) == []
        assert sideways(page) == 0
        assert seen.problems == []


@pytest.mark.parametrize(("width", "language", "scheme"), [(360, "ru", "light"), (768, "zh", "dark")])
def test_the_page_of_a_failed_exchange_is_accessible(
    browser: Any, tmp_path: Path, width: int, language: str, scheme: str
) -> None:
    settings = configure(tmp_path, users=())
    sync_sources(settings)  # there is no folder of exports
    with served(settings) as url, watching(browser, url, viewport={"width": width, "height": 800}, color_scheme=scheme) as seen:
        seen.page.goto(f"{url}/sync?lang={language}")
        seen.page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
        assert seen.page.locator("details.original:visible").count() == 2  # of the source, and of the step
        assert serious(seen.page) == []
        assert sideways(seen.page) == 0
        assert seen.problems == []


def test_a_visitor_clicks_through_everything(site: Site, browser: Any) -> None:
    with watching(browser, site.url) as seen:
        page = seen.page
        enter(seen)
        page.click("text=AI-ассистент")
        page.wait_for_url("**/launches/assistant")
        page.click("nav.tabs a:has-text('Прибыль')")
        page.wait_for_url("**series=profit")
        page.click(".choose button")
        page.wait_for_url("**/compare**")
        assert serious(page) == []
        assert sideways(page) == 0
        page.click(".overline a")
        page.wait_for_url("**/launches/assistant")
        page.click(".verdict .button")
        page.wait_for_url("**/snapshots/**")
        assert page.locator("svg.chart:visible").count() >= 2
        # The report's own style is let through: the verdict has the colour of its tone.
        assert page.evaluate("() => getComputedStyle(document.querySelector('.verdict')).borderLeftWidth") == "6px"
        assert serious(page) == []
        page.click("nav a")
        page.wait_for_url("**/launches/assistant")
        page.click("text=Обмен данными")
        page.wait_for_url("**/sync")
        page.click("text=English")
        page.wait_for_selector("h1:has-text('Sync health')")
        page.click("text=Sign out")
        page.wait_for_url("**/sign-in")
        page.goto(f"{site.url}/quality")
        assert "/sign-in" in page.url
        assert seen.problems == []


def test_the_chart_answers_to_mouse_keys_and_fingers(site: Site, browser: Any) -> None:
    with watching(browser, site.url, has_touch=True) as seen:
        page = seen.page
        enter(seen)
        page.goto(f"{site.url}/launches/assistant")
        readout, weeks = page.locator(".readout"), page.locator("svg.wide .week")
        assert "03.08.2026" in readout.inner_text()  # the newest, before anybody asks
        weeks.nth(2).hover()
        assert "01.06.2026" in readout.inner_text()
        weeks.nth(11).focus()
        page.keyboard.press("ArrowLeft")
        assert "27.07.2026" in readout.inner_text()
        page.keyboard.press("Home")
        assert "18.05.2026" in readout.inner_text()
        assert page.evaluate("() => document.activeElement.getAttribute('aria-label')").startswith("18.05.2026; ")
        weeks.nth(4).tap()
        assert "15.06.2026" in readout.inner_text()
        assert page.url.endswith("/launches/assistant")  # the first tap only shows
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        page.wait_for_url("**/snapshots/**")
        assert seen.problems == []


def test_without_scripts_the_table_says_the_same(site: Site, browser: Any) -> None:
    with watching(browser, site.url, java_script_enabled=False) as seen:
        enter(seen)
        seen.page.goto(f"{site.url}/launches/assistant")
        assert seen.page.locator(".readout").is_hidden()
        assert seen.page.locator("tbody tr").count() == 12
        label = seen.page.locator("svg.wide .week").first.get_attribute("aria-label")
        row = seen.page.locator("tbody tr").last.inner_text()
        assert label is not None
        assert all(part in row for part in label.split("; "))


def test_the_eyes_of_these_tests_see(browser: Any) -> None:
    """What would be wrong is found: else the tests above could not fail."""
    with watching(browser, "http://127.0.0.1:9") as seen:
        seen.page.set_content(
            "<html lang='en'><title>x</title><main style='width:3000px'><h1>x</h1><img src='https://evil.example/x.png'>"
            "<p style='color:#999;background:#aaa'>faint</p><script>console.error('boom')</script></main>",
            wait_until="commit",
        )
        assert sideways(seen.page) > 0
        assert {one.partition(":")[0] for one in serious(seen.page)} >= {"image-alt", "color-contrast"}
        assert any("evil.example" in one for one in seen.problems)
        assert any("boom" in one for one in seen.problems)
