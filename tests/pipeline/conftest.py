"""A salon's portal, its configuration as `payback init` writes it, and the command line run in process."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from connectors.demo import DemoPortal, PortalOptions, Store, salon
from connectors.secrets import Secret
from pipeline.cli import main
from pipeline.errors import Exit
from pipeline.init import Answers, write_config
from tests.pipeline.shop_made import Letterbox, Shop

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


def open_portal(store: Store) -> DemoPortal:
    return DemoPortal(store, PortalOptions(has_limits=False)).start()


def settled(portal: DemoPortal, folder: Path, warehouse_url: str) -> Office:
    """An office with a configuration for the portal, as `payback init` writes it."""
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
    write_config(folder / "config", answers, {})
    return Office(portal, folder, warehouse_url)


@pytest.fixture
def open_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """open_office(warehouse_url, store=None) -> Office; its portal is closed after the test."""
    opened: list[DemoPortal] = []

    def start(warehouse_url: str, store: Store | None = None) -> Office:
        opened.append(open_portal(store or build_salon()))
        return settled(opened[-1], tmp_path, warehouse_url)

    yield start
    for portal in opened:
        portal.close()


@pytest.fixture
def office(open_office: Callable[..., Office], tmp_path: Path) -> Office:
    """An office with a DuckDB warehouse."""
    return open_office(f"duckdb:///{tmp_path / 'payback.duckdb'}")


@pytest.fixture(scope="session")
def synced_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one sync of such an office stores. Its salon is the same in every office, so a copy is as good as a sync."""
    folder = tmp_path_factory.mktemp("synced")
    portal = open_portal(build_salon())
    try:
        assert settled(portal, folder, f"duckdb:///{folder / 'payback.duckdb'}").payback("sync") == Exit.OK
    finally:
        portal.close()
    return folder / "payback.duckdb"


@pytest.fixture
def synced(office: Office, synced_file: Path) -> Office:
    """An office whose warehouse has had its first sync."""
    shutil.copy(synced_file, office.folder)
    return office


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    monkeypatch.setattr("connectors.pacing.SystemClock.sleep", lambda self, seconds: None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A folder with the least configuration that can be read."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "payback.toml").write_text('[business]\nlanguage = "en"\n', encoding="utf-8")
    (tmp_path / ".env").write_text("PAYBACK_HASH_KEY=0123456789abcdef0123\nSHORT=abc\n", encoding="utf-8")
    return folder


@pytest.fixture
def box() -> Iterator[Letterbox]:
    letterbox = Letterbox()
    yield letterbox
    letterbox.close()


@pytest.fixture
def shop(tmp_path: Path, box: Letterbox, migrated_file: Path) -> Shop:
    """A shop with one generic webhook to tell."""
    shop = Shop.made(tmp_path / "shop", more='\n[alerts]\nto = ["env:ALERT"]\n')
    shutil.copy(migrated_file, shop.home / "payback.duckdb")
    shop.environ["ALERT"] = f"json://127.0.0.1:{box.port}/hook-of-the-owner"
    return shop
