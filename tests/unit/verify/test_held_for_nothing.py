"""What machines and ordinary sites write goes out, under the profiles that keep most (a gateway that holds everything
is no use).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.deid import Deidentifier, ProjectKey
from gateway.errors import LeakSuspected
from gateway.profile import Program, load_profile
from gateway.verify import Verifier
from tests.unit.verify.support import item, joined, opened, original, write

PERMISSIVE = """
profile: permissive
use: [basic, retain-uids, retain-device-identity, retain-patient-characteristics, retain-longitudinal-full-dates,
      retain-safe-private, clean-descriptors, clean-structured-content, clean-graphics]
"""
OBSERVER = "1.2.276.0.7230010.3.5.67093"


@pytest.fixture(scope="module")
def permissive(tmp_path_factory: pytest.TempPathFactory) -> Program:
    path = tmp_path_factory.mktemp("profiles") / "permissive.yaml"
    path.write_text(PERMISSIVE, encoding="utf-8")
    return load_profile(path)


def code(value: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def output(folder: Path, program: Program, source: Dataset) -> bytes:
    """The verified output."""
    with opened(write(folder / "original.dcm", source)) as instance:
        made = Deidentifier(program, ProjectKey(b"key" * 16)).apply(instance)
        Verifier(program).check(instance, made.segments)
        return joined(made.segments)


@pytest.mark.parametrize(
    ("values", "stays", "goes"),
    [
        # A station called after its hospital, by the issuer's name.
        ({"IssuerOfPatientID": "VUMC", "StationName": "VUMC-MRI-2H130"}, b"MRI-2H130", b"VUMC"),
        # A serial number that holds it.
        ({"InstitutionName": "orange", "DeviceSerialNumber": "0000000000orange"}, b"", b"orange"),
        # One that does not.
        ({"InstitutionName": "orange", "StationName": "MRC35131"}, b"MRC35131", b"orange"),
        # The title of the station is its name.
        ({"StationAETitle": "MRC35131", "StationName": "MRC35131"}, b"MRC35131", b"\xff\xff\xff"),
        # A UID that continues another one that goes.
        ({"SOPInstanceUID": f"{OBSERVER}.1", "TransactionUID": OBSERVER}, f"{OBSERVER}.1".encode(), b"\xff\xff\xff"),
        # A number that a machine made of the time, and its UIDs of the same time.
        ({"PerformedProcedureStepID": "MR20140310133834", "StudyDate": "20140310",
          "FrameOfReferenceUID": "1.2.276.0.1.20140310133834375.0"}, b"20140310133834375", b"MR20140310"),
        # The device that observed, by its UID, as Table E.3.4-1 keeps it.
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33", "DeviceUID": "",
          "ContentSequence": [item(RelationshipType="HAS OBS CONTEXT", ValueType="UIDREF", UID=OBSERVER,
                                   ConceptNameCodeSequence=[code("121012", "Device Observer UID")])]},
         OBSERVER.encode(), b"\xff\xff\xff"),
    ],
)  # fmt: skip
def test_goes_out(tmp_path: Path, permissive: Program, values: dict[str, object], stays: bytes, goes: bytes) -> None:
    source = original(PatientName="MUSTERFRAU^ERIKA", PatientID="MRN-1", **values)
    made = output(tmp_path, permissive, source)
    assert stays in made
    assert goes not in made


def test_a_retained_uid_with_the_number_of_the_patient_is_held(tmp_path: Path, permissive: Program) -> None:
    source = original(PatientID="HC-7391846", StudyInstanceUID="1.2.276.7391846.1")
    with pytest.raises(LeakSuspected, match=r"retained UID of \(0020,000D\)"):
        output(tmp_path, permissive, source)


def test_a_retained_uid_with_a_date_is_replaced_where_dates_go(tmp_path: Path) -> None:
    path = tmp_path / "uids.yaml"
    path.write_text("profile: uids\nuse: [basic, retain-uids]\n", encoding="utf-8")
    uid = "1.3.12.2.1107.5.2.43.1.2022071112123519908834529"
    source = original(StudyDate="20220711", StudyInstanceUID=uid)
    assert uid.encode() not in output(tmp_path, load_profile(path), source)
