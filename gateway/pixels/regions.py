"""The regions of an ultrasound image (PS3.3 C.8.5.5), checked before anything is trusted to them."""

from __future__ import annotations

from struct import Struct
from typing import Final

from gateway.dicom.encoded import Element, find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import show
from gateway.errors import RuleFailed
from gateway.pixels.areas import Area

__all__ = ["ULTRASOUND_REGIONS", "corner", "ultrasound_regions"]

ULTRASOUND_REGIONS: Final = 0x00186011
SPATIAL_FORMAT: Final = 0x00186012
#: Region Location Min X0, Min Y0, Max X1, Max Y1, in the order of ``Area``; the maxima belong to the region.
CORNERS: Final = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
#: 2D, M-mode, spectral, wave form and graphics: regions of image. Others, and 0 for none, may hold anything.
_FORMATS: Final = frozenset((1, 2, 3, 4, 5))
_UNSIGNED_LONG: Final = Struct("<I").unpack_from
_UNSIGNED_SHORT: Final = Struct("<H").unpack_from


def ultrasound_regions(instance: Instance, *, rows: int, columns: int, where: str) -> tuple[Area, ...]:
    """The regions of spatial formats 1 to 5.

    Parameters
    ----------
    instance
        the instance
    rows, columns
        the size of its frames
    where
        the rule that needs them, for errors

    Raises
    ------
    RuleFailed
        there is none, or one is empty or ends outside the image, so that none can be trusted
    """
    sequence = find(instance.elements, ULTRASOUND_REGIONS)
    regions: list[Area] = []
    for _start, _value, _end, _implicit, elements in (sequence[5] or []) if sequence is not None else []:
        area = region_of(instance, elements, where=where)
        # Some devices write the number of columns or rows where the last column or row is meant.
        if not (area.right - 1 <= columns and area.bottom - 1 <= rows):
            raise RuleFailed(where=where, reason=f"a region of {show(ULTRASOUND_REGIONS)} ends outside the image")
        format_ = find(elements, SPATIAL_FORMAT)
        if format_ is None or format_[4] - format_[3] != 2:
            raise RuleFailed(where=where, reason=f"a region of {show(ULTRASOUND_REGIONS)} has no spatial format")
        if _UNSIGNED_SHORT(instance.buffer, format_[3])[0] in _FORMATS:
            regions.append(area._replace(right=min(area.right, columns), bottom=min(area.bottom, rows)))
    if not regions:
        raise RuleFailed(where=where, reason=f"{show(ULTRASOUND_REGIONS)} has no region of an image")
    return tuple(regions)


def region_of(instance: Instance, elements: list[Element], *, where: str) -> Area:
    """The corners of one region.

    Raises
    ------
    RuleFailed
        a corner is missing, or the region is empty
    """
    left, top, last_column, last_row = (corner(instance, elements, tag, where=where) for tag in CORNERS)
    if not (left < last_column and top < last_row):
        raise RuleFailed(where=where, reason=f"a region of {show(ULTRASOUND_REGIONS)} is empty")
    return Area(left, top, last_column + 1, last_row + 1)


def corner(instance: Instance, elements: list[Element], tag: int, *, where: str) -> int:
    """One of the four numbers that say where a region lies."""
    element = find(elements, tag)
    if element is None or element[4] - element[3] != 4:
        raise RuleFailed(where=where, reason=f"a region of {show(ULTRASOUND_REGIONS)} has no {show(tag)}")
    number: int = _UNSIGNED_LONG(instance.buffer, element[3])[0]
    return number
