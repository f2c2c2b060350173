"""`payback status` and `payback alerts`. Heavy modules are imported inside the commands."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from connectors.secrets import mask, masked_json
from pipeline.errors import Exit
from pipeline.options import json_option

if TYPE_CHECKING:
    from pipeline.cli import Invocation


@click.command()
@json_option
@click.pass_obj
def status(invocation: "Invocation", is_json: bool) -> None:
    """Freshness of every source, the last runs, what is wrong, the next run; exit code 0 when all is well."""
    from pipeline.schedule import timetable
    from pipeline.status import status_document, status_lines

    settings = invocation.settings()
    following = timetable(settings).after(datetime.now(UTC))
    document = status_document(settings, next_run=following[0] if following else None)
    if is_json:
        click.echo(masked_json(document, invocation.secrets))
    else:
        click.echo(mask("\n".join(status_lines(document, settings)), invocation.secrets))
    if not document["is_healthy"]:
        invocation.code = Exit.WAREHOUSE if document["warehouse"] else Exit.FINDINGS


@click.group()
def alerts() -> None:
    """Who is told when something needs a person."""


@alerts.command(name="test")
@click.pass_obj
def send_test(invocation: "Invocation") -> None:
    """Send everybody in [alerts] a test message."""
    from pipeline.alerts import send_test as send
    from pipeline.errors import ConfigError

    settings = invocation.settings()
    outcomes = send(settings)
    if not outcomes:
        raise ConfigError(
            f"[alerts] in {settings.folder / 'payback.toml'} names nobody", hint="docs/alerts.md shows what to write there"
        )
    for recipient, error in outcomes:
        click.echo(f"{recipient.label}: sent" if error is None else mask(str(error), invocation.secrets), err=error is not None)
        if error is not None:
            click.echo(f"  -> {mask(error.hint, invocation.secrets)}", err=True)
            invocation.code = Exit.ACCESS
