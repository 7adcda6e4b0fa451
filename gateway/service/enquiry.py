"""Why has a study not arrived: found by what somebody knows of it, what became of it, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from gateway.audit import AuditAction, AuditEntry
from gateway.custody.original_tokens import KINDS, tokens_of
from gateway.custody.secret import GATEWAY, project_secrets
from gateway.errors import ConfigurationError
from gateway.ledger import DeliveryState, InstanceState, Ledger, Selection, StudyReport
from gateway.ledger.states import OPEN
from gateway.settings.configuration import Settings

__all__ = ["Step", "Verdict", "find_new", "find_original", "next_steps", "study_fields", "verdict"]

#: No identifier of DICOM is longer than 64 characters; people may write blanks around it.
_LONGEST: Final = 256


class Verdict(StrEnum):
    """What became of what was looked for, the worst first."""

    ABSENT = "absent"
    NEEDS_SOMEBODY = "needs somebody"
    UNDER_WAY = "under way"
    DONE = "done"

    @property
    def exit_code(self) -> int:
        """For scripts: 0 everything arrived or was rejected by a rule, 1 nothing is known, 3 under way, 4 it waits."""
        return {Verdict.ABSENT: 1, Verdict.NEEDS_SOMEBODY: 4, Verdict.UNDER_WAY: 3, Verdict.DONE: 0}[self]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to know about a study, and the command that goes on from there; empty where nothing is to do."""

    text: str
    command: str = ""


def find_original(
    settings: Settings, ledger: Ledger, text: str, *, by: str, kind: str | None = None
) -> list[StudyReport]:
    """The studies that an original identifier belongs to, whichever it is; the question is audited first.

    Parameters
    ----------
    settings
        the configuration
    ledger
        its ledger
    text
        Patient ID, Accession Number, or a UID, as somebody writes it
    by
        who asks
    kind
        one of ``KINDS``, to ask for that alone

    Raises
    ------
    ConfigurationError
        there is no text, or no such kind, or the gateway's secret cannot be read
    LedgerUnavailable
        the ledger cannot be read, or the question not audited
    """
    if kind is not None and kind not in KINDS:
        raise ConfigurationError(place="kind", problem=f"the kinds of identifiers are {', '.join(KINDS)}")
    if not text.strip() or len(text) > _LONGEST:
        raise ConfigurationError(place="the identifier", problem=f"it has 1 to {_LONGEST} characters")
    tokens = tokens_of(project_secrets(settings, GATEWAY), text, kinds=KINDS if kind is None else (kind,))
    matched, reports = ledger.studies.find(tokens)
    ledger.audit.write(
        AuditEntry(
            actor=by,
            action=AuditAction.ORIGINAL_SOUGHT,
            subject=", ".join(f"study {report.number}" for report in reports[:20]) or "nothing found",
            facts={"asked": kind or "any", "found_as": ", ".join(sorted(matched)), "studies": len(reports)},
        )
    )
    return reports


def find_new(
    ledger: Ledger,
    *,
    pseudonym: str | None = None,
    uid: str | None = None,
    selection: Selection | None = None,
    association: int | None = None,
) -> list[StudyReport]:
    """The studies that the gateway itself named so, or that somebody sent.

    Parameters
    ----------
    ledger
        the ledger
    pseudonym
        Patient ID in the outputs
    uid
        Study, Series or SOP Instance UID in the outputs
    selection
        what else must be true of their instances
    association
        that brought them

    Raises
    ------
    LedgerUnavailable
        the ledger cannot be read
    """
    base = replace(selection or Selection(), patient_id=pseudonym)
    if uid is None:
        return ledger.studies.report_on(base, association=association)
    for named in (replace(base, study_uid=uid), replace(base, series_uid=uid), replace(base, sop_uid=uid)):
        if reports := ledger.studies.report_on(named, association=association):
            return reports
    return []


def verdict(reports: Sequence[StudyReport]) -> Verdict:
    """What became of studies as a whole."""
    if not reports:
        return Verdict.ABSENT
    held = any(report.count(InstanceState.HELD) for report in reports)
    dead = any(group.state is DeliveryState.DEAD for report in reports for group in report.deliveries)
    if held or dead:
        return Verdict.NEEDS_SOMEBODY
    waiting = any(report.count(InstanceState.RECEIVED, InstanceState.DEIDENTIFIED) for report in reports)
    return Verdict.UNDER_WAY if waiting else Verdict.DONE


