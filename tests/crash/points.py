"""The points of an instance's way at which a crash may happen, and the means to crash there.

The shipped code has no branches for tests: each point is a function of it, wrapped when the test's entry point starts
the gateway (``tests.crash.entry``), in the supervisor and in every child. A point does nothing until the control file
names it; then the process that reaches it dies by SIGKILL, alone or with the whole gateway.
"""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import current_process
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

#: Environment variable with the path of the control file.
CONTROL: Final = "TORTURE_CONTROL"

Scope: TypeAlias = Literal["process", "gateway"]

_FOLDER = "gateway.deliver.folder.destination"
_NODE = "gateway.deliver.dicom_node.destination"


@dataclass(frozen=True, slots=True)
class Point:
    """A place to crash.

    Attributes
    ----------
    name: what has just happened, or is about to
    role: process that passes it: supervisor, receive, deidentify or deliver
    target: module and attribute that is called there
    when: before or after the call
    attacks: promises that a crash here could break
    at_start: passed once, when the gateway starts
    """

    name: str
    role: str
    target: str
    when: Literal["before", "after"]
    attacks: tuple[str, ...]
    at_start: bool = False


_SPOOL: Final = "gateway.spool.spool"
#: Whoever dies here leaves a file without a row.
BEFORE_THE_ROW: Final = "before the row"
_LEDGER: Final = "gateway.ledger.instances"

POINTS: Final = (
    # Receiving. Nothing is acknowledged before the row is committed; what is there is not lost from then on.
    Point("file created", "receive", f"{_SPOOL}:Spool.incoming", "after", ("P1", "P3")),
    Point("bytes written", "receive", "gateway.spool.incoming:Incoming.write", "after", ("P1", "P2")),
    Point("last byte written", "receive", "gateway.spool.incoming:Incoming.commit", "before", ("P1", "P2")),
    Point("before the flush", "receive", "os:fdatasync", "before", ("P1",)),
    Point("after the flush", "receive", "os:fdatasync", "after", ("P1", "P3")),
    Point("after the directory's flush", "receive", "gateway.spool.disk:DirectorySync.sync", "after", ("P1", "P3")),
    Point(BEFORE_THE_ROW, "receive", f"{_LEDGER}:Instances.record", "before", ("P1", "P3", "P6")),
    Point("inside the row's transaction", "receive", f"{_LEDGER}:_record", "after", ("P1", "P3", "P6")),
    Point("after the row", "receive", f"{_LEDGER}:Instances.record", "after", ("P1", "P3", "P6")),
    Point("before the answer", "receive", "gateway.association.transfer:DataTransfer._answer", "before", ("P1", "P6")),
    Point("after the answer", "receive", "gateway.association.transfer:DataTransfer._answer", "after", ("P1",)),
    # De-identifying. No output that is half made or unverified goes on.
    Point("before a claim", "deidentify", f"{_LEDGER}:Instances.claim", "before", ("P3",)),
    Point("after a claim", "deidentify", f"{_LEDGER}:Instances.claim", "after", ("P3",)),
    Point("before the engine", "deidentify", "gateway.deid.engine:Deidentifier.apply", "before", ("P2",)),
    Point("after the engine", "deidentify", "gateway.deid.engine:Deidentifier.apply", "after", ("P2",)),
    Point("verified", "deidentify", "gateway.verify.verifier:Verifier.check", "after", ("P2", "P11")),
    Point("output written, without its name", "deidentify", f"{_SPOOL}:write_parts", "after", ("P2", "P6")),
    Point("output in its place", "deidentify", f"{_SPOOL}:Spool.write_output", "after", ("P3", "P6")),
    Point("before the result", "deidentify", f"{_LEDGER}:Instances.finish", "before", ("P3", "P6")),
    Point("inside the result's transaction", "deidentify", f"{_LEDGER}:create_deliveries", "after", ("P3", "P6")),
    Point("after the result", "deidentify", f"{_LEDGER}:Instances.finish", "after", ("P3", "P6")),
    # Delivering. What was sent may be sent again, as the same; what was confirmed has its receipt.
    Point("after a claim of deliveries", "deliver", "gateway.ledger.deliveries:Deliveries.claim", "after",
          ("P3", "P4")),
    Point("before the output is opened", "deliver", "gateway.service.outputs:Outputs.open", "before", ("P4",)),
    Point("file copied, without its name", "deliver", f"{_FOLDER}:_copy", "after", ("P2", "P4")),
    Point("before the folder's flush", "deliver", f"{_FOLDER}:_sync_directory", "before", ("P4",)),
    Point("after the folder's flush", "deliver", f"{_FOLDER}:_sync_directory", "after", ("P4", "P6")),
    Point("before a C-STORE", "deliver", f"{_NODE}:DicomNodeDestination._store", "before", ("P4",)),
    Point("stored by C-STORE", "deliver", f"{_NODE}:DicomNodeDestination._store", "after",
          ("P4", "P6")),
    Point("sent, not recorded", "deliver", "gateway.ledger.deliveries:Deliveries.record", "before",
          ("P3", "P4", "P6")),
    Point("inside the receipt's transaction", "deliver", "gateway.ledger.deliveries:append", "after", ("P3", "P4")),
    Point("recorded", "deliver", "gateway.ledger.deliveries:Deliveries.record", "after", ("P3", "P4")),
    # Starting, and tidying up. Both are repeated from wherever they were.
    Point("before the migration", "supervisor", "gateway.ledger.migrate:_upgrade", "before", ("P12",), at_start=True),
    Point("inside the migration", "supervisor", "gateway.ledger.migrate:_upgrade", "after", ("P12",), at_start=True),
    Point("before the recovery", "supervisor", "gateway.service.supervisor:recover", "before", ("P1",), at_start=True),
    Point("swept", "supervisor", f"{_SPOOL}:Spool.sweep", "after", ("P1",), at_start=True),
    Point("before a row is rebuilt", "supervisor", f"{_LEDGER}:Instances.record", "before", ("P1", "P3"),
          at_start=True),
    Point("a row rebuilt", "supervisor", f"{_LEDGER}:Instances.record", "after", ("P1", "P3"), at_start=True),
    Point("recovered", "supervisor", "gateway.service.supervisor:recover", "after", ("P1",), at_start=True),
    Point("row marked purged, bytes there", "supervisor", "gateway.ledger.retention:Retention.purge", "after", ("P3",)),
    Point("bytes purged", "supervisor", f"{_SPOOL}:Spool.remove", "after", ("P3",)),
    Point("a dead child's leases released", "supervisor", "gateway.ledger.deliveries:Deliveries.release", "after",
          ("P3", "P6")),
)  # fmt: skip

