"""One connection from its acceptance to its end, in one thread: request, data transfer, release (PS3.8 7, 9.2).

The acceptor's side of the upper layer's state machine is a straight line in blocking calls, which cost nothing while
they wait: Sta2 is ``_request``, Sta3 the decision, Sta6 a ``DataTransfer``, Sta13 ``_linger``.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from gateway.association.addresses import network_of
from gateway.association.admission import has_unread
from gateway.association.pdu import (
    A_ABORT,
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    PDU_HEADER,
    PDU_TYPES,
    AbortReason,
    AnsweredContext,
    AssociationRequest,
    abort,
    acceptance,
    parse_request,
    rejection,
    release_response,
)
from gateway.association.refusal import Refusal
from gateway.association.transfer import End, TransferSettings, acknowledge_quickly
from gateway.errors import ProtocolViolation

_log = structlog.get_logger(__name__)

#: 128 presentation contexts with 60 transfer syntaxes each are half of this.
_LONGEST_REQUEST: Final = 1 << 20
_READ: Final = 64 << 10
#: How long a peer has for closing the connection after the last word (ARTIM, PS3.8 9.1.5).
_LINGER_SECONDS: Final = 5.0


class Transfer(Protocol):
    """The data transfer of an association."""

    def run(self) -> bytes | End:
        """Receive until the association ends; what ends it."""


class Host(Protocol):
    """What a connection asks of the receiver that it belongs to."""

    def consider(self, connection: Connection, request: AssociationRequest) -> Sequence[AnsweredContext] | Refusal:
        """Decide about a request: the answer to each presentation context, or why it is rejected."""

    def begin_transfer(
        self, connection: Connection, request: AssociationRequest, contexts: Sequence[AnsweredContext]
    ) -> Transfer:
        """The data transfer of an association that has been accepted."""

    def end_transfer(self, connection: Connection, outcome: str) -> None:
        """Data transfer is over, ``outcome`` says how."""

    def handshake_failed(self, connection: Connection, error: OSError) -> None:
        """There is no TLS with this peer."""

    def gave_up(self, connection: Connection) -> None:
        """No whole request has come in time."""

    def violated(self, connection: Connection, reason: str) -> None:
        """The peer has broken the protocol, and is told by an A-ABORT."""

    def closed(self, connection: Connection) -> None:
        """The connection is closed; called last, whatever happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """How connections are served.

    Attributes
    ----------
    tls
        if the connection speaks TLS
    request_seconds
        how long the peer may take for the handshake and its whole request
    transfer
        what it may take from then on
    roles
        SOP classes whose roles are accepted as they are proposed
    """

    tls: ssl.SSLContext | None
    request_seconds: float
    transfer: TransferSettings
    roles: frozenset[str] = frozenset()


