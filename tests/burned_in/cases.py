"""The generated set: which text is burned into which image, how, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from gateway.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.pixels.description import PixelDescription
from tests.burned_in.backgrounds import Background, background

#: Debian's package fonts-dejavu-core.
_FONTS: Final = Path("/usr/share/fonts/truetype/dejavu")
_FACES: Final = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif", "", "bitmap")

Style = Literal["largest", "smallest", "outline", "box", "low", "faint", "grey"]
_STYLES: Final[tuple[Style, ...]] = ("largest", "outline", "low", "box", "smallest", "largest", "faint", "low")
#: Those that stand out wherever they are.
CLEAR: Final[tuple[Style, ...]] = ("outline", "box")
_HEIGHTS: Final = (12, 14, 16, 18, 20, 24, 28, 32, 36, 40)
_COLOURS: Final = ((255, 255, 255), (255, 255, 0), (0, 255, 0), (0, 255, 255), (255, 160, 80))
#: Part of the displayed range by which text of a style differs from what is under it.
_CONTRAST: Final = {"low": (0.18, 0.28), "faint": (0.09, 0.14)}

#: Invented persons: family name, given name, identifier, birth date, accession number, institution.
_PERSONS: Final = (
    ("GARCIA LOPEZ", "MARIA", "4471239", "12/03/1957", "ACC-90117", "HOSPITAL LA PLANA"),
    ("MULLER", "HANS PETER", "PX-88213", "1961-11-30", "2026004417", "KLINIKUM NORD"),
    ("O'BRIEN", "SHEILA", "100-23-881", "07 Sep 1949", "RAD55120", "ST MARY INFIRMARY"),
    ("TANAKA", "KENJI", "JP0093312", "19880214", "X771204", "SAKURA CLINIC"),
    ("NOVAKOVA", "JANA", "735412/0918", "12.04.1973", "CZ-44810", "NEMOCNICE BRNO"),
    ("DUBOIS", "ANTOINE", "FR771023", "23/10/1977", "A-610022", "CHU DE LYON"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of burned-in text.

    Attributes
    ----------
    text: what it says
    style, height: how it was written, and the size of its font in pixels
    angle: by how many degrees it was turned to the left
    glyphs: the pixels of its characters, of shape (rows, columns)
    """

    text: str
    style: str
    height: int
    glyphs: NDArray[np.bool_] = field(repr=False)
    angle: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """An image of the set: ``image`` after ``lines`` were burned into it.

    Attributes
    ----------
    name: unique, tells what it is made of
    image: stored values and what describes them
    before: the stored values without text
    lines: what was burned in; none for a clean image
    words: what the header says of the person whose text was burned in
    """

    name: str
    image: Background = field(repr=False)
    before: NDArray[Any] = field(repr=False)
    lines: tuple[Line, ...]
    words: frozenset[str]

    @property
    def photometric_interpretation(self) -> str:
        """Of what ``frame`` gives."""
        return self.image.photometric_interpretation

    @property
    def description(self) -> PixelDescription:
        """What its header would say."""
        frames, rows, columns = self.image.values.shape[:3]
        return PixelDescription(
            rows=rows,
            columns=columns,
            samples_per_pixel=3 if self.image.values.ndim == 4 else 1,
            photometric_interpretation=self.image.photometric_interpretation,
            bits_allocated=self.image.values.dtype.itemsize * 8,
            bits_stored=self.image.bits_stored,
            high_bit=self.image.bits_stored - 1,
            pixel_representation=self.image.pixel_representation,
            planar_configuration=0,
            frames=frames,
            transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN,
            encapsulated=False,
        )

    def fits(self, syntax: str) -> bool:
        """Whether an encoder of the tests writes this image in ``syntax``: not all take signed values or colour."""
        if syntax == JPEGLosslessSV1 and self.image.values.ndim == 4:
            return False
        return syntax not in (JPEGLosslessSV1, JPEGLSLossless) or self.image.pixel_representation == 0

    def frame(self, number: int) -> NDArray[Any]:
        """Stored values of a frame."""
        shown: NDArray[Any] = self.image.values[number]
        return shown


