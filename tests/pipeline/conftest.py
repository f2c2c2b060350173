"""A salon's portal, its configuration as `payback init` writes it, and the command line run in process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from connectors.demo import DemoPortal, PortalOptions, Store, salon
from connectors.secrets import Secret
from pipeline.cli import main
from pipeline.init import Answers, write_config

TODAY = date(2026, 11, 16)


def build_salon(seed: int = 7, **plan: float) -> Store:
    """Half a year of a small salon."""
    return salon.build(seed=seed, today=TODAY, **{"weeks": 30, "weeks_after": 10, "leads_per_week": 60.0, **plan})


@dataclass(frozen=True)
class Office:
    """A place to work in: a portal, a configuration, a warehouse."""

    portal: DemoPortal
    folder: Path
    warehouse_url: str

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def payback(self, *arguments: str) -> int:
        """Run a command with this configuration; the exit code."""
        return main(["--config", str(self.config), *arguments], {"PAYBACK_WAREHOUSE": self.warehouse_url})

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one place of a configuration file."""
        path = self.config / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def open_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """open_office(warehouse_url, store=None) -> Office; its portal is closed after the test."""
    opened: list[DemoPortal] = []

    def start(warehouse_url: str, store: Store | None = None) -> Office:
        portal = DemoPortal(store or build_salon(), PortalOptions(has_limits=False)).start()
        opened.append(portal)
        assert portal.store.truth is not None
        answers = Answers(
            name="Salon",
            profile="salon",
            timezone="Europe/Moscow",
            webhook=Secret(portal.webhook_url),
            branch="Филиал",
            started_on=portal.store.truth.launch_on,
            margin=0.6,
            one_off=30_000.0,
            monthly=5_000.0,
        )
        write_config(tmp_path / "config", answers, {})
        return Office(portal, tmp_path, warehouse_url)

    yield start
    for portal in opened:
        portal.close()


@pytest.fixture
def office(open_office: Callable[..., Office], tmp_path: Path) -> Office:
    """An office with a DuckDB warehouse."""
    return open_office(f"duckdb:///{tmp_path / 'payback.duckdb'}")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    monkeypatch.setattr("connectors.pacing.SystemClock.sleep", lambda self, seconds: None)
