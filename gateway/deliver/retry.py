"""When a failed delivery is tried again: exponential back-off with full jitter.

Full jitter (a delay drawn evenly between nothing and the current ceiling) keeps deliveries that failed together from
coming back together when the destination does.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait between attempts and when to leave it to a human.

    Attributes
    ----------
    first_seconds
        ceiling of the delay after the first failure
    factor
        by which the ceiling grows with each further failure
    longest_seconds
        the ceiling's own ceiling
    attempts
        failures after which a delivery is dead; None to try for ever
    """

    first_seconds: float = 5.0
    factor: float = 2.0
    longest_seconds: float = 3600.0
    attempts: int | None = 50

    def __post_init__(self) -> None:
        if not (self.first_seconds > 0 and self.factor >= 1 and self.longest_seconds >= self.first_seconds):
            raise ValueError("a retry policy needs 0 < first_seconds <= longest_seconds and factor >= 1")
        if self.attempts is not None and self.attempts < 1:
            raise ValueError("a retry policy needs at least one attempt")

    def ceiling(self, attempts: int) -> float:
        """The longest delay, in seconds, after ``attempts`` failures (at least 1)."""
        try:
            return min(self.longest_seconds, self.first_seconds * self.factor ** (attempts - 1))
        except OverflowError:
            return self.longest_seconds

    def delay(self, attempts: int, *, random: Random, retry_after: float | None = None) -> float | None:
        """How long to wait before the next attempt.

        Parameters
        ----------
        attempts
            how often this delivery has failed, the last time included; at least 1
        random
            source of the jitter
        retry_after
            seconds that the destination asked for (``Outcome.retry_after``); the wait is at least these

        Returns
        -------
        Seconds, or None if the delivery is dead.
        """
        if attempts < 1:
            raise ValueError("a delay follows at least one failed attempt")
        if self.attempts is not None and attempts >= self.attempts:
            return None
        return max(retry_after or 0.0, random.uniform(0.0, self.ceiling(attempts)))
