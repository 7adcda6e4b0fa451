"""The pixels of one instance as rules change them: areas that are blackened, edges that go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import PIXEL_DATA
from gateway.pixels import crop
from gateway.pixels.areas import Area, area_of, outside, united
from gateway.pixels.description import PixelDescription
from gateway.pixels.faces.blanking import Blank
from gateway.pixels.fill import Frame, blacken, fill_of, needs_extremes, without_unused_bits
from gateway.pixels.regions import ultrasound_regions
from gateway.profile import Program
from gateway.profile.pixel_program import Crop, KeepRegion, Mask, PixelRule, UltrasoundRegions

__all__ = ["Edit", "EditedFrames", "Frames", "edit_of", "has_hidden_bits", "name_of"]

#: Cells that are looked at together; they fit the cache.
_CELLS: Final = 1 << 18


class Frames(Protocol):
    """The frames of an image, read one at a time."""

    @property
    def photometric_interpretation(self) -> str:
        """Of the frames as they are handed out."""

    def frame(self, number: int) -> Frame:
        """Frame ``number``, from 0: stored values, shape (rows, columns[, samples])."""

    def __len__(self) -> int:
        """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What happens to every frame.

    Attributes
    ----------
    areas
        what is blackened, in pixels of the received image; they do not overlap
    kept
        what stays of the image where its geometry changes, None where it does not
    clears
        whether bits that are no part of a sample hold something, which goes
    blank
        the face, which goes
    because
        the rules behind it, as ``name_of`` gives them
    """

    areas: tuple[Area, ...] = ()
    kept: Area | None = None
    clears: bool = False
    blank: Blank | None = None
    because: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.areas) or self.kept is not None or self.clears or self.blank is not None

    def adding(self, areas: Iterable[Area], because: str) -> Edit:
        """The edit that blackens ``areas`` as well."""
        more = tuple(areas)
        return replace(self, areas=united((*self.areas, *more)), because=(*self.because, because)) if more else self

    def described(self, description: PixelDescription) -> PixelDescription:
        """The description of the edited image."""
        if self.kept is None:
            return description
        return replace(
            description, rows=self.kept.bottom - self.kept.top, columns=self.kept.right - self.kept.left
        )  # fmt: skip


@dataclass(frozen=True)
class EditedFrames:
    """Frames as an edit leaves them; where the geometry changes, edges that go are still there.

    Parameters
    ----------
    source
        the received frames
    description
        of the received image
    edit
        what happens to them
    """

    source: Frames
    description: PixelDescription
    edit: Edit

    @property
    def photometric_interpretation(self) -> str:
        """Of the frames as they are handed out."""
        return self.source.photometric_interpretation

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.source)

    def frame(self, number: int) -> Frame:
        """Frame ``number`` of the received size, the areas blackened, bits without meaning cleared.

        Raises
        ------
        PixelsUnreadable
            the frame cannot be decoded, or nothing says what is black
        """
        frame = without_unused_bits(self.source.frame(number), self.description)
        if self.edit.blank is not None:
            frame = self.edit.blank.apply(frame, number, self._fill[0])
        return blacken(frame, self.edit.areas, self._fill)

    @cached_property
    def _fill(self) -> tuple[int, ...]:
        extremes = None
        if (self.edit.areas or self.edit.blank is not None) and needs_extremes(self.description):
            extremes = self._extremes()
        return fill_of(self.description, self.photometric_interpretation, extremes)

    def _extremes(self) -> tuple[int, int]:
        """The lowest and the highest value of all frames."""
        lows, highs = [], []
        for number in range(len(self)):
            frame = without_unused_bits(self.source.frame(number), self.description)
            lows.append(int(frame.min()))
            highs.append(int(frame.max()))
        return min(lows), max(highs)

    def cropped(self, number: int) -> Frame:
        """Frame ``number`` as it is written.

        Raises
        ------
        PixelsUnreadable
            as ``frame``
        """
        frame, kept = self.frame(number), self.edit.kept
        return frame if kept is None else frame[kept.top : kept.bottom, kept.left : kept.right]


def has_hidden_bits(instance: Instance, description: PixelDescription) -> bool:
    """Whether bits of a native image that are no part of a sample hold something, such as an overlay (PS3.5 8.1.1).

    Every image may be asked, so nothing is copied and no frame is made of the cells.
    """
    stored, element = description.bits_stored, find(instance.elements, PIXEL_DATA)
    if element is None or description.encapsulated or description.bits_allocated in (1, stored):
        return False
    size = description.bits_allocated // 8
    count = min(description.frames * description.native_bits // 8, element[4] - element[3]) // size
    cells = np.frombuffer(instance.buffer, description.dtype, count, element[3])
    parts = (cells[first : first + _CELLS] for first in range(0, count, _CELLS))
    if description.high_bit == stored - 1:
        return any(_holds_above(part, description) for part in parts)
    return any(not np.array_equal(part, without_unused_bits(part, description)) for part in parts)


def _holds_above(cells: Frame, description: PixelDescription) -> bool:
    """Whether bits above samples hold something; there are none below, so that the range tells."""
    stored, signed, padding = description.bits_stored, description.signed, description.padding_value
    low, high = (-(1 << (stored - 1)), 1 << (stored - 1)) if signed else (0, 1 << stored)
    if cells.max() < high and (not signed or cells.min() >= low):
        return False
    if padding is not None:
        # It may lie beyond what samples can be (PS3.3 C.7.5.1.1.2).
        cells = cells[cells != padding]
    if signed and stored + 1 < description.bits_allocated:
        # Writers leave negative samples without the sign above, or store a bit less than they use: none or all are set.
        above = cells >> stored
        return bool(((above != 0) & (above != -1)).any())
    return bool(((cells < low) | (cells >= high)).any())


def name_of(rule: PixelRule) -> str:
    """A rule as errors and receipts name it: the profile and the line where it stands."""
    return f"the pixel rule of {rule.origin.layer}, line {rule.origin.line}"


def edit_of(program: Program, instance: Instance, description: PixelDescription) -> Edit:
    """What the rules that need nobody say: rectangles, regions and crops.

    Parameters
    ----------
    program
        specialised
    instance
        as received
    description
        of its pixels

    Raises
    ------
    RuleFailed
        a rectangle lies outside the image, regions are impossible, or a crop leaves nothing
    """
    rows, columns = description.rows, description.columns
    edit = Edit()
    crops: list[Crop] = []
    for rule in program.pixels:
        where = name_of(rule)
        match rule:
            case Mask():
                areas = [area_of(one, rows=rows, columns=columns, where=where) for one in rule.rectangles]
                edit = edit.adding(areas, where)
            case KeepRegion():
                keep = [area_of(one, rows=rows, columns=columns, where=where, whole=True) for one in rule.rectangles]
                edit = edit.adding(outside(keep, rows=rows, columns=columns), where)
            case UltrasoundRegions():
                keep = list(ultrasound_regions(instance, rows=rows, columns=columns, where=where))
                edit = edit.adding(outside(keep, rows=rows, columns=columns), where)
            case Crop(geometry="change"):
                crops.append(rule)
            case Crop():
                edit = edit.adding(crop.edges(rule, rows=rows, columns=columns, where=where), where)
    if not crops:
        return edit
    names = tuple(name_of(rule) for rule in crops)
    kept = crop.kept(crops, rows=rows, columns=columns, where=names[-1])
    inside = tuple(part for area in edit.areas if (part := area.within(kept)) is not None)
    return Edit(areas=inside, kept=kept, because=(*edit.because, *names))
