"""Text in every character set, declared right, wrong or not at all: nothing stands still, and no name stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from gateway.deid import Deidentifier, ProjectKey
from gateway.deid.misread import masked
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.dicom.segments import copy_to
from gateway.profile import Program
from gateway.verify import Verifier
from tests.unit.deid.cleaning import CT, program

KEY = ProjectKey(b"a secret for character set tests")
VRS = {"SpecificCharacterSet": b"CS", "PatientName": b"PN", "StudyDescription": b"LO", "SeriesDescription": b"LO",
       "InstitutionName": b"LO", "ImageComments": b"LT", "ProcedureCodeSequence": b"SQ"}  # fmt: skip


def element(keyword: str, value: bytes) -> bytes:
    """One element in explicit VR little endian, its bytes as given."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = VRS[keyword]
    value += b" " * (len(value) % 2)
    length = b"\0\0" + len(value).to_bytes(4, "little") if vr == b"SQ" else len(value).to_bytes(2, "little")
    return (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr + length + value


def left(path: Path, profile: Program, values: dict[str, bytes]) -> dict[str, bytes]:
    """The values of the verified output, as bytes without padding; absent ones are not there."""
    base = Dataset()
    base.SOPClassUID, base.SOPInstanceUID = CT, "1.2.276.0.7230010.3.1.4.7"
    base.StudyInstanceUID, base.SeriesInstanceUID = "1.2.276.0.7230010.3.1.2.7", "1.2.276.0.7230010.3.1.3.7"
    base.PatientID = "HC-4471823"
    encoded = dict(pieces(base))
    encoded |= {int(tag_for_keyword(keyword) or 0): element(keyword, value) for keyword, value in values.items()}
    file = path / "original.dcm"
    file.write_bytes(b"".join(encoded[tag] for tag in sorted(encoded)))
    written = path / "output.dcm"
    with open_instance(file, work=path, limits=Limits(), max_reencode_bytes=1 << 20) as opened:
        found = Deidentifier(profile, KEY).apply(opened)
        Verifier(profile).check(opened, found.segments)
        with written.open("wb") as output:
            copy_to(found.segments, output)
    keywords = {tag_for_keyword(keyword): keyword for keyword in VRS}
    with open_instance(written, work=path, limits=Limits(), max_reencode_bytes=1 << 20) as opened:
        return {
            keywords[tag]: bytes(opened.buffer[start:end]).rstrip(b" \0")
            for tag, _vr, _start, start, end, _items in opened.elements
            if tag in keywords
        }


def pieces(dataset: Dataset) -> Iterator[tuple[int, bytes]]:
    for one in dataset:
        alone, buffer = Dataset(), DicomBytesIO()
        alone.add(one)
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, alone)
        yield int(one.tag), buffer.getvalue()


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "clean-descriptors")


#: Declared -> what the output declares; None where nothing is.
DECLARED: list[tuple[bytes | None, bytes | None]] = [
    (None, None),
    (b"", b""),
    (b"ISO_IR 6", b"ISO_IR 6"),
    (b"ISO_IR 100", b"ISO_IR 100"),
    (b"ISO_IR 192", b"ISO_IR 192"),  # and the bytes are Latin-1
    (b"\\ISO 2022 IR 100", b"\\ISO 2022 IR 100"),
    (b"ISO 2022 IR 6\\ISO 2022 IR 100", b"ISO 2022 IR 6\\ISO 2022 IR 100"),
    # misspelt: spelled right
    (b"ISO_IR_100", b"ISO_IR 100"),
    (b"ISO-IR 100", b"ISO_IR 100"),
    (b"ISO IR 100", b"ISO_IR 100"),
    (b"iso_ir 100", b"ISO_IR 100"),
    (b"ISO_2022_IR_6", b"ISO 2022 IR 6"),
    (b"ISO 8859-1", b"ISO_IR 100"),
    (b"iso 2022 ir 6\\iso 2022 ir 100", b"ISO 2022 IR 6\\ISO 2022 IR 100"),
    # nobody knows what it means, and it may be anything that somebody typed
    (b"FOO", None),
    (b"MOCKBURY", None),
    (b"ISO_IR 100\\MOCKBURY", b"ISO_IR 100"),
]


