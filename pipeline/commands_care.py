"""`payback backup`, `restore`, `prune` and `erase`: the care of the warehouse. Heavy modules are imported inside the commands."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import Exit
from pipeline.options import json_option

if TYPE_CHECKING:
    from pipeline.cli import Invocation
    from pipeline.settings import Settings

yes_option = click.option("--yes", "is_sure", is_flag=True, help="Do it, do not ask.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@json_option
@click.pass_obj
def backup(invocation: "Invocation", file: Path | None, is_json: bool) -> None:
    """Copy warehouse and state into FILE (default: backups/payback-TIME.duckdb) while syncs and readers go on."""
    from pipeline.backups import back_up, default_file
    from pipeline.state import State

    settings = invocation.settings()
    home = _home(settings)
    made = back_up(settings.warehouse_url.reveal(), State(home), file or default_file(home))
    if is_json:
        facts = {"file": str(made.file), "made_at": made.made_at, "bytes": made.n_bytes, "rows": made.rows}
        _print_json({**facts, "has_state": made.has_state})
        return
    click.echo(f"wrote {made.file}: {sum(made.rows.values())} rows, {made.n_bytes / 1e6:.1f} MB")
    click.echo("  not in it: config/ and .env; without PAYBACK_HASH_KEY customers of a later sync are strangers to those in it")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Replace a warehouse that has rows.")
@click.pass_obj
def restore(invocation: "Invocation", file: Path, replace: bool) -> None:
    """Put the backup FILE in the place of the configured warehouse, on either database."""
    from pipeline.backups import restore as put_back
    from pipeline.lease import one_run
    from pipeline.state import State

    settings = invocation.settings()
    home = _home(settings)
    state = State(home)
    if not state.path.exists():  # the lease would make one, and the one of the backup would stay out
        done = put_back(file, settings.warehouse_url.reveal(), state, replace=replace)
    else:
        with one_run(home, "restore", "restore"):
            done = put_back(file, settings.warehouse_url.reveal(), state, replace=replace)
    rows = sum(done.backup.rows.values())
    click.echo(f"restored {done.place} from the backup of {done.backup.made_at}: {rows} rows, every one checked")
    if done.n_erased:
        click.echo(f"  {done.n_erased} rows of people who were erased after that backup were left out")
    if not done.is_state_restored:
        click.echo("  the state file stays as it is: it is newer, or the backup has none")
    click.echo("next: payback sync, which fetches what changed since then")


@click.command()
@yes_option
@json_option
@click.pass_obj
def prune(invocation: "Invocation", is_sure: bool, is_json: bool) -> None:
    """Throw superseded versions away that are older than [retention] versions_days; without --yes only say what would go."""
    from pipeline.lease import one_run
    from pipeline.retention import look_ahead
    from pipeline.retention import prune as throw_away

    settings = invocation.settings()
    if is_sure:
        with one_run(_home(settings), "prune", "prune"):
            found = throw_away(settings)
    else:
        found = look_ahead(settings)
    if is_json:
        lapsed = [{"launch": one.launch, "n": one.n, "first": one.first, "last": one.last} for one in found.lapsed]
        since = f"{found.kept_since.isoformat()}Z"
        _print_json({"is_done": is_sure, "kept_since": since, "versions": found.versions, "lapsed": lapsed})
        return
    _show_counts("pruned" if is_sure else "would go", "superseded versions", found.versions)
    if not found.versions:  # then every date can be measured as before
        return
    click.echo(f"every date since {found.kept_since:%Y-%m-%d %H:%M} UTC can be measured as before; earlier ones no more")
    for one in found.lapsed:
        click.echo(f"  {one.launch}: {one.n} stored snapshots ({one.first} to {one.last}) stay, but cannot be computed again")
    if not is_sure:
        click.echo("nothing was changed: `payback prune --yes` does it")


@click.command()
@click.option("--phone", "phones", multiple=True, help="The person's phone number; - reads it from standard input.")
@click.option("--email", "emails", multiple=True, help="The person's e-mail address; - reads it from standard input.")
@click.option("--lead", "leads", multiple=True, metavar="SOURCE:ID", help="A lead of the person.")
@yes_option
@json_option
@click.pass_obj
def erase(
    invocation: "Invocation",
    phones: tuple[str, ...],
    emails: tuple[str, ...],
    leads: tuple[str, ...],
    is_sure: bool,
    is_json: bool,
) -> None:
    """Forget a person for good: all leads, deals, contacts and stage changes, in all versions, also in later syncs."""
    from pipeline import erasure
    from pipeline.lease import one_run
    from pipeline.state import State

    if not phones and not emails and not leads:
        raise click.UsageError("say who: --phone, --email or --lead")
    settings = invocation.settings()
    home, url = _home(settings), settings.warehouse_url.reveal()
    request = erasure.request_of(settings, _given(phones), _given(emails), leads)
    found = erasure.look_up(url, request)
    if not is_sure and found.n_rows:
        _show_counts("would go", "rows of the person, in all versions,", found.rows)
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is there to be asked: erasing cannot be undone, add --yes")
        click.confirm("erase them for good?", abort=True)
    if found.n_rows or found.was_erased_before:
        with one_run(home, "erase", "erase"):
            found = erasure.erase(url, State(home), request)
    if is_json:
        facts = {"rows": found.rows, "versions": found.versions, "was_erased_before": found.was_erased_before}
        _print_json(facts)
    elif found.n_rows:
        _show_counts("erased", "rows of the person, in all versions,", found.rows)
        click.echo("  a later sync turns them away, and so does a restore; but older backups still hold them")
        click.echo("  the CRM has its own copy: erase the person there too")
    else:
        click.echo("erased before: nothing is left" if found.was_erased_before else "nothing is known of this person")
    if not found.n_rows and not found.was_erased_before:
        invocation.code = Exit.NOTHING


def _home(settings: "Settings") -> Path:
    return settings.folder.resolve().parent


def _given(values: tuple[str, ...]) -> list[str]:
    """The values, those written as - from standard input: a command line stays in the shell's history."""
    return [sys.stdin.readline().strip() if value == "-" else value for value in values]


def _print_json(facts: Mapping[str, object]) -> None:
    click.echo(json.dumps({"schema_version": 1, **facts}, indent=2, sort_keys=True, ensure_ascii=False))


def _show_counts(verb: str, what: str, counts: Mapping[str, int]) -> None:
    listed = ", ".join(f"{n} of {table}" for table, n in counts.items())
    click.echo(f"{verb}: {sum(counts.values())} {what} {listed}".rstrip() if counts else f"{verb}: nothing")
