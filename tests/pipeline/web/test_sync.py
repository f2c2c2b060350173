"""What the page of sync health says when something is wrong: in the reader's language, the program's English words beside it."""

import re
from pathlib import Path

import pytest
import requests

from pipeline.run import sync_sources
from pipeline.settings import Settings
from tests.pipeline.web.conftest import Site
from tests.pipeline.web.dashboard_made import configure, served

pytestmark = pytest.mark.xdist_group("dashboard")
ORIGINAL = re.compile(r'<details class="original">.*?</details>', re.DOTALL)


def shown(site: Site, settings: Settings, language: str) -> str:
    """The page's content, as somebody on this machine sees it before users are named."""
    with served(settings) as url:
        page = site.visitor().get(f"{url}/sync?lang={language}", timeout=20)
    assert page.status_code == 200
    return page.text.partition("<main")[2]


def words(page: str) -> str:
    """What is read without opening anything."""
    return " ".join(re.sub(r"<[^>]+>", " ", ORIGINAL.sub("", page)).split())


@pytest.mark.parametrize(("language", "said"), [("ru", "Ни один обмен ещё не закончился"), ("en", "No run has ended yet")])
def test_before_the_first_run_the_page_says_so(site: Site, tmp_path: Path, language: str, said: str) -> None:
    page = words(shown(site, configure(tmp_path, users=()), language))
    assert said in page
    assert ("никогда" if language == "ru" else "never") in page  # the source


@pytest.mark.parametrize(
    ("language", "said"),
    [("ru", "Ошибка в настройках"), ("en", "The configuration is wrong"), ("zh", "配置有误")],
)
def test_a_failed_source_is_told_in_the_reader_s_language(site: Site, tmp_path: Path, language: str, said: str) -> None:
    settings = configure(tmp_path, users=())
    night = sync_sources(settings)  # there is no folder exports
    assert night.outcome == "failed"
    page = shown(site, settings, language)
    assert said in words(page)
    (source,) = night.sources
    assert str(source.error).split("/")[0].strip() in "".join(ORIGINAL.findall(page))  # for operations staff
    if language == "ru":
        assert not re.search(r"\b(failed|the last run|is no folder|folder)\b", words(page))


def test_a_warehouse_that_is_away_is_told_in_the_reader_s_language(site: Site, tmp_path: Path) -> None:
    settings = configure(tmp_path, users=())
    (tmp_path / "payback.duckdb").write_bytes(b"this is no database at all" * 400)
    page = shown(site, settings, "ru")
    assert "Хранилищем нельзя было пользоваться" in words(page)
    assert "Требует внимания" in words(page)
    assert ORIGINAL.search(page)


def test_machines_are_told_in_english(tmp_path: Path) -> None:
    with served(configure(tmp_path, users=())) as url:
        told = requests.get(f"{url}/readyz", timeout=20).json()
    assert told == {"ready": False, "reasons": ["no run has ended yet"]}


def test_every_kind_of_fault_has_words(site: Site) -> None:
    from pipeline.errors import Exit
    from pipeline.reports.words import words_of

    kinds = [one.name.lower() for one in Exit if one not in (Exit.OK, Exit.PARTIAL, Exit.FINDINGS)] + ["interrupted", "killed"]
    for language in ("ru", "en", "zh"):
        assert all(words_of(language).has(f"dash.fault.{kind}") for kind in kinds)


def test_what_an_incident_says_is_said_once_and_the_front_page_agrees(site: Site, tmp_path: Path) -> None:
    settings = configure(tmp_path)
    sync_sources(settings)
    with served(settings) as url:
        owner = Site(url, settings, tmp_path).signed_in("anna")
        page = words(owner.get(f"{url}/sync", timeout=20).text.partition("<main")[2])
        assert "не удалось прочитать" in page
        assert "ещё ни разу не ответил" not in page
        assert "Требует внимания" in owner.get(f"{url}/", timeout=20).text
