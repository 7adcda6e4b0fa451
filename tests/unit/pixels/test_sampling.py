"""How much of an instance is looked at, and which slices of a series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.errors import BurnedInTextSuspected
from gateway.pixels.description import describe
from gateway.pixels.pixel_treatment import PixelTreatment
from gateway.pixels.review import Review
from gateway.pixels.sampling import Look, SeriesMemory, is_sampled, look_of
from gateway.pixels.sandbox import Sandbox
from tests.fixtures.treating import CR, CT, US, image, noise, opened, program, specialised, stored, treat
from tests.unit.pixels.test_treatment import Box, Finder, Found, codes

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
NM = "1.2.840.10008.5.1.4.1.1.20"
PT = "1.2.840.10008.5.1.4.1.1.128"
XA = "1.2.840.10008.5.1.4.1.1.12.1"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
PRIVATE = "1.2.826.0.1.3680043.8.498.1.1"
SAMPLED = "pixels:\n  - find-text: {scan: sampled}\n"
ORIGINAL = ["ORIGINAL", "PRIMARY", "AXIAL"]


@pytest.mark.parametrize(
    ("sop_class", "values", "frames", "look"),
    [
        # slices as the scanner makes them
        (CT, {"ImageType": ORIGINAL}, 1, Look.SLICE),
        (MR, {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}, 1, Look.SLICE),
        (PT, {"ImageType": ["ORIGINAL", "PRIMARY"]}, 1, Look.SLICE),
        # what was made of them, and what says nothing of itself
        (CT, {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, 1, Look.WHOLE),
        (CT, {"ImageType": ["ORIGINAL", "SECONDARY", "AXIAL"]}, 1, Look.WHOLE),
        (CT, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, 1, Look.WHOLE),
        (MR, {"ImageType": ["ORIGINAL", "PRIMARY", "PROJECTION IMAGE"]}, 1, Look.WHOLE),
        (CT, {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "MIP"]}, 1, Look.WHOLE),
        (CT, {"ImageType": ["ORIGINAL"]}, 1, Look.WHOLE),
        (CT, {"ImageType": None}, 1, Look.WHOLE),
        (CT, {"ImageType": ["MIXED", "PRIMARY"]}, 1, Look.WHOLE),
        (CT, {"ImageType": ORIGINAL, "ConversionType": "XYZ"}, 1, Look.WHOLE),
        # volumes in one instance
        (ENHANCED_CT, {"ImageType": [*ORIGINAL, "NONE"]}, 9, Look.FRAMES),
        (NM, {"ImageType": ["ORIGINAL", "PRIMARY", "DYNAMIC", "EMISSION"]}, 60, Look.FRAMES),
        (NM, {"ImageType": ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]}, 2, Look.WHOLE),
        (NM, {"ImageType": ["DERIVED", "PRIMARY", "RECON TOMO"]}, 60, Look.WHOLE),
        # projections and pictures are looked at, whatever they say
        (CR, {"ImageType": ["ORIGINAL", "PRIMARY"]}, 1, Look.WHOLE),
        (XA, {"ImageType": ["ORIGINAL", "PRIMARY"]}, 20, Look.WHOLE),
        (PRIVATE, {"ImageType": ["ORIGINAL", "PRIMARY"]}, 1, Look.WHOLE),
        # maps are no pictures
        (SEG, {"ImageType": ["DERIVED", "PRIMARY"]}, 1, Look.NONE),
    ],
)
def test_how_much_is_looked_at(tmp_path: Path, sop_class: str, values: dict[str, Any], frames: int, look: Look) -> None:
    pixels = noise(4, 4) if frames == 1 else noise(frames, 4, 4)
    with opened(stored(tmp_path, image(pixels, sop_class, **values))) as instance:
        description = describe(instance)
        assert description is not None
        assert look_of(instance, description) is look


def test_colour_is_no_original_slice(tmp_path: Path) -> None:
    source = image(noise(4, 4, 3, dtype="uint8", below=200), CT, ImageType=ORIGINAL)
    with opened(stored(tmp_path, source)) as instance:
        description = describe(instance)
        assert description is not None
        assert look_of(instance, description) is Look.WHOLE


@pytest.mark.parametrize(
    ("values", "sampled"),
    [
        # the first one
        ({"InstanceNumber": 1}, True),
        ({"InstanceNumber": 0}, True),
        ({"InstanceNumber": -4}, True),
        # one in each half of what is left
        ({"InstanceNumber": 2}, False),
        ({"InstanceNumber": 3}, False),
        ({"InstanceNumber": 4}, True),
        ({"InstanceNumber": 63}, False),
        ({"InstanceNumber": 64}, True),
        ({"InstanceNumber": 65}, False),
        # the middle and the last one of a known number
        ({"InstanceNumber": 37, "ImagesInAcquisition": 37}, True),
        ({"InstanceNumber": 19, "ImagesInAcquisition": 37}, True),
        ({"InstanceNumber": 20, "ImagesInAcquisition": 37}, False),
        ({"InstanceNumber": 47, "NumberOfSlices": 47}, True),
        ({"InstanceNumber": 24, "NumberOfSlices": 47}, True),
        # what cannot be told
        ({}, True),
        ({"InstanceNumber": ""}, True),
    ],
)
def test_which_slices(tmp_path: Path, values: dict[str, Any], sampled: bool) -> None:
    with opened(stored(tmp_path, image(noise(4, 4), CT, **values))) as instance:
        assert is_sampled(instance) is sampled


@pytest.mark.parametrize("slices", [1, 2, 3, 5, 40, 511, 512, 513, 2000])
def test_a_series_of_any_length_has_its_sample(slices: int) -> None:
    """By number alone: few of many, and at least one in the last half."""
    chosen = [one for one in range(1, slices + 1) if one == 1 or (one >= 4 and one & (one - 1) == 0)]
    assert len(chosen) <= 2 + slices.bit_length()
    assert slices < 4 or max(chosen) > slices / 2


def slice_(number: int, series: str = "1.2.3", **values: Any) -> Any:
    return image(noise(40, 60), CT, ImageType=ORIGINAL, InstanceNumber=number, SeriesInstanceUID=series, **values)


def looked(
    tmp_path: Path, treatment: PixelTreatment, source: Any, *, known: bool = False, review: Review | None = None
) -> Any:
    using = program(tmp_path, SAMPLED)
    with (
        opened(stored(tmp_path, source)) as instance,
        treatment.treat(
            specialised(using, instance),
            instance,
            work=tmp_path,
            words=frozenset,
            review=review,
            series_has_text=lambda: known,
        ) as outcome,
    ):
        return outcome


def test_slices_between_are_not_looked_at(tmp_path: Path, sandbox: Sandbox) -> None:
    finder = Finder()
    treatment = PixelTreatment(sandbox=sandbox, finder=finder)
    # The first that is met is looked at, whatever its number.
    for number, seen in ((7, 1), (6, 1), (1, 2), (3, 2), (4, 3), (5, 3)):
        outcome = looked(tmp_path, treatment, slice_(number))
        assert len(finder.seen) == seen
        # A clean sample leaves no trace, so that nothing depends on which were looked at.
        assert outcome.change is None
        assert outcome.sampled
        assert not outcome.series_text
    looked(tmp_path, treatment, slice_(7, "1.2.4"))
    assert len(finder.seen) == 4


def test_all_slices_are_looked_at_once_one_had_text(tmp_path: Path, sandbox: Sandbox) -> None:
    finder = Finder(Found((Box(5, 30, 20, 6),)))
    treatment = PixelTreatment(sandbox=sandbox, finder=finder)
    first = looked(tmp_path, treatment, slice_(1))
    assert first.areas
    assert first.series_text
    assert not first.sampled
    finder.says = Found()
    finder.seen.clear()
    # The next one has none, and says so: it was looked at.
    second = looked(tmp_path, treatment, slice_(2))
    assert len(finder.seen) == 1
    assert second.change.cleaned
    assert not second.sampled
    # Another worker has heard of it.
    other = PixelTreatment(sandbox=sandbox, finder=Finder(Found((Box(1, 1, 9, 9),))))
    assert looked(tmp_path, other, slice_(2), known=True).areas


@pytest.mark.parametrize(
    "found", [Found((Box(1, 1, 9, 9),), unsure="cannot be read"), Found(hold="too much of the image")]
)
def test_a_slice_that_is_held_speaks_for_its_series(tmp_path: Path, sandbox: Sandbox, found: Found) -> None:
    finder = Finder(found)
    treatment = PixelTreatment(sandbox=sandbox, finder=finder)
    with pytest.raises(BurnedInTextSuspected) as caught:
        looked(tmp_path, treatment, slice_(1))
    assert caught.value.facts["series_text"] is True
    with pytest.raises(BurnedInTextSuspected):
        looked(tmp_path, treatment, slice_(2))


def test_of_a_volume_in_one_instance_three_frames_are_looked_at(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(9, 40, 60)
    source = image(pixels, ENHANCED_CT, ImageType=[*ORIGINAL, "NONE"], BurnedInAnnotation="NO")

    class Counting(Finder):
        def find(self, frames: Any, description: Any, *arguments: Any, **options: Any) -> Any:
            counts.append(len(frames))
            last = frames.frame(len(frames) - 1)
            assert np.array_equal(last, pixels[-1])
            return super().find(frames, description, *arguments, **options)

    counts: list[int] = []
    clean = treat(stored(tmp_path, source), program(tmp_path, SAMPLED), sandbox=sandbox, finder=Counting())
    assert counts == [3]
    # Six frames were not looked at: the image says no more than it says itself, which the sample did not refute.
    assert "113101" not in codes(clean.dataset)
    assert clean.dataset.BurnedInAnnotation == "NO"
    counts.clear()
    finder = Counting(Found((Box(5, 30, 20, 6),)))
    dirty = treat(stored(tmp_path, source), program(tmp_path, SAMPLED), sandbox=sandbox, finder=finder)
    assert counts == [3, 9]
    assert not dirty.dataset.pixel_array[:, 30:36, 5:25].any()
    assert "113101" in codes(dirty.dataset)


@pytest.mark.parametrize(
    ("rules", "sop_class", "said", "kept"),
    [
        # nobody looked: that there is no text is not said
        ("", CT, "NO", None),
        ("", CR, "NO", None),
        ("", XA, "NO", None),
        # where no other value is allowed, none
        ("", ENHANCED_CT, "NO", None),
        # where the IOD demands a value, the only other one
        ("", "1.2.840.10008.5.1.4.1.1.1.1", "NO", "YES"),
        ("", "1.2.840.10008.5.1.4.1.1.1.2", "NO", "YES"),
        # a slice between those that are looked at
        (SAMPLED, CT, "NO", None),
        # the author vouches
        ("pixels:\n  - pass: true\n    because: phantoms\n", CT, "NO", "NO"),
        # somebody looked
        ("pixels:\n  - find-text: {}\n", CT, "NO", "NO"),
        (SAMPLED, CR, "NO", "NO"),
        (SAMPLED, US, "", "NO"),
    ],
)
def test_an_unlooked_image_does_not_say_that_it_has_no_text(
    tmp_path: Path, sandbox: Sandbox, rules: str, sop_class: str, said: str, kept: str | None
) -> None:
    source = image(noise(40, 60), sop_class, ImageType=ORIGINAL, InstanceNumber=1, BurnedInAnnotation=said)
    output = treat(stored(tmp_path, source), program(tmp_path, rules), sandbox=sandbox, finder=Finder()).dataset
    assert output.get("BurnedInAnnotation") == kept


def test_the_memory_of_series_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pixels.sampling._MOST_SERIES", 2)
    memory = SeriesMemory()
    memory.add("a", text=True)
    memory.add("a", text=False)
    assert memory.has_text("a")
    memory.add("b", text=False)
    memory.add("c", text=False)
    assert memory.is_new("a")
    assert not memory.is_new("c")
