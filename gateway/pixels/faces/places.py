"""Where the slices of CT and MR lie in the patient: single ones, and the frames of an Enhanced image.

The frames of an Enhanced image say it in their functional groups (PS3.3 C.7.6.16): each in its own item, or all of them
in the shared one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.dicom.encoded import Element, find
from gateway.dicom.instance import Instance, decode_element
from gateway.errors import SeriesUnfit
from gateway.pixels.description import PixelDescription, describe

__all__ = ["Slice", "is_part_of_volume", "places_of", "rescaling_of"]

#: CT and MR, by Modality (0008,0060), and the SOP classes of their single slices.
_SINGLE: Final = {"1.2.840.10008.5.1.4.1.1.2": "CT", "1.2.840.10008.5.1.4.1.1.4": "MR"}
#: The same of those whose frames are slices.
_ENHANCED: Final = {
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",  # legacy converted
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",  # legacy converted
}
_SOP_CLASS: Final = 0x00080016
_POSITION: Final = 0x00200032
_ORIENTATION: Final = 0x00200037
_SPACING: Final = 0x00280030
_INTERCEPT: Final = 0x00281052
_SLOPE: Final = 0x00281053
_SHARED: Final = 0x52009229
_PER_FRAME: Final = 0x52009230
#: Attribute -> the functional group that has it: Plane Position, Plane Orientation, Pixel Measures, Pixel Value
#: Transformation.
_GROUPS: Final = {
    _POSITION: 0x00209113,
    _ORIENTATION: 0x00209116,
    _SPACING: 0x00289110,
    _INTERCEPT: 0x00289145,
    _SLOPE: 0x00289145,
}
#: Directions whose length, or the cosine between which, is off by less are good.
_ALIKE: Final = 1e-2


@dataclass(frozen=True, slots=True)
class Slice:
    """Where a slice lies.

    Attributes
    ----------
    key
        by which the caller knows its instance
    rows, columns
        of its pixels
    spacing
        between rows and between columns, in millimetres
    origin
        centre of the first pixel along the patient's axes, in millimetres
    row, column
        directions of a row and of a column, of length 1
    slope, intercept
        of the modality's units
    modality
        CT or MR
    frame
        its number in the instance, from 0
    """

    key: int
    rows: int
    columns: int
    spacing: tuple[float, float]
    origin: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    slope: float
    intercept: float
    modality: str
    frame: int = 0

    def lies_as(self, other: Slice) -> bool:
        """Whether ``other`` lies in the same place, and its values have the same meaning."""
        one, two = (
            (*each.origin, *each.row, *each.column, *each.spacing, each.slope, each.intercept) for each in (self, other)
        )
        return one == two


def is_part_of_volume(instance: Instance) -> bool:
    """Whether an instance is a CT or MR slice, or has such ones as frames."""
    return _class_of(instance) in _SINGLE or _class_of(instance) in _ENHANCED


def places_of(instance: Instance, key: int) -> tuple[tuple[Slice, ...], PixelDescription]:
    """Where each frame of an instance lies, and what its pixels are.

    Parameters
    ----------
    instance
        as received
    key
        by which the caller knows it

    Raises
    ------
    SeriesUnfit
        a frame is no slice with a known place
    PixelsUnreadable
        its pixels contradict their description
    """
    of_class = _class_of(instance)
    modality = _SINGLE.get(of_class) or _ENHANCED.get(of_class)
    if modality is None:
        raise SeriesUnfit(reason="an image of it is no CT or MR slice")
    description = describe(instance)
    single = of_class in _SINGLE
    if description is None or description.samples_per_pixel != 1 or (single and description.frames != 1):
        raise SeriesUnfit(reason="an image of it has no pixels, frames where slices have none, or colours")
    groups = None if single else _groups_of(instance, description.frames)
    slices = []
    for frame in range(description.frames):
        row, column, origin, spacing = _place(instance, None if groups is None else groups[frame])
        slope, intercept = _rescaling(instance, None if groups is None else groups[frame])
        slices.append(
            Slice(
                key=key, rows=description.rows, columns=description.columns, spacing=spacing, origin=origin,
                row=row, column=column, slope=1.0 if slope is None else slope,
                intercept=0.0 if intercept is None else intercept, modality=modality, frame=frame,
            )
        )  # fmt: skip
    return tuple(slices), description


def rescaling_of(instance: Instance, frames: int) -> list[tuple[float | None, float | None]]:
    """Rescale Slope and Intercept of each frame, None where there is none.

    Parameters
    ----------
    instance
        as received
    frames
        how many it has

    Raises
    ------
    SeriesUnfit
        it does not say of each frame where it lies, though its class demands it
    """
    if _class_of(instance) not in _ENHANCED:
        return [_rescaling(instance, None)] * frames
    return [_rescaling(instance, groups) for groups in _groups_of(instance, frames)]


#: The functional groups of a frame: those of its own, and the shared ones.
_Groups = tuple[list[Element], list[Element]]


def _groups_of(instance: Instance, frames: int) -> list[_Groups]:
    shared, per_frame = (_items(find(instance.elements, tag)) for tag in (_SHARED, _PER_FRAME))
    if len(per_frame) != frames or len(shared) > 1:
        raise SeriesUnfit(reason="an image of it does not say of each of its frames where it lies")
    return [(own, shared[0] if shared else []) for own in per_frame]


def _items(sequence: Element | None) -> list[list[Element]]:
    return [] if sequence is None else [item[4] for item in sequence[5] or []]


def _place(
    instance: Instance, groups: _Groups | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Directions of a row and of a column, place of the first pixel, spacing of rows and columns."""
    origin, orientation, spacing = (
        _numbers(_text(instance, groups, tag), count)
        for tag, count in ((_POSITION, 3), (_ORIENTATION, 6), (_SPACING, 2))
    )
    if origin is None or orientation is None or spacing is None or (spacing <= 0).any():
        raise SeriesUnfit(reason="a slice says not where it lies (Image Position, Image Orientation or Pixel Spacing)")
    row, column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if any(abs(length - 1) > _ALIKE for length in lengths) or abs(float(row @ column)) > _ALIKE:
        raise SeriesUnfit(reason="Image Orientation (Patient) of a slice is none")
    return row / lengths[0], column / lengths[1], origin, (float(spacing[0]), float(spacing[1]))


def _rescaling(instance: Instance, groups: _Groups | None) -> tuple[float | None, float | None]:
    slope, intercept = (_numbers(_text(instance, groups, tag), 1) for tag in (_SLOPE, _INTERCEPT))
    return (
        None if slope is None or not slope[0] else float(slope[0]),
        None if intercept is None else float(intercept[0]),
    )


def _text(instance: Instance, groups: _Groups | None, tag: int) -> str:
    """The value of an attribute: of the data set, or of the functional group that has it."""
    if groups is None:
        return instance.text(tag)
    for elements in groups:
        for group in _items(find(elements, _GROUPS[tag])):
            element = find(group, tag)
            if element is not None:
                return decode_element(instance.buffer, element, instance.character_sets).text.strip(" \0")
    return ""


def _numbers(text: str, count: int) -> NDArray[np.float64] | None:
    """The decimal strings of a value; None if there are other than ``count``."""
    try:
        numbers = np.array([float(one) for one in text.split("\\")])
    except ValueError:
        return None
    return numbers if len(numbers) == count and bool(np.isfinite(numbers).all()) else None


def _class_of(instance: Instance) -> str:
    return instance.text(_SOP_CLASS) or instance.meta.sop_class_uid
