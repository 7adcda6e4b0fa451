"""A smallest valid instance of each common kind, on which a profile is tried when it is checked.

Each comes twice: ``bare`` has what the standard demands of its kind and no Specific Character Set, ``full`` has what
devices usually say besides and a character set. Nothing in them is anybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

__all__ = ["KINDS", "Smallest", "smallest"]

_ROOT: Final = "1.2.276.0.7230010.3.1"
#: A form of which a rule that changes pixels writes little, and which rectangles and edges of usual sizes fit into.
_SIDE: Final = 512
_DAY: Final = "20200229"
_TIME: Final = "101112.5"


@dataclass(frozen=True, slots=True)
class Smallest:
    """One instance.

    Attributes
    ----------
    kind
        the modality, which names the kind
    form
        ``bare`` or ``full``
    dataset
        with its file meta information
    """

    kind: str
    form: Literal["bare", "full"]
    dataset: Dataset

    def write(self, folder: Path) -> Path:
        """Write the file into ``folder`` and return its path."""
        path = folder / f"{self.kind}-{self.form}.dcm"
        self.dataset.save_as(path, enforce_file_format=True)
        return path


def smallest() -> Iterator[Smallest]:
    """Every kind, bare and full."""
    for number, (kind, build) in enumerate(KINDS.items(), start=1):
        yield Smallest(kind, "bare", build(_common(kind, number)))
        yield Smallest(kind, "full", build(_usual(_common(kind, number))))


def _common(kind: str, number: int) -> Dataset:
    """The modules of patient, study, series and instance: Types 1 and 2 (PS3.3 C.7.1 to C.7.5, C.12.1)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPInstanceUID = f"{_ROOT}.4.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{_ROOT}.2.{number}", f"{_ROOT}.3.{number}"
    dataset.Modality, dataset.PatientID, dataset.PatientName = kind, "GWCHECK-1", "GWCHECKFAMILY^GWCHECKGIVEN"
    dataset.PatientBirthDate, dataset.PatientSex = "19700102", "O"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = _DAY, _TIME, "GWSTUDY1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "GWACC1", ""
    dataset.SeriesNumber, dataset.InstanceNumber = "1", "1"
    dataset.Manufacturer = "GWMAKER"
    return dataset


