"""What a claim rests on, as a reader sees it: guards, two claims, waiting, control, placebo launches, variations."""

import copy
import re

import pytest
from lxml import html as parser

from pipeline.reports import evidence, render
from pipeline.reports.charts import COLOURS, placebo_chart
from pipeline.reports.guarding import guard_text
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from pipeline.reports.words import LANGUAGES
from tests.pipeline.reports import evidence_made as made
from tests.pipeline.reports.test_reports import ANSI, spaced, text_of
from tests.variants import first

# The documents are made once: by one worker.
pytestmark = pytest.mark.xdist_group("reports")
SECTIONS = ("Two estimates, two questions", "How long until we know", "The same check where nothing was launched",
            "If it is computed another way", "Control group", "Random split of the leads")  # fmt: skip


def seen_in(report, kind):
    return text_of(report) if kind == "html" else spaced(ANSI.sub("", report))


def headings(page):
    return [" ".join(heading.itertext()) for heading in parser.document_fromstring(page).xpath("//h2")]


def section(page, title):
    return next(found for found in parser.document_fromstring(page).xpath("//section") if title in found.xpath("./h2/text()"))


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_every_figure_of_the_evidence_appears(documents, rendered, language):
    document, numbers = documents["evidence"], numbers_of(language, "RUB")
    both, page_only = [], []
    for claim in document["claims"].values():
        both += [numbers.money(claim["money"]["incremental_profit"]["estimate"], is_signed=True),
                 numbers.money_interval(claim["money"]["incremental_profit"]), numbers.ratio(claim["money"]["roi"]["estimate"]),
                 numbers.relative(claim["visits"]["relative"]["estimate"])]  # fmt: skip
    money, power = document["money"], document["power"]
    both += [numbers.money(money["npv"]["estimate"], is_signed=True), numbers.money_interval(money["npv"]),
             numbers.annual_rate(money["irr"]["estimate"]), numbers.percent(power["detectable"], digits=0),
             numbers.relative(power["break_even_relative"]),
             numbers.money_interval(document["looks"]["benefit_month"], is_signed=False)]  # fmt: skip
    both += [numbers.percent(point["detectable"], digits=0) for point in power["curve"]]
    for row in document["sensitivity"]:
        if row["profit"]:
            page_only += [numbers.money(row["profit"]["estimate"], is_signed=True), numbers.money_interval(row["profit"]),
                          numbers.relative(row["relative"]["estimate"]), numbers.ratio(row["roi"]["high"])]  # fmt: skip
    for point in document["placebo"]["points"]:
        page_only += [numbers.day(point["week"]), numbers.relative(point["relative"])]
    html, terminal = (seen_in(rendered("evidence", kind, language), kind) for kind in ("html", "terminal"))
    assert [figure for figure in both + page_only if spaced(figure) not in html] == []
    assert [figure for figure in both if spaced(figure) not in terminal] == []


def test_a_document_without_the_keys_has_none_of_their_sections(documents, rendered):
    for name in ("old", "empty"):
        assert [title for title in SECTIONS if title in headings(rendered(name, "html", "en"))] == [SECTIONS[0]]
    assert set(SECTIONS) < set(headings(rendered("evidence", "html", "en")))
    assert [title for title in SECTIONS if title in headings(rendered("refused", "html", "en"))] == []
    assert rendered("empty", "terminal", "en") == rendered("old", "terminal", "en")


def test_two_claims_stand_side_by_side_and_share_no_figure(documents, rendered):
    document, numbers = documents["evidence"], numbers_of("ru", "RUB")
    process, total = page_of(document, "ru").claims
    assert (process.name, process.mark, total.name, total.mark) == ("process", "главная", "total", "ориентировочно")
    for card in (process, total):
        profit = document["claims"][card.name]["money"]["incremental_profit"]
        lines = {line.title: line for line in card.lines}
        assert lines["Дополнительная прибыль"].value == numbers.money(profit["estimate"], is_signed=True)
        assert lines["Дополнительная прибыль"].interval == numbers.money_interval(profit)
        assert card.doubt
    assert "Заявки к ожидаемым" not in {line.title for line in process.lines}
    assert "Заявки к ожидаемым" in {line.title for line in total.lines}
    cards = section(rendered("evidence", "html", "ru"), "Две оценки, два вопроса").xpath(".//article")
    assert len(cards) == 2
    other = numbers.money(document["claims"]["total"]["money"]["incremental_profit"]["estimate"], is_signed=True)
    assert spaced(other) not in spaced(" ".join(cards[0].itertext()).replace("\u2060", ""))


