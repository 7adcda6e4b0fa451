"""``gateway backup`` and ``gateway restore``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.cli.tables import say
from gateway.errors import ConfigurationError
from gateway.settings.configuration import load_settings

if TYPE_CHECKING:
    from gateway.custody.backup_manifest import Manifest

PassphraseFile: TypeAlias = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="File with the passphrase of the backup.")
]


def backup(
    target: Annotated[Path, typer.Argument(help="Directory to make; empty, or not there yet.")],
    *,
    secrets: Annotated[
        bool,
        typer.Option("--secrets", help="Also the secrets of the data directory, encrypted; needs --passphrase-file."),
    ] = False,
    passphrase_file: PassphraseFile = None,
    ledger_dump: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What pg_dump made of a PostgreSQL ledger just before."),
    ] = None,
    link: Annotated[
        bool,
        typer.Option("--link", help="Hard links instead of copies: to be copied elsewhere from there, at leisure."),
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Back up ledger and spool, also of a running gateway. Exit code 1 if an original is not what was received."""
    from gateway.custody.backup import BackupOrder, make_backup
    from gateway.custody.sealed_secrets import read_passphrase
    from gateway.treatment.resources import open_spool

    if secrets and passphrase_file is None:
        raise ConfigurationError(place="backup", problem="--secrets needs --passphrase-file")
    passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
    settings = load_settings(config, os.environ)
    with opened_ledger(config) as ledger:
        order = BackupOrder(target=target, dump=ledger_dump, passphrase=passphrase, secrets=secrets, link=link)
        report = make_backup(settings, ledger, open_spool(settings), order)
    say(f"{report.manifest.files} files of the spool, {report.manifest.size:,} bytes, and the ledger are in {target}")
    if not secrets:
        say("The secrets are not in it: without them no pseudonym can be continued. Keep them elsewhere, or --secrets.")
    if passphrase is None:
        say("No passphrase: a restore cannot tell whether it was changed, and needs --unauthenticated.", error=True)
    for name in report.damaged:
        say(f"damaged: {name} is missing, or not what it was", error=True)
    if report.damaged:
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(help="The backup.")],
    *,
    passphrase_file: PassphraseFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare the backup with what it says of itself; write nothing.")
    ] = False,
    unauthenticated: Annotated[
        bool,
        typer.Option(
            "--unauthenticated",
            help="Accept a backup without a MAC: made without a passphrase, or by an earlier gateway. Then nothing "
            "shows whether its ledger, originals and outputs were changed.",
        ),
    ] = False,
    numbers_left_out: Annotated[
        int,
        typer.Option(min=1, help="Sequential pseudonyms to leave out: more than were given since the backup."),
    ] = 1000,
    config: ConfigFile = None,
) -> None:
    """Restore a backup into the empty data directory of the configuration, and check that it is whole."""
    from gateway.custody.restore import RestoreOrder, check_backup, restore_backup
    from gateway.custody.sealed_secrets import read_passphrase

    passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
    settings = load_settings(config, os.environ)
    order = RestoreOrder(
        source=source, passphrase=passphrase, unauthenticated=unauthenticated, numbers_left_out=numbers_left_out
    )
    if check:
        manifest = check_backup(order)
        say(f"The backup of {manifest.made_at} is whole: {manifest.files} files of the spool, and the ledger.")
        _say_unchecked(manifest)
        return
    report = restore_backup(settings, order)
    say(f"The backup of {report.manifest.made_at} is restored to {settings.data}: {report.files} files of the spool,")
    say(f"{report.account.received} instances, account balanced.")
    if not report.manifest.secrets:
        say("The secrets are not in it: put them where the configuration has them before the gateway runs.")
    _say_unchecked(report.manifest)


def _say_unchecked(manifest: Manifest) -> None:
    from gateway.custody.backup_manifest import NOT_CHECKED

    if not manifest.mac:
        say(f"Not authenticated: {NOT_CHECKED}.", error=True)
