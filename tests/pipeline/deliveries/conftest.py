"""A shop whose report goes out, and the post office it goes to."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import couriers
from pipeline.document import document
from pipeline.measurement import measure
from tests.pipeline.deliveries.delivering import ADDRESSES, HOSTILE, LAUNCHES, PORTAL, TODAY, stored
from tests.pipeline.deliveries.postoffice import PostOffice
from tests.pipeline.salon_made import launch, settings
from tests.pipeline.shop_made import Shop


@pytest.fixture(scope="module")
def warehouse_file(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """A warehouse with one snapshot of one launch."""
    return stored(
        tmp_path_factory.mktemp("snapshot"), migrated_file, "assistant",
        lambda reading, as_of: document(measure(reading, launch(title=HOSTILE), settings(), as_of)),
    )  # fmt: skip


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostOffice]:
    found = PostOffice()
    monkeypatch.setattr(couriers, "TELEGRAM", found.url)
    monkeypatch.setattr(couriers, "WECOM", f"{found.url}cgi-bin/webhook/")
    yield found
    found.close()


@pytest.fixture
def made(tmp_path: Path, warehouse_file: Path, office: PostOffice) -> Any:
    """made(way, more, weekday=today) -> a shop whose report goes that way."""

    def make(way: str = "webhook", more: str = "", *, weekday: str = TODAY) -> Shop:
        to = 'bitrix24 = { source = "portal", dialog_id = "chat17" }' if way == "bitrix24" else 'to = "env:OWNER"'
        table = f'\n[[deliveries]]\nname = "owner"\n{to}\nweekday = "{weekday}"\n{more}\n'
        shop = Shop.made(tmp_path / "shop", more=(PORTAL if way == "bitrix24" else "") + table)
        (shop.home / "config" / "launches.toml").write_text(LAUNCHES.format(title=json.dumps(HOSTILE)), encoding="utf-8")
        shutil.copy(warehouse_file, shop.home / "payback.duckdb")
        shop.environ |= {"OWNER": ADDRESSES[way].format(port=office.port)}
        shop.environ |= {"WEBHOOK": f"{office.url}rest/1/secretcode/"} if way == "bitrix24" else {}
        return shop

    return make
