"""The engine applies the Basic Profile to encoded instances at every depth."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.deid import Deidentified, Deidentifier, ProjectKey
from gateway.deid.stamp import DEIDENTIFICATION_METHOD_CODE_SEQUENCE
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.dicom.segments import FileRange, copy_to, total_length
from gateway.errors import InstanceError
from gateway.profile import load_profile, shipped_profiles
from gateway.verify import Verifier
from gateway.version import SOFTWARE

CT = "1.2.840.10008.5.1.4.1.1.2"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
SYNTAXES = {"explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian}


@pytest.fixture(scope="module")
def deidentifier() -> Deidentifier:
    return Deidentifier(load_profile("basic", search=[shipped_profiles()]), ProjectKey(b"k" * 32))


def dataset(sop_class: str = CT, /, **values: Any) -> Dataset:
    found = Dataset()
    found.SOPClassUID = sop_class
    found.SOPInstanceUID = "1.2.3.4"
    found.StudyInstanceUID = "1.2.3"
    found.SeriesInstanceUID = "1.2.3.1"
    found.PatientID = "MRN-4711"
    found.PatientName = "TESTER^TINA"
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def item(**values: Any) -> Dataset:
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


@pytest.fixture
def run(tmp_path: Path, deidentifier: Deidentifier) -> Callable[..., tuple[Dataset, Deidentified]]:
    def _run(
        source: Dataset, *, syntax: str = "explicit", using: Deidentifier = deidentifier
    ) -> tuple[Dataset, Deidentified]:
        source.file_meta = FileMetaDataset()
        source.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
        path = tmp_path / "in.dcm"
        source.save_as(path, enforce_file_format=True)
        with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 20) as instance:
            output = using.apply(instance)
            buffer = io.BytesIO()
            assert copy_to(output.segments, buffer) == total_length(output.segments)
        buffer.seek(0)
        return pydicom.dcmread(buffer), output

    return _run


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        # X: gone, whatever it holds
        ("StudyDescription", "Tina's knee", None),
        ("InstitutionAddress", "1 Main Street", None),
        # Code Z, left without a value
        ("AccessionNumber", "A1", ""),
        ("StudyDate", "20240229", ""),
        ("PatientSex", "F", ""),
        # X/Z/D by Type in the IOD: Institution Name and Station Name are Type 3 in CT
        ("InstitutionName", "General Hospital", None),
        ("StationName", "CT1", None),
        # the Type decides between empty and dummy
        ("ContentDate", "20240229", ""),
        # U: another UID; the SOP Class stays
        ("SOPClassUID", CT, CT),
        # K: no row of the table
        ("SliceThickness", "1.25", "1.25"),
        ("Manufacturer", "ACME", "ACME"),
        ("ImageType", ["ORIGINAL", "PRIMARY"], ["ORIGINAL", "PRIMARY"]),
    ],
)
def test_actions_of_the_table(
    run: Callable[..., tuple[Dataset, Deidentified]], syntax: str, keyword: str, value: Any, expected: object
) -> None:
    found, _ = run(dataset(**{keyword: value}), syntax=syntax)
    if expected is None:
        assert keyword not in found
    elif isinstance(expected, list):
        assert list(found[keyword].value) == expected
    else:
        assert str(found[keyword].value) == expected


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_rules_reach_every_depth(
    run: Callable[..., tuple[Dataset, Deidentified]], *, syntax: str, undefined: bool, depth: int
) -> None:
    """Below sequences that the table does not list, such as Derivation Code Sequence."""
    inner = item(PatientName="DEEP^ONE", SOPInstanceUID="1.2.3.4", CodeMeaning="chest", InstitutionName="gone")
    inner.add_new(0x00090010, "LO", "ACME PRIVATE")
    inner.add_new(0x00091001, "LO", "secret")
    for _ in range(depth - 1):
        inner = item(ConceptNameCodeSequence=Sequence([inner]))
    source = dataset(DerivationCodeSequence=Sequence([inner, item(CodeMeaning="second")]))
    for element in source.iterall():
        if element.VR == "SQ":
            element.value.is_undefined_length = undefined
    found, output = run(source, syntax=syntax)
    first, second = found.DerivationCodeSequence
    assert second.CodeMeaning == "second"
    for _ in range(depth - 1):
        first = first.ConceptNameCodeSequence[0]
    assert first.PatientName == ""
    assert first.SOPInstanceUID == output.sop_uid
    assert first.CodeMeaning == "chest"
    assert sorted(element.tag for element in first) == [0x00080018, 0x00080104, 0x00100010]


def test_unlisted_sequences_stay_byte_for_byte(
    tmp_path: Path, run: Callable[..., tuple[Dataset, Deidentified]]
) -> None:
    source = dataset(DerivationCodeSequence=Sequence([item(CodeValue="1", CodingSchemeDesignator="DCM")]))
    run(source)
    with open_instance(tmp_path / "in.dcm", work=tmp_path, limits=Limits(), max_reencode_bytes=1) as instance:
        start, end = next((e[2], e[4]) for e in instance.elements if e[0] == 0x00089215)
        original = instance.buffer[start:end]
    _, output = run(source)
    assert any(original in segment for segment in output.segments if isinstance(segment, bytes))


def test_uids_are_replaced_alike_everywhere(run: Callable[..., tuple[Dataset, Deidentified]]) -> None:
    source = dataset(
        FrameOfReferenceUID="1.2.840.10008.1.4.1.1",  # well-known: names no patient
        FailedSOPInstanceUIDList=["1.2.3.4", "1.2.3.5"],
        ReferencedImageSequence=Sequence([item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.3.4")]),
        SourceImageSequence=Sequence([item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.3.5")]),
    )
    found, output = run(source)
    assert found.SOPInstanceUID == output.sop_uid == found.file_meta.MediaStorageSOPInstanceUID != "1.2.3.4"
    assert found.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert found.FailedSOPInstanceUIDList[0] == output.sop_uid
    # X/Z/U*: Type 3 in CT, so both sequences go
    assert "ReferencedImageSequence" not in found
    assert "SourceImageSequence" not in found


def test_private_unknown_and_repeating_elements_go(run: Callable[..., tuple[Dataset, Deidentified]]) -> None:
    source = dataset()
    for tag, vr, value in (
        (0x00090010, "LO", "ACME"),
        (0x00091001, "LO", "private"),
        (0x00080003, "LO", "no element of the standard"),
        (0x50003000, "OW", b"\0\0"),  # curve data
        (0x60003000, "OW", b"\0\0"),  # overlay data
        (0x601E4000, "LT", "overlay comment"),
        (0xFFFCFFFC, "OB", b"\0\0"),  # trailing padding
    ):
        source.add_new(tag, vr, value)
    found, _ = run(source)
    assert [element.tag for element in found if element.tag.group > 0x0028] == []
    assert 0x00080003 not in found
    assert 0x00090010 not in found


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_structured_content_becomes_one_dummy_item(
    run: Callable[..., tuple[Dataset, Deidentified]], syntax: str
) -> None:
    source = dataset(BASIC_TEXT_SR, ContentSequence=Sequence([item(ValueType="TEXT", TextValue="Tina came limping")]))
    found, _ = run(source, syntax=syntax)
    (content,) = found.ContentSequence
    assert (content.ValueType, content.TextValue) == ("TEXT", "DEIDENTIFIED")


def test_an_encapsulated_document_is_replaced_with_its_length(
    run: Callable[..., tuple[Dataset, Deidentified]],
) -> None:
    source = dataset(
        ENCAPSULATED_PDF,
        EncapsulatedDocument=b"%PDF-1.7 Tina Tester".ljust(400),
        EncapsulatedDocumentLength=399,
        MIMETypeOfEncapsulatedDocument="application/pdf",
    )
    found, _ = run(source)
    document = found.EncapsulatedDocument
    assert b"Tina" not in document
    assert document.startswith(b"%PDF-1.4")
    assert found.EncapsulatedDocumentLength in (len(document), len(document) - 1)
    # the table of the dummy points at its objects
    xref = int(document.split(b"startxref\n")[1].split()[0])
    assert document[xref:].startswith(b"xref")


def test_stamps_tell_what_was_done(
    run: Callable[..., tuple[Dataset, Deidentified]], deidentifier: Deidentifier
) -> None:
    found, _ = run(dataset())
    assert found.PatientIdentityRemoved == "YES"
    assert found.LongitudinalTemporalInformationModified == "REMOVED"
    assert found.DeidentificationMethod[0] == SOFTWARE
    assert deidentifier.program.digest.startswith(found.DeidentificationMethod[2].removeprefix("Digest "))
    (code,) = found.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")


def test_stamps_of_an_earlier_pass_stay(run: Callable[..., tuple[Dataset, Deidentified]]) -> None:
    source = dataset(
        DeidentificationMethod=["CTP anonymizer", "Cleaned by Ms. Etxeberria, 12/02/2024", SOFTWARE],
        DeidentificationMethodCodeSequence=Sequence(
            [
                item(CodeValue="113108", CodingSchemeDesignator="DCM", CodeMeaning="Tina's own words"),
                item(CodeValue="Tina", CodingSchemeDesignator="99X", CodeMeaning="Tina"),
            ]
        ),
    )
    found, _ = run(source)
    assert list(found.DeidentificationMethod)[:2] == ["CTP anonymizer", SOFTWARE]
    codes = [(code.CodeValue, code.CodeMeaning) for code in found[DEIDENTIFICATION_METHOD_CODE_SEQUENCE].value]
    assert [code for code, _ in codes] == ["113108", "113100"]
    assert "Tina" not in str(codes)


def test_file_meta_and_preamble_are_made_anew(tmp_path: Path, run: Callable[..., tuple[Dataset, Deidentified]]) -> None:
    source = dataset()
    source.preamble = b"TESTER".ljust(128, b"\0")
    found, _ = run(source)
    assert found.preamble == bytes(128)
    assert [element.keyword for element in found.file_meta] == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    ]


def test_pixel_data_stays_in_its_file(run: Callable[..., tuple[Dataset, Deidentified]], tmp_path: Path) -> None:
    source = dataset(Rows=512, Columns=512, BitsAllocated=16, PixelData=bytes(range(256)) * 2048)
    source["PixelData"].VR = "OW"
    found, output = run(source)
    ranges = [segment for segment in output.segments if isinstance(segment, FileRange)]
    assert [(one.path, one.length >= 512 * 1024) for one in ranges] == [(tmp_path / "in.dcm", True)]
    assert found.PixelData == source.PixelData


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        # the identifier decides
        (item(PatientID="1", PatientName="A"), item(PatientID="1", PatientName="B"), True),
        (item(PatientID="1"), item(PatientID="2"), False),
        # who issued it makes no difference: test_patient.py
        (item(PatientID="1", IssuerOfPatientID="X"), item(PatientID="1"), True),
        # without one, name and birth date
        (item(PatientName="A", PatientBirthDate="19700101"), item(PatientName="A", PatientBirthDate="19700101"), True),
        (item(PatientName="A", PatientBirthDate="19700101"), item(PatientName="A", PatientBirthDate="19710101"), False),
        # without any, unknown patients of different studies stay apart
        (item(StudyInstanceUID="1.9.1"), item(StudyInstanceUID="1.9.1"), True),
        (item(StudyInstanceUID="1.9.1"), item(StudyInstanceUID="1.9.2"), False),
        # padding is no difference
        (item(PatientID="1 "), item(PatientID="1"), True),
    ],
)
def test_pseudonyms_tell_patients_apart(
    run: Callable[..., tuple[Dataset, Deidentified]], *, one: Dataset, two: Dataset, same: bool
) -> None:
    def pseudonym(patient: Dataset) -> str:
        source = dataset(PatientID="", PatientName="")
        source.update(patient)
        found, output = run(source)
        assert found.PatientID == output.patient_id
        assert found.PatientName == output.patient_id
        return output.patient_id

    assert (pseudonym(one) == pseudonym(two)) is same


def test_the_same_input_and_key_give_the_same_bytes(
    run: Callable[..., tuple[Dataset, Deidentified]], deidentifier: Deidentifier
) -> None:
    """Promise P6: on any node, in any order."""
    source = dataset(AcquisitionUID="1.2.9", SpecimenIdentifier="S1")
    first, one = run(source)
    other = Deidentifier(deidentifier.program, ProjectKey(b"k" * 32))
    _, two = run(source, using=other)
    assert one == two
    keyed, three = run(source, using=Deidentifier(deidentifier.program, ProjectKey(b"x" * 32)))
    assert {one.sop_uid, one.patient_id, one.sop_key}.isdisjoint({three.sop_uid, three.patient_id, three.sop_key})
    assert first.SpecimenIdentifier != keyed.SpecimenIdentifier


@pytest.mark.parametrize("missing", ["SOPInstanceUID", "SOPClassUID"])
def test_an_instance_without_its_uids_is_held(tmp_path: Path, deidentifier: Deidentifier, missing: str) -> None:
    source = dataset()
    del source[missing]
    path = tmp_path / "in.dcm"
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(path, source, enforce_file_format=False)
    with (
        open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=1) as instance,
        pytest.raises(InstanceError, match=r"neither the data set nor the file meta"),
    ):
        deidentifier.apply(instance)


def test_nothing_is_claimed_of_identified_instances(tmp_path: Path) -> None:
    """Nor what an earlier de-identification claimed: the profile keeps who the patient is."""
    profile = tmp_path / "identified.yaml"
    text = "profile: identified\nuse: [basic]\nidentified: true\nattributes: [{keep: [PatientName], because: asked}]\n"
    profile.write_text(text, encoding="utf-8")
    program = load_profile(profile, search=[shipped_profiles()])
    for earlier in (False, True):
        source = dataset(PatientName="GARCIA^ANA")
        if earlier:
            source.PatientIdentityRemoved, source.DeidentificationMethod = "YES", "by hand"
            source.DeidentificationMethodCodeSequence = [item(CodeValue="113100", CodingSchemeDesignator="DCM")]
        source.file_meta = FileMetaDataset()
        source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        source.save_as(tmp_path / "original.dcm", enforce_file_format=True)
        with open_instance(
            tmp_path / "original.dcm", work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 20
        ) as opened:
            output = Deidentifier(program, ProjectKey(b"k" * 32)).apply(opened)
            Verifier(program).check(opened, output.segments)
            file = io.BytesIO()
            copy_to(output.segments, file)
        file.seek(0)
        found = pydicom.dcmread(file)
        assert found.PatientName == "GARCIA^ANA"
        assert not [one for one in found if one.tag in (0x00120062, 0x00120063, 0x00120064)]
