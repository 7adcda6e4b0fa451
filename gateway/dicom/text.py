"""Encoding text under Specific Character Set (PS3.5 6.1), the reverse of ``charset.decode``.

Unlike decoding, which makes the best of what the field sends, writing is exact or fails: what is written decodes to the
text that was meant, or it is not written. What was taken out of a received value is written as that value was, right or
wrong, so that all text of a data set stays in one encoding.
"""

from __future__ import annotations

import re
from typing import Final

from pydicom.charset import encode_string

from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, decode, reading
from gateway.dicom.vr import VALUE_REPRESENTATIONS

__all__ = ["encode_part", "encode_text"]

_INEXPRESSIBLE: Final = "the character set cannot express the text"
#: The codec of the default repertoire, which writes ASCII only.
_DEFAULT: Final = DEFAULT_REPERTOIRE.encodings[0]

#: After these the initial character sets hold again (PS3.5 6.1.2.5.3); in a name also after its delimiters.
_RESET: Final = re.compile(r"([\t\n\f\r\\])")
_RESET_IN_NAME: Final = re.compile(r"([\t\n\f\r\\^=])")

#: The codec of ISO_IR 13.
_JIS_X_0201: Final = "shift_jis"


def encode_text(text: str, vr: bytes, sets: CharacterSets) -> bytes:
    """The encoded value of a text VR, without padding.

    Parameters
    ----------
    text
        all values, separated by backslashes
    vr
        a VR with a text value
    sets
        the character sets of the data set or item that will hold it

    Raises
    ------
    ValueError
        the character sets cannot express the text; its message holds nothing of it
    """
    if text.isascii() and "\x1b" not in text:
        return text.encode("ascii")
    facts = VALUE_REPRESENTATIONS[vr]
    sets = (sets.output or sets) if facts.specific else DEFAULT_REPERTOIRE
    try:
        encoded = _encoded(text, vr, sets)
    except ValueError:
        raise ValueError(_INEXPRESSIBLE) from None
    # The default repertoire is read as Latin-1, and may not be written so (PS3.5 6.1.2.1).
    if sets.is_default or decode(encoded, vr, sets) != (text, True):
        raise ValueError(_INEXPRESSIBLE)
    return encoded


def encode_part(text: str, vr: bytes, sets: CharacterSets, received: bytes) -> bytes:
    """The encoded value of a text that is a part of a received one, in the encoding of that, without padding.

    Parameters
    ----------
    text, vr, sets
        as for ``encode_text``
    received
        the value that it was taken out of

    Raises
    ------
    ValueError
        as ``encode_text``
    """
    if text.isascii() and "\x1b" not in text:
        return text.encode("ascii")
    if not received.isascii() and b"\x1b" not in received and VALUE_REPRESENTATIONS[vr].specific:
        codec, _ = reading(received, sets.encodings[0], sets.encodings)
        try:
            encoded = text.encode(codec)
        except UnicodeEncodeError:
            raise ValueError(_INEXPRESSIBLE) from None
        if decode(encoded, vr, sets).text == text:
            return encoded
    return encode_text(text, vr, sets)


def _encoded(text: str, vr: bytes, sets: CharacterSets) -> bytes:
    initial = sets.encodings[0]
    if initial != _DEFAULT and _has(initial, text):
        return text.encode(initial)
    parts = (_RESET_IN_NAME if vr == b"PN" else _RESET).split(text)
    return b"".join(part.encode("ascii") if part.isascii() else _with_escapes(part, sets) for part in parts)


def _with_escapes(part: str, sets: CharacterSets) -> bytes:
    # pydicom replaces a letter that no set has, with a warning.
    others = [encoding for encoding in sets.encodings if encoding != _DEFAULT]
    if not all(letter.isascii() or any(_has(encoding, letter) for encoding in others) for letter in part):
        raise ValueError
    return encode_string(part, sets.encodings)


def _has(encoding: str, text: str) -> bool:
    """Whether a character set has all letters of ``text``."""
    try:
        encoded = text.encode(encoding)
    except UnicodeEncodeError:
        return False
    # JIS X 0201 has one byte per character; the codec writes ideographs of two bytes as well (PS3.3 C.12.1.1.2).
    return encoding != _JIS_X_0201 or len(encoded) == len(text)
