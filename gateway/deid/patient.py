"""Whose instance it is: the pseudonym that stands for a patient within a project."""

from __future__ import annotations

from typing import Final

from gateway.deid.identity import ProjectKey
from gateway.dicom.instance import Instance
from gateway.profile import Identity

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
_ISSUER_OF_PATIENT_ID: Final = 0x00100021
_PATIENT_BIRTH_DATE: Final = 0x00100030
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SOP_INSTANCE_UID: Final = 0x00080018


def patient_key(instance: Instance) -> tuple[str, ...]:
    """What tells this patient from all others, as parts for a keyed digest.

    Patient ID with its issuer; without an ID the name and birth date; without those the study, so that unknown
    patients of different studies are never merged.
    """
    patient_id = instance.text(PATIENT_ID)
    if patient_id:
        return ("id", patient_id, instance.text(_ISSUER_OF_PATIENT_ID))
    name = instance.text(PATIENT_NAME)
    if name.strip("^= "):
        return ("name", name, instance.text(_PATIENT_BIRTH_DATE))
    study = instance.text(_STUDY_INSTANCE_UID)
    if study:
        return ("study", study)
    return ("instance", instance.text(_SOP_INSTANCE_UID) or instance.meta.sop_instance_uid)


def patient_pseudonym(instance: Instance, identity: Identity, key: ProjectKey) -> str:
    """The patient's pseudonym in the format that the profile asks for."""
    return identity.patient_pseudonym(key.digest("patient", *patient_key(instance)))
