"""Promises P4, P14: a destination that is down, or too slow, stops nothing for longer than it is."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.faults.archive import Archive, received
from tests.faults.books import image
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import wait_until
from tests.integration.raw_peer import CT, RawPeer
from tests.unit.deliver.peers import Exchange, Peer, listing

EXPLICIT = "1.2.840.10008.1.2.1"
COUNT = 60


def configuration(url: str, *, timeout: float = 60, first: float = 0.5) -> str:
    return f"""
destinations:
  archive: {{type: dicomweb, url: "{url}", connections: 2, timeout_seconds: {timeout}}}
workers: {{deidentify: 1}}
retry: {{attempts: 3, first_seconds: {first}, longest_seconds: 3600}}
"""


def send(running: GatewayProcess, count: int = COUNT) -> None:
    with RawPeer(running.dicom_port) as peer:
        peer.associate([(CT, (EXPLICIT,))])
        for number in range(count):
            uid = f"2.25.8{number}"
            assert peer.store(image(uid, size=2000), instance=uid) == 0
        peer.release()


class Doors:
    """An archive behind a proxy: the status with which requests are refused, as long as there is one."""

    def __init__(self, *refusals: int) -> None:
        self.archive = Archive()
        self.archive.opened.set()
        self.refusal: int | None = refusals[0]
        self.asked = 0

    def __call__(self, exchange: Exchange) -> None:
        if self.refusal is None:
            self.archive(exchange)
            return
        self.asked += 1
        exchange.read_body(int(exchange.request.fields.get("content-length", 0)))
        exchange.answer(self.refusal)


def test_an_outage_uses_up_no_attempts_and_tells_of_itself_once(tmp_path: Path) -> None:
    doors = Doors(401)
    with Peer(doors) as peer, gateway_server(tmp_path, configuration=configuration(peer.url, first=0.1)) as running:
        send(running)
        # Three attempts are all that a delivery has, and it is refused six times; each try comes after twice the wait.
        for status, code, times in (
            (401, "credentials", 3), (503, "busy", 1), (404, "not-found", 1), (502, "unreachable", 1),
        ):  # fmt: skip
            doors.refusal, doors.asked = status, 0
            wait_until(lambda times=times: doors.asked >= times, what=f"the archive is tried, {status}", seconds=180)  # type: ignore[misc]
            wait_until(lambda code=code: f"code={code}" in _downs(running), what=f"{code} is told")  # type: ignore[misc]
        assert 'gateway_destination_up{destination="archive"} 0.0' in running.get("/metrics").text
        assert running.count("dead") == 0
        # One entry for each reason, and none for each delivery.
        assert len(_downs(running).splitlines()) <= 8
        assert "delivery finished" not in running.process.output
        doors.refusal = None
        wait_until(lambda: running.count("confirmed") == COUNT, what="everything is delivered", seconds=60)
        assert len(doors.archive.stored) == COUNT
        assert "destination up" in running.process.output
        assert 'gateway_destination_up{destination="archive"} 1.0' in running.get("/metrics").text


def _downs(running: GatewayProcess) -> str:
    return "\n".join(line for line in running.process.output.splitlines() if "destination down" in line)


def test_a_slow_archive_gets_fewer_at_a_time(tmp_path: Path) -> None:
    archive = Archive()

    def takes_its_time(exchange: Exchange) -> None:
        batch = received(exchange)
        time.sleep(0.1 * len(batch))  # fifty take five seconds; it is given two
        archive.keep(batch)
        exchange.answer(200, json.dumps(listing(list(batch))))

    with (
        Peer(takes_its_time) as peer,
        gateway_server(tmp_path, configuration=configuration(peer.url, timeout=2)) as running,
    ):
        send(running)
        wait_until(lambda: running.count("confirmed") == COUNT, what="everything is delivered", seconds=120)
        assert len(archive.stored) == COUNT
        assert running.count("dead") == 0
