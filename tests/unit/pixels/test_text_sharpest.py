"""What one frame of many has beside the others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.pixels.text.sharpest import sharpest


def strokes() -> NDArray[np.bool_]:
    found = np.zeros((100, 130), dtype=bool)
    found[40:56, 30:90:5] = True
    found[40:56, 31:91:5] = True
    return found


def frames(kind: str) -> list[NDArray[np.uint8]]:
    """Fifteen frames: still grain, with a flash and a black frame, or with something that passes."""
    random = np.random.default_rng(6)
    down, across = np.mgrid[0:100, 0:130]
    found = []
    for number in range(15):
        image = 130 + 40 * np.sin(across / 40) + random.normal(0, 3, (100, 130))
        if kind == "flash" and number in (4, 11):
            image[:] = 250 if number == 4 else 5
        if kind == "passing":
            image += 100 * np.exp(-((across - 12 * number) ** 2 + (down - 50) ** 2) / 400)
        found.append(image.clip(0, 255).astype(np.uint8))
    return found


@pytest.mark.parametrize("kind", ["still", "flash", "passing"])
@pytest.mark.parametrize("number", [0, 8, 14])
@pytest.mark.parametrize("ink", [60, 250])
def test_text_of_one_frame_stands_out(kind: str, number: int, ink: int) -> None:
    clip = frames(kind)
    text = strokes()
    clip[number][text] = ink
    sharp = sharpest(clip)
    assert sharp is not None
    found = sharp.picture
    assert sharp.frames_at(42, 32, 54, 88)[0] == number
    beside = np.zeros_like(text)
    beside[42:54, 32:88] = True
    apart = float(found[text & beside].mean()) - float(found[beside & ~text].mean())
    assert abs(apart) > 25
    # Away from it there is grain.
    assert found[70:, :].std() < 45


@pytest.mark.parametrize("ink", [240, 247, 255])
def test_text_of_a_frame_that_is_darker_there_stands_out(ink: int) -> None:
    """The ink is about as much brighter than the median as what it lies on is darker."""
    clip = frames("still")
    text = strokes()
    middle = np.median(clip, axis=0)
    down, across = np.mgrid[0:100, 0:130]
    shadow = 110 * np.exp(-((across - 60) ** 2 + (down - 48) ** 2) / 2000)
    clip[8] = np.clip(clip[8] - shadow, 0, 255).astype(np.uint8)
    clip[8][text] = ink
    folded = np.abs(clip[8] - middle)
    beside = np.zeros_like(text)
    beside[42:54, 44:76] = True
    assert abs(float(folded[text & beside].mean()) - float(folded[beside & ~text].mean())) < 40
    sharp = sharpest(clip)
    assert sharp is not None
    assert sharp.frames_at(42, 44, 54, 76)[0] == 8
    assert float(sharp.picture[text & beside].mean()) - float(sharp.picture[beside & ~text].mean()) > 200


def test_text_between_what_other_frames_have_is_in_no_extreme() -> None:
    """Of a clip with a flash and a black frame, maximum and minimum have nothing of a grey text."""
    clip = frames("flash")
    text = strokes()
    clip[8][text] = 60
    highest, lowest = np.max(clip, axis=0), np.min(clip, axis=0)
    for extreme in (highest, lowest):
        assert abs(float(extreme[text].mean()) - float(extreme[~text].mean())) < 5


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_frames_have_no_median(number: int) -> None:
    assert sharpest(frames("still")[:number]) is None


def test_frames_that_are_alike_differ_nowhere() -> None:
    found = sharpest([frames("still")[0]] * 5)
    assert found is not None
    assert (found.picture == 255).all()


def test_size_need_not_be_that_of_blocks() -> None:
    clip = [frame[:37, :61] for frame in frames("still")]
    found = sharpest(clip)
    assert found is not None
    assert found.picture.shape == (37, 61)
    assert set(found.frames_at(0, 0, 37, 61)) <= set(range(15))
