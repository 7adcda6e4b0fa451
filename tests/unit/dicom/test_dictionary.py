"""gateway.dicom.dictionary: the standard's elements, with those newer than pydicom's dictionary."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest
from pydicom._dicom_dict import DicomDictionary

from gateway.dicom.dictionary import entry, is_known, keyword_of, keywords, repeating_of, tag_of, vr_of
from gateway.dicom.vr import VALUE_REPRESENTATIONS


def newer() -> list[dict[str, str]]:
    text = (files("gateway.dicom") / "data" / "newer-elements.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_newer_elements_are_well_formed() -> None:
    rows = newer()
    tags = [row["tag"] for row in rows]
    assert tags == sorted(set(tags))
    for row in rows:
        assert row["vr"].encode() in VALUE_REPRESENTATIONS, row
        assert int(row["tag"][:4], 16) % 2 == 0, row
        assert row["keyword"] == "".join(word[0].upper() + word[1:] for word in row["name"].split()), row
        assert (row["vr"] == "SQ") == row["name"].endswith("Sequence"), row
        assert row["name"].endswith("DateTime") == (row["vr"] == "DT"), row


def test_newer_elements_do_not_repeat_pydicom() -> None:
    # When pydicom learns them, they go from the file.
    assert [row["tag"] for row in newer() if int(row["tag"], 16) in DicomDictionary] == []


@pytest.mark.parametrize(
    ("tag", "vr", "keyword"),
    [
        (0x00100010, b"PN", "PatientName"),
        (0x00100012, b"LT", "NameToUse"),  # newer than pydicom's dictionary
        (0x00081301, b"SQ", "PrincipalDiagnosisCodeSequence"),
        (0x3004007F, b"LO", "DoseCalculationModelName"),
        (0x00280106, b"US", "SmallestImagePixelValue"),  # US or SS
        (0x7FE00010, b"OW", "PixelData"),  # OB or OW
        (0x60003000, b"OW", "OverlayData"),  # repeating groups
        (0x601E0010, b"US", "OverlayRows"),
        (0x50020005, b"US", "CurveDimensions"),
        (0x60013000, b"UN", ""),  # odd groups are private, whatever pattern they fit
        (0x00091001, b"UN", ""),
        (0x00104444, b"UN", ""),
    ],
)
def test_entries(tag: int, vr: bytes, keyword: str) -> None:
    assert vr_of(tag) == vr
    assert keyword_of(tag) == keyword
    assert is_known(tag) == bool(keyword)


def test_keywords_lead_back_to_their_tags() -> None:
    for keyword in keywords():
        tag = tag_of(keyword)
        assert tag is not None
        found = entry(tag)
        assert found is not None
        assert found.keyword == keyword


def test_repeating_groups_by_keyword() -> None:
    assert repeating_of("OverlayData") == (0xFF00FFFF, 0x60003000)
    assert repeating_of("PatientName") is None
    assert tag_of("OverlayData") is None
