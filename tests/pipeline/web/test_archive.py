"""The stored snapshots as the pages read them, on each engine, also when the warehouse is away."""

import hashlib
import json
import socket
from pathlib import Path

import pytest

from connectors.secrets import Secret
from pipeline.errors import WarehouseError
from pipeline.settings import Business, Settings
from pipeline.warehouse import Warehouse
from pipeline.web import archive
from pipeline.web.archive import Archive, by_week


def settings_of(folder: Path, url: str) -> Settings:
    return Settings(folder, Business(), Secret(url), (), (), (), (), Secret("k" * 16))


def test_the_last_stored_of_each_time_in_order_of_the_times(warehouse: Warehouse, warehouse_url: str, tmp_path: Path) -> None:
    stored = [
        ("2026-08-03", "first"), ("2026-07-27", "a week before, stored later"), ("2026-08-03", "corrected"),
        ("2026-08-03T09:00:00+00:00", "the same day's morning"), ("2026-08-05", "the same week"),
    ]  # fmt: skip
    for as_of, text in stored:
        warehouse.save_snapshot("one", as_of, json.dumps({"text": text}).encode())
    warehouse.save_snapshot("' or 1=1 --", "2026-08-03", b"{}")
    found = Archive(settings_of(tmp_path, warehouse_url))
    assert set(found.launches()) == {"one", "' or 1=1 --"}
    entries = found.snapshots("one")
    texts = found.digests(entries, lambda document: document["text"])
    assert texts == ["a week before, stored later", "the same day's morning", "corrected", "the same week"]
    assert found.digests(entries, lambda document: 1 / 0) == texts  # read once
    assert [entry.as_of for entry in by_week(entries)] == ["2026-07-27", "2026-08-05"]
    assert found.entry("one", entries[0].key) == entries[0]
    assert found.entry("' or 1=1 --", entries[0].key) is None
    replaced = found.entry("one", hashlib.sha256(b'{"text": "first"}').hexdigest()[:16])  # somebody was sent its address
    assert replaced is not None
    assert found.document(replaced) == {"text": "first"}


def test_when_the_warehouse_goes_away_what_was_known_is_shown_and_said_to_be_old(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"postgresql://payback:secret@127.0.0.1:{nobody.getsockname()[1]}/payback"
    with pytest.raises(WarehouseError):
        Archive(settings_of(tmp_path, away)).launches()
    url = f"duckdb:///{tmp_path / 'w.duckdb'}"
    (tmp_path / "w.duckdb").write_bytes(migrated_file.read_bytes())
    Warehouse(url).save_snapshot("one", "2026-08-03", b'{"text": 1}')
    found = Archive(settings_of(tmp_path, url))
    assert found.launches() == ("one",)
    assert not found.is_stale
    monkeypatch.setattr(archive, "FRESH_SECONDS", -1.0)
    found._warehouse = Warehouse(away)
    assert found.launches() == ("one",)
    assert found.is_stale
    with pytest.raises(WarehouseError):
        found.document(found.snapshots("one")[0])


def test_before_the_first_run_there_is_nothing(tmp_path: Path) -> None:
    found = Archive(settings_of(tmp_path, f"duckdb:///{tmp_path / 'none.duckdb'}"))
    assert found.launches() == ()
    assert found.snapshots("one") == ()
