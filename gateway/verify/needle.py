"""From an identifying value to what is searched for, and when a match counts.

A needle has a squashed form (``gateway.verify.fold``) and a mode:

| mode | counts when | used for |
|---|---|---|
| WHOLE | a whole value of a text VR | names of 2 letters, ids of up to 3 characters, institutions of up to 3 |
| WORD | a whole word | names of 3 letters (text VRs only), ids of 4 and 5 characters |
| LETTERS | no letter stands beside it; digits may | names of 4 and 5 letters, institutions, addresses |
| DIGITS | no digit stands beside a digit of it; letters may | ids of 6 characters and more, dates, telephone numbers |
| PART | anywhere | names of 6 letters and more, and in scripts without word boundaries |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from gateway.dicom.identifying import Kind
from gateway.verify import words
from gateway.verify.fold import squash, transcribed


class Mode(Enum):
    """When an occurrence of a needle counts."""

    WHOLE = "whole"
    WORD = "word"
    LETTERS = "letters"
    DIGITS = "digits"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Needle:
    """One thing to search for.

    Attributes
    ----------
    kind: kind of the value that it was made of
    form: squashed text, never empty
    mode: when an occurrence counts
    encoded: byte sequences, ASCII letters in lower case, that betray it inside binary values
    raw: byte sequences that betray it anywhere, whatever the character set says; only for text outside ASCII
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

    def found_in(self, text: str) -> bool:
        """Whether the needle counts as found in a squashed value of a text VR."""
        return self.form == text if self.mode is Mode.WHOLE else self.may_be_in(text)

    def may_be_in(self, text: str) -> bool:
        """Whether the needle can be found in one of the squashed values that ``text`` joins by spaces."""
        form = self.form
        if form not in text:
            return False
        match self.mode:
            case Mode.WHOLE | Mode.WORD:
                return f" {form} " in f" {text} "
            case Mode.LETTERS:
                return re.search(rf"(?<![^\W\d_]){re.escape(form)}(?![^\W\d_])", text) is not None
            case Mode.DIGITS:
                before = r"(?<!\d)" if form[0].isdecimal() else ""
                after = r"(?!\d)" if form[-1].isdecimal() else ""
                return re.search(f"{before}{re.escape(form)}{after}", text) is not None
            case Mode.PART:
                return True


#: Shorter numbers occur by chance in number VRs and codes.
_LONG_NUMBER: Final = 7
#: Shorter byte sequences occur by chance in binary values.
_SHORTEST_BINARY: Final = 6
#: Shorter sequences of bytes outside ASCII occur by chance.
_SHORTEST_RAW: Final = 4
_CODECS: Final = (
    "utf-8", "latin-1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8",
    "iso8859_9", "iso8859_15", "tis_620", "shift_jis", "euc_jp", "euc_kr", "gb18030",
)  # fmt: skip
_ISO_2022_ESCAPE: Final = re.compile(rb"\x1b[$(][)(]?[@-Z]")
#: The first letter of the scripts that are written without spaces: kana, ideographs, hangul.
_UNSPACED: Final = "\u2e80"
_PUNCTUATION_INSIDE: Final = re.compile(r"(?<=\w)['`\u2019\u00b4-](?=\w)")
_PARTS_OF_ADDRESS: Final = re.compile(r"[,;^\r\n\\]+")
_SHORTEST_ADDRESS: Final = 8
_SHORTEST_PHONE: Final = 7
_NATIONAL_NUMBER: Final = 9


@lru_cache(maxsize=16_384)
def needles(kind: Kind, text: str) -> tuple[Needle, ...]:
    """The needles for one identifying value.

    Parameters
    ----------
    kind: what the value is
    text: the decoded value

    Returns
    -------
    None for a value that identifies nobody, such as ``ANONYMOUS``, ``0``, ``19000101``, or an institution that is
    called ``RADIOLOGY``.
    """
    if words.is_placeholder(squash(text)):
        return ()
    match kind:
        case Kind.NAME:
            found = _name(text)
        case Kind.ID:
            found = _id(kind, text)
        case Kind.DEVICE:
            # Without a digit it is a model or a role ("CT", "ARCHIVE"), which many stations share.
            found = _id(kind, text) if len(text) > 4 and re.search(r"\d", text) else iter(())
        case Kind.DATE | Kind.BIRTH_DATE:
            found = _date(kind, text)
        case Kind.INSTITUTION:
            found = _institution(text)
        case Kind.ADDRESS:
            found = _address(text)
        case Kind.PHONE:
            found = _phone(text)
        case _:
            found = iter(())
    return tuple(dict.fromkeys(found))


def _needle(kind: Kind, form: str, mode: Mode, spelling: str = "") -> Needle:
    return Needle(kind, form, mode, _encoded(form, spelling), _raw(spelling))


def _encoded(form: str, spelling: str) -> tuple[bytes, ...]:
    found = {form.encode("utf-8")}
    for text in {form, *(cased for cased in (spelling.lower(), spelling.upper()) if spelling)}:
        found.add(text.encode("utf-8").lower())
        found.add(text.encode("utf-16-le").lower())
        found.add(text.encode("utf-16-be").lower())
    return tuple(sorted(one for one in found if len(one) >= _SHORTEST_BINARY and (len(form) > 3 or not one.isascii())))


def _raw(spelling: str) -> tuple[bytes, ...]:
    if spelling.isascii():
        return ()
    found = set()
    for text in {spelling, spelling.lower(), spelling.upper()}:
        for codec in _CODECS:
            try:
                found.add(text.encode(codec))
            except UnicodeEncodeError:
                continue
        if min(text) >= _UNSPACED:
            found.update(_without_escapes(text))
    return tuple(sorted(one for one in found if len(one) >= _SHORTEST_RAW))


