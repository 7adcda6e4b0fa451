"""Who wants an instance again meets who gives it up, whatever database the ledger runs on (promises P3, P6, P14).

The second of a pair of changes begins while the first has changed its rows and not committed.
Afterwards the gateway goes on: nothing that was given up may be needed again, and nothing may be stuck or lost.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from typing import Any, Final, TypeAlias

import pytest

from gateway.audit import AuditAction, AuditEntry
from gateway.ledger import DeidentifiedResult, DeliveryClaim, DeliveryResult, Ledger, Selection
from tests.unit.ledger.build import at, deidentified, received, state_of

AUDIT = AuditEntry(actor="pacs", action=AuditAction.DELIVERY_FORCED, subject="archive", because="it was emptied")
BOTH = ("archive", "folder")
#: So long the first one keeps what it changed from the second one, if that has to wait for it.
_HOLDS: Final = 0.1


@dataclass
class Scene:
    """One instance of a study of its own that has reached its destinations, or one of them, and who works on it."""

    ledger: Ledger
    number: int
    instance: int
    copies: list[int]
    sending: list[DeliveryClaim] = field(default_factory=list)
    sender: str = "sender"
    arrived: bool = True
    #: Spool names of whatever was purged.
    given_up: list[str] = field(default_factory=list)

    @property
    def then(self) -> int:
        """When it happens to this one."""
        return 900 + 10 * self.number

    @property
    def study(self) -> str:
        return f"2.25.{self.number}"

    @property
    def series(self) -> str:
        return f"series-{self.number}"

    @property
    def selection(self) -> Selection:
        return Selection(study_uid=self.study)

    def result(self, instance: int, **changes: Any) -> DeidentifiedResult:
        values = {
            "study": self.study, "destinations": BOTH, "asks": ("folder",), "sop_key": f"sop-{self.number}",
            "content_key": "content",
        }  # fmt: skip
        return deidentified(instance, **{**values, **changes})

    def purge(self) -> None:
        # Not those that are to come.
        before = self.then + 1 if not self.arrived else self.number + 0.5
        self.given_up += [one.spool_name for one in self.ledger.retention.purge(at(before), 1000, now=at(self.then))]

    def resend(self) -> None:
        self.ledger.corrections.resend(self.selection, audit=AUDIT, now=at(self.then))

    def resend_elsewhere(self) -> None:
        self.ledger.corrections.resend(self.selection, destination="new", also_new=True, audit=AUDIT, now=at(self.then))

    def ask(self) -> None:
        self.ledger.corrections.resend(
            self.selection, destination="folder", if_missing=True, audit=AUDIT, now=at(self.then)
        )

    def redo(self) -> None:
        self.ledger.corrections.redo(self.selection, audit=AUDIT, now=at(self.then))

    def copy(self) -> None:
        """A worker finishes a copy of it."""
        self.ledger.instances.finish("worker", [self.result(self.copies[0])], now=at(self.then))

    def another_copy(self) -> None:
        self.ledger.instances.finish("worker", [self.result(self.copies[1])], now=at(self.then))

    def correction(self) -> None:
        self.ledger.instances.finish(
            "worker", [self.result(self.copies[2], content_key="corrected")], now=at(self.then)
        )

    def text(self) -> None:
        """A slice of its series turns out to have text: what went through unlooked is made anew."""
        keys = {"sop_key": f"other-{self.number}", "text_series": self.series}
        self.ledger.instances.finish("worker", [self.result(self.copies[3], **keys)], now=at(self.then))

    def arrive(self) -> None:
        """What is being sent has arrived."""
        self._end("confirmed")

    def fail(self) -> None:
        self._end("dead", code="refused")

    def outdated(self) -> None:
        """What was to be sent was made by a profile that is active no more."""
        self._end("failed", next_attempt_at=at(self.then + 1), remake="remake")

    def outdated_held(self) -> None:
        self._end("failed", next_attempt_at=at(self.then + 1), remake="hold")

    def _end(self, state: str, **named: Any) -> None:
        end(self.ledger, self.sending, state, owner=self.sender, now=self.then, **named)

    def retry(self) -> None:
        ids = [one.delivery_id for one in self.ledger.deliveries.entries(instance_id=self.instance)]
        self.ledger.deliveries.retry(delivery_ids=ids, now=at(self.then))

    def move(self) -> None:
        self.ledger.corrections.cancel(
            self.selection, destination="folder", move_to="archive", audit=AUDIT, now=at(self.then)
        )

    def cancel(self) -> None:
        self.ledger.corrections.cancel(self.selection, destination="folder", audit=AUDIT, now=at(self.then))

    def claim(self) -> None:
        """A deliverer takes what is due, and ends what was superseded."""
        self.ledger.deliveries.release(self.sender, now=at(self.then))
        claim(self.ledger, "folder", owner=self.sender, now=self.then)


def claim(ledger: Ledger, destination: str, *, owner: str, now: float, batches: int = 999) -> list[DeliveryClaim]:
    found = ledger.deliveries.claim(
        destination, owner, max_count=99, max_bytes=10**9, lease_seconds=3000, batches=batches, now=at(now)
    )
    return [one for batch in found for one in batch]


def end(ledger: Ledger, claims: Sequence[DeliveryClaim], state: Any, *, owner: str, now: float, **named: Any) -> None:
    named |= {"receipt": {"project": "lungs"}} if state == "confirmed" else {}
    results = [DeliveryResult(delivery_id=one.delivery_id, state=state, **named) for one in claims]
    ledger.deliveries.record(owner, results, now=at(now))


def scenes_of(ledger: Ledger, count: int, folder: str) -> list[Scene]:
    """Instances and claimed copies of them; the archive has them, their deliveries to the folder are in that state."""
    ids = ledger.instances.record([received(number) for number in range(5 * count)], now=at(1))
    ledger.instances.claim("worker", limit=len(ids), lease_seconds=9999, now=at(1))
    made = [Scene(ledger, number, *parts) for number, parts in enumerate(_fives(ids), 1)]
    ledger.instances.finish("worker", [one.result(one.instance, sampled_series=one.series) for one in made], now=at(1))
    of_instance = {one.instance: one for one in made}
    for destination, state in (("archive", "confirmed"), ("folder", folder)):
        for number in range(1, count + 1):
            owner = f"{destination}-{number}"
            found = claim(ledger, destination, owner=owner, now=1, batches=1)
            scene = of_instance[found[0].instance_id]
            if state == "under way":
                scene.sending, scene.sender = found, owner
            else:
                end(ledger, found, state, owner=owner, now=scene.number)
            scene.arrived = state == "confirmed"
    return made


def _fives(ids: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    for first in range(0, len(ids), 5):
        yield ids[first], list(ids[first + 1 : first + 5])


Change: TypeAlias = Callable[[Scene], None]
#: What may happen to an instance, by the state of its second delivery.
CHANGES: Final[Mapping[str, Sequence[Change]]] = {
    # It has arrived everywhere.
    "confirmed": (
        Scene.purge, Scene.resend, Scene.resend_elsewhere, Scene.ask, Scene.redo, Scene.copy, Scene.another_copy,
        Scene.correction, Scene.text,
    ),
    # Whoever ends it may make it ready to be purged.
    "under way": (
        Scene.purge, Scene.arrive, Scene.copy, Scene.outdated, Scene.correction, Scene.outdated_held, Scene.redo,
        Scene.text, Scene.fail, Scene.claim,
    ),
    "dead": (
        Scene.purge, Scene.retry, Scene.move, Scene.cancel, Scene.copy, Scene.correction, Scene.redo, Scene.claim,
    ),
}  # fmt: skip


@contextmanager
def held_back(ledger: Ledger, changed: threading.Event, done: threading.Event) -> Iterator[None]:
    """Transactions of this thread say that they have changed their rows, and commit when the other one is done.

    Or when it does not get on: on SQLite never, since its write transactions exclude each other.
    """
    database, thread = ledger._database, threading.get_ident()
    write = database.write
    longest = _HOLDS if database.dialect == "postgresql" else 0.0

    def slowly(operation: str, work: Callable[[Any], Any]) -> Any:
        def then_wait(connection: Any) -> Any:
            result = work(connection)
            if threading.get_ident() == thread and not changed.is_set():
                changed.set()
                done.wait(longest)
            return result

        return write(operation, then_wait)

    database.write = slowly  # type: ignore[method-assign]
    try:
        yield
    finally:
        del database.write


def at_once(made: Scene, first: Change, second: Change) -> None:
    """``second`` begins while ``first`` has not committed; an error of either is one of the test."""
    changed, done = threading.Event(), threading.Event()

    def later() -> None:
        try:
            assert changed.wait(30)
            second(made)
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool, held_back(made.ledger, changed, done):
        follower = pool.submit(later)
        try:
            first(made)
        finally:
            # What changed nothing has nothing to hold.
            changed.set()
        follower.result(60)


def go_on(ledger: Ledger, scenes: Sequence[Scene]) -> None:
    """Workers and deliverers do what there is to do; nothing that they need is gone, and nothing is left."""
    given_up = {name for made in scenes for name in made.given_up}
    of = {number: made for made in scenes for number in (made.instance, *made.copies)}
    now = 2000.0
    ledger.deliveries.release("worker", now=at(now))
    for made in scenes:
        ledger.deliveries.release(made.sender, now=at(now))
    moved = 1
    while moved:
        now += 100
        assert now < 5000
        moved = ledger.deliveries.retry(now=at(now))
        if held := [one.instance_id for one in ledger.holds.instances(limit=1000)]:
            ledger.reviews.resume(held, by="operator", now=at(now))
        claims = ledger.instances.claim("worker", limit=1000, lease_seconds=60, now=at(now))
        assert not {one.spool_name for one in claims} & given_up, "a worker needs what was given up"
        ledger.instances.finish(
            "worker", [_result(of[one.instance_id], one.instance_id) for one in claims], now=at(now)
        )
        for name in (*BOTH, "new"):
            due = claim(ledger, name, owner="late", now=now)
            assert not {one.spool_name for one in due} & given_up, "a deliverer needs what was given up"
            end(ledger, due, "confirmed", owner="late", now=now)
            moved += len(due)
        moved += len(held) + len(claims)
    counts = Counter({str(row.state): row.count for row in ledger.figures.status().instances})
    assert [counts[state] for state in ("received", "held", "deidentified")] == [0, 0, 0]
    assert ledger.accounts.draw().problems == ()


def _result(made: Scene, number: int) -> DeidentifiedResult:
    if number == made.copies[2]:
        return made.result(number, content_key="corrected")
    return made.result(number, **({"sop_key": f"other-{made.number}"} if number == made.copies[3] else {}))


class RacesContract:
    """Run by a class that provides the fixture ``ledger``: an empty, migrated ledger."""

    @pytest.mark.parametrize("folder", CHANGES)
    def test_whatever_comes_between(self, ledger: Ledger, folder: str) -> None:
        changes = CHANGES[folder]
        pairs = [pair for pair in permutations(changes, 2) if Scene.purge in pair]
        # The others meet their neighbours.
        pairs += zip(changes[1:], (*changes[2:], changes[1]), strict=True)
        scenes = scenes_of(ledger, len(pairs), folder)
        for made, (first, second) in zip(scenes, pairs, strict=True):
            try:
                at_once(made, first, second)
            except Exception as error:
                error.add_note(f"{second.__name__} during {first.__name__}")
                raise
        go_on(ledger, scenes)

    @pytest.mark.parametrize("steps", [(Scene.purge, Scene.copy), (Scene.copy, Scene.purge)], ids=["purge", "copy"])
    def test_a_copy_finds_it_delivered_or_takes_its_place(self, ledger: Ledger, steps: tuple[Change, Change]) -> None:
        """Whichever is first, the destination is asked, and what it lacks can be sent."""
        (made,) = scenes_of(ledger, 1, "confirmed")
        at_once(made, *steps)
        (due,) = claim(ledger, "folder", owner="late", now=2000)
        assert due.state == "sent"
        takes_over = steps[0] is Scene.purge
        assert due.instance_id == (made.copies[0] if takes_over else made.instance)
        assert state_of(ledger, made.instance) == ("purged" if takes_over else "deidentified")
        assert due.spool_name not in made.given_up
        end(ledger, [due], "failed", owner="late", now=2000, next_attempt_at=at(2001))
        go_on(ledger, [made])

    @pytest.mark.parametrize("steps", [(Scene.claim, Scene.arrive), (Scene.arrive, Scene.claim)], ids=["claim", "end"])
    def test_who_ends_its_last_deliveries_sees_the_other(self, ledger: Ledger, steps: tuple[Change, Change]) -> None:
        """One delivery is superseded and comes back without an outcome while the other one arrives."""
        (made,) = scenes_of(ledger, 1, "under way")
        ledger.corrections.resend(made.selection, destination="archive", audit=AUDIT, now=at(20))
        sending = claim(ledger, "archive", owner="other", now=21)
        made.correction()
        # The folder's deliverer is gone; the archive's is about to tell of its success.
        ledger.deliveries.release(made.sender, now=at(22))
        made.sending = []
        arrives = [partial(_arrive, sending) if step is Scene.arrive else step for step in steps]
        at_once(made, *arrives)
        made.claim()
        assert state_of(ledger, made.instance) == "delivered"
        go_on(ledger, [made])


def _arrive(sending: Sequence[DeliveryClaim], made: Scene) -> None:
    end(made.ledger, sending, "confirmed", owner="other", now=made.then)
