"""Peers that break the protocol, stall, flood or vanish, against a running receiver (promise P7)."""

import ipaddress
import socket
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.association import acceptor
from gateway.association.transfer import DataTransfer
from gateway.receive import Receiver, ReceiverSettings, Source
from gateway.spool import Spool
from tests.fixtures.ports import wait_until
from tests.integration.raw_peer import (
    A_ABORT,
    A_ASSOCIATE_RJ,
    COMMAND,
    CT,
    DATA,
    EXPLICIT,
    LAST,
    P_DATA,
    VERIFICATION,
    RawPeer,
    Witness,
    associate_rq,
    command,
    data_set,
    message,
    pdu,
    pdv,
    receiving,
    store_elements,
    us,
)

STORE = command(store_elements())


def titled(
    *, version: bytes = b"\0\1", called: bytes = b"GATEWAY".ljust(16), calling: bytes = b"PEER".ljust(16)
) -> bytes:
    """A request with what no proper sender puts into its fixed part."""
    proper = associate_rq([(CT, [EXPLICIT])])
    return proper[:6] + version + proper[8:10] + called + calling + proper[42:]


def assert_lives(receiver: Receiver, spool: Spool, witness: Witness) -> None:
    """A good sender is served, and nothing but its instance is there."""
    with RawPeer(receiver.port) as peer:
        peer.associate()
        assert peer.store(data_set()) == 0
        peer.release()
    names = list(spool.names())
    assert [row.spool_name for row in witness.rows] == names
    assert len(names) == len(list(spool.path(names[0]).parent.iterdir())) == 1


BEFORE_ASSOCIATION = [
    b"",  # connects and leaves
    b"\1",
    b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # a TLS ClientHello
    pdu(1, b""),  # an A-ASSOCIATE-RQ without content
    pdu(1, bytes(68)),
    pdu(1, associate_rq([(CT, [EXPLICIT])])[6:-9]),  # cut inside an item
    struct.pack(">BBI", 1, 0, 0xFFFFFFFF) + bytes(1000),  # 4 GiB announced
    struct.pack(">BBI", 1, 0, 1 << 20) + bytes(1000),  # the rest never comes
    message(STORE, data_set()),  # data before the association
    pdu(5, bytes(4)),  # A-RELEASE-RQ
    pdu(99, bytes(4)),
    bytes(10_000),
]


@pytest.mark.parametrize("stream", BEFORE_ASSOCIATION)
def test_p7_garbage_before_the_association(tmp_path: Path, stream: bytes) -> None:
    with receiving(tmp_path) as (receiver, spool, witness):
        with RawPeer(receiver.port) as peer:
            peer.send(stream)
            peer.socket.shutdown(socket.SHUT_WR)
            while True:
                kind, _ = peer.read()
                assert kind in (0, A_ABORT, A_ASSOCIATE_RJ)
                if not kind:
                    break
        assert_lives(receiver, spool, witness)


VIOLATIONS = [
    pdu(P_DATA, b""),
    struct.pack(">BBI", P_DATA, 0, 0xFFFFFFFF),
    pdu(P_DATA, struct.pack(">IBB", 0, 1, 3) + b"x" * 20),
    pdu(P_DATA, pdv(STORE, COMMAND | LAST, 99)),  # a context that was not accepted
    pdu(P_DATA, pdv(data_set(), DATA | LAST)),
    message(b"garbage"),
    message(STORE) + message(STORE),  # no data set after the first
    pdu(77, b"x"),
    associate_rq([(CT, [EXPLICIT])]),  # a second A-ASSOCIATE-RQ
]


@pytest.mark.parametrize("stream", VIOLATIONS)
def test_p7_violations_are_answered_by_an_abort(tmp_path: Path, stream: bytes) -> None:
    with receiving(tmp_path) as (receiver, spool, witness):
        with RawPeer(receiver.port) as peer:
            peer.associate()
            peer.send(stream)
            assert peer.read()[0] == A_ABORT
            assert peer.read() == (0, b"")  # and the connection is closed
        witness.wait_for("closed", "any")
        assert_lives(receiver, spool, witness)


