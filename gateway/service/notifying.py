"""The process that tells people what happens.

It takes what happened out of the ledger, sums it up for each of those who are told, and sends it. Each has a thread of
its own: one that does not answer delays nobody else, and nothing of the main way waits for any of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from gateway.errors import GatewayError, TransientError
from gateway.ledger import Ledger
from gateway.ledger.notices import Notice, Occurrence, Want
from gateway.metrics import Metrics
from gateway.notify import Message, Notifier, NotifyFailed, build_notifier
from gateway.service.patience import ledger_of
from gateway.service.process import Child
from gateway.settings.configuration import Settings
from gateway.settings.notification_settings import Event, Notification

__all__ = ["Wishes", "notify"]

log = structlog.get_logger(__name__)

#: How often the ledger is asked.
_LOOK_SECONDS: Final = 2.0
#: What follows at once comes into the same message.
_GATHER_SECONDS: Final = 10.0
#: Waits of a message that was not taken: the first, the longest; twice as long each time.
_FIRST_SECONDS: Final = 15.0
_LONGEST_SECONDS: Final = 1800.0
#: After so long without one, a message tells of something new and not of more.
_FORGET: Final = timedelta(days=1)


class NotifierEnded(GatewayError):
    """The thread that tells {name} ended by an error."""


def notify(child: Child) -> None:
    """The job of the process."""
    settings = child.settings
    ledger = ledger_of(child)
    if ledger is None:
        return
    configured = settings.notifications or {}
    wishes = Wishes(settings, identified=[name for name, program in child.programs.items() if program.identified])
    threads = []
    try:
        for name, one in configured.items():
            teller = Teller(build_notifier(name, one), one, ledger=ledger, metrics=child.metrics, child=child)
            threads.append(threading.Thread(target=teller.run, name=f"notify-{name}"))
        if dropped := ledger.notices.forget(list(configured)):
            log.warning("messages dropped", count=dropped)
        for thread in threads:
            thread.start()
        child.is_ready()
        while not child.stopping.wait(
            min(_LOOK_SECONDS, *(float(one.every) or _LOOK_SECONDS for one in configured.values()))
        ):
            _look(ledger, wishes)
            for thread in threads:
                if not thread.is_alive():
                    raise NotifierEnded(name=thread.name)
    finally:
        child.stopping.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        ledger.close()


def _look(ledger: Ledger, wishes: Wishes) -> None:
    """Sum up what has happened; what cannot be done now is done later."""
    try:
        while ledger.notices.sum_up(wishes.of):
            pass
        now = datetime.now(UTC)
        for want, one in wishes.of_studies():
            ledger.notices.complete_studies(
                want, quiet_seconds=one.quiet, destinations=list(wishes.destinations), now=now
            )
    except TransientError as error:
        log.warning("notifications postponed", code=error.code, detail=error.message)


class Wishes:
    """Who wants to be told of what.

    Parameters
    ----------
    settings
        the configuration
    identified
        projects whose outputs name the patient: of these nothing is told by name
    """

    def __init__(self, settings: Settings, *, identified: list[str]) -> None:
        self._configured = settings.notifications or {}
        self._identified = frozenset(identified)
        self.destinations = settings.destinations
        #: Destination -> projects that deliver there.
        self._projects = {
            name: {project for project, one in settings.projects.items() if name in one.destinations}
            for name in settings.destinations
        }

    def of(self, occurrence: Occurrence) -> Iterator[Want]:
        """Those who want to be told of an occurrence."""
        for name, one in self._configured.items():
            if occurrence.event in one.events and self._concerns(one, occurrence):
                yield self._want(name, one, occurrence.project)

    def of_studies(self) -> Iterator[tuple[Want, Notification]]:
        """Those who want to be told of complete studies."""
        for name, one in self._configured.items():
            if Event.STUDY_COMPLETE in one.events:
                yield self._want(name, one, None), one

    def _concerns(self, one: Notification, occurrence: Occurrence) -> bool:
        if one.projects is None:
            return True
        if occurrence.destination and not occurrence.project:
            return not self._projects.get(occurrence.destination, set()).isdisjoint(one.projects)
        # Disks and profiles concern everybody; so does an instance that is of no project yet.
        return not occurrence.project or occurrence.project in one.projects

    def _want(self, name: str, one: Notification, project: str | None) -> Want:
        names = one.pseudonyms and (project not in self._identified if project is not None else not self._identified)
        return Want(notifier=name, gather_seconds=min(_GATHER_SECONDS, float(one.every)), names=names)


class Teller:
    """Sends what one notifier is to be told.

    Parameters
    ----------
    notifier
        who is told
    settings
        its own
    ledger
        where its messages are
    metrics
        where it counts
    child
        of the process
    """

    def __init__(
        self, notifier: Notifier, settings: Notification, *, ledger: Ledger, metrics: Metrics, child: Child
    ) -> None:
        self._notifier = notifier
        self._settings = settings
        self._ledger = ledger
        self._metrics = metrics
        self._child = child
        self._failing = False

    def run(self) -> None:
        """Send one message after the other until the process is told to stop."""
        self._metrics.notifier_up(notifier=self._notifier.name, up=True)
        pause = min(_LOOK_SECONDS, float(self._settings.every) or _LOOK_SECONDS)
        while not self._child.stopping.is_set():
            try:
                sent = self.send_next(datetime.now(UTC))
            except TransientError as error:
                log.warning("notifications postponed", code=error.code, detail=error.message)
                sent = False
            if not sent:
                self._child.stopping.wait(pause)

    def send_next(self, now: datetime) -> bool:
        """Send what is due; whether a message was taken.

        Raises
        ------
        LedgerUnavailable
            the ledger cannot be read or written; no message is lost
        """
        name = self._notifier.name
        notice = self._ledger.notices.due(name, now=now, longest_seconds=max(self._settings.every, _LONGEST_SECONDS))
        if notice is None:
            return False
        if notice.sending is None:
            message = _message(notice, now)
            self._ledger.notices.begin(notice, message.body)
        else:
            message = Message.of_json(notice.sending)
        try:
            self._notifier.send(message)
        except NotifyFailed as error:
            self._failed(notice, error, now)
            return False
        self._ledger.notices.taken(notice, now=datetime.now(UTC), every_seconds=self._settings.every)
        self._metrics.notified(notifier=name, event=message.event)
        if self._failing:
            log.info("notifications taken again", name=name)
        self._failing = False
        self._metrics.notifier_up(notifier=name, up=True)
        log.debug("notified", name=name, code=message.event, project=message.project)
        return True

    def _failed(self, notice: Notice, error: NotifyFailed, now: datetime) -> None:
        wait = min(_FIRST_SECONDS * 2 ** min(notice.tries, 20), _LONGEST_SECONDS)
        reason = str(error.facts["reason_code"])
        self._ledger.notices.failed(notice, due_at=now + timedelta(seconds=wait))
        self._metrics.not_notified(notifier=self._notifier.name, reason=reason)
        self._metrics.notifier_up(notifier=self._notifier.name, up=False)
        # Once for an outage: the figures tell of the rest.
        (log.debug if self._failing else log.warning)(
            "notification failed", name=self._notifier.name, code=reason, detail=error.message, seconds=wait
        )
        self._failing = True


def _message(notice: Notice, now: datetime) -> Message:
    """The message of what somebody is to be told now."""
    since = notice.tally.since or now
    parts = (notice.notifier, notice.event, notice.project, f"{notice.number}-{since.timestamp():.0f}")
    return Message.of(
        notice.tally,
        id="/".join(part for part in parts if part),
        event=Event(notice.event),
        project=notice.project,
        more=notice.sent_at is not None and now - notice.sent_at < _FORGET,
    )
