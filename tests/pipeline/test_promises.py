"""Vendors' promises recomputed: the five published ones, and what a file of one's own may say or get wrong."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from pipeline.cli import main
from pipeline.costs import CHECKLIST
from pipeline.errors import ConfigError, Exit
from pipeline.promises import Code, audit, find_promise, read_promise
from pipeline.questions import ask_promise
from pipeline.reports.numbers import numbers_of
from pipeline.reports.words import LANGUAGES, words_of

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
PUBLISHED = ("salon-assistant", "support-chat", "roi-calculator", "speech-analytics", "ai-decisions")
OWN = """
title = "A bot that books"
scenario = "salon-assistant"
[inputs]
leads_before = 200
leads_after = 200
conversion_before = "10%"
conversion_after = "12%"
check = 1500
one_off_cost = 30000
[stated]
extra_revenue = 6000
[mentions]
costs = ["licence"]
[[changes]]
label = "conversion"
kind = "share"
before = "10%"
after = "12%"
"""


def audited(name):
    return audit(read_promise(find_promise(name), CONFIG))


def of(found, code):
    return [remark for remark in found.remarks if remark.code == code]


def exact(found, code, subject=None):
    """The exact figures of remarks with this code, by line or in order."""
    chosen = [remark for remark in of(found, code) if subject is None or remark.subject == subject]
    return [(remark.figures["exact"].low, remark.figures["exact"].high) for remark in chosen]


@pytest.fixture
def own(tmp_path):
    """own(text): the audit of a file with this text."""

    def read(text):
        path = tmp_path / "promise.toml"
        path.write_text(text, encoding="utf-8")
        return audit(read_promise(path, CONFIG))

    return read


def test_five_promises_are_shipped():
    assert {path.stem for path in (CONFIG / "promises").glob("*.toml")} == set(PUBLISHED)


def test_the_salon_pays_back_sooner_and_proves_nothing():
    found = audited("salon-assistant")
    (payback,) = of(found, "contradicts")
    assert payback.subject == "payback"
    assert payback.figures["exact"].low == pytest.approx(1.4118, abs=1e-4)
    assert [remark.subject for remark in of(found, "loose")] == ["revenue_after", "extra_revenue", "first_month", "later_month"]
    assert exact(found, "loose", "extra_revenue") == [(26_250, 26_250)]
    assert exact(found, "agrees", "clients_after") == [(37.5, 37.5)]
    (chance,) = of(found, "chance_possible")
    assert chance.figures["p"].low == pytest.approx(0.1019, abs=5e-5)
    assert of(found, "revenue_and_break_even")[0].figures["margin"].low == pytest.approx(90_000 / 315_000)
    (change,) = of(found, "change_of_rate")
    assert (change.figures["points"].low, change.figures["relative"].low) == pytest.approx((0.052, 0.52))


def test_the_support_chat_cannot_close_forty_percent():
    found = audited("support-chat")
    (closed,) = exact(found, "contradicts")
    assert closed == pytest.approx((0.10, 0.35))
    assert exact(found, "agrees", "kept_revenue") == [(150_000, 150_000)]
    assert of(found, "revenue_not_profit")
    assert of(found, "no_roi")[0].texts["reason"] == "no_cost"
    assert of(found, "costs_missing")[0].names == CHECKLIST


def test_the_roi_calculator_takes_roas_for_romi_and_four_weeks_for_a_month():
    found = audited("roi-calculator")
    assert exact(found, "contradicts") == [(3.0, 3.0)]
    hours, crm = exact(found, "loose")
    assert hours[0] == pytest.approx(216.67, abs=0.01)
    assert crm[0] == pytest.approx(9.8333, abs=1e-4)
    (chance,) = of(found, "chance_possible")
    assert chance.figures["p"].low == pytest.approx(0.0583, abs=5e-5)
    assert [remark.subject for remark in of(found, "agrees")] == ["extra_revenue", "roi"]


def test_speech_analytics_contradicts_itself():
    found = audited("speech-analytics")
    (several,) = of(found, "states_several")
    assert (several.figures["low"].low, several.figures["high"].low) == pytest.approx((3.0, 345.67))
    assert exact(found, "rounded", "roi")[0][0] == pytest.approx(345.6667, abs=1e-4)
    assert [figures[0] for figures in exact(found, "contradicts")] == pytest.approx([345.6667, 0.3156, 0.10], abs=1e-4)
    (ramp,) = of(found, "ramp_ignored")
    assert (ramp.figures["ramp"].low, ramp.figures["roi_with_ramp"].low) == pytest.approx((7, 259.0))
    (change,) = of(found, "change_of_rate")
    assert (change.figures["points"].low, change.figures["relative"].low) == pytest.approx((0.13, 0.40625))
    assert [remark.subject for remark in of(found, "agrees")] == ["extra_deals", "extra_revenue", "revenue_a_year"]
    assert of(found, "revenue_and_break_even")


def test_the_decision_platform_names_no_money():
    found = audited("ai-decisions")
    report, reply = of(found, "change")
    assert (report.figures["relative"].low, report.figures["times"].low) == pytest.approx((-0.9167, 12), abs=1e-4)
    assert (reply.figures["relative"].low, reply.figures["times"].low) == pytest.approx((-0.8667, 7.5), abs=1e-4)
    (hits,) = of(found, "change_of_rate")
    assert (hits.figures["points"].low, hits.figures["relative"].low, hits.figures["times"].low) == pytest.approx(
        (0.26, 1.2381, 2.2381), abs=1e-4
    )
    assert exact(found, "recomputed") == [pytest.approx((104, 104))]
    assert of(found, "no_money")
    assert found.outcome is None


def test_a_promise_of_ones_own(own):
    found = own(OWN)
    assert exact(found, "agrees") == [(6_000, 6_000)]
    assert of(found, "ramp_missing")[0].figures["ramp"].low == 3
    assert "licence" not in of(found, "costs_missing")[0].names
    careful = own(OWN.replace("check = 1500", 'check = 1500\nmargin = "60%"\nramp_months = 2'))
    assert not [remark for remark in careful.remarks if remark.code.startswith(("ramp", "revenue"))]


def test_points_called_percent_are_named(own):
    (unclear,) = of(own(OWN + 'stated = "+2%"\n'), "change_unit_unclear")
    assert unclear.texts["stated"] == "+2%"
    assert unclear.figures["relative"].low == pytest.approx(0.2)
    for clear in ("+2 pp", "+2 п.п.", "+2%, п.п."):
        assert not of(own(OWN + f'stated = "{clear}"\n'), "change_unit_unclear")


@pytest.mark.parametrize(("n", "code"), [(200, "chance_possible"), (20_000, "chance_unlikely")])
def test_chance_is_asked_where_counts_are_given(own, n, code):
    assert of(own(OWN + f"n_before = {n}\nn_after = {n}\n"), code)
    assert not of(own(OWN), code)


@pytest.mark.parametrize(("stated", "code"), [
    ("6000", "agrees"), ('"5900..6100"', "agrees"), ('"6 100"', "loose"), ('"8 000"', "contradicts"), ('"-6 000"', "contradicts"),
    ('["6000", "9000"]', "states_several"),
])  # fmt: skip
def test_a_stated_figure_agrees_is_loose_or_contradicts(own, stated, code):
    assert of(own(OWN.replace("extra_revenue = 6000", f"extra_revenue = {stated}")), code)


def test_a_figure_that_cannot_be_is_said(own):
    text = OWN.replace("one_off_cost = 30000\n", "").replace("extra_revenue = 6000", 'roi = "300%"')
    (undefined,) = of(own(text), "states_undefined")
    assert undefined.texts["reason"] == "no_cost"


def test_what_never_pays_is_said(own):
    (never,) = of(own(OWN.replace("one_off_cost = 30000", "one_off_cost = 3000000")), "revenue_never")
    assert never.figures["margin"].low > 1


@pytest.mark.parametrize(("old", "new", "words"), [
    ("extra_revenue = 6000", "extra_revenu = 6000", "did you mean 'extra_revenue'?"),
    ('costs = ["licence"]', 'costs = ["license"]', "did you mean 'licence'?"),
    ("leads_after = 200", "lead_after = 200", "did you mean 'leads_after'?"),
    ('conversion_after = "12%"', "conversion_after = 12", "may be 12 % or 1200 %"),
    ('scenario = "salon-assistant"', 'scenario = "salon"', "did you mean 'salon-assistant'?"),
    ('scenario = "salon-assistant"', "", "inputs without a scenario"),
    ("[mentions]", "[mention]", "did you mean 'mentions'?"),
    ('kind = "share"', 'kind = "shares"', "did you mean 'share'?"),
    ("title", "titel", "did you mean 'title'?"),
    ("check = 1500", 'check = "1500 $"', "is in USD, the rest in RUB"),
    ("[mentions]", '[[sums]]\nlabel = "x"\nkind = "number"\nformula = "a / b"\nvalues = { a = 1, b = 0 }\n[mentions]',
    "divided by 0"),
    ("[mentions]", '[[sums]]\nlabel = "x"\nkind = "number"\nformula = "c"\nvalues = { a = 1 }\n[mentions]', "unknown name 'c'"),
])  # fmt: skip
def test_a_wrong_file_is_named_with_its_key(own, old, new, words):
    with pytest.raises(ConfigError) as caught:
        own(OWN.replace(old, new, 1))
    assert words in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_command_says_it_in_every_language(name, language, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["calc", "audit", name, "--lang", language], {}) == Exit.OK
    told = capsys.readouterr().out
    assert "{" not in told
    assert main(["calc", "audit", name, "--lang", language, "--json"], {}) == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert len(document["remarks"]) == sum(document["counts"].values()) > 4
    flat = re.sub(r"\x1b\[[0-9;]*m|\s", "", told)
    assert all(re.sub(r"\s", "", remark["text"]) in flat for remark in document["remarks"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_remark_and_cost_has_words(language):
    words = words_of(language)
    wanted = {f"audit.{code}" for code in get_args(Code)} | {f"audit.cost.{line}" for line in CHECKLIST}
    assert {key for key in wanted if not words.has(key)} == set()


def test_hostile_texts_of_a_promise_stay_texts(own, tmp_path, capsys):
    path = tmp_path / "promise.toml"
    path.write_text(OWN.replace("A bot that books", "[red]x[/red] {0}{boom} =1+1 %s"), encoding="utf-8")
    assert main(["calc", "audit", str(path), "--lang", "en"], {}) == Exit.OK
    assert "[red]x[/red] {0}{boom} =1+1 %s" in capsys.readouterr().out


def test_a_small_p_value_is_a_bound_and_cases_are_named(capsys):
    assert main(["calc", "audit", "speech-analytics", "--lang", "ru"], {"NO_COLOR": "1"}) == Exit.OK
    told = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "(p < 0,001)" in told
    assert "хватило бы и 219 случаев на каждый период." in told
    assert "Источник: статья о калькуляторе ROI" in told
    assert main(["calc", "audit", "speech-analytics", "--lang", "en"], {}) == Exit.OK
    told = capsys.readouterr().out
    assert "…" not in told
    assert not re.search(r" $", re.sub(r"\x1b\[[0-9;]*m", "", told), re.MULTILINE)


def test_a_promise_can_be_told_at_a_terminal(capsys):
    asked = ["speech", "speech-analytics", "800", "32%", "45%", "50 000", *[""] * 2, "180 000", *[""] * 9]
    answers = iter([*asked, "34567", "34567%", "", "", "license", "licence, set_up"])
    found = audit(ask_promise(CONFIG, numbers_of("ru", "RUB"), lambda label: next(answers)))
    assert exact(found, "rounded", "roi")
    assert {"licence", "set_up"}.isdisjoint(of(found, "costs_missing")[0].names)
    complaint = capsys.readouterr().err
    assert "did you mean 'speech-analytics'?" in complaint
    assert "did you mean 'licence'?" in complaint
    assert "may be 34567 %" in complaint
