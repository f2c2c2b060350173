"""The message of a messenger: it fits, whatever happened, and nothing of a CRM in it becomes a link or calls anybody."""

import copy
import re
from datetime import date

import pytest
from lxml import html as parser

from pipeline.reports.mail import mail_of
from pipeline.reports.message import CAPTION, LEAVE_OUT, ROBOT, SCREEN, Limit, message_of, subject_of, untied, utf16_units
from pipeline.reports.numbers import numbers_of
from pipeline.reports.words import LANGUAGES, words_of
from tests.variants import first

# The documents are made once: by one worker.
pytestmark = pytest.mark.xdist_group("reports")
WJ = "\u2060"
HOSTILE = '[URL=https://evil.example]x[/URL] <a href="//evil.example">@all</a>\n#tag /stop \u202eevil me@evil.example' + "Щ" * 300


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("limit", [CAPTION, ROBOT, SCREEN], ids=["telegram", "wecom", "screen"])
def test_every_situation_fits_every_channel_and_says_the_verdict(documents, language, limit):
    for name, document in documents.items():
        text = message_of(document, language, limit)
        assert limit.size(text) <= limit.most, name
        assert not re.search(r"None|\{\w+\}|\bnan\b|\binf\b", text), name
        words = words_of(language)
        word = words.say(f"verdict.{document['verdict']['code']}")
        assert words.say("message.verdict", verdict=word) in text, name
        assert words.say("trust.score", score=str(document["trust"]["score"])) in text, name
        assert all(line.strip() for line in text.split("\n")), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_whole_lines_are_left_out_and_none_is_cut(documents, language):
    """However little a channel takes, what is left are lines of the whole message."""
    for name in ("undecided", "no channel", "hostile", "guarded"):
        whole = message_of(documents[name], language, Limit(10**6, len)).split("\n")
        sizes = set()
        for most in range(1200, 250, -50):
            lines = message_of(documents[name], language, Limit(most, len)).split("\n")
            sizes.add(len(lines))
            kept = [line for line in lines if line in whole]
            assert len(lines) - len(kept) <= 1, (name, most)  # the launch, with its title shortened
            assert [line for line in whole if line in kept] == kept
        assert len(sizes) >= 3
    assert len(set(LEAVE_OUT)) == len(LEAVE_OUT)


def test_a_note_stays_whatever_is_left_out(paying):
    text = message_of(paying, "ru", Limit(300, len), note="Payback, отчёт 0123456789abcdef")
    assert text.endswith("Payback, отчёт 0123456789abcdef")
    assert len(text) <= 300


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_titles_stay_text(paying, language):
    document = copy.deepcopy(paying)
    document["launch"]["title"] = HOSTILE
    text = message_of(document, language, CAPTION)
    assert "evil.example" not in text
    assert not re.search(r"(?<!\w)[@#/]\w|://|\w@\w", text)
    assert "\u202e" not in text + subject_of(document, language)
    assert "\n" not in subject_of(document, language)
    assert message_of(document, language).count("\n") == message_of(paying, language).count("\n")


@pytest.mark.parametrize(
    "tied",
    [
        "E1.RU", "74.ru", "24.kz", "x1.2b.ru", "1.2.3.4/a", "сайт.рф", "💩.la", "é.ru", "e\u0301.ru", "evil。com", "evil．com",
        "t․me", "http：//x", "＠all", "user＠x", "＃tag", "／stop", "a_b.ru", "1@all",
    ],
)  # fmt: skip
def test_no_name_is_a_link_a_tag_or_a_call(tied):
    text = untied(tied)
    assert text != tied
    assert text.replace(WJ, "") == tied
    assert max(map(len, re.split(rf"[{WJ}]", text))) < len(tied)
    assert not re.search(r"\S[.．․。][A-Za-zрф]{2}|[@＠＃／]\w|\d\.\d\.\d+\.\d|：//", text)


def test_dates_numbers_and_file_names_stay_whole():
    dates = ("01.10.2026", "(27.07–02.08.2026)", "до 09.11. Потом")
    for text in (*dates, "1.25", "12.5 %", "payback.toml", "10.5。下一句", "句子。下一句"):
        assert untied(text) == text


