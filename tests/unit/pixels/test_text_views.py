"""The pictures in which text is looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.pixels.description import PixelDescription
from gateway.pixels.palette import Palette
from gateway.pixels.text.box import TextBox
from gateway.pixels.text.views import Views, pictures, views


@dataclass
class Clip:
    """Frames in memory that remember which were asked for."""

    values: NDArray[Any]
    photometric_interpretation: str = "MONOCHROME2"
    asked: int = 0

    def frame(self, number: int) -> NDArray[Any]:
        self.asked += 1
        shown: NDArray[Any] = self.values[number]
        return shown

    @property
    def description(self) -> PixelDescription:
        bits = self.values.dtype.itemsize * 8
        return PixelDescription(
            rows=self.values.shape[1],
            columns=self.values.shape[2],
            samples_per_pixel=3 if self.values.ndim == 4 else 1,
            photometric_interpretation=self.photometric_interpretation,
            bits_allocated=bits,
            bits_stored=bits,
            high_bit=bits - 1,
            pixel_representation=int(self.values.dtype.kind == "i"),
            planar_configuration=0,
            frames=len(self.values),
            transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN,
            encapsulated=False,
        )


def ramp(frames: int = 1, *, kind: str = "uint16") -> NDArray[Any]:
    """Values that grow from left to right."""
    return np.tile(np.arange(64, dtype=kind), (frames, 48, 1))


def shown(clip: Clip, description: PixelDescription | None = None) -> list[NDArray[np.uint8]]:
    return list(pictures(clip, description or clip.description))


def test_large_values_are_bright() -> None:
    window, contrast = shown(Clip(ramp()))
    assert window[0, 0] < 5
    assert window[0, -1] > 250
    assert contrast.shape == window.shape == (48, 64)
    assert contrast.dtype == window.dtype == np.uint8


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16"])
def test_monochrome1_is_turned(kind: str) -> None:
    window = shown(Clip(ramp(kind=kind), "MONOCHROME1"))[0]
    assert window[0, 0] > 250
    assert window[0, -1] < 5


def test_bits_beside_the_sample_are_no_picture() -> None:
    # 12 bits, with an overlay in bit 15 (PS3.5 8.1.1).
    clip = Clip(ramp())
    clip.values[0, 10:20, 10:20] |= 0x8000
    description = replace(clip.description, bits_stored=12, high_bit=11)
    assert np.array_equal(shown(clip, description)[0], shown(Clip(ramp()))[0])


def test_signed_samples_keep_their_sign() -> None:
    clip = Clip((ramp(kind="int16") - 32) & 0x0FFF)
    window = shown(clip, replace(clip.description, bits_stored=12, high_bit=11))[0]
    assert np.array_equal(window, shown(Clip(ramp()))[0])


@pytest.mark.parametrize("value", [63, 0], ids=["bright", "dark"])
def test_text_of_one_frame_is_in_a_projection(value: int) -> None:
    clip = Clip(np.full((20, 48, 64), 30, dtype=np.uint8))
    clip.values[:, 0, :2] = (0, 63)
    clip.values[17, 20:24, 20:24] = value
    views = shown(clip)
    assert any(abs(int(view[21, 21]) - int(view[40, 40])) > 40 for view in views)
    assert clip.asked == 20


def test_text_that_stays_shows_in_the_mean() -> None:
    values = np.random.default_rng(4).normal(100, 20, (15, 64, 96)).astype(np.uint8)
    values[:, 30:34, 20:60] += 12
    highest, lowest, mean, alone = views(Clip(values), Clip(values).description)
    # Against the grain above and below, in deviations of each picture.
    apart = [
        (view.contrast[31:33, 24:56].mean() - view.contrast[44:60].mean()) / view.contrast[44:60].std()
        for view in (highest, lowest, mean)
    ]
    assert apart[2] > 1.3 * max(apart[:2])
    assert [view.closely for view in (highest, lowest, mean, alone)] == [False, False, True, True]
    assert mean.shown is None


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16"])
@pytest.mark.parametrize("colour", [False, True])
def test_grey_text_of_one_frame_between_extremes_is_in_its_deviation(kind: str, *, colour: bool) -> None:
    largest = 200 if kind == "uint8" else 3000
    grain = np.random.default_rng(9).normal(largest / 2, largest / 60, (20, 100, 128))
    # A flash and a black frame in each block of fifteen.
    grain[[0, 17]] -= 0.4 * largest
    grain[[5, 19]] += 0.4 * largest
    for start in (30, 31):
        grain[8, 40:56, start:90:5] -= largest / 5
    values = grain.astype(kind)
    clip = Clip(np.repeat(values[..., None], 3, axis=-1) if colour else values, "RGB" if colour else "MONOCHROME2")
    highest, lowest, _mean, alone = list(views(clip, clip.description))[:4]

    def apart(view: Views) -> float:
        text, beside = view.contrast[42:54, 30:90:5].mean(), view.contrast[42:54, 33:90:5].mean()
        return abs(float(text) - float(beside))

    assert apart(alone) > 60
    assert max(apart(highest), apart(lowest)) < 15
    assert clip.asked == 20


def test_still_picture_is_looked_at_closely() -> None:
    (view,) = views(Clip(ramp()), Clip(ramp()).description)
    assert view.closely


def test_still_clip_is_looked_at_once() -> None:
    clip = Clip(np.repeat(ramp(), 45, axis=0))
    assert len(shown(clip)) == 2
    assert clip.asked == 45


def test_flat_image_has_no_contrast_to_look_at() -> None:
    assert shown(Clip(np.full((1, 48, 64), 7, dtype=np.uint16))) == []


def test_faint_text_on_black_shows_by_contrast() -> None:
    values = np.zeros((1, 100, 100), dtype=np.uint16)
    values[0, :, 50:] = 4000
    values[0, 40:44, 10:30] = 100
    window, contrast = shown(Clip(values))
    assert int(window[41, 15]) - int(window[80, 15]) < 10
    assert int(contrast[41, 15]) - int(contrast[80, 15]) > 40


def test_flat_ground_beside_extremes_is_grey() -> None:
    values = np.full((1, 512, 300), -1024, dtype=np.int16)
    values[0, :, 150:] = np.random.default_rng(8).integers(-32768, 32767, (512, 150))
    contrast = shown(Clip(values))[1]
    assert abs(int(contrast[300, 40]) - 128) <= 2


def test_strips_meet_without_a_seam() -> None:
    values = np.random.default_rng(5).integers(0, 4000, (1, 600, 64)).astype(np.uint16)
    whole = shown(Clip(values))[1]
    turned = shown(Clip(np.ascontiguousarray(values[:, ::-1])))[1][::-1]
    # The neighbourhood of 33 pixels is the same from both sides.
    assert np.abs(whole.astype(int) - turned.astype(int)).max() <= 1


def test_colours_stay() -> None:
    values = np.zeros((1, 48, 64, 3), dtype=np.uint8)
    values[0, 10, 10] = (0, 0, 255)
    first, contrast = shown(Clip(values, "RGB"))
    assert np.array_equal(first, values[0])
    assert contrast.ndim == 2
    assert contrast[10, 10] > contrast[30, 30]


def test_luminance_and_colour_differences_become_colours() -> None:
    values = np.full((1, 48, 64, 3), 128, dtype=np.uint8)
    # Red of full strength (PS3.3 C.7.6.3.1.2).
    values[0, 10, 10] = (76, 85, 255)
    first = shown(Clip(values, "YBR_FULL"))[0]
    assert first[30, 30].tolist() == [128, 128, 128]
    red, green, blue = first[10, 10].tolist()
    assert red > 250
    assert max(green, blue) < 5


@pytest.mark.parametrize(("bits", "factor"), [(8, 1), (16, 256)])
def test_palette_gives_the_colours(bits: int, factor: int) -> None:
    clip = Clip(ramp(kind="uint8"), "PALETTE COLOR")
    channel = tuple(factor * value for value in range(32))
    palette = Palette(first=10, bits=bits, red=channel, green=channel[::-1], blue=(0,) * 32)
    first = shown(clip, replace(clip.description, palette=palette))[0]
    # Values outside the table have its first and last colour.
    assert first[0, 0].tolist() == [0, 31, 0]
    assert first[0, 15].tolist() == [5, 26, 0]
    assert first[0, 63].tolist() == [31, 0, 0]


def test_a_frame_that_has_text_is_seen_as_a_whole() -> None:
    """Of text in one frame the end is hidden where another frame has more strokes; the frame itself has it."""
    random = np.random.default_rng(8)
    clip = Clip((120 + random.normal(0, 2, (12, 96, 160))).clip(0, 255).astype(np.uint8))
    text = np.zeros((96, 160), dtype=bool)
    text[40:52, 30:130:4] = True
    clip.values[7][text] = 170
    clip.values[2][:, 90:] = 120 + 135 * random.integers(0, 2, (96, 70))
    last = list(views(clip, clip.description))[-1]
    assert last.alone is not None
    hidden = text.copy()
    hidden[:, :110] = False
    place = TextBox(x=30, y=38, width=50, height=16, confidence=1)
    seen = list(last.alone.views_of([place, place]))
    assert len(seen) <= 2
    for view, apart in ((last, False), (seen[0], True)):
        row = view.contrast[44, 110:130].astype(int)
        assert (row[hidden[44, 110:130]].min() > row[~hidden[44, 110:130]].max() + 40) == apart
    assert not list(last.alone.views_of([]))
