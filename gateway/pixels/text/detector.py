"""Where text is: the PP-OCRv4 mobile detector, a differentiable binarisation network, over tiles of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from gateway.pixels.text.box import TextBox
from gateway.pixels.text.models import Network
from gateway.pixels.text.slanted import SlantedBox, narrowest
from gateway.settings.pixel_settings import PixelSettings

__all__ = ["Detected", "Detector"]

_MODEL: Final = "ch_PP-OCRv4_det_infer.onnx"
#: Mean and standard deviation of ImageNet's channels, in grey levels of 255.
_MEAN: Final = np.array((0.485, 0.456, 0.406), dtype=np.float32) * 255
_DEVIATION: Final = np.array((0.229, 0.224, 0.225), dtype=np.float32) * 255
#: Edge of a tile and how much neighbours share, in pixels; the network wants multiples of 32.
_TILE: Final = 960
_OVERLAP: Final = 64
_STRIDE: Final = 32
#: Probability, of 255, above which a pixel is text, and mean probability of a component that is text: usual, and where
#: a trace of text matters.
_USUAL: Final = (77, 0.5)
_SENSITIVE: Final = (51, 0.3)
#: The network shrinks text; its boxes grow by this times area over perimeter.
_UNCLIP: Final = 1.6
#: Shorter edge of the core of a line of text, in pixels: smaller is noise, larger is anatomy. Characters are about
#: twice as high. In large images text is larger: the second is at least this part of the shorter edge.
_LOWEST: Final = 3
_HIGHEST: Final = 48
_PART: Final = 24
#: A component is slanted if its narrowest rectangle is at most this part as thick as its upright one, this many times
#: as long as thick, and so many degrees off.
_SLIMMER: Final = 0.75
_LONG: Final = 1.8
_OFF: Final = 2
#: Probability from which a component that is too large for a line of text is told.
_SURE: Final = 0.8
#: Probability, of 255, above which there is a trace of text, and edge of the blocks of pixels that are asked for it.
_TRACE: Final = 13
_BLOCK: Final = 8


@dataclass(slots=True)
class Detected:
    """What looks like text in an image, in its pixels; the confidence of boxes is the mean probability.

    Attributes
    ----------
    level
        boxes of lines along the rows or the columns
    slanted
        boxes of other lines
    outsized
        boxes of what is too large for a line of text, where the network is sure
    traces
        boxes of all places where there may be something
    """

    level: list[TextBox] = field(default_factory=list)
    slanted: list[SlantedBox] = field(default_factory=list)
    outsized: list[TextBox] = field(default_factory=list)
    traces: list[TextBox] = field(default_factory=list)

    def add(self, other: Detected) -> None:
        """Add what was found elsewhere."""
        self.level += other.level
        self.slanted += other.slanted
        self.outsized += other.outsized
        self.traces += other.traces


class Detector:
    """Finds the rectangles that look like text.

    Parameters
    ----------
    settings
        what runs the network

    Raises
    ------
    ConfigurationError
        the model is missing or is not the known one, or nothing runs it
    """

    def __init__(self, settings: PixelSettings) -> None:
        self._network = Network(_MODEL, settings)

    def detect(
        self, view: NDArray[np.uint8], scale: float, *, sensitive: bool = False, within: TextBox | None = None
    ) -> Detected:
        """The text of ``view`` of shape (rows, columns) or (rows, columns, 3), looked at in ``scale``.

        Parameters
        ----------
        view
            8 bits
        scale
            the factor by which the image is enlarged before
        sensitive
            lower limits, for images in which a trace of text matters
        within
            the part that is looked at; None for all of it
        """
        whole = view.shape[:2]
        part = within or TextBox(x=0, y=0, width=whole[1], height=whole[0], confidence=0)
        image = view[part.y : part.bottom, part.x : part.right]
        rows, columns = image.shape[:2]
        if scale != 1.0:
            size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
            enlarged = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BILINEAR)
            image = np.asarray(enlarged)
        highest = max(_HIGHEST, int(min(whole) * scale) // _PART)
        limits = _SENSITIVE if sensitive else _USUAL
        detected = _boxes(self._probability(image), *limits, highest)
        down, across = image.shape[0] / rows, image.shape[1] / columns

        def placed(boxes: list[TextBox]) -> list[TextBox]:
            return [_scaled(box, part, down=down, across=across, rows=whole[0], columns=whole[1]) for box in boxes]

        return Detected(
            placed(detected.level),
            [_slanted(box, part, down=down, across=across) for box in detected.slanted],
            placed(detected.outsized),
            placed(detected.traces),
        )

    def _probability(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The probability, of 255, that each pixel is text; of each tile what is not at its inner edges."""
        rows, columns = image.shape[:2]
        probability = np.zeros((rows, columns), dtype=np.uint8)
        for top, bottom, upper, lower in _spans(rows):
            for left, right, before, after in _spans(columns):
                tile = self._tile(image[top:bottom, left:right])
                probability[upper:lower, before:after] = tile[upper - top : lower - top, before - left : after - left]
        return probability

    def _tile(self, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rows, columns = tile.shape[:2]
        colour = tile if tile.ndim == 3 else np.broadcast_to(tile[..., None], (rows, columns, 3))
        batch = np.zeros((1, 3, -(-rows // _STRIDE) * _STRIDE, -(-columns // _STRIDE) * _STRIDE), dtype=np.float32)
        batch[0, :, :rows, :columns] = ((colour - _MEAN) / _DEVIATION).transpose(2, 0, 1)
        probability = self._network.run(batch)[0, 0, :rows, :columns]
        return (probability * 255).astype(np.uint8)


def _spans(length: int) -> Iterator[tuple[int, int, int, int]]:
    """Tiles of one axis: first and last pixel of the tile, and of the part of it that counts."""
    start = 0
    while True:
        end = min(start + _TILE, length)
        first = start + _OVERLAP // 2 if start else 0
        last = end if end == length else end - _OVERLAP // 2
        yield start, end, first, last
        if end == length:
            return
        start = end - _OVERLAP


def _boxes(probability: NDArray[np.uint8], pixel: int, component: float, highest: int) -> Detected:
    """Connected text as rectangles, grown to the size that the network was taught to shrink."""
    text = probability > pixel
    labels, _ = ndimage.label(ndimage.binary_dilation(text, structure=np.ones((2, 2), dtype=bool)))
    detected = Detected(traces=list(_traces(probability)))
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        down, across = where
        height, width = down.stop - down.start, across.stop - across.start
        if min(height, width) < _LOWEST:
            continue
        own = labels[where] == number
        score = float(probability[where][own & text[where]].mean()) / 255
        if score < component:
            continue
        x, y, length, thickness, angle = narrowest(own)
        if (
            thickness <= _SLIMMER * min(height, width)
            and length >= _LONG * thickness
            and _OFF <= abs(angle) <= 90 - _OFF
            and _LOWEST <= thickness <= highest
        ):
            by = length * thickness * _UNCLIP / (2 * (length + thickness)) + 1
            detected.slanted.append(
                SlantedBox(
                    x=across.start + x, y=down.start + y, width=length + 2 * by, height=thickness + 2 * by,
                    angle=angle, confidence=score,
                )
            )  # fmt: skip
            continue
        by = round(height * width * _UNCLIP / (2 * (height + width))) + 1
        box = TextBox(
            x=across.start - by, y=down.start - by, width=width + 2 * by, height=height + 2 * by, confidence=score
        )
        if min(height, width) <= highest:
            detected.level.append(box)
        elif score >= _SURE:
            detected.outsized.append(box)
    return detected


def _slanted(box: SlantedBox, part: TextBox, *, down: float, across: float) -> SlantedBox:
    """In pixels of the whole image, of which ``part`` was looked at; both scales differ by rounding alone."""
    by = 2 / (down + across)
    return replace(box.scaled(by), x=part.x + box.x / across, y=part.y + box.y / down)


def _scaled(box: TextBox, part: TextBox, *, down: float, across: float, rows: int, columns: int) -> TextBox:
    """In pixels of the whole image of ``rows`` and ``columns``, of which ``part`` was looked at."""
    x, y = max(0, part.x + int(box.x / across)), max(0, part.y + int(box.y / down))
    right = min(columns, part.x - int(-box.right // across))
    bottom = min(rows, part.y - int(-box.bottom // down))
    return TextBox(x=x, y=y, width=right - x, height=bottom - y, confidence=box.confidence)


def _traces(probability: NDArray[np.uint8]) -> Iterator[TextBox]:
    """The places with a trace of text, in blocks."""
    rows, columns = (-(-length // _BLOCK) for length in probability.shape)
    padded = np.zeros((rows * _BLOCK, columns * _BLOCK), dtype=np.uint8)
    padded[: probability.shape[0], : probability.shape[1]] = probability
    blocks = padded.reshape(rows, _BLOCK, columns, _BLOCK).max(axis=(1, 3))
    labels, _ = ndimage.label(blocks > _TRACE, structure=np.ones((3, 3), dtype=bool))
    for down, across in ndimage.find_objects(labels):
        yield TextBox(
            x=across.start * _BLOCK, y=down.start * _BLOCK, width=(across.stop - across.start) * _BLOCK,
            height=(down.stop - down.start) * _BLOCK, confidence=0,
        )  # fmt: skip
