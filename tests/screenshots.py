"""`make screenshots`: every page as a visitor of the demo salon meets it, at three widths and in two languages, into docs/images.

    .venv/bin/python -m tests.screenshots [FOLDER]

The demo's real portal, sync and report; for the dashboard's history the launch is measured once for each week since it began,
with the outcomes that were known then.
"""

import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pipeline.demo import play
from pipeline.document import document, document_bytes
from pipeline.errors import NothingToMeasure
from pipeline.measurement import measure
from pipeline.passwords import hash_password
from pipeline.periods import monday_of
from pipeline.run import as_of_from, open_warehouse
from pipeline.settings import Settings, load_settings
from tests.browser import Watched, opened, watching
from tests.pipeline.web.dashboard_made import served

WIDTHS = (360, 768, 1280)
LANGUAGES = ("ru", "en")
PASSWORD = "a password for pictures"
ROOT = Path(__file__).parent.parent
TALLEST = 2600  # pixels: the first screens of a page; the whole of it is in the demo


def main(folder: Path) -> int:
    """Take them all; how many problems the browser had."""
    folder.mkdir(parents=True, exist_ok=True)
    n_problems = 0
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "demo"
        if play(out, say=lambda text: None):
            return 1
        settings = _with_user(out)
        key = _remember_weeks(settings)
        with opened() as browser, served(settings) as url:
            for width in WIDTHS:
                for language in LANGUAGES:
                    with watching(browser, url, viewport={"width": width, "height": 900}) as seen:
                        _visit(seen, language, key, folder, width)
                        n_problems += len(seen.problems)
                        for problem in seen.problems:
                            print(f"{width} {language}: {problem}", file=sys.stderr)
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}, {n_problems} problems")
    return min(n_problems, 1)


def _visit(seen: Watched, language: str, launch: str, folder: Path, width: int) -> None:
    page = seen.page

    def shoot(name: str) -> None:
        height = min(page.evaluate("() => document.documentElement.scrollHeight"), TALLEST)
        clip = {"x": 0, "y": 0, "width": width, "height": height}
        page.screenshot(path=folder / f"{name}-{width}-{language}.png", full_page=True, clip=clip)

    page.goto(f"{seen.origin}/sign-in?lang={language}")
    shoot("sign-in")
    page.fill("input[name=name]", "anna")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{seen.origin}/")
    shoot("overview")
    for name, path in (("launch", f"/launches/{launch}"), ("quality", "/quality"), ("sync", "/sync")):
        page.goto(seen.origin + path)
        shoot(name)
    page.goto(f"{seen.origin}/launches/{launch}")
    address = page.locator("a[href*='/snapshots/']").first.get_attribute("href")
    page.goto(f"{seen.origin}{address}")
    shoot("report")
    page.goto(f"{seen.origin}/launches/{launch}/compare")
    shoot("compare")


def _with_user(out: Path) -> Settings:
    """The demo's configuration with somebody who may sign in."""
    config = out / "config" / "payback.toml"
    user = '\n[[dashboard.users]]\nname = "anna"\nrole = "owner"\npassword_hash = "env:PAYBACK_PASSWORD_ANNA"\n'
    config.write_text(config.read_text(encoding="utf-8") + user, encoding="utf-8")
    with (out / ".env").open("a", encoding="utf-8") as secrets:
        secrets.write(f"\nPAYBACK_PASSWORD_ANNA={hash_password(PASSWORD)}\n")
    return load_settings(out / "config", {})


def _remember_weeks(settings: Settings) -> str:
    """A snapshot for each week since the launch, and the launch's name."""
    warehouse, moment = open_warehouse(settings), as_of_from(None, settings)
    (launch,) = settings.launches
    monday, last = monday_of(launch.started_on) + timedelta(weeks=3), monday_of(moment.on)
    while monday < last:
        found: dict[str, Any] | None = None
        try:
            with warehouse.reading(moment.seen_until) as reading:
                found = document(measure(reading, launch, settings, moment, known_on=monday))
        except NothingToMeasure:  # too early
            pass
        if found is not None:
            found["as_of"] = date.isoformat(monday)
            warehouse.save_snapshot(launch.name, found["as_of"], document_bytes(found))
        monday += timedelta(weeks=1)
    return launch.name


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
