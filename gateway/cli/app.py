"""The ``gateway`` command.

Exit codes: 0 success; 1 the command failed or found something wrong; 2 the configuration, a profile or the command
line is wrong; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from gateway.errors import ConfigurationError, GatewayError, ProfileError

#: Command -> module and name of its function or group. Imported when asked for: a health check needs no codecs.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "run": ("gateway.cli.run", "run"),
    "status": ("gateway.cli.ledger", "status"),
    "account": ("gateway.cli.ledger", "account"),
    "history": ("gateway.cli.ledger", "history"),
    "deliveries": ("gateway.cli.ledger", "deliveries"),
    "held": ("gateway.cli.held", "held"),
    "receipts": ("gateway.cli.receipts", "receipts"),
    "audit": ("gateway.cli.audit", "audit"),
    "reidentify": ("gateway.cli.reidentify", "reidentify"),
    "backup": ("gateway.cli.backup", "backup"),
    "restore": ("gateway.cli.backup", "restore"),
    "destinations": ("gateway.cli.destinations", "destinations"),
    "deid": ("gateway.cli.deid", "deid"),
    "profile": ("gateway.cli.profile", "profile"),
    "samples": ("gateway.cli.samples", "samples"),
    "config": ("gateway.cli.config", "config"),
    "access": ("gateway.cli.access", "access"),
    "health": ("gateway.cli.health", "health"),
    "version": ("gateway.cli.version", "version"),
}


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parser's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            found.rich_markup_mode = None
            command: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
            alone.command()(found)
            command = get_command(alone)
        command.name = cmd_name
        return command


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
