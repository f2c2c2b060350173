"""Export files written for the tests, in every format, and what the reader made of them."""

import csv
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl

from connectors.contract import Chunk, Finding, Reject, Surroundings
from connectors.files import Files, Options
from connectors.records import Record
from connectors.secrets import Secret

MOSCOW = ZoneInfo("Europe/Moscow")
HEADINGS = ("ID", "Дата создания", "Стадия", "Источник", "UTM Source", "Возможная сумма")
ROW = ("1", "01.10.2026 12:30:00", "Пришёл", "Сайт", "yandex", "1500.00")

Cell = str | int | float | datetime | None
Table = Sequence[Sequence[Cell]]


def surroundings(zone: str = "Europe/Moscow") -> Surroundings:
    return Surroundings(ZoneInfo(zone), Secret("a key of thirty-two characters.."))


def csv_bytes(rows: Table, *, delimiter: str = ";", encoding: str = "utf-8-sig", tail: str = "", end: str = "\r\n") -> bytes:
    """Every cell quoted; `tail` is what Bitrix24 adds to each line (";")."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=tail + end)
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def html_bytes(rows: Table, encoding: str = "utf-8") -> bytes:
    """What Bitrix24 calls an Excel file."""
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>\n" for row in rows)
    head = f'<html>\n<head><meta http-equiv="Content-type" content="text/html;charset={encoding}" /></head>\n'
    return f'{head}<body><table border="1">\n{body}</table></body></html>'.encode(encoding)


def write_xlsx(path: Path, rows: Table, *, before: int = 0) -> Path:
    """A workbook; strings stay strings even when they look like formulas. `before` blank rows come first."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for down, row in enumerate(rows, start=1 + before):
        for right, value in enumerate(row, start=1):
            cell = sheet.cell(down, right)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"
    book.save(path)
    book.close()
    return path


@dataclass
class Outcome:
    """What came out of one reading, by stream name."""

    chunks: list[Chunk] = field(default_factory=list)
    findings: Sequence[Finding] = ()

    def records(self, stream: str) -> list[Any]:
        return [record for chunk in self.chunks if chunk.stream.name == stream for record in chunk.records]

    @property
    def leads(self) -> dict[str, Any]:
        leads = self.records("leads")
        assert len({lead.lead_id for lead in leads}) == len(leads)
        return {lead.lead_id: lead for lead in leads}

    @property
    def rejects(self) -> list[Reject]:
        return [reject for chunk in self.chunks for reject in chunk.rejects]

    @property
    def states(self) -> dict[str, Mapping[str, Any] | None]:
        return {chunk.stream.name: chunk.state for chunk in self.chunks}

    @property
    def all_records(self) -> list[Record]:
        return [record for chunk in self.chunks for record in chunk.records]

    def found(self, code: str) -> Finding:
        return next(finding for finding in self.findings if finding.code == code)

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings}


def read(path: Path | str, states: Mapping[str, Mapping[str, Any] | None] | None = None, **options: Any) -> Outcome:
    """Read with these options; whatever was read before an error is lost, use `Files` itself to see it."""
    reader = Files.open(Options(path=str(path), **options), surroundings())
    chunks = list(reader.read(states or {}))
    return Outcome(chunks, reader.findings())


def read_bytes(folder: Path, content: bytes, name: str = "leads.csv", **options: Any) -> Outcome:
    """Write one file and read it."""
    path = folder / name
    path.write_bytes(content)
    return read(path, **options)
