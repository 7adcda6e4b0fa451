"""Clocks that jump: no instance is lost, none is delivered unfinished, nothing unconfirmed is purged.

The jumps are moments given to the ledger, which takes the present from nowhere else when it is told one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.dicom.file_meta import FileMeta
from gateway.ledger import InstanceState, Ledger
from gateway.receive import received_of
from gateway.service.housekeeping import Housekeeping
from gateway.spool import Spool
from gateway.spool.ulid import UlidSource
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import START, at, claim, deidentified, finish, outcome, received, state_of, take

YEAR = 365 * 86400.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_worker_s_result_counts_across_a_jump(ledger: Ledger, jump: float) -> None:
    ledger.instances.record([received(1)], now=START)
    (claimed,) = claim(ledger)
    (done,) = ledger.instances.finish("worker", [deidentified(claimed.instance_id)], now=at(jump))
    assert done.state is InstanceState.DEIDENTIFIED
    assert [each.instance_id for each in take(ledger, seconds=max(jump, 0))] == [claimed.instance_id]
    assert ledger.accounts.draw().balanced


def test_a_jump_forward_ends_leases_and_the_late_result_is_discarded(ledger: Ledger) -> None:
    ledger.instances.record([received(1)], now=START)
    (claimed,) = claim(ledger)
    (again,) = claim(ledger, owner="other", seconds=YEAR)
    assert again.instance_id == claimed.instance_id
    assert ledger.instances.finish("worker", [deidentified(claimed.instance_id)], now=at(YEAR))[0].lost
    assert not ledger.instances.finish("other", [deidentified(claimed.instance_id)], now=at(YEAR))[0].lost
    assert ledger.accounts.draw().balanced


def test_a_jump_back_delays_what_was_leased_and_nothing_else(ledger: Ledger) -> None:
    ledger.instances.record([received(1)], now=at(YEAR))
    (claimed,) = claim(ledger, seconds=YEAR)
    assert claim(ledger, owner="other") == []
    # The supervisor releases the leases of a process that died, whatever the clock says.
    ledger.deliveries.release("worker", crashed=True, now=START)
    assert [each.instance_id for each in claim(ledger, owner="other")] == [claimed.instance_id]


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_p3_a_jump_purges_nothing_that_is_not_confirmed(tmp_path: Path, ledger: Ledger, jump: float) -> None:
    spool = Spool(tmp_path / "spool")
    for number in range(2):
        meta = FileMeta(
            transfer_syntax="1.2.840.10008.1.2.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=f"2.25.{number + 1}",
            source_ae="CT1",
            receiving_ae="GATEWAY",
        )
        with spool.incoming(meta) as incoming:
            incoming.write([b"data"])
            record = incoming.commit(source="any", peer_address="")
        ledger.instances.record([received_of(record)], now=START)
    waiting, done = claim(ledger, seconds=2 * YEAR)
    finish(ledger, deidentified(waiting.instance_id, destinations=("backup",)), deidentified(done.instance_id))
    (sent,) = take(ledger, seconds=0)
    ledger.deliveries.record("deliverer", [outcome(sent.delivery_id)], now=START)
    Housekeeping(spool, ledger, retention_seconds=7 * 86400).purge(START + timedelta(seconds=jump))
    assert spool.path(waiting.spool_name).exists()
    assert state_of(ledger, done.instance_id) == ("purged" if jump > 0 else "delivered")
    assert ledger.accounts.draw().balanced


def test_spool_names_ascend_when_the_clock_jumps_back() -> None:
    """The order of names is the order of reception, by which rows are rebuilt."""
    source = UlidSource()
    moments = [10**18, 10**18 - 86_400 * 10**9, 10**18 + 1]
    names = [source.next(moment) for moment in moments]
    assert names == sorted(names)
    assert len(set(names)) == len(names)


def test_after_a_jump_back_nothing_waits_for_as_long_as_the_jump(ledger: Ledger) -> None:
    ledger.instances.record([received(number) for number in range(2)], now=at(YEAR))
    leased, done = claim(ledger, seconds=YEAR)
    finish(ledger, deidentified(done.instance_id))
    (failed,) = take(ledger, seconds=YEAR)
    result = outcome(failed.delivery_id, "failed", due=YEAR + 60)
    ledger.deliveries.record("deliverer", [result], now=at(YEAR))
    assert claim(ledger, owner="other", seconds=3600) == []
    assert take(ledger, seconds=3600) == []
    assert ledger.corrections.cap_waits(3600, now=START) == 2
    assert ledger.corrections.cap_waits(3600, now=START) == 0
    assert [one.instance_id for one in claim(ledger, owner="other", seconds=3600)] == [leased.instance_id]
    assert [one.delivery_id for one in take(ledger, seconds=3600)] == [failed.delivery_id]