def test_p1_a_peer_that_vanishes_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with receiving(tmp_path) as (receiver, spool, witness):
        for reset in (False, True):
            with RawPeer(receiver.port) as peer:
                peer.associate()
                peer.send(message(STORE) + pdu(P_DATA, pdv(data_set()[:100], DATA)))
                if reset:  # RST instead of FIN
                    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with witness.changed:
            assert witness.changed.wait_for(lambda: witness.events.count(("closed", "any")) == 2, timeout=60)
        assert_lives(receiver, spool, witness)


def test_a_stalled_sender_is_aborted(tmp_path: Path) -> None:
    with receiving(tmp_path, timeout_seconds=0.3, request_seconds=0.3) as (receiver, spool, witness):
        with RawPeer(receiver.port) as peer:
            peer.associate()
            peer.send(message(STORE) + pdu(P_DATA, pdv(data_set()[:100], DATA)))
            assert peer.read()[0] == A_ABORT
        with RawPeer(receiver.port) as silent:
            assert silent.read()[0] in (0, A_ABORT)  # it never asked for an association
        witness.wait_for("closed", "any")
        witness.wait_for("refused", "timeout")
        assert_lives(receiver, spool, witness)
        assert ("failed", "any", 0, "association-ended") in witness.events


@pytest.mark.parametrize(
    ("request_pdu", "expected", "counted"),
    [
        (associate_rq([(CT, [EXPLICIT])], application="1.2.3"), (1, 1, 2), "application-context"),
        (associate_rq([(CT, [EXPLICIT])], calling="WHO"), (1, 1, 3), "calling-ae"),
        (associate_rq([(CT, [EXPLICIT])], called="WHAT"), (1, 1, 7), "called-ae"),
        (titled(calling=b" " * 16), (1, 1, 3), "calling-ae"),  # a title must not be blank (PS3.5 6.2)
        (titled(calling=bytes(16)), (1, 1, 3), "calling-ae"),
        (titled(called=b" " * 16), (1, 1, 7), "called-ae"),
        (titled(version=b"\0\2"), (1, 2, 2), "protocol-version"),
    ],
)
def test_p10_rejections_say_why(
    tmp_path: Path, request_pdu: bytes, expected: tuple[int, int, int], counted: str
) -> None:
    source = Source(name="ct", calling_ae=frozenset({"PEER"}), called_ae=frozenset({"GATEWAY"}))
    with receiving(tmp_path, sources=[source]) as (receiver, _, witness):
        with RawPeer(receiver.port) as peer:
            peer.send(request_pdu)
            kind, body = peer.read()
            assert kind == A_ASSOCIATE_RJ
            assert tuple(body[1:4]) == expected
            assert peer.read() == (0, b"")
        witness.wait_for("refused", counted)
        assert receiver.associations == 0


def test_the_limit_of_associations(tmp_path: Path) -> None:
    sources = [Source(name="one", calling_ae=frozenset({"ONE"}), max_associations=1), Source(name="any")]
    with receiving(tmp_path, sources=sources, associations=2) as (receiver, _, witness):

        def refused(calling: str) -> bool:
            with RawPeer(receiver.port) as peer:
                peer.send(associate_rq([(CT, [EXPLICIT])], calling=calling))
                kind, body = peer.read()
                if kind == A_ASSOCIATE_RJ:
                    assert tuple(body[1:4]) == (2, 3, 2)  # transient, local limit exceeded
                    return True
                peer.release()
                return False

        with RawPeer(receiver.port) as first, RawPeer(receiver.port) as second:
            first.associate(calling="ONE")
            assert receiver.associations == 1
            assert refused("ONE")  # the source's own limit
            second.associate(calling="TWO")
            assert refused("THREE")  # the limit of all
            first.release()
            witness.wait_for("closed", "one")
            assert not refused("THREE")
            assert first.read() == (0, b"")


