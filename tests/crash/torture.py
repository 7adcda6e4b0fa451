"""A gateway under torture: killed at named points and at random while a real sender and a real archive work with it."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final

import pydicom
import requests

from gateway.custody.secret import project_secret
from gateway.deid import ProjectKey
from gateway.errors import SpoolUnavailable
from gateway.ledger import DUPLICATE, DeliveryState, InstanceState, Ledger
from gateway.settings.configuration import Settings, load_settings
from gateway.treatment.resources import open_spool
from tests.crash.points import BEFORE_THE_ROW, CONTROL, POINTS, REBUILDING, Point, Scope, fired, order
from tests.crash.traffic import CORRECTED, FIRST, Sent, Traffic, pixels_of
from tests.fixtures.dcmtk import storescp
from tests.fixtures.ports import free_ports, wait_until
from tests.fixtures.warm import Started, start_process

_ROOT: Final = Path(__file__).resolve().parents[2]
_BATCH: Final = 8
#: How often all processes are killed and not one: to start them all takes seconds.
_WHOLE: Final = 0.2
#: A point that is not reached within this time is not on the way any more: the test fails.
_REACHED_SECONDS: Final = 90.0
_BY_NAME: Final = {point.name: point for point in POINTS}


@dataclass(slots=True)
class Figures:
    """What a run counted. Everything from ``lost`` on must be empty."""

    kills: Counter[str] = field(default_factory=Counter)
    transmissions: int = 0
    instances: int = 0
    corrections: int = 0
    superseded: int = 0
    held_and_resumed: int = 0
    sent_again: int = 0
    duplicates_recognised: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not any((self.lost, self.doubled, self.leaked, self.outdated, self.damaged, self.unbalanced))

    def __str__(self) -> str:
        numbers = {
            "kills": self.kills.total(),
            "at different points": len(self.kills),
            "transmissions": self.transmissions,
            "instances acknowledged": self.instances,
            "corrections among them": self.corrections,
            "sent again after that": self.sent_again,
            "duplicates recognised": self.duplicates_recognised,
            "deliveries superseded": self.superseded,
            "held after three crashes, resumed": self.held_and_resumed,
            "lost": len(self.lost),
            "delivered twice": len(self.doubled),
            "leaked": len(self.leaked),
            "outdated by an older version": len(self.outdated),
            "damaged": len(self.damaged),
            "problems of the account": len(self.unbalanced),
        }
        lines = [f"{name:34} {number}" for name, number in numbers.items()]
        wrong = (*self.lost, *self.doubled, *self.leaked, *self.outdated, *self.damaged, *self.unbalanced)
        return "\n".join([*lines, *wrong[:20]])


class Torture:
    """One data directory and the lives of the gateways on it.

    Parameters
    ----------
    folder: for everything
    archive_port: a storage SCP, the second destination beside a folder
    seed: of all choices
    archive: where that one writes
    entry: the module that is started
    """

    def __init__(
        self, folder: Path, *, archive_port: int, archive: Path, seed: int, entry: str = "tests.crash.entry"
    ) -> None:
        self._folder = folder
        self._entry = entry
        self._archive = archive
        self._random = random.Random(seed)
        self._control = folder / "control"
        self._dicom_port, self._http_port = free_ports(2)
        self._process: Started | None = None
        #: Whether a received file has no row, so that the next start has one to rebuild.
        self._unrecorded = False
        self.traffic = Traffic(folder / "in")
        self.figures = Figures()
        configuration = folder / "gateway.yaml"
        configuration.write_text(
            f"""
destinations:
  folder: {{type: folder, path: {folder / "out"}}}
  pacs: {{type: dicom, host: 127.0.0.1, port: {archive_port}, called_ae: ARCHIVE, connections: 1}}
projects:
  default: {{destinations: [folder, pacs]}}
