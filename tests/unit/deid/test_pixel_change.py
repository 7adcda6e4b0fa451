"""The engine writes what the pixel rules made, and claims of the pixels what was done to them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom import encode
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import FileRange, Segment, copy_to
from gateway.errors import InstanceError
from gateway.profile import load_profile, shipped_profiles

PIXEL_DATA = 0x7FE00010
BURNED_IN_ANNOTATION = 0x00280301
ROWS = 0x00280010
LARGEST = 0x00280107


@pytest.fixture(scope="module")
def deidentifier() -> Deidentifier:
    return Deidentifier(load_profile("basic", search=[shipped_profiles()]), ProjectKey(b"k" * 32))


@pytest.fixture(params=[ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instance]:
    source = Dataset()
    source.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    source.SOPInstanceUID = "1.2.3.4"
    source.StudyInstanceUID = "1.2.3"
    source.SeriesInstanceUID = "1.2.3.1"
    source.PatientID = "MRN-4711"
    source.Rows = 2
    source.Columns = 2
    source.BitsAllocated = 16
    source.LargestImagePixelValue = 9
    source["LargestImagePixelValue"].VR = "US"
    source.add_new(PIXEL_DATA, "OW", bytes(range(8)))
    path = tmp_path / "original.dcm"
    source.file_meta = pydicom.dataset.FileMetaDataset()
    source.file_meta.TransferSyntaxUID = request.param
    source.save_as(path, enforce_file_format=True)
    with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 20) as opened:
        yield opened


def written(segments: tuple[Segment, ...]) -> pydicom.FileDataset:
    file = io.BytesIO()
    copy_to(segments, file)
    file.seek(0)
    return pydicom.dcmread(file)


def test_elements_take_the_place_of_received_ones(
    deidentifier: Deidentifier, instance: Instance, tmp_path: Path
) -> None:
    frames = tmp_path / "frames"
    frames.write_bytes(b"..12345678")
    implicit = instance.implicit
    change = PixelChange(
        transfer_syntax=instance.transfer_syntax,
        elements={
            BURNED_IN_ANNOTATION: (encode.element(BURNED_IN_ANNOTATION, b"CS", b"NO", implicit=implicit),),
            ROWS: (encode.element(ROWS, b"US", b"\x01\0", implicit=implicit),),
            LARGEST: None,
            PIXEL_DATA: (encode.header(PIXEL_DATA, b"OW", 8, implicit=implicit), FileRange(frames, 2, 8)),
        },
        cleaned=True,
    )
    output = written(deidentifier.apply(instance, pixels=change).segments)
    assert output.BurnedInAnnotation == "NO"
    assert output.Rows == 1
    assert "LargestImagePixelValue" not in output
    assert output.PixelData == b"12345678"
    assert output.BitsAllocated == 16
    assert list(output.keys()) == sorted(output.keys())


@pytest.mark.parametrize("instance", [ExplicitVRLittleEndian], indirect=True)
def test_output_has_the_transfer_syntax_of_the_change(deidentifier: Deidentifier, instance: Instance) -> None:
    items = encode.item_header(0) + encode.item_header(2) + b"\x01\x02" + encode.SEQUENCE_END
    change = PixelChange(
        transfer_syntax=RLELossless,
        elements={PIXEL_DATA: (encode.header(PIXEL_DATA, b"OB", 0xFFFFFFFF, implicit=False), items)},
    )
    made = deidentifier.apply(instance, pixels=change)
    assert made.transfer_syntax == RLELossless
    output = written(made.segments)
    assert output.file_meta.TransferSyntaxUID == RLELossless
    assert output.PixelData == items[:-8]


# What was done to the pixels -> the codes that the stamp adds to the profile's own.
@pytest.mark.parametrize(
    ("cleaned", "features", "added"),
    [
        (False, False, set()),  # changed for another reason: nothing may be claimed
        (True, False, {"113101"}),
        (False, True, {"113102"}),
        (True, True, {"113101", "113102"}),
    ],
)
def test_stamp_claims_what_was_done(
    deidentifier: Deidentifier, instance: Instance, cleaned: bool, features: bool, added: set[str]
) -> None:
    without = codes(written(deidentifier.apply(instance).segments))
    change = PixelChange(
        transfer_syntax=instance.transfer_syntax, elements={}, cleaned=cleaned, features_cleaned=features
    )
    assert codes(written(deidentifier.apply(instance, pixels=change).segments)) - without == added
    # The next instance, whose pixels nobody looked at, does not inherit the claim.
    assert codes(written(deidentifier.apply(instance).segments)) == without


def codes(output: Dataset) -> set[str]:
    return {item.CodeValue for item in output.DeidentificationMethodCodeSequence}


@pytest.mark.parametrize("parts", [(), (b"",), (FileRange(Path("frames"), 0, 8),)])
def test_element_without_header_is_refused(
    deidentifier: Deidentifier, instance: Instance, parts: tuple[Segment, ...]
) -> None:
    change = PixelChange(transfer_syntax=instance.transfer_syntax, elements={PIXEL_DATA: parts})
    with pytest.raises(InstanceError, match="without its header"):
        deidentifier.apply(instance, pixels=change)
