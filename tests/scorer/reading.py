"""Reading a data set to its bottom: pydicom's elements, with VR UN opened up as well.

pydicom leaves VR UN closed where it is long or malformed and, in implicit VR, where it does not know the tag. A
value that parses as a sequence is read as one, whatever VR it travels with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

_NUMBERS: Final = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})

Place = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element at any depth: ``path`` holds (sequence tag, item number) from outside in; ``items`` if a sequence.

    ``numbers`` are the numbers by which the items appear in paths; ``creator`` is the private creator of a private
    element, without padding and in capitals (PS3.5 7.8.1), empty if its block is not reserved.
    """

    path: Place
    tag: int
    vr: str
    value: object
    items: tuple[Dataset, ...] | None
    numbers: tuple[int, ...] = ()
    creator: str = ""

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


def leaves(dataset: Dataset, path: Place = (), *, like: Dataset | None = None) -> Iterator[Leaf]:
    """Every element at every depth, sequences before what they hold.

    An element that pydicom cannot convert appears with its bytes. Where ``dataset`` was made of another, ``like``,
    and a sequence has lost items, those that are left have the numbers that they had there.
    """
    for key in sorted(dataset.keys()):
        tag = int(key)
        element = _element(dataset, tag)
        items = _items(dataset, element)
        value = None if items is not None else element.value
        if items is None:
            yield Leaf(path, tag, str(element.VR), value, items, creator=_creator(dataset, tag))
            continue
        before = _items(like, _element(like, tag)) if like is not None and tag in like else None
        numbers = tuple(range(len(items))) if before is None else align(items, before)
        yield Leaf(path, tag, str(element.VR), value, items, numbers, _creator(dataset, tag))
        for number, item in zip(numbers, items, strict=True):
            below = before[number] if before is not None and number < len(before) else None
            yield from leaves(item, (*path, (tag, number)), like=below)


def align(items: Sequence[Dataset], before: Sequence[Dataset]) -> tuple[int, ...]:
    """For every item the number of the one in ``before`` that it was made of, or a number beyond them."""
    if len(items) >= len(before):
        return tuple(range(len(items)))
    numbers, following = [], 0
    for invented, item in enumerate(items, len(before)):
        found = next((n for n in range(following, len(before)) if _may_be_made_of(item, before[n])), None)
        if found is None:
            numbers.append(invented)
        else:
            numbers.append(found)
            following = found + 1
    return tuple(numbers)


def _may_be_made_of(item: Dataset, before: Dataset) -> bool:
    """Whether value type and concept of a content item, or all numbers of another item, are the same."""
    if "ValueType" in item or "ValueType" in before:
        return item.get("ValueType") == before.get("ValueType") and concept(item) == concept(before)
    numbers = [tag for tag in item.keys() if tag in before and before[tag].VR in _NUMBERS]  # noqa: SIM118
    return all(item[tag].value == before[tag].value for tag in numbers)


def concept(item: Dataset) -> tuple[str, str]:
    """Code value and coding scheme designator of a content item's concept name; empty where it has none."""
    names = item.get("ConceptNameCodeSequence") or []
    if not names:
        return "", ""
    name = names[0]
    value = name.get("CodeValue") or name.get("LongCodeValue") or name.get("URNCodeValue") or ""
    return str(value).strip(), str(name.get("CodingSchemeDesignator") or "").strip()


def _creator(dataset: Dataset, tag: int) -> str:
    if not tag >> 16 & 1 or tag & 0xFFFF < 0x1000:
        return ""
    reservation = (tag & 0xFFFF0000) | (tag & 0xFFFF) >> 8
    return normal_creator(_element(dataset, reservation).value) if reservation in dataset else ""


def normal_creator(value: object) -> str:
    """A private creator as it is compared: without padding, in capitals."""
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value or "")).strip(" \0").upper()


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
