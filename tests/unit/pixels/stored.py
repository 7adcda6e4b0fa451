"""Image files made in a test, byte by byte what they claim to be or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.pixels.description import PixelDescription

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
RLE = "1.2.840.10008.1.2.5"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
Array = npt.NDArray[Any]


def header(pixels: Array, **values: Any) -> Dataset:
    """The data set of an image without Pixel Data: ``pixels`` is a frame, or frames if ``NumberOfFrames`` says so."""
    colour = pixels.shape[-1] == 3 and pixels.ndim > 2
    first = pixels.ndim - 2 - colour
    found = Dataset()
    found.SOPClassUID = SECONDARY_CAPTURE
    found.SOPInstanceUID = "1.2.276.0.7230010.3.4"
    found.StudyInstanceUID = "1.2.276.0.7230010.3"
    found.SeriesInstanceUID = "1.2.276.0.7230010.3.1"
    found.PatientID = "SUBJECT-1"
    found.Rows, found.Columns = pixels.shape[first], pixels.shape[first + 1]
    found.SamplesPerPixel = 3 if colour else 1
    found.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        found.PlanarConfiguration = 0
    if first:
        found.NumberOfFrames = pixels.shape[0]
    found.BitsAllocated = found.BitsStored = 8 * pixels.dtype.itemsize
    found.HighBit = found.BitsStored - 1
    found.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def native(pixels: Array, **values: Any) -> Dataset:
    """An image of native pixels."""
    found = header(pixels, **values)
    found.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    found["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return found


def encapsulated(found: Dataset, frames: Sequence[bytes] | bytes) -> Dataset:
    """The data set with frames, one to a fragment, or with the bytes of items as they are."""
    found.PixelData = frames if isinstance(frames, bytes) else encapsulate(list(frames))
    found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    return found


def save(path: Path, dataset: Dataset, transfer_syntax: str = EXPLICIT) -> Path:
    """Write a Part 10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.save_as(path, implicit_vr=transfer_syntax == IMPLICIT, little_endian=True, enforce_file_format=True)
    return path


@contextmanager
def opened(path: Path) -> Iterator[Instance]:
    """The file as the gateway opens it."""
    with open_instance(path, work=path.parent, limits=Limits(), max_reencode_bytes=1 << 30) as instance:
        yield instance


def description(pixels: Array, **values: Any) -> PixelDescription:
    """The description of native frames like ``pixels`` (one frame)."""
    colour = pixels.ndim == 3
    facts: dict[str, Any] = {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "samples_per_pixel": 3 if colour else 1,
        "photometric_interpretation": "RGB" if colour else "MONOCHROME2",
        "bits_allocated": 8 * pixels.dtype.itemsize,
        "bits_stored": 8 * pixels.dtype.itemsize,
        "high_bit": 8 * pixels.dtype.itemsize - 1,
        "pixel_representation": int(pixels.dtype.kind == "i"),
        "planar_configuration": 0,
        "frames": 1,
        "transfer_syntax": EXPLICIT,
        "encapsulated": False,
    }
    facts |= values
    if "bits_stored" in values and "high_bit" not in values:
        facts["high_bit"] = values["bits_stored"] - 1
    return PixelDescription(**facts)


def noise(shape: tuple[int, ...], dtype: str, *, bits: int | None = None, seed: int = 0) -> Array:
    """Random stored values that use every one of ``bits`` bits."""
    kind = np.dtype(dtype)
    bits = bits or 8 * kind.itemsize
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if kind.kind == "i" else (0, 1 << bits)
    return np.random.default_rng(seed).integers(low, high, shape).astype(kind)
