"""The assertion notices whatever of the program was not carried out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom import encode
from gateway.dicom.instance import Instance
from gateway.errors import LeakSuspected
from gateway.profile import Program
from gateway.verify import Verifier
from gateway.verify.assertion import Assertion
from gateway.verify.output_reader import read_output
from gateway.verify.program_rules import Rules
from tests.unit.deid.profiles import program
from tests.unit.verify.support import SOP_INSTANCE, encoded, item, joined, opened, original, write

STUDY = "1.2.276.0.7230010.3.1.2.9"
Spoil = Callable[[Dataset], object]


@pytest.fixture(params=[ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Instance]:
    source = original(
        PatientName="MUSTERFRAU^ERIKA",
        PatientID="MRN-0048151",
        PatientBirthDate="19610808",
        PatientSex="F",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.1",
        FrameOfReferenceUID="1.2.840.10008.1.4.1.1",
        StudyDate="20240229",
        ContentDate="20240229",
        AcquisitionNumber="1",
        AccessionNumber="20481516",
        ReferringPhysicianName="TESTOWSKI^JAN",
        DeviceSerialNumber="SN-481516",
        ViewCodeSequence=[item(CodeValue="1", CodingSchemeDesignator="SCT", CodeMeaning="axial")],
        BitsAllocated=16,
        PixelData=bytes(200_000),
    )
    source["PixelData"].VR = "OW"
    with opened(write(tmp_path / "original.dcm", source, syntax=request.param)) as found:
        yield found


def deidentified(basic: Program, instance: Instance) -> bytes:
    return joined(Deidentifier(basic, ProjectKey(b"k" * 32)).apply(instance).segments)


def check(basic: Program, instance: Instance, output: bytes) -> None:
    Assertion(basic).check(instance, read_output(instance, [output]))


def spoilt(output: bytes, spoil: Spoil) -> bytes:
    """The output after ``spoil`` has had its data set; the gateway's own header is put before it again."""
    dataset = pydicom.dcmread(io.BytesIO(output))
    spoil(dataset)
    bare = Dataset()
    bare._dict.update(dataset._dict)
    start = 144 + int.from_bytes(output[140:144], "little")
    return output[:start] + encoded(bare, syntax=dataset.file_meta.TransferSyntaxUID)


def test_a_true_output_passes(basic: Program, instance: Instance) -> None:
    segments = Deidentifier(basic, ProjectKey(b"k" * 32)).apply(instance).segments
    Verifier(basic).check(instance, segments)
    check(basic, instance, joined(segments))
    check(basic, instance, spoilt(joined(segments), lambda _: None))


def add(tag: int, vr: str, value: object) -> Spoil:
    return lambda dataset: dataset.add(DataElement(tag, vr, value))


def put(**values: object) -> Spoil:
    return lambda dataset: dataset.update(item(**values))


def nested(**values: object) -> Spoil:
    return lambda dataset: dataset.ViewCodeSequence[0].update(item(**values))


def drop(keyword: str) -> Spoil:
    return lambda dataset: delattr(dataset, keyword)


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (add(0x00110010, "LO", "MAKER"), "(0011,0010)"),  # a private creator
        (add(0x00111001, "UN", b"\1\2"), "(0011,1001)"),  # a private element
        (lambda found: found.ViewCodeSequence[0].add(DataElement(0x00111001, "DS", "1")),
         "(0054,0220)[0]/(0011,1001)"),  # a private element in a kept sequence
        (add(0x00081F1E, "LO", "x"), "(0008,1F1E)"),  # an element that the standard does not know
        (add(0x60003000, "OW", b"\1\2"), "(6000,3000)"),  # overlay data
        (add(0x50003000, "OW", b"\1\2"), "(5000,3000)"),  # curve data
        (add(0xFFFCFFFC, "OB", b"\0\0"), "(FFFC,FFFC)"),  # trailing padding
        (put(StudyDescription="harmless"), "(0008,1030)"),  # an element that is removed
        (put(RequestAttributesSequence=[item(RequestedProcedureDescription="x")]), "(0040,0275)"),  # a sequence, too
        (nested(PatientAddress="harmless"), "(0054,0220)[0]/(0010,1040)"),  # at depth
        (put(AccessionNumber="DUMMY"), "(0008,0050)"),  # what is emptied has a value
        (nested(ReferringPhysicianName="DUMMY"), "(0054,0220)[0]/(0008,0090)"),  # emptied at depth
        (nested(PatientName="DUMMY"), "(0054,0220)[0]/(0010,0010)"),  # the pseudonym is written at the top only
        (put(PatientID="MRN-0048151"), "(0010,0020)"),  # the pseudonym is the original
        (put(PatientName="MUSTERFRAU^ERIKA"), "(0010,0010)"),  # the name, too
        (put(StudyInstanceUID=STUDY), "(0020,000D)"),  # a UID that is not replaced
        (nested(UID=SOP_INSTANCE), None),  # another attribute's UID is the leak scan's to find
        (put(SeriesInstanceUID=f"{STUDY}.1"), "(0020,000E)"),  # a UID that is not replaced
        (put(FrameOfReferenceUID="1.2.840.10008.1.4.1.1"), None),  # a well-known one stays
        (put(PatientIdentityRemoved="NO"), "(0012,0062)"),  # the stamp is wrong
        (drop("PatientIdentityRemoved"), "(0012,0062)"),  # the stamp is missing
        (drop("DeidentificationMethod"), "(0012,0063)"),  # the method is missing
        (drop("DeidentificationMethodCodeSequence"), "(0012,0064)"),  # its codes are missing
        (put(DeidentificationMethodCodeSequence=[]), "(0012,0064)"),  # its codes are empty
        (put(LongitudinalTemporalInformationModified="UNMODIFIED"), "(0028,0303)"),  # the dates are gone, it says not
        (put(SOPInstanceUID="2.25.17"), "(0002,0003)"),  # the file meta information tells of another instance
        (put(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), "(0002,0002)"),  # or of another class
    ],
)  # fmt: skip
def test_spoilt_data_sets(basic: Program, instance: Instance, spoil: Spoil, where: str | None) -> None:
    output = spoilt(deidentified(basic, instance), spoil)
    if where is None:
        check(basic, instance, output)
        return
    with pytest.raises(LeakSuspected) as caught:
        check(basic, instance, output)
    assert caught.value.facts["where"] == where


