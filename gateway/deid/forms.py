"""Whether a value is what its attribute's VR says (PS3.5 6.2): nothing stays as a number or a date that is neither.

What real machines write and readers accept is let pass: numbers longer than 16 characters, decimals in IS, ages without
leading zeros, dates with points, values under a kindred VR. Text among binary numbers, more numbers than the attribute
can have, items under a VR without items, and values of another kind are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite
from struct import unpack
from typing import Final

from gateway.dicom.dictionary import entry, vr_of
from gateway.dicom.encoded import Buffer, Element
from gateway.profile import Numeric

__all__ = ["Form", "NumbersForm", "form_of", "numbers_form", "private_form"]

#: Quantifiers give nothing back, so that no value takes longer than its length (promise P7).
_FORMS: Final[dict[bytes, re.Pattern[bytes]]] = {
    vr: re.compile(rb"(?:" + one + rb")?+(?:\\(?:" + one + rb")?+)*+[\0 ]*+")
    for vr, one in {
        b"DS": rb" *+[+-]?+(?:\d{1,40}+\.?+\d{0,40}+|\.\d{1,40}+)(?:[eE][+-]?+\d{1,3}+)?+ *+",
        b"IS": rb" *+[+-]?+\d{1,12}+(?:\.0*+)?+ *+",
        b"DA": rb" *+\d{4}\.?+(?:0\d|1[0-2])\.?+(?:[0-2]\d|3[01]) *+",
        b"TM": rb" *+(?:[01]\d|2[0-4])(?::?+[0-5]\d(?::?+[0-6]\d(?:\.\d{0,9}+)?+)?+)?+ *+",
        b"DT": rb" *+\d{4}(?:(?:0\d|1[0-2])(?:(?:[0-2]\d|3[01])(?:[0-2]\d(?:[0-5]\d(?:[0-6]\d(?:\.\d{0,9}+)?+)?+)?+)?+"
               rb")?+)?+(?:[+-]\d{4})?+ *+",
        b"AS": rb" *+\d{1,3}+[DWMY] *+",
        b"UI": rb" *+[0-2](?:\.\d{1,62}+){0,62}+[\0 ]*+",
        b"CS": rb"[A-Z0-9_ ]{1,20}+",
    }.items()
}  # fmt: skip
#: Bytes of one binary number.
_WIDTHS: Final = {
    b"US": 2, b"SS": 2, b"UL": 4, b"SL": 4, b"UV": 8, b"SV": 8, b"FL": 4, b"FD": 8, b"AT": 4,
}  # fmt: skip
_TEXT: Final = frozenset((b"AE", b"CS", b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UR", b"UT"))
#: VRs of text under which a number or a date is still recognised.
_READABLE: Final = _TEXT | frozenset(_FORMS)
_BYTES: Final = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV"))
_WORDS: Final = re.compile(rb"(?=.{0,16}[A-Za-z]{3})[A-Za-z][A-Za-z .,'^=_-]{4,}[A-Za-z.][\0 ]*")
#: VR -> how one binary number is packed, and in how many bytes.
_UNPACKED: Final = {
    b"US": ("H", 2), b"SS": ("h", 2), b"UL": ("I", 4), b"SL": ("i", 4), b"UV": ("Q", 8), b"SV": ("q", 8),
    b"FL": ("f", 4), b"FD": ("d", 8),
}  # fmt: skip
#: The longest list of numbers that stays, in bytes: a time for each slice of a mosaic of 4096.
_LONGEST_NUMBERS: Final = 32_768
#: Text among numbers is looked for up to this length; a table that long is none.
_LONGEST_WORDS: Final = 1024


@dataclass(frozen=True, slots=True)
class Form:
    """What the values of an attribute look like.

    Attributes
    ----------
    vr
        the VR that the dictionary, or the table of private elements, has for it
    vrs
        the VRs under which such a value may be encoded
    most
        how many values there can be; 0 for no limit
    """

    vr: bytes
    vrs: frozenset[bytes]
    most: int = 0

    def fits(self, buffer: Buffer, element: Element) -> bool:
        """Whether the value of ``element`` is what the attribute's VR says."""
        _tag, vr, _start, value, end, items = element
        if items is not None or self.vr == b"SQ":
            return value == end or (items is not None and self.vr == b"SQ")
        if value == end:
            return True
        if vr == b"UN":
            vr = self.vr
        elif vr not in self.vrs:
            return False
        width = _WIDTHS.get(vr)
        if width is not None:
            count, rest = divmod(end - value, width)
            if rest or (self.most and count > self.most):
                return False
            return count == 1 or not _is_words(buffer, value, end)
        if vr in _BYTES:
            return not _is_words(buffer, value, end)
        form = _FORMS.get(self.vr)
        if form is None:
            return True
        raw = bytes(buffer[value:end])
        return form.fullmatch(raw) is not None and (not self.most or raw.count(b"\\") < self.most)


