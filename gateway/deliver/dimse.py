"""DIMSE commands as a requestor needs them, at byte level: implicit VR little endian, group 0000 (PS3.7 6.3, 9, E)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from struct import error as struct_error
from typing import Final

C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
N_EVENT_REPORT_RQ: Final = 0x0100
N_ACTION_RQ: Final = 0x0130
RESPONSE: Final = 0x8000

_NO_DATA_SET: Final = 0x0101
_DATA_SET: Final = 0x0001
_MEDIUM_PRIORITY: Final = 0x0000
_ELEMENT: Final = Struct("<HHI")
_US: Final = Struct("<H")
_UL: Final = Struct("<I")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that came from the peer.

    Attributes
    ----------
    field: Command Field (0000,0100)
    message_id: Message ID (0000,0110) of a request, Message ID Being Responded To (0000,0120) of a response
    has_data_set: whether a data set follows, by Command Data Set Type (0000,0800)
    status: Status (0000,0900) of a response, else 0
    sop_class_uid: Affected SOP Class UID (0000,0002), or empty
    sop_instance_uid: Affected SOP Instance UID (0000,1000), or empty
    event_type: Event Type ID (0000,1002), or 0
    """

    field: int
    message_id: int
    has_data_set: bool
    status: int
    sop_class_uid: str
    sop_instance_uid: str
    event_type: int

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.field & RESPONSE)


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


def n_event_report_response(request: Command, status: int) -> bytes:
    """The command set that answers an N-EVENT-REPORT-RQ (PS3.7 10.3.1)."""
    return _encode({
        0x0002: _uid(request.sop_class_uid),
        0x0100: _US.pack(N_EVENT_REPORT_RQ | RESPONSE),
        0x0120: _US.pack(request.message_id),
        0x0800: _US.pack(_NO_DATA_SET),
        0x0900: _US.pack(status),
        0x1000: _uid(request.sop_instance_uid),
        0x1002: _US.pack(request.event_type),
    })  # fmt: skip


def parse_command(encoded: bytes | bytearray) -> Command:
    """The command in a command set.

    Raises
    ------
    ValueError: it is malformed
    """
    elements: dict[int, bytes] = {}
    pos, end = 0, len(encoded)
    try:
        while pos < end:
            group, number, length = _ELEMENT.unpack_from(encoded, pos)
            pos += 8 + length
            if group or pos > end:
                raise ValueError("a command set is malformed")
            elements[number] = bytes(encoded[pos - length : pos])
        field = _US.unpack(elements[0x0100])[0]
        response = bool(field & RESPONSE)
        return Command(
            field=field,
            message_id=_US.unpack(elements[0x0120 if response else 0x0110])[0],
            has_data_set=_US.unpack(elements[0x0800])[0] != _NO_DATA_SET,
            status=_US.unpack(elements[0x0900])[0] if response else 0,
            sop_class_uid=_text(elements.get(0x0002)),
            sop_instance_uid=_text(elements.get(0x1000)),
            event_type=_US.unpack(elements[0x1002])[0] if 0x1002 in elements else 0,
        )
    except (struct_error, KeyError):
        raise ValueError("a command set is malformed") from None


def _encode(elements: Mapping[int, bytes]) -> bytes:
    """The elements, in the order of their numbers, after Command Group Length (0000,0000)."""
    body = b"".join([_ELEMENT.pack(0, number, len(value)) + value for number, value in elements.items() if value])
    return _ELEMENT.pack(0, 0, 4) + _UL.pack(len(body)) + body


def _uid(value: str) -> bytes:
    encoded = value.encode("ascii")
    return encoded + b"\0" if len(encoded) & 1 else encoded


def _text(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "replace").strip(" \0")
