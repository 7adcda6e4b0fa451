"""Image IODs: CT, MR, DX, CR, ultrasound multi-frame and segmentation (PS3.3 A.3, A.4, A.26, A.2, A.7, A.51)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    SegmentationStorage,
    UltrasoundMultiFrameImageStorage,
)

from gateway.samples.extras import (
    add_curve,
    add_deep_nesting,
    add_digital_signature,
    add_icon,
    add_overlay,
    add_private_block,
    add_safe_private_block,
)
from gateway.samples.modules import Study, code, common, equipment, general_image, other_study, reference, series

__all__ = ["SIDE", "cr_image", "ct_series", "dx_image", "mr_series", "phantom", "segmentation", "ultrasound"]

#: Rows and columns of every sample image.
SIDE: Final = 64
_FRAMES: Final = 3


def phantom(seed: int) -> bytes:
    """Pixels of a disc on a gradient: ``SIDE`` x ``SIDE`` samples, 16 bits little endian, 12 bits used."""
    middle, radius = SIDE // 2, SIDE // 4 + seed % 8
    pixels = array("H")
    for row in range(SIDE):
        for column in range(SIDE):
            inside = (row - middle) ** 2 + (column - middle) ** 2 < radius**2
            pixels.append(2000 + 8 * (seed % 16) if inside else 4 * row + column)
    return b"".join(pixel.to_bytes(2, "little") for pixel in pixels)


def ct_series(study: Study, numbers: Iterator[int], slices: int) -> list[Dataset]:
    """A CT series of one frame of reference, each slice referring to the first."""
    shared = _series(study, "Thorax")
    shared.FrameOfReferenceUID, shared.PositionReferenceIndicator = study.frame_of_reference_uid, ""
    images: list[Dataset] = []
    for index in range(slices):
        dataset = common(study, CTImageStorage, "CT", next(numbers))
        dataset.update(shared)
        general_image(study, dataset, of=images[0] if images else None)
        _plane(dataset, index)
        _grey(dataset, phantom(index), signed=False)
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
        dataset.KVP, dataset.PatientPosition = "120", "HFS"
        dataset.ContrastBolusAgent = study.identity.remark("agent of")
        add_private_block(study, dataset)
        add_deep_nesting(study.identity, dataset)
        images.append(dataset)
    add_overlay(study, images[0])
    add_icon(study, images[-1])
    return images


def mr_series(study: Study, numbers: Iterator[int], slices: int) -> list[Dataset]:
    """An MR series."""
    shared = _series(study, "Brain")
    shared.FrameOfReferenceUID, shared.PositionReferenceIndicator = study.frame_of_reference_uid, ""
    images: list[Dataset] = []
    for index in range(slices):
        dataset = common(study, MRImageStorage, "MR", next(numbers))
        dataset.update(shared)
        general_image(study, dataset, of=images[0] if images else None)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        _plane(dataset, index)
        _grey(dataset, phantom(index), signed=False)
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
        dataset.MRAcquisitionType, dataset.RepetitionTime, dataset.EchoTime = "2D", "500", "15"
        dataset.EchoTrainLength, dataset.PatientPosition = 1, "HFS"
        add_private_block(study, dataset)
        add_safe_private_block(study, dataset)
        add_deep_nesting(study.identity, dataset)
        images.append(dataset)
    return images


def dx_image(study: Study, numbers: Iterator[int]) -> Dataset:
    """A digital radiograph with icon, overlay and digital signature."""
    dataset = common(study, DigitalXRayImageStorageForPresentation, "DX", next(numbers))
    dataset.update(_series(study, "Chest PA"))
    general_image(study, dataset)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    _grey(dataset, phantom(5), signed=False)
    dataset.PresentationIntentType, dataset.PixelIntensityRelationship = "FOR PRESENTATION", "LOG"
    dataset.PixelIntensityRelationshipSign, dataset.PresentationLUTShape = 1, "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    dataset.WindowCenter, dataset.WindowWidth = "1024", "2048"
    dataset.ImagerPixelSpacing, dataset.DetectorType = ["0.2", "0.2"], "DIRECT"
    dataset.DetectorID, dataset.CassetteID = study.identity.device("DETECTOR"), study.identity.device("CASSETTE")
    dataset.DateOfLastDetectorCalibration = study.identity.date()
    dataset.TimeOfLastDetectorCalibration = study.identity.time()
    dataset.BodyPartExamined, dataset.ImageLaterality, dataset.PositionerType = "CHEST", "U", "NONE"
    dataset.PatientOrientation, dataset.ViewPosition = ["L", "F"], "PA"
    add_deep_nesting(study.identity, dataset)
    dataset.AnatomicRegionSequence[0].update(code("51185008", "SCT", "Chest"))
    view = code("399348003", "SCT", "postero-anterior")
    view.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence, dataset.AcquisitionContextSequence = [view], []
    dataset.PatientOrientationCodeSequence = [code("102538003", "SCT", "recumbent")]
    add_private_block(study, dataset)
    add_icon(study, dataset)
    add_overlay(study, dataset)
    add_digital_signature(study, dataset)
    return dataset


def cr_image(study: Study, numbers: Iterator[int]) -> Dataset:
    """A computed radiograph with a curve and the patient's name in the series description."""
    dataset = common(study, ComputedRadiographyImageStorage, "CR", next(numbers))
    dataset.update(_series(study, "THORAX"))
    dataset.SeriesDescription = f"THORAX PA {study.name.split('=', maxsplit=1)[0]}"
    general_image(study, dataset)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    _grey(dataset, phantom(7), signed=False)
    dataset.BodyPartExamined, dataset.ViewPosition, dataset.PatientOrientation = "CHEST", "PA", ["L", "F"]
    dataset.CassetteID, dataset.AcquisitionDeviceProcessingDescription = (
        study.identity.device("CASSETTE"),
        study.identity.remark("processed for"),
    )
    add_curve(study, dataset)
    add_overlay(study, dataset)
    add_private_block(study, dataset)
    add_deep_nesting(study.identity, dataset)
    return dataset


