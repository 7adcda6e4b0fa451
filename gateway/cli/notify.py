"""``gateway notify``: whether people can be told."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.cli.shared_options import ConfigFile
from gateway.errors import ConfigurationError
from gateway.sections.yamlfile import suggestion
from gateway.settings.configuration import load_settings

notify = typer.Typer(help="Telling people what happens.", no_args_is_help=True)


@notify.command("list")
def list_notifications(config: ConfigFile = None) -> None:
    """List who is told of what."""
    settings = load_settings(config, os.environ)
    for name, one in (settings.notifications or {}).items():
        events = ", ".join(event.value for event in one.events)
        typer.echo(f"{name}: {one.type}, of {', '.join(one.projects or ['all projects'])}: {events}")


@notify.command("test")
def try_notifications(
    names: Annotated[list[str] | None, typer.Argument(help="Names of notifications; all without.")] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Send each a message that says so, and tell in words what is wrong. Exit code 1 if something is."""
    from gateway.notify import Message, NotifyFailed, build_notifier

    settings = load_settings(config, os.environ)
    known = settings.notifications or {}
    if not known:
        raise ConfigurationError(place="notifications", problem="there are none")
    for name in names or ():
        if name not in known:
            problem = f'no notification is named "{name}"{suggestion(name, known)}'
            raise ConfigurationError(place="notifications", problem=problem)
    works = True
    for name in names or known:
        try:
            build_notifier(name, known[name]).send(Message.trial(name=name, now=datetime.now(UTC)))
        except NotifyFailed as error:
            works = False
            typer.echo(f"{name}: WRONG {error.facts['reason']}")
        else:
            typer.echo(f"{name}: ok    the message was taken")
    if not works:
        raise typer.Exit(1)
