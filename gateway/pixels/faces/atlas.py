"""The shipped command that finds a face: an average head with a mask of its face is laid on the head of the volume.

It is run as a program, ``python -m gateway.pixels.faces.atlas IN OUT``, by the contract of
``gateway.pixels.faces.face_command``: it reads ``IN/volume.nii`` and ``IN/series.json`` and writes ``OUT/mask.nii``,
with 1 where there is a face. Its exit code is 3 if no part of the volume is of the size of a head, and 4 if it is not
sure.

CT and MR of all contrasts tell air from patient alike, and a face is a part of the skin. So skin is laid on skin: the
distances of points from the skin of either head are made equal in the sense of least squares (Gauss-Newton, outliers
weighted down), by a similarity transform and then by an affine one.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gateway.extras.deface import ATLAS, FACE, HEAD, atlas_path
from gateway.pixels.faces.nifti import Cells, read

__all__ = ["NO_HEAD", "UNSURE", "NoHead", "Unsure", "find_face", "main"]

NO_HEAD: Final = 3
UNSURE: Final = 4

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

#: Edge of a cell in which heads are told from air, in millimetres.
_EDGE: Final = 4.0
#: A head reaches so far below its highest point, in millimetres: what is below is neck and chest.
_REACH: Final = 225.0
#: CT: what is brighter is patient, in Hounsfield units.
_SKIN: Final = -300.0
#: Widths and depths of a head's levels, in millimetres, and how much of such levels make a head possible.
_WIDTHS: Final = (70.0, 230.0)
_DEPTHS: Final = (90.0, 290.0)
_LEAST_HEAD: Final = 30.0
#: A level of less is above the head, in square millimetres.
_TOP_AREA: Final = 1500.0
#: Distances from the skin count up to so many millimetres, and differences of more than so many count less.
_FAR: Final = 25.0
_OUTLIER: Final = 6.0
#: Points of the skin that are laid on the other, first for place and size, then for its form; and steps at most.
_FEW_POINTS: Final = 4_000
_MANY_POINTS: Final = 12_000
_MOST_STEPS: Final = 20
#: How differently heads are formed: the spread of their sizes along the axes.
_SPREAD: Final = 0.08
#: What lies well: overlap (Dice), median distance of the skins in millimetres, sizes, and turns in degrees.
_OVERLAP: Final = 0.90
_DISTANCE: Final = 5.0
_SIZES: Final = (0.7, 1.4)
_TURN: Final = 40.0
#: If it lies better back to front, by this part of the distance, then the header is not believed.
_BETTER: Final = 0.92
#: The face is taken away with so much around it, in millimetres.
_MARGIN: Final = 5.0
#: Nods from which the search begins, in degrees.
_NODS: Final = (-25.0, 0.0, 25.0)
_LARGEST: Final = 60_000_000


class Unsure(Exception):
    """The face cannot be told with certainty."""


class NoHead(Exception):
    """Nothing in the volume is of the size of a head."""


@dataclass(frozen=True, slots=True)
class _Head:
    """A head on a grid of cells along the patient's axes: x to the left, y to the back, z up.

    Attributes
    ----------
    body
        patient, and not air; of shape (z, y, x)
    origin
        centre of the first cell
    distance
        from the skin in millimetres, inside negative
    """

    body: Flags
    origin: Floats
    distance: Floats


@dataclass(frozen=True, slots=True)
class _Lay:
    """How a place of the volume becomes one of the average: ``matrix @ place + shift``; and how well."""

    matrix: Floats
    shift: Floats
    overlap: float = 0.0
    distance: float = _FAR


def main(source: Path, target: Path) -> int:
    """Find the face of the volume in ``source``; the exit code."""
    report: dict[str, float] = {}
    try:
        volume = read(source / "volume.nii", most=_LARGEST)
        modality = str(json.loads((source / "series.json").read_text("utf-8"))["modality"])
        mask = find_face(volume, modality, report)
    except NoHead:
        return NO_HEAD
    except Unsure:
        return UNSURE
    finally:
        (target / "report.json").write_text(json.dumps({key: round(value, 3) for key, value in report.items()}))
    header = bytearray((source / "volume.nii").read_bytes()[:352])
    # The same geometry, bytes instead of floats.
    header[70:74] = (2).to_bytes(2, "little") + (8).to_bytes(2, "little")
    (target / "mask.nii").write_bytes(bytes(header) + mask.astype("u1").tobytes())
    return 0


def find_face(volume: Cells, modality: str, report: dict[str, float]) -> Flags:
    """The mask of the face, of the shape of the volume.

    Parameters
    ----------
    volume
        Hounsfield units of CT, brightness of MR
    modality
        CT or MR
    report
        gets what says how well the heads lie on each other

    Raises
    ------
    NoHead
        nothing is of the size of a head
    Unsure
        the heads do not lie on each other
    """
    head = _head(volume, modality)
    average = _head(_atlas(HEAD), "MR")
    laid = min((_laid(head, average, nod, turned=False) for nod in _NODS), key=lambda one: one.distance)
    turned = _laid(head, average, 0.0, turned=True)
    report |= {"overlap": laid.overlap, "distance": laid.distance, "distance_back_to_front": turned.distance}
    sizes = np.linalg.svd(laid.matrix, compute_uv=False)
    turn = _angle(laid.matrix)
    report |= {"smallest": 1 / float(sizes.max()), "largest": 1 / float(sizes.min()), "turn": turn}
    well = laid.overlap >= _OVERLAP and laid.distance <= _DISTANCE and turn <= _TURN
    if not well or not _SIZES[0] <= 1 / sizes.max() <= 1 / sizes.min() <= _SIZES[1]:
        raise Unsure
    if turned.distance < _BETTER * laid.distance:
        raise Unsure
    return _moved(_atlas(FACE), laid, volume)


def _atlas(name: str) -> Cells:
    """A file of the atlas, which must be the known one."""
    path = atlas_path(name)
    if path is None or hashlib.sha256(path.read_bytes()).hexdigest() != ATLAS[name]:
        raise SystemExit(f"{name} is missing or is not the known file")
    return read(path, most=_LARGEST)


def _head(volume: Cells, modality: str) -> _Head:
    """The upper part of the patient in a volume.

    Raises
    ------
    NoHead
        no part is of the size of a head
    """
    values, origin = _upright(volume)
    body = _patient(values, modality)
    top = _top(body)
    first, last = max(0, top - int(_REACH / _EDGE)), min(len(body), top + 4)
    body = body[first:last]
    # What was not imaged is neither skin nor air: distances are those to what was.
    outside = ndimage.distance_transform_edt(~body, sampling=_EDGE)
    inside = ndimage.distance_transform_edt(body, sampling=_EDGE) if not body.all() else np.full(body.shape, _FAR)
    distance = np.clip(np.where(body, 0.5 * _EDGE - inside, outside - 0.5 * _EDGE), -_FAR, _FAR)
    return _Head(body, origin + np.array((0.0, 0.0, first * _EDGE)), distance)


def _upright(volume: Cells) -> tuple[Floats, Floats]:
    """The values on a grid along the patient's axes, and the centre of its first cell."""
    counts = np.array(volume.values.shape[::-1])
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (counts - 1)
    places = volume.origin + corners @ volume.steps.T
    low, high = places.min(axis=0), places.max(axis=0)
    size = np.ceil((high - low) / _EDGE).astype(int) + 1
    edges = np.linalg.norm(volume.steps, axis=0)
    smooth = ndimage.gaussian_filter(np.asarray(volume.values, np.float32), (0.4 * _EDGE / edges[::-1]), mode="nearest")
    back = np.linalg.inv(volume.steps)
    # Indices of the volume are (z, y, x), and so are those of the grid.
    swap = np.eye(3)[::-1]
    matrix = swap @ (back * _EDGE) @ swap
    offset = swap @ (back @ (low - volume.origin))
    values = ndimage.affine_transform(
        smooth, matrix, offset, output_shape=tuple(size[::-1]), order=1, mode="constant", cval=float(smooth.min())
    )  # fmt: skip
    return np.asarray(values, np.float64), low


