"""DIMSE messages out of P-DATA-TF PDUs (PS3.8 9.3.5, E), of acceptors and requestors alike.

PDUs are not materialised: headers are read where they lie, and fragments of data sets are handed on as views.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, Protocol

from gateway.association.command_set import Command, parse_command
from gateway.association.pdu import IS_COMMAND, IS_LAST, P_DATA_TF, PDU_HEADER, PDU_TYPES, PDV_HEADER
from gateway.errors import ProtocolViolation

#: No command set of the standard comes near this.
_LONGEST_COMMAND: Final = 64 << 10
#: A-RELEASE and A-ABORT PDUs have 4 bytes after their header (PS3.8 9.3.6-9.3.8).
_LONGEST_CONTROL_PDU: Final = 4096
#: Senders differ on whether the maximum length counts a PDV's header.
_PDU_SLACK: Final = 64
_HEADER: Final = 6


class MessageSink(Protocol):
    """Takes the messages that a reader finds, one after the other."""

    def begin(self, command: Command, context_id: int) -> None:
        """A command has come; if it announces a data set, that follows."""

    def write(self, spans: Sequence[memoryview]) -> None:
        """The next bytes of the data set; they may be reused afterwards."""

    def end(self) -> None:
        """The message is complete."""


class MessageReader:
    """Takes in the bytes of one association's data transfer phase.

    Parameters
    ----------
    sink
        gets the messages
    contexts
        ids of the accepted presentation contexts
    max_pdu_bytes
        announced maximum length of a P-DATA-TF PDU, 0 for none
    """

    def __init__(self, sink: MessageSink, *, contexts: Container[int], max_pdu_bytes: int) -> None:
        self._sink = sink
        self._contexts = contexts
        self._max_pdu = max_pdu_bytes
        self._pdu_left = 0
        self._pdv_left = 0
        self._in_pdv = False
        self._control = 0
        self._context_id = 0
        self._command_bytes = bytearray()
        self._command: Command | None = None

    @property
    def busy(self) -> bool:
        """Whether a message is under way, or not yet dealt with by the sink."""
        return bool(self._in_pdv or self._command_bytes or self._command)

    @property
    def inside_pdu(self) -> bool:
        """Whether a PDU is under way."""
        return self._pdu_left > 0

    def consume(self, buffer: memoryview, start: int, end: int) -> tuple[int, bytes | None]:
        """Take in ``buffer[start:end]``.

        Returns
        -------
        The position of what was not consumed, at most an incomplete header or control PDU, and the PDU that ends
        the phase (A-RELEASE-RQ, A-ABORT, or one that is out of place here), which is not consumed either.

        Raises
        ------
        ProtocolViolation
            the peer must be told by an A-ABORT
        """
        spans: list[memoryview] = []
        while True:
            if self._in_pdv:
                take = min(self._pdv_left, end - start)
                if take:
                    if self._control & IS_COMMAND:
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
                self._begin_fragment(*PDV_HEADER.unpack_from(buffer, start))
                start += _HEADER
            else:
                kind, length = PDU_HEADER.unpack_from(buffer, start)
                if kind != P_DATA_TF:
                    if kind not in PDU_TYPES or length > _LONGEST_CONTROL_PDU:
                        raise ProtocolViolation(reason="a PDU of no known type, or too long for its type")
                    if end - start < _HEADER + length:
                        break
                    return start, bytes(buffer[start : start + _HEADER + length])
                # The shortest PDV is a header of six bytes without a fragment.
                if length < _HEADER or (self._max_pdu and length > self._max_pdu + _PDU_SLACK):
                    raise ProtocolViolation(reason="a P-DATA-TF PDU is empty or longer than agreed")
                self._pdu_left = length
                start += _HEADER
        if spans:
            self._sink.write(spans)
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
            if not control & IS_COMMAND:
                raise ProtocolViolation(reason="a data set without a command")
            if self._command_bytes and context_id != self._context_id:
                raise ProtocolViolation(reason="a command in two presentation contexts")
            if len(self._command_bytes) + length > _LONGEST_COMMAND:
                raise ProtocolViolation(reason="a command of no credible length")
        elif control & IS_COMMAND:
            raise ProtocolViolation(reason="a command where a data set was announced")
        elif context_id != self._context_id:
            raise ProtocolViolation(reason="a data set in another presentation context than its command")
        self._context_id = context_id
        self._control = control
        self._pdv_left = length - 2
        self._pdu_left -= _HEADER
        self._in_pdv = True

    def _end_fragment(self, spans: list[memoryview]) -> None:
        if not self._control & IS_LAST:
            return
        if self._control & IS_COMMAND:
            command = parse_command(self._command_bytes)
            self._command_bytes.clear()
            self._command = command
            self._sink.begin(command, self._context_id)
            if command.has_data_set:
                return
        elif spans:
            self._sink.write(spans)
            spans.clear()
        self._sink.end()
        self._command = None
