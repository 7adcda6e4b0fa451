"""A gateway with a full queue is upgraded (promise P12) or restored from a backup, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pydicom
import pytest
import sqlalchemy as sa
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from gateway.custody.backup import BackupOrder, make_backup
from gateway.custody.restore import RestoreOrder, check_backup, restore_backup
from gateway.custody.sealed_secrets import read_passphrase
from gateway.dicom.file_meta import read_file_meta
from gateway.errors import BackupUnusable, ConfigurationError
from gateway.ledger import DeliveryResult, Ledger
from gateway.ledger.audit_trail import verify_trail
from gateway.receive import received_of
from gateway.settings.configuration import load_settings
from gateway.spool import Spool, SpoolRecord
from gateway.treatment.receipt_chain import verify_chains
from gateway.treatment.resources import open_spool
from tests.fixtures.commands import Answer, gateway_command
from tests.fixtures.dcmtk import StoreScp, storescp, storescu
from tests.fixtures.gateway import gateway_server
from tests.fixtures.ports import free_port, wait_until
from tests.fixtures.warm import run_warm
from tests.integration.postgresql import Cluster, name_of, postgresql_cluster, postgresql_url  # noqa: F401 - fixtures
from tests.unit.ledger.versions import create_at, pretend_newer

#: The schema before the present release.
PREVIOUS: Final = "0003"
TABLES: Final = (
    "instances",
    "outputs",
    "deliveries",
    "turns",
    "history",
    "receipts",
    "receipt_chains",
    "numbers",
)
#: What the queue holds: how many of each.
SENT, LATE, HELD, REJECTED = 6, 2, 1, 1
PROFILE: Final = """
profile: queue
version: "1"
describes: Holds and rejects by name
use: [basic]
accept:
  - hold: PatientID == "HOLD"
    because: a person decides
  - reject: PatientID == "REJECT"
    because: not wanted
"""


def configuration(port: int, ledger: str | None = None) -> str:
    storage = f"storage: {{ledger: '{ledger}'}}\n" if ledger else ""
    return (
        "profiles: [profiles]\n"
        "projects: {default: {profile: queue}}\n"
        f"destinations: {{node: {{type: dicom, host: 127.0.0.1, port: {port}, called_ae: ARCHIVE}}}}\n"
        "retry: {first_seconds: 1, longest_seconds: 1}\n"
        "workers: {deidentify: 1}\n"
        f"{storage}"
    )


def originals(folder: Path, count: int, *, patient: str = "", start: int = 0) -> list[Path]:
    source = get_testdata_file("CT_small.dcm", read=True)
    assert isinstance(source, pydicom.Dataset)
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(start, start + count):
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.826.0.1.3680043.10.77.{number}")
        source.PatientID = patient or f"P{number}"
        source.StudyInstanceUID = UID(f"1.2.826.0.1.3680043.10.78.{number if not patient else 1000 + len(patient)}")
        paths.append(folder / f"{number}.dcm")
        source.save_as(paths[-1])
    return paths


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A stopped gateway with instances in every state, none of them delivered; and the port of its destination."""
    folder = tmp_path_factory.mktemp("queue")
    (folder / "profiles").mkdir()
    (folder / "profiles" / "queue.yaml").write_text(PROFILE)
    port = free_port()
    files = [
        *originals(folder / "in", SENT),
        *originals(folder / "in", HELD, patient="HOLD", start=SENT),
        *originals(folder / "in", REJECTED, patient="REJECT", start=SENT + HELD),
    ]
    with gateway_server(folder, configuration=configuration(port)) as running:
        assert storescu(running.dicom_port, files).status == 0
        books = running.data / "ledger.sqlite3"

        def waiting() -> bool:
            # One tries the destination, the others wait for it.
            found = states(books, "deliveries")
            return found["failed"] > 0 and found["failed"] + found["pending"] == SENT

        wait_until(waiting, what="all deliveries wait")
        wait_until(lambda: states(books, "instances")["rejected"] == REJECTED, what="one is rejected")
        assert running.process.stop() == 0
    settings = load_settings(folder / "gateway.yaml", running.environ)
    spool = open_spool(settings)
    with Ledger.open(settings.ledger_url) as ledger:
        for path in originals(folder / "late", LATE, start=100):
            ledger.instances.record([received_of(store(spool, path))])
        # One that nobody tries any more, and one that is tried anew.
        ledger.deliveries.retry(only_dead=False, delivery_ids=[1, 2])
        (taken,) = ledger.deliveries.claim("node", "test", max_count=1, max_bytes=1 << 40, lease_seconds=60)
        ledger.deliveries.record("test", [DeliveryResult(delivery_id=one.delivery_id, state="dead") for one in taken])
    return folder, port


