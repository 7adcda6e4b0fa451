"""What the ledger is told of a spool file."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.dicom.file_meta import FileMeta
from gateway.receive import received_of
from gateway.spool import SpoolRecord


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
