"""``gateway health``: what a container's health check asks."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection, HTTPException

import typer

from gateway.cli.options import ConfigFile
from gateway.config import load_settings
from gateway.errors import TransientError

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


class NotRunning(TransientError):
    """No gateway answers on {address}: {reason}."""


def health(config: ConfigFile = None) -> None:
    """Ask the running gateway whether it accepts and processes instances; exit code 1 if not."""
    settings = load_settings(config, os.environ)
    host = _ANY.get(settings.http.host, settings.http.host)
    connection = HTTPConnection(host, settings.http.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        report = json.loads(answer.read(65536))
        problems = [str(problem) for problem in report["problems"]]
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        raise NotRunning(address=f"{host}:{settings.http.port}", reason=type(error).__name__) from None
    finally:
        connection.close()
    if answer.status != 200:
        typer.echo("\n".join(problems) or f"status {answer.status}", err=True)
        raise typer.Exit(1)
    typer.echo("ready")
