"""The data-transfer phase of an association that was accepted, from the socket to whoever takes the messages.

One large buffer is filled from the socket, and fragments of data sets are handed on from there. All memory is that
buffer, whatever PDUs and messages measure (PS3.8 9.3.5, E).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import Final, Protocol

from gateway.association.command_set import C_CANCEL_RQ, C_ECHO_RQ, Command, Status, encode_response
from gateway.association.dimse_message import MessageReader
from gateway.association.pdu import command_pdus
from gateway.errors import ProtocolViolation

#: Room for several PDUs of the usual sizes per call to the kernel.
_BUFFER: Final = 256 << 10

_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
#: struct timeval of SO_RCVTIMEO and SO_SNDTIMEO: seconds and microseconds.
_TIMEVAL: Final = Struct("@ll")


def acknowledge_quickly(connection: socket.socket) -> None:
    """Have the kernel acknowledge what comes next at once.

    Peers that write a PDU in small pieces without TCP_NODELAY wait 40 ms for a delayed acknowledgement per message.
    The kernel forgets the option, so it is set again for each read.
    """
    if _QUICKACK is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


class Operation(Protocol):
    """What becomes of one request."""

    def write(self, spans: Sequence[memoryview]) -> None:
        """Take the next bytes of its data set; they may be reused afterwards."""

    def finish(self) -> tuple[int, str]:
        """It is complete: status and Error Comment of the answer."""

    def abandon(self) -> None:
        """The association has ended in the middle."""


class Operations(Protocol):
    """What an association is for."""

    def begin(self, command: Command, context: AcceptedContext) -> Operation | None:
        """A request other than C-ECHO has come; None if it is not supported (PS3.7 C: 0x0211)."""

    def echoed(self) -> None:
        """A C-ECHO is answered."""


class End(Enum):
    """Why the phase ended without a PDU that ends it."""

    #: The peer closed the connection, or it broke.
    DISCONNECTED = "disconnected"
    #: The peer was silent in the middle of a message, or trickled.
    TIMED_OUT = "timed-out"
    #: The peer asked for nothing.
    IDLE = "idle"
    #: The gateway is stopping.
    STOPPED = "stopped"
    #: It had to make room for another association.
    DISPLACED = "displaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSettings:
    """What a peer may take.

    Attributes
    ----------
    max_pdu_bytes
        announced maximum length of a P-DATA-TF PDU, 0 for none
    timeout_seconds
        longest silence in the middle of a message, and for taking an answer
    idle_seconds
        longest silence between messages
    least_bytes_per_second
        of a message, over ``timeout_seconds`` of waiting for it; less is a peer that trickles
    """

    max_pdu_bytes: int = 131072
    timeout_seconds: float = 60.0
    idle_seconds: float = 60.0
    least_bytes_per_second: int = 1024


class DataTransfer:
    """Receives the messages of one association; ``run`` is called once, ``stop`` from another thread.

    Parameters
    ----------
    connection
        connected socket, plain or TLS
    contexts
        accepted presentation contexts by id
    operations
        what the messages are for
    settings
        what the peer may take
    peer_max_pdu_bytes
        longest P-DATA-TF PDU that the peer takes, 0 for no limit

    Attributes
    ----------
    succeeded
        operations answered with Success
    failed
        operations answered otherwise, or lost
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        contexts: Mapping[int, AcceptedContext],
        operations: Operations,
        settings: TransferSettings,
        peer_max_pdu_bytes: int,
    ) -> None:
        self._connection = connection
        self._contexts = contexts
        self._operations = operations
        self._settings = settings
        self._peer_max_pdu = peer_max_pdu_bytes
        self._messages = MessageReader(self, contexts=contexts, max_pdu_bytes=settings.max_pdu_bytes)
        self._stopping: End | None = None
        self._used = time.monotonic()
        self._context_id = 0
        self._command: Command | None = None
        self._operation: Operation | None = None
        #: How long one call to the kernel waits.
        self._tick = min(settings.timeout_seconds, settings.idle_seconds)
        self._waited, self._progress = 0.0, 0
        self.succeeded = 0
        self.failed = 0

    @property
    def busy(self) -> bool:
        """Whether a message is under way: its answer has not been sent."""
        return self._messages.busy

    def run(self) -> bytes | End:
        """Receive until the association ends.

        Returns
        -------
        The PDU that ends the phase (A-RELEASE-RQ, A-ABORT or one that is out of place here), or why there is none.

        Raises
        ------
        ProtocolViolation
            the peer must be told by an A-ABORT
        """
        buffer = memoryview(bytearray(_BUFFER))
        start = end = 0
        self._limit_silence()
        try:
            while True:
                start, final = self._messages.consume(buffer, start, end)
                if final is not None:
                    return final
                if self._stopping and not self.busy:
                    return self._stopping
                # What is left is at most an incomplete header.
                rest = bytes(buffer[start:end])
                start, end = 0, len(rest)
                buffer[:end] = rest
                under_way = self.busy or bool(rest) or self._messages.inside_pdu
                count = self._receive(buffer[end:], under_way=under_way)
                if isinstance(count, End):
                    return count
                if not count:
                    return self._stopping if self._stopping and not self.busy else End.DISCONNECTED
                end += count
        except (TimeoutError, BlockingIOError):
            return End.TIMED_OUT
        except OSError:
            return End.DISCONNECTED
        finally:
            if self._operation is not None:
                self._operation.abandon()
                self._operation = None
                self.failed += 1
            # Whoever uses the connection from here on counts on a time-out of Python's; it may be closed by then.
            with suppress(OSError):
                self._connection.settimeout(self._settings.timeout_seconds)

    @property
    def idle_seconds(self) -> float:
        """How long it has been of no use: since its last operation, or its beginning; C-ECHO is none."""
        return 0.0 if self._operation is not None else time.monotonic() - self._used

    def stop(self, why: End = End.STOPPED) -> None:
        """End the association as soon as no message is under way."""
        self._stopping = why
        if not self.busy:
            # Wakes a blocked read. If a message begins at this moment it is cut off unacknowledged.
            with suppress(OSError):
                socket.socket.shutdown(self._connection, socket.SHUT_RD)

    # Messages --------------------------------------------------------------------------------------------------------

    def begin(self, command: Command, context_id: int) -> None:
        """A command has come."""
        if command.is_response:
            raise ProtocolViolation(reason="a response that nobody asked for")
        self._command, self._context_id = command, context_id
        if command.field not in (C_ECHO_RQ, C_CANCEL_RQ):
            self._operation = self._operations.begin(command, self._contexts[context_id])

    def write(self, spans: Sequence[memoryview]) -> None:
        """The next bytes of its data set."""
        if self._operation is not None:
            self._operation.write(spans)

    def end(self) -> None:
        """The message is complete: answer it."""
        command, operation = self._command, self._operation
        assert command is not None
        if operation is not None:
            self._operation = None
            status, comment = operation.finish()
            if status == Status.SUCCESS:
                self.succeeded += 1
            else:
                self.failed += 1
            self._answer(command, status, comment)
            self._used = time.monotonic()
        elif command.field == C_ECHO_RQ:
            self._operations.echoed()
            self._answer(command, Status.SUCCESS)
        elif command.field != C_CANCEL_RQ:
            self._answer(command, Status.UNRECOGNIZED_OPERATION)
        self._command = None

    def _answer(self, command: Command, status: int, comment: str = "") -> None:
        encoded = encode_response(command, status, comment)
        self._connection.sendall(command_pdus(self._context_id, encoded, self._peer_max_pdu))

    # Waiting ---------------------------------------------------------------------------------------------------------

    def _receive(self, room: memoryview, *, under_way: bool) -> int | End:
        """Bytes that came, 0 for the end of the connection; or which patience was at its end."""
        settings = self._settings
        longest = settings.timeout_seconds if under_way else settings.idle_seconds
        began = time.monotonic()
        waited = 0.0
        while True:
            try:
                count = self._connection.recv_into(room)
                break
            except (TimeoutError, BlockingIOError):
                waited = time.monotonic() - began
                # The kernel counts in ticks of its own.
                if waited >= longest - 0.01:
                    return End.TIMED_OUT if under_way else End.IDLE
                self._wait_at_most(min(self._tick, longest - waited))
        if waited:
            self._wait_at_most(self._tick)
        acknowledge_quickly(self._connection)
        if not under_way:
            self._waited, self._progress = 0.0, 0
        elif not self._keeps_pace(time.monotonic() - began, count):
            return End.TIMED_OUT
        return count

    def _keeps_pace(self, waited: float, count: int) -> bool:
        """Whether the peer still delivers what it must; what the gateway itself takes meanwhile does not count."""
        self._waited += waited
        self._progress += count
        if self._waited < self._settings.timeout_seconds:
            return True
        kept = self._progress >= self._settings.least_bytes_per_second * self._waited
        self._waited, self._progress = 0.0, 0
        return kept

    def _limit_silence(self) -> None:
        """Let no read and no write wait longer than it may.

        The kernel does the waiting: with a time-out of Python's every read is preceded by a poll, and every call to
        the kernel hands the interpreter to another association's thread.
        """
        if not isinstance(self._connection, ssl.SSLSocket):
            self._connection.settimeout(None)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(self._settings.timeout_seconds))
        self._wait_at_most(self._tick)

    def _wait_at_most(self, seconds: float) -> None:
        if isinstance(self._connection, ssl.SSLSocket):
            self._connection.settimeout(seconds)
        else:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return _TIMEVAL.pack(whole, max(int((seconds - whole) * 1_000_000), 0 if whole else 1))
