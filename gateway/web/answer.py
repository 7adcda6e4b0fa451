"""What a server answers, read up to a limit of bytes and before a deadline, and why there was no answer."""

from __future__ import annotations

import io
import select
import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException
from time import monotonic
from typing import Any, Final

from gateway.association.cause import cause_of
from gateway.errors import ConnectionFailed

#: A socket that does not wait has nothing to give or to take at the moment.
BLOCKED: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: The peer has closed its end.
HUNG_UP: Final = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered.

    Attributes
    ----------
    status
        HTTP status code
    retry_after
        value of the Retry-After field, or empty
    body
        its first bytes, up to the limit
    whole
        whether that is all of it; False if it was longer than the limit, cut off or unreadable
    excessive
        whether it was longer than the limit
    early
        whether it came before the whole request was sent
    """

    status: int
    retry_after: str
    body: bytes
    whole: bool
    excessive: bool = False
    early: bool = False


class AnswerStream(io.RawIOBase):
    """A socket that does not wait as a file for ``http.client``, which gives what comes before a deadline.

    Parameters
    ----------
    sock
        the socket
    early
        what was read of the answer already
    deadline
        in monotonic seconds, for all of the answer
    """

    def __init__(self, sock: socket.socket, *, early: bytes = b"", deadline: float) -> None:
        self._socket = sock
        self._early = early
        self._deadline = deadline
        # Holds the socket open when its connection is closed before the answer has been read.
        self._held = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What ``http.client`` asks of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """What was read too early first, then what comes."""
        if self._early:
            count = min(len(self._early), len(buffer))
            buffer[:count] = self._early[:count]
            self._early = self._early[count:]
            return count
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            seconds = self._deadline - monotonic()
            if seconds <= 0:
                raise TimeoutError
            try:
                return self._socket.recv_into(buffer)
            except BLOCKED:
                poll.poll(seconds * 1000)

    def close(self) -> None:
        """Let the socket go."""
        self._held.close()
        super().close()


def failure_of(error: Exception, *, sending: bool = False) -> ConnectionFailed:
    """The error for a request that was not answered.

    Its fact ``code`` is ``timeout``, ``connection-lost``, ``tls`` or ``answer-unreadable``.

    Parameters
    ----------
    error
        what the socket, or who reads from it, has raised
    sending
        whether the request was still being sent
    """
    if isinstance(error, TimeoutError):
        reason = "it stopped taking bytes" if sending else "it does not answer in time"
        return ConnectionFailed(code="timeout", reason=reason)
    # http.client has an error of its own for a peer that hangs up instead of answering, which is both.
    if isinstance(error, HTTPException) and not isinstance(error, HUNG_UP):
        return ConnectionFailed(code="answer-unreadable", reason="what it answers is not HTTP")
    if isinstance(error, ssl.SSLError) and not isinstance(error, HUNG_UP):
        return ConnectionFailed(code="tls", reason=cause_of(error))
    return ConnectionFailed(code="connection-lost", reason=cause_of(error))
