"""A DICOM peer made of bytes, for what no proper sender would do, and a receiver to try it on."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Self

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

from gateway.association.acceptor import Capacity
from gateway.association.transfer import TransferSettings
from gateway.errors import LedgerUnavailable
from gateway.ledger.records import Received
from gateway.receive import Receiver, ReceiverSettings, Source
from gateway.spool import Durability, Spool

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
INSTANCE = "2.25.4711"

COMMAND, DATA = 1, 0
LAST = 2

A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA, A_RELEASE_RP, A_ABORT = 2, 3, 4, 6, 7
RELEASE_RQ = struct.pack(">BBII", 5, 0, 4, 0)
ABORT = struct.pack(">BBII", 7, 0, 4, 0)


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def pdv(fragment: bytes, control: int, context: int = 1) -> bytes:
    return struct.pack(">IBB", len(fragment) + 2, context, control) + fragment


def message(command: bytes, data_set: bytes | None = None, *, context: int = 1, size: int = 16000) -> bytes:
    """One command and its data set in PDUs of one PDV with ``size`` bytes."""
    parts = []
    for content, kind in ((command, COMMAND), (data_set, DATA)):
        if content is None:
            continue
        for start in range(0, max(len(content), 1), size):
            last = LAST if start + size >= len(content) else 0
            parts.append(pdu(P_DATA, pdv(content[start : start + size], kind | last, context)))
    return b"".join(parts)


def command(elements: dict[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in sorted(elements.items()))
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def us(number: int) -> bytes:
    return struct.pack("<H", number)


def ui(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def store_elements(sop_class: str = CT, instance: str = INSTANCE, message_id: int = 7) -> dict[int, bytes]:
    return {
        0x0002: ui(sop_class),
        0x0100: us(0x0001),
        0x0110: us(message_id),
        0x0700: us(0),
        0x0800: us(1),
        0x1000: ui(instance),
    }


def data_set(instance: str = INSTANCE, *, sop_class: str = CT, pixels: bytes = bytes(100)) -> bytes:
    """Explicit VR little endian."""
    return b"".join(
        (
            struct.pack("<HH2sH", 8, 0x16, b"UI", len(ui(sop_class))) + ui(sop_class),
            struct.pack("<HH2sH", 8, 0x18, b"UI", len(ui(instance))) + ui(instance),
            struct.pack("<HH2sH", 0x10, 0x10, b"PN", 4) + b"A^B ",
            struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, len(pixels)) + pixels,
        )
    )


def associate_rq(
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    calling: str = "PEER",
    called: str = "GATEWAY",
    application: str = "1.2.840.10008.3.1.1.1",
    max_pdu: int = 16384,
) -> bytes:
    request = A_ASSOCIATE()
    request.application_context_name = application
    request.calling_ae_title = calling
    request.called_ae_title = called
    definitions = []
    for number, (abstract, syntaxes) in enumerate(contexts):
        context = build_context(abstract, list(syntaxes))
        context.context_id = 2 * number + 1
        definitions.append(context)
    request.presentation_context_definition_list = definitions
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "2.25.1"
    request.user_information = [length, implementation]
    encoded = A_ASSOCIATE_RQ()
    encoded.from_primitive(request)
    return bytes(encoded.encode())


class RawPeer:
    """A connection to a receiver."""

    def __init__(self, port: int, *, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def associate(self, contexts: Sequence[tuple[str, Sequence[str]]] = ((CT, (EXPLICIT,)),), **more: object) -> bytes:
        """Request an association; the body of the A-ASSOCIATE-AC."""
        self.socket.sendall(associate_rq(contexts, **more))  # type: ignore[arg-type]
        kind, body = self.read()
        assert kind == A_ASSOCIATE_AC, (kind, body)
        return body

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def read(self) -> tuple[int, bytes]:
        """The next PDU; ``(0, b"")`` when the connection was closed."""
        head = self._exactly(6)
        if len(head) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxI", head)
        return kind, self._exactly(length)

    def response(self) -> dict[int, bytes]:
        """The next command set, by element number."""
        encoded = b""
        while True:
            kind, body = self.read()
            assert kind == P_DATA, (kind, body)
            length, control = struct.unpack(">IxB", body[:6])
            assert length == len(body) - 4
            encoded += body[6:]
            if control == COMMAND | LAST:
                break
        return elements(encoded)

    def status(self) -> int:
        return int(struct.unpack("<H", self.response()[0x0900])[0])

    def store(self, content: bytes, *, instance: str = INSTANCE, sop_class: str = CT, size: int = 16000) -> int:
        """C-STORE ``content``; the status."""
        self.send(message(command(store_elements(sop_class, instance)), content, size=size))
        return self.status()

    def release(self) -> None:
        self.send(RELEASE_RQ)
        assert self.read()[0] == A_RELEASE_RP

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                break
            data += part
        return data


def elements(encoded: bytes) -> dict[int, bytes]:
    found, pos = {}, 0
    while pos < len(encoded):
        _, number, length = struct.unpack_from("<HHI", encoded, pos)
        found[number] = encoded[pos + 8 : pos + 8 + length]
        pos += 8 + length
    assert struct.unpack("<I", found.pop(0))[0] == len(encoded) - 12
    return found


class Witness:
    """Records what a receiver tells; as ledger and as observer."""

    def __init__(self) -> None:
        self.rows: list[Received] = []
        self.events: list[tuple[object, ...]] = []
        self.ledger_works = True
        self.changed = threading.Condition()

    def record(self, received: Received) -> None:
        if not self.ledger_works:
            raise LedgerUnavailable(operation="record", reason="it is locked")
        self.rows.append(received)

    def associated(self, source: str) -> None:
        self._note("associated", source)

    def closed(self, source: str) -> None:
        self._note("closed", source)

    def refused(self, reason: str) -> None:
        self._note("refused", reason)

    def echoed(self, source: str) -> None:
        self._note("echoed", source)

    def stored(self, source: str, size: int, seconds: float) -> None:
        assert size > 0
        assert seconds > 0
        self._note("stored", source)

    def failed(self, source: str, status: int, reason: str) -> None:
        self._note("failed", source, status, reason)

    def wait_for(self, *event: object) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: event in self.events, timeout=60), (event, self.events)

    def _note(self, *event: object) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()


@contextmanager
def receiving(
    root: Path,
    *,
    sources: Sequence[Source] = (),
    durability: Durability = Durability.FULL,
    reserve_bytes: int = 0,
    **settings: object,
) -> Iterator[tuple[Receiver, Spool, Witness]]:
    """A running receiver on a free port of the loopback interface.

    Settings of ``Capacity`` and ``TransferSettings`` may stand among those of ``ReceiverSettings``.
    """
    for name, kind in (("capacity", Capacity), ("transfer", TransferSettings)):
        names = {one.name for one in fields(kind)} & settings.keys()
        settings[name] = kind(**{one: settings.pop(one) for one in names})  # type: ignore[arg-type]
    spool = Spool(root, durability=durability, reserve_bytes=reserve_bytes)
    witness = Witness()
    receiver = Receiver(
        ReceiverSettings(host="127.0.0.1", port=0, **settings),  # type: ignore[arg-type]
        spool=spool,
        record=witness.record,
        observer=witness,
        sources=sources,
    )
    receiver.start()
    try:
        yield receiver, spool, witness
    finally:
        receiver.stop(grace_seconds=20)
