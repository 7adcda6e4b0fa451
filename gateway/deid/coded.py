"""Coded entries: their meanings and codes (PS3.3 section 8.8).

A Code Meaning is text that a device or a person wrote. For a code that the standard knows it is written again from the
dictionary (``gateway.dicom.codes``) whatever was received; any other meaning is cleaned as a descriptor is, and a code
of a private scheme that holds the study's identity becomes a keyed one.
"""

from __future__ import annotations

import base64
from typing import Final

from gateway.deid.dummies import dummy_value
from gateway.deid.host import Host
from gateway.deid.values import encode_value
from gateway.dicom import codes, encode
from gateway.dicom.charset import CharacterSets, character_sets
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.instance import decode_element
from gateway.profile import Program

__all__ = ["CODE_MEANING", "cleans", "code_of", "overrides", "sets_of", "text_of"]

CODE_MEANING: Final = 0x00080104
_CODE_VALUE: Final = 0x00080100
_DESIGNATOR: Final = 0x00080102
_LONG_CODE_VALUE: Final = 0x00080119
_URN_CODE_VALUE: Final = 0x00080120
_CODE_VALUES: Final = {_CODE_VALUE: b"SH", _LONG_CODE_VALUE: b"UC", _URN_CODE_VALUE: b"UR"}
_SPECIFIC_CHARACTER_SET: Final = 0x00080005
#: Clean Structured Content and Clean Descriptors Option (PS3.16 CID 7050).
_OPTIONS: Final = frozenset(("113104", "113105"))
#: Fits SH.
_KEYED_CODE_LENGTH: Final = 16


def cleans(program: Program) -> bool:
    """Whether the program has an option that cleans code meanings (PS3.15 E.3.4, E.3.5)."""
    return any(code.value in _OPTIONS for code in program.codes)


def overrides(host: Host, elements: list[Element], *, implicit: bool, sets: CharacterSets) -> dict[int, bytes]:
    """What takes the place of the elements of a coded entry.

    Parameters
    ----------
    host: the engine
    elements: a level that holds a Code Meaning
    implicit: how the level is encoded
    sets: the character sets that hold in it

    Returns
    -------
    Tag -> encoded element; empty if the entry stays as it is.

    Raises
    ------
    RuleFailed: the program holds where a word is not known
    """
    found = find(elements, CODE_MEANING)
    if found is None or found[5] is not None:
        return {}
    buffer = host.buffer
    received = text_of(buffer, elements, CODE_MEANING, sets)
    scheme, code = code_of(buffer, elements, sets)
    known = codes.meaning_of(scheme, code)
    if known is not None:
        return (
            {} if received == known else {CODE_MEANING: _element(CODE_MEANING, b"LO", known, sets, implicit=implicit)}
        )
    changed: dict[int, bytes] = {}
    for tag, vr in _CODE_VALUES.items():
        value = text_of(buffer, elements, tag, sets)
        if value and host.cleaner.identifies(value):
            keyed = base64.b32encode(host.key.digest("code", scheme, value))[:_KEYED_CODE_LENGTH].decode("ascii")
            written = f"urn:oid:{host.key.uid(value)}" if tag == _URN_CODE_VALUE else keyed
            changed[tag] = _element(tag, vr, written, sets, implicit=implicit)
    cleaned = host.cleaner.text(CODE_MEANING, b"LO", received) if received else received
    if cleaned is None:
        dummy = dummy_value(CODE_MEANING, b"LO", b"", host.key)
        changed[CODE_MEANING] = encode.element(CODE_MEANING, b"LO", dummy, implicit=implicit)
    elif cleaned != received:
        changed[CODE_MEANING] = _element(CODE_MEANING, b"LO", cleaned, sets, implicit=implicit)
    return changed


def code_of(buffer: Buffer, elements: list[Element], sets: CharacterSets) -> tuple[str, str]:
    """Coding Scheme Designator and code of a coded entry, empty where it has none."""
    scheme = text_of(buffer, elements, _DESIGNATOR, sets)
    values = (text_of(buffer, elements, tag, sets) for tag in _CODE_VALUES)
    return scheme, next((value for value in values if value), "")


def text_of(buffer: Buffer, elements: list[Element], tag: int, sets: CharacterSets) -> str:
    """The text of an element of a level without padding; empty if it is absent."""
    found = find(elements, tag)
    return "" if found is None else decode_element(buffer, found, sets).text.strip("\0 ")


def sets_of(buffer: Buffer, elements: list[Element], outer: CharacterSets) -> CharacterSets:
    """The character sets that hold in an item: its own, or those around it (PS3.3 C.12.1.1.2)."""
    found = find(elements, _SPECIFIC_CHARACTER_SET)
    if found is None or found[5] is not None or found[3] == found[4]:
        return outer
    return character_sets(bytes(buffer[found[3] : found[4]]))


def _element(tag: int, vr: bytes, text: str, sets: CharacterSets, *, implicit: bool) -> bytes:
    return encode.element(tag, vr, encode_value(tag, vr, text, sets), implicit=implicit)
