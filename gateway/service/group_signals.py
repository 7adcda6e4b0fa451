"""Signals that are sent to every process of the gateway at once, by a service manager or a terminal that closes."""

from __future__ import annotations

import signal
from typing import Final

__all__ = ["heed_group_signals", "hold_group_signals"]

_GROUP: Final = (signal.SIGTERM, signal.SIGHUP)


def hold_group_signals() -> None:
    """Let them wait, in this thread and in whatever is forked from it: a child is told as soon as it can listen."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _GROUP)


def heed_group_signals() -> None:
    """Take them, and those that wait; called when there is somebody to handle them."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _GROUP)
