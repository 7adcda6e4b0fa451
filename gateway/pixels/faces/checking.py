"""Whether a face is gone, judged by what is left of the head, without trust in how the mask was made.

What is looked at is the skin that somebody in front of the patient sees, before and after: from the eyes to the mouth
it must have gone back nearly everywhere. Where these are follows from the nose, which is what stands out in the middle
of the front; without one, from the top and the length of the head. And what is no face must still be there: above,
behind, and most of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.faces.volume import SeriesVolume

__all__ = ["doubt_about", "skin_threshold"]

#: Edge of a cell, in millimetres.
_EDGE: Final = 3.0
#: CT: what is brighter is patient, in Hounsfield units.
_SKIN: Final = -300.0
#: A level of less is above the head, in square millimetres.
_TOP_AREA: Final = 1500.0
#: The length of an adult's head from front to back, to which the heights below belong, and what may be one, in
#: millimetres.
_LENGTH: Final = 190.0
_LENGTHS: Final = (110.0, 260.0)
#: Below the top of the head: what tells its length; where a nose may be; eyes and mouth, if there is none; above is no
#: face.
_CROWN: Final = (40.0, 90.0)
_NOSE: Final = (85.0, 178.0)
_FACE: Final = (118.0, 190.0)
_FOREHEAD: Final = 60.0
_SURELY: Final = 128.0
#: From the tip of the nose up to the eyes, and down below the mouth.
_UP: Final = 34.0
_DOWN: Final = 38.0
#: How far a nose stands out, how wide it is, and how far beside the middle its cheeks are.
_STANDS_OUT: Final = 8.0
_BRIDGE: Final = 6.0
_CHEEKS: Final = (22.0, 32.0)
#: Half the width of what is looked at.
_HALF_WIDTH: Final = 32.0
#: A level of the face has so much of the patient at least, in square millimetres, or is below the chin.
_LEAST_LEVEL: Final = 4000.0
#: Skin that has gone back by so much is gone; and the part of it that must be.
_BACK: Final = 8.0
_GONE: Final = 0.85
#: The same of the part with the eyes, with the nose, and with the mouth.
_GONE_OF_PART: Final = 0.7
#: Parts of the patient that may be lost: above the forehead, behind the middle of the head, and of all.
_ABOVE: Final = 0.01
_BEHIND: Final = 0.02
_ALL: Final = 0.4
_MOST_NEAR: Final = 3


@dataclass(frozen=True, slots=True)
class _Head:
    top: int
    middle: float
    front: float
    back: float


def doubt_about(volume: SeriesVolume, mask: NDArray[np.bool_]) -> str | None:
    """Why it is not certain that the mask takes the face away and nothing else; None if it is.

    Parameters
    ----------
    volume
        of the series, as received
    mask
        what is blanked, of its shape
    """
    values = volume.upright(volume.values, edge=_EDGE, outside=volume.background)
    patient = values > skin_threshold(volume)
    blanked = volume.upright(mask, edge=_EDGE, outside=False)
    head = _head(patient)
    if head is None:
        return "no head is seen where one should be"
    left = patient & ~blanked
    scale = (head.back - head.front) / _LENGTH
    return _doubt_about_rest(patient, left, head, scale) or _doubt_about_face(patient, left, head, scale)


def skin_threshold(volume: SeriesVolume) -> float:
    """The value above which a cell is patient, and not air."""
    if volume.modality == "CT":
        return _SKIN
    low, high = (float(one) for one in np.percentile(volume.values[::2, ::2, ::2], (2, 98)))
    return low + 0.12 * (high - low)


def _head(patient: NDArray[np.bool_]) -> _Head | None:
    areas = patient.sum(axis=(1, 2)) * _EDGE**2
    levels = np.flatnonzero(areas >= _TOP_AREA)
    if not len(levels):
        return None
    top = int(levels.max())
    first, last = (max(0, top - round(one / _EDGE)) for one in _CROWN[::-1])
    crown = patient[first : last + 1]
    if not crown.any():
        return None
    # The table behind and a blanket before the patient are thin: ends count from a tenth of the most that a row has.
    depth = crown.sum(axis=(0, 2))
    width = crown.sum(axis=(0, 1))
    rows, columns = (np.flatnonzero(one > 0.1 * one.max()) for one in (depth, width))
    front, back = float(rows.min()) * _EDGE, float(rows.max() + 1) * _EDGE
    if not _LENGTHS[0] <= back - front <= _LENGTHS[1]:
        return None
    return _Head(top, float(columns.min() + columns.max()) / 2, front, back)


def _doubt_about_rest(patient: NDArray[np.bool_], left: NDArray[np.bool_], head: _Head, scale: float) -> str | None:
    forehead = max(0, head.top - round(_FOREHEAD * scale / _EDGE))
    middle = round((head.front + head.back) / 2 / _EDGE)
    parts = (
        ("above the face", _lost(patient[forehead:], left[forehead:]), _ABOVE),
        ("in the back of the head", _lost(patient[:, middle:], left[:, middle:]), _BEHIND),
        ("of the whole", _lost(patient, left), _ALL),
    )
    for name, lost, most in parts:
        if lost > most:
            return f"too much is blanked {name}: {100 * lost:.0f} %"
    return None


def _doubt_about_face(patient: NDArray[np.bool_], left: NDArray[np.bool_], head: _Head, scale: float) -> str | None:
    half = max(1, round(_HALF_WIDTH * scale / _EDGE))
    middle = round(head.middle)
    across = slice(max(0, middle - half), middle + half + 1)
    nose = _nose(_front(patient[:, :, across]), head, scale)
    up, down = (-_FACE[0], _FACE[1]) if nose is None else (_UP, _DOWN)
    from_ = head.top if nose is None else nose
    # Whatever stands out: this high is a face in any case.
    highest = max(from_ + round(up * scale / _EDGE), head.top - round(_SURELY * scale / _EDGE))
    lowest = max(0, from_ - round(down * scale / _EDGE))
    if highest < _MOST_NEAR:
        # The series ends above the nose.
        return None
    before, after = (_front(one[lowest : highest + 1, :, across]) for one in (patient, left))
    there = patient[lowest : highest + 1].sum(axis=(1, 2)) * _EDGE**2 >= _LEAST_LEVEL * scale**2
    seen = np.isfinite(before) & there[:, np.newaxis]
    # Skin behind the middle of the head is the neck's.
    seen &= before * _EDGE < (head.front + head.back) / 2
    if not seen.any():
        return None if not there.any() else "no skin is seen where the face should be"
    back = np.where(seen, after - np.where(seen, before, 0.0), 0.0) * _EDGE >= _BACK
    thirds = zip(np.array_split(seen, 3), np.array_split(back, 3), strict=True)
    for skin, gone, enough in ((seen, back, _GONE), *((*third, _GONE_OF_PART) for third in thirds)):
        part = float(gone[skin].mean()) if skin.any() else 1.0
        if part < enough:
            return f"of the skin at eyes, nose and mouth {100 * (1 - part):.0f} % is still there"
    return None


def _nose(front: NDArray[np.float64], head: _Head, scale: float) -> int | None:
    """The level of the tip of the nose, where the middle stands out most before the cheeks; None if nothing does.

    A chin stands out as well, but lies lower than any nose.
    """
    highest, lowest = (max(0, head.top - round(one * scale / _EDGE)) for one in _NOSE)
    centre = front.shape[1] // 2
    away = np.abs(np.arange(front.shape[1]) - centre) * _EDGE / scale
    bridge = front[:, away <= _BRIDGE]
    cheeks = front[:, (away >= _CHEEKS[0]) & (away <= _CHEEKS[1])]
    whole = np.isfinite(bridge).all(axis=1) & np.isfinite(cheeks).all(axis=1)
    levels = np.arange(lowest, min(highest + 1, len(front)))
    levels = levels[np.asarray(whole)[levels]]
    if not len(levels):
        return None
    out = (np.median(cheeks[levels], axis=1) - np.median(bridge[levels], axis=1)) * _EDGE / scale
    best = int(out.argmax())
    return int(levels[best]) if out[best] >= _STANDS_OUT else None


def _front(cells: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The first row of patient that is seen from the front, by level and column; infinite where there is none."""
    # Two in a row: a single bright cell before the face is noise.
    thick = cells[:, :-1] & cells[:, 1:]
    return np.where(thick.any(axis=1), thick.argmax(axis=1), np.inf)


def _lost(patient: NDArray[np.bool_], left: NDArray[np.bool_]) -> float:
    count = int(patient.sum())
    return 0.0 if not count else 1.0 - int(left.sum()) / count
