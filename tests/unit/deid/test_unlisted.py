"""Attributes that Table E.1-1 does not list: text is cleaned, identifiers go, technical values stay only as such."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.dicom.dictionary import entry, tag_of
from gateway.errors import WrongValue
from gateway.profile import Program, unlisted
from tests.unit.deid.profiles import dataset, item, program, treat

OTHER = "Marisol Etxeberria"
PROFILES = (
    "basic",
    "basic, retain-uids, retain-safe-private, clean-descriptors, clean-structured-content, clean-graphics",
)


@pytest.fixture(scope="module", params=PROFILES)
def using(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "", use=request.param)


def nested(found: Dataset, depth: int) -> Dataset:
    for _ in range(depth):
        found = item(ReferencedImageBoxSequence=[found])
    return found


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_another_persons_name_stays_in_none_of_them(tmp_path: Path, using: Program, syntax: str, depth: int) -> None:
    """All of them at once, whatever the VR, at every depth."""
    planted = Dataset()
    for tag, group in unlisted.rows().items():
        row = entry(tag)
        assert row is not None
        if unlisted.groups()[group].kind in ("technical", "text", "identifier"):
            short = "http://etxeberria.es/marisol" if row.vr == "UR" else "ETXEBERRIA"
            planted.add_new(tag, row.vr, short if row.vr in ("AE", "CS", "SH", "UR") else OTHER)
    source = dataset(SeriesNumber=1)
    if depth:
        source.ViewCodeSequence = [nested(planted, depth - 1)]
    else:
        source.update(planted)
    content = treat(tmp_path, using, source, syntax=syntax).content
    assert b"etxeberria" not in content.lower()
    assert b"marisol" not in content.lower()


@pytest.mark.parametrize(
    ("keyword", "value", "left"),
    [
        # text is cleaned, as far as it is known to identify nobody
        ("ContentDescription", "Chest Etxeberria", "Chest"),
        ("RTImageDescription", "pelvis, Dr. Etxeberria 12/02/2024", "pelvis"),
        ("DoseComment", OTHER, None),
        # identifiers go, as their listed twins do
        ("DeviceID", "HLAFE-5529104", None),
        ("RadiationMachineName", "LINAC 3", None),
        ("HL7InstanceIdentifier", "2.16.840^4711", None),
        ("StorageMediaFileSetID", "DISK 7", None),
        # technical values stay
        ("SequenceName", "*tfl3d1_16ns", "*tfl3d1_16ns"),
        ("ConvolutionKernel", ["B70f", "3"], ["B70f", "3"]),
        ("ScanOptions", ["FS", "SFS"], ["FS", "SFS"]),
        ("BodyPartExamined", "CHEST", "CHEST"),
        ("Radiopharmaceutical", "FDG", "FDG"),
        # and those that are none go, alone where there are several
        ("SequenceName", "marisol_2", None),
        ("ScanOptions", ["FS", "ETXEBERRIA", "SFS"], ["FS", "", "SFS"]),
        ("ReceiveCoilName", "Body 4482910", None),
        ("ProcessingFunction", "12/02/1958", None),
        # of VR CS in capital letters, or not at all
        ("BodyPartExamined", "Chest", "CHEST"),
        ("BodyPartExamined", "CHEST-ABD", None),
    ],
)
def test_values(tmp_path: Path, using: Program, keyword: str, value: object, left: object) -> None:
    found = treat(tmp_path, using, dataset(**{keyword: value})).dataset
    kept = found.get(keyword)
    assert (list(kept) if isinstance(left, list) else kept) == left


@pytest.mark.parametrize(
    ("keyword", "value", "left"),
    [
        # what a vocabulary knows, in several languages
        ("EthnicGroup", "Caucasian", "Caucasian"),
        ("EthnicGroup", "Etnia gitana", "Etnia gitana"),
        ("EthnicGroup", "Afroamericana", None),
        ("PatientSex", "F", "F"),
        ("PatientSex", "MUJER", "MUJER"),
        ("PatientSexNeutered", "ALTERED", "ALTERED"),
        ("SmokingStatus", "UNKNOWN", "UNKNOWN"),
        # somebody's name, alone and beside it; whoever it is
        ("EthnicGroup", "Etxeberria", None),
        ("EthnicGroup", "Blanca Gomez", None),
        ("PatientSex", "MARISOL", ""),
        ("PatientSexNeutered", "ETXEBERRIA", ""),
        ("SmokingStatus", "ETXEBERRIA", None),
        # numbers and days
        ("EthnicGroup", "55291047", None),
        ("SmokingStatus", "19580212", None),
    ],
)
def test_characteristics_that_are_told_in_few_words(tmp_path: Path, keyword: str, value: str, left: str | None) -> None:
    """The option keeps what stands there, as the table says; a rule may ask for what a vocabulary knows."""
    source = dataset(**{keyword: value})
    using = program(tmp_path, "", use="basic, retain-patient-characteristics")
    assert treat(tmp_path, using, source).dataset.get(keyword) == value
    rules = f"attributes:\n  - keep: [{keyword}]\n    only: technical"
    using = program(tmp_path, rules, use="basic, retain-patient-characteristics")
    assert treat(tmp_path, using, source).dataset.get(keyword) == left


def test_a_profile_keeps_what_it_says_why(tmp_path: Path) -> None:
    rules = "attributes:\n  - {keep: [DeviceID, SequenceName], because: the study compares machines}"
    found = treat(tmp_path, program(tmp_path, rules), dataset(DeviceID="A-4711", SequenceName="etxe_3")).dataset
    assert (found.DeviceID, found.SequenceName) == ("A-4711", "etxe_3")


def test_words_of_the_site_stay(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("zapatec\n", encoding="utf-8")
    source = dataset(ManufacturerModelName="Zapatec 3T")
    assert not treat(tmp_path, program(tmp_path, ""), source).dataset.get("ManufacturerModelName")
    using = program(tmp_path, "vocabulary: [words.txt]")
    assert treat(tmp_path, using, source).dataset.ManufacturerModelName == "Zapatec 3T"


@pytest.mark.parametrize("tag", [0x00203100, 0x00280402, 0x00280808, 0x10000005, 0x10100004, 0x7F000010, 0x7F020020,
                                 0x50003000, 0x50043000, 0x60243000, 0x60FE0022, 0x60203000])  # fmt: skip
def test_nothing_stays_of_retired_and_impossible_groups(tmp_path: Path, using: Program, tag: int) -> None:
    source = dataset(SeriesNumber=1)
    source.add(
        DataElement(tag, "OW" if tag & 0xFFFF == 0x3000 else "LO", b"Marisol " if tag & 0xFFFF == 0x3000 else "x")
    )
    assert tag not in treat(tmp_path, using, source).dataset


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        # not required by the IOD: removed
        ("SliceLocation", "LO", OTHER),
        ("SpacingBetweenSlices", "UT", OTHER),
        ("ExposureTime", "LT", OTHER),
        ("PatientWeight", "ST", OTHER),
        ("SmallestImagePixelValue", "LO", "ETXEBERRIA"),
        ("ReconstructionDiameter", "SQ", [item(ContentDescription=OTHER)]),
    ],
)
def test_a_value_of_another_kind_goes(tmp_path: Path, using: Program, keyword: str, vr: str, value: object) -> None:
    source = dataset(SeriesNumber=1)
    tag = tag_of(keyword)
    assert tag is not None
    source[tag] = DataElement(tag, vr, value)
    assert keyword not in treat(tmp_path, using, source).dataset


def test_or_holds_where_the_instance_needs_one(tmp_path: Path, using: Program) -> None:
    source = dataset(SeriesNumber=1)
    source["PixelSpacing"] = DataElement(0x00280030, "LO", OTHER)
    with pytest.raises(WrongValue, match=r"\(0028,0030\) holds a value that is not what"):
        treat(tmp_path, using, source)


def test_the_same_of_instances_that_come_again(tmp_path: Path, using: Program) -> None:
    """What is remembered of one instance says nothing of a value that it did not have."""
    for number in range(40):
        source = dataset(SeriesNumber=number, SequenceName="*tfl3d1", KVP="120", InstanceNumber=str(number))
        for tag in range(0x00280010, 0x00280013):
            source.add_new(tag, "US", 1)
        bad = number % 5 == 4
        if bad:
            source["SpacingBetweenSlices"] = DataElement(0x00180088, "LO", OTHER)
            source.SequenceName = "etxeberria"
            source.ReferencedImageBoxSequence = [item(FilterType="FLAT"), item(FilterType="MARISOL")]
        else:
            source.SpacingBetweenSlices = "1.5"
            source.ReferencedImageBoxSequence = [item(FilterType="FLAT"), item(FilterType="FLAT")]
        found = treat(tmp_path, using, source).dataset
        assert found.get("SequenceName") == (None if bad else "*tfl3d1")
        assert ("SpacingBetweenSlices" in found) is not bad
        assert [one.get("FilterType") for one in found.ReferencedImageBoxSequence] == ["FLAT", None if bad else "FLAT"]
