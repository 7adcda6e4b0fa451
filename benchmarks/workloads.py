"""Seeded workloads: the same bytes on every machine, written once and kept in a folder outside the repository."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    MRImageStorage,
    generate_uid,
)

from tests.fixtures.tools import tool

#: Changes with the content of the files, so that old ones are not taken for it.
_EDITION: Final = "1"
#: Instances that are sent before those that are measured.
WARM_UP: Final = 8
#: How many instances the sizes that are not given have.
COUNTS: Final = {"W1": 500, "W2": 20, "W3": 2000, "W5": 200}
#: Bytes of pixel data of W4: 4096 frames of 512 x 512 x 16 bit.
W4_BYTES: Final = 2 << 30
DESCRIPTIONS: Final = {
    "W1": "CT 512 x 512 x 16 bit, 345 elements, 533 kB",
    "W2": "DX 2800 x 2700 x 16 bit, 15 MB",
    "W3": "MR 72 x 72 x 16 bit, 12 kB",
    "W4": "enhanced CT, one multi-frame instance, 2 GB",
    "W5": "CT as W1 in JPEG lossless",
}


@dataclass(frozen=True, slots=True)
class Workload:
    """Files to send.

    Attributes
    ----------
    name: W1 to W5
    files: what is measured, in the order of studies and series
    warm_up: what is sent before
    transfer_syntax: UID of all of them
    """

    name: str
    files: tuple[Path, ...]
    warm_up: tuple[Path, ...]
    transfer_syntax: str

    @property
    def size(self) -> int:
        """Bytes of the files that are measured."""
        return sum(path.stat().st_size for path in self.files)

    def take(self, count: int) -> Workload:
        """The first ``count`` of the files."""
        return replace(self, files=self.files[:count])

    def at_least(self, count: int) -> Workload:
        """The files again and again, until there are ``count`` of them or more; for a receiver alone."""
        return replace(self, files=self.files * -(-count // len(self.files)))


def workload(folder: Path, name: str, count: int | None = None) -> Workload:
    """A workload, written if it is not there.

    Parameters
    ----------
    folder: where workloads are kept
    name: W1, W2, W3 or W5
    count: instances to measure; by default as many as the workload has
    """
    wanted = COUNTS[name] if count is None else min(count, COUNTS[name])
    if name == "W5":
        source = workload(folder, "W1", wanted)
        warm_up = _written(folder, name, range(-WARM_UP, 0), partial(_compress, source.warm_up))
        return Workload(
            name, _written(folder, name, range(wanted), partial(_compress, source.files)), warm_up, JPEGLosslessSV1
        )
    make = {"W1": _ct, "W2": _dx, "W3": _mr}[name]

    def write(number: int, path: Path) -> None:
        _write(make(number), path)

    warm_up = _written(folder, name, range(-WARM_UP, 0), write)
    return Workload(name, _written(folder, name, range(wanted), write), warm_up, ExplicitVRLittleEndian)


def large(folder: Path, pixel_bytes: int = W4_BYTES) -> Workload:
    """W4: one multi-frame instance with so many bytes of pixel data: a multiple of 512 kB, or less and one of 256 B."""

    def write(number: int, path: Path) -> None:
        _write_large(number, path, pixel_bytes)

    name = f"W4-{pixel_bytes}"
    small = workload(folder, "W3", 1)
    return Workload("W4", _written(folder, name, range(1), write), small.warm_up, ExplicitVRLittleEndian)


def _written(folder: Path, name: str, numbers: Sequence[int], write: Callable[[int, Path], None]) -> tuple[Path, ...]:
    directory = folder / f"{name}-{_EDITION}"
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in numbers:
        path = directory / f"{number:05d}.dcm"
        if not path.exists():
            draft = path.with_suffix(".new")
            write(number, draft)
            draft.replace(path)
        paths.append(path)
    return tuple(paths)


def _compress(sources: Sequence[Path], number: int, path: Path) -> None:
    source = sources[number]
    subprocess.run([tool("dcmcjpeg"), "--encode-lossless-sv1", "--uid-never", str(source), str(path)], check=True)


def _write(dataset: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    dcmwrite(path, dataset, enforce_file_format=True)


def _write_large(number: int, path: Path, pixel_bytes: int) -> None:
    """Without pixel data by pydicom, and that appended a chunk at a time: it need not fit into memory."""
    dataset = _enhanced_ct(number, pixel_bytes)
    _write(dataset, path)
    chunk = _noise("W4", number, min(pixel_bytes, 16 << 20))
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\x00\x00" + pixel_bytes.to_bytes(4, "little"))
        left = pixel_bytes
        while left:
            left -= file.write(chunk[:left])


def _noise(name: str, number: int, length: int) -> bytes:
    return random.Random(f"{name}/{number}").randbytes(length)


def _slice(name: str, number: int, rows: int, columns: int) -> bytes:
    """A disc with noise, 12 of 16 bits: what a lossless codec finds in images."""
    generator = np.random.default_rng([ord(letter) for letter in name] + [number + 1000])
    y, x = np.mgrid[0:rows, 0:columns]
    disc = (y - rows / 2) ** 2 + (x - columns / 2) ** 2 < (min(rows, columns) / 2.5) ** 2
    image = 1000 * disc + generator.normal(64, 12, (rows, columns))
    return bytes(image.clip(0, 4095).astype("<u2").tobytes())


def _uid(*parts: object) -> str:
    return str(generate_uid(prefix="2.25.", entropy_srcs=["benchmark", *map(str, parts)]))


def _common(name: str, number: int, *, per_series: int, per_study: int) -> Dataset:
    """What an instance of any kind has: about 75 elements, half of them identifying."""
    study, series = number // per_study, number // per_series
    dataset = Dataset()
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "InstanceCreationDate": "20240305",
        "InstanceCreationTime": f"10{number % 60:02d}11.123",
        "SOPInstanceUID": _uid(name, "instance", number),
        "StudyDate": "20240305",
        "SeriesDate": "20240305",
        "AcquisitionDate": "20240305",
        "ContentDate": "20240305",
        "StudyTime": "095900",
        "SeriesTime": "100200",
        "AcquisitionTime": f"10{number % 60:02d}09.5",
        "ContentTime": f"10{number % 60:02d}10.0",
        "AccessionNumber": f"A{study:07d}",
        "Manufacturer": "ACME MEDICAL",
        "InstitutionName": "Hospital General de Valdemar",
        "InstitutionAddress": "Calle Mayor 17, 46010 Valdemar",
        "ReferringPhysicianName": "Ortega^Lucia",
        "StationName": "CT03",
        "StudyDescription": "Routine",
        "SeriesDescription": f"Series {series}",
        "InstitutionalDepartmentName": "Radiology",
        "PhysiciansOfRecord": "Soler^Pau",
        "PerformingPhysicianName": "Vidal^Nuria",
        "OperatorsName": "Roca^Joan",
        "ManufacturerModelName": "Scanner 64",
        "PatientName": f"Benchmark^Patient{study}",
        "PatientID": f"BM{study:06d}",
        "IssuerOfPatientID": "HGV",
        "PatientBirthDate": "19610714",
        "PatientSex": "F",
        "PatientAge": "062Y",
        "PatientSize": "1.68",
        "PatientWeight": "71",
        "MedicalAlerts": "none known",
        "Occupation": "teacher",
        "AdditionalPatientHistory": "cough for three weeks",
        "DeviceSerialNumber": "SN-48213",
        "SoftwareVersions": "syn 4.1",
        "ProtocolName": "Standard",
        "DateOfLastCalibration": "20240301",
        "TimeOfLastCalibration": "070000",
        "StudyInstanceUID": _uid(name, "study", study),
        "SeriesInstanceUID": _uid(name, "series", series),
        "StudyID": f"{study}",
        "SeriesNumber": series % 10,
        "AcquisitionNumber": 1,
        "InstanceNumber": number % per_series,
        "FrameOfReferenceUID": _uid(name, "frame", study),
        "PositionReferenceIndicator": "",
        "ImageComments": "",
        "BurnedInAnnotation": "NO",
        "RequestingPhysician": "Ortega^Lucia",
        "RequestedProcedureDescription": "Routine",
        "AdmissionID": f"AD{study:05d}",
        "CurrentPatientLocation": "Ward 3",
        "PerformedStationAETitle": "CT03",
        "PerformedProcedureStepStartDate": "20240305",
        "PerformedProcedureStepStartTime": "095900",
        "PerformedProcedureStepID": f"P{study}",
        "PerformedProcedureStepDescription": "Routine",
        "LossyImageCompression": "00",
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.RequestAttributesSequence = [
        _item(
            RequestedProcedureID=f"R{study}",
            ScheduledProcedureStepDescription="Routine",
            ScheduledProcedureStepID=f"S{study}",
            ScheduledProtocolCodeSequence=[_code("P1", "Standard protocol")],
        )
    ]
    dataset.ProcedureCodeSequence = [_code("77477000", "CT")]
    return dataset


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator="99BENCH", CodeMeaning=meaning)


def _grey(dataset: Dataset, pixels: bytes, rows: int, columns: int) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    if pixels:
        dataset.add_new(0x7FE00010, "OW", pixels)


def _geometry(dataset: Dataset, number: int) -> None:
    dataset.PixelSpacing = ["0.7", "0.7"]
    dataset.SliceThickness, dataset.SliceLocation = "1.0", f"{number % 100}.0"
    dataset.ImagePositionPatient = ["-180", "-180", f"{number % 100}"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PatientPosition = "HFS"


def _ct(number: int) -> Dataset:
    dataset = _common("W1", number, per_series=50, per_study=100)
    dataset.SOPClassUID, dataset.Modality, dataset.BodyPartExamined = CTImageStorage, "CT", "CHEST"
    _geometry(dataset, number)
    values: dict[str, Any] = {
        "KVP": "120", "DataCollectionDiameter": "500", "ReconstructionDiameter": "358",
        "DistanceSourceToDetector": "1040", "DistanceSourceToPatient": "570", "GantryDetectorTilt": "0",
        "TableHeight": "150", "RotationDirection": "CW", "ExposureTime": "500", "XRayTubeCurrent": "240",
        "Exposure": "120", "FilterType": "W1", "GeneratorPower": "30", "FocalSpots": "1.2",
        "ConvolutionKernel": "B30f", "ScanOptions": "SPIRAL", "ContrastBolusAgent": "agent 300",
        "ContrastBolusRoute": "IV", "ContrastBolusVolume": "80", "SpiralPitchFactor": 0.9,
        "SingleCollimationWidth": 0.6, "TotalCollimationWidth": 38.4, "TableSpeed": 46.0,
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    references = [
        _item(
            ReferencedSOPClassUID=CTImageStorage,
            ReferencedSOPInstanceUID=_uid("W1", "instance", number - number % 50 + i),
        )
        for i in range(3)
    ]
    dataset.ReferencedImageSequence = references
    dataset.SourceImageSequence = [_item(**{e.keyword: e.value for e in reference}) for reference in references]
    dataset.OtherPatientIDsSequence = [_item(PatientID=f"X{i}", TypeOfPatientID="TEXT") for i in range(2)]
    dataset.ReferencedStudySequence = [
        _item(
            ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=_uid("W1", "study", number // 100)
        )
    ]
    _private(dataset, number, elements=_W1_PRIVATE)
    _grey(dataset, _slice("W1", number, 512, 512), 512, 512)
    return dataset


#: Private elements that bring W1 to 345 elements.
_W1_PRIVATE: Final = 199
_PRIVATE_VALUES: Final[Sequence[tuple[str, Any]]] = (
    ("DS", "12.5"), ("LO", "internal"), ("IS", "7"), ("UN", b"\x01\x02\x03\x04"), ("FD", 1.5), ("SH", "ref"),
    ("US", 12), ("OB", bytes(64)), ("CS", "FAST"), ("DA", "20240305"), ("SL", -4), ("ST", "settings of the scan"),
)  # fmt: skip


def _private(dataset: Dataset, number: int, *, elements: int) -> None:
    blocks = ((0x0009, "ACME HEADER 1"), (0x0019, "ACME ACQU 1"), (0x0029, "ACME IMAGE 1"), (0x0045, "ACME RECON 1"))
    each = -(-elements // len(blocks))
    kinds: Iterator[int] = iter(range(elements))
    for group, creator in blocks:
        block = dataset.private_block(group, creator, create=True)
        for offset in range(each):
            kind = next(kinds, None)
            if kind is None:
                return
            vr, value = _PRIVATE_VALUES[(kind + number) % len(_PRIVATE_VALUES)]
            block.add_new(offset, vr, value)


def _dx(number: int) -> Dataset:
    dataset = _common("W2", number, per_series=1, per_study=2)
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    dataset.BodyPartExamined, dataset.PresentationIntentType = "CHEST", "FOR PRESENTATION"
    dataset.ImagerPixelSpacing, dataset.ViewPosition, dataset.PresentationLUTShape = ["0.1", "0.1"], "PA", "IDENTITY"
    _private(dataset, number, elements=20)
    _grey(dataset, _noise("W2", number, 2800 * 2700 * 2), 2800, 2700)
    return dataset


def _mr(number: int) -> Dataset:
    dataset = _common("W3", number, per_series=100, per_study=200)
    dataset.SOPClassUID, dataset.Modality, dataset.BodyPartExamined = MRImageStorage, "MR", "HEAD"
    _geometry(dataset, number)
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions, dataset.MRAcquisitionType = (
        "SE",
        "SK",
        "",
        "2D",
    )
    dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength, dataset.MagneticFieldStrength = (
        "500",
        "9",
        1,
        "1.5",
    )
    _grey(dataset, _slice("W3", number, 72, 72), 72, 72)
    return dataset


def _enhanced_ct(number: int, pixel_bytes: int) -> Dataset:
    dataset = _common("W4", number, per_series=1, per_study=1)
    dataset.SOPClassUID, dataset.Modality, dataset.ImageType = (
        EnhancedCTImageStorage,
        "CT",
        ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
    )
    frames = max(1, pixel_bytes // (512 * 512 * 2))
    columns = 512 if pixel_bytes >= 512 * 512 * 2 else 128
    dataset.NumberOfFrames = frames
    _grey(dataset, b"", pixel_bytes // frames // columns // 2, columns)
    dataset.SharedFunctionalGroupsSequence = [
        _item(PixelMeasuresSequence=[_item(PixelSpacing=["0.7", "0.7"], SliceThickness="1")])
    ]
    return dataset
