"""Black is black in every kind of image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.errors import PixelsUnreadable
from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription
from gateway.pixels.fill import blacken, fill_of, without_unused_bits
from gateway.pixels.palette import Palette


def description(**values: Any) -> PixelDescription:
    found: dict[str, Any] = {
        "rows": 4, "columns": 4, "samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": 16, "bits_stored": 16, "high_bit": 15, "pixel_representation": 0,
        "planar_configuration": 0, "frames": 1, "transfer_syntax": "1.2.840.10008.1.2.1", "encapsulated": False,
    }  # fmt: skip
    found |= values
    if "bits_stored" in values and "high_bit" not in values:
        found["high_bit"] = values["bits_stored"] - 1
    return PixelDescription(**found)


PALETTE = Palette(first=10, bits=16, red=(9, 1, 0), green=(9, 0, 0), blue=(9, 0, 2))


@pytest.mark.parametrize(
    ("values", "photometric", "expected"),
    [
        ({}, "MONOCHROME2", (0,)),
        ({}, "MONOCHROME1", (65535,)),
        ({"bits_stored": 12}, "MONOCHROME1", (4095,)),
        # signed: the lowest value is black, not 0
        ({"pixel_representation": 1, "bits_stored": 12}, "MONOCHROME2", (-2048,)),
        ({"pixel_representation": 1}, "MONOCHROME2", (-32768,)),
        ({"pixel_representation": 1, "bits_stored": 12}, "MONOCHROME1", (2047,)),
        # what viewers take for background
        ({"pixel_representation": 1, "padding_value": -2000}, "MONOCHROME2", (-2000,)),
        ({"padding_value": 4095, "bits_stored": 12}, "MONOCHROME1", (4095,)),
        # a padding value that cannot be stored
        ({"padding_value": 63536, "bits_stored": 12}, "MONOCHROME2", (0,)),
        ({"padding_value": 5, "bits_stored": 12, "high_bit": 15}, "MONOCHROME1", (4095 << 4,)),
        # colour
        ({"samples_per_pixel": 3, "bits_allocated": 8, "bits_stored": 8}, "RGB", (0, 0, 0)),
        ({"samples_per_pixel": 3, "bits_allocated": 8, "bits_stored": 8}, "YBR_FULL", (0, 128, 128)),
        ({"samples_per_pixel": 3}, "YBR_FULL", (0, 32768, 32768)),
        # the darkest entry by lightness is the second one: red weighs less than green and more than blue
        ({"palette": PALETTE}, "PALETTE COLOR", (12,)),
    ],
)
def test_fill_of(values: dict[str, Any], photometric: str, expected: tuple[int, ...]) -> None:
    assert fill_of(description(photometric_interpretation=photometric, **values), photometric) == expected


@pytest.mark.parametrize(
    ("values", "photometric"),
    [
        # nothing is known to be dark
        ({}, "PALETTE COLOR"),
        # the darkest entry cannot be stored
        ({"palette": Palette(first=300, bits=16, red=(0,), green=(0,), blue=(0,)), "bits_stored": 8}, "PALETTE COLOR"),
        ({}, "CMYK"),
    ],
)
def test_without_a_black_the_instance_is_held(values: dict[str, Any], photometric: str) -> None:
    with pytest.raises(PixelsUnreadable):
        fill_of(description(**values), photometric)


def test_blacken_leaves_the_rest() -> None:
    frame = np.arange(1, 17, dtype="uint16").reshape(4, 4)
    frame.flags.writeable = False
    found = blacken(frame, [Area(0, 0, 2, 1), Area(3, 3, 4, 4)], (7,))
    expected = frame.copy()
    expected[0, :2] = expected[3, 3] = 7
    assert np.array_equal(found, expected)
    assert frame[0, 0] == 1


def test_blacken_colour() -> None:
    found = blacken(np.ones((3, 3, 3), dtype="uint8"), [Area(1, 1, 3, 2)], (0, 128, 128))
    assert found[1, 1].tolist() == found[1, 2].tolist() == [0, 128, 128]
    assert int((found == 1).sum()) == 7 * 3


@pytest.mark.parametrize(
    ("values", "dtype", "before", "after"),
    [
        # an overlay above the high bit goes
        ({"bits_stored": 12}, "uint16", [0x8FFF, 0x1001], [0x0FFF, 0x0001]),
        # a repeated sign stays, an overlay in its place goes
        ({"bits_stored": 12, "pixel_representation": 1}, "int16", [-5, 5], [-5, 5]),
        ({"bits_stored": 12, "pixel_representation": 1}, "int16", [0x4005, 0x0FFB], [5, -5]),
        # samples in the upper bits
        ({"bits_stored": 12, "high_bit": 15}, "uint16", [0xFFF7, 0x0010], [0xFFF0, 0x0010]),
        # nothing is unused
        ({}, "uint16", [0xFFFF, 0], [0xFFFF, 0]),
        ({"bits_stored": 12, "bits_allocated": 32, "high_bit": 11}, "uint32", [0x80000FFF, 1], [0xFFF, 1]),
    ],
)
def test_bits_that_are_no_part_of_a_sample(
    values: dict[str, Any], dtype: str, before: list[int], after: list[int]
) -> None:
    frame = np.array([before]).astype(dtype)
    assert without_unused_bits(frame, description(**values)).tolist() == [after]
