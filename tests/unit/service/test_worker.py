"""The worker: an instance that lacks something keeps no other one waiting (promise P5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.custody.secret import project_secret
from gateway.errors import LedgerUnavailable, SpoolFull, TransientError
from gateway.ledger import ClaimedInstance, InstanceState, Ledger, Result
from gateway.metrics import Metrics
from gateway.pixels.review import Review
from gateway.service.process import Child
from gateway.service.worker import Worker
from gateway.settings.configuration import Settings
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import held, received

FULL = SpoolFull(operation="write", name="a work file", free=1, reserve=0)


class Bench:
    """A worker on a ledger of its own; treating an instance holds it, or fails as the test says."""

    def __init__(self, folder: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ledger = ledger
        #: Instance -> what treating it raises.
        self.failing: dict[int, TransientError] = {}
        self.tried: list[int] = []
        #: How many were finished before each was tried.
        self.finished: list[int] = []
        settings = Settings.model_validate({"data": folder / "data"})
        (folder / "data").mkdir()
        project_secret(settings, "default", create=True)
        stopping = threading.Event()
        child = Child("deidentify-1", "node/worker", settings, {}, Metrics(), stopping, False, None)  # type: ignore[arg-type]
        monkeypatch.setattr("gateway.service.worker.make_projects", lambda *_arguments, **_named: {})
        monkeypatch.setattr("gateway.service.worker.Router", lambda *_arguments: None)
        monkeypatch.setattr(Worker, "_process", self._process)
        self.worker = Worker(child, ledger)

    def _process(self, claim: ClaimedInstance, _review: Review | None) -> Result:
        self.tried.append(claim.instance_id)
        self.finished.append(self.ledger.figures.status().instance_count(InstanceState.HELD))
        if claim.instance_id in self.failing:
            raise self.failing[claim.instance_id]
        return held(claim.instance_id)

    def received(self, count: int) -> list[int]:
        self.ledger.instances.record([received(number) for number in range(count)])
        return list(range(1, count + 1))

    def waiting(self, seconds: float = 0) -> list[tuple[int, int]]:
        """Number and attempts of what another worker may take after some time, which it does."""
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        claims = self.ledger.instances.claim("other", limit=1000, lease_seconds=1, now=now)
        return [(one.instance_id, one.attempts) for one in claims]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        yield Bench(tmp_path, ledger, monkeypatch)


def test_one_without_room_waits_and_the_others_go_on(bench: Bench) -> None:
    first, *others = bench.received(5)
    bench.failing[first] = FULL
    assert bench.worker._batch() == 5
    assert bench.ledger.figures.status().instance_count(InstanceState.HELD) == len(others)
    # It is tried again after half a second, and that it was tried counts for nothing.
    assert bench.waiting(0.1) == []
    assert bench.waiting(0.6) == [(first, 1)]


def test_each_wait_is_twice_the_one_before_and_forgotten_in_the_end(bench: Bench) -> None:
    (number,) = bench.received(1)
    claim = bench.ledger.instances.claim("node/worker", limit=1, lease_seconds=1)[0]
    waits = [bench.worker._wait(claim, FULL) for _ in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    bench.worker._finish([held(number)])
    assert bench.worker._wait(claim, FULL) == 0.5


def test_what_all_lack_pauses_the_work(bench: Bench) -> None:
    """The rest of the batch is given back untried."""
    numbers = bench.received(20)
    bench.failing = dict.fromkeys(numbers, FULL)
    with pytest.raises(SpoolFull):
        bench.worker._batch()
    assert bench.tried == numbers[:8]
    assert bench.waiting() == [(number, 1) for number in numbers[8:]]


def test_without_the_ledger_everything_waits(bench: Bench) -> None:
    numbers = bench.received(3)
    bench.failing[numbers[1]] = LedgerUnavailable(operation="claim numbers", reason="locked")
    with pytest.raises(LedgerUnavailable):
        bench.worker._batch()
    assert bench.tried == numbers[:2]
    assert bench.waiting() == [(number, 1) for number in numbers[1:]]


@pytest.mark.parametrize(
    ("bound", "value", "finished"),
    [
        ("_FINISH_SECONDS", 60.0, [0, 0, 0, 0]),
        # slow ones: each is told
        ("_FINISH_SECONDS", 0.0, [0, 1, 2, 3]),
        # large ones: each second one has enough
        ("_FINISH_BYTES", 1500, [0, 0, 2, 2]),
    ],
)
def test_what_is_done_does_not_wait_for_the_rest_of_a_batch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, finished: list[int]
) -> None:
    monkeypatch.setattr("gateway.service.worker._FINISH_SECONDS", 60.0)
    monkeypatch.setattr(f"gateway.service.worker.{bound}", value)
    bench.received(4)
    assert bench.worker._batch() == 4
    assert bench.finished == finished
    assert bench.ledger.figures.status().instance_count(InstanceState.HELD) == 4


def test_what_was_told_before_the_ledger_failed_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.service.worker._FINISH_SECONDS", 0.0)
    numbers = bench.received(3)
    bench.failing[numbers[1]] = LedgerUnavailable(operation="claim numbers", reason="locked")
    with pytest.raises(LedgerUnavailable):
        bench.worker._batch()
    assert bench.ledger.figures.status().instance_count(InstanceState.HELD) == 1
    assert bench.waiting() == [(number, 1) for number in numbers[1:]]


def test_a_source_that_costs_codecs_all_their_time_is_named(bench: Bench) -> None:
    """From the third instance in a row on; one of another source does not count."""
    worker, told = bench.worker, []
    for source in ("ct-1", "ct-1", "us-2", "ct-1", "ct-1"):
        worker._decoding_too_long(source)
        told.append(
            worker._metrics.registry.get_sample_value("gateway_decoding_too_long_total", {"source": source}) or 0
        )
    assert told == [0, 0, 0, 1, 2]
