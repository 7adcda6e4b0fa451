"""What a box says: the PP-OCRv4 mobile recogniser with connectionist temporal classification (CTC)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gateway.pixels.text.box import TextBox
from gateway.pixels.text.models import Network
from gateway.pixels.text.slanted import SlantedBox, level_view
from gateway.settings.pixel_settings import PixelSettings

__all__ = ["Character", "Reader", "Reading"]

_MODEL: Final = "ch_PP-OCRv4_rec_infer.onnx"
#: Height that the network reads, and the widest line that is given to it, in pixels.
_HEIGHT: Final = 48
_WIDEST: Final = 2400
_NARROWEST: Final = 48
#: A box this many times as high as wide is read from both sides.
_UPRIGHT: Final = 1.5
#: Grey levels between the darkest and the brightest pixel below which a box holds nothing.
_FLAT: Final = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in a box.

    Attributes
    ----------
    text
        the characters; for comparison only, never stored or reported
    confidence
        mean probability of the characters, 0 to 1
    """

    text: str
    confidence: float

    @property
    def characters(self) -> int:
        """The number of letters and digits."""
        return sum(character.isalnum() for character in self.text)


@dataclass(frozen=True, slots=True)
class Character:
    """One character of a line that was read.

    Attributes
    ----------
    sign
        for comparison only, never stored or reported
    column
        of the image, of the middle of the step in which it was read
    confidence
        its probability, 0 to 1
    """

    sign: str
    column: float
    confidence: float


_NOTHING: Final = Reading("", 0.0)


class Reader:
    """Reads boxes.

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
        # Class 0 is CTC's blank, the last one the space.
        self.signs: Final = ("", *self._network.described("character").splitlines(), " ")

    def read(self, view: NDArray[np.uint8], box: TextBox) -> Reading:
        """What ``box`` of ``view``, of shape (rows, columns) or (rows, columns, 3), says."""
        crop = _stretched(view, box)
        if crop is None:
            return _NOTHING
        if box.height > _UPRIGHT * box.width:
            turned = (self._reading(self._run(np.rot90(crop, turns))) for turns in (1, 3))
            return max(turned, key=lambda reading: reading.confidence)
        return self._reading(self._run(crop))

    def read_slanted(self, view: NDArray[np.uint8], line: SlantedBox) -> tuple[SlantedBox, Reading]:
        """What ``line`` of ``view`` says, and the line in the direction in which it is read."""
        read = [(way, self.read_level(view, way)) for way in (line, line.turned())]
        return max(read, key=lambda one: one[1].confidence)

    def read_level(self, view: NDArray[np.uint8], line: SlantedBox) -> Reading:
        """What ``line`` of ``view`` says, read along its angle alone."""
        crop = _stretched(*level_view(view, line))
        return _NOTHING if crop is None else self._reading(self._run(crop))

    def characters(self, view: NDArray[np.uint8], box: TextBox) -> list[Character]:
        """The characters of a level line in ``box`` of ``view``, from left to right, with their places."""
        steps = self.steps(view, box)
        if steps is None:
            return []
        best, kept = _decoded(steps)
        return [
            Character(self.signs[best[step]], box.x + (step + 0.5) * box.width / len(steps), float(steps[step].max()))
            for step in np.flatnonzero(kept)
        ]

    def steps(self, view: NDArray[np.uint8], box: TextBox) -> NDArray[np.float32] | None:
        """The probability of each class of ``signs`` at each step of a level line, of shape (steps, classes).

        None if the box is flat.
        """
        crop = _stretched(view, box)
        return None if crop is None else self._run(crop)

    def _run(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = crop.shape[:2]
        width = min(_WIDEST, max(_NARROWEST, round(columns * _HEIGHT / rows)))
        image = np.asarray(Image.fromarray(np.ascontiguousarray(crop)).resize((width, _HEIGHT)), dtype=np.float32)
        colour = image if image.ndim == 3 else np.broadcast_to(image[..., None], (*image.shape, 3))
        batch = np.ascontiguousarray((colour / 127.5 - 1).transpose(2, 0, 1)[None])
        steps: NDArray[np.float32] = self._network.run(batch)[0]
        return steps

    def _reading(self, steps: NDArray[np.float32]) -> Reading:
        best, kept = _decoded(steps)
        if not kept.any():
            return _NOTHING
        return Reading("".join(self.signs[number] for number in best[kept]), float(steps.max(axis=1)[kept].mean()))


def _stretched(view: NDArray[np.uint8], box: TextBox) -> NDArray[np.uint8] | None:
    """The pixels of ``box`` over the whole range, in which faint text reads better; None if they are flat."""
    crop = view[box.y : box.bottom, box.x : box.right]
    low, high = int(crop.min()), int(crop.max())
    if high - low < _FLAT:
        return None
    return ((crop.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)


def _decoded(steps: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The likeliest class of each step, and the steps in which a character begins."""
    best = steps.argmax(axis=1)
    return best, (best != 0) & (best != np.concatenate(([-1], best[:-1])))
