"""The same leads out of every format, encoding and separator that people really have."""

import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.errors import OptionError, PayloadError
from connectors.people import customer_hash
from tests.connectors.files.exports import (
    HEADINGS,
    ROW,
    Outcome,
    csv_bytes,
    html_bytes,
    read,
    read_bytes,
    surroundings,
    write_xlsx,
)

SECOND = ("2", "15.03.2026", "Отменил запись", "", "", "1 234 567,50 ₽")


def check(outcome: Outcome) -> None:
    """What the two rows above say, whatever they were written in."""
    assert outcome.rejects == []
    first, second = outcome.leads["1"], outcome.leads["2"]
    assert first.created_at == datetime(2026, 10, 1, 9, 30)
    assert first.created_on == date(2026, 10, 1)
    assert (first.stage_id, first.crm_source, first.utm_source) == ("пришел", "сайт", "yandex")
    assert (first.amount, first.currency) == (Decimal("1500.00"), "RUB")
    assert second.created_at == datetime(2026, 3, 14, 21, 0)
    assert second.created_on == date(2026, 3, 15)
    assert (second.crm_source, second.utm_source, second.amount) == (None, None, Decimal("1234567.50"))
    assert {(stage.stage_id, stage.name) for stage in outcome.records("stages")} == {
        ("пришел", "Пришёл"),
        ("отменил запись", "Отменил запись"),
    }
    assert [(one.crm_source, one.name) for one in outcome.records("crm_sources")] == [("сайт", "Сайт")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("tail", ["", ";"])
def test_csv(tmp_path: Path, encoding: str, delimiter: str, tail: str) -> None:
    rows = [HEADINGS, ROW, SECOND]
    if encoding == "cp1251":
        rows = [[cell.replace("₽", "руб.") for cell in row] for row in rows]
    check(read_bytes(tmp_path, csv_bytes(rows, delimiter=delimiter, encoding=encoding, tail=tail and delimiter)))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_without_quotes_and_with_any_line_end(tmp_path: Path, end: str) -> None:
    text = end.join(";".join(row) for row in (HEADINGS, ROW, SECOND))
    check(read_bytes(tmp_path, text.encode()))


def test_csv_that_excel_saved_with_a_separator_line(tmp_path: Path) -> None:
    check(read_bytes(tmp_path, b"sep=;\r\n" + csv_bytes([HEADINGS, ROW, SECOND], encoding="utf-8")))


def test_the_separator_is_what_makes_known_headings_not_what_is_frequent(tmp_path: Path) -> None:
    headings = (*HEADINGS, "Имя, Фамилия", "Улица, дом, квартира, этаж", "a,b,c,d,e,f,g,h")
    text = "\n".join(";".join((*row, *("",) * 3)[: len(headings)]) for row in (ROW, SECOND))
    check(read_bytes(tmp_path, (";".join(headings) + "\n" + text).encode()))


def test_a_given_encoding_and_separator_are_used(tmp_path: Path) -> None:
    content = csv_bytes([HEADINGS, ROW, SECOND], encoding="utf-16-le", delimiter="\t")
    check(read_bytes(tmp_path, content, encoding="utf-16-le", delimiter="\t"))


def test_xlsx_with_texts(tmp_path: Path) -> None:
    check(read(write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, ROW, SECOND])))


@pytest.mark.parametrize("created", [datetime(2026, 10, 1, 12, 30), 46296.520833333336])
def test_xlsx_with_numbers_and_dates(tmp_path: Path, created: datetime | float) -> None:
    first = (1, created, "Пришёл", "Сайт", "yandex", 1500)
    second = (2.0, datetime(2026, 3, 15), "Отменил запись", None, None, 1234567.5)
    check(read(write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, first, second], before=2)))


