"""Bringing an implicit VR data set to explicit VR, which encapsulated pixel data needs (PS3.5 A.4)."""

from __future__ import annotations

from pathlib import Path
from struct import unpack_from
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from gateway.dicom.encoded import Buffer, Element, Item, Limits, find
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.reencode import WorkFile, rewrite
from gateway.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.pixels.description import PIXEL_REPRESENTATION

#: Explicit VR and undefined lengths of sequences make a data set longer, hardly twice as long.
_GROWTH: Final = 2
_ROOM: Final = 1 << 20


def in_explicit_vr(instance: Instance, *, work: Path, limits: Limits) -> tuple[Instance, WorkFile]:
    """The data set of an implicit VR instance in explicit VR little endian, in a work file.

    Numbers that the dictionary leaves open, US or SS, are what Pixel Representation says (PS3.5 A.1, PS3.3 C.7.6.3.1).

    Parameters
    ----------
    instance
        an instance in implicit VR
    work
        directory of the work file
    limits
        nesting depth and number of elements

    Returns
    -------
    The instance, to be closed, and its file, to be removed.

    Raises
    ------
    SpoolUnavailable
        the work file cannot be written
    """
    file = WorkFile(work, _GROWTH * len(instance.buffer) + _ROOM)
    with file:
        rewrite(instance.buffer, _resolved(instance.buffer, instance.elements, signed=False), file, big_endian=False)
    try:
        opened = open_instance(
            file.path, work=work, limits=limits, max_reencode_bytes=1, transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN
        )
    except BaseException:
        file.remove()
        raise
    return opened, file


def _resolved(buffer: Buffer, elements: list[Element], *, signed: bool) -> list[Element]:
    """The elements with VR SS where the dictionary leaves open what signed pixel values are."""
    representation = find(elements, PIXEL_REPRESENTATION)
    if representation is not None and representation[4] - representation[3] == 2:
        signed = unpack_from("<H", buffer, representation[3])[0] == 1
    resolved: list[Element] = []
    for tag, vr, start, value, end, items in elements:
        if items is not None:
            inner: list[Item] = [
                (begin, content, stop, implicit, _resolved(buffer, nested, signed=signed))
                for begin, content, stop, implicit, nested in items
            ]
            resolved.append((tag, vr, start, value, end, inner))
            continue
        is_open = vr == b"US" and signed and dictionary_has_tag(tag) and dictionary_VR(tag).startswith("US or SS")
        resolved.append((tag, b"SS" if is_open else vr, start, value, end, None))
    return resolved
