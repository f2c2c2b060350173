"""Whole reports of real measurements: every figure is there, every situation has its words."""

import copy
import errno
import json
import re
from pathlib import Path

import pytest
from lxml import html as parser
from rich.cells import cell_len

from pipeline.document import document_bytes
from pipeline.errors import ConfigError
from pipeline.reports import render, write
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from pipeline.reports.words import LANGUAGES
from tests.pipeline.reports.conftest import RULES
from tests.variants import first

# The documents are made once: by one worker.
pytestmark = pytest.mark.xdist_group("reports")
TEXTS = ("html", "json", "terminal")  # the others: test_workbook.py, test_pdf.py
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def text_of(page):
    """What a reader sees, white space made single (no-break spaces too)."""
    tree = parser.document_fromstring(page)
    for element in tree.xpath("//style|//script|//title"):
        element.getparent().remove(element)
    return spaced(" ".join(tree.itertext()).replace("\u2060", ""))


def spaced(text):
    """White space made single; after a Chinese character it can only be the end of a line, and goes."""
    return re.sub(r"(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]) |(?<=”) (?=[\u4e00-\u9fff])", "", " ".join(text.split()))


@pytest.mark.parametrize(
    ("kind", "language"),
    [
        pytest.param(kind, language, marks=[pytest.mark.thorough] if kind != "json" and language != "ru" else [])
        for kind in TEXTS
        for language in LANGUAGES
    ],
)
def test_every_situation_has_a_report_without_gaps(documents, rendered, kind, language):
    # Drawing takes half a second a page: what the words of a verdict are, the terminal says in every language.
    is_each = kind != "html"
    for name in (name for name in documents if is_each or not name.startswith("verdict")):
        report = rendered(name, kind, language)
        assert not re.search(r"\b(None|NaN|Undefined)\b", report), name
        assert kind == "json" or not re.search(r"\b(nan|inf)\b|\{\w+\}(?!\{boom)", report.replace("{0}{boom}", "")), name