def _without_escapes(text: str) -> Iterator[bytes]:
    """``text`` in ISO 2022 without the escape sequences, which stand where the writer chose (PS3.5 6.1.2.5)."""
    for codec in ("iso2022_jp_2", "iso2022_kr"):
        try:
            yield max(_ISO_2022_ESCAPE.split(text.encode(codec)), key=len)
        except UnicodeEncodeError:
            continue


def _name(text: str) -> Iterator[Needle]:
    """A person's name: each word of each component of each component group (PS3.5 6.2.1)."""
    seen: set[str] = set()
    for component in re.split(r"[\^=]", text):
        spelled = dict.fromkeys((component, _PUNCTUATION_INSIDE.sub("", component), transcribed(component)))
        for spelling in (word for one in spelled for word in re.findall(r"\w+", one)):
            for form in squash(spelling).split():
                needle = None if form in seen else _word(form, spelling)
                if needle is not None:
                    seen.add(form)
                    yield needle
    form = squash(text)
    if not seen and len(form) > 1:
        yield _needle(Kind.NAME, form, Mode.WHOLE, text)


def _word(form: str, spelling: str) -> Needle | None:
    if any(letter >= _UNSPACED for letter in form):
        return _needle(Kind.NAME, form, Mode.PART if len(form) > 1 else Mode.WHOLE, spelling)
    if not form.isalpha():
        return next(_id(Kind.NAME, spelling), None) if len(form) > 3 and form.isalnum() else None
    if len(form) < 2 or words.is_accessory(form):
        return None
    mode = {2: Mode.WHOLE, 3: Mode.WORD, 4: Mode.LETTERS, 5: Mode.LETTERS}.get(len(form), Mode.PART)
    return _needle(Kind.NAME, form, mode, spelling)


def _id(kind: Kind, text: str) -> Iterator[Needle]:
    """An identifier as written, without its punctuation, and a number without its leading zeros."""
    form = squash(text)
    compact = form.replace(" ", "")
    yield _needle(kind, form, _mode(compact), text)
    if compact != form and len(compact) > 5:
        yield _needle(kind, compact, Mode.DIGITS)
    bare = compact.lstrip("0")
    if compact.isdecimal() and bare != compact and len(bare) > 5:
        yield _needle(kind, bare, Mode.DIGITS)


def _mode(compact: str) -> Mode:
    if len(compact) < 4:
        return Mode.WHOLE
    return Mode.WORD if len(compact) < 6 else Mode.LETTERS if compact.isalpha() else Mode.DIGITS


def _date(kind: Kind, text: str) -> Iterator[Needle]:
    """A date or the date part of a date and time (PS3.5 6.2: DA, DT), also as people write it."""
    digits = date_digits(text)
    if not digits or words.is_placeholder_date(digits):
        return
    year, month, day = digits[:4], digits[4:6], digits[6:]
    forms = [digits, f"{year} {month} {day}", f"{day} {month} {year}", f"{month} {day} {year}"]
    if kind is Kind.BIRTH_DATE:
        forms += [f"{day}{month}{year}", f"{month}{day}{year}"]
    for form in forms:
        yield _needle(kind, form, Mode.DIGITS)


def date_digits(text: str) -> str:
    """The eight digits of the date that ``text`` begins with, the separators of ACR-NEMA and ISO 8601 left out; empty
    if there is no whole and possible date.
    """
    digits = re.sub(r"[-./]", "", text[:10])[:8]
    if len(digits) == 8 and digits.isdecimal() and "01" <= digits[4:6] <= "12" and "01" <= digits[6:] <= "31":
        return digits
    return ""


def _institution(text: str) -> Iterator[Needle]:
    form = squash(text)
    if form and not all(words.is_generic(word) for word in form.split()):
        yield _needle(Kind.INSTITUTION, form, Mode.WHOLE if len(form) < 4 else _phrase_mode(form), text)


def _address(text: str) -> Iterator[Needle]:
    """The address and each line of it that is long enough to be one."""
    for part in dict.fromkeys((text, *_PARTS_OF_ADDRESS.split(text))):
        form = squash(part)
        if len(form) >= _SHORTEST_ADDRESS and not all(words.is_generic(word) for word in form.split()):
            yield _needle(Kind.ADDRESS, form, _phrase_mode(form), part)


def _phone(text: str) -> Iterator[Needle]:
    """The number as written, as digits only, and without the country; or another way to reach somebody."""
    form = squash(text)
    digits = "".join(letter for letter in form if letter.isdecimal())
    if len(form.replace(" ", "")) >= _SHORTEST_PHONE:
        yield _needle(Kind.PHONE, form, _phrase_mode(form), text)
    if len(digits) >= _SHORTEST_PHONE and len(digits) < 2 * _NATIONAL_NUMBER:
        yield _needle(Kind.PHONE, digits, Mode.DIGITS)
        if text.strip().startswith("+"):
            yield _needle(Kind.PHONE, f"00{digits}", Mode.DIGITS)
        if len(digits) > _NATIONAL_NUMBER:
            yield _needle(Kind.PHONE, digits[-_NATIONAL_NUMBER:], Mode.DIGITS)


def _phrase_mode(form: str) -> Mode:
    """Digits at the ends of a phrase must not continue, nor letters."""
    if any(letter >= _UNSPACED for letter in form):
        return Mode.PART
    return Mode.DIGITS if form[0].isdecimal() or form[-1].isdecimal() else Mode.LETTERS
