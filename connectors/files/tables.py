"""Export files as rows of text cells, whatever format they are in. The content decides the format, not the suffix."""

import codecs
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from connectors.errors import PayloadError

COLUMNS_LIMIT = 16_384  # of a spreadsheet, by the format
CELL_LIMIT = 1_000_000  # characters; no CRM field holds more, and a damaged file can pretend to
BLOCK = 1 << 20
KEPT_LIMIT = 100 << 20  # bytes, roughly

Score = Callable[[Sequence[str]], int]  # how many of these cells are headings we know


@dataclass(slots=True)
class Row:
    """One row: its number in the file (line or sheet row), its cells, and why it cannot be used ("" when it can)."""

    number: int
    cells: Sequence[str]
    fault: str = ""


class Table(Protocol):
    """A file that can be walked several times."""

    headings: list[str]
    unit: str  # what `Row.number` counts: "line" or "row"
    serial_origin: datetime | None  # day 0 of dates stored as numbers; None: numbers are never dates

    def rows(self) -> Iterator[Row]:
        """The rows below the headings, blank ones left out. Raises PayloadError."""
        ...


def check_width(headings: Sequence[str], name: str) -> None:
    """Raises PayloadError for a first row that no table has."""
    if len(headings) > COLUMNS_LIMIT:
        raise PayloadError(
            f"{name} has {len(headings)} columns, more than any spreadsheet", hint="export it again, or set the delimiter"
        )


class KeptTable:
    """A table whose format is slow to read: unless it is large, its rows are kept for the next walk."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.headings, self.unit, self.serial_origin = table.headings, table.unit, table.serial_origin
        self._kept: list[Row] | None = None

    def rows(self) -> Iterator[Row]:
        """As `Table.rows`."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Row] | None = []
        size = 0
        for row in self._table.rows():
            if kept is not None:
                kept.append(row)
                size += sum(map(len, row.cells)) + 50 * len(row.cells)
                if size > KEPT_LIMIT:
                    kept = None
            yield row
        self._kept = kept


def open_table(path: Path, name: str, *, encoding: str | None, delimiter: str | None, score: Score) -> Table:
    """The table in a file. Raises PayloadError naming the file when it holds none we can read."""
    # Each format brings its own slow import.
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise PayloadError(f"{name} is empty", hint="export it again")
    if head.startswith(b"PK\x03\x04"):
        from connectors.files.sheet import SheetTable

        return KeptTable(SheetTable(path, name))
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise PayloadError(
            f"{name} is an old binary or password-protected Excel file", hint="save it as .xlsx without a password"
        )
    if head.startswith((b"%PDF", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf")):
        raise PayloadError(f"{name} is not a table", hint="export as CSV or Excel, unpacked")
    encoding, is_damaged = (encoding, True) if encoding else encoding_of(path)
    start = head.decode(encoding, "replace").lstrip("\ufeff \t\r\n").lower()
    if start.startswith("<?xml"):
        raise PayloadError(f"{name} is an XML file", hint="save it as .xlsx or CSV")
    if start.startswith(("<html", "<!doctype", "<table", "<meta", "<head", "<body", "<style", "<!--")):
        from connectors.files.html import HtmlTable

        return KeptTable(HtmlTable(path, name, encoding))
    if start.count("\0") * 4 > len(start):
        raise PayloadError(f"{name} is no text in a known encoding", hint='if it is UTF-16, set encoding = "utf-16-le"')
    from connectors.files.csvtext import CsvTable

    return CsvTable(path, name, encoding, delimiter, score, is_damaged=is_damaged)


def digest_of(path: Path, fingerprint: str) -> str:
    """SHA-256 of what was asked (`fingerprint`) and the file's bytes: when either changes, the file is read again."""
    digest = hashlib.sha256(fingerprint.encode("utf-8"))
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def encoding_of(path: Path) -> tuple[str, bool]:
    """The encoding of a text file, and whether some of its bytes do not belong there.

    UTF-16 and UTF-8 by their marks, else UTF-8 when all bytes agree. When some do not, what most of the text around them says
    decides between a damaged UTF-8 file and cp1251: a wrong guess would turn every name into gibberish.
    """
    with path.open("rb") as file:
        block = file.read(BLOCK)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", True
        marked = block.startswith(codecs.BOM_UTF8)
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                good = block.decode("utf-8", "ignore")
                n_good = sum(not letter.isascii() for letter in good)
                n_bad = len(block) - len(good.encode("utf-8"))
                return ("utf-8-sig", True) if marked or n_good > n_bad else ("cp1251", True)
            if not block:
                return "utf-8-sig", False
            block = file.read(BLOCK)
