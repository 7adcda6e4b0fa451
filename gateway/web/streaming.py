"""One HTTP/1.1 connection that sends stored bytes without copying them; what carries none goes by ``calls``.

``http.client`` reads the answers; the sending is done here, because a request body of file ranges can go from the page
cache to the socket (``os.sendfile``), and because a server that refuses a request answers before it has read it all:
that answer must be found while the body is still being sent, or it is lost with the connection (RFC 9112 9.6).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from typing import Any, Final, cast

from gateway.association.cause import cause_of
from gateway.association.connecting import connect
from gateway.dicom.segments import Segment, too_short
from gateway.errors import ConnectionFailed, DeliveryFailed, SpoolUnavailable
from gateway.web.answer import BLOCKED, HUNG_UP, Answer, AnswerStream, failure_of
from gateway.web.endpoint import Endpoint

#: A request may take this long for its bytes, at worst, besides the time-out: a peer that reads a byte a minute would
#: otherwise hold a connection for ever.
_SLOWEST_BYTES_PER_SECOND: Final = 16 * 1024
#: Ranges up to this size are read and joined with what surrounds them: one system call instead of three.
_INLINE: Final = 64 * 1024
_CHUNK: Final = 256 * 1024
_SENDFILE: Final = 8 * 1024 * 1024
_OPEN_FILES: Final = 4
_MORE: Final = getattr(socket, "MSG_MORE", 0)
_NETWORK: Final = frozenset(
    (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENOTCONN)
)
_NO_SENDFILE: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW))


class Connection:
    """A connection to one endpoint, opened when needed and kept for the next request.

    Parameters
    ----------
    endpoint
        where to
    destination
        name that errors carry
    timeout
        seconds that the peer may take to connect, to take more bytes, and to answer once it has them all
    context
        for TLS; None for plain HTTP
    answer_limit
        bytes of an answer that are read at most
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        destination: str,
        timeout: float,
        context: ssl.SSLContext | None,
        answer_limit: int,
    ) -> None:
        self._endpoint = endpoint
        self._destination = destination
        self._timeout = timeout
        self._context = context
        self._answer_limit = answer_limit
        self._socket: socket.socket | None = None

    def post(self, target: str, fields: Mapping[str, str], segments: Sequence[Segment], *, length: int) -> Answer:
        """Send a POST request and read its answer: see ``request``."""
        return self.request("POST", target, fields, segments, length=length)

    def request(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str],
        segments: Sequence[Segment] = (),
        *,
        length: int = 0,
        again: bool = True,
    ) -> Answer:
        """Send a request and read its answer.

        Parameters
        ----------
        method
            of HTTP, such as ``GET``
        target
            request target
        fields
            header fields besides Host and Content-Length
        segments
            the body
        length
            bytes of the body
        again
            whether it may be sent once more when a kept connection breaks off without an answer; not so where the
            server may still be at work on what it has got

        Raises
        ------
        DeliveryFailed
            no answer; its fact ``code`` is ``unreachable``, ``tls``, ``timeout``, ``connection-lost`` or
            ``answer-unreadable``
        SpoolUnavailable
            a file of the body cannot be read; its fact ``segment`` is the segment's position
        SpoolCorrupt
            a file is shorter than its range; with the fact ``segment``
        """
        head = "".join(
            (
                f"{method} {target} HTTP/1.1\r\nHost: {self._endpoint.authority}\r\nContent-Length: {length}\r\n",
                *(f"{name}: {value}\r\n" for name, value in fields.items()),
                "\r\n",
            )
        ).encode("ascii")
        kept = self._kept()
        try:
            if kept is not None:
                try:
                    return self._exchange(kept, method, head, segments, length)
                except DeliveryFailed as error:
                    # A server may close a kept connection at any moment, and storing twice is storing once: one more
                    # try on a connection of its own tells whether the server is really gone.
                    if error.facts["code"] != "connection-lost" or not again:
                        raise
                    self.close()
            self._socket = self._connect()
            return self._exchange(self._socket, method, head, segments, length)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _kept(self) -> socket.socket | None:
        """The open connection unless the server has closed it, or said something unasked, in the meantime."""
        if self._socket is not None:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            if poll.poll(0) and not self._is_silent(self._socket):
                self.close()
        return self._socket

    def _is_silent(self, sock: socket.socket) -> bool:
        # TLS 1.3 session tickets are bytes on the wire but no data.
        try:
            sock.recv(1)
        except BLOCKED:
            return True
        except OSError:
            return False
        return False

    def _connect(self) -> socket.socket:
        try:
            sock = connect(
                self._endpoint.host, self._endpoint.port, timeout_seconds=self._timeout, context=self._context
            )
        except ConnectionFailed as error:
            raise self._failed(error) from None
        sock.setblocking(False)
        return sock

    def _exchange(
        self, sock: socket.socket, method: str, head: bytes, segments: Sequence[Segment], length: int
    ) -> Answer:
        deadline = monotonic() + self._timeout + length / _SLOWEST_BYTES_PER_SECOND
        sender = _Sender(sock, timeout=self._timeout, deadline=deadline, secure=self._context is not None)
        try:
            whole = sender.send(head, segments)
            stream = AnswerStream(sock, early=sender.early, deadline=monotonic() + self._timeout)
            # HTTPResponse asks its socket for nothing but makefile().
            with HTTPResponse(cast("Any", stream), method=method) as response:
                response.begin()
                answer = self._read(response, early=not whole)
                keep = whole and answer.whole and response.isclosed() and not response.will_close
        except (OSError, HTTPException) as error:
            raise self._failed(failure_of(error, sending=sender.sending)) from None
        finally:
            sender.close()
        if not keep:
            self.close()
        return answer

    def _read(self, response: HTTPResponse, *, early: bool) -> Answer:
        limit = self._answer_limit
        try:
            body = response.read(limit + 1)
            # Only a whole read leaves no expected length behind (a read of so many bytes does not raise).
            whole = len(body) <= limit and not response.length
        except (HTTPException, OSError, ValueError):
            # The status is known and says enough, unless it needs the body to say which instances it means.
            body, whole = b"", False
        return Answer(
            status=response.status,
            retry_after=response.getheader("Retry-After") or "",
            body=body[:limit],
            whole=whole,
            excessive=len(body) > limit,
            early=early,
        )

    def _failed(self, error: ConnectionFailed) -> DeliveryFailed:
        return DeliveryFailed(destination=self._destination, reason=error.facts["reason"], code=error.facts["code"])


