"""An original, what a correct de-identifier makes of it under the Basic Profile, and ways to change either."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from pydicom import DataElement, Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian

STUDY, SERIES, INSTANCE, OTHER = (f"1.2.3456.{number}.99" for number in range(1, 5))
NAME = "Fakenstead^Testario"


def original() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, INSTANCE
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, SERIES
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = NAME, "MRN12345", "20190304"
    dataset.AccessionNumber, dataset.Modality, dataset.Manufacturer = "ACC777", "CT", "Phantom"
    dataset.StationName, dataset.ContentDate, dataset.InstitutionName = "STATION9", "20190305", "Mirage Hospital"
    dataset.SegmentedPropertyTypeCodeSequence = []
    below = Dataset()
    below.ReferencedSOPClassUID, below.ReferencedSOPInstanceUID = CTImageStorage, OTHER
    of_series = Dataset()
    of_series.SeriesInstanceUID, of_series.ReferencedInstanceSequence = SERIES, [below]
    dataset.ReferencedSeriesSequence = [of_series]
    region = Dataset()
    region.CodeMeaning, region.PatientID, region.StudyDate = "Chest", "MRN12345", "20190304"
    dataset.AnatomicRegionSequence = [region]
    text = Dataset()
    text.ValueType, text.PersonName, text.UID = "PNAME", NAME, OTHER
    dataset.ContentSequence = [text]
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 4, 4, 16, 12, 11
    dataset.SamplesPerPixel, dataset.PixelRepresentation, dataset.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    dataset.add_new(0x7FE00010, "OW", bytes(range(32)))
    return dataset


NEW = {STUDY: "2.25.111", SERIES: "2.25.222", INSTANCE: "2.25.333", OTHER: "2.25.444"}


def clean() -> Dataset:
    """What a correct de-identifier makes of the original."""
    dataset = original()
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = NEW[INSTANCE], NEW[STUDY], NEW[SERIES]
    dataset.PatientName, dataset.PatientID, dataset.StudyDate, dataset.AccessionNumber = "K7", "K7", "", ""
    dataset.ContentDate = "19000101"
    del dataset.StationName, dataset.InstitutionName
    of_series = dataset.ReferencedSeriesSequence[0]
    of_series.SeriesInstanceUID = NEW[SERIES]
    of_series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = NEW[OTHER]
    region = dataset.AnatomicRegionSequence[0]
    region.PatientID, region.StudyDate = "K7", ""
    text = Dataset()
    text.ValueType, text.TextValue = "TEXT", "REMOVED"
    dataset.ContentSequence = [text]
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", "a test"
    method = Dataset()
    method.CodeValue, method.CodingSchemeDesignator = "113100", "DCM"
    method.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.DeidentificationMethodCodeSequence = [method]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    return dataset


def encoded(
    dataset: Dataset,
    *,
    meta: Callable[[FileMetaDataset], None] = lambda _: None,
    preamble: bytes = bytes(128),
    big_endian: bool = False,
) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian
    dataset.file_meta.ImplementationVersionName = "TEST"
    dataset.preamble = preamble
    meta(dataset.file_meta)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def put(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def add(tag: int, vr: str, value: object) -> Callable[[Dataset], None]:
    return lambda dataset: dataset.add(DataElement(tag, vr, value))


def drop(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


def nested(change: Callable[[Dataset], None]) -> Callable[[Dataset], None]:
    """The change within a sequence that the table does not list."""
    return lambda dataset: change(dataset.AnatomicRegionSequence[0])
