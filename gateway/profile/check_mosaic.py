"""Whether volumes that are stored as one picture, the slices side by side, stay what they were.

Siemens calls such pictures mosaics (MOSAIC in Image Type) and writes into a private element how many slices there are;
without it readers take the empty fields at the end for slices too, and the volume has another shape.
"""

from __future__ import annotations

from typing import Final

from gateway.profile.check_times import takes
from gateway.profile.program import Program
from gateway.profile.verb import Verb

__all__ = ["lost_slices"]

_MR: Final = "1.2.840.10008.5.1.4.1.1.4"
_IMAGE_TYPE: Final = ("ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC")
_MAKER: Final = "SIEMENS"
#: The elements that have the number of slices: the number itself, and the header that holds everything.
_NUMBER: Final = (0x0019100A, "SIEMENS MR HEADER")
_HEADER: Final = (0x00291010, "SIEMENS CSA HEADER")


def lost_slices(program: Program) -> str:
    """What a profile does to mosaics that go on; empty if their number of slices stays or a rule says that it goes."""
    for tag, creator in (_NUMBER, _HEADER):
        rules = [rule for rule in program.private_elements if rule.matches(tag, creator)]
        if any(rule.action.verb is Verb.KEEP or (rule.offset is not None and rule.action.because) for rule in rules):
            return ""
    if takes(program, "MR", _MR, _IMAGE_TYPE, Manufacturer=_MAKER) != "accept":
        return ""
    return (
        "mosaics (MR of Siemens, MOSAIC in Image Type) lose the number of their slices, and volumes get another shape: "
        "use retain-acquisition-private, or hold them: accept: [{hold: '\"MOSAIC\" in ImageType', because: ...}], or "
        'say that it is meant: remove: ["(0019,xx0A) SIEMENS MR HEADER"] with because'
    )
