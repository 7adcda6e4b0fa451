"""Comparing the picture that a profile's test expects with the one that came out."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread

from gateway.dicom.segments import copy_to
from gateway.errors import RuleFailed
from gateway.pixels.areas import area_of
from gateway.profile.pixel_program import Rectangle
from gateway.profile.program import ProfileTest
from gateway.rehearsal.dry_run import DryRunResult

__all__ = ["picture_problems"]


def picture_problems(test: ProfileTest, outcome: DryRunResult, path: Path) -> Iterator[str]:
    """How the picture of ``outcome`` differs from what ``test`` expects, one sentence each.

    Parameters
    ----------
    test
        the test
    outcome
        what became of its instance, which must still be open
    path
        the file of the instance
    """
    if outcome.output is None or not (test.black or test.same):
        return
    file = BytesIO()
    copy_to(outcome.output.segments, file)
    file.seek(0)
    before, after = _picture(dcmread(path)), _picture(dcmread(file))
    if before is None or after is None:
        yield "the picture cannot be read"
        return
    if before.shape != after.shape:
        yield f"the picture has another size: {_size(after)}, before {_size(before)}"
        return
    for rectangle in test.black:
        parts = _parts(before, after, rectangle)
        if parts is None:
            yield f"{rectangle} lies outside the picture"
        elif not _is_one_colour(parts[1]):
            yield f"{rectangle} is not black"
        elif np.array_equal(*parts):
            yield f"{rectangle} had one colour before: nothing can be told of it"
    for rectangle in test.same:
        parts = _parts(before, after, rectangle)
        if parts is None:
            yield f"{rectangle} lies outside the picture"
        elif not np.array_equal(*parts):
            yield f"{rectangle} has changed"


def _picture(dataset: Dataset) -> np.ndarray[Any, Any] | None:
    """Frames, rows, columns, samples; None if it cannot be decoded here."""
    try:
        pixels = np.asarray(dataset.pixel_array)
    except Exception:  # noqa: BLE001 - pydicom raises whatever a codec does
        return None
    if int(dataset.get("SamplesPerPixel", 1)) == 1:
        pixels = pixels[..., np.newaxis]
    return pixels if pixels.ndim == 4 else pixels[np.newaxis]


def _parts(
    before: np.ndarray[Any, Any], after: np.ndarray[Any, Any], rectangle: Rectangle
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    try:
        area = area_of(rectangle, rows=before.shape[1], columns=before.shape[2], where="a test")
    except RuleFailed:
        return None
    place = np.s_[:, area.top : area.bottom, area.left : area.right]
    return before[place], after[place]


def _is_one_colour(part: np.ndarray[Any, Any]) -> bool:
    return bool((part == part[:1, :1, :1]).all())


def _size(picture: np.ndarray[Any, Any]) -> str:
    return f"{picture.shape[2]} columns and {picture.shape[1]} rows"
