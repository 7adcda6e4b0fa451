"""Two gateways on one ledger would take each other's instances: the second one does not start."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from gateway.ledger import Ledger
from gateway.ledger.sole_use import LedgerInUse
from tests.fixtures.gateway import gateway_server
from tests.fixtures.ports import free_ports, wait_until
from tests.fixtures.warm import run_warm
from tests.integration.postgresql import Cluster, postgresql_cluster  # noqa: F401


def start_second(folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    ports = free_ports(2)
    folder.mkdir()
    second = {
        "GATEWAY_DATA": str(folder / "data"),
        "GATEWAY_DICOM_PORT": str(ports[0]),
        "GATEWAY_HTTP_PORT": str(ports[1]),
    }
    return run_warm([sys.executable, "-m", "gateway", "run"], environ={**environ, **second})


def test_on_postgresql(tmp_path: Path, postgresql_cluster: Cluster) -> None:  # noqa: F811
    url = postgresql_cluster.create_database()
    configuration = f"storage: {{ledger: '{url}'}}\n"
    first = tmp_path / "first"
    with gateway_server(first, configuration=configuration) as running:
        environ = {**running.environ, "GATEWAY_CONFIG": str(first / "gateway.yaml")}
        done = start_second(tmp_path / "second", environ)
        assert done.returncode == 1
        node = (running.data / "node").read_text().strip()
        assert f"Another gateway works with the ledger: gateway {node}" in done.stderr.replace("\n", " ")
        assert running.get("/readyz").ok
        # The connection that holds the lock is lost: the gateway takes it again, or ends if it cannot.
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
            ended = other.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            ).fetchone()
            assert ended == (1,)

            def is_held() -> bool:
                query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                return other.execute(query).fetchone() == (1,)

            wait_until(is_held, what="the lock is held again")
        # One that was killed keeps nobody out.
        running.process.popen.send_signal(signal.SIGKILL)
        running.process.popen.wait()
    with gateway_server(first, configuration=configuration) as running:
        assert running.get("/readyz").ok


def test_on_an_sqlite_file_elsewhere(tmp_path: Path) -> None:
    configuration = f"storage: {{ledger: 'sqlite:///{tmp_path}/shared.sqlite3'}}\n"
    first = tmp_path / "first"
    with gateway_server(first, configuration=configuration) as running:
        done = start_second(tmp_path / "second", {**running.environ, "GATEWAY_CONFIG": str(first / "gateway.yaml")})
        assert done.returncode == 1
        assert "Another gateway works with the ledger" in done.stderr
        assert running.get("/readyz").ok
        # Commands that look into the ledger are no gateways.
        with sqlite3.connect(tmp_path / "shared.sqlite3") as ledger:
            assert ledger.execute("SELECT count(*) FROM instances").fetchone() == (0,)


def _same(path: Path) -> Path:
    return path


def _linked(path: Path) -> Path:
    link = path.parent / "elsewhere.sqlite3"
    link.symlink_to(path)
    return link


def _in_a_linked_directory(path: Path) -> Path:
    (path.parent.parent / "link").symlink_to(path.parent)
    return path.parent.parent / "link" / path.name


def _with_dots(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


@pytest.mark.parametrize("other", [_same, _linked, _in_a_linked_directory, _with_dots])
def test_an_sqlite_file_is_one_by_whatever_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr("gateway.ledger.sole_use._PATIENCE_SECONDS", 0.0)
    path = tmp_path / "here" / "ledger.sqlite3"
    path.parent.mkdir()
    with (
        closing(Ledger.open(f"sqlite:///{path}")) as first,
        closing(first.sole_use("first")) as use,
        closing(Ledger.open(f"sqlite:///{other(path)}")) as second,
    ):
        with pytest.raises(LedgerInUse):
            second.sole_use("second")
        use.close()
        second.sole_use("second").close()
