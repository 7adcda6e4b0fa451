"""The data-transfer phase on a pair of sockets: the bytes of a peer against a real spool."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.association.acceptor import Caller
from gateway.association.transfer import AcceptedContext, DataTransfer, End, TransferSettings
from gateway.errors import ProtocolViolation
from gateway.receive.store import Reception, StoreService
from gateway.spool import Durability, Spool
from tests.integration.raw_peer import (
    ABORT,
    COMMAND,
    CT,
    DATA,
    EXPLICIT,
    LAST,
    P_DATA,
    RELEASE_RQ,
    VERIFICATION,
    Witness,
    command,
    data_set,
    elements,
    message,
    pdu,
    pdv,
    store_elements,
    ui,
    us,
)

CALLER = Caller(source="any", calling_ae="PEER", called_ae="GATEWAY", address="127.0.0.1")
CONTEXTS = {
    1: AcceptedContext(CT, EXPLICIT),
    3: AcceptedContext(VERIFICATION, EXPLICIT),
    5: AcceptedContext("1.2.826.0.1.3680043.9.1", EXPLICIT),
}
STORE = command(store_elements())
ECHO = command({0x0002: ui(VERIFICATION), 0x0100: us(0x30), 0x0110: us(9), 0x0800: us(0x0101)})


class Line:
    """One end of a connection whose other end is being received from."""

    def __init__(self, root: Path, *, max_pdu: int, max_instance: int, timeout: float, idle: float) -> None:
        self.spool = Spool(root, durability=Durability.NONE)
        self.witness = Witness()
        self.near, far = socket.socketpair()
        self.near.settimeout(60)
        self._far = far
        self.transfer = DataTransfer(
            far,
            contexts=CONTEXTS,
            operations=Reception(
                StoreService(
                    spool=self.spool,
                    record=self.witness.record,
                    observer=self.witness,
                    max_instance_bytes=max_instance,
                    accept_unknown=True,
                ),
                CALLER,
            ),
            settings=TransferSettings(max_pdu_bytes=max_pdu, timeout_seconds=timeout, idle_seconds=idle),
            peer_max_pdu_bytes=0,
        )
        self.end: bytes | End | ProtocolViolation | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.end = self.transfer.run()
        except ProtocolViolation as error:
            self.end = error

    def finish(self) -> "bytes | End | ProtocolViolation | None":
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.end

    def response(self) -> dict[int, bytes]:
        head = self._exactly(6)
        kind, length = struct.unpack(">BxI", head)
        assert kind == P_DATA
        return elements(self._exactly(length)[6:])

    def status(self) -> int:
        return int(struct.unpack("<H", self.response()[0x0900])[0])

    def stored(self) -> list[bytes]:
        records = [self.spool.check(name) for name in self.spool.names()]
        assert [row.spool_name for row in self.witness.rows] == [record.name for record in records]
        return [self.spool.path(record.name).read_bytes()[record.offset :] for record in records]

    def files(self) -> list[Path]:
        return list((self.spool.work.parent / "received").rglob("*.dcm"))

    def cut(self) -> None:
        """Close the receiver's socket under it."""
        self._far.close()
        with suppress(OSError):
            self.near.sendall(b"x")  # wakes a read that has begun

    def close(self) -> None:
        self.near.close()
        self.finish()
        self._far.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.near.recv(count - len(data))
            assert part, "the connection ended"
            data += part
        return data


@contextmanager
def line(
    root: Path, *, max_pdu: int = 16384, max_instance: int = 1 << 30, timeout: float = 60, idle: float = 60
) -> Iterator[Line]:
    opened = Line(root, max_pdu=max_pdu, max_instance=max_instance, timeout=timeout, idle=idle)
    try:
        yield opened
    finally:
        opened.close()


def test_an_instance_is_stored_as_sent(tmp_path: Path) -> None:
    with line(tmp_path) as peer:
        peer.near.sendall(message(STORE, data_set()))
        response = peer.response()
        peer.near.sendall(RELEASE_RQ)
        assert peer.finish() == RELEASE_RQ
        assert peer.stored() == [data_set()]
    assert response[0x0100] == us(0x8001)
    assert response[0x0120] == us(7)
    assert response[0x0900] == us(0)
    assert peer.witness.events == [("stored", "any")]
    row = peer.witness.rows[0]
    assert (row.sop_class_uid, row.transfer_syntax, row.calling_ae, row.called_ae) == (CT, EXPLICIT, "PEER", "GATEWAY")
    assert row.size == peer.spool.path(row.spool_name).stat().st_size


