"""Export files that attack: bombs, entities, endless rows and cells, tricks with encodings and names. Memory stays bounded."""

import gzip
import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.errors import PayloadError, SourceError
from connectors.files import html, sheet
from connectors.text import shown
from tests.connectors.files.exports import HEADINGS, ROW, csv_bytes, html_bytes, read, read_bytes, write_xlsx
from tests.hostile import ACTING, TEXTS, text_cells, workbook

MB = 1 << 20
HEAD = b"<row>" + text_cells(*HEADINGS) + b"</row>"
GOOD = b"<row>" + text_cells(*ROW) + b"</row>"
UTF16 = '<?xml version="1.0" encoding="utf-16"?>'


def refused(folder: Path, content: bytes, what: str, name: str = "leads.xlsx", *, peak_mb: int | None = None) -> None:
    """The file is refused in words, with the memory of `peak_mb` at most (watched only where it is in question: that is slow)."""
    if peak_mb:
        tracemalloc.start()
    try:
        with pytest.raises(PayloadError, match=what) as caught:
            read_bytes(folder, content, name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert name in str(caught.value)
    assert not ACTING.search(str(caught.value))
    assert peak < (peak_mb or 1) * MB


def test_the_workbook_of_these_tests_is_a_good_one(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, workbook(HEAD + GOOD), "leads.xlsx").leads["1"].utm_source == "yandex"


# --- workbooks ----------------------------------------------------------------------------------------------------------

LAUGHS = "<!DOCTYPE lolz [" + '<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
) + "]>"  # fmt: skip
OUTSIDE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("dtd", [LAUGHS, OUTSIDE])
@pytest.mark.parametrize("hiding", ["", "behind a comment", "utf-16"])
def test_entities_are_refused_wherever_they_hide(tmp_path: Path, dtd: str, hiding: str) -> None:
    head = dtd.encode()
    if hiding == "behind a comment":
        head = b"<!--" + b"x<" * MB + b"-->" + head
    content = workbook(HEAD + GOOD, head=head)
    if hiding == "utf-16":
        content = workbook(HEAD + GOOD)
        content = _with_part(content, "xl/worksheets/sheet1.xml", lambda xml: (UTF16 + dtd + xml.decode()).encode("utf-16"))
    refused(tmp_path, content, "not written by a spreadsheet program")


def _with_part(content: bytes, name: str, change: Callable[[bytes], bytes], new_name: str | None = None) -> bytes:
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            xml = old.read(part)
            new.writestr(new_name if new_name and part == name else part, change(xml) if part == name else xml)
    return changed.getvalue()


def test_entities_in_a_part_under_a_foreign_name_are_refused(tmp_path: Path) -> None:
    content = workbook(HEAD + GOOD, strings=b"<si><t>x</t></si>", strings_path="xl/sharedStrings.bin")
    content = _with_part(content, "xl/sharedStrings.bin", lambda xml: LAUGHS.encode() + xml)
    content = _with_part(
        content, "xl/_rels/workbook.xml.rels", lambda xml: xml.replace(b"sharedStrings.xml", b"sharedStrings.bin")
    )
    refused(tmp_path, content, "not written by a spreadsheet program")


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    refused(tmp_path, workbook(HEAD + b"<row>" + text_cells("x" * (20 * MB)) + b"</row>"), "unpacks to", peak_mb=20)


def test_a_row_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "_ROW_BLOCKS", 1)
    refused(tmp_path, workbook(HEAD + b"<row>" + b"<c/>" * MB + b"</row>"), "more than a table needs")


def test_formats_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "RATIO_LIMIT", 10_000)
    content = workbook(HEAD + GOOD, strings_path="xl/styles.xml", strings=b"<xf/>" * (2 * MB))
    refused(tmp_path, content, "more than a table needs")


