"""Reading values of an output in every way that a later reader could."""

from __future__ import annotations

import re
from typing import Final

from gateway.dicom.charset import CharacterSets, decode
from gateway.verify.fold import squash, squash_bytes

#: Text may be written in another character set than the one that is declared.
_OTHER_CODECS: Final = ("utf-8", "latin-1")
_VALUES: Final = re.compile(rb"[\\^=\r\n]")
_PRINTABLE: Final = bytes((*range(0x20, 0x7F), 0x09, 0x0A, 0x0C, 0x0D))
#: Up to this share of other bytes, a binary value is read as text.
_LARGEST_UNPRINTABLE_SHARE: Final = 0.15


def readings(raw: bytes, vr: bytes, sets: CharacterSets) -> tuple[str, ...]:
    """The squashed texts that ``raw`` can be read as."""
    if raw.isascii() and b"\x1b" not in raw:
        return (squash_bytes(raw),)
    texts = (decode(raw, vr, sets).text, *(raw.decode(codec, "replace") for codec in _OTHER_CODECS))
    return tuple(dict.fromkeys(squash(text) for text in texts))


def values(raw: bytes, vr: bytes, sets: CharacterSets) -> frozenset[str]:
    """The squashed texts of ``raw`` as a whole and of each value, component and line of it."""
    parts = {raw, *_VALUES.split(raw)} if raw.isascii() and b"\x1b" not in raw else {raw}
    found = {text for part in parts for text in readings(part, vr, sets)}
    if len(parts) == 1 and not raw.isascii():
        for text in decode(raw, vr, sets).text, raw.decode("utf-8", "replace"):
            found.update(squash(part) for part in re.split(r"[\\^=\r\n]", text))
    return frozenset(found)


def is_textual(raw: bytes) -> bool:
    """Whether a binary value is mostly printable characters."""
    return len(raw.translate(None, _PRINTABLE)) <= _LARGEST_UNPRINTABLE_SHARE * len(raw)