class Connection:
    """Serves one connection.

    Parameters
    ----------
    accepted
        the socket, connected
    address
        IP address of the peer
    settings
        how
    host
        whom to ask and tell
    is_known
        whether the configuration names the address

    Attributes
    ----------
    address
        IP address of the peer
    network
        what stands for it where addresses are counted
    is_known
        whether the configuration names it
    socket
        the connection; after the TLS handshake, if there is one
    opened
        when it was accepted, by ``time.monotonic``
    displaced
        whether it has been cut to make room for another
    """

    def __init__(
        self,
        accepted: socket.socket,
        *,
        address: str,
        settings: ConnectionSettings,
        host: Host,
        is_known: bool = False,
    ) -> None:
        self.address = address
        self.network = network_of(address)
        self.is_known = is_known
        self.socket = accepted
        self.opened = time.monotonic()
        self.displaced = False
        self._settings = settings
        self._host = host
        self._spoken = False
        self._answered = False

    def run(self) -> None:
        """Serve the connection until it is closed; raises nothing."""
        try:
            self._serve()
        except OSError:
            pass  # the peer is gone, or took too long for its request: nobody is left to be told
        except Exception as error:  # noqa: BLE001 - its message may quote what the peer sent (promise P9)
            _log.error("connection failed", kind=type(error).__name__)
        finally:
            self.cut()
            with suppress(OSError):
                self.socket.close()
            self._host.closed(self)

    def has_spoken(self) -> bool:
        """Whether the peer has sent something, and still has an answer to come."""
        if self._answered:
            return False
        self._spoken = self._spoken or has_unread(self.socket)
        return self._spoken

    def cut(self, how: int = socket.SHUT_RDWR) -> None:
        """Shut the connection down, or one direction of it; from any thread."""
        with suppress(OSError):
            # TLS is passed by: its own farewell waits for the peer's.
            socket.socket.shutdown(self.socket, how)

    def _serve(self) -> None:
        deadline = self.opened + self._settings.request_seconds
        self._secure(deadline)
        last = self._associate(deadline)
        if last:
            self.socket.settimeout(self._settings.transfer.timeout_seconds)
            self.socket.sendall(last)
            self._answered = True
            self._linger()

    def _secure(self, deadline: float) -> None:
        """Do the TLS handshake, if one is to do, in the connection's own thread: a slow one delays nobody."""
        context = self._settings.tls
        if context is None:
            return
        try:
            self._await_word(deadline)
            self.socket.settimeout(_left(deadline))
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            assert isinstance(self.socket, ssl.SSLSocket)
            # The time-out is one of the whole handshake.
            self.socket.do_handshake()
        except (OSError, ValueError) as error:
            failure = error if isinstance(error, OSError) else ConnectionError()
            self._host.handshake_failed(self, failure)
            raise ConnectionError from None

    def _await_word(self, deadline: float) -> None:
        """Wait for the first byte without reading it."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        if not poll.poll(_left(deadline) * 1000):
            raise TimeoutError
        self._spoken = True

    def _associate(self, deadline: float) -> bytes:
        """Serve the association; the PDU that remains to be sent, b"" if there is none."""
        try:
            try:
                request = self._request(deadline)
            except TimeoutError:
                self._host.gave_up(self)
                return b""
            if request is None:
                return b""
            if isinstance(request, AbortReason):
                return abort(request)
            answer = self._host.consider(self, request)
            if isinstance(answer, Refusal):
                return rejection(*answer.answer)
            settings = self._settings.transfer
            self.socket.settimeout(settings.timeout_seconds)
            self.socket.sendall(
                acceptance(request, answer, max_pdu_bytes=settings.max_pdu_bytes, roles=self._settings.roles)
            )
            return _last_word(self._transfer(request, answer))
        except ProtocolViolation as error:
            self._host.violated(self, str(error.facts["reason"]))
            return abort(AbortReason.NOT_SPECIFIED)

    def _request(self, deadline: float) -> AssociationRequest | AbortReason | None:
        """The peer's first PDU; None if it aborts.

        Raises
        ------
        ProtocolViolation
            it is no PDU, or a request that cannot be read
        TimeoutError
            it did not come whole in time
        OSError
            it did not come whole
        """
        kind, length = PDU_HEADER.unpack(self._exactly(PDU_HEADER.size, deadline))
        if kind not in PDU_TYPES or length > _LONGEST_REQUEST:
            raise ProtocolViolation(reason="a PDU of no known type, or too long")
        body = self._exactly(length, deadline)
        if kind == A_ABORT:
            return None
        return parse_request(body) if kind == A_ASSOCIATE_RQ else AbortReason.UNEXPECTED_PDU

    def _transfer(self, request: AssociationRequest, contexts: Sequence[AnsweredContext]) -> bytes | End:
        outcome = "failed"
        try:
            final = self._host.begin_transfer(self, request, contexts).run()
            outcome = final.value if isinstance(final, End) else "ended"
        except ProtocolViolation:
            outcome = "protocol-violation"
            raise
        finally:
            self._host.end_transfer(self, outcome)
        return final

    def _linger(self) -> None:
        """Wait until the peer closes: a connection closed while it still sends may cost it the last word."""
        self.cut(socket.SHUT_WR)
        deadline = time.monotonic() + _LINGER_SECONDS
        with suppress(OSError):
            while (left := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(_READ):
                    break

    def _exactly(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            self.socket.settimeout(_left(deadline))
            acknowledge_quickly(self.socket)
            part = self.socket.recv(min(count - len(data), _READ))
            if not part:
                raise ConnectionError
            self._spoken = True
            data += part
        return bytes(data)


def _left(deadline: float) -> float:
    """Seconds until a deadline.

    Raises
    ------
    TimeoutError
        there are none
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _last_word(final: bytes | End) -> bytes:
    """What answers the end of data transfer, b"" if nobody is there to answer."""
    if isinstance(final, End):
        return b"" if final is End.DISCONNECTED else abort(AbortReason.NOT_SPECIFIED)
    kind, _ = PDU_HEADER.unpack_from(final)
    if kind == A_RELEASE_RQ:
        return release_response()
    return b"" if kind == A_ABORT else abort(AbortReason.UNEXPECTED_PDU)
