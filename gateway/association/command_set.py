"""DIMSE commands at byte level: implicit VR little endian, group 0000 (PS3.7 6.3, 9, 10, E)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.errors import ProtocolViolation

C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
N_EVENT_REPORT_RQ: Final = 0x0100
N_ACTION_RQ: Final = 0x0130
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000

_NO_DATA_SET: Final = 0x0101
_DATA_SET: Final = 0x0001
_MEDIUM_PRIORITY: Final = 0x0000
_ELEMENT: Final = Struct("<HHI")
_US: Final = Struct("<H")
_UL: Final = Struct("<I")
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


class EventStatus(IntEnum):
    """Statuses of N-EVENT-REPORT (PS3.7 10.1.1.1.8)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_EVENT_TYPE = 0x0113


@dataclass(frozen=True, slots=True)
class Command:
    """A command that came from a peer.

    Attributes
    ----------
    field
        (0000,0100) Command Field
    message_id
        (0000,0110) Message ID of a request, (0000,0120) Message ID Being Responded To of a response
    has_data_set
        whether a data set follows, by (0000,0800)
    sop_class_uid
        (0000,0002) Affected SOP Class UID as sent, b"" if absent
    sop_instance_uid
        (0000,1000) Affected SOP Instance UID as sent, b"" if absent
    status
        (0000,0900) Status of a response, else 0
    event_type
        (0000,1002) Event Type ID, or 0
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: bytes
    sop_instance_uid: bytes
    status: int = 0
    event_type: int = 0

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.field & RESPONSE)

    @property
    def instance_uid(self) -> str:
        """Affected SOP Instance UID without its padding, "" if absent."""
        return self.sop_instance_uid.decode("ascii", "replace").strip(" \0")


def parse_command(encoded: bytes | bytearray) -> Command:
    """The command in a command set.

    Raises
    ------
    ProtocolViolation
        it is malformed, or lacks what an answer needs
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
        response = bool(field & RESPONSE)
        # A C-CANCEL-RQ has no message id of its own (PS3.7 9.3.2.3), and no answer.
        message_id = 0 if field == C_CANCEL_RQ else _US.unpack(elements[0x0120 if response else 0x0110])[0]
        return Command(
            field,
            message_id,
            _US.unpack(elements[0x0800])[0] != _NO_DATA_SET,
            elements.get(0x0002, b""),
            elements.get(0x1000, b""),
            _US.unpack(elements[0x0900])[0] if response else 0,
            _US.unpack(elements[0x1002])[0] if 0x1002 in elements else 0,
        )
    except (struct_error, KeyError):
        raise ProtocolViolation(reason="a command set is malformed") from None


def encode_response(command: Command, status: int, comment: str = "") -> bytes:
    """The command set that answers ``command`` (PS3.7 9.3, 10.3).

    Parameters
    ----------
    command
        the request
    status
        (0000,0900) Status
    comment
        (0000,0902) Error Comment, ASCII; what is beyond 64 characters is cut
    """
    return _encode({
        0x0002: _even(command.sop_class_uid, b"\0"),
        0x0100: _US.pack(command.field | RESPONSE),
        0x0120: _US.pack(command.message_id),
        0x0800: _US.pack(_NO_DATA_SET),
        0x0900: _US.pack(status),
        0x0902: _even(comment.encode("ascii", "replace")[:_COMMENT_LENGTH], b" "),
        0x1000: _even(command.sop_instance_uid, b"\0"),
        0x1002: _US.pack(command.event_type) if command.field == N_EVENT_REPORT_RQ else b"",
    })  # fmt: skip


def c_echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """The command set of a C-ECHO-RQ (PS3.7 9.3.5)."""
    return _encode({
        0x0002: _uid(sop_class_uid),
        0x0100: _US.pack(C_ECHO_RQ),
        0x0110: _US.pack(message_id),
        0x0800: _US.pack(_NO_DATA_SET),
    })  # fmt: skip


def c_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1)."""
    return _encode({
        0x0002: _uid(sop_class_uid),
        0x0100: _US.pack(C_STORE_RQ),
        0x0110: _US.pack(message_id),
        0x0700: _US.pack(_MEDIUM_PRIORITY),
        0x0800: _US.pack(_DATA_SET),
        0x1000: _uid(sop_instance_uid),
    })  # fmt: skip


def n_action_request(message_id: int, sop_class_uid: str, sop_instance_uid: str, *, action_type: int) -> bytes:
    """The command set of an N-ACTION-RQ with a data set (PS3.7 10.3.4)."""
    return _encode({
        0x0003: _uid(sop_class_uid),
        0x0100: _US.pack(N_ACTION_RQ),
        0x0110: _US.pack(message_id),
        0x0800: _US.pack(_DATA_SET),
        0x1001: _uid(sop_instance_uid),
        0x1008: _US.pack(action_type),
    })  # fmt: skip


def _encode(elements: Mapping[int, bytes]) -> bytes:
    """The elements with a value, in the order of their numbers, after Command Group Length (0000,0000)."""
    body = b"".join([_ELEMENT.pack(0, number, len(value)) + value for number, value in elements.items() if value])
    return _ELEMENT.pack(0, 0, 4) + _UL.pack(len(body)) + body


def _uid(value: str) -> bytes:
    return _even(value.encode("ascii"), b"\0")


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) & 1 else value
