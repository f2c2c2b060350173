"""The report for people who see little, see other colours, or use a keyboard: axe-core in headless Chromium, light and dark."""


import pytest

from tests.browser import serious, watching
from tests.variants import first

pytestmark = pytest.mark.xdist_group("reports")  # the documents are made once: by one worker


@pytest.mark.parametrize(
    ("name", "language", "scheme", "width"),
    first(2, [("evidence", "ru", "light", 360), ("hostile", "zh", "dark", 1280), ("guarded", "en", "light", 768)]),
)
def test_axe_finds_nothing_serious_and_the_console_stays_quiet(rendered, browser, name, language, scheme, width):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with watching(browser, "about:", **options) as seen:
        seen.page.set_content(rendered(name, "html", language))
        seen.page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
        assert serious(seen.page) == []
        assert seen.problems == []


def test_everything_folded_opens_by_keyboard(rendered, browser):
    with watching(browser, "about:") as seen:
        seen.page.set_content(rendered("evidence", "html", "ru"))
        n_folded = seen.page.locator("details").count()
        assert n_folded >= 3
        for _ in range(n_folded + seen.page.locator("a").count()):
            seen.page.keyboard.press("Tab")
            if seen.page.evaluate("() => document.activeElement.tagName") == "SUMMARY":  # the others are links
                seen.page.keyboard.press("Enter")
        assert seen.page.locator("details[open]").count() == n_folded
