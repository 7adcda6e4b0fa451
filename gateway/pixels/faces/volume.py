"""A series of slices as one volume, coarse enough to be held in memory, and the places of its slices in it.

A mask of the volume is asked back slice by slice: whatever the slices' spacing, order, overlap or tilt, each pixel gets
what the nearest cell of the volume says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gateway.dicom.instance import Instance
from gateway.errors import PixelsUnreadable, SeriesUnfit
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.fill import without_unused_bits

__all__ = ["MODALITIES", "SeriesVolume", "Slice", "build", "frame_values", "is_slice_of_volume", "place_of"]

#: CT and MR, by Modality (0008,0060), and the SOP classes of their single slices.
MODALITIES: Final = {"1.2.840.10008.5.1.4.1.1.2": "CT", "1.2.840.10008.5.1.4.1.1.4": "MR"}
_POSITION: Final = 0x00200032
_ORIENTATION: Final = 0x00200037
_SPACING: Final = 0x00280030
_INTERCEPT: Final = 0x00281052
_SLOPE: Final = 0x00281053
_SOP_CLASS: Final = 0x00080016

#: Edge of a cell at least, in millimetres.
_CELL: Final = 1.0
#: Cells at most: 160 MB.
_MOST_CELLS: Final = 40_000_000
#: Slices at most.
_MOST_SLICES: Final = 20_000
#: So many positions make a volume, and so far from the first to the last, in millimetres.
_FEWEST: Final = 8
_SHORTEST: Final = 50.0
#: The widest gap between slices, in millimetres: what lies in a wider one is not known.
_WIDEST_GAP: Final = 12.0
#: Orientations that differ by less are one.
_ALIKE: Final = 1e-2
#: Positions that differ by less are one, in millimetres.
_SAME_PLACE: Final = 1e-2


@dataclass(frozen=True, slots=True)
class Slice:
    """Where a slice lies.

    Attributes
    ----------
    key: by which the caller knows it
    rows, columns: of its pixels
    spacing: between rows and between columns, in millimetres
    origin: centre of the first pixel along the patient's axes, in millimetres
    row, column: directions of a row and of a column, of length 1
    slope, intercept: of the modality's units
    modality: CT or MR
    """

    key: int
    rows: int
    columns: int
    spacing: tuple[float, float]
    origin: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    slope: float
    intercept: float
    modality: str


@dataclass(slots=True)
class SeriesVolume:
    """The volume of a series.

    Attributes
    ----------
    values: of shape (planes, rows, columns): Hounsfield units of CT, brightness of MR
    spacing: between planes, rows and columns, in millimetres
    origin: centre of the first cell along the patient's axes, in millimetres
    axes: directions of the columns' index, of the rows' and of the planes', as columns of a matrix
    modality: CT or MR
    background: the value of what lies outside the patient
    places: key -> slice
    """

    values: NDArray[np.float32]
    spacing: tuple[float, float, float]
    origin: NDArray[np.float64]
    axes: NDArray[np.float64]
    modality: str
    background: float
    places: dict[int, Slice] = field(default_factory=dict)

    def cells_of(self, slice_: Slice) -> tuple[int, NDArray[np.intp], NDArray[np.intp]]:
        """The plane of the volume nearest to a slice, and for each of its rows and columns the nearest index in it."""
        x, y, z = (slice_.origin - self.origin) @ self.axes
        between_planes, between_rows, between_columns = self.spacing
        planes, rows, columns = self.values.shape
        down = np.round((y + np.arange(slice_.rows) * slice_.spacing[0]) / between_rows)
        across = np.round((x + np.arange(slice_.columns) * slice_.spacing[1]) / between_columns)
        plane = min(max(round(float(z) / between_planes), 0), planes - 1)
        return plane, down.clip(0, rows - 1).astype(np.intp), across.clip(0, columns - 1).astype(np.intp)

    def mask_of(self, mask: NDArray[np.bool_], slice_: Slice) -> NDArray[np.bool_]:
        """What a mask of the volume says of the pixels of a slice.

        Parameters
        ----------
        mask: of the shape of ``values``
        slice_: one of ``places``
        """
        plane, down, across = self.cells_of(slice_)
        return np.ascontiguousarray(mask[plane][np.ix_(down, across)])

    def upright(self, cells: NDArray[Any], *, edge: float, outside: float) -> NDArray[Any]:
        """Cells of the volume on a grid along the patient's axes: planes from the feet up, rows to the back.

        Parameters
        ----------
        cells: ``values`` or a mask of their shape
        edge: of a cell of the grid, in millimetres
        outside: what stands where there are no cells
        """
        counts = np.array(self.values.shape[::-1])
        steps = self.axes * np.array(self.spacing[::-1])
        corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (counts - 1)
        places = self.origin + corners @ steps.T
        low, high = places.min(axis=0), places.max(axis=0)
        size = np.maximum(1, np.ceil((high - low) / edge).astype(int) + 1)
        found = np.full(tuple(size[::-1]), outside, cells.dtype)
        back = np.linalg.inv(steps)
        x, y = (low[axis] + np.arange(size[axis]) * edge for axis in (0, 1))
        for level in range(size[2]):
            z = low[2] + level * edge
            flat = np.empty((size[1], size[0], 3))
            flat[..., 0], flat[..., 1], flat[..., 2] = x[np.newaxis, :], y[:, np.newaxis], z
            indices = np.round((flat - self.origin) @ back.T).astype(np.intp)
            there = ((indices >= 0) & (indices < counts)).all(axis=-1)
            i, j, k = (indices[..., axis][there] for axis in range(3))
            found[level][there] = cells[k, j, i]
        return found


def is_slice_of_volume(instance: Instance) -> bool:
    """Whether an instance is a single CT or MR slice: what ``build`` takes."""
    return _class_of(instance) in MODALITIES


def place_of(instance: Instance, key: int) -> tuple[Slice, PixelDescription]:
    """Where a slice lies, and what its pixels are.

    Parameters
    ----------
    instance: as received
    key: by which the caller knows it

    Raises
    ------
    SeriesUnfit: it is no slice with a known place
    PixelsUnreadable: its pixels contradict their description
    """
    modality = MODALITIES.get(_class_of(instance))
    if modality is None:
        raise SeriesUnfit(reason="an image of it is no single CT or MR slice")
    description = describe(instance)
    if description is None or description.frames != 1 or description.samples_per_pixel != 1:
        raise SeriesUnfit(reason="an image of it has no pixels, several frames, or colours")
    origin, orientation, spacing = (
        _numbers(instance.text(tag), count) for tag, count in ((_POSITION, 3), (_ORIENTATION, 6), (_SPACING, 2))
    )
    if origin is None or orientation is None or spacing is None or (spacing <= 0).any():
        raise SeriesUnfit(reason="a slice says not where it lies (Image Position, Image Orientation or Pixel Spacing)")
    row, column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if any(abs(length - 1) > _ALIKE for length in lengths) or abs(float(row @ column)) > _ALIKE:
        raise SeriesUnfit(reason="Image Orientation (Patient) of a slice is none")
    slope, intercept = (_numbers(instance.text(tag), 1) for tag in (_SLOPE, _INTERCEPT))
    return Slice(
        key=key,
        rows=description.rows,
        columns=description.columns,
        spacing=(float(spacing[0]), float(spacing[1])),
        origin=origin,
        row=row / lengths[0],
        column=column / lengths[1],
        slope=1.0 if slope is None or not slope[0] else float(slope[0]),
        intercept=0.0 if intercept is None else float(intercept[0]),
        modality=modality,
    ), description


def build(slices: Iterable[Slice], frame_of: Callable[[Slice], NDArray[Any]]) -> SeriesVolume:
    """The volume of the slices of a series.

    Parameters
    ----------
    slices: all of them, in any order
    frame_of: gives the stored values of a slice, of shape (rows, columns); asked once, for those that are needed

    Raises
    ------
    SeriesUnfit: they make no volume
    """
    members = list(slices)
    first = _alike(members)
    normal = np.cross(first.row, first.column)
    axes = np.column_stack((first.row, first.column, normal))
    reduce = tuple(max(1, int(_CELL / one)) for one in first.spacing)
    heights = {one.key: float(one.origin @ normal) for one in members}
    chosen = _levels(sorted(members, key=lambda one: heights[one.key]), heights)
    gaps = np.diff([heights[one.key] for one in chosen])
    if len(chosen) < _FEWEST or float(gaps.sum()) < _SHORTEST:
        raise SeriesUnfit(reason="it has too few slices, or too little of the patient, to be one volume")
    if float(gaps.max()) > _WIDEST_GAP:
        raise SeriesUnfit(reason=f"slices are missing: there is a gap of {float(gaps.max()):.0f} mm between two")
    step = max(_CELL, float(np.median(gaps)))
    rows, columns = (first.rows // reduce[0], first.columns // reduce[1])
    between = (first.spacing[0] * reduce[0], first.spacing[1] * reduce[1])
    # Slices of a tilted gantry lie beside each other.
    flat = np.array([one.origin @ axes[:, :2] for one in chosen])
    low, high = flat.min(axis=0), flat.max(axis=0)
    shape = (
        round(float(gaps.sum()) / step) + 1,
        rows + round(float(high[1] - low[1]) / between[0]),
        columns + round(float(high[0] - low[0]) / between[1]),
    )
    apart = max(shape[1:]) > 4 * max(rows, columns)
    if apart or min(rows, columns) < _FEWEST or np.prod(shape, dtype=float) > _MOST_CELLS:
        raise SeriesUnfit(reason="it is larger than a volume may be, or its slices do not lie behind each other")
    inset = [(one - 1) / 2 * spacing for one, spacing in zip(reduce, first.spacing, strict=True)]
    origin = axes @ np.array((low[0] + inset[1], low[1] + inset[0], heights[chosen[0].key]))
    values = np.full(shape, np.nan, np.float32)
    nearest = _nearest([heights[one.key] - heights[chosen[0].key] for one in chosen], shape[0], step)
    for number, slice_ in enumerate(chosen):
        planes = np.flatnonzero(nearest == number)
        if not len(planes):
            continue
        cells = _cells(frame_of(slice_), slice_, reduce)
        top = round(float(flat[number][1] - low[1]) / between[0])
        left = round(float(flat[number][0] - low[0]) / between[1])
        values[planes, top : top + rows, left : left + columns] = cells
    background = -1000.0 if first.modality == "CT" else float(np.nanmin(values))
    np.nan_to_num(values, copy=False, nan=background)
    return SeriesVolume(
        values, (step, *between), origin, axes, first.modality, background, {one.key: one for one in members}
    )


def frame_values(frame: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    """The stored values of a frame without what other bits of their cells hold."""
    if frame.ndim != 2:
        raise PixelsUnreadable(reason="a slice is no single grey frame")
    cells = without_unused_bits(frame, description)
    shift = description.high_bit + 1 - description.bits_stored
    return cells >> shift if shift > 0 else cells


def _alike(members: Sequence[Slice]) -> Slice:
    """The first slice, if all are of one form and orientation."""
    if not members:
        raise SeriesUnfit(reason="it has no slices")
    if len(members) > _MOST_SLICES:
        raise SeriesUnfit(reason=f"it has more than {_MOST_SLICES} slices")
    first = members[0]
    for one in members:
        if (one.rows, one.columns, one.modality) != (first.rows, first.columns, first.modality):
            raise SeriesUnfit(reason="its slices have several sizes or modalities")
        if max(abs(a - b) for a, b in zip(one.spacing, first.spacing, strict=True)) > _ALIKE:
            raise SeriesUnfit(reason="its slices have several pixel spacings")
        if np.abs(one.row - first.row).max() > _ALIKE or np.abs(one.column - first.column).max() > _ALIKE:
            raise SeriesUnfit(reason="its slices have several orientations, as localizers have")
    return first


def _levels(ordered: Sequence[Slice], heights: dict[int, float]) -> list[Slice]:
    """One slice for each place: a series may have several images of one, as of other moments or echoes."""
    chosen: list[Slice] = []
    for one in ordered:
        if not chosen or heights[one.key] - heights[chosen[-1].key] > _SAME_PLACE:
            chosen.append(one)
    return chosen


def _nearest(heights: Sequence[float], planes: int, step: float) -> NDArray[np.intp]:
    """For each plane the number of the slice that is nearest to it."""
    at = np.arange(planes) * step
    after = np.searchsorted(heights, at).clip(1, len(heights) - 1)
    known = np.asarray(heights)
    return np.where(at - known[after - 1] <= known[after] - at, after - 1, after)


def _cells(frame: NDArray[Any], slice_: Slice, reduce: tuple[int, ...]) -> NDArray[np.float32]:
    """The means of blocks of pixels, in the modality's units."""
    rows, columns = frame.shape[0] // reduce[0], frame.shape[1] // reduce[1]
    whole = frame[: rows * reduce[0], : columns * reduce[1]].astype(np.float32)
    means = whole.reshape(rows, reduce[0], columns, reduce[1]).mean(axis=(1, 3), dtype=np.float32)
    return np.asarray(means * np.float32(slice_.slope) + np.float32(slice_.intercept), np.float32)


def _numbers(text: str, count: int) -> NDArray[np.float64] | None:
    """The decimal strings of a value; None if there are other than ``count``."""
    try:
        found = np.array([float(one) for one in text.split("\\")])
    except ValueError:
        return None
    return found if len(found) == count and bool(np.isfinite(found).all()) else None


def _class_of(instance: Instance) -> str:
    return instance.text(_SOP_CLASS) or instance.meta.sop_class_uid
