"""Letters that were read in a wrong encoding: no character set was declared, or another one than was used.

``李明`` in GBK is ``ÀîÃ÷`` where Latin-1 is declared or assumed. Without accents that is ``aia`` and might be a known
word; its signs might stay as punctuation. Neither may: what touches such a letter goes with it.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import combining, normalize

from gateway.dicom.charset import is_western

__all__ = ["masked"]

#: A letter that no vocabulary has; it stands for a word that goes.
_UNKNOWN: Final = "\ua000"
#: Words of letters, digits and anything beyond ASCII but spaces and typographic punctuation, which no misreading makes.
_CHUNK: Final = re.compile(r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f\s\u2010-\u203a\u2212]+")
#: Degrees, ordinals and levels, powers of units, micro, sizes, tolerances, and the Catalan double l.
_WRITTEN: Final = re.compile(
    r"[A-Za-z]{0,2}\d{1,4}[º°ª][A-Za-z]?|[nN][º°]|\d{0,4}[A-Za-z]{1,3}[²³]|\d{0,4}[µμ][A-Za-z]{0,3}[²³]?"
    r"|\d{0,4}\u00d7\d{0,4}|\d{0,4}±\d{0,4}|[A-Za-zÀ-ÿ]+[lL]·[lL][A-Za-zÀ-ÿ]+"
)
#: Quotation marks and opening marks around a word.
_AROUND: Final = "«»¿¡"
#: The middle dot of the Catalan double l, and an accent that stands for an apostrophe.
_INSIDE: Final = "\u00b7\u00b4"
#: Words of fewer than four letters that have one beyond ASCII, in the languages whose descriptors are cleaned.
_SHORT: Final = frozenset(
    (
        "pé", "pés", "mão", "pós", "pré", "até", "não", "são", "só", "três", "máx", "mín", "más", "sí", "tór", "méd",
        "für", "öl", "à", "é", "è", "où", "mà", "és", "més", "più", "già", "età", "knä", "hö", "vä", "på", "öra", "öga",
        "tå", "øre", "øye", "åre", "fém", "tíb", "cér", "cóx",
    )
)  # fmt: skip
_SHORTEST: Final = 4


def masked(text: str) -> str:
    """``text`` with a letter that nobody knows in place of every character of a word that was misread.

    Parameters
    ----------
    text
        composed (NFC); its length and the places of all other characters stay
    """
    if text.isascii():
        return text
    return _CHUNK.sub(
        lambda match: match.group() if _is_read_well(match.group()) else _UNKNOWN * len(match.group()), text
    )


def _shown(match: re.Match[str]) -> str:
    chunk = match.group()
    return chunk if _is_read_well(chunk) else _UNKNOWN * len(chunk)


def _is_read_well(chunk: str) -> bool:
    if chunk.isascii() or _WRITTEN.fullmatch(chunk):
        return True
    word = chunk.strip(_AROUND)
    if not word:
        return True
    if not all(letter.isascii() or letter.isalpha() or combining(letter) or letter in "·\u00b4" for letter in word):
        return False
    if max(word) <= "\u00ff" and not is_western(word):
        return False
    base = "".join(letter for letter in normalize("NFKD", word) if not combining(letter))
    # A word that has letters of its own script is unknown unless the site knows it.
    base = base.translate(_LATIN)
    if not base.isascii():
        return True
    return sum(letter.isalpha() for letter in base) >= _SHORTEST or word.casefold() in _SHORT


#: Letters of Latin alphabets that do not decompose.
_LATIN: Final = {ord(letter): "xx" if letter in "ßæœÆŒ" else "x" for letter in "ßæœøłđðþħıÆŒØŁĐÐÞĦ"}
