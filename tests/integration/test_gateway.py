"""The whole way: real senders, the running gateway, a folder or a real archive behind it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from tests.faults.archive import Archive
from tests.fixtures.commands import Answer, gateway_command
from tests.fixtures.dashboard import unanswered
from tests.fixtures.dcmtk import dcmsend, echoscu, storescu
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.orthanc import Orthanc, orthanc_server
from tests.fixtures.ports import free_port, wait_until
from tests.fixtures.vouched import VOUCHED, VOUCHED_PROJECT
from tests.fixtures.warm import run_warm
from tests.integration.raw_peer import RawPeer, data_set
from tests.scorer.scorer import Kind, Scorer
from tests.unit.deliver.peers import Exchange, Peer

#: A file each of the usual encodings.
NAMES = (
    "CT_small.dcm",  # explicit little endian, private blocks
    "rtdose.dcm",  # implicit little endian
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",  # deflated
    "JPEG2000.dcm",
    "US1_UNCR.dcm",
    "rtplan.dcm",  # no pixel data
)


#: The gateway of these tests has no certificate whose expiry could be told, and nobody whom it tells.
NOT_CONFIGURED = ("gateway_certificate_expiry_timestamp_seconds", "gateway_notif")


@pytest.fixture
def gateway_process(tmp_path: Path) -> Iterator[GatewayProcess]:
    """The gateway on its defaults but for the profile: these tests send images of every kind."""
    with gateway_server(tmp_path / "gateway", configuration=VOUCHED_PROJECT) as running:
        yield running


def command(running: GatewayProcess, *arguments: str) -> Answer:
    """What a command says of the running gateway."""
    return gateway_command(*arguments, environ=running.environ)


def sources(folder: Path) -> list[Path]:
    folder.mkdir()
    found = []
    for name in NAMES:
        original = get_testdata_file(name)
        assert original is not None
        path = folder / name
        path.write_bytes(Path(str(original)).read_bytes())
        found.append(path)
    return found


def delivered(running: GatewayProcess, count: int, *, state: str = "delivered") -> None:
    """Wait until the gateway's own books say so."""
    wait_until(lambda: running.count(state) >= count, what=f"{count} instances are {state}")


def test_a_study_ends_de_identified_in_the_folder(gateway_process: GatewayProcess, tmp_path: Path) -> None:
    running = gateway_process
    assert echoscu(running.dicom_port).status == 0
    files = sources(tmp_path / "in")
    report = tmp_path / "report.txt"
    sent = dcmsend(running.dicom_port, [tmp_path / "in"], report=report)
    assert sent.status == 0, sent.output
    delivered(running, len(files))
    written = sorted(running.archive.rglob("*.dcm"))
    assert len(written) == len(files)
    originals = {_marker(path): path for path in files}
    for path in written:
        assert Scorer().score(originals[_marker(path)], path) == []
        found = pydicom.dcmread(path)
        place = (found.PatientID, found.StudyInstanceUID, found.SeriesInstanceUID, f"{found.SOPInstanceUID}.dcm")
        assert path.relative_to(running.archive).parts == place
    account = command(running, "account")
    assert account.returncode == 0
    assert "balanced" in account.stdout
    assert running.get("/healthz").ok
    metrics = running.get("/metrics").text
    assert f'gateway_instances_received_total{{source="any"}} {len(files)}.0' in metrics
    assert f'gateway_instances_delivered_total{{destination="archive"}} {len(files)}.0' in metrics
    assert "gateway_ready 1.0" in metrics
    assert "gateway_ledger_writable 1.0" in metrics
    # Everything that the dashboard asks for is there, although most of it has not happened yet.
    asked = [one for one in unanswered(metrics) if not any(f": {name}" in one for name in NOT_CONFIGURED)]
    assert [one for one in asked if not one.startswith("People who are told: by")] == []


def _marker(path: Path) -> tuple[object, ...]:
    """What tells the files apart and survives the basic profile."""
    found = pydicom.dcmread(path)
    return tuple(
        str(found.get(name))
        for name in ("SOPClassUID", "Rows", "Columns", "BitsStored", "Manufacturer", "PhotometricInterpretation")
    )


def test_sent_again_is_delivered_once(gateway_process: GatewayProcess, tmp_path: Path) -> None:
    """Promise P6: a retry, a resend and a second association."""
    running = gateway_process
    (path,) = [path for path in sources(tmp_path / "in") if path.name == "CT_small.dcm"]
    for _ in range(3):
        assert storescu(running.dicom_port, [path]).status == 0
    delivered(running, 1)
    delivered(running, 2, state="rejected")
    assert len(list(running.archive.rglob("*.dcm"))) == 1
    assert "duplicate" in command(running, "status").stdout
    assert command(running, "account").returncode == 0


