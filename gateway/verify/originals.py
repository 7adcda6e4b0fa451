"""The values that an original has of attributes which a rule had to change."""

from __future__ import annotations

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
        instance: the original
        tags: the attributes
        """
        found: dict[int, set[bytes]] = {}
        buffer = instance.buffer
        known = self._parts.of(instance.implicit)
        for raw, elements in instance.parts:
            part = known.get(raw) if raw else None
            if part is None:
                part = _Part(elements)
                if raw:
                    self._parts.keep(instance.implicit, raw, part)
            for tag in part.tags & tags:
                found.setdefault(tag, set()).update(part.values(tag, buffer, elements))
        return found


class _Part:
    """A part of originals.

    Attributes
    ----------
    tags: of its elements at every depth, other than sequences
    """

    __slots__ = ("_values", "tags")

    def __init__(self, elements: list[Element]) -> None:
        self.tags = frozenset(element[0] for _, element in walk(elements) if element[5] is None)
        self._values: dict[int, frozenset[bytes]] = {}

    def values(self, tag: int, buffer: Buffer, elements: list[Element]) -> frozenset[bytes]:
        """The values of one attribute, as ``Originals.of`` has them."""
        values = self._values.get(tag)
        if values is None:
            raws = [
                bytes(buffer[element[3] : element[4]])
                for _, element in walk(elements)
                if element[0] == tag and element[5] is None
            ]
            values = frozenset(one.strip(b"\0 ") for raw in raws for one in (raw, *raw.split(b"\\")))
            self._values[tag] = values
        return values
