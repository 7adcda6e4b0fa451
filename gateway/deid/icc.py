"""Text in ICC profiles (ICC.1:2022): what a colour profile says of its colours stays, what it says of anybody goes.

ICC Profile (0028,2000) is bytes to DICOM. A profile holds texts (description, copyright, maker, model), tags of private
use, and stretches that no tag names; a workstation writes its user, host or site there. Colours are the purpose of the
attribute, and the IOD often demands it: the profile is kept and rewritten in place, at the same length.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from struct import pack, unpack_from
from typing import Final, NamedTuple

import yaml

from gateway.deid.technical import is_technical

__all__ = ["ICC_PROFILE", "cleaned"]

ICC_PROFILE: Final = 0x00282000
#: ICC.1 7.2: the header, then the number of tags; a row of the table is signature, offset and size.
_HEADER: Final = 128
_TABLE: Final = _HEADER + 4
_ROW: Final = 12
_MOST_TAGS: Final = 100
_ID: Final = slice(84, 100)
#: Fields of the header that hold signatures, and those that hold flags.
_SIGNATURES: Final = (slice(4, 8), slice(40, 44), slice(48, 52), slice(52, 56), slice(80, 84))
_FLAGS: Final = (slice(44, 48), slice(56, 64))
_TEXT_TAGS: Final = frozenset((b"desc", b"cprt", b"dmnd", b"dmdd", b"vued"))
_COLOUR_TAGS: Final = frozenset((
    b"wtpt", b"bkpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"A2B0", b"A2B1", b"A2B2",
    b"B2A0", b"B2A1", b"B2A2", b"gamt", b"chad", b"chrm", b"lumi", b"meas", b"tech", b"view", b"pre0", b"pre1",
    b"pre2", b"rig0", b"rig2",
))  # fmt: skip
#: Types of numbers -> the most bytes that one takes; 0 for tables, which take what they need.
_NUMBERS: Final = {
    b"XYZ ": 44, b"para": 40, b"sf32": 72, b"chrm": 48, b"meas": 36, b"view": 36, b"sig ": 12,
    b"curv": 0, b"mft1": 0, b"mft2": 0, b"mAB ": 0, b"mBA ": 0,
}  # fmt: skip
_TEXT_TYPES: Final = frozenset((b"text", b"desc", b"mluc"))
_PRINTABLE: Final = re.compile(rb"[ -~]{8}")
_LOCALE: Final = re.compile(rb"[A-Za-z]{4}|[A-Za-z]{2}\0\0|\0{4}")
_WORD: Final = re.compile(r"[^\W_]+")
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}", re.ASCII)
_SCRIPT_LENGTH: Final = 67
_NEUTRAL: Final = "Removed"


class _Known(NamedTuple):
    texts: frozenset[str]
    words: frozenset[str]
    signatures: frozenset[str]


@cache
def _known() -> _Known:
    listed = yaml.safe_load((files("gateway.deid") / "data" / "icc-texts.yaml").read_text(encoding="ascii"))
    texts = frozenset(text.lower() for text in listed["texts"])
    return _Known(texts, frozenset(listed["words"].split()), frozenset(listed["signatures"].split()))


def cleaned(received: bytes) -> bytes | None:
    """A profile without what could name somebody.

    Parameters
    ----------
    received
        the value of ICC Profile (0028,2000)

    Returns
    -------
    The profile, equal to ``received`` if nothing had to go; None if it is no profile.
    """
    if len(received) < _TABLE or received[36:40] != b"acsp":
        return None
    size, count = unpack_from(">I", received)[0], unpack_from(">I", received, _HEADER)[0]
    first = _TABLE + _ROW * count
    if count > _MOST_TAGS or not first <= size <= len(received):
        return None
    rows = [unpack_from(">4sII", received, _TABLE + _ROW * number) for number in range(count)]
    if not _are_apart({(offset, length) for _tag, offset, length in rows}, first, size):
        return None
    written = bytearray(size)
    written[:_HEADER] = _header(received[:_HEADER])
    is_new = received[8] >= 4
    kept: list[bytes] = []
    for tag, offset, length in rows:
        value = _value(tag, received[offset : offset + length], is_new=is_new)
        if value is not None:
            written[offset : offset + length] = value
            kept.append(pack(">4sII", tag, offset, length))
    written[_HEADER:_TABLE] = pack(">I", len(kept))
    table = b"".join(kept)
    written[_TABLE : _TABLE + len(table)] = table
    padding = received[size:] if received[size:] == b"\0" else b""
    if bytes(written) + padding != received and any(received[_ID]):
        written[_ID] = _digest(written)
    return bytes(written) + padding


def _are_apart(ranges: set[tuple[int, int]], first: int, size: int) -> bool:
    """Whether the values of tags lie behind the table, inside the profile, and do not overlap."""
    end = first
    for offset, length in sorted(ranges):
        if offset < end or length < 8 or offset + length > size:
            return False
        end = offset + length
    return True


def _header(received: bytes) -> bytes:
    """The header with signatures that are known, flags that are no text, and nothing in what is reserved."""
    header = bytearray(received)
    for field in _SIGNATURES:
        if header[field].decode("latin-1").strip("\0 ").lower() not in _known().signatures:
            header[field] = bytes(4)
    for field in _FLAGS:
        if max(header[field]) >= ord(" "):
            header[field] = bytes(len(header[field]))
    header[_ID.stop :] = bytes(_HEADER - _ID.stop)
    return bytes(header)


def _digest(profile: bytearray) -> bytes:
    """The Profile ID (ICC.1 7.2.18)."""
    without = bytearray(profile)
    without[44:48] = without[64:68] = bytes(4)
    without[_ID] = bytes(16)
    return hashlib.md5(without, usedforsecurity=False).digest()


def _value(tag: bytes, value: bytes, *, is_new: bool) -> bytes | None:
    """What stands in the place of a tag's value; None for a tag that goes."""
    kind = value[:4]
    if tag in _TEXT_TAGS:
        texts = _texts(kind, value)
        if texts is not None and all(_is_known(text) for text in texts):
            return value
        return _neutral(kind if kind in _TEXT_TYPES else b"mluc" if is_new else b"desc", len(value))
    if tag not in _COLOUR_TAGS or kind not in _NUMBERS:
        return None
    most = _NUMBERS[kind]
    if most and (len(value) > most or _PRINTABLE.search(value, 8)):
        return None
    if kind == b"curv" and not _is_curve(value):
        return None
    return kind + bytes(4) + value[8:]


