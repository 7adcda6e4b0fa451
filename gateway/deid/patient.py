"""Whose instance it is: the pseudonym that stands for a patient within a project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.deid.number_source import NumberSource
from gateway.deid.project_key import ProjectKey
from gateway.dicom.instance import Instance
from gateway.errors import PseudonymMissing, RuleFailed
from gateway.profile import Identity

__all__ = [
    "ISSUER_OF_PATIENT_ID",
    "PATIENT_ID",
    "PATIENT_NAME",
    "Patient",
    "claims",
    "identify",
    "patient_key",
    "said_of",
    "subject_of",
]

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
ISSUER_OF_PATIENT_ID: Final = 0x00100021
_PATIENT_BIRTH_DATE: Final = 0x00100030
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SOP_INSTANCE_UID: Final = 0x00080018


@dataclass(frozen=True, slots=True)
class Patient:
    """The patient of an instance.

    Attributes
    ----------
    pseudonym
        what is written to Patient ID and Patient's Name
    subject
        what tells this patient from all others, for keyed functions; those whom a table gives one pseudonym are
        one subject, so that their dates move together
    token
        a keyed token of the subject
    """

    pseudonym: str
    subject: tuple[str, ...]
    token: str


def patient_key(instance: Instance, identity: Identity) -> tuple[str, ...]:
    """What tells this patient from all others, as parts for a keyed digest.

    Patient ID, with its issuer only where the profile says that issuers number for themselves: many studies have it in
    some of their instances. Without an ID the name and birth date; without those the study, so that unknown patients
    of different studies are never merged.
    """
    patient_id = instance.text(PATIENT_ID)
    if identity.is_id(patient_id):
        return ("id", patient_id, instance.text(ISSUER_OF_PATIENT_ID) if identity.issuers == "distinct" else "")
    name = instance.text(PATIENT_NAME)
    if name.strip("^= "):
        return ("name", name, instance.text(_PATIENT_BIRTH_DATE))
    study = instance.text(_STUDY_INSTANCE_UID)
    if study:
        return ("study", study)
    return ("instance", instance.text(_SOP_INSTANCE_UID) or instance.meta.sop_instance_uid)


def said_of(instance: Instance) -> tuple[str, str]:
    """Study Instance UID and Issuer of Patient ID, which ``claims`` is about."""
    return instance.text(_STUDY_INSTANCE_UID), instance.text(ISSUER_OF_PATIENT_ID)


def claims(instance: Instance, key: ProjectKey, subject: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """What an instance says that only one may say: its study of whom it is, its Patient ID of who gave it.

    Parameters
    ----------
    instance
        the instance as received
    key
        the project's key
    subject
        its patient's, as ``subject_of`` has it

    Returns
    -------
    Kind, token of what is spoken of, token of what is said of it. Of one study there is one patient, of one Patient ID
    one issuer.
    """
    study, issuer = said_of(instance)
    token = key.token("patient", *subject)
    said = [("study", key.uid(study), token)] if study else []
    if issuer and subject[0] == "id":
        said.append(("patient-id", token, key.token("issuer", issuer)))
    return tuple(said)


def subject_of(instance: Instance, identity: Identity) -> tuple[str, ...]:
    """As ``Patient.subject``, without asking for a number and where no pseudonym is missing."""
    pseudonym = _in_table(instance, identity)
    return patient_key(instance, identity) if pseudonym is None else ("pseudonym", pseudonym)


def _in_table(instance: Instance, identity: Identity) -> str | None:
    """The pseudonym that a table has for the patient; None without one."""
    patient_id = instance.text(PATIENT_ID)
    if identity.table is None or not identity.is_id(patient_id):
        return None
    return identity.table.find(patient_id, instance.text(ISSUER_OF_PATIENT_ID))


def identify(instance: Instance, identity: Identity, key: ProjectKey, numbers: NumberSource | None) -> Patient:
    """The patient of ``instance`` and the pseudonym in the form that the profile asks for.

    Parameters
    ----------
    instance
        the instance as received
    identity
        how the profile makes pseudonyms
    key
        the project's key
    numbers
        where sequential pseudonyms come from; None where there is no such place

    Raises
    ------
    PseudonymMissing
        the table has no row for the patient, and the profile holds such instances
    RuleFailed
        the profile numbers its patients, and there is nowhere to get numbers from
    """
    subject = patient_key(instance, identity)
    if identity.table is not None:
        pseudonym = _in_table(instance, identity)
        if pseudonym is not None:
            return _patient(pseudonym, ("pseudonym", pseudonym), key)
        if identity.missing == "hold":
            raise PseudonymMissing(table=identity.table.name, what="the patient", token=key.token("patient", *subject))
    if identity.kind == "sequential":
        if numbers is None:
            raise RuleFailed(where="the patient's pseudonym", reason="there is no ledger to get a number from")
        number = numbers.number("patient", key.token("patient", *subject))
        return _patient(identity.numbered_pseudonym(number), subject, key)
    return _patient(identity.patient_pseudonym(key.digest("patient", *subject)), subject, key)


def _patient(pseudonym: str, subject: tuple[str, ...], key: ProjectKey) -> Patient:
    return Patient(pseudonym, subject, key.token("patient", *subject))
