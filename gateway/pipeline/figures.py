"""What is read for the metrics at the moment of a scrape: queues, disk, processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.ledger import InstanceState, Ledger
from gateway.metrics import Queue, Readings
from gateway.spool import Spool


def read_figures(ledger: Ledger, spool: Spool, children: Mapping[str, bool]) -> Readings:
    """Read the figures.

    Parameters
    ----------
    ledger, spool: of the running gateway
    children: name of every process -> whether it is at work

    Raises
    ------
    LedgerUnavailable: the ledger cannot be read
    SpoolUnavailable: the disk cannot be asked
    """
    now = datetime.now(UTC)
    queues = ledger.queue_figures()

    def age(since: datetime | None) -> float:
        return 0.0 if since is None else max(0.0, (now - since).total_seconds())

    workers = Counter({name.partition("-")[0]: 0 for name in children})
    workers.update(name.partition("-")[0] for name, at_work in children.items() if at_work)
    return Readings(
        instances={
            InstanceState.RECEIVED.value: Queue(queues.received + queues.leased, age(queues.oldest_received)),
            InstanceState.HELD.value: Queue(queues.held),
        },
        deliveries={
            (depth.destination, depth.state.value): Queue(depth.count, age(depth.oldest)) for depth in queues.deliveries
        },
        disk_free_bytes=spool.free_bytes(),
        workers=workers,
    )
