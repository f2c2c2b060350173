"""Bitrix24's "Excel" export: an HTML table under the name .xls, read as a stream."""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path

from lxml import etree

from connectors.errors import PayloadError
from connectors.files.tables import CELL_LIMIT, Row, check_width

_BLOCK = 1 << 17
_STRAY = "\ufffd"
_ROW_LIMIT = 16 << 20  # characters from one row's end to the next: what has not ended is held in memory
_RUN_LIMIT = CELL_LIMIT + _BLOCK  # from one "<" to the next: a cell and its tag


class HtmlTable:
    """All rows of a page's tables; the first one that is not blank holds the headings."""

    unit = "row"
    serial_origin: datetime | None = None

    def __init__(self, path: Path, name: str, encoding: str) -> None:
        self._path, self._name, self._encoding = path, name, encoding
        self.headings: list[str] = []
        for _, cells in self._filled():
            while cells and not cells[-1].strip():
                cells.pop()
            self.headings = cells
            break
        if not self.headings:
            raise PayloadError(
                f"{name} is a web page without a table", hint="export it again: a login page may have been saved instead"
            )

        check_width(self.headings, name)

    def rows(self) -> Iterator[Row]:
        width, is_header = len(self.headings), True
        for number, cells in self._filled():
            if is_header:
                is_header = False
                continue
            fault = ""
            if len(cells) < width or any(cells[width:]):
                fault = f"{len(cells)} cells instead of {width}"
            elif any(len(cell) > CELL_LIMIT for cell in cells):
                fault = f"a cell of more than {CELL_LIMIT} characters"
            elif any(_STRAY in cell for cell in cells):
                fault = "bytes that are no text in the file's encoding"
            yield Row(number, cells, fault)

    def _filled(self) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of every row that is not blank."""
        parser = etree.HTMLPullParser(
            events=("end",), tag="tr", encoding="utf-8", huge_tree=False, remove_comments=True, remove_pis=True
        )
        number = size = 0
        try:
            for block in chain(self._blocks(), (None,)):
                if block is None:
                    parser.close()  # a file that breaks off leaves a row open: it comes now
                elif block:
                    parser.feed(block.encode("utf-8"))
                    size += len(block)
                for _, row in parser.read_events():
                    if not isinstance(row, etree._Element):  # the event's type allows more than an "end" event brings
                        continue
                    number += 1
                    size = 0
                    cells = [_cell_text(cell) for cell in row.iterchildren("td", "th")]
                    _forget(row)
                    if any(map(str.strip, cells)):
                        yield number, cells
                if size > _ROW_LIMIT:
                    what = f"{self._name}: no row ends in {_ROW_LIMIT >> 20} MB after row {number}"
                    raise PayloadError(what, hint="export it again, or as CSV")
        except etree.LxmlError as error:
            raise PayloadError(f"{self._name}: the table breaks off at row {number + 1} ({type(error).__name__})") from None

    def _blocks(self) -> Iterator[str]:
        """The page in pieces, in which no text without a tag is longer than a cell may be: what is beyond is left out."""
        run = 0
        with self._path.open(encoding=self._encoding, errors="replace", newline="") as text:
            while block := text.read(_BLOCK):
                block = block.replace("\0", _STRAY)
                first, last = block.find("<"), block.rfind("<")
                if first < 0:
                    kept = block[: max(0, _RUN_LIMIT - run)]
                    run += len(block)
                    yield kept
                    continue
                yield block[: min(first, max(0, _RUN_LIMIT - run))]
                yield block[first:]
                run = len(block) - last


def _cell_text(cell: etree._Element) -> str:
    """The text of a cell; <br> is a line break."""
    for line_break in cell.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    return "".join(map(str, cell.itertext()))


def _forget(row: etree._Element) -> None:
    """Free the rows that have been read."""
    row.clear()
    parent = row.getparent()
    if parent is not None:
        while row.getprevious() is not None:
            del parent[0]