@pytest.mark.parametrize(
    ("received", "stays"),
    [
        (b"T\xd3RAX", b"T\xd3RAX"),  # whole
        (b"T\xd3RAX PA GARCIA", b"T\xd3RAX PA"),  # a part
        (b"T\xd3RAX PA GARC\xcdA N\xda\xd1EZ", b"T\xd3RAX PA"),
        (b"TORAX PA GARCIA", b"TORAX PA"),
        (b"RI\xd1\xd3N DCHO 20240315", b"RI\xd1\xd3N DCHO"),
    ],
)
@pytest.mark.parametrize(("declared", "declares"), DECLARED)
def test_what_stays_keeps_its_bytes(
    declared: bytes | None, declares: bytes | None, received: bytes, stays: bytes, descriptors: Program, tmp_path: Path
) -> None:
    values = {"PatientName": b"GARC\xcdA N\xda\xd1EZ^ANA", "StudyDescription": received}
    found = left(tmp_path, descriptors, values if declared is None else {**values, "SpecificCharacterSet": declared})
    assert found["StudyDescription"] == stays
    assert found.get("SpecificCharacterSet") == declares


#: Declared, what stays in it, the profile's text -> declared by the output, and the text as it writes it.
WRITTEN = [
    # nothing but ASCII declared: the set that most people have of those that can say it, otherwise UTF-8
    (None, b"", "València", b"ISO_IR 100", b"Val\xe8ncia"),
    (b"", b"", "València", b"ISO_IR 100", b"Val\xe8ncia"),
    (b"ISO_IR 6", b"", "València", b"ISO_IR 100", b"Val\xe8ncia"),
    (None, b"T\xd3RAX", "València", b"ISO_IR 100", b"Val\xe8ncia"),
    (b"FOO", b"T\xd3RAX", "València", b"ISO_IR 100", b"Val\xe8ncia"),
    (None, b"", "Москва", b"ISO_IR 144", "Москва".encode("iso8859_5")),
    (None, b"", "Kraków", b"ISO_IR 100", b"Krak\xf3w"),
    (None, b"", "Łódź", b"ISO_IR 101", "Łódź".encode("iso8859_2")),
    (None, b"", "北京", b"ISO_IR 192", "北京".encode()),
    # the declared set has it
    (b"ISO_IR 100", b"T\xd3RAX", "València", b"ISO_IR 100", b"Val\xe8ncia"),
    (b"iso_ir 100", b"T\xd3RAX", "València", b"ISO_IR 100", b"Val\xe8ncia"),
    (b"ISO_IR 192", "TÓRAX".encode(), "北京", b"ISO_IR 192", "北京".encode()),
    (b"GB18030", b"", "València", b"GB18030", "València".encode("gb18030")),
    # it has not: further sets behind it, under which what stays means what it meant
    (b"ISO_IR 144", b"", "València", b"ISO 2022 IR 144\\ISO 2022 IR 100", b"\x1b-AVal\xe8ncia"),
    (b"ISO_IR 100", b"T\xd3RAX", "Łódź", b"ISO 2022 IR 100\\ISO 2022 IR 101", b"\x1b-B\xa3\xf3d\xbc"),
    (b"\\ISO 2022 IR 87", b"", "València", b"\\ISO 2022 IR 87\\ISO 2022 IR 100", None),
    (b"GBK", b"", "VALÈNCIA", b"GB18030", "VALÈNCIA".encode("gb18030")),
]


@pytest.mark.parametrize(("declared", "stays", "text", "declares", "written"), WRITTEN)
def test_text_of_the_profile_is_declared(
    declared: bytes | None, stays: bytes, text: str, declares: bytes, written: bytes | None, tmp_path: Path
) -> None:
    using = program(
        tmp_path,
        "clean-descriptors",
        extra=f'attributes: [{{replace: {{InstitutionName: "{text}"}}, because: ours}}]\n',
    )
    values = {"PatientName": b"GARCIA^ANA", "InstitutionName": b"Hospital", "StudyDescription": stays + b" CT GARCIA"}
    found = left(tmp_path, using, values if declared is None else {**values, "SpecificCharacterSet": declared})
    assert found["SpecificCharacterSet"] == declares
    assert found["StudyDescription"] == (stays + b" CT").strip()
    if written is not None:
        assert found["InstitutionName"] == written
    read = Dataset()
    read.SpecificCharacterSet = declares.decode().split("\\")
    read.add_new(0x00080080, "LO", found["InstitutionName"])
    read.decode()
    assert read.InstitutionName == text


