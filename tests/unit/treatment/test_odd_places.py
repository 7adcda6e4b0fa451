"""A name, a number or a sentence in any odd place of a file does not leave, or its file is held (promise P13).

Each row plants the identity of somebody whom no header names, or the header's own, in one place; under two profiles of
very different kinds it must be gone from the whole output, in every way that a reader could read it.
"""

from __future__ import annotations

import base64
import gzip
import io
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.deid import ProjectKey
from gateway.dicom.encoded import Limits
from gateway.dicom.segments import copy_to
from gateway.errors import GatewayError
from gateway.extras import ocr
from gateway.profile import load_profile, shipped_profiles
from gateway.treatment.treatment import OpeningRules, Treatment
from tests.fixtures.treating import CT, image, item_of, noise

#: Somebody whom no header names, with numbers; and the patient, as the header has it.
OTHER, NUMBER = "Quirina Belmontero", "5529104"
OWN, OWN_NUMBER = "ZURBANO IRIARTE LEOCADIO", "7391846"
WORDS = ("quirina", "belmontero", NUMBER, "48921377", "644908172", "zurbano", "iriarte", "leocadio", OWN_NUMBER)
SR = "1.2.840.10008.5.1.4.1.1.88.33"

Plant = Callable[[Dataset], None]
Patch = Callable[[bytes], bytes]


def put(**values: object) -> Plant:
    def plant(found: Dataset) -> None:
        for keyword, value in values.items():
            setattr(found, keyword, value)

    return plant


