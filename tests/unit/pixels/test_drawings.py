"""Overlay planes and other drawings over an image: looked at, cleaned, taken away, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from gateway.errors import BurnedInTextSuspected
from gateway.pixels.review import Review
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.text import TextFinder
from tests.fixtures.treating import CR, CT, image, noise, program, stored, treat
from tests.unit.pixels.test_treatment import Box, Finder, Found, Left

CLEAN = "basic, clean-graphics"
FIND = "pixels:\n  - find-text: {}\n"
KEEP = 'attributes:\n  - keep: ["(60xx,3000)"]\n    because: drawings are needed\n'
GEOMETRY = (0x10, 0x11, 0x40, 0x50, 0x100, 0x102)


def with_overlay(bits: NDArray[np.bool_], group: int = 0x6000, pixels: Any = None, **values: Any) -> Dataset:
    """An image with an overlay plane of ``bits``, of shape ([frames, ]rows, columns)."""
    source = image(noise(40, 60) if pixels is None else pixels, CR, **values)
    add_overlay(source, bits, group)
    return source


def add_overlay(source: Dataset, bits: NDArray[np.bool_], group: int = 0x6000) -> None:
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    tag = group << 16
    if bits.ndim == 3:
        source.add_new(tag | 0x15, "IS", bits.shape[0])
    for number, vr, value in (
        (0x10, "US", bits.shape[-2]), (0x11, "US", bits.shape[-1]), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", packed + bytes(len(packed) % 2)),
    ):  # fmt: skip
        source.add_new(tag | number, vr, value)


def drawing(*shape: int) -> NDArray[np.bool_]:
    """A frame around the middle and a word's place at the upper left."""
    bits = np.zeros(shape or (40, 60), dtype=bool)
    bits[..., 20:36, 30] = True
    bits[..., 4:9, 5:25] = True
    return bits


def plane_of(output: Dataset, group: int = 0x6000) -> NDArray[np.bool_] | None:
    tag = group << 16
    if tag | 0x3000 not in output:
        return None
    rows, columns = output[tag | 0x10].value, output[tag | 0x11].value
    frames = int(output[tag | 0x15].value) if tag | 0x15 in output else 1
    bits = np.unpackbits(np.frombuffer(output[tag | 0x3000].value, np.uint8), bitorder="little")
    found = bits[: frames * rows * columns].astype(bool).reshape(frames, rows, columns)
    return found if tag | 0x15 in output else found[0]


def groups(output: Dataset) -> set[int]:
    return {element.tag.group for element in output if 0x5000 <= element.tag.group <= 0x60FF}


def codes(output: Dataset) -> set[str]:
    return {item.CodeValue for item in output.DeidentificationMethodCodeSequence}


def run(folder: Path, source: Dataset, rules: str, sandbox: Sandbox, *, use: str = CLEAN, **options: Any) -> Any:
    return treat(stored(folder, source), program(folder, rules, use=use), sandbox=sandbox, **options)


@dataclass
class Sharp(Finder):
    """A finder that finds nothing in the image, and in an overlay what it is told."""

    in_overlay: Found = field(default_factory=Found)
    overlays: int = 0

    def find(self, frames: Any, description: Any, *arguments: Any, **options: Any) -> Any:
        first = frames.frame(0)
        if set(np.unique(first)) <= {0, 255}:
            self.overlays += 1
            return self.in_overlay
        return super().find(frames, description, *arguments, **options)


WORD: Sequence[Box] = (Box(4, 3, 22, 7),)


@pytest.mark.parametrize(
    ("rules", "use", "finder", "stays"),
    [
        # nobody looks: the plane goes, with what describes it
        ("", CLEAN, None, False),
        ("", CLEAN, Sharp(), False),
        # nothing is found in it
        (FIND, CLEAN, Sharp(), True),
        # it is not sure that nothing is: the plane goes, whatever the rule says of the image
        (FIND, CLEAN, Sharp(in_overlay=Found(WORD, unsure="faint signs")), False),
        ("pixels:\n  - find-text: {when-unsure: blank}\n", CLEAN, Sharp(in_overlay=Found(WORD, unsure="faint")), False),
        (FIND, CLEAN, Sharp(in_overlay=Found(WORD, hold="a page of text")), False),
        # without the option the plane goes
        (FIND, "basic", Sharp(), False),
        # a rule keeps it, and nobody looks
        (KEEP, CLEAN, None, True),
    ],
)
def test_what_becomes_of_an_overlay(
    tmp_path: Path, sandbox: Sandbox, rules: str, use: str, finder: Any, *, stays: bool
) -> None:
    bits = drawing()
    output = run(tmp_path, with_overlay(bits), rules, sandbox, use=use, finder=finder).dataset
    plane = plane_of(output)
    if not stays:
        assert groups(output) == set()
    else:
        assert plane is not None
        assert np.array_equal(plane, bits)
        assert all(0x60000000 | number in output for number in GEOMETRY)
    kept_unseen = rules == KEEP
    assert ("113103" in codes(output)) is ("clean-graphics" in use and not kept_unseen)


@pytest.mark.parametrize("frames", [0, 3])
def test_text_is_taken_out_of_an_overlay(tmp_path: Path, sandbox: Sandbox, frames: int) -> None:
    bits = drawing(frames, 40, 60) if frames else drawing()
    done = run(tmp_path, with_overlay(bits), FIND, sandbox, finder=Sharp(in_overlay=Found(WORD)))
    plane = plane_of(done.dataset)
    assert plane is not None
    assert not plane[..., 3:10, 4:26].any()
    assert np.array_equal(plane[..., 10:, :], bits[..., 10:, :])
    # The image is as it was.
    assert np.array_equal(done.dataset.pixel_array, noise(40, 60))
    assert "text was taken out of overlay 6000" in done.outcome.reasons
    assert "113103" in codes(done.dataset)


