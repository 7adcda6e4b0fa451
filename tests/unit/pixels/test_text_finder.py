"""The finder with its real models, on small images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gateway.errors import ConfigurationError
from gateway.extras import ocr
from gateway.pixels.text import TextBox, TextFinder
from gateway.pixels.text.detector import Detected
from gateway.pixels.text.models import Network
from gateway.profile.pixel_program import FindText
from gateway.profile.program import Origin
from gateway.settings.pixel_settings import PixelSettings, TextProvider
from tests.unit.pixels.test_text_views import Clip

WORDS = frozenset({"MOCKBURY^TESTARIO"})
ORIGIN = Origin("tested", "", "", 0)
ALL = FindText(origin=ORIGIN)
IDENTIFYING = FindText(origin=ORIGIN, blank="identifying")


@pytest.fixture(scope="module")
def finder() -> TextFinder:
    return TextFinder()


def image(*texts: tuple[int, int, str], size: int = 20, frames: int = 1, fill: int = 255) -> NDArray[np.uint8]:
    """Texts at (column, row) on a smooth background with grain."""
    down, across = np.mgrid[0:224, 0:320]
    grain = np.random.default_rng(3).normal(0, 2, (224, 320))
    canvas = Image.fromarray((60 + 30 * np.sin(across / 70) + 20 * np.cos(down / 50) + grain).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for x, y, text in texts:
        draw.text((x, y), text, fill=fill, font=ImageFont.load_default(size))
    return np.repeat(np.asarray(canvas)[None], frames, axis=0)


def covered(found: Sequence[Any], x: int, y: int) -> bool:
    return any(box.x <= x < box.right and box.y <= y < box.bottom for box in found)


def test_text_is_found_and_nothing_else(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "MOCKBURY TESTARIO"), (150, 180, "KV 80")))
    findings = finder.find(clip, clip.description, ALL, WORDS)
    assert len(findings.boxes) == 2
    assert findings.unsure is None
    assert findings.hold is None
    (name,) = (box for box in findings.boxes if box.identifying)
    assert name.y < 15
    assert name.bottom > 28
    assert name.x < 20
    assert name.right > 200
    assert covered(findings.boxes, 170, 192)
    assert 0.5 <= name.confidence <= 1


def test_identifying_text_alone_is_blanked(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "TESTARIO MOCKBURY"), (150, 180, "KV 80")))
    (name,) = finder.find(clip, clip.description, IDENTIFYING, WORDS).boxes
    assert name.y < 15


def test_neighbours_of_identifying_text_go_with_it(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "TESTARIO MOCKBURY"), (20, 38, "ERECT PA"), (150, 180, "KV 80")))
    boxes = finder.find(clip, clip.description, IDENTIFYING, WORDS).boxes
    assert covered(boxes, 40, 50)
    assert not covered(boxes, 170, 192)


def test_side_marker_stays(finder: TextFinder) -> None:
    clip = Clip(image((30, 30, "R"), size=32))
    findings = finder.find(clip, clip.description, ALL, WORDS)
    assert findings.boxes == ()
    assert findings.unsure is None


def test_strict_takes_the_side_marker(finder: TextFinder) -> None:
    clip = Clip(image((30, 30, "R"), size=32))
    findings = finder.find(clip, clip.description, FindText(origin=ORIGIN, strict=True), WORDS)
    assert covered(findings.boxes, 40, 50)


def test_upright_text_is_found(finder: TextFinder) -> None:
    pixels = np.ascontiguousarray(np.rot90(image((20, 100, "MOCKBURY TESTARIO"))[0]))[None]
    clip = Clip(pixels)
    (name,) = finder.find(clip, clip.description, IDENTIFYING, WORDS).boxes
    assert name.height > 3 * name.width


def slanted(text: str, angle: float, *, size: int = 22) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A text turned to the left on the usual background, and its pixels."""
    picture = np.array(Image.fromarray(image()[0]).resize((420, 400)))
    canvas = Image.new("L", (420, 400))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    ImageDraw.Draw(canvas).text((210 - (right + left) / 2, 200 - (bottom + top) / 2), text, fill=255, font=font)
    glyphs = np.asarray(canvas.rotate(angle, Image.Resampling.BICUBIC)) > 128
    picture[glyphs] = 255
    return picture, glyphs