def ultrasound(study: Study, numbers: Iterator[int]) -> Dataset:
    """A colour ultrasound loop of several frames."""
    dataset = common(study, UltrasoundMultiFrameImageStorage, "US", next(numbers))
    dataset.update(_series(study, "Abdomen"))
    general_image(study, dataset)
    dataset.ImageType, dataset.PatientOrientation = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"], []
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows = dataset.Columns = SIDE
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.NumberOfFrames, dataset.FrameTime, dataset.FrameIncrementPointer = _FRAMES, "40", 0x00181063
    dataset.LossyImageCompression = "00"
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1 = region.RegionLocationMaxY1 = SIDE - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.05
    dataset.SequenceOfUltrasoundRegions = [region]
    frames = [bytes(value >> 4 for value in array("H", phantom(frame)) for _ in "RGB") for frame in range(_FRAMES)]
    dataset.add_new(0x7FE00010, "OB", b"".join(frames))
    add_deep_nesting(study.identity, dataset)
    add_private_block(study, dataset)
    return dataset


def segmentation(study: Study, numbers: Iterator[int], of: Sequence[Dataset]) -> Dataset:
    """A binary segmentation of the images ``of``: per-frame groups refer to them four sequences deep."""
    identity = study.identity
    dataset = common(study, SegmentationStorage, "SEG", next(numbers))
    dataset.update(_series(study, "Lungs"))
    dataset.DeviceSerialNumber, dataset.ManufacturerModelName = identity.device("SN-"), "Phantom"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = study.frame_of_reference_uid, ""
    dataset.ImageType, dataset.ContentDate = ["DERIVED", "PRIMARY"], identity.date()
    dataset.ContentTime, dataset.LossyImageCompression = identity.time(), "00"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.SegmentationType, dataset.NumberOfFrames = "BINARY", len(of)
    dataset.ContentLabel, dataset.ContentDescription = "LUNGS", "Outlines"
    dataset.ContentCreatorName = identity.name()
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = 1, "Lung", "MANUAL"
    segment.SegmentedPropertyCategoryCodeSequence = [code("123037004", "SCT", "Anatomical Structure")]
    segment.SegmentedPropertyTypeCodeSequence = [code("39607008", "SCT", "Lung")]
    segment.TrackingID, segment.TrackingUID = "Lesion 1", identity.uid()
    dataset.SegmentSequence = [segment]
    organization = Dataset()
    organization.DimensionOrganizationUID = identity.uid()
    dataset.DimensionOrganizationSequence = [organization]
    dimension = Dataset()
    dimension.DimensionOrganizationUID = organization.DimensionOrganizationUID
    dimension.DimensionIndexPointer, dimension.FunctionalGroupPointer = 0x0062000B, 0x0062000A
    dataset.DimensionIndexSequence = [dimension]
    dataset.SharedFunctionalGroupsSequence = [_shared_groups()]
    dataset.PerFrameFunctionalGroupsSequence = [_frame_groups(study, image, frame) for frame, image in enumerate(of, 1)]
    referenced = Dataset()
    referenced.SeriesInstanceUID = of[0].SeriesInstanceUID
    referenced.ReferencedInstanceSequence = [reference(image) for image in of]
    dataset.ReferencedSeriesSequence = [referenced]
    dataset.StudiesContainingOtherReferencedInstancesSequence = [other_study(identity)]
    bits = bytearray(len(of) * SIDE * SIDE // 8)
    for position in count(SIDE, 3):
        if position >= len(bits):
            break
        bits[position] = 0x3C
    dataset.add_new(0x7FE00010, "OB", bytes(bits))
    return dataset


def _series(study: Study, description: str) -> Dataset:
    shared = Dataset()
    series(study, shared, uid=study.identity.uid(), description=description)
    equipment(study, shared)
    return shared


def _plane(dataset: Dataset, index: int) -> None:
    dataset.PixelSpacing, dataset.SliceThickness = ["1.5", "1.5"], "5"
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-48, -48, 5 * index]
    dataset.SliceLocation = str(5 * index)


