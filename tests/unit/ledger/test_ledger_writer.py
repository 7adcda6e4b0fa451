from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import Ledger, LedgerWriter, Received
from tests.unit.ledger.build import received


class Gate:
    """A ledger that commits when it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[Received]] = []
        self.entered = Event()
        self.open = Event()
        self.error: BaseException | None = None

    def record_received(self, group: Sequence[Received], /) -> list[int]:
        self.entered.set()
        self.open.wait()
        self.groups.append(list(group))
        if self.error:
            raise self.error
        return [each.crc32 for each in group]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as opened:
        yield opened


def test_p1_the_future_is_done_when_the_row_is_there(ledger: Ledger) -> None:
    with LedgerWriter(ledger) as writer:
        number = writer.submit(received(1)).result()
        assert [entry.after for entry in ledger.history(number)] == ["received"]


def test_threads_get_their_own_ids(ledger: Ledger) -> None:
    with LedgerWriter(ledger, max_group=7) as writer, ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: writer.submit(received(number)).result(), range(200)))
    claimed = {each.instance_id: each.spool_name for each in ledger.claim_received("w", limit=999, lease_seconds=9)}
    assert claimed == {ids[number]: received(number).spool_name for number in range(200)}


def test_what_gathers_during_a_commit_shares_the_next() -> None:
    gate = Gate()
    with LedgerWriter(gate, max_group=4) as writer:
        first = writer.submit(received(0))
        gate.entered.wait()
        others = [writer.submit(received(number)) for number in range(1, 7)]
        assert not first.done()
        gate.open.set()
        assert [future.result() for future in (first, *others)] == list(range(7))
    assert [len(group) for group in gate.groups] == [1, 4, 2]


def test_an_error_reaches_everyone_who_waits_and_the_writer_lives_on() -> None:
    gate = Gate()
    gate.error = LedgerUnavailable(operation="record instances", reason="SQLITE_FULL")
    with LedgerWriter(gate) as writer:
        futures = [writer.submit(received(number)) for number in range(3)]
        gate.open.set()
        for future in futures:
            with pytest.raises(LedgerUnavailable, match="SQLITE_FULL"):
                future.result()
        gate.error = None
        assert writer.submit(received(9)).result() == 9


def test_stop_records_what_was_submitted_and_takes_no_more() -> None:
    gate = Gate()
    writer = LedgerWriter(gate, max_group=2)
    futures = [writer.submit(received(number)) for number in range(9)]
    gate.open.set()
    writer.stop()
    assert [future.result(timeout=0) for future in futures] == list(range(9))
    with pytest.raises(LedgerUnavailable, match="stopped"):
        writer.submit(received(10))
    writer.stop()


def test_what_is_cancelled_in_time_is_not_recorded() -> None:
    gate = Gate()
    with LedgerWriter(gate) as writer:
        first = writer.submit(received(0))
        gate.entered.wait()
        second, third = writer.submit(received(1)), writer.submit(received(2))
        assert second.cancel()
        gate.open.set()
        assert (first.result(), third.result()) == (0, 2)
        with pytest.raises(CancelledError):
            second.result()
    assert [each.crc32 for group in gate.groups for each in group] == [0, 2]
