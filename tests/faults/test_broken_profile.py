"""A profile that an edit has broken: the gateway goes on with the one that was active, after a restart, too."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from tests.faults.books import image
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import wait_until
from tests.integration.raw_peer import CT, RawPeer

RIGHT = "profile: mine\nversion: '1'\nuse: [basic]\nattributes:\n  - insert: {ClinicalTrialProtocolID: RIGHT}\n"
BROKEN = RIGHT.replace("insert", "insrt")


def send(running: GatewayProcess, uid: str) -> None:
    with RawPeer(running.dicom_port) as peer:
        peer.associate([(CT, ("1.2.840.10008.1.2.1",))])
        assert peer.store(image(uid, size=2000), instance=uid) == 0
        peer.release()


@pytest.mark.parametrize("by_path", [False, True])
def test_a_start_with_a_broken_profile(tmp_path: Path, *, by_path: bool) -> None:
    profile = tmp_path / "profiles" / "mine.yaml"
    profile.parent.mkdir()
    profile.write_text(RIGHT)
    configuration = (
        f"projects: {{default: {{profile: {profile}}}}}\n"
        if by_path
        else f"profiles: [{profile.parent}]\nprojects: {{default: {{profile: mine}}}}\n"
    )
    folder = tmp_path / "gateway"
    with gateway_server(folder, configuration=configuration) as running:
        profile.write_text(BROKEN)
        running.process.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: "profiles not changed" in running.process.output, what="the edit is refused")
        assert {path.stat().st_mode & 0o077 for path in (running.data / "active-profiles").rglob("*")} == {0}
    with gateway_server(folder, configuration=configuration) as running:
        assert "started with the last active profile" in running.process.output
        assert "insrt" in running.process.output
        send(running, "2.25.61")
        wait_until(lambda: running.count("confirmed") == 1, what="it is delivered")
        (path,) = running.archive.rglob("*.dcm")
        assert pydicom.dcmread(path).ClinicalTrialProtocolID == "RIGHT"


def test_a_first_start_with_a_broken_profile_is_none(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(BROKEN)
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text(
        f"data: {tmp_path / 'data'}\nprojects: {{default: {{profile: {tmp_path / 'mine.yaml'}}}}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "run"],
        env={"PATH": "/usr/bin", "GATEWAY_CONFIG": str(configuration)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "insrt" in done.stderr
