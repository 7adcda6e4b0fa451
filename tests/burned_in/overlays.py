"""Overlay planes that say who the patient is, beside ones that are drawings alone, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from gateway.errors import InstanceError
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.text import TextFinder
from gateway.profile import Program
from tests.burned_in.cases import glyphs_of
from tests.fixtures import treating

__all__ = ["OverlayCase", "OverlayLeft", "deliver_overlay", "overlay_cases"]

_ROWS: Final = 480
_COLUMNS: Final = 600
_TEXTS: Final = ("GARCIA LOPEZ^MARIA", "ID: 4471239", "12/03/1957", "KLINIKUM NORD", "O'BRIEN SHEILA", "Acc 90117")
_HEIGHTS: Final = (14, 18, 24, 32)


@dataclass(frozen=True, slots=True)
class OverlayCase:
    """A plane: its bits, and those of each line in it."""

    bits: NDArray[np.bool_] = field(repr=False)
    lines: tuple[NDArray[np.bool_], ...] = field(repr=False)
    drawn: NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OverlayLeft:
    """What came of a plane: whether the instance was held, the plane went, lines that are left, part of the drawing."""

    held: bool
    gone: bool
    lines: int
    drawing: float


def overlay_cases(seed: int = 20270) -> Iterator[OverlayCase]:
    """Twelve planes: a circle and an arrow, and in three of four two lines of text, every other one aslant."""
    for number in range(12):
        random = np.random.default_rng((seed, number))
        down, across = np.mgrid[0:_ROWS, 0:_COLUMNS]
        drawn = np.abs(np.hypot(across - 400, down - 300) - random.uniform(40, 90)) < 1
        drawn |= (np.abs(down - across / 3 - 200) < 1) & (across < 200)
        bits, lines = drawn.copy(), []
        for line in range(0 if number % 4 == 3 else 2):
            angle = float(random.uniform(-60, 60)) if number % 2 else 0.0
            text = _TEXTS[(number + line) % len(_TEXTS)]
            glyphs = glyphs_of(text, "DejaVuSans", int(random.choice(_HEIGHTS)), angle=angle) > 0.5
            glyphs = glyphs[:200, :280]
            y, x = 10 + 200 * line, int(random.integers(5, 300 - 280 * line + 5))
            whole = np.zeros_like(bits)
            whole[y : y + glyphs.shape[0], x : x + glyphs.shape[1]] = glyphs
            bits |= whole
            lines.append(whole)
        yield OverlayCase(bits, tuple(lines), drawn)


def deliver_overlay(
    case: OverlayCase, folder: Path, program: Program, finder: TextFinder, sandbox: Sandbox
) -> OverlayLeft:
    """Send an image with the plane its whole way."""
    dataset: Dataset = treating.image(
        np.tile(np.linspace(100, 900, _COLUMNS).astype(np.uint16), (_ROWS, 1)), treating.CR, BitsStored=12
    )
    for number, vr, value in (
        (0x10, "US", _ROWS), (0x11, "US", _COLUMNS), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 1),
        (0x102, "US", 0), (0x3000, "OW", np.packbits(case.bits.reshape(-1), bitorder="little").tobytes()),
    ):  # fmt: skip
        dataset.add_new(0x60000000 | number, vr, value)
    try:
        output = treating.treat(
            treating.stored(folder, dataset), program, sandbox=sandbox, finder=finder,
            words=lambda: frozenset(_TEXTS),
        ).dataset  # fmt: skip
    except InstanceError:
        return OverlayLeft(held=True, gone=False, lines=0, drawing=0.0)
    if 0x60003000 not in output:
        return OverlayLeft(held=False, gone=True, lines=0, drawing=0.0)
    left = np.unpackbits(np.frombuffer(output[0x60003000].value, np.uint8), bitorder="little")
    bits = left[: _ROWS * _COLUMNS].astype(bool).reshape(_ROWS, _COLUMNS)
    lines = sum(bool(bits[line].mean() > 0.1) for line in case.lines)
    return OverlayLeft(held=False, gone=False, lines=lines, drawing=float(bits[case.drawn].mean()))