#: A schema is made or changed at the first start of a version only.
MIGRATION: Final = frozenset(("before the migration", "inside the migration"))
#: Recovery rebuilds rows only after a crash between the flush and the row.
REBUILDING: Final = frozenset(("before a row is rebuilt", "a row rebuilt"))

_installed: Final[list[Path]] = []


def install(control: Path) -> None:
    """Wrap the functions of all points in this process; ``control`` is looked at whenever one is called.

    A child that was forked from one with its points in place has them.
    """
    if _installed:
        return
    _installed.append(control)
    passed: Counter[str] = Counter()
    for point in POINTS:
        module, _, path = point.target.partition(":")
        holder: Any = import_module(module)
        *names, last = path.split(".")
        for name in names:
            holder = getattr(holder, name)
        setattr(holder, last, _wrapped(getattr(holder, last), point, control, passed))


def order(control: Path, point: Point, *, skip: int, scope: Scope) -> None:
    """Let the process die that reaches ``point`` after passing it ``skip`` times."""
    draft = control.with_suffix(".new")
    draft.write_text(f"{point.name}\n{skip}\n{scope}", encoding="utf-8")
    draft.replace(control)


def _wrapped(function: Callable[..., Any], point: Point, control: Path, passed: Counter[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if point.when == "before":
            _pass(point, control, passed)
        result = function(*arguments, **named)
        if point.when == "after":
            _pass(point, control, passed)
        return result

    return call


def _pass(point: Point, control: Path, passed: Counter[str]) -> None:
    try:
        name, skip, scope = control.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return
    if name != point.name or _role() != point.role:
        return
    passed[name] += 1
    if passed[name] <= int(skip):
        return
    try:
        # Of several processes at this point one dies.
        control.rename(fired(control))
    except FileNotFoundError:
        return
    if scope == "gateway":
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def fired(control: Path) -> Path:
    """The file that stands in place of ``control`` once its order was carried out."""
    return control.with_suffix(".fired")


def _role() -> str:
    name = current_process().name
    return "supervisor" if name == "MainProcess" else name.partition("-")[0]
