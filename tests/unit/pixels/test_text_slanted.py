"""Rectangles at an angle: the narrowest one, what covers it, lines of several, and the level view."""

from __future__ import annotations

from dataclasses import replace
from math import cos, hypot, radians, sin

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.pixels.text.box import TextBox
from gateway.pixels.text.slanted import SlantedBox, covers, level_view, narrowest, placed, slanted_lines

ANGLES = [-90, -73.5, -45, -20, -3, 0, 5, 30, 45, 61, 88, 135, 178, -160]


def line(x: float, y: float, width: float, height: float, angle: float) -> SlantedBox:
    return SlantedBox(x=x, y=y, width=width, height=height, angle=angle, confidence=0.9)


def drawn(box: SlantedBox, rows: int = 200, columns: int = 240) -> NDArray[np.bool_]:
    """The pixels whose centres lie in a box."""
    y, x = np.mgrid[0:rows, 0:columns]
    along, down = box.axis
    a, b = (x - box.x) * along + (y - box.y) * down, (y - box.y) * along - (x - box.x) * down
    inside: NDArray[np.bool_] = (abs(a) <= box.width / 2) & (abs(b) <= box.height / 2)
    return inside


@pytest.mark.parametrize("angle", ANGLES)
def test_narrowest_rectangle_is_found_again(angle: float) -> None:
    x, y, width, height, found = narrowest(drawn(line(120, 100, 110, 21, angle)))
    assert hypot(x - 120, y - 100) < 1.5
    assert width == pytest.approx(110, abs=3)
    assert height == pytest.approx(21, abs=3)
    apart = abs(found - angle) % 180
    assert min(apart, 180 - apart) <= 1.5
    assert -90 <= found <= 90


@pytest.mark.parametrize(
    "inside",
    [np.ones((1, 1), bool), np.ones((1, 30), bool), np.ones((30, 1), bool), np.eye(20, dtype=bool)],
    ids=["pixel", "row", "column", "diagonal"],
)
def test_narrowest_rectangle_of_little_has_a_size(inside: NDArray[np.bool_]) -> None:
    _x, _y, width, height, _angle = narrowest(inside)
    assert width >= height >= 0.9


@pytest.mark.parametrize("angle", ANGLES)
def test_cover_has_all_of_the_line_and_little_beside_it(angle: float) -> None:
    box = line(120, 100, 130, 20, angle)
    inside = drawn(box)
    covered = np.zeros_like(inside)
    boxes = box.cover(rows=200, columns=240)
    for one in boxes:
        assert one.x >= 0 <= one.y
        assert one.right <= 240
        assert one.bottom <= 200
        covered[one.y : one.bottom, one.x : one.right] = True
    assert not (inside & ~covered).any()
    # An upright rectangle around a line at 45 degrees is four times as large as the line.
    assert covered.sum() < 1.75 * inside.sum()
    assert len(boxes) <= 20


def test_cover_ends_at_the_edge_of_the_image() -> None:
    boxes = line(5, 5, 100, 20, 40).cover(rows=30, columns=40)
    assert boxes
    assert all(one.x >= 0 <= one.y and one.right <= 40 and one.bottom <= 30 and one.width > 0 for one in boxes)
    assert line(-80, -80, 100, 20, 40).cover(rows=30, columns=40) == ()


def test_upright_box_covers_itself() -> None:
    (box,) = SlantedBox.of(TextBox(x=10, y=20, width=60, height=12, confidence=0.9)).cover(rows=100, columns=100)
    assert (box.x, box.y) == (9, 19)
    assert (box.right, box.bottom) == (71, 33)


def beside(angle: float, along: float, down: float = 0, *, turn: float = 0, height: float = 20) -> SlantedBox:
    """A word at a place along a line at ``angle`` through (100, 100), and across it."""
    c, s = cos(radians(angle)), sin(radians(angle))
    return line(100 + along * c - down * s, 100 + along * s + down * c, 50, height, angle + turn)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize(
    ("others", "number"),
    [
        # A word beside it, at a slightly other angle, and one after that.
        ([(60, 1, 3), (125, -1, -3)], 1),
        # The same place, read from the other end.
        ([(4, 1, 180)], 1),
        # The line below, one far away, and one at another angle.
        ([(0, 26, 0)], 2),
        ([(330, 0, 0)], 2),
        ([(60, 1, 40)], 2),
    ],
)
def test_lines_are_joined_at_any_angle(angle: float, others: list[tuple[float, float, float]], number: int) -> None:
    words = [beside(angle, 0), *(beside(angle, along, down, turn=turn) for along, down, turn in others)]
    found = slanted_lines(words)
    assert len(found) == number
    if number == 1:
        everything = np.any([drawn(word, 700, 700) for word in words], axis=0)
        kept = replace(found[0], width=found[0].width + 6, height=found[0].height + 6)
        assert not (everything & ~drawn(kept, 700, 700)).any()


def test_line_keeps_what_is_known_of_its_words() -> None:
    words = [beside(30, 0), replace(beside(30, 60), identifying=True, confidence=0.7)]
    (found,) = slanted_lines(words)
    assert found.identifying
    assert found.confidence == 0.9


def test_covers() -> None:
    whole = beside(25, 0)
    assert covers(whole, replace(whole, width=20)) == pytest.approx(1, abs=0.05)
    assert covers(replace(whole, width=20), whole) == pytest.approx(0.4, abs=0.05)
    assert covers(whole, beside(25, 0, 40)) == 0


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("colour", [False, True])
def test_level_view_shows_the_line_level(angle: float, *, colour: bool) -> None:
    box = line(120, 100, 90, 20, angle)
    # Bright is the half of the line in which it begins.
    along, down = box.axis
    first = drawn(line(120 - 22.5 * along, 100 - 22.5 * down, 45, 20, angle))
    picture = np.where(first, 200, 20).astype(np.uint8)
    view = np.repeat(picture[..., None], 3, axis=-1) if colour else picture
    level, where = level_view(view, box, beside=30, above=10)
    assert (where.width, where.height) == (90, 20)
    crop = level[where.y : where.bottom, where.x : where.right]
    assert crop[3:-3, 3:40].min() > 180
    assert crop[3:-3, 50:].max() < 40
    assert level.shape[:2] == (40, 150)


def test_level_view_ends_with_the_image() -> None:
    level, where = level_view(np.full((60, 80), 9, np.uint8), line(40, 30, 60, 10, 0), beside=500)
    assert level.shape[1] == 80
    # Half a pixel either way.
    assert where.x in (10, 11)
    assert where.width == 60
    # A box that is wholly outside gives a view all the same.
    level, where = level_view(np.full((60, 80), 9, np.uint8), line(300, 300, 60, 10, 20))
    assert level.size
    assert where.right <= level.shape[1]


@pytest.mark.parametrize("angle", ANGLES)
def test_box_that_grows_in_the_level_view_grows_in_the_image(angle: float) -> None:
    box = line(120, 100, 60, 20, angle)
    before = TextBox(x=40, y=10, width=60, height=20, confidence=0.9)
    longer = placed(box, before, replace(before, width=80))
    along, down = box.axis
    assert (longer.width, longer.height) == (80, 20)
    assert longer.x == pytest.approx(120 + 10 * along)
    assert longer.y == pytest.approx(100 + 10 * down)
