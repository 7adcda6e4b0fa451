"""Decoding text under Specific Character Set (PS3.5 6.1, PS3.3 C.12.1.1.2).

Input from the field is often wrong: a character set that does not exist, bytes that do not belong to the one declared.
Nothing here raises. The best reading is returned with a flag that tells whether it is exact, so that whoever searches
for names sees what can be seen, and whoever must be certain knows when it is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

from gateway.dicom.vr import VALUE_REPRESENTATIONS

#: The default repertoire: ISO 646, which Latin-1 contains (PS3.5 6.1.2.1).
_DEFAULT: Final = "iso8859"
#: Character sets that fill a value alone: no code extensions, and the byte 0x5C may be part of a character.
_STAND_ALONE: Final = frozenset(("UTF8", "GB18030", "GBK"))
#: Sets of 94 x 94 characters designated as G0: every byte below 0x80 is half a character until the next escape.
_DOUBLE_BYTE: Final = {b"\x1b$B": "iso2022_jp", b"\x1b$(D": "iso2022_jp_2", b"\x1b$@": "iso2022_jp"}
_ESCAPE: Final = re.compile(rb"(\x1b(?:\$\([A-Z]|\$\)[A-Z]|\$[@B]|[()\-][A-Z]))")
#: What returns a value to its initial character sets (PS3.5 6.1.2.5.3).
_RESET: Final = re.compile(rb"([\t\n\f\r\\])")
_RESET_IN_NAME: Final = re.compile(rb"([\t\n\f\r\\^=])")
_SPELLING: Final = re.compile(r"ISO[ _-]?(?P<extended>2022)?[ _-]?IR[ _-]?(?P<number>[0-9]+)")


@dataclass(frozen=True, slots=True)
class CharacterSets:
    """The character sets of a data set.

    Attributes
    ----------
    encodings: names of Python codecs, the initial one first
    exact: whether every declared name is a defined term (PS3.3 Tables C.12-2 to C.12-5)
    """

    encodings: tuple[str, ...] = (_DEFAULT,)
    exact: bool = True


class Decoded(NamedTuple):
    """Text, and whether it is what the bytes mean without any guess."""

    text: str
    exact: bool


#: What holds where Specific Character Set is absent.
DEFAULT_REPERTOIRE: Final = CharacterSets()


@lru_cache(maxsize=256)
def character_sets(value: bytes) -> CharacterSets:
    """The character sets that the encoded value of Specific Character Set (0008,0005) declares."""
    encodings: list[str] = []
    exact = True
    for term in value.decode("ascii", "replace").split("\\"):
        name = term.strip(" \0")
        encoding = python_encoding.get(name)
        if encoding is None:
            exact = False
            encoding = _corrected(name)
        if encoding is not None:
            encodings.append(encoding)
    alone = next((encoding for encoding in encodings if encoding in _STAND_ALONE), None)
    if alone is not None:
        return CharacterSets((alone,), exact and len(encodings) == 1)
    return CharacterSets(tuple(encodings) or (_DEFAULT,), exact)


def decode(value: bytes, vr: bytes, sets: CharacterSets) -> Decoded:
    """The text of an encoded value of a text VR, with its padding, all values and component groups.

    Parameters
    ----------
    value: the bytes of the whole element
    vr: two letters; the default repertoire applies where ``sets`` does not govern this VR (PS3.5 6.1.2.3)
    sets: what ``character_sets`` returned for the data set or the nearest enclosing item that declares one
    """
    if value.isascii() and b"\x1b" not in value:
        return Decoded(value.decode("ascii"), exact=True)
    facts = VALUE_REPRESENTATIONS.get(vr)
    if facts is not None and not facts.specific and vr != b"UN":
        sets = DEFAULT_REPERTOIRE
    initial = sets.encodings[0]
    if initial in _STAND_ALONE or b"\x1b" not in value:
        text, exact = _piece(value, initial, sets.encodings)
        return Decoded(text, exact and sets.exact)
    text, exact = _with_escapes(value, sets.encodings, _RESET_IN_NAME if vr == b"PN" else _RESET)
    return Decoded(text, exact and sets.exact)


def split_values(text: str, vr: bytes) -> list[str]:
    """The values of a decoded text (PS3.5 6.4).

    Only decoded text can be split: in several character sets the backslash's byte is also the second half of others.
    """
    facts = VALUE_REPRESENTATIONS.get(vr)
    return text.split("\\") if facts is None or facts.several else [text]


def _corrected(name: str) -> str | None:
    """The codec of a misspelt term such as ``ISO-IR 100`` or ``UTF-8``; None if it cannot be told."""
    match = _SPELLING.fullmatch(name.upper())
    if match:
        prefix = "ISO 2022 IR" if match["extended"] else "ISO_IR"
        return python_encoding.get(f"{prefix} {match['number']}") or python_encoding.get(
            f"ISO 2022 IR {match['number']}"
        )
    return "UTF8" if name.upper().replace("-", "").replace("_", "") == "UTF8" else None


def _with_escapes(value: bytes, encodings: tuple[str, ...], resets: re.Pattern[bytes]) -> tuple[str, bool]:
    """Follow the escape sequences of ISO 2022 (PS3.5 6.1.2.5)."""
    initial = encodings[0] if encodings[0] not in _DOUBLE_BYTE.values() else _DEFAULT
    upper, double, exact = initial, b"", True
    text: list[str] = []
    for token in _ESCAPE.split(value):
        if token.startswith(b"\x1b") and _ESCAPE.fullmatch(token):
            encoding = _DOUBLE_BYTE.get(token) or CODES_TO_ENCODINGS.get(token)
            if encoding is None or (encoding not in encodings and encoding != _DEFAULT):
                exact = False
            if token in _DOUBLE_BYTE:
                double = token
            elif token[1:2] == b"(":
                double = b""
            elif encoding is not None:
                upper = encoding
            continue
        if double and token.isascii():
            piece, sure = _piece(double + token + b"\x1b(B", _DOUBLE_BYTE[double], encodings)
            text.append(piece)
            exact = exact and sure
            continue
        if double:
            exact, double = False, b""
        for part in resets.split(token):
            if resets.fullmatch(part):
                upper = initial
            piece, sure = _piece(part, upper, encodings)
            text.append(piece)
            exact = exact and sure
    return "".join(text), exact


def _piece(value: bytes, encoding: str, declared: tuple[str, ...]) -> tuple[str, bool]:
    """``value`` in one encoding; where it does not fit, in the first of the other candidates that it does fit."""
    if encoding != _DEFAULT or value.isascii():
        try:
            return value.decode(encoding), b"\x1b" not in value or encoding.startswith("iso2022")
        except UnicodeDecodeError:
            if encoding in _DOUBLE_BYTE.values():
                return value.decode(encoding, "replace"), False
    for other in ("utf-8", *declared):
        if other not in (_DEFAULT, encoding):
            try:
                return value.decode(other), False
            except UnicodeDecodeError:
                continue
    return value.decode("latin_1" if encoding == _DEFAULT else encoding, "replace"), False
