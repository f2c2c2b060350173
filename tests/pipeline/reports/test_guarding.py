"""Guards in the report: what they found in words, beside the verdict they weaken."""

import copy

import pytest
from lxml import html as parser

from pipeline.reports import doubts, render
from pipeline.reports.guarding import guard_text
from pipeline.reports.numbers import numbers_of
from pipeline.reports.page import page_of
from pipeline.reports.words import LANGUAGES
from tests.pipeline.reports import evidence_made as made
from tests.pipeline.reports.test_evidence import seen_in
from tests.pipeline.reports.test_reports import spaced, text_of
from tests.variants import first

# The documents are made once: by one worker.
pytestmark = pytest.mark.xdist_group("reports")


@pytest.mark.parametrize("language", first(1, LANGUAGES))
@pytest.mark.parametrize("guard", made.GUARDS, ids=lambda guard: guard["code"])
def test_each_guard_is_a_sentence_with_its_figures(guard, language):
    numbers = numbers_of(language, "RUB")
    text = guard_text(numbers, guard)
    assert guard["code"] not in text
    assert text.endswith((".", "。"))
    written = [numbers.percent(abs(value), digits=0) if name == "own_noise" else numbers.relative(abs(value)).lstrip("+")
               for name, value in guard["figures"].items()
               if name in ("weekly_growth", "change", "own_noise")]  # fmt: skip
    written += [str(value) for name, value in guard["figures"].items() if name in ("source", "title", "n_alarms")]
    assert [figure for figure in written if figure not in text] == []
    without = guard_text(numbers, {**guard, "figures": dict.fromkeys(guard["figures"])})
    assert without.endswith((".", "。"))
    assert "{" not in without


def test_a_guard_nobody_has_put_into_words_is_named():
    guard = {"code": "full_moon", "claim": "both", "action": "note", "figures": {}}
    assert guard_text(numbers_of("en", "RUB"), guard) == "A check of the data fired: full_moon."


def test_a_week_given_by_its_position_is_named_by_its_monday(documents):
    document = copy.deepcopy(documents["evidence"])
    document["guards"] = [made.GUARDS[1] | {"figures": {"week": 6.0, "change": -0.23}}]
    assert document["weekly"][6]["week"] == "2026-02-16"
    assert "In the week of 16 Feb 2026" in page_of(document, "en").guards[0].text


def test_growth_and_decline_have_words_of_their_own():
    guard = {**made.GUARDS[0], "figures": {"weekly_growth": -0.03, "low": -0.04, "high": -0.02}}
    told = guard_text(numbers_of("ru", "RUB"), guard).replace("\u00a0", " ")
    assert "и так падало примерно на 3,0 % в неделю (от −4,0 до −2,0 %)" in told


@pytest.mark.parametrize(
    ("n", "told"),
    [(1, "В последнюю 1 неделю"), (2, "В последние 2 недели"), (5, "В последние 5 недель"), (21, "В последнюю 21 неделю")],
)
def test_weeks_of_a_dip_in_russian(n, told):
    for claim, what in (("process", "доля заявок"), ("total", "заявок было")):
        guard = {"code": "after_dip", "claim": claim, "action": "note", "figures": {"change": -0.18, "n_weeks": n}}
        text = guard_text(numbers_of("ru", "RUB"), guard)
        assert text.startswith(f"{told} перед запуском")
        assert what in text


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_the_worst_guards_stand_with_the_verdict_and_none_is_lost(documents, rendered, language):
    document = documents["guarded"]
    page = page_of(document, language)
    assert [guard.action for guard in page.guards] == sorted((g["action"] for g in document["guards"]), key=doubts.ACTIONS.index)
    html = rendered("guarded", "html", language)
    at_verdict = parser.document_fromstring(html).xpath("//section[1]//ul[@class='guards']/li")
    assert [item.get("class") for item in at_verdict] == ["action-withhold"] * 3
    terminal = seen_in(rendered("guarded", "terminal", language), "terminal")
    for guard in page.guards:
        assert spaced(guard.text) in text_of(html), guard.code
        assert spaced(guard.text) in terminal, guard.code
        assert spaced(guard.consequence) in terminal, guard.code


def test_without_any_claim_all_guards_stand_with_the_verdict(documents):
    document = made.guarded(documents["paying"])
    document |= {"claims": {}, "claim": "none", "money": None, "contributions": []}
    document["probability"] = {"roi_positive": None, "payback_within_12_months": None}
    document["verdict"] = {"code": "not_enough_data", "reason": {"code": "no_claim", "figures": {}}}
    tree = parser.document_fromstring(render(document, "html", "ru").decode())
    assert len(tree.xpath("//section[1]//ul[@class='guards']/li")) == len(made.GUARDS)


def test_a_guard_that_withholds_everything_is_no_shortage_of_data(documents):
    document = copy.deepcopy(documents["withheld"])
    overlap = made.GUARDS[12] | {"action": "withhold"}
    document["guards"], document["claims"] = [overlap], {}
    document["rung"] = {"code": "R0", "headline": "none", "reasons": [
        {"code": "process_withheld", "figures": {}}, {"code": overlap["code"], "figures": overlap["figures"]},
        {"code": "total_withheld", "figures": {}}]}  # fmt: skip
    page = page_of(document, "en")
    assert page.verdict.reason == "Neither estimate can carry a verdict: the reservations say why."
    assert {tile.notes for tile in page.tiles[4:]} == {("no effect is claimed, see the reservations",)}
    assert guard_text(numbers_of("en", "RUB"), overlap) in page.method
    seen = text_of(render(document, "html", "en").decode())
    assert "no effect is claimed" in seen
    assert "too few weeks" not in seen


def test_a_verdict_lowered_by_a_guard_says_so_and_prints_that_rule(documents):
    document = copy.deepcopy(documents["evidence"])
    figures = {"low": 23_000.0, "high": 52_000.0, "break_even": 750.0, "guard": "lead_count_changed"}
    document["verdict"] = {"code": "works_payback_unproven", "reason": {"code": "lowered_by_guard", "figures": figures}}
    page = page_of(document, "ru")
    assert spaced(page.verdict.reason).startswith("Выгода от 23 000 до 52 000 ₽ в месяц, но из-за оговорки ниже")
    assert "теряет ступень" in page.verdict.rule


def test_a_weak_control_makes_the_total_indicative_by_itself(paying):
    document = made.with_control(paying, is_weak=True)
    document["claims"]["total"]["is_indicative"] = True
    card = page_of(document, "en").claims[1]
    assert card.mark == "indicative"
    assert card.doubt[0].startswith("Compared with a weak control group")
