"""The state machine, driven at random against a model, and its page in the documentation."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.errors import IllegalTransition
from gateway.ledger import DeliveryState, InstanceState
from gateway.ledger.states import DELIVERY_TRANSITIONS, INSTANCE_TRANSITIONS, SETTLED, STANDING
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import at, deidentified, held, outcome, received, rejected

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "states.md"
LEASE = 60
DESTINATIONS = ("archive", "backup")
OWNERS = st.sampled_from(["worker-1", "worker-2"])


class LedgerMachine(RuleBasedStateMachine):
    """Workers, deliverers, operators and a clock that do whatever they like; a dictionary says what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="gateway-ledger-")
        self.ledger = new_ledger(Path(self.directory) / "ledger.sqlite3")
        self.now = 0.0
        self.number = 0
        self.states: dict[int, InstanceState] = {}
        self.contents: dict[int, str] = {}
        self.leases: dict[int, tuple[str, float]] = {}
        self.deliveries: dict[int, tuple[int, DeliveryState]] = {}
        self.delivery_leases: dict[int, tuple[str, float]] = {}
        self.due: dict[int, float] = {}
        #: Superseded while a deliverer had them.
        self.marked: set[int] = set()
        #: Whose bytes are gone.
        self.purged: set[int] = set()

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.directory)

    @rule(count=st.integers(1, 4))
    def receive(self, count: int) -> None:
        self.number += count
        batch = [received(number) for number in range(self.number - count, self.number)]
        self.states |= dict.fromkeys(self.ledger.instances.record(batch, now=at(self.now)), InstanceState.RECEIVED)

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(owner=OWNERS, limit=st.integers(1, 5))
    def claim(self, owner: str, limit: int) -> None:
        free = sorted(
            number
            for number, state in self.states.items()
            if state is InstanceState.RECEIVED and self.leases.get(number, ("", 0.0))[1] <= self.now
        )
        claimed = self.ledger.instances.claim(owner, limit=limit, lease_seconds=LEASE, now=at(self.now))
        assert [each.instance_id for each in claimed] == free[:limit]
        self.leases |= {each.instance_id: (owner, self.now + LEASE) for each in claimed}

    @precondition(lambda self: self.states)
    @rule(data=st.data(), owner=OWNERS, kind=st.sampled_from(["deidentified", "held", "rejected"]))
    def finish(self, data: st.DataObject, owner: str, kind: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.states)))
        content = data.draw(st.sampled_from(["a", "b", "c"]))
        keys = {"sop_key": "sop", "content_key": content}
        result: Any = {
            "deidentified": deidentified(number, study=f"2.25.{number % 2}", destinations=DESTINATIONS, **keys),
            "held": held(number, **keys),
            "rejected": rejected(number),
        }[kind]
        (done,) = self.ledger.instances.finish(owner, [result], now=at(self.now))
        if self.leases.get(number, ("",))[0] != owner:
            assert done.lost
            return
        del self.leases[number]
        standing = [
            other for other, text in self.contents.items() if text == content and self.states[other] in STANDING
        ]
        if kind != "rejected" and standing:
            assert (done.state, done.duplicate_of) == (InstanceState.REJECTED, standing[0])
        else:
            assert done.state == kind
            assert done.duplicate_of is None
        assert done.state is not None
        self.states[number] = done.state
        if done.state is not InstanceState.REJECTED:
            self.contents[number] = content
        if done.state is InstanceState.DEIDENTIFIED:
            for entry in self.ledger.deliveries.entries(instance_id=number):
                self.deliveries[entry.delivery_id] = (number, DeliveryState.PENDING)
                self.due[entry.delivery_id] = self.now
            self._supersede()

    def _supersede(self) -> None:
        """All instances are versions of one; every one goes to each destination."""
        newest = max(instance for instance, _ in self.deliveries.values())
        for delivery, (instance, state) in self.deliveries.items():
            if instance == newest or state in SETTLED:
                continue
            if delivery in self.delivery_leases:
                self.marked.add(delivery)
            else:
                self._end(delivery)

    def _end(self, delivery: int) -> None:
        self.marked.discard(delivery)
        self.deliveries[delivery] = (self.deliveries[delivery][0], DeliveryState.SUPERSEDED)
        self._settle(self.deliveries[delivery][0])

    def _settle(self, instance: int) -> bool:
        if {state for other, state in self.deliveries.values() if other == instance} <= set(SETTLED):
            self.states[instance] = InstanceState.DELIVERED
        return self.states[instance] is InstanceState.DELIVERED

    def _waits(self, delivery: int, destination: str) -> bool:
        """Whether an older version is being sent to the destination."""
        of_destination = {
            entry.delivery_id for entry in self.ledger.deliveries.entries(destination=destination, limit=10_000)
        }
        return any(
            other in of_destination
            and self.deliveries[other][0] < self.deliveries[delivery][0]
            and self.deliveries[other][1] not in SETTLED
            and until > self.now
            for other, (_, until) in self.delivery_leases.items()
        )

    @rule(owner=OWNERS, destination=st.sampled_from(DESTINATIONS), count=st.integers(1, 3))
    def claim_deliveries(self, owner: str, destination: str, count: int) -> None:
        batches = self.ledger.deliveries.claim(
            destination, owner, max_count=count, max_bytes=1 << 40, lease_seconds=LEASE, now=at(self.now)
        )
        taken = [claim for batch in batches for claim in batch]
        open_states = {DeliveryState.PENDING, DeliveryState.FAILED, DeliveryState.SENT}
        due = {
            entry.delivery_id
            for entry in self.ledger.deliveries.entries(destination=destination, limit=10_000)
            if self.deliveries[entry.delivery_id][1] in open_states
            and self.due[entry.delivery_id] <= self.now
            and entry.delivery_id not in self.marked
            and not self._waits(entry.delivery_id, destination)
        }
        # Those that came back without an outcome end when their study has its turn.
        for entry in self.ledger.deliveries.entries(
            destination=destination, state=DeliveryState.SUPERSEDED, limit=10_000
        ):
            if entry.delivery_id in self.marked:
                assert self.due[entry.delivery_id] <= self.now
                self.delivery_leases.pop(entry.delivery_id, None)
                self._end(entry.delivery_id)
        assert {each.delivery_id for each in taken} <= due
        assert bool(taken) == bool(due)
        assert len({each.study_uid for each in taken}) <= 1
        for each in taken:
            self.delivery_leases[each.delivery_id] = (owner, self.now + LEASE)
            self.due[each.delivery_id] = self.now + LEASE

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data(), owner=OWNERS, state=st.sampled_from(["sent", "confirmed", "confirmed", "failed", "dead"]))
    def deliver(self, data: st.DataObject, owner: str, state: Literal["sent", "confirmed", "failed", "dead"]) -> None:
        leased = sorted(self.delivery_leases) or sorted(self.deliveries)
        delivery = data.draw(st.sampled_from(leased))
        result = outcome(delivery, state, due=self.now + 30)
        recorded = self.ledger.deliveries.record(owner, [result], now=at(self.now))
        if self.delivery_leases.get(delivery, ("",))[0] != owner:
            assert recorded.lost == (delivery,)
            return
        del self.delivery_leases[delivery]
        instance = self.deliveries[delivery][0]
        if delivery in self.marked and state != "confirmed":
            self._end(delivery)
            return
        self.marked.discard(delivery)
        self.deliveries[delivery] = (instance, DeliveryState(state))
        self.due[delivery] = self.now + 30
        assert recorded.delivered == ((instance,) if self._settle(instance) else ())

    @rule(owner=OWNERS)
    def crash(self, owner: str) -> None:
        mine = [number for number, lease in self.leases.items() if lease[0] == owner]
        sending = [number for number, lease in self.delivery_leases.items() if lease[0] == owner]
        released = self.ledger.deliveries.release(owner, now=at(self.now))
        # An expired lease may have been taken away already, by a claim that found better things to do.
        assert len(mine) + len(sending) >= released >= len(sending)
        for number in mine:
            del self.leases[number]
        for number in sending:
            del self.delivery_leases[number]
            self.due[number] = self.now

    @rule(only_dead=st.booleans())
    def retry(self, only_dead: bool) -> None:
        wanted = {DeliveryState.DEAD} | (set() if only_dead else {DeliveryState.FAILED})
        hit = [
            number
            for number, (_, state) in self.deliveries.items()
            if state in wanted and number not in self.delivery_leases and number not in self.marked
        ]
        assert self.ledger.deliveries.retry(only_dead=only_dead, now=at(self.now)) == len(hit)
        for number in hit:
            self.deliveries[number] = (self.deliveries[number][0], DeliveryState.PENDING)
            self.due[number] = self.now

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.states)))
        if self.states[number] is InstanceState.HELD:
            self.ledger.reviews.resume([number], by="operator", now=at(self.now))
            self.states[number] = InstanceState.RECEIVED
            del self.contents[number]
        else:
            with pytest.raises(IllegalTransition):
                self.ledger.reviews.resume([number], by="operator", now=at(self.now))

    @rule(most=st.integers(1, 3))
    def purge(self, most: int) -> None:
        may_go = {
            number
            for number, state in self.states.items()
            if state in {InstanceState.DELIVERED, InstanceState.REJECTED} and number not in self.purged
        }
        given_up = [one.instance_id for one in self.ledger.retention.purge(at(self.now + 1), most, now=at(self.now))]
        assert set(given_up) <= may_go
        assert len(given_up) == min(most, len(may_go))
        self.purged.update(given_up)
        for number in given_up:
            if self.states[number] is InstanceState.DELIVERED:
                self.states[number] = InstanceState.PURGED

    @invariant()
    def p3_the_account_balances_and_the_ledger_agrees_with_the_model(self) -> None:
        account = self.ledger.accounts.draw()
        assert account.balanced, account.problems
        assert account.recorded == len(self.states)
        status = self.ledger.figures.status()
        counts = Counter(self.states.values())
        assert {state: status.instance_count(state) for state in InstanceState} == {
            state: counts[state] for state in InstanceState
        }
        delivery_counts = Counter(state for _, state in self.deliveries.values())
        assert {state: status.delivery_count(state) for state in DeliveryState} == {
            state: delivery_counts[state] for state in DeliveryState
        }


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def _table(heading: str) -> set[tuple[str, ...]]:
    """The cells of the table under a heading of the page, without its head."""
    section = PAGE.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return {tuple(re.sub(r"`", "", cell).strip() for cell in row) for row in rows[2:]}


@pytest.mark.parametrize(
    ("heading", "states"), [("States of an instance", InstanceState), ("States of a delivery", DeliveryState)]
)
def test_the_page_describes_every_state(heading: str, states: type[InstanceState | DeliveryState]) -> None:
    rows = _table(heading)
    assert {row[0] for row in rows} == {state.value for state in states}
    assert len(rows) == len(states)
    assert all(cell for row in rows for cell in row)


@pytest.mark.parametrize(
    ("heading", "transitions"),
    [("Transitions of an instance", INSTANCE_TRANSITIONS), ("Transitions of a delivery", DELIVERY_TRANSITIONS)],
)
def test_the_page_has_the_transitions_of_the_code(heading: str, transitions: Mapping[Any, Any]) -> None:
    rows = _table(heading)
    assert {row[:3] for row in rows} == {
        ("-" if before is None else str(before), str(after), str(mover))
        for (before, after), mover in transitions.items()
    }
    assert len(rows) == len(transitions)
    assert all(row[3] for row in rows)
