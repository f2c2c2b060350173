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
from pipeline.commands_calc import calc
from pipeline.commands_care import backup, erase, prune, restore
from pipeline.commands_dashboard import password
from pipeline.commands_deliver import deliver
from pipeline.commands_init import init
from pipeline.commands_plan import plan, sql
from pipeline.commands_schedule import schedule, serve
from pipeline.commands_status import alerts, status
from pipeline.errors import Exit, PipelineError, exit_code
from pipeline.logs import FORMATS, LEVELS, log
from pipeline.options import as_of_option, format_option, formats_of, json_option, language_option

if TYPE_CHECKING:
    from connectors.contract import Progress
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
    """One measurement, stored as a snapshot; of a programme, the accounting of its modules."""
    from pipeline.reports import render
    from pipeline.run import measure_named

    settings = invocation.settings()
    document = measure_named(settings, launch, as_of)
    if is_explained and not is_json:
        from pipeline.explain import explain
        from pipeline.explain_programme import explain_programme

        tell = explain_programme if "programme" in document else explain
        click.echo(tell(document, language or settings.business.language), nl=False)
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
    """Measure a launch or a programme and write the report."""
    from pipeline.reports import render, write
    from pipeline.run import measure_named

    kinds = formats_of(formats)
    settings = invocation.settings()
    document = measure_named(settings, launch, as_of)
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


for command in (init, calc, plan, sql, backup, restore, prune, erase, serve, password, status, alerts, schedule, deliver):
    payback.add_command(command)


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
