"""The data-transfer phase of an association, from socket to spool (PS3.8 9.3.5, E).

PDUs are not materialised: one large buffer is filled from the socket, headers are read where they lie, and fragments
of data sets are written from the buffer to the spool. All memory is that buffer, whatever PDUs and instances measure.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from struct import Struct
from typing import Final

from gateway.errors import ProtocolViolation
from gateway.receive.command import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_STORE_RQ,
    Command,
    Status,
    command_pdus,
    encode_response,
    parse_command,
)
from gateway.receive.store import AcceptedContext, Caller, Store, StoreService

#: Room for several PDUs of the usual sizes per call to the kernel.
_BUFFER: Final = 256 << 10
#: No command set of the standard comes near this.
_LONGEST_COMMAND: Final = 64 << 10
#: A-RELEASE and A-ABORT PDUs have 4 bytes after their header (PS3.8 9.3.6-9.3.8).
_LONGEST_CONTROL_PDU: Final = 4096
#: Senders differ on whether the maximum length counts a PDV's header.
_PDU_SLACK: Final = 64
#: What a sender must deliver of a message per time-out; one that trickles holds an association for nothing.
_LEAST_PROGRESS: Final = 1024

_P_DATA_TF: Final = 4
_PDU_TYPES: Final = range(1, 8)
_PDU_HEADER: Final = Struct(">BxI")
_PDV_HEADER: Final = Struct(">IBB")
_HEADER: Final = 6
_IS_COMMAND: Final = 1
_IS_LAST: Final = 2

_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
#: struct timeval of SO_RCVTIMEO and SO_SNDTIMEO: seconds and microseconds.
_TIMEVAL: Final = Struct("@ll")


def acknowledge_quickly(connection: socket.socket) -> None:
    """Have the kernel acknowledge what comes next at once.

    Senders that write a PDU in small pieces without TCP_NODELAY wait 40 ms for a delayed acknowledgement per instance.
    The kernel forgets the option, so it is set again for each read.
    """
    if _QUICKACK is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


class End(Enum):
    """Why the phase ended without a PDU that ends it."""

    #: The peer closed the connection, or it broke.
    DISCONNECTED = "disconnected"
    #: The peer was silent or trickled.
    TIMED_OUT = "timed-out"
    #: The gateway is stopping.
    STOPPED = "stopped"


class DataTransfer:
    """Receives the messages of one association; ``run`` is called once, ``stop`` from another thread.

    Args:
        connection: connected socket, plain or TLS
        caller: who sends
        contexts: accepted presentation contexts by id
        service: stores instances
        max_pdu_bytes: announced maximum length of a P-DATA-TF PDU, 0 for none
        peer_max_pdu_bytes: the peer's
        timeout_seconds: longest silence

    Attributes:
        stored: instances acknowledged
        failed: instances refused or lost
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        caller: Caller,
        contexts: Mapping[int, AcceptedContext],
        service: StoreService,
        max_pdu_bytes: int,
        peer_max_pdu_bytes: int,
        timeout_seconds: float,
    ) -> None:
        self._connection = connection
        self._caller = caller
        self._contexts = contexts
        self._service = service
        self._max_pdu = max_pdu_bytes
        self._peer_max_pdu = peer_max_pdu_bytes
        self._timeout = timeout_seconds
        self._stopping = False
        self._pdu_left = 0
        self._pdv_left = 0
        self._in_pdv = False
        self._control = 0
        self._context_id = 0
        self._command_bytes = bytearray()
        self._command: Command | None = None
        self._store: Store | None = None
        self.stored = 0
        self.failed = 0

    @property
    def busy(self) -> bool:
        """Whether a message is under way: its answer has not been sent."""
        return bool(self._in_pdv or self._command_bytes or self._command)

    def run(self) -> bytes | End:
        """Receive until the association ends.

        Returns:
            The PDU that ends the phase (A-RELEASE-RQ, A-ABORT or one that is out of place here), or why there is none.

        Raises:
            ProtocolViolation: the peer must be told by an A-ABORT
        """
        buffer = memoryview(bytearray(_BUFFER))
        start = end = 0
        window_end, progress = 0.0, 0
        self._limit_silence()
        try:
            while True:
                start, final = self._consume(buffer, start, end)
                if final is not None:
                    return final
                if self._stopping and not self.busy:
                    return End.STOPPED
                # What is left is at most an incomplete header.
                rest = bytes(buffer[start:end])
                start, end = 0, len(rest)
                buffer[:end] = rest
                count = self._receive(buffer[end:])
                if not count:
                    return End.STOPPED if self._stopping and not self.busy else End.DISCONNECTED
                end += count
                now = time.monotonic()
                if not self.busy:
                    window_end, progress = now + self._timeout, 0
                progress += count
                if now >= window_end:
                    if progress < _LEAST_PROGRESS:
                        return End.TIMED_OUT
                    window_end, progress = now + self._timeout, 0
        except (TimeoutError, BlockingIOError):
            return End.TIMED_OUT
        except OSError:
            return End.DISCONNECTED
        finally:
            if self._store is not None:
                self._store.abandon()
                self._store = None
                self.failed += 1
            # Whoever uses the connection from here on counts on a time-out of Python's; it may be closed by then.
            with suppress(OSError):
                self._connection.settimeout(self._timeout)

    def stop(self) -> None:
        """End the association as soon as no message is under way."""
        self._stopping = True
        if not self.busy:
            # Wakes a blocked read. If a message begins at this moment it is cut off unacknowledged.
            with suppress(OSError):
                socket.socket.shutdown(self._connection, socket.SHUT_RD)

    def _limit_silence(self) -> None:
        """Let no read and no write wait longer than the time-out.

        The kernel does the waiting: with a time-out of Python's every read is preceded by a poll, and every call to
        the kernel hands the interpreter to another association's thread.
        """
        if isinstance(self._connection, ssl.SSLSocket):
            self._connection.settimeout(self._timeout)
            return
        seconds = int(self._timeout)
        value = _TIMEVAL.pack(seconds, max(int((self._timeout - seconds) * 1_000_000), 0 if seconds else 1))
        self._connection.settimeout(None)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def _receive(self, room: memoryview) -> int:
        count = self._connection.recv_into(room)
        acknowledge_quickly(self._connection)
        return count

    def _consume(self, buffer: memoryview, start: int, end: int) -> tuple[int, bytes | None]:
        """Take in ``buffer[start:end]``; returns what was not consumed and the PDU that ends the phase."""
        spans: list[memoryview] = []
        while True:
            if self._in_pdv:
                take = min(self._pdv_left, end - start)
                if take:
                    if self._control & _IS_COMMAND:
                        self._command_bytes += buffer[start : start + take]
                    else:
                        spans.append(buffer[start : start + take])
                    start += take
                    self._pdv_left -= take
                    self._pdu_left -= take
                if self._pdv_left:
                    break
                self._in_pdv = False
                self._end_fragment(spans)
            elif end - start < _HEADER:
                break
            elif self._pdu_left:
                self._begin_fragment(*_PDV_HEADER.unpack_from(buffer, start))
                start += _HEADER
            else:
                kind, length = _PDU_HEADER.unpack_from(buffer, start)
                if kind != _P_DATA_TF:
                    if kind not in _PDU_TYPES or length > _LONGEST_CONTROL_PDU:
                        raise ProtocolViolation(reason="a PDU of no known type, or too long for its type")
                    if end - start < _HEADER + length:
                        break
                    return start, bytes(buffer[start : start + _HEADER + length])
                # The shortest PDV is a header of six bytes without a fragment.
                if length < _HEADER or (self._max_pdu and length > self._max_pdu + _PDU_SLACK):
                    raise ProtocolViolation(reason="a P-DATA-TF PDU is empty or longer than agreed")
                self._pdu_left = length
                start += _HEADER
        if spans and self._store is not None:
            self._store.write(spans)
        return start, None

    def _begin_fragment(self, length: int, context_id: int, control: int) -> None:
        """A PDV header: item length, which counts the two bytes after it, context and control (PS3.8 9.3.5.1, E.2)."""
        if length < 2 or length + 4 > self._pdu_left:
            raise ProtocolViolation(reason="a PDV is longer than its PDU")
        if 0 < self._pdu_left - (length + 4) < _HEADER:
            raise ProtocolViolation(reason="a PDU ends in the middle of a PDV")
        if context_id not in self._contexts:
            raise ProtocolViolation(reason="a presentation context that was not accepted")
        if self._command is None:
            if not control & _IS_COMMAND:
                raise ProtocolViolation(reason="a data set without a command")
            if self._command_bytes and context_id != self._context_id:
                raise ProtocolViolation(reason="a command in two presentation contexts")
            if len(self._command_bytes) + length > _LONGEST_COMMAND:
                raise ProtocolViolation(reason="a command of no credible length")
        elif control & _IS_COMMAND:
            raise ProtocolViolation(reason="a command where a data set was announced")
        elif context_id != self._context_id:
            raise ProtocolViolation(reason="a data set in another presentation context than its command")
        self._context_id = context_id
        self._control = control
        self._pdv_left = length - 2
        self._pdu_left -= _HEADER
        self._in_pdv = True

    def _end_fragment(self, spans: list[memoryview]) -> None:
        if not self._control & _IS_LAST:
            return
        if self._control & _IS_COMMAND:
            command = parse_command(self._command_bytes)
            self._command_bytes.clear()
            self._begin_message(command)
            return
        if self._store is not None and spans:
            self._store.write(spans)
        spans.clear()
        self._end_message()

    def _begin_message(self, command: Command) -> None:
        self._command = command
        if command.field == C_STORE_RQ:
            self._store = Store(
                self._service, caller=self._caller, context=self._contexts[self._context_id], command=command
            )
        if not command.has_data_set:
            self._end_message()

    def _end_message(self) -> None:
        command, store = self._command, self._store
        assert command is not None
        if store is not None:
            self._store = None
            status, comment = store.finish()
            if status == Status.SUCCESS:
                self.stored += 1
            else:
                self.failed += 1
            self._answer(command, status, comment)
        elif command.field == C_ECHO_RQ:
            self._service.observer.echoed(self._caller.source)
            self._answer(command, Status.SUCCESS)
        elif command.field != C_CANCEL_RQ:
            self._answer(command, Status.UNRECOGNIZED_OPERATION)
        self._command = None

    def _answer(self, command: Command, status: int, comment: str = "") -> None:
        encoded = encode_response(command, status, comment)
        self._connection.sendall(command_pdus(self._context_id, encoded, self._peer_max_pdu))