def test_verification_and_storage_share_an_association(tmp_path: Path) -> None:
    with line(tmp_path) as peer:
        for _ in range(2):
            peer.near.sendall(message(ECHO, context=3))
            assert peer.response()[0x0100] == us(0x8030)
            peer.near.sendall(message(STORE, data_set()))
            assert peer.status() == 0
        assert peer.stored() == [data_set()] * 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_fragmentation_gives_the_same_bytes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = data_set(pixels=bytes(range(256)) * data.draw(st.integers(0, 600), "pixels"))
    stream = b""
    for part, kind in ((STORE, COMMAND), (content, DATA)):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(part)), max_size=6), "fragments"))
        bounds = [0, *cuts, len(part)]
        pdvs = [
            pdv(part[start:stop], kind | (LAST if number == len(bounds) - 2 else 0))
            for number, (start, stop) in enumerate(pairwise(bounds))
        ]
        grouping = data.draw(st.integers(1, 4), "PDVs per PDU")
        for start in range(0, len(pdvs), grouping):
            stream += pdu(P_DATA, b"".join(pdvs[start : start + grouping]))
    stream += message(ECHO, context=3)
    with line(tmp_path_factory.mktemp("spool"), max_pdu=0) as peer:
        bounds = [0, *sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8), "packets")), len(stream)]
        for start, stop in pairwise(bounds):
            peer.near.sendall(stream[start:stop])
        assert peer.status() == 0
        assert peer.response()[0x0100] == us(0x8030)
        assert peer.stored() == [content]


def test_every_byte_in_a_packet_of_its_own(tmp_path: Path) -> None:
    with line(tmp_path) as peer:
        for byte in message(STORE, data_set(), size=50):
            peer.near.sendall(bytes([byte]))
        assert peer.status() == 0
        assert peer.stored() == [data_set()]


def test_p8_a_pdu_larger_than_the_buffer_streams(tmp_path: Path) -> None:
    content = data_set(pixels=bytes(8 << 20))
    with line(tmp_path, max_pdu=0) as peer:
        peer.near.sendall(message(STORE, content, size=len(content)))
        assert peer.status() == 0
        assert peer.stored() == [content]


def first_data(fragment: bytes = b"x", control: int = DATA, context: int = 1) -> bytes:
    return message(STORE) + pdu(P_DATA, pdv(fragment, control, context))


VIOLATIONS = [
    (pdu(P_DATA, b""), "empty"),
    (pdu(P_DATA, b"\0" * 5), "empty"),
    (struct.pack(">BBI", P_DATA, 0, 16384 + 65), "longer than agreed"),
    (struct.pack(">BBI", P_DATA, 0, 0xFFFFFFFF), "longer than agreed"),
    (pdu(0, b"\0" * 10), "no known type"),
    (pdu(8, b"\0" * 10), "no known type"),
    (pdu(0x47, b"ET / HTTP/1.1\r\n"), "no known type"),  # a lost browser
    (struct.pack(">BBI", 7, 0, 1 << 30), "too long for its type"),  # an A-ABORT of 1 GiB
    (pdu(P_DATA, struct.pack(">IBB", 0, 1, 3) + b"x" * 20), "PDV is longer"),  # an item of no length
    (pdu(P_DATA, struct.pack(">IBB", 1, 1, 3) + b"x" * 20), "PDV is longer"),  # too short for its own header
    (pdu(P_DATA, struct.pack(">IBB", 23, 1, 3) + b"x" * 20), "PDV is longer"),  # one byte more than the PDU
    (pdu(P_DATA, struct.pack(">IBB", 0xFFFFFFFF, 1, 3) + b"x" * 20), "PDV is longer"),
    (pdu(P_DATA, pdv(STORE, COMMAND) + b"\0\0\0"), "in the middle of a PDV"),
    (pdu(P_DATA, pdv(STORE, COMMAND | LAST, 7)), "not accepted"),
    (pdu(P_DATA, pdv(STORE, COMMAND | LAST, 0)), "not accepted"),
    (pdu(P_DATA, pdv(data_set(), DATA | LAST)), "without a command"),
    (pdu(P_DATA, pdv(STORE[:9], COMMAND) + pdv(STORE[9:], COMMAND | LAST, 5)), "two presentation contexts"),
    (pdu(P_DATA, pdv(bytes(16000), COMMAND)) * 5, "no credible length"),
    (first_data(STORE, COMMAND | LAST), "a data set was announced"),
    (first_data(context=5), "another presentation context"),
    (message(b"garbage"), "malformed"),
    (message(b""), "malformed"),
    (message(command({**store_elements(), 0x0100: us(0x8001), 0x0120: us(7), 0x0900: us(0)})), "response"),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "reason"), VIOLATIONS)
