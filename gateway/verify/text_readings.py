"""Reading values of an output in every way that a later reader could."""

from __future__ import annotations

import re
from html import unescape
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.dicom.charset import CharacterSets, decode
from gateway.verify.dates_in_text import NO_DATES, Dates, dates_in
from gateway.verify.text_normalisation import squash, squash_bytes

__all__ = ["dates", "is_escaped", "readings", "values"]

#: Text may be written in another character set than the one that is declared.
_OTHER_CODECS: Final = ("utf-8", "latin-1")
_VALUES: Final = re.compile(rb"[\\^=\r\n]")
#: As the web writes letters: ``&aacute;``, ``&#225;``, ``%c3%a1``.
_ESCAPED: Final = re.compile(rb"&(?:#[0-9]|#x[0-9A-Fa-f]|[A-Za-z]{2,8};)|(?:%[0-9A-Fa-f]{2}.?){3}")


def is_escaped(raw: bytes) -> bool:
    """Whether ``raw`` has letters as the web writes them."""
    return (b"&" in raw or b"%" in raw) and _ESCAPED.search(raw) is not None


def _plain_readings(raw: bytes, vr: bytes, sets: CharacterSets) -> tuple[str, ...]:
    """The texts that ``raw`` can be read as."""
    if raw.isascii() and b"\x1b" not in raw:
        texts: tuple[str, ...] = (raw.decode("ascii"),)
    else:
        texts = (decode(raw, vr, sets).text, *(raw.decode(codec, "replace") for codec in _OTHER_CODECS))
    if is_escaped(raw):
        texts += tuple(unquote_to_bytes(unescape(text)).decode("utf-8", "replace") for text in texts)
        texts += (unquote_to_bytes(raw).decode("latin-1"),)
    return texts


def readings(raw: bytes, vr: bytes, sets: CharacterSets) -> tuple[str, ...]:
    """The squashed texts that ``raw`` can be read as."""
    if raw.isascii() and b"\x1b" not in raw and b"&" not in raw and b"%" not in raw:
        return (squash_bytes(raw),)
    return tuple(dict.fromkeys(squash(text) for text in _plain_readings(raw, vr, sets)))


def dates(raw: bytes, vr: bytes, sets: CharacterSets) -> Dates:
    """The dates that the text ``raw`` can be read to hold."""
    days = NO_DATES
    for text in dict.fromkeys(_plain_readings(raw, vr, sets)):
        days |= dates_in(text)
    return days


def values(raw: bytes, vr: bytes, sets: CharacterSets) -> frozenset[str]:
    """The squashed texts of ``raw`` as a whole and of each value, component and line of it."""
    parts = {raw, *_VALUES.split(raw)} if raw.isascii() and b"\x1b" not in raw else {raw}
    texts = {text for part in parts for text in readings(part, vr, sets)}
    if len(parts) == 1 and not raw.isascii():
        for text in decode(raw, vr, sets).text, raw.decode("utf-8", "replace"):
            texts.update(squash(part) for part in re.split(r"[\\^=\r\n]", text))
    return frozenset(texts)
