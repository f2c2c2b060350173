"""Rows that cannot be read are set aside with their place and reason; all the others come in."""

import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import openpyxl
import pytest

from connectors.errors import PayloadError
from tests.connectors.files.exports import HEADINGS, ROW, Outcome, csv_bytes, html_bytes, read, read_bytes, write_xlsx
from tests.variants import first

ROOT = Path(__file__).parents[3]


def lead(key: str, **changes: str) -> tuple[str, ...]:
    """A good row, with some cells changed by heading."""
    cells = dict(zip(HEADINGS, (key, *ROW[1:]), strict=True)) | changes
    return tuple(cells[heading] for heading in HEADINGS)


def told(outcome: Outcome) -> list[tuple[str | None, str, str]]:
    return [(reject.key, reject.where, reject.column) for reject in outcome.rejects]


@pytest.mark.parametrize(
    ("heading", "value", "reason"),
    [
        ("Дата создания", "вчера", "time|date"),
        ("Дата создания", "31.02.2026", "not a date"),
        ("Дата создания", "01.10.26", "date|time"),
        ("Дата создания", "01.10.1026 10:00:00", "year"),
        ("Дата создания", "01.10.2026 25:00:00", "date"),
        ("Дата создания", "", "no date of creation"),
        ("Возможная сумма", "много", "money"),
        ("Возможная сумма", "1,234", "unclear"),
        ("Возможная сумма", "1e9", "money"),
        ("ID", "", "no id"),
        ("ID", "1" * 65, "id"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "xls", "xlsx"])
def test_a_cell_that_cannot_be_read(tmp_path: Path, suffix: str, heading: str, value: str, reason: str) -> None:
    rows = [HEADINGS, lead("1"), lead("2", **{heading: value}), lead("3")]
    if suffix == "xlsx":
        outcome = read(write_xlsx(tmp_path / "leads.xlsx", rows))
    else:
        outcome = read_bytes(tmp_path, csv_bytes(rows) if suffix == "csv" else html_bytes(rows), f"leads.{suffix}")
    assert set(outcome.leads) == {"1", "3"}
    unit = "line" if suffix == "csv" else "row"
    assert told(outcome) == [(None if heading == "ID" else "2", f"leads.{suffix}, {unit} 3", heading)]
    (reject,) = outcome.rejects
    assert re.search(reason, reject.reason)
    assert not value or value not in reject.reason


def test_the_number_of_a_line_counts_line_breaks_inside_cells_and_blank_lines(tmp_path: Path) -> None:
    content = (
        csv_bytes([HEADINGS, lead("1", Источник="Сайт\nмобильный\nновый")]) + b"\r\n\r\n" + csv_bytes([lead("2", ID="")])[3:]
    )
    outcome = read_bytes(tmp_path, content)
    assert outcome.leads["1"].crm_source == "сайт мобильный новый"
    assert [reject.where for reject in outcome.rejects] == ["leads.csv, line 7"]


def test_a_row_with_too_few_or_too_many_cells(tmp_path: Path) -> None:
    rows = [HEADINGS, lead("1"), lead("2")[:-1], (*lead("3"), "surplus"), (*lead("4"), "", ""), lead("5")]
    outcome = read_bytes(tmp_path, csv_bytes(rows))
    assert set(outcome.leads) == {"1", "4", "5"}
    assert [(reject.where, reject.reason) for reject in outcome.rejects] == [
        ("leads.csv, line 3", "5 cells instead of 6"),
        ("leads.csv, line 4", "7 cells instead of 6"),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        '2;01.10.2026;Новый;"Сайт;yandex;100\n',  # opens in the middle of a row
        '2;01.10.2026;Новый;Сайт;yandex;"100\n',  # opens in the last cell
        '"2;01.10.2026;Новый;Сайт;yandex;100\n',  # opens in the first cell
        '"2";"01.10.2026";"Новый";"Са"й"т";"yandex";"100\n',
    ],
)
@pytest.mark.parametrize("n_between", [5, 1500])
@pytest.mark.parametrize("closing", ["", '7;01.10.2026;Новый;Сайт;"yandex";100\n', '7;01.10.2026;Новый;Сайт;yandex;5"\n'])
def test_a_broken_quote_costs_its_own_row_only(tmp_path: Path, broken: str, closing: str, n_between: int) -> None:
    def good(first: int, last: int) -> str:
        return "".join(f"{key};01.10.2026;Новый;Сайт;yandex;100\n" for key in range(first, last))

    text = ";".join(HEADINGS) + "\n" + good(100, 150) + broken + good(200, 200 + n_between) + closing + good(1800, 1850)
    outcome = read_bytes(tmp_path, text.encode())
    # A line that ends in a quote of its own cannot be told from the end of the broken one: it may be lost, and is then reported.
    assert {int(key) for key in outcome.leads} >= {*range(100, 150), *range(200, 200 + n_between), *range(1800, 1850)}
    reasons = {reject.where: reject.reason for reject in outcome.rejects}
    assert "quote" in reasons["leads.csv, line 52"]
    assert len(reasons) + len(outcome.leads) == 50 + 1 + n_between + 50 + bool(closing)


