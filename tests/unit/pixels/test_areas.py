"""Rectangles are brought to images, united and turned inside out without losing or doubling a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.errors import RuleFailed
from gateway.pixels.areas import Area, area_of, covered, outside, united
from gateway.profile.pixel_program import Rectangle


def painted(areas: tuple[Area, ...], rows: int, columns: int) -> np.ndarray[Any, Any]:
    """How many areas each pixel is in."""
    image = np.zeros((rows, columns), dtype=int)
    for area in areas:
        image[area.top : area.bottom, area.left : area.right] += 1
    return image


@pytest.mark.parametrize(
    ("rectangle", "expected"),
    [
        ((0, 0, 10, 20), Area(0, 0, 10, 20)),
        # to the edges
        ((5, 6, 0, 0), Area(5, 6, 100, 50)),
        # from the right and bottom edges, -1 is the last one
        ((-10, -5, 10, 5), Area(90, 45, 100, 50)),
        ((-10, -5, 0, 0), Area(90, 45, 100, 50)),
        ((-1, -1, 1, 1), Area(99, 49, 100, 50)),
        # one that ends outside is cut off
        ((90, 0, 1024, 60), Area(90, 0, 100, 50)),
    ],
)
def test_area_of(rectangle: tuple[int, int, int, int], expected: Area) -> None:
    assert area_of(Rectangle(*rectangle), rows=50, columns=100, where="the rule") == expected


@pytest.mark.parametrize(
    "rectangle",
    [
        # behind the last column or row
        (100, 0, 5, 5),
        (0, 50, 5, 5),
        # before the first one
        (-101, 0, 5, 5),
        (0, -51, 5, 5),
    ],
)
def test_a_rectangle_that_begins_outside_is_an_error(rectangle: tuple[int, int, int, int]) -> None:
    with pytest.raises(RuleFailed, match=r"the rule failed: .* begins outside the image of 100 columns and 50 rows"):
        area_of(Rectangle(*rectangle), rows=50, columns=100, where="the rule")


@pytest.mark.parametrize("rectangle", [(90, 0, 11, 5), (0, 40, 5, 11)])
def test_what_is_kept_lies_inside(rectangle: tuple[int, int, int, int]) -> None:
    with pytest.raises(RuleFailed, match="ends outside"):
        area_of(Rectangle(*rectangle), rows=50, columns=100, where="the rule", whole=True)


#: Overlapping, touching, inside each other, apart, at the edges, the whole image, none.
LAYOUTS = (
    (),
    (Area(0, 0, 30, 20),),
    (Area(0, 0, 10, 10), Area(5, 5, 15, 15)),
    (Area(0, 0, 10, 10), Area(10, 0, 20, 10), Area(0, 10, 20, 12)),
    (Area(2, 2, 20, 18), Area(4, 4, 6, 6)),
    (Area(0, 0, 3, 3), Area(27, 17, 30, 20), Area(0, 17, 3, 20)),
    (Area(5, 0, 8, 20), Area(0, 5, 30, 8), Area(29, 0, 30, 1)),
)


@pytest.mark.parametrize("areas", LAYOUTS)
def test_union_and_outside_share_out_every_pixel_once(areas: tuple[Area, ...]) -> None:
    inside = painted(areas, 20, 30) > 0
    assert np.array_equal(painted(united(areas), 20, 30), inside.astype(int))
    assert np.array_equal(painted(outside(areas, rows=20, columns=30), 20, 30), (~inside).astype(int))
    assert covered(areas, rows=20, columns=30) == pytest.approx(inside.mean())


def test_many_random_layouts() -> None:
    random = np.random.default_rng(4)
    for _ in range(200):
        corners = random.integers(0, 20, (5, 2, 2))
        areas = tuple(
            Area(*(int(one) for one in pair.min(0)), *(int(one) + 1 for one in pair.max(0))) for pair in corners
        )
        inside = painted(areas, 21, 21) > 0
        assert np.array_equal(painted(united(areas), 21, 21), inside.astype(int))
        assert np.array_equal(painted(outside(areas, rows=21, columns=21), 21, 21), (~inside).astype(int))


def test_strips_of_equal_width_are_one_rectangle() -> None:
    assert united((Area(0, 0, 5, 5), Area(0, 5, 5, 9))) == (Area(0, 0, 5, 9),)


def test_within() -> None:
    assert Area(0, 0, 10, 10).within(Area(5, 5, 20, 20)) == Area(5, 5, 10, 10)
    assert Area(0, 0, 10, 10).within(Area(10, 0, 20, 10)) is None
