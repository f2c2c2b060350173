"""`payback calc`: calculators that need no CRM. A scenario is a command, its inputs are options; so is each single formula."""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectors.secrets import masked_json
from pipeline.errors import ConfigError
from pipeline.options import json_option, language_option

if TYPE_CHECKING:
    from pipeline.cli import Invocation
    from pipeline.reports.numbers import Numbers
    from pipeline.scenarios import Input, Scenario


MOST_MONTHS = 1200.0  # of a single formula: a hundred years
WHOLE_MONTHS = ("irr", "effective_months")  # formulas that go month by month


class _Calculators(click.Group):
    """One command a scenario (data files) and one a formula, beside those written here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from pipeline import scenarios

        return [*scenarios.names(_folder(ctx)), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from pipeline import scenarios
        from pipeline.formulas import FORMULAS
        from pipeline.strict import nearest

        own = super().get_command(ctx, name)
        if own is not None:
            return own
        known = scenarios.names(_folder(ctx))
        if name in known:
            return _scenario_command(name, _folder(ctx))
        if name in FORMULAS:
            return _formula_command(name)
        every = [*known, *super().list_commands(ctx), *FORMULAS]
        raise ConfigError(
            f"payback calc knows no scenario or formula {name!r}{nearest(name, every)}", hint="`payback calc` lists them all"
        )


def _folder(ctx: click.Context) -> Path:
    return ctx.obj.folder if ctx.obj is not None else Path("config")


@click.group(cls=_Calculators, invoke_without_command=True)
@language_option
@click.pass_context
def calc(ctx: click.Context, language: str | None) -> None:
    """Will it pay? Calculators that need no CRM: scenarios, single formulas, and the audit of a vendor's promise.

    A figure is 1500, 1 500 or 12,5; a share 15% or 0.15; anything uncertain a range 12..18%, low..likely..high,
    normal(mean; spread), or counts 38 of 250.
    """
    if ctx.invoked_subcommand is not None:
        return
    from pipeline import scenarios
    from pipeline.formulas import FORMULAS

    numbers = _numbers(ctx.obj, language, None)
    click.echo(numbers.words.say("calc.scenarios"))
    for scenario in scenarios.every(_folder(ctx)):
        click.echo(f"  {scenario.name:18} {scenarios.text_in(scenario.about, numbers.words.language)}")
    click.echo(numbers.words.say("calc.formulas"))
    for name, formula in FORMULAS.items():
        click.echo(f"  {name:18} {' '.join(_flag(argument) for argument in formula.arguments)}")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _numbers(invocation: "Invocation", language: str | None, currency: str | None) -> "Numbers":
    """Language and currency of the business where there is a configuration, else Russian and roubles."""
    from pipeline.reports.numbers import numbers_of
    from pipeline.settings import load_business

    business = load_business(invocation.folder)
    return numbers_of(language or business.language, currency or business.currency)


def _scenario_command(name: str, folder: Path) -> click.Command:
    from pipeline import scenarios

    scenario = scenarios.load(name, folder)
    options: list[click.Parameter] = [
        click.Option([_flag(key), f"input_{key}"], metavar=asked.kind.upper(), help=_help(asked))
        for key, asked in scenario.inputs.items()
    ]
    options += [
        click.Option(["--season"], help="Twelve factors of the months, January to December, parted by ; (average 1)."),
        click.Option(
            ["--file", "file"], type=click.Path(path_type=Path), help="TOML file with an [inputs] table; options win over it."
        ),
        click.Option(["--example", "is_example"], is_flag=True, help="Start from the published example's figures."),
        click.Option(["--explain", "is_explained"], is_flag=True, help="Every formula, and where published figures are loose."),
        click.Option(["--xlsx"], type=click.Path(path_type=Path), help="Write a workbook with live formulas."),
        click.Option(["--seed"], type=click.IntRange(min=0), default=7, show_default=True, help="Of the draws."),
        click.Option(["--currency"], metavar="CODE", help="Of all amounts (default: the business's)."),
    ]
    command = click.Command(name, params=options, callback=_run_scenario(scenario), help=scenarios.text_in(scenario.about, "en"))
    return language_option(json_option(command))


def _help(asked: "Input") -> str:
    from pipeline.scenarios import text_in

    ending = " (optional)" if asked.is_optional else "" if asked.default is None else f" (default: {asked.default})"
    return f"{text_in(asked.label, 'en')}{ending}."


def _run_scenario(scenario: "Scenario") -> Callable[..., None]:
    @click.pass_obj
    def run(invocation: "Invocation", /, **options: Any) -> None:
        from pipeline.amounts import Quantity
        from pipeline.calculation import document_of
        from pipeline.calculator import FLAT, compute
        from pipeline.hurdles import read_hurdles
        from pipeline.questions import ask

        given: dict[str, object] = dict(scenario.example) if options["is_example"] else {}
        where = dict.fromkeys(given, f"{scenario.file} [example]")
        season: tuple[float, ...] = FLAT
        currency = options["currency"]
        if options["file"] is not None:
            found = _read_file(options["file"], scenario)
            given |= found["inputs"]
            where |= {name: f"{options['file']}: [inputs.{name}]" for name in found["inputs"]}
            season = found.get("season") or season
            currency = currency or found.get("currency")
        typed = {name: value for name in scenario.inputs if (value := options[f"input_{name}"]) is not None}
        given |= typed
        where |= {name: _flag(name) for name in typed}
        if options["season"] is not None:
            season = _season(options["season"])
        numbers = _numbers(invocation, options["language"], _currency(currency))
        known = scenario.read_given(given, where, numbers.currency)
        if scenario.missing(known) and sys.stdin.isatty() and sys.stderr.isatty():
            given |= ask(scenario, given, numbers, _prompt)
        quantities: Mapping[str, Quantity] = scenario.read_inputs(given, where, numbers.currency)
        outcome = compute(scenario, quantities, season=season, seed=options["seed"])
        rates = read_hurdles(invocation.folder, invocation.environ)
        hurdles = [hurdle.facts() for hurdle in rates if hurdle.currency == numbers.currency]
        if options["is_json"]:
            click.echo(masked_json(document_of(outcome, numbers.currency, hurdles), invocation.secrets))
        else:
            from pipeline.reports.calculation import render_calculation

            click.echo(render_calculation(outcome, numbers, hurdles=hurdles, is_explained=options["is_explained"]), nl=False)
        if options["xlsx"] is not None:
            from pipeline.reports.calculation_sheet import render_plan

            _write(options["xlsx"], render_plan(outcome, numbers))
            click.echo(f"wrote {options['xlsx']}", err=True)

    return run


def _read_file(path: Path, scenario: "Scenario") -> dict[str, Any]:
    """The `inputs`, `season` and `currency` of a file. Raises ConfigError."""
    from pipeline.strict import Place, nearest, read_toml

    document = read_toml(path)
    known = ("scenario", "currency", "season", "inputs")
    for key in document:
        if key not in known:
            raise ConfigError(
                f"{Place(path, key)}: unknown key {key!r}{nearest(key, known)}", hint=f"valid keys: {', '.join(known)}"
            )
    named = document.get("scenario", scenario.name)
    if not isinstance(named, str):
        raise ConfigError(f"{Place(path, 'scenario')}: expected the name of a scenario", hint=f'scenario = "{scenario.name}"')
    if named != scenario.name:
        raise ConfigError(
            f"{Place(path, 'scenario')}: this file is for another scenario", hint=f"run payback calc {named}"
        )
    inputs, season = document.get("inputs", {}), document.get("season")
    if not isinstance(inputs, dict):
        raise ConfigError(
            f"{Place(path, 'inputs')}: expected a table of inputs", hint="for example [inputs] and below it leads = 250"
        )
    if season is not None:
        if not isinstance(season, list) or any(type(factor) not in (int, float) for factor in season):
            raise ConfigError(f"{Place(path, 'season')}: expected a list of twelve numbers", hint="January to December")
        season = tuple(float(factor) for factor in season)
    return {"inputs": inputs, "season": season, "currency": document.get("currency")}


def _season(text: str) -> tuple[float, ...]:
    from pipeline.amounts import number

    return tuple(number(part, "--season") for part in text.split(";"))


def _currency(code: object) -> str | None:
    if code is not None and (not isinstance(code, str) or not re.fullmatch(r"[A-Z]{3}", code)):
        raise ConfigError("currency: expected an ISO code", hint="for example RUB, EUR or CNY")
    return code


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror})", hint="name a file in a folder that you may write to"
        ) from None


def _formula_command(name: str) -> click.Command:
    from pipeline.formulas import FORMULAS

    formula = FORMULAS[name]
    options: list[click.Parameter] = [
        click.Option([_flag(argument), f"input_{argument}"], required=True, help=f"{_kind(argument)}.")
        for argument in formula.arguments
    ]

    @click.pass_obj
    def run(invocation: "Invocation", /, is_json: bool, language: str | None, currency: str | None, **options: str) -> None:
        import numpy as np

        from pipeline.amounts import read
        from pipeline.calculation import figure
        from pipeline.expressions import Value, call
        from pipeline.reports.figures import value_of

        numbers = _numbers(invocation, language, _currency(currency))
        given = {}
        for argument in formula.arguments:
            kind: Any = _kind(argument)
            given[argument] = read(
                options[f"input_{argument}"], kind, _flag(argument), currency=numbers.currency, **_bounds(argument)
            )
            if argument == "months" and name in WHOLE_MONTHS and given[argument].middle % 1:
                raise ConfigError(f"{_flag(argument)}: {given[argument].middle:g} is no whole number", hint="give a whole number")
        for argument, found in given.items():
            if not found.is_certain:
                raise ConfigError(f"{_flag(argument)}: one number is needed here, not a range", hint="scenarios take ranges")
        value = call(name, *(Value(np.array([found.middle])) for found in given.values()))
        if is_json:
            document = {
                "schema_version": 1,
                "formula": name,
                "inputs": {key: q.middle for key, q in given.items()},
                **figure(value),
            }
            click.echo(masked_json(document, invocation.secrets))
            return
        inputs = ", ".join(f"{key} = {found.middle:g}" for key, found in given.items())
        unit = "share" if formula.unit == "ratio" else formula.unit
        click.echo(f"{name}({inputs}) = {value_of(numbers, unit, value, name='irr' if name == 'compound_roi' else name)}")

    options.append(click.Option(["--currency"], metavar="CODE", help="Of all amounts (default: the business's)."))
    command = click.Command(name, params=options, callback=run, help=f"{name}({', '.join(formula.arguments)})")
    return language_option(json_option(command))


def _kind(argument: str) -> str:
    """What a formula's argument is, by its name."""
    if argument in ("margin", "handled", "kept_a_month", "rate_1", "rate_2", "rate"):
        return "share"
    if argument == "window_roi":
        return "relative"
    if argument in ("months", "ramp"):
        return "months"
    if argument.split("_")[0] in ("benefit", "cost", "income", "spend", "revenue", "once", "net", "check"):
        return "money"
    return "number" if argument in ("a", "b", "before", "after") else "count"


