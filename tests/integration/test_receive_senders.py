"""Real senders against the receiver: dcmtk's tools and pynetdicom."""

import ipaddress
import os
import re
import subprocess
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid
from pynetdicom.ae import ApplicationEntity

from gateway.dicom.file_meta import read_file_meta
from gateway.errors import InstanceError
from gateway.receive import Source, received_of
from gateway.spool import Durability, Spool
from tests.fixtures.asking import ASKING
from tests.fixtures.corpus import corpus_files, corpus_name
from tests.fixtures.tools import tool
from tests.integration.raw_peer import CT, RawPeer, Witness, receiving

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
CT_SMALL = TEST_FILES / "CT_small.dcm"
FAST = os.environ | {"TCP_NODELAY": "1"}


def run(program: str, port: int, *options: str, files: Sequence[Path] = ()) -> "subprocess.CompletedProcess[str]":
    command = [tool(program), *options, "127.0.0.1", str(port), *map(str, files)]
    return subprocess.run(command, env=FAST, capture_output=True, text=True, timeout=240, check=False)


def check_account(spool: Spool, witness: Witness, count: int) -> None:
    """Every row has its file and the other way round, unchanged, and the row can be made again from the file."""
    names = list(spool.names())
    assert len(names) == count
    assert sorted(row.spool_name for row in witness.rows) == names
    rebuilt = {name: received_of(spool.check(name)) for name in names}
    assert {row.spool_name: row for row in witness.rows} == rebuilt


