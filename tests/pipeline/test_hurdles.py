"""What the same money earns elsewhere: the file, and the comparison in the report."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.hurdles import FILE, read_hurdles
from pipeline.reports.ahead import fan, hurdles
from pipeline.reports.numbers import numbers_of

MONEY = {
    "monthly_benefit": {"estimate": 20_000.0, "low": 12_000.0, "high": 30_000.0}, "one_off_cost": 60_000.0,
    "monthly_cost": 5_000.0, "payback_months": {"estimate": 4.0, "low": 2.4, "high": 8.6}, "window_months": 2.0,
}  # fmt: skip


def line(low, high, title="Elsewhere"):
    return {"code": "", "title": title, "currency": "RUB", "rate": [low, high], "on": "2026-01-01", "source": "the bank"}


def document(*lines, **changed):
    return {"money": {**MONEY, **changed}, "hurdles": list(lines)}


def test_the_shipped_rates_are_dated_sourced_and_in_roubles(tmp_path: Path) -> None:
    found = {hurdle.code: hurdle for hurdle in read_hurdles(tmp_path, {})}
    assert list(found) == ["deposit", "bonds", "inflation"]
    assert (found["deposit"].low, found["deposit"].high, found["bonds"].low, found["bonds"].high) == (0.15, 0.15, 0.12, 0.18)
    assert all(hurdle.source and hurdle.on >= date(2026, 1, 1) and hurdle.currency == "RUB" for hurdle in found.values())


def test_an_own_file_replaces_them_and_an_empty_one_leaves_the_comparison_out(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("# nothing to compare with\n")
    assert read_hurdles(tmp_path, {}) == ()
    own_line = 'title = "Leasing"\ncurrency = "EUR"\nrate = 0.07\non = 2026-11-01\nsource = "offer"'
    (tmp_path / FILE).write_text(f"[[hurdles]]\n{own_line}\n")
    (own,) = read_hurdles(tmp_path, {})
    assert (own.title, own.currency, own.low) == ("Leasing", "EUR", 0.07)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('title = "X"\nrate = 15.0', "as a share"),
        ('title = "X"\nrate = [0.1, 0.2, 0.3]', "its two ends"),
        ('title = "X"\nrate = -0.1', "as a share"),
        ("rate = 0.1", "neither a code"),
        ('title = "X"\nrate = 0.1\nrates = 1', "rates"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, body: str, words: str) -> None:
    (tmp_path / FILE).write_text(f'[[hurdles]]\ncurrency = "RUB"\non = 2026-01-01\nsource = "s"\n{body}\n')
    with pytest.raises(ConfigError, match=words) as caught:
        read_hurdles(tmp_path, {})
    assert FILE in str(caught.value)


def test_only_an_interval_on_one_side_decides() -> None:
    """A year brings 120 000 [24 000, 240 000]; 60 000 + 5 000 a month at the end of each month earn 87 500 times the rate."""
    found = hurdles(numbers_of("en", "RUB"), document(line(0.1, 0.1), line(0.25, 0.3), line(3.0, 3.5)))
    assert found is not None
    assert [row[3] for row in found.rows.rows] == ["the launch brings more", "not proven yet", "the launch brings less"]
    assert found.rows.rows[0][2].replace("\u00a0", " ") == "+₽8,750"


def test_months_of_interest_are_those_of_a_year_paid_at_the_ends_of_months() -> None:
    once, monthly, rate = 60_000.0, 5_000.0, 0.1
    by_hand = once * rate + sum(monthly * rate * (12 - month) / 12 for month in range(1, 13))
    found = hurdles(numbers_of("en", "RUB"), document(line(rate, rate)))
    assert found is not None
    assert found.rows.rows[0][2] == numbers_of("en", "RUB").money(by_hand, is_signed=True)


def test_the_fan_crosses_zero_where_the_payback_says() -> None:
    found = fan(numbers_of("ru", "RUB"), document())
    assert found is not None
    assert (found.estimate[0], found.estimate[4], found.low[0]) == (-60_000, 0, -60_000)
    assert found.months == 12
    assert found.low[9] > 0 > found.low[8]  # 8.6 months
    late = fan(numbers_of("ru", "RUB"), document(payback_months={"estimate": 25.0, "low": 10.0, "high": None}))
    assert late is not None
    assert late.months == 29


@pytest.mark.parametrize("gap", [{"monthly_benefit": None}, {"one_off_cost": None, "monthly_cost": None}])
def test_without_margin_or_costs_nothing_is_projected(gap: dict[str, None]) -> None:
    assert fan(numbers_of("ru", "RUB"), document(line(0.1, 0.1), **gap)) is None
    assert hurdles(numbers_of("ru", "RUB"), document(line(0.1, 0.1), **gap)) is None
    assert fan(numbers_of("ru", "RUB"), {"money": None}) is None
