"""Replacing UIDs (PS3.15 Table E.1-1, action U)."""

from __future__ import annotations

from gateway.deid.identity import ProjectKey
from gateway.dicom.uid import is_well_known


def replace(original: str, key: ProjectKey) -> str:
    """The UID that stands for ``original`` everywhere in the project.

    Well-known UIDs (PS3.6 Annex A: SOP classes, well-known frames of reference, standard palettes) name no instance
    and stay; so does the empty value. Anything else is replaced, whether it is a valid UID or not.
    """
    if not original or is_well_known(original):
        return original
    return key.uid(original)
