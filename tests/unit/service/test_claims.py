"""The docket: what is claimed for whom, what is in hand, and what is given back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import DeliveryClaim, Ledger
from gateway.metrics import Metrics
from gateway.service.breaker import Breaker
from gateway.service.claims import Docket
from gateway.settings.configuration import Settings
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import deidentified, finish, one, outcome

OWNER = "node/deliver/archive"


class Ledgers:
    """A ledger whose claims are counted, and which fails when told to."""

    def __init__(self, ledger: Ledger) -> None:
        self.inner = ledger.deliveries
        self.claims = 0
        self.before = self.after = False

    @property
    def deliveries(self) -> Ledgers:
        return self

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

    def build(studies: str, *, kind: str = "dicomweb", lease_seconds: float = 60) -> tuple[Docket, Ledgers]:
        for number, study in enumerate(studies):
            finish(opened, deidentified(one(opened, number), study=study))
        where = {"path": "/srv/archive"} if kind == "folder" else {"url": "https://archive.example", "max_instances": 3}
        settings = Settings.model_validate({"data": tmp_path, "destinations": {"archive": {"type": kind, **where}}})
        ledger = Ledgers(opened)
        docket = Docket(
            ledger,  # type: ignore[arg-type]
            owner=OWNER,
            configured=settings.destinations["archive"],
            name="archive",
            lease_seconds=lease_seconds,
            stopping=threading.Event(),
            breaker=Breaker("archive", first_seconds=1.0, metrics=Metrics()),
        )
        return docket, ledger

    yield build
    opened.close()


def claim(docket: Docket, free: int) -> list[str]:
    """What ``free`` connections get, by their studies."""
    before = len(docket._batches)
    docket._free = free + before
    docket.claim()
    docket._free = 0
    return ["".join(claim.study_uid for claim in batch) for batch in list(docket._batches)[before:]]


Make = Callable[..., tuple[Docket, Ledgers]]


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
    docket, ledger = make("aaaabbc", kind=kind)
    assert claim(docket, free) == expected
    assert ledger.claims == 1
    assert [len(docket.take()) for _ in expected] == [len(batch) for batch in expected]


def test_what_is_in_hand_is_not_handed_out_again(make: Make) -> None:
    docket, ledger = make("ab", lease_seconds=1e-6)
    assert claim(docket, 1) == ["a"]
    # The lease has run out: the ledger gives it again, and it is the same holder's.
    assert claim(docket, 2) == ["b"]
    first = docket.take()[0].delivery_id
    docket.done(1)
    with docket.settling([first]):
        assert ledger.deliveries.record(OWNER, [outcome(first, "failed", due=0)]).lost == ()
    assert claim(docket, 2) == ["a"]


@pytest.mark.parametrize("lost", ["before", "after"])
def test_p4_a_claim_without_an_answer_is_given_back_but_not_what_is_in_hand(make: Make, lost: str) -> None:
    docket, ledger = make("ab")
    assert claim(docket, 1) == ["a"]
    setattr(ledger, lost, True)
    with pytest.raises(LedgerUnavailable) as caught:
        claim(docket, 1)
    docket._failed(caught.value)
    setattr(ledger, lost, False)
    assert claim(docket, 1) == ["b"]
    (held,) = docket.take()
    assert ledger.deliveries.record(OWNER, [outcome(held.delivery_id)]).lost == ()
    # An attempt that may have been begun counts.
    assert [claim.attempts for claim in docket._batches[0]] == [2 if lost == "after" else 1]


def test_what_is_settled_in_vain_stays_in_hand(make: Make) -> None:
    docket, _ = make("a", lease_seconds=1e-6)
    claim(docket, 1)
    (held,) = docket.take()
    docket.done(1)
    with pytest.raises(LedgerUnavailable), docket.settling([held.delivery_id]):
        raise LedgerUnavailable(operation="record outcomes", reason="it is away")
    assert claim(docket, 1) == []
    assert docket._wanted() == 0


def test_no_more_is_claimed_while_too_much_waits_to_be_settled(make: Make) -> None:
    docket, _ = make("ab")
    claim(docket, 1)
    (held,) = docket.take()
    docket._free = 1
    docket.done(1000)
    assert docket._wanted() == 0
    with docket.settling([held.delivery_id]):
        pass
    assert docket._wanted() == 1


def test_it_hands_out_nothing_when_it_is_to_stop(make: Make) -> None:
    docket, ledger = make("a")
    claim(docket, 1)
    docket._stopping.set()
    assert docket.take() == ()
    docket.run(on_nothing=lambda: None)
    assert docket.take() == ()
    docket.release()
    # What was not begun was not tried.
    ((again,),) = ledger.claim("archive", "other", max_count=9, max_bytes=1, lease_seconds=60)
    assert again.attempts == 1


def test_a_free_connection_wakes_the_claim_and_a_claim_the_connection(make: Make) -> None:
    docket, _ = make("ab")
    nothing = threading.Event()
    claiming = threading.Thread(target=docket.run, kwargs={"on_nothing": nothing.set})
    claiming.start()
    try:
        assert {claim.study_uid for _ in range(2) for claim in docket.take()} == {"a", "b"}
        assert not nothing.is_set()
        docket.done(1)
        docket.done(1)
        taking = threading.Thread(target=docket.take)
        taking.start()
        assert nothing.wait(10)
    finally:
        docket._stopping.set()
        claiming.join(10)
    taking.join(10)
    assert not claiming.is_alive()
    assert not taking.is_alive()
