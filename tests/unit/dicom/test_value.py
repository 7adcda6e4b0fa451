"""gateway.dicom.value: what conditions see of an instance."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.dicom.value import Value, values_by_keyword
from gateway.errors import RuleFailed


def dataset() -> Dataset:
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 100"
    found.SOPClassUID = CTImageStorage
    found.SOPInstanceUID = "1.2.3"
    found.Modality = "CT"
    found.Rows = 512
    found.ImageType = ["ORIGINAL", "PRIMARY"]
    found.SliceThickness = "2.5"
    found.StudyDescription = ""
    found.ReferencedStudySequence = []
    first, second, third = Dataset(), Dataset(), Dataset()
    first.ScheduledProcedureStepID = "A1"
    first.PatientName = "MÜLLER"
    second.SpecificCharacterSet = "ISO_IR 192"
    second.PatientName = "MÜLLER"
    second.ScheduledProcedureStepID = ""
    third.ScheduledProcedureStepDescription = "text"
    found.RequestAttributesSequence = [first, second, third]
    found.BitsAllocated = 16
    found.PixelData = b"\0\0"
    return found


def values(directory: Path, *keywords: str, data: Dataset | None = None) -> dict[str, Value]:
    path = directory / "instance.dcm"
    data = dataset() if data is None else data
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    limits = Limits(depth=8, elements=1000)
    with open_instance(path, work=directory, limits=limits, max_reencode_bytes=1_000_000) as instance:
        return dict(values_by_keyword(instance, keywords))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Modality", "CT"),
        ("Rows", 512),
        ("SliceThickness", 2.5),
        ("ImageType", ["ORIGINAL", "PRIMARY"]),
        ("StudyDescription", ""),
        ("Columns", ""),  # absent
        ("OtherPatientIDs", []),  # absent, and could have several values
        # sequences and bytes are there or not
        ("RequestAttributesSequence", True),
        ("ReferencedStudySequence", ""),  # without items
        ("ReferencedImageSequence", ""),
        ("PixelData", True),
        # what the items say, each in its own character set
        ("RequestAttributesSequence/ScheduledProcedureStepID", ["A1"]),
        ("RequestAttributesSequence/PatientName", ["MÜLLER", "MÜLLER"]),
        ("RequestAttributesSequence/StudyDate", []),
        ("ReferencedImageSequence/PatientName", []),
    ],
)
def test_values(tmp_path: Path, keyword: str, value: Value) -> None:
    assert values(tmp_path, keyword) == {keyword: value}


def test_a_value_of_another_vr_than_the_dictionarys(tmp_path: Path) -> None:
    data = dataset()
    data.add_new(0x00081030, "OB", b"\0\0")  # Study Description
    with pytest.raises(RuleFailed, match="conditions cannot compare VR OB"):
        values(tmp_path, "StudyDescription", data=data)
