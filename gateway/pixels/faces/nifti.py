"""Volumes as NIfTI-1 files, which every program that takes faces away reads and writes.

The header has the geometry and nothing else: no name, no date, no description. NIfTI's axes point to the patient's
right and front where DICOM's point to the left and back (nifti1.h, https://nifti.nimh.nih.gov).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.faces.volume import SeriesVolume

__all__ = ["Cells", "NiftiError", "read", "read_cells", "write_volume"]

_HEADER: Final = 348
_DATA: Final = 352
_FLOAT32: Final = 16
#: Code of a data type -> numpy's name, without byte order.
_TYPES: Final = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
_LPS_TO_RAS: Final = np.diag((-1.0, -1.0, 1.0))
#: Entries of two matrices that differ by less are alike: writers keep them in single precision.
_ALIKE: Final = 0.01
#: Origins that differ by less are alike, in millimetres.
_NEAR: Final = 0.5


class NiftiError(ValueError):
    """A file is no NIfTI-1 volume of the geometry expected; the text says why."""


def write_volume(path: Path, volume: SeriesVolume) -> None:
    """Write the volume's values as 32-bit floats, the columns' index running fastest.

    Raises
    ------
    OSError
        it cannot be written
    """
    planes, rows, columns = volume.values.shape
    steps, origin = _affine(volume)
    header = bytearray(_DATA)
    struct.pack_into("<i", header, 0, _HEADER)
    struct.pack_into("<8h", header, 40, 3, columns, rows, planes, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, _FLOAT32, 32)
    struct.pack_into("<8f", header, 76, 1.0, *volume.spacing[::-1], 0.0, 0.0, 0.0, 0.0)
    struct.pack_into("<fff", header, 108, float(_DATA), 1.0, 0.0)
    # Millimetres.
    header[123] = 2
    # By the matrix, whose code 1 says scanner coordinates.
    struct.pack_into("<hh", header, 252, 0, 1)
    for row in range(3):
        struct.pack_into("<4f", header, 280 + 16 * row, *steps[row], origin[row])
    header[344:348] = b"n+1\0"
    with path.open("xb") as file:
        path.chmod(0o600)
        file.write(header)
        file.write(np.ascontiguousarray(volume.values, "<f4").reshape(-1).view("u1").data)


@dataclass(frozen=True, slots=True)
class Cells:
    """What a file holds.

    Attributes
    ----------
    values
        of shape (planes, rows, columns)
    steps
        what one step of the index of columns, rows and planes is along the patient's axes, as columns of a matrix
    origin
        centre of the first cell along the patient's axes
    placed
        whether the file says where it lies; if not, ``steps`` and ``origin`` mean nothing
    """

    values: NDArray[Any]
    steps: NDArray[np.float64]
    origin: NDArray[np.float64]
    placed: bool


def read(path: Path, *, most: int) -> Cells:
    """The volume in a file.

    Parameters
    ----------
    path
        ``.nii``, or ``.nii.gz`` compressed
    most
        cells that it may have

    Raises
    ------
    NiftiError
        it is no NIfTI-1 file of one volume, or larger
    OSError
        it cannot be read
    """
    longest = _DATA + (1 << 20) + 8 * most
    try:
        with path.open("rb") as raw:
            file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
            content = file.read(longest + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise NiftiError("it is no compressed file") from None
    if not _HEADER <= len(content) <= longest:
        raise NiftiError("it has another size than the volume")
    order = "<" if content[:4] == struct.pack("<i", _HEADER) else ">"
    if struct.unpack_from(f"{order}i", content, 0)[0] != _HEADER or content[344:347] != b"n+1":
        raise NiftiError("it is no NIfTI-1 file")
    dimensions = struct.unpack_from(f"{order}8h", content, 40)
    rank = dimensions[0]
    if not 3 <= rank <= 7 or min(dimensions[1:4]) < 1 or any(one > 1 for one in dimensions[4 : rank + 1]):
        raise NiftiError("it is not one volume")
    kind = _TYPES.get(struct.unpack_from(f"{order}h", content, 70)[0])
    start, slope, intercept = struct.unpack_from(f"{order}fff", content, 108)
    if kind is None or not _HEADER <= start < len(content):
        raise NiftiError("its data are of no known type")
    shape = dimensions[3:0:-1]
    dtype = np.dtype(f"{order}{kind}")
    count = shape[0] * shape[1] * shape[2]
    if count > most or len(content) - int(start) < count * dtype.itemsize:
        raise NiftiError("it has another size than the volume, or ends before its last cell")
    values = np.frombuffer(content, dtype, count, int(start)).reshape(shape)
    if (np.isfinite(slope) and slope not in (0.0, 1.0)) or (np.isfinite(intercept) and intercept):
        values = np.asarray(values * np.float32(slope or 1.0) + np.float32(intercept), np.float32)
    _, by_matrix = struct.unpack_from(f"{order}hh", content, 252)
    rows = np.array([struct.unpack_from(f"{order}4f", content, 280 + 16 * row) for row in range(3)])
    return Cells(values, _LPS_TO_RAS @ rows[:, :3], _LPS_TO_RAS @ rows[:, 3], by_matrix > 0)


def read_cells(path: Path, volume: SeriesVolume) -> NDArray[Any]:
    """The cells of a file that has the geometry of ``volume``, of the shape of its values.

    Parameters
    ----------
    path
        ``.nii``, or ``.nii.gz`` compressed
    volume
        what was given to the program that wrote the file

    Raises
    ------
    NiftiError
        it is no NIfTI-1 file, or has another size or other axes
    OSError
        it cannot be read
    """
    cells = read(path, most=volume.values.size)
    if cells.values.shape != volume.values.shape:
        raise NiftiError("it has another size than the volume")
    # A program that turned the volume would have its mask on another place of the head.
    steps = volume.axes * np.array(volume.spacing[::-1])
    if cells.placed and (
        np.abs(cells.steps - steps).max() > _ALIKE or np.abs(cells.origin - volume.origin).max() > _NEAR
    ):
        raise NiftiError("it has other axes than the volume")
    return cells.values


def _affine(volume: SeriesVolume) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps of the three indices as columns, and the first cell's centre, along NIfTI's axes."""
    return _LPS_TO_RAS @ volume.axes * np.array(volume.spacing[::-1]), _LPS_TO_RAS @ volume.origin
