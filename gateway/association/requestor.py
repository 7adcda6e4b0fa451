"""One association as its requestor, without threads: negotiation, messages, release (PS3.8).

Data sets are read from their files a window at a time and go out as P-DATA-TF PDUs by one system call per window,
whatever PDUs the peer takes. Memory is that window, whatever an instance measures.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from gateway.association import pdu
from gateway.association.cause import cause_of
from gateway.association.command_set import N_EVENT_REPORT_RQ, Command, encode_response
from gateway.association.connecting import connect
from gateway.association.dimse_message import MessageReader
from gateway.association.pdu import IS_COMMAND, PDU_HEADER, PDV_OVERHEAD, ProposedContext
from gateway.association.transfer import acknowledge_quickly
from gateway.dicom.segments import Segment, read_into, total_length
from gateway.errors import ConnectionFailed, DeliveryFailed, ProtocolViolation, SpoolCorrupt, SpoolUnavailable

#: Context ids are the odd numbers to 255 (PS3.8 9.3.2.2).
MOST_CONTEXTS: Final = 128
#: Announced as the longest PDU that the peer may send: answers and reports are short.
_RECEIVED_PDU: Final = 65536
_LONGEST_PDU: Final = 1 << 20
_LONGEST_MESSAGE: Final = 16 << 20
_RECEIVE: Final = 64 << 10
#: Bytes of a data set that are read and sent at a time.
_WINDOW: Final = 1 << 20
#: What one call takes (IOV_MAX is 1024 on Linux): a header and a fragment for each PDU.
_VECTORS: Final = 1000
#: A message may take this long for its bytes, at worst, besides the time-out.
_SLOWEST_BYTES_PER_SECOND: Final = 16 * 1024
#: What a context is refused with that the peer passes over: no reason (PS3.8 table 9-18).
_NO_REASON: Final = 2

#: Abstract syntax and transfer syntax.
Pair: TypeAlias = tuple[str, str]
#: Takes the event type and the data set (implicit VR little endian) of an N-EVENT-REPORT-RQ; returns a status.
Reported: TypeAlias = Callable[[int, bytes], int]

#: Why an association is rejected: source and reason -> what to do about it (PS3.8 9.3.4).
_REJECTIONS: Final[Mapping[tuple[int, int], str]] = {
    (1, 1): "it gives no reason",
    (1, 2): "it does not support the DICOM application context",
    (1, 3): "it does not know the calling AE title: enter the gateway at the node, or set calling_ae",
    (1, 7): "it does not answer to the called AE title: set called_ae",
    (2, 1): "it gives no reason",
    (2, 2): "it does not support the protocol version",
    (3, 1): "it is congested at this moment",
    (3, 2): "its limit of associations is reached: lower connections",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A DICOM node and how it is reached.

    Attributes
    ----------
    destination
        name that errors carry
    host, port
        address
    called_ae, calling_ae
        its AE title and ours
    timeout_seconds
        longest silence
    max_pdu_bytes
        longest PDU that is sent, if the node takes as long ones
    context
        TLS, or None
    """

    destination: str
    host: str
    port: int
    called_ae: str
    calling_ae: str
    timeout_seconds: float = 60.0
    max_pdu_bytes: int = 256 * 1024
    context: ssl.SSLContext | None = None

    def failed(self, code: str, reason: str) -> DeliveryFailed:
        """The error that nothing could be had from the node; ``code`` is its fact ``code``."""
        return DeliveryFailed(destination=self.destination, reason=reason, code=code)


