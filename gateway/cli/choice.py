"""Options by which a command's caller says which instances are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import typer

from gateway.errors import ConfigurationError
from gateway.ledger import Selection

Study: TypeAlias = Annotated[str | None, typer.Option(help="Only this new Study Instance UID.")]
Series: TypeAlias = Annotated[str | None, typer.Option(help="Only this new Series Instance UID.")]
SopInstance: TypeAlias = Annotated[str | None, typer.Option("--instance", help="Only this new SOP Instance UID.")]
Patient: TypeAlias = Annotated[str | None, typer.Option(help="Only this pseudonym.")]
Source: TypeAlias = Annotated[str | None, typer.Option(help="Only from this source.")]
ProjectName: TypeAlias = Annotated[str | None, typer.Option("--project", help="Only of this project.")]
Destination: TypeAlias = Annotated[str | None, typer.Option(help="Only to this destination.")]
Since: TypeAlias = Annotated[
    datetime | None, typer.Option(help="Only what was received at this moment (UTC) or later: 2026-05-01T08:00.")
]
Until: TypeAlias = Annotated[datetime | None, typer.Option(help="Only what was received before this moment (UTC).")]
Instances: TypeAlias = Annotated[
    list[int] | None, typer.Option("--number", help="Only these numbers of instances, as lists and log give them.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was given."""

    study: str | None = None
    series: str | None = None
    instance: str | None = None
    patient: str | None = None
    source: str | None = None
    project: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    instances: list[int] | None = None


def chosen(given: Chosen, *, everything: bool) -> Selection:
    """The selection that the options make.

    Parameters
    ----------
    given
        The options.
    everything
        Whether no option means all instances.

    Raises
    ------
    ConfigurationError
        Nothing was chosen, and that does not mean everything.
    """
    selection = Selection(
        instance_ids=given.instances or None,
        project=given.project,
        source=given.source,
        study_uid=given.study,
        series_uid=given.series,
        sop_uid=given.instance,
        patient_id=given.patient,
        since=_aware(given.since),
        until=_aware(given.until),
    )
    if not everything and not selection.is_narrow:
        raise ConfigurationError(place="the command line", problem="say which instances are meant, or --all")
    return selection


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
