"""What the ledger makes of a worker that died, whatever database it runs on."""

from __future__ import annotations

from gateway.ledger import Blamed, Ledger
from tests.unit.ledger.build import at, received

BLAMED = Blamed(instance_id=2, code="instance-overran", detail="it took more than 300 s")


class CrashContract:
    """Run by a class that provides the fixture ``ledger``: an empty, migrated ledger."""

    def test_the_attempt_counts_for_the_instance_at_work_alone(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(3)], now=at(0))
        ledger.instances.claim("node/worker", limit=3, lease_seconds=60, now=at(1))
        assert ledger.deliveries.release("node/worker", crashed=True, blamed=BLAMED, now=at(2)) == 3
        claims = ledger.instances.claim("node/worker", limit=3, lease_seconds=60, now=at(3))
        assert [(claim.instance_id, claim.attempts, claim.code) for claim in claims] == [
            (1, 1, ""),
            (2, 2, "instance-overran"),
            (3, 1, ""),
        ]

    def test_without_one_it_counts_for_all(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(2)], now=at(0))
        ledger.instances.claim("node/worker", limit=2, lease_seconds=60, now=at(1))
        ledger.deliveries.release("node/worker", crashed=True, now=at(2))
        claims = ledger.instances.claim("node/worker", limit=2, lease_seconds=60, now=at(3))
        assert [claim.attempts for claim in claims] == [2, 2]

    def test_one_that_somebody_else_has_is_not_blamed(self, ledger: Ledger) -> None:
        ledger.instances.record([received(number) for number in range(2)], now=at(0))
        ledger.instances.claim("node/other", limit=2, lease_seconds=60, now=at(1))
        assert ledger.deliveries.release("node/worker", crashed=True, blamed=BLAMED, now=at(2)) == 0
        ledger.deliveries.release("node/other", now=at(3))
        claims = ledger.instances.claim("node/other", limit=2, lease_seconds=60, now=at(4))
        assert [(claim.attempts, claim.code) for claim in claims] == [(1, ""), (1, "")]
