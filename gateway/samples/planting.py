"""Where identifying values sit in a sample: found again by looking at every element, not by the builder's word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset
from pydicom.multival import MultiValue

from gateway.dicom.tag import PIXEL_DATA, show
from gateway.samples.byte_search import Haystack, needles, spellings
from gateway.samples.fake_identity import Kind

__all__ = ["PREAMBLE", "Planted", "haystacks", "is_in", "locate", "locate_in_preamble", "text_of"]

#: The path of a value in the preamble of a file (PS3.10 7.1).
PREAMBLE: Final = "preamble"


@dataclass(frozen=True, slots=True)
class Planted:
    """One identifying value at one place of one sample.

    ``path`` names the element as ``(gggg,eeee)[item]/(gggg,eeee)``, items counted from 0; ``forms`` are the bytes
    that give the value away wherever they stand: the value and its parts in every encoding, in lower case. A value
    without forms means nothing outside its element and is compared there only.
    """

    path: str
    kind: Kind
    value: str
    forms: tuple[bytes, ...]


def locate(dataset: Dataset, issued: Mapping[str, Kind], *, prefix: str = "") -> list[Planted]:
    """Every place of ``dataset`` that holds a value of ``issued``, at every depth.

    Parameters
    ----------
    dataset
        a data set or the file meta information
    issued
        the identity's values with their kinds
    prefix
        the path of the item that ``dataset`` is, ending in ``/``; empty for the top level

    Returns
    -------
    One entry per element and value; a characteristic counts only where it is the whole value.
    """
    encoded = {value: needles(kind, value) for value, kind in issued.items()}
    return list(_locate(dataset, issued, encoded, prefix))


def locate_in_preamble(preamble: bytes, issued: Mapping[str, Kind]) -> list[Planted]:
    """The values of ``issued`` in a file's preamble."""
    return list(_found_in(PREAMBLE, preamble, issued, {value: needles(kind, value) for value, kind in issued.items()}))


def text_of(value: object) -> str:
    """An element's value as text, several values joined by a backslash."""
    if value is None:
        return ""
    if isinstance(value, (MultiValue, list, tuple)):
        return "\\".join(str(one) for one in value)
    return str(value)


def haystacks(dataset: Dataset, *, prefix: str = "") -> Iterator[tuple[str, Haystack]]:
    """The path of every element, at every depth, with its value to be searched."""
    for element in dataset:
        path = prefix + show(int(element.tag))
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from haystacks(item, prefix=f"{path}[{number}]/")
        elif isinstance(element.value, bytes):
            yield path, Haystack(element.value)
        else:
            yield path, Haystack(text_of(element.value).encode("utf-8"))


def is_in(text: str, kind: Kind, value: str) -> bool:
    """Whether an element's text gives ``value`` away; a characteristic must be the whole text."""
    return text == value or (kind is not Kind.CHARACTERISTIC and any(one in text for one in spellings(kind, value)))


def _locate(
    dataset: Dataset, issued: Mapping[str, Kind], encoded: Mapping[str, tuple[bytes, ...]], prefix: str
) -> Iterator[Planted]:
    for element in dataset:
        path = prefix + show(int(element.tag))
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from _locate(item, issued, encoded, f"{path}[{number}]/")
        elif isinstance(element.value, bytes):
            # The pixels of an icon may spell a name; those of an image are not searched.
            if prefix or element.tag != PIXEL_DATA:
                yield from _found_in(path, element.value, issued, encoded)
        else:
            text = text_of(element.value)
            for value, kind in issued.items():
                if is_in(text, kind, value):
                    yield Planted(path, kind, value, encoded[value])


def _found_in(
    path: str, content: bytes, issued: Mapping[str, Kind], encoded: Mapping[str, tuple[bytes, ...]]
) -> Iterable[Planted]:
    lowered = content.lower()
    for value, kind in issued.items():
        if any(form in lowered for form in encoded[value]):
            yield Planted(path, kind, value, encoded[value])