@pytest.mark.parametrize(
    ("limits", "reserved_for", "accepted", "reason"),
    [
        # who asks again and again, from one address and by one title: how often it is let in, and why not more often
        ({"associations": 8, "per_address": 8}, None, 8, "associations"),
        ({"associations": 8, "per_address": 3}, None, 3, "address-associations"),
        ({"associations": 8, "per_address": 8, "reserved": 2}, None, 6, "associations"),
        ({"associations": 8, "per_address": 3, "reserved": 2}, "127.0.0.0/8", 8, "associations"),  # known by address
    ],
)
def test_p7_nobody_takes_more_than_a_share(
    tmp_path: Path, limits: dict[str, Any], reserved_for: str | None, accepted: int, reason: str
) -> None:
    networks = () if reserved_for is None else (ipaddress.ip_network(reserved_for),)
    source = Source(name="pacs", calling_ae=frozenset({"PEER"}), addresses=networks)
    with receiving(tmp_path, sources=[source], **limits) as (receiver, _, witness), ExitStack() as stack:
        for _ in range(accepted):
            stack.enter_context(RawPeer(receiver.port)).associate()
        more = stack.enter_context(RawPeer(receiver.port))
        more.send(associate_rq([(CT, [EXPLICIT])]))
        assert more.read() == (A_ASSOCIATE_RJ, bytes((0, 2, 3, 2)))
        witness.wait_for("refused", reason)
        assert receiver.associations == accepted


def transfers(receiver: Receiver) -> list[DataTransfer]:
    peers = receiver._acceptor._peers.values()
    return [peer.transfer for peer in peers if peer.transfer is not None]


@pytest.mark.parametrize(
    ("limits", "echoes"),
    [
        ({"associations": 3, "per_address": 3}, 0),
        ({"associations": 9, "per_address": 3}, 0),
        ({"associations": 3, "per_address": 3}, 2),  # one that asks for nothing but echoes is of no use either
    ],
)
def test_p7_associations_of_no_use_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any], echoes: int
) -> None:
    monkeypatch.setattr(acceptor, "_USELESS_SECONDS", 0.0)
    echo = command({0x0002: b"1.2.840.10008.1.1\0", 0x0100: us(0x30), 0x0110: us(1), 0x0800: us(0x0101)})
    with receiving(tmp_path, **limits) as (receiver, _, witness), ExitStack() as stack:
        busy, first, second, new = (stack.enter_context(RawPeer(receiver.port)) for _ in range(4))
        for number, peer in enumerate((busy, first, second), 1):
            peer.associate([(CT, [EXPLICIT]), (VERIFICATION, [EXPLICIT])])
            # The answer is there before the association counts: one after the other.
            wait_until(lambda number=number: len(transfers(receiver)) == number, what="it counts")  # type: ignore[misc]
        for _ in range(echoes):
            first.send(message(echo, context=3))
            assert first.status() == 0
        busy.send(message(STORE) + pdu(P_DATA, pdv(data_set()[:100], DATA)))
        # The file is there a moment before the association counts as one at work.
        wait_until(lambda: any(one.idle_seconds == 0.0 for one in transfers(receiver)), what="the instance has begun")
        new.associate()
        assert first.read()[0] == A_ABORT  # the one that has been idle for longest
        busy.send(pdu(P_DATA, pdv(data_set()[100:], DATA | LAST)))
        assert busy.status() == 0
        second.release()
        new.release()
        witness.wait_for("refused", "displaced")