def test_p7_violations_end_the_association_and_leave_nothing(tmp_path: Path, stream: bytes, reason: str) -> None:
    with line(tmp_path) as peer:
        peer.near.sendall(message(STORE, data_set()))
        assert peer.status() == 0
        peer.near.sendall(stream)
        end = peer.finish()
        assert isinstance(end, ProtocolViolation)
        assert reason in str(end)
        assert peer.stored() == [data_set()]
        assert len(peer.files()) == 1


REFUSED = [
    # command, data set, status
    (store_elements(instance=""), data_set(), 0x0117),
    ({k: v for k, v in store_elements().items() if k != 0x1000}, data_set(), 0x0117),
    (store_elements(instance="1.2.x"), data_set(), 0x0117),
    (store_elements(instance="1" * 65), data_set(), 0x0117),
    ({k: v for k, v in store_elements().items() if k != 0x0002}, data_set(), 0x0122),
    (store_elements(sop_class="1.2.840.10008.5.1.4.1.2.2.1"), data_set(), 0x0122),  # a query class
    (store_elements(sop_class="../../etc"), data_set(), 0x0122),
    ({**store_elements(), 0x0800: us(0x0101)}, None, 0xC000),  # no data set
    (store_elements(), b"", 0xC000),
    (store_elements(), b"%PDF-1.4", 0xC000),
    (store_elements(), data_set("2.25.1"), 0xA900),
    (store_elements(), data_set(pixels=bytes(1 << 20)), 0xA700),  # larger than the limit
    ({**store_elements(), 0x0100: us(0x0020)}, data_set(), 0x0211),  # C-FIND
    ({**store_elements(), 0x0100: us(0x0021), 0x0800: us(0x0101)}, None, 0x0211),  # C-MOVE
    ({**store_elements(), 0x0100: us(0x0140)}, data_set(), 0x0211),  # N-CREATE
    ({**store_elements(), 0x0100: us(0x0666)}, data_set(), 0x0211),  # nothing
]


@pytest.mark.parametrize(("request_elements", "content", "status"), REFUSED)
def test_p7_unusable_instances_are_refused_and_the_association_goes_on(
    tmp_path: Path, request_elements: dict[int, bytes], content: bytes | None, status: int
) -> None:
    with line(tmp_path, max_instance=100_000) as peer:
        peer.near.sendall(message(command(request_elements), content))
        response = peer.response()
        assert struct.unpack("<H", response[0x0900])[0] == status
        assert response[0x0120] == us(7)
        assert response[0x0100] == bytes([request_elements[0x0100][0], request_elements[0x0100][1] | 0x80])
        assert peer.files() == []
        peer.near.sendall(message(STORE, data_set()))
        assert peer.status() == 0
        assert peer.stored() == [data_set()]


def test_an_instance_for_the_verification_context_is_refused(tmp_path: Path) -> None:
    with line(tmp_path) as peer:
        peer.near.sendall(message(STORE, data_set(), context=3))
        assert peer.status() == 0x0122


def test_a_cancel_is_ignored(tmp_path: Path) -> None:
    cancel = command({0x0100: us(0x0FFF), 0x0120: us(7), 0x0800: us(0x0101)})
    with line(tmp_path) as peer:
        peer.near.sendall(message(cancel) + message(STORE, data_set()))
        assert peer.status() == 0


def test_p1_no_success_without_the_ledger(tmp_path: Path) -> None:
    with line(tmp_path) as peer:
        peer.witness.ledger_works = False
        peer.near.sendall(message(STORE, data_set()))
        response = peer.response()
        assert struct.unpack("<H", response[0x0900])[0] == 0xA700
        assert response[0x0902].decode().strip() == "the gateway cannot store instances at present"
        assert peer.files() == []  # what was refused is not processed later
        peer.witness.ledger_works = True
        peer.near.sendall(message(STORE, data_set()))
        assert peer.status() == 0
    assert peer.witness.events == [("failed", "any", 0xA700, "ledger-unavailable"), ("stored", "any")]


def test_p1_an_unforeseen_error_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with line(tmp_path) as peer:
        monkeypatch.setattr(peer.witness, "rows", None)  # recording raises AttributeError
        peer.near.sendall(message(STORE, data_set()))
        assert peer.status() == 0xA700
        assert peer.files() == []


