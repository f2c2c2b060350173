"""The command line: one command is one call. The only place where errors become words and exit codes.

Heavy modules are imported inside the commands that need them, so that `payback --help` answers at once.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectors.errors import SourceError
from connectors.secrets import Secret, mask, masked_json
from pipeline import stopping
from pipeline.commands_care import backup, erase, prune, restore
from pipeline.commands_dashboard import password
from pipeline.commands_deliver import deliver
from pipeline.commands_schedule import schedule, serve
from pipeline.commands_status import alerts, status
from pipeline.errors import ConfigError, Exit, PipelineError, exit_code
from pipeline.logs import FORMATS, LEVELS, log
from pipeline.options import as_of_option, format_option, formats_of, json_option, language_option

if TYPE_CHECKING:
    from connectors.contract import Progress
    from pipeline.queries import Query
    from pipeline.run import NightReport
    from pipeline.settings import Settings


@dataclass(slots=True)
class Invocation:
    """What every command knows."""

    folder: Path
    environ: Mapping[str, str]
    is_debug: bool = False
    secrets: tuple[Secret, ...] = ()
    code: int = Exit.OK
    log_format: str = "text"
    log_level: str | None = None

    def settings(self) -> "Settings":
        from pipeline.settings import load_settings, read_environment

        # What stands in .env is secret even while the rest cannot be read.
        self.secrets = tuple(map(Secret, read_environment(self.folder, {}).values()))
        settings = load_settings(self.folder, self.environ)
        self.secrets = settings.secrets()
        log.configure(self.log_format, self.log_level, self.secrets)
        for name in settings.alerts.missing():
            log.warning("alert_address_missing", variable=name)
        return settings


def run() -> None:
    """Console entry point. What a run writes (warehouse, state, reports, copies) is for the user who runs it alone."""
    os.umask(os.umask(0o077) | 0o077)
    stopping.listen()
    sys.exit(main(sys.argv[1:], os.environ))


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command; the exit code. Prints errors to stderr: what happened, where, what to do next."""
    invocation = Invocation(Path("config"), environ)
    try:
        payback.main(list(arguments), prog_name="payback", standalone_mode=False, obj=invocation)
    except click.ClickException as error:
        error.show()
        return Exit.CONFIG
    except click.Abort:
        click.echo("stopped; everything stored so far stays, the next run continues", err=True)
        return Exit.TEMPORARY
    except (PipelineError, SourceError) as error:
        return _explain(error, invocation)
    except Exception as error:
        _show_traceback(invocation)
        name = type(error).__name__
        click.echo(f"payback: unexpected {name}: {mask(str(error), invocation.secrets)}", err=True)
        click.echo("  -> this is a fault of Payback: run again with --debug and report what it prints", err=True)
        return Exit.UNEXPECTED
    return invocation.code


def _explain(error: PipelineError | SourceError, invocation: Invocation) -> int:
    _show_traceback(invocation)
    click.echo(f"payback: {mask(str(error), invocation.secrets)}", err=True)
    if error.hint:
        click.echo(f"  -> {mask(error.hint, invocation.secrets)}", err=True)
    return exit_code(error)


def _show_traceback(invocation: Invocation) -> None:
    """With --debug; texts of foreign errors quote addresses and values."""
    if invocation.is_debug:
        click.echo(mask(traceback.format_exc(), invocation.secrets), err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "folder",
    type=click.Path(path_type=Path),
    default="config",
    show_default=True,
    help="Folder of the configuration.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--log-format", type=click.Choice(FORMATS), default="text", show_default=True, help="Of the log on stderr.")
@click.option("--log-level", type=click.Choice(LEVELS), help="Default: info; warning when stderr is a terminal.")
@click.version_option(package_name="payback")
@click.pass_obj
def payback(invocation: Invocation, folder: Path, debug: bool, log_format: str, log_level: str | None) -> None:
    """What a launch really earned: CRM in, ROI report with honest intervals out."""
    invocation.folder = folder
    invocation.is_debug = debug
    invocation.log_format, invocation.log_level = log_format, log_level


