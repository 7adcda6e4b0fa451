"""Whether the kind of an instance makes burned-in text, or a face, likely (PS3.15 E.3.1, E.3.2).

``data/caution.csv`` is the gateway's own judgement by SOP class, modality, image type, conversion and part of the body.
It is made to err on the side of caution: a SOP class that it does not name is suspect, and Burned In Annotation
(0028,0301) and Recognizable Visual Features (0028,0302) are believed where they say YES, never where they say NO.
Ultrasound images full of text that say NO are common.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from gateway.dicom.encoded import Element
from gateway.dicom.instance import Instance
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from gateway.pixels.caution import CAUTIONS, Caution
from gateway.pixels.description import PixelDescription

__all__ = ["CONVERSION_TYPE", "IMAGE_TYPE", "Risk", "features_risk_of", "risk_of", "sop_class_of"]

IMAGE_TYPE: Final = 0x00080008
_SOP_CLASS_UID: Final = 0x00080016
_MODALITY: Final = 0x00080060
CONVERSION_TYPE: Final = 0x00080064
_BODY_PART_EXAMINED: Final = 0x00180015
_BURNED_IN_ANNOTATION: Final = 0x00280301
_RECOGNIZABLE_VISUAL_FEATURES: Final = 0x00280302
#: Elements that only a capturing or digitising device writes (PS3.3 C.8.6.1).
_CAPTURED_BY: Final = frozenset((0x00181010, 0x00181012, 0x00181014, 0x00181016, 0x00181018, 0x00181019, 0x00181022))
_PRINTED_BY: Final = frozenset((0x00181011, 0x00181017, 0x0018101A, 0x0018101B))
#: All of them lie in this range.
_DEVICES: Final = range(0x00181010, 0x00181023)
#: The repeating groups 60xx, and in them Overlay Bit Position and Overlay Data (PS3.3 C.9.2).
_OVERLAYS: Final = range(0x60000000, 0x60200000)
_OVERLAY_BIT_POSITION: Final = 0x0102
_OVERLAY_DATA: Final = 0x3000
#: The kind of risk that an overlay in unused bits of the pixels is.
OVERLAY_IN_PIXELS: Final = "overlay-in-pixels"
_PIXELS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
#: Words in the names of the transfer syntaxes of video (PS3.5 A.4.5 to A.4.9).
_VIDEO: Final = ("MPEG", "HEVC")
#: The second value of Image Type says it (PS3.3 C.7.6.1.1.2); elsewhere the word means nothing.
_SECONDARY: Final = "SECONDARY"


@dataclass(frozen=True, slots=True)
class Risk:
    """What makes an instance suspect.

    Attributes
    ----------
    kind
        a stable word for lists
    reason
        the same for a person; no value of the instance
    """

    kind: str
    reason: str


def risk_of(instance: Instance, description: PixelDescription | None) -> Risk | None:
    """Why the pixels of ``instance`` may hold burned-in text.

    Parameters
    ----------
    instance
        as received
    description
        of its pixel data; None if it has none

    Returns
    -------
    The first reason found; None if there are no pixels, or nothing makes them suspect.
    """
    if description is None:
        return None
    if _says_yes(instance, _BURNED_IN_ANNOTATION):
        return Risk("declared", "Burned In Annotation (0028,0301) is YES")
    if any(word in _syntax_name(instance) for word in _VIDEO):
        return Risk("video", "video is not looked into")
    return _by_kind(instance) or _by_origin(instance) or _by_overlays(instance, description)


def features_risk_of(instance: Instance) -> Risk | None:
    """Why a face may be recognised in ``instance``: in a photograph, or in what a volume renders (PS3.15 E.3.2).

    Cross-sectional images count if the part of the body is unknown, or one that the table does not know to be without
    a face. One slice of a head is enough: its neighbours may come.
    """
    if _says_yes(instance, _RECOGNIZABLE_VISUAL_FEATURES):
        return Risk("declared", "Recognizable Visual Features (0028,0302) is YES")
    of_class = CAUTIONS.get(("sop-class", sop_class_of(instance)))
    others = (CAUTIONS.get(("modality", _modality(instance))), CAUTIONS.get(("conversion", _conversion(instance))))
    if any(caution is not None and caution.face == "face" for caution in (of_class, *others)):
        return Risk("photograph", "objects of this kind may show a face")
    if of_class is None:
        has_pixels = any(element[0] in _PIXELS for element in instance.elements)
        return Risk("unknown-kind", "images of an unknown SOP class may show a face") if has_pixels else None
    if of_class.face == "volume":
        part = instance.text(_BODY_PART_EXAMINED).upper().replace(" ", "").replace("_", "")
        if ("body-part", part) not in CAUTIONS:
            what = "an unknown part of the body" if not part else "a part of the body that may include the head"
            return Risk("volume", f"images of {what} may be rendered to a face")
    return None


def _by_kind(instance: Instance) -> Risk | None:
    caution = CAUTIONS.get(("sop-class", sop_class_of(instance)))
    if caution is None:
        return Risk("unknown-kind", "the SOP class is none of those known to come without text")
    if caution.text:
        return _risk(caution)
    caution = CAUTIONS.get(("modality", _modality(instance)))
    return None if caution is None or not caution.text else _risk(caution)


def _by_origin(instance: Instance) -> Risk | None:
    """What an image says of how it was made."""
    types = [value.strip() for value in instance.text(IMAGE_TYPE).upper().split("\\")]
    values = [("image-type", value) for number, value in enumerate(types) if value != _SECONDARY or number == 1]
    values.append(("conversion", _conversion(instance)))
    for what, value in values:
        caution = CAUTIONS.get((what, value))
        if caution is not None and caution.text:
            return _risk(caution)
    devices = {tag for tag, _vr, _start, value, end, _items in _between(instance, _DEVICES) if end > value}
    if devices & _PRINTED_BY:
        return Risk("film", "the image comes from film")
    if devices & _CAPTURED_BY:
        return Risk("secondary-capture", "the image was captured from a screen or digitised")
    return None


def _by_overlays(instance: Instance, description: PixelDescription) -> Risk | None:
    """Overlays in the bits of Pixel Data that no sample uses (retired; PS3.3-2004 C.9.2)."""
    if description.bits_allocated <= description.bits_stored:
        return None
    tags = {element[0] for element in _between(instance, _OVERLAYS)}
    for tag in tags:
        group, number = tag >> 16, tag & 0xFFFF
        if group % 2 == 0 and number == _OVERLAY_BIT_POSITION and (group << 16 | _OVERLAY_DATA) not in tags:
            return Risk(OVERLAY_IN_PIXELS, "an overlay lies in unused bits of the pixels")
    return None


def _between(instance: Instance, tags: range) -> list[Element]:
    """The elements of the top level with tags from the first to the last of ``tags``."""
    elements = instance.elements
    # A tuple sorts before a longer one that begins with it.
    return elements[bisect_left(elements, (tags.start,)) : bisect_left(elements, (tags.stop,))]


def _risk(caution: Caution) -> Risk:
    return Risk(caution.because.replace(" ", "-"), f"images of this kind ({caution.because}) often hold text")


def sop_class_of(instance: Instance) -> str:
    """The SOP class by the data set, or by the file meta information."""
    return instance.text(_SOP_CLASS_UID) or instance.meta.sop_class_uid


def _modality(instance: Instance) -> str:
    return instance.text(_MODALITY).upper()


def _conversion(instance: Instance) -> str:
    return instance.text(CONVERSION_TYPE).upper()


def _syntax_name(instance: Instance) -> str:
    syntax = TRANSFER_SYNTAXES.get(instance.transfer_syntax)
    return "" if syntax is None else syntax.name


def _says_yes(instance: Instance, tag: int) -> bool:
    return instance.text(tag).upper() == "YES"
