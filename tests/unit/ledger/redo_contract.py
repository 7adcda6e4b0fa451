"""What is made anew and delivered again, whatever database the ledger runs on (promises P3, P14)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.audit import AuditAction, AuditEntry
from gateway.ledger import (
    DeidentifiedResult,
    DeliveryResult,
    DeliveryState,
    InstanceState,
    Ledger,
    Redone,
    Resent,
    Selection,
)
from tests.unit.ledger.build import at, deidentified, held, received

AUDIT = AuditEntry(actor="pacs", action=AuditAction.DELIVERY_FORCED, subject="archive", because="it was emptied")
BOTH = ("archive", "folder")


def make(ledger: Ledger, number: int, result: DeidentifiedResult | None = None, *, now: float) -> None:
    """Receive an instance, which becomes the row ``number``, and de-identify it."""
    assert ledger.instances.record([received(number)], now=at(now)) == [number]
    work(ledger, result or deidentified(number, destinations=BOTH, asks=("folder",)), now=now)


def work(ledger: Ledger, result: DeidentifiedResult, *, now: float) -> InstanceState | None:
    claims = ledger.instances.claim("worker", limit=9, lease_seconds=60, now=at(now))
    assert [claim.instance_id for claim in claims] == [result.instance_id]
    return ledger.instances.finish("worker", [result], now=at(now))[0].state


def deliver(ledger: Ledger, *destinations: str, now: float, state: str = "confirmed", **named: object) -> list[str]:
    """Let what is due be claimed, and end like this; the states in which it was claimed."""
    found = []
    for destination in destinations:
        (claims,) = ledger.deliveries.claim(
            destination, "deliverer", max_count=99, max_bytes=10**9, lease_seconds=60, now=at(now)
        ) or [[]]
        found += [claim.state.value for claim in claims]
        receipt = {"project": "lungs"} if state == "confirmed" else None
        results = [
            DeliveryResult(delivery_id=claim.delivery_id, state=state, receipt=receipt, **named)  # type: ignore[arg-type]
            for claim in claims
        ]
        ledger.deliveries.record("deliverer", results, now=at(now))
    return found


def states(ledger: Ledger, number: int) -> dict[str, str]:
    return {row.destination: row.state.value for row in ledger.deliveries.entries(instance_id=number)}


def state(ledger: Ledger, number: int) -> str:
    return str(
        ledger.history.of(number)[-1].after
        if not ledger.deliveries.entries(instance_id=number)
        else _last(ledger, number)
    )


def _last(ledger: Ledger, number: int) -> str:
    return next(str(row.after) for row in reversed(ledger.history.of(number)) if row.delivery_id is None)


def balanced(ledger: Ledger) -> None:
    assert ledger.accounts.draw().problems == ()


class RedoContract:
    """Run by a class that provides the fixture ``ledger``: an empty, migrated ledger."""

    @pytest.mark.parametrize(
        ("destination", "sent"),
        [
            (None, {"archive": "pending", "folder": "pending"}),
            ("folder", {"archive": "confirmed", "folder": "pending"}),
        ],
    )
    def test_delivered_ones_are_sent_again(self, ledger: Ledger, destination: str | None, sent: dict[str, str]) -> None:
        make(ledger, 1, now=0)
        deliver(ledger, *BOTH, now=1)
        assert state(ledger, 1) == "delivered"
        done = ledger.corrections.resend(Selection(study_uid="2.25.1"), destination=destination, audit=AUDIT, now=at(2))
        assert done == Resent(deliveries=len([one for one in sent.values() if one == "pending"]))
        assert states(ledger, 1) == sent
        assert state(ledger, 1) == "deidentified"
        balanced(ledger)
        deliver(ledger, *BOTH, now=3)
        assert state(ledger, 1) == "delivered"
        # Each time that it was sent has its receipt.
        assert len(list(ledger.receipts.read(instance_id=1))) == 2 + done.deliveries
        balanced(ledger)
        (entry,) = ledger.audit.trail()
        assert entry.document.count("it was emptied") == 1
        assert '"asked":"study 2.25.1"' in entry.document.replace(": ", ":")

    def test_asked_first_nothing_is_sent_where_it_is(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        deliver(ledger, *BOTH, now=1)
        assert (
            ledger.corrections.resend(
                Selection(), destination="folder", if_missing=True, audit=AUDIT, now=at(2)
            ).deliveries
            == 1
        )
        assert deliver(ledger, *BOTH, now=3) == ["sent"]
        assert state(ledger, 1) == "delivered"
        assert len(list(ledger.receipts.read(instance_id=1))) == 2  # none for what was not sent
        balanced(ledger)

    def test_a_destination_that_was_added_later(self, ledger: Ledger) -> None:
        make(ledger, 1, deidentified(1), now=0)
        deliver(ledger, "archive", now=1)
        assert ledger.corrections.resend(Selection(), destination="new", audit=AUDIT, now=at(2)) == Resent(unwanted=1)
        assert ledger.corrections.resend(
            Selection(), destination="new", also_new=True, audit=AUDIT, now=at(2)
        ) == Resent(deliveries=1, created=1)
        balanced(ledger)
        assert deliver(ledger, "archive", "new", now=3) == ["pending"]
        assert state(ledger, 1) == "delivered"
        balanced(ledger)

    def test_what_is_purged_or_under_way_is_told(self, ledger: Ledger) -> None:
        make(ledger, 1, deidentified(1, study="2.25.11"), now=0)
        deliver(ledger, "archive", now=1)
        ledger.retention.purge(at(2), 9, now=at(2))
        make(ledger, 2, deidentified(2, study="2.25.12"), now=3)
        assert ledger.corrections.resend(Selection(), audit=AUDIT, now=at(4)) == Resent(gone=1, under_way=1)
        assert ledger.corrections.redo(Selection(study_uid="2.25.11"), audit=AUDIT, now=at(4)) == Redone(gone=1)
        balanced(ledger)

    def test_only_what_is_selected(self, ledger: Ledger) -> None:
        for number in (1, 2, 3):
            values = {"patient_id": f"P{number}", "series_uid": f"2.25.3{number}"}
            make(ledger, number, deidentified(number, study=f"2.25.1{number}", **values), now=number)
        deliver(ledger, "archive", now=9)
        deliver(ledger, "archive", now=10)
        deliver(ledger, "archive", now=11)
        received_at = received(2).received_at
        for selection in (
            Selection(study_uid="2.25.12"),
            Selection(series_uid="2.25.32"),
            Selection(sop_uid="2.25.92"),
            Selection(patient_id="P2"),
            Selection(instance_ids=[2]),
            Selection(since=received_at, until=received(3).received_at),
            Selection(project="lungs", source="ct-scanner", destination="archive", patient_id="P2"),
        ):
            assert ledger.corrections.resend(selection, audit=AUDIT, now=at(20)).deliveries == 1, selection
            assert deliver(ledger, "archive", now=21) == ["pending"]
            assert _last(ledger, 2) == "delivered"
        for selection in (
            Selection(study_uid="2.25.99"),
            Selection(instance_ids=[]),
            Selection(project="others"),
            Selection(source="nobody"),
            Selection(destination="elsewhere"),
            Selection(until=received(1).received_at),
        ):
            assert ledger.corrections.resend(selection, audit=AUDIT, now=at(20)) == Resent(), selection
        balanced(ledger)

    @pytest.mark.parametrize("keep", [False, True])
    def test_a_delivered_instance_is_made_anew(self, ledger: Ledger, *, keep: bool) -> None:
        make(ledger, 1, now=0)
        deliver(ledger, "archive", now=1)
        assert ledger.corrections.redo(Selection(), keep_confirmed=keep, audit=AUDIT, now=at(2)) == Redone(instances=1)
        assert states(ledger, 1) == {"archive": "confirmed" if keep else "cancelled", "folder": "cancelled"}
        balanced(ledger)
        assert deliver(ledger, *BOTH, now=3) == []
        again = deidentified(1, study="2.25.77", destinations=BOTH, profile_digest="e" * 64)
        assert work(ledger, again, now=4) is InstanceState.DEIDENTIFIED
        assert states(ledger, 1) == {"archive": "confirmed" if keep else "pending", "folder": "pending"}
        assert deliver(ledger, *BOTH, now=5) == ["pending"] * (1 if keep else 2)
        assert state(ledger, 1) == "delivered"
        balanced(ledger)

    def test_made_anew_for_other_destinations(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        deliver(ledger, "archive", now=1)
        ledger.corrections.redo(Selection(), audit=AUDIT, now=at(2))
        work(ledger, deidentified(1, destinations=("folder", "new")), now=3)
        assert states(ledger, 1) == {"archive": "cancelled", "folder": "pending", "new": "pending"}
        balanced(ledger)
        deliver(ledger, "folder", "new", now=4)
        assert state(ledger, 1) == "delivered"
        balanced(ledger)

    @pytest.mark.parametrize("move_to", [None, "elsewhere"])  # a destination is given up, or goes by another name
    @pytest.mark.parametrize("again", [("folder",), ("folder", "elsewhere"), BOTH])
    def test_made_anew_after_a_person_had_ended_a_delivery(
        self, ledger: Ledger, move_to: str | None, again: tuple[str, ...]
    ) -> None:
        make(ledger, 1, now=0)
        ledger.corrections.cancel(Selection(), destination="archive", move_to=move_to, audit=AUDIT, now=at(1))
        balanced(ledger)
        ledger.corrections.redo(Selection(), audit=AUDIT, now=at(2))
        balanced(ledger)
        work(ledger, deidentified(1, destinations=again), now=3)
        balanced(ledger)
        assert {name for name, one in states(ledger, 1).items() if one == "pending"} == set(again)
        deliver(ledger, *again, now=4)
        assert state(ledger, 1) == "delivered"
        balanced(ledger)

    def test_made_anew_and_held_then_made_anew(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        ledger.corrections.redo(Selection(), audit=AUDIT, now=at(2))
        ledger.instances.claim("worker", limit=1, lease_seconds=60, now=at(3))
        ledger.instances.finish("worker", [held(1)], now=at(3))
        balanced(ledger)
        assert ledger.corrections.redo(Selection(), audit=AUDIT, now=at(4)) == Redone(instances=1)
        work(ledger, deidentified(1, destinations=BOTH), now=5)
        deliver(ledger, *BOTH, now=6)
        assert state(ledger, 1) == "delivered"
        balanced(ledger)

    def test_what_somebody_has_is_left_alone(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        ledger.deliveries.claim("archive", "other", max_count=1, max_bytes=1, lease_seconds=60, now=at(1))
        assert ledger.corrections.redo(Selection(), audit=AUDIT, now=at(2)) == Redone(under_way=1)
        assert ledger.corrections.cancel(Selection(), destination="archive", audit=AUDIT, now=at(2)) == 0
        assert state(ledger, 1) == "deidentified"
        balanced(ledger)

    @pytest.mark.parametrize(("how", "after"), [("remake", "received"), ("hold", "held")])
    def test_an_output_of_an_earlier_profile_is_not_sent(self, ledger: Ledger, how: str, after: str) -> None:
        make(ledger, 1, now=0)
        deliver(ledger, "archive", now=1)
        deliver(ledger, "folder", now=2, state="failed", next_attempt_at=at(3), remake=how)
        assert states(ledger, 1) == {"archive": "confirmed", "folder": "cancelled"}
        assert _last(ledger, 1) == after
        assert deliver(ledger, *BOTH, now=9) == []
        balanced(ledger)

    def test_where_another_destination_is_at_work_it_comes_up_again(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        ledger.deliveries.claim("archive", "other", max_count=1, max_bytes=1, lease_seconds=60, now=at(1))
        deliver(ledger, "folder", now=2, state="failed", next_attempt_at=at(3), remake="remake")
        assert states(ledger, 1) == {"archive": "pending", "folder": "failed"}
        assert deliver(ledger, "folder", now=3, state="failed", next_attempt_at=at(4)) == ["failed"]

    def test_a_copy_of_a_delivered_instance_has_destinations_asked(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        deliver(ledger, *BOTH, now=1)
        ledger.instances.record([received(2)], now=at(2))
        copy = replace(deidentified(2, destinations=BOTH, asks=("folder",)), sop_key=deidentified(1).sop_key)
        copy = replace(copy, content_key=deidentified(1).content_key)
        assert work(ledger, copy, now=3) is InstanceState.REJECTED
        # Only who can be asked; who cannot has had it.
        assert states(ledger, 1) == {"archive": "confirmed", "folder": "sent"}
        balanced(ledger)
        assert deliver(ledger, *BOTH, now=4) == ["sent"]
        assert state(ledger, 1) == "delivered"
        balanced(ledger)

    def test_a_copy_of_a_purged_instance_takes_its_place(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        deliver(ledger, *BOTH, now=1)
        ledger.retention.purge(at(2), 9, now=at(2))
        ledger.instances.record([received(2)], now=at(3))
        copy = replace(
            deidentified(2, destinations=BOTH, asks=("folder",)),
            sop_key=deidentified(1).sop_key,
            content_key=deidentified(1).content_key,
        )
        assert work(ledger, copy, now=4) is InstanceState.DEIDENTIFIED
        assert states(ledger, 2) == {"folder": "sent"}
        assert deliver(ledger, *BOTH, now=5) == ["sent"]
        assert state(ledger, 2) == "delivered"
        assert len(list(ledger.receipts.read(instance_id=2))) == 1
        balanced(ledger)
        # The next copy is a duplicate of that one.
        ledger.instances.record([received(3)], now=at(6))
        assert work(ledger, replace(copy, instance_id=3), now=7) is InstanceState.REJECTED
        balanced(ledger)

    @pytest.mark.parametrize("purged", [False, True])
    def test_a_copy_of_an_older_version_goes_nowhere(self, ledger: Ledger, *, purged: bool) -> None:
        """Whoever is asked would have the newer one, and be given the older."""
        first = deidentified(1, destinations=BOTH, asks=("folder",))
        make(ledger, 1, first, now=0)
        deliver(ledger, *BOTH, now=1)
        newer = replace(deidentified(2, destinations=BOTH, asks=("folder",)), sop_key=first.sop_key, content_key="2")
        make(ledger, 2, newer, now=2)
        deliver(ledger, *BOTH, now=3)
        if purged:
            ledger.retention.purge(at(4), 9, now=at(4))
        ledger.instances.record([received(3)], now=at(5))
        assert work(ledger, replace(first, instance_id=3), now=6) is InstanceState.REJECTED
        assert deliver(ledger, *BOTH, now=7) == []
        # A copy of the newer one has them asked.
        ledger.instances.record([received(4)], now=at(8))
        work(ledger, replace(newer, instance_id=4), now=9)
        assert deliver(ledger, *BOTH, now=10) == ["sent"]
        balanced(ledger)

    def test_a_copy_of_an_older_version_beside_a_newer_one(self, ledger: Ledger) -> None:
        """Both were received together, and are recorded by one transaction."""
        first = deidentified(1, destinations=BOTH, asks=("folder",))
        make(ledger, 1, first, now=0)
        deliver(ledger, *BOTH, now=1)
        ledger.instances.record([received(2), received(3)], now=at(2))
        ledger.instances.claim("worker", limit=9, lease_seconds=60, now=at(3))
        newer = replace(deidentified(3, destinations=BOTH, asks=("folder",)), sop_key=first.sop_key, content_key="2")
        ledger.instances.finish("worker", [replace(first, instance_id=2), newer], now=at(3))
        assert states(ledger, 1) == {"archive": "confirmed", "folder": "confirmed"}
        assert deliver(ledger, *BOTH, now=4) == ["pending", "pending"]
        balanced(ledger)

    def test_without_anybody_to_ask_it_stays_a_duplicate(self, ledger: Ledger) -> None:
        make(ledger, 1, deidentified(1), now=0)
        deliver(ledger, "archive", now=1)
        ledger.retention.purge(at(2), 9, now=at(2))
        ledger.instances.record([received(2)], now=at(3))
        copy = replace(deidentified(2), sop_key=deidentified(1).sop_key, content_key=deidentified(1).content_key)
        assert work(ledger, copy, now=4) is InstanceState.REJECTED
        balanced(ledger)

    def test_a_copy_of_a_lost_one_takes_its_place(self, ledger: Ledger) -> None:
        make(ledger, 1, deidentified(1), now=0)
        deliver(ledger, "archive", now=1, state="dead", code="output-lost")
        ledger.instances.record([received(2)], now=at(3))
        copy = replace(deidentified(2), sop_key=deidentified(1).sop_key, content_key=deidentified(1).content_key)
        assert work(ledger, copy, now=4) is InstanceState.DEIDENTIFIED
        assert states(ledger, 1) == {"archive": "superseded"}
        assert deliver(ledger, "archive", now=5) == ["pending"]
        assert [_last(ledger, number) for number in (1, 2)] == ["delivered", "delivered"]
        balanced(ledger)

    def test_a_copy_of_a_damaged_one_takes_its_place(self, ledger: Ledger) -> None:
        ledger.instances.record([received(1)], now=at(0))
        ledger.instances.claim("worker", limit=1, lease_seconds=60, now=at(1))
        damaged = held(
            1, code="spool-corrupt", sop_key=deidentified(1).sop_key, content_key=deidentified(1).content_key
        )
        ledger.instances.finish("worker", [damaged], now=at(1))
        ledger.instances.record([received(2)], now=at(3))
        copy = replace(deidentified(2), sop_key=deidentified(1).sop_key, content_key=deidentified(1).content_key)
        assert work(ledger, copy, now=4) is InstanceState.DEIDENTIFIED
        assert _last(ledger, 1) == "rejected"
        balanced(ledger)

    def test_deliveries_are_cancelled_or_moved(self, ledger: Ledger) -> None:
        make(ledger, 1, now=0)
        make(ledger, 2, deidentified(2, study="2.25.22", destinations=("archive",)), now=1)
        assert (
            ledger.corrections.cancel(Selection(), destination="archive", move_to="folder", audit=AUDIT, now=at(2)) == 2
        )
        assert states(ledger, 1) == {"archive": "cancelled", "folder": "pending"}
        assert states(ledger, 2) == {"archive": "cancelled", "folder": "pending"}
        balanced(ledger)
        assert ledger.corrections.cancel(Selection(instance_ids=[2]), destination="folder", audit=AUDIT, now=at(3)) == 1
        # Of the second nothing is left to deliver.
        assert [_last(ledger, number) for number in (1, 2)] == ["deidentified", "delivered"]
        balanced(ledger)
        assert {row.state for row in ledger.deliveries.entries(instance_id=2)} == {DeliveryState.CANCELLED}