def store(spool: Spool, path: Path) -> SpoolRecord:
    content = path.read_bytes()
    meta, start = read_file_meta(content)
    incoming = spool.incoming(meta)
    incoming.write([content[start:]])
    return incoming.commit(peer_address="192.0.2.7", source="")


def states(books: Path, table: str) -> Counter[str]:
    with sqlite3.connect(books) as connection:
        return Counter(dict(connection.execute(f"SELECT state, count(*) FROM {table} GROUP BY state").fetchall()))


def downgraded(source: Path, url: str) -> None:
    """A ledger of the previous version at ``url`` with the content of the ledger file ``source``."""
    create_at(url, PREVIOUS)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    tables = sa.MetaData()
    with sqlite3.connect(source) as old, engine.begin() as connection:
        for name in TABLES:
            tables.reflect(connection, only=[name])
            columns = [column.name for column in tables.tables[name].columns]
            rows = old.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()
            if rows:
                marks = ", ".join(f":{column}" for column in columns)
                statement = sa.text(f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})")
                connection.execute(statement, [dict(zip(columns, row, strict=True)) for row in rows])
            if engine.dialect.name == "postgresql" and "id" in columns:
                last = max((row[columns.index("id")] for row in rows), default=0)
                connection.execute(sa.text(f"ALTER TABLE {name} ALTER COLUMN id RESTART WITH {last + 1}"))
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == PREVIOUS
    engine.dispose()


def copied(queue: Path, folder: Path) -> Path:
    """The queue's gateway without its ledger."""
    shutil.copytree(queue, folder, ignore=shutil.ignore_patterns("ledger.sqlite3*", "in", "late", "*.log"))
    return folder


def everything_arrives(folder: Path, port: int, ledger: str | None) -> None:
    """Run the gateway on an old ledger: all that waited is delivered, once, and the account balances."""
    with (
        storescp(folder / "archive", port=port) as archive,
        gateway_server(folder, configuration=configuration(port, ledger)) as running,
    ):
        environ = {**running.environ, "GATEWAY_CONFIG": str(folder / "gateway.yaml")}
        retried = gateway_command("deliveries", "retry", environ=environ).stdout
        assert retried == "1 deliveries will be sent again\n"
        wait_until(lambda: len(received(archive)) == SENT + LATE, what="all have arrived")
        with Ledger.open(ledger or f"sqlite:///{running.data}/ledger.sqlite3") as books:
            wait_until(lambda: delivered(books) == SENT + LATE, what="the ledger knows it")
            assert books.accounts.draw().problems == ()
            assert [one.detail for one in books.holds.instances()] == [
                "The rule queue:7 holds the instance: a person decides."
            ]
            assert list(verify_trail(books.audit.trail(), books.audit.end())) == []
            assert len(list(books.receipts.read())) == SENT + LATE
            assert list(verify_chains(books.receipts.read(), books.receipts.chains())) == []
        # Received by a version that made nothing by which it would be found; what is kept of it is enough.
        for sought, status in (
            ("P0", 0),  # a Patient ID, delivered from the old queue
            ("1.2.826.0.1.3680043.10.77.101", 0),  # an instance that nobody had treated
            ("HOLD", 4),
            ("1.2.826.0.1.3680043.10.78.99", 1),
        ):
            assert find(environ, sought).returncode == status, sought
    patients = Counter(str(pydicom.dcmread(path).PatientID) for path in received(archive))
    assert len(patients) == SENT + LATE


