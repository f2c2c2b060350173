"""`payback init`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectors.secrets import Secret

if TYPE_CHECKING:
    from pipeline.cli import Invocation


@click.command()
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
    invocation: "Invocation", /, webhook: str | None, files: str | None, started_on: datetime | None, replace: bool, **rest: Any
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


def _asked(option: str, question: str, *, is_hidden: bool = False) -> str:
    """The answer of somebody at a terminal; without one the option is missing."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{option} is missing, and nobody is there to be asked")
    answer: str = click.prompt(question, hide_input=is_hidden)
    return answer
