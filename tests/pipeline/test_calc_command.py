"""`payback calc` as a user meets it: scenarios, formulas, files, questions, languages, and every bad input as a sentence."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.errors import Exit
from pipeline.questions import ask
from pipeline.reports.numbers import numbers_of
from pipeline.scenarios import load, names

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
SCENARIOS = names(CONFIG)


@pytest.fixture
def calc(capsys, monkeypatch, tmp_path):
    """calc(...): exit code, what is printed, what is complained of; far away from any configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments, environ=None):
        code = main(["calc", *arguments], environ or {})
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("language", ["ru", "en", "zh"])
def test_every_scenario_speaks_every_language(calc, name, language):
    code, told, _ = calc(name, "--example", "--explain", "--lang", language)
    assert code == Exit.OK
    assert max(map(len, told.splitlines())) <= 100
    assert "{" not in told
    assert "nan" not in told
    assert " inf" not in told
    assert load(name, CONFIG).title[language] in told


def test_russian_roubles_without_any_configuration(calc):
    _, told, _ = calc("salon-assistant", "--example")
    assert "Окупаемость" in told
    assert "1,4\u00a0мес." in told
    assert "26\u00a0250\u00a0₽" in told
    assert "При марже ниже 28,6\u00a0% расходы" in told.replace("\n  ", " ")


def test_the_business_chooses_language_and_currency(calc, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "payback.toml").write_text('[business]\nlanguage = "en"\ncurrency = "EUR"\n', encoding="utf-8")
    assert "€26,250" in calc("salon-assistant", "--example")[1]
    code, _, complaint = calc("salon-assistant", "--example", "--check", "1500 ₽")
    assert code == Exit.CONFIG
    assert "is in RUB, the rest in EUR" in complaint


def test_the_list_names_scenarios_and_formulas(calc):
    code, told, _ = calc()
    assert code == Exit.OK
    assert all(name in told for name in (*SCENARIOS, "roas", "--revenue --spend"))


def test_explain_says_where_the_published_figures_are_loose(calc):
    told = calc("salon-assistant", "--example", "--explain", "--lang", "en")[1].replace("\n  ", " ")
    assert "clients_after = leads_after * conversion_after = 37.5" in told
    assert "published 2-3, exact 1.4\u00a0months" in told
    assert "the text rounds to 38" in told
    roas = calc("advertising", "--example", "--explain", "--lang", "en")[1].replace("\n  ", " ")
    assert "published 3 = 200%, exact 300%" in roas
    weeks = calc("crm", "--example", "--explain", "--lang", "en")[1].replace("\n  ", " ")
    assert "published 200, exact 216.7\u00a0h" in weeks
    assert "published" not in calc("crm", "--example", "--people", "6", "--explain", "--lang", "en")[1]


def test_json_has_figures_reasons_and_ranges(calc):
    code, told, _ = calc("support-chat", "--example", "--json")
    document = json.loads(told)
    assert code == Exit.OK
    assert document["schema_version"] == 1
    assert document["results"]["roi"] == {
        "kind": "share",
        "value": None,
        "reason": "no_cost",
        "interval_80": None,
        "interval_95": None,
    }
    assert document["lines"]["kept_revenue"]["value"] == 150_000
    assert document["lines"]["closed_by_bots"]["interval_95"]["low"] == pytest.approx(0.10625, abs=0.002)
    assert "margin" in document["not_counted"]


def test_ranges_give_chances_and_a_tornado_that_repeat(calc):
    arguments = (
        "salon-assistant",
        "--example",
        "--conversion-after",
        "12..18%",
        "--check",
        "1 200..2 000",
        "--lang",
        "en",
        "--margin",
        "60%",
    )
    told = calc(*arguments)[1]
    assert told == calc(*arguments)[1]
    assert told != calc(*arguments, "--seed", "8")[1]
    assert "Chance to earn more than is spent" in told
    assert "80% of cases" in told
    bars = [line for line in told.splitlines() if "█" in line]
    assert [bar.split()[1] for bar in bars] == ["conversion_after", "check"]


