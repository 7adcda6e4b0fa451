"""``gateway health``: what a container's health check asks."""

from __future__ import annotations

import json
import os
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection

import typer

from gateway.cli.shared_options import ConfigFile
from gateway.errors import ConfigurationError, TransientError
from gateway.settings.configuration import Settings, load_settings

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


class NotRunning(TransientError):
    """No gateway answers on {address}: {reason}."""


def health(config: ConfigFile = None) -> None:
    """Ask the running gateway whether it accepts and processes instances; exit code 1 if not."""
    settings = load_settings(config, os.environ)
    host = _ANY.get(settings.http.host, settings.http.host)
    connection = _connection(host, settings)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        report = json.loads(answer.read(65536))
        problems = [str(problem) for problem in report["problems"]]
        notes = [str(note) for note in report.get("notes", ())]
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        raise NotRunning(address=f"{host}:{settings.http.port}", reason=type(error).__name__) from None
    finally:
        connection.close()
    if answer.status != 200:
        typer.echo("\n".join(problems) or f"status {answer.status}", err=True)
        raise typer.Exit(1)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo("ready")


def _connection(host: str, settings: Settings) -> HTTPConnection:
    tls = settings.http.tls
    if tls is None:
        return HTTPConnection(host, settings.http.port, timeout=5)
    # It is asked under an address that its certificate need not have: the certificate itself is what is trusted.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=str(tls.certificate_file))
    except OSError as error:
        raise ConfigurationError(
            place="http.tls", problem=f"the certificate cannot be read: {error.strerror}"
        ) from None
    return HTTPSConnection(host, settings.http.port, timeout=5, context=context)
