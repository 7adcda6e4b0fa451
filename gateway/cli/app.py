"""The ``gateway`` command.

Exit codes: 0 success; 1 the command failed or found something wrong; 2 the configuration, a profile or the command
line is wrong; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from gateway.errors import ConfigurationError, GatewayError, ProfileError
from gateway.printing import printing_plainly
from gateway.privacy import make_private


class _Entry(NamedTuple):
    """Where a command is, the module and the name of its function or group, and what it does."""

    module: str
    name: str
    summary: str


#: Imported when asked for: a health check needs no codecs, and the list of commands none of them.
COMMANDS: Final[Mapping[str, _Entry]] = {
    "run": _Entry("gateway.cli.run", "run", "Receive, de-identify and deliver until told to stop (SIGTERM or Ctrl-C)."),
    "status": _Entry(
        "gateway.cli.ledger",
        "status",
        "Show how many instances and deliveries are in which state, and how old the oldest is.",
    ),
    "account": _Entry("gateway.cli.ledger", "account", "Balance the books: every acknowledged instance has a fate."),
    "history": _Entry("gateway.cli.ledger", "history", "Show everything that happened to an instance."),
    "find": _Entry("gateway.cli.find", "find", "Find studies, and say where they are and what leads on."),
    "studies": _Entry("gateway.cli.find", "studies", "List studies: received, held, and what has arrived where."),
    "deliveries": _Entry("gateway.cli.deliveries", "deliveries", "Deliveries to the destinations."),
    "instances": _Entry("gateway.cli.instances", "instances", "Instances: make them anew."),
    "held": _Entry("gateway.cli.held", "held", "Instances that wait for a human."),
    "receipts": _Entry("gateway.cli.receipts", "receipts", "Receipts: the proof of every confirmed delivery."),
    "audit": _Entry("gateway.cli.audit", "audit", "The audit trail: who did what, and why."),
    "reidentify": _Entry("gateway.cli.reidentify", "reidentify", "Tell who a pseudonym is."),
    "vocabulary": _Entry("gateway.cli.vocabulary", "vocabulary", "Words of the house that cleaned descriptors lose."),
    "backup": _Entry("gateway.cli.backup", "backup", "Back up ledger and spool, also of a running gateway."),
    "restore": _Entry(
        "gateway.cli.backup",
        "restore",
        "Restore a backup into the empty data directory of the configuration, and check that it is whole.",
    ),
    "destinations": _Entry("gateway.cli.destinations", "destinations", "Where instances go."),
    "notify": _Entry("gateway.cli.notify", "notify", "Telling people what happens."),
    "deid": _Entry("gateway.cli.deid", "deid", "De-identify files and verify the result."),
    "profile": _Entry("gateway.cli.profile", "profile", "Begin, read, check, explain, compare and test profiles."),
    "samples": _Entry(
        "gateway.cli.samples",
        "samples",
        "Send sample studies with planted identities; with --check, exit code 0 only if all arrived without them.",
    ),
    "config": _Entry("gateway.cli.config", "config", "Check and explain the configuration."),
    "access": _Entry("gateway.cli.access", "access", "Passwords, tokens and keys."),
    "health": _Entry(
        "gateway.cli.health",
        "health",
        "Ask the running gateway whether it accepts and processes instances; exit code 1 if not.",
    ),
    "version": _Entry("gateway.cli.version", "version", "Print the version."),
}


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parser's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        implementation = getattr(import_module(entry.module), entry.name)
        if isinstance(implementation, typer.Typer):
            implementation.rich_markup_mode = None
            command: Any = get_group(implementation)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
            alone.command()(implementation)
            command = get_command(alone)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


app: Final = typer.Typer(
    name="gateway",
    cls=_Commands,
    no_args_is_help=True,
    # Typer's own tracebacks print local variables, which may hold identity.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def gateway() -> None:
    """A de-identifying DICOM gateway."""


def main() -> None:
    """Run the command line. Errors are one message; those of libraries without their text, which may quote a value."""
    make_private()
    with printing_plainly():
        _run()


def _run() -> None:
    try:
        app(prog_name="gateway")
    except GatewayError as error:
        sys.stderr.write(f"gateway: {error.message}\n")
        sys.exit(2 if isinstance(error, ConfigurationError | ProfileError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last place where its text can be kept from the terminal
        from gateway.log import place_of

        sys.stderr.write(f"gateway: internal error: {type(error).__name__} at {place_of(error)}\n")
        sys.exit(1)
