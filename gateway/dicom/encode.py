"""Writing encoded data elements, explicit or implicit VR little endian (PS3.5 7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from gateway.dicom.tag import ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION, UNDEFINED_LENGTH, show
from gateway.dicom.vr import HEADER_SIZE, pad
from gateway.errors import RuleFailed

_SHORT: Final = Struct("<HH2sH").pack
_LONG: Final = Struct("<HH2sHI").pack
_IMPLICIT: Final = Struct("<HHI").pack

ITEM_END: Final = _IMPLICIT(ITEM_DELIMITATION >> 16, ITEM_DELIMITATION & 0xFFFF, 0)
SEQUENCE_END: Final = _IMPLICIT(SEQUENCE_DELIMITATION >> 16, SEQUENCE_DELIMITATION & 0xFFFF, 0)


def header(tag: int, vr: bytes, length: int, *, implicit: bool) -> bytes:
    """The element header for a value of ``length`` bytes, or of undefined length (``UNDEFINED_LENGTH``).

    Raises
    ------
    RuleFailed
        the length does not fit the 16-bit length field of this VR (PS3.5 7.1.2)
    """
    if implicit:
        return _IMPLICIT(tag >> 16, tag & 0xFFFF, length)
    if HEADER_SIZE[vr] == 12:
        return _LONG(tag >> 16, tag & 0xFFFF, vr, 0, length)
    if length > 0xFFFF:
        raise RuleFailed(where=show(tag), reason=f"{length} bytes do not fit VR {vr.decode()}")
    return _SHORT(tag >> 16, tag & 0xFFFF, vr, length)


def element(tag: int, vr: bytes, value: bytes, *, implicit: bool) -> bytes:
    """The whole element; the value is padded to even length as its VR demands (PS3.5 6.2)."""
    value = pad(vr, value)
    return header(tag, vr, len(value), implicit=implicit) + value


def item_header(length: int) -> bytes:
    """The header of a sequence item (PS3.5 7.5)."""
    return _IMPLICIT(ITEM >> 16, ITEM & 0xFFFF, length)


def sequence(tag: int, items: Iterable[bytes], *, implicit: bool) -> bytes:
    """A sequence of defined length whose items hold the given encoded elements."""
    content = b"".join(item_header(len(item)) + item for item in items)
    return header(tag, b"SQ", len(content), implicit=implicit) + content


__all__ = ["ITEM_END", "SEQUENCE_END", "UNDEFINED_LENGTH", "element", "header", "item_header", "sequence"]