#: Background, how often it is written on, lines on it each time.
WRITTEN: Final = (
    ("ct-abdomen", 5, 4),
    ("ct-head", 4, 4),
    ("ct-spine", 3, 4),
    ("ct-pancreas", 3, 4),
    ("mr-shoulder", 3, 5),
    ("mr-abdomen", 4, 4),
    ("nm-body", 3, 3),
    ("cr-chest", 3, 6),
    ("dx-8", 4, 5),
    ("dx-10", 3, 5),
    ("dx-12", 3, 5),
    ("dx-14-inverted", 3, 5),
    ("dx-16", 3, 5),
    ("dx-signed", 3, 5),
    ("dx-large", 2, 6),
    ("us-grey", 4, 4),
    ("us-colour", 4, 4),
    ("us-real", 2, 3),
    ("us-clip", 3, 3),
    ("us-colour-clip", 2, 3),
    ("us-cardiac", 1, 2),
)


def cases(only: str | None = None, *, seed: int = 20263) -> Iterator[Case]:
    """Images with burned-in text: more than 200 lines of 12 to 40 pixels, six styles, seven fonts.

    Parameters
    ----------
    only: name of the one image that is wanted
    seed: of the lines
    """
    number = 0
    for name, times, count in WRITTEN:
        for time in range(times):
            number += 1
            if only in (None, f"{name}-{time}"):
                how = Writing(seed=seed)
                yield written(f"{name}-{time}", background(name, number), number, count, how)


def clean_cases(only: str | None = None) -> Iterator[Case]:
    """Images without text: those on which lines are written, generated ones with several seeds."""
    for name, seeds in CLEAN:
        for seed in range(seeds):
            if only not in (None, f"{name}-clean-{seed}"):
                continue
            image = background(name, 1000 + seed)
            yield Case(f"{name}-clean-{seed}", image, image.values, (), frozenset())


CLEAN: Final = (
    ("ct-abdomen", 1), ("ct-head", 1), ("ct-spine", 1), ("ct-pancreas", 1), ("mr-shoulder", 1), ("mr-abdomen", 1),
    ("nm-body", 1), ("cr-chest", 1), ("dx-8", 2), ("dx-10", 2), ("dx-12", 2), ("dx-14-inverted", 2), ("dx-16", 2),
    ("dx-signed", 2), ("dx-large", 1), ("us-grey", 3), ("us-colour", 2), ("us-clip", 2), ("us-colour-clip", 2),
)  # fmt: skip


def marked_cases(only: str | None = None) -> Iterator[Case]:
    """Images with nothing but a side marker of one letter, or the ticks of a ruler."""
    for number, name in enumerate(MARKED):
        if only not in (None, f"{name}-{'marker' if number % 2 else 'ruler'}-{number}"):
            continue
        random = np.random.default_rng((20262, number))
        image = background(name, 2000 + number)
        values = image.values.copy()
        marks = _marker(random, values.shape[1:3]) if number % 2 else _ruler(values.shape[1:3])
        kind = "marker" if number % 2 else "ruler"
        for frame in values:
            frame[marks] = _ink(image, "largest", random)
        marked = Background(values, image.photometric_interpretation, image.bits_stored, image.modality)
        yield Case(f"{name}-{kind}-{number}", marked, image.values, (), frozenset())


MARKED: Final = (
    "ct-abdomen", "ct-abdomen", "ct-head", "ct-head", "ct-spine", "ct-pancreas", "ct-pancreas", "mr-abdomen",
    "mr-shoulder", "mr-abdomen", "nm-body", "dx-8", "dx-8", "dx-10", "dx-10", "dx-12", "dx-12", "dx-14-inverted",
    "dx-14-inverted", "dx-16", "dx-16", "dx-signed", "dx-signed", "dx-8", "us-grey", "cr-chest", "us-colour", "dx-8",
    "us-grey", "dx-12", "us-colour", "dx-16",
)  # fmt: skip


def compressed_cases(*, clear: bool = False) -> Iterator[Case]:
    """Images that are to be compressed: one of each depth and colour; ``clear`` ones have no faint text."""
    styles = CLEAR if clear else _STYLES
    for number, name in enumerate(("ct-abdomen", "dx-8", "dx-16", "us-colour"), start=500):
        yield _written(f"{name}-compressed", name, number, 3, styles)


def illustration() -> Case:
    """The image that the documentation shows: a generated radiograph with name, identifier and birth date."""
    return _written("illustration", "dx-8", 77, 4)


