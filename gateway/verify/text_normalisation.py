"""Bringing text to the form in which it is compared: without case, accents and punctuation."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

#: ASCII: letters to lower case, digits stay, everything else separates words.
_PLAIN: Final = bytes(ord(chr(code).lower()) if code < 0x80 and chr(code).isalnum() else 0x20 for code in range(0x100))
_ASCII_END: Final = "\x80"
#: Letters that Unicode does not decompose into a base letter and an accent.
_UNDECOMPOSED: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe"}
)
#: How German and Scandinavian writers spell these letters where a keyboard lacks them.
_TRANSCRIBED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})


def squash_bytes(raw: bytes) -> str:
    """``squash`` for ASCII bytes, at the speed of C."""
    return b" ".join(raw.translate(_PLAIN).split()).decode("ascii")


def squash(text: str) -> str:
    """``text`` as lower-case words without accents, separated by single spaces; digits count as letters of words.

    Letters of two scripts that look alike stay different.
    """
    if text.isascii():
        return squash_bytes(text.encode("ascii"))
    folded = unicodedata.normalize("NFKD", text).casefold().translate(_UNDECOMPOSED)
    return " ".join(
        "".join(letter if letter.isalnum() and letter < _ASCII_END else _compared(letter) for letter in folded).split()
    )


@lru_cache(maxsize=4096)
def _compared(letter: str) -> str:
    """A letter as it is compared: digits of all scripts as ASCII, nothing for accents and invisible characters."""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if letter.isalnum():
        return letter
    return "" if unicodedata.combining(letter) or unicodedata.category(letter) == "Cf" else " "


def transcribed(text: str) -> str:
    """``text`` with umlauts spelled out: ``Müller`` as ``mueller``."""
    return unicodedata.normalize("NFC", text).casefold().translate(_TRANSCRIBED)
