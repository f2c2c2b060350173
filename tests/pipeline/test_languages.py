"""Which languages there are, and where one may be chosen."""

import pytest

from pipeline.cli import main
from pipeline.errors import ConfigError
from pipeline.languages import LANGUAGES
from pipeline.settings import load_settings

KEY = {"PAYBACK_HASH_KEY": "k" * 32}


def config(folder, text):
    folder.mkdir()
    (folder / "payback.toml").write_text(text, encoding="utf-8")
    return folder


def test_there_are_three():
    assert LANGUAGES == ("en", "ru", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_business_and_its_alerts_may_speak_any_of_them(language, tmp_path):
    text = f'[business]\nlanguage = "{language}"\n[alerts]\nlanguage = "{language}"\n'
    settings = load_settings(config(tmp_path / "config", text), KEY)
    assert (settings.business.language, settings.alerts.language) == (language, language)


@pytest.mark.parametrize("table", ["business", "alerts"])
def test_another_one_is_refused_where_it_stands(table, tmp_path):
    with pytest.raises(ConfigError, match=rf"line 2: \[{table}.language\]: 'cn' is not possible") as refused:
        load_settings(config(tmp_path / "config", f'[{table}]\nlanguage = "cn"\n'), KEY)
    assert refused.value.hint == "possible: en, ru, zh"


def test_the_command_line_offers_them(capsys):
    for command in ("report", "measure", "demo"):
        assert main([command, "--help"], {}) == 0
        assert "[en|ru|zh]" in capsys.readouterr().out, command
