"""What a box says: the PP-OCRv4 mobile recogniser with connectionist temporal classification (CTC)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gateway.pixels.text.box import TextBox
from gateway.pixels.text.models import Network

__all__ = ["Reader", "Reading"]

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
    text: the characters; for comparison only, never stored or reported
    confidence: mean probability of the characters, 0 to 1
    """

    text: str
    confidence: float

    @property
    def characters(self) -> int:
        """The number of letters and digits."""
        return sum(character.isalnum() for character in self.text)


_NOTHING: Final = Reading("", 0.0)


class Reader:
    """Reads boxes.

    Raises
    ------
    ConfigurationError: the model is missing or is not the known one
    """

    def __init__(self) -> None:
        self._network = Network(_MODEL)
        # Class 0 is CTC's blank, the last one the space.
        self._characters = ("", *self._network.described("character").splitlines(), " ")

    def read(self, view: NDArray[np.uint8], box: TextBox) -> Reading:
        """What ``box`` of ``view``, of shape (rows, columns) or (rows, columns, 3), says."""
        crop = view[box.y : box.bottom, box.x : box.right]
        low, high = int(crop.min()), int(crop.max())
        if high - low < _FLAT:
            return _NOTHING
        # Faint text reads better once it uses the whole range.
        stretched = ((crop.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)
        if box.height > _UPRIGHT * box.width:
            turned = (self._read(np.rot90(stretched, turns)) for turns in (1, 3))
            return max(turned, key=lambda reading: reading.confidence)
        return self._read(stretched)

    def _read(self, crop: NDArray[np.uint8]) -> Reading:
        rows, columns = crop.shape[:2]
        width = min(_WIDEST, max(_NARROWEST, round(columns * _HEIGHT / rows)))
        image = np.asarray(Image.fromarray(np.ascontiguousarray(crop)).resize((width, _HEIGHT)), dtype=np.float32)
        colour = image if image.ndim == 3 else np.broadcast_to(image[..., None], (*image.shape, 3))
        batch = np.ascontiguousarray((colour / 127.5 - 1).transpose(2, 0, 1)[None])
        steps = self._network.run(batch)[0]
        best = steps.argmax(axis=1)
        kept = (best != 0) & (best != np.concatenate(([-1], best[:-1])))
        if not kept.any():
            return _NOTHING
        text = "".join(self._characters[number] for number in best[kept])
        return Reading(text, float(steps.max(axis=1)[kept].mean()))
