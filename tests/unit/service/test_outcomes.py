"""The recorder: outcomes of all connections by few transactions, soon, and in spite of what the ledger refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import DeliveryClaim, DeliveryResult, DeliveryState, Recorded
from gateway.metrics import Metrics
from gateway.service import outcomes as module
from gateway.service.outcomes import Endings, OutcomeRecorder
from tests.unit.ledger.build import START


class DeliveryQueue:
    """What the recorder needs of one."""

    def __init__(self) -> None:
        self.more_to_come = True
        self.waiting = 0
        self.settled: list[int] = []

    def done(self, count: int) -> None:
        self.waiting += count

    @contextmanager
    def settling(self, ids: Collection[int]) -> Iterator[None]:
        yield
        self.settled += ids


class Deliveries:
    """Keeps what it is told, unless it fails for one of the deliveries or as often as it is to."""

    def __init__(self) -> None:
        self.transactions: list[list[int]] = []
        self.never: set[int] = set()
        self.fails = 0
        self.failed = threading.Event()

    def record(self, owner: str, results: Sequence[DeliveryResult]) -> Recorded:
        assert owner == "node"
        ids = [result.delivery_id for result in results]
        if self.fails or self.never & set(ids):
            self.fails = max(0, self.fails - 1)
            self.failed.set()
            raise LedgerUnavailable(operation="record outcomes", reason="it is away")
        self.transactions.append(ids)
        return Recorded()


def batch(*ids: int) -> Endings:
    return [(claim(number), DeliveryResult(delivery_id=number, state="confirmed")) for number in ids]


def claim(number: int) -> DeliveryClaim:
    return DeliveryClaim(
        delivery_id=number, instance_id=number, spool_name="", destination="archive", state=DeliveryState.PENDING,
        attempts=1, received_at=START, patient_id="", study_uid="", series_uid="", sop_uid="", sop_class_uid="",
        transfer_syntax="", size=1, project="", content_key="", profile="", profile_digest="", actions={},
    )  # fmt: skip


class Bench:
    def __init__(self) -> None:
        self.deliveries, self.queue = Deliveries(), DeliveryQueue()
        self.recorder = OutcomeRecorder(self.deliveries, self.queue, owner="node", name="archive", metrics=Metrics())  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self.recorder.run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.recorder.stop()
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    # Nobody gathers for so long: what comes sooner does not come because the time is over.
    monkeypatch.setattr(module, "_GATHER_SECONDS", 600.0)
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    bench = Bench()
    yield bench
    bench.stop()


def eventually(condition: Callable[[], object]) -> None:
    tick = threading.Event()
    for _ in range(1000):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it does not come to that")


def test_batches_of_several_connections_share_a_transaction_when_stopped(bench: Bench) -> None:
    for endings in (batch(1, 2), batch(), batch(3)):
        bench.recorder.settle(endings)
    bench.stop()
    assert bench.deliveries.transactions == [[1, 2, 3]]
    assert (bench.queue.settled, bench.queue.waiting) == ([1, 2, 3], 3)


@pytest.mark.parametrize("reason", ["nothing more to come", "told that nothing comes", "enough", "time"])
def test_what_ends_the_gathering(bench: Bench, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    if reason == "time":
        monkeypatch.setattr(module, "_GATHER_SECONDS", 0.05)
    ids = range(1, 202) if reason == "enough" else range(1, 2)
    bench.queue.more_to_come = reason != "nothing more to come"
    bench.start()
    bench.recorder.settle(batch(*ids))
    if reason == "told that nothing comes":
        bench.recorder.hurry()
    eventually(lambda: bench.queue.settled == list(ids))


def test_a_hurry_without_anything_to_settle_hurries_nothing_later(bench: Bench) -> None:
    bench.recorder.hurry()
    bench.start()
    bench.recorder.settle(batch(1))
    assert not threading.Event().wait(0.1)
    assert bench.deliveries.transactions == []


def test_a_transaction_is_not_of_everything_that_waits(bench: Bench) -> None:
    for first in (1, 101, 201):
        bench.recorder.settle(batch(*range(first, first + 100)))
    bench.stop()
    assert [len(ids) for ids in bench.deliveries.transactions] == [200, 100]


def test_what_the_ledger_does_not_take_is_told_again(bench: Bench) -> None:
    bench.deliveries.fails = 5
    bench.queue.more_to_come = False
    bench.start()
    bench.recorder.settle(batch(1, 2))
    eventually(lambda: bench.queue.settled == [1, 2])
    assert bench.deliveries.transactions == [[1, 2]]


def test_what_the_ledger_never_takes_keeps_nothing_else_waiting(bench: Bench) -> None:
    bench.deliveries.never = {2}
    bench.queue.more_to_come = False
    for number in (1, 2, 3):
        bench.recorder.settle(batch(number))
    bench.start()
    eventually(lambda: sorted(bench.queue.settled) == [1, 3])
    bench.recorder.settle(batch(4))
    eventually(lambda: sorted(bench.queue.settled) == [1, 3, 4])


def test_it_stops_without_the_ledger(bench: Bench) -> None:
    bench.deliveries.fails = 10**9
    bench.queue.more_to_come = False
    bench.start()
    bench.recorder.settle(batch(1))
    assert bench.deliveries.failed.wait(10)
    bench.stop()
    assert bench.queue.settled == []
