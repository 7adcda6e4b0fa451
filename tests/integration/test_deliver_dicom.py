"""C-STORE into real peers: dcmtk's storescp, and Orthanc with storage commitment."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import requests

from gateway.deliver.base import Outcome, Parcel
from gateway.deliver.dicom_node.destination import DicomNodeDestination
from gateway.deliver.dicom_node.settings import DicomNodeSettings
from tests.fixtures.dcmtk import storescp
from tests.fixtures.orthanc import Orthanc, orthanc_server
from tests.fixtures.ports import free_port, wait_until
from tests.integration.test_deliver_orthanc import make_parcels
from tests.unit.deliver.peers import section


def node_of(port: int, **fields: Any) -> DicomNodeDestination:
    fields = {"type": "dicom", "host": "127.0.0.1", "port": port, "called_ae": "ARCHIVE", **fields}
    return DicomNodeDestination("node", section(DicomNodeSettings, **fields))


def short(outcomes: list[Outcome]) -> set[tuple[str, str]]:
    return {(outcome.state, outcome.code) for outcome in outcomes}


def pixels_of(parcel: Parcel) -> bytes | None:
    content = b"".join(part.path.read_bytes()[part.offset : part.offset + part.length] for part in parcel.parts)
    pixels = pydicom.dcmread(BytesIO(content)).get("PixelData")
    return bytes(pixels) if pixels is not None else None


def test_storescp_gets_every_transfer_syntax(tmp_path: Path) -> None:
    parcels = make_parcels(tmp_path)
    with storescp(tmp_path / "scp") as peer:
        node = node_of(peer.port)
        try:
            assert short(node.send(parcels)) == {("confirmed", "stored")}
        finally:
            node.close()
        arrived = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, peer.folder.iterdir())}
    assert arrived.keys() == {parcel.sop_uid for parcel in parcels}
    for parcel in parcels:
        found = arrived[parcel.sop_uid]
        assert found.file_meta.TransferSyntaxUID == parcel.transfer_syntax
        assert found.get("PixelData") == pixels_of(parcel)


def test_orthanc_commits_itself(tmp_path: Path) -> None:
    parcels = make_parcels(tmp_path)
    port = free_port()
    modalities = {"gateway": {"AET": "GATEWAY", "Host": "127.0.0.1", "Port": port}}
    commitment = {"host": "127.0.0.1", "port": port}
    with orthanc_server(tmp_path / "orthanc", modalities=modalities) as orthanc:
        node = node_of(orthanc.dicom_port, commitment=commitment)
        try:
            assert short(node.send(parcels)) == {("sent", "commitment-requested")}
            outcomes: list[Outcome] = []

            def decided() -> bool:
                outcomes[:] = node.confirm(parcels)
                return "sent" not in {outcome.state for outcome in outcomes}

            wait_until(decided, what="Orthanc reports")
            assert short(outcomes) == {("confirmed", "committed")}
            assert len(orthanc.get("/instances")) == len(parcels)
        finally:
            node.close()


def test_orthanc_does_not_commit_itself_to_what_it_lost(tmp_path: Path) -> None:
    parcels = make_parcels(tmp_path)
    port = free_port()
    modalities = {"gateway": {"AET": "GATEWAY", "Host": "127.0.0.1", "Port": port}}
    commitment = {"host": "127.0.0.1", "port": port}
    with orthanc_server(tmp_path / "orthanc", modalities=modalities) as orthanc:
        plain = node_of(orthanc.dicom_port)
        plain.send(parcels)
        plain.close()
        lost = delete_one(orthanc)
        node = node_of(orthanc.dicom_port, commitment=commitment)
        try:
            outcomes: dict[int, tuple[str, str]] = {}

            def decided() -> bool:
                waiting = [parcel for parcel in parcels if parcel.delivery_id not in outcomes]
                for outcome in node.confirm(waiting):
                    if outcome.state != "sent":
                        outcomes[outcome.delivery_id] = (outcome.state, outcome.code)
                return len(outcomes) == len(parcels)

            wait_until(decided, what="Orthanc reports")
            assert outcomes == {
                parcel.delivery_id: ("failed", "not-committed")
                if parcel.sop_uid == lost
                else ("confirmed", "committed")
                for parcel in parcels
            }
        finally:
            node.close()


def delete_one(orthanc: Orthanc) -> str:
    instance = orthanc.get("/instances")[0]
    uid = str(orthanc.get(f"/instances/{instance}")["MainDicomTags"]["SOPInstanceUID"])
    requests.delete(f"{orthanc.url}/instances/{instance}", timeout=30).raise_for_status()
    return uid
