"""STOW-RS into a real archive: Orthanc with its DICOMweb plugin."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from gateway.deliver.base import Outcome, Parcel
from gateway.deliver.dicomweb.destination import StowDestination
from gateway.deliver.dicomweb.settings import DicomWebSettings
from gateway.deliver.multipart import Multipart, multipart
from gateway.dicom.segments import FileRange, total_length
from tests.fixtures.orthanc import Orthanc, orthanc_server
from tests.unit.deliver.peers import section

SOURCES = ["CT_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "color-pl.dcm", "rtplan.dcm"]


def make_parcels(directory: Path, *, names: Sequence[str] = SOURCES, study: str = "") -> list[Parcel]:
    """Real files of several transfer syntaxes as one study, each with fresh UIDs and stored in two pieces."""
    study = study or generate_uid(prefix=None)
    parcels = []
    for number, name in enumerate(names):
        data_set = pydicom.dcmread(Path(str(get_testdata_file(name))))
        data_set.PatientID = "PSEUDONYM-1"
        data_set.StudyInstanceUID = study
        data_set.SeriesInstanceUID = generate_uid(prefix=None)
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        encoded = BytesIO()
        data_set.save_as(encoded)
        content = encoded.getvalue()
        path = directory / f"{number}-{data_set.SOPInstanceUID}"
        path.write_bytes(content[:500] + b"something else" + content[500:])
        parcels.append(
            Parcel(
                delivery_id=number,
                patient_id="PSEUDONYM-1",
                study_uid=study,
                series_uid=str(data_set.SeriesInstanceUID),
                sop_uid=str(data_set.SOPInstanceUID),
                sop_class_uid=str(data_set.SOPClassUID),
                transfer_syntax=str(data_set.file_meta.TransferSyntaxUID),
                length=len(content),
                parts=(FileRange(path, 0, 500), FileRange(path, 514, len(content) - 500)),
            )
        )
    return parcels


def digest(parcel: Parcel) -> str:
    stored = b"".join(part.path.read_bytes()[part.offset : part.offset + part.length] for part in parcel.parts)
    return hashlib.sha256(stored).hexdigest()


def send(orthanc: Orthanc, parcels: Sequence[Parcel], **options: object) -> list[tuple[str, str]]:
    outcomes: list[Outcome] = []
    user, password = orthanc.auth or ("", "")
    auth = {"type": "basic", "username": user, "password": "${PASSWORD}"} if user else None
    fields = {"type": "dicomweb", "url": orthanc.dicomweb, "auth": auth, **options}
    stow = StowDestination("archive", section(DicomWebSettings, environ={"PASSWORD": password}, **fields))
    try:
        outcomes = stow.send(parcels)
    finally:
        stow.close()
    assert [outcome.delivery_id for outcome in outcomes] == [parcel.delivery_id for parcel in parcels]
    return [(outcome.state, outcome.code) for outcome in outcomes]


@pytest.mark.parametrize("options", [{}, {"study_in_url": True}, {"max_instances": 1}])
def test_every_byte_arrives(tmp_path: Path, orthanc: Orthanc, options: dict[str, object]) -> None:
    parcels = make_parcels(tmp_path)
    assert send(orthanc, parcels, **options) == [("confirmed", "stored")] * len(parcels)
    arrived = sorted(hashlib.sha256(content).hexdigest() for content in orthanc.instances())
    assert arrived == sorted(digest(parcel) for parcel in parcels)


def test_the_same_again_is_confirmed_and_stored_once(tmp_path: Path, orthanc: Orthanc) -> None:
    parcels = make_parcels(tmp_path)
    send(orthanc, parcels)
    assert send(orthanc, parcels) == [("confirmed", "stored")] * len(parcels)
    assert len(orthanc.get("/instances")) == len(parcels)


def test_one_that_is_no_dicom_does_not_take_the_others_with_it(tmp_path: Path, orthanc: Orthanc) -> None:
    parcels = make_parcels(tmp_path)
    victim = parcels[2].parts[0].path
    victim.write_bytes(b"\0" * victim.stat().st_size)
    outcomes = send(orthanc, parcels)
    assert [state for state, _ in outcomes] == ["confirmed", "confirmed", "failed", *["confirmed"] * 3]
    assert len(orthanc.get("/instances")) == len(parcels) - 1


def test_one_of_another_study_than_the_url_names_is_not_confirmed(tmp_path: Path, orthanc: Orthanc) -> None:
    [parcel] = make_parcels(tmp_path, names=SOURCES[:1])
    claimed = Parcel(**{name: getattr(parcel, name) for name in Parcel.__slots__} | {"study_uid": "2.25.7"})
    assert send(orthanc, [claimed], study_in_url=True) == [("failed", "rejected")]
    assert orthanc.get("/instances") == []


def with_parameter(parcels: Sequence[Parcel]) -> Multipart:
    """A body whose parts name the transfer syntax in their Content-Type."""
    body = multipart(parcels)
    plain, more = b"application/dicom\r\n", f"application/dicom; transfer-syntax={parcels[0].transfer_syntax}\r\n"
    segments = tuple(one.replace(plain, more.encode()) if isinstance(one, bytes) else one for one in body.segments)
    return replace(body, segments=segments, length=total_length(segments))


def test_a_part_that_orthanc_drops_silently_is_not_confirmed(
    tmp_path: Path, orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Orthanc 1.10 answers 200 and stores nothing if the part's Content-Type has a parameter; other versions store it.
    [parcel] = make_parcels(tmp_path, names=SOURCES[:1])
    monkeypatch.setattr("gateway.deliver.dicomweb.destination.multipart", with_parameter)
    [(state, code)] = send(orthanc, [parcel])
    stored = bool(orthanc.get("/instances"))
    assert (state, code) == (("confirmed", "stored") if stored else ("failed", "not-listed"))


def test_answers_in_xml(tmp_path: Path, orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.deliver.dicomweb.destination._ACCEPT", "application/dicom+xml")
    parcels = make_parcels(tmp_path)
    assert send(orthanc, parcels) == [("confirmed", "stored")] * len(parcels)
    assert send(orthanc, make_parcels(tmp_path, names=SOURCES[:1]), study_in_url=True) == [("confirmed", "stored")]


def test_credentials(tmp_path: Path) -> None:
    parcels = make_parcels(tmp_path)
    with orthanc_server(tmp_path / "orthanc", user=("gateway", "s3cret")) as orthanc:
        stranger = Orthanc(orthanc.url, orthanc.dicomweb, orthanc.dicom_port, None)
        assert send(stranger, parcels) == [("failed", "credentials")] * len(parcels)
        wrong = Orthanc(orthanc.url, orthanc.dicomweb, orthanc.dicom_port, ("gateway", "wrong"))
        assert send(wrong, parcels) == [("failed", "credentials")] * len(parcels)
        assert orthanc.get("/instances") == []
        assert send(orthanc, parcels) == [("confirmed", "stored")] * len(parcels)
        assert len(orthanc.get("/instances")) == len(parcels)


def test_a_wrong_path(tmp_path: Path, orthanc: Orthanc) -> None:
    parcels = make_parcels(tmp_path, names=SOURCES[:2])
    lost = Orthanc(orthanc.url, orthanc.url + "/nowhere", orthanc.dicom_port, None)
    assert send(lost, parcels) == [("failed", "not-found")] * 2
