"""What a volume shows of a face: the skin as it is seen from the front and from both sides.

Rays go straight along the patient's axes to the first cell that is patient; how bright the skin is there follows from
how it is inclined, as in daylight from the viewer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.faces.checking import skin_threshold
from gateway.pixels.faces.volume import SeriesVolume
from gateway.pixels.picture import Picture

__all__ = ["preview"]

#: Edge of a cell and of a pixel, in millimetres.
_EDGE: Final = 1.5
#: What is shown below the top, in millimetres.
_REACH: Final = 260.0
_TOP_AREA: Final = 1500.0
_GAP: Final = 6
_BACKGROUND: Final = 24
#: How often the skin is smoothed: cells are coarse, and their edges are no features.
_SMOOTHED: Final = 3


def preview(volume: SeriesVolume, after: SeriesVolume | None = None) -> Picture:
    """Front, left and right, side by side; below the same of what would go out, if that is given.

    Parameters
    ----------
    volume
        of a series
    after
        the same series without its face
    """
    values = volume.upright(volume.values, edge=_EDGE, outside=volume.background)
    level = skin_threshold(volume)
    first, last = _head(values > level)
    values = values[first:last]
    rows = [_views(values, level)]
    if after is not None:
        rows.append(_views(after.upright(after.values, edge=_EDGE, outside=volume.background)[first:last], level))
    line = np.full((_GAP, rows[0].shape[1]), _BACKGROUND, np.uint8)
    grey = np.concatenate([part for row in rows for part in (row, line)][:-1])
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _head(patient: NDArray[np.bool_]) -> tuple[int, int]:
    """The levels that are shown: a head's from the top of the patient, and some air above."""
    levels = np.flatnonzero(patient.sum(axis=(1, 2)) * _EDGE**2 >= _TOP_AREA)
    top = int(levels.max()) if len(levels) else len(patient) - 1
    return max(0, top - round(_REACH / _EDGE)), min(len(patient), top + 12)


def _views(values: NDArray[np.float32], level: float) -> NDArray[np.uint8]:
    # The viewer looks along the second index; what is on the viewer's left comes first in the third.
    front = values
    left = values[:, :, ::-1].transpose(0, 2, 1)
    right = values.transpose(0, 2, 1)[:, :, ::-1]
    views = [_shaded(one, level) for one in (front, left, right)]
    gap = np.full((len(views[0]), _GAP), _BACKGROUND, np.uint8)
    return np.concatenate((views[0], gap, views[1], gap, views[2]), axis=1)


def _shaded(values: NDArray[np.float32], level: float) -> NDArray[np.uint8]:
    """The skin, top first; where nothing is met it is dark."""
    patient = values > level
    # Two in a row: a single bright cell is noise.
    thick = patient[:, :-1] & patient[:, 1:]
    met = np.asarray(thick.any(axis=1))
    first = thick.argmax(axis=1)
    z, x = np.indices(first.shape)
    before = values[z, np.maximum(first - 1, 0), x]
    here = values[z, first, x]
    # Between two cells the skin is where the value passes the threshold.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip((level - before) / (here - before), 0.0, 1.0)
    depth = np.where(first > 0, first - 1 + np.nan_to_num(share, nan=1.0), 0.0)
    for _ in range(_SMOOTHED):
        depth = _smooth(depth, met)
    down, across = np.gradient(depth)
    light = 1.0 / np.sqrt(1.0 + down**2 + across**2)
    near = 1.0 - 0.35 * (depth - depth[met].min()) / max(float(np.ptp(depth[met])), 1.0) if met.any() else depth
    shade = np.where(met, 40.0 + 215.0 * light * near, _BACKGROUND)
    return np.asarray(shade[::-1].clip(0, 255), np.uint8)


def _smooth(depth: NDArray[np.float64], met: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Means of what is met in squares of three by three."""
    known = met.astype(float)
    total, count = np.zeros_like(depth), np.zeros_like(depth)
    padded, counts = np.pad(depth * known, 1), np.pad(known, 1)
    for row in range(3):
        for column in range(3):
            total += padded[row : row + depth.shape[0], column : column + depth.shape[1]]
            count += counts[row : row + depth.shape[0], column : column + depth.shape[1]]
    return np.where(count > 0, total / np.maximum(count, 1.0), depth)
