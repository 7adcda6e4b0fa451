"""Which instances somebody means, by what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from gateway.ledger.schema import deliveries, departed, departed_deliveries, instances, is_state, outputs
from gateway.ledger.states import InstanceState

__all__ = ["Selection", "condition", "departed_condition"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Instances for which everything that is given is true.

    Attributes
    ----------
    instance_ids
        rows; None for any, an empty sequence for none
    project, source
        names of the configuration
    study_uid, series_uid, sop_uid, patient_id
        new values, as they stand in the output
    destination
        of one of their deliveries
    since, until
        when they were received, timezone-aware; ``until`` is not included
    states
        in which they are; any if empty
    """

    instance_ids: Sequence[int] | None = None
    project: str | None = None
    source: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sop_uid: str | None = None
    patient_id: str | None = None
    destination: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    states: tuple[InstanceState, ...] = ()

    @property
    def is_narrow(self) -> bool:
        """Whether anything is asked for: without, all instances are meant."""
        return any(
            value is not None
            for value in (
                self.instance_ids,
                self.project,
                self.source,
                self.study_uid,
                self.series_uid,
                self.sop_uid,
                self.patient_id,
                self.destination,
                self.since,
                self.until,
            )
        )

    @property
    def words(self) -> str:
        """What is asked for, for the audit trail; new values and names only."""
        named = {
            "instances": None if self.instance_ids is None else ", ".join(map(str, self.instance_ids[:100])),
            "project": self.project,
            "source": self.source,
            "study": self.study_uid,
            "series": self.series_uid,
            "instance": self.sop_uid,
            "patient": self.patient_id,
            "destination": self.destination,
            "since": None if self.since is None else self.since.isoformat(timespec="seconds"),
            "until": None if self.until is None else self.until.isoformat(timespec="seconds"),
        }
        return "; ".join(f"{name} {value}" for name, value in named.items() if value is not None) or "all"


def condition(selection: Selection) -> sa.ColumnElement[bool]:
    """The selection as a condition on a query of instances."""
    made: list[sa.ColumnElement[bool]] = []
    columns = instances.c
    if selection.instance_ids is not None:
        made.append(columns.id.in_(sorted(set(selection.instance_ids))))
    if selection.project is not None:
        made.append(columns.project == selection.project)
    if selection.source is not None:
        made.append(columns.source == selection.source)
    if selection.since is not None:
        made.append(columns.received_at >= selection.since)
    if selection.until is not None:
        made.append(columns.received_at < selection.until)
    if selection.states:
        made.append(is_state(columns.state, *selection.states))
    output = {
        outputs.c.study_uid: selection.study_uid,
        outputs.c.series_uid: selection.series_uid,
        outputs.c.sop_uid: selection.sop_uid,
        outputs.c.patient_id: selection.patient_id,
    }
    wanted = [column == value for column, value in output.items() if value is not None]
    if wanted:
        made.append(columns.id.in_(sa.select(outputs.c.instance_id).where(*wanted)))
    if selection.destination is not None:
        made.append(
            columns.id.in_(sa.select(deliveries.c.instance_id).where(deliveries.c.destination == selection.destination))
        )
    return sa.and_(sa.true(), *made)


def departed_condition(selection: Selection) -> sa.ColumnElement[bool] | None:
    """The selection as a condition on a query of ``departed``; None if it names single instances, which are not told
    apart there.
    """
    if selection.instance_ids is not None or selection.sop_uid is not None:
        return None
    columns = departed.c
    alike = {
        columns.project: selection.project,
        columns.source: selection.source,
        columns.study_uid: selection.study_uid,
        columns.series_uid: selection.series_uid,
        columns.patient_id: selection.patient_id,
    }
    made: list[sa.ColumnElement[bool]] = [column == value for column, value in alike.items() if value is not None]
    if selection.since is not None:
        made.append(columns.last_received >= selection.since)
    if selection.until is not None:
        made.append(columns.first_received < selection.until)
    if selection.states:
        made.append(is_state(columns.state, *selection.states))
    if selection.destination is not None:
        of_destination = sa.select(departed_deliveries.c.departed_id).where(
            departed_deliveries.c.destination == selection.destination
        )
        made.append(columns.id.in_(of_destination))
    return sa.and_(sa.true(), *made)
