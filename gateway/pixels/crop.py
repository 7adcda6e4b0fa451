"""Making an image smaller, with everything in its header that counts its pixels.

Adapted: Rows and Columns; Image Position (Patient); the regions of an ultrasound image; the edges, centres and corners
of shutters and collimators. An instance in which anything else depends on the positions of pixels is held, among them
those whose frames have positions of their own. What other instances say of places in this image cannot be adapted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final

from gateway.dicom import encode
from gateway.dicom.encoded import Element, walk
from gateway.dicom.instance import Instance
from gateway.dicom.tag import show
from gateway.errors import RuleFailed
from gateway.pixels.areas import Area
from gateway.pixels.description import COLUMNS, ROWS
from gateway.pixels.regions import CORNERS, ULTRASOUND_REGIONS, region_of
from gateway.profile import Program, Verb
from gateway.profile.pixels import Crop

__all__ = ["adapted", "edges", "kept"]

_IMAGE_POSITION: Final = 0x00200032
_IMAGE_ORIENTATION: Final = 0x00200037
_PIXEL_SPACING: Final = 0x00280030
#: Edges of shutters and collimators as numbers of columns and of rows (PS3.3 C.7.6.11, C.8.7.3), VR IS.
_COLUMN_NUMBERS: Final = (0x00181602, 0x00181604, 0x00181702, 0x00181704)
_ROW_NUMBERS: Final = (0x00181606, 0x00181608, 0x00181706, 0x00181708)
#: Centres and corners of them, row before column, VR IS.
_ROWS_AND_COLUMNS: Final = (0x00181610, 0x00181620, 0x00181710, 0x00181720)
_ADAPTED: Final = frozenset((_IMAGE_POSITION, *_COLUMN_NUMBERS, *_ROW_NUMBERS, *_ROWS_AND_COLUMNS))
#: What depends on the positions of pixels too and is not adapted.
_NOT_ADAPTED: Final = frozenset(
    (
        0x00181631, 0x00181632, 0x00181633, 0x00181634, 0x00181638,  # outline of a threat detection image
        0x00187030,  # Field of View Origin
        0x00187036,  # Pixel Data Area Origin Relative To FOV
        0x00189436, 0x00189437, 0x00189438, 0x00189439, 0x00189440, 0x00189442,  # exposure control sensing region
        0x00221467, 0x00221468, 0x00221528, 0x00221529,  # ophthalmic localizers
        0x00289503,  # Vertices of the Region
        0x00480007, 0x00480006, 0x0048021E, 0x0048021F,  # total pixel matrix of a slide
        0x30020012,  # RT Image Position
    )
)  # fmt: skip
#: Overlay Data (60xx,3000), and Overlay Bit Position (60xx,0102), which tells of an overlay in the pixels.
_OVERLAY_GROUP: Final = 0x6000
_OVERLAYS: Final = frozenset((0x3000, 0x0102))
_GOING: Final = frozenset((Verb.REMOVE, Verb.EMPTY))
_LONGEST_DECIMAL: Final = 16
_UNSIGNED_LONG: Final = Struct("<I")


def edges(crop: Crop, *, rows: int, columns: int, where: str) -> tuple[Area, ...]:
    """The parts of an image that a crop takes away.

    Raises
    ------
    RuleFailed: nothing of the image is left
    """
    left = kept([crop], rows=rows, columns=columns, where=where)
    found = (
        Area(0, 0, columns, left.top),
        Area(0, left.bottom, columns, rows),
        Area(0, left.top, left.left, left.bottom),
        Area(left.right, left.top, columns, left.bottom),
    )
    return tuple(area for area in found if area.left < area.right and area.top < area.bottom)


def kept(crops: Sequence[Crop], *, rows: int, columns: int, where: str) -> Area:
    """What several crops leave of an image.

    Raises
    ------
    RuleFailed: nothing
    """
    area = Area(
        left=max(crop.left for crop in crops),
        top=max(crop.top for crop in crops),
        right=columns - max(crop.right for crop in crops),
        bottom=rows - max(crop.bottom for crop in crops),
    )
    if area.left >= area.right or area.top >= area.bottom:
        raise RuleFailed(where=where, reason=f"it leaves nothing of an image of {columns} columns and {rows} rows")
    return area


def adapted(instance: Instance, program: Program, area: Area, *, where: str) -> dict[int, tuple[bytes, ...] | None]:
    """The elements that change when of all frames only ``area`` stays, pixel data excepted.

    Parameters
    ----------
    instance: as received
    program: specialised; what it removes needs no adapting
    area: what stays
    where: the rule, for errors

    Returns
    -------
    Tag -> the whole encoded element, None for one that goes.

    Raises
    ------
    RuleFailed: something depends on the positions of pixels that cannot be adapted
    """
    _refuse(instance, program, where)
    cropping = _Cropping(instance, program, area, where)
    found: dict[int, tuple[bytes, ...] | None] = {
        ROWS: (cropping.element(ROWS, b"US", (area.bottom - area.top).to_bytes(2, "little")),),
        COLUMNS: (cropping.element(COLUMNS, b"US", (area.right - area.left).to_bytes(2, "little")),),
    }
    for element in instance.elements:
        tag = element[0]
        if program.action(tag).verb in _GOING or (element[5] is None and element[3] == element[4]):
            continue
        if tag == _IMAGE_POSITION:
            found[tag] = (cropping.element(tag, b"DS", cropping.position()),)
        elif tag == ULTRASOUND_REGIONS:
            regions = cropping.regions(element)
            found[tag] = None if regions is None else (regions,)
        elif tag in _COLUMN_NUMBERS:
            found[tag] = (cropping.numbers(element, (area.left,)),)
        elif tag in _ROW_NUMBERS:
            found[tag] = (cropping.numbers(element, (area.top,)),)
        elif tag in _ROWS_AND_COLUMNS:
            found[tag] = (cropping.numbers(element, (area.top, area.left)),)
    return found


def _refuse(instance: Instance, program: Program, where: str) -> None:
    """Refuse an instance in which something else depends on the positions of pixels, and stays."""
    for path, element in walk(instance.elements):
        tag = element[0]
        is_overlay = tag >> 16 & 0xFF00 == _OVERLAY_GROUP and tag & 0xFFFF in _OVERLAYS
        if not (tag in _NOT_ADAPTED or is_overlay or (path and tag in _ADAPTED)):
            continue
        if any(program.action(one).verb in _GOING for one in (*path, tag)):
            continue
        place = "/".join(show(one) for one in (*path, tag))
        raise RuleFailed(where=where, reason=f"{place} depends on the positions of pixels: the geometry cannot change")


class _Cropping:
    def __init__(self, instance: Instance, program: Program, area: Area, where: str) -> None:
        self._instance = instance
        self._program = program
        self._area = area
        self._where = where

    def element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        return encode.element(tag, vr, value, implicit=self._instance.implicit)

    def position(self) -> bytes:
        """Image Position (Patient) of the first pixel that stays (PS3.3 C.7.6.2.1.1)."""
        position = self._decimals(_IMAGE_POSITION, 3)
        orientation = self._decimals(_IMAGE_ORIENTATION, 6)
        row_spacing, column_spacing = self._decimals(_PIXEL_SPACING, 2)
        moved = [
            position[axis]
            + orientation[axis] * column_spacing * self._area.left
            + orientation[axis + 3] * row_spacing * self._area.top
            for axis in range(3)
        ]
        return "\\".join(_decimal(number) for number in moved).encode("ascii")

    def _decimals(self, tag: int, count: int) -> list[float]:
        try:
            numbers = [float(text) for text in self._instance.text(tag).split("\\")]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            raise RuleFailed(where=self._where, reason=f"{show(tag)} does not have the {count} numbers that are needed")
        return numbers

    def numbers(self, element: Element, less: tuple[int, ...]) -> bytes:
        """An element of VR IS, each number less by those of ``less`` in turn."""
        tag = element[0]
        try:
            numbers = [int(text) for text in self._instance.text(tag).split("\\")]
        except ValueError:
            raise RuleFailed(where=self._where, reason=f"{show(tag)} is no list of numbers") from None
        moved = [str(number - less[place % len(less)]) for place, number in enumerate(numbers)]
        return self.element(tag, b"IS", "\\".join(moved).encode("ascii"))

    def regions(self, sequence: Element) -> bytes | None:
        """The regions that stay, moved; None without any."""
        items: list[bytes] = []
        for _start, _value, _end, _implicit, elements in sequence[5] or []:
            region = region_of(self._instance, elements, where=self._where)
            inside = region.within(self._area)
            if inside is None:
                continue
            if inside != region:
                reason = f"the crop cuts through a region of {show(ULTRASOUND_REGIONS)}"
                raise RuleFailed(where=self._where, reason=reason)
            items.append(b"".join(self._moved(elements, region)))
        return encode.sequence(ULTRASOUND_REGIONS, items, implicit=self._instance.implicit) if items else None

    def _moved(self, elements: Iterable[Element], region: Area) -> Iterable[bytes]:
        left, top = region.left - self._area.left, region.top - self._area.top
        corners = (left, top, left + region.right - region.left - 1, top + region.bottom - region.top - 1)
        new = {tag: _UNSIGNED_LONG.pack(number) for tag, number in zip(CORNERS, corners, strict=True)}
        for tag, vr, _start, value, end, items in elements:
            # The change stands above the rules for attributes, so that it must not carry what they would take.
            if items is None and self._program.action(tag).verb is Verb.KEEP:
                yield self.element(tag, vr, new.get(tag) or bytes(self._instance.buffer[value:end]))


def _decimal(number: float) -> str:
    """``number`` as VR DS writes it, with as many digits as fit (PS3.5 6.2)."""
    for digits in range(15, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= _LONGEST_DECIMAL:
            return text
    return f"{number:.8e}"