def series(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    dataset = pydicom.dcmread(CT_SMALL)
    del dataset.DataSetTrailingPadding  # dcmtk does not send it
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.InstanceNumber = number
        dataset.save_as(folder / f"{number:03}.dcm")
    return sorted(folder.iterdir())


def test_echoscu(tmp_path: Path) -> None:
    with receiving(tmp_path) as (receiver, _, witness):
        assert run("echoscu", receiver.port).returncode == 0
        witness.wait_for("closed", "any")
    assert witness.events == [("associated", "any"), ("echoed", "any"), ("closed", "any")]


@pytest.mark.parametrize("max_pdu", [16384, 131072, 0])
def test_storescu_with_several_pdu_sizes(tmp_path: Path, max_pdu: int) -> None:
    files = series(tmp_path / "in", 20)
    with receiving(tmp_path / "spool", max_pdu_bytes=max_pdu) as (receiver, spool, witness):
        sent = run("storescu", receiver.port, files=files)
        assert sent.returncode == 0, sent.stderr
        check_account(spool, witness, 20)
        for name in spool.names():
            dataset = pydicom.dcmread(spool.path(name))
            assert dataset == pydicom.dcmread(files[int(dataset.InstanceNumber)])
            assert dataset.file_meta.SourceApplicationEntityTitle == "STORESCU"


def test_four_associations_at_once(tmp_path: Path) -> None:
    files = series(tmp_path / "in", 80)
    with receiving(tmp_path / "spool") as (receiver, spool, witness):
        senders = [
            subprocess.Popen([tool("storescu"), "127.0.0.1", str(receiver.port), *map(str, files[part::4])], env=FAST)
            for part in range(4)
        ]
        assert [sender.wait(240) for sender in senders] == [0] * 4
        check_account(spool, witness, 80)
        stored = {pydicom.dcmread(spool.path(name)).SOPInstanceUID for name in spool.names()}
        assert stored == {pydicom.dcmread(file).SOPInstanceUID for file in files}


def test_one_association_per_instance(tmp_path: Path) -> None:
    files = series(tmp_path / "in", 10)
    with receiving(tmp_path / "spool", associations=2) as (receiver, spool, witness):
        for file in files:
            assert run("storescu", receiver.port, files=[file]).returncode == 0
        check_account(spool, witness, 10)


def sendable() -> list[Path]:
    """The corpus files that say what they are: file meta information, and SOP class and instance in the data set."""
    found = []
    for path in corpus_files():
        try:
            meta, _ = read_file_meta(path.read_bytes())
        except InstanceError:
            continue
        # What has file meta information is read by pydicom, with warnings about some of it.
        with warnings.catch_warnings(action="ignore"):
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            instance, sop_class = dataset.get("SOPInstanceUID"), dataset.get("SOPClassUID")
        if instance and (instance, sop_class) == (meta.sop_instance_uid, meta.sop_class_uid):
            found.append(path)
    return found


def test_every_transfer_syntax_is_stored_byte_for_byte(tmp_path: Path) -> None:
    files = [path for path in sendable() if path.stat().st_size < 8 << 20]
    syntaxes: Counter[str] = Counter()
    with receiving(tmp_path, durability=Durability.NONE) as (receiver, spool, witness):
        for number, path in enumerate(files):
            content = path.read_bytes()
            meta, offset = read_file_meta(content)
            with RawPeer(receiver.port) as peer:
                peer.associate([(meta.sop_class_uid, [meta.transfer_syntax])])
                status = peer.store(
                    content[offset:],
                    instance=meta.sop_instance_uid,
                    sop_class=meta.sop_class_uid,
                    size=(1000, 16000, 100_000)[number % 3],
                )
                assert status == 0, corpus_name(path)
            row = witness.rows[-1]
            assert spool.path(row.spool_name).read_bytes()[-(len(content) - offset) :] == content[offset:]
            assert (row.sop_class_uid, row.transfer_syntax) == (meta.sop_class_uid, meta.transfer_syntax)
            syntaxes[meta.transfer_syntax] += 1
        check_account(spool, witness, syntaxes.total())
    assert len(syntaxes) >= 12, syntaxes
    assert {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"} < set(syntaxes)


def test_dcmsend_sends_compressed_images_as_they_are(tmp_path: Path) -> None:
    names = [
        "JPEG2000.dcm",
        "MR_small_RLE.dcm",
        "JPEGLSNearLossless_08.dcm",
        "JPEG-lossy.dcm",
        "image_dfl.dcm",
    ]
    files = [TEST_FILES / name for name in names]
    with receiving(tmp_path) as (receiver, spool, witness):
        sent = run("dcmsend", receiver.port, "--decompress-never", "--no-uid-checks", files=files)
        assert sent.returncode == 0, sent.stderr
        check_account(spool, witness, len(files))
        wanted = {pydicom.dcmread(file).file_meta.TransferSyntaxUID for file in files}
        assert {row.transfer_syntax for row in witness.rows} == wanted
        for row in witness.rows:
            stored = pydicom.dcmread(spool.path(row.spool_name))
            assert [f for f in files if pydicom.dcmread(f).get("PixelData") == stored.get("PixelData")]


def test_pynetdicom_as_sender(tmp_path: Path) -> None:
    with receiving(tmp_path) as (receiver, spool, witness):
        entity = ApplicationEntity("SENDER")
        entity.add_requested_context(CT)
        entity.add_requested_context("1.2.840.10008.1.1")
        association = entity.associate("127.0.0.1", receiver.port, ae_title="RESEARCH", evt_handlers=ASKING)
        assert association.is_established
        dataset = pydicom.dcmread(CT_SMALL)
        assert association.send_c_store(dataset).Status == 0
        assert association.send_c_echo().Status == 0
        association.release()
        assert association.is_released
        check_account(spool, witness, 1)
        assert (witness.rows[0].calling_ae, witness.rows[0].called_ae) == ("SENDER", "RESEARCH")


SOURCES = [
    Source(
        name="ct",
        calling_ae=frozenset({"CT1"}),
        called_ae=frozenset({"RESEARCH"}),
        addresses=(ipaddress.ip_network("127.0.0.0/8"),),
    ),
    Source(name="far", calling_ae=frozenset({"FAR"}), addresses=(ipaddress.ip_network("192.0.2.0/24"),)),
]


@pytest.mark.parametrize(
    ("calling", "called", "reason", "counted"),
    [
        ("CT1", "RESEARCH", None, None),
        ("STRANGER", "RESEARCH", "Calling AE Title Not Recognized", "calling-ae"),
        ("CT1", "OTHER", "Called AE Title Not Recognized", "called-ae"),
        ("FAR", "RESEARCH", "No Reason", "address"),
    ],
)
def test_p10_unknown_sources_are_refused_at_association(
    tmp_path: Path, calling: str, called: str, reason: str | None, counted: str | None
) -> None:
    with receiving(tmp_path, sources=SOURCES) as (receiver, spool, witness):
        sent = run("storescu", receiver.port, "-aet", calling, "-aec", called, files=[CT_SMALL])
        if reason is None:
            assert sent.returncode == 0
            assert witness.rows[0].source == "ct"
        else:
            assert sent.returncode != 0
            assert re.search(reason, sent.stderr), sent.stderr
            assert witness.events == [("refused", counted)]
        check_account(spool, witness, int(reason is None))


def test_p5_a_full_disk_answers_a700_to_storescu(tmp_path: Path) -> None:
    with receiving(tmp_path, reserve_bytes=1 << 60) as (receiver, spool, witness):
        sent = run("storescu", receiver.port, "-d", files=[CT_SMALL])
        assert "0xa700" in sent.stderr.lower(), sent.stderr
        check_account(spool, witness, 0)
    assert ("failed", "any", 0xA700, "spool-full") in witness.events


def test_p9_logs_hold_no_identity(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = CT_SMALL
    dataset = pydicom.dcmread(file)
    with receiving(tmp_path, max_instance_bytes=1000) as (receiver, _, _):
        run("storescu", receiver.port, "-aet", "CT1", files=[file])
    logged = "".join(capfd.readouterr())
    assert "association accepted" in logged
    assert "instance refused" in logged
    for secret in (str(dataset.PatientName), dataset.PatientID, dataset.SOPInstanceUID, dataset.StudyInstanceUID):
        assert secret not in logged
