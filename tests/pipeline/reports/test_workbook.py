"""The workbook as people use it: recalculated by LibreOffice, with other margins and costs, out of hostile and odd documents."""

import copy
import io
import json
import re
import zipfile
from datetime import datetime
from functools import cache

import openpyxl
import pytest
import time_machine

from pipeline.launches import LaunchCosts
from pipeline.reports import render
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from pipeline.reports.roi_sheet import INPUTS, LINES
from pipeline.reports.words import LANGUAGES, words_of
from tests.hostile import TEXTS
from tests.libreoffice import recalculate
from tests.pipeline.reports.odd_made import odd_documents
from tests.variants import first

pytestmark = pytest.mark.xdist_group("reports")  # the documents are made once: by one worker
STATED = {"profit": "incremental_profit", "benefit": "benefit", "cost": "cost", "net": "net", "roi": "roi", "npv": "npv",
          "break_even_margin": "break_even_margin", "break_even_monthly": "break_even_monthly", "payback": "payback_months",
          "benefit_a_month": "monthly_benefit"}  # fmt: skip


COMPUTED = ("paying", "harming", "no margin", "no costs", "hostile", "million million")
MORE = ("free", "saved hours", "no effect", "checks of one")
FIRST_LEADS = (5, 2)  # column and row of the leads of the first day


@pytest.fixture(scope="module")
def documents(documents, measured, paying, tmp_path_factory):
    """Every situation of all reports, and some more that a workbook has to cope with."""
    silent = copy.deepcopy(paying)
    finding = {"code": "source_stale", "severity": "error", "subject": "Портал", "n": 21, "points": 5.0}
    silent["trust"]["findings"] = [finding | {"detail": {"heard_on": "2026-07-13"}}]
    names = copy.deepcopy(paying)
    for row, name in zip(names["by"]["channel"], ("🎉 قناة עברית 微信\u202e\u2066", "д" * 200), strict=False):
        row |= {"key": name, "title": name}
    more = {"silent source": silent, "names": names} | odd_documents(tmp_path_factory.mktemp("odd"), measured)
    return {**documents, **more}


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


def assert_no_error(workbook):
    for sheet in workbook:
        assert not [cell.coordinate for row in sheet.iter_rows() for cell in row if cell.data_type == "e"], sheet.title


def corrected(content, column, row, more):
    """The workbook with one cell of the days raised, as whoever finds a forgotten lead would."""
    workbook = opened(content)
    cell = workbook["Days"].cell(row, column)
    cell.value += more
    saved = io.BytesIO()
    workbook.save(saved)
    return saved.getvalue()


@pytest.fixture(scope="module")
def recalculated(documents, written, tmp_path_factory):
    """name -> workbook of values, all of them recalculated in one start of LibreOffice."""
    files = {name: written(name) for name in COMPUTED}
    files |= {"changed margin": changed(written("paying"), margin=0.3), "given margin": changed(written("no margin"), margin=0.3)}
    files["dearer"] = changed(written("paying"), one_off_cost=90_000, monthly_cost=700, cost_per_lead=1.5)
    files["given costs"] = changed(written("no costs"), one_off_cost=3000, monthly_cost=500)
    check = inputs_of(opened(written("paying")))["average_check"].value
    files["higher check"] = changed(written("paying"), average_check=check * 1.25)
    files["corrected day"] = corrected(written("harming"), *FIRST_LEADS, 5)
    found = recalculate(files, tmp_path_factory.mktemp("recalculated"))
    return {name: opened(content, values=True, is_plain=True) for name, content in found.items()}


@pytest.mark.parametrize("name", COMPUTED)
def test_with_the_first_inputs_the_sheet_says_what_the_report_says(documents, recalculated, written, name):
    assert_same(results_of(recalculated[name]), documents[name], name)
    assert_same(results_of(opened(written(name), values=True)), documents[name], name)  # for readers that do not compute


@pytest.mark.thorough
def test_in_every_language_and_situation_the_results_are_the_same(documents, written, tmp_path):
    files = {name: written(name) for name in MORE} | {language: written("paying", language) for language in LANGUAGES}
    found = {name: opened(content, values=True, is_plain=True) for name, content in recalculate(files, tmp_path).items()}
    for name in MORE:
        assert_same(results_of(found[name]), documents[name], name)
    for language in LANGUAGES:
        assert_same(results_of(found[language], language), documents["paying"], language)
        assert [row[4:] for row in sums_of(found[language], language)] == [row[4:] for row in sums_of(found["en"])]
    for workbook in found.values():
        assert_no_error(workbook)


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
    for workbook in recalculated.values():
        assert_no_error(workbook)


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
    for name in (name for name in documents if not name.startswith("verdict")):
        parts = parts_of(written(name, "ru"))
        assert not [part for part in parts if "external" in part.lower() or "vba" in part.lower()]
        sheets = [text for part, text in parts.items() if part.startswith("xl/worksheets/")]
        assert len(sheets) >= 7
        assert not [text for text in sheets if "hyperlink" in text.lower()]
        formulas = [formula for text in sheets for formula in re.findall("<f>(.*?)</f>", text)]
        assert [formula for formula in formulas if not formula.startswith(("IFERROR(", "SUM(", "SUMIFS("))] == [], name


