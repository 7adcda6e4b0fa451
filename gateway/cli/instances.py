"""``gateway instances``: make instances anew."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.audit import acting_person
from gateway.cli.choice import (
    Chosen,
    Instances,
    Patient,
    ProjectName,
    Series,
    Since,
    SopInstance,
    Source,
    Study,
    Until,
    chosen,
)
from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.ledger import InstanceState
from gateway.service.again import redo

instances = typer.Typer(help="Instances: make them anew.", no_args_is_help=True)


@instances.callback()
def group() -> None:
    """Instances: make them anew."""


@instances.command("redo")
def redo_instances(
    *,
    study: Study = None,
    series: Series = None,
    instance: SopInstance = None,
    patient: Patient = None,
    source: Source = None,
    project: ProjectName = None,
    since: Since = None,
    until: Until = None,
    numbers: Instances = None,
    state: Annotated[list[InstanceState] | None, typer.Option(help="Only in these states.")] = None,
    keep_confirmed: Annotated[
        bool, typer.Option("--keep-confirmed", help="What a destination has confirmed stays as it is there.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Without a choice: everything that is kept.")] = False,
    because: Annotated[str, typer.Option(help="Why; goes into the audit trail.")],
    config: ConfigFile = None,
) -> None:
    """De-identify instances again from their originals, by today's profile, and deliver what comes of it."""
    selection = chosen(
        Chosen(study=study, series=series, instance=instance, patient=patient, source=source, project=project,
               since=since, until=until, instances=numbers),
        everything=everything,
    )  # fmt: skip
    with opened_ledger(config) as ledger:
        done = redo(
            ledger,
            selection,
            states=tuple(state or ()),
            keep_confirmed=keep_confirmed,
            by=acting_person(),
            because=because,
        )
    typer.echo(f"{done.instances} instances go through the workers again")
    if done.under_way:
        typer.echo(f"{done.under_way} are being delivered at this moment: repeat the command")
    if done.gone:
        typer.echo(f"{done.gone} were purged: have the sender send them again")
