"""PostgreSQL is restarted under the whole gateway, while it records, while it works and while it delivers.

Nothing acknowledged is lost, no process dies, and everything that was under way goes on by itself, at once: the leases
of what was claimed at that moment would last for another five minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

import psycopg
import pydicom

from tests.crash.traffic import Traffic
from tests.faults.archive import Archive
from tests.faults.books import Books
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import wait_until
from tests.fixtures.vouched import VOUCHED_PROJECT
from tests.integration.postgresql import Cluster, postgresql_cluster  # noqa: F401
from tests.unit.deliver.peers import Exchange, Peer

#: So many to an association of storescu.
AT_ONCE: Final = 5


class Gate:
    """Lets store requests through to the archive, or keeps them waiting for their answer."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.opened = threading.Event()
        self.waiting = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        """Meet one request."""
        exchange.read_body()
        self.waiting.set()
        self.opened.wait()
        self._archive(exchange)


@contextmanager
def sending(traffic: Traffic, port: int) -> Iterator[None]:
    """Send with storescu until the block ends, and then on until everything is acknowledged."""
    over, broken = threading.Event(), threading.Event()

    def send() -> None:
        while not broken.is_set() and (traffic.waiting or not over.is_set()):
            if len(traffic.waiting) < AT_ONCE and not over.is_set():
                traffic.make(AT_ONCE)
            traffic.send(port, most=AT_ONCE)

    thread = threading.Thread(target=send, name="storescu")
    thread.start()
    try:
        yield
    except BaseException:
        broken.set()
        raise
    finally:
        over.set()
        thread.join()


def logged(running: GatewayProcess, event: str) -> None:
    """Wait until the gateway has said something."""
    wait_until(lambda: event in running.process.output, what=event)


def test_p1_p3_postgresql_restarts_under_the_gateway(
    tmp_path: Path,
    postgresql_cluster: Cluster,  # noqa: F811
) -> None:
    url = postgresql_cluster.create_database()
    traffic = Traffic(tmp_path / "in")
    archive = Archive()
    archive.opened.set()
    gate = Gate(archive)
    with Peer(gate) as peer:
        configuration = f"""{VOUCHED_PROJECT}
storage: {{ledger: "{url}"}}
destinations: {{archive: {{type: dicomweb, url: "{peer.url}", connections: 1}}}}
workers: {{deidentify: 1}}
retry: {{first_seconds: 0.1, longest_seconds: 0.5}}
"""
        try:
            with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
                traffic.make(AT_ONCE)
                traffic.send(running.dicom_port, most=AT_ONCE)
                assert len(traffic.acknowledged) == AT_ONCE
                # The deliverer has sent and waits for its answer.
                wait_until(gate.waiting.is_set, what="an instance is being delivered")
                with (
                    closing(psycopg.connect(url)) as other,
                    sending(traffic, running.dicom_port),
                ):
                    # The worker has treated a batch, and its transaction is under way when the server goes.
                    other.execute("LOCK TABLE outputs IN EXCLUSIVE MODE")
                    wait_until(lambda: _is_waited_for(url), what="the worker waits to record what it has done")
                    # Found good a moment ago, which says nothing once a process has been failed.
                    assert running.get("/readyz").ok
                    postgresql_cluster.stop()
                    gate.opened.set()
                    for event in ("recording postponed", "work paused", "delivery paused"):
                        logged(running, event)
                    assert running.get("/readyz").status_code == 503
                    assert running.get("/healthz").ok
                    # What comes meanwhile is refused: the sender has to come again.
                    logged(running, "instance refused")
                    time.sleep(2)
                    postgresql_cluster.start()
                sent = len(traffic.acknowledged)
                with closing(Books(url)) as books:
                    wait_until(lambda: books.count("delivered") >= sent, what="everything is delivered")
                    wait_until(lambda: not books.count("received", "deidentified"), what="nothing is under way")
                    # What was stored without an acknowledgement came again, and was known as the same.
                    duplicates = books.count("rejected")
                    assert books.count("delivered") == sent
                    assert books.ask("balance") == {"recorded": sent + duplicates, "problems": []}
                assert running.get("/readyz").ok
                assert "process died" not in running.process.output
        finally:
            gate.opened.set()
            postgresql_cluster.start()
    found = sorted(pydicom.dcmread(BytesIO(content)).PixelData for content in archive.stored.values())
    assert found == sorted(sent.pixels for sent in traffic.acknowledged.values())


def _is_waited_for(url: str) -> bool:
    """Whether a transaction waits for a lock."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,)
