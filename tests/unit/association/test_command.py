"""Command sets as bytes."""

import io
import struct

import pytest
from pydicom.filereader import read_dataset

from gateway.association.command_set import (
    C_CANCEL_RQ,
    C_STORE_RQ,
    N_EVENT_REPORT_RQ,
    Command,
    c_echo_request,
    c_store_request,
    encode_response,
    n_action_request,
    parse_command,
)
from gateway.association.pdu import command_pdus
from gateway.errors import ProtocolViolation
from tests.integration.raw_peer import CT, INSTANCE, command, elements, store_elements, ui, us


def test_a_c_store_rq_is_read() -> None:
    assert parse_command(command(store_elements(message_id=513))) == Command(
        C_STORE_RQ, 513, has_data_set=True, sop_class_uid=ui(CT), sop_instance_uid=ui(INSTANCE)
    )


def test_a_c_cancel_rq_has_no_message_id() -> None:
    cancel = parse_command(command({0x0100: us(0x0FFF), 0x0120: us(3), 0x0800: us(0x0101)}))
    assert (cancel.field, cancel.has_data_set) == (C_CANCEL_RQ, False)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "malformed"),
        (b"\0" * 7, "malformed"),
        (command(store_elements())[:-1], "malformed"),  # the last value is cut
        (command(store_elements()) + b"\0\0", "malformed"),
        (command(store_elements()).replace(b"\0\0\2\0", b"\2\0\2\0", 1), "malformed"),  # an element of group 0002
        (command({**store_elements(), 0x0110: b""}), "malformed"),  # empty Message ID
        (command({**store_elements(), 0x0100: b"\1\0\0\0"}), "malformed"),  # a command field of four bytes
        (command({k: v for k, v in store_elements().items() if k != 0x0110}), "malformed"),
        (command({k: v for k, v in store_elements().items() if k != 0x0100}), "malformed"),
        (command({k: v for k, v in store_elements().items() if k != 0x0800}), "malformed"),
        (struct.pack("<HHI", 0, 0x0100, 0xFFFFFFFF), "malformed"),
        (command({**store_elements(), 0x0100: us(0x8001)}), "malformed"),  # a response to no message, without a status
    ],
)
def test_p7_a_command_that_cannot_be_answered_is_a_violation(encoded: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation, match=reason):
        parse_command(encoded)


@pytest.mark.parametrize(
    ("sop_class", "instance", "comment"),
    [
        (ui(CT), ui(INSTANCE), ""),
        (ui(CT), ui(INSTANCE), "the gateway's disk is full"),  # even
        (ui(CT), ui(INSTANCE), "odd"),
        (ui(CT), ui(INSTANCE), "x" * 99),  # longer than LO allows
        (b"1.2.3", b"1.2", ""),  # not padded by the sender
        (b"", b"", ""),  # nothing to repeat
    ],
)
def test_a_response_is_a_command_set_as_pydicom_reads_it(sop_class: bytes, instance: bytes, comment: str) -> None:
    request = Command(C_STORE_RQ, 77, has_data_set=True, sop_class_uid=sop_class, sop_instance_uid=instance)
    encoded = encode_response(request, 0xA700, comment)
    dataset = read_dataset(io.BytesIO(encoded), is_implicit_VR=True, is_little_endian=True)
    assert [element.tag for element in dataset] == sorted(element.tag for element in dataset)
    assert dataset.CommandGroupLength == len(encoded) - 12
    assert dataset.CommandField == 0x8001
    assert dataset.MessageIDBeingRespondedTo == 77
    assert dataset.CommandDataSetType == 0x0101
    assert dataset.Status == 0xA700
    assert dataset.get("ErrorComment", "") == comment[:64]
    assert dataset.get("AffectedSOPClassUID", "") == sop_class.decode().rstrip("\0")
    assert dataset.get("AffectedSOPInstanceUID", "") == instance.decode().rstrip("\0")
    assert all(len(value) % 2 == 0 for value in elements(encoded).values())


def test_a_response_is_read() -> None:
    response = command({0x0002: ui(CT), 0x0100: us(0x8001), 0x0120: us(7), 0x0800: us(0x0101), 0x0900: us(0xA700),
                        0x1000: ui(INSTANCE)})  # fmt: skip
    found = parse_command(response)
    assert (found.is_response, found.message_id, found.status, found.instance_uid) == (True, 7, 0xA700, INSTANCE)


def test_a_report_is_read_and_answered() -> None:
    report = parse_command(
        command(
            {
                0x0002: ui(CT),
                0x0100: us(N_EVENT_REPORT_RQ),
                0x0110: us(3),
                0x0800: us(1),
                0x1000: ui(INSTANCE),
                0x1002: us(2),
            }
        )
    )
    assert (report.event_type, report.has_data_set) == (2, True)
    answer = read_dataset(io.BytesIO(encode_response(report, 0x0110)), is_implicit_VR=True, is_little_endian=True)
    assert (answer.CommandField, answer.EventTypeID, answer.Status) == (0x8100, 2, 0x0110)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (c_echo_request(5, CT), {"CommandField": 0x30, "MessageID": 5, "CommandDataSetType": 0x0101}),
        (c_store_request(6, CT, INSTANCE), {"CommandField": 0x01, "MessageID": 6, "AffectedSOPInstanceUID": INSTANCE}),
        (n_action_request(7, CT, INSTANCE, action_type=1),
         {"CommandField": 0x130, "RequestedSOPClassUID": CT, "RequestedSOPInstanceUID": INSTANCE, "ActionTypeID": 1}),
    ],
)  # fmt: skip
def test_requests_are_command_sets_as_pydicom_reads_them(encoded: bytes, expected: dict[str, object]) -> None:
    dataset = read_dataset(io.BytesIO(encoded), is_implicit_VR=True, is_little_endian=True)
    assert dataset.CommandGroupLength == len(encoded) - 12
    assert [element.tag for element in dataset] == sorted(element.tag for element in dataset)
    assert {name: dataset.get(name) for name in expected} == expected


@pytest.mark.parametrize("max_length", [0, 8, 64, 16384])
def test_a_command_fits_the_peers_pdus(max_length: int) -> None:
    content, pos = b"", 0
    encoded = command_pdus(5, command(store_elements()), max_length)
    controls = []
    while pos < len(encoded):
        kind, size, length, context, control = struct.unpack_from(">BxIIBB", encoded, pos)
        assert (kind, context) == (4, 5)
        assert length + 4 == size
        assert size <= (max_length or size)
        controls.append(control)
        content += encoded[pos + 12 : pos + 6 + size]
        pos += 6 + size
    assert content == command(store_elements())
    assert controls == [1] * (len(controls) - 1) + [3]
