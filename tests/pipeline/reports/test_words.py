"""The catalogues: complete, with the right plural forms and the same figures in every language."""

import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

from pipeline import checks, ladder, queries, reports
from pipeline.reports import sentences
from pipeline.reports.numbers import numbers_of
from pipeline.reports.words import LANGUAGES, plain, words_of
from tests.pipeline.reports.evidence_made import CANDIDATES, GUARDS

FOLDER = Path(reports.__file__).parent
ROOT = FOLDER.parent.parent


def messages(language):
    for path in sorted((FOLDER / "locale" / language).glob("*.po")):
        with path.open("rb") as source:
            yield from (message for message in read_po(source, locale=language) if message.id)


def catalogue(language):
    return {message.id: message for message in messages(language)}


def forms(message):
    return message.string if isinstance(message.string, tuple) else (message.string,)


def key_of(message):
    return message.id[0] if isinstance(message.id, tuple) else message.id


def sql_texts():
    folders = ("metrics", *queries.POOLS)
    loaded = [queries.load(name) for folder in folders for name in queries.names(folder)]
    texts = {text for query in loaded for text in (query.title, query.definition, query.owner)}
    return texts - {""}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_message_once(language):
    keys = [key_of(message) for message in messages(language)]
    assert len(keys) == len(set(keys))
    assert set(keys) - sql_texts() == {key_of(message) for message in messages("en")} - sql_texts()
    assert len(keys) > 200


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_in_every_form(language):
    n_forms = get_plural(language).num_plurals
    for message in messages(language):
        assert not message.fuzzy
        assert all(form.strip() for form in forms(message)), message.id
        assert len(forms(message)) == (n_forms if isinstance(message.id, tuple) else 1), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_holds_the_same_figures_in_every_language_and_form(language):
    def figures(form):
        return {name for _, name, _, _ in Formatter().parse(form) if name}

    english = {key_of(message): message for message in messages("en")}
    for message in messages(language):
        if key_of(message) in english:
            found = {frozenset(figures(form)) for form in (*forms(message), *forms(english[key_of(message)]))}
            assert len(found) == 1, message.id


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {"en"}))
def test_what_sql_files_say_of_themselves_is_translated(language):
    words = words_of(language)
    assert {text for text in sql_texts() if words.english(text) == text} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_engine_has_words(language):
    words = words_of(language)
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").glob("*.py"))
    reasons = set(re.findall(r'Reason\(\s*"(\w+)"', sources)) | {"total_indicative", "total_without_control", "break_even_inside"}
    connectors = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "connectors").rglob("*.py"))
    findings = set(re.findall(r'(?:Finding|\.find)\(\s*"(\w+)"', connectors + sources)) | set(checks.names())
    assert {"zero_inside", "margin_missing", "too_little_post"} <= reasons
    assert {"rights_shrunk", "rows_quarantined", "visits_never_closed"} <= findings
    wanted = {f"reason.{code}" for code in reasons} | {f"finding.{code}" for code in findings}
    wanted |= {f"verdict.{code}" for code in ladder.VerdictCode.__args__}
    assert {key for key in wanted if not words.has(key)} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_guard_and_every_reason_for_a_control_has_words(language):
    words = words_of(language)
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").glob("*.py"))
    guards = {guard["code"] for guard in GUARDS} | set(re.findall(r'Guard\(\s*"(\w+)"', sources))
    variants = ("", ".up", ".total")
    assert {code for code in guards if not any(words.has(f"guard.{code}{variant}") for variant in variants)} == set()
    reasons = {reason["code"] for candidate in CANDIDATES for reason in candidate["reasons"]}
    reasons |= set(re.findall(r'ReasonFor\(\s*"(\w+)"', sources))
    assert {code for code in reasons if not words.has(f"candidate.{code}")} == set()


def test_every_message_a_report_asks_for_exists():
    used = set()
    for path in [*FOLDER.glob("*.py"), *FOLDER.glob("*.j2")]:
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'(?:say|plural|count)\(\s*"([a-z_0-9.]+)"', text))
    assert len(used) > 60
    assert {key for key in used if not words_of("en").has(key)} == set()


@pytest.mark.parametrize(
    ("n", "counted"),
    [(1, "неделя"), (2, "недели"), (5, "недель"), (11, "недель"), (21, "неделя"), (104, "недели"), (0, "недель")],
)
def test_russian_plurals(n, counted):
    assert numbers_of("ru", "RUB").count("fact.counted", n, span="01.06–07.06") == f"учтены заявки 01.06–07.06 ({n} {counted})"


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (1, "1 повторная заявка того же клиента"),
        (2, "2 повторные заявки тех же клиентов"),
        (5, "5 повторных заявок тех же клиентов"),
        (11, "11 повторных заявок тех же клиентов"),
        (14, "14 повторных заявок тех же клиентов"),
        (21, "21 повторная заявка того же клиента"),
        (22, "22 повторные заявки тех же клиентов"),
        (100, "100 повторных заявок тех же клиентов"),
        (111, "111 повторных заявок тех же клиентов"),
        (112, "112 повторных заявок тех же клиентов"),
        (1001, "1\u00a0001 повторная заявка того же клиента"),
        (0, "0 повторных заявок тех же клиентов"),
    ],
)
def test_leads_are_counted_in_russian(n, told):
    assert numbers_of("ru", "RUB").count("finding.duplicate_leads", n).startswith(told)


