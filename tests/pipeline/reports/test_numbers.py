"""How figures are written, in every language."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reports.numbers import adding_up, numbers_of

RU, EN, ZH = numbers_of("ru", "RUB"), numbers_of("en", "RUB"), numbers_of("zh", "CNY")


@pytest.mark.parametrize(
    ("amount", "ru", "en"),
    [
        (57_000, "57 000 ₽", "₽57,000"),
        (0, "0 ₽", "₽0"),
        (0.4, "0 ₽", "₽0"),
        (-0.4, "0 ₽", "₽0"),
        (-8_000, "−8 000 ₽", "−₽8,000"),
        (1, "1 ₽", "₽1"),
        (999_999, "999 999 ₽", "₽999,999"),
        (999_999.7, "1 млн ₽", "₽1M"),
        (1_234_567, "1,2 млн ₽", "₽1.2M"),
        (999_950_000, "1 млрд ₽", "₽1B"),
        (-2_500_000_000, "−2,5 млрд ₽", "−₽2.5B"),
        (1e12, "1 трлн ₽", "₽1T"),
    ],
)
def test_money(amount, ru, en):
    assert RU.money(amount) == ru.replace(" ", "\u00a0")
    assert EN.money(amount) == en


@pytest.mark.parametrize(
    ("amount", "zh"),
    [
        (0, "¥0"),
        (-0.4, "¥0"),
        (1, "¥1"),
        (-8_000, "−¥8,000"),
        (9_999, "¥9,999"),
        (9_999.7, "¥1万"),
        (-12_345, "−¥1.23万"),
        (57_000, "¥5.7万"),
        (1_234_567, "¥123.46万"),
        (99_999_999, "¥1亿"),
        (123_456_789, "¥1.23亿"),
        (-2_500_000_000, "−¥25亿"),
        (1e12, "¥1万亿"),
    ],
)
def test_chinese_counts_by_ten_thousands(amount, zh):
    assert ZH.money(amount) == zh


def test_every_digit_stands_where_a_chinese_sum_is_shown():
    assert ZH.full_money(1_234_567) == "¥1,234,567"


@pytest.mark.parametrize(
    ("currency", "zh"), [("RUB", "₽5.7万"), ("USD", "US$5.7万"), ("EUR", "€5.7万"), ("KZT", "KZT\u00a05.7万")]
)
def test_other_currencies_in_chinese(currency, zh):
    assert numbers_of("zh", currency).money(57_000) == zh


@pytest.mark.parametrize(
    ("write", "value", "zh"),
    [
        ("whole", 1234567, "1,234,567"),
        ("percent", 0.152, "15.2%"),
        ("relative", -0.051, "−5.1%"),
        ("points", 0.26, "+26.0个百分点"),
        ("months", 9.7, "9.7个月"),
        ("duration", 95, "95分钟"),
        ("duration", 1298, "21.6小时"),
        ("duration", 10080, "7.0天"),
        ("probability", 1.0, "高于99%"),
        ("small_share", 0.0, "低于0.1%"),
        ("day", "2026-10-01", "2026-10-01"),
        ("day_in_text", "2026-10-01", "2026年10月1日"),
        ("short_day", "2026-10-01", "10-01"),
        ("week", "2026-11-09", "第46周（2026-11-09至11-15）"),
        ("week", "2026-12-28", "第53周（2026-12-28至2027-01-03）"),
        ("week", "2027-01-04", "第1周（2027-01-04至01-10）"),
        ("moment", "2026-11-21T22:28:15Z", "2026-11-22 06:28"),
    ],
)
def test_chinese_figures_and_dates(write, value, zh):
    assert getattr(numbers_of("zh", "CNY", "Asia/Shanghai"), write)(value) == zh


def test_a_chinese_unit_stands_once_in_an_interval():
    assert ZH.change_interval("share", {"low": 0.077, "high": 0.127}) == "+7.7至+12.7个百分点"
    assert ZH.interval(ZH.months(3.1), ZH.months(5)) == "3.1至5.0个月"
    # Beside ten thousands a bare number would be read as ten thousands.
    assert ZH.money_interval({"low": -140, "high": 15_500}) == "−¥140至+¥1.55万"
    assert ZH.money_interval({"low": 10_000, "high": 15_500}) == "+¥1万至+¥1.55万"


@pytest.mark.parametrize(
    ("currency", "ru", "en"),
    [
        ("USD", "1 200 $", "$1,200"),
        ("EUR", "1 200 €", "€1,200"),
        ("KZT", "1 200 KZT", "KZT 1,200"),
        ("QQQ", "1 200 QQQ", "QQQ 1,200"),
    ],
)
def test_other_currencies(currency, ru, en):
    assert numbers_of("ru", currency).money(1200) == ru.replace(" ", "\u00a0")
    assert numbers_of("en", currency).money(1200) == en.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("write", "value", "ru", "en"),
    [
        ("whole", 1234567, "1 234 567", "1,234,567"),
        ("percent", 0.152, "15,2 %", "15.2%"),
        ("percent", 0.0, "0,0 %", "0.0%"),
        ("relative", 1.238, "+124 %", "+124%"),
        ("relative", -0.051, "−5,1 %", "−5.1%"),
        ("relative", 0.0999, "+10 %", "+10%"),
        ("ratio", -1.5, "−150 %", "−150%"),
        ("points", 0.26, "+26,0 п.п.", "+26.0 pp"),
        ("points", -0.0004, "0,0 п.п.", "0.0 pp"),
        ("months", 9.7, "9,7 мес.", "9.7 months"),
        ("duration", 95, "95 мин", "95 min"),
        ("duration", 1298, "21,6 ч", "21.6 h"),
        ("duration", 10080, "7,0 дн.", "7.0 days"),
        ("probability", 0.82, "82 %", "82%"),
        ("probability", 1.0, "больше 99 %", "above 99%"),
        ("probability", 0.0, "меньше 1 %", "below 1%"),
    ],
)
def test_other_figures(write, value, ru, en):
    assert getattr(RU, write)(value).replace("\u00a0", " ") == ru
    assert getattr(EN, write)(value).replace("\u00a0", " ") == en


@pytest.mark.parametrize("write", ["percent", "relative", "points", "money", "whole", "months"])
def test_nothing_breaks_inside_a_russian_figure(write):
    assert " " not in getattr(RU, write)(-1234567.8)


def test_a_shared_unit_stands_once():
    assert RU.money_interval({"low": -140, "high": 15_500}) == "от −140 до +15\u00a0500\u00a0₽"
    assert RU.change_interval("share", {"low": 0.077, "high": 0.127}) == "от +7,7 до +12,7\u00a0п.п."
    # Beside millions a bare number would be read as millions.
    assert RU.money_interval({"low": -140, "high": 1_200_000}) == "от −140\u00a0₽ до +1,2\u00a0млн\u00a0₽"
    assert EN.money_interval({"low": -140, "high": 15_500}) == "−₽140 to +₽15,500"


@pytest.mark.parametrize(
    ("unit", "value", "shown", "change"),
    [
        ("share", 0.5, "50,0 %", "+50,0 п.п."),
        ("money_each", 2500, "2 500 ₽", "+2 500 ₽"),
        ("minutes_each", 60, "60 мин", "+60 мин"),
        ("leads", 12, "12", "+12"),
        ("bananas", 1.25, "1,2", "+1,2"),
    ],
)
def test_a_metric_is_written_by_its_unit(unit, value, shown, change):
    assert RU.value(unit, value).replace("\u00a0", " ") == shown
    assert RU.change(unit, value).replace("\u00a0", " ") == change


def test_dates():
    assert RU.day("2026-10-01") == "01.10.2026"
    assert RU.day_in_text(date(2026, 10, 1)) == "1 октября 2026\u00a0г."
    assert EN.day_in_text("2026-10-01") == "1 October 2026"
    moscow = numbers_of("ru", "RUB", "Europe/Moscow")
    assert moscow.moment("2026-11-21T22:28:15.878832") == "22.11.2026, 01:28"
    assert moscow.moment("2026-11-21T22:28:15Z") == "22.11.2026, 01:28"
    assert RU.moment("2026-11-21") == "21.11.2026"


@pytest.mark.parametrize(
    ("monday", "ru"),
    [
        ("2026-11-09", "Неделя 46 (09.11–15.11.2026)"),
        ("2026-12-28", "Неделя 53 (28.12.2026–03.01.2027)"),
        ("2027-01-04", "Неделя 1 (04.01–10.01.2027)"),
    ],
)
def test_weeks_are_iso_weeks(monday, ru):
    assert RU.week(monday).replace("\u00a0", " ") == ru
    assert EN.week("2026-11-09").replace("\u00a0", " ") == "Week 46 (9 Nov – 15 Nov 2026)"


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30))
def test_printed_parts_add_up_to_the_printed_total(parts):
    total = sum(parts)
    whole = adding_up(parts, total)
    assert sum(whole) == round(total)
    assert all(abs(shown - part) < 2 for shown, part in zip(whole, parts, strict=True))


def test_rounding_does_not_hide_parts_that_do_not_add_up():
    with pytest.raises(ValueError, match="sum"):
        adding_up([100.0, 200.0], 310.0)


def test_an_unknown_language_is_an_error():
    with pytest.raises(KeyError, match="en, ru, zh"):
        numbers_of("xx", "RUB")


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "меньше 0,1 %"), (0.0004, "меньше 0,1 %"), (0.0006, "0,1 %"), (0.021, "2,1 %"), (1.0, "100,0 %")]
)
def test_a_share_of_something_found_is_never_nothing(share, shown):
    assert RU.small_share(share).replace("\u00a0", " ") == shown
