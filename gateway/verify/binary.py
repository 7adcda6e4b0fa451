"""What can be read in binary values: runs of text, and compressed content."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from gateway.errors import LimitExceeded

__all__ = ["is_textual", "opened", "runs"]

_PRINTABLE: Final = bytes((*range(0x20, 0x7F), 0x09, 0x0A, 0x0C, 0x0D))
#: Up to this share of other bytes, a binary value is read as text.
_LARGEST_UNPRINTABLE_SHARE: Final = 0.15
#: ASCII of four bytes beside a NUL, as programs keep strings; of eight anywhere; UTF-16 of four letters.
_RUN: Final = re.compile(
    rb"[\x20-\x7e\t\r\n]{4,}(?=\0)|(?<=\0)[\x20-\x7e\t\r\n]{4,}|[\x20-\x7e\t\r\n]{8,}|\A[\x20-\x7e\t\r\n]{4,}"
)
_WIDE: Final = re.compile(rb"(?:[\x20-\x7e]\0){4,}|(?:\0[\x20-\x7e]){4,}")
#: How gzip (RFC 1952) and zlib (RFC 1950) begin.
_COMPRESSED: Final = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
#: What a value may hold when it is opened, in bytes, and how many beginnings are tried: promise P7.
_MOST_OPENED: Final = 16 << 20
_MOST_TRIED: Final = 4096
#: A stream that ends before its end is none if it gave less.
_LEAST_CUT: Final = 4096
#: Of a damaged stream, bytes that are looked at, and how many it has to give: random bytes give a few.
_MOST_DAMAGED: Final = 1 << 16
_LEAST_CONTENT: Final = 16


def is_textual(raw: bytes) -> bool:
    """Whether a binary value is mostly printable characters."""
    return len(raw.translate(None, _PRINTABLE)) <= _LARGEST_UNPRINTABLE_SHARE * len(raw)


def runs(raw: bytes) -> bytes:
    """The runs of ASCII text in a binary value, one a line: single bytes and UTF-16."""
    matches = _RUN.findall(raw)
    if b"\0" in raw:
        matches += [run.replace(b"\0", b"") for run in _WIDE.findall(raw)]
    return b"\n".join(matches)


def opened(raw: bytes, *, whole: bool = True) -> Iterator[bytes]:
    """What is compressed by gzip or zlib in a value.

    Parameters
    ----------
    raw
        the value, or a piece of it
    whole
        whether nothing follows ``raw`` in the value

    Raises
    ------
    LimitExceeded
        it cannot be searched as a whole
    """
    budget, behind = _MOST_OPENED, 0
    for tried, match in enumerate(_COMPRESSED.finditer(raw)):
        if match.start() < behind:
            continue
        if tried >= _MOST_TRIED:
            raise LimitExceeded(limit=_MOST_TRIED, unit="beginnings of compressed content", where="a binary value")
        engine = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            content = engine.decompress(raw[match.start() :], budget)
        except zlib.error:
            # Whatever came before the fault is gone with it: most beginnings are none.
            content = _before_fault(raw[match.start() :])
        else:
            if engine.unconsumed_tail or not (engine.eof or whole or len(content) < _LEAST_CUT):
                raise LimitExceeded(limit=_MOST_OPENED, unit="bytes", where="compressed content of a binary value")
            behind = len(raw) - len(engine.unused_data) if engine.eof else len(raw)
        budget -= len(content)
        if content:
            yield content


def _before_fault(raw: bytes) -> bytes:
    """The content of a damaged stream before its fault."""
    gzip = raw.startswith(b"\x1f")
    # Behind the header of zlib, raw deflate has no checksum to fail.
    engine = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16 if gzip else -zlib.MAX_WBITS)
    content, raw = b"", raw if gzip else raw[2:]
    try:
        for start in range(min(len(raw), _MOST_DAMAGED)):
            content += engine.decompress(raw[start : start + 1], _LEAST_CUT)
    except zlib.error:
        pass
    return content if len(content) >= _LEAST_CONTENT else b""
