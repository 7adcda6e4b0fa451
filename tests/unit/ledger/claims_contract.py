"""Deliveries are claimed in batches, and leases given back. On whatever database."""

from __future__ import annotations

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
            ledger.finish("worker", [deidentified(number, study=study)], now=at(second))
        claimed = ledger.claim_deliveries(
            "archive", "d", max_count=max_count, max_bytes=1 << 40, lease_seconds=60, batches=batches, now=at(9)
        )
        assert ["".join(claim.study_uid for claim in batch) for batch in claimed] == expected
        assert len({claim.delivery_id for batch in claimed for claim in batch}) == len("".join(expected))

    def test_leases_that_are_kept_are_not_released(self, ledger: Ledger) -> None:
        bring(ledger, InstanceState.DEIDENTIFIED, 1)
        (kept,) = take(ledger, owner="node")
        bring(ledger, InstanceState.DEIDENTIFIED, 2)
        (other,) = take(ledger, owner="node")
        assert ledger.release("node", crashed=True, keep=[kept.delivery_id], now=START) == 1
        (again,) = take(ledger, owner="node")
        assert (again.delivery_id, again.attempts) == (other.delivery_id, 2)
        assert ledger.record_outcomes("node", [outcome(kept.delivery_id)], now=START).lost == ()
