"""``gateway audit``: who did what, and proof that nothing of it was changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.audit import AuditAction
from gateway.cli.export import read_file, write_documents
from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.cli.tables import print_table
from gateway.settings.configuration import load_settings

audit = typer.Typer(help="The audit trail: who did what, and why.", no_args_is_help=True)


@audit.command("list")
def list_entries(
    *,
    action: Annotated[AuditAction | None, typer.Option(help="Only this action.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows: the last ones.")] = 100,
    config: ConfigFile = None,
) -> None:
    """List entries, oldest first."""
    with opened_ledger(config) as ledger:
        entries = list(ledger.audit.trail(newest=limit if action is None else None))
    if action is not None:
        entries = [one for one in entries if one.text("action") == action][-limit:]
    rows = [
        (
            str(one.number),
            one.text("at"),
            one.text("actor"),
            one.text("action"),
            one.text("subject"),
            one.text("because"),
            " ".join(f"{name}={value}" for name, value in sorted(one.facts.items())),
        )
        for one in entries
    ]
    print_table(("number", "when (UTC)", "who", "what", "to what", "because", "facts"), rows)


@audit.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; standard output without it.")] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Write all entries, one JSON document per line. Keep the file elsewhere: it shows later what was changed."""
    with opened_ledger(config) as ledger:
        write_documents((one.document for one in ledger.audit.trail()), file, what="entries")


@audit.command()
def verify(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files that were exported earlier, to be compared as well.")
    ] = None,
    *,
    log: Annotated[
        list[Path] | None,
        typer.Option(help="Files of the gateway's log: what they say of the ends of chains is compared as well."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Check that no entry was changed, inserted or removed, nor the end of a chain written anew. Exit code 1 if so."""
    from gateway.custody.sealing import broken_seals, missing_from_log, seal_keys
    from gateway.ledger.audit_trail import compare_trail, read_trail, verify_trail

    flaws: list[str] = []
    with opened_ledger(config) as ledger:
        # Who has nothing that is sealed needs no secrets.
        keys = seal_keys(load_settings(config, os.environ)) if ledger.seals.last() else {}
        flaws += [f"ledger: {problem}" for problem in broken_seals(ledger, keys)]
        flaws += [f"ledger: the trigger {name} is missing, changed or off" for name in ledger.seals.missing_guards()]
        for file in log or ():
            told = missing_from_log(ledger, read_file(file, lambda lines: lines))
            flaws += [f"{file.name}: {problem}" for problem in told]
        # The end first: entries that are written meanwhile are beyond it, and not yet to be judged.
        end = ledger.audit.end()
        present = [one for one in ledger.audit.trail() if end is None or one.number <= end.number]
    flaws += [f"ledger: entry {flaw.number}: {flaw.problem}" for flaw in verify_trail(present, end)]
    for file in files or ():
        exported = read_file(file, read_trail)
        exported_flaws = [*verify_trail(exported, None, whole=False), *compare_trail(exported, present)]
        flaws += [f"{file.name}: entry {flaw.number}: {flaw.problem}" for flaw in exported_flaws]
    for flaw in flaws:
        typer.echo(flaw)
    if end is not None:
        typer.echo(f"{end.number} entries, the last is {end.digest}")
    typer.echo("verified" if not flaws else "NOT verified")
    if flaws:
        raise typer.Exit(1)