def find(environ: Mapping[str, str], typed: str) -> Answer:
    """Look for what somebody types, as a command of its own."""
    before, sys.stdin = sys.stdin, io.StringIO(f"{typed}\n")
    try:
        return gateway_command("find", "--original", "--fill", environ=environ)
    finally:
        sys.stdin = before


def delivered(ledger: Ledger) -> int:
    return sum(project.delivered for project in ledger.accounts.draw().projects)


def received(archive: StoreScp) -> list[Path]:
    return [path for path in archive.folder.iterdir() if path.is_file()]


def test_p12_a_full_queue_of_the_previous_version_on_sqlite(queue: tuple[Path, int], tmp_path: Path) -> None:
    source, port = queue
    folder = copied(source, tmp_path / "gateway")
    downgraded(source / "data" / "ledger.sqlite3", f"sqlite:///{folder}/data/ledger.sqlite3")
    everything_arrives(folder, port, None)


def test_p12_a_full_queue_of_the_previous_version_on_postgresql(
    queue: tuple[Path, int],
    tmp_path: Path,
    postgresql_url: str,  # noqa: F811 - a fixture by its name
) -> None:
    source, port = queue
    folder = copied(source, tmp_path / "gateway")
    downgraded(source / "data" / "ledger.sqlite3", postgresql_url)
    everything_arrives(folder, port, postgresql_url)


def test_p12_a_migration_that_is_killed_begins_again(queue: tuple[Path, int], tmp_path: Path) -> None:
    """SIGKILL at a step inside the migration: the next start finds the old schema whole and upgrades it."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    downgraded(queue[0] / "data" / "ledger.sqlite3", url)
    _killed_migration(url, 4)
    _is_whole(url)


def test_p12_a_killed_migration_begins_again_on_postgresql(
    queue: tuple[Path, int],
    postgresql_url: str,  # noqa: F811 - a fixture by its name
) -> None:
    downgraded(queue[0] / "data" / "ledger.sqlite3", postgresql_url)
    _killed_migration(postgresql_url, 7)
    _is_whole(postgresql_url)


def _killed_migration(url: str, step: int) -> None:
    program = f"""
