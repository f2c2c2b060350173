"""Awkward launches, told in every language, on the page and in the terminal."""

import copy

import pytest

from pipeline.reports import render
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from pipeline.reports.words import LANGUAGES, words_of
from tests.pipeline.reports.conftest import RULES, scaled
from tests.pipeline.reports.test_reports import ANSI, spaced, text_of

pytestmark = [pytest.mark.thorough, pytest.mark.xdist_group("reports"), pytest.mark.parametrize("language", LANGUAGES)]


def both(document, language):
    """What is read of a document on the page and in the terminal."""
    page, console = (render(document, kind, language).decode() for kind in ("html", "terminal"))
    return text_of(page), spaced(ANSI.sub("", console))


@pytest.mark.parametrize("code", RULES)
def test_every_verdict_is_said_with_its_reason(documents, rendered, language, code):
    said = page_of(documents[f"verdict {code}"], language).verdict
    page, terminal = (rendered(f"verdict {code}", kind, language) for kind in ("html", "terminal"))
    for seen in (text_of(page), spaced(ANSI.sub("", terminal))):
        assert spaced(said.word).lower() in seen.lower()
        assert [sentence for sentence in (said.reason, said.rule, *said.details) if spaced(sentence) not in seen] == []


def test_no_payback_another_currency_a_silent_source_and_names_of_other_scripts(paying, language):
    document, name = copy.deepcopy(paying), "🎉 قناة עברית 微信"
    document["currency"] = "KZT"
    document["money"]["payback_months"] = {"estimate": None, "low": None, "high": None}
    document["money"]["p_never_pays_back"] = 1.0
    found = {"code": "source_stale", "severity": "error", "subject": "Портал", "n": 21, "points": 5.0}
    document["trust"]["findings"] = [found | {"detail": {"heard_on": "2026-07-13"}}]
    document["by"]["channel"][0] |= {"key": f"{name}\u202e\u2066", "title": f"{name}\u202e\u2066"}
    numbers = numbers_of(language, "KZT")
    never = " ".join(words_of(language).say("payback.never").split()[:3])  # a cell of the terminal may break it after that
    for seen in both(document, language):
        assert "₽" not in seen
        assert spaced(numbers.money(document["money"]["cost"])) in seen
        assert spaced(never) in seen
        assert spaced(numbers.count("finding.source_stale", 21, subject="Портал", heard_on=numbers.day("2026-07-13"))) in seen
        assert spaced(name) in seen
        assert not set("\u202e\u2066") & set(seen)  # marks that would turn the line around


@pytest.mark.parametrize("size", [1, 1e6, 1e12])
def test_amounts_of_every_size(paying, language, size):
    document = scaled(paying, size / paying["money"]["benefit"]["estimate"])
    numbers = numbers_of(language, "RUB")
    for seen in both(document, language):
        assert spaced(numbers.money(document["money"]["benefit"]["estimate"], is_signed=True)) in seen
        assert spaced(numbers.full_money(round(size), is_signed=True)) in seen  # the parts and their sum, to the digit