def _patient(values: Floats, modality: str) -> Flags:
    """The patient without air: the largest piece, with what is enclosed in it."""
    bright = values > (_SKIN if modality == "CT" else _threshold(values))
    opened = ndimage.binary_opening(bright, iterations=1)
    pieces, count = ndimage.label(opened)
    if not count:
        raise NoHead
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    padded = np.pad(pieces == sizes.argmax(), 2, mode="edge")
    body = ndimage.binary_closing(padded, iterations=2)[2:-2, 2:-2, 2:-2]
    return np.stack([ndimage.binary_fill_holes(level) for level in body])


def _threshold(values: Floats) -> float:
    """Between air and patient: a tenth of the way from the darkest to the brightest (as Smith 2002 has it)."""
    low, high = (float(one) for one in np.percentile(values, (2, 98)))
    if high <= low:
        raise NoHead
    return low + 0.1 * (high - low)


def _top(body: Flags) -> int:
    """The highest level of the patient.

    Raises
    ------
    NoHead
        no part is of the size of a head
    """
    areas = body.sum(axis=(1, 2)) * _EDGE**2
    levels = np.flatnonzero(areas >= _TOP_AREA)
    likely = 0
    for number in levels:
        width = (np.ptp(np.flatnonzero(body[number].any(axis=0))) + 1) * _EDGE
        depth = (np.ptp(np.flatnonzero(body[number].any(axis=1))) + 1) * _EDGE
        likely += int(_WIDTHS[0] <= width <= _WIDTHS[1] and _DEPTHS[0] <= depth <= _DEPTHS[1])
    if likely * _EDGE < _LEAST_HEAD:
        raise NoHead
    return int(levels.max())


