"""A shop whose report goes out, and the post office it goes to."""

import json
import shutil
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import couriers
from pipeline.document import document, document_bytes
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.warehouse import Warehouse
from tests.pipeline.deliveries.delivering import ADDRESSES, AS_OF, HOSTILE, LAUNCHES, PORTAL, TODAY
from tests.pipeline.deliveries.postoffice import PostOffice
from tests.pipeline.salon_made import launch, salon, settings
from tests.pipeline.shop_made import Shop


@pytest.fixture(scope="module")
def warehouse_file(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """A warehouse with one snapshot of one launch."""
    folder = tmp_path_factory.mktemp("snapshot")
    source = Warehouse(f"duckdb:///{shutil.copy(migrated_file, folder / 'source.duckdb')}")
    source.append(salon(lift=0.5), "crm", "r1")
    as_of = AsOf(date(2026, 8, 3), datetime(2200, 1, 1), AS_OF)
    with source.reading(as_of.seen_until) as reading:
        figures = document(measure(reading, launch(title=HOSTILE), settings(), as_of))
    file = shutil.copy(migrated_file, folder / "snapshot.duckdb")
    Warehouse(f"duckdb:///{file}").save_snapshot("assistant", AS_OF, document_bytes(figures))
    return Path(file)


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