@payback.command()
@click.option("--name", help="Name of the business.")
@click.option("--profile", default="salon", show_default=True, help="salon, clinic, school or services.")
@click.option("--timezone", default="Europe/Moscow", show_default=True, help="IANA time zone of the business.")
@click.option("--webhook", help="Incoming webhook of a Bitrix24 portal; stored in .env only. Asked for without echo if left out.")
@click.option("--private-network", is_flag=True, help="The portal stands in your own network, at a private address.")
@click.option("--files", help="Instead of a portal: export files, a folder or a pattern.")
@click.option("--branch", help="Where a lead's branch stands: a custom field's title or code, or 'pipeline'.")
@click.option("--launch", default="assistant", show_default=True, help="Short name of the first launch.")
@click.option("--launch-title", default="AI-ассистент", show_default=True, help="Its title in reports.")
@click.option("--started-on", type=click.DateTime(["%Y-%m-%d"]), help="Date the launch started.")
@click.option(
    "--margin", type=click.FloatRange(0, 1, min_open=True), help="Share of revenue that stays as gross profit, e.g. 0.6."
)
@click.option("--one-off", type=click.FloatRange(0), help="One-off cost of the launch.")
@click.option("--monthly", type=click.FloatRange(0), help="Monthly cost of the launch.")
@click.option("--replace", is_flag=True, help="Write the files anew if they exist.")
@click.pass_obj
def init(
    invocation: Invocation, /, webhook: str | None, files: str | None, started_on: datetime | None, replace: bool, **rest: Any
) -> None:
    """Write config/ and .env; read the portal's stages and propose their mapping."""
    from pipeline.init import Answers, write_config

    if webhook and files:
        raise click.UsageError("give either --webhook or --files, not both")
    if not webhook and not files:
        webhook = _asked("--webhook", "Incoming webhook of the portal", is_hidden=True)
    rest["name"] = rest["name"] or _asked("--name", "Name of the business")
    secret = Secret(webhook) if webhook and not files else None
    invocation.secrets = (secret,) if secret else ()
    here = str(Path(files).absolute()) if files else None  # the written path means the config's folder, not the shell's
    answers = Answers(webhook=secret, files=here, started_on=started_on.date() if started_on else None, **rest)
    outcome = write_config(invocation.folder, answers, invocation.environ, replace=replace)
    for path in outcome.written:
        click.echo(f"wrote {path}")
    click.echo(f"{outcome.n_stages - len(outcome.unrecognised)} of {outcome.n_stages} stages recognised")
    if outcome.unrecognised:
        click.echo("say in stages.toml what these mean: " + "; ".join(outcome.unrecognised))
    click.echo("next: read stages.toml and launches.toml, then `payback run`")


@payback.command()
@json_option
@click.pass_obj
def check(invocation: Invocation, is_json: bool) -> None:
    """Config, connection, scopes, stage mapping and data; exit code 8 when something is an error."""
    from pipeline.readiness import inspect

    lines = inspect(invocation.settings())
    if is_json:
        _print_json({"schema_version": 1, "lines": [line.as_dict() for line in lines]}, invocation)
    else:
        from rich.console import Console

        console = Console(stderr=False, highlight=False)
        marks = {
            "ok": "[green]ok     [/]",
            "info": "[cyan]note   [/]",
            "warning": "[yellow]warning[/]",
            "error": "[red]error  [/]",
        }
        for line in lines:
            console.print(marks[line.severity], end=" ")
            console.print(mask(line.text, invocation.secrets), markup=False)
    if any(line.severity == "error" for line in lines):
        invocation.code = Exit.FINDINGS


@payback.command()
@click.argument("source", required=False)
@click.option("--full", is_flag=True, help="Export everything anew instead of what changed.")
@json_option
@click.pass_obj
def sync(invocation: Invocation, source: str | None, full: bool, is_json: bool) -> None:
    """Pull all sources, or one; resumable at any point."""
    from pipeline.run import sync_sources

    with _progress() as progress:
        report = sync_sources(invocation.settings(), only=source, is_full=full, progress=progress)
    _show_night(report, is_json, invocation)


@payback.command()
@click.argument("launch")
@as_of_option
@language_option
@click.option("--explain", "is_explained", is_flag=True, help="Every figure with its formula and inputs, to check it by hand.")
@json_option
@click.pass_obj
def measure(
    invocation: Invocation, launch: str, as_of: date | datetime | None, language: str | None, is_explained: bool, is_json: bool
) -> None:
    """One measurement, stored as a snapshot."""
    from pipeline.reports import render
    from pipeline.run import measure_launch

    settings = invocation.settings()
    document = measure_launch(settings, settings.launch(launch), as_of)
    if is_explained and not is_json:
        from pipeline.explain import explain

        click.echo(explain(document, language or settings.business.language), nl=False)
        return
    click.echo(render(document, "json" if is_json else "terminal", language or settings.business.language).decode(), nl=False)


@payback.command()
@click.argument("launch")
@as_of_option
@format_option
@language_option
@click.option("--out", type=click.Path(path_type=Path), default="out", show_default=True, help="Folder for the files.")
@click.pass_obj
def report(
    invocation: Invocation, launch: str, as_of: date | datetime | None, formats: str, language: str | None, out: Path
) -> None:
    """Measure a launch and write the report."""
    from pipeline.reports import render, write
    from pipeline.run import measure_launch

    kinds = formats_of(formats)
    settings = invocation.settings()
    document = measure_launch(settings, settings.launch(launch), as_of)
    for kind in kinds:
        if kind == "terminal":
            click.echo(render(document, kind, language or settings.business.language).decode(), nl=False)
        else:
            click.echo(f"wrote {write(document, kind, language or settings.business.language, out)}")


