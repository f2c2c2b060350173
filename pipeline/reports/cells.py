"""One workbook being written: styles, number formats of a language, and cells that can only hold what they are given.

Every text is written as a string and never read for formulas, links or numbers: names come from a CRM. The bytes follow from the
contents alone.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from io import BytesIO
from math import ceil
from typing import Any, Literal

from pipeline.reports.numbers import MINUS, Numbers

Kind = Literal["whole", "decimal", "share", "points", "money", "money_exact", "months", "minutes", "hours", "precise"]
Value = float | str | None

WIDEST = 44  # characters; longer texts are wrapped
LINE = 76  # characters of the columns that a sentence is written across, about
TEXT_LIMIT = 16_000  # a cell holds 32 767 UTF-16 units, an emoji is two of them
A4 = 9
LINE_HEIGHT, HIGHEST = 15, 409  # points; Excel knows no higher row
# What XML cannot hold, or what turns the text around it.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
_FORMULA_LIKE = tuple("=+-@\t\r\n")
# Names of months follow the language of the report, not that of the reader's machine.
_LCID = {"ru": "[$-419]", "en": "[$-409]", "zh": "[$-804]"}
_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 18},
    "verdict": {"bold": True, "font_size": 14, "font_color": "#0b5cad"},
    "section": {"bold": True, "font_size": 13},
    "head": {"bold": True, "text_wrap": True, "align": "right", "valign": "bottom", "bg_color": "#e9ecf0", "bottom": 1},
    "head_text": {"bold": True, "text_wrap": True, "align": "left", "valign": "bottom", "bg_color": "#e9ecf0", "bottom": 1,
                  "indent": 1},
    "plain": {},
    "cell": {"valign": "top"},
    "label": {"valign": "top", "align": "left", "indent": 1},
    "aside": {"text_wrap": True, "valign": "top", "font_color": "#5c6675", "align": "left", "indent": 1},
    "name": {"valign": "top", "text_wrap": True},
    # Slanted and grey: marked in grey print too.
    "young": {"valign": "top", "align": "left", "indent": 1, "italic": True, "font_color": "#5c6675"},
    "young_figure": {"valign": "top", "italic": True, "font_color": "#5c6675"},
    "total": {"bold": True, "top": 1, "valign": "top"},
    "sum": {"bold": True, "valign": "top"},
    "text": {"text_wrap": True, "valign": "top"},
    "note": {"text_wrap": True, "valign": "top", "font_color": "#5c6675"},
    # Black on yellow with a frame: marked in grey print too.
    "input": {"bg_color": "#fff4c2", "border": 1, "locked": False, "valign": "top"},
}


class Book:
    """A workbook in one language."""

    def __init__(self, numbers: Numbers, made_on: date, *, has_small_money: bool = False) -> None:
        """`has_small_money`: sums are written with the hundredths that would otherwise be rounded away."""
        import xlsxwriter  # an eighth of a second that other reports need not wait

        self.numbers, self.has_small_money = numbers, has_small_money
        self._bytes = BytesIO()
        self.workbook = xlsxwriter.Workbook(
            self._bytes,
            {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
        )
        self.workbook.set_properties({"author": "Payback", "created": datetime(made_on.year, made_on.month, made_on.day)})
        self._formats: dict[tuple[str, str, bool], Any] = {}
        self._bodies: dict[Kind, str] = {}
        self._units: dict[Kind, int] = {}

    def sheet(self, key: str, *, is_wide: bool = False) -> "Sheet":
        """A new sheet, named by the message `sheet.<key>`."""
        return Sheet(self, self.numbers.words.say(f"sheet.{key}"), is_wide=is_wide)

    def style(self, name: str, number_format: str = "", *, is_quoted: bool = False) -> Any:
        """A cell style, made once. `is_quoted`: the cell stays text when somebody edits it and presses Enter."""
        wanted = (name, number_format, is_quoted)
        if wanted not in self._formats:
            fields = {**_STYLES[name], **({"num_format": number_format} if number_format else {})}
            if number_format:
                fields.setdefault("align", "right")  # words in the place of a figure too
            if is_quoted:
                fields["quote_prefix"] = True
            self._formats[wanted] = self.workbook.add_format(fields)
        return self._formats[wanted]

    def number_format(self, kind: Kind, *, is_signed: bool = False) -> str:
        """Excel's format for a kind of figure: units where the language puts them, a true minus."""
        kind = self._fine(kind)
        if kind not in self._bodies:
            self._bodies[kind] = _around(_zero(self.numbers, kind), _DIGITS[kind])
        body = self._bodies[kind]
        return f'"+"{body};"{MINUS}"{body};{body}' if is_signed else f'{body};"{MINUS}"{body}'

    def day_format(self) -> str:
        """Excel's format for a date, out of the language's own."""
        pattern = self.numbers.words.say("format.day")
        parts = re.findall(r"[dMy]+|'[^']*'|[^dMy']+", pattern)
        return _LCID.get(self.numbers.words.language, "") + "".join(map(_day_part, parts))

    def room(self, value: float, kind: Kind) -> int:
        """About how many letters a figure takes: languages part thousands by different signs, each one letter wide."""
        kind = self._fine(kind)
        if kind not in self._units:
            self._units[kind] = _width(_zero(self.numbers, kind)) - 1
        digits = 2 if kind in ("money_exact", "share", "points") else 1
        return len(f"{value:,.{digits}f}") + self._units[kind]

    def _fine(self, kind: Kind) -> Kind:
        return "money_exact" if kind == "money" and self.has_small_money else kind

    def to_bytes(self) -> bytes:
        """The finished file."""
        self.workbook.close()
        return self._bytes.getvalue()


