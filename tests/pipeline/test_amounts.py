"""What people type for figures: read as meant, or refused with both readings named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.amounts import Ambiguous, Quantity, bounds, number, read
from pipeline.errors import ConfigError
from tests.hostile import TEXTS


@pytest.mark.parametrize(("text", "value"), [
    ("1500", 1500), ("1 500", 1500), ("1\u00a0500", 1500), ("1\u2009500", 1500), ("1\u202f500\u202f000", 1_500_000),
    ("12,5", 12.5),
    ("12.5", 12.5), ("1 500,50", 1500.5), ("1,500.5", 1500.5), ("1.500,5", 1500.5), ("1,500,000", 1_500_000), ("−7", -7),
    ("+7", 7),
    ("0,5", 0.5), ("0,125", 0.125), ("1'500", 1500), (" 42 ", 42),
])  # fmt: skip
def test_numbers_as_people_write_them(text, value):
    assert number(text, "x") == value


@pytest.mark.parametrize(
    "text", ["", "abc", "1 50", "15 000 00", "1.2.3", "1,2,3", "1e400", "1e5", "NaN", "inf", "1 000 000 000 000 001"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ConfigError, match=r"^x: "):
        number(text, "x")


def test_a_comma_before_three_digits_has_two_readings():
    with pytest.raises(Ambiguous) as caught:
        number("1,500", "--check")
    assert "'1,500' may be 1 500 or 1.500" in str(caught.value)
    assert caught.value.hint == "write 1500 or 1.500"


@pytest.mark.parametrize("text", ["15%", "15 %", "15\u00a0%", "0.15", "0,15", ".15", 0.15])
def test_a_share_is_a_percentage_or_a_fraction(text):
    assert read(text, "share", "x") == Quantity.point(0.15)


@pytest.mark.parametrize("text", ["15", "1", 15, "12..18"])
def test_a_bare_number_for_a_share_is_never_guessed(text):
    with pytest.raises(Ambiguous) as caught:
        read(text, "share", "--conversion")
    first = str(text).partition("..")[0]
    assert f"may be {first} % or {first}00 %" in str(caught.value)
    assert f"write {first}% or {first}00%" in caught.value.hint


def test_percent_for_points_is_never_guessed():
    assert read("13 п.п.", "points", "x") == read("13pp", "points", "x") == Quantity.point(0.13)
    with pytest.raises(Ambiguous, match="points or percent"):
        read("13%", "points", "--rise")
    with pytest.raises(ConfigError, match="percentage points"):
        read("13pp", "share", "x")


@pytest.mark.parametrize(("text", "kind", "words"), [
    ("150%", "share", "150 % is more than 100 %"), ("18..12%", "share", "upside down"),
    ("-5", "money", "a cost is written without a minus"),
    ("0", "months", "at least 1"), ("15$", "money", "is in USD, the rest in RUB"), ("100..200 €", "money", "is in EUR"),
    ("15 bananas", "money", "no currency"), ("5 %", "months", "does not belong"), ("12..", "share", "no range"),
    ("1..2..3..4", "count", "no range"),
    ("260 of 250", "share", "is no share"), ("1.5 of 3", "share", "no counts"), ("normal(5; 0)", "count", "spread"),
    (True, "count", "expected"),
    ([1], "count", "expected"), (float("nan"), "count", "no number"), (float("inf"), "count", "no number"),
    ("-3 of 250", "share", "is no share"),
])  # fmt: skip
def test_every_bad_figure_is_named_with_what_to_do(text, kind, words):
    with pytest.raises(ConfigError) as caught:
        read(text, kind, "--it", least=1 if kind == "months" else None)
    assert words in f"{caught.value} {caught.value.hint}"
    assert str(caught.value).startswith("--it")
    assert caught.value.hint


@pytest.mark.parametrize("text", TEXTS.values())
def test_hostile_texts_are_refused_in_one_short_line(text):
    for kind in ("share", "money", "count"):
        with pytest.raises(ConfigError) as caught:
            read(text, kind, "x")
        assert len(str(caught.value)) < 200
        assert str(caught.value).isprintable()


def test_ranges_and_distributions():
    assert read("12..18%", "share", "x") == Quantity("range", 0.12, pytest.approx(0.15), 0.18)
    assert read("12%..18%", "share", "x") == read("12–18 %", "share", "x") == read("0.12..0.18", "share", "x")
    assert read("1 000..1 500..3 000 ₽", "money", "x") == Quantity("pert", 1000, 1500, 3000)
    assert read("38 из 250", "share", "x") == read("38/250", "share", "x") == read("38 of 250", "share", "x")
    assert read("normal(100; 10)", "money", "x").high == pytest.approx(119.6, abs=0.01)
    assert read("5..5", "count", "x").is_certain


@pytest.mark.parametrize(("text", "mean", "low", "high"), [
    ("10..20%", 0.15, 0.10, 0.20), ("10..12..20%", 0.13, 0.10, 0.20), ("38 of 250", 38.5 / 251, 0, 1),
    ("normal(15%; 2%)", 0.15, 0, 1),
])  # fmt: skip
def test_draws_have_the_mean_of_their_distribution_and_stay_inside(text, mean, low, high):
    draws = read(text, "share", "x").draws(np.random.default_rng(1), 200_000, *bounds("share", None, None))
    assert draws.mean() == pytest.approx(mean, abs=5e-4)
    assert low <= draws.min() <= draws.max() <= high


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_a_russian_number_is_read_back(whole, cents):
    text = f"{whole:,}".replace(",", "\u00a0") + f",{cents:02}"
    assert number(text, "x") == pytest.approx(whole + cents / 100)
