"""Values of data elements as Python values, for conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from gateway.dicom.charset import character_sets
from gateway.dicom.dictionary import entry, tag_of, vr_of
from gateway.dicom.encoded import Element, find
from gateway.dicom.instance import Instance, decode_element
from gateway.dicom.private_dictionary import private_vr
from gateway.dicom.tag import is_private_creator
from gateway.errors import RuleFailed

Value: TypeAlias = "str | int | float | list[str] | list[int] | list[float]"

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_INTEGERS: Final = frozenset((b"IS", b"SL", b"SS", b"SV", b"UL", b"US", b"UV"))
_DECIMALS: Final = frozenset((b"DS", b"FD", b"FL"))
#: One value, in which a backslash is text (PS3.5 6.4).
_SINGLE: Final = frozenset((b"LT", b"ST", b"UT", b"UR"))
_PRIVATE: Final = re.compile(r"(\??)\(([0-9A-Fa-f]{4}),xx([0-9A-Fa-f]{2})\) (.+)")
#: Element of the file meta information -> what ``FileMeta`` calls it.
_META: Final = {
    0x00020002: "sop_class_uid",
    0x00020003: "sop_instance_uid",
    0x00020010: "transfer_syntax",
    0x00020016: "source_ae",
    0x00020018: "receiving_ae",
}
_NOT_VALUES: Final = frozenset((b"SQ", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"))


def values_by_keyword(instance: Instance, keywords: Iterable[str]) -> Mapping[str, Value]:
    """The values of the elements named.

    ``Sequence/Attribute`` stands for the texts that the items of a top-level sequence have for an attribute, without
    the empty ones, as a list; ``Sequence/Sequence/Attribute`` of one inside the items. Sequences and byte strings have
    no value: they are True if they are there and not empty. ``(gggg,xxee) CREATOR`` stands for the text of a private
    element, and with a question mark before it for whether it has a value. Of the file meta information there is what
    ``FileMeta`` has.

    Text is decoded and stripped, IS and integer VRs are int, DS and floating-point VRs are float. Elements that may
    have several values (PS3.6, VM) are lists, whether they have several or not. Of absent elements and those without a
    value, such lists are empty and the others are empty text.

    Raises
    ------
    RuleFailed
        an element has a VR without comparable values, or its value does not fit its VR
    """
    values: dict[str, Value] = {}
    for keyword in keywords:
        if keyword.startswith(("(", "?")):
            values[keyword] = _private(instance, keyword)
            continue
        if "/" in keyword:
            values[keyword] = _listed(instance, *keyword.rsplit("/", 1))
            continue
        tag = tag_of(keyword)
        row = None if tag is None else entry(tag)
        if tag is None or row is None:
            continue
        if tag in _META:
            values[keyword] = str(getattr(instance.meta, _META[tag]))
            continue
        element = find(instance.elements, tag)
        if vr_of(tag) in _NOT_VALUES:
            values[keyword] = _is_filled(element) or ""
            continue
        vr = vr_of(tag) if element is None or element[1] == b"UN" else element[1]
        if vr in _NOT_VALUES:
            raise RuleFailed(where=keyword, reason=f"conditions cannot compare VR {vr.decode()}")
        try:
            listed = _values(vr, instance.text(tag))
        except ValueError:
            raise RuleFailed(where=keyword, reason="the value does not fit its value representation") from None
        if row.vm != "1" or len(listed) > 1:
            values[keyword] = listed
        else:
            values[keyword] = listed[0] if listed else ""
    return values


def _is_filled(element: Element | None) -> bool:
    """Whether a sequence has items, or another element a value."""
    if element is None:
        return False
    return bool(element[5]) if element[5] is not None else element[4] > element[3]


def _private(instance: Instance, name: str) -> str | bool:
    """The text of a private element at the top level, found by its creator; or whether it has a value."""
    asked = _PRIVATE.fullmatch(name)
    if asked is None:
        return ""
    group, offset, creator = int(asked[2], 16), int(asked[3], 16), asked[4].strip().upper()
    blocks = [
        tag & 0xFF
        for tag, *_ in instance.elements
        if tag >> 16 == group and is_private_creator(tag) and instance.text(tag).upper() == creator
    ]
    for block in blocks:
        tag = group << 16 | block << 8 | offset
        element = find(instance.elements, tag)
        if element is None:
            continue
        if asked[1]:
            return _is_filled(element)
        vr = private_vr(tag, creator) if element[1] == b"UN" else element[1]
        if element[5] is not None or (vr in _NOT_VALUES and vr != b"UN"):
            raise RuleFailed(where=name, reason=f"conditions cannot compare VR {vr.decode()}")
        known = (tag, vr, *element[2:5], None)
        raw = bytes(instance.buffer[element[3] : element[4]])
        if vr == b"UN" and not raw.strip(b"\0 ").decode("latin-1").isprintable():
            raise RuleFailed(where=name, reason="conditions cannot compare bytes that are no text")
        sets = instance.character_sets
        return decode_element(instance.buffer, known if vr != b"UN" else (tag, b"LO", *known[2:]), sets).text.strip(
            " \0"
        )
    return False if asked[1] else ""


def _listed(instance: Instance, path: str, attribute: str) -> list[str]:
    """The texts that the items of a sequence have for an attribute, each value by itself."""
    levels, inner = [instance.elements], tag_of(attribute)
    for sequence in path.split("/"):
        outer, below = tag_of(sequence), []
        for elements in levels:
            parent = None if outer is None else find(elements, outer)
            below += [item[4] for item in (parent[5] or [])] if parent is not None else []
        levels = below
    texts: list[str] = []
    for nested in levels:
        element = find(nested, inner) if inner is not None else None
        if element is None:
            continue
        if element[5] is not None or element[1] in _NOT_VALUES - {b"UN"}:
            raise RuleFailed(where=f"{path}/{attribute}", reason="conditions cannot compare its value")
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
