"""The elements of a data set as byte positions.

Trees are plain tuples because a CT image has hundreds of elements and this runs for every instance:

- an **element** is ``(tag, vr, start, value, end, items)``: its header begins at ``start``, its value at ``value``,
  the next element at ``end``. ``items`` is None unless the value is a sequence. Encapsulated pixel data has
  ``items`` None and ``value`` at its first fragment item.
- an **item** is ``(start, value, end, implicit, elements)``: the item's header begins at ``start``, its content at
  ``value``; ``end`` lies behind its delimiter, if any. ``implicit`` tells how its content is encoded, which differs
  from the data set's own encoding inside VR UN (PS3.5 6.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap
from typing import TypeAlias

from gateway.errors import ConfigurationError

__all__ = ["Buffer", "Element", "Item", "Limits"]

Element: TypeAlias = tuple[int, bytes, int, int, int, "list[Item] | None"]
Item: TypeAlias = tuple[int, int, int, bool, list[Element]]
Buffer: TypeAlias = "bytes | bytearray | memoryview | mmap"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a data set may hold before it is refused (promise P7).

    Attributes
    ----------
    depth
        sequences inside sequences, 1 to 100; the walk recurses, so that more would endanger the interpreter's stack
    elements
        data elements and items at all depths together
    """

    depth: int = 32
    elements: int = 500_000

    def __post_init__(self) -> None:
        """Refuse a depth that the walk cannot honour."""
        if not 1 <= self.depth <= 100:
            raise ConfigurationError(place="limits.depth", problem=f"{self.depth} is not between 1 and 100")