def _is_curve(value: bytes) -> bool:
    return len(value) >= 12 and 0 <= len(value) - 12 - 2 * unpack_from(">I", value, 8)[0] < 4


def _texts(kind: bytes, value: bytes) -> list[str] | None:
    """All texts of a tag; None if it holds anything besides."""
    if any(value[4:8]):
        return None
    if kind == b"text":
        return value[8:].decode("latin-1").rstrip("\0").split("\0")
    if kind == b"desc":
        return _description(value)
    return _localized(value) if kind == b"mluc" else None


def _description(value: bytes) -> list[str] | None:
    """The texts of textDescriptionType (ICC.1:2001-04 6.5.17)."""
    if len(value) < 12:
        return None
    at = 12 + int(unpack_from(">I", value, 8)[0])
    if at + 8 > len(value):
        return None
    texts = [value[12:at].decode("latin-1")]
    language, count = unpack_from(">4sI", value, at)
    script = at + 8 + 2 * count
    if not _LOCALE.fullmatch(language) or script + 3 > len(value):
        return None
    texts.append(value[at + 8 : script].decode("utf-16-be", "replace"))
    texts.append(value[script + 3 : script + 3 + _SCRIPT_LENGTH].decode("latin-1"))
    return None if any(value[script : script + 2]) or any(value[script + 3 + _SCRIPT_LENGTH :]) else texts


def _localized(value: bytes) -> list[str] | None:
    """The texts of multiLocalizedUnicodeType (ICC.1 10.15)."""
    if len(value) < 16:
        return None
    count, width = unpack_from(">II", value, 8)
    if width != _ROW or 16 + _ROW * count > len(value):
        return None
    rest = bytearray(value)
    rest[: 16 + _ROW * count] = bytes(16 + _ROW * count)
    texts = []
    for number in range(count):
        locale, length, offset = unpack_from(">4sII", value, 16 + _ROW * number)
        if not _LOCALE.fullmatch(locale) or offset < 16 + _ROW * count or offset + length > len(value):
            return None
        texts.append(value[offset : offset + length].decode("utf-16-be", "replace"))
        rest[offset : offset + length] = bytes(length)
    return None if any(rest) else texts


def _is_known(text: str) -> bool:
    """Whether a text names nobody."""
    text = " ".join(text.strip("\0 ").split())
    known, folded = _known(), text.lower()
    if not text or folded in known.texts or is_technical(text):
        return True
    words = _WORD.findall(folded)
    dated = "copyright" in words
    return all(word in known.words or (dated and _YEAR.fullmatch(word) is not None) for word in words)


def _neutral(kind: bytes, length: int) -> bytes:
    """A value of a text type and of ``length`` bytes that says nothing."""
    text = _NEUTRAL.encode("ascii") + b"\0"
    if kind == b"text":
        value = text
    elif kind == b"desc":
        value = pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + _SCRIPT_LENGTH)
    else:
        encoded = _NEUTRAL.encode("utf-16-be")
        value = pack(">II4sII", 1, _ROW, b"enUS", len(encoded), 16 + _ROW) + encoded
    # Where it does not fit there is no text.
    return (kind + bytes(4) + (value if 8 + len(value) <= length else b"")).ljust(length, b"\0")