def test_a_file_gives_inputs_and_season_and_options_win(calc, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('scenario = "crm"\nseason = [1,1,1,1,1,1,1,1,1,1,1,1]\n[inputs]\npeople = 5\nhours_a_week = "8..12"\n'
                    'pay_an_hour = "500 ₽"\ncash_share = "50 %"\none_off_cost = "120 000"\n', encoding="utf-8")  # fmt: skip
    document = json.loads(calc("crm", "--file", str(path), "--json", "--people", "10")[1])
    assert document["inputs"]["people"]["middle"] == 10
    assert document["inputs"]["hours_a_week"] == {"kind": "hours", "shape": "range", "low": 8, "middle": 10, "high": 12}
    assert document["results"]["net"]["interval_80"]["low"] < document["results"]["net"]["value"]


@pytest.mark.parametrize(("text", "words"), [
    ('[inputs]\npeple = 5', "no input 'peple', did you mean 'people'?"),
    ('inputs = 5', "expected a table"),
    ('[input]\npeople = 5', "did you mean 'inputs'?"),
    ('scenario = "training"\n[inputs]\npeople = 5', "for another scenario"),
    ('season = "x"\n[inputs]\npeople = 5', "list of twelve"),
    ('season = [true, 1]\n[inputs]\npeople = 5', "list of twelve"),
    ('scenario = 5\n[inputs]\npeople = 5', "expected the name of a scenario"),
    ('season = [1, 2]\n[inputs]\npeople = 5\nhours_a_week = 1\npay_an_hour = 1', "twelve factors"),
    ('currency = "rub"', "ISO code"),
    ('[inputs]\ncash_share = 15', "may be 15 % or 1500 %"),
    ('[inputs]\npeople = [5]', "expected a number or a text"),
    ('not toml', "not readable as TOML"),
])  # fmt: skip
def test_a_wrong_file_is_named_with_its_key(calc, tmp_path, text, words):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    code, _, complaint = calc("crm", "--file", str(path))
    assert code == Exit.CONFIG
    assert words in complaint
    assert "Traceback" not in complaint


@pytest.mark.parametrize(("arguments", "words"), [
    (("salon-assistant", "--example", "--conversion-after", "15"), "'15' may be 15 % or 1500 %"),
    (("salon-assistant", "--example", "--conversion-after", "150%"), "a part cannot be larger than the whole"),
    (("salon-assistant", "--example", "--conversion-after", "18..12%"), "upside down"),
    (("salon-assistant", "--example", "--one-off-cost", "-5"), "without a minus"),
    (("salon-assistant", "--example", "--months", "0"), "at least 1"),
    (("salon-assistant", "--example", "--months", "3", "--ramp-months", "7"), "shorter than ramp_months"),
    (("salon-assistant", "--example", "--check", "15$"), "is in USD, the rest in RUB"),
    (("salon-assistant", "--example", "--monthly-cost", "100..200 €"), "is in EUR, the rest in RUB"),
    (("salon-assistant", "--example", "--season", "1;2"), "twelve factors"),
    (("salon-assistant", "--example", "--currency", "roubles"), "ISO code"),
    (("salon-assistant", "--example", "--xlsx", "no/such/folder/x.xlsx"), "cannot be written"),
    (("salon-assistant", "--example", "--convrsion-after", "15%"), "--conversion-after"),
    (("salon-asistant",), "did you mean 'salon-assistant'?"),
    (("crm",), "not given: people, hours_a_week, pay_an_hour"),
    (("crm", "--file", "nowhere.toml"), "cannot be read"),
    (("roas", "--revenue", "5"), "--spend"),
    (("roas", "--revenue", "x", "--spend", "1"), "is no number"),
    (("roas", "--revenue", "1..2", "--spend", "1"), "scenarios take ranges"),
    (("salon-assistant", "--example", "--seed", "-1"), "--seed"),
    (("irr", "--once", "100", "--net-a-month", "10", "--months", "1000000000"), "at most 1200"),
    (("irr", "--once", "100", "--net-a-month", "10", "--months", "12,5"), "no whole number"),
    (("cpl", "--spend", "100", "--leads", "-3"), "at least 0"),
    (("audit",), "no FILE was named"),
    (("audit", "speech-analitics"), "did you mean 'speech-analytics'?"),
])  # fmt: skip
def test_every_bad_input_is_a_sentence(calc, arguments, words):
    code, _, complaint = calc(*arguments)
    assert code == Exit.CONFIG
    assert words in complaint
    assert "Traceback" not in complaint


def test_figures_mistyped_beyond_measure_are_no_fault_of_the_program(calc):
    code, told, _ = calc("salon-assistant", "--example", "--leads-after", "9" * 15, "--check", "9" * 15, "--lang", "en")
    assert code == Exit.OK
    assert "₽1,800,000,000,000" in told.replace("₽1,799,999,999,999", "₽1,800,000,000,000")
    assert calc("p_value", "--reached-1", "300", "--n-1", "200", "--reached-2", "3", "--n-2", "200")[1].endswith(
        "н/д: сравнивать нечего\n"
    )


def test_the_smaller_end_comes_first_as_it_was_typed(calc):
    assert "comes first: 12%..18%" in calc("salon-assistant", "--example", "--conversion-after", "18..12%")[2]


def test_savings_need_no_margin(calc):
    told = calc("equipment", "--example", "--explain")[1]
    assert "Прибыль от запуска" in told
    assert "по выручке" not in told
    assert "по выручке" in calc("equipment", "--example", "--extra-units", "5", "--unit-price", "100")[1]


def test_explanations_speak_of_revenue_where_no_margin_is_known(calc):
    told = calc("advertising", "--example", "--explain")[1].replace("\n  ", " ")
    assert "Чистая выгода = выручка − расходы = 300\u00a0000\u00a0₽" in told
    assert "(в месяц + по объёму + часы × ставка) × месяцев = 150\u00a0000\u00a0₽" in told
    assert "Экономия живыми деньгами" not in told
    assert "прибыль − расходы" in calc("advertising", "--example", "--explain", "--margin", "40%")[1]


def test_only_what_money_depends_on_is_called_not_counted(calc):
    told = calc("advertising", "--example", "--lang", "en")[1].replace("\n  ", " ")
    (note,) = re.findall("Not counted, which is not zero: (.*?)\\.", told)
    assert note.split("; ") == ["One-off cost: set-up, integration, equipment", "Monthly cost: licence, support, telephony",
                                "Staff hours for roll-out and training, once", "Staff hours for supervision a month"]  # fmt: skip
    assert "Requests a month" in calc("support-chat", "--example", "--lang", "en")[1].partition("Not counted")[2]


def test_without_any_cost_one_sentence_says_what_is_missing(calc):
    told = calc("support-chat", "--example", "--explain", "--lang", "en")[1]
    assert "No cost is given at all, so there is no net, ROI, payback, NPV or IRR." in told
    assert told.count("no cost is given") == 1
    assert "Break-even" not in told


@pytest.mark.parametrize(("check", "words"), [
    ("1500", "Below a margin of 28.6%"), ("300", "Even if all revenue were profit"),
])  # fmt: skip
def test_the_margin_that_is_needed_is_one_that_can_be(calc, check, words):
    assert words in calc("salon-assistant", "--example", "--check", check, "--lang", "en")[1].replace("\n  ", " ")


def test_open_ends_of_a_range_are_words_that_fit(calc):
    told = re.sub(r"\s+", " ", calc("salon-assistant", "--example", "--conversion-after", "9..16%", "--lang", "en")[1])
    assert "−100% to 1,000% and" in told
    assert "from 1.2 months, at" in told
    document = json.loads(calc("salon-assistant", "--example", "--conversion-after", "9..16%", "--json")[1])
    assert document["results"]["irr"]["interval_95"]["high"] > 10
    assert document["results"]["payback"]["interval_95"]["high"] is None


def test_zero_cost_has_no_roi_and_says_why(calc):
    told = calc("salon-assistant", "--example", "--one-off-cost", "0", "--monthly-cost", "0", "--lang", "en")[1]
    assert "n/a: cost is 0" in told


@pytest.mark.parametrize(("arguments", "told"), [
    (("roas", "--revenue", "450 000", "--spend", "150000"), "= 3"),
    (("romi", "--income", "450000", "--spend", "150000"), "= 200\u00a0%"),
    (("drr", "--spend", "150000", "--revenue", "450000"), "= 33,3\u00a0%"),
    (("roi", "--benefit", "5", "--cost", "0"), "н/д: расходы равны нулю"),
    (("cpl", "--spend", "1000", "--leads", "0"), "н/д: заявок нет"),
    (("cac", "--spend", "10000", "--customers", "8"), "= 1\u00a0250\u00a0₽"),
    (("ltv", "--check", "1500", "--visits-a-month", "1", "--margin", "60%", "--months", "12", "--kept-a-month", "100%"),
    "months = 12"),
    (("payback", "--once", "30000", "--net-a-month", "-5"), "не окупается"),
    (("compound_roi", "--window-roi", "100%", "--months", "60"), "= 15\u00a0%"),
    (("npv", "--once", "100", "--net-a-month", "10", "--months", "12", "--rate", "0,2"), "= 8,87"),
    (("saved_hours", "--volume", "600", "--handled", "50%", "--minutes-each", "12"), "= 60\u00a0ч"),
])  # fmt: skip
def test_single_formulas(calc, arguments, told):
    code, printed, _ = calc(*arguments)
    assert code == Exit.OK
    assert told in printed


def test_the_workbook_is_written(calc, tmp_path):
    code, _, said = calc("crm", "--example", "--xlsx", str(tmp_path / "crm.xlsx"))
    assert code == Exit.OK
    assert "wrote" in said
    assert (tmp_path / "crm.xlsx").read_bytes()[:2] == b"PK"


def test_questions_are_asked_until_the_answer_can_be_read(capsys):
    answers = iter(["пять", "5", "10", "", "500", "150", "100%", *[""] * 20])
    asked = []

    def answer(label):
        asked.append(label)
        return next(answers)

    found = ask(load("crm", CONFIG), {}, numbers_of("ru", "RUB"), answer)
    assert found == {"people": "5", "hours_a_week": "10", "pay_an_hour": "500", "cash_share": "100%"}
    complaint = capsys.readouterr().err
    assert "'пять' is no number" in complaint
    assert "may be 150 % or 15000 %" in complaint
    assert asked[0] == asked[1] == "Сотрудников"
    assert "(Enter — 4,33)" in asked[3]


def test_a_ramp_longer_than_the_horizon_is_asked_again(capsys):
    plan = {"people": "5", "hours_a_week": "10", "pay_an_hour": "500"}
    answers = iter([*[""] * 9, "6", "9", "3", *[""] * 3])
    found = ask(load("crm", CONFIG), plan, numbers_of("ru", "RUB"), lambda label: next(answers))
    assert (found["months"], found["ramp_months"]) == ("6", "3")
    assert "months is 6, shorter than ramp_months of 9" in capsys.readouterr().err


def test_a_terminal_asks_in_russian(tmp_path):
    """A real terminal: required inputs are asked for, Enter takes what is usual."""
    leader, follower = pty.openpty()
    program = "from pipeline.cli import main; import sys; sys.exit(main(['calc', 'crm', '--json'], {}))"
    run = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=follower,
                           stdout=subprocess.PIPE, stderr=follower)  # fmt: skip
    os.close(follower)
    os.write(leader, b"5\n10\n\n500\n100%\n" + b"\n" * 20)
    seen, deadline = b"", time.monotonic() + 60
    while run.poll() is None and time.monotonic() < deadline:
        if select.select([leader], [], [], 0.2)[0]:
            try:
                seen += os.read(leader, 4096)
            except OSError:
                break
    printed = run.communicate(timeout=30)[0]
    os.close(leader)
    assert run.returncode == Exit.OK
    assert "Сотрудников" in seen.decode("utf-8", "ignore")
    assert json.loads(printed)["results"]["benefit"]["value"] == pytest.approx(1_300_000)


def test_what_money_earns_elsewhere_stands_beside_the_rate_of_return(calc):
    told = " ".join(calc("salon-assistant", "--example", "--lang", "en")[1].split())
    assert "to compare with the IRR: Deposit: 15% (as of" in told.replace("\u00a0", " ")
    assert json.loads(calc("salon-assistant", "--example", "--json")[1])["hurdles"][0]["rate"] == [0.15, 0.15]
    abroad = calc("salon-assistant", "--example", "--currency", "EUR", "--lang", "en")[1]
    assert "Deposit" not in abroad  # no rate is known for this currency