def test_overlay_with_text_that_stays_goes(tmp_path: Path, sandbox: Sandbox) -> None:
    finder = Sharp(in_overlay=Found(WORD), again=Left("a word is left"))
    done = run(tmp_path, with_overlay(drawing()), FIND, sandbox, finder=finder)
    assert groups(done.dataset) == set()
    assert "overlay 6000 went: a word is left" in done.outcome.reasons


def test_overlay_that_a_rule_keeps_is_looked_at_all_the_same(tmp_path: Path, sandbox: Sandbox) -> None:
    done = run(tmp_path, with_overlay(drawing()), KEEP + FIND, sandbox, finder=Sharp(in_overlay=Found(WORD)))
    plane = plane_of(done.dataset)
    assert plane is not None
    assert not plane[3:10, 4:26].any()
    assert "113103" in codes(done.dataset)
    doubtful = Sharp(in_overlay=Found(WORD, unsure="faint signs"))
    with pytest.raises(BurnedInTextSuspected, match="overlay 6000, which a rule keeps: faint signs"):
        run(tmp_path, with_overlay(drawing()), KEEP + FIND, sandbox, finder=doubtful)


def test_every_plane_is_looked_at_and_an_empty_one_stays(tmp_path: Path, sandbox: Sandbox) -> None:
    source = with_overlay(drawing(), 0x6000)
    add_overlay(source, np.zeros((40, 60), dtype=bool), 0x6002)
    add_overlay(source, drawing(), 0x601E)
    finder = Sharp()
    output = run(tmp_path, source, FIND, sandbox, finder=finder).dataset
    assert finder.overlays == 2
    assert groups(output) == {0x6000, 0x6002, 0x601E}


@pytest.mark.parametrize(
    ("number", "vr", "value"),
    [
        # more bits than pixels, fewer, none, eight to a pixel, and ones that lie in Pixel Data
        (0x10, "US", 30),
        (0x10, "US", 50),
        (0x10, "US", 0),
        (0x100, "US", 8),
        (0x102, "US", 12),
        (0x15, "IS", 7),
    ],
)
def test_overlay_that_cannot_be_read_goes(tmp_path: Path, sandbox: Sandbox, number: int, vr: str, value: int) -> None:
    source = with_overlay(drawing())
    source.add_new(0x60000000 | number, vr, value)
    assert groups(run(tmp_path, source, FIND, sandbox, finder=Sharp()).dataset) == set()


def test_person_has_not_seen_the_overlay(tmp_path: Path, sandbox: Sandbox) -> None:
    review = Review(decision="release", actor="dpo", because="nothing in it")
    output = run(tmp_path, with_overlay(drawing()), FIND, sandbox, finder=Sharp(), review=review).dataset
    assert groups(output) == set()


def test_overlay_of_an_instance_without_pixels(tmp_path: Path, sandbox: Sandbox) -> None:
    source = with_overlay(drawing())
    del source.PixelData
    assert groups(run(tmp_path, source, "", sandbox).dataset) == set()
    assert groups(run(tmp_path, source, FIND, sandbox, finder=Sharp()).dataset) == {0x6000}


@pytest.mark.parametrize("use", [CLEAN, "basic"])
def test_overlay_in_unused_bits_is_cleared(tmp_path: Path, sandbox: Sandbox, use: str) -> None:
    pixels = noise(40, 60)
    hidden = pixels.copy()
    hidden[drawing()] |= 0x8000
    source = image(hidden, CT, BitsStored=12, Modality="CT", BurnedInAnnotation="NO")
    for number, vr, value in (
        (0x10, "US", 40), (0x11, "US", 60), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 16),
        (0x102, "US", 15),
    ):  # fmt: skip
        source.add_new(0x60000000 | number, vr, value)
    output = run(tmp_path, source, "", sandbox, use=use).dataset
    assert np.array_equal(output.pixel_array, pixels)
    assert groups(output) == set()
    # Nobody looked for text in the samples.
    assert "113101" not in codes(output)
    assert "BurnedInAnnotation" not in output
    assert output.DerivationDescription == "De-identification: unused bits cleared"
    keeping = 'attributes:\n  - keep: ["(60xx,xxxx)"]\n    because: drawings are needed\n'
    with pytest.raises(BurnedInTextSuspected, match="unused bits"):
        run(tmp_path, source, keeping, sandbox, use=use)


def test_kept_curves_are_not_claimed_clean(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(40, 60))
    source.add_new(0x50003000, "OW", b"\1\2")
    rules = 'attributes:\n  - keep: ["(50xx,3000)"]\n    because: curves are needed\n'
    assert "113103" not in codes(run(tmp_path, source, rules, sandbox).dataset)
    assert "113103" in codes(run(tmp_path, source, "", sandbox).dataset)


def test_name_in_an_overlay_is_found(tmp_path: Path, sandbox: Sandbox) -> None:
    """With the real finder: a thin drawing stays, the name goes."""
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("1", (512, 400))
    draw = ImageDraw.Draw(canvas)
    draw.text((60, 40), "MOCKBURY TESTARIO 1961-02-13", fill=1, font=ImageFont.load_default(18))
    named = np.asarray(canvas).copy()
    draw.ellipse((250, 200, 350, 300), outline=1)
    source = with_overlay(np.asarray(canvas), pixels=np.tile(np.arange(512, dtype=np.uint16), (400, 1)))
    output = run(tmp_path, source, FIND, sandbox, finder=TextFinder(), words=lambda: frozenset({"TESTARIO"})).dataset
    plane = plane_of(output)
    assert plane is not None
    assert not (plane & named).any()
    assert plane[195:305].sum() > 200
