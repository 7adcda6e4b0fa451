"""DIMSE commands at byte level: implicit VR little endian, group 0000 (PS3.7 6.3, E)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.errors import ProtocolViolation

C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000

_NO_DATA_SET: Final = 0x0101
_ELEMENT: Final = Struct("<HHI")
_US: Final = Struct("<H")
_UL: Final = Struct("<I")
_PDV: Final = Struct(">BBIIBB")
_PDV_OVERHEAD: Final = 6
#: A last command fragment (PS3.8 E.2).
_LAST_COMMAND: Final = 0x03
_COMMENT_LENGTH: Final = 64


class Status(IntEnum):
    """Statuses of the C-STORE service (PS3.4 B.2.3, PS3.7 9.1.1.1.9 and C)."""

    SUCCESS = 0x0000
    INVALID_SOP_INSTANCE = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    UNRECOGNIZED_OPERATION = 0x0211
    #: Also for an instance above the size limit: the only refusal of the service that speaks of capacity.
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Command:
    """A request.

    Attributes:
        field: (0000,0100) Command Field
        message_id: (0000,0110) Message ID
        has_data_set: whether a data set follows, by (0000,0800)
        sop_class_uid: (0000,0002) Affected SOP Class UID as sent, b"" if absent
        sop_instance_uid: (0000,1000) Affected SOP Instance UID as sent, b"" if absent
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: bytes
    sop_instance_uid: bytes


def parse_command(encoded: bytes | bytearray) -> Command:
    """The request in a command set.

    Raises:
        ProtocolViolation: it is malformed, is a response, or lacks what an answer needs
    """
    elements: dict[int, bytes] = {}
    pos, end = 0, len(encoded)
    try:
        while pos < end:
            group, number, length = _ELEMENT.unpack_from(encoded, pos)
            pos += 8 + length
            if group or pos > end:
                raise ProtocolViolation(reason="a command set is malformed")
            elements[number] = bytes(encoded[pos - length : pos])
        field = _US.unpack(elements[0x0100])[0]
        has_data_set = _US.unpack(elements[0x0800])[0] != _NO_DATA_SET
        if field & RESPONSE:
            raise ProtocolViolation(reason="a response that nobody asked for")
        # A C-CANCEL-RQ has no message id of its own (PS3.7 9.3.2.3), and no answer.
        message_id = 0 if field == C_CANCEL_RQ else _US.unpack(elements[0x0110])[0]
    except (struct_error, KeyError):
        raise ProtocolViolation(reason="a command set is malformed") from None
    return Command(field, message_id, has_data_set, elements.get(0x0002, b""), elements.get(0x1000, b""))


def encode_response(command: Command, status: int, comment: str = "") -> bytes:
    """The command set that answers ``command`` (PS3.7 9.3).

    Args:
        command: the request
        status: (0000,0900) Status
        comment: (0000,0902) Error Comment, ASCII; what is beyond 64 characters is cut
    """
    elements = [
        (0x0100, _US.pack(command.field | RESPONSE)),
        (0x0120, _US.pack(command.message_id)),
        (0x0800, _US.pack(_NO_DATA_SET)),
        (0x0900, _US.pack(status)),
    ]
    if command.sop_class_uid:
        elements.insert(0, (0x0002, _even(command.sop_class_uid, b"\0")))
    if comment:
        elements.append((0x0902, _even(comment.encode("ascii", "replace")[:_COMMENT_LENGTH], b" ")))
    if command.sop_instance_uid:
        elements.append((0x1000, _even(command.sop_instance_uid, b"\0")))
    body = b"".join([_ELEMENT.pack(0, number, len(value)) + value for number, value in elements])
    return _ELEMENT.pack(0, 0, 4) + _UL.pack(len(body)) + body


def command_pdus(context_id: int, command_set: bytes, max_length: int) -> bytes:
    """P-DATA-TF PDUs that carry a command set (PS3.8 9.3.5).

    Args:
        context_id: presentation context
        command_set: encoded command
        max_length: what the peer takes per PDU, 0 for no limit
    """
    room = max(max_length - _PDV_OVERHEAD, 1) if max_length else len(command_set)
    pdus = []
    for start in range(0, len(command_set), room):
        fragment = command_set[start : start + room]
        control = _LAST_COMMAND if start + room >= len(command_set) else _LAST_COMMAND & ~2
        size = len(fragment) + 2
        pdus.append(_PDV.pack(4, 0, size + 4, size, context_id, control) + fragment)
    return b"".join(pdus)


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) & 1 else value
