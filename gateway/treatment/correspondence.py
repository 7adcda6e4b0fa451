"""The crosswalk: filled when an instance is de-identified, read by an authorised person with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.audit import AuditAction, AuditEntry
from gateway.custody.crosswalk_key import Correspondence, CrosswalkKey, CrosswalkKind, opened
from gateway.custody.secret import project_secrets
from gateway.deid import Deidentified
from gateway.dicom.instance import Instance
from gateway.errors import ReasonNamesPatient
from gateway.ledger import Ledger
from gateway.ledger.crosswalk_row import CrosswalkRow
from gateway.settings.configuration import Settings

_PATIENT_ID: Final = 0x00100020
_ISSUER_OF_PATIENT_ID: Final = 0x00100021
_PATIENT_NAME: Final = 0x00100010
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
_SOP_INSTANCE_UID: Final = 0x00080018
#: Parts of names shorter than this stand in ordinary words.
_SHORTEST_NAME: Final = 4
_SHORTEST_VALUE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """What somebody wants to know.

    Attributes
    ----------
    project
        name of the project
    value
        Patient ID or UID
    side
        on which side of the crosswalk ``value`` stands
    actor
        who asks
    because
        why
    """

    project: str
    value: str
    side: Literal["replacement", "original"]
    actor: str
    because: str


def crosswalk_keys(settings: Settings) -> Mapping[str, tuple[CrosswalkKey, ...]]:
    """Project -> the keys of its crosswalk, the present one first, for the projects that keep one.

    Raises
    ------
    ConfigurationError
        a secret is missing, weak or readable by others
    """
    return {
        name: tuple(CrosswalkKey(secret, name) for secret in project_secrets(settings, name))
        for name, project in settings.projects.items()
        if project.crosswalk
    }


def crosswalk_rows(key: CrosswalkKey, instance: Instance, output: Deidentified) -> tuple[CrosswalkRow, ...]:
    """The rows of one instance: its patient, study, series and itself; what the original lacks has none.

    Parameters
    ----------
    key
        of its project
    instance
        as received, open
    output
        what became of it
    """
    return tuple(key.seal(one) for one in _correspondences(instance, output) if one.name and one.replacement)


def _correspondences(instance: Instance, output: Deidentified) -> Iterator[Correspondence]:
    patient_id = instance.text(_PATIENT_ID)
    yield Correspondence(
        kind=CrosswalkKind.PATIENT,
        original={
            "PatientID": patient_id,
            "PatientName": instance.text(_PATIENT_NAME),
            "IssuerOfPatientID": instance.text(_ISSUER_OF_PATIENT_ID),
        },
        replacement=output.patient_id,
    )
    # With the patient: whoever knows a study asks whose it is.
    yield Correspondence(
        kind=CrosswalkKind.STUDY,
        original={"StudyInstanceUID": instance.text(_STUDY_INSTANCE_UID), "PatientID": patient_id},
        replacement=output.study_uid,
    )
    yield Correspondence(
        kind=CrosswalkKind.SERIES,
        original={"SeriesInstanceUID": instance.text(_SERIES_INSTANCE_UID)},
        replacement=output.series_uid,
    )
    yield Correspondence(
        kind=CrosswalkKind.INSTANCE,
        original={"SOPInstanceUID": instance.text(_SOP_INSTANCE_UID) or instance.meta.sop_instance_uid},
        replacement=output.sop_uid,
    )


def look_up(ledger: Ledger, keys: Sequence[CrosswalkKey], wanted: LookUp) -> list[Correspondence]:
    """What the crosswalk knows; the look-up is in the audit trail before it is answered, found or not.

    The entry names the value in the outputs if there is one, else a keyed token of what was asked: what somebody types
    as a pseudonym may be an original.

    Parameters
    ----------
    ledger
        the ledger
    keys
        of the project, those of earlier secrets included
    wanted
        the question

    Raises
    ------
    CrosswalkUnreadable
        a row does not open with the project's keys
    ReasonNamesPatient
        the reason holds what the crosswalk is to keep secret; it is not written down
    LedgerUnavailable
        the ledger cannot be read or written; nothing is answered
    """
    if wanted.side == "original":
        rows = ledger.crosswalk.rows(wanted.project, original=[key.original_token(wanted.value) for key in keys])
    else:
        rows = ledger.crosswalk.rows(wanted.project, replacement=[key.replacement_token(wanted.value) for key in keys])
    answers = [opened(keys, row) for row in rows]
    names_patient = _names_patient(wanted, answers)
    token = keys[0].original_token if wanted.side == "original" else keys[0].replacement_token
    subjects = tuple(dict.fromkeys(one.replacement for one in answers)) or (f"token {token(wanted.value)}",)
    ledger.audit.write(
        AuditEntry(
            actor=wanted.actor,
            action=AuditAction.CROSSWALK_READ,
            subject=", ".join(subjects),
            because="" if names_patient else wanted.because,
            facts={
                "project": wanted.project,
                "asked": wanted.side,
                "found": len(answers),
                "answered": not names_patient,
            },
        )
    )
    if names_patient:
        raise ReasonNamesPatient
    return answers


def _names_patient(wanted: LookUp, answers: Sequence[Correspondence]) -> bool:
    """Whether the reason holds an original value, or a part of a name, of what is asked or answered."""
    values = {wanted.value} if wanted.side == "original" or not answers else set()
    parts: set[str] = set()
    for one in answers:
        # Values that were kept as they are stand in the outputs anyway.
        values |= {value for value in one.original.values() if value != one.replacement}
        name = one.original.get("PatientName", "")
        parts |= set(name.replace("^", " ").replace("=", " ").split())
    because = wanted.because.casefold()
    return any(value.casefold() in because for value in values if len(value) >= _SHORTEST_VALUE) or any(
        part.casefold() in because for part in parts if len(part) >= _SHORTEST_NAME
    )
