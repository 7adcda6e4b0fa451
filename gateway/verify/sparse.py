"""What is rare in bytes that look random, such as coded pixel data: runs of text, and markers.

A regular expression takes a step for every byte; whole arrays are compared many bytes at a time.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import numpy as np
import re2

__all__ = ["SHORTEST", "first_marker", "text_runs"]

#: Of a run, in letters. ``_six_in_a_row`` depends on its being six.
SHORTEST: Final = 6
_LETTERS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ^=,._-"
_LETTER: Final = rb"[0-9A-Za-z ^=,._\-]"
_IS_LETTER: Final = np.frombuffer(bytes(code in _LETTERS for code in range(256)), bool)
_RUN: Final = re.compile(rb"%s{%d,}+" % (_LETTER, SHORTEST))


def _bytes_options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return options


#: UTF-16 in either order.
_WIDE: Final = re2.compile(
    rb"(?:%s\x00){%d,}|(?:\x00%s){%d,}" % (_LETTER, SHORTEST, _LETTER, SHORTEST), _bytes_options()
)
#: What may follow 0xFF in coded data: a zero, restarts, what ISO/IEC 14495-1 A.1 stuffs, another 0xFF.
_IS_MARKER: Final = np.frombuffer(bytes(0x80 <= code < 0xFF and not 0xD0 <= code <= 0xD7 for code in range(256)), bool)

_Bytes: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.uint8]]"
_Flags: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.bool_]]"


def text_runs(raw: bytes) -> list[bytes]:
    """The runs of at least six letters, digits and separators in ``raw``: single bytes, and UTF-16 in either order."""
    data = np.frombuffer(raw, np.uint8)
    places = np.flatnonzero(_six_in_a_row((data - 0x20) < 0x5F))
    for number in range(SHORTEST):
        places = places[_IS_LETTER[data[places + number]]]
    runs: list[bytes] = []
    behind = 0
    for place in places.tolist():
        if place >= behind:
            run = _RUN.match(raw, place)
            assert run is not None
            runs.append(run.group())
            behind = run.end()
    if _may_be_wide(data):
        runs += _WIDE.findall(raw)
    return runs


def first_marker(raw: bytes) -> int:
    """Where the first marker stands in coded data that may hold restarts (ISO/IEC 10918-1 B.1.1.5); -1 without one."""
    data = np.frombuffer(raw, np.uint8)
    places = np.flatnonzero(data[:-1] == 0xFF)
    places = places[_IS_MARKER[data[places + 1]]]
    return int(places[0]) if len(places) else -1


def _six_in_a_row(flags: _Flags) -> _Flags:
    """Where six of ``flags`` that follow one another begin."""
    if len(flags) < SHORTEST:
        return flags[:0]
    two = flags[:-1] & flags[1:]
    six: _Flags = two[:-4] & two[2:-2] & two[4:]
    return six


def _may_be_wide(data: _Bytes) -> bool:
    """Whether every second of twelve bytes is zero."""
    zero = data == 0
    two = zero[:-2] & zero[2:]
    return bool((two[:-8] & two[4:-4] & two[8:]).any())
