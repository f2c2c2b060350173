"""Rows of one ID: product lines are added up, copies are not, contradictions are told."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.connectors.files.exports import csv_bytes, html_bytes, read, read_bytes, write_xlsx

HEADINGS = ("ID", "Дата создания", "Источник", "Товар", "Цена", "Сумма", "Валюта")


def line(key: str, product: str, amount: str, source: str = "Сайт", currency: str = "RUB") -> tuple[str, ...]:
    return (key, "01.10.2026 10:00:00", source, product, "1", amount, currency)


@pytest.mark.parametrize("suffix", ["csv", "xls", "xlsx"])
def test_product_lines_are_added_up_wherever_they_stand(tmp_path: Path, suffix: str) -> None:
    rows = [HEADINGS, line("1", "Стрижка", "1000.10"), line("2", "Стрижка", "700"), line("1", "Укладка", "500.20"),
            line("3", "", ""), line("1", "Укладка", "500.20"), line("3", "", "")]  # fmt: skip
    if suffix == "xlsx":
        outcome = read(write_xlsx(tmp_path / "leads.xlsx", rows))
    else:
        outcome = read_bytes(tmp_path, csv_bytes(rows) if suffix == "csv" else html_bytes(rows), f"leads.{suffix}")
    assert {key: lead.amount for key, lead in outcome.leads.items()} == {"1": Decimal("2000.50"), "2": Decimal(700), "3": None}
    assert outcome.leads["3"].currency is None
    finding = outcome.found("rows_summed")
    assert (finding.severity, finding.n) == ("info", 1)
    assert "lines_disagree" not in outcome.codes


def test_the_first_row_speaks_and_contradictions_are_counted(tmp_path: Path) -> None:
    rows = [HEADINGS, line("1", "а", "1", "Сайт"), line("1", "б", "2", "Звонок"), line("2", "а", "1", ""),
            line("2", "б", "1", ""), line("3", "а", "1", "Сайт"), line("3", "б", "1", ""), line("4", "а", "1", "ВК"),
            line("4", "б", "1", "Сайт")]  # fmt: skip
    outcome = read_bytes(tmp_path, csv_bytes(rows))
    assert [outcome.leads[key].crm_source for key in "1234"] == ["сайт", None, "сайт", "вк"]
    finding = outcome.found("lines_disagree")
    assert finding.n == 2
    assert finding.detail == {"file": "leads.csv", "Источник": 2}


def test_without_a_product_column_a_row_repeated_in_full_is_a_copy(tmp_path: Path) -> None:
    rows = [("ID", "Дата создания", "Сумма"), ("1", "01.10.2026", "100"), ("2", "01.10.2026", "5"), ("1", "01.10.2026", "100"),
            ("2", "01.10.2026", "7")]  # fmt: skip
    outcome = read_bytes(tmp_path, csv_bytes(rows))
    assert {key: lead.amount for key, lead in outcome.leads.items()} == {"1": Decimal(100), "2": Decimal(12)}
    assert outcome.found("rows_copied").n == 1
    assert (outcome.found("rows_summed").severity, outcome.found("rows_summed").n) == ("warning", 1)


def test_a_lead_with_one_unreadable_line_is_set_aside_whole(tmp_path: Path) -> None:
    rows = [HEADINGS, line("1", "а", "100"), line("1", "б", "дорого"), line("1", "в", "100"), line("2", "а", "1")]
    outcome = read_bytes(tmp_path, csv_bytes(rows))
    assert set(outcome.leads) == {"2"}
    assert [(reject.key, reject.where, reject.column) for reject in outcome.rejects] == [("1", "leads.csv, line 3", "Сумма")]


def test_sums_in_two_currencies_are_not_added(tmp_path: Path) -> None:
    rows = [HEADINGS, line("1", "а", "100"), line("1", "б", "100", currency="USD"), line("2", "а", "1")]
    outcome = read_bytes(tmp_path, csv_bytes(rows))
    assert set(outcome.leads) == {"2"}
    assert [(reject.key, reject.where) for reject in outcome.rejects] == [("1", "leads.csv, line 3")]


@pytest.mark.parametrize(
    ("amount", "named", "currency"),
    [
        ("100 ₽", "", "RUB"),
        ("100 $", "", "USD"),
        ("100", "Тенге", "KZT"),
        ("100", "", "EUR"),
        ("1 000,50 руб.", "", "RUB"),
        ("-5", "byn", "BYN"),
    ],
)
def test_the_currency_comes_from_its_column_the_sign_or_the_options(
    tmp_path: Path, amount: str, named: str, currency: str
) -> None:
    outcome = read_bytes(tmp_path, csv_bytes([HEADINGS, line("1", "", amount, currency=named)]), currency="eur")
    assert outcome.leads["1"].currency == currency


def test_an_unknown_currency_is_no_rouble(tmp_path: Path) -> None:
    outcome = read_bytes(tmp_path, csv_bytes([HEADINGS, line("1", "", "5", currency="песо")]))
    assert [(reject.key, reject.column) for reject in outcome.rejects] == [("1", "Валюта")]