def _laid(head: _Head, average: _Head, nod: float, *, turned: bool) -> _Lay:
    """The average laid on the head, from a start with top on top and middle on middle."""
    angle = np.deg2rad(nod)
    start = np.array(((1, 0, 0), (0, np.cos(angle), -np.sin(angle)), (0, np.sin(angle), np.cos(angle))))
    if turned:
        start = np.diag((-1.0, -1.0, 1.0)) @ start
    here, there = _middle(head), _middle(average)
    pose = _Pose(start, np.zeros(3), there, here)
    sample = _sampler(average)
    pose = _fitted(pose, *_points(head, _FEW_POINTS), sample, together=True)
    pose = _fitted(pose, *_points(head, _MANY_POINTS), sample, together=False)
    return _judged(pose.lay, head, average)


def _middle(head: _Head) -> Floats:
    """The middle of the upper part of a head, 70 mm below its top."""
    areas = head.body.sum(axis=(1, 2)) * _EDGE**2
    top = int(np.flatnonzero(areas >= _TOP_AREA).max())
    upper = head.body[max(0, top - int(110 / _EDGE)) : top + 1]
    _, y, x = np.nonzero(upper)
    return head.origin + np.array((x.mean(), y.mean(), top - 70 / _EDGE)) * _EDGE


