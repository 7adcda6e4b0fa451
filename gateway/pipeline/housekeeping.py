"""Housekeeping: originals go when every destination has confirmed and the retention time has passed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.ledger import Ledger
from gateway.spool import Spool

log = structlog.get_logger(__name__)

_BATCH: Final = 500


def purge(spool: Spool, ledger: Ledger, *, retention_seconds: float, now: datetime) -> int:
    """Remove the bytes of delivered and rejected instances whose retention has passed.

    Files go first and rows are marked after: a crash in between only repeats the removal.

    Returns
    -------
    The number of instances purged.

    Raises
    ------
    SpoolUnavailable: a file cannot be removed
    LedgerUnavailable: the ledger cannot be written
    """
    before = now - timedelta(seconds=retention_seconds)
    purged = 0
    while rows := ledger.purgeable(before=before, limit=_BATCH):
        for row in rows:
            spool.remove(row.spool_name)
        ledger.mark_purged([row.instance_id for row in rows])
        purged += len(rows)
    if purged:
        log.info("purged", count=purged)
    return purged
