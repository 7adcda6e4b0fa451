"""Elements that the engine writes itself, in place of received ones or beside them."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import Segment
from gateway.dicom.tag import show
from gateway.errors import InstanceError
from gateway.profile import Action, Origin, Verb

__all__ = ["NO_MORE", "Insert", "changed", "changed_items"]

_PIXELS: Final = Origin("standard", "PS3.15 E.3.1", "", 0)
_WRITTEN: Final = Action(Verb.INSERT, _PIXELS)
_GONE: Final = Action(Verb.REMOVE, _PIXELS)


class Insert(NamedTuple):
    """One element: its encoding, the rule behind it, and what follows of a value that lies in files."""

    tag: int
    element: bytes
    action: Action
    rest: tuple[Segment, ...] = ()


#: Stands behind the last one: no tag is greater.
NO_MORE: Final = Insert(1 << 32, b"", _WRITTEN)


def changed(pixels: PixelChange) -> dict[int, Insert]:
    """The elements of a change of pixels by tag; one without bytes takes a received element away.

    Raises
    ------
    InstanceError: an element lacks its header
    """
    found = {}
    for tag, parts in pixels.elements.items():
        first = parts[0] if parts else b""
        if not isinstance(first, bytes) or (parts is not None and not first):
            raise InstanceError(reason=f"{show(tag)} was written without its header")
        found[tag] = Insert(tag, first, _WRITTEN if first else _GONE, parts[1:] if parts else ())
    return found


def changed_items(pixels: PixelChange) -> dict[int, tuple[Insert, ...]]:
    """The elements that change inside sequences, in tag order, by where their item begins."""
    return {
        item.start: tuple(Insert(tag, element, _WRITTEN) for tag, element in sorted(item.elements.items()))
        for item in pixels.items
    }
