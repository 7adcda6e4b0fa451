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

from gateway.errors import PixelsUnreadable, SeriesUnfit
from gateway.pixels.description import PixelDescription
from gateway.pixels.faces.places import Slice
from gateway.pixels.fill import without_unused_bits

__all__ = ["SeriesVolume", "build", "frame_values"]

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


@dataclass(slots=True)
class SeriesVolume:
    """The volume of a series.

    Attributes
    ----------
    values
        of shape (planes, rows, columns): Hounsfield units of CT, brightness of MR
    spacing
        between planes, rows and columns, in millimetres
    origin
        centre of the first cell along the patient's axes, in millimetres
    axes
        directions of the columns' index, of the rows' and of the planes', as columns of a matrix
    modality
        CT or MR
    background
        the value of what lies outside the patient
    places
        key -> the slices of an instance, in the order of its frames
    """

    values: NDArray[np.float32]
    spacing: tuple[float, float, float]
    origin: NDArray[np.float64]
    axes: NDArray[np.float64]
    modality: str
    background: float
    places: dict[int, tuple[Slice, ...]] = field(default_factory=dict)

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
        mask
            of the shape of ``values``
        slice_
            one of ``places``
        """
        plane, down, across = self.cells_of(slice_)
        return np.ascontiguousarray(mask[plane][np.ix_(down, across)])

    def upright(self, cells: NDArray[Any], *, edge: float, outside: float) -> NDArray[Any]:
        """Cells of the volume on a grid along the patient's axes: planes from the feet up, rows to the back.

        Parameters
        ----------
        cells
            ``values`` or a mask of their shape
        edge
            of a cell of the grid, in millimetres
        outside
            what stands where there are no cells
        """
        counts = np.array(self.values.shape[::-1])
        steps = self.axes * np.array(self.spacing[::-1])
        corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (counts - 1)
        places = self.origin + corners @ steps.T
        low, high = places.min(axis=0), places.max(axis=0)
        size = np.maximum(1, np.ceil((high - low) / edge).astype(int) + 1)
        grid = np.full(tuple(size[::-1]), outside, cells.dtype)
        back = np.linalg.inv(steps)
        x, y = (low[axis] + np.arange(size[axis]) * edge for axis in (0, 1))
        for level in range(size[2]):
            z = low[2] + level * edge
            flat = np.empty((size[1], size[0], 3))
            flat[..., 0], flat[..., 1], flat[..., 2] = x[np.newaxis, :], y[:, np.newaxis], z
            indices = np.round((flat - self.origin) @ back.T).astype(np.intp)
            there = ((indices >= 0) & (indices < counts)).all(axis=-1)
            i, j, k = (indices[..., axis][there] for axis in range(3))
            grid[level][there] = cells[k, j, i]
        return grid


def build(slices: Iterable[Slice], frame_of: Callable[[Slice], NDArray[Any]]) -> SeriesVolume:
    """The volume of the slices of a series.

    Parameters
    ----------
    slices
        all of them, in any order
    frame_of
        gives the stored values of a slice, of shape (rows, columns); asked once, for those that are needed

    Raises
    ------
    SeriesUnfit
        they make no volume
    """
    members = list(slices)
    first = _alike(members)
    normal = np.cross(first.row, first.column)
    axes = np.column_stack((first.row, first.column, normal))
    reduce = tuple(max(1, int(_CELL / one)) for one in first.spacing)
    # Of slices of one place the first one that the caller gave.
    levels = _levels(sorted(((float(one.origin @ normal), one) for one in members), key=lambda level: level[0]))
    chosen, heights = [one for _, one in levels], [height for height, _ in levels]
    gaps = np.diff(heights)
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
    origin = axes @ np.array((low[0] + inset[1], low[1] + inset[0], heights[0]))
    values = np.full(shape, np.nan, np.float32)
    nearest = _nearest([height - heights[0] for height in heights], shape[0], step)
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
    places: dict[int, list[Slice]] = {}
    for one in members:
        places.setdefault(one.key, []).append(one)
    return SeriesVolume(
        values, (step, *between), origin, axes, first.modality, background,
        {key: tuple(sorted(of_one, key=lambda one: one.frame)) for key, of_one in places.items()},
    )  # fmt: skip


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


def _levels(ordered: Sequence[tuple[float, Slice]]) -> list[tuple[float, Slice]]:
    """One slice for each height: a series may have several images of a place, as of other moments or echoes."""
    chosen: list[tuple[float, Slice]] = []
    for height, one in ordered:
        if not chosen or height - chosen[-1][0] > _SAME_PLACE:
            chosen.append((height, one))
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
