"""Options that several commands share."""

from datetime import UTC, date, datetime
from typing import Any

import click

from pipeline.languages import LANGUAGES

FORMATS = ("html", "terminal", "json", "xlsx", "pdf")


class _AsOf(click.ParamType[Any]):
    """A date, or an exact UTC time stamp as a snapshot's `seen_until` shows it."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, invocation: click.Context | None) -> date | datetime:
        if isinstance(value, date):
            return value
        try:
            if len(value) == 10:
                return date.fromisoformat(value)
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        except ValueError:
            self.fail(f"{value!r} is neither a date like 2026-11-16 nor a UTC time like 2026-11-16T03:00:00", param, invocation)


as_of_option = click.option("--as-of", type=_AsOf(), help="Report as known on this date (default: today), or at this UTC time.")
json_option = click.option("--json", "is_json", is_flag=True, help="Print the figures as JSON.")
format_option = click.option(
    "--format", "formats", default="html", show_default=True, help=f"One or more of {', '.join(FORMATS)}."
)
language_option = click.option("--lang", "language", type=click.Choice(LANGUAGES), help="Language (default: the business's).")


def formats_of(text: str) -> tuple[str, ...]:
    """The kinds of report that `--format` names. Raises BadParameter."""
    kinds = tuple(part.strip() for part in text.split(",") if part.strip())
    if not kinds:
        raise click.BadParameter(f"name at least one of {', '.join(FORMATS)}", param_hint="--format")
    for kind in kinds:
        if kind not in FORMATS:
            raise click.BadParameter(f"{kind!r} is not one of {', '.join(FORMATS)}", param_hint="--format")
    return kinds