def test_the_claim_that_leads_comes_first(documents):
    document = copy.deepcopy(documents["control"])
    document["claim"] = "total"
    assert [(card.name, card.mark) for card in page_of(document, "en").claims] == [("total", "main"), ("process", None)]


def test_a_withheld_claim_has_no_figure_and_says_why(documents):
    document = copy.deepcopy(documents["evidence"])
    document["claims"].pop("total")
    document["guards"] = [made.GUARDS[0], made.GUARDS[6]]
    card = page_of(document, "en").claims[1]
    assert (card.mark, card.lines) == ("not shown", ())
    assert card.doubt == (guard_text(numbers_of("en", "RUB"), made.GUARDS[0]),)
    document["guards"] = []
    assert page_of(document, "en").claims[1].doubt == ("These data cannot carry this estimate.",)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "llq_ratio"}, "Compared with a control group"),
        ({"is_weak": True}, "Compared with a weak control group"),
        ({"method": "holdout"}, "Leads were split at random"),
    ],
)
def test_the_doubt_of_the_total_claim_follows_its_control(paying, changes, told):
    cards = {card.name: card for card in page_of(made.with_control(paying, **changes), "en").claims}
    assert cards["total"].doubt[0].startswith(told)
    without = made.with_control(paying)
    without["control"] = None
    assert "Waiting does not narrow this range." in page_of(without, "en").claims[1].doubt[0]


def test_an_indicative_claim_gives_the_guard_as_its_reason(documents):
    document = copy.deepcopy(documents["evidence"])
    assert "history is shorter than a year" in page_of(document, "en").claims[1].doubt[0]
    document["guards"] = [made.GUARDS[3]]
    assert page_of(document, "en").claims[1].doubt == (guard_text(numbers_of("en", "RUB"), made.GUARDS[3]),)


def test_an_undecided_launch_says_what_its_data_can_see(documents, rendered):
    for kind in ("html", "terminal"):
        seen = seen_in(rendered("undecided", kind, "ru"), kind)
        assert ("Эффект от −7,0 до +31 %; эти данные различают только эффекты больше 41 %; порог окупаемости +14 %. "
                "Не доказано и не опровергнуто.") in seen  # fmt: skip
        assert "обычный диапазон 95 % выгоды в месяц (от 800 до 17 000 ₽) ноль уже не включает" in seen
        assert "с запасом на еженедельные просмотры (от −5 000 до 23 000 ₽), ещё включает: пока не доказано." in seen
        assert "Порог окупаемости: 7 500 ₽" in seen
        assert "подождать ещё примерно 9 недель" in seen
    seen = text_of(rendered("undecided", "html", "en"))
    assert "The effect is −7.0% to +31%; these data can only see effects above 41%; break-even is +14%. Neither proved" in seen


def test_reading_every_week_is_allowed_with_the_range_that_allows_it(documents, rendered):
    told = "вывод взят из более широкого диапазона, от −5 000 до 23 000 ₽ в месяц"
    for kind in ("html", "terminal"):
        assert told in seen_in(rendered("undecided", kind, "ru"), kind)


@pytest.mark.parametrize(
    ("more_weeks", "told"),
    [(1, "через 1 неделю"), (3, "через 3 недели"), (11, "через 11 недель"), (0, "уже различим"), (None, "Одним ожиданием")],
)
def test_how_long_to_wait(documents, more_weeks, told):
    document = copy.deepcopy(documents["undecided"])
    document["power"]["more_weeks"] = more_weeks
    assert told in page_of(document, "ru").waiting.told[0]


def test_a_settled_verdict_asks_nobody_to_wait_and_an_unknown_threshold_says_so(documents):
    assert page_of(documents["evidence"], "en").waiting.told[0] == "The verdict stands, there is no need to wait."
    document = copy.deepcopy(documents["undecided"])
    document["power"]["break_even_relative"] = None
    assert "break-even is unknown" in page_of(document, "en").waiting.told[0]


def test_the_table_of_waiting_begins_now_and_goes_on(documents):
    document = copy.deepcopy(documents["undecided"])
    document["power"]["curve"].insert(0, {"n_post_weeks": document["periods"]["post"]["n_weeks"], "detectable": 0.41})
    lines = page_of(document, "en").waiting.lines
    assert [(line.title, line.value) for line in lines] == [
        ("What these data see now: an effect", "from 41%"), ("What break-even needs: an effect of", "+14%"),
        ("With 14 weeks after the launch", "from 26%"), ("With 18 weeks after the launch", "from 25%"),
        ("With 36 weeks after the launch", "from 22%"),
    ]  # fmt: skip