def rewritten(path: Path, old: bytes, new: bytes) -> Path:
    """The workbook with other bytes in its sheet, as programs other than ours write them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert old in members[sheet]
    members[sheet] = members[sheet].replace(old, new)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_xlsx_that_states_wrong_dimensions(tmp_path: Path) -> None:
    for dimension in (b"A1:B2", b"A1:XFD1048576"):
        path = write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, ROW, SECOND])
        check(read(rewritten(path, b'<dimension ref="A1:F3"', b'<dimension ref="' + dimension + b'"')))


def test_xlsx_that_writes_whole_numbers_as_floats(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "leads.xlsx", [(*HEADINGS, "Телефон"), (12, *ROW[1:], 111)])
    path = rewritten(rewritten(path, b"<v>12</v>", b"<v>12.0</v>"), b"<v>111</v>", b"<v>7.9991234567E10</v>")
    lead = read(path).leads["12"]
    assert lead.customer_hash == customer_hash(surroundings().hash_key, phone="+79991234567")


def test_html_under_the_name_xls(tmp_path: Path) -> None:
    check(read_bytes(tmp_path, html_bytes([HEADINGS, ROW, SECOND]), "leads.xls"))
    check(read_bytes(tmp_path, html_bytes([HEADINGS, ROW, [cell.replace("₽", "") for cell in SECOND]], "cp1251"), "leads.xls"))


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    check(read_bytes(tmp_path, csv_bytes([HEADINGS, ROW, SECOND]), "really_csv.xls"))
    path = write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, ROW, SECOND])
    check(read(path.rename(tmp_path / "really_xlsx.csv")))


def test_html_keeps_the_order_of_marked_up_text_and_line_breaks(tmp_path: Path) -> None:
    page = (
        "<table><tr><th>ID<th>Дата <b>созда</b>ния<th>UTM Source</tr><tr><td>7<td>01.10.2026<td>a<i>b<u>c</u>d</i>e<br>f</table>"
    )
    lead = read_bytes(tmp_path, page.encode(), "leads.xls").leads["7"]
    assert lead.utm_source == "abcde f"


def test_cyrillic_bytes_that_happen_to_be_utf8_do_not_fool_the_guess(tmp_path: Path) -> None:
    # "Тёма" begins with two bytes that are a valid UTF-8 letter.
    outcome = read_bytes(tmp_path, "ID;Created;Stage\n1;01.10.2026;Тёма записан\n".encode("cp1251"))
    assert outcome.leads["1"].stage_id == "тема записан"


def test_one_bad_byte_in_utf8_does_not_turn_the_rest_into_gibberish(tmp_path: Path) -> None:
    good = csv_bytes([HEADINGS, ROW, SECOND, ("3", *ROW[1:])], encoding="utf-8")
    damaged = good.replace("Отменил".encode(), "Отмен".encode() + b"\xff\xfe")
    outcome = read_bytes(tmp_path, damaged)
    assert outcome.leads["3"].stage_id == "пришел"
    assert [(reject.where, reject.reason) for reject in outcome.rejects] == [
        ("leads.csv, line 3", "bytes that are no text in the file's encoding")
    ]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "leads.csv", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "leads.xls", "old binary or password-protected"),
        (b"PK\x03\x04 and then nothing of a zip", "leads.xlsx", "damaged workbook"),
        (b"%PDF-1.7 ...", "leads.csv", "not a table"),
        (b"<html><body><form>login</form></body></html>", "leads.xls", "web page without a table"),
        (b'<?xml version="1.0"?><Workbook/>', "leads.xls", "XML"),
        (csv_bytes([HEADINGS, ROW], encoding="utf-16-le"), "leads.csv", "no text in a known encoding"),
        (b"\n\n\n;;;\n", "leads.csv", "no line with headings"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, name: str, words: str) -> None:
    with pytest.raises(PayloadError, match=words) as caught:
        read_bytes(tmp_path, content, name)
    assert name in str(caught.value)


def test_a_wrong_encoding_is_named(tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match="not text in utf-16"):
        read_bytes(tmp_path, csv_bytes([HEADINGS, ROW], encoding="utf-8") + b"x", encoding="utf-16")


def test_a_csv_without_any_known_heading_does_not_show_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        read_bytes(tmp_path, "17;Мария;+79991234567\n18;Анна;+79991234568\n".encode())
    assert "9991234567" not in str(caught.value)
    assert "Мария" not in str(caught.value)


@pytest.mark.parametrize("limit", [0, 400])
def test_tables_too_large_to_be_kept_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr("connectors.files.tables.KEPT_LIMIT", limit)
    check(read(write_xlsx(tmp_path / "leads.xlsx", [HEADINGS, ROW, SECOND])))
    check(read_bytes(tmp_path, html_bytes([HEADINGS, ROW, SECOND]), "leads.xls"))