def _points(head: _Head, most: int) -> tuple[Floats, Floats]:
    """Places about the skin, and their distances from it."""
    near = np.argwhere(np.abs(head.distance) < 0.9 * _FAR)
    chosen = near[:: max(1, len(near) // most)]
    return head.origin + chosen[:, ::-1] * _EDGE, head.distance[tuple(chosen.T)]


def _sampler(average: _Head) -> Callable[[Floats], tuple[Floats, Floats, Flags]]:
    """Gives distances from the average's skin, their gradients, and which places were imaged."""
    z, y, x = np.gradient(average.distance, _EDGE)
    maps = np.stack((average.distance, x, y, z), axis=-1)
    size = np.array(average.distance.shape[::-1])

    def sample(places: Floats) -> tuple[Floats, Floats, Flags]:
        indices = (places - average.origin) / _EDGE
        there = ((indices >= 0) & (indices <= size - 1)).all(axis=1)
        cells = np.round(indices).astype(int).clip(0, size - 1)
        nearest = maps[cells[:, 2], cells[:, 1], cells[:, 0]]
        gradient = nearest[:, 1:]
        # Along the gradient from the centre of the nearest cell.
        values = nearest[:, 0] + (gradient * (indices - cells) * _EDGE).sum(axis=1)
        return values, gradient, np.asarray(there)

    return sample


@dataclass(frozen=True, slots=True)
class _Pose:
    """``there + turn @ diag(exp(sizes)) @ (place - here)``."""

    turn: Floats
    sizes: Floats
    there: Floats
    here: Floats

    @property
    def lay(self) -> _Lay:
        matrix = self.turn * np.exp(self.sizes)
        return _Lay(matrix, self.there - matrix @ self.here)


def _fitted(
    pose: _Pose,
    points: Floats,
    known: Floats,
    sample: Callable[[Floats], tuple[Floats, Floats, Flags]],
    *,
    together: bool,
) -> _Pose:
    """The pose by which distances from both skins are most alike; with ``together`` all sizes change alike."""
    arms = (points - pose.here) / 100.0
    for _ in range(_MOST_STEPS):
        lay = pose.lay
        values, gradient, there = sample(points @ lay.matrix.T + lay.shift)
        if there.sum() < 0.3 * len(points):
            return pose
        away, gradient = (values - known)[there], gradient[there]
        weights = 1.0 / (1.0 + (away / _OUTLIER) ** 2)
        # Changes with a turn (of 0.01) about each axis of the average, with each size (of 1 %), and with each shift.
        scaled = arms[there] * np.exp(pose.sizes)
        turned = scaled @ pose.turn.T
        sizes = scaled * (gradient @ pose.turn)
        if together:
            sizes = sizes.sum(axis=1, keepdims=True)
        jacobian = np.concatenate((np.cross(turned, gradient), sizes, gradient), axis=1)
        count = sizes.shape[1]
        squared = jacobian.T @ (weights[:, np.newaxis] * jacobian)
        slope = jacobian.T @ (weights * away)
        if not together:
            # Heads are longer or wider than the average by some per cent, and not by a third.
            stiff = weights.sum() * (_OUTLIER / 100.0 / _SPREAD / 3) ** 2
            deviation = (pose.sizes - pose.sizes.mean()) * 100.0
            squared[3:6, 3:6] += stiff * (np.eye(3) - 1 / 3)
            slope[3:6] += stiff * deviation
        squared += np.eye(len(squared)) * 1e-3 * np.trace(squared) / len(squared)
        change = -np.linalg.solve(squared, slope).clip(-15, 15)
        pose = _Pose(
            _turn(change[:3] / 100.0) @ pose.turn,
            pose.sizes + np.broadcast_to(change[3 : 3 + count] / 100.0, 3),
            pose.there + change[-3:],
            pose.here,
        )
        if np.abs(change).max() < 0.1:
            break
    return pose


def _turn(vector: Floats) -> Floats:
    """The rotation about a vector by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array(((0, -z, y), (z, 0, -x), (-y, x, 0)))
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def _judged(lay: _Lay, head: _Head, average: _Head) -> _Lay:
    """The transform with what says how well the heads lie on each other, where both were imaged."""
    cells = np.argwhere(np.ones(head.body.shape, bool))
    places = (head.origin + cells[:, ::-1] * _EDGE) @ lay.matrix.T + lay.shift
    indices = np.round((places - average.origin) / _EDGE).astype(int)
    size = np.array(average.body.shape[::-1])
    there = ((indices >= 0) & (indices < size)).all(axis=1)
    here = head.body.ravel()
    if (here & there).sum() < 0.5 * here.sum():
        return _Lay(lay.matrix, lay.shift)
    x, y, z = indices[there].T
    other, mine = average.body[z, y, x], here[there]
    overlap = 2.0 * float((mine & other).sum()) / float(mine.sum() + other.sum())
    skin = np.abs(head.distance.ravel()[there]) < _EDGE
    away = np.abs(average.distance[z, y, x] - head.distance.ravel()[there])[skin]
    return _Lay(lay.matrix, lay.shift, overlap, float(np.sqrt(np.mean(away.clip(0, 15) ** 2))))


def _angle(matrix: Floats) -> float:
    """By how much a matrix turns, in degrees; 180 if it mirrors."""
    left, _, right = np.linalg.svd(matrix)
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        return 180.0
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def _moved(keep: Cells, lay: _Lay, volume: Cells) -> Flags:
    """The face on the grid of the volume: the file of the atlas says where it is not."""
    edges = np.linalg.norm(keep.steps, axis=0)[::-1]
    size = [2 * round(_MARGIN / edge) + 1 for edge in edges]
    face = ndimage.maximum_filter((np.asarray(keep.values) < 0.5).astype("u1"), size, mode="nearest")
    # Index of the volume -> place -> place of the average -> index of the average.
    back = np.linalg.inv(keep.steps)
    matrix = back @ lay.matrix @ volume.steps
    offset = back @ (lay.matrix @ volume.origin + lay.shift - keep.origin)
    swap = np.eye(3)[::-1]
    # Beyond the average's image it is as at its border: the face goes on to the front, to the sides and below.
    moved = ndimage.affine_transform(
        face, swap @ matrix @ swap, swap @ offset, output_shape=volume.values.shape, order=0, mode="nearest"
    )
    return np.asarray(moved > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
