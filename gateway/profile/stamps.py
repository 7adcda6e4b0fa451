"""What the gateway says of an instance that it has de-identified (PS3.15 E.2, E.3.6): no rule writes it or takes it."""

from __future__ import annotations

from typing import Final

__all__ = ["METHOD_CODES", "STAMPS", "is_stamp"]

#: De-identification Method Code Sequence.
METHOD_CODES: Final = 0x00120064
#: Patient Identity Removed, De-identification Method and its codes, Longitudinal Temporal Information Modified.
STAMPS: Final = frozenset((0x00120062, 0x00120063, METHOD_CODES, 0x00280303))


def is_stamp(path: tuple[object, ...], tag: int) -> bool:
    """Whether the element ``tag`` inside the sequences ``path`` is a stamp or a part of one.

    Only the top level has stamps: inside other sequences such an element tells of another instance, and a rule decides.
    """
    return path[0] == METHOD_CODES if path else tag in STAMPS
