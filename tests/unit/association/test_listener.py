"""A port that is listened on."""

import errno
import os
import queue
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.association.listener import Listener
from gateway.errors import ConfigurationError


@contextmanager
def listening(host: str) -> Iterator[tuple[Listener, "queue.Queue[tuple[socket.socket, str]]"]]:
    accepted: queue.Queue[tuple[socket.socket, str]] = queue.Queue()
    listener = Listener(
        host,
        0,
        place="dicom",
        expected=lambda _address: True,
        connected=lambda connection, address: accepted.put((connection, address)),
    )
    listener.start()
    try:
        yield listener, accepted
    finally:
        listener.stop()


@pytest.mark.parametrize(
    ("host", "peer", "address"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost", ""),
        ("::1", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),  # IPv4 too
        ("::", "::1", "::1"),
    ],
)
def test_connections_are_accepted(host: str, peer: str, address: str) -> None:
    with (
        listening(host) as (listener, accepted),
        socket.create_connection((peer, listener.port), timeout=30) as sender,
    ):
        connection, found = accepted.get(timeout=30)
        with connection:
            assert not address or found == address
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            connection.sendall(b"x")
            assert sender.recv(1) == b"x"


def test_what_was_accepted_outlives_the_port() -> None:
    with listening("127.0.0.1") as (listener, accepted), socket.create_connection(("127.0.0.1", listener.port)) as peer:
        connection, _ = accepted.get(timeout=30)
        listener.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listener.port), timeout=30)
        with connection:
            connection.sendall(b"x")
            assert peer.recv(1) == b"x"


class Failing(socket.socket):
    """Cannot accept the first two connections: no file descriptor is left."""

    failures = 2

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            type(self).failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_it_goes_on_when_a_connection_cannot_be_accepted() -> None:
    with listening("127.0.0.1") as (listener, accepted):
        plain = listener._socket
        listener._socket = Failing(fileno=os.dup(plain.fileno()))
        try:
            for _ in range(2):  # the first is still accepted as it was begun
                with socket.create_connection(("127.0.0.1", listener.port), timeout=30):
                    accepted.get(timeout=30)[0].close()
            assert Failing.failures == 0
        finally:
            plain.close()


def test_it_goes_on_when_a_connection_cannot_be_served() -> None:
    served: queue.Queue[str] = queue.Queue()

    def connected(connection: socket.socket, address: str) -> None:
        served.put(address)
        if served.qsize() == 1:
            raise RuntimeError("can't start new thread")
        connection.close()

    listener = Listener("127.0.0.1", 0, place="dicom", expected=lambda _address: True, connected=connected)
    listener.start()
    try:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", listener.port), timeout=30) as peer:
                assert peer.recv(1) == b""  # closed, by whom does not matter
    finally:
        listener.stop()
    assert served.qsize() == 2


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "Cannot assign requested address"),  # a documentation address (RFC 5737)
        ("no such host", "no address of this machine"),
    ],
)
def test_an_address_that_cannot_be_listened_on(host: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"cannot listen on {host} port 0: {reason}$"):
        Listener(host, 0, place="dicom", expected=lambda _address: True, connected=lambda *_: None)


def test_a_listener_that_never_started_stops() -> None:
    Listener("127.0.0.1", 0, place="dicom", expected=lambda _address: True, connected=lambda *_: None).stop()


def test_p10_who_is_not_expected_is_dropped_before_anything_is_read() -> None:
    served: queue.Queue[str] = queue.Queue()

    def connected(connection: socket.socket, address: str) -> None:
        served.put(address)
        connection.close()

    listener = Listener("127.0.0.1", 0, place="dicom", expected=lambda one: one == "127.0.0.2", connected=connected)
    listener.start()
    try:
        # Reset, be it before the stranger knows that it is connected.
        with (
            pytest.raises(ConnectionResetError),
            socket.create_connection(("127.0.0.1", listener.port), timeout=30, source_address=("127.0.0.3", 0)) as one,
        ):
            one.recv(1)
        with socket.create_connection(("127.0.0.1", listener.port), timeout=30, source_address=("127.0.0.2", 0)):
            assert served.get(timeout=30) == "127.0.0.2"
    finally:
        listener.stop()
    assert served.empty()