@pytest.mark.parametrize("number", [b'r="99999999999"', b'r = "99999999999"', b"r='4000000000'"])
def test_row_numbers_beyond_all_sheets_do_not_make_endless_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: bytes
) -> None:
    monkeypatch.setattr(sheet, "ROWS_LIMIT", 20_000)
    refused(tmp_path, workbook(HEAD + b"<row " + number + b">" + text_cells(*ROW) + b"</row>"), "damaged workbook")


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "[Content_Types].xml", "xl/sharedStrings.xml"])
@pytest.mark.parametrize("harm", [lambda xml: xml[: len(xml) // 2], lambda xml: b"<a>" * 5000, lambda xml: b"\xff" * 100])
def test_a_part_that_is_broken_is_said_to_be(tmp_path: Path, part: str, harm: Callable[[bytes], bytes]) -> None:
    content = _with_part(workbook(HEAD + GOOD, strings=b"<si><t>x</t></si>"), part, harm)
    refused(tmp_path, content, "leads.xlsx")


def test_more_columns_than_a_spreadsheet_has_are_refused(tmp_path: Path) -> None:
    wide = ";".join(["Колонка"] * 100_000)
    refused(tmp_path, wide.encode(), "100000 columns", "leads.csv")
    table = "<table><tr>" + "<td>x</td>" * 20_000 + "</tr></table>"
    refused(tmp_path, table.encode(), "20000 columns", "leads.xls")


# --- text files and pages -------------------------------------------------------------------------------------------------


def test_a_cell_of_forty_megabytes_costs_its_row_and_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    good = csv_bytes([HEADINGS, ROW])
    with path.open("wb") as file:
        file.write(good + b'"2";"')
        for _ in range(40):
            file.write(b"x" * MB)
        file.write(b'"\r\n')
        file.write(csv_bytes([("3", *ROW[1:])], encoding="utf-8"))
    tracemalloc.start()
    try:
        outcome = read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sorted(outcome.leads) == ["1", "3"]
    assert [reject.reason for reject in outcome.rejects if "characters" in reject.reason or "quote" in reject.reason]
    assert peak < 30 * MB


@pytest.mark.parametrize("endless", [b"<b>x</b>", b"<i></i>", b"<td>x</td>", b"<div>"])
def test_a_page_whose_rows_never_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endless: bytes) -> None:
    monkeypatch.setattr(html, "_ROW_LIMIT", MB)
    page = html_bytes([HEADINGS, ROW]).replace(b"</table>", b"<tr><td>" + endless * (2 * MB // len(endless)))
    refused(tmp_path, page, "no row ends|breaks off", "leads.xls")


def test_a_page_reads_no_other_file_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    page = html_bytes([HEADINGS, ROW]).replace(b"<html>", b'<!DOCTYPE html [<!ENTITY e SYSTEM "secret.txt">]><html>', 1)
    page = page.replace(b"yandex", b"&e;<script>x</script><iframe src=secret.txt></iframe>")
    (lead,) = read_bytes(tmp_path, page, "leads.xls").leads.values()
    assert "canary" not in repr(lead)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8", "cp1251"])
def test_marks_of_encodings_lead_nobody_astray(tmp_path: Path, encoding: str) -> None:
    """Either the rows come out right, or the file is refused."""
    content = csv_bytes([HEADINGS, ROW], encoding=encoding)
    if encoding in ("utf-16-le", "utf-16-be"):
        refused(tmp_path, content, "known encoding", "leads.csv")
    else:
        assert read_bytes(tmp_path, content).leads["1"].crm_source == "сайт"


def test_what_is_packed_or_no_table_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, gzip.compress(csv_bytes([HEADINGS, ROW])), "is not a table", "leads.csv")


# --- values and names -----------------------------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[Path, list[tuple[str, ...]]], Path]] = {
    "leads.csv": lambda path, rows: (path.write_bytes(csv_bytes(rows)), path)[1],
    "leads.xls": lambda path, rows: (path.write_bytes(html_bytes(rows)), path)[1],
    "leads.xlsx": lambda path, rows: write_xlsx(path, rows),
}


@pytest.mark.parametrize("name", WRITERS)
def test_hostile_cells_become_short_plain_text_or_are_quarantined(tmp_path: Path, name: str) -> None:
    rows: list[tuple[str, ...]] = [(*HEADINGS, "Ответственный", "Филиал", "Воронка")]
    for n, (kind, text) in enumerate(TEXTS.items(), 1):
        if kind == "surrogate" or (name == "leads.xlsx" and ACTING.search(text)) or (name == "leads.xlsx" and len(text) > 32_000):
            continue  # what this format cannot hold
        rows.append((str(n), ROW[1], text, text, text, ROW[5], text, text, text))
    outcome = read(WRITERS[name](tmp_path / name, rows))
    assert len(outcome.leads) + len(outcome.rejects) == len(rows) - 1
    assert len(outcome.leads) >= len(rows) - 6
    for record in outcome.all_records:
        for field in record.__dataclass_fields__:
            value = getattr(record, field)
            if isinstance(value, str):
                assert len(value) <= 700, field
                assert not ACTING.search(value), field
    for reject in outcome.rejects:
        assert not ACTING.search(f"{reject.reason}{reject.column}{reject.where}")
        assert len(reject.reason) < 200


@pytest.mark.parametrize("field", range(len(HEADINGS)))
def test_hostile_headings_are_named_safely(tmp_path: Path, field: int) -> None:
    for kind, text in TEXTS.items():
        if kind in ("surrogate", "controls"):
            continue
        headings = [*HEADINGS]
        headings[field] = text
        try:
            outcome = read_bytes(tmp_path, csv_bytes([headings, ROW]), "leads.csv")
        except SourceError as error:
            told = f"{error} {error.hint}"
        else:
            told = repr([*outcome.findings, *outcome.rejects])
        assert not ACTING.search(told), kind
        assert len(told) < 12_000, kind


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind not in ("path", "device", "long", "svg", "closing", "zalgo")])
def test_hostile_file_names_are_remembered_in_a_form_that_can_be_stored_and_shown(tmp_path: Path, kind: str) -> None:
    text = TEXTS[kind].replace("\0", "").replace("/", "")[:60]
    raw = os.fsencode(tmp_path) + b"/" + text.encode("utf-8", "surrogatepass") + b".csv"
    with open(raw, "wb") as file:
        file.write(csv_bytes([HEADINGS, ROW, ("2", "never", *ROW[2:])]))
    outcome = read(tmp_path)
    (state,) = {str(sorted(state["files"])) for state in outcome.states.values() if state}
    (reject,) = outcome.rejects
    for told in (state, reject.where):
        assert shown(told) == told
        assert "\n" not in told
    again = read(tmp_path, outcome.states)
    assert not again.leads  # known under its name: not read twice
    assert not again.findings
