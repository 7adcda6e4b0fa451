"""The values that an original has of attributes which a rule had to change."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.dicom.encoded import Buffer, Element, walk
from gateway.dicom.instance import Instance
from gateway.verify.recollection import Recollection

__all__ = ["Originals"]


class Originals:
    """Reads originals one after the other; what parts that they have in common hold is remembered."""

    def __init__(self) -> None:
        self._parts = Recollection[_Part]()

    def of(self, instance: Instance, tags: frozenset[int]) -> dict[int, set[bytes]]:
        """Tag -> its original values at every depth, as a whole and one by one, without padding.

        Parameters
        ----------
        instance
            the original
        tags
            the attributes
        """
        values: dict[int, set[bytes]] = {}
        buffer = instance.buffer
        known = self._parts.of(instance.implicit)
        for raw, elements in instance.parts:
            if not raw:
                for element in elements:
                    if element[0] in tags or element[5] is not None:
                        _add(values, tags, buffer, element)
                continue
            part = known.get(raw)
            if part is None:
                part = self._parts.keep(instance.implicit, raw, _Part(elements))
            for tag in part.tags & tags:
                values.setdefault(tag, set()).update(part.values(tag, buffer, elements))
        return values


class _Part:
    """A part of originals.

    Attributes
    ----------
    tags
        of its elements at every depth, other than sequences
    """

    __slots__ = ("_values", "tags")

    def __init__(self, elements: list[Element]) -> None:
        self.tags = frozenset(element[0] for _, element in walk(elements) if element[5] is None)
        self._values: dict[int, frozenset[bytes]] = {}

    def values(self, tag: int, buffer: Buffer, elements: list[Element]) -> frozenset[bytes]:
        """The values of one attribute, as ``Originals.of`` has them."""
        values = self._values.get(tag)
        if values is None:
            values = frozenset(
                value
                for _, element in walk(elements)
                if element[0] == tag and element[5] is None
                for value in _values(buffer, element)
            )
            self._values[tag] = values
        return values


def _add(values: dict[int, set[bytes]], tags: frozenset[int], buffer: Buffer, top: Element) -> None:
    """Add what an element and those inside it have of ``tags``."""
    for _, element in walk([top]):
        if element[0] in tags and element[5] is None:
            values.setdefault(element[0], set()).update(_values(buffer, element))


def _values(buffer: Buffer, element: Element) -> Iterator[bytes]:
    """The value of an element as a whole and one by one, without padding."""
    raw = bytes(buffer[element[3] : element[4]])
    yield raw.strip(b"\0 ")
    if b"\\" in raw:
        yield from (one.strip(b"\0 ") for one in raw.split(b"\\"))
