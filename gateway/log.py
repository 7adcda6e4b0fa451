"""The log: structured, on standard error, without identity (promise P9).

Nothing that may come from a data set gets in. Our own entries are constant texts with named values; numbers pass under
any name, texts only under a name of ``SAFE``. Entries of libraries keep their place (logger, file and line) and lose
their text, because libraries quote what they read. Of exceptions, those of ``gateway.errors`` keep code and message,
which hold no values of data elements; others keep type and place.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from gateway.errors import GatewayError

#: Names whose texts are logged, with what they hold.
SAFE: Final[dict[str, str]] = {
    "action": "what the gateway does next",
    "address": "address of a listener",
    "ae": "AE title of the gateway",
    "ae_title": "AE title of the gateway",
    "at": "file and line",
    "called_ae": "AE title that a peer called",
    "calling_ae": "AE title that a peer calls itself",
    "chain": "name of a chain of documents: audit, or receipts of a project",
    "code": "code of an error or outcome",
    "command": "DIMSE command",
    "destination": "name of a destination",
    "detail": "safe detail of an outcome, as the ledger keeps it",
    "digest": "digest of a profile, or of the last document of a chain",
    "on_change": "what becomes of outputs of an earlier profile, a word of the configuration",
    "error": "code or type of an exception",
    "event": "what happened",
    "host": "address of a listener or peer",
    "kind": "type of an exception",
    "level": "severity",
    "logger": "module that logs",
    "mac": "keyed digest of the end of a chain",
    "message": "message of an error of gateway.errors",
    "name": "name of a process, of a notification, or of a spool file, which the gateway makes",
    "outcome": "how an association ended",
    "owner": "name of a worker",
    "path": "path from the configuration, or of the spool",
    "peer": "address of a peer",
    "problem": "message of an error of gateway.errors",
    "process": "name of a process",
    "profile": "name of a profile",
    "project": "name of a project",
    "reason": "code or text of a refusal",
    "role": "role of a process",
    "rule": "name of a rule",
    "signal": "name of a signal",
    "source": "name of a source",
    "spool_name": "name of a spool file, which the gateway makes",
    "state": "state of an instance or delivery",
    "status": "DIMSE or HTTP status",
    "thread": "name of a thread",
    "timestamp": "when it happened, UTC",
    "url": "base URL of a destination",
    "verdict": "what was found of a face in a series",
    "version": "version of the gateway or of a profile",
    "warning": "something the configuration allows and hardly means",
    "worker": "name of a worker",
}

#: Put in place of a text whose name is not safe, and of a UID, which no safe text has.
WITHHELD: Final = "(withheld)"
#: Kinds that a throttle remembers.
_KINDS: Final = 4096
_OF_STRUCTLOG: Final = ("_record", "_from_structlog")
_UID: Final = re.compile(r"\b[0-2](?:\.\d+){5,}\b|\b2\.25\.\d{8,}")
_WARNING: Final = re.compile(r"(?P<path>[^\n]*?):(?P<line>\d+): (?P<kind>\w+): ")


def configure_logging(*, format: Literal["console", "json"], level: str, stream: TextIO | None = None) -> None:  # noqa: A002  (the setting's name)
    """Log to ``stream``, standard error by default, in this process: our own entries, libraries, uncaught exceptions.

    Parameters
    ----------
    format
        for people, or one JSON object per line.
    level
        least severity that is logged, such as ``info``.
    stream
        where to.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _describe_exception,
        _withhold,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_no_traceback)
    )
    handler = _QuietHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_withhold_library, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            keep_exc_info=False,
            keep_stack_info=False,
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, _QuietHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # A level below the root's keeps the libraries from formatting what is thrown away.
    for library in ("pydicom", "alembic", "sqlalchemy", "urllib3", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # pydicom quotes values in its warnings, for each one: at WARNING they would fill the log of a busy gateway.
    logging.getLogger("py.warnings").addFilter(_lower_to_debug)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


class Throttle:
    """Keeps floods out of the log: of each kind so many entries within a window pass. Safe for several threads.

    Parameters
    ----------
    most
        entries of a kind per window
    seconds
        length of the window
    clock
        monotonic seconds
    """

    def __init__(self, *, most: int, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        #: Kind -> end of its window, entries in it, entries withheld since the last that passed.
        self._kinds: OrderedDict[str, tuple[float, int, int]] = OrderedDict()

    def withheld(self, kind: str) -> int | None:
        """How many entries of a kind were withheld since the last one; None if this one is to be withheld, too."""
        now = self._clock()
        with self._lock:
            until, count, withheld = self._kinds.get(kind, (0.0, 0, 0))
            if now >= until:
                until, count = now + self._seconds, 0
            passes = count < self._most
            self._kinds[kind] = (until, count + 1, 0) if passes else (until, count, withheld + 1)
            self._kinds.move_to_end(kind)
            if len(self._kinds) > _KINDS:
                self._kinds.popitem(last=False)
        return withheld if passes else None


def place_of(error: BaseException) -> str:
    """Where ``error`` was raised, innermost place last: ``deid/engine.py:80 pydicom/values.py:12``, no text."""
    frames = [
        (frame.tb_frame.f_code.co_filename, frame.tb_lineno) for frame in _frames(error.__traceback__)
    ] or [("?", 0)]  # fmt: skip
    ours = [frame for frame in frames if Path(frame[0]).is_relative_to(_PACKAGE)]
    shown = dict.fromkeys([*ours[-1:], frames[-1]])
    return " ".join(f"{'/'.join(Path(file).parts[-2:])}:{line}" for file, line in shown)


_PACKAGE: Final = Path(__file__).parent


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _described(error: BaseException) -> dict[str, str]:
    if isinstance(error, GatewayError):
        described = {"error": error.code, "message": error.message}
        return described if error.__traceback__ is None else {**described, "at": place_of(error)}
    return {"error": type(error).__name__, "at": place_of(error)}


def _describe_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace exceptions, given as ``exc_info`` or as any value, by what may be told of them."""
    exc_info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    event.pop("stack", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    errors = [error] if isinstance(error, BaseException) else []
    for name, value in list(event.items()):
        if isinstance(value, BaseException):
            errors.append(event.pop(name))
    for one in errors:
        event.update(_described(one))
    return event


def _withhold(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Let through what cannot hold identity, and what says anything at all."""
    return {
        name: value if name in _OF_STRUCTLOG else _safe(name, value)
        for name, value in event.items()
        if name in _OF_STRUCTLOG or value not in (None, "")
    }


def _safe(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 63):
        return value
    if name not in SAFE:
        return WITHHELD
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(name, one) for one in value]
    if isinstance(value, str | Path):
        text = str(value)
        if not text.isprintable():
            # One entry is one line: nobody else's text starts another.
            text = "".join(character if character.isprintable() else " " for character in text)
        return _UID.sub(WITHHELD, text) if "." in text else text
    return WITHHELD


def _withhold_library(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The place of a library's entry without its text."""
    record: logging.LogRecord = event["_record"]
    kept: MutableMapping[str, Any] = {name: value for name, value in event.items() if name.startswith("_")}
    kept["logger"] = record.name
    kept["at"] = f"{'/'.join(Path(record.pathname).parts[-2:])}:{record.lineno}"
    kept["event"] = "message of a library"
    if record.name == "py.warnings":
        match = _WARNING.match(record.getMessage())
        kept["event"] = "warning of a library"
        kept["at"] = f"{'/'.join(Path(match['path']).parts[-2:])}:{match['line']}" if match else "?"
        kept["code"] = match["kind"] if match else "Warning"
    if record.exc_info:
        kept["exc_info"] = record.exc_info
    return kept


def _lower_to_debug(record: logging.LogRecord) -> bool:
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def _no_traceback(sio: TextIO, exc_info: ExcInfo) -> None:
    """Exceptions are described by ``_describe_exception``; nothing of a traceback is printed."""


class _QuietHandler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A log that cannot be written stops nothing, and its error would quote the entry."""


def _log_uncaught(kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("uncaught exception", exc_info=error)


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
        name = arguments.thread.name if arguments.thread is not None else "?"
        structlog.get_logger().critical("uncaught exception", exc_info=arguments.exc_value, thread=name)


def _log_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    if unraisable.exc_value is not None:
        structlog.get_logger().error("uncaught exception in a destructor", exc_info=unraisable.exc_value)