@pytest.mark.parametrize(
    ("tag", "value", "where"),
    [
        (0x00100010, b"DUMMY ", "(0029,1020)[0]/(0010,0010)"),  # what is emptied has a value
        (0x00101040, b"harmless", "(0029,1020)[0]/(0010,1040)"),  # what is removed is there
        (0x00200011, b"1 ", None),  # what stays
    ],
)
def test_items_that_vr_un_hides_are_opened(
    tmp_path: Path, instance: Instance, tag: int, value: bytes, where: str | None
) -> None:
    """A private sequence that a rule keeps, written as bytes of which the VR does not tell that they are items."""
    using = program(tmp_path, 'attributes:\n  - {keep: ["(0029,xx20) ACME IMAGING"], because: needed}')
    content = encode.element(tag, b"LO", value, implicit=True)
    items = encode.item_header(len(content)) + content

    def spoil(found: Dataset) -> None:
        found.add_new(0x00290010, "LO", "ACME IMAGING")
        found.add_new(0x00291020, "UN", items)

    output = spoilt(deidentified(using, instance), spoil)
    if where is None:
        check(using, instance, output)
        return
    with pytest.raises(LeakSuspected) as caught:
        check(using, instance, output)
    assert caught.value.facts["where"] == where


def element(number: int, vr: bytes, value: bytes) -> bytes:
    return b"\2\0" + number.to_bytes(2, "little") + vr + len(value).to_bytes(2, "little") + value


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda output: b"TIFF" + output[4:], "the preamble"),  # somebody's preamble
        (lambda output: output[:144] + element(0x16, b"AE", b"PACS") + output[144:], "(0002,0016)"),  # the source
        (lambda output: output.replace(b"DEIDGW", b"OTHERS", 1), "(0002,0013)"),  # another implementation
    ],
)
def test_spoilt_headers(basic: Program, instance: Instance, spoil: Callable[[bytes], bytes], where: str) -> None:
    with pytest.raises(LeakSuspected) as caught:
        check(basic, instance, spoil(deidentified(basic, instance)))
    assert caught.value.facts["where"] == where


def test_a_group_length(basic: Program, instance: Instance) -> None:
    output = deidentified(basic, instance)
    start = 144 + int.from_bytes(output[140:144], "little")
    length = encode.element(0x00080000, b"UL", bytes(4), implicit=instance.implicit)
    with pytest.raises(LeakSuspected) as caught:
        check(basic, instance, output[:start] + length + output[start:])
    assert caught.value.facts["where"] == "(0008,0000)"


def characteristics(status: str, **actions: str) -> Dataset:
    """What is said of the block of ACME in group 0029; ``D="0102"``: a dummy for the elements with these bytes."""
    found = item(PrivateGroupReference=0x0029, PrivateCreatorReference="ACME", BlockIdentifyingInformationStatus=status)
    if actions:
        found.DeidentificationActionSequence = [
            item(IdentifyingPrivateElements=list(bytes.fromhex(numbers)), DeidentificationAction=action)
            for action, numbers in actions.items()
        ]
    return found


@pytest.mark.parametrize(
    ("said", "first", "others"),
    [
        ([characteristics("SAFE")], "keep", "keep"),
        # of two statements the strictest counts, whichever comes last
        ([characteristics("UNSAFE"), characteristics("SAFE")], "remove", "remove"),
        ([characteristics("SAFE"), characteristics("UNSAFE")], "remove", "remove"),
        ([characteristics("SAFE", D="01"), characteristics("SAFE", U="01")], "remove", "keep"),
        # within one, too
        ([characteristics("SAFE", D="01", U="01")], "remove", "keep"),
        ([characteristics("SAFE", D="01")], "dummy", "keep"),
    ],
)
def test_of_what_an_instance_says_the_strictest_counts(
    tmp_path: Path, said: list[Dataset], first: str, others: str
) -> None:
    using = program(
        tmp_path,
        "attributes:\n  - {keep: [safe-private], believe: sender, because: the scanner is ours}\n",
        use="basic, retain-safe-private",
    )
    source = original(PrivateDataElementCharacteristicsSequence=said)
    with opened(write(tmp_path / "original.dcm", source)) as instance:
        told = Rules(using).said_by(instance)
    assert told.get((0x0029, b"ACME", 1), told[0x0029, b"ACME", -1]).value == first
    assert told[0x0029, b"ACME", -1].value == others
