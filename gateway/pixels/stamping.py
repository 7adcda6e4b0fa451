"""What the header says of pixels that were treated (PS3.3 C.7.6.1, PS3.15 E.3.1)."""

from __future__ import annotations

from typing import Final

from gateway.dicom import encode
from gateway.dicom.coded_concepts import meaning_of
from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance, decode_element
from gateway.dicom.iod import element_type
from gateway.pixels.editing import Edit
from gateway.profile import Program, Verb

__all__ = ["BURNED_IN_ANNOTATION", "RECOGNIZABLE_VISUAL_FEATURES", "checked", "derived", "faceless", "unlooked"]

BURNED_IN_ANNOTATION: Final = 0x00280301
RECOGNIZABLE_VISUAL_FEATURES: Final = 0x00280302
_IMAGE_TYPE: Final = 0x00080008
_DERIVATION_DESCRIPTION: Final = 0x00082111
_DERIVATION_CODE_SEQUENCE: Final = 0x00089215
_CODE_VALUE: Final = 0x00080100
_SCHEME: Final = 0x00080102
_MEANING: Final = 0x00080104
_SOP_CLASS_UID: Final = 0x00080016
#: Where functional groups say how each frame was made, the attributes of the whole image must not contradict them, and
#: others are there or not by Image Type (PS3.3 C.8.16.1.1).
_FUNCTIONAL_GROUPS: Final = (0x52009229, 0x52009230)
#: Smallest and largest pixel values of the image and of its series and plane (retired): no longer true, all optional.
_EXTREMES: Final = (0x00280106, 0x00280107, 0x00280108, 0x00280109, 0x00280110, 0x00280111)
#: A thumbnail shows what was blackened.
_ICON_IMAGE_SEQUENCE: Final = 0x00880200
#: PS3.16 CID 7203: the code of blackening.
_MASKED: Final = ("DCM", "113047")

_Elements = dict[int, "tuple[bytes, ...] | None"]


def checked(instance: Instance) -> _Elements:
    """What may be said once burned-in text was blackened, or looked for and not found.

    Parameters
    ----------
    instance
        as received
    """
    return {BURNED_IN_ANNOTATION: (encode.element(BURNED_IN_ANNOTATION, b"CS", b"NO", implicit=instance.implicit),)}


def faceless(instance: Instance) -> _Elements:
    """What may be said once a face was taken out of the series of an instance (PS3.15 E.3.2).

    Parameters
    ----------
    instance
        as received
    """
    value = encode.element(RECOGNIZABLE_VISUAL_FEATURES, b"CS", b"NO", implicit=instance.implicit)
    return {RECOGNIZABLE_VISUAL_FEATURES: (value,)}


def unlooked(instance: Instance) -> _Elements:
    """What must not be said of an image that nobody looked at: that it has no text burned in.

    Burned In Annotation goes, for without it nothing is known (PS3.3 C.7.6.1); where the IOD demands a value it becomes
    YES, the only other one. Enhanced images of original frames may say nothing but NO (PS3.3 C.8.13.2.1): they rather
    lack it.
    """
    if find(instance.elements, BURNED_IN_ANNOTATION) is None or instance.text(BURNED_IN_ANNOTATION).upper() == "YES":
        return {}
    sop_class = instance.text(_SOP_CLASS_UID) or instance.meta.sop_class_uid
    if element_type(sop_class, (), BURNED_IN_ANNOTATION) == "1":
        return {
            BURNED_IN_ANNOTATION: (encode.element(BURNED_IN_ANNOTATION, b"CS", b"YES", implicit=instance.implicit),)
        }
    return {BURNED_IN_ANNOTATION: None}


def derived(instance: Instance, program: Program, edit: Edit) -> _Elements:
    """What changes in the header of an image whose pixels changed.

    Parameters
    ----------
    instance
        as received
    program
        specialised; an Image Type that it does not keep is left to it
    edit
        what was done

    Returns
    -------
    Tag -> the whole encoded element, None for one that goes.
    """
    changes: _Elements = {
        tag: None for tag in (*_EXTREMES, _ICON_IMAGE_SEQUENCE) if find(instance.elements, tag) is not None
    }
    if _has_functional_groups(instance):
        return changes
    implicit = instance.implicit
    values = instance.text(_IMAGE_TYPE).split("\\")
    if values[0] and program.action(_IMAGE_TYPE).verb is Verb.KEEP:
        values[0] = "DERIVED"
        changes[_IMAGE_TYPE] = (
            encode.element(_IMAGE_TYPE, b"CS", "\\".join(values).encode("latin-1"), implicit=implicit),
        )
    words = [
        word
        for word, done in (
            ("areas blackened", edit.areas), ("edges cropped", edit.kept), ("unused bits cleared", edit.clears),
            ("face blanked", edit.blank is not None),
        )
        if done
    ]  # fmt: skip
    text = f"De-identification: {', '.join(words)}".encode("ascii")
    changes[_DERIVATION_DESCRIPTION] = (encode.element(_DERIVATION_DESCRIPTION, b"ST", text, implicit=implicit),)
    if edit.areas or edit.blank is not None:
        changes[_DERIVATION_CODE_SEQUENCE] = (_derivations(instance),)
    return changes


def _has_functional_groups(instance: Instance) -> bool:
    """Whether the instance has functional groups, or its IOD does."""
    sop_class = instance.text(_SOP_CLASS_UID) or instance.meta.sop_class_uid
    return any(
        find(instance.elements, tag) is not None or element_type(sop_class, (), tag) not in (None, "3")
        for tag in _FUNCTIONAL_GROUPS
    )


def _derivations(instance: Instance) -> bytes:
    """The received derivations as far as their codes are the standard's, and ours."""
    codes = [*_received(instance), _MASKED]
    items = []
    for scheme, value in dict.fromkeys(codes):
        meaning = meaning_of(scheme, value)
        if meaning is not None:
            items.append(
                b"".join(
                    encode.element(tag, vr, word.encode("ascii"), implicit=instance.implicit)
                    for tag, vr, word in (
                        (_CODE_VALUE, b"SH", value), (_SCHEME, b"SH", scheme), (_MEANING, b"LO", meaning),
                    )
                )
            )  # fmt: skip
    return encode.sequence(_DERIVATION_CODE_SEQUENCE, items, implicit=instance.implicit)


def _received(instance: Instance) -> list[tuple[str, str]]:
    sequence = find(instance.elements, _DERIVATION_CODE_SEQUENCE)
    codes = []
    for _start, _value, _end, _implicit, elements in (sequence[5] or []) if sequence is not None else []:
        scheme, value = find(elements, _SCHEME), find(elements, _CODE_VALUE)
        if scheme is not None and value is not None:
            texts = [decode_element(instance.buffer, one, instance.character_sets).text for one in (scheme, value)]
            codes.append((texts[0].strip(" \0"), texts[1].strip(" \0")))
    return codes
