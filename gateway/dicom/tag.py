"""Tags as integers: 0xGGGGEEEE."""

from __future__ import annotations

from typing import Final

ITEM: Final = 0xFFFEE000
ITEM_DELIMITATION: Final = 0xFFFEE00D
SEQUENCE_DELIMITATION: Final = 0xFFFEE0DD
PIXEL_DATA: Final = 0x7FE00010
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
#: First bytes of the groups of curves and overlays, and the last byte that such a group can have.
_REPEATED: Final = (0x50, 0x60)
_LAST_REPEATED: Final = 0x1E


def show(tag: int) -> str:
    """The tag as the standard writes it: ``(0010,0020)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_private(tag: int) -> bool:
    """Whether the group is odd (PS3.5 7.8)."""
    return bool(tag & 0x00010000)


def is_private_creator(tag: int) -> bool:
    """Whether the tag reserves a private block: (gggg,0010-00FF) with gggg odd (PS3.5 7.8.1)."""
    return bool(tag & 0x00010000) and 0x10 <= tag & 0xFFFF <= 0xFF


def is_group_length(tag: int) -> bool:
    """Whether the element is a group length (gggg,0000), retired outside groups 0000 and 0002 (PS3.5 7.2)."""
    return not tag & 0xFFFF


def is_beyond_repeating(tag: int) -> bool:
    """Whether ``tag`` belongs to a curve or an overlay plane beyond the sixteen that there can be (PS3.5 7.6)."""
    return tag >> 24 in _REPEATED and not tag & 0x00010000 and tag >> 16 & 0xFF > _LAST_REPEATED