def test_a_quote_inside_an_unquoted_cell_is_just_a_character(tmp_path: Path) -> None:
    text = ";".join(HEADINGS) + '\n1;01.10.2026;Новый;ООО "Ромашка" 5";yandex;100\n2;01.10.2026;Новый;Сайт;yandex;100\n'
    outcome = read_bytes(tmp_path, text.encode())
    assert outcome.rejects == []
    assert outcome.leads["1"].crm_source == 'ооо "ромашка" 5"'


def test_nul_bytes(tmp_path: Path) -> None:
    for name, content in (("leads.csv", csv_bytes([HEADINGS, lead("1"), lead("2", Источник="a\0b"), lead("3")])),
                          ("leads.xls", html_bytes([HEADINGS, lead("1"), lead("2", Источник="a\0b"), lead("3")]))):  # fmt: skip
        outcome = read_bytes(tmp_path, content, name)
        assert set(outcome.leads) == {"1", "3"}
        assert [reject.where.split()[-1] for reject in outcome.rejects] == ["3"]


@pytest.mark.parametrize("filler", ["x" * 1_100_000, ("x" * 900 + "\n") * 1_300, "\n" * 1_100])
def test_a_cell_beyond_all_bounds(tmp_path: Path, filler: str) -> None:
    outcome = read_bytes(tmp_path, csv_bytes([HEADINGS, lead("1"), lead("2", Источник=filler), lead("3")]))
    assert {"1", "3"} == set(outcome.leads)
    assert [reject.where for reject in outcome.rejects] == ["leads.csv, line 3"]
    # What is left of the endless cell is told, not set aside line by line.
    assert ("lines after it form no rows" in outcome.rejects[0].reason) == ("\n" in filler)


def test_a_large_cell_within_bounds_is_no_fault(tmp_path: Path) -> None:
    long = "слово " * 150_000
    rows = [(*HEADINGS, "a", "b", "c"), (*lead("1"), long, long, long), (*lead("2"), "строка\n" * 900, "", "")]
    outcome = read_bytes(tmp_path, csv_bytes(rows))
    assert set(outcome.leads) == {"1", "2"}


def test_a_line_of_many_large_cells_is_not_held_for_ever(tmp_path: Path) -> None:
    headings = (*HEADINGS, *map(str, range(20)))
    rows = [headings, (*lead("1"), *[""] * 20), (*lead("2"), *["x" * 300_000] * 20), (*lead("3"), *[""] * 20)]
    outcome = read_bytes(tmp_path, csv_bytes(rows))
    assert set(outcome.leads) == {"1", "3"}
    assert [(reject.where, reject.reason) for reject in outcome.rejects] == [
        ("leads.csv, line 3", "a line or cell of more than 1000000 characters")
    ]


def test_a_huge_cell_in_html(tmp_path: Path) -> None:
    outcome = read_bytes(
        tmp_path, html_bytes([HEADINGS, lead("1"), lead("2", Источник="x" * 12_000_000), lead("3")]), "leads.xls"
    )
    assert set(outcome.leads) == {"1", "3"}
    assert [(reject.where, reject.reason) for reject in outcome.rejects] == [
        ("leads.xls, row 3", "a cell of more than 1000000 characters")
    ]


