"""The boxes of a JP2 file (ISO/IEC 15444-1 Annex I), which some writers put around a codestream (PS3.5 A.4.4)."""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.dicom.encoded import Buffer
from gateway.errors import PixelsUnreadable

__all__ = ["codestream_of"]

_BOX: Final = Struct(">I4s").unpack_from
_LONG_LENGTH: Final = Struct(">Q").unpack_from
_DEFINITION: Final = Struct(">HHH").iter_unpack
_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_MOST: Final = 64
#: A palette and how it is used: samples without it are other numbers.
_OF_VALUES: Final = frozenset((b"pclr", b"cmap"))


def codestream_of(data: Buffer, start: int, stop: int) -> tuple[int, int]:
    """Where the codestream of a frame lies: in its box if there are boxes, else the frame itself.

    Raises
    ------
    PixelsUnreadable
        there is no codestream in the boxes, or they give its samples another meaning
    """
    if data[start : start + len(_SIGNATURE)] != _SIGNATURE:
        return start, stop
    pos = start
    for _ in range(_MOST):
        try:
            kind, content, end = _box(data, pos, stop)
        except struct_error:
            break
        if kind == b"jp2c":
            return content, end
        if kind == b"jp2h":
            _check(bytes(data[content:end]))
        pos = end
    raise PixelsUnreadable(reason="a JP2 file without a codestream")


def _box(data: Buffer, pos: int, stop: int) -> tuple[bytes, int, int]:
    """Kind of the box at ``pos``, where its content begins and where it ends."""
    length, kind = _BOX(data, pos)
    content = pos + 8
    if length == 1:
        length, content = _LONG_LENGTH(data, pos + 8)[0], pos + 16
    end = stop if length == 0 else pos + length
    if not content <= end <= stop:
        raise PixelsUnreadable(reason="the boxes of a JP2 file are broken")
    return kind, content, end


def _check(header: bytes) -> None:
    """Refuse a header whose loss would change samples: a palette, components in another order."""
    pos = 0
    while pos < len(header):
        kind, content, end = _box(header, pos, len(header))
        if kind in _OF_VALUES:
            raise PixelsUnreadable(reason="a JP2 file has a palette")
        if kind == b"cdef" and any(
            kind or place != component + 1 for component, kind, place in _DEFINITION(header[content + 2 : end])
        ):
            raise PixelsUnreadable(reason="a JP2 file has its components in another order")
        pos = end
