"""The sink in memory, and sources that are read locally."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from connectors import engine
from connectors.contract import Chunk, Finding, Json, Landing, Reject, Stream, Surroundings
from connectors.memory import MemorySink
from connectors.records import CrmSource, StageChange
from tests.connectors.packed_crm import LABELS, START, TICKETS, Label, Ticket


def ticket(key: int, stage: str = "new", hour: int = 0) -> Ticket:
    return Ticket(str(key), START.replace(hour=hour), stage)


def test_a_touched_row_is_no_new_version_and_a_changed_one_is() -> None:
    sink = MemorySink()
    assert sink.commit([Landing(TICKETS, [ticket(1), ticket(2)])]) == [2]
    assert sink.commit([Landing(TICKETS, [ticket(1, hour=5), ticket(2, "won")])]) == [1]
    assert sink.n_versions == 3


def test_deleted_rows_are_no_longer_counted_and_may_return() -> None:
    sink = MemorySink()
    sink.commit([Landing(TICKETS, [ticket(key) for key in (3, 5, 9)])])
    assert sink.commit([Landing(TICKETS, deleted=[5])]) == [1]
    assert sink.commit([Landing(TICKETS, deleted=[5])]) == [0]
    assert (sink.counts(TICKETS, [(0, 4), (3, 9), (9, 99)]), sink.keys(TICKETS, 0, 9)) == ([1, 1, 0], [3, 9])
    assert sink.commit([Landing(TICKETS, [ticket(5)])]) == [1]
    assert sink.keys(TICKETS, 3, 9) == [5, 9]


def test_quarantined_keys_are_known_until_the_row_can_be_read() -> None:
    sink = MemorySink()
    sink.commit([Landing(TICKETS, [ticket(1)], [Reject("2", "no date"), Reject(None, "no key")])])
    assert sink.keys(TICKETS, 0, 9) == [1, 2]
    assert len(sink.rejects(TICKETS)) == 2
    sink.commit([Landing(TICKETS, [ticket(2)])])
    assert [one.key for one in sink.rejects(TICKETS)] == [None]


def test_dictionary_rows_are_deleted_by_their_full_key() -> None:
    sink = MemorySink()
    sink.commit([Landing(LABELS, [Label("lead", "NEW", "a"), Label("deal", "NEW", "b")])])
    sink.commit([Landing(LABELS, deleted=[("deal", "NEW")])])
    assert sink.names(LABELS) == {("lead", "NEW")}


def test_streams_of_one_table_are_told_apart_by_their_fixed_field() -> None:
    sink = MemorySink()
    streams = [Stream(f"{name}_history", StageChange, only={"entity": name}) for name in ("lead", "deal")]
    for stream in streams:
        name: Any = stream.only["entity"]
        sink.commit([Landing(stream, [StageChange(name, "7", "1", "NEW", "", None, START, START.date())])])
    sink.commit([Landing(streams[0], deleted=[7])])
    assert [sink.keys(stream, 0, 9) for stream in streams] == [[], [7]]


def test_a_state_that_is_no_json_stores_nothing() -> None:
    sink = MemorySink()
    with pytest.raises(TypeError):
        sink.commit([Landing(TICKETS, [ticket(1)], state={"since": START})])
    assert sink.keys(TICKETS, 0, 9) == []


SOURCES = Stream("crm_sources", CrmSource)


class Notebook:
    """A local source of three chunks."""

    OPTIONS: ClassVar[type] = object

    @classmethod
    def open(cls, options: Any, surroundings: Surroundings) -> "Notebook":
        return cls()

    def streams(self) -> Sequence[Stream]:
        return [SOURCES]

    def read(self, states: Mapping[str, Mapping[str, Json] | None]) -> Iterator[Chunk]:
        done = int((states["crm_sources"] or {}).get("chunk", 0))
        for i in range(done, 3):
            rejects = [Reject(None, "broken quote", where="line 7")] if i == 1 else []
            yield Chunk(SOURCES, [CrmSource(f"S{i}", "a name")], rejects, {"chunk": i + 1})

    def findings(self) -> Sequence[Finding]:
        return [Finding("heading_unmapped", "warning", "crm_sources")]


def test_a_local_source_is_stored_chunk_by_chunk_and_resumed() -> None:
    sink = MemorySink()
    report = engine.pull(Notebook(), sink, stop=lambda: sink.n_commits == 1)
    assert {one.code for one in report.findings} == {"heading_unmapped", "stopped"}
    assert sink.names(SOURCES) == {("S0",)}
    report = engine.pull(Notebook(), sink)
    line = report.streams["crm_sources"]
    assert (line.received, line.appended, line.rejected) == (3, 2, 1)
    assert {one.code for one in report.findings} == {"heading_unmapped", "rows_quarantined"}
    assert engine.pull(Notebook(), sink).streams["crm_sources"].received == 0
    assert engine.pull(Notebook(), sink, full=True).streams["crm_sources"].appended == 0