def next_steps(report: StudyReport) -> Iterator[Step]:
    """What is to be known of a study, in the order of its way, with the command that leads on."""
    for group in report.instances:
        of = f"{group.count} {_instances(group.count)}"
        match group.state:
            case InstanceState.RECEIVED:
                yield Step(f"{of} received: waiting for a worker, or with one", "gateway health")
            case InstanceState.HELD:
                command = f"gateway held list --code {shlex.quote(group.code)}"
                if group.project is not None:
                    command += f" --project {shlex.quote(group.project)}"
                yield Step(f"{of} held: {group.code}", f"gateway held show {group.first}")
                if group.count > 1:
                    yield Step("", command)
            case InstanceState.REJECTED:
                command = f"gateway history {group.first}" if group.first else ""
                yield Step(f"{of} rejected: {group.code}", command)
    for sent in report.deliveries:
        of = f"{sent.count} {'delivery' if sent.count == 1 else 'deliveries'} to {sent.destination}"
        code = f": {sent.code}" if sent.code else ""
        to = shlex.quote(sent.destination)
        if sent.state in OPEN:
            due = f", next at {_moment(sent.due_at)}"
            yield Step(f"{of} {_WORDS[sent.state]}{code}{due}", f"gateway deliveries list --destination {to}")
        elif sent.state is DeliveryState.DEAD:
            yield Step(f"{of} given up{code}", f"gateway deliveries retry --destination {to}")
        elif sent.state is DeliveryState.CONFIRMED:
            yield Step(f"{of} confirmed, the last at {_moment(sent.changed_at)}")
        elif sent.state is DeliveryState.CANCELLED:
            yield Step(f"{of} cancelled{code}")
    confirmed = {group.destination for group in report.deliveries if group.state is DeliveryState.CONFIRMED}
    for file, count in report.left.items():
        yield Step(f"{count} {_instances(count)} of these left the ledger: history/{file} has what is known of each")
    # What has left cannot be sent again from here: its bytes are gone, and nothing says any more what they were.
    if confirmed and report.study_uids and any(not group.archive for group in report.instances):
        to = f" --destination {shlex.quote(min(confirmed))}" if len(confirmed) == 1 else ""
        yield Step(
            "if the archive has lost it", f"gateway deliveries resend --study {report.study_uids[0]}{to} --if-missing"
        )


def study_fields(report: StudyReport) -> dict[str, object]:
    """A report as JSON values."""
    return {
        "study": report.number,
        "study_uids": list(report.study_uids),
        "patient_ids": list(report.patient_ids),
        "projects": _distinct(group.project for group in report.instances),
        "sources": _distinct(group.source for group in report.instances),
        "associations": list(report.associations),
        "first_received": _moment(report.first_received),
        "last_received": _moment(report.last_received),
        "last_event": _moment(report.last_event),
        "received": report.received,
        "in_progress": report.count(InstanceState.RECEIVED),
        "rejected": report.codes(InstanceState.REJECTED),
        "held": report.codes(InstanceState.HELD),
        "deidentified": report.count(
            InstanceState.DEIDENTIFIED, InstanceState.DELIVERED, InstanceState.PURGED
        ),
        "delivered": report.count(InstanceState.DELIVERED, InstanceState.PURGED),
        "purged": report.count(InstanceState.PURGED),
        "left": report.left,
        "deliveries": [
            {
                "destination": group.destination,
                "state": group.state.value,
                "code": group.code,
                "count": group.count,
                "changed_at": _moment(group.changed_at),
                **({"due_at": _moment(group.due_at)} if group.state in OPEN else {}),
            }
            for group in report.deliveries
        ],
        "verdict": verdict([report]).value,
        "next": [{"text": step.text, "command": step.command} for step in next_steps(report)],
    }  # fmt: skip


_WORDS: Final = {
    DeliveryState.PENDING: "waiting",
    DeliveryState.SENT: "sent and not confirmed yet",
    DeliveryState.FAILED: "failed, to be tried again",
}


def _instances(count: int) -> str:
    return "instance" if count == 1 else "instances"


def _distinct(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