class Association:
    """An open association; for one thread at a time.

    Parameters
    ----------
    node
        the peer
    pairs
        presentation contexts to propose, each with one transfer syntax; at most ``MOST_CONTEXTS``
    reported
        called for every N-EVENT-REPORT-RQ that comes while the association is read

    Attributes
    ----------
    accepted
        context id of each pair that the peer accepts
    refused
        result (PS3.8 table 9-18) of each pair that it does not
    used
        whether a message was exchanged since it was opened

    Raises
    ------
    DeliveryFailed
        no association; its fact ``code`` is ``unreachable``, ``tls``, ``timeout``,
        ``association-rejected``, ``aborted``, ``connection-lost`` or ``protocol``
    """

    def __init__(self, node: Node, pairs: Sequence[Pair], *, reported: Reported | None = None) -> None:
        self._node = node
        self._reported = reported
        self._buffer = bytearray()
        self._pending: tuple[Command, int] | None = None
        self._data = bytearray()
        self._inbox: deque[tuple[Command, int, bytes]] = deque()
        self._message_id = 0
        self.accepted: dict[Pair, int] = {}
        self.refused: dict[Pair, int] = {}
        self.used = False
        self._open = False
        self._socket = self._connect()
        try:
            self._negotiate(pairs)
        except BaseException:
            self._socket.close()
            raise
        self._open = True

    @property
    def is_open(self) -> bool:
        """Whether it can still be used, as far as is known here."""
        return self._open

    @property
    def proposed(self) -> frozenset[Pair]:
        """The pairs that were proposed."""
        return frozenset((*self.accepted, *self.refused))

    def next_message_id(self) -> int:
        """A Message ID that no request under way has."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def exchange(self, pair: Pair, command: bytes, data: Sequence[Segment] = ()) -> Command:
        """Send a request and wait for its answer; reports that come in between are answered.

        Parameters
        ----------
        pair
            an accepted one
        command
            the command set; its Message ID is the last of ``next_message_id``
        data
            the data set, if the command announces one

        Raises
        ------
        DeliveryFailed
            no answer; the association is closed
        SpoolUnavailable
            a file of the data set cannot be read; the association is aborted
        SpoolCorrupt
            a file is shorter than its range; the association is aborted
        """
        context_id = self.accepted[pair]
        length = total_length(data)
        deadline = time.monotonic() + self._node.timeout_seconds + length / _SLOWEST_BYTES_PER_SECOND
        try:
            head = self._fragments(context_id, memoryview(command), control=IS_COMMAND, last=True)
            self._send_message(context_id, head, data, length, deadline)
            answer = self._answer(time.monotonic() + self._node.timeout_seconds)
        except (SpoolUnavailable, SpoolCorrupt):
            self.abort()
            raise
        except BaseException:
            self._close()
            raise
        if answer.message_id != self._message_id:
            self.abort()
            raise self._node.failed("protocol", "it answers another request than it was sent")
        self.used = True
        return answer

    def poll(self) -> None:
        """Answer the reports that have come meanwhile; closes the association if the peer has ended it."""
        try:
            while self._open:
                while self._inbox:
                    self._take_report(*self._inbox.popleft())
                if not self._is_readable():
                    break
                self._digest()
        except DeliveryFailed:
            self._close()

    def release(self) -> None:
        """End the association in order (PS3.8 7.2); what goes wrong meanwhile changes nothing any more."""
        if not self._open:
            return
        with suppress(DeliveryFailed, OSError):
            self._socket.sendall(pdu.release_request())
            deadline = time.monotonic() + min(self._node.timeout_seconds, 5.0)
            while self._read_pdu(deadline)[0] not in (pdu.A_RELEASE_RP, pdu.A_ABORT):
                pass
        self._close()

    def abort(self) -> None:
        """End the association at once (PS3.8 7.3)."""
        if self._open:
            with suppress(OSError):
                self._socket.settimeout(1.0)
                self._socket.sendall(pdu.abort())
        self._close()

    def _close(self) -> None:
        self._open = False
        self._socket.close()

    # Opening ---------------------------------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        node = self._node
        try:
            return connect(node.host, node.port, timeout_seconds=node.timeout_seconds, context=node.context)
        except ConnectionFailed as error:
            raise node.failed(str(error.facts["code"]), str(error.facts["reason"])) from None

    def _negotiate(self, pairs: Sequence[Pair]) -> None:
        node = self._node
        proposed = [
            ProposedContext(2 * number + 1, abstract_syntax, (transfer_syntax,))
            for number, (abstract_syntax, transfer_syntax) in enumerate(pairs)
        ]
        try:
            self._socket.sendall(
                pdu.request(proposed, called_ae=node.called_ae, calling_ae=node.calling_ae, max_pdu_bytes=_RECEIVED_PDU)
            )
        except OSError as error:
            raise node.failed("connection-lost", cause_of(error)) from None
        kind, body = self._read_pdu(time.monotonic() + node.timeout_seconds)
        if kind == pdu.A_ASSOCIATE_RJ and len(body) >= 4:
            words = _REJECTIONS.get((body[2], body[3]), f"source {body[2]}, reason {body[3]}")
            raise node.failed("association-rejected", f"it rejects the association: {words}")
        if kind == pdu.A_ABORT:
            raise node.failed("aborted", "it aborts the association instead of accepting it")
        if kind != pdu.A_ASSOCIATE_AC:
            raise node.failed("protocol", "it does not answer the request for an association")
        try:
            accepted = pdu.parse_acceptance(body)
        except ProtocolViolation as error:
            raise node.failed("protocol", "its acceptance of the association cannot be read") from error
        if not accepted.contexts:
            raise node.failed("protocol", "its acceptance of the association names no presentation context")
        for number, pair in enumerate(pairs):
            result, syntax = accepted.contexts.get(2 * number + 1, (_NO_REASON, ""))
            if result == 0 and syntax in ("", pair[1]):
                self.accepted[pair] = 2 * number + 1
            else:
                self.refused[pair] = result or _NO_REASON
        maximum = accepted.max_pdu_bytes
        longest = min(node.max_pdu_bytes, maximum) if maximum else node.max_pdu_bytes
        # Fragments of data sets have an even length (PS3.8 9.3.5.1 by way of PS3.5 7.1.1).
        self._room = max(2, (min(longest, _WINDOW) - PDV_OVERHEAD) & ~1)
        count = max(1, min(_WINDOW // self._room, _VECTORS // 2))
        self._window = memoryview(bytearray(self._room * count))
        self._messages = MessageReader(self, contexts=frozenset(self.accepted.values()), max_pdu_bytes=_LONGEST_PDU)

    # Sending ---------------------------------------------------------------------------------------------------------

    def _fragments(self, context_id: int, content: memoryview, *, control: int, last: bool) -> list[bytes | memoryview]:
        return pdu.data_pdus(context_id, content, room=self._room, control=control, last=last)

    def _send_message(
        self,
        context_id: int,
        head: list[bytes | memoryview],
        data: Sequence[Segment],
        length: int,
        deadline: float,
    ) -> None:
        with ExitStack() as opened:
            files: dict[Path, int] = {}
            waiting, filled, left = head, 0, length
            for segment in data:
                offset, rest = 0, len(segment) if isinstance(segment, bytes) else segment.length
                while rest:
                    target = self._window[filled : filled + rest]
                    count = _fill(segment, offset, target, files, opened)
                    filled, offset, rest, left = filled + count, offset + count, rest - count, left - count
                    if filled == len(self._window):
                        waiting += self._fragments(context_id, self._window, control=0, last=not left)
                        self._write(waiting, deadline)
                        waiting, filled = [], 0
            waiting += self._fragments(context_id, self._window[:filled], control=0, last=True)
            self._write(waiting, deadline)

    def _write(self, vectors: list[bytes | memoryview], deadline: float) -> None:
        if not vectors:
            return
        try:
            self._socket.settimeout(self._seconds(deadline))
            if self._node.context is not None:
                self._socket.sendall(b"".join(vectors))
                return
            start = 0
            while start < len(vectors):
                sent = self._socket.sendmsg(vectors[start : start + _VECTORS])
                while start < len(vectors) and sent >= len(vectors[start]):
                    sent -= len(vectors[start])
                    start += 1
                if sent:
                    vectors[start] = memoryview(vectors[start])[sent:]
                    self._socket.settimeout(self._seconds(deadline))
        except TimeoutError:
            raise self._node.failed("timeout", "it stopped taking bytes") from None
        except OSError as error:
            raise self._node.failed("connection-lost", cause_of(error)) from None

    # Receiving -------------------------------------------------------------------------------------------------------

    def _answer(self, deadline: float) -> Command:
        while True:
            command, context_id, data = self._read_message(deadline)
            if command.is_response:
                return command
            self._take_report(command, context_id, data)

    def _take_report(self, command: Command, context_id: int, data: bytes) -> None:
        if command.field != N_EVENT_REPORT_RQ or self._reported is None:
            self.abort()
            raise self._node.failed("protocol", "it requests what was not negotiated")
        status = self._reported(command.event_type, data)
        answer = memoryview(encode_response(command, status))
        deadline = time.monotonic() + self._node.timeout_seconds
        self._write(self._fragments(context_id, answer, control=IS_COMMAND, last=True), deadline)

    def _read_message(self, deadline: float) -> tuple[Command, int, bytes]:
        """The next whole message: command, presentation context, data set."""
        self._digest()
        while not self._inbox:
            self._receive(deadline)
            self._digest()
        return self._inbox.popleft()

    def _digest(self) -> None:
        """Take in what has been received; whole messages go to the inbox."""
        view = memoryview(bytes(self._buffer))
        try:
            used, final = self._messages.consume(view, 0, len(view))
        except ProtocolViolation as error:
            raise self._node.failed("protocol", str(error.facts["reason"])) from None
        del self._buffer[:used]
        if final is None:
            return
        kind, _ = PDU_HEADER.unpack_from(final)
        if kind == pdu.A_RELEASE_RQ:
            with suppress(OSError):
                self._socket.sendall(pdu.release_response())
            raise self._node.failed("connection-lost", "it released the association")
        if kind == pdu.A_ABORT:
            raise self._node.failed("aborted", "it aborted the association")
        raise self._node.failed("protocol", "a PDU that is out of place")

    def begin(self, command: Command, context_id: int) -> None:
        """A command has come."""
        self._pending = (command, context_id)

    def write(self, spans: Sequence[memoryview]) -> None:
        """The next bytes of its data set."""
        for span in spans:
            self._data += span
        if len(self._data) > _LONGEST_MESSAGE:
            raise ProtocolViolation(reason="a message of no credible length")

    def end(self) -> None:
        """The message is complete."""
        assert self._pending is not None
        self._inbox.append((*self._pending, bytes(self._data)))
        self._pending = None
        self._data.clear()

    def _read_pdu(self, deadline: float) -> tuple[int, bytes]:
        while not self._buffer_has_pdu():
            self._receive(deadline)
        kind, length = PDU_HEADER.unpack_from(self._buffer)
        body = bytes(self._buffer[PDU_HEADER.size : PDU_HEADER.size + length])
        del self._buffer[: PDU_HEADER.size + length]
        return int(kind), body

    def _buffer_has_pdu(self) -> bool:
        if len(self._buffer) < PDU_HEADER.size:
            return False
        _, length = PDU_HEADER.unpack_from(self._buffer)
        if length > _LONGEST_PDU:
            raise self._node.failed("protocol", "a PDU that is too long")
        return len(self._buffer) >= PDU_HEADER.size + int(length)

    def _receive(self, deadline: float) -> None:
        try:
            acknowledge_quickly(self._socket)
            self._socket.settimeout(self._seconds(deadline))
            data = self._socket.recv(_RECEIVE)
        except TimeoutError:
            raise self._node.failed("timeout", "it does not answer in time") from None
        except OSError as error:
            raise self._node.failed("connection-lost", cause_of(error)) from None
        if not data:
            raise self._node.failed("connection-lost", "it closed the connection")
        self._buffer += data

    def _is_readable(self) -> bool:
        """Take what is there without waiting; whether there was something."""
        try:
            self._socket.settimeout(0.0)
            data = self._socket.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError as error:
            raise self._node.failed("connection-lost", cause_of(error)) from None
        if not data:
            raise self._node.failed("connection-lost", "it closed the connection")
        self._buffer += data
        return True

    def _seconds(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, self._node.timeout_seconds)


def _fill(segment: Segment, offset: int, target: memoryview, files: dict[Path, int], opened: ExitStack) -> int:
    """Copy from ``segment`` at ``offset`` into ``target``; returns how many bytes."""
    if isinstance(segment, bytes):
        target[:] = segment[offset : offset + len(target)]
        return len(target)
    try:
        descriptor = files.get(segment.path)
        if descriptor is None:
            descriptor = files[segment.path] = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, descriptor)
        return read_into(descriptor, segment, offset, target)
    except OSError as error:
        raise SpoolUnavailable(operation="read", name=segment.path.name, reason=cause_of(error)) from None
