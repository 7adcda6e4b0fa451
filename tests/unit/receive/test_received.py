"""What the ledger is told of a spool file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.association.acceptor import Caller
from gateway.association.command_set import C_STORE_RQ, Command
from gateway.association.transfer import AcceptedContext
from gateway.dicom.file_meta import FileMeta
from gateway.dicom.identifiers import WINDOW
from gateway.ledger.records import KnownBy, Received
from gateway.receive import received_of
from gateway.receive.observer import NullObserver
from gateway.receive.store import Store, StoreService
from gateway.spool import Durability, Spool, SpoolRecord
from tests.integration.raw_peer import CT, EXPLICIT, INSTANCE, data_set


def test_the_row_of_a_spool_file() -> None:
    meta = FileMeta(
        transfer_syntax="1.2.840.10008.1.2.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="2.25.1",
        source_ae="CT1",
        receiving_ae="GATEWAY",
    )
    record = SpoolRecord(
        name="spool-name",
        offset=400,
        length=1000,
        crc32=4711,
        received_at_ns=1_790_000_000_123_456_789,
        peer_address="192.0.2.7",
        source="ward",
        meta=meta,
        association=12,
    )
    row = received_of(record)
    # As exact as a database is.
    assert row.received_at == datetime(2026, 9, 21, 14, 13, 20, 123456, tzinfo=UTC)
    assert (row.spool_name, row.size, row.crc32) == ("spool-name", 1400, 4711)
    assert (row.source, row.calling_ae, row.called_ae, row.peer_address) == ("ward", "CT1", "GATEWAY", "192.0.2.7")
    assert (row.sop_class_uid, row.transfer_syntax) == (meta.sop_class_uid, meta.transfer_syntax)
    assert row.association == 12


@pytest.mark.parametrize(
    "length",
    [
        200,  # a data set that is shorter than what is looked at before its receipt
        6_000,  # longer than that, and shorter than what tokens are made of
        40_000,  # longer than either
    ],
)
@pytest.mark.parametrize("span", [7, 5_000, 1 << 20])
def test_tokens_are_made_of_the_first_bytes(tmp_path: Path, length: int, span: int) -> None:
    content = data_set(pixels=bytes(range(250)) * (length // 250))
    seen: list[bytes] = []
    rows: list[Received] = []

    def known_by(record: SpoolRecord, head: bytes) -> KnownBy:
        assert record.length == len(content)
        seen.append(head)
        return KnownBy(instance=1)

    service = StoreService(
        spool=Spool(tmp_path / "spool", durability=Durability.NONE),
        record=rows.append,
        observer=NullObserver(),
        max_instance_bytes=1 << 20,
        accept_unknown=False,
        known_by=known_by,
    )
    caller = Caller(source="any", calling_ae="PEER", called_ae="GATEWAY", address="127.0.0.1")
    store = Store(
        service,
        caller=caller,
        context=AcceptedContext(CT, EXPLICIT),
        command=Command(C_STORE_RQ, 1, True, CT.encode(), INSTANCE.encode()),
    )
    for start in range(0, len(content), span):
        store.write([memoryview(content)[start : start + span]])
    assert store.finish() == (0, "")
    assert seen == [content[:WINDOW]]
    assert [row.known_by for row in rows] == [KnownBy(instance=1)]
