"""What is replaced in pynetdicom, and how: negotiation and release are its own, reading from the network is ours.

A ``PduReader`` stands in for two methods of an association's ``DULServiceProvider``. Outside data transfer it reads one
PDU within a deadline and a limit; in state Sta6 (PS3.8 9.2) it runs the whole data transfer and returns with the PDU
that ends it, which the state machine then handles as ever.

A test pins the private names that this module depends on.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from pynetdicom.transport import AssociationServer, RequestHandler

from gateway.errors import ProtocolViolation
from gateway.receive.transfer import DataTransfer, End

if TYPE_CHECKING:
    from queue import Queue

    from pynetdicom.association import Association
    from pynetdicom.dul import DULServiceProvider

_log = structlog.get_logger(__name__)

#: 128 presentation contexts with 60 transfer syntaxes each are half of this.
_LONGEST_PDU: Final = 1 << 20
_HEADER: Final = Struct(">BxI")
_PDU_TYPES: Final = range(1, 8)
_DRAIN: Final = 64 << 10
_BACKLOG: Final = 128

_CLOSED: Final = "Evt17"
_INVALID_PDU: Final = "Evt19"


class PduReader:
    """Reads for one association, from its construction on.

    Args:
        dul: its upper layer provider
        negotiation_seconds: how long the peer may take to request the association
        transfer: makes the data transfer of the association, once it is accepted
        ended: called when data transfer is over
        failed: called when a TLS handshake fails
    """

    def __init__(
        self,
        dul: DULServiceProvider,
        *,
        negotiation_seconds: float,
        transfer: Callable[[], DataTransfer],
        ended: Callable[[str], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._dul = dul
        self._negotiation_seconds = negotiation_seconds
        self._transfer = transfer
        self._ended = ended
        self._failed = failed
        self._stock_event = dul._is_transport_event  # noqa: SLF001
        # Instance attributes shadow the methods that the reactor calls.
        vars(dul).update(_is_transport_event=self.event, _read_pdu_data=self.read)

    def event(self) -> bool:
        """Whether an event came from the network; begins data transfer without waiting for its first byte."""
        if self._dul.state_machine.current_state != "Sta6":
            return self._stock_event()
        self.read()
        return True

    def read(self) -> None:
        """Put the state machine's next event on its queue, and the PDU that came with it."""
        state = self._dul.state_machine.current_state
        try:
            if state == "Sta6":
                self._read_data()
            elif state == "Sta13":
                self._drain()
            else:
                self._read_one()
        except ProtocolViolation as error:
            _log.warning("association aborted", reason=str(error.facts["reason"]))
            self._end(state, _INVALID_PDU)
        except OSError:
            self._end(state, _CLOSED)

    def _end(self, state: str, event: str) -> None:
        self._dul.event_queue.put(event)
        if state == "Sta2":
            # The association's thread waits for a request that will not come; this is what it takes for a time-out.
            cast("Queue[None]", self._dul.to_user_queue).put(None)

    @property
    def _connection(self) -> socket.socket:
        wrapped = self._dul.socket
        connection = wrapped.socket if wrapped is not None else None
        if connection is None:
            raise ConnectionError
        return connection

    def _read_one(self) -> None:
        deadline = time.monotonic() + self._negotiation_seconds
        self._secure()
        kind, length = _HEADER.unpack(self._exactly(_HEADER.size, deadline))
        if kind not in _PDU_TYPES or length > _LONGEST_PDU:
            raise ProtocolViolation(reason="a PDU of no known type, or too long")
        self._decode(_HEADER.pack(kind, length) + self._exactly(length, deadline))

    def _secure(self) -> None:
        """Do the TLS handshake, if one is to do: in the connection's own thread, where a slow one delays nobody."""
        connection = self._connection
        if not isinstance(connection, ssl.SSLSocket) or connection.version() is not None:
            return
        connection.settimeout(self._negotiation_seconds)
        try:
            connection.do_handshake()
        except (OSError, ValueError) as error:
            failure = error if isinstance(error, OSError) else ConnectionError()
            self._failed(failure)
            raise failure from None

    def _read_data(self) -> None:
        checkpoint = self._dul.assoc._reactor_checkpoint  # noqa: SLF001
        # The association's own thread polls a thousand times a second; it has nothing to do until this returns.
        checkpoint.clear()
        outcome = "failed"
        try:
            final = self._transfer().run()
            outcome = final.value if isinstance(final, End) else "ended"
        except ProtocolViolation:
            outcome = "protocol-violation"
            raise
        finally:
            self._ended(outcome)
            checkpoint.set()
        if final is End.DISCONNECTED:
            self._dul.event_queue.put(_CLOSED)
        elif isinstance(final, End):
            self._dul.event_queue.put(_INVALID_PDU)  # answered by an A-ABORT, whatever the reason
        else:
            self._decode(final)

    def _decode(self, encoded: bytes) -> None:
        try:
            pdu, event = self._dul._decode_pdu(bytearray(encoded))  # noqa: SLF001
        except Exception as error:
            raise ProtocolViolation(reason="a PDU that cannot be decoded") from error
        self._dul.event_queue.put(event)
        self._dul._recv_pdu.put(pdu)  # noqa: SLF001

    def _drain(self) -> None:
        """The association is over, what still comes is thrown away."""
        self._connection.settimeout(self._negotiation_seconds)
        if not self._connection.recv(_DRAIN):
            raise ConnectionError

    def _exactly(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            part = self._connection.recv(min(count - len(data), _DRAIN))
            if not part:
                raise ConnectionError
            data += part
        return bytes(data)


class ConnectionHandler(RequestHandler):
    """Makes the association of a connection and gives it our reader."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        server = cast("ConnectionServer", self.server)
        # A peer that hangs must not keep the process from ending.
        association.dul.daemon = True
        server.opened(association, self.request)
        return association


class ConnectionServer(AssociationServer):
    """Accepts connections. With an ``ssl_context`` they speak TLS, whose handshake is the ``PduReader``'s.

    Attributes:
        admits: whether one more connection from this address is afforded
        opened: takes an association and its socket into the receiver's care
    """

    request_queue_size = _BACKLOG
    admits: Callable[[str], bool]
    opened: Callable[[Association, socket.socket], None]

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - as inherited
        """Whether the connection is handled; otherwise it is closed."""
        return self.admits(str(client_address[0]))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as inherited
        """An exception while an association was made; the base class prints it with its values."""
        _log.error("connection failed")

    def shutdown(self) -> None:
        """Stop accepting and close the listening socket."""
        # AssociationServer.shutdown also removes itself from a list that only AE.start_server fills.
        super(AssociationServer, self).shutdown()
        self.server_close()
