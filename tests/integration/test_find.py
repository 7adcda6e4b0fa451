"""Why has a study not arrived: asked with what a radiologist has, answered by the running gateway (promise P14)."""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from gateway.custody.history_archive import archive_history, archive_instances
from gateway.ledger import Ledger
from tests.fixtures.commands import Answer, gateway_command
from tests.fixtures.dcmtk import storescu
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import wait_until
from tests.fixtures.sought import SECRET, seek_studies

PROFILE = """
profile: desk
version: "1"
describes: Holds one patient
use: [basic]
accept:
  - hold: PatientID == "MRN-0002"
    because: a person decides
"""
CONFIGURATION = "profiles: [profiles]\nprojects: {default: {profile: desk}}\nworkers: {deidentify: 1}\n"
ACCESSION = {"MRN-0001": "A26-000123", "MRN-0002": "A26-000124"}


def radiograph(folder: Path, patient: str, number: int) -> Path:
    one = pydicom.Dataset()
    one.SOPClassUID = ComputedRadiographyImageStorage
    one.SOPInstanceUID = f"1.2.826.0.1.3680043.2.{patient[-4:].lstrip('0')}.3.{number}"
    one.StudyInstanceUID = f"1.2.826.0.1.3680043.2.{patient[-4:].lstrip('0')}"
    one.SeriesInstanceUID = f"{one.StudyInstanceUID}.3"
    one.AccessionNumber = ACCESSION[patient]
    one.PatientID = patient
    # The number of the request, and the one that the patient had in another house.
    request, former = pydicom.Dataset(), pydicom.Dataset()
    request.AccessionNumber, former.PatientID = f"{ACCESSION[patient]}-R", f"{patient}-OLD"
    one.RequestAttributesSequence, one.OtherPatientIDsSequence = [request], [former]
    one.PatientName = "MOCKBURY^TESTARIO"
    one.Modality = "CR"
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{patient}-{number}.dcm"
    one.save_as(path, enforce_file_format=True)
    return path


def ask(running: GatewayProcess, *arguments: str, typed: str = "") -> Answer:
    """What a command answers whose standard input has ``typed``; it tells no identity."""
    environ = {**running.environ, "GATEWAY_CONFIG": str(running.data.parent / "gateway.yaml")}
    before, sys.stdin = sys.stdin, io.StringIO(f"{typed}\n")
    try:
        answer = gateway_command(*arguments, environ=environ)
    finally:
        sys.stdin = before
    assert not re.search(r"MRN|A26|MOCKBURY|1\.2\.826", answer.stdout + answer.stderr)
    return answer


def test_p14_a_held_and_a_delivered_study(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "desk.yaml").write_text(PROFILE)
    files = [radiograph(tmp_path, patient, number) for patient in ACCESSION for number in (1, 2)]
    with gateway_server(tmp_path, configuration=CONFIGURATION) as running:
        assert storescu(running.dicom_port, files).status == 0
        wait_until(lambda: running.count("confirmed") == 2 and running.count("held") == 2, what="all is done")

        found = ask(running, "find", "--original", typed=f" {ACCESSION['MRN-0001'].lower()}")
        assert found.returncode == 0, found
        assert "2 deliveries to archive confirmed, the last at " in found.stdout
        resend = re.search(r"gateway (deliveries resend --study 2\.25\.\d+ --destination archive)", found.stdout)
        assert resend, found.stdout

        found = ask(running, "find", "--original", typed=ACCESSION["MRN-0002"])
        assert found.returncode == 4
        # What the answer names leads on.
        shown = re.search(r"2 instances held: held-by-rule\n {4}gateway held show (\d+)\n", found.stdout)
        assert shown, found.stdout
        assert "The rule desk:7 holds the instance" in ask(running, "held", "show", shown[1]).stdout
        # By the association as well, which the log names.
        (association,) = set(re.findall(r"association=(\d+)", (tmp_path / "gateway.log").read_text()))
        assert ask(running, "find", "--association", association).returncode == 4
        for typed, status in (
            ("mrn-0001", 0),
            ("1.2.826.0.1.3680043.2.2", 4),  # the study
            ("1.2.826.0.1.3680043.2.1.3", 0),  # a series
            ("1.2.826.0.1.3680043.2.1.3.2", 0),  # an instance
            ("A26-000124-R", 4),
            ("mrn-0001-old", 0),
            ("A26-000199", 1),
        ):
            assert ask(running, "find", "--original", typed=typed).returncode == status, typed
        assert ask(running, "find", "--original", "--as", "patient", typed=ACCESSION["MRN-0001"]).returncode == 1

        listed = [json.loads(line) for line in ask(running, "studies", "--json").stdout.splitlines()]
        assert [one["verdict"] for one in listed] == ["needs somebody", "done"]
        assert [one["deliveries"][0]["count"] for one in listed[1:]] == [2]
        (pseudonym,) = listed[1]["patient_ids"]
        assert ask(running, "find", "--pseudonym", pseudonym).returncode == 0
        assert ask(running, "find", "--uid", listed[1]["study_uids"][0]).returncode == 0
        first = ask(running, "studies", "--limit", "1")
        assert first.stderr == f"there are more: --before {listed[0]['study']}\n"
        assert ask(running, "studies", "--limit", "1", "--before", str(listed[0]["study"])).stderr == ""
        assert ask(running, "studies", "--unfinished", "--json").stdout.count("\n") == 1

        audited = ask(running, "audit", "list", "--action", "original-sought").stdout
        assert audited.count("original-sought") == 10
        assert running.process.stop() == 0
    # Nothing that is kept beside the spool tells what was asked for.
    for path in (*running.data.glob("ledger.sqlite3*"), tmp_path / "gateway.log"):
        assert not re.search(rb"MRN-000|A26-000|1\.2\.826\.0\.1\.3680043\.2\.", path.read_bytes()), path.name