def _usual(dataset: Dataset) -> Dataset:
    """What devices say besides."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "GWCHECKFAMILIA^GWCHECKÑOMBRE"
    dataset.PatientAge, dataset.PatientSize, dataset.PatientWeight = "050Y", "1.7", "70"
    dataset.SeriesDate, dataset.SeriesTime = _DAY, _TIME
    dataset.AcquisitionDate, dataset.AcquisitionTime = _DAY, _TIME
    dataset.ContentDate, dataset.ContentTime = _DAY, _TIME
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = _DAY, _TIME
    dataset.InstitutionName, dataset.InstitutionAddress = "GWHOSPITAL", "GWSTREET 1"
    dataset.InstitutionalDepartmentName, dataset.StationName = "GWDEPARTMENT", "GWSTATION1"
    dataset.ManufacturerModelName, dataset.DeviceSerialNumber = "GWMODEL", "GWSN-1"
    dataset.SoftwareVersions, dataset.ProtocolName = "1.0", "ROUTINE"
    dataset.StudyDescription, dataset.SeriesDescription = "ROUTINE", "ROUTINE"
    dataset.OperatorsName, dataset.PerformingPhysicianName = "GWOPERATOR^A", "GWPHYSICIAN^B"
    dataset.ReferringPhysicianName, dataset.PatientComments = "GWREFERRER^C", "NONE"
    dataset.BodyPartExamined, dataset.ImageComments = "ABDOMEN", "NONE"
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "GWREQ1", "GWSTEP1"
    request.RequestedProcedureDescription = "ROUTINE"
    request.ReferencedStudySequence = []
    dataset.RequestAttributesSequence = [request]
    return dataset


def _image(dataset: Dataset, *, colour: bool = False, deep: bool = True) -> Dataset:
    """The Image Pixel module (PS3.3 C.7.6.3): black."""
    samples, bytes_each = 3 if colour else 1, 2 if deep else 1
    dataset.ImageType, dataset.PatientOrientation = ["ORIGINAL", "PRIMARY"], ["L", "F"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = samples, "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.Rows = dataset.Columns = _SIDE
    dataset.BitsAllocated, dataset.BitsStored = 8 * bytes_each, 12 if deep else 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.add_new(0x7FE00010, "OW" if deep else "OB", bytes(_SIDE * _SIDE * samples * bytes_each))
    return dataset


def _plane(dataset: Dataset) -> Dataset:
    """The Frame of Reference and Image Plane modules."""
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = f"{_ROOT}.5", ""
    dataset.PixelSpacing, dataset.ImageOrientationPatient = ["1", "1"], ["1", "0", "0", "0", "1", "0"]
    dataset.ImagePositionPatient, dataset.SliceThickness = ["0", "0", "0"], "1"
    dataset.PatientPosition = "HFS"
    return dataset


def _ct(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID = CTImageStorage
    _plane(_image(dataset)).ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.KVP, dataset.AcquisitionNumber = "-1024", "1", "120", "1"
    return dataset


def _mr(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID = MRImageStorage
    _plane(_image(dataset)).ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
    dataset.MRAcquisitionType, dataset.EchoTime, dataset.RepetitionTime = "2D", "10", "500"
    dataset.EchoTrainLength = "1"
    return dataset


def _cr(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    _image(dataset)
    dataset.ViewPosition, dataset.BodyPartExamined = "PA", "CHEST"
    return dataset


def _dx(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    _image(dataset)
    dataset.PresentationIntentType, dataset.PixelIntensityRelationship = "FOR PRESENTATION", "LOG"
    dataset.PixelIntensityRelationshipSign, dataset.PresentationLUTShape = 1, "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    dataset.ImagerPixelSpacing, dataset.DetectorType = ["0.2", "0.2"], "DIRECT"
    dataset.BodyPartExamined, dataset.ImageLaterality, dataset.PositionerType = "CHEST", "U", "NONE"
    dataset.WindowCenter, dataset.WindowWidth = "1024", "2048"
    dataset.AnatomicRegionSequence = [_code("51185008", "SCT", "Chest")]
    dataset.ViewCodeSequence, dataset.AcquisitionContextSequence = [_code("399348003", "SCT", "postero-anterior")], []
    return dataset


def _us(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID = UltrasoundImageStorage
    _image(dataset, colour=True, deep=False)
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 64, 64
    region.RegionLocationMaxX1 = region.RegionLocationMaxY1 = _SIDE - 64
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.05
    dataset.SequenceOfUltrasoundRegions = [region]
    return dataset


def _sc(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID, dataset.Modality = SecondaryCaptureImageStorage, "OT"
    dataset.ConversionType = "WSD"
    return _image(dataset, deep=False)


def _sr(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID = ComprehensiveSRStorage
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "VERIFIED"
    dataset.ContentDate, dataset.ContentTime = _DAY, _TIME
    observer = Dataset()
    observer.VerifyingOrganization, observer.VerificationDateTime = "GWHOSPITAL", f"{_DAY}101112"
    observer.VerifyingObserverName, observer.VerifyingObserverIdentificationCodeSequence = "GWOBSERVER^D", []
    dataset.VerifyingObserverSequence, dataset.PerformedProcedureCodeSequence = [observer], []
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    text = Dataset()
    text.RelationshipType, text.ValueType, text.TextValue = "CONTAINS", "TEXT", "NORMAL"
    text.ConceptNameCodeSequence = [_code("121106", "DCM", "Comment")]
    dataset.ContentSequence = [text]
    return dataset


def _rtstruct(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.OperatorsName = dataset.get("OperatorsName", "")
    dataset.StructureSetLabel, dataset.StructureSetDate, dataset.StructureSetTime = "ROUTINE", _DAY, _TIME
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = f"{_ROOT}.5", ""
    roi, contour, observation = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ReferencedFrameOfReferenceUID = "1", f"{_ROOT}.5"
    roi.ROIName, roi.ROIGenerationAlgorithm = "LIVER", ""
    contour.ReferencedROINumber = "1"
    observation.ObservationNumber, observation.ReferencedROINumber = "1", "1"
    observation.RTROIInterpretedType, observation.ROIInterpreter = "", ""
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [roi], [contour]
    dataset.RTROIObservationsSequence = [observation]
    return dataset


def _pdf(dataset: Dataset) -> Dataset:
    dataset.SOPClassUID, dataset.Modality = EncapsulatedPDFStorage, "DOC"
    dataset.ConversionType, dataset.BurnedInAnnotation = "WSD", "YES"
    dataset.ContentDate, dataset.ContentTime, dataset.AcquisitionDateTime = _DAY, _TIME, f"{_DAY}101112"
    dataset.DocumentTitle, dataset.ConceptNameCodeSequence = "", []
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document = b"%PDF-1.4\n%%EOF\n\0"
    dataset.EncapsulatedDocument, dataset.EncapsulatedDocumentLength = document, len(document)
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


#: The kinds by the name that a check shows, and what completes each.
KINDS: Final[dict[str, Callable[[Dataset], Dataset]]] = {
    "CT": _ct,
    "MR": _mr,
    "CR": _cr,
    "DX": _dx,
    "US": _us,
    "SC": _sc,
    "SR": _sr,
    "RTSTRUCT": _rtstruct,
    "PDF": _pdf,
}
