"""What is searched for, and when a match counts.

A needle has a squashed form (``gateway.verify.text_normalisation``) and a mode:

| mode | counts when | used for |
|---|---|---|
| WHOLE | a whole value of a text VR | names of 2 letters, ids of up to 3 characters, institutions of up to 3 |
| WORD | a whole word | names of 3 letters (text VRs only), ids of 4 and 5 characters |
| LETTERS | no letter stands beside it; digits may | names of 4 and 5 letters, institutions, addresses |
| PAIR | as LETTERS, and no excuse holds | two weak words of one person's name, side by side |
| DIGITS | no digit stands beside a digit of it; letters may | ids of 6 characters and more, telephone numbers |
| PART | anywhere | names of 6 letters and more, and in scripts without word boundaries |
| DATE | the text holds the date, however it is written (``gateway.verify.dates_in_text``) | dates |

Between the digits of a number of at least six digits a separator may stand in the text, and a number of at least seven
digits counts at either end of a longer one in a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from gateway.dicom.identifying import Kind
from gateway.verify.dates_in_text import Dates

__all__ = ["Mode", "Needle", "closed", "make", "phrase_mode"]


class Mode(Enum):
    """When an occurrence of a needle counts."""

    WHOLE = "whole"
    WORD = "word"
    LETTERS = "letters"
    PAIR = "pair"
    DIGITS = "digits"
    PART = "part"
    DATE = "date"


#: Shorter numbers occur by chance in number VRs and codes.
_LONG_NUMBER: Final = 7
#: Shorter numbers occur by chance among others.
_SPACED_NUMBER: Final = 6
#: Shorter byte sequences occur by chance in binary values.
_SHORTEST_BINARY: Final = 6
#: Shorter sequences of bytes outside ASCII occur by chance.
_SHORTEST_RAW: Final = 4
_CODECS: Final = (
    "utf-8", "latin-1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8",
    "iso8859_9", "iso8859_15", "tis_620", "cp932", "euc_jp", "cp949", "gb18030", "big5", "cp1250", "cp1251", "cp1252",
    "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "cp437", "cp850", "mac_roman",
)  # fmt: skip
_ISO_2022_ESCAPE: Final = re.compile(rb"\x1b[$(][)(]?[@-Z]")
#: A compiled pattern takes a kilobyte.
_MOST_PATTERNS: Final = 512
_DIGIT_SPACE: Final = re.compile(r"(?<=[0-9]) (?=[0-9])")


@dataclass(frozen=True, slots=True)
class Needle:
    """One thing to search for.

    Attributes
    ----------
    kind
        kind of the value that it was made of
    form
        squashed text, never empty; of a date its eight digits
    mode
        when an occurrence counts
    encoded
        byte sequences, ASCII letters in lower case, that betray it inside binary values
    raw
        byte sequences that betray it anywhere, whatever the character set says; only for text outside ASCII
    """

    kind: Kind
    form: str
    mode: Mode
    encoded: tuple[bytes, ...] = ()
    raw: tuple[bytes, ...] = ()

    @property
    def number(self) -> str:
        """The digits without leading zeros, if it is a number long enough not to turn up by chance; else empty."""
        digits = self.form.lstrip("0")
        return digits if self.form.isdecimal() and len(digits) >= _LONG_NUMBER else ""

    @property
    def is_spaced(self) -> bool:
        """Whether it is a number that is found with separators between its digits as well."""
        return self.mode is Mode.DIGITS and len(self.form) >= _SPACED_NUMBER and self.form.isdecimal()

    def found_in(self, text: str) -> bool:
        """Whether the needle counts as found in a squashed value of a text VR; of dates ``is_among`` tells."""
        return self.form == text if self.mode is Mode.WHOLE else self.may_be_in(text)

    def may_be_in(self, text: str) -> bool:
        """Whether the needle can be found in one of the squashed values that ``text`` joins by spaces."""
        return next(self.occurrences(text), None) is not None

    def is_among(self, dates: Dates, *, surely: bool = False) -> bool:
        """Whether it is one of the dates of a text; ``surely``: of those that can be nothing else."""
        if self.mode is not Mode.DATE:
            return False
        if self.form in dates.plain:
            return True
        return not surely and (self.form in dates.loose or (self.kind is Kind.BIRTH_DATE and self.form in dates.birth))

    def occurrences(self, text: str) -> Iterator[tuple[int, int]]:
        """Where in a squashed text it counts: beginnings and ends."""
        if self.mode is Mode.DATE or (self.form not in text and not self.is_spaced):
            return
        for match in _pattern(self.form, self.mode, spaced=self.is_spaced).finditer(text):
            yield match.span()

    def is_in_bytes(self, lowered: bytes) -> bool:
        """Whether a binary value, its ASCII letters in lower case, holds it."""
        for form in self.encoded:
            if form in lowered:
                if not (form[:1].isdigit() or form[-1:].isdigit()):
                    return True
                if _encoded_pattern(form).search(lowered):
                    return True
        return False


@lru_cache(maxsize=_MOST_PATTERNS)
def _pattern(form: str, mode: Mode, *, spaced: bool) -> re.Pattern[str]:
    escaped = re.escape(form)
    match mode:
        case Mode.WHOLE | Mode.WORD:
            return re.compile(rf"(?<![^ ]){escaped}(?![^ ])")
        case Mode.LETTERS | Mode.PAIR:
            return re.compile(rf"(?<![^\W\d_]){escaped}(?![^\W\d_])")
        case Mode.DIGITS if spaced:
            apart = " ?".join(form)
            if len(form) < _LONG_NUMBER:
                return re.compile(rf"(?<![0-9]){apart}(?![0-9])")
            return re.compile(rf"(?<![0-9]){apart}(?![0-9])|(?<![0-9]){form}|{form}(?![0-9])")
        case Mode.DIGITS:
            before = r"(?<!\d)" if form[0].isdecimal() else ""
            after = r"(?!\d)" if form[-1].isdecimal() else ""
            return re.compile(f"{before}{escaped}{after}")
        case _:
            return re.compile(escaped)


@lru_cache(maxsize=_MOST_PATTERNS)
def _encoded_pattern(form: bytes) -> re.Pattern[bytes]:
    """A number is none where it continues: a ramp of values reads as ``0123456789``."""
    before = rb"(?<![0-9])" if form[:1].isdigit() else b""
    after = rb"(?![0-9])" if form[-1:].isdigit() else b""
    return re.compile(before + re.escape(form) + after)


def closed(text: str) -> str:
    """Squashed ``text`` without the spaces between digits."""
    return _DIGIT_SPACE.sub("", text)


def make(kind: Kind, form: str, mode: Mode, spelling: str = "") -> Needle:
    """A needle.

    Parameters
    ----------
    kind, form, mode
        as its attributes
    spelling
        what the form was made of, for binary values and other character sets
    """
    return Needle(kind, form, mode, _encoded(form, spelling), _raw(spelling))


def _encoded(form: str, spelling: str) -> tuple[bytes, ...]:
    """UTF-8; UTF-16 of what is not ASCII, since of that which is, every run in a binary value is read as text."""
    encodings = {form.encode("utf-8")}
    for text in {form, *(cased for cased in (spelling.lower(), spelling.upper()) if spelling)}:
        encodings.add(text.encode("utf-8").lower())
        if not text.isascii():
            encodings.add(text.encode("utf-16-le").lower())
            encodings.add(text.encode("utf-16-be").lower())
    return tuple(
        sorted(one for one in encodings if len(one) >= _SHORTEST_BINARY and (len(form) > 3 or not one.isascii()))
    )


def _raw(spelling: str) -> tuple[bytes, ...]:
    if spelling.isascii():
        return ()
    encodings = set()
    for text in {spelling, spelling.lower(), spelling.upper(), spelling.title()}:
        for codec in _CODECS:
            try:
                encodings.add(text.encode(codec))
            except UnicodeEncodeError:
                continue
        encodings.update(_without_escapes(text))
    return tuple(sorted(one for one in encodings if len(one) >= _SHORTEST_RAW))


def _without_escapes(text: str) -> Iterator[bytes]:
    """``text`` in ISO 2022 without the escape sequences, which stand where the writer chose (PS3.5 6.1.2.5)."""
    if not all(letter >= "\u2e80" for letter in text):
        return
    for codec in ("iso2022_jp_2", "iso2022_kr"):
        try:
            yield max(_ISO_2022_ESCAPE.split(text.encode(codec)), key=len)
        except UnicodeEncodeError:
            continue


def phrase_mode(form: str, *, unspaced: bool) -> Mode:
    """The mode of several words: digits at the ends must not continue, nor letters."""
    if unspaced:
        return Mode.PART
    return Mode.DIGITS if form[0].isdecimal() or form[-1].isdecimal() else Mode.LETTERS
