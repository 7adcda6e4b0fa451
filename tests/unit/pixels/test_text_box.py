"""Boxes of text: joining, growing, covering."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gateway.pixels.text.box import TextBox, covered_share, grown, lines, windows


def box(x: int, y: int, width: int, height: int, *, identifying: bool = False) -> TextBox:
    return TextBox(x=x, y=y, width=width, height=height, confidence=0.9, identifying=identifying)


def places(found: list[TextBox]) -> list[tuple[int, int, int, int]]:
    return [(one.x, one.y, one.width, one.height) for one in found]


@pytest.mark.parametrize(
    ("boxes", "joined"),
    [
        # Words of one line.
        ([box(0, 0, 40, 20), box(50, 2, 40, 20)], [(0, 0, 90, 22)]),
        # A third word that is near the second only.
        ([box(110, 0, 40, 20), box(0, 0, 40, 20), box(55, 0, 40, 20)], [(0, 0, 150, 20)]),
        # Two lines of a block.
        ([box(0, 0, 40, 20), box(0, 24, 40, 20)], [(0, 0, 40, 20), (0, 24, 40, 20)]),
        # The ends of a line that fades in between.
        ([box(0, 0, 60, 20), box(200, 1, 60, 20)], [(0, 0, 260, 21)]),
        # Of which the detector drew one end a third higher than the other.
        ([box(0, 0, 166, 36), box(266, 5, 88, 27)], [(0, 0, 354, 36)]),
        # Left and right of the image.
        ([box(0, 0, 60, 20), box(400, 0, 60, 20)], [(0, 0, 60, 20), (400, 0, 60, 20)]),
        # Neighbours of another height are another line.
        ([box(0, 0, 60, 20), box(120, 0, 60, 40)], [(0, 0, 60, 20), (120, 0, 60, 40)]),
        # A box inside another one.
        ([box(0, 0, 100, 90), box(10, 40, 30, 20)], [(0, 0, 100, 90)]),
    ],
)
def test_lines(boxes: list[TextBox], joined: list[tuple[int, int, int, int]]) -> None:
    assert places(lines(boxes)) == joined


def test_line_identifies_if_a_word_does() -> None:
    (line,) = lines([box(0, 0, 40, 20), box(45, 0, 40, 20, identifying=True)])
    assert line.identifying


def test_line_is_faint_if_all_of_it_is() -> None:
    faint, clear = (replace(box(x, 0, 40, 20), faint=x == 0) for x in (0, 45))
    assert [one.faint for one in lines([faint, clear])] == [False]
    assert [one.faint for one in lines([faint, replace(clear, faint=True)])] == [True]


@pytest.mark.parametrize(
    ("line", "margin"),
    [
        # Half a character more at both ends of a line, or of an upright one.
        (box(50, 40, 60, 20), (40, 37, 80, 26)),
        (box(50, 20, 20, 60), (47, 10, 26, 80)),
        # Never less than what was asked for.
        (box(50, 40, 30, 4), (47, 37, 36, 10)),
        # The image ends.
        (box(1, 2, 60, 20), (0, 0, 71, 25)),
        (box(90, 85, 60, 14), (83, 82, 37, 18)),
    ],
)
def test_margin(line: TextBox, margin: tuple[int, int, int, int]) -> None:
    assert places([grown(line, 3, rows=100, columns=120)]) == [margin]


@pytest.mark.parametrize(
    ("boxes", "share"),
    [
        ([], 0.0),
        ([box(0, 0, 50, 10)], 0.05),
        # What two cover counts once.
        ([box(0, 0, 50, 10), box(25, 0, 50, 10)], 0.075),
        ([box(0, 0, 100, 100), box(3, 3, 5, 5)], 1.0),
        ([box(0, 0, 10, 10), box(50, 50, 10, 10)], 0.02),
    ],
)
def test_covered_share(boxes: list[TextBox], share: float) -> None:
    assert covered_share(boxes, rows=100, columns=100) == pytest.approx(share)


@pytest.mark.parametrize(
    ("rows", "columns", "heights"),
    [(480, 640, {24, 48}), (30, 700, {24, 30}), (20, 100, {20}), (1300, 1500, {48, 96})],
)
def test_windows_cover_everything(rows: int, columns: int, heights: set[int]) -> None:
    found = list(windows(rows, columns))
    assert {one.height for one in found} == heights
    for height in heights:
        seen = np.zeros((rows, columns), dtype=np.intp)
        for one in found:
            if one.height == height:
                seen[one.y : one.bottom, one.x : one.right] += 1
        assert seen.min() > 0
    assert all(one.right <= columns and one.bottom <= rows for one in found)


def test_windows_share_half_a_line_and_a_short_word() -> None:
    found = [one for one in windows(400, 900) if one.height == 24]
    tops, lefts = (sorted({getattr(one, axis) for one in found}) for axis in "yx")
    assert max(np.diff(tops)) <= 12
    assert max(np.diff(lefts)) <= 5 * 24
