"""An image looked at in several scales: wholly in the coarsest, in finer ones only where that saw a trace of text.

The network sees a trace of nearly every line in the coarsest scale; what is finer makes the trace a line with exact
edges. Most images have no text, and end with the first pass. Large images are looked at in half their size first, in
which the smallest text is lost, and in small ones there may be text of six or seven pixels: fine strokes that stand out
are a trace as well.

The network takes colours. It is given the image as it is displayed as one of them, and its local contrast as the two
others: what shows in either of them it sees in one pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.text.box import TextBox, covered_share
from gateway.pixels.text.detector import Detected, Detector
from gateway.pixels.text.views import Views

__all__ = ["Scales", "first_scales", "look", "second_scales"]

#: Images whose shorter edge is up to this are looked at in their own size first, others in half of it.
_SMALL: Final = 1200
#: Pixels, in the coarsest scale, around a trace that are looked at more closely.
_AROUND: Final = 48
#: Part of the image from which it is looked at as a whole instead.
_MOST: Final = 0.6
#: Edge of the blocks of pixels in which strokes stand out if at least this part of them does, and grey levels of the
#: local contrast, from the middle, by which they do: two deviations.
_BLOCK: Final = 16
_STROKES: Final = 0.07
_OUT: Final = 100

Scales = tuple[float, ...]


def first_scales(rows: int, columns: int) -> Scales:
    """The scales of the first look, the coarsest first."""
    return (1.0, 2.0) if min(rows, columns) <= _SMALL else (0.5, 1.0)


def second_scales(rows: int, columns: int) -> Scales:
    """The scales of the second look: one more, in which small and faint text is as large as the network knows it."""
    return (1.0, 2.0, 3.0) if min(rows, columns) <= _SMALL else (0.5, 1.0, 1.5)


def look(detector: Detector, view: Views, scales: Scales, *, sensitive: bool = False, wholly: int = 1) -> Detected:
    """What looks like text in a projection, in all scales.

    Parameters
    ----------
    detector
        the network
    view
        of an image
    scales
        the coarsest first
    sensitive
        lower limits
    wholly
        in how many scales, from the coarsest, all of the image is looked at
    """
    coarsest, *finer = scales
    picture = _coloured(view)
    detected = detector.detect(picture, coarsest, sensitive=sensitive)
    around = round(_AROUND / coarsest)
    strokes = list(_strokes(view.contrast))
    if coarsest >= 1 and _is_all(_patches(strokes, around, picture.shape), picture.shape):
        # Where all is fine strokes, as in slices of a body, they tell nothing; text of any usual size leaves a trace.
        strokes = []
    patches = _patches([*detected.traces, *strokes], around, picture.shape)
    for number, scale in enumerate(finer, start=1):
        for patch in [None] if number < wholly else patches:
            detected.add(detector.detect(picture, scale, sensitive=sensitive, within=patch))
    return detected


def _coloured(view: Views) -> NDArray[np.uint8]:
    """Both pictures of a projection as one in colour, of shape (rows, columns, 3)."""
    shown = view.contrast if view.shown is None else view.shown
    grey = shown.max(axis=-1) if shown.ndim == 3 else shown
    return np.stack((view.contrast, grey, view.contrast), axis=-1)


def _strokes(contrast: NDArray[np.uint8]) -> Iterator[TextBox]:
    """The blocks in which much stands out, as strokes of characters do and grain does not."""
    rows, columns = (length // _BLOCK for length in contrast.shape)
    whole = contrast[: rows * _BLOCK, : columns * _BLOCK]
    out = (whole >= 128 + _OUT) | (whole <= 128 - _OUT)
    share = out.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3))
    for y, x in zip(*np.nonzero(share >= _STROKES), strict=True):
        yield TextBox(x=int(x) * _BLOCK, y=int(y) * _BLOCK, width=_BLOCK, height=_BLOCK, confidence=0)


def _patches(traces: Iterable[TextBox], around: int, shape: Sequence[int]) -> list[TextBox]:
    """Rectangles that hold all traces with what is around them, none of which overlap."""
    rows, columns = shape[:2]
    waiting = [_around(trace, around, rows=rows, columns=columns) for trace in traces]
    patches: list[TextBox] = []
    while waiting:
        patch = waiting.pop()
        beside = [other for other in patches if patch.overlap(other)]
        if beside:
            for other in beside:
                patches.remove(other)
                patch = patch.joined(other)
            waiting.append(patch)
        else:
            patches.append(patch)
    if covered_share(patches, rows=rows, columns=columns) > _MOST:
        return [TextBox(x=0, y=0, width=columns, height=rows, confidence=0)]
    return patches


def _is_all(patches: Sequence[TextBox], shape: Sequence[int]) -> bool:
    return len(patches) == 1 and (patches[0].height, patches[0].width) == tuple(shape[:2])


def _around(trace: TextBox, by: int, *, rows: int, columns: int) -> TextBox:
    x, y = max(0, trace.x - by), max(0, trace.y - by)
    right, bottom = min(columns, trace.right + by), min(rows, trace.bottom + by)
    return TextBox(x=x, y=y, width=right - x, height=bottom - y, confidence=trace.confidence)
