"""What a finder found of what was burned in."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.errors import InstanceError
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.text import Findings, TextBox, TextFinder
from gateway.profile import Program
from gateway.profile.pixel_program import FindText
from tests.burned_in.cases import Case, Line
from tests.fixtures import treating

#: Part of a line's pixels that must be covered for it to count as found.
FOUND: Final = 0.90


@dataclass(frozen=True, slots=True)
class Measured:
    """One image of the set.

    Attributes
    ----------
    covered: of each line, the part of its pixels that is covered
    false_area: of an image without text, the part that is covered
    milliseconds: CPU time
    """

    case: Case
    findings: Findings
    covered: tuple[float, ...]
    false_area: float
    milliseconds: float

    @property
    def missed(self) -> tuple[Line, ...]:
        """The lines that were not found."""
        return tuple(line for line, part in zip(self.case.lines, self.covered, strict=True) if part < FOUND)


@dataclass(slots=True)
class Total:
    """Sums over images."""

    lines: int = 0
    found: int = 0
    whole: int = 0
    missed_entirely: int = 0
    images: int = 0
    unsure: int = 0
    hold: int = 0
    false_areas: list[float] = field(default_factory=list)
    milliseconds: float = 0.0

    def add(self, measured: Measured) -> None:
        """Count one image."""
        self.images += 1
        self.lines += len(measured.covered)
        self.found += sum(part >= FOUND for part in measured.covered)
        self.whole += sum(part >= 0.999 for part in measured.covered)
        self.missed_entirely += sum(part < 0.1 for part in measured.covered)
        self.unsure += measured.findings.unsure is not None
        self.hold += measured.findings.hold is not None
        if not measured.case.lines:
            self.false_areas.append(measured.false_area)
        self.milliseconds += measured.milliseconds

    @property
    def recall(self) -> float:
        """The part of all lines that was found."""
        return self.found / self.lines if self.lines else 1.0

    @property
    def false_area(self) -> float:
        """Mean part of images without text that was covered."""
        return float(np.mean(self.false_areas)) if self.false_areas else 0.0


def measure(finder: TextFinder, case: Case, options: FindText) -> Measured:
    """Look for text in one image and compare."""
    started = time.process_time()
    findings = finder.find(case, case.description, options, case.words)
    spent = (time.process_time() - started) * 1000
    mask = covered_pixels(findings.boxes, case)
    covered = tuple(float(mask[line.glyphs].mean()) for line in case.lines)
    return Measured(case, findings, covered, float(mask.mean()), spent)


def covered_pixels(boxes: Iterable[TextBox], case: Case) -> NDArray[np.bool_]:
    """The pixels inside ``boxes``."""
    mask = np.zeros(case.image.values.shape[1:3], dtype=bool)
    for box in boxes:
        mask[box.y : box.bottom, box.x : box.right] = True
    return mask


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of an image on its whole way.

    Attributes
    ----------
    held: why it was held; None if it went out
    left: the lines whose pixels were not blanked although the image went out
    """

    held: str | None
    left: tuple[Line, ...]


def deliver(case: Case, folder: Path, program: Program, finder: TextFinder, sandbox: Sandbox, syntax: str) -> Delivered:
    """Send one image its whole way: pixel rules, de-identification, verification, the second look.

    Parameters
    ----------
    folder: an empty directory
    program: a profile with a rule ``find-text``
    syntax: UID of the transfer syntax in which the image arrives
    """
    values = case.image.values
    dataset = treating.image(
        values if len(values) > 1 else values[0],
        treating.CR,
        PhotometricInterpretation=case.image.photometric_interpretation,
        BitsStored=case.image.bits_stored,
    )
    path = treating.stored(folder, dataset, syntax)
    try:
        outcome = treating.treat(path, program, sandbox=sandbox, finder=finder, words=lambda: case.words).outcome
    except InstanceError as error:
        return Delivered(error.message, ())
    mask = np.zeros(values.shape[1:3], dtype=bool)
    for area in outcome.areas:
        mask[area.top : area.bottom, area.left : area.right] = True
    return Delivered(None, tuple(line for line in case.lines if mask[line.glyphs].mean() < FOUND))
