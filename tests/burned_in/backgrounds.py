"""What text is burned into: public test images without text of their own, and generated radiographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array
from scipy import ndimage

from tests.fixtures.corpus import corpus_files


@dataclass(frozen=True, slots=True)
class Background:
    """Stored values of shape (frames, rows, columns[, 3]) and what describes them."""

    values: NDArray[Any]
    photometric_interpretation: str
    bits_stored: int
    modality: str

    @property
    def pixel_representation(self) -> int:
        """1 for signed values."""
        return int(np.issubdtype(self.values.dtype, np.signedinteger))


@cache
def _files() -> dict[str, Any]:
    return {path.name: path for path in corpus_files()}


def _public(name: str, frames: int = 1) -> Callable[[int], Background]:
    def read(_: int) -> Background:
        dataset: Dataset = dcmread(_files()[name])
        values = pixel_array(dataset, raw=False)
        if int(dataset.get("NumberOfFrames") or 1) == 1:
            values = values[None]
        photometric = str(dataset.PhotometricInterpretation)
        if values.ndim == 4:
            photometric = "RGB"
        return Background(values[:frames], photometric, int(dataset.BitsStored), str(dataset.get("Modality", "OT")))

    return read


def _radiograph(
    rows: int, columns: int, bits: int, *, inverted: bool = False, signed: bool = False, modality: str = "DX"
) -> Callable[[int], Background]:
    """A thorax of ellipses, ribs and a spine, with a collimator's border, blur and noise."""

    def draw(seed: int) -> Background:
        random = np.random.default_rng((20260, seed))
        down, across = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float32)
        image = 0.15 + 0.5 * np.exp(-((across / 0.8) ** 4) - (down / 1.1) ** 6)
        for side in (-1, 1):
            lung = ((across - side * random.uniform(0.34, 0.42)) / 0.3) ** 2 + ((down + 0.05) / 0.65) ** 2
            image -= random.uniform(0.25, 0.35) / (1 + np.exp(np.minimum(12 * (lung - 1), 60)))
        for rib in range(9):
            arc = down - (-0.7 + 0.15 * rib) - 0.25 * across**2
            image += 0.07 * np.exp(-((arc / 0.02) ** 2)) * (np.abs(across) < 0.75)
        image += 0.25 * np.exp(-((across / 0.09) ** 2))
        edge = random.uniform(0.9, 0.97)
        image[(np.abs(across) > edge) | (np.abs(down) > edge)] = 0.02
        image = ndimage.gaussian_filter(image, rows / 500)
        image += random.normal(0, 0.012, image.shape).astype(np.float32)
        largest = 2**bits - 1
        values = np.clip(image * 0.8 * largest + 0.05 * largest, 0, largest)
        if inverted:
            values = largest - values
        if signed:
            values = values - 2 ** (bits - 1)
        kind = np.int16 if signed else np.uint8 if bits <= 8 else np.uint16
        return Background(
            np.rint(values).astype(kind)[None], "MONOCHROME1" if inverted else "MONOCHROME2", bits, modality
        )

    return draw


def _ultrasound(rows: int, columns: int, frames: int, *, colour: bool) -> Callable[[int], Background]:
    """Speckle in a sector on black, which moves from frame to frame."""

    def draw(seed: int) -> Background:
        random = np.random.default_rng((20261, seed))
        down, across = np.mgrid[0 : 1 : rows * 1j, -0.7 : 0.7 : columns * 1j].astype(np.float32)
        depth = np.hypot(across, down)
        sector = (np.abs(np.arctan2(across, down)) < 0.6) & (depth > 0.12) & (depth < 0.9)
        tissue = ndimage.gaussian_filter(random.normal(0, 1, (rows, columns)), 12)
        tissue = 90 + 60 * tissue / np.abs(tissue).max()
        shown = []
        for _ in range(frames):
            speckle = ndimage.gaussian_filter(random.rayleigh(1, (rows, columns)), (0.8, 1.6))
            grey = np.clip(np.where(sector, tissue * speckle / 1.25, 0), 0, 255).astype(np.uint8)
            shown.append(np.repeat(grey[..., None], 3, axis=-1) if colour else grey)
        return Background(np.stack(shown), "RGB" if colour else "MONOCHROME2", 8, "US")

    return draw


def _stack(frames: int) -> Callable[[int], Background]:
    """Slices of a body of ellipses, whose organs grow and shrink from frame to frame, with grain."""

    def draw(seed: int) -> Background:
        random = np.random.default_rng((20266, seed))
        down, across = np.mgrid[-1:1:256j, -1:1:256j].astype(np.float32)
        organs = [(*random.uniform(-0.5, 0.5, 2), *random.uniform(0.1, 0.3, 2), random.uniform(0, 6)) for _ in range(8)]
        slices = []
        for number in range(frames):
            image = np.where((across / 0.85) ** 2 + (down / 0.7) ** 2 < 1, 400.0, 0.0)
            for y, x, high, wide, phase in organs:
                grown = 0.7 + 0.3 * np.sin(phase + number / 4)
                image += 150 * np.sin(phase) * (((across - x) / wide) ** 2 + ((down - y) / high) ** 2 < grown)
            image = ndimage.gaussian_filter(image, 1.5) + random.normal(0, 12, image.shape)
            slices.append(np.clip(image, 0, 1023).astype(np.uint16))
        return Background(np.stack(slices), "MONOCHROME2", 12, "CT")

    return draw