def mask_of(boxes: Sequence[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    for box in boxes:
        mask[box.y : box.bottom, box.x : box.right] = True
    return mask


@pytest.mark.parametrize(
    "angle",
    # A little askew, every quadrant, along the diagonal, nearly upright, upright from both sides, upside down.
    [4, 25, 45, 62, 87, 118, 180, 203, 270, 292, 340],
)
def test_text_at_any_angle_is_found_and_read(finder: TextFinder, angle: float) -> None:
    picture, glyphs = slanted("MOCKBURY TESTARIO", angle)
    clip = Clip(picture[None])
    findings = finder.find(clip, clip.description, IDENTIFYING, WORDS)
    assert findings.unsure is None
    assert findings.hold is None
    mask = mask_of(findings.boxes, picture.shape)
    assert mask[glyphs].mean() > 0.98
    # Its upright rectangle would be up to a fifth of the image.
    assert mask.mean() < 0.12
    assert all(box.identifying for box in findings.boxes)


@pytest.mark.parametrize("angle", [20, 65, 100, 150, 200, 310])
def test_second_look_sees_slanted_text(finder: TextFinder, angle: float) -> None:
    picture, glyphs = slanted("KV 80 MAS 12", angle)
    clip = Clip(picture[None])
    remains = finder.check(clip, clip.description, ALL, WORDS)
    assert remains is not None
    assert mask_of(remains.boxes, picture.shape)[glyphs].mean() > 0.8
    assert finder.check(clip, clip.description, IDENTIFYING, WORDS) is None


def test_lines_beside_slanted_ones_that_identify_go_with_them(finder: TextFinder) -> None:
    first, _ = slanted("MOCKBURY TESTARIO", 30)
    clip = Clip(np.maximum(first, np.roll(slanted("ERECT PA", 30)[0], 30, axis=0))[None])
    boxes = finder.find(clip, clip.description, IDENTIFYING, WORDS).boxes
    assert covered(boxes, 210, 230)


def test_text_of_some_frames_is_found(finder: TextFinder) -> None:
    clip = Clip(image(frames=20))
    clip.values[4:7] = image((20, 10, "MOCKBURY"))[0]
    findings = finder.find(clip, clip.description, ALL, WORDS)
    assert covered(findings.boxes, 60, 22)


def test_claimed_text_that_is_not_found_needs_a_person(finder: TextFinder) -> None:
    clip = Clip(image())
    findings = finder.find(clip, clip.description, ALL, WORDS, claimed=True)
    assert findings.boxes == ()
    assert findings.hold == "the instance says that text is burned in, and none was found"
    assert finder.find(clip, clip.description, ALL, WORDS).hold is None


def test_rule_that_blanks_nothing_holds_what_has_text(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "KV 80 MAS 12")))
    findings = finder.find(clip, clip.description, FindText(origin=ORIGIN, blank="nothing"), WORDS)
    assert findings.hold == "text is burned in, and the profile blanks none"
    assert len(findings.boxes) == 1


def test_page_of_text_needs_a_person(finder: TextFinder) -> None:
    clip = Clip(image(*((4, 4 + 30 * row, "MOCKBURY TESTARIO 1961-02-13") for row in range(7)), size=22))
    findings = finder.find(clip, clip.description, ALL, WORDS)
    assert findings.hold == "text seems to cover more than 20% of the image"


def test_unknown_palette_is_unsure(finder: TextFinder) -> None:
    clip = Clip(image(), "PALETTE COLOR")
    assert finder.find(clip, clip.description, ALL, WORDS).unsure == "the colours of the image are not known"


@pytest.mark.parametrize(
    ("texts", "options", "held"),
    [
        # Text that was overlooked.
        (((20, 10, "KV 80 MAS 12"),), ALL, True),
        (((20, 10, "MOCKBURY"),), IDENTIFYING, True),
        # What the rule leaves.
        (((20, 10, "KV 80 ERECT"),), IDENTIFYING, False),
        # A side marker, under a strict rule too: what was blanked has edges.
        (((30, 30, "R"),), FindText(origin=ORIGIN, strict=True), False),
        ((), ALL, False),
    ],
)
def test_second_pass(
    finder: TextFinder, texts: tuple[tuple[int, int, str], ...], options: FindText, *, held: bool
) -> None:
    clip = Clip(image(*texts))
    remains = finder.check(clip, clip.description, options, WORDS)
    assert (remains is not None) is held
    if remains is not None:
        assert covered(remains.boxes, 60, 20)
        assert not covered(remains.boxes, 170, 192)


def test_blanked_image_passes_the_second_pass(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "MOCKBURY TESTARIO"), (150, 180, "1961-02-13")))
    for box in finder.find(clip, clip.description, ALL, WORDS).boxes:
        clip.values[:, box.y : box.bottom, box.x : box.right] = 0
    assert finder.check(clip, clip.description, ALL, WORDS) is None


@pytest.mark.parametrize(("fill", "faint"), [(255, False), (190, False), (105, True)])
def test_faint_text_is_told(finder: TextFinder, fill: int, *, faint: bool) -> None:
    clip = Clip(image((20, 10, "MOCKBURY TESTARIO"), fill=fill))
    # What spans the displayed range.
    clip.values[0, 200:224, :60] = (np.arange(60) * 4).astype(np.uint8)
    findings = finder.find(clip, clip.description, ALL, WORDS)
    assert covered(findings.boxes, 60, 22)
    assert findings.faint is faint


