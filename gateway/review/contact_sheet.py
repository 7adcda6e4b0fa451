"""Contact sheets: many held images on one picture, with what was found in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.errors import FeaturesSuspected, WaitsForSeries
from gateway.ledger import HeldInstance
from gateway.pixels.picture import png, sheet
from gateway.review.held_instance import ReviewTable

__all__ = ["EDGE", "contact_sheets", "once_for_each_series"]

#: Pixels of the field of an image, and how many fields stand beside and below each other.
EDGE: Final = 240
_ACROSS: Final = 8
_DOWN: Final = 5
#: Codes that a decision about the whole series settles.
_OF_SERIES: Final = (FeaturesSuspected.code, WaitsForSeries.code)
#: So many stand in narrower rows.
_FEW: Final = 12
_ACROSS_FEW: Final = 4


def contact_sheets(
    table: ReviewTable, held: Sequence[HeldInstance], *, edge: int = EDGE
) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    """PNG files with forty images each, and the row ids of those on them that can be seen.

    Every image has its number above it. Boxes are as in ``ReviewTable.picture``; those of found text are of the moment
    when the instance was held. An image that cannot be read is a grey field, and is not seen.

    Parameters
    ----------
    table
        of the gateway
    held
        the instances
    edge
        width and height of a field, in pixels

    Raises
    ------
    SpoolUnavailable, DecoderUnavailable
        it may work later
    """
    per_sheet = _ACROSS * _DOWN
    for start in range(0, len(held), per_sheet):
        part = held[start : start + per_sheet]
        tiles = [(one.instance_id, table.tile(one, longest=edge - 4)) for one in part]
        across = _ACROSS if len(tiles) > _FEW else min(_ACROSS_FEW, len(tiles))
        content = png(sheet(tiles, across=across, edge=edge))
        yield content, tuple(number for number, picture in tiles if picture is not None)


def once_for_each_series(held: Sequence[HeldInstance]) -> list[tuple[HeldInstance, int]]:
    """Held instances, of a series that is held for faces the first one only, each with how many it stands for.

    A decision about faces is one about a series: nobody wants to see each slice.
    """
    groups: dict[object, list[HeldInstance]] = {}
    for one in held:
        alone = one.code not in _OF_SERIES or not one.about.series_key
        key = one.instance_id if alone else (one.project, one.about.series_key, one.code)
        groups.setdefault(key, []).append(one)
    return [(members[0], len(members)) for members in groups.values()]
