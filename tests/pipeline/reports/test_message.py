"""The message of a messenger: it fits, whatever happened, and nothing of a CRM in it becomes a link or calls anybody."""

import copy
import re

import pytest
from lxml import html as parser

from pipeline.reports.mail import mail_of
from pipeline.reports.message import CAPTION, LEAVE_OUT, ROBOT, SCREEN, Limit, message_of, subject_of, untied, utf16_units
from pipeline.reports.numbers import numbers_of
from pipeline.reports.words import LANGUAGES, words_of

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


def test_an_emoji_counts_twice():
    assert utf16_units("a🦀") == 3


@pytest.mark.parametrize("language", LANGUAGES)
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
