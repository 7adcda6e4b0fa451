"""What the tortured gateway is sent: small CT images with planted identities, and corrections of them."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from tests.fixtures.tools import tool

_PIXELS: Final = 16
_PATIENTS: Final = 3
FIRST: Final = "first"
CORRECTED: Final = "corrected"
_SENT: Final = re.compile(r"Sending file: (.+)")
_ACKNOWLEDGED: Final = "Received Store Response (Success)"


@dataclass(frozen=True, slots=True)
class Sent:
    """One version of one instance, as a file to send."""

    path: Path
    uid: str
    patient: int
    version: str

    @property
    def pixels(self) -> bytes:
        """Its Pixel Data."""
        return pixels_of(self.uid, self.version)


class Traffic:
    """Makes instances, sends them until they are acknowledged, and knows which version was acknowledged last."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._made = 0
        self._dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
        self._dataset.Rows = self._dataset.Columns = _PIXELS
        del self._dataset.DataSetTrailingPadding
        self.waiting: list[Sent] = []
        self.acknowledged: dict[str, Sent] = {}
        #: Transmissions that the sender began, acknowledged or not.
        self.transmissions = 0
        #: Those that had been acknowledged before.
        self.repeated = 0
        self._corrected: set[str] = set()

    @staticmethod
    def identities() -> list[bytes]:
        """What may be in no output."""
        return [text.encode() for number in range(_PATIENTS) for text in _identity(number)]

    def make(self, count: int) -> None:
        """Add new instances to those that wait to be sent."""
        for _ in range(count):
            self._made += 1
            self._add(f"1.2.826.0.1.3680043.8.498.77.{self._made}", self._made % _PATIENTS, FIRST)

    def correct(self, count: int) -> None:
        """Add corrections of the instances that were acknowledged last: the same UID with other pixels."""
        uids = [uid for uid in self.acknowledged if uid not in self._corrected]
        for uid in uids[max(0, len(uids) - count) :]:
            self._corrected.add(uid)
            self._add(uid, self.acknowledged[uid].patient, CORRECTED)

    def repeat(self, count: int) -> None:
        """Add instances once more that were acknowledged: their sender believes that they are missing somewhere."""
        on_their_way = {one.uid for one in self.waiting}
        known = [one for one in self.acknowledged.values() if one.uid not in on_their_way]
        self.repeated += min(count, len(known))
        self.waiting += known[-count:]

    def send(self, port: int, *, most: int) -> None:
        """Send what waits, ``most`` at a time, by dcmtk's storescu; what is not acknowledged goes on waiting."""
        batch = self.waiting[:most]
        if not batch:
            return
        acknowledged = set(_storescu(port, [one.path for one in batch]))
        self.transmissions += len(batch)
        for one in batch:
            if one.path in acknowledged:
                self.acknowledged[one.uid] = one
        self.waiting = [one for one in self.waiting if one.path not in acknowledged]

    def _add(self, uid: str, patient: int, version: str) -> None:
        dataset = self._dataset
        dataset.PatientName, dataset.PatientID = _identity(patient)
        dataset.StudyInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.78.{patient + 1}")
        dataset.SeriesInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.79.{patient + 1}")
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
        dataset.PixelData = pixels_of(uid, version)
        path = self._folder / f"{uid}-{version}.dcm"
        dataset.save_as(path)
        self.waiting.append(Sent(path, uid, patient, version))


def pixels_of(uid: str, version: str) -> bytes:
    """Pixel Data that no other instance and no other version has."""
    return hashlib.shake_128(f"{uid} {version}".encode()).digest(_PIXELS * _PIXELS * 2)


def _identity(patient: int) -> tuple[str, str]:
    return f"KILLTEST^PATIENT{patient}", f"KT-4711-{patient}"


def _storescu(port: int, paths: Sequence[Path]) -> list[Path]:
    """The files whose Success the sender has seen."""
    done = subprocess.run(
        [tool("storescu"), "-v", "-to", "20", "-ta", "20", "-td", "60", "-aec", "GATEWAY", "127.0.0.1", str(port),
         *map(str, paths)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip
    acknowledged: list[Path] = []
    sending: Path | None = None
    for line in done.stdout.splitlines():
        found = _SENT.search(line)
        if found is not None:
            sending = Path(found[1])
        elif _ACKNOWLEDGED in line and sending is not None:
            acknowledged.append(sending)
    return acknowledged
