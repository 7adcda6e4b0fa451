"""Every way in which a ledger's database fails is told apart: where, what to do, and never with the password."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from gateway.errors import (
    LedgerBusy,
    LedgerDamaged,
    LedgerFull,
    LedgerMissing,
    LedgerReadOnly,
    LedgerRefused,
    LedgerUnavailable,
    LedgerUnreachable,
)
from gateway.ledger import Ledger
from gateway.ledger.database import Database
from tests.fixtures.ports import free_ports
from tests.integration.postgresql import Cluster, name_of, postgresql_cluster  # noqa: F401 - fixtures
from tests.unit.ledger.build import received

PASSWORD = "hunter2-and-more"


@pytest.fixture(scope="module")
def cluster(postgresql_cluster: Cluster) -> Iterator[Cluster]:  # noqa: F811
    """A server with a user that needs a password and one that may not come at all."""
    access = postgresql_cluster.directory / "data" / "pg_hba.conf"
    before = access.read_text()
    access.write_text(f"local all secret scram-sha-256\nlocal all shut reject\n{before}")
    with closing(psycopg.connect(postgresql_cluster.url("postgres"), autocommit=True)) as connection:
        connection.execute(f"CREATE ROLE secret LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("CREATE ROLE shut LOGIN")
        connection.execute("CREATE ROLE poor LOGIN")
        connection.execute("CREATE ROLE nologin NOLOGIN")
        connection.execute("SELECT pg_reload_conf()")
    yield postgresql_cluster
    access.write_text(before)
    with closing(psycopg.connect(postgresql_cluster.url("postgres"), autocommit=True)) as connection:
        connection.execute("DROP ROLE secret; DROP ROLE shut; DROP ROLE poor; DROP ROLE nologin")
        connection.execute("SELECT pg_reload_conf()")


def alter(cluster: Cluster, url: str, change: str) -> None:
    with closing(psycopg.connect(cluster.url("postgres"), autocommit=True)) as connection:
        connection.execute(f'ALTER DATABASE "{name_of(url)}" {change}')


def of_user(url: str, user: str, password: str = "") -> str:
    made = sa.make_url(url).set(username=user, password=password or None)
    return made.render_as_string(hide_password=False)


def wrong_password(_: Cluster, url: str) -> str:
    return of_user(url, "secret", "wrong-" + PASSWORD)


def no_password(_: Cluster, url: str) -> str:
    return of_user(url, "secret")


def not_let_in(_: Cluster, url: str) -> str:
    return of_user(url, "shut", PASSWORD)


def no_such_user(_: Cluster, url: str) -> str:
    return of_user(url, "nobody-knows", PASSWORD)


def no_login(_: Cluster, url: str) -> str:
    return of_user(url, "nologin", PASSWORD)


def no_rights(_: Cluster, url: str) -> str:
    return of_user(url, "poor", PASSWORD)


def no_such_database(cluster: Cluster, _: str) -> str:
    return of_user(cluster.url("no_such_ledger"), "gateway", PASSWORD)


def no_more_connections(cluster: Cluster, url: str) -> str:
    # The cluster's own user is a superuser, whom no limit concerns.
    with closing(psycopg.connect(cluster.url("postgres"), autocommit=True)) as connection:
        connection.execute("ALTER ROLE secret CONNECTION LIMIT 0")
    return of_user(url, "secret", PASSWORD)


def closed_database(cluster: Cluster, url: str) -> str:
    alter(cluster, url, "ALLOW_CONNECTIONS false")
    return url


def read_only(cluster: Cluster, url: str) -> str:
    alter(cluster, url, "SET default_transaction_read_only = on")
    return url


def no_socket(_: Cluster, url: str) -> str:
    return f"postgresql://gateway:{PASSWORD}@/{name_of(url)}?host=/no/such/directory"


def no_server(_: Cluster, url: str) -> str:
    (port,) = free_ports(1)
    return f"postgresql://gateway:{PASSWORD}@127.0.0.1:{port}/{name_of(url)}"


def no_host(_: Cluster, url: str) -> str:
    return f"postgresql://gateway:{PASSWORD}@no-such-host.invalid/{name_of(url)}?connect_timeout=3"


#: How the server is reached, what comes of it, and the code of the failure.
CONNECTING: list[tuple[Callable[[Cluster, str], str], type[LedgerUnavailable], str]] = [
    (wrong_password, LedgerRefused, "SQLSTATE 28P01"),
    (no_password, LedgerRefused, "SQLSTATE 28P01"),
    (not_let_in, LedgerRefused, "SQLSTATE 28000"),
    (no_such_user, LedgerRefused, "SQLSTATE 28000"),
    (no_login, LedgerRefused, "SQLSTATE 28000"),
    (no_rights, LedgerRefused, "SQLSTATE 42501"),
    (no_such_database, LedgerMissing, "SQLSTATE 3D000"),
    (no_more_connections, LedgerBusy, "SQLSTATE 53300"),
    (closed_database, LedgerRefused, "SQLSTATE 55000"),
    (read_only, LedgerReadOnly, "SQLSTATE 25006"),
    (no_socket, LedgerUnreachable, "no such socket"),
    (no_server, LedgerUnreachable, "connection refused"),
    (no_host, LedgerUnreachable, "no such host"),
]


@pytest.mark.parametrize(("reach", "kind", "state"), CONNECTING, ids=[row[0].__name__ for row in CONNECTING])
def test_a_server_that_does_not_let_in(
    cluster: Cluster, reach: Callable[[Cluster, str], str], kind: type[LedgerUnavailable], state: str
) -> None:
    url = reach(cluster, cluster.create_database())
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger.open(url).close()
    error = caught.value
    assert (type(error), error.facts["state"]) == (kind, state)
    assert error.lasting is (kind in {LedgerRefused, LedgerMissing, LedgerDamaged})
    # Where, and never the password; who may not know where is told the rest.
    parts = sa.make_url(url)
    assert str(parts.database) in error.message
    assert str(parts.host or parts.query["host"]) in error.message
    assert PASSWORD not in error.message + repr(error) + error.public
    assert str(parts.database) not in error.public
    assert state in error.public


#: What a running server answers to a statement, by its SQLSTATE.
ANSWERING: list[tuple[str, type[LedgerUnavailable]]] = [
    ("53100", LedgerFull),  # disk full
    ("53200", LedgerUnavailable),  # out of memory: no class of its own
    ("55P03", LedgerBusy),  # lock time-out
    ("57014", LedgerBusy),  # statement time-out
    ("25006", LedgerReadOnly),
    ("57P01", LedgerUnreachable),  # shut down by its administrator
    ("XX001", LedgerDamaged),
    ("XX002", LedgerDamaged),
    ("58030", LedgerUnavailable),  # its disk fails
    ("22012", LedgerUnavailable),  # a fault of ours
]


@pytest.mark.parametrize(("state", "kind"), ANSWERING)
def test_a_server_that_fails(cluster: Cluster, state: str, kind: type[LedgerUnavailable]) -> None:
    database = Database(cluster.create_database())
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'DOE^JOHN' USING ERRCODE = '{state}'; END $$"
    try:
        with pytest.raises(LedgerUnavailable) as caught:
            database.write("be tried", lambda connection: connection.exec_driver_sql(raising))
    finally:
        database.close()
    error = caught.value
    assert type(error) is kind
    assert f"SQLSTATE {state}" in error.message
    assert database.server in error.message
    assert "DOE" not in error.message


def test_a_server_that_ends_the_connection(cluster: Cluster) -> None:
    database = Database(cluster.create_database())
    ending = "SELECT pg_terminate_backend(pg_backend_pid())"
    try:
        with pytest.raises(LedgerUnreachable):
            database.write("be tried", lambda connection: connection.exec_driver_sql(ending))
    finally:
        database.close()


def test_a_server_that_is_stopped(cluster: Cluster) -> None:
    url = cluster.create_database()
    with Ledger.open(url) as ledger:
        cluster.stop()
        try:
            with pytest.raises(LedgerUnreachable):
                ledger.ping()
        finally:
            cluster.start()
        ledger.ping()


def no_directory(path: Path) -> None:
    path.parent.write_text("a file where the directory should be")


def no_database_file(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xa5" * 8192)


@pytest.mark.parametrize(("prepare", "kind"), [(no_directory, LedgerRefused), (no_database_file, LedgerDamaged)])
def test_a_file_that_cannot_be_used(
    tmp_path: Path, prepare: Callable[[Path], None], kind: type[LedgerUnavailable]
) -> None:
    path = tmp_path / "data" / "ledger.sqlite3"
    prepare(path)
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger.open(f"sqlite:///{path}").close()
    assert type(caught.value) is kind
    assert str(path) in caught.value.message
    assert str(path) not in caught.value.public


def test_a_file_that_is_full(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        database = ledger._database
        pages = database.read("count", lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar())

        def fill(connection: sa.Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.exec_driver_sql("CREATE TABLE more (x)")
            connection.exec_driver_sql("INSERT INTO more VALUES (zeroblob(1000000))")

        with pytest.raises(LedgerFull, match="SQLITE_FULL"):
            database.write("be filled", fill)


def test_a_file_that_is_read_only(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        with pytest.raises(LedgerReadOnly, match="SQLITE_READONLY"):
            ledger._database.write(
                "be changed",
                lambda connection: (
                    connection.exec_driver_sql("PRAGMA query_only = on"),
                    connection.exec_driver_sql("DELETE FROM numbers"),
                ),
            )
        ledger._database.engine.dispose()
        assert ledger.instances.record([received(1)]) == [1]


def test_a_file_that_somebody_else_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.database._BUSY_SECONDS", 0.05)
    path = tmp_path / "ledger.sqlite3"
    with Ledger.open(f"sqlite:///{path}") as ledger, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerBusy, match="SQLITE_BUSY"):
            ledger.instances.record([received(1)])


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, LedgerFull),
        (errno.EDQUOT, LedgerFull),
        (errno.EROFS, LedgerReadOnly),
        (errno.EACCES, LedgerRefused),
        (errno.EPERM, LedgerRefused),
        (errno.EIO, LedgerUnavailable),  # the disk fails: no class of its own
    ],
)
def test_what_the_operating_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[LedgerUnavailable]
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("gateway.ledger.database.os.open", refuse)
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3")
    assert type(caught.value) is kind
    assert os.strerror(number) in caught.value.message