class Sheet:
    """One sheet; `row` is the next free row."""

    def __init__(self, book: Book, name: str, *, is_wide: bool) -> None:
        self.book, self.name, self.row = book, name, 0
        self.page = book.workbook.add_worksheet(name)
        self._widths: dict[int, float] = {}
        self._wrapped: list[tuple[int, int, str]] = []  # row, column, text
        self.page.set_paper(A4)
        if is_wide:
            self.page.set_landscape()
        self.page.fit_to_pages(1, 0)
        self.page.set_margins(left=0.5, right=0.5, top=0.5, bottom=0.6)
        self.page.set_footer("&L&A&R&P / &N")
        self.page.hide_gridlines(2)

    def text(self, column: int, text: str, style: str = "cell", *, number_format: str = "") -> None:
        """A text, whatever it looks like; with a `number_format` it stands where figures do."""
        text = cell_text(text)
        form = self.book.style(style, number_format, is_quoted=text.startswith(_FORMULA_LIKE))
        self.page.write_string(self.row, column, text, form)
        if "text_wrap" in _STYLES[style]:
            self._wrapped.append((self.row, column, text))
        if style in ("cell", "label", "name", "total", "sum", "young"):
            self._widen(column, _width(text))
        elif style in ("head", "head_text"):
            self._widen(column, max((_width(word) for word in text.split()), default=0))

    def number(self, column: int, value: Value, kind: Kind, style: str = "cell", *, is_signed: bool = False) -> None:
        """A figure, or what stands in its place; None leaves the cell empty."""
        number_format = self.book.number_format(kind, is_signed=is_signed)
        if isinstance(value, str):
            self.text(column, value, style, number_format=number_format)
            return
        form = self.book.style(style, number_format)
        if value is None:
            self.page.write_blank(self.row, column, None, form)
            return
        self.page.write_number(self.row, column, value, form)
        self._widen(column, self.book.room(value, kind))

    def day(self, column: int, day: str, style: str = "cell") -> None:
        """An ISO date as a real date."""
        self.page.write_datetime(self.row, column, date.fromisoformat(day), self.book.style(style, self.book.day_format()))
        self._widen(column, _width(self.book.numbers.day(day)))

    def formula(self, column: int, formula: str, value: Value, kind: Kind, style: str = "cell", *,
                is_signed: bool = False) -> None:
        """One of our own formulas with its value, for readers that do not compute."""
        form = self.book.style(style, self.book.number_format(kind, is_signed=is_signed))
        self.page.write_formula(self.row, column, f"={formula}", form, "" if value is None else value)
        self._widen(column, _width(value) if isinstance(value, str) else self.book.room(value or 0.0, kind))

    def heads(self, titles: Iterable[str], *, texts: Collection[int] = ()) -> None:
        """A row of column headings, over figures except for the first column and those of `texts`."""
        for column, title in enumerate(titles):
            self.text(column, title, "head_text" if not column or column in texts else "head")
        self.row += 1

    def line(self, text: str, style: str = "plain", *, columns: int = 1) -> None:
        """A text across the first columns. Merged cells do not grow by themselves, so the height is set."""
        if columns > 1:
            style = "text" if style == "plain" else style
            self.page.merge_range(self.row, 0, self.row, columns - 1, "", self.book.style(style))
        self.text(0, text, style)
        if columns > 1:
            self._wrapped.pop()  # it is as wide as several columns
            self.page.set_row(self.row, LINE_HEIGHT * max(-(-_width(text) // LINE), 1))
        self.row += 1

    def finish(self, *, frozen: tuple[int, int] | None = None, repeated: int | None = None, least: float = 9.0,
               widths: Mapping[int, float] | None = None) -> None:
        """Column widths (those of `widths` as given, the others by contents), panes that stay (`rows, columns`), and a heading
        row that is printed on every page."""
        fitted = {column: max(least, min(width, WIDEST) + 1.5) for column, width in self._widths.items()}
        final = {**fitted, **(widths or {})}
        for column, width in sorted(final.items()):
            self.page.set_column(column, column, width)
        n_lines: dict[int, int] = {}
        for row, column, text in self._wrapped:
            n_lines[row] = max(n_lines.get(row, 1), _n_lines(text, final.get(column, least) - 1))
        for row, n in n_lines.items():
            if n > 1:  # not every program makes a row as high as its texts
                self.page.set_row(row, min(LINE_HEIGHT * n, HIGHEST))
        if frozen is not None:
            self.page.freeze_panes(*frozen)
        if repeated is not None:
            self.page.repeat_rows(repeated)

    def _widen(self, column: int, width: float) -> None:
        self._widths[column] = max(self._widths.get(column, 0), width)


def cell_text(text: str) -> str:
    """Text that a workbook can hold: nothing unprintable, not too long."""
    cleaned = _UNPRINTABLE.sub("", text)
    return cleaned if len(cleaned) <= TEXT_LIMIT else cleaned[: TEXT_LIMIT - 1] + "…"


_DIGITS: dict[Kind, str] = {
    "whole": "#,##0", "decimal": "#,##0.0", "share": "0.0", "points": "0.0", "money": "#,##0", "money_exact": "#,##0.00",
    "months": "0.0", "minutes": "#,##0", "hours": "#,##0.0", "precise": "#,##0.000",
}  # fmt: skip


def _zero(numbers: Numbers, kind: Kind) -> str:
    """A zero of the kind as the language writes it: where its unit stands."""
    say = numbers.words.say
    match kind:
        case "share":
            return numbers.percent(0)
        case "points":
            return numbers.points(0)
        case "money" | "money_exact":
            return numbers.full_money(0)
        case "months":
            return numbers.months(0)
        case "minutes":
            return say("unit.minutes", n="0")
        case "hours":
            return say("unit.hours", n="0")
    return "0"


def _around(zero: str, digits: str) -> str:
    """The digits with the unit of `zero` around them, quoted; a percent sign stays one, it multiplies by 100."""
    found = re.search(r"0(?:[.,]0+)?", zero)
    assert found is not None
    before, after = (_quoted(part) for part in (zero[: found.start()], zero[found.end() :]))
    return f"{before}{digits}{after}"


def _quoted(text: str) -> str:
    """Literal text in a number format; a percent sign of a share is none."""
    return "".join(part if part == "%" else f'"{part}"' for part in re.split(r"(%)", text.replace('"', "")) if part)


def _day_part(part: str) -> str:
    """One field or literal of a CLDR date pattern as Excel writes it."""
    if part[0] == "y":
        return "yyyy"
    if part[0] in "dM":
        return part.lower()
    literal = part.strip("'")
    return literal if literal in ("-", ".", "/", " ") else f'"{literal}"'


def _width(text: str) -> int:
    """Columns of a fixed-width screen."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _n_lines(text: str, room: float) -> int:
    """Lines of a text in a column of `room` characters: words stay whole where they can."""
    n_lines, used = 1, 0
    for word in text.split():
        size = _width(word)
        if used and used + 1 + size > room:
            n_lines, used = n_lines + 1, 0
        used += size + (1 if used else 0)
        if used > room:  # a word longer than a line, and Chinese, break anywhere
            more = ceil(used / room) - 1
            n_lines, used = n_lines + more, used - int(more * room)
    return n_lines
