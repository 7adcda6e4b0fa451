"""Small instances made of the values that a profile's test gives.

An instance has what the test gives, the UIDs that every instance has, and a SOP class: the one given, or the usual one
of the Modality given, or Secondary Capture. One whose kind the test says, if that is an image, has a picture: a black
one, or what the test asks for. A test may also begin with a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import DataElement, Dataset, dcmread
from pydicom.datadict import private_dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundImageStorage,
    VLPhotographicImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from gateway.dicom.dictionary import entry
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.tag import is_private, show
from gateway.profile.element import ElementName, parse_element
from gateway.profile.program import ProfileTest, TestImage

__all__ = ["write_instance"]

#: Modality -> the SOP class that it usually makes.
_CLASS_OF_MODALITY: Final = {
    "CR": ComputedRadiographyImageStorage,
    "CT": CTImageStorage,
    "DOC": EncapsulatedPDFStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "KO": KeyObjectSelectionDocumentStorage,
    "MG": DigitalMammographyXRayImageStorageForPresentation,
    "MR": MRImageStorage,
    "NM": NuclearMedicineImageStorage,
    "PR": GrayscaleSoftcopyPresentationStateStorage,
    "PT": PositronEmissionTomographyImageStorage,
    "RF": XRayRadiofluoroscopicImageStorage,
    "RTDOSE": RTDoseStorage,
    "RTPLAN": RTPlanStorage,
    "RTSTRUCT": RTStructureSetStorage,
    "SEG": SegmentationStorage,
    "SR": ComprehensiveSRStorage,
    "US": UltrasoundImageStorage,
    "XA": XRayAngiographicImageStorage,
    "XC": VLPhotographicImageStorage,
}
_IDENTIFIERS: Final = {
    "SOPInstanceUID": "1.2.276.0.7230010.3.1.4.1",
    "StudyInstanceUID": "1.2.276.0.7230010.3.1.2.1",
    "SeriesInstanceUID": "1.2.276.0.7230010.3.1.3.1",
}
#: Rows and columns of a picture that nobody asked for.
_SMALL: Final = 64
_INTEGERS: Final = frozenset(("SL", "SS", "SV", "UL", "US", "UV"))
_BYTES: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))


def write_instance(path: Path, test: ProfileTest) -> bool:
    """Write the instance that a test gives to ``path`` as a Part 10 file.

    Parameters
    ----------
    path
        file to write
    test
        its ``given`` has for the name of an element (keyword, tag, private element with its creator, path into
        sequences) its value: text or a number; a list for several values; a list of mappings for the items of a
        sequence. An instance made of that alone is explicit VR little endian.

    Returns
    -------
    Whether the instance has a picture without anything in it, in which there is no text to find.

    Raises
    ------
    ValueError
        a name is no element, a value does not suit its element, or the file cannot be read; the text says which
    """
    dataset = _begun() if test.file is None else _read(test.file)
    _fill(dataset, test.given)
    if "SOPClassUID" not in dataset:
        modality = str(dataset.get("Modality", ""))
        dataset.SOPClassUID = _CLASS_OF_MODALITY.get(modality, SecondaryCaptureImageStorage)
    empty = False
    if test.file is None and test.pictured and "PixelData" not in dataset:
        empty = test.image is None and _is_image(test.given, dataset)
        if test.image is not None:
            _picture(dataset, test.image)
        elif empty:
            _blank(dataset)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return empty


def _begun() -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, uid in _IDENTIFIERS.items():
        setattr(dataset, keyword, uid)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _read(file: str) -> Dataset:
    try:
        return dcmread(file)
    except (OSError, InvalidDicomError):
        raise ValueError(f"{Path(file).name} cannot be read as a DICOM file") from None


def _is_image(given: Mapping[str, Any], dataset: Dataset) -> bool:
    """Whether the test says of which kind its instance is, and that kind is an image."""
    said = "Modality" in given or "SOPClassUID" in given
    return said and " Image Storage" in STORAGE_SOP_CLASSES.get(str(dataset.SOPClassUID), "")


def _blank(dataset: Dataset) -> None:
    """A black picture."""
    _describe(dataset, TestImage(_SMALL, _SMALL, 1, colour=False))
    dataset.add_new(0x7FE00010, "OW", bytes(2 * int(dataset.Rows) * int(dataset.Columns)))


def _picture(dataset: Dataset, image: TestImage) -> None:
    """A picture that becomes brighter from the upper left to the lower right."""
    _describe(dataset, image)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    sums = np.add.outer(np.arange(rows), np.arange(columns))
    if image.colour:
        frame = np.repeat((64 + sums * 128 // (rows + columns)).astype("uint8")[..., np.newaxis], 3, axis=-1)
    else:
        frame = (200 + sums % 3600).astype("<u2")
    data = frame.tobytes() * image.frames
    dataset.add_new(0x7FE00010, "OB" if image.colour else "OW", data + b"\0" * (len(data) % 2))


def _describe(dataset: Dataset, image: TestImage) -> None:
    """The Image Pixel module, as far as the test does not give it."""
    bits = 8 if image.colour else 16
    values = {
        "SamplesPerPixel": 3 if image.colour else 1,
        "PhotometricInterpretation": "RGB" if image.colour else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": 8 if image.colour else 12,
        "HighBit": 7 if image.colour else 11,
        "PixelRepresentation": 0,
        **({"PlanarConfiguration": 0} if image.colour else {}),
        **({"NumberOfFrames": image.frames} if image.frames > 1 else {}),
    }
    if "Rows" not in dataset or "Columns" not in dataset:
        dataset.Rows, dataset.Columns = dataset.get("Rows", image.rows), dataset.get("Columns", image.columns)
    # What describes the samples has to be true of them.
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def _fill(dataset: Dataset, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        element = parse_element(name)
        at = dataset
        for sequence in element.path:
            if sequence not in at:
                at[sequence] = DataElement(sequence, "SQ", [Dataset()])
            at = at[sequence].value[0]
        _put(at, element, name, value)


def _put(dataset: Dataset, element: ElementName, name: str, value: Any) -> None:
    if element.creator:
        group, offset = element.tag >> 16, element.tag & 0xFF
        block = dataset.private_block(group, element.creator, create=True)
        tag, vr = int(block.get_tag(offset)), _private_vr(element, value)
    else:
        tag, vr = element.tag, _vr(element, value)
    if _holds_items(value) or vr == "SQ":
        if not _holds_items(value):
            raise ValueError(f'"{name}" is a sequence: its value is a list of items such as [{{CodeMeaning: Chest}}]')
        items = []
        for one in value:
            item = Dataset()
            _fill(item, one)
            items.append(item)
        dataset[tag] = DataElement(tag, "SQ", items)
        return
    try:
        dataset[tag] = DataElement(tag, vr, _value(vr, value))
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f'"{name}": the value given does not suit VR {vr}') from None


def _holds_items(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _vr(element: ElementName, value: Any) -> str:
    if is_private(element.tag):
        raise ValueError(f"{show(element.tag)} is private: write it with its creator, (gggg,xxee) CREATOR")
    row = entry(element.tag)
    if row is None:
        return "SQ" if _holds_items(value) else "LO"
    # Of "US or SS" and the like the first.
    return row.vr.split(" or ")[0]


def _private_vr(element: ElementName, value: Any) -> str:
    if _holds_items(value):
        return "SQ"
    try:
        return private_dictionary_VR(element.tag & 0xFFFF00FF | 0x1000, element.creator)
    except KeyError:
        return "LO"


def _value(vr: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_value(vr, one) for one in value]
    if value is None or value == "":
        return None if vr in _INTEGERS | {"FD", "FL", "AT"} else b"" if vr in _BYTES else ""
    if vr in _INTEGERS:
        return int(value)
    if vr in ("FD", "FL"):
        return float(value)
    if vr == "AT":
        return parse_element(str(value)).tag
    if vr in _BYTES:
        # Text that hides in bytes.
        data = str(value).encode()
        return data + b"\0" * (len(data) % 2)
    return str(value)
