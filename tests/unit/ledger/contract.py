"""What the ledger promises on whatever database: run on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
import sqlalchemy as sa

from gateway.errors import IllegalTransition
from gateway.ledger import (
    DeidentifiedResult,
    DeliveryResult,
    DeliveryState,
    Finished,
    HeldResult,
    InstanceState,
    Ledger,
    RejectedResult,
    Result,
)
from gateway.ledger.columns import utc_now
from gateway.ledger.states import STANDING
from tests.unit.ledger.build import (
    START,
    at,
    bring,
    bring_each,
    claim,
    deidentified,
    finish,
    held,
    one,
    outcome,
    received,
    rejected,
    state_of,
    take,
)

KEYS = {"sop_key": "sop-a", "content_key": "content-a"}


class LedgerContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    # Receiving

    def test_recording_is_idempotent_and_keeps_the_order_of_the_call(self, ledger: Ledger) -> None:
        first = ledger.instances.record([received(2), received(1)], now=START)
        again = ledger.instances.record([received(3), received(1), received(2), received(1)], now=at(1))
        assert again[1:] == [first[1], first[0], first[1]]
        assert len({*first, *again}) == 3
        assert [(entry.before, entry.after, entry.actor, entry.at) for entry in ledger.history.of(first[0])] == [
            (None, "received", "receiver", START)
        ]

    def test_recording_nothing_does_nothing(self, ledger: Ledger) -> None:
        assert ledger.instances.record([]) == []

    def test_more_than_one_transaction_of_records(self, ledger: Ledger) -> None:
        numbers = ledger.instances.record([received(number) for number in range(2500)], now=START)
        assert len(set(numbers)) == 2500
        assert len(list(ledger.instances.known_spool_names())) == 2500

    @pytest.mark.parametrize(
        "text",
        [
            "A\0B",  # PostgreSQL stores no NUL
            "\ud800",  # a lone surrogate cannot be encoded
            "x" * 100_000,  # longer than any AE title
            "'; DROP TABLE instances; --",
            "\x1b[2J",  # a terminal would obey
            "{code} %s :name ?",
        ],
    )
    def test_p7_hostile_text_is_recorded(self, ledger: Ledger, text: str) -> None:
        ledger.instances.record([received(1, calling_ae=text, called_ae=text, source=text, sop_class_uid=text)])
        (claimed,) = claim(ledger)
        assert len(claimed.calling_ae) <= 64
        assert "\0" not in claimed.calling_ae
        assert "\x1b" not in claimed.sop_class_uid
        assert claimed.calling_ae[0] in (text[0], "\ufffd")

    # Claims and leases

    def test_a_claim_has_all_that_was_received(self, ledger: Ledger) -> None:
        ledger.instances.record([received(7)])
        (claimed,) = claim(ledger)
        original = received(7)
        # What is searched for alone no worker needs.
        for name in set(original.__slots__) - {"association", "known_by"}:
            assert getattr(claimed, name) == getattr(original, name)
        assert claimed.attempts == 1

    def test_the_oldest_are_claimed_first_and_once(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in (5, 3, 9, 1)])
        names = [claimed.spool_name for _ in range(3) for claimed in claim(ledger, limit=2)]
        assert names == [received(number).spool_name for number in (1, 3, 5, 9)]

    def test_of_many_expired_leases_the_oldest_instances_are_claimed(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(8)], now=at(0))
        # The later owner comes first by name, and has its lease for longer.
        ledger.instances.claim("worker-2", limit=3, lease_seconds=60, now=at(0))
        ledger.instances.claim("worker-1", limit=4, lease_seconds=50, now=at(0))
        claimed = ledger.instances.claim("worker-3", limit=3, lease_seconds=60, now=at(61))
        assert [one.instance_id for one in claimed] == [1, 2, 3]

    def test_an_expired_lease_is_claimed_again_before_younger_ones(self, ledger: Ledger) -> None:
        ledger.instances.record([received(1)])
        (first,) = claim(ledger, owner="dead", seconds=0)
        ledger.instances.record([received(2)])
        assert claim(ledger, limit=9, owner="other", seconds=59)[0].spool_name == received(2).spool_name
        (again,) = claim(ledger, owner="other", seconds=60)
        assert (again.instance_id, again.attempts) == (first.instance_id, 2)

    def test_a_renewed_lease_does_not_expire(self, ledger: Ledger) -> None:
        instance_id = one(ledger)
        assert ledger.instances.renew("worker", [instance_id, 999], 60, now=at(50)) == [instance_id]
        assert ledger.instances.renew("other", [instance_id], 60, now=at(50)) == []
        assert claim(ledger, seconds=100) == []
        assert [claimed.instance_id for claimed in claim(ledger, seconds=110)] == [instance_id]

    @pytest.mark.parametrize(("crashed", "attempts"), [(True, 2), (False, 1)])
    def test_released_leases_can_be_claimed_at_once(self, ledger: Ledger, crashed: bool, attempts: int) -> None:
        first = bring(ledger, InstanceState.DEIDENTIFIED, 1)
        (delivery,) = take(ledger, owner="worker")
        second = one(ledger, 2)
        assert ledger.deliveries.release("somebody else", now=START) == 0
        assert ledger.deliveries.release("worker", crashed=crashed, now=START) == 2
        assert [(claimed.instance_id, claimed.attempts) for claimed in claim(ledger)] == [(second, attempts)]
        (again,) = take(ledger)
        assert (again.delivery_id, again.instance_id, again.attempts) == (delivery.delivery_id, first, attempts)

    def test_a_postponed_instance_waits_and_counts_no_attempt(self, ledger: Ledger) -> None:
        ledger.instances.record([received(1), received(2)])
        first, second = (claimed.instance_id for claimed in claim(ledger, owner="node/worker"))
        assert ledger.instances.postpone("node/worker", {first: 30.0, 999: 30.0}, now=START) == [first]
        assert ledger.instances.postpone("other", {second: 30.0}, now=START) == []
        # The end of the worker frees the other one alone.
        assert ledger.deliveries.release("node/worker", now=START) == 1
        assert [again.instance_id for again in claim(ledger, seconds=29)] == [second]
        assert [(again.instance_id, again.attempts) for again in claim(ledger, seconds=31)] == [(first, 1)]

    def test_the_leases_of_an_owner_s_threads_are_released_with_it(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(4)])
        for owner in ("a_b", "a_b/1", "a_b/1/2", "axb/1"):
            claim(ledger, limit=1, owner=owner)
        assert ledger.deliveries.release("a_b") == 3
        assert ledger.deliveries.release("axb") == 1

    @pytest.mark.parametrize("kind", [deidentified, held, rejected])
    @pytest.mark.parametrize("loss", ["expired and claimed by another", "released", "finished before"])
    def test_p2_results_of_a_lost_lease_are_discarded(
        self, ledger: Ledger, kind: Callable[[int], DeidentifiedResult], loss: str
    ) -> None:
        instance_id = one(ledger)
        match loss:
            case "expired and claimed by another":
                claim(ledger, owner="other", seconds=61)
            case "released":
                ledger.deliveries.release("worker")
            case "finished before":
                finish(ledger, rejected(instance_id))
        before = ledger.history.of(instance_id)
        (lost,) = finish(ledger, kind(instance_id))
        assert lost == Finished(instance_id=instance_id, state=None)
        assert lost.lost
        assert ledger.history.of(instance_id) == before
        assert ledger.deliveries.entries() == []

    def test_a_result_counts_after_the_lease_expired_while_nobody_else_has_claimed(self, ledger: Ledger) -> None:
        instance_id = one(ledger)
        assert (
            ledger.instances.finish("worker", [rejected(instance_id)], now=at(1000))[0].state is InstanceState.REJECTED
        )

    # Results

    def test_results_of_all_kinds_in_one_transaction(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(3)], now=START)
        a, b, c = (claimed.instance_id for claimed in claim(ledger))
        results: list[Result] = [rejected(c), deidentified(a, destinations=("archive", "backup")), held(b)]
        states = [(done.instance_id, done.state) for done in ledger.instances.finish("worker", results, now=at(5))]
        assert states == [(c, InstanceState.REJECTED), (a, InstanceState.DEIDENTIFIED), (b, InstanceState.HELD)]
        assert [(entry.destination, entry.before, entry.after, entry.actor) for entry in ledger.history.of(a)] == [
            (None, None, "received", "receiver"),
            (None, "received", "deidentified", "worker"),
            ("archive", None, "pending", "worker"),
            ("backup", None, "pending", "worker"),
        ]
        last = ledger.history.of(c)[-1]
        assert (last.after, last.code, last.detail, last.at) == ("rejected", "no-reports", "no images", at(5))
        (waiting,) = ledger.holds.instances()
        assert (waiting.instance_id, waiting.code, waiting.detail, waiting.held_at) == (b, "rule-failed", "why", at(5))
        assert claim(ledger, seconds=9999) == []
        assert ledger.accounts.draw().balanced

    def test_of_a_batch_each_has_its_own_history_be_it_like_the_others_or_not(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(12)], now=START)
        ids = [claimed.instance_id for claimed in claim(ledger)]
        finish(
            ledger,
            *(held(number, detail=f"why {number}") for number in ids[:2]),
            *(rejected(number) for number in ids[2:5]),
            *(deidentified(number, destinations=("archive", "backup")) for number in ids[5:]),
        )
        taken = take(ledger)
        dead = [replace(outcome(each.delivery_id, "dead"), detail=str(each.instance_id)) for each in taken[:2]]
        arrived = [outcome(each.delivery_id) for each in taken[2:]]
        ledger.deliveries.record("deliverer", [*arrived, *dead], now=at(1))

        assert [ledger.history.of(number)[-1].detail for number in ids[:2]] == [f"why {number}" for number in ids[:2]]
        assert {state_of(ledger, number) for number in ids[2:5]} == {"rejected"}
        created = [(None, "received"), ("received", "deidentified"), *[(None, "pending")] * 2]
        for number, after in zip(ids[5:], ["dead"] * 2 + ["confirmed"] * 5, strict=True):
            entries = ledger.history.of(number)
            assert [(entry.before, entry.after) for entry in entries] == [*created, ("pending", after)]
            assert (entries[-1].destination, entries[-1].at) == ("archive", at(1))
            assert entries[-1].detail == (str(number) if after == "dead" else "")
        assert ledger.accounts.draw().balanced

    def test_two_results_for_one_instance_are_a_mistake_of_the_caller(self, ledger: Ledger) -> None:
        instance_id = one(ledger)
        with pytest.raises(ValueError, match="one result per instance"):
            finish(ledger, held(instance_id), rejected(instance_id))

    # Duplicates: promise P6

    @pytest.mark.parametrize("standing", STANDING)
    @pytest.mark.parametrize("kind", [deidentified, held])
    def test_p6_a_copy_of_standing_content_is_rejected_as_its_duplicate(
        self, ledger: Ledger, standing: InstanceState, kind: Callable[..., DeidentifiedResult]
    ) -> None:
        first = bring(ledger, standing, 1, **KEYS)
        second = one(ledger, 2)
        (done,) = finish(ledger, kind(second, **KEYS))
        assert done == Finished(instance_id=second, state=InstanceState.REJECTED, duplicate_of=first)
        last = ledger.history.of(second)[-1]
        assert (last.after, last.code, last.detail) == ("rejected", "duplicate", f"of instance {first}")
        assert {delivery.instance_id for delivery in ledger.deliveries.entries()} <= {first}
        assert ledger.accounts.draw().balanced

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (rejected(0), deidentified(0, **KEYS)),  # a rejected one stands for nothing
            (held(0), deidentified(0, **KEYS)),  # held unread: nobody knows its content
            (held(0), held(0)),  # both unread
            (deidentified(0, **KEYS), deidentified(0, **KEYS, project="hearts")),  # projects know nothing of each other
            (deidentified(0, **KEYS), deidentified(0, sop_key="sop-b", content_key="content-a")),  # another instance
            (deidentified(0, **KEYS), rejected(0)),  # rejected by its own rule
        ],
    )
    def test_what_is_not_a_duplicate(
        self,
        ledger: Ledger,
        first: DeidentifiedResult | HeldResult | RejectedResult,
        second: DeidentifiedResult | HeldResult | RejectedResult,
    ) -> None:
        for number, result in enumerate((first, second)):
            instance_id = one(ledger, number)
            values = {name: getattr(result, name) for name in result.__slots__} | {"instance_id": instance_id}
            (done,) = finish(ledger, type(result)(**values))
            assert done.duplicate_of is None
            assert done.replaces is None
            assert state_of(ledger, instance_id) != "received"

    def test_p6_copies_in_one_batch_stand_behind_the_first(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(3)])
        a, b, c = (claimed.instance_id for claimed in claim(ledger))
        done = finish(ledger, deidentified(c, **KEYS), deidentified(b, **KEYS), deidentified(a, **KEYS))
        assert [each.duplicate_of for each in done] == [a, a, None]

    def test_other_content_of_the_same_sop_instance_goes_out_and_says_what_it_replaces(self, ledger: Ledger) -> None:
        first = bring(ledger, InstanceState.DELIVERED, 1, **KEYS)
        second = one(ledger, 2)
        (done,) = finish(ledger, deidentified(second, sop_key="sop-a", content_key="content-b"))
        assert done == Finished(instance_id=second, state=InstanceState.DEIDENTIFIED, replaces=first)
        assert ledger.history.of(second)[1].detail == f"replaces instance {first}"
        assert [delivery.instance_id for delivery in take(ledger)] == [second]

    def test_p6_a_race_of_copies_has_one_winner(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(40)])
        owners = [f"worker-{number}" for number in range(4)]
        claims = {owner: claim(ledger, limit=10, owner=owner) for owner in owners}
        start = Barrier(len(owners))

        def work(owner: str) -> list[Finished]:
            # Each worker has one copy of each of ten instances, in an order of its own.
            keys = [(number * 3 + owners.index(owner)) % 10 for number in range(10)]
            results = [
                deidentified(claimed.instance_id, sop_key=f"sop-{key}")
                for key, claimed in zip(keys, claims[owner], strict=True)
            ]
            start.wait()
            return ledger.instances.finish(owner, results)

        with ThreadPoolExecutor(len(owners)) as pool:
            done = [each for batch in pool.map(work, owners) for each in batch]
        assert sum(each.state is InstanceState.DEIDENTIFIED for each in done) == 10
        assert sum(each.duplicate_of is not None for each in done) == 30
        assert len(ledger.deliveries.entries()) == 10
        assert ledger.accounts.draw().balanced

    # Held

    def test_a_resumed_instance_goes_through_the_workers_again(self, ledger: Ledger) -> None:
        first = bring(ledger, InstanceState.HELD, 1, **KEYS)
        ledger.reviews.resume([first], by="dpo", now=at(9))
        assert ledger.holds.instances() == []
        assert ledger.history.of(first)[-1].actor == "dpo"
        (again,) = claim(ledger, seconds=9)
        assert (again.instance_id, again.attempts) == (first, 1)
        (done,) = finish(ledger, deidentified(first, **KEYS))
        assert done.state is InstanceState.DEIDENTIFIED
        assert ledger.accounts.draw().balanced

    def test_held_instances_are_listed_in_pages(self, ledger: Ledger) -> None:
        ids = [bring(ledger, InstanceState.HELD, number, project="a" if number % 2 else "b") for number in range(5)]
        assert [each.instance_id for each in ledger.holds.instances(limit=2)] == ids[:2]
        assert [each.instance_id for each in ledger.holds.instances(limit=9, after=ids[1])] == ids[2:]
        assert [each.instance_id for each in ledger.holds.instances(project="a")] == [ids[1], ids[3]]

    # Deliveries

    def test_a_delivery_claim_has_all_that_a_destination_needs(self, ledger: Ledger) -> None:
        instance_id = one(ledger)
        result = deidentified(instance_id)
        finish(ledger, result)
        (taken,) = take(ledger)
        for name in ("instance_id", "patient_id", "study_uid", "series_uid", "sop_uid", "sop_class_uid"):
            assert getattr(taken, name) == getattr(result, name)
        assert (taken.size, taken.transfer_syntax) == (result.output_size, result.transfer_syntax)
        assert (taken.destination, taken.attempts, taken.state) == ("archive", 1, DeliveryState.PENDING)
        assert (taken.spool_name, taken.received_at) == (received(1).spool_name, received(1).received_at)
        assert take(ledger) == []
        assert take(ledger, "nowhere") == []

    def test_a_batch_is_of_one_study_within_its_limits(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(12)])
        ids = [claimed.instance_id for claimed in claim(ledger)]
        finish(ledger, *(deidentified(i, study=f"2.25.{n % 2}", output_size=100 * (n + 1)) for n, i in enumerate(ids)))
        # Study 0 has sizes 100 300 500 700 900 1100, study 1 has 200 400 ... 1200; they take turns.
        sizes = [[taken.size for taken in take(ledger, seconds=n, max_count=3, max_bytes=1000)] for n in range(1, 10)]
        zero = [[100, 300, 500], [700], [900], [1100]]
        other = [[200, 400], [600], [800], [1000], [1200]]
        assert [batch for batch in sizes if batch in zero] == zero
        assert [batch for batch in sizes if batch in other] == other
        assert [batch in zero for batch in sizes[:8]] in ([True, False] * 4, [False, True] * 4)

    def test_a_failing_study_does_not_starve_the_others(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(23)])
        ids = [claimed.instance_id for claimed in claim(ledger)]
        finish(ledger, *(deidentified(i, study="2.25.1" if n < 20 else f"2.25.{n}") for n, i in enumerate(ids)))
        studies = []
        for second in range(1, 9):
            taken = take(ledger, seconds=second, max_count=5)
            studies.append(taken[0].study_uid)
            failing = taken[0].study_uid == "2.25.1"
            # Back-off of the failing ones is over at once: they are always due.
            ledger.deliveries.record(
                "deliverer",
                [outcome(each.delivery_id, "failed" if failing else "confirmed", due=second) for each in taken],
            )
        assert {"2.25.20", "2.25.21", "2.25.22"} <= set(studies[:4])
        assert studies[4:] == ["2.25.1"] * 4

    def test_within_a_study_the_earliest_due_go_first(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(3)])
        ids = [claimed.instance_id for claimed in claim(ledger)]
        finish(ledger, *map(deidentified, ids))
        due = dict(zip(ids, (30, 10, 20), strict=True))
        taken = take(ledger)
        ledger.deliveries.record("deliverer", [outcome(t.delivery_id, "failed", due=due[t.instance_id]) for t in taken])
        assert take(ledger, seconds=9) == []
        assert [each.instance_id for each in take(ledger, seconds=40)] == [ids[1], ids[2], ids[0]]

    # Sending again is another attempt, asking is none.
    @pytest.mark.parametrize(("state", "attempts"), [("failed", 2), ("sent", 1)])
    def test_p4_failed_and_sent_deliveries_come_up_again_when_due(
        self, ledger: Ledger, state: str, attempts: int
    ) -> None:
        bring(ledger, InstanceState.DEIDENTIFIED)
        (taken,) = take(ledger)
        ledger.deliveries.record("deliverer", [outcome(taken.delivery_id, state, due=100)])  # type: ignore[arg-type]
        assert take(ledger, seconds=99) == []
        (again,) = take(ledger, seconds=100)
        assert (again.delivery_id, again.attempts, again.state.value) == (taken.delivery_id, attempts, state)

    def test_p4_an_expired_delivery_is_claimed_again_and_the_late_outcome_is_lost(self, ledger: Ledger) -> None:
        instance_id = bring(ledger, InstanceState.DEIDENTIFIED)
        (taken,) = take(ledger, owner="slow")
        assert take(ledger, owner="quick", seconds=59) == []
        (again,) = take(ledger, owner="quick", seconds=60)
        assert again.delivery_id == taken.delivery_id
        assert ledger.deliveries.record("slow", [outcome(taken.delivery_id)]).lost == (taken.delivery_id,)
        recorded = ledger.deliveries.record("quick", [outcome(taken.delivery_id)])
        assert (recorded.lost, recorded.delivered) == ((), (instance_id,))

    def test_a_renewed_delivery_does_not_expire(self, ledger: Ledger) -> None:
        bring(ledger, InstanceState.DEIDENTIFIED)
        (taken,) = take(ledger)
        assert ledger.deliveries.renew("deliverer", [taken.delivery_id, 999], 60, now=at(50)) == [taken.delivery_id]
        assert ledger.deliveries.renew("other", [taken.delivery_id], 60, now=at(50)) == []
        assert take(ledger, seconds=100) == []
        assert len(take(ledger, seconds=110)) == 1

    def test_an_instance_is_delivered_when_every_destination_has_confirmed(self, ledger: Ledger) -> None:
        instance_id = one(ledger)
        finish(ledger, deidentified(instance_id, destinations=("archive", "backup")))
        (first,) = take(ledger, "archive")
        (second,) = take(ledger, "backup")
        assert ledger.deliveries.record("deliverer", [outcome(first.delivery_id)]).delivered == ()
        assert state_of(ledger, instance_id) == "deidentified"
        assert ledger.deliveries.record("deliverer", [outcome(second.delivery_id)]).delivered == (instance_id,)
        assert state_of(ledger, instance_id) == "delivered"
        assert ledger.accounts.draw().balanced

    def test_the_last_two_confirmations_at_once_deliver(self, ledger: Ledger) -> None:
        destinations = [f"destination-{number}" for number in range(4)]
        ledger.instances.record([received(number) for number in range(20)])
        ids = [claimed.instance_id for claimed in claim(ledger)]
        finish(ledger, *(deidentified(each, destinations=destinations) for each in ids))
        claims = {name: take(ledger, name, owner=name) for name in destinations}
        start = Barrier(len(destinations))

        def work(name: str) -> tuple[int, ...]:
            start.wait()
            return ledger.deliveries.record(name, [outcome(each.delivery_id) for each in claims[name]]).delivered

        with ThreadPoolExecutor(len(destinations)) as pool:
            delivered = [number for batch in pool.map(work, destinations) for number in batch]
        assert sorted(delivered) == ids
        assert ledger.accounts.draw().balanced

    def test_a_dead_delivery_waits_for_an_operator(self, ledger: Ledger) -> None:
        bring(ledger, InstanceState.DEIDENTIFIED)
        (taken,) = take(ledger)
        ledger.deliveries.record("deliverer", [outcome(taken.delivery_id, "dead")])
        assert take(ledger, seconds=1e6) == []
        assert ledger.accounts.draw().balanced
        assert ledger.deliveries.retry(now=at(5)) == 1
        assert ledger.deliveries.retry(now=at(5)) == 0
        (again,) = take(ledger, seconds=5)
        assert (again.delivery_id, again.attempts, again.state) == (taken.delivery_id, 1, DeliveryState.PENDING)

    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            ({}, ["dead"]),
            ({"only_dead": False}, ["dead", "failed"]),
            ({"destination": "archive", "only_dead": False}, ["dead", "failed"]),
            ({"destination": "elsewhere"}, []),
            ({"delivery_ids": []}, []),
            ({"delivery_ids": [10**9]}, []),
        ],
    )
    def test_what_is_retried(self, ledger: Ledger, selection: dict[str, object], expected: list[str]) -> None:
        names = ("dead", "failed", "sent", "confirmed", "leased", "pending")
        ledger.instances.record([received(number) for number in range(len(names))])
        finish(ledger, *(deidentified(claimed.instance_id) for claimed in claim(ledger)))
        by_name = dict(zip(names, take(ledger, max_count=5), strict=False))
        ledger.deliveries.record(
            "deliverer",
            [outcome(by_name[name].delivery_id, name) for name in ("dead", "failed", "sent", "confirmed")],
        )
        count = ledger.deliveries.retry(**selection, now=at(1))  # type: ignore[arg-type]
        due = {taken.delivery_id for taken in take(ledger, seconds=2)}
        retried = [name for name in ("dead", "failed", "sent") if by_name[name].delivery_id in due]
        assert (count, retried) == (len(expected), expected)

    def test_deliveries_are_listed_by_what_is_asked(self, ledger: Ledger) -> None:
        ids = [bring(ledger, InstanceState.DEIDENTIFIED, number) for number in range(3)]
        (taken,) = take(ledger, max_count=1)
        ledger.deliveries.record("deliverer", [outcome(taken.delivery_id)], now=at(3))
        assert [each.instance_id for each in ledger.deliveries.entries()] == ids
        assert [each.instance_id for each in ledger.deliveries.entries(state=DeliveryState.PENDING)] == ids[1:]
        (confirmed,) = ledger.deliveries.entries(state=DeliveryState.CONFIRMED)
        assert (confirmed.instance_id, confirmed.changed_at, confirmed.owner) == (ids[0], at(3), None)
        assert [each.instance_id for each in ledger.deliveries.entries(instance_id=ids[1])] == [ids[1]]
        assert ledger.deliveries.entries(destination="nowhere") == []
        assert len(ledger.deliveries.entries(limit=1, after=confirmed.delivery_id)) == 1

    def test_the_provenance_of_an_output(self, ledger: Ledger) -> None:
        made = bring(ledger, InstanceState.DELIVERED, 1)
        waiting = bring(ledger, InstanceState.HELD, 2)
        provenance = ledger.history.provenance(made)
        assert (provenance.project, provenance.profile_digest) == ("lungs", "d" * 64)
        for other in (waiting, 10**9):
            with pytest.raises(LookupError):
                ledger.history.provenance(other)

    # Purging and illegal moves

    def test_what_may_be_purged(self, ledger: Ledger) -> None:
        ids = bring_each(ledger)
        del ids[InstanceState.PURGED]
        bring(ledger, InstanceState.RECEIVED, 99)
        assert ledger.retention.purge(START, 10, now=at(2)) == []
        # Oldest first, as many as are wanted.
        found = ledger.retention.purge(at(1), 1, now=at(2)) + ledger.retention.purge(at(1), 10, now=at(2))
        assert [each.instance_id for each in found] == [ids[InstanceState.REJECTED], ids[InstanceState.DELIVERED]]
        assert ledger.retention.purge(at(9), 10, now=at(3)) == []
        assert state_of(ledger, ids[InstanceState.DELIVERED]) == "purged"
        assert state_of(ledger, ids[InstanceState.REJECTED]) == "rejected"
        names = [each.spool_name for each in found]
        assert sorted(ledger.retention.purged_of([received(98).spool_name, received(99).spool_name, *names])) == sorted(
            names
        )
        assert len(list(ledger.instances.known_spool_names())) == 6
        assert ledger.accounts.draw().balanced

    @pytest.mark.parametrize("state", [state for state in InstanceState if state is not InstanceState.HELD])
    def test_resuming_anything_but_held_is_refused_whole(self, ledger: Ledger, state: InstanceState) -> None:
        good = bring(ledger, InstanceState.HELD, 1)
        bad = bring(ledger, state, 2)
        with pytest.raises(IllegalTransition, match=f"instance {bad} from {state} to received"):
            ledger.reviews.resume([good, bad], by="operator")
        assert state_of(ledger, good) == "held"

    # Figures and the balance: promise P3

    def test_an_empty_ledger_balances(self, ledger: Ledger) -> None:
        account = ledger.accounts.draw()
        assert (account.balanced, account.received, account.recorded, account.projects) == (True, 0, 0, ())
        assert ledger.figures.status().instances == ()
        ledger.ping()
        figures = ledger.figures.queues()
        assert (figures.received, figures.leased, figures.oldest_received, figures.held) == (0, 0, None, 0)
        assert figures.oldest_held is None
        ledger.pulse.beat(now=START)
        ledger.pulse.beat(now=at(1))

    def test_figures_of_every_state(self, ledger: Ledger) -> None:
        bring_each(ledger)
        ledger.instances.record([received(90), received(91), received(92)], now=START)
        (leased,) = claim(ledger, limit=1)
        status = ledger.figures.status()
        expected = dict.fromkeys(InstanceState, 1) | {InstanceState.RECEIVED: 3}
        assert {state: status.instance_count(state) for state in InstanceState} == expected
        waiting = next(row for row in status.instances if row.state is InstanceState.RECEIVED)
        assert (waiting.project, waiting.count, waiting.oldest) == (None, 3, received(90).received_at)
        assert waiting.size == sum(received(number).size for number in (90, 91, 92))
        assert {(row.state.value, row.code, row.count) for row in status.reasons} == {
            ("held", "rule-failed", 1),
            ("rejected", "no-reports", 1),
        }
        figures = ledger.figures.queues()
        assert (figures.received, figures.leased, figures.held) == (2, 1, 1)
        assert figures.oldest_received == received(91).received_at
        assert figures.oldest_held == START
        assert leased.spool_name == received(90).spool_name
        account = ledger.accounts.draw()
        assert account.balanced
        assert account.received == account.recorded == 8
        lungs = next(row for row in account.projects if row.project == "lungs")
        assert (dict(lungs.held), dict(lungs.rejected)) == ({"rule-failed": 1}, {"no-reports": 1})
        assert lungs.received == lungs.accounted == 5

    def test_figures_of_deliveries(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(5)])
        ids = [claimed.instance_id for claimed in claim(ledger)]
        ledger.instances.finish("worker", [deidentified(each) for each in ids[:4]], now=at(1))
        ledger.instances.finish("worker", [deidentified(ids[4])], now=at(2))
        states = ("confirmed", "failed", "sent", "dead")
        taken = take(ledger, seconds=2, max_count=4)
        ledger.deliveries.record(
            "deliverer",
            [outcome(each.delivery_id, state) for each, state in zip(taken, states, strict=True)],  # type: ignore[arg-type]
        )
        depths = {row.state.value: (row.count, row.oldest) for row in ledger.figures.queues().deliveries}
        assert depths == {
            "failed": (1, at(1)),
            "sent": (1, at(1)),
            "dead": (1, at(1)),
            "pending": (1, at(2)),
        }
        status = ledger.figures.status()
        every = dict.fromkeys(DeliveryState, 1) | {DeliveryState.SUPERSEDED: 0, DeliveryState.CANCELLED: 0}
        assert {state: status.delivery_count(state) for state in DeliveryState} == every
        assert ledger.accounts.draw().balanced

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            ("DELETE FROM history WHERE state_after = 'received'", "should be by the history"),
            ("UPDATE instances SET code = '' WHERE state = 'held'", "without a reason"),
            ("UPDATE instances SET code = '' WHERE state = 'rejected'", "without a reason"),
            ("UPDATE instances SET code = 'duplicate' WHERE state = 'rejected'", "duplicate of nothing"),
            ("DELETE FROM outputs", "without the record of an output"),
            ("UPDATE outputs SET destinations = 2", "for each of their destinations"),
            (
                "UPDATE deliveries SET state = 'dead' WHERE state = 'confirmed'",
                "neither confirmed, superseded nor cancelled",
            ),
            ("UPDATE deliveries SET state = 'confirmed' WHERE state = 'pending'", "all their deliveries are settled"),
            ("UPDATE deliveries SET state = 'superseded' WHERE state = 'confirmed'", "superseded by nothing newer"),
            ("UPDATE instances SET state = 'held', code = 'x' WHERE state = 'deidentified'", "not de-identified"),
            ("UPDATE instances SET lease_owner = 'x' WHERE state = 'held'", "not received"),
            ("UPDATE instances SET state = 'delivered' WHERE state = 'held'", "should be by the history"),
        ],
    )
    def test_p3_damage_unbalances_the_account(self, ledger: Ledger, damage: str, words: str) -> None:
        bring_each(ledger)
        bring(ledger, InstanceState.RECEIVED, 99)
        assert ledger.accounts.draw().balanced
        with ledger._database.engine.begin() as connection:
            connection.execute(sa.text(damage))
        account = ledger.accounts.draw()
        assert not account.balanced
        assert any(words in problem for problem in account.problems)

    def test_the_present_moment_is_the_default(self, ledger: Ledger) -> None:
        before = utc_now()
        (instance_id,) = ledger.instances.record([received(1)])
        ledger.instances.claim("worker", limit=1, lease_seconds=60)
        ledger.instances.finish("worker", [deidentified(instance_id)])
        ((taken,),) = ledger.deliveries.claim("archive", "d", max_count=1, max_bytes=1, lease_seconds=60)
        ledger.deliveries.record("d", [DeliveryResult(delivery_id=taken.delivery_id, state="confirmed")])
        moments = [entry.at for entry in ledger.history.of(instance_id)]
        assert before <= moments[0]
        assert moments == sorted(moments)
        assert moments[-1] <= utc_now()
