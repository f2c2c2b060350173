"""The workbook as people use it: recalculated by LibreOffice, with other margins and costs, out of hostile and odd documents."""

import copy
import io
import re
import shutil
import subprocess
import zipfile
from datetime import datetime
from functools import cache

import openpyxl
import pytest
import time_machine

from pipeline.launches import LaunchCosts
from pipeline.reports import render
from pipeline.reports.roi_sheet import INPUTS, LINES
from pipeline.reports.words import LANGUAGES, words_of
from tests.hostile import TEXTS

SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")
pytestmark = pytest.mark.xdist_group("reports")  # the documents are made once: by one worker
STATED = {"profit": "incremental_profit", "benefit": "benefit", "cost": "cost", "net": "net", "roi": "roi", "npv": "npv",
          "break_even_margin": "break_even_margin", "break_even_monthly": "break_even_monthly", "payback": "payback_months",
          "benefit_a_month": "monthly_benefit"}  # fmt: skip


@pytest.fixture(scope="module")
def written(documents):
    """written(name, language): each workbook is made once, as bytes."""
    return cache(lambda name, language="en": render(documents[name], "xlsx", language))


def opened(content, *, values=False, is_plain=False):
    """`is_plain`: cells only; openpyxl does not understand the charts that LibreOffice writes."""
    return openpyxl.load_workbook(io.BytesIO(content), data_only=values, read_only=is_plain)


def inputs_of(workbook):
    """The input cells by their defined names."""
    cells = {}
    for found in INPUTS:
        (sheet, cell), = workbook.defined_names[found.name].destinations
        cells[found.name] = workbook[sheet][cell.replace("$", "")]
    return cells


def results_of(workbook, language="en"):
    """line -> (low, estimate, high), as they stand in the ROI sheet."""
    say = words_of(language).say
    sheet = workbook[say("sheet.roi")]
    rows = list(sheet.iter_rows(values_only=True))
    start = next(n for n, row in enumerate(rows) if row[0] == say("roi_sheet.results")) + 2
    return {line.name: tuple(rows[start + n][1:4]) for n, line in enumerate(LINES)}


def money_of(document):
    """line -> (low, estimate, high) of the document; the payback of the lower end is the late one."""
    found = {}
    for line, name in STATED.items():
        value = document["money"][name]
        if isinstance(value, dict):
            ends = (value["low"], value["estimate"], value["high"])
            found[line] = ends[::-1] if line == "payback" else ends
        else:
            found[line] = (None, value, None)
    return found


def assert_same(results, document, name, *, payback=1e-7):
    """`payback`: its relative error, larger where the report had none and its draw is therefore not known."""
    for line, wanted in money_of(document).items():
        for got, stated in zip(results[line], wanted, strict=True):
            if stated is not None:
                # A difference of two figures of ten digits has fewer of its own.
                size = abs(document["money"]["cost"] or 0.0) if line in ("net", "npv") else 0.0
                rel = payback if line == "payback" else 1e-7
                assert got == pytest.approx(stated, rel=rel, abs=1e-7 * size), (name, line)
            elif line == "payback":
                assert isinstance(got, str), (name, line)


def changed(content, **values):
    """The workbook with other inputs, as an owner would type them."""
    workbook = opened(content)
    cells = inputs_of(workbook)
    for name, value in values.items():
        cells[name].value = value
    saved = io.BytesIO()
    workbook.save(saved)
    return saved.getvalue()


