"""Questions of `payback calc` at a terminal: a scenario's inputs, a vendor's promise. What cannot be is asked again."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import click

from pipeline.calculator import FLAT, check_plan
from pipeline.costs import CHECKLIST
from pipeline.errors import ConfigError
from pipeline.promises import Promise, asked_promise
from pipeline.reports.figures import quantity
from pipeline.reports.numbers import Numbers
from pipeline.scenarios import Scenario, load, names, read_one, text_in


def ask(scenario: Scenario, given: Mapping[str, object], numbers: Numbers, answer: Callable[[str], str]) -> dict[str, object]:
    """Asks for what was not given, until every answer can be read; an empty one leaves out what may be left out.

    `given` can be read already; `answer` puts a question and gives what was typed.
    """
    say = numbers.words.say
    answers: dict[str, object] = {}
    usual_values = {name: asked.default for name, asked in scenario.inputs.items()}

    def accept(name: str, text: str) -> None:
        """Raises ConfigError where the answer cannot be read or does not fit the ones before it."""
        read_one(name, scenario.inputs[name], text, name, numbers.currency)
        if name in ("months", "ramp_months"):
            known = {**usual_values, **given, **answers, name: text}
            check_plan({key: read_one(key, scenario.inputs[key], known[key], key, numbers.currency)
                        for key in ("months", "ramp_months")}, FLAT)  # fmt: skip

    for name, asked in scenario.inputs.items():
        if name in given:
            continue
        label = text_in(asked.label, numbers.words.language)
        if asked.default is not None:
            usual = quantity(numbers, asked.kind, read_one(name, asked, asked.default, name, numbers.currency))
            label = say("calc.ask.default", label=label, value=usual)
        elif asked.is_optional:
            label = say("calc.ask.optional", label=label)
        may_be_left_out = asked.is_optional or asked.default is not None
        if text := _answered(label, answer, partial(accept, name), may_be_left_out=may_be_left_out):
            answers[name] = text
    return answers


def ask_promise(folder: Path, numbers: Numbers, answer: Callable[[str], str]) -> Promise:
    """A promise out of answers: scenario, its inputs, what is said to come of them, which costs are mentioned."""
    say, known = numbers.words.say, names(folder)
    named = _answered(say("audit.ask.scenario", names=numbers.words.listed(known)), answer,
                      partial(load, folder=folder), may_be_left_out=False)  # fmt: skip
    scenario = load(named, folder)
    inputs = ask(scenario, {}, numbers, answer)
    stated: dict[str, str] = {}

    def with_stated(name: str, text: str) -> Promise:
        return asked_promise(scenario, inputs, {**stated, name: text}, (), numbers.currency, folder)

    def with_costs(text: str) -> Promise:
        mentioned = [part for part in re.split(r"[,;、，\s]+", text) if part]
        return asked_promise(scenario, inputs, stated, mentioned, numbers.currency, folder)

    for name in ("roi", "payback", "net"):
        question = say("audit.ask.stated", label=say(f"calc.result.{name}"))
        if text := _answered(question, answer, partial(with_stated, name), may_be_left_out=True):
            stated[name] = text
    question = say("audit.ask.costs", names=numbers.words.listed(CHECKLIST))
    return with_costs(_answered(question, answer, with_costs, may_be_left_out=True))


def _answered(label: str, answer: Callable[[str], str], accept: Callable[[str], object], *, may_be_left_out: bool) -> str:
    """An answer that `accept` takes without a ConfigError, asked for until there is one; empty where that is an answer."""
    while True:
        text = answer(label).strip()
        if not text and may_be_left_out:
            return ""
        try:
            accept(text)
        except ConfigError as error:
            click.echo(f"{error} ({error.hint})", err=True)
        else:
            return text
