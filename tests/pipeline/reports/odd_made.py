"""Real measurements of odd businesses: nothing happened, nobody came, one week, amounts of one and of a million million."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.records import Lead, Record, StageChange
from pipeline.document import document
from pipeline.launches import LaunchCosts
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.settings import Business
from pipeline.warehouse import Warehouse
from tests.pipeline.salon_made import launch, salon, settings

Document = dict[str, Any]
SEEN = datetime(2200, 1, 1)


def odd_documents(folder: Path, measured: Callable[..., Document]) -> dict[str, Document]:
    """Documents by name."""
    dear = LaunchCosts(one_off=1e12, monthly=5e11)
    return {
        "no effect": measured(lift=0.0),
        "one week": measured(as_of=AsOf(date(2026, 6, 8), SEEN, "2026-06-08")),
        "nobody came": _measured(folder / "silent", nobody_came(salon())),
        "checks of one": _measured(folder / "cheap", paid(Decimal("0.001")), costs=LaunchCosts(one_off=1.0, monthly=0.5)),
        "million million": _measured(folder / "dear", paid(Decimal(10**9), "KZT"), currency="KZT", costs=dear),
    }


def paid(factor: Decimal, currency: str = "RUB") -> Iterator[Record]:
    """A launch that pays, in another size of money."""
    for record in salon(lift=0.5):
        if isinstance(record, Lead) and record.amount:
            yield replace(record, amount=(record.amount * factor).quantize(Decimal("0.01")), currency=currency)
        else:
            yield record


def nobody_came(records: Iterable[Record]) -> Iterator[Record]:
    """All leads stay new."""
    for record in records:
        if isinstance(record, Lead):
            yield replace(record, stage_id="NEW", amount=Decimal(0))
        elif isinstance(record, StageChange) and record.stage_id == "NEW":
            yield record


def _measured(folder: Path, records: Iterable[Record], *, currency: str = "RUB", **launched: Any) -> Document:
    folder.mkdir()
    warehouse = Warehouse(f"duckdb:///{folder / 'w.duckdb'}")
    warehouse.migrate()
    warehouse.append(list(records), "crm", "r1")
    rules = replace(settings(), business=Business(timezone="UTC", currency=currency))
    with warehouse.reading(SEEN) as reading:
        return document(measure(reading, launch(**launched), rules, AsOf(date(2026, 8, 3), SEEN, "2026-08-03")))
