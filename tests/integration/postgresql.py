"""A private PostgreSQL cluster for tests: a directory, a unix socket, no network, gone afterwards.

A test module that needs it imports both fixtures::

    from tests.integration.postgresql import postgresql_cluster, postgresql_url  # noqa: F401
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

_NUMBERS: Final = count(1)


@dataclass
class Cluster:
    """A server, which a test may stop and start again."""

    binaries: Path
    directory: Path
    user: str | None
    _server: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql://gateway@/{database}?host={self.directory}"

    def create_database(self, *, like: str | None = None) -> str:
        """Create a database and return its URL: an empty one, or a copy of another that nobody is connected to."""
        name = f"ledger_{next(_NUMBERS)}"
        template = [] if like is None else ["-T", name_of(like)]
        _run(self.binaries / "createdb", "-h", str(self.directory), "-U", "gateway", *template, name)
        return self.url(name)

    def start(self) -> None:
        """Run the server, unless it runs, and wait until it takes connections."""
        if self._server is not None:
            return
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "shared_buffers": "64MB",
        }
        arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.directory / "data", *arguments],
                stdout=log,
                stderr=log,
                cwd="/",
                user=self.user,
                group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
                extra_groups=None if self.user is None else [],
            )
        _wait(self.binaries, self.directory, self._server)

    def stop(self) -> None:
        """Stop the server, if it runs, by a fast shutdown: transactions are aborted, connections closed."""
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait()

    def abandon(self) -> None:
        """End the server at once: nobody wants what a checkpoint of hundreds of databases would write."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait()
            self._server = None


def name_of(url: str) -> str:
    """The name of the database that a URL of a cluster leads to."""
    return str(make_url(url).database)


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[Cluster]:
    binaries = _binaries()
    # Not in tmp_path: its parents let only their owner pass, and the server refuses to run as root.
    directory = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    cluster: Cluster | None = None
    try:
        user = _user(directory)
        options = ("-U", "gateway", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        _run(binaries / "initdb", "-D", directory / "data", *options, user=user)
        cluster = Cluster(binaries, directory, user)
        cluster.start()
        yield cluster
    finally:
        if cluster is not None:
            cluster.abandon()
        shutil.rmtree(directory)


@pytest.fixture
def postgresql_url(postgresql_cluster: Cluster) -> str:
    return postgresql_cluster.create_database()


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    pytest.fail("initdb was not found: install the Debian package postgresql")


def _user(directory: Path) -> str | None:
    """Who runs the server: this user, or the package's own if this is root, with the directory made its own."""
    if os.getuid() != 0:
        return None
    shutil.chown(directory, "postgres", "postgres")
    return "postgres"


def _run(*command: str | Path, user: str | None = None) -> None:
    group = None if user is None else pwd.getpwnam(user).pw_gid
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", user=user, group=group,
        extra_groups=None if user is None else [],
    )  # fmt: skip
    if done.returncode:
        pytest.fail(f"{command[0]} failed: {done.stderr}")


def _wait(binaries: Path, directory: Path, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 120
    while subprocess.run(
        [binaries / "pg_isready", "-q", "-h", directory, "-U", "gateway", "-d", "postgres"], check=False
    ).returncode:
        if server.poll() is not None or time.monotonic() > give_up:
            pytest.fail(f"PostgreSQL does not start: {(directory / 'log').read_text()}")
        time.sleep(0.05)
