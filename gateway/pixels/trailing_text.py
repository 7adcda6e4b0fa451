"""Text where only coded numbers should be: at the end of entropy-coded data, where decoders do not look any more.

What a coder needs and what follows it cannot be told apart without decoding. Text can: so many letters and digits in a
row are chance once in ten million frames.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.dicom.encoded import Buffer
from gateway.errors import PixelsUnreadable

__all__ = ["check_end"]

#: Bytes at the end that are looked at.
_LOOKED_AT: Final = 256
_LETTERS: Final = rb"[A-Za-z0-9 ^=.,:;/_\-]"
_TEXT: Final = re.compile(rb"(?:%s{12,}|(?:%s\0){8,}|(?:\0%s){8,})[\0\xff\r\n ]*\Z" % (_LETTERS, _LETTERS, _LETTERS))
#: Patterns that flat images make repeat a few bytes.
_DIFFERENT: Final = 6


def check_end(data: Buffer, start: int, stop: int) -> None:
    """Look for text at the end of coded data.

    Parameters
    ----------
    data
        the bytes
    start, stop
        where the coded data lies

    Raises
    ------
    PixelsUnreadable
        it ends in text
    """
    text = _TEXT.search(bytes(data[max(start, stop - _LOOKED_AT) : stop]))
    if text is not None and len(set(text.group())) >= _DIFFERENT:
        raise PixelsUnreadable(reason="text stands at the end of the coded data of a frame")
