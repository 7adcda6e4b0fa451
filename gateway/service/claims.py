"""The queue of a destination: what is claimed of its deliveries, and what of that is not settled yet.

One thread claims for all connections: a transaction costs about as much for many deliveries as for few, and only one
asks again and again while nothing is due.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import structlog

from gateway.deliver.destination_settings import DestinationSettings as Configured
from gateway.errors import TransientError
from gateway.ledger import DeliveryClaim, Whole
from gateway.ledger.deliveries import Deliveries
from gateway.service.breaker import Breaker
from gateway.service.lease import LeaseKeeper
from gateway.service.pace import Pace, amount

log = structlog.get_logger(__name__)

#: A claim of less is a small one: before the next one deliveries gather for a moment, since transactions and requests
#: cost more than a small instance.
_FEW: Final = 20
_PACE: Final = Pace(few=_FEW, shortest=0.01, longest=0.1)
#: Deliveries that may wait to be settled before no more are claimed.
_MOST_WAITING: Final = 1000
#: How often a claim that waits for a connection looks whether it is to stop.
_LOOK_SECONDS: Final = 0.2


class DeliveryQueue:
    """Claims deliveries of one destination for its connections, and keeps their leases until they are settled.

    Safe for use from several threads.

    Parameters
    ----------
    deliveries
        those of the ledger
    owner
        of the leases; unique as the ledger asks for
    configured
        the destination's settings
    name
        the destination's name
    lease_seconds
        duration of a lease
    stopping
        set when no more is to be claimed
    breaker
        of the destination
    """

    def __init__(
        self,
        deliveries: Deliveries,
        *,
        owner: str,
        configured: Configured,
        name: str,
        lease_seconds: float,
        stopping: threading.Event,
        breaker: Breaker,
    ) -> None:
        self._deliveries = deliveries
        self._owner = owner
        self._configured = configured
        self._name = name
        self._lease_seconds = lease_seconds
        self._stopping = stopping
        self._breaker = breaker
        completeness = configured.completeness
        self._whole = (
            None
            if completeness is None
            else Whole(quiet_seconds=completeness.quiet_seconds, expected=completeness.expected_instances)
        )
        self._lease = LeaseKeeper(lease_seconds)
        self._changed = threading.Condition()
        self._batches: deque[Sequence[DeliveryClaim]] = deque()
        #: Connections that wait for a batch, and those that have one.
        self._free = self._busy = 0
        self._last_amount = 0
        self._closed = False
        #: One at a time asks or tells the ledger, so that what is claimed again was settled before.
        self._telling = threading.Lock()
        #: Deliveries that are claimed and not settled, and how many of them are no longer under way.
        self._unsettled: set[int] = set()
        self._waiting = 0
        #: Whether a claim may have come to the ledger whose answer did not come back.
        self._unsure = False

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Renew the leases for as long as the block runs."""
        with self._lease.keeping(lambda ids, seconds: self._deliveries.renew(self._owner, ids, seconds)):
            yield

    def run(self, *, on_nothing: Callable[[], object]) -> None:
        """Claim whenever a connection is free, until told to stop.

        Parameters
        ----------
        on_nothing
            is told when nothing is due and nothing is under way
        """

        def claim() -> int:
            claimed = self.claim()
            if not claimed and not self.more_to_come:
                on_nothing()
            return claimed

        with structlog.contextvars.bound_contextvars(destination=self._name):
            try:
                _PACE.keep(claim, failed=self._failed, stopping=self._stopping)
            finally:
                self._close()

    def claim(self) -> int:
        """Wait for a free connection, then claim a batch for each; how much that was.

        Raises
        ------
        LedgerUnavailable
            the ledger does not answer
        """
        with self._changed:
            while (wanted := self._wanted()) <= 0 and not self._stopping.is_set():
                self._changed.wait(_LOOK_SECONDS)
        if self._stopping.is_set():
            return 0
        share = self._breaker.share()
        if share == "nothing":
            return 0
        one = share == "one"
        try:
            batches = self._claim(wanted, one=one)
        except BaseException:
            if one:
                self._breaker.untried()
            raise
        if one and not batches:
            self._breaker.untried()
        with self._changed:
            self._batches.extend(batches)
            claims = [claim for batch in batches for claim in batch]
            self._last_amount = amount(len(claims), sum(claim.size for claim in claims))
            self._changed.notify_all()
        return self._last_amount

    def _claim(self, wanted: int, *, one: bool) -> list[list[DeliveryClaim]]:
        """Claim batches for so many connections, or one delivery that tries whether the destination is back."""
        with self._telling:
            if self._unsure:
                # Else it would wait until its lease runs out. What has arrived arrives again, and is the same.
                self._deliveries.release(self._owner, crashed=True, keep=self._unsettled)
                self._unsure = False
            batches = self._deliveries.claim(
                self._name,
                self._owner,
                max_count=1 if one else self._configured.batch_instances,
                max_bytes=self._configured.batch_bytes,
                lease_seconds=self._lease_seconds,
                batches=1 if one else None if self._configured.mixes_studies else wanted,
                whole=self._whole,
                now=datetime.now(UTC),
            )
            # A lease that had run out is this one's again: what a connection has, no other one gets.
            fresh = [[claim for claim in batch if claim.delivery_id not in self._unsettled] for batch in batches]
            claims = [claim for batch in fresh for claim in batch]
            self._unsettled.update(claim.delivery_id for claim in claims)
            self._lease.hold(self._unsettled)
        return [batch for batch in fresh if batch]

    def take(self) -> Sequence[DeliveryClaim]:
        """Wait for a batch, which is then under way; nothing when told to stop."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._batches or self._closed or self._stopping.is_set())
                if self._stopping.is_set() or not self._batches:
                    return ()
                self._busy += 1
                return self._batches.popleft()
            finally:
                self._free -= 1

    def done(self, count: int) -> None:
        """A batch is no longer under way; ``count`` deliveries of it wait to be settled."""
        with self._changed:
            self._busy -= 1
            self._waiting += count

    @property
    def more_to_come(self) -> bool:
        """Whether batches are under way, or so much was due last that more may be."""
        return bool(self._busy or self._batches or self._last_amount >= _FEW)

    @contextmanager
    def settling(self, ids: Collection[int]) -> Iterator[None]:
        """The block tells the ledger what became of deliveries; unless it fails, they are settled after it."""
        with self._telling:
            yield
            self._unsettled.difference_update(ids)
            self._lease.hold(self._unsettled)
        with self._changed:
            self._waiting -= len(ids)
            self._changed.notify_all()

    def release(self) -> None:
        """Give back what was not begun."""
        self._deliveries.release(self._owner)

    def _wanted(self) -> int:
        return self._free - len(self._batches) if self._waiting < _MOST_WAITING else 0

    def _failed(self, error: TransientError) -> None:
        log.warning("delivery paused", code=error.code, detail=error.message)
        self._unsure = True

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