@pytest.mark.parametrize("kind", first(1, ["csv", "csv_lines", "html", "xlsx"]))
def test_a_file_that_is_one_endless_cell_is_not_built_in_memory(tmp_path: Path, kind: str) -> None:
    """The process may use 150 MB of address space more than at start; the cell is larger (in a sparse file or a zip)."""
    path = tmp_path / f"leads.{'xls' if kind == 'html' else kind.split('_')[0]}"
    if kind == "xlsx":
        write_xlsx(path, [HEADINGS, ROW])
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/worksheets/sheet2.xml", "w") as file:
            file.write(b"<worksheet><c>")
            for _ in range(60):
                file.write(b"x" * 1_000_000)
    else:
        rows = [HEADINGS, *[ROW] * 60]  # copies of one lead
        head = csv_bytes(rows) if kind.startswith("csv") else html_bytes(rows).partition(b"</table>")[0]
        with path.open("wb") as file:
            file.write(head + (b'2;"' if kind.startswith("csv") else b"<tr><td>2<td>"))
            if kind == "csv_lines":
                line = b"x" * 99_999 + b"\n"
                for _ in range(1_600):
                    file.write(line)
            else:
                file.seek(256 << 20, 1)
                file.write(b"\n3;")
    code = f"""
        import resource, zoneinfo
        import lxml.etree, openpyxl
        from connectors.contract import Surroundings
        from connectors.errors import SourceError
        from connectors.files import Files, Options
        from connectors.secrets import Secret
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + (150 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        reader = Files.open(Options(path={str(path)!r}), Surroundings(zoneinfo.ZoneInfo("UTC"), Secret("key key key key")))
        try:
            chunks = list(reader.read({{}}))
            print(sum(len(c.records) for c in chunks if c.stream.name == "leads"), chunks[0].rejects[0].where)
        except SourceError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    if kind == "xlsx":
        assert "unpacks to" in done.stdout
    else:
        assert done.stdout.split() == ["1", path.name + ",", "row" if kind == "html" else "line", "62"]


def test_a_workbook_that_hides_an_endless_text_behind_a_fair_ratio(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, ROW])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b"<c>" + b"y" * 3_000_000 + b"</c>")
    with pytest.raises(PayloadError, match=r"leads.xlsx holds a cell of over 1000000 characters"):
        read(path)


def test_a_workbook_with_entities_is_refused(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, ROW])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/comments.xml", b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">]><a>&lol;</a>')
    with pytest.raises(PayloadError, match="not written by a spreadsheet"):
        read(path)


def test_a_workbook_cut_off_is_damaged_and_gives_nothing(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, *(lead(str(key)) for key in range(1, 2000))])
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 200 : info.header_offset + 260] = b"\0" * 60
    path.write_bytes(content)
    with pytest.raises(PayloadError, match=r"leads.xlsx is a damaged workbook"):
        read(path)


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "leads.xlsx", "w") as archive:
        archive.writestr("leads.csv", csv_bytes([HEADINGS, ROW]))
    with pytest.raises(PayloadError, match="zip archive"):
        read(tmp_path / "leads.xlsx")


@pytest.mark.parametrize(
    "evil",
    [
        '=HYPERLINK("http://evil";"x")',
        "<script>alert(1)</script>",
        "[url=javascript:1]x[/url]",
        "@SUM(1+1)",
        "+cmd|' /C calc'!A0",
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "xls", "xlsx"])
def test_formulas_scripts_and_markup_are_text(tmp_path: Path, suffix: str, evil: str) -> None:
    rows = [HEADINGS, lead("1", **{"UTM Source": evil})]
    if suffix == "xlsx":
        outcome = read(write_xlsx(tmp_path / "leads.xlsx", rows))
    else:
        outcome = read_bytes(tmp_path, csv_bytes(rows) if suffix == "csv" else html_bytes(rows), f"leads.{suffix}")
    assert outcome.leads["1"].utm_source == evil.casefold()


def test_a_formula_cell_of_a_workbook_gives_the_value_last_calculated(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, ROW])
    book = openpyxl.load_workbook(path)
    assert book.active is not None
    book.active["F2"] = "=1+1"  # written by a program that calculates nothing: no value is known
    book.save(path)
    book.close()
    assert read(path).leads["1"].amount is None


def test_a_file_that_is_mostly_unreadable_is_given_up_before_it_floods_the_quarantine(tmp_path: Path) -> None:
    rows = [HEADINGS, *(lead(str(key), **{"Дата создания": "10/30/2026"}) for key in range(1, 20_000))]
    with pytest.raises(PayloadError, match=r"1000 of the first 1000 rows") as caught:
        read_bytes(tmp_path, csv_bytes(rows))
    assert "date_order" in caught.value.hint
    assert len(read_bytes(tmp_path, csv_bytes(rows), date_order="mdy").leads) == 19_999


def test_a_table_that_breaks_off_loses_only_its_last_row(tmp_path: Path) -> None:
    whole = html_bytes([HEADINGS, lead("1"), lead("2"), lead("3")])
    outcome = read_bytes(tmp_path, whole[: whole.rindex("Пришёл".encode()) + 4], "leads.xls")
    assert set(outcome.leads) == {"1", "2"}
    assert [reject.where for reject in outcome.rejects] == ["leads.xls, row 4"]


@pytest.mark.parametrize("cut", [4, 6, 8])
def test_a_csv_that_breaks_off_inside_a_cell_does_not_shorten_the_sum(tmp_path: Path, cut: int) -> None:
    """The last cell is "1500.00" and a line end: what is left of it looks like a smaller sum."""
    outcome = read_bytes(tmp_path, csv_bytes([HEADINGS, lead("1"), lead("2"), lead("3")])[:-cut])
    assert set(outcome.leads) == {"1", "2"}
    assert [(reject.where, "quote" in reject.reason) for reject in outcome.rejects] == [("leads.csv, line 4", True)]


def test_a_last_line_without_its_end_is_a_good_line(tmp_path: Path) -> None:
    assert set(read_bytes(tmp_path, csv_bytes([HEADINGS, lead("1"), lead("2")])[:-2]).leads) == {"1", "2"}
