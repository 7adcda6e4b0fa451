"""Pixels that are floating-point numbers: measurements, which no pixel rule understands and nobody draws text into.

Only Parametric Map Storage has them (PS3.3 A.75, C.7.6.24, C.7.6.25). Such an instance passes without being looked at
if its numbers fill the frames exactly, if it does not say that text is burned in, and if no row of letters stands among
the numbers.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import PIXEL_DATA
from gateway.errors import PixelsUnreadable
from gateway.pixels.description import (
    COLUMNS,
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    NUMBER_OF_FRAMES,
    ROWS,
    integer,
)

__all__ = ["is_measured"]

_PARAMETRIC_MAP: Final = "1.2.840.10008.5.1.4.1.1.30"
_SOP_CLASS_UID, _BURNED_IN = 0x00080016, 0x00280301
_BYTES: Final = {FLOAT_PIXEL_DATA: 4, DOUBLE_FLOAT_PIXEL_DATA: 8}
_LETTERS: Final = re.compile(rb"[\x20-\x7e]{16,}")
#: Fewer different bytes are one number over and over.
_LEAST_DIFFERENT: Final = 6
_CHUNK: Final = 1 << 20


def is_measured(instance: Instance) -> bool:
    """Whether the pixels are measurements that may pass as they are: see the module."""
    kinds = [tag for tag in (PIXEL_DATA, *_BYTES) if find(instance.elements, tag) is not None]
    if len(kinds) != 1 or kinds[0] not in _BYTES or instance.text(_SOP_CLASS_UID) != _PARAMETRIC_MAP:
        return False
    if instance.text(_BURNED_IN) == "YES":
        return False
    element = find(instance.elements, kinds[0])
    if element is None or element[5] is not None:
        return False
    _tag, _vr, _start, value, end, _items = element
    try:
        rows, columns, frames = (integer(instance, tag) for tag in (ROWS, COLUMNS, NUMBER_OF_FRAMES))
    except PixelsUnreadable:
        return False
    if end - value != rows * columns * frames * _BYTES[kinds[0]]:
        return False
    return not any(
        len(set(run)) >= _LEAST_DIFFERENT
        for start in range(value, end, _CHUNK)
        for run in _LETTERS.findall(instance.buffer[start : min(end, start + _CHUNK + 64)])
    )
