"""Who may report on storage commitment, and what a report must be."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role

from gateway.association.requestor import Node
from gateway.deliver.dicom_node.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Commitments
from gateway.deliver.dicom_node.commitment_listener import CommitmentListener
from gateway.errors import DeliveryFailed
from tests.fixtures.asking import ASKING
from tests.integration.raw_peer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    CT,
    IMPLICIT,
    RawPeer,
    associate_rq,
    command,
    data_set,
    message,
    store_elements,
    ui,
    us,
)

REQUEST = associate_rq([(PUSH_MODEL, [IMPLICIT])], calling="ARCHIVE")
REPORT = command(
    {0x0002: ui(PUSH_MODEL), 0x0100: us(0x100), 0x0110: us(1), 0x0800: us(1), 0x1000: ui(PUSH_MODEL_INSTANCE),
     0x1002: us(1)}
)  # fmt: skip


class Reports:
    """What came, by the transaction that it names."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    def __call__(self, event_type: int, content: bytes, *, implicit: bool) -> int:
        assert event_type == 1
        assert implicit
        self.came.append(content)
        return 0


@contextmanager
def listening(
    *, host: str = "127.0.0.1", port: int = 0, networks: Sequence[str] = (), report: object = None
) -> Iterator[CommitmentListener]:
    node = Node(destination="pacs", host=host, port=104, called_ae="ARCHIVE", calling_ae="GATEWAY")
    listener = CommitmentListener(
        node,
        host=None,
        port=port,
        networks=[ipaddress.ip_network(one) for one in networks],
        report=report or Reports(),  # type: ignore[arg-type]
    )
    try:
        yield listener
    finally:
        listener.close()


def answer(listener: CommitmentListener, *, source: str, request: bytes = REQUEST) -> int:
    """The first PDU that somebody at ``source`` is answered with, 0 if there is none."""
    with suppress(ConnectionError), RawPeer(listener.port, source=source) as peer:
        peer.send(request)
        return peer.read()[0]
    return 0


@pytest.mark.parametrize(
    ("networks", "source", "request_pdu", "expected"),
    [
        ([], "127.0.0.1", REQUEST, A_ASSOCIATE_AC),  # the node's own address
        ([], "127.0.0.2", REQUEST, 0),  # another one: not even rejected
        (["127.0.0.2/31"], "127.0.0.2", REQUEST, A_ASSOCIATE_AC),  # as configured, and then only so
        (["127.0.0.2/31"], "127.0.0.1", REQUEST, 0),
        ([], "127.0.0.1", associate_rq([(PUSH_MODEL, [IMPLICIT])], calling="OTHER"), A_ASSOCIATE_RJ),
        ([], "127.0.0.1", associate_rq([(PUSH_MODEL, [IMPLICIT])], calling="ARCHIVE", called="OTHER"), A_ASSOCIATE_RJ),
        ([], "127.0.0.1", struct.pack(">BBI", 1, 0, 0xFFFFFFFF), A_ABORT),  # 4 GiB are announced
        ([], "127.0.0.1", b"GET / HTTP/1.1\r\n\r\n", A_ABORT),
    ],
)
def test_p10_only_the_node_is_heard(networks: list[str], source: str, request_pdu: bytes, expected: int) -> None:
    with listening(networks=networks) as listener:
        assert answer(listener, source=source, request=request_pdu) == expected


def test_it_listens_where_the_node_is_reached_from() -> None:
    with listening() as listener, socket.socket() as elsewhere:
        # The port is free on every other address of the machine.
        elsewhere.bind(("127.0.0.9", listener.port))


def test_a_port_that_is_taken_fails_the_delivery_and_not_the_process() -> None:
    with (
        listening() as listener,
        pytest.raises(DeliveryFailed, match="the port for its reports") as caught,
        listening(port=listener.port),
    ):
        pass
    assert caught.value.facts["code"] == "commitment-port"


def test_a_node_that_cannot_be_resolved() -> None:
    with pytest.raises(DeliveryFailed, match="cannot be resolved") as caught, listening(host="no such host"):
        pass
    assert caught.value.facts["code"] == "commitment-port"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (struct.pack(">BBI", 4, 0, 0xFFFFFFFF), A_ABORT),  # a P-DATA-TF PDU of 4 GiB
        (message(command(store_elements(CT)), data_set()), 0x0211),  # nothing is stored here
        (message(command({**store_elements(PUSH_MODEL), 0x0100: us(0x0130)}), data_set()), 0x0211),
        (message(REPORT, b"no data set"), 0x0110),
        (message(REPORT, bytes(16 << 20) + b"xx"), 0x0110),  # longer than any report
        (message(REPORT, struct.pack("<HHI", 8, 0x1195, 6) + b"2.25.1"), 0x0110),  # a transaction of somebody else
    ],
)
def test_p7_what_is_no_report_of_ours_changes_nothing(stream: bytes, expected: int) -> None:
    commitments = Commitments()
    with listening(report=commitments.report) as listener, RawPeer(listener.port) as peer:
        peer.send(REQUEST)
        assert peer.read()[0] == A_ASSOCIATE_AC
        peer.send(stream)
        if expected == A_ABORT:
            assert peer.read()[0] == A_ABORT
        else:
            assert peer.status() == expected
            peer.release()
    assert not commitments.waits()


@pytest.mark.parametrize("with_roles", [True, False])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_reports_of_nodes_with_and_without_role_selection(syntax: str, with_roles: bool) -> None:
    came: list[tuple[int, bool]] = []

    def report(event_type: int, _content: bytes, *, implicit: bool) -> int:
        came.append((event_type, implicit))
        return 0

    entity = AE("ARCHIVE")
    entity.add_requested_context(PUSH_MODEL, syntax)
    roles: list[Any] = [build_role(PUSH_MODEL, scp_role=True)] if with_roles else []
    with listening(report=report) as listener:
        association = entity.associate(
            "127.0.0.1", listener.port, ae_title="GATEWAY", ext_neg=roles, evt_handlers=ASKING
        )
        assert association.is_established
        if with_roles:
            assert association.accepted_contexts[0].as_scp
        found = Dataset()
        found.TransactionUID = "2.25.1"
        status, _ = association.send_n_event_report(found, 2, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        assert status.Status == 0
        association.release()
    assert came == [(2, syntax == ImplicitVRLittleEndian)]


def test_p7_silent_strangers_and_silent_nodes_shut_nobody_out() -> None:
    reports = Reports()
    with listening(report=reports) as listener:
        silent = [socket.create_connection(("127.0.0.1", listener.port), timeout=30) for _ in range(40)]
        try:
            with RawPeer(listener.port) as peer:
                peer.send(REQUEST)
                assert peer.read()[0] == A_ASSOCIATE_AC
                peer.send(message(REPORT, b"report"))
                assert peer.status() == 0
                peer.release()
        finally:
            for one in silent:
                one.close()
    assert reports.came == [b"report"]
