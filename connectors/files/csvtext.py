"""CSV as CRMs and spreadsheets write it, read line by line: one broken quote costs one row, not the rest of the file."""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TextIO

from connectors.errors import PayloadError
from connectors.files.options import DELIMITERS
from connectors.files.tables import CELL_LIMIT, Row, Score, check_width

HEADING_LINES = 20
BLOCK = 1 << 17  # characters
LINE_LIMIT = 4 * CELL_LIMIT  # characters of one row
LINES_LIMIT = 1000  # of one row: comments have line breaks, but not more than that
_STRAY = re.compile("[\ud800-\udfff]")  # a byte that is no text in the file's encoding

_ENDS = ("\n", "\r")
_NUL = "a NUL byte"
_LONG = f"a line or cell of more than {CELL_LIMIT} characters"
_QUOTE = "a quote opens in this line and is not closed where it should be"
_BYTES = "bytes that are no text in the file's encoding"


class CsvTable:
    """A delimited text file. Its first line that is not blank holds the headings."""

    unit = "line"
    serial_origin: datetime | None = None

    def __init__(self, path: Path, name: str, encoding: str, delimiter: str | None, score: Score, *, is_damaged: bool) -> None:
        self._path, self._name, self._encoding, self._is_damaged = path, name, encoding, is_damaged
        if csv.field_size_limit() < CELL_LIMIT:  # the interpreter's limit is one for all; ours is the wider one
            csv.field_size_limit(CELL_LIMIT)
        with self._lines() as lines:
            lines.skip_preamble()
            head = lines.peek()
        self._delimiter = delimiter or _sniff(head, score)
        headings = _header(head, self._delimiter)
        while headings and not headings[-1].strip():  # Bitrix24 ends every line with a delimiter
            headings.pop()
        if not headings:
            raise PayloadError(f"{name} has no line with headings", hint="export it again, with the headings")
        check_width(headings, name)
        self.headings = headings

    def rows(self) -> Iterator[Row]:
        with self._lines() as lines:
            lines.skip_preamble()
            next(csv.reader(lines, delimiter=self._delimiter))
            while True:
                yield from self._careful(lines)
                block = lines.block()
                if not block:
                    return
                if (parsed := self._plain(block)) is None:
                    lines.put_back(block)
                    continue
                width, first = len(self.headings), lines.number - len(block) + 1
                for number, cells in enumerate(parsed, first):
                    if any(cells):
                        yield Row(number, cells, "" if len(cells) == width else self._miscounted(cells))

    def _plain(self, block: list[str]) -> list[list[str]] | None:
        """The cells of lines that hold one row each, as nearly all do; None when a line needs a closer look."""
        try:
            parsed = list(csv.reader(block, delimiter=self._delimiter))
        except csv.Error:
            return None
        if len(parsed) != len(block) or (parsed[-1] and parsed[-1][-1].endswith(_ENDS)):
            return None
        text = "".join(block)
        is_odd = "\0" in text or max(map(len, block)) >= LINE_LIMIT or (self._is_damaged and _STRAY.search(text))
        return None if is_odd else parsed

    def _careful(self, lines: "_Lines") -> Iterator[Row]:
        """The rows of the lines put back, one by one."""
        reader = csv.reader(lines, delimiter=self._delimiter)
        while lines.is_pending:
            lines.begin()
            fault, cells, is_runaway = "", [], False
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _Oversize:
                fault = _LONG
            except (csv.Error, _Runaway):
                is_runaway = len(lines.taken) > 1
                fault = _QUOTE if is_runaway else _LONG
            number, taken = lines.number - len(lines.taken) + 1, lines.taken
            fault = fault or self._miscounted(cells) or (_QUOTE if lines.is_ended else "")
            if len(taken) > 1 and (fault or self._is_glued(taken)):
                fault = _QUOTE
                lines.take_back()
            if is_runaway and (n_skipped := lines.skip(self._is_no_row)):
                fault = f"{fault}; {n_skipped} lines after it form no rows"
            if fault or any(map(str.strip, cells)):
                yield Row(number, cells, fault or next(filter(None, map(self._damage, taken)), ""))

    def _miscounted(self, cells: list[str]) -> str:
        width = len(self.headings)
        if len(cells) == width or not cells or (len(cells) > width and not any(cells[width:])):
            return ""
        return f"{len(cells)} cells instead of {width}"

    def _is_glued(self, taken: list[str]) -> bool:
        """Whether lines held together by a quote are rows of their own: then the quote is a stray one."""
        width = len(self.headings)
        return width > 2 and all(len(_header([line], self._delimiter)) >= width for line in taken)

    def _is_no_row(self, line: str) -> bool:
        cells = _header([line], self._delimiter)
        return not cells or bool(self._miscounted(cells))

    def _damage(self, line: str) -> str:
        if "\0" in line:
            return _NUL
        return _BYTES if self._is_damaged and _STRAY.search(line) else ""

    @contextmanager
    def _lines(self) -> Iterator["_Lines"]:
        """The file's lines; a decoder that cannot go on becomes a PayloadError."""
        with self._path.open(encoding=self._encoding, errors="surrogateescape", newline="") as text:
            try:
                yield _Lines(text)
            except UnicodeError:
                raise PayloadError(
                    f"{self._name} is not text in {self._encoding}", hint="set encoding to the right one"
                ) from None
            except (csv.Error, _Runaway, _Oversize):  # rows take care of their own: these are the headings
                raise PayloadError(f"{self._name} has no line with headings", hint="export it again, with the headings") from None


