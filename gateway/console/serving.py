"""The job of the process that answers over HTTP.

It has a ledger of its own, and asks the supervisor for what only that knows. The port is the supervisor's: when this
process dies, whoever connects meanwhile is answered by the next one.
"""

from __future__ import annotations

import socket
import threading
from multiprocessing.connection import Connection
from typing import Final

from gateway.console.api import resources
from gateway.console.protection import HTTP_REFUSED, protection
from gateway.custody.ownership import own_token
from gateway.errors import LedgerUnavailable
from gateway.ledger import Ledger
from gateway.metrics import Metrics, Readings, exposition
from gateway.service.gauges import Standing, read_figures
from gateway.service.health import Health
from gateway.service.process import Child, metrics_directory
from gateway.service.questions import Asking, Question, SupervisorSilent
from gateway.settings.configuration import Settings
from gateway.treatment.resources import open_ledger, open_spool

__all__ = ["begin_counting_refusals", "serve"]

#: Longest wait for the supervisor's answer: monitoring waits as long, mostly.
_ALIVE_SECONDS: Final = 4.0
#: The readiness waits for a write into the ledger (``gateway.service.ledger_pulse``), and for disks.
_READY_SECONDS: Final = 8.0


def serve(child: Child, *, listening: socket.socket, end: Connection) -> None:
    """Answer until the supervisor says that it is enough.

    Parameters
    ----------
    child
        of a running gateway
    listening
        the port
    end
        of the supervisor's desk
    """
    # Only this process needs them; the others start without.
    from gateway.console.http_server import HttpServer

    settings, asking = child.settings, Asking(end)
    books = _Books(settings, asking)
    spool = open_spool(settings)
    begin_counting_refusals(child.metrics)

    def read() -> Readings:
        standing: Standing = asking.ask(Question.STANDING, seconds=_READY_SECONDS)
        return read_figures(books.ledger, spool, standing)

    server = HttpServer(
        listening,
        metrics=lambda: exposition(metrics_directory(settings), read),
        alive=lambda: _health(asking, Question.ALIVE, seconds=_ALIVE_SECONDS),
        ready=lambda: _health(asking, Question.READY, seconds=_READY_SECONDS),
        resources=resources(settings, books.ledger),
        protection=protection(settings, own_token=own_token(settings), refused=child.metrics.http_refused),
        at_work=asking.at_work,
    )
    server.start()
    asking.at_work()
    child.is_ready()
    child.stopping.wait()
    server.stop()
    books.close()


def begin_counting_refusals(metrics: Metrics) -> None:
    """Let every reason begin at zero: Prometheus sees an increase only between two values."""
    for reason in HTTP_REFUSED:
        metrics.begin("gateway_http_refused_total", reason=reason)


def _health(asking: Asking, question: Question, *, seconds: float) -> Health:
    try:
        health: Health = asking.ask(question, seconds=seconds)
    except SupervisorSilent as error:
        return Health((error.message,))
    return health


class _Books:
    """The ledger, opened when it is first asked for: at the start the supervisor may still wait for it."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None

    def ledger(self) -> Ledger:
        """The ledger.

        Raises
        ------
        LedgerUnavailable
            it cannot be read, or the supervisor does not have it yet
        """
        ledger = self._ledger
        if ledger is not None:
            return ledger
        try:
            # Whoever opens it brings it up to date, which is the supervisor's.
            self._asking.ask(Question.LEDGER, seconds=_ALIVE_SECONDS)
        except SupervisorSilent as error:
            raise LedgerUnavailable(operation="be opened", reason=error.message) from None
        with self._lock:
            if self._ledger is None:
                self._ledger = open_ledger(self._settings)
            return self._ledger

    def close(self) -> None:
        """Give it back."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()
