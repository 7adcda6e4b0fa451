"""Values of data elements as Python values, for conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from gateway.dicom.charset import character_sets
from gateway.dicom.dictionary import entry, tag_of, vr_of
from gateway.dicom.encoded import Element, find
from gateway.dicom.instance import Instance, decode_element
from gateway.errors import RuleFailed

Value: TypeAlias = "str | int | float | list[str] | list[int] | list[float]"

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_INTEGERS: Final = frozenset((b"IS", b"SL", b"SS", b"SV", b"UL", b"US", b"UV"))
_DECIMALS: Final = frozenset((b"DS", b"FD", b"FL"))
#: One value, in which a backslash is text (PS3.5 6.4).
_SINGLE: Final = frozenset((b"LT", b"ST", b"UT", b"UR"))
_NOT_VALUES: Final = frozenset((b"SQ", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"))


def values_by_keyword(instance: Instance, keywords: Iterable[str]) -> Mapping[str, Value]:
    """The values of the elements named.

    ``Sequence/Attribute`` stands for the texts that the items of a top-level sequence have for an attribute, without
    the empty ones, as a list. Sequences and byte strings have no value: they are True if they are there and not empty.

    Text is decoded and stripped, IS and integer VRs are int, DS and floating-point VRs are float. Elements that may
    have several values (PS3.6, VM) are lists, whether they have several or not. Of absent elements and those without a
    value, such lists are empty and the others are empty text.

    Raises
    ------
    RuleFailed: an element has a VR without comparable values, or its value does not fit its VR
    """
    values: dict[str, Value] = {}
    for keyword in keywords:
        if "/" in keyword:
            values[keyword] = _listed(instance, *keyword.split("/", 1))
            continue
        tag = tag_of(keyword)
        row = None if tag is None else entry(tag)
        if tag is None or row is None:
            continue
        element = find(instance.elements, tag)
        if vr_of(tag) in _NOT_VALUES:
            values[keyword] = _is_filled(element) or ""
            continue
        vr = vr_of(tag) if element is None or element[1] == b"UN" else element[1]
        if vr in _NOT_VALUES:
            raise RuleFailed(where=keyword, reason=f"conditions cannot compare VR {vr.decode()}")
        try:
            found = _values(vr, instance.text(tag))
        except ValueError:
            raise RuleFailed(where=keyword, reason="the value does not fit its value representation") from None
        if row.vm != "1" or len(found) > 1:
            values[keyword] = found
        else:
            values[keyword] = found[0] if found else ""
    return values


def _is_filled(element: Element | None) -> bool:
    """Whether a sequence has items, or another element a value."""
    if element is None:
        return False
    return bool(element[5]) if element[5] is not None else element[4] > element[3]


def _listed(instance: Instance, sequence: str, attribute: str) -> list[str]:
    """The texts that the items of a top-level sequence have for an attribute, each value by itself."""
    outer, inner = tag_of(sequence), tag_of(attribute)
    found = None if outer is None else find(instance.elements, outer)
    if found is None or inner is None or found[5] is None:
        return []
    texts: list[str] = []
    for _start, _value, _end, _implicit, nested in found[5]:
        element = find(nested, inner)
        if element is None:
            continue
        if element[5] is not None or element[1] in _NOT_VALUES - {b"UN"}:
            raise RuleFailed(where=f"{sequence}/{attribute}", reason="conditions cannot compare its value")
        declared = find(nested, _SPECIFIC_CHARACTER_SET)
        sets = instance.character_sets
        if declared is not None:
            sets = character_sets(bytes(instance.buffer[declared[3] : declared[4]]))
        text = decode_element(instance.buffer, element, sets).text.strip(" \0")
        parts = [text] if element[1] in _SINGLE else text.split("\\")
        texts += [part.strip() for part in parts if part.strip()]
    return texts


def _values(vr: bytes, text: str) -> list[str] | list[int] | list[float]:
    if not text:
        return []
    if vr in _SINGLE:
        return [text]
    parts = [part.strip() for part in text.split("\\")]
    if vr in _INTEGERS:
        return [int(part) for part in parts]
    return [float(part) for part in parts] if vr in _DECIMALS else parts
