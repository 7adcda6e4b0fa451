"""What is looked at in which scale, with a network that writes down what it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.pixels.text.box import TextBox
from gateway.pixels.text.detector import Detected
from gateway.pixels.text.pyramid import first_scales, look, second_scales
from gateway.pixels.text.views import Views


@dataclass
class Asked:
    """A detector that sees traces where it is told to, in the coarsest scale."""

    traces: list[TextBox]
    calls: list[tuple[float, TextBox | None]] = field(default_factory=list)
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)

    def detect(
        self, view: NDArray[np.uint8], scale: float, *, sensitive: bool = False, within: TextBox | None = None
    ) -> Detected:
        self.calls.append((scale, within))
        self.pictures.append(view)
        if within is None:
            return Detected(traces=list(self.traces))
        return Detected(level=[within])


def box(x: int, y: int, width: int, height: int) -> TextBox:
    return TextBox(x=x, y=y, width=width, height=height, confidence=0)


def view(rows: int, columns: int, shown: NDArray[np.uint8] | None = None) -> Views:
    return Views(shown, np.full((rows, columns), 128, np.uint8), closely=True)


def looked(detector: Asked, seen: Views, scales: tuple[float, ...]) -> Detected:
    any_detector: Any = detector
    return look(any_detector, seen, scales)


@pytest.mark.parametrize(
    ("rows", "columns", "first", "second"),
    [
        (512, 512, (1.0, 2.0), (1.0, 2.0, 3.0)),
        (1200, 3000, (1.0, 2.0), (1.0, 2.0, 3.0)),
        (1201, 3000, (0.5, 1.0), (0.5, 1.0, 1.5)),
    ],
)
def test_scales(rows: int, columns: int, first: tuple[float, ...], second: tuple[float, ...]) -> None:
    assert first_scales(rows, columns) == first
    assert second_scales(rows, columns) == second


def test_image_without_a_trace_is_looked_at_once() -> None:
    detector = Asked([])
    found = looked(detector, view(400, 500), (1.0, 2.0, 3.0))
    assert detector.calls == [(1.0, None)]
    assert found.level == []


def test_traces_are_looked_at_in_finer_scales_with_what_is_around_them() -> None:
    detector = Asked([box(200, 100, 40, 16), box(232, 104, 24, 8), box(10, 350, 8, 8)])
    found = looked(detector, view(400, 500), (1.0, 2.0, 3.0))
    # Neighbours are one patch; patches end with the image.
    near, corner = box(152, 52, 152, 112), box(0, 302, 66, 98)
    assert set(detector.calls) == {(1.0, None), *((scale, patch) for scale in (2.0, 3.0) for patch in (near, corner))}
    assert len(found.level) == 4


def test_patches_that_meet_by_growing_are_one() -> None:
    detector = Asked([box(0, 0, 8, 8), box(300, 0, 8, 8), box(150, 0, 8, 8), box(75, 0, 8, 8), box(225, 0, 8, 8)])
    looked(detector, view(200, 900), (1.0, 2.0))
    assert detector.calls[1:] == [(2.0, box(0, 0, 356, 56))]


def test_image_full_of_traces_is_looked_at_as_a_whole() -> None:
    detector = Asked([box(0, 0, 300, 300)])
    looked(detector, view(400, 400), (1.0, 2.0))
    assert detector.calls[1:] == [(2.0, box(0, 0, 400, 400))]


def test_image_may_be_looked_at_wholly_in_more_scales() -> None:
    detector = Asked([box(200, 100, 40, 16)])
    any_detector: Any = detector
    look(any_detector, view(400, 500), (1.0, 2.0, 3.0), wholly=2)
    assert detector.calls == [(1.0, None), (2.0, None), (3.0, box(152, 52, 136, 112))]


def test_strokes_in_a_large_image_are_a_trace() -> None:
    seen = view(1600, 1600)
    # Strokes of two pixels in a place of the size of small text; half a deviation elsewhere.
    seen.contrast[:] = np.random.default_rng(7).normal(128, 25, (1600, 1600)).astype(np.uint8)
    seen.contrast[800:814, 960:1020:6] = 240
    detector = Asked([])
    looked(detector, seen, (0.5, 1.0))
    (patch,) = [within for _, within in detector.calls if within is not None]
    assert patch.x <= 960
    assert patch.right >= 1020
    assert patch.y <= 800
    assert patch.bottom >= 814
    assert patch.height < 320
    # In small ones as well: of text of six pixels the network sees nothing in their own size.
    small = view(600, 600)
    small.contrast[300:306, 200:280:3] = 240
    detector = Asked([])
    looked(detector, small, (1.0, 2.0))
    (patch,) = [within for _, within in detector.calls if within is not None]
    assert patch.x <= 200 <= 280 <= patch.right
    # Where all is fine strokes they tell nothing.
    small.contrast[:, ::3] = 240
    detector = Asked([])
    looked(detector, small, (1.0, 2.0))
    assert len(detector.calls) == 1


@pytest.mark.parametrize("colour", [False, True])
def test_both_pictures_are_seen_in_one_pass(*, colour: bool) -> None:
    shown = np.full((60, 80), 40, np.uint8)
    shown[20:30, 20:30] = 200
    given = np.stack((shown // 2, shown, shown // 4), axis=-1) if colour else shown
    detector = Asked([])
    looked(detector, view(60, 80, given), (1.0, 2.0))
    (picture,) = detector.pictures
    assert picture.shape == (60, 80, 3)
    assert np.array_equal(picture[..., 1], shown)
    assert (picture[..., 0] == 128).all()
    # A mean is not displayed.
    detector = Asked([])
    looked(detector, view(60, 80), (1.0, 2.0))
    assert (detector.pictures[0] == 128).all()
