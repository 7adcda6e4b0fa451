"""Commands that read the ledger: ``status``, ``account``, ``history``, ``deliveries``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.shared_options import ConfigFile
from gateway.errors import ConfigurationError
from gateway.ledger import Ledger
from gateway.settings.configuration import load_settings
from gateway.treatment.resources import open_ledger

deliveries = typer.Typer(help="Deliveries to the destinations.", no_args_is_help=True)
#: What is piped into another program is not cut to the width of a terminal.
_console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 240)


def status(config: ConfigFile = None) -> None:
    """Show how many instances and deliveries are in which state, and how old the oldest is."""
    now = datetime.now(UTC)
    with opened_ledger(config) as ledger:
        figures = ledger.figures.status()
    instances = Table("project", "state", "instances", "bytes", "oldest", box=None, pad_edge=False)
    for row in figures.instances:
        instances.add_row(row.project or "-", row.state, str(row.count), f"{row.size:,}", _age(row.oldest, now))
    print_or(instances, "no instances")
    if figures.reasons:
        reasons = Table("project", "held or rejected", "code", "instances", box=None, pad_edge=False)
        for reason in figures.reasons:
            reasons.add_row(reason.project or "-", reason.state, reason.code, str(reason.count))
        _console.print()
        print_or(reasons, "")
    sent = Table("destination", "state", "deliveries", "bytes", "oldest", box=None, pad_edge=False)
    for count in figures.deliveries:
        sent.add_row(count.destination, count.state, str(count.count), f"{count.size:,}", _age(count.oldest, now))
    _console.print()
    print_or(sent, "no deliveries")


def account(config: ConfigFile = None) -> None:
    """Balance the books: every acknowledged instance has a fate. Exit code 1 if one has not."""
    with opened_ledger(config) as ledger:
        books = ledger.accounts.draw()
    columns = ("project", "received", "in progress", "rejected", "held", "de-identified", "delivered", "purged")
    table = Table(*columns, box=None, pad_edge=False)
    for row in books.projects:
        numbers = (
            row.received,
            row.in_progress,
            sum(row.rejected.values()),
            sum(row.held.values()),
            row.deidentified,
            row.delivered,
            row.purged,
        )
        table.add_row(row.project or "-", *(str(number) for number in numbers))
    print_or(table, "nothing received")
    for problem in books.problems:
        _console.print(f"does not balance: {problem}")
    _console.print("balanced" if books.balanced else "NOT balanced")
    if not books.balanced:
        raise typer.Exit(1)


def history(
    instance: Annotated[int, typer.Argument(help="Number of the instance, as the log and the lists give it.")],
    config: ConfigFile = None,
) -> None:
    """Show everything that happened to an instance."""
    with opened_ledger(config) as ledger:
        entries = ledger.history.of(instance)
        if not entries:
            from gateway.custody.history_archive import archive_folder, archived_history, departed_history

            archive, folder = ledger.archives.of(instance), archive_folder(load_settings(config, os.environ))
            if archive is not None:
                entries = archived_history(folder, archive, instance)
            else:
                entries = departed_history(folder, ledger, instance)
    if not entries:
        raise ConfigurationError(place="history", problem=f"there is no instance {instance}")
    table = Table("when", "what", "from", "to", "by", "code", "detail", box=None, pad_edge=False)
    for entry in entries:
        what = "instance" if entry.destination is None else f"delivery {entry.delivery_id} to {entry.destination}"
        table.add_row(
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            what,
            entry.before or "-",
            entry.after,
            entry.actor,
            entry.code,
            entry.detail,
        )
    print_or(table, "")


@contextmanager
def opened_ledger(config: Path | None) -> Iterator[Ledger]:
    """The ledger of a configuration whose gateway has run; closed at the end of the block.

    Raises
    ------
    ConfigurationError
        the configuration is wrong, or there is no ledger
    """
    settings = load_settings(config, os.environ)
    if settings.storage.ledger is None and not (settings.data / "ledger.sqlite3").exists():
        raise ConfigurationError(
            place=str(settings.data), problem="there is no ledger: no gateway has run on this data"
        )
    ledger = open_ledger(settings, synchronous="full")
    try:
        yield ledger
    finally:
        ledger.close()


def print_or(table: Table, otherwise: str) -> None:
    """Print a table, or a sentence if it has no rows."""
    if table.row_count:
        _console.print(table)
    elif otherwise:
        _console.print(otherwise)


def _age(since: datetime, now: datetime) -> str:
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