@pytest.fixture(scope="module")
def recalculated(documents, written, tmp_path_factory):
    """name -> workbook of values, all of them recalculated in one start of LibreOffice."""
    if SOFFICE is None:
        pytest.skip("no LibreOffice on this machine (apt-get install libreoffice-calc)")
    folder = tmp_path_factory.mktemp("recalculated")
    names = ("paying", "harming", "no margin", "no costs", "free", "saved hours", "hostile", "withheld")
    files = {name: written(name) for name in names}
    files |= {"changed margin": changed(written("paying"), margin=0.3), "given margin": changed(written("no margin"), margin=0.3)}
    files["dearer"] = changed(written("paying"), one_off_cost=90_000, monthly_cost=700, cost_per_lead=1.5)
    files["given costs"] = changed(written("no costs"), one_off_cost=3000, monthly_cost=500)
    check = inputs_of(opened(written("paying")))["average_check"].value
    files["higher check"] = changed(written("paying"), average_check=check * 1.25)
    files |= {f"in {language}": written("paying", language) for language in LANGUAGES}
    for name, content in files.items():
        (folder / f"{name}.xlsx").write_bytes(content)
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = [SOFFICE, profile, "--headless", "--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(folder / "out")]
    subprocess.run([*command, *map(str, sorted(folder.glob("*.xlsx")))], check=True, capture_output=True, timeout=300)
    return {name: opened((folder / "out" / f"{name}.xlsx").read_bytes(), values=True, is_plain=True) for name in files}


@pytest.mark.parametrize("name", ["paying", "harming", "free", "saved hours", "hostile"])
def test_with_the_first_inputs_the_sheet_says_what_the_report_says(documents, recalculated, written, name):
    assert_same(results_of(recalculated[name]), documents[name], name)
    assert_same(results_of(opened(written(name), values=True)), documents[name], name)  # for readers that do not compute


def test_in_every_language_the_results_are_the_same(documents, recalculated):
    for language in LANGUAGES:
        assert_same(results_of(recalculated[f"in {language}"], language), documents["paying"], language)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("changed margin", {"margin": 0.3}),
        ("given margin", {"margin": 0.3}),
        ("dearer", {"costs": LaunchCosts(one_off=90_000.0, monthly=700.0, usage_per_lead=1.5)}),
        ("given costs", {}),
    ],
)
def test_other_inputs_give_what_a_new_measurement_gives(measured, recalculated, name, fields):
    assert_same(results_of(recalculated[name]), measured(**fields), name, payback=1e-3 if name.startswith("given") else 1e-7)


def test_a_higher_check_stretches_the_revenue_and_nothing_else(documents, recalculated):
    before, after = (results_of(recalculated[name]) for name in ("paying", "higher check"))
    for line in ("revenue", "profit", "benefit"):
        assert after[line] == pytest.approx(tuple(1.25 * amount for amount in before[line]), rel=1e-9)
    assert after["cost"] == before["cost"]
    cost = before["cost"][1]
    assert after["roi"] == pytest.approx(tuple((1.25 * amount - cost) / cost for amount in before["benefit"]), rel=1e-9)


def test_no_cell_holds_an_error(recalculated):
    for name, workbook in recalculated.items():
        for sheet in workbook:
            wrong = [cell.coordinate for row in sheet.iter_rows() for cell in row if cell.data_type == "e"]
            assert not wrong, (name, sheet.title)


def test_without_margin_or_costs_there_is_no_roi(written):
    for name in ("no margin", "no costs", "free"):
        assert set(results_of(opened(written(name), values=True))["roi"]) == {"n/a"}, name
    reason = " ".join(str(row[0].value) for row in opened(written("withheld"))["ROI"].iter_rows(max_row=3))
    assert "no effect is claimed" in reason


