"""Coded entries: codes, their schemes and their meanings (PS3.3 section 8), in every profile and at every depth.

A code is what a device or a person wrote, as its meaning is. What the standard and public terminologies know of it
(``gateway.dicom.coded_concepts``, ``schemes`` and ``units``) is vouched for; of anything else only words that are known
to identify nobody stay:

- a meaning is written again from the dictionary where the code is known, whatever was received; the meaning of a unit
  stays if it is one, otherwise the code is written in its place; any other meaning is cleaned as a descriptor is;
- a code stays if it is known, if only its scheme can have made it, or if all its words are known; otherwise a keyed one
  stands for it, the same for the same code;
- designators and versions of schemes that are not public are treated like codes.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.deid.dummies import dummy_value
from gateway.deid.host import Host
from gateway.deid.values import encode_value
from gateway.dicom import coded_concepts, encode
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.instance import decode_element
from gateway.dicom.schemes import fits, is_public
from gateway.dicom.units import is_unit, names_unit, same_unit

if TYPE_CHECKING:
    from gateway.deid.clean import Cleaner
    from gateway.deid.project_key import ProjectKey

__all__ = ["CODED", "code_of", "has_code", "overrides", "raw_of", "text_of"]

_CODE_VALUE: Final = 0x00080100
_DESIGNATOR: Final = 0x00080102
_VERSION: Final = 0x00080103
_CODE_MEANING: Final = 0x00080104
_LONG_CODE_VALUE: Final = 0x00080119
_URN_CODE_VALUE: Final = 0x00080120
_CODE_VALUES: Final = (_CODE_VALUE, _LONG_CODE_VALUE, _URN_CODE_VALUE)
#: Attributes of a coded entry that hold what somebody wrote -> VR.
CODED: Final = {
    _CODE_VALUE: b"SH", _DESIGNATOR: b"SH", _VERSION: b"SH", _CODE_MEANING: b"LO",
    _LONG_CODE_VALUE: b"UC", _URN_CODE_VALUE: b"UR",
}  # fmt: skip
_UCUM: Final = "UCUM"
#: Fits SH.
_KEYED_LENGTH: Final = 16
#: A keyed designator: private ones begin with 99 (PS3.3 8.2).
_KEYED_SCHEME: Final = "99"
_KEYED_SCHEME_LENGTH: Final = 10
#: ``01``, ``2.0.1``, ``2016b``: a number of a version, not a date. Years of people's births are no versions.
_PLAIN_VERSION: Final = re.compile(r"(?:[0-9]{1,2}(?:\.[0-9]{1,3}){0,3}|20[0-9]{2}[a-z]?)", re.ASCII)
#: Written codes and meanings of the last coded entries of public schemes.
_MOST_REMEMBERED: Final = 4096
#: The same of what depends on the study, each of which keeps its context.
_MOST_PRIVATE: Final = 256


def has_code(elements: list[Element]) -> bool:
    """Whether a level holds any attribute of a coded entry."""
    number = bisect_left(elements, (_CODE_VALUE,))
    for element in elements[number : number + len(CODED)]:
        if element[0] > _URN_CODE_VALUE:
            return False
        if element[0] in CODED:
            return True
    return False


def overrides(host: Host, elements: list[Element], *, implicit: bool, sets: CharacterSets) -> dict[int, bytes]:
    """What takes the place of the elements of a coded entry.

    Parameters
    ----------
    host
        the engine
    elements
        a level that holds a coded entry
    implicit
        how the level is encoded
    sets
        the character sets that hold in it

    Returns
    -------
    Tag -> encoded element; empty if the entry stays as it is.

    Raises
    ------
    RuleFailed
        the program holds where a word is not known
    """
    received = {
        element[0]: _text(host.buffer, element, sets)
        for tag in CODED
        if (element := find(elements, tag)) is not None and element[5] is None
    }
    public = _public(tuple(received.items()))
    written = dict(public if public is not None else _private(_Voices(host.key, host.cleaner), tuple(received.items())))
    changed: dict[int, bytes] = {}
    for tag, text in written.items():
        if text is None:
            dummy = dummy_value(tag, CODED[tag], b"", host.key)
            changed[tag] = encode.element(tag, CODED[tag], dummy, implicit=implicit)
        elif text != received[tag]:
            raw = raw_of(host.buffer, elements, tag) if tag == _CODE_MEANING else b""
            value = encode_value(tag, CODED[tag], text, sets, part_of=raw)
            changed[tag] = encode.element(tag, CODED[tag], value, implicit=implicit)
    return changed


@lru_cache(maxsize=_MOST_REMEMBERED)
def _public(received: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...] | None:
    """What is written of an entry of which everything is public knowledge; None if anything is not."""
    texts = dict(received)
    scheme, version = texts.get(_DESIGNATOR, ""), texts.get(_VERSION, "")
    values = [texts[tag] for tag in _CODE_VALUES if texts.get(tag)]
    if not is_public(scheme) or (version and not _PLAIN_VERSION.fullmatch(version)):
        return None
    if not all(coded_concepts.meaning_of(scheme, value) or (scheme == _UCUM and is_unit(value)) for value in values):
        return None
    if texts.get(_CODE_MEANING):
        if not values:
            return None
        texts[_CODE_MEANING] = _known_meaning(scheme, values[0], texts[_CODE_MEANING])
    return tuple(texts.items())


def _known_meaning(scheme: str, code: str, received: str) -> str:
    """The meaning that is written for a code of which the dictionary or the grammar of units knows all."""
    if scheme == _UCUM and (is_unit(received) or names_unit(received, code) or same_unit(code, received)):
        return received
    return coded_concepts.meaning_of(scheme, code) or code


class _Voices(NamedTuple):
    """What has a say in an entry of which not everything is public knowledge."""

    key: ProjectKey
    cleaner: Cleaner


@lru_cache(maxsize=_MOST_PRIVATE)
def _private(host: _Voices, entry: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str | None], ...]:
    """What is written of an entry of which not everything is public knowledge; None for a dummy."""
    received = dict(entry)
    scheme = received.get(_DESIGNATOR, "")
    written: dict[int, str | None] = {}
    for tag in _CODE_VALUES:
        value = received.get(tag, "")
        if value and not _vouched(host, scheme, value):
            keyed = _keyed(host, "code", scheme, value)[:_KEYED_LENGTH]
            written[tag] = f"urn:oid:{host.key.uid(value)}" if tag == _URN_CODE_VALUE else keyed
    if scheme and not is_public(scheme) and not host.cleaner.vouches(scheme):
        written[_DESIGNATOR] = _KEYED_SCHEME + _keyed(host, "coding scheme", scheme)[:_KEYED_SCHEME_LENGTH]
    version = received.get(_VERSION, "")
    if version and not _PLAIN_VERSION.fullmatch(version) and not host.cleaner.vouches(version):
        written[_VERSION] = _keyed(host, "coding scheme version", scheme, version)[:_KEYED_LENGTH]
    meaning = received.get(_CODE_MEANING, "")
    if meaning:
        code = next((received[tag] for tag in _CODE_VALUES if received.get(tag)), "")
        written[_CODE_MEANING] = _meaning(host, scheme, code, meaning)
    return tuple(written.items())


def _meaning(host: _Voices, scheme: str, code: str, received: str) -> str | None:
    """What is written for a meaning; None for a dummy. Of a unit never a part is left."""
    if coded_concepts.meaning_of(scheme, code) is not None or (scheme == _UCUM and is_unit(code)):
        return _known_meaning(scheme, code, received)
    if is_unit(received) and not host.cleaner.identifies(received):
        return received
    cleaned = host.cleaner.text(_CODE_MEANING, b"LO", received)
    return None if scheme == _UCUM and cleaned != received else cleaned


def _vouched(host: _Voices, scheme: str, value: str) -> bool:
    """Whether a code may stay. Units are written under other schemes as well."""
    if coded_concepts.meaning_of(scheme, value) is not None:
        return True
    return not host.cleaner.identifies(value) and (fits(scheme, value) or is_unit(value) or host.cleaner.vouches(value))


def _keyed(host: _Voices, purpose: str, *parts: str) -> str:
    return base64.b32encode(host.key.digest(purpose, *parts)).decode("ascii")


def code_of(buffer: Buffer, elements: list[Element], sets: CharacterSets) -> tuple[str, str]:
    """Coding Scheme Designator and code of a coded entry, empty where it has none."""
    scheme = text_of(buffer, elements, _DESIGNATOR, sets)
    values = (text_of(buffer, elements, tag, sets) for tag in _CODE_VALUES)
    return scheme, next((value for value in values if value), "")


def text_of(buffer: Buffer, elements: list[Element], tag: int, sets: CharacterSets) -> str:
    """The text of an element of a level without padding; empty if it is absent."""
    element = find(elements, tag)
    return "" if element is None else decode_element(buffer, element, sets).text.strip("\0 ")


def raw_of(buffer: Buffer, elements: list[Element], tag: int) -> bytes:
    """The encoded value of an element of a level; empty if it is absent."""
    element = find(elements, tag)
    return b"" if element is None else bytes(buffer[element[3] : element[4]])


def _text(buffer: Buffer, element: Element, sets: CharacterSets) -> str:
    """The text of an element without padding; of bytes that are none, the bytes as letters."""
    text = decode_element(buffer, element, sets).text.strip("\0 ")
    return text or bytes(buffer[element[3] : element[4]]).decode("latin-1").strip("\0 ")
