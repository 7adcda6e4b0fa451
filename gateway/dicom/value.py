"""Values of top-level data elements as Python values, for conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from gateway.dicom.dictionary import entry, tag_of, vr_of
from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance
from gateway.errors import RuleFailed

Value: TypeAlias = "str | int | float | list[str] | list[int] | list[float]"

_INTEGERS: Final = frozenset((b"IS", b"SL", b"SS", b"SV", b"UL", b"US", b"UV"))
_DECIMALS: Final = frozenset((b"DS", b"FD", b"FL"))
#: One value, in which a backslash is text (PS3.5 6.4).
_SINGLE: Final = frozenset((b"LT", b"ST", b"UT", b"UR"))
_NOT_VALUES: Final = frozenset((b"SQ", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"))


def values_by_keyword(instance: Instance, keywords: Iterable[str]) -> Mapping[str, Value]:
    """The values of the elements named.

    Text is decoded and stripped, IS and integer VRs are int, DS and floating-point VRs are float. Elements that may
    have several values (PS3.6, VM) are lists, whether they have several or not. Of absent elements and those without a
    value, such lists are empty and the others are empty text.

    Raises
    ------
    RuleFailed: an element has a VR without comparable values, or its value does not fit its VR
    """
    values: dict[str, Value] = {}
    for keyword in keywords:
        tag = tag_of(keyword)
        row = None if tag is None else entry(tag)
        if tag is None or row is None:
            continue
        element = find(instance.elements, tag)
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


def _values(vr: bytes, text: str) -> list[str] | list[int] | list[float]:
    if not text:
        return []
    if vr in _SINGLE:
        return [text]
    parts = [part.strip() for part in text.split("\\")]
    if vr in _INTEGERS:
        return [int(part) for part in parts]
    return [float(part) for part in parts] if vr in _DECIMALS else parts
