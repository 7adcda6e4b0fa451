from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import MOST_WAITING, Ledger, LedgerWriter, Received
from tests.fixtures.ledgers import new_ledger
from tests.fixtures.ports import wait_until
from tests.unit.ledger.build import received


class Gate:
    """A ledger that commits when it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[Received]] = []
        self.entered = Event()
        self.open = Event()
        self.error: BaseException | None = None

    def record(self, group: Sequence[Received], /) -> list[int]:
        self.entered.set()
        self.open.wait()
        if self.error:
            raise self.error
        self.groups.append(list(group))
        return [each.crc32 for each in group]

    @property
    def recorded(self) -> list[int]:
        return [each.crc32 for group in self.groups for each in group]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened


def test_what_many_threads_hand_in_is_recorded(ledger: Ledger) -> None:
    with LedgerWriter(ledger.instances, max_group=7) as writer, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: writer.record(received(number)), range(200)))
    claimed = ledger.instances.claim("w", limit=999, lease_seconds=9)
    assert {each.spool_name for each in claimed} == {received(number).spool_name for number in range(200)}
    assert [entry.after for entry in ledger.history.of(claimed[0].instance_id)] == ["received"]


def test_what_gathers_during_a_commit_shares_the_next() -> None:
    gate = Gate()
    with LedgerWriter(gate, max_group=4, gather_seconds=0) as writer:
        writer.record(received(0))
        gate.entered.wait()
        for number in range(1, 7):
            writer.record(received(number))
        gate.open.set()
    assert gate.recorded == list(range(7))
    assert [len(group) for group in gate.groups] == [1, 4, 2]


def test_large_ones_need_not_gather_long() -> None:
    gate = Gate()
    gate.open.set()
    with LedgerWriter(gate, gather_seconds=3600) as writer:
        for number in range(3):
            writer.record(received(number, size=15 << 20))
        wait_until(lambda: gate.recorded == [0, 1, 2], what="they are recorded")
        writer.record(received(3))
        assert gate.recorded == [0, 1, 2]
    assert gate.recorded == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [LedgerUnavailable(operation="record instances", reason="SQLITE_FULL"), OSError()])
def test_p1_a_ledger_that_fails_loses_nothing_and_takes_no_more(error: Exception) -> None:
    gate = Gate()
    gate.error = error
    gate.open.set()
    with LedgerWriter(gate) as writer:
        writer.record(received(0))
        gate.entered.wait()

        def refused() -> bool:
            try:
                writer.record(received(9))
            except LedgerUnavailable:
                return True
            return False

        wait_until(refused, what="more is refused")
        gate.error = None
        wait_until(lambda: not refused(), what="it takes records again")
    assert gate.recorded[0] == 0
    assert gate.recorded[-1] == 9


def test_no_more_wait_than_are_looked_at_after_a_crash() -> None:
    gate = Gate()
    with LedgerWriter(gate) as writer:
        for number in range(MOST_WAITING):
            writer.record(received(number))
        with pytest.raises(LedgerUnavailable, match="too many"):
            writer.record(received(MOST_WAITING))
        gate.open.set()
    assert gate.recorded == list(range(MOST_WAITING))


def test_stop_records_what_was_handed_in_and_takes_no_more() -> None:
    gate = Gate()
    writer = LedgerWriter(gate, max_group=2)
    for number in range(9):
        writer.record(received(number))
    gate.open.set()
    assert writer.stop() == []
    assert gate.recorded == list(range(9))
    with pytest.raises(LedgerUnavailable, match="stopped"):
        writer.record(received(10))
    assert writer.stop() == []


def test_stop_tells_what_a_failing_ledger_did_not_take() -> None:
    gate = Gate()
    gate.error = LedgerUnavailable(operation="record instances", reason="SQLITE_BUSY")
    gate.open.set()
    writer = LedgerWriter(gate)
    writer.record(received(3))
    assert writer.stop() == [received(3)]
