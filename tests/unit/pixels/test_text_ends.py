"""The ends of lines of text, read by the real reader."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gateway.pixels.text.box import TextBox
from gateway.pixels.text.ends import to_its_ends
from gateway.pixels.text.reader import Reader
from gateway.settings.pixel_settings import PixelSettings


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(PixelSettings())


def picture(*words: tuple[int, str], columns: int = 700) -> NDArray[np.uint8]:
    """Words at their columns on grain, in row 30, 20 pixels high."""
    grain = np.random.default_rng(7).normal(90, 4, (90, columns))
    canvas = Image.fromarray(grain.astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for x, text in words:
        draw.text((x, 26), text, fill=130, font=ImageFont.load_default(24))
    return np.asarray(canvas)


def line(x: int, width: int, *, height: int = 28) -> TextBox:
    return TextBox(x=x, y=26, width=width, height=height, confidence=0.9)


@pytest.mark.parametrize(
    ("words", "found", "start", "end"),
    [
        # The detector saw the middle of a line.
        (((200, "MOCKBURY TESTARIO"),), line(260, 60), 200, 430),
        # Its beginning, and its end.
        (((200, "MOCKBURY TESTARIO"),), line(200, 90), 200, 430),
        (((200, "MOCKBURY TESTARIO"),), line(380, 55), 200, 430),
        # A line that is longer than what is read at once.
        (((10, "MOCKBURY TESTARIO ACCESSION NUMBER 4471239"),), line(10, 80), 10, 560),
        # It ends at the edge of the image.
        (((4, "MOCKBURY"),), line(40, 40), 4, 118),
    ],
)
def test_line_grows_to_its_ends(
    reader: Reader, words: tuple[tuple[int, str], ...], found: TextBox, start: int, end: int
) -> None:
    whole = to_its_ends(found, picture(*words), reader)
    assert whole.x <= start + 4
    assert whole.right >= end - 8
    # And not much farther.
    assert whole.x >= start - 40
    assert whole.right <= end + 60
    assert (whole.y, whole.height, whole.confidence) == (found.y, found.height, found.confidence)


def test_whole_line_stays_as_it_is(reader: Reader) -> None:
    found = line(196, 240)
    assert to_its_ends(found, picture((200, "MOCKBURY TESTARIO")), reader) == found


def test_text_far_away_is_another_line(reader: Reader) -> None:
    found = line(16, 145)
    assert to_its_ends(found, picture((20, "MOCKBURY"), (400, "TESTARIO")), reader) == found


def stack(word: str, *, rows: int = 700) -> NDArray[np.uint8]:
    """A word of which each letter stands level below the one before, from row 20 on, around column 40."""
    grain = np.random.default_rng(7).normal(90, 4, (rows, 90))
    canvas = Image.fromarray(grain.astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for number, letter in enumerate(word):
        draw.text((40, 32 + 28 * number), letter, fill=200, font=ImageFont.load_default(24), anchor="mm")
    return np.asarray(canvas)


@pytest.mark.parametrize(
    ("view", "found", "start", "end"),
    [
        # A line that is turned, of which the detector saw the middle, its beginning, or its end: in both directions.
        (np.rot90(picture((200, "MOCKBURY TESTARIO")), 1), (26, 380, 28, 60), 270, 500),
        (np.rot90(picture((200, "MOCKBURY TESTARIO")), 1), (26, 270, 28, 90), 270, 500),
        (np.rot90(picture((200, "MOCKBURY TESTARIO")), 3), (36, 200, 28, 90), 200, 430),
        (np.rot90(picture((200, "MOCKBURY TESTARIO")), 3), (36, 380, 28, 50), 200, 430),
        # A stack of letters of which it saw the first ones, the middle, or the last ones.
        (stack("MOCKBURYTESTARIO"), (27, 20, 26, 160), 20, 464),
        (stack("MOCKBURYTESTARIO"), (27, 160, 26, 140), 20, 464),
        (stack("MOCKBURYTESTARIO"), (27, 330, 26, 136), 20, 464),
        # Nothing is above or below.
        (stack("MOCKBURY"), (27, 18, 26, 224), 18, 242),
        # What is beside it is another line.
        (picture((200, "MOCKBURY TESTARIO")), (200, 20, 20, 60), 20, 80),
    ],
    ids=["middle", "begin", "end-3", "begin-3", "stack", "stack-middle", "stack-end", "stack-whole", "beside"],
)
def test_upright_line_grows_to_its_ends(
    reader: Reader, view: NDArray[np.uint8], found: tuple[int, int, int, int], start: int, end: int
) -> None:
    x, y, width, height = found
    whole = to_its_ends(TextBox(x=x, y=y, width=width, height=height, confidence=0.9), view, reader)
    assert whole.y <= start + 6
    assert whole.bottom >= end - 8
    assert whole.y >= start - 40
    assert whole.bottom <= end + 60
    assert (whole.x, whole.width) == (x, width)