def _bounds(argument: str) -> dict[str, float]:
    """What a formula's argument may be beyond its kind: a loss is possible, a discount rate above 100 % too."""
    if argument in ("benefit", "income", "net_a_month", "benefit_a_month"):
        return {"least": -1e15}
    return {"most": 5.0} if argument == "rate" else {"most": MOST_MONTHS} if argument in ("months", "ramp") else {}


@calc.command()
@click.argument("promise", metavar="FILE", required=False)
@json_option
@language_option
@click.pass_obj
def audit(invocation: "Invocation", /, promise: str | None, is_json: bool, language: str | None) -> None:
    """Recompute a vendor's promise: a file as in docs/calc.md, the name of a published one, or questions at a terminal."""
    from pipeline import promises
    from pipeline.questions import ask_promise
    from pipeline.reports.promise import audit_document, render_audit

    if promise is None:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise ConfigError(
                "payback calc audit: no FILE was named", hint="name a file as in docs/calc.md, or run it at a terminal"
            )
        numbers = _numbers(invocation, language, None)
        found = promises.audit(ask_promise(invocation.folder, numbers, _prompt))
    else:
        read = promises.read_promise(promises.find_promise(promise), invocation.folder)
        numbers = _numbers(invocation, language, read.currency)
        found = promises.audit(read)
    if is_json:
        click.echo(masked_json(audit_document(found, numbers), invocation.secrets))
    else:
        click.echo(render_audit(found, numbers), nl=False)


def _prompt(text: str) -> str:
    return str(click.prompt(text, default="", show_default=False, err=True))
