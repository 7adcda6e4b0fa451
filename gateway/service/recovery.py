"""At start: what the spool holds and the ledger does not know is entered again (promise P1).

The spool is the durable truth. A row that was lost with a crash is rebuilt from the record in its spool file, and
files that were never completed (so never acknowledged) or that the ledger had given up are removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import structlog

from gateway.custody.original_tokens import Originals, unread
from gateway.ledger import MOST_WAITING, Ledger
from gateway.spool import Spool

log = structlog.get_logger(__name__)
Item = TypeVar("Item")

_BATCH: Final = 500
#: Files that a dead receiver may have acknowledged without a row, and those that came about the same time.
_NEWEST: Final = 2 * MOST_WAITING


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found at start: rows rebuilt, damaged files set aside for a human, incomplete or purged ones removed."""

    rebuilt: int
    damaged: int
    removed: int
    purged: int


def recover(spool: Spool, ledger: Ledger, originals: Originals) -> Recovered:
    """Bring ledger and spool together again; no other process may be working on them.

    What that costs depends on what is in the spool, not on what the ledger has of long ago.

    Raises
    ------
    SpoolUnavailable
        the spool cannot be read
    LedgerUnavailable
        the ledger cannot be written
    """
    sweep = spool.sweep()
    rebuilt = purged = 0
    for names in _batches(spool.names()):
        rebuilt += originals.rebuild(ledger.instances.unknown_spool_names(names))
        for name in (given_up := ledger.retention.purged_of(names)):
            spool.remove(name)
        purged += len(given_up)
    ledger.instances.record([unread(name) for name in sweep.damaged])
    recovered = Recovered(rebuilt, len(sweep.damaged), sweep.removed, purged)
    log.info("recovered", rebuilt=rebuilt, damaged=len(sweep.damaged), removed=sweep.removed, purged=purged)
    return recovered


def record_newest(spool: Spool, originals: Originals) -> None:
    """Record the newest received files, those that have a row included: a receiver died that had acknowledged them.

    More than these cannot have been without a row; see ``LedgerWriter``. Nobody may be receiving.

    Raises
    ------
    SpoolUnavailable
        the spool cannot be read
    LedgerUnavailable
        the ledger cannot be written
    """
    count = 0
    for names in _batches(islice(spool.names(newest_first=True), _NEWEST)):
        count += originals.rebuild(names)
    log.info("recorded again", count=count)


def _batches(names: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(names)
    while batch := list(islice(rest, _BATCH)):
        yield batch