def test_p14_a_study_that_left_the_ledger_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seek_studies(tmp_path)
    now = datetime.now(UTC)
    with Ledger.open(f"sqlite:///{tmp_path}/data/ledger.sqlite3") as ledger:
        account = ledger.accounts.draw()
        assert len(ledger.retention.purge(now, 9, now=now)) == 3
        archive_history(ledger, tmp_path / "data" / "history", keep_seconds=0, now=now + timedelta(days=1))
        archive_instances(ledger, tmp_path / "data" / "history", keep_seconds=0, now=now + timedelta(days=1))
        assert ledger.accounts.draw().received == account.received
    environ = {"GATEWAY_SECRET": SECRET, "GATEWAY_CONFIG": str(tmp_path / "gateway.yaml"), "PATH": "/usr/bin"}
    monkeypatch.setattr(sys, "stdin", io.StringIO("A26-000123\n"))
    found = gateway_command("find", "--original", environ=environ)
    assert found.returncode == 0, found
    assert "received       3, 2026-11-23" in found.stdout
    assert "3 deliveries to research confirmed, the last at" in found.stdout
    assert "3 instances of these left the ledger: history/instances-00000002.jsonl.gz has what" in found.stdout
    # Nothing of it is here that could be sent again.
    assert "resend" not in found.stdout
    history = gateway_command("history", "1", environ=environ)
    assert [line.split()[-1] for line in history.stdout.splitlines()][-1:] == ["retention"]
    assert gateway_command("history", "99", environ=environ).returncode == 2


def test_p14_another_key_finds_what_the_former_one_made(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "desk.yaml").write_text(PROFILE)
    with gateway_server(tmp_path, configuration=CONFIGURATION) as running:
        assert storescu(running.dicom_port, [radiograph(tmp_path, "MRN-0001", 1)]).status == 0
        wait_until(lambda: running.count("confirmed") == 1, what="it is delivered")
        assert running.process.stop() == 0
    # The rows are lost, and made again from the spool: found as before.
    for path in running.data.glob("ledger.sqlite3*"):
        path.unlink()
    changed = f"{CONFIGURATION}gateway_key: {{key_version: 2}}\n"
    with gateway_server(tmp_path, configuration=CONFIGURATION) as running:
        wait_until(lambda: running.count("confirmed") == 1, what="it is delivered again")
        assert ask(running, "find", "--original", typed=ACCESSION["MRN-0001"]).returncode == 0
        assert running.process.stop() == 0
    with gateway_server(tmp_path, configuration=changed) as running:
        assert storescu(running.dicom_port, [radiograph(tmp_path, "MRN-0002", 1)]).status == 0
        wait_until(lambda: running.count("held") == 1, what="it is held")
        assert ask(running, "find", "--original", typed=ACCESSION["MRN-0001"]).returncode == 0
        assert ask(running, "find", "--original", typed=ACCESSION["MRN-0002"]).returncode == 4
        assert sorted(path.name for path in (running.data / "secrets").iterdir()) == [
            "@gateway.key", "@gateway@2.key", "default.key",
        ]  # fmt: skip
        # Without the former key the older one is not found any more; that key's loss is told.
        (running.data / "secrets" / "@gateway.key").unlink()
        assert ask(running, "find", "--original", typed=ACCESSION["MRN-0001"]).returncode == 1
        assert running.process.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("find",), "say --original, or by what"),
        (("find", "--original", "--pseudonym", "x"), "say --original, or by what"),
        (("find", "--pseudonym", "x", "--as", "patient"), "it goes with --original"),
        (("find", "--original", "--as", "name"), "the kinds of identifiers are accession, patient"),
    ],
)
def test_questions_that_are_not_understood(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/data/ledger.sqlite3"):
        answer = gateway_command(*arguments, environ={"GATEWAY_DATA": str(tmp_path / "data"), "PATH": "/usr/bin"})
    assert answer.returncode == 2
    assert says in answer.stderr
