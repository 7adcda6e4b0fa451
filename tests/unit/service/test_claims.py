"""The queue: what is claimed for whom, what is in hand, and what is given back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import DeliveryClaim
from gateway.ledger.deliveries import Deliveries
from gateway.metrics import Metrics
from gateway.service.breaker import Breaker
from gateway.service.claims import DeliveryQueue
from gateway.settings.configuration import Settings
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import deidentified, finish, one, outcome

OWNER = "node/deliver/archive"


class Counted:
    """Deliveries whose claims are counted, and which fails when told to."""

    def __init__(self, deliveries: Deliveries) -> None:
        self.inner = deliveries
        self.claims = 0
        self.before = self.after = False

    def claim(self, *args: Any, **kwargs: Any) -> list[list[DeliveryClaim]]:
        self.claims += 1
        if self.before:
            raise LedgerUnavailable(operation="claim deliveries", reason="it is away")
        claimed = self.inner.claim(*args, **kwargs)
        if self.after:
            raise LedgerUnavailable(operation="claim deliveries", reason="its answer is lost")
        return claimed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    opened = new_ledger(tmp_path / "ledger.sqlite3")

    def build(studies: str, *, kind: str = "dicomweb", lease_seconds: float = 60) -> tuple[DeliveryQueue, Counted]:
        for number, study in enumerate(studies):
            finish(opened, deidentified(one(opened, number), study=study))
        where = {"path": "/srv/archive"} if kind == "folder" else {"url": "https://archive.example", "max_instances": 3}
        settings = Settings.model_validate({"data": tmp_path, "destinations": {"archive": {"type": kind, **where}}})
        deliveries = Counted(opened.deliveries)
        queue = DeliveryQueue(
            deliveries,  # type: ignore[arg-type]
            owner=OWNER,
            configured=settings.destinations["archive"],
            name="archive",
            lease_seconds=lease_seconds,
            stopping=threading.Event(),
            breaker=Breaker("archive", first_seconds=1.0, metrics=Metrics()),
        )
        return queue, deliveries

    yield build
    opened.close()


def claim(queue: DeliveryQueue, free: int) -> list[str]:
    """What ``free`` connections get, by their studies."""
    before = len(queue._batches)
    queue._free = free + before
    queue.claim()
    queue._free = 0
    return ["".join(claim.study_uid for claim in batch) for batch in list(queue._batches)[before:]]


Make = Callable[..., tuple[DeliveryQueue, Counted]]


@pytest.mark.parametrize(
    ("kind", "free", "expected"),
    [
        ("dicomweb", 1, ["aaa"]),
        ("dicomweb", 2, ["aaa", "bb"]),
        ("dicomweb", 4, ["aaa", "bb", "c", "a"]),
        ("folder", 1, ["aaaabbc"]),
    ],
)
def test_each_free_connection_gets_a_batch_of_one_claim(make: Make, kind: str, free: int, expected: list[str]) -> None:
    queue, deliveries = make("aaaabbc", kind=kind)
    assert claim(queue, free) == expected
    assert deliveries.claims == 1
    assert [len(queue.take()) for _ in expected] == [len(batch) for batch in expected]


def test_what_is_in_hand_is_not_handed_out_again(make: Make) -> None:
    queue, deliveries = make("ab", lease_seconds=1e-6)
    assert claim(queue, 1) == ["a"]
    # The lease has run out: the ledger gives it again, and it is the same holder's.
    assert claim(queue, 2) == ["b"]
    first = queue.take()[0].delivery_id
    queue.done(1)
    with queue.settling([first]):
        assert deliveries.record(OWNER, [outcome(first, "failed", due=0)]).lost == ()
    assert claim(queue, 2) == ["a"]


@pytest.mark.parametrize("lost", ["before", "after"])
def test_p4_a_claim_without_an_answer_is_given_back_but_not_what_is_in_hand(make: Make, lost: str) -> None:
    queue, deliveries = make("ab")
    assert claim(queue, 1) == ["a"]
    setattr(deliveries, lost, True)
    with pytest.raises(LedgerUnavailable) as caught:
        claim(queue, 1)
    queue._failed(caught.value)
    setattr(deliveries, lost, False)
    assert claim(queue, 1) == ["b"]
    (held,) = queue.take()
    assert deliveries.record(OWNER, [outcome(held.delivery_id)]).lost == ()
    # An attempt that may have been begun counts.
    assert [claim.attempts for claim in queue._batches[0]] == [2 if lost == "after" else 1]


def test_what_is_settled_in_vain_stays_in_hand(make: Make) -> None:
    queue, _ = make("a", lease_seconds=1e-6)
    claim(queue, 1)
    (held,) = queue.take()
    queue.done(1)
    with pytest.raises(LedgerUnavailable), queue.settling([held.delivery_id]):
        raise LedgerUnavailable(operation="record outcomes", reason="it is away")
    assert claim(queue, 1) == []
    assert queue._wanted() == 0


def test_no_more_is_claimed_while_too_much_waits_to_be_settled(make: Make) -> None:
    queue, _ = make("ab")
    claim(queue, 1)
    (held,) = queue.take()
    queue._free = 1
    queue.done(1000)
    assert queue._wanted() == 0
    with queue.settling([held.delivery_id]):
        pass
    assert queue._wanted() == 1


def test_it_hands_out_nothing_when_it_is_to_stop(make: Make) -> None:
    queue, deliveries = make("a")
    claim(queue, 1)
    queue._stopping.set()
    assert queue.take() == ()
    queue.run(on_nothing=lambda: None)
    assert queue.take() == ()
    queue.release()
    # What was not begun was not tried.
    ((again,),) = deliveries.claim("archive", "other", max_count=9, max_bytes=1, lease_seconds=60)
    assert again.attempts == 1


def test_a_free_connection_wakes_the_claim_and_a_claim_the_connection(make: Make) -> None:
    queue, _ = make("ab")
    nothing = threading.Event()
    claiming = threading.Thread(target=queue.run, kwargs={"on_nothing": nothing.set})
    claiming.start()
    try:
        assert {claim.study_uid for _ in range(2) for claim in queue.take()} == {"a", "b"}
        assert not nothing.is_set()
        queue.done(1)
        queue.done(1)
        taking = threading.Thread(target=queue.take)
        taking.start()
        assert nothing.wait(10)
    finally:
        queue._stopping.set()
        claiming.join(10)
    taking.join(10)
    assert not claiming.is_alive()
    assert not taking.is_alive()
