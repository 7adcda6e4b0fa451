"""What the tests of faults ask of a gateway: send, count, wait, and draw the balance."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset, dcmwrite
from pydicom.uid import UID, CTImageStorage

from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.ports import wait_until
from tests.integration.raw_peer import RawPeer

_ROOT: Final = Path(__file__).resolve().parents[2]
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700

_STARTED = re.compile(r"process started .*?pid=(\d+) worker=([a-z0-9-]+)")


def image(uid: str, *, size: int) -> bytes:
    """The data set, explicit little endian, of a CT image with ``size`` bytes of pixels, a multiple of 200."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, UID(uid)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID("2.25.1"), UID("2.25.2")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality, dataset.PatientName, dataset.PatientID = "CT", "FAULTTEST^PATIENT", "FT-4711"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows = 100, size // 200
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = bytes(size)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


@dataclass
class Sender:
    """Sends instances one by one, and remembers which were acknowledged.

    Attributes
    ----------
    statuses: of all C-STORE responses, in order
    acknowledged: SOP Instance UIDs
    """

    running: GatewayProcess
    statuses: list[int] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)

    def send(self, count: int, *, size: int = 2000) -> list[int]:
        """Send ``count`` more instances with Pixel Data of ``size`` bytes; their statuses."""
        answers = []
        with RawPeer(self.running.dicom_port) as peer:
            peer.associate()
            for _ in range(count):
                uid = f"2.25.4711{len(self.statuses):06}"
                answers.append(peer.store(image(uid, size=size), instance=uid))
                self.statuses.append(answers[-1])
                if answers[-1] == SUCCESS:
                    self.acknowledged.append(uid)
            peer.release()
        return answers


def pid_of(running: GatewayProcess, worker: str) -> int:
    """The process that has a role at this moment."""
    return next(int(pid) for pid, name in reversed(_STARTED.findall(running.process.output)) if name == worker)


class Books:
    """A gateway's ledger, asked by a process of its own.

    Parameters
    ----------
    url: of the ledger
    inside: a process in whose file systems the ledger lies, if not in ours
    """

    def __init__(self, url: str, *, inside: int | None = None) -> None:
        self._process = subprocess.Popen(
            [*entering(inside), sys.executable, "-m", "tests.faults.clerk", url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT,
        )  # fmt: skip

    def ask(self, question: str) -> Any:
        """The answer of ``tests.faults.clerk``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def count(self, *states: str) -> int:
        """Instances in these states."""
        found = self.ask("states")
        return sum(found.get(state, 0) for state in states)

    def settled(self, expected: int) -> None:
        """Wait until ``expected`` instances are delivered, and nothing else is there; the books must balance."""
        wait_until(lambda: self.count("delivered", "purged") >= expected, what=f"{expected} are delivered", seconds=120)
        assert self.ask("balance") == {"recorded": expected, "problems": []}

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)


def entering(pid: int | None) -> list[str]:
    """What to put in front of a command so that it sees the file systems of the process ``pid``."""
    if pid is None:
        return []
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", "--target", str(pid), "--mount", *user, f"--wd={_ROOT}"]


def arrived(folder: Path) -> int:
    """Files in a folder destination."""
    return sum(path.suffix == ".dcm" for path in folder.rglob("*") if path.parent.name != ".partial")
