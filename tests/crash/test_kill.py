"""Promises P1, P2, P3 and P6: SIGKILL at random moments loses nothing, doubles nothing and lets nothing out unchanged.

The whole gateway is killed again and again while a real sender (dcmtk's storescu) transfers 300 instances. The sender
repeats what was not acknowledged. In the end every acknowledged instance is in the archive, once.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydicom
import requests
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from gateway.config import load_settings
from gateway.deid import ProjectKey
from gateway.ledger import InstanceState, Ledger
from gateway.secret import project_secret
from tests.fixtures.ports import free_ports, wait_until
from tests.fixtures.tools import tool

INSTANCES = 300
KILLS = 8
NAME = "KILLTEST^PATIENT"
_SENT = re.compile(r"Sending file: (.+)")
_ACKNOWLEDGED = "Received Store Response (Success)"
_ROOT = Path(__file__).resolve().parents[2]


class Gateway:
    """A gateway in a process group of its own, so that all of it can be killed at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dicom_port, self.http_port = free_ports(2)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_DATA": str(folder / "data"),
            "GATEWAY_DICOM_PORT": str(self.dicom_port),
            "GATEWAY_HTTP_PORT": str(self.http_port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "gateway.log").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=self.environ, cwd=_ROOT, start_new_session=True,
            )  # fmt: skip

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready, what="the gateway is ready")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "gateway.log").read_text()[-3000:]
        try:
            return requests.get(f"http://127.0.0.1:{self.http_port}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """End every process of it at once, without warning."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)


def test_sigkill_at_random_points(tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")  # noqa: T201  (shown when the test fails)
    moments = random.Random(seed)
    files = _instances(tmp_path / "in")
    gateway = Gateway(tmp_path)
    gateway.start()
    gateway.wait_until_ready()
    acknowledged: set[Path] = set()
    kills = 0
    try:
        while len(acknowledged) < len(files):
            left = [path for path in files if path not in acknowledged]
            killing = kills < KILLS
            timer = threading.Timer(moments.uniform(0.05, 0.6), gateway.kill) if killing else None
            if timer is not None:
                timer.start()
            acknowledged |= _send(gateway.dicom_port, left)
            if timer is not None:
                timer.join()
                kills += 1
                # Some of the kills hit the start and its recovery.
                gateway.start()
                if moments.random() < 0.5:
                    time.sleep(moments.uniform(0.1, 1.5))
                    gateway.kill()
                    kills += 1
                    gateway.start()
                gateway.wait_until_ready()
        wait_until(lambda: _open_instances(gateway) == 0, what="everything is delivered", seconds=120)
        assert gateway.stop() == 0
    finally:
        _end(gateway)
    assert kills >= KILLS
    _check(gateway, files)


def _instances(folder: Path) -> list[Path]:
    folder.mkdir()
    source = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    source.PatientName = NAME
    files = []
    for number in range(1, INSTANCES + 1):
        source.SOPInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.77.{number}")
        source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
        source.InstanceNumber = number
        path = folder / f"{number:03}.dcm"
        source.save_as(path)
        files.append(path)
    return files


def _send(port: int, files: list[Path]) -> set[Path]:
    """Send files; the ones whose Success the sender has seen."""
    done = subprocess.run(
        [tool("storescu"), "-v", "-aec", "GATEWAY", "127.0.0.1", str(port), *map(str, files)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
        env={**os.environ, "TCP_NODELAY": "1"},
    )  # fmt: skip
    acknowledged: set[Path] = set()
    sending: Path | None = None
    for line in done.stdout.splitlines():
        found = _SENT.search(line)
        if found is not None:
            sending = Path(found[1])
        elif _ACKNOWLEDGED in line and sending is not None:
            acknowledged.add(sending)
    return acknowledged


def _open_instances(gateway: Gateway) -> int:
    with _ledger(gateway) as ledger:
        status = ledger.status()
    return status.instance_count(InstanceState.RECEIVED) + status.instance_count(InstanceState.DEIDENTIFIED)


def _ledger(gateway: Gateway) -> Ledger:
    return Ledger.open(load_settings(None, gateway.environ).ledger_url)


def _check(gateway: Gateway, files: list[Path]) -> None:
    key = ProjectKey(project_secret(load_settings(None, gateway.environ), "default", create=False))
    expected = {key.uid(str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)): path for path in files}
    archive = gateway.folder / "data" / "archive"
    # What a kill left half written is set apart and swept later; it never had an instance's name.
    arrived = [path for path in archive.rglob("*") if path.is_file() and path.parent.name != ".partial"]
    found = {path.stem: path for path in arrived if path.suffix == ".dcm"}
    assert len(arrived) == len(found) == INSTANCES
    assert set(found) == set(expected)
    for uid, path in found.items():
        output, original = pydicom.dcmread(path), pydicom.dcmread(expected[uid])
        assert output.PixelData == original.PixelData
        assert output.PatientIdentityRemoved == "YES"
        assert NAME.encode() not in path.read_bytes()
    with _ledger(gateway) as ledger:
        account = ledger.account()
        assert account.balanced, account.problems
        status = ledger.status()
    assert status.instance_count(InstanceState.HELD) == 0
    assert status.instance_count(InstanceState.DELIVERED) == INSTANCES
    # What arrived but was not acknowledged in time was sent again and recognised.
    assert {row.code for row in status.reasons} <= {"duplicate"}


def _end(gateway: Gateway) -> None:
    try:
        gateway.kill()
    except ProcessLookupError:
        return
