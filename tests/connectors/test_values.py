from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.values import flag, key, local_day, money, optional_flag, optional_id, optional_utc, ru_money, ru_time, utc, word

MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")


# --- times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-06-13T18:23:54+02:00", datetime(2024, 6, 13, 16, 23, 54)),
        ("2024-06-13T01:00:00+03:00", datetime(2024, 6, 12, 22)),
        ("2024-06-13T18:23:54-05:30", datetime(2024, 6, 13, 23, 53, 54)),
        ("2024-06-13T18:23:54Z", datetime(2024, 6, 13, 18, 23, 54)),
        ("2024-06-13T18:23:54.250+00:00", datetime(2024, 6, 13, 18, 23, 54)),
    ],
)
def test_utc(text, expected):
    assert utc(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2024-06-13T18:23:54",  # whose time?
        "2024-06-13",
        "0000-00-00T00:00:00+03:00",
        "1899-12-30T00:00:00+03:00",
        "2101-01-01T00:00:00+00:00",
        "9999-12-31T00:00:00+03:00",
        "2024-02-30T00:00:00+03:00",
        "2024-W01-1T00:00:00+00:00",
        "20240613T182354+0300",
        "2024-06-13 18:23:54+03:00",
        "13.06.2024 18:23:54",
        "2024-06-13T18:23:54 03:00",  # the plus that an unencoded query turns into a space
        "2024-06-13T18:23:54+3",
        "2024-06-13T24:00:00+03:00",
        "2024-06-13T18:23:54+24:00",
        "٢٠٢٤-06-13T18:23:54+03:00",
        "",
        None,
        1718295834,
        {},
        True,
    ],
)
def test_utc_refuses(value):
    with pytest.raises(ValueError, match=r"time|year"):
        utc(value)


@given(
    st.datetimes(datetime(1990, 1, 2), datetime(2100, 12, 30)).map(lambda moment: moment.replace(microsecond=0)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_utc_reads_what_isoformat_writes(moment, minutes):
    zone = timezone(timedelta(minutes=minutes))
    text = moment.replace(tzinfo=UTC).astimezone(zone).isoformat()
    assume(1990 <= int(text[:4]) <= 2100)
    assert utc(text) == moment


def refusal(parse, value):
    """The words of a refusal, None when the value is read."""
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return None


@given(st.text() | st.integers() | st.none() | st.booleans() | st.lists(st.text()))
def test_strange_values_are_refused_with_our_own_words(value):
    for parse in (utc, money, key, flag, optional_id, word, ru_money):
        words = refusal(parse, value)
        assert words is None or len(words) < 80
        assert words is None or not isinstance(value, str) or len(value) < 12 or value not in words


def test_optional_utc():
    assert optional_utc("") is None
    assert optional_utc(None) is None
    assert optional_utc("2024-06-13T18:23:54+03:00") == datetime(2024, 6, 13, 15, 23, 54)
    with pytest.raises(ValueError, match="ISO"):
        optional_utc("soon")


@given(
    st.datetimes(datetime(1990, 1, 2), datetime(2100, 12, 30)),
    st.sampled_from([MOSCOW, BERLIN, ZoneInfo("America/Sao_Paulo"), UTC]),
)
def test_local_day_is_the_wall_calendar(at, tz):
    assert local_day(at, tz) == at.replace(tzinfo=UTC).astimezone(tz).date()


def test_local_day_changes_at_local_midnight():
    assert local_day(datetime(2026, 10, 1, 20, 59, 59), MOSCOW) == date(2026, 10, 1)
    assert local_day(datetime(2026, 10, 1, 21), MOSCOW) == date(2026, 10, 2)


# --- money


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("15000.00", "15000.00"),
        ("19999.99", "19999.99"),
        (999.9, "999.90"),
        (0.1 + 0.2, "0.30"),
        (19000, "19000.00"),
        ("0", "0.00"),
        ("-0.00", "0.00"),
        ("-1500.5", "-1500.50"),
        ("2.345", "2.34"),  # half to even
        ("2.355", "2.36"),
        ("999999999999999.99", "999999999999999.99"),
        (Decimal("7.005"), "7.00"),
    ],
)
def test_money(value, expected):
    amount = money(value)
    assert amount == Decimal(expected)
    assert str(amount) == expected


@pytest.mark.parametrize(
    "value",
    [
        "12 000 руб",
        "12,5",
        "NaN",
        "inf",
        "-Infinity",
        "1e5",
        "1E+5",
        "0x10",
        "1_000",
        "1000000000000000",
        "١٢",
        "--5",
        ".5",
        "5.",
        " 5",
        float("nan"),
        float("inf"),
        1e20,
        True,
        [],
        {},
    ],
)
def test_money_refuses(value):
    with pytest.raises(ValueError, match="money"):
        money(value)


def test_no_money():
    assert money("") is None
    assert money(None) is None


@given(st.decimals(min_value=-(10**14), max_value=10**14, places=2))
def test_money_reads_every_amount_exactly(amount):
    assert money(str(amount)) == amount
    assert money(f"{amount:f}") == amount


# --- ids and flags


