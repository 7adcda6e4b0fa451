"""Whether the ledger takes writes, asked by health and metrics as often as they like.

One thread writes, at most every two seconds, and only when somebody asks; nobody waits for it long. A database that
does not answer at all must not keep the health from being told. What was found before the ledger failed a process of
the gateway is not believed any more: whoever has read of that in the log is told the same here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from gateway.errors import GatewayError, LedgerBusy, LedgerUnavailable

__all__ = ["Pulse"]

#: What was found is good for so long.
_GOOD_SECONDS: Final = 2.0
#: Who asks waits so long for a new finding, and takes the last one then.
_PATIENCE_SECONDS: Final = 2.0
#: A write that takes longer is a failure, whatever comes of it.
_SLOW_SECONDS: Final = 20.0


class Pulse:
    """Writes into the ledger, and remembers what came of it. Safe for use from several threads.

    Parameters
    ----------
    beat
        a small write; raises when it fails
    failed_at
        when the ledger failed somebody else last, by the same clock
    clock
        seconds that only grow
    """

    def __init__(
        self,
        beat: Callable[[], object],
        *,
        failed_at: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._beat = beat
        self._failed_at = failed_at
        self._clock = clock
        self._changed = threading.Condition()
        #: When the write under way began; None while there is none.
        self._since: float | None = None
        #: When the last write that ended had begun, and when it ended.
        self._tried_at = 0.0
        self._found_at: float | None = None
        self._problem: LedgerUnavailable | None = None

    def problem(self) -> LedgerUnavailable | None:
        """Why the ledger takes no writes; None if it does, as far as is known."""
        with self._changed:
            now, failed_at = self._clock(), self._failed_at()

            def is_answered() -> bool:
                if self._is_good(now, failed_at):
                    return True
                if self._since is None:
                    self._since = self._clock()
                    threading.Thread(target=self._write, args=(self._since,), name="ledger-pulse", daemon=True).start()
                return False

            if self._changed.wait_for(is_answered, _PATIENCE_SECONDS):
                return self._problem
            waited = 0.0 if self._since is None else self._clock() - self._since
            if waited > _SLOW_SECONDS or (self._problem is None and failed_at > self._tried_at):
                state = f"no answer for {waited:.0f} s"
                return LedgerBusy(operation="be written", server="its database", state=state, reason=state)
            return self._problem

    def _is_good(self, now: float, failed_at: float) -> bool:
        """Whether what was found last is good enough for who asks ``now``."""
        if self._found_at is None or now - self._found_at >= _GOOD_SECONDS:
            return False
        # A write that had begun before somebody else's failure says nothing about what came then.
        return self._problem is not None or self._tried_at >= failed_at

    def _write(self, began: float) -> None:
        problem: LedgerUnavailable | None = None
        try:
            self._beat()
        except LedgerUnavailable as error:
            problem = error
        except GatewayError as error:
            problem = LedgerUnavailable(operation="be written", reason=error.code)
        except Exception as error:  # noqa: BLE001 - whatever it is, the ledger was not written
            problem = LedgerUnavailable(operation="be written", reason=type(error).__name__)
        with self._changed:
            self._problem = problem
            self._tried_at, self._found_at = began, self._clock()
            self._since = None
            self._changed.notify_all()