storage: {{retention: 0s, reserve_bytes: 1 MiB}}
workers: {{deidentify: 1}}
retry: {{first_seconds: 0.1, longest_seconds: 1}}
""",
            encoding="utf-8",
        )
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_CONFIG": str(configuration),
            "GATEWAY_DATA": str(folder / "data"),
            "GATEWAY_DICOM_PORT": str(self._dicom_port),
            "GATEWAY_HTTP_PORT": str(self._http_port),
            CONTROL: str(self._control),
        }

    def at(self, name: str) -> None:
        """Kill at the point ``name``, whatever that takes, and have the gateway running again."""
        point = _BY_NAME[name]
        if point.at_start:
            self._at_start(point)
            return
        self._ensure_running()
        whole = point.role == "supervisor" or name == BEFORE_THE_ROW or self._random.random() < _WHOLE
        scope: Scope = "gateway" if whole else "process"
        skip = self._random.randrange(4) if point.role != "supervisor" else 0
        with self._ordered(point, skip=skip, scope=scope):
            if point.name == "a dead child's leases released":
                self._kill_one()
            deadline = time.monotonic() + _REACHED_SECONDS
            while not fired(self._control).exists():
                if time.monotonic() > deadline:
                    raise AssertionError(f"the point {name!r} was not reached\n{self.log[-3000:]}")
                self._burst()
        if scope == "gateway":
            self._bury()
            self._unrecorded = name == BEFORE_THE_ROW

    def at_random(self) -> None:
        """Kill one process of the gateway, whichever it is, or all of them, at a random moment of the traffic."""
        self._ensure_running()
        everything = self._random.random() < _WHOLE
        sender = threading.Thread(target=self._burst, name="sender")
        sender.start()
        time.sleep(self._random.uniform(0.0, 0.4))
        if everything:
            self._kill_everything()
        else:
            self._kill_one()
        self.figures.kills["everything" if everything else "one process"] += 1
        sender.join()
        if everything:
            self._bury()

    def finish(self) -> Figures:
        """Let the gateway deliver everything, stop it, and compare what it took with what has arrived."""
        self._ensure_running()
        self.traffic.correct(_BATCH)
        wait_until(self._everything_is_sent, what="everything is acknowledged", seconds=120)
        wait_until(self._everything_is_done, what="everything is delivered", seconds=240)
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(60) == 0, self.log[-3000:]
        self._process = None
        self._judge()
        return self.figures

    def end(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def log(self) -> str:
        """What the gateways said."""
        return (self._folder / "gateway.log").read_text(encoding="utf-8", errors="replace")

    def settings(self) -> Settings:
        """The configuration of the gateway."""
        return load_settings(None, self._environ)

    # The lives of the gateway

    def _start(self) -> None:
        with (self._folder / "gateway.log").open("ab") as output:
            self._process = start_process(
                [sys.executable, "-m", self._entry, "run"], output=output, environ=self._environ, cwd=_ROOT,
                new_session=True,
            )  # fmt: skip

    def _ensure_running(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._bury()
        if self._process is None:
            self._start()
            self._unrecorded = False
        wait_until(self._is_ready, what="the gateway is ready", seconds=120)

    def _is_ready(self) -> bool:
        process = self._process
        assert process is not None
        if process.poll() is not None:
            raise AssertionError(f"the gateway ended with {process.returncode}\n{self.log[-3000:]}")
        try:
            return requests.get(f"http://127.0.0.1:{self._http_port}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def _bury(self) -> None:
        """A gateway whose supervisor is dead; its orphans have a moment to notice, or are met by the next one."""
        assert self._process is not None
        self._process.wait(60)
        self._process = None

    def _at_start(self, point: Point) -> None:
        if point.name in REBUILDING and not self._unrecorded:
            self.at(BEFORE_THE_ROW)
        if self._process is not None:
            self._kill_everything()
            self.figures.kills["everything"] += 1
            self._bury()
        with self._ordered(point, skip=0, scope="gateway"):
            self._start()
            assert self._process is not None
            status = self._process.wait(120)
            assert fired(self._control).exists(), f"{point.name!r} was not reached: {status}\n{self.log[-3000:]}"
        self._bury()
        self._unrecorded = self._unrecorded and point.name != "a row rebuilt"

    @contextmanager
    def _ordered(self, point: Point, *, skip: int, scope: Scope) -> Iterator[None]:
        fired(self._control).unlink(missing_ok=True)
        order(self._control, point, skip=skip, scope=scope)
        yield
        self.figures.kills[point.name] += 1

    def _kill_everything(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)

    def _kill_one(self) -> None:
        """Kill a process of the gateway other than its supervisor, and not the one that nobody would miss."""
        assert self._process is not None
        victims = [pid for pid in _group(self._process.pid) if pid != self._process.pid and not _is_idle(pid)]
        with suppress(ProcessLookupError, IndexError):
            os.kill(self._random.choice(victims), signal.SIGKILL)

    # The traffic

    def _burst(self) -> None:
        if len(self.traffic.waiting) < _BATCH:
            self.traffic.make(_BATCH - 4)
            self.traffic.correct(2)
            # Of those that have just arrived, are being purged at this moment, or are gone.
            self.traffic.repeat(2)
        self.traffic.send(self._dicom_port, most=_BATCH)

    def _everything_is_sent(self) -> bool:
        self.traffic.send(self._dicom_port, most=100)
        return not self.traffic.waiting

    def _everything_is_done(self) -> bool:
        settings = self.settings()
        try:
            received = set(open_spool(settings).names())
        except SpoolUnavailable:
            return False  # one was purged while it was looked at
        with Ledger.open(settings.ledger_url) as ledger:
            # The row of an instance that was acknowledged follows within moments.
            if not received <= set(ledger.instances.known_spool_names()):
                return False
            held = [row.instance_id for row in ledger.holds.instances(limit=10_000) if row.code == "worker-died"]
            if held:
                # What a person does with an instance that lost its worker three times through no fault of its own.
                ledger.reviews.resume(held, by="operator")
                self.figures.held_and_resumed += len(held)
            status = ledger.figures.status()
        return not (status.instance_count(InstanceState.RECEIVED) + status.instance_count(InstanceState.DEIDENTIFIED))

    # The judgement

    def _judge(self) -> None:
        figures, traffic = self.figures, self.traffic
        figures.transmissions = traffic.transmissions
        figures.instances = len(traffic.acknowledged)
        figures.sent_again = traffic.repeated
        figures.corrections = sum(one.version == CORRECTED for one in traffic.acknowledged.values())
        settings = self.settings()
        key = ProjectKey(project_secret(settings, "default", create=False))
        expected = {key.uid(uid): one for uid, one in traffic.acknowledged.items()}
        # What a kill left half written is set apart and swept later; it never had an instance's name.
        written = [
            path for path in (self._folder / "out").rglob("*") if path.is_file() and path.parent.name != ".partial"
        ]
        self._compare("folder", written, expected)
        self._compare("archive", [path for path in self._archive.iterdir() if path.is_file()], expected)
        with Ledger.open(settings.ledger_url) as ledger:
            account = ledger.accounts.draw()
            status = ledger.figures.status()
            left = ledger.retention.purged_of(list(open_spool(settings).names()))
        figures.unbalanced += [f"{name} was given up and is still in the spool" for name in left]
        figures.unbalanced += account.problems
        figures.superseded = status.delivery_count(DeliveryState.SUPERSEDED)
        for row in status.reasons:
            if row.code == DUPLICATE:
                figures.duplicates_recognised += row.count
            else:
                figures.lost.append(f"{row.count} instances are {row.state} with the code {row.code}")

    def _compare(self, place: str, files: list[Path], expected: Mapping[str, Sent]) -> None:
        """What has arrived at one destination with what it should have."""
        figures = self.figures
        found: Counter[str] = Counter()
        patients: defaultdict[int, set[str]] = defaultdict(set)
        for path in files:
            content = path.read_bytes()
            figures.leaked += [
                f"{place}: {path.name} has {text!r}" for text in self.traffic.identities() if text in content
            ]
            output = pydicom.dcmread(BytesIO(content), force=True)
            uid = str(output.get("SOPInstanceUID", ""))
            found[uid] += 1
            if uid not in expected:
                figures.doubled.append(f"{place}: {path.name} is an instance that nobody sent")
                continue
            sent = expected[uid]
            patients[sent.patient].add(str(output.PatientID))
            if output.get("PatientIdentityRemoved") != "YES":
                figures.leaked.append(f"{place}: {path.name} is not de-identified")
            if output.PixelData != sent.pixels:
                wrong = figures.outdated if output.PixelData == pixels_of(sent.uid, FIRST) else figures.damaged
                wrong.append(f"{place}: {path.name} has other pixels")
        figures.lost += [f"{place}: nothing of {expected[uid].uid}" for uid in expected if uid not in found]
        figures.doubled += [f"{place}: {count} times {uid}" for uid, count in found.items() if count > 1]
        figures.doubled += [
            f"{place}: patient {number} has the pseudonyms {names}"
            for number, names in patients.items()
            if len(names) > 1
        ]


@contextmanager
def torture(folder: Path, *, seed: int, entry: str = "tests.crash.entry") -> Iterator[Torture]:
    """A gateway to torture, with an archive (dcmtk's storescp) of its own; nothing of both is left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with storescp(folder / "archive") as archive:
        one = Torture(folder, archive_port=archive.port, archive=archive.folder, seed=seed, entry=entry)
        try:
            yield one
        finally:
            one.end()


def _is_idle(pid: int) -> bool:
    """Whether a process only watches over what others leave behind (Python's resource tracker)."""
    with suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _group(leader: int) -> list[int]:
    """The processes of a process group, by Linux's /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # The name of the program stands in brackets, and may hold anything.
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                if int(fields[2]) == leader and fields[0] != "Z":
                    found.append(int(entry.name))
    return found
