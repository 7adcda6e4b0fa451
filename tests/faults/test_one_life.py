"""Promises P1, P3, P5, P7: faults of the disk, the ledger and the processes, one after the other in one life.

The gateway is not restarted in between: it has to come out of every fault by itself. Its data directory is a file
system of 64 MiB, in which ENOSPC and EROFS are the kernel's own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import pytest

from tests.faults.books import OUT_OF_RESOURCES, SUCCESS, Books, Sender, arrived, entering, image, pid_of
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import wait_until
from tests.fixtures.small_disk import Inside, on_small_disk, require_small_disks
from tests.integration.raw_peer import CT, RawPeer

DISK = 64 << 20
DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass
class Life:
    """The gateway, its disk and who sends to it."""

    running: GatewayProcess
    disk: Inside
    sender: Sender
    archive: Path
    books: Books

    def is_whole(self) -> None:
        """Everything that was acknowledged is in the archive, once, and the books balance."""
        self.books.settled(len(self.sender.acknowledged))
        assert arrived(self.archive) == len(self.sender.acknowledged)

    def send_deflated(self, size: int) -> str:
        """Send an instance that needs ``size`` bytes more than it takes to receive it; its SOP Instance UID."""
        uid = f"2.25.99{size}"
        compressor = zlib.compressobj(wbits=-15)
        deflated = compressor.compress(image(uid, size=size)) + compressor.flush()
        content = deflated + b"\0" * (len(deflated) % 2)

        def is_taken() -> bool:
            with RawPeer(self.running.dicom_port) as peer:
                peer.associate([(CT, (DEFLATED,))])
                status = peer.store(content, instance=uid)
                peer.release()
            assert status in (SUCCESS, OUT_OF_RESOURCES)
            return status == SUCCESS

        # While another one is inflated there may be no room for it.
        wait_until(is_taken, what="the deflated instance is taken")
        return uid

    def send_until_taken(self, count: int) -> None:
        """Send small instances until ``count`` of them are taken."""
        for _ in range(count):
            wait_until(lambda: self.sender.send(1) == [SUCCESS], what="an instance is taken")

    def takes_again(self) -> None:
        """Instances are taken, without a restart."""
        wait_until(lambda: self.sender.send(1) == [SUCCESS], what="instances are taken again")
        assert self.sender.send(3) == [SUCCESS] * 3
        self.is_whole()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    require_small_disks()
    folder = tmp_path_factory.mktemp("life")
    data = folder / "data"
    data.mkdir(mode=0o700)
    configuration = f"""
destinations: {{archive: {{type: folder, path: {folder / "archive"}}}}}
storage: {{reserve_bytes: 0 B}}
workers: {{deidentify: 1}}
retry: {{first_seconds: 0.2, longest_seconds: 1}}
"""
    with gateway_server(
        folder, configuration=configuration, wrap=lambda command: on_small_disk(command, place=data, size=DISK)
    ) as running:
        books = Books(f"sqlite:///{data}/ledger.sqlite3", inside=running.process.pid)
        yield Life(running, Inside(running.process.pid, data), Sender(running), folder / "archive", books)
        books.close()


@pytest.mark.parametrize("leave", [0, 4 << 10, 64 << 10, 512 << 10])
def test_p5_a_full_disk_refuses_and_recovers(life: Life, leave: int) -> None:
    """With nothing left the file cannot be made; with a little, the ledger's row or the output finds no room."""
    life.takes_again()
    ballast = life.disk.fill(leave=leave)
    answers = life.sender.send(12, size=100_000)
    assert set(answers) <= {SUCCESS, OUT_OF_RESOURCES}
    # Whatever still found room was taken, and is not lost; the rest was refused.
    assert answers[-1] == OUT_OF_RESOURCES
    # A ledger whose disk is full still answers every question: health and metrics are asked what it cannot.
    if not leave:
        answer = life.running.get("/readyz")
        assert answer.status_code == 503
        told = " ".join(answer.json()["problems"])
        assert "the ledger's disk is full" in told
        figures = life.running.get("/metrics").text
        assert "gateway_ready 0.0" in figures
        assert 'gateway_disk_free_bytes{disk="ledger"} 0.0' in figures
    ballast.unlink()
    life.takes_again()
    wait_until(lambda: life.running.get("/readyz").ok, what="the gateway is ready again")


