"""How cost grows: with rows in the ledger, associations, and the size of an instance."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from benchmarks.figures import Run
from benchmarks.programs import LedgerView, gateway, synced
from benchmarks.senders import storescu, warm_up
from benchmarks.usage import Meter
from benchmarks.workloads import Workload
from gateway.association.requestor import Association, Node
from gateway.ledger import Ledger

_LEDGER: Final = "ledger.sqlite3"
_CT: Final = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
#: Instances that were received, delivered and purged long ago, with all that the ledger keeps of them.
_FILL: Final = """
CREATE TEMP TABLE numbers AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
    SELECT i FROM n;
INSERT INTO instances (id, spool_name, received_at, size, crc32, source, calling_ae, called_ae, peer_address,
        sop_class_uid, transfer_syntax, state, changed_at, attempts, project, sop_key, content_key, code, detail,
        purged_at)
    SELECT i, printf('2020-01-01/%026d.dcm', i), 1577836800000000 + i, 533000, i, 'any', 'CT', 'GATEWAY', '127.0.0.1',
        '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'purged', 1577836900000000 + i, 1, 'default',
        hex(randomblob(16)), hex(randomblob(16)), '', '', 1577837000000000 + i FROM numbers;
INSERT INTO outputs (instance_id, profile, profile_digest, size, patient_id, study_uid, series_uid, sop_uid,
        sop_class_uid, transfer_syntax, actions, destinations)
    SELECT i, 'basic', hex(randomblob(32)), 533000, 'P' || (i / 1000), '2.25.1' || (i / 500), '2.25.2' || (i / 100),
        '2.25.3' || i, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '{}', 1 FROM numbers;
INSERT INTO deliveries (id, instance_id, destination, study_uid, size, state, created_at, changed_at, attempts, due_at,
        code, detail)
    SELECT i, i, 'archive', '2.25.1' || (i / 500), 533000, 'confirmed', 1577836850000000 + i, 1577836900000000 + i, 1,
        1577836850000000 + i, 'stored', '' FROM numbers;
INSERT INTO history (instance_id, delivery_id, at, state_before, state_after, actor, code, detail)
    SELECT i, NULL, 1577836800000000 + i, NULL, 'received', 'receiver', '', '' FROM numbers
    UNION ALL SELECT i, NULL, 1577836900000000 + i, 'deidentified', 'delivered', 'deliver', '', '' FROM numbers;
INSERT INTO receipts (project, number, delivery_id, digest, document)
    SELECT 'default', i, i, hex(randomblob(32)), '{}' FROM numbers;
INSERT INTO receipt_chains (project, number, digest) SELECT 'default', max(i), '' FROM numbers;
"""


def fill(data: Path, rows: int) -> None:
    """Make a ledger in the data directory ``data`` that knows ``rows`` instances, all delivered and purged."""
    data.mkdir(parents=True, mode=0o700)
    path = data / _LEDGER
    Ledger.open(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in _FILL.split(";"):
            if statement.strip():
                connection.execute(statement, {"rows": rows} if ":rows" in statement else {})


def rows(folder: Path, workload: Workload, filled: Path) -> Run:
    """The whole way into a folder, with the ledger that ``fill`` has made in the directory ``filled``."""

    def prepare(data: Path) -> None:
        data.mkdir(parents=True, mode=0o700)
        shutil.copy2(filled / _LEDGER, data / _LEDGER)

    with gateway(folder, {"type": "folder", "path": str(folder / "archive")}, prepare=prepare) as running:
        view = LedgerView(running.data)
        warm_up(running.dicom_port, workload)
        view.wait(view.confirmed, len(workload.warm_up))
        synced()
        view = LedgerView(running.data)
        meter = Meter(running.processes).start()
        started = time.time()
        storescu(running.dicom_port, workload, associations=4, no_delay=True)
        view.wait(view.confirmed, len(workload.files))
        window = meter.window()
        return Run(
            instances=len(workload.files),
            size=workload.size,
            seconds=view.last_confirmed() - started,
            cpu=meter.cpu(),
            latencies=view.transits(),
            memory=meter.memory(),
            window=window,
        )


def idle(folder: Path, associations: int, seconds: float) -> Run:
    """CPU of the receiver while so many associations are open and silent; ``cpu`` is for all of them together."""
    with (
        gateway(folder, {"type": "folder", "path": str(folder / "archive")}, max_associations=associations) as running,
        ExitStack() as stack,
    ):
        node = Node(
            destination="gateway", host="127.0.0.1", port=running.dicom_port, called_ae="GATEWAY", calling_ae="IDLE"
        )
        for _ in range(associations):
            stack.callback(Association(node, [_CT]).abort)
        receivers = {pid: role for pid, role in running.processes.items() if role == "receive"}
        meter = Meter(receivers).start()
        time.sleep(seconds)
        return Run(instances=associations, size=0, seconds=seconds, cpu=meter.cpu(), memory=meter.memory())