def _run(frames: int) -> Callable[[int], Background]:
    """A run of an angiography: dark blobs pass over a still body; of every ten frames one is white and one black."""
    radiograph = _radiograph(400, 400, 10, modality="XA")

    def draw(seed: int) -> Background:
        random = np.random.default_rng((20271, seed))
        still = radiograph(seed).values[0].astype(np.float32)
        down, across = np.mgrid[-1:1:400j, -1:1:400j].astype(np.float32)
        shown = []
        for number in range(frames):
            image = still.copy()
            for blob in range(3):
                x, y = np.sin(number / 3 + 2 * blob), np.cos(number / 4 + blob)
                image *= 1 - 0.5 * np.exp(-((across - 0.7 * x) ** 2 + (down - 0.7 * y) ** 2) / 0.08)
            image = {3: np.full_like(image, 1000), 7: np.full_like(image, 20)}.get(number % 10, image)
            shown.append(np.clip(image + random.normal(0, 10, image.shape), 0, 1023).astype(np.uint16))
        return Background(np.stack(shown), "MONOCHROME2", 10, "XA")

    return draw


def _film(rows: int, columns: int, bits: int) -> Callable[[int], Background]:
    """A scanned film: a radiograph with blackened edges, dust, scratches, uneven light and the grain of a digitiser."""
    radiograph = _radiograph(rows, columns, bits, modality="OT")

    def draw(seed: int) -> Background:
        random = np.random.default_rng((20267, seed))
        values = radiograph(seed).values[0].astype(np.float32)
        down, across = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float32)
        values *= 1 - 0.25 * ((across - random.uniform(-0.3, 0.3)) ** 2 + down**2) / 2
        largest = 2**bits - 1
        for _ in range(60):
            y, x = int(random.integers(rows)), int(random.integers(columns))
            values[y : y + int(random.integers(1, 4)), x : x + int(random.integers(1, 4))] = largest * random.uniform()
        for _ in range(4):
            x = int(random.integers(columns - 2))
            values[int(random.integers(rows // 2)) :, x] += largest * 0.06
        values += random.normal(0, 0.008 * largest, values.shape).astype(np.float32)
        kind = np.uint8 if bits <= 8 else np.uint16
        return Background(np.clip(values, 0, largest).astype(kind)[None], "MONOCHROME2", bits, "OT")

    return draw


#: Name -> what makes the image from a seed.
BACKGROUNDS: Final[dict[str, Callable[[int], Background]]] = {
    # 512 x 512 CT of 14 to 16 bits, signed; head, spine and abdomen.
    "ct-abdomen": _public("693_UNCR.dcm"),
    "ct-head": _public("J2K_pixelrep_mismatch.dcm"),
    "ct-spine": _public("eCT_Supplemental.dcm"),
    "ct-pancreas": _public("explicit_VR-UN.dcm"),
    # MR of 12 bits.
    "mr-shoulder": _public("MR2_UNCR.dcm"),
    "mr-abdomen": _public("MR-SIEMENS-DICOM-WithOverlays.dcm"),
    # A bone scan, 1024 x 256.
    "nm-body": _public("JPEG2000_UNC.dcm"),
    # A chest of 15 bits, MONOCHROME1, 1955 x 1841.
    "cr-chest": _public("RG1_UNCR.dcm"),
    # Generated.
    "dx-8": _radiograph(640, 560, 8),
    "dx-10": _radiograph(700, 600, 10, inverted=True),
    "dx-12": _radiograph(800, 720, 12),
    "dx-14-inverted": _radiograph(760, 900, 14, inverted=True),
    "dx-16": _radiograph(720, 720, 16),
    "dx-signed": _radiograph(600, 640, 12, signed=True),
    "dx-large": _radiograph(2500, 2000, 12),
    "us-grey": _ultrasound(480, 640, 1, colour=False),
    "us-colour": _ultrasound(480, 640, 1, colour=True),
    "us-clip": _ultrasound(300, 400, 36, colour=False),
    "us-colour-clip": _ultrasound(300, 400, 20, colour=True),
}
#: Images of kinds that are measured on their own: radiographs of the size in which they are sent, film, stacks.
_OF_A_KIND: Final = {
    "dx-sent-12": _radiograph(3000, 2400, 12),
    "dx-sent-14-inverted": _radiograph(2500, 2048, 14, inverted=True),
    "dx-sent-16": _radiograph(2880, 2880, 16),
    "cr-sent-10-inverted": _radiograph(2140, 1760, 10, inverted=True, modality="CR"),
    "film-8": _film(1700, 1400, 8),
    "film-12": _film(1200, 1000, 12),
    "stack": _stack(40),
    "run": _run(30),
    "cr-leg": _public("RG3_UNCR.dcm"),
}
#: Images that are only written on: what is in them may be text of their own.
_WITH_TEXT: Final = {"us-real": _public("US1_UNCR.dcm"), "us-cardiac": _public("examples_ybr_color.dcm", frames=20)}


def background(name: str, seed: int) -> Background:
    """The background ``name``; ``seed`` varies the generated ones."""
    return (BACKGROUNDS | _OF_A_KIND | _WITH_TEXT)[name](seed)
