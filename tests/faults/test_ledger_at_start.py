"""The gateway is started before its PostgreSQL, or with a configuration that this server does not let in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.fixtures.ports import free_ports, wait_until
from tests.fixtures.processes import Process
from tests.fixtures.vouched import VOUCHED_PROJECT
from tests.integration.postgresql import Cluster, postgresql_cluster  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
PASSWORD = "hunter2-and-more"


@contextmanager
def gateway(folder: Path, url: str) -> Iterator[tuple[Process, str]]:
    """A gateway that is not waited for, and where its HTTP port is."""
    dicom_port, http_port = free_ports(2)
    path = folder / "gateway.yaml"
    path.write_text(
        f'{VOUCHED_PROJECT}\nstorage: {{ledger: "{url}"}}\nworkers: {{deidentify: 1}}\n'
        "users: {monitoring: {role: viewer, token: '${TOKEN}'}}\n"
    )
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
        "GATEWAY_CONFIG": str(path),
        "GATEWAY_DATA": str(folder / "data"),
        "GATEWAY_DICOM_PORT": str(dicom_port),
        "GATEWAY_HTTP_PORT": str(http_port),
        "TOKEN": "t" * 64,
    }
    command = [sys.executable, "-m", "gateway", "run"]
    with Process(command, log=folder / "gateway.log", environ=environ, cwd=ROOT) as process:
        yield process, f"http://127.0.0.1:{http_port}"


def get(url: str) -> requests.Response | None:
    try:
        return requests.get(url, timeout=10, headers={"Authorization": f"Bearer {'t' * 64}"})
    except requests.ConnectionError:
        return None


def status(url: str) -> int:
    answer = get(url)
    return 0 if answer is None else answer.status_code


def test_a_server_that_comes_later_is_waited_for(tmp_path: Path, postgresql_cluster: Cluster) -> None:  # noqa: F811
    url = postgresql_cluster.create_database()
    postgresql_cluster.stop()
    try:
        with gateway(tmp_path, url) as (process, address):
            wait_until(lambda: status(f"{address}/readyz") == 503, what="the health tells")
            answer = get(f"{address}/readyz")
            assert answer is not None
            (problem,) = answer.json()["problems"]
            # What and what to do, for everybody; where only in the log.
            assert "its database does not answer (no such socket)" in problem
            assert "See that the server runs" in problem
            assert status(f"{address}/healthz") == 200
            figures = get(f"{address}/metrics")
            assert figures is not None
            assert "gateway_readable 0.0" in figures.text
            assert f"at {postgresql_cluster.directory}" in process.output
            postgresql_cluster.start()
            wait_until(lambda: status(f"{address}/readyz") == 200, what="the gateway is ready")
            assert process.output.count("ledger awaited") == 1
            assert "process died" not in process.output
    finally:
        postgresql_cluster.start()


def test_the_wait_ends_by_a_signal(tmp_path: Path, postgresql_cluster: Cluster) -> None:  # noqa: F811
    url = f"postgresql://gateway:{PASSWORD}@127.0.0.1:{free_ports(1)[0]}/ledger"
    with gateway(tmp_path, url) as (process, _):
        wait_until(lambda: "ledger awaited" in process.output, what="the gateway waits")
        assert process.stop() == 0
        assert PASSWORD not in process.output


def test_what_a_person_has_to_mend_ends_the_start(tmp_path: Path, postgresql_cluster: Cluster) -> None:  # noqa: F811
    url = postgresql_cluster.url("no_such_ledger").replace("gateway@", f"gateway:{PASSWORD}@")
    with gateway(tmp_path, url) as (process, _):
        assert process.popen.wait(60) == 1
        assert "there is no PostgreSQL database no_such_ledger" in process.output
        assert "storage.ledger" in process.output
        assert "ledger awaited" not in process.output
        assert PASSWORD not in process.output