def test_p7_what_is_reserved_waits_for_who_is_known(tmp_path: Path) -> None:
    sources = [
        Source(name="pacs", calling_ae=frozenset({"PACS"}), addresses=(ipaddress.ip_network("127.0.0.2/32"),)),
        Source(name="others", calling_ae=frozenset({"PEER"})),
    ]
    with (
        receiving(tmp_path, sources=sources, associations=4, reserved=1) as (receiver, _, witness),
        ExitStack() as stack,
    ):
        for _ in range(3):
            stack.enter_context(RawPeer(receiver.port)).associate()
        with RawPeer(receiver.port) as more:
            more.send(associate_rq([(CT, [EXPLICIT])]))
            assert more.read()[0] == A_ASSOCIATE_RJ
        stack.enter_context(RawPeer(receiver.port, source="127.0.0.2")).associate(calling="PACS")
        assert receiver.associations == 4
        witness.wait_for("associated", "pacs")


def test_unknown_operations_are_answered_on_the_same_association(tmp_path: Path) -> None:
    echo = command({0x0002: b"1.2.840.10008.1.1\0", 0x0100: us(0x30), 0x0110: us(1), 0x0800: us(0x0101)})
    find = command({**store_elements(), 0x0100: us(0x20)})
    with receiving(tmp_path) as (receiver, spool, witness):
        with RawPeer(receiver.port) as peer:
            peer.associate([(CT, [EXPLICIT]), (VERIFICATION, [EXPLICIT])])
            peer.send(message(find, data_set()))
            assert peer.status() == 0x0211
            peer.send(message(echo, context=3))
            assert peer.status() == 0
            peer.release()
        assert_lives(receiver, spool, witness)


def test_p7_an_instance_above_the_limit_is_refused_and_not_kept(tmp_path: Path) -> None:
    with receiving(tmp_path, max_instance_bytes=1 << 20) as (receiver, spool, witness):
        with RawPeer(receiver.port) as peer:
            peer.associate()
            assert peer.store(data_set(pixels=bytes(3 << 20))) == 0xA700
            peer.release()
        assert_lives(receiver, spool, witness)
        assert ("failed", "any", 0xA700, "limit-exceeded") in witness.events


class TestStop:
    def test_idle_associations_are_aborted_and_none_is_left(self, tmp_path: Path) -> None:
        with receiving(tmp_path) as (receiver, _, witness), RawPeer(receiver.port) as peer:
            peer.associate()
            receiver.stop(grace_seconds=60)
            assert peer.read()[0] == A_ABORT
            assert witness.events == [("associated", "any"), ("closed", "any")]
            assert receiver.associations == 0
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(peer.socket.getpeername())

    def test_what_does_not_end_in_time_is_cut(self, tmp_path: Path) -> None:
        with receiving(tmp_path) as (receiver, spool, witness), RawPeer(receiver.port) as peer:
            peer.associate()
            assert peer.store(data_set()) == 0
            peer.send(message(STORE) + pdu(P_DATA, pdv(data_set()[:100], DATA)))
            while len(list((tmp_path / "received").rglob("*.dcm"))) < 2:
                pass
            receiver.stop(grace_seconds=0.2)
            assert len(witness.rows) == len(list(spool.names())) == 1
            assert len(list((tmp_path / "received").rglob("*.dcm"))) == 1

    def test_a_receiver_that_never_started_stops(self, tmp_path: Path) -> None:
        receiver = Receiver(ReceiverSettings(port=0), spool=Spool(tmp_path), record=Witness().record)
        receiver.stop()
        with pytest.raises(RuntimeError):
            _ = receiver.port


def test_a_port_in_use_is_a_configuration_error(tmp_path: Path) -> None:
    from gateway.errors import ConfigurationError

    with receiving(tmp_path) as (receiver, spool, witness):
        settings = ReceiverSettings(host="127.0.0.1", port=receiver.port)
        with pytest.raises(ConfigurationError, match="Address already in use"):
            Receiver(settings, spool=spool, record=witness.record).start()
        with pytest.raises(ConfigurationError, match="AE title"):
            Receiver(
                ReceiverSettings(host="127.0.0.1", port=0, ae_title="MORE THAN 16 CHARACTERS"),
                spool=spool,
                record=witness.record,
            ).start()
