"""A port that is listened on."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import Final

import structlog

from gateway.errors import ConfigurationError

_log = structlog.get_logger(__name__)

#: Connections that the kernel keeps until they are accepted; it takes less where its own limit is lower.
BACKLOG: Final = 1024
#: Before the next try when a connection cannot be accepted, such as for want of file descriptors.
_PAUSE_SECONDS: Final = 0.1
#: struct linger: on, zero seconds.
_NO_LINGER: Final = Struct("@ii").pack(1, 0)


class Listener:
    """Accepts the connections of one port, in a thread of its own.

    Parameters
    ----------
    host
        address to listen on; ``::`` takes IPv4 too
    port
        0 for a free one
    place
        what an error names as its place, such as ``dicom``
    expected
        whether anybody may connect from an IP address; others are dropped before anything is read
    connected
        gets the socket and the peer's IP address of each connection; it owns the socket from then on

    Attributes
    ----------
    port
        that is listened on

    Raises
    ------
    ConfigurationError
        the address cannot be listened on
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        place: str,
        expected: Callable[[str], bool],
        connected: Callable[[socket.socket, str], None],
    ) -> None:
        self._socket = open_port(host, port, place=place)
        self.port = int(self._socket.getsockname()[1])
        self._expected = expected
        self._connected = connected
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, name=f"{place}-listener-{self.port}", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting and close the port; what has been accepted goes on."""
        self._stopping = True
        with suppress(OSError):
            # Wakes the thread that waits for a connection.
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

    def _accept(self) -> None:
        pause = threading.Event()
        while not self._stopping:
            try:
                connection, address = self._socket.accept()
            except OSError:
                if not self._stopping:
                    _log.error("connection not accepted")
                    pause.wait(_PAUSE_SECONDS)
                continue
            try:
                peer = normal_address(str(address[0]))
                if not self._expected(peer):
                    drop(connection)
                    continue
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connected(connection, peer)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next connection is served
                _log.error("connection failed", kind=type(error).__name__)
                connection.close()


def open_port(host: str, port: int, *, place: str) -> socket.socket:
    """The socket of a port that is listened on from now on; see ``take_port``."""
    taken = take_port(host, port, place=place)
    try:
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise _not_listened_on(host, port, place, error) from error
    return taken


def take_port(host: str, port: int, *, place: str) -> socket.socket:
    """The socket of a port that is nobody else's from now on, and not listened on yet: who connects is refused.

    Parameters
    ----------
    host
        address to listen on; ``::`` takes IPv4 too
    port
        0 for a free one
    place
        what an error names as its place, such as ``dicom``

    Raises
    ------
    ConfigurationError
        the address cannot be listened on
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        taken = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise _not_listened_on(host, port, place, error) from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        taken.bind((host, port))
    except (OSError, OverflowError) as error:
        taken.close()
        raise _not_listened_on(host, port, place, error) from error
    return taken


def _not_listened_on(host: str, port: int, place: str, error: Exception) -> ConfigurationError:
    number = None if not isinstance(error, OSError) or isinstance(error, socket.gaierror) else error.errno
    reason = os.strerror(number) if number else "no address of this machine"
    return ConfigurationError(place=place, problem=f"cannot listen on {host} port {port}: {reason}")


def normal_address(address: str) -> str:
    """An IP address without its zone; an IPv4 one as such."""
    return address.partition("%")[0].removeprefix("::ffff:")


def drop(connection: socket.socket) -> None:
    """Close a connection so that nothing of it stays here: reset, not closed in order."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    connection.close()