def code(value: str, scheme: str, meaning: str, keyword: str = "CodeValue") -> Dataset:
    return item_of(**{keyword: value}, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def raw(tag: int, vr: bytes, value: bytes) -> Patch:
    """The element written among those of the top level, whatever the dictionary says; one of its tag goes."""

    def patched(file: bytes) -> bytes:
        start = 144 + struct.unpack("<I", file[140:144])[0]
        before, behind, pos = file[:start], b"", start
        while pos < len(file):
            group, number = struct.unpack("<HH", file[pos : pos + 4])
            long = file[pos + 4 : pos + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"UC")
            length = struct.unpack("<I", file[pos + 8 : pos + 12])[0] if long else file[pos + 6] | file[pos + 7] << 8
            end = pos + (12 if long else 8) + length
            if group << 16 | number < tag:
                before += file[pos:end]
            elif group << 16 | number > tag:
                behind += file[pos:end]
            pos = end
        even = value + (b" " if vr not in (b"OB", b"UN", b"UI") else b"\0") * (len(value) % 2)
        head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
        head += (
            struct.pack("<HI", 0, len(even))
            if vr in (b"OB", b"OW", b"UN", b"UT", b"OF")
            else struct.pack("<H", len(even))
        )
        return before + head + even + behind

    return patched


def block(group: int, creator: str, offset: int, vr: str, value: object) -> Plant:
    return lambda found: found.private_block(group, creator, create=True).add_new(offset, vr, value)


def element(tag: int, vr: str, value: object) -> Plant:
    return lambda found: found.add_new(tag, vr, value)


def text_of_report(**values: object) -> Plant:
    return put(
        SOPClassUID=SR, Modality="SR", ValueType="CONTAINER", ContinuityOfContent="SEPARATE", PixelData=None,
        ConceptNameCodeSequence=[code("126000", "DCM", "Imaging Measurement Report")], **values,
    )  # fmt: skip


def overlay(found: Dataset) -> None:
    for tag, vr, value in (
        (0x10, "US", 16), (0x11, "US", 16), (0x22, "LO", OTHER), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", OTHER.encode().ljust(32) + OWN.encode().ljust(64)),
    ):  # fmt: skip
        found.add_new(0x60000000 | tag, vr, value)


PACKED = gzip.compress(f"PatientName {OWN} {OWN_NUMBER} {OTHER}".encode() * 3)
PACKED += bytes(len(PACKED) % 2)
SOLID = b"SV10\4\3\2\1" + bytes(40) + b"Operator\0" + OTHER.encode() + b"\0" + b"\0\1\2\3" * 30
SAFE = item_of(PrivateGroupReference=0x0099, PrivateCreatorReference="ACME", BlockIdentifyingInformationStatus="SAFE")
#: What it is, what is planted.
ROWS: list[tuple[str, Plant]] = [
    # codes
    ("code of an identity document", put(AnatomicRegionSequence=[code("48921377K", "99LOC", "Thorax")])),
    ("code meaning", put(AnatomicRegionSequence=[code("T-28000", "SRT", OTHER)])),
    ("coding scheme", put(AnatomicRegionSequence=[code("1", f"99{OTHER.split()[1].upper()}", "Thorax")])),
    ("long code", put(AnatomicRegionSequence=[code(f"{OTHER}, tel. 644908172", "99LOC", "Thorax", "LongCodeValue")])),
    ("URN code", put(AnatomicRegionSequence=[code(f"urn:lex:belmontero:{NUMBER}", "99LOC", "Thorax", "URNCodeValue")])),
    ("coding schemes of a house", put(CodingSchemeIdentificationSequence=[item_of(
        CodingSchemeDesignator="99LOC", CodingSchemeName=f"codes of {OTHER}",
        CodingSchemeResponsibleOrganization=OTHER)])),
    # text that the table does not list, and identifiers
    *(
        (keyword, put(**{keyword: OTHER[:16] if keyword.endswith(("Name", "Label", "Vector")) else OTHER}))
        for keyword in (
            "SegmentLabel", "ContentDescription", "RTImageDescription", "BeamName", "AcquisitionProtocolName",
            "SequenceName", "WindowCenterWidthExplanation", "CompletionFlagDescription", "DocumentTitle", "TextValue",
            "PartialViewDescription", "PixelSpacingCalibrationDescription", "ContrastBolusRoute", "ViewName",
            "InterventionDescription", "StageName", "TriggerSourceOrType", "DisplayWindowLabelVector",
            "Radiopharmaceutical", "DoseComment", "SetupImageComment", "TreatmentStatusComment", "OverrideReason",
            "FiducialDescription", "GraphicLayerDescription", "SurfaceComments", "TrackingID", "CalculationComment",
            "SOPAuthorizationComment", "SegmentDescription", "EventTimerNames", "FrameLabel", "LUTExplanation",
            "AlgorithmParameters", "TestResultComment", "SystemStatusComment", "MetaboliteMapDescription",
        )
    ),
    ("scan options", put(ScanOptions="DRA_BELMONTERO")),
    ("name of a machine", put(RadiationMachineName=f"ROOM{NUMBER}", DeviceID=f"DEV-{NUMBER}")),
    ("earlier method", put(DeidentificationMethod=f"cleaned by {OTHER} for {NUMBER}")),
    # bytes
    ("private block of the header's name", block(0x29, "SIEMENS CSA HEADER", 0x10, "OB", SOLID + OWN.encode() + b"\0")),
    ("private block of another name", block(0x29, "SIEMENS CSA HEADER", 0x10, "OB", SOLID)),
    ("gzip in a private block", block(0x25, "GEMS_SERS_01", 0x1B, "OB", PACKED)),
    ("text in a safe private element", block(0x43, "GEMS_PARM_01", 0x27, "SH", "BELMONTERO")),
    ("long text in a safe private block", block(0x2001, "Philips Imaging DD 001", 0x1A, "LT", f"{OTHER} 644908172")),
    ("items where a number is safe", block(0x2001, "Philips Imaging DD 001", 3, "SQ",
                                           [item_of(PatientComments=OTHER, SegmentDescription=OTHER)])),
    ("what the sender calls safe", lambda found: (put(PrivateDataElementCharacteristicsSequence=[SAFE])(found),
                                                  block(0x99, "ACME", 1, "LO", f"{OTHER} {NUMBER}")(found))[0]),
    ("ICC profile", element(0x00282000, "OB", b"\0\0\2\0lcms\2\x10\0\0mntrRGB XYZ " + bytes(20) + SOLID)),
    ("LUT", put(ModalityLUTSequence=[item_of(LUTDescriptor=[16, 0, 16], LUTData=(OTHER.encode() + b" " * 16)[:32],
                                             ModalityLUTType="HU", LUTExplanation=OTHER)])),
    ("palette", lambda found: (put(RedPaletteColorLookupTableDescriptor=[16, 0, 16])(found),
                               element(0x00281201, "OW", (OTHER.encode() + b" " * 16)[:32])(found))[0]),
    ("encrypted content outside its sequence", element(0x04000520, "OB", PACKED)),
    ("icon", put(IconImageSequence=[item_of(
        Rows=8, Columns=8, SamplesPerPixel=1, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2", PixelData=OTHER.encode().ljust(64))])),
    ("pixels in another sequence", put(AnatomicRegionSequence=[item_of(
        Rows=8, Columns=8, BitsAllocated=8, PixelData=OTHER.encode().ljust(64))])),
    ("behind an overlay", overlay),
    ("behind the pixels", lambda found: put(PixelData=found.PixelData + (OWN + OTHER).encode().ljust(64))(found)),
    # containers
    ("report text outside the tree", text_of_report(TextValue=OTHER)),
    ("report of private concepts", text_of_report(ContentSequence=[
        item_of(RelationshipType="CONTAINS", ValueType="TEXT", TextValue=OTHER,
                ConceptNameCodeSequence=[code("E1", "99LOC", OTHER)]),
        item_of(RelationshipType="CONTAINS", ValueType="PNAME", PersonName="Belmontero^Quirina",
                ConceptNameCodeSequence=[code("E2", "99LOC", "mother")]),
        item_of(RelationshipType="CONTAINS", ValueType="FOO", TextValue=OTHER)])),
    ("context of acquisition", put(AcquisitionContextSequence=[item_of(
        ValueType="TEXT", TextValue=OTHER, ConceptNameCodeSequence=[code("X", "99LOC", "x")])])),
    ("annotation of waveforms", put(WaveformAnnotationSequence=[item_of(
        UnformattedTextValue=OTHER, TextValue=OTHER, ConceptNameCodeSequence=[code("X", "99LOC", OTHER)])])),
    ("document", lambda found: (
        put(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", PixelData=None, DocumentTitle=OTHER,
            MIMETypeOfEncapsulatedDocument="application/pdf", ListOfMIMETypes=["text/xml", OTHER],
            HL7InstanceIdentifier=f"1.2.3.{NUMBER}^2024")(found),
        element(0x00420011, "OB", b"%PDF-1.4 " + OTHER.encode() + b" ")(found))[0]),
    ("structures", put(SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3", Modality="RTSTRUCT", PixelData=None,
                       StructureSetLabel="BELMONTERO", StructureSetDescription=OTHER, StructureSetROISequence=[item_of(
                           ROINumber=1, ROIName="GTV Belmontero", ROIDescription=OTHER,
                           ROIGenerationAlgorithm="MANUAL", ReferencedFrameOfReferenceUID="1.2.3")])),
    ("treatment", put(SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5", Modality="RTPLAN", PixelData=None,
                      RTPlanLabel="Belmontero", RTPlanName=OTHER[:16], TreatmentProtocols=OTHER,
                      BeamSequence=[item_of(BeamNumber=1, BeamName="Belmontero AP", TreatmentMachineName="LINAC",
                                            BeamDescription=OTHER)])),
    # the header's own, in unlisted text
    *(
        (f"own, {name}", put(ContentDescription=text))
        for name, text in {
            "as it is": OWN, "escaped": "Z&#117;rbano", "percent": "%5a%55%52%42%41%4e%4f",
            "digits apart": "HC 73 91 846", "number in another": f"IMG{OWN_NUMBER}00112",
            "Base64": base64.b64encode(OWN.encode()).decode(), "day of birth": "27 abril 1931",
        }.items()
    ),
]  # fmt: skip

#: Elements that no data set has, or under another VR than theirs.
ODD: list[tuple[int, bytes]] = [
    *((tag, b"LO") for tag in (0x00010010, 0x00030010, 0x00050010, 0x00070010, 0xFFFF0010, 0x00061010, 0x00410001)),
    *((tag, b"OB") for tag in (0x7F000010, 0x7F020020, 0xFFFCFFFC)),
    (0x01010010, b"UN"), (0x50043000, b"OW"), (0x60243000, b"OW"), (0x10100004, b"US"), (0x10001110, b"US"),
    (0x00280402, b"CS"), (0x00203100, b"CS"), (0x00040010, b"LO"),
    (0x00280030, b"DS"), (0x00180050, b"LO"), (0x00201041, b"UT"), (0x00180088, b"UN"), (0x00181150, b"IS"),
    (0x00280106, b"LO"), (0x00189073, b"LT"),
]  # fmt: skip
#: Bytes around the data set.
AROUND: list[tuple[str, Patch]] = [
    ("behind the data set", lambda file: file + bytes(4) + (OWN + OTHER).encode()),
    ("in the preamble", lambda file: OTHER.encode().ljust(128, b"\0") + file[128:]),
]


@pytest.fixture(scope="module", params=["basic", "research-default"])
def treatment(request: pytest.FixtureRequest) -> Iterator[Treatment]:
    with patch.object(ocr, "missing", lambda: "left out"):
        program = load_profile(request.param, search=[shipped_profiles()])
        yield Treatment(program, ProjectKey(b"k" * 32))


def source() -> Dataset:
    return image(
        noise(16, 16), CT, PatientName="ZURBANO IRIARTE^LEOCADIO", PatientID=f"HC-{OWN_NUMBER}", Modality="CT",
        PatientBirthDate="19310427", StudyDate="20240315", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    )  # fmt: skip


def file_of(found: Dataset) -> bytes:
    if found.get("PixelData", b"") is None:
        del found.PixelData
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    found.save_as(file, enforce_file_format=True)
    return file.getvalue()


def left(treatment: Treatment, folder: Path, content: bytes) -> list[str]:
    """The planted words that leave, or that the reason tells of a file that is held."""
    path = folder / "in.dcm"
    path.write_bytes(content)
    rules = OpeningRules(work=folder, limits=Limits(), max_reencode_bytes=1 << 24)
    output = io.BytesIO()
    try:
        with (
            rules.open(path) as instance,
            treatment.treat(treatment.admit(instance), opening=rules) as treated,
        ):
            copy_to(treated.output.segments, output)
    except GatewayError as error:
        return [word for word in WORDS if word in error.message.lower()]
    views = list(readings(output.getvalue()))
    return [word for word in WORDS if any(word in view for view in views)]


def readings(content: bytes) -> Iterator[str]:
    """What a reader could read in the bytes."""
    opened = [content]
    for mark, wbits in ((b"\x1f\x8b\x08", 31), (b"\x78\x9c", 15), (b"\x78\xda", 15)):
        at = content.find(mark)
        while at >= 0:
            with suppress(zlib.error):
                opened.append(zlib.decompressobj(wbits).decompress(content[at:]))
            at = content.find(mark, at + 1)
    for one in opened:
        for codec in ("latin-1", "utf-16-le", "utf-16-be"):
            for shifted in (one, one[1:]):
                text = unicodedata.normalize("NFKD", shifted.decode(codec, "ignore"))
                yield "".join(letter for letter in text if not unicodedata.combining(letter)).lower()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("plant", [row[1] for row in ROWS], ids=[row[0] for row in ROWS])
def test_places(tmp_path: Path, treatment: Treatment, plant: Plant) -> None:
    found = source()
    plant(found)
    content = file_of(found)
    assert left(treatment, tmp_path, content) == []


@pytest.mark.parametrize(("tag", "vr"), ODD, ids=[f"{tag:08X} {vr.decode()}" for tag, vr in ODD])
def test_odd_elements(tmp_path: Path, treatment: Treatment, tag: int, vr: bytes) -> None:
    content = raw(tag, vr, OTHER.encode())(file_of(source()))
    assert OTHER.encode() in content
    assert left(treatment, tmp_path, content) == []


@pytest.mark.parametrize("change", [row[1] for row in AROUND], ids=[row[0] for row in AROUND])
def test_around_the_data_set(tmp_path: Path, treatment: Treatment, change: Patch) -> None:
    assert left(treatment, tmp_path, change(file_of(source()))) == []


def test_the_file_without_any_goes_out(tmp_path: Path, treatment: Treatment) -> None:
    """What is held proves nothing: the file that the rows change is not."""
    path = tmp_path / "in.dcm"
    path.write_bytes(file_of(source()))
    rules = OpeningRules(work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 24)
    with rules.open(path) as instance, treatment.treat(treatment.admit(instance), opening=rules) as treated:
        assert treated.output.segments
