"""The leak scan finds what is planted, wherever and however it is encoded, and nothing else."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.dicom.segments import FileRange, Segment
from gateway.errors import LeakSuspected, LimitExceeded
from gateway.profile import Program
from gateway.verify import harvest
from tests.unit.verify.support import SOP_INSTANCE, encoded, item, opened, original, output_of, scan, write

NAME = {"PatientName": "MUSTERFRAU^ERIKA"}
JAPANESE = ["", "ISO 2022 IR 87"]
OTHER_UID = "1.2.276.0.7230010.3.1.4.200"


def hits(tmp_path: Path, program: Program, source: Dataset, output: Dataset | bytes, **syntax: str) -> list[str]:
    made = output if isinstance(output, bytes) else output_of(output, **syntax)
    with opened(write(tmp_path / "original.dcm", source)) as instance:
        return scan(program, instance, [made])


def private(vr: str, value: object) -> Dataset:
    found = Dataset()
    found.add(DataElement(0x00110010, "LO", "MAKER"))
    found.add(DataElement(0x00111001, vr, value))
    return found


def odd(tag: int, vr: str, value: object) -> Dataset:
    found = Dataset()
    found.add(DataElement(tag, vr, value))
    return found


@pytest.mark.parametrize(
    ("planted", "output", "expected"),
    [
        # A name in free text that the profile keeps.
        (NAME, item(SeriesNumber=1, ContrastBolusRoute="for Musterfrau"), ["(0018,1040): name"]),
        # Only a given name.
        (NAME, item(RescaleType="ERIKA 2"), ["(0028,1054): name"]),
        # In a code string that is no defined term.
        (NAME, item(BodyPartExamined="ERIKA"), ["(0018,0015): name"]),
        # In the code meaning of a standard scheme.
        (NAME, item(ViewCodeSequence=[item(CodeValue="1", CodingSchemeDesignator="SCT", CodeMeaning="axial Erika")]),
         ["(0054,0220)[0]/(0008,0104): name"]),
        # In a manufacturer's model name.
        (NAME, item(ManufacturerModelName="Scanner of Musterfrau"), ["(0008,1090): name"]),
        # Three levels down, in the second item.
        (NAME, item(PerFrameFunctionalGroupsSequence=[
            item(), item(FrameContentSequence=[item(FrameLabel="x"), item(FrameLabel="Musterfrau")])]),
         ["(5200,9230)[1]/(0020,9111)[1]/(0020,9453): name"]),
        # In a private text element.
        (NAME, private("LT", "of musterfrau"), ["(0011,1001): name"]),
        # In a private element of unknown VR.
        (NAME, private("UN", b"Musterfrau\0\0"), ["(0011,1001): name"]),
        # In the middle of a binary value.
        (NAME, private("OB", b"\1\2\3\4\0\xff\xfe" * 20 + b"MUSTERFRAU" + b"\0\xff" * 9), ["(0011,1001): name"]),
        # In UTF-16, as a document or a database has it.
        (NAME, private("OB", b"\1\2" + "Musterfrau".encode("utf-16-le")), ["(0011,1001): name"]),
        # An identifier in the text of a kept element.
        ({"PatientID": "MRN-0048151"}, item(SoftwareVersions="v1 MRN0048151"), ["(0018,1020): id"]),
        # The shortest that counts among versions and models, which six digits are, and among codes, seven.
        ({"PatientID": "481516"}, item(SoftwareVersions="VB 481516"), ["(0018,1020): id"]),
        ({"PatientID": "4815162"},
         item(ViewCodeSequence=[item(LongCodeValue="4815162", CodingSchemeDesignator="SCT", CodeMeaning="x")]),
         ["(0054,0220)[0]/(0008,0119): id"]),
        # An identifier as a number.
        ({"AccessionNumber": "20481516"}, item(SeriesNumber="20481516"), ["(0020,0011): id"]),
        # An identifier of an order, found at a lower level of the original.
        ({"RequestAttributesSequence": [item(RequestedProcedureID="RP-481516")]}, item(RescaleType="RP 481516"),
         ["(0028,1054): id"]),
        # A date of birth as people write it.
        ({"PatientBirthDate": "19610808"}, item(RescaleType="born 08.08.1961"), ["(0028,1054): birth-date"]),
        # A study date at the beginning of a DT.
        ({"StudyDate": "20240229"}, odd(0x00404011, "DT", "20240229103000"), ["(0040,4011): date"]),
        # An institution's name.
        ({"InstitutionName": "Klinikum Faketown"}, item(RescaleType="KLINIKUM FAKET", Manufacturer="Klinikum Faketown"),
         ["(0008,0070): institution"]),
        # A person's code.
        ({"PhysiciansOfRecordIdentificationSequence": [item(PersonIdentificationCodeSequence=[
            item(CodeValue="PHYS-4711", CodingSchemeDesignator="99X", CodeMeaning="Dr. Testowski")])]},
         item(RescaleType="PHYS-4711", GridID="Testowski"), ["(0018,1006): name", "(0028,1054): id"]),
        # Its own identifier in other spellings.
        ({"PatientID": "1098765432"}, item(RescaleType="C.C. 1.098.765.432"), ["(0028,1054): id"]),
        ({"PatientID": "48921377K"}, item(RescaleType="DNI 48921377"), ["(0028,1054): id"]),
        ({"PatientID": "HC-7391846"}, item(BodyPartExamined="HC 73 91 846"), ["(0018,0015): id"]),
        # Dates with the month as a word, and with two digits of the year.
        ({"PatientBirthDate": "19310427"}, item(RescaleType="27 de abril 1931"), ["(0028,1054): birth-date"]),
        ({"StudyDate": "20240315"}, item(RescaleType="vom 15.3.24"), ["(0028,1054): date"]),
        # Names of words that are terms, in a code string and in the code meaning of a standard scheme.
        ({"PatientName": "CASTRO FLORES^BRUNO"}, item(ViewPosition="CASTRO_FLORES"), ["(0018,5101): name"]),
        ({"PatientName": "ARTERY^BALLOON"}, item(ScanOptions="BALLOON ARTERY"), ["(0018,0022): name"]),
        ({"PatientName": "BROWN^CHARLES"},
         item(ViewCodeSequence=[item(CodeValue="111452", CodingSchemeDesignator="DCM", CodeMeaning="Brown Charles")]),
         ["(0054,0220)[0]/(0008,0104): name"]),
        # Two short words of one name in a short string, where each is excused.
        ({"PatientName": "LIN^EVA"}, item(StackID="LIN EVA"), ["(0020,9056): name"]),
        # Two makers' names are a person where no maker is meant.
        ({"PatientName": "CARL^CANON", "Manufacturer": "Canon"}, item(RescaleType="Carl"), ["(0028,1054): name"]),
        # A short name between the zeros of a binary value, as CSA headers have it.
        ({"PatientName": "RUIZ^ANA"}, private("OB", b"SV10\4\3\2\1" + bytes(40) + b"RUIZ^ANA" + bytes(range(200))),
         ["(0011,1001): name"]),
        # In UTF-16 there.
        ({"PatientName": "RUIZ^ANA"}, private("OB", b"\1\2\3\4" * 9 + "Ruiz^Ana".encode("utf-16-be") + b"\xff\xfe"),
         ["(0011,1001): name"]),
        # Compressed, twice.
        (NAME, private("OB", zlib.compress(b"\0\1\2" * 9 + gzip.compress(b"MUSTERFRAU^ERIKA" * 4))),
         ["(0011,1001): name"]),
        # As the web writes it.
        (NAME, item(RescaleType="%4d%55%53%54%45%52%46rau"), ["(0028,1054): name"]),
        (NAME, item(RescaleType="M&#117;sterfra&#x75;"), ["(0028,1054): name"]),
        # The original SOP Instance UID in an element that holds a class.
        ({}, item(ReferencedSOPClassUIDInFile=SOP_INSTANCE, ReferencedSOPInstanceUIDInFile="2.25.1",
                  SourceImageSequence=[item(ReferencedSOPClassUID=SOP_INSTANCE)]),
         ["(0004,1510): uid", "(0008,2112)[0]/(0008,1150): uid"]),
        # A UID in text, with others around it.
        ({}, item(RescaleType=f"x.{SOP_INSTANCE}"), ["(0028,1054): uid"]),
        # A UID that continues an original one.
        ({"StudyInstanceUID": OTHER_UID}, item(FrameOfReferenceUID=f"{OTHER_UID}.7"), ["(0020,0052): uid"]),
        # A UID that nobody registered, in an element that names a class.
        ({"OriginalSpecializedSOPClassUID": OTHER_UID}, item(OriginalSpecializedSOPClassUID=OTHER_UID),
         ["(0008,001B): uid"]),
        # A UID of an element that no table lists.
        ({"TargetFrameOfReferenceUID": OTHER_UID}, item(FrameOfReferenceUID=OTHER_UID), ["(0020,0052): uid"]),
        # A person's name of an element that no table lists.
        ({"SecondaryReviewerName": "Testowski^Jan"}, item(RescaleType="Testowski"), ["(0028,1054): name"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_planted_values_are_found(
    tmp_path: Path, basic: Program, planted: dict[str, object], output: Dataset, expected: list[str], syntax: str
) -> None:
    assert hits(tmp_path, basic, original(**planted), output, syntax=syntax) == expected


@pytest.mark.parametrize(
    ("planted", "output"),
    [
        # A patient named after a body part: the defined term stays.
        ({"PatientName": "CHEST^ERIKA"}, item(BodyPartExamined="CHEST")),
        # The same in the code meaning of a standard scheme.
        ({"PatientName": "GALLBLADDER^ERIKA"},
         item(ViewCodeSequence=[item(CodeValue="1", CodingSchemeDesignator="SCT", CodeMeaning="Gallbladder view")])),
        # A name in the meaning that the standard itself gives the code.
        ({"PatientName": "BROWN^DARK"},
         item(ViewCodeSequence=[item(CodeValue="111452", CodingSchemeDesignator="DCM",
                                     CodeMeaning="Dark brown color")])),
        # A patient named after a part of the body: a coil, a filter, a correction for a tracer of three letters.
        ({"PatientName": "KNEE^ERIKA"}, item(ReceiveCoilName="KNEE 15ch")),
        ({"PatientName": "ABDOMEN^ERIKA"}, item(FilterType="Abdomen")),
        ({"PatientName": "FLT^ERIKA"}, item(AttenuationCorrectionMethod="measured,AC_CT FLT")),
        # A part of a term.
        ({"PatientName": "CARDIA^ERIKA"}, item(BodyPartExamined="CARDIAC")),
        # Phantoms named after their scanner.
        ({"PatientName": "PHILIPS^X", "Manufacturer": "Philips", "InstitutionName": "Philips"},
         item(RescaleType="Philips", Manufacturer="Philips")),
        # No name.
        ({"PatientName": "MUSTERFRAU^ERIKA", "OperatorsName": "n.a."}, item(RescaleType="n.a.", StackID="N/A")),
        # A ramp of numbers, as a palette has it, in which every short number stands as UTF-16 or as bytes.
        ({"PatientID": "1234"}, odd(0x00281201, "OW", bytes(b for n in range(256) for b in (n, 0)))),
        ({"PatientID": "123456", "StudyID": "2345678"}, odd(0x00281201, "OW", bytes(range(256)))),
        # A version that could be a date.
        ({"StudyDate": "20240315"}, item(SoftwareVersions="VB 15.3.24", Manufacturer="ACME 2024.3.15")),
        # A short number that is a code of a standard scheme.
        ({"AccessionNumber": "113100"},
         item(ViewCodeSequence=[item(CodeValue="113100", CodingSchemeDesignator="DCM", CodeMeaning="x")])),
        # The same as a long code and as a URN; one digit shorter than what counts in a version.
        ({"AccessionNumber": "113100"},
         item(ViewCodeSequence=[item(LongCodeValue="113100", CodingSchemeDesignator="DCM", CodeMeaning="x"),
                                item(URNCodeValue="urn:x:113100", CodingSchemeDesignator="DCM", CodeMeaning="x")])),
        ({"AccessionNumber": "48151"}, item(SoftwareVersions="VB 48151")),
        # A patient named after a manufacturer.
        ({"PatientName": "PHILIPS^ERIKA"}, item(Manufacturer="Philips Medical Systems")),
        # A study number that is a model's.
        ({"StudyID": "8000"}, item(ManufacturerModelName="Definium 8000")),
        # A station named after its model.
        ({"StationName": "LightSpeed16", "ManufacturerModelName": "LightSpeed16"},
         item(ManufacturerModelName="LightSpeed16")),
        # The manufacturer in the institution's place.
        ({"InstitutionName": "SIEMENS"}, item(Manufacturer="SIEMENS")),
        # A department that says what it is.
        ({"InstitutionalDepartmentName": "Radiology"}, item(RescaleType="Radiology")),
        # A study number that is a stack's: too short to tell.
        ({"StudyID": "1"}, item(StackID="1", FrameLabel="1")),
        # A study number that is a count.
        ({"StudyID": "512"}, item(NumberOfFrames="512", SeriesNumber="512")),
        # An identifier within a decimal number and a UID.
        ({"PatientID": "4815162"}, item(SliceLocation="1.4815162", FrameOfReferenceUID="2.25.4815162")),
        # The words of the gateway's own stamp.
        ({"PatientName": "BASIC^PROFILE", "PatientID": "113100"},
         item(DeidentificationMethod=["Profile basic"], DeidentificationMethodCodeSequence=[item(
             CodeValue="113100", CodingSchemeDesignator="DCM",
             CodeMeaning="Basic Application Confidentiality Profile")])),
        # The usual "no date".
        ({"PatientBirthDate": "19000101"}, item(ContentDate="19000101")),
        # A time of day is everybody's.
        ({"StudyTime": "120000"}, item(ContentTime="120000")),
        # Names that are none.
        ({"PatientName": "ANONYMOUS", "OperatorsName": "TECH"}, item(RescaleType="ANONYMOUS TECH")),
        # UIDs of registered classes are nobody's.
        ({"OriginalSpecializedSOPClassUID": CTImageStorage},
         item(OriginalSpecializedSOPClassUID=CTImageStorage)),
        # The file meta information's own names.
        ({"PatientName": "DEIDGW^ERIKA"}, item(RescaleType="x")),
        # Three letters in random bytes.
        ({"PatientName": "LEE^X"}, private("OB", b"\xffLEE\0\xff" * 8)),
    ],
)  # fmt: skip
def test_chance_and_defined_terms_are_not_leaks(
    tmp_path: Path, basic: Program, planted: dict[str, object], output: Dataset
) -> None:
    assert hits(tmp_path, basic, original(**planted), output) == []


@pytest.mark.parametrize(
    ("charset", "name", "raw", "declared"),
    [
        ("ISO_IR 100", "PRUEBÁÑEZ^JOSÉ", "Pruebáñez".encode("latin-1"), "ISO_IR 100"),  # as declared
        ("ISO_IR 100", "PRUEBÁÑEZ^JOSÉ", b"PRUEBANEZ", "ISO_IR 100"),  # accents lost
        ("ISO_IR 100", "PRUEBÁÑEZ^JOSÉ", "pruebáñez".encode(), None),  # UTF-8 that nobody declared
        ("ISO_IR 192", "PRUEBÁÑEZ^JOSÉ", "PRUEBÁÑEZ".encode("latin-1"), "ISO_IR 192"),  # Latin-1 in Unicode's place
        ("ISO_IR 144", "Выдумкина^Вера", "ВЫДУМКИНА".encode("iso8859_5"), None),  # Cyrillic without its declaration
        (JAPANESE, "Yamada^Tarou=見本田^試験子", "見本田".encode("iso2022_jp"), JAPANESE),  # escape sequences
        (JAPANESE, "Yamada^Tarou=見本田^試験子", "見本田".encode("iso2022_jp")[3:-3], None),  # sequences lost
        (JAPANESE, "Yamada^Tarou=見本田^試験子", "見本田".encode("shift_jis"), None),  # another encoding
        ("GB18030", "Wang^XiaoDong=王小東", "王小東".encode("gb18030"), "GB18030"),  # multi-byte without escapes
    ],
)  # fmt: skip
def test_character_sets(
    tmp_path: Path, basic: Program, charset: str | list[str], name: str, raw: bytes, declared: str | list[str] | None
) -> None:
    source = original(SpecificCharacterSet=charset, PatientName=name)
    output = Dataset()
    if declared:
        output.SpecificCharacterSet = declared
    marked = b"#" * (len(raw) + len(raw) % 2)
    output.RescaleType = marked.decode()
    made = output_of(output).replace(marked, raw + b" " * (len(raw) % 2))
    assert hits(tmp_path, basic, source, made) == ["(0028,1054): name"]


@pytest.mark.parametrize("declared", [None, "ISO_IR 100", "ISO_IR 192", "GB18030"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("王^小东", "gb18030"),  # Chinese
        ("李^明", "gb18030"),  # two ideographs
        ("李^明", "utf-8"),
        ("王^小東", "big5"),
        ("김^민수", "euc_kr"),  # Korean
        ("山田^太郎", "shift_jis"),  # Japanese
        ("山田^太郎", "euc_jp"),
        ("Люксембург^Роза", "cp1251"),  # Cyrillic
        ("Люксембург^Роза", "koi8_r"),
        ("Παπαδόπουλος^Γιώργος", "cp1253"),  # Greek
        ("สมชาย^ใจดี", "tis_620"),  # Thai
        ("قباني^نزار", "cp1256"),  # Arabic
        ("Íñiguez^Pía", "cp850"),  # a terminal's Latin
        ("Íñiguez^Pía", "mac_roman"),
        ("Íñiguez^Pía", "utf-8"),
    ],
)  # fmt: skip
def test_a_name_under_a_wrong_character_set(
    tmp_path: Path, basic: Program, name: str, codec: str, declared: str | None
) -> None:
    source, output = original(PatientName="@@@@"), item(RescaleType="@@@@", StackID="1")
    for one in source, output:
        if declared:
            one.SpecificCharacterSet = declared
    raw, joined = name.encode(codec), name.replace("^", "").encode(codec)
    path = write(tmp_path / "original.dcm", source)
    path.write_bytes(_with_value(path.read_bytes(), b"@@@@", raw))
    made = _with_value(output_of(output), b"@@@@", b"CT " + joined + b" THORAX")
    with opened(path) as instance:
        assert scan(basic, instance, [made]) == ["(0028,1054): name"]


def _with_value(encoded: bytes, marker: bytes, value: bytes) -> bytes:
    """An explicit VR data set with another value for the marker, whose length field stands before it."""
    value += b" " * (len(value) % 2)
    place = encoded.index(marker)
    return encoded[: place - 2] + len(value).to_bytes(2, "little") + value + encoded[place + len(marker) :]


@pytest.mark.parametrize(
    ("keyword", "value", "where"),
    [
        ("SeriesNumber", "123456", "(0020,0011)"),  # IS
        ("SliceLocation", "12.456", "(0020,1041)"),  # DS
        ("ContentTime", "123456", "(0008,0033)"),  # TM
        ("FrameOfReferenceUID", "1.2.56", "(0020,0052)"),  # UI
    ],
)
def test_text_where_numbers_belong(tmp_path: Path, basic: Program, keyword: str, value: str, where: str) -> None:
    made = output_of(item(**{keyword: value})).replace(value.encode(), b"Erika ")
    assert hits(tmp_path, basic, original(**NAME), made) == [f"{where}: name"]


def test_an_encoded_document_is_searched(tmp_path: Path, basic: Program) -> None:
    output = item(EncapsulatedDocument=b"%PDF-1.4 (Befund Musterfrau) Tj\0")
    assert hits(tmp_path, basic, original(**NAME), output) == ["(0042,0011): name"]


def test_icons_and_overlays_are_searched_and_pixel_data_is_not(tmp_path: Path, basic: Program) -> None:
    pixels = b"\1\2MUSTERFRAU\3\4" * 4
    icon = item(Rows=1, Columns=1, BitsAllocated=8, PixelData=pixels)
    icon["PixelData"].VR = "OB"
    output = item(Rows=1, Columns=1, BitsAllocated=8, IconImageSequence=[icon], PixelData=pixels)
    output["PixelData"].VR = "OB"
    output.add(DataElement(0x60003000, "OW", pixels))
    assert hits(tmp_path, basic, original(**NAME), output) == ["(0088,0200)[0]/(7FE0,0010): name", "(6000,3000): name"]


def test_public_elements_that_travel_as_unknown(tmp_path: Path, basic: Program) -> None:
    output = Dataset()
    output.add(DataElement(0x00180015, "UN", b"PANCREAS"))  # a defined term, whatever its VR
    output.add(DataElement(0x00281054, "UN", b"PANCREAS"))
    assert hits(tmp_path, basic, original(PatientName="PANCREAS^X"), output) == ["(0028,1054): name"]


def test_file_meta_information_is_searched(tmp_path: Path, basic: Program) -> None:
    with opened(write(tmp_path / "original.dcm", original(**NAME))) as instance:
        assert scan(basic, instance, [bytes(instance.buffer[:])])[0] == "(0002,0003): uid"


def test_values_that_the_profile_keeps_are_not_searched(tmp_path: Path, basic: Program) -> None:
    keep = basic.unlisted
    actions = {**basic.actions, 0x00080080: keep, 0x00080018: keep}
    program = type(basic)(basic.profile, basic.version, basic.digest, actions, codes=basic.codes)
    source = original(InstitutionName="Klinikum Faketown", ResponsibleOrganization="KLINIKUM FAKETOWN", **NAME)
    output = item(InstitutionName="Klinikum Faketown", SOPInstanceUID=SOP_INSTANCE, RescaleType="Musterfrau")
    assert hits(tmp_path, program, source, output) == ["(0028,1054): name"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (frozenset(), ["(0008,0022): date"]),  # an original date in another attribute
        (frozenset({"20240229"}), []),  # one that the shift has made of another date
        (frozenset({"20240228"}), ["(0008,0022): date"]),  # other dates excuse nothing
    ],
)
def test_shifted_dates_meet_each_other(
    tmp_path: Path, basic: Program, written: frozenset[str], expected: list[str]
) -> None:
    source = original(StudyDate="20240229", PatientBirthDate="19610808")
    with opened(write(tmp_path / "original.dcm", source)) as instance:
        assert scan(basic, instance, [output_of(item(AcquisitionDate="20240229"))], dates=written) == expected
        birth = scan(basic, instance, [output_of(item(AcquisitionDate="19610808"))], dates=written)
        assert birth == ["(0008,0022): birth-date"]


def test_long_values_are_searched_in_the_received_file(tmp_path: Path, basic: Program) -> None:
    long = bytes(3 << 20) + b"xMUSTERFRAUx" + bytes(1 << 10)
    source = original(**NAME)
    source.add(DataElement(0x54001010, "OB", long))
    source.add(DataElement(0x7FE00010, "OB", long))
    with opened(write(tmp_path / "original.dcm", source)) as instance:
        waveform, pixels = instance.elements[-2:]
        header = output_of(item(RescaleType="x"))
        for start, stop, expected in (
            (waveform[2], pixels[4], ["(5400,1010): name"]),  # headers and values in one range
            (waveform[3], pixels[4], ["(5400,1010): name"]),  # the first header rewritten
            (pixels[2], pixels[4], []),  # pixel data alone
            (pixels[3], pixels[4], []),  # pixel data behind a rewritten header
        ):
            inline = bytes(instance.buffer[min(waveform[2] if start <= waveform[3] else pixels[2], start) : start])
            segments: list[Segment] = [header + inline, FileRange(instance.path, start, stop - start)]
            assert scan(basic, instance, segments) == expected


@pytest.mark.parametrize("begin", [(1 << 20) - 11, (1 << 20) - 5, 1 << 20, (1 << 20) - 4096, (2 << 20) - 4096 - 5])
def test_a_name_across_two_pieces_of_a_value_is_found(tmp_path: Path, basic: Program, begin: int) -> None:
    """A long value is read in pieces of 1 MiB, each of which begins 4 KiB before the end of the one before it."""
    value = bytes(begin) + b"MUSTERFRAU" + bytes((2 << 20) - begin)
    assert set(hits(tmp_path, basic, original(**NAME), odd(0x54001010, "OB", value))) == {"(5400,1010): name"}


def test_a_value_behind_another_header_is_refused(tmp_path: Path, basic: Program) -> None:
    source = original(**NAME)
    source.add(DataElement(0x7FE00010, "OB", bytes(1 << 17)))
    with opened(write(tmp_path / "original.dcm", source)) as instance:
        _, _, _, value, end, _ = instance.elements[-1]
        other = encoded(odd(0x54001010, "OB", bytes(end - value)))[:12]
        rest = FileRange(instance.path, value, end - value)
        with pytest.raises(LeakSuspected):
            scan(basic, instance, [output_of(item(RescaleType="x")) + other, rest])


def test_at_most_twenty_hits(tmp_path: Path, basic: Program) -> None:
    output = item(PerFrameFunctionalGroupsSequence=Sequence(item(FrameLabel="Musterfrau") for _ in range(50)))
    assert len(hits(tmp_path, basic, original(**NAME), output)) == 20


def test_more_values_than_any_instance_has_are_refused(tmp_path: Path) -> None:
    source = original(OtherPatientIDs=[f"ID-{number}" for number in range(9_000)])
    source.OtherPatientIDsSequence = [item(OtherPatientIDs=[f"{n}-{m}" for m in range(9_000)]) for n in range(2)]
    with (
        opened(write(tmp_path / "original.dcm", source, syntax=ImplicitVRLittleEndian)) as instance,
        pytest.raises(LimitExceeded),
    ):
        harvest(instance)


def test_times_of_one_date_are_one_value(tmp_path: Path) -> None:
    times = [f"20240229{number:06}.5" for number in range(100, 159)]
    frames = [item(FrameContentSequence=[item(FrameAcquisitionDateTime=one)]) for one in times]
    source = original(PerFrameFunctionalGroupsSequence=frames)
    with opened(write(tmp_path / "original.dcm", source)) as instance:
        assert {finding.text for finding in harvest(instance).findings} == {"20240229"}


def test_a_search_that_would_take_minutes_is_refused(
    tmp_path: Path, basic: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.verify.scan._MOST_WORK", 100)
    with pytest.raises(LimitExceeded):
        hits(tmp_path, basic, original(**NAME), item(RescaleType="x" * 60))
