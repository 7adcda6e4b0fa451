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
_SPELLING: Final = re.compile(r"ISO[ _-]*(?P<extended>2022)?[ _-]*IR[ _-]*(?P<number>[0-9]+)(?![0-9A-Z])")
#: How other standards call the sets, in capitals without separators -> Defined Term.
_OTHER_NAMES: Final = {
    "UTF8": "ISO_IR 192", "UNICODE": "ISO_IR 192", "LATIN1": "ISO_IR 100", "WINDOWS1252": "ISO_IR 100",
    "CP1252": "ISO_IR 100", "ASCII": "ISO_IR 6", "USASCII": "ISO_IR 6", "GB2312": "GBK", "TIS620": "ISO_IR 166",
    "ISO88591": "ISO_IR 100", "ISO88592": "ISO_IR 101", "ISO88593": "ISO_IR 109", "ISO88594": "ISO_IR 110",
    "ISO88595": "ISO_IR 144", "ISO88596": "ISO_IR 127", "ISO88597": "ISO_IR 126", "ISO88598": "ISO_IR 138",
    "ISO88599": "ISO_IR 148", "ISO885915": "ISO_IR 203",
}  # fmt: skip
#: Where 0x80 to 0xBF are signs, and letters follow: text that is valid UTF-8 beyond ASCII can be nothing else.
_WESTERN: Final = frozenset((_DEFAULT, "latin_1", "iso8859_9", "iso8859_15"))
#: Two letters beyond ASCII seldom meet in a Western language; in other encodings read as Latin-1 they always do.
_LETTER: Final = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff"
_MEETING: Final = re.compile(
    rf"[{_LETTER}]{{3}}"
    rf"|(?![\u00c7\u00d1\u00e7\u00f1\u00dc\u00cf\u00fc\u00ef][{_LETTER}]|[{_LETTER}][\u00d1\u00f1]|[\u00c4\u00d6\u00dc\u00e4\u00f6\u00fc]\u00df"
    rf"|[\u00c4\u00d6\u00e4\u00f6]{{2}}|\u00e9\u00e9|\u00c9\u00c9)[{_LETTER}]{{2}}"
)
#: Signs of Latin-1 that stand in Western text; the others are halves of characters of other sets.
_SIGNS: Final = frozenset("\u00a0\u00a1\u00aa\u00ab\u00b0\u00b1\u00b2\u00b3\u00b4\u00b5\u00b7\u00ba\u00bb\u00bf\u00d7")


#: Defined Term -> codec (PS3.3 Tables C.12-2 to C.12-5).
ENCODINGS: Final = {**python_encoding, "ISO_IR 203": "iso8859_15", "ISO 2022 IR 203": "iso8859_15"}


@dataclass(frozen=True, slots=True)
class CharacterSets:
    """The character sets of a data set.

    Attributes
    ----------
    encodings
        names of Python codecs, the initial one first
    exact
        whether every declared name is understood: a defined term (PS3.3 Tables C.12-2 to C.12-5) or one misspelt
    terms
        the defined terms that were meant
    output
        what the output declares instead, if anything (``gateway.dicom.repertoire``)
    alphabet
        letters beyond ASCII that the output must be able to say
    """

    encodings: tuple[str, ...] = (_DEFAULT,)
    exact: bool = True
    terms: tuple[str, ...] = ()
    output: CharacterSets | None = None
    alphabet: str = ""

    @property
    def is_default(self) -> bool:
        """Whether nothing but the default repertoire is declared (PS3.5 6.1.2.1)."""
        return self.encodings == (_DEFAULT,)


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
    terms: list[str] = []
    exact = True
    for part in value.decode("ascii", "replace").split("\\"):
        term = defined_term(part.strip(" \0"))
        if term is None:
            exact = False
        else:
            encodings.append(ENCODINGS[term])
            terms.append(term)
    alone = next((number for number, encoding in enumerate(encodings) if encoding in _STAND_ALONE), None)
    if alone is not None:
        return CharacterSets((encodings[alone],), exact and len(encodings) == 1, (terms[alone],))
    return CharacterSets(tuple(encodings) or (_DEFAULT,), exact, tuple(terms))


def defined_term(name: str) -> str | None:
    """The Defined Term of Specific Character Set that is meant: ``ISO_IR 100`` by ``iso-ir 100`` and ``ISO 8859-1``.

    None if it cannot be told.
    """
    if name in ENCODINGS:
        return name
    plain = name.upper()
    match = _SPELLING.match(plain)
    if match:
        known = (f"ISO_IR {match['number']}", f"ISO 2022 IR {match['number']}")
        return next((term for term in (known[::-1] if match["extended"] else known) if term in ENCODINGS), None)
    return _OTHER_NAMES.get(re.sub(r"[ _-]", "", plain))


def decode(value: bytes, vr: bytes, sets: CharacterSets) -> Decoded:
    """The text of an encoded value of a text VR, with its padding, all values and component groups.

    Parameters
    ----------
    value
        the bytes of the whole element
    vr
        two letters; the default repertoire applies where ``sets`` does not govern this VR (PS3.5 6.1.2.3)
    sets
        what ``character_sets`` returned for the data set or the nearest enclosing item that declares one
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
    codec, exact = reading(value, encoding, declared)
    return value.decode(codec, "replace"), exact


def reading(value: bytes, encoding: str, declared: tuple[str, ...]) -> tuple[str, bool]:
    """The codec by which ``value``, a text without escape sequences, is read best, and whether that is certain.

    Parameters
    ----------
    value
        the bytes
    encoding
        the codec that should be right
    declared
        all that the data set declares
    """
    if value.isascii() and (b"\x1b" not in value or encoding == _DEFAULT):
        return encoding, b"\x1b" not in value
    if encoding in _WESTERN and not value.isascii() and _fits(value, "utf-8"):
        # Text of UTF-8 where nothing or Latin-1 is declared is common, and chance does not make it.
        return "utf-8", True
    if encoding != _DEFAULT:
        if _fits(value, encoding):
            return encoding, b"\x1b" not in value or encoding.startswith("iso2022")
        if encoding in _DOUBLE_BYTE.values():
            return encoding, False
    for other in ("utf-8", *declared):
        if other not in (_DEFAULT, "latin_1", encoding) and _fits(value, other):
            return other, False
    # What is neither UTF-8 nor what was declared is Latin-1 in the West, where nobody declares it.
    return "latin_1", encoding in (_DEFAULT, "UTF8") and is_western(value.decode("latin_1"))


def _fits(value: bytes, codec: str) -> bool:
    try:
        value.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def is_western(text: str) -> bool:
    """Whether ``text``, read as Latin-1, can be of a Western language, and not of another encoding misread."""
    return _MEETING.search(text) is None and all(
        letter.isascii() or letter in _SIGNS or (letter.isalpha() and letter <= "\u00ff") for letter in text
    )
