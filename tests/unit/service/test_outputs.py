"""What goes out after a while: the original is still what was received, and what is made again is as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest

from gateway.custody.secret import project_secret
from gateway.dicom.file_meta import FileMeta
from gateway.dicom.segments import FileRange
from gateway.ledger import DeliveryState, FaceRecord, Provenance
from gateway.ledger.faces import Faces
from gateway.ledger.history import Histories
from gateway.service.outputs import OutputLost, Outputs
from gateway.settings.configuration import Settings
from gateway.treatment.resources import open_spool
from tests.fixtures.ledgers import new_ledger
from tests.fixtures.treating import CT, image, noise, program, stored

CONTENT = bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("waited", "state", "refers", "goes"),
    [
        (timedelta(days=2), DeliveryState.PENDING, True, False),  # an outage over a weekend
        (timedelta(days=2), DeliveryState.FAILED, True, False),
        (timedelta(days=2), DeliveryState.SENT, True, True),  # it has gone; the destination is asked for it
        (timedelta(days=2), DeliveryState.PENDING, False, True),  # nothing of the original is in it
        (timedelta(minutes=2), DeliveryState.PENDING, True, True),  # it was compared a moment ago
    ],
)
@pytest.mark.parametrize("damaged", [False, True])
def test_p2_what_has_rotted_while_it_waited(
    tmp_path: Path, waited: timedelta, state: DeliveryState, refers: bool, goes: bool, damaged: bool
) -> None:
    settings = Settings.model_validate({"data": tmp_path, "storage": {"reserve_bytes": 0, "durability": "none"}})
    spool = open_spool(settings)
    meta = FileMeta(
        transfer_syntax="1.2.840.10008.1.2.1", sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid="1.2.3"
    )  # fmt: skip
    with spool.incoming(meta) as incoming:
        incoming.write([CONTENT])
        record = incoming.commit(source="pacs", peer_address="192.0.2.7")
    path = spool.path(record.name)
    spool.write_output(record.name, [b"header", FileRange(path, record.offset, 1000) if refers else CONTENT[:1000]])
    if damaged:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    claim: Any = SimpleNamespace(
        instance_id=1, project="default", profile_digest="x", spool_name=record.name, state=state,
        received_at=datetime.now(UTC) - waited,
    )  # fmt: skip
    outputs = Outputs(settings, {}, None)  # type: ignore[arg-type]
    if goes or not damaged:
        assert outputs.open(claim).length == 1006
    else:
        with pytest.raises(OutputLost, match="its original is damaged"):
            outputs.open(claim)


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (FaceRecord(verdict="doubt", reason="more was found than a face"), "more was found than a face"),
        (FaceRecord(verdict="none"), ""),
    ],
)
def test_p2_what_is_made_again_knows_of_its_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: FaceRecord, lost: str
) -> None:
    """An image of a knee is not held by itself; what was found of a face in its series counts all the same."""
    using = program(tmp_path, "pixels:\n  - deface: true")
    data = tmp_path / "data"
    data.mkdir()
    settings = Settings.model_validate({"data": data, "storage": {"reserve_bytes": 0, "durability": "none"}})
    project_secret(settings, "default", create=True)
    spool = open_spool(settings)
    source = image(
        noise(8, 8), CT, Modality="CT", BodyPartExamined="KNEE", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[1, 1],
    )  # fmt: skip
    file = pydicom.dcmread(stored(tmp_path, source))
    content = stored(tmp_path, source).read_bytes()
    meta = FileMeta(file.file_meta.TransferSyntaxUID, file.SOPClassUID, file.SOPInstanceUID)
    with spool.incoming(meta) as incoming:
        incoming.write([content[132 + 12 + file.file_meta.FileMetaInformationGroupLength :]])
        record = incoming.commit(source="pacs", peer_address="192.0.2.7")
    made = Provenance(project="default", profile_digest=using.digest, source="pacs", calling_ae="", called_ae="")
    monkeypatch.setattr(Histories, "provenance", lambda _self, _number: made)
    monkeypatch.setattr(Faces, "of", lambda _self, _number: found)
    claim: Any = SimpleNamespace(
        instance_id=1, project="default", profile_digest=using.digest, spool_name=record.name,
        state=DeliveryState.PENDING, received_at=datetime.now(UTC),
    )  # fmt: skip
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        outputs = Outputs(settings, {"default": using}, ledger)
        if lost:
            with pytest.raises(OutputLost, match=lost):
                outputs.open(claim)
        else:
            assert outputs.open(claim).length > 0
