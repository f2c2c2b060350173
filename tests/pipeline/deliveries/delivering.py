"""A shop with one weekly report, a way to send it, and what was said about it."""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipeline import deliver
from pipeline.deliveries import Deliveries
from pipeline.document import document_bytes
from pipeline.periods import AsOf
from pipeline.state import State
from pipeline.subscribers import WEEKDAYS
from pipeline.warehouse import Reading, Warehouse
from tests.pipeline.deliveries.postoffice import ROBOT, TOKEN, PostOffice
from tests.pipeline.salon_made import salon
from tests.pipeline.shop_made import Shop

AS_OF = "2026-08-03"
HOSTILE = '[URL=https://evil.example]x[/URL] <a href="//evil.example">@all</a> #tag'
LAUNCHES = "[assistant]\ntitle = {title}\nstarted_on = 2026-05-04\nmargin = 0.5\n"
TODAY = WEEKDAYS[datetime.now(ZoneInfo("Europe/Moscow")).weekday()]
PORTAL = '\n[sources.portal]\nkind = "bitrix24"\nwebhook = "env:WEBHOOK"\n'
ADDRESSES = {
    "telegram": f"tgram://{TOKEN}/-100123",
    "wecom": f"wecombot://{ROBOT}",
    "webhook": "json://127.0.0.1:{port}/hook-of-the-owner?key=hush-hush-7",
    "bitrix24": "",
}

# The report has a way to recognise a repeat there, so a crash costs nothing; elsewhere it leaves a doubt.
IS_REPEATABLE = {"telegram": False, "wecom": False, "webhook": True, "bitrix24": True}


def sent(shop: Shop) -> list[str]:
    """Plan and send as the end of a run does; the state of each delivery that was tried."""
    return [one.state for one in deliver.deliver_measured(shop.settings(), {"assistant": AS_OF}, linger=0.0)]


def states(shop: Shop) -> list[str]:
    return [one.state for one in Deliveries(State(shop.home)).newest()]


def said(office: PostOffice) -> list[str]:
    """The texts that arrived."""
    found = []
    for one in office.received:
        fields = one.fields
        text = fields["text"]["content"] if isinstance(fields.get("text"), dict) else fields.get("text")
        found.append(text or fields.get("caption") or fields.get("MESSAGE"))
    return found


def snapshot(shop: Shop) -> dict[str, Any]:
    stored = Warehouse(shop.settings().warehouse_url.reveal()).snapshot("assistant", AS_OF)
    assert stored is not None
    found: dict[str, Any] = json.loads(stored)
    return found


def stored(folder: Path, migrated_file: Path, name: str, figures_of: Callable[[Reading, AsOf], Mapping[str, Any]]) -> Path:
    """A warehouse whose only rows are one snapshot: what `figures_of` makes of a salon that the launch did good."""
    source = Warehouse(f"duckdb:///{shutil.copy(migrated_file, folder / 'source.duckdb')}")
    source.append(salon(lift=0.5), "crm", "r1")
    as_of = AsOf(date(2026, 8, 3), datetime(2200, 1, 1), AS_OF)
    with source.reading(as_of.seen_until) as reading:
        figures = figures_of(reading, as_of)
    file = shutil.copy(migrated_file, folder / "snapshot.duckdb")
    Warehouse(f"duckdb:///{file}").save_snapshot(name, AS_OF, document_bytes(figures))
    return Path(file)
