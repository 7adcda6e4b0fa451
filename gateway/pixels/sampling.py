"""How much of an instance a rule with ``scan: sampled`` looks at.

Every image is looked at whole, but for originals of kinds that come as stacks of slices (CT, MR, NM, PT and the like in
``data/caution.csv``): of those a sample is, and all of a series as soon as one slice of it had text.

Which slices are the first, the middle and the last one is not known while they arrive. The sample is therefore chosen
slice by slice, so that every node chooses the same in any order (promise P6): Instance Number (0020,0013) 1 and less,
every power of two from 4 (so that each half of a series has one, however long it is), the last and the middle one where
the header tells how many there are, and slices that have no number. Beside these the first slice of each series that a
process meets is looked at, whatever its number. What is looked at by sample leaves no trace in the output if nothing is
found, so that outputs do not depend on that.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gateway.dicom.instance import Instance
from gateway.pixels.caution import CAUTIONS
from gateway.pixels.description import PixelDescription
from gateway.pixels.editing import Frames
from gateway.pixels.fill import Frame
from gateway.pixels.risk import CONVERSION_TYPE, IMAGE_TYPE, sop_class_of

__all__ = [
    "SERIES_INSTANCE_UID",
    "ChosenFrames",
    "Look",
    "SeriesMemory",
    "chosen_frames",
    "is_sampled",
    "is_slice",
    "look_of",
]

SERIES_INSTANCE_UID: Final = 0x0020000E
_INSTANCE_NUMBER: Final = 0x00200013
#: An integer string (PS3.5 6.2).
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,11}")
#: How many slices there are: Images in Acquisition, Number of Slices.
_COUNTS: Final = (0x00201002, 0x00540081)
#: The smallest power of two that is looked at beside 1.
_SMALLEST: Final = 4
#: Frames up to which a volume in one instance is looked at whole.
_FEW: Final = 3
#: Series that a process remembers.
_MOST_SERIES: Final = 10_000


class Look(Enum):
    """How much of an instance is looked at."""

    #: all frames
    WHOLE = "whole"
    #: the first, the middle and the last frame of a volume in one instance, and all if text is found
    FRAMES = "frames"
    #: a slice of a series, of which a sample is looked at
    SLICE = "slice"
    #: no picture: a map, a dose, a segmentation
    NONE = "none"


def look_of(instance: Instance, description: PixelDescription) -> Look:
    """How much of an instance is looked at that is of no risky kind.

    Parameters
    ----------
    instance
        as received
    description
        of its pixels
    """
    caution = CAUTIONS.get(("sop-class", sop_class_of(instance)))
    if caution is None or caution.look == "whole":
        return Look.WHOLE
    if caution.look == "none":
        return Look.NONE
    if not _is_original(instance, description):
        return Look.WHOLE
    if description.frames == 1:
        return Look.SLICE
    return Look.WHOLE if description.frames <= _FEW else Look.FRAMES


def is_slice(instance: Instance, description: PixelDescription) -> bool:
    """Whether the instance is one image of a kind that comes as stacks of slices, original or not."""
    caution = CAUTIONS.get(("sop-class", sop_class_of(instance)))
    return caution is not None and caution.look == "sample" and description.frames == 1


def is_sampled(instance: Instance) -> bool:
    """Whether a slice of a series is one of those that are looked at."""
    number = _number(instance, _INSTANCE_NUMBER)
    if number is None or number <= 1 or (number >= _SMALLEST and number & (number - 1) == 0):
        return True
    counts = (_number(instance, tag) for tag in _COUNTS)
    return any(count is not None and number in (count, (count + 1) // 2) for count in counts)


def chosen_frames(description: PixelDescription) -> tuple[int, ...]:
    """The first, the middle and the last frame of a volume, from 0."""
    return 0, description.frames // 2, description.frames - 1


@dataclass(frozen=True, slots=True)
class ChosenFrames:
    """Some frames of an image."""

    source: Frames
    numbers: Sequence[int]

    @property
    def photometric_interpretation(self) -> str:
        """Of the frames as they are handed out."""
        return self.source.photometric_interpretation

    def frame(self, number: int) -> Frame:
        """The frame in this place, from 0."""
        return self.source.frame(self.numbers[number])

    def __len__(self) -> int:
        """How many there are."""
        return len(self.numbers)


@dataclass(slots=True)
class SeriesMemory:
    """Series of which this process has looked at a slice, or knows that one had text; the latest ones."""

    _series: OrderedDict[str, bool] = field(default_factory=OrderedDict)

    def is_new(self, series: str) -> bool:
        """Whether nothing of the series was looked at here."""
        return series not in self._series

    def has_text(self, series: str) -> bool:
        """Whether a slice of the series had text."""
        return self._series.get(series, False)

    def add(self, series: str, *, text: bool) -> None:
        """Remember that a slice was looked at, and whether it had text."""
        self._series[series] = self._series.pop(series, False) or text
        if len(self._series) > _MOST_SERIES:
            self._series.popitem(last=False)


def _is_original(instance: Instance, description: PixelDescription) -> bool:
    """Whether the slices come from the scanner as they are: ORIGINAL and PRIMARY, grey, and nothing says otherwise."""
    types = [value.strip() for value in instance.text(IMAGE_TYPE).upper().split("\\")]
    if types[:2] != ["ORIGINAL", "PRIMARY"] or any(("image-type", value) in CAUTIONS for value in types[2:]):
        return False
    return description.photometric_interpretation.startswith("MONOCHROME") and not instance.text(CONVERSION_TYPE)


def _number(instance: Instance, tag: int) -> int | None:
    """The one value of IS or US; None if there is none."""
    text = instance.text(tag).strip()
    return int(text) if _INTEGER.fullmatch(text) else None