def test_where_more_weeks_do_not_help_no_curve_is_promised(documents):
    document = copy.deepcopy(documents["undecided"])
    for point in document["power"]["curve"]:
        point["detectable"] = 0.41 + point["n_post_weeks"] / 100
    waiting = page_of(document, "en").waiting
    assert len(waiting.lines) == 2
    assert any(sentence.startswith("More weeks do not sharpen this estimate") for sentence in waiting.told)
    document["power"]["curve"][-1]["detectable"] = 0.40
    assert len(page_of(document, "en").waiting.lines) == 5


@pytest.mark.parametrize(
    ("way", "told"), [("control", "leave one channel"), ("history", "last year’s leads"), ("holdout", "payback plan holdout")]
)
def test_the_way_out_is_named_beside_the_verdict(documents, way, told):
    document = copy.deepcopy(documents["undecided"])
    document["power"] |= {"best_way": way, "more_weeks": None}
    details = page_of(document, "en").verdict.details
    assert told in details[-1]
    assert sum(detail.startswith("What to do") for detail in details) == 1


def test_the_control_is_named_and_its_rivals_are_folded_with_reasons(documents, rendered):
    tree = section(rendered("evidence", "html", "ru"), "Контрольная группа")
    assert "Сравнение: канал «Соцсети». До запуска 17 недель, заявок в месяц 128." in spaced(" ".join(tree.itertext()))
    rows = [[cell.text for cell in row] for row in tree.xpath("./details//tbody/tr")]
    assert [row[:2] for row in rows] == [
        ["канал: Соцсети", "выбран"], ["филиал: Центр", "не подходит"], ["сотрудник: Анна <b>", "не подходит"],
        ["воронка: 7", "подходит"],
    ]  # fmt: skip
    for_it, against = (spaced(cell) for cell in rows[0][2:])
    assert for_it == ("17 недель истории; заявок в месяц: 128; движется вместе с запуском (корреляция 0,82, свои колебания 6 %); "
                      "запуск его не касается")  # fmt: skip
    assert against == "расходится на +3,5 % в неделю"
    assert rows[1][2] == "—"
    assert spaced(rows[2][3]).startswith("истории всего 5 недель, нужно 8; заявок в месяц: 41, нужно хотя бы 100")


def test_a_hold_out_is_shown_with_both_groups(documents, rendered):
    for kind in ("html", "terminal"):
        seen = seen_in(rendered("evidence", kind, "ru"), kind)
        assert "Заявки 9 недель поделил случай: с запуском 412, без него 397." in seen
        assert "+14,0 п.п. (+42 %)" in seen
        assert "от +7,0 до +20,0 п.п." in seen
    document = copy.deepcopy(documents["evidence"])
    document["holdout"]["sample_ratio"]["is_mismatch"] = True
    document["holdout"] |= {"relative": None, "extra_revenue": None}
    assert page_of(document, "en").holdout.told[1].startswith("The groups are not of the planned size")
    assert [line.value for line in page_of(document, "en").holdout.lines][-2:] == ["+14.0\u00a0pp", "+58"]
    document["holdout"] = {"too_few_leads": {"n_treated": 1200.0, "n_held": 12.0, "n_needed": 30.0}}
    held = page_of(document, "ru").holdout
    assert held.told[0].startswith("Случайное деление пока не прочитать")
    assert "заявок с запуском 1\u00a0200, без него 12, а нужно хотя бы 30" in held.told[0]
    assert held.lines == ()


def test_a_panel_is_a_check_beside_the_claims_and_says_when_it_cannot_prove(rendered):
    for kind in ("html", "terminal"):
        seen = seen_in(rendered("evidence", kind, "ru"), kind)
        assert "Сравнение с остальными по дням" in seen
        assert "На уровне 5 % так ничего не доказать: сравнить можно только с 12" in seen
        assert "+5,4 %" in seen
        assert "p = 0,26" in seen
        assert "от −3,0 до +20 %" in seen
    assert "<b>Юг</b>" not in rendered("evidence", "html", "ru")


def test_no_control_is_said(documents):
    document = copy.deepcopy(documents["evidence"])
    document["control"] = None
    assert page_of(document, "en").control.told == "The launch is compared with its own past only: there is no control group."
    document["control_candidates"] = []
    assert page_of(document, "en").control is None


def marks(svg, colour):
    """x positions of the markers of a colour."""
    found = re.findall(r"<use ([^>]*)/>", svg)
    return [float(re.search(r'x="([\d.]+)"', mark).group(1)) for mark in found if colour in mark]


