"""Reading a data set to its bottom: pydicom's elements, with VR UN opened up as well.

pydicom leaves VR UN closed where it is long or malformed and, in implicit VR, where it does not know the tag. A
value that parses as a sequence is read as one, whatever VR it travels with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import DataElement, Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_sequence
from pydicom.multival import MultiValue

#: What may hold a hidden sequence: it begins with an item (PS3.5 7.5) in either byte order.
_ITEM: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")

Place = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element at any depth: ``path`` holds (sequence tag, item number) from outside in; ``items`` if a sequence."""

    path: Place
    tag: int
    vr: str
    value: object
    items: tuple[Dataset, ...] | None

    @property
    def place(self) -> str:
        """The path in words."""
        steps = "".join(f"{show(tag)}[{item}]/" for tag, item in self.path)
        return steps + show(self.tag)

    @property
    def text(self) -> str:
        """The value as text, several joined by a backslash; empty for sequences and binary values."""
        if self.items is not None or isinstance(self.value, bytes) or self.value is None:
            return ""
        if isinstance(self.value, (MultiValue, list)):
            return "\\".join(str(one) for one in self.value)
        return str(self.value)

    @property
    def empty(self) -> bool:
        """Whether there is no value, or a sequence has no items."""
        if self.items is not None:
            return not self.items
        if isinstance(self.value, bytes):
            return not self.value
        return not self.text


def show(tag: int) -> str:
    """The tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def read(path: Path) -> Dataset:
    """The data set of a file, with or without preamble."""
    return dcmread(BytesIO(path.read_bytes()), force=True)


def leaves(dataset: Dataset, path: Place = ()) -> Iterator[Leaf]:
    """Every element at every depth, sequences before what they hold.

    An element that pydicom cannot convert appears with its bytes.
    """
    for tag in sorted(dataset.keys()):
        element = _element(dataset, int(tag))
        items = _items(dataset, element)
        yield Leaf(path, int(tag), str(element.VR), None if items is not None else element.value, items)
        for number, item in enumerate(items or ()):
            yield from leaves(item, (*path, (int(tag), number)))


def _element(dataset: Dataset, tag: int) -> DataElement | RawDataElement:
    try:
        return dataset[tag]
    except Exception:  # noqa: BLE001 - pydicom raises whatever a converter meets; the bytes are what counts then
        raw = dataset.get_item(tag)
        assert raw is not None
        return raw


def _items(dataset: Dataset, element: DataElement | RawDataElement) -> tuple[Dataset, ...] | None:
    value = element.value
    if element.VR == "SQ" and not isinstance(value, bytes):
        return tuple(value or ())
    if not isinstance(value, bytes) or element.tag == 0x7FE00010:
        return None
    if element.VR not in ("UN", "OB", "SQ") or value[:4] not in _ITEM:
        return None
    for implicit in (True, False):
        try:
            items = tuple(read_sequence(BytesIO(value), implicit, True, len(value), ["iso8859"]))
        except Exception:  # noqa: BLE001 - not a sequence in this encoding
            continue
        if all(_is_whole(item) for item in items):
            return items
    return None


def _is_whole(item: Dataset) -> bool:
    """Whether every element has as many bytes as it claims: explicit VR read as implicit claims too many."""
    for tag in item.keys():  # noqa: SIM118 - a data set iterates over converted elements
        raw = item.get_item(tag)
        length = getattr(raw, "length", 0xFFFFFFFF)
        if length != 0xFFFFFFFF and len(getattr(raw, "value", None) or b"") != length:
            return False
    return True
