"""Scenarios are data: one of a user's own works without Python, and a wrong one is refused by file, key and nearest name."""

import ast
from pathlib import Path

import numpy as np
import pytest

from pipeline import scenarios
from pipeline.calculator import compute
from pipeline.errors import ConfigError
from pipeline.expressions import Value, parse
from pipeline.formulas import FORMULAS
from pipeline.reports.words import LANGUAGES
from pipeline.scenarios import load, names, read_scenario

CONFIG = Path(__file__).parents[2] / "config"
OWN = """
on = 2026-11-22
title = { en = "A repair shop" }
about = { en = "More repairs" }
[inputs.repairs]
kind = "count"
label = { en = "Repairs a month" }
[inputs.price]
kind = "money"
label = { en = "Price of one" }
[lines.sold]
kind = "money"
formula = "repairs * price"
label = { en = "Sold a month" }
[plan]
revenue_a_month = "sold"
"""


@pytest.fixture
def own(tmp_path):
    """own(text): a configuration folder with one scenario more."""
    folder = tmp_path / "config" / "scenarios"
    folder.mkdir(parents=True)

    def written(text):
        (folder / "repairs.toml").write_text(text, encoding="utf-8")
        return tmp_path / "config"

    return written


def test_the_seven_scenarios_are_there():
    wanted = {"salon-assistant", "advertising", "equipment", "crm", "training", "speech-analytics", "support-chat"}
    assert wanted == set(names(CONFIG))


@pytest.mark.parametrize("name", names(CONFIG))
def test_every_scenario_computes_its_example_and_speaks_every_language(name):
    scenario = load(name, CONFIG)
    outcome = compute(scenario, scenario.read_inputs(scenario.example, {}, "RUB"))
    assert outcome.points["benefit"].point > 0
    labels = [
        scenario.title,
        scenario.about,
        *(i.label for i in scenario.inputs.values()),
        *(line.label for line in scenario.lines.values()),
    ]
    assert all(set(LANGUAGES) <= label.keys() for label in labels)


def test_a_scenario_of_ones_own_needs_no_python(own):
    scenario = load("repairs", own(OWN))
    found = compute(
        scenario, scenario.read_inputs({"repairs": 10, "price": "1 000", "one_off_cost": 60_000, "margin": "50%"}, {}, "RUB")
    )
    assert found.points["payback"].point == pytest.approx(12)
    assert found.points["roi"].point == pytest.approx(0)
    assert "salon-assistant" in names(own(OWN))


@pytest.mark.parametrize(("old", "new", "words"), [
    ("repairs * price", "repair * price", "unknown name 'repair', did you mean 'repairs'?"),
    ("repairs * price", "raos(price, repairs)", "unknown function 'raos', did you mean 'roas'?"),
    ("repairs * price", "roas(price)", "roas takes 2 arguments, not 1"),
    ("repairs * price", "or_zero(price + 1)", "or_zero takes the name of one input or line"),
    ("repairs * price", "repairs ** price", "has no place in a formula"),
    ("repairs * price", "repairs.real", "has no place in a formula"),
    ("repairs * price", "sold * 2", "unknown name 'sold'"),
    ("[plan]\nrevenue_a_month", "[plan]\nrevenue_a_moth", "did you mean 'revenue_a_month'?"),
    ('kind = "count"', 'kind = "counts"', "did you mean 'count'?"),
    ("[lines.sold]", "[lines.roi]", "this name is taken"),
    ("[inputs.repairs]", "[inputs.margin]", "this name is taken"),
    ('revenue_a_month = "sold"', "", "say what a month brings"),
    ('[plan]', '[example]\nprise = 1\n[plan]', "no such input, did you mean 'price'?"),
    ('[plan]', '[defaults]\nmonth = 1\n[plan]', "did you mean 'months'?"),
    ('[plan]', '[example]\nprice = "x"\n[plan]', "'x' is no number"),
])  # fmt: skip
def test_a_wrong_file_is_refused_by_key_and_nearest_name(own, old, new, words):
    folder = own(OWN.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load("repairs", folder)
    assert words in f"{caught.value} {caught.value.hint}"
    assert "repairs.toml" in str(caught.value)


@pytest.mark.parametrize("text", [
    "__import__('os').system('true')", "().__class__", "[x for x in (1,)]", "lambda: 1", "'a' * 9", "1 if 1 else 2", "x[0]",
    "a := 1", "f'{1}'",
    "True", "1 < 2", "not 1", "min(*a)", "min(a=1, b=2)", "(min)(1, 2)(3)", "9" * 400, "(" * 300, "1e999", "1j", "…", "",
    "a\nb", "print(1)", "eval('1')", "~1", "+1", "2**9**9", "1 // 2", "await a", "1_000_000 and 2",
])  # fmt: skip
def test_nothing_but_arithmetic_is_let_in(text):
    with pytest.raises(ConfigError):
        parse(text, ["a", "b"], "here")


def test_unknown_scenario_and_input_name_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'salon-assistant'"):
        load("salon-asistant", CONFIG)
    scenario = load("crm", CONFIG)
    with pytest.raises(ConfigError, match="no input 'peopl', did you mean 'people'"):
        scenario.read_inputs({"peopl": 5}, {}, "RUB")
    with pytest.raises(ConfigError, match="not given: hours_a_week, pay_an_hour"):
        scenario.read_inputs({"people": 5}, {}, "RUB")


def test_every_formula_is_defined_on_arrays_and_gives_a_reason_instead_of_infinity():
    random = np.random.default_rng(5)
    for name, formula in FORMULAS.items():
        text = f"{name}({', '.join(formula.arguments)})"
        expression = parse(text, list(formula.arguments), name)
        zeros = {argument: Value(np.zeros(1)) for argument in formula.arguments}
        found = expression.value(zeros)
        assert found.point is not None or found.reason, name
        drawn = {argument: Value(random.uniform(-2, 3, 500)) for argument in formula.arguments}
        assert not np.isinf(expression.value(drawn).numbers).any(), name
        assert expression.value(drawn).numbers.size == 500


def test_the_files_of_the_program_hold_no_python():
    for path in (CONFIG / "scenarios").glob("*.toml"):
        if path.stem != scenarios.SHARED:
            for line in read_scenario(path).lines.values():
                allowed = (
                    ast.Constant | ast.Name | ast.BinOp | ast.UnaryOp | ast.Call | ast.operator | ast.unaryop | ast.expr_context
                )
                assert all(isinstance(node, allowed) for node in ast.walk(line.expression.tree))
