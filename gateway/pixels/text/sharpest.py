"""What a single frame of a clip or one slice of a volume has beside the others.

Text that stands in one frame of many, of a grey between what the others have in its place, is in neither the maximum
nor the minimum, and too faint in the mean. It is in the deviation of that frame from the median. Other frames deviate
in the same place, where something moves, but not in fine strokes. A frame that is darker than the others there deviates
as well, and by as much as the text may be brighter than the median: which way it deviates must stay to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Sharpest", "sharpest"]

#: Edge of the blocks of pixels for which a frame is chosen, and of the neighbourhood of blocks by which it is.
_BLOCK: Final = 8
_AROUND: Final = 5
#: Edge of the neighbourhood whose mean deviation is no stroke: what moves, and flashes.
_SMOOTH: Final = 33
#: The grey of what does not deviate, and the farthest from it.
_NONE: Final = 255
#: Percentiles of the median between which its range is.
_BOUNDS: Final = (0.5, 99.5)
#: Times the usual deviation that are shown at least, and every how many-th pixel is asked for it.
_GRAINS: Final = 16
_STEP: Final = 4
#: Frames from which there is a median.
_FEWEST: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Sharpest:
    """What frames have that others have not.

    Attributes
    ----------
    picture
        the differences less their mean around, of the shape of a frame, from 0 to 510: 255 is none, and 255 above
        or below it the range of the median, at least many times what frames deviate by grain, and all beyond
    chosen
        of which frame they are, by blocks of pixels
    """

    picture: NDArray[np.int16]
    chosen: NDArray[np.intp]

    def frames_at(self, y: int, x: int, bottom: int, right: int) -> NDArray[np.intp]:
        """The frames of which a part of the picture is, those that have most of it first."""
        part = self.chosen[y // _BLOCK : -(-bottom // _BLOCK), x // _BLOCK : -(-right // _BLOCK)]
        numbers, counts = np.unique(part, return_counts=True)
        return numbers[np.argsort(-counts, kind="stable")]


def sharpest(frames: Sequence[NDArray[Any]]) -> Sharpest | None:
    """In each place the deviation from the median of that frame whose deviation has most fine structure there.

    Parameters
    ----------
    frames
        stored values of shape (rows, columns)

    Returns
    -------
    None of fewer than three frames.
    """
    if len(frames) < _FEWEST:
        return None
    middle = np.partition(np.stack(frames), len(frames) // 2, axis=0)[len(frames) // 2].astype(np.float32)
    low, high = (float(bound) for bound in np.percentile(middle, _BOUNDS))
    grain = float(
        np.median([np.median(np.abs(frame[::_STEP, ::_STEP] - middle[::_STEP, ::_STEP])) for frame in frames])
    )
    scale = np.float32(255 / max(high - low, _GRAINS * grain, 1.0))
    rows, columns = middle.shape
    best: NDArray[np.float32] | None = None
    picture = np.zeros((rows, columns), dtype=np.int16)
    chosen = np.zeros((-(-rows // _BLOCK), -(-columns // _BLOCK)), dtype=np.intp)
    for number, frame in enumerate(frames):
        difference = (frame - middle) * scale
        difference -= ndimage.uniform_filter(difference, _SMOOTH)
        deviation = np.clip(difference + _NONE, 0, 2 * _NONE).astype(np.int16)
        structure = _structure(deviation)
        if best is None:
            best, picture = structure, deviation
            continue
        sharper = structure > best
        if sharper.any():
            best = np.where(sharper, structure, best)
            here = np.repeat(np.repeat(sharper, _BLOCK, axis=0), _BLOCK, axis=1)[:rows, :columns]
            picture = np.where(here, deviation, picture)
            chosen[sharper] = number
    return Sharpest(picture, chosen)


def _structure(deviation: NDArray[np.int16]) -> NDArray[np.float32]:
    """How much neighbouring pixels differ, by blocks and what is around them."""
    rows, columns = (-(-length // _BLOCK) for length in deviation.shape)
    values = np.zeros((rows * _BLOCK, columns * _BLOCK), dtype=np.int16)
    values[: deviation.shape[0], : deviation.shape[1]] = deviation
    values[deviation.shape[0] :] = values[deviation.shape[0] - 1]
    values[:, deviation.shape[1] :] = values[:, deviation.shape[1] - 1 : deviation.shape[1]]
    edges = np.abs(np.diff(values, axis=0, append=values[-1:])) + np.abs(np.diff(values, axis=1, append=values[:, -1:]))
    blocks = edges.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3), dtype=np.float32)
    around: NDArray[np.float32] = ndimage.uniform_filter(blocks, _AROUND)
    return around
