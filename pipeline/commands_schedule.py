"""`payback serve` and `payback schedule`. Heavy modules are imported inside the commands."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pipeline.options import json_option

if TYPE_CHECKING:
    from pipeline.cli import Invocation

N_SHOWN = 5
UNITS = ("serve", "run", "timer")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; one that others reach needs [serve] password.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 takes a free one.")
@click.pass_obj
def serve(invocation: "Invocation", host: str, port: int) -> None:
    """Run every night by the schedule; dashboard, health, metrics and webhooks over HTTP. Stop it with SIGTERM or Ctrl-C."""
    from pipeline.web.serve import serve as serve_until_told

    serve_until_told(invocation.settings, host, port, click.echo)


@click.command()
@json_option
@click.option(
    "--systemd", "unit", is_flag=False, flag_value="serve", type=click.Choice(UNITS), help="Print a systemd unit; serve if bare."
)
@click.option("--host", help="With --systemd: what the unit hands to `payback serve`.")
@click.option("--port", type=click.IntRange(1, 65535), help="With --systemd: what the unit hands to `payback serve`.")
@click.option(
    "--cron", is_flag=False, flag_value="run", type=click.Choice(("run", "backup")),
    help="Print a crontab of nights without serve and of backups; of backups alone.",
)  # fmt: skip
@click.pass_obj
def schedule(
    invocation: "Invocation", is_json: bool, unit: str | None, host: str | None, port: int | None, cron: str | None
) -> None:
    """The next runs in local time and UTC, or what starts Payback on a Linux host."""
    from pipeline.schedule import timetable
    from pipeline.units import backup_line, cron_lines, systemd_unit

    given = [*(("--host", host) if host else ()), *(("--port", str(port)) if port else ())]
    if given and unit != "serve":
        raise click.UsageError("--host and --port belong to `payback serve`: use them with --systemd")

    settings = invocation.settings()
    table = timetable(settings)
    if unit is not None:
        click.echo(systemd_unit(unit, settings, table, given), nl=False)
        return
    if cron == "backup":
        click.echo(backup_line(settings), nl=False)
        return
    if cron is not None:
        from tzlocal import get_localzone_name

        click.echo(cron_lines(settings, table, get_localzone_name()), nl=False)
        return
    moments = table.after(datetime.now(UTC), N_SHOWN)
    if is_json:
        runs = [{"local": table.local(due).isoformat(), "utc": f"{due:%Y-%m-%dT%H:%M:%SZ}"} for due in moments]
        facts = {"schema_version": 1, "run": table.text, "timezone": table.zone.key, "next": runs}
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2, sort_keys=True))
        return
    click.echo(f"{table.text} by the clock of {table.zone.key}")
    for due in moments:
        click.echo(f"{table.local(due):%a %Y-%m-%d %H:%M %Z}   {due:%Y-%m-%d %H:%M} UTC")