def _header(lines: list[str], delimiter: str) -> list[str]:
    """The first row of these lines."""
    try:
        return next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error:
        return []


def _sniff(head: list[str], score: Score) -> str:
    """The delimiter that makes the most known headings of the first line (then: the most cells). Data is never guessed on."""

    def rank(delimiter: str) -> tuple[int, int]:
        cells = _header(head, delimiter)
        return score(cells), len(cells)

    return max(DELIMITERS, key=rank)


class _Runaway(Exception):
    """A row that goes on over more lines, or more characters, than any row has."""


class _Oversize(Exception):
    """A line too long to hold; it has been skipped."""


class _Lines:
    """Physical lines, in blocks or one by one for csv.reader; the latter remember what they gave, so that it can be taken back.

    A line too long to hold is cut, and its rest skipped.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.number = 0  # of the line given last
        self.taken: list[str] = []  # the lines of the present row
        self._size = 0
        self.is_ended = False  # whether the present row asked for lines beyond the end

    @property
    def is_pending(self) -> bool:
        """Whether lines were put back."""
        return bool(self._again)

    def block(self) -> list[str]:
        """The next lines at once; none at the end."""
        block: list[str] = []
        size = 0
        for line in self._fresh():
            block.append(line)
            size += len(line)
            if size >= BLOCK:
                break
        self.number += len(block)
        return block

    def _fresh(self) -> Iterator[str]:
        readline = self._text.readline
        while line := readline(LINE_LIMIT):
            if len(line) == LINE_LIMIT and not line.endswith(_ENDS):
                while (rest := readline(LINE_LIMIT)) and not rest.endswith(_ENDS):
                    pass
            yield line if line.endswith(_ENDS) or len(line) == LINE_LIMIT else line + "\n"  # the last line may lack its end

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._fresh(), "")
        if not line:
            self.is_ended = True
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        self._size += len(line)
        if self._size >= LINE_LIMIT or len(self.taken) > LINES_LIMIT:
            raise _Runaway if len(self.taken) > 1 else _Oversize
        return line

    def begin(self) -> None:
        """A new row starts."""
        self.taken, self._size, self.is_ended = [], 0, False

    def put_back(self, lines: list[str]) -> None:
        """Give these lines, the last ones given, once more."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)

    def take_back(self) -> None:
        """Give all lines of the present row but the first once more."""
        self.put_back(self.taken[1:])

    def skip(self, is_no_row: Callable[[str], bool]) -> int:
        """Pass lines until the next row: what is left of an endless cell. How many."""
        n_skipped = 0
        while line := self._again.popleft() if self._again else next(self._fresh(), ""):
            self.number += 1
            if not is_no_row(line):
                self.put_back([line])
                break
            n_skipped += 1
        return n_skipped

    def skip_preamble(self) -> None:
        """Pass the byte order mark, blank lines and Excel's sep= line."""
        for line in self:
            self.begin()
            line = line.removeprefix("\ufeff")
            if line.strip() and not line.lower().startswith("sep="):
                self.put_back([line])
                break

    def peek(self) -> list[str]:
        """The next lines, as many as headings may take; what is wrong with them shows when rows are read."""
        lines: list[str] = []
        with suppress(_Runaway, _Oversize):
            for line in islice(self, HEADING_LINES):
                lines.append(line)
        return lines
