"""From sources into the warehouse: each source fails alone, what was committed stays, the next sync goes on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from connectors.contract import Chunk, Finding, Json, Reject, Stream
from connectors.errors import AccessError
from pipeline.errors import WarehouseError
from pipeline.pull import pull_all, pull_source
from pipeline.warehouse import Warehouse
from tests.pipeline.records_made import LEADS, lead


@dataclass
class LeadBook:
    """A reader of leads 1..`n` in chunks of 10 that breaks before chunk `breaks_at`."""

    n: int = 30
    breaks_at: int | None = None
    error: Exception = field(default_factory=lambda: AccessError("the webhook is dead", hint="make a new one"))
    OPTIONS: ClassVar[type] = object

    @classmethod
    def open(cls, options: Any, surroundings: Any) -> "LeadBook":
        raise NotImplementedError

    def streams(self) -> Sequence[Stream]:
        return [LEADS]

    def read(self, states: Mapping[str, Mapping[str, Json] | None]) -> Iterator[Chunk]:
        done = (states["leads"] or {"after": 0})["after"]
        for first in range(done + 1, self.n + 1, 10):
            if self.breaks_at == first // 10 + 1:
                raise self.error
            rejects = [Reject("5", "unreadable", "amount", "line 6")] if first == 1 else []
            rows = [lead(number) for number in range(first, first + 10) if number != 5]
            yield Chunk(LEADS, rows, rejects, {"after": first + 9})

    def findings(self) -> Sequence[Finding]:
        return []


def n_leads(warehouse: Warehouse, source: str) -> int:
    with warehouse.reading() as reading:
        return int(reading.rows("select count(*) as n from leads where source = :source", {"source": source})[0].n)


def test_one_source_failing_does_not_stop_the_others(warehouse: Warehouse) -> None:
    sources = [
        ("dead", LeadBook(breaks_at=2)),
        ("buggy", LeadBook(breaks_at=1, error=ZeroDivisionError("a bug"))),
        ("fine", LeadBook()),
    ]
    shown: list[tuple[str, str, int]] = []
    outcomes = pull_all(sources, warehouse, "r1", progress=lambda source: lambda stream, n, _: shown.append((source, stream, n)))
    assert [(one.source, type(one.error).__name__) for one in outcomes] == [
        ("dead", "AccessError"),
        ("buggy", "ZeroDivisionError"),
        ("fine", "NoneType"),
    ]
    done = outcomes[0].report
    assert done is not None  # what was stored before the webhook died is told
    assert (done.streams["leads"].received, outcomes[1].report) == (10, None)
    report = outcomes[2].report
    assert report is not None
    assert (report.streams["leads"].appended, report.streams["leads"].rejected) == (29, 1)
    assert [n_leads(warehouse, source) for source in ("dead", "buggy", "fine")] == [9, 0, 29]
    assert ("fine", "leads", 30) in shown


def test_the_next_sync_goes_on_where_the_last_one_broke(warehouse: Warehouse) -> None:
    with pytest.raises(AccessError):
        pull_source("crm", LeadBook(breaks_at=3), warehouse, "r1")
    assert n_leads(warehouse, "crm") == 19
    report = pull_source("crm", LeadBook(), warehouse, "r2")
    assert report.streams["leads"].received == 10
    assert n_leads(warehouse, "crm") == 29
    pull_source("crm", LeadBook(), warehouse, "r3")
    assert n_leads(warehouse, "crm") == 29


def test_a_full_sync_over_known_rows_appends_nothing(warehouse: Warehouse) -> None:
    pull_source("crm", LeadBook(), warehouse, "r1")
    report = pull_source("crm", LeadBook(), warehouse, "r2", full=True)
    assert (report.streams["leads"].received, report.streams["leads"].appended) == (30, 0)
    assert n_leads(warehouse, "crm") == 29


def test_a_fault_of_the_warehouse_ends_the_sync(tmp_path: Any) -> None:
    nowhere = Warehouse(f"duckdb:///{tmp_path / 'no' / 'folder.duckdb'}")
    with pytest.raises(WarehouseError, match="folder does not exist"):
        pull_all([("crm", LeadBook())], nowhere, "r1")


def test_the_first_sync_makes_the_tables(tmp_path: Any) -> None:
    warehouse = Warehouse(f"duckdb:///{tmp_path / 'new.duckdb'}")
    assert pull_all([("crm", LeadBook())], warehouse, "r1")[0].error is None
    assert n_leads(warehouse, "crm") == 29
