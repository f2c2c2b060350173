"""An installed wheel carries its SQL and profiles: it runs the demo without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder holding what the wheel holds, as site-packages would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line out of the wheel, far away from the checkout."""
    program = "import pipeline.cli, sys; print(pipeline.cli.__file__); sys.exit(pipeline.cli.main(sys.argv[1:], {}))"
    environ = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.thorough
def test_installed_wheel_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "demo", "--out", "demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert "incremental profit: true" in done.stdout
    assert (tmp_path / "demo" / "assistant.html").exists()


def test_installed_wheel_shows_its_sql(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "sql", "show_rate")
    assert done.returncode == 0, done.stderr
    assert "definition:" in done.stdout


def test_installed_wheel_calculates_and_audits(installed: Path, tmp_path: Path) -> None:
    plan = run(installed, tmp_path, "calc", "speech-analytics", "--example", "--lang", "en")
    assert plan.returncode == 0, plan.stderr
    assert "34,566.7%" in plan.stdout
    audit = run(installed, tmp_path, "calc", "audit", "support-chat", "--lang", "en")
    assert audit.returncode == 0, audit.stderr
    assert "10% to 35%" in audit.stdout.replace("\u00a0", " ")
