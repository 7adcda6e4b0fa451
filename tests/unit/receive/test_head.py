"""The glance at a data set's beginning."""

import io
import struct
import zlib

import pydicom
import pytest

from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import InstanceUnusable
from gateway.receive.head import HEAD_LENGTH, check_head
from tests.fixtures.corpus import corpus_files

CT, MR, UID = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "2.25.4711"
IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
)  # fmt: skip


def encoded(syntax: str = EXPLICIT, **elements: object) -> bytes:
    dataset = pydicom.Dataset()
    for keyword, value in ({"SOPClassUID": CT, "SOPInstanceUID": UID, "PatientID": "1"} | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    plain = EXPLICIT if syntax == DEFLATED else syntax
    pydicom.dcmwrite(
        buffer, dataset, implicit_vr=plain == IMPLICIT, little_endian=plain != BIG, enforce_file_format=False
    )
    if syntax == DEFLATED:
        return raw_deflate(buffer.getvalue())
    return buffer.getvalue()


def raw_deflate(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(content) + stream.flush()


def check(head: bytes, syntax: str = EXPLICIT, *, whole: bool = True, sop_class: str = CT, instance: str = UID) -> None:
    check_head(
        head,
        whole=whole,
        syntax=transfer_syntax(syntax),
        sop_class_uid=sop_class.encode(),
        sop_instance_uid=instance.encode(),
    )


LANGUAGE = pydicom.Sequence([pydicom.Dataset()])
LANGUAGE[0].CodeValue = "es"
UNDEFINED = b"\x08\0\x06\0SQ\0\0\xff\xff\xff\xff"


IMPLICIT_BIG = b"".join(
    struct.pack(">HHI", 0x0008, number, len(value)) + value
    for number, value in ((0x0016, CT.encode() + b"\0"), (0x0018, UID.encode() + b"\0"))
)


@pytest.mark.parametrize(
    ("head", "syntax", "whole"),
    [
        (encoded(), EXPLICIT, True),
        (encoded(IMPLICIT), IMPLICIT, True),
        (encoded(BIG), BIG, True),
        (encoded(DEFLATED), DEFLATED, True),
        (encoded(DEFLATED)[:-5], DEFLATED, False),  # the rest has not been looked at
        (encoded(SpecificCharacterSet="ISO_IR 192", ImageType=["ORIGINAL"]), EXPLICIT, True),
        (b"\x08\0\0\0UL\4\0\x40\0\0\0" + encoded(), EXPLICIT, True),  # group length
        (encoded(LanguageCodeSequence=LANGUAGE), EXPLICIT, True),
        (encoded(IMPLICIT, LanguageCodeSequence=LANGUAGE), IMPLICIT, True),
        (UNDEFINED + encoded(), EXPLICIT, True),  # an undefined length: what follows is not looked for
        (encoded()[:30], EXPLICIT, False),  # too little to tell
        (encoded(PatientName="X" * 60)[:HEAD_LENGTH], EXPLICIT, False),
        (encoded(BIG), "1.2.3.4.5", True),  # a private transfer syntax: anything
        (encoded(), "1.2.840.10008.1.2.4.90", True),  # encapsulated syntaxes are explicit
        (encoded(IMPLICIT), EXPLICIT, True),  # mislabelled, but legible
        (encoded(IMPLICIT), "1.2.840.10008.1.2.4.50", True),
        (encoded(EXPLICIT), IMPLICIT, False),
    ],
)  # fmt: skip
def test_good_heads(head: bytes, syntax: str, whole: bool) -> None:
    check(head, syntax, whole=whole)


@pytest.mark.parametrize(
    ("head", "syntax", "whole", "status"),
    [
        (b"", EXPLICIT, True, 0xC000),  # zero length
        (b"", "1.2.3.4.5", True, 0xC000),
        (b"%PDF-1.4 and more of that", EXPLICIT, True, 0xC000),  # not DICOM
        (b"\0" * 4096, EXPLICIT, False, 0xC000),
        (encoded(BIG), EXPLICIT, True, 0xC000),  # mislabelled
        (encoded(BIG), IMPLICIT, True, 0xC000),
        (encoded(IMPLICIT), BIG, True, 0xC000),
        (encoded(EXPLICIT), BIG, True, 0xC000),
        (encoded(EXPLICIT), DEFLATED, True, 0xC000),
        (zlib.compress(encoded()), DEFLATED, True, 0xC000),  # RFC 1950 instead of 1951
        (encoded(SOPClassUID=None, SOPInstanceUID=None), EXPLICIT, True, 0xC000),  # begins with the patient
        (encoded()[:30], EXPLICIT, True, 0xC000),  # truncated
        (b"DICM" + encoded(), EXPLICIT, True, 0xC000),
        (encoded(SOPClassUID=MR), EXPLICIT, True, 0xA900),
        (encoded(SOPInstanceUID="2.25.4712"), EXPLICIT, True, 0xA900),
        (encoded(BIG, SOPInstanceUID="2.25.4712"), BIG, True, 0xA900),
        # behind a sequence whose length is known
        (encoded(LanguageCodeSequence=LANGUAGE, SOPInstanceUID="2.25.4712"), EXPLICIT, True, 0xA900),
        (IMPLICIT_BIG, BIG, True, 0xC000),  # there is no implicit VR in big endian
        (encoded(IMPLICIT, SOPInstanceUID="2.25.4712"), IMPLICIT, True, 0xA900),
        (encoded(IMPLICIT, SOPInstanceUID="2.25.4712"), EXPLICIT, True, 0xC000),  # not the instance either way
        (encoded(DEFLATED, SOPInstanceUID="2.25.4712"), DEFLATED, True, 0xA900),
        (encoded(SOPInstanceUID=None), EXPLICIT, True, 0xA900),  # no SOP Instance UID
        (encoded(SOPClassUID=None, StudyDate="20200101"), EXPLICIT, True, 0xA900),
        (encoded(SOPInstanceUID=None, PatientID=None), EXPLICIT, True, 0xA900),  # ends before it
    ],
)
def test_p7_bad_heads(head: bytes, syntax: str, whole: bool, status: int) -> None:
    with pytest.raises(InstanceUnusable) as caught:
        check(head, syntax, whole=whole)
    assert caught.value.facts["status"] == status
    assert "4712" not in str(caught.value)


def test_p7_no_prefix_of_anything_raises_but_as_unusable() -> None:
    samples = [encoded(), encoded(IMPLICIT), encoded(BIG), encoded(DEFLATED), UNDEFINED, bytes(range(256))]
    for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED):
        for sample in samples:
            for length in range(len(sample)):
                for whole in (True, False):
                    try:
                        check(sample[:length], syntax, whole=whole)
                    except InstanceUnusable as error:
                        assert error.facts["status"] in (0xA900, 0xC000)  # noqa: PT017 - either may come


def test_every_readable_file_of_pydicom_passes() -> None:
    checked = 0
    for name in corpus_files():
        content = name.read_bytes()
        try:
            dataset = pydicom.dcmread(name)
            meta = dataset.file_meta
            instance, sop_class, syntax = dataset.SOPInstanceUID, dataset.SOPClassUID, meta.TransferSyntaxUID
            start = 144 + meta.FileMetaInformationGroupLength
        except Exception:  # noqa: BLE001 - the files that are broken on purpose
            continue
        if dataset.original_encoding[0] != transfer_syntax(syntax).implicit:  # type: ignore[union-attr]
            continue
        head = content[start : start + HEAD_LENGTH]
        check(head, syntax, whole=start + HEAD_LENGTH >= len(content), sop_class=sop_class, instance=instance)
        checked += 1
    assert checked > 60