def test_hostile_texts_stay_texts(paying):
    document = copy.deepcopy(paying)
    texts = [*TEXTS.values(), "-1+1", "x" * 10_000_000, "🦷" * 40_000, "عيادة الأسنان"]
    rows = document["by"]["channel"]
    document["by"]["channel"] = [{**copy.deepcopy(rows[0]), "key": f"{text}"} for text in texts]
    document["launch"]["title"] = TEXTS["formula"]
    document["provenance"]["sources"][0]["source"] = TEXTS["controls"]
    workbook = opened(render(document, "xlsx", "ru"))
    cells = [cell for sheet in workbook for row in sheet.iter_rows() for cell in row]
    assert all(str(cell.value).startswith(("=IFERROR(", "=SUM(", "=SUMIFS(")) for cell in cells if cell.data_type == "f")
    attacks = [cell for cell in cells if cell.data_type == "s" and str(cell.value).startswith(("=", "+cmd", "@SUM", "-1"))]
    assert len(attacks) >= 6
    assert all(cell.quotePrefix for cell in attacks)  # pressing Enter in one does not make it a formula
    assert max(len(str(cell.value)) for cell in cells) < 3000


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_situation_has_a_workbook(documents, written, language):
    for name in documents if language == "ru" else ("paying", "withheld", "evidence"):
        parts = parts_of(written(name, language))
        n_sheets = 7 + sum(bool(documents[name].get(key)) for key in ("daily", "forecast"))
        assert len([part for part in parts if part.startswith("xl/worksheets/sheet")]) == n_sheets
        texts = re.findall("<t[^>]*>(.*?)</t>", parts["xl/sharedStrings.xml"])
        assert len(texts) > 60
        assert not [text for text in texts if text in ("None", "nan", "inf")], name
        assert not re.search(r"\{\w+\}", " ".join(texts).replace("{0}{boom}", "")), name


def test_the_same_document_gives_the_same_bytes_next_year(paying, written):
    with time_machine.travel(datetime(2031, 5, 6, 7, 8, 9), tick=False):
        read_back = json.loads(json.dumps(paying, sort_keys=True))  # as the warehouse gives it
        assert render(read_back, "xlsx", "en") == render(paying, "xlsx", "en") == written("paying")
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


def rows_of(workbook, key, language="en"):
    """The rows of a sheet as values."""
    return list(workbook[words_of(language).say(f"sheet.{key}")].iter_rows(values_only=True))


def sums_of(workbook, language="en"):
    """The sums of days, one row a period."""
    return [row for row in rows_of(workbook, "days", language) if row[0] == words_of(language).say("sheet.days.sum")]


def test_the_days_sum_to_the_weeks_and_to_the_report(documents, recalculated):
    """Recalculated by LibreOffice: days, the sums above them, the sheet of weeks and the funnel tell the same."""
    for name in ("paying", "harming", "million million"):
        workbook, funnel = recalculated[name], {row["step"]: row for row in documents[name]["funnel"]}
        rows = rows_of(workbook, "days")
        titles = rows[0]
        days = [row for row in rows if isinstance(row[1], datetime)]
        leads, visited, revenue = (titles.index(title) for title in ("Leads", "Visited", "Revenue"))
        weeks = [row for row in rows_of(workbook, "weekly") if isinstance(row[0], datetime)]
        assert len(weeks) == 28
        for week in weeks:
            ours = [row for row in days if row[1] == week[0]]
            assert {row[2] for row in ours} == {week[1]}
            assert [sum(row[n] for row in ours) for n in (leads, visited, revenue)] == pytest.approx([week[2], week[3], week[7]])
        for label, side in (("before", "pre"), ("after", "post")):
            sums = next(row for row in sums_of(workbook) if row[2] == label)
            for column, step in ((leads, "leads"), (visited, "visited"), (revenue, "revenue")):
                assert sums[column] == pytest.approx(funnel[step][side], rel=1e-9), (name, label, step)
    before, after = (sums_of(recalculated[name]) for name in ("harming", "corrected day"))
    assert after[0][4] == before[0][4] + 5
    assert after[0][5:] == before[0][5:]
    assert after[1:] == before[1:]