def test_key():
    assert key("35") == key(35) == 35
    for value in ("0", 0, -1, "-1", "", "5.0", 5.0, "a1", "٣", None, True, "9" * 19, 10**18, " 5"):
        with pytest.raises(ValueError, match="number"):
            key(value)


def test_optional_id():
    assert [optional_id(value) for value in (None, "", "0", 0, "5", 5, "007")] == [None, None, None, None, "5", "5", "7"]
    for value in ("x", "-5", 2.5, False, []):
        with pytest.raises(ValueError, match="number"):
            optional_id(value)


def test_flag():
    assert [flag(value) for value in ("Y", "y", "1", 1, True, "true")] == [True] * 6
    assert [flag(value) for value in ("N", "n", "0", 0, False, "False")] == [False] * 6
    for value in ("", None, "yes", 2, [], 1.0):
        with pytest.raises(ValueError, match="yes nor no"):
            flag(value)
    assert optional_flag("") is None
    assert optional_flag(None) is None


def test_word():
    assert [word(value) for value in ("x", 5, None, "", 1.5)] == ["x", "5", None, None, "1.5"]
    for value in ([], {}, True):
        with pytest.raises(ValueError, match="text"):
            word(value)


# --- what people write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 234 567,50 ₽", "1234567.50"),
        ("1\u00a0234\u202f567,5 руб.", "1234567.50"),
        ("57 000 р.", "57000.00"),
        ("15000.00", "15000.00"),
        ("1.234,50", "1234.50"),
        ("1,234,567.50", "1234567.50"),
        ("−8 000 ₽", "-8000.00"),
        ("$ 99.9", "99.90"),
        ("0,005", "0.00"),
        (1500, "1500.00"),
        (999.9, "999.90"),
    ],
)
def test_ru_money(text, expected):
    assert str(ru_money(text)) == expected


@pytest.mark.parametrize(
    "text", ["1,234", "1.234", "12 34", "1 2345,00", "пять", "₽", "1,2,3", "5 руб 50 коп", "1 000-2 000", "1,234.5.6", "10 %"]
)
def test_ru_money_refuses(text):
    with pytest.raises(ValueError, match=r"money|unclear"):
        ru_money(text)


def test_ru_money_empty():
    assert ru_money("") is None
    assert ru_money("  \u00a0") is None
    assert ru_money(None) is None


@given(
    st.decimals(min_value=-(10**11), max_value=10**11, places=2),
    st.sampled_from([" ", "\u00a0", "\u202f"]),
    st.sampled_from(["", " ₽", " руб."]),
)
def test_ru_money_reads_what_a_russian_report_prints(amount, space, unit):
    text = f"{amount:,.2f}".replace(",", space).replace(".", ",") + unit
    assert ru_money(text) == amount


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01.10.2026 12:30:00", datetime(2026, 10, 1, 9, 30)),
        ("01.10.2026 12:30", datetime(2026, 10, 1, 9, 30)),
        ("1.10.2026", datetime(2026, 9, 30, 21)),
        ("2026-10-01", datetime(2026, 9, 30, 21)),
        ("2026-10-01 12:30:15", datetime(2026, 10, 1, 9, 30, 15)),
        ("2026-10-01T12:30:15", datetime(2026, 10, 1, 9, 30, 15)),
        ("2026-10-01T12:30:15+00:00", datetime(2026, 10, 1, 12, 30, 15)),
        ("2026-10-01 12:30:15+05:00", datetime(2026, 10, 1, 7, 30, 15)),
        (" 01/10/2026\u00a0 12:30 ", datetime(2026, 10, 1, 9, 30)),
        ("01.10.2026, 12:30", datetime(2026, 10, 1, 9, 30)),
        ("01.10.2026 12:30:15 am", datetime(2026, 9, 30, 21, 30, 15)),
        ("01.10.2026 1:30 PM", datetime(2026, 10, 1, 10, 30)),
    ],
)
def test_ru_time(text, expected):
    assert ru_time(text, MOSCOW) == expected


def test_ru_time_month_first():
    assert ru_time("10/01/2026 12:30", MOSCOW, "mdy") == ru_time("01.10.2026 12:30", MOSCOW)


@pytest.mark.parametrize(
    "text",
    [
        "31.02.2026",
        "01.10.26",
        "00.00.0000",
        "10.2026",
        "01.13.2026",
        "01.10.2026 25:00",
        "13:00",
        "не закрыта",
        "",
        "01.10.1026",
    ],
)
def test_ru_time_refuses(text):
    with pytest.raises(ValueError, match=r"time|date|year"):
        ru_time(text, MOSCOW)


def test_ru_time_at_the_clock_change():
    assert ru_time("29.03.2026 02:30", BERLIN) == datetime(2026, 3, 29, 1, 30)  # skipped: reads as 03:30 summer time
    assert ru_time("25.10.2026 02:30", BERLIN) == datetime(2026, 10, 25, 0, 30)  # twice: the first, still summer time
    # Midnight that does not exist keeps its day.
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    assert local_day(ru_time("04.11.2018", sao_paulo), sao_paulo) == date(2018, 11, 4)