def test_what_ties_is_untied_and_figures_are_not():
    assert untied("@all #x /stop a@b.example http://x.example") == (
        f"@{WJ}all #{WJ}x /{WJ}stop a@{WJ}b.{WJ}example http:{WJ}//{WJ}x.{WJ}example"
    )
    for plain in ("09.11–15.11.2026", "15,2 % (было 10,0 %)", "$1,234", "мес., вероятно", "launches.toml", "Конец. Начало"):
        assert untied(plain).replace(f"${WJ}", "$") == plain


def test_the_owner_reads_profit_or_why_there_is_none(documents):
    numbers = numbers_of("ru", "RUB")
    said = {name: message_of(documents[name], "ru") for name in documents}
    monthly = documents["paying"]["money"]["monthly_benefit"]
    assert f"Дополнительная прибыль в месяц: {numbers.money(monthly['estimate'], is_signed=True)}" in said["paying"]
    assert "Это выручка, а не прибыль: маржа не указана." in said["no margin"]
    assert "Расходы: не указаны" in said["no costs"]
    assert "сэкономленными часами" in said["saved hours"]
    assert "Дополнительная прибыль: нет данных" in said["refused"]
    assert "Окупаемость: не окупается во всём диапазоне" in said["harming"]
    assert "первой недели ещё не прошло" in said["just started"]
    assert "Данным пока нельзя верить" in said["no channel"]


@pytest.mark.parametrize(
    ("low", "middle", "high", "told"),
    [
        (1.25, 1.75, 5.25, "Окупаемость: 1,8 мес., вероятно от 1,2 до 5,2 мес."),
        (4.125, 9.75, None, "Окупаемость: 9,8 мес.; от 4,1 мес., в худшем случае не окупается за 5 лет"),
        (4.125, None, None, "Окупаемость: не окупается за 5 лет; в лучшем случае — 4,1 мес."),
        (None, None, None, "Окупаемость: не окупается во всём диапазоне"),
        (0.0, 0.0, None, "Окупаемость: сразу; в худшем случае не окупается за 5 лет"),
        (0.0, 0.0, 0.0, "Окупаемость: сразу; разовых расходов нет"),
    ],
)
def test_payback_that_may_never_come_is_a_sentence(paying, low, middle, high, told):
    document = copy.deepcopy(paying)
    document["money"]["payback_months"] = {"estimate": middle, "low": low, "high": high}
    assert told in message_of(document, "ru").replace("\u00a0", " ").split("\n")


def test_what_was_not_filled_in_is_not_nothing(documents):
    document = copy.deepcopy(documents["free"])
    document["money"]["payback_months"] = {"estimate": 0.0, "low": 0.0, "high": 0.0}
    assert "Расходы: 0 ₽ разово + 0 ₽ в месяц" in message_of(document, "ru").replace("\u00a0", " ")
    document["launch"]["costs"]["one_off"] = None
    told = message_of(document, "ru").replace("\u00a0", " ")
    assert "Расходы: 0 ₽ в месяц; разовые не учтены" in told
    assert "Окупаемость: сразу; разовые расходы не учтены" in told
    document["launch"]["costs"] |= {"one_off": 5000.0, "monthly": None}
    document["money"]["one_off_cost"] = 5000.0
    assert "Расходы: 5 000 ₽ разово; расходы в месяц не учтены" in message_of(document, "ru").replace("\u00a0", " ")


def test_the_weeks_that_the_figures_are_of_are_named(paying):
    numbers, periods = numbers_of("ru", "RUB"), paying["periods"]
    spans = [numbers.span(*map(date.fromisoformat, (periods[side]["start"], periods[side]["end"]))) for side in ("post", "pre")]
    assert f"Ниже средние за {spans[0]} и за {spans[1]} (было)" in message_of(paying, "ru")


def test_an_emoji_counts_twice():
    assert utf16_units("a🦀") == 3


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_every_situation_has_a_mail_that_mail_programs_can_show(documents, language):
    for name in ("paying", "refused", "no margin", "hostile", "withheld", "60 channels", "just started"):
        page = mail_of(documents[name], language)
        tree = parser.document_fromstring(page.html)
        assert not tree.xpath("//script|//style|//svg|//a|//link|//iframe"), name
        assert {image.removeprefix("cid:") for image in tree.xpath("//img/@src")} == set(page.images), name
        assert not re.search(r"\b(None|Undefined|nan)\b", page.html), name
        assert len(page.html.encode()) < 100_000, name  # Gmail cuts longer ones
        assert "evil.example" not in " ".join(tree.itertext()), name
        assert f'lang="{language}"' in page.html
