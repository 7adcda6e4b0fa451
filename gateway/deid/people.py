"""Names of people that many bear, in many countries: no word of a site may be one of them.

The list is large and only asked whether it has a word, so ``data/names.bin`` has no names: four bytes of a digest of
each (BLAKE2b, RFC 7693), sorted. One word in 50,000 is taken for a name that is none.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Final

__all__ = ["digest", "is_name"]

_BYTES: Final = 4


def digest(word: str) -> int:
    """What stands for a folded name in the list."""
    return int.from_bytes(blake2b(word.encode(), digest_size=_BYTES).digest(), "big")


def is_name(word: str) -> bool:
    """Whether many people bear a folded word as a name."""
    names, wanted = _names(), digest(word)
    at = bisect_left(names, wanted)
    return at < len(names) and names[at] == wanted


@cache
def _names() -> array[int]:
    names = array("I")
    names.frombytes((files("gateway.deid") / "data" / "names.bin").read_bytes())
    if sys.byteorder == "little":
        names.byteswap()
    return names