def test_what_cannot_be_understood_is_held(gateway_process: GatewayProcess) -> None:
    """Acknowledged, since it is durable; held, since nothing can be said of it (promise P2)."""
    running = gateway_process
    # An element that says to be longer than what is left.
    broken = data_set() + b"\xfe\x7f\x10\x00OB\0\0\xfe\xff\0\0"
    with RawPeer(running.dicom_port) as peer:
        peer.associate()
        assert peer.store(broken) == 0x0000
        peer.release()
    delivered(running, 1, state="held")
    held = command(running, "held", "list").stdout
    assert "truncated-data-set" in held
    assert "(7FFE,0010)" in held
    assert not list(running.archive.rglob("*.dcm"))
    assert command(running, "account").returncode == 0


def test_orthanc_receives_by_stow_rs(tmp_path: Path, orthanc: Orthanc) -> None:
    configuration = f"""{VOUCHED_PROJECT}
destinations:
  orthanc: {{type: dicomweb, url: "{orthanc.dicomweb}", connections: 2}}
"""
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        files = [path for path in sources(tmp_path / "in") if path.name in NAMES]
        assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
        delivered(running, len(files))
        stored = orthanc.instances()
        assert len(stored) == len(files)
        outputs = tmp_path / "stored"
        outputs.mkdir()
        originals = {_marker(path): path for path in files}
        for number, content in enumerate(stored):
            path = outputs / f"{number}.dcm"
            path.write_bytes(content)
            # Orthanc writes a file meta information of its own.
            violations = [one for one in Scorer().score(originals[_marker(path)], path) if one.kind is not Kind.META]
            assert violations == []


def test_an_archive_that_is_down_loses_nothing(tmp_path: Path) -> None:
    """Promise P4: retried by itself, delivered once it is back."""
    port = free_port()
    configuration = f"""{VOUCHED_PROJECT}
destinations:
  archive: {{type: dicomweb, url: "http://127.0.0.1:{port}/dicom-web"}}
retry: {{first_seconds: 0.2, longest_seconds: 0.5}}
"""
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        files = sources(tmp_path / "in")
        assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
        delivered(running, len(files), state="failed")
        assert 'reason="unreachable"' in running.get("/metrics").text
        with orthanc_server(tmp_path / "orthanc", http_port=port) as archive:
            delivered(running, len(files))
            assert len(archive.instances()) == len(files)
        assert command(running, "account").returncode == 0


def test_a_dead_delivery_is_sent_again_on_request(tmp_path: Path) -> None:
    archive = Archive()
    archive.opened.set()
    refuses = threading.Event()

    def behave(exchange: Exchange) -> None:
        if refuses.is_set():
            exchange.read_body()
            exchange.answer(400)
        else:
            archive(exchange)

    refuses.set()
    with Peer(behave) as peer:
        configuration = f"""{VOUCHED_PROJECT}
destinations:
  archive: {{type: dicomweb, url: "{peer.url}"}}
retry: {{first_seconds: 0.05, longest_seconds: 0.05, attempts: 2}}
"""
        with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
            (path,) = [path for path in sources(tmp_path / "in") if path.name == "CT_small.dcm"]
            assert storescu(running.dicom_port, [path]).status == 0
            delivered(running, 1, state="dead")
            refuses.clear()
            assert "1 deliveries" in command(running, "deliveries", "retry").stdout
            delivered(running, 1)


def test_only_configured_sources_get_in(tmp_path: Path) -> None:
    """Promise P10."""
    configuration = """
sources:
  pacs: {calling_ae: PACS, called_ae: GATEWAY}
"""
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        assert echoscu(running.dicom_port, calling_ae="PACS").status == 0
        assert echoscu(running.dicom_port, calling_ae="OTHER").status != 0
        assert echoscu(running.dicom_port, calling_ae="PACS", called_ae="ELSE").status != 0
        refused = [
            line
            for line in running.get("/metrics").text.splitlines()
            if "associations_refused_total{" in line and not line.endswith(" 0.0")
        ]
        assert len(refused) == 2


def test_two_projects_are_kept_apart(tmp_path: Path) -> None:
    configuration = f"""{VOUCHED}
destinations:
  chest: {{type: folder, path: chest}}
  rest: {{type: folder, path: rest}}
projects:
  chest: {{profile: vouched, destinations: [chest]}}
  rest: {{profile: vouched, destinations: [rest]}}
routes:
  - {{project: chest, when: "Modality == 'CT'"}}
  - {{project: rest}}
"""
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        files = sources(tmp_path / "in")
        assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
        delivered(running, len(files))
        folder = tmp_path / "gateway"
        found = {name: [pydicom.dcmread(path) for path in (folder / name).rglob("*.dcm")] for name in ("chest", "rest")}
        assert {one.Modality for one in found["chest"]} == {"CT"}
        assert "CT" not in {one.Modality for one in found["rest"]}
        assert len(found["chest"]) + len(found["rest"]) == len(files)


