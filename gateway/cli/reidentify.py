"""``gateway reidentify``: ask the crosswalk of a project, on the record."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from gateway.audit import acting_person
from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.cli.tables import print_fields, say
from gateway.errors import ConfigurationError
from gateway.settings.configuration import load_settings


def reidentify(
    value: Annotated[str | None, typer.Argument(help="Patient ID or UID in the outputs.")] = None,
    *,
    project: Annotated[str, typer.Option(help="Project whose crosswalk is asked.")],
    because: Annotated[str, typer.Option(help="Why, for the audit trail; without identity.")],
    original: Annotated[
        bool,
        typer.Option(
            "--original",
            help="Ask the other way round: for what became of an original Patient ID or UID. It is asked for, or read"
            " from standard input: other accounts of the machine can see what stands on a command line.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    config: ConfigFile = None,
) -> None:
    """Tell who a pseudonym is. The look-up is audited before it is answered. Exit code 1 if nothing is known."""
    from gateway.treatment.correspondence import LookUp, crosswalk_keys, look_up

    because = because.strip()
    if not because:
        raise ConfigurationError(place="--because", problem="a look-up needs a reason")
    if original and value is not None:
        raise ConfigurationError(place="--original", problem="an original value is not given on the command line")
    settings = load_settings(config, os.environ)
    if project not in settings.projects:
        raise ConfigurationError(place="--project", problem=f"there is no project {project}")
    keys = crosswalk_keys(settings).get(project)
    if keys is None:
        raise ConfigurationError(place=f"projects.{project}.crosswalk", problem="the project keeps no crosswalk")
    if value is None:
        value = _asked(hide=original)
    with opened_ledger(config) as ledger:
        correspondences = look_up(
            ledger,
            keys,
            LookUp(
                project=project,
                value=value,
                side="original" if original else "replacement",
                actor=acting_person(),
                because=because,
            ),
        )
    for one in correspondences:
        if as_json:
            content = {"kind": one.kind.value, "replacement": one.replacement, "original": dict(one.original)}
            say(json.dumps(content, ensure_ascii=False))
            continue
        say(f"{one.kind.value} {one.replacement}")
        print_fields(one.original.items(), indent=2)
    if not correspondences:
        say("the crosswalk does not know it", error=True)
        raise typer.Exit(1)


def _asked(*, hide: bool) -> str:
    if sys.stdin.isatty():
        question = "Original Patient ID or UID" if hide else "Patient ID or UID"
        return str(typer.prompt(question, hide_input=hide)).strip()
    return sys.stdin.readline().strip()
