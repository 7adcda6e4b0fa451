"""``gateway access``: passwords and tokens for the HTTP interface, and which keys projects use."""

from __future__ import annotations

import os
import sys

import typer

from gateway.cli.shared_options import ConfigFile
from gateway.errors import ConfigurationError
from gateway.settings.accounts import hash_password, make_token, token_digest

access = typer.Typer(help="Passwords, tokens and keys.", no_args_is_help=True)


@access.command("hash")
def hash_() -> None:
    """Print the hash of a password for `password_hash`.

    The password is asked for, or read from standard input: an argument would be seen by everybody on this machine.
    """
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        typer.echo(hash_password(password))
    except ValueError as error:
        raise ConfigurationError(place="password", problem=str(error)) from None


@access.command()
def token() -> None:
    """Make a token: print it on the first line, and on the second its hash for `token_hash`."""
    made = make_token()
    typer.echo(made)
    typer.echo(f"sha256:{token_digest(made)}")


@access.command()
def keys(config: ConfigFile = None) -> None:
    """List the versions of every project's key that the gateway has used, by an identifier that tells no secret."""
    from gateway.cli.ledger import opened_ledger
    from gateway.custody.secret import GATEWAY
    from gateway.settings.configuration import load_settings

    settings = load_settings(config, os.environ)
    with opened_ledger(config) as ledger:
        for project, own in ((GATEWAY, settings.gateway_key), *settings.projects.items()):
            recorded = ledger.keys.versions(project)
            if not recorded:
                typer.echo(f"{project}: no key was used yet")
            for one in recorded:
                mark = ", in use" if one.version == own.key_version else ""
                typer.echo(
                    f"{project}: version {one.version}, key {one.key_id}, since {one.recorded_at:%Y-%m-%d}{mark}"
                )
