"""Whether the ledger takes writes, asked by health and metrics as often as they like.

One thread writes, at most every two seconds, and only when somebody asks; nobody waits for it long. A database that
does not answer at all must not keep the health from being told.
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
    beat: a small write; raises when it fails
    clock: seconds that only grow
    """

    def __init__(self, beat: Callable[[], object], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._beat = beat
        self._clock = clock
        self._changed = threading.Condition()
        #: When the write under way began; None while there is none.
        self._since: float | None = None
        self._found_at: float | None = None
        self._problem: LedgerUnavailable | None = None

    def problem(self) -> LedgerUnavailable | None:
        """Why the ledger takes no writes; None if it does, as far as is known."""
        with self._changed:
            now = self._clock()
            if self._found_at is not None and now - self._found_at < _GOOD_SECONDS:
                return self._problem
            if self._since is None:
                self._since = now
                threading.Thread(target=self._write, name="ledger-pulse", daemon=True).start()
            began = self._since
            self._changed.wait_for(lambda: self._since != began, _PATIENCE_SECONDS)
            if self._since == began and self._clock() - began > _SLOW_SECONDS:
                state = f"no answer for {self._clock() - began:.0f} s"
                return LedgerBusy(operation="be written", server="its database", state=state, reason=state)
            return self._problem

    def _write(self) -> None:
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
            self._found_at = self._clock()
            self._since = None
            self._changed.notify_all()
