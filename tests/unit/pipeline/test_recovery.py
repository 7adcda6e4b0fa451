"""What a receiver that died had acknowledged is in the ledger when the next one has started (promises P1, P3)."""

from pathlib import Path

from gateway.dicom.file_meta import FileMeta
from gateway.ledger import Ledger
from gateway.pipeline.originals import Originals
from gateway.pipeline.recovery import record_newest
from gateway.receive import received_of
from gateway.spool import Durability, Spool

SECRET = bytes(range(32))
META = FileMeta(
    transfer_syntax="1.2.840.10008.1.2.1",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    sop_instance_uid="2.25.4711",
    source_ae="CT",
    receiving_ae="GATEWAY",
)


def test_rows_that_a_dead_receiver_did_not_come_to(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", durability=Durability.NONE)
    records = []
    for _ in range(5):
        with spool.incoming(META) as incoming:
            incoming.write([b"data set"])
            records.append(incoming.commit(source="ct", peer_address="127.0.0.1"))
    unfinished = spool.incoming(META)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        ledger.record_received([received_of(record) for record in records[:3]])
        [claimed, *_] = ledger.claim_received("worker", limit=1, lease_seconds=60)
        originals = Originals(spool, ledger, SECRET)
        record_newest(spool, originals)
        record_newest(spool, originals)
        assert sorted(ledger.known_spool_names()) == [record.name for record in records]
        # What had a row stays as it is: the worker still has it.
        assert ledger.renew("worker", [claimed.instance_id], 60) == [claimed.instance_id]
    unfinished.abort()
