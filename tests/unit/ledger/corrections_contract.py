"""Corrections: an older version of an instance never arrives after a newer one. On whatever database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Literal

import pytest

from gateway.ledger import DeliveryState, Finished, InstanceState, Ledger
from tests.unit.ledger.build import START, at, claim, deidentified, finish, held, outcome, received, state_of, take

State = Literal["sent", "failed", "dead"]


def version(instance_id: int, content: str, **changes: Any) -> Any:
    return deidentified(instance_id, sop_key="sop-a", content_key=content, **changes)


def arrive(ledger: Ledger, count: int) -> list[int]:
    """Instances that a worker has, in the order of reception."""
    ledger.instances.record([received(number) for number in range(count)], now=START)
    return [claimed.instance_id for claimed in claim(ledger)]


def states(ledger: Ledger, instance_id: int) -> dict[str, str]:
    return {entry.destination: entry.state.value for entry in ledger.deliveries.entries(instance_id=instance_id)}


class CorrectionsContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_what_waits_of_the_older_one_is_superseded(self, ledger: Ledger) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a"))
        finish(ledger, version(new, "b"))
        assert states(ledger, old) == {"archive": "superseded"}
        assert [each.instance_id for each in take(ledger)] == [new]
        last = ledger.history.of(old)[-1]
        assert (last.after, last.code, last.detail) == ("delivered", "superseded", f"by instance {new}")
        assert ledger.accounts.draw().balanced

    def test_versions_in_one_transaction(self, ledger: Ledger) -> None:
        old, newer, newest = arrive(ledger, 3)
        finish(ledger, version(newest, "c"), version(old, "a"), version(newer, "b"))
        assert [each.instance_id for each in take(ledger)] == [newest]
        assert {state_of(ledger, old), state_of(ledger, newer)} == {"delivered"}
        assert ledger.accounts.draw().balanced

    @pytest.mark.parametrize("state", ["failed", "sent", "dead"])
    def test_a_late_retry_does_not_overwrite_the_correction(self, ledger: Ledger, state: State) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a"))
        (first,) = take(ledger)
        ledger.deliveries.record("deliverer", [outcome(first.delivery_id, state, due=100)], now=at(1))
        finish(ledger, version(new, "b"))
        (second,) = take(ledger, seconds=2)
        assert second.instance_id == new
        ledger.deliveries.record("deliverer", [outcome(second.delivery_id)], now=at(3))
        assert ledger.deliveries.retry(only_dead=False, now=at(4)) == 0
        assert take(ledger, seconds=1000) == []
        assert states(ledger, old) == {"archive": "superseded"}
        assert {state_of(ledger, old), state_of(ledger, new)} == {"delivered"}
        assert ledger.accounts.draw().balanced

    @pytest.mark.parametrize("state", ["failed", "sent", "dead"])
    def test_the_newer_one_waits_while_the_older_one_is_being_sent(self, ledger: Ledger, state: State) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a", study="2.25.1"))
        (sending,) = take(ledger)
        # A correction may change the study.
        finish(ledger, version(new, "b", study="2.25.2"))
        assert take(ledger, owner="other", seconds=1) == []
        ledger.deliveries.record("deliverer", [outcome(sending.delivery_id, state)], now=at(2))
        assert states(ledger, old) == {"archive": "superseded"}
        assert [each.instance_id for each in take(ledger, owner="other", seconds=3)] == [new]
        assert ledger.accounts.draw().balanced

    def test_what_arrived_before_the_newer_one_is_confirmed(self, ledger: Ledger) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a"))
        (sending,) = take(ledger)
        finish(ledger, version(new, "b"))
        ledger.deliveries.record("deliverer", [outcome(sending.delivery_id)], now=at(2))
        assert states(ledger, old) == {"archive": "confirmed"}
        assert ledger.history.of(old)[-1].code == ""
        assert [each.instance_id for each in take(ledger, seconds=3)] == [new]
        assert ledger.accounts.draw().balanced

    @pytest.mark.parametrize("before", ["pending", "failed"])
    @pytest.mark.parametrize("ending", ["released", "expired"])
    def test_who_dies_while_sending_the_older_one(self, ledger: Ledger, ending: str, before: str) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a"))
        if before == "failed":
            (first,) = take(ledger)
            ledger.deliveries.record("deliverer", [outcome(first.delivery_id, "failed", due=0)], now=START)
        take(ledger)
        finish(ledger, version(new, "b"))
        if ending == "released":
            ledger.deliveries.release("deliverer", crashed=True, now=at(1))
            # An operator's retry is no way around it.
            assert ledger.deliveries.retry(only_dead=False, now=at(1)) == 0
        moment = 1 if ending == "released" else 61
        assert [each.instance_id for each in take(ledger, owner="other", seconds=moment)] == [new]
        assert states(ledger, old) == {"archive": "superseded"}
        assert ledger.accounts.draw().balanced

    def test_an_older_one_that_is_finished_late_goes_nowhere(self, ledger: Ledger) -> None:
        """Workers finish in any order; a held one is resumed days later."""
        old, new = arrive(ledger, 2)
        finish(ledger, held(old, sop_key="sop-a", content_key="a"))
        (done,) = finish(ledger, version(new, "b"))
        assert done.replaces is None
        ledger.reviews.resume([old], by="operator", now=at(1))
        (again,) = claim(ledger, seconds=2)
        (done,) = ledger.instances.finish("worker", [version(again.instance_id, "a")], now=at(3))
        assert done == Finished(instance_id=old, state=InstanceState.DEIDENTIFIED)
        assert [each.instance_id for each in take(ledger, seconds=4)] == [new]
        assert state_of(ledger, old) == "delivered"
        assert ledger.accounts.draw().balanced

    def test_only_where_the_newer_one_goes(self, ledger: Ledger) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a", destinations=("archive", "backup")))
        finish(ledger, version(new, "b", destinations=("archive",)))
        assert states(ledger, old) == {"archive": "superseded", "backup": "pending"}
        (copy,) = take(ledger, "backup")
        recorded = ledger.deliveries.record("deliverer", [outcome(copy.delivery_id)], now=at(1))
        assert recorded.delivered == (old,)
        assert ledger.history.of(old)[-1].code == ""
        assert ledger.accounts.draw().balanced

    def test_a_held_newer_version_supersedes_nothing(self, ledger: Ledger) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a"))
        finish(ledger, held(new, sop_key="sop-a", content_key="b"))
        assert [each.instance_id for each in take(ledger)] == [old]

    def test_other_instances_are_left_alone(self, ledger: Ledger) -> None:
        first, second, third = arrive(ledger, 3)
        finish(
            ledger,
            deidentified(first, sop_key="sop-a", content_key="a"),
            deidentified(second, sop_key="sop-b", content_key="b"),
            deidentified(third, sop_key="sop-a", content_key="c", project="hearts"),
        )
        assert {each.instance_id for each in take(ledger)} == {first, second, third}

    def test_superseded_deliveries_are_listed(self, ledger: Ledger) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a"), version(new, "b"))
        (entry,) = ledger.deliveries.entries(state=DeliveryState.SUPERSEDED)
        assert (entry.instance_id, entry.detail) == (old, f"by instance {new}")
        assert {row.state for row in ledger.figures.queues().deliveries} == {DeliveryState.PENDING}

    def test_what_was_superseded_may_be_purged(self, ledger: Ledger) -> None:
        old, new = arrive(ledger, 2)
        finish(ledger, version(old, "a"), version(new, "b"))
        assert [each.instance_id for each in ledger.retention.purge(at(9), 10, now=at(9))] == [old]
        assert ledger.accounts.draw().balanced

    def test_workers_that_finish_versions_at_once_leave_one(self, ledger: Ledger) -> None:
        for turn in range(8):
            ledger.instances.record([received(turn * 2 + number) for number in range(2)], now=START)
            claims = {owner: claim(ledger, limit=1, owner=owner)[0].instance_id for owner in ("one", "two")}
            start = Barrier(2)

            def work(owner: str, turn: int = turn, start: Barrier = start, claims: dict[str, int] = claims) -> None:
                start.wait()
                result = deidentified(claims[owner], sop_key=f"sop-{turn}", content_key=owner, study="2.25.7")
                ledger.instances.finish(owner, [result], now=START)

            with ThreadPoolExecutor(2) as pool:
                list(pool.map(work, claims))
            assert [states(ledger, number)["archive"] for number in sorted(claims.values())] == [
                "superseded",
                "pending",
            ]
        assert ledger.accounts.draw().balanced
