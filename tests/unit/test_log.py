"""The log holds no identity, whoever writes into it (P9)."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import gateway.log
from gateway.errors import SpoolFull
from gateway.log import SAFE, WITHHELD, configure_logging, place_of

NAME = "DOE^JOHN"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
#: Names under which numbers are logged.
NUMBERS = {
    "association",
    "attempts",
    "bytes",
    "confirmed",
    "count",
    "cut",
    "damaged",
    "deidentified",
    "deliveries",
    "delivery",
    "dicom_port",
    "down_seconds",
    "duplicate_of",
    "exit_code",
    "failed",
    "http_port",
    "instance",
    "instances",
    "longest_seconds",
    "number",
    "outputs_of_the_previous_one",
    "pid",
    "port",
    "purged",
    "rebuilt",
    "removed",
    "restarts",
    "seconds",
    "size",
    "stored",
    "tls",
    "waiting",
    "withheld",
}
UID = "1.2.840.113619.2.55.3.604688119.868.1234567890.1"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging as a gateway configures it, into a stream; afterwards as it was."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    stream = io.StringIO()
    configure_logging(format="json", level="info", stream=stream)
    yield stream
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising
    logging.captureWarnings(False)
    filtered = logging.getLogger("py.warnings")
    for one in list(filtered.filters):
        filtered.removeFilter(one)
    structlog.reset_defaults()


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry(stream: io.StringIO) -> None:
    structlog.get_logger().info("instance-stored", instance=12, size=3.5, source="pacs", done=True, missing=None)
    (entry,) = entries(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", entry.pop("timestamp"))
    assert entry == {
        "event": "instance-stored",
        "level": "info",
        "logger": __name__,
        "instance": 12,
        "size": 3.5,
        "source": "pacs",
        "done": True,
    }


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"patient": NAME}, {"patient": WITHHELD}),  # a text under a name that nobody knows
        ({"patient": [NAME]}, {"patient": WITHHELD}),  # in a list
        ({"reason": {"patient": NAME}}, {"reason": WITHHELD}),  # in a structure
        ({"reason": NAME.encode()}, {"reason": WITHHELD}),  # bytes are not ours
        ({"value": 10**30}, {"value": WITHHELD}),  # a number that no counter reaches may be an id
        ({"reason": f"no {UID}"}, {"reason": f"no {WITHHELD}"}),  # UIDs, even under a known name
        ({"reason": "2.25.12345678901234567890"}, {"reason": WITHHELD}),  # short in components
        ({"peer": "10.1.2.3"}, {"peer": "10.1.2.3"}),  # an address is no UID
        ({"version": "1.2.3"}, {"version": "1.2.3"}),  # nor is a version
        ({"reason": "a\nb\x1b[31mc"}, {"reason": "a b [31mc"}),  # one entry is one line
        ({"path": Path("/x")}, {"path": "/x"}),  # paths as text
        ({"state": ["a", 1]}, {"state": ["a", 1]}),  # lists of what is safe
    ],
)
def test_values(stream: io.StringIO, values: dict[str, object], shown: dict[str, object]) -> None:
    structlog.get_logger().info("x", **values)
    (entry,) = entries(stream)
    assert {name: entry[name] for name in shown} == shown
    assert NAME not in stream.getvalue()


def test_uids_in_the_text_of_an_entry(stream: io.StringIO) -> None:
    structlog.get_logger().info(f"stored {UID}")
    assert entries(stream)[0]["event"] == f"stored {WITHHELD}"


def test_context_passes_the_same_filter(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(process="worker-1", patient=NAME):
        structlog.get_logger().info("x")
    (entry,) = entries(stream)
    assert (entry["process"], entry["patient"]) == ("worker-1", WITHHELD)


def raise_foreign() -> None:
    raise ValueError(f"invalid value {NAME}")


def raise_chained() -> None:
    try:
        raise_foreign()
    except ValueError as error:
        raise RuntimeError(NAME) from error


@pytest.mark.parametrize("fail", [raise_foreign, raise_chained])
def test_foreign_exceptions_lose_their_text(stream: io.StringIO, fail: Callable[[], None]) -> None:
    try:
        fail()
    except Exception as error:
        structlog.get_logger().exception("failed")
        structlog.get_logger().error("failed", error=error)
        structlog.get_logger().error("failed", exc_info=error)
        logging.getLogger("library").exception("failed with %s", NAME)
    found = entries(stream)
    assert len(found) == 4
    assert {entry["error"] for entry in found} == {"ValueError" if fail is raise_foreign else "RuntimeError"}
    assert all(re.search(r"unit/test_log\.py:\d+$", entry["at"]) for entry in found)
    assert NAME not in stream.getvalue()


def test_errors_of_the_gateway_keep_their_message(stream: io.StringIO) -> None:
    structlog.get_logger().warning("refused", error=SpoolFull(operation="write", name="a file", free=1, reserve=2))
    (entry,) = entries(stream)
    assert entry["error"] == "spool-full"
    assert entry["message"].startswith("The spool's disk has 1 bytes free")


def test_place_of_an_error_inside_a_library_names_our_line_too() -> None:
    from gateway.sections.section import parse_size

    class Trap(str):
        __slots__ = ()

        def strip(self, *_: object) -> str:
            return json.loads("{")  # type: ignore[no-any-return]

    with pytest.raises(json.JSONDecodeError) as caught:
        parse_size(Trap("1"))
    assert re.fullmatch(r"sections/section\.py:\d+ json/decoder\.py:\d+", place_of(caught.value))


def test_libraries_lose_their_text(stream: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").error("refused %s", NAME)
    logging.getLogger("urllib3.connectionpool").info("received %s", NAME)
    logging.getLogger("sqlalchemy.engine").info("INSERT %s", NAME)
    (entry,) = entries(stream)
    assert (entry["logger"], entry["event"], entry["level"]) == (
        "urllib3.connectionpool",
        "message of a library",
        "error",
    )
    assert re.fullmatch(r"unit/test_log\.py:\d+", entry["at"])
    assert NAME not in stream.getvalue()


def test_warnings_of_libraries_are_for_debugging(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(f"Invalid value for VR PN: {NAME}", UserWarning, stacklevel=1)
        assert entries(stream) == []
        logging.getLogger().setLevel(logging.DEBUG)
        warnings.warn(f"Invalid value for VR PN: {NAME}", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    (entry,) = entries(stream)
    assert (entry["event"], entry["code"]) == ("warning of a library", "UserWarning")
    assert entry["at"].startswith("unit/test_log.py:")
    assert NAME not in stream.getvalue()


def test_uncaught_exceptions_lose_their_text(stream: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=raise_foreign, name="receiver")
    thread.start()
    thread.join()
    try:
        raise_foreign()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    assert [entry["event"] for entry in entries(stream)] == ["uncaught exception"] * 2
    assert entries(stream)[0]["thread"] == "receiver"
    assert NAME not in stream.getvalue() + "".join(capfd.readouterr())


def test_an_entry_that_cannot_be_written_stops_nothing(stream: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    stream.close()
    structlog.get_logger().error("x", reason="y")
    logging.getLogger("library").error("wrong %d arguments", NAME)
    assert "".join(capfd.readouterr()) == ""


def test_configuring_again_does_not_log_twice(stream: io.StringIO) -> None:
    configure_logging(format="json", level="warning", stream=stream)
    structlog.get_logger().warning("x")
    structlog.get_logger().info("y")
    assert [entry["event"] for entry in entries(stream)] == ["x"]


def test_console_format(stream: io.StringIO) -> None:
    configure_logging(format="console", level="info", stream=stream)
    try:
        raise_foreign()
    except ValueError:
        structlog.get_logger().exception("failed", instance=7, patient=NAME)
    (line,) = stream.getvalue().splitlines()
    assert "failed" in line
    assert "instance=7" in line
    assert "error=ValueError" in line
    assert NAME not in line


def logged_names() -> Iterator[tuple[str, str]]:
    """Every name that the gateway's code gives to a value in an entry, with its place."""
    package = Path(gateway.log.__file__).parent
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _logs(node.func):
                for keyword in node.keywords:
                    yield keyword.arg or "**", f"{file.relative_to(package)}:{node.lineno}"


def _logs(called: ast.expr) -> bool:
    match called:
        case ast.Attribute(value=ast.Name(id="log" | "_log"), attr=method):
            return method in LEVELS
        case ast.IfExp(body=body):  # (log.info if well else log.warning)(...)
            return _logs(body)
        case ast.Attribute(value=ast.Call(func=ast.Attribute(attr="get_logger" | "bind"))):
            return True
    return False


def test_the_gateway_logs_nothing_that_is_withheld() -> None:
    wrong = [f"{place}: {name}" for name, place in logged_names() if name not in {*SAFE, *NUMBERS, "exc_info"}]
    assert not wrong, "put the name into SAFE with what it holds, or into NUMBERS here"
