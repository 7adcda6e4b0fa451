"""Promise P14: nothing is stuck: what was delivered is delivered again, what waits is made anew, moved or ended."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from tests.faults.books import image
from tests.fixtures.commands import Answer, gateway_command
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.hasty import HASTY
from tests.fixtures.ports import wait_until
from tests.integration.raw_peer import CT, RawPeer

EXPLICIT = "1.2.840.10008.1.2.1"
COUNT = 12
RETRY = "retry: {first_seconds: 0.2, longest_seconds: 0.5}\n"


def send(running: GatewayProcess, first: int = 0, count: int = COUNT) -> None:
    with RawPeer(running.dicom_port) as peer:
        peer.associate([(CT, (EXPLICIT,))])
        for number in range(first, first + count):
            uid = f"2.25.5{number}"
            assert peer.store(image(uid, size=2000), instance=uid) == 0
        peer.release()


def command(running: GatewayProcess, *arguments: str) -> Answer:
    answer = gateway_command(*arguments, environ=running.environ)
    assert answer.returncode == 0, answer.stderr
    return answer


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def arrives(folder: Path, count: int = COUNT) -> None:
    wait_until(lambda: len(files(folder)) == count, what=f"{count} files in {folder.name}")


def settled(running: GatewayProcess, count: int = COUNT) -> None:
    wait_until(lambda: running.count("confirmed") == count, what=f"{count} confirmed")


def balances(running: GatewayProcess) -> None:
    assert "balanced" in command(running, "account").stdout.splitlines()


def test_an_emptied_archive_is_filled_by_sending_again(gateway_process: GatewayProcess) -> None:
    running = gateway_process
    send(running)
    settled(running)
    shutil.rmtree(running.archive)
    send(running)
    arrives(running.archive)
    settled(running)
    balances(running)
    # Sent a third time, nothing is missing: each is there once, with the receipt of each time that it was written.
    send(running)
    wait_until(lambda: running.count("rejected") == 2 * COUNT, what="the copies are duplicates")
    settled(running)
    assert len(files(running.archive)) == COUNT
    balances(running)


def test_an_emptied_archive_is_filled_by_command(gateway_process: GatewayProcess) -> None:
    running = gateway_process
    send(running)
    settled(running)
    study = str(pydicom.dcmread(files(running.archive)[0]).StudyInstanceUID)
    shutil.rmtree(running.archive)
    assert gateway_command("deliveries", "resend", environ=running.environ).returncode == 2  # nothing is chosen
    answer = command(running, "deliveries", "resend", "--study", study, "--because", "the disk was replaced")
    assert f"{COUNT} deliveries will be sent" in answer.stdout
    arrives(running.archive)
    settled(running)
    assert "the disk was replaced" in command(running, "audit", "list").stdout
    balances(running)


def test_after_the_purge_what_is_sent_again_goes_where_it_is_missing(tmp_path: Path) -> None:
    configuration = "storage: {retention: 0s}\n"
    with gateway_server(tmp_path, configuration=configuration, wrap=lambda _: list(HASTY)) as running:
        send(running)
        wait_until(lambda: running.count("purged") == COUNT, what="all are purged", seconds=120)
        settled(running)
        for path in files(running.archive)[:5]:
            path.unlink()
        answer = command(running, "deliveries", "resend", "--all")
        assert f"{COUNT} instances were purged" in answer.stdout
        send(running)
        arrives(running.archive)
        settled(running, 2 * COUNT)
        balances(running)


def blocked(tmp_path: Path) -> tuple[str, Callable[[], None]]:
    """A folder that cannot be written, and what lets it be."""
    place = tmp_path / "place"
    place.write_text("in the way")

    def unblock() -> None:
        place.unlink()

    return f"destinations:\n  archive: {{type: folder, path: {place / 'archive'}}}\n", unblock


@pytest.mark.parametrize("on_change", ["remake", "send", "hold"])
def test_a_tightened_profile_and_outputs_that_wait(tmp_path: Path, on_change: str) -> None:
    profile = tmp_path / "profiles" / "mine.yaml"
    profile.parent.mkdir()
    start = "profile: mine\nversion: '1'\nuse: [basic]\nattributes:\n"
    profile.write_text(start + "  - insert: {ClinicalTrialProtocolID: FIRST}\n")
    destination, unblock = blocked(tmp_path)
    configuration = (
        f"profiles: [{profile.parent}]\n{RETRY}{destination}"
        f"projects:\n  default: {{profile: mine, destinations: [archive], on_change: {on_change}}}\n"
    )
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        send(running)
        wait_until(lambda: running.count("failed") == COUNT, what="nothing can be delivered")
        profile.write_text(start + "  - insert: {ClinicalTrialProtocolID: SECOND}\n")
        running.process.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: "profile activated" in running.process.output, what="the profile is active")
        assert f"outputs_of_the_previous_one={COUNT}" in running.process.output
        if on_change == "hold":
            wait_until(lambda: running.count("held") == COUNT, what="a person decides")
            assert "profile-changed" in command(running, "held", "list").stdout
            command(running, "instances", "redo", "--state", "held", "--all", "--because", "looked at")
        wait_until(lambda: running.get("/readyz").ok, what="the processes are replaced")
        unblock()
        archive = tmp_path / "place" / "archive"
        arrives(archive)
        settled(running)
        made_by = {str(pydicom.dcmread(path).ClinicalTrialProtocolID) for path in files(archive)}
        assert made_by == {"FIRST" if on_change == "send" else "SECOND"}
        balances(running)


def test_a_lost_output_is_made_anew_by_another_profile(tmp_path: Path) -> None:
    destination, unblock = blocked(tmp_path)
    first = f"{RETRY}{destination}projects:\n  default: {{profile: basic, destinations: [archive], on_change: send}}\n"
    with gateway_server(tmp_path / "gateway", configuration=first) as running:
        send(running)
        wait_until(lambda: running.count("failed") == COUNT, what="nothing can be delivered")
        spool = running.data / "spool"
    outputs = [path for path in spool.rglob("*") if path.is_file() and "out" in path.relative_to(spool).parts[0]]
    assert outputs
    for path in outputs:
        path.unlink()
    unblock()
    second = first.replace("profile: basic", "profile: research-default")
    with gateway_server(tmp_path / "gateway", configuration=second) as running:
        arrives(tmp_path / "place" / "archive")
        settled(running)
        balances(running)


def test_a_lost_original_is_told_and_taken_when_sent_again(tmp_path: Path) -> None:
    destination, unblock = blocked(tmp_path)
    configuration = f"{RETRY}{destination}projects:\n  default: {{profile: basic, destinations: [archive]}}\n"
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        send(running)
        wait_until(lambda: running.count("failed") == COUNT, what="nothing can be delivered")
        spool = running.data / "spool"
    for path in spool.rglob("*"):
        if path.is_file() and path.suffix != ".lock":
            path.unlink()
    unblock()
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        wait_until(lambda: running.count("dead") == COUNT, what="the administrator is told")
        assert "output-lost" in command(running, "deliveries", "list", "--state", "dead").stdout
        send(running)
        arrives(tmp_path / "place" / "archive")
        wait_until(lambda: running.count("dead") == 0, what="nothing is dead any more")
        balances(running)


def test_a_renamed_destination(tmp_path: Path) -> None:
    destination, _ = blocked(tmp_path)
    old = f"{RETRY}{destination}projects:\n  default: {{profile: basic, destinations: [archive]}}\n"
    with gateway_server(tmp_path / "gateway", configuration=old) as running:
        send(running)
        wait_until(lambda: running.count("failed") == COUNT, what="nothing can be delivered")
    new = (
        f"destinations:\n  renamed: {{type: folder, path: {tmp_path / 'new'}}}\n"
        "projects:\n  default: {profile: basic, destinations: [renamed]}\n"
    )
    with gateway_server(tmp_path / "gateway", configuration=new) as running:
        told = f"destinations.archive: {COUNT} deliveries wait for it, and it is not configured"
        assert told in running.process.output
        environ = {**running.environ, "GATEWAY_CONFIG": str(tmp_path / "gateway" / "gateway.yaml")}
        assert told in gateway_command("config", "check", environ=environ).stderr
        wrong = gateway_command("deliveries", "move", "archive", "nowhere", environ=environ)
        assert wrong.returncode == 2
        assert "there is no destination nowhere: renamed" in wrong.stderr
        done = gateway_command("deliveries", "move", "archive", "renamed", environ=environ)
        assert f"{COUNT} deliveries are moved from archive to renamed" in done.stdout
        arrives(tmp_path / "new")
        settled(running)
        balances(running)


def test_unwanted_deliveries_are_cancelled(tmp_path: Path) -> None:
    destination, _ = blocked(tmp_path)
    configuration = f"{RETRY}{destination}projects:\n  default: {{profile: basic, destinations: [archive]}}\n"
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        send(running)
        wait_until(lambda: running.count("failed") == COUNT, what="nothing can be delivered")

        def cancelled() -> bool:
            # One that a deliverer has at this moment is left alone.
            command(running, "deliveries", "cancel", "archive", "--because", "the study has ended")
            return running.count("cancelled") == COUNT

        wait_until(cancelled, what="all are cancelled")
        assert running.count("delivered") == COUNT
        balances(running)
