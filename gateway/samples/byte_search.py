"""Searching a whole file for identifying values, whatever encodes them.

A value is looked for as bytes: in the encodings that DICOM writers use, its upper and lower case and its accents
alike. What a file deflates is looked at inflated as well.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable
from functools import cache
from typing import Final

from pydicom.uid import DeflatedExplicitVRLittleEndian

from gateway.samples.fake_identity import Kind

__all__ = ["Haystack", "needles", "spellings"]

_ENCODINGS: Final = ("utf-8", "latin-1", "cp1252", "iso8859_5", "iso8859_7", "utf-16-le", "utf-16-be", "gb18030")
#: Shorter parts of a name stand in files by chance.
_SHORTEST_WORD: Final = 4
_SHORTEST_FORM: Final = 6
#: Combining marks of the Latin, Greek and Cyrillic scripts and the voicing marks of kana.
_ACCENTS: Final = re.compile("[\u0300-\u036f\u3099\u309a]+")
_ESCAPE: Final = re.compile(rb"\x1b[$(][)(]?[A-Z@0-9]")
#: Digits inside a longer number are a coincidence, most often with a UID.
_DIGITS_ONLY: Final = re.compile(rb"[0-9]+(\.[0-9]+)*")


def fold(text: str) -> str:
    """``text`` without case and accents."""
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))


@cache
def spellings(kind: Kind, value: str) -> frozenset[str]:
    """How a text may write ``value`` as a whole: a date in several orders, a name by one of its component groups."""
    match kind:
        case Kind.NAME:
            return frozenset({value, *value.split("=")})
        case Kind.DATE:
            year, month, day = value[:4], value[4:6], value[6:]
            return frozenset({value, f"{year}-{month}-{day}", f"{year}.{month}.{day}", f"{day}.{month}.{year}",
                              f"{day}/{month}/{year}", f"{month}/{day}/{year}"})  # fmt: skip
        case _:
            return frozenset({value})


@cache
def needles(kind: Kind, value: str) -> tuple[bytes, ...]:
    """The byte sequences, in lower case, that give ``value`` away; none for a characteristic such as an age."""
    if kind is Kind.CHARACTERISTIC:
        return ()
    texts = set(spellings(kind, value))
    if kind is Kind.NAME:
        for group in value.split("="):
            words = group.split("^")
            texts.update(word for word in words if len(word) >= _SHORTEST_WORD or _wide(word))
            texts.add(" ".join(words[1::-1]))
    forms = {form for text in texts for form in _encoded(text)}
    return tuple(sorted(form for form in forms if _is_telling(form)))


def _is_telling(form: bytes) -> bool:
    return len(form) >= (_SHORTEST_WORD if form.isalpha() else _SHORTEST_FORM)


def _wide(word: str) -> bool:
    return len(word) > 1 and not word.isascii()


def _encoded(text: str) -> Iterable[bytes]:
    for spelling in {text, fold(text)}:
        for encoding in _ENCODINGS:
            yield _maybe(spelling, encoding).lower()
        # Within ISO 2022 the escape sequences stand at places that the writer chooses.
        if not spelling.isascii():
            for encoding in ("iso2022_jp", "euc_kr"):
                yield max(_ESCAPE.split(_maybe(spelling, encoding)), key=len).lower()


def _maybe(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return b""


class Haystack:
    """The bytes of one file, prepared for many searches.

    Parameters
    ----------
    content
        the whole file, or a part of one
    transfer_syntax
        its transfer syntax UID, if it may be a deflated one
    data_set
        the offset of its data set, from which a deflated file is inflated
    """

    def __init__(self, content: bytes, *, transfer_syntax: str = "", data_set: int = 0) -> None:
        if transfer_syntax == DeflatedExplicitVRLittleEndian:
            content = content + zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[data_set:])
        self._lowered = content.lower()
        self._folded = b"\0".join(
            fold(content.decode(encoding, "replace")).encode("utf-8") for encoding in ("latin-1", "utf-8")
        )

    def holds(self, forms: Iterable[bytes]) -> bool:
        """Whether any of the ``forms`` of :func:`needles` stands in the file, other than inside a longer number."""
        return any(self._holds(form) for form in forms)

    def _holds(self, form: bytes) -> bool:
        for stack in (self._lowered, self._folded):
            if form not in stack:
                continue
            if not _DIGITS_ONLY.fullmatch(form):
                return True
            if re.search(rb"(?<![0-9.])" + re.escape(form) + rb"(?![0-9])", stack):
                return True
        return False
