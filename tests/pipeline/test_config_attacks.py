"""Configurations that attack, or are simply damaged: always a sentence with its place and exit code 2, never a traceback."""

import json
import time
from pathlib import Path

import pytest

from connectors.text import shown
from pipeline.cli import main
from pipeline.errors import ConfigError, Exit
from pipeline.settings import load_settings
from pipeline.strict import LARGEST
from tests.hostile import TEXTS

ENVIRON = {"PAYBACK_HASH_KEY": "k" * 32}
MAIN = '[sources.export]\nkind = "files"\npath = "x.csv"\n'
LAUNCH = "[launch]\nstarted_on = 2026-10-05\n"


def refused(folder: Path, **files: str | bytes) -> ConfigError:
    """Loading these files (by stem; the others are good ones) is refused with the file's name and what to do."""
    folder.mkdir(exist_ok=True)
    for stem, content in {"payback": MAIN, "launches": LAUNCH, **files}.items():
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (folder / f"{stem}.toml").write_bytes(raw)
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load_settings(folder, ENVIRON)
    assert time.process_time() - started < 5
    assert str(folder) in str(caught.value)
    assert len(f"{caught.value}{caught.value.hint}") < 1500
    return caught.value


MISSHAPEN = {
    "huge number": "a = " + "9" * 5000,
    "lists without end": "a = " + "[" * 50_000,
    "tables without end": "a = " + "{b = " * 50_000,
    "key without end": "a." * 100_000 + "b = 1",
    "table without end": "[" + "a." * 100_000 + "b]",
    "quoted key without end": '"a".' * 100_000 + "b = 1",
    "the same key twice": "a = 1\na = 2",
    "the same table twice": "[a]\n[a]",
    "no end of text": 'a = "x',
    "NUL": 'a = "x\0"',
    "half a character": 'a = "\ud800"',
    "half a character written out": r'a = "\ud800"',
    "no such day": "a = 2026-13-45",
    "no such year": "a = 0000-01-01",
    "another encoding": 'a = "тест"'.encode("cp1251"),
    "UTF-16": 'a = "тест"'.encode("utf-16"),
    "binary": bytes(range(256)),
    "far too large": "# " + "x" * LARGEST,
}


@pytest.mark.parametrize("stem", ["payback", "launches", "stages"])
@pytest.mark.parametrize("kind", MISSHAPEN)
def test_what_is_no_configuration_is_refused(tmp_path: Path, stem: str, kind: str) -> None:
    refused(tmp_path / "config", **{stem: MISSHAPEN[kind]})


VALUES = (
    "9999999999999999999999", "-1", "1e400", "-inf", "nan", "0x" + "f" * 400, "true", '""', '"x"', "[]", "[[[]]]", "{}",
    "{a = {}}", "2026-10-05", "2026-10-05T10:00:00Z", "10:00:00", r'"\u001b[31mred"', r'"\u202eevil"', r'"a\u0000b"',
    '"' + "x" * 5000 + '"',
)  # fmt: skip
KEYS = {  # the value stands in place of @
    "payback": (
        "business = @", "business.timezone = @", "business.currency = @", "business.language = @", "business.closures = @",
        "business.name = @", "warehouse.url = @", "schedule.run = @", "channels = @", "sources = @", "sources.export = @",
        f"{MAIN}columns = @", f"{MAIN}country = @", f"{MAIN}encoding = @", "[sources.export]\nkind = @", "@ = 1",
        '[sources.export]\nkind = "files"\npath = @',
    ),
    "launches": (
        "launch = @", "[launch]\nstarted_on = @", f"{LAUNCH}margin = @", f"{LAUNCH}title = @", f"{LAUNCH}washout_days = @",
        f"{LAUNCH}horizon_days = @", f"{LAUNCH}costs = @", f"{LAUNCH}costs.one_off = @", f"{LAUNCH}scope.channels = @",
        f"{LAUNCH}holdout.share = @", f"{LAUNCH}control.keys = @",
    ),
    "stages": ("export = @", "export.lead = @", "export.lead.NEW = @"),
}  # fmt: skip


@pytest.mark.parametrize(("stem", "content"), [(stem, content) for stem, contents in KEYS.items() for content in contents])
def test_values_of_every_kind_are_taken_or_refused_in_words(tmp_path: Path, stem: str, content: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    n_refused = 0
    for value in VALUES:
        for name, usual in {"payback": MAIN, "launches": LAUNCH, stem: content.replace("@", value)}.items():
            (folder / f"{name}.toml").write_text(usual, encoding="utf-8")
        try:
            load_settings(folder, ENVIRON)
        except ConfigError as error:
            n_refused += 1
            told = f"{error}{error.hint}"
            assert ".toml" in told, value[:40]
            assert len(told) < 6000
    assert n_refused >= 6  # the wrong kinds at least


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_hostile_names_and_texts_are_refused_or_harmless(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TEXTS[kind].replace("\ud83d", "")[:3000]
    written = json.dumps(text)
    folder = tmp_path / "config"
    folder.mkdir()
    for place, main_text, launches in (
        ("source", f'[sources.{written}]\nkind = "files"\npath = "x.csv"\n', LAUNCH),
        ("key", f"{MAIN}{written} = 1\n", LAUNCH),
        ("kind", f'[sources.export]\nkind = {written}\npath = "x.csv"\n', LAUNCH),
        ("launch", MAIN, f"[{written}]\nstarted_on = 2026-10-05\n"),
        ("launch key", MAIN, f"{LAUNCH}{written} = 5\n"),
        ("scope", MAIN, f"{LAUNCH}scope.sources = [{written}]\n"),
        ("timezone", f"business.timezone = {written}\n{MAIN}", LAUNCH),
    ):
        (folder / "payback.toml").write_text(main_text, encoding="utf-8")
        (folder / "launches.toml").write_text(launches, encoding="utf-8")
        code = main(["--config", str(folder), "measure", "nobody"], ENVIRON)
        told = capsys.readouterr().err
        assert code == Exit.CONFIG, place
        assert "Traceback" not in told
        assert shown(told) == told
        assert told.count("\n") <= 3 or "\n" in text, place


def test_a_title_may_be_any_text_that_can_be_seen(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "payback.toml").write_text("\ufeff" + MAIN.replace("\n", "\r\n"), encoding="utf-8")  # as Notepad saves it
    title = "<b>Бот</b> «=1+1» {{ 7*7 }} 👨‍👩‍👧"
    (folder / "launches.toml").write_text(f'["бот-2"]\n' f"title = '{title}'\nstarted_on = 2026-10-05\n", encoding="utf-8")
    (launch,) = load_settings(folder, ENVIRON).launches
    assert (launch.name, launch.title) == ("бот-2", title)


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/b", "a\\b", " ", "", ".env", "x.", "a" * 65, "a\nb", "con\x7f"])
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path / "config", launches=f"[{json.dumps(name)}]\nstarted_on = 2026-10-05\n")