@payback.command(name="run")
@as_of_option
@format_option
@language_option
@click.option("--out", type=click.Path(path_type=Path), default="out", show_default=True, help="Folder for the reports.")
@json_option
@click.pass_obj
def run_command(
    invocation: Invocation, as_of: date | datetime | None, formats: str, language: str | None, out: Path, is_json: bool
) -> None:
    """One nightly run: sync, check, measure, report."""
    from pipeline.run import run_nightly

    kinds = formats_of(formats)
    settings = invocation.settings()
    with _progress() as progress:
        night = run_nightly(settings, as_of=as_of, kinds=kinds, language=language, out=out, progress=progress)
    _show_night(night, is_json, invocation)
    if "terminal" in kinds and not is_json:
        for text in night.texts:
            click.echo(text, nl=False)


@payback.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default="demo", show_default=True, help="Folder for everything the demo makes."
)
@click.option("--seed", default=7, show_default=True, help="Seed of the simulated salon.")
@click.option(
    "--serve", "is_serving", is_flag=True, help="Keep the portal running afterwards, so that you can run commands against it."
)
@click.option("--open", "is_opened", is_flag=True, help="Show the report in a browser, where there is a screen.")
@language_option
@click.pass_obj
def demo(invocation: Invocation, out: Path, seed: int, is_serving: bool, is_opened: bool, language: str | None) -> None:
    """A simulated portal, the whole run, a report, and the true effect beside the measured one."""
    from pipeline.demo import play

    with _progress() as progress:
        invocation.code = play(
            out, seed=seed, is_serving=is_serving, is_opened=is_opened, language=language, progress=progress, say=click.echo
        )


@payback.command()
@click.argument("name", required=False)
@click.option("--dialect", type=click.Choice(("duckdb", "postgresql")), default="duckdb", show_default=True, help="Database.")
def sql(name: str | None, dialect: str) -> None:
    """The exact SQL behind a figure; without NAME the list of queries."""
    from pipeline import queries
    if name:
        click.echo(_query(name).sql(dialect))
        return
    for known in queries.every_name():
        click.echo(f"{known:32} {queries.load(known).title}")


@payback.group()
def plan() -> None:
    """Plan ahead: a randomised hold-out, where only chance can tell."""


@plan.command()
@click.argument("launch")
@click.option("--share", type=click.FloatRange(1, 99), help="Percent of the leads held out (default: as configured, else 50).")
@click.option("--effect", type=float, default=10.0, show_default=True, help="Change of the rate to be seen, in percent.")
@as_of_option
@json_option
@click.pass_obj
def holdout(
    invocation: Invocation, launch: str, share: float | None, effect: float, as_of: date | datetime | None, is_json: bool
) -> None:
    """Who is held out by chance, for how many weeks, and how to check it."""
    from pipeline.plan import plan_launch_holdout

    settings = invocation.settings()
    part = None if share is None else share / 100
    planned = plan_launch_holdout(settings, settings.launch(launch), share=part, effect=effect / 100, as_of=as_of)
    if is_json:
        _print_json(planned.as_dict(), invocation)
        return
    for line in planned.lines():
        click.echo(line)


for command in (backup, restore, prune, erase, serve, password, status, alerts, schedule, deliver):
    payback.add_command(command)


def _asked(option: str, question: str, *, is_hidden: bool = False) -> str:
    """The answer of somebody at a terminal; without one the option is missing."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{option} is missing, and nobody is there to be asked")
    answer: str = click.prompt(question, hide_input=is_hidden)
    return answer


def _query(name: str) -> "Query":
    """By full name (`metrics/show_rate`) or by the last part of it."""
    from pipeline import queries
    from pipeline.strict import nearest

    known = queries.every_name()
    fits = [full for full in known if name in (full, full.rpartition("/")[2])]
    if not fits:
        short = [full.rpartition("/")[2] for full in known]
        raise ConfigError(f"there is no query {name!r}{nearest(name, short)}", hint="`payback sql` lists all")
    return queries.load(fits[0])


@contextmanager
def _progress() -> "Iterator[Callable[[str], Progress] | None]":
    """A bar a stream on stderr when somebody is looking; otherwise nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        rows: dict[str, Any] = {}

        def of_source(source: str) -> "Progress":
            def advance(stream: str, n_done: int, n_expected: int | None) -> None:
                subject = f"{source} {stream}"
                if subject not in rows:
                    rows[subject] = bars.add_task(subject, total=n_expected)
                bars.update(rows[subject], completed=n_done, total=n_expected)

            return advance

        yield of_source


def _show_night(night: "NightReport", is_json: bool, invocation: Invocation) -> None:
    invocation.code = night.exit_code
    if is_json:
        _print_json(night.as_dict(), invocation)
        return
    for line in night.lines():
        click.echo(mask(line, invocation.secrets))


def _print_json(document: object, invocation: Invocation) -> None:
    click.echo(masked_json(document, invocation.secrets))
