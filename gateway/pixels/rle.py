"""What of an RLE frame belongs to the image (PS3.5 Annex G).

Every run is followed, so that each segment ends where its byte plane is full. What is between and behind segments, and
in the unused offsets of the header, goes.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct
from typing import Final

from gateway.dicom.encoded import Buffer
from gateway.errors import PixelsUnreadable
from gateway.pixels.pieces import Piece, Pieces

__all__ = ["image_of"]

_HEADER: Final = Struct("<16I")
_MOST_SEGMENTS: Final = 15


def image_of(data: Buffer, start: int, stop: int, *, segments: int, length: int) -> list[Piece]:
    """The pieces of an RLE frame that belong to the image.

    Parameters
    ----------
    data
        the bytes
    start, stop
        the frame in them
    segments
        byte planes that the frame has by its description
    length
        bytes of a plane

    Raises
    ------
    PixelsUnreadable
        the header is broken, or a segment does not fill its plane
    """
    if stop - start < _HEADER.size:
        raise PixelsUnreadable(reason="the header of an RLE frame is truncated")
    count, *offsets = _HEADER.unpack_from(data, start)
    if count != segments or count > _MOST_SEGMENTS:
        raise PixelsUnreadable(reason=f"an RLE frame without {segments} segments")
    bounds = [*offsets[:count], stop - start]
    if bounds[0] < _HEADER.size or any(end <= begin for begin, end in pairwise(bounds)):
        raise PixelsUnreadable(reason="the segments of an RLE frame lie outside of it")
    planes: list[list[Piece]] = []
    tidy = bounds[0] == _HEADER.size and not any(offsets[count:])
    for begin, end in pairwise(bounds):
        pieces = _plane(data, start + begin, start + end, length)
        tidy = tidy and pieces == [(start + begin, start + end)]
        planes.append(pieces)
    if tidy:
        return [(start, stop)]
    return _packed(planes)


def _packed(planes: list[list[Piece]]) -> list[Piece]:
    """A frame of these planes, each of an even length, with its header."""
    pieces, offsets, at = Pieces(), [], _HEADER.size
    for plane in planes:
        offsets.append(at)
        for piece in plane:
            if isinstance(piece, bytes):
                pieces.put(piece)
                at += len(piece)
            else:
                pieces.keep(*piece)
                at += piece[1] - piece[0]
        if at % 2:
            pieces.put(b"\0")
            at += 1
    header = _HEADER.pack(len(offsets), *offsets, *[0] * (_MOST_SEGMENTS - len(offsets)))
    return [header, *pieces.listed]


def _plane(data: Buffer, start: int, stop: int, length: int) -> list[Piece]:
    """The runs that fill one byte plane (PS3.5 G.3.2), with the byte that makes them even, if there is one."""
    pos, made, last, before = start, 0, start, 0
    while made < length:
        if pos >= stop:
            raise PixelsUnreadable(reason="a segment of an RLE frame is truncated")
        last, before, run = pos, made, data[pos]
        if run < 128:
            pos += run + 2
            made += run + 1
        elif run > 128:
            pos += 2
            made += 257 - run
        else:  # it says nothing
            pos += 1
    if pos > stop:
        raise PixelsUnreadable(reason="a segment of an RLE frame is truncated")
    if made == length:
        padded = stop - pos == 1 and data[pos] == 0
        return [(start, stop if padded else pos)]
    # The last run goes beyond the plane: what is beyond is nobody's.
    left = length - before
    if data[last] < 128:
        rest = bytes((left - 1,)) + bytes(data[last + 1 : last + 1 + left])
    else:
        rest = bytes((257 - left if left > 1 else 0, data[last + 1]))
    pieces = Pieces()
    pieces.keep(start, last)
    pieces.put(rest)
    return pieces.listed