def _grey(dataset: Dataset, pixels: bytes, *, signed: bool) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = int(signed)
    dataset.add_new(0x7FE00010, "OW", pixels)


def _shared_groups() -> Dataset:
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = ["1.5", "1.5"], "5", "5"
    orientation = Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    segment = Dataset()
    segment.ReferencedSegmentNumber = 1
    groups = Dataset()
    groups.PixelMeasuresSequence, groups.PlaneOrientationSequence = [measures], [orientation]
    groups.SegmentIdentificationSequence = [segment]
    return groups


def _frame_groups(study: Study, image: Dataset, frame: int) -> Dataset:
    source = reference(image)
    source.PurposeOfReferenceCodeSequence = [code("121322", "DCM", "Source image for image processing operation")]
    source.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.SourceImageSequence = [source]
    derivation.DerivationCodeSequence = [code("113076", "DCM", "Segmentation")]
    content = Dataset()
    content.DimensionIndexValues, content.FrameComments = [1], study.identity.remark("frame of")
    content.FrameAcquisitionDateTime, content.FrameReferenceDateTime = (
        study.identity.date_time(),
        study.identity.date_time(),
    )
    content.FrameAcquisitionDuration, content.FrameAcquisitionNumber = 1.0, frame
    content.StackID, content.InStackPositionNumber = "1", frame
    position = Dataset()
    position.ImagePositionPatient = image.ImagePositionPatient
    groups = Dataset()
    groups.DerivationImageSequence, groups.FrameContentSequence = [derivation], [content]
    groups.PlanePositionSequence = [position]
    return groups
