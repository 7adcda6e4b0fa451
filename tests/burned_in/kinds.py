"""Kinds of images that are measured on their own: slanted lines, one frame of many, film, radiographs of full size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.burned_in.backgrounds import Background, background
from tests.burned_in.cases import Case, Line, Style, Writing, glyphs_of, written

__all__ = ["HANDWRITING", "clean_kinds", "film_cases", "frame_cases", "radiograph_cases", "slanted_cases"]

_TRUETYPE: Final = Path("/usr/share/fonts/truetype")
#: Fonts that imitate handwriting, of Debian's packages fonts-breip, fonts-dkg-handwriting, fonts-femkeklaver and
#: fonts-rufscript; film has printed labels alone where they are not installed.
HANDWRITING: Final = tuple(
    str(_TRUETYPE / name)
    for name in (
        "breip/Breip.ttf",
        "fifthhorseman/dkg.ttf",
        "femkeklaver/femkeklaver.ttf",
        "rufscript/Rufscript010.ttf",
    )
    if (_TRUETYPE / name).exists()
)
_SEEN: Final[tuple[Style, ...]] = ("largest", "outline", "box", "low", "largest")
_PRINTED: Final = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "")


def slanted_cases(seed: int = 20264) -> Iterator[Case]:
    """Lines at 3 to 87 degrees, and every third one in another quadrant, up to upside down."""

    def angle(random: np.random.Generator) -> float:
        return float(random.uniform(3, 87) + 90 * random.choice((0, 0, 0, 0, 1, 2, 3)))

    how = Writing(styles=_SEEN, heights=(16, 18, 20, 24, 28, 32), faces=_PRINTED, angle=angle, seed=seed)
    for number, (name, count) in enumerate(SLANTED):
        yield written(f"{name}-slanted-{number}", background(name, 3000 + number), number, count, how)


SLANTED: Final = (
    ("dx-8", 3), ("ct-abdomen", 2), ("dx-12", 3), ("us-grey", 3), ("dx-14-inverted", 3), ("mr-shoulder", 4),
    ("dx-signed", 3), ("us-colour", 3), ("ct-head", 2), ("dx-10", 3), ("dx-16", 3), ("cr-chest", 4),
    ("mr-abdomen", 2), ("ct-spine", 2), ("dx-8", 3), ("dx-12", 3), ("us-grey", 3), ("dx-signed", 3),
    ("ct-pancreas", 2), ("dx-14-inverted", 3), ("us-clip", 2), ("dx-10", 3), ("dx-large", 4), ("dx-16", 3),
)  # fmt: skip


def frame_cases(seed: int = 20265) -> Iterator[Case]:
    """Clips and stacks of which one frame has a line, mid grey or as bright as can be."""
    for number, name in enumerate(FRAMES):
        style: Style = "largest" if number % 4 == 3 else "grey"
        how = Writing(styles=(style,), heights=(16, 20, 24), faces=_PRINTED, frames=1, seed=seed)
        yield written(f"{name}-frame-{number}", background(name, 3100 + number), number, 2, how)


FRAMES: Final = ("run", "stack", "us-clip", "stack", "run", "us-colour-clip", "run", "stack")


def film_cases(seed: int = 20268) -> Iterator[Case]:
    """Scanned film with a label of black on white, a little askew, and what somebody wrote by hand in white."""
    faces = HANDWRITING or _PRINTED
    for number in range(8):
        name = ("film-8", "film-12")[number % 2]
        image, label = _labelled(background(name, 3200 + number), number, seed)
        how = Writing(styles=("largest",), heights=(36, 44, 56), faces=faces, seed=seed)
        if number % 3 == 2:
            how = replace(how, angle=lambda random: float(random.uniform(-20, 20)))
        case = written(f"{name}-label-{number}", image, number, 2, how)
        yield replace(case, lines=(*label, *case.lines))


def radiograph_cases(seed: int = 20269) -> Iterator[Case]:
    """Radiographs of the size and depth in which a PACS sends them, with what the device wrote into them."""
    styles: tuple[Style, ...] = ("largest", "outline", "box", "low", "largest", "smallest")
    how = Writing(styles=styles, heights=(24, 28, 32, 40, 48, 64), faces=_PRINTED, seed=seed)
    for number, name in enumerate(RADIOGRAPHS):
        yield written(f"{name}-{number}", background(name, 3300 + number), number, 4, how)


RADIOGRAPHS: Final = (
    "dx-sent-12", "cr-chest", "dx-sent-14-inverted", "cr-leg", "cr-sent-10-inverted", "dx-sent-16", "dx-sent-12",
    "dx-sent-14-inverted",
)  # fmt: skip


def clean_kinds() -> Iterator[Case]:
    """The backgrounds of all these kinds without text."""
    names = (
        "dx-sent-12",
        "dx-sent-14-inverted",
        "dx-sent-16",
        "cr-sent-10-inverted",
        "cr-chest",
        "film-8",
        "film-12",
        "film-12",
        "stack",
        "stack",
        "us-clip",
        "us-colour-clip",
    )
    for number, name in enumerate(names):
        image = background(name, 4000 + number)
        yield Case(f"{name}-clean-{number}", image, image.values, (), frozenset())


def _labelled(image: Background, number: int, seed: int) -> tuple[Background, tuple[Line, ...]]:
    """``image`` with a white label of two printed lines in a corner."""
    random = np.random.default_rng((seed, number, 1))
    values = image.values.copy()
    rows, columns = values.shape[1:3]
    texts = ("HOSPITAL LA PLANA", ("GARCIA LOPEZ MARIA", "MULLER HANS PETER", "NOVAKOVA JANA")[number % 3])
    high, wide = rows // 9, int(columns * 0.42)
    top, left = int(rows * random.choice((0.03, 0.85))), int(columns * random.choice((0.04, 0.5)))
    largest = 2**image.bits_stored - 1
    values[0, top : top + high, left : left + wide] = int(largest * 0.93)
    lines = []
    for row, text in enumerate(texts):
        height = int(high * 0.3)
        drawn = glyphs_of(text, "DejaVuSans", height, angle=float(random.uniform(-1.5, 1.5)))
        drawn = drawn[:, : wide - 12]
        glyphs: NDArray[np.bool_] = np.zeros((rows, columns), dtype=bool)
        y, x = top + 6 + row * int(high * 0.46), left + 6
        glyphs[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn > 0.5
        values[0, glyphs] = int(largest * 0.08)
        lines.append(Line(text, "label", height, glyphs))
    return replace(image, values=values), tuple(lines)
