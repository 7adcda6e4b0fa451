"""Waiting for a ledger whose database is not there yet: a server that starts after the gateway, or is being restarted.

What a person has to mend (a refused password, no such database, damage) is not waited for at start: the gateway ends
at once, with what to do. A gateway that runs goes on trying in both cases: what it holds is safe, and it need not be
started again when the person is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from gateway.errors import LedgerUnavailable
from gateway.ledger import Ledger
from gateway.service.process import Child
from gateway.treatment.resources import open_ledger

__all__ = ["ledger_of", "patiently"]

T = TypeVar("T")

log = structlog.get_logger(__name__)

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 15.0
#: It is told again after so long, or when something else is wrong.
_TELL_SECONDS: Final = 60.0


def patiently(
    attempt: Callable[[], T],
    *,
    wait: Callable[[float], bool],
    told: Callable[[LedgerUnavailable], object] | None = None,
    always: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> T | None:
    """Call ``attempt`` until the ledger's database is there.

    Parameters
    ----------
    attempt
        opens or uses the ledger
    wait
        waits so many seconds; whether nobody wants the result any more
    told
        is called with every failure, before the wait
    always
        wait for what a person has to mend, too
    clock
        seconds that only grow

    Returns
    -------
    What ``attempt`` returned; None if ``wait`` said that nobody wants it.

    Raises
    ------
    LedgerUnavailable
        a person has to mend it, and ``always`` is not set
    """
    began = clock()
    pause = _FIRST_SECONDS
    tell_at, code = began, ""
    while True:
        try:
            return attempt()
        except LedgerUnavailable as error:
            if error.lasting and not always:
                raise
            failed = error
        if told is not None:
            told(failed)
        now = clock()
        if now >= tell_at or failed.code != code:
            log.warning("ledger awaited", code=failed.code, detail=failed.message, seconds=round(now - began))
            tell_at, code = now + _TELL_SECONDS, failed.code
        if wait(pause):
            return None
        pause = min(2 * pause, _LONGEST_SECONDS)


def ledger_of(child: Child) -> Ledger | None:
    """The ledger for a process of a running gateway, as soon as its database answers; None if it is to stop before."""
    return patiently(
        lambda: open_ledger(child.settings, failed=child.ledger_failed), wait=child.stopping.wait, always=True
    )
