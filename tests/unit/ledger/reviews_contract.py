"""Decisions of people about held instances, and that each is audited. On whatever database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import IllegalTransition
from gateway.ledger import InstanceState, Ledger, ReviewRecord
from tests.unit.ledger.build import at, bring, claim, deidentified, finish, held, received, state_of

KEYS = {"sop_key": "sop-a", "content_key": "content-a"}


def mask(instance_id: int, *boxes: tuple[int, int, int, int], **changes: Any) -> ReviewRecord:
    values = {"actor": "dpo", "because": "a name in the corner", **changes}
    return ReviewRecord(instance_id=instance_id, decision="mask", boxes=boxes or ((0, 1, 20, 30),), **values)


def audited(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(record.document) for record in ledger.audit.trail()]


class ReviewsContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_a_review_sends_the_instance_to_the_workers(self, ledger: Ledger) -> None:
        number = bring(ledger, InstanceState.HELD, 1, **KEYS)
        decided = mask(number, (0, 1, 20, 30), (5, 5, 1, 1))
        ledger.reviews.record(decided, now=at(9))
        assert state_of(ledger, number) == "received"
        (claimed,) = claim(ledger, seconds=9)
        assert (claimed.instance_id, claimed.attempts, claimed.reviewed) == (number, 1, True)
        assert ledger.reviews.of([number]) == {number: decided}
        (done,) = finish(ledger, deidentified(number, **KEYS))
        assert done.state is InstanceState.DEIDENTIFIED
        # An output that is lost is made again by the same decision.
        assert ledger.reviews.of([number]) == {number: decided}
        assert ledger.accounts.draw().balanced

    def test_a_claim_tells_of_which_instances_there_is_a_review(self, ledger: Ledger) -> None:
        reviewed = bring(ledger, InstanceState.HELD, 1, **KEYS)
        ledger.reviews.record(mask(reviewed), now=at(0))
        others = [bring(ledger, InstanceState.RECEIVED, number) for number in range(2, 6)]
        assert {each.instance_id: each.reviewed for each in claim(ledger)} == {
            reviewed: True,
            **dict.fromkeys(others, False),
        }

    def test_a_review_is_audited_with_boxes(self, ledger: Ledger) -> None:
        number = bring(ledger, InstanceState.HELD)
        ledger.reviews.record(mask(number, (0, 1, 20, 30), (5, 5, 1, 1)), now=at(9))
        (entry,) = audited(ledger)
        assert (entry["actor"], entry["action"]) == ("dpo", "held-masked")
        assert (entry["subject"], entry["because"]) == (f"instance {number}", "a name in the corner")
        assert entry["facts"] == {"pixels": True, "boxes": ["0,1,20,30", "5,5,1,1"]}
        assert ledger.history.of(number)[-1].actor == "dpo"

    def test_the_last_review_counts(self, ledger: Ledger) -> None:
        number = bring(ledger, InstanceState.HELD)
        ledger.reviews.record(mask(number), now=at(1))
        claim(ledger, seconds=1)
        finish(ledger, held(number))
        release = ReviewRecord(instance_id=number, decision="release", boxes=(), actor="other", because="no name")
        ledger.reviews.record(release, now=at(2))
        assert ledger.reviews.of([number]) == {number: release}
        assert [entry["action"] for entry in audited(ledger)] == ["held-masked", "held-released"]

    def test_release_alone_leaves_no_review(self, ledger: Ledger) -> None:
        number = bring(ledger, InstanceState.HELD)
        ledger.reviews.resume([number], by="admin", because="the table has the row", now=at(1))
        assert ledger.reviews.of([number]) == {}
        (entry,) = audited(ledger)
        assert (entry["action"], entry["facts"]) == ("held-retried", {})

    def test_a_rejected_instance_stays_out_with_the_reason(self, ledger: Ledger) -> None:
        number = bring(ledger, InstanceState.HELD, 1, **KEYS)
        ledger.reviews.reject([number], by="dpo", because="a scanned letter", now=at(1))
        last = ledger.history.of(number)[-1]
        assert (last.before, last.after, last.actor) == ("held", "rejected", "dpo")
        assert (last.code, last.detail) == ("rejected-by-person", "a scanned letter")
        assert claim(ledger, seconds=1) == []
        assert [entry["action"] for entry in audited(ledger)] == ["held-rejected"]
        assert [one.instance_id for one in ledger.retention.purge(at(2), 10)] == [number]
        account = ledger.accounts.draw()
        assert account.balanced
        assert account.projects[0].rejected == {"rejected-by-person": 1}

    def test_a_rejection_stands_for_no_content(self, ledger: Ledger) -> None:
        """Sent again, it is looked at again."""
        first = bring(ledger, InstanceState.HELD, 1, **KEYS)
        ledger.reviews.reject([first], by="dpo", because="a letter", now=at(1))
        second = bring(ledger, InstanceState.HELD, 2, **KEYS)
        assert state_of(ledger, second) == "held"

    @pytest.mark.parametrize(
        "state", [InstanceState.RECEIVED, InstanceState.REJECTED, InstanceState.DEIDENTIFIED, InstanceState.DELIVERED]
    )
    def test_only_what_is_held_is_decided_about(self, ledger: Ledger, state: InstanceState) -> None:
        waiting, other = bring(ledger, InstanceState.HELD, 1), bring(ledger, state, 2)
        decisions: tuple[Callable[[], None], ...] = (
            lambda: ledger.reviews.record(mask(other)),
            lambda: ledger.reviews.resume([waiting, other], by="dpo"),
            lambda: ledger.reviews.reject([waiting, other], by="dpo", because="x"),
        )
        for decide in decisions:
            with pytest.raises(IllegalTransition):
                decide()
        assert state_of(ledger, waiting) == "held"
        assert ledger.reviews.of([waiting, other]) == {}
        assert audited(ledger) == []

    def test_an_instance_that_is_not_there(self, ledger: Ledger) -> None:
        ledger.instances.record([received(1)])
        with pytest.raises(IllegalTransition):
            ledger.reviews.record(mask(4711))
        assert ledger.holds.instance(4711) is None

    def test_one_held_instance(self, ledger: Ledger) -> None:
        first, second = bring(ledger, InstanceState.HELD, 1), bring(ledger, InstanceState.DELIVERED, 2)
        found = ledger.holds.instance(first)
        assert found is not None
        assert (found.instance_id, found.called_ae, found.code) == (first, "GATEWAY", "rule-failed")
        assert ledger.holds.instance(second) is None
        assert ledger.holds.instance(first - 1) is None
