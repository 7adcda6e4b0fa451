"""One connection from its acceptance to its end."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from gateway.association.connection import Connection, ConnectionSettings
from gateway.association.pdu import AnsweredContext, AssociationRequest, ContextResult
from gateway.association.refusal import Refusal
from gateway.association.transfer import End, TransferSettings
from tests.fixtures.ports import wait_until
from tests.integration.raw_peer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    ABORT,
    CT,
    EXPLICIT,
    RELEASE_RQ,
    associate_rq,
    pdu,
)

REQUEST = associate_rq([(CT, [EXPLICIT])])


class Transfer:
    """Ends as the test wants it to."""

    def __init__(self, final: bytes | End) -> None:
        self._final = final

    def run(self) -> bytes | End:
        return self._final


class Host:
    """Decides as the test wants it to, and remembers what it was told."""

    def __init__(
        self, *, refusal: Refusal | None = None, final: bytes | End = RELEASE_RQ, broken: bool = False
    ) -> None:
        self.refusal = refusal
        self.final = final
        self.broken = broken
        self.told: list[str] = []
        self.asked: list[Connection] = []
        self.ended = threading.Event()

    def consider(self, connection: Connection, request: AssociationRequest) -> Sequence[AnsweredContext] | Refusal:
        self.asked.append(connection)
        if self.broken:
            raise RuntimeError("anything")
        return self.refusal or [AnsweredContext(1, ContextResult.ACCEPTANCE, CT, EXPLICIT)]

    def begin_transfer(
        self, _connection: Connection, _request: AssociationRequest, contexts: Sequence[AnsweredContext]
    ) -> Transfer:
        self.told.append(f"begin {len(contexts)}")
        return Transfer(self.final)

    def end_transfer(self, _connection: Connection, outcome: str) -> None:
        self.told.append(f"end {outcome}")

    def gave_up(self, _connection: Connection) -> None:
        self.told.append("gave up")

    def violated(self, _connection: Connection, _reason: str) -> None:
        """Counted by nobody here."""

    def handshake_failed(self, _connection: Connection, _error: OSError) -> None:
        self.told.append("handshake")

    def closed(self, _connection: Connection) -> None:
        self.told.append("closed")
        self.ended.set()


@contextmanager
def connected(host: Host, timeout_seconds: float = 30.0) -> Iterator[socket.socket]:
    """The peer's end of a connection that is served."""
    listening = socket.create_server(("127.0.0.1", 0))
    with listening, socket.create_connection(listening.getsockname(), timeout=30) as peer:
        accepted, _ = listening.accept()
        settings = ConnectionSettings(tls=None, request_seconds=timeout_seconds, transfer=TransferSettings())
        connection = Connection(accepted, address="127.0.0.1", settings=settings, host=host)
        thread = threading.Thread(target=connection.run)
        thread.start()
        yield peer
        peer.close()
        thread.join(30)
        assert not thread.is_alive()
        assert host.told[-1] == "closed"
        assert host.told.count("closed") == 1


def everything(peer: socket.socket) -> list[tuple[int, bytes]]:
    """Type and body of all PDUs until the connection is closed; the peer has not closed its end."""
    data = b""
    while part := peer.recv(65536):
        data += part
    found = []
    while data:
        kind, length = struct.unpack_from(">BxI", data)
        found.append((kind, data[6 : 6 + length]))
        data = data[6 + length :]
    return found


@pytest.mark.parametrize(
    ("final", "answers", "outcome"),
    [
        (RELEASE_RQ, [(A_RELEASE_RP, bytes(4))], "ended"),
        (ABORT, [], "ended"),
        (REQUEST, [(A_ABORT, b"\0\0\2\2")], "ended"),  # a second request: an unexpected PDU
        (pdu(6, bytes(4)), [(A_ABORT, b"\0\0\2\2")], "ended"),  # an A-RELEASE-RP that answers nothing
        (End.DISCONNECTED, [], "disconnected"),
        (End.TIMED_OUT, [(A_ABORT, b"\0\0\2\0")], "timed-out"),
        (End.STOPPED, [(A_ABORT, b"\0\0\2\0")], "stopped"),
    ],
)
def test_how_data_transfer_ends(final: bytes | End, answers: list[tuple[int, bytes]], outcome: str) -> None:
    host = Host(final=final)
    with connected(host) as peer:
        peer.sendall(REQUEST)
        (kind, _), *rest = everything(peer)
        assert kind == A_ASSOCIATE_AC
        assert rest == answers
    assert host.told == ["begin 1", f"end {outcome}", "closed"]


@pytest.mark.parametrize(
    ("first", "answers"),
    [
        (ABORT, []),
        (RELEASE_RQ, [(A_ABORT, b"\0\0\2\2")]),
        (pdu(4, b"data"), [(A_ABORT, b"\0\0\2\2")]),
        (pdu(8, b""), [(A_ABORT, b"\0\0\2\0")]),  # no PDU
        (pdu(1, b"short"), [(A_ABORT, b"\0\0\2\0")]),
    ],
)
def test_what_comes_instead_of_a_request(first: bytes, answers: list[tuple[int, bytes]]) -> None:
    host = Host()
    with connected(host) as peer:
        peer.sendall(first)
        assert everything(peer) == answers
    assert host.told == ["closed"]


def test_a_rejection() -> None:
    host = Host(refusal=Refusal.CALLED_AE)
    with connected(host) as peer:
        peer.sendall(REQUEST)
        assert everything(peer) == [(A_ASSOCIATE_RJ, b"\0\1\1\7")]
    assert host.told == ["closed"]


def test_a_request_that_trickles_is_given_up() -> None:
    host = Host()
    with connected(host, timeout_seconds=0.2) as peer:
        peer.sendall(REQUEST[:40])
        assert everything(peer) == []
    assert host.told == ["gave up", "closed"]


@pytest.mark.parametrize(
    ("stream", "spoken"),
    [
        (b"", False),
        (REQUEST[:1], True),  # read or not
        (REQUEST[:40], True),
    ],
)
def test_who_has_spoken(stream: bytes, spoken: bool) -> None:
    near, far = socket.socketpair()
    with near, far:
        settings = ConnectionSettings(tls=None, request_seconds=30, transfer=TransferSettings())
        connection = Connection(far, address="127.0.0.1", settings=settings, host=Host())
        near.sendall(stream)
        assert connection.has_spoken() is spoken


def test_who_has_its_answer_only_holds_the_line() -> None:
    host = Host(refusal=Refusal.CALLED_AE)
    with connected(host) as peer:
        peer.sendall(REQUEST)
        assert peer.recv(1) == bytes([A_ASSOCIATE_RJ])
        (connection,) = host.asked
        wait_until(lambda: not connection.has_spoken(), what="the answer is known to be the last word")


def test_a_broken_host_lets_nobody_in() -> None:
    host = Host(broken=True)
    with connected(host) as peer:
        peer.sendall(REQUEST)
        assert everything(peer) == []


def test_a_peer_that_goes_on_sending_gets_the_last_word() -> None:
    """Closing at once would reset the connection, and the kernel of the peer would throw away what it has not read."""
    host = Host(refusal=Refusal.CALLING_AE)
    with connected(host) as peer:
        peer.sendall(REQUEST)
        peer.sendall(bytes(1 << 20))
        peer.shutdown(socket.SHUT_WR)
        assert everything(peer) == [(A_ASSOCIATE_RJ, b"\0\1\1\3")]
