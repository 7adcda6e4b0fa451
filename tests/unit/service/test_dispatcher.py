"""The dispatcher: what is sent, what is asked for, and what is written down of it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from gateway.deliver.base import Outcome, Parcel
from gateway.deliver.mock import MockDestination
from gateway.dicom.segments import FileRange
from gateway.errors import SpoolUnavailable
from gateway.ledger import DeliveryClaim, DeliveryState, InstanceState, Ledger
from gateway.metrics import Metrics
from gateway.service.dispatcher import Dispatcher
from gateway.service.process import Child
from gateway.settings.configuration import Settings
from gateway.treatment.receipt_chain import OutputDigests, verify_chains
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import bring, deidentified, finish, one

CONTENT = b"header and pixels"


@dataclass(frozen=True)
class Stored:
    """An output in two ranges."""

    path: Path

    @property
    def length(self) -> int:
        return len(CONTENT)

    def parts(self) -> list[FileRange]:
        return [FileRange(self.path, 0, 6), FileRange(self.path, 6, len(CONTENT) - 6)]


class StoredOutputs:
    """The outputs of the dispatcher's instances: all of them the same file."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(CONTENT)
        self._path = path
        self.unreadable = False

    def open(self, _claim: DeliveryClaim) -> Any:
        if self.unreadable:
            raise SpoolUnavailable(operation="read", name="output", reason="i/o error")
        return Stored(self._path)