import os, signal
from alembic import op
from gateway.ledger import DeliveryResult, Ledger
left = {step}
def watched(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
op.create_table = watched(op.create_table)
op.create_index = watched(op.create_index)
Ledger.open({url!r})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def _is_whole(url: str) -> None:
    with Ledger.open(url) as ledger:
        assert ledger.accounts.draw().balanced
        assert ledger.accounts.draw().received == SENT + LATE + HELD + REJECTED
        assert list(ledger.audit.trail()) == []


def test_p12_a_gateway_refuses_the_ledger_of_a_later_one(queue: tuple[Path, int], tmp_path: Path) -> None:
    folder = copied(queue[0], tmp_path / "gateway")
    url = f"sqlite:///{folder}/data/ledger.sqlite3"
    shutil.copy(queue[0] / "data" / "ledger.sqlite3", folder / "data" / "ledger.sqlite3")
    with Ledger.open(url) as ledger:
        pretend_newer(ledger)
    with pytest.raises(ConfigurationError, match="9999"):
        Ledger.open(url)
    done = run_warm(
        [sys.executable, "-m", "gateway", "run", "-c", str(folder / "gateway.yaml")],
        environ={"PATH": "/usr/bin:/bin", "GATEWAY_DATA": str(folder / "data")},
    )
    assert done.returncode == 2
    assert "version 9999" in done.stderr
    assert len(list((folder / "data" / "spool" / "received").glob("*/*.dcm"))) == SENT + LATE + HELD + REJECTED


def test_p3_a_restored_gateway_goes_on(queue: tuple[Path, int], tmp_path: Path) -> None:
    """What was backed up of a gateway is restored on another machine: everything that waited arrives."""
    source, port = queue
    settings = load_settings(source / "gateway.yaml", {"GATEWAY_DATA": str(source / "data")})
    key = tmp_path / "passphrase"
    key.write_text("correct horse battery staple")
    key.chmod(0o600)
    with Ledger.open(settings.ledger_url) as ledger:
        order = BackupOrder(target=tmp_path / "backup", passphrase=read_passphrase(key), secrets=True)
        assert make_backup(settings, ledger, open_spool(settings), order).damaged == ()
    folder = tmp_path / "gateway"
    shutil.copytree(source / "profiles", folder / "profiles")
    (folder / "gateway.yaml").write_text(configuration(port))
    done = run_warm(
        [sys.executable, "-m", "gateway", "restore", str(tmp_path / "backup"), "--passphrase-file", str(key)],
        environ={**os.environ, "GATEWAY_CONFIG": str(folder / "gateway.yaml"), "GATEWAY_DATA": str(folder / "data")},
    )
    assert done.returncode == 0, done.stderr
    assert f"{SENT + LATE + HELD + REJECTED} instances, account balanced." in done.stdout
    everything_arrives(folder, port, None)


def test_p3_a_backup_with_the_dump_of_postgresql(
    queue: tuple[Path, int],
    tmp_path: Path,
    postgresql_cluster: Cluster,  # noqa: F811
    postgresql_url: str,  # noqa: F811
) -> None:
    source, port = queue
    downgraded(source / "data" / "ledger.sqlite3", postgresql_url)
    (source / "with-postgresql.yaml").write_text(configuration(port, postgresql_url))
    settings = load_settings(source / "with-postgresql.yaml", {"GATEWAY_DATA": str(source / "data")})
    dump = tmp_path / "ledger.dump"
    with Ledger.open(settings.ledger_url) as ledger:
        with pytest.raises(ConfigurationError, match="pg_dump"):
            make_backup(settings, ledger, open_spool(settings), BackupOrder(target=tmp_path / "backup"))
        tool(postgresql_cluster, "pg_dump", "--format=custom", f"--file={dump}", f"--dbname={name_of(postgresql_url)}")
        order = BackupOrder(target=tmp_path / "backup", dump=dump, passphrase="correct horse battery staple")
        make_backup(settings, ledger, open_spool(settings), order)
        before = ledger.accounts.draw()
    elsewhere = postgresql_cluster.create_database()
    (tmp_path / "gateway.yaml").write_text(configuration(port, elsewhere))
    restored = load_settings(tmp_path / "gateway.yaml", {"GATEWAY_DATA": str(tmp_path / "data")})
    with pytest.raises(BackupUnusable, match="pg_restore"):
        restore_backup(restored, RestoreOrder(source=order.target, passphrase=order.passphrase))
    elsewhere = postgresql_cluster.create_database()
    copy = order.target / "ledger.dump"
    tool(postgresql_cluster, "pg_restore", f"--dbname={name_of(elsewhere)}", str(copy))
    (tmp_path / "gateway.yaml").write_text(configuration(port, elsewhere))
    restored = load_settings(tmp_path / "gateway.yaml", {"GATEWAY_DATA": str(tmp_path / "data")})
    wanted = RestoreOrder(source=order.target, passphrase=order.passphrase)
    assert check_backup(wanted).ledger == "ledger.dump"
    assert restore_backup(restored, wanted).account == before
    with Ledger.open(elsewhere) as ledger:
        assert [one.text("action") for one in ledger.audit.trail()] == ["backup-restored"]


def tool(cluster: Cluster, program: str, *arguments: str) -> None:
    subprocess.run(
        [cluster.binaries / program, "-h", str(cluster.directory), "-U", "gateway", *arguments],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
