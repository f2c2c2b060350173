"""XLSX workbooks: the first sheet with anything in it, read as a stream."""

import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any

import openpyxl

from connectors.errors import PayloadError
from connectors.files.tables import BLOCK, CELL_LIMIT, Row, check_width

RATIO_LIMIT = 200
SIZE_LIMIT = 2 << 30
SMALL = 10 << 20  # a few repeated rows may shrink more than RATIO_LIMIT and do no harm
ROWS_LIMIT = 1_048_576  # of a sheet, by the format
# Bytes of a part by its name; rows are read one by one, these parts are held in memory, formats at a hundred times their size.
_PARTS = (("xl/worksheets/", SIZE_LIMIT), ("xl/sharedstrings", 256 << 20), ("", 8 << 20))
_ROW_BLOCKS = 16  # MB without a new row
_ROW = re.compile(rb"<(?:\w+:)?row\b")
_STEP = 500
# What zipfile and openpyxl raise for a damaged workbook depends on where the damage is.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, SyntaxError, EOFError, NotImplementedError, RuntimeError, LookupError, ArithmeticError,
    ValueError, TypeError, AttributeError,
)  # fmt: skip


class SheetTable:
    """A worksheet. The first row that is not blank holds the headings."""

    unit = "row"

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._check_archive()
        self.headings: list[str] = []
        with self._values() as (origin, rows):
            self.serial_origin: datetime | None = origin
            for values in rows:
                if headings := _texts(values):
                    self.headings = headings
                    break
        if not self.headings:
            raise PayloadError(f"{name} is an empty workbook", hint="export it again, with the headings")
        check_width(self.headings, name)

    def rows(self) -> Iterator[Row]:
        width, is_header = len(self.headings), True
        with self._values() as (_, rows):
            for number, values in enumerate(rows, start=1):
                cells = _texts(values)
                if not cells:
                    continue
                if is_header:
                    is_header = False
                    continue
                fault = f"a cell of more than {CELL_LIMIT} characters" if any(len(cell) > CELL_LIMIT for cell in cells) else ""
                yield Row(number, cells + [""] * (width - len(cells)), fault)

    @contextmanager
    def _values(self) -> Iterator[tuple[datetime, Iterator[tuple[Any, ...]]]]:
        """Day 0 of the workbook's dates, and the rows of its first filled sheet. Anything wrong inside becomes a PayloadError."""
        with self._path.open("rb") as file:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about styles and validations, which nobody reads here
                    book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
                try:
                    yield book.epoch, _filled_rows(book)
                finally:
                    book.close()
            except _DAMAGED as error:
                raise self._damaged(error) from None

    def _damaged(self, error: BaseException) -> PayloadError:
        reason = f"{self._name} is a damaged workbook ({type(error).__name__})"
        return PayloadError(reason, hint="open it in Excel and save it as .xlsx again")

    def _check_archive(self) -> None:
        """Refuse, before anything is unpacked, what would fill the memory or the disk."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                members = archive.infolist()
                unpacked = sum(member.file_size for member in members)
                packed = sum(member.compress_size for member in members) or 1
                if unpacked > SIZE_LIMIT or (unpacked > SMALL and unpacked > RATIO_LIMIT * packed):
                    raise PayloadError(f"{self._name} unpacks to {unpacked >> 20} MB, far too much", hint="export it as CSV")
                if not any(member.filename.lower() == "xl/workbook.xml" for member in members):
                    raise PayloadError(f"{self._name} is a zip archive, not a workbook", hint="unpack it first")
                for member in members:
                    with archive.open(member) as file:
                        self._check_part(file, member.filename.lower())
        except _DAMAGED as error:
            raise self._damaged(error) from None

    def _check_part(self, file: IO[bytes], part: str) -> None:
        """A part goes by its content, as the XML reader does: its name says nothing. Pictures and the like are left alone."""
        foreign = PayloadError(f"{self._name} was not written by a spreadsheet program", hint="save it as .xlsx again")
        block = file.read(BLOCK)
        if block[:2] in (b"\xff\xfe", b"\xfe\xff") or (b"\0" in block[:4] and b"<" in block[:4]):
            raise foreign  # UTF-16 and UTF-32 hide from the checks below; no such program writes them
        if not block.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
            return
        limit = next(limit for start, limit in _PARTS if part.startswith(start))
        tail, size, n_rowless = b"", 0, 0
        while block:
            size += len(block)
            seen = tail + block
            if b"<!DOCTYPE" in seen or b"<!ENTITY" in seen:  # entities multiply text, and read files
                raise foreign
            if len(block) == BLOCK and b"<" not in block:
                raise PayloadError(f"{self._name} holds a cell of over {CELL_LIMIT} characters", hint="shorten it, or export CSV")
            n_rowless = 0 if _ROW.search(seen) else n_rowless + 1
            if size > limit or (part.startswith("xl/worksheets/") and n_rowless > _ROW_BLOCKS):
                raise PayloadError(f"{self._name}: {part} holds more than a table needs", hint="export it as CSV")
            tail, block = block[-16:], file.read(BLOCK)


def _filled_rows(book: openpyxl.Workbook) -> Iterator[tuple[Any, ...]]:
    """Rows of the first sheet that has any, numbered as in the sheet from 1."""
    n_rows = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # a wrong dimension would cut or pad every row
        rows = sheet.iter_rows(values_only=True)
        is_filled = False
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # dates outside the calendar become "#VALUE!" and are quarantined by us
                step = list(islice(rows, _STEP))
            if not step:
                break
            n_rows += len(step)
            if n_rows > 2 * ROWS_LIMIT:  # rows may be numbered as high as somebody likes, and those left out are blank
                raise ValueError("rows without end")
            is_filled = is_filled or any(cell not in (None, "") for values in step for cell in values)
            yield from step
        if is_filled:
            return


def _texts(values: tuple[Any, ...]) -> list[str]:
    """Cells as text without the empty ones at the end; a row without any is empty."""
    cells = [value if isinstance(value, str) else _text(value) for value in values]
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _text(value: object) -> str:
    """A cell as an export would have written it: whole numbers without a point, times to the second."""
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case datetime():
            if value.microsecond:  # a fraction of a day cannot hold every second exactly
                value = (value + timedelta(milliseconds=500)).replace(microsecond=0)
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)
