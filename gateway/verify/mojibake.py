"""Text whose character set is not the declared one.

Many programs write what they have under ``ISO_IR 100`` or under nothing. Which character set it is cannot be told, but
in few of them do the bytes make words.
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["other_readings"]

#: Character sets with several bytes a letter, of which only whole sequences make sense.
_SEVERAL_BYTES: Final = ("utf-8", "gb18030", "cp932", "euc_jp", "cp949", "big5")
#: Character sets with one byte a letter, and the beginning of the names of their letters.
_ONE_BYTE: Final = {
    "cp1251": "CYRILLIC", "iso8859_5": "CYRILLIC", "koi8_r": "CYRILLIC", "cp1253": "GREEK", "iso8859_7": "GREEK",
    "cp1255": "HEBREW", "cp1256": "ARABIC", "iso8859_6": "ARABIC", "tis_620": "THAI", "cp1252": "LATIN",
    "cp1250": "LATIN", "cp850": "LATIN", "mac_roman": "LATIN",
}  # fmt: skip
#: Where less of it is letters, a text in one byte a letter is none.
_LEAST_LETTERS: Final = 2


def other_readings(raw: bytes) -> list[str]:
    """The texts that ``raw``, which is not ASCII, may be meant as, whatever its character set is said to be."""
    readings = []
    for codec in _SEVERAL_BYTES:
        text = _decoded(raw, codec)
        if text and all(_is_letter(letter) for letter in text if not letter.isascii()):
            readings.append(text)
    for codec, script in _ONE_BYTE.items():
        text = _decoded(raw, codec)
        letters = [letter for letter in text if not letter.isascii()]
        if len(letters) >= _LEAST_LETTERS - (script == "LATIN") and all(
            _is_letter(letter) and unicodedata.name(letter, "").startswith(script) for letter in letters
        ):
            readings.append(text)
    return list(dict.fromkeys(readings))


def _decoded(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        # An odd byte at the end is padding.
        try:
            return raw[:-1].decode(codec)
        except UnicodeDecodeError:
            return ""


def _is_letter(letter: str) -> bool:
    return letter.isalpha() or unicodedata.category(letter) in ("Mn", "Mc", "Lm") or letter in "\u30fb\u3000\xb7"
