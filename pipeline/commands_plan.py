"""`payback plan`: before a launch. `payback sql`: what stands behind its figures."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from connectors.secrets import masked_json
from pipeline.errors import ConfigError
from pipeline.options import as_of_option, json_option
from pipeline.strict import nearest

if TYPE_CHECKING:
    from pipeline.cli import Invocation
    from pipeline.queries import Query


@click.group()
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
    invocation: "Invocation", launch: str, share: float | None, effect: float, as_of: date | datetime | None, is_json: bool
) -> None:
    """Who is held out by chance, for how many weeks, and how to check it."""
    from pipeline.plan import plan_launch_holdout

    settings = invocation.settings()
    part = None if share is None else share / 100
    planned = plan_launch_holdout(settings, settings.launch(launch), share=part, effect=effect / 100, as_of=as_of)
    if is_json:
        click.echo(masked_json(planned.as_dict(), invocation.secrets))
        return
    for line in planned.lines():
        click.echo(line)


@click.command()
@click.argument("name", required=False)
@click.option("--dialect", type=click.Choice(("duckdb", "postgresql")), default="duckdb", show_default=True, help="Database.")
@click.pass_obj
def sql(invocation: "Invocation", name: str | None, dialect: str) -> None:
    """The exact SQL behind a figure, metrics of your own among them; without NAME the list of queries."""
    from pipeline import queries
    from pipeline.funnel import read_funnel

    known = {full: queries.load(full) for full in (*queries.every_name(), *queries.names("funnel"))}
    found = _fit(name, known)
    if found is None:  # those of Payback can be read whatever the configuration is like
        known |= {one.query.name: one.query for one in read_funnel(invocation.folder).metrics}
        found = _fit(name, known)
    if found is not None:
        click.echo(found.sql(dialect))
    elif name:
        short = [full.rpartition("/")[2] for full in known]
        raise ConfigError(f"there is no query {name!r}{nearest(name, short)}", hint="`payback sql` lists all")
    else:
        for full, query in known.items():
            click.echo(f"{full:32} {query.title}")


def _fit(name: str | None, known: "Mapping[str, Query]") -> "Query | None":
    """By full name (`metrics/show_rate`) or by the last part of it."""
    return next((query for full, query in known.items() if name in (full, full.rpartition("/")[2])), None)
