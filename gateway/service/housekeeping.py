"""Housekeeping: originals go when every destination has confirmed and the retention time has passed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.ledger import Ledger
from gateway.spool import Spool

log = structlog.get_logger(__name__)

_BATCH: Final = 500


class Housekeeping:
    """Removes the bytes of delivered and rejected instances whose retention has passed.

    The ledger gives them up first, their files go after: an instance that somebody wants again in between is either
    left alone, or known to be gone. Files that could not be removed go the next time; those that a crash left, at the
    next start.

    Parameters
    ----------
    spool, ledger
        of the gateway
    retention_seconds
        since an instance was delivered or rejected
    """

    def __init__(self, spool: Spool, ledger: Ledger, *, retention_seconds: float) -> None:
        self._spool = spool
        self._ledger = ledger
        self._retention = timedelta(seconds=retention_seconds)
        #: Given up, and not removed yet.
        self._left: list[str] = []

    def purge(self, now: datetime) -> int:
        """Purge whatever may go at the moment ``now``.

        Returns
        -------
        The number of instances purged.

        Raises
        ------
        SpoolUnavailable
            a file cannot be removed
        LedgerUnavailable
            the ledger cannot be written
        """
        purged = 0
        self._remove()
        while given_up := self._ledger.retention.purge(now - self._retention, _BATCH):
            self._left = [one.spool_name for one in given_up]
            purged += len(given_up)
            self._remove()
        if purged:
            log.info("purged", count=purged)
        return purged

    def _remove(self) -> None:
        while self._left:
            self._spool.remove(self._left[-1])
            self._left.pop()
