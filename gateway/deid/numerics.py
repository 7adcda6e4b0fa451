"""Numbers in content items: which may be somebody's number instead of a measurement (PS3.15 E.3.4).

A measured value has a unit, and stays. A whole number of six digits and more without one counts something, or is an
identifier: it stays where its concept is known and says that it counts, such as Number of Frames. A number that the
study's header has as an identifier goes, whatever is said of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from struct import unpack_from
from typing import Final

from gateway.deid.coded import code_of, text_of
from gateway.deid.host import Host
from gateway.deid.words import words_of
from gateway.dicom import coded_concepts
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Element, find
from gateway.dicom.units import is_unit

__all__ = ["OTHER_FORMS", "is_identifier"]

_CONCEPT_NAME: Final = 0x0040A043
_MEASURED_VALUE: Final = 0x0040A300
_NUMERIC_VALUE: Final = 0x0040A30A
_FLOATING_POINT, _NUMERATOR, _DENOMINATOR = 0x0040A161, 0x0040A162, 0x0040A163
#: The number of Numeric Value once more.
OTHER_FORMS: Final = (_FLOATING_POINT, _NUMERATOR, _DENOMINATOR)
#: Tag -> how its binary values are packed, and in how many bytes.
_PACKED: Final = {_FLOATING_POINT: ("<d", 8), _NUMERATOR: ("<i", 4), _DENOMINATOR: ("<I", 4)}
_UNITS: Final = 0x004008EA
_FEWEST_DIGITS: Final = 6
#: What a concept is called that counts, or places, and does not number (PS3.16 D, IBSI).
_COUNTS: Final = re.compile(
    r"\b(?:number of|count|counts|total|sum|ratio|index|factor|fraction|percent|percentage|probability|score|quantity|"
    r"pixels?|voxels?|frames?|rows?|columns?|column|position|offset|coordinate|size|area|volume|energy|intensity|"
    r"variance|emphasis|correlation|contrast|moment|histogram)\b",
    re.IGNORECASE,
)
#: UCUM's unity, with or without an annotation: ``1``, ``{ratio}``.
_UNITY: Final = re.compile(r"1?(?:\{[^{}]*\})*")


def is_identifier(host: Host, elements: list[Element], sets: CharacterSets, *, value_type: str) -> bool:
    """Whether the number of a content item may be somebody's.

    Parameters
    ----------
    host
        the engine
    elements
        of the content item
    sets
        the character sets of the item
    value_type
        ``NUM``, with a Measured Value Sequence, or anything for an item that has the value itself
    """
    holders = [elements]
    if value_type == "NUM":
        measured = find(elements, _MEASURED_VALUE)
        holders = [item[4] for item in (measured[5] or [])] if measured is not None else []
    for holder in holders:
        numbers = [number for text in _texts(host, holder, sets) if (number := _whole(text))]
        if any(map(host.cleaner.knows_number, numbers)):
            return True
        if numbers and not _has_unit(host, holder, sets) and not _counts(host, elements, sets):
            return True
    return False


def _texts(host: Host, elements: list[Element], sets: CharacterSets) -> Iterator[str]:
    yield from text_of(host.buffer, elements, _NUMERIC_VALUE, sets).split("\\")
    for tag, (form, width) in _PACKED.items():
        element = find(elements, tag)
        if element is not None and element[5] is None:
            raw = bytes(host.buffer[element[3] : element[4]])
            yield from (str(unpack_from(form, raw, at)[0]) for at in range(0, len(raw) - width + 1, width))


def _whole(text: str) -> str:
    """The digits of a whole number with six and more of them; empty for any other."""
    try:
        number = abs(Decimal(text.strip()))
    except InvalidOperation:
        return ""
    if not number.is_finite() or number.adjusted() > 18 or number != int(number):
        return ""
    # As it is written, for a number may begin with zeros.
    written = "" if "e" in text.lower() else text.strip().lstrip("+-").partition(".")[0]
    digits = written if written.isdecimal() else str(int(number))
    return digits if len(digits) >= _FEWEST_DIGITS else ""


def _has_unit(host: Host, elements: list[Element], sets: CharacterSets) -> bool:
    units = find(elements, _UNITS)
    if units is None or not units[5]:
        return False
    _scheme, code = code_of(host.buffer, units[5][0][4], sets)
    if _UNITY.fullmatch(code):
        return False
    # Devices write units of their own as well: ``msec``.
    return is_unit(code) or code.casefold() in words_of(frozenset()).units


def _counts(host: Host, elements: list[Element], sets: CharacterSets) -> bool:
    """Whether the dictionary knows the concept, and says that it counts."""
    concept = find(elements, _CONCEPT_NAME)
    if concept is None or not concept[5]:
        return False
    meaning = coded_concepts.meaning_of(*code_of(host.buffer, concept[5][0][4], sets))
    return meaning is not None and _COUNTS.search(meaning) is not None
