"""``gateway deliveries``: list them, try dead ones again, send once more what was confirmed, cancel and move."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.table import Table

from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.cli.choice import (
    Chosen,
    Destination,
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
from gateway.cli.ledger import opened_ledger, print_or
from gateway.cli.shared_options import ConfigFile
from gateway.ledger import DeliveryState
from gateway.ledger.states import OPEN
from gateway.service.again import cancel, resend
from gateway.settings.configuration import load_settings

deliveries = typer.Typer(help="Deliveries to the destinations.", no_args_is_help=True)


@deliveries.command("list")
def list_deliveries(
    *,
    destination: Annotated[str | None, typer.Option(help="Only this destination.")] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 100,
    config: ConfigFile = None,
) -> None:
    """List deliveries, oldest first."""
    with opened_ledger(config) as ledger:
        rows = ledger.deliveries.entries(destination=destination, state=state, limit=limit)
    table = Table(
        "delivery", "instance", "destination", "state", "attempts", "due", "code", "detail", box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(
            str(row.delivery_id),
            str(row.instance_id),
            row.destination,
            row.state,
            str(row.attempts),
            f"{row.due_at:%Y-%m-%d %H:%M:%S}" if row.state in OPEN else "-",
            row.code,
            row.detail,
        )
    print_or(table, "no deliveries")


@deliveries.command("retry")
def retry_deliveries(
    deliveries: Annotated[
        list[int] | None, typer.Argument(help="Numbers of deliveries; all dead ones without.")
    ] = None,
    *,
    destination: Annotated[str | None, typer.Option(help="Only this destination.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Also those that wait for their next attempt.")] = False,
    config: ConfigFile = None,
) -> None:
    """Send dead deliveries again; with --failed those that wait as well, at once."""
    person = acting_person()
    audit = AuditEntry(
        actor=person,
        action=AuditAction.DELIVERY_FORCED,
        subject=destination or "every destination",
        facts={"asked": "all" if not deliveries else ", ".join(map(str, deliveries[:100]))},
    )
    with opened_ledger(config) as ledger:
        count = ledger.deliveries.retry(
            destination=destination,
            delivery_ids=deliveries or None,
            only_dead=not failed and not deliveries,
            by=person,
            audit=audit,
        )
    typer.echo(f"{count} deliveries will be sent again")


@deliveries.command("resend")
def resend_deliveries(
    *,
    study: Study = None,
    series: Series = None,
    instance: SopInstance = None,
    patient: Patient = None,
    source: Source = None,
    project: ProjectName = None,
    since: Since = None,
    until: Until = None,
    destination: Destination = None,
    also_new: Annotated[
        bool, typer.Option("--also-new", help="To --destination also what was never meant for it: it was added later.")
    ] = False,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Ask the destination first, and send only what it does not have.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Without a choice: everything that was delivered.")] = False,
    because: Annotated[str, typer.Option(help="Why; goes into the audit trail.")] = "",
    config: ConfigFile = None,
) -> None:
    """Send once more what was confirmed: an archive was emptied, or a destination was added."""
    selection = chosen(
        Chosen(study=study, series=series, instance=instance, patient=patient, source=source, project=project,
               since=since, until=until),
        everything=everything or destination is not None,
    )  # fmt: skip
    settings = load_settings(config, os.environ)
    with opened_ledger(config) as ledger:
        done = resend(
            settings,
            ledger,
            selection,
            destination=destination,
            also_new=also_new,
            if_missing=if_missing,
            by=acting_person(),
            because=because,
        )
    typer.echo(f"{done.deliveries} deliveries will be {'asked for' if if_missing else 'sent'}")
    for count, what in (
        (done.created, "of them to a destination that had none of it"),
        (done.under_way, "instances are not delivered yet, and will be without this"),
        (done.unwanted, "instances were not meant for this destination: --also-new sends them there"),
        (done.gone, "instances were purged: have the sender send them again"),
    ):
        if count:
            typer.echo(f"{count} {what}")


@deliveries.command("cancel")
def cancel_deliveries(
    destination: Annotated[str, typer.Argument(help="Whose deliveries; it need not be configured any more.")],
    *,
    study: Study = None,
    patient: Patient = None,
    source: Source = None,
    project: ProjectName = None,
    instances: Instances = None,
    because: Annotated[str, typer.Option(help="Why; goes into the audit trail.")],
    config: ConfigFile = None,
) -> None:
    """End deliveries that have not arrived and are not wanted any more; instances without another one are done."""
    selection = chosen(
        Chosen(study=study, patient=patient, source=source, project=project, instances=instances), everything=True
    )
    with opened_ledger(config) as ledger:
        count = cancel(
            load_settings(config, os.environ), ledger, selection,
            destination=destination, by=acting_person(), because=because,
        )  # fmt: skip
    typer.echo(f"{count} deliveries to {destination} are cancelled")


@deliveries.command("move")
def move_deliveries(
    destination: Annotated[str, typer.Argument(help="Whose deliveries; it need not be configured any more.")],
    to: Annotated[str, typer.Argument(help="The destination that gets them.")],
    *,
    study: Study = None,
    patient: Patient = None,
    source: Source = None,
    project: ProjectName = None,
    instances: Instances = None,
    because: Annotated[str, typer.Option(help="Why; goes into the audit trail.")] = "",
    config: ConfigFile = None,
) -> None:
    """Let another destination have what has not arrived: this one was renamed, or replaced."""
    selection = chosen(
        Chosen(study=study, patient=patient, source=source, project=project, instances=instances), everything=True
    )
    with opened_ledger(config) as ledger:
        count = cancel(
            load_settings(config, os.environ), ledger, selection,
            destination=destination, move_to=to, by=acting_person(), because=because,
        )  # fmt: skip
    typer.echo(f"{count} deliveries are moved from {destination} to {to}")