class _Sender:
    """Sends one request over a non-blocking socket, looking for an early answer whenever the peer does not take more.

    Attributes: ``early`` holds the first bytes of such an answer, ``sending`` whether the body is still being sent.
    """

    def __init__(self, sock: socket.socket, *, timeout: float, deadline: float, secure: bool) -> None:
        self._socket = sock
        self._timeout = timeout
        self._deadline = deadline
        self._secure = secure
        self._files: OrderedDict[Path, int] = OrderedDict()
        self._poll = select.poll()
        self.early = b""
        self.sending = True

    def send(self, head: bytes, segments: Sequence[Segment]) -> bool:
        """Send all; False if the server answered before it had all."""
        try:
            self._send(head, segments)
        except ConnectionError:
            if not self.early:
                raise
        self.sending = False
        return not self.early

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _send(self, head: bytes, segments: Sequence[Segment]) -> None:
        waiting = bytearray(head)
        for position, segment in enumerate(segments):
            if isinstance(segment, bytes):
                waiting += segment
            elif segment.length <= _INLINE:
                waiting += self._read(position, segment.path, segment.offset, segment.length)
            else:
                self._write(waiting, _MORE)
                waiting.clear()
                self._send_range(position, segment.path, segment.offset, segment.length)
            if len(waiting) >= _CHUNK:
                self._write(waiting, _MORE)
                waiting.clear()
        self._write(waiting, 0)

    def _send_range(self, position: int, path: Path, offset: int, length: int) -> None:
        if not self._secure:
            sent = self._send_file(position, path, offset, length)
            offset, length = offset + sent, length - sent
        while length:
            chunk = self._read(position, path, offset, min(length, _CHUNK))
            self._write(chunk, _MORE)
            offset, length = offset + len(chunk), length - len(chunk)

    def _send_file(self, position: int, path: Path, offset: int, length: int) -> int:
        """Let the kernel send the range; fewer bytes than asked for if it cannot do that for this file system."""
        source, target, sent = self._open(position, path), self._socket.fileno(), 0
        while sent < length:
            try:
                count = self._attempt(os.sendfile, target, source, offset + sent, min(length - sent, _SENDFILE))
            except OSError as error:
                if error.errno in _NO_SENDFILE:
                    return sent
                if isinstance(error, ConnectionError | TimeoutError) or error.errno in _NETWORK:
                    raise
                raise _unreadable(position, path, error) from None
            if not count:
                raise too_short(path, length - sent, segment=position)
            sent += count
        return sent

    def _write(self, data: bytes | bytearray, flags: int) -> None:
        # TLS sockets take no flags.
        flags = 0 if self._secure else flags
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                sent += self._attempt(self._socket.send, view[sent : sent + _CHUNK], flags)

    def _attempt(self, write: Callable[..., int], *arguments: object) -> int:
        """Write as soon as the peer takes bytes."""
        while True:
            try:
                return write(*arguments)
            except BLOCKED:
                self._wait()
            except HUNG_UP:
                # It closed its end, perhaps after an answer that is waiting here.
                self._look()
                raise

    def _wait(self) -> None:
        self._poll.register(self._socket, select.POLLIN | select.POLLOUT)
        seconds = min(self._timeout, self._deadline - monotonic())
        ready = self._poll.poll(max(seconds, 0) * 1000) if seconds > 0 else []
        if not ready:
            raise TimeoutError
        if ready[0][1] & (select.POLLIN | select.POLLHUP | select.POLLERR):
            self._look()

    def _look(self) -> None:
        """Raise ``ConnectionError`` if the server has hung up, or has said something: that is then in ``early``."""
        try:
            self.early = self._socket.recv(_INLINE)
        except BLOCKED:
            return
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def _read(self, position: int, path: Path, offset: int, length: int) -> bytes:
        source = self._open(position, path)
        try:
            data = os.pread(source, length, offset)
            while len(data) < length:
                more = os.pread(source, length - len(data), offset + len(data))
                if not more:
                    raise too_short(path, length - len(data), segment=position)
                data += more
        except OSError as error:
            raise _unreadable(position, path, error) from None
        return data

    def _open(self, position: int, path: Path) -> int:
        descriptor = self._files.get(path)
        if descriptor is None:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise _unreadable(position, path, error) from None
            while len(self._files) >= _OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
            self._files[path] = descriptor
        return descriptor


def _unreadable(position: int, path: Path, error: OSError) -> SpoolUnavailable:
    return SpoolUnavailable(operation="read", name=path.name, reason=cause_of(error), segment=position)
