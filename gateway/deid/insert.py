"""Elements that the engine writes itself, in place of received ones or beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.deid.level import SPECIFIC_CHARACTER_SET, Level
from gateway.dicom import encode
from gateway.dicom.encoded import Buffer, find
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.repertoire import declaration
from gateway.dicom.segments import Segment
from gateway.dicom.tag import show
from gateway.errors import InstanceError
from gateway.profile import Action, Origin, Verb

__all__ = ["NO_MORE", "Insert", "changed", "changed_items", "declared_sets", "with_declared_sets"]

_PIXELS: Final = Origin("standard", "PS3.15 E.3.1", "", 0)
_WRITTEN: Final = Action(Verb.INSERT, _PIXELS)
_GONE: Final = Action(Verb.REMOVE, _PIXELS)


class Insert(NamedTuple):
    """One element: its encoding, the rule behind it, and what follows of a value that lies in files."""

    tag: int
    element: bytes
    action: Action
    rest: tuple[Segment, ...] = ()


#: Right spelling, and sets that text of the profile needs.
_DECLARED: Final = Action(Verb.INSERT, Origin("standard", "PS3.3 C.12.1.1.2", "", 0))


def declared_sets(level: Level, buffer: Buffer) -> Insert | None:
    """Specific Character Set (0008,0005) of a level, where the output declares others than the original."""
    output = level.sets(buffer).output
    if output is None:
        return None
    value = declaration(output)
    element = encode.element(SPECIFIC_CHARACTER_SET, b"CS", value, implicit=level.implicit) if value else b""
    return Insert(SPECIFIC_CHARACTER_SET, element, _DECLARED if value else _GONE)


def with_declared_sets(inserts: Sequence[Insert], level: Level, buffer: Buffer) -> Sequence[Insert]:
    """``inserts`` with the character sets of an item that declares its own, where the output declares others."""
    declared = declared_sets(level, buffer)
    if declared is None or find(level.elements, SPECIFIC_CHARACTER_SET) is None:
        return inserts
    return sorted((declared, *(insert for insert in inserts if insert.tag != SPECIFIC_CHARACTER_SET)))


#: Stands behind the last one: no tag is greater.
NO_MORE: Final = Insert(1 << 32, b"", _WRITTEN)


def changed(pixels: PixelChange) -> dict[int, Insert]:
    """The elements of a change of pixels by tag; one without bytes takes a received element away.

    Raises
    ------
    InstanceError
        an element lacks its header
    """
    inserts = {}
    for tag, parts in pixels.elements.items():
        first = parts[0] if parts else b""
        if not isinstance(first, bytes) or (parts is not None and not first):
            raise InstanceError(reason=f"{show(tag)} was written without its header")
        inserts[tag] = Insert(tag, first, _WRITTEN if first else _GONE, parts[1:] if parts else ())
    return inserts


def changed_items(pixels: PixelChange) -> dict[int, tuple[Insert, ...]]:
    """The elements that change inside sequences, in tag order, by where their item begins."""
    return {
        item.start: tuple(Insert(tag, element, _WRITTEN) for tag, element in sorted(item.elements.items()))
        for item in pixels.items
    }
