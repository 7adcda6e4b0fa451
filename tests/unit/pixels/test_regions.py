"""The regions of ultrasound images are believed only where they are possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.errors import RuleFailed
from gateway.pixels.areas import Area
from gateway.pixels.regions import ultrasound_regions
from tests.fixtures.treating import US, image, noise, opened, stored


def region(x0: int, y0: int, x1: int, y1: int, format_: int | None = 1) -> Dataset:
    found = Dataset()
    if format_ is not None:
        found.RegionSpatialFormat = format_
    found.RegionLocationMinX0, found.RegionLocationMinY0 = x0, y0
    found.RegionLocationMaxX1, found.RegionLocationMaxY1 = x1, y1
    return found


def regions(folder: Path, items: list[Dataset] | None, **values: Any) -> tuple[Area, ...]:
    source = image(noise(40, 60, dtype="uint8", below=200), US, **values)
    if items is not None:
        source.SequenceOfUltrasoundRegions = items
    with opened(stored(folder, source)) as instance:
        return ultrasound_regions(instance, rows=40, columns=60, where="the rule")


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        # the maxima belong to the region
        ([region(5, 6, 20, 30)], (Area(5, 6, 21, 31),)),
        ([region(0, 0, 59, 39)], (Area(0, 0, 60, 40),)),
        # some devices write the number of columns and rows
        ([region(0, 0, 60, 40)], (Area(0, 0, 60, 40),)),
        # all five kinds of image, no other
        ([region(0, 0, 9, 9, kind) for kind in range(6)], (Area(0, 0, 10, 10),) * 5),
    ],
)
def test_regions(tmp_path: Path, items: list[Dataset], expected: tuple[Area, ...]) -> None:
    assert regions(tmp_path, items) == expected


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        (None, "has no region of an image"),
        ([], "has no region of an image"),
        # nothing that is an image
        ([region(0, 0, 9, 9, 0)], "has no region of an image"),
        ([region(0, 0, 9, 9, 13)], "has no region of an image"),
        # outside the image, beside a right one too: the numbers are of another image
        ([region(0, 0, 9, 9), region(0, 0, 61, 20)], "ends outside"),
        ([region(0, 0, 20, 595)], "ends outside"),
        # empty
        ([region(9, 9, 9, 20)], "is empty"),
        ([region(9, 9, 20, 8)], "is empty"),
        # incomplete
        ([region(0, 0, 9, 9, None)], "has no spatial format"),
        ([Dataset()], r"has no \(0018,6018\)"),
    ],
)
def test_impossible_regions(tmp_path: Path, items: list[Dataset] | None, reason: str) -> None:
    with pytest.raises(RuleFailed, match=reason):
        regions(tmp_path, items)
