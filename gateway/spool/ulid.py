"""Names that are unique and sort by time: 48 bits of milliseconds and 80 random bits in base 32."""

from __future__ import annotations

import os
import threading
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS: Final = 80
_RANDOM_BYTES: Final = _RANDOM_BITS // 8
#: The kernel is asked for the random bits of so many names at once.
_STOCK: Final = 200
LENGTH: Final = 26


class UlidSource:
    """Gives names in rising order within a process, whatever the clock does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._stock = b""

    def next(self, time_ns: int) -> str:
        """A name of 26 characters for the moment ``time_ns`` (nanoseconds since 1970, UTC).

        A moment that is not later than that of the name before gives that name's successor.
        """
        with self._lock:
            if not self._stock:
                self._stock = os.urandom(_STOCK * _RANDOM_BYTES)
            value = (time_ns // 1_000_000) << _RANDOM_BITS | int.from_bytes(self._stock[:_RANDOM_BYTES], "big")
            self._stock = self._stock[_RANDOM_BYTES:]
            if value <= self._last or value >> _RANDOM_BITS == self._last >> _RANDOM_BITS:
                value = self._last + 1
            self._last = value
        return "".join([_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5)])