@pytest.mark.parametrize(
    ("ink", "told"),
    [
        (230, None),
        (130, None),
        (75, "text at an angle is so faint that more of it is easily overlooked"),
    ],
)
def test_faint_text_at_an_angle_is_not_all_for_certain(finder: TextFinder, ink: int, told: str | None) -> None:
    """The look for words that nothing can read goes along the rows."""
    picture, glyphs = slanted("MOCKBURY TESTARIO", 30)
    picture[glyphs] = ink
    picture[380:, :60] = np.arange(60) * 4
    clip = Clip(picture[None])
    findings = finder.find(clip, clip.description, ALL, WORDS)
    assert mask_of(findings.boxes, picture.shape)[glyphs].mean() > 0.98
    assert findings.unsure == told


class Blind:
    """A detector that sees next to nothing."""

    def __init__(self, *places: TextBox) -> None:
        self._places = list(places)

    def detect(
        self, view: NDArray[np.uint8], scale: float, *, sensitive: bool = False, within: TextBox | None = None
    ) -> Detected:
        return Detected(level=list(self._places))


@pytest.mark.parametrize(
    ("text", "thorough", "held"),
    [
        # A word of the header that the detector did not see, in a thorough look alone.
        ("MOCKBURY", True, True),
        ("MOCKBURY", False, False),
        # Another word.
        ("ERECT PA", True, False),
    ],
)
def test_thorough_look_needs_no_detector(
    finder: TextFinder, monkeypatch: pytest.MonkeyPatch, text: str, *, thorough: bool, held: bool
) -> None:
    detector, _ = finder.networks()
    monkeypatch.setattr(detector, "detect", Blind().detect)
    clip = Clip(image((150, 120, text)))
    remains = finder.check(clip, clip.description, ALL, WORDS, thorough=thorough)
    assert (remains is not None) is held
    if remains is not None:
        assert covered(remains.boxes, 190, 130)


@pytest.mark.parametrize(
    ("text", "place", "held"),
    [
        # One sign of a word of the header.
        ("MOCKBURY", (210, 122, 12, 18), True),
        # One sign of another word, and a place too small and one too large for text.
        ("ERECT PA", (210, 122, 12, 18), False),
        ("MOCKBURY", (210, 122, 6, 5), False),
        ("MOCKBURY", (10, 20, 300, 180), False),
    ],
)
def test_words_are_looked_for_around_what_cannot_be_read(
    finder: TextFinder, monkeypatch: pytest.MonkeyPatch, text: str, place: tuple[int, int, int, int], *, held: bool
) -> None:
    x, y, width, height = place
    detector, _ = finder.networks()
    seen = TextBox(x=x, y=y, width=width, height=height, confidence=0.4)
    monkeypatch.setattr(detector, "detect", Blind(seen).detect)
    clip = Clip(image((150, 120, text)))
    assert (finder.check(clip, clip.description, ALL, WORDS) is not None) is held


def test_findings_hold_no_text(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "MOCKBURY TESTARIO")))
    findings = finder.find(clip, clip.description, ALL, WORDS)
    assert "MOCK" not in repr(findings).upper()


def test_same_image_gives_the_same_boxes(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "MOCKBURY TESTARIO")))
    assert finder.find(clip, clip.description, ALL, WORDS) == TextFinder().find(clip, clip.description, ALL, WORDS)


def test_missing_part_is_an_error_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "missing", lambda: "finding text needs scipy")
    clip = Clip(image())
    assert not TextFinder.available()
    with pytest.raises(ConfigurationError, match="finding text needs scipy"):
        TextFinder().find(clip, clip.description, ALL, WORDS)


def test_unknown_model_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"something else")
    monkeypatch.setattr(ocr, "model_path", lambda name: other)
    with pytest.raises(ConfigurationError, match=r"is not that of rapidocr-onnxruntime 1\.4\.4"):
        Network("ch_PP-OCRv4_det_infer.onnx", PixelSettings())


def test_threads_change_no_box(finder: TextFinder) -> None:
    clip = Clip(image((20, 10, "MOCKBURY TESTARIO")))
    several = TextFinder(PixelSettings(text_threads=2))
    assert several.find(clip, clip.description, ALL, WORDS) == finder.find(clip, clip.description, ALL, WORDS)


@pytest.mark.parametrize("provider", ["openvino", "cuda"])
def test_provider_that_is_not_installed_is_refused(provider: TextProvider) -> None:
    with pytest.raises(ConfigurationError, match=f"{provider} is not in the installed onnxruntime"):
        TextFinder(PixelSettings(text_provider=provider))
