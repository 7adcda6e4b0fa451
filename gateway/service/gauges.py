"""What is read for the metrics at the moment of a scrape: queues, disks, processes, certificates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import LedgerUnavailable
from gateway.ledger import InstanceState, Ledger
from gateway.ledger.states import UNCONFIRMED
from gateway.metrics import Queue, Readings
from gateway.spool import Spool

__all__ = ["Standing", "read_figures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the gateway stands, apart from its queues.

    Attributes
    ----------
    ready
        whether instances are accepted and processed
    writable
        whether the ledger takes writes
    children
        name of every process -> whether it is at work
    busy_seconds
        name of every process that de-identifies -> seconds at one instance
    profiles_refused
        whether a profile on disk is wrong, so that the one that was active last goes on
    expiries
        place of a certificate in the configuration -> when it expires, in seconds since 1970
    reserve_bytes
        free space below which instances are refused
    ledger_free_bytes
        free space of the ledger's disk; None where the ledger is no file
    destinations, notifiers
        names of the configuration
    """

    ready: bool
    writable: bool
    children: Mapping[str, bool]
    busy_seconds: Mapping[str, float]
    profiles_refused: bool
    expiries: Mapping[str, float]
    reserve_bytes: int
    ledger_free_bytes: int | None
    destinations: Iterable[str]
    notifiers: Collection[str]


def read_figures(books: Callable[[], Ledger], spool: Spool, standing: Standing) -> Readings:
    """Read the figures; without the queues if the ledger cannot be read.

    Parameters
    ----------
    books
        gives the ledger of the running gateway
    spool
        of the same
    standing
        how it stands

    Raises
    ------
    SpoolUnavailable
        the disk cannot be asked
    """
    now = datetime.now(UTC)

    def age(since: datetime | None) -> float:
        return 0.0 if since is None else max(0.0, (now - since).total_seconds())

    children = standing.children
    workers = Counter({name.partition("-")[0]: 0 for name in children})
    workers.update(name.partition("-")[0] for name, at_work in children.items() if at_work)
    instances: dict[str, Queue] = {}
    series: Mapping[str, int] = {}
    deliveries = {(name, state.value): Queue(0) for name in standing.destinations for state in UNCONFIRMED}
    messages = dict.fromkeys(standing.notifiers, 0)
    readable = True
    try:
        ledger = books()
        queues = ledger.figures.queues()
        if messages:
            messages |= ledger.notices.waiting()
    except LedgerUnavailable:
        readable = False
    else:
        instances = {
            InstanceState.RECEIVED.value: Queue(queues.received + queues.leased, age(queues.oldest_received)),
            InstanceState.HELD.value: Queue(queues.held, age(queues.oldest_held)),
        }
        series = queues.series
        deliveries |= {
            (depth.destination, depth.state.value): Queue(depth.count, age(depth.oldest)) for depth in queues.deliveries
        }
    free = {"spool": spool.free_bytes()}
    if standing.ledger_free_bytes is not None:
        free["ledger"] = standing.ledger_free_bytes
    return Readings(
        instances=instances,
        series=series,
        deliveries=deliveries,
        readable=readable,
        messages=messages,
        writable=standing.writable,
        ready=standing.ready,
        disk_free_bytes=free,
        disk_reserve_bytes=standing.reserve_bytes,
        workers=workers,
        busy_seconds=standing.busy_seconds,
        profiles_refused=standing.profiles_refused,
        expiries=standing.expiries,
    )
