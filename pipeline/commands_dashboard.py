"""`payback password`: the hash of a password for a user of the dashboard."""

import sys

import click


@click.command()
def password() -> None:
    """Ask twice for a password of the dashboard (nothing is shown) and print its hash, for .env."""
    from pipeline.passwords import LONGEST, SHORTEST, hash_password

    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    else:
        lines = sys.stdin.read(4 * LONGEST).splitlines()  # the same two answers, from a program
        if len(lines) != 2 or lines[0] != lines[1]:
            raise click.UsageError("write the password twice, on two lines")
        given = lines[0]
    if not SHORTEST <= len(given) <= LONGEST:
        raise click.UsageError(f"a password has {SHORTEST} to {LONGEST} characters: a few words are easy to remember")
    click.echo(hash_password(given))
    click.echo(
        "put it into .env as PAYBACK_PASSWORD_NAME=... and name it in payback.toml: docs/dashboard.md", err=True
    )