class Bench:
    """A dispatcher on a ledger of its own, batch by batch, without its threads."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        destination: MockDestination,
        configured: Mapping[str, object] = MappingProxyType({"type": "folder", "path": "/srv/archive"}),
    ) -> None:
        settings = Settings.model_validate(
            {
                "data": folder / "data",
                "destinations": {"archive": dict(configured)},
                "retry": {"first_seconds": 1e-6, "longest_seconds": 1e-6, "attempts": 3},
            }
        )
        self.ledger = ledger
        self.outputs = StoredOutputs(folder / "output")
        stopping = threading.Event()
        child = Child("deliver", "node/deliver", settings, {}, Metrics(), stopping, False, None)  # type: ignore[arg-type]
        self._dispatcher = Dispatcher(
            child,
            destination,
            owner="node/deliver/archive",
            ledger=ledger,
            outputs=self.outputs,  # type: ignore[arg-type]
            digests=OutputDigests(),
        )

    def batch_of(self) -> int:
        """Claim, deliver and settle for one connection; how many deliveries that were."""
        queue, recorder = self._dispatcher.queue, self._dispatcher.recorder
        queue._free = 1
        queue.claim()
        queue._free = 0
        claims = queue.take() if queue._batches else ()
        if claims:
            recorder.settle(self._dispatcher.workers[0].deliver(claims))
            recorder._settle([ending for endings in recorder._gather(one=True) for ending in endings])
            recorder._waiting.clear()
        return len(claims)

    def batch(self) -> DeliveryState:
        assert self.batch_of()
        (entry,) = self.ledger.deliveries.entries()
        return entry.state


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., tuple[Bench, MockDestination]]]:
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:

        def make(*script: Any) -> tuple[Bench, MockDestination]:
            destination = MockDestination("archive", script=script, read=False)
            bring(ledger, InstanceState.DEIDENTIFIED)
            return Bench(tmp_path, ledger, destination), destination

        yield make


@pytest.mark.parametrize(
    ("settings", "batches"),
    [
        # a folder takes small studies together, up to a batch's most
        ({"type": "folder", "path": "/srv/archive"}, [3]),
        ({"type": "dicomweb", "url": "https://archive.example/dicom-web"}, [1, 1, 1]),
    ],
)
def test_studies_of_a_batch(tmp_path: Path, settings: dict[str, str], batches: list[int]) -> None:
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        for number in range(3):
            finish(ledger, deidentified(one(ledger, number), study=f"2.25.{number}"))
        destination = MockDestination("archive", read=False)
        bench = Bench(tmp_path, ledger, destination, settings)
        for count in batches:
            assert bench.batch_of() == count
        assert bench.batch_of() == 0
        assert {entry.state for entry in ledger.deliveries.entries()} == {DeliveryState.CONFIRMED}


def at_once(state: Any, code: str = "scripted") -> Callable[[Parcel], Outcome]:
    return lambda parcel: Outcome(parcel.delivery_id, state, code, retry_after=0.0)


def test_what_was_sent_is_asked_for_and_not_sent_again(bench: Callable[..., tuple[Bench, MockDestination]]) -> None:
    one, destination = bench(at_once("sent"), at_once("sent"), "confirmed")
    assert one.batch() is DeliveryState.SENT
    assert one.batch() is DeliveryState.SENT
    assert one.batch() is DeliveryState.CONFIRMED
    assert (len(destination.batches), len(destination.asked)) == (1, 2)
    assert one.ledger.accounts.draw().balanced


def test_what_the_destination_lost_is_sent_again(bench: Callable[..., tuple[Bench, MockDestination]]) -> None:
    one, destination = bench(at_once("sent"), "failed", at_once("sent"), "confirmed")
    states = [one.batch() for _ in range(4)]
    assert states == [DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.SENT, DeliveryState.CONFIRMED]
    assert (len(destination.batches), len(destination.asked)) == (2, 2)


def test_asking_often_does_not_use_up_the_attempts(bench: Callable[..., tuple[Bench, MockDestination]]) -> None:
    one, _ = bench(*[at_once("sent")] * 10, "confirmed")
    assert [one.batch() for _ in range(11)][-1] is DeliveryState.CONFIRMED


def test_losing_it_again_and_again_ends(bench: Callable[..., tuple[Bench, MockDestination]]) -> None:
    one, destination = bench(*[at_once("sent"), "failed"] * 3)
    assert [one.batch() for _ in range(6)][-1] is DeliveryState.DEAD
    assert len(destination.batches) == 3


def test_an_output_that_cannot_be_read_does_not_unsend_it(bench: Callable[..., tuple[Bench, MockDestination]]) -> None:
    one, destination = bench(at_once("sent"), "confirmed")
    one.batch()
    one.outputs.unreadable = True
    assert one.batch() is DeliveryState.SENT
    assert destination.asked == []


def test_a_confirmation_has_a_receipt_without_identity(bench: Callable[..., tuple[Bench, MockDestination]]) -> None:
    one, _ = bench(at_once("sent"), at_once("confirmed", "found"))
    one.batch()
    assert list(one.ledger.receipts.read()) == []
    one.batch()
    (receipt,) = one.ledger.receipts.read()
    document = json.loads(receipt.document)
    assert document["output"] == {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT)}
    assert document["original"]["keyed_digest"] == "content-1"
    assert document["profile"] == {"name": "basic", "digest": "d" * 64}
    assert document["actions"] == {"remove": 12, "hash-uid": 5}
    assert document["destination"] == {"name": "archive", "type": "folder"}
    confirmation = document["confirmation"]
    assert (confirmation["code"], confirmation["asked"], confirmation["attempts"]) == ("found", True, 1)
    # Neither UIDs nor the pseudonym: under some profiles they are the original ones.
    assert "2.25." not in receipt.document
    assert "SUBJECT-1" not in receipt.document
    assert list(verify_chains(one.ledger.receipts.read(), one.ledger.receipts.chains())) == []


def test_the_digest_that_the_destination_computed_is_the_receipts(
    bench: Callable[..., tuple[Bench, MockDestination]], tmp_path: Path
) -> None:
    def confirmed(parcel: Parcel) -> Outcome:
        (tmp_path / "output").unlink()
        return Outcome(parcel.delivery_id, "confirmed", "stored", digest="e" * 64)

    one, _ = bench(confirmed)
    assert one.batch() is DeliveryState.CONFIRMED
    (receipt,) = one.ledger.receipts.read()
    assert json.loads(receipt.document)["output"]["sha256"] == "e" * 64


def test_digests_are_computed_once_for_all_destinations(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(CONTENT)
    parts = [FileRange(path, 0, 5), FileRange(path, 2, 3)]
    digests = OutputDigests()
    computed = digests.of(1, parts)
    assert computed == hashlib.sha256(CONTENT[:5] + CONTENT[2:5]).hexdigest()
    assert digests.of(2, parts, known="e" * 64) == "e" * 64
    path.unlink()
    assert digests.of(1, parts) == computed
    assert digests.of(2, parts) == "e" * 64
    # What was stored at last is what counts.
    assert digests.of(1, parts, known="f" * 64) == "f" * 64
    with pytest.raises(SpoolUnavailable):
        digests.of(1, parts[:1])


def test_without_a_receipt_there_is_no_confirmation(
    bench: Callable[..., tuple[Bench, MockDestination]], tmp_path: Path
) -> None:
    one, _ = bench(lambda parcel: _torn(tmp_path / "output", parcel), "confirmed")
    assert one.batch() is DeliveryState.FAILED
    assert list(one.ledger.receipts.read()) == []
    (tmp_path / "output").write_bytes(CONTENT)
    assert one.batch() is DeliveryState.CONFIRMED
    assert len(list(one.ledger.receipts.read())) == 1


def _torn(path: Path, parcel: Parcel) -> Outcome:
    """The output is damaged at the moment at which the destination confirms it."""
    path.write_bytes(CONTENT[:3])
    return Outcome(parcel.delivery_id, "confirmed", "stored")


# With its threads -----------------------------------------------------------------------------------------------------


class Gate(MockDestination):
    """Keeps what is of one study waiting until it is opened."""

    def __init__(self, study: str) -> None:
        super().__init__("archive", read=False)
        self._study = study
        self.reached, self.open = threading.Event(), threading.Event()

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        if parcels[0].study_uid == self._study:
            self.reached.set()
            assert self.open.wait(30)
        return super().send(parcels)


def dispatcher(folder: Path, ledger: Ledger, destination: MockDestination, **settings: object) -> Dispatcher:
    configured = {"type": "dicomweb", "url": "https://archive.example/dicom-web", "connections": 2, **settings}
    return Bench(folder, ledger, destination, configured)._dispatcher


def states_of(ledger: Ledger) -> list[str]:
    return [entry.state for entry in ledger.deliveries.entries()]


def test_p4_a_slow_connection_holds_up_nothing_of_the_others(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        for number in range(8):
            finish(ledger, deidentified(one(ledger, number), study=f"2.25.{number}"))
        destination = Gate("2.25.3")
        running = dispatcher(tmp_path, ledger, destination)
        running.start()
        try:
            assert destination.reached.wait(10)
            eventually(lambda: states_of(ledger).count("confirmed") == 7)
            assert states_of(ledger).count("pending") == 1
            assert running.dead == []
        finally:
            destination.open.set()
            eventually(lambda: states_of(ledger).count("confirmed") == 8)
            running.queue._stopping.set()
            running.stop()
        assert len(list(ledger.receipts.read())) == 8
        assert list(verify_chains(ledger.receipts.read(), ledger.receipts.chains())) == []
        assert ledger.accounts.draw().balanced
        assert {len(batch) for batch in destination.batches} == {1}


def test_what_is_under_way_at_the_end_is_settled_and_the_rest_given_back(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        for number in range(3):
            finish(ledger, deidentified(one(ledger, number), study="2.25.1"))
        destination = Gate("2.25.1")
        running = dispatcher(tmp_path, ledger, destination, connections=1, max_instances=2)
        running.start()
        assert destination.reached.wait(10)
        running.queue._stopping.set()
        destination.open.set()
        running.stop()
        assert sorted(states_of(ledger)) == ["confirmed", "confirmed", "pending"]
        ((left,),) = ledger.deliveries.claim("archive", "next", max_count=9, max_bytes=1 << 20, lease_seconds=60)
        assert left.attempts == 1
        assert len(running.dead) == 3


def test_a_thread_that_ends_by_an_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        bring(ledger, InstanceState.DEIDENTIFIED)
        destination = MockDestination("archive", script=[lambda _: 1 / 0], read=False)  # type: ignore[return-value, list-item]
        running = dispatcher(tmp_path, ledger, destination)
        running.start()
        eventually(lambda: running.dead)
        running.queue._stopping.set()
        running.stop()
        # It comes up again, and may have arrived.
        assert states_of(ledger) == ["pending"]


def eventually(condition: Callable[[], object]) -> None:
    tick = threading.Event()
    for _ in range(1000):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it does not come to that")


@pytest.mark.parametrize(("accepts", "state"), [(False, DeliveryState.DEAD), (True, DeliveryState.CONFIRMED)])
def test_identified_outputs_go_only_where_they_are_accepted(
    bench: Callable[..., tuple[Bench, MockDestination]], accepts: bool, state: DeliveryState
) -> None:
    # Also if a person moved the delivery there.
    work, _ = bench("confirmed")
    worker = work._dispatcher.workers[0]
    worker._programs = {"lungs": SimpleNamespace(identified=True)}  # type: ignore[dict-item]
    worker._configured = worker._configured.model_copy(update={"accepts_identified": accepts})
    assert work.batch() is state
