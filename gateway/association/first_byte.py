"""Waits for the first byte of new connections, all in one thread: who says nothing costs no thread."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

_G = TypeVar("_G")

#: How late the end of somebody's time may be noticed.
_SWEEP_SECONDS: Final = 0.2


class FirstByte(Generic[_G]):
    """Tells of each connection once: that something has come, or that nothing has come in time.

    Parameters
    ----------
    seconds
        how long a connection may say nothing
    spoken
        something has come, or the peer has closed its end
    silent
        nothing has come in time
    """

    def __init__(self, seconds: float, *, spoken: Callable[[_G], None], silent: Callable[[_G], None]) -> None:
        self._seconds = seconds
        self._spoken = spoken
        self._silent = silent
        self._lock = threading.Lock()
        #: Descriptor -> whose it is, and until when it may be silent; in the order in which they came.
        self._waiting: dict[int, tuple[_G, float]] = {}
        self._poll = select.epoll()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dicom-first-byte", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def add(self, connection: socket.socket, guest: _G) -> None:
        """Watch the socket of somebody."""
        number = connection.fileno()
        with self._lock:
            self._waiting[number] = (guest, time.monotonic() + self._seconds)
            self._poll.register(number, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT)

    def forget(self, connection: socket.socket) -> bool:
        """Watch no more, before the socket is closed; whether nothing had been told yet."""
        with self._lock:
            return self._take(connection.fileno()) is not None

    def stop(self) -> None:
        """Watch nobody any more; nothing is told after this."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._poll.close()

    def _take(self, number: int) -> _G | None:
        """Whose a descriptor is, who is forgotten by that; called with the lock held."""
        entry = self._waiting.pop(number, None)
        if entry is None:
            return None
        with suppress(OSError, ValueError):
            self._poll.unregister(number)
        return entry[0]

    def _watch(self) -> None:
        while not self._stopping.is_set():
            ready = [number for number, _ in self._poll.poll(_SWEEP_SECONDS)]
            now = time.monotonic()
            with self._lock:
                spoken = [self._take(number) for number in ready]
                late = []
                for number, (_, until) in self._waiting.items():
                    if until > now:
                        break
                    late.append(number)
                silent = [self._take(number) for number in late]
            for guest in spoken:
                if guest is not None:
                    self._spoken(guest)
            for guest in silent:
                if guest is not None:
                    self._silent(guest)
