"""What a header says that depends on where pixels lie, and what becomes of it when an image is made smaller.

``data/geometry.csv`` has a row for every such attribute of PS3.3 and every place where it may stand, with the module
that defines it. Rows with the effect ``unchanged`` are of attributes that only seem to depend on it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final, TypeAlias

from gateway.dicom.dictionary import tag_of
from gateway.dicom.tag import is_private

__all__ = ["PER_FRAME", "SHARED", "Effect", "effect_of", "in_frames"]

#: Shared and Per-Frame Functional Groups Sequence (PS3.3 C.7.6.16).
SHARED: Final = 0x52009229
PER_FRAME: Final = 0x52009230
#: Groups 50xx and 60xx repeat (PS3.5 7.6).
_REPEATING: Final = (0x5000, 0x6000)
_FRAMES: Final = "frames"
_ANYWHERE: Final = "*"

#: The sequences around an element; one of the two of functional groups stands as 0.
_Place: TypeAlias = "tuple[int, ...] | None"


class Effect(StrEnum):
    """What becomes of an element.

    Attributes
    ----------
    SIZE
        it is the new number of rows or columns
    POSITION
        it moves with the first pixel
    COLUMNS, ROWS, ROWS_AND_COLUMNS
        each number is less by the columns or rows that go on the left or at the top, a
        row before its column
    REGIONS
        its items move, and go with their pixels
    OVERLAY
        it stays as long as its origin does
    OVERLAY_BITS
        it says that an overlay is no part of the pixels
    NOT_PRESERVED
        it says that pixels have not kept their places
    GOES
        it goes, which its Type must allow
    GOES_TOGETHER
        it goes with others, beside which alone its Type asks for it
    UNCHANGED
        it does not depend on where pixels lie
    HELD
        it depends on it and cannot be adapted
    """

    SIZE = "size"
    POSITION = "position"
    COLUMNS = "columns"
    ROWS = "rows"
    ROWS_AND_COLUMNS = "rows-and-columns"
    REGIONS = "regions"
    OVERLAY = "overlay"
    OVERLAY_BITS = "overlay-bits"
    NOT_PRESERVED = "not-preserved"
    GOES = "goes"
    GOES_TOGETHER = "goes-together"
    UNCHANGED = "unchanged"
    HELD = "held"


def in_frames(path: tuple[int, ...]) -> bool:
    """Whether the sequences ``path``, outermost first, are functional groups of frames."""
    return bool(path) and path[0] in (SHARED, PER_FRAME)


def effect_of(path: tuple[int, ...], tag: int) -> Effect | None:
    """What becomes of an element when an image is made smaller.

    Parameters
    ----------
    path
        tags of the sequences around it, outermost first
    tag
        the element

    Returns
    -------
    The effect, ``HELD`` for one of the table at another place than the table knows; None for one not in the table.
    """
    if tag >> 16 & 0xFF00 in _REPEATING and not is_private(tag):
        tag &= 0xFF00FFFF
    places = _table().get(tag)
    if places is None:
        return None
    place = (0, *path[1:]) if in_frames(path) else path
    return places.get(place) or places.get(None, Effect.HELD)


@cache
def _table() -> Mapping[int, Mapping[_Place, Effect]]:
    effects: dict[int, dict[_Place, Effect]] = {}
    text = (files("gateway.pixels") / "data" / "geometry.csv").read_text(encoding="ascii")
    for row in csv.DictReader(text.splitlines()):
        effects.setdefault(int(row["tag"], 16), {})[_place(row["inside"])] = Effect(row["effect"])
    return effects


def _place(inside: str) -> _Place:
    if inside == _ANYWHERE:
        return None
    return tuple(0 if word == _FRAMES else _sequence(word) for word in inside.split("/") if word)


def _sequence(keyword: str) -> int:
    tag = tag_of(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword")
    return tag