def test_p5_an_instance_that_finds_no_room_keeps_no_other_waiting(life: Life) -> None:
    """There is room to receive a deflated instance and not to inflate it, which comes later, by itself."""
    life.takes_again()
    ballast = life.disk.fill(leave=4 << 20)
    uid = life.send_deflated(8_000_000)
    wait_until(lambda: "instance postponed" in life.running.process.output, what="it is tried")
    assert "cannot write a work file: No space left on device" in life.running.process.output
    life.send_until_taken(3)
    wait_until(lambda: arrived(life.archive) == len(life.sender.acknowledged), what="the others are delivered")
    assert life.books.count("received") == 1
    ballast.unlink()
    life.sender.acknowledged.append(uid)
    life.takes_again()


def test_p5_what_is_refused_leaves_no_file(life: Life) -> None:
    spool = life.disk.path("spool", "received")
    ballast = life.disk.fill()
    before = sorted(spool.rglob("*.dcm"))
    assert set(life.sender.send(3, size=100_000)) == {OUT_OF_RESOURCES}
    assert sorted(spool.rglob("*.dcm")) == before
    ballast.unlink()
    life.takes_again()


def test_p1_a_disk_that_turned_read_only_refuses_and_recovers(life: Life) -> None:
    life.takes_again()
    with life.disk.read_only("spool", "received"):
        assert set(life.sender.send(3)) == {OUT_OF_RESOURCES}
    life.takes_again()


def test_p1_a_locked_ledger_loses_nothing(life: Life) -> None:
    life.takes_again()
    life.books.ask("lock")
    try:
        assert set(life.sender.send(2)) <= {SUCCESS, OUT_OF_RESOURCES}
    finally:
        life.books.ask("unlock")
    life.takes_again()


def test_a_second_gateway_on_the_directory_refuses(life: Life) -> None:
    """It must not meet the disk in a namespace of its own: it runs where the first one runs."""
    second = subprocess.run(
        [*entering(life.running.process.pid), sys.executable, "-m", "gateway", "run"],
        env={**life.running.environ, "GATEWAY_DICOM_PORT": "0", "GATEWAY_HTTP_PORT": "0"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"another gateway, process {life.running.process.pid}, uses it" in second.stderr
    life.takes_again()


def test_p7_out_of_file_descriptors(life: Life) -> None:
    """Neither an association nor a file can be opened; what has one goes on, and the others are refused."""
    receiver = pid_of(life.running, "receive")
    before = resource.prlimit(receiver, resource.RLIMIT_NOFILE)
    opened = {int(entry.name) for entry in Path(f"/proc/{receiver}/fd").iterdir()}
    # One for the association, and none for the file.
    _, first_refused = islice((number for number in count() if number not in opened), 2)
    resource.prlimit(receiver, resource.RLIMIT_NOFILE, (first_refused, before[1]))
    try:
        answers = []
        for _ in range(3):
            try:
                answers += life.sender.send(2)
            except (OSError, AssertionError):
                answers.append(-1)  # no association
        assert set(answers) <= {-1, SUCCESS, OUT_OF_RESOURCES}
        assert answers[-1] != SUCCESS
    finally:
        resource.prlimit(receiver, resource.RLIMIT_NOFILE, before)
    assert pid_of(life.running, "receive") == receiver
    life.takes_again()


def test_p7_a_worker_without_memory_holds_the_instance_and_goes_on(life: Life) -> None:
    """A deflated data set has to be inflated in memory; the limit leaves no room for it."""
    life.takes_again()
    worker = pid_of(life.running, "deidentify-1")
    before = resource.prlimit(worker, resource.RLIMIT_AS)
    pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
    resource.prlimit(worker, resource.RLIMIT_AS, (pages * resource.getpagesize() + (3 << 20), before[1]))
    try:
        uid = life.send_deflated(6_000_000)
        wait_until(lambda: life.books.count("held") == 1, what="the instance is held")
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(worker, resource.RLIMIT_AS, before)
    # A person finds out why, gives it memory and lets it through.
    life.books.ask("resume")
    life.sender.acknowledged.append(uid)
    life.takes_again()
