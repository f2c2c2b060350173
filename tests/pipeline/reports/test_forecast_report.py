"""The forecast as a reader sees it: words in three languages, a fan, a sheet of numbers, and every reason for what is missing."""

import copy
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from openpyxl import load_workbook

from pipeline import evidence, forecast, returning
from pipeline.document import plain_json
from pipeline.repeats import History
from pipeline.reports import render
from pipeline.reports.ahead import hurdles
from pipeline.reports.forecast import foretold
from pipeline.reports.numbers import numbers_of
from pipeline.reports.words import LANGUAGES, words_of
from pipeline.roi import Costs
from tests.pipeline.customers_made import history
from tests.pipeline.reports.test_reports import text_of
from tests.pipeline.test_forecast import CUSTOMERS, NOTHING, POST, claim_of
from tests.variants import first

NOBODY = History.of(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 400)
SECTIONS = {"ru": "Прогноз на 6 и 12 месяцев", "en": "Forecast: 6 and 12 months", "zh": "6个月和12个月的预测"}


def found(claim, customers=CUSTOMERS):
    return plain_json(evidence.forecast(forecast.forecast(claim, customers, POST)))


@pytest.fixture(scope="module")
def situations():
    """Forecasts that carry everything, and less and less."""
    return {
        "whole": found(claim_of()),
        "not proven": found(claim_of(NOTHING)),
        "no cost": found(claim_of(costs=Costs())),
        "no claim": found(None),
        "nobody": found(claim_of(), NOBODY),
        "young": found(claim_of(), history(500, 6.0, later=0.0)),
    }


@pytest.fixture(scope="module")
def whole(paying, situations):
    return {**copy.deepcopy(paying), "forecast": situations["whole"]}


@pytest.mark.thorough
@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_every_situation_is_told_in_every_language(paying, situations, language):
    for name, forecast_found in situations.items():
        document = {**paying, "forecast": forecast_found}
        page = render(document, "html", language).decode().replace("\u2060", "").replace("\u00a0", " ")
        assert SECTIONS[language] in page, name
        assert ("forecast-wide" in page) is (name not in ("no cost", "no claim")), name
        assert SECTIONS[language] in render(document, "terminal", language).decode().replace("\u00a0", " "), name


def test_a_document_from_before_has_no_forecast(paying):
    old = {name: value for name, value in paying.items() if name != "forecast"}
    page = render(old, "html", "en").decode()
    assert SECTIONS["en"] not in page
    assert "When the money comes back" in page
    assert "fan-wide" in page
    assert "Forecast" not in load_workbook(BytesIO(render(old, "xlsx", "en"))).sheetnames
    assert paying["forecast"]["repeats"]["missing"] == "no_repeats"  # everybody in that salon came once
    assert "These data hold no repeat payments" in text_of(render(paying, "html", "en").decode())


def test_the_sentence_says_what_the_table_says(whole):
    numbers = numbers_of("en", "RUB")
    page = foretold(numbers, whole)
    steady, fading = whole["forecast"]["launch"]["lines"]
    assert numbers.money(steady["at"][1]["net"]["estimate"], is_signed=True) in page.told[0]
    assert numbers.money(fading["at"][1]["net"]["estimate"], is_signed=True) in page.told[0]
    assert [table.name for table in page.tables] == ["forecast", "value", "tried"]
    assert len(page.tables[0].rows) == 4
    assert all(len(row) == len(table.columns) for table in page.tables for row in table.rows)


def test_one_picture_and_one_figure_of_the_first_year(whole):
    page = render(whole, "html", "en").decode()
    assert "forecast-wide" in page
    assert "fan-wide" not in page
    numbers = numbers_of("en", "RUB")
    net = whole["forecast"]["launch"]["lines"][1]["at"][1]["net"]
    deposit = {"code": "deposit", "title": "", "currency": "RUB", "rate": [0.1, 0.1], "on": "2026-01-01", "source": "bank"}
    told = (hurdles(numbers, {**whole, "hurdles": [deposit]}).told, foretold(numbers, whole).told[0])
    for figure in (numbers.money(net["estimate"], is_signed=True), numbers.money_interval(net)):
        assert all(figure in sentence for sentence in told)


def test_the_fan_has_three_ranges_and_both_lines(whole):
    page = render(whole, "html", "ru").decode()
    drawing = page[page.index('id="forecast-wide') :]
    assert len(set(re.findall(r"fill-opacity: ([\d.]+)", drawing[: drawing.index("</svg>")]))) == 2  # the third is opaque
    assert render(whole, "html", "ru") == render(whole, "html", "ru")


def test_the_sheet_holds_numbers(whole):
    sheet = load_workbook(BytesIO(render(whole, "xlsx", "en")))["Forecast"]
    values = [value for row in sheet.iter_rows(values_only=True) for value in row if isinstance(value, int | float)]
    steady = whole["forecast"]["launch"]["lines"][0]
    value = whole["forecast"]["repeats"]["value"][0]
    for wanted in (*steady["net"]["0.5"], steady["at"][0]["net"]["low"], value["visits"]["high"]):
        assert any(value == pytest.approx(wanted) for value in values), wanted


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_every_reason_has_words(language):
    words = words_of(language)
    sources = {name: Path(module.__file__).read_text(encoding="utf-8") for name, module in (("f", forecast), ("r", returning))}
    of_launch = sources["f"].split("def _missing")[1].split("def _no_repeats")[0]
    missing = {*re.findall(r'return "(\w+)"', of_launch), "margin_missing"}
    repeats = set(re.findall(r'"((?:no|few|short|customers)_\w+)"', sources["r"]))
    assert {"no_claim", "no_payments"} <= missing
    assert {"few_customers", "short_history", "customers_unknown"} <= repeats
    wanted = {f"forecast.missing.{code}" for code in missing} | {f"forecast.repeats.{code}" for code in repeats}
    wanted |= {f"forecast.{kind}.{model}" for kind in ("model", "name") for model in returning.MODELS}
    assert {key for key in wanted if not words.has(key)} == set()
