"""What is remembered of files: read once, read again when they change, never half remembered, nothing forgotten."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Reader
from connectors.engine import pull
from connectors.errors import OptionError, PayloadError
from connectors.files import Files, Options
from connectors.memory import MemorySink
from tests.connectors.files.exports import HEADINGS, ROW, csv_bytes, html_bytes, read, surroundings, write_xlsx

STREAMS = {"leads", "lead_history", "stages", "pipelines", "crm_sources", "owners"}
MAPPED = ("ID", "Дата создания", "Стадия", "Дата изменения стадии", "Ответственный", "Источник", "Воронка")


def export(*keys: int | str, stage: str = "Новый") -> bytes:
    row = ("01.10.2026 12:00:00", stage, "02.10.2026 12:00:00", "Анна", "Сайт", "Главная")
    return csv_bytes([MAPPED, *((str(key), *row) for key in keys)])


def place(path: Path, content: bytes, age: int = 0) -> Path:
    """Write a file as if `age` seconds ago."""
    path.write_bytes(content)
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    return path


def test_it_is_a_reader_with_the_streams_of_its_record() -> None:
    leads = Files.open(Options(path="x"), surroundings())
    deals = Files.open(Options(path="x", record="deals"), surroundings())
    assert isinstance(leads, Reader)
    assert {stream.name for stream in leads.streams()} == STREAMS
    assert {stream.name for stream in deals.streams()} == STREAMS - {"leads", "lead_history"} | {"deals", "deal_history"}


def test_the_same_file_again_yields_nothing(tmp_path: Path) -> None:
    place(tmp_path / "leads.csv", export(1, 2))
    first = read(tmp_path)
    assert set(first.states) == STREAMS
    digests = {state["files"]["leads.csv"] for state in first.states.values() if state}
    assert len(digests) == 1
    assert len(digests.pop()) == 64
    assert read(tmp_path, first.states).chunks == []
    place(tmp_path / "leads.csv", export(1, 2), age=-500)  # written again, same bytes
    assert read(tmp_path, first.states).chunks == []


def test_a_changed_file_and_changed_options_are_read_again(tmp_path: Path) -> None:
    place(tmp_path / "leads.csv", export(1, 2))
    first = read(tmp_path)
    assert set(read(tmp_path, first.states, currency="EUR").leads) == {"1", "2"}
    place(tmp_path / "leads.csv", export(1, 2, 3))
    second = read(tmp_path, first.states)
    assert set(second.leads) == {"1", "2", "3"}
    assert list((second.states["leads"] or {})["files"]) == ["leads.csv"]
    place(tmp_path / "leads.csv", export(1, 2))  # back to the old export: it is the newest now
    assert set(read(tmp_path, second.states).leads) == {"1", "2"}


def test_only_what_was_stored_is_skipped(tmp_path: Path) -> None:
    """Killed after the leads were stored: the other streams still come, the leads do not come twice."""
    place(tmp_path / "leads.csv", export(1, 2))
    first = read(tmp_path)
    again = read(tmp_path, {"leads": first.states["leads"]})
    assert {chunk.stream.name for chunk in again.chunks} == STREAMS - {"leads"}
    assert len(again.records("lead_history")) == 2


def test_the_digest_comes_only_with_the_last_rows(tmp_path: Path) -> None:
    place(tmp_path / "a.csv", export(*range(1, 12_001)), age=9)
    place(tmp_path / "b.csv", export(99_999))
    outcome = read(tmp_path)
    sizes = [len(chunk.records) for chunk in outcome.chunks if chunk.stream.name == "leads"]
    assert sizes == [5000, 5000, 2000, 1]
    names = [sorted(chunk.state["files"]) for chunk in outcome.chunks if chunk.stream.name == "leads"]
    assert names == [[], [], ["a.csv"], ["a.csv", "b.csv"]]
    assert len(outcome.records("lead_history")) == 12_001


def test_a_sync_stopped_anywhere_and_resumed_stores_what_an_undisturbed_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.files.importing.BATCH", 50)
    place(tmp_path / "a.csv", export(*range(1, 130)), age=9)
    place(tmp_path / "b.csv", export(*range(120, 140), stage="Записан"))
    whole = MemorySink()
    pull(Files.open(Options(path=str(tmp_path)), surroundings()), whole)
    n_chunks = len(read(tmp_path).chunks)
    for stop_after in range(n_chunks):
        sink = MemorySink()
        left = iter([False] * stop_after)
        reader = Files.open(Options(path=str(tmp_path)), surroundings())
        pull(reader, sink, stop=lambda left=left: next(left, True))
        pull(reader, sink)
        assert content(sink, reader) == content(whole, reader)
    report = pull(reader, sink)
    assert {line.appended for line in report.streams.values()} == {0}


def content(sink: MemorySink, reader: Files) -> Mapping[str, Any]:
    return {stream.name: (sink.rows(stream), sink.state(stream)) for stream in reader.streams()}


def test_the_later_export_wins(tmp_path: Path) -> None:
    place(tmp_path / "a.csv", export(1, stage="Пришёл"), age=0)
    place(tmp_path / "b.csv", export(1, stage="Новый"), age=50)
    assert [lead.stage_id for lead in read(tmp_path).records("leads")] == ["новый", "пришел"]


def test_a_file_that_goes_is_told_once_and_not_forgotten(tmp_path: Path) -> None:
    place(tmp_path / "a.csv", export(1), age=9)
    place(tmp_path / "b.csv", export(2))
    first = read(tmp_path)
    (tmp_path / "a.csv").rename(tmp_path.parent / "a.csv")
    second = read(tmp_path, first.states)
    assert second.found("files_gone").detail == {"file": "a.csv"}
    assert second.all_records == []
    states = first.states | second.states
    third = read(tmp_path, states)
    assert (third.findings, third.chunks) == ((), [])
    (tmp_path.parent / "a.csv").rename(tmp_path / "a.csv")
    fourth = read(tmp_path, states)
    assert fourth.all_records == []
    (tmp_path / "a.csv").unlink()
    assert "files_gone" in read(tmp_path, states | fourth.states).codes


def test_a_renamed_file_is_the_same_file(tmp_path: Path) -> None:
    place(tmp_path / "a.csv", export(1))
    first = read(tmp_path)
    (tmp_path / "a.csv").rename(tmp_path / "october.csv")
    second = read(tmp_path, first.states)
    assert (second.findings, second.chunks) == ((), [])


def test_a_file_that_is_written_while_it_is_read_is_not_remembered(tmp_path: Path) -> None:
    path = place(tmp_path / "leads.csv", export(*range(1, 12_001)))
    reader = Files.open(Options(path=str(path)), surroundings())
    states = {}
    for chunk in reader.read({}):
        with path.open("ab") as file:
            file.write(b"12345;01.10.2026;")
        states[chunk.stream.name] = chunk.state
    assert {tuple(state["files"]) for state in states.values()} == {()}
    assert [finding.code for finding in reader.findings() if finding.severity == "warning"] == ["file_changed_while_read"]


def test_all_readable_files_come_before_the_error_about_the_others(tmp_path: Path) -> None:
    place(tmp_path / "a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, age=9)
    place(tmp_path / "b.csv", export(1))
    place(tmp_path / "c.csv", csv_bytes([("ID", "Стадия"), ("1", "x")]))
    reader = Files.open(Options(path=str(tmp_path)), surroundings())
    leads = []
    with pytest.raises(PayloadError, match="2 files could not be read") as caught:  # noqa: PT012  # what came before the error counts
        for chunk in reader.read({}):
            leads += [lead.lead_id for lead in chunk.records if chunk.stream.name == "leads"]
    assert leads == ["1"]
    assert "a.xls" in str(caught.value)
    assert "c.csv" in str(caught.value)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place(tmp_path / "leads.csv", export(1))
    opened = Path.open

    def refused(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self == path:  # root reads everything: permissions cannot be taken away in this test
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(PayloadError, match=r"leads\.csv cannot be read: Permission denied"):
        read(tmp_path)


def test_a_folder_is_watched_for_exports_of_every_kind(tmp_path: Path) -> None:
    place(tmp_path / "a.csv", csv_bytes([HEADINGS, ("1", *ROW[1:])]))
    place(tmp_path / "b.XLS", html_bytes([HEADINGS, ("2", *ROW[1:])]))
    write_xlsx(tmp_path / "c.xlsx", [HEADINGS, ("3", *ROW[1:])])
    place(tmp_path / "~$c.xlsx", b"lock file of Excel")
    place(tmp_path / ".d.csv", b"half a download")
    place(tmp_path / "notes.docx", b"PK\x03\x04")
    (tmp_path / "archive.csv").mkdir()
    assert set(read(tmp_path).leads) == {"1", "2", "3"}


def test_a_pattern(tmp_path: Path) -> None:
    for folder in ("north", "south"):
        (tmp_path / folder).mkdir()
    place(tmp_path / "north" / "leads.csv", export(1))
    place(tmp_path / "south" / "leads.csv", export(2))
    place(tmp_path / "south" / "deals.csv", export(3))
    outcome = read(tmp_path / "*" / "leads*.csv")
    assert set(outcome.leads) == {"1", "2"}
    assert set((outcome.states["leads"] or {})["files"]) == {"north/leads.csv", "south/leads.csv"}


def test_no_such_place_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no file or folder") as caught:
        read(tmp_path / "nothing.csv")
    assert "nothing.csv" in str(caught.value)
    outcome = read(tmp_path)
    assert (outcome.chunks, outcome.codes) == ([], {"no_files"})
    assert read(tmp_path / "*.csv").codes == {"no_files"}


def test_missing_columns_are_told(tmp_path: Path) -> None:
    place(tmp_path / "leads.csv", csv_bytes([("ID", "Created", "Source"), ("1", "01.10.2026", "x")]))
    found = {
        finding.severity: finding.detail["columns"] for finding in read(tmp_path).findings if finding.code == "columns_missing"
    }
    assert found == {"warning": "stage", "info": "utm_source, amount, owner"}


def test_a_person_in_utm_or_source_is_not_kept(tmp_path: Path) -> None:
    headings = ("ID", "Created", "Source", "UTM Source", "UTM Medium", "UTM Campaign", "UTM Content", "UTM Term")
    persons = ("8 (916) 123-45-67", "Ivan@Example.ru", "+79161234567", "12345678", "79161234567", "ivan%40example.ru")
    row = ("1", "01.10.2026", *persons)
    place(tmp_path / "leads.csv", csv_bytes([headings, row]))
    outcome = read(tmp_path)
    lead = outcome.leads["1"]
    words = (lead.crm_source, lead.utm_source, lead.utm_medium, lead.utm_campaign, lead.utm_content, lead.utm_term)
    assert words == ("(personal)", "(personal)", "(personal)", "12345678", "(personal)", "(personal)")
    assert [(source.crm_source, source.name) for source in outcome.records("crm_sources")] == [("(personal)", "(personal)")]


def test_bad_rows_without_id_are_settled_when_their_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.files.importing.BATCH", 2)
    reader = Files.open(Options(path=str(tmp_path)), surroundings())
    leads, sink = reader.streams()[0], MemorySink()

    def open_places() -> list[str]:
        pull(reader, sink)
        return [reject.where for reject in sink.rejects(leads)]

    place(tmp_path / "a.csv", export("", 2, "", 4, 5))
    place(tmp_path / "b.csv", export("", 7))
    assert open_places() == ["a.csv, line 2", "a.csv, line 4", "b.csv, line 2"]
    place(tmp_path / "a.csv", export(1, 2, "", 4, 5))
    assert open_places() == ["b.csv, line 2", "a.csv, line 4"]
    place(tmp_path / "a.csv", export(1, 2, 3, 4, 5))
    assert open_places() == ["b.csv, line 2"]


def test_only_the_streams_asked_for_are_stored_and_the_others_come_next_time(tmp_path: Path) -> None:
    place(tmp_path / "leads.csv", export(1, 2))
    reader, sink = Files.open(Options(path=str(tmp_path)), surroundings()), MemorySink()
    report = pull(reader, sink, only=lambda stream: stream.name == "leads")
    assert {name: line.received for name, line in report.streams.items()} == {"leads": 2}
    assert [stream.name for stream in reader.streams() if sink.rows(stream) or sink.state(stream)] == ["leads"]
    again = pull(reader, sink)
    assert (again.streams["leads"].received, again.streams["lead_history"].appended) == (0, 2)


def test_a_file_that_fails_does_not_hide_what_came_of_the_others(tmp_path: Path) -> None:
    place(tmp_path / "a.csv", csv_bytes([("ID", "Created"), ("1", "01.10.2026"), ("2", "01.10.2026")]), age=9)
    place(tmp_path / "b.csv", b" ")
    reader = Files.open(Options(path=str(tmp_path)), surroundings())
    with pytest.raises(PayloadError, match=r"b\.csv") as caught:
        pull(reader, MemorySink())
    report = caught.value.report
    assert report is not None
    assert report.streams["leads"].appended == 2
    assert "columns_missing" in {finding.code for finding in report.findings}


def test_nothing_of_a_person_is_kept_or_told(tmp_path: Path) -> None:
    headings = (*HEADINGS, "Мобильный телефон", "E-mail", "Имя", "Комментарий")
    rows = [headings, (*ROW, "+7 999 123-45-67", "maria@example.com", "Мария Иванова", "перезвонить Марии"),
            ("2", "когда-то", *ROW[2:], "+7 999 123-45-67", "maria@example.com", "Мария Иванова", "секрет"),
            (*ROW, "+79991234567")]  # fmt: skip
    place(tmp_path / "leads.csv", csv_bytes(rows))
    outcome = read(tmp_path)
    everything = repr(outcome)
    assert len(outcome.rejects) == 2
    assert outcome.leads["1"].customer_hash
    assert outcome.leads["1"].has_phone
    for private in ("999", "maria", "Мария", "Марии", "секрет", "когда-то"):
        assert private not in everything