def test_sigterm_ends_it_cleanly_and_the_next_start_goes_on(tmp_path: Path) -> None:
    """Promise P12's little sister: what was queued when it stopped is delivered after it starts again."""
    port = free_port()
    configuration = f"""{VOUCHED_PROJECT}
destinations:
  archive: {{type: dicomweb, url: "http://127.0.0.1:{port}/dicom-web"}}
retry: {{first_seconds: 0.2, longest_seconds: 0.5}}
"""
    folder = tmp_path / "gateway"
    files = sources(tmp_path / "in")
    with gateway_server(folder, configuration=configuration) as running:
        assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
        assert running.process.stop() == 0
    with (
        orthanc_server(tmp_path / "orthanc", http_port=port) as archive,
        gateway_server(folder, configuration=configuration) as running,
    ):
        delivered(running, len(files))
        assert len(archive.instances()) == len(files)


def test_a_second_gateway_on_the_same_data_refuses(gateway_process: GatewayProcess) -> None:
    second = run_warm([sys.executable, "-m", "gateway", "run"], environ=gateway_process.environ)
    assert second.returncode == 1
    assert "another" in second.stderr
    assert gateway_process.get("/readyz").ok


def test_a_worker_that_dies_is_replaced(gateway_process: GatewayProcess, tmp_path: Path) -> None:
    running = gateway_process
    for name in ("deidentify-1", "deliver", "receive"):
        pid = _pid(running, name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid, name=name: _pid(running, name) not in (0, pid), what=f"{name} is back")  # type: ignore[misc]
    wait_until(lambda: running.get("/readyz").ok, what="the gateway is ready again")
    files = sources(tmp_path / "in")
    assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
    delivered(running, len(files))
    assert 'gateway_worker_restarts_total{role="receive"} 1.0' in running.get("/metrics").text


def _pid(running: GatewayProcess, name: str) -> int:
    """The process that holds a role, from the gateway's own log; 0 if none is known."""
    found = 0
    for line in running.process.output.splitlines():
        if "process started" in line and f"worker={name}" in line:
            found = int(line.split("pid=")[1].split()[0])
    return found


def test_nothing_identifying_is_logged(gateway_process: GatewayProcess, tmp_path: Path) -> None:
    """Promise P9, on the plain way."""
    running = gateway_process
    files = sources(tmp_path / "in")
    assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
    delivered(running, len(files))
    spoken = running.process.output + running.get("/metrics").text + command(running, "status").stdout
    for path in files:
        found = pydicom.dcmread(path)
        for value in (found.get("PatientName"), found.get("PatientID"), found.SOPInstanceUID, found.StudyInstanceUID):
            assert not value or str(value) not in spoken


def test_profiles_are_read_again_on_request(tmp_path: Path) -> None:
    """An edited profile becomes active by SIGHUP if it is correct and passes its tests; else the active one stays."""
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    profile = profiles / "mine.yaml"
    first = "profile: mine\nversion: '1'\nuse: [basic]\n"
    keeps = "attributes:\n  - keep: [PatientSex]\n    because: the study needs it\n"
    profile.write_text(first)
    configuration = f"profiles: [{profiles}]\nprojects:\n  default: {{profile: mine}}\n"
    source = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))

    def sent(running: GatewayProcess, number: int) -> str:
        """The Patient's Sex of the output for the instance ``number``."""
        source.SOPInstanceUID = UID(f"1.2.826.0.1.3680043.8.498.78.{number}")
        source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
        path = tmp_path / f"{number}.dcm"
        source.save_as(path)
        before = set(running.archive.rglob("*.dcm"))
        assert storescu(running.dicom_port, [path]).status == 0
        delivered(running, number)
        (output,) = set(running.archive.rglob("*.dcm")) - before
        return str(pydicom.dcmread(output).PatientSex)

    def reload(running: GatewayProcess, answer: str) -> None:
        os.kill(running.process.pid, signal.SIGHUP)
        wait_until(lambda: answer in running.process.output, what=answer)

    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        assert sent(running, 1) == ""
        # a misspelt keyword
        profile.write_text(first + keeps.replace("PatientSex", "PatientSx"))
        reload(running, "profiles not changed")
        assert "PatientSex" in running.process.output  # the nearest right word
        assert sent(running, 2) == ""
        # a test that fails
        profile.write_text(first + keeps + "tests:\n  - given: {PatientSex: F}\n    expect: {PatientSex: M}\n")
        reload(running, "gateway profile test")
        assert sent(running, 3) == ""
        profile.write_text(first + keeps)
        reload(running, "profile activated")
        assert sent(running, 4) == "O"
        assert running.get("/readyz").ok
