"""Volumes stored as one picture, their slices side by side: none leaves without the number of its slices.

Siemens calls such a picture a mosaic, and says how many slices it has in a private element. A profile that keeps this
element means the volume to stay a volume: a mosaic of which the number would be lost, because it stands in a header
that goes or is not what it should be, is held instead of changing its shape silently.
"""

from __future__ import annotations

from typing import Final

from gateway.deid.guard import Guards
from gateway.deid.private import Known, PrivateElements
from gateway.dicom.encoded import Element, find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import is_private_creator
from gateway.errors import SlicesLost
from gateway.profile import Program, Verb

__all__ = ["check_mosaic", "keeps_slices"]

_IMAGE_TYPE: Final = 0x00080008
_MOSAIC: Final = b"MOSAIC"
_MR_HEADER: Final = "SIEMENS MR HEADER"
#: The number of slices, and a time for each slice, which tells as much.
_COUNTED: Final = frozenset(((0x0019, 0x0A), (0x0019, 0x29)))
#: The header in which Siemens writes everything once more: creator, group, last byte of the number.
_CSA: Final = ("SIEMENS CSA HEADER", 0x0029, 0x10)


def keeps_slices(program: Program) -> bool:
    """Whether a profile keeps the number of slices of mosaics."""
    return any(
        rule.matches(0x0019100A, _MR_HEADER) and rule.action.verb is Verb.KEEP for rule in program.private_elements
    )


def check_mosaic(instance: Instance, private: PrivateElements, guards: Guards, known: Known) -> None:
    """Check that a mosaic keeps its number of slices.

    Parameters
    ----------
    instance
        the original
    private, guards
        the rules for its private elements
    known
        what it says of them

    Raises
    ------
    SlicesLost
        it has the number, and would lose it
    """
    image_type = find(instance.elements, _IMAGE_TYPE)
    if image_type is None or _MOSAIC not in bytes(instance.buffer[image_type[3] : image_type[4]]):
        return
    counted = [element for element in instance.elements if _has_number(instance, element)]
    if not counted:
        return
    decided = private.find(instance.buffer, instance.elements, known)
    for element in counted:
        kept = decided.get(element[0])
        if kept is None or kept.action.verb is not Verb.KEEP or element[3] == element[4]:
            continue
        if kept.guard is None or guards.fits(kept.guard, instance.buffer, element, lambda: instance.character_sets):
            return
    raise SlicesLost


def _has_number(instance: Instance, element: Element) -> bool:
    tag = element[0]
    group, offset = tag >> 16, tag & 0xFF
    if (group, offset) not in _COUNTED and (group, offset) != _CSA[1:]:
        return False
    if is_private_creator(tag):
        return False
    creator = find(instance.elements, tag & 0xFFFF0000 | tag >> 8 & 0xFF)
    if creator is None or creator[5] is not None:
        return False
    name = bytes(instance.buffer[creator[3] : creator[4]]).decode("latin-1").strip("\0 ").upper()
    return name == (_CSA[0] if group == _CSA[1] else _MR_HEADER)
