"""``gateway receipts``: the proofs of deliveries."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.export import read_file, write_documents
from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.errors import ConfigurationError
from gateway.ledger import AUDIT
from gateway.settings.configuration import load_settings

receipts = typer.Typer(help="Receipts: the proof of every confirmed delivery.", no_args_is_help=True)


@receipts.command()
def show(
    instance: Annotated[int, typer.Argument(help="Number of the instance, as the log and the lists give it.")],
    config: ConfigFile = None,
) -> None:
    """Show the receipts of an instance, one per destination that confirmed it."""
    with opened_ledger(config) as ledger:
        its_receipts = list(ledger.receipts.read(instance_id=instance))
    if not its_receipts:
        raise ConfigurationError(place="receipts", problem=f"there is no receipt of instance {instance}")
    for receipt in its_receipts:
        document = {**json.loads(receipt.document), "digest": receipt.digest}
        typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))


@receipts.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; standard output without it.")] = None,
    *,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    config: ConfigFile = None,
) -> None:
    """Write all receipts, one JSON document per line. Keep the file elsewhere: it shows later what was changed."""
    with opened_ledger(config) as ledger:
        write_documents((one.document for one in ledger.receipts.read(project=project)), file, what="receipts")


@receipts.command()
def verify(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files that were exported earlier, to be compared as well.")
    ] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Check that no receipt was changed, inserted or removed. Exit code 1 if one was."""
    from gateway.custody.sealing import broken_seals, seal_keys
    from gateway.treatment.receipt_chain import Flaw, compare_export, read_export, verify_chains

    flaws: list[tuple[str, Flaw]] = []
    with opened_ledger(config) as ledger:
        keys = seal_keys(load_settings(config, os.environ)) if ledger.seals.last() else {}
        broken = [one for one in broken_seals(ledger, keys) if not one.startswith(AUDIT)]
        # The ends first: receipts that are written meanwhile are beyond them, and not yet to be judged.
        ends = ledger.receipts.chains()
        known = {end.project: end.number for end in ends}
        present = [one for one in ledger.receipts.read() if one.number <= known.get(one.project, one.number)]
    flaws += [("ledger", flaw) for flaw in verify_chains(present, ends)]
    for file in files or ():
        exported = read_file(file, read_export)
        flaws += [(file.name, flaw) for flaw in verify_chains(exported, ())]
        flaws += [(file.name, flaw) for flaw in compare_export(exported, present)]
    for place, flaw in flaws:
        typer.echo(f"{place}: project {flaw.project}, receipt {flaw.number}: {flaw.problem}")
    for one in broken:
        typer.echo(f"ledger: {one}")
    for end in ends:
        typer.echo(f"project {end.project}: {end.number} receipts, the last is {end.digest}")
    is_whole = not flaws and not broken
    typer.echo("verified" if is_whole else "NOT verified")
    if not is_whole:
        raise typer.Exit(1)
