"""The books of one destination, out of the ledger: see ``gateway.deliver.books``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from gateway.deliver.books import Holder
from gateway.ledger import Ledger


class LedgerBooks:
    """What the ledger knows for one destination. Safe for use from several threads.

    Parameters
    ----------
    ledger
        where the deliveries are
    destination
        name of the destination
    quiet_seconds
        for so long after the last instance of a study was received more may come; None if studies are whole
        when they are delivered
    """

    def __init__(self, ledger: Ledger, destination: str, *, quiet_seconds: float | None) -> None:
        self._ledger = ledger
        self._destination = destination
        self._quiet_seconds = quiet_seconds

    def awaits(self, study_uid: str, besides: Collection[int]) -> float | None:
        """Whether more of a study is on its way: see ``Books``."""
        now = datetime.now(UTC)
        again_at = self._ledger.deliveries.awaits(
            self._destination, study_uid, besides=besides, quiet_seconds=self._quiet_seconds, now=now
        )
        return None if again_at is None else (again_at - now).total_seconds()

    def hold(self, kind: str, label: str, of: str) -> Holder:
        """Who has a label: see ``Books``."""
        return Holder(*self._ledger.labels.hold(self._destination, kind, label, of))