def parts_of(content):
    """name -> text of every part of the file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode("utf-8") for name in archive.namelist()}


def test_only_our_own_formulas_and_no_link(documents, written):
    for name in documents:
        parts = parts_of(written(name, "ru"))
        assert not [part for part in parts if "external" in part.lower() or "vba" in part.lower()]
        sheets = [text for part, text in parts.items() if part.startswith("xl/worksheets/")]
        assert len(sheets) >= 7
        assert not [text for text in sheets if "hyperlink" in text.lower()]
        formulas = [formula for text in sheets for formula in re.findall("<f>(.*?)</f>", text)]
        assert [formula for formula in formulas if not formula.startswith(("IFERROR(", "SUM("))] == [], name


def test_hostile_texts_stay_texts(paying):
    document = copy.deepcopy(paying)
    texts = [*TEXTS.values(), "-1+1", "x" * 10_000_000, "🦷" * 40_000, "عيادة الأسنان"]
    rows = document["by"]["channel"]
    document["by"]["channel"] = [{**copy.deepcopy(rows[0]), "key": f"{text}"} for text in texts]
    document["launch"]["title"] = TEXTS["formula"]
    document["provenance"]["sources"][0]["source"] = TEXTS["controls"]
    workbook = opened(render(document, "xlsx", "ru"))
    cells = [cell for sheet in workbook for row in sheet.iter_rows() for cell in row]
    assert all(str(cell.value).startswith(("=IFERROR(", "=SUM(")) for cell in cells if cell.data_type == "f")
    attacks = [cell for cell in cells if cell.data_type == "s" and str(cell.value).startswith(("=", "+cmd", "@SUM", "-1"))]
    assert len(attacks) >= 6
    assert all(cell.quotePrefix for cell in attacks)  # pressing Enter in one does not make it a formula
    assert max(len(str(cell.value)) for cell in cells) < 3000


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_situation_has_a_workbook(documents, written, language):
    for name in documents if language == "ru" else ("paying", "withheld", "evidence"):
        parts = parts_of(written(name, language))
        n_sheets = 8 if documents[name].get("forecast") else 7
        assert len([part for part in parts if part.startswith("xl/worksheets/sheet")]) == n_sheets
        texts = re.findall("<t[^>]*>(.*?)</t>", parts["xl/sharedStrings.xml"])
        assert len(texts) > 60
        assert not [text for text in texts if text in ("None", "nan", "inf")], name
        assert not re.search(r"\{\w+\}", " ".join(texts).replace("{0}{boom}", "")), name


def test_the_same_document_gives_the_same_bytes_next_year(paying, written):
    with time_machine.travel(datetime(2031, 5, 6, 7, 8, 9), tick=False):
        assert render(paying, "xlsx", "en") == written("paying")
    with zipfile.ZipFile(io.BytesIO(written("paying"))) as archive:
        assert {part.date_time[0] for part in archive.infolist()} == {1980}
        assert b"2026-08-03T00:00:00Z" in archive.read("docProps/core.xml")


def test_figures_are_figures_with_the_units_of_the_language(documents, paying, written):
    summary = opened(written("paying", "ru"))["Итог"]
    rows = {row[0].value: row for row in summary.iter_rows() if row[0].value}
    booking = rows["Запись"]
    assert booking[1].value == pytest.approx(paying["metrics"]["booking_conversion"]["post"]["value"])
    assert booking[1].number_format.endswith('%;"−"0.0"\xa0"%')
    assert rows["Дополнительная прибыль"][1].number_format == '#,##0"\xa0₽";"−"#,##0"\xa0₽"'
    weekly = opened(written("paying", "ru"))["По неделям"]
    days = [cell for cell in weekly["A"] if isinstance(cell.value, datetime)]
    assert [f"{cell.value:%Y-%m-%d}" for cell in days] == [row["week"] for row in paying["weekly"]]
    assert days[0].number_format == "[$-419]dd.mm.yyyy"
    assert len(weekly._charts) == 1
    foreign = copy.deepcopy(paying)
    foreign["currency"] = "EUR"
    euros = {row[0].value: row for row in opened(render(foreign, "xlsx", "en"))["Summary"].iter_rows() if row[0].value}
    assert euros["Incremental profit"][1].number_format == '"€"#,##0;"−""€"#,##0'


def test_sixty_channels_are_all_there_and_sum_to_the_total(documents, written):
    sheet = opened(written("60 channels"), values=True)["Channels"]
    names = [row[0].value for row in sheet.iter_rows()]
    assert {f"Канал {n}" for n in range(60)} <= set(names)
    total = sheet.cell(names.index("Together") + 1 if "Together" in names else names.index("Total") + 1, 9).value
    assert total == pytest.approx(documents["60 channels"]["money"]["incremental_profit"]["estimate"], rel=1e-6)


def test_one_week_of_data_and_no_visit_at_all(paying):
    document = copy.deepcopy(paying)
    document["weekly"] = [{**document["weekly"][0], "visited": 0.0, "expected": None}]
    for metric in document["metrics"].values():
        metric["per_week"] = {field: cells[:1] for field, cells in metric["per_week"].items()}
    document["metrics"]["average_check"]["post"] = {"value": None, "n": 0.0, "total": 0.0, "total_sq": 0.0}
    results = results_of(opened(render(document, "xlsx", "en"), values=True))
    assert results["revenue"][1] == pytest.approx(paying["money"]["incremental_revenue"]["estimate"])
