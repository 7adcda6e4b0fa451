"""The breaker of a destination: while it is down, one delivery tries it now and then, and the others wait for that one.

What concerns the destination as a whole (nobody there, wrong credentials, no such service, too busy) is no fault of
the deliveries that met it: they use up no attempts, are not given up, and are due again as soon as it answers.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

import structlog

from gateway.deliver.base import Outcome
from gateway.deliver.codes import OUTAGES
from gateway.metrics import Metrics

__all__ = ["Breaker", "Share"]

log = structlog.get_logger(__name__)

#: Codes that tell nothing of the destination: nothing was sent.
_OWN: Final = frozenset(
    {"spool-corrupt", "spool-unreadable", "output-lost", "invalid-uid", "spool-unavailable", "identified-refused"}
)
#: The longest wait between two tries, in seconds: it is back, and within this time everything is on its way.
_LONGEST_SECONDS: Final = 30.0

#: How much may be claimed: what is due, one delivery that tries whether the destination is back, or nothing.
Share: TypeAlias = Literal["all", "one", "nothing"]


class Breaker:
    """Whether a destination is worth sending to. Safe for use from several threads.

    Parameters
    ----------
    name
        the destination's
    first_seconds
        wait before the first try; twice as long each time
    metrics
        where it says whether the destination is up
    tell
        is called with the name and the code when it goes down, and with an empty code when it answers
    clock
        seconds that only grow
    """

    def __init__(
        self,
        name: str,
        *,
        first_seconds: float,
        metrics: Metrics,
        tell: Callable[[str, str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._first = min(first_seconds, _LONGEST_SECONDS)
        self._metrics = metrics
        self._tell = tell or _nobody
        self._clock = clock
        self._lock = threading.Lock()
        self._wait = 0.0
        #: When it may be tried; None while it is up.
        self._try_at: float | None = None
        self._trying = False
        self._since = 0.0
        self._code = ""
        self._answered = False
        metrics.destination_up(destination=name, up=True)

    @property
    def is_open(self) -> bool:
        """Whether the destination is down."""
        with self._lock:
            return self._try_at is not None

    def share(self) -> Share:
        """How much may be claimed now. After ``one``, ``told`` or ``untried`` has to be called."""
        with self._lock:
            if self._try_at is None:
                return "all"
            if self._trying or self._clock() < self._try_at:
                return "nothing"
            self._trying = True
            return "one"

    def untried(self) -> None:
        """Nothing was due that could have tried the destination."""
        with self._lock:
            self._trying = False

    def told(self, outcomes: Iterable[Outcome]) -> None:
        """What came of a batch."""
        batch = list(outcomes)
        outage = next((one for one in reversed(batch) if is_outage(one)), None)
        answered = any(not is_outage(one) and one.code not in _OWN for one in batch)
        with self._lock:
            if outage is not None:
                self._down(outage)
            elif answered and self._try_at is not None:
                self._up()
            elif self._trying:
                # What was to try it could not be sent; the next one tries.
                self._trying = False
            elif answered and not self._answered:
                # It may have been down when an earlier process asked it last.
                self._tell(self._name, "")
            self._answered |= answered

    def _down(self, outage: Outcome) -> None:
        if self._try_at is None:
            self._since = self._clock()
            self._wait = self._first
        elif self._trying:
            self._wait = min(2 * self._wait, _LONGEST_SECONDS)
        if self._try_at is None or outage.code != self._code:
            log.warning("destination down", destination=self._name, code=outage.code, detail=outage.detail)
            self._metrics.destination_up(destination=self._name, up=False, reason=outage.code)
            self._tell(self._name, outage.code)
        self._code = outage.code
        self._trying = False
        # Not all destinations of all gateways at the same moment.
        wait = self._wait * random.uniform(0.5, 1.0)  # noqa: S311  (jitter)
        self._try_at = self._clock() + max(wait, outage.retry_after or 0.0)

    def _up(self) -> None:
        self._try_at = None
        self._trying = False
        log.info("destination up", destination=self._name, down_seconds=round(self._clock() - self._since, 1))
        self._metrics.destination_up(destination=self._name, up=True)
        self._tell(self._name, "")


def _nobody(_name: str, _code: str) -> None:
    """Nobody wants to be told."""


def is_outage(outcome: Outcome) -> bool:
    """Whether an outcome concerns the destination as a whole."""
    return outcome.state in ("failed", "sent") and outcome.code in OUTAGES