def _is_words(buffer: Buffer, value: int, end: int) -> bool:
    """Whether bytes that should be numbers are the words of a text."""
    return end - value <= _LONGEST_WORDS and _WORDS.fullmatch(bytes(buffer[value:end])) is not None


def _kindred(vr: bytes) -> frozenset[bytes]:
    """The VRs under which a value of ``vr`` may be encoded: text as text, numbers as numbers, bytes as bytes."""
    if vr in _FORMS or vr in _TEXT:
        return _READABLE
    if vr in _WIDTHS:
        return frozenset(_WIDTHS)
    return _BYTES if vr in _BYTES else frozenset((vr,))


@dataclass(frozen=True, slots=True)
class NumbersForm(Form):
    """What a private element of numbers looks like: ``Numeric`` of a profile.

    Attributes
    ----------
    least
        how many values there are at least
    low, high
        the range of each; None for no limit
    text
        what the whole value has to be, of what makers write as text; None for numbers
    """

    least: int = 1
    low: float | None = None
    high: float | None = None
    text: re.Pattern[bytes] | None = None

    def fits(self, buffer: Buffer, element: Element) -> bool:
        """Whether ``element`` holds as many numbers as it should, each in the range."""
        _tag, vr, _start, value, end, items = element
        if self.vr == b"SQ" or items is not None:
            # PS3.5 7.5: what is a sequence has items and no other value.
            return self.vr == b"SQ" and (items is not None or value == end)
        if value == end:
            return True
        if end - value > _LONGEST_NUMBERS or (vr != b"UN" and vr not in self.vrs):
            return False
        vr, raw = self.vr if vr == b"UN" else vr, bytes(buffer[value:end])
        if self.text is not None:
            return self.text.fullmatch(raw.strip(b"\0 ")) is not None
        numbers = _numbers_of(vr, raw)
        if numbers is None or len(numbers) < self.least or (self.most and len(numbers) > self.most):
            return False
        low, high = -inf if self.low is None else self.low, inf if self.high is None else self.high
        return all(isfinite(one) and low <= one <= high for one in numbers)


def _numbers_of(vr: bytes, raw: bytes) -> tuple[float, ...] | None:
    """The numbers of a value; None if it is none."""
    if vr in _UNPACKED:
        code, width = _UNPACKED[vr]
        count, rest = divmod(len(raw), width)
        return None if rest else unpack(f"<{count}{code}", raw)
    form = _FORMS.get(vr)
    if vr not in (b"DS", b"IS") or form is None or form.fullmatch(raw) is None:
        return None
    try:
        return tuple(float(one) for one in raw.strip(b"\0 ").split(b"\\"))
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def numbers_form(numeric: Numeric) -> NumbersForm:
    """The form of a private element that stays under ``only: numeric``."""
    codes = tuple(vr.encode("ascii") for vr in numeric.vrs)
    return NumbersForm(
        vr=codes[0],
        vrs=frozenset(codes),
        most=_most(numeric.vm),
        least=int(numeric.vm.partition("-")[0]),
        low=numeric.low,
        high=numeric.high,
        text=re.compile(numeric.form.encode("ascii")) if numeric.form else None,
    )


@lru_cache(maxsize=8192)
def form_of(tag: int) -> Form | None:
    """The form of an attribute of the standard; None for one that the dictionary does not know.

    A number of values above the attribute's VM (PS3.6) counts where they are binary: as text they stay legible.
    """
    row = entry(tag)
    if row is None:
        return None
    several = frozenset(one.encode("ascii") for one in row.vr.replace("/", " or ").split(" or "))
    vr = vr_of(tag)
    vrs = frozenset().union(*(_kindred(one) for one in several))
    return Form(vr, vrs, _most(row.vm) if vr in _WIDTHS and len(several) == 1 else 0)


@lru_cache(maxsize=4096)
def private_form(vr: str, vm: str) -> Form:
    """The form of a private element for which a table gives VR and VM: it has that VR and no other."""
    code = vr.encode("ascii")
    return Form(code, frozenset((code,)), _most(vm))


def _most(vm: str) -> int:
    """The largest number of values that a VM allows; 0 for no limit."""
    last = vm.rpartition("-")[2]
    return int(last) if last.isdecimal() else 0