@pytest.mark.parametrize("language", LANGUAGES)
def test_days_too_young_to_count_are_marked(documents, written, language):
    say, mature_until = words_of(language).say, documents["paying"]["daily"]["mature_until"]
    rows = rows_of(opened(written("paying", language), values=True), "days", language)
    days = [row for row in rows if isinstance(row[1], datetime)]
    young = [row for row in days if row[3] == say("sheet.days.open")]
    assert [row[0] for row in young] == [row[0] for row in days if f"{row[0]:%Y-%m-%d}" >= mature_until]
    assert {row[2] for row in young} == {say("side.young")}
    assert {row[3] for row in days if row not in young} == {say("sheet.days.known")}


def test_a_document_without_days_shows_its_weeks(written):
    workbook = opened(written("old"), values=True)
    assert "Days" not in workbook.sheetnames
    assert sum(row[0] == "Week" for row in rows_of(workbook, "data")) == 28


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_every_workbook_says_its_verdict_why_and_what_is_wrong_with_the_data(documents, written, language):
    told = ("no effect", "one week", "nobody came", "silent source", "million million")
    for name in (*told, "harming", "no margin", "no costs") if language == "ru" else told[:4]:
        page, workbook = page_of(documents[name], language), opened(written(name, language), values=True)
        said = {row[0] for row in rows_of(workbook, "summary", language)}
        assert {page.verdict.word, page.verdict.reason, page.trust} <= said, name
        assert all(any(str(text).startswith(found.text) for text in said) for found in page.findings), name
        method = {row[1] for row in rows_of(workbook, "definitions", language)}
        assert set(page.method) <= method, name  # among them what stands in for a control


def test_what_cannot_be_said_is_said_in_words(written):
    def summary(name):
        return {row[0]: row for row in rows_of(opened(written(name), values=True), "summary")}

    assert summary("harming")["Payback"][1].startswith("does not pay back")
    for name in ("one week", "nobody came"):
        assert {summary(name)[title][1] for title in ("Incremental profit", "ROI", "Payback")} == {"n/a"}
    assert summary("nobody came")["Average check"][1:3] == ("n/a", "n/a")
    assert "margin" in summary("no margin")["Incremental profit"][8]
    assert "cost" in summary("no costs")["ROI"][8]
    costs = {row[0]: row[1] for row in rows_of(opened(written("no costs"), values=True), "costs")}
    assert list(costs.values()).count("not counted") >= 6


def test_names_of_other_scripts_and_very_long_ones(written):
    workbook = opened(written("names", "ru"), values=True)
    sheet = workbook["Каналы"]
    cells = {cell.value: cell for cell in sheet["A"] if cell.value}
    assert "🎉 قناة עברית 微信" in cells
    long = next(cell for text, cell in cells.items() if text.startswith("дддд"))
    assert sheet.row_dimensions[long.row].height == 30  # both lines of it, also where a program does not fit rows by itself
    assert len([text for text in cells if text == "Без источника"]) <= 1
    alone = rows_of(opened(written("no channel"), values=True), "channels")
    assert alone[3][0] == "Together"  # title, headings, one channel
    assert alone[3][8] == pytest.approx(alone[2][8])


@pytest.mark.parametrize("language", LANGUAGES)
def test_amounts_of_every_size_have_their_digits_and_their_room(documents, written, language):
    say = words_of(language).say
    cheap = opened(written("checks of one", language))[say("sheet.summary")]
    dear = opened(written("million million", language))[say("sheet.summary")]
    check, revenue = say("metric.average_check"), say("money.incremental_revenue")
    rows = {row[0].value: row for row in cheap.iter_rows() if row[0].value in (check, revenue)}
    assert "#,##0.00" in rows[check][1].number_format
    assert rows[check][1].value == pytest.approx(1.5, abs=0.3)
    rows = {row[0].value: row for row in dear.iter_rows() if row[0].value in (check, revenue)}
    assert "#,##0.00" not in rows[check][1].number_format
    assert "KZT" in rows[check][1].number_format
    for row in rows.values():
        for cell in row[1:8]:
            if isinstance(cell.value, float):
                shown = numbers_of(language, "KZT").full_money(cell.value)
                assert dear.column_dimensions[cell.column_letter].width > len(shown), cell.coordinate
    texts = parts_of(written("million million", language))
    assert "₽" not in texts["xl/styles.xml"] + texts["xl/sharedStrings.xml"]