@pytest.mark.parametrize(("n", "told"), [(0, "0条"), (1, "1条"), (2, "2条"), (21, "21条"), (1200, "1,200条")])
def test_chinese_has_one_form_for_every_number(n, told):
    assert numbers_of("zh", "CNY").count("finding.leads_without_source", n) == f"{told}线索没有来源。"


def test_chinese_is_written_with_its_own_punctuation():
    """Commas, colons and the like of the Latin alphabet stand between figures and in commands only."""
    code = r"`[^`]*`|\{\w+\}|[\w.]+\.(?:toml|md)|[A-Za-z0-9(),./ ×+−-]+"
    for message in messages("zh"):
        if not key_of(message).startswith("format."):
            for form in forms(message):
                assert not re.search(r"[,;:?!()\"']", re.sub(code, "", form)), message.id
                assert not re.search(r"[\u4e00-\u9fff][,;:?!.]|[,;:?!][\u4e00-\u9fff]", form), message.id
                assert not re.search(r"[，。；：、（）“”] | [，。；：、（）“”]", form), message.id


@pytest.mark.parametrize(
    ("n", "text"), [(1, "1 lead has no source."), (2, "2 leads have no source."), (1200, "1,200 leads have no source.")]
)
def test_english_plurals(n, text):
    assert numbers_of("en", "RUB").count("finding.leads_without_source", n) == text


def test_an_unknown_message_is_an_error_and_not_its_key():
    with pytest.raises(KeyError, match="nothing"):
        words_of("ru").say("nothing.of.the.kind")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Яндекс  Директ\n", "Яндекс Директ"),
        ("\u202eabc\u200f\u0007", "abc"),
        ("\x1b[31mred", "[31mred"),
        ("\u200b\u200b", "—"),
        ("", "—"),
        ("й" * 80, "й" * 80),
        ("й" * 81, "й" * 79 + "…"),
    ],
)
def test_text_of_a_crm_is_one_safe_line(given, shown):
    assert plain(given) == shown


def test_a_silent_source_is_named_with_its_days():
    found = {"code": "source_stale", "n": 3, "subject": "Портал", "detail": {"heard_on": "2026-11-19"}}
    assert sentences.finding(numbers_of("ru", "RUB"), found).startswith("Источник «Портал» молчит 3 дня, с 19.11.2026:")
    assert "“Портал” has been silent for 3 days, since 19 Nov 2026" in sentences.finding(numbers_of("en", "RUB"), found)


def test_a_gap_in_the_history_is_named_with_its_days():
    detail = {"last_on": "2025-01-10", "first_on": "2025-04-01"}
    found = {"code": "history_gap", "n": 11, "subject": "journeys", "detail": detail, "points": 0.0}
    told = sentences.finding(numbers_of("ru", "RUB"), found)
    assert told.startswith("Перерыв в заявках на 11 недель, с 10.01.2025 по 01.04.2025")
    assert sentences.finding_points(numbers_of("ru", "RUB"), found) == "без вычета"


def test_rows_that_cannot_be_read_are_a_share_of_rows():
    found = {"code": "quarantined_rows", "n": 8, "subject": "journeys", "detail": {"share": 0.0001, "examples": "1, 2"}}
    assert sentences.finding_detail(numbers_of("en", "RUB"), found) == "below 0.1% of the rows · for example: 1, 2"


# Names that some catalogue once had beside the one in docs/languages.md.
OTHER_NAMES = {
    "ru": r"вердикт|\bдоход\b|менеджер|интервал|\bзатрат",
    "en": r"\binterval|[Aa]dditional (profit|revenue)|[Ee]xtra revenue|by manager|main claim",
    "zh": "回本期|平均客单价|到店|分店|利润率|营收|新增(收入|利润)|可能范围|启动|投入为|一次性投入|每月费用",
}


@pytest.mark.parametrize("language", sorted(OTHER_NAMES))
def test_one_thing_has_one_name(language):
    for message in messages(language):
        for form in forms(message):
            told = re.sub(r"\{\w+\}", "", form)
            assert not re.search(OTHER_NAMES[language], told, re.IGNORECASE), f"{message.id}: {told}"
