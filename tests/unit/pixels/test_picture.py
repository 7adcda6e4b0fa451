"""Frames as pictures for a reviewer."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription
from gateway.pixels.palette import Palette
from gateway.pixels.picture import DrawnBox, draw, picture_of, png

GREY = PixelDescription(
    rows=40, columns=60, samples_per_pixel=1, photometric_interpretation="MONOCHROME2", bits_allocated=16,
    bits_stored=12, high_bit=11, pixel_representation=0, planar_configuration=0, frames=1,
    transfer_syntax="1.2.840.10008.1.2.1", encapsulated=False,
)  # fmt: skip
RGB = replace(GREY, samples_per_pixel=3, bits_allocated=8, bits_stored=8, high_bit=7)
PALETTE = Palette(first=0, bits=16, red=(0, 65535), green=(0, 32768), blue=(0, 0))


def ramp(*, step: int = 1, start: int = 0, dtype: str = "<u2") -> NDArray[Any]:
    return (np.arange(60) * step + start).astype(dtype)[np.newaxis, :].repeat(40, axis=0)


def grey(values: NDArray[Any], description: PixelDescription = GREY, photometric: str = "MONOCHROME2") -> list[int]:
    """The first row of the picture, of which all colours are equal."""
    picture = picture_of(values, description, photometric)
    assert picture.shape == (40, 60, 3)
    assert (picture[:, :, 0] == picture[:, :, 2]).all()
    return [int(value) for value in picture[0, :, 0]]


@pytest.mark.parametrize(
    ("values", "description", "photometric", "first", "last"),
    [
        # the darkest is black, the brightest white, whatever the range
        (ramp(step=10), GREY, "MONOCHROME2", 0, 255),
        (ramp(step=10), GREY, "MONOCHROME1", 255, 0),
        # two's complement of 12 bits in words of 16
        (ramp(step=10, start=-300, dtype="<i2"), replace(GREY, pixel_representation=1), "MONOCHROME2", 0, 255),
        # what lies above High Bit is no part of the sample
        (ramp(step=10) | 0xF000, GREY, "MONOCHROME2", 0, 255),
    ],
)
def test_grey(values: NDArray[Any], description: PixelDescription, photometric: str, first: int, last: int) -> None:
    row = grey(values, description, photometric)
    assert row[0] == first
    assert row[-1] == last
    assert row == sorted(row, reverse=first > last)


def test_text_at_the_largest_value_is_seen_beside_bone() -> None:
    """A few pixels far above everything else stay apart from the brightest of the rest."""
    values = ramp(step=10)
    values[0, :3] = 4095
    row = grey(values)
    assert min(row[:3]) == 255
    assert max(row[3:]) < 200


def test_one_value_is_no_error() -> None:
    assert set(grey(np.full((40, 60), 7, "<u2"))) == {0}


def test_palette() -> None:
    description = replace(GREY, photometric_interpretation="PALETTE COLOR", palette=PALETTE)
    picture = picture_of(ramp(), description, "PALETTE COLOR")
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[0, 1].tolist() == [255, 128, 0]
    # beyond its end a palette has its last colour
    assert picture[0, 59].tolist() == [255, 128, 0]


@pytest.mark.parametrize(
    ("photometric", "value", "colour"),
    [
        ("RGB", (10, 20, 30), [10, 20, 30]),
        # black, white and red (PS3.3 C.7.6.3.1.2)
        ("YBR_FULL", (0, 128, 128), [0, 0, 0]),
        ("YBR_FULL", (255, 128, 128), [255, 255, 255]),
        ("YBR_FULL", (76, 85, 255), [254, 0, 0]),
    ],
)
def test_colour(photometric: str, value: tuple[int, int, int], colour: list[int]) -> None:
    frame = np.zeros((40, 60, 3), np.uint8) + np.array(value, np.uint8)
    assert picture_of(frame, RGB, photometric)[5, 5].tolist() == colour


def test_boxes_surround_what_they_mark() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    drawn = draw(picture, [DrawnBox(area=Area(10, 20, 30, 30), colour=(255, 0, 0), number=12)])
    assert (picture == 0).all()
    red = drawn[:, :, 0] == 255
    # the edge lies outside of the box: nothing that is to be judged is covered
    assert not red[20:30, 10:30].any()
    assert red[19, 9:31].all()
    assert red[30, 9:31].all()
    assert red[19:31, 9].all()
    assert red[19:31, 30].all()
    # the number stands above it
    assert red[:18].any()


def test_boxes_at_the_edge_of_the_image() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    drawn = draw(picture, [DrawnBox(area=Area(0, 0, 60, 40), colour=(0, 255, 0), number=1)])
    assert (drawn[0, :, 1] == 255).all()
    assert (drawn[:, 59, 1] == 255).all()


def test_png_is_read_by_others() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    with Image.open(io.BytesIO(png(picture))) as read:
        assert read.mode == "RGB"
        assert read.info == {}
        assert (np.asarray(read) == picture).all()
