"""How destinations, disks and profiles stand: told to the ledger when it changes, so that people can be told.

Whoever finds out must not wait for the ledger: the last state of each thing is kept here until the ledger has it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.errors import TransientError
from gateway.ledger import Ledger
from gateway.ledger.occurrences import WELL
from gateway.settings.notification_settings import Event

__all__ = ["Conditions"]

log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    state: str
    event: Event | None
    destination: str = ""
    code: str = ""


class Conditions:
    """Writes changes of state into the ledger by a thread of its own. Safe for use from several threads.

    Parameters
    ----------
    ledger
        where they are written
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._changed = threading.Condition()
        #: Thing -> its states that the ledger does not have yet, in their order.
        self._new: list[tuple[str, _Condition]] = []
        self._known: dict[str, str] = {}
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="conditions", daemon=True)
        self._thread.start()

    def destination(self, name: str, code: str) -> None:
        """A destination is down for the reason ``code``; an empty one says that it is up."""
        event = Event.DESTINATION_DOWN if code else Event.DESTINATION_UP
        state = f"down {code}" if code else WELL
        self._put(f"destination/{name}", _Condition(state=state, event=event, destination=name, code=code))

    def disk(self, name: str, *, low: bool) -> None:
        """Whether a disk has little space left."""
        event = Event.DISK_LOW if low else None
        self._put(f"disk/{name}", _Condition(state="low" if low else WELL, event=event, code=name if low else ""))

    def profiles(self, *, refused: bool) -> None:
        """Whether a profile on disk is wrong."""
        event = Event.PROFILE_REFUSED if refused else None
        self._put("profiles", _Condition(state="refused" if refused else WELL, event=event))

    def stop(self) -> None:
        """Write what is left, once, and end the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _put(self, what: str, condition: _Condition) -> None:
        with self._changed:
            if self._known.get(what) == condition.state:
                return
            self._known[what] = condition.state
            self._new.append((what, condition))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._new or self._stopped)
                if not self._new:
                    return
                what, one = self._new[0]
            try:
                self._ledger.occurrences.stands(
                    what, one.state, event=one.event, destination=one.destination, code=one.code
                )
            except TransientError as error:
                log.warning("notifications postponed", code=error.code, detail=error.message)
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopped, _RETRY_SECONDS):
                        return
                continue
            with self._changed:
                self._new.pop(0)
