"""docs/calc.md is true: its files are read and its commands run as they stand there."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.amounts import KINDS
from pipeline.cli import main
from pipeline.costs import CHECKLIST
from pipeline.errors import Exit

PAGE = (Path(__file__).parents[2] / "docs" / "calc.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.S | re.M)
FILES = {re.search(r"# (\S+\.toml)", text)[1]: text for kind, text in BLOCKS if kind == "toml"}
COMMANDS = [line.partition("  #")[0].strip() for kind, text in BLOCKS if not kind for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a reader of the page would be after typing in its files."""
    (tmp_path / "config" / "scenarios").mkdir(parents=True)
    for name, text in FILES.items():
        place = tmp_path / "config" / "scenarios" if name == "repairs.toml" else tmp_path
        (place / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, folder, capsys):
    assert main(shlex.split(command)[1:], {}) == Exit.OK
    assert len(capsys.readouterr().out) > 10


def test_the_page_has_its_files_and_names_every_kind_and_cost():
    assert set(FILES) == {"my-plan.toml", "repairs.toml", "promise.toml"}
    assert len(COMMANDS) > 9
    assert all(f"`{kind}`" in PAGE for kind in KINDS)
    assert all(line in PAGE for line in CHECKLIST)
