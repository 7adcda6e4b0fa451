"""Making an image smaller, with everything in its header that depends on where its pixels lie.

What that is, and whether it moves, goes or holds the instance, stands in ``data/geometry.csv``. The positions of frames
move in their functional groups. What other instances say of places in this image, and what private elements say of
them, cannot be adapted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct, pack
from struct import error as struct_error
from typing import Final

from gateway.dicom import encode
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Element, find
from gateway.dicom.instance import Instance, decode_element
from gateway.dicom.iod import element_type
from gateway.dicom.pixel_change import ItemChange
from gateway.dicom.tag import is_private, show
from gateway.errors import RuleFailed
from gateway.pixels.areas import Area
from gateway.pixels.description import COLUMNS, ROWS
from gateway.pixels.geometry import Effect, effect_of, in_frames
from gateway.pixels.planes import Planes
from gateway.pixels.regions import CORNERS, ULTRASOUND_REGIONS, region_of
from gateway.profile import Program, Verb
from gateway.profile.pixel_program import Crop

__all__ = ["Adapted", "adapted", "edges", "kept"]

_SOP_CLASS_UID: Final = 0x00080016
_OVERLAY_ORIGIN: Final = 0x0050
_GOING: Final = frozenset((Verb.REMOVE, Verb.EMPTY))
#: What is written anew, where the element stays.
_MOVING: Final = frozenset(
    (Effect.POSITION, Effect.COLUMNS, Effect.ROWS, Effect.ROWS_AND_COLUMNS, Effect.REGIONS, Effect.NOT_PRESERVED)
)
#: VR IS and SS in decimal (PS3.5 6.2); Python alone would take more for a number.
_INTEGER: Final = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_LONGEST_DECIMAL: Final = 16
_UNSIGNED_LONG: Final = Struct("<I")


@dataclass(frozen=True, slots=True)
class Adapted:
    """What a smaller image has in its header, pixel data excepted, as ``PixelChange`` takes it."""

    elements: dict[int, tuple[bytes, ...] | None]
    items: tuple[ItemChange, ...]


def edges(crop: Crop, *, rows: int, columns: int, where: str) -> tuple[Area, ...]:
    """The parts of an image that a crop takes away.

    Raises
    ------
    RuleFailed
        nothing of the image is left
    """
    left = kept([crop], rows=rows, columns=columns, where=where)
    strips = (
        Area(0, 0, columns, left.top),
        Area(0, left.bottom, columns, rows),
        Area(0, left.top, left.left, left.bottom),
        Area(left.right, left.top, columns, left.bottom),
    )
    return tuple(area for area in strips if area.left < area.right and area.top < area.bottom)


def kept(crops: Sequence[Crop], *, rows: int, columns: int, where: str) -> Area:
    """What several crops leave of an image.

    Raises
    ------
    RuleFailed
        nothing
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


def adapted(instance: Instance, program: Program, area: Area, *, where: str) -> Adapted:
    """The elements that change when of all frames only ``area`` stays, pixel data excepted.

    Parameters
    ----------
    instance
        as received
    program
        specialised; what it removes needs no adapting
    area
        what stays, in pixels of the received image
    where
        the rule, for errors

    Raises
    ------
    RuleFailed
        something depends on the positions of pixels that cannot be adapted, or cannot be read
    """
    return _Cropping(instance, program, area, where).adapted()


@dataclass(frozen=True, slots=True)
class _Place:
    """A data set: the sequences around it with the numbers of their items, where its item begins, its encoding."""

    implicit: bool
    start: int = -1
    steps: tuple[tuple[int, int], ...] = ()

    @property
    def path(self) -> tuple[int, ...]:
        return tuple(tag for tag, _ in self.steps)

    def name(self, tag: int) -> str:
        return "/".join(show(one) for one in (*self.path, tag))


