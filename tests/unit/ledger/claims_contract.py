"""Deliveries are claimed in batches, and leases given back. On whatever database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.ledger import InstanceState, Ledger
from tests.unit.ledger.build import START, at, bring, deidentified, one, outcome, take


class ClaimsContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    @pytest.mark.parametrize(
        ("batches", "max_count", "expected"),
        [
            (1, 9, ["aaa"]),
            # Of one study each, the one that waits longest first; what fills a batch goes on after the others.
            (2, 9, ["aaa", "b"]),
            (9, 9, ["aaa", "b", "c"]),
            (4, 2, ["aa", "b", "c", "a"]),
            (3, 2, ["aa", "b", "c"]),
            # One for all.
            (None, 9, ["aaabc"]),
            (None, 4, ["aaab"]),
        ],
    )
    def test_several_batches_are_claimed_at_once(
        self, ledger: Ledger, batches: int | None, max_count: int, expected: list[str]
    ) -> None:
        ids = [one(ledger, number) for number in range(5)]
        for second, (number, study) in enumerate(zip(ids, "aaabc", strict=True)):
            ledger.instances.finish("worker", [deidentified(number, study=study)], now=at(second))
        claimed = ledger.deliveries.claim(
            "archive", "d", max_count=max_count, max_bytes=1 << 40, lease_seconds=60, batches=batches, now=at(9)
        )
        assert ["".join(claim.study_uid for claim in batch) for batch in claimed] == expected
        assert len({claim.delivery_id for batch in claimed for claim in batch}) == len("".join(expected))

    def test_leases_that_are_kept_are_not_released(self, ledger: Ledger) -> None:
        bring(ledger, InstanceState.DEIDENTIFIED, 1)
        (kept,) = take(ledger, owner="node")
        bring(ledger, InstanceState.DEIDENTIFIED, 2)
        (other,) = take(ledger, owner="node")
        assert ledger.deliveries.release("node", crashed=True, keep=[kept.delivery_id], now=START) == 1
        (again,) = take(ledger, owner="node")
        assert (again.delivery_id, again.attempts) == (other.delivery_id, 2)
        assert ledger.deliveries.record("node", [outcome(kept.delivery_id)], now=START).lost == ()

    def test_an_attempt_that_was_put_off_is_none(self, ledger: Ledger) -> None:
        bring(ledger, InstanceState.DEIDENTIFIED, 1)
        for second in range(3):
            (claim,) = take(ledger, owner="d", seconds=second * 10)
            assert claim.attempts == 1
            put_off = replace(outcome(claim.delivery_id, "failed", due=second * 10 + 1), counts=False)
            ledger.deliveries.record("d", [put_off], now=at(second * 10))
            assert ledger.deliveries.entries()[0].attempts == 0
        (claim,) = take(ledger, owner="d", seconds=60)
        ledger.deliveries.record("d", [outcome(claim.delivery_id, "failed")], now=at(60))
        assert ledger.deliveries.entries()[0].attempts == 1

    def test_the_rest_of_a_study(self, ledger: Ledger) -> None:
        """Pending and failing deliveries of the study are waited for; those that were sent, and dead ones, are not."""
        ids = [one(ledger, number) for number in range(3)]
        for number in ids:
            ledger.instances.finish("worker", [deidentified(number, study="a")], now=at(1))
        other = one(ledger, 9)
        ledger.instances.finish("worker", [deidentified(other, study="b")], now=at(1))

        def rest(*besides: int, quiet: float | None = None, second: float = 5) -> float | None:
            again = ledger.deliveries.awaits("archive", "a", besides=besides, quiet_seconds=quiet, now=at(second))
            return None if again is None else (again - at(second)).total_seconds()

        first, second, third = sorted(
            entry.delivery_id for entry in ledger.deliveries.entries() if entry.instance_id != other
        )
        assert rest() == rest(first) == rest(first, second) == 1.0
        assert rest(first, second, third) is None
        # Until the study has been quiet for so long, whatever is known of it now.
        assert rest(first, second, third, quiet=30) == pytest.approx(25, abs=1)
        assert rest(first, second, third, quiet=30, second=40) is None
        assert ledger.deliveries.awaits("elsewhere", "a", besides=(), quiet_seconds=None, now=at(5)) is None
        claims = {claim.delivery_id: claim for claim in take(ledger, owner="d", seconds=6, max_count=3)}
        assert set(claims) == {first, second, third}
        ledger.deliveries.record(
            "d",
            [outcome(first, "sent"), outcome(second, "dead"), outcome(third, "failed")],
            now=at(6),
        )
        assert rest() == 1.0
        assert rest(third) is None
        # One that fails for an hour is not waited for any longer.
        assert rest(second=3700) is None

    def test_a_label_is_given_once(self, ledger: Ledger) -> None:
        assert ledger.labels.hold("xnat", "subject", "Pat-A", "PAT 1") == ("Pat-A", "PAT 1")
        assert ledger.labels.hold("xnat", "subject", "PAT-a", "PAT 2") == ("Pat-A", "PAT 1")
        assert ledger.labels.hold("xnat", "subject", "Pat-A", "PAT 1") == ("Pat-A", "PAT 1")
        assert ledger.labels.hold("xnat", "session", "pat-a", "2.25.1") == ("pat-a", "2.25.1")
        assert ledger.labels.hold("other", "subject", "pat-a", "PAT 2") == ("pat-a", "PAT 2")