def test_every_placebo_launch_is_drawn_alarms_apart_and_the_launch_at_the_right_end(documents):
    document, numbers = documents["evidence"], numbers_of("ru", "RUB")
    panel = evidence.placebo(numbers, document)
    for width in (328, 880):
        svg = placebo_chart(panel.points, panel.today, "Запуск", numbers.relative, width=width, height=240, name="p")
        quiet, alarms, today = (marks(svg, COLOURS[name]) for name in ("muted", "minus", "fact"))
        assert len(alarms) == document["placebo"]["n_alarms"] == 2
        assert len(quiet) == document["placebo"]["n"] - 2
        assert len(today) == 1
        assert today[0] > max(quiet + alarms)
        shapes = {mark.split('"')[1] for colour in ("muted", "minus", "fact")
                  for mark in re.findall(r'href="[^"]*"(?=[^>]*' + COLOURS[colour] + ")", svg)}  # fmt: skip
        assert len(shapes) == 3  # shape as well as colour
    assert "ложных срабатываний 2, случайно их было бы около 2,0" in panel.told
    assert [row[3] for row in panel.rows.rows].count("ложное срабатывание") == 2


def test_a_placebo_panel_of_one_week_or_without_the_launch_is_drawn(documents):
    document, numbers = copy.deepcopy(documents["evidence"]), numbers_of("en", "RUB")
    document["placebo"] |= {"points": document["placebo"]["points"][:1], "n": 1, "n_alarms": 0}
    document["metrics"]["visit_conversion"]["effect"] = None
    panel = evidence.placebo(numbers, document)
    assert panel.today is None
    assert "pretended on 1 earlier Monday, over 8 weeks:" in panel.told
    assert "this launch" not in text_of(render(document, "html", "en").decode())


def test_variations_that_turn_the_answer_are_counted(documents):
    page = page_of(documents["evidence"], "ru").sensitivity
    assert page.told.startswith("Ответ меняется в 1 варианте из 8")
    titles = [row[0] for row in page.rows.rows]
    assert titles[3:7] == ["Исходы за 7 дней", "Исходы за 21 день", "Вне сравнения 3 недели с запуска", "Маржа 40\u00a0%"]
    assert page.rows.rows[-1][1:] == ("нет данных",) * 3
    document = copy.deepcopy(documents["evidence"])
    document["sensitivity"] = [row for row in document["sensitivity"] if (row["profit"] or {"low": 1})["low"] > 0]
    assert page_of(document, "en").sensitivity.told == "The answer stays the same in every variation (computed: 7)."
    document["sensitivity"] = document["sensitivity"][1:]  # nothing to compare with
    assert page_of(document, "en").sensitivity.told is None


def test_npv_and_irr_stand_in_the_money_table(documents):
    lines = {line.title: line for line in page_of(documents["evidence"], "en").money}
    assert lines["Net present value (NPV)"].note == "over 12 months at 20% a year"
    irr = lines["Internal rate of return (IRR) a year"]
    assert (irr.value, irr.interval) == ("240%", "from 80%")  # an open end
    document = copy.deepcopy(documents["evidence"])
    document["money"]["irr"] = made.interval(1e6, 12.0, 1e9)
    assert {line.title: line for line in page_of(document, "en").money}[irr.title].value == "above 1,000%"
    for (low, high), told in (((0.1, 0.9), "10% to 90%"), ((-1.0, 11.0), "from −100%"), ((11.0, 12.0), None)):
        document["money"]["irr"] = made.interval(0.5, low, high)
        assert {line.title: line for line in page_of(document, "en").money}[irr.title].interval == told
    document["money"]["irr"] = None
    absent = {line.title: line for line in page_of(document, "en").money}[irr.title]
    assert (absent.value, absent.note) == ("n/a", "there is no rate at which NPV is zero")


def test_hostile_names_of_the_evidence_are_harmless(documents, rendered):
    document, bad = copy.deepcopy(documents["guarded"]), "<script>alert(1)</script>{0}\u202e"
    document["guards"] = [{**made.GUARDS[6], "figures": {"source": bad, "after": 0.3}},
                          {**made.GUARDS[12], "figures": {"title": bad, "started_on": "2026-05-18"}}]  # fmt: skip
    document["control"] = {**made.CONTROL, "keys": [bad]}
    document["control_candidates"] = [{**made.CANDIDATES[0], "key": bad}]
    document["sensitivity"][-2]["figures"] = {"channel": bad}
    for language in LANGUAGES:
        page = render(document, "html", language).decode()
        assert "<script" not in page
        assert "\u202e" not in page
        assert "".join(parser.document_fromstring(page).itertext()).count("<script>alert(1)</script>{0}") >= 4
