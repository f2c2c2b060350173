"""What an owner recomputes on the page: levels and changes in one unit, what is unknown, what the parts sum to."""

import copy
import re

import pytest
from lxml import html as parser

from pipeline.reports import render
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from tests.pipeline.reports.test_reports import ANSI, spaced, text_of

# The documents are made once: by one worker.
pytestmark = pytest.mark.xdist_group("reports")


def number_in(text):
    """The first number of a Russian text."""
    found = re.search(r"[+−]?\d[\d ]*(,\d+)?", text.replace("\u00a0", " "))
    return float(found.group().replace("−", "-").replace(" ", "").replace(",", "."))


def test_now_less_expected_is_the_printed_change(paying, measured):
    for document in (paying, measured(lift=-0.6), measured(lift=1.0)):
        tiles = {tile.name: tile for tile in page_of(document, "ru").tiles}
        for name, unit in (("leads", 1), ("booking_conversion", 0.1), ("no_show_rate", 0.1), ("average_check", 1)):
            tile = tiles[name]
            gap = number_in(tile.value) - number_in(tile.expected)
            assert gap == pytest.approx(number_in(tile.change), abs=1.01 * unit), name  # each of the three is rounded
        for row in page_of(document, "ru").metrics.rows:
            if "неделю" in row[0]:
                gap = number_in(row[3]) - number_in(row[2])
                assert gap == pytest.approx(number_in(row[4]), abs=2), row


def test_the_total_and_the_weekly_levels_of_profit_agree(paying):
    tile = {tile.name: tile for tile in page_of(paying, "ru").tiles}["incremental_profit"]
    n_weeks = paying["periods"]["post"]["n_weeks"]
    assert spaced(tile.period) == f"за {n_weeks} недель после запуска"
    expected, now = re.search(r"запуска (.+) ₽, стало (.+) ₽", tile.notes[0].replace("\u00a0", " ")).groups()
    assert (number_in(now) - number_in(expected)) * n_weeks == pytest.approx(number_in(tile.value), abs=2 * n_weeks)


def test_no_cost_given_is_not_a_cost_of_zero(documents, rendered):
    document = documents["no costs"]
    page = page_of(document, "ru")
    lines = {line.title: line for line in page.money}
    for title in ("Расходы за период", "Чистая выгода", "ROI", "Окупаемость"):
        assert (lines[title].value, lines[title].note) == ("нет данных", "расходы не указаны"), title
    tiles = {tile.name: tile for tile in page.tiles}
    for name in ("roi", "payback"):
        assert (tiles[name].value, tiles[name].notes) == ("нет данных", ("расходы не указаны",)), name
    for kind in ("html", "terminal"):
        seen = spaced(ANSI.sub("", rendered("no costs", kind, "ru")))
        assert not re.search(r"\b0 ₽|0,0 мес|99 %|вернулось", seen), kind
    assert {line.title: line.value for line in page_of(documents["free"], "ru").money}["Расходы за период"].split() == ["0", "₽"]


def test_what_came_back_is_told_only_where_it_can_be(paying):
    assert any("вернулось" in detail for detail in page_of(paying, "ru").verdict.details)
    document = copy.deepcopy(paying)
    document["money"]["roi"]["low"] = -1.2
    assert not any("вернулось" in detail for detail in page_of(document, "ru").verdict.details)


def test_the_terminal_calls_revenue_revenue(documents, rendered):
    assert "Откуда взялась выручка" in rendered("no margin", "terminal", "ru")
    assert "Откуда взялась прибыль" not in rendered("no margin", "terminal", "ru")


def test_the_counted_period_stands_in_the_head(paying, rendered):
    numbers, post = numbers_of("ru", "RUB"), paying["periods"]["post"]
    counted = f"учтены заявки {numbers.span(post['start'], post['end'])} ({post['n_weeks']} недель)"
    head = " ".join(parser.document_fromstring(rendered("paying", "html", "ru")).xpath("//header")[0].itertext())
    assert counted in spaced(head)
    assert counted in spaced(ANSI.sub("", rendered("paying", "terminal", "ru")))


def test_a_side_without_weeks_has_no_data_and_no_zero(documents):
    page = page_of(documents["just started"], "ru")
    assert {tile.value for tile in page.tiles} == {"нет данных"}
    assert {row[3] for row in page.metrics.rows} == {"нет данных"}
    for table in page.breakdowns:
        assert {row[1] for row in table.rows} == {"нет данных"}, table.name
        assert all(row[2].endswith("→ нет данных") for row in table.rows), table.name


def test_branches_and_channels_close_with_the_total(paying, rendered):
    total = numbers_of("ru", "RUB").money(paying["money"]["benefit"]["estimate"], is_signed=True)
    for table in page_of(paying, "ru").breakdowns[:2]:
        rows = {row["key"] for row in paying["contributions"] if row["dimension"] == table.name}
        assert ("тренд и случайность" in table.total) is ("" in rows)
        assert table.total.endswith(total)
        for kind in ("html", "terminal")[: len(table.rows)]:  # a terminal leaves a breakdown of one row out
            assert spaced(table.total) in spaced(ANSI.sub("", rendered("paying", kind, "ru")).replace("\u2060", "")), table.name


def test_parts_without_a_rest_sum_to_the_total_alone(paying):
    document = copy.deepcopy(paying)
    parts = [row for row in document["contributions"] if row["dimension"] == "channel"]
    rest = next((row["estimate"] for row in parts if row["key"] == ""), 0.0)
    document["contributions"] = [row for row in document["contributions"] if row not in parts or row["key"]]
    next(row for row in parts if row["key"])["estimate"] += rest
    table = page_of(document, "ru").breakdowns[0]
    total = numbers_of("ru", "RUB").money(paying["money"]["benefit"]["estimate"], is_signed=True)
    assert table.total == f"Вклад в прибыль: всего {total}"


def test_sources_were_heard_on_the_clock_of_the_business(paying):
    document = copy.deepcopy(paying)
    document["timezone"] = "Asia/Yekaterinburg"
    document["provenance"]["sources"][0]["last_seen_at"] = "2026-07-31T22:02:09.127797"
    assert page_of(document, "ru").sources.rows[0][-1] == "01.08.2026, 03:02"
    assert "UTC" not in text_of(render(document, "html", "ru").decode())