def test_p5_a_full_disk_is_told_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with line(tmp_path) as peer:
        with monkeypatch.context() as patch:
            patch.setattr("gateway.spool.disk.free_bytes", lambda root: -1)
            peer.near.sendall(message(STORE, data_set()))
            response = peer.response()
            assert struct.unpack("<H", response[0x0900])[0] == 0xA700
            assert response[0x0902] == b"the gateway's disk is full"
        peer.near.sendall(message(STORE, data_set()))
        assert peer.status() == 0
        assert len(peer.files()) == 1


@pytest.mark.parametrize(
    "cut",
    [
        1,  # in the first PDU's header
        100,  # in the command
        len(message(STORE)) + 3,  # in the header of the data set's PDU
        len(message(STORE)) + 100,  # in the data set
        len(message(STORE, data_set())) - 1,  # before its last byte
    ],
)
def test_p1_a_broken_connection_leaves_nothing(tmp_path: Path, cut: int) -> None:
    with line(tmp_path) as peer:
        peer.near.sendall(message(STORE, data_set())[:cut])
        peer.near.shutdown(socket.SHUT_WR)
        assert peer.finish() is End.DISCONNECTED
        assert peer.files() == []
        assert peer.witness.rows == []
    lost = cut >= len(message(STORE))
    assert peer.witness.events == ([("failed", "any", 0, "association-ended")] if lost else [])


def test_an_abort_in_the_middle_of_a_data_set_leaves_nothing(tmp_path: Path) -> None:
    with line(tmp_path) as peer:
        peer.near.sendall(first_data(data_set()[:100]) + ABORT)
        assert peer.finish() == ABORT
        assert peer.files() == []
        assert (peer.transfer.succeeded, peer.transfer.failed) == (0, 1)


def test_a_socket_that_is_closed_under_a_data_set_leaves_nothing(tmp_path: Path) -> None:
    with line(tmp_path) as peer:
        peer.near.sendall(first_data(data_set()[:100]))
        while not peer.files():
            pass
        peer.cut()
        assert peer.finish() is End.DISCONNECTED
        assert peer.files() == []
        assert (peer.transfer.succeeded, peer.transfer.failed) == (0, 1)


def test_silence_times_out(tmp_path: Path) -> None:
    with line(tmp_path, timeout=0.2) as peer:
        peer.near.sendall(first_data(data_set()[:100]))
        assert peer.finish() is End.TIMED_OUT
        assert peer.files() == []


@pytest.mark.parametrize(
    ("stream", "end"),
    [
        (b"", End.IDLE),
        (message(ECHO, context=3), End.IDLE),  # between messages
        (message(STORE)[:3], End.TIMED_OUT),  # in the header of a PDU
        (message(STORE)[:20], End.TIMED_OUT),
        (message(STORE), End.TIMED_OUT),  # a data set was announced
    ],
)
@pytest.mark.parametrize("patience", [{"timeout": 0.2, "idle": 30}, {"timeout": 30, "idle": 0.2}])
def test_p7_silence_within_messages_and_between_them(
    tmp_path: Path, stream: bytes, end: End, patience: dict[str, float]
) -> None:
    is_short = patience["timeout" if end is End.TIMED_OUT else "idle"] < 1
    with line(tmp_path, **patience) as peer:  # type: ignore[arg-type]
        peer.near.sendall(stream)
        if is_short:
            assert peer.finish() is end
        else:
            threading.Event().wait(0.5)  # the other patience is at its end by then
            assert peer.end is None


def test_p7_trickling_times_out(tmp_path: Path) -> None:
    with line(tmp_path, timeout=0.5) as peer:
        peer.near.sendall(message(STORE) + struct.pack(">BBIIBB", P_DATA, 0, 16006, 16002, 1, 2))
        ticker = threading.Event()
        while peer.end is None:
            peer.near.send(b"x")
            ticker.wait(0.1)  # always sooner than the time-out
        assert peer.finish() is End.TIMED_OUT
        assert peer.files() == []


class TestStop:
    def test_an_idle_association_ends_at_once(self, tmp_path: Path) -> None:
        with line(tmp_path) as peer:
            peer.near.sendall(message(ECHO, context=3))
            peer.response()
            peer.transfer.stop()
            assert peer.finish() is End.STOPPED

    def test_a_message_under_way_comes_to_its_answer(self, tmp_path: Path) -> None:
        whole = message(STORE, data_set())
        with line(tmp_path) as peer:
            peer.near.sendall(whole[:200])
            while not peer.transfer.busy:
                pass
            peer.transfer.stop()
            peer.near.sendall(whole[200:])
            assert peer.status() == 0
            assert peer.finish() is End.STOPPED
            assert peer.stored() == [data_set()]
