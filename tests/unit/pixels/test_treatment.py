"""Rules, caution, text that is found and reviews: what becomes of an instance's pixels, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from gateway.dicom.encoded import Limits
from gateway.errors import (
    BurnedInTextSuspected,
    FeaturesSuspected,
    HeldByPixelRule,
    LeakSuspected,
    PixelsUnreadable,
    RuleFailed,
)
from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription
from gateway.pixels.editing import Edit
from gateway.pixels.fill import Frame
from gateway.pixels.pixel_check import check_pixels
from gateway.pixels.pixel_treatment import PixelOutcome, PixelTreatment, TextBox, TextFinder
from gateway.pixels.review import Review
from gateway.pixels.sandbox import Sandbox
from gateway.profile.pixel_program import FindText, Rectangle
from tests.fixtures.treating import (
    CT,
    SECONDARY_CAPTURE,
    US,
    Treated,
    image,
    item_of,
    noise,
    opened,
    program,
    specialised,
    stored,
    treat,
)
from tests.unit.pixels.test_regions import region

MASK = "pixels:\n  - mask: [[0, 0, 20, 10]]\n"


class Box(TextBox):
    """A place with text, as a finder tells it."""

    def __init__(self, x: int, y: int, width: int, height: int) -> None:
        super().__init__(x=x, y=y, width=width, height=height, confidence=1)


@dataclass(frozen=True)
class Found:
    boxes: Sequence[TextBox] = ()
    unsure: str | None = None
    hold: str | None = None
    faint: bool = False


@dataclass(frozen=True)
class Left:
    """What a second look says."""

    reason: str
    boxes: Sequence[TextBox] = (Box(30, 20, 8, 6),)


@dataclass
class Finder(TextFinder):
    """A finder that says what it is told to say, and remembers what it saw."""

    says: Found = Found()
    again: Left | None = None
    seen: list[Frame] = field(default_factory=list)
    words: list[frozenset[str]] = field(default_factory=list)
    claimed: list[bool] = field(default_factory=list)
    thorough: list[bool] = field(default_factory=list)
    names: tuple[Box, ...] = ()

    def named(self, frames: Any, description: PixelDescription, words: frozenset[str]) -> tuple[Box, ...]:
        self.seen.append(frames.frame(0))
        self.words.append(words)
        return self.names

    def find(
        self,
        frames: Any,
        description: PixelDescription,
        options: FindText,
        words: frozenset[str],
        *,
        claimed: bool = False,
    ) -> Any:
        assert description.frames == len(frames)
        self.seen.append(frames.frame(0))
        self.words.append(words)
        self.claimed.append(claimed)
        return self.says

    def check(
        self,
        frames: Any,
        description: PixelDescription,
        options: FindText,
        words: frozenset[str],
        *,
        thorough: bool = False,
    ) -> Any:
        self.seen.append(frames.frame(0))
        self.thorough.append(thorough)
        return self.again


def run(folder: Path, source: Dataset, rules: str, sandbox: Sandbox, **options: Any) -> Treated:
    syntax = options.pop("syntax", ExplicitVRLittleEndian)
    use = options.pop("use", "basic")
    return treat(stored(folder, source, syntax), program(folder, rules, use=use), sandbox=sandbox, **options)


def codes(output: Dataset) -> set[str]:
    return {item.CodeValue for item in output.DeidentificationMethodCodeSequence}


# Rectangles in every kind of image.


@pytest.mark.parametrize(
    ("pixels", "values", "fill"),
    [
        (noise(40, 60), {}, 0),
        (noise(40, 60), {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}, 4095),
        # signed: the darkest that the image has, in any frame; the lowest that it could have would spoil a window
        (noise(40, 60, dtype="int16") - 1024, {"BitsStored": 14}, int(noise(40, 60).astype("int16").min()) - 1024),
        (noise(3, 40, 60, dtype="int16") - 1024, {}, int(noise(3, 40, 60).astype("int16").min()) - 1024),
        (noise(40, 60, dtype="int16") - 1024, {"PhotometricInterpretation": "MONOCHROME1"},
         int(noise(40, 60).astype("int16").max()) - 1024),
        # unless it says itself what is background
        (noise(40, 60, dtype="int16") - 1024, {"PixelPaddingValue": -2000}, -2000),
        (noise(40, 60, dtype="uint8", below=256), {}, 0),
        (noise(40, 60, dtype="uint32"), {}, 0),
        # an odd number of bytes
        (noise(41, 61, dtype="uint8", below=256), {}, 0),
        # several frames: all of them
        (noise(4, 40, 60), {}, 0),
        (noise(40, 60, 3, dtype="uint8", below=256), {}, [0, 0, 0]),
        (noise(2, 40, 60, 3, dtype="uint8", below=256), {}, [0, 0, 0]),
        (noise(40, 60, 3, dtype="uint8", below=256), {"PhotometricInterpretation": "YBR_FULL"}, [0, 128, 128]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_masks(
    tmp_path: Path, sandbox: Sandbox, pixels: np.ndarray[Any, Any], values: dict[str, Any], fill: Any, syntax: str
) -> None:
    source = image(pixels, **values)
    found = run(tmp_path, source, MASK, sandbox, syntax=syntax)
    expected = pixels.copy()
    if pixels.shape[-1] == 3:
        expected[..., :10, :20, :] = fill
    else:
        expected[..., :10, :20] = fill
    output = found.dataset
    written = np.frombuffer(output.PixelData[: pixels.nbytes], dtype=pixels.dtype).reshape(pixels.shape)
    assert np.array_equal(written, expected)
    assert output.file_meta.TransferSyntaxUID == syntax
    assert len(output.PixelData) % 2 == 0
    assert found.outcome.areas == (Area(0, 0, 20, 10),)


def test_colour_by_plane_comes_out_by_pixel(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60, 3, dtype="uint8", below=256)
    source = image(pixels, PlanarConfiguration=1, PixelData=np.moveaxis(pixels, 2, 0).tobytes())
    source["PixelData"].VR = "OB"
    output = run(tmp_path, source, MASK, sandbox).dataset
    expected = pixels.copy()
    expected[:10, :20] = 0
    assert output.PlanarConfiguration == 0
    assert np.array_equal(output.pixel_array, expected)


def test_palette(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60, dtype="uint8", below=4)
    descriptor, red = [4, 0, 8], bytes([90, 80, 1, 70])
    source = image(pixels, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(source, f"{colour}PaletteColorLookupTableDescriptor", descriptor)
        setattr(source, f"{colour}PaletteColorLookupTableData", red)
    found = run(tmp_path, source, MASK, sandbox).dataset
    expected = pixels.copy()
    expected[:10, :20] = 2
    assert np.array_equal(np.frombuffer(found.PixelData, "uint8").reshape(40, 60), expected)


@pytest.mark.parametrize(
    ("syntax", "encode", "expected"),
    [
        # what is compressed becomes lossless JPEG-LS
        (RLELossless, "", JPEGLSLossless),
        (JPEG2000Lossless, "", JPEGLSLossless),
        # or what the profile says
        (RLELossless, "  - encode: same\n", RLELossless),
        (JPEG2000Lossless, "  - encode: same\n", JPEG2000Lossless),
        (RLELossless, "  - encode: explicit\n", ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, "  - encode: jpeg-2000\n", JPEG2000Lossless),
        # implicit VR has no compressed form
        (ImplicitVRLittleEndian, "  - encode: jpeg-ls\n", ImplicitVRLittleEndian),
    ],
)
def test_transfer_syntax(tmp_path: Path, sandbox: Sandbox, syntax: str, encode: str, expected: str) -> None:
    pixels = noise(2, 40, 60, below=60000)
    output = run(tmp_path, image(pixels), MASK + encode, sandbox, syntax=syntax).dataset
    blackened = pixels.copy()
    blackened[:, :10, :20] = 0
    assert output.file_meta.TransferSyntaxUID == expected
    assert np.array_equal(output.pixel_array, blackened)


def test_an_overlay_in_the_pixels_goes(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60)
    hidden = pixels.copy()
    hidden[20:30, 30:50] |= 0x8000
    output = run(tmp_path, image(hidden, BitsStored=12), MASK, sandbox).dataset
    expected = pixels.copy()
    expected[:10, :20] = 0
    assert np.array_equal(output.pixel_array, expected)


def test_ultrasound_regions_and_keep_region(tmp_path: Path, sandbox: Sandbox) -> None:
    """What two rules blacken adds up."""
    pixels = noise(40, 60, dtype="uint8", below=256)
    source = image(pixels, US, SequenceOfUltrasoundRegions=[region(10, 10, 49, 39)])
    rules = "pixels:\n  - ultrasound-regions: keep\n  - keep-region: [[0, 0, 30, 40], [0, 0, 60, 20]]\n"
    output = run(tmp_path, source, rules, sandbox).dataset
    expected = np.zeros_like(pixels)
    expected[10:40, 10:50] = pixels[10:40, 10:50]
    expected[20:, 30:] = 0
    assert np.array_equal(output.pixel_array, expected)


def test_rules_apply_where_their_conditions_hold(tmp_path: Path, sandbox: Sandbox) -> None:
    rules = 'pixels:\n  - mask: [[0, 0, 20, 10]]\n    when: Manufacturer == "ACME"\n'
    assert run(tmp_path, image(noise(40, 60), Manufacturer="ACME"), rules, sandbox).outcome.areas
    other = run(tmp_path, image(noise(40, 60), Manufacturer="OTHER"), rules, sandbox)
    assert other.outcome.change is None
    assert "BurnedInAnnotation" not in other.dataset


def test_a_rectangle_outside_holds(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(RuleFailed, match=r"the pixel rule of tested, line 4 failed: .* begins outside"):
        run(tmp_path, image(noise(40, 60)), "pixels:\n  - mask: [[60, 0, 5, 5]]\n", sandbox)


# What is said of the pixels.


def test_what_changed_is_said(tmp_path: Path, sandbox: Sandbox) -> None:
    icon = item_of(Rows=1, Columns=1, PixelData=b"\0\0")
    icon["PixelData"].VR = "OB"
    source = image(
        noise(40, 60),
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        SmallestImagePixelValue=1,
        LargestImagePixelValue=4095,
        BurnedInAnnotation="YES",
        IconImageSequence=[icon],
        DerivationDescription="MOCKBURY",
        DerivationCodeSequence=[
            item_of(CodeValue="113040", CodingSchemeDesignator="DCM", CodeMeaning="MOCKBURY"),
            item_of(CodeValue="4711", CodingSchemeDesignator="99SITE", CodeMeaning="MOCKBURY"),
        ],
    )
    output = run(tmp_path, source, MASK, sandbox).dataset
    assert list(output.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert output.BurnedInAnnotation == "NO"
    assert "113101" in codes(output)
    assert output.DerivationDescription == "De-identification: areas blackened"
    assert [(item.CodeValue, item.CodeMeaning) for item in output.DerivationCodeSequence] == [
        ("113040", "Lossy Compression"), ("113047", "Pixel by pixel mask"),
    ]  # fmt: skip
    for gone in ("IconImageSequence", "SmallestImagePixelValue", "LargestImagePixelValue"):
        assert gone not in output


def test_frames_that_say_how_they_were_made_are_not_contradicted(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(2, 40, 60), CT, PerFrameFunctionalGroupsSequence=[Dataset(), Dataset()])
    output = run(tmp_path, source, MASK, sandbox).dataset
    assert list(output.ImageType) == ["ORIGINAL", "PRIMARY"]
    assert "DerivationDescription" not in output


# Caution.


def test_nothing_is_decoded_where_no_rule_applies(tmp_path: Path, sandbox: Sandbox) -> None:
    """A frame that no decoder reads passes as it is: nobody looked at it."""
    path = stored(tmp_path, image(noise(40, 60), CT), JPEGLSLossless)
    content = bytearray(path.read_bytes())
    content[-900:-200] = b"\x7f" * 700
    path.write_bytes(content)
    assert content[-900:-200] in treat(path, program(tmp_path, ""), sandbox=sandbox).dataset.PixelData
    with pytest.raises(PixelsUnreadable):
        treat(path, program(tmp_path, MASK), sandbox=sandbox)


@pytest.mark.parametrize("said", ["NO", "YES", ""])
@pytest.mark.parametrize("sop_class", [US, SECONDARY_CAPTURE])
def test_risky_kinds_are_held(tmp_path: Path, sandbox: Sandbox, sop_class: str, said: str) -> None:
    with pytest.raises(BurnedInTextSuspected):
        run(tmp_path, image(noise(40, 60), sop_class, BurnedInAnnotation=said), "", sandbox)


@pytest.mark.parametrize(
    ("rules", "stamped"),
    [
        (MASK, True),
        ("pixels:\n  - pass: true\n    because: phantoms\n", False),
        ("pixels:\n  - find-text: {}\n", True),
        ("pixels:\n  - find-text: {scan: risky}\n", True),
    ],
)
def test_what_lets_them_go(tmp_path: Path, sandbox: Sandbox, rules: str, stamped: bool) -> None:
    output = run(tmp_path, image(noise(40, 60), US), rules, sandbox, finder=Finder()).dataset
    assert ("113101" in codes(output)) is stamped
    assert (output.get("BurnedInAnnotation") == "NO") is stamped


def test_regions_that_blacken_nothing_let_nothing_go(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(40, 60), US, SequenceOfUltrasoundRegions=[region(0, 0, 59, 39)])
    with pytest.raises(BurnedInTextSuspected):
        run(tmp_path, source, "pixels:\n  - ultrasound-regions: keep\n", sandbox)


def test_a_rule_holds_for_a_person(tmp_path: Path, sandbox: Sandbox) -> None:
    rules = "pixels:\n  - hold: true\n    because: DPO decision 2026-014.\n"
    with pytest.raises(HeldByPixelRule, match=r"line 4: DPO decision 2026-014\.$"):
        run(tmp_path, image(noise(40, 60)), rules, sandbox)


def test_faces(tmp_path: Path, sandbox: Sandbox) -> None:
    use = "basic, clean-recognizable-visual-features"
    source = image(noise(40, 60), CT, BodyPartExamined="HEAD")
    with pytest.raises(FeaturesSuspected):
        run(tmp_path, source, "", sandbox, use=use)
    # without the option nobody claims anything of faces
    assert "113102" not in codes(run(tmp_path, source, "", sandbox).dataset)
    # A release lets it go, and does not claim that the face were gone.
    review = Review(decision="release", actor="dpo", because="defaced")
    output = run(tmp_path, source, "", sandbox, use=use, review=review).dataset
    assert "113102" not in codes(output)
    assert "RecognizableVisualFeatures" not in output
    # Who has decided about text has not decided about faces.
    about_text = Review(decision="release", actor="dpo", because="no name", features=False)
    with pytest.raises(FeaturesSuspected):
        run(tmp_path, source, "", sandbox, use=use, review=about_text)
    # Nor the other way round: text is searched as ever.
    finder = Finder(Found((Box(5, 30, 20, 6),)))
    about_face = Review(decision="release", actor="dpo", because="a knee", text=False)
    searched = run(
        tmp_path, source, "pixels:\n  - find-text: {}\n", sandbox, use=use, review=about_face, finder=finder
    ).dataset
    assert not searched.pixel_array[30:36, 5:25].any()
    assert "113101" in codes(searched)
    # A decision about the series.
    assert not run(tmp_path, source, "", sandbox, use=use, features_settled=lambda: True).outcome.areas


def test_pixels_that_contradict_their_description_are_held(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(40, 60), CT, Rows=41)
    for rules in ("", MASK):
        with pytest.raises(PixelsUnreadable):
            run(tmp_path, source, rules, sandbox)
    # unless a person vouches for them
    rules = "pixels:\n  - pass: true\n    because: spectra\n"
    assert run(tmp_path, source, rules, sandbox).outcome.change is None
    with pytest.raises(PixelsUnreadable):
        run(tmp_path, source, MASK + "  - pass: true\n    because: spectra\n", sandbox)


def test_instances_without_pixels_have_nothing_to_treat(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(40, 60), "1.2.840.10008.5.1.4.1.1.88.11")
    del source.PixelData
    found = run(tmp_path, source, MASK + "  - hold: true\n    because: none\n", sandbox)
    assert found.outcome.change is None


# Text.


def test_text_that_is_found_is_blackened(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(3, 40, 60)
    finder = Finder(Found((Box(5, 30, 20, 6), Box(50, 35, 30, 30))))
    rules = MASK + "  - find-text: {}\n"
    found = run(tmp_path, image(pixels), rules, sandbox, finder=finder, words=lambda: frozenset({"MOCKBURY"}))
    expected = pixels.copy()
    expected[:, :10, :20] = expected[:, 30:36, 5:25] = expected[:, 35:, 50:] = 0
    assert np.array_equal(found.dataset.pixel_array, expected)
    assert finder.words == [frozenset({"MOCKBURY"})]
    # first with what the other rules leave, then with what is left at last
    assert np.array_equal(finder.seen[0][:10, :20], np.zeros((10, 20)))
    assert np.array_equal(finder.seen[1], expected[0])


@pytest.mark.parametrize(
    ("found", "again", "options", "held"),
    [
        # not sure: as the rule says
        (Found((Box(1, 1, 5, 5),), unsure="faint signs"), None, "when-unsure: hold", "faint signs"),
        (Found((Box(1, 1, 5, 5),), unsure="faint signs"), None, "when-unsure: blank", None),
        # only a person can tell
        (Found((Box(1, 1, 5, 5),), hold="too much"), None, "when-unsure: blank", "too much"),
        (Found((), hold="text, and none is blanked"), None, "blank: nothing", "text, and none"),
        # something is left after blackening
        (Found((Box(1, 1, 5, 5),)), Left("text remains"), "when-unsure: blank", "text remains"),
        (Found(), None, "blank: nothing", None),
    ],
)
def test_doubts(
    tmp_path: Path, sandbox: Sandbox, found: Found, again: Left | None, options: str, held: str | None
) -> None:
    rules, finder = f"pixels:\n  - find-text: {{{options}}}\n", Finder(found, again)
    if held is None:
        assert run(tmp_path, image(noise(40, 60)), rules, sandbox, finder=finder).outcome.change is not None
        return
    with pytest.raises(BurnedInTextSuspected, match=held) as caught:
        run(tmp_path, image(noise(40, 60)), rules, sandbox, finder=finder)
    assert caught.value.facts["boxes"] == tuple((box.x, box.y, box.width, box.height) for box in found.boxes)
    assert caught.value.facts["left"] == (() if again is None else ((30, 20, 8, 6),))


@pytest.mark.parametrize(
    ("options", "found", "thorough"),
    [
        ("", Found((Box(1, 1, 5, 5),), faint=True), [True]),
        ("", Found((Box(1, 1, 5, 5),)), [False]),
        # an image without text is looked at again only if the rule says so
        ("", Found(), []),
        ("thorough: where-faint", Found(), []),
        ("thorough: always", Found(), [True]),
        ("thorough: always", Found((Box(1, 1, 5, 5),)), [True]),
    ],
)
def test_faint_text_or_the_rule_makes_the_second_look_thorough(
    tmp_path: Path, sandbox: Sandbox, options: str, found: Found, thorough: list[bool]
) -> None:
    rules, finder = f"pixels:\n  - find-text: {{{options}}}\n", Finder(found)
    done = run(tmp_path, image(noise(40, 60)), rules, sandbox, finder=finder)
    assert finder.thorough == thorough
    assert bool(done.outcome.edit) == bool(found.boxes)


def test_what_nobody_can_read_holds_an_image_without_boxes(tmp_path: Path, sandbox: Sandbox) -> None:
    rules, finder = "pixels:\n  - find-text: { thorough: always }\n", Finder(again=Left("a word stands there"))
    with pytest.raises(BurnedInTextSuspected, match="a word stands there") as caught:
        run(tmp_path, image(noise(40, 60)), rules, sandbox, finder=finder)
    assert caught.value.facts["boxes"] == ()


def test_without_a_finder_the_instance_is_held(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(RuleFailed, match="needs the extra ocr"):
        run(tmp_path, image(noise(40, 60)), "pixels:\n  - find-text: {}\n", sandbox)


def test_risky_images_alone_are_searched(tmp_path: Path, sandbox: Sandbox) -> None:
    rules, finder = "pixels:\n  - find-text: {scan: risky}\n", Finder()
    assert run(tmp_path, image(noise(40, 60), CT), rules, sandbox, finder=finder).outcome.change is None
    assert finder.seen == []
    run(tmp_path, image(noise(40, 60), US, BurnedInAnnotation="YES"), rules, sandbox, finder=finder)
    assert len(finder.seen) == 1
    assert finder.claimed == [True]


def test_bits_that_nobody_sees_go_with_what_was_searched(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60)
    hidden = pixels.copy()
    hidden[20:30, 30:50] |= 0x8000
    rules = "pixels:\n  - find-text: {}\n"
    found = run(tmp_path, image(hidden, BitsStored=12), rules, sandbox, finder=Finder())
    assert np.array_equal(found.dataset.pixel_array, pixels)
    assert found.dataset.DerivationDescription == "De-identification: unused bits cleared"
    clean = run(tmp_path, image(pixels, BitsStored=12), rules, sandbox, finder=Finder())
    assert list(clean.dataset.ImageType) == ["ORIGINAL", "PRIMARY"]


@pytest.mark.parametrize(
    ("use", "pixels", "values", "drawn", "cleared"),
    [
        # A profile that says that nothing drawn identifies looks where no rule looks.
        ("basic, clean-graphics", noise(40, 60), {"BitsStored": 12}, 0x8000, True),
        # in the lowest unused bit
        ("basic, clean-graphics", noise(40, 60), {"BitsStored": 12}, 0x1000, True),
        # below the samples
        ("basic, clean-graphics", noise(40, 60) << 4, {"BitsStored": 12, "HighBit": 15}, 0x0001, True),
        # with a sign above every sample that has one
        ("basic, clean-graphics", noise(40, 60).astype("int16") - 2048, {"BitsStored": 12}, 0x4000, True),
        # where the sign has but one bit above
        ("basic, clean-graphics", noise(40, 60).astype("int16") - 2048, {"BitsStored": 15}, 0x8000, True),
        # in one frame of many
        ("basic, clean-graphics", noise(3, 40, 60), {"BitsStored": 12}, 0x8000, True),
        # colour
        ("basic, clean-graphics", noise(40, 60, 3, dtype="uint8", below=64), {"BitsStored": 6}, 0x80, True),
        # Nothing is there.
        ("basic, clean-graphics", noise(40, 60), {"BitsStored": 12}, 0, False),
        ("basic, clean-graphics", noise(40, 60).astype("int16") - 2048, {"BitsStored": 12}, 0, False),
        # Signed samples are found without a sign above, and with a bit more than the header says.
        ("basic, clean-graphics", noise(40, 60, dtype="int16"), {"BitsStored": 12}, 0, False),
        ("basic, clean-graphics", noise(40, 60, dtype="int16") - 2048, {"BitsStored": 11}, 0, False),
        # Padding may lie beyond the samples.
        (
            "basic, clean-graphics",
            np.where(noise(40, 60) < 2000, 63536, noise(40, 60)).astype("uint16"),
            {"BitsStored": 12, "PixelPaddingValue": 63536},
            0,
            False,
        ),
        # Every bit is of the samples.
        ("basic, clean-graphics", noise(40, 60), {}, 0x8000, False),
        # A profile that says nothing of drawings.
        ("basic", noise(40, 60), {"BitsStored": 12}, 0x8000, False),
    ],
)
def test_bits_that_nobody_sees_go_where_clean_graphics_is_claimed(
    tmp_path: Path,
    sandbox: Sandbox,
    use: str,
    pixels: np.ndarray[Any, Any],
    values: dict[str, Any],
    drawn: int,
    cleared: bool,
) -> None:
    hidden = pixels.copy()
    part = hidden[-1] if hidden.ndim == 3 and hidden.shape[-1] != 3 else hidden
    part[20:30, 30:50] ^= np.array(drawn, "u2").astype(hidden.dtype)
    output = run(tmp_path, image(hidden, CT, **values), "", sandbox, use=use)
    # As bytes: what reads pixels leaves the unused bits away by itself.
    assert output.dataset.PixelData == (pixels if cleared else hidden).tobytes()
    assert bool(output.outcome.edit) is cleared
    if cleared:
        assert output.dataset.DerivationDescription == "De-identification: unused bits cleared"
        assert codes(output.dataset) >= {"113103"}
        assert "113101" not in codes(output.dataset)
    else:
        assert list(output.dataset.ImageType) == ["ORIGINAL", "PRIMARY"]


# Reviews.


def test_a_review_stands_in_for_the_finder(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60)
    rules = MASK + "  - find-text: {}\n  - hold: true\n    because: none\n"
    boxes = (Rectangle(50, 30, 5, 5), Rectangle(-4, -4, 4, 4))
    review = Review(decision="mask", boxes=boxes, actor="dpo", because="names")
    finder = Finder(Found(hold="too much"))
    found = run(tmp_path, image(pixels, US), rules, sandbox, finder=finder, review=review)
    expected = pixels.copy()
    expected[:10, :20] = expected[30:35, 50:55] = expected[36:, 56:] = 0
    assert np.array_equal(found.dataset.pixel_array, expected)
    # It is only looked at for words of the header, with the boxes blackened.
    assert len(finder.seen) == 1
    assert np.array_equal(finder.seen[0], expected)
    assert "113101" in codes(found.dataset)


def test_a_released_instance_goes_as_it_is(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60)
    review = Review(decision="release", actor="dpo", because="nothing there")
    output = run(tmp_path, image(pixels, US, BurnedInAnnotation="YES"), "", sandbox, review=review).dataset
    assert np.array_equal(output.pixel_array, pixels)
    assert output.BurnedInAnnotation == "NO"
    assert list(output.ImageType) == ["ORIGINAL", "PRIMARY"]


@pytest.mark.parametrize("decision", ["release", "mask"])
def test_a_word_of_the_header_holds_whatever_a_person_decides(
    tmp_path: Path, sandbox: Sandbox, decision: Literal["release", "mask"]
) -> None:
    boxes = (Rectangle(50, 30, 5, 5),) if decision == "mask" else ()
    review = Review(decision=decision, boxes=boxes, actor="dpo", because="nothing there")
    finder = Finder(names=(Box(5, 30, 20, 6),))
    with pytest.raises(BurnedInTextSuspected, match="a word of the header is read in the image") as caught:
        run(
            tmp_path, image(noise(40, 60), US), "", sandbox, review=review, finder=finder,
            words=lambda: frozenset({"MOCKBURY"}),
        )  # fmt: skip
    assert caught.value.facts["boxes"] == ((5, 30, 20, 6),)
    assert finder.words == [frozenset({"MOCKBURY"})]


def test_a_box_outside_the_image_is_an_error(tmp_path: Path, sandbox: Sandbox) -> None:
    review = Review(decision="mask", boxes=(Rectangle(60, 0, 5, 5),), actor="dpo", because="names")
    with pytest.raises(RuleFailed, match=r"the review failed: .* begins outside"):
        run(tmp_path, image(noise(40, 60), US), "", sandbox, review=review)


def test_examining_tells_and_writes_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    finder = Finder(Found((Box(5, 30, 20, 6),), unsure="faint signs"))
    using = program(tmp_path, MASK + "  - find-text: {}\n  - hold: true\n    because: a person looks\n")
    before = sorted(tmp_path.iterdir())
    path = stored(tmp_path, image(noise(40, 60), US))
    with opened(path) as instance:
        treatment = PixelTreatment(sandbox=sandbox, finder=finder)
        found = treatment.examine(specialised(using, instance), instance, words=frozenset)
    assert found.areas == (Area(0, 0, 20, 10),)
    assert found.boxes == (Area(5, 30, 25, 36),)
    assert found.reasons == ("the pixel rule of tested, line 6: a person looks", "faint signs")
    assert sorted(tmp_path.iterdir()) == sorted({*before, path})


def test_an_examination_tells_what_is_left_after_blackening(tmp_path: Path, sandbox: Sandbox) -> None:
    path = stored(tmp_path, image(noise(40, 60)))
    using = program(tmp_path, "pixels:\n  - find-text: {}\n")
    finder = Finder(Found((Box(5, 30, 20, 6),)), again=Left("text remains"))
    with opened(path) as instance:
        treatment = PixelTreatment(sandbox=sandbox, finder=finder)
        found = treatment.examine(specialised(using, instance), instance, words=frozenset)
    assert found.boxes == (Area(5, 30, 25, 36),)
    assert found.left == (Area(30, 20, 38, 26),)
    assert found.reasons == ("text remains",)
    # The second look is at what is left: the first one's boxes are black.
    assert finder.seen[1][30:36, 5:25].max() == 0


# The second look.


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        # an area that was not blackened
        (Edit(areas=(Area(0, 0, 20, 11),)), "an area of frame 1 is not blank"),
        # one that was blackened without being known
        (Edit(areas=(Area(0, 0, 19, 10),)), "frame 1 has changed outside the areas"),
        (Edit(clears=True), "frame 1 has changed outside the areas"),
        # another size
        (Edit(areas=(Area(0, 0, 20, 10),), kept=Area(0, 0, 59, 40)), "another size"),
    ],
)
def test_the_second_look_finds_what_does_not_agree(tmp_path: Path, sandbox: Sandbox, edit: Edit, reason: str) -> None:
    path = stored(tmp_path, image(noise(40, 60)))
    treated = run(tmp_path, image(noise(40, 60)), MASK, sandbox).dataset
    treated.save_as(tmp_path / "out.dcm", enforce_file_format=True)
    outcome = PixelOutcome(None, edit, ())
    output = [(tmp_path / "out.dcm").read_bytes()]
    with opened(path) as instance, pytest.raises(LeakSuspected, match=reason):
        check_pixels(instance, output, outcome, work=tmp_path, limits=Limits(), sandbox=sandbox)
    assert list(tmp_path.glob("check-*")) == []


def test_the_second_look_finds_hidden_bits(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60)
    path = stored(tmp_path, image(pixels, BitsStored=12))
    treated = run(tmp_path, image(pixels, BitsStored=12), MASK, sandbox).dataset
    written = treated.pixel_array.copy()
    written[30, 30] |= 0x8000
    treated.PixelData = written.tobytes()
    treated.save_as(tmp_path / "out.dcm", enforce_file_format=True)
    outcome = PixelOutcome(None, Edit(areas=(Area(0, 0, 20, 10),)), ())
    with opened(path) as instance, pytest.raises(LeakSuspected, match="no part of a sample"):
        check_pixels(
            instance, [(tmp_path / "out.dcm").read_bytes()], outcome, work=tmp_path, limits=Limits(), sandbox=sandbox
        )


def test_no_file_stays_when_writing_fails(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(40, 60), CT, ImagePositionPatient=[1, 2, 3])
    rules = "pixels:\n  - crop: {top: 1, geometry: change}\n  - mask: [[0, 0, 5, 5]]\n"
    with pytest.raises(RuleFailed):
        run(tmp_path, source, rules, sandbox)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.dcm", "tested.yaml"]