def test_text_of_the_profile_in_an_item_with_a_set_of_its_own(tmp_path: Path) -> None:
    using = program(tmp_path, extra='attributes: [{replace: {InstitutionName: "València"}, because: ours}]\n')
    inner = element("SpecificCharacterSet", b"ISO_IR 144") + element("InstitutionName", b"\xbb\xee")
    items = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    values = {"PatientName": b"GARCIA^ANA", "SpecificCharacterSet": b"ISO_IR 192", "ProcedureCodeSequence": items}
    found = left(tmp_path, using, values)
    assert found["SpecificCharacterSet"] == b"ISO_IR 192"
    assert b"ISO 2022 IR 144\\ISO 2022 IR 100" in found["ProcedureCodeSequence"]
    assert b"\x1b-AVal\xe8ncia" in found["ProcedureCodeSequence"]


#: Codec of the bytes -> names; what is declared is another.
NAMES = {
    "gbk": ("王 小东", "李 明", "陈 静", "黄 建国", "马 超", "朱 军", "胡 磊", "洋 延"),
    "euc_kr": ("김 귀순", "이 민수", "박 지훈"),
    "shift_jis": ("山田 太郎", "鈴木 一郎", "高橋 美咲"),
    "utf-8": ("李 明", "김 귀순", "Люксембург Роза", "NÚÑEZ MARÍA"),
    "cp1251": ("Люксембург Роза", "Иванов Иван"),
    "cp1253": ("Παπαδόπουλος Γιώργος",),
    "cp874": ("สมชาย ใจดี",),
    "cp1256": ("قباني نزار",),
    "big5": ("陳 美玲", "王 大明"),
}
CASES = [
    pytest.param(codec, name, declared, id=f"{codec}-{number}-{(declared or b'none').decode()}")
    for codec, names in NAMES.items()
    for number, name in enumerate(names)
    for declared in (None, b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 6")
]


@pytest.mark.parametrize(("codec", "name", "declared"), CASES)
def test_no_part_of_a_name_stays_under_a_wrong_set(
    codec: str, name: str, declared: bytes | None, descriptors: Program, tmp_path: Path
) -> None:
    """Of the patient, and of somebody whom no header names."""
    family, given = (part.encode(codec) for part in name.split(" "))
    for patient in (family + b"^" + given, b"GARCIA^ANA"):
        values = {
            "PatientName": patient,
            "StudyDescription": b"CT " + family + given + b" THORAX",
            "SeriesDescription": family + b" " + given,
            "ImageComments": b"CHEST " + family + b"-" + given + b" LUNG " + given,
        }
        found = left(
            tmp_path, descriptors, values if declared is None else {**values, "SpecificCharacterSet": declared}
        )
        assert found["StudyDescription"] == b"CT THORAX"
        assert "SeriesDescription" not in found
        assert found["ImageComments"] == b"CHEST LUNG"


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        # what people write in nine languages
        ("TÓRAX RIÑÓN coração größe crânio œsophage über", ""),
        ("4º L5ª 37° mm² 100 µm 512×512 5±2 Nº paral·lel", ""),
        ("pé mão Fuß knä pré-contraste «TÓRAX» “tórax” l’épaule", ""),
        ("胸部 CT Łódź", ""),
        # read in a wrong encoding, alone and with what it touches
        ("ÀîÃ÷", "ÀîÃ÷"),
        ("CT_ÀîÃ÷-THORAX", "ÀîÃ÷"),
        ("Âí ÑÓ °× ½¨¹ú", "ÂíÑÓ°×½¨¹ú"),
        ("\x98Y \x88ê\x98Y", "\x98Y\x88ê\x98Y"),
        ("T\ufffdRAX TÃ³rax", "T\ufffdRAXTÃ³rax"),
        # letters that would be others without their form, in words too short to be told
        ("Ⓛ ＣＴ ＴＨＯＲＡＸ", "ⓁＣＴ"),
    ],
)
def test_misread_words(text: str, gone: str) -> None:
    found = masked(text)
    assert len(found) == len(text)
    assert "".join(old for old, new in zip(text, found, strict=True) if old != new) == gone