class _Cropping:
    def __init__(self, instance: Instance, program: Program, area: Area, where: str) -> None:
        self._instance = instance
        self._program = program
        self._area = area
        self._where = where
        self._moves = bool(area.left or area.top)
        self._planes = Planes(instance.buffer, instance.elements, area, where=where)
        self._top: dict[int, tuple[bytes, ...] | None] = {}
        self._items: dict[_Place, dict[int, bytes]] = {}

    def adapted(self) -> Adapted:
        area, place = self._area, _Place(self._instance.implicit)
        for tag, size in ((ROWS, area.bottom - area.top), (COLUMNS, area.right - area.left)):
            self._put(place, tag, b"US", size.to_bytes(2, "little"))
        self._level(self._instance.elements, place)
        items = (
            ItemChange(start=place.start, path=place.steps, elements=elements)
            for place, elements in self._items.items()
        )
        return Adapted(self._top, tuple(items))

    def _level(self, elements: list[Element], place: _Place) -> None:
        """Adapt one data set or item, and the items below it."""
        path = place.path
        for element in elements:
            tag, _vr, _start, value, end, items = element
            verb = self._verb(path, tag)
            if verb in _GOING or (items is None and value == end):
                continue
            effect = effect_of(path, tag)
            if effect is not None:
                self._adapt(effect, element, place, verb)
            if effect is Effect.REGIONS:
                continue
            for number, (start, _value, _end, implicit, nested) in enumerate(items or ()):
                self._level(nested, _Place(implicit, start, (*place.steps, (tag, number))))

    def _verb(self, path: tuple[int, ...], tag: int) -> Verb:
        """What the program does with an element; a private one stays where any may: its creator would decide."""
        if is_private(tag) and (self._program.safe is not None or self._program.private_elements):
            return Verb.KEEP
        rule = next((rule for rule in self._program.paths if rule.matches(path, tag)), None)
        return (self._program.action(tag) if rule is None else rule.action).verb

    def _adapt(self, effect: Effect, element: Element, place: _Place, verb: Verb) -> None:
        """Do to an element that stays what its row of the table says."""
        tag, area = element[0], self._area
        if effect in _MOVING and verb is not Verb.KEEP:
            raise self._failed(f"a rule changes {place.name(tag)}, which the crop would move")
        match effect:
            case Effect.HELD:
                raise self._depends(place, tag)
            case Effect.GOES:
                self._remove(element, place, "3")
            case Effect.GOES_TOGETHER:
                self._remove(element, place, "3", "1C")
            case Effect.REGIONS:
                regions = self._regions(element)
                self._top[tag] = None if regions is None else (regions,)
            case Effect.OVERLAY:
                self._check_overlay(element, place)
            case Effect.OVERLAY_BITS if self._integers(element) != [0]:
                raise self._depends(place, tag)
            case Effect.NOT_PRESERVED:
                self._put(place, tag, b"CS", b"NO")
            case Effect.POSITION if self._moves:
                self._move(tag, place)
            case Effect.COLUMNS if area.left:
                self._count(element, place, (area.left,))
            case Effect.ROWS if area.top:
                self._count(element, place, (area.top,))
            case Effect.ROWS_AND_COLUMNS if self._moves:
                self._count(element, place, (area.top, area.left))

    def _put(self, place: _Place, tag: int, vr: bytes, value: bytes) -> None:
        encoded = encode.element(tag, vr, value, implicit=place.implicit)
        if place.steps:
            self._items.setdefault(place, {})[tag] = encoded
        else:
            self._top[tag] = (encoded,)

    def _remove(self, element: Element, place: _Place, *types: str) -> None:
        """Take away what the IOD does not know, or knows with one of these Types."""
        tag = element[0]
        sop_class = self._instance.text(_SOP_CLASS_UID) or self._instance.meta.sop_class_uid
        if element_type(sop_class, place.path, tag) not in (None, *types):
            raise self._depends(place, tag)
        self._top[tag] = None

    def _move(self, tag: int, place: _Place) -> None:
        """Image Position (Patient) or Image Position (Volume) of the first pixel that stays."""
        position = self._planes.of_item(place.start) if in_frames(place.path) else self._planes.of_image()
        vr = vr_of(tag)
        if vr == b"DS":
            value = "\\".join(_decimal(number) for number in position).encode("ascii")
        else:
            value = pack("<3d", *position)
        self._put(place, tag, vr, value)

    def _count(self, element: Element, place: _Place, less: tuple[int, ...]) -> None:
        """An element of VR IS or SS, each number less by those of ``less`` in turn."""
        tag = element[0]
        numbers = self._integers(element)
        if not numbers or len(numbers) % len(less):
            raise self._failed(f"{place.name(tag)} is no list of numbers")
        moved = [number - less[at % len(less)] for at, number in enumerate(numbers)]
        vr = vr_of(tag)
        if vr == b"SS":
            try:
                value = pack(f"<{len(moved)}h", *moved)
            except struct_error:
                raise self._failed(f"{place.name(tag)} would lie too far outside the image") from None
        else:
            value = "\\".join(map(str, moved)).encode("ascii")
        self._put(place, tag, vr, value)

    def _check_overlay(self, data: Element, place: _Place) -> None:
        """Overlay Data stays right where its origin, which moves, does (PS3.3 C.9.2)."""
        tag = data[0] & 0xFFFF0000 | _OVERLAY_ORIGIN
        origin = find(self._instance.elements, tag)
        stays = origin is not None and self._verb(place.path, tag) is Verb.KEEP
        if place.steps or origin is None or not stays or len(self._integers(origin)) != 2:
            raise self._depends(place, data[0])

    def _integers(self, element: Element) -> list[int]:
        """The numbers of an element of VR IS, SS or US; none if it is no list of them."""
        if element[5] is not None:
            return []
        text = decode_element(self._instance.buffer, element, self._instance.character_sets).text
        words = [word.strip(" \0") for word in text.split("\\")]
        return [int(word) for word in words] if all(_INTEGER.fullmatch(word) for word in words) else []

    def _regions(self, sequence: Element) -> bytes | None:
        """The regions that stay, moved; None without any."""
        items: list[bytes] = []
        for _start, _value, _end, _implicit, elements in sequence[5] or []:
            region = region_of(self._instance, elements, where=self._where)
            inside = region.within(self._area)
            if inside is None:
                continue
            if inside != region:
                raise self._failed(f"the crop cuts through a region of {show(ULTRASOUND_REGIONS)}")
            items.append(b"".join(self._moved(elements, region)))
        return encode.sequence(ULTRASOUND_REGIONS, items, implicit=self._instance.implicit) if items else None

    def _moved(self, elements: Iterable[Element], region: Area) -> Iterable[bytes]:
        left, top = region.left - self._area.left, region.top - self._area.top
        corners = (left, top, left + region.right - region.left - 1, top + region.bottom - region.top - 1)
        new = {tag: _UNSIGNED_LONG.pack(number) for tag, number in zip(CORNERS, corners, strict=True)}
        for tag, vr, _start, value, end, items in elements:
            # The change stands above the rules for attributes, so that it must not carry what they would take.
            if items is None and self._verb((ULTRASOUND_REGIONS,), tag) is Verb.KEEP and not is_private(tag):
                content = new.get(tag) or bytes(self._instance.buffer[value:end])
                yield encode.element(tag, vr, content, implicit=self._instance.implicit)

    def _depends(self, place: _Place, tag: int) -> RuleFailed:
        return self._failed(f"{place.name(tag)} depends on the positions of pixels: the geometry cannot change")

    def _failed(self, reason: str) -> RuleFailed:
        return RuleFailed(where=self._where, reason=reason)


def _decimal(number: float) -> str:
    """``number`` as VR DS writes it, with as many digits as fit (PS3.5 6.2)."""
    for digits in range(15, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= _LONGEST_DECIMAL:
            return text
    return f"{number:.8e}"
