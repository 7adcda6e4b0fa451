"""A frame as the pieces of it that belong to the image: ranges of what was received, and bytes written anew."""

from __future__ import annotations

from typing import Final, TypeAlias

from gateway.dicom.encoded import Buffer

__all__ = ["PADDING", "Piece", "Pieces", "is_padded"]

#: First and one past the last byte of a range of the received bytes, or bytes in place of received ones.
Piece: TypeAlias = "tuple[int, int] | bytes"

#: What may stand behind the last byte of a frame to make its length even (PS3.5 A.4): one of these.
PADDING: Final = (b"\0", b"\xff")


class Pieces:
    """The pieces of one frame, in order; ranges that touch become one."""

    __slots__ = ("listed",)

    def __init__(self) -> None:
        self.listed: list[Piece] = []

    def keep(self, start: int, stop: int) -> None:
        """Let the bytes from ``start`` up to ``stop`` stay."""
        last = self.listed[-1] if self.listed else b""
        if isinstance(last, tuple) and last[1] == start:
            self.listed[-1] = (last[0], stop)
        elif start < stop:
            self.listed.append((start, stop))

    def put(self, content: bytes) -> None:
        """Have ``content`` in place of what was received."""
        self.listed.append(content)

    def ended(self, data: Buffer, start: int, stop: int) -> list[Piece]:
        """The pieces of the frame from ``start`` to ``stop``; one that is whole, with the byte that pads it."""
        if len(self.listed) == 1 and isinstance(self.listed[0], tuple):
            begin, end = self.listed[0]
            if begin == start and is_padded(data, end, stop):
                return [(start, stop)]
        return self.listed


def is_padded(data: Buffer, end: int, stop: int) -> bool:
    """Whether a frame that ends at ``end`` has nothing up to ``stop`` but what makes its length even."""
    return end == stop or (stop - end == 1 and bytes(data[end:stop]) in PADDING)
