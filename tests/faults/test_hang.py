"""Promise P14: an instance that a worker never comes to an end with is held; nothing else waits for it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tests.faults.books import image, pid_of
from tests.faults.hanging import HANGS
from tests.fixtures.commands import gateway_command
from tests.fixtures.dcmtk import storescu
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import wait_until
from tests.integration.raw_peer import CT, RawPeer

# Long enough for what does not hang, also where much else is done on the machine.
CONFIGURATION = "workers: {deidentify: 2, instance_seconds: 5}\n"


def hanging(_command: list[str]) -> list[str]:
    return [sys.executable, "-m", "tests.faults.hanging", "run"]


def send(running: GatewayProcess, uids: list[str]) -> None:
    with RawPeer(running.dicom_port) as peer:
        peer.associate([(CT, ("1.2.840.10008.1.2.1",))])
        for uid in uids:
            assert peer.store(image(uid, size=2000), instance=uid) == 0
        peer.release()


def send_what_hangs(running: GatewayProcess) -> None:
    assert storescu(running.dicom_port, [Path(str(get_testdata_file("CT_small.dcm")))], calling_ae=HANGS).status == 0


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.timeout(600)
def test_an_instance_that_hangs_is_held_and_the_others_go_on(tmp_path: Path) -> None:
    with gateway_server(tmp_path, configuration=CONFIGURATION, wrap=hanging) as running:
        send_what_hangs(running)
        send(running, [f"2.25.7{number}" for number in range(40)])
        wait_until(lambda: running.count("held") == 1, what="the instance is held", seconds=200)
        wait_until(lambda: running.count("confirmed") == 40, what="the others are delivered", seconds=200)
        assert running.count("held") == 1  # none of those that were claimed together with it
        shown = gateway_command("held", "list", environ=running.environ).stdout
        assert "instance-overran" in shown
        assert "it took more than 5 s" in " ".join(shown.split())
        wait_until(lambda: running.get("/readyz").ok, what="the gateway is ready")
        # Three attempts, each by another process.
        assert running.process.output.count("instance-overran") + running.process.output.count("it took more") >= 3


def test_a_process_that_hangs_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    with gateway_server(tmp_path, configuration=CONFIGURATION, wrap=hanging) as running:
        send_what_hangs(running)

        def at_it() -> list[str]:
            return [name for name in ("deidentify-1", "deidentify-2") if _processor_seconds(pid_of(running, name)) > 1]

        wait_until(lambda: bool(at_it()), what="a worker hangs")
        pid = pid_of(running, at_it()[0])
        running.process.popen.send_signal(signal.SIGKILL)
        running.process.popen.wait()
        wait_until(lambda: has_ended(pid), what="the process that hangs has ended")


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
