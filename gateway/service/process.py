"""A child process of the gateway: how it is started, told to stop, and how it notices that its parent is gone.

A child receives SIGTERM from the supervisor, finishes what it holds and exits 0. It also holds the read end of a pipe
whose other end only the supervisor has: when the supervisor dies without a word, the child stops by itself.
"""

from __future__ import annotations

import fcntl
import gc
import multiprocessing
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from gateway.errors import GatewayError
from gateway.log import configure_logging
from gateway.metrics import Metrics
from gateway.privacy import make_private
from gateway.profile import Program
from gateway.service.at_work import AtWork, Board
from gateway.service.group_signals import heed_group_signals
from gateway.service.signals import calling
from gateway.settings.configuration import Settings

log = structlog.get_logger(__name__)

#: Children are forked from a server process without threads that has imported everything once: a fork of the
#: supervisor would copy half of its threads, a fresh interpreter for each would import for seconds.
CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["gateway.service.fork_server"])
#: Exit status of a child that met an error which a restart may mend.
EXIT_FAILED: Final = 70
#: What multiprocessing says of a child when the process that forked it is gone: it may be at work still, and is told to
#: end by its pipe.
LOST: Final = 255
#: New objects that make the garbage collector look; Python's own limit is 700.
_YOUNG_OBJECTS: Final = 20_000


class Job(Protocol):
    """What a child process does."""

    def __call__(self, child: Child) -> None:
        """Work until ``child.stopping`` is set, then return."""


@dataclass(frozen=True, slots=True)
class Child:
    """What a job knows of its process.

    Attributes
    ----------
    name
        role and number, such as ``deidentify-1``
    owner
        unique name under which it leases rows of the ledger
    settings
        the configuration
    programs
        project -> the program that is active
    metrics
        where it counts
    stopping
        set when the job has to come to its end
    cautious
        this process replaces one that died; the job takes one instance at a time at first, so that an instance
        that kills its worker is found
    board
        where it says what it works on; None where nobody limits its time
    """

    name: str
    owner: str
    settings: Settings
    programs: Mapping[str, Program]
    metrics: Metrics
    stopping: threading.Event
    cautious: bool
    _ready: Event
    board: Board | None = None

    def ledger_failed(self) -> None:
        """Tell the supervisor that the ledger has just failed: what it found of it before is not true any more."""
        if self.board is not None:
            self.board.ledger_failed()

    def is_ready(self) -> None:
        """Tell the supervisor that the job has taken up its work."""
        self._ready.set()


class _Ties(NamedTuple):
    """What a child shares with its supervisor: whether it is ready, what it works on, and a pipe that ends with it."""

    ready: Event
    board: Board
    life: Connection


class ChildProcess:
    """One child as the supervisor sees it.

    Parameters
    ----------
    name
        role and number
    job
        a module-level callable
    settings, programs
        handed to the child
    node
        name of this gateway, the first part of the owner
    restarts
        how often a child of this name died before
    """

    def __init__(
        self,
        name: str,
        job: Job,
        settings: Settings,
        programs: Mapping[str, Program],
        *,
        node: str,
        restarts: int = 0,
    ) -> None:
        self.name = name
        self.restarts = restarts
        self.owner = f"{node}/{name}.{os.getpid()}.{restarts}"
        self._ready = CONTEXT.Event()
        self._board = Board(CONTEXT)
        reader, self._life = CONTEXT.Pipe(duplex=False)
        self._process: BaseProcess = CONTEXT.Process(
            target=_main,
            args=(name, self.owner, job, settings, programs, restarts > 0, _Ties(self._ready, self._board, reader)),
            name=name,
        )
        self._process.start()
        reader.close()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """A handle that becomes readable when the process ends."""
        return self._process.sentinel

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether the job has taken up its work."""
        return self._ready.is_set() and self.is_alive

    @property
    def was_ready(self) -> bool:
        """Whether the job had taken up its work, even if it has ended since."""
        return self._ready.is_set()

    @property
    def at_work(self) -> AtWork | None:
        """The instance that it works on, or worked on when it ended."""
        return self._board.read()

    @property
    def ledger_failed_at(self) -> float:
        """When the ledger failed it last, by the monotonic clock; 0 for never."""
        return self._board.ledger_failed_at

    @property
    def exit_code(self) -> int | None:
        """Exit status; negative for a signal; None while it runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Ask it to finish."""
        if self._process.is_alive():
            self._process.terminate()

    def join(self, seconds: float) -> bool:
        """Wait for its end; whether it has ended."""
        self._process.join(seconds)
        return not self._process.is_alive()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """Release what the supervisor holds of an ended child."""
        self._life.close()


def _main(
    name: str,
    owner: str,
    job: Job,
    settings: Settings,
    programs: Mapping[str, Program],
    cautious: bool,  # noqa: FBT001  (positional across the spawn)
    ties: _Ties,
) -> None:
    stopping = threading.Event()
    # Told twice, as a service manager does that tells the whole group, it still ends with the status of its job.
    with calling({signal.SIGTERM: stopping.set}, afterwards=signal.SIG_IGN):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group; the supervisor decides
        heed_group_signals()
        make_private()
        configure_logging(format=settings.log.format, level=settings.log.level)
        structlog.contextvars.bind_contextvars(worker=name)
        threading.Thread(target=_watch_parent, args=(ties.life, stopping), daemon=True, name="parent").start()
        try:
            with running_mark(settings.data):
                metrics = Metrics.shared(metrics_directory(settings))
                spare_collector()
                job(Child(name, owner, settings, programs, metrics, stopping, cautious, ties.ready, ties.board))
        except GatewayError as error:
            log.critical("process failed", code=error.code, detail=error.message)
            raise SystemExit(EXIT_FAILED) from None
        except Exception:
            log.exception("process failed")
            raise SystemExit(EXIT_FAILED) from None


def spare_collector() -> None:
    """Keep the garbage collector from what lives as long as the process; called once, when everything is imported.

    It would go through every module again and again: an instance makes thousands of objects, and next to none of them
    is part of a cycle.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def node_name(data: Path) -> str:
    """The name under which this gateway leases rows: made once, kept in the data directory."""
    path = data / "node"
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.write_text(secrets.token_hex(8), encoding="ascii")
        draft.replace(path)
    return path.read_text(encoding="ascii").strip()


def metrics_directory(settings: Settings) -> Path:
    """Where the processes of a gateway count."""
    return settings.data / "metrics"


def _watch_parent(life: Connection, stopping: threading.Event) -> None:
    try:
        life.recv_bytes()
    except (EOFError, OSError):
        stopping.set()


@contextmanager
def running_mark(data: Path) -> Iterator[None]:
    """Hold a shared lock on ``data/children.lock`` while a child works, so that nobody mistakes it for gone."""
    with (data / "children.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def wait_for_orphans(data: Path, *, seconds: float, sleep: Callable[[float], None]) -> bool:
    """Wait until no child of an earlier gateway works on ``data`` any more.

    Parameters
    ----------
    data
        the data directory
    seconds
        longest wait
    sleep
        called between attempts with seconds

    Returns
    -------
    Whether all have ended.
    """
    with (data / "children.lock").open("a") as file:
        for _ in range(max(1, int(seconds * 10))):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sleep(0.1)
            else:
                return True
    return False