def _written(title: str, name: str, number: int, count: int, styles: tuple[Style, ...] = _STYLES) -> Case:
    return written(title, background(name, number), number, count, Writing(styles=styles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How lines are written.

    Attributes
    ----------
    styles, heights, faces: of which each line has one: styles, sizes in pixels, fonts of ``_FACES`` or paths
    angle: gives the angle of a line in degrees, to the left
    frames: how many frames in a row of a clip have a line; None: eight of a long clip, all of a short one
    seed: beside the image's number
    """

    styles: tuple[Style, ...] = _STYLES
    heights: tuple[int, ...] = _HEIGHTS
    faces: tuple[str, ...] = _FACES
    angle: Callable[[np.random.Generator], float] | None = None
    frames: int | None = None
    seed: int = 20263


def written(title: str, image: Background, number: int, count: int, how: Writing) -> Case:
    """``image`` with ``count`` lines about one person, the ``number``-th of a series."""
    random = np.random.default_rng((how.seed, number))
    styles = how.styles
    values = image.values.copy()
    person = _PERSONS[number % len(_PERSONS)]
    texts = _texts(person)
    lines: list[Line] = []
    taken = np.zeros(values.shape[1:3], dtype=bool)
    for position in range(count):
        style = styles[int(random.integers(len(styles)))]
        line = _line(random, texts[(number + position) % len(texts)], style, taken, how)
        if not _is_visible(image, line):
            line = replace(line, style="box")
        _burn(random, image, values, line, how.frames)
        # Where text is cut off at the end of the range it is not there.
        seen = (values != image.values).reshape(*values.shape[:3], -1).any(axis=(0, 3)) | (line.style not in _CONTRAST)
        lines.append(replace(line, glyphs=line.glyphs & seen))
    burned = Background(values, image.photometric_interpretation, image.bits_stored, image.modality)
    return Case(title, burned, image.values, tuple(lines), frozenset(person))


def _texts(person: tuple[str, ...]) -> tuple[str, ...]:
    family, given, number, birth, accession, institution = person
    return (
        f"{family}^{given}",
        f"ID: {number}",
        f"{birth} F",
        institution,
        f"{given} {family}",
        f"Acc {accession}",
        f"DOB {birth}",
        f"{family}, {given}  {number}",
        f"{institution}  {birth}",
        number,
    )


def _line(random: np.random.Generator, text: str, style: Style, taken: NDArray[np.bool_], how: Writing) -> Line:
    """Glyphs of a line at a place that no other line has taken."""
    rows, columns = taken.shape
    height = int(random.choice(how.heights))
    angle = 0.0 if how.angle is None else how.angle(random)
    while True:
        face = how.faces[int(random.integers(len(how.faces)))]
        drawn = _turned(_glyphs(text, face, height, smooth=bool(random.integers(2))), angle)
        if drawn.shape[1] <= columns - 8 and drawn.shape[0] <= rows - 8:
            break
        height = max(12, height - 4)
        text = text if height > 12 else text[:-2]
    for _ in range(200):
        # Half of all lines stand along an edge, as devices write them.
        y = int(random.integers(4, rows - drawn.shape[0] - 3))
        if random.integers(2):
            y = int(random.choice((4, rows - drawn.shape[0] - 4)))
        x = int(random.integers(4, columns - drawn.shape[1] - 3))
        around = taken[max(0, y - 12) : y + drawn.shape[0] + 12, max(0, x - 24) : x + drawn.shape[1] + 24]
        if not around.any():
            break
    whole = np.zeros(taken.shape, dtype=np.float32)
    whole[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    taken |= whole > 0
    return Line(text, style, height, whole > 0.5, angle)


def glyphs_of(text: str, face: str, height: int, *, angle: float) -> NDArray[np.float32]:
    """How much each pixel belongs to a character of a line that is turned to the left, 0 to 1, cut to the text."""
    return _turned(_glyphs(text, face, height, smooth=True), angle)


def _turned(drawn: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """Glyphs turned to the left, cut to the text."""
    if not angle:
        return drawn
    turned = np.asarray(Image.fromarray(drawn).rotate(angle, Image.Resampling.BICUBIC, expand=True))
    rows, columns = (np.flatnonzero((turned > 0.2).any(axis=axis)) for axis in (1, 0))
    cut: NDArray[np.float32] = turned[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].clip(0, 1)
    return cut


@cache
def _font(face: str, height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if face.startswith("/"):
        return ImageFont.truetype(face, height)
    if face:
        return ImageFont.truetype(str(_FONTS / f"{face}.ttf"), height)
    return ImageFont.load_default(height)


def _glyphs(text: str, face: str, height: int, *, smooth: bool) -> NDArray[np.float32]:
    """How much each pixel belongs to a character, 0 to 1, cut to the text."""
    if face == "bitmap":
        # The font of 11 pixels that devices enlarge by whole numbers.
        font: Any = ImageFont.load_default_imagefont()
        times = max(1, round(height / 11))
    else:
        font, times = _font(face, height), 1
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new("L" if smooth and times == 1 else "1", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(canvas).text((2 - left, 2 - top), text, fill=255 if canvas.mode == "L" else 1, font=font)
    drawn: NDArray[np.float32] = np.asarray(canvas, dtype=np.float32)
    if canvas.mode == "L":
        drawn = drawn / np.float32(255)
    return np.kron(drawn, np.ones((times, times), dtype=np.float32))


def _burn(
    random: np.random.Generator, image: Background, values: NDArray[Any], line: Line, several: int | None
) -> None:
    """Write ``line`` into ``several`` frames in a row; None: into eight of a long clip, all of a short one."""
    from scipy import ndimage

    frames = range(len(values))
    if several is None and len(values) > 30:
        several = 8
    if several is not None:
        start = int(random.integers(len(values) - several))
        frames = range(start, start + several)
    around = ndimage.binary_dilation(line.glyphs, iterations=2 if line.height > 20 else 1)
    y, x = np.nonzero(line.glyphs)
    box = (slice(max(0, y.min() - 4), y.max() + 5), slice(max(0, x.min() - 4), x.max() + 5))
    ink = _ink(image, line.style, random)
    for number in frames:
        frame = values[number]
        if line.style == "outline":
            frame[around] = _ink(image, "smallest", random)
        elif line.style == "box":
            frame[box] = _ink(image, "smallest", random)
        if line.style in _CONTRAST:
            grain = frame[box].astype(np.float32)
            grain = float((grain - ndimage.uniform_filter(grain, (3, 3, 1)[: grain.ndim])).std())
            frame[line.glyphs] = _faint(image, frame[line.glyphs], line.style, grain, random)
        else:
            frame[line.glyphs] = ink


def _ink(image: Background, style: str, random: np.random.Generator) -> Any:
    """The stored value of text: the brightest, or the darkest for ``smallest``."""
    signed = image.pixel_representation
    least, most = (-(2 ** (image.bits_stored - 1)) if signed else 0), 2 ** (image.bits_stored - signed) - 1
    dark = style == "smallest"
    if style == "grey":
        low, high = np.percentile(image.values, (0.5, 99.5))
        return np.asarray((low + high) / 2).astype(image.values.dtype)
    if image.values.ndim == 4:
        return (0, 0, 0) if dark else _COLOURS[int(random.integers(len(_COLOURS)))]
    return least if dark != (image.photometric_interpretation == "MONOCHROME1") else most


def _is_visible(image: Background, line: Line) -> bool:
    """Whether the text differs from what is under it: black on black is no text."""
    if line.style not in ("largest", "smallest"):
        return True
    shown = image.values[0] if image.values.ndim == 3 else image.values[0].max(axis=-1)
    low, high = np.percentile(shown, (0.5, 99.5))
    ink = _ink(image, line.style, np.random.default_rng(0))
    differs = np.abs(shown[line.glyphs].astype(np.float64) - float(np.max(ink))) > 0.09 * (high - low)
    return bool(differs.mean() > 0.9)


def _faint(
    image: Background, under: NDArray[Any], style: str, grain: float, random: np.random.Generator
) -> NDArray[Any]:
    """Values that differ little from those under the text, but as much as grain does, towards where there is room."""
    low, high = np.percentile(image.values[0], (0.5, 99.5))
    by = max(random.uniform(*_CONTRAST[style]) * max(high - low, 1), 2 * grain)
    towards = 1 if under.mean() < (low + high) / 2 else -1
    shown: NDArray[Any] = np.clip(under + towards * by, image.values.min(), image.values.max()).astype(under.dtype)
    return shown


def _marker(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A side marker of one letter, as large as a lead letter seems."""
    rows, columns = shape
    letter = _glyphs(
        "LR"[int(random.integers(2))], "DejaVuSans-Bold", int(rows / random.integers(14, 24)), smooth=False
    )
    found = np.zeros((rows, columns), dtype=bool)
    y, x = int(rows * random.uniform(0.05, 0.3)), int(columns * random.choice((0.06, 0.85)))
    found[y : y + letter.shape[0], x : x + letter.shape[1]] = letter > 0.5
    return found


def _ruler(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The ticks of a scale along the right edge, every fifth longer."""
    rows, columns = shape
    found = np.zeros((rows, columns), dtype=bool)
    x = columns - columns // 16
    for tick, y in enumerate(range(rows // 8, rows - rows // 8, max(4, rows // 50))):
        found[y : y + 2, x : x + (columns // 40 if tick % 5 else columns // 24)] = True
    return found
