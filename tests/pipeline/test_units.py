"""`payback schedule`: the next runs, and what starts Payback on a Linux host as that host would start it."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.cli import main
from pipeline.errors import Exit
from pipeline.schedule import Nights, timetable
from pipeline.settings import load_settings
from pipeline.status import status_document, status_lines
from pipeline.web.board import Board
from pipeline.web.gauges import Gauges
from tests.pipeline.test_serve import ROOT, figures


def printed(config: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["--config", str(config), "schedule", *options], {}) == Exit.OK
    return capsys.readouterr().out


def test_schedule_prints_the_next_runs_by_both_clocks(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "payback.toml").write_text(
        '[business]\ntimezone = "Europe/Berlin"\n[schedule]\nrun = "45 4 * * *"\n', encoding="utf-8"
    )
    document = json.loads(printed(config, capsys, "--json"))
    assert document["timezone"] == "Europe/Berlin"
    for one in document["next"]:
        assert one["local"][11:16] == "04:45"
        assert datetime.fromisoformat(one["local"]).astimezone(UTC) == datetime.fromisoformat(one["utc"])
    lines = printed(config, capsys).splitlines()
    assert len(lines) == 1 + len(document["next"])
    assert all(re.search(r"04:45 CES?T   \d{4}-\d\d-\d\d 0[23]:45 UTC$", line) for line in lines[1:])


def test_systemd_accepts_the_units(config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Also for a folder with blanks, per cent and dollar signs, and with every kind of schedule that has words there."""
    odd = tmp_path / "my $business 100%" / "config"
    odd.mkdir(parents=True)
    (odd.parent / ".env").write_text("PAYBACK_HASH_KEY=0123456789abcdef0123\n", encoding="utf-8")
    (odd / "payback.toml").write_text(
        '[business]\nname = "50 % more\\nUser=root"\n[schedule]\nrun = "*/20 3-5,7 * * sat-mon"\n', encoding="utf-8"
    )
    units = tmp_path / "units"
    units.mkdir()
    for folder, name in ((config, "plain"), (odd, "odd")):
        for kind, file in (("serve", f"{name}.service"), ("run", f"{name}-run.service"), ("timer", f"{name}-run.timer")):
            text = printed(folder, capsys, f"--systemd={kind}")
            (units / file).write_text(text, encoding="utf-8")
            assert "\nUser=root" not in text
    assert "OnCalendar=*-*-* 03:30:00 Europe/Moscow" in (units / "plain-run.timer").read_text(encoding="utf-8")
    assert "OnCalendar=Sat,Sun,Mon *-*-* 03..05,07:00/20:00" in (units / "odd-run.timer").read_text(encoding="utf-8")
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed here")
    files = sorted(str(file) for file in units.iterdir())
    found = subprocess.run([analyze, "verify", *files], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_cron_line_starts_a_night_from_anywhere(config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    odd = tmp_path / "it's 100%"
    shutil.copytree(config, odd / "config")
    shutil.copy(tmp_path / ".env", odd)
    line, backup = printed(odd / "config", capsys, "--cron").splitlines()[-2:]
    assert backup + "\n" == printed(odd / "config", capsys, "--cron=backup")
    assert line.startswith("30 3 * * * cd ")
    command = line.removeprefix("30 3 * * * ").replace(r"\%", "%")  # as cron hands it to the shell
    assert "%" not in line.replace(r"\%", "")
    environ = {"PATH": os.environ["PATH"], "HOME": "/"}
    done = subprocess.run(["/bin/sh", "-c", command], cwd="/", env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.CONFIG
    assert "no source in" in (odd / "payback.log").read_text(encoding="utf-8")


def test_cron_backs_up_where_it_knows_no_folder_and_no_path(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, migrated_file: Path
) -> None:
    """As Debian's cron starts it; the age of the newest backup stands in the status and the metrics, of none there is no word."""
    odd = tmp_path / "it's 100%"
    shutil.copytree(config, odd / "config")
    shutil.copy(tmp_path / ".env", odd)
    shutil.copy(migrated_file, odd / "payback.duckdb")
    folder = odd / "config"

    def told() -> tuple[object, str, dict[tuple[str, ...], float]]:
        settings = load_settings(folder, {})
        document = status_document(settings)
        board = Board(lambda: settings, Nights(timetable(settings), lambda moment: [], lambda: None))
        registry = CollectorRegistry()
        registry.register(Gauges(board))
        return document["last_backup"], "\n".join(status_lines(document, settings)), figures(generate_latest(registry).decode())

    made_at, lines, metrics = told()
    assert made_at is None
    assert "backup" not in lines + str(metrics)
    (odd / "backups").mkdir()
    old = odd / "backups" / "payback-20200101T000000Z.duckdb"
    for left in (old, odd / "backups" / "payback-of-mine.duckdb"):
        left.touch()
    os.utime(old, (0, 0))
    _, lines, metrics = told()
    assert metrics["payback_backup_age_seconds",] > 6 * 365 * 86400
    minute, hour, *_, command = printed(folder, capsys, "--cron=backup").replace(r"\%", "%").split(" ", 5)
    assert (minute, hour) == ("15", "6")
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["/bin/sh", "-c", command], cwd="/", env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert "wrote" in (odd / "payback.log").read_text(encoding="utf-8")
    assert not old.exists()
    assert len(list((odd / "backups").iterdir())) == 2
    made_at, lines, metrics = told()
    assert isinstance(made_at, str)
    assert "newest backup just now" in lines
    assert metrics["payback_backup_age_seconds",] < 120


def test_a_unit_keeps_the_port_it_was_made_with(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert " serve --host ::1 --port 9000\n" in printed(config, capsys, "--systemd", "--host", "::1", "--port", "9000")
    assert " serve\n" in printed(config, capsys, "--systemd")
    assert main(["--config", str(config), "schedule", "--port", "9000"], {}) == Exit.CONFIG
