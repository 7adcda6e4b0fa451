"""A name burned into an image of every kind, through every shipped example: cleaned, held or kept out, never passed on.

And without the extra that finds text: what passes is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from gateway.deid import ProjectKey
from gateway.dicom.encoded import Limits
from gateway.dicom.segments import copy_to
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.errors import BurnedInTextSuspected, RejectedByRule
from gateway.extras import ocr
from gateway.pixels.looking import Fate, kinds
from gateway.profile import load_profile
from gateway.settings.pixel_settings import PixelSettings
from gateway.treatment.pixel_stage import PixelStage
from gateway.treatment.treatment import OpeningRules, Treatment
from tests.fixtures.networks import remembered_answers
from tests.fixtures.treating import image, stored

EXAMPLES: Final = ("chest-radiographs", "full-dates-cohort", "research-default", "share-with-industry")
_PREFIX: Final = "1.2.840.10008.5.1.4.1.1."
#: Modality, the end of the SOP class, and what the image says of itself.
KINDS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    # projections
    ("CR", "1", {}), ("CR", "1", {"ConversionType": "WSD"}), ("CR", "1", {"BurnedInAnnotation": "NO"}),
    ("RG", "1", {}), ("DX", "1.1", {}), ("DX", "1.1.1", {}), ("PX", "1.1", {}), ("MG", "1.2", {}), ("IO", "1.3", {}),
    ("XA", "12.1", {}), ("RF", "12.2", {}), ("RTIMAGE", "481.1", {}),
    # slices: of a series that nobody has looked at, and what was made of slices
    ("CT", "2", {"InstanceNumber": 5}), ("CT", "2", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
    ("CT", "2", {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}),
    ("CT", "2", {"ImageType": ["DERIVED", "PRIMARY", "VRT"]}),
    ("MR", "4", {"InstanceNumber": 7}), ("MR", "4", {"ImageType": ["DERIVED", "PRIMARY", "ADC"]}),
    ("NM", "20", {}), ("PT", "128", {"InstanceNumber": 9}), ("IVOCT", "14.1", {}), ("OPT", "77.1.5.4", {}),
    # pictures
    ("US", "6.1", {}), ("OT", "7", {}), ("XC", "77.1.4", {}), ("ES", "77.1.1", {}), ("OP", "77.1.5.1", {}),
)  # fmt: skip


class OnePatient:
    """Numbers as the ledger gives them to the only patient."""

    def number(self, purpose: str, token: str) -> int:
        return 1


@pytest.fixture(scope="module")
def stage() -> Iterator[PixelStage]:
    made = PixelStage(PixelSettings())
    # The same picture in each kind of image.
    with remembered_answers():
        yield made
    made.close()


def burned() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An image of clouds with a name in it, and where the name is."""
    clouds = ndimage.gaussian_filter(np.random.default_rng(5).random((150, 320)), 12)
    pixels = ((clouds - clouds.min()) / np.ptp(clouds) * 2200 + 200).astype("uint16")
    drawn = Image.new("L", (320, 150), 0)
    ImageDraw.Draw(drawn).text((20, 18), "MOCKBURY TESTARIO", fill=255, font=ImageFont.load_default(22))
    name = np.asarray(drawn) > 100
    pixels[name] = 4000
    return pixels, name


@pytest.mark.parametrize("example", EXAMPLES)
def test_no_name_goes_out(tmp_path: Path, stage: PixelStage, example: str) -> None:
    treatment = Treatment(load_profile(example), ProjectKey(b"k" * 32), numbers=OnePatient(), pixels=stage)
    opening = OpeningRules(work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 26)
    pixels, name = burned()
    target = tmp_path / "out.dcm"

    fates = []
    for number, (modality, sop_class, said) in enumerate(KINDS):
        source = image(
            pixels, f"{_PREFIX}{sop_class}", Modality=modality, BodyPartExamined="CHEST",
            SeriesInstanceUID=f"1.2.276.0.7230010.3.1.{number}", BitsStored=12, **said,
        )  # fmt: skip
        try:
            with (
                opening.open(stored(tmp_path, source)) as instance,
                treatment.treat(treatment.admit(instance), opening=opening) as treated,
                target.open("wb") as file,
            ):
                copy_to(treated.output.segments, file)
        except RejectedByRule:
            fates.append("rejected")
        except BurnedInTextSuspected:
            fates.append("held")
        else:
            output = pydicom.dcmread(target)
            assert not (output.pixel_array[name] == 4000).any(), (modality, sop_class, said)
            assert output.BurnedInAnnotation == "NO"
            fates.append("cleaned")
    # Holding everything would be no art.
    assert fates.count("cleaned") > fates.count("held")


@pytest.mark.parametrize("example", EXAMPLES)
def test_without_the_extra_every_kind_is_named(monkeypatch: pytest.MonkeyPatch, example: str) -> None:
    monkeypatch.setattr(ocr, "missing", lambda: "it is not installed")
    named = {(kind.modality, kind.name): kind.fate for kind in kinds(load_profile(example))}
    for modality, sop_class, _ in KINDS:
        name = STORAGE_SOP_CLASSES[f"{_PREFIX}{sop_class}"].replace(" Image Storage", "").removesuffix(" Storage")
        assert named[modality, name] in (Fate.UNLOOKED, Fate.HELD, Fate.REJECTED)
