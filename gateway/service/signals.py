"""Signals: what they ask for is done in a thread of its own.

Python runs a signal's handler in the main thread, between any two instructions. Whatever takes a lock there waits for
ever if the main thread holds that lock at this moment, and ``Event.set`` takes the lock that ``Event.wait`` holds when
it begins and ends; writing to the log takes one as well. So the handler does nothing: the interpreter writes the
signal's number to a socket, and a thread reads it.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType


@contextmanager
def calling(
    actions: Mapping[signal.Signals, Callable[[], object]], *, afterwards: signal.Handlers | None = None
) -> Iterator[None]:
    """Within it each of these signals calls its function, in a thread.

    Signals that come faster than they are read may be one call. To be used in the main thread.

    Parameters
    ----------
    actions
        signal -> what it calls; no exception may come out of it
    afterwards
        what handles the signals after it; None for what did before
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    thread = threading.Thread(target=_read, args=(reading, actions), daemon=True, name="signals")
    thread.start()
    waking = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, _nothing) for number in actions}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if afterwards is None else afterwards)
        signal.set_wakeup_fd(waking)
        writing.close()
        thread.join()
        reading.close()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """There has to be a handler for the interpreter to write the number of a signal."""


def _read(reading: socket.socket, actions: Mapping[signal.Signals, Callable[[], object]]) -> None:
    while numbers := reading.recv(64):
        for number in dict.fromkeys(numbers):
            # Other signals that have a handler of Python's are written as well.
            if action := actions.get(signal.Signals(number)):
                action()