@pytest.mark.parametrize("language", first(1, LANGUAGES))
@pytest.mark.parametrize("kind", TEXTS)
def test_the_same_document_gives_the_same_bytes(documents, rendered, kind, language):
    for name in ("paying", "hostile"):
        shuffled = json.loads(json.dumps(documents[name], sort_keys=True))
        assert render(shuffled, kind, language).decode() == rendered(name, kind, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_stands_alone_and_parses(documents, rendered, language):
    for name in documents if language == "ru" else ("paying", "hostile", "refused"):  # the template is the same
        page = rendered(name, "html", language)
        assert len(page.encode()) < 500_000, name
        tree = parser.document_fromstring(page)
        assert not tree.xpath("//script|//link|//iframe|//img|//object|//form"), name
        links = tree.xpath("//a/@href")  # within the page only, and every one arrives
        assert set(links) <= {f"#{found}" for found in tree.xpath("//@id")}, name
        links = [value for value in tree.xpath("//@href|//@src|//@*[name()='xlink:href']") if not value.startswith("#")]
        assert links == [], name
        outside = re.sub(r"\[URL=http://evil.example\]|HYPERLINK\(&#34;http://evil.example", "", page)
        assert not re.search(r"http|@import|url\((?!#)", outside), name
        ids = tree.xpath("//@id")
        assert len(ids) == len(set(ids)), name
        assert tree.get("lang") == {"zh": "zh-Hans"}.get(language, language)
        assert [heading.tag for heading in tree.xpath("//h1")] == ["h1"]
        assert all(svg.get("aria-label") for svg in tree.xpath("//svg"))


@pytest.mark.parametrize("kind", ["html", "terminal"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_of_the_document_appears(paying, language, kind, rendered):
    numbers = numbers_of(language, "RUB")
    rendered = rendered("paying", kind, language)
    seen = text_of(rendered) if kind == "html" else spaced(ANSI.sub("", rendered))
    money, metrics = paying["money"], paying["metrics"]
    wanted = [
        numbers.money(money["incremental_profit"]["estimate"], is_signed=True),
        numbers.money_interval(money["incremental_profit"]),
        numbers.money(money["incremental_revenue"]["estimate"], is_signed=True),
        numbers.money(money["net"]["estimate"], is_signed=True),
        numbers.money_interval(money["net"]),
        numbers.money(money["cost"]),
        numbers.ratio(money["roi"]["estimate"]),
        numbers.months(money["payback_months"]["estimate"]),
        numbers.money(money["break_even_monthly"]),
        numbers.percent(money["break_even_margin"]),
        numbers.whole(metrics["leads"]["a_week"]["pre"]),
        numbers.whole(metrics["leads"]["a_week"]["post"]),
        str(paying["trust"]["score"]),
        paying["provenance"]["config_hash"],
        paying["provenance"]["sql_hash"],
    ]
    for name in ("booking_conversion", "no_show_rate"):
        wanted += [numbers.percent(metrics[name][side]["value"]) for side in ("pre", "post")]
        wanted += [numbers.points(metrics[name]["effect"]["estimate"]), numbers.change_interval("share", metrics[name]["effect"])]
        wanted.append(numbers.relative(metrics[name]["effect"]["relative"]["estimate"]))
    wanted += [numbers.money(metrics["average_check"][side]["value"]) for side in ("pre", "post")]
    assert [figure for figure in wanted if spaced(figure) not in seen] == []


def test_details_for_those_who_check_are_on_the_page(paying, rendered):
    seen = text_of(rendered("paying", "html", "ru"))
    numbers = numbers_of("ru", "RUB")
    for name, metric in paying["metrics"].items():
        assert f"metrics/{name}" in seen
        if metric["effect"]:
            n_weeks = metric["effect"]["n_post_weeks"] if metric["a_week"] else 1
            ends = {end: metric["effect"][end] / n_weeks for end in ("low", "high")}
            assert spaced(numbers.change_interval(metric["unit"], ends)) in seen, name
    for row in paying["weekly"]:
        if row["expected"]:
            assert spaced(numbers.whole(row["expected"]["estimate"])) in seen
    assert "Анна <b>" in seen
    assert "Борис" in seen
    assert "Вместе с числом заявок ориентировочно" in seen


def test_the_printed_parts_add_up_to_the_printed_profit(documents):
    for name in ("paying", "harming", "huge", "60 channels", "saved hours"):
        document = documents[name]
        page = page_of(document, "en")
        *parts, total = page.parts
        assert sum(part.amount for part in parts) == total.amount == round(document["money"]["benefit"]["estimate"]), name
        for dimension, found in page.split.items():
            *split, whole = found
            rows = {row["key"] for row in document["contributions"] if row["dimension"] == dimension}
            assert (split[-1].title == "Trend and chance") is ("" in rows), dimension
            stated = round(document["money"]["incremental_profit"]["estimate"])
            assert sum(part.amount for part in split) == whole.amount == stated, (name, dimension)


@pytest.mark.parametrize(
    ("code", "word", "told"),
    [
        ("above_break_even", "Окупается", ["20 000 ₽", "9 000 ₽"]),
        ("break_even_inside", "Работает, окупаемость не доказана", ["от 1 000 до 40 000 ₽", "9 000 ₽"]),
        ("break_even_unknown", "Работает, окупаемость не доказана", ["расходы на запуск не указаны"]),
        ("below_break_even", "Не окупается", ["4 000 ₽", "9 000 ₽"]),
        ("below_zero", "Вредит", ["от −9 000 до −1 000 ₽"]),
        ("zero_inside", "Данных не хватает", ["от −9 000 до 21 000 ₽", "9 000 ₽", "эти данные различают эффекты"]),
        ("low_trust", "Данных не хватает", ["30 из 100", "50", "Данным пока нельзя верить"]),
    ],
)
def test_each_verdict_says_its_word_and_its_figures(documents, rendered, code, word, told):
    page, terminal = (rendered(f"verdict {code}", kind, "ru") for kind in ("html", "terminal"))
    for seen in (text_of(page), spaced(ANSI.sub("", terminal))):
        assert word.lower() in seen.lower()
        assert [figure for figure in told if figure not in seen] == []
    head = parser.document_fromstring(page).xpath("//section[1]")[0]
    assert head.xpath("./h2/text()") == [word]
    assert head.get("class") == f"verdict {documents[f'verdict {code}']['verdict']['code']}"


def test_the_five_rules_of_the_verdict_are_printed_and_the_reached_one_is_marked(documents, rendered):
    for code in RULES:
        page = page_of(documents[f"verdict {code}"], "en")
        assert len({rule for _, _, rule in page.rules}) == 5
        tree = parser.document_fromstring(rendered(f"verdict {code}", "html", "en"))
        assert tree.xpath("//dt[@class='reached']/text()") == [page.verdict.word]
        assert {word: rule for _, word, rule in page.rules}[page.verdict.word] in page.verdict.rule


def test_without_a_margin_revenue_is_called_revenue(documents):
    document = documents["no margin"]
    page = page_of(document, "ru")
    tile = {tile.name: tile for tile in page.tiles}
    assert tile["incremental_revenue"].title == "Дополнительная выручка"
    assert any("не прибыль" in note for note in tile["incremental_revenue"].notes)
    assert tile["roi"].value == tile["payback"].value == "нет данных"
    assert tile["roi"].notes == ("не указана маржа",)
    seen = text_of(render(document, "html", "ru").decode())
    assert "Откуда взялась выручка" in seen
    assert "Откуда взялась прибыль" not in seen
    assert "Не указана маржа" in page.verdict.reason


def test_what_was_not_given_is_not_counted_and_never_zero(documents):
    lines = {line.title: line for line in page_of(documents["no costs"], "en").money}
    for title in ("One-off cost", "Monthly cost", "Cost per lead", "Hours of roll-out", "Saved hours"):
        assert lines[title].value == "not counted"
        assert lines[title].is_absent
    assert (lines["ROI"].value, lines["ROI"].note) == ("n/a", "no cost given")
    free = {line.title: line for line in page_of(documents["free"], "en").money}
    assert (free["ROI"].value, free["ROI"].note) == ("n/a", "the cost is zero")
    saved = {line.title: line for line in page_of(documents["saved hours"], "en").money}["Saved hours"]
    assert saved.note is not None
    assert "cash" in saved.note


def test_a_refusal_shows_the_table_and_how_long_to_wait(documents, rendered):
    page = page_of(documents["refused"], "ru")
    assert page.verdict.word == "Данных не хватает"
    assert re.search(r"Подождите ещё примерно \d+ недел", page.verdict.reason)
    tiles = {tile.name: tile for tile in page.tiles}
    assert tiles["booking_conversion"].value.endswith("%")
    assert all(tile.interval is None for tile in page.tiles)
    assert tiles["incremental_profit"].notes == ("для эффекта мало недель или визитов",)
    assert all(week.expected is None for week in page.weeks)
    seen = text_of(rendered("refused", "html", "ru"))
    assert "ожидалось при прежней доле" not in seen
    assert "Разложить пока нечего" in seen


def test_a_withheld_claim_says_why_and_shows_the_doubtful_one(documents, rendered):
    seen = text_of(rendered("withheld", "html", "en"))
    assert "The source “Бот” appeared after the launch: 31.0% of the leads." in seen
    assert "With the number of leads indicative" in seen
    assert "the history is shorter than a year, so the season is unknown" in seen
    assert "On the same leads not shown" in seen
    assert "n/a the recording of leads changed, no effect is claimed" in seen


def test_a_harming_launch_never_pays_back_in_words(documents):
    page = page_of(documents["harming"], "ru")
    tile = {tile.name: tile for tile in page.tiles}
    assert page.verdict.word == "Вредит"
    assert tile["payback"].value == "не окупается за 5 лет"
    assert tile["payback"].interval == "не окупается во всём диапазоне"
    assert tile["incremental_profit"].value.startswith("−")
    assert tile["incremental_profit"].tone == tile["booking_conversion"].tone == "bad"


def test_an_open_end_of_a_payback_is_never(paying):
    document = copy.deepcopy(paying)
    document["money"]["payback_months"] = {"estimate": 9.7, "low": 2.0, "high": None}
    tile = {tile.name: tile for tile in page_of(document, "en").tiles}["payback"]
    assert tile.value.replace("\u00a0", " ") == "9.7 months"
    assert tile.interval.replace("\u00a0", " ") == "from 2.0 months; at worst it does not pay back in 5 years"


def test_sixty_channels_fold_and_none_is_lost(documents, rendered):
    tree = parser.document_fromstring(rendered("60 channels", "html", "ru"))
    tables = tree.xpath("//table[caption='По каналам'][thead]")
    assert [len(table.xpath("./tbody/tr")) for table in tables] == [12, 48]
    assert len(tables[1].xpath("./ancestor::details")) == 1
    names = {name for table in tables for name in table.xpath("./tbody/tr/th/text()")}
    assert names == {f"Канал {n}" for n in range(60)}
    assert "и ещё 52 строки" in rendered("60 channels", "terminal", "ru")


def test_leads_without_a_channel_are_named_so(documents):
    assert {row[0] for row in page_of(documents["no channel"], "ru").breakdowns[0].rows} == {"источник не указан"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_are_harmless_text(documents, language, rendered):
    page = rendered("hostile", "html", language)
    tree = parser.document_fromstring(page)
    assert not tree.xpath("//script|//img|//b[text()='']")
    assert not [name for element in tree.iter() for name in element.attrib if name.startswith("on")]
    seen = "".join(tree.itertext())
    assert "<script>alert(1)</script>" in seen
    assert "{0}{boom}%(x)s$x^2$" in seen
    terminal = rendered("hostile", "terminal", language)
    assert "[red]" in terminal
    for text in (seen, ANSI.sub("", terminal)):
        assert not set("\u202e\u200f\x07\x1b") & set(text)
        assert "д" * 81 not in text
    assert "<script" not in page


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_the_terminal_report_fits_a_hundred_columns(documents, rendered, language):
    for name in documents:
        lines = ANSI.sub("", rendered(name, "terminal", language)).splitlines()
        assert max(map(cell_len, lines)) <= 100, name  # a Chinese character takes two
        assert len(lines) < (130 if "guards" not in documents[name] else 185), name


def test_figures_stay_whole_in_the_terminal(paying, rendered):
    seen, numbers = ANSI.sub("", rendered("paying", "terminal", "ru")), numbers_of("ru", "RUB")
    other = paying["claims"]["total"]["money"]["incremental_profit"]  # in running text, where lines are broken
    assert numbers.money(other["estimate"], is_signed=True) in seen
    assert numbers.money_interval(paying["money"]["net"]) in seen


def test_a_sign_is_never_parted_from_its_amount(rendered):
    assert not re.search(r"[+−]₽", rendered("paying", "html", "en").split("</svg>")[-1])


def test_the_order_of_the_page(rendered):
    tree = parser.document_fromstring(rendered("evidence", "html", "en"))
    headings = [" ".join(heading.itertext()) for heading in tree.xpath("//h1|//h2")]
    assert headings == [
        "Assistant", "Pays", "Key figures", "Visits by week", "Where the profit came from",
        "Money", "Forecast: 6\u00a0and 12\u00a0months", "By channel", "By branch", "By employee",
        "Two estimates, two questions", "How long until we know", "Random split of the leads", "Against the others, day by day",
        "The same check where nothing was launched", "If it is computed another way", "Control group",
        "Can the data be trusted", "How it was computed",
    ]  # fmt: skip
    assert tree.xpath("//li[contains(@class, 'tile')]/h3/text()") == [
        "Leads a week", "Booking", "No-shows", "Average check", "Incremental profit", "ROI", "Payback",
    ]  # fmt: skip


def test_amounts_keep_their_size(documents, rendered):
    assert re.search(r"\d млрд ₽|\d трлн ₽", text_of(rendered("huge", "html", "ru")))
    assert "−0 ₽" not in text_of(rendered("tiny", "html", "ru"))


def test_a_finding_in_words_and_a_check_nobody_has_put_into_words(paying):
    document = copy.deepcopy(paying)
    stages = ", ".join(f"crm.lead S{n}: {n}" for n in range(9))
    document["trust"]["findings"] = [
        {
            "code": "unmapped_stages",
            "severity": "error",
            "subject": "journeys",
            "n": 5,
            "detail": {"share": 0.021, "stages": stages},
            "points": 4.2,
        },
        {"code": "cats_on_keyboard", "severity": "warning", "subject": "journeys", "n": 2, "detail": {}, "points": 0.0},
        {
            "code": "negative_amounts",
            "severity": "warning",
            "subject": "journeys",
            "n": 1,
            "detail": {"share": 0.0002},
            "points": 0.0,
        },
        {"code": "rights_shrunk", "severity": "warning", "subject": "deals", "n": 7, "detail": {}, "points": 0.0},
    ]
    seen = text_of(render(document, "html", "ru").decode())
    assert "5 заявок или сделок побывали в стадиях без значения" in seen
    assert "меньше 0,1 % заявок" in seen
    assert "7 строк перестали быть видны вебхуку: прав стало меньше (deals)." in seen
    assert "2,1 % заявок · стадии: crm.lead S0: 0, crm.lead S1: 1" in seen
    assert "crm.lead S8" not in seen
    assert "Проверка cats_on_keyboard: найдены 2 строки." in seen
    document["trust"]["findings"] = []
    assert "замечаний не нашли" in text_of(render(document, "html", "ru").decode())


def test_json_is_the_document(paying):
    assert json.loads(render(paying, "json", "ru")) == paying
    assert render(paying, "json", "en") == document_bytes(paying)


def test_files_are_named_after_the_launch_and_stay_in_the_folder(paying, tmp_path, rendered):
    path = write(paying, "html", "ru", tmp_path / "new")
    assert path == tmp_path / "new" / "assistant.html"
    assert path.read_text(encoding="utf-8") == rendered("paying", "html", "ru")
    document = copy.deepcopy(paying)
    document["launch"]["name"] = "../../outside"
    assert write(document, "json", "ru", tmp_path).parent == tmp_path
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(".")] == []


def test_a_folder_that_cannot_be_written_is_explained(paying, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write the report"):
        write(paying, "html", "ru", tmp_path / "file" / "folder")


def test_a_full_disk_is_named_and_the_earlier_report_stays(paying, tmp_path, monkeypatch):
    path = write(paying, "json", "ru", tmp_path)
    earlier = path.read_bytes()

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConfigError, match="the disk is full") as told:
        write(paying, "json", "ru", tmp_path)
    assert "free some space" in str(told.value.hint)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == earlier
