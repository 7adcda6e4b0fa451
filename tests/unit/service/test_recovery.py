"""What a receiver that died had acknowledged is in the ledger when the next one has started (promises P1, P3)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.custody.original_tokens import Originals
from gateway.dicom.file_meta import FileMeta
from gateway.errors import SpoolUnavailable
from gateway.receive import received_of
from gateway.service.housekeeping import Housekeeping
from gateway.service.recovery import record_newest, recover
from gateway.spool import Durability, Spool, SpoolRecord
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import rejected

SECRET = bytes(range(32))
META = FileMeta(
    transfer_syntax="1.2.840.10008.1.2.1",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    sop_instance_uid="2.25.4711",
    source_ae="CT",
    receiving_ae="GATEWAY",
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", durability=Durability.NONE)


def received(spool: Spool, count: int) -> list[SpoolRecord]:
    records = []
    for _ in range(count):
        with spool.incoming(META) as incoming:
            incoming.write([b"data set"])
            records.append(incoming.commit(source="ct", peer_address="127.0.0.1"))
    return records


def test_rows_that_a_dead_receiver_did_not_come_to(spool: Spool, tmp_path: Path) -> None:
    records = received(spool, 5)
    unfinished = spool.incoming(META)
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        ledger.instances.record([received_of(record) for record in records[:3]])
        [claimed, *_] = ledger.instances.claim("worker", limit=1, lease_seconds=60)
        originals = Originals(spool, ledger, SECRET)
        record_newest(spool, originals)
        record_newest(spool, originals)
        assert sorted(ledger.instances.known_spool_names()) == [record.name for record in records]
        # What had a row stays as it is: the worker still has it.
        assert ledger.instances.renew("worker", [claimed.instance_id], 60) == [claimed.instance_id]
    unfinished.abort()


def test_what_is_purged_while_it_is_looked_at_is_passed_over(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = (record.name for record in received(spool, 2))
    names = spool.names

    def listed(*, newest_first: bool = False) -> Iterator[str]:
        yield from list(names(newest_first=newest_first))
        spool.remove(gone)

    monkeypatch.setattr(spool, "names", listed)
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        record_newest(spool, Originals(spool, ledger, SECRET))
        assert list(ledger.instances.known_spool_names()) == [kept]


@pytest.mark.parametrize("content", [b"", b"no record", b"\0" * 4096], ids=["empty", "short", "zeros"])
def test_what_is_damaged_while_it_is_looked_at_gets_a_row(spool: Spool, tmp_path: Path, content: bytes) -> None:
    """Promise P3: it may have been acknowledged."""
    damaged, kept = (record.name for record in received(spool, 2))
    names = list(spool.names())
    spool.path(damaged).write_bytes(content)
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        assert Originals(spool, ledger, SECRET).rebuild(names) == len(names)
        assert sorted(ledger.instances.known_spool_names()) == sorted([damaged, kept])


def test_files_that_the_ledger_gave_up_are_removed_later(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next housekeeping if the disk failed, by the next start if the gateway ended."""
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        ledger.instances.record([received_of(record) for record in received(spool, 4)])
        claims = ledger.instances.claim("worker", limit=3, lease_seconds=60)
        ledger.instances.finish("worker", [rejected(claim.instance_id) for claim in claims])
        later = datetime.now(UTC) + timedelta(seconds=5)
        housekeeping = Housekeeping(spool, ledger, retention_seconds=1)
        remove, removed = spool.remove, list[str]()

        def fails(name: str) -> None:
            if removed:
                raise SpoolUnavailable(operation="remove", name=name, reason="the disk is gone")
            removed.append(name)
            remove(name)

        monkeypatch.setattr(spool, "remove", fails)
        with pytest.raises(SpoolUnavailable):
            housekeeping.purge(later)
        assert len(list(spool.names())) == 3
        removed.clear()
        with pytest.raises(SpoolUnavailable):
            housekeeping.purge(later)
        assert len(list(spool.names())) == 2
        monkeypatch.setattr(spool, "remove", remove)
        assert recover(spool, ledger, Originals(spool, ledger, SECRET)).purged == 1
        (left,) = spool.names()
        assert left not in {claim.spool_name for claim in claims}
        assert housekeeping.purge(later) == 0
        assert ledger.accounts.draw().balanced
