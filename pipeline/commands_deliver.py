"""`payback deliver`. Heavy modules are imported inside the command."""

from typing import TYPE_CHECKING

import click

from connectors.secrets import mask
from pipeline.errors import ConfigError, Exit

if TYPE_CHECKING:
    from pipeline.cli import Invocation

GOOD = ("delivered", "already delivered", "sent")


@click.command()
@click.argument("launch")
@click.option("--to", "name", help="Only to the [[deliveries]] of this name; also again, if its delivery failed or is in doubt.")
@click.option("--test", "is_test", is_flag=True, help="Send a report marked as a test; it does not count as this week's.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Send nothing; print the text of each message.")
@click.pass_obj
def deliver(invocation: "Invocation", launch: str, name: str | None, is_test: bool, is_dry: bool) -> None:
    """Send this week's report to those in [[deliveries]] who have not got it, whatever day it is."""
    from pipeline.deliver import deliver_now, send_test, subscribers
    from pipeline.parcels import text_of
    from pipeline.run import measure_named, measured

    settings = invocation.settings()
    if settings.programme(launch) is None:
        settings.launch(launch)  # a wrong name is said before anybody is looked for
    people = subscribers(settings, launch, name)
    wanting = [one for one in people if one.wants(launch)]
    if not wanting:
        hint = "its launches in [[deliveries]] say so"
        raise ConfigError(f"{people[0].name!r} does not get the report of {launch!r}", hint=hint)
    # Neither a look nor a test may change what the week's report stands for.
    document = measured(settings, launch) if is_dry or is_test else measure_named(settings, launch)
    if is_dry:
        for one in wanting:
            files = f", with {', '.join(one.kinds)}" if one.kinds else ""
            click.echo(f"--- to {one.name} ({one.way or 'an unusable address'}{files}); nothing was sent")
            click.echo(mask(text_of(one, settings, document, "0" * 16, is_test=is_test), invocation.secrets))
        return
    if is_test:
        outcomes = send_test(settings, document, wanting)
    else:
        outcomes = deliver_now(settings, launch, document["as_of"], wanting, is_named=name is not None)
    for outcome in outcomes:
        is_good = outcome.state in GOOD
        click.echo(mask(outcome.line(), invocation.secrets), err=not is_good)
        if not is_good:
            invocation.code = Exit.TEMPORARY if outcome.state == "waiting" else Exit.ACCESS
